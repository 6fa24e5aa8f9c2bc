"""commits relink: what took the place of commits where git reported nothing."""

import os
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry
from support.repository import Repository


def start(repo: Repository, telemetry: Telemetry, name: str) -> None:
    telemetry.start("--event-id", name, cwd=repo.path)


def commit_as(
    repo: Repository,
    telemetry: Telemetry,
    name: str,
    file: str | None = None,
    text: str | None = None,
) -> str:
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
def test_a_squash_on_a_server(
    ahead: bool, repo: Repository, telemetry: Telemetry, topic: list[str], tmp_path: Path
) -> None:
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
    assert (row["commit_hash"], row["status"], row["by"], set(row["replaces"])) == (
        squashed,
        "linked",
        "patch",
        set(topic),
    )
    assert repo.runs_of("HEAD") == ["a", "b", "c"]
    assert [repo.runs_of(sha) for sha in topic] == [["a"], ["b"], ["c"]]
    assert {telemetry.run(name)["git_commit_hash"] for name in "abc"} == {squashed}
    # Once linked, there is nothing left to link.
    assert relinked(repo, telemetry) == []


@pytest.mark.parametrize("stacked", [False, True], ids=["beside", "stacked"])
def test_a_squash_that_others_stand_upon(
    stacked: bool, repo: Repository, telemetry: Telemetry, topic: list[str]
) -> None:
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
    assert [
        (row["commit_hash"], set(row["replaces"])) for row in rows if row["status"] == "linked"
    ] == [(squashed, set(topic))]
    assert repo.runs_of(squashed) == ["a", "b", "c"]
    assert repo.runs_of("next") == ["next"]


def test_what_a_lost_commit_is_built_upon_did_not_take_its_place(
    repo: Repository, telemetry: Telemetry
) -> None:
    """The same change, taken back, and made again on a branch: that one came later."""
    repo.change("file", "1\n")
    repo.change("file", "2\n")
    repo.change("file", "1\n")
    repo("checkout", "--quiet", "-b", "topic")
    old = commit_as(repo, telemetry, "run", "file", "2\n")
    repo("checkout", "--quiet", "-b", "other", "main~1")
    commit_as(repo, telemetry, "else")
    repo("checkout", "--quiet", "main")
    repo("branch", "--quiet", "-D", "topic")
    assert {(row["commit_hash"], row["status"]) for row in relinked(repo, telemetry)} >= {
        (old, "unlinked")
    }
    assert all(row["status"] == "unlinked" for row in relinked(repo, telemetry))


def test_a_rebase_elsewhere_keeps_each_patch(
    repo: Repository, telemetry: Telemetry, topic: list[str], tmp_path: Path
) -> None:
    clone = server(repo, tmp_path)
    clone.change("ahead")
    clone("checkout", "--quiet", "topic")
    clone("rebase", "--quiet", "main")
    repo("fetch", "--quiet", str(clone.path), "topic:rebased")
    repo("checkout", "--quiet", "rebased")
    assert [(row["status"], row["by"], row["replaces"]) for row in relinked(repo, telemetry)] == [
        ("linked", "patch", [sha]) for sha in topic
    ]
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


def test_ambiguous_ones_stay_unlinked_and_are_listed(
    repo: Repository, telemetry: Telemetry
) -> None:
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


def test_several_that_would_take_one_place_stay_unlinked(
    repo: Repository, telemetry: Telemetry
) -> None:
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    commit_as(repo, telemetry, "run", "file", "text\n")
    repo("checkout", "--quiet", "main")
    repo.change("file", "text\n")
    repo("revert", "--no-edit", "HEAD")
    repo.change("file", "text\n")
    rows = [
        row for row in relinked(repo, telemetry) if row["reason"] and "ambiguous" in row["reason"]
    ]
    assert {row["commit_hash"] for row in rows} == {
        repo("rev-parse", "HEAD"),
        repo("rev-parse", "HEAD~2"),
    }
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


def test_a_range_and_what_lies_outside_it(
    repo: Repository, telemetry: Telemetry, topic: list[str]
) -> None:
    repo("cherry-pick", *topic)
    assert [
        row["commit_hash"]
        for row in relinked(repo, telemetry, "HEAD~1..HEAD")
        if row["status"] == "linked"
    ] == [repo("rev-parse", "HEAD")]
    assert [bool(repo.runs_of(f"HEAD~{number}")) for number in (2, 1, 0)] == [False, False, True]


def test_binary_files_are_told_apart(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    commit_as(repo, telemetry, "run", "picture", "\0one")
    repo("checkout", "--quiet", "main")
    repo("branch", "--quiet", "-D", "topic")
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


# Commits that belong to another run, and commits that are still reached


def superseded(telemetry: Telemetry, sha: str) -> list[str | None]:
    return [row["superseded_by"] for row in telemetry("commits", "--commit", sha, "--json").json]


@pytest.mark.parametrize("how", ["merge", "reset"])
@pytest.mark.parametrize("kept", [True, False], ids=["branch kept", "branch deleted"])
def test_a_squash_in_a_run_of_its_own(
    how: str, kept: bool, repo: Repository, telemetry: Telemetry, topic: list[str]
) -> None:
    repo("branch", "kept", "topic")
    start(repo, telemetry, "integrating")
    if how == "merge":
        repo("merge", "--quiet", "--squash", "topic")
    else:
        repo("checkout", "--quiet", "topic")
        repo("reset", "--quiet", "--soft", "HEAD~3")
    repo("commit", "--quiet", "-m", "squashed")
    telemetry("run", "end", "integrating")
    squashed = repo("rev-parse", "HEAD")
    if not kept:
        repo("branch", "--quiet", "-D", "kept", *(["topic"] if how == "merge" else []))
    (row,) = relinked(repo, telemetry)
    assert (row["commit_hash"], row["status"], set(row["replaces"])) == (
        squashed,
        "linked",
        set(topic),
    )
    assert repo.runs_of("HEAD") == ["a", "b", "c", "integrating"]
    assert [superseded(telemetry, sha) for sha in topic] == [[None if kept else squashed]] * 3
    assert [telemetry.run(name)["git_commit_hash"] for name in "abc"] == (
        topic if kept else [squashed] * 3
    )
    assert relinked(repo, telemetry) == []
    if kept:
        # Once the branches are gone, the squash took their place.
        repo("branch", "--quiet", "-D", "kept", *(["topic"] if how == "merge" else []))
        assert [row["status"] for row in relinked(repo, telemetry)] == ["linked"]
        assert [superseded(telemetry, sha) for sha in topic] == [[squashed]] * 3
        assert {telemetry.run(name)["git_commit_hash"] for name in "abc"} == {squashed}
        assert relinked(repo, telemetry) == []


def test_made_again_in_the_same_run(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    start(repo, telemetry, "run")
    old = repo.change("a")
    repo("reset", "--quiet", "--soft", "HEAD~1")
    repo("commit", "--quiet", "-m", "again")
    assert [(row["status"], row["replaces"]) for row in relinked(repo, telemetry)] == [
        ("linked", [old])
    ]
    assert superseded(telemetry, old) == [repo("rev-parse", "HEAD")]


def test_a_run_that_began_at_the_squash_does_not_hide_it(
    repo: Repository, telemetry: Telemetry, topic: list[str]
) -> None:
    repo("merge", "--quiet", "--squash", "topic")
    repo("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "squashed")
    start(repo, telemetry, "later")
    telemetry("associate-commit", "later", "--role", "base", cwd=repo.path)
    assert [set(row["replaces"]) for row in relinked(repo, telemetry)] == [set(topic)]


@pytest.mark.parametrize("by", ["branch", "remote branch", "tag", "work tree"])
def test_nothing_is_said_of_what_is_still_reached(
    by: str, repo: Repository, telemetry: Telemetry, topic: list[str], tmp_path: Path
) -> None:
    if by == "remote branch":
        repo("update-ref", "refs/remotes/origin/topic", "topic")
    elif by == "tag":
        repo("tag", "-m", "a tag", "v1", "topic")
    elif by == "work tree":
        repo("worktree", "add", "--quiet", "--detach", str(tmp_path / "side"), "topic")
    if by != "branch":
        repo("branch", "--quiet", "-D", "topic")
    assert relinked(repo, telemetry) == []
    assert [superseded(telemetry, sha) for sha in topic] == [[None]] * 3


@pytest.mark.parametrize("ref", ["refs/stash", "refs/original/refs/heads/topic", "refs/keep/1"])
def test_what_only_other_refs_keep_has_left_the_history(
    ref: str, repo: Repository, telemetry: Telemetry, topic: list[str]
) -> None:
    repo("update-ref", ref, "topic")
    repo("branch", "--quiet", "-D", "topic")
    assert {(row["commit_hash"], row["status"]) for row in relinked(repo, telemetry)} == {
        (sha, "unlinked") for sha in topic
    }


def test_a_backport_says_nothing_of_its_original(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    repo("branch", "release")
    original = commit_as(repo, telemetry, "fixing", "fix")
    repo("checkout", "--quiet", "release")
    start(repo, telemetry, "porting")
    repo("cherry-pick", original)
    telemetry("run", "end", "porting")
    backport = repo("rev-parse", "HEAD")
    repo("checkout", "--quiet", "main")
    assert relinked(repo, telemetry) == []
    assert (repo.runs_of(original), repo.runs_of(backport)) == (["fixing"], ["porting"])
    # From where the backport is, both runs are behind it, and the original is as it was.
    repo("checkout", "--quiet", "release")
    assert [row["commit_hash"] for row in relinked(repo, telemetry)] == [backport]
    assert (repo.runs_of(original), repo.runs_of(backport)) == (["fixing"], ["fixing", "porting"])
    assert (superseded(telemetry, original), telemetry.run("fixing")["git_commit_hash"]) == (
        [None],
        original,
    )
    repo("checkout", "--quiet", "main")
    assert relinked(repo, telemetry) == []


def test_living_branches_alike_are_no_doubt(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    for name in ("one", "two"):
        repo("checkout", "--quiet", "-b", name, "main")
        commit_as(repo, telemetry, name, "file", "the same\n")
    repo("checkout", "--quiet", "main")
    commit_as(repo, telemetry, "three", "file", "the same\n")
    assert relinked(repo, telemetry) == []


def test_a_rebuilt_database_has_the_same_links(
    repo: Repository, telemetry: Telemetry, topic: list[str]
) -> None:
    repo("merge", "--quiet", "--squash", "topic")
    repo("commit", "--quiet", "-m", "squashed")
    relinked(repo, telemetry)
    query = "SELECT event_id, commit_hash, superseded_by FROM run_commits ORDER BY id"
    before = telemetry.sql(query)
    telemetry("db", "rebuild")
    assert telemetry.sql(query) == before


# Commits whose objects are gone


def collect(repo: Repository) -> None:
    repo("reflog", "expire", "--expire=now", "--all")
    repo("gc", "--quiet", "--prune=now")


def filtered(repo: Repository, *, keep: bool = False) -> dict[str, str]:
    """What `git filter-repo` does: new commits, a map of old and new ones, the old objects gone at once. Returns the map."""
    became: dict[str, str] = {}
    for sha in repo("rev-list", "--reverse", "HEAD").split():
        parents = [
            word
            for parent in repo("log", "-1", "--format=%P", sha).split()
            for word in ("-p", became[parent])
        ]
        became[sha] = repo("commit-tree", f"{sha}^{{tree}}", *parents, "-m", "filtered")
    folder = repo.path / ".git/filter-repo"
    folder.mkdir()
    lines = [f"{old} {new}" for old, new in became.items()]
    (folder / "commit-map").write_text(
        "\n".join(["old".ljust(40) + " new", *lines, f"{'1' * 40} {'0' * 40}"]) + "\n"
    )
    if not keep:
        repo("update-ref", "HEAD", next(reversed(became.values())))
        repo("branch", "--quiet", "-D", "topic", check=False)
        collect(repo)
    return became


def test_the_map_of_filter_repo(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    olds = [commit_as(repo, telemetry, name) for name in "ab"]
    telemetry("associate-commit", "b", "--commit", "1" * 40, cwd=repo.path)
    became = filtered(repo)
    (only,) = relinked(repo, telemetry, "HEAD~1..HEAD", "--dry-run")[:1]
    assert (only["status"], only["by"], only["replaces"]) == ("linked", "map", [olds[1]])
    rows = relinked(repo, telemetry)
    assert [
        (row["commit_hash"], row["by"], row["replaces"])
        for row in rows
        if row["status"] == "linked"
    ] == [(became[sha], "map", [sha]) for sha in olds]
    assert [row["commit_hash"] for row in rows if row["status"] == "unlinked"] == ["1" * 40]
    assert [repo.runs_of(sha) for sha in became.values()] == [[], ["a"], ["b"]]
    assert [superseded(telemetry, sha) for sha in olds] == [[became[sha]] for sha in olds]
    assert [row["status"] for row in relinked(repo, telemetry)] == ["unlinked"]


def test_a_map_of_a_branch_beside_the_old_one(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    old = commit_as(repo, telemetry, "run")
    new = filtered(repo, keep=True)[old]
    repo("branch", "filtered", new)
    assert [(row["commit_hash"], row["by"]) for row in relinked(repo, telemetry)] == [(new, "map")]
    assert (repo.runs_of(old), repo.runs_of(new), superseded(telemetry, old)) == (
        ["run"],
        ["run"],
        [None],
    )
    assert relinked(repo, telemetry) == []


@pytest.mark.parametrize("trouble", ["pipe", "folder", "noise", "nowhere"])
def test_a_map_that_cannot_be_read_links_nothing(
    trouble: str, repo: Repository, telemetry: Telemetry
) -> None:
    old = commit_as(repo, telemetry, "run")
    folder = repo.path / ".git/filter-repo"
    folder.mkdir()
    if trouble == "pipe":
        os.mkfifo(folder / "commit-map")
    elif trouble == "folder":
        (folder / "commit-map").mkdir()
    else:
        other = old if trouble == "noise" else "2" * 40
        (folder / "commit-map").write_bytes(
            b"\xff" * 100_000 + f"\n{old}\n{old} {old} {old}\n{old} x\n{old} {other}\n".encode()
        )
    assert relinked(repo, telemetry) == []


def test_collected_commits_are_told(
    repo: Repository, telemetry: Telemetry, topic: list[str], tmp_path: Path
) -> None:
    repo("clone", "--quiet", str(repo.path), str(tmp_path / "other"))
    repo("merge", "--quiet", "--squash", "topic")
    repo("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "squashed")
    repo("branch", "--quiet", "-D", "topic")
    collect(repo)
    rows = relinked(repo, telemetry)
    assert {(row["commit_hash"], row["status"], "gone" in row["reason"]) for row in rows} == {
        (sha, "unlinked", True) for sha in topic
    }


def test_commits_of_another_clone_are_counted(
    repo: Repository, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo.change("base")
    repo("clone", "--quiet", str(repo.path), str(tmp_path / "other"))
    other = Repository(tmp_path / "other", telemetry)
    repo("remote", "add", "origin", str(repo.path))
    telemetry("git-hooks", "install", cwd=other.path)
    commit_as(other, telemetry, "there")
    ran = telemetry("commits", "relink", "--json", cwd=repo.path)
    assert (ran.json, "clone does not have: 1" in ran.err) == ([], True)


def test_bad_input(repo: Repository, telemetry: Telemetry, tmp_path: Path) -> None:
    repo.change()
    assert relinked(repo, telemetry) == []
    assert relinked(repo, telemetry, "HEAD..") == []
    for range_ in ("HEAD", "a...b", "nope..HEAD", "..-x", ""):
        assert "A..B" in telemetry("commits", "relink", range_, cwd=repo.path, code=2).err
    assert "no git repository" in telemetry("commits", "relink", cwd=tmp_path, code=2).err
    assert telemetry("commits", "relink", "--help").out.split()[:4] == [
        "Usage:",
        "telemetry",
        "commits",
        "relink",
    ]


def test_commits_the_command_still_takes_a_run(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "relinked")
    repo.change()
    assert len(telemetry("commits", "relinked", "--json").json) == 1
    assert len(telemetry("commits", "--json", "relinked").json) == 1
