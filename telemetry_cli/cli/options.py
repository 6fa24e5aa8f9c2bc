"""Options that several commands share, declared once. All are text, flag or repeatable text: handlers convert and check."""

from typing import Annotated

from typer import Argument, Option

Run = Annotated[
    str | None,
    Argument(
        metavar="RUN",
        help="event_id, run_id, a prefix of 4 characters or more, @last, @last:AGENT or @current (the default).",
    ),
]
RunOption = Annotated[
    str | None, Option("--run", metavar="RUN", help="The run; default $TELEMETRY_EVENT_ID.")
]

Repo = Annotated[
    str | None,
    Option("--repo", metavar="PATH", help="A folder of the repository; default here."),
]

Absolute = Annotated[bool, Option("--absolute", help="Full times in tables instead of ages.")]

Metrics = Annotated[
    str | None,
    Option(
        "--metrics", metavar="JSON", help="A JSON object, @FILE, or - for stdin; merged key by key."
    ),
]
Context = Annotated[
    str | None,
    Option(
        "--context", metavar="JSON", help="A JSON object, @FILE, or - for stdin; merged key by key."
    ),
]
Metric = Annotated[
    list[str] | None,
    Option("-m", "--metric", metavar="KEY=VALUE", help="One metric; may be repeated."),
]


Hook = Annotated[
    str, Argument(metavar="NAME", help="A hook: a small letter, then small letters, digits and _.")
]
Slug = Annotated[str, Argument(metavar="SLUG", help="A convention, as conventions list shows it.")]
IfLive = Annotated[
    str | None,
    Option("--if-live", metavar="N", help="Only if this version is live, 0 for none; else exit 4."),
]
Why = Annotated[
    str | None, Option("--message", metavar="WHY", help="Why; kept in the pointer's history.")
]
DryRun = Annotated[bool, Option("--dry-run", help="Show what would change, and change nothing.")]
Retries = Annotated[
    str | None,
    Option(
        "--retries",
        metavar="N",
        help="More attempts after a timeout or too much memory; default 3.",
    ),
]
MaxMemory = Annotated[
    str | None,
    Option(
        "--max-memory", metavar="SIZE", help="How far retries may double the memory; default 4g."
    ),
]
ForceRun = Annotated[bool, Option("--force", help="Also when nothing has changed since it passed.")]


def filters(
    agent_name: Annotated[
        list[str] | None,
        Option("--agent-name", metavar="TEXT", help="Agent; repeated: any of them."),
    ] = None,
    job_type: Annotated[
        list[str] | None,
        Option("--job-type", metavar="TEXT", help="Job type; repeated: any of them."),
    ] = None,
    status: Annotated[
        list[str] | None,
        Option("--status", metavar="STATUS", help="Status; repeated: any of them."),
    ] = None,
    product: Annotated[
        list[str] | None,
        Option("--product", metavar="TEXT", help="Product; repeated: any of them."),
    ] = None,
    parent: Annotated[
        str | None, Option("--parent", metavar="RUN", help="Children of this run.")
    ] = None,
    commit: Annotated[
        str | None,
        Option(
            "--commit",
            metavar="SHA|A..B",
            help="Runs of this commit, by at least 7 digits, or of the commits in a range.",
        ),
    ] = None,
    repo: Annotated[
        str | None,
        Option("--repo", metavar="REPO", help="Remote URL, or a folder of the repository."),
    ] = None,
    branch: Annotated[str | None, Option("--branch", metavar="BRANCH", help="Branch.")] = None,
    since: Annotated[
        str | None,
        Option(
            "--since",
            metavar="TIME",
            help="Recorded at or after: ISO 8601, an age such as 2h, today.",
        ),
    ] = None,
    until: Annotated[str | None, Option("--until", metavar="TIME", help="Recorded before.")] = None,
    created_after: Annotated[
        str | None, Option("--created-after", metavar="TIME", help="Recorded after.")
    ] = None,
    created_before: Annotated[
        str | None, Option("--created-before", metavar="TIME", help="Recorded before.")
    ] = None,
    start_time_from: Annotated[
        str | None, Option("--start-time-from", metavar="TIME", help="Started at or after.")
    ] = None,
    start_time_to: Annotated[
        str | None, Option("--start-time-to", metavar="TIME", help="Started at or before.")
    ] = None,
    where: Annotated[
        str | None,
        Option(
            "--where",
            metavar="EXPR",
            help="SQL over one run: duration_ms > 5000 and metrics_json->>'tokens' > 100.",
        ),
    ] = None,
    search: Annotated[
        str | None,
        Option(
            "--search",
            metavar="TEXT",
            help="All of these words or their beginnings, in names, summaries, errors.",
        ),
    ] = None,
) -> None:
    """The filters of every question over many runs."""


def inputs(
    parent: Annotated[
        str | None,
        Option("--parent", metavar="RUN", help="Parent run; default $TELEMETRY_EVENT_ID."),
    ] = None,
    metrics: Metrics = None,
    context: Context = None,
    metric: Metric = None,
) -> None:
    """Declare options of a run that are not plain fields."""
