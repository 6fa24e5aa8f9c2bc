"""The guardian: a small process between telemetry and a hook, so that nothing of the hook outlives telemetry, however it ends.

    python -I -S guardian.py CONTROL STATUS DATA_LIMIT WORK COMMAND [ARG…]

It starts the command in a process group of its own, says `P pid` on the descriptor STATUS once it executes and, when the command has ended,
`X wait-status peak-KiB` (0 where the peak may be this process's own). On the descriptor CONTROL it hears `k` (kill what the command
has started) and `q` (kill it and go). Where
that closes without a word, telemetry has died: then the folder WORK is removed too. It adopts what the command leaves behind
(Linux), so daemons are found as well. It imports the standard library alone, for it is started for every attempt.
"""

import os
import resource
import select
import signal
import sys
import time

_SET_CHILD_SUBREAPER = 36
_SET_DEATH_SIGNAL = 1
_ROUNDS = 50
#: What a copy of this process may grow by before it executes the command, in the unit of ru_maxrss: the kernel counts that as the command's.
_LITTLE = 2048 if sys.platform == "linux" else 2 << 20


def _prctl(option: int, value: int) -> None:
    """What Linux is told about this process; elsewhere nothing."""
    if sys.platform != "linux":
        return
    import ctypes

    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        return


def adopt_orphans(on: bool) -> None:
    """Have what descends from this process become its child when its own parent ends (Linux)."""
    _prctl(_SET_CHILD_SUBREAPER, int(on))


def main() -> int:
    """Guard one command until telemetry says that it is done with it, or dies."""
    control, status, data_limit, work, *command = sys.argv[1:]
    control_end, status_end = int(control), int(status)
    for descriptor in (control_end, status_end):
        os.set_inheritable(descriptor, False)
    adopt_orphans(True)
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    executed, executing = os.pipe()
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if not child:
        _become(command, int(data_limit))
    os.close(executing)
    try:
        os.setpgid(child, child)  # whichever of the two comes first
    except OSError:
        pass
    _let_go_of_streams()
    # It ends when the command is executed: until then the child is a copy of this process, whose memory is not the hook's.
    os.read(executed, 1)
    _say(status_end, f"P {child}\n")
    poll = select.poll()
    poll.register(control_end, select.POLLIN | select.POLLHUP)
    poll.register(woken, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if woken in ready:
            _drain(woken)
            _reap(child, status_end, own_peak)
        if control_end in ready:
            word = os.read(control_end, 1)
            kill_all(child)
            _reap(child, status_end, own_peak)
            if word != b"k":
                if not word:
                    _remove(work)
                return 0


def _become(command: list[str], data_limit: int) -> None:
    """In the child: the command, in a process group of its own. Never returns."""
    try:
        os.setpgid(0, 0)
        _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (
            signal.SIGCHLD,
            signal.SIGINT,
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGPIPE,
        ):
            signal.signal(number, signal.SIG_DFL)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = data_limit if hard == resource.RLIM_INFINITY else min(data_limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        try:
            os.execv(command[0], command)
        except OSError as error:
            if (
                error.errno != 8
            ):  # ENOEXEC: no first line says by what; a shell would read it itself
                raise
            os.execv("/bin/sh", ["/bin/sh", *command])
    except (OSError, ValueError) as error:
        os.write(
            2,
            f"telemetry: {command[0]} cannot be executed: {error}\n".encode(
                errors="backslashreplace"
            ),
        )
    finally:
        os._exit(126)


def _let_go_of_streams() -> None:
    """Only the hook may hold its streams: they end when it does."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        return


def _say(descriptor: int, text: str) -> None:
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return


def _reap(child: int, status_end: int, own_peak: int) -> None:
    """Take leave of every process that has ended, and tell of the command."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if pid == child:
            peak = usage.ru_maxrss if usage.ru_maxrss > own_peak + _LITTLE else 0
            _say(status_end, f"X {status} {peak if sys.platform == 'linux' else peak // 1024}\n")


def kill_all(group: int, others: tuple[int, ...] = ()) -> set[int]:
    """Kill a process group (0: none) and all that descends from this process until nothing is left, but for its children `others`.

    Returns the processes that were killed.
    """
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        left = _descendants(others)
        killed.update(left)
        for kill, target in (
            *([(os.killpg, group)] if group else []),
            *((os.kill, pid) for pid in left),
        ):
            try:
                kill(target, signal.SIGKILL)
            except OSError:
                pass
        if not [pid for pid in left if pid != group]:
            break
        time.sleep(0.002)
    return killed


def children() -> tuple[int, ...]:
    """Every living child of this process, as far as /proc tells."""
    return tuple(_families().get(os.getpid(), ()))


def _descendants(others: tuple[int, ...]) -> list[int]:
    """Every living process below this one, but for its children `others` and what is below them."""
    families = _families()
    found = [pid for pid in families.get(os.getpid(), []) if pid not in others]
    for pid in found:
        found += families.get(pid, [])
    return found


def _families() -> dict[int, list[int]]:
    """Process → its living children; empty where there is no /proc."""
    families: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return families
    for name in filter(str.isdigit, names):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state != b"Z":
            families.setdefault(int(parent), []).append(int(name))
    return families


def _remove(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os._exit(main())
