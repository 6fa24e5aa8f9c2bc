"""Values of the platform's databases, versions 1 to 7, as values that keep our rules; what cannot be kept so is kept as it was."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from telemetry_cli import rules
from telemetry_cli.clock import stamp
from telemetry_cli.errors import InvalidInput

_Value = TypeVar("_Value")

_LONGEST_NAME = 200
_LONGEST_RUN_ID = 255
#: Numbers that can only be seconds, or milliseconds, since 1970.
_SECONDS = (10**8, 10**11)
_MILLISECONDS = (10**11, 10**14)
#: Up to here a float tells one whole number from the next.
_LARGEST_EXACT = 2**53


class Found:
    """One legacy row. Each column is asked for once, by its rule, and a value that keeps the rule comes back.

    Text that is no UTF-8 comes as bytes, as blobs do.
    """

    def __init__(self, row: Mapping[str, object]) -> None:
        self._row = {name.lower(): value for name, value in row.items()}
        self._broken: dict[str, object] = {}

    def left(self) -> dict[str, object]:
        """What broke its rule, and what was never asked for: column → value as it was found. To be called last."""
        return self._broken | {name: value for name, value in self._row.items() if value is not None}

    def raw(self, column: str) -> str | None:
        """The text that other rows know this one by, as it was found."""
        value = self._row.get(column)
        return None if value is None or isinstance(value, bytes) else str(value)

    def text(self, column: str) -> str | None:
        """Text or null; an empty text is null."""
        value = self._row.pop(column, None)
        if isinstance(value, bytes):
            self._broken[column] = value
            value = value.decode(errors="replace")
        text = "" if value is None else str(value)
        if "\0" in text:
            self._broken.setdefault(column, value)
            text = text.replace("\0", "")
        return text or None

    def required(self, column: str, otherwise: str) -> str:
        """1 to 200 characters."""
        text = self.text(column)
        if text is None or text.isspace():
            return self.instead(column, text, otherwise)
        return text if len(text) <= _LONGEST_NAME else self.instead(column, text, text[:_LONGEST_NAME])

    def details(self, column: str) -> str | None:
        """Text of at most 64 KiB."""
        text = self.text(column)
        kept = rules.error_details(column, text) if text else None
        return kept if kept == text else self.instead(column, text, kept)

    def count(self, column: str) -> int:
        """A whole number from 0; null is read as 0, and of a fraction the whole part stays."""
        value = self._row.pop(column, None)
        number = _integer(value)
        if number is not None and number >= 0:
            return number
        return self.instead(column, value, int(value) if isinstance(value, float) and 0 < value <= _LARGEST_EXACT else 0)

    def integer(self, column: str) -> int:
        """A whole number; null is read as 0."""
        value = self._row.pop(column, None)
        number = _integer(value)
        return self.instead(column, value, 0) if number is None else number

    def time(self, column: str) -> str | None:
        """A time as it is stored, or null. A number is taken for seconds or milliseconds since 1970, and kept beside."""
        value = self._row.pop(column, None)
        if value in (None, ""):
            return None
        moment = _moment(value)
        return moment if moment and isinstance(value, str) else self.instead(column, value, moment)

    def json_object(self, column: str) -> str:
        """A JSON object as it is stored, an empty one for null."""
        value = self._row.pop(column, None)
        if value in (None, ""):
            return "{}"
        try:
            return rules.encode(rules.json_object(column, value if isinstance(value, str) else ""))
        except InvalidInput:
            return self.instead(column, value, "{}")

    def json_value(self, column: str) -> str | None:
        """Any JSON as it is stored, or null."""
        value = self._row.pop(column, None)
        if value in (None, ""):
            return None
        try:
            return rules.encode(rules.json_value(column, value if isinstance(value, str) else ""))
        except InvalidInput:
            return self.instead(column, value, None)

    def status(self, column: str, *, ended: bool) -> str:
        """A canonical status. None at all is a run that goes on, or of which only the end is known."""
        text = self.text(column)
        word = (text or "").strip().lower()
        if not word:
            return self.instead(column, text, "partial" if ended else "running")
        word = rules.STATUS_ALIASES.get(word, word)
        return word if word in rules.STATUSES else self.instead(column, text, "partial")

    def choice(self, column: str, accepted: tuple[str, ...]) -> str | None:
        """One of a few words in any case, or null."""
        text = self.text(column)
        word = text.strip().lower() if text else None
        return word if word is None or word in accepted else self.instead(column, text, None)

    def commit_hash(self, column: str) -> str | None:
        """A SHA in lower case, or null."""
        text = self.text(column)
        digits = rules.commit_hash(text.strip()) if text else None
        return digits if text is None or digits else self.instead(column, text, None)

    def run_id(self, column: str, otherwise: str) -> str:
        """A run_id, with `-` for what may not stand in one."""
        text = self.text(column)
        try:
            return rules.run_id(column, text or "")
        except InvalidInput:
            made = "".join("-" if char in "/\\" or ord(char) < 32 or 127 <= ord(char) < 160 else char for char in text or "")[:_LONGEST_RUN_ID]
            return self.instead(column, text, made if made.strip() else otherwise)

    def event_id(self, column: str) -> str | None:
        """An event_id, or null where there is none that keeps the rule."""
        text = self.text(column)
        try:
            return rules.event_id(column, text) if text else None
        except InvalidInput:
            return self.instead(column, text, None)

    def instead(self, column: str, found: object, value: _Value) -> _Value:
        """Keep aside what was found and breaks a rule, and give a valid value in its place."""
        if found is not None:
            self._broken.setdefault(column, found)
        return value


def _integer(value: object) -> int | None:
    """The whole number that a value is, whatever its type; None for anything else."""
    if value in (None, ""):
        return 0
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _LARGEST_EXACT else None
    digits = value.strip() if isinstance(value, str) else ""
    found = int(digits) if digits.removeprefix("-").isdigit() and digits.isascii() and len(digits) <= 20 else None
    return found if found is not None and abs(found) <= rules.LARGEST_INTEGER else None


def _moment(value: object) -> str | None:
    """A time as it is stored. Without a zone it is UTC, as SQLite's datetime('now') is."""
    try:
        if isinstance(value, str):
            text = value.strip().removesuffix("UTC").rstrip()
            parsed = datetime.fromisoformat(text)
            return stamp(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
        if isinstance(value, (int, float)) and _SECONDS[0] <= value < _SECONDS[1]:
            return stamp(datetime.fromtimestamp(value, UTC))
        if isinstance(value, (int, float)) and _MILLISECONDS[0] <= value < _MILLISECONDS[1]:
            return stamp(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError):
        pass
    return None
