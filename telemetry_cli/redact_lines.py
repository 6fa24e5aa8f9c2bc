"""Lines of JSON and of text without their secrets: what blobs are made of."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from telemetry_cli.redact import Redactor

#: So many lines are looked at in one go.
_TOGETHER = 200


def redacted(own: Mapping[str, str], lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a blob as they may be kept, some in one piece; `own` are the user's rules. What holds no sign of a secret costs a look at it."""
    redactor = Redactor(own)
    rest = iter(lines)
    while some := list(islice(rest, _TOGETHER)):
        piece = b"".join(some)
        yield piece if not redactor.suspects(piece) else b"".join(blob_line(redactor, line) for line in some)


def blob_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of a blob: a record as an operation's data, other JSON as JSON, anything else as text."""
    return json_line(redactor, line, redactor.operation)


def json_line(redactor: Redactor, line: bytes, record: Callable[[dict[str, object]], object]) -> bytes:
    """A line of JSON, `record` for an object; of text where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return text_line(redactor, line)
    cleaned = record(value) if isinstance(value, dict) else redactor.value(value)
    if cleaned == value:
        return line
    return json.dumps(cleaned, separators=(",", ":")).encode() + (b"\n" if line.endswith(b"\n") else b"")


def text_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of text; one line stays one line."""
    text = line.decode(errors="surrogateescape")
    cleaned = redactor.text(text)
    # A line stays one line, and one that nothing was found in stays as it is to the byte.
    return line if cleaned == text else cleaned.replace("\n", " ").rstrip().encode(errors="surrogateescape") + (b"\n" if line.endswith(b"\n") else b"")
