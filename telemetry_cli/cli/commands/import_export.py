"""Runs in bulk: import, export."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from telemetry_cli import transfer
from telemetry_cli.cli.commands.query import guard_search, parse_filter, resolve_parent
from telemetry_cli.cli.commands.result import Listing, Progress, Record, Streamed, Working, Written
from telemetry_cli.cli.commands.rows import RUN_COLUMNS, convert_event, convert_run
from telemetry_cli.core import clock
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import runs
from telemetry_cli.database.database import open_empty, translated, translated_rows
from telemetry_cli.store import Store

if TYPE_CHECKING:
    from telemetry_cli.transfer.importing import Report

#: How many bad records and warnings are told of on stderr; the json has more.
_MOST_TOLD = 20
#: Of bad records that differ in their line only, so many are told of.
_MOST_ALIKE = 3
_SHAPES = {"ndjson": "jsonl", "json": "json", "csv": "csv"}
_NESTED = (*RUN_COLUMNS, "events", "commits")


def import_(
    config: Config, output: str, *, file: str, format_: str | None, atomic: bool
) -> Working:
    """Add the runs of a file, with their events and commits."""
    from telemetry_cli.transfer.importing import Import
    from telemetry_cli.transfer.sources import format_of

    if not file:
        raise InvalidInput("FILE: an empty path; name a file, or - for stdin")
    work = Import(config, file, format_of(file, format_, transfer.READ), atomic=atomic)

    def finish() -> Written:
        data = work.report.json
        failed = bool(data["failed"])
        return Written(
            data,
            _summary(data, nothing=failed and atomic),
            _told(work.report),
            code=int(failed and not config.never_fail),
        )

    return Working("importing", "records", work.steps(), finish)


def _summary(data: Record, *, nothing: bool) -> str:
    if nothing:
        return f"nothing imported: {data['failed']} bad records"
    parts = ", ".join(
        f"{data[name]} {name}"
        for name in ("created", "existing", "buffered", "failed")
        if name in data
    )
    beside = " and ".join(f"{data[name]} {name}" for name in ("events", "commits") if data[name])
    return f"{data['total']} records: {parts}" + (f"; with {beside}" if beside else "")


def _told(report: "Report") -> list[str]:
    """What a person must know beside the figures."""
    notes = [
        f"{name} is {what}"
        + (f" ({number} times, first on line {line})" if number > 1 else f" (line {line})")
        for (what, name), (line, number) in list(report.warnings.items())[:_MOST_TOLD]
    ]
    alike: Counter[str] = Counter()
    said = 0
    for error in report.errors:
        who = f" ({error['event_id']})" if error["event_id"] else ""
        reason = (f"{error['field']}: " if error["field"] else "") + str(error["error"])
        alike[reason] += 1
        if said < _MOST_TOLD and alike[reason] <= _MOST_ALIKE:
            notes.append(f"line {error['line']}{who}: {reason}")
            said += 1
    more = report.counts["failed"] - said
    if more > 0:
        notes.append(f"and {more} more bad records; -o json lists the first {len(report.errors)}")
    if report.buffered:
        notes.append(
            f"buffered: {report.buffered.message}; the records are durable and will be applied by a later command. {report.buffered.hint}".rstrip()
        )
    return notes


def export(
    config: Config,
    output: str,
    *,
    to: str | None,
    format_: str | None,
    **options: Sequence[str] | str | None,
) -> Streamed | Working:
    """Write the runs that match, with their events and commits, to a file or stdout."""
    from telemetry_cli.transfer import exporting

    if not to:
        raise InvalidInput("--to: no file is named; give a path, or - for stdout")
    shape = _shape(to, format_)
    # By row id: an import of the file then recreates the runs in the same order.
    filters = parse_filter(config, clock.now(), options, sort="id", reverse=True)
    reading = Store(config).read()
    db = reading.db or open_empty()
    resolve_parent(config, db, filters)
    with translated(config.db_path):
        left_out = _left_out(runs.events_without_run(db)) if filters.is_empty else ()
    notes = [*reading.notes, *left_out]
    guard = guard_search(config, db, filters)
    rows = translated_rows(
        config.db_path,
        (_presented(row, config) for row in exporting.nested(db, runs.select(db, filters, guard))),
    )
    columns = RUN_COLUMNS if shape == "csv" else _NESTED
    if exporting.is_stdout(to):
        # Records and nothing else: what a summary said there would be read as one of them.
        return Streamed(Listing("runs", columns, rows, notes), _SHAPES[shape])
    total = 0
    with translated(config.db_path), guard_search(config, db, filters):
        total = runs.count(db, filters)
    done = _Counted(rows)

    def finish() -> Written:
        return Written(
            {"exported": done.number, "to": to, "format": shape},
            f"exported {done.number} runs to {to}",
            notes,
        )

    def progress() -> Progress:
        return done.number, done.number / total if total else None

    if shape == "parquet":
        from telemetry_cli.transfer import exporting

        def table() -> Iterator[Progress]:
            with exporting.replaced(to) as file:
                for _ in exporting.write_parquet(file, columns, iter(done)):
                    yield progress()

        return Working("exporting", "runs", table(), finish)

    def write(chunks: Iterator[str]) -> Iterator[Progress]:
        with exporting.replaced(to) as file:
            for chunk in chunks:
                file.write(chunk.encode())
                yield progress()

    return Streamed(Listing("runs", columns, done, notes), _SHAPES[shape], write, finish)


def _left_out(events: int) -> list[str]:
    """What of a whole base is in no export."""
    if not events:
        return []
    return [
        f"{events} events belong to no run that is here, and are left out; see them by: telemetry sql 'SELECT * FROM run_events WHERE event_id IS NULL'"
    ]


def _shape(to: str, format_: str | None) -> str:
    """The format that is written. Raises `InvalidInput` when it cannot be written there."""
    from telemetry_cli.transfer.exporting import is_stdout
    from telemetry_cli.transfer.sources import format_of

    shape = format_of(to, format_, transfer.WRITTEN)
    if shape == "parquet":
        from telemetry_cli.transfer import exporting

        exporting.is_parquet_available()
        if is_stdout(to) or to.endswith(".gz"):
            raise InvalidInput(
                "--to: parquet is packed already and cannot be streamed; name a file without .gz"
            )
    return shape


class _Counted:
    """Rows, with the number of those that were asked for."""

    def __init__(self, rows: Iterator[Record]) -> None:
        self._rows = rows
        self.number = 0

    def __iter__(self) -> Iterator[Record]:
        for row in self._rows:
            self.number += 1
            yield row


def _presented(row: Record, config: Config) -> Record:
    """A run as json has it, its events with their payload as JSON."""
    events = row["events"]
    assert isinstance(events, list)
    return convert_run(row, config.url_styles) | {
        "events": [convert_event(event) for event in events],
        "commits": row["commits"],
    }
