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
    """Seconds of processor time for many small things together."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._is_acting = False

    def run(self, act: Callable[[], str], least: float) -> str:
        """Return what `act` returns, which has what is left, or `least` seconds when that is more. Raises `TooLong`.

        A timer of processor time interrupts it, whatever signals are blocked. Without a limit in other threads than the main one, where no handler can be set.
        """
        allowed = max(self._left, least)
        handler = getsignal(SIGVTALRM)
        try:
            signal(SIGVTALRM, self._interrupt)
        except ValueError:
            return act()
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
