"""Handle `query` and `metadata`; parse the filters of runs, which other commands share."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from telemetry_cli.cli.commands.arguments import run_reference
from telemetry_cli.cli.commands.result import Card, Listing, Record, Result, Watched, Written
from telemetry_cli.cli.commands.rows import RUN_COLUMNS, convert_run
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, NotFound
from telemetry_cli.database import runs
from telemetry_cli.database.database import Connection, translated, translated_rows
from telemetry_cli.database.filters import TIMES, RunFilter
from telemetry_cli.database.runs import Reading
from telemetry_cli.database.sandbox import Guard, confined
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.redaction.redactor import remote_without_credentials
from telemetry_cli.store import Store

#: How long a --where may compute.
WHERE_SECONDS = 10.0
#: How long git may take for a range of commits, and what it may print of one.
_RANGE_SECONDS = 10.0
_LARGEST_RANGE = 64 << 20

#: Options of a command line by name, as typed: repeatable ones hold several values.
Options = Mapping[str, Sequence[str] | str | None]


def parse_filter(
    config: Config,
    moment: datetime,
    options: Options,
    *,
    job_types: Sequence[str] | None = None,
    sort: str | None = None,
    reverse: bool = False,
    limit: int = 0,
    offset: int = 0,
) -> RunFilter:
    """Convert and check the filters of a command line. A repeated option accepts any of its values.

    `job_types`, if given, are the only ones that may be selected. Raises `InvalidInput` naming the
    option that is wrong.
    """
    columns: dict[str, Sequence[str]] = {}
    for name in ("agent_name", "job_type", "product"):
        if values := _values(options, name):
            columns[name] = [rules.text(rules.option(name), value) for value in values]
    if values := _values(options, "status"):
        columns["status"] = [rules.status("--status", value) for value in values]
    if job_types is not None:
        wanted = columns.get("job_type", job_types)
        columns["job_type"] = [job for job in job_types if job in wanted]
    given = {name: value for name, value in options.items() if isinstance(value, str)}
    if "repo" in given:
        columns["git_repo"] = [_repo(given["repo"])]
    if "branch" in given:
        columns["git_branch"] = [rules.text("--branch", given["branch"])]
    times = {
        name: rules.filter_instant(rules.option(name), value, moment)
        for name, value in given.items()
        if name in TIMES
    }
    commit = given.get("commit")
    prefix = commits = None
    if commit is not None and ".." in commit:
        commits = _range(commit, given.get("repo"))
    elif commit is not None:
        prefix = rules.commit_prefix("--commit", commit)
    return RunFilter(
        columns=columns,
        times=times,
        commit=prefix,
        commits=commits,
        search=rules.text("--search", given["search"]) if "search" in given else None,
        where=rules.text("--where", given["where"]) if "where" in given else None,
        parent=run_reference(config, given["parent"], "--parent") if "parent" in given else None,
        sort=sort,
        reverse=reverse,
        limit=limit,
        offset=offset,
    )


def _values(options: Options, name: str) -> Sequence[str]:
    value = options[name]
    assert not isinstance(value, str)
    return value or ()


def resolve_parent(config: Config, db: Connection, filters: RunFilter) -> None:
    """Look up the run that `--parent` names. Raises `Conflict` if it is ambiguous."""
    if filters.parent is not None:
        with translated(config.db_path):
            filters.set_parent(_names(db, filters.parent))


def guard_search(config: Config, db: Connection, filters: RunFilter) -> Guard:
    """Return what to search under: a `--where` is confined, other errors of SQLite are translated."""
    if filters.where is not None:
        return confined(db, "--where", filters.where, WHERE_SECONDS)
    return translated(config.db_path)


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
    # Imported here, because GitPython costs more than a query without a range.
    from telemetry_cli.discovery.git import log as history

    words = ("rev-list", "--end-of-options", value, "--")
    listed = None
    if rules.is_line(value):
        listed = history.answer(repository, *words, most=_LARGEST_RANGE, seconds=_RANGE_SECONDS)
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
    **options: Sequence[str] | str | None,
) -> Result:
    """The runs that match every filter."""
    most = _TABLE_LIMIT if output == "table" else _LIMIT

    def parse() -> RunFilter:
        return parse_filter(
            config,
            clock.now(),
            options,
            sort=runs.check_column("--sort", sort) if sort is not None else None,
            reverse=reverse,
            limit=rules.count("--limit", limit) if limit is not None else most,
            offset=rules.count("--offset", offset) if offset is not None else 0,
        )

    chosen = _columns(columns) if columns is not None else None

    def ask() -> Listing:
        filters = parse()
        reading = _read(config, filters)
        rows = _rows(
            reading, filters, chosen if output != "ids" else None, tells_gone=output == "table"
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
        filters = parse()
        return _counted(_read(config, filters), filters)
    return ask()


def _read(config: Config, filters: RunFilter) -> Reading:
    reading = Store(config).read()
    if reading.db:
        resolve_parent(config, reading.db, filters)
    return reading


def _columns(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    unknown = next((name for name in names if name not in RUN_COLUMNS), None)
    if unknown is not None:
        raise InvalidInput(f"--columns: no column {unknown!r}; valid are {', '.join(RUN_COLUMNS)}")
    return list(dict.fromkeys(names))


def _counted(reading: Reading, filters: RunFilter) -> Written:
    number = 0
    if reading.db:
        with translated(reading.config.db_path), guard_search(reading.config, reading.db, filters):
            number = runs.count(reading.db, filters)
    return Written({"count": number}, str(number), reading.notes)


def _rows(
    reading: Reading, filters: RunFilter, chosen: list[str] | None, *, tells_gone: bool
) -> Iterator[Record]:
    """The runs, with the columns that are `chosen`; a person is told whose process is gone, a program reads what is recorded."""
    if reading.db is None:
        return
    if tells_gone:
        from telemetry_cli.cli.commands.reap import is_gone
    guard = guard_search(reading.config, reading.db, filters)
    found = (
        convert_run(row, reading.config.url_styles)
        for row in runs.select(reading.db, filters, guard)
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
