"""Checks of the database's make: its tables against our schema files, the index of words against the rows, the journal mode."""

from collections.abc import Iterator

from telemetry_cli.core.errors import DatabaseTrouble
from telemetry_cli.database import health
from telemetry_cli.database.database import translated
from telemetry_cli.maintenance.doctor.context import Examined
from telemetry_cli.maintenance.doctor.finding import Finding, problem, warning

_REBUILD = "telemetry db rebuild"
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
