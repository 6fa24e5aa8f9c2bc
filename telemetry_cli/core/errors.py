"""The one tree of errors: each class carries its exit code; `entry` alone turns them into text."""


class TelemetryError(Exception):
    """Something the user must know: what happened, to what (`message`), and what to do now (`hint`)."""

    exit_code = 70
    slug = "defect"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(TelemetryError):
    """The input breaks a rule. Nothing was written."""

    exit_code = 2
    slug = "invalid-input"


class NotFound(TelemetryError):
    """What was named does not exist."""

    exit_code = 3
    slug = "not-found"


class Conflict(TelemetryError):
    """What was asked contradicts what is there, or names several things. Nothing changed."""

    exit_code = 4
    slug = "conflict"


class Refused(TelemetryError):
    """Ownership, permissions, or a path that leaves its root."""

    exit_code = 6
    slug = "refused"


class NotDurable(TelemetryError):
    """The operation could be written nowhere; `record` is its journal line, for the caller to save; empty where it is a whole file's."""

    exit_code = 75
    slug = "not-durable"

    def __init__(self, message: str, record: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.record = record


class OutputLost(TelemetryError):
    """The reader of stdout went away, or stdout cannot be written."""

    exit_code = 141
    slug = "output-lost"


class Interrupted(TelemetryError):
    """The user (Ctrl-C) or the system ended what has no end of its own."""

    exit_code = 130
    slug = "interrupted"


class LockTimeout(TelemetryError):
    """Another process held a lock until the deadline."""

    exit_code = 1
    slug = "locked"


class DatabaseTrouble(TelemetryError):
    """The database cannot be used now (locked, full, read-only, damaged, missing): writes are buffered, reads fail."""

    exit_code = 1
    slug = "database-trouble"


class DiskTrouble(DatabaseTrouble):
    """The disk is full or reported an error."""

    slug = "disk-trouble"


class NewerDatabase(DatabaseTrouble):
    """The database was written by a newer telemetry; this one leaves it alone."""

    exit_code = 2
    slug = "newer-database"


class LockedDatabase(DatabaseTrouble):
    """Another program held SQLite's own lock on the database until the deadline."""


class ForbiddenDatabase(DatabaseTrouble):
    """The database may not be opened with these permissions."""

    exit_code = 6
    slug = "forbidden-database"


class OlderDatabase(ForbiddenDatabase):
    """The database has an older schema and could not be brought up to date, which the first write or read does by itself."""

    slug = "older-database"


class JournalTrouble(DatabaseTrouble):
    """The journal and the database do not belong together, or the journal holds what this program cannot apply."""

    slug = "journal-trouble"


def advise_on_permissions(path: str) -> str:
    """Return what to do about a path that this user may not use: the owner is named, of the path or the directory above it that exists."""
    import os

    place = path
    while True:
        try:
            owner = os.stat(place).st_uid
            break
        except OSError:
            above = os.path.dirname(place)
            if above == place or not above:
                return "Check the permissions, or name another --base-dir."
            place = above
    if owner == os.geteuid():
        return f"Check the permissions of {place}, or name another --base-dir."
    return f"{place} belongs to {name_user(owner)}: telemetry doctor names the command that changes that. Or name another --base-dir."


def name_user(uid: int) -> str:
    """Return the name of a user, or `user UID` for one without a name."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def from_system(error: OSError) -> TelemetryError:
    """What the system refused, as an error of ours."""
    if isinstance(error, PermissionError):
        return Refused(
            f"{error.filename}: {error.strerror}", advise_on_permissions(str(error.filename))
        )
    return DatabaseTrouble(
        f"{error.filename or 'the system'}: {error.strerror}", "See to the disk."
    )


#: What an operation's stored result becomes again: exit code → error.
BY_EXIT_CODE: dict[int, type[TelemetryError]] = {
    cls.exit_code: cls for cls in (InvalidInput, NotFound, Conflict, Refused)
}
