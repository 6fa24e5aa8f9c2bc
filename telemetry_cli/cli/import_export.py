"""Declare `telemetry import` and `telemetry export`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import WRITES, command, toplevel

app = toplevel()


@command(app, "import", "import_export:import_", WRITES, records=True)
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


@command(app, "export", "import_export:export", WRITES, shared=o.filters)
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
