"""Check records: the database against its schema and the journal, pending and rejected lines."""

import os
from collections.abc import Iterator
from datetime import timedelta

from telemetry_cli.core import clock
from telemetry_cli.core.errors import DatabaseTrouble, TelemetryError
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.core.values import shorten
from telemetry_cli.database import health, hooks, maintenance
from telemetry_cli.database.database import RESTORE_BLOB, UNREADABLE, asides, translated
from telemetry_cli.database.migrate import FIRST_VERSION
from telemetry_cli.journal import backups, buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.maintenance import integrity as damage
from telemetry_cli.maintenance import rebuild as origins
from telemetry_cli.maintenance import rebuild as recovery
from telemetry_cli.maintenance.doctor.context import Examined, Finding, problem, warning

_REBUILD = "telemetry db rebuild"
_MOST = 10
_LONG = timedelta(days=1)


def database(examined: Examined) -> Iterator[Finding]:
    """It is there, can be read, has our schema, and SQLite finds nothing wrong with it."""
    config, trouble = examined.config, examined.trouble
    if trouble:
        yield problem(trouble.message, config.db_path, trouble.hint or _REBUILD)
        return
    if examined.copy is None:
        if journal.newest_end(config) != journal.START:
            kept = asides(config.db_path)
            yield problem(
                "there is a journal and no database",
                config.db_path,
                _REBUILD if kept else f"The next command makes it again; else: {_REBUILD}",
            )
            for path in kept:
                yield problem(
                    "a database that was put aside; it may hold what the journal has lost",
                    path,
                    _REBUILD,
                )
        return
    try:
        version = maintenance.version_of(examined.copy)
        faults = (
            maintenance.faults(examined.copy, _MOST)
            if version >= FIRST_VERSION
            else maintenance.damage(examined.copy)
        )
    except DatabaseTrouble as error:
        yield problem(
            error.message.replace(examined.copy, config.db_path), config.db_path, _REBUILD
        )
        examined.copy = None
        return
    for fault in faults:
        yield problem(f"integrity_check: {fault}", config.db_path, _REBUILD)
    said = maintenance.cursor_of(examined.copy)[0]
    if FIRST_VERSION <= version <= SCHEMA_VERSION and said != version:
        yield problem(
            f"it has schema version {version}, and its header says {said}", config.db_path, _REBUILD
        )
        return
    if version != SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        finding = problem if newer else warning
        yield finding(
            f"schema version {version}; this telemetry knows {SCHEMA_VERSION}",
            config.db_path,
            "Upgrade telemetry." if newer else "telemetry db migrate",
        )
    examined.has_tables = version == SCHEMA_VERSION
    examined.is_sound = not faults and version == SCHEMA_VERSION


def settings(examined: Examined) -> Iterator[Finding]:
    """The pragmas that a power cut asks for."""
    if examined.config.synchronous != "EXTRA":
        where = examined.config.values["db_synchronous"].source
        yield warning(
            "synchronous = FULL: after a power cut the database may have to be caught up with the journal again",
            where,
            "Leave it at EXTRA.",
        )


def journal_lines(examined: Examined) -> Iterator[Finding]:
    """Every line of the journal can be read, by its CRC, and every blob that its operations name, by its digest."""
    for number, found in enumerate(damage.found(examined.config)):
        examined.is_explained = examined.is_explained or found.makes_rows
        if number == _MOST:
            yield problem(
                "more lines or blobs are damaged", examined.config.raw_dir, "telemetry db backup"
            )
        elif number < _MOST and found.line is None:
            yield problem(found.what, found.where, "Restore the blob from a backup of the folder.")
        elif number < _MOST:
            what = f"{found.what}: {shorten(repr(found.line)[2:-1], 60)}"
            yield problem(
                what,
                found.where,
                "What it did may stand in the database or a backup: telemetry db backup, and keep the old ones.",
            )


def rows(examined: Examined) -> Iterator[Finding]:
    """The rows are what the journal's operations make of them."""
    config, copy = examined.config, examined.copy
    if copy is None or not examined.is_sound:
        return
    again = os.path.join(examined.folder, "again.sqlite")
    try:
        cursor = maintenance.cursor_of(copy)[1]
        if cursor is None:
            return
        if not origins.belongs(config, copy):
            yield problem(
                f"the database does not belong to the journal in {config.raw_dir}",
                config.db_path,
                _REBUILD,
            )
            return
        recovery.make_again(config, again, cursor)
        lost = maintenance.missing(again, copy)
        if lost and not examined.is_explained:
            what = f"the journal has lost {lost} {'record' if lost == 1 else 'records'} that the database holds"
            yield problem(
                what,
                config.raw_dir,
                "What they did stands in the database or a backup: telemetry db backup, and keep the old ones.",
            )
            examined.is_explained = True
        for difference in health.differences(copy, again):
            examined.has_other_rows = True
            what = f"{difference.table}: the row of {shorten(difference.name)} {difference.what}"
            if examined.is_explained:
                yield warning(
                    f"{what}, which is damaged",
                    config.db_path,
                    "It may be what the damaged part did: telemetry db backup, and keep it.",
                )
            else:
                yield problem(what, config.db_path, f"{_REBUILD}, which keeps the old database")
    except (TelemetryError, OSError) as error:
        if examined.is_explained:
            yield warning(
                "the rows cannot be compared with the journal, which is damaged",
                config.raw_dir,
                "telemetry db backup, and keep it.",
            )
            return
        yield problem(
            f"the rows cannot be compared with the journal: {error}",
            config.raw_dir,
            getattr(error, "hint", "") or "See to the disk.",
        )


def waiting(examined: Examined) -> Iterator[Finding]:
    """Records that are durable and not in the database yet."""
    config = examined.config
    left = buffer.waiting(config)
    if left:
        yield warning(
            f"{len(left)} {'record waits' if len(left) == 1 else 'records wait'} to go to the journal",
            config.buffer_dir,
            "telemetry db drain",
        )
    if examined.trouble:
        # How far it came cannot be asked, and why has been said.
        return
    cursor = maintenance.cursor_of(examined.copy)[1] if examined.copy else None
    position = (cursor[1], cursor[2]) if cursor else journal.START
    number = journal.waiting_count(config, position) - len(left)
    if number > 0:
        yield warning(
            f"{number} {'record waits' if number == 1 else 'records wait'} to go to the database",
            config.raw_dir,
            "telemetry db drain",
        )


def rejected(examined: Examined) -> Iterator[Finding]:
    """Operations that broke a rule when they were applied. Whoever waited for one was told; of a buffered one nobody was."""
    if examined.copy is None or not examined.is_sound:
        return
    db = health.open_copy(examined.copy)
    try:
        found, number = health.rejected(db, _MOST)
    finally:
        db.close()
    for row in found:
        where = f"rejected_ops, op_id {row['op_id']}"
        if row["code"] == UNREADABLE and row["kind"] != "damaged":
            yield problem(f"{row['kind']} was not applied: {row['message']}", where, RESTORE_BLOB)
        elif row["kind"] != "damaged":
            yield warning(
                f"{row['kind']} was refused: {row['message']}",
                where,
                "See that it was not meant; it is kept with all it said.",
            )
    if number > _MOST:
        yield warning(
            f"{number} operations were refused in all",
            "rejected_ops",
            "telemetry sql 'SELECT * FROM rejected_ops'",
        )


def unended(examined: Examined) -> Iterator[Finding]:
    """Runs that have been running for over a day."""
    if examined.copy is None or not examined.is_sound:
        return
    db = health.open_copy(examined.copy)
    try:
        found = health.running_since(db, clock.stamp(clock.now() - _LONG))
    finally:
        db.close()
    for row in found[:_MOST]:
        yield warning(
            f"running since {row['start_time']}",
            f"run {row['event_id']}",
            f"telemetry run end {row['event_id']} --status cancelled, or: telemetry run reap",
        )
    if len(found) > _MOST:
        yield warning(
            f"{len(found)} runs have been running for over a day",
            "agent_runs",
            "telemetry run reap --older-than 1d",
        )


def copies(examined: Examined) -> Iterator[Finding]:
    """Backups check out."""
    for path in backups.kept(examined.config):
        try:
            maintenance.check(path)
        except (TelemetryError, OSError) as error:
            yield problem(
                f"a backup is damaged: {error}",
                path,
                "Delete it, and make another: telemetry db backup",
            )
    if backups.any_snapshot(examined.config) and not backups.snapshots(examined.config):
        yield problem(
            "the snapshot of the adopted database is damaged",
            examined.config.backups_dir,
            "Put a copy of it back, and: telemetry db backup",
        )


def live_pointers(examined: Examined) -> Iterator[Finding]:
    """The live version of every hook is the release that its log ends with; raw SQL with foreign keys off may have named another."""
    if examined.copy is None or not examined.has_tables:
        return
    db = health.open_copy(examined.copy)
    try:
        with translated(examined.copy):
            found = hooks.forged_pointers(db)
    except DatabaseTrouble:
        # Why it cannot be read has been said.
        return
    finally:
        db.close()
    for forged in found:
        live, logged = forged["live_version"], forged["logged_version"]
        yield problem(
            f"hook {forged['hook']}: version {live} is live, and no record made it so; the last move was to {logged}",
            examined.config.db_path,
            _REBUILD,
        )


#: Where a database's header says how it is written (2: with a write-ahead log). https://www.sqlite.org/fileformat.html#the_database_header
_WRITE_VERSION = 18
_WITH_WAL = 2


def tables(examined: Examined) -> Iterator[Finding]:
    """Tables, indexes, views and triggers are those of our schema files."""
    if examined.copy is None or not examined.has_tables:
        return
    path = examined.config.db_path
    db = health.open_copy(examined.copy)
    try:
        with translated(path):
            faults, strangers = health.schema_faults(db)
    except DatabaseTrouble:
        # Why it cannot be read has been said.
        return
    finally:
        db.close()
    for fault in faults:
        yield problem(f"{fault}; records that need it wait, and reads may fail", path, _REBUILD)
    if strangers:
        yield warning(
            f"not of telemetry: {', '.join(strangers)}",
            path,
            "Find out who made it; a rebuilt database does not have it.",
        )
    examined.is_sound = examined.is_sound and not faults


def search_index(examined: Examined) -> Iterator[Finding]:
    """The index of words is that of the rows. Where these are not what was recorded, it cannot be, and they have been said."""
    if examined.copy is None or not examined.is_sound or examined.has_other_rows:
        return
    fault = health.search_fault(examined.copy)
    if fault:
        yield problem(
            f"the index of words does not match the runs, so --search misses some ({fault})",
            examined.config.db_path,
            _REBUILD,
        )


def journal_mode(examined: Examined) -> Iterator[Finding]:
    """The database is not in WAL mode, in which what was committed last may be lost with the power."""
    if examined.copy is None:
        return
    try:
        with open(examined.config.db_path, "rb") as file:
            is_wal = file.read(_WRITE_VERSION + 1)[-1:] == bytes([_WITH_WAL])
    except OSError:
        # Why it cannot be read has been said.
        return
    if is_wal:
        yield warning(
            "the database is in WAL mode until no other program has it open",
            examined.config.db_path,
            "Find out what else opens it.",
        )
