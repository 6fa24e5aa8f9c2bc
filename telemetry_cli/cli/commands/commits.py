"""Handle `associate-commit`, `commits`, `commits relink`, `commit-url` and `repo-url`."""

import os
from datetime import datetime

from telemetry_cli.cli.commands.arguments import (
    became,
    find_repository,
    named_exactly,
    run_reference,
)
from telemetry_cli.cli.commands.result import Listing, Written
from telemetry_cli.cli.commands.rows import convert_run
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import commits, runs
from telemetry_cli.database.database import translated
from telemetry_cli.database.runs import Reading
from telemetry_cli.discovery import environment
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.store import Store


def associate(
    config: Config,
    output: str,
    *,
    run: str | None,
    commit: str | None,
    source: str | None,
    author: str | None,
    timestamp: str | None,
    repo: str | None,
    role: str | None,
    children: bool,
    no_git: bool,
) -> Written:
    """Associate a run with the commit that came of it."""
    moment = clock.now()
    data: dict[str, object] = {
        "run": run_reference(config, run),
        "role": rules.choice("--role", role, rules.COMMIT_ROLES)
        if role is not None
        else "produced",
        "source": rules.choice("--source", source, rules.COMMIT_SOURCES)
        if source is not None
        else environment.commit_source(),
    }
    given = {"author": rules.optional_text("--author", author) if author is not None else None}
    given["timestamp"] = (
        rules.instant("--timestamp", timestamp, moment) if timestamp is not None else None
    )
    if repo is not None and not os.path.isdir(repo):
        raise InvalidInput(
            f"--repo: {rules.shorten(repo)!r} is no folder; name a repository or a folder inside one"
        )
    if no_git and commit is None:
        raise InvalidInput("--commit: with --no-git no repository is read, so a SHA must be given")
    repository = None if no_git else git.find(repo)
    try:
        data |= _commit(commit, repository, moment)
    except InvalidInput:
        refused = None if no_git or repository else git.refusal(repo, "--commit")
        if refused is None:
            raise
        raise refused from None
    data |= {name: value for name, value in given.items() if value is not None}
    if children:
        data["children"] = True
    outcome = Store(config).record(
        "commit.associate",
        {name: value for name, value in data.items() if value is not None},
        clock.stamp(moment),
    )
    result, notes = became(
        outcome,
        event_id=named_exactly(str(data["run"])),
        run_id=None,
        commit_hash=data["commit_hash"],
    )
    return Written(result, f"{result['event_id'] or data['run']} {result['commit_hash']}", notes)


def _commit(
    revision: str | None, repository: git.Repository | None, moment: datetime
) -> dict[str, object]:
    """The commit that is meant, with what the repository tells of it."""
    found, known = None, False
    if repository and revision is None:
        found = git.head(repository)
    elif repository and revision and _askable(revision):
        found, known = git.look_up(repository, revision)
    if found is None:
        found = git.Commit(
            _default_sha() if revision is None else _literal_sha(revision, repository, known)
        )
    if repository:
        return git.facts(repository, found, moment)
    return {"commit_hash": found.sha}


def _askable(revision: str) -> bool:
    """Tell whether a revision can be put to git: one line of text that is not empty."""
    return bool(revision.strip()) and rules.is_line(revision)


def _default_sha() -> str:
    known = rules.commit_hash(environment.facts().get("sha", ""))
    if known:
        return known
    raise InvalidInput(
        "--commit: no commit is given, and there is no repository here whose HEAD can be read",
        "Pass --commit SHA, or --repo PATH.",
    )


def _literal_sha(revision: str, repository: git.Repository | None, known: bool) -> str:
    """A SHA that the repository does not know is taken as given; what it knows as something else is not."""
    sha = rules.commit_hash(revision)
    if sha is None or known:
        raise InvalidInput(
            f"--commit: {rules.shorten(revision)!r} is no commit{' of the repository' if repository else ' and there is no repository to ask'};"
            " give a revision that means one commit, or a SHA of 7 to 40 hex digits (or 64)"
        )
    return sha


def ledger(
    config: Config, output: str, *, run: str | None, commit: str | None, absolute: bool
) -> Listing:
    """The associations of a run, or of a commit, oldest first."""
    prefix = rules.commit_prefix("--commit", commit) if commit is not None else None
    reference = run_reference(config, run) if run is not None or prefix is None else None
    reading = Store(config).read()
    event_id = reading.run(reference)[2] if reference else None
    rows: list[dict[str, object]] = []
    if reading.db:
        with translated(config.db_path):
            rows = commits.ledger(reading.db, event_id, prefix)
    return Listing(
        "commits",
        commits.COLUMNS,
        rows,
        reading.notes,
        absolute=absolute,
        prefixes=reading.prefixes,
    )


def commit_url(config: Config, output: str, *, run: str | None) -> Written:
    """The web address of a run's commit."""
    return _url(config, run, "commit_url")


def repo_url(config: Config, output: str, *, run: str | None) -> Written:
    """The web address of a run's repository."""
    return _url(config, run, "repo_url")


def _url(config: Config, run: str | None, field: str) -> Written:
    reading = Store(config).read()
    db, id_, _, _ = reading.run(run_reference(config, run))
    with translated(config.db_path):
        url = convert_run(runs.get(db, id_), config.url_styles)[field]
    return Written({field: url}, str(url) if url else None, reading.notes)


_COLUMNS = ("commit_hash", "status", "by", "replaces", "reason")


def relink(
    config: Config, output: str, *, range_: str | None, repo: str | None, dry_run: bool
) -> Listing:
    """Match commits without a run with those whose place they took; what is not certain is listed as unlinked."""
    repository = find_repository(repo)
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
