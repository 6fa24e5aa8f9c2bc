"""What a hook does when git calls it: associate the new commit with its run, carry associations on to rewritten commits.

On the fast path, and never in the way: it waits at most `_SECONDS` for locks in all, and whatever is wrong, the worst that can
happen is that nothing is recorded.
"""

import os
import select
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from telemetry_cli.core import clock, processes
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, TelemetryError
from telemetry_cli.database import commits
from telemetry_cli.database.database import translated
from telemetry_cli.discovery import environment
from telemetry_cli.discovery.git import reflog as moves
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.discovery.new_run import build_run
from telemetry_cli.git_hooks import HOOKS
from telemetry_cli.git_hooks.hook_log import (
    BUFFERED,
    FAILED,
    NO_RUN,
    NOTHING,
    REBASING,
    RECORDED,
    Firing,
    firings,
    leave,
)
from telemetry_cli.store import Store

_SECONDS = 0.2
#: Of these, what looking into the database may take.
_GLANCE_SECONDS = 0.05
#: How long a run that no process was recorded of counts as open.
_OPEN_FOR = timedelta(hours=24)
#: Seconds for reading what is known of the commits that a rebase made.
_FACTS_SECONDS = 0.1
_LARGEST_STDIN = 64 << 20
_PIECE = 1 << 16
#: How old a merge may be that the hook is called for.
_FRESH_SECONDS = 10


class _Call:
    """One call by git: the settings, the repository, the arguments, the moment, and until when a lock may be waited for."""

    def __init__(
        self, config: Config, repository: git.Repository, arguments: Sequence[str]
    ) -> None:
        self.config = config
        self.repository = repository
        self.arguments = arguments
        self.moment: datetime = clock.now()
        self.at = clock.stamp(self.moment)
        self.deadline = time.monotonic() + min(_SECONDS, config.lock_timeout)

    def record(self, kind: str, data: dict[str, object]) -> str:
        """Record an operation in the time that is left. Returns what became of it."""
        self.config.lock_timeout = max(0.0, self.deadline - time.monotonic())
        outcome = Store(self.config).record(
            kind,
            {name: value for name, value in data.items() if value is not None},
            self.at,
        )
        if outcome.buffered:
            return BUFFERED
        return (
            FAILED
            if outcome.exit_code
            else NO_RUN
            if outcome.result.get("event_id", "") is None
            else RECORDED
        )


def fire(config: Config, hook: str, arguments: Sequence[str]) -> None:
    """Do what a hook does, and leave its mark. Unknown hooks do nothing."""
    act = _ACTS.get(hook)
    repository = git.find(None, is_hook=True) if act else None
    if act is None or repository is None:
        return
    call = _Call(config, repository, arguments)
    commit = git.head(repository)
    try:
        outcome = act(call, commit) if commit else NOTHING
    except (TelemetryError, OSError, ValueError):
        outcome = FAILED
    leave(repository, Firing(call.at, hook, commit.sha if commit else "", outcome))


def _post_commit(call: _Call, commit: git.Commit) -> str:
    # A rebase makes commits that it may yet drop or squash; its post-rewrite says in the end which took whose place.
    return REBASING if moves.is_replayed(call.repository, commit.sha) else _associate(call, commit)


def _post_merge(call: _Call, commit: git.Commit) -> str:
    if moves.is_replayed(call.repository, commit.sha) or moves.is_merging_again(call.repository):
        return REBASING
    # pre-commit hands on no arguments, but says this in its own way.
    is_squash = call.arguments[:1] == ["1"] or os.environ.get("PRE_COMMIT_IS_SQUASH_MERGE") == "1"
    return (
        NOTHING if is_squash or not _is_merge_made_here(call, commit) else _associate(call, commit)
    )


def _is_merge_made_here(call: _Call, commit: git.Commit) -> bool:
    """Tell a merge from a fast-forward, which may lead to a merge that somebody else made, and from one that was made before."""
    if len(commit.parents) < 2 or any(mark.sha == commit.sha for mark in firings(call.repository)):
        return False
    newest, moved = moves.head_moves(call.repository)[-1:], moves.last_moved(call.repository)
    if newest and moved and newest[0].new == commit.sha:
        return call.moment.timestamp() - moved < _FRESH_SECONDS and not newest[0].message.endswith(
            "Fast-forward"
        )
    return (
        bool(commit.timestamp)
        and abs((call.moment - datetime.fromisoformat(str(commit.timestamp))).total_seconds())
        < _FRESH_SECONDS
    )


def _post_applypatch(call: _Call, commit: git.Commit) -> str:
    # `git rebase --apply` applies patches too.
    return (
        REBASING
        if moves.rebase_folder(call.repository)
        == os.path.join(call.repository.git_dir, "rebase-apply")
        else _associate(call, commit)
    )


# The run that a commit belongs to


def _associate(call: _Call, commit: git.Commit) -> str:
    run = _run(call, commit)
    if run is None:
        return NO_RUN
    old = _amended(call, commit) if "otherwise" in run else None
    known = _known(call.config, [old]) if old else set()
    if known and moves.is_under_way(call.repository):
        return REBASING
    if known:
        return call.record(
            "commit.rewrite", {"pairs": [[old, commit.sha]], "facts": _facts(call, [commit.sha])}
        )
    if known is None:
        # It may have a run, which post-rewrite carries on; a second one of its own would stand beside that for ever.
        del run["otherwise"]
    facts = git.facts(call.repository, commit, call.moment)
    return call.record(
        "commit.associate",
        {"role": "produced", "source": environment.commit_source(), **facts, **run},
    )


def _amended(call: _Call, commit: git.Commit) -> str | None:
    """The commit that this one amends, by the reflog; None when it amends none."""
    newest = moves.head_moves(call.repository)[-1:]
    is_amend = (
        newest and newest[0].new == commit.sha and newest[0].message.startswith("commit (amend)")
    )
    return newest[0].old if is_amend else None


def _run(call: _Call, commit: git.Commit) -> dict[str, object] | None:
    """How the operation says which run the commit belongs to; None when it belongs to none.

    The environment's, if it is still running, else the one that is open here. Where the database cannot tell, because it is locked
    or more was recorded than it holds, that is settled where the operation stands in the journal.
    """
    wanted: dict[str, object] = {
        "run": _named_by_environment(),
        "git_dir": git.path_text(call.repository.git_dir),
        "common_dir": git.path_text(call.repository.common_dir),
        "host": environment.host(),
        "since": clock.stamp(call.moment - _OPEN_FOR),
        "boot_id": processes.place(),
        "inside": processes.ancestors(),
    }
    is_certain, event_id = _open_run(call.config, wanted, call.at)
    if event_id is not None:
        return {"run": event_id}
    if call.config.hooks_record == "always":
        return {"open": wanted, "otherwise": _short_run(call, commit)}
    return None if is_certain else {"open": wanted}


def _named_by_environment() -> str | None:
    try:
        return rules.reference("TELEMETRY_EVENT_ID", environment.current_run() or "")
    except InvalidInput:
        return None


def _open_run(config: Config, wanted: dict[str, object], moment: str) -> tuple[bool, str | None]:
    """Whether the database can tell which run is open, and that run's event_id; adds to `wanted["gone"]` those whose process is."""
    gone: list[str] = []
    wanted["gone"] = gone
    try:
        db = Store(config).glance(_GLANCE_SECONDS)
        if db is None:
            return False, None
        with translated(config.db_path):
            found = commits.named_run(db, wanted["run"], moment)
            rows = [] if found else commits.open_runs(db, wanted)
    except (TelemetryError, OSError):
        return False, None
    gone += [str(row["event_id"]) for row in rows if _is_gone(row, str(wanted["since"]))]
    found = found or commits.choose_run(rows, wanted)
    return True, str(found["event_id"]) if found else None


def _is_gone(row: dict[str, object], since: str) -> bool:
    """Tell whether the process that would end a run is gone; where that cannot be told, the run counts as one without a process."""
    pid, started, boot = row["pid"], row["process_started"], row["boot_id"]
    if not isinstance(pid, int):
        return False
    alive = processes.is_alive(pid, str(started) if started else None, str(boot) if boot else None)
    return alive is False or (alive is None and str(row["start_time"]) < since)


def _short_run(call: _Call, commit: git.Commit) -> dict[str, object]:
    """The run that a commit makes of itself; the same one when the hook fires twice."""
    agent = call.config.agent_name or environment.actor() or "git"
    run = {
        "event_id": f"commit-{commit.sha}",
        "run_id": clock.new_run_id(call.moment, agent),
        "agent_name": agent,
        "job_type": "commit",
    }
    return build_run(call.config, call.at, run, call.repository)


# Rewrites


def _post_rewrite(call: _Call, _: git.Commit) -> str:
    told = _stdin(call.deadline)
    is_amend = (call.arguments[:1] or [os.environ.get("PRE_COMMIT_REWRITE_COMMAND", "")])[
        0
    ] == "amend"
    pairs = _pairs(told) or ([] if told is None else _pairs(_untold(call, is_amend=is_amend)))
    rebase = moves.rebase_folder(call.repository)
    if rebase and is_amend and moves.is_under_way(call.repository):
        # What a rebase does may yet be undone. In its end git names what each commit became before it was amended.
        if pairs:
            moves.note_amended(rebase, "".join(f"{old} {new}\n" for old, new in pairs))
        return REBASING
    pairs = _of_known(
        call.config,
        pairs + (_pairs(moves.amended_so_far(rebase)) if rebase and not is_amend else []),
    )
    if not pairs:
        return NOTHING
    return call.record(
        "commit.rewrite", {"pairs": pairs, "facts": _facts(call, [new for _, new in pairs])}
    )


def _stdin(deadline: float) -> str | None:
    """What git says on stdin: `old new[ more]` lines. A terminal says nothing that is meant for us.

    Of one that does not end before the deadline, the lines that came; None when none did.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    told = bytearray()
    while len(told) < _LARGEST_STDIN:
        # What is there already is taken however late it is: only waiting has an end.
        if not select.select([sys.stdin], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return told[: told.rfind(b"\n") + 1].decode("ascii", "replace") or None
        piece = os.read(sys.stdin.fileno(), _PIECE)
        if not piece:
            break
        told += piece
    return told.decode("ascii", "replace")


def _pairs(text: str | None) -> list[list[str]]:
    words = (line.split() for line in (text or "").splitlines())
    return [
        found[:2]
        for found in words
        if len(found) >= 2
        and git.is_sha(found[0])
        and git.is_sha(found[1])
        and found[0] != found[1]
    ]


def _untold(call: _Call, *, is_amend: bool) -> str:
    """The pairs where whoever runs us kept stdin to itself, as pre-commit does: a rebase notes them down, an amend stands in the reflog."""
    noted = "" if is_amend else moves.rewritten_so_far(call.repository)
    newest = moves.head_moves(call.repository)[-1:]
    if noted or not newest or not (is_amend or newest[0].message.startswith("commit (amend)")):
        return noted
    return f"{newest[0].old} {newest[0].new}\n"


def _of_known(config: Config, pairs: list[list[str]]) -> list[list[str]]:
    """The pairs whose old commit may have a run, its own or one that a pair before carries on to it; all where that is not certain."""
    known = _known(config, [old for old, _ in pairs]) if pairs else set()
    if known is None:
        return pairs
    kept = []
    for pair in pairs:
        if pair[0] in known:
            known.add(pair[1])
            kept.append(pair)
    return kept


def _known(config: Config, shas: list[str]) -> set[str] | None:
    """Those of the commits that have a run; None when the database cannot tell."""
    try:
        db = Store(config).glance(_GLANCE_SECONDS)
        with translated(config.db_path):
            return None if db is None else set(commits.behind(db, shas))
    except (TelemetryError, OSError):
        return None


def _facts(call: _Call, news: list[str]) -> dict[str, dict[str, object]]:
    """Author and time of the new commits, as far as they can be read quickly."""
    stop_at = time.monotonic() + _FACTS_SECONDS
    facts: dict[str, dict[str, object]] = {}
    for sha in dict.fromkeys(news):
        commit = git.fresh(call.repository, sha)
        if commit:
            told = git.facts(call.repository, commit, call.moment, place=False)
            facts[sha] = {
                name: told[name] for name in ("author", "timestamp") if told[name] is not None
            }
        if time.monotonic() > stop_at:
            break
    return facts


_ACTS = dict(zip(HOOKS, (_post_commit, _post_rewrite, _post_merge, _post_applypatch), strict=True))
