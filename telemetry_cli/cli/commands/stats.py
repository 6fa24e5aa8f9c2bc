"""Figures over many runs: stats, status, sql."""

from collections.abc import Sequence
from datetime import timedelta

from telemetry_cli.cli.commands.query import guard_search, parse_filter, resolve_parent
from telemetry_cli.cli.commands.reap import truths
from telemetry_cli.cli.commands.result import Card, Listing
from telemetry_cli.cli.commands.rows import convert_run
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.database import runs, sandbox, statistics
from telemetry_cli.database.database import open_empty, translated
from telemetry_cli.database.filters import RunFilter
from telemetry_cli.store import Store

_SQL_SECONDS = "10s"
_LAST = 10


def stats(
    config: Config,
    output: str,
    *,
    by: str | None,
    **options: Sequence[str] | str | None,
) -> Listing:
    """Counts, success rate and durations of the runs that match, by group."""
    filters = parse_filter(config, clock.now(), options)
    grouping = statistics.grouping("--by", by) if by is not None else None
    reading = Store(config).read()
    db = reading.db or open_empty()
    resolve_parent(config, db, filters)
    with translated(config.db_path), guard_search(config, db, filters):
        rows = statistics.groups(db, filters, grouping)
        if output == "table":
            statistics.add_trends(db, filters, grouping, rows)
    return Listing(
        "stats", statistics.COLUMNS, rows, reading.notes, prefixes=reading.prefixes, by=by
    )


def status(config: Config, output: str) -> Card:
    """The last runs, what is running, what waits, and whether all is well."""
    reading = Store(config).read()
    db = reading.db or open_empty()
    guard = translated(config.db_path)
    newest = RunFilter(limit=_LAST)
    running = RunFilter(columns={"status": ["running"]}, limit=_LAST)
    with guard:
        data = runs.overview(db, clock.stamp(clock.now() - timedelta(days=1)))
        last, going = (
            [convert_run(row, config.url_styles) for row in runs.select(db, filters, guard)]
            for filters in (newest, running)
        )
    known = {row["id"] for row in last}
    shown = {"last runs": last, "still running": [row for row in going if row["id"] not in known]}
    notes = [*reading.notes, *truths(going)]
    data |= {
        "buffered": Store(config).count_pending(),
        "db_path": config.db_path,
        "journal_mode": "DELETE",
        "synchronous": config.synchronous,
    }
    beside = {heading: rows for heading, rows in shown.items() if rows or heading == "last runs"}
    return Card("status", data, notes, beside=beside, prefixes=reading.prefixes)


def sql(config: Config, output: str, *, statement: str, timeout: str | None) -> Listing:
    """The rows of one read-only statement."""
    seconds = rules.duration("--timeout", timeout if timeout is not None else _SQL_SECONDS)
    text = rules.text("SQL", statement)
    reading = Store(config).read()
    with translated(config.db_path):
        columns, rows = sandbox.ask(reading.db or open_empty(), text, seconds)
    return Listing(
        "sql",
        columns,
        (dict(zip(columns, row, strict=True)) for row in rows),
        reading.notes,
        chosen=True,
    )
