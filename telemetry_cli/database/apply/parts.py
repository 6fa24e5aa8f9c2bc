"""Runs that are told of in parts: what one more record of a run adds to what is there. Values by column, as the table has them."""

from telemetry_cli.core.clock import milliseconds_between
from telemetry_cli.core.legacy_values import EPOCH, UNKNOWN
from telemetry_cli.core.values import encode
from telemetry_cli.database.apply.runs import laid_over
from telemetry_cli.database.database import read_json

Values = dict[str, object]

_JSON = ("metrics_json", "context_json")
_TIMES = ("start_time", "end_time", "created_at", "updated_at")
#: What stands where nothing is known.
_GAPS = (None, "", UNKNOWN)


def continued(there: Values, said: Values) -> Values:
    """What a run that goes on becomes by a record that ends it, which says these columns: its values count, and no run ends before it starts."""
    new = said | {name: _laid_over(there[name], said[name]) for name in _JSON if name in said}
    new.pop("created_at", None)
    if "updated_at" in said:
        new["updated_at"] = max(str(there["updated_at"]), str(said["updated_at"] or ""))
    if said.get("end_time"):
        new["end_time"] = max(
            str(said["end_time"]), str(new.get("start_time", there["start_time"]))
        )
    return new


def completed(there: Values, said: Values) -> Values:
    """What a run that has begun, or ended, gets of another record of it: what nobody knew yet, and the earlier time of its beginning."""
    # Only where the beginning was never told: a 0 that the end says is no gap for the beginning, come again, to fill.
    gaps = (*_GAPS, 0) if there["agent_name"] == UNKNOWN else _GAPS
    new = {
        name: value for name, value in said.items() if there[name] in gaps and name not in _TIMES
    }
    new |= {name: _laid_over(said[name], there[name]) for name in _JSON if name in said}
    start, end = said.get("start_time"), there["end_time"]
    if (
        start
        and (there["start_time"] == EPOCH or str(start) < str(there["start_time"]))
        and not (end and str(end) < str(start))
    ):
        new["start_time"] = start
    # A time of making that nobody told is that of the beginning.
    created = said.get("created_at") or (
        new.get("start_time") if there["created_at"] == there["start_time"] else None
    )
    if created and (there["created_at"] == EPOCH or str(created) < str(there["created_at"])):
        new |= {"created_at": created, "updated_at": max(str(there["updated_at"]), str(created))}
    return new


def with_duration(there: Values, new: Values) -> Values:
    """Add the duration that two records tell only together: the one has the start, the other the end. 0 is none."""
    run = there | new
    if run["duration_ms"] or not run["end_time"] or run["start_time"] == EPOCH:
        return new
    return new | {"duration_ms": milliseconds_between(str(run["start_time"]), str(run["end_time"]))}


def _laid_over(below: object, above: object) -> str:
    """The same of two JSON texts, what has no place of its own (`extra`) too."""
    return encode(laid_over(read_json(below), read_json(above), "extra"))
