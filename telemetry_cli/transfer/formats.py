"""Convert files of every import format to records; the legacy platform's formats included."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from telemetry_cli.core import legacy_values as legacy_rules
from telemetry_cli.core import values as rules
from telemetry_cli.core.csv_text import MARK, restore
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.core.legacy_values import Found, moment_of
from telemetry_cli.core.tables import RUN_FIELDS
from telemetry_cli.database import foreign
from telemetry_cli.database.database import Connection
from telemetry_cli.redaction.redactor import remote_without_credentials
from telemetry_cli.transfer import sources
from telemetry_cli.transfer.csv_reader import csv_rows
from telemetry_cli.transfer.models import (
    COMMIT_KEYS,
    EVENT_KEYS,
    KNOWN,
    BadRecord,
    Document,
    from_line,
    from_values,
)
from telemetry_cli.transfer.records import (
    Clean,
    Warn,
    alone_line,
    commit_values,
    event_values,
    run_line,
    with_extra,
)
from telemetry_cli.transfer.sources import BrokenOff

#: Table → what its rows are; and what the sibling service calls a column that we call otherwise.
TABLES = {
    "agent_runs": "run",
    "runs": "run",
    "run_events": "event",
    "events": "event",
    "commits": "commit",
    "run_commits": "commit",
}
_RENAMED = {
    "run": {
        "commit_hash": "git_commit_hash",
        "commit_source": "git_commit_source",
        "commit_author": "git_commit_author",
        "commit_timestamp": "git_commit_timestamp",
        "metrics": "metrics_json",
        "context": "context_json",
    },
    "event": {"ts": "timestamp", "type": "event_type", "payload": "payload_json"},
    "commit": {"commit_date": "timestamp", "commit_author": "author"},
}

#: Where a run, an event and an association keep what has no place of its own.
_KEPT_UNDER = {
    "run": "context_json.extra",
    "event": "payload_json.extra",
    "commit": "legacy_values",
}
#: What each may say. The platform's commits have messages, and their place is where a migration puts them.
_KNOWN = {"run": KNOWN, "event": EVENT_KEYS | {"run_id"}, "commit": COMMIT_KEYS | {"run_id"}}
_MESSAGE = "message"
#: What only our own databases say of a run.
_OURS = ("git_dir", "pid", "process_started", "boot_id")

#: Where it stands (a table, or what it is) and its values.
Row = tuple[str, Document]
#: Runs of a database that are looked up in its ledger together.
_TOGETHER = 500


def database_rows(path: str) -> Iterator[tuple[int, Row]]:
    """The runs of a database, then their events and commits: (row number, (its table, the row)).

    A run that has rows in the ledger says so by empty `commits`: what it says of its own commit is no association more.

    Raises `InvalidInput` when it holds no runs that we know how to read, and `BrokenOff` when it is damaged.
    """
    db = foreign.open_foreign(path)
    try:
        tables = [
            table
            for table in TABLES
            if "run_id" in (names := foreign.columns(db, table)) or "event_id" in names
        ]
        if not {"agent_runs", "runs"}.intersection(tables):
            raise InvalidInput(f"{path} holds neither a table agent_runs nor a table runs")
        for table in tables:
            found = foreign.rows(db, table)
            try:
                for number, row in _beside_ledger(db, found) if TABLES[table] == "run" else found:
                    yield number, (table, row)
            except InvalidInput as error:
                raise BrokenOff(0, error.message) from None
    finally:
        db.close()


def _beside_ledger(
    db: Connection, found: Iterator[tuple[int, Document]]
) -> Iterator[tuple[int, Document]]:
    """The runs, those with rows in run_commits marked."""
    ledger = foreign.columns(db, "run_commits")
    name = "event_id" if "event_id" in ledger else "run_id"
    if name not in ledger:
        yield from found
        return
    while page := list(islice(found, _TOGETHER)):
        there = foreign.having(
            db,
            "run_commits",
            name,
            [row[name] for _, row in page if isinstance(row.get(name), str)],
        )
        for number, row in page:
            yield number, row | {"commits": []} if row.get(name) in there else row


def database_size(path: str) -> int | None:
    """How many rows `database_rows` will yield; None where damage leaves that open. Raises `InvalidInput` for what is no database."""
    db = foreign.open_foreign(path)
    try:
        return sum(foreign.count(db, table) for table in TABLES if foreign.columns(db, table))
    except InvalidInput:
        return None
    finally:
        db.close()


def ndjson_line(raw: bytes, warn: Warn | None, clean: Clean) -> tuple[bytes, bool]:
    """A line of the platform's NDJSON, an object with `record_type` run or event."""
    try:
        found = rules.json_object("the line", raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadRecord(None, f"not UTF-8 text: {error.reason}") from None
    except InvalidInput as error:
        raise BadRecord(None, error.message.removeprefix("the line: ")) from None
    kind = found.pop("record_type", "event" if "event_type" in found else "run")
    if kind not in ("run", "event"):
        raise BadRecord(
            "record_type", f"{rules.shorten(repr(kind))} is not accepted; it is run or event"
        )
    return line((str(kind), found), warn, clean, partial=True)


def database_line(raw: Row, warn: Warn | None, clean: Clean) -> tuple[bytes, bool]:
    """The blob's line of a table's row. Raises `BadRecord`, which names the table."""
    table, row = raw
    try:
        return line((TABLES[table], row), warn, clean)
    except BadRecord as error:
        raise BadRecord(error.field, f"{error.message} (in the table {table})") from None


def line(
    raw: Row, warn: Warn | None, clean: Clean = str, *, partial: bool = False
) -> tuple[bytes, bool]:
    """The blob's line of a row, and whether it is a run's; a `partial` one may be continued by others, or continue them. Raises `BadRecord`."""
    kind, row = raw
    row = _renamed(kind, row)
    if kind == "run":
        return _run(row, warn, clean, partial=partial), True
    event_id, run_id = row.get("event_id"), row.get("run_id")
    if run_id is None and event_id is None:
        raise BadRecord("run_id", "is missing, and without it nobody knows of which run this is")
    found = Found(row, clean)
    values, needed, what = (
        (legacy_rules.event(found), "timestamp", "not a time")
        if kind == "event"
        else (legacy_rules.commit(found), "commit_hash", "no SHA")
    )
    if values[needed] is None:
        raise BadRecord(needed, f"{rules.shorten(clean(repr(row.get(needed))))} is {what}")
    extra = _extra(kind, found, warn, clean)
    if kind == "event":
        if extra:
            values["payload_json"] = with_extra(_as_object(values["payload_json"]), extra)
        return alone_line(
            kind, event_values(values), _reference(event_id), _reference(run_id)
        ), False
    if values["repo"]:
        values["repo"] = remote_without_credentials(str(values["repo"]))
    return alone_line(
        kind, commit_values(values), _reference(event_id), _reference(run_id), extra
    ), False


def _as_object(payload: object) -> Document:
    """A payload that something can be laid beside."""
    return payload if isinstance(payload, dict) else {} if payload is None else {"payload": payload}


def _reference(value: object) -> object:
    return legacy_rules.jsonable(str(value)) if value is not None else None


def _renamed(kind: str, row: Document) -> Document:
    names = _RENAMED[kind]
    return {
        names.get(name, name)
        if names.get(name, name) == name or names[name] not in row
        else name: value
        for name, value in row.items()
    }


def _run(row: Document, warn: Warn | None, clean: Clean, *, partial: bool) -> bytes:
    found = Found({name: value for name, value in row.items() if name not in _OURS}, clean)
    name = found.raw("run_id") or found.raw("event_id") or legacy_rules.UNKNOWN
    made = legacy_rules.run(found, found.event_id("event_id") or legacy_rules.event_id_of(name))
    values: Document = {name: value for name, value in made.items() if value is not None}
    says = [name for name in values if row.get(name) not in (None, "") and name not in found.broken]
    if extra := _extra("run", found, warn, clean):
        values["context_json"] = with_extra(values["context_json"], extra)
        says = [*says, "context_json"]
    values |= {name: row[name] for name in _OURS if row.get(name) is not None}
    if row.get("commits") == []:
        values["commits"] = []
    return run_line(from_values(values), warn, says=sorted({*says, "status"}) if partial else None)


def _extra(kind: str, found: Found, warn: Warn | None, clean: Clean) -> Document:
    """What breaks a rule or has no place here, as JSON can hold it; `warn` has been told of it. Raises `BadRecord` without one.

    A time that is finer than what is stored breaks no rule: a run and an association keep it without a word, and of an event, whose
    payload stays as it was, the time is stored to the millisecond.
    """
    place = _KEPT_UNDER[kind]
    kept = found.broken.keys() | (found.finer.keys() if kind != "event" else set())
    left = {
        name: value
        for name, value in found.left().items()
        if name in kept or name not in _KNOWN[kind]
    }
    if kind == "event" and found.finer and warn:
        warn("stored to the millisecond", "event.timestamp")
    for name in sorted(
        left.keys() - found.finer.keys() - ({_MESSAGE} if kind == "commit" else set())
    ):
        what = "against the rules" if name in found.broken else "unknown"
        if warn is None:
            raise BadRecord(name, f"is {what}; without --atomic it would be kept under {place}")
        warn(f"{what} and kept under {place}", name if kind == "run" else f"{kind}.{name}")
    return {
        name: legacy_rules.jsonable(clean(value) if isinstance(value, str) else value)
        for name, value in left.items()
    }


#: A line for the blob, and whether it stands for a run (and not for an event or a commit of one).
Line = tuple[bytes, bool]


class Format:
    """`read` yields (line number, raw record) from a path or its `sources.Source`; `make` turns one into a line. Raises `BadRecord`.

    `make` is given what takes secrets out of a text, for where one is cut. `continues` tells that a later record of a run may say how it ended.
    """

    def __init__(
        self,
        read: Callable[[Any], Iterator[tuple[int, Any]]],
        make: Callable[[Any, Warn | None, Clean], Line],
        *,
        is_database: bool = False,
        continues: bool = False,
    ) -> None:
        self.read = read
        self.make = make
        self.is_database = is_database
        self.continues = continues


def _of_kind(kind: str) -> tuple[str, ...]:
    return tuple(name for name, field in RUN_FIELDS.items() if field.kind == kind)


_NUMBERS = _of_kind("count")
#: Texts that may consist of digits, which other programs take for numbers.
_DIGITS = _of_kind("text")
_TIMES = _of_kind("time")


def _from_json(raw: bytes, warn: Warn | None, _clean: Clean) -> Line:
    try:
        document = from_line(raw)
    except BadRecord:
        mended = _as_exported(raw, warn)
        if mended is None:
            raise
        document = from_values(mended)
    return run_line(document, warn, raw), True


def _as_exported(raw: bytes, warn: Warn | None) -> Document | None:
    """A record with values of the types that an export gives them, where pandas has written others; None where it has not.

    It writes 7.0 for 7 in a column with gaps, the number for a text of digits, and milliseconds since 1970 for a time.
    """
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    mended: Document = {}
    for name, value in found.items() if isinstance(found, dict) else ():
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(number) is not int:
            continue
        if name in _NUMBERS:
            mended[name] = number
        elif name in _DIGITS:
            mended[name] = str(number)
        elif name in _TIMES and (moment := moment_of(number)):
            mended[name] = moment
            if warn:
                warn("a number, and read as a time since 1970", name)
    return {**found, **mended} if mended else None


def _whole(cell: str) -> str:
    """A whole number in a cell without the fraction that pandas gives it."""
    whole, _, zeros = cell.partition(".")
    return cell if zeros.strip("0") else whole


def _from_csv(raw: dict[str, str] | BadRecord, warn: Warn | None, _clean: Clean) -> Line:
    if isinstance(raw, BadRecord):
        raise raw
    values: Document = {}
    for name, cell in raw.items():
        if not name:
            # The numbers of the rows, as pandas writes them.
            if warn is None:
                raise BadRecord(
                    None, f"the value {rules.shorten(repr(cell))} stands under no name of a column"
                )
            warn("left out", "a column without a name")
            continue
        values[name] = text = restore(cell)
        if warn and len(text) < len(cell) - 1 and not cell.startswith(MARK):
            # More than a quote went, and no mark says why: in a file of another program an escape may mean itself.
            warn("read with the characters that its escapes stand for", name)
    for name in _NUMBERS:
        if name in raw:
            try:
                values[name] = rules.count(name, _whole(raw[name]))
            except InvalidInput as error:
                raise BadRecord(name, error.message.removeprefix(f"{name}: ")) from None
    if "process_started" in raw:
        # Digits always; of another text nobody knows whether `.0` belongs to it.
        values["process_started"] = _whole(raw["process_started"])
    return run_line(from_values(values), warn), True


FORMATS = {
    "ndjson": Format(sources.ndjson, _from_json),
    "json": Format(sources.json_array, _from_json),
    "csv": Format(csv_rows, _from_csv),
    "sqlite": Format(database_rows, database_line, is_database=True),
    "legacy-ndjson": Format(sources.ndjson, ndjson_line, continues=True),
}


def named(raw: Any) -> str | None:
    """The event_id that a bad record gives, as far as that can be read."""
    if isinstance(raw, bytes):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            return None
    if isinstance(raw, tuple):
        raw = raw[1]
    found = raw.get("event_id") if isinstance(raw, dict) else None
    return rules.shorten(str(found), 200) if found is not None else None
