"""What git replays keeps its runs; what a person commits while something is stopped, or forgotten, belongs to the run that is open."""

import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.repository import Bare, Repository


@pytest.fixture
def open_run(repo: Repository, telemetry: Telemetry) -> str:
    """A run that is open from the first commit on."""
    repo.change("base")
    telemetry.start("--event-id", "open", cwd=repo.path)
    return "open"


def conflict(repo: Repository) -> None:
    """Two branches that changed one file; `topic` is checked out."""
    repo("checkout", "--quiet", "-b", "topic")
    repo.change("file", "topic\n")
    repo("checkout", "--quiet", "main")
    repo.change("file", "main\n")
    repo("checkout", "--quiet", "topic")


def patch_of(repo: Repository, revision: str, where: Path) -> str:
    return repo("format-patch", "-1", f"{revision}^{{commit}}", "-o", str(where))


def edited(repo: Repository, todo: str, *argv: str, check: bool = True) -> None:
    """An interactive rebase with its list of steps edited by a sed script."""
    repo(
        "-c",
        f"sequence.editor=sed -i {todo}",
        "-c",
        "core.editor=true",
        "rebase",
        "--quiet",
        "-i",
        *argv,
        check=check,
    )


def resolve(repo: Repository) -> None:
    (repo.path / "file").write_text("both\n")
    repo("add", "file")


# A person's commits


def test_both_halves_of_a_commit_that_is_split(
    open_run: str, repo: Repository, telemetry: Telemetry
) -> None:
    (repo.path / "a").write_text("a")
    old = repo.change("b")
    repo.change("later")
    edited(repo, "1s/pick/edit/", "HEAD~2")
    repo("reset", "--quiet", "HEAD^")
    halves = [repo.change(name) for name in "ab"]
    repo("rebase", "--continue")
    assert [repo.runs_of(sha) for sha in (old, *halves, "HEAD")] == [[open_run]] * 4


STOPS = {
    "rebase": (["rebase", "main"], "rebase-merge"),
    "rebase --apply": (["rebase", "--apply", "main"], "rebase-apply"),
    "am": (["am", "PATCH"], "rebase-apply"),
    "merge": (["merge", "main"], "MERGE_HEAD"),
    "cherry-pick": (["cherry-pick", "main"], "CHERRY_PICK_HEAD"),
    "revert": (["revert", "--no-edit", "HEAD~1"], "REVERT_HEAD"),
}


@pytest.fixture(params=STOPS)
def stopped(request: pytest.FixtureRequest, open_run: str, repo: Repository, tmp_path: Path) -> str:
    """A command that has stopped at a conflict; its name."""
    conflict(repo)
    command, state = STOPS[request.param]
    if request.param == "revert":
        repo.change("file", "topic again\n")
    repo(
        *(patch_of(repo, "main", tmp_path) if word == "PATCH" else word for word in command),
        check=False,
    )
    assert (repo.path / ".git" / state).exists()
    name: str = request.param
    return name


def test_a_conflict_that_is_resolved_and_committed(stopped: str, repo: Repository) -> None:
    resolve(repo)
    repo("commit", "--quiet", "-m", f"resolved {stopped}")
    assert repo.runs_of("HEAD") == ["open"]


@pytest.mark.parametrize("stopped", ["am", "cherry-pick", "revert", "merge"], indirect=True)
def test_a_conflict_that_is_resolved_and_continued(stopped: str, repo: Repository) -> None:
    before = repo("rev-parse", "HEAD")
    resolve(repo)
    repo("-c", "core.editor=true", stopped, "--continue")
    assert repo("rev-parse", "HEAD") != before
    assert repo.runs_of("HEAD") == ["open"]


@pytest.mark.parametrize("stopped", ["rebase", "rebase --apply", "am"], indirect=True)
@pytest.mark.parametrize("detached", [False, True])
def test_work_goes_on_beside_one_that_is_forgotten(
    stopped: str, detached: bool, repo: Repository, telemetry: Telemetry
) -> None:
    repo("checkout", "--quiet", "--force", "main~1" if detached else "main")
    olds = [repo.change(f"work {number}") for number in range(2)]
    telemetry("run", "end", "open")
    repo("commit", "--quiet", "--amend", "-m", "better")
    # No end of that rebase will ever tell of the amend: it is carried on at once.
    assert [repo.runs_of(sha) for sha in (*olds, "HEAD")] == [["open"]] * 3
    assert telemetry("commits", "--commit", olds[1], "--json").json[0]["superseded_by"] == repo(
        "rev-parse", "HEAD"
    )
    telemetry.start("--event-id", "merging", cwd=repo.path)
    repo("checkout", "--quiet", "-b", "side", "HEAD~1")
    repo.change("side")
    repo("merge", "--quiet", "--no-edit", olds[1])
    assert len(repo("log", "-1", "--format=%P").split()) == 2
    assert repo.runs_of("HEAD") == ["merging"]


def test_a_commit_in_another_work_tree(
    stopped: str, repo: Repository, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"), "main")
    side = Repository(tmp_path / "side", telemetry)
    telemetry.start("--event-id", "side", cwd=side.path)
    side.change("side")
    assert side.runs_of("HEAD") == ["side"]


def test_a_commit_while_bisecting(open_run: str, repo: Repository) -> None:
    for number in range(4):
        repo.change(f"file {number}")
    repo("bisect", "start", "HEAD", "HEAD~4")
    repo.change("instrumented")
    assert repo.runs_of("HEAD") == [open_run]


@pytest.mark.parametrize(
    "command",
    [
        "commit --quiet --allow-empty -m made",
        "cherry-pick --allow-empty other",
        "merge --quiet --no-ff --no-edit other",
    ],
)
def test_commits_that_a_step_of_a_rebase_makes(
    command: str, repo: Repository, open_run: str, telemetry: Telemetry
) -> None:
    repo("checkout", "--quiet", "-b", "other")
    repo.change("other")
    repo("checkout", "--quiet", "main")
    repo.change("mine")
    telemetry("run", "end", open_run)
    telemetry.start("--event-id", "rebasing", cwd=repo.path)
    repo("rebase", "--quiet", "-x", f"git {command}", "HEAD~1")
    assert repo.runs_of("HEAD") == ["rebasing"]
    assert repo.runs_of("HEAD~1") == [open_run]


def test_always_carries_no_amend_on_before_the_rebase_ends(
    repo: Repository, telemetry: Telemetry
) -> None:
    config = telemetry.home / ".config" / "telemetry" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    repo.change("base")
    telemetry.start("--event-id", "run", cwd=repo.path)
    olds = [repo.change("a"), repo.change("b")]
    telemetry("run", "end", "run")
    config.write_text('[git_hooks]\nrecord = "always"\n')
    edited(repo, "1s/pick/edit/", "HEAD~2")
    repo("commit", "--quiet", "--amend", "-m", "looked at")
    assert [row["superseded_by"] for row in telemetry("commits", "run", "--json").json] == [
        None,
        None,
    ]
    repo("rebase", "--abort")
    assert [repo.runs_of(sha) for sha in olds] == [["run"], ["run"]]


# What git replays


def calls(repo: Repository, tmp_path: Path, shell: str) -> Path:
    """Let the hooks call a program that notes what it is called with, by this shell; returns the notes."""
    notes = tmp_path / "calls"
    notes.touch()
    program = tmp_path / "telemetry"
    program.write_text(f'#!/bin/sh\necho "$3" >>"{notes}"\n')
    program.chmod(0o755)
    for path in (repo.path / ".git/hooks").glob("post-*"):
        if not path.name.endswith(".sample"):
            path.write_text(
                path.read_text()
                .replace(str(PROGRAM), str(program))
                .replace("#!/bin/sh", f"#!/usr/bin/env -S {shell}")
            )
    return notes


@pytest.fixture
def topic(repo: Repository) -> Repository:
    """A topic of four commits and a merge; `main` has moved on."""
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    for name in "abc":
        repo.change(name)
    repo("checkout", "--quiet", "-b", "side", "HEAD~1")
    repo.change("side")
    repo("checkout", "--quiet", "topic")
    repo("merge", "--quiet", "--no-edit", "side")
    repo("checkout", "--quiet", "main")
    repo.change("ahead")
    repo("checkout", "--quiet", "topic")
    return repo


REPLAYS: dict[str, list[str]] = {
    "merge backend": ["rebase", "main"],
    "options of git's own": ["--no-pager", "rebase", "main"],
    "apply backend": ["rebase", "--apply", "main"],
    "merges": ["rebase", "--rebase-merges", "main"],
    "pull": ["pull", "--quiet", "--rebase", ".", "main"],
    "steps": [
        "-c",
        "sequence.editor=sed -i -e 1s/pick/reword/ -e 2s/pick/squash/ -e 3s/pick/fixup/",
        "-c",
        "core.editor=true",
        "rebase",
        "-i",
        "main",
    ],
}


@pytest.mark.parametrize("how", REPLAYS)
@pytest.mark.parametrize("shell", ["sh", "bash -e"])
def test_replays_start_no_program_and_a_persons_commit_does(
    how: str, shell: str, topic: Repository, tmp_path: Path
) -> None:
    notes = calls(topic, tmp_path, shell)
    before = topic("rev-parse", "HEAD")
    assert topic.ran(*REPLAYS[how]).returncode == 0
    assert topic("rev-parse", "HEAD") != before
    # Rewords and squashes are amends, and the end of the rebase tells of them too.
    assert notes.read_text().split() == ["post-rewrite"]
    topic.change("by hand")
    topic("commit", "--quiet", "--amend", "-m", "better")
    assert notes.read_text().split() == ["post-rewrite", *["post-commit"] * 2, "post-rewrite"]


def test_amend_by_hand_at_a_stop_starts_the_program(topic: Repository, tmp_path: Path) -> None:
    notes = calls(topic, tmp_path, "sh")
    edited(topic, "1s/pick/edit/", "main")
    assert notes.read_text().split() == []
    topic("commit", "--quiet", "--amend", "-m", "better")
    assert notes.read_text().split() == ["post-commit", "post-rewrite"]


@pytest.mark.parametrize("step", ["reword", "squash", "fixup", "edit"])
def test_commit_that_a_step_amends_keeps_its_run(
    step: str, open_run: str, repo: Repository, telemetry: Telemetry
) -> None:
    olds = [repo.change(name) for name in "abc"]
    telemetry("run", "end", open_run)
    edited(repo, f"-e 2s/pick/{step}/ -e '1s/$/ x/'", "--force-rebase", "HEAD~3")
    if step == "edit":
        repo("commit", "--quiet", "--amend", "-m", "better")
        repo("-c", "core.editor=true", "rebase", "--continue")
    assert [repo.runs_of(sha) for sha in (*olds, "HEAD", "HEAD~1")] == [[open_run]] * 5


@pytest.mark.parametrize(
    "message", ["commit: fix rebase (pick): x", "rebase (pick): x", "a\tb (pick): x"]
)
def test_a_message_that_reads_like_a_replay_is_none(
    message: str, topic: Repository, tmp_path: Path
) -> None:
    notes = calls(topic, tmp_path, "sh")
    (topic.path / ".git/rebase-merge").mkdir()
    topic.change("by hand", message=message)
    assert notes.read_text().split() == ["post-commit"]


def test_an_earlier_hook_runs_for_replays_too(
    topic: Repository, telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry("git-hooks", "uninstall", cwd=topic.path)
    topic.hook("post-commit", f"#!/bin/sh\necho >>{tmp_path}/ran\nexit 3\n")
    telemetry("git-hooks", "install", cwd=topic.path)
    topic("rebase", "--quiet", "main")
    assert len((tmp_path / "ran").read_text().splitlines()) == 4


@pytest.mark.parametrize("options", [["main"], ["--apply", "main"], ["--rebase-merges", "main"]])
@pytest.mark.parametrize("called", ["by the hook", "by a manager"])
def test_a_rebase_is_no_work_of_the_run_that_is_open(
    options: list[str], called: str, topic: Repository, telemetry: Telemetry
) -> None:
    if called == "by a manager":
        for hook in ("post-commit", "post-applypatch"):
            topic.hook(hook, f"#!/bin/sh\ntelemetry git-hooks fire {hook}\n")
    telemetry.start("--event-id", "rebasing", cwd=topic.path)
    topic("rebase", "--quiet", *options)
    assert telemetry("commits", "rebasing", "--json").json == []


def test_an_octopus_that_a_rebase_makes_again(topic: Repository, telemetry: Telemetry) -> None:
    for name in ("x", "y"):
        topic("checkout", "--quiet", "-b", name, "side")
        topic.change(name)
    topic("checkout", "--quiet", "topic")
    telemetry.start("--event-id", "merging", cwd=topic.path)
    topic("merge", "--quiet", "--no-edit", "x", "y")
    telemetry("run", "end", "merging")
    telemetry.start("--event-id", "rebasing", cwd=topic.path)
    topic("rebase", "--quiet", "--rebase-merges", "main")
    assert len(topic("log", "-1", "--format=%P").split()) == 3
    assert topic.runs_of("HEAD") == ["merging"]


def test_where_no_reflog_is_kept_a_branch_tells(
    open_run: str, repo: Repository, telemetry: Telemetry
) -> None:
    repo("config", "core.logAllRefUpdates", "false")
    subprocess.run(["rm", "-r", str(repo.path / ".git/logs")], check=True)
    conflict(repo)
    repo.change("clean")
    telemetry("run", "end", open_run)
    telemetry.start("--event-id", "rebasing", cwd=repo.path)
    repo("rebase", "--quiet", "--onto", "main", "HEAD~1")
    assert repo.runs_of("HEAD") == [open_run]
    (repo.path / ".git/rebase-merge").mkdir()
    repo.change("work")
    assert repo.runs_of("HEAD") == ["rebasing"]


@pytest.fixture
def rebasing(topic: Repository, telemetry: Telemetry) -> Repository:
    """The topic without a reflog. Its commits belong to the run `topic`; the run `rebasing` is open.

    The commit `conflict`, the last one, changes what `main` has changed.
    """
    topic("config", "core.logAllRefUpdates", "false")
    subprocess.run(["rm", "-r", str(topic.path / ".git/logs")], check=True)
    topic("reset", "--quiet", "--hard", "HEAD^")
    telemetry.start("--event-id", "topic", cwd=topic.path)
    topic("commit", "--quiet", "--amend", "-m", "c")
    topic.change("ahead", "other\n")
    telemetry("run", "end", "topic")
    telemetry.start("--event-id", "rebasing", cwd=topic.path)
    return topic


@pytest.mark.parametrize("backend", ["--merge", "--apply"])
def test_without_reflog_a_commit_at_a_conflict_has_the_open_run(
    backend: str, rebasing: Repository
) -> None:
    rebasing("rebase", "--quiet", backend, "main", check=False)
    rebasing.change("ahead", "both\n")
    assert rebasing.runs_of("HEAD") == ["rebasing"]
    rebasing.change("more")
    assert rebasing.runs_of("HEAD") == ["rebasing"]


def test_without_reflog_a_continued_conflict_keeps_its_run(rebasing: Repository) -> None:
    rebasing("rebase", "--quiet", "main", check=False)
    (rebasing.path / "ahead").write_text("both\n")
    rebasing("add", "ahead")
    rebasing("-c", "core.editor=true", "rebase", "--continue")
    assert [rebasing.runs_of(revision) for revision in ("HEAD", "HEAD~1")] == [["topic"]] * 2


@pytest.mark.parametrize("stop", ["2abreak", "2ax false"])
def test_without_reflog_a_commit_at_a_stop_has_the_open_run(
    stop: str, rebasing: Repository
) -> None:
    edited(rebasing, f"-e1s/pick/r/ -e'{stop}'", "HEAD~2", check=False)
    rebasing.change("by hand")
    by_hand = rebasing("rev-parse", "HEAD")
    rebasing("-c", "core.editor=true", "rebase", "--continue")
    assert rebasing("rev-parse", "HEAD") == by_hand
    runs = [rebasing.runs_of(revision) for revision in ("HEAD", "HEAD~1", "HEAD~2")]
    assert runs == [["rebasing"], ["topic"], ["topic"]]


@pytest.mark.parametrize("step", ["edit", "e"])
def test_without_reflog_a_commit_at_an_edit_has_the_open_run(
    step: str, rebasing: Repository
) -> None:
    edited(rebasing, f"-e2s/pick/{step}/", "HEAD~2")
    rebasing.change("by hand")
    assert rebasing.runs_of("HEAD") == ["rebasing"]
    assert rebasing.runs_of("HEAD~1") == ["topic"]


def test_without_reflog_an_aborted_amend_supersedes_nothing(
    rebasing: Repository, telemetry: Telemetry
) -> None:
    old = rebasing("rev-parse", "HEAD")
    edited(rebasing, "1s/pick/edit/", "HEAD~1")
    rebasing("commit", "--quiet", "--amend", "-m", "better")
    assert rebasing.runs_of("HEAD") == ["rebasing"]
    rebasing("rebase", "--abort")
    assert rebasing("rev-parse", "HEAD") == old
    rows = telemetry("commits", "topic", "--json").json
    assert {row["superseded_by"] for row in rows if row["commit_hash"] == old} == {None}
    assert telemetry.run("topic")["git_commit_hash"] == old


@pytest.mark.parametrize("step", ["r", "s", "f", "squash", "fixup", "reword", "p"])
def test_without_reflog_steps_of_a_rebase_keep_the_run(step: str, rebasing: Repository) -> None:
    edited(rebasing, f"-e1s/pick/r/ -e2s/pick/{step}/", "HEAD~2")
    assert rebasing.runs_of("HEAD") == ["topic"]


def test_doctor_says_of_a_replayed_commit_what_made_it(
    topic: Repository, telemetry: Telemetry
) -> None:
    topic("rebase", "--quiet", "main")
    found = telemetry("doctor", "--commit", "HEAD~1", "--json", cwd=topic.path, code=1).json
    assert found["reason"] == "rewritten"


# Patches


def test_a_series_that_git_am_applies(
    open_run: str, repo: Repository, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo("checkout", "--quiet", "-b", "patches")
    for name in "ab":
        repo.change(name)
    telemetry("run", "end", open_run)
    telemetry.start("--event-id", "applying", cwd=repo.path)
    repo("format-patch", "--quiet", "-2", "-o", str(tmp_path / "out"))
    repo("checkout", "--quiet", "main")
    repo("am", "--quiet", *sorted(map(str, (tmp_path / "out").iterdir())))
    assert [repo.runs_of(revision) for revision in ("HEAD", "HEAD~1")] == [["applying"]] * 2
    rows = {
        row["hook"]: row["fires"]
        for row in telemetry("git-hooks", "status", "--json", cwd=repo.path).json
    }
    assert rows["post-applypatch"] is True


def test_a_patch_where_the_hook_is_missing_is_noticed(
    bare_repository: Bare, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo = bare_repository()
    repo.change("base")
    repo("checkout", "--quiet", "-b", "patches")
    repo.change("a")
    patch = patch_of(repo, "HEAD", tmp_path)
    repo("checkout", "--quiet", "main")
    telemetry("git-hooks", "install", "--hooks", "post-commit", cwd=repo.path)
    repo("am", "--quiet", patch, env={"GIT_COMMITTER_DATE": "", "GIT_AUTHOR_DATE": ""})
    rows = {
        row["hook"]: (row["installed"], row["fires"])
        for row in telemetry("git-hooks", "status", "--json", cwd=repo.path).json
    }
    assert rows["post-applypatch"] == (False, False)
