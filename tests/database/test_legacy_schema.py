"""Databases of the platform, schema versions 1 to 7: adopted once, whole, without losing a row or a value, or left as they were."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import Telemetry, legacy_database
from support.legacy_database import VERSIONS
from support.storage import EXCLUSIVE, START, assert_sound, held, ids, read_only

from telemetry_cli.core.tables import SCHEMA_VERSION

SHORT = {"TELEMETRY_LOCK_TIMEOUT": "1.5"}


def schema(database: Path) -> list[str]:
    """What `.schema` prints, in the order in which it was made."""
    db = sqlite3.connect(database)
    try:
        return [
            sql
            for (sql,) in db.execute(
                "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
            )
        ]
    finally:
        db.close()


@pytest.fixture
def fresh_schema(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    other = Telemetry(tmp_path_factory.mktemp("fresh"))
    other.start()
    return schema(other.database)


def snapshots(telemetry: Telemetry) -> list[Path]:
    return sorted((telemetry.base / "backups").glob("adopted_*.sqlite"))


def kept(telemetry: Telemetry) -> dict[str, object]:
    return dict(telemetry.sql('SELECT "column", value FROM legacy_values'))


# Every version


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_write_migrates_without_losing_a_value(
    telemetry: Telemetry, version: int, fresh_schema: list[str]
) -> None:
    legacy_database.make(telemetry.database, version)
    mine = telemetry.start()
    assert schema(telemetry.database) == fresh_schema
    runs = {run["run_id"]: run for run in telemetry("query", "-o", "json", "--limit", "0").json}
    assert len(runs) == 4
    assert mine in {run["event_id"] for run in runs.values()}
    for number in (1, 2, 3):
        run, was = runs[f"run-{number}"], legacy_database.row(version, number)
        assert (run["schema_version"], run["status"], run["op_id"]) == (
            version,
            "success",
            "legacy",
        )
        milliseconds = 123 if number == legacy_database.CLIENTS else 0
        assert (run["start_time"], run["end_time"]) == (
            f"2025-03-01T10:00:0{number}.{milliseconds:03}Z",
            "2025-03-01T11:00:00.250Z",
        )
        assert run["duration_ms"] == (
            3600250 - 2123 if number == legacy_database.CLIENTS else was["duration_ms"]
        )
        assert (run["created_at"], run["updated_at"]) == (
            "2025-03-01T10:00:00.000Z",
            "2025-03-01T11:00:01.000Z",
        )
        assert (run["metrics_json"], run["context_json"]) == (
            {"tokens": 12, "cost": 0.5},
            {"a": None, "b": [1]},
        )
        converted = {
            "status",
            "start_time",
            "end_time",
            "created_at",
            "updated_at",
            "duration_ms",
            "metrics_json",
            "context_json",
        }
        if version >= 4:
            assert (run["git_commit_hash"], run["git_commit_source"]) == (
                "abcdef0123456789abcdef0123456789abcdef01",
                "ci",
            )
            assert run["git_commit_timestamp"] == "2025-03-01T07:00:00.000Z"
            converted |= {"git_commit_hash", "git_commit_source", "git_commit_timestamp"}
        same = {name: value for name, value in was.items() if name not in converted}
        assert {name: run[name] for name in same} == same
        assert [event["payload_json"] for event in telemetry.run(run["event_id"])["events"]] == [
            {"n": number}
        ]
        assert f"{number:040x}" in {
            commit["commit_hash"]
            for commit in telemetry("commits", run["event_id"], "-o", "json").json
        }
    assert telemetry.sql(
        "SELECT run_id, payload_json, timestamp FROM run_events WHERE event_id IS NULL"
    ) == [("gone", "[1]", "2025-03-01T10:00:01.000Z")]
    aside = kept(telemetry)
    assert aside["commits[2].message"] == "work 2"
    assert json.loads(str(aside["commits[4]"])) == legacy_database.ORPHAN
    assert json.loads(str(aside["favourites[1]"])) == legacy_database.FAVOURITE
    assert aside["start_time"] == legacy_database.BY_CLIENT["start_time"]
    assert len(aside) == 6
    assert_sound(telemetry)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_versions_it_went_through_are_kept(telemetry: Telemetry, version: int) -> None:
    legacy_database.make(telemetry.database, version)
    telemetry.start()
    found = telemetry.sql("SELECT version, description FROM schema_migrations ORDER BY version")
    assert found[:version] == [
        (number, f"{legacy_database.DESCRIPTION} {number}") for number in range(1, version + 1)
    ]
    assert found[-1][0] == SCHEMA_VERSION == telemetry.sql("PRAGMA user_version")[0][0]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_snapshot_is_the_genesis(telemetry: Telemetry, version: int) -> None:
    legacy_database.make(telemetry.database, version)
    telemetry.start()
    (snapshot,) = snapshots(telemetry)
    header = json.loads(min(telemetry.raw.glob("ops_*")).read_bytes().splitlines()[0])
    assert snapshot.name == f"adopted_{header['data']['genesis']}.sqlite"
    assert oct(snapshot.stat().st_mode & 0o777) == "0o600"
    db = sqlite3.connect(snapshot)
    assert db.execute("SELECT count(*) FROM agent_runs").fetchone() == (3,)
    db.close()


@pytest.mark.parametrize("version", [1, 5, 7])
def test_a_lost_database_is_made_again_from_the_snapshot_and_the_journal(
    telemetry: Telemetry, version: int
) -> None:
    legacy_database.make(telemetry.database, version)
    telemetry.start()
    telemetry("run", "update", "run-1", "--product", "changed")
    before = telemetry("query", "-o", "json", "--limit", "0").json
    telemetry.database.unlink()
    waits = telemetry(*START)
    assert "telemetry db rebuild" in waits.err
    assert not telemetry.database.exists(), (
        "made from the journal alone it would lack the adopted runs"
    )
    telemetry("db", "rebuild")
    assert [
        run
        for run in telemetry("query", "-o", "json", "--limit", "0").json
        if run["event_id"] != waits.line
    ] == before
    assert telemetry("doctor").code == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://ada:hunter2@example.org/shop.git", "https://example.org/shop.git"),
        ("https://example.org/shop.git?token=hunter2", "https://example.org/shop.git"),
        ("https://ada:hun/ter2@example.org/shop.git", None),
        ("git@example.org:shop.git", "git@example.org:shop.git"),
    ],
)
def test_adopted_addresses_hold_no_credentials(
    version: int, address: str, expected: str | None, telemetry: Telemetry
) -> None:
    legacy_database.make(telemetry.database, version)
    db = sqlite3.connect(telemetry.database)
    db.execute("UPDATE agent_runs SET git_repo = ?", (address,))
    db.execute("UPDATE commits SET repo = ?", (address,))
    db.commit()
    db.close()
    telemetry("db", "migrate")
    for rebuild in (False, True):
        if rebuild:
            telemetry("db", "rebuild")
        assert telemetry.sql("SELECT DISTINCT git_repo FROM agent_runs") == [(expected,)]
        assert telemetry.sql("SELECT DISTINCT repo FROM run_commits") == [(expected,)]
        aside = kept(telemetry)
        assert not any("ter2" in str(value) for value in aside.values())
        assert json.loads(str(aside["commits[4]"]))["repo"] == expected


def test_two_machines_agree(telemetry: Telemetry, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Telemetry(tmp_path_factory.mktemp("other"))
    found = []
    for machine in (telemetry, other):
        legacy_database.make(machine.database, 3)
        machine("db", "migrate")
        found.append(
            [
                machine.sql(f"SELECT * FROM {table} ORDER BY 1")
                for table in ("agent_runs", "run_events", "run_commits", "legacy_values")
            ]
        )
    assert found[0] == found[1]


def test_columns_that_a_version_should_have_may_be_missing(
    telemetry: Telemetry, fresh_schema: list[str]
) -> None:
    legacy_database.make(
        telemetry.database,
        6,
        without=("git_commit_source", "git_commit_author", "git_commit_timestamp"),
    )
    assert telemetry("query", "--commit", "abcdef0", "-o", "ids").out.split() == [
        "event-3",
        "event-2",
        "event-1",
    ]
    assert schema(telemetry.database) == fresh_schema


def test_a_database_in_wal_mode(telemetry: Telemetry, fresh_schema: list[str]) -> None:
    legacy_database.make(telemetry.database, 7, journal_mode="wal")
    run = telemetry.start()
    telemetry("run", "end", run)
    assert len(ids(telemetry)) == 4
    assert schema(telemetry.database) == fresh_schema
    assert telemetry.sql("PRAGMA journal_mode") == [("delete",)]
    telemetry("db", "rebuild")
    telemetry("doctor")
    assert len(ids(telemetry)) == 4
    telemetry("db", "restore", str(snapshots(telemetry)[0]))
    assert len(ids(telemetry)) == 4
    assert [
        path.name for path in (telemetry.base / "backups").iterdir() if path.suffix != ".sqlite"
    ] == [".lock"]


def test_what_a_killed_program_left_in_the_write_ahead_log_is_adopted(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 7, journal_mode="wal")
    write = f"import os, sqlite3; db = sqlite3.connect({str(telemetry.database)!r}); db.execute('UPDATE agent_runs SET host = 1'); db.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", write], check=True)
    assert Path(f"{telemetry.database}-wal").stat().st_size
    assert {run["host"] for run in telemetry("query", "-o", "json").json} == {"1"}


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE own (word TEXT COLLATE theirs); CREATE INDEX own_word ON own (word)",
        "CREATE TABLE own (word TEXT); CREATE INDEX own_word ON own (theirs(word))",
        "CREATE TABLE own (word TEXT CHECK (theirs(word)))",
        "CREATE TABLE own (word TEXT, twice TEXT GENERATED ALWAYS AS (word || word))",
        "CREATE TABLE own (word TEXT REFERENCES nowhere (word))",
        "CREATE TABLE own (word TEXT); CREATE VIEW broken AS SELECT * FROM nowhere",
    ],
    ids=[
        "collation",
        "function in an index",
        "function in a rule",
        "generated",
        "reference to no table",
        "view of no table",
    ],
)
def test_a_table_of_the_users_that_sqlite_cannot_check_is_kept(
    made: str, telemetry: Telemetry, fresh_schema: list[str]
) -> None:
    """Its functions and collations are another program's, and only SQLite's integrity check needs them."""
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    db.create_collation("theirs", lambda one, other: (one > other) - (one < other))
    db.create_function("theirs", 1, lambda word: word, deterministic=True)
    db.executescript(made)
    with db:
        db.execute("INSERT INTO own (word) VALUES ('1')")
    db.close()
    assert len(ids(telemetry)) == 3
    assert json.loads(str(kept(telemetry)["own[1]"]))["word"] == "1"
    assert schema(telemetry.database) == fresh_schema
    telemetry("db", "rebuild")
    assert telemetry("doctor").line == "All is well."


def test_a_damaged_page_beside_a_table_that_sqlite_cannot_check_is_found(
    telemetry: Telemetry,
) -> None:
    legacy_database.make(telemetry.database, 7, runs=200)
    db = sqlite3.connect(telemetry.database)
    db.create_function("theirs", 1, lambda word: word, deterministic=True)
    db.execute("CREATE TABLE own (word TEXT CHECK (theirs(word)))")
    root = db.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_runs_agent'"
    ).fetchone()[0]
    db.close()
    content = bytearray(telemetry.database.read_bytes())
    content[4096 * (root - 1) : 4096 * root] = bytes(4096)
    telemetry.database.write_bytes(content)
    assert (
        f"{telemetry.database} is damaged, and was left as it is" in telemetry("query", code=1).err
    )
    assert telemetry.database.read_bytes() == content


# Values that break a rule

BROKEN: list[tuple[dict[str, object], dict[str, object], dict[str, object]]] = [
    # what stood there, what stands there now, what is kept
    ({"status": "Failed"}, {"status": "failure"}, {}),
    ({"status": "exploded"}, {"status": "partial"}, {"status": "exploded"}),
    ({"status": None, "end_time": None}, {"status": "running", "end_time": None}, {}),
    ({"start_time": "2025-03-01T12:00:00+02:00"}, {"start_time": "2025-03-01T10:00:00.000Z"}, {}),
    ({"start_time": "2025-03-01T10:00:00"}, {"start_time": "2025-03-01T10:00:00.000Z"}, {}),
    ({"start_time": "once"}, {"start_time": "2025-03-01T10:00:00.000Z"}, {"start_time": "once"}),
    ({"start_time": 1740823200}, {"start_time": "2025-03-01T10:00:00.000Z"}, {"start_time": "1740823200"}),
    ({"end_time": "2025-03-01 09:00:00"}, {"end_time": "2025-03-01T10:00:01.000Z"}, {"end_time": "2025-03-01 09:00:00"}),
    ({"updated_at": "2024-01-01"}, {"updated_at": "2025-03-01T10:00:00.000Z"}, {"updated_at": "2024-01-01"}),
    ({"agent_name": ""}, {"agent_name": "unknown"}, {}),
    ({"agent_name": "x" * 300}, {"agent_name": "x" * 200}, {"agent_name": "x" * 300}),
    ({"items_failed": -3}, {"items_failed": 0}, {"items_failed": -3}),
    ({"items_failed": "many"}, {"items_failed": 0}, {"items_failed": "many"}),
    ({"duration_ms": 12.75}, {"duration_ms": 12}, {"duration_ms": 12.75}),
    ({"duration_ms": None}, {"duration_ms": 3_599_250}, {}),
    ({"duration_ms": "long"}, {"duration_ms": 3_599_250}, {"duration_ms": "long"}),
    ({"duration_ms": 0}, {"duration_ms": 0}, {}),
    ({"duration_ms": None, "end_time": None}, {"duration_ms": 0}, {}),
    ({"duration_ms": None, "start_time": "once"}, {"duration_ms": 0}, {"start_time": "once"}),
    ({"metrics_json": "[1]"}, {"metrics_json": {}}, {"metrics_json": "[1]"}),
    ({"metrics_json": '{"a": NaN}'}, {"metrics_json": {}}, {"metrics_json": '{"a": NaN}'}),
    ({"context_json": "not json"}, {"context_json": {}}, {"context_json": "not json"}),
    ({"git_commit_hash": "HEAD"}, {"git_commit_hash": None}, {"git_commit_hash": "HEAD"}),
    ({"git_commit_source": "me"}, {"git_commit_source": None}, {"git_commit_source": "me"}),
    ({"error_details": "é" * 40_000}, {}, {"error_details": "é" * 40_000}),
    ({"product": b"\xff\x00"}, {"product": "\ufffd"}, {"product": b"\xff\x00"}),
    ({"output_summary": "a\0b"}, {"output_summary": "ab"}, {"output_summary": "a\0b"}),
    ({"run_id": "a/b"}, {"run_id": "a-b"}, {"run_id": "a/b"}),
    ({"event_id": "two words"}, {}, {"event_id": "two words"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("was", "now", "aside"),
    BROKEN,
    ids=lambda value: (
        ",".join(f"{k}={v!r:.20}" for k, v in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_a_value_that_breaks_a_rule_is_kept_beside(
    telemetry: Telemetry, was: dict[str, object], now: dict[str, object], aside: dict[str, object]
) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    db.execute("PRAGMA ignore_check_constraints = ON")
    with db:
        for name, value in was.items():
            db.execute(f"UPDATE agent_runs SET {name} = ? WHERE event_id = 'event-1'", (value,))
    db.close()
    telemetry("db", "migrate")
    (run,) = [
        run for run in telemetry("query", "-o", "json", "--limit", "0").json if run["id"] == 1
    ]
    assert {name: run[name] for name in now} == now
    found = dict(
        telemetry.sql(
            'SELECT "column", value FROM legacy_values WHERE event_id = ? AND "column" NOT LIKE \'%[%\'',
            run["event_id"],
        )
    )
    assert found == aside
    if not was.keys() & {"run_id", "event_id"}:
        assert telemetry("run", "events", run["event_id"], "-o", "json").json[0][
            "payload_json"
        ] == {"n": 1}
    assert_sound(telemetry)


def test_columns_and_tables_that_nothing_is_made_for_are_kept(
    telemetry: Telemetry, fresh_schema: list[str]
) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("ALTER TABLE agent_runs ADD COLUMN mood TEXT")
        db.execute("UPDATE agent_runs SET mood = 'fine' WHERE run_id = 'run-2'")
        db.execute("CREATE TABLE notes (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")
        db.execute("INSERT INTO notes VALUES ('n', x'00ff')")
        db.execute("CREATE TRIGGER noted AFTER INSERT ON notes BEGIN DELETE FROM notes; END")
        db.execute("CREATE VIRTUAL TABLE words USING fts5 (word)")
        db.execute("INSERT INTO words VALUES ('hello')")
    db.close()
    telemetry("db", "migrate")
    found = kept(telemetry)
    assert found["mood"] == "fine"
    assert json.loads(str(found["notes[1]"])) == {"id": "n", "body": {"hex": "00ff"}}
    assert json.loads(str(found["words[1]"])) == {"word": "hello"}
    assert schema(telemetry.database) == fresh_schema
    assert telemetry("query", "--search", "crawler", "-o", "ids").out.split()


@pytest.mark.parametrize("name", ["journal_cursor", "hook_logs", "hook_releases"])
def test_a_table_of_the_users_named_like_ours_is_kept(telemetry: Telemetry, name: str) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute(f"CREATE TABLE {name} (x)")
        db.execute(f"INSERT INTO {name} VALUES (1)")
    db.close()
    assert len(ids(telemetry)) == 3
    assert json.loads(str(kept(telemetry)[f"{name}[1]"])) == {"x": 1}
    telemetry("db", "rebuild")
    assert telemetry("doctor").line == "All is well."


def test_what_the_platform_noted_of_its_versions_is_kept(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 5)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("ALTER TABLE schema_migrations ADD COLUMN checksum TEXT")
        db.execute("UPDATE schema_migrations SET checksum = 'c5' WHERE version = 5")
        db.executemany(
            "INSERT INTO schema_migrations VALUES (?, '2025-01-01T00:00:00Z', 'before', 'c')",
            [(0,), (-1,)],
        )
    db.close()
    telemetry("db", "migrate")
    found = kept(telemetry)
    assert found["schema_migrations[5].checksum"] == "c5"
    rows = [json.loads(str(found[f"schema_migrations[{number}]"])) for number in (0, -1)]
    assert rows == [
        {
            "version": number,
            "applied_at": "2025-01-01T00:00:00Z",
            "description": "before",
            "checksum": "c",
        }
        for number in (0, -1)
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("metrics_json", '{"cost": 0.12345678901234567890123}'),
        ("context_json", '{"a": [{"b": 12345678901234567890.5}]}'),
        ("start_time", "2025-03-01 10:00:00.123456"),
        ("created_at", "2025-03-01T10:00:00.0001+00:00"),
    ],
)
def test_what_is_finer_than_what_is_stored_is_kept_beside(
    telemetry: Telemetry, column: str, value: str
) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute(f"UPDATE agent_runs SET {column} = ? WHERE run_id = 'run-2'", (value,))
    db.close()
    telemetry("db", "migrate")
    assert telemetry.sql(
        "SELECT value FROM legacy_values WHERE event_id = 'event-2' AND \"column\" = ?", column
    ) == [(value,)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("metrics_json", '{"cost": 0.1, "big": 1e300, "n": 2.500000000000000000000}'),
        ("start_time", "2025-03-01 10:00:00.250000"),
    ],
)
def test_what_is_stored_as_it_was_is_not_kept_twice(
    telemetry: Telemetry, column: str, value: str
) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute(f"UPDATE agent_runs SET {column} = ? WHERE run_id = 'run-2'", (value,))
    db.close()
    telemetry("db", "migrate")
    assert column not in dict(
        telemetry.sql("SELECT \"column\", value FROM legacy_values WHERE event_id = 'event-2'")
    )


def test_an_events_payload_with_more_digits_than_a_float_is_kept_beside(
    telemetry: Telemetry,
) -> None:
    legacy_database.make(telemetry.database, 7)
    payload = '{"loss": 0.12345678901234567890123}'
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("UPDATE run_events SET payload_json = ? WHERE run_id = 'run-2'", (payload,))
    db.close()
    telemetry("db", "migrate")
    assert kept(telemetry)["run_events[2].payload_json"] == payload


def test_infinity_is_kept_as_valid_json(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("CREATE TABLE notes (high REAL, low REAL)")
        db.execute("INSERT INTO notes VALUES (9e999, -9e999)")
    db.close()
    telemetry("db", "migrate")
    assert kept(telemetry)["notes[1]"] == '{"high":{"real":"inf"},"low":{"real":"-inf"}}'


def test_a_view_in_the_place_of_the_runs_is_no_database_of_ours(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("ALTER TABLE agent_runs RENAME TO runs_of_old")
        db.execute("CREATE VIEW agent_runs AS SELECT * FROM runs_of_old")
    db.close()
    before = telemetry.database.read_bytes()
    assert "was made by another program" in telemetry("query", code=1).err
    ran = telemetry.start_ran("--event-id", "kept", "-o", "json")
    assert ran.json["status"] == "buffered"
    assert "was made by another program" in ran.err
    assert any(b'"event_id":"kept"' in path.read_bytes() for path in telemetry.raw.glob("*.ndjson"))
    assert telemetry.database.read_bytes() == before


def test_rows_without_an_event_id_get_one_each_from_their_run_id(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("UPDATE agent_runs SET event_id = NULL, run_id = 'the same'")
    db.close()
    telemetry("db", "migrate")
    assert len(set(ids(telemetry))) == 3


# Reads, locks, kills, the many


@pytest.mark.parametrize(
    "argv",
    [
        ("query", "-o", "ids"),
        ("status",),
        ("run", "show", "run-1"),
        ("stats",),
        ("db", "drain"),
        ("db", "backup"),
    ],
    ids=" ".join,
)
def test_a_read_of_an_old_database_migrates_it(telemetry: Telemetry, argv: tuple[str, ...]) -> None:
    legacy_database.make(telemetry.database, 5)
    telemetry(*argv)
    assert len(ids(telemetry)) == 3
    assert len(snapshots(telemetry)) == 1


def test_an_old_database_that_may_not_be_written_is_said_to_be_old(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 5)
    before = telemetry.database.read_bytes()
    with read_only(telemetry.base):
        ran = telemetry("query", code=6)
        assert "schema version 5" in ran.err
        assert telemetry("db", "migrate", code=6).err
    assert telemetry.database.read_bytes() == before


def test_a_locked_old_database_keeps_the_record_and_is_migrated_later(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 6)
    with held(EXCLUSIVE, telemetry.database):
        ran = telemetry(*START, env=SHORT)
        assert "buffered" in ran.err
    assert ids(telemetry) == sorted([ran.line, "event-1", "event-2", "event-3"])
    telemetry.database.unlink()
    assert "db rebuild" in telemetry(*START, "--event-id", "next").err
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted([ran.line, "event-1", "event-2", "event-3", "next"])


def test_whoever_may_not_wait_leaves_the_migration_to_the_next(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 6)
    before = telemetry.database.read_bytes()
    ran = telemetry(*START, env={"TELEMETRY_LOCK_TIMEOUT": "0.2"})
    assert "telemetry db migrate" in ran.err
    assert telemetry.database.read_bytes() == before
    assert len(ids(telemetry)) == 4


def test_migrate_says_what_it_did(telemetry: Telemetry) -> None:
    telemetry("db", "migrate", code=3)
    legacy_database.make(telemetry.database, 2)
    ran = telemetry("db", "migrate", "--json")
    assert (ran.json["from"], ran.json["to"], Path(ran.json["backup"])) == (
        2,
        SCHEMA_VERSION,
        snapshots(telemetry)[0],
    )
    again = telemetry("db", "migrate", "--json")
    assert (again.json["from"], again.json["backup"]) == (SCHEMA_VERSION, None)


def test_a_newer_platform_is_left_untouched(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 7, journal_mode="wal")
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("INSERT INTO schema_migrations VALUES (12, '2026-01-01', 'later')")
    db.execute("PRAGMA journal_mode = delete")
    db.close()
    before = telemetry.database.read_bytes()
    assert "buffered" in telemetry(*START).err
    telemetry("query", code=2)
    assert telemetry.database.read_bytes() == before
    assert snapshots(telemetry) == []


def test_a_damaged_old_database_is_left_untouched(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 7, runs=200)
    content = bytearray(telemetry.database.read_bytes())
    content[-4096 * 3 : -4096 * 2] = os.urandom(4096)
    telemetry.database.write_bytes(content)
    assert "buffered" in telemetry(*START).err
    assert telemetry.database.read_bytes() == content
    assert snapshots(telemetry) == []


def test_what_an_old_program_wrote_after_a_cut_off_migration_is_not_lost(
    telemetry: Telemetry,
) -> None:
    """The journal's header names the first snapshot; the one taken when the migration goes through is what counts."""
    legacy_database.make(telemetry.database, 7)
    shutil.copy(telemetry.database, old := telemetry.home / "old")
    telemetry.start()
    shutil.copy(old, telemetry.database)
    db = sqlite3.connect(telemetry.database)
    with db:
        legacy_database.insert(db, "agent_runs", legacy_database.row(7, 9))
    db.close()
    found = ids(telemetry)
    assert len(found) == 5
    assert "event-9" in found
    os.utime(snapshots(telemetry)[0])
    telemetry.database.unlink()
    telemetry("db", "rebuild")
    assert len(snapshots(telemetry)) == 2


@pytest.mark.heavy
@pytest.mark.parametrize("attempt", range(5))
def test_many_openers_migrate_once(telemetry: Telemetry, attempt: int) -> None:
    legacy_database.make(telemetry.database, attempt + 3, runs=20)
    with ThreadPoolExecutor(32) as pool:
        calls = list(
            pool.map(
                lambda _: telemetry(*START, env={"TELEMETRY_LOCK_TIMEOUT": "30"}, code=None),
                range(32),
            )
        )
    assert [ran for ran in calls if ran.code or "buffered" in ran.err] == []
    assert len(snapshots(telemetry)) == 1
    assert telemetry.sql("SELECT count(*) FROM agent_runs WHERE op_id = 'legacy'") == [(20,)]
    assert len(ids(telemetry)) == 52
    assert telemetry.sql(
        "SELECT count(*) FROM schema_migrations WHERE version >= 8"
    ) == telemetry.sql("SELECT count(DISTINCT version) FROM schema_migrations WHERE version >= 8")
    assert_sound(telemetry)


def test_events_and_commits_go_to_the_run_of_their_event_id_and_no_id_is_lost(
    telemetry: Telemetry,
) -> None:
    """Two runs share a run_id. What says which one it means goes there; an id that is not the run's own is kept."""
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        columns = [
            row[1]
            for row in db.execute("PRAGMA table_info(agent_runs)")
            if row[1] not in ("id", "event_id", "run_id")
        ]
        for event_id in ("twin-one", "twin-two"):
            db.execute(
                f"INSERT INTO agent_runs (event_id, run_id, {','.join(columns)}) SELECT ?, 'twins', {','.join(columns)} FROM agent_runs LIMIT 1",
                (event_id,),
            )
        db.execute("ALTER TABLE run_events ADD COLUMN event_id TEXT")
        db.execute("ALTER TABLE commits ADD COLUMN event_id TEXT")
        for name in ("twin-two", "stranger"):
            db.execute(
                "INSERT INTO run_events (run_id, event_type, timestamp, event_id) VALUES ('twins', ?1, '2025-03-01 10:00:01', ?1)",
                (name,),
            )
        db.execute(
            "INSERT INTO run_events (run_id, event_type, timestamp, event_id) VALUES ('another', 'moved', '2025-03-01 10:00:01', 'twin-two')"
        )
        db.execute(
            "INSERT INTO commits (commit_hash, run_id, event_id) VALUES ('abcdef1', 'twins', 'twin-two'), ('abcdef2', 'twins', 'stranger')"
        )
    db.close()
    telemetry("db", "migrate")
    events = telemetry.sql(
        "SELECT event_type, event_id FROM run_events WHERE event_type IN ('twin-two', 'stranger', 'moved') ORDER BY id"
    )
    assert events == [("twin-two", "twin-two"), ("stranger", "twin-one"), ("moved", "twin-two")]
    assert telemetry.sql(
        "SELECT event_id FROM run_commits WHERE commit_hash IN ('abcdef1', 'abcdef2') ORDER BY id"
    ) == [("twin-two",), ("twin-one",)]
    kept = telemetry.sql(
        "SELECT event_id, value FROM legacy_values WHERE \"column\" LIKE 'run_events[%].%id' OR \"column\" LIKE 'commits[%].%id' ORDER BY id"
    )
    assert kept == [("twin-one", "stranger"), ("twin-two", "another"), ("twin-one", "stranger")]
