"""Lines for an import's blob without their secrets. An id is never changed: two of them could become one, and a record be lost for it."""

import json
from collections.abc import Iterator, Sequence

from telemetry_cli.core import values as rules
from telemetry_cli.redaction.lines import blob_line
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.transfer.models import BadRecord
from telemetry_cli.transfer.records import COLUMNS, derived_run_id

#: So many lines are looked at in one go.
_TOGETHER = 200
_IDS = ("event_id", "run_id", "parent_run_id")


def cleaned(redactor: Redactor, lines: Sequence[bytes]) -> Iterator[bytes | BadRecord]:
    """Each line as it may be kept, in order; or a bad record, where one of its ids looks like a secret. The value is not told."""
    for begin in range(0, len(lines), _TOGETHER):
        some = lines[begin : begin + _TOGETHER]
        # JSON takes at least as many bytes as the text in it.
        if any(len(line) > rules.LONGEST_ERROR_DETAILS for line in some) or redactor.suspects(
            b"".join(some)
        ):
            yield from (_cleaned(redactor, line) for line in some)
        else:
            yield from some


def _cleaned(redactor: Redactor, line: bytes) -> bytes | BadRecord:
    clean = blob_line(redactor, line, COLUMNS)
    field = _changed_id(json.loads(line), json.loads(clean)) if clean != line else None
    return (
        clean
        if field is None
        else BadRecord(
            field, "the id looks like a secret, and ids are stored as they stand; give another one"
        )
    )


def _changed_id(before: object, after: object) -> str | None:
    """Which id of a line is another one now."""
    if isinstance(before, dict) and isinstance(after, dict):
        return next(
            (
                name
                for name, old, new in zip(_IDS, before["of"], after["of"], strict=False)
                if old != new
            ),
            None,
        )
    assert isinstance(before, list)
    assert isinstance(after, list)
    changed = [name for name in _IDS if before[COLUMNS.index(name)] != after[COLUMNS.index(name)]]
    if changed == ["run_id"]:
        record = dict(zip(COLUMNS, before, strict=False))
        # Made from the agent's name and given by nobody: it may change as that name does.
        return None if record["run_id"] == derived_run_id(record) else "run_id"
    return changed[0] if changed else None
