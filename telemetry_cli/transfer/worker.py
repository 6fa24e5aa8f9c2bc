"""A second process that works ahead: it checks the next records while this one writes the last ones.

Both processors of a small machine have something to do then. Memory: one item and one answer more.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from telemetry_cli.errors import TelemetryError

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map(work, items)`; from the second item on the work is done in a forked process, if there is a processor for it.

    While the caller has an answer, the next one is being made. An answer must be fit to be pickled, and so must an item.
    """
    rest = iter(items)
    first, second = next(rest, None), next(rest, None)
    if first is None:
        return
    if second is None or not _can_fork():
        yield work(first)
        if second is not None:
            yield work(second)
        yield from map(work, rest)
        return
    with _Forked(work) as other:
        other.send(first)
        item: T | None = second
        while item is not None:
            following = next(rest, None)
            answer = other.receive()
            other.send(item)
            yield answer
            item = following
        yield other.receive()


def _can_fork() -> bool:
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


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
                    theirs.send(work(theirs.recv()))
            except BaseException:
                # The other end is gone, or says by the silence of this one that something went wrong here.
                os._exit(1)
        theirs.close()
        self._pipe = ours

    def send(self, item: T) -> None:
        """Give it an item; the last answer must have been received."""
        self._pipe.send(item)

    def receive(self) -> R:
        """The answer to the item that was sent last."""
        try:
            answer: R = self._pipe.recv()
        except EOFError:
            raise TelemetryError("the process that checks records has died", "Run the import again: what is there already is not imported twice.") from None
        return answer

    def __enter__(self) -> "_Forked[T, R]":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        os.waitpid(self._pid, 0)
