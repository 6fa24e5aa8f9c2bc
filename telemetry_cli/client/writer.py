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
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakSet

from telemetry_cli.client.waiting import Entry, Waits
from telemetry_cli.core.config import Config
from telemetry_cli.journal.operations import Operation, Outcome
from telemetry_cli.store import Store

#: How many operations may wait in memory; beyond that the oldest is given up, and counted.
MOST_WAITING = 10_000
#: How many operations share a flush.
_TOGETHER = 500
#: Seconds that the background thread lets events gather, and how long it waits after a failure.
_GATHER = 0.05
_AFTER_FAILURE = 1.0

_writers: "WeakSet[Writer]" = WeakSet()
#: Those that have something to write before this process ends, and are kept until they have.
_owing: "set[Writer]" = set()
#: Set as the last flush begins.
_ending = threading.Event()


class Writer:
    """Writes operations of one process; safe for threads and signal handlers, and begins anew in a forked child.

    `dropped` counts what memory could not hold. `told` gets each outcome that no caller waits for.
    """

    def __init__(self, config: Config, told: Callable[[Outcome], None]) -> None:
        self._config = config
        self._told = told
        self.dropped = 0
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._turn = threading.Lock()
        #: The thread whose turn it is: a signal handler that interrupts it must not wait for it.
        self._owner = 0
        # Reentrant: a signal handler of the host's may record something while its main thread is in here.
        self._memory = threading.RLock()
        self._waiting: deque[Entry] = deque()
        # What wakes the background thread while there is one: True to write, False to end. Reentrant too, as an Event is not.
        self._wake: SimpleQueue[bool] | None = None
        self._thread: threading.Thread | None = None
        self._ends_with_process = False
        self._farewell: Any = None
        #: Whether the locks are those of the one thread that is left as the interpreter ends.
        self._alone = False

    @property
    def waiting(self) -> int:
        """How many operations are in memory only."""
        return len(self._waiting)

    def write(self, operation: Operation, deadline: float) -> Outcome:
        """Make an operation durable, behind what waits in memory, and apply it, until `deadline` (monotonic seconds).

        Raises `Waits` when it waits in memory too: its trouble is a `TimeoutError` when other threads of this process were in the
        way, or what `Store.record_all` raises. Raises `TimeoutError` when it was given up for newer ones.
        """
        self._is_over()
        entry = self._keep(operation, awaited=True)
        try:
            self._empty(deadline, entry)
        except BaseException as error:
            entry.awaited = False
            self._end_with_process()
            if self._owner == threading.get_ident() and not self._is_over():
                self._hand_over()
            with self._memory:
                kept = entry in self._waiting
            if isinstance(error, Exception) and kept:
                raise Waits(error) from error
            raise
        if entry.outcome is None:
            raise TimeoutError(
                "more records waited than memory may hold, and this one was given up for newer ones"
            )
        return entry.outcome

    def write_later(self, operation: Operation) -> bool:
        """Leave an operation to the background thread, and wait for nothing. False once there can be none: the caller is to `write` it."""
        if self._is_over():
            return False
        with self._memory:
            # Asked again in here, so that the last flush finds whatever was taken.
            if self._is_over():
                return False
            self._keep(operation, awaited=False)
            self._end_with_process()
        self._hand_over()
        return True

    def flush(self, deadline: float) -> None:
        """Make durable what waited in memory when this was called. Raises as `Store.record_all` does, and `TimeoutError`."""
        self._is_over()
        try:
            self._empty(deadline, None)
        except BaseException:
            self._end_with_process()
            raise

    def close(self, deadline: float) -> None:
        """Flush, and let go of the background thread and, once nothing waits, of the end of the process. Raises as `flush` does."""
        try:
            self.flush(deadline)
        finally:
            with self._memory:
                wake, thread, self._wake, self._thread = self._wake, self._thread, None, None
            if wake and thread:
                wake.put(False)
                if thread is not threading.current_thread():
                    thread.join(max(0.0, deadline - time.monotonic()))
            if not self._waiting:
                self._leave_process()

    def _keep(self, operation: Operation, *, awaited: bool) -> "Entry":
        entry = Entry(operation, awaited=awaited)
        with self._memory:
            self._waiting.append(entry)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
        return entry

    def _empty(self, deadline: float, mine: "Entry | None") -> None:
        """Write what waits, `mine` included; nothing if another thread has written that already, with its own."""
        if self._owner == threading.get_ident():
            raise TimeoutError("what was interrupted for this is writing itself")
        if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TimeoutError("other threads were writing until the deadline")
        try:
            self._owner = threading.get_ident()
            with self._memory:
                left = len(self._waiting)
            while left > 0 and not (mine and mine.outcome):
                with self._memory:
                    batch = [
                        self._waiting.popleft()
                        for _ in range(min(_TOGETHER, left, len(self._waiting)))
                    ]
                if not batch:
                    break
                left -= len(batch)
                try:
                    outcomes = Store(self._config).record_all(
                        [entry.operation for entry in batch], deadline
                    )
                except BaseException:
                    with self._memory:
                        self._waiting.extendleft(reversed(batch))
                    raise
                for entry, outcome in zip(batch, outcomes, strict=True):
                    entry.outcome = outcome
                    if not entry.awaited:
                        self._told(outcome)
        finally:
            self._owner = 0
            self._turn.release()

    # The background thread, and the end of the process

    def _is_over(self) -> bool:
        """Tell whether the last flush has begun, so that each call must write by itself; to be asked before any lock is taken."""
        if not sys.is_finalizing():
            util = sys.modules.get("multiprocessing.util")
            return _ending.is_set() or (util is not None and util.is_exiting())
        if not self._alone:
            # Every other thread has been stopped where it was, and a lock that it held will never be released. One that were started now
            # would never run, and `Thread.start` of Python 3.11 waits for that.
            self._turn, self._memory, self._alone = threading.Lock(), threading.RLock(), True
        return True

    def _hand_over(self) -> None:
        """Wake the background thread, and start it where there is none."""
        with self._memory:
            if self._wake is None:
                self._wake = SimpleQueue()
                self._thread = threading.Thread(
                    target=self._work, args=(self._wake,), name="telemetry", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:
                    # There can be no more threads; the next call writes what waits, or the end of the process.
                    self._wake = self._thread = None
                    return
            self._wake.put(True)

    def _work(self, wake: "SimpleQueue[bool]") -> None:
        while wake.get():
            time.sleep(_GATHER)
            goes_on = _drained(wake)
            try:
                self._empty(time.monotonic() + self._config.lock_timeout, None)
            except Exception:
                # They wait on, and the call that waits for them, or the end of the process, says so; the thread must go on.
                time.sleep(_AFTER_FAILURE if goes_on else 0)
                wake.put(True)
            if not goes_on:
                return

    def _end_with_process(self) -> None:
        """See that what waits is written when this process ends, if it ends by itself."""
        if self._ends_with_process or self._is_over():
            return
        self._ends_with_process = True
        if "multiprocessing.util" in sys.modules:
            # Its children leave without the interpreter's farewell, and with one of their own.
            self._farewell = sys.modules["multiprocessing.util"].Finalize(
                None, _last_flush, (self, os.getpid()), exitpriority=10
            )
        _owing.add(self)

    def _leave_process(self) -> None:
        """Nothing waits: the end of the process need not remember this writer."""
        _owing.discard(self)
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None
        self._ends_with_process = False

    def finish(self) -> None:
        """Write what waits as the process ends: everything that was left to the background thread until now."""
        with self._memory:
            owes = self._ends_with_process
        if owes:
            _last_flush(self, os.getpid())


def _drained(wake: "SimpleQueue[bool]") -> bool:
    """Take every call that has gathered; False when one of them was to end."""
    goes_on = True
    try:
        while True:
            goes_on = wake.get_nowait() and goes_on
    except Empty:
        return goes_on


def _last_flush(writer: Writer, pid: int) -> None:
    if os.getpid() == pid:
        try:
            writer.close(time.monotonic() + writer._config.lock_timeout)
        except Exception:  # noqa: S110 - there is nobody left to tell
            pass


def _last_flushes() -> None:
    """The end of the process, and of a forked child: what waits there is its own.

    Registered before the program can register anything that uses a client: such handlers run before this, and those that do after write by themselves.
    """
    _ending.set()
    for writer in list(_writers):
        writer.finish()


atexit.register(_last_flushes)


#: The writers whose turn the thread that forks has taken.
_still: list[Writer] = []


def _stand_still() -> None:
    """Let no thread be inside SQLite while the process is forked: its own locks would stay held in the child for ever."""
    others = [writer for writer in _writers if writer._owner != threading.get_ident()]
    _still.extend(
        writer for writer in others if writer._turn.acquire(timeout=writer._config.lock_timeout)
    )


def _go_on_in_parent() -> None:
    while _still:
        _still.pop()._turn.release()


def _begin_in_child() -> None:
    """What waits is the parent's to write, and its threads and whoever holds a lock stayed there."""
    _still.clear()
    _owing.clear()
    for writer in _writers:
        writer._begin()


os.register_at_fork(
    before=_stand_still, after_in_parent=_go_on_in_parent, after_in_child=_begin_in_child
)
