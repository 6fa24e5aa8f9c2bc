"""Declare `telemetry conventions …`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, WRITES, command, group

app = group("Which hooks apply to which job types, deployed in one step.")


@command(app, "deploy", "conventions:deploy", WRITES, records=True)
def deploy(
    file: Annotated[str, Argument(metavar="FILE", help="The convention, in TOML.")],
    promote: Annotated[
        bool, Option("--promote", help="Make live what the file means, also after a rollback.")
    ] = False,
    allow_dirty: Annotated[
        bool,
        Option("--allow-dirty", help="Also from a work tree with uncommitted changes; recorded."),
    ] = False,
    dry_run: o.DryRun = False,
) -> None:
    """Deploy a convention with all its hooks, or nothing of it."""


@command(app, "list", "conventions:list_", READS)
def list_(absolute: o.Absolute = False) -> None:
    """List conventions."""


@command(app, "show", "conventions:show", CARD)
def show(slug: o.Slug) -> None:
    """Show a convention and what is live of its hooks."""


@command(app, "run", "conventions:run", CARD, records=True, shared=o.filters)
def run(
    slug: o.Slug,
    retries: o.Retries = None,
    max_memory: o.MaxMemory = None,
    force: o.ForceRun = False,
) -> None:
    """Run every hook of a convention on its runs that match."""


@command(app, "check", "conventions:check", READS, shared=o.filters)
def check(slug: o.Slug) -> None:
    """List where its runs break the schema of a convention."""
