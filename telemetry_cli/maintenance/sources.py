"""What a database can be made again from: the journal's genesis, a backup, or a database that still holds what the journal has lost."""

import os
from collections.abc import Iterator

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import DatabaseTrouble, LockedDatabase, TelemetryError
from telemetry_cli.database import maintenance
from telemetry_cli.database.database import Cursor, asides
from telemetry_cli.journal import backups
from telemetry_cli.journal import segments as journal
from telemetry_cli.journal.writer import is_of_journal
from telemetry_cli.maintenance import integrity as damage


def beginnings(config: Config, survivor: str | None) -> Iterator[tuple[str | None, str]]:
    """What a database can be made from, the best first: (a database, or None for an empty one; in words).

    The journal from its beginning is best, for nothing but its CRCs tells that no bit of it has changed. Where a line or a blob of it is
    damaged, the `survivor` holds what that did, and a backup may.
    """
    first = list(genesis(config))
    copies = [
        (path, f"the backup {path}") for path in backups.kept(config) if is_good(config, path)
    ]
    if not damage.makes_rows_differ(config):
        yield from [*first, *copies]
        return
    if survivor:
        yield (
            survivor,
            f"{in_words(config, survivor)}, for the journal is damaged, and the journal since",
        )
    yield from [*((path, origin) for path, origin in copies if path != survivor), *first]


def in_words(config: Config, path: str) -> str:
    """What a database is called that another begins with."""
    return (
        f"the backup {path}"
        if os.path.dirname(path) == config.backups_dir
        else f"the database {path} as it was"
    )


def genesis(config: Config) -> Iterator[tuple[str | None, str]]:
    """As `beginnings`, those that the whole journal is applied to; none where it was pruned."""
    found = journal.genesis(config)
    if found == journal.PRUNED:
        return
    adopted = backups.snapshots(config)
    if found in (None, journal.UNREADABLE) and not backups.any_snapshot(config):
        yield None, "the journal from its beginning"
    # The newest is what the journal was applied to: it may be adopted again, if its migration was cut off and it was written to since.
    yield from ((path, f"the adopted database {path} and the journal") for path in adopted)


def survivors(config: Config) -> list[str]:
    """The databases that are sound and of this journal: the one that is there, those that were put aside, newest first, and the backups.

    What they hold, and the journal no longer does, must not be missing from what is made. Raises `LockedDatabase`.
    """
    return [
        path
        for path in (config.db_path, *asides(config.db_path), *backups.kept(config))
        if survives(config, path)
    ]


def survives(config: Config, path: str) -> bool:
    """Tell whether the database at `path` is sound, of this journal, and tells which operations it holds. Raises `LockedDatabase`."""
    try:
        if (
            not os.path.getsize(path)
            or maintenance.faults(path, 1)
            or not maintenance.tells_results(path)
        ):
            return False
        cursor = maintenance.cursor_of(path)[1]
    except LockedDatabase:
        raise
    except (DatabaseTrouble, OSError):
        return False
    return cursor is not None and (is_of_journal(config, cursor) or is_ahead(config, cursor))


def is_good(config: Config, path: str) -> bool:
    """Tell whether a backup checks out, and belongs to the journal as it is now."""
    try:
        maintenance.check(path)
        return belongs(config, path)
    except (TelemetryError, OSError):
        return False


def belongs(config: Config, path: str) -> bool:
    """Tell whether the database at `path` was made from this journal, and from nothing that the journal has lost."""
    cursor = maintenance.cursor_of(path)[1]
    return cursor is not None and is_of_journal(config, cursor)


def is_ahead(config: Config, cursor: Cursor) -> bool:
    """Tell whether a cursor that is not believed is of this journal all the same: lines that were applied are gone from it since.

    One in a segment that was pruned is not: what came behind it is gone.
    """
    names = journal.segments(config)
    return bool(names) and cursor[0] == journal.journal_id(config, names) and cursor[1] >= names[0]


def again_from(config: Config, cursor: Cursor) -> Cursor | None:
    """Where the journal is to be applied from to a database whose cursor is not believed; None: from its genesis.

    From the beginning of what there is: operations that have a result are passed over.
    """
    return (cursor[0], journal.segments(config)[0], 0, "") if is_ahead(config, cursor) else None
