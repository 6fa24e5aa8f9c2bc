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
    """The names of a table's columns, which SQLite knows in any case, in lower case; none when there is no such table."""
    return [str(row[1]).lower() for row in db.execute(f'PRAGMA table_info("{table}")')]


def count(db: Connection, table: str) -> int:
    """How many rows a table has."""
    found: int = db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
    return found


def rows(db: Connection, table: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Every row with its number, one page at a time: no cursor stays open, so whoever writes there is not delayed.

    The number is the rowid, or, in a table without, the place in the order of its primary key. Raises `InvalidInput` when the
    file is damaged.
    """
    names = columns(db, table)
    try:
        keys = _keys(db, table)
        ordered = ", ".join(keys)
        question = f'SELECT {", ".join((*keys, *map(_quoted, names)))} FROM "{table}"'
        page = db.execute(f"{question} ORDER BY {ordered} LIMIT {_PAGE}").fetchall()
        number = 0
        while page:
            for row in page:
                number = row[0] if keys == ["rowid"] else number + 1
                yield number, dict(zip(names, row[len(keys) :], strict=True))
            last = tuple(map(_bound, page[-1][: len(keys)]))
            places = ", ".join("CAST(? AS TEXT)" if isinstance(value, _Text) else "?" for value in last)
            page = db.execute(f"{question} WHERE ({ordered}) > ({places}) ORDER BY {ordered} LIMIT {_PAGE}", last).fetchall()
    except sqlite3.Error as error:
        raise InvalidInput(f"the table {table} cannot be read: {error}") from None


def having(db: Connection, table: str, column: str, values: list[object]) -> set[object]:
    """Which of the values a column of a table holds."""
    values = [value for value in values if not isinstance(_bound(value), _Text)]
    found = db.execute(f'SELECT DISTINCT {_quoted(column)} FROM "{table}" WHERE {_quoted(column)} IN ({", ".join("?" * len(values))})', values)
    return {row[0] for row in found}


class _Text(bytes):
    """Text that is no UTF-8, on its way back into a question."""


def _bound(value: object) -> object:
    if isinstance(value, str) and any("\udc80" <= char <= "\udcff" for char in value):
        return _Text(value.encode("utf-8", "surrogateescape"))
    return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _keys(db: Connection, table: str) -> list[str]:
    """What the rows of a table are told apart by: the rowid, or the columns of the primary key where it has none."""
    if any(row[1] == table and row[4] for row in db.execute(f'PRAGMA table_list("{table}")')):
        described = sorted((row[5], row[1]) for row in db.execute(f'PRAGMA table_info("{table}")') if row[5])
        return [_quoted(name) for _, name in described]
    return ["rowid"]
