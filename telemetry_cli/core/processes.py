"""Identify processes across PID reuse, and bound the processor time of a piece of work."""

import os
import sys
import zlib
from collections.abc import Callable
from signal import (
    ITIMER_VIRTUAL,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGVTALRM,
    getsignal,
    pthread_sigmask,
    setitimer,
    signal,
)


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


#: Nobody nests commands deeper; a loop in /proc, which changes while it is read, would.
_DEEPEST_TREE = 1000


def identity(pid: int) -> tuple[str | None, str | None]:
    """When a process started, and in which boot and process namespace; None for what the platform does not tell.

    Linux: clock ticks since the boot, and the boot's id with the namespace's number: in two containers on one machine the same
    number means two processes.
    """
    if sys.platform != "linux":
        return _started_by_ps(pid), None
    return _started(pid)[0], _namespace() or None


def identify_self() -> dict[str, object]:
    """Return pid, process_started and boot_id of this process, without what the platform does not tell."""
    pid = os.getpid()
    started, boot = identity(pid)
    found = {"pid": pid, "process_started": started, "boot_id": boot}
    return {name: value for name, value in found.items() if value}


def place() -> str | None:
    """The boot and process namespace that we run in, and after an `@` the machine, which stays the same when it is started again.

    None where the platform tells neither. The machine's id is confidential (machine-id(5)): a checksum stands for it.
    """
    machine = _content("/etc/machine-id").strip()
    known = f"@{zlib.crc32(machine.encode()):08x}" if len(machine) == 32 else ""
    return _namespace() + known or None


def ancestors() -> list[list[object]]:
    """The processes that we were started by, nearest first, each as [pid, when it started]; empty where there is no /proc."""
    found: list[list[object]] = []
    fields = _fields(os.getpid())
    while len(fields) > 19 and fields[1] not in ("0", "1") and len(found) < _DEEPEST_TREE:
        pid = int(fields[1])
        fields = _fields(pid)
        found.append([pid, fields[19] if len(fields) > 19 else None])
    return found


def is_alive(pid: int, process_started: str | None, boot_id: str | None) -> bool | None:
    """Tell whether the process that was recorded on this machine still runs; None when that cannot be told from here."""
    found_started, found_boot = identity(pid)
    if boot_id and found_boot and boot_id != found_boot:
        # After a reboot it is gone; in another container of the same boot nobody can see it from here.
        return False if boot_id.partition("/")[0] != found_boot.partition("/")[0] else None
    if process_started and found_started:
        return process_started == found_started and _started(pid)[1] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return None
    return None if process_started else True


def is_this_boot(boot_id: str) -> bool:
    """Tell whether this machine has been running since a process was recorded on it; not where boots have no ids."""
    boot = boot_id.partition("/")[0]
    return bool(boot) and boot == _boot()


def parent(pid: int) -> int:
    """The process that a process belongs to; 0 when there is no telling."""
    fields = _fields(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def is_ended(pid: int) -> bool:
    """Tell whether a process is only there for its parent to collect; not where there is no /proc."""
    return _fields(pid)[:1] == ["Z"]


def group(pid: int) -> int:
    """The process group of a process; 0 when there is no telling."""
    fields = _fields(pid)
    return int(fields[2]) if len(fields) > 2 else 0


def is_orphaned(number: int) -> bool:
    """Tell whether a process group has nobody who could continue it: no parent of a member in another group of the session.

    The kernel does not stop such a group from a terminal. Where there is no /proc, no group is taken for one.
    """
    pids = everyone()
    for pid in pids:
        if group(pid) == number:
            above = parent(pid)
            if _session(above) == _session(pid) and group(above) != number:
                return False
    return bool(pids)


def everyone() -> list[int]:
    """The processes that there are; none where there is no /proc."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _session(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[3]) if len(fields) > 3 else 0


def _started(pid: int) -> tuple[str | None, str]:
    """Field 22 of /proc/PID/stat, and the state."""
    fields = _fields(pid)
    return (fields[19], fields[0]) if len(fields) > 19 else (None, "")


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third, the state, on. The second, the name, may hold spaces and brackets."""
    return _content(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _namespace() -> str:
    """The boot's id and the process namespace's number; empty where there is no /proc."""
    try:
        return f"{_boot()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return _boot()


def _boot() -> str:
    return _content("/proc/sys/kernel/random/boot_id").strip()


def _content(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 4096).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _started_by_ps(pid: int) -> str | None:
    import subprocess

    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    try:
        env = {"LC_ALL": "C", "PATH": "/bin:/usr/bin"}
        done = subprocess.run(  # noqa: S603 - the program is ours, its argument a number
            command, capture_output=True, text=True, timeout=1, check=False, env=env
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
