"""Questions about feature rows: what hooks said about subjects, and which release said so."""

import sqlite3
from collections.abc import Iterator, Sequence

from telemetry_cli.core.errors import NotFound
from telemetry_cli.database.database import read_json
from telemetry_cli.database.pages import fetched, paged
from telemetry_cli.database.runs import Row
from telemetry_cli.database.sandbox import Guard

#: What every row carries besides its values; no column of a contract may have such a name.
COLUMNS = (
    "row_id",
    "hook",
    "subject_id",
    "hook_run",
    "version",
    "digest",
    "source_ref",
    "created_at",
    "superseded_by",
)
#: How many rows about one subject are told at once.
MOST_ABOUT = 500
#: How a line of a rows' blob begins that names a subject without a row; the others hold `id` and `values`.
GIVEN = '{"given":'
_FROM = """FROM features AS row
    JOIN hook_runs AS run ON run.id = row.hook_run
    JOIN hook_releases AS release ON release.hook = run.hook AND release.version = run.version"""
#: A row with the release behind it, whole: what `_read` makes of it is `COLUMNS`, `_JSON` and what is named here.
_SELECT = f"""SELECT row.row_id, row.hook, row.subject_id, row.hook_run, run.version, release.digest, release.source_ref,
    run.finished_at AS created_at, row.superseded_by, row."values", run.started_at, run.input_digest,
    release.config, release.argv, release.limits, release.message, release.released_at, release.actor AS released_by {_FROM}"""
_JSON = ("values", "config", "argv", "limits")


def _read(row: sqlite3.Row) -> Row:
    return dict(row) | {name: read_json(row[name]) for name in _JSON}


def _rows(db: sqlite3.Connection, query: str, values: Sequence[object]) -> list[Row]:
    return [_read(row) for row in fetched(db, query, values)]


def select(
    db: sqlite3.Connection,
    hook: str,
    columns: Sequence[str],
    guard: Guard,
    *,
    subject: str | None = None,
    expression: str | None = None,
    history: bool = False,
) -> Iterator[Row]:
    """The rows of a hook, newest first: those that hold, with `history` all.

    `expression` is SQL over `COLUMNS` and the hook's own `columns`, and is run under `guard`.
    """
    terms, values = ["row.hook = ?"], [hook]
    if not history:
        terms.append("row.superseded_by IS NULL")
    if subject is not None:
        terms.append("row.subject_id = ?")
        values.append(subject)
    search = f"SELECT row.row_id FROM features AS row WHERE {' AND '.join(terms)} ORDER BY row.row_id DESC"
    if expression is not None:
        own = "".join(f""", row."values"->>'$."{name}"' AS "{name}" """ for name in columns)
        search = (
            "SELECT row_id FROM (SELECT row.row_id, row.hook, row.subject_id, row.hook_run, run.version, release.digest, release.source_ref,"
            f" run.finished_at AS created_at, row.superseded_by{own} {_FROM} WHERE {' AND '.join(terms)}) WHERE {expression} ORDER BY row_id DESC"
        )

    def fetch(ids: list[int]) -> list[tuple[int, Row]]:
        rows = _rows(db, f"{_SELECT} WHERE row.row_id IN ({','.join('?' * len(ids))})", ids)
        return [(int(str(row["row_id"])), row) for row in rows]

    return paged(db, search, values, fetch, guard)


def get(db: sqlite3.Connection, row_id: int) -> Row:
    """A row. Raises `NotFound`."""
    found = _rows(db, f"{_SELECT} WHERE row.row_id = ?", (row_id,))
    if not found:
        raise NotFound(
            f"Feature row not found: {row_id}",
            "telemetry features query HOOK shows the ids of rows.",
        )
    return found[0]


def about(db: sqlite3.Connection, subject: str) -> list[Row]:
    """The rows about a subject that hold, by hook; `MOST_ABOUT` of them at most."""
    return _rows(
        db,
        f"{_SELECT} WHERE row.subject_id = ? AND row.superseded_by IS NULL ORDER BY row.hook, row.row_id LIMIT ?",
        (subject, MOST_ABOUT),
    )
