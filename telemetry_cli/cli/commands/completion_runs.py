"""Read names and runs for completion from the database.

Read-only, bounded in time, and silent if the database cannot be read. Apart from `completion.py`,
because most words are completed without the database.
"""

import os
import time
from collections.abc import Callable

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import TelemetryError
from telemetry_cli.database import runs
from telemetry_cli.database.database import Connection, open_reader, translated
from telemetry_cli.database.filters import RunFilter

#: Seconds to wait for a lock, and to compute in all.
_LOCK_SECONDS = 0.1
_SECONDS = 0.2
#: SQLite's virtual machine looks at the clock after so many steps.
_STEPS = 1000
#: How many runs are offered.
_MOST_RUNS = 50
#: Where SQLite's file header says how the file may be read, and its value with a rollback journal.
_READ_VERSION = 19
_ROLLBACK = 1


#: A word and what it means, to be shown beside it.
Candidate = tuple[str, str]


class Recall:
    """The database that the options and the environment name, opened at the first question. What it cannot answer is empty."""

    def __init__(self, db: str | None, base_dir: str | None) -> None:
        self._flags = (db, base_dir)
        self._path = ""
        self._db: Connection | None = None
        self._tried = False

    def names(self, field: str) -> list[str]:
        """The different values of agent_name or job_type, sorted."""
        return self._asked(lambda db: runs.distinct(db, field))

    def hooks(self) -> list[str]:
        """The names of hooks, sorted."""
        from telemetry_cli.database import hooks

        return self._asked(hooks.names)

    def slugs(self) -> list[str]:
        """The slugs of conventions, sorted."""
        from telemetry_cli.database import hooks

        return self._asked(hooks.slugs)

    def _asked(self, question: Callable[[Connection], list[str]]) -> list[str]:
        try:
            db = self._open()
            with translated(self._path):
                return question(db) if db else []
        except (TelemetryError, OSError):
            return []

    def runs(self, prefix: str) -> list[Candidate]:
        """Runs whose event_id begins so, newest first: (event_id, agent, job and status).

        Those among the newest; then others as far as there is room, so that a word is not taken for unique that is not.
        """
        try:
            db = self._open()
            with translated(self._path):
                rows = _runs(db, prefix, translated(self._path)) if db else []
        except (TelemetryError, OSError):
            return []
        return [
            (str(row["event_id"]), f"{row['agent_name']} {row['job_type']} {row['status']}")
            for row in rows
        ]

    def _open(self) -> Connection | None:
        if not self._tried:
            self._tried = True
            config = Config(*self._flags)
            self._path = config.db_path
            if _at_rest(self._path):
                # Not through the store: its imports are a tenth of what TAB takes, and nothing is
                # applied here.
                self._db = open_reader(self._path, config.owns_db_folder, _LOCK_SECONDS)
        if self._db:
            deadline = time.monotonic() + _SECONDS
            self._db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        return self._db


def _at_rest(path: str) -> bool:
    """Tell whether the database can be read without writing: SQLite would roll back what a killed writer left, and make files for a WAL."""
    if os.path.lexists(path + "-journal"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        header = os.read(descriptor, _READ_VERSION + 1)
    finally:
        os.close(descriptor)
    return len(header) > _READ_VERSION and header[_READ_VERSION] == _ROLLBACK


def _runs(db: Connection, prefix: str, guard: translated) -> list[runs.Row]:
    found = list(runs.select(db, RunFilter(limit=_MOST_RUNS), guard))
    matching = [row for row in found if str(row["event_id"]).startswith(prefix)]
    if not prefix or len(found) < _MOST_RUNS or len(matching) == _MOST_RUNS:
        return matching
    # Any of those that begin so, not the newest: that would be a sort of what may be all runs.
    others = RunFilter(event_id=prefix, sort="event_id", limit=_MOST_RUNS)
    known = {row["event_id"] for row in matching}
    older = sorted(
        (row for row in runs.select(db, others, guard) if row["event_id"] not in known),
        key=lambda row: str(row["created_at"]),
        reverse=True,
    )
    return (matching + older)[:_MOST_RUNS]
