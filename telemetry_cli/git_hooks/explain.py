"""Why a commit has a run, or none: what the ledger, the journal, the repository and the hooks' marks say together."""

from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, TelemetryError
from telemetry_cli.database import commits
from telemetry_cli.database.database import translated
from telemetry_cli.discovery.git import reflog as moves
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.git_hooks import hook_log as fired
from telemetry_cli.git_hooks import managers as places
from telemetry_cli.git_hooks import status as state
from telemetry_cli.store import Store

#: `commit_hash`, `runs` (as `log` tells them), `reason` (a word, to go by) and `explanation`; `advice` is what to do.
Explanation = dict[str, object]

_NO_RUN = (
    "no run was open that was started in this work tree on this machine, nor exactly one in another work tree of the repository;"
    " TELEMETRY_EVENT_ID named none that is still running, and a run of `run exec` counts inside its process tree alone"
)


def explain(config: Config, revision: str) -> tuple[Explanation, list[str]]:
    """Why a commit has or has no run, and notes: the database's trouble, where it has to be told without it.

    Changes nothing, and applies nothing that waits. Raises `InvalidInput` for what is no commit.
    """
    repository = git.find(None)
    commit = (
        git.look_up(repository, revision)[0]
        if repository and revision.strip() and rules.is_line(revision)
        else None
    )
    sha = commit.sha if commit else rules.commit_hash(revision)
    if sha is None:
        if repository is None and (refused := git.refusal(None, "--commit")):
            raise refused
        where = "of the repository here" if repository else "and there is no repository here to ask"
        raise InvalidInput(f"--commit: {rules.shorten(revision)!r} is no commit {where}")
    notes: list[str] = []
    try:
        found = _by_ledger(config, sha)
    except TelemetryError as trouble:
        found = None
        notes.append(f"told without the database: {trouble.message}")
    found = found or _by_journal(config, sha, is_certain=not notes)
    if found is None and repository and commit:
        found = _by_hooks(config, repository, commit, is_certain=not notes)
    return found or _unknown(sha, repository), notes


def _unknown(sha: str, repository: git.Repository | None) -> Explanation:
    if repository is None and (refused := git.refusal(None)):
        return _reason(sha, "repository-unknown", refused.message, refused.hint)
    told = (
        f"the repository around {repository.folder} does not know this commit"
        if repository
        else "there is no repository here, which could tell more of it"
    )
    return _reason(sha, "repository-unknown", told, "Ask in the repository where it was made.")


def _reason(
    sha: str,
    reason: str,
    explanation: str,
    advice: str = "",
    runs: list[dict[str, object]] | None = None,
) -> Explanation:
    return {
        "commit_hash": sha,
        "runs": runs or [],
        "reason": reason,
        "explanation": explanation,
        "advice": advice,
    }


def _by_ledger(config: Config, sha: str) -> Explanation | None:
    db = Store(config).open_unchanged()
    if db is None:
        return None
    with translated(config.db_path):
        rows = commits.ledger(db, None, sha)
        runs = commits.behind(db, {str(row["commit_hash"]) for row in rows})
        rejected = commits.rejected(db, sha)
    if rows:
        last = rows[-1]
        carried = (
            f"; it was rewritten, and is {last['superseded_by']} now"
            if last["superseded_by"]
            else ""
        )
        found = [run for hash_ in runs for run in runs[hash_]]
        return _reason(
            str(last["commit_hash"]),
            "associated",
            f"it was associated with {last['event_id']} at {last['associated_at']}{carried}",
            "",
            found,
        )
    if rejected:
        return _reason(
            sha,
            "rejected",
            f"its association was rejected: {rejected[-1]['message']}",
            "Name a run that exists: telemetry associate-commit RUN --commit SHA",
        )
    return None


def _by_journal(config: Config, sha: str, *, is_certain: bool) -> Explanation | None:
    for operation in Store(config).pending(sha, whole=not is_certain):
        if str(operation.get("op")).startswith("commit.") and any(
            named.startswith(sha) for named in _commits(operation)
        ):
            told = (
                "waits to be applied"
                if is_certain
                else "is in the journal; whether it was applied, only the database can tell"
            )
            advice = (
                "Run: telemetry db drain"
                if is_certain
                else "See to the database first: telemetry doctor"
            )
            return _reason(
                sha,
                "buffered",
                f"its association was recorded at {operation['at']} and {told}",
                advice,
            )
    return None


def _commits(operation: dict[str, object]) -> list[str]:
    """The commits that an operation speaks of."""
    data = operation.get("data")
    if not isinstance(data, dict):
        return []
    pairs = data.get("pairs")
    told = (
        [sha for pair in pairs if isinstance(pair, list) for sha in pair]
        if isinstance(pairs, list)
        else []
    )
    return [str(sha) for sha in (data.get("commit_hash", ""), *told)]


def _by_hooks(
    config: Config, repository: git.Repository, commit: git.Commit, *, is_certain: bool
) -> Explanation:
    # A post-rewrite speaks of other commits, and a fast-forward leads to one that was made elsewhere.
    told = [
        found
        for found in fired.firings(repository)
        if found.sha == commit.sha
        and found.hook != "post-rewrite"
        and found.outcome != fired.NOTHING
    ]
    firing = told[-1] if told else None
    by_hand = f"By hand: telemetry associate-commit RUN --commit {commit.sha[:10]}"
    if firing:
        return _reason(commit.sha, *_by_firing(config, firing, is_certain=is_certain), by_hand)
    if any(
        move.new == commit.sha and moves.is_replay(move.message)
        for move in moves.head_moves(repository)
    ):
        return _reason(
            commit.sha,
            "rewritten",
            "a rebase made it, and the commits that it stands for had no run to carry on",
            by_hand,
        )
    place = places.place(repository.work_tree or repository.git_dir)
    found = state.states(place, ("post-commit",))[0]
    if found.through is None:
        return _reason(
            commit.sha,
            "hook-not-installed",
            f"no hook of telemetry's is installed in {place.folder}",
            f"Run: telemetry git-hooks install. {by_hand}",
        )
    made = clock.parse_stamp(str(commit.timestamp)).timestamp() if commit.timestamp else None
    if made and found.installed_at and made < found.installed_at - 1:
        return _reason(
            commit.sha, "hook-not-installed", "it was made before the hook was installed", by_hand
        )
    where = "here, or was made elsewhere (another clone, a server, or a program that runs no hooks)"
    return _reason(
        commit.sha,
        "not-fired",
        f"the hook is installed and did not fire for this commit {where}: {found.finding}",
        by_hand,
    )


def _by_firing(config: Config, firing: fired.Firing, *, is_certain: bool) -> tuple[str, str]:
    at = f"{firing.hook} fired at {firing.at}"
    if firing.outcome == fired.REBASING:
        return (
            "rewritten",
            f"{at}, during a rebase: the commits that it stands for had no run to carry on",
        )
    if firing.outcome == fired.FAILED:
        return "not-recorded", f"{at}, and could not record: see to {config.base_dir}"
    if firing.outcome in (fired.RECORDED, fired.BUFFERED) and not is_certain:
        return "buffered", f"{at} and recorded; which run that came to, only the database can tell"
    if firing.outcome in (fired.RECORDED, fired.BUFFERED):
        return (
            "no-run-open",
            f"{at} and recorded, and when that was applied {_NO_RUN} (in another base directory, perhaps)",
        )
    return "no-run-open", f"{at}, and {_NO_RUN}"
