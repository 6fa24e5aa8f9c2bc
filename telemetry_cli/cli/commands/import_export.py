"""Handle `import` and `export`."""

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
from telemetry_cli.database.database import Connection, open_empty, translated, translated_rows
from telemetry_cli.store import Store

if TYPE_CHECKING:
    from telemetry_cli.transfer.importing import Report

#: Maximum number of bad records and of warnings on stderr; JSON output has more.
_MAX_NOTES = 20
#: Maximum number of bad records with the same error on stderr.
_MAX_SAME_NOTES = 3
#: File format → the shape in which rows are written.
_SHAPES = {"ndjson": "jsonl", "json": "json", "csv": "csv"}
_NESTED = (*RUN_COLUMNS, "events", "commits")


def import_(
    config: Config, output: str, *, file: str, format_: str | None, atomic: bool
) -> Working:
    """Import runs with their events and commits from a file."""
    from telemetry_cli.transfer.importing import Import
    from telemetry_cli.transfer.sources import format_of

    if not file:
        raise InvalidInput("FILE: an empty path; name a file, or - for stdin")
    work = Import(config, file, format_of(file, format_, transfer.READ), atomic=atomic)

    def finish() -> Written:
        data = work.report.json
        has_failed = bool(data["failed"])
        return Written(
            data,
            _summarize(data, nothing=has_failed and atomic),
            _import_notes(work.report),
            code=int(has_failed and not config.never_fail),
        )

    return Working("importing", "records", work.steps(), finish)


def _summarize(data: Record, *, nothing: bool) -> str:
    if nothing:
        return f"nothing imported: {data['failed']} bad records"
    parts = ", ".join(
        f"{data[name]} {name}"
        for name in ("created", "existing", "buffered", "failed")
        if name in data
    )
    details = " and ".join(f"{data[name]} {name}" for name in ("events", "commits") if data[name])
    return f"{data['total']} records: {parts}" + (f"; with {details}" if details else "")


def _import_notes(report: "Report") -> list[str]:
    """Return warnings, bad records and whether records are pending, for stderr."""
    notes = [
        f"{name} is {problem}"
        + (f" ({number} times, first on line {line})" if number > 1 else f" (line {line})")
        for (problem, name), (line, number) in list(report.warnings.items())[:_MAX_NOTES]
    ]
    reasons: Counter[str] = Counter()
    shown = 0
    for error in report.errors:
        event_id = f" ({error['event_id']})" if error["event_id"] else ""
        reason = (f"{error['field']}: " if error["field"] else "") + str(error["error"])
        reasons[reason] += 1
        if shown < _MAX_NOTES and reasons[reason] <= _MAX_SAME_NOTES:
            notes.append(f"line {error['line']}{event_id}: {reason}")
            shown += 1
    more = report.counts["failed"] - shown
    if more > 0:
        notes.append(f"and {more} more bad records; -o json lists the first {len(report.errors)}")
    if report.buffered:
        notes.append(
            f"buffered: {report.buffered.message}; the records are durable and will be applied by"
            f" a later command. {report.buffered.hint}".rstrip()
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
    """Export the matching runs with their events and commits to a file or stdout."""
    from telemetry_cli.transfer import exporting

    if not to:
        raise InvalidInput("--to: no file is named; give a path, or - for stdout")
    form = _choose_format(to, format_)
    # Ascending by row id: an import of the file creates the runs in the same order.
    filters = parse_filter(config, clock.now(), options, sort="id", reverse=True)
    reading = Store(config).read()
    db = reading.db or open_empty()
    resolve_parent(config, db, filters)
    with translated(config.db_path):
        notes = [*reading.notes, *_omissions(db, form, has_filter=not filters.is_empty)]
    found = exporting.nested(db, runs.select(db, filters, guard_search(config, db, filters)))
    rows = translated_rows(config.db_path, (_convert(row, config) for row in found))
    columns = RUN_COLUMNS if form == "csv" else _NESTED
    if exporting.is_stdout(to):
        # Without a summary: a reader would take it for a record.
        return Streamed(Listing("runs", columns, rows, notes), _SHAPES[form])
    with translated(config.db_path), guard_search(config, db, filters):
        total = runs.count(db, filters)
    counted = _Counted(rows)

    def finish() -> Written:
        data = {"exported": counted.number, "to": to, "format": form}
        return Written(data, f"exported {counted.number} runs to {to}", notes)

    def write(chunks: Iterator[str]) -> Iterator[Progress]:
        with exporting.replaced(to) as file:
            for chunk in chunks:
                file.write(chunk.encode())
                yield counted.number, counted.number / total if total else None

    def write_parquet() -> Iterator[Progress]:
        with exporting.replaced(to) as file:
            for number in exporting.write_parquet(file, columns, iter(counted)):
                yield number, number / total if total else None

    if form == "parquet":
        return Working("exporting", "runs", write_parquet(), finish)
    return Streamed(Listing("runs", columns, counted, notes), _SHAPES[form], write, finish)


def _omissions(db: Connection, form: str, *, has_filter: bool) -> Iterator[str]:
    """Yield a note for everything that the export omits."""
    if form == "csv" and runs.has_details(db):
        yield (
            "CSV has a row for each run: events and commits are omitted; --format ndjson has them too"
        )
    without_run = 0 if has_filter else runs.events_without_run(db)
    if without_run:
        yield (
            f"{without_run} events are omitted because their run is missing; list them: telemetry sql"
            " 'SELECT * FROM run_events WHERE event_id IS NULL'"
        )


def _choose_format(to: str, format_: str | None) -> str:
    """Return the format to write. Raises `InvalidInput` if `to` cannot hold it."""
    from telemetry_cli.transfer import exporting
    from telemetry_cli.transfer.sources import format_of

    form = format_of(to, format_, transfer.WRITTEN)
    if form == "parquet":
        exporting.check_parquet()
        if exporting.is_stdout(to) or to.endswith(".gz"):
            raise InvalidInput(
                "--to: parquet is compressed already and cannot be streamed; name a file without .gz"
            )
    return form


class _Counted:
    """Rows, and the `number` of those that were read."""

    def __init__(self, rows: Iterator[Record]) -> None:
        self._rows = rows
        self.number = 0

    def __iter__(self) -> Iterator[Record]:
        for row in self._rows:
            self.number += 1
            yield row


def _convert(row: Record, config: Config) -> Record:
    """Return a run as JSON has it, with its events and commits."""
    events = row["events"]
    assert isinstance(events, list)
    return convert_run(row, config.url_styles) | {
        "events": [convert_event(event) for event in events],
        "commits": row["commits"],
    }
