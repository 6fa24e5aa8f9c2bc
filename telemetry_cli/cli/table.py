"""Makes `telemetry_cli/_fast.py`, the fast door's table, from the Typer app: `python -m telemetry_cli.cli.table`.

Command path → (handler, options, positionals, defaults, whether it records). An option is (parameter, kind): one value,
a flag, or repeatable.
"""

import importlib
import sys
from typing import Any

import typer.main

from telemetry_cli.cli.app import app
from telemetry_cli.cli.declare import Call

_HEADING = '''"""The fast door's table, generated from the Typer app by `python -m telemetry_cli.cli.table`. Never edited."""

VALUE, FLAG, MANY = range(3)

COMMANDS: dict[
    tuple[str, ...],
    tuple[str, dict[str, tuple[str, int]], tuple[tuple[str, bool], ...], dict[str, object], bool],
] = {
'''


def table() -> str:
    """The module's text."""
    root = typer.main.get_command(app)
    lines = [_HEADING]
    for path, command in sorted(_leaves(root, ())):
        lines += [f"    {path!r}: (\n", *(f"        {part},\n" for part in _entry(command)), "    ),\n"]
    return "".join([*lines, "}\n"])


def _leaves(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    commands = getattr(command, "commands", None)
    if commands is None:
        return [(path, command)]
    return [leaf for name, child in commands.items() for leaf in _leaves(child, (*path, name))]


def _entry(command: Any) -> tuple[str, ...]:
    assert command.callback
    options: dict[str, str] = {}
    positionals: list[tuple[str, bool]] = []
    defaults: dict[str, object] = {}
    for parameter in command.params:
        name = str(parameter.name)
        if name == "help":
            continue
        if parameter.param_type_name == "argument":
            positionals.append((name, parameter.required))
        else:
            kind = "FLAG" if getattr(parameter, "is_flag", False) else "MANY" if parameter.multiple else "VALUE"
            options |= dict.fromkeys(parameter.opts, f"({name!r}, {kind})")
        defaults[name] = parameter.default
    call: Call = command.callback()
    module, _, function = call[0].partition(":")
    handler = getattr(importlib.import_module(f"telemetry_cli.commands.{module}"), function)
    options_text = "{" + ", ".join(f"{spelling!r}: {target}" for spelling, target in options.items()) + "}"
    return repr(call[0]), options_text, repr(tuple(positionals)), repr(defaults), repr(handler.records)


if __name__ == "__main__":
    sys.stdout.write(table())
