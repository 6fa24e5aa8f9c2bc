"""Declare `telemetry doctor`."""

from typing import Annotated

from typer import Option

from telemetry_cli.cli.declare import READS, command, toplevel

app = toplevel()


@command(app, "doctor", "doctor:doctor", READS)
def doctor(
    commit: Annotated[
        str | None,
        Option("--commit", metavar="SHA", help="Say why this commit has a run, or none."),
    ] = None,
) -> None:
    """Find what is wrong, and say what to do; changes nothing.

    Checks permissions, links, locks, unfinished files of killed commands, the database, its tables
    and search index, the journal's checksums against the rows, pending and rejected records, runs
    that never ended, backups, and git hooks that do not fire. Exits 1 if there is a problem.
    """
