"""Declare `telemetry run …`."""

from typing import Annotated

from typer import Argument, Option

from telemetry_cli.cli import declare as o
from telemetry_cli.cli.declare import CARD, READS, WRITES, command, group

app = group("Record runs, and look at one.")


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
            help="Idempotency key; the same one again records nothing. auto: from the CI job.",
        ),
    ] = None,
    run_id: Annotated[
        str | None,
        Option("--run-id", metavar="ID", help="A name for people; default from time and agent."),
    ] = None,
    no_git: Annotated[bool, Option("--no-git", help="Do not look for a git repository.")] = False,
) -> None:
    """Record that a run began; prints its event_id."""


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
            help="The command and its arguments, as they would be typed; after --.",
        ),
    ],
    event_id: Annotated[
        str | None,
        Option(
            "--event-id",
            metavar="ID",
            help="Idempotency key; auto derives it from the CI job and step.",
        ),
    ] = None,
    run_id: Annotated[
        str | None,
        Option("--run-id", metavar="ID", help="A name for people; default from time and agent."),
    ] = None,
    no_git: Annotated[bool, Option("--no-git", help="Do not look for a git repository.")] = False,
    timeout: Annotated[
        str | None,
        Option(
            "--timeout",
            metavar="DURATION",
            help="End the command after 90s, 15m or 2h: SIGTERM, 5 s later SIGKILL.",
        ),
    ] = None,
    no_capture: Annotated[
        bool,
        Option("--no-capture", help="Leave stdout and stderr alone; keep nothing on a failure."),
    ] = False,
    tail: Annotated[
        str | None,
        Option(
            "--tail",
            metavar="BYTES",
            help="Bytes of the end of stderr to keep on a failure (default 16384).",
        ),
    ] = None,
) -> None:
    """Run a command, record it, and exit as it does.

    Its start and how it ends are observed, and its stdout is its own: so there is no --status, no --start-time and no -o. To change
    what was recorded: telemetry run update @last; to see it: telemetry run show @last -o json.
    """


@command(app, "end", "run:end", WRITES, records=True, fields="end")
def end(
    run: o.Run = None,
    exit_code: Annotated[
        str | None,
        Option(
            "--exit-code",
            metavar="N",
            help="0 is success, anything else failure; instead of --status.",
        ),
    ] = None,
    metrics: o.Metrics = None,
    context: o.Context = None,
    metric: o.Metric = None,
    force: Annotated[
        bool, Option("--force", help="End a run again that has already ended.")
    ] = False,
) -> None:
    """Record how a run ended."""


@command(app, "update", "run:update", WRITES, records=True, fields="update", shared=o.inputs)
def update(
    run: o.Run = None,
) -> None:
    """Set fields of a run; an empty text clears a field."""


@command(app, "event", "run:event", WRITES, records=True)
def event(
    event_type: Annotated[str, Argument(metavar="TYPE", help="What happened, such as checkpoint.")],
    run: o.RunOption = None,
    payload: Annotated[
        str | None, Option("--payload", metavar="JSON", help="Any JSON, @FILE, or - for stdin.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        Option("-m", metavar="KEY=VALUE", help="One key of the payload; may be repeated."),
    ] = None,
    timestamp: Annotated[
        str | None,
        Option(
            "--timestamp",
            metavar="TIME",
            help="ISO 8601 with a zone, or an age such as 15m; default now.",
        ),
    ] = None,
    trace_id: Annotated[str | None, Option("--trace-id", metavar="ID", help="Trace.")] = None,
    span_id: Annotated[str | None, Option("--span-id", metavar="ID", help="Span.")] = None,
    parent_span_id: Annotated[
        str | None, Option("--parent-span-id", metavar="ID", help="Parent span.")
    ] = None,
) -> None:
    """Record that something happened during a run."""


@command(app, "events", "run:events", READS)
def events(
    run: o.Run = None,
    type_: Annotated[
        str | None, Option("--type", metavar="TYPE", help="Only events of this type.")
    ] = None,
    absolute: o.Absolute = False,
) -> None:
    """List the events of a run, oldest first."""


@command(app, "tree", "run:tree", CARD)
def tree(run: o.Run = None) -> None:
    """Show a run and everything that was started under it."""


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
            help="Also runs of which no process is known, started so long ago: 2h, 3d, 1w.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what would end, and change nothing.")
    ] = False,
) -> None:
    """End runs that still say running though their process is gone."""
