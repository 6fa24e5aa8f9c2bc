"""How values of the legacy platform become ours: canonical statuses, times without zone, a valid value in place of a bad one.

Pure functions, row in and row out, for everything that meets such rows: the import of its files, and whoever adopts one of
its databases. **The event_id of a run that has none is UUIDv5 of "telemetry-cli:run:" + run_id in `uuid.NAMESPACE_URL`.**
Every door must derive it through `event_id_of`: only then do a database that was migrated and the same one imported
elsewhere agree on which run is which.
"""

import json
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from telemetry_cli import rules
from telemetry_cli.clock import stamp
from telemetry_cli.errors import InvalidInput

Row = dict[str, object]

#: What stands in for a name or type that is missing, and for a time that nobody knows.
UNKNOWN = "unknown"
EPOCH = "1970-01-01T00:00:00.000Z"

_OBJECTS = ("metrics_json", "context_json")
_NUMBERS = (*rules.COUNT_FIELDS, "api_posted", "api_retry_count")
_TEXTS = (*rules.TEXT_FIELDS, "git_repo", "git_branch", "git_run_tag", "git_commit_author", "parent_run_id", "api_posted_at", "git_dir", "boot_id")


def event_id_of(run_id: str) -> str:
    """The event_id of a run from before there were any: the same one on every machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"telemetry-cli:run:{jsonable(run_id)}"))


def run(row: Mapping[str, object]) -> tuple[Row, Row]:
    """A run of the legacy platform as (what is stored of it, what broke a rule and must be kept elsewhere).

    Takes the columns of `agent_runs` of any version, null or missing where a version has none; other keys are nobody's
    business here. The first row satisfies every rule of a run; JSON columns are objects in it. The second holds original values.
    """
    misfits: Row = {}
    made: Row = _names(row, misfits) | _times(row, misfits)
    made["status"] = _status(row.get("status"), made, misfits)
    for name in _TEXTS:
        _keep(made, misfits, name, row.get(name), rules.optional_text)
    _keep(made, misfits, "error_details", row.get("error_details"), rules.error_details)
    for name in _NUMBERS:
        made[name] = _number(name, row.get(name), misfits)
    for name in _OBJECTS:
        made[name] = _object(name, row.get(name), misfits)
    _keep(made, misfits, "git_commit_hash", row.get("git_commit_hash"), _commit_hash)
    _keep(made, misfits, "git_commit_source", row.get("git_commit_source"), lambda name, value: rules.choice(name, value, rules.COMMIT_SOURCES))
    return made, misfits


def event(row: Mapping[str, object]) -> Row:
    """An event (event_type, timestamp, payload_json and the ids of its trace). Raises `InvalidInput` when its time cannot be read."""
    found = instant(row.get("timestamp"))
    if found is None:
        raise InvalidInput(f"timestamp: {rules.shorten(repr(row.get('timestamp')))} is not a time")
    made: Row = {"event_type": _cut("event_type", row.get("event_type"), {}), "timestamp": found, "payload_json": _payload(row.get("payload_json"))}
    for name in ("trace_id", "span_id", "parent_span_id"):
        _keep(made, {}, name, row.get(name), rules.optional_text)
    return made


def instant(value: object) -> str | None:
    """A time as it is stored; one without a zone is UTC. None where it cannot be read."""
    try:
        moment = datetime.fromisoformat(str(value).strip())
        return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def jsonable(value: object) -> object:
    """An original value as JSON can hold it: bytes as hex digits, what is no number or text spelled out."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, int) and abs(value) > rules.LARGEST_INTEGER:
        return str(value)
    if isinstance(value, (dict, list)):
        return jsonable(json.dumps(value))
    return value


# Parts


def _names(row: Mapping[str, object], misfits: Row) -> Row:
    made: Row = {}
    for name in ("agent_name", "job_type"):
        made[name] = _cut(name, row.get(name), misfits)
    _keep(made, misfits, "run_id", row.get("run_id"), rules.run_id)
    _keep(made, misfits, "event_id", row.get("event_id"), rules.event_id)
    if "run_id" not in made:
        given = "".join("-" if char in "/\\" or not char.isprintable() else char for char in str(row.get("run_id") or row.get("event_id") or ""))
        made["run_id"] = given[:255].strip() or UNKNOWN
    if "event_id" not in made:
        made["event_id"] = event_id_of(str(row.get("run_id") or made["run_id"]))
    return made


def _cut(name: str, value: object, misfits: Row) -> str:
    text = _text(value)
    if text is None or not text.strip() or "\0" in text:
        if value is not None:
            misfits[name] = value
        return UNKNOWN
    if len(text) > 200:
        misfits[name] = value
    return text[:200] if text[:200].strip() else UNKNOWN


def _text(value: object) -> str | None:
    """A value as text, or None where it is none: null, bytes, or text that is not valid Unicode."""
    if value is None or isinstance(value, bytes):
        return None
    text = str(value)
    return text if text == jsonable(text) else None


def _keep(made: Row, misfits: Row, name: str, value: object, rule: Callable[[str, str], object]) -> None:
    """Put a value where it belongs if it keeps its rule, else among the misfits. Null and empty ones are simply not there."""
    if value is None or value == "":
        return
    text = _text(value)
    try:
        found = rule(name, text) if text is not None else None
    except InvalidInput:
        found = None
    if found is not None:
        made[name] = found
    else:
        misfits[name] = value


def _times(row: Mapping[str, object], misfits: Row) -> Row:
    found: Row = {}
    for name in ("start_time", "end_time", "created_at", "updated_at", "git_commit_timestamp"):
        value = row.get(name)
        if value is None or value == "":
            continue
        moment = instant(value)
        if moment is None:
            misfits[name] = value
        else:
            found[name] = moment
    start = found.setdefault("start_time", found.get("created_at", found.get("end_time", found.get("updated_at", EPOCH))))
    if str(found.get("end_time", "~")) < str(start):
        misfits["end_time"] = row["end_time"]
        found["end_time"] = start
    created = found.setdefault("created_at", start)
    if str(found.setdefault("updated_at", created)) < str(created):
        misfits["updated_at"] = row["updated_at"]
        found["updated_at"] = created
    return found


def _status(value: object, made: Row, misfits: Row) -> str:
    """A canonical status, as a migration makes it: none at all is a run that goes on, or of which only the end is known."""
    if value is None or not str(value).strip():
        return "partial" if "end_time" in made else "running"
    try:
        return rules.status("status", str(value).strip())
    except InvalidInput:
        misfits["status"] = value
        return "partial"


def _number(name: str, value: object, misfits: Row) -> int:
    if value is None or value == "":
        return 0
    text = str(int(value)) if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()) else str(value)
    try:
        return rules.count(name, text)
    except InvalidInput:
        misfits[name] = value
        return 0


def _object(name: str, value: object, misfits: Row) -> Row:
    if value is None or value == "":
        return {}
    try:
        return rules.json_object(name, value if isinstance(value, str) else json.dumps(value))
    except (InvalidInput, TypeError, ValueError):
        misfits[name] = value
        return {}


def _payload(value: object) -> object:
    """JSON where it is some, else the value itself as JSON can hold it."""
    if isinstance(value, (dict, list)):
        value = json.dumps(value)
    if not isinstance(value, str):
        return jsonable(value)
    try:
        return rules.json_value("payload_json", value) if value else None
    except InvalidInput:
        return jsonable(value)


def _commit_hash(name: str, value: str) -> str:
    found = rules.commit_hash(value)
    if found is None:
        raise InvalidInput(f"{name}: {rules.shorten(value)!r} is no SHA")
    return found
