"""How questions are asked: catch up with the journal if that can be done, then read; say what an answer cannot contain."""

import os
from collections.abc import Iterator, Sequence

from telemetry_cli.core.clock import now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import (
    ForbiddenDatabase,
    NotFound,
    OlderDatabase,
    TelemetryError,
)
from telemetry_cli.database import progress, runs
from telemetry_cli.database.database import (
    Connection,
    open_empty,
    open_reader,
    translated,
)
from telemetry_cli.journal import buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.journal.writer import catch_up


class Reading:
    """The database as it can be read now: `db` is None when there is none; `notes` is what must be said beside the answer."""

    def __init__(self, config: Config, db: Connection | None, notes: list[str]) -> None:
        self.config = config
        self.db = db
        self.notes = notes

    def run(self, reference: str) -> tuple[Connection, int, str, str]:
        """The run that a RUN means, as (the database, id, event_id, run_id).

        Raises `NotFound`, which tells of records that wait, or `Conflict` listing the candidates.
        """
        waiting = "; ".join(self.notes)
        if self.db is None:
            raise NotFound(
                f"Run not found: {reference}",
                waiting or "Nothing has been recorded yet; begin with: telemetry run start",
            )
        with translated(self.config.db_path):
            try:
                id_, event_id, run_id, note = runs.resolve(self.db, reference, stamp(now()))
            except NotFound as error:
                raise NotFound(error.message, waiting) from None
        if note:
            self.notes.append(note)
        return self.db, id_, event_id, run_id

    def prefixes(self, event_ids: Sequence[str]) -> dict[str, str]:
        """Event ids → how much of each is worth showing, and is enough for a RUN."""
        if self.db is None:
            return {}
        with translated(self.config.db_path):
            return runs.shortest_prefixes(self.db, event_ids)


def open_for_reading(config: Config) -> Reading:
    """Apply what waits, if that can be done, and open the database for questions; an old one is migrated first.

    Where telemetry is disabled nothing is applied or migrated. Raises `OlderDatabase` then, and `DatabaseTrouble` when the database is there
    and cannot be read.
    """
    try:
        db = open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)
    except OlderDatabase as older:
        if config.disabled:
            raise OlderDatabase(
                older.message,
                "TELEMETRY_DISABLED is set, so that nothing is written; without it: telemetry db migrate",
            ) from None
        return _after_migration(config, older)
    position = _position(config, db)
    if not journal.is_behind(config, position):
        return Reading(config, db, [])
    if config.disabled:
        return Reading(
            config,
            db,
            [
                _waiting_note(
                    journal.waiting_count(config, position),
                    TelemetryError("TELEMETRY_DISABLED is set"),
                )
            ],
        )
    if db:
        db.close()
    trouble = catch_up(config)
    db = open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)
    return Reading(
        config,
        db,
        [_waiting_note(journal.waiting_count(config, _position(config, db)), trouble)]
        if trouble
        else [],
    )


def glance(config: Config, seconds: float) -> Connection | None:
    """The database as it stands, if it can be had within so many seconds and holds all that was recorded; None otherwise.

    Nothing is applied. Where nothing was recorded yet, it is an empty one. Raises `DatabaseTrouble` or `Refused`.
    """
    db = open_reader(config.db_path, config.owns_db_folder, seconds)
    if not journal.is_behind(config, _position(config, db)):
        return db or open_empty()
    if db:
        db.close()
    return None


def unchanged(config: Config) -> Connection | None:
    """The database as it stands, for questions; None when there is none. What waits is not applied."""
    return open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)


def pending(config: Config, holding: str, *, whole: bool = False) -> Iterator[journal.Operation]:
    """The operations that are recorded, hold a text of ASCII, and are not in the database yet, oldest first. Nothing is applied.

    With `whole`, where the database cannot tell, all that the journal still has.
    """
    db = None if whole else open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)
    try:
        lines = journal.waiting_lines(config, journal.START if whole else _position(config, db))
        yield from filter(
            None, map(journal.decode, (line for line in lines if holding.encode() in line))
        )
    finally:
        if db:
            db.close()


def _after_migration(config: Config, older: OlderDatabase) -> Reading:
    trouble = catch_up(config)
    try:
        db = open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)
    except OlderDatabase:
        if trouble and not isinstance(trouble, ForbiddenDatabase):
            raise trouble from None
        raise OlderDatabase(
            older.message + (f", which could not be done: {trouble.message}" if trouble else ""),
            older.hint,
        ) from None
    return Reading(
        config,
        db,
        [_waiting_note(journal.waiting_count(config, _position(config, db)), trouble)]
        if trouble
        else [],
    )


def waiting(config: Config) -> int:
    """How many durable records are not in the database yet."""
    try:
        db = open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)
    except OlderDatabase:
        return journal.waiting_count(config, journal.START)
    try:
        return journal.waiting_count(config, _position(config, db))
    finally:
        if db:
            db.close()


def unreadable(config: Config) -> list[progress.Unreadable]:
    """What of the journal could not be read when it was to be applied; nothing where there is no database of this version yet."""
    try:
        db = open_reader(config.db_path, config.owns_db_folder, config.lock_timeout)
    except OlderDatabase:
        return []
    if db is None:
        return []
    try:
        with translated(config.db_path):
            return progress.unreadable(db)
    finally:
        db.close()


def empty_lines(config: Config) -> list[str]:
    """The paths of files in the buffer that have the name of a record and hold none."""
    return [
        os.path.join(config.buffer_dir, name)
        for name in buffer.others(config)
        if buffer.is_empty_line(name)
    ]


def _waiting_note(number: int, trouble: TelemetryError) -> str:
    return f"{number} {'record waits' if number == 1 else 'records wait'} to be applied: {trouble.message}"


def _position(config: Config, db: Connection | None) -> journal.Position:
    if db is None:
        return journal.START
    with translated(config.db_path):
        cursor = progress.read_cursor(db)
    return (cursor[1], cursor[2]) if cursor else journal.START
