"""Which process is meant, also after its number has been given to another: pid, when it started, and which boot of the machine."""

import os
import sys


def boot_id() -> str:
    """This boot of the machine."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        import psutil

        return f"{psutil.boot_time():.0f}"


def started(pid: int) -> str | None:
    """When a process started, in the system's own count; None when there is no such process (a dead one that nobody has taken leave of is none)."""
    if sys.platform != "linux":
        import psutil

        try:
            return str(psutil.Process(pid).create_time())
        except psutil.Error:
            return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def identity() -> dict[str, object]:
    """What tells this process from any other: host, pid, process_started, boot_id."""
    pid = os.getpid()
    return {"host": os.uname().nodename, "pid": pid, "process_started": started(pid) or "", "boot_id": boot_id()}


def is_gone(recorded: dict[str, object]) -> bool:
    """Tell whether a process of which `identity` was recorded has ended. Of another host's nobody can tell: it has not."""
    if recorded["host"] != os.uname().nodename:
        return False
    return recorded["boot_id"] != boot_id() or started(int(str(recorded["pid"]))) != recorded["process_started"]
