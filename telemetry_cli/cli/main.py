"""CLI entry point: parse argv, run the handler, print its result, map errors to exit codes."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from telemetry_cli.cli.commands.result import HandedBack, Result, Working, Written
from telemetry_cli.cli.output import plain
from telemetry_cli.cli.parser import Call, Globals, find_command, parse, split_globals
from telemetry_cli.core.config import Config, is_on
from telemetry_cli.core.errors import (
    DiskTrouble,
    InvalidInput,
    NotDurable,
    OutputLost,
    TelemetryError,
    from_system,
)
from telemetry_cli.core.tables import COMMANDS, Command
from telemetry_cli.redaction.redactor import hide

_HELP = {"--help", "-h"}

#: The word by which the scripts in completions/ call the program.
_COMPLETE = "_complete"
#: The command that git hooks call: it prints nothing and always exits 0.
_FIRE = ("git-hooks", "fire")

Handler = Callable[..., Result | Working]


def main(argv: list[str] | None = None) -> int:
    """Run the program on `argv` (default: `sys.argv` without the program).

    Returns its exit code; -N where the process must end itself by signal N.
    """
    plain.prepare_streams()
    argv = sys.argv[1:] if argv is None else argv
    if sys.getfilesystemencoding() != "utf-8":
        argv = [os.fsencode(word).decode(errors="surrogateescape") for word in argv]
    if argv[:1] == [_COMPLETE]:
        return _complete(argv[1:])
    if find_command(argv) == _FIRE and not _HELP.intersection(argv):
        return _fire(argv)
    try:
        return _run(argv)
    except Exception as error:
        return _report_failure(error, argv)


def _complete(argv: list[str]) -> int:
    """Answer a shell that completes a word; with nothing if that fails, because it shows no errors."""
    try:
        from telemetry_cli.cli.commands.completion import answer

        plain.show_words(answer(argv))
    except Exception:  # noqa: S110 - an error message would end up on the line being typed
        pass
    return 0


def _fire(argv: list[str]) -> int:
    """Run a git hook. Never raise or print: a failing hook must not affect the commit."""
    try:
        global_options, words = split_globals(argv)
        config = Config(**global_options)
        if not config.disabled:
            hide(config.redact_rules)
            hook, *arguments = words[len(_FIRE) :] or [""]
            _load(COMMANDS[_FIRE][0])(config, "text", hook=hook, arguments=arguments)
    except Exception:  # noqa: S110 - git would show the message to the person who commits
        pass
    return 0


def _run(argv: list[str]) -> int:
    path = find_command(argv)
    records = path in COMMANDS and COMMANDS[path][0].records
    if records and is_on("TELEMETRY_DISABLED") and not _HELP.intersection(argv):
        return 0
    parsed = parse(argv, path) or _parse_with_typer(argv)
    if isinstance(parsed, int):
        return parsed
    (command, params), global_options = parsed
    config = _read_config(global_options, needed=not command.wraps)
    if config and config.disabled and _is_write(command, params):
        return 0
    for warning in config.warnings if config else ():
        plain.say(f"telemetry: warning: {warning}")
    output = _choose_format(command.formats, params)
    result = plain.settle(_call(command, config, output, params))
    for note in result.notes:
        plain.say(note if isinstance(note, HandedBack) else f"telemetry: {note}")
    if command.wraps and isinstance(result, Written):
        return result.code
    try:
        plain.show(result, output)
    except OutputLost:
        # A recorded operation stays recorded even if stdout is closed.
        if not command.records:
            raise
    return result.code


def _read_config(global_options: Globals, *, needed: bool) -> Config | None:
    """Return the settings; None if environment or file are invalid and the command can do without."""
    try:
        config = Config(**global_options)
    except TelemetryError as error:
        if needed or not _is_invalid_without_options(global_options):
            raise
        _report(error)
        return None
    hide(config.redact_rules)
    return config


def _is_invalid_without_options(global_options: Globals) -> bool:
    """Return whether the settings are invalid even without the options on the command line."""
    try:
        Config(**dict.fromkeys(global_options))
    except TelemetryError:
        return True
    return False


def _load(command: Command) -> Handler:
    """Import the handler of a command."""
    module, _, function = command.handler.partition(":")
    # `import_module` would import importlib, 0.7 ms.
    package = __import__("telemetry_cli.cli.commands." + module, fromlist=(function,))
    handler: Handler = getattr(package, function)
    return handler


def _is_write(command: Command, params: Mapping[str, object]) -> bool:
    """Return whether a call with these parameters changes stored data."""
    writes = command.writes
    return bool(command.records or (params[writes] if isinstance(writes, str) else writes))


def _call(
    command: Command, config: Config | None, output: str, params: dict[str, object]
) -> Result | Working:
    """Run the handler of a command.

    Raises `NotDurable` if the disk fails while a command changes stored data without recording;
    nothing has changed then. Commands that record report their record themselves, and permissions
    are for the user to correct.
    """
    try:
        return _load(command)(config, output, **params)
    except (OSError, DiskTrouble) as error:
        is_upkeep = _is_write(command, params) and not command.records
        if not is_upkeep or isinstance(error, PermissionError):
            raise
        known = error if isinstance(error, TelemetryError) else from_system(error)
        raise NotDurable(known.message, "", known.hint) from error


def _parse_with_typer(argv: list[str]) -> tuple[Call, Globals] | int:
    """Return the call and the global options, or an exit code if help or the version was printed."""
    from telemetry_cli.cli.app import UsageError
    from telemetry_cli.cli.app import parse as parse_slowly

    try:
        return parse_slowly(argv)
    except OSError as error:
        raise OutputLost(f"stdout cannot be written: {error.strerror}") from None
    except UsageError as error:
        words = " ".join(["telemetry", *find_command(argv)])
        raise InvalidInput(str(error), f"See: {words} --help") from None


def _choose_format(formats: Sequence[str], params: dict[str, object]) -> str:
    """Return the output format that `-o` or `--json` asks for, else the command's default."""
    if not formats:
        return ""
    named, json = params.pop("output"), params.pop("json")
    if named is not None and named not in formats:
        raise InvalidInput(f"--output: invalid value {named!r} (choose from {', '.join(formats)})")
    if json and named not in (None, "json"):
        raise InvalidInput(f"--json: --output {named} is given too; give one of them")
    return "json" if json else str(named) if named is not None else formats[0]


def _report_failure(error: Exception, argv: list[str]) -> int:
    """Report an error on stderr and return its exit code."""
    disabled, never_fail, debug = _error_settings(argv)
    if debug and not isinstance(error, OutputLost):
        import traceback

        plain.say(traceback.format_exc())
    known = _as_known_error(error) or _find_schema_fault(error, argv)
    if known is None:
        from telemetry_cli.cli.output.report import write_report

        known = TelemetryError(
            f"telemetry met a defect in itself ({type(error).__name__})",
            f"A report is in {write_report(error)}; please file it.",
        )
    path = find_command(argv)
    records = path in COMMANDS and COMMANDS[path][0].records
    if records and disabled:
        return 0
    _report(known)
    return 0 if records and never_fail else known.exit_code


def _error_settings(argv: list[str]) -> tuple[bool, bool, bool]:
    """Return the settings `disabled`, `never_fail` and `debug`.

    If the settings themselves are invalid, only the environment counts.
    """
    try:
        config = Config(**split_globals(argv)[0])
    except TelemetryError:
        names = ("TELEMETRY_DISABLED", "TELEMETRY_NEVER_FAIL", "TELEMETRY_DEBUG")
        disabled, never_fail, debug = (is_on(name) for name in names)
        return disabled, never_fail, debug
    return config.disabled, config.never_fail, config.debug


def _as_known_error(error: Exception) -> TelemetryError | None:
    if isinstance(error, TelemetryError):
        return error
    return from_system(error) if isinstance(error, OSError) else None


def _find_schema_fault(error: Exception, argv: list[str]) -> TelemetryError | None:
    """Return an error that names the missing table or column, if a failed look-up comes from one.

    Checked only after the failure, because a read cannot afford to check first.
    """
    if not isinstance(error, LookupError):
        return None
    from telemetry_cli.database.health import missing

    try:
        return missing(Config(**split_globals(argv)[0]))
    except TelemetryError:
        return None


def _report(error: TelemetryError) -> None:
    """Print an error and its hint on stderr; nothing if the error has no message."""
    if isinstance(error, NotDurable) and error.record:
        plain.say(error.record)
    if error.message:
        plain.say(f"telemetry: error: {error.message}")
    if error.hint:
        plain.say(f"  {error.hint}")
