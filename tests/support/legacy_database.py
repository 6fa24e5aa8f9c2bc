"""Databases as the local telemetry platform makes them, schema versions 1 to 7, with rows in every table.

Its events and commits refer to `agent_runs (run_id)`, which is not unique since version 6, and it never enforces that: SQLite's own
check of foreign keys cannot even run on such a database.
"""

import sqlite3
from pathlib import Path

VERSIONS = range(1, 8)

_FIRST = """
    agent_name TEXT NOT NULL, agent_owner TEXT, job_type TEXT NOT NULL, trigger_type TEXT, status TEXT, start_time TEXT NOT NULL, end_time TEXT,
    created_at TEXT, updated_at TEXT, duration_ms INTEGER, items_discovered INTEGER DEFAULT 0, items_succeeded INTEGER DEFAULT 0,
    items_failed INTEGER DEFAULT 0, items_skipped INTEGER DEFAULT 0, input_summary TEXT, output_summary TEXT, source_ref TEXT, target_ref TEXT,
    error_summary TEXT, error_details TEXT, product TEXT, platform TEXT, git_repo TEXT, git_branch TEXT, git_run_tag TEXT, host TEXT, environment TEXT,
    metrics_json TEXT, context_json TEXT, api_posted INTEGER DEFAULT 0, api_posted_at TEXT, api_retry_count INTEGER DEFAULT 0"""
_ADDED = {
    2: ["insight_id TEXT"],
    3: ["product_family TEXT", "subdomain TEXT"],
    4: [
        "git_commit_hash TEXT",
        "git_commit_source TEXT",
        "git_commit_author TEXT",
        "git_commit_timestamp TEXT",
    ],
    5: ["website TEXT", "website_section TEXT", "item_name TEXT"],
    6: ["parent_run_id TEXT"],
}
#: Which columns came with which version, and a value for each.
VALUES: dict[int, dict[str, object]] = {
    1: {
        "agent_owner": "ops", "trigger_type": "cron", "duration_ms": 1500, "items_discovered": 9, "items_succeeded": 7, "items_failed": 1, "items_skipped": 1,
        "input_summary": "in", "output_summary": "out", "source_ref": "s", "target_ref": "t", "error_summary": "e", "error_details": "dé",
        "product": "shop", "platform": "web", "git_repo": "https://github.com/example/shop", "git_branch": "main", "git_run_tag": "shop/main", "host": "h1",
        "environment": "staging", "metrics_json": '{"tokens": 12, "cost": 0.5}', "context_json": '{"b": [1], "a": null}', "api_posted": 1,
        "api_posted_at": "2025-03-01 10:00:05", "api_retry_count": 2,
    },
    2: {"insight_id": "i-1"},
    3: {"product_family": "f", "subdomain": "sub"},
    4: {
        "git_commit_hash": "ABCDEF0123456789ABCDEF0123456789ABCDEF01", "git_commit_source": "CI", "git_commit_author": "Ada <ada@example.org>",
        "git_commit_timestamp": "2025-03-01T09:00:00+02:00",
    },
    5: {"website": "w", "website_section": "ws", "item_name": "item"},
    6: {"parent_run_id": "run-1"},
}  # fmt: skip
#: What the platform's client writes of a run: times from Python's isoformat(), and NULL where nothing was said.
BY_CLIENT: dict[str, object] = {
    "start_time": "2025-03-01T10:00:02.123456+00:00", "end_time": "2025-03-01T11:00:00.250000+00:00", "duration_ms": None, "trigger_type": None,
    "input_summary": None, "error_summary": None, "error_details": None, "api_posted_at": None,
}  # fmt: skip
#: The number of the run that is as the client writes it; the others have a value in every column.
CLIENTS = 2
CANONICAL = "CHECK (status IN ('running', 'success', 'failure', 'partial', 'timeout', 'cancelled'))"
DESCRIPTION = "platform schema"


def make(
    path: Path,
    version: int,
    *,
    runs: int = 3,
    without: tuple[str, ...] = (),
    journal_mode: str = "delete",
) -> None:
    """Make a database of this version: so many runs, `run-1` first, an event and a commit for each, one of each whose run is gone, a table of the user's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o700)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA journal_mode = {journal_mode}")
    db.execute("BEGIN")
    db.execute(
        "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL, description TEXT)"
    )
    db.executemany(
        "INSERT INTO schema_migrations VALUES (?, '2025-01-01T00:00:00Z', ?)",
        [(number, f"{DESCRIPTION} {number}") for number in range(1, version + 1)],
    )
    key = (
        "id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT UNIQUE, run_id TEXT NOT NULL"
        if version >= 6
        else "run_id TEXT PRIMARY KEY"
    )
    added = [
        column
        for number, columns in _ADDED.items()
        if number <= version
        for column in columns
        if column.split()[0] not in without
    ]
    columns = _FIRST.replace("status TEXT", f"status TEXT {CANONICAL if version >= 6 else ''}")
    db.execute(
        f"CREATE TABLE agent_runs ({key}, {columns}{''.join(', ' + column for column in added)})"
    )
    db.execute("CREATE INDEX idx_runs_agent ON agent_runs (agent_name)")
    if version >= 7:
        db.execute("CREATE INDEX agent_runs_job_type ON agent_runs (job_type)")
    db.execute("CREATE VIEW recent AS SELECT run_id, start_time FROM agent_runs")
    of_run = "run_id TEXT {} REFERENCES agent_runs (run_id)"
    db.execute(
        f"CREATE TABLE run_events (id INTEGER PRIMARY KEY AUTOINCREMENT, {of_run.format('NOT NULL')}, event_type TEXT NOT NULL, timestamp TEXT NOT NULL,"
        " payload_json TEXT)"
    )
    db.execute(
        f"CREATE TABLE commits (commit_hash TEXT PRIMARY KEY, {of_run.format('')}, repo TEXT, branch TEXT, commit_date TEXT, author TEXT, message TEXT)"
    )
    db.execute(f"CREATE TABLE favourites ({of_run.format('')}, stars INTEGER)")
    insert(db, "favourites", FAVOURITE)
    for number in range(1, runs + 1):
        insert(db, "agent_runs", row(version, number, without))
        insert(
            db,
            "run_events",
            {
                "run_id": f"run-{number}",
                "event_type": "checkpoint",
                "timestamp": "2025-03-01 10:00:01",
                "payload_json": f'{{"n": {number}}}',
            },
        )
        insert(db, "commits", commit(number))
    insert(
        db,
        "run_events",
        {
            "run_id": "gone",
            "event_type": "checkpoint",
            "timestamp": "2025-03-01T10:00:01",
            "payload_json": "[1]",
        },
    )
    insert(db, "commits", ORPHAN)
    db.execute("COMMIT")
    db.close()


def insert(db: sqlite3.Connection, table: str, values: dict[str, object]) -> None:
    """Add a row."""
    db.execute(
        f"INSERT INTO {table} ({','.join(values)}) VALUES ({','.join('?' * len(values))})",
        tuple(values.values()),
    )


def row(version: int, number: int, without: tuple[str, ...] = ()) -> dict[str, object]:
    """Return a run of this version."""
    values: dict[str, object] = {
        "run_id": f"run-{number}", "agent_name": "crawler", "job_type": "crawl", "status": "success" if version >= 6 else "Completed",
        "start_time": f"2025-03-01 10:{number // 60 % 60:02}:{number % 60:02}", "end_time": "2025-03-01T13:00:00.250000+02:00",
        "created_at": "2025-03-01 10:00:00", "updated_at": "2025-03-01T11:00:01Z",
    }  # fmt: skip
    if version >= 6:
        values["event_id"] = f"event-{number}"
    for since, columns in VALUES.items():
        if since <= version:
            values |= {name: value for name, value in columns.items() if name not in without}
    return values | BY_CLIENT if number == CLIENTS else values


def commit(number: int) -> dict[str, object]:
    """A row of `commits`."""
    return {
        "commit_hash": f"{number:040x}", "run_id": f"run-{number}", "repo": "https://github.com/example/shop", "branch": "main",
        "commit_date": "2025-03-01 09:00:00", "author": "Ada", "message": f"work {number}",
    }  # fmt: skip


#: The commit whose run is gone, and the row of the user's own table.
ORPHAN = commit(0) | {"run_id": "gone"}
FAVOURITE: dict[str, object] = {"run_id": "run-1", "stars": 5}
