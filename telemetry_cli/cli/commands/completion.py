"""Shell completion: the script for a shell, and the answer to what the script asks."""

from telemetry_cli.cli.commands.result import Written
from telemetry_cli.cli.commands.shells import SCRIPTS, words_of
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config


def script(config: Config, output: str, *, shell: str) -> Written:
    """The script that teaches a shell to complete our command lines."""
    text = SCRIPTS[rules.choice("SHELL", shell, tuple(SCRIPTS))]
    return Written({"shell": shell, "script": text}, text.removesuffix("\n"), multiline=True)


def answer(argv: list[str]) -> list[str]:
    """The lines that a script reads, one per candidate: the word; for other shells than bash, a tab and its meaning.

    `argv` is SHELL [TYPED] -- WORDS…, the last of which is to be completed. bash gives its whole line as the one word,
    and as TYPED what it will replace, which is less than the word where that holds one of `@:=`.
    """
    from telemetry_cli.cli.commands.completion_values import FILES, candidates

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
