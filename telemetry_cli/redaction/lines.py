"""Lines of JSON and of text without their secrets: what blobs are made of."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from telemetry_cli.redaction.redactor import Redactor

#: So many lines are looked at in one go.
_TOGETHER = 200


def redacted(own: Mapping[str, str], lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a blob as they may be kept, some in one piece; `own` are the user's rules. What holds no sign of a secret costs a look at it."""
    redactor = Redactor(own)
    rest = iter(lines)
    while some := list(islice(rest, _TOGETHER)):
        piece = b"".join(some)
        yield (
            b"".join(blob_line(redactor, line) for line in some)
            if redactor.suspects(piece)
            else piece
        )


def redacted_text(own: Mapping[str, str], content: bytes) -> Iterator[bytes]:
    """The lines of a text as it may be kept, also without a private key, which only its first and its last line tell."""
    if b"PRIVATE KEY" in content:
        content = (
            Redactor({}, {})
            .text(content.decode(errors="surrogateescape"))
            .encode(errors="surrogateescape")
        )
    return redacted(own, content.splitlines(keepends=True))


def blob_lines(
    redactor: Redactor, lines: Iterable[bytes], known: Container[str]
) -> Iterator[bytes]:
    """The lines of a blob of any kind, one by one; an import's begins with the columns of its runs, which are `known`, and stays as it is."""
    rest = iter(lines)
    first = next(rest, None)
    if first is None:
        return
    columns = columns_of(first, known)
    yield first if columns else blob_line(redactor, first)
    for line in rest:
        yield blob_line(redactor, line, columns)


def columns_of(first: bytes, known: Container[str]) -> Sequence[str]:
    """What the values of a run's line are, by the first line of its blob; nothing where that tells no such thing."""
    try:
        found = json.loads(first) if first.startswith(b'{"columns":[') else {}
    except (ValueError, RecursionError):
        return ()
    return (
        found["columns"]
        if found.keys() == {"columns"}
        and all(isinstance(name, str) and name in known for name in found["columns"])
        else ()
    )


def blob_line(redactor: Redactor, line: bytes, columns: Sequence[str] = ()) -> bytes:
    """A line of a blob: a record as an operation's data, an import's run by its columns, other JSON as JSON, anything else as text."""
    return json_line(redactor, line, redactor.operation, partial(redactor.row, columns))


def json_line(
    redactor: Redactor,
    line: bytes,
    record: Callable[[dict[str, object]], object],
    row: Callable[[list[object]], object] | None = None,
) -> bytes:
    """A line of JSON, `record` for an object and `row` for an array; of text where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return text_line(redactor, line)
    if isinstance(value, dict):
        cleaned = record(value)
    elif isinstance(value, list) and row:
        cleaned = row(value)
    else:
        cleaned = redactor.value(value)
    if cleaned == value:
        return line
    return json.dumps(cleaned, separators=(",", ":")).encode() + (
        b"\n" if line.endswith(b"\n") else b""
    )


def text_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of text; one line stays one line."""
    text = line.decode(errors="surrogateescape")
    cleaned = redactor.text(text)
    # A line stays one line, and one that nothing was found in stays as it is to the byte.
    return (
        line
        if cleaned == text
        else cleaned.replace("\n", " ").rstrip().encode(errors="surrogateescape")
        + (b"\n" if line.endswith(b"\n") else b"")
    )
