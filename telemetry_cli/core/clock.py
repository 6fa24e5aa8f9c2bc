"""The clock, and the ids that are made from it."""

import os
import time
from datetime import UTC, datetime


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A time as it is stored: UTC, ISO 8601, milliseconds, `Z`. Sorts as text."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_stamp(text: str) -> datetime:
    """The inverse of `stamp`."""
    return datetime.fromisoformat(text)


def milliseconds_between(start: str, end: str) -> int:
    """Return the milliseconds from one stored time to another, at least 0."""
    return max(0, round((parse_stamp(end) - parse_stamp(start)).total_seconds() * 1000))


def new_event_id() -> str:
    """A random (version 4) UUID."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) % 4]}{digits[17:20]}-{digits[20:]}"


class _OpIds:
    """Makes ids that sort in the order in which one process asks for them, also within a millisecond or when the clock steps back."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> str:
        """32 hex digits that begin with the time, so that the index of results grows at its end."""
        self._last = max(time.time_ns() // 1_000_000 << 16, self._last + 1)
        return f"{self._last:016x}{os.urandom(8).hex()}"


new_op_id = _OpIds()


def new_run_id(moment: datetime, agent_name: str) -> str:
    """`{YYYYMMDD}T{HHMMSS}Z-{agent}-{8 hex}`."""
    agent = "".join("-" if char in "/\\" or not char.isprintable() else char for char in agent_name)
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{agent}-{os.urandom(4).hex()}"
