"""How a subcommand is declared: its function gives options and help, and `handler` names what runs.

Calling a declared function runs nothing: it returns the handler's name and what was parsed, which `entry` acts on. So
both doors end in the same pair.
"""

import inspect
from collections.abc import Callable

import typer

#: The handler as `module:function` below `telemetry_cli.commands`, and the parsed parameters by name.
Call = tuple[str, dict[str, object]]


def group(help_: str) -> typer.Typer:
    """A noun with subcommands; named alone it prints its help, and exits as a usage error does."""
    app = typer.Typer(
        help=help_, invoke_without_command=True, add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.callback()(help_without_subcommand)
    return app


def help_without_subcommand(context: typer.Context) -> None:
    """Show what there is to choose from."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def command(
    app: typer.Typer, name: str, handler: str, shared: Callable[..., None] | None = None, *, without: tuple[str, ...] = (), takes_rest: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a declaration under `name`; the options of `shared`, which other commands have too, come before its own.

    It has none of the options `without`. With `takes_rest` its last argument takes every word from the first one on, options too.
    """

    def register(declaration: Callable[..., None]) -> Callable[..., None]:
        def parsed(**params: object) -> Call:
            return handler, params

        functions = (shared, declaration) if shared else (declaration,)
        parameters = [parameter for function in functions for parameter in inspect.signature(function).parameters.values() if parameter.name not in without]
        parameters.sort(key=lambda parameter: parameter.default is not parameter.empty)  # as a signature must be
        # Typer reads the signature, and typing knows no such attribute of a function.
        parsed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        parsed.__doc__ = declaration.__doc__
        app.command(name, context_settings={"allow_interspersed_args": False} if takes_rest else None)(parsed)
        return declaration

    return register
