"""What can be imported: format → how a file becomes records, and a record becomes a line of the blob."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from telemetry_cli.core import values as rules
from telemetry_cli.core.csv_text import MARK, restore
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.core.legacy_values import moment_of
from telemetry_cli.core.tables import RUN_FIELDS
from telemetry_cli.transfer import legacy_records as legacy
from telemetry_cli.transfer import sources
from telemetry_cli.transfer.models import BadRecord, Document, from_line, from_values
from telemetry_cli.transfer.records import Clean, Warn, run_line

#: A line for the blob, and whether it stands for a run (and not for an event or a commit of one).
Line = tuple[bytes, bool]


class Format:
    """`read` yields (line number, raw record) from a path or its `sources.Source`; `make` turns one into a line. Raises `BadRecord`.

    `make` is given what takes secrets out of a text, for where one is cut. `continues` tells that a later record of a run may say how it ended.
    """

    def __init__(
        self,
        read: Callable[[Any], Iterator[tuple[int, Any]]],
        make: Callable[[Any, Warn | None, Clean], Line],
        *,
        is_database: bool = False,
        continues: bool = False,
    ) -> None:
        self.read = read
        self.make = make
        self.is_database = is_database
        self.continues = continues


def _of_kind(kind: str) -> tuple[str, ...]:
    return tuple(name for name, field in RUN_FIELDS.items() if field.kind == kind)


_NUMBERS = _of_kind("count")
#: Texts that may consist of digits, which other programs take for numbers.
_DIGITS = _of_kind("text")
_TIMES = _of_kind("time")


def _from_json(raw: bytes, warn: Warn | None, _clean: Clean) -> Line:
    try:
        document = from_line(raw)
    except BadRecord:
        mended = _as_exported(raw, warn)
        if mended is None:
            raise
        document = from_values(mended)
    return run_line(document, warn, raw), True


def _as_exported(raw: bytes, warn: Warn | None) -> Document | None:
    """A record with values of the types that an export gives them, where pandas has written others; None where it has not.

    It writes 7.0 for 7 in a column with gaps, the number for a text of digits, and milliseconds since 1970 for a time.
    """
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    mended: Document = {}
    for name, value in found.items() if isinstance(found, dict) else ():
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(number) is not int:
            continue
        if name in _NUMBERS:
            mended[name] = number
        elif name in _DIGITS:
            mended[name] = str(number)
        elif name in _TIMES and (moment := moment_of(number)):
            mended[name] = moment
            if warn:
                warn("a number, and read as a time since 1970", name)
    return {**found, **mended} if mended else None


def _whole(cell: str) -> str:
    """A whole number in a cell without the fraction that pandas gives it."""
    whole, _, zeros = cell.partition(".")
    return cell if zeros.strip("0") else whole


def _from_csv(raw: dict[str, str] | BadRecord, warn: Warn | None, _clean: Clean) -> Line:
    if isinstance(raw, BadRecord):
        raise raw
    values: Document = {}
    for name, cell in raw.items():
        if not name:
            # The numbers of the rows, as pandas writes them.
            if warn is None:
                raise BadRecord(
                    None, f"the value {rules.shorten(repr(cell))} stands under no name of a column"
                )
            warn("left out", "a column without a name")
            continue
        values[name] = text = restore(cell)
        if warn and len(text) < len(cell) - 1 and not cell.startswith(MARK):
            # More than a quote went, and no mark says why: in a file of another program an escape may mean itself.
            warn("read with the characters that its escapes stand for", name)
    for name in _NUMBERS:
        if name in raw:
            try:
                values[name] = rules.count(name, _whole(raw[name]))
            except InvalidInput as error:
                raise BadRecord(name, error.message.removeprefix(f"{name}: ")) from None
    if "process_started" in raw:
        # Digits always; of another text nobody knows whether `.0` belongs to it.
        values["process_started"] = _whole(raw["process_started"])
    return run_line(from_values(values), warn), True


FORMATS = {
    "ndjson": Format(sources.ndjson, _from_json),
    "json": Format(sources.json_array, _from_json),
    "csv": Format(sources.csv_rows, _from_csv),
    "sqlite": Format(legacy.database_rows, legacy.database_line, is_database=True),
    "legacy-ndjson": Format(sources.ndjson, legacy.ndjson_line, continues=True),
}


def named(raw: Any) -> str | None:
    """The event_id that a bad record gives, as far as that can be read."""
    if isinstance(raw, bytes):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            return None
    if isinstance(raw, tuple):
        raw = raw[1]
    found = raw.get("event_id") if isinstance(raw, dict) else None
    return rules.shorten(str(found), 200) if found is not None else None
