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
        Option("--sort", metavar="FIELD", help="Descending by this field; default created_at."),
    ] = None,
    reverse: Annotated[bool, Option("--reverse", help="Turn the order round.")] = False,
    limit: Annotated[
        str | None,
        Option(
            "--limit",
            metavar="N",
            help="At most so many; 0 is all; default 50 in tables, else 100.",
        ),
    ] = None,
    offset: Annotated[
        str | None, Option("--offset", metavar="N", help="Leave out the first so many.")
    ] = None,
    columns: Annotated[
        str | None, Option("--columns", metavar="A,B,…", help="Only these columns, in this order.")
    ] = None,
    count: Annotated[
        bool, Option("--count", help="Print how many match, whatever the limit.")
    ] = False,
    watch: Annotated[
        str | None,
        Option(
            "--watch",
            metavar="SECONDS",
            help="Ask again every so many seconds, and redraw; Ctrl-C ends.",
        ),
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List runs, newest first."""


@command(app, "metadata", "query:metadata", CARD)
def metadata() -> None:
    """Show which agent names and job types there are."""
