"""Operations on hook runs: begun, and finished once with rows and logs."""

import sqlite3
from collections.abc import Iterable
from itertools import islice

from telemetry_cli.core.errors import Conflict, InvalidInput, NotFound
from telemetry_cli.core.values import encode
from telemetry_cli.database import hook_runs, registry
from telemetry_cli.database.apply import shapes
from telemetry_cli.database.apply.result import Data, Result
from telemetry_cli.database.database import numbered
from telemetry_cli.database.features import GIVEN

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
    registry.release(db, str(data["hook"]), int(str(data["version"])))
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
    shapes.check_mismatches(mismatches)
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
