"""What a line or a row becomes without its secrets. Both of `scan` and `fix` go by this, so that nothing is left that one alone knows."""

from telemetry_cli import journal
from telemetry_cli.redact import Redactor
from telemetry_cli.redact_lines import json_line, text_line


def journal_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of the journal, newline included, with a new CRC where it changed; one that is damaged stays damaged."""
    operation = journal.decode(line)
    data = operation["data"] if operation else None
    if operation is None or not isinstance(data, dict):
        return text_line(redactor, line)
    cleaned = redactor.operation(data)
    if cleaned == data:
        return line
    return journal.encode({name: value for name, value in operation.items() if name != "v"} | {"data": cleaned})


def stored_text(redactor: Redactor, text: str, *, is_result: bool = False) -> str:
    """A value of a row: a journal line, JSON, or text. `is_result`: of an operation, whose ids stay as they do in the operation."""
    if text.startswith('{"v":'):
        return journal_line(redactor, text.encode()).decode()
    if text.startswith(("{", "[")):
        return json_line(redactor, text.encode(), redactor.operation if is_result else redactor.value).decode()
    return redactor.text(text)
