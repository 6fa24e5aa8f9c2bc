"""Hold what all checks read, and the finding that they return."""

import errno
import os
import time

from telemetry_cli.core import scratch
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import DatabaseTrouble, DiskTrouble, NotDurable, TelemetryError
from telemetry_cli.database import maintenance

#: `problem`: something is wrong or may be lost; `warning`: something to know of.
PROBLEM, WARNING = "problem", "warning"
COLUMNS = ("severity", "what", "where", "todo")


class Finding:
    """One finding: how bad it is, what it is, where, and what to do about it."""

    def __init__(self, severity: str, what: str, where: str, todo: str) -> None:
        self.severity = severity
        self.what = what
        self.where = where
        self.todo = todo

    def row(self) -> dict[str, object]:
        """The finding as a record."""
        return {
            "severity": self.severity,
            "what": self.what,
            "where": self.where,
            "todo": self.todo,
        }


def problem(what: str, where: str, todo: str) -> Finding:
    """Something is wrong, or may be lost."""
    return Finding(PROBLEM, what, where, todo)


def warning(what: str, where: str, todo: str) -> Finding:
    """Something to know of."""
    return Finding(WARNING, what, where, todo)


class Examined:
    """A base under examination. `copy` is where a copy of its database lies, None when there is none; `trouble` why it could not be copied."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folder = ""
        self.copy: str | None = None
        self.trouble: TelemetryError | None = None
        #: Whether the copy has our tables, though something may be wrong with them.
        self.has_tables = False
        #: Whether the copy has our tables, and nothing is wrong with them: what asks them may do so.
        self.is_sound = False
        #: Whether rows were found that are not what the journal says.
        self.has_other_rows = False
        #: Whether the journal has damage for which the rows may differ from what it says now.
        self.is_explained = False

    def __enter__(self) -> "Examined":
        *others, last = scratch.places(self.config)
        for place in others:
            try:
                self._copy_into(place)
            except NotDurable:
                continue
            if not isinstance(self.trouble, DiskTrouble):
                return self
            # No room there, which may be why somebody asks.
            self.__exit__()
            self.trouble = None
        self._copy_into(last)
        return self

    def _copy_into(self, place: str) -> None:
        self._scratch = scratch.Scratch(place)
        self.folder = self._scratch.folder
        try:
            self._copy()
        except BaseException:
            self.__exit__()
            raise

    def _copy(self) -> None:
        path = self.config.db_path
        try:
            if not os.path.isfile(path) or os.path.islink(path) or not os.path.getsize(path):
                return
            if not os.access(path, os.R_OK):
                raise DatabaseTrouble(f"{path} may not be read")
            if _has_hot_journal(path):
                raise DatabaseTrouble(
                    f"a writer of {path} was killed, and its transaction has to be rolled back",
                    "The next command does that: telemetry status",
                )
            copy = os.path.join(self.folder, "copy.sqlite")
            maintenance.copy(path, copy, time.monotonic() + self.config.lock_timeout)
            self.copy = copy
        except TelemetryError as error:
            self.trouble = error
        except OSError as error:
            kind = DiskTrouble if error.errno in (errno.ENOSPC, errno.EDQUOT) else DatabaseTrouble
            self.trouble = kind(
                f"{path} could not be read: {error.strerror}",
                "See to the permissions and the disk.",
            )

    def __exit__(self, *_: object) -> None:
        self._scratch.remove()


def _has_hot_journal(path: str) -> bool:
    """Tell whether SQLite's rollback journal lies there with something in it."""
    try:
        with open(path + "-journal", "rb") as file:
            # One that is done with is emptied, or its beginning is.
            return file.read(1) not in (b"", b"\0")
    except OSError:
        return False
