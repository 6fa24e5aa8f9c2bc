"""Apply one journal operation to the database."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping

from telemetry_cli.core.clock import parse_stamp
from telemetry_cli.core.errors import (
    DatabaseTrouble,
    InvalidInput,
    JournalTrouble,
    TelemetryError,
)
from telemetry_cli.core.values import OPERATION_VERSION, encode, shorten
from telemetry_cli.database.database import numbered, stops_a_drain

#: What a command prints of an operation.
Result = dict[str, object]
#: An operation, or its `data`.
Data = Mapping[str, object]


def noted(result: Result, note: str | None) -> Result:
    """A result with what is to be said about it on stderr."""
    return result | {"note": note} if note else result


#: Kind of operation → (module of this package, function). A function takes (database, operation, its data).
_HANDLERS = {
    "run.create": ("runs", "create"),
    "run.update": ("runs", "update"),
    "run.end": ("runs", "end"),
    "run.event": ("runs", "event"),
    "commit.associate": ("commits", "associate"),
    "hook.release": ("hooks", "release"),
    "hook.point": ("hooks", "point"),
    "hook.start": ("hooks", "start"),
    "convention.deploy": ("hooks", "deploy"),
    "commit.rewrite": ("commits", "rewrite"),
}
#: The same for operations whose content is a blob: they name it in `data["blob"]`, and their function takes its lines too.
#: Seconds may go by in them, so no command on the fast path applies one.
_LARGE = {"hook.finish": ("hooks", "finish"), "runs.import": ("imports", "runs")}

#: Operations without a blob in which seconds may go by all the same.
_SLOW = {"runs.prune": ("runs", "prune")}

_HEX = frozenset("0123456789abcdef")
#: The times that an operation's data may hold.
_TIMES = ("start_time", "end_time", "timestamp", "before")

#: Where the lines of a blob come from: digest → lines. Raises `TelemetryError` when the blob is gone or damaged.
Blobs = Callable[[str], Iterable[bytes]]


def is_large(kind: object) -> bool:
    """Tell whether an operation of this kind may take seconds to apply."""
    return isinstance(kind, str) and (kind in _LARGE or kind in _SLOW)


def apply(db: sqlite3.Connection, operation: Data, line: bytes, blobs: Blobs) -> None:
    """Apply one operation once, and keep its result.

    A breach of a rule is a result like any other, kept in `rejected_ops` too. What is wrong with the database itself is
    raised (`sqlite3.Error`), and so are a version or kind this program does not know (`JournalTrouble`), and any
    `DatabaseTrouble` of `blobs`: then the caller rolls back.
    """
    if operation["v"] != OPERATION_VERSION or operation["op"] not in (
        *_HANDLERS,
        *_SLOW,
        *_LARGE,
        "journal.header",
    ):
        found = f"{shorten(repr(operation.get('op')))} of version {shorten(repr(operation['v']))}"
        raise JournalTrouble(
            f"the journal holds an operation {found}, made by a newer telemetry",
            "Upgrade telemetry.",
        )
    op_id, kind = operation["op_id"], str(operation["op"])
    if db.execute("SELECT 1 FROM op_results WHERE op_id = ?", (op_id,)).fetchone():
        return
    db.execute("SAVEPOINT operation")
    try:
        _keep(db, op_id, 0, _changed(db, operation, kind, blobs))
    except (DatabaseTrouble, OSError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, sqlite3.Error) and stops_a_drain(error):
            raise
        # Whatever it holds in the place of what belongs there, it must not stand in the way of those behind it.
        db.execute("ROLLBACK TO operation")
        known = (
            error
            if isinstance(error, TelemetryError)
            else InvalidInput(f"the operation breaks a rule: {error}")
        )
        # It may quote what is wrong, such as half a character.
        message = known.message.encode(errors="backslashreplace").decode()
        reject(db, str(op_id), kind, known.exit_code, message, line)
        _keep(db, op_id, known.exit_code, {"error": message, "hint": known.hint})
    db.execute("RELEASE operation")


def _keep(db: sqlite3.Connection, op_id: object, code: int, result: Result) -> None:
    db.execute(
        "INSERT INTO op_results (op_id, exit_code, result_json) VALUES (?, ?, ?)",
        (op_id, code, encode(result)),
    )


def _changed(db: sqlite3.Connection, operation: Data, kind: str, blobs: Blobs) -> Result:
    """Change the tables as the operation says, and return its result."""
    if kind == "journal.header":
        return {}
    _check_times(operation)
    module, name = _HANDLERS.get(kind) or _SLOW.get(kind) or _LARGE[kind]
    function = getattr(__import__(f"{__name__}.{module}", fromlist=[name]), name)
    data: Data = operation["data"]  # type: ignore[assignment]
    result: Result = (
        _with_blob(function, db, operation, data, blobs)
        if kind in _LARGE
        else function(db, operation, data)
    )
    return result


def _check_times(operation: Data) -> None:
    """Raises `ValueError` for a time that is none: the schema sees only that it has the digits of one."""
    data: Data = operation["data"]  # type: ignore[assignment]
    for moment in (operation["at"], *(data[name] for name in _TIMES if data.get(name) is not None)):
        parse_stamp(str(moment))


def _with_blob(
    function: Callable[..., Result],
    db: sqlite3.Connection,
    operation: Data,
    data: Data,
    blobs: Blobs,
) -> Result:
    """Apply what is in a blob. What breaks a rule there may be what damage has made of it: then its digest, which is known at the end, is what is said."""
    digest = data["blob"]
    if digest is not None and (
        not isinstance(digest, str) or len(digest) != 64 or not _HEX.issuperset(digest)
    ):
        raise InvalidInput(f"blob: {shorten(repr(digest))} is not the SHA-256 of a blob")
    # A hook run that did not pass has no rows, and no blob.
    lines: Iterator[bytes] = iter(blobs(digest) if isinstance(digest, str) else ())
    try:
        return function(db, operation, data, lines)
    except Exception:
        for _ in lines:
            pass
        raise


def reject(
    db: sqlite3.Connection, op_id: str, kind: str, code: int, message: str, line: bytes
) -> None:
    """Keep what could not be applied, as it stands in the journal; a damaged line that is met again, as it has no result, once."""
    db.execute(
        "INSERT INTO rejected_ops (op_id, kind, code, message, operation) SELECT ?1, ?2, ?3, ?4, ?5 "
        "WHERE ?2 <> 'damaged' OR NOT EXISTS (SELECT 1 FROM rejected_ops WHERE op_id = ?1 AND kind = ?2 AND operation = ?5)",
        numbered(op_id, kind, code, message, line.decode(errors="backslashreplace").rstrip("\n")),
    )
