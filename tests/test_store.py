"""What a read says of records that it cannot contain, and `db rebuild`."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from support import Telemetry
from support.storage import FLOCKED, held, ids


def test_a_run_that_is_not_found_may_be_waiting(telemetry: Telemetry) -> None:
    telemetry.start()
    with held(FLOCKED, telemetry.database.with_name("telemetry.sqlite.lock")):
        event_id = telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "0"})
        for command in (("run", "show"), ("run", "events"), ("commit-url",), ("commits",)):
            ran = telemetry(*command, event_id, env={"TELEMETRY_LOCK_TIMEOUT": "0"}, code=3)
            assert f"Run not found: {event_id}" in ran.err
            assert "1 record waits to be applied" in ran.err
    assert telemetry.run(event_id)["event_id"] == event_id


def test_before_the_first_drain_there_is_nothing_and_it_says_so(telemetry: Telemetry) -> None:
    telemetry.database.parent.mkdir(parents=True, mode=0o700)
    with held(FLOCKED, telemetry.database.with_name("telemetry.sqlite.lock")):
        event_id = telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "0"})
        assert (
            "1 record waits"
            in telemetry("run", "show", event_id, env={"TELEMETRY_LOCK_TIMEOUT": "0"}, code=3).err
        )
        assert "1 record waits" in telemetry("query", env={"TELEMETRY_LOCK_TIMEOUT": "0"}).err


def test_a_journal_that_was_deleted_is_not_passed_over_in_silence(telemetry: Telemetry) -> None:
    telemetry.start()
    shutil.rmtree(telemetry.raw)
    telemetry.start()
    assert "1 record waits to be applied" in telemetry("query").err
    assert telemetry("db", "drain", "--json", code=1).json == {
        "applied": 0,
        "waiting": 1,
        "damaged": 0,
    }


def test_rebuild_makes_a_damaged_database_again_and_keeps_the_old_one(telemetry: Telemetry) -> None:
    ids = [telemetry.start() for _ in range(3)]
    telemetry("run", "end", ids[0], "-m", "size=1")
    before = telemetry("query", "-o", "json").json
    damaged = b"no database at all" * 500
    telemetry.database.write_bytes(damaged)
    assert "telemetry db rebuild" in telemetry.start_ran().err
    ran = telemetry("db", "rebuild", "--json")
    after = telemetry("query", "-o", "json").json
    assert after[1:] == before
    assert telemetry.database.parent.joinpath(ran.json["aside"]).read_bytes() == damaged


def test_rebuild_of_a_missing_database(telemetry: Telemetry) -> None:
    event_id = telemetry.start()
    telemetry.database.unlink()
    ran = telemetry("db", "rebuild", "--json")
    assert ran.json == {
        "db_path": str(telemetry.database),
        "from": "the journal from its beginning",
        "aside": None,
        "damaged": 0,
    }
    assert telemetry("query", "-o", "ids").line == event_id


def test_rebuild_without_the_old_journal_begins_with_the_database_that_was_there(
    telemetry: Telemetry,
) -> None:
    first = telemetry.start()
    shutil.rmtree(telemetry.raw)
    second = telemetry.start()
    content = telemetry.database.read_bytes()
    for _ in range(2):
        ran = telemetry("db", "rebuild", "--json")
        assert ids(telemetry) == sorted([first, second])
        assert "the adopted database" in ran.json["from"]
        if content:
            assert Path(ran.json["aside"]).read_bytes() == content
        content = b""


def test_rebuild_does_not_touch_a_database_whose_journal_is_not_whole(telemetry: Telemetry) -> None:
    telemetry.start()
    (telemetry.raw / "ops_29990101.ndjson").touch()
    telemetry.start()
    min(telemetry.raw.glob("ops_*")).unlink()
    content = telemetry.database.read_bytes()
    assert "does not go back to its beginning" in telemetry("db", "rebuild", code=1).err
    assert telemetry.database.read_bytes() == content
    assert sorted(path.name for path in telemetry.database.parent.iterdir()) == [
        "telemetry.sqlite",
        "telemetry.sqlite.lock",
    ]


def test_rebuild_without_a_journal_makes_nothing(telemetry: Telemetry) -> None:
    assert "no journal" in telemetry("db", "rebuild", code=1).err
    assert not telemetry.base.exists()


def test_a_rebuild_that_fails_leaves_nothing_behind(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.append("run.teleport", "2026-01-01T00:00:00.000Z")
    content = telemetry.database.read_bytes()
    assert "run.teleport" in telemetry("db", "rebuild", code=1).err
    assert telemetry.database.read_bytes() == content
    assert sorted(path.name for path in telemetry.database.parent.iterdir()) == [
        "telemetry.sqlite",
        "telemetry.sqlite.lock",
    ]


@pytest.mark.parametrize(
    "argv",
    [("query", "--json"), ("status", "--json"), ("stats", "--json"), ("export", "--to", "-")],
)
def test_a_database_whose_first_write_was_killed_is_none(
    argv: tuple[str, ...], telemetry: Telemetry
) -> None:
    """Rolled back it has a page, and no table and no version."""
    telemetry.database.parent.mkdir(parents=True, mode=0o700)
    telemetry.base.chmod(0o700)
    db = sqlite3.connect(telemetry.database)
    db.executescript("CREATE TABLE t (x); DROP TABLE t;")
    db.close()
    telemetry.database.chmod(0o600)
    assert telemetry.database.stat().st_size
    telemetry(*argv)
    telemetry.start("--event-id", "E1")
    assert telemetry("query", "--count").line == "1"
