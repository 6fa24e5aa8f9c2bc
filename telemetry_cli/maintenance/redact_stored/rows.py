"""What a line or a row becomes without its secrets. Both of `scan` and `fix` go by this, so that nothing is left that one alone knows."""

import json

from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.journal import segments as journal
from telemetry_cli.maintenance.redact_stored.redactor import Cleaner
from telemetry_cli.redaction.lines import text_line


def journal_line(cleaner: Cleaner, line: bytes) -> bytes:
    """A line of the journal, newline included, with a new CRC where it changed; one that is damaged stays damaged."""
    operation = journal.decode(line)
    data = operation.get("data") if operation else None
    if operation is None or not isinstance(data, dict):
        return text_line(cleaner, line)
    try:
        cleaned = cleaner.operation(data)
    except InvalidInput:
        # It holds a text that no column takes, so it was refused when it was applied.
        return text_line(cleaner, line)
    if cleaned == data:
        return line
    return journal.encode(
        {name: value for name, value in operation.items() if name != "v"} | {"data": cleaned}
    )


def stored_text(cleaner: Cleaner, table: str, column: str, text: str) -> str:
    """A value of a row: a journal line, JSON as it is stored, or text, within what its column holds at most; a name as it is."""
    if cleaner.is_kept(table, column, text):
        cleaner.keep(text)
        return text
    if text.startswith('{"v":'):
        return (
            journal_line(cleaner, text.encode(errors="surrogateescape"))
            .decode(errors="surrogateescape")
            .rstrip("\n")
        )
    if text.startswith(("{", "[")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return cleaner.text(text)
        # The ids in an operation's result stay, as they do in the operation.
        is_result = (table, column) == ("op_results", "result_json") and isinstance(value, dict)
        cleaned = (
            cleaner.operation(value)
            if is_result
            else cleaner.field(column.removesuffix("_json"), value)
        )
        return text if cleaned == value else _encoded(cleaned)
    cleaned = cleaner.text(text)
    if cleaned == text:
        return text
    try:
        return str(cleaner.operation({column: cleaned})[column])
    except InvalidInput:
        # Not UTF-8: of a database that is not ours yet.
        return cleaned


def _encoded(value: object) -> str:
    """JSON as it is stored; escaped where it holds what is no text, as values of a database that was adopted may."""
    for is_ascii in (False, True):
        made = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=is_ascii)
        try:
            made.encode()
            break
        except UnicodeEncodeError:
            continue
    return made
