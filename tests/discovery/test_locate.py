"""A repository is found where git finds it, is called by its own name, and one of somebody else's is called that."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import PROGRAM, Git, Telemetry

from telemetry_cli.discovery.git import repository as discovery

Make = Callable[..., Git]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to somebody else needs root")


def gits(directory: Path) -> str | None:
    """The git directory that git finds from a directory, with this test's environment."""
    done = subprocess.run(
        ["git", "rev-parse", "--absolute-git-dir"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return os.path.realpath(done.stdout.strip()) if done.returncode == 0 else None


def ours(directory: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.chdir(directory)
    around, named = discovery.find(None), discovery.find(str(directory))
    assert (around and around.git_dir) == (named and named.git_dir)
    return os.path.realpath(around.git_dir) if around else None


# Ceilings

#: What `GIT_CEILING_DIRECTORIES` may say, with `{home}` for the repository, and whether git then finds it from `home/work/plain`.
CEILINGS = {
    "": True,
    "{home}": False,
    "{home}/": False,
    "{home}/work": False,
    "{home}/work/plain": True,
    "{home}/..": True,
    "{home}/../home": False,
    "/": True,
    "/nowhere:{home}": False,
    "home:../..": True,
    "{link}": False,
    ":{link}": True,
    ":{home}": False,
    "{link}::": False,
    "/nowhere::{link}": True,
    "{home}/work/plai": True,
}


@pytest.mark.parametrize("ceilings", CEILINGS)
def test_search_stops_at_ceilings_as_gits_does(
    ceilings: str, make_git: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = make_git("home").path
    plain = home / "work" / "plain"
    plain.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv(
        "GIT_CEILING_DIRECTORIES", ceilings.format(home=home, link=tmp_path / "link")
    )
    for directory in (home, home / "work", plain):
        assert ours(directory, monkeypatch) == gits(directory)
    assert (gits(plain) is not None) is CEILINGS[ceilings]


def test_run_below_a_ceiling_has_no_repository(telemetry: Telemetry, make_git: Make) -> None:
    git = make_git()
    (git.path / "below").mkdir()
    run = telemetry.run(
        telemetry.start(cwd=git.path / "below", env={"GIT_CEILING_DIRECTORIES": str(git.path)})
    )
    assert [run[name] for name in ("git_repo", "git_branch", "git_run_tag", "git_dir")] == [
        None
    ] * 4


# Mount points


@pytest.mark.parametrize(
    ("across", "is_found"),
    [("", False), ("0", False), ("false", False), ("1", True), ("true", True)],
)
def test_search_stops_at_a_mount_point(
    across: str, is_found: bool, telemetry: Telemetry, make_git: Make
) -> None:
    git = make_git()
    (git.path / "mounted").mkdir()
    script = 'mount -t tmpfs none mounted && cd mounted && mkdir below && cd below || exit 77; "$@" || exit; git rev-parse --git-dir >&2'
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        str(PROGRAM),
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
    ]
    if not shutil.which("unshare"):
        pytest.skip("no unshare here")
    done = subprocess.run(
        command,
        cwd=git.path,
        env=telemetry.env | {"GIT_DISCOVERY_ACROSS_FILESYSTEM": across},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert (str(git.path / ".git") in done.stderr) is is_found
    assert telemetry.run(done.stdout.strip())["git_dir"] == (
        str(git.path / ".git") if is_found else None
    )


# .git files


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", "\n\r\n"])
@pytest.mark.parametrize("is_absolute", [True, False])
def test_line_end_of_a_git_file_does_not_matter(
    end: str, is_absolute: bool, make_git: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = make_git()
    git.commit()
    linked = git.path.parent / "linked"
    git("worktree", "add", "--quiet", "-b", "side", str(linked))
    target = git.path / ".git/worktrees/linked"
    (linked / ".git").write_bytes(
        f"gitdir: {target if is_absolute else os.path.relpath(target, linked)}{end}".encode()
    )
    (target / "commondir").write_bytes(f"../..{end}".encode())
    (target / "HEAD").write_bytes(f"ref: refs/heads/side{end}".encode())
    assert ours(linked, monkeypatch) == gits(linked) == str(target)
    repository = discovery.find(None)
    assert repository
    assert (repository.common_dir, discovery.branch(repository)) == (str(git.path / ".git"), "side")


# Names


def layout(make: Make, git_dir: str, *, pointer: bool) -> Path:
    """A work tree beside its bare repository at `shop/GIT_DIR`; with a `.git` file in `shop` or without."""
    bare = make(f"shop/{git_dir}", "--bare")
    tree = bare("hash-object", "-t", "tree", "-w", os.devnull)
    bare("update-ref", "refs/heads/main", bare("commit-tree", "-m", "base", tree))
    if pointer:
        (bare.path.parent / ".git").write_text(f"gitdir: ./{git_dir}\n")
    bare("worktree", "add", "--quiet", str(bare.path.parent / "trunk"), "main")
    return bare.path.parent / "trunk"


@pytest.mark.parametrize(
    ("git_dir", "pointer", "name"),
    [
        (".bare", True, "shop"),
        (".bare", False, "shop"),
        (".git", False, "shop"),
        ("bare", True, "shop"),
        ("repo.git", True, "shop"),
        ("repo.git", False, "repo"),
    ],
)
def test_repository_beside_its_work_trees_is_called_by_its_directory(
    git_dir: str, pointer: bool, name: str, make_git: Make, telemetry: Telemetry
) -> None:
    trunk = layout(make_git, git_dir, pointer=pointer)
    run = telemetry.run(telemetry.start(cwd=trunk))
    assert (run["git_run_tag"], run["git_dir"]) == (
        f"{name}/main",
        str(trunk.parent / git_dir / "worktrees/trunk"),
    )


# Somebody else's


@pytest.fixture
def foreign(make_git: Make) -> Git:
    """A repository of somebody else's."""
    git = make_git()
    git.commit()
    for folder, _, files in os.walk(git.path):
        for name in (folder, *(os.path.join(folder, file) for file in files)):
            os.lchown(name, 12345, 12345)
    return git


@as_root
@pytest.mark.parametrize(
    "argv",
    [
        ("associate-commit", "known"),
        ("associate-commit", "known", "--commit", "HEAD"),
        ("associate-commit", "known", "--repo", "."),
        ("log",),
        ("blame", "file"),
        ("commits", "relink"),
        ("query", "--commit", "HEAD~1..HEAD"),
        ("query", "--repo", "."),
        ("git-hooks", "install"),
        ("git-hooks", "status"),
        ("git-hooks", "uninstall", "--repo", "."),
        ("doctor", "--commit", "HEAD"),
    ],
)
def test_repository_of_somebody_else_is_called_that(
    argv: tuple[str, ...], telemetry: Telemetry, foreign: Git
) -> None:
    telemetry.start("--event-id", "known", "--no-git")
    (foreign.path / "file").write_text("")
    err = telemetry(*argv, cwd=foreign.path, code=2).err
    assert (
        f"the repository {foreign.path} belongs to uid 12345, and git does not read it for root"
        in err
    )
    assert f"git config --global --add safe.directory {foreign.path}" in err


@as_root
def test_doctor_tells_of_a_repository_that_is_not_read(telemetry: Telemetry, foreign: Git) -> None:
    telemetry.start("--no-git")
    assert "belongs to uid 12345" in telemetry("doctor", cwd=foreign.path).out
    explained = telemetry(
        "doctor", "--commit", "0123456", "-o", "json", cwd=foreign.path, code=1
    ).json
    assert "belongs to uid 12345" in explained["explanation"]
    (telemetry.home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {foreign.path}\n")
    assert "belongs to" not in telemetry("doctor", cwd=foreign.path).out


@as_root
def test_literal_sha_needs_no_repository_of_ours(telemetry: Telemetry, foreign: Git) -> None:
    telemetry.start("--event-id", "known", "--no-git")
    telemetry("associate-commit", "known", "--commit", "0123456", cwd=foreign.path)
    assert telemetry.run("known")["git_commit_hash"] == "0123456"
