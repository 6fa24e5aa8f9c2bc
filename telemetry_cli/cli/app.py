"""The whole program as one Typer app, and the slow door: argv in, the call that it means out."""

from typing import Annotated

import typer
from typer import Option

from telemetry_cli import __version__
from telemetry_cli.cli import (
    bulk,
    commits,
    conventions,
    githooks,
    history,
    hooks,
    housekeeping,
    questions,
    run,
)
from telemetry_cli.cli.declare import Call, group, help_without_subcommand

app = group("A flight recorder for agents and CI jobs, over a local SQLite file.")
app.add_typer(run.app, name="run")
commits.add_to(app)
history.add_to(app)
app.add_typer(githooks.app, name="git-hooks")
questions.add_to(app)
app.add_typer(hooks.app, name="hooks")
app.add_typer(hooks.features, name="features")
hooks.add_to(app)
app.add_typer(conventions.app, name="conventions")
bulk.add_to(app)
app.add_typer(housekeeping.db, name="db")
app.add_typer(housekeeping.config, name="config")
housekeeping.add_to(app)


def _print_version(given: bool) -> None:
    if given:
        typer.echo(f"telemetry {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    db: Annotated[str | None, Option("--db", metavar="PATH", help="The database file.")] = None,
    base_dir: Annotated[
        str | None,
        Option("--base-dir", metavar="PATH", help="The folder that everything is kept in."),
    ] = None,
    version: Annotated[
        bool, Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,  # noqa: ARG001 - its callback acts on it
) -> None:
    context.obj.update(db=db, base_dir=base_dir)
    help_without_subcommand(context)


class UsageError(Exception):
    """What Typer says of argv that it cannot parse."""


def parse(argv: list[str]) -> tuple[Call, dict[str, str | None]] | int:
    """The call that argv means and the global options; or an exit code, when help or the version was printed instead.

    Raises `UsageError` with Typer's message.
    """
    global_options: dict[str, str | None] = {}
    try:
        call = app(_joined(argv), prog_name="telemetry", standalone_mode=False, obj=global_options)
    except typer.TyperException as error:
        raise UsageError(error.format_message()) from error
    return (call, global_options) if isinstance(call, tuple) else int(call or 0)


def _joined(argv: list[str]) -> list[str]:
    """argv, a command of two words made one: such a command stands beside one of a single word that takes arguments itself."""
    names = [str(command.name) for command in app.registered_commands if " " in str(command.name)]
    index = 0
    while index < len(argv) and argv[index].startswith(("--db", "--base-dir")):
        index += 1 if "=" in argv[index] else 2
    both = " ".join(argv[index : index + 2])
    return [*argv[:index], both, *argv[index + 2 :]] if both in names else argv
