"""Every text that a database holds, table by table: for whoever looks for what should not be there, and puts something else in its place."""

import sqlite3
from collections.abc import Callable, Iterator

from telemetry_cli.database.database import translated

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
_OWN = ("journal_cursor", "schema_migrations")

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
        db = sqlite3.connect(
            f"file:{path.replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?mode=ro",
            uri=True,
        )
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            for table in _tables(db):
                columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
                for row in db.execute(f'SELECT * FROM "{table}"'):
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
                db.execute(f'DROP TRIGGER "{name}"')
            for table in _tables(db):
                _replace_in(db, table, change)
            db.execute("INSERT INTO runs_search (runs_search) VALUES ('rebuild')")
            for _, sql in triggers:
                db.execute(sql)
            db.execute("COMMIT")
            db.execute("VACUUM")
        finally:
            db.close()


def _replace_in(db: sqlite3.Connection, table: str, change: Change) -> None:
    described = db.execute(f'PRAGMA table_info("{table}")').fetchall()
    columns = [str(row[1]) for row in described]
    has_rowid = not db.execute(
        "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)
    ).fetchone()[0]
    keys = ["rowid"] if has_rowid else [str(row[1]) for row in described if row[5]]
    where = " AND ".join(f'"{key}" IS ?' for key in keys)
    for row in db.execute(f'SELECT {", ".join(keys)}, * FROM "{table}"'):
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
            places = ", ".join(f'"{column}" = ?' for column in changed)
            db.execute(
                f'UPDATE "{table}" SET {places} WHERE {where}',
                (*changed.values(), *row[: len(keys)]),
            )


def _texts(columns: list[str], row: tuple[object, ...]) -> Iterator[tuple[str, str]]:
    for column, value in zip(columns, row, strict=True):
        if isinstance(value, (str, bytes)):
            yield (
                column,
                value if isinstance(value, str) else value.decode(errors="surrogateescape"),
            )


def _tables(db: sqlite3.Connection) -> list[str]:
    """The tables, without those of a search index, which hold nothing of their own."""
    rows = db.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    virtual = [name for name, sql in rows if str(sql).upper().startswith("CREATE VIRTUAL")]
    return [
        name
        for name, _ in rows
        if name not in _OWN
        and not any(name == other or name.startswith(f"{other}_") for other in virtual)
    ]
