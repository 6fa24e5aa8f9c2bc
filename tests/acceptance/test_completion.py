"""Completion, in real shells: what is offered, what is put on the line, and that nothing is ever disturbed by it."""

import errno
import fcntl
import json
import os
import pty
import select
import shutil
import sqlite3
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry

from telemetry_cli.cli.commands import shells
from telemetry_cli.cli.commands.completion import is_harmless
from telemetry_cli.cli.commands.rows import RUN_COLUMNS
from telemetry_cli.core import tables
from telemetry_cli.core import values as rules

COMPLETIONS = Path(__file__).parents[2] / "completions"
FILES = {
    "bash": "telemetry.bash",
    "zsh": "_telemetry",
    "fish": "telemetry.fish",
    "powershell": "telemetry.ps1",
}
HOSTILE = [
    "$(touch x)",
    "`touch x`",
    "a b",
    "a;touch x",
    "a\nb",
    "a\tb",
    "'",
    '"',
    "\\",
    "*",
    "~root",
    "-rf",
    "--json",
    "=ls",
    "a|b",
    "\x1b[2J",
    "\u202eevil",
    "a#b",
    "{a,b}",
]
UNDER_TEST = [
    pytest.param(
        name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")
    )
    for name in ("bash", "zsh", "fish")
]


def asked(telemetry: Telemetry, *words: str, **options: dict[str, str]) -> dict[str, str]:
    """What fish would show for a line that ends in the last word: candidate → meaning."""
    ran = telemetry("_complete", "fish", "--", *words, **options)  # type: ignore[arg-type]
    assert ran.err == ""
    return {
        word: meaning
        for word, _, meaning in (line.partition("\t") for line in ran.out.splitlines())
    }


def place(telemetry: Telemetry, **columns: object) -> None:
    """Put a run into the database behind the program's back."""
    known = {
        "event_id": "E",
        "run_id": "R",
        "agent_name": "agent",
        "job_type": "job",
        "created_at": "2026-01-02T03:04:05.678Z",
    } | columns
    row = {
        "schema_version": 8,
        "op_id": os.urandom(8).hex(),
        "updated_at": known["created_at"],
        "start_time": known["created_at"],
        "status": "success",
    } | known
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute(
            f"INSERT INTO agent_runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            tuple(row.values()),
        )
    db.close()


@pytest.fixture
def base(telemetry: Telemetry) -> Telemetry:
    """A base with two runs: `first-run` of `alpha`, and the newer `second-run` of `beta`."""
    telemetry.start("--event-id", "first-run", "--agent-name", "alpha", "--no-git")
    telemetry.start(
        "--event-id", "second-run", "--agent-name", "beta", "--job-type", "deploy", "--no-git"
    )
    return telemetry


# The scripts


@pytest.mark.parametrize("shell", FILES)
def test_the_scripts_are_what_the_command_prints(shell: str, telemetry: Telemetry) -> None:
    text = (COMPLETIONS / FILES[shell]).read_text(encoding="utf-8")
    assert text == telemetry("completion", shell).out == shells.SCRIPTS[shell], (
        "run: ./dev regenerate"
    )
    assert telemetry("completion", shell, "--json").json == {"shell": shell, "script": text}


def test_an_unknown_shell(telemetry: Telemetry) -> None:
    refused = telemetry("completion", "tcsh", code=2)
    assert [shell for shell in FILES if shell not in refused.err] == []


def test_the_way_in_is_hidden(telemetry: Telemetry) -> None:
    assert "_complete" not in telemetry("--help").out
    assert "_complete" not in asked(telemetry, "")
    assert ("_complete",) not in tables.COMMANDS


# What is offered


def test_subcommands_with_their_help(telemetry: Telemetry) -> None:
    assert set(asked(telemetry, "")) == {path[0] for path in tables.COMMANDS}
    assert asked(telemetry, "--db", "x", "--base-dir=y", "qu") == {
        "query": "List runs, newest first."
    }
    assert set(asked(telemetry, "run", "e")) == {
        path[1] for path in tables.COMMANDS if path[0] == "run" and path[1].startswith("e")
    }
    assert asked(telemetry, "run", "nonsense", "") == asked(telemetry, "nonsense", "") == {}
    assert set(asked(telemetry, "--")) == {"--db", "--base-dir", "--version", "--help"}


@pytest.mark.parametrize("path", sorted(tables.COMMANDS))
def test_the_options_of_each_command_and_no_others(
    path: tuple[str, ...], telemetry: Telemetry
) -> None:
    offered = asked(telemetry, *path, "-")
    assert set(offered) == {*tables.COMMANDS[path][1], "-h", "--help"}
    assert [name for name, meaning in offered.items() if not meaning] == []


def test_an_option_is_offered_once_unless_it_may_be_repeated(telemetry: Telemetry) -> None:
    offered = asked(
        telemetry, "query", "--json", "--status", "success", "--limit=3", "-o", "ids", "-"
    )
    assert {"--json", "--limit", "-o", "--output"} & set(offered) == set()
    assert "--status" in offered
    assert asked(telemetry, "run", "end", "--", "--") == {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "end", "--status", ""], set(rules.STATUSES)),
        (["run", "end", "--status=f"], {"--status=failure"}),
        (["query", "-o", ""], {"table", "json", "jsonl", "csv", "ids"}),
        (["run", "start", "--output="], {"--output=text", "--output=json", "--output=env"}),
        (
            ["query", "--sort", "items_"],
            {name for name in RUN_COLUMNS if name.startswith("items_")},
        ),
        (["stats", "--by", "da"], {"day"}),
        (["query", "--columns", "event_id,status,sta"], {"event_id,status,start_time"}),
        (["query", "--columns=run_id,commit_u"], {"--columns=run_id,commit_url"}),
        (["associate-commit", "--role", ""], set(rules.COMMIT_ROLES)),
        (["associate-commit", "--source", ""], set(rules.COMMIT_SOURCES)),
        (["completion", ""], set(FILES)),
        (["--db", ""], {"<files>"}),
        (["--base-dir=x"], {"<files>"}),
        (["import", ""], {"<files>"}),
        (["export", "--to", ""], {"<files>"}),
        (["import", "--format", ""], {"ndjson", "json", "csv", "sqlite", "legacy-ndjson"}),
        (["export", "--format=p"], {"--format=parquet"}),
        (["db", "backup", ""], {"<files>"}),
        (["db", "restore", ""], {"<files>"}),
        (["query", "--limit", ""], set()),
        (["db", "path", "--jso"], {"--json"}),
        (["run", "exec", "--", ""], {"<files>"}),
        (["run", "exec", "make", ""], {"<files>"}),
        (["run", "exec", "--time"], {"--timeout"}),
    ],
)
def test_values(words: list[str], expected: set[str], telemetry: Telemetry) -> None:
    assert set(asked(telemetry, *words)) == expected


def test_names_and_runs_from_the_database(base: Telemetry) -> None:
    assert list(asked(base, "query", "--agent-name", "")) == ["alpha", "beta"]
    assert list(asked(base, "query", "--job-type=d")) == ["--job-type=deploy"]
    assert list(asked(base, "run", "end", "")) == ["@last", "second-run", "first-run"]
    assert asked(base, "run", "event", "x", "--run", "fir") == {"first-run": "alpha job running"}
    assert list(asked(base, "query", "--parent", "@last:")) == ["@last:alpha", "@last:beta"]
    assert list(asked(base, "commits", "@", env={"TELEMETRY_EVENT_ID": "first-run"})) == [
        "@current",
        "@last",
        "@last:alpha",
        "@last:beta",
    ]


def test_a_run_that_is_not_among_the_newest_is_found_by_its_beginning(base: Telemetry) -> None:
    for number in range(60):
        place(base, event_id=f"other-{number:02}", created_at="2030-01-01T00:00:00.000Z")
    offered = list(asked(base, "run", "show", ""))
    assert (len(offered), offered[1]) == (51, "other-59")
    assert list(asked(base, "run", "show", "firs")) == ["first-run"]
    place(base, event_id="first-again", created_at="2031-01-01T00:00:00.000Z")
    assert list(asked(base, "run", "show", "firs")) == ["first-again", "first-run"]


def test_the_place_that_the_line_and_the_environment_name(base: Telemetry, tmp_path: Path) -> None:
    other = Telemetry(tmp_path / "other")
    other.start("--event-id", "elsewhere", "--no-git")
    assert list(asked(base, "--base-dir", str(other.base), "run", "show", "e")) == ["elsewhere"]
    assert list(asked(base, f"--db={other.database}", "run", "show", "e")) == ["elsewhere"]
    assert list(
        asked(base, "--base-dir", "$OTHER", "run", "show", "e", env={"OTHER": str(other.base)})
    ) == ["elsewhere"]
    assert list(asked(base, "run", "show", "e", env={"TELEMETRY_BASE_DIR": str(other.base)})) == [
        "elsewhere"
    ]
    assert asked(base, "run", "show", "e") == {}


# What must not happen


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"TELEMETRY_DISABLED": "1"},
        {"TELEMETRY_NEVER_FAIL": "1"},
        {"TELEMETRY_DB_SYNCHRONOUS": "OFF"},
        {"TELEMETRY_DEBUG": "1"},
    ],
)
def test_nothing_is_created(telemetry: Telemetry, env: dict[str, str]) -> None:
    before = sorted(telemetry.home.rglob("*"))
    assert asked(telemetry, "run", "show", "", env=env) == {}
    assert asked(telemetry, "query", "--agent-name", "", env=env) == {}
    assert "query" in asked(telemetry, "", env=env)
    assert sorted(telemetry.home.rglob("*")) == before


def test_nothing_is_drained_or_changed(base: Telemetry) -> None:
    base.append("run.create", "2026-01-02T03:04:05.678Z", event_id="waiting")
    before = base.files()
    assert list(asked(base, "run", "show", "")) == ["@last", "second-run", "first-run"]
    assert base.files() == before


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("fish",),
        ("fish", "--"),
        ("nonsense", "--", ""),
        ("bash", "--", ""),
        ("bash", "x", "--", "telemetry y"),
        ("--help",),
        ("-h", "--"),
    ],
)
def test_what_no_script_would_ask(argv: tuple[str, ...], telemetry: Telemetry) -> None:
    ran = telemetry("_complete", *argv)
    assert ran.err == ""


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"no database at all, whatever its name says",
        b"SQLite format 3\0" + b"\x10\0\1\1" * 30,
        None,
    ],
)
def test_a_broken_database(base: Telemetry, damage: bytes | None) -> None:
    if damage is None:
        content = bytearray(base.database.read_bytes())
        content[4096:] = b"\xff" * (len(content) - 4096)
        damage = bytes(content)
    base.database.write_bytes(damage)
    for words in (["run", "show", ""], ["run", "show", "@"], ["query", "--agent-name", ""]):
        assert asked(base, *words) == {}
    assert base.database.read_bytes() == damage


def test_a_database_that_is_something_else(base: Telemetry) -> None:
    base.database.unlink()
    os.mkfifo(base.database)
    assert asked(base, "run", "show", "") == {}
    base.database.unlink()
    base.database.mkdir()
    assert asked(base, "run", "show", "") == {}


def test_a_database_of_another_mode_or_in_need_of_repair_is_left_alone(base: Telemetry) -> None:
    journal = base.database.with_name(base.database.name + "-journal")
    journal.write_bytes(b"left by a killed writer")
    assert asked(base, "run", "show", "") == {}
    assert journal.read_bytes() == b"left by a killed writer"
    journal.unlink()
    db = sqlite3.connect(base.database)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    before = base.files()
    assert asked(base, "run", "show", "") == {}
    assert base.files() == before


def test_a_locked_database_is_not_waited_for(base: Telemetry) -> None:
    base.env["TELEMETRY_LOCK_TIMEOUT"] = "3600"
    assert asked(base, "run", "show", "") != {}
    db = sqlite3.connect(base.database, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    assert asked(base, "run", "show", "") == {}
    db.close()


def test_hostile_names_are_not_offered(base: Telemetry) -> None:
    for number, name in enumerate(HOSTILE):
        place(
            base,
            event_id=name,
            agent_name=name,
            job_type=name,
            run_id=name,
            created_at=f"2030-01-01T00:00:{number:02}.000Z",
        )
    place(
        base,
        event_id="plain",
        agent_name="日本.é_1",
        job_type="x\n\x1b[2J\u202e$(touch x)",
        created_at="2031-01-01T00:00:00.000Z",
    )
    offered = {
        word: meaning
        for words in (["run", "show", ""], ["run", "show", "@"], ["query", "--agent-name="])
        for word, meaning in asked(base, *words).items()
    }
    names = {"alpha", "beta", "日本.é_1"}
    # No shell, and no program, sees an option or a command in a dash or equals sign that stands inside a word.
    last = names | {"-rf", "--json", "=ls"}
    assert set(offered) == {
        "@last",
        "plain",
        "first-run",
        "second-run",
        *(f"@last:{name}" for name in last),
        *(f"--agent-name={name}" for name in names),
    }
    assert all(meaning.isprintable() for meaning in offered.values())
    assert (
        asked(base, "query", "--job-type", "$")
        == asked(base, "query", "--columns", "$(touch x),e")
        == {}
    )
    assert [name for name in HOSTILE if is_harmless(name)] == []


@pytest.mark.parametrize("words", [["", ""], ["run", "show", ""]])
def test_completion_imports_nothing_heavy(words: list[str], base: Telemetry) -> None:
    watch = "import sys, json; from telemetry_cli.cli import main; main.main(); print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", watch, "_complete", "fish", "--", *words],
        env=base.env,
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"typer", "pydantic", "rich", "dataclasses", "subprocess", "inspect", "filelock", "git"}
    assert heavy & set(json.loads(done.stderr)) == set()
    assert ("sqlite3" in json.loads(done.stderr)) == (words[0] == "run")


# In the shells


PROMPT = "ready> "
OWN_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
#: How each shell starts bare, what loads the script, and a command that shows its arguments in the program's place.
STARTS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
LOADS = {
    "bash": "source {script}; telemetry() {{ printf '<%s>' \"$@\" > {out}; printf 'E%s' ND; }}",
    "zsh": "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; telemetry() {{ printf '<%s>' \"$@\" > {out}; printf 'E%s' ND; }}",
    "fish": "source {script}; function telemetry; printf '<%s>' $argv > {out}; printf 'E%s' ND; end",
}


class Terminal:
    """A shell in a pseudo-terminal, with the completion script loaded."""

    def __init__(self, shell: str, telemetry: Telemetry, env: dict[str, str] | None = None) -> None:
        self.out = telemetry.home / "arguments"
        self.cwd = telemetry.cwd
        self.fd, tty = pty.openpty()
        path = f"{PROGRAM.parent}:{telemetry.env['PATH']}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, *STARTS[shell]],
            env=telemetry.env
            | {"PATH": path, "TERM": "xterm", "LC_ALL": "C.UTF-8", "PS1": PROMPT}
            | (env or {}),
            cwd=telemetry.cwd,
            stdin=tty,
            stdout=tty,
            stderr=tty,
            start_new_session=True,
        )
        os.close(tty)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, b"\x28\0\xa0\0\0\0\0\0")
        self.type(
            LOADS[shell].format(script=COMPLETIONS / FILES[shell], folder=COMPLETIONS, out=self.out)
            + "; printf 'E%s' ND\n"
        )
        self.until("END")

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def until(self, text: str) -> str:
        """What the shell prints up to a text."""
        seen = b""
        while text.encode() not in seen:
            if not select.select([self.fd], [], [], 30)[0]:
                raise AssertionError(f"{text!r} never came: {seen.decode(errors='replace')}")
            try:
                seen += os.read(self.fd, 65536)
            except OSError as error:
                assert error.errno == errno.EIO
                raise AssertionError(f"the shell ended: {seen.decode(errors='replace')}") from None
        return seen.decode(errors="replace")

    def completed(self, line: str) -> str:
        """The arguments that a line has after TAB and Enter, each in angle brackets."""
        self.out.unlink(missing_ok=True)
        self.type(f"{line}\t\n")
        self.until("END")
        return self.out.read_text(encoding="utf-8")

    def close(self) -> None:
        os.close(self.fd)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """Open terminals that are closed at the end."""
    opened: list[Terminal] = []

    def open_(shell: str, telemetry: Telemetry, env: dict[str, str] | None = None) -> Terminal:
        opened.append(Terminal(shell, telemetry, env))
        return opened[-1]

    yield open_
    for terminal in opened:
        terminal.close()


Opener = Callable[..., Terminal]


@pytest.mark.parametrize("shell", UNDER_TEST)
def test_a_word_is_completed_in_a_real_shell(
    shell: str, base: Telemetry, open_terminal: Opener
) -> None:
    place(base, event_id="a:b@c=d", agent_name="日本:x", created_at="2020-01-01T00:00:00.000Z")
    (base.cwd / "somewhere.sqlite").touch()
    terminal = open_terminal(shell, base)
    assert terminal.completed("telemetry que") == "<query>"
    assert terminal.completed("telemetry run sho") == "<run><show>"
    assert terminal.completed("telemetry run end --stat") == "<run><end><--status>"
    assert terminal.completed("telemetry run end --status=fai") == "<run><end><--status=failure>"
    assert (
        terminal.completed("telemetry query --columns event_id,dura")
        == "<query><--columns><event_id,duration_ms>"
    )
    assert terminal.completed("telemetry run show fir") == "<run><show><first-run>"
    assert terminal.completed("telemetry run show 'fir") == "<run><show><first-run>"
    assert terminal.completed("telemetry run show @last:al") == "<run><show><@last:alpha>"
    assert terminal.completed("telemetry run show @last:日") == "<run><show><@last:日本:x>"
    assert terminal.completed("telemetry run show a:b") == "<run><show><a:b@c=d>"
    assert terminal.completed("telemetry query --agent-name=b") == "<query><--agent-name=beta>"
    assert (
        terminal.completed("true; telemetry query --agent-name a") == "<query><--agent-name><alpha>"
    )
    assert (
        terminal.completed(f"telemetry --base-dir {base.base} run show sec")
        == f"<--base-dir><{base.base}><run><show><second-run>"
    )
    assert terminal.completed("telemetry --db somew") == "<--db><somewhere.sqlite>"
    assert terminal.completed("telemetry --db=somew") == "<--db=somewhere.sqlite>"


@pytest.mark.parametrize("shell", UNDER_TEST)
def test_hostile_names_do_nothing_in_a_real_shell(
    shell: str, base: Telemetry, open_terminal: Opener
) -> None:
    for number, name in enumerate(HOSTILE):
        place(
            base,
            event_id=f"{name}x",
            agent_name=name,
            job_type=name,
            created_at=f"2030-01-01T00:00:{number:02}.000Z",
        )
    terminal = open_terminal(shell, base)
    for word in ("$(to", "`to", "~ro", "'a ", "=l"):
        terminal.type(f"telemetry run show {word}\t\x15")
    terminal.type("telemetry query --agent-name \t\t\x15")
    terminal.type("\x15printf 'E%s' ND\n")
    shown = terminal.until("END")
    assert "\x1b[2J\u202e" not in shown
    assert list(base.cwd.iterdir()) == []


@pytest.mark.parametrize("shell", UNDER_TEST)
def test_a_broken_database_says_nothing_in_a_real_shell(
    shell: str, base: Telemetry, open_terminal: Opener
) -> None:
    base.database.write_bytes(b"no database at all, whatever its name says")
    terminal = open_terminal(shell, base)
    assert terminal.completed("telemetry run show fir") == "<run><show><fir>"
    assert terminal.completed("telemetry run end --exit-c") == "<run><end><--exit-code>"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_help_is_shown_beside_the_words(
    shell: str, base: Telemetry, open_terminal: Opener
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    terminal = open_terminal(shell, base)
    terminal.type("telemetry db \t\t")
    terminal.until("Rebuild the database")


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_lists_runs_newest_first(base: Telemetry) -> None:
    env = base.env | {"PATH": f"{PROGRAM.parent}:{base.env['PATH']}"}
    script = f"source {COMPLETIONS / 'telemetry.fish'}; complete -C 'telemetry run show '"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=env,
        cwd=base.cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[:3] == [
        "@last\tbeta deploy running",
        "second-run\tbeta deploy running",
        "first-run\talpha job running",
    ], done
