"""A database that is locked, missing, damaged or newer: writes are buffered and lost never, its bytes are left alone."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Telemetry
from support.storage import (
    EXCLUSIVE,
    FLOCKED,
    NAMED,
    READING,
    START,
    append,
    assert_sound,
    create,
    held,
    ids,
    make_newer,
    operation,
    waiting,
)

from telemetry_cli.journal.segments import encode

SHORT = {"TELEMETRY_LOCK_TIMEOUT": "0.3"}


def _buffered_start(telemetry: Telemetry, **env: str) -> str:
    ran = telemetry(*START, "-o", "json", env=SHORT | env)
    assert ran.json["status"] == "buffered", ran
    assert "buffered" in ran.err
    return str(ran.json["event_id"])


# Locked


@pytest.mark.parametrize("lock", [EXCLUSIVE, READING], ids=["exclusive", "reader"])
def test_a_locked_database_does_not_hold_a_write_up(telemetry: Telemetry, lock: str) -> None:
    first = telemetry.start()
    with held(lock, telemetry.database):
        second = _buffered_start(telemetry)
    assert ids(telemetry) == sorted([first, second])


def test_a_held_writer_lock_does_not_hold_a_write_up(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with held(FLOCKED, Path(f"{telemetry.database}.lock")):
        ran, slept = telemetry.sleep_in(*START, "-o", "json", env=SHORT)
    assert ran.json["status"] == "buffered"
    assert slept == pytest.approx(0.3)
    assert ids(telemetry) == sorted([first, ran.json["event_id"]])


def test_one_deadline_covers_every_lock_that_a_write_waits_for(telemetry: Telemetry) -> None:
    """A database that lets nobody commit, after a wait for raw/.lock: the two waits are one."""
    telemetry.start()
    with (
        held(READING, telemetry.database),
        held(FLOCKED, Path(f"{telemetry.database}.lock")),
        held(FLOCKED, telemetry.raw / ".lock"),
    ):
        _, slept = telemetry.sleep_in(*START, env={"TELEMETRY_LOCK_TIMEOUT": "0.6"})
    assert slept == pytest.approx(0.6)


def test_a_held_journal_lock_sends_records_to_the_buffer(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with held(FLOCKED, telemetry.raw / ".lock"):
        ran, slept = telemetry.sleep_in(*START, "-o", "json", env=SHORT)
        assert ran.json["status"] == "buffered"
        assert slept == pytest.approx(0.3)
        assert len(waiting(telemetry)) == 1
    third = telemetry.start()
    assert waiting(telemetry) == []
    assert ids(telemetry) == sorted([first, ran.json["event_id"], third])


def test_a_buffered_record_is_brought_in_by_a_read(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with held(FLOCKED, telemetry.raw / ".lock"):
        second = _buffered_start(telemetry)
        assert ids_while_locked(telemetry) == [first]
    assert ids(telemetry) == sorted([first, second])
    assert waiting(telemetry) == []


def ids_while_locked(telemetry: Telemetry) -> list[str]:
    """What a read answers from while it cannot drain, saying on stderr what waits."""
    ran = telemetry("query", "-o", "ids", env=SHORT)
    assert "1 record waits" in ran.err
    return ran.out.split()


@pytest.mark.parametrize("lock", ["raw/.lock", "db/telemetry.sqlite.lock"])
def test_a_buffered_start_and_end_arrive_in_order(telemetry: Telemetry, lock: str) -> None:
    telemetry.start()
    with held(FLOCKED, telemetry.base / lock):
        run = _buffered_start(telemetry)
        for argv in (
            ("run", "event", "step", "--run", run),
            ("run", "end", run, "--status", "failed"),
            ("associate-commit", run, "--commit", "abcdef1", "--no-git"),
        ):
            assert telemetry(*argv, "-o", "json", env=SHORT).json["status"] == "buffered"
    shown = telemetry.run(run)
    assert (shown["status"], shown["git_commit_hash"], len(shown["events"])) == (
        "failure",
        "abcdef1",
        1,
    )
    assert telemetry.sql("SELECT * FROM rejected_ops") == []


def test_a_long_backlog_does_not_hold_a_write_up(telemetry: Telemetry) -> None:
    telemetry.start()
    append(telemetry, *(create(number, f"backlog-{number}") for number in range(20_000)))
    mine = _buffered_start(telemetry, TELEMETRY_LOCK_TIMEOUT="60")
    assert telemetry.sql("SELECT count(*) FROM agent_runs")[0][0] < 20_000
    telemetry("db", "drain")
    assert telemetry.sql("SELECT count(*) FROM agent_runs") == [(20_002,)]
    assert mine in ids(telemetry)


# Missing


def test_a_deleted_database_is_made_again_by_the_next_write(telemetry: Telemetry) -> None:
    written = [telemetry.start(), telemetry.start()]
    telemetry("run", "end", written[0])
    telemetry.database.unlink()
    written.append(telemetry.start())
    assert ids(telemetry) == sorted(written)
    assert telemetry.run(written[0])["status"] == "success"
    assert_sound(telemetry)


def test_a_deleted_database_is_made_again_by_the_next_read(telemetry: Telemetry) -> None:
    run = telemetry.start()
    shutil.rmtree(telemetry.database.parent)
    assert ids(telemetry) == [run]


def test_an_older_copy_of_the_database_catches_up(telemetry: Telemetry) -> None:
    written = [telemetry.start()]
    shutil.copy(telemetry.database, copy := telemetry.home / "copy")
    written += [telemetry.start(), telemetry.start()]
    telemetry("run", "end", written[0])
    shutil.copy(copy, telemetry.database)
    written.append(telemetry.start())
    assert ids(telemetry) == sorted(written)
    assert telemetry.run(written[0])["status"] == "success"


def test_an_empty_file_is_a_first_run_that_was_killed(telemetry: Telemetry) -> None:
    run = telemetry.start()
    telemetry.database.write_bytes(b"")
    assert ids(telemetry) == [run]


def test_a_database_is_not_made_again_where_the_journal_does_not_go_back_to_the_beginning(
    telemetry: Telemetry,
) -> None:
    telemetry.start()
    later = telemetry.raw / "ops_29990101.ndjson"
    later.touch()
    telemetry.start()
    min(telemetry.raw.glob("ops_*")).unlink()
    telemetry.database.unlink()
    ran = telemetry(*START)
    assert "buffered" in ran.err
    assert "db rebuild" in ran.err
    assert not telemetry.database.exists()


# Damaged


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _text(path: Path) -> None:
    path.write_text("this is no database\n" * 400)


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _first_page(path: Path) -> None:
    os.truncate(path, 4096)


def _stump(path: Path) -> None:
    os.truncate(path, 50)


def _pages(path: Path) -> None:
    with path.open("r+b") as file:
        for offset in range(4096, path.stat().st_size, 4096):
            file.seek(offset)
            file.write(os.urandom(200))


def _no_tables(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 8")
    db.close()


DAMAGE = [_garbage, _text, _half, _first_page, _stump, _pages, _no_tables]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_database_is_left_alone_and_nothing_is_lost(
    telemetry: Telemetry, damage: Callable[[Path], None]
) -> None:
    written = [telemetry.start() for _ in range(3)]
    damage(telemetry.database)
    before = telemetry.database.read_bytes()
    written.append(_buffered_start(telemetry))
    ran = telemetry("query", "-o", "ids", code=None)
    assert ran.code not in (0, 70), ran
    assert "telemetry db rebuild" in ran.err
    assert telemetry.database.read_bytes() == before
    telemetry.database.unlink()
    assert ids(telemetry) == sorted(written)


def test_a_folder_in_place_of_the_database_is_left_alone(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.database.unlink()
    telemetry.database.mkdir()
    assert telemetry(*START, code=None).code in (0, 6)
    assert list(telemetry.database.iterdir()) == []


# Newer


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_newer_database_is_left_alone(telemetry: Telemetry, mode: str) -> None:
    telemetry.start()
    db = sqlite3.connect(telemetry.database)
    db.execute(f"PRAGMA journal_mode = {mode}")
    make_newer(db)
    db.close()
    before = telemetry.database.read_bytes()
    _buffered_start(telemetry)
    telemetry("query", code=2)
    telemetry("run", "show", "@last", code=2)
    assert telemetry.database.read_bytes() == before


@pytest.mark.parametrize("by", ["rebuild", "restore"])
def test_a_newer_database_is_not_replaced(telemetry: Telemetry, by: str) -> None:
    telemetry.start()
    backup = telemetry("db", "backup").line
    db = sqlite3.connect(telemetry.database)
    make_newer(db)
    db.close()
    before = telemetry.database.read_bytes()
    assert (
        "Upgrade telemetry."
        in telemetry("db", by, *([backup] if by == "restore" else []), code=2).err
    )
    assert telemetry.database.read_bytes() == before
    assert sorted(path.name for path in telemetry.database.parent.iterdir()) == [
        "telemetry.sqlite",
        "telemetry.sqlite.lock",
    ]


def test_another_programs_database_is_left_alone(telemetry: Telemetry) -> None:
    telemetry.database.parent.mkdir(parents=True, mode=0o700)
    db = sqlite3.connect(telemetry.database)
    db.execute("CREATE TABLE theirs (value TEXT)")
    db.close()
    before = telemetry.database.read_bytes()
    _buffered_start(telemetry)
    assert telemetry("query", code=None).code not in (0, 70)
    assert telemetry.database.read_bytes() == before


@pytest.mark.parametrize("changed", [{"v": 2}, {"op": "run.teleport"}], ids=["version", "kind"])
def test_an_operation_of_the_future_stops_the_drain_and_nothing_is_lost(
    telemetry: Telemetry, changed: dict[str, object]
) -> None:
    first = telemetry.start()
    future = encode(operation("run.create", 1, event_id="future") | changed)
    append(telemetry, create(2, "before"), future, create(3, "behind"))
    mine = _buffered_start(telemetry)
    ran = telemetry("query", "-o", "ids")
    assert sorted(ran.out.split()) == sorted([first, "before"])
    assert "3 records wait" in ran.err
    telemetry("run", "end", first, "-o", "json", env=SHORT)
    assert telemetry.sql("SELECT status FROM agent_runs WHERE event_id = ?", first) == [
        ("running",)
    ]
    assert telemetry.sql("SELECT * FROM rejected_ops") == []
    journal = max(telemetry.raw.glob("ops_*")).read_bytes()
    assert all(said in journal for said in (future, b'"behind"', mine.encode(), b'"run.end"'))


def test_never_fail_makes_no_difference_to_what_is_kept(telemetry: Telemetry) -> None:
    telemetry.start()
    with held(EXCLUSIVE, telemetry.database):
        ran = telemetry("run", "start", *NAMED, env=SHORT | {"TELEMETRY_NEVER_FAIL": "1"})
    assert ran.line in ids(telemetry)
