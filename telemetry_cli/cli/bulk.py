"""`telemetry import` and `telemetry export`."""

from typing import Annotated

import typer
from typer import Argument, Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import command


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    command(app, "import", "import_export:import_")(import_)
    command(app, "export", "import_export:export", shared=o.filters)(export)


def import_(
    file: Annotated[str, Argument(metavar="FILE", help="The file, gzipped or not; - for stdin.")],
    format_: Annotated[
        str | None,
        Option(
            "--format",
            metavar="FORMAT",
            help="ndjson, json, csv, sqlite or legacy-ndjson; default by the file's name, NDJSON for -.",
        ),
    ] = None,
    atomic: Annotated[
        bool, Option("--atomic", help="All records or none; unknown keys are refused.")
    ] = False,
) -> None:
    """Add the runs of a file, with their events and commits; what is there already stays as it is."""


def export(
    to: Annotated[
        str | None,
        Option("--to", metavar="FILE", help="The file; .gz packs it; - for stdout. Required."),
    ] = None,
    format_: Annotated[
        str | None,
        Option(
            "--format",
            metavar="FORMAT",
            help="ndjson, json, csv or parquet; default by the file's name, NDJSON for -.",
        ),
    ] = None,
) -> None:
    """Write runs with their events and commits to a file, oldest first, all that match."""
