"""Declare `telemetry redact`."""

from typing import Annotated

from typer import Option

from telemetry_cli.cli.declare import WRITES, command, toplevel

app = toplevel()


@command(app, "redact", "redact:redact", WRITES, writes="fix_")
def redact(
    scan_: Annotated[bool, Option("--scan", help="Say where secrets are; change nothing.")] = False,
    fix_: Annotated[
        bool, Option("--fix", help="Take them out of journal, buffer, blobs, database and backups.")
    ] = False,
) -> None:
    """Scan stored data for secrets, or redact them.

    Unfinished files that killed commands left are searched too, and removed by --fix.
    """
