"""Every text that a database holds, table by table: for whoever looks for what should not be there."""

import sqlite3
from collections.abc import Iterator

from telemetry_cli.store.database import translated

#: Names of things: ids, digests, states, places in the journal. Changed, they would name others.
_IDENTITY = frozenset(
    (
        "event_id", "parent_run_id", "op_id", "status", "created_at", "updated_at", "start_time", "end_time", "timestamp", "associated_at", "applied_at",
        "commit_hash", "git_commit_hash", "git_commit_timestamp", "git_commit_source", "superseded_by", "process_started", "boot_id", "digest",
        "contract_digest", "artifact_digest", "input_digest", "log_digest", "row_id", "subject_id", "run_key",
    )
)  # fmt: skip
_OWN = ("journal_cursor", "schema_migrations")


def of(path: str) -> Iterator[tuple[str, str, str, str]]:
    """(table, key of the row, column, text) of each text in the database at `path`, ids and digests left out.

    The key is the first column's value. Memory: one row. Raises `DatabaseTrouble`.
    """
    with translated(path):
        db = sqlite3.connect(f"file:{path.replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?mode=ro", uri=True)
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            for table in _tables(db):
                columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    for column, value in zip(columns, row, strict=True):
                        if isinstance(value, str) and column not in _IDENTITY:
                            yield table, str(row[0]), column, value
        finally:
            db.close()


def _tables(db: sqlite3.Connection) -> list[str]:
    """The tables, without those of a search index, which hold nothing of their own."""
    rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").fetchall()
    virtual = [name for name, sql in rows if str(sql).upper().startswith("CREATE VIRTUAL")]
    return [name for name, _ in rows if name not in _OWN and not any(name == other or name.startswith(f"{other}_") for other in virtual)]
