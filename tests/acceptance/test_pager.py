"""Long output on a terminal goes through the user's pager; short output, and output to a pipe, does not."""

import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, Git, Telemetry, wait_for
from support.terminal import drawn

LONG = "with recursive n (i) as (select 1 union all select i + 1 from n limit 200) select i from n"
#: Says that it is there, and shows what it was given.
PAGER = "#!/bin/sh\necho paged\nexec cat\n"


@pytest.fixture
def pager(telemetry: Telemetry) -> str:
    return _script(telemetry.home / "my pager", PAGER)


def _script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    link = path.with_name("pager")
    os.symlink(path, link)
    return str(link)


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv"])
def test_what_is_longer_than_the_screen_is_paged(
    telemetry: Telemetry, pager: str, output: str
) -> None:
    straight = drawn(telemetry, 80, "sql", LONG, "-o", output)
    assert straight.count("\n") >= 200
    assert (
        drawn(telemetry, 80, "sql", LONG, "-o", output, env={"PAGER": pager})
        == "paged\n" + straight
    )


def test_what_fits_is_not(telemetry: Telemetry, pager: str) -> None:
    assert "paged" not in drawn(telemetry, 80, "sql", "select 1 as one", env={"PAGER": pager})


def test_a_pipe_is_not(telemetry: Telemetry, pager: str) -> None:
    assert "paged" not in telemetry("sql", LONG, env={"PAGER": pager}).out


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cat",
        "no-such-pager --option 2>/dev/null",
        "/no/such/pager 2>/dev/null",
        "/etc/passwd 2>/dev/null",
    ],
)
def test_without_a_pager_everything_is_printed(telemetry: Telemetry, name: str) -> None:
    assert drawn(telemetry, 80, "sql", LONG, "-o", "csv", env={"PAGER": name}).split() == [
        "i",
        *map(str, range(1, 201)),
    ]


def test_on_a_terminal_that_can_do_nothing_there_is_none(telemetry: Telemetry, pager: str) -> None:
    assert "paged" not in drawn(telemetry, 80, "sql", LONG, env={"PAGER": pager, "TERM": "dumb"})


def test_the_pager_may_have_options(telemetry: Telemetry, pager: str) -> None:
    assert drawn(telemetry, 80, "sql", LONG, env={"PAGER": "tail -n 2"}).split() == ["199", "200"]
    assert drawn(telemetry, 80, "sql", LONG, env={"PAGER": f"LESS=-S '{pager}'"}).startswith(
        "paged\n"
    )


def test_one_line_that_fills_the_screen_is_paged(telemetry: Telemetry, pager: str) -> None:
    telemetry.start("--event-id", "long", "--input-summary", "x" * 4000, "--no-git")
    assert drawn(telemetry, 80, "run", "show", "long", "--json", env={"PAGER": pager}).startswith(
        "paged\n"
    )


def test_a_pager_gets_no_hyperlinks(telemetry: Telemetry, pager: str) -> None:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet")
    git("remote", "add", "origin", "https://github.com/acme/tool.git")
    git.commit()
    for _ in range(45):
        telemetry.start()
    telemetry("associate-commit", "@last")
    assert "\x1b]8;" in drawn(telemetry, 120, "query")
    assert "\x1b]8;" not in drawn(telemetry, 120, "query", env={"PAGER": pager})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_the_program_leaves_the_pager_its_terminal(
    telemetry: Telemetry, number: signal.Signals
) -> None:
    """A pager that outlived it would fight with the shell over the keys."""
    ready, done = telemetry.home / "ready", telemetry.home / "done"
    pager = _script(
        telemetry.home / "slow",
        f"#!/bin/sh\ntrap '' TERM HUP\ntouch {ready}\ncat >/dev/null\ntouch {done}\n",
    )
    terminal, side = pty.openpty()
    rows = LONG.replace("200", "50000")
    env = telemetry.env | {"TERM": "xterm", "PAGER": pager}
    process = subprocess.Popen(
        [str(PROGRAM), "sql", rows, "-o", "csv"],
        env=env,
        stdin=side,
        stdout=side,
        start_new_session=True,
    )
    os.close(side)
    try:
        wait_for(ready.exists)
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number
        assert done.exists()
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_a_pager_that_is_left_early_is_no_error(telemetry: Telemetry) -> None:
    rows = LONG.replace("200", "200000")
    assert (
        drawn(telemetry, 80, "sql", rows, env={"PAGER": "head -n 3", "TELEMETRY_DEBUG": "1"}).count(
            "\n"
        )
        == 3
    )


@pytest.mark.skipif(not shutil.which("less"), reason="less is not installed")
def test_less_is_the_pager_where_none_is_named(telemetry: Telemetry) -> None:
    # Its first screen ends in a prompt, and then the key that was pressed leaves it.
    shown = drawn(telemetry, 80, "sql", LONG, "-o", "csv", keys=b"q", env={"PAGER": "less"})
    assert "38" in shown
    assert "199" not in shown
