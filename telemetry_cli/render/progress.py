"""How far long work has come: a bar on stderr with rate and time left, once a second has gone by and if a person looks on."""

import sys
import time
from typing import TYPE_CHECKING

from telemetry_cli.commands.result import Working

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE = 1.0


def follow(work: Working) -> None:
    """Take every step of the work."""
    if not (sys.stderr and sys.stderr.isatty()):
        for _ in work.steps:
            pass
        return
    begun = time.monotonic()
    shown: tuple[Progress, TaskID] | None = None
    try:
        for done, part in work.steps:
            elapsed = time.monotonic() - begun
            if shown is None and elapsed >= _PATIENCE:
                shown = _bar(work)
            if shown:
                bar, task = shown
                rate = f"{done / elapsed:,.0f} {work.things}/s"
                # The whole is known as a part only: so many things for such a part make so many in all.
                bar.update(task, completed=done, total=done / part if part else None, rate=rate)
    finally:
        if shown:
            shown[0].stop()


def _bar(work: Working) -> "tuple[Progress, TaskID]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.start()
    return bar, bar.add_task(work.doing, total=None, rate="")
