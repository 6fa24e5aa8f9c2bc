"""Maintenance and migration killed at their system calls: old or new, never between, and nothing that was recorded is lost.

In CI each takes every few calls, the offsets differing so that together the like commands cover all; `TELEMETRY_TESTS_LONG=1` takes every one.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Telemetry, legacy_database
from support.legacy_database import VERSIONS
from support.maintenance import UPKEEP
from support.storage import NAMED, START, Fact, wrong_after, wrong_backups
from support.strace import CHANGES, Traced, needs_strace

pytestmark = [pytest.mark.heavy, needs_strace]
LONG = bool(os.environ.get("TELEMETRY_TESTS_LONG"))
Seen = Callable[[str, object], None]


def _killed(
    telemetry: Telemetry,
    argv: tuple[str, ...],
    every: int,
    offset: int,
    facts: Callable[[bool], list[Fact]],
    check: Callable[[], str],
    record_property: Seen,
) -> list[str]:
    """Kill a command at every few of its calls, each time over the same beginning. Returns what was wrong after the next command."""
    traced, beginning = Traced(telemetry), telemetry.home / "beginning"
    shutil.copytree(telemetry.base, beginning)
    points = traced.points(argv, paths=False, calls=CHANGES)
    assert len(points) > 10
    found, codes, tried = [], set(), 0
    for call, n in points if LONG else points[offset % every :: every]:
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        ran = traced(
            argv, "-e", f"inject={call}:signal=SIGKILL:when={n}", paths=False, calls=CHANGES
        )
        codes.add(ran.code)
        wrong = check() or wrong_after(telemetry.base, facts(ran.code == 0))
        if wrong:
            found.append(f"{call} {n} of {argv} (exit {ran.code}): {wrong}")
        tried += 1
    assert -9 in codes, "no injection ever killed anything"
    record_property("seen", f"{tried} kills at {len(points)} calls, {len(found)} losses")
    return found


@pytest.fixture(autouse=True)
def _no_config(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(telemetry.home))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_migration_killed_is_old_or_new(
    telemetry: Telemetry, version: int, record_property: Seen
) -> None:
    legacy_database.make(telemetry.database, version)
    counts: list[Fact] = [
        ("SELECT count(*) FROM agent_runs WHERE op_id = 'legacy'", (3,)),
        ("SELECT count(*) FROM run_events", (4,)),
        ('SELECT count(*) FROM legacy_values', (6,)),
    ]  # fmt: skip

    def between() -> str:
        """What the file holds before anybody repairs it, as SQLite reads it: the one or the other."""
        copy = telemetry.home / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(telemetry.database.parent, copy)
        db = sqlite3.connect(copy / telemetry.database.name)
        try:
            tables = {
                name
                for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            }
            user_version, runs = (
                db.execute("PRAGMA user_version").fetchone()[0],
                db.execute("SELECT count(*) FROM agent_runs").fetchone()[0],
            )
        finally:
            db.close()
        is_old = (
            "commits" in tables and "run_commits" not in tables and user_version == 0 and runs == 3
        )
        is_new = (
            "commits" not in tables
            and "run_commits" in tables
            and user_version > 7
            and runs in (3, 4)
        )
        return "" if is_old or is_new else f"between: {tables}, version {user_version}, {runs} runs"

    argv = (*START, "--event-id", "mine")

    def facts(acknowledged: bool) -> list[Fact]:
        return [
            *counts,
            (
                "SELECT count(*) FROM agent_runs WHERE event_id = 'mine'",
                (1,) if acknowledged else (0, 1),
            ),
        ]

    assert _killed(telemetry, argv, 7, version, facts, between, record_property) == []


@pytest.mark.parametrize(
    "command", ["backup", "restore", "rebuild", "vacuum", "drain", "prune", "reap"]
)
def test_a_command_killed_loses_nothing(
    telemetry: Telemetry, command: str, record_property: Seen
) -> None:
    work = UPKEEP[command]
    work.prepare(telemetry)
    assert (
        _killed(
            telemetry,
            work.argv,
            3,
            0,
            work.facts,
            lambda: wrong_backups(telemetry.base),
            record_property,
        )
        == []
    )
    telemetry("db", "backup")
    left = [
        path.name
        for path in (telemetry.base / "backups").iterdir()
        if path.name.startswith(".partial")
    ]
    assert left == [], "what a killed maker left is taken away by the next"


def test_backups_under_writers(telemetry: Telemetry) -> None:
    """20 backups while four writers write: each is whole, and restoring the first brings back all that was written since."""
    first = telemetry.start()
    writers = [
        telemetry.popen("run", "start", *NAMED, "--event-id", f"w{writer}-0", "--no-git", stdout=-3, stderr=-3) for writer in range(4)
    ]  # fmt: skip
    names = [first, *(f"w{writer}-0" for writer in range(4))]
    made: list[Path] = []
    for number in range(1, 21):
        made.append(Path(telemetry("db", "backup").line))
        for writer in writers:
            assert writer.wait(60) == 0
        writers = [
            telemetry.popen(
                "run",
                "start",
                *NAMED,
                "--event-id",
                f"w{writer}-{number}",
                "--no-git",
                stdout=-3,
                stderr=-3,
            )
            for writer in range(4)
        ]
        names += [f"w{writer}-{number}" for writer in range(4)]
    for writer in writers:
        assert writer.wait(60) == 0
    for path in made:
        db = sqlite3.connect(path)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
    telemetry("db", "restore", str(made[0]))
    assert sorted(telemetry("query", "-o", "ids", "--limit", "0").out.split()) == sorted(names)
