"""Results that handlers return; `cli/output` turns them into text."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from telemetry_cli.core.errors import (
    NotDurable,
    TelemetryError,
    from_system,
)

Record = dict[str, object]


class HandedBack(str):
    """A note that is the journal line of a record that could be written nowhere: said as it is, in a line of its own, to be saved."""

    __slots__ = ()


def one_failed(name: str, error: TelemetryError | OSError, notes: list[str]) -> int:
    """Say why one of several things could not be done or recorded, while the others go on. Returns the exit code of it."""
    known = from_system(error) if isinstance(error, OSError) else error
    if isinstance(known, NotDurable) and known.record:
        notes.append(HandedBack(known.record))
    notes.append(" ".join(part for part in (f"{name}: {known.message}", known.hint) if part))
    return known.exit_code


class Written:
    """The outcome of one act: `line` is printed as plain text, `data` as json, `exports` as shell exports for `-o env` (None: unset).

    With `multiline` the text is our own, and its line breaks are kept.
    """

    def __init__(
        self,
        data: Record,
        line: str | None,
        notes: Sequence[str] = (),
        exports: dict[str, str | None] | None = None,
        code: int = 0,
        *,
        multiline: bool = False,
    ) -> None:
        self.multiline = multiline
        self.data = data
        self.line = line
        self.notes = list(notes)
        self.exports = exports or {}
        self.code = code


#: Event ids → how much of each is shown, and is enough for a RUN.
Prefixes = Callable[[Sequence[str]], Mapping[str, str]]


def _whole(event_ids: Sequence[str]) -> Mapping[str, str]:
    return {event_id: event_id for event_id in event_ids}


class Listing:
    """Rows, made as they are asked for: `view` names their table, `columns` their order.

    `chosen` tells that the user named the columns; the runs in `marked` (by event_id) are made to stand out. Tables shorten
    event ids to `prefixes`; figures are grouped `by` a field; `own` are the columns that only this listing of its view has.
    `code` is the exit code, settled when the last row has been made; `summary` is what a table ends with, asked when its rows
    have gone by.
    """

    def __init__(
        self,
        view: str,
        columns: Sequence[str],
        rows: Iterable[Record],
        notes: Sequence[str] = (),
        *,
        chosen: bool = False,
        absolute: bool = False,
        prefixes: Prefixes = _whole,
        by: str | None = None,
        own: Sequence[str] = (),
        code: int = 0,
    ) -> None:
        self.view = view
        self.by = by
        self.columns = columns
        self.rows = rows
        self.notes = list(notes)
        self.chosen = chosen
        self.absolute = absolute
        self.prefixes = prefixes
        self.own = own
        self.code = code
        self.marked: set[object] = set()
        self.summary: Callable[[], str] | None = None


class Watched:
    """A listing of runs that is asked again every so many seconds."""

    def __init__(self, ask: Callable[[], Listing], seconds: float) -> None:
        self.ask = ask
        self.seconds = seconds
        self.notes: list[str] = []
        self.code = 0


#: How far some work has come: things done, and the part of the whole (0 to 1; None: nobody knows).
Progress = tuple[int, float | None]


class Working:
    """Work that takes its time: `steps` does it and says how far it has come; then `finish` tells what came of it.

    `doing` says what is being done (`importing`), `things` to what (`records`).
    """

    def __init__(
        self, doing: str, things: str, steps: Iterator[Progress], finish: Callable[[], Written]
    ) -> None:
        self.doing = doing
        self.things = things
        self.steps = steps
        self.finish = finish


class Streamed:
    """Rows on their way to stdout in a shape (json, jsonl, csv) that is not for `-o` to say; or, with `write`, to wherever that brings the text.

    `write` takes the text in chunks, says how far it has come, and then `finish` tells what came of it.
    """

    def __init__(
        self,
        listing: Listing,
        shape: str,
        write: Callable[[Iterator[str]], Iterator[Progress]] | None = None,
        finish: Callable[[], Written] | None = None,
    ) -> None:
        self.listing = listing
        self.shape = shape
        self.write = write
        self.finish = finish
        self.notes = listing.notes
        self.code = 0


class Card:
    """One thing with all its fields; `beside` are runs that its table shows too, under a heading each; `code` is the exit code."""

    def __init__(
        self,
        view: str,
        data: Record,
        notes: Sequence[str] = (),
        *,
        absolute: bool = False,
        beside: dict[str, list[Record]] | None = None,
        prefixes: Prefixes = _whole,
        code: int = 0,
    ) -> None:
        self.prefixes = prefixes
        self.view = view
        self.data = data
        self.beside = beside or {}
        self.code = code
        self.notes = list(notes)
        self.absolute = absolute


Result = Written | Listing | Watched | Streamed | Card
