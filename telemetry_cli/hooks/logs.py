"""What an attempt writes to stderr: the beginning and the end are kept, however much comes between."""

LONGEST_LOG = 1 << 20


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
        """At most `LONGEST_LOG` bytes of it, and a mark where the middle was cut out."""
        tail = self._tail[-(LONGEST_LOG // 2) :]
        cut = self.written - len(self._head) - len(tail)
        return bytes(self._head) + (b"\n[... %d bytes cut out here ...]\n" % cut if cut else b"") + bytes(tail)
