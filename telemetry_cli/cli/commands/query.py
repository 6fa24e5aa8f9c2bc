"""Handle `query` and `metadata`; parse the filters that `stats` and `export` share."""

import os
import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from telemetry_cli.cli.commands.arguments import run_reference
from telemetry_cli.cli.commands.result import (
    RUN_COLUMNS,
    Card,
    Listing,
    Record,
    Result,
    Watched,
    Written,
    presented,
)
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, NotFound
from telemetry_cli.database import runs
from telemetry_cli.database.database import Connection, translated, translated_rows
from telemetry_cli.database.runs import Reading
from telemetry_cli.database.sandbox import Guard, confined, expression
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.redaction.redactor import remote_without_credentials
from telemetry_cli.store import Store

#: How long a --where may compute.
WHERE_SECONDS = 10.0
#: How long git may take for a range of commits, and what it may print of one.
_RANGE_SECONDS = 10.0
_LARGEST_RANGE = 64 << 20


class Narrowing:
    """The filters of one command line: `filters` as far as they stand without the database; `parent`, a RUN that needs it; `where`."""

    def __init__(self, filters: runs.Filters, parent: str | None, where: str | None) -> None:
        self.filters = filters
        self.parent = parent
        self.where = where

    def settle(self, db: Connection) -> runs.Filters:
        """The filters with the parent looked up. Raises `Conflict` when it is ambiguous."""
        if self.parent is not None:
            self.filters.any_of("parent_run_id", _names(db, self.parent))
            self.parent = None
        return self.filters

    def guard(self, config: Config, db: Connection) -> Guard:
        """What to search under: a --where is confined. What else SQLite says, the caller translates."""
        return (
            confined(db, "--where", self.where, WHERE_SECONDS)
            if self.where is not None
            else translated(config.db_path)
        )


def narrowing(
    config: Config,
    moment: datetime,
    *,
    agent_name: Sequence[str] | None,
    job_type: Sequence[str] | None,
    status: Sequence[str] | None,
    product: Sequence[str] | None,
    parent: str | None,
    commit: str | None,
    repo: str | None,
    branch: str | None,
    where: str | None,
    search: str | None,
    **times: str | None,
) -> Narrowing:
    """Convert and check the filters of a command line. A repeated option means any of its values.

    Raises `InvalidInput` naming the option that is wrong.
    """
    filters = runs.Filters()
    for name, values in (("agent_name", agent_name), ("job_type", job_type), ("product", product)):
        filters.any_of(name, [rules.text(rules.option(name), value) for value in values or ()])
    filters.any_of("status", [rules.status("--status", value) for value in status or ()])
    if repo is not None:
        filters.any_of("git_repo", [_repo(repo)])
    if branch is not None:
        filters.any_of("git_branch", [rules.text("--branch", branch)])
    for name, value in times.items():
        if value is not None:
            filters.time(name, rules.filter_instant(rules.option(name), value, moment))
    if commit is not None and ".." in commit:
        filters.commits(_range(commit, repo))
    elif commit is not None:
        filters.commit(rules.commit_prefix("--commit", commit))
    if search is not None:
        filters.search("--search", rules.text("--search", search))
    if where is not None:
        filters.expression(expression("--where", rules.text("--where", where)))
    return Narrowing(
        filters, run_reference(config, parent, "--parent") if parent is not None else None, where
    )


def _range(value: str, repo: str | None) -> list[str]:
    """The commits of a range such as `v1..v2`, by the repository that `--repo` names, if that is a folder, or the one around us."""
    folder = repo if repo is not None and os.path.isdir(repo) else None
    repository = git.find(folder)
    if repository is None and (refused := git.refusal(folder, "--commit")):
        raise refused
    if repository is None:
        raise InvalidInput(
            f"--commit: there is no repository here to ask for {rules.shorten(value)!r}",
            "Change to the one that has these commits, or name one commit by its SHA.",
        )
    repository.deadline = time.monotonic() + _RANGE_SECONDS
    listed = (
        repository.ask("rev-list", "--end-of-options", value, "--", most=_LARGEST_RANGE)
        if rules.is_line(value)
        else None
    )
    if listed is None:
        raise InvalidInput(
            f"--commit: {rules.shorten(value)!r} is no range of commits in {repository.folder}",
            "Name two commits, such as v1.0..v1.1 or main..topic.",
        )
    if len(listed) >= _LARGEST_RANGE:
        raise InvalidInput(
            f"--commit: {rules.shorten(value)!r} holds more than a million commits; give a smaller range"
        )
    return listed.decode("ascii").split()


def _repo(value: str) -> str:
    """A remote's URL as it is stored; a folder stands for the remote of the repository around it."""
    if not os.path.isdir(value):
        return rules.text("--repo", remote_without_credentials(value))
    repository = git.find(value)
    url = git.remote(repository) if repository else None
    if repository is None and (refused := git.refusal(value, "--repo")):
        raise refused
    if url is None:
        raise InvalidInput(
            f"--repo: there is no repository with a remote in {value!r}; give the remote's URL, or a folder inside such a repository"
        )
    return url


def _names(db: Connection, reference: str) -> list[str]:
    """What the children of a run may call it: its event_id and run_id; or, where it is unknown, what was given."""
    try:
        _, event_id, run_id, _ = runs.resolve(db, reference, clock.stamp(clock.now()))
    except NotFound:
        return [reference]
    return [event_id, run_id]


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
