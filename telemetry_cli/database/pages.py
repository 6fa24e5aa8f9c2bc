"""Answers: small ones at once, those of any size page by page: no cursor is open while a row is with the caller, and memory does not grow with the answer."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from telemetry_cli.database.sandbox import Guard

Row = dict[str, object]

#: Rows fetched at once.
PAGE = 500


def fetched(db: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
    """All rows of a small answer, by name, whatever the connection is set to."""
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(query, values).fetchall()


def paged(
    db: sqlite3.Connection,
    search: str,
    values: Sequence[object],
    fetch: Callable[[list[int]], Sequence[tuple[int, Row]]],
    guard: Guard,
) -> Iterator[Row]:
    """The rows whose ids `search` selects, in its order; `fetch` gives those of a page as (id, row), in any order.

    The search runs under `guard`, and its ids go to an unnamed temporary file.
    """
    import tempfile
    from array import array

    with tempfile.TemporaryFile() as spool:
        with guard:
            cursor = db.execute(search, values)
            while found := cursor.fetchmany(PAGE):
                spool.write(array("q", [row[0] for row in found]).tobytes())
        spool.seek(0)
        while page := spool.read(PAGE * 8):
            ids = array("q", page).tolist()
            by_id = dict(fetch(ids))
            yield from (by_id[id_] for id_ in ids if id_ in by_id)
