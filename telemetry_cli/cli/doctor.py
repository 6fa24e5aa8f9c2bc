"""Declare `doctor`, `config …` and `completion`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli.declare import READS, WRITES, command, group, toplevel

app = toplevel()


@command(app, "doctor", "doctor:doctor", READS)
def doctor(
    commit: Annotated[
        str | None,
        Option("--commit", metavar="SHA", help="Explain why this commit has a run, or none."),
    ] = None,
) -> None:
    """Find problems and print the commands that fix them.

    Checks permissions, links, locks, unfinished files of killed commands, the database, its tables
    and search index, the journal's checksums against the rows, pending and rejected records, runs
    without an end, backups, and git hooks that do not fire. Changes nothing. Exits 1 if there is a
    problem.
    """


config_app = group("Show the settings.")


@command(config_app, "show", "doctor:show", READS)
def show() -> None:
    """Show each setting, its value and its source."""


@command(config_app, "path", "doctor:path", WRITES)
def path() -> None:
    """Print the path of the config file, present or not."""


@command(app, "completion", "completion:script", WRITES)
def completion(
    shell: Annotated[str, Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> None:
    """Print the completion script of a shell."""
