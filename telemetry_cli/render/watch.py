"""An answer that is asked again and again and redrawn in place, until Ctrl-C."""

import os
import signal
import sys
import time
from types import FrameType

from telemetry_cli.clock import now
from telemetry_cli.commands.result import Record, Watched
from telemetry_cli.errors import Interrupted, InvalidInput
from telemetry_cli.render import tables
from telemetry_cli.render.text import printable

_BEGIN = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
_END = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"

Seen = dict[object, object]


def follow(watched: Watched) -> None:
    """Redraw the answer every so many seconds, rows that changed since the last time marked.

    Each frame is one write over the last one, so nothing flickers; between frames no connection is open. Ends only by
    `Interrupted`. Raises `InvalidInput` when stdout is no terminal.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        raise InvalidInput("--watch: stdout is no terminal; ask once, or from a loop of your own")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    seen: Seen | None = None
    try:
        sys.stdout.write(_BEGIN)
        while True:
            seen = _draw(watched, seen)
            time.sleep(watched.seconds)
    except KeyboardInterrupt:
        raise Interrupted("") from None
    finally:
        sys.stdout.write(_END)
        sys.stdout.flush()


def _terminated(_number: int, _frame: FrameType | None) -> None:
    error = Interrupted("")
    error.exit_code = 128 + signal.SIGTERM
    raise error


def _draw(watched: Watched, seen: Seen | None) -> Seen:
    """Draw one frame, and return what it showed of each run."""
    listing = watched.ask()
    rows = list(listing.rows)
    current: Seen = {row["event_id"]: _state(row) for row in rows}
    listing.rows = rows
    listing.marked = {key for key, state in current.items() if seen is not None and seen.get(key) != state}
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    title = f"every {watched.seconds:g} s, {now().astimezone():%H:%M:%S}; Ctrl-C ends"
    notes = [printable(f"telemetry: {note}")[:columns] for note in listing.notes]
    shown = [title[:columns], "", *notes, *"".join(tables.draw(listing)).rstrip("\n").split("\n")][: lines - 1]
    sys.stdout.write(_HOME + "".join(f"{line}{_REST_OF_LINE}\n" for line in shown) + _REST_OF_SCREEN)
    sys.stdout.flush()
    return current


def _state(row: Record) -> object:
    return row.get("updated_at"), row.get("status")
