"""What an attempt writes to stderr: the beginning and the end are kept, however much comes between."""

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
