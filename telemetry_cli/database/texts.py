"""Every text that a database holds, table by table: for whoever looks for what should not be there, and puts something else in its place."""

import sqlite3
from collections.abc import Callable, Iterator

from telemetry_cli.database.database import ROWIDS, quote_name, quote_path, translated
from telemetry_cli.database.migrate import is_ours

#: Names that somebody gave to things.
_GIVEN = frozenset(
    ("event_id", "parent_run_id", "subject_id", "run_key", "hook", "slug", "convention")
)
#: Names of things: these, digests, states, places in the journal. Changed, they would name others.
IDENTITY = _GIVEN | {
    "op_id", "status", "created_at", "updated_at", "start_time", "end_time", "timestamp", "associated_at", "applied_at", "commit_hash", "git_commit_hash",
    "git_commit_timestamp", "git_commit_source", "superseded_by", "process_started", "boot_id", "digest", "contract_digest", "artifact_digest",
    "input_digest", "log_digest", "row_id",
}  # fmt: skip
#: Tables of ours without texts that somebody gave: a place in the journal, the index over the runs.
_OWN = (
    "journal_cursor",
    "runs_search_config",
    "runs_search_data",
    "runs_search_docsize",
    "runs_search_idx",
)

#: (table, column, text) → the text that belongs there.
Change = Callable[[str, str, str], str]


def is_name(table: str, column: str) -> bool:
    """Tell whether a column holds names that somebody gave. They are never changed."""
    return column in _GIVEN or (table, column) == ("hooks", "name")


def of(path: str) -> Iterator[tuple[str, str, str, str]]:
    """(table, key of the row, column, text) of each text in the database at `path`: names too (`is_name`), digests, times and the like left out.

    What is no UTF-8 comes as lone surrogates. The key is the first column's value. Memory: one row. Raises `DatabaseTrouble`.
    """
    with translated(path):
        db = sqlite3.connect(f"file:{quote_path(path)}?mode=ro", uri=True)
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            for table in _tables(db):
                columns = [str(row[1]) for row in _columns(db, table)]
                for row in db.execute(_selection(table, columns)):
                    for column, text in _texts(columns, row):
                        if column in IDENTITY and not is_name(table, column):
                            continue
                        yield table, str(row[0]), column, text
        finally:
            db.close()


def replace(path: str, change: Change) -> None:
    """Put the text that `change` makes of it in the place of each text in the database at `path`, and leave nothing of what was there.

    For a copy that nobody else uses yet: triggers do not see it, and killed in between it is of no use. Not flushed. Raises `DatabaseTrouble`.
    """
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        try:
            for pragma in (
                "trusted_schema = OFF",
                "synchronous = OFF",
                "foreign_keys = OFF",
                "secure_delete = ON",
            ):
                db.execute(f"PRAGMA {pragma}")
            db.execute("BEGIN IMMEDIATE")
            # Some of them keep rows from ever being changed.
            triggers = db.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid"
            ).fetchall()
            for name, _ in triggers:
                db.execute(f"DROP TRIGGER {quote_name(name)}")
            for table in _tables(db):
                _replace_in(db, table, change)
            _rebuild_indexes(db)
            for _, sql in triggers:
                db.execute(sql)
            db.execute("COMMIT")
            db.execute("VACUUM")
        finally:
            db.close()


def _replace_in(db: sqlite3.Connection, table: str, change: Change) -> None:
    described = _columns(db, table)
    columns = [str(row[1]) for row in described]
    has_rowid = not db.execute(
        "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)
    ).fetchone()[0]
    keys = [_rowid(columns)] if has_rowid else [str(row[1]) for row in described if row[5]]
    where = " AND ".join(f"{quote_name(key)} IS ?" for key in keys)
    for row in db.execute(_selection(table, [*keys, *columns])):
        changed = {}
        for column, text in _texts(columns, row[len(keys) :]):
            if column in IDENTITY or is_name(table, column):
                continue
            made = change(table, column, text)
            if made != text:
                changed[column] = (
                    made.encode(errors="surrogateescape")
                    if isinstance(row[len(keys) + columns.index(column)], bytes)
                    else made
                )
        if changed:
            places = ", ".join(f"{quote_name(column)} = ?" for column in changed)
            db.execute(
                f"UPDATE {quote_name(table)} SET {places} WHERE {where}",
                (*changed.values(), *row[: len(keys)]),
            )


def _rebuild_indexes(db: sqlite3.Connection) -> None:
    """Make every search index again from the texts as they are now."""
    virtual = db.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual'"
    ).fetchall()
    for (table,) in virtual:
        name = quote_name(table)
        try:
            db.execute(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")
        except sqlite3.OperationalError as error:
            # A virtual table of the user's that is no search index over a content.
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    """The rows of `PRAGMA table_info`: without generated columns, which are made of the others."""
    return db.execute(f"PRAGMA table_info({quote_name(table)})").fetchall()


def _rowid(columns: list[str]) -> str:
    """The name by which a table's rowid can be asked for: a column of the same name hides it."""
    hidden = {column.lower() for column in columns}
    return next(name for name in ROWIDS if name not in hidden)


def _selection(table: str, columns: list[str]) -> str:
    return f"SELECT {', '.join(map(quote_name, columns))} FROM {quote_name(table)}"


def _texts(columns: list[str], row: tuple[object, ...]) -> Iterator[tuple[str, str]]:
    for column, value in zip(columns, row, strict=True):
        if isinstance(value, (str, bytes)):
            yield (
                column,
                value if isinstance(value, str) else value.decode(errors="surrogateescape"),
            )


def _tables(db: sqlite3.Connection) -> list[str]:
    """Return the tables that hold texts of their own.

    A virtual table keeps its texts in shadow tables, which any SQLite can read, also where it does
    not know the module. The index over the runs holds their words alone, and is rebuilt.
    """
    rows = db.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main'"
        " AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    ).fetchall()
    own = _OWN if is_ours(db) else ()
    return [name for (name,) in rows if name not in own]
