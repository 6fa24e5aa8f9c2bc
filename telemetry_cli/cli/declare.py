"""How a command is declared: a function gives its options and help, `command` everything else.

A declared function does nothing when Typer calls it: it returns the command and the parsed
parameters, as the plain grammar of `parser.py` does, and `main.py` acts on both in the same way.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

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
