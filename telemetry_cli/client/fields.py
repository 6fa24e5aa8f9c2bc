"""Python values to the data of an operation, by the same rules as everywhere.

A value that breaks its rule is set aside as text, see `values`, and the record is kept. Only the reference
to the run that a record belongs to raises `InvalidInput`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from telemetry_cli.client.values import NOTHING, Unstorable, converted, document
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.discovery import environment
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.discovery.new_run import build_run
from telemetry_cli.redaction.redactor import refuse_secret, remote_without_credentials

Data = dict[str, object]
T = TypeVar("T")

#: The names by which a field may be given besides its own.
_ALIASES = {"metrics_json": "metrics", "context_json": "context", "parent_run_id": "parent"}
_TIMES = ("start_time", "end_time")
_NAMES = ("agent_name", "job_type")
_LONGEST_NAME = 200
#: Stands for a name or type that is not given, or cannot be stored.
_UNKNOWN = "unknown"


def started(
    config: Config,
    moment: datetime,
    fields: Mapping[str, object],
    unstorable: Unstorable,
    *,
    parent: str | None,
    git_seconds: float,
    ends_here: bool,
) -> Data:
    """The data of a `run.create`: what is given, and what is known of the place it is given in; null values count as not given.

    git_seconds: how long git may be asked about the repository around; 0: it is not looked for.
    `ends_here` as for `build_run`.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if "end_time" in given:
        unstorable.add("end_time", given.pop("end_time"), "end_time: a run that starts has none")
    data = changed(
        config,
        moment,
        {name: value for name, value in given.items() if name not in ("event_id", "run_id")},
        unstorable,
    )
    for name in _NAMES:
        if name not in data:
            if name not in unstorable.reasons:
                unstorable.add(name, None, f"{name}: no name is given")
            data[name] = _UNKNOWN
    data["event_id"] = (
        _id(config, "event_id", given.get("event_id"), rules.event_id, unstorable)
        or clock.new_event_id()
    )
    data["run_id"] = _id(
        config, "run_id", given.get("run_id"), rules.run_id, unstorable
    ) or clock.new_run_id(moment, str(data["agent_name"]))
    if data.get("parent") == data["event_id"]:
        unstorable.add("parent", data["parent"], f"parent: {data['event_id']} is the run itself")
        data["parent"] = None
    enclosing = parent or environment.current_run()
    if enclosing and enclosing != data["event_id"]:
        enclosing = _id(config, "parent", enclosing, rules.reference, unstorable)
    data = build_run(
        config,
        clock.stamp(moment),
        data,
        git.find(None, min(git_seconds, git.DEADLINE_SECONDS)) if git_seconds else None,
        enclosing=enclosing,
        trigger="cli",
        ends_here=ends_here,
    )
    lay_aside(data, unstorable)
    return data


def lay_aside(data: Data, unstorable: Unstorable) -> None:
    """Put what could not be stored into the context of a run's data."""
    if unstorable.texts:
        context = data.get("context")
        data["context"] = unstorable.beside(context if isinstance(context, dict) else {})


def _id(
    config: Config,
    name: str,
    value: object,
    rule: Callable[[str, str], str],
    unstorable: Unstorable,
) -> str | None:
    """Return an id, or None for one that is empty, breaks its rule or looks like a secret."""

    def find() -> str | None:
        found = text(name, value) if value is not None else ""
        if not found.strip():
            return None
        return refuse_secret(name, rule(name, found), config.redact_rules)

    return _convert(name, value, find, None, unstorable)


def _convert(
    name: str, value: object, convert: Callable[[], T], otherwise: T, unstorable: Unstorable
) -> T:
    """Return what `convert` returns. When it fails, set the value aside and return `otherwise`."""
    try:
        return convert()
    except Exception as error:
        unstorable.add(name, value, _message(name, error))
        return otherwise


def reference(config: Config, name: str, value: object) -> str:
    """What a run is called by: its shape only. Raises `InvalidInput`, also for what looks like a secret."""
    return refuse_secret(name, rules.reference(name, text(name, value)), config.redact_rules)


def changed(
    config: Config, moment: datetime, fields: Mapping[str, object], unstorable: Unstorable
) -> Data:
    """The data of a `run.update` or `run.end`: what is given; None clears a text, and leaves anything else as it is.

    What breaks its rule is left out and added to `unstorable`, for `lay_aside` to put into the data when they are complete.
    """
    data: Data = {}
    for given, value in fields.items():
        name = _ALIASES.get(given, given)
        if value is None and (
            name not in rules.FIELDS or name in (*_NAMES, "status", *rules.COUNT_FIELDS)
        ):
            continue
        if name == "parent":
            parent = _id(config, name, value, rules.reference, unstorable)
            if name not in unstorable.reasons:
                data[name] = parent
            continue
        find = partial(_value, name, value, moment, unstorable)
        found = _convert(given, value, find, NOTHING, unstorable)
        if found is not NOTHING:
            data[name] = found
    return data


def _message(name: str, error: Exception) -> str:
    """What is wrong with a value; what the host's own objects raise is named by its type."""
    return (
        error.message
        if isinstance(error, InvalidInput)
        else f"{name}: reading it raised {type(error).__name__}"
    )


def _value(name: str, value: object, moment: datetime, unstorable: Unstorable) -> object:
    if name in _NAMES:
        return label(name, value, unstorable)
    if name in rules.COUNT_FIELDS:
        return rules.count(name, _digits(name, value))
    if name in rules.FIELDS:
        return rules.FIELDS[name](name, "" if value is None else text(name, value))
    if name in _TIMES:
        return instant(name, value, moment)
    if name in ("metrics", "context"):
        return _object(name, value, unstorable)
    if name == "git_repo":
        return rules.optional_text(name, remote_without_credentials(text(name, value)))
    raise InvalidInput(
        f"{name}: there is no such field; valid are {', '.join((*rules.FIELDS, *_TIMES, 'metrics', 'context', 'git_repo', 'parent'))}"
    )


def label(name: str, value: object, unstorable: Unstorable) -> str:
    """A name or type: of a longer one the first 200 characters, and the whole is set aside. Raises `InvalidInput` for an empty one."""
    found = text(name, value)
    if len(found) > _LONGEST_NAME and not found.isspace():
        unstorable.add(name, found, f"{name}: longer than {_LONGEST_NAME} characters")
        found = unstorable.shorten(found, _LONGEST_NAME)
    return rules.required_text(name, found)


def event_type(value: object, unstorable: Unstorable) -> str:
    """Return the type of an event, `unknown` for one that cannot be stored."""
    find = partial(label, "event_type", value, unstorable)
    return _convert("event_type", value, find, _UNKNOWN, unstorable)


def final_status(value: object, otherwise: str, unstorable: Unstorable) -> str:
    """Return the status a run ends with: `success` for None, `otherwise` for an invalid one."""

    def find() -> str:
        found = rules.status("status", text("status", value))
        if found == "running":
            raise InvalidInput(
                "status: a run that ends is not running; "
                "give success, failure, partial, timeout or cancelled"
            )
        return found

    return "success" if value is None else _convert("status", value, find, otherwise, unstorable)


def instant(name: str, value: object, moment: datetime) -> str:
    """A time: a datetime with a zone, or the text that the command line takes. Raises `InvalidInput`."""
    if isinstance(value, datetime):
        return rules.document_instant(name, value.isoformat())
    return rules.instant(name, text(name, value), moment)


def commit_facts(given: Mapping[str, object], moment: datetime, unstorable: Unstorable) -> Data:
    """Return source, role, author, timestamp, repo and branch of a commit, as far as they are valid.

    An invalid source is discovered, and an invalid role is `produced`.
    """
    facts: Data = {
        "source": _choose("source", given["source"], rules.COMMIT_SOURCES, unstorable)
        or environment.commit_source(),
        "role": _choose("role", given["role"], rules.COMMIT_ROLES, unstorable) or "produced",
    }
    for name, value in given.items():
        if value is None or name in facts:
            continue
        convert = partial(instant, moment=moment) if name == "timestamp" else text
        found = _convert(name, value, partial(convert, name, value), None, unstorable)
        if found is not None:
            facts[name] = (remote_without_credentials(found) if name == "repo" else found) or None
    return facts


def _choose(
    name: str, value: object, accepted: tuple[str, ...], unstorable: Unstorable
) -> str | None:
    """Return one of a few words; None for any other value, which is set aside."""

    def find() -> str:
        return rules.choice(name, text(name, value), accepted)

    return None if value is None else _convert(name, value, find, None, unstorable)


def payload(value: object, unstorable: Unstorable) -> object:
    """The payload of an event; with what could not be stored laid beside, it is an object, and anything else stands in it as `payload`."""
    found = document("", value, unstorable)
    if not unstorable.texts:
        return found
    return unstorable.beside(
        found
        if isinstance(found, dict)
        else {}
        if found is NOTHING or found is None
        else {"payload": found}
    )


def _object(name: str, value: object, unstorable: Unstorable) -> object:
    if isinstance(value, str):
        return rules.json_object(name, rules.escape_text(value))
    found = document(name, value, unstorable)
    if found is not NOTHING and not isinstance(found, dict):
        raise InvalidInput(f"{name}: a dict is needed, not {type(value).__name__}")
    return found


def _digits(name: str, value: object) -> str:
    """The digits of a number of items, or of milliseconds: whole numbers of any type, and of milliseconds fractions, which are rounded."""
    if name == "duration_ms" and isinstance(value, timedelta):
        value = value.total_seconds() * 1000
    plain = _scalar(value)
    if isinstance(plain, float) and (name == "duration_ms" or plain.is_integer()):
        plain = round(plain)
    return (
        plain
        if isinstance(plain, str)
        else str(plain)
        if isinstance(plain, int) and not isinstance(plain, bool)
        else text(name, value)
    )


def text(name: str, value: object) -> str:
    """A value as text: one that has a form as text, number or truth value in JSON. Raises `InvalidInput` for any other."""
    if isinstance(value, str):
        return rules.escape_text(value)
    plain = _scalar(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, (bool, int, float)):
        return rules.encode(plain)
    raise InvalidInput(
        f"{name}: {rules.shorten(repr(value))} is not accepted; give text{' or a whole number' if name in rules.COUNT_FIELDS else ''}"
    )


def _scalar(value: object) -> object:
    return converted(value, "", Unstorable(str))
