"""Apply operations on hooks, conventions and hook runs."""

import sqlite3
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from telemetry_cli.core.errors import Conflict, InvalidInput, NotFound
from telemetry_cli.core.values import encode
from telemetry_cli.database import hook_runs, hooks
from telemetry_cli.database.apply import Data, Result
from telemetry_cli.database.database import numbered
from telemetry_cli.database.hook_runs import GIVEN


def check_release(data: Data) -> None:
    """Raise `InvalidInput` for a release whose contract, artifact, argv, config or limits are not what a release has."""
    contract, artifact, limits = data.get("contract"), data.get("artifact"), data.get("limits")
    _demand("hook", isinstance(data.get("hook"), str))
    _demand(
        "contract",
        contract is None
        or (_is_object(contract, cardinality=str) and _are_fields(contract, "columns")),
    )
    _demand(
        "artifact", _is_object(artifact, executable=bool, sha256=str) or _are(artifact, _is_file)
    )
    _demand("argv", _are_texts(data.get("argv")))
    _demand("config", isinstance(data.get("config"), dict))
    _demand("limits", _is_object(limits, memory=int, timeout_ms=int))


def check_convention(data: Data) -> None:
    """Raise `InvalidInput` for a convention whose document, schema or list of releases is not what a convention has."""
    document = data.get("document")
    _demand(
        "document",
        isinstance(document, dict)
        and _are_texts(document.get("job_types"))
        and _are_hooks(document.get("hooks"))
        and _is_schema(document.get("schema")),
    )
    _demand("schema", _is_schema(data.get("schema")))
    _demand("releases", _are(data.get("releases"), lambda release: isinstance(release, dict)))


def check_mismatches(found: object) -> None:
    """Raise `InvalidInput` for anything but a list of mismatches."""
    _demand("mismatches", _are(found, lambda one: _is_object(one, expected=str, got=str)))


def _demand(field: str, is_right: bool) -> None:
    if not is_right:
        raise InvalidInput(f"{field}: the operation holds something else than belongs there")


def _is_object(value: object, **types: type) -> bool:
    return isinstance(value, dict) and all(
        type(value.get(name)) is kind for name, kind in types.items()
    )


def _are(value: object, is_right: Callable[[Any], object]) -> bool:
    return isinstance(value, list) and all(map(is_right, value))


def _are_texts(value: object) -> bool:
    return _are(value, lambda item: isinstance(item, str))


def _are_hooks(value: object) -> bool:
    return _are(value, lambda hook: _is_object(hook, name=str, digest=str))


def _is_schema(value: object) -> bool:
    return value is None or (
        _is_object(value, id=str, version=str) and _are_fields(value, "fields")
    )


def _are_fields(value: object, name: str) -> bool:
    """Tell whether an object has a list of fields or columns; a column's name stands in SQL."""
    fields = value.get(name) if isinstance(value, dict) else None
    is_name: Callable[[str], bool] = str.isidentifier if name == "columns" else bool
    return _are(
        fields, lambda field: _is_object(field, name=str, type=str) and is_name(field["name"])
    )


def _is_file(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and _are_texts(value)


def release(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A release: a new version, unless the hook has one of the same digest; the first one makes the hook."""
    check_release(data)
    result, hook_is_new = hooks.planned_release(db, data)
    name, version, at = result["hook"], result["version"], operation["at"]
    if hook_is_new:
        db.execute(
            "INSERT INTO hooks (name, contract, contract_digest, created_at, op_id) VALUES (?, ?, ?, ?, ?)",
            (name, encode(data["contract"]), data["contract_digest"], at, operation["op_id"]),
        )
    if result["created"]:
        row = {name: data[name] for name in ("hook", "digest", "kind", "source_ref")} | {
            name: encode(data[name]) for name in ("artifact", "argv", "config", "limits")
        }
        row |= {
            "version": version,
            "dirty": int(bool(data.get("dirty"))),
            "message": data.get("message"),
            "actor": operation["actor"],
            "released_at": at,
        }
        row["op_id"] = operation["op_id"]
        db.execute(
            f"INSERT INTO hook_releases ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
            tuple(row.values()),
        )
    _move(
        db,
        operation,
        str(name),
        result["live"],
        str(data.get("reason") or data.get("message") or f"release {version}"),
    )
    return result


def point(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A move of a live pointer: a rollback or a promotion. Nothing else changes."""
    result = hooks.planned_move(db, data)
    _move(db, operation, str(result["hook"]), result["to"], str(data["reason"]))
    return result


def _move(db: sqlite3.Connection, operation: Data, name: str, to: object, reason: str) -> None:
    live = db.execute("SELECT live_version FROM hooks WHERE name = ?", (name,)).fetchone()[0]
    if to == live:
        return
    move, at = db.execute(
        "SELECT coalesce(max(move), 0) + 1, coalesce(max(at), '') FROM hook_pointer_log WHERE hook = ?",
        (name,),
    ).fetchone()
    db.execute("UPDATE hooks SET live_version = ? WHERE name = ?", (to, name))
    db.execute(
        "INSERT INTO hook_pointer_log (hook, move, from_version, to_version, at, actor, reason, op_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            move,
            live,
            to,
            max(at, str(operation["at"])),
            operation["actor"],
            reason,
            operation["op_id"],
        ),
    )


def deploy(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A convention with all its releases; or, when one of them conflicts, nothing."""
    check_convention(data)
    result = hooks.planned(db, data)
    schema = data.get("schema")
    if isinstance(schema, dict):
        db.execute(
            "INSERT INTO run_schemas (id, version, fields, op_id) SELECT ?1, ?2, ?3, ?4"
            " WHERE NOT EXISTS (SELECT 1 FROM run_schemas WHERE id = ?1 AND version = ?2)",
            numbered(schema["id"], schema["version"], encode(schema["fields"]), operation["op_id"]),
        )
    for draft in data["releases"]:  # type: ignore[attr-defined]
        release(db, operation, draft)
    row = {name: data[name] for name in ("slug", "title", "description", "digest")}
    row |= {
        "document": encode(data["document"]),
        "deployed_at": operation["at"],
        "actor": operation["actor"],
        "op_id": operation["op_id"],
    }
    if result["created"]:
        db.execute(
            f"INSERT INTO conventions ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
            tuple(row.values()),
        )
    elif result["changed"]:
        db.execute(
            f"UPDATE conventions SET {', '.join(f'{name} = ?' for name in row)} WHERE slug = ?",
            (*row.values(), row["slug"]),
        )
    return result


_STARTED = (
    "hook",
    "version",
    "run_key",
    "convention",
    "input_kind",
    "input_digest",
    "subjects",
    "host",
    "pid",
    "process_started",
    "boot_id",
)
_FINISHED = (
    "status",
    "failure_kind",
    "exit_code",
    "duration_ms",
    "attempts",
    "oom_retries",
    "oom_evidence",
    "rows",
    "mismatch_count",
)
_BATCH = 1000
#: KiB of pages that a large number of rows may keep in memory, so that their indexes are not written again and again.
_CACHE_KIB = 64 * 1024
#: The other passed runs of the hook ?1 than ?2.
_OTHERS = "hook = ?1 AND id <> ?2 AND status = 'passed'"
_SUPERSEDE_OLDER = f"""UPDATE features SET superseded_by = ?2
    WHERE hook = ?1 AND superseded_by IS NULL
      AND hook_run IN (SELECT id FROM hook_runs WHERE {_OTHERS} AND (started_at, id) < (?3, ?2))
      AND subject_id IN (SELECT subject_id FROM features WHERE hook_run = ?2 UNION ALL SELECT subject_id FROM hook_silences WHERE hook_run = ?2)"""
#: The first of the later runs that was given the subject of a row of ?2, if any.
_FIRST_LATER = f"""(SELECT later.id FROM hook_runs AS later
    WHERE {_OTHERS} AND (started_at, later.id) > (?3, ?2)
      AND (EXISTS (SELECT 1 FROM features AS said WHERE said.subject_id = features.subject_id AND said.hook = ?1 AND said.hook_run = later.id)
        OR EXISTS (SELECT 1 FROM hook_silences WHERE hook_run = later.id AND subject_id = features.subject_id))
    ORDER BY started_at, later.id LIMIT 1)"""
_SUPERSEDE_OWN = f"UPDATE features SET superseded_by = {_FIRST_LATER} WHERE hook_run = ?2 AND {_FIRST_LATER} IS NOT NULL"


def start(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A hook run that begins; unless its key stands for one already, or a passed one has done the same: `status` tells which."""
    hooks.release(db, str(data["hook"]), int(str(data["version"])))
    existing = hook_runs.standing_for(db, data)
    if existing:
        if existing["status"] == "skipped" and data.get("run_key") is not None:
            keyed = (data["hook"], data["run_key"], existing["id"], operation["op_id"])
            db.execute(
                "INSERT INTO hook_run_keys (hook, run_key, hook_run, op_id) VALUES (?, ?, ?, ?)",
                keyed,
            )
        return existing
    row = {name: data.get(name) for name in _STARTED}
    row |= {
        "id": data["hook_run"],
        "status": "running",
        "forced": int(bool(data.get("forced"))),
        "started_at": operation["at"],
    }
    row |= {"actor": operation["actor"], "op_id": operation["op_id"]}
    db.execute(
        f"INSERT INTO hook_runs ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
        tuple(row.values()),
    )
    return {"status": "running", "id": data["hook_run"]}


def finish(db: sqlite3.Connection, operation: Data, data: Data, lines: Iterable[bytes]) -> Result:
    """The end of a hook run, with its logs and, where it passed, its rows: each line an `id` and its `values`, or a subject that was `given`."""
    id_ = str(data["hook_run"])
    run = db.execute(
        "SELECT hook, status, started_at FROM hook_runs WHERE id = ?", (id_,)
    ).fetchone()
    if run is None:
        raise NotFound(f"Hook run not found: {id_}")
    if run[1] != "running":
        raise Conflict(f"the hook run {id_} has finished already ({run[1]})")
    if data["status"] == "passed":
        # While it runs: none is added to a run that has finished.
        _add_rows(db, run[0], id_, run[2], lines)
    row = {name: data[name] for name in _FINISHED if name in data}
    mismatches = data.get("mismatches", [])
    check_mismatches(mismatches)
    row |= {
        "mismatches": encode(mismatches),
        "finished_at": max(str(operation["at"]), run[2]),
        "finish_op_id": operation["op_id"],
    }
    db.execute(
        f"UPDATE hook_runs SET {', '.join(f'{name} = ?' for name in row)} WHERE id = ?",
        (*row.values(), id_),
    )
    for log in data.get("logs", []):  # type: ignore[attr-defined]
        db.execute(
            "INSERT INTO hook_logs (hook_run, attempt, digest, bytes) VALUES (?, ?, ?, ?)",
            (id_, log["attempt"], log["digest"], log["bytes"]),
        )
    return {"status": data["status"], "id": id_}


def _add_rows(
    db: sqlite3.Connection, hook: str, hook_run: str, started_at: str, lines: Iterable[bytes]
) -> None:
    """The rows of a run. Those of passed runs of the hook begun before it, about the subjects that it was given, are superseded;
    and its own are by the first such run begun after it, which may well have finished before it."""
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    rest = iter(lines)
    while batch := list(islice(rest, _BATCH)):
        # Many rows to a statement: one with a trigger that may abort it costs more to begin than to do.
        try:
            db.execute(
                "INSERT INTO features (hook, subject_id, hook_run, \"values\") SELECT ?, value->>'$.id', ?, value->'$.values' FROM json_each(?)",
                (
                    hook,
                    hook_run,
                    _array(line for line in batch if not line.startswith(GIVEN.encode())),
                ),
            )
            db.execute(
                "INSERT INTO hook_silences (hook_run, subject_id) SELECT ?, value->>'$.given' FROM json_each(?)",
                (hook_run, _array(line for line in batch if line.startswith(GIVEN.encode()))),
            )
        except sqlite3.OperationalError:
            # For SQLite that is an error of the same kind as a missing table.
            if db.execute("SELECT json_valid(?)", (_array(batch),)).fetchone()[0]:
                raise
            raise InvalidInput("blob: its lines are not the rows of a hook run") from None
    begun = numbered(hook, hook_run, started_at)
    for compare, supersede in (("<", _SUPERSEDE_OLDER), (">", _SUPERSEDE_OWN)):
        if db.execute(
            f"SELECT 1 FROM hook_runs WHERE {_OTHERS} AND (started_at, id) {compare} (?3, ?2) LIMIT 1",
            begun,
        ).fetchone():
            db.execute(supersede, begun)


def _array(lines: Iterable[bytes]) -> str:
    """JSON lines as one JSON array."""
    return f"[{b','.join(lines).decode()}]"
