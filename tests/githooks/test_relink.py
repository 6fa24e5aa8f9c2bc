"""commits relink: what took the place of commits where git reported nothing."""

from pathlib import Path
from typing import Any

import pytest
from repositories import Repository
from support import Telemetry


def start(repo: Repository, telemetry: Telemetry, name: str) -> None:
    telemetry.start("--event-id", name, cwd=repo.path)


def commit_as(repo: Repository, telemetry: Telemetry, name: str, file: str | None = None, text: str | None = None) -> str:
    """A commit of a run of its own."""
    start(repo, telemetry, name)
    sha: str = repo.change(file or name, text)
    telemetry("run", "end", name)
    return sha


def relinked(repo: Repository, telemetry: Telemetry, *argv: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = telemetry("commits", "relink", *argv, "--json", cwd=repo.path).json
    return rows


@pytest.fixture
def topic(repo: Repository, telemetry: Telemetry) -> list[str]:
    """Three commits on `topic`, each of a run of its own; `main` is checked out."""
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    shas = [commit_as(repo, telemetry, name) for name in "abc"]
    repo("checkout", "--quiet", "main")
    return shas


def server(repo: Repository, tmp_path: Path) -> Repository:
    """A clone without hooks: what a server does, nobody reports."""
    repo("clone", "--quiet", str(repo.path), str(tmp_path / "server"))
    clone = type(repo)(tmp_path / "server", repo.telemetry)
    clone("fetch", "--quiet", "origin", "topic:topic")
    return clone


@pytest.mark.parametrize("ahead", [False, True], ids=["same tree", "main has moved on"])
def test_a_squash_on_a_server(ahead: bool, repo: Repository, telemetry: Telemetry, topic: list[str], tmp_path: Path) -> None:
    clone = server(repo, tmp_path)
    if ahead:
        clone.change("ahead")
    clone("merge", "--quiet", "--squash", "topic")
    clone("commit", "--quiet", "-m", "squashed (#1)")
    repo("pull", "--quiet", "--ff-only", str(clone.path), "main")
    squashed = repo("rev-parse", "HEAD")
    assert repo.runs_of("HEAD") == []
    dry = relinked(repo, telemetry, "--dry-run")
    assert repo.runs_of("HEAD") == []
    rows = relinked(repo, telemetry)
    assert rows == dry
    (row,) = rows
    assert (row["commit_hash"], row["status"], row["by"], set(row["replaces"])) == (squashed, "linked", "patch", set(topic))
    assert repo.runs_of("HEAD") == ["a", "b", "c"]
    assert [repo.runs_of(sha) for sha in topic] == [["a"], ["b"], ["c"]]
    assert {telemetry.run(name)["git_commit_hash"] for name in "abc"} == {squashed}
    # Once linked, there is nothing left to link.
    assert relinked(repo, telemetry) == []


@pytest.mark.parametrize("stacked", [False, True], ids=["beside", "stacked"])
def test_a_squash_that_others_stand_upon(stacked: bool, repo: Repository, telemetry: Telemetry, topic: list[str]) -> None:
    """A branch that goes on from the squash, and is not merged yet, says nothing against it."""
    if stacked:
        repo("checkout", "--quiet", "-b", "next", "topic")
        commit_as(repo, telemetry, "next")
        repo("checkout", "--quiet", "main")
    repo("merge", "--quiet", "--squash", "topic")
    repo("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "squashed")
    squashed = repo("rev-parse", "HEAD")
    if stacked:
        repo("rebase", "--quiet", "--onto", "main", "topic", "next")
    else:
        repo("checkout", "--quiet", "-b", "next")
        commit_as(repo, telemetry, "next")
    repo("checkout", "--quiet", "main")
    rows = relinked(repo, telemetry)
    assert [(row["commit_hash"], set(row["replaces"])) for row in rows if row["status"] == "linked"] == [(squashed, set(topic))]
    assert repo.runs_of(squashed) == ["a", "b", "c"]
    assert repo.runs_of("next") == ["next"]


def test_what_a_lost_commit_is_built_upon_did_not_take_its_place(repo: Repository, telemetry: Telemetry) -> None:
    """The same change, taken back, and made again on a branch: that one came later."""
    repo.change("file", "1\n")
    repo.change("file", "2\n")
    repo.change("file", "1\n")
    repo("checkout", "--quiet", "-b", "topic")
    old = commit_as(repo, telemetry, "run", "file", "2\n")
    repo("checkout", "--quiet", "-b", "other", "main~1")
    commit_as(repo, telemetry, "else")
    repo("checkout", "--quiet", "main")
    assert {(row["commit_hash"], row["status"]) for row in relinked(repo, telemetry)} >= {(old, "unlinked")}
    assert all(row["status"] == "unlinked" for row in relinked(repo, telemetry))


def test_a_rebase_elsewhere_keeps_each_patch(repo: Repository, telemetry: Telemetry, topic: list[str], tmp_path: Path) -> None:
    clone = server(repo, tmp_path)
    clone.change("ahead")
    clone("checkout", "--quiet", "topic")
    clone("rebase", "--quiet", "main")
    repo("fetch", "--quiet", str(clone.path), "topic:rebased")
    repo("checkout", "--quiet", "rebased")
    assert [(row["status"], row["by"], row["replaces"]) for row in relinked(repo, telemetry)] == [("linked", "patch", [sha]) for sha in topic]
    assert [repo.runs_of(f"HEAD~{number}") for number in (2, 1, 0)] == [["a"], ["b"], ["c"]]


def test_reset_and_commit_again(repo: Repository, telemetry: Telemetry, topic: list[str]) -> None:
    repo("checkout", "--quiet", "topic")
    repo("reset", "--quiet", "--soft", "HEAD~2")
    repo("commit", "--quiet", "-m", "b and c in one")
    (row,) = relinked(repo, telemetry)
    assert (row["status"], set(row["replaces"])) == ("linked", set(topic[1:]))
    assert repo.runs_of("HEAD") == ["b", "c"]


def test_by_tree_where_the_patch_is_another(repo: Repository, telemetry: Telemetry) -> None:
    """The new commit stands on another parent: what it changes differs, what comes out is the same."""
    repo.change("file", "1\n")
    base = repo("rev-parse", "HEAD")
    repo("checkout", "--quiet", "-b", "topic")
    old = commit_as(repo, telemetry, "run", "file", "1\n2\n3\n")
    repo("checkout", "--quiet", "-b", "other", base)
    repo.change("file", "1\n2\n")
    repo.change("file", "1\n2\n3\n")
    (row,) = relinked(repo, telemetry)
    assert (row["by"], row["status"], row["replaces"]) == ("tree", "linked", [old])
    assert repo.runs_of("HEAD") == ["run"]


def test_ambiguous_ones_stay_unlinked_and_are_listed(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    for name in ("one", "two"):
        repo("checkout", "--quiet", "-b", name, "main")
        commit_as(repo, telemetry, name, "file", "the same\n")
    repo("checkout", "--quiet", "main")
    repo.change("file", "the same\n", message="by hand")
    # Those that it is like are named there, and not once more as ones whose place nothing took.
    (row,) = relinked(repo, telemetry)
    assert (row["commit_hash"], row["status"]) == (repo("rev-parse", "HEAD"), "unlinked")
    assert "ambiguous" in row["reason"]
    assert repo.runs_of("HEAD") == []
    assert "ambiguous" in telemetry("commits", "relink", cwd=repo.path).out


def test_several_that_would_take_one_place_stay_unlinked(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    commit_as(repo, telemetry, "run", "file", "text\n")
    repo("checkout", "--quiet", "main")
    repo.change("file", "text\n")
    repo("revert", "--no-edit", "HEAD")
    repo.change("file", "text\n")
    rows = [row for row in relinked(repo, telemetry) if row["reason"] and "ambiguous" in row["reason"]]
    assert {row["commit_hash"] for row in rows} == {repo("rev-parse", "HEAD"), repo("rev-parse", "HEAD~2")}
    assert repo.runs_of("HEAD") == []


def test_the_same_run_behind_both_is_not_ambiguous(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    start(repo, telemetry, "run")
    for name in ("one", "two"):
        repo("checkout", "--quiet", "-b", name, "main")
        repo.change("file", "the same\n")
    telemetry("run", "end", "run")
    repo("checkout", "--quiet", "main")
    repo.change("file", "the same\n", message="by hand")
    assert [row["status"] for row in relinked(repo, telemetry)] == ["linked"]
    assert repo.runs_of("HEAD") == ["run"]


def test_a_range_and_what_lies_outside_it(repo: Repository, telemetry: Telemetry, topic: list[str]) -> None:
    repo("cherry-pick", *topic)
    assert [row["commit_hash"] for row in relinked(repo, telemetry, "HEAD~1..HEAD") if row["status"] == "linked"] == [repo("rev-parse", "HEAD")]
    assert [bool(repo.runs_of(f"HEAD~{number}")) for number in (2, 1, 0)] == [False, False, True]


def test_binary_files_are_told_apart(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    commit_as(repo, telemetry, "run", "picture", "\0one")
    repo("checkout", "--quiet", "main")
    repo.change("picture", "\0two")
    assert [row["status"] for row in relinked(repo, telemetry)] == ["unlinked"]
    repo("reset", "--quiet", "--hard", "HEAD~1")
    repo.change("picture", "\0one")
    assert [row["status"] for row in relinked(repo, telemetry)] == ["linked"]


def test_a_new_root(repo: Repository, telemetry: Telemetry) -> None:
    olds = [commit_as(repo, telemetry, name) for name in "ab"]
    repo("checkout", "--quiet", "--orphan", "fresh")
    repo("commit", "--quiet", "-m", "all in one")
    (row,) = relinked(repo, telemetry)
    assert (row["status"], set(row["replaces"])) == ("linked", set(olds))
    assert repo.runs_of("HEAD") == ["a", "b"]


def test_bad_input(repo: Repository, telemetry: Telemetry, tmp_path: Path) -> None:
    repo.change()
    assert relinked(repo, telemetry) == []
    assert relinked(repo, telemetry, "HEAD..") == []
    for range_ in ("HEAD", "a...b", "nope..HEAD", "..-x", ""):
        assert "A..B" in telemetry("commits", "relink", range_, cwd=repo.path, code=2).err
    assert "no git repository" in telemetry("commits", "relink", cwd=tmp_path, code=2).err
    assert telemetry("commits", "relink", "--help").out.split()[:4] == ["Usage:", "telemetry", "commits", "relink"]


def test_commits_the_command_still_takes_a_run(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "relinked")
    repo.change()
    assert len(telemetry("commits", "relinked", "--json").json) == 1
    assert len(telemetry("commits", "--json", "relinked").json) == 1
