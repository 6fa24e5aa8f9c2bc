"""Declare `telemetry stats`, `telemetry sql` and `telemetry status`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, command, toplevel

app = toplevel()


@command(app, "stats", "stats:stats", READS, shared=o.filters)
def stats(
    by: Annotated[
        str | None,
        Option(
            "--by",
            metavar="FIELD",
            help="Group by this field, or by day or hour (UTC).",
        ),
    ] = None,
) -> None:
    """Show counts, success rate and durations."""


@command(app, "sql", "stats:sql", READS)
def sql(
    statement: Annotated[str, Argument(metavar="SQL", help="One SELECT statement.")],
    timeout: Annotated[
        str | None,
        Option("--timeout", metavar="DURATION", help="Timeout of the query (default 10s)."),
    ] = None,
) -> None:
    """Query the database in SQL, read-only.

    The memory limit is 256 MiB.
    """


@command(app, "status", "stats:status", CARD)
def status() -> None:
    """Show recent and running runs and the state of the database."""
