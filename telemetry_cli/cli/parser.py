"""Parse command lines of the plain grammar with the generated tables, without importing Typer.

The plain grammar: `--x V`, `--x=V`, `-o V`, flags, positionals, `--`, and global options before the
command. Everything else (help, mistakes, abbreviations) is left to Typer, which can explain it.
"""

from telemetry_cli.core.tables import COMMANDS, FLAG, MANY, REST, VALUE, Command, Options, Path

#: A command and its parsed parameters by name.
Call = tuple[Command, dict[str, object]]
Globals = dict[str, str | None]

_GLOBAL_OPTIONS = {"--db": "db", "--base-dir": "base_dir"}
_LONGEST_PATH = 2


def find_command(argv: list[str]) -> Path:
    """Return the path of the command that `argv` names; empty if it names none."""
    path: Path = ()
    rest = iter(argv)
    for word in rest:
        if word in _GLOBAL_OPTIONS:
            next(rest, None)
        elif not word.startswith("-"):
            path = (*path, word)
            if path in COMMANDS:
                longer = (*path, next(rest, ""))
                return longer if longer in COMMANDS else path
            if len(path) == _LONGEST_PATH:
                break
    return ()


def parse(argv: list[str], path: Path) -> tuple[Call, Globals] | None:
    """Return the call of the command at `path` and the global options; None if Typer must parse."""
    global_options, rest = split_globals(argv)
    if not path or tuple(rest[: len(path)]) != path:
        return None
    command, options, positionals, defaults = COMMANDS[path]
    takes_rest = bool(positionals) and positionals[-1][2] == REST
    parsed = _parse_words(rest[len(path) :], options, takes_rest)
    if parsed is None:
        return None
    params, words = parsed
    if any(required for _, required, _ in positionals[len(words) :]):
        return None
    for name, _, kind in positionals:
        if words:
            params[name], words = (words[0], words[1:]) if kind == VALUE else (words, [])
    return None if words else ((command, defaults | params), global_options)


def split_globals(argv: list[str]) -> tuple[Globals, list[str]]:
    """Return the global options at the beginning of `argv`, and the words after them."""
    found: Globals = {"db": None, "base_dir": None}
    index = 0
    while index < len(argv):
        name, equals, value = argv[index].partition("=")
        if name not in _GLOBAL_OPTIONS or (not equals and index + 1 == len(argv)):
            break
        found[_GLOBAL_OPTIONS[name]] = value if equals else argv[index + 1]
        index += 1 if equals else 2
    return found, argv[index:]


def _parse_words(
    argv: list[str], options: Options, takes_rest: bool
) -> tuple[dict[str, object], list[str]] | None:
    """Return the parameters that options set, and the positionals; None if Typer must parse.

    With `takes_rest` every word after the first positional is a positional too.
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
