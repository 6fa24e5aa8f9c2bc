"""Figures over many runs: stats, status, sql."""

from collections.abc import Sequence
from datetime import timedelta

from telemetry_cli.cli.commands.query import narrowing
from telemetry_cli.cli.commands.reap import truths
from telemetry_cli.cli.commands.result import Card, Listing, presented
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.database import runs, sandbox, statistics
from telemetry_cli.database.database import open_empty, translated
from telemetry_cli.store import Store

_SQL_SECONDS = "10s"
_LAST = 10


def stats(
    config: Config,
    output: str,
    *,
    by: str | None,
    agent_name: Sequence[str] | None,
    job_type: Sequence[str] | None,
    status: Sequence[str] | None,
    product: Sequence[str] | None,
    **others: str | None,
) -> Listing:
    """Counts, success rate and durations of the runs that match, by group."""
    narrowed = narrowing(
        config,
        clock.now(),
        agent_name=agent_name,
        job_type=job_type,
        status=status,
        product=product,
        **others,
    )
    grouping = statistics.grouping("--by", by) if by is not None else None
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        filters = narrowed.settle(db)
    with translated(config.db_path), narrowed.guard(config, db):
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
    newest, running = runs.Filters(), runs.Filters()
    running.any_of("status", ["running"])
    newest.limit = running.limit = _LAST
    with guard:
        data = runs.overview(db, clock.stamp(clock.now() - timedelta(days=1)))
        last, going = (
            [presented(row, config.url_styles) for row in runs.select(db, filters, guard)]
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
