"""What `run start` records of the repository that it is called in."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Git, Telemetry

Make = Callable[..., Git]
FIELDS = ("git_repo", "git_branch", "git_run_tag", "git_dir")


def started(
    telemetry: Telemetry, cwd: Path, *options: str, env: dict[str, str] | None = None
) -> tuple[object, ...]:
    run = telemetry.run(telemetry.start(*options, cwd=cwd, env=env))
    return tuple(run[name] for name in FIELDS)


@pytest.fixture
def git(make_git: Make) -> Git:
    git = make_git()
    git("remote", "add", "origin", "https://ada:secret@github.com/acme/tool.git")
    git.commit()
    git("checkout", "--quiet", "-b", "feature/x")
    return git


def test_all_four(telemetry: Telemetry, git: Git) -> None:
    (git.path / "below").mkdir()
    expected = (
        "https://github.com/acme/tool.git",
        "feature/x",
        "tool/feature/x",
        str(git.path / ".git"),
    )
    assert started(telemetry, git.path) == expected
    assert started(telemetry, git.path / "below") == expected


def test_no_git(telemetry: Telemetry, git: Git) -> None:
    assert started(telemetry, git.path, "--no-git") == (None,) * 4
    assert started(telemetry, telemetry.cwd) == (None,) * 4


def test_options_win(telemetry: Telemetry, git: Git) -> None:
    options = (
        "--git-repo",
        "https://bob:secret@gitlab.com/a/b.git",
        "--git-branch",
        "mine",
        "--git-run-tag",
        "b/mine",
    )
    assert started(telemetry, git.path, *options) == (
        "https://gitlab.com/a/b.git",
        "mine",
        "b/mine",
        str(git.path / ".git"),
    )
    assert started(telemetry, git.path, "--no-git", *options) == (
        "https://gitlab.com/a/b.git",
        "mine",
        "b/mine",
        None,
    )


def test_several_remotes_without_origin(telemetry: Telemetry, git: Git) -> None:
    git("remote", "rename", "origin", "one")
    assert started(telemetry, git.path)[0] == "https://github.com/acme/tool.git"
    git("remote", "add", "two", "https://github.com/acme/other.git")
    assert started(telemetry, git.path)[:3] == (None, "feature/x", "repository/feature/x")


def test_detached_and_unborn(telemetry: Telemetry, git: Git, make_git: Make) -> None:
    git("checkout", "--quiet", "--detach")
    assert started(telemetry, git.path)[1:3] == (None, None)
    assert started(telemetry, make_git("empty").path)[:3] == (None, "main", "empty/main")


def test_linked_worktree_within_a_hook_of_another(
    telemetry: Telemetry, git: Git, make_git: Make
) -> None:
    """git_dir is the worktree's own; what the hook's git exports is about the other repository."""
    git("worktree", "add", "--quiet", "-b", "side", str(git.path.parent / "linked"))
    other = make_git("other")
    environment = {
        "GIT_DIR": str(other.path / ".git"),
        "GIT_INDEX_FILE": str(other.path / ".git/index"),
    }
    seen = started(telemetry, git.path.parent / "linked", env=environment)
    assert seen == (
        "https://github.com/acme/tool.git",
        "side",
        "tool/side",
        str(git.path / ".git/worktrees/linked"),
    )


@pytest.mark.parametrize("named", ["absolutely", "relatively", "by its config"])
@pytest.mark.parametrize("around", [None, ".", "below"])
def test_work_tree_apart_from_its_repository(
    named: str, around: str | None, telemetry: Telemetry, make_git: Make, tmp_path: Path
) -> None:
    """As people keep their dot files; `around`: where in the work tree another repository lies."""
    home = tmp_path / "dots"
    below = home / "below"
    if around:
        make_git(f"dots/{around}")
    below.mkdir(parents=True, exist_ok=True)
    dots = make_git("dots/.cfg", "--bare")
    cwd, env = below, {"GIT_DIR": str(dots.path), "GIT_WORK_TREE": str(home)}
    if named == "relatively":
        cwd, env = home, {"GIT_DIR": ".cfg", "GIT_WORK_TREE": "."}
    elif named == "by its config":
        del env["GIT_WORK_TREE"]
    # Without a work tree that is named, a repository that we stand in counts more.
    is_other = named == "by its config" and around is not None
    seen = started(telemetry, cwd, env=env)[3]
    assert seen == (str((home / str(around) / ".git").resolve()) if is_other else str(dots.path))
    outside = started(telemetry, make_git("other").path, env=env)[3]
    if named != "relatively":
        assert outside == str(tmp_path / "other/.git")


@pytest.mark.parametrize(
    "name", ["main-\u00fcml\u00e4ut", "a\u3000b", "\ue0b0-powerline", "x\u00adsoft"]
)
def test_any_branch_that_is_text_is_recorded(name: str, telemetry: Telemetry, git: Git) -> None:
    git("checkout", "--quiet", "-b", name)
    assert started(telemetry, git.path)[1:3] == (name, f"tool/{name}")


def test_a_branch_that_is_no_text_is_null(telemetry: Telemetry, git: Git) -> None:
    (git.path / ".git/HEAD").write_bytes(b"ref: refs/heads/latin-\xe9\n")
    assert started(telemetry, git.path)[:3] == ("https://github.com/acme/tool.git", None, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to somebody else needs root")
def test_somebody_elses_repository_is_null_and_the_run_recorded(
    telemetry: Telemetry, git: Git
) -> None:
    os.chown(git.path / ".git", 12345, 12345)
    assert started(telemetry, git.path) == (None,) * 4
    (telemetry.home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {git.path}\n")
    assert started(telemetry, git.path)[1] == "feature/x"


def test_without_git_and_without_a_folder(telemetry: Telemetry, git: Git) -> None:
    assert started(telemetry, git.path, env={"PATH": os.devnull})[:2] == (
        "https://github.com/acme/tool.git",
        "feature/x",
    )
    gone = git.path / "gone"
    gone.mkdir()
    program = telemetry.popen(
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
        "--event-id",
        "from-nowhere",
        cwd=gone,
        preexec_fn=gone.rmdir,
    )
    assert program.wait(60) == 0
    run = telemetry.run("from-nowhere")
    assert [run[name] for name in FIELDS] == [None] * 4
