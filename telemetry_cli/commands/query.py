"""Questions over many runs: query, metadata."""

import os
from collections.abc import Iterator, Sequence

from telemetry_cli import rules
from telemetry_cli.commands.arguments import reading_notes, run_reference
from telemetry_cli.commands.result import READS, Card, Listing, Record, Result, Written, handler
from telemetry_cli.commands.rows import RUN_COLUMNS, presented
from telemetry_cli.config import Config
from telemetry_cli.discover import git
from telemetry_cli.errors import InvalidInput, NotFound
from telemetry_cli.recorder import Reading, open_for_reading
from telemetry_cli.redact import remote_without_credentials
from telemetry_cli.store import runs
from telemetry_cli.store.database import translated, translated_rows

_TABLE_LIMIT = 50
_LIMIT = 100
#: Option → (column, comparison): the filters that compare one time.
_TIMES = {
    "since": ("created_at", ">="),
    "until": ("created_at", "<"),
    "created_after": ("created_at", ">"),
    "created_before": ("created_at", "<"),
    "start_time_from": ("start_time", ">="),
    "start_time_to": ("start_time", "<="),
}


@handler(*READS, "ids")
def query(
    config: Config,
    output: str,
    *,
    agent_name: Sequence[str] | None,
    job_type: Sequence[str] | None,
    status: Sequence[str] | None,
    product: Sequence[str] | None,
    parent: str | None,
    commit: str | None,
    repo: str | None,
    branch: str | None,
    sort: str | None,
    reverse: bool,
    limit: str | None,
    offset: str | None,
    columns: str | None,
    count: bool,
    absolute: bool,
    **times: str | None,
) -> Result:
    """The runs that match every filter; a repeated option means any of its values."""
    moment = rules.now()
    filters = runs.Filters()
    filters.any_of("agent_name", agent_name or ())
    filters.any_of("job_type", job_type or ())
    filters.any_of("status", [rules.status("--status", value) for value in status or ()])
    filters.any_of("product", product or ())
    if repo is not None:
        filters.compare("git_repo", "=", _repo(repo))
    filters.compare("git_branch", "=", branch)
    for name, value in times.items():
        if value is not None:
            column, operator = _TIMES[name]
            filters.compare(column, operator, rules.filter_instant(rules.option(name), value, moment))
    if commit is not None:
        filters.commit(rules.commit_prefix("--commit", commit))
    if sort is not None:
        filters.sort_by("--sort", sort)
    filters.reverse = reverse
    filters.limit = rules.count("--limit", limit) if limit is not None else _TABLE_LIMIT if output == "table" else _LIMIT
    filters.offset = rules.count("--offset", offset) if offset is not None else 0
    chosen = _columns(columns) if columns is not None else None
    parent = run_reference(parent, "--parent") if parent is not None else None
    for value in (*(agent_name or ()), *(job_type or ()), *(product or ()), branch or ""):
        rules.text("a filter", value)
    reading = open_for_reading(config)
    if reading.db and parent is not None:
        with translated(config.db_path):
            filters.any_of("parent_run_id", _parent_names(reading, parent))
    if count:
        return _counted(config, reading, filters)
    rows = _rows(config, reading, filters, chosen if output != "ids" else None)
    return Listing("runs", chosen or RUN_COLUMNS, rows, reading_notes(reading), chosen=chosen is not None, absolute=absolute)


def _repo(value: str) -> str:
    """A remote's URL as it is stored; a folder stands for the remote of the repository around it."""
    if not os.path.isdir(value):
        return rules.text("--repo", remote_without_credentials(value))
    repository = git.find(value)
    url = git.remote(repository) if repository else None
    if url is None:
        raise InvalidInput(f"--repo: there is no repository with a remote in {value!r}; give the remote's URL, or a folder inside such a repository")
    return url


def _columns(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    unknown = next((name for name in names if name not in RUN_COLUMNS), None)
    if unknown is not None:
        raise InvalidInput(f"--columns: no column {unknown!r}; valid are {', '.join(RUN_COLUMNS)}")
    return list(dict.fromkeys(names))


def _parent_names(reading: Reading, reference: str) -> list[str]:
    """What the children of a run may call it: its event_id; or, where it is unknown, what was given."""
    assert reading.db
    try:
        _, event_id, run_id, _ = runs.resolve(reading.db, reference)
    except NotFound:
        return [reference]
    return [event_id, run_id]


def _counted(config: Config, reading: Reading, filters: runs.Filters) -> Written:
    number = 0
    if reading.db:
        with translated(config.db_path):
            number = runs.count(reading.db, filters)
    return Written({"count": number}, str(number), reading_notes(reading))


def _rows(config: Config, reading: Reading, filters: runs.Filters, chosen: list[str] | None) -> Iterator[Record]:
    if reading.db is None:
        return
    for row in translated_rows(config.db_path, runs.select(reading.db, filters)):
        run = presented(row, config.url_styles)
        yield {name: run[name] for name in chosen} if chosen else run


@handler("table", "json")
def metadata(config: Config, output: str) -> Card:
    """The agent names and job types that occur."""
    reading = open_for_reading(config)
    names: dict[str, list[str]] = {"agent_names": [], "job_types": []}
    if reading.db:
        with translated(config.db_path):
            names = {"agent_names": runs.distinct(reading.db, "agent_name"), "job_types": runs.distinct(reading.db, "job_type")}
    return Card("metadata", {**names, "counts": {name: len(found) for name, found in names.items()}}, reading_notes(reading))
