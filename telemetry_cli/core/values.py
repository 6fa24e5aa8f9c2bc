"""The rules of every value: text from outside in, a value fit to be stored out, or `InvalidInput` that says what is accepted.

Both doors, the Python client and the models of imported documents go through here. `name` is always what the user
knows the value by (`--status`, a config key), so that the message points at it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from telemetry_cli.core.clock import stamp
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.core.tables import RUN_FIELDS

#: The version of the operations that this program writes and applies.
OPERATION_VERSION = 1

STATUSES = ("running", "success", "failure", "partial", "timeout", "cancelled")
STATUS_ALIASES = {
    "failed": "failure",
    "completed": "success",
    "succeeded": "success",
    "canceled": "cancelled",
}
COMMIT_SOURCES = ("manual", "llm", "ci")
COMMIT_ROLES = ("produced", "base", "released")

#: Fields of a run that count something, and that commands take as options.
COUNT_FIELDS = tuple(
    name for name, field in RUN_FIELDS.items() if field.kind == "count" and field.options
)

LARGEST_INTEGER = 2**63 - 1
#: Under this key a run's context, and an event's payload, hold what could not be stored as it was.
UNSTORABLE = "unstorable"
LONGEST_ERROR_DETAILS = 64 * 1024
#: A document may be this large (bytes) and this deep: one operation stays far below SQLite's own limits.
LARGEST_DOCUMENT = 16 * 1024 * 1024
DEEPEST_DOCUMENT = 100
#: So deep may be an operation, which holds documents.
DEEPEST_OPERATION = DEEPEST_DOCUMENT + 10

_HEX = frozenset("0123456789abcdef")


# Text


def text(name: str, value: str) -> str:
    """Any text that can be stored: valid Unicode without NUL."""
    if value.isascii() and "\0" not in value:
        return value
    if "\0" in value:
        raise InvalidInput(f"{name}: the text holds a NUL character, which cannot be stored")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{name}: {value!r} is not valid UTF-8 text") from None
    return value


def escape_text(value: str) -> str:
    """Return a text with an escape for each character that cannot be stored: NUL and lone surrogates."""
    # Of a subclass the characters, whatever its `__str__` returns.
    plain = str.__str__(value)
    if plain.isascii() and "\0" not in plain:
        return plain
    return plain.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def is_line(value: str) -> bool:
    """Tell whether a value is one line of text: without control characters, but with the spaces and joiners of any script."""
    return value.isprintable() or not any(
        char < " "
        or "\x7f" <= char <= "\x9f"
        or "\ud800" <= char <= "\udfff"
        or char in "\u2028\u2029"
        for char in value
    )


def optional_text(name: str, value: str) -> str | None:
    """Text, or null for an empty one: an unset CI variable expands to nothing."""
    return text(name, value) or None


def required_text(name: str, value: str) -> str:
    """1 to 200 characters, not blank."""
    if not 1 <= len(value) <= 200 or value.isspace():
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; give 1 to 200 characters, not only white space"
        )
    return text(name, value)


def event_id(name: str, value: str) -> str:
    """1 to 200 printable characters without white space, not starting with `@` or `-`."""
    if not 1 <= len(value) <= 200 or value[0] in "@-" or not value.isprintable() or " " in value:
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; give 1 to 200 printable characters without white space, not starting with '@' or '-'"
        )
    return value


def looks_random(event_id: str) -> bool:
    """Tell whether a machine made the id: a UUID, 32 hex digits, or a ULID. Of others a beginning says more than an end hides."""
    if len(event_id) == 26:
        return event_id.isalnum() and event_id.isupper()
    digits = event_id.replace("-", "")
    return len(digits) == 32 and len(event_id) in (32, 36) and _HEX.issuperset(digits.lower())


def run_id(name: str, value: str) -> str:
    """1 to 255 characters, no `/`, `\\`, NUL or control characters, not blank."""
    if (
        1 <= len(value) <= 255
        and value.isascii()
        and value.isprintable()
        and not value.isspace()
        and "/" not in value
        and "\\" not in value
    ):
        return value
    if (
        not 1 <= len(value) <= 255
        or value.isspace()
        or any(char in "/\\" or ord(char) < 32 or 127 <= ord(char) < 160 for char in value)
    ):
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; give 1 to 255 characters without '/', '\\' or control characters, not only white space"
        )
    return text(name, value)


def reference(name: str, value: str) -> str:
    """A RUN as typed: the shape only. Which run it means is decided where the database is."""
    if value.startswith("@"):
        if value == "@last" or (value.startswith("@last:") and len(value) > 6):
            return text(name, value)
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; after '@' comes last, last:AGENT or current"
        )
    if not value.strip():
        raise InvalidInput(
            f"{name}: an empty reference; give an event_id, a run_id, a prefix of 4 characters or more, @last, @last:AGENT or @current"
        )
    return text(name, value)


def error_details(name: str, value: str) -> str | None:
    """Text of at most 64 KiB: of a longer one the two ends are kept and the cut is marked."""
    encoded = text(name, value).encode()
    if len(encoded) <= LONGEST_ERROR_DETAILS:
        return value or None
    mark = f"\n[… {len(encoded) - LONGEST_ERROR_DETAILS} bytes or a little more cut out here …]\n"
    half = (LONGEST_ERROR_DETAILS - len(mark.encode())) // 2
    return encoded[:half].decode(errors="ignore") + mark + encoded[-half:].decode(errors="ignore")


def choice(name: str, value: str, accepted: tuple[str, ...]) -> str:
    """One of a few words, in any case."""
    word = value.lower()
    if word not in accepted:
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; give one of {', '.join(accepted)}"
        )
    return word


def status(name: str, value: str) -> str:
    """A canonical status; `failed`, `completed`, `succeeded` and `canceled` are understood."""
    word = value.lower()
    return choice(name, STATUS_ALIASES.get(word, word), STATUSES)


def commit_hash(value: str) -> str | None:
    """A literal SHA (7 to 40 hex digits, or 64) in lower case, or None when the text is something else."""
    digits = value.lower()
    return (
        digits
        if (7 <= len(digits) <= 40 or len(digits) == 64) and _HEX.issuperset(digits)
        else None
    )


def commit_prefix(name: str, value: str) -> str:
    """A SHA, or at least its first 7 hex digits, in lower case."""
    digits = value.lower()
    if not 7 <= len(digits) <= 64 or not _HEX.issuperset(digits):
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; give a commit's SHA or at least its first 7 hex digits"
        )
    return digits


#: Names that mean something else where a hook may be named.
_NO_HOOKS = ("runs", "records", "datasets")
_SMALL = frozenset("abcdefghijklmnopqrstuvwxyz")
_IN_HOOKS = _SMALL | frozenset("0123456789_")


def hook_name(name: str, value: str) -> str:
    """A hook's name: a small letter, then small letters, digits and `_`, 40 characters at most."""
    if value in _NO_HOOKS:
        raise InvalidInput(f"{name}: {value!r} is reserved; give another name")
    if not 1 <= len(value) <= 40 or value[0] not in _SMALL or not _IN_HOOKS.issuperset(value):
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; give a small letter, then small letters, digits and '_', 40 characters at most"
        )
    return value


def hook_release(name: str, value: str) -> tuple[str, int | None]:
    """`NAME` or `NAME@N` as (hook, version or None)."""
    hook, at, number = value.partition("@")
    if at and not number:
        raise InvalidInput(
            f"{name}: {shorten(value)!r} names no version behind the '@'; give NAME or NAME@N, such as {shorten(hook)}@1"
        )
    return hook_name(name, hook), version(name, number) if at else None


def version(name: str, value: str) -> int:
    """A release's number: 1, 2, 3, …"""
    number = _integer(name, value, 0)
    if not number:
        raise InvalidInput(f"{name}: versions begin at 1")
    return number


#: What takes secrets out of a text; put here by the module that knows them, which stands above this one.
_cleaners: list[Callable[[str], str]] = []


def quote_through(clean: Callable[[str], str]) -> None:
    """Have every value cleaned that is quoted from now on."""
    _cleaners[:] = [clean]


def shorten(value: str, limit: int = 80) -> str:
    """A value fit to be quoted in a message: without secrets, for no rule knows one that a cut went through."""
    for clean in _cleaners:
        value = clean(value)
    return value if len(value) <= limit else value[: limit - 1] + "…"


# Numbers


def count(name: str, value: str) -> int:
    """A whole number from 0 to 2⁶³−1."""
    return _integer(name, value, 0)


def exit_code(name: str, value: str) -> int:
    """A process's exit code: a whole number, negative for a signal as Python tells it."""
    return _integer(name, value, -LARGEST_INTEGER - 1)


def _integer(name: str, value: str, least: int) -> int:
    digits = value.removeprefix("-")
    if (
        digits.isascii()
        and digits.isdigit()
        and len(digits) <= 19
        and least <= (number := int(value)) <= LARGEST_INTEGER
    ):
        return number
    raise InvalidInput(
        f"{name}: {shorten(value)!r} is not accepted; give a whole number {'from 0 ' if not least else ''}up to {LARGEST_INTEGER}"
    )


def seconds(name: str, value: str) -> float:
    """A number of seconds, fractions too, from 0 to a day."""
    whole, _, fraction = value.partition(".")
    number = (
        float(value)
        if value.isascii() and (whole + fraction).isdigit() and len(value) < 30
        else -1.0
    )
    if not 0 <= number <= 86400:
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not accepted; give seconds from 0 to 86400, fractions too"
        )
    return number


def interval(name: str, value: str) -> float:
    """Seconds between two looks: from 0.1 to a day."""
    number = seconds(name, value)
    if number < 0.1:
        raise InvalidInput(f"{name}: {value!r} is not accepted; give 0.1 seconds or more")
    return number


def duration(name: str, value: str) -> float:
    """Seconds from a number with a unit: `500ms`, `90s`, `15m`, `2h`, up to a week."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)):
        amount = value.removesuffix(unit)
        whole, _, fraction = amount.partition(".")
        if (
            amount != value
            and amount.isascii()
            and (whole + fraction).isdigit()
            and len(amount) < 12
            and 0 < float(amount) * factor <= 604800
        ):
            return float(amount) * factor
    raise InvalidInput(
        f"{name}: {shorten(value)!r} is not accepted; give a duration such as 500ms, 90s, 15m or 2h"
    )


_SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
#: Less memory than this starts no interpreter; more than this is a slip of the pen.
_LEAST_MEMORY, _MOST_MEMORY = 1 << 24, 1 << 44


def size(name: str, value: str) -> int:
    """Bytes from a whole number with a unit (powers of 1024): `512m`, `4g`, from 16m to 16t."""
    amount, unit = value[:-1], value[-1:].lower()
    if unit in _SIZES and amount.isascii() and amount.isdigit() and len(amount) <= 14:
        found = int(amount) * _SIZES[unit]
        if _LEAST_MEMORY <= found <= _MOST_MEMORY:
            return found
    raise InvalidInput(
        f"{name}: {shorten(value)!r} is not accepted; give a size from 16m to 16t, such as 512m or 4g"
    )


# Times

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def instant(name: str, value: str, moment: datetime) -> str:
    """A time that will be stored: ISO 8601 with a zone, or relative to `moment`."""
    return _time(name, value, moment, zone_required=True)


def filter_instant(name: str, value: str, moment: datetime) -> str:
    """A time that filters: as `instant`, and without a zone it is local."""
    return _time(name, value, moment, zone_required=False)


def document_instant(name: str, value: str) -> str:
    """A time in a document: ISO 8601 with a zone. An age would mean another time whenever the document is read."""
    try:
        parsed = datetime.fromisoformat(value)
        # Written as it is stored already, but for what ISO 8601 has besides: weeks, and the hour 24.
        if (
            len(value) == 24
            and value[23] == "Z"
            and value[19] == "."
            and value[10] == "T"
            and value[5] != "W"
            and value[11:13] != "24"
        ):
            return value
        if parsed.tzinfo is not None:
            return stamp(parsed)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not a time; give ISO 8601 with a zone (2026-01-31T12:00:00Z)"
        ) from None
    raise InvalidInput(
        f"{name}: {value!r} has no zone; append Z for UTC, or an offset such as +02:00"
    )


def _time(name: str, value: str, moment: datetime, *, zone_required: bool) -> str:
    amount, unit = value[:-1], value[-1:]
    try:
        if unit in _UNITS and amount.isascii() and amount.isdigit() and len(amount) <= 12:
            return stamp(moment - timedelta(seconds=int(amount) * _UNITS[unit]))
        if value in ("today", "yesterday"):
            midnight = moment.astimezone().replace(
                hour=0, minute=0, second=0, microsecond=0, tzinfo=None
            )
            return stamp((midnight - timedelta(days=value == "yesterday")).astimezone())
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None and zone_required:
            raise InvalidInput(
                f"{name}: {value!r} has no zone; append Z for UTC, or an offset such as +02:00"
            )
        return stamp(parsed)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{name}: {shorten(value)!r} is not a time; give ISO 8601 (2026-01-31T12:00:00Z), an age such as 90s, 15m, 2h, 3d or 1w, today or yesterday"
        ) from None


# JSON

_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def json_value(name: str, source: str) -> object:
    """Strict JSON: no NaN, Infinity, duplicate keys, lone surrogates, or integers outside −2⁶³…2⁶³−1."""

    def refuse(what: str) -> InvalidInput:
        return InvalidInput(f"{name}: the JSON holds {what}")

    def constant(word: str) -> object:
        raise refuse(f"{word}, which is not a JSON number")

    def integer(digits: str) -> int:
        if (
            len(digits) > 20
            or not -LARGEST_INTEGER - 1 <= (number := int(digits)) <= LARGEST_INTEGER
        ):
            raise refuse(f"the integer {shorten(digits, 30)}, which is outside −2⁶³…2⁶³−1")
        return number

    def real(digits: str) -> float:
        number = float(digits)
        if number - number != 0:
            raise refuse(f"the number {shorten(digits, 30)}, which is too large")
        return number

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) != len(items):
            seen: set[str] = set()
            twice = next(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise refuse(f"the key {shorten(twice, 40)!r} twice")
        return found

    if len(source) > LARGEST_DOCUMENT:
        raise InvalidInput(f"{name}: the JSON is larger than {LARGEST_DOCUMENT} bytes")
    try:
        value: object = json.loads(
            source,
            parse_constant=constant,
            parse_int=integer,
            parse_float=real,
            object_pairs_hook=pairs,
        )
        if is_deeper(value, DEEPEST_DOCUMENT):
            raise InvalidInput(
                f"{name}: the JSON is nested more than {DEEPEST_DOCUMENT} levels deep"
            )
        encode(value).encode()
    except UnicodeEncodeError:
        raise refuse("a lone surrogate, which is not text") from None
    except RecursionError:
        raise refuse(f"more than {DEEPEST_DOCUMENT} levels") from None
    except ValueError as error:
        raise InvalidInput(f"{name}: not valid JSON: {error}") from None
    return value


def json_object(name: str, source: str) -> dict[str, object]:
    """As `json_value`, and it must be an object."""
    value = json_value(name, source)
    if not isinstance(value, dict):
        raise InvalidInput(
            f"{name}: a JSON object is needed, such as '{{\"tokens\": 100}}'; {shorten(source, 40)!r} is none"
        )
    return value


def pair(name: str, value: str) -> tuple[str, object]:
    """`KEY=VALUE`: the value is a JSON scalar if it parses as one without losing a digit, else text."""
    key, equals, source = value.partition("=")
    if not equals or not key:
        raise InvalidInput(f"{name}: {shorten(value)!r} is not accepted; give KEY=VALUE")
    text(name, key)
    try:
        found = json.loads(
            source, parse_constant=_no_json, parse_int=exact_integer, parse_float=exact_float
        )
    except (ValueError, RecursionError):
        return key, text(name, source)
    if isinstance(found, (dict, list)):
        return key, text(name, source)
    return key, json_value(f"{name} {shorten(key, 40)}", source) if isinstance(
        found, str
    ) else found


def _no_json(word: str) -> object:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(word)


def exact_integer(digits: str) -> int:
    """Return an integer of 64 bits. Raises `ValueError`."""
    if len(digits) > 20 or not -LARGEST_INTEGER - 1 <= (number := int(digits)) <= LARGEST_INTEGER:
        raise ValueError(digits)
    return number


def exact_float(digits: str) -> float:
    """Return the float that a JSON number is. Raises `ValueError` where the float would lose a digit.

    So does `1234e56`: a commit's SHA and the tag of an image may read like that, and no program writes a number so. Before an
    exponent without a sign, only a single digit from 1 to 9 (`1e6`) or a fraction (`2.5e6`) counts.
    """
    mantissa, e, exponent = digits.lower().partition("e")
    is_name = (
        e and mantissa.isdigit() and exponent.isdigit() and (len(mantissa) > 1 or mantissa == "0")
    )
    number = float(digits)
    if is_name or not keeps_digits(digits, number):
        raise ValueError(digits)
    return number


def keeps_digits(digits: str, number: float) -> bool:
    """Tell whether a float has the significant digits that it was written with; one that became infinite or 0 has not."""
    return _significant(digits) == _significant(repr(number))


def _significant(digits: str) -> str:
    return digits.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")


def encode(value: object) -> str:
    """JSON as it is stored: compact, keys sorted, so that equal objects are equal text."""
    return _encode(value)


def is_deeper(value: object, levels: int) -> bool:
    """Tell whether lists and objects are nested more than so many levels deep."""
    level = [value]
    for _ in range(levels):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


# Fields of a run

_RULES = {"name": required_text, "text": optional_text, "count": count, "status": status}

#: Field of a run that commands take as an option → its rule. Times and remotes are not among them:
#: they need the current time, or the redaction of credentials. `journal.writer` shortens error_details.
FIELDS: dict[str, Callable[[str, str], object]] = {
    name: _RULES[field.kind]
    for name, field in RUN_FIELDS.items()
    if field.options and field.kind in _RULES
}


def option(field: str) -> str:
    """The command-line name of a field."""
    return "--" + field.replace("_", "-")


def fields(given: Mapping[str, str | None]) -> dict[str, object]:
    """Convert the fields that were given, by the names of `FIELDS`. Raises `InvalidInput` on the first that breaks its rule."""
    return {
        name: FIELDS[name](option(name), value)
        for name, value in given.items()
        if value is not None
    }
