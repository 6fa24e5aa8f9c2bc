"""Questions that `doctor` asks of a copy of the database."""

import sqlite3

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import DatabaseTrouble
from telemetry_cli.database.database import (
    REBUILD,
    Connection,
    open_empty,
    open_reader,
    translated,
)

Row = dict[str, object]

#: The index of words, with which SQLite makes tables of its own.
_SEARCH = "runs_search"


def open_copy(path: str) -> Connection:
    """Open a copy that nobody else uses. Raises `DatabaseTrouble`."""
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA query_only = ON")
        db.row_factory = sqlite3.Row
        return db


def rejected(db: Connection, most: int) -> tuple[list[Row], int]:
    """The newest operations that could not be applied (kind, code, message, op_id), and how many there are."""
    rows = db.execute(
        "SELECT op_id, kind, code, message FROM rejected_ops ORDER BY id DESC LIMIT ?", (most,)
    ).fetchall()
    number: int = db.execute("SELECT count(*) FROM rejected_ops").fetchone()[0]
    return [dict(row) for row in rows], number


def running_since(db: Connection, before: str) -> list[Row]:
    """The runs that started before a time and still run, oldest first: event_id, start_time, host, pid."""
    rows = db.execute(
        "SELECT event_id, start_time, host, pid FROM agent_runs WHERE status = 'running' AND start_time < ? ORDER BY start_time, id",
        (before,),
    ).fetchall()
    return [dict(row) for row in rows]


def schema_faults(db: Connection) -> tuple[list[str], list[str]]:
    """How the schema of a database differs from the one that our schema files make: what is missing or changed, and what somebody else added."""
    made = open_empty()
    try:
        ours, found = _schema(made), _schema(db)
        faults = []
        for (kind, name), (table, sql) in ours.items():
            if (kind, name) not in found:
                # What hangs on a table is gone with it.
                faults += (
                    [f"the {kind} {name} is missing"]
                    if name == table or ("table", table) in found
                    else []
                )
            elif found[kind, name][1] != sql:
                lacking = _columns(made, name) - _columns(db, name)
                faults.append(
                    f"the {kind} {name} "
                    + (
                        f"lacks the column {', '.join(sorted(lacking))}"
                        if lacking
                        else "is not as our schema makes it"
                    )
                )
        return faults, [f"the {kind} {name}" for kind, name in found if (kind, name) not in ours]
    finally:
        made.close()


def missing(config: Config) -> DatabaseTrouble | None:
    """What to say of a database that lacks something of our schema; None where it has everything. Raises `DatabaseTrouble` or `Refused`."""
    db = open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)
    if db is None:
        return None
    try:
        with translated(config.db_path):
            faults, _ = schema_faults(db)
    finally:
        db.close()
    return (
        DatabaseTrouble(
            f"{config.db_path} does not have the tables of its version: {'; '.join(faults)}",
            REBUILD,
        )
        if faults
        else None
    )


def _schema(db: Connection) -> dict[tuple[str, str], tuple[str, str]]:
    """Everything with a statement of its own: (kind, name) → (its table, the statement). Not what SQLite makes for itself and for the search index."""
    rows = db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    ).fetchall()
    return {
        (kind, name): (table, sql)
        for kind, name, table, sql in rows
        if not name.startswith(("sqlite_", f"{_SEARCH}_"))
    }


def _columns(db: Connection, table: str) -> set[str]:
    return {str(name) for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def search_fault(path: str) -> str | None:
    """What FTS5 says of the index of words where it is not that of the rows of the copy at `path`, which is to be thrown away."""
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
    try:
        # The rank asks it to read the rows too; without, it looks at itself alone.
        db.execute(f"INSERT INTO {_SEARCH} ({_SEARCH}, rank) VALUES ('integrity-check', 1)")
    except sqlite3.Error as error:
        return str(error)
    finally:
        db.close()
    return None
