"""`db rebuild` and `db restore` cut off, in the way of others, or over a journal that has lost what was applied: nothing acknowledged is lost."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Telemetry
from support.storage import EXCLUSIVE, READING, START, assert_sound, flip, held, ids, journal_lines
from support.strace import Traced, needs_strace

IMMEDIATE = EXCLUSIVE.replace("EXCLUSIVE", "IMMEDIATE")
SHORT = {"TELEMETRY_LOCK_TIMEOUT": "0.4"}
BY = pytest.mark.parametrize("by", ["rebuild", "restore"])


def _argv(telemetry: Telemetry, by: str) -> tuple[str, ...]:
    return ("db", by, *([str(telemetry.home / "saved.sqlite")] if by == "restore" else []))


def _three_runs(telemetry: Telemetry) -> list[str]:
    """Three runs, a backup that was made before the second, and a bit flipped in the second one's line after it was applied."""
    runs = [telemetry(*START).line]
    telemetry("db", "backup", str(telemetry.home / "saved.sqlite"))
    runs += [telemetry(*START).line, telemetry(*START).line]
    flip(
        telemetry.raw / max(telemetry.raw.glob("ops_*")).name,
        sum(map(len, journal_lines(telemetry)[:2])) + 40,
        2,
    )
    return runs


def _beside(telemetry: Telemetry) -> list[str]:
    """What lies in the folder of the database beside it and its lock."""
    return sorted(
        path.name
        for path in telemetry.database.parent.iterdir()
        if path.name not in ("telemetry.sqlite", "telemetry.sqlite.lock")
    )


# Cut off


@needs_strace
@pytest.mark.parametrize("fault", ["signal=SIGKILL", "error=EIO"])
@BY
def test_at_every_rename_a_database_stands_at_the_path(
    telemetry: Telemetry, by: str, fault: str
) -> None:
    runs = _three_runs(telemetry)
    argv, beginning, codes = _argv(telemetry, by), telemetry.home / "beginning", set()
    shutil.copytree(telemetry.base, beginning)
    traced = Traced(telemetry)
    points = traced.points(argv, paths=False, calls=("rename",))
    assert points
    for _, n in points:
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        before = telemetry.database.read_bytes()
        ran = traced(argv, "-e", f"inject=rename:{fault}:when={n}", paths=False, calls=("rename",))
        codes.add(ran.code)
        assert telemetry.database.is_file(), f"rename {n}: no database is left"
        if ran.code == 75:
            assert (telemetry.database.read_bytes(), _beside(telemetry)) == (before, []), (
                f"rename {n}: something has changed"
            )
        if by == "rebuild" or ran.code:
            next_run = telemetry(*START).line
            assert ids(telemetry) == sorted([*runs, next_run]), f"rename {n}"
    assert codes & ({-9, 137} if "KILL" in fault else {75}), codes


@needs_strace
@BY
def test_a_killed_one_leaves_nothing_for_ever(telemetry: Telemetry, by: str) -> None:
    """Doctor names what lies there, and the next takes it away."""
    runs = _three_runs(telemetry)
    argv, traced = _argv(telemetry, by), Traced(telemetry)
    flushes = traced.points(argv, paths=False, calls=("fsync",))
    for path in telemetry.database.parent.glob("*.aside-*"):
        path.unlink()
    traced(
        argv,
        "-e",
        f"inject=fsync:signal=SIGTERM:when={flushes[-3][1]}",
        paths=False,
        calls=("fsync",),
    )
    left = _beside(telemetry)
    assert [name for name in left if name.startswith(f"telemetry.sqlite.{by[:7]}")], left
    named = [
        Path(row["where"]).name
        for row in telemetry("doctor", "-o", "json", code=1).json
        if "cut off" in row["what"]
    ]
    assert sorted(named) == left
    telemetry("db", "rebuild")
    assert [name for name in _beside(telemetry) if ".aside-" not in name] == []
    assert "cut off" not in telemetry("doctor", code=1).out
    assert set(runs if by == "rebuild" else [runs[0], runs[2]]) <= set(ids(telemetry))


def test_what_was_put_aside_counts_where_the_database_is_missing(telemetry: Telemetry) -> None:
    """Whoever would make a fresh one leaves that to a rebuild; doctor names what lies there."""
    runs = _three_runs(telemetry)
    aside = telemetry.database.rename(f"{telemetry.database}.aside-019a00000000")
    written = telemetry(*START)
    assert "buffered" in written.err
    assert "db rebuild" in written.err
    assert not telemetry.database.exists()
    found = telemetry("doctor", "-o", "json", code=1).json
    assert [row["todo"] for row in found if row["where"] == str(aside)] == ["telemetry db rebuild"]
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted([*runs, written.line])


def test_what_was_put_aside_counts_where_the_database_is_damaged(telemetry: Telemetry) -> None:
    runs = _three_runs(telemetry)
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted(runs)
    telemetry.database.write_bytes(b"no database\n" * 900)
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted(runs)


@pytest.mark.parametrize("is_missing", [False, True], ids=["damaged", "missing"])
def test_a_hot_journal_never_meets_another_database(telemetry: Telemetry, is_missing: bool) -> None:
    runs = [telemetry(*START).line, telemetry(*START).line]
    journal = Path(f"{telemetry.database}-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(2000))
    telemetry.database.unlink() if is_missing else telemetry.database.write_bytes(
        b"no database\n" * 900
    )
    assert bool(telemetry("db", "rebuild", "--json").json["aside"]) is not is_missing
    assert not journal.exists()
    assert ids(telemetry) == sorted(runs)
    assert_sound(telemetry)


# In the way of others


@pytest.mark.parametrize(
    "lock", [EXCLUSIVE, IMMEDIATE, READING], ids=["exclusive", "immediate", "reader"]
)
@BY
def test_a_database_that_is_in_use_is_not_replaced(
    telemetry: Telemetry, by: str, lock: str
) -> None:
    runs = _three_runs(telemetry)
    before = telemetry.database.stat().st_ino
    with held(lock, telemetry.database):
        begun = time.monotonic()
        refused = telemetry(*_argv(telemetry, by), env=SHORT, code=1)
        assert time.monotonic() - begun >= 0.4
    assert "locked by another process" in refused.err
    assert telemetry.database.stat().st_ino == before
    assert _beside(telemetry) == []
    assert ids(telemetry) == sorted(runs)


def test_a_rebuild_waits_for_a_transaction_and_sees_what_it_did(telemetry: Telemetry) -> None:
    runs = _three_runs(telemetry)
    db = sqlite3.connect(telemetry.database, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    rebuilding = telemetry.popen("db", "rebuild", stdout=-3, stderr=-3)
    with pytest.raises(Exception, match="timed out"):
        rebuilding.wait(1)
    db.execute("ROLLBACK")
    db.close()
    assert rebuilding.wait(60) == 0
    assert ids(telemetry) == sorted(runs)


# Lines that were applied, and are gone


def _journal(telemetry: Telemetry, *lines: bytes) -> None:
    max(telemetry.raw.glob("ops_*")).write_bytes(b"".join(lines))


def _without(number: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [line for index, line in enumerate(lines) if index != number % len(lines)]


def _blanked(blank: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [*lines[:2], blank * (len(lines[2]) - 1) + b"\n", *lines[3:]]


GONE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "last": _without(-1),
    "last-two": lambda lines: lines[:-2],
    "all-but-the-header": lambda lines: lines[:1],
    "middle": _without(2),
    "half-of-the-last": lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]],
    "last-newline": lambda lines: [*lines[:-1], lines[-1][:-1]],
    "blanks": _blanked(b" "),
    "newlines": _blanked(b"\n"),
    "last-blank": lambda lines: [*lines[:-1], b" " * (len(lines[-1]) - 1) + b"\n"],
}


@pytest.mark.parametrize("writes_between", [False, True], ids=["at-once", "after-a-write"])
@pytest.mark.parametrize("gone", GONE)
def test_what_the_journal_has_lost_stays(
    telemetry: Telemetry, gone: str, writes_between: bool
) -> None:
    """In this rebuild and every later one, with what was recorded since; the loss is counted, and doctor goes on saying so."""
    runs = [telemetry.start() for _ in range(3)]
    telemetry("run", "end", runs[2])
    _journal(telemetry, *GONE[gone](journal_lines(telemetry)))
    if writes_between:
        runs.append(telemetry(*START).line)
    before = telemetry.sql("SELECT event_id, status FROM agent_runs ORDER BY event_id")
    # A line of which only the newline is gone can still be read, once the next one has been written.
    is_whole = gone == "last-newline" and writes_between
    for again in range(2):
        made = telemetry("db", "rebuild", "--json").json
        assert bool(made["damaged"]) is not is_whole, again
        assert set(before) <= set(telemetry.sql("SELECT event_id, status FROM agent_runs"))
        runs.append(telemetry(*START).line)
        assert ids(telemetry) == sorted(runs)
        is_whole = gone == "last-newline"
        found = telemetry("doctor", "-o", "json", code=int(not is_whole)).json
        assert not [row for row in found if "db rebuild" in row["todo"]], found
    assert telemetry.run(runs[2])["status"] == "success"
    assert_sound(telemetry)


def test_what_the_journal_has_lost_is_found_in_a_backup_too(telemetry: Telemetry) -> None:
    runs = [telemetry.start(), telemetry.start()]
    telemetry("db", "backup")
    _journal(telemetry, *journal_lines(telemetry)[:-1])
    runs.append(telemetry(*START).line)
    telemetry.database.unlink()
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted(runs)


def test_a_backup_of_what_the_journal_has_lost_can_be_restored(telemetry: Telemetry) -> None:
    runs = [telemetry.start(), telemetry.start()]
    telemetry("db", "backup", str(telemetry.home / "saved.sqlite"))
    _journal(telemetry, *journal_lines(telemetry)[:-1])
    runs.append(telemetry(*START).line)
    telemetry.database.unlink()
    telemetry("db", "restore", str(telemetry.home / "saved.sqlite"))
    assert ids(telemetry) == sorted(runs)


def test_a_restore_says_what_it_leaves_behind_and_a_rebuild_brings_it_back(
    telemetry: Telemetry,
) -> None:
    runs = _three_runs(telemetry)
    told = telemetry("db", "restore", str(telemetry.home / "saved.sqlite")).err
    assert "only the old database holds: 1;" in told
    runs.append(telemetry(*START).line)
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted(runs)


def test_a_database_of_another_journal_is_not_begun_with(telemetry: Telemetry) -> None:
    other = Telemetry(telemetry.home / "other")
    other.start()
    run = telemetry.start()
    shutil.copy(other.database, telemetry.database)
    telemetry("db", "rebuild")
    assert ids(telemetry) == [run]


# A version that is none


@pytest.mark.parametrize("said", [0, 3, 7, 9, 10, 15, 75, 2**31 - 1])
def test_a_header_that_says_another_version_is_damage(telemetry: Telemetry, said: int) -> None:
    """What the migrations say counts. Writes are buffered, the bytes are left alone, and a rebuild mends it, over a damaged journal too."""
    runs = _three_runs(telemetry)
    telemetry.sql(f"PRAGMA user_version = {said}")
    before = telemetry.database.read_bytes()
    written = telemetry(*START)
    assert "db rebuild" in written.err
    assert telemetry.database.read_bytes() == before
    assert "db rebuild" in telemetry("query", code=1).err
    assert [
        row
        for row in telemetry("doctor", "-o", "json", code=1).json
        if f"its header says {said}" in row["what"] and row["todo"] == "telemetry db rebuild"
    ]
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted([*runs, written.line])


@BY
def test_a_database_whose_header_says_another_version_is_replaced(
    telemetry: Telemetry, by: str
) -> None:
    runs = [telemetry(*START).line]
    telemetry("db", "backup", str(telemetry.home / "saved.sqlite"))
    db = sqlite3.connect(telemetry.home / "saved.sqlite")
    db.execute("PRAGMA user_version = 15")
    db.close()
    telemetry.sql("PRAGMA user_version = 15")
    telemetry(*_argv(telemetry, by))
    assert ids(telemetry) == runs
    assert_sound(telemetry)


@pytest.mark.parametrize("table", ["op_results", "agent_runs", "run_events"])
def test_a_database_without_a_table_is_not_begun_with(telemetry: Telemetry, table: str) -> None:
    runs = [telemetry.start(), telemetry.start()]
    _journal(telemetry, *journal_lines(telemetry)[:-1])
    db = sqlite3.connect(telemetry.database)
    db.executescript(f"PRAGMA foreign_keys = OFF; DROP TABLE {table}")
    db.close()
    telemetry("db", "rebuild")
    assert ids(telemetry) == runs[:1]
    assert_sound(telemetry)
