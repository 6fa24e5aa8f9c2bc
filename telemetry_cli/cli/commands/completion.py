"""Answer shell completion: the script for a shell, and the candidates for a word."""

import os

from telemetry_cli import transfer
from telemetry_cli.cli.commands.result import Written
from telemetry_cli.cli.commands.shells import SCRIPTS, words_of
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.tables import COMMANDS, FLAG, HELP, MANY, REST, VALUE
from telemetry_cli.git_hooks import HOOKS


def script(config: Config, output: str, *, shell: str) -> Written:
    """The script that teaches a shell to complete our command lines."""
    text = SCRIPTS[rules.choice("SHELL", shell, tuple(SCRIPTS))]
    return Written({"shell": shell, "script": text}, text.removesuffix("\n"), multiline=True)


def answer(argv: list[str]) -> list[str]:
    """The lines that a script reads, one per candidate: the word; for other shells than bash, a tab and its meaning.

    `argv` is SHELL [TYPED] -- WORDS…, the last of which is to be completed. bash gives its whole line as the one word,
    and as TYPED what it will replace, which is less than the word where that holds one of `@:=`.
    """

    separator = argv.index("--")
    shell, typed, words = argv[0], argv[1:separator], argv[separator + 1 :]
    if shell == "bash":
        words = words_of(words[0])[1:]
    elif shell == "powershell":
        # It leaves out empty arguments: each word is marked.
        words = [word.removeprefix("=") for word in words]
    found = candidates(words)
    if shell != "bash" or found is FILES:
        return [f"{word}\t{meaning}" if meaning else word for word, meaning in found]
    kept = len(words[-1].removesuffix(typed[0]))
    return [word[kept:] for word, _ in found] if words[-1].endswith(typed[0]) else []


#: A word and what it means, to be shown beside it.
Candidate = tuple[str, str]

#: The answer when the shell should complete file names; no candidate can look like this.
FILES: list[Candidate] = [("<files>", "")]

_GLOBALS = {"--db": "db", "--base-dir": "base_dir"}
_ROOT_FLAGS = ("--version",)
_HELP_FLAGS = ("-h", "--help")

#: What no shell acts on, in any place of a word, besides letters and digits.
_HARMLESS = frozenset("_@%+:,./-=")
#: What some shell acts on at the beginning of a word, or a program takes for an option.
_HARMLESS_INSIDE = ("=", "-", "%", "+", ":", ",")
_WIDEST_HELP = 72

#: Parameters whose values are written in the rules, or below the options that take them.
_CHOICES = {
    "status": rules.STATUSES,
    "source": rules.COMMIT_SOURCES,
    "role": rules.COMMIT_ROLES,
    "shell": tuple(SCRIPTS),
}
_NAMES = ("agent_name", "job_type")
_RUNS = ("run", "parent")
_HOOKS = ("hook", "names", "release")
#: Parameters that are files, or folders.
_PATHS = (
    "db",
    "base_dir",
    "repo",
    "script",
    "contract",
    "input_",
    "file",
    "artifact",
    "to",
    "backup",
)
_TIMES = ("today", "yesterday", "1h", "1d", "1w")
_PERIODS = (
    "since",
    "until",
    "created_after",
    "created_before",
    "start_time_from",
    "start_time_to",
    "older_than",
)


class Line:
    """A command line as far as it is written: what stands before the word to be completed."""

    def __init__(self, words: list[str]) -> None:
        self.flags: dict[str, str | None] = {"db": None, "base_dir": None}
        self.path: tuple[str, ...] = ()
        self.used: set[str] = set()
        self.positionals = 0
        #: The parameter whose value comes next.
        self.awaited: str | None = None
        self.options_ended = False
        for word in words:
            self._take(word)

    @property
    def options(self) -> dict[str, tuple[str, int]]:
        """Spelling → (parameter, kind) of the command; empty before there is one."""
        return COMMANDS[self.path][1] if self.path in COMMANDS else {}

    @property
    def is_full(self) -> bool:
        """Nothing but options can follow."""
        return self.path in COMMANDS and not self.options_ended and self.positional is None

    @property
    def positional(self) -> str | None:
        """The parameter of the next positional, or None when there is none: the last one may take all that follows."""
        known = COMMANDS[self.path][2]
        place = (
            self.positionals
            if self.positionals < len(known) or not known or known[-1][2] == VALUE
            else -1
        )
        return known[place][0] if place < len(known) else None

    @property
    def takes_rest(self) -> bool:
        """The last positional takes every word from its first on: a command and its arguments."""
        positionals = COMMANDS[self.path][2] if self.path in COMMANDS else ()
        return bool(positionals) and positionals[-1][2] == REST

    def _take(self, word: str) -> None:
        if self.awaited is not None:
            self._set_global(self.awaited, word)
            self.awaited = None
        elif word == "--" and not self.options_ended:
            self.options_ended = True
        elif word.startswith("-") and word != "-" and not self.options_ended:
            self._take_option(*word.partition("="))
        elif self.path in COMMANDS and (self.positionals or (*self.path, word) not in COMMANDS):
            self.positionals += 1
            # What follows the first word of another command is that command's.
            self.options_ended = self.options_ended or self.takes_rest
        else:
            self.path = (*self.path, word)

    def _take_option(self, name: str, equals: str, value: str) -> None:
        parameter, kind = self.parameter(name)
        self.used.add(parameter)
        if equals:
            self._set_global(parameter, value)
        elif kind != FLAG:
            self.awaited = parameter

    def parameter(self, name: str) -> tuple[str, int]:
        """The parameter that an option sets, and its kind; an unknown one is a flag without a name."""
        if not self.path and name in _GLOBALS:
            return _GLOBALS[name], MANY
        return self.options.get(name, ("", FLAG))

    def _set_global(self, parameter: str, value: str) -> None:
        if not self.path and parameter in self.flags:
            self.flags[parameter] = os.path.expandvars(value) if "$" in value else value


def candidates(words: list[str]) -> list[Candidate]:
    """What the last of `words` may become, each fit to be put on a command line as it is.

    `FILES` where it is a file's name.
    """
    line, word = Line(words[:-1]), words[-1]
    name, equals, value = word.partition("=")
    if line.awaited is not None:
        return _fit(_values(line, line.awaited, word), word)
    if line.is_full and not word:
        return _options(line)
    if line.options_ended or not word.startswith("-"):
        return _fit(_words(line, word), word)
    parameter, kind = line.parameter(name)
    if not equals:
        return [(option, help_) for option, help_ in _options(line) if option.startswith(word)]
    return (
        _fit(_values(line, parameter, value), value, name + equals)
        if name.startswith("--") and kind != FLAG
        else []
    )


def _fit(found: list[Candidate], word: str, before: str = "") -> list[Candidate]:
    """Those that begin with the word and are harmless, described in one line each; what stands `before` the word is put before them."""
    if found is FILES:
        return FILES
    return [
        (before + candidate, shown(help_))
        for candidate, help_ in found
        if candidate.startswith(word) and is_harmless(candidate)
    ]


def is_harmless(word: str) -> bool:
    """Tell whether every shell takes the word, as it stands, for the text that it is, and no program takes it for an option."""
    return (
        not word.startswith(_HARMLESS_INSIDE)
        and all(char in _HARMLESS or char.isalnum() for char in word)
        and bool(word)
    )


def shown(text: str) -> str:
    """A description on one line, short, without anything that does not print."""
    line = "".join(char if char.isprintable() else "?" for char in text)
    return line if len(line) <= _WIDEST_HELP else line[: _WIDEST_HELP - 1] + "…"


def _options(line: Line) -> list[Candidate]:
    _, helps = HELP.get(line.path, ("", {}))
    taken = [
        spelling
        for spelling, (parameter, kind) in line.options.items()
        if kind != MANY and parameter in line.used
    ]
    names = [*line.options, *_HELP_FLAGS] if line.path else [*_GLOBALS, *_ROOT_FLAGS, *_HELP_FLAGS]
    return [(name, helps.get(name, "")) for name in names if name not in taken]


def _words(line: Line, word: str) -> list[Candidate]:
    """Subcommands, or the value of the next positional."""
    if line.takes_rest:
        return FILES
    # A command may have subcommands besides: `commits`, `commits relink`.
    found = [] if line.positionals else _subcommands(line.path)
    values = (
        _values(line, line.positional, word) if line.path in COMMANDS and line.positional else []
    )
    return values if values is FILES else [*found, *values]


def _subcommands(path: tuple[str, ...]) -> list[Candidate]:
    depth = len(path)
    names = dict.fromkeys(
        command[: depth + 1]
        for command in COMMANDS
        if command[:depth] == path and len(command) > depth
    )
    return [(name[-1], HELP.get(name, ("", {}))[0]) for name in names]


def _values(line: Line, parameter: str, word: str) -> list[Candidate]:
    """What a parameter accepts, as far as that can be listed."""
    if parameter in _CHOICES:
        return [(choice, "") for choice in _CHOICES[parameter]]
    if parameter == "output":
        return [(format_, "") for format_ in COMMANDS[line.path][0].formats]
    if parameter in _PERIODS:
        return [(time, "") for time in _TIMES]
    if parameter == "format_":
        return [
            (format_, "")
            for format_ in (transfer.READ if line.path == ("import",) else transfer.WRITTEN)
        ]
    if parameter in _PATHS:
        return FILES
    if parameter == "hooks":
        before, comma, _ = word.rpartition(",")
        return [(before + comma + hook, "") for hook in HOOKS if hook not in before.split(",")]
    if parameter in ("revisions", "range_"):
        return _revisions(word)
    if parameter in ("sort", "by", "columns"):
        return _fields(parameter, word)
    if parameter in _NAMES:
        from telemetry_cli.cli.commands.completion_runs import Recall

        return [(name, "") for name in Recall(**line.flags).names(parameter)]
    if parameter in _HOOKS or parameter == "slug":
        from telemetry_cli.cli.commands.completion_runs import Recall

        recall = Recall(**line.flags)
        return [(name, "") for name in (recall.slugs() if parameter == "slug" else recall.hooks())]
    return _references(line, word) if parameter in _RUNS else []


def _fields(parameter: str, word: str) -> list[Candidate]:
    """Columns; for --columns a list, of which the last name is completed and none is offered twice."""
    from telemetry_cli.cli.commands.rows import RUN_COLUMNS
    from telemetry_cli.database import runs

    if parameter == "columns":
        before, comma, _ = word.rpartition(",")
        return [
            (before + comma + name, "") for name in RUN_COLUMNS if name not in before.split(",")
        ]

    return [(name, "") for name in (*(("day", "hour") if parameter == "by" else ()), *runs.COLUMNS)]


def _revisions(word: str) -> list[Candidate]:
    """Branches and tags, also as the other end of a range."""
    from telemetry_cli.discovery.git import repository as git

    repository = git.find(None)
    listed = (
        repository.ask(
            "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes"
        )
        if repository
        else None
    )
    before, dots, _ = word.rpartition("..")
    return [(before + dots + name, "") for name in (listed or b"").decode(errors="replace").split()]


def _references(line: Line, word: str) -> list[Candidate]:
    """RUN: the current one, the last one, the last of an agent, event ids newest first."""

    current = os.environ.get("TELEMETRY_EVENT_ID", "")
    found = [("@current", current)] if current else []
    from telemetry_cli.cli.commands.completion_runs import Recall

    recall = Recall(**line.flags)
    if word.startswith("@"):
        names = recall.names("agent_name")
        last = [("@last", "the newest run")] if names else []
        return [*found, *last, *((f"@last:{name}", f"the newest run of {name}") for name in names)]
    newest = recall.runs(word)
    last = [("@last", newest[0][1])] if newest and not word else []
    return [*found, *last, *newest]
