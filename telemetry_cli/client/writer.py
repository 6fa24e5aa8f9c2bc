"""How the client writes: in order, within its deadline, and from memory what could not be written before.

What waits in memory is bounded. It goes to the journal with the next record, with `flush`, and at the interpreter's end; in the
relaxed mode a background thread brings it there a moment later.
"""

import atexit
import os
import sys
import threading
import time
from collections import deque
from weakref import WeakSet

from telemetry_cli import recorder
from telemetry_cli.config import Config
from telemetry_cli.journal import Operation
from telemetry_cli.recorder import Outcome

#: How many operations may wait in memory; beyond that the oldest is given up, and counted.
MOST_WAITING = 10_000
#: How many operations share a flush.
_TOGETHER = 500
#: Seconds that the background thread lets events gather, and how long it waits after a failure.
_GATHER = 0.05
_AFTER_FAILURE = 1.0

_writers: "WeakSet[Writer]" = WeakSet()


class _Entry:
    """An operation that waits, and what came of it."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.outcome: Outcome | None = None


class Writer:
    """Writes operations of one process; safe for threads, and begins anew in a forked child. `dropped` counts what memory could not hold."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.dropped = 0
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._turn = threading.Lock()
        # Reentrant: a signal handler of the host's may record something while its main thread is in here.
        self._memory = threading.RLock()
        self._waiting: deque[_Entry] = deque()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._ends_with_process = False

    @property
    def waiting(self) -> int:
        """How many operations are in memory only."""
        return len(self._waiting)

    def write(self, operation: Operation) -> Outcome:
        """Make an operation durable, behind what waits in memory, and apply it.

        When that fails it waits in memory too, and what was in the way is raised: `TimeoutError` when other threads of this
        process were, or what `recorder.record_all` raises.
        """
        deadline = time.monotonic() + self._config.lock_timeout
        entry = self._keep(operation)
        self._empty(deadline, entry)
        if entry.outcome is None:
            raise TimeoutError("more records waited than memory may hold, and this one was given up for newer ones")
        return entry.outcome

    def write_later(self, operation: Operation) -> None:
        """Leave an operation to the background thread."""
        self._keep(operation)
        self._end_with_process()
        self._wake.set()
        if self._thread is None:
            with self._turn:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
                    self._thread.start()

    def flush(self) -> None:
        """Make durable what waited in memory when this was called. Raises as `write` does."""
        self._empty(time.monotonic() + self._config.lock_timeout, None)

    def _keep(self, operation: Operation) -> "_Entry":
        entry = _Entry(operation)
        with self._memory:
            self._waiting.append(entry)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
        return entry

    def _empty(self, deadline: float, mine: "_Entry | None") -> None:
        """Write what waits, `mine` included; nothing if another thread has written that already, with its own."""
        if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TimeoutError("other threads were writing until the deadline")
        try:
            left = len(self._waiting)
            while left > 0 and not (mine and mine.outcome):
                with self._memory:
                    batch = [self._waiting.popleft() for _ in range(min(_TOGETHER, left, len(self._waiting)))]
                if not batch:
                    break
                left -= len(batch)
                try:
                    outcomes = recorder.record_all(self._config, [entry.operation for entry in batch], deadline)
                except BaseException:
                    with self._memory:
                        self._waiting.extendleft(reversed(batch))
                    raise
                for entry, outcome in zip(batch, outcomes, strict=True):
                    entry.outcome = outcome
        finally:
            self._turn.release()

    # The background thread, and the end of the process

    def _work(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(_GATHER)
            self._wake.clear()
            try:
                self._empty(time.monotonic() + self._config.lock_timeout, None)
            except Exception:
                # They wait on, and the call that waits for them, or the end of the process, says so; the thread must go on.
                time.sleep(_AFTER_FAILURE)
                self._wake.set()

    def _end_with_process(self) -> None:
        """See that what waits is written when this process ends, if it ends by itself."""
        if self._ends_with_process:
            return
        self._ends_with_process = True
        if "multiprocessing.util" in sys.modules:
            # Its children leave without the interpreter's farewell, and with one of their own.
            sys.modules["multiprocessing.util"].Finalize(None, _last_flush, (self, os.getpid()), exitpriority=10)
        atexit.register(_last_flush, self, os.getpid())


def _last_flush(writer: Writer, pid: int) -> None:
    if os.getpid() == pid:
        try:
            writer.flush()
        except Exception:  # noqa: S110 - there is nobody left to tell
            pass


def _begin_in_child() -> None:
    """What waits is the parent's to write, and its threads and whoever holds a lock stayed there."""
    for writer in _writers:
        writer._begin()


os.register_at_fork(after_in_child=_begin_in_child)
