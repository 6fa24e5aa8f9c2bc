"""Declare `telemetry import` and `telemetry export`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import WRITES, command, toplevel

app = toplevel()


@command(app, "import", "import_export:import_", WRITES, records=True)
def import_(
    file: Annotated[str, Argument(metavar="FILE", help="File, plain or gzip; - for stdin.")],
    format_: Annotated[
        str | None,
        Option(
            "--format",
            metavar="FORMAT",
            help="ndjson, json, csv, sqlite or legacy-ndjson (default by name).",
        ),
    ] = None,
    atomic: Annotated[
        bool, Option("--atomic", help="Import all records or none; refuse unknown keys.")
    ] = False,
) -> None:
    """Import runs with their events and commits; existing records stay unchanged."""


@command(app, "export", "import_export:export", WRITES, shared=o.filters)
def export(
    to: Annotated[
        str | None,
        Option(
            "--to", metavar="FILE", help="File; gzip if it ends in .gz; - for stdout (required)."
        ),
    ] = None,
    format_: Annotated[
        str | None,
        Option(
            "--format",
            metavar="FORMAT",
            help="ndjson, json, csv or parquet (default by name).",
        ),
    ] = None,
) -> None:
    """Export matching runs with their events and commits, oldest first."""
