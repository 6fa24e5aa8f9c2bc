"""By which names operations refer to runs. A run_id among them stays as it is, or the journal would no longer find its run."""

import json
from collections.abc import Iterator

from telemetry_cli.core.config import Config
from telemetry_cli.database import runs
from telemetry_cli.journal import blobs, buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.redaction.lines import columns_of
from telemetry_cli.redaction.redactor import Redactor

_FIELDS = ("run", "parent", "parent_run_id")


def of(config: Config) -> frozenset[str]:
    """Those that look like secrets, by their shape. Memory: these alone."""
    shapes = Redactor(config.redact_rules, {})
    return frozenset(name for name in _all(config) if shapes.text(name) != name)


def _all(config: Config) -> Iterator[str]:
    for segment in journal.segments(config):
        for line in journal.lines_of(config, segment):
            yield from _in_operation(line)
    for waiting in buffer.waiting(config):
        yield from _in_operation(buffer.read(config, waiting))
    for digest in blobs.kept(config):
        with blobs.open_blob(config, digest) as file:
            first = next(iter(file), b"")
            columns = columns_of(first, runs.COLUMNS)
            place = list(columns).index("parent_run_id") if "parent_run_id" in columns else None
            for line in file if columns else ():
                yield from _in_record(line, place)


def _in_operation(line: bytes) -> Iterator[str]:
    operation = journal.decode(line)
    data = operation.get("data") if operation else None
    if isinstance(data, dict):
        yield from _texts([data.get(name) for name in _FIELDS])


def _in_record(line: bytes, place: int | None) -> Iterator[str]:
    """A run of an import, or what stands alone in it and names its run."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(record, list) and place is not None and place < len(record):
        yield from _texts([record[place]])
    elif isinstance(record, dict) and isinstance(record.get("of"), list):
        yield from _texts(record["of"])


def _texts(values: list[object]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))
