"""Declare `telemetry config …`."""

from telemetry_cli.cli.declare import READS, WRITES, command, group

app = group("The settings.")


@command(app, "show", "config:show", READS)
def show() -> None:
    """Show each setting, its value and where it came from."""


@command(app, "path", "config:path", WRITES)
def path() -> None:
    """Print where the config file is, or would be."""
