"""Long output through the user's pager, as git does it: only on a terminal, and only when it is longer than the screen."""

import os
import sys

# `signal` itself imports enum.
from _signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, signal  # type: ignore[import-not-found]
from collections.abc import Callable, Iterator
from types import FrameType

from telemetry_cli.core.errors import Interrupted

_SHELL = "/bin/sh"
#: What a shell exits with that found no program to run.
_NOT_STARTED = (126, 127)
#: A pager that took more than a pipe holds has started.
_PIPE_HOLDS = 1 << 20


def through(chunks: Iterator[str], put: Callable[[str], None]) -> None:
    """Write the chunks with `put`; once they are longer than the screen, into the pager instead.

    The pager is `$PAGER` (empty or `cat`: none), else less. Leaving it early ends the output, and is no error. Where it
    cannot be started, its text is written with `put`.
    """
    command = os.environ.get("PAGER", "less").strip()
    held = ""
    if command not in ("", "cat") and os.environ.get("TERM") != "dumb":
        screen = os.get_terminal_size(sys.stdout.fileno())
        for chunk in chunks:
            held += chunk
            if (
                sum(
                    1 + max(0, len(line) - 1) // (screen.columns or 80)
                    for line in held.splitlines()
                )
                >= screen.lines
            ):
                unseen = _paged(command, held, chunks)
                if unseen is None:
                    return
                held = unseen
                break
    put(held)
    for chunk in chunks:
        put(chunk)


def _paged(command: str, held: str, chunks: Iterator[str]) -> str | None:
    """Feed the pager. Returns None once it has ended; of one that did not start, what it was given and nobody has seen."""
    reading, writing = os.pipe()
    # What git gives less: end at once if all fits, pass colours on, leave the text on the screen.
    environment = {"LESS": "FRX", **os.environ}
    # Ctrl-C is the pager's: ending before it would leave the terminal in a state that nobody puts right.
    before = [
        (SIGINT, signal(SIGINT, SIG_IGN)),
        *((number, signal(number, _ended)) for number in (SIGTERM, SIGHUP)),
    ]
    pid = os.posix_spawn(
        _SHELL,
        [_SHELL, "-c", command],
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)],
        setsigdef=[number for number, _ in before],
    )
    os.close(reading)
    given: list[str] = []
    size = 0
    try:
        chunk: str | None = held
        # Not by a generator of our own: leaving that would close the chunks, and what is left of them may still be needed.
        while chunk is not None:
            if size < _PIPE_HOLDS:
                given.append(chunk)
                size += len(chunk)
            _write(writing, _without_links(chunk).encode(sys.stdout.encoding, "backslashreplace"))
            chunk = next(chunks, None)
    except BrokenPipeError:
        pass
    finally:
        os.close(writing)
        _, status = os.waitpid(pid, 0)
        for number, action in before:
            signal(number, action)
    return "".join(given) if os.waitstatus_to_exitcode(status) in _NOT_STARTED else None


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _without_links(text: str) -> str:
    """The text without hyperlinks: older pagers show what they are made of."""
    if "\x1b]8;" not in text:
        return text
    import re

    return re.sub("\x1b\\]8;[^\x1b]*\x1b\\\\", "", text)


def _ended(number: int, _frame: FrameType | None) -> None:
    """Told to end: no more is written, but the pager is waited for, which has the terminal."""
    error = Interrupted("")
    error.exit_code = 128 + number
    raise error
