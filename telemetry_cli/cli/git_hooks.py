"""Declare `telemetry git-hooks …`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import READS, WRITES, command, group

app = group("Git hooks that associate commits with runs.")

Hooks = Annotated[
    str | None, Option("--hooks", metavar="A,B,…", help="Comma-separated git hooks (default all).")
]


@command(app, "install", "git_hooks:install", WRITES)
def install(
    repo: o.Repo = None,
    hooks: Hooks = None,
    print_: Annotated[
        bool, Option("--print", help="Print the lines to add by hand, and install nothing.")
    ] = False,
    force: Annotated[
        bool,
        Option(
            "--force", help="Also beside hooks that others manage; and make an edited hook anew."
        ),
    ] = False,
) -> None:
    """Install the hooks beside those that are there."""


@command(app, "uninstall", "git_hooks:uninstall", WRITES)
def uninstall(repo: o.Repo = None, hooks: Hooks = None) -> None:
    """Take the hooks away and put the earlier ones back."""


@command(app, "status", "git_hooks:status", READS)
def status(repo: o.Repo = None, absolute: o.Absolute = False) -> None:
    """Show which hooks are installed, and whether they fire."""


@command(app, "fire", "fire:fire", (), records=True)
def fire(
    hook: Annotated[str | None, Argument(metavar="HOOK", help="Name of the git hook.")] = None,
    arguments: Annotated[
        list[str] | None, Argument(metavar="ARG…", help="What git gives the hook.")
    ] = None,
) -> None:
    """What git calls: record, print nothing, exit 0 whatever happens."""
