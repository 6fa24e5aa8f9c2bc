"""The two doors: what the fast one understands, Typer understands in the same way, and both do the same."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import PROGRAM, Telemetry

from telemetry_cli import _fast, entry
from telemetry_cli.cli import table
from telemetry_cli.cli.app import UsageError
from telemetry_cli.cli.app import parse as parse_with_typer

VALUES = ["", "-", "--", "-x", "--status", "=", "a=b", "é", "日本", "x y", "'", "0", "1", "-1", "2h", "@last", "{}", '{"a":1}', "success", "json", "abcdef1"]
SLOW_DOOR = "import telemetry_cli.entry as entry\nentry.parse = lambda argv, path: None\nentry.program()\n"


def test_the_table_is_what_the_declarations_say() -> None:
    assert Path(_fast.__file__).read_text(encoding="utf-8") == table.table(), "run: ./dev regenerate"


@st.composite
def argvs(draw: st.DrawFn) -> list[str]:
    """A command line: a known command with a mixture of right, odd and wrong words."""
    path = draw(st.sampled_from(sorted(_fast.COMMANDS)))
    names = sorted(_fast.COMMANDS[path][1])
    value = st.sampled_from(VALUES) | st.text(max_size=6).filter(lambda text: "\0" not in text)
    word = st.one_of(
        st.tuples(st.sampled_from(names), value),
        st.builds(lambda name, text: (f"{name}={text}",), st.sampled_from(names), value),
        st.tuples(st.sampled_from([*names, "--no-such", "-q", "--db", "-mx=1", "--agent", "--jso"])),
        st.tuples(value),
    )
    leading = draw(st.lists(st.sampled_from([("--db", "x.sqlite"), ("--base-dir=b",), ("--db",), ("--version",), ("-z",)]), max_size=1))
    words = draw(st.lists(word, max_size=6))
    return [*(part for group in leading for part in group), *path, *(part for group in words for part in group)]


def slowly(argv: list[str]) -> Any:
    try:
        return parse_with_typer(argv)
    except UsageError:
        return "usage error"


@settings(max_examples=2000, deadline=None)
@given(argvs())
def test_what_the_fast_door_understands_typer_understands_in_the_same_way(argv: list[str]) -> None:
    fast = entry.parse(argv, entry.addressed(argv)[0])
    if fast is not None:
        assert fast == slowly(argv)


@pytest.mark.parametrize("path", sorted(_fast.COMMANDS))
def test_the_plain_grammar_goes_through_the_fast_door(path: tuple[str, ...]) -> None:
    _, options, positionals, _, _ = _fast.COMMANDS[path]
    argv = ["--db", "x", "--base-dir=y", *path]
    for name, (_, kind) in options.items():
        argv += [name] if kind == _fast.FLAG else [name, "value"]
    argv += ["--", *("word" for _ in positionals)]
    fast = entry.parse(argv, path)
    assert fast is not None
    assert fast == slowly(argv)


def through(door: list[str], telemetry: Telemetry, argv: list[str]) -> tuple[int, str, str]:
    done = subprocess.run([*door, *argv], env=telemetry.env, cwd=telemetry.cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode, done.stdout, done.stderr


def dump(telemetry: Telemetry) -> list[Any]:
    """The database without what tells two calls apart: clocks and random ids."""
    if not telemetry.database.exists():
        return []
    runs = telemetry.sql(
        "SELECT event_id, run_id, agent_name, job_type, status, start_time, product, metrics_json, parent_run_id, items_failed FROM agent_runs"
    )
    events = telemetry.sql("SELECT event_id, event_type, timestamp, payload_json, trace_id FROM run_events")
    commits = telemetry.sql("SELECT event_id, commit_hash, role, source, author, timestamp FROM run_commits")
    return [runs, events, commits, telemetry.sql("SELECT kind, code, message FROM rejected_ops")]


START = ["run", "start", "--agent-name", "a", "--job-type", "j", "--event-id", "E", "--run-id", "R", "--start-time", "2026-01-01T00:00:00Z"]
WORDS = st.lists(
    st.sampled_from(
        [
            ("--status", "failed"),
            ("--status=nonsense",),
            ("--product", "é"),
            ("--product="),
            ("-m", "k=1"),
            ("-m", "k=two"),
            ("--metrics", '{"a": NaN}'),
            ("--metrics", "[]"),
            ("--metrics={}",),
            ("--items-failed", "-1"),
            ("--items-failed", "3"),
            ("--parent", "@last"),
            ("--parent", "nobody"),
            ("--parent", "E"),
            ("--no-git",),
            ("--no-git=1",),
            ("--json",),
            ("-o", "env"),
            ("-o", "csv"),
            ("--bogus",),
            ("--",),
            ("stray",),
            ("--event-id", "@x"),
            ("--product",),
        ]
    ).map(lambda words: [words] if isinstance(words, str) else list(words)),
    max_size=4,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS)
def test_both_doors_do_the_same(words: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    argv = [*START, *(part for group in words for part in group)]
    done = []
    for door in ([str(PROGRAM)], [sys.executable, "-c", SLOW_DOOR]):
        telemetry = Telemetry(tmp_path_factory.mktemp("door"))
        code, out, err = through(door, telemetry, argv)
        out = "\n".join(line for line in out.splitlines() if "TRACEPARENT" not in line)
        done.append((code, out, err, dump(telemetry)))
    assert done[0] == done[1]


@pytest.mark.parametrize(
    ("env", "argv"),
    [
        ({"TELEMETRY_AGENT_NAME": "env", "TELEMETRY_JOB_TYPE": "env"}, ["run", "start", "--event-id", "E", "--run-id", "R"]),
        ({"TELEMETRY_EVENT_ID": "E"}, ["run", "end", "--status", "partial"]),
        ({"TELEMETRY_EVENT_ID": "nobody"}, ["run", "event", "checkpoint"]),
        ({"TELEMETRY_DISABLED": "1"}, ["run", "event"]),
        ({"TELEMETRY_NEVER_FAIL": "1"}, ["run", "end", "--status"]),
        ({"TELEMETRY_NEVER_FAIL": "1"}, ["run", "end", "nobody"]),
        ({}, ["associate-commit", "E", "--commit", "ABCDEF1", "--author", "A", "--timestamp", "2026-01-01T00:00:00Z"]),
        ({}, ["associate-commit", "E", "--commit", "nonsense"]),
        ({}, ["query", "-o", "ids", "--status=running"]),
        ({}, ["query", "--sort", "nonsense"]),
        ({}, ["commit-url", "E", "--json"]),
    ],
)
def test_both_doors_do_the_same_with_what_the_environment_says(env: dict[str, str], argv: list[str], tmp_path: Path) -> None:
    done = []
    for name, door in (("fast", [str(PROGRAM)]), ("slow", [sys.executable, "-c", SLOW_DOOR])):
        telemetry = Telemetry(tmp_path / name)
        telemetry(*START)
        telemetry.env |= env
        done.append((*through(door, telemetry, argv), dump(telemetry)))
    assert done[0] == done[1]
