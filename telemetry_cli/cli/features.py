"""Declare `telemetry features query` and `telemetry provenance`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import CARD, READS, command, group, toplevel

app = toplevel()
features = group("Rows computed by hooks.")
app.add_typer(features, name="features")


@command(features, "query", "features:query", READS)
def query(
    hook: o.Hook,
    where: Annotated[
        str | None,
        Option(
            "--where",
            metavar="EXPR",
            help="SQL over one row, its values by name: score < 0.5 and version = 2.",
        ),
    ] = None,
    run: Annotated[str | None, Option("--run", metavar="RUN", help="Only about this run.")] = None,
    history: Annotated[
        bool, Option("--history", help="Also rows that later ones supersede.")
    ] = False,
    explain: Annotated[
        bool,
        Option(
            "--explain", help="With config, arguments and limits of the release behind each row."
        ),
    ] = False,
    absolute: o.Absolute = False,
) -> None:
    """List the rows of a hook, newest first."""


@command(app, "provenance", "features:provenance", CARD)
def provenance(
    row_id: Annotated[str, Argument(metavar="ROW_ID", help="The number of a feature row.")],
) -> None:
    """Show where a feature row came from: hook run, release, digest, config, source."""
