"""Where the repository cannot be had, or git cannot: null, quickly, and never another repository's answer."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import Git, Telemetry

from telemetry_cli.discovery.git import repository as discovery

Make = Callable[..., Git]
#: One deadline of a second, and half a second for a machine that is busy with other tests.
SECONDS = 1.5
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to somebody else needs root")


@pytest.fixture
def quickly() -> Iterator[None]:
    """The test fails, rather than hangs, when it takes longer than `SECONDS`; and when it uses memory without end."""

    def too_late(*_: object) -> None:
        raise AssertionError(f"not done after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, too_late)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 31, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def git_dir(path: Path) -> str | None:
    repository = discovery.find(str(path))
    return repository.git_dir if repository else None


# Bare


def test_bare_only_when_named(make_git: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    git = make_git("bare.git", "--bare")
    git("remote", "add", "origin", "https://h/a")
    monkeypatch.chdir(git.path)
    assert discovery.find(None) is None
    assert git_dir(git.path / "refs") is None
    repository = discovery.find(str(git.path))
    assert repository
    assert (repository.git_dir, repository.work_tree) == (str(git.path), None)
    assert (
        discovery.branch(repository),
        discovery.remote(repository),
        discovery.head(repository),
    ) == ("main", "https://h/a", None)


def test_bare_commits(make_git: Make) -> None:
    source = make_git("source")
    shas = [source.commit("one"), source.commit("two")]
    source("clone", "--quiet", "--bare", str(source.path), str(source.path.parent / "bare.git"))
    repository = discovery.find(str(source.path.parent / "bare.git"))
    assert repository
    found = [discovery.look_up(repository, "HEAD~1")[0], discovery.head(repository)]
    assert [commit and commit.sha for commit in found] == shas


def test_bare_inside_a_work_tree_is_not_found_around_us(
    make_git: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = make_git()
    inner = make_git("repository/inner.git", "--bare")
    monkeypatch.chdir(inner.path / "refs")
    repository = discovery.find(None)
    assert repository
    assert repository.git_dir == str(outer.path / ".git")


# The environment of a hook


def test_another_repository_in_the_environment(
    make_git: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook of a linked worktree, which git runs with GIT_DIR and GIT_INDEX_FILE set."""
    here, other = make_git("here"), make_git("other")
    here("remote", "add", "origin", "https://h/here")
    here("config", "include.path", "nothing")  # so that git is asked
    shas = [here.commit("one"), here.commit("two")]
    other.commit("other")
    for name, value in {
        "GIT_DIR": ".git",
        "GIT_WORK_TREE": "",
        "GIT_INDEX_FILE": ".git/index",
        "GIT_OBJECT_DIRECTORY": ".git/objects",
        "GIT_COMMON_DIR": ".git",
    }.items():
        monkeypatch.setenv(name, str(other.path / value))
    repository = discovery.find(str(here.path))
    assert repository
    assert repository.git_dir == str(here.path / ".git")
    assert discovery.remote(repository) == "https://h/here"
    found = [discovery.look_up(repository, "HEAD~1")[0], discovery.head(repository)]
    assert [commit and commit.sha for commit in found] == shas


def test_settings_of_the_environment_do_not_name_a_repository(
    make_git: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = make_git()
    sha = git.commit()
    git("gc", "--quiet")
    monkeypatch.setenv("GIT_NAMESPACE", "elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(git.path.parent))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
    repository = discovery.find(str(git.path))
    assert repository
    head = discovery.head(repository)
    assert head
    assert (head.sha, head.author) == (sha, "Ada Lovelace <ada@example.org>")


# Somebody else's


def give_away(path: Path) -> None:
    for folder, _, files in os.walk(path):
        for name in (folder, *(os.path.join(folder, file) for file in files)):
            os.lchown(name, 12345, 12345)


@as_root
def test_foreign_owner_is_refused_as_git_does(make_git: Make) -> None:
    git = make_git()
    git.commit()
    give_away(git.path)
    assert git("rev-parse", "--git-dir", check=False) == ""
    assert git_dir(git.path) is None


@as_root
def test_foreign_owner_inside_our_own_is_not_taken_for_ours(make_git: Make) -> None:
    make_git("outer")
    inner = make_git("outer/inner")
    give_away(inner.path)
    assert git_dir(inner.path) is None


@as_root
@pytest.mark.parametrize("part", [".git", "."])
def test_foreign_parts(part: str, make_git: Make) -> None:
    git = make_git()
    os.chown(git.path / part, 12345, 12345)
    assert git_dir(git.path) is None


@as_root
@pytest.mark.parametrize("bare", [False, True])
def test_foreign_owner_that_the_user_trusts(bare: bool, make_git: Make, tmp_path: Path) -> None:
    git = make_git("repository", *["--bare"][: int(bare)])
    give_away(git.path)
    assert git_dir(git.path) is None
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {git.path}\n")
    assert git_dir(git.path) == str(git.path if bare else git.path / ".git")


@as_root
def test_foreign_owner_without_git(make_git: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    git = make_git()
    give_away(git.path)
    monkeypatch.setenv("PATH", os.devnull)
    assert git_dir(git.path) is None


# Files that are not what they should be


@pytest.mark.parametrize(
    "content",
    ["gitdir: nowhere\n", "gitdir: /nonexistent/.git/worktrees/x\n", "nonsense", "gitdir:", ""],
)
def test_git_file_that_points_nowhere(content: str, make_git: Make) -> None:
    """git refuses such a folder; the repository around it is another one."""
    outer = make_git()
    (outer.path / "inner").mkdir()
    (outer.path / "inner/.git").write_text(content)
    assert Git(outer.path / "inner", outer.path.parent)("rev-parse", "--git-dir", check=False) == ""
    assert git_dir(outer.path / "inner") is None


def test_pruned_worktree(make_git: Make) -> None:
    git = make_git()
    git.commit()
    git("worktree", "add", "--quiet", str(git.path.parent / "linked"))
    shutil.rmtree(git.path / ".git/worktrees/linked")
    assert git_dir(git.path.parent / "linked") is None


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"ref: \n", b"\0" * 100])
def test_head_that_is_damaged(content: bytes, make_git: Make) -> None:
    git = make_git()
    git.commit()
    (git.path / ".git/HEAD").write_bytes(content)
    assert git("rev-parse", "--git-dir", check=False) == ""
    assert git_dir(git.path) is None


@pytest.mark.parametrize(
    "name", ["HEAD", "config", "commondir", "packed-refs", "refs/heads/main", "objects"]
)
def test_fifo(name: str, make_git: Make, request: pytest.FixtureRequest) -> None:
    """A FIFO blocks whoever opens it for reading."""
    git = make_git()
    sha = git.commit()
    path = git.path / ".git" / (f"objects/{sha[:2]}/{sha[2:]}" if name == "objects" else name)
    if name == "packed-refs":
        (git.path / ".git/refs/heads/main").unlink()
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    request.getfixturevalue("quickly")
    repository = discovery.find(str(git.path))
    if repository:
        assert discovery.branch(repository) == "main"
        assert discovery.remote(repository) is None
        head = discovery.head(repository)
        assert head is None or head.sha == sha


def test_git_fifo(make_git: Make) -> None:
    git = make_git()
    (git.path / "inner").mkdir()
    os.mkfifo(git.path / "inner/.git")
    assert git_dir(git.path / "inner") == str(git.path / ".git")


@pytest.mark.parametrize("name", ["config", "packed-refs"])
def test_endless_file(name: str, make_git: Make, request: pytest.FixtureRequest) -> None:
    git = make_git()
    git.commit()
    (git.path / ".git/refs/heads/main").unlink()
    (git.path / ".git" / name).unlink(missing_ok=True)
    (git.path / ".git" / name).symlink_to("/dev/zero")
    request.getfixturevalue("quickly")
    repository = discovery.find(str(git.path))
    assert repository
    assert (
        discovery.branch(repository),
        discovery.remote(repository),
        discovery.head(repository),
    ) == ("main", None, None)


def test_refs_that_go_round(make_git: Make) -> None:
    git = make_git()
    (git.path / ".git/HEAD").write_text("ref: refs/heads/a\n")
    (git.path / ".git/refs/heads/a").write_text("ref: refs/heads/b\n")
    (git.path / ".git/refs/heads/b").write_text("ref: refs/heads/a\n")
    repository = discovery.find(str(git.path))
    assert repository
    assert (discovery.branch(repository), discovery.head(repository)) == ("a", None)


def test_ref_that_leaves_the_repository(make_git: Make) -> None:
    git = make_git()
    (git.path / "secret").write_text("a" * 40)
    (git.path / ".git/HEAD").write_text("ref: refs/heads/../../../secret\n")
    repository = discovery.find(str(git.path))
    assert repository is None or discovery.head(repository) is None


# A git that hangs


@pytest.fixture(
    params=["exec sleep 60", "exec >&-; exec sleep 60", "sleep 60 & wait"],
    ids=["sleeps", "closes stdout and sleeps", "leaves a child"],
)
def hanging(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH whose first git does not come to an end."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f"#!/bin/sh\n{request.param}\n")
    (tmp_path / "bin/git").chmod(0o755)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"


def asked_of_git(git: Git) -> None:
    """Give a repository something that only git can tell: an include, packed commits."""
    git.commit("one")
    git.commit("two")
    git("config", "include.path", "nothing")
    git("gc", "--quiet")
    git("pack-refs", "--all")


def test_hanging_git_is_left_after_a_second(
    hanging: str, make_git: Make, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    git = make_git()
    asked_of_git(git)
    request.getfixturevalue("quickly")
    monkeypatch.setenv("PATH", hanging)
    repository = discovery.find(str(git.path))
    assert repository
    assert discovery.remote(repository) is None


@pytest.mark.parametrize(
    "command",
    [
        ["run", "start", "--agent-name", "a", "--job-type", "j"],
        ["associate-commit", "EVENT"],
        ["associate-commit", "EVENT", "--commit", "0123456789abcdef"],
    ],
)
def test_hanging_git_delays_a_command_by_one_deadline(
    hanging: str, command: list[str], telemetry: Telemetry, make_git: Make
) -> None:
    git = make_git()
    asked_of_git(git)
    event = telemetry.start("--no-git")
    program = telemetry.popen(
        *(event if word == "EVENT" else word for word in command),
        cwd=git.path,
        env={"PATH": hanging},
        stdout=subprocess.DEVNULL,
    )
    try:
        assert program.wait(SECONDS + 0.5) == 0
    finally:
        program.kill()
        program.wait()


def test_no_folder_to_be_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert discovery.find(None) is None
    assert discovery.find("relative") is None
    monkeypatch.chdir(tmp_path)
    assert discovery.find("/nonexistent/folder") is None
    assert discovery.find("nul\0") is None
