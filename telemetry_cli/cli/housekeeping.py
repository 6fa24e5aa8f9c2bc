"""`telemetry db …`, `telemetry config …` and `telemetry completion`."""

from typing import Annotated

import typer
from typer import Argument

from telemetry_cli.cli.declare import command, group

db = group("The database.")
config = group("The settings.")


def add_to(app: typer.Typer) -> None:
    """Declare what belongs to no noun."""
    command(app, "completion", "completion:script")(completion)


@command(db, "path", "db:path")
def db_path() -> None:
    """Print where the database is."""


@command(db, "drain", "db:drain")
def db_drain() -> None:
    """Apply every durable record that is not in the database yet."""


@command(db, "rebuild", "db:rebuild")
def db_rebuild() -> None:
    """Make the database again from the journal; the old one is put aside."""


@command(config, "show", "settings:show")
def config_show() -> None:
    """Show each setting, its value and where it came from."""


@command(config, "path", "settings:path")
def config_path() -> None:
    """Print where the config file is, or would be."""


def completion(
    shell: Annotated[str, Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> None:
    """Print the script that completes command lines."""
