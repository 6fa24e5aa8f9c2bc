"""Progress bars on stderr, for a person who looks on: of long work, and of hooks that run."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from telemetry_cli.cli.commands.result import Working

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

_PATIENCE = 1.0
_WIDTH = 24
#: From so many subjects on, one hook alone is worth a bar.
MANY_SUBJECTS = 100


def _is_seen() -> bool:
    return bool(sys.stderr and sys.stderr.isatty())


def _make_progress(*columns: "ProgressColumn") -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), transient=True)


def follow(work: Working) -> None:
    """Take every step of the work; after a second, show its rate and the time left."""
    is_seen = _is_seen()
    bar = None
    try:
        for done, part in work.steps:
            if is_seen:
                # Not before the work has begun: what it forks, it forks then, and the bar brings threads.
                bar = bar or _Bar(work)
                bar.show(done, part)
    finally:
        if bar:
            bar.end()


class _Bar:
    """A bar that a thread draws, so that it appears in time even if the work waits for its next step."""

    def __init__(self, work: Working) -> None:
        from threading import Timer

        self._work = work
        self._begun = time.monotonic()
        self._done = 0
        self._part: float | None = None
        self._drawn: Progress | None = None
        self._timer: Timer | None = Timer(_PATIENCE, self._appear)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:
            self._timer = None  # No thread may be started here: the work goes on without a bar.

    def show(self, done: int, part: float | None) -> None:
        """Tell how far the work has come: how many things, and which part of the whole (0 to 1; None: nobody knows)."""
        self._done, self._part = done, part
        if self._drawn:
            self._update(self._drawn)

    def end(self) -> None:
        """Take it away, or see that it does not appear."""
        if self._timer:
            self._timer.cancel()
            self._timer.join()
        if self._drawn:
            self._drawn.stop()

    def _appear(self) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

        bar = _make_progress(
            TextColumn("{task.description}"),
            BarColumn(_WIDTH),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        bar.add_task(self._work.doing, total=None, rate="")
        # Known first, then drawn: so nothing is missed that is told meanwhile.
        self._drawn = bar
        self._update(bar)
        try:
            bar.start()
        except RuntimeError:
            self._drawn = None  # Its own thread could not be started.

    def _update(self, bar: "Progress") -> None:
        done, part = self._done, self._part
        rate = f"{done:,} {self._work.things}, {done / max(time.monotonic() - self._begun, 0.001):,.0f}/s"
        # The whole is known as a part only: so many things for such a part make so many in all.
        bar.update(bar.task_ids[0], completed=done, total=done / part if part else None, rate=rate)


class HookProgress:
    """A line per hook while it runs: its rows against the subjects. Nothing where there is little to wait for."""

    def __init__(self, hooks: int, subjects: int) -> None:
        self._subjects = subjects
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        if (hooks > 1 or subjects >= MANY_SUBJECTS) and _is_seen():
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            self._progress = _make_progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("rows"),
                TimeElapsedColumn(),
            )

    def __enter__(self) -> "HookProgress":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._progress:
            self._progress.stop()

    def next(self, hook: str) -> None:
        """Another hook begins."""
        if self._progress:
            self._task = self._progress.add_task(hook, total=self._subjects)

    def beat(self, rows: int) -> None:
        """So many rows so far."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=rows)
