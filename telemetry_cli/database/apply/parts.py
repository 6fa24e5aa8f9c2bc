"""Merge another record of a run into its row: legacy NDJSON has one line for start and one for end.

Values are by column, as the table stores them. The result does not depend on the order of records.
"""

from telemetry_cli.core.clock import milliseconds_between
from telemetry_cli.core.legacy_values import EPOCH, UNKNOWN
from telemetry_cli.core.values import encode
from telemetry_cli.database.apply.runs import laid_over
from telemetry_cli.database.database import read_json

Values = dict[str, object]

_JSON = ("metrics_json", "context_json")
_TIMES = ("start_time", "end_time", "created_at", "updated_at")
#: Values that mean that nothing is recorded.
_GAPS = (None, "", UNKNOWN)


def continued(row: Values, given: Values) -> Values:
    """Return what a record that ends a running run changes: its values replace those of the row.

    The end is not before the start.
    """
    new = given | {name: _merge_json(row[name], given[name]) for name in _JSON if name in given}
    new.pop("created_at", None)
    if "updated_at" in given:
        new["updated_at"] = max(str(row["updated_at"]), str(given["updated_at"] or ""))
    if given.get("end_time"):
        new["end_time"] = max(str(given["end_time"]), str(new.get("start_time", row["start_time"])))
    return new


def completed(row: Values, given: Values) -> Values:
    """Return what any other record changes: it fills gaps of the row, and moves the start back."""
    # 0 is a gap only while the start is missing: an end that says 0 means it.
    gaps = (*_GAPS, 0) if row["agent_name"] == UNKNOWN else _GAPS
    new = {name: value for name, value in given.items() if row[name] in gaps and name not in _TIMES}
    new |= {name: _merge_json(given[name], row[name]) for name in _JSON if name in given}
    start, end = given.get("start_time"), row["end_time"]
    if (
        start
        and (row["start_time"] == EPOCH or str(start) < str(row["start_time"]))
        and not (end and str(end) < str(start))
    ):
        new["start_time"] = start
    if given.get("end_time") and not end and row["status"] != "running":
        new["end_time"] = max(str(given["end_time"]), str(new.get("start_time", row["start_time"])))
        if not row["duration_ms"] and given.get("duration_ms"):
            new["duration_ms"] = given["duration_ms"]
    # Without a time of its own, a run was created at its start.
    created = given.get("created_at") or (
        new.get("start_time") if row["created_at"] == row["start_time"] else None
    )
    if created and (row["created_at"] == EPOCH or str(created) < str(row["created_at"])):
        new |= {"created_at": created, "updated_at": max(str(row["updated_at"]), str(created))}
    return new


def with_duration(row: Values, new: Values) -> Values:
    """Add the duration in milliseconds if start and end are known and no record states one.

    A duration of 0 counts as none. One that equals the time from start to end follows both.
    """
    run = row | new
    is_stated = run["duration_ms"] and (
        new.get("duration_ms") or run["duration_ms"] != _measure_duration(row)
    )
    duration = None if is_stated else _measure_duration(run)
    return new if duration is None else new | {"duration_ms": duration}


def _measure_duration(run: Values) -> int | None:
    """Return the milliseconds from start to end; None if either is unknown."""
    if not run["end_time"] or run["start_time"] == EPOCH:
        return None
    return milliseconds_between(str(run["start_time"]), str(run["end_time"]))


def _merge_json(below: object, above: object) -> str:
    """Return two JSON objects as one; `extra`, the object of unknown fields, is merged as well."""
    return encode(laid_over(read_json(below), read_json(above), "extra"))
