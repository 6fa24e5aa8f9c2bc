"""Read contracts and other documents that people write, and check rows against contracts."""

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import hook_runs

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


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
#: What a row carries of itself, and what could be taken for it; `id` is the subject.
RESERVED = frozenset(
    (
        *hook_runs.FEATURE_COLUMNS,
        "id",
        "run_id",
        "event_id",
        "op_id",
        "values",
        "row",
        "run",
        "release",
        "rowid",
        "oid",
        "_rowid_",
        "config",
    )
)
_LONGEST_GOT = 80

#: What breaks a contract: row (counted from 1), column, expected, got.
Mismatch = dict[str, object]


class Column(Document):
    """A column: null and missing are the same, and allowed unless it is required."""

    name: str
    type: Literal["text", "integer", "real", "boolean", "json"]
    required: bool = False

    @field_validator("name")
    @classmethod
    def _usable(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{rules.shorten(name)!r} is not accepted; give a letter or '_', then letters, digits and '_', 64 characters at most"
            )
        if name.lower() in RESERVED:
            raise ValueError(
                f"{name!r} is reserved for what telemetry says of a row; give another name"
            )
        return name


class Contract(Document):
    """Columns, and how many rows there may be about a subject."""

    columns: list[Column] = Field(min_length=1)
    cardinality: Literal["one", "many"] = "one"

    @field_validator("columns")
    @classmethod
    def _distinct(cls, columns: list[Column]) -> list[Column]:
        names = [column.name.lower() for column in columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the column {twice!r} comes twice")
        return columns

    def plain(self) -> dict[str, object]:
        """The contract as it is stored."""
        return self.model_dump()

    @property
    def digest(self) -> str:
        """The same for every order of the columns."""
        ordered = sorted(
            (column.model_dump() for column in self.columns), key=lambda column: str(column["name"])
        )
        return sha256(
            rules.encode({"cardinality": self.cardinality, "columns": ordered}).encode()
        ).hexdigest()


def is_text(value: object) -> bool:
    """Tell whether a value is a `text`: JSON can spell half a character, which is none."""
    return isinstance(value, str) and (value.isascii() or is_json(value))


def is_integer(value: object) -> bool:
    """Tell whether a value is an `integer` that can be stored; true is none."""
    return type(value) is int and -rules.LARGEST_INTEGER - 1 <= value <= rules.LARGEST_INTEGER


def is_real(value: object) -> bool:
    """Tell whether a value is a finite number."""
    return is_integer(value) or (type(value) is float and value - value == 0)


def is_boolean(value: object) -> bool:
    """Tell whether a value is true or false."""
    return value is True or value is False


def is_json(value: object) -> bool:
    """Tell whether a value can be stored as JSON: Python reads NaN and half characters, which it does not have."""
    try:
        rules.encode(value).encode()
    except (ValueError, RecursionError):
        return False
    return True


#: Type → (test, in words).
TYPES: dict[str, tuple[Callable[[object], bool], str]] = {
    "text": (is_text, "text"),
    "integer": (is_integer, "an integer"),
    "real": (is_real, "a number"),
    "boolean": (is_boolean, "true or false"),
    "json": (is_json, "JSON"),
}


def shown(value: object) -> str:
    """A value in a few characters, for a table of mismatches."""
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    try:
        return rules.shorten(json.dumps(value, ensure_ascii=False), _LONGEST_GOT)
    except (ValueError, RecursionError):
        return "JSON nested too deep"


class RowCheck:
    """Checks the values of rows by a contract; `row` is what JSON gave, `id` included."""

    def __init__(self, contract: Contract) -> None:
        self._columns = [
            (column.name, *TYPES[column.type], column.required)
            for column in sorted(contract.columns, key=lambda column: column.name)
        ]
        self._known = {column.name for column in contract.columns} | {"id"}
        self._listed = ", ".join(column.name for column in contract.columns)

    def values(self, row: dict[str, object]) -> tuple[dict[str, object], bool]:
        """The values by column, sorted, absent ones as null; and whether they keep to the contract."""
        values = {name: row.get(name) for name, _, _, _ in self._columns}
        good = all(
            is_right(values[name]) if values[name] is not None else not required
            for name, is_right, _, required in self._columns
        )
        return values, good and self._known.issuperset(row)

    def mismatches(self, number: int, row: dict[str, object]) -> Iterator[Mismatch]:
        """What is wrong with a row."""
        for name, is_right, words, required in self._columns:
            value = row.get(name)
            if value is None and required:
                yield mismatch(
                    number, name, f"{words}, required", "null" if name in row else "nothing"
                )
            elif value is not None and not is_right(value):
                yield mismatch(number, name, words, shown(value))
        for name, value in row.items():
            if name not in self._known:
                yield mismatch(
                    number,
                    rules.shorten(name),
                    f"no such column; the contract has {rules.shorten(self._listed, 200)}",
                    shown(value),
                )


def mismatch(number: int, column: str | None, expected: str, got: str) -> Mismatch:
    """One mismatch as the contract of commands shows it."""
    return {
        "row": number,
        "column": rules.escape_text(column) if column is not None else None,
        "expected": expected,
        "got": rules.escape_text(got),
    }


def load(name: str, path: str) -> Contract:
    """The contract in a file. Raises `InvalidInput`."""
    return parse(Contract, f"{name}: {rules.shorten(path)}", read(name, path))
