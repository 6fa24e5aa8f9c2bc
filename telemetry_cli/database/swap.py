"""One database in the place of another: at every moment the one or the other stands there, and the old one is kept."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from telemetry_cli.core.clock import new_op_id
from telemetry_cli.core.fs import open_private, sync_file, sync_folder
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database.database import ASIDE, leave_wal_mode, translated
from telemetry_cli.database.maintenance import BESIDE, opened, remove

#: What is made beside a database on the way: its successor, by a rebuild (which may need two) or a restore, and the copy of it that is put aside.
REBUILT, SECOND, RESTORED, _COPIED = ".rebuild", ".second", ".restore", ".aside"
#: What SQLite says of a file that it cannot take for a database, so that no program can be in a transaction on it either.
_NO_DATABASE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_ERROR,
)


def leftovers(path: str) -> list[str]:
    """What a rebuild or restore that was killed left beside the database at `path`: nothing in there is needed."""
    unfinished = [
        path + ending + beside
        for ending in (REBUILT, SECOND, RESTORED, _COPIED)
        for beside in ("", *BESIDE)
    ]
    return [found for found in unfinished if os.path.lexists(found)]


def clear(path: str) -> None:
    """Take those leftovers away. The caller holds the writer lock."""
    for found in leftovers(path):
        os.unlink(found)


@contextmanager
def alone(path: str, deadline: float) -> Iterator[None]:
    """Hold every other program off the database at `path`; what a killed one left of a transaction is rolled back first.

    Nothing is held where the file is no database that a program could be in a transaction on. Raises `DatabaseTrouble`; `LockedDatabase` at the deadline.
    """
    with translated(path):
        db = opened(path, deadline)
    try:
        with translated(path):
            _begin_exclusive(db, deadline)
        yield
    finally:
        db.close()


def _begin_exclusive(db: sqlite3.Connection, deadline: float) -> None:
    try:
        # A newer database is left as it is, its journal's mode too.
        if db.execute("PRAGMA user_version").fetchone()[0] <= SCHEMA_VERSION:
            leave_wal_mode(db, deadline)
        db.execute(f"PRAGMA busy_timeout = {max(0, int((deadline - time.monotonic()) * 1000))}")
        db.execute("BEGIN EXCLUSIVE")
    except UnicodeDecodeError:
        # Python's own, over a message that quotes a damaged text.
        return
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _NO_DATABASE:
            raise


def swap_in(fresh: str, path: str, deadline: float) -> str | None:
    """Put the database at `fresh` in the place of the one at `path`, of which a copy is put aside first. Returns where, if there was one.

    A copy, not a second name: a file with two is refused by everybody, and a kill may come in between. The caller holds the writer lock.
    Raises `DatabaseTrouble` (`LockedDatabase` at the deadline) or `OSError`, and then nothing has changed.
    """
    sync_file(fresh)
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        _rename(fresh, path, _name(path))
        return None
    # Closed last: SQLite's lock is the process's, and closing any descriptor of the file would drop it.
    with open(descriptor, "rb") as old, alone(path, deadline):
        aside = _put_aside(old, path)
        _rename(fresh, path, aside)
    return aside


def _name(path: str) -> str:
    # An id begins with the time: by name the newest comes last.
    return path + ASIDE + new_op_id()[:12]


def _put_aside(old: BinaryIO, path: str) -> str:
    aside, unfinished = _name(path), path + _COPIED
    try:
        with open(open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as copy:
            shutil.copyfileobj(old, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.rename(unfinished, aside)
    except BaseException:
        remove(unfinished)
        raise
    sync_folder(os.path.dirname(path))
    return aside


def _rename(fresh: str, path: str, aside: str) -> None:
    """The one rename; before it, what lies beside the old database and could not be settled goes with its copy: it must not meet the new one."""
    moved = []
    try:
        for suffix in BESIDE:
            if os.path.lexists(path + suffix):
                os.rename(path + suffix, aside + suffix)
                moved.append(suffix)
        if moved:
            sync_folder(os.path.dirname(path))
        os.replace(fresh, path)
    except BaseException:
        if os.path.lexists(fresh):
            for suffix in moved:
                os.rename(aside + suffix, path + suffix)
            remove(aside)
        raise
    sync_folder(os.path.dirname(path))
