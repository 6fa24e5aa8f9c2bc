"""Commits that took the place of others without git's saying so: commits relink."""

from datetime import datetime

from telemetry_cli.cli.commands.arguments import became
from telemetry_cli.cli.commands.log import repository_around
from telemetry_cli.cli.commands.result import Listing
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import commits
from telemetry_cli.database.database import translated
from telemetry_cli.database.runs import Reading
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.store import Store

_COLUMNS = ("commit_hash", "status", "by", "replaces", "reason")


def relink(
    config: Config, output: str, *, range_: str | None, repo: str | None, dry_run: bool
) -> Listing:
    """Match commits without a run with those whose place they took; what is not certain is listed as unlinked."""
    repository = repository_around(repo)
    since, until = _ends(repository, range_)
    reading = Store(config).read()
    found, living, notes = _findings(reading, repository, since, until, everywhere=range_ is None)
    pairs = [
        [old, finding["commit_hash"]]
        for finding in found
        if finding["status"] == "linked"
        for old in _texts(finding["replaces"])
    ]
    notes = [*reading.notes, *notes]
    if pairs and not dry_run:
        moment = clock.now()
        news = dict.fromkeys(str(new) for _, new in pairs)
        facts = {new: _facts(repository, new, moment) for new in news}
        data: dict[str, object] = {
            "pairs": pairs,
            "facts": facts,
            "living": [old for old, _ in pairs if old in living],
        }
        outcome = Store(config).record("commit.rewrite", data, clock.stamp(moment))
        notes += became(outcome)[1]
    return Listing("relinked", _COLUMNS, found, notes)


def _findings(
    reading: Reading, repository: git.Repository, since: str | None, until: str, *, everywhere: bool
) -> tuple[list[dict[str, object]], set[str], list[str]]:
    """What is found, the old commits that a branch still reaches, and what else is to be said."""
    from telemetry_cli.git_hooks import relink as matching

    if reading.db is None:
        return [], set(), []
    url = git.remote(repository)
    with translated(reading.config.db_path):
        rows = commits.current(reading.db, url)
        known = commits.known(reading.db)
    there = matching.known(repository, rows)
    living = matching.living(repository, there)
    old = matching.Old(
        {sha: [str(row["event_id"]) for row in rows[sha]] for sha in rows}, known, living
    )
    found = matching.mapped(repository, old, since, None if everywhere else until)
    mapped = {sha for finding in found for sha in _texts(finding["replaces"])}
    found += matching.findings(
        repository,
        old._replace(runs={sha: old.runs[sha] for sha in rows if sha in there - mapped}),
        since,
        until,
    )
    gone = {sha: rows[sha] for sha in rows if git.is_sha(sha) and sha not in there | mapped}
    ours = [sha for sha in gone if any(_is_of(repository, row["git_dir"]) for row in gone[sha])]
    elsewhere = [
        sha
        for sha in gone
        if sha not in ours and url and any(row["repo"] == url for row in gone[sha])
    ]
    note = f"nothing can be compared with commits of runs that this clone does not have: {len(elsewhere):,}; fetch them, if a remote still has them"
    return found + matching.missing(ours), living, [note] if elsewhere else []


def _is_of(repository: git.Repository, git_dir: object) -> bool:
    """Tell whether a run was started in this repository, in whichever of its work trees."""
    common = git.path_text(repository.common_dir)
    return isinstance(git_dir, str) and (
        git_dir == common or git_dir.startswith(common + "/worktrees/")
    )


def _facts(repository: git.Repository, sha: str, moment: datetime) -> dict[str, object]:
    commit = git.fresh(repository, sha) or git.look_up(repository, sha)[0]
    told = git.facts(repository, commit, moment, place=False) if commit else {}
    return {name: told[name] for name in ("author", "timestamp") if told.get(name) is not None}


def _ends(repository: git.Repository, range_: str | None) -> tuple[str | None, str]:
    """The SHAs that a range lies between; without one, everything up to HEAD."""
    since, dots, until = (range_ or "").partition("..")
    if range_ is not None and (not dots or until.startswith(".") or not rules.is_line(range_)):
        raise InvalidInput(
            f"A..B: {rules.shorten(range_)!r} is no range; give two revisions, such as v1.0..main"
        )
    return _sha(repository, since) if since else None, _sha(repository, until or "HEAD")


def _sha(repository: git.Repository, revision: str) -> str:
    commit = git.look_up(repository, revision)[0]
    if commit is None:
        raise InvalidInput(f"A..B: {rules.shorten(revision)!r} is no commit of {repository.folder}")
    return commit.sha


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return value
