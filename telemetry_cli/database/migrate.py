"""Bring a database to the current schema: the numbered SQL files, each applied once, in the caller's transaction."""

import os
import sqlite3

from telemetry_cli.core.tables import SCHEMA_VERSION

_FOLDER = os.path.join(os.path.dirname(__file__), "schema")
#: The first schema of this program; what is older belongs to the platform (see `legacy`).
FIRST_VERSION = 8


def apply_schema(db: sqlite3.Connection, at: str, version: int = 0) -> None:
    """Bring a database from `version` (0: an empty one) to the current schema.

    The caller holds the writer lock and an IMMEDIATE transaction. Not `executescript`, which commits what came before it: half
    a schema must not survive a kill.
    """
    for number, name in migrations():
        if number <= version:
            continue
        with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
            for statement in _statements(file.read()):
                db.execute(statement)
        description = name[5:-4].replace("_", " ")
        db.execute(
            "INSERT INTO schema_migrations (version, applied_at, description) VALUES (?, ?, ?)",
            (number, at, description),
        )
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def is_ours(db: sqlite3.Connection) -> bool:
    """Return whether a database has the tables of this program, and not only tables named so."""
    return all(
        db.execute(f"SELECT 1 FROM pragma_table_info('{table}') WHERE name = '{column}'").fetchone()
        for table, column in (("journal_cursor", "journal_id"), ("agent_runs", "op_id"))
    )


def noted_version(db: sqlite3.Connection) -> int | None:
    """The version that a database of ours notes beside each migration; None for any other. A bit may flip in `user_version`, which says it too."""
    if not is_ours(db):
        return None
    found: int | None = db.execute("SELECT max(version) FROM schema_migrations").fetchone()[0]
    return found


def migrations() -> list[tuple[int, str]]:
    """Return (version, file name) of each migration, oldest first."""
    return [(int(name[:4]), name) for name in sorted(os.listdir(_FOLDER)) if name.endswith(".sql")]


def _statements(script: str) -> list[str]:
    statements, start = [], 0
    for end, char in enumerate(script, 1):
        if char == ";" and sqlite3.complete_statement(script[start:end]):
            statements.append(script[start:end])
            start = end
    return statements
