"""`telemetry query`, `metadata`."""

from typing import Annotated

import typer
from typer import Option

from telemetry_cli.cli import options as o
from telemetry_cli.cli.declare import command


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    command(app, "query", "query:query")(query)
    command(app, "metadata", "query:metadata")(metadata)


def query(
    agent_name: Annotated[list[str] | None, Option("--agent-name", metavar="TEXT", help="Agent; repeated: any of them.")] = None,
    job_type: Annotated[list[str] | None, Option("--job-type", metavar="TEXT", help="Job type; repeated: any of them.")] = None,
    status: Annotated[list[str] | None, Option("--status", metavar="STATUS", help="Status; repeated: any of them.")] = None,
    product: Annotated[list[str] | None, Option("--product", metavar="TEXT", help="Product; repeated: any of them.")] = None,
    parent: Annotated[str | None, Option("--parent", metavar="RUN", help="Children of this run.")] = None,
    commit: Annotated[str | None, Option("--commit", metavar="SHA", help="Runs of this commit, by at least 7 digits.")] = None,
    repo: Annotated[str | None, Option("--repo", metavar="REPO", help="Remote URL, or a folder of the repository.")] = None,
    branch: Annotated[str | None, Option("--branch", metavar="BRANCH", help="Branch.")] = None,
    since: Annotated[str | None, Option("--since", metavar="TIME", help="Recorded at or after: ISO 8601, an age such as 2h, today.")] = None,
    until: Annotated[str | None, Option("--until", metavar="TIME", help="Recorded before.")] = None,
    created_after: Annotated[str | None, Option("--created-after", metavar="TIME", help="Recorded after.")] = None,
    created_before: Annotated[str | None, Option("--created-before", metavar="TIME", help="Recorded before.")] = None,
    start_time_from: Annotated[str | None, Option("--start-time-from", metavar="TIME", help="Started at or after.")] = None,
    start_time_to: Annotated[str | None, Option("--start-time-to", metavar="TIME", help="Started at or before.")] = None,
    sort: Annotated[str | None, Option("--sort", metavar="FIELD", help="Descending by this field; default created_at.")] = None,
    reverse: Annotated[bool, Option("--reverse", help="Turn the order round.")] = False,
    limit: Annotated[str | None, Option("--limit", metavar="N", help="At most so many; 0 is all; default 50 in tables, else 100.")] = None,
    offset: Annotated[str | None, Option("--offset", metavar="N", help="Leave out the first so many.")] = None,
    columns: Annotated[str | None, Option("--columns", metavar="A,B,…", help="Only these columns, in this order.")] = None,
    count: Annotated[bool, Option("--count", help="Print how many match, whatever the limit.")] = False,
    absolute: o.Absolute = False,
    output: Annotated[str | None, Option("-o", "--output", metavar="FORMAT", help="table, json, jsonl, csv or ids.")] = None,
    json: o.Json = False,
) -> None:
    """List runs, newest first."""


def metadata(output: o.Output = None, json: o.Json = False) -> None:
    """Show which agent names and job types there are."""
