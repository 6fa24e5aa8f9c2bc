"""Start a command with the streams and signals it would have had without telemetry."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from signal import (
    SIG_DFL,
    SIG_IGN,
    SIG_SETMASK,
    SIGCHLD,
    SIGCONT,
    SIGKILL,
    SIGPIPE,
    SIGXFSZ,
    getsignal,
    pthread_sigmask,
    signal,
    valid_signals,
)

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


NOT_FOUND, NOT_EXECUTABLE = 127, 126
_PR_SET_PDEATHSIG = 1
#: What Python ignores for itself; nobody asked for the command to ignore it.
_IGNORED_BY_PYTHON = (SIGPIPE, SIGXFSZ)

#: What Python puts there for itself where the locale is C (PEP 538).
_LOCALE, _PUT_BY_PYTHON = b"LC_CTYPE", (b"C.UTF-8", b"C.utf8", b"UTF-8")


def environment() -> dict[bytes, bytes]:
    """The environment that we were started with, without the locale that Python may have put there since."""
    env = dict(os.environb)
    if env.get(_LOCALE) not in _PUT_BY_PYTHON:
        return env
    try:
        with open("/proc/self/environ", "rb") as file:
            found = file.read().split(b"\0")
    except OSError:
        return env
    del env[_LOCALE]
    return env | {
        name: value
        for name, _, value in (entry.partition(b"=") for entry in reversed(found))
        if name == _LOCALE
    }


def _never_called(_number: int, _frame: object) -> None:
    """For a signal that must not be dropped while it is blocked."""


class Signals:
    """Every signal, held back: they are to be taken out of the queue, and none of them acts. `release` makes it as it was before."""

    def __init__(self) -> None:
        self.ignores_children = getsignal(SIGCHLD) is SIG_IGN
        # Ignored, it would have the kernel throw the exit code away; by default, some systems do not keep it in the queue.
        signal(SIGCHLD, _never_called)
        self._before = pthread_sigmask(SIG_SETMASK, valid_signals())

    def release(self) -> None:
        """For the command, just before it begins."""
        if self.ignores_children:
            signal(SIGCHLD, SIG_IGN)
        for number in _IGNORED_BY_PYTHON:
            signal(number, SIG_DFL)
        pthread_sigmask(SIG_SETMASK, self._before)


class NotStarted(Exception):
    """The command could not be started: `code` is what a shell would return, the message what it would say."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def has_terminal() -> bool:
    """Tell whether a terminal controls us: then signals from its keys go to our whole process group, and reading from it needs it."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def spawn(
    command: list[bytes],
    env: dict[bytes, bytes],
    signals: Signals,
    redirects: Sequence[tuple[int, int]],
    *,
    own_group: bool,
) -> int:
    """Start the command and return its process id, once it is the command that runs there.

    `redirects` are pairs of our descriptor and the one that it becomes in the command. With `own_group` the command leads a
    process group of its own. Raises `NotStarted`.
    """
    path = find(command[0], env)
    prctl = _prctl()
    parent = os.getpid()
    try:
        news, ours = os.pipe()
        child = os.fork()
    except OSError as error:
        raise _not_started(command[0], error.errno or errno.EAGAIN) from None
    if not child:
        try:
            if own_group:
                os.setpgid(0, 0)
            if prctl:
                prctl(_PR_SET_PDEATHSIG, SIGKILL)
                if os.getppid() != parent:
                    os._exit(128 + SIGKILL)
            _streams(redirects)
            signals.release()
            _become(path, command, env)
        except OSError as error:
            os.write(ours, str(error.errno).encode())
        finally:
            os._exit(NOT_EXECUTABLE)
    os.close(ours)
    failure = os.read(news, 16)
    os.close(news)
    if failure:
        os.waitpid(child, 0)
        raise _not_started(command[0], int(failure))
    return child


def _prctl() -> Callable[[int, int], object] | None:
    """prctl(2), by the part of ctypes that is cheap to import; None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        import _ctypes

        address = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # None is the program itself
    except (ImportError, OSError):
        return None
    return lambda option, value: _ctypes.call_function(address, (option, int(value)))


def _streams(redirects: Sequence[tuple[int, int]]) -> None:
    """The command's streams: those that were closed when we began are closed for it."""
    for ours, its in redirects:
        os.dup2(ours, its)
    for descriptor, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            os.close(descriptor)


def _become(path: bytes, command: list[bytes], env: dict[bytes, bytes]) -> None:
    try:
        os.execve(path, command, env)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without a first line that names its interpreter, which shells take for their own.
        os.execve(b"/bin/sh", [b"sh", path, *command[1:]], env)


def find(name: bytes, env: dict[bytes, bytes]) -> bytes:
    """The file that a command's name means. Raises `NotStarted`."""
    if b"/" in name:
        return name
    refused = False
    for folder in env.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin").split(b":"):
        path = os.path.join(folder or b".", name)
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            refused = True
    raise _not_started(name, errno.EACCES if refused else errno.ENOENT)


def _not_started(name: bytes, number: int) -> NotStarted:
    missing = number in (errno.ENOENT, errno.ENOTDIR)
    reason = "command not found" if missing and b"/" not in name else os.strerror(number)
    return NotStarted(
        NOT_FOUND if missing else NOT_EXECUTABLE,
        f"{name.decode(errors='backslashreplace')}: {reason}",
    )
