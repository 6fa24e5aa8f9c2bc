"""Declare `db …` and `redact`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli.declare import WRITES, command, group, toplevel

app = group("The database.")


@command(app, "path", "db:path", WRITES)
def path() -> None:
    """Print where the database is."""


@command(app, "drain", "db:drain", WRITES, writes=True)
def drain() -> None:
    """Apply every durable record that is not in the database yet.

    Exits 1 when some of them are damaged: what cannot be read is kept in rejected_ops and shown by telemetry doctor.
    """


@command(app, "migrate", "db_maintenance:migrate", WRITES, writes=True)
def migrate() -> None:
    """Bring a database of an older schema up to date; a copy of it is kept.

    The first write or read does it by itself.
    """


@command(app, "backup", "db_maintenance:backup", WRITES, writes=True)
def backup(
    to: Annotated[
        str | None,
        Argument(
            metavar="TO", help="A new file, or a folder; default backups/ in the base folder."
        ),
    ] = None,
) -> None:
    """Make a verified copy of the database."""


@command(app, "restore", "db_maintenance:restore", WRITES, writes=True)
def restore(
    backup: Annotated[str, Argument(metavar="FROM", help="A backup.")],
) -> None:
    """Put a backup in place of the database, and apply the journal since.

    So it does not undo what was recorded after the backup was made: to take records away is a record of its own, as
    telemetry db prune makes one. The database that was there is put aside, not deleted.
    """


@command(app, "rebuild", "db_maintenance:rebuild", WRITES, writes=True)
def rebuild() -> None:
    """Make the database again from the journal; the old one is put aside.

    From the journal's beginning; or, where that is gone or damaged, from the newest good backup and the journal since. What the journal has
    lost and a database still holds, be it the old one, one that was put aside or a backup, stays.
    """


@command(app, "prune", "db_maintenance:prune", WRITES, records=True)
def prune(
    older_than: Annotated[
        str | None,
        Option(
            "--older-than",
            metavar="TIME",
            help="Runs that started before: an age such as 90d, or a time; default retention.days.",
        ),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say how many there are.")] = False,
) -> None:
    """Delete old runs with their events and commits; running ones stay.

    What of the journal every good backup in backups/ covers is deleted too. Rebuilding or restoring brings no pruned run back.
    """


@command(app, "vacuum", "db_maintenance:vacuum", WRITES, writes=True)
def vacuum() -> None:
    """Give unused space in the database back to the file system."""


redact_app = toplevel()


@command(redact_app, "redact", "db_maintenance:redact", WRITES, writes="fix_")
def redact(
    scan_: Annotated[bool, Option("--scan", help="Say where secrets are; change nothing.")] = False,
    fix_: Annotated[
        bool, Option("--fix", help="Take them out of journal, buffer, blobs, database and backups.")
    ] = False,
) -> None:
    """Scan stored data for secrets, or redact them.

    Unfinished files that killed commands left are searched too, and removed by --fix.
    """
