"""`telemetry query`, `stats`, `sql`, `status`, `metadata`."""

from typing import Annotated

import typer
from typer import Argument, Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import command


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    command(app, "query", "query:query", shared=o.filters)(query)
    command(app, "stats", "stats:stats", shared=o.filters)(stats)
    command(app, "sql", "stats:sql")(sql)
    command(app, "status", "stats:status")(status_)
    command(app, "metadata", "query:metadata")(metadata)


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


def status_() -> None:
    """Show what ran last, what runs, and whether all is well."""


def metadata() -> None:
    """Show which agent names and job types there are."""
