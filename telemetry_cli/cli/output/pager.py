"""Show long output through the user's pager, and redraw watched output in place."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

from telemetry_cli.cli.commands.result import Listing, Record, Watched
from telemetry_cli.cli.output import drawing
from telemetry_cli.cli.output.text import printable
from telemetry_cli.core.clock import now
from telemetry_cli.core.errors import (
    DatabaseTrouble,
    Interrupted,
    InvalidInput,
    LockTimeout,
)
from telemetry_cli.database import sandbox

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
        (signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN)),
        *((number, signal.signal(number, _ended)) for number in (signal.SIGTERM, signal.SIGHUP)),
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
            signal.signal(number, action)
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


_BEGIN = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
_END = "\x1b[?25h\x1b[?1049l"
_HOME, _EMPTY_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[2K", "\x1b[J"

Seen = dict[object, object]


def follow(watched: Watched) -> None:
    """Redraw the answer every so many seconds, rows that changed since the last time marked.

    Each frame is one write over the last one, so nothing flickers; between frames no connection is open. While the database
    cannot be read the last frame stays. Ends only by `Interrupted`. Raises `InvalidInput` when stdout is no terminal that can
    be drawn upon, and whatever the first question raises.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        raise InvalidInput("--watch: stdout is no terminal; ask once, or from a loop of your own")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise InvalidInput(
            "--watch: this terminal cannot be drawn upon (TERM is dumb or not set); ask once, or from a loop of your own"
        )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        frame = _Frame(watched.seconds, watched.ask())
        sandbox.before_the_end.append(_give_back)
        sys.stdout.write(_BEGIN)
        try:
            _redraw(watched, frame)
        finally:
            sys.stdout.write(_END)
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise Interrupted("") from None


def _redraw(watched: Watched, frame: "_Frame") -> None:
    while True:
        frame.draw()
        time.sleep(watched.seconds)
        try:
            frame.take(watched.ask())
        except (DatabaseTrouble, LockTimeout) as trouble:
            frame.trouble = f"the last answer stands: {trouble.message}"


def _give_back() -> None:
    os.write(sys.stdout.fileno(), _END.encode())


def _terminated(_number: int, _frame: FrameType | None) -> None:
    error = Interrupted("")
    error.exit_code = 128 + signal.SIGTERM
    raise error


class _Frame:
    """What is on the screen: the last answer, which of its rows are new, and what stood in the way of a newer one."""

    def __init__(self, seconds: float, listing: Listing) -> None:
        self.seconds = seconds
        self.trouble = ""
        self.seen: Seen | None = None
        self.take(listing)

    def take(self, listing: Listing) -> None:
        """A new answer; rows that changed since the last one are marked."""
        rows = list(listing.rows)
        current: Seen = {row["event_id"]: _state(row) for row in rows}
        listing.rows = rows
        listing.marked = {
            key
            for key, state in current.items()
            if self.seen is not None and self.seen.get(key) != state
        }
        # Drawn now: that too may need the database.
        self.lines = "".join(drawing.draw(listing)).rstrip("\n").split("\n")
        self.notes, self.seen, self.trouble = listing.notes, current, ""

    def draw(self) -> None:
        """Write the frame over the last one. Each line is emptied before it is written: behind one that fills it, the last character would go."""
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        title = f"every {self.seconds:g} s, {now().astimezone():%H:%M:%S}; Ctrl-C ends"
        notes = [
            printable(f"telemetry: {note}")[:columns]
            for note in [*self.notes, *([self.trouble] if self.trouble else [])]
        ]
        shown = [title[:columns], "", *notes, *self.lines][: lines - 1]
        sys.stdout.write(
            _HOME + "".join(f"{_EMPTY_LINE}{line}\r\n" for line in shown) + _REST_OF_SCREEN
        )
        sys.stdout.flush()


def _state(row: Record) -> object:
    return row.get("updated_at"), row.get("status")
