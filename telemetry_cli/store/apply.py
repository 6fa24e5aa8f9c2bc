"""Operations to rows: the only code that changes a table, reached only from a drain.

Deterministic: no clock, no random, no environment, no git. All of that is in the operation, so that replaying the journal
over its beginning or any backup gives the same tables.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping

from telemetry_cli.clock import parse_stamp
from telemetry_cli.errors import InvalidInput, JournalTrouble, NotFound, TelemetryError
from telemetry_cli.rules import OPERATION_VERSION, encode
from telemetry_cli.store import search
from telemetry_cli.store.database import stops_a_drain
from telemetry_cli.store.runs import resolve

Result = dict[str, object]
Data = Mapping[str, object]


def apply(db: sqlite3.Connection, operation: Data, line: bytes) -> None:
    """Apply one operation once, and keep its result.

    A breach of a rule is a result like any other, kept in `rejected_ops` too. What is wrong with the database itself is
    raised (`sqlite3.Error`), and so is a version or kind this program does not know (`JournalTrouble`).
    """
    op_id, kind = operation["op_id"], operation["op"]
    handler = _HANDLERS.get(str(kind))
    if operation["v"] != OPERATION_VERSION or handler is None:
        raise JournalTrouble(f"the journal holds an operation {kind!r} of version {operation['v']!r}, made by a newer telemetry", "Upgrade telemetry.")
    if db.execute("SELECT 1 FROM op_results WHERE op_id = ?", (op_id,)).fetchone():
        return
    db.execute("SAVEPOINT operation")
    try:
        result = handler(db, operation, operation["data"])  # type: ignore[arg-type]
        code = 0
    except (TelemetryError, sqlite3.Error, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, sqlite3.Error) and stops_a_drain(error):
            raise
        db.execute("ROLLBACK TO operation")
        code = error.exit_code if isinstance(error, TelemetryError) else InvalidInput.exit_code
        result = {"error": error.message, "hint": error.hint} if isinstance(error, TelemetryError) else {"error": f"the operation breaks a rule: {error}"}
        reject(db, str(op_id), str(kind), code, str(result["error"]), line)
    db.execute("INSERT INTO op_results (op_id, exit_code, result_json) VALUES (?, ?, ?)", (op_id, code, encode(result)))
    db.execute("RELEASE operation")


def reject(db: sqlite3.Connection, op_id: str, kind: str, code: int, message: str, line: bytes) -> None:
    """Keep what could not be applied, as it stands in the journal."""
    db.execute(
        "INSERT INTO rejected_ops (op_id, kind, code, message, operation) VALUES (?, ?, ?, ?, ?)",
        (op_id, kind, code, message, line.decode(errors="backslashreplace").rstrip("\n")),
    )


# Runs

_INSERTABLE = (
    "event_id", "run_id", "start_time", "agent_name", "job_type", "status", "agent_owner", "product", "product_family", "platform", "subdomain",
    "website", "website_section", "item_name", "environment", "host", "trigger_type", "insight_id", "source_ref", "target_ref", "input_summary",
    "items_discovered", "items_succeeded", "items_failed", "items_skipped", "git_repo", "git_branch", "git_run_tag", "git_dir", "parent_run_id",
    "pid", "process_started", "boot_id",
)  # fmt: skip
_UPDATABLE = frozenset(
    (
        "start_time", "end_time", "agent_name", "job_type", "status", "agent_owner", "product", "product_family", "platform", "subdomain", "website",
        "website_section", "item_name", "environment", "host", "trigger_type", "insight_id", "source_ref", "target_ref", "input_summary",
        "output_summary", "error_summary", "error_details", "items_discovered", "items_succeeded", "items_failed", "items_skipped", "duration_ms",
        "git_repo", "git_branch", "git_run_tag",
    )
)  # fmt: skip


def _run_create(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    event_id, run_id = data["event_id"], data["run_id"]
    existing = db.execute("SELECT run_id FROM agent_runs WHERE event_id = ?", (event_id,)).fetchone()
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
            row["parent_run_id"] = _parent(db, str(data["parent"]), str(event_id))
        except NotFound:
            # The run itself is worth more than its place.
            note = f"--parent: there is no run {data['parent']} yet; the run is recorded without a parent"
    inserted = db.execute(f"INSERT INTO agent_runs ({','.join(row)}) VALUES ({','.join('?' * len(row))})", tuple(row.values()))
    search.add(db, int(inserted.lastrowid or 0))
    return _noted({"status": "created", "event_id": event_id, "run_id": run_id}, note)


def _parent(db: sqlite3.Connection, reference: str, child: str) -> str:
    """The parent's event_id, or what was given while no such run is known."""
    try:
        event_id = resolve(db, reference)[1]
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


def _run_update(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    run, note = _run(db, data)
    return _changed(db, operation, run, note, _new_values(db, run, data))


def _run_end(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    run, note = _run(db, data)
    if run["end_time"] is not None and run["status"] != "running" and not data.get("force"):
        return _outcome("unchanged", run, [], f"{run['event_id']} has already ended ({run['status']}); --force ends it again")
    values = _new_values(db, run, data)
    values.setdefault("status", run["status"] if run["status"] != "running" and run["end_time"] is None else "success")
    start = str(values.get("start_time", run["start_time"]))
    values.setdefault("end_time", max(str(operation["at"]), start))
    if "duration_ms" not in values:
        elapsed = parse_stamp(str(values["end_time"])) - parse_stamp(start)
        values["duration_ms"] = max(0, round(elapsed.total_seconds() * 1000))
    return _changed(db, operation, run, note, values)


def _run(db: sqlite3.Connection, data: Data) -> tuple[sqlite3.Row, str | None]:
    id_, _, _, note = resolve(db, str(data["run"]))
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute("SELECT * FROM agent_runs WHERE id = ?", (id_,)).fetchone(), note


def _new_values(db: sqlite3.Connection, run: sqlite3.Row, data: Data) -> dict[str, object]:
    """The columns that an update or end sets, metrics and context merged key by key into what is there."""
    values = {name: data[name] for name in data if name in _UPDATABLE}
    for name, column in (("metrics", "metrics_json"), ("context", "context_json")):
        if name in data:
            values[column] = encode(json.loads(run[column]) | data[name])
    if data.get("parent") is not None:
        values["parent_run_id"] = _parent(db, str(data["parent"]), str(run["event_id"]))
    return values


def _changed(db: sqlite3.Connection, operation: Data, run: sqlite3.Row, note: str | None, values: Data) -> Result:
    start, end = values.get("start_time", run["start_time"]), values.get("end_time", run["end_time"])
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
    return _noted({"status": status, "event_id": run["event_id"], "run_id": run["run_id"], "fields_updated": changed}, note)


def _noted(result: Result, note: str | None) -> Result:
    """A result with what is to be said about it on stderr."""
    return result | {"note": note} if note else result


def _run_event(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    _, event_id, run_id, note = resolve(db, str(data["run"]))
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
    return _noted({"status": "created", "event_id": event_id, "run_id": run_id, "event_type": data["event_type"]}, note)


# Commits


def _commit_associate(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    id_, event_id, run_id, note = resolve(db, str(data["run"]))
    runs = [(id_, event_id), *(_descendants_without_commit(db, event_id, run_id) if data.get("children") else ())]
    for run in runs:
        _associate(db, operation, data, *run)
    result: Result = {"status": "success", "event_id": event_id, "run_id": run_id, "commit_hash": data["commit_hash"]}
    if data.get("children"):
        result["children"] = [child for _, child in runs[1:]]
    return _noted(result, note)


def _associate(db: sqlite3.Connection, operation: Data, data: Data, id_: int, event_id: str) -> None:
    entry = {name: data.get(name) for name in ("commit_hash", "role", "source", "author", "timestamp", "repo", "branch")}
    # The last word said again (a CI step that is run once more) adds nothing.
    newest = f"SELECT {','.join(entry)} FROM run_commits WHERE event_id = ? AND role = ? ORDER BY id DESC LIMIT 1"
    last = db.execute(newest, (event_id, data["role"])).fetchone()
    if last != tuple(entry.values()):
        entry.update(event_id=event_id, associated_at=operation["at"], op_id=operation["op_id"])
        db.execute(f"INSERT INTO run_commits ({','.join(entry)}) VALUES ({','.join('?' * len(entry))})", tuple(entry.values()))
    if data["role"] != "produced":
        return
    commit = (data["commit_hash"], data["source"], data.get("author"), data.get("timestamp"))
    db.execute(
        "UPDATE agent_runs SET git_commit_hash = ?, git_commit_source = ?, git_commit_author = ?, git_commit_timestamp = ?,"
        " git_repo = coalesce(git_repo, ?), updated_at = max(updated_at, ?) WHERE id = ?"
        " AND (git_commit_hash, git_commit_source, git_commit_author, git_commit_timestamp, git_repo) IS NOT (?, ?, ?, ?, coalesce(git_repo, ?))",
        (*commit, data.get("repo"), operation["at"], id_, *commit, data.get("repo")),
    )


def _descendants_without_commit(db: sqlite3.Connection, event_id: str, run_id: str) -> list[tuple[int, str]]:
    return db.execute(
        """WITH RECURSIVE tree (event_id, run_id) AS (
               VALUES (?, ?)
               UNION
               SELECT child.event_id, child.run_id FROM agent_runs AS child JOIN tree ON child.parent_run_id IN (tree.event_id, tree.run_id)
           )
           SELECT id, event_id FROM agent_runs JOIN tree USING (event_id) WHERE event_id <> ? AND git_commit_hash IS NULL ORDER BY id""",
        (event_id, run_id, event_id),
    ).fetchall()


def _journal_header(_db: sqlite3.Connection, _operation: Data, _data: Data) -> Result:
    return {}


_HANDLERS: dict[str, Callable[[sqlite3.Connection, Data, Data], Result]] = {
    "journal.header": _journal_header,
    "run.create": _run_create,
    "run.update": _run_update,
    "run.end": _run_end,
    "run.event": _run_event,
    "commit.associate": _commit_associate,
}
