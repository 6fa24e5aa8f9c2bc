"""Whether a process that was recorded still lives. A pid alone is soon given to another: its start and the boot tell them apart."""

import os
import sys

_BOOT = "/proc/sys/kernel/random/boot_id"
#: Where `starttime` (clock ticks since boot) stands in /proc/PID/stat, counted behind the name in brackets; proc(5) calls it field 22.
_START_FIELD = 19


def identity(pid: int) -> tuple[str | None, str | None]:
    """When a process started (in the system's own words, to be compared and no more) and the boot it started in; null when unknown."""
    if sys.platform == "linux":
        return _linux_start(pid), _text(_BOOT).strip() or None
    return _said("ps", "-o", "lstart=", "-p", str(pid)), _said("sysctl", "-n", "kern.bootsessionuuid")


def is_alive(pid: int, process_started: str | None, boot_id: str | None) -> bool | None:
    """Tell whether the process that was recorded so still runs here; None when that cannot be told."""
    started, boot = identity(pid)
    if boot_id and boot and boot_id != boot:
        return False
    if started is None:
        return False if _is_gone(pid) else None
    return started == process_started if process_started else None


def _is_gone(pid: int) -> bool:
    """Tell whether there is no such process, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _linux_start(pid: int) -> str | None:
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    # A zombie (Z) or a dead one (X) has ended; only its parent has not asked yet.
    return fields[_START_FIELD] if len(fields) > _START_FIELD and fields[0] not in "ZX" else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""


def _said(*command: str) -> str | None:
    """What a system's own tool prints; None when it fails or is not there."""
    import subprocess

    try:
        env = {"LC_ALL": "C", "PATH": os.defpath + ":/usr/sbin:/sbin"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=1, check=False, env=env)  # noqa: S603 - our own words
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
