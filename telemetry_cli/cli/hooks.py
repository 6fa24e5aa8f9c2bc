"""Declare `hooks …`, `features query` and `provenance`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, WRITES, command, group, toplevel

app = group("Versioned programs that compute rows about runs: release, roll back, run, trace.")


@command(app, "release", "hooks:release", WRITES, records=True)
def release(
    hook: o.Hook,
    args: Annotated[
        list[str] | None,
        Argument(metavar="ARG…", help="Arguments that the program is given, after --."),
    ] = None,
    script: Annotated[
        str | None,
        Option(
            "--script",
            metavar="PATH",
            help="A program, or a folder with an executable `run`; needed.",
        ),
    ] = None,
    contract: Annotated[
        str | None,
        Option(
            "--contract",
            metavar="FILE",
            help="TOML or JSON: the columns of its rows; needed for a new hook.",
        ),
    ] = None,
    config_: Annotated[
        str | None,
        Option(
            "--config", metavar="JSON", help="A JSON object, @FILE, or - for stdin; default {}."
        ),
    ] = None,
    source_ref: Annotated[
        str | None,
        Option(
            "--source-ref", metavar="REF", help="Where it came from; default its commit in git."
        ),
    ] = None,
    memory: Annotated[
        str | None,
        Option("--memory", metavar="SIZE", help="Memory of all its processes; default 512m."),
    ] = None,
    timeout: Annotated[
        str | None,
        Option("--timeout", metavar="DURATION", help="Time of an attempt; default 300s."),
    ] = None,
    message: Annotated[
        str | None, Option("--message", metavar="TEXT", help="What changed.")
    ] = None,
    if_live: o.IfLive = None,
    no_promote: Annotated[
        bool, Option("--no-promote", help="Leave the live version as it is.")
    ] = False,
    allow_dirty: Annotated[
        bool,
        Option("--allow-dirty", help="Also from a work tree with uncommitted changes; recorded."),
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
        Argument(metavar="NAME[@N]", help="A hook, or one release of it; default the live one."),
    ],
    at: Annotated[
        str | None, Option("--at", metavar="TIME", help="The release that was live then.")
    ] = None,
    artifact: Annotated[
        str | None,
        Option(
            "--artifact",
            metavar="FILE",
            help="Write what the release executes to this new file or folder.",
        ),
    ] = None,
) -> None:
    """Show a release of a hook, its contract among it."""


@command(app, "history", "hooks:history", READS)
def history(
    hook: o.Hook,
    pointer: Annotated[
        bool, Option("--pointer", help="The moves of the live version: when, who, why.")
    ] = False,
    absolute: o.Absolute = False,
) -> None:
    """List the releases of a hook, oldest first."""


@command(app, "diff", "hooks:diff", WRITES)
def diff(
    hook: o.Hook,
    a: Annotated[
        str | None, Argument(metavar="A", help="A version; default the one before B.")
    ] = None,
    b: Annotated[str | None, Argument(metavar="B", help="A version; default the live one.")] = None,
    exit_code: Annotated[bool, Option("--exit-code", help="Exit 1 when they differ.")] = False,
) -> None:
    """Show what differs between two releases."""


@command(app, "rollback", "hooks:rollback", WRITES, records=True)
def rollback(
    hook: o.Hook,
    to: Annotated[
        str | None,
        Option("--to", metavar="N", help="A version; default the one before the live one."),
    ] = None,
    if_live: o.IfLive = None,
    message: o.Why = None,
    dry_run: o.DryRun = False,
) -> None:
    """Make an earlier release live again; nothing else changes."""


@command(app, "promote", "hooks:promote", WRITES, records=True)
def promote(
    hook: o.Hook,
    version: Annotated[str, Argument(metavar="N", help="A version.")],
    if_live: o.IfLive = None,
    message: o.Why = None,
) -> None:
    """Make a release live."""


@command(app, "run", "hooks_run:run", CARD, records=True, shared=o.filters)
def run(
    names: Annotated[list[str], Argument(metavar="NAME…", help="Hooks, run one after another.")],
    run: Annotated[
        str | None,
        Option(
            "--run", metavar="RUN", help="Only this run, instead of all that match the filters."
        ),
    ] = None,
    input_: Annotated[
        str | None,
        Option(
            "--input",
            metavar="FILE",
            help="Records with an id, one JSON object per line, - for stdin; instead of runs.",
        ),
    ] = None,
    at_version: Annotated[
        str | None,
        Option("--at-version", metavar="N", help="This release instead of the live one."),
    ] = None,
    run_key: Annotated[
        str | None,
        Option("--run-key", metavar="KEY", help="The same key again is the same hook run."),
    ] = None,
    retries: o.Retries = None,
    max_memory: o.MaxMemory = None,
    force: o.ForceRun = False,
) -> None:
    """Run hooks on the runs that match."""


@command(app, "runs", "hook_runs:list_runs", READS)
def runs(
    hook: Annotated[str | None, Argument(metavar="NAME", help="Only of this hook.")] = None,
    absolute: o.Absolute = False,
) -> None:
    """List hook runs, newest first."""


@command(app, "logs", "hook_runs:logs", WRITES)
def logs(
    hook_run: Annotated[str, Argument(metavar="HOOK_RUN", help="Its id, or the beginning of it.")],
    attempt: Annotated[
        str | None, Option("--attempt", metavar="N", help="Only this attempt, from 1.")
    ] = None,
) -> None:
    """Print what a hook run wrote to stderr."""


features_app = toplevel()
features = group("Rows computed by hooks.")
features_app.add_typer(features, name="features")


@command(features, "query", "hook_runs:query_features", READS)
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


@command(features_app, "provenance", "hook_runs:provenance", CARD)
def provenance(
    row_id: Annotated[str, Argument(metavar="ROW_ID", help="The number of a feature row.")],
) -> None:
    """Show where a feature row came from: hook run, release, digest, config, source."""
