"""`telemetry db …`, `telemetry config …`, `telemetry redact` and `telemetry completion`."""

from typing import Annotated

import typer
from typer import Argument, Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import command, group

db = group("The database.")
config = group("The settings.")


def add_to(app: typer.Typer) -> None:
    """Declare what belongs to no noun."""
    command(app, "redact", "redaction:redact")(redact)
    command(app, "completion", "completion:script")(completion)


@command(db, "path", "db:path")
def db_path(output: o.Output = None, json: o.Json = False) -> None:
    """Print where the database is."""


@command(db, "drain", "db:drain")
def db_drain(output: o.Output = None, json: o.Json = False) -> None:
    """Apply every durable record that is not in the database yet."""


@command(db, "rebuild", "db:rebuild")
def db_rebuild(output: o.Output = None, json: o.Json = False) -> None:
    """Make the database again from the journal; the old one is put aside."""


@command(config, "show", "settings:show")
def config_show(output: o.Output = None, json: o.Json = False) -> None:
    """Show each setting, its value and where it came from."""


@command(config, "path", "settings:path")
def config_path(output: o.Output = None, json: o.Json = False) -> None:
    """Print where the config file is, or would be."""


def redact(
    scan_: Annotated[bool, Option("--scan", help="Say where secrets are; change nothing.")] = False,
    fix_: Annotated[bool, Option("--fix", help="Take them out of journal, buffer, blobs, database and backups.")] = False,
    output: o.Output = None,
    json: o.Json = False,
) -> None:
    """Find or take out secrets in what is stored already."""


def completion(
    shell: Annotated[str, Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
    output: o.Output = None,
    json: o.Json = False,
) -> None:
    """Print the script that completes command lines."""
