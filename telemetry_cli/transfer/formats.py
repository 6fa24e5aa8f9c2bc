"""What can be imported: format → how a file becomes records, and a record becomes a line of the blob."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from telemetry_cli import rules
from telemetry_cli.errors import InvalidInput
from telemetry_cli.transfer import legacy, sources
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


def _from_json(raw: bytes, warn: Warn | None, _clean: Clean) -> Line:
    return run_line(from_line(raw), warn, raw), True


_NUMBERS = (*rules.COUNT_FIELDS, "pid", "api_posted", "api_retry_count")


def _from_csv(raw: dict[str, str] | BadRecord, warn: Warn | None, _clean: Clean) -> Line:
    if isinstance(raw, BadRecord):
        raise raw
    values: Document = dict(raw)
    for name in _NUMBERS:
        if name in raw:
            try:
                values[name] = rules.count(name, raw[name])
            except InvalidInput as error:
                raise BadRecord(name, error.message.removeprefix(f"{name}: ")) from None
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
