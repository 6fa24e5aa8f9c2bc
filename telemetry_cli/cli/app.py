"""The Typer app: help, and the command lines that `parser.py` does not parse."""

from typing import Annotated

import typer
from typer import Option

from telemetry_cli import __version__
from telemetry_cli.cli import (
    commits,
    conventions,
    db,
    doctor,
    git_hooks,
    hooks,
    import_export,
    query,
    run,
    stats,
)
from telemetry_cli.cli.declare import group, help_without_subcommand
from telemetry_cli.cli.parser import Call
from telemetry_cli.core.tables import COMMANDS

app = group("Record what agents and CI jobs do, in a local SQLite file.")
app.add_typer(run.app, name="run")
app.add_typer(commits.app)
app.add_typer(git_hooks.app, name="git-hooks")
app.add_typer(query.app)
app.add_typer(stats.app)
app.add_typer(hooks.app, name="hooks")
app.add_typer(hooks.features_app)
app.add_typer(conventions.app, name="conventions")
app.add_typer(import_export.app)
app.add_typer(db.app, name="db")
app.add_typer(doctor.config_app, name="config")
app.add_typer(doctor.app)
app.add_typer(db.redact_app)


def _print_version(given: bool) -> None:
    if given:
        typer.echo(f"telemetry {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    db: Annotated[str | None, Option("--db", metavar="PATH", help="Database file.")] = None,
    base_dir: Annotated[
        str | None,
        Option("--base-dir", metavar="PATH", help="Directory of all stored files."),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback acts on it
        bool, Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    context.obj.update(db=db, base_dir=base_dir)
    help_without_subcommand(context)


class UsageError(Exception):
    """A command line that Typer cannot parse; the message is Typer's."""


def parse(argv: list[str]) -> tuple[Call, dict[str, str | None]] | int:
    """Parse `argv` with Typer into a call and the global options.

    Returns an exit code instead if Typer printed help or the version. Raises `UsageError`.
    """
    global_options: dict[str, str | None] = {}
    try:
        call = app(
            _join_command(argv), prog_name="telemetry", standalone_mode=False, obj=global_options
        )
    except typer.TyperException as error:
        raise UsageError(error.format_message()) from error
    return (call, global_options) if isinstance(call, tuple) else int(call or 0)


def _join_command(argv: list[str]) -> list[str]:
    """Return `argv` with the words of a command such as `commits relink` joined into one.

    Typer knows it as one command of that name, because `commits` is a command with arguments too.
    """
    index = 0
    while index < len(argv) and argv[index].startswith(("--db", "--base-dir")):
        index += 1 if "=" in argv[index] else 2
    path = tuple(argv[index : index + 2])
    if path in COMMANDS and path[:1] in COMMANDS:
        return [*argv[:index], " ".join(path), *argv[index + len(path) :]]
    return argv
