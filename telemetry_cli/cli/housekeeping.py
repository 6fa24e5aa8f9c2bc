"""`telemetry db …`, `telemetry config …`, `telemetry doctor`, `telemetry redact` and `telemetry completion`."""

from typing import Annotated

import typer
from typer import Argument, Option

from telemetry_cli.cli.declare import command, group

db = group("The database.")
config = group("The settings.")


def add_to(app: typer.Typer) -> None:
    """Declare what belongs to no noun."""
    command(app, "doctor", "doctor:doctor")(doctor)
    command(app, "redact", "redact:redact")(redact)
    command(app, "completion", "completion:script")(completion)


@command(db, "path", "db:path")
def db_path() -> None:
    """Print where the database is."""


@command(db, "drain", "db:drain")
def db_drain() -> None:
    """Apply every durable record that is not in the database yet.

    Exits 1 when some of them are damaged: what cannot be read is kept in rejected_ops and shown by telemetry doctor.
    """


@command(db, "migrate", "db_maintenance:migrate")
def db_migrate() -> None:
    """Bring a database of an older schema up to date; a copy of it is kept.

    The first write or read does it by itself.
    """


@command(db, "backup", "db_maintenance:backup")
def db_backup(
    to: Annotated[
        str | None,
        Argument(
            metavar="TO", help="A new file, or a folder; default backups/ in the base folder."
        ),
    ] = None,
) -> None:
    """Make a verified copy of the database."""


@command(db, "restore", "db_maintenance:restore")
def db_restore(
    backup: Annotated[str, Argument(metavar="FROM", help="A backup.")],
) -> None:
    """Put a backup in place of the database, and apply the journal since.

    So it does not undo what was recorded after the backup was made: to take records away is a record of its own, as
    telemetry db prune makes one. The database that was there is put aside, not deleted.
    """


@command(db, "rebuild", "db_maintenance:rebuild")
def db_rebuild() -> None:
    """Make the database again from the journal; the old one is put aside.

    From the journal's beginning; or, where that is gone or damaged, from the newest good backup and the journal since. What the journal has
    lost and a database still holds, be it the old one, one that was put aside or a backup, stays.
    """


@command(db, "prune", "db_maintenance:prune")
def db_prune(
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


@command(db, "vacuum", "db_maintenance:vacuum")
def db_vacuum() -> None:
    """Give unused space in the database back to the file system."""


@command(config, "show", "config:show")
def config_show() -> None:
    """Show each setting, its value and where it came from."""


@command(config, "path", "config:path")
def config_path() -> None:
    """Print where the config file is, or would be."""


def doctor(
    commit: Annotated[
        str | None,
        Option("--commit", metavar="SHA", help="Say why this commit has a run, or none."),
    ] = None,
) -> None:
    """Find what is wrong, and say what to do; changes nothing.

    Looks at permissions, links, locks, unfinished files of killed commands, the database, its tables and search index, the journal's
    checksums against the rows, records that wait or were refused, runs that never ended, backups, git hooks that do not fire. Exits 1
    when there is a problem.
    """


def redact(
    scan_: Annotated[bool, Option("--scan", help="Say where secrets are; change nothing.")] = False,
    fix_: Annotated[
        bool, Option("--fix", help="Take them out of journal, buffer, blobs, database and backups.")
    ] = False,
) -> None:
    """Find or take out secrets in what is stored already.

    Unfinished files that killed commands left are searched too, and removed by --fix.
    """


def completion(
    shell: Annotated[str, Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> None:
    """Print the script that completes command lines."""
