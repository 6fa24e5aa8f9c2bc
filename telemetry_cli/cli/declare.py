"""Declare commands: a function gives options and help, `command` everything else.

Options that several commands share are declared here, once. All are text, flags or repeatable
text: handlers convert and check the values."""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer import Argument, Option

from telemetry_cli.cli.parser import Call
from telemetry_cli.core.tables import RUN_FIELDS, Command
from telemetry_cli.core.values import option as option_name

#: Output formats of a command that writes, of one that lists rows, and of one that shows one thing.
WRITES = ("text", "json")
READS = ("table", "json", "jsonl", "csv")
CARD = ("table", "json")


def toplevel() -> typer.Typer:
    """Return an app for commands that stand directly below `telemetry`."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def group(help_: str) -> typer.Typer:
    """Return an app for a noun with subcommands; without one it prints its help and exits 2."""
    app = typer.Typer(
        help=help_,
        invoke_without_command=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(help_without_subcommand)
    return app


def help_without_subcommand(context: typer.Context) -> None:
    """Print the help of a group that was called without a subcommand, and exit 2."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def command(
    app: typer.Typer,
    name: str,
    handler: str,
    formats: Sequence[str],
    *,
    records: bool = False,
    wraps: bool = False,
    writes: bool | str = False,
    fields: str = "",
    shared: Callable[..., None] | None = None,
    without: tuple[str, ...] = (),
    takes_rest: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a command below `app`; the decorated function's signature and docstring are its help.

    `handler`, `records`, `wraps` and `writes` are those of `Command`. `formats` are the output
    formats, the default first; if there are any, `-o` and `--json` are added. `fields` adds an option
    for each field of a run that this command of `telemetry run` takes, `shared` the options of
    another function; both come before the command's own, except those named in `without`. With
    `takes_rest` the last argument takes every word from the first one on, options too.
    """

    def register(declaration: Callable[..., None]) -> Callable[..., None]:
        declared = Command(handler, tuple(formats), records, wraps, writes)

        def parsed(**params: object) -> Call:
            return declared, params

        functions = (shared, declaration) if shared else (declaration,)
        parameters = _field_options(fields)
        for function in functions:
            parameters += inspect.signature(function).parameters.values()
        parameters = [each for each in parameters if each.name not in without]
        # A signature lists parameters without a default first.
        parameters.sort(key=lambda parameter: parameter.default is not parameter.empty)
        parameters += _output_options(formats)
        # Typer reads the signature, and typing knows no such attribute of a function.
        parsed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        parsed.__doc__ = declaration.__doc__
        settings = {"allow_interspersed_args": False} if takes_rest else None
        app.command(name, context_settings=settings)(parsed)
        return declaration

    return register


#: Kind of a field → what its value is called in help.
_METAVARS = {"name": "TEXT", "text": "TEXT", "count": "N", "time": "TIME", "remote": "URL"}


def _field_options(command: str) -> list[inspect.Parameter]:
    """Return an option for each field of a run that `telemetry run` COMMAND takes."""
    options = []
    for name, field in RUN_FIELDS.items():
        if command in field.options:
            metavar = _METAVARS.get(field.kind, field.kind.upper())
            option = typer.Option(option_name(name), metavar=metavar, help=field.help)
            annotation = Annotated[str | None, option]
            options.append(
                inspect.Parameter(
                    name,
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=None,
                    annotation=annotation,
                )
            )
    return options


#: Formats whose name needs an explanation.
_EXPLAINED = {"env": "env (shell exports, safe to eval)", "ids": "ids (one event_id per line)"}


def _output_options(formats: Sequence[str]) -> list[inspect.Parameter]:
    if not formats:
        return []
    *others, last = (_EXPLAINED.get(name, name) for name in formats)
    help_ = f"{', '.join(others)} or {last}."
    output = Annotated[str | None, typer.Option("-o", "--output", metavar="FORMAT", help=help_)]
    json = Annotated[bool, typer.Option("--json", help="Short for -o json.")]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter("output", keyword, default=None, annotation=output),
        inspect.Parameter("json", keyword, default=False, annotation=json),
    ]


Run = Annotated[
    str | None,
    Argument(
        metavar="RUN",
        help="event_id, run_id, a prefix of 4 or more characters, @last, @last:AGENT or @current (default).",
    ),
]
RunOption = Annotated[
    str | None, Option("--run", metavar="RUN", help="Run (default $TELEMETRY_EVENT_ID).")
]

Repo = Annotated[
    str | None,
    Option("--repo", metavar="PATH", help="Directory of the repository (default the current one)."),
]

Absolute = Annotated[bool, Option("--absolute", help="Show times instead of ages in tables.")]

Metrics = Annotated[
    str | None,
    Option(
        "--metrics", metavar="JSON", help="JSON object, @FILE, or - for stdin; merged key by key."
    ),
]
Context = Annotated[
    str | None,
    Option(
        "--context", metavar="JSON", help="JSON object, @FILE, or - for stdin; merged key by key."
    ),
]
Metric = Annotated[
    list[str] | None,
    Option("-m", "--metric", metavar="KEY=VALUE", help="One metric (repeatable)."),
]


Hook = Annotated[
    str,
    Argument(metavar="NAME", help="Hook: a lowercase letter, then lowercase letters, digits, _."),
]
Slug = Annotated[str, Argument(metavar="SLUG", help="Convention, as in conventions list.")]
IfLive = Annotated[
    str | None,
    Option("--if-live", metavar="N", help="Exit 4 unless this version is live (0 for none)."),
]
Why = Annotated[
    str | None, Option("--message", metavar="WHY", help="Reason, shown by hooks history --pointer.")
]
DryRun = Annotated[bool, Option("--dry-run", help="Show the changes; make none.")]
Retries = Annotated[
    str | None,
    Option(
        "--retries",
        metavar="N",
        help="Retries after a timeout or out of memory (default 3).",
    ),
]
MaxMemory = Annotated[
    str | None,
    Option(
        "--max-memory",
        metavar="SIZE",
        help="Memory limit for retries, which double it (default 4g).",
    ),
]
ForceRun = Annotated[bool, Option("--force", help="Run again on unchanged input.")]


def filters(
    agent_name: Annotated[
        list[str] | None,
        Option("--agent-name", metavar="TEXT", help="Agent; repeat to match any of several."),
    ] = None,
    job_type: Annotated[
        list[str] | None,
        Option("--job-type", metavar="TEXT", help="Job type; repeat to match any of several."),
    ] = None,
    status: Annotated[
        list[str] | None,
        Option("--status", metavar="STATUS", help="Status; repeat to match any of several."),
    ] = None,
    product: Annotated[
        list[str] | None,
        Option("--product", metavar="TEXT", help="Product; repeat to match any of several."),
    ] = None,
    parent: Annotated[
        str | None, Option("--parent", metavar="RUN", help="Children of this run.")
    ] = None,
    commit: Annotated[
        str | None,
        Option(
            "--commit",
            metavar="SHA|A..B",
            help="Commit (at least 7 digits) or range of commits.",
        ),
    ] = None,
    repo: Annotated[
        str | None,
        Option("--repo", metavar="REPO", help="Remote URL, or a directory of the repository."),
    ] = None,
    branch: Annotated[str | None, Option("--branch", metavar="BRANCH", help="Branch.")] = None,
    since: Annotated[
        str | None,
        Option(
            "--since",
            metavar="TIME",
            help="Recorded at or after: ISO 8601, an age (2h), or today.",
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
            help="SQL expression: duration_ms > 5000 and items_failed > 0.",
        ),
    ] = None,
    search: Annotated[
        str | None,
        Option(
            "--search",
            metavar="TEXT",
            help="Match all words or prefixes in names, summaries, errors.",
        ),
    ] = None,
) -> None:
    """Declare the options that select runs."""


def inputs(
    parent: Annotated[
        str | None,
        Option("--parent", metavar="RUN", help="Parent run (default $TELEMETRY_EVENT_ID)."),
    ] = None,
    metrics: Metrics = None,
    context: Context = None,
    metric: Metric = None,
) -> None:
    """Declare options of a run that are not plain fields."""
