"""History with the runs behind it: log, blame."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from telemetry_cli.cli.commands.arguments import find_repository
from telemetry_cli.cli.commands.result import Listing, Record
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import commits
from telemetry_cli.database.database import translated
from telemetry_cli.database.runs import Reading
from telemetry_cli.discovery.git import log as history
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.store import Store

_TABLE_LIMIT = 50
#: The lines of so many commits are counted for a table; of more, git would compare files for longer than it takes to list them.
_COUNTED = 200
#: So many commits share one question to the database.
_BATCH = 20_000

_LOG_COLUMNS = ("commit_hash", "author", "timestamp", "subject", "runs")
_BLAME_COLUMNS = ("line", "text", "commit_hash", "event_id", "agent_name", "source")


def log(
    config: Config,
    output: str,
    *,
    revisions: Sequence[str] | None,
    repo: str | None,
    limit: str | None,
    absolute: bool,
) -> Listing:
    """The commits that git lists, each with the runs behind it."""
    words = [_revision(word) for word in revisions or ()]
    most = (
        rules.count("--limit", limit)
        if limit is not None
        else _TABLE_LIMIT
        if output == "table"
        else 0
    )
    repository = find_repository(repo)
    reading = Store(config).read()
    is_unborn = not words and git.head(repository) is None
    first, found = (
        ([], iter(()))
        if is_unborn
        else _listed(
            repository, words, most, count_lines=output == "table" and 0 < most <= _COUNTED
        )
    )
    rows = _with_runs(reading, first, found)
    if output != "table":
        return Listing("log", _LOG_COLUMNS, rows, reading.notes)
    tally = _Tally()
    listing = Listing(
        "log",
        _LOG_COLUMNS,
        (_in_a_table(tally.counted(row)) for row in rows),
        reading.notes,
        absolute=absolute,
        prefixes=reading.prefixes,
    )
    listing.summary = tally.commits
    return listing


def _listed(
    repository: git.Repository, words: Sequence[str], most: int, *, count_lines: bool
) -> tuple[list[Record], Iterator[Record]]:
    """The first commits, and the others. What git has to complain of, it says before its first one: so before anything is printed."""
    found = history.commits(repository, list(words), most, count_lines=count_lines)
    try:
        return list(islice(found, _BATCH)), found
    except history.Unanswered:
        raise
    except InvalidInput:
        # A partial clone has the commits, and not the files whose lines would be counted.
        if not count_lines:
            raise
        return _listed(repository, words, most, count_lines=False)


def _with_runs(reading: Reading, first: list[Record], others: Iterator[Record]) -> Iterator[Record]:
    batch = first
    while batch:
        runs = _runs(reading, [str(commit["commit_hash"]) for commit in batch])
        for commit in batch:
            commit["runs"] = runs.get(str(commit["commit_hash"]), [])
        yield from batch
        batch = list(islice(others, _BATCH))


def _runs(reading: Reading, shas: Sequence[str]) -> dict[str, list[Record]]:
    if reading.db is None:
        return {}
    with translated(reading.config.db_path):
        return commits.behind(reading.db, shas)


def _in_a_table(row: Record) -> Record:
    runs = row["runs"]
    assert isinstance(runs, list)
    produced = _produced(runs)
    others = [f"{_name(run)} ({run['role']})" for run in runs if run["role"] != "produced"]
    return {
        **row,
        "lines": row.get("lines"),
        "event_id": (produced or runs or [{"event_id": None}])[-1]["event_id"],
        "agent_name": ", ".join(
            dict.fromkeys([*(map(_name, produced) if produced else ["no run"]), *others])
        ),
        "source": ", ".join(dict.fromkeys(str(run["source"]) for run in produced)) or None,
    }


def _produced(runs: list[Record]) -> list[Record]:
    """Those that a commit came of; the others started from it, or released it."""
    return [run for run in runs if run["role"] == "produced"]


def _name(run: Record) -> str:
    return f"{run['agent_name']}/{run['job_type']}"


def blame(config: Config, output: str, *, file: str, lines: str | None) -> Listing:
    """Each line of a file in HEAD with its commit, and the run and agent behind it."""
    if not file:
        raise InvalidInput("FILE: it is empty; name a file of HEAD")
    path = os.path.abspath(file)
    # The file may be gone from the work tree, and its folder with it: HEAD has them still.
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    name = os.path.relpath(path, folder)
    repository = find_repository(folder, "FILE")
    if lines is not None:
        rules.required_text("-L", lines)
    reading = Store(config).read()
    found = list(history.blame(repository, folder, name, lines))
    runs = _runs(reading, list({sha for _, _, sha in found}))
    tally = _Tally()
    rows = (
        tally.counted_line(_line(number, text, sha, runs.get(sha, [])))
        for number, text, sha in found
    )
    listing = Listing("blame", _BLAME_COLUMNS, rows, reading.notes, prefixes=reading.prefixes)
    listing.summary = tally.lines
    return listing


def _line(number: int, text: str, sha: str, runs: list[Record]) -> Record:
    """A line; of several runs that its commit came of, the last one."""
    run = (_produced(runs) or [{}])[-1]
    told = {name: run.get(name) for name in ("event_id", "agent_name", "source")}
    return {"line": number, "text": text, "commit_hash": sha, **told}


class _Tally:
    """How many commits and lines came from whom, counted as they go by."""

    def __init__(self) -> None:
        self._commits: Counter[str] = Counter()
        self._lines: Counter[str] = Counter()
        self._counts_lines = False

    def counted(self, row: Record) -> Record:
        """A commit, counted by the last run that it came of."""
        runs = row["runs"]
        assert isinstance(runs, list)
        produced = _produced(runs)
        source = str(produced[-1]["source"]) if produced else ""
        self._commits[source] += 1
        if isinstance(row.get("lines"), int):
            self._counts_lines = True
            self._lines[source] += int(str(row["lines"]))
        return row

    def counted_line(self, row: Record) -> Record:
        """A line, counted by its run."""
        self._lines[str(row["source"] or "")] += 1
        return row

    def commits(self) -> str:
        """`12 commits: 5 llm, 3 ci, 1 manual, 3 without a run; 340 lines added: …`."""
        told = _told(self._commits, "commit", "commits")
        return (
            f"{told}; {_told(self._lines, 'line added', 'lines added')}"
            if self._counts_lines
            else told
        )

    def lines(self) -> str:
        """`40 lines: 30 llm, 0 ci, 4 manual, 6 without a run`."""
        return _told(self._lines, "line", "lines")


def _told(counts: Counter[str], one: str, many: str) -> str:
    total = counts.total()
    by_source = ", ".join(f"{counts[source]} {source}" for source in ("llm", "ci", "manual"))
    return f"{total} {one if total == 1 else many}: {by_source}, {counts['']} without a run"


def _revision(word: str) -> str:
    if word.startswith("-") or not word.strip() or not rules.is_line(word):
        raise InvalidInput(
            f"REVISIONS: {rules.shorten(word)!r} is no revision; give what git log takes, such as main, v1..v2 or ^dev"
        )
    return word
