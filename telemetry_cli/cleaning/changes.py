"""What a line or a row becomes without its secrets. Both of `scan` and `fix` go by this, so that nothing is left that one alone knows."""

import json
from collections.abc import Callable

from telemetry_cli import journal
from telemetry_cli.redact import Redactor


def journal_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of the journal, newline included, with a new CRC where it changed; one that is damaged stays damaged."""
    operation = journal.decode(line)
    data = operation["data"] if operation else None
    if operation is None or not isinstance(data, dict):
        return _text_line(redactor, line)
    cleaned = redactor.operation(data)
    if cleaned == data:
        return line
    return journal.encode({name: value for name, value in operation.items() if name != "v"} | {"data": cleaned})


def blob_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of a blob: a record as an operation's data, other JSON as JSON, anything else as text."""
    return _json_line(redactor, line, redactor.operation)


def stored_text(redactor: Redactor, text: str) -> str:
    """A value of a row: a journal line, JSON, or text."""
    if text.startswith('{"v":'):
        return journal_line(redactor, text.encode()).decode()
    if text.startswith(("{", "[")):
        return _json_line(redactor, text.encode(), redactor.value).decode()
    return redactor.text(text)


def _json_line(redactor: Redactor, line: bytes, record: Callable[[dict[str, object]], object]) -> bytes:
    """A line of JSON, `record` for an object; of text where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return _text_line(redactor, line)
    cleaned = record(value) if isinstance(value, dict) else redactor.value(value)
    if cleaned == value:
        return line
    return json.dumps(cleaned, separators=(",", ":")).encode() + (b"\n" if line.endswith(b"\n") else b"")


def _text_line(redactor: Redactor, line: bytes) -> bytes:
    text = line.decode(errors="surrogateescape")
    cleaned = redactor.text(text)
    # A line stays one line, and one that nothing was found in stays as it is to the byte.
    return line if cleaned == text else cleaned.replace("\n", " ").rstrip().encode(errors="surrogateescape") + (b"\n" if line.endswith(b"\n") else b"")
