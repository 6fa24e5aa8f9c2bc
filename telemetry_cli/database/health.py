"""Check a database: integrity, schema, foreign keys, and its rows against another database."""

import sqlite3
from collections.abc import Iterator

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import DatabaseTrouble
from telemetry_cli.database.database import (
    REBUILD,
    Connection,
    open_empty,
    open_reader,
    translated,
)
from telemetry_cli.database.texts import IDENTITY

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


#: What is not made from operations alone: how far each came, what was said of each, and where the words are.
_NOT_COMPARED = ("journal_cursor", "op_results", "rejected_ops", "schema_migrations")
#: What a row is known by where its primary key is a number that the database gave it.
_NAMED_BY = {"agent_runs": ["event_id"]}
_SIDES = (("main", "again", "is not in the journal"), ("again", "main", "is missing"))
_MOST = 10


class Difference:
    """A row that is not the same: its table, its name (event_id, or the key), and what is wrong with it."""

    def __init__(self, table: str, name: str, what: str) -> None:
        self.table = table
        self.name = name
        self.what = what


def differences(path: str, again: str) -> list[Difference]:
    """What differs between the database at `path` and the one made `again`: at most ten rows of each table.

    Raises `DatabaseTrouble`.
    """
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("ATTACH ? AS again", (again,))
            return [difference for table in _tables(db) for difference in _of_table(db, table)]
        finally:
            db.close()


def is_same_but_for_texts(path: str, again: str) -> bool:
    """Tell whether the database made `again` has every row of the one at `path` and no other, by ids, states, times and numbers, and every outcome.

    Raises `DatabaseTrouble`.
    """
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("ATTACH ? AS again", (again,))
            return not any(
                _differ(db, table) for table in (*_tables(db), "op_results", "rejected_ops")
            )
        finally:
            db.close()


def _differ(db: sqlite3.Connection, table: str) -> bool:
    columns = db.execute(f"PRAGMA main.table_info({table})").fetchall()
    # What a damaged line is known by is its place in the journal, which is another one in another journal.
    names = [
        f'"{row[1]}"'
        for row in columns
        if (row[2] == "INTEGER" or row[1] in IDENTITY)
        and (table, row[1]) != ("rejected_ops", "op_id")
    ]
    grouped = f"GROUP BY {', '.join(names)}" if names else ""
    ours, made = (
        f"SELECT {', '.join((*names, 'count(*)'))} FROM {side}.{table} {grouped}"
        for side in ("main", "again")
    )
    return any(
        db.execute(f"{one} EXCEPT {other} LIMIT 1").fetchone()
        for one, other in ((ours, made), (made, ours))
    )


def _tables(db: sqlite3.Connection) -> list[str]:
    found = db.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    return [name for (name,) in found.fetchall() if name not in _NOT_COMPARED]


def _of_table(db: sqlite3.Connection, table: str) -> Iterator[Difference]:
    columns = db.execute(f"PRAGMA main.table_info({table})").fetchall()
    key = [str(column[1]) for column in sorted(columns, key=lambda column: column[5]) if column[5]]
    names = [str(column[1]) for column in columns]
    if len(key) == 1 and columns[names.index(key[0])][2] == "INTEGER":
        # A number given in the order of the rows: where one is missing, those after it have others.
        names.remove(key[0])
        key = _NAMED_BY.get(table, [])
    name = "event_id" if "event_id" in names else (key or names)[0]
    yield from _by_key(db, table, names, key, name) if key else _whole(db, table, names, name)


def _by_key(
    db: sqlite3.Connection, table: str, names: list[str], key: list[str], name: str
) -> Iterator[Difference]:
    is_same = " AND ".join(f'ours."{column}" IS made."{column}"' for column in names)
    joined = " AND ".join(f'ours."{column}" = made."{column}"' for column in key)
    for changed in db.execute(
        f'SELECT ours."{name}" FROM main.{table} AS ours JOIN again.{table} AS made ON {joined} WHERE NOT ({is_same}) LIMIT {_MOST}'
    ):
        yield Difference(table, str(changed[0]), "is not what the journal says")
    for one, other, what in _SIDES:
        query = f'SELECT ours."{name}" FROM {one}.{table} AS ours WHERE NOT EXISTS (SELECT 1 FROM {other}.{table} AS made WHERE {joined}) LIMIT {_MOST}'
        for only in db.execute(query):
            yield Difference(table, str(only[0]), what)


def _whole(db: sqlite3.Connection, table: str, names: list[str], name: str) -> Iterator[Difference]:
    """Rows that have no name of their own (an operation may make many of them) are compared as they are, and counted."""
    rows = ", ".join(f'"{column}"' for column in names)
    for one, other, what in _SIDES:
        sides = [
            f"SELECT {rows}, count(*) FROM {side}.{table} GROUP BY {rows}" for side in (one, other)
        ]
        for only in db.execute(f'SELECT "{name}" FROM ({" EXCEPT ".join(sides)}) LIMIT {_MOST}'):
            yield Difference(table, str(only[0]), what)
