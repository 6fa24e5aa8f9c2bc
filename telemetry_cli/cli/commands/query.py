"""Questions over many runs: query, metadata."""

from collections.abc import Iterator, Sequence

from telemetry_cli.cli.commands.features_rows import RUN_COLUMNS, presented
from telemetry_cli.cli.commands.filters import Narrowing, narrowing
from telemetry_cli.cli.commands.result import Card, Listing, Record, Result, Watched, Written
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import runs
from telemetry_cli.database.database import translated, translated_rows
from telemetry_cli.database.runs import Reading
from telemetry_cli.store import Store

_TABLE_LIMIT = 50
_LIMIT = 100


def query(
    config: Config,
    output: str,
    *,
    sort: str | None,
    reverse: bool,
    limit: str | None,
    offset: str | None,
    columns: str | None,
    count: bool,
    absolute: bool,
    watch: str | None,
    agent_name: Sequence[str] | None,
    job_type: Sequence[str] | None,
    status: Sequence[str] | None,
    product: Sequence[str] | None,
    **others: str | None,
) -> Result:
    """The runs that match every filter."""

    def narrowed_now() -> Narrowing:
        narrowed = narrowing(
            config,
            clock.now(),
            agent_name=agent_name,
            job_type=job_type,
            status=status,
            product=product,
            **others,
        )
        filters = narrowed.filters
        if sort is not None:
            filters.sort_by("--sort", sort)
        filters.reverse = reverse
        filters.limit = (
            rules.count("--limit", limit)
            if limit is not None
            else _TABLE_LIMIT
            if output == "table"
            else _LIMIT
        )
        filters.offset = rules.count("--offset", offset) if offset is not None else 0
        return narrowed

    chosen = _columns(columns) if columns is not None else None

    def ask() -> Listing:
        narrowed = narrowed_now()
        reading = _settled(config, narrowed)
        rows = _rows(
            reading, narrowed, chosen if output != "ids" else None, tells_gone=output == "table"
        )
        is_chosen = chosen is not None
        return Listing(
            "runs",
            chosen or RUN_COLUMNS,
            rows,
            reading.notes,
            chosen=is_chosen,
            absolute=absolute,
            prefixes=reading.prefixes,
        )

    if watch is not None:
        if output != "table" or count:
            raise InvalidInput(
                "--watch: only a table can be watched; leave --output, --json and --count out"
            )
        return Watched(ask, rules.interval("--watch", watch))
    if count:
        narrowed = narrowed_now()
        return _counted(_settled(config, narrowed), narrowed)
    return ask()


def _settled(config: Config, narrowed: Narrowing) -> Reading:
    reading = Store(config).read()
    if reading.db:
        with translated(config.db_path):
            narrowed.settle(reading.db)
    return reading


def _columns(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    unknown = next((name for name in names if name not in RUN_COLUMNS), None)
    if unknown is not None:
        raise InvalidInput(f"--columns: no column {unknown!r}; valid are {', '.join(RUN_COLUMNS)}")
    return list(dict.fromkeys(names))


def _counted(reading: Reading, narrowed: Narrowing) -> Written:
    number = 0
    if reading.db:
        with translated(reading.config.db_path), narrowed.guard(reading.config, reading.db):
            number = runs.count(reading.db, narrowed.filters)
    return Written({"count": number}, str(number), reading.notes)


def _rows(
    reading: Reading, narrowed: Narrowing, chosen: list[str] | None, *, tells_gone: bool
) -> Iterator[Record]:
    """The runs, with the columns that are `chosen`; a person is told whose process is gone, a program reads what is recorded."""
    if reading.db is None:
        return
    if tells_gone:
        from telemetry_cli.cli.commands.reap import is_gone
    guard = narrowed.guard(reading.config, reading.db)
    found = (
        presented(row, reading.config.url_styles)
        for row in runs.select(reading.db, narrowed.filters, guard)
    )
    for run in translated_rows(reading.config.db_path, found):
        if tells_gone and is_gone(run):
            run["status"] = "running, gone"
        yield {name: run[name] for name in chosen} if chosen else run


def metadata(config: Config, output: str) -> Card:
    """The agent names and job types that occur."""
    reading = Store(config).read()
    names: dict[str, list[str]] = {"agent_names": [], "job_types": []}
    if reading.db:
        with translated(config.db_path):
            names = {
                "agent_names": runs.distinct(reading.db, "agent_name"),
                "job_types": runs.distinct(reading.db, "job_type"),
            }
    return Card(
        "metadata",
        {**names, "counts": {name: len(found) for name, found in names.items()}},
        reading.notes,
    )
