"""Validate records from outside with pydantic, and name the field that is wrong."""

import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticCustomError, SchemaValidator, ValidationError, core_schema
from pydantic_core.core_schema import CoreSchema

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.models import RULES, CommitAssociation, Event, Run, kind_of
from telemetry_cli.redaction.redactor import remote_without_credentials


class _Pairs(list[tuple[str, object]]):
    """An object as it stands in the text, repeated keys and all."""


#: In the place of a number that is none.
_NO_NUMBER = object()


def misfit(line: bytes) -> str | None:
    """The field, in an event or association `events.0.field`; None where it is the whole that is wrong, or nothing."""
    try:
        found = json.loads(
            line,
            object_pairs_hook=_Pairs,
            parse_constant=lambda _: _NO_NUMBER,
            parse_int=_integer,
            parse_float=_real,
        )
    except (ValueError, RecursionError):
        return None
    return _field(found) if isinstance(found, _Pairs) else None


def _field(record: _Pairs) -> str | None:
    seen: set[str] = set()
    for name, value in record:
        if name in seen:
            return name
        seen.add(name)
        if name in ("events", "commits") and isinstance(value, list):
            for number, item in enumerate(value):
                inner = _field(item) if isinstance(item, _Pairs) else None
                if inner:
                    return f"{name}.{number}.{inner}"
        if _is_misfit(value, rules.DEEPEST_DOCUMENT - 1):
            return name
    return None


def _is_misfit(value: object, levels: int) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, _Pairs):
        keys = {key for key, _ in value}
        return (
            not levels
            or len(keys) < len(value)
            or any(_is_misfit(part, levels - 1) for pair in value for part in pair)
        )
    if isinstance(value, list):
        return not levels or any(_is_misfit(item, levels - 1) for item in value)
    return value is _NO_NUMBER


def _integer(digits: str) -> object:
    return (
        digits
        if len(digits) <= 20 and -rules.LARGEST_INTEGER - 1 <= int(digits) <= rules.LARGEST_INTEGER
        else _NO_NUMBER
    )


def _real(digits: str) -> object:
    number = float(digits)
    return number if number - number == 0 else _NO_NUMBER


Document = dict[str, Any]

#: Keys that our own json has and an import makes anew: ids of rows and operations, and what is derived.
LEFT_OUT = frozenset(("id", "op_id", "schema_version", "commit_url", "repo_url", "children"))


class BadRecord(Exception):
    """A record that breaks a rule: the field that it is about (None: the whole), and what is wrong with which value."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message


# Fields


def _ruled(name: str, rule: Callable[[str, str], object], *, telling: bool) -> CoreSchema:
    return core_schema.no_info_after_validator_function(
        partial(_telling, rule, name) if telling else partial(rule, name),
        core_schema.str_schema(strict=True),
    )


def _telling(rule: Callable[[str, str], object], name: str, value: str) -> object:
    """What the rule says; where it refuses, as an error of pydantic's, which knows the place."""
    try:
        return rule(name, value)
    except InvalidInput as error:
        raise PydanticCustomError(
            "rule", "{message}", {"message": error.message.removeprefix(f"{name}: ")}
        ) from None


def _remote(name: str, value: str) -> str | None:
    return rules.optional_text(name, remote_without_credentials(value))


#: Kind of a field → its rule, as `models.Kind` has it; an import takes credentials out of URLs.
_RULES = RULES | {"remote": _remote}
_TEXT = core_schema.str_schema(strict=True)
_COUNT = core_schema.int_schema(strict=True, ge=0, le=rules.LARGEST_INTEGER)
_OBJECT = core_schema.union_schema(
    [
        core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()),
        core_schema.str_schema(strict=True),
    ]
)
#: Schemas of the fields that are not text.
_OTHERS: dict[str, CoreSchema] = {
    "count": _COUNT,
    "object": _OBJECT,
    "json": core_schema.any_schema(),
}


def _typed(
    model: type[BaseModel], *, as_it_is: bool, telling: bool, **others: CoreSchema
) -> core_schema.TypedDictSchema:
    """Return the schema of a record with the fields of `model` and those of `others`.

    Required fields hold a value, all others one or null; unknown keys pass, for the caller to
    handle. With `as_it_is`, a field of any text skips its rule, which would change nothing in it.
    """
    fields = {}
    for name, info in model.model_fields.items():
        kind = kind_of(info)
        schema = _OTHERS.get(kind)
        if schema is None:
            is_plain = as_it_is and kind == "text"
            schema = _TEXT if is_plain else _ruled(name, _RULES[kind], telling=telling)
        required = info.is_required()
        if not required:
            schema = core_schema.nullable_schema(schema)
        fields[name] = core_schema.typed_dict_field(schema, required=required)
    for name, schema in others.items():
        nullable = core_schema.nullable_schema(schema)
        fields[name] = core_schema.typed_dict_field(nullable, required=False)
    return core_schema.typed_dict_schema(fields, extra_behavior="allow")


def _run(*, as_it_is: bool = False, telling: bool = False) -> core_schema.TypedDictSchema:
    typed = partial(_typed, as_it_is=as_it_is, telling=telling)
    events = core_schema.list_schema(typed(Event))
    commits = core_schema.list_schema(typed(CommitAssociation))
    return typed(Run, events=events, commits=commits)


_VALIDATOR = SchemaValidator(_run())
#: For JSON without escapes, in which every text is valid Unicode without NUL.
_FOR_PLAIN_LINES = SchemaValidator(_run(as_it_is=True))


@cache
def _for_bad_records() -> SchemaValidator:
    """The same rules, made to say where one is broken. That costs time, and a record that keeps them all has no use for it."""
    return SchemaValidator(_run(telling=True))


#: Every key that a record of a run may have, and the same of an event and of a commit in it.
KNOWN = frozenset((*Run.model_fields, "events", "commits")) | LEFT_OUT
EVENT_KEYS = frozenset((*Event.model_fields, "event_id", "run_id")) | LEFT_OUT
COMMIT_KEYS = frozenset((*CommitAssociation.model_fields, "event_id")) | LEFT_OUT


# Records


def from_line(line: bytes) -> Document:
    """The record that a line of JSON holds; an empty text may be left in it. Raises `BadRecord`.

    The Rust core lets repeated keys, NaN and integers of any size pass: `strictly` is for what may hold some.
    """
    try:
        document: Document = (_VALIDATOR if b"\\u00" in line else _FOR_PLAIN_LINES).validate_json(
            line
        )
    except (ValidationError, InvalidInput):
        raise _refusal(_for_bad_records().validate_json, line) from None
    return document


def from_values(values: Document) -> Document:
    """The same for a record that was read from elsewhere. Raises `BadRecord`."""
    try:
        document: Document = _VALIDATOR.validate_python(values)
    except (ValidationError, InvalidInput):
        raise _refusal(_for_bad_records().validate_python, values) from None
    return document


def repeats_no_key(line: bytes, keys: int) -> bool:
    """Tell whether a line that was read as so many keys repeats none; where that cannot be told at little cost: False.

    In compact or usual JSON each key ends in `":`, so a repeated one shows as one more. Not if white space before a colon, or a
    quote or colon written as an escape, hides another from being counted.
    """
    return (
        line.count(b'":') == keys
        and b" :" not in line
        # Single bytes first: looking for one is many times faster than for two.
        and not (b"\\" in line and b"\\u00" in line)
        and not (b"\n" in line and b"\n:" in line)
        and not (b"\t" in line and b"\t:" in line)
        and not (b"\r" in line and b"\r:" in line)
    )


def strictly(line: bytes) -> None:
    """Read a line by the letter of the rules for JSON. Raises `BadRecord`."""
    try:
        rules.json_value("the line", line.decode("utf-8-sig"))
    except InvalidInput as error:
        raise BadRecord(misfit(line), error.message.removeprefix("the line: ")) from None


def _refusal(validate: Callable[[Any], object], given: bytes | Document) -> BadRecord:
    """The first thing that is wrong with a record that was refused."""
    try:
        validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    else:
        return BadRecord(None, "it breaks a rule")
    # Of a union's choices, the first one tells enough; its name is no part of the place.
    place = [part for part in first["loc"] if isinstance(part, int) or "[" not in part]
    field = ".".join(map(str, place)) if place and place[0] in KNOWN else None
    message = first["msg"]
    if first["type"] == "rule":
        return BadRecord(field, message)
    if field and field.partition(".")[0] in ("metrics_json", "context_json"):
        field, message = field.partition(".")[0], "a JSON object is needed"
    if first["type"] == "missing":
        return BadRecord(field, "is missing, and there is no record without it")
    if first["type"] == "json_invalid":
        return _no_json(given, message)
    return BadRecord(
        field,
        f"{rules.shorten(repr(first['input']))} is not accepted: {message[:1].lower()}{message[1:]}",
    )


def _no_json(line: bytes | Document, message: str) -> BadRecord:
    """What is wrong with a line that pydantic does not read; where it is a number or text, in which field and which one."""
    if isinstance(line, bytes) and misfit(line):
        try:
            strictly(line)
        except BadRecord as error:
            return error
    return BadRecord(None, f"not valid JSON: {message.removeprefix('Invalid JSON: ')}")
