"""The door: argv to a call (by the fast table, else by Typer), the call to a result, every error to its exit code."""

import os
import sys
from collections.abc import Sequence

from telemetry_cli.cli._fast import (
    COMMANDS,
    FLAG,
    MANY,
    REST,
    VALUE,
)
from telemetry_cli.cli.commands.result import HandedBack, Handler, Written
from telemetry_cli.cli.output import plain
from telemetry_cli.core.config import Config, is_on
from telemetry_cli.core.errors import (
    InvalidInput,
    NotDurable,
    OutputLost,
    TelemetryError,
    from_system,
)
from telemetry_cli.redaction.redactor import hide

_GLOBAL_OPTIONS = {"--db": "db", "--base-dir": "base_dir"}

_LONGEST_PATH = 2
_HELP = {"--help", "-h"}

#: How the scripts in completions/ call the program.
_COMPLETE = "_complete"
#: What git calls: nothing may be said, and nothing may fail.
_FIRE = ("git-hooks", "fire")

Path = tuple[str, ...]
Call = tuple[str, dict[str, object]]
Globals = dict[str, str | None]


def main() -> int:
    """Run the program on `sys.argv` and return its exit code; -N where it must end by signal N."""
    plain.prepare_streams()
    argv = sys.argv[1:]
    if sys.getfilesystemencoding() != "utf-8":
        argv = [os.fsencode(word).decode(errors="surrogateescape") for word in argv]
    if argv[:1] == [_COMPLETE]:
        return _complete(argv[1:])
    if addressed(argv)[0] == _FIRE and not _HELP.intersection(argv):
        return _fire(argv)
    try:
        return _run(argv)
    except Exception as error:
        return _failed(error, argv)


def _complete(argv: list[str]) -> int:
    """Answer a shell that completes a line. There is always an answer, if an empty one: nobody would read an error."""
    try:
        from telemetry_cli.cli.commands.completion import answer

        plain.show_words(answer(argv, _load))
    except Exception:  # noqa: S110 - a line being typed is no place for an error; the shell offers nothing then
        pass
    return 0


def _fire(argv: list[str]) -> int:
    """Do what a git hook does. Whatever is wrong, the commit must not notice."""
    try:
        global_options, words = _leading_globals(argv)
        config = Config(**global_options)
        if not config.disabled:
            hide(config.redact_rules)
            hook, *arguments = words[len(_FIRE) :] or [""]
            _load("fire:fire")(config, "text", hook=hook, arguments=arguments)
    except Exception:  # noqa: S110 - git would show what is said here to whoever commits
        pass
    return 0


def _run(argv: list[str]) -> int:
    path, records = addressed(argv)
    if records and is_on("TELEMETRY_DISABLED") and not _HELP.intersection(argv):
        return 0
    parsed = parse(argv, path) or _parse_with_typer(argv)
    if isinstance(parsed, int):
        return parsed
    (name, params), global_options = parsed
    handler = _load(name)
    config = _config(global_options, needed=not handler.wraps)
    if config and config.disabled and handler.is_write(params):
        return 0
    for warning in config.warnings if config else ():
        plain.say(f"telemetry: warning: {warning}")
    result = plain.settle(handler(config, output := _output(handler.formats, params), **params))
    for note in result.notes:
        plain.say(note if isinstance(note, HandedBack) else f"telemetry: {note}")
    if handler.wraps and isinstance(result, Written):
        return result.code
    try:
        plain.show(result, output)
    except OutputLost:
        # What was done is done, whether anybody reads of it or not.
        if not records:
            raise
    return result.code


def _config(global_options: Globals, *, needed: bool) -> Config | None:
    """The settings; None where environment or file are wrong and they are not `needed`."""
    try:
        config = Config(**global_options)
    except TelemetryError as error:
        if needed or not _is_wrong_without(global_options):
            raise
        _report(error)
        return None
    hide(config.redact_rules)
    return config


def _is_wrong_without(global_options: Globals) -> bool:
    """Tell whether the settings are wrong without the options on the command line too."""
    try:
        Config(**dict.fromkeys(global_options))
    except TelemetryError:
        return True
    return False


def _load(name: str) -> Handler:
    module, _, function = name.partition(":")
    # Not importlib, which is another import.
    handler: Handler = getattr(
        __import__("telemetry_cli.cli.commands." + module, fromlist=(function,)), function
    )
    return handler


# From argv to a call


def addressed(argv: list[str]) -> tuple[Path, bool]:
    """The command that argv names, empty when it names none, and whether that command records something."""
    path: Path = ()
    rest = iter(argv)
    for word in rest:
        if word in _GLOBAL_OPTIONS:
            next(rest, None)
        elif not word.startswith("-"):
            path = (*path, word)
            if path in COMMANDS:
                longer = (*path, next(rest, ""))
                path = longer if longer in COMMANDS else path
                return path, COMMANDS[path][4]
            if len(path) == _LONGEST_PATH:
                break
    return (), False


def parse(argv: list[str], path: Path) -> tuple[Call, Globals] | None:
    """The call that argv means, if it is written in the plain grammar; None for anything else, which Typer can explain.

    `--x V`, `--x=V`, `-o V`, flags, positionals, `--`, and the global options before the command.
    """
    global_options, rest = _leading_globals(argv)
    if not path or tuple(rest[: len(path)]) != path:
        return None
    handler, options, positionals, defaults, _ = COMMANDS[path]
    parsed = _options_and_words(
        rest[len(path) :], options, bool(positionals) and positionals[-1][2] == REST
    )
    if parsed is None:
        return None
    params, words = parsed
    if any(required for _, required, _ in positionals[len(words) :]):
        return None
    for name, _, kind in positionals:
        if words:
            params[name], words = (words[0], words[1:]) if kind == VALUE else (words, [])
    return None if words else ((handler, defaults | params), global_options)


def _leading_globals(argv: list[str]) -> tuple[Globals, list[str]]:
    """The global options that argv begins with, and what follows them."""
    found: Globals = {"db": None, "base_dir": None}
    index = 0
    while index < len(argv):
        name, equals, value = argv[index].partition("=")
        if name not in _GLOBAL_OPTIONS or (not equals and index + 1 == len(argv)):
            break
        found[_GLOBAL_OPTIONS[name]] = value if equals else argv[index + 1]
        index += 1 if equals else 2
    return found, argv[index:]


def _options_and_words(
    argv: list[str], options: dict[str, tuple[str, int]], takes_rest: bool
) -> tuple[dict[str, object], list[str]] | None:
    """The parameters that options set, and the positionals; None when a word is not in the plain grammar.

    Where one takes the rest, no option comes behind the first of them.
    """
    params: dict[str, object] = {}
    repeated: dict[str, list[str]] = {}
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            words.extend(rest)
        elif word == "-" or not word.startswith("-"):
            words.append(word)
            if takes_rest:
                words.extend(rest)
        else:
            name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
            parameter, kind = options.get(name, ("", FLAG))
            if not parameter or (equals and kind == FLAG):
                return None
            if kind == FLAG:
                params[parameter] = True
                continue
            given = value if equals else next(rest, None)
            if given is None:
                return None
            if kind == MANY:
                repeated.setdefault(parameter, []).append(given)
            else:
                params[parameter] = given
    return params | repeated, words


def _parse_with_typer(argv: list[str]) -> tuple[Call, Globals] | int:
    """The call that argv means; or an exit code, when help or the version was printed instead."""
    from telemetry_cli.cli.app import UsageError
    from telemetry_cli.cli.app import parse as parse_slowly

    try:
        return parse_slowly(argv)
    except OSError as error:
        raise OutputLost(f"stdout cannot be written: {error.strerror}") from None
    except UsageError as error:
        words = " ".join(["telemetry", *addressed(argv)[0]])
        raise InvalidInput(str(error), f"See: {words} --help") from None


def _output(formats: Sequence[str], params: dict[str, object]) -> str:
    """The format that `-o` or `--json` asks for, the command's default without them."""
    if not formats:
        return ""
    named, json = params.pop("output"), params.pop("json")
    if named is not None and named not in formats:
        raise InvalidInput(f"--output: {named!r} is not accepted; give one of {', '.join(formats)}")
    if json and named not in (None, "json"):
        raise InvalidInput(f"--json: --output {named} is given too; give one of them")
    return "json" if json else str(named) if named is not None else formats[0]


# From an error to its exit code


def _failed(error: Exception, argv: list[str]) -> int:
    disabled, never_fail, debug = _wishes(argv)
    if debug and not isinstance(error, OutputLost):
        import traceback

        plain.say(traceback.format_exc())
    known = _known(error) or _of_schema(error, argv)
    if known is None:
        from telemetry_cli.cli.output.report import write_report

        known = TelemetryError(
            f"telemetry met a defect in itself ({type(error).__name__})",
            f"A report is in {write_report(error)}; please file it.",
        )
    records = addressed(argv)[1]
    if records and disabled:
        return 0
    _report(known)
    return 0 if records and never_fail else known.exit_code


def _wishes(argv: list[str]) -> tuple[bool, bool, bool]:
    """What the settings say of errors: (disabled, never fail, debug); the environment alone, where the settings are what is wrong."""
    try:
        config = Config(**_leading_globals(argv)[0])
    except TelemetryError:
        return is_on("TELEMETRY_DISABLED"), is_on("TELEMETRY_NEVER_FAIL"), is_on("TELEMETRY_DEBUG")
    return config.disabled, config.never_fail, config.debug


def _known(error: Exception) -> TelemetryError | None:
    if isinstance(error, TelemetryError):
        return error
    return from_system(error) if isinstance(error, OSError) else None


def _of_schema(error: Exception, argv: list[str]) -> TelemetryError | None:
    """What is wrong with the tables, where a column that was to be read is not there. Asked only now: a read has no time to ask first."""
    if not isinstance(error, LookupError):
        return None
    from telemetry_cli.database.health import missing

    try:
        return missing(Config(**_leading_globals(argv)[0]))
    except TelemetryError:
        return None


def _report(error: TelemetryError) -> None:
    """Say on stderr what happened and what to do. An error without a message has said it already."""
    if isinstance(error, NotDurable) and error.record:
        plain.say(error.record)
    if error.message:
        plain.say(f"telemetry: error: {error.message}")
    if error.hint:
        plain.say(f"  {error.hint}")
