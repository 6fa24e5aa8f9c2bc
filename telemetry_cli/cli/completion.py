"""Declare `telemetry completion`."""

from typing import Annotated

from typer import Argument

from telemetry_cli.cli.declare import WRITES, command, toplevel

app = toplevel()


@command(app, "completion", "completion:script", WRITES)
def completion(
    shell: Annotated[str, Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> None:
    """Print the script that completes command lines."""
