"""Declare `telemetry log` and `telemetry blame`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import READS, command, toplevel

app = toplevel()


@command(app, "log", "log:log", READS)
def log(
    revisions: Annotated[
        list[str] | None,
        Argument(
            metavar="REVISIONS", help="What git log takes: main, v1..v2, main ^dev; default HEAD."
        ),
    ] = None,
    repo: o.Repo = None,
    limit: Annotated[
        str | None,
        Option(
            "--limit",
            metavar="N",
            help="At most so many; 0 is all; default 50 in tables, else all.",
        ),
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List commits with the runs behind them."""


@command(app, "blame", "log:blame", READS)
def blame(
    file: Annotated[
        str, Argument(metavar="FILE", help="A file of the repository, as it stands in HEAD.")
    ],
    lines: Annotated[
        str | None,
        Option(
            "-L", "--lines", metavar="A,B", help="Only these lines, as git blame -L takes them."
        ),
    ] = None,
) -> None:
    """Show each line's commit, and the run and agent behind it."""
