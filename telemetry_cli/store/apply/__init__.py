"""Operations to rows: the only code that changes a table, reached only from a drain.

Deterministic: no clock, no random, no environment, no git. All of that is in the operation, so that replaying the journal
over its beginning or any backup gives the same tables. One module per noun, imported when an operation of its kind comes.
"""

import sqlite3
from collections.abc import Callable, Iterable

from telemetry_cli.errors import DatabaseTrouble, InvalidInput, JournalTrouble, TelemetryError
from telemetry_cli.rules import OPERATION_VERSION, encode
from telemetry_cli.store.apply.result import Data, Result
from telemetry_cli.store.database import numbered, stops_a_drain

#: Kind of operation → (module of this package, function). A function takes (database, operation, its data).
_HANDLERS = {
    "run.create": ("runs", "create"),
    "run.update": ("runs", "update"),
    "run.end": ("runs", "end"),
    "run.event": ("runs", "event"),
    "commit.associate": ("commits", "associate"),
    "hook.release": ("hooks", "release"),
    "hook.point": ("hooks", "point"),
    "hook.start": ("hook_runs", "start"),
    "convention.deploy": ("conventions", "deploy"),
    "commit.rewrite": ("commits", "rewrite"),
}
#: The same for operations whose content is a blob: they name it in `data["blob"]`, and their function takes its lines too.
#: Seconds may go by in them, so no command on the fast path applies one.
_LARGE = {"hook.finish": ("hook_runs", "finish"), "runs.import": ("imports", "runs")}

#: Operations without a blob in which seconds may go by all the same.
_SLOW = {"runs.prune": ("prune", "runs")}

#: Where the lines of a blob come from: digest → lines. Raises `TelemetryError` when the blob is gone or damaged.
Blobs = Callable[[str], Iterable[bytes]]


def is_large(kind: object) -> bool:
    """Tell whether an operation of this kind may take seconds to apply."""
    return kind in _LARGE or kind in _SLOW


def apply(db: sqlite3.Connection, operation: Data, line: bytes, blobs: Blobs) -> None:
    """Apply one operation once, and keep its result.

    A breach of a rule is a result like any other, kept in `rejected_ops` too. What is wrong with the database itself is
    raised (`sqlite3.Error`), and so are a version or kind this program does not know (`JournalTrouble`), and any
    `DatabaseTrouble` of `blobs`: then the caller rolls back.
    """
    op_id, kind = operation["op_id"], str(operation["op"])
    if operation["v"] != OPERATION_VERSION or kind not in (*_HANDLERS, *_SLOW, *_LARGE, "journal.header"):
        raise JournalTrouble(f"the journal holds an operation {kind!r} of version {operation['v']!r}, made by a newer telemetry", "Upgrade telemetry.")
    if db.execute("SELECT 1 FROM op_results WHERE op_id = ?", (op_id,)).fetchone():
        return
    db.execute("SAVEPOINT operation")
    try:
        result = _changed(db, operation, kind, blobs)
        code = 0
    except DatabaseTrouble:
        raise
    except (TelemetryError, sqlite3.Error, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, sqlite3.Error) and stops_a_drain(error):
            raise
        db.execute("ROLLBACK TO operation")
        code = error.exit_code if isinstance(error, TelemetryError) else InvalidInput.exit_code
        result = {"error": error.message, "hint": error.hint} if isinstance(error, TelemetryError) else {"error": f"the operation breaks a rule: {error}"}
        reject(db, str(op_id), kind, code, str(result["error"]), line)
    db.execute("INSERT INTO op_results (op_id, exit_code, result_json) VALUES (?, ?, ?)", (op_id, code, encode(result)))
    db.execute("RELEASE operation")


def _changed(db: sqlite3.Connection, operation: Data, kind: str, blobs: Blobs) -> Result:
    """Change the tables as the operation says, and return its result."""
    if kind == "journal.header":
        return {}
    module, name = _HANDLERS.get(kind) or _SLOW.get(kind) or _LARGE[kind]
    function = getattr(__import__(f"{__name__}.{module}", fromlist=[name]), name)
    data: Data = operation["data"]  # type: ignore[assignment]
    result: Result = _with_blob(function, db, operation, data, blobs) if kind in _LARGE else function(db, operation, data)
    return result


def _with_blob(function: Callable[..., Result], db: sqlite3.Connection, operation: Data, data: Data, blobs: Blobs) -> Result:
    """Apply what is in a blob. What breaks a rule there may be what damage has made of it: then its digest, which is known at the end, is what is said."""
    lines = iter(blobs(str(data["blob"])))
    try:
        return function(db, operation, data, lines)
    except Exception:
        for _ in lines:
            pass
        raise


def reject(db: sqlite3.Connection, op_id: str, kind: str, code: int, message: str, line: bytes) -> None:
    """Keep what could not be applied, as it stands in the journal; a damaged line that is met again, as it has no result, once."""
    db.execute(
        "INSERT INTO rejected_ops (op_id, kind, code, message, operation) SELECT ?1, ?2, ?3, ?4, ?5 "
        "WHERE ?2 <> 'damaged' OR NOT EXISTS (SELECT 1 FROM rejected_ops WHERE op_id = ?1 AND kind = ?2 AND operation = ?5)",
        numbered(op_id, kind, code, message, line.decode(errors="backslashreplace").rstrip("\n")),
    )
