"""Questions that `doctor` asks of a copy of the database."""

import sqlite3

from telemetry_cli.store.database import Connection, translated

Row = dict[str, object]


def open_copy(path: str) -> Connection:
    """Open a copy that nobody else uses. Raises `DatabaseTrouble`."""
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA query_only = ON")
        db.row_factory = sqlite3.Row
        return db


def rejected(db: Connection, most: int) -> tuple[list[Row], int]:
    """The newest operations that could not be applied (kind, code, message, op_id), and how many there are."""
    rows = db.execute("SELECT op_id, kind, code, message FROM rejected_ops ORDER BY id DESC LIMIT ?", (most,)).fetchall()
    number: int = db.execute("SELECT count(*) FROM rejected_ops").fetchone()[0]
    return [dict(row) for row in rows], number


def running_since(db: Connection, before: str) -> list[Row]:
    """The runs that started before a time and still run, oldest first: event_id, start_time, host, pid."""
    rows = db.execute(
        "SELECT event_id, start_time, host, pid FROM agent_runs WHERE status = 'running' AND start_time < ? ORDER BY start_time, id", (before,)
    ).fetchall()
    return [dict(row) for row in rows]
