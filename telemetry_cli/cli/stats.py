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
            help="One row per value of this field, or per day or hour (UTC).",
        ),
    ] = None,
) -> None:
    """Show counts, success rate and durations."""


@command(app, "sql", "stats:sql", READS)
def sql(
    statement: Annotated[
        str, Argument(metavar="SQL", help="One SELECT; nothing but reading is allowed.")
    ],
    timeout: Annotated[
        str | None,
        Option("--timeout", metavar="DURATION", help="How long it may take; default 10s."),
    ] = None,
) -> None:
    """Ask the database in SQL, read-only.

    SQLite may take at most 256 MiB of memory for it.
    """


@command(app, "status", "stats:status", CARD)
def status() -> None:
    """Show what ran last, what runs, and whether all is well."""
