"""A limit of processor time for what may take for ever: for a program of our own, whose main thread and signals are ours."""

from _signal import (  # type: ignore[import-not-found] # the built-in module has no type stubs; `signal` has, and imports enum
    ITIMER_VIRTUAL,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGVTALRM,
    getsignal,
    pthread_sigmask,
    setitimer,
    signal,
)
from collections.abc import Callable


class TooLong(Exception):
    """It took longer than it may."""


class Budget:
    """Seconds of processor time for many small things together; each of them has `least` seconds even when the rest is used up."""

    def __init__(self, seconds: float, least: float) -> None:
        self._left = seconds
        self._least = least
        self._is_acting = False

    def run(self, act: Callable[[], str]) -> str:
        """What `act` returns. Raises `TooLong`. A timer of processor time interrupts it, whatever signals are blocked."""
        allowed = max(self._left, self._least)
        handler = getsignal(SIGVTALRM)
        signal(SIGVTALRM, self._interrupt)
        mask = pthread_sigmask(SIG_UNBLOCK, {SIGVTALRM})
        try:
            self._is_acting = True
            setitimer(ITIMER_VIRTUAL, allowed)
            return act()
        finally:
            self._is_acting = False
            self._left -= allowed - setitimer(ITIMER_VIRTUAL, 0)[0]
            pthread_sigmask(SIG_SETMASK, mask)
            signal(SIGVTALRM, handler)

    def _interrupt(self, _number: int, _frame: object) -> None:
        if self._is_acting:
            raise TooLong
