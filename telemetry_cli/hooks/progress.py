"""How far hooks have come, on stderr, for a person who waits."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

#: From so many subjects on, one hook alone is worth a bar.
MANY_SUBJECTS = 100


class Shown:
    """A line per hook while it runs: its rows against the subjects. Nothing at all where stderr is no terminal, or there is little to wait for."""

    def __init__(self, hooks: int, subjects: int) -> None:
        self._subjects = subjects
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        if (
            (hooks > 1 or subjects >= MANY_SUBJECTS)
            and sys.stderr is not None
            and sys.stderr.isatty()
        ):
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("rows"),
                TimeElapsedColumn(),
            )
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> "Shown":
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
