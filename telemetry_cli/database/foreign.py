"""Read the databases of other programs for imports, and number repeated events."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database.database import ROWIDS, Connection, quote_name, quote_path

_PAGE = 500


def open_foreign(path: str) -> Connection:
    """Open somebody's database read-only. Raises `InvalidInput` when that cannot be done, or when it is none."""
    try:
        if not os.path.getsize(path):
            raise InvalidInput(f"{path} is empty")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    quoted = quote_path(os.path.abspath(path))
    # Where the folder may not be written, SQLite cannot share a database in WAL mode; with nothing beside it, it need not.
    alone = not any(os.path.exists(path + suffix) for suffix in ("-wal", "-journal"))
    for option in ("", "&immutable=1") if alone else ("",):
        db = None
        try:
            db = sqlite3.connect(f"file:{quoted}?mode=ro{option}", uri=True, isolation_level=None)
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        except sqlite3.Error as error:
            if db is not None:
                db.close()
            trouble = error
            continue
        # Bytes that are no UTF-8 must not stop the rest; the rules see to them.
        db.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
        return db
    raise InvalidInput(f"{path} cannot be read as a SQLite database: {trouble}")


@contextmanager
def _reading(table: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise InvalidInput(f"the table {table} cannot be read: {error}") from None


def columns(db: Connection, table: str) -> list[str]:
    """The names of a table's columns, which SQLite knows in any case, in lower case; none when there is no such table. Raises `InvalidInput`."""
    with _reading(table):
        return [str(row[1]).lower() for row in db.execute(f'PRAGMA table_info("{table}")')]


def count(db: Connection, table: str) -> int:
    """How many rows a table has. Raises `InvalidInput` when the file is damaged."""
    with _reading(table):
        found: int = db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        return found


def rows(db: Connection, table: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Every row with its number, one page at a time: no cursor stays open, so whoever writes there is not delayed.

    The number is the rowid, or, in a table without, the place in the order of its primary key. Raises `InvalidInput` when the
    file is damaged.
    """
    names = columns(db, table)
    with _reading(table):
        keys = _keys(db, table, names)
        if keys:
            yield from _pages(db, f'"{table}"', keys, [quote_name(name) for name in names], names)
            return
        # A view has nothing to go on by: it is asked once, and what it says is kept in a file of SQLite's own.
        plain = [f"c{number}" for number in range(len(names))]
        copied = ", ".join(
            f"{quote_name(name)} AS {new}" for name, new in zip(names, plain, strict=True)
        )
        db.execute(f'CREATE TEMP TABLE telemetry_copy AS SELECT {copied} FROM "{table}"')
        yield from _pages(db, "temp.telemetry_copy", ["rowid"], plain, names)
        db.execute("DROP TABLE temp.telemetry_copy")


def _pages(
    db: Connection, table: str, keys: list[str], asked: list[str], names: list[str]
) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows in the order of what tells them apart; `asked` are the columns in SQL, `names` what their values go by."""
    ordered = ", ".join(keys)
    question = f"SELECT {', '.join((*keys, *asked))} FROM {table}"
    page = db.execute(f"{question} ORDER BY {ordered} LIMIT {_PAGE}").fetchall()
    number = 0
    while page:
        for row in page:
            number = row[0] if keys[0] in ROWIDS else number + 1
            yield number, dict(zip(names, row[len(keys) :], strict=True))
        last = tuple(map(_bound, page[-1][: len(keys)]))
        places = ", ".join("CAST(? AS TEXT)" if isinstance(value, _Text) else "?" for value in last)
        page = db.execute(
            f"{question} WHERE ({ordered}) > ({places}) ORDER BY {ordered} LIMIT {_PAGE}", last
        ).fetchall()


def having(db: Connection, table: str, column: str, values: list[object]) -> set[object]:
    """Which of the values a column of a table holds. Raises `InvalidInput` when the file is damaged."""
    values = [value for value in values if not isinstance(_bound(value), _Text)]
    question = f'SELECT DISTINCT {quote_name(column)} FROM "{table}" WHERE {quote_name(column)} IN ({", ".join("?" * len(values))})'
    with _reading(table):
        return {row[0] for row in db.execute(question, values)}


class _Text(bytes):
    """Text that is no UTF-8, on its way back into a question."""


def _bound(value: object) -> object:
    if isinstance(value, str) and any("\udc80" <= char <= "\udcff" for char in value):
        return _Text(value.encode("utf-8", "surrogateescape"))
    return value


def _keys(db: Connection, table: str, names: list[str]) -> list[str]:
    """What the rows of a table are told apart by: the rowid, or the columns of the primary key where it has none; nothing in a view.

    A column may have taken a name of the rowid; where all are taken, there is nothing either.
    """
    kind, has_no_rowid = next(
        (
            (row[2], row[4])
            for row in db.execute(f'PRAGMA table_list("{table}")')
            if row[1].lower() == table
        ),
        ("view", 0),
    )
    if has_no_rowid:
        described = sorted(
            (row[5], row[1]) for row in db.execute(f'PRAGMA table_info("{table}")') if row[5]
        )
        return [quote_name(name) for _, name in described]
    return [] if kind == "view" else [name for name in ROWIDS if name not in names][:1]


class Repeats:
    """How often a line was there before, exactly, in memory that stays flat: the digests are in a file of SQLite's own."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None

    def numbered(self, place: str, line: bytes) -> bytes:
        """The line of an event; from the second of those that are the same in one place on with its number."""
        if not line.startswith(b'{"event"'):
            return line
        if self._db is None:
            # Here and not sooner: whoever counts may be a process that was forked meanwhile.
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.execute(
                "CREATE TABLE seen (digest BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID"
            )
            self._db.execute("BEGIN")
        digest = sha256(place.encode() + b"\0" + line).digest()[:16]
        question = "INSERT INTO seen VALUES (?, 0) ON CONFLICT DO UPDATE SET number = number + 1 RETURNING number"
        number: int = self._db.execute(question, (digest,)).fetchall()[0][0]
        return line if not number else line.removesuffix(b"}\n") + b',"nth":%d}\n' % number
