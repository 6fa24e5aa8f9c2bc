"""Operations on runs and their events."""

import sqlite3

from telemetry_cli.core.clock import milliseconds_between
from telemetry_cli.core.errors import InvalidInput, NotFound
from telemetry_cli.core.tables import RUN_FIELDS
from telemetry_cli.core.values import UNSTORABLE, encode
from telemetry_cli.database import search
from telemetry_cli.database.apply import Data, Result, noted
from telemetry_cli.database.database import damaged, read_json
from telemetry_cli.database.runs import resolve

#: Columns that `run.create` may set, and those that `run.update` and `run.end` may.
_INSERTABLE = tuple(name for name, field in RUN_FIELDS.items() if field.on_create)
_UPDATABLE = frozenset(name for name, field in RUN_FIELDS.items() if "update" in field.options)


def create(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A new run; the same event_id again is a duplicate, which changes nothing."""
    event_id, run_id = data["event_id"], data["run_id"]
    existing = db.execute(
        "SELECT run_id FROM agent_runs WHERE event_id = ?", (event_id,)
    ).fetchone()
    if existing:
        return {"status": "duplicate", "event_id": event_id, "run_id": existing[0]}
    row = {name: data[name] for name in _INSERTABLE if name in data}
    row.update(
        schema_version=data["schema_version"],
        op_id=operation["op_id"],
        created_at=operation["at"],
        updated_at=operation["at"],
        metrics_json=encode(data.get("metrics", {})),
        context_json=encode(data.get("context", {})),
    )
    note = None
    if data.get("parent") is not None:
        try:
            row["parent_run_id"] = _parent(db, operation, str(data["parent"]), str(event_id))
        except NotFound:
            # The run itself is worth more than its place.
            note = f"--parent: there is no run {data['parent']} yet; the run is recorded without a parent"
    inserted = db.execute(
        f"INSERT INTO agent_runs ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
        tuple(row.values()),
    )
    search.add(db, int(inserted.lastrowid or 0))
    return noted({"status": "created", "event_id": event_id, "run_id": run_id}, note)


def _parent(db: sqlite3.Connection, operation: Data, reference: str, child: str) -> str:
    """The parent's event_id, or what was given while no such run is known."""
    try:
        event_id = resolve(db, reference, str(operation["at"]))[1]
    except NotFound:
        if reference.startswith("@"):
            raise
        event_id = reference
    looped = db.execute(
        """WITH RECURSIVE ancestors (event_id) AS (
               VALUES (?)
               UNION
               SELECT parent_run_id FROM agent_runs JOIN ancestors USING (event_id) WHERE parent_run_id IS NOT NULL
           )
           SELECT 1 FROM ancestors WHERE event_id = ?""",
        (event_id, child),
    ).fetchone()
    if looped:
        raise InvalidInput(f"--parent: {reference} is the run itself, or was started under it")
    return event_id


def update(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """Set what is given, JSON objects merged key by key.

    A start or end of a run that has an end sets duration_ms too, unless that is given.
    """
    run, note = _run(db, operation, data)
    values = _new_values(db, operation, run, data)
    start, end = (values.get(name, run[name]) for name in ("start_time", "end_time"))
    if end is not None and not values.keys().isdisjoint(("start_time", "end_time")):
        values.setdefault("duration_ms", _duration(start, end))
    return _changed(db, operation, run, note, values)


def end(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A run ends once: an end again changes nothing, unless it is forced. Nor does one that is said to be of another run's creator."""
    run, note = _run(db, operation, data)
    if "created_by" in data and data["created_by"] != run["op_id"]:
        return _outcome(
            "unchanged",
            run,
            [],
            f"duplicate: {run['event_id']} was begun by another execution, which ends it; this one is not recorded",
        )
    if run["end_time"] is not None and run["status"] != "running" and not data.get("force"):
        return _outcome(
            "unchanged",
            run,
            [],
            f"{run['event_id']} has already ended ({run['status']}); --force ends it again",
        )
    values = _new_values(db, operation, run, data)
    values.setdefault(
        "status",
        run["status"] if run["status"] != "running" and run["end_time"] is None else "success",
    )
    start = str(values.get("start_time", run["start_time"]))
    values.setdefault("end_time", max(str(operation["at"]), start))
    values.setdefault("duration_ms", _duration(start, values["end_time"]))
    return _changed(db, operation, run, note, values)


def _duration(start: object, end: object) -> int:
    """Return the milliseconds from a run's start to its end. Those of the operation were checked before, so it is the row that may be damaged."""
    try:
        return milliseconds_between(str(start), str(end))
    except ValueError:
        raise damaged("it holds a time that is not a time") from None


def _run(db: sqlite3.Connection, operation: Data, data: Data) -> tuple[sqlite3.Row, str | None]:
    id_, _, _, note = resolve(db, str(data["run"]), str(operation["at"]))
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute("SELECT * FROM agent_runs WHERE id = ?", (id_,)).fetchone(), note


def _new_values(
    db: sqlite3.Connection, operation: Data, run: sqlite3.Row, data: Data
) -> dict[str, object]:
    """The columns that an update or end sets, metrics and context merged key by key into what is there; so is what could not be stored."""
    values = {name: data[name] for name in data if name in _UPDATABLE}
    for name, column in (("metrics", "metrics_json"), ("context", "context_json")):
        if name in data:
            values[column] = encode(laid_over(read_json(run[column]), data[name], UNSTORABLE))  # type: ignore[arg-type]
    if "parent" in data:
        values["parent_run_id"] = (
            _parent(db, operation, str(data["parent"]), str(run["event_id"]))
            if data["parent"] is not None
            else None
        )
    return values


def laid_over(below: dict[str, object], above: dict[str, object], nested: str) -> dict[str, object]:
    """Two objects in one: where both have a key, the second's value; where both have an object under `nested`, the same of these two."""
    both = below | above
    first, second = below.get(nested), above.get(nested)
    return (
        both | {nested: first | second}
        if isinstance(first, dict) and isinstance(second, dict)
        else both
    )


def _changed(
    db: sqlite3.Connection, operation: Data, run: sqlite3.Row, note: str | None, values: Data
) -> Result:
    start, end = (
        values.get("start_time", run["start_time"]),
        values.get("end_time", run["end_time"]),
    )
    if end is not None and str(end) < str(start):
        raise InvalidInput(f"--end-time: {end} is before the run's start_time, {start}")
    changed = [name for name, value in values.items() if run[name] != value]
    if not changed:
        return _outcome("unchanged", run, [], note)
    found_by = not search.FOUND_BY.isdisjoint(changed)
    if found_by:
        search.remove(db, run["id"])
    assignments = ", ".join(f"{name} = ?" for name in changed)
    db.execute(
        f"UPDATE agent_runs SET {assignments}, updated_at = max(updated_at, ?) WHERE id = ?",
        (*(values[name] for name in changed), operation["at"], run["id"]),
    )
    if found_by:
        search.add(db, run["id"])
    return _outcome("updated", run, changed, note)


def _outcome(status: str, run: sqlite3.Row, changed: list[str], note: str | None) -> Result:
    return noted(
        {
            "status": status,
            "event_id": run["event_id"],
            "run_id": run["run_id"],
            "fields_updated": changed,
        },
        note,
    )


def event(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """Something that happened during a run."""
    _, event_id, run_id, note = resolve(db, str(data["run"]), str(operation["at"]))
    payload = encode(data["payload"]) if "payload" in data else None
    db.execute(
        "INSERT INTO run_events (event_id, run_id, event_type, timestamp, payload_json, trace_id, span_id, parent_span_id, op_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event_id,
            run_id,
            data["event_type"],
            data.get("timestamp", operation["at"]),
            payload,
            data.get("trace_id"),
            data.get("span_id"),
            data.get("parent_span_id"),
            operation["op_id"],
        ),
    )
    return noted(
        {
            "status": "created",
            "event_id": event_id,
            "run_id": run_id,
            "event_type": data["event_type"],
        },
        note,
    )


def prune(db: sqlite3.Connection, _operation: Data, data: Data) -> Result:
    """Delete the finished runs that started before a time, and all rows about them.

    A run that is recorded or imported again by a later line of the journal stays.
    """
    from telemetry_cli.database.prune import delete

    before = str(data["before"])
    return {"status": "pruned", "before": before, **delete(db, before)}
