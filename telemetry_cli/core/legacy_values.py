"""Convert values of the legacy platform to ours, for migration and import alike."""

import json
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from telemetry_cli.core import values as rules
from telemetry_cli.core.clock import milliseconds_between, stamp
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.core.tables import RUN_FIELDS


def is_exact(source: str) -> bool:
    """Tell whether every number in the JSON, which is valid, comes out of a float as it went in."""
    lost = []

    def real(digits: str) -> float:
        number = float(digits)
        if not rules.keeps_digits(digits, number):
            lost.append(digits)
        return number

    json.loads(source, parse_float=real)
    return not lost


def is_finer(text: str) -> bool:
    """Tell whether a time says more than milliseconds."""
    fraction = text.replace(",", ".").partition(".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    return bool(digits[3:].strip("0"))


Row = dict[str, object]
_Value = TypeVar("_Value")

#: What stands in for a name or type that is missing, and for a time that nobody knows.
UNKNOWN = "unknown"
EPOCH = "1970-01-01T00:00:00.000Z"

_LONGEST_NAME = 200
_LONGEST_RUN_ID = 255
_TEXTS = tuple(
    name
    for name, field in RUN_FIELDS.items()
    if field.kind in ("text", "remote") and name != "error_details"
)
_COUNTS = (*rules.COUNT_FIELDS, "api_posted", "api_retry_count")
#: Numbers that can only be seconds, or milliseconds, since 1970.
_SECONDS = (10**8, 10**11)
_MILLISECONDS = (10**11, 10**14)
#: Up to here a float tells one whole number from the next.
_LARGEST_EXACT = 2**53


def event_id_of(run_id: str) -> str:
    """The event_id of a run from before there were any: the same one on every machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"telemetry-cli:run:{jsonable(run_id)}"))


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


class Found:
    """One legacy row. Each column is asked for once, by its rule, and a value that keeps the rule comes back.

    Text that is no UTF-8 comes as bytes, or with lone surrogates. `clean` takes secrets out of a text before it is cut: no rule knows
    one of which a part is left. Whoever keeps everything as it was leaves it out.
    """

    def __init__(self, row: Mapping[str, object], clean: Callable[[str], str] = str) -> None:
        self._row = dict(row)
        self._clean = clean
        #: What broke its rule: column → value as it was found.
        self.broken: Row = {}
        #: Times that break no rule and are stored to the millisecond only: column → text as it was found.
        self.finer: Row = {}

    def left(self) -> Row:
        """What broke its rule, is finer than what is stored, or was never asked for: column → value as it was found. To be called last."""
        return (
            self.finer
            | self.broken
            | {name: value for name, value in self._row.items() if value is not None}
        )

    def raw(self, column: str) -> str | None:
        """The text that other rows know this one by, as it was found."""
        value = self._row.get(column)
        return (
            None
            if value is None
            else str(
                jsonable(
                    value.decode(errors="surrogateescape")
                    if isinstance(value, bytes)
                    else str(value)
                )
            )
        )

    def text(self, column: str) -> str | None:
        """Text or null; an empty text is null."""
        value = self._row.pop(column, None)
        text = "" if value is None else _text(value)
        if isinstance(value, bytes) or "\0" in text or jsonable(text) != text:
            self.instead(column, value, None)
            text = _valid(text).replace("\0", "")
        return text or None

    def required(self, column: str) -> str:
        """1 to 200 characters."""
        text = self.text(column)
        if text is None or text.isspace():
            return self.instead(column, text, UNKNOWN)
        if len(text) <= _LONGEST_NAME:
            return text
        cut = self._clean(text)[:_LONGEST_NAME]
        return self.instead(column, text, UNKNOWN if cut.isspace() else cut)

    def details(self, column: str) -> str | None:
        """Text of at most 64 KiB."""
        text = self.text(column)
        if text is None or rules.error_details(column, text) == text:
            return text
        return self.instead(column, text, rules.error_details(column, self._clean(text)))

    def count(self, column: str) -> int:
        """A whole number from 0; null is read as 0, and of a fraction the whole part stays."""
        value = self._row.pop(column, None)
        number = _integer(value)
        if number is not None and number >= 0:
            return number
        return self.instead(
            column,
            value,
            int(value) if isinstance(value, float) and 0 < value <= _LARGEST_EXACT else 0,
        )

    def integer(self, column: str) -> int:
        """A whole number; null is read as 0."""
        value = self._row.pop(column, None)
        number = _integer(value)
        return self.instead(column, value, 0) if number is None else number

    def time(self, column: str) -> str | None:
        """A time as it is stored, or null. A number is taken for seconds or milliseconds since 1970, and kept aside; so is a finer time."""
        value = self._row.pop(column, None)
        if value in (None, ""):
            return None
        moment = moment_of(value)
        if not moment or not isinstance(value, str):
            return self.instead(column, value, moment)
        if is_finer(value):
            self.finer[column] = value
        return moment

    def json_object(self, column: str) -> Row:
        """A JSON object, an empty one for null."""
        value = self._row.pop(column, None)
        if value in (None, ""):
            return {}
        try:
            return self._exactly(column, value, rules.json_object(column, _json(value)))
        except InvalidInput:
            return self.instead(column, value, {})

    def payload(self, column: str) -> object:
        """Any JSON; what is none, as JSON can hold it."""
        value = self._row.pop(column, None)
        if value in (None, ""):
            return None
        try:
            return self._exactly(column, value, rules.json_value(column, _json(value)))
        except InvalidInput:
            return jsonable(value)

    def _exactly(self, column: str, found: object, value: _Value) -> _Value:
        """The JSON that was read; the text is kept aside where a number in it has more digits than a float."""
        return (
            value
            if not isinstance(found, str) or is_exact(found)
            else self.instead(column, found, value)
        )

    def status(self, column: str, *, ended: bool) -> str:
        """A canonical status. None at all is a run that goes on, or of which only the end is known."""
        text = self.text(column)
        word = (text or "").strip().lower()
        if not word:
            return self.instead(column, text, "partial" if ended else "running")
        word = rules.STATUS_ALIASES.get(word, word)
        return word if word in rules.STATUSES else self.instead(column, text, "partial")

    def choice(self, column: str, accepted: tuple[str, ...]) -> str | None:
        """One of a few words in any case, or null."""
        text = self.text(column)
        word = text.strip().lower() if text else None
        return word if word is None or word in accepted else self.instead(column, text, None)

    def commit_hash(self, column: str) -> str | None:
        """A SHA in lower case, or null."""
        text = self.text(column)
        digits = rules.commit_hash(text.strip()) if text else None
        return digits if text is None or digits else self.instead(column, text, None)

    def run_id(self, column: str, otherwise: str) -> str:
        """A run_id, with `-` for what may not stand in one."""
        text = self.text(column)
        try:
            return rules.run_id(column, text or "")
        except InvalidInput:
            made = "".join(
                "-" if char in "/\\" or ord(char) < 32 or 127 <= ord(char) < 160 else char
                for char in self._clean(text or "")
            )[:_LONGEST_RUN_ID]
            return self.instead(column, text, made if made.strip() else otherwise)

    def event_id(self, column: str) -> str | None:
        """An event_id, or null where there is none that keeps the rule."""
        text = self.text(column)
        try:
            return rules.event_id(column, text) if text else None
        except InvalidInput:
            return self.instead(column, text, None)

    def instead(self, column: str, found: object, value: _Value) -> _Value:
        """Keep aside what was found and breaks a rule, and give a valid value in its place."""
        if found is not None:
            self.broken.setdefault(column, found)
        return value


# Rows: what the tables hold of them; JSON columns as they are in Python


def run(found: Found, event_id: str) -> Row:
    """A run that keeps every rule."""
    said = {name: found.raw(name) for name in ("updated_at", "end_time", "duration_ms")}
    told_start, created, updated, end = (
        found.time(name) for name in ("start_time", "created_at", "updated_at", "end_time")
    )
    start = told_start or created or end or updated or EPOCH
    created = created or start
    made: Row = {
        "event_id": event_id,
        "run_id": found.run_id("run_id", event_id),
        "created_at": created,
        "updated_at": found.instead("updated_at", said["updated_at"], created)
        if updated and updated < created
        else updated or created,
        "start_time": start,
        "end_time": found.instead("end_time", said["end_time"], start)
        if end and end < start
        else end,
        "agent_name": found.required("agent_name"),
        "job_type": found.required("job_type"),
        "status": found.status("status", ended=end is not None),
        "error_details": found.details("error_details"),
        "git_commit_hash": found.commit_hash("git_commit_hash"),
        "git_commit_source": found.choice("git_commit_source", rules.COMMIT_SOURCES),
        "git_commit_timestamp": found.time("git_commit_timestamp"),
        "metrics_json": found.json_object("metrics_json"),
        "context_json": found.json_object("context_json"),
    }
    made |= {name: found.text(name) for name in _TEXTS} | {
        name: found.count(name) for name in _COUNTS
    }
    is_told = said["duration_ms"] and "duration_ms" not in found.broken
    if told_start and made["end_time"] and not made["duration_ms"] and not is_told:
        made["duration_ms"] = milliseconds_between(told_start, str(made["end_time"]))
    if made["parent_run_id"] == event_id:
        made["parent_run_id"] = found.instead("parent_run_id", event_id, None)
    return made


def event(found: Found) -> Row:
    """An event; null for a time that cannot be read."""
    made: Row = {
        "event_type": found.required("event_type"),
        "timestamp": found.time("timestamp"),
        "payload_json": found.payload("payload_json"),
    }
    return made | {name: found.text(name) for name in ("trace_id", "span_id", "parent_span_id")}


def commit(found: Found, timestamp: str = "timestamp") -> Row:
    """An association, whose commit's time is in the column `timestamp`; null for a SHA that is none, and for a time that nobody said."""
    made: Row = {
        "commit_hash": found.commit_hash("commit_hash"),
        "role": found.choice("role", rules.COMMIT_ROLES) or "produced",
        "source": found.choice("source", rules.COMMIT_SOURCES) or "manual",
        "timestamp": found.time(timestamp),
        "associated_at": found.time("associated_at") or found.time("created_at"),
        "superseded_by": found.commit_hash("superseded_by"),
    }
    made["associated_at"] = made["associated_at"] or made["timestamp"]
    return made | {name: found.text(name) for name in ("author", "repo", "branch")}


# Values


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _valid(text: str) -> str:
    """Text with U+FFFD for what is no UTF-8."""
    try:
        raw = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raw = text.encode(errors="surrogatepass")
    return raw.decode(errors="replace")


def _json(value: object) -> str:
    """The JSON that a value is, or is written in; an empty text, which is none, for anything else."""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return value if isinstance(value, str) else ""


def _integer(value: object) -> int | None:
    """The whole number that a value is, whatever its type; None for anything else."""
    if value in (None, ""):
        return 0
    if isinstance(value, int):
        return int(value) if abs(value) <= rules.LARGEST_INTEGER else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _LARGEST_EXACT else None
    digits = value.strip() if isinstance(value, str) else ""
    found = (
        int(digits)
        if digits.removeprefix("-").isdigit() and digits.isascii() and len(digits) <= 20
        else None
    )
    return found if found is not None and abs(found) <= rules.LARGEST_INTEGER else None


def moment_of(value: object) -> str | None:
    """A time as it is stored, or None for what is none. A number means seconds or milliseconds since 1970; without a zone, text is UTC."""
    try:
        if isinstance(value, str):
            text = value.strip().removesuffix("UTC").rstrip()
            parsed = datetime.fromisoformat(text)
            return stamp(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
        if isinstance(value, (int, float)) and _SECONDS[0] <= value < _SECONDS[1]:
            return stamp(datetime.fromtimestamp(value, UTC))
        if isinstance(value, (int, float)) and _MILLISECONDS[0] <= value < _MILLISECONDS[1]:
            return stamp(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError):
        pass
    return None
