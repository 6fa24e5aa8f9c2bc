"""The two doors: what the fast one understands, Typer understands in the same way, and both do the same."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import PROGRAM, Telemetry

from telemetry_cli.cli import generate, parser
from telemetry_cli.cli.app import UsageError
from telemetry_cli.cli.app import parse as parse_with_typer
from telemetry_cli.core import tables

VALUES = [
    "",
    "-",
    "--",
    "-x",
    "--status",
    "=",
    "a=b",
    "é",
    "日本",
    "x y",
    "'",
    "0",
    "1",
    "-1",
    "2h",
    "@last",
    "{}",
    '{"a":1}',
    "success",
    "json",
    "abcdef1",
]
SLOW_DOOR = "import telemetry_cli.cli.main as main\nmain.parse = lambda argv, path: None\nfrom telemetry_cli.__main__ import program\nprogram()\n"


def test_the_table_is_what_the_declarations_say() -> None:
    assert Path(tables.__file__).read_text(encoding="utf-8") == generate.tables(), (
        "run: ./dev regenerate"
    )


@st.composite
def argvs(draw: st.DrawFn) -> list[str]:
    """A command line: a known command with a mixture of right, odd and wrong words."""
    path = draw(
        st.sampled_from(sorted(path for path in tables.COMMANDS if tables.COMMANDS[path][1]))
    )
    names = sorted(tables.COMMANDS[path][1])
    value = st.sampled_from(VALUES) | st.text(max_size=6).filter(lambda text: "\0" not in text)
    word = st.one_of(
        st.tuples(st.sampled_from(names), value),
        st.builds(lambda name, text: (f"{name}={text}",), st.sampled_from(names), value),
        st.tuples(
            st.sampled_from([*names, "--no-such", "-q", "--db", "-mx=1", "--agent", "--jso"])
        ),
        st.tuples(value),
    )
    leading = draw(
        st.lists(
            st.sampled_from(
                [("--db", "x.sqlite"), ("--base-dir=b",), ("--db",), ("--version",), ("-z",)]
            ),
            max_size=1,
        )
    )
    words = draw(st.lists(word, max_size=6))
    return [
        *(part for group in leading for part in group),
        *path,
        *(part for group in words for part in group),
    ]


def slowly(argv: list[str]) -> Any:
    try:
        return parse_with_typer(argv)
    except UsageError:
        return "usage error"


@settings(max_examples=1000, deadline=None)
@given(argvs())
def test_what_the_fast_door_understands_typer_understands_in_the_same_way(argv: list[str]) -> None:
    fast = parser.parse(argv, parser.find_command(argv))
    if fast is not None:
        assert fast == slowly(argv)


@pytest.mark.parametrize("path", sorted(tables.COMMANDS))
def test_the_plain_grammar_goes_through_the_fast_door(path: tuple[str, ...]) -> None:
    _, options, positionals, _ = tables.COMMANDS[path]
    argv = ["--db", "x", "--base-dir=y", *path]
    for name, (_, kind) in options.items():
        argv += [name] if kind == tables.FLAG else [name, "value"]
    argv += ["--", *("word" for _ in positionals)]
    fast = parser.parse(argv, path)
    assert fast is not None
    assert fast == slowly(argv)


def through(door: list[str], telemetry: Telemetry, argv: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(
        [*door, *argv],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def dump(telemetry: Telemetry) -> list[Any]:
    """The database without what tells two calls apart: clocks and random ids."""
    if not telemetry.database.exists():
        return []
    runs = telemetry.sql(
        "SELECT event_id, run_id, agent_name, job_type, status, start_time, product, metrics_json, parent_run_id, items_failed FROM agent_runs"
    )
    events = telemetry.sql("SELECT event_id, event_type, payload_json, trace_id FROM run_events")
    commits = telemetry.sql(
        "SELECT event_id, commit_hash, role, source, author, timestamp FROM run_commits"
    )
    return [runs, events, commits, telemetry.sql("SELECT kind, code, message FROM rejected_ops")]


START = [
    "run",
    "start",
    "--agent-name",
    "a",
    "--job-type",
    "j",
    "--event-id",
    "E",
    "--run-id",
    "R",
    "--start-time",
    "2026-01-01T00:00:00Z",
]
#: Commands, each with words of its own that may follow in any order and number.
COMMANDS: dict[tuple[str, ...], list[tuple[str, ...]]] = {
    tuple(word.replace("E", "F") if word == "E" else word for word in START): [
        ("--status", "failed"),
        ("--status=nonsense",),
        ("--product", "é"),
        ("--product=",),
        ("--metrics", '{"a": NaN}'),
        ("--metrics={}",),
        ("--parent", "@last"),
        ("--parent", "nobody"),
        ("--parent", "F"),
        ("--no-git",),
        ("--no-git=1",),
        ("--event-id", "@x"),
        ("-o", "env"),
    ],
    ("run", "end"): [
        ("E",),
        ("--status", "partial"),
        ("--exit-code=3",),
        ("--end-time", "2026-01-01T00:00:01Z"),
        ("--end-time", "1999"),
        ("--force",),
    ],
    ("run", "update"): [
        ("E",),
        ("--product", ""),
        ("--items-failed", "3"),
        ("--items-failed", "-1"),
        ("--error-summary=--x",),
    ],
    ("run", "event"): [
        ("step",),
        ("--run", "E"),
        ("--payload", "[1]"),
        ("--payload", "[1"),
        ("--timestamp", "2026-01-01T00:00:01Z"),
    ],
    ("associate-commit", "--no-git"): [
        ("E",),
        ("--commit", "ABCDEF1"),
        ("--commit=",),
        ("--role", "base"),
        ("--source", "robot"),
        ("--children",),
    ],
    ("query", "--columns", "event_id,status"): [
        ("--sort", "status"),
        ("--sort", "x"),
        ("--limit", "1"),
        ("--limit=-1",),
        ("--count",),
        ("--reverse",),
    ],
}
ANYWHERE = [
    ("-m", "k=1"),
    ("-m", "k=two"),
    ("--json",),
    ("-o", "csv"),
    ("--bogus",),
    ("--",),
    ("stray",),
    ("--product",),
    ("",),
]
ENVIRONMENTS = [
    {},
    {"TELEMETRY_EVENT_ID": "E"},
    {"TELEMETRY_NEVER_FAIL": "1"},
    {"TELEMETRY_DISABLED": "1"},
]


@st.composite
def calls(draw: st.DrawFn) -> list[str]:
    command = draw(st.sampled_from(sorted(COMMANDS)))
    words = draw(st.lists(st.sampled_from(COMMANDS[command] + ANYWHERE), max_size=4))
    return [*command, *(part for group in words for part in group)]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(argv=calls(), env=st.sampled_from(ENVIRONMENTS))
def test_both_doors_do_the_same(
    argv: list[str], env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    begun = Telemetry(tmp_path_factory.mktemp("begun"))
    begun(*START)
    done = []
    for door in ([str(PROGRAM)], [sys.executable, "-c", SLOW_DOOR]):
        telemetry = Telemetry(tmp_path_factory.mktemp("door"))
        shutil.copytree(begun.base, telemetry.base)
        telemetry.env |= env
        code, out, err = through(door, telemetry, argv)
        out = "\n".join(line for line in out.splitlines() if "TRACEPARENT" not in line)
        done.append((code, out, err, dump(telemetry)))
    assert done[0] == done[1]


@pytest.mark.parametrize(
    ("env", "argv"),
    [
        (
            {"TELEMETRY_AGENT_NAME": "env", "TELEMETRY_JOB_TYPE": "env"},
            ["run", "start", "--event-id", "E", "--run-id", "R"],
        ),
        ({"TELEMETRY_EVENT_ID": "E"}, ["run", "end", "--status", "partial"]),
        ({"TELEMETRY_EVENT_ID": "nobody"}, ["run", "event", "checkpoint"]),
        ({"TELEMETRY_DISABLED": "1"}, ["run", "event"]),
        ({"TELEMETRY_NEVER_FAIL": "1"}, ["run", "end", "--status"]),
        ({"TELEMETRY_NEVER_FAIL": "1"}, ["run", "end", "nobody"]),
        (
            {},
            [
                "associate-commit",
                "E",
                "--commit",
                "ABCDEF1",
                "--author",
                "A",
                "--timestamp",
                "2026-01-01T00:00:00Z",
            ],
        ),
        ({}, ["associate-commit", "E", "--commit", "nonsense"]),
        ({}, ["query", "-o", "ids", "--status=running"]),
        ({}, ["query", "--sort", "nonsense"]),
        ({}, ["commit-url", "E", "--json"]),
    ],
)
def test_both_doors_do_the_same_with_what_the_environment_says(
    env: dict[str, str], argv: list[str], tmp_path: Path
) -> None:
    done = []
    for name, door in (("fast", [str(PROGRAM)]), ("slow", [sys.executable, "-c", SLOW_DOOR])):
        telemetry = Telemetry(tmp_path / name)
        telemetry(*START)
        telemetry.env |= env
        done.append((*through(door, telemetry, argv), dump(telemetry)))
    assert done[0] == done[1]
