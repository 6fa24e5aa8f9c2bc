"""Execute one attempt of a hook within its limits of time, memory and output."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

import psutil

from telemetry_cli.hooks import guardian
from telemetry_cli.hooks.rows import Rows

LONGEST_LOG = 1 << 20
#: So far from a cut the border of a line is looked for, and then that of a word: half a secret is known by no rule.
_NEAR = 8192
_BORDERS = (b"\n", b" ")


class Log:
    """Takes a stream piece by piece; `written` counts all of it."""

    def __init__(self) -> None:
        self.written = 0
        self._head = bytearray()
        self._tail = bytearray()

    def take(self, piece: bytes) -> None:
        """The next piece, cut anywhere."""
        self.written += len(piece)
        room = LONGEST_LOG // 2 - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:]
        if len(self._tail) > LONGEST_LOG:
            del self._tail[: -LONGEST_LOG // 2]

    def content(self) -> bytes:
        """At most `LONGEST_LOG` bytes of it, and a mark where the middle was cut out, from border to border where they are near."""
        head, tail = bytes(self._head), bytes(self._tail[-(LONGEST_LOG // 2) :])
        if len(head) + len(tail) == self.written:
            return head + tail
        head, tail = _to_a_border(head), _from_a_border(tail)
        return (
            head
            + b"\n[... %d bytes cut out here ...]\n" % (self.written - len(head) - len(tail))
            + tail
        )


def _to_a_border(cut: bytes) -> bytes:
    """What was cut at its end, without the rest of the line or word that the cut went through."""
    places = (cut.rfind(border, -_NEAR) for border in _BORDERS)
    return cut[: next((place for place in places if place >= 0), len(cut))]


def _from_a_border(cut: bytes) -> bytes:
    """The same for what was cut at its beginning."""
    places = (cut.find(border, 0, _NEAR) for border in _BORDERS)
    return cut[next((place for place in places if place >= 0), -1) + 1 :]


#: Seconds between two looks at the tree; between two looks at its memory, far from the limit and near it.
_TREE_SECONDS = 0.05
_FAR_SECONDS = 0.02
_NEAR_SECONDS = 0.004


class MemoryWatch:
    """The processes below `root` together against a limit in bytes. `pause` is how long to wait before the next look."""

    def __init__(self, root: int, limit: int) -> None:
        self.limit = limit
        self.pause = _NEAR_SECONDS
        self._root = psutil.Process(root)
        self._tree: list[psutil.Process] = []
        self._look_again_at = 0.0

    def is_over(self) -> bool:
        """Tell whether the tree holds more than the limit now."""
        if time.monotonic() >= self._look_again_at:
            self._tree = self._below()
            self._look_again_at = time.monotonic() + _TREE_SECONDS
        total = sum(map(_resident, self._tree))
        self.pause = _FAR_SECONDS if total < self.limit // 4 else _NEAR_SECONDS
        if total <= self.limit:
            return False
        # Pages that forked processes share were counted once for each.
        return len(self._tree) == 1 or sum(map(_share, self._below())) > self.limit

    def _below(self) -> list[psutil.Process]:
        try:
            return self._root.children(recursive=True)
        except psutil.Error:
            return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _share(process: psutil.Process) -> int:
    """What a process holds, pages that others hold too in parts; where the system does not tell, all of it."""
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(found, "pss", found.rss))


_PIECE = 1 << 18
#: Seconds in which pipes must run dry once everything that the hook started has been killed.
_DRY_SECONDS = 2.0
#: Signals by which somebody ends a program; by any other it has crashed.
_ENDED_BY_OTHERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Stopped(Exception):
    """A signal told telemetry to stop; `number` is which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Attempt:
    """What is executed, and what became of it: `exit_code` (negative for a signal), `failure` (a failure kind or None), `log`."""

    def __init__(
        self,
        command: list[str],
        env: dict[str, str],
        stdin: BinaryIO,
        work: str,
        memory: int,
        seconds: float,
    ) -> None:
        self.command = command
        self.env = env
        self.stdin = stdin
        self.work = work
        self.memory = memory
        self.seconds = seconds
        self.log = Log()
        self.exit_code = 0
        self.failure: str | None = None
        self.group = 0
        self.was_watched = False
        self._peak = 0
        self._status: int | None = None

    def run(self, rows: Rows, beat: Callable[[], None]) -> None:
        """Execute it to its end; `beat` is called between pieces of output. On any exception the hook is killed first."""
        begun = time.monotonic()
        guarded = _Guarded(self)
        try:
            self._follow(guarded, rows, begun + self.seconds, beat)
        finally:
            guarded.leave()
        self._judge()

    def _follow(
        self, guarded: "_Guarded", rows: Rows, deadline: float, beat: Callable[[], None]
    ) -> None:
        watch = MemoryWatch(guarded.pid, self.memory)
        takers = {
            guarded.stdout: rows.take,
            guarded.stderr: self.log.take,
            guarded.status: self._take_status,
        }
        open_ends = set(takers)
        with selectors.DefaultSelector() as selector:
            for end in takers:
                selector.register(end, selectors.EVENT_READ)
            while open_ends:
                left = deadline - time.monotonic()
                for key, _ in selector.select(max(0.0, min(left, watch.pause))):
                    piece = os.read(key.fd, _PIECE)
                    takers[key.fd](piece)
                    if not piece:
                        selector.unregister(key.fd)
                        open_ends.discard(key.fd)
                beat()
                if guarded.told:
                    if time.monotonic() > deadline:
                        return
                elif guarded.status not in open_ends or self._is_over(watch, deadline):
                    # However it came to that (its guardian may have been killed): what it leaves behind must not keep its streams open.
                    guarded.kill()
                    deadline = time.monotonic() + _DRY_SECONDS
                if self._status is not None and open_ends == {guarded.status}:
                    return

    def _is_over(self, watch: MemoryWatch, deadline: float) -> bool:
        """Tell whether the hook has ended, or has to; `failure` says why it has to."""
        if self._status is None:
            self.failure = (
                "timeout"
                if time.monotonic() > deadline
                else "oom"
                if self.group and watch.is_over()
                else None
            )
        return self._status is not None or self.failure is not None

    def _take_status(self, piece: bytes) -> None:
        """`P pid` once the command is executed and `X wait-status peak-KiB`, each whole: they are far shorter than what a pipe takes at once."""
        for line in piece.decode().splitlines():
            if line.startswith("P "):
                self.group = int(line[2:])
            elif line.startswith("X "):
                _, status, peak = line.split()
                self._status, self._peak = int(status), int(peak) * 1024

    def _judge(self) -> None:
        # Without a word from the guardian, somebody has killed it, and the hook with it.
        self.exit_code = (
            os.waitstatus_to_exitcode(self._status) if self._status is not None else -signal.SIGKILL
        )
        self.was_watched = self.failure == "oom"
        if self.failure or not self.exit_code:
            return
        if self._peak > self.memory:
            self.failure = "oom"  # the kernel counted what passed between two looks
        elif self.exit_code < 0:
            self.failure = "killed" if -self.exit_code in _ENDED_BY_OTHERS else "crash"


class _Guarded:
    """The guardian's process and our ends of the pipes: `stdout` and `stderr` of the hook, `status` of the guardian.

    A hook may kill its guardian. Its processes then become children of this process (Linux), and are killed here.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.told = False
        self._attempt = attempt
        self._others = guardian.children()
        guardian.adopt_orphans(True)
        control_in, self._control = os.pipe()
        self.status, status_out = os.pipe()
        limit = str(attempt.memory * 2)
        argv = [
            sys.executable,
            "-I",
            "-S",
            guardian.__file__,
            str(control_in),
            str(status_out),
            limit,
            attempt.work,
            *attempt.command,
        ]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a program that somebody released is what is to be executed
                argv,
                stdin=attempt.stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=attempt.env,
                pass_fds=(control_in, status_out),
                start_new_session=True,
            )
        except BaseException:
            guardian.adopt_orphans(False)
            os.close(self._control)
            os.close(self.status)
            raise
        finally:
            os.close(control_in)
            os.close(status_out)
        assert self._process.stdout and self._process.stderr
        self.pid = self._process.pid
        self.stdout, self.stderr = self._process.stdout.fileno(), self._process.stderr.fileno()

    def kill(self) -> None:
        """Kill the hook and everything that it started."""
        self.told = True
        if not self._tell(b"k"):
            self._bury()

    def leave(self) -> None:
        """Kill what is left, and wait for the guardian to go."""
        self._tell(b"q")
        os.close(self._control)
        self._bury()
        guardian.adopt_orphans(False)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        os.close(self.status)

    def _bury(self) -> None:
        """Wait for the guardian to go; where it was killed, kill what it guarded."""
        try:
            self._process.wait(_DRY_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            for pid in guardian.kill_all(self._attempt.group, self._others):
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _tell(self, word: bytes) -> bool:
        """Tell the guardian; return False if it is gone."""
        try:
            os.write(self._control, word)
        except OSError:
            return False
        return True
