"""Write redacted copies of the journal, backups and database, and put them in place."""

import copy
import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import (
    DatabaseTrouble,
    DiskTrouble,
    ForbiddenDatabase,
    LockedDatabase,
    TelemetryError,
)
from telemetry_cli.core.fs import (
    make_folder,
    sync_file,
    sync_folder,
    write_new,
)
from telemetry_cli.database import health, maintenance, runs, swap, texts
from telemetry_cli.database.database import Cursor
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
from telemetry_cli.maintenance import integrity as damage
from telemetry_cli.maintenance import rebuild as origins
from telemetry_cli.maintenance import rebuild as recovery
from telemetry_cli.maintenance.cleanup import ENDING, READY, WRITTEN, second_databases
from telemetry_cli.maintenance.redact_scan import (
    Cleaner,
    databases,
    is_stained,
    journal_line,
    stored_text,
)
from telemetry_cli.redaction.lines import blob_lines

#: What may be otherwise the next time. A backup that is left as it is for it would no longer belong to the journal then.
_PASSING = (DiskTrouble, ForbiddenDatabase, LockedDatabase)
#: A file beside the second journal: what is deleted once all is in its place (`snapshots`: digests).
_OBSOLETE = "obsolete.json"


def resume(config: Config) -> None:
    """Bring what was cut off to its end, or take away what was not ready. The caller holds the locks. Raises as `put_in_place` does."""
    if os.path.isdir(os.path.join(config.raw_dir, READY)):
        with _alone(config):
            _take_over(config)
    _forget(config, _elsewhere(config, WRITTEN))


def check(config: Config) -> None:
    """Raise `DatabaseTrouble` where the database cannot tell whether all that it holds came over."""
    if not origins.is_good(config, config.db_path):
        raise DatabaseTrouble(
            f"{config.db_path} is damaged, or does not belong to the journal in {config.raw_dir}",
            "Run: telemetry db rebuild",
        )


def prepare(config: Config, lease: blobs.Lease) -> list[str]:
    """Make it, and check it. Returns what could not be made, in words. The caller holds the locks.

    Raises `DatabaseTrouble`, `LockTimeout` or `OSError`, and then nothing is left of it.
    """
    second = _elsewhere(config, WRITTEN)
    _forget(config, second)
    make_folder(second.raw_dir)
    try:
        cleaner = Cleaner(config)
        snapshots = _make_snapshots(config, cleaner)
        _write_journal(config, cleaner, lease, second, snapshots)
        notes = _make_databases(config, cleaner, second)
        obsolete = json.dumps({"snapshots": sorted(snapshots)}).encode()
        write_new(os.path.join(second.raw_dir, _OBSOLETE), [obsolete])
        for folder in (second.raw_dir, config.backups_dir, os.path.dirname(config.db_path)):
            if os.path.isdir(folder):
                sync_folder(folder)
    except BaseException:
        _forget(config, second)
        raise
    return notes


def put_in_place(config: Config) -> None:
    """Put what `prepare` made in its place, once no other program is in a transaction on the database. The caller holds the locks.

    Raises `LockedDatabase` when that takes too long, and then nothing is left of it.
    """
    second = _elsewhere(config, WRITTEN)
    with ExitStack() as stack:
        try:
            stack.enter_context(_alone(config))
            os.rename(second.raw_dir, os.path.join(config.raw_dir, READY))
        except BaseException:
            _forget(config, second)
            raise
        sync_folder(config.raw_dir)
        _take_over(config)


def _alone(config: Config) -> AbstractContextManager[None]:
    return (
        swap.alone(config.db_path, time.monotonic() + config.lock_timeout)
        if os.path.exists(config.db_path)
        else nullcontext()
    )


def _take_over(config: Config) -> None:
    """The journal first: until the database is there too, its cursor is not believed."""
    second = _elsewhere(config, READY)
    with open(os.path.join(second.raw_dir, _OBSOLETE), "rb") as file:
        obsolete = json.load(file)
    for name in journal.segments(second):
        # Where an earlier one was killed, others have written since.
        journal.lengthen(config, second, name)
    journal.take_over(config, second)
    for path in second_databases(config):
        target = path.removesuffix(ENDING)
        if os.path.basename(target) in map(backups.snapshot_name, obsolete["snapshots"]):
            os.rename(path, backups.snapshot(config, backups.digest_of(path)))
        else:
            os.replace(path, target)
    for folder in (config.backups_dir, os.path.dirname(config.db_path)):
        if os.path.isdir(folder):
            sync_folder(folder)
    for digest in obsolete["snapshots"]:
        maintenance.remove(backups.snapshot(config, digest))
    gone = os.path.join(config.raw_dir, WRITTEN)
    shutil.rmtree(gone, ignore_errors=True)
    # Renamed first: half a folder must not look like one that is ready.
    os.rename(second.raw_dir, gone)
    sync_folder(config.raw_dir)
    shutil.rmtree(gone)


def _elsewhere(config: Config, folder: str) -> Config:
    """The same settings with the journal in a folder of its own."""
    second = copy.copy(config)
    second.raw_dir = os.path.join(config.raw_dir, folder)
    return second


def _forget(config: Config, second: Config) -> None:
    # The databases first: without the folder, nobody would know that this was begun.
    for path in second_databases(config):
        maintenance.remove(path)
    shutil.rmtree(second.raw_dir, ignore_errors=True)


# The journal


def _write_journal(
    config: Config, cleaner: Cleaner, lease: blobs.Lease, second: Config, snapshots: dict[str, str]
) -> None:
    """Write the whole journal without secrets. It names other blobs in the place of those that hold some."""
    replaced: dict[str, str] = {}

    def cleaned(line: bytes) -> bytes:
        line = journal_line(cleaner, line)
        operation = journal.decode(line) if b'"blob":"' in line or b'"genesis":"' in line else None
        data = operation.get("data") if operation else None
        if operation is None or not isinstance(data, dict):
            return line
        made = dict(data)
        if isinstance(data.get("blob"), str):
            made["blob"] = _clean_blob(config, cleaner, lease, data["blob"], replaced)
        if operation.get("op") == "journal.header":
            made["genesis"] = snapshots.get(str(data.get("genesis")), data.get("genesis"))
        return line if made == data else journal.encode({**operation, "data": made})

    for name in journal.segments(config):
        journal.write_segment(second, name, map(cleaned, journal.lines_of(config, name)))


def _clean_blob(
    config: Config, cleaner: Cleaner, lease: blobs.Lease, digest: str, replaced: dict[str, str]
) -> str:
    """The digest of a blob's content without secrets, which is kept; its own where there are none, or it cannot be read."""
    if digest not in replaced:
        cleaner.forget()
        try:
            for _ in blob_lines(cleaner, blobs.lines(config, digest), runs.COLUMNS):
                pass
            replaced[digest] = (
                lease.put(blob_lines(cleaner, blobs.lines(config, digest), runs.COLUMNS))
                if cleaner.found
                else digest
            )
        except TelemetryError:
            replaced[digest] = digest
    return replaced[digest]


# The databases


def _make_snapshots(config: Config, cleaner: Cleaner) -> dict[str, str]:
    """Make each adopted database that holds secrets again, in our schema. Returns its old digest → its new one.

    In the old schema a run without an event_id has one that is made of its run_id, and would get another.
    """
    made = {}
    for path in backups.snapshots(config):
        if not is_stained(cleaner, path):
            continue
        fresh = path + ENDING
        maintenance.copy(path, fresh, time.monotonic() + config.lock_timeout)
        if maintenance.cursor_of(fresh)[0] < FIRST_VERSION:
            adoption.migrate_copy(config, fresh)
        _clean(cleaner, fresh)
        maintenance.check(fresh)
        # Of several, the newest is what the journal was applied to.
        info = os.stat(path)
        os.utime(fresh, ns=(info.st_atime_ns, info.st_mtime_ns))
        sync_file(fresh)
        made[backups.digest_of(path)] = backups.digest_of(fresh)
    return made


def _make_databases(config: Config, cleaner: Cleaner, second: Config) -> list[str]:
    """Make the database again, and the backups that are of this journal. Returns why others that hold secrets could not be."""
    check(config)
    whole = not damage.makes_rows_differ(config)
    first = [path for path, _ in origins.genesis(config)] if whole else []
    adopted = backups.snapshots(config)
    notes = []
    for path in databases(config):
        if os.path.dirname(path) != config.backups_dir or path in adopted:
            continue
        try:
            has_secrets = is_stained(cleaner, path)
            if _is_usable(config, path):
                # One without secrets has another place in the second journal, no more.
                _make(config, cleaner, second, path, [*(first if has_secrets else ()), path])
            elif has_secrets:
                raise DatabaseTrouble(
                    f"{path} is damaged, or does not belong to the journal in {config.raw_dir}"
                )
        except _PASSING:
            raise
        except TelemetryError as error:
            maintenance.remove(path + ENDING)
            notes.append(
                f"{path} could not be made again without secrets ({error}); delete it, or keep it where nobody else reads it"
            )
    _make(
        config,
        cleaner,
        second,
        config.db_path,
        [*(path for path, _ in origins.beginnings(config, config.db_path)), config.db_path],
    )
    recovery.apply_journal(second, config.db_path + ENDING)
    maintenance.check(config.db_path + ENDING)
    sync_file(config.db_path + ENDING)
    return notes


def _is_usable(config: Config, path: str) -> bool:
    try:
        maintenance.check(path)
        return origins.belongs(config, path)
    except _PASSING:
        raise
    except TelemetryError:
        return False


def _make(
    config: Config, cleaner: Cleaner, second: Config, path: str, beginnings: Iterable[str | None]
) -> None:
    """Make the database at `path` again without secrets, from the first of its beginnings (None: nothing) from which it comes out the same.

    Best is what the journal makes of it. Where it no longer can, by what was pruned or is damaged, the database itself holds all there is.
    """
    fresh = path + ENDING
    cursor = _in_second(config, second, maintenance.cursor_of(path)[1])
    trouble = ""
    for beginning in beginnings:
        try:
            recovery.begin_with(config, fresh, beginning)
            if beginning:
                _clean(cleaner, fresh)
                maintenance.set_cursor(
                    fresh, _in_second(config, second, maintenance.cursor_of(fresh)[1])
                )
            recovery.apply_journal(second, fresh, cursor)
            maintenance.check(fresh)
            if health.is_same_but_for_texts(path, fresh):
                sync_file(fresh)
                return
            trouble = "it came out with other rows"
        except _PASSING:
            raise
        except DatabaseTrouble as error:
            trouble = str(error)
    raise DatabaseTrouble(
        f"{path} could not be made again without secrets: {trouble}",
        "Nothing was changed. See: telemetry doctor",
    )


def _clean(cleaner: Cleaner, path: str) -> None:
    texts.replace(path, lambda table, column, text: stored_text(cleaner, table, column, text))


def _in_second(config: Config, second: Config, cursor: Cursor | None) -> Cursor | None:
    """A cursor in the journal as one in the second: behind as many lines."""
    if cursor is None:
        return None
    place = journal.after_lines(
        second, cursor[1], journal.lines_before(config, (cursor[1], cursor[2]))
    )
    return (cursor[0], *place, journal.fingerprint(journal.ending(second, place)))
