"""Declare `telemetry conventions …`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, WRITES, command, group

app = group("Deploy and run the hooks of a job type together.")


@command(app, "deploy", "conventions:deploy", WRITES, records=True)
def deploy(
    file: Annotated[str, Argument(metavar="FILE", help="Convention, in TOML.")],
    promote: Annotated[
        bool, Option("--promote", help="Make the releases of the file live, also after a rollback.")
    ] = False,
    allow_dirty: Annotated[
        bool,
        Option("--allow-dirty", help="Allow uncommitted changes, and record that there were some."),
    ] = False,
    dry_run: o.DryRun = False,
) -> None:
    """Deploy a convention with all its hooks in one step."""


@command(app, "list", "conventions:list_", READS)
def list_(absolute: o.Absolute = False) -> None:
    """List conventions."""


@command(app, "show", "conventions:show", CARD)
def show(slug: o.Slug) -> None:
    """Show a convention and the live releases of its hooks."""


@command(app, "run", "conventions:run", CARD, records=True, shared=o.filters)
def run(
    slug: o.Slug,
    retries: o.Retries = None,
    max_memory: o.MaxMemory = None,
    force: o.ForceRun = False,
) -> None:
    """Run the hooks of a convention on its matching runs."""


@command(app, "check", "conventions:check", READS, shared=o.filters)
def check(slug: o.Slug) -> None:
    """List the runs that break the schema of a convention."""
