"""How far the journal has been applied, and what came of each operation."""

import sqlite3

from telemetry_cli.database.database import read_json

Cursor = tuple[str, str, int, str]
#: What of the journal could not be read: its kind (`damaged`: a line; else the operation whose blob is lost), its op_id, and why.
Unreadable = tuple[str, str, str]
#: What `rejected_ops` says of it; every other code says that an operation broke a rule.
UNREADABLE = 70
#: What to do about an operation whose blob is gone or damaged.
RESTORE_BLOB = "Restore the blob from a backup of the folder; then: telemetry db rebuild"


def read_cursor(db: sqlite3.Connection) -> Cursor | None:
    """(journal_id, segment, offset, CRC of the last applied line), or None while nothing was applied."""
    row = db.execute("SELECT journal_id, segment, offset, crc FROM journal_cursor").fetchone()
    return tuple(row) if row else None


def move_cursor(db: sqlite3.Connection, cursor: Cursor) -> None:
    """Write the cursor; to be committed together with the rows it speaks of."""
    db.execute(
        "INSERT OR REPLACE INTO journal_cursor (only_row, journal_id, segment, offset, crc) VALUES (1, ?, ?, ?, ?)",
        cursor,
    )


def result_of(db: sqlite3.Connection, op_id: str) -> tuple[int, dict[str, object]] | None:
    """The exit code and json of an operation, or None while it has not been applied."""
    row = db.execute(
        "SELECT exit_code, result_json FROM op_results WHERE op_id = ?", (op_id,)
    ).fetchone()
    return (row[0], read_json(row[1])) if row else None


def unreadable(db: sqlite3.Connection) -> list[Unreadable]:
    """What could not be read on the way here, in the order in which it was met."""
    return [
        tuple(row)
        for row in db.execute(
            "SELECT kind, op_id, message FROM rejected_ops WHERE code = ? ORDER BY id",
            (UNREADABLE,),
        )
    ]
