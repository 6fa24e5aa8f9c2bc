"""Copy, check and replace whole database files."""

import os
import re
import sqlite3
import time

from telemetry_cli.core.errors import DatabaseTrouble, LockTimeout
from telemetry_cli.core.fs import open_private
from telemetry_cli.database import legacy_schema as legacy
from telemetry_cli.database.database import (
    Cursor,
    move_cursor,
    quote_name,
    quote_path,
    read_cursor,
    translated,
)
from telemetry_cli.database.migrate import FIRST_VERSION, is_ours, noted_version

#: What SQLite keeps beside a database; without its hot journal a database is a damaged one.
BESIDE = ("-journal", "-wal", "-shm")

_BROKEN_RULES = ("CHECK constraint failed", "NULL value in")


def copy(path: str, target: str, deadline: float) -> None:
    """Copy the database at `path`, as it stands between two transactions, over the file at `target`. Not flushed.

    Writers go on as soon as it is read. Raises `DatabaseTrouble`, or `LockTimeout` at the deadline.
    """

    def give_up(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise LockTimeout(
                f"{path} is locked by another process",
                "Try again, or raise TELEMETRY_LOCK_TIMEOUT.",
            )

    # Made here: SQLite would make a public one.
    os.close(open_private(target, os.O_RDWR | os.O_CREAT))
    with translated(path):
        source = opened(path)
        copied = sqlite3.connect(target, isolation_level=None)
        try:
            # Whoever copies flushes the file once, when it is whole.
            copied.execute("PRAGMA synchronous = OFF")
            copied.execute("PRAGMA journal_mode = OFF")
            source.backup(copied, progress=give_up, sleep=0.01)
            # A copy of a database in WAL mode would have files beside it whenever it is looked at.
            copied.execute("PRAGMA journal_mode = DELETE")
        finally:
            copied.close()
            source.close()


def opened(path: str, deadline: float = 0.0) -> sqlite3.Connection:
    """A connection that makes no database. It rolls back what a killed writer left where it may, and waits for others until the deadline."""
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    return sqlite3.connect(
        f"file:{quote_path(path)}?mode={mode}",
        uri=True,
        timeout=max(0.0, deadline - time.monotonic()),
        isolation_level=None,
    )


def faults(path: str, most: int = 100) -> list[str]:
    """What SQLite's whole check finds in the database at `path`, its foreign keys too; nothing when it is sound."""
    with translated(path):
        db = opened(path)
        try:
            found = _integrity(db, most)
            dangling = db.execute("PRAGMA foreign_key_check").fetchmany(most)
        finally:
            db.close()
    return found + [
        f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there"
        for row in dangling
    ]


def damage(path: str) -> list[str]:
    """Return what is damaged in a database of the platform: the integrity check without broken rules, which the migration handles.

    Its foreign keys are not checked. The platform never enforced them, and they refer to a column that is not unique, which makes
    the check itself fail.
    """
    with translated(path):
        db = opened(path)
        try:
            found = _integrity_by_table(db)
        finally:
            db.close()
    return [fault for fault in found if not any(rule in fault for rule in _BROKEN_RULES)]


def _integrity(db: sqlite3.Connection, most: int | str) -> list[str]:
    """Run the integrity check for so many faults, or on one table (quoted)."""
    found = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({most})")]
    return [] if found == ["ok"] else found


def _integrity_by_table(db: sqlite3.Connection) -> list[str]:
    """Run the integrity check without the tables that it cannot check: of a user's own, with functions or collations of another program.

    Their rows are read when they are copied, which finds a damaged page too.
    """
    try:
        return _integrity(db, 100)
    except sqlite3.OperationalError as error:
        if not _is_schemas(error):
            raise
    faults = []
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        try:
            faults += _integrity(db, quote_name(name))
        except sqlite3.OperationalError as error:
            if not _is_schemas(error):
                raise
    return faults


def _is_schemas(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR


def check(path: str) -> None:
    """Raises `DatabaseTrouble` unless the database at `path` is sound throughout, its foreign keys too."""
    found = faults(path, 1)
    if found:
        raise DatabaseTrouble(f"{path} did not check out: {found[0]}")


def cursor_of(path: str) -> tuple[int, Cursor | None]:
    """The version of the database at `path`, and how far the journal has been applied to it."""
    with translated(path):
        db = opened(path)
        try:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            return version, read_cursor(db) if is_ours(db) else None
        finally:
            db.close()


def version_of(path: str) -> int:
    """The schema version of the database at `path`: what it notes itself, the platform's own where it is one of those, else what its header says."""
    with translated(path):
        db = opened(path)
        try:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            return noted_version(db) or (
                version if version >= FIRST_VERSION else legacy.version_of(db) or version
            )
        finally:
            db.close()


def named_digests(path: str) -> set[str]:
    """The digests of the blobs that rows of the database at `path` name: artifacts of releases, logs of hook runs. Raises `DatabaseTrouble`."""
    with translated(path):
        db = opened(path)
        try:
            if not is_ours(db):
                return set()
            tables = {
                str(name)
                for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            }
            logs = (
                {str(digest) for (digest,) in db.execute("SELECT digest FROM hook_logs")}
                if "hook_logs" in tables
                else set()
            )
            artifacts = (
                db.execute("SELECT artifact FROM hook_releases")
                if "hook_releases" in tables
                else ()
            )
            return logs.union(
                *(re.findall("[0-9a-f]{64}", str(artifact)) for (artifact,) in artifacts)
            )
        finally:
            db.close()


def mend_version(path: str) -> None:
    """Let the header of the database at `path` say what it notes of its schema version itself, if it does."""
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        try:
            noted = noted_version(db)
            if noted is not None and noted != db.execute("PRAGMA user_version").fetchone()[0]:
                db.execute(f"PRAGMA user_version = {noted}")
        finally:
            db.close()


def set_cursor(path: str, cursor: Cursor | None) -> None:
    """Let the journal be applied to the database at `path` from this place on, or (None) from its beginning."""
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        try:
            move_cursor(db, cursor) if cursor else db.execute("DELETE FROM journal_cursor")
        finally:
            db.close()


def missing(path: str, other: str) -> int:
    """How many operations the database `other` holds the outcome of, and the one at `path` does not. Raises `DatabaseTrouble`."""
    with translated(other):
        db = opened(path)
        try:
            db.execute("ATTACH ? AS other", (other,))
            query = "SELECT count(*) FROM other.op_results AS one WHERE NOT EXISTS (SELECT 1 FROM main.op_results AS made WHERE made.op_id = one.op_id)"
            found: int = db.execute(query).fetchone()[0]
            return found
        finally:
            db.close()


def tells_results(path: str) -> bool:
    """Tell whether the database at `path` has runs, and what came of each operation; its tables may be another program's, or dropped."""
    with translated(path):
        db = opened(path)
        try:
            found: int = db.execute(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('agent_runs', 'op_results')"
            ).fetchone()[0]
            return found == 2
        finally:
            db.close()


def has_tables_of(path: str, other: str) -> bool:
    """Tell whether the database at `path` has every table, index and trigger that `other` has."""
    with translated(path):
        db = opened(path)
        try:
            db.execute("ATTACH ? AS other", (other,))
            return (
                db.execute(
                    "SELECT type, name FROM other.sqlite_schema EXCEPT SELECT type, name FROM main.sqlite_schema"
                ).fetchone()
                is None
            )
        finally:
            db.close()


def vacuum(path: str, deadline: float) -> None:
    """Give unused space in the database back. The caller holds the writer lock. Raises `DatabaseTrouble`."""
    with translated(path):
        db = sqlite3.connect(
            path, timeout=max(0.0, deadline - time.monotonic()), isolation_level=None
        )
        try:
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("VACUUM")
        finally:
            db.close()


def remove(path: str) -> None:
    """Take away what an earlier attempt left at `path`."""
    # The database itself comes first: killed in between, what is left of a pair must not be a database without its journal.
    for suffix in ("", *BESIDE):
        try:
            os.unlink(path + suffix)
        except FileNotFoundError:
            pass
