"""What the legacy platform and its sibling service left behind, imported: every schema version, and values that break our rules."""

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import Telemetry
from support.records import dump, write
from support.storage import AT, assert_sound

from telemetry_cli.core import legacy_values as legacy_rules
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database import foreign
from telemetry_cli.database.apply import imports
from telemetry_cli.database.migrate import apply_schema
from telemetry_cli.transfer.formats import line
from telemetry_cli.transfer.records import FIRST_LINE

V1 = (
    "run_id TEXT PRIMARY KEY, agent_name TEXT, agent_owner TEXT, job_type TEXT, trigger_type TEXT, status TEXT, start_time TEXT, end_time TEXT,"
    " created_at TEXT, updated_at TEXT, duration_ms INTEGER, items_discovered INTEGER, items_succeeded INTEGER, items_failed INTEGER, items_skipped INTEGER,"
    " input_summary TEXT, output_summary TEXT, source_ref TEXT, target_ref TEXT, error_summary TEXT, error_details TEXT, product TEXT, platform TEXT,"
    " git_repo TEXT, git_branch TEXT, git_run_tag TEXT, host TEXT, environment TEXT, metrics_json TEXT, context_json TEXT, api_posted INTEGER,"
    " api_posted_at TEXT, api_retry_count INTEGER"
)
#: Version → the columns it added.
ADDED = {
    2: "insight_id TEXT",
    3: "product_family TEXT, subdomain TEXT",
    4: "git_commit_hash TEXT, git_commit_source TEXT, git_commit_author TEXT, git_commit_timestamp TEXT",
    5: "website TEXT, website_section TEXT, item_name TEXT",
    6: "event_id TEXT UNIQUE, parent_run_id TEXT",
}
ROWS: list[dict[str, Any]] = [
    {
        "run_id": "r1", "agent_name": "seo", "job_type": "build", "status": "completed", "start_time": "2025-01-02 03:04:05",
        "end_time": "2025-01-02T04:04:05+01:00", "created_at": "2025-01-02 03:04:05", "metrics_json": '{"tokens": 3}', "duration_ms": None, "api_posted": 1,
    },
    {
        "run_id": "r2", "agent_name": "seo", "job_type": "build", "status": "FAILED", "start_time": "2025-01-03T03:04:05",
        "error_details": "x" * 70_000, "metrics_json": "not json", "items_failed": -3,
    },
    {
        "run_id": "r/3", "agent_name": "", "job_type": None, "status": "exploded", "start_time": "whenever", "end_time": None, "created_at": None,
        "duration_ms": 1.0,
    },
]  # fmt: skip


def legacy_database(path: Path, version: int) -> Path:
    db = sqlite3.connect(path)
    columns = ", ".join([V1, *(added for number, added in ADDED.items() if number <= version)])
    db.execute(f"CREATE TABLE agent_runs ({columns})")
    db.execute(
        "CREATE TABLE schema_migrations (version INTEGER, applied_at TEXT, description TEXT)"
    )
    db.execute("INSERT INTO schema_migrations VALUES (?, datetime('now'), '')", (version,))
    known = [row[1] for row in db.execute("PRAGMA table_info(agent_runs)")]
    for number, row in enumerate(ROWS):
        beside = {
            "event_id": f"event-{number}",
            "parent_run_id": "r1" if number else None,
            "git_commit_hash": "ABCDEF1",
            "git_commit_source": "auto",
        }
        given = row | {name: value for name, value in beside.items() if name in known}
        db.execute(
            f"INSERT INTO agent_runs ({','.join(given)}) VALUES ({','.join('?' * len(given))})",
            tuple(given.values()),
        )
    db.executescript(
        "CREATE TABLE run_events (id INTEGER PRIMARY KEY, run_id TEXT, event_type TEXT, timestamp TEXT, payload_json TEXT);"
        "INSERT INTO run_events VALUES (1, 'r1', 'checkpoint', '2025-01-02 03:30:00', '{\"step\": 1}'),"
        " (2, 'gone', 'checkpoint', '2025-01-02 03:30:00', 'text');"
        "CREATE TABLE commits (commit_hash TEXT, run_id TEXT, repo TEXT, branch TEXT, commit_date TEXT, author TEXT, message TEXT);"
        "INSERT INTO commits VALUES ('1234567', 'r1', 'https://u:secret@example.org/r', 'main', '2025-01-02 03:40:00', 'Ada', 'words');"
    )
    db.commit()
    db.close()
    return path


@pytest.mark.parametrize("version", range(1, 8))
def test_every_version_of_the_platform(version: int, telemetry: Telemetry, tmp_path: Path) -> None:
    path = legacy_database(tmp_path / "old.sqlite", version)
    before = path.read_bytes()
    ran = telemetry("import", str(path), "--json")
    assert {name: ran.json[name] for name in ("total", "created", "existing", "failed")} == {
        "total": 3,
        "created": 3,
        "existing": 0,
        "failed": 0,
    }
    assert path.read_bytes() == before
    ids = (
        [f"event-{number}" for number in range(3)]
        if version >= 6
        else [
            str(uuid.uuid5(uuid.NAMESPACE_URL, f"telemetry-cli:run:{row['run_id']}"))
            for row in ROWS
        ]
    )
    first, second, third = (telemetry.run(id_) for id_ in ids)
    assert (first["status"], first["start_time"], first["end_time"]) == (
        "success",
        "2025-01-02T03:04:05.000Z",
        "2025-01-02T03:04:05.000Z",
    )
    assert (first["created_at"], first["metrics_json"], first["api_posted"]) == (
        "2025-01-02T03:04:05.000Z",
        {"tokens": 3},
        1,
    )
    assert (second["status"], second["metrics_json"], second["items_failed"]) == ("failure", {}, 0)
    assert second["context_json"]["extra"]["metrics_json"] == "not json"
    assert second["context_json"]["extra"]["items_failed"] == -3
    assert len(second["error_details"].encode()) <= 65536
    assert (
        third["run_id"],
        third["agent_name"],
        third["job_type"],
        third["status"],
        third["start_time"],
    ) == (
        "r-3",
        "unknown",
        "unknown",
        "partial",
        "1970-01-01T00:00:00.000Z",
    )
    assert {
        name: third["context_json"]["extra"][name] for name in ("run_id", "status", "start_time")
    } == {
        "run_id": "r/3",
        "status": "exploded",
        "start_time": "whenever",
    }
    if version >= 6:
        assert (
            second["parent_run_id"],
            second["git_commit_hash"],
            second["git_commit_source"],
        ) == ("event-0", "abcdef1", None)
    assert [(event["event_type"], event["payload_json"]) for event in first["events"]] == [
        ("checkpoint", {"step": 1})
    ]
    assert "1234567" in [commit["commit_hash"] for commit in first["commits"]]
    assert telemetry.sql(
        "SELECT event_id, run_id, payload_json FROM run_events WHERE run_id = 'gone'"
    ) == [(None, "gone", '"text"')]
    assert b"secret" not in b"".join(telemetry.files().values())
    again = dump(telemetry)
    assert telemetry("import", str(path), "--json").json["existing"] == 3
    assert dump(telemetry) == again
    assert_sound(telemetry)


def test_the_sibling_service(telemetry: Telemetry, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "service.db")
    db.executescript(
        "CREATE TABLE runs (event_id TEXT PRIMARY KEY, run_id TEXT, agent_name TEXT, job_type TEXT, status TEXT, start_time TEXT, commit_hash TEXT,"
        " commit_source TEXT, commit_author TEXT, commit_timestamp TEXT, region TEXT);"
        "INSERT INTO runs VALUES ('E1', 'r1', 'a', 'j', 'succeeded', '2025-01-02T03:04:05Z', 'abcdef1', 'llm', 'Ada', '2025-01-02 03:00:00', 'eu');"
        "CREATE TABLE events (event_id TEXT, run_id TEXT, ts TEXT, type TEXT, payload TEXT, trace_id TEXT, span_id TEXT, parent_span_id TEXT);"
        "INSERT INTO events VALUES ('E1', 'r1', '2025-01-02T03:04:06Z', 'step', '[1]', 't', 's', NULL),"
        " ('x9', 'r1', '2025-01-02T03:04:07Z', 'step', NULL, NULL, NULL, NULL);"
    )
    db.close()
    ran = telemetry("import", str(tmp_path / "service.db"))
    assert "region is unknown and kept under context_json.extra" in ran.err
    run = telemetry.run("E1")
    assert (
        run["status"],
        run["git_commit_hash"],
        run["git_commit_source"],
        run["git_commit_author"],
    ) == ("success", "abcdef1", "llm", "Ada")
    assert (run["git_commit_timestamp"], run["context_json"]) == (
        "2025-01-02T03:00:00.000Z",
        {"extra": {"region": "eu"}},
    )
    assert [
        (event["event_type"], event["payload_json"], event["trace_id"]) for event in run["events"]
    ] == [("step", [1], "t"), ("step", None, None)]
    assert [commit["commit_hash"] for commit in run["commits"]] == ["abcdef1"]


def test_one_of_our_own_databases(telemetry: Telemetry, tmp_path: Path) -> None:
    event_id = telemetry.start("--event-id", "ours", "-m", "cost=1")
    telemetry("run", "event", "step", "--run", event_id, "--payload", "5")
    telemetry("associate-commit", event_id, "--commit", "abcdef1", "--role", "base", "--no-git")
    telemetry("run", "end", event_id)
    other = Telemetry(tmp_path / "other")
    other("import", str(telemetry.database))
    assert dump(other) == dump(telemetry)


LINES = (
    {"record_type": "run", "run_id": "n1", "agent_name": "a", "job_type": "j", "status": "running", "start_time": "2025-01-02T03:04:05+00:00"},
    {"record_type": "event", "run_id": "n1", "event_type": "step", "timestamp": "2025-01-02T03:04:06+00:00", "payload_json": '{"n": 1}'},
    {"record_type": "run", "run_id": "n1", "agent_name": "a", "job_type": "j", "status": "completed", "start_time": "2025-01-02T03:04:05+00:00",
     "end_time": "2025-01-02T03:05:05+00:00", "items_succeeded": 4, "metrics_json": '{"x": 1}', "output_summary": "finished well"},
)  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1)])
def test_the_platforms_ndjson(order: tuple[int, ...], telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(tmp_path / "events_20250102.ndjson", *(LINES[number] for number in order))
    for _ in range(2):
        telemetry("import", path, "--format", "legacy-ndjson")
        run = telemetry.run("n1")
        assert (run["status"], run["end_time"], run["items_succeeded"], run["metrics_json"]) == (
            "success",
            "2025-01-02T03:05:05.000Z",
            4,
            {"x": 1},
        )
        assert run["duration_ms"] == 60_000
        assert [(event["event_type"], event["payload_json"]) for event in run["events"]] == [
            ("step", {"n": 1})
        ]
        assert telemetry("query", "--search", "finished", "-o", "ids").line == run["event_id"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("said", "milliseconds"),
    [({}, 60_000), ({"duration_ms": 0}, 60_000), ({"duration_ms": 59_000}, 59_000)],
)
def test_duration_of_a_run_in_two_records_is_that_from_start_to_end(
    said: dict[str, object],
    milliseconds: int,
    order: tuple[int, ...],
    telemetry: Telemetry,
    tmp_path: Path,
) -> None:
    start = {
        name: LINES[0][name]
        for name in ("record_type", "run_id", "agent_name", "job_type", "start_time")
    }
    end = {
        "record_type": "run",
        "run_id": "n1",
        "status": "completed",
        "end_time": "2025-01-02T03:05:05+00:00",
    } | said
    path = write(tmp_path / "events_20250102.ndjson", *([start, end][number] for number in order))
    telemetry("import", path, "--format", "legacy-ndjson")
    run = telemetry.run("n1")
    assert (run["start_time"], run["duration_ms"]) == ("2025-01-02T03:04:05.000Z", milliseconds)


@pytest.mark.parametrize("files", [1, 2])
def test_later_line_adds_end_and_duration(files: int, telemetry: Telemetry, tmp_path: Path) -> None:
    finished = LINES[2] | {"end_time": None}
    records = [finished, LINES[2]]
    for number, part in enumerate([records] if files == 1 else [[record] for record in records]):
        path = write(tmp_path / f"events_2025010{number}.ndjson", *part)
        telemetry("import", path, "--format", "legacy-ndjson")
    run = telemetry.run("n1")
    assert (run["status"], run["end_time"], run["duration_ms"]) == (
        "success",
        "2025-01-02T03:05:05.000Z",
        60_000,
    )


def test_duration_that_a_later_line_states_is_kept(telemetry: Telemetry, tmp_path: Path) -> None:
    finished = LINES[2] | {"end_time": None}
    path = write(tmp_path / "events_20250102.ndjson", finished, LINES[2] | {"duration_ms": 45_000})
    telemetry("import", path, "--format", "legacy-ndjson")
    assert telemetry.run("n1")["duration_ms"] == 45_000


@pytest.mark.parametrize(("stated", "duration"), [(None, 90_000), (45_000, 45_000)])
def test_earlier_start_changes_a_computed_duration_only(
    stated: int | None, duration: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    end = LINES[2] | {"start_time": "2025-01-02T03:04:05Z", "duration_ms": stated}
    path = write(
        tmp_path / "events_20250102.ndjson", end, {**LINES[0], "start_time": "2025-01-02T03:03:35Z"}
    )
    telemetry("import", path, "--format", "legacy-ndjson")
    run = telemetry.run("n1")
    assert (run["start_time"], run["duration_ms"]) == ("2025-01-02T03:03:35.000Z", duration)


def test_bad_lines_of_the_platforms_ndjson(telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.ndjson",
        LINES[0],
        {"record_type": "metric"},
        {"record_type": "event", "event_type": "x", "timestamp": "never", "run_id": "n1"},
        "[]\n",
    )
    ran = telemetry("import", path, "--format", "legacy-ndjson", "--json", code=1)
    assert (
        ran.json["created"],
        [(error["line"], error["field"]) for error in ran.json["errors"]],
    ) == (1, [(2, "record_type"), (3, "timestamp"), (4, None)])


@pytest.mark.parametrize(
    "content",
    [b"no database at all, but long enough to be looked at", b"SQLite format 3\0" + b"\xff" * 4096],
)
def test_what_is_no_such_database(content: bytes, telemetry: Telemetry, tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(content)
    telemetry("import", str(tmp_path / "x.sqlite"), code=2)


def test_a_folder_is_no_database(telemetry: Telemetry, tmp_path: Path) -> None:
    assert (
        "cannot be read as a SQLite database"
        in telemetry("import", str(tmp_path), "--format", "sqlite", code=2).err
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_database_that_may_not_be_read(telemetry: Telemetry, tmp_path: Path) -> None:
    path = legacy_database(tmp_path / "old.sqlite", 7)
    path.chmod(0)
    assert "cannot be read" in telemetry("import", str(path), code=2).err


def test_a_damaged_database(telemetry: Telemetry, tmp_path: Path) -> None:
    """What is before the damage is imported; with nothing before it, it is a file that cannot be read."""
    path = legacy_database(tmp_path / "old.sqlite", 7)
    db = sqlite3.connect(path)
    with db:
        db.executemany(
            "INSERT INTO agent_runs (run_id, agent_name) VALUES (?, ?)",
            [(f"more-{number}", "x" * 150) for number in range(2000)],
        )
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.close()
    content = path.read_bytes()
    path.write_bytes(
        content[: 4096 * (pages // 2)] + b"\xff" * (len(content) - 4096 * (pages // 2))
    )
    ran = telemetry("import", str(path), "--json", code=1)
    assert ran.json["created"] > 0
    assert "the table agent_runs cannot be read: database disk image is malformed" in [
        error["error"] for error in ran.json["errors"]
    ]
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert "database disk image is malformed" in telemetry("import", str(path), code=2).err


def test_a_database_without_runs_is_refused(telemetry: Telemetry, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "x.sqlite")
    db.execute("CREATE TABLE t (x)")
    db.close()
    assert (
        "neither a table agent_runs nor a table runs"
        in telemetry("import", str(tmp_path / "x.sqlite"), code=2).err
    )


# Whatever a row holds, it can be stored, and nothing of it is lost

anything = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
    | st.sampled_from(["2025-01-01", "2025-01-01 00:00:00", "2025-01-01T00:00:00+05:00", "9999-12-31T23:59:59-10:00", "{}", '{"a": 1}', '{"a": NaN}', "[",
                       "success", "Failed", "abcdef1", "x" * 300, "\ud800", "a\0b", " ", "ci", "https://u:p@h/r"])
)  # fmt: skip
rows = st.dictionaries(
    st.sampled_from(sorted({"run_id", "event_id", "agent_name", "job_type", "status", "start_time", "end_time", "created_at", "updated_at", "duration_ms",
                            "items_failed", "metrics_json", "context_json", "product", "error_details", "git_commit_hash", "git_commit_source", "git_repo",
                            "git_commit_timestamp", "parent_run_id", "api_posted", "api_posted_at", "colour"})),
    anything,
)  # fmt: skip


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    apply_schema(db, AT)
    yield db
    db.close()


@example({"event_id": "own", "parent_run_id": "own"})
@given(rows)
def test_any_row_of_the_platform_becomes_a_run(db: sqlite3.Connection, row: dict[str, Any]) -> None:
    made, _ = line(("run", row), lambda *_: None)
    db.execute("SAVEPOINT one")
    counts = imports.runs(
        db, {"at": AT, "op_id": "op"}, {"schema_version": SCHEMA_VERSION}, [FIRST_LINE, made]
    )
    stored = db.execute("SELECT context_json FROM agent_runs").fetchall()
    db.execute("ROLLBACK TO one")
    assert counts["created"] == 1
    found = legacy_rules.Found(row)
    legacy_rules.run(found, "any")
    misfits = found.broken
    extra = json.loads(stored[0][0]).get("extra", {})
    assert set(misfits) <= set(extra)
    assert all(extra[name] == legacy_rules.jsonable(value) for name, value in misfits.items())


# Databases of every shape


def foreign_database(path: Path, script: str) -> str:
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()
    return str(path)


def test_identical_events_keep_their_number(telemetry: Telemetry, tmp_path: Path) -> None:
    """Also where they lie further apart than an operation reaches; and a second import adds none."""
    row = "('r1', 'tick', '2025-01-02T03:30:00Z', '{}')"
    many = "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 5999)"
    fill = f"{many} INSERT INTO run_events SELECT 'r1', 'n' || i, '2025-01-02', '{{}}' FROM n;"
    path = foreign_database(
        tmp_path / "old.sqlite",
        "CREATE TABLE agent_runs (run_id TEXT, agent_name TEXT, job_type TEXT, status TEXT, start_time TEXT);"
        "INSERT INTO agent_runs VALUES ('r1', 'a', 'j', 'success', '2025-01-02T03:04:05Z');"
        "CREATE TABLE run_events (run_id TEXT, event_type TEXT, timestamp TEXT, payload_json TEXT);"
        f"INSERT INTO run_events VALUES {row}, {row}; {fill} INSERT INTO run_events VALUES {row};",
    )
    assert telemetry("import", path, "--json").json["events"] == 6003
    assert telemetry.sql("SELECT count(*) FROM run_events WHERE event_type = 'tick'") == [(3,)]
    assert telemetry("import", path, "--json").json["events"] == 0


def test_a_run_with_a_ledger_gets_no_association_that_is_not_in_it(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry.start("--event-id", "E1")
    telemetry("associate-commit", "E1", "--commit", "abcdef1", "--no-git", "--source", "ci")
    telemetry.start("--event-id", "E2")
    other = Telemetry(tmp_path / "other")
    other("import", str(telemetry.database), "--format", "sqlite")
    there = telemetry.sql(
        "SELECT event_id, commit_hash, role, source, author, associated_at FROM run_commits"
    )
    assert len(there) == 1
    assert (
        other.sql(
            "SELECT event_id, commit_hash, role, source, author, associated_at FROM run_commits"
        )
        == there
    )


def test_a_table_without_rowid(telemetry: Telemetry, tmp_path: Path) -> None:
    path = foreign_database(
        tmp_path / "old.sqlite",
        "CREATE TABLE agent_runs (run_id TEXT, part INTEGER, agent_name TEXT, job_type TEXT, status TEXT, start_time TEXT,"
        " PRIMARY KEY (part, run_id)) WITHOUT ROWID;"
        "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
        " INSERT INTO agent_runs SELECT 'r' || i, i / 300, 'a', 'j', 'success', '2025-01-02T03:04:05Z' FROM n;"
        "INSERT INTO agent_runs VALUES (CAST(x'72ff' AS TEXT), 1, 'a', 'j', 'success', '2025-01-02T03:04:05Z');",
    )
    assert telemetry("import", path, "--json").json["created"] == 1202
    assert telemetry.sql("SELECT count(DISTINCT run_id) FROM agent_runs") == [(1202,)]


def test_reading_a_large_table_takes_one_pass(tmp_path: Path) -> None:
    """SQLite looks at each row about once, and not at all that came before once more for every page."""
    path = foreign_database(
        tmp_path / "old.sqlite",
        "CREATE TABLE runs (run_id TEXT); WITH RECURSIVE n(i) AS (VALUES (-20000) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO runs (rowid, run_id) SELECT i, 'r' || i FROM n;",
    )
    db = foreign.open_foreign(path)
    steps = [0]
    db.set_progress_handler(lambda: steps.__setitem__(0, steps[0] + 1), 100)
    assert [number for number, _ in foreign.rows(db, "runs")] == list(range(-20000, 20001))
    db.close()
    assert steps[0] * 100 < 40_001 * 15


def test_a_bad_row_names_its_table(telemetry: Telemetry, tmp_path: Path) -> None:
    path = foreign_database(
        tmp_path / "old.sqlite",
        "CREATE TABLE runs (run_id TEXT, agent_name TEXT, job_type TEXT, start_time TEXT);"
        "INSERT INTO runs VALUES ('r1', 'a', 'j', '2025-01-02T03:04:05Z');"
        "CREATE TABLE events (run_id TEXT, type TEXT, ts TEXT); INSERT INTO events VALUES ('r1', 'x', 'whenever');",
    )
    ran = telemetry("import", path, "--json", code=1)
    assert ran.json["errors"][0]["field"] == "timestamp"
    assert "(in the table events)" in ran.json["errors"][0]["error"]


# NDJSON in parts


def test_a_later_line_assigns_only_what_it_says(telemetry: Telemetry, tmp_path: Path) -> None:
    start = {
        "record_type": "run", "run_id": "r1", "agent_name": "seo", "job_type": "build", "status": "running", "start_time": "2025-01-02T03:04:05Z",
        "product": "cells", "items_discovered": 9, "metrics_json": {"tokens": 3}, "context_json": {"a": 1}, "trigger_type": "cli",
    }  # fmt: skip
    end = {
        "record_type": "run",
        "run_id": "r1",
        "status": "completed",
        "end_time": "2025-01-02T04:04:05Z",
        "metrics_json": {"cost": 1},
        "odd": "x",
    }
    path = write(tmp_path / "events_20250102.ndjson", start, end)
    for _ in range(2):
        telemetry("import", path, "--format", "legacy-ndjson")
        (run,) = telemetry("query", "--json").json
        assert (run["agent_name"], run["job_type"], run["trigger_type"], run["product"]) == (
            "seo",
            "build",
            "cli",
            "cells",
        )
        assert (run["status"], run["start_time"], run["end_time"]) == (
            "success",
            "2025-01-02T03:04:05.000Z",
            "2025-01-02T04:04:05.000Z",
        )
        assert (run["items_discovered"], run["metrics_json"], run["context_json"]) == (
            9,
            {"tokens": 3, "cost": 1},
            {"a": 1, "extra": {"odd": "x"}},
        )
    assert_sound(telemetry)


def test_an_end_before_the_start_does_not_stop_the_import(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    start = {
        "run_id": "r1",
        "agent_name": "seo",
        "job_type": "build",
        "status": "running",
        "start_time": "2025-01-02T03:04:05Z",
    }
    end = {"run_id": "r1", "status": "completed", "end_time": "2025-01-01T04:04:05Z"}
    telemetry(
        "import",
        write(tmp_path / "events_20250102.ndjson", start, end),
        "--format",
        "legacy-ndjson",
    )
    (run,) = telemetry("query", "--json").json
    assert (run["status"], run["start_time"], run["end_time"]) == (
        "success",
        "2025-01-02T03:04:05.000Z",
        "2025-01-02T03:04:05.000Z",
    )


PARTS: list[dict[str, Any]] = [
    {"record_type": "run", "run_id": "r1", "agent_name": "seo", "job_type": "build", "status": "running", "start_time": "2025-01-02T03:04:05Z",
     "product": "cells", "items_discovered": 9, "metrics_json": {"tokens": 3, "cost": 0}, "odd": 1},
    {"record_type": "event", "run_id": "r1", "event_type": "step", "timestamp": "2025-01-02T03:04:06Z"},
    {"record_type": "run", "run_id": "r1", "status": "completed", "end_time": "2025-01-02T04:04:05Z", "metrics_json": {"cost": 1}, "even": "x"},
]  # fmt: skip


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_parts_of_a_run_make_the_same_run_in_any_order(
    order: tuple[int, ...], files: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    parts = [PARTS[number] for number in order]
    paths = (
        [write(tmp_path / "events_20250102.ndjson", *parts)]
        if files == 1
        else [write(tmp_path / f"{n}.ndjson", part) for n, part in enumerate(parts)]
    )
    for path in [*paths, *paths, *reversed(paths)]:
        telemetry("import", path, "--format", "legacy-ndjson")
    (run,) = telemetry("query", "--json").json
    assert (
        run["agent_name"],
        run["job_type"],
        run["status"],
        run["product"],
        run["items_discovered"],
    ) == ("seo", "build", "success", "cells", 9)
    assert (run["start_time"], run["end_time"]) == (
        "2025-01-02T03:04:05.000Z",
        "2025-01-02T04:04:05.000Z",
    )
    assert (run["created_at"], run["metrics_json"]) == (
        "2025-01-02T03:04:05.000Z",
        {"tokens": 3, "cost": 1},
    )
    assert run["context_json"] == {"extra": {"odd": 1, "even": "x"}}
    assert len(telemetry.run(run["event_id"])["events"]) == 1
    assert_sound(telemetry)


def test_what_an_end_says_is_no_gap(telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(tmp_path / "events_20250102.ndjson", PARTS[0], PARTS[2] | {"items_discovered": 0})
    for _ in range(2):
        telemetry("import", path, "--format", "legacy-ndjson")
        assert telemetry("query", "--json").json[0]["items_discovered"] == 0


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0), (2, 0, 1)])
def test_a_parent_that_a_later_line_names(
    order: tuple[int, ...], files: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    lines = (
        PARTS[0] | {"run_id": "mother"},
        PARTS[0] | {"run_id": "child"},
        PARTS[2] | {"run_id": "child", "parent_run_id": "mother"},
    )
    parts = [lines[number] for number in order]
    paths = (
        [write(tmp_path / "one.ndjson", *parts)]
        if files == 1
        else [write(tmp_path / f"{n}.ndjson", part) for n, part in enumerate(parts)]
    )
    for path in [*paths, *paths]:
        telemetry("import", path, "--format", "legacy-ndjson")
    assert telemetry.run("child")["parent_run_id"] == telemetry.run("mother")["event_id"]
    assert_sound(telemetry)


def test_a_later_line_that_makes_a_run_its_own_ancestor(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    mother, child = (
        PARTS[0] | {"run_id": "mother"},
        PARTS[0] | {"run_id": "child", "parent_run_id": "mother"},
    )
    path = write(
        tmp_path / "x.ndjson",
        mother,
        child,
        PARTS[2] | {"run_id": "mother", "parent_run_id": "child"},
    )
    telemetry("import", path, "--format", "legacy-ndjson")
    parents = {name: telemetry.run(name)["parent_run_id"] for name in ("mother", "child")}
    assert parents == {"mother": None, "child": telemetry.run("mother")["event_id"]}


# What has no place here


EVENT = {
    "record_type": "event",
    "run_id": "r1",
    "event_type": "step",
    "timestamp": "2025-01-02T03:04:06Z",
}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"severity": 3}, {"extra": {"severity": 3}}),
        ({"severity": 3, "payload": {"n": 1}}, {"n": 1, "extra": {"severity": 3}}),
        ({"severity": 3, "payload": [1]}, {"payload": [1], "extra": {"severity": 3}}),
        ({"ts": 1740823200, "timestamp": None}, {"extra": {"timestamp": 1740823200}}),
    ],
)
def test_what_an_event_says_beside_is_kept_in_its_payload(
    given: dict[str, Any], kept: object, telemetry: Telemetry, tmp_path: Path
) -> None:
    event = {name: value for name, value in (EVENT | given).items() if value is not None}
    path = write(tmp_path / "events_20250102.ndjson", PARTS[0], event, event)
    for number in (2, 0):
        ran = telemetry("import", path, "--format", "legacy-ndjson", "--json")
        assert "kept under payload_json.extra" in ran.err
        assert ran.json["events"] == number
        assert [event["payload_json"] for event in telemetry.run("r1")["events"]] == [kept, kept]
    ran = telemetry("import", path, "--format", "legacy-ndjson", "--atomic", code=1)
    assert "without --atomic it would be kept under payload_json.extra" in ran.err


@pytest.mark.parametrize("payload", [None, [1], "text", {"n": 1}, 5], ids=repr)
def test_time_in_microseconds_breaks_no_rule(
    payload: object, telemetry: Telemetry, tmp_path: Path
) -> None:
    run = {name: value for name, value in PARTS[0].items() if name != "odd"} | {
        "start_time": "2025-01-02T03:04:05.123456+00:00"
    }
    end = {
        "record_type": "run",
        "run_id": run["run_id"],
        "status": "completed",
        "end_time": "2025-01-02T03:04:06.654321+00:00",
    }
    event = EVENT | {
        "timestamp": "2025-01-02T03:04:06.654321+00:00",
        "payload_json": json.dumps(payload) if payload is not None else None,
    }
    path = write(tmp_path / "events_20250102.ndjson", run, event, end)
    ran = telemetry("import", path, "--format", "legacy-ndjson")
    assert "against the rules" not in ran.err
    assert "event.timestamp is stored to the millisecond (line 2)" in ran.err
    found = telemetry.run("r1")
    assert [(event["timestamp"], event["payload_json"]) for event in found["events"]] == [
        ("2025-01-02T03:04:06.654Z", payload)
    ]
    assert (found["start_time"], found["end_time"], found["status"]) == (
        "2025-01-02T03:04:05.123Z",
        "2025-01-02T03:04:06.654Z",
        "success",
    )
    assert found["context_json"]["extra"] == {
        "start_time": run["start_time"],
        "end_time": end["end_time"],
    }
    telemetry(
        "--base-dir",
        str(tmp_path / "whole"),
        "import",
        path,
        "--format",
        "legacy-ndjson",
        "--atomic",
    )


def test_what_a_commit_says_beside_is_kept(telemetry: Telemetry, tmp_path: Path) -> None:
    path = foreign_database(
        tmp_path / "old.sqlite",
        "CREATE TABLE agent_runs (run_id TEXT, agent_name TEXT, job_type TEXT, status TEXT, start_time TEXT);"
        "INSERT INTO agent_runs VALUES ('r1', 'a', 'j', 'success', '2025-01-02T03:04:05Z');"
        "CREATE TABLE commits (commit_hash TEXT, run_id TEXT, message TEXT, files INTEGER);"
        "INSERT INTO commits VALUES ('1234567', 'r1', 'words, password=hunter22', 3), ('abcdef1', 'gone', NULL, 4);",
    )
    event_id = str(uuid.uuid5(uuid.NAMESPACE_URL, "telemetry-cli:run:r1"))
    for _ in range(2):
        ran = telemetry("import", path)
        assert (
            "commit.files is unknown and kept under legacy_values (2 times, first on line 1)"
            in ran.err
        )
        kept = telemetry.sql(
            'SELECT event_id, "column", value FROM legacy_values ORDER BY "column"'
        )
        assert [row[:2] for row in kept] == [
            (None, "run_commits"),
            (event_id, "run_commits[1234567].files"),
            (event_id, "run_commits[1234567].message"),
        ]
        assert (json.loads(kept[0][2])["of"], json.loads(kept[0][2])["extra"]) == (
            [None, "gone"],
            {"files": 4},
        )
        assert [row[2] for row in kept[1:]] == [3, "words, password=[redacted]"]
    telemetry("import", path, "--atomic", code=1)
    assert_sound(telemetry)
