"""Declare `associate-commit`, `commits`, `commit-url`, `repo-url`, `log` and `blame`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import READS, WRITES, command, toplevel

app = toplevel()


@command(app, "associate-commit", "commits:associate", WRITES, records=True)
def associate_commit(
    run: o.Run = None,
    commit: Annotated[
        str | None,
        Option("--commit", metavar="REV", help="Revision or SHA (default HEAD)."),
    ] = None,
    source: Annotated[
        str | None,
        Option("--source", metavar="SOURCE", help="manual, llm or ci (default detected)."),
    ] = None,
    author: Annotated[
        str | None, Option("--author", metavar="TEXT", help="Author (default from the commit).")
    ] = None,
    timestamp: Annotated[
        str | None,
        Option(
            "--timestamp", metavar="TIME", help="ISO 8601 with offset (default from the commit)."
        ),
    ] = None,
    repo: o.Repo = None,
    role: Annotated[
        str | None,
        Option("--role", metavar="ROLE", help="produced, base or released (default produced)."),
    ] = None,
    children: Annotated[
        bool, Option("--children", help="Also associate descendant runs that have no commit.")
    ] = False,
    no_git: Annotated[bool, Option("--no-git", help="Do not look for a git repository.")] = False,
) -> None:
    """Associate a run with a commit."""


@command(app, "commits", "commits:ledger", READS)
def commits(
    run: o.Run = None,
    commit: Annotated[
        str | None,
        Option("--commit", metavar="SHA", help="Show the runs of this commit (at least 7 digits)."),
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List the commits of a run, or the runs of a commit."""


@command(app, "commits relink", "commits:relink", READS, records=True)
def relink(
    range_: Annotated[
        str | None,
        Argument(metavar="A..B", help="Range of commits to search (default all of HEAD)."),
    ] = None,
    repo: o.Repo = None,
    dry_run: Annotated[bool, Option("--dry-run", help="List the links; change nothing.")] = False,
) -> None:
    """Link rewritten commits (server squash, reset, filter-repo) to their original runs."""


@command(app, "commit-url", "commits:commit_url", WRITES)
def commit_url(run: o.Run = None) -> None:
    """Print the web address of a run's commit."""


@command(app, "repo-url", "commits:repo_url", WRITES)
def repo_url(run: o.Run = None) -> None:
    """Print the web address of a run's repository."""


@command(app, "log", "log:log", READS)
def log(
    revisions: Annotated[
        list[str] | None,
        Argument(
            metavar="REVISIONS", help="Revisions as for git log: main, v1..v2 (default HEAD)."
        ),
    ] = None,
    repo: o.Repo = None,
    limit: Annotated[
        str | None,
        Option(
            "--limit",
            metavar="N",
            help="Maximum number of commits (default 50 in tables; 0 for all).",
        ),
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List commits with the runs that produced them."""


@command(app, "blame", "log:blame", READS)
def blame(
    file: Annotated[str, Argument(metavar="FILE", help="File in the repository, as of HEAD.")],
    lines: Annotated[
        str | None,
        Option("-L", "--lines", metavar="A,B", help="Range of lines, as for git blame -L."),
    ] = None,
) -> None:
    """Show the commit, run and agent of each line."""
