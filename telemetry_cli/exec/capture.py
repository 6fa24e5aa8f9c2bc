"""The end of a command's stderr: kept as it passes through us, or read back from the file that it goes to."""

import os
import sys
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from select import PIPE_BUF, POLLIN, POLLOUT, poll
from stat import S_ISCHR, S_ISFIFO, S_ISREG, S_ISSOCK

_STDOUT, _STDERR = 1, 2
_BLOCK = 1 << 16
#: What a pipe can hold at most; so much may have been written by the time that the command ended.
_LARGEST_PIPE = 1 << 20
#: More than the tail is kept until it is cleaned: a secret must not lose its beginning to the cut.
SLACK = 8192
LOOK_SECONDS = 0.05
#: Whoever reads our stderr and takes nothing for so long has stalled, and hears nothing more.
_STALLED_SECONDS = 0.5


def open_capture(tail: int) -> "Capture | FileEnd | None":
    """Return the means to keep the last `tail` bytes of stderr, or None where there is none.

    The order of stdout and stderr must hold where both go to one place. A pipe or socket gets both through one pipe of
    ours. A regular file is left alone and its end is read back later. Nobody sees an order in /dev/null. A terminal
    is the command's own.
    """
    try:
        stdout, stderr = os.fstat(_STDOUT), os.fstat(_STDERR)
        if S_ISCHR(stderr.st_mode) and os.isatty(_STDERR):
            return None
        is_shared = sys.stdout is not None and os.path.samestat(stdout, stderr)
        if not is_shared or _is_null(stderr):
            return Capture(tail, (_STDERR,))
        if S_ISFIFO(stderr.st_mode) or S_ISSOCK(stderr.st_mode):
            return Capture(tail, (_STDOUT, _STDERR))
    except OSError:
        return None  # No descriptors are left for a pipe: the command matters more.
    return FileEnd(tail, stderr.st_size) if S_ISREG(stderr.st_mode) else None


def _is_null(found: os.stat_result) -> bool:
    return S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev


class FileEnd:
    """The end of the regular file that stdout and stderr both go to. Nothing passes through us.

    It holds what the command wrote to either, and what others appended to the file meanwhile.
    """

    redirects: tuple[tuple[int, int], ...] = ()
    is_stalled = False
    has_thread = True

    def __init__(self, tail: int, size: int) -> None:
        self._most = tail + SLACK
        self._begin = size

    def begin(self) -> None:
        """Do nothing: the command writes to the file itself."""

    def take_turn(self) -> None:
        """Do nothing."""

    def finish(self, _give_up: Callable[[], bool]) -> bytes:
        """Return the last bytes that were added to the file, none where it cannot be read."""
        try:
            file = os.open(f"/dev/fd/{_STDERR}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            end = os.fstat(file).st_size
            # A file that was truncated meanwhile holds nothing from before.
            begin = self._begin if self._begin <= end else 0
            first = max(begin, end - self._most)
            kept = os.pread(file, end - first, first)
        except OSError:
            return b""
        finally:
            os.close(file)
        return _from_a_beginning(kept) if first > begin else kept


class Capture:
    """A pipe for a command's `streams`: what comes is written to our own stderr at once, and the last bytes of it are kept.

    Memory: the tail and some blocks, however much comes.
    """

    def __init__(self, tail: int, streams: tuple[int, ...]) -> None:
        self._most = tail + SLACK
        self._source, self._sink = os.pipe()
        self._waking, self._wake = os.pipe()
        #: Pairs of our descriptor and the command's that it becomes.
        self.redirects = tuple((self._sink, stream) for stream in streams)
        self._kept: list[bytes] = []
        self._size = 0
        self._is_cut = False
        self._is_over = False
        self._done = allocate_lock()
        self.is_stalled = False
        self.has_thread = True

    def begin(self) -> None:
        """Pass on what comes, in a thread. The command holds the other end by now.

        Where no thread can be started `has_thread` is False, and `take_turn` must be called again and again.
        """
        os.close(self._sink)
        self._done.acquire()
        try:
            start_new_thread(self._relay, ())
        except RuntimeError:
            self.has_thread = False
            os.set_blocking(self._source, False)

    def take_turn(self, give_up: Callable[[], bool] = lambda: True) -> bool:
        """Pass on what is there now, without a thread. Return False where our stderr takes nothing and `give_up` says to stop."""
        try:
            for _ in range(_LARGEST_PIPE // PIPE_BUF):
                if self._is_over or not _ready(self._source, POLLIN, 0):
                    break
                while not _ready(_STDERR, POLLOUT, LOOK_SECONDS):
                    if give_up():
                        return False
                self._step(PIPE_BUF)
        except OSError:
            self._end()
        return True

    def finish(self, give_up: Callable[[], bool]) -> bytes:
        """What was kept, once all that the command wrote is passed on, or `give_up` says so: whoever reads it may not read on.

        It begins with a line, or where there is none with a word. `is_stalled` tells then that a word of ours would not be read
        either, and that saying it would take for ever.

        Other processes may hold the pipe still: nobody waits for them, and a process of ours stays to pass on what they write.
        """
        if self.has_thread:
            os.write(self._wake, b"!")
            while not self._done.acquire(True, LOOK_SECONDS):
                if give_up():
                    self.is_stalled = not _ready(_STDERR, POLLOUT, _STALLED_SECONDS)
                    break
            else:
                self._leave_relay()
        elif self.take_turn(give_up):
            self._leave_relay()
        else:
            self.is_stalled = True
        kept = b"".join(self._kept)
        return (
            _from_a_beginning(kept[-self._most :])
            if self._is_cut or len(kept) > self._most
            else kept
        )

    def _relay(self) -> None:
        try:
            self._pass_on()
        except OSError:
            self._end()  # Nobody reads our stderr any more: the command is to find that out as it would without us.
        finally:
            self._done.release()

    def _pass_on(self) -> None:
        """Pass on all that comes until the command has ended, and then what is there."""
        waiting = poll()
        waiting.register(self._source, POLLIN)
        waiting.register(self._waking, POLLIN)
        while self._waking not in dict(waiting.poll()):
            if not self._step(_BLOCK):
                return
        os.set_blocking(self._source, False)
        left = _LARGEST_PIPE
        while left > 0 and (size := self._step(_BLOCK)):
            left -= size

    def _step(self, most: int) -> int:
        """Pass one block on and return its size; 0 where nothing is there now, or ever. Raises `BrokenPipeError`."""
        try:
            block = os.read(self._source, most)
        except BlockingIOError:
            return 0
        if block:
            self._take(block)
        else:
            self._end()
        return len(block)

    def _end(self) -> None:
        self._is_over = True
        os.close(self._source)

    def _leave_relay(self) -> None:
        """Where others still hold the pipe, leave a process that passes on what they write and ends when the last of them does.

        A service that the command started would die of SIGPIPE otherwise. It holds nothing but the pipe and our stderr, and
        no signal to our process group or from a terminal ends it, since the service would not survive that.
        """
        if self._is_over:
            return
        try:
            if os.fork():
                return
        except OSError:
            return
        try:
            os.setsid()
            os.chdir("/")
            os.closerange(0, _STDERR)
            os.closerange(_STDERR + 1, self._source)
            os.closerange(self._source + 1, os.sysconf("SC_OPEN_MAX"))
            os.set_blocking(self._source, True)
            while self._step(_BLOCK):
                pass
        finally:
            os._exit(0)

    def _take(self, block: bytes) -> None:
        """Keep a block and write it. What cannot be written, as on a full disk, is dropped, and the next block tried again.

        A pipe that closed then would end the command by SIGPIPE, which a full disk does not. Raises `BrokenPipeError`.
        """
        self._kept.append(block)
        self._size += len(block)
        while self._size - len(self._kept[0]) >= self._most:
            self._size -= len(self._kept.pop(0))
            self._is_cut = True
        view = memoryview(block)
        while view:
            try:
                view = view[os.write(_STDERR, view) :]
            except BlockingIOError:
                _ready(_STDERR, POLLOUT, None)
            except BrokenPipeError:
                raise
            except OSError:
                return


def _ready(descriptor: int, event: int, seconds: float | None) -> bool:
    """Wait until a descriptor can be read or written, at most so many seconds, and tell whether it can."""
    waiting = poll()
    waiting.register(descriptor, event)
    return bool(waiting.poll(None if seconds is None else seconds * 1000))


def _from_a_beginning(cut: bytes) -> bytes:
    """What was cut at its head without the rest of the line that the cut went through.

    Cleaning may shorten what follows until that rest would be kept, and half a secret is known by no rule. Of a line
    without an end, what is kept for the rules alone goes, and then the rest of the word: all of it where there is no other.
    """
    _, newline, rest = cut.partition(b"\n")
    if newline:
        return rest
    words = cut[SLACK:].split(maxsplit=1)
    return words[1] if len(words) > 1 else b""


def tail(text: str, most: int) -> str:
    """The last `most` bytes of a cleaned text, from the beginning of a line where there is one in reach."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    cut = encoded[len(encoded) - most :].decode(errors="ignore")
    first, newline, rest = cut.partition("\n")
    return rest if newline and len(first) < most // 2 else cut
