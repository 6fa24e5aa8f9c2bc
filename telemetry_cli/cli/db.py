"""Declare `db …` and `redact`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli.declare import WRITES, command, group, toplevel

app = group("Maintain the database.")


@command(app, "path", "db:path", WRITES)
def path() -> None:
    """Print the path of the database."""


@command(app, "drain", "db:drain", WRITES, writes=True)
def drain() -> None:
    """Apply pending records to the database.

    Exits 1 if a record is damaged. Damaged records are kept in rejected_ops; telemetry doctor lists
    them.
    """


@command(app, "migrate", "db_maintenance:migrate", WRITES, writes=True)
def migrate() -> None:
    """Migrate the database to the current schema and keep a copy.

    The first write or read of a newer version does the same.
    """


@command(app, "backup", "db_maintenance:backup", WRITES, writes=True)
def backup(
    to: Annotated[
        str | None,
        Argument(
            metavar="TO", help="New file or directory (default backups/ in the base directory)."
        ),
    ] = None,
) -> None:
    """Back up the database and verify the copy."""


@command(app, "restore", "db_maintenance:restore", WRITES, writes=True)
def restore(
    backup: Annotated[str, Argument(metavar="FROM", help="Backup file.")],
) -> None:
    """Replace the database with a backup, and apply newer records.

    Records made after the backup come back from the journal; to delete runs, use telemetry db prune.
    The replaced database is kept as a quarantined copy.
    """


@command(app, "rebuild", "db_maintenance:rebuild", WRITES, writes=True)
def rebuild() -> None:
    """Rebuild the database from the journal.

    If the beginning of the journal is missing or damaged, the newest good backup is the start. Rows
    that the journal has lost are taken from the old database, quarantined copies and backups. The old
    database is kept as a quarantined copy.
    """


@command(app, "prune", "db_maintenance:prune", WRITES, records=True)
def prune(
    older_than: Annotated[
        str | None,
        Option(
            "--older-than",
            metavar="TIME",
            help="Age of start: 90d, or a time (default retention.days).",
        ),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Count the runs; delete nothing.")] = False,
) -> None:
    """Delete old finished runs with their events and commits.

    Also deletes the part of the journal that every good backup in backups/ covers. Rebuild and
    restore do not bring pruned runs back.
    """


@command(app, "vacuum", "db_maintenance:vacuum", WRITES, writes=True)
def vacuum() -> None:
    """Return unused space in the database to the file system."""


redact_app = toplevel()


@command(redact_app, "redact", "db_maintenance:redact", WRITES, writes="fix_")
def redact(
    scan_: Annotated[
        bool, Option("--scan", help="List the places of secrets; change nothing.")
    ] = False,
    fix_: Annotated[
        bool, Option("--fix", help="Redact journal, buffer, blobs, database and backups.")
    ] = False,
) -> None:
    """Scan stored data for secrets, or redact them.

    Also scans unfinished files of killed commands; --fix deletes them.
    """
