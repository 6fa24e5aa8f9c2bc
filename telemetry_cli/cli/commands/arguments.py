"""Arguments that several handlers share: RUN, JSON from a file or stdin, KEY=VALUE pairs; and what a record became."""

import os
import sys
from collections.abc import Mapping, Sequence

from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.journal.operations import Outcome
from telemetry_cli.redaction.redactor import refuse_secret


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
