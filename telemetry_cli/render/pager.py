"""Long output through the user's pager, as git does it: only on a terminal, and only when it is longer than the screen."""

import os
import sys
from _signal import SIG_IGN, SIGINT, signal  # type: ignore[import-not-found]  # `signal` itself imports enum
from collections.abc import Callable, Iterator

_SHELL = "/bin/sh"


def through(chunks: Iterator[str], put: Callable[[str], None]) -> None:
    """Write the chunks with `put`; once they are longer than the screen, into the pager instead.

    The pager is `$PAGER` (empty or `cat`: none), else less. Leaving it early ends the output, and is no error.
    """
    command = _command() if sys.stdin and sys.stdin.isatty() and sys.stdout.isatty() else None
    rows = os.get_terminal_size(sys.stdout.fileno()).lines if command else 0
    held = ""
    while command and held.count("\n") < rows:
        chunk = next(chunks, None)
        if chunk is None:
            command = None
        else:
            held += chunk
    if command:
        _page(command, held, chunks)
        return
    put(held)
    for chunk in chunks:
        put(chunk)


def _command() -> str | None:
    """The pager as a shell command, or None where there is none to be had."""
    command = os.environ.get("PAGER", "less").strip()
    if command in ("", "cat") or os.environ.get("TERM") == "dumb":
        return None
    program = command.split()[0]
    folders = [""] if "/" in program else os.environ.get("PATH", os.defpath).split(os.pathsep)
    return command if any(os.access(os.path.join(folder, program), os.X_OK) for folder in folders) else None


def _page(command: str, held: str, chunks: Iterator[str]) -> None:
    reading, writing = os.pipe()
    # What git gives less: end at once if all fits, pass colours on, leave the text on the screen.
    environment = {"LESS": "FRX", **os.environ}
    pid = os.posix_spawn(_SHELL, [_SHELL, "-c", command], environment, file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)])
    os.close(reading)
    # Ctrl-C is the pager's: ending before it would leave the terminal in a state that nobody puts right.
    before = signal(SIGINT, SIG_IGN)
    try:
        with open(writing, "w", encoding=sys.stdout.encoding, errors="backslashreplace") as pipe:
            pipe.write(held)
            for chunk in chunks:
                pipe.write(chunk)
    except BrokenPipeError:
        pass
    finally:
        os.waitpid(pid, 0)
        signal(SIGINT, before)
