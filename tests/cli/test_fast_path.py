"""What the fast path may cost: the modules it imports, the SQL it runs, and that every filter uses an index."""

import itertools
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import Git, Telemetry

from telemetry_cli.database import runs
from telemetry_cli.database.filters import RunFilter

HEAVY = {
    "typer",
    "pydantic",
    "git",
    "filelock",
    "inspect",
    "dataclasses",
    "rich",
    "subprocess",
    "importlib.metadata",
    "asyncio",
    "typing",
    "tempfile",
    "platform",
    "traceback",
    "shutil",
    "random",
    "lzma",
}
WATCH = """
import json, sys
sys.argv = ["telemetry", *json.loads(sys.argv[1])]
from telemetry_cli.cli import main
code = main.main()
sys.stdout.flush()
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""
FAST = [
    ["run", "start", "--agent-name", "a", "--job-type", "j"],
    [
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
        "-m",
        "a=1",
        "--metrics",
        '{"b": 2}',
        "-o",
        "env",
    ],
    ["run", "end", "E", "--status", "failed", "-m", "k=v"],
    ["run", "event", "checkpoint", "--run", "E", "--payload", "[1]"],
    ["run", "update", "E", "--product", "p"],
    ["run", "show", "E", "-o", "json"],
    ["run", "exec", "--", "true"],
    ["run", "exec", "--event-id", "auto", "--timeout", "1m", "--", "sh", "-c", "echo x >&2"],
    ["status", "-o", "json"],
    ["associate-commit", "E"],
    ["git-hooks", "fire", "post-commit"],
    ["git-hooks", "fire", "post-merge", "0"],
    ["git-hooks", "fire", "post-rewrite", "amend"],
    ["git-hooks", "fire", "post-applypatch"],
    ["query", "-o", "json"],
    ["query", "-o", "ids", "--since", "2h", "--status", "running"],
    ["metadata", "-o", "json"],
    ["db", "path"],
]


def modules(telemetry: Telemetry, argv: list[str], cwd: Path) -> set[str]:
    """The modules that a fresh process has imported when the command is done, site packages' own start-up files aside."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, json.dumps(argv)],
        env=telemetry.env,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    code, found = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        env=telemetry.env,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(found) - set(bare.stdout.split())


@pytest.mark.parametrize("argv", FAST, ids=lambda argv: " ".join(argv[:2]))
def test_a_fast_command_imports_nothing_heavy(
    argv: list[str], telemetry: Telemetry, make_git: object
) -> None:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet")
    git.commit()
    telemetry.start("--event-id", "E")
    assert modules(telemetry, argv, telemetry.cwd) & HEAVY == set()


def test_a_table_imports_rich_and_not_typer(telemetry: Telemetry) -> None:
    found = modules(telemetry, ["query"], telemetry.cwd)
    assert "rich" in found
    assert found & {"typer", "pydantic", "git", "filelock"} == set()


COUNT = """
import json, sys, sqlite3
sys.argv = ["telemetry", *json.loads(sys.argv[1])]
statements = []
connect = sqlite3.connect
def traced(*args, **options):
    db = connect(*args, **options)
    db.set_trace_callback(statements.append)
    return db
sqlite3.connect = traced
from telemetry_cli.cli import main
main.main()
sys.stdout.flush()
print(json.dumps(statements), file=sys.stderr)
"""


def statements(telemetry: Telemetry, *argv: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, json.dumps(argv)],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return [statement for statement in found if not statement.startswith("--")]


@pytest.mark.parametrize(
    ("argv", "most"),
    [
        # 6 pragmas, BEGIN, version, cursor, seen before?, savepoint, duplicate?, insert, index with two of its own,
        # result, release, cursor, outcome, timeout, COMMIT
        (["run", "start", "--agent-name", "a", "--job-type", "j"], 22),
        (["run", "end", "E"], 20),
        (["run", "event", "checkpoint", "--run", "E"], 19),
        (["associate-commit", "E", "--commit", "abcdef1"], 21),
        # 2 pragmas, version, cursor, the rows
        (["query", "-o", "json"], 5),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_command_runs_no_more_sql_than_it_needs(
    argv: list[str], most: int, telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "E")
    found = statements(telemetry, *argv)
    assert len(found) <= most, found


# Query plans


def filters(*names: str) -> RunFilter:
    one: dict[str, dict[str, object]] = {
        "agent-name": {"columns": {"agent_name": ["one"]}},
        "job-type": {"columns": {"job_type": ["one"]}},
        "status": {"columns": {"status": ["one"]}},
        "product": {"columns": {"product": ["one"]}},
        "agent-names": {"columns": {"agent_name": ["one", "two"]}},
        "job-types": {"columns": {"job_type": ["one", "two"]}},
        "statuses": {"columns": {"status": ["one", "two"]}},
        "products": {"columns": {"product": ["one", "two"]}},
        "repo": {"columns": {"git_repo": ["one"]}},
        "branch": {"columns": {"git_branch": ["one"]}},
        "parent": {"columns": {"parent_run_id": ["event", "run"]}},
        "commit": {"commit": "abcdef1"},
        "since": {"times": {"since": "2026"}},
        "until": {"times": {"until": "2027"}},
        "start-time": {"times": {"start_time_from": "2026"}},
    }
    options: dict[str, Any] = {"columns": {}, "times": {}}
    for name in names:
        for option, value in one[name].items():
            options[option] = options[option] | value if option in options else value
    return RunFilter(**options)


NAMES = [
    "agent-name",
    "job-type",
    "status",
    "product",
    "agent-names",
    "job-types",
    "statuses",
    "products",
    "repo",
    "branch",
    "parent",
    "commit",
    "start-time",
]


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("since",),
        ("until",),
        ("since", "until"),
        *((name,) for name in NAMES),
        *itertools.product(NAMES, ("since",)),
    ],
    ids=" ".join,
)
def test_every_filter_uses_an_index(names: tuple[str, ...], telemetry: Telemetry) -> None:
    telemetry.start()
    made = filters(*names)
    plan = telemetry.sql(
        f"EXPLAIN QUERY PLAN SELECT * FROM agent_runs {made.clause} {made.order} LIMIT 50 OFFSET 0",
        *made.values,
    )
    steps = [step[3] for step in plan]
    assert not [
        step for step in steps if step.startswith("SCAN agent_runs") and "USING INDEX" not in step
    ], steps
    assert [step for step in steps if "INDEX" in step], steps


def test_the_newest_runs_are_read_in_order_without_sorting(telemetry: Telemetry) -> None:
    telemetry.start()
    for names in ((), ("agent-name",), ("status", "since"), ("job-type", "since", "until")):
        made = filters(*names)
        plan = telemetry.sql(
            f"EXPLAIN QUERY PLAN SELECT * FROM agent_runs {made.clause} {made.order} LIMIT 50",
            *made.values,
        )
        assert not [step for step in plan if "TEMP B-TREE" in step[3]], plan


@pytest.mark.parametrize("reference", ["@last", "@last:tester"])
def test_future_runs_of_last_are_searched_by_start(reference: str, telemetry: Telemetry) -> None:
    telemetry.start()
    statements: list[str] = []
    db = sqlite3.connect(telemetry.database)
    try:
        db.set_trace_callback(statements.append)
        runs.resolve(db, reference, "2099-01-01T00:00:00.000Z")
        db.set_trace_callback(None)
        (plan,) = db.execute(f"EXPLAIN QUERY PLAN {statements[-1]}").fetchall()
    finally:
        db.close()
    assert "agent_runs_start_time (start_time>?)" in plan[3], plan
