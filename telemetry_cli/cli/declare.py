"""How a subcommand is declared: its function gives options and help, and `handler` names what runs.

Calling a declared function runs nothing: it returns the handler's name and what was parsed, which `entry` acts on. So
both doors end in the same pair.
"""

import functools
from collections.abc import Callable

import typer

#: The handler as `module:function` below `telemetry_cli.commands`, and the parsed parameters by name.
Call = tuple[str, dict[str, object]]


def group(help_: str) -> typer.Typer:
    """A noun with subcommands."""
    return typer.Typer(help=help_, no_args_is_help=True, add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def command(app: typer.Typer, name: str, handler: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a declaration under `name`."""

    def register(declaration: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(declaration)
        def parsed(**params: object) -> Call:
            return handler, params

        app.command(name)(parsed)
        return declaration

    return register
