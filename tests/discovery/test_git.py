"""Reading git's files gives the answers that GitPython gives, for every way in which git lays a repository out."""

import os
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import git as gitpython
import pytest
from support import Git

from telemetry_cli.discovery.git import repository as discovery

Make = Callable[..., Git]
Answers = dict[str, Any]
LAYOUTS: dict[str, Callable[[Make], Path]] = {}


def layout(build: Callable[[Make], Path]) -> Callable[[Make], Path]:
    """Add a repository to the corpus: it is made by `build`, which returns the folder that is asked about."""
    LAYOUTS[build.__name__] = build
    return build


def ours(path: Path) -> Answers:
    repository = discovery.find(str(path))
    assert repository is not None
    head = discovery.head(repository)
    url, branch = discovery.remote(repository), discovery.branch(repository)
    return {
        "git_dir": os.path.realpath(repository.git_dir),
        "common_dir": os.path.realpath(repository.common_dir),
        "branch": branch,
        "remote": url,
        "sha": head and head.sha,
        "author": head and head.author,
        "timestamp": head and head.timestamp,
    }


def gitpythons(path: Path) -> Answers:
    with gitpython.Repo(path, search_parent_directories=True) as repo:
        urls = {remote.name: next(remote.urls) for remote in repo.remotes}
        commit = repo.head.commit if repo.head.is_valid() else None
        return {
            "git_dir": os.path.realpath(repo.git_dir),
            "common_dir": os.path.realpath(repo.common_dir),
            "branch": None if repo.head.is_detached else repo.active_branch.name,
            "remote": urls.get("origin") or (next(iter(urls.values())) if len(urls) == 1 else None),
            "sha": commit and commit.hexsha,
            "author": commit and f"{commit.author.name} <{commit.author.email}>",
            "timestamp": commit and commit.committed_datetime.astimezone(UTC).isoformat(),
        }


@layout
def loose(make: Make) -> Path:
    git = make()
    git("remote", "add", "origin", "https://github.com/acme/tool.git")
    git.commit()
    return git.path


@layout
def below_the_top(make: Make) -> Path:
    git = make()
    git.commit()
    folder = git.path / "a" / "b"
    folder.mkdir(parents=True)
    return folder


@layout
def refs_packed(make: Make) -> Path:
    git = make()
    for name in ("one", "two"):
        git.commit(name)
        git("tag", name)
        git("branch", f"not/{name}/main")
    git("pack-refs", "--all", "--prune")
    assert not (git.path / ".git/refs/heads/main").exists()
    return git.path


@layout
def packed_ref_behind_a_loose_one(make: Make) -> Path:
    git = make()
    git.commit("packed")
    git("pack-refs", "--all")
    git.commit("loose")
    return git.path


@layout
def objects_packed(make: Make) -> Path:
    git = make()
    git.commit("one")
    git.commit("two")
    git("gc", "--quiet")
    return git.path


@layout
def detached(make: Make) -> Path:
    git = make()
    git.commit("one")
    git.commit("two")
    git("checkout", "--quiet", "HEAD~1")
    return git.path


@layout
def detached_at_a_tag_and_packed(make: Make) -> Path:
    git = make()
    git.commit("one")
    git("tag", "-a", "v1", "-m", "first")
    git("checkout", "--quiet", "v1")
    git("gc", "--quiet")
    return git.path


@layout
def no_commit_yet(make: Make) -> Path:
    return make().path


@layout
def an_orphan_branch(make: Make) -> Path:
    git = make()
    git.commit()
    git("checkout", "--quiet", "--orphan", "gh/pages")
    return git.path


@layout
def branch_with_slashes(make: Make) -> Path:
    git = make()
    git.commit()
    git("checkout", "--quiet", "-b", "feature/deep/er")
    return git.path


@layout
def branch_in_unicode(make: Make) -> Path:
    git = make()
    git.commit()
    git("checkout", "--quiet", "-b", "función/日本-👩\u200d🔬")
    return git.path


@layout
def linked_worktree(make: Make) -> Path:
    git = make()
    git("remote", "add", "origin", "git@github.com:acme/tool.git")
    git.commit()
    git("worktree", "add", "--quiet", "-b", "side", str(git.path.parent / "linked"))
    Git(git.path.parent / "linked", git.path.parent).commit("there")
    return git.path.parent / "linked"


@layout
def linked_worktree_all_packed(make: Make) -> Path:
    path = linked_worktree(make)
    git = Git(path, path.parent)
    git("pack-refs", "--all")
    git("gc", "--quiet")
    return path


@layout
def linked_worktree_detached(make: Make) -> Path:
    git = make()
    git.commit()
    git("worktree", "add", "--quiet", "--detach", str(git.path.parent / "linked"))
    git.commit("the main one moves on")
    return git.path.parent / "linked"


@layout
def submodule(make: Make) -> Path:
    library, git = make("library"), make()
    library.commit("of the library")
    git.commit("of the whole")
    git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(library.path),
        "vendor/library",
    )
    return git.path / "vendor/library"


@layout
def symlinked_git_dir(make: Make) -> Path:
    git = make()
    git.commit()
    (git.path / ".git").rename(git.path.parent / "elsewhere")
    (git.path / ".git").symlink_to(git.path.parent / "elsewhere")
    return git.path


@layout
def separate_git_dir(make: Make) -> Path:
    git = make("work", f"--separate-git-dir={make('other').path.parent / 'separate'}")
    git.commit()
    return git.path


@layout
def symlink_into_a_submodule(make: Make) -> Path:
    path = submodule(make)
    link = path.parents[2] / "shortcut"
    link.symlink_to(path)
    return link


@layout
def objects_borrowed_from_another(make: Make) -> Path:
    library = make("library")
    library.commit()
    library("clone", "--quiet", "--shared", str(library.path), str(library.path.parent / "clone"))
    return library.path.parent / "clone"


@layout
def shallow(make: Make) -> Path:
    library = make("library")
    library.commit("one")
    library.commit("two")
    library(
        "clone",
        "--quiet",
        "--depth=1",
        f"file://{library.path}",
        str(library.path.parent / "clone"),
    )
    return library.path.parent / "clone"


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_same_answers_as_gitpython(name: str, make_git: Make) -> None:
    path = LAYOUTS[name](make_git)
    assert ours(path) == gitpythons(
        path.resolve()
    )  # GitPython does not find a submodule through a symlink; git does


@pytest.mark.parametrize("packed", [False, True])
def test_sha256_repository(packed: bool, make_git: Make) -> None:
    """GitPython knows no SHA-256; git is asked instead."""
    git = make_git("repository", "--object-format=sha256")
    sha = git.commit()
    if packed:
        git("gc", "--quiet")
        git("pack-refs", "--all")
    assert len(sha) == 64
    answers = ours(git.path)
    assert (answers["sha"], answers["branch"]) == (sha, "main")
    assert (
        answers["author"]
        == git("cat-file", "commit", "HEAD")
        .splitlines()[1]
        .removeprefix("author ")
        .rpartition(" ")[0]
        .rpartition(" ")[0]
    )
    assert answers["timestamp"] == "2026-01-02T01:04:05+00:00"


def test_head_that_is_a_symlink(make_git: Make) -> None:
    """As core.preferSymlinkRefs, and git long ago, makes it."""
    git = make_git()
    git("config", "core.preferSymlinkRefs", "true")
    git.commit()
    git("checkout", "--quiet", "-b", "linked")
    git("symbolic-ref", "HEAD", "refs/heads/linked")
    assert (git.path / ".git/HEAD").is_symlink()
    assert (ours(git.path)["branch"], ours(git.path)["sha"]) == (
        git("symbolic-ref", "--short", "HEAD"),
        git("rev-parse", "HEAD"),
    )


@pytest.mark.parametrize(
    ("url", "branch", "tag"),
    [
        ("git@github.com:acme/tool.git", "feature/x", "tool/feature/x"),
        ("/srv/git/tool.git/", "main", "tool/main"),
        (None, "main", "repository/main"),
    ],
)
def test_run_tag_is_name_and_branch(url: str | None, branch: str, tag: str, make_git: Make) -> None:
    repository = discovery.find(str(make_git().path))
    assert repository
    assert discovery.run_tag(repository, url, branch) == tag
    assert discovery.run_tag(repository, url, None) is None
