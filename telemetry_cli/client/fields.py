"""Python values to the data of an operation, by the same rules as everywhere. Raises `InvalidInput` naming the field."""

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime

from telemetry_cli import clock, rules
from telemetry_cli.config import Config
from telemetry_cli.discover import environment, git, processes
from telemetry_cli.errors import InvalidInput
from telemetry_cli.redact import refuse_secret, remote_without_credentials
from telemetry_cli.store.migrate import CURRENT_VERSION

Data = dict[str, object]

#: The names by which a field may be given besides its own.
_ALIASES = {"metrics_json": "metrics", "context_json": "context", "parent_run_id": "parent"}
_TIMES = ("start_time", "end_time")


def started(config: Config, moment: datetime, fields: Mapping[str, object], *, parent: str | None, git_seconds: float, ends_here: bool) -> Data:
    """The data of a `run.create`: what is given, and what is known of the place it is given in; null values count as not given.

    git_seconds: how long git may be asked about the repository around; 0: it is not looked for.
    With `ends_here` this process is the one that will end the run: should it die before, `run reap` can tell.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    data = changed(config, moment, {name: value for name, value in given.items() if name not in ("event_id", "run_id")})
    for name in ("agent_name", "job_type"):
        if name not in data:
            raise InvalidInput(f"{name}: no name is given")
    data = {"schema_version": CURRENT_VERSION, "status": "running", **data}
    data["event_id"] = _id(config, "event_id", given["event_id"], rules.event_id) if "event_id" in given else clock.new_event_id()
    data["run_id"] = _id(config, "run_id", given["run_id"], rules.run_id) if "run_id" in given else clock.new_run_id(moment, str(data["agent_name"]))
    data.setdefault("start_time", clock.stamp(moment))
    data.setdefault("agent_owner", config.agent_owner)
    data.setdefault("host", environment.host())
    enclosing = parent or environment.current_run()
    if enclosing and enclosing != data["event_id"]:
        data.setdefault("parent", reference(config, "parent", enclosing))
    data["boot_id"] = processes.place()
    if ends_here:
        pid = os.getpid()
        process_started, boot_id = processes.identity(pid)
        data |= {"pid": pid, "process_started": process_started, "boot_id": boot_id}
    if git_seconds:
        data = {**git.surroundings(data.get("git_branch"), min(git_seconds, git.DEADLINE_SECONDS)), **data}
    return {name: value for name, value in data.items() if value is not None}


def _id(config: Config, name: str, value: object, rule: Callable[[str, str], str]) -> str:
    return refuse_secret(name, rule(name, text(name, value)), config.redact_rules)


def reference(config: Config, name: str, value: object) -> str:
    """What a run is called by: its shape only. Raises `InvalidInput`, also for what looks like a secret."""
    return _id(config, name, value, rules.reference)


def changed(config: Config, moment: datetime, fields: Mapping[str, object]) -> Data:
    """The data of a `run.update` or `run.end`: what is given; None clears a text, and leaves anything else as it is."""
    data: Data = {}
    for given, value in fields.items():
        name = _ALIASES.get(given, given)
        if value is None and (name not in rules.FIELDS or name in ("agent_name", "job_type", "status", *rules.COUNT_FIELDS)):
            continue
        data[name] = reference(config, name, value) if name == "parent" else _value(name, value, moment)
    return data


def _value(name: str, value: object, moment: datetime) -> object:
    if name in rules.FIELDS:
        return rules.FIELDS[name](name, "" if value is None else text(name, value))
    if name in _TIMES:
        return instant(name, value, moment)
    if name in ("metrics", "context"):
        return _object(name, value)
    if name == "git_repo":
        return rules.optional_text(name, remote_without_credentials(text(name, value)))
    raise InvalidInput(f"{name}: there is no such field; valid are {', '.join((*rules.FIELDS, *_TIMES, 'metrics', 'context', 'git_repo', 'parent'))}")


def instant(name: str, value: object, moment: datetime) -> str:
    """A time: a datetime with a zone, or the text that the command line takes."""
    if isinstance(value, datetime):
        return rules.document_instant(name, value.isoformat())
    return rules.instant(name, text(name, value), moment)


def payload(name: str, value: object) -> object:
    """Any value that JSON can hold, by the strict rules."""
    try:
        return rules.json_value(name, json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: it cannot be written as JSON: {error}") from None


def _object(name: str, value: object) -> object:
    found = payload(name, dict(value) if isinstance(value, Mapping) else value)
    if isinstance(found, str):
        return rules.json_object(name, found)
    if not isinstance(found, dict):
        raise InvalidInput(f"{name}: a dict is needed, not {type(value).__name__}")
    return found


def text(name: str, value: object) -> str:
    """A value that stands for text: text, a path, a whole number. Raises `InvalidInput`."""
    if isinstance(value, os.PathLike):
        value = os.fsdecode(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput(f"{name}: {rules.shorten(repr(value))} is not accepted; give text{' or a whole number' if name in rules.COUNT_FIELDS else ''}")
