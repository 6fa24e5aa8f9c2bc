"""The thin store: the only way to write records, and the way to read them.

Writing appends an operation to the journal, applies pending operations to the SQLite database under
its lock, and looks up the outcome. An operation is recorded once it is in the journal: if the
database is locked, damaged or full, it stays pending and a later command applies it. Reading
applies pending operations first. See docs/contributing.md.
"""

import sys
import time
from collections.abc import Iterator, Sequence

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import (
    DatabaseTrouble,
    ForbiddenDatabase,
    JournalTrouble,
    LockTimeout,
    OlderDatabase,
    Refused,
    TelemetryError,
)
from telemetry_cli.database.database import Connection, check_place, open_empty, open_reader
from telemetry_cli.database.runs import Reading
from telemetry_cli.journal import segments, writer
from telemetry_cli.journal.operations import Data, Operation, Outcome, operation


class Store:
    """Journal and database of one base directory."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def record(self, kind: str, data: Data, at: str, *, patient: bool = False) -> Outcome:
        """Record one operation within the lock timeout; see `record_all`."""
        deadline = time.monotonic() + self._config.lock_timeout
        return self.record_all([operation(kind, data, at)], deadline, patient=patient)[0]

    def record_all(
        self, operations: Sequence[Operation], deadline: float, *, patient: bool = False
    ) -> list[Outcome]:
        """Make operations durable and apply them, in order; return one outcome for each.

        They share one flush and one transaction, so pass some hundreds at most. Apply a short
        backlog of others on the way, before `deadline` (monotonic seconds); if `patient`, all of
        it. Raises `NotDurable` if neither journal nor buffer could be written, `Refused` for a
        planted link, `InvalidInput` for an invalid redaction rule; then nothing was recorded.
        """
        config = self._config
        check_place(config.db_path, config.owns_db_folder)
        position, why = writer.append(config, operations, deadline)
        if position and sys.is_finalizing():
            # Applying needs imports and `open`, which are gone when the last objects are finalized.
            why = JournalTrouble("the interpreter is being taken down")
        elif position:
            try:
                return writer.apply_new(config, operations, position, deadline, patient=patient)
            except (DatabaseTrouble, LockTimeout, Refused) as error:
                why = error
        return [Outcome(0, {}, why) for _ in operations]

    def catch_up(self, *, patient: bool = False) -> TelemetryError | None:
        """Apply pending operations, if `patient` all of them; return why some are left, or None."""
        return writer.catch_up(self._config, patient=patient)

    def read(self) -> Reading:
        """Apply pending operations and open the database read-only; migrate an older one first.

        If TELEMETRY_DISABLED is set, nothing is written. What is still pending is in the notes.
        Raises `OlderDatabase` if it cannot be migrated, `DatabaseTrouble` if it cannot be read.
        """
        config, older = self._config, None
        try:
            db = self.open_unchanged()
        except OlderDatabase as error:
            if config.disabled:
                hint = "TELEMETRY_DISABLED is set, so that nothing is written; without it: "
                raise OlderDatabase(error.message, hint + "telemetry db migrate") from None
            older = error
        else:
            if not segments.is_behind(config, writer.position_of(config, db)):
                return self._reading(db, None)
            if config.disabled:
                return self._reading(db, TelemetryError("TELEMETRY_DISABLED is set"))
            if db:
                db.close()
        trouble = self.catch_up()
        try:
            return self._reading(self.open_unchanged(), trouble)
        except OlderDatabase:
            if older is None:
                raise
            if trouble and not isinstance(trouble, ForbiddenDatabase):
                raise trouble from None
            why = f", which could not be done: {trouble.message}" if trouble else ""
            raise OlderDatabase(older.message + why, older.hint) from None

    def _reading(self, db: Connection | None, trouble: TelemetryError | None) -> Reading:
        if trouble is None:
            return Reading(self._config, db, [])
        number = segments.waiting_count(self._config, writer.position_of(self._config, db))
        what = "record waits" if number == 1 else "records wait"
        return Reading(self._config, db, [f"{number} {what} to be applied: {trouble.message}"])

    def open_unchanged(self, seconds: float | None = None) -> Connection | None:
        """Open the database read-only as it stands; return None if there is none.

        Wait `seconds`, by default the lock timeout. Raises `OlderDatabase` or `DatabaseTrouble`.
        """
        config = self._config
        seconds = config.lock_timeout if seconds is None else seconds
        return open_reader(config.db_path, config.owns_db_folder, seconds)

    def glance(self, seconds: float) -> Connection | None:
        """Open the database as it stands, or return None if operations are pending.

        Before the first record, return an empty database. Raises as `open_unchanged` does.
        """
        db = self.open_unchanged(seconds)
        if not segments.is_behind(self._config, writer.position_of(self._config, db)):
            return db or open_empty()
        if db:
            db.close()
        return None

    def pending(self, text: str, *, whole: bool = False) -> Iterator[Operation]:
        """Yield pending operations whose line contains an ASCII text, oldest first.

        With `whole`, yield from everything the journal still has, applied or not.
        """
        start = segments.START if whole else self._position()
        lines = segments.waiting_lines(self._config, start)
        yield from filter(None, (segments.decode(line) for line in lines if text.encode() in line))

    def count_pending(self) -> int:
        """Return the number of durable operations that are not in the database yet."""
        return segments.waiting_count(self._config, self._position())

    def _position(self) -> segments.Position:
        try:
            db = self.open_unchanged()
        except OlderDatabase:
            return segments.START
        try:
            return writer.position_of(self._config, db)
        finally:
            if db:
                db.close()
