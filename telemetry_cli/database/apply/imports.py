"""Imports: records that were validated and lie in a blob, as `transfer/records.py` describes them.

A run that is there already is left as it is, and only what its events and commits lack is added, so an import that was
interrupted can be run again. What comes of it does not depend on the order of the records.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import Any

from telemetry_cli.core.values import encode
from telemetry_cli.database import search
from telemetry_cli.database.apply import Data, Result
from telemetry_cli.database.apply.parts import completed, continued, with_duration

#: A run's values by column, its events, its commits, and maybe the columns that it says itself; or an event or association that stands alone.
Values = list[object]
Alone = dict[str, Any]

#: Records in memory at a time, however large the operation.
_SLICE = 1000
#: KiB of the database that one import may keep in memory: it goes into every index in no order.
_CACHE = 16384

#: What the schema puts into a column that an INSERT leaves out; null where nothing is said here.
_DEFAULTS: dict[str, object] = {
    **dict.fromkeys(
        (
            "items_discovered",
            "items_succeeded",
            "items_failed",
            "items_skipped",
            "duration_ms",
            "api_posted",
            "api_retry_count",
        ),
        0,
    ),
    **dict.fromkeys(("metrics_json", "context_json"), "{}"),
}
_EVENT = ("event_type", "timestamp", "payload_json", "trace_id", "span_id", "parent_span_id")
_COMMIT = (
    "commit_hash",
    "role",
    "source",
    "author",
    "timestamp",
    "repo",
    "branch",
    "associated_at",
    "superseded_by",
)


def runs(db: sqlite3.Connection, operation: Data, data: Data, lines: Iterable[bytes]) -> Result:
    """Add what is not there yet. json: how many runs were `created` and `existing`, how many `events` and `commits` were added."""
    db.execute(f"PRAGMA cache_size = -{_CACHE}")
    records = map(json.loads, lines)
    into = _Into(db, operation, data, next(records)["columns"])
    while slice_ := list(islice(records, _SLICE)):
        into.add_runs([record for record in slice_ if type(record) is list])
        into.add_alone([record for record in slice_ if type(record) is dict])
    return dict(into.counts)


class _Into:
    """One import on its way into the database; `columns` are those that each run's values are for."""

    def __init__(
        self, db: sqlite3.Connection, operation: Data, data: Data, columns: list[str]
    ) -> None:
        self.counts: Counter[str] = Counter(created=0, existing=0, events=0, commits=0)
        self._db = db
        self._at, self._op_id = operation["at"], operation["op_id"]
        self._constants = (self._at, self._op_id, data["schema_version"])
        self._continues = bool(data.get("continues"))
        self._columns = columns
        #: Where a run's events and its associations are, behind its values.
        self._events, self._commits = len(columns), len(columns) + 1
        self._event_id, self._run_id = columns.index("event_id"), columns.index("run_id")

    def _places(self, columns: Sequence[str]) -> dict[str, str]:
        """How the values of these columns, and the constants behind them, go into a row: column → SQL.

        A record that does not say when it was made or changed was so at the import.
        """
        places = {name: f"?{number}" for number, name in enumerate(columns, 1)}
        at, op_id, version = (f"?{len(columns) + number}" for number in (1, 2, 3))
        created, updated = (
            f"coalesce({places.get(name, 'NULL')}, {at})" for name in ("created_at", "updated_at")
        )
        return places | {
            "created_at": created,
            "updated_at": f"max({created}, {updated})",
            "op_id": op_id,
            "schema_version": version,
        }

    # Runs

    def add_runs(self, records: list[Values]) -> None:
        """Add the runs that are not there yet, and what those that are there lack."""
        if not records:
            return
        db = self._db
        before: int = db.execute("SELECT coalesce(max(id), 0) FROM agent_runs").fetchone()[0]
        self._insert_runs(records)
        new: set[object] = {
            row[0] for row in db.execute("SELECT event_id FROM agent_runs WHERE id > ?", (before,))
        }
        self.counts["created"] += len(new)
        self.counts["existing"] += len(records) - len(new)
        if new:
            search.add_after(db, before)
            _adopt(db, before)
        fresh: list[Any] = []
        known: list[Any] = []
        for record in records:
            (fresh if record[self._event_id] in new else known).append(record)
            # The same id a second time in one slice is one that is there already.
            new.discard(record[self._event_id])
        self._insert_events(
            (record[self._event_id], record[self._run_id], values)
            for record in fresh
            for values in record[self._events]
        )
        self._insert_commits(
            (record[self._event_id], values) for record in fresh for values in record[self._commits]
        )
        for record in known:
            self._catch_up(record)

    def _insert_runs(self, records: list[Values]) -> None:
        """Insert the runs that are not there; only the columns in which any of them says something, for every other one costs time."""
        table = list(zip(*(record[: self._events] for record in records), strict=True))
        used = [
            number
            for number, values in enumerate(table)
            if values.count(_DEFAULTS.get(self._columns[number])) < len(values)
        ]
        places = self._places([self._columns[number] for number in used])
        self._db.executemany(
            f"INSERT INTO agent_runs ({','.join(places)}) VALUES ({','.join(places.values())}) ON CONFLICT (event_id) DO NOTHING",
            zip(*(table[number] for number in used), *map(repeat, self._constants)),  # noqa: B905 - the constants have no end
        )

    def _catch_up(self, record: Values) -> None:
        """Add what a run that is there lacks of the record: events, as often as they are in it, and associations."""
        db, event_id = self._db, record[self._event_id]
        if self._continues:
            self._continue(record)
        events: list[list[object]] = record[self._events]  # type: ignore[assignment]
        if events:
            run_id = db.execute(
                "SELECT run_id FROM agent_runs WHERE event_id = ?", (event_id,)
            ).fetchone()[0]
            there = Counter(
                db.execute(
                    f"SELECT {','.join(_EVENT)} FROM run_events WHERE event_id = ?", (event_id,)
                )
            )
            self._insert_events(
                (event_id, run_id, values)
                for values in (Counter(map(tuple, events)) - there).elements()
            )
        for values in record[self._commits]:  # type: ignore[attr-defined]
            self._associate(event_id, values)

    def _continue(self, record: Values) -> None:
        """Let another record of the same run add what it knows: the platform's NDJSON has one line for the start and one for the end, in any order."""
        row = self._db.execute(
            f"SELECT id, {','.join(self._columns)} FROM agent_runs WHERE event_id = ?",
            (record[self._event_id],),
        ).fetchone()
        there = dict(zip(self._columns, row[1:], strict=True))
        values = dict(zip(self._columns, record, strict=False))
        # An operation of an older telemetry does not tell; then every value counts.
        tells = len(record) > self._commits + 1
        said: list[str] = record[self._commits + 1] if tells else self._columns  # type: ignore[assignment]
        given = {
            name: values[name]
            for name in self._columns
            if name in said and name not in ("event_id", "run_id")
        }
        is_later = (
            there["status"] == "running"
            and there["end_time"] is None
            and values["status"] != "running"
        )
        new = with_duration(there, continued(there, given) if is_later else completed(there, given))
        changed = {name: value for name, value in new.items() if value != there[name]}
        if not changed:
            return
        search.remove(self._db, row[0])
        self._db.execute(
            f"UPDATE agent_runs SET {', '.join(f'{name} = ?' for name in changed)} WHERE id = ?",
            (*changed.values(), row[0]),
        )
        search.add(self._db, row[0])
        if changed.get("parent_run_id"):
            _find_parents(self._db, "id = ?", row[0])
            _break_loop(self._db, record[self._event_id])

    # Events and associations

    def add_alone(self, records: list[Alone]) -> None:
        """Events and associations that stand alone: each once, with the run that they name if there is one."""
        for record in records:
            event_id, run_id = _run_of(self._db, *record["of"])
            if "commit" in record:
                self._add_commit(event_id, record)
                continue
            condition = " AND ".join(f"{name} IS ?" for name in ("event_id", "run_id", *_EVENT))
            there = self._db.execute(
                f"SELECT count(*) FROM run_events WHERE {condition}",
                (event_id, run_id, *record["event"]),
            ).fetchone()[0]
            # Of those that are the same each has a number, so that none is lost, and none is there twice when they come again.
            if there <= record.get("nth", 0):
                self._insert_events([(event_id, run_id, record["event"])])

    def _add_commit(self, event_id: object, record: Alone) -> None:
        """An association, and beside it what else was said of it; all of it beside, where there is no run: the ledger is of runs."""
        if event_id is None:
            self._keep(
                None,
                "run_commits",
                encode(
                    {name: record[name] for name in ("commit", "of", "extra") if name in record}
                ),
            )
            return
        self._associate(event_id, record["commit"])
        for name, value in record.get("extra", {}).items():
            self._keep(event_id, f"run_commits[{record['commit'][0]}].{name}", value)

    def _keep(self, event_id: object, column: str, value: object) -> None:
        """Keep what has no place, once."""
        self._db.execute(
            'INSERT INTO legacy_values (event_id, "column", value) SELECT ?1, ?2, ?3'
            ' WHERE NOT EXISTS (SELECT 1 FROM legacy_values WHERE event_id IS ?1 AND "column" = ?2 AND value = ?3)',
            (event_id, column, value),
        )

    def _insert_events(self, rows: Iterable[tuple[object, object, Iterable[object]]]) -> None:
        made = [(event_id, run_id, *values, self._op_id) for event_id, run_id, values in rows]
        columns = ("event_id", "run_id", *_EVENT, "op_id")
        self._db.executemany(
            f"INSERT INTO run_events ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})",
            made,
        )
        self.counts["events"] += len(made)

    def _insert_commits(self, rows: Iterable[tuple[object, Iterable[object]]]) -> None:
        """Associations; one that does not say when it was made was so at the import."""
        columns = ("event_id", *_COMMIT, "op_id")
        made = [(event_id, *values, self._op_id, self._at) for event_id, values in rows]
        places = (
            f"coalesce(?{place}, ?{len(columns) + 1})" if name == "associated_at" else f"?{place}"
            for place, name in enumerate(columns, 1)
        )
        self._db.executemany(
            f"INSERT INTO run_commits ({','.join(columns)}) VALUES ({','.join(places)})", made
        )
        self.counts["commits"] += len(made)

    def _associate(self, event_id: object, values: list[object]) -> None:
        """Add an association unless the run has it, whenever that was said."""
        said = dict(zip(_COMMIT, values, strict=True))
        same = [name for name in _COMMIT if name not in ("associated_at", "superseded_by")]
        condition = " AND ".join(f"{name} IS ?" for name in same)
        if not self._db.execute(
            f"SELECT 1 FROM run_commits WHERE event_id = ? AND {condition}",
            (event_id, *map(said.get, same)),
        ).fetchone():
            self._insert_commits([(event_id, values)])


def _run_of(db: sqlite3.Connection, event_id: object, run_id: object) -> tuple[object, object]:
    """The run that either name means, as (event_id, run_id); (None, the name) where there is none."""
    found: tuple[object, object] | None = db.execute(
        "SELECT event_id, run_id FROM agent_runs WHERE event_id = ?", (event_id,)
    ).fetchone() or (
        db.execute(
            "SELECT event_id, run_id FROM agent_runs WHERE run_id = ? ORDER BY start_time DESC, id DESC LIMIT 1",
            (run_id,),
        ).fetchone()
    )
    return found or (None, run_id if run_id is not None else event_id)


# Parents, and events that came before their run


def _adopt(db: sqlite3.Connection, before: int) -> None:
    """Settle what names a run by its run_id, now that the runs behind `before` are there: parents, and events without a run.

    updated_at stays: it is the same record, whichever of the two came first.
    """
    _find_parents(db, "id > ? AND parent_run_id IS NOT NULL", before)
    # The plus keeps SQLite from looking at every older run: it is the few that wait for one of these names.
    _find_parents(
        db,
        "+id <= ? AND parent_run_id IN (SELECT run_id FROM agent_runs WHERE id > ? AND run_id <> event_id)",
        before,
        before,
    )
    _break_loops(db, before)
    if db.execute("SELECT 1 FROM run_events WHERE event_id IS NULL LIMIT 1").fetchone():
        newest = "SELECT event_id FROM agent_runs AS r WHERE r.run_id = run_events.run_id ORDER BY start_time DESC, id DESC LIMIT 1"
        db.execute(
            f"UPDATE run_events SET event_id = ({newest}) WHERE event_id IS NULL AND run_id IN (SELECT run_id FROM agent_runs WHERE id > ?)",
            (before,),
        )


def _find_parents(db: sqlite3.Connection, where: str, *values: int) -> None:
    """Put the parent's event_id in the place of its run_id, in these runs, where that is the name of one other run."""
    named = "SELECT p.event_id FROM agent_runs AS p WHERE p.run_id = agent_runs.parent_run_id"
    db.execute(
        f"UPDATE agent_runs SET parent_run_id = ({named}) WHERE {where}"
        " AND NOT EXISTS (SELECT 1 FROM agent_runs AS p WHERE p.event_id = agent_runs.parent_run_id)"
        f" AND (SELECT count(*) FROM ({named} LIMIT 2)) = 1 AND ({named}) <> event_id",
        values,
    )


def _break_loops(db: sqlite3.Connection, before: int) -> None:
    """Let a new run that turns out to be its own ancestor stand without a parent: it is worth more than its place.

    Row ids cannot fall all the way round a loop, so one of its runs has a parent with a greater one.
    """
    suspects = db.execute(
        "SELECT event_id FROM agent_runs AS p WHERE id > ? AND parent_run_id IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM agent_runs AS child WHERE child.parent_run_id = p.event_id AND child.id < p.id) ORDER BY id",
        (before,),
    ).fetchall()
    for (event_id,) in suspects:
        _break_loop(db, event_id)


def _break_loop(db: sqlite3.Connection, event_id: object) -> None:
    """Let a run stand without a parent if it is its own ancestor."""
    db.execute(
        """UPDATE agent_runs SET parent_run_id = NULL WHERE event_id = ?1 AND event_id IN (
               WITH RECURSIVE ancestors (event_id) AS (
                   SELECT parent_run_id FROM agent_runs WHERE event_id = ?1
                   UNION
                   SELECT parent_run_id FROM agent_runs JOIN ancestors USING (event_id) WHERE parent_run_id IS NOT NULL
               )
               SELECT event_id FROM ancestors)""",
        (event_id,),
    )
