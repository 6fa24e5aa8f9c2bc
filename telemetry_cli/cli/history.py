"""`telemetry log`, `telemetry blame`."""

from typing import Annotated

import typer
from typer import Argument, Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import command

Repo = Annotated[
    str | None, Option("--repo", metavar="PATH", help="A folder of the repository; default here.")
]


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    command(app, "log", "history:log")(log)
    command(app, "blame", "history:blame")(blame)


def log(
    revisions: Annotated[
        list[str] | None,
        Argument(
            metavar="REVISIONS", help="What git log takes: main, v1..v2, main ^dev; default HEAD."
        ),
    ] = None,
    repo: Repo = None,
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
