"""What a command has started: to pass signals on to it, and to end what it leaves behind."""

import os
from _signal import SIGCONT, SIGKILL  # type: ignore[import-not-found] # no type stubs; `signal` has, and imports enum
from collections.abc import Callable

from telemetry_cli.discover.processes import everyone, group, is_ended, parent

_MOST_GENERATIONS = 100


class Family:
    """The command and its descendants.

    Where it leads a group of its own, they are that group. Beside a terminal it shares ours, so that its keys reach it as ever: then
    they are those that descend from it, and those of our group that carry the `mark` of this run in their environment.
    """

    def __init__(self, child: int, mark: bytes | None, *, own_group: bool) -> None:
        self._child = child
        self._mark = mark
        self._own_group = own_group

    def send(self, number: int) -> None:
        """A signal to the command; to its whole group, where it has one of its own."""
        try:
            (os.killpg if self._own_group else os.kill)(self._child, number)
        except OSError:
            pass  # It is gone, or no longer ours to send signals to.

    def send_all(self, number: int) -> None:
        """A signal to everything that is left; what is stopped goes on, so as to see it."""
        for target, send in self._all():
            for each in (number, SIGCONT) if number != SIGKILL else (number,):
                try:
                    send(target, each)
                except OSError:
                    pass

    def is_left(self) -> bool:
        """Tell whether anything of it runs still. What has ended counts no more, though its parent may never collect it."""
        if not self._own_group:
            return not all(map(is_ended, self._members()))
        try:
            os.killpg(self._child, 0)
        except PermissionError:
            return True
        except OSError:
            return False
        pids = everyone()
        return not pids or any(group(pid) == self._child and not is_ended(pid) for pid in pids)

    def holds(self, pid: int) -> bool:
        """Tell whether a process is the command, or descends from it."""
        for _ in range(_MOST_GENERATIONS):
            if pid == self._child:
                return True
            if pid <= 1:
                return False
            pid = parent(pid)
        return False

    def _all(self) -> list[tuple[int, Callable[[int, int], None]]]:
        if self._own_group:
            return [(self._child, os.killpg)]
        return [(pid, os.kill) for pid in self._members()]

    def _members(self) -> list[int]:
        """The descendants, by /proc; where there is none, nobody but the command is known."""
        ours = os.getpid()
        return [pid for pid in everyone() if pid != ours and (self.holds(pid) or self._is_marked(pid))]

    def _is_marked(self, pid: int) -> bool:
        try:
            if not self._mark or os.getpgid(pid) != os.getpgrp():
                return False
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self._mark in file.read().split(b"\0")
        except OSError:
            return False
