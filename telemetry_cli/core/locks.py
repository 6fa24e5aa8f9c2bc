"""Lock files: `raw/.lock` (journal), `<database>.lock`, `blobs/.lock`, `backups/.lock`.

`Lock` takes the native `flock` directly, because importing filelock costs more than a whole
`run start`. `MaintenanceLock` takes the same lock through filelock, for commands off the fast path.
Both exclude each other.

A writer also locks the unfinished file that it writes: whoever gets that lock knows that the writer
is gone.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterable

from telemetry_cli.core.errors import LockTimeout, Refused
from telemetry_cli.core.fs import open_private, sync_folder

#: Seconds between two looks at a lock that is held, and how long a waiter stands back for others.
_SHORTEST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01
_PATIENCE = 0.1
#: Seconds that the writer of an unfinished file waits for whoever looks whether it is alive.
_MOMENT = 1.0
_BLOCK = 1 << 20

_open_descriptors: set[int] = set()


def _drop_in_child() -> None:
    """A forked child must not keep its parent's locks alive: `flock` belongs to the open file, which both share."""
    for descriptor in _open_descriptors:
        os.close(descriptor)
    _open_descriptors.clear()


os.register_at_fork(after_in_child=_drop_in_child)


class Lock:
    """A lock on `path`, taken on entry and released on exit; exclusive unless `shared`.

    The file is made if it is missing; `descriptor` is open for reading and writing. Raises `LockTimeout` at `deadline`
    (monotonic seconds).
    """

    def __init__(self, path: str, deadline: float, *, shared: bool = False) -> None:
        self.path = path
        self.deadline = deadline
        self.descriptor = -1
        self._operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB

    def __enter__(self) -> "Lock":
        begun = time.monotonic()
        pause = _SHORTEST_PAUSE
        while True:
            descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
            _open_descriptors.add(descriptor)
            try:
                fcntl.flock(descriptor, self._operation)
                if os.fstat(descriptor).st_nlink:
                    self.descriptor = descriptor
                    return self
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    _close(descriptor)
                    # Some file systems have no locks. The error names the file.
                    error.filename = self.path
                    raise
            _close(descriptor)
            now = time.monotonic()
            if now >= self.deadline:
                raise _make_timeout(self.path)
            # The process id spreads the waiters, so that they do not all come back at once.
            time.sleep(min(pause * (1 + os.getpid() % 8 / 8), self.deadline - now))
            # At first ever longer, to leave the holder the processor; but whoever has waited long must come first.
            pause = min(pause * 1.5, _LONGEST_PAUSE) if now - begun < _PATIENCE else _SHORTEST_PAUSE

    def __exit__(self, *_: object) -> None:
        if self.descriptor in _open_descriptors:
            # Said outright: a child that was forked this moment still shares the lock, and closing alone would leave it there.
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            _close(self.descriptor)
        self.descriptor = -1


class MaintenanceLock:
    """An exclusive lock on `path` through filelock, for commands off the fast path.

    Excludes a `Lock` on the same path, and the reverse. Raises `LockTimeout` at `deadline` (monotonic
    seconds), `Refused` for a planted link.
    """

    def __init__(self, path: str, deadline: float) -> None:
        # Imported here, because the fast path imports this module.
        from filelock import FileLock

        self.path = path
        self.deadline = deadline
        self._lock = FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False)

    def __enter__(self) -> "MaintenanceLock":
        from filelock import Timeout

        # filelock would create the file without the checks that every private file gets.
        os.close(open_private(self.path, os.O_RDWR | os.O_CREAT))
        patience = max(0.0, self.deadline - time.monotonic())
        try:
            self._lock.acquire(timeout=patience, poll_interval=_LONGEST_PAUSE)
        except Timeout:
            raise _make_timeout(self.path) from None
        except OSError as error:
            error.filename = self.path
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _make_timeout(path: str) -> LockTimeout:
    return LockTimeout(
        f"{path} is locked by another process", "Try again, or raise TELEMETRY_LOCK_TIMEOUT."
    )


def _close(descriptor: int) -> None:
    _open_descriptors.discard(descriptor)
    os.close(descriptor)


def lock_unfinished(path: str) -> Lock:
    """Make a file and lock it for as long as it is written. Only `remove_unlocked` ever wants the same lock."""
    return Lock(path, time.monotonic() + _MOMENT)


def write_atomic(partial: str, chunks: Iterable[bytes], find_target: Callable[[], str]) -> str:
    """Write a private file under the name `partial`, flush it, and rename it to its target.

    find_target: returns the path to rename it to, in the same directory; called once all chunks are
        written. The directory is synced. Returns that path. Memory: one chunk.

    The file is locked while it is unfinished: without its lock, its writer was killed. On an error
    before the rename the file is removed. Raises `LockTimeout`, `Refused` for a planted link, and
    `OSError`, after which the target may be there already where only the directory was not synced.
    """
    with lock_unfinished(partial) as lock:
        try:
            with open(lock.descriptor, "wb", buffering=_BLOCK, closefd=False) as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(lock.descriptor)
            target = find_target()
            os.rename(partial, target)
        except BaseException:
            try:
                os.unlink(partial)
            except OSError:
                pass
            raise
    sync_folder(os.path.dirname(target))
    return target


def is_free(path: str) -> bool:
    """Tell whether nobody holds a lock on a file at this moment; also where there is no such file. Waits for nobody."""
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)
    return True


def remove_unlocked(path: str) -> None:
    """Remove an unfinished file, unless its writer still lives and holds its lock. What cannot be opened stays, for `doctor` to name."""
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except (OSError, Refused):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Not after the lock is given back: a writer that waits for it sees that the file is gone, and makes another.
        os.unlink(path)
    except OSError:
        return
    finally:
        os.close(descriptor)


def holders(path: str) -> list[tuple[int, str]]:
    """Which processes hold a lock on a file, as (pid, program): what the system tells of that, which outside of Linux is nothing."""
    try:
        info = os.stat(path)
        with open("/proc/locks", encoding="ascii", errors="replace") as table:
            lines = [line.split() for line in table if "->" not in line]
    except OSError:
        return []
    device = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    pids = {
        int(words[4])
        for words in lines
        if len(words) > 5 and words[5] == device and words[4].isdigit()
    }
    return [(pid, _program(pid)) for pid in sorted(pids)]


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
