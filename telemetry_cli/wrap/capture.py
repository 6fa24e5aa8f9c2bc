"""stderr on its way: passed on as it comes, its end kept."""

import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from select import POLLIN, POLLOUT, poll

_STDERR = 2
_BLOCK = 1 << 16
#: What a pipe can hold at most; so much may have been written by the time that the command ended.
_LARGEST_PIPE = 1 << 20
#: More than the tail is kept until it is cleaned: a secret must not lose its beginning to the cut.
SLACK = 8192
_LOOK_SECONDS = 0.05
#: Whoever reads our stderr and takes nothing for so long has stalled, and hears nothing more.
_STALLED_MILLISECONDS = 500


class Capture:
    """A pipe for a command's stderr: what comes is written to our own stderr at once, and the last bytes of it are kept.

    Memory: the tail and some blocks, however much comes.
    """

    def __init__(self, tail: int) -> None:
        self._most = tail + SLACK
        self._source, self.sink = os.pipe()
        self._waking, self._wake = os.pipe()
        self._kept: list[bytes] = []
        self._size = 0
        self._is_cut = False
        self._done = allocate_lock()
        self.is_stalled = False

    def begin(self) -> None:
        """Pass on what comes, in a thread. The command holds the other end by now."""
        os.close(self.sink)
        self._done.acquire()
        start_new_thread(self._relay, ())

    def finish(self, give_up: Callable[[], bool]) -> bytes:
        """What was kept, once all that the command wrote is passed on, or `give_up` says so: whoever reads it may not read on.

        It begins with a line, or where there is none with a word. `is_stalled` tells then that a word of ours would not be read
        either, and that saying it would take for ever.

        Other processes may hold the pipe still: nobody waits for them, and they find it closed.
        """
        os.write(self._wake, b"!")
        while not self._done.acquire(True, _LOOK_SECONDS):
            if give_up():
                self.is_stalled = not _writable().poll(_STALLED_MILLISECONDS)
                break
        kept = b"".join(self._kept)
        return _from_a_beginning(kept[-self._most :]) if self._is_cut or len(kept) > self._most else kept

    def _relay(self) -> None:
        try:
            self._pass_on()
        except OSError:
            pass  # Nobody reads our stderr any more: the command is to find that out as it would without us.
        finally:
            os.close(self._source)
            self._done.release()

    def _pass_on(self) -> None:
        waiting = poll()
        waiting.register(self._source, POLLIN)
        waiting.register(self._waking, POLLIN)
        while self._waking not in dict(waiting.poll()):
            block = os.read(self._source, _BLOCK)
            if not block:
                return
            self._take(block)
        os.set_blocking(self._source, False)
        left = _LARGEST_PIPE
        while left > 0:
            try:
                block = os.read(self._source, _BLOCK)
            except BlockingIOError:
                return
            if not block:
                return
            self._take(block)
            left -= len(block)

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
                _writable().poll()
            except BrokenPipeError:
                raise
            except OSError:
                return


def _writable() -> poll:
    """To wait until our stderr takes something."""
    ready = poll()
    ready.register(_STDERR, POLLOUT)
    return ready


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
