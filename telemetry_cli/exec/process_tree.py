"""What a command has started: to pass signals on to it, and to end what it leaves behind."""

import os
from _signal import SIGCONT, SIGKILL  # type: ignore[import-not-found] # no type stubs; `signal` has, and imports enum
from collections.abc import Callable

from telemetry_cli.core.processes import (
    everyone,
    group,
    is_ended,
    parent,
)

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
        self._guard: int | None = None

    def guard(self) -> None:
        """Have the command's own group killed if we are killed before `release`: whoever kills our group does not reach it.

        Whoever asks a process to end kills it when that takes too long (`timeout -k`, CI runners). So a shell in a session of
        its own waits for a word of ours. A group that we share with the command is killed with us.
        """
        if self._guard is not None or not self._own_group:
            return
        try:
            told, self._guard = os.pipe()
            nowhere = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (1, 2)]
            words = ["sh", "-c", 'read -r _ || kill -s KILL -- "-$0"', str(self._child)]
            os.posix_spawn(
                "/bin/sh",
                words,
                {},
                file_actions=[(os.POSIX_SPAWN_DUP2, told, 0), *nowhere],
                setsid=True,
            )
            os.close(told)
        except (OSError, NotImplementedError):
            pass  # No process can be started, or the platform has no sessions for it: then it ends as it would without us.

    def release(self) -> None:
        """Leave alone what is left of the group: we have ended all that we wanted to end."""
        if self._guard is not None:
            try:
                os.write(self._guard, b"\n")
            except OSError:
                pass  # The shell was killed itself.

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
        return [
            pid for pid in everyone() if pid != ours and (self.holds(pid) or self._is_marked(pid))
        ]

    def _is_marked(self, pid: int) -> bool:
        try:
            if not self._mark or os.getpgid(pid) != os.getpgrp():
                return False
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self._mark in file.read().split(b"\0")
        except OSError:
            return False
