"""The schema: the dump that is checked in, STRICT everywhere, and rules that raw SQL cannot break either."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import pytest

from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database.migrate import apply_schema

AT = "2026-01-02T03:04:05.678Z"
DUMP = Path(__file__).with_name("schema.sql")
RUN = {
    "event_id": "e",
    "run_id": "r",
    "schema_version": 8,
    "op_id": "o",
    "created_at": AT,
    "updated_at": AT,
    "start_time": AT,
}
RUN |= {"agent_name": "a", "job_type": "j", "status": "running"}
EVENT = {"event_id": "there", "run_id": "r", "event_type": "step", "timestamp": AT, "op_id": "o"}
COMMIT = {
    "event_id": "there",
    "commit_hash": "abcdef1",
    "role": "produced",
    "source": "ci",
    "associated_at": AT,
    "op_id": "o",
}


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A fresh database with one run, `there`."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    apply_schema(db, AT)
    _insert(db, "agent_runs", RUN | {"event_id": "there"})
    yield db
    db.close()


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, object]) -> None:
    db.execute(
        f"INSERT INTO {table} ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
        tuple(row.values()),
    )


def _tables(db: sqlite3.Connection) -> list[str]:
    return [
        name
        for (name,) in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'runs_search%' ORDER BY name"
        )
    ]


def test_a_fresh_database_has_the_schema_that_is_checked_in(db: sqlite3.Connection) -> None:
    """After a change on purpose, put the left side of the failing comparison into schema.sql."""
    found = "".join(
        f"{sql};\n"
        for (sql,) in db.execute(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name"
        )
    )
    assert found == DUMP.read_text()


def test_every_table_is_strict(db: sqlite3.Connection) -> None:
    strict = {
        name: strict
        for _, name, _, _, _, strict in db.execute("PRAGMA table_list")
        if not name.startswith(("sqlite_", "runs_search"))
    }
    assert strict == dict.fromkeys(_tables(db), 1)


def test_the_version_stands_in_both_places(db: sqlite3.Connection) -> None:
    assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert db.execute("SELECT max(version), applied_at FROM schema_migrations").fetchone() == (
        SCHEMA_VERSION,
        AT,
    )


def test_every_index_says_which_query_needs_it() -> None:
    script = "".join(
        sorted(
            file.read_text()
            for file in files("telemetry_cli.database").joinpath("schema").iterdir()
            if file.name.endswith(".sql")
        )
    )
    before = re.findall(r"^(.*)\nCREATE (?:UNIQUE )?INDEX (\w+)", script, re.MULTILINE)
    assert before
    group_starts = [
        name for comment, name in before if not comment.startswith(("--", "CREATE INDEX"))
    ]
    assert group_starts == []


def test_every_foreign_key_has_an_index_to_look_it_up_by(db: sqlite3.Connection) -> None:
    for table in _tables(db):
        indexed = {
            db.execute(f"PRAGMA index_info({name})").fetchone()[2]
            for _, name, *_ in db.execute(f"PRAGMA index_list({table})").fetchall()
        }
        # The first column of each; the further ones of a composite key are found beside it.
        keys = {
            key[3]
            for key in db.execute(f"PRAGMA foreign_key_list({table})").fetchall()
            if key[1] == 0
        }
        assert keys <= indexed, table


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"end_time": AT},
        {"error_details": "é" * 32768},
        {"git_commit_hash": "a" * 64},
        {"parent_run_id": "not there"},
        {"event_id": "x" * 200},
    ],
)
def test_rows_that_keep_the_rules(db: sqlite3.Connection, row: dict[str, object]) -> None:
    _insert(db, "agent_runs", RUN | row)
    assert db.execute(
        "SELECT items_failed, duration_ms, metrics_json FROM agent_runs WHERE op_id = 'o'"
    ).fetchone() == (0, 0, "{}")


BROKEN_RUNS: list[dict[str, object]] = [
    {"event_id": "there"}, {"event_id": ""}, {"event_id": None}, {"event_id": "x" * 201}, {"run_id": ""}, {"run_id": "x" * 256}, {"run_id": None},
    {"status": "failed"}, {"status": "Success"}, {"status": None}, {"agent_name": ""}, {"agent_name": "x" * 201}, {"agent_name": None}, {"job_type": ""},
    {"created_at": "2026-01-02"}, {"created_at": "2026-01-02T03:04:05Z"}, {"created_at": "2026-01-02T03:04:05.678+00:00"}, {"created_at": None},
    {"updated_at": "2026-01-02T03:04:05.677Z"}, {"start_time": "now"}, {"start_time": None}, {"end_time": "2026-01-02T03:04:05.677Z"}, {"end_time": "later"},
    {"items_failed": -1}, {"items_failed": None}, {"items_failed": "many"}, {"items_failed": 1.5}, {"duration_ms": -1}, {"items_skipped": b"1"},
    {"git_commit_hash": "abcdef"}, {"git_commit_hash": "ABCDEF1"}, {"git_commit_hash": "a" * 41}, {"git_commit_hash": "abcdefg"}, {"git_commit_source": "me"},
    {"git_commit_timestamp": "2026-01-02 03:04:05"}, {"metrics_json": "[]"}, {"metrics_json": None}, {"context_json": "x"}, {"error_details": "é" * 32769},
    {"product": b"bytes"}, {"pid": "x"}, {"op_id": None}, {"updated_at": "zzz"}, {"updated_at": "2026-13-99"},
]  # fmt: skip


@pytest.mark.parametrize("row", BROKEN_RUNS, ids=str)
def test_runs_that_break_a_rule_are_refused(db: sqlite3.Connection, row: dict[str, object]) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        _insert(db, "agent_runs", RUN | row)


@pytest.mark.parametrize(
    "row",
    [
        {"event_id": "nobody"},
        {"event_type": ""},
        {"event_type": "x" * 201},
        {"timestamp": "now"},
        {"timestamp": None},
        {"op_id": None},
    ],
    ids=str,
)
def test_events_that_break_a_rule_are_refused(
    db: sqlite3.Connection, row: dict[str, object]
) -> None:
    _insert(db, "run_events", EVENT)
    with pytest.raises(sqlite3.IntegrityError):
        _insert(db, "run_events", EVENT | row)


BROKEN_COMMITS: list[dict[str, object]] = [
    {"event_id": "nobody"}, {"event_id": None}, {"commit_hash": "HEAD"}, {"commit_hash": None}, {"role": "made"}, {"source": "me"}, {"timestamp": "now"},
    {"associated_at": None}, {"associated_at": "now"},
]  # fmt: skip


@pytest.mark.parametrize("row", BROKEN_COMMITS, ids=str)
def test_associations_that_break_a_rule_are_refused(
    db: sqlite3.Connection, row: dict[str, object]
) -> None:
    _insert(db, "run_commits", COMMIT)
    with pytest.raises(sqlite3.IntegrityError):
        _insert(db, "run_commits", COMMIT | row)


def test_there_is_one_cursor(db: sqlite3.Connection) -> None:
    cursor = {"only_row": 1, "journal_id": "j", "segment": "s", "offset": 0, "crc": "c"}
    _insert(db, "journal_cursor", cursor)
    for broken in (cursor, cursor | {"only_row": 2}, cursor | {"offset": -1}):
        with pytest.raises(sqlite3.IntegrityError):
            _insert(db, "journal_cursor", broken)


def test_a_run_with_events_cannot_be_deleted_from_under_them(db: sqlite3.Connection) -> None:
    _insert(db, "run_events", EVENT)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("DELETE FROM agent_runs")
