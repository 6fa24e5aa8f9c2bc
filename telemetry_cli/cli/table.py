"""Makes what is generated from the Typer app: `telemetry_cli/cli/_fast.py`, the fast door's table (`python -m telemetry_cli.cli.table`),
and `telemetry_cli/cli/_help.py`, what completion says of commands and options (`python -m telemetry_cli.cli.table help`).

Command path → (handler, options, positionals, defaults, whether it records). An option is (parameter, kind): one value,
a flag, or repeatable. A positional is (parameter, required, kind): one word, repeatable, or every word from its first on.
"""

import sys
from typing import Any

import typer.main

from telemetry_cli.cli.app import app
from telemetry_cli.cli.declare import Call, load

_HEADING = '''"""The fast door's table, generated from the Typer app by `python -m telemetry_cli.cli.table`. Never edited."""

VALUE, FLAG, MANY, REST = range(4)

COMMANDS: dict[
    tuple[str, ...],
    tuple[str, dict[str, tuple[str, int]], tuple[tuple[str, bool, int], ...], dict[str, object], bool],
] = {
'''

_HELP_HEADING = '''"""Help in a line, generated from the Typer app by `python -m telemetry_cli.cli.table help`. Never edited."""

#: Command path, whole or begun → (its help, option → its help).
HELP: dict[tuple[str, ...], tuple[str, dict[str, str]]] = {
'''


def table() -> str:
    """The text of `_fast.py`."""
    root = typer.main.get_command(app)
    lines = [_HEADING]
    for path, command in sorted(_leaves(root, ())):
        lines += [
            f"    {path!r}: (\n",
            *(f"        {part},\n" for part in _entry(command)),
            "    ),\n",
        ]
    return "".join([*lines, "}\n"])


def helps() -> str:
    """The text of `_help.py`."""
    lines = [
        f"    {path!r}: ({_first_line(command)!r}, {_option_helps(command)!r}),\n"
        for path, command in sorted(_nodes(typer.main.get_command(app), ()))
    ]
    return "".join([_HELP_HEADING, *lines, "}\n"])


def _nodes(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """Every command and group, the program itself among them."""
    children = getattr(command, "commands", {})
    return [
        (path, command),
        *(
            node
            for name, child in children.items()
            for node in _nodes(child, (*path, *name.split(" ")))
        ),
    ]


def _first_line(command: Any) -> str:
    return str(command.help or "").partition("\n")[0]


def _option_helps(command: Any) -> dict[str, str]:
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    return {
        spelling: str(option.help or "") for option in options for spelling in option.opts
    } | dict.fromkeys(("-h", "--help"), "Show the help.")


def _leaves(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    commands = getattr(command, "commands", None)
    if commands is None:
        return [(path, command)]
    return [
        leaf
        for name, child in commands.items()
        for leaf in _leaves(child, (*path, *name.split(" ")))
    ]


def _entry(command: Any) -> tuple[str, ...]:
    assert command.callback
    options: dict[str, str] = {}
    positionals: list[str] = []
    defaults: dict[str, object] = {}
    for parameter in command.params:
        name = str(parameter.name)
        if name == "help":
            continue
        if parameter.param_type_name == "argument":
            kind = (
                "VALUE"
                if parameter.nargs == 1
                else "MANY"
                if command.context_settings.get("allow_interspersed_args", True)
                else "REST"
            )
            positionals.append(f"({name!r}, {parameter.required}, {kind}), ")
        else:
            kind = (
                "FLAG"
                if getattr(parameter, "is_flag", False)
                else "MANY"
                if parameter.multiple
                else "VALUE"
            )
            options |= dict.fromkeys(parameter.opts, f"({name!r}, {kind})")
        defaults[name] = parameter.default
    call: Call = command.callback()
    options_text = (
        "{" + ", ".join(f"{spelling!r}: {target}" for spelling, target in options.items()) + "}"
    )
    return (
        repr(call[0]),
        options_text,
        f"({''.join(positionals)})",
        repr(defaults),
        repr(load(call[0]).records),
    )


if __name__ == "__main__":
    sys.stdout.write(helps() if sys.argv[1:] == ["help"] else table())
