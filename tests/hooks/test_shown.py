"""What people see of hooks: progress on a terminal, tables, completion."""

import os
import pty
import subprocess

from support.hooks import ONE, SCORE, Hooks


def on_a_terminal(hooks: Hooks, *argv: str) -> tuple[int, str, str]:
    """(exit code, stdout, what stderr showed) of a call whose stderr is a terminal."""
    ours, theirs = pty.openpty()
    with hooks.telemetry.popen(
        *argv,
        stdout=subprocess.PIPE,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env={"TERM": "xterm"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the terminal's other end is closed
            pass
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    return process.returncode, out.decode(), shown.decode()


def test_progress_of_several_hooks_on_a_terminal_only(three: Hooks) -> None:
    for name in ("first", "second"):
        three.release(name, "time.sleep(0.3)\n" + SCORE % 1)
    code, out, shown = on_a_terminal(three, "hooks", "run", "first", "second", "-o", "json")
    assert code == 0 and out.startswith('{"hook_runs"')
    assert "first" in shown and "second" in shown and "3/3" in shown
    assert "rows" not in on_a_terminal(three, "hooks", "run", "first", "--force")[2]
    assert three.telemetry("hooks", "run", "first", "second", "--force").err == ""


def test_tables(three: Hooks) -> None:
    three.release("score", SCORE % 1, "--message", "[bold]first[/nope]\x1b[2J")
    run = three.run("score")
    for argv, words in (
        (["hooks", "list"], ["score", "one", "score, note, count, good, more"]),
        (["hooks", "history", "score"], ["1", "true", "[bold]first[/nope]\\x1b[2J"]),
        (["hooks", "runs"], [run["id"], "passed"]),
        (["hooks", "show", "score"], ["cardinality", "script", "536870912"]),
        (["features", "query", "score"], ["run-1", "tests"]),
        (["hooks", "history", "score", "--pointer"], ["\\x1b[2J"]),
    ):
        ran = three.telemetry(*argv)
        assert [word for word in words if word not in ran.out] == [], ran
        assert "\x1b" not in ran.out


def offered(hooks: Hooks, *words: str) -> list[str]:
    return [
        line.partition("\t")[0]
        for line in hooks.telemetry("_complete", "fish", "--", *words).out.splitlines()
    ]


def test_completion_offers_hooks_and_conventions(hooks: Hooks) -> None:
    assert offered(hooks, "hooks", "run", "") == []
    hooks.release("score")
    hooks.release("speed")
    convention = hooks.folder / "c.toml"
    convention.write_text('title = "Test runs"\ndescription = "x"\njob_types = ["t"]\n')
    hooks.telemetry("conventions", "deploy", str(convention))
    for command in ("release", "show", "history", "diff", "rollback", "promote", "run", "runs"):
        assert offered(hooks, "hooks", command, "s") == ["score", "speed"], command
    assert offered(hooks, "hooks", "run", "score", "sp") == ["speed"]
    assert offered(hooks, "features", "query", "sc") == ["score"]
    assert offered(hooks, "conventions", "run", "") == ["test-runs"]
    assert offered(hooks, "hooks", "release", "new", "--script", "") == ["<files>"]
    assert "--at-version" in offered(hooks, "hooks", "run", "--a")
    assert "features" in offered(hooks, "fea") and "release" in offered(hooks, "hooks", "")


def test_a_hook_s_rows_in_csv_are_harmless_in_a_spreadsheet(hooks: Hooks) -> None:
    hooks.tried("print(json.dumps({'id': 'a', 'score': 1, 'note': '=1+1'}))", contract=ONE)
    header, row, *_ = hooks.telemetry("features", "query", "tried", "-o", "csv").out.splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["note"] == "'=1+1"


def test_columns_that_are_called_like_fields_of_runs(hooks: Hooks) -> None:
    names = [
        "status",
        "duration_ms",
        "success_rate",
        "ended_at",
        "p50_ms",
        "git_commit_hash",
        "end_time",
    ]
    contract = {"columns": [{"name": name, "type": "text"} for name in names]}
    row = {"id": "a"} | dict.fromkeys(names, "\x1b[31mred")
    hooks.tried(f"print(json.dumps({row!r}))", contract=contract)
    out = hooks.telemetry("features", "query", "tried").out
    assert out.count("\\x1b[31mred") == len(names) and "\x1b" not in out
