"""The same legacy rows, migrated where they are and imported elsewhere: the same runs, events and associations. Only the import takes secrets out."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry, legacy_database
from support.legacy_database import VERSIONS
from support.records import write

from telemetry_cli.core.legacy_values import jsonable

#: Values as they stand in old databases, each in a run of its own. What is no UTF-8 is text all the same.
WRONG: list[tuple[str, object]] = [
    ("status", "Failed"), ("status", "exploded"), ("status", " "), ("start_time", "2025-03-01T12:00:00+02:00"), ("start_time", "2025-03-01 10:00:00 UTC"),
    ("start_time", "once"), ("start_time", 1740823200.5), ("start_time", b"2025"), ("end_time", "2025-03-01 09:00:00"), ("end_time", 1740830400000),
    ("updated_at", "2024-01-01"), ("created_at", None), ("agent_name", ""), ("agent_name", "x" * 300), ("agent_name", " " * 300), ("job_type", "a\0b"),
    ("items_failed", -3), ("items_failed", "many"), ("items_failed", " 7 "), ("duration_ms", 12.75), ("duration_ms", "9" * 30), ("api_posted", -1),
    ("metrics_json", "[1]"), ("metrics_json", '{"a": NaN}'), ("metrics_json", b'{"a": 1}'), ("context_json", "not json"), ("context_json", ""),
    ("error_details", "é" * 40_000), ("product", b"\xff\x00"), ("product", 5), ("output_summary", "a\0b"), ("git_repo", "git@example.org:o/r"),
]  # fmt: skip
SINCE_4: list[tuple[str, object]] = [
    ("git_commit_hash", "HEAD"), ("git_commit_hash", " ABCDEF1 "), ("git_commit_source", "me"), ("git_commit_source", " LLM "),
    ("git_commit_timestamp", "then"),
]  # fmt: skip
SINCE_6: list[tuple[str, object]] = [
    ("event_id", "two words"),
    ("event_id", None),
    ("event_id", b"\xfe1"),
    ("parent_run_id", "event-1"),
    ("run_id", "a/b"),
]
#: What an operation says of itself, and the numbers of rows.
NOT_COMPARED = ("id", "op_id", "schema_version")


def old_database(path: Path, version: int) -> None:
    wrong = WRONG + (SINCE_4 if version >= 4 else []) + (SINCE_6 if version >= 6 else [])
    legacy_database.make(path, version, runs=len(wrong) + 1)
    db = sqlite3.connect(path)
    db.execute("PRAGMA ignore_check_constraints = ON")
    with db:
        if version >= 6:
            db.execute("UPDATE agent_runs SET parent_run_id = NULL")
        for number, (column, value) in enumerate(wrong, 1):
            db.execute(
                f"UPDATE agent_runs SET {column} = ? WHERE run_id = 'run-{number}'", (value,)
            )
        db.execute(
            "UPDATE agent_runs SET product = CAST(x'636166e9' AS TEXT) WHERE run_id = 'run-1'"
        )
        db.execute("UPDATE run_events SET payload_json = 'no json' WHERE run_id = 'run-2'")
        db.execute(
            "UPDATE run_events SET event_type = '', payload_json = x'00ff' WHERE run_id = 'run-3'"
        )
        db.execute(
            "UPDATE commits SET commit_hash = 'ABCDEF7', commit_date = '2025-03-01T09:00:00+02:00', author = '' WHERE run_id = 'run-2'"
        )
    db.close()


def rows(telemetry: Telemetry, table: str) -> list[dict[str, Any]]:
    db = sqlite3.connect(telemetry.database)
    db.row_factory = sqlite3.Row
    found = [
        {name: row[name] for name in row.keys() if name not in NOT_COMPARED}  # noqa: SIM118
        for row in db.execute(f"SELECT * FROM {table}")
    ]
    db.close()
    return sorted(found, key=json.dumps)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_import_and_a_migration_agree(
    version: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    other = Telemetry(tmp_path / "other")
    old_database(telemetry.database, version)
    other("import", str(telemetry.database))
    telemetry("db", "migrate")
    migrated, imported = rows(telemetry, "agent_runs"), rows(other, "agent_runs")
    extra: dict[tuple[str, str], object] = {}
    for run in imported:
        context = json.loads(run["context_json"])
        extra |= {
            (run["event_id"], column): value for column, value in context.pop("extra", {}).items()
        }
        run["context_json"] = json.dumps(context, separators=(",", ":"), sort_keys=True)
    assert sorted(imported, key=json.dumps) == migrated
    assert rows(other, "run_events") == rows(telemetry, "run_events")
    assert rows(other, "run_commits") == rows(telemetry, "run_commits")
    kept = {
        (event_id, column): value
        for event_id, column, value in telemetry.sql(
            'SELECT event_id, "column", value FROM legacy_values'
        )
        if "[" not in column
    }
    assert kept.keys() == extra.keys()
    assert {
        key: jsonable(value) for key, value in kept.items() if not isinstance(value, bytes)
    } == {key: extra[key] for key, value in kept.items() if not isinstance(value, bytes)}


SECRET = "ghp_" + "a1B2" * 9
FIELDS = {"agent_name": 200, "job_type": 200, "run_id": 255, "error_details": 64 * 1024}


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_cut_holds_no_half_of_a_secret(
    field: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    """No rule knows a secret of which a cut has left a part: the secret goes first."""
    half = FIELDS[field] if field != "error_details" else (FIELDS[field] - 70) // 2
    text = "x " * (half // 2 - 4) + SECRET + " y" * half
    run = {
        "record_type": "run",
        "event_id": "E",
        "run_id": "r",
        "agent_name": "a",
        "job_type": "j",
        "status": "success",
        "start_time": "2025-01-02 03:04:05",
    }
    telemetry(
        "import",
        write(tmp_path / "events_20250102.ndjson", run | {field: text}),
        "--format",
        "legacy-ndjson",
    )
    stored = telemetry.run("E")[field]
    assert "x x" in stored
    assert b"ghp_" not in b"".join(telemetry.files().values())


def test_what_is_said_of_a_time_that_is_none_holds_no_half_of_a_secret(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    event = {
        "record_type": "event",
        "run_id": "r",
        "event_type": "step",
        "timestamp": "x " * 30 + SECRET,
    }
    ran = telemetry(
        "import",
        write(tmp_path / "events_20250102.ndjson", event),
        "--format",
        "legacy-ndjson",
        "--json",
        code=1,
    )
    assert ran.json["errors"][0]["field"] == "timestamp"
    assert "ghp_" not in ran.out + ran.err
