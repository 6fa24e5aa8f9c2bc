"""Declare `telemetry run …`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, WRITES, command, group

app = group("Record runs and show them.")


@command(
    app,
    "start",
    "run:start",
    ("text", "json", "env"),
    records=True,
    fields="start",
    shared=o.inputs,
)
def start(
    event_id: Annotated[
        str | None,
        Option(
            "--event-id",
            metavar="ID",
            help="Idempotency key; auto: derived from the CI job and step.",
        ),
    ] = None,
    run_id: Annotated[
        str | None,
        Option("--run-id", metavar="ID", help="Readable name (default from time and agent)."),
    ] = None,
    no_git: Annotated[bool, Option("--no-git", help="Do not look for a git repository.")] = False,
) -> None:
    """Record the start of a run and print its event_id."""


@command(
    app,
    "exec",
    "exec:execute",
    (),
    wraps=True,
    fields="start",
    shared=o.inputs,
    without=("status", "start_time"),
    takes_rest=True,
)
def execute(
    command: Annotated[
        list[str],
        Argument(
            metavar="COMMAND",
            help="Command and its arguments, after --.",
        ),
    ],
    event_id: Annotated[
        str | None,
        Option(
            "--event-id",
            metavar="ID",
            help="Idempotency key; auto: derived from the CI job and step.",
        ),
    ] = None,
    run_id: Annotated[
        str | None,
        Option("--run-id", metavar="ID", help="Readable name (default from time and agent)."),
    ] = None,
    no_git: Annotated[bool, Option("--no-git", help="Do not look for a git repository.")] = False,
    timeout: Annotated[
        str | None,
        Option(
            "--timeout",
            metavar="DURATION",
            help="Send SIGTERM after 90s, 15m or 2h, and SIGKILL 5 s later.",
        ),
    ] = None,
    no_capture: Annotated[
        bool,
        Option("--no-capture", help="Pass stdout and stderr through and keep no output."),
    ] = False,
    tail: Annotated[
        str | None,
        Option(
            "--tail",
            metavar="BYTES",
            help="Last bytes of stderr to keep on failure (default 16384).",
        ),
    ] = None,
) -> None:
    """Run a command, record it, and exit with its exit code.

    Start, end and status are observed, and stdout belongs to the command: there is no --status, no
    --start-time and no -o. Change the record with telemetry run update @last; show it with
    telemetry run show @last -o json.
    """


@command(app, "end", "run:end", WRITES, records=True, fields="end")
def end(
    run: o.Run = None,
    exit_code: Annotated[
        str | None,
        Option(
            "--exit-code",
            metavar="N",
            help="Exit code: 0 is success, others failure; not with --status.",
        ),
    ] = None,
    metrics: o.Metrics = None,
    context: o.Context = None,
    metric: o.Metric = None,
    force: Annotated[bool, Option("--force", help="Overwrite the end of a finished run.")] = False,
) -> None:
    """Record the end of a run."""


@command(app, "update", "run:update", WRITES, records=True, fields="update", shared=o.inputs)
def update(
    run: o.Run = None,
) -> None:
    """Set fields of a run; an empty value clears a field."""


@command(app, "event", "run:event", WRITES, records=True)
def event(
    event_type: Annotated[
        str, Argument(metavar="TYPE", help="Type of the event, such as checkpoint.")
    ],
    run: o.RunOption = None,
    payload: Annotated[
        str | None, Option("--payload", metavar="JSON", help="JSON value, @FILE, or - for stdin.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        Option("-m", metavar="KEY=VALUE", help="One key of the payload (repeatable)."),
    ] = None,
    timestamp: Annotated[
        str | None,
        Option(
            "--timestamp",
            metavar="TIME",
            help="ISO 8601 with offset, or an age such as 15m (default now).",
        ),
    ] = None,
    trace_id: Annotated[str | None, Option("--trace-id", metavar="ID", help="Trace ID.")] = None,
    span_id: Annotated[str | None, Option("--span-id", metavar="ID", help="Span ID.")] = None,
    parent_span_id: Annotated[
        str | None, Option("--parent-span-id", metavar="ID", help="Parent span ID.")
    ] = None,
) -> None:
    """Record an event during a run."""


@command(app, "events", "run:events", READS)
def events(
    run: o.Run = None,
    type_: Annotated[
        str | None, Option("--type", metavar="TYPE", help="Show only events of this type.")
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List the events of a run, oldest first."""


@command(app, "tree", "run:tree", CARD)
def tree(run: o.Run = None) -> None:
    """Show a run and its descendants as a tree."""


@command(app, "show", "run:show", CARD)
def show(run: o.Run = None, absolute: o.Absolute = False) -> None:
    """Show one run with its events, commits and children."""


@command(app, "reap", "reap:reap", WRITES, records=True)
def reap(
    older_than: Annotated[
        str | None,
        Option(
            "--older-than",
            metavar="AGE",
            help="Also end runs without a known process older than 2h, 3d, 1w.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="List the runs that would end; change nothing.")
    ] = False,
) -> None:
    """End runs that are running without a live process."""
