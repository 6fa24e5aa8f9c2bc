"""Print `telemetry_cli/core/tables.py`, which is generated from the Typer app: `./dev regenerate`."""

import sys
from typing import Any

import typer.main

from telemetry_cli.cli.parser import Call
from telemetry_cli.core import tables as generated
from telemetry_cli.database.migrate import migrations
from telemetry_cli.models import Run, is_set_on_create, kind_of, options_of

_HEADING = '''"""Tables generated from the commands and models by `./dev regenerate`. Do not edit.

RUN_FIELDS are the fields of `models.Run`, COMMANDS is what `cli/parser.py` parses with, HELP what
shell completion shows.
"""

from collections import namedtuple

#: handler: the function to run, as `module:function` below `telemetry_cli.cli.commands`.
#: formats: its output formats, the default first; empty if it takes no `-o`.
#: records: it records something, so TELEMETRY_DISABLED and TELEMETRY_NEVER_FAIL apply.
#: wraps: it runs a command of the user's, which must run even if the settings are invalid.
#: writes: it records nothing but changes stored data; or the option with which it does.
Command = namedtuple("Command", "handler formats records wraps writes")

#: kind: as in `models.Kind`, or count, object, json.
#: options: the commands of `telemetry run` that take the field as an option.
#: on_create: the operation `run.create` may carry it.
Field = namedtuple("Field", "kind options on_create help")

VALUE, FLAG, MANY, REST = range(4)

Path = tuple[str, ...]
#: Option spelling → (parameter, VALUE, FLAG or MANY).
Options = dict[str, tuple[str, int]]
#: (parameter, required, VALUE, MANY or REST: every word from its first one on).
Positionals = tuple[tuple[str, bool, int], ...]
'''

_FIELDS_HEADING = """
#: Fields of a run, in the order of its columns.
RUN_FIELDS: dict[str, Field] = {
"""

_COMMANDS_HEADING = """}

COMMANDS: dict[Path, tuple[Command, Options, Positionals, dict[str, object]]] = {
"""

_HELP_HEADING = """}

#: Command path, whole or begun → (its help in one line, option → its help).
HELP: dict[Path, tuple[str, dict[str, str]]] = {
"""


def tables() -> str:
    """Return the text of `core/tables.py`."""
    fields = {
        name: generated.Field(
            kind_of(info), tuple(options_of(info)), is_set_on_create(info), info.description
        )
        for name, info in Run.model_fields.items()
    }
    # The commands that are declared next have an option for each field.
    generated.RUN_FIELDS.clear()
    generated.RUN_FIELDS.update(fields)
    from telemetry_cli.cli.app import app

    root = typer.main.get_command(app)
    lines = [_HEADING, f"\n#: The newest migration.\nSCHEMA_VERSION = {migrations()[-1][0]}\n"]
    lines += [_FIELDS_HEADING, *(f"    {name!r}: {field!r},\n" for name, field in fields.items())]
    lines.append(_COMMANDS_HEADING)
    for path, command in sorted(_nodes(root, ())):
        if not hasattr(command, "commands"):
            lines += [f"    {path!r}: (\n", *(f"        {part},\n" for part in _entry(command))]
            lines.append("    ),\n")
    lines.append(_HELP_HEADING)
    for path, command in sorted(_nodes(root, ())):
        first_line = str(command.help or "").partition("\n")[0]
        lines += [f"    {path!r}: (\n        {first_line!r},\n        {{\n"]
        lines += [
            f"            {name!r}: {help_!r},\n" for name, help_ in _option_helps(command).items()
        ]
        lines.append("        },\n    ),\n")
    return "".join([*lines, "}\n"])


def _nodes(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """Return (path, command) of every command and group, the program itself included."""
    children = getattr(command, "commands", {})
    nodes = [(path, command)]
    for name, child in children.items():
        nodes += _nodes(child, (*path, *name.split(" ")))
    return nodes


def _option_helps(command: Any) -> dict[str, str]:
    """Return spelling → help of every option."""
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    helps = {spelling: str(option.help or "") for option in options for spelling in option.opts}
    return helps | dict.fromkeys(("-h", "--help"), "Show the help.")


def _entry(command: Any) -> tuple[str, ...]:
    """Return the four parts of a command's entry in COMMANDS, as source text."""
    takes_rest = not command.context_settings.get("allow_interspersed_args", True)
    options: dict[str, str] = {}
    positionals: list[str] = []
    defaults: dict[str, object] = {}
    for parameter in command.params:
        name = str(parameter.name)
        if name == "help":
            continue
        if parameter.param_type_name == "argument":
            kind = "VALUE" if parameter.nargs == 1 else "REST" if takes_rest else "MANY"
            positionals.append(f"({name!r}, {parameter.required}, {kind}), ")
        else:
            is_flag = getattr(parameter, "is_flag", False)
            kind = "FLAG" if is_flag else "MANY" if parameter.multiple else "VALUE"
            options |= dict.fromkeys(parameter.opts, f"({name!r}, {kind})")
        defaults[name] = parameter.default
    call: Call = command.callback()
    options_text = ", ".join(f"{spelling!r}: {target}" for spelling, target in options.items())
    return repr(call[0]), f"{{{options_text}}}", f"({''.join(positionals)})", repr(defaults)


if __name__ == "__main__":
    sys.stdout.write(tables())
