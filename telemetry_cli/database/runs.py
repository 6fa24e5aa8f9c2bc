"""Query runs and their events."""

import sqlite3
from collections.abc import Iterator, Sequence
from os.path import commonprefix

from telemetry_cli.core.clock import now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import Conflict, InvalidInput, NotFound
from telemetry_cli.core.tables import RUN_FIELDS
from telemetry_cli.core.values import encode, looks_random
from telemetry_cli.database.database import Connection, translated
from telemetry_cli.database.filters import RunFilter
from telemetry_cli.database.sandbox import Guard

Row = dict[str, object]

#: The columns of `agent_runs`, in the order of the data model: json, csv and --columns go by it.
COLUMNS = ("id", "event_id", "run_id", "schema_version", "op_id", *list(RUN_FIELDS)[2:])
EVENT_COLUMNS = (
    "id",
    "event_id",
    "run_id",
    "event_type",
    "timestamp",
    "payload_json",
    "trace_id",
    "span_id",
    "parent_span_id",
    "op_id",
)

_PAGE = 500
_MOST_CANDIDATES = 10
#: How many runs a note names.
_MOST_NAMED = 3
_DEEPEST_TREE = 100
#: How much of an event id is shown at least.
_RANDOM_PREFIX, _READABLE_PREFIX = 8, 20


# RUN


def resolve(
    db: sqlite3.Connection, reference: str, moment: str
) -> tuple[int, str, str, str | None]:
    """Return the run that a RUN means at a moment (a stored time), as (id, event_id, run_id, note).

    `note` is said to the user when the reference was not exact. Raises `NotFound`, or `Conflict` listing the candidates.
    """
    if reference.startswith("@"):
        return _find_last(db, reference, moment)
    found = db.execute(
        "SELECT id, event_id, run_id FROM agent_runs WHERE event_id = ?", (reference,)
    ).fetchone()
    if found:
        return (*found, None)
    named = db.execute(
        "SELECT id, event_id, run_id FROM agent_runs WHERE run_id = ? ORDER BY start_time DESC, id DESC LIMIT 2",
        (reference,),
    ).fetchall()
    if named:
        return (
            *named[0],
            f"several runs are named {reference}; the newest is taken: {named[0][1]}"
            if len(named) > 1
            else None,
        )
    candidates = _by_prefix(db, reference) if len(reference) >= 4 else []
    if len(candidates) == 1:
        return (*candidates[0], None)
    if candidates:
        listed = "".join(
            f"\n  {event_id}  {run_id}" for _, event_id, run_id in candidates[:_MOST_CANDIDATES]
        )
        raise Conflict(
            f"{reference} is the beginning of several event ids:{listed}{_more(candidates)}",
            "Give more characters.",
        )
    raise NotFound(f"Run not found: {reference}")


def _find_last(
    db: sqlite3.Connection, reference: str, moment: str
) -> tuple[int, str, str, str | None]:
    """Return the run that started last, up to the moment, and a note on runs with a later start.

    A wrong clock may have dated a run into the future; such a run counts only until another run is
    recorded. Not at once, because the clock may have been set back since the newest run was
    recorded, by a second or an hour, and its end must still find it. Raises `NotFound`.
    """
    only, values = (
        ("agent_name = ?", (reference[6:],)) if reference.startswith("@last:") else ("true", ())
    )
    # The subquery is evaluated only where there is such a run. Written with OR, the condition
    # would keep SQLite from using the index's order.
    is_ahead = f"start_time > ? AND id <> (SELECT max(id) FROM agent_runs WHERE {only})"
    found = db.execute(
        f"SELECT id, event_id, run_id, start_time FROM agent_runs WHERE {only} AND NOT ({is_ahead}) ORDER BY start_time DESC, id DESC LIMIT 1",
        (*values, moment, *values),
    ).fetchone()
    if found is None:
        raise NotFound(f"Run not found: {reference}")
    # The plus makes SQLite search by start: few runs are in the future, and an agent may have millions.
    ahead = db.execute(
        f"SELECT event_id, start_time FROM agent_runs WHERE +{only} AND start_time > ? ORDER BY start_time, id LIMIT ?",
        (*values, max(moment, found[3]), _MOST_NAMED + 1),
    ).fetchall()
    if not ahead:
        return (*found[:3], None)
    listed = [f"{event_id} ({start})" for event_id, start in ahead[:_MOST_NAMED]]
    listed += ["…"] if len(ahead) > _MOST_NAMED else []
    note = f"{reference} ignores runs that start in the future: {', '.join(listed)}"
    return (*found[:3], note)


def _by_prefix(db: sqlite3.Connection, prefix: str) -> list[tuple[int, str, str]]:
    return db.execute(
        "SELECT id, event_id, run_id FROM agent_runs WHERE event_id >= ? AND event_id < ? ORDER BY event_id LIMIT ?",
        (prefix, prefix + "\U0010ffff", _MOST_CANDIDATES + 1),
    ).fetchall()


def shortest_prefixes(db: sqlite3.Connection, event_ids: Sequence[str]) -> dict[str, str]:
    """Event ids → the beginning that is shown in their place: it means this run and no other.

    Of a random one 8 characters, so that it goes on being enough for a while; of one that somebody made up 20. More where a
    neighbour in the index begins the same, or a run is named like that.
    """
    neighbours = db.execute(
        """SELECT value, (SELECT max(event_id) FROM agent_runs WHERE event_id < value), (SELECT min(event_id) FROM agent_runs WHERE event_id > value)
           FROM json_each(?)""",
        (encode(event_ids),),
    )
    found = {
        event_id: _apart(event_id, before or "", after or "")
        for event_id, before, after in neighbours
    }
    named = db.execute(
        "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM agent_runs WHERE run_id = value)",
        (encode(list(found.values())),),
    )
    taken = {name for (name,) in named}
    return {
        event_id: _longer(db, event_id, len(prefix)) if prefix in taken else prefix
        for event_id, prefix in found.items()
    }


def _apart(event_id: str, *neighbours: str) -> str:
    need = _RANDOM_PREFIX if looks_random(event_id) else _READABLE_PREFIX
    # The ids are compared by character, not as paths.
    shared = [len(commonprefix((event_id, other))) for other in neighbours]  # noqa: RUF071
    return event_id[: max(need, *(length + 1 for length in shared))]


def _longer(db: sqlite3.Connection, event_id: str, length: int) -> str:
    while (
        length < len(event_id)
        and db.execute("SELECT 1 FROM agent_runs WHERE run_id = ?", (event_id[:length],)).fetchone()
    ):
        length += 1
    return event_id[:length]


def _more(candidates: Sequence[object]) -> str:
    return "\n  …" if len(candidates) > _MOST_CANDIDATES else ""


# Lists of runs


class Reading:
    """A read-only connection `db`, None if there is no database; `notes` go with every answer."""

    def __init__(self, config: Config, db: Connection | None, notes: list[str]) -> None:
        self.config = config
        self.db = db
        self.notes = notes

    def run(self, reference: str) -> tuple[Connection, int, str, str]:
        """Resolve a RUN argument to (the connection, id, event_id, run_id).

        Raises `NotFound` with the notes on pending operations, or `Conflict` with the candidates.
        """
        waiting = "; ".join(self.notes)
        if self.db is None:
            raise NotFound(
                f"Run not found: {reference}",
                waiting or "Nothing has been recorded yet; begin with: telemetry run start",
            )
        with translated(self.config.db_path):
            try:
                id_, event_id, run_id, note = resolve(self.db, reference, stamp(now()))
            except NotFound as error:
                raise NotFound(error.message, waiting) from None
        if note:
            self.notes.append(note)
        return self.db, id_, event_id, run_id

    def prefixes(self, event_ids: Sequence[str]) -> dict[str, str]:
        """Map event_ids to their shortest prefixes that are unique as a RUN argument."""
        if self.db is None:
            return {}
        with translated(self.config.db_path):
            return shortest_prefixes(self.db, event_ids)


def check_column(name: str, field: str) -> str:
    """Return a column's name as it stands in SQL. Raises `InvalidInput` listing what is valid."""
    if field not in COLUMNS:
        raise InvalidInput(f"{name}: no field {field!r}; valid are {', '.join(COLUMNS)}")
    return field


def select(db: sqlite3.Connection, filters: RunFilter, guard: Guard) -> Iterator[Row]:
    """The runs that match, one page at a time; the search for them runs under `guard`.

    No cursor is open while a row is with the caller, however slowly it is printed, and memory does not grow with the
    result.
    """
    limit = filters.limit or -1
    if 0 < limit <= _PAGE:
        with guard:
            rows = db.execute(
                f"SELECT * FROM agent_runs {filters.clause} {filters.order} LIMIT ? OFFSET ?",
                (*filters.values, limit, filters.offset),
            ).fetchall()
        yield from map(dict, rows)
        return
    from telemetry_cli.database.sandbox import paged

    def fetch(ids: list[int]) -> list[tuple[int, Row]]:
        return [
            (row["id"], dict(row))
            for row in db.execute(
                f"SELECT * FROM agent_runs WHERE id IN ({','.join('?' * len(ids))})", ids
            )
        ]

    yield from paged(
        db,
        f"SELECT id FROM agent_runs {filters.clause} {filters.order} LIMIT ? OFFSET ?",
        (*filters.values, limit, filters.offset),
        fetch,
        guard,
    )


def count(db: sqlite3.Connection, filters: RunFilter) -> int:
    """How many runs match; limit and offset do not matter."""
    found: int = db.execute(
        f"SELECT count(*) FROM agent_runs {filters.clause}", filters.values
    ).fetchone()[0]
    return found


def get(db: sqlite3.Connection, id_: int) -> Row:
    """A run by its row id. Raises `NotFound`."""
    row = db.execute("SELECT * FROM agent_runs WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise NotFound(f"Run not found: row {id_}")
    return dict(row)


def children(db: sqlite3.Connection, event_id: str, run_id: str) -> list[Row]:
    """The runs that were started under this one, oldest first."""
    rows = db.execute(
        "SELECT event_id, run_id, agent_name, job_type, status, start_time, end_time, duration_ms FROM agent_runs"
        " WHERE parent_run_id IN (?, ?) AND event_id <> ? ORDER BY start_time, id",
        (event_id, run_id, event_id),
    ).fetchall()
    return [dict(row) for row in rows]


def tree(db: sqlite3.Connection, event_id: str) -> list[Row]:
    """A run and all that was started under it, each with its `depth`, parents before their children, oldest first."""
    rows = db.execute(
        """WITH RECURSIVE below (event_id, run_id, depth, path) AS (
               SELECT event_id, run_id, 0, '' FROM agent_runs WHERE event_id = ?
               UNION ALL
               SELECT child.event_id, child.run_id, depth + 1, path || printf('/%s%020d', child.start_time, child.id)
               FROM agent_runs AS child JOIN below ON child.parent_run_id IN (below.event_id, below.run_id)
               WHERE depth < ? AND child.event_id <> ?
           )
           SELECT depth, event_id, agent_runs.run_id, agent_name, job_type, status, start_time, end_time, duration_ms, error_summary,
                  host, pid, process_started, boot_id
           FROM below JOIN agent_runs USING (event_id) ORDER BY path""",
        (event_id, _DEEPEST_TREE, event_id),
    ).fetchall()
    return [dict(row) for row in rows]


# Events


def events(db: sqlite3.Connection, event_id: str, event_type: str | None = None) -> Iterator[Row]:
    """The events of a run, oldest first, one page at a time."""
    only = "AND event_type = ?" if event_type is not None else ""
    after: tuple[object, ...] = ("", 0)
    while True:
        rows = db.execute(
            f"SELECT * FROM run_events WHERE event_id = ? AND (timestamp, id) > (?, ?) {only} ORDER BY timestamp, id LIMIT ?",
            (event_id, *after, *([event_type] if event_type is not None else []), _PAGE),
        ).fetchall()
        yield from map(dict, rows)
        if len(rows) < _PAGE:
            return
        after = (rows[-1]["timestamp"], rows[-1]["id"])


def events_of(db: sqlite3.Connection, event_ids: Sequence[str]) -> dict[object, list[Row]]:
    """The events of some hundreds of runs, oldest first: event_id → events."""
    found: dict[object, list[Row]] = {}
    question = f"SELECT * FROM run_events WHERE event_id IN ({','.join('?' * len(event_ids))}) ORDER BY timestamp, id"
    for row in db.execute(question, event_ids).fetchall():
        found.setdefault(row["event_id"], []).append(dict(row))
    return found


def has_details(db: sqlite3.Connection) -> bool:
    """Return whether any event or commit association is recorded."""
    found = db.execute(
        "SELECT EXISTS (SELECT 1 FROM run_events) OR EXISTS (SELECT 1 FROM run_commits)"
    )
    return bool(found.fetchone()[0])


def events_without_run(db: sqlite3.Connection) -> int:
    """Return the number of events whose run is missing."""
    found: int = db.execute("SELECT count(*) FROM run_events WHERE event_id IS NULL").fetchone()[0]
    return found


# Summaries


def distinct(db: sqlite3.Connection, field: str) -> list[str]:
    """The different values of an indexed column, sorted: one step through its index per value, not per run."""
    rows = db.execute(
        f"""WITH RECURSIVE steps (value) AS (
                SELECT min({field}) FROM agent_runs
                UNION ALL
                SELECT (SELECT min({field}) FROM agent_runs WHERE {field} > steps.value) FROM steps WHERE steps.value IS NOT NULL
            )
            SELECT value FROM steps WHERE value IS NOT NULL"""
    ).fetchall()
    return [row[0] for row in rows]


def overview(db: sqlite3.Connection, since: str) -> Row:
    """Figures for one screen: total_runs, agents (agent → runs), recent_24h (created from `since`), running, rejected, schema_version."""
    agents = db.execute(
        "SELECT agent_name, count(*) FROM agent_runs GROUP BY agent_name ORDER BY agent_name"
    ).fetchall()
    return {
        "total_runs": sum(number for _, number in agents),
        "agents": dict(map(tuple, agents)),
        "recent_24h": db.execute(
            "SELECT count(*) FROM agent_runs WHERE created_at >= ?", (since,)
        ).fetchone()[0],
        "running": db.execute(
            "SELECT count(*) FROM agent_runs WHERE status = 'running'"
        ).fetchone()[0],
        "rejected": db.execute("SELECT count(*) FROM rejected_ops").fetchone()[0],
        "schema_version": db.execute("PRAGMA user_version").fetchone()[0],
    }
