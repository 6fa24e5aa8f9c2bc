"""Declare `telemetry git-hooks …`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import READS, WRITES, command, group

app = group("Install git hooks that associate commits with runs.")

Hooks = Annotated[
    str | None,
    Option("--hooks", metavar="A,B,…", help="Git hooks, separated by commas (default all)."),
]


@command(app, "install", "git_hooks:install", WRITES)
def install(
    repo: o.Repo = None,
    hooks: Hooks = None,
    print_: Annotated[
        bool, Option("--print", help="Print the lines to add by hand; install nothing.")
    ] = False,
    force: Annotated[
        bool,
        Option("--force", help="Install beside a hook manager; overwrite edited hooks."),
    ] = False,
) -> None:
    """Install the git hooks and keep the existing ones."""


@command(app, "uninstall", "git_hooks:uninstall", WRITES)
def uninstall(repo: o.Repo = None, hooks: Hooks = None) -> None:
    """Uninstall the hooks and restore the previous ones."""


@command(app, "status", "git_hooks:status", READS)
def status(repo: o.Repo = None, absolute: o.Absolute = False) -> None:
    """Show the installed git hooks and their last calls."""


@command(app, "fire", "fire:fire", (), records=True)
def fire(
    hook: Annotated[str | None, Argument(metavar="HOOK", help="Name of the git hook.")] = None,
    arguments: Annotated[
        list[str] | None, Argument(metavar="ARG…", help="Arguments from git.")
    ] = None,
) -> None:
    """Record a call from git; print nothing and exit 0."""
