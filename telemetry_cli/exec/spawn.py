"""Start the command as it would have been started without us: the same streams, signals, descriptors and working folder."""

import errno
import os
import sys
from _signal import (  # type: ignore[import-not-found] # the built-in module has no type stubs; `signal` has, and imports enum
    SIG_DFL,
    SIG_IGN,
    SIG_SETMASK,
    SIGCHLD,
    SIGKILL,
    SIGPIPE,
    SIGXFSZ,
    getsignal,
    pthread_sigmask,
    signal,
    valid_signals,
)
from collections.abc import Callable, Sequence

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
