"""The index of words behind --search: names, summaries and errors of runs.

Kept by `apply` and not by triggers: SQLite 3.40 calls a virtual table unsafe in a schema that is not trusted.
"""

import sqlite3

from telemetry_cli.core.errors import InvalidInput

#: The columns whose words are found.
SEARCHED = (
    "agent_name",
    "job_type",
    "product",
    "item_name",
    "input_summary",
    "output_summary",
    "error_summary",
    "error_details",
)
FOUND_BY = frozenset(SEARCHED)
_COLUMNS = ", ".join(SEARCHED)


def add(db: sqlite3.Connection, id_: int) -> None:
    """Index a run as it stands now."""
    db.execute(
        f"INSERT INTO runs_search (rowid, {_COLUMNS}) SELECT id, {_COLUMNS} FROM agent_runs WHERE id = ?",
        (id_,),
    )


def add_after(db: sqlite3.Connection, id_: int) -> None:
    """Index the runs behind this row id, which are all new."""
    db.execute(
        f"INSERT INTO runs_search (rowid, {_COLUMNS}) SELECT id, {_COLUMNS} FROM agent_runs WHERE id > ?",
        (id_,),
    )


def remove(db: sqlite3.Connection, id_: int) -> None:
    """Take a run out of the index; before it changes, for the index finds its words by the row as it was indexed."""
    remove_where(db, "id = ?", (id_,))


def remove_where(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> None:
    """Take the runs that match out of the index, before they are gone."""
    db.execute(
        f"INSERT INTO runs_search (runs_search, rowid, {_COLUMNS}) SELECT 'delete', id, {_COLUMNS} FROM agent_runs WHERE {where}",
        values,
    )


def expression(name: str, text: str) -> str:
    """What FTS5 is asked: every word of the text, or a word that begins so, in whatever order and column.

    Raises `InvalidInput` when there is no word in it.
    """
    words = "".join(char if char.isalnum() else " " for char in text).split()
    if not words:
        raise InvalidInput(
            f"{name}: there is no word to search for in {text!r}; give letters or digits"
        )
    return " ".join(f'"{word}"*' for word in words)
