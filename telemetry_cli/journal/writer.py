"""Append operations to the journal, and apply what the journal holds to the database.

Only `store.Store` and `maintenance` use this module.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from telemetry_cli.core import values as rules
from telemetry_cli.core.clock import now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import (
    DatabaseTrouble,
    DiskTrouble,
    ForbiddenDatabase,
    JournalTrouble,
    LockTimeout,
    NotFound,
    OlderDatabase,
    Refused,
    TelemetryError,
)
from telemetry_cli.core.fs import make_folder
from telemetry_cli.core.locks import Lock
from telemetry_cli.database.apply import (
    Blobs,
    apply,
    is_large,
    reject,
)
from telemetry_cli.database.database import (
    Connection,
    Cursor,
    asides,
    commit,
    ensure_schema,
    interrupted_at,
    move_cursor,
    open_writer,
    read_cursor,
    result_of,
    translated,
)
from telemetry_cli.journal import segments as journal
from telemetry_cli.journal.operations import Operation, Outcome
from telemetry_cli.journal.segments import Position
from telemetry_cli.redaction.redactor import Redactor

#: What is applied in one transaction at most: operations, seconds, and when one that takes longer is given up (monotonic seconds).
Limits = tuple[int, float, float | None]
#: The same of one command on the fast path: a backlog of others must not hold it up.
_FAST: Limits = (1000, 0.1, None)
#: What of it is applied whatever the clock says: a process that was stopped for a moment must not take its own record for a backlog.
_AT_LEAST = 16
#: What a read or `db drain` applies in one transaction, so that other writers get their turn in between.
BATCH: Limits = (5000, 0.5, None)
#: Seconds after which one operation is given up for which there is no time left; those before it in its transaction are lost with it.
_GRACE = 0.3
#: What a cursor calls a journal of which every header is damaged.
_NAMELESS = ""

#: How the lines of a blob are read: (settings, digest) → lines.
Content = Callable[[Config, str], Iterator[bytes]]


def append(
    config: Config, operations: Sequence[Operation], deadline: float
) -> tuple[Position | None, TelemetryError | None]:
    """Redact operations and append them to the journal in one flushed write.

    Return where the last one ends, or None and why they went to the buffer instead. If a journal
    would begin next to a legacy database, that one is adopted first, if it can be before `deadline`
    (monotonic seconds). Raises `NotDurable` and `Refused`, and `InvalidInput` for an invalid
    redaction rule in the config.
    """
    op_id, at = str(operations[0]["op_id"]), str(operations[-1]["at"])
    lines = b"".join(_redacted_line(config, made) for made in operations)
    try:
        position, trouble = journal.append(config, op_id, lines, at, deadline)
    except journal.BesideDatabase:
        from telemetry_cli.journal.adopt import adopt

        try:
            adopt(config, at, deadline)
        except (DatabaseTrouble, LockTimeout, OSError):
            # The record comes first. A later command adopts the database when it applies the
            # journal, and a rebuild finds its snapshot.
            pass
        position, trouble = journal.append(config, op_id, lines, at, deadline, unrecorded=True)
    if position is not None:
        return position, None
    return None, JournalTrouble(
        f"the journal could not be appended to ({trouble}), so the record waits in "
        f"{config.buffer_dir}"
    )


def _redacted_line(config: Config, operation: Operation) -> bytes:
    """Return an operation's line without secrets. Every operation passes through here."""
    line = journal.encode(operation)
    redactor, data = Redactor(config.redact_rules), operation["data"]
    if not isinstance(data, dict):
        return line
    details = data.get("error_details")
    # Truncate only after redaction: no rule recognizes a secret that was cut in two.
    is_long = isinstance(details, str) and len(details) * 4 > rules.LONGEST_ERROR_DETAILS
    if is_long or redactor.suspects(line):
        return journal.encode({**operation, "data": redactor.operation(data)})
    return line


def apply_new(
    config: Config,
    operations: Sequence[Operation],
    position: Position,
    deadline: float,
    *,
    patient: bool,
) -> list[Outcome]:
    """Apply operations that were appended up to `position`, after those before them.

    Return the outcome of each. Stop at a long backlog, unless `patient` or one of them is large:
    a command that makes a large one is not on the fast path. Raises `DatabaseTrouble`,
    `LockTimeout` or `Refused`; then they stay pending.
    """
    op_ids, at = [str(made["op_id"]) for made in operations], str(operations[-1]["at"])
    try:
        if not patient and not any(is_large(made["op"]) for made in operations):
            return _drain(config, at, deadline, _FAST, op_ids, position)
        while True:
            deadline = time.monotonic() + config.lock_timeout
            outcomes = _drain(config, at, deadline, BATCH, op_ids, position)
            if not any(outcome.buffered for outcome in outcomes):
                return outcomes
    except OSError as error:
        raise DatabaseTrouble(f"{config.db_path} could not be reached: {error.strerror}") from None


def catch_up(config: Config, *, patient: bool = False) -> TelemetryError | None:
    """Apply pending operations in bounded transactions; return why some are left, or None.

    Stop after the lock timeout unless `patient`.
    """
    at = stamp(now())
    begun = time.monotonic()
    # What a write applies in passing, a read does too.
    stop_at = begun + max(config.lock_timeout, _FAST[1])

    def left() -> float:
        return BATCH[1] if patient else min(BATCH[1], stop_at - time.monotonic())

    def deadline() -> float:
        return (time.monotonic() if patient else begun) + config.lock_timeout

    try:
        while unmoved := journal.flush_buffer(config, at, deadline(), left()):
            if left() <= 0:
                break
        while (
            _drain(
                config, at, deadline(), (BATCH[0], left(), None if patient else stop_at + _GRACE)
            )[0].buffered
            or unmoved
        ):
            if left() <= 0:
                return JournalTrouble(
                    f"there was no time to apply more ({config.lock_timeout:g} s); to apply all of them: telemetry db drain"
                )
    except (DatabaseTrouble, LockTimeout, Refused) as trouble:
        return trouble
    except OSError as error:
        kind = (
            ForbiddenDatabase
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            else DiskTrouble
        )
        return kind(f"{config.base_dir} could not be written: {error.strerror}")
    return None


# Drain


def _drain(
    config: Config,
    at: str,
    deadline: float,
    limits: Limits,
    op_ids: Sequence[str] = (),
    position: Position | None = None,
) -> list[Outcome]:
    """Apply what lies behind the cursor, at most `limits` of it, in one transaction; adopt the platform's database first.

    With `op_ids`, the last of which ends at `position` and is flushed, returns their outcomes; without, an empty one,
    `buffered` when there is more to apply.
    """
    try:
        return _drain_ours(config, at, deadline, limits, op_ids, position)
    except OlderDatabase:
        from telemetry_cli.journal.adopt import adopt

        adopt(config, at, deadline)
        return _drain_ours(config, at, deadline, limits, op_ids, position)


def _drain_ours(
    config: Config,
    at: str,
    deadline: float,
    limits: Limits,
    op_ids: Sequence[str],
    position: Position | None,
) -> list[Outcome]:
    make_folder(os.path.dirname(config.db_path), may_be_link=not config.owns_db_folder)
    with Lock(config.db_path + ".lock", deadline):
        _check_may_be_made(config)
        db = open_writer(config.db_path, config.synchronous, deadline)
        try:
            was_empty = ensure_schema(db, config.db_path, at)
            with translated(config.db_path):
                cursor = believable_cursor(config, db)
                trouble = None
                behind = False
                # Passed already: another process applied it for me, and all that is left is to read what came of it.
                if was_empty or position is None or (cursor[1], cursor[2]) < position:
                    with interrupted_at(db, limits[2]):
                        behind, trouble = apply_behind(
                            config, db, cursor, deadline, limits, position
                        )
                found = [result_of(db, op_id) for op_id in op_ids]
                commit(db, deadline)
        finally:
            db.close()
    if trouble and (not found or None in found):
        raise trouble
    backlog = Outcome(0, {}, JournalTrouble("a backlog of earlier records is being applied first"))
    return [Outcome(*one) if one else backlog for one in found] or [
        backlog if behind else Outcome(0, {})
    ]


def _check_may_be_made(config: Config) -> None:
    """An absent or empty database may be made on the spot only if the journal holds everything from an empty beginning."""
    try:
        if os.lstat(config.db_path).st_size:
            return
    except FileNotFoundError:
        pass
    if asides(config.db_path):
        # One of them may hold what the journal has lost since; which, `db rebuild` finds out.
        raise DatabaseTrouble(
            f"{config.db_path} is missing, and another that was put aside is there",
            "Run: telemetry db rebuild",
        )
    if journal.genesis(config) is not None or _was_adopted(config):
        raise DatabaseTrouble(
            f"{config.db_path} is missing, and the journal does not go back to an empty beginning",
            "Run: telemetry db rebuild",
        )


def _was_adopted(config: Config) -> bool:
    if not os.path.isdir(config.backups_dir):
        return False
    from telemetry_cli.journal.backups import any_snapshot

    return any_snapshot(config)


def believable_cursor(config: Config, db: Connection) -> Cursor:
    """The cursor, once journal_id and the last applied line agree with the journal; its beginning where nothing was applied yet."""
    cursor = read_cursor(db)
    if cursor is None:
        names = journal.segments(config)
        if not names or journal.genesis(config) == journal.PRUNED:
            raise JournalTrouble(
                f"the journal in {config.raw_dir} no longer goes back to its beginning",
                "Run: telemetry db rebuild",
            )
        return (journal.journal_id(config, names) or _NAMELESS, names[0], 0, "")
    if not is_of_journal(config, cursor):
        raise JournalTrouble(
            f"{config.db_path} does not belong to the journal in {config.raw_dir}",
            "Run: telemetry db rebuild",
        )
    return cursor


def is_of_journal(config: Config, cursor: Cursor) -> bool:
    """Tell whether a cursor is one of this journal: by its identity, and by the last applied line."""
    known, segment, offset, crc = cursor
    identity = journal.journal_id(config, journal.segments(config))
    if not offset or journal.fingerprint(journal.ending(config, (segment, offset))) == crc:
        # Where every header is damaged, the last applied line alone must tell that the two belong together.
        return (identity or known) == known
    # Where that line has been damaged since, the identity must.
    return identity == known and journal.is_damaged(journal.line_before(config, (segment, offset)))


def apply_behind(
    config: Config,
    db: Connection,
    cursor: Cursor,
    deadline: float,
    limits: Limits,
    synced: Position | None,
    until: Position | None = None,
    content: Content | None = None,
) -> tuple[bool, JournalTrouble | None]:
    """Apply lines in order (`until`: to where the cursor of another database is; `content`: how blobs are read) and move the cursor.

    Returns whether more is left, and what an unknown operation said.
    """
    start = (cursor[1], cursor[2])
    # As far as a database's cursor the journal is flushed already.
    end = until or journal.durable_end(config, synced, deadline)
    if not until:
        journal.sync_older(config, start, end)
    reached = start
    stop_at = time.monotonic() + limits[1]
    behind, trouble = False, None
    for applied, (place, line) in enumerate(journal.read(config, start, end)):
        operation = journal.decode(line)
        is_late = time.monotonic() > stop_at and (limits is not _FAST or applied >= _AT_LEAST)
        # Where one may be interrupted, a large one has a transaction of its own.
        is_too_large = (
            operation is not None
            and is_large(operation.get("op"))
            and (limits is _FAST or (limits[2] is not None and applied > 0))
        )
        if applied >= limits[0] or is_late or is_too_large:
            behind = True
            break
        try:
            _apply_line(db, place, operation, line, partial(content or _content, config))
        except JournalTrouble as error:
            trouble = error
            break
        reached = place
    if reached != start:
        move_cursor(db, (cursor[0], *reached, journal.fingerprint(journal.ending(config, reached))))
    return behind, trouble


def _content(config: Config, digest: str) -> Iterator[bytes]:
    """The lines of a blob. One that is gone or damaged breaks no rule of the operation: it is kept as one that could not be read."""
    from telemetry_cli.journal.blobs import lines

    try:
        yield from lines(config, digest)
    except (NotFound, Refused) as error:
        raise TelemetryError(error.message, error.hint) from None


def _apply_line(
    db: Connection,
    place: Position,
    operation: Operation | None,
    line: bytes,
    blobs: Blobs,
) -> None:
    """Apply one line. A damaged one is kept and counted, and so is what can be read of its neighbour where they ran together."""
    if operation is not None:
        apply(db, operation, line, blobs)
        return
    if not line.strip():
        return
    reject(
        db,
        f"{place[0]}:{place[1]}",
        "damaged",
        70,
        "the journal line is damaged: its CRC does not match",
        line,
    )
    for piece in journal.pieces(line):
        found = journal.decode(piece)
        if found is not None:
            apply(db, found, piece, blobs)


def position_of(config: Config, db: Connection | None) -> Position:
    """Return up to where the journal is applied to a database; the start if there is none."""
    if db is None:
        return journal.START
    with translated(config.db_path):
        cursor = read_cursor(db)
    return (cursor[1], cursor[2]) if cursor else journal.START
