"""Write validated records as the lines of an import's blob."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from telemetry_cli.core import values as rules
from telemetry_cli.core.clock import milliseconds_between
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import runs
from telemetry_cli.redaction.lines import blob_line
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.transfer.models import (
    COMMIT_KEYS,
    EVENT_KEYS,
    KNOWN,
    BadRecord,
    Document,
    repeats_no_key,
    strictly,
)

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


#: Told of what is kept though it has no place: (what was done, about which key).
Warn = Callable[[str, str], None]
#: Takes secrets out of a text.
Clean = Callable[[str], str]

#: A run's values in a blob's line.
COLUMNS = tuple(name for name in runs.COLUMNS if name not in ("id", "op_id", "schema_version"))
EVENT_FIELDS = ("event_type", "timestamp", "payload_json", "trace_id", "span_id", "parent_span_id")
COMMIT_FIELDS = (
    "commit_hash",
    "role",
    "source",
    "author",
    "timestamp",
    "repo",
    "branch",
    "associated_at",
    "superseded_by",
)
#: The ids of records that have none are UUIDs made from their content; this is what sets them apart from other such UUIDs.
_CONTENT = uuid.uuid5(uuid.NAMESPACE_URL, "telemetry-cli:record")
_MANY_DIGITS = re.compile(r"\d{19,}")

_line = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

FIRST_LINE = _line({"columns": COLUMNS}).encode() + b"\n"


def run_line(
    document: Document,
    warn: Warn | None,
    raw: bytes | None = None,
    *,
    says: list[str] | None = None,
) -> bytes:
    """A run's line for the blob, newline included; `raw` is the JSON that it was read from, if it was.

    `says`: the columns whose values are no stand-ins, where the line may continue another one's run.

    Unknown keys go to `context_json.extra`, and `warn` is told of them; without `warn` they are refused by name. Raises `BadRecord`.
    """
    keys = len(document)
    unknown = _unknown(document, warn)
    made, texts = document, []
    try:
        for name in ("metrics_json", "context_json"):
            value = _object(document, name)
            if unknown and name == "context_json":
                value = with_extra(value, unknown)
            made[name] = rules.encode(value) if value else "{}"
            if value:
                texts.append(made[name])
        events = [event_values(event) for event in document.get("events") or ()]
    except ValueError:
        if raw is not None:
            strictly(raw)
        raise BadRecord(None, "it holds a number or text that is none in JSON") from None
    commits = [commit_values(commit) for commit in document.get("commits") or ()]
    texts += [str(event[2]) for event in events if event[2] is not None]
    _check_json(document, raw, None if unknown else keys, texts)
    _fill(made, events, commits)
    if not commits and "commits" not in document and made.get("git_commit_hash"):
        commits.append(_own_commit(made))
    values = list(map(made.get, COLUMNS))
    if "" in values:
        values = [None if value == "" else value for value in values]
    return (
        _line(
            [*values, events, commits] if says is None else [*values, events, commits, says]
        ).encode()
        + b"\n"
    )


def _check_json(document: Document, raw: bytes | None, keys: int | None, texts: list[str]) -> None:
    """See that nothing stands in a record that JSON's readers let pass and the rules do not: keys given twice, huge integers, endless depth.

    `keys`: how many the record has itself, None where the texts have more keys than the JSON that they are from.
    """
    harmless = all(_is_harmless(text) for text in texts)
    if raw is None:
        for text in () if harmless else texts:
            _object({"metrics_json": text}, "metrics_json") if text.startswith("{") else strictly(
                text.encode()
            )
        return
    nested = sum(map(len, document.get("events") or ())) + sum(
        map(len, document.get("commits") or ())
    )
    counted = None if keys is None else keys + nested + sum(text.count('":') for text in texts)
    if (
        not harmless
        or counted is None
        or len(raw) > rules.LARGEST_DOCUMENT
        or not repeats_no_key(raw, counted)
    ):
        strictly(raw)


def _is_harmless(text: str) -> bool:
    small = all(
        len(digits) == 19 and int(digits) <= rules.LARGEST_INTEGER
        for digits in _MANY_DIGITS.findall(text)
    )
    return small and text.count("{") + text.count("[") < rules.DEEPEST_DOCUMENT


def _fill(made: Document, events: list[list[object]], commits: list[list[object]]) -> None:
    """Put in what a record may leave out, and see that its parts agree."""
    if made.get("end_time") and made["end_time"] < made["start_time"]:
        raise BadRecord(
            "end_time", f"{made['end_time']} is before start_time, {made['start_time']}"
        )
    is_timed = made.get("duration_ms") is not None
    for name in _ZEROS:
        if made.get(name) is None:
            made[name] = 0
    if made.get("status") is None:
        made["status"] = "success" if made.get("end_time") else "running"
    if made.get("event_id") is None:
        content = {name: value for name in COLUMNS if (value := made.get(name)) not in (None, "")}
        content |= {
            name: values for name, values in (("events", events), ("commits", commits)) if values
        }
        made["event_id"] = str(uuid.uuid5(_CONTENT, rules.encode(content)))
    if made.get("end_time") and not is_timed:
        # Not before: the id is that of the record as it was read, whichever version of telemetry reads it.
        made["duration_ms"] = milliseconds_between(made["start_time"], made["end_time"])
    if made.get("run_id") is None:
        made["run_id"] = derived_run_id(made)
    if made.get("parent_run_id") == made["event_id"]:
        raise BadRecord("parent_run_id", f"{made['event_id']!r} is the run itself")


_ZEROS = (*rules.COUNT_FIELDS, "api_posted", "api_retry_count")


def _unknown(document: Document, warn: Warn | None) -> Document:
    """What has no place of its own, by its name, in an event or association `events.0.name`; `warn` has been told of it. Raises `BadRecord`."""
    kept: Document = {}
    if not document.keys() <= KNOWN:
        for name in sorted(document.keys() - KNOWN):
            kept[name] = document[name]
            _tell(warn, name, name, "a run")
    for kind, known in (("events", EVENT_KEYS), ("commits", COMMIT_KEYS)):
        for number, item in enumerate(document.get(kind) or ()):
            if not item.keys() <= known:
                for name in sorted(item.keys() - known):
                    kept[f"{kind}.{number}.{name}"] = item[name]
                    _tell(warn, f"{kind}.{name}", f"{kind}.{number}.{name}", f"one of the {kind}")
    return kept


def _tell(warn: Warn | None, name: str, place: str, what: str) -> None:
    if warn is None:
        raise BadRecord(
            place,
            f"is no field of {what}; without --atomic it would be kept under context_json.extra",
        )
    warn("unknown and kept under context_json.extra", name)


def with_extra(context: Document, extra: Document) -> Document:
    """A context with what has no place of its own laid under `extra`, beside what is there already."""
    there = context.get("extra", {})
    return context | {"extra": (there if isinstance(there, dict) else {"extra": there}) | extra}


def _object(document: Document, name: str) -> Document:
    value = document.get(name) or {}
    if not isinstance(value, str):
        found: Document = value
        return found
    try:
        return rules.json_object(name, value)
    except InvalidInput as error:
        raise BadRecord(name, error.message.removeprefix(f"{name}: ")) from None


def derived_run_id(record: Document) -> str:
    """A name made as `run start` makes it, from what the record says: the same one whenever it is read."""
    moment = record["start_time"]
    agent = "".join(
        "-" if char in "/\\" or not char.isprintable() else char for char in record["agent_name"]
    )
    digits = sha256(record["event_id"].encode()).hexdigest()[:8]
    return f"{moment[:10].replace('-', '')}T{moment[11:19].replace(':', '')}Z-{agent}-{digits}"


def _own_commit(record: Document) -> list[object]:
    """What the ledger holds of a run that names a commit and brings no ledger."""
    source = record.get("git_commit_source", "manual")
    author, timestamp = record.get("git_commit_author"), record.get("git_commit_timestamp")
    when = record.get("updated_at", record.get("created_at"))
    return [
        record["git_commit_hash"],
        "produced",
        source,
        author,
        timestamp,
        record.get("git_repo"),
        record.get("git_branch"),
        when,
        None,
    ]


def event_values(event: Document) -> list[object]:
    """An event as the blob keeps it. Raises `ValueError` for a payload that is no JSON."""
    payload = event.get("payload_json")
    encoded = rules.encode(payload) if payload is not None else None
    return [
        event["event_type"],
        event["timestamp"],
        encoded,
        *(event.get(name) or None for name in EVENT_FIELDS[3:]),
    ]


def commit_values(commit: Document) -> list[object]:
    """An association as the blob keeps it."""
    role, source = commit.get("role") or "produced", commit.get("source") or "manual"
    return [
        commit["commit_hash"],
        role,
        source,
        *(commit.get(name) or None for name in COMMIT_FIELDS[3:]),
    ]


def alone_line(
    kind: str, values: list[object], event_id: object, run_id: object, extra: Document | None = None
) -> bytes:
    """An event or association that stands alone, of the run that either name means."""
    return (
        _line(
            {kind: values, "of": [event_id, run_id]} | ({"extra": extra} if extra else {})
        ).encode()
        + b"\n"
    )
