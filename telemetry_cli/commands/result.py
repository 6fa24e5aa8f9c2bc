"""What handlers return; `render` turns it into text."""

from collections.abc import Callable, Iterable, Sequence

Record = dict[str, object]


class Written:
    """The outcome of one act: `line` is printed as plain text, `data` as json, `exports` as shell exports for `-o env`."""

    def __init__(self, data: Record, line: str | None, notes: Sequence[str] = (), exports: dict[str, str] | None = None, code: int = 0) -> None:
        self.data = data
        self.line = line
        self.notes = list(notes)
        self.exports = exports or {}
        self.code = code


class Listing:
    """Rows, made as they are asked for: `view` names their table, `columns` their order, `key` the field that `-o ids` prints.

    `chosen` tells that the user named the columns.
    """

    def __init__(
        self, view: str, columns: Sequence[str], rows: Iterable[Record], notes: Sequence[str] = (), *, chosen: bool = False, absolute: bool = False
    ) -> None:
        self.view = view
        self.columns = columns
        self.rows = rows
        self.notes = list(notes)
        self.chosen = chosen
        self.absolute = absolute
        self.code = 0


class Card:
    """One thing with all its fields."""

    def __init__(self, view: str, data: Record, notes: Sequence[str] = (), *, absolute: bool = False) -> None:
        self.view = view
        self.data = data
        self.notes = list(notes)
        self.absolute = absolute
        self.code = 0


Result = Written | Listing | Card
Handler = Callable[..., Result]

WRITES = ("text", "json")
READS = ("table", "json", "jsonl", "csv")
ONE = ("table", "json")


class Formats:
    """A decorator that says which output formats a handler's result has; the first is the default.

    `records` marks a command that records something: `TELEMETRY_DISABLED` and `TELEMETRY_NEVER_FAIL` are about those.
    """

    def __init__(self, *formats: str, records: bool = False) -> None:
        self.formats = formats
        self.records = records

    def __call__(self, handler: Handler) -> Handler:
        """Mark the handler."""
        handler.formats = self.formats  # type: ignore[attr-defined]
        handler.records = self.records  # type: ignore[attr-defined]
        return handler
