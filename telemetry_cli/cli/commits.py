"""`telemetry associate-commit`, `commits`, `commits relink`, `commit-url`, `repo-url`."""

from typing import Annotated

import typer
from typer import Argument, Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import command


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    command(app, "associate-commit", "commits:associate")(associate_commit)
    command(app, "commits", "commits:ledger")(commits)
    command(app, "commits relink", "relink:relink")(relink)
    command(app, "commit-url", "commits:commit_url")(commit_url)
    command(app, "repo-url", "commits:repo_url")(repo_url)


def associate_commit(
    run: o.Run = None,
    commit: Annotated[
        str | None,
        Option(
            "--commit", metavar="REV", help="Any revision git understands, or a SHA; default HEAD."
        ),
    ] = None,
    source: Annotated[
        str | None,
        Option("--source", metavar="SOURCE", help="manual, llm or ci; default by what runs us."),
    ] = None,
    author: Annotated[
        str | None, Option("--author", metavar="TEXT", help="Author; default the commit's.")
    ] = None,
    timestamp: Annotated[
        str | None,
        Option("--timestamp", metavar="TIME", help="ISO 8601 with a zone; default the commit's."),
    ] = None,
    repo: Annotated[
        str | None,
        Option("--repo", metavar="PATH", help="A folder of the repository; default here."),
    ] = None,
    role: Annotated[
        str | None,
        Option("--role", metavar="ROLE", help="produced (the default), base or released."),
    ] = None,
    children: Annotated[
        bool, Option("--children", help="Also for every run below that has no commit.")
    ] = False,
    no_git: Annotated[bool, Option("--no-git", help="Do not look for a git repository.")] = False,
) -> None:
    """Associate a run with a commit."""


def commits(
    run: o.Run = None,
    commit: Annotated[
        str | None,
        Option("--commit", metavar="SHA", help="Only this commit, by at least 7 digits."),
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List the commits of a run, or the runs of a commit."""


def relink(
    range_: Annotated[
        str | None,
        Argument(metavar="A..B", help="Look for them among these commits; default all of HEAD's."),
    ] = None,
    repo: Annotated[
        str | None,
        Option("--repo", metavar="PATH", help="A folder of the repository; default here."),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what would be linked, and link nothing.")
    ] = False,
) -> None:
    """Link rewritten commits (server squash, reset, filter-repo) to their original runs."""


def commit_url(run: o.Run = None) -> None:
    """Print the web address of a run's commit."""


def repo_url(run: o.Run = None) -> None:
    """Print the web address of a run's repository."""
