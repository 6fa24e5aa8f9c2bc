"""A second process that works ahead: it checks the next records while this one writes the last ones.

Both processors of a small machine have something to do then. Memory: one item and one answer more.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

from telemetry_cli.core.errors import TelemetryError

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def ahead(work: Callable[[T], R]) -> Iterator[Callable[[Iterable[T]], Iterator[R]]]:
    """`map` for this work, done in a forked process if there is a processor for it.

    It is forked here, before anything was read or shown: once there are threads, a fork is not safe. While the caller has an
    answer, the next one is being made. An answer must be fit to be pickled, and so must an item.
    """
    other = _forked(work) if sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1 else None
    if other is None:
        yield partial(map, work)
        return
    try:
        yield other.map
    finally:
        other.end()


def _forked(work: Callable[[T], R]) -> "_Forked[T, R] | None":
    """None where there may be no more processes."""
    try:
        return _Forked(work)
    except OSError:
        return None


class _Forked(Generic[T, R]):
    """The other process. It ends with the pipe between us, so also when this one is killed."""

    def __init__(self, work: Callable[[T], R]) -> None:
        from multiprocessing.connection import Pipe

        ours, theirs = Pipe()
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            try:
                while True:
                    theirs.send(_outcome(work, theirs.recv()))
            except BaseException:
                # The other end is gone, or says by the silence of this one that something went wrong here.
                os._exit(1)
        theirs.close()
        self._pipe = ours

    def map(self, items: Iterable[T]) -> Iterator[R]:
        """The answer to each item, in order. Raises what the work raises, and `TelemetryError` when the process has died."""
        is_working = False
        for item in items:
            answer = [self._answer()] if is_working else []
            self._give(item)
            is_working = True
            yield from answer
        if is_working:
            yield self._answer()

    def _give(self, item: T) -> None:
        try:
            self._pipe.send(item)
        except BrokenPipeError:
            raise _died() from None

    def _answer(self) -> R:
        try:
            answer: R | Exception = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise _died() from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """Let it end, and wait for that."""
        self._pipe.close()
        os.waitpid(self._pid, 0)


def _outcome(work: Callable[[T], R], item: T) -> R | Exception:
    try:
        return work(item)
    except Exception as error:
        from traceback import format_exc

        # What is pickled has no traceback.
        error.add_note(format_exc())
        return error


def _died() -> TelemetryError:
    return TelemetryError(
        "the process that checks records has died",
        "Run the import again: what is there already is not imported twice.",
    )
