"""A database of an older telemetry: brought up to date by the first write, and by the first read."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from support import Telemetry
from support.hooks import in_parallel
from support.storage import AT, assert_sound

from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database import migrate

FOLDER = Path(migrate.__file__).parent / "schema"


def make_older(telemetry: Telemetry) -> None:
    """Put a database of version 8 with the same runs, results and cursor in the place of the one that is there."""
    old = telemetry.database.with_name("old.sqlite")
    db = sqlite3.connect(old, isolation_level=None)
    db.executescript((FOLDER / "0008_recorder.sql").read_text())
    db.execute("INSERT INTO schema_migrations VALUES (8, ?, 'recorder')", (AT,))
    db.execute("ATTACH ? AS now", (str(telemetry.database),))
    for table in ("agent_runs", "op_results", "journal_cursor"):
        db.execute(f"INSERT INTO main.{table} SELECT * FROM now.{table}")
    db.execute("PRAGMA user_version = 8")
    db.close()
    shutil.move(old, telemetry.database)


@pytest.fixture
def older(telemetry: Telemetry) -> Telemetry:
    """A base with the run `known`, and a database of version 8."""
    telemetry.start("--event-id", "known", "--no-git")
    make_older(telemetry)
    return telemetry


def schema(telemetry: Telemetry) -> list[tuple[str]]:
    return telemetry.sql("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")


FIRST = [
    ["run", "start", "--agent-name", "a", "--job-type", "j"],
    ["query", "-o", "json"],
    ["hooks", "list"],
    ["status"],
    ["db", "drain"],
]


@pytest.mark.parametrize("argv", FIRST, ids=" ".join)
def test_whatever_comes_first_brings_it_up_to_date(
    older: Telemetry, argv: list[str], tmp_path: Path
) -> None:
    older(*argv)
    assert older.sql("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert [
        row[0] for row in older.sql("SELECT version FROM schema_migrations ORDER BY version")
    ] == [*range(8, SCHEMA_VERSION + 1)]
    assert older.run("known")["agent_name"] == "tester"
    fresh = Telemetry(tmp_path / "fresh")
    fresh.start()
    assert schema(older) == schema(fresh)
    assert_sound(older)


def test_sixteen_openers_at_once(older: Telemetry) -> None:
    argvs = [["query", "-o", "ids"]] * 8 + [
        ["run", "start", "--agent-name", "a", "--job-type", "j"]
    ] * 8
    assert [ran.code for ran in in_parallel(older, argvs)] == [0] * 16
    assert older.sql("SELECT count(*) FROM agent_runs") == [(9,)]
    assert_sound(older)


def test_one_that_may_not_be_written_is_not_read(older: Telemetry) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    older.database.chmod(0o400)
    assert "version 8" in older("query", code=6).err


def test_one_that_cannot_be_written_now_is_not_read(older: Telemetry) -> None:
    db = sqlite3.connect(older.database, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    assert "locked" in older("query", code=1, env={"TELEMETRY_LOCK_TIMEOUT": "0.2"}).err
    db.execute("ROLLBACK")
    db.close()
    assert older("query", "-o", "ids").line == "known"


def test_somebody_elses_database_is_left_alone(telemetry: Telemetry) -> None:
    telemetry.database.parent.mkdir(parents=True)
    db = sqlite3.connect(telemetry.database, isolation_level=None)
    db.execute("CREATE TABLE other (id)")
    db.execute("PRAGMA user_version = 8")
    db.close()
    before = telemetry.database.read_bytes()
    telemetry("query", code=None)
    assert telemetry.start_ran().code == 0
    assert telemetry.database.read_bytes() == before
