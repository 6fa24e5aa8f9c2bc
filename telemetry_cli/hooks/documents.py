"""Documents that people write (contracts, conventions): TOML or JSON into a pydantic model, every mistake told at once."""

import json
import os
import tomllib
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput

_LARGEST = 1 << 20


class Document(BaseModel):
    """What every document has in common: no conversions, no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid")


Model = TypeVar("Model", bound=Document)


def read(name: str, path: str) -> dict[str, object]:
    """The content of a TOML or JSON file. Raises `InvalidInput` in which `name` and the path point at it."""
    try:
        # A FIFO that nobody writes to is empty, and does not hang us.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            os.set_blocking(file.fileno(), True)
            content = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{name}: {rules.shorten(path)} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    where = f"{name}: {rules.shorten(path)}"
    if len(content) > _LARGEST:
        raise InvalidInput(f"{where} is larger than {_LARGEST} bytes")
    try:
        text = content.decode("utf-8-sig")
        if path.endswith(".json") or (not path.endswith(".toml") and text.lstrip().startswith("{")):
            return rules.json_object(where, text)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where}: not valid TOML: {error}") from None


def plain(name: str, value: object) -> dict[str, object]:
    """An object from a document as the JSON object that it stands for. Raises `InvalidInput` for what JSON does not have, such as a date."""

    def no_json(found: object) -> object:
        raise InvalidInput(
            f"{name}: {found!s} is a {type(found).__name__}, which JSON does not have; write it as text"
        )

    try:
        return rules.json_object(name, json.dumps(value, default=no_json))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: {error}") from None


def parse(model: type[Model], name: str, document: object) -> Model:
    """The document as its model. Raises `InvalidInput` that lists every mistake with its place."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        mistakes = [_mistake(dict(found)) for found in error.errors(include_url=False)]
        raise InvalidInput(
            f"{name}: "
            + (
                mistakes[0]
                if len(mistakes) == 1
                else "".join(f"\n  {mistake}" for mistake in mistakes)
            )
        ) from None


def _mistake(found: dict[str, Any]) -> str:
    """A mistake in our words: where, and what is accepted there."""
    *above, last = [
        f"{part + 1}" if isinstance(part, int) else str(part) for part in found["loc"]
    ] or ["it"]
    where, kind, context = ".".join([*above, last]), found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key {last!r}" + (f" in {'.'.join(above)}" if above else "")
    if kind == "missing":
        return f"{where} is needed"
    if kind == "literal_error":
        return f"{where}: {rules.shorten(str(found['input']))!r} is not accepted; give one of {context['expected']}"
    if kind == "value_error":
        return f"{where}: {context['error']}"
    return f"{where}: {found['msg'][:1].lower()}{found['msg'][1:]}, not {rules.shorten(repr(found['input']))}"
