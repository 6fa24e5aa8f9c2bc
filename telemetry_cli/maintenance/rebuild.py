"""Rebuild or restore databases from the journal, a backup, or a database that still holds rows."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from telemetry_cli.core.clock import now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import (
    Conflict,
    DatabaseTrouble,
    DiskTrouble,
    InvalidInput,
    JournalTrouble,
    LockedDatabase,
    TelemetryError,
)
from telemetry_cli.core.fs import make_folder
from telemetry_cli.core.locks import MaintenanceLock
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database import maintenance, swap
from telemetry_cli.database.database import (
    REBUILD,
    Cursor,
    asides,
    check_place,
    commit,
    ensure_schema,
    newer,
    open_writer,
    translated,
)
from telemetry_cli.database.migrate import FIRST_VERSION
from telemetry_cli.journal import (
    adopt as adoption,
)
from telemetry_cli.journal import (
    backups,
    blobs,
)
from telemetry_cli.journal import (
    segments as journal,
)
from telemetry_cli.journal.writer import (
    BATCH,
    apply_behind,
    believable_cursor,
    is_of_journal,
)
from telemetry_cli.maintenance import integrity as damage


def beginnings(config: Config, survivor: str | None) -> Iterator[tuple[str | None, str]]:
    """What a database can be made from, the best first: (a database, or None for an empty one; in words).

    The journal from its beginning is best, for nothing but its CRCs tells that no bit of it has changed. Where a line or a blob of it is
    damaged, the `survivor` holds what that did, and a backup may.
    """
    first = list(genesis(config))
    copies = [
        (path, f"the backup {path}") for path in backups.kept(config) if is_good(config, path)
    ]
    if not damage.makes_rows_differ(config):
        yield from [*first, *copies]
        return
    if survivor:
        yield (
            survivor,
            f"{in_words(config, survivor)}, for the journal is damaged, and the journal since",
        )
    yield from [*((path, origin) for path, origin in copies if path != survivor), *first]


def in_words(config: Config, path: str) -> str:
    """What a database is called that another begins with."""
    return (
        f"the backup {path}"
        if os.path.dirname(path) == config.backups_dir
        else f"the database {path} as it was"
    )


def genesis(config: Config) -> Iterator[tuple[str | None, str]]:
    """As `beginnings`, those that the whole journal is applied to; none where it was pruned."""
    found = journal.genesis(config)
    if found == journal.PRUNED:
        return
    adopted = backups.snapshots(config)
    if found in (None, journal.UNREADABLE) and not backups.any_snapshot(config):
        yield None, "the journal from its beginning"
    # The newest is what the journal was applied to: it may be adopted again, if its migration was cut off and it was written to since.
    yield from ((path, f"the adopted database {path} and the journal") for path in adopted)


def find_survivors(config: Config) -> list[str]:
    """The databases that are sound and of this journal: the one that is there, those that were put aside, newest first, and the backups.

    What they hold, and the journal no longer does, must not be missing from what is made. Raises `LockedDatabase`.
    """
    return [
        path
        for path in (config.db_path, *asides(config.db_path), *backups.kept(config))
        if survives(config, path)
    ]


def survives(config: Config, path: str) -> bool:
    """Tell whether the database at `path` is sound, of this journal, and tells which operations it holds. Raises `LockedDatabase`."""
    try:
        if (
            not os.path.getsize(path)
            or maintenance.faults(path, 1)
            or not maintenance.tells_results(path)
        ):
            return False
        cursor = maintenance.cursor_of(path)[1]
    except LockedDatabase:
        raise
    except (DatabaseTrouble, OSError):
        return False
    return cursor is not None and (is_of_journal(config, cursor) or is_ahead(config, cursor))


def is_good(config: Config, path: str) -> bool:
    """Tell whether a backup checks out, and belongs to the journal as it is now."""
    try:
        maintenance.check(path)
        return belongs(config, path)
    except (TelemetryError, OSError):
        return False


def belongs(config: Config, path: str) -> bool:
    """Tell whether the database at `path` was made from this journal, and from nothing that the journal has lost."""
    cursor = maintenance.cursor_of(path)[1]
    return cursor is not None and is_of_journal(config, cursor)


def is_ahead(config: Config, cursor: Cursor) -> bool:
    """Tell whether a cursor that is not believed is of this journal all the same: lines that were applied are gone from it since.

    One in a segment that was pruned is not: what came behind it is gone.
    """
    names = journal.segments(config)
    return bool(names) and cursor[0] == journal.journal_id(config, names) and cursor[1] >= names[0]


def again_from(config: Config, cursor: Cursor) -> Cursor | None:
    """Where the journal is to be applied from to a database whose cursor is not believed; None: from its genesis.

    From the beginning of what there is: operations that have a result are passed over.
    """
    return (cursor[0], journal.segments(config)[0], 0, "") if is_ahead(config, cursor) else None


class Made:
    """A database that was made again: what it was made `from`, where the old one is kept, how many journal lines are damaged or gone."""

    def __init__(self, origin: str, aside: str | None, damaged: int, left: int = 0) -> None:
        self.origin = origin
        self.aside = aside
        self.damaged = damaged
        #: How many operations the old database alone holds the outcome of.
        self.left = left


def rebuild(config: Config) -> Made:
    """Make the database again, and swap it in when it checks out.

    Where the journal is damaged or has lost lines and the old one is sound, it is begun with, for it holds what those did.
    Raises `DatabaseTrouble` (`NewerDatabase`: a newer telemetry wrote it) or `LockTimeout`, and then nothing has changed.
    """
    check_place(config.db_path, config.owns_db_folder)
    if not journal.segments(config):
        raise DatabaseTrouble(f"there is no journal in {config.raw_dir} to make a database from")
    with _replacing(config, swap.REBUILT) as fresh:
        if (
            journal.genesis(config) == journal.UNRECORDED
            and not backups.any_snapshot(config)
            and _is_orphan(config)
        ):
            # Its own journal is gone, and this one began beside it: it is what this one begins with.
            backups.keep_snapshot(config, config.db_path, time.monotonic() + config.lock_timeout)
        return _swapped_in(config, fresh, *_make_whole(config, fresh))


@contextmanager
def _replacing(config: Config, ending: str) -> Iterator[str]:
    """Hold the writer lock while a database is made at the path that this yields; what one that was killed left is taken away, and so is what is left of it.

    Raises `LockedDatabase` while another program is in a transaction on the database, and `NewerDatabase` for a sound one of a newer telemetry.
    """
    make_folder(os.path.dirname(config.db_path), may_be_link=not config.owns_db_folder)
    deadline = time.monotonic() + config.lock_timeout
    with MaintenanceLock(config.db_path + ".lock", deadline):
        if os.path.exists(config.db_path):
            # Asked before all the work, and again by the swap.
            with swap.alone(config.db_path, deadline):
                pass
        _check_not_newer(config)
        swap.clear(config.db_path)
        fresh = config.db_path + ending
        try:
            yield fresh
        finally:
            maintenance.remove(fresh)


def _check_not_newer(config: Config) -> None:
    try:
        version = maintenance.version_of(config.db_path)
        # Where the file is damaged, what it says of its version means nothing.
        is_newer = version > SCHEMA_VERSION and not maintenance.faults(config.db_path, 1)
    except (DatabaseTrouble, OSError):
        return
    if is_newer:
        raise newer(config.db_path, version)


def make_again(
    config: Config, fresh: str, until: Cursor | None = None, survivor: str | None = None
) -> str:
    """Make a database at `fresh` of all that there is, or of all up to a cursor. Returns what it was made from, in words.

    Where the journal is damaged, the `survivor` counts too. Raises `DatabaseTrouble` with what stood in the way of each beginning:
    `DiskTrouble` if it was the disk.
    """
    troubles = []
    is_disks = False
    for path, origin in beginnings(config, survivor):
        try:
            begin_with(config, fresh, path)
            apply_journal(config, fresh, until)
        except JournalTrouble:
            raise
        except (DatabaseTrouble, OSError) as trouble:
            troubles.append(f"{origin}: {trouble}")
            is_disks = is_disks or isinstance(trouble, (DiskTrouble, OSError))
            continue
        return origin
    raise (DiskTrouble if is_disks else DatabaseTrouble)(
        "; ".join(troubles)
        or f"the journal in {config.raw_dir} does not go back to its beginning, and there is no backup of what came before",
        f"Put a backup of the database into {config.backups_dir}, or give it to: telemetry db restore FILE",
    )


def _make_whole(config: Config, fresh: str) -> tuple[str, int]:
    """The same of all that there is, so that nothing is missing that the journal has lost and a database still holds.

    Returns how many operations those are, too.
    """
    survivors, second, lost = find_survivors(config), config.db_path + swap.SECOND, 0
    origin = make_again(config, fresh, survivor=survivors[0] if survivors else None)
    try:
        for path in survivors:
            missing = maintenance.missing(fresh, path)
            if missing and _is_better(config, second, path, fresh):
                os.replace(second, fresh)
                origin = f"{in_words(config, path)}, for it holds operations ({missing}) that the journal has lost, and the journal since"
                lost += missing
    finally:
        maintenance.remove(second)
    return origin, lost


def _is_better(config: Config, second: str, path: str, fresh: str) -> bool:
    """Make a database at `second` that begins with the one at `path`, and tell whether it came out with all that the one at `fresh` has."""
    try:
        begin_with(config, second, path)
        apply_journal(config, second)
        return maintenance.has_tables_of(second, fresh) and not maintenance.missing(second, fresh)
    except DatabaseTrouble:
        return False


def _is_orphan(config: Config) -> bool:
    """Tell whether the database is sound, and of a journal that is gone."""
    try:
        if not os.path.getsize(config.db_path) or maintenance.faults(config.db_path, 1):
            return False
        cursor = maintenance.cursor_of(config.db_path)[1]
    except (DatabaseTrouble, OSError):
        return False
    return cursor is not None and cursor[0] != journal.journal_id(config, journal.segments(config))


def begin_with(config: Config, fresh: str, path: str | None) -> None:
    """Put the database that it begins with at `fresh` (None: nothing), in our schema and with a cursor in this journal, or none."""
    maintenance.remove(fresh)
    if path is None:
        return
    maintenance.copy(path, fresh, time.monotonic() + config.lock_timeout)
    maintenance.mend_version(fresh)
    version, cursor = maintenance.cursor_of(fresh)
    if version < FIRST_VERSION:
        adoption.migrate_copy(config, fresh)
    elif cursor and not is_of_journal(config, cursor):
        maintenance.set_cursor(fresh, again_from(config, cursor))


def apply_journal(config: Config, path: str, until: Cursor | None = None) -> None:
    """Apply the journal behind its cursor to the database at `path`, all of it or up to another cursor. Raises `DatabaseTrouble` or `LockTimeout`."""
    while _apply_some(config, path, until):
        pass


def _apply_some(config: Config, path: str, until: Cursor | None) -> bool:
    """Apply a batch of the journal to the database at `path`. Tells whether there is more.

    Each batch may wait anew: a long rebuild must not fail because an appender holds the journal for a moment.
    """
    deadline = time.monotonic() + config.lock_timeout
    db = open_writer(path, config.synchronous, deadline)
    try:
        ensure_schema(db, path, stamp(now()))
        with translated(path):
            end = (until[1], until[2]) if until else None
            behind, trouble = apply_behind(
                config, db, believable_cursor(config, db), deadline, BATCH, None, end, _content
            )
            commit(db, deadline)
    finally:
        db.close()
    if trouble:
        raise trouble
    return behind


def _content(config: Config, digest: str) -> Iterator[bytes]:
    """The lines of a blob. One that cannot be read is trouble: what it holds must not be missing silently from what is made again."""
    try:
        yield from blobs.lines(config, digest)
    except TelemetryError as error:
        raise DatabaseTrouble(error.message, error.hint) from error


def _swapped_in(config: Config, fresh: str, origin: str, lost: int, left: int = 0) -> Made:
    maintenance.check(fresh)
    # A damaged line that was applied before is one of the lost, too.
    damaged = max(lost, sum(found.line is not None for found in damage.found(config)))
    return Made(
        origin,
        swap.swap_in(fresh, config.db_path, time.monotonic() + config.lock_timeout),
        damaged,
        left,
    )


# Restore


def restore(config: Config, source: str) -> Made:
    """Put the backup at `source` in place, and apply the journal since. Where there is no journal any more, one begins with it.

    Raises `InvalidInput`, `Conflict` for a backup of another base, `DatabaseTrouble` or `LockTimeout`; then nothing has changed.
    """
    if not os.path.isfile(source):
        raise InvalidInput(
            f"FROM: there is no file {source}", f"Backups are in {config.backups_dir}"
        )
    check_place(config.db_path, config.owns_db_folder)
    make_folder(config.base_dir, may_be_link=True)
    with _replacing(config, swap.RESTORED) as fresh:
        _take(config, source, fresh)
        apply_journal(config, fresh)
        left = maintenance.missing(fresh, config.db_path) if survives(config, config.db_path) else 0
        return _swapped_in(config, fresh, source, 0, left)


def _take(config: Config, source: str, fresh: str) -> None:
    """Copy a backup to `fresh`, and settle it. What is wrong with it is said of the backup, not of the database that is to be replaced."""
    try:
        maintenance.copy(source, fresh, time.monotonic() + config.lock_timeout)
        _settle(config, source, fresh)
    except DatabaseTrouble as error:
        hint = (
            f"Take another backup; they are in {config.backups_dir}"
            if error.hint in ("", REBUILD)
            else error.hint
        )
        raise type(error)(f"FROM: {error.message.replace(fresh, source)}", hint) from error


def _settle(config: Config, source: str, fresh: str) -> None:
    """Make the copy of a backup one that this journal can be applied to."""
    maintenance.mend_version(fresh)
    version, cursor = maintenance.cursor_of(fresh)
    if version > SCHEMA_VERSION:
        raise newer(source, version)
    found = maintenance.faults(fresh, 1) if version >= FIRST_VERSION else maintenance.damage(fresh)
    if found:
        raise DatabaseTrouble(
            f"{source} is damaged: {found[0]}",
            f"Take another backup; they are in {config.backups_dir}",
        )
    if (
        version >= FIRST_VERSION
        and cursor
        and (is_of_journal(config, cursor) or is_ahead(config, cursor))
    ):
        if not is_of_journal(config, cursor):
            maintenance.set_cursor(fresh, again_from(config, cursor))
        return
    is_adopted = os.path.realpath(source) in map(os.path.realpath, backups.snapshots(config))
    if not is_adopted:
        if journal.segments(config) and journal.genesis(config) != journal.UNRECORDED:
            raise _foreign(config, source, cursor)
        digest = backups.keep_snapshot(config, source, time.monotonic() + config.lock_timeout)
        journal.begin(config, stamp(now()), time.monotonic() + config.lock_timeout, digest)
    if version < FIRST_VERSION:
        adoption.migrate_copy(config, fresh)
    elif cursor:
        maintenance.set_cursor(fresh, None)


def _foreign(config: Config, source: str, cursor: Cursor | None) -> Conflict:
    """Why the journal cannot be applied to a backup: it lacks what came after it, or it is another's."""
    names = journal.segments(config)
    if cursor and cursor[0] == journal.journal_id(config, names) and cursor[1] < names[0]:
        what = f"{source} is too old: the part of the journal in {config.raw_dir} that came after it was deleted by db prune"
        return Conflict(what, f"Take a newer backup; they are in {config.backups_dir}")
    return Conflict(
        f"{source} is not a backup of this base: it does not belong to the journal in {config.raw_dir}",
        "Name the base it was made of: --base-dir.",
    )
