"""Declare `hooks …`, `features query` and `provenance`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, WRITES, command, group, toplevel

app = group("Release, roll back and run programs that compute rows about runs.")


@command(app, "release", "hooks:release", WRITES, records=True)
def release(
    hook: o.Hook,
    args: Annotated[
        list[str] | None,
        Argument(metavar="ARG…", help="Arguments of the program, after --."),
    ] = None,
    script: Annotated[
        str | None,
        Option(
            "--script",
            metavar="PATH",
            help="Program, or directory with an executable `run` (required).",
        ),
    ] = None,
    contract: Annotated[
        str | None,
        Option(
            "--contract",
            metavar="FILE",
            help="Columns of the rows, TOML or JSON (required for a new hook).",
        ),
    ] = None,
    config_: Annotated[
        str | None,
        Option("--config", metavar="JSON", help="JSON object, @FILE, or - for stdin (default {})."),
    ] = None,
    source_ref: Annotated[
        str | None,
        Option(
            "--source-ref", metavar="REF", help="Source of the program (default its git commit)."
        ),
    ] = None,
    memory: Annotated[
        str | None,
        Option("--memory", metavar="SIZE", help="Memory limit of its process tree (default 512m)."),
    ] = None,
    timeout: Annotated[
        str | None,
        Option("--timeout", metavar="DURATION", help="Timeout of one attempt (default 300s)."),
    ] = None,
    message: Annotated[
        str | None, Option("--message", metavar="TEXT", help="Summary of the change.")
    ] = None,
    if_live: o.IfLive = None,
    no_promote: Annotated[bool, Option("--no-promote", help="Keep the live version.")] = False,
    allow_dirty: Annotated[
        bool,
        Option("--allow-dirty", help="Allow uncommitted changes, and record that there were some."),
    ] = False,
    dry_run: o.DryRun = False,
) -> None:
    """Release a version of a hook and make it live."""


@command(app, "list", "hooks:list_", READS)
def list_(absolute: o.Absolute = False) -> None:
    """List hooks."""


@command(app, "show", "hooks:show", CARD)
def show(
    release: Annotated[
        str,
        Argument(metavar="NAME[@N]", help="Hook, or one of its releases (default the live one)."),
    ],
    at: Annotated[
        str | None,
        Option("--at", metavar="TIME", help="Show the release that was live at this time."),
    ] = None,
    artifact: Annotated[
        str | None,
        Option(
            "--artifact",
            metavar="FILE",
            help="Write the released program to this new file or directory.",
        ),
    ] = None,
) -> None:
    """Show a release of a hook with its contract."""


@command(app, "history", "hooks:history", READS)
def history(
    hook: o.Hook,
    pointer: Annotated[
        bool, Option("--pointer", help="List changes of the live version: time, actor, reason.")
    ] = False,
    absolute: o.Absolute = False,
) -> None:
    """List the releases of a hook, oldest first."""


@command(app, "diff", "hooks:diff", WRITES)
def diff(
    hook: o.Hook,
    a: Annotated[
        str | None, Argument(metavar="A", help="Version (default the one before B).")
    ] = None,
    b: Annotated[str | None, Argument(metavar="B", help="Version (default the live one).")] = None,
    exit_code: Annotated[bool, Option("--exit-code", help="Exit 1 if they differ.")] = False,
) -> None:
    """Show the differences between two releases."""


@command(app, "rollback", "hooks:rollback", WRITES, records=True)
def rollback(
    hook: o.Hook,
    to: Annotated[
        str | None,
        Option("--to", metavar="N", help="Version (default the one before the live one)."),
    ] = None,
    if_live: o.IfLive = None,
    message: o.Why = None,
    dry_run: o.DryRun = False,
) -> None:
    """Make an earlier release live again."""


@command(app, "promote", "hooks:promote", WRITES, records=True)
def promote(
    hook: o.Hook,
    version: Annotated[str, Argument(metavar="N", help="Version.")],
    if_live: o.IfLive = None,
    message: o.Why = None,
) -> None:
    """Make a release live."""


@command(app, "run", "hooks_run:run", CARD, records=True, shared=o.filters)
def run(
    names: Annotated[list[str], Argument(metavar="NAME…", help="Hooks to run, in this order.")],
    run: Annotated[
        str | None,
        Option("--run", metavar="RUN", help="Use this run instead of the filters."),
    ] = None,
    input_: Annotated[
        str | None,
        Option(
            "--input",
            metavar="FILE",
            help="Records with an id as input, in NDJSON (- for stdin).",
        ),
    ] = None,
    at_version: Annotated[
        str | None,
        Option("--at-version", metavar="N", help="Release to run (default the live one)."),
    ] = None,
    run_key: Annotated[
        str | None,
        Option("--run-key", metavar="KEY", help="Idempotency key of the hook run."),
    ] = None,
    retries: o.Retries = None,
    max_memory: o.MaxMemory = None,
    force: o.ForceRun = False,
) -> None:
    """Run hooks on the matching runs."""


@command(app, "runs", "hook_runs:list_runs", READS)
def runs(
    hook: Annotated[
        str | None, Argument(metavar="NAME", help="Show only runs of this hook.")
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List hook runs, newest first."""


@command(app, "logs", "hook_runs:logs", WRITES)
def logs(
    hook_run: Annotated[str, Argument(metavar="HOOK_RUN", help="ID of a hook run, or its prefix.")],
    attempt: Annotated[
        str | None, Option("--attempt", metavar="N", help="Show only this attempt (from 1).")
    ] = None,
) -> None:
    """Print the stderr of a hook run."""


features_app = toplevel()
features = group("Query feature rows, which hooks compute.")
features_app.add_typer(features, name="features")


@command(features, "query", "hook_runs:query_features", READS)
def query(
    hook: o.Hook,
    where: Annotated[
        str | None,
        Option(
            "--where",
            metavar="EXPR",
            help="SQL expression on columns: score < 0.5 and version = 2.",
        ),
    ] = None,
    run: Annotated[
        str | None, Option("--run", metavar="RUN", help="Show only rows about this run.")
    ] = None,
    history: Annotated[bool, Option("--history", help="Include superseded rows.")] = False,
    explain: Annotated[
        bool,
        Option("--explain", help="Add config, arguments and limits of each row's release."),
    ] = False,
    absolute: o.Absolute = False,
) -> None:
    """List the feature rows of a hook, newest first."""


@command(features_app, "provenance", "hook_runs:provenance", CARD)
def provenance(
    row_id: Annotated[str, Argument(metavar="ROW_ID", help="ID of a feature row.")],
) -> None:
    """Show the origin of a feature row: hook run, release, digest, config, source."""
