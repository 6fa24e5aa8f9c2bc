"""Connections: how the database is opened, its pragmas, and the one translation of SQLite's errors into ours."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator

from telemetry_cli.core.errors import (
    DatabaseTrouble,
    DiskTrouble,
    ForbiddenDatabase,
    LockedDatabase,
    NewerDatabase,
    OlderDatabase,
    advise_on_permissions,
)
from telemetry_cli.core.fs import (
    check_folder,
    check_regular,
    open_private,
    sync_folder,
)
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database.migrate import (
    FIRST_VERSION,
    apply_schema,
    noted_version,
)

Connection = sqlite3.Connection
#: How far the journal is applied: (journal_id, segment, offset, CRC of the last applied line).
Cursor = tuple[str, str, int, str]
#: A part of the journal that could not be read: (`damaged` for a line, else the kind of the
#: operation whose blob is lost; its op_id; why).
Unreadable = tuple[str, str, str]
#: Its code in `rejected_ops`; any other code means that an operation broke a rule.
UNREADABLE = 70
#: What to do about an operation whose blob is gone or damaged.
RESTORE_BLOB = "Restore the blob from a backup of the folder; then: telemetry db rebuild"

#: What the name of a database that was put aside goes on with, behind that of the one that took its place.
ASIDE = ".aside-"
#: What to do about a damaged database of ours.
REBUILD = "Writes are kept in the journal meanwhile. Run: telemetry db rebuild"
#: Primary result code of SQLite → (what it means, what to do).
_TROUBLE = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another process",
        "Try again, or raise TELEMETRY_LOCK_TIMEOUT.",
    ),
    sqlite3.SQLITE_LOCKED: (
        "is locked by another process",
        "Try again, or raise TELEMETRY_LOCK_TIMEOUT.",
    ),
    sqlite3.SQLITE_NOMEM: ("could not be used: out of memory", ""),
    sqlite3.SQLITE_IOERR: (
        "could not be read or written: the disk reported an error",
        "See to the disk.",
    ),
    sqlite3.SQLITE_FULL: (
        "could not be written: the disk is full",
        "Make room; what was recorded meanwhile waits in the journal.",
    ),
    sqlite3.SQLITE_CORRUPT: ("is damaged", REBUILD),
    sqlite3.SQLITE_NOTADB: ("is no database", REBUILD),
    sqlite3.SQLITE_INTERRUPT: (
        "was not brought up to date in time; to apply all of them: telemetry db drain",
        "",
    ),
    sqlite3.SQLITE_ERROR: ("does not have the tables of its version", REBUILD),
}
#: Between two looks at a time limit.
INSTRUCTIONS_BETWEEN_LOOKS = 20_000
#: The names of the rowid.
ROWIDS = ("rowid", "_rowid_", "oid")
_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
#: Seconds between two tries of what SQLite does not wait for.
_PAUSE = 0.01
_FORBIDDEN = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
)


class translated:  # noqa: N801 - reads as a clause: `with translated(path):`
    """Turns every `sqlite3.Error` raised inside into `DatabaseTrouble` (or a subclass) that names the database."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise trouble(self.path, error) from error
        if isinstance(error, UnicodeDecodeError):
            # Python's own, over a text that SQLite read from the file, be it in a message.
            raise DatabaseTrouble(
                f"{self.path} is damaged: it holds text that is none", REBUILD
            ) from error


def read_json(text: object):  # type: ignore[no-untyped-def]  # Any, without importing typing
    """Return the value of JSON that a table holds. Raises `sqlite3.DatabaseError` as for a damaged page: whoever wrote it wrote JSON."""
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        raise damaged("it holds a value that is not JSON") from None


def damaged(what: str) -> sqlite3.DatabaseError:
    """Return the error by which SQLite itself tells of a damaged database."""
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def translated_rows(path: str, rows: Iterator[dict[str, object]]) -> Iterator[dict[str, object]]:
    """The rows, the errors met while they are fetched translated."""
    with translated(path):
        yield from rows


def trouble(path: str, error: sqlite3.Error) -> DatabaseTrouble:
    """What a SQLite error means for the database at `path`."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _FORBIDDEN:
        return ForbiddenDatabase(
            f"{path} may not be opened or written: {error}",
            "See to the permissions of the file and its folder.",
        )
    meaning, hint = _TROUBLE.get(code, (f"could not be used: {error}", ""))
    is_busy = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    kind = LockedDatabase if is_busy else DiskTrouble if code in _DISK else DatabaseTrouble
    return kind(f"{path} {meaning}" + (f" ({error})" if code == sqlite3.SQLITE_ERROR else ""), hint)


def commit(db: Connection, deadline: float) -> None:
    """End the writer's transaction, waiting for readers until the deadline."""
    db.execute(f"PRAGMA busy_timeout = {max(0, int((deadline - time.monotonic()) * 1000))}")
    db.execute("COMMIT")


class interrupted_at:  # noqa: N801 - reads as a clause: `with interrupted_at(db, moment):`
    """Interrupt statements that run longer than to a moment (monotonic seconds; None: none), which rolls the transaction back."""

    def __init__(self, db: Connection, moment: float | None) -> None:
        self.db = db
        self.moment = moment

    def __enter__(self) -> None:
        moment = self.moment
        if moment is not None:
            self.db.set_progress_handler(
                lambda: int(time.monotonic() > moment), INSTRUCTIONS_BETWEEN_LOOKS
            )

    def __exit__(self, *_: object) -> None:
        if self.moment is not None:
            self.db.set_progress_handler(None, 0)


def stops_a_drain(error: sqlite3.Error) -> bool:
    """Tell whether a SQLite error is about the database itself, and not about the operation that met it."""
    code = getattr(error, "sqlite_errorcode", None)
    # Without a code it is Python's own: a value that cannot be bound.
    return code is not None and code & 0xFF not in (
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_MISMATCH,
    )


def open_writer(
    path: str, synchronous: str, deadline: float, *, foreign_keys: bool = True
) -> Connection:
    """Open the database for writing and begin an IMMEDIATE transaction. The caller holds the writer lock.

    An absent or empty file becomes an empty database, not yet with tables. Without `foreign_keys` whole tables may be
    dropped, and the caller checks what refers to what. Raises `DatabaseTrouble`, `Refused`, or `OSError`.
    """
    _make_file(path)
    with translated(path):
        db = sqlite3.connect(
            path,
            timeout=max(0.0, deadline - time.monotonic()),
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # Setting the mode may rewrite the file's header, and a database that is not ours is left as it is.
            if FIRST_VERSION <= db.execute("PRAGMA user_version").fetchone()[0] <= SCHEMA_VERSION:
                _try_to_leave_wal_mode(db)
            db.execute(f"PRAGMA synchronous = {synchronous}")
            db.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
            db.execute("PRAGMA recursive_triggers = ON")
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("BEGIN IMMEDIATE")
        except BaseException:
            db.close()
            raise
    return db


def leave_wal_mode(db: Connection, deadline: float) -> None:
    """Let the database have a rollback journal again, if another program has put it into WAL mode; wait for that one until the deadline.

    SQLite itself does not wait here, whatever its busy_timeout says. Raises `sqlite3.OperationalError` at the deadline.
    """
    while True:
        try:
            db.execute("PRAGMA journal_mode = DELETE")
            return
        except sqlite3.OperationalError as error:
            if (
                getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY
                or time.monotonic() >= deadline
            ):
                raise
        time.sleep(max(0.0, min(_PAUSE, deadline - time.monotonic())))


def _try_to_leave_wal_mode(db: Connection) -> None:
    """Stay in WAL mode where another connection is open in it: an idle one holds no write up."""
    try:
        leave_wal_mode(db, 0.0)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise


def check_place(path: str, private: bool) -> None:
    """Raise `Refused` when something else than a plain file of one name stands where the database or its lock belongs."""
    try:
        if private and not check_folder(os.path.dirname(path)):
            return
        _check_names(path)
    except OSError:
        # Whatever else is wrong there, the journal may still take the record.
        return


def _check_names(path: str) -> bool:
    """Tell whether the database is there. Raises `Refused` when it, its lock, or SQLite's own files beside it are links."""
    there = False
    for suffix in ("-journal", "-wal", "-shm", ".lock", ""):
        try:
            check_regular(path + suffix, os.lstat(path + suffix))
            there = not suffix
        except FileNotFoundError:
            pass
    return there


def asides(path: str) -> list[str]:
    """The databases that were put aside for the one at `path`, the newest first."""
    folder, name = os.path.split(path)
    try:
        names = sorted(os.listdir(folder), reverse=True)
    except OSError:
        return []
    found = [
        os.path.join(folder, one)
        for one in names
        if one.startswith(name + ASIDE) and not one.endswith(("-journal", "-wal", "-shm"))
    ]
    # A link there was planted, and is never followed.
    return [path for path in found if os.path.isfile(path) and not os.path.islink(path)]


def _make_file(path: str) -> None:
    """Check what lies at the path; make an empty private file where nothing does, since SQLite would make a public one."""
    if not _check_names(path):
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))
        sync_folder(os.path.dirname(path))


def ensure_schema(db: sqlite3.Connection, path: str, at: str) -> bool:
    """Make the tables of an empty database, and add what is new since to one of an earlier version of ours. Tells whether it was empty.

    Raises `OlderDatabase` for the platform's, which has to be adopted; `NewerDatabase`, or `DatabaseTrouble` for somebody else's.
    """
    with translated(path):
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return False
        if version == 0 and not db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            apply_schema(db, at)
            return True
        if FIRST_VERSION <= version < SCHEMA_VERSION and noted_version(db) in (None, version):
            apply_schema(db, at, version)
            return False
        raise _other_version(db, path, version)


def newer(path: str, version: int) -> NewerDatabase:
    """What to say of a database that a newer telemetry wrote."""
    return NewerDatabase(
        f"{path} has schema version {version}; this telemetry knows {SCHEMA_VERSION}",
        "Upgrade telemetry.",
    )


def _other_version(db: Connection, path: str, version: int) -> DatabaseTrouble:
    """What to say of a database that has not the current version, or says that it has another one."""
    noted = noted_version(db)
    if noted is not None and noted != version and noted <= SCHEMA_VERSION:
        return DatabaseTrouble(
            f"{path} is damaged: it has schema version {noted}, and its header says {version}",
            REBUILD,
        )
    if version < FIRST_VERSION:
        from telemetry_cli.database import legacy_schema as legacy

        found = legacy.version_of(db)
        if found is None:
            return DatabaseTrouble(
                f"{path} was made by another program (schema version {version})",
                "Name another database with --db, or another --base-dir.",
            )
        version = found if found <= legacy.LAST_VERSION else max(found, SCHEMA_VERSION + 1)
    if version > SCHEMA_VERSION:
        return newer(path, version)
    return OlderDatabase(
        f"{path} has schema version {version} and must be brought to {SCHEMA_VERSION} first",
        "Make the file and its folder writable, or give a copy with --db; then: telemetry db migrate",
    )


def open_reader(path: str, private: bool, timeout: float) -> sqlite3.Connection | None:
    """Open the database for questions only, or return None when there is none. Creates nothing.

    One without tables is none: its first writer was killed. Raises `OlderDatabase` when it must be brought up to date first, else
    `DatabaseTrouble` or `Refused`.
    """
    if private and not check_folder(os.path.dirname(path)):
        return None
    try:
        if not _check_names(path) or not os.lstat(path).st_size:
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise ForbiddenDatabase(
            f"{path} may not be opened: {error.strerror}", advise_on_permissions(path)
        ) from None
    # Opened for writing where that is allowed: a read-only connection cannot roll a killed writer's transaction back.
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    with translated(path):
        db = sqlite3.connect(
            f"file:{quote_path(path)}?mode={mode}",
            uri=True,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            db.execute("PRAGMA query_only = ON")
            db.execute("PRAGMA trusted_schema = OFF")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                db.close()
                return None
            if version != SCHEMA_VERSION:
                # Another process may migrate the database between two statements.
                db.execute("BEGIN")
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version != SCHEMA_VERSION:
                    raise _other_version(db, path, version)
                db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
    db.row_factory = sqlite3.Row
    return db


def open_empty() -> Connection:
    """A database with all tables and no rows, in memory: what is asked where nothing was recorded yet."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    apply_schema(db, "1970-01-01T00:00:00.000Z")
    db.row_factory = sqlite3.Row
    return db


def quote_path(path: str) -> str:
    """Return a path as part of a `file:` URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def quote_name(name: str) -> str:
    """Return the name of a table, column or trigger as SQL has it, whatever characters are in it."""
    return '"' + name.replace('"', '""') + '"'


def numbered(*values: object) -> dict[str, object]:
    """Values for `?1`, `?2`, … which sqlite3 takes for names: from Python 3.14 on it refuses a sequence for them."""
    return {str(number): value for number, value in enumerate(values, 1)}


def read_cursor(db: Connection) -> Cursor | None:
    """Return the cursor, or None before the first operation is applied."""
    row = db.execute("SELECT journal_id, segment, offset, crc FROM journal_cursor").fetchone()
    return tuple(row) if row else None


def move_cursor(db: Connection, cursor: Cursor) -> None:
    """Write the cursor, in the transaction that writes the rows."""
    db.execute(
        "INSERT OR REPLACE INTO journal_cursor (only_row, journal_id, segment, offset, crc)"
        " VALUES (1, ?, ?, ?, ?)",
        cursor,
    )


def result_of(db: Connection, op_id: str) -> tuple[int, dict[str, object]] | None:
    """Return the exit code and result of an operation, or None while it is pending."""
    row = db.execute(
        "SELECT exit_code, result_json FROM op_results WHERE op_id = ?", (op_id,)
    ).fetchone()
    return (row[0], read_json(row[1])) if row else None


def unreadable(db: Connection) -> list[Unreadable]:
    """Return what could not be read when it was applied, oldest first."""
    return [
        tuple(row)
        for row in db.execute(
            "SELECT kind, op_id, message FROM rejected_ops WHERE code = ? ORDER BY id",
            (UNREADABLE,),
        )
    ]
