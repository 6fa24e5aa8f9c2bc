"""Python values to JSON: what has an obvious form is converted, the rest is set aside as text.

Types of other libraries are known by their protocols (`tolist`, `isoformat`, `__float__`), so none of them is imported.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from datetime import timedelta
from enum import Enum

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput

#: How many values of one record are set aside by their names, and how long the text of one and its name may be.
_MOST = 100
_LONGEST_TEXT = 1000
_LONGEST_PATH = 200
#: Under this name the rest is counted.
_MORE = "…"

#: Stands for a value that was set aside.
NOTHING = object()


class Unstorable:
    """The values of one record that cannot be stored: `texts` (path → text), `reasons` (path → message).

    clean: removes secrets from a text, which is done before it is cut.
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._more = 0
        self.texts: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def add(self, path: str, value: object, reason: str) -> object:
        """Keep a value as text. Returns `NOTHING`."""
        if len(self.texts) < _MOST:
            path = self.shorten(path, _LONGEST_PATH)
            self.texts[path] = self.shorten(as_text(value), _LONGEST_TEXT)
            self.reasons[path] = reason
        else:
            self._more += 1
            self.texts[_MORE] = f"{self._more} more values"
        return NOTHING

    def shorten(self, text: str, limit: int) -> str:
        """Return a text of at most `limit` characters: of a longer one the first ones, once secrets are out of it, and a mark."""
        return text if len(text) <= limit else rules.shorten(self._clean(text), limit)

    def beside(self, document: Mapping[str, object]) -> dict[str, object]:
        """Return an object with the texts laid under `unstorable`, beside what stands there already."""
        there = document.get(rules.UNSTORABLE, {})
        return {
            **document,
            rules.UNSTORABLE: {
                **(there if isinstance(there, dict) else {rules.UNSTORABLE: there}),
                **self.texts,
            },
        }


def as_text(value: object) -> str:
    """Return any value as text. An object that cannot even be printed is named by its type."""
    for show in (str, repr):
        try:
            return rules.escape_text(show(value))
        except Exception:  # noqa: S112 - the host's objects may raise anything, RecursionError among it
            continue
    return f"<{type(value).__name__}>"


def document(path: str, value: object, unstorable: Unstorable) -> object:
    """Return a value as JSON can hold it (100 levels, 16 MiB), or `NOTHING` where the whole was set aside. Never raises."""
    try:
        # Nearly every value is plain JSON, and this is many times faster.
        return rules.json_value(path, json.dumps(value, ensure_ascii=False))
    except Exception:
        found = converted(value, path, unstorable)
    return _bounded(found, path, unstorable)


def _bounded(found: object, path: str, unstorable: Unstorable) -> object:
    """Set aside the largest values of an object until the rest may be stored; anything else is set aside whole."""
    if found is NOTHING or _size(found) <= rules.LARGEST_DOCUMENT:
        return found
    too_large = f"is larger than {rules.LARGEST_DOCUMENT:,} bytes"
    if not isinstance(found, dict):
        return unstorable.add(
            path or "payload", rules.encode(found), f"{path or 'payload'}: {too_large}"
        )
    sizes = {key: _size(key) + _size(item) + 2 for key, item in found.items()}
    while sum(sizes.values()) > rules.LARGEST_DOCUMENT:
        key = max(sizes, key=lambda name: sizes[name])
        del sizes[key]
        inner = _inside(path, key)
        unstorable.add(inner, rules.encode(found[key]), f"{inner}: {too_large}")
    return {key: found[key] for key in sizes}


def _size(value: object) -> int:
    return len(rules.encode(value).encode())


def converted(
    value: object, path: str, unstorable: Unstorable, around: tuple[int, ...] = ()
) -> object:
    """Return a value as JSON can hold it, or `NOTHING`. `around`: the identities of the containers that it is in."""
    name = path or "payload"
    if len(around) >= rules.DEEPEST_DOCUMENT:
        return unstorable.add(
            name, value, f"{name}: nested more than {rules.DEEPEST_DOCUMENT} levels deep"
        )
    if id(value) in around:
        return unstorable.add(name, value, f"{name}: contains itself")
    try:
        plain = simplified(value)
        if isinstance(plain, dict):
            return _object(plain, path, unstorable, (*around, id(value)))
        if isinstance(plain, list):
            items = [
                converted(item, _inside(path, str(number)), unstorable, (*around, id(value)))
                for number, item in enumerate(plain)
            ]
            return [None if item is NOTHING else item for item in items]
        if plain is None or isinstance(plain, (str, bool)):
            return plain
        if isinstance(plain, (int, float)):
            return rules.json_value(name, json.dumps(plain))
    except Exception:  # noqa: S110 - the host's objects may raise anything; they are set aside below
        pass
    else:
        if plain is not value:
            # One step nearer to JSON; the steps are counted, so that they end.
            return converted(plain, path, unstorable, (*around, id(value)))
    return unstorable.add(
        name,
        value,
        f"{name}: {rules.shorten(as_text(value))} ({type(value).__name__}) cannot be stored as JSON",
    )


def _object(
    items: dict[object, object], path: str, unstorable: Unstorable, around: tuple[int, ...]
) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, item in items.items():
        name = _key(key)
        inner = _inside(path, name)
        if name in found:
            unstorable.add(inner, item, f"{inner}: the key stands there twice")
            continue
        value = converted(item, inner, unstorable, around)
        if value is not NOTHING:
            found[name] = value
    return found


def _inside(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _key(key: object) -> str:
    """Return a key as JSON has it: text as it is, a number or word as JSON spells it."""
    plain = key
    while isinstance(plain, Enum):
        plain = plain.value
    if not isinstance(plain, str):
        plain = simplified(plain)
    return (
        rules.escape_text(plain)
        if isinstance(plain, str)
        else json.dumps(plain)
        if isinstance(plain, (bool, int, float, type(None)))
        else as_text(key)
    )


def simplified(value: object) -> object:
    """Return a value one step nearer to JSON: as a dict with any keys, a list, text, number, bool or None; itself where there is no such form."""
    kind = type(value)
    if value is None or kind in (bool, int, float, dict, list):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return rules.escape_text(value)
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, os.PathLike):
        return rules.escape_text(os.fsdecode(value))
    if isinstance(value, timedelta):
        return value.total_seconds()
    if _is_a(value, "decimal", "Decimal"):
        return _decimal(str(value))
    if _is_a(value, "uuid", "UUID"):
        return str(value)
    return (
        _container(value)
        if isinstance(value, (Mapping, Set, Sequence, ValuesView))
        else _foreign(value)
    )


def _is_a(value: object, module: str, name: str) -> bool:
    """Tell whether a value is of a class of the standard library; where its module is not loaded, nothing is."""
    found = getattr(sys.modules.get(module), name, None)
    return found is not None and isinstance(value, found)


def _decimal(digits: str) -> object:
    """Return a decimal as the number that it is, or as text where a float would lose a digit of it. Raises `ValueError` for NaN and Infinity."""
    if not digits.lstrip("-")[:1].isdigit():
        raise ValueError(digits)
    try:
        return json.loads(digits, parse_int=rules.exact_integer, parse_float=rules.exact_float)
    except ValueError:
        return digits


def _container(value: object) -> object:
    assert isinstance(value, (Mapping, Set, Sequence, ValuesView))
    if len(value) > rules.LARGEST_DOCUMENT:
        # Of a `range` the items are nowhere yet, and memory may not hold them.
        raise InvalidInput("too many items")
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, (set, frozenset)):
        return list(value)
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=as_text)


def _foreign(value: object) -> object:
    """The same of objects that only their protocols tell of: those of numpy, torch and pandas, dates, dataclasses, numbers."""
    kind = type(value)
    if getattr(value, "nbytes", 0) > rules.LARGEST_DOCUMENT:
        raise InvalidInput("too many items")
    unit = {"M": "datetime64[us]", "m": "timedelta64[us]"}.get(
        getattr(getattr(value, "dtype", None), "kind", "")
    )
    if unit and str(getattr(value, "dtype", "")) != unit:
        # In nanoseconds they would become plain integers.
        return getattr(value, "astype")(unit)  # noqa: B009 - no type that mypy knows
    for protocol in ("tolist", "isoformat"):
        if hasattr(kind, protocol):
            found: object = getattr(value, protocol)()
            if found == "NaT":
                raise InvalidInput("not a time")
            return found
    if hasattr(kind, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in kind.__dataclass_fields__}
    if hasattr(kind, "__index__"):
        return int(getattr(value, "__index__")())  # noqa: B009 - the same
    return float(value) if hasattr(kind, "__float__") else value  # type: ignore[arg-type]
