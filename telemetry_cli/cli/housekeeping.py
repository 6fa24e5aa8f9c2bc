"""`telemetry db …` and `telemetry config …`."""

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import command, group

db = group("The database.")
config = group("The settings.")


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
