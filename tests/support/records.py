"""What the tests of import and export work with: records, files of them, and a dump of all that is recorded."""

import json
from pathlib import Path
from typing import Any

from support import Telemetry

RUN: dict[str, Any] = {
    "event_id": "nightly-7",
    "run_id": "nightly 7",
    "agent_name": "nightly",
    "job_type": "backup",
    "status": "success",
    "created_at": "2026-03-01T12:00:01.000Z",
    "updated_at": "2026-03-01T13:00:01.000Z",
    "start_time": "2026-03-01T12:00:00.000Z",
    "end_time": "2026-03-01T13:00:00.000Z",
    "product": "cells",
    "error_details": 'tabs\t, quotes ", a colon ":, ünïcödé, a backslash \\, a\nline',
    "items_succeeded": 7,
    "duration_ms": 3_600_000,
    "git_repo": "https://github.com/example/shop",
    "git_branch": "main",
    "git_commit_hash": "5225b854aef173f537fb9fc2ca7d3748b89c9850",
    "git_commit_source": "ci",
    "metrics_json": {"cost": 0.25, "nested": {"deep": [1, None, True, "x"]}, "largest": 2**63 - 1},
    "context_json": {"attempt": 2},
    "events": [
        {
            "event_type": "checkpoint",
            "timestamp": "2026-03-01T12:10:00.000Z",
            "payload_json": {"step": "upload"},
            "trace_id": "t",
            "span_id": None,
        },
        {
            "event_type": "checkpoint",
            "timestamp": "2026-03-01T12:10:00.000Z",
            "payload_json": {"step": "upload"},
            "trace_id": "t",
            "span_id": None,
        },
        {"event_type": "note", "timestamp": "2026-03-01T12:20:00.000Z", "payload_json": "a text"},
    ],
    "commits": [
        {
            "commit_hash": "5225b854aef173f537fb9fc2ca7d3748b89c9850",
            "role": "produced",
            "source": "ci",
            "author": "Ada",
            "timestamp": "2026-03-01T12:59:00.000Z",
            "repo": "https://github.com/example/shop",
            "branch": "main",
            "associated_at": "2026-03-01T12:59:30.000Z",
        },
        {
            "commit_hash": "abcdef1",
            "role": "base",
            "source": "manual",
            "associated_at": "2026-03-01T12:00:30.000Z",
            "superseded_by": "abcdef2",
        },
    ],
}
#: The least that is a record.
LEAST = {"agent_name": "a", "job_type": "j", "start_time": "2026-01-02T03:04:05Z"}


def write(path: Path, *records: object) -> str:
    """A file of records, one JSON value per line (text as it stands); its path."""
    path.write_text(
        "".join(
            record if isinstance(record, str) else json.dumps(record) + "\n" for record in records
        ),
        encoding="utf-8",
    )
    return str(path)


def named(count: int, **fields: Any) -> list[dict[str, Any]]:
    """So many least records, named r0, r1, …"""
    return [LEAST | {"event_id": f"r{number}"} | fields for number in range(count)]


def dump(telemetry: Telemetry) -> dict[str, list[tuple[Any, ...]]]:
    """All runs, events and associations, by their content: without row ids and the operations that made them."""
    runs = [
        row[1]
        for row in telemetry.sql("PRAGMA table_info(agent_runs)")
        if row[1] not in ("id", "op_id")
    ]
    events = [
        row[1]
        for row in telemetry.sql("PRAGMA table_info(run_events)")
        if row[1] not in ("id", "op_id")
    ]
    commits = [
        row[1]
        for row in telemetry.sql("PRAGMA table_info(run_commits)")
        if row[1] not in ("id", "op_id")
    ]
    return {
        "runs": telemetry.sql(f"SELECT {','.join(runs)} FROM agent_runs ORDER BY event_id"),
        "events": telemetry.sql(
            f"SELECT {','.join(events)} FROM run_events ORDER BY event_id, timestamp, id"
        ),
        "commits": telemetry.sql(
            f"SELECT {','.join(commits)} FROM run_commits ORDER BY event_id, id"
        ),
    }
