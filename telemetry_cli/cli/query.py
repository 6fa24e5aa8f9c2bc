"""Declare `telemetry query` and `telemetry metadata`."""

from typing import Annotated

from typer import Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, command, toplevel

app = toplevel()


@command(app, "query", "query:query", (*READS, "ids"), shared=o.filters)
def query(
    sort: Annotated[
        str | None,
        Option(
            "--sort", metavar="FIELD", help="Sort descending by this field (default created_at)."
        ),
    ] = None,
    reverse: Annotated[bool, Option("--reverse", help="Reverse the order.")] = False,
    limit: Annotated[
        str | None,
        Option(
            "--limit",
            metavar="N",
            help="Maximum (default 50 in tables, else 100; 0 for all).",
        ),
    ] = None,
    offset: Annotated[
        str | None, Option("--offset", metavar="N", help="Number of runs to skip.")
    ] = None,
    columns: Annotated[
        str | None, Option("--columns", metavar="A,B,…", help="Columns to show, in this order.")
    ] = None,
    count: Annotated[bool, Option("--count", help="Print the number of matching runs.")] = False,
    watch: Annotated[
        str | None,
        Option(
            "--watch",
            metavar="SECONDS",
            help="Refresh every N seconds; stop with Ctrl-C.",
        ),
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List runs, newest first."""


@command(app, "metadata", "query:metadata", CARD)
def metadata() -> None:
    """Show the recorded agent names and job types."""
