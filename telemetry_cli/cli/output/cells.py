"""Format one value for a person: text, style, and how far it may be cut."""

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.style import Style, StyleType
from rich.table import Table
from rich.text import Text

from telemetry_cli.cli.commands.result import Record
from telemetry_cli.cli.output.text import printable
from telemetry_cli.core import clock
from telemetry_cli.core.values import encode, looks_random

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


_STATUS_STYLES = {
    "running": "cyan",
    "running, gone": "red",
    "success": "green",
    "failure": "red",
    "partial": "yellow",
    "timeout": "magenta",
    "cancelled": "dim",
}
_STATUS_STYLES |= {
    "passed": "green",
    "rejected": "red",
    "failed": "red",
    "errored": "magenta",
    "aborted": "dim",
    "skipped": "dim",
}
_SHORT_SHA = 10
#: The eighths of a character, upright for trends and lying for shares.
_UPRIGHT, _LYING = "▁▂▃▄▅▆▇█", " ▏▎▍▌▋▊▉"
_LONGEST_BAR = 8


@dataclass(frozen=True)
class Look:
    """What all cells of a page share: full times instead of ages, event ids by what is enough of them, the mark of a cut."""

    absolute: bool = False
    prefixes: Mapping[str, str] = field(default_factory=dict)
    mark: str = "…"


@dataclass(frozen=True)
class Kind:
    """A kind of value. `text` is made printable by whoever draws it, so nothing here has to.

    `least`: to how many characters it may be cut (None: never); `comfort`: of how many it is cut only when there is no other
    column left to leave out; `wraps`: what does not fit goes on in the next line.
    """

    text: Callable[[object, Record, Look], str]
    style: Callable[[object, Record], StyleType] = lambda _value, _row: ""
    right: bool = False
    least: int | None = None
    comfort: int = 0
    wraps: bool = False
    drawn: bool = False


def cell(kind: Kind, value: object, row: Record, look: Look) -> Text:
    """A value as it stands in a table; nothing where there is none."""
    if value is None and kind is not GROUP:
        return Text("")
    return Text(printable(kind.text(value, row, look)), style=kind.style(value, row))


def _plain(value: object, _row: Record, _look: Look) -> str:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return (
        value
        if isinstance(value, str)
        else encode(value)
        if isinstance(value, (dict, list, bool))
        else str(value)
    )


def _time(value: object, _row: Record, look: Look) -> str:
    return str(value) if look.absolute else age(str(value))


def _duration(value: object, row: Record, _look: Look) -> str:
    """A run that goes on has no duration yet: what has gone by until now is shown; nothing where its start is no time."""
    if row.get("status") == "running" and row.get("end_time") is None and row.get("start_time"):
        try:
            return duration(max(0, _milliseconds_since(str(row["start_time"]))))
        except (ValueError, TypeError):
            return ""
    return "" if row.get("end_time", value) is None and not value else duration(int(str(value)))


def _going_on(_value: object, row: Record) -> StyleType:
    return "dim" if row.get("status") == "running" else ""


def _event_id(value: object, _row: Record, look: Look) -> str:
    prefix = look.prefixes.get(str(value), str(value))
    return prefix if looks_random(str(value)) or prefix == value else prefix + look.mark


def _link(_value: object, row: Record) -> StyleType:
    return Style(link=printable(str(row["commit_url"]))) if row.get("commit_url") else ""


def _sparkline(value: object, _row: Record, _look: Look) -> str:
    """A bar for each count, the largest at full height; where there was nothing, a dot."""
    assert isinstance(value, list)
    most = max(value, default=1)
    return "".join(_UPRIGHT[(count * 8 - 1) // most] if count else "·" for count in value)


def _bar(value: object, _row: Record, _look: Look) -> str:
    """A bar of a share of its greatest length, in eighths of a character; never quite nothing."""
    eighths = max(1, round(float(str(value)) * _LONGEST_BAR * 8))
    return "█" * (eighths // 8) + _LYING[eighths % 8].rstrip()


#: Text of any length; a column of it gives way first.
TEXT = Kind(_plain, least=6)
#: Text that tells one row from another.
NAME = Kind(_plain, least=6, comfort=24)
#: Text that is of no use without its end, such as a path.
WHOLE = Kind(_plain, least=6, wraps=True)
#: A word that is never cut.
WORD = Kind(_plain)
NUMBER = Kind(_plain, right=True)
TIME = Kind(_time)
STATUS = Kind(_plain, lambda value, _row: _STATUS_STYLES.get(str(value), ""))
EVENT_ID = Kind(_event_id)
COMMIT = Kind(lambda value, _row, _look: str(value)[:_SHORT_SHA], _link)
COMMITS = Kind(
    lambda value, _row, _look: (
        " ".join(sha[:_SHORT_SHA] for sha in value) if isinstance(value, list) else ""
    ),
    least=_SHORT_SHA,
    wraps=True,
)
YES = Kind(
    lambda value, _row, _look: "yes" if value else "no",
    lambda value, _row: "green" if value else "red",
)
DURATION = Kind(_duration, _going_on, right=True)
MILLISECONDS = Kind(lambda value, _row, _look: duration(int(str(value))), right=True)
RATE = Kind(lambda value, _row, _look: f"{float(str(value)):.0%}", right=True)
#: What a row of figures is about; null is a group too.
GROUP = Kind(
    lambda value, row, look: "(none)" if value is None else _plain(value, row, look),
    least=6,
    comfort=32,
)
TREND = Kind(_sparkline, lambda _value, _row: "cyan", drawn=True)
SHARE = Kind(_bar, lambda _value, _row: "cyan", drawn=True)


def _milliseconds_since(stamp: str) -> int:
    return round((clock.now() - clock.parse_stamp(stamp)).total_seconds() * 1000)


def duration(milliseconds: int) -> str:
    """A duration for people: `350 ms`, `4.2 s`, `3 m 07 s`, `2 h 05 m`, `3 d 04 h`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} m {int(seconds) % 60:02} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02} m" if hours < 48 else f"{hours // 24} d {hours % 24:02} h"


def age(stamp: str) -> str:
    """A time for people, relative to now: `12 s ago`, `in 3 m`; the stamp itself when it is no time."""
    try:
        seconds = _milliseconds_since(stamp) // 1000
    except (ValueError, TypeError):
        return stamp
    size = abs(seconds)
    amount, unit = next(
        (size // factor, unit)
        for unit, factor in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
        if size >= factor or unit == "s"
    )
    return f"{amount} {unit} ago" if seconds >= 0 else f"in {amount} {unit}"
