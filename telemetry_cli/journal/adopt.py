"""Adopt a database of the platform, schema versions 1 to 7: keep a snapshot for ever, begin the journal with it, migrate.

All under the writer lock and, for others that write the old database, in one IMMEDIATE transaction that begins before the
snapshot is taken: nothing can be written between the snapshot and the migration.
"""

import os
import time

from telemetry_cli.core.clock import now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import DatabaseTrouble, LockTimeout
from telemetry_cli.core.fs import make_folder
from telemetry_cli.core.locks import MaintenanceLock
from telemetry_cli.database import legacy_schema as legacy
from telemetry_cli.database.database import commit, open_writer, translated
from telemetry_cli.journal import backups
from telemetry_cli.journal import segments as journal

#: Whoever may wait for less than this (seconds: a git hook) leaves the migration to the next command.
_LEAST = 1.0


def adopt(config: Config, at: str, deadline: float) -> str | None:
    """Migrate the platform's database at `db_path`, and return the path of its snapshot; None when there is nothing to adopt.

    Raises `DatabaseTrouble`, `LockTimeout`, `Refused` or `OSError`; then the database is as it was.
    """
    if deadline - time.monotonic() < _LEAST:
        raise LockTimeout(
            f"{config.db_path} has to be migrated first, which may take longer than this command may",
            "Run: telemetry db migrate",
        )
    make_folder(os.path.dirname(config.db_path), may_be_link=not config.owns_db_folder)
    with MaintenanceLock(config.db_path + ".lock", deadline):
        # Looked at again: another process may have adopted it while this one waited.
        db = open_writer(config.db_path, config.synchronous, deadline, foreign_keys=False)
        try:
            with translated(config.db_path):
                version = (
                    legacy.version_of(db)
                    if _is_platforms(db.execute("PRAGMA user_version").fetchone()[0])
                    else None
                )
            if version is None or version > legacy.LAST_VERSION:
                return None
            digest = backups.keep_snapshot(config, config.db_path, deadline)
            journal.begin(config, at, deadline, digest)
            with translated(config.db_path):
                legacy.migrate(db, config.db_path, at, version)
                # The work has taken what time it took; for whoever reads this moment there is still a second.
                commit(db, max(deadline, time.monotonic() + _LEAST))
        finally:
            db.close()
        if os.stat(config.db_path).st_uid == os.geteuid():
            # What others may read of an old database is for the old program to say; this is ours now.
            os.chmod(config.db_path, 0o600)
    return backups.snapshot(config, digest)


def migrate_copy(config: Config, path: str) -> None:
    """Migrate a copy of the platform's database, of which there is another. Raises `DatabaseTrouble` when it is none, or newer."""
    deadline = time.monotonic() + config.lock_timeout
    db = open_writer(path, config.synchronous, deadline, foreign_keys=False)
    try:
        with translated(path):
            version = legacy.version_of(db)
            if version is None or version > legacy.LAST_VERSION:
                raise DatabaseTrouble(
                    f"{path} is no database of telemetry, nor of the platform's versions 1 to {legacy.LAST_VERSION}"
                )
            legacy.migrate(db, path, stamp(now()), version)
            commit(db, deadline)
    finally:
        db.close()


def _is_platforms(user_version: int) -> bool:
    return user_version <= legacy.LAST_VERSION
