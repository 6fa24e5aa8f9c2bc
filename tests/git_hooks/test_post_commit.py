"""Which run a commit belongs to, when git itself calls the hook."""

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from support import Telemetry
from support.repository import Bare, Repository

from telemetry_cli.core import clock, processes


def config(telemetry: Telemetry, text: str) -> None:
    folder = telemetry.home / ".config" / "telemetry"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text)


def own_process() -> dict[str, object]:
    """The identity of this process, as a run records it."""
    started, boot = processes.identity(os.getpid())
    return {"pid": os.getpid(), "process_started": started, "boot_id": boot}


def open_run(repo: Repository, event_id: str, start_time: str) -> dict[str, object]:
    named = {
        "event_id": event_id,
        "run_id": event_id,
        "agent_name": "a",
        "job_type": "j",
        "status": "running",
    }
    return {
        **named,
        "start_time": start_time,
        "host": os.uname().nodename,
        "git_dir": str(repo.path / ".git"),
    }


def started(
    telemetry: Telemetry, repo: Repository, event_id: str, start_time: str, **process: object
) -> None:
    """A running run of this repository, with a process on record, as `run exec` leaves it."""
    telemetry.append("run.create", start_time, **open_run(repo, event_id, start_time), **process)


def test_the_environment_names_the_run(repo: Repository, telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "named", "--no-git")
    telemetry.start("--event-id", "open", cwd=repo.path)
    sha = repo.change(env={"TELEMETRY_EVENT_ID": "named"})
    assert repo.runs_of("HEAD") == ["named"]
    run = telemetry.run("named")
    assert (run["git_commit_hash"], run["git_commit_source"], run["git_commit_author"]) == (
        sha,
        "manual",
        "Ada Lovelace <ada@example.org>",
    )
    assert datetime.fromisoformat(run["git_commit_timestamp"]) == datetime.fromisoformat(
        repo("log", "-1", "--format=%cI")
    )


def test_the_newest_open_run_of_this_repository(
    repo: Repository, telemetry: Telemetry, bare_repository: Bare
) -> None:
    other = bare_repository("other")
    telemetry.start("--event-id", "older", cwd=repo.path)
    telemetry.start("--event-id", "newer", cwd=repo.path)
    telemetry.start("--event-id", "ended", cwd=repo.path)
    telemetry("run", "end", "ended")
    telemetry.start("--event-id", "elsewhere", cwd=other.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["newer"]


@pytest.mark.parametrize(
    ("env", "source"), [({"CI": "true"}, "ci"), ({"CLAUDECODE": "1"}, "llm"), ({}, "manual")]
)
def test_the_source(
    env: dict[str, str], source: str, repo: Repository, telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "open", cwd=repo.path)
    repo.change(env=env)
    assert telemetry.run("open")["git_commit_source"] == source


def test_a_run_without_a_process_counts_for_a_day(repo: Repository, telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "old", "--start-time", "25h", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == []
    telemetry.start("--event-id", "recent", "--start-time", "23h", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["recent"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_whose_process_lives_counts_however_old(
    repo: Repository, telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "first", "--no-git")
    started(telemetry, repo, "alive", "2026-01-01T00:00:00.000Z", **own_process())
    telemetry("db", "drain")
    repo.change()
    assert repo.runs_of("HEAD") == ["alive"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("gone", ["pid", "start", "boot"])
def test_a_run_whose_process_is_gone_does_not(
    gone: str, repo: Repository, telemetry: Telemetry
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    changes: dict[str, dict[str, object]] = {
        "pid": {"pid": ended.pid},
        "start": {"process_started": "1"},
        "boot": {"boot_id": "another"},
    }
    process = own_process() | changes[gone]
    telemetry.start("--event-id", "first", "--no-git")
    started(telemetry, repo, "gone", "2027-01-01T00:00:00.000Z", **process)
    telemetry("db", "drain")
    repo.change()
    assert repo.runs_of("HEAD") == []
    telemetry.start("--event-id", "open", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["open"]


def test_without_a_run_nothing_is_recorded(repo: Repository, telemetry: Telemetry) -> None:
    repo.change()
    assert not telemetry.base.exists()
    telemetry.start("--no-git")
    before = telemetry.files()
    repo.change()
    assert telemetry.files() == before


def test_always_makes_a_short_run(repo: Repository, telemetry: Telemetry) -> None:
    config(telemetry, '[git_hooks]\nrecord = "always"\n')
    sha = repo.change()
    (run,) = telemetry("query", "--commit", sha, "--json").json
    assert (
        run["agent_name"],
        run["job_type"],
        run["status"],
        run["git_branch"],
        run["git_dir"],
    ) == (
        "git",
        "commit",
        "success",
        "main",
        str(repo.path / ".git"),
    )
    assert run["end_time"] >= run["start_time"]
    telemetry("git-hooks", "fire", "post-commit", cwd=repo.path)
    assert telemetry("query", "--count").line == "1"
    telemetry.start("--event-id", "open", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["open"]


def test_short_run_in_ci_records_the_job(repo: Repository, telemetry: Telemetry) -> None:
    repo.change()
    config(telemetry, '[git_hooks]\nrecord = "always"\n')
    repo("checkout", "--quiet", "--detach")
    job = {
        "GITLAB_CI": "true",
        "CI_PIPELINE_ID": "12",
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_BRANCH": "topic",
    }
    repo("commit", "--quiet", "--allow-empty", "-m", "x", env=job)
    (run,) = telemetry("query", "--commit", repo("rev-parse", "HEAD"), "--json").json
    assert (run["agent_name"], run["trigger_type"], run["git_branch"]) == (
        "gitlab-ci",
        "push",
        "topic",
    )
    assert run["context_json"] == {
        "cicd.pipeline.run.id": "12",
        "vcs.ref.head.name": "topic",
    }


@pytest.mark.parametrize("hooks", ["all", "post-commit alone"])
def test_always_makes_one_run_of_a_commit_and_its_amends(
    hooks: str, repo: Repository, telemetry: Telemetry
) -> None:
    if hooks != "all":
        (repo.path / ".git/hooks/post-rewrite").unlink()
    unknown = repo.change()
    config(telemetry, '[git_hooks]\nrecord = "always"\n')
    repo("commit", "--quiet", "--amend", "-m", "of one without a run")
    assert repo.runs_of(unknown) == []
    first = repo("rev-parse", "HEAD")
    repo("commit", "--quiet", "--amend", "-m", "of one with a run")
    assert repo.runs_of("HEAD") == repo.runs_of(first) == [f"commit-{first}"]
    assert telemetry("query", "--count").line == "1"
    repo.change()
    assert telemetry("query", "--count").line == "2"


def test_config_show_tells_of_it(telemetry: Telemetry) -> None:
    config(telemetry, '[git_hooks]\nrecord = "always"\n')
    rows = {row["setting"]: row["value"] for row in telemetry("config", "show", "--json").json}
    assert rows["git_hooks.record"] == "always"
    config(telemetry, '[git_hooks]\nrecord = "sometimes"\n')
    assert "git_hooks.record: 'sometimes' is not accepted" in telemetry("status", code=2).err
    config(telemetry, "[git_hooks]\nrecords = 1\n")
    assert "unknown key 'git_hooks.records'" in telemetry("status", code=2).err
    config(telemetry, "git_hooks = 1\n")
    assert "a table is needed" in telemetry("status", code=2).err


def test_a_repository_apart_from_its_work_tree(
    repo: Repository, telemetry: Telemetry, tmp_path: Path, bare_repository: Bare
) -> None:
    """As people keep their dot files: `git --git-dir … --work-tree …`; the work tree may even lie in another repository."""
    around = bare_repository("around")
    (around.path / "home").mkdir()
    telemetry.start("--event-id", "around", cwd=around.path)
    telemetry.start("--event-id", "apart", cwd=repo.path)
    repo(
        "--git-dir",
        str(repo.path / ".git"),
        "--work-tree",
        str(around.path / "home"),
        "-C",
        str(around.path / "home"),
        "commit",
        "--allow-empty",
        "-m",
        "x",
        "--quiet",
    )
    assert repo.runs_of("HEAD") == ["apart"]


def test_merges(repo: Repository, telemetry: Telemetry) -> None:
    base = repo.change()
    repo("branch", "topic")
    repo("checkout", "--quiet", "topic")
    telemetry.start("--event-id", "topic", cwd=repo.path)
    tip = repo.change("topic")
    telemetry("run", "end", "topic")
    telemetry.start("--event-id", "merging", cwd=repo.path)
    repo("checkout", "--quiet", "main")
    repo("merge", "--quiet", "--no-ff", "-m", "true merge", "topic")
    merge = repo("rev-parse", "HEAD")
    assert repo.runs_of("HEAD") == ["merging"]
    # A fast-forward to that very merge makes no commit of ours.
    telemetry("run", "end", "merging")
    telemetry.start("--event-id", "idle", cwd=repo.path)
    repo("reset", "--quiet", "--hard", base)
    repo("merge", "--quiet", "--ff-only", merge)
    repo("reset", "--quiet", "--hard", base)
    repo("merge", "--quiet", "--squash", tip)
    assert telemetry("commits", "idle", "--json").json == []
    assert repo.runs_of(merge) == ["merging"]


@pytest.mark.parametrize("told_by", ["mark", "age", "environment"])
def test_a_squash_after_a_merge_where_no_arguments_are_handed_on(
    told_by: str, repo: Repository, telemetry: Telemetry
) -> None:
    """As under pre-commit."""
    repo.hook("post-merge", "#!/bin/sh\ntelemetry git-hooks fire post-merge\n")
    repo.change()
    for branch in ("topic", "other"):
        repo("checkout", "--quiet", "-b", branch, "main")
        repo.change(branch)
    repo("checkout", "--quiet", "main")
    unseen = () if told_by == "mark" else ("-c", "core.hooksPath=/dev/null")
    repo(*unseen, "merge", "--quiet", "--no-ff", "-m", "merged", "topic")
    telemetry.start("--event-id", "idle", cwd=repo.path)
    if told_by == "age":
        os.utime(repo.path / ".git/logs/HEAD", (time.time() - 60,) * 2)
    repo(
        "merge",
        "--quiet",
        "--squash",
        "other",
        env={"PRE_COMMIT_IS_SQUASH_MERGE": "1"} if told_by == "environment" else None,
    )
    assert telemetry("commits", "idle", "--json").json == []


def test_a_merge_without_a_reflog(repo: Repository, telemetry: Telemetry) -> None:
    repo("config", "core.logAllRefUpdates", "false")
    base = repo.change()
    repo("checkout", "--quiet", "-b", "topic")
    repo.change("topic")
    repo("checkout", "--quiet", "main")
    telemetry.start("--event-id", "merging", cwd=repo.path)
    repo("merge", "--quiet", "--no-ff", "-m", "true merge", "topic", env={"GIT_COMMITTER_DATE": ""})
    merge = repo("rev-parse", "HEAD")
    assert repo.runs_of(merge) == ["merging"]
    telemetry("run", "end", "merging")
    old = repo("commit-tree", f"{merge}^{{tree}}", "-p", base, "-p", "topic", "-m", "an old merge")
    telemetry.start("--event-id", "idle", cwd=repo.path)
    repo("reset", "--quiet", "--hard", base)
    repo("merge", "--quiet", "--ff-only", old)
    assert repo.runs_of(old) == []


def test_cherry_picks_and_reverts_are_commits(repo: Repository, telemetry: Telemetry) -> None:
    repo.change()
    repo("checkout", "--quiet", "-b", "topic")
    picked = repo.change("topic")
    repo("checkout", "--quiet", "main")
    telemetry.start("--event-id", "open", cwd=repo.path)
    repo("cherry-pick", picked)
    assert repo.runs_of("HEAD") == ["open"]
    repo("revert", "--no-edit", "HEAD")
    assert repo.runs_of("HEAD") == ["open"]
    assert repo.runs_of(picked) == []


def test_a_buffered_start_is_found(repo: Repository, telemetry: Telemetry) -> None:
    """What was recorded and not applied yet counts: which run is open is settled in the journal's order."""
    telemetry.start("--no-git")
    moment = clock.stamp(clock.now())
    telemetry.append("run.create", moment, **open_run(repo, "waiting", moment))
    repo.change()
    assert repo.runs_of("HEAD") == ["waiting"]


def test_a_repository_in_a_folder_that_is_not_utf_8(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository(os.fsdecode(b"n\xff"))
    telemetry("git-hooks", "install", cwd=repo.path)
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["run"]
