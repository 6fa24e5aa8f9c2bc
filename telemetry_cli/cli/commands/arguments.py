"""Parse arguments that several commands share, and build the data of a new run from them."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.discovery import environment
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.discovery.new_run import build_run
from telemetry_cli.journal.operations import Outcome
from telemetry_cli.redaction.redactor import Redactor, refuse_secret, remote_without_credentials

#: How long git may take for short answers to people.
_PATIENCE_SECONDS = 60.0


def run_reference(config: Config, value: str | None, name: str = "RUN") -> str:
    """A RUN as typed, `@current` and a left-out one replaced by `$TELEMETRY_EVENT_ID`. Raises `InvalidInput`, also for what looks like a secret."""
    if value is None or value == "@current":
        current = os.environ.get("TELEMETRY_EVENT_ID")
        if not current:
            raise InvalidInput(
                f"{name}: no run is given and TELEMETRY_EVENT_ID is not set",
                'Name a run, or: eval "$(telemetry run start … -o env)"',
            )
        name, value = "TELEMETRY_EVENT_ID", current
    return refuse_secret(name, rules.reference(name, value), config.redact_rules)


def parent_reference(config: Config, value: str) -> str | None:
    """Return `--parent` as typed, or None for an empty one: an unset variable expands to nothing. Raises as `run_reference` does."""
    return run_reference(config, value, "--parent") if value.strip() else None


def json_text(name: str, value: str) -> str:
    """The JSON of an argument: the value itself, the content of `@FILE`, or stdin for `-`."""
    if value != "-" and not value.startswith("@"):
        return value
    try:
        if value == "-":
            if sys.stdin is None:
                raise InvalidInput(f"{name}: stdin is closed")
            content = sys.stdin.buffer.read(rules.LARGEST_DOCUMENT + 1)
        else:
            with open(value[1:], "rb") as file:
                content = file.read(rules.LARGEST_DOCUMENT + 1)
        if len(content) > rules.LARGEST_DOCUMENT:
            raise InvalidInput(f"{name}: the JSON is larger than {rules.LARGEST_DOCUMENT} bytes")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(
            f"{name}: {rules.shorten(value[1:]) or 'stdin'} cannot be read: {error.strerror}"
        ) from None
    except ValueError as error:
        raise InvalidInput(f"{name}: {rules.shorten(value)} is not UTF-8 text: {error}") from None


def merged_objects(
    metrics: str | None, context: str | None, metric: Sequence[str] | None
) -> dict[str, object]:
    """`--metrics` (with `-m` pairs laid over it) and `--context` as objects, under `metrics` and `context` where given."""
    if metrics == "-" and context == "-":
        raise InvalidInput("--context: --metrics reads stdin already")
    merged: dict[str, object] = {}
    if metrics is not None:
        merged["metrics"] = rules.json_object("--metrics", json_text("--metrics", metrics))
    if context is not None:
        merged["context"] = rules.json_object("--context", json_text("--context", context))
    if metric:
        # What lies under metrics is the object made above.
        merged["metrics"] = {
            **merged.get("metrics", {}),  # type: ignore[dict-item]
            **dict(rules.pair("-m", item) for item in metric),
        }
    return merged


def named_exactly(reference: str) -> str | None:
    """What is known of a run's event_id before its record is applied: the reference, unless it is a search such as `@last`."""
    return None if reference.startswith("@") else reference


def became(outcome: Outcome, **if_buffered: object) -> tuple[dict[str, object], list[str]]:
    """What a record became, as json, and what to say about it on stderr; `if_buffered` is what is known of it by then.

    Raises the error that the operation ended with.
    """
    if outcome.buffered:
        hint = f" {outcome.buffered.hint}" if outcome.buffered.hint else ""
        note = f"buffered: {outcome.buffered.message}; the record is durable and will be applied by a later command.{hint}"
        return {"status": "buffered", **if_buffered}, [note]
    outcome.check()
    result = dict(outcome.result)
    return result, [str(result.pop("note"))] if "note" in result else []


def planned(
    plan: Mapping[str, object], notes: Sequence[str]
) -> tuple[dict[str, object], list[str]]:
    """What a record would become, as `became` tells it, behind what is to be said of the reading."""
    result = dict(plan)
    return result, [*notes, *([str(result.pop("note"))] if "note" in result else [])]


_LONGEST_NAME = 200


class Beginning:
    """A run that is about to be recorded: the `data` of its operation, and `notes` to be said."""

    def __init__(self, data: dict[str, object], notes: list[str]) -> None:
        self.data = data
        self.notes = notes


def begin(
    config: Config,
    moment: datetime,
    identity: tuple[str, str],
    *,
    event_id: str | None,
    run_id: str | None,
    parent: str | None,
    start_time: str | None,
    metrics: str | None,
    context: str | None,
    metric: Sequence[str] | None,
    git_repo: str | None,
    no_git: bool,
    fields: Mapping[str, str | None],
    told: dict[str, object],
    apart: Sequence[str] = (),
    ends_here: bool = False,
) -> Beginning:
    """Convert what was given and find out the rest. `identity`: agent_name and job_type; `told`: context that the caller knows.

    `apart` tells several runs of one CI step apart (`--event-id auto`). `ends_here` as for `build_run`. Raises `InvalidInput`.
    """
    agent, job = identity
    notes: list[str] = []
    data: dict[str, object] = {
        "agent_name": agent,
        "job_type": job,
        **rules.fields(fields),
        **merged_objects(metrics, context, metric),
    }
    item_name = str(fields.get("item_name") or "")
    data["event_id"] = (
        _event_id(config, event_id, item_name, (job, item_name, *apart), notes)
        if event_id is not None
        else clock.new_event_id()
    )
    data["run_id"] = (
        refuse_secret("--run-id", rules.run_id("--run-id", run_id), config.redact_rules)
        if run_id is not None
        else _run_id(config, moment, agent)
    )
    if start_time is not None:
        data["start_time"] = rules.instant("--start-time", start_time, moment)
    if parent is not None:
        if parent == data["event_id"]:
            raise InvalidInput(f"--parent: {parent} is the run itself")
        data["parent"] = parent_reference(config, parent)
    if git_repo is not None:
        data["git_repo"] = remote(git_repo)
    built = build_run(
        config,
        clock.stamp(moment),
        data,
        None if no_git else git.find(None),
        enclosing=environment.current_run(),
        context=told,
        ends_here=ends_here,
    )
    return Beginning(built, notes)


def names(
    config: Config, agent_name: str | None, job_type: str | None
) -> tuple[str | None, str | None]:
    """agent_name and job_type: the options, else the environment or config file, else what discovery knows. Raises `InvalidInput`."""
    agent = _name(config, "agent_name", agent_name) or environment.actor()
    if job := _name(config, "job_type", job_type):
        return agent, job
    return agent, Redactor(config.redact_rules).text(environment.facts().get("job", ""))[
        :_LONGEST_NAME
    ] or None


def _name(config: Config, field: str, given: str | None) -> str | None:
    if given is not None:
        return rules.required_text(rules.option(field), given)
    setting = config.values[field]
    return rules.required_text(setting.source, setting.value) if setting.value else None


def _event_id(
    config: Config, value: str, item_name: str, apart: Sequence[str], notes: list[str]
) -> str:
    if value != "auto":
        return refuse_secret("--event-id", rules.event_id("--event-id", value), config.redact_rules)
    derived = environment.derived_event_id(*apart, told_apart=bool(item_name))
    if derived is None:
        notes.append(
            f"--event-id auto: {environment.why_not_derived(told_apart=bool(item_name))}; a random id is used"
        )
    return derived or clock.new_event_id()


def _run_id(config: Config, moment: datetime, agent: str) -> str:
    return clock.new_run_id(moment, Redactor(config.redact_rules).text(agent))


def remote(value: str) -> str | None:
    """`--git-repo`: an address without credentials. Raises `InvalidInput`."""
    return rules.optional_text("--git-repo", remote_without_credentials(value))


def exports(result: dict[str, object], trace: environment.Trace) -> dict[str, str | None]:
    """What is exported so that later commands, and what they start, belong to this run; None: what is unset for that."""
    return {
        "TELEMETRY_EVENT_ID": str(result["event_id"]),
        "TELEMETRY_RUN_ID": str(result["run_id"]),
        **trace.variables,
    }


def find_repository(path: str | None, name: str = "--repo") -> git.Repository:
    """Return the repository around a directory, by default the working directory.

    Raises `InvalidInput` naming the option if there is none.
    """
    if path is not None and not os.path.isdir(path):
        raise InvalidInput(
            f"{name}: {rules.shorten(path)!r} is no folder; name a repository or a folder inside one"
        )
    repository = git.find(path)
    if repository is None:
        raise git.no_repository(path, "Change to one.", name)
    repository.deadline = time.monotonic() + _PATIENCE_SECONDS
    return repository
