"""How a subcommand is declared: its function gives options and help, and `handler` names what runs.

Calling a declared function runs nothing: it returns the handler's name and what was parsed, which `entry` acts on. So
both doors end in the same pair.
"""

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from telemetry_cli.cli.commands.result import Handler

#: The handler as `module:function` below `telemetry_cli.cli.commands`, and the parsed parameters by name.
Call = tuple[str, dict[str, object]]


def group(help_: str) -> typer.Typer:
    """A noun with subcommands; named alone it prints its help, and exits as a usage error does."""
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
    """Show what there is to choose from."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def command(
    app: typer.Typer,
    name: str,
    handler: str,
    shared: Callable[..., None] | None = None,
    *,
    without: tuple[str, ...] = (),
    takes_rest: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a declaration under `name`; the options of `shared`, which other commands have too, come before its own.

    It has none of the options `without`. With `takes_rest` its last argument takes every word from the first one on, options too.
    `-o` and `--json` come last, by the formats of the handler.
    """

    def register(declaration: Callable[..., None]) -> Callable[..., None]:
        def parsed(**params: object) -> Call:
            return handler, params

        functions = (shared, declaration) if shared else (declaration,)
        parameters = [
            parameter
            for function in functions
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name not in without
        ]
        parameters.sort(
            key=lambda parameter: parameter.default is not parameter.empty
        )  # as a signature must be
        parameters += _output_options(load(handler).formats)
        # Typer reads the signature, and typing knows no such attribute of a function.
        parsed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        parsed.__doc__ = declaration.__doc__
        app.command(
            name, context_settings={"allow_interspersed_args": False} if takes_rest else None
        )(parsed)
        return declaration

    return register


def load(name: str) -> Handler:
    """The handler of that name."""
    module, _, function = name.partition(":")
    handler: Handler = getattr(import_module(f"telemetry_cli.cli.commands.{module}"), function)
    return handler


#: What a format's name alone does not say.
_SAID = {"env": "env (shell exports, safe to eval)", "ids": "ids (an event_id a line)"}


def _output_options(formats: Sequence[str]) -> list[inspect.Parameter]:
    if not formats:
        return []
    *others, last = (_SAID.get(name, name) for name in formats)
    output = Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FORMAT", help=f"{', '.join(others)} or {last}."),
    ]
    json = Annotated[bool, typer.Option("--json", help="Short for -o json.")]
    return [
        inspect.Parameter(
            "output", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=output
        ),
        inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=json),
    ]
