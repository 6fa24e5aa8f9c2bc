"""Other programs' databases, read and never changed: the tables of a file, in bounded pages."""

import os
import sqlite3
from collections.abc import Iterator

from telemetry_cli.errors import InvalidInput
from telemetry_cli.store.database import Connection

_PAGE = 500


def open_foreign(path: str) -> Connection:
    """Open somebody's database read-only. Raises `InvalidInput` when that cannot be done, or when it is none."""
    try:
        if not os.path.getsize(path):
            raise InvalidInput(f"{path} is empty")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    quoted = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    # Where the folder may not be written, SQLite cannot share a database in WAL mode; with nothing beside it, it need not.
    alone = not any(os.path.exists(path + suffix) for suffix in ("-wal", "-journal"))
    for option in ("", "&immutable=1") if alone else ("",):
        db = sqlite3.connect(f"file:{quoted}?mode=ro{option}", uri=True, isolation_level=None)
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        except sqlite3.Error as error:
            db.close()
            trouble = error
            continue
        # Bytes that are no UTF-8 must not stop the rest; the rules see to them.
        db.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
        return db
    raise InvalidInput(f"{path} cannot be read as a SQLite database: {trouble}")


def columns(db: Connection, table: str) -> list[str]:
    """The names of a table's columns; none when there is no such table."""
    return [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]


def count(db: Connection, table: str) -> int:
    """How many rows a table has."""
    found: int = db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
    return found


def rows(db: Connection, table: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Every row with its number, one page at a time: no cursor stays open, so whoever writes there is not delayed.

    Raises `InvalidInput` when the file is damaged.
    """
    names = columns(db, table)
    listed = ", ".join(f'"{name}"' for name in names)
    last: int | None = None
    try:
        db.execute(f'SELECT rowid FROM "{table}" LIMIT 1')
        while page := db.execute(f'SELECT rowid, {listed} FROM "{table}" WHERE ? IS NULL OR rowid > ? ORDER BY rowid LIMIT {_PAGE}', (last, last)).fetchall():
            yield from ((row[0], dict(zip(names, row[1:], strict=True))) for row in page)
            last = page[-1][0]
    except sqlite3.Error as error:
        raise InvalidInput(f"the table {table} cannot be read: {error}") from None
