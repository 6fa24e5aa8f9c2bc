"""In which field of a record something stands that the rules for JSON do not know: for the message about it."""

import json

from telemetry_cli.core import values as rules


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
