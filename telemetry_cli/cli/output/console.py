"""The terminal as rich sees it: how wide it is, which colours and characters it has."""

import io
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

Part = Table | Text

_WIDEST = 10_000
_TO_A_PIPE = 120


class _Memory(io.StringIO):
    """Text in memory that has stdout's encoding, by which rich picks the lines that it draws."""

    encoding = property(lambda _: sys.stdout.encoding or "ascii")


def console(*, uncut: bool) -> Console:
    """A console that draws into memory, with the width and colours of stdout (NO_COLOR and FORCE_COLOR respected).

    To a pipe nothing has to fit; tables are still kept readable, unless `uncut` wants every value to its end.
    """
    stdout = Console()
    return Console(
        file=_Memory(),
        width=stdout.width
        if sys.stdout.isatty()
        else _WIDEST
        if uncut
        else max(stdout.width, _TO_A_PIPE),
        force_terminal=stdout.is_terminal,
        no_color=stdout.no_color,
        # rich names the system it found by a word that its own parameter types do not list.
        color_system=stdout.color_system if stdout.is_terminal else None,  # type: ignore[arg-type]
        markup=False,
        highlight=False,
        emoji=False,
    )


def drawn(on: Console, part: Part) -> str:
    """A part as text."""
    on.print(part)
    assert isinstance(on.file, _Memory)
    text = on.file.getvalue()
    on.file.seek(0)
    on.file.truncate()
    return text


def can_say(characters: str) -> bool:
    """Tell whether stdout's encoding has these characters."""
    try:
        characters.encode(sys.stdout.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def cut_mark() -> str:
    """What ends a text that is cut."""
    return "…" if can_say("…") else "~"
