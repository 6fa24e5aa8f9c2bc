"""Watch a command until it ends: signals passed on, a time limit kept, what it used measured."""

import os
import sys
import time
from collections.abc import Callable, Collection, Sequence
from signal import (
    ITIMER_REAL,
    SIG_BLOCK,
    SIG_DFL,
    SIG_IGN,
    SIG_UNBLOCK,
    SIGALRM,
    SIGCHLD,
    SIGCONT,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGPIPE,
    SIGQUIT,
    SIGSTOP,
    SIGTERM,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGWINCH,
    SIGXCPU,
    SIGXFSZ,
    getsignal,
    pthread_sigmask,
    setitimer,
    signal,
    sigpending,
    sigwait,
    valid_signals,
)

from telemetry_cli.core.processes import is_orphaned
from telemetry_cli.exec.capture import (
    LOOK_SECONDS,
    Capture,
    FileEnd,
    open_capture,
)
from telemetry_cli.exec.spawn import Family, Signals, has_terminal, spawn

#: Seconds between the request to end and the end, on --timeout.
GRACE_SECONDS = 5.0
#: When the grace is over, whoever reads our stderr gets so long to take what is left of it.
_LAST_SECONDS = 1.0
_LOOK_SECONDS = 0.02
#: ru_maxrss counts kilobytes, on macOS bytes.
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_STOPS = (SIGTSTP, SIGTTIN, SIGTTOU)
#: What a terminal sends to the whole group, and so to the command too.
_FROM_KEYS = (SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH, SIGHUP, SIGCONT)
#: What the kernel sends when a terminal closes: to the leader of its session, and to nobody else.
_HANGUP = (SIGHUP, SIGCONT)
#: What ends most programs; SIGHUP tells some to read their settings again.
_REQUESTS = (SIGINT, SIGTERM)
#: What the kernel says of what we did ourselves: wrote into a closed pipe, into a file that may not grow, used up our processor time.
_OF_OUR_DOINGS = (SIGPIPE, SIGXFSZ, SIGXCPU)
_TO_GIVE_UP = (*_REQUESTS, SIGHUP, SIGQUIT)
#: A timer may come a little early, by a clock that is not ours.
_EARLY_SECONDS = 0.05
#: A signal may come twice for one reason: timeout(1) sends it to its child and then to the whole group. Pending signals of
#: one number merge, so what comes again before we pass the first one on is the same signal.
_MERGE_SECONDS = 0.02
#: Real-time signals, which follow the standard ones, do not merge.
_LAST_STANDARD_SIGNAL = 31


class Ending:
    """How a command ended: `code` as a shell returns it, `signal` if one ended it, what it used (seconds, bytes), its last stderr.

    `timed_out`: at the time limit. `cancelled`: the signal by which we were told to end before it did. `stalled`: nobody takes our stderr.
    `is_interrupted`: SIGINT ended it at a terminal, which a script around us must see.
    """

    def __init__(
        self,
        code: int,
        signal: int | None,
        used: Sequence[float],
        tail: bytes,
        *,
        timed_out: bool,
        cancelled: int | None,
        stalled: bool,
        is_interrupted: bool,
    ) -> None:
        self.code = code
        self.signal = signal
        self.wall, self.user, self.system, self.peak = used
        self.tail = tail
        self.timed_out = timed_out
        self.cancelled = cancelled
        self.stalled = stalled
        self.is_interrupted = is_interrupted


def run(
    command: list[bytes],
    env: dict[bytes, bytes],
    signals: Signals,
    timeout: float | None,
    tail: int | None,
    mark: bytes | None,
) -> Ending:
    """Run a command to its end. `tail`: keep so many bytes of its stderr; `mark`: what its environment tells it by.

    Raises `NotStarted`.
    """
    own_group = not has_terminal()
    capture = open_capture(tail) if tail is not None else None
    begun = time.monotonic()
    child = spawn(command, env, signals, capture.redirects if capture else (), own_group=own_group)
    if capture:
        capture.begin()
    family = Family(child, mark, own_group=own_group)
    watch = _Watch(child, family, capture, shares_terminal=not own_group)
    watch.until_end(begun + timeout if timeout is not None else None)
    wall = time.monotonic() - begun
    watch.end_the_rest()
    family.release()
    kept = capture.finish(watch.patience()) if capture else b""
    code = os.waitstatus_to_exitcode(watch.status)
    used = (wall, *watch.used)
    return Ending(
        128 - code if code < 0 else code,
        -code if code < 0 else None,
        used,
        kept,
        timed_out=watch.timed_out,
        cancelled=watch.cancelled(code),
        stalled=capture is not None and capture.is_stalled,
        is_interrupted=code == -SIGINT and watch.cancelled(code) == SIGINT and not own_group,
    )


class _Watch:
    """What is known of a command that runs; `status` as wait(2) gives it, `used`: seconds of user and system time, bytes of memory."""

    def __init__(
        self,
        child: int,
        family: Family,
        capture: Capture | FileEnd | None,
        *,
        shares_terminal: bool,
    ) -> None:
        self._child = child
        self._family = family
        self._capture = capture
        self._shares_terminal = shares_terminal
        self._asked_to_stop = False
        self._told: int | None = None
        self._heard: int | None = None
        self._grace_end: float | None = None
        self._is_ended = False
        self._is_late = False
        self.timed_out = False
        self.status = 0
        self.used = (0.0, 0.0, 0)

    def until_end(self, deadline: float | None) -> None:
        """Take one signal after the other until the command has ended."""
        deadlines = [deadline, deadline + GRACE_SECONDS] if deadline is not None else []
        self._grace_end = deadlines[-1] if deadlines else None
        while not self._has_ended():
            waits = [deadlines[0] - time.monotonic()] if deadlines else []
            if waits and waits[0] <= 0:
                self._out_of_time(is_first=deadlines.pop(0) == deadline)
                continue
            if self._capture and not self._capture.has_thread:
                self._capture.take_turn()
                waits.append(LOOK_SECONDS)
            if waits:
                setitimer(ITIMER_REAL, min(waits))
                woken = time.monotonic() + min(waits)
            number, sender = _next_signal(valid_signals())
            if (
                number == SIGALRM
                and waits
                and (
                    sender == _SYSTEM
                    or (sender is None and time.monotonic() > woken - _EARLY_SECONDS)
                )
            ):
                continue
            if number != SIGCHLD and not _is_our_own(number, sender):
                self._take(number, sender)
        # What came before we saw the end, as when both of us were stopped, is why it ended.
        while pending := sigpending().intersection(_TO_GIVE_UP):
            self._note(*_next_signal(pending))
            self._is_late = True

    def _has_ended(self) -> bool:
        """Collect whoever has ended: the command, and, as the first process of a container, what else is left to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return True
            if not pid:
                return self._is_ended
            if pid != self._child:
                continue
            if not os.WIFSTOPPED(status):
                self._ended(status, usage.ru_utime, usage.ru_stime, usage.ru_maxrss)
                return True
            self._stopped(os.WSTOPSIG(status))

    def _take(self, number: int, sender: int | None) -> None:
        """Pass a signal on, unless it has reached the command without us, or comes from there."""
        typed = self._note(number, sender)
        if number in _TO_GIVE_UP:
            self._family.guard()
        if self.timed_out and number in _REQUESTS:
            self._family.send_all(
                SIGKILL
            )  # It was asked to end already, and whoever asks again does not want to wait.
        elif not typed and not (sender and self._shares_terminal and self._family.holds(sender)):
            if number not in (*_STOPS, SIGCONT):
                _merge(number)
            self._family.send(number)

    def _note(self, number: int, sender: int | None) -> bool:
        """Note a signal that asks us to end, unless we were started to ignore it. Return whether it comes from a key."""
        typed = self._shares_terminal and (
            sender == _SYSTEM or (sender is None and number in _FROM_KEYS)
        )
        if number in _HANGUP and os.getsid(0) == os.getpid():
            typed = False
        if _asks_to_end((number,)):
            if number in _REQUESTS and not typed:
                self._told = number
            else:
                self._heard = number
        if number in (*_STOPS, SIGCONT):
            self._asked_to_stop = number != SIGCONT
        return typed

    def _stopped(self, number: int) -> None:
        """The command was stopped. At a terminal, or where we were asked for it, whoever waits for us must see that.

        Without a terminal it may go on without us being told, and we stay awake for that; where it would not have stopped without
        us, since nobody could continue it, it goes on.
        """
        if self._shares_terminal or (self._asked_to_stop and number in _STOPS):
            self._asked_to_stop = False
            _stop_by(number if self._shares_terminal else SIGSTOP)
            _drop(SIGCONT)  # By that we went on, and passed on later it would undo the next stop.
            if not self._went_on():
                self._family.send(SIGCONT)
        elif number in _STOPS and is_orphaned(os.getpgrp()):
            self._family.send(SIGCONT)

    def _went_on(self) -> bool:
        """Tell whether the command was continued with us, as a shell does with the whole group; another SIGCONT could undo the next stop."""
        try:
            pid, status, usage = os.wait4(self._child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return True
        if pid and os.WIFSTOPPED(status):
            self._stopped(os.WSTOPSIG(status))
        elif pid and not os.WIFCONTINUED(status):
            self._ended(status, usage.ru_utime, usage.ru_stime, usage.ru_maxrss)
        return bool(pid)

    def _ended(self, status: int, user: float, system: float, peak: int) -> None:
        self._is_ended = True
        self.status, self.used = status, (user, system, peak * _MAXRSS_UNIT)

    def _out_of_time(self, *, is_first: bool) -> None:
        self.timed_out = True
        self._family.guard()
        self._family.send_all(SIGTERM if is_first else SIGKILL)

    def end_the_rest(self) -> None:
        """After a time limit or a request to end, nothing of the command stays behind. Another request ends the grace."""
        if not self.timed_out and self._told is None:
            return
        self._family.guard()
        if (self._shares_terminal or self._is_late) and not self.timed_out:
            # So far only the command itself has had it, or nothing.
            self._family.send_all(self._told or SIGTERM)
        deadline = (
            self._grace_end
            if self.timed_out and self._grace_end is not None
            else time.monotonic() + GRACE_SECONDS
        )
        while (
            self._family.is_left()
            and time.monotonic() < deadline
            and not _asks_to_end(sigpending().intersection(_REQUESTS))
        ):
            self._has_ended()
            time.sleep(_LOOK_SECONDS)
        self._family.send_all(SIGKILL)

    def patience(self) -> Callable[[], bool]:
        """What tells when to wait no longer for those who read our stderr: at a request to end, or when the grace after one is over."""
        now = time.monotonic()
        last = (
            max(self._grace_end, now + _LAST_SECONDS)
            if self._grace_end is not None
            else now + GRACE_SECONDS
            if self._told
            else None
        )
        return lambda: _asks_to_end(sigpending()) or (last is not None and time.monotonic() > last)

    def cancelled(self, code: int) -> int | None:
        """The signal by which we were told to end; one from the keyboard, or SIGHUP, only where the command did not end well after all."""
        return self._told or (self._heard if code else None)


def _stop_by(number: int) -> None:
    """Stop until we are continued, by the same signal as the command: shells show which."""
    if number != SIGSTOP:
        signal(number, SIG_DFL)
    os.kill(os.getpid(), number)
    pthread_sigmask(SIG_UNBLOCK, (number,))
    pthread_sigmask(SIG_BLOCK, (number,))


#: The sender of a signal that no process sent.
_SYSTEM = 0
#: The sender of a signal that came from a process which cannot be seen from here.
_OUTSIDE = -1


def _next_signal(numbers: Collection[int]) -> tuple[int, int | None]:
    """Wait for a signal: its number and its sender; None where the platform does not tell."""
    try:
        from signal import sigwaitinfo
    except ImportError:
        return sigwait(numbers), None
    found = sigwaitinfo(numbers)
    return found.si_signo, (found.si_pid or _OUTSIDE) if found.si_code <= 0 else _SYSTEM


def _is_our_own(number: int, sender: int | None) -> bool:
    """Tell whether a signal is about what we did: the command did not do it, and would not have got the signal.

    The kernel names as the sender who wrote, or itself. Where it names nobody, one that another process sent is not told from these.
    """
    return number in _OF_OUR_DOINGS and sender in (os.getpid(), _SYSTEM, None)


def _merge(number: int) -> None:
    """Wait a moment for the same signal to come again, and drop it then."""
    if number <= _LAST_STANDARD_SIGNAL:
        time.sleep(_MERGE_SECONDS)
        _drop(number)


def _drop(number: int) -> None:
    """Drop a signal that is pending."""
    if number in sigpending():
        sigwait((number,))


def _asks_to_end(numbers: Collection[int]) -> bool:
    """Tell whether one of these signals asks us to end; not where we ignore it from the start, as under nohup or behind `&`."""
    return any(number in _TO_GIVE_UP and getsignal(number) is not SIG_IGN for number in numbers)
