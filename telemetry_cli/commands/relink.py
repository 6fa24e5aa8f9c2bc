"""Commits that took the place of others without git's saying so: commits relink."""

from datetime import datetime

from telemetry_cli import clock, rules
from telemetry_cli.commands.arguments import became
from telemetry_cli.commands.history import repository_around
from telemetry_cli.commands.result import READS, Listing, handler
from telemetry_cli.config import Config
from telemetry_cli.discover import git
from telemetry_cli.errors import InvalidInput
from telemetry_cli.reader import Reading, open_for_reading
from telemetry_cli.recorder import record
from telemetry_cli.store import commits
from telemetry_cli.store.database import translated

_COLUMNS = ("commit_hash", "status", "by", "replaces", "reason")


@handler(*READS, records=True)
def relink(config: Config, output: str, *, range_: str | None, repo: str | None, dry_run: bool) -> Listing:
    """Match commits without a run with those whose place they took; what is not certain is listed as unlinked."""
    repository = repository_around(repo)
    since, until = _ends(repository, range_)
    reading = open_for_reading(config)
    found = _findings(reading, repository, since, until)
    pairs = [[old, finding["commit_hash"]] for finding in found if finding["status"] == "linked" for old in _texts(finding["replaces"])]
    notes = list(reading.notes)
    if pairs and not dry_run:
        moment = clock.now()
        news = dict.fromkeys(str(new) for _, new in pairs)
        facts = {new: _facts(repository, new, moment) for new in news}
        outcome = record(config, "commit.rewrite", {"pairs": pairs, "facts": facts}, clock.stamp(moment))
        notes += became(outcome)[1]
    return Listing("relinked", _COLUMNS, found, notes)


def _findings(reading: Reading, repository: git.Repository, since: str | None, until: str) -> list[dict[str, object]]:
    from telemetry_cli.githooks import relink as matching

    if reading.db is None:
        return []
    with translated(reading.config.db_path):
        runs = commits.current(reading.db, git.remote(repository))
        linked = set(commits.known(reading.db))
    there = matching.known(repository, runs)
    return matching.findings(repository, {sha: ids for sha, ids in runs.items() if sha in there}, linked, since, until)


def _facts(repository: git.Repository, sha: str, moment: datetime) -> dict[str, object]:
    commit = git.fresh(repository, sha) or git.look_up(repository, sha)[0]
    told = git.facts(repository, commit, moment, place=False) if commit else {}
    return {name: told[name] for name in ("author", "timestamp") if told.get(name) is not None}


def _ends(repository: git.Repository, range_: str | None) -> tuple[str | None, str]:
    """The SHAs that a range lies between; without one, everything up to HEAD."""
    since, dots, until = (range_ or "").partition("..")
    if range_ is not None and (not dots or until.startswith(".") or not range_.isprintable()):
        raise InvalidInput(f"A..B: {rules.shorten(range_)!r} is no range; give two revisions, such as v1.0..main")
    return _sha(repository, since) if since else None, _sha(repository, until or "HEAD")


def _sha(repository: git.Repository, revision: str) -> str:
    commit = git.look_up(repository, revision)[0]
    if commit is None:
        raise InvalidInput(f"A..B: {rules.shorten(revision)!r} is no commit of {repository.folder}")
    return commit.sha


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return value
