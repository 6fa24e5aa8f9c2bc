"""associate-commit, commits, commit-url, repo-url and query --commit, through the installed command."""

import fcntl
import hashlib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from support import Git, Telemetry

Make = Callable[..., Git]
ADA, AT = "Ada Lovelace <ada@example.org>", "2026-01-02T01:04:05.000Z"
SHA = "0123456789abcdef0123456789abcdef01234567"
FIELDS = ("git_commit_hash", "git_commit_source", "git_commit_author", "git_commit_timestamp")


def fields(telemetry: Telemetry, event: str) -> tuple[object, ...]:
    """What the run itself says of its commit."""
    run = telemetry.run(event)
    return tuple(run[name] for name in FIELDS)


def ledger(telemetry: Telemetry, event: str) -> list[tuple[str, str]]:
    """(commit, role) of a run's associations, oldest first."""
    return [
        (entry["commit_hash"], entry["role"])
        for entry in telemetry("commits", event, "-o", "json").json
    ]


def refused(telemetry: Telemetry, event: str, *options: str, cwd: Path | None = None) -> str:
    """An associate-commit that exits 2 and leaves the journal as it was; returns its message."""
    before = [path.read_bytes() for path in sorted(telemetry.raw.glob("*.ndjson"))]
    ran = telemetry("associate-commit", event, *options, cwd=cwd, code=2)
    assert [path.read_bytes() for path in sorted(telemetry.raw.glob("*.ndjson"))] == before
    assert ran.out == ""
    return ran.err


@pytest.fixture
def git(make_git: Make) -> Git:
    git = make_git()
    (git.path / "file").write_text("content\n")
    git("add", "file")
    for message in ("first of all", "second", "third"):
        git.commit(message)
    git("tag", "-a", "v1", "-m", "x", "HEAD~1")
    git("branch", "topic/one", "HEAD~2")
    return git


# Which commit


def test_head_is_the_default(telemetry: Telemetry, git: Git) -> None:
    event = telemetry.start()
    ran = telemetry("associate-commit", event, "-o", "json", cwd=git.path)
    sha = git("rev-parse", "HEAD")
    assert ran.json == {
        "status": "success",
        "event_id": event,
        "run_id": telemetry.run(event)["run_id"],
        "commit_hash": sha,
    }
    assert fields(telemetry, event) == (sha, "manual", ADA, AT)


def test_text_is_one_line(telemetry: Telemetry, git: Git) -> None:
    event = telemetry.start()
    ran = telemetry("associate-commit", event, cwd=git.path)
    assert len(ran.out.splitlines()) == 1
    assert git("rev-parse", "HEAD") in ran.out


@pytest.mark.parametrize(
    "revision",
    [
        "HEAD~1",
        "v1",
        "topic/one",
        "refs/heads/topic/one",
        ":/second",
        "HEAD^{/first of}",
        "HEAD@{1}",
        "@",
        "SHORT",
        "UPPER",
    ],
)
def test_any_revision(revision: str, telemetry: Telemetry, git: Git) -> None:
    short = git("rev-parse", "--short=7", "HEAD~1")
    revision = {"SHORT": short, "UPPER": short.upper()}.get(revision, revision)
    event = telemetry.start()
    telemetry("associate-commit", event, "--commit", revision, "--repo", str(git.path / "."))
    assert fields(telemetry, event) == (
        git(
            "rev-parse",
            "--verify",
            revision if revision.startswith(":/") else f"{revision}^{{commit}}",
        ),
        "manual",
        ADA,
        AT,
    )


@pytest.mark.parametrize("name", ["\u5358\u4f53\u3000\u30c6", "x\u200dy"])
def test_branch_with_spaces_of_another_script_is_a_revision(
    name: str, telemetry: Telemetry, git: Git
) -> None:
    git("branch", name)
    event = telemetry.start()
    telemetry("associate-commit", event, "--commit", name, cwd=git.path)
    assert fields(telemetry, event)[0] == git("rev-parse", "HEAD")
    assert (
        telemetry("log", name, "-o", "json", cwd=git.path).json[0]["runs"][0]["event_id"] == event
    )
    assert (
        telemetry("query", "--commit", f"{name}~1..{name}", "-o", "ids", cwd=git.path).line == event
    )
    assert (
        telemetry("doctor", "--commit", name, "-o", "json", cwd=git.path).json["reason"]
        == "associated"
    )


@pytest.mark.parametrize("literal", ["abcdef1", "ABCDEF1", SHA, SHA[:39], "f" * 64])
@pytest.mark.parametrize("inside", [True, False])
def test_a_sha_that_is_unknown_here_is_taken_as_given(
    literal: str, inside: bool, telemetry: Telemetry, git: Git
) -> None:
    event = telemetry.start()
    telemetry("associate-commit", event, "--commit", literal, cwd=git.path if inside else None)
    assert fields(telemetry, event) == (literal.lower(), "manual", None, None)


@pytest.mark.parametrize(
    "revision",
    [
        "HEAD^{tree}",
        "HEAD:file",
        "",
        " ",
        "nothing",
        "abcdef",
        "a" * 41,
        "g" * 40,
        "HEAD~9",
        "HEAD..v1",
        "--all",
        "HEAD\nv1",
        "TREE",
        "BLOB",
        "SHORT BLOB",
    ],
)
def test_what_is_no_commit_is_refused(revision: str, telemetry: Telemetry, git: Git) -> None:
    blob = git("rev-parse", "HEAD:file")
    revision = {"TREE": git("rev-parse", "HEAD^{tree}"), "BLOB": blob, "SHORT BLOB": blob[:8]}.get(
        revision, revision
    )
    assert "--commit" in refused(telemetry, telemetry.start(), f"--commit={revision}", cwd=git.path)


def test_an_ambiguous_abbreviation_is_refused(telemetry: Telemetry, git: Git) -> None:
    seen: dict[str, bytes] = {}
    for number in count():
        content = b"%d" % number
        prefix = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()[:7]
        if prefix in seen:
            break
        seen[prefix] = content
    for blob in (seen[prefix], content):
        (git.path / "blob").write_bytes(blob)
        git("hash-object", "-w", "blob")
    assert prefix in refused(telemetry, telemetry.start(), "--commit", prefix, cwd=git.path)


def test_without_a_repository_or_a_commit(telemetry: Telemetry, make_git: Make) -> None:
    event, empty = telemetry.start(), make_git("empty")
    assert "--commit" in refused(telemetry, event)
    assert "--commit" in refused(telemetry, event, cwd=empty.path)
    assert "--commit" in refused(telemetry, event, "--no-git", cwd=empty.path)
    assert "--repo" in refused(telemetry, event, "--repo", "/nonexistent", "--commit", SHA)


def test_the_providers_sha_where_no_head_can_be_read(
    telemetry: Telemetry, git: Git, make_git: Make
) -> None:
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": SHA.upper()}
    for cwd, expected in (
        (telemetry.cwd, SHA),
        (make_git("empty").path, SHA),
        (git.path, git("rev-parse", "HEAD")),
    ):
        event = telemetry.start("--no-git")
        telemetry("associate-commit", event, cwd=cwd, env=environment)
        assert fields(telemetry, event)[:2] == (expected, "ci")
    telemetry(
        "associate-commit",
        event,
        cwd=telemetry.cwd,
        env={"GITHUB_ACTIONS": "true", "GITHUB_SHA": "nonsense"},
        code=2,
    )


def test_no_git_does_not_look(telemetry: Telemetry, git: Git) -> None:
    event, sha = telemetry.start(), git("rev-parse", "HEAD")
    telemetry("associate-commit", event, "--no-git", "--commit", sha, cwd=git.path)
    assert fields(telemetry, event) == (sha, "manual", None, None)
    assert telemetry.run(event)["git_repo"] is None
    assert "--commit" in refused(telemetry, event, "--no-git", "--commit", "HEAD", cwd=git.path)


def test_flags_win_over_the_commit(telemetry: Telemetry, git: Git) -> None:
    event = telemetry.start()
    telemetry(
        "associate-commit",
        event,
        "--author",
        "Eve",
        "--timestamp",
        "2025-05-05T12:00:00+02:00",
        "--source",
        "LLM",
        cwd=git.path,
    )
    assert fields(telemetry, event) == (
        git("rev-parse", "HEAD"),
        "llm",
        "Eve",
        "2025-05-05T10:00:00.000Z",
    )
    for option, value in (
        ("--timestamp", "2025-05-05T12:00:00"),
        ("--timestamp", "soon"),
        ("--source", "me"),
        ("--role", "mine"),
    ):
        assert option in refused(telemetry, event, option, value, cwd=git.path)


# Kinds of repositories


def test_bare_only_when_named(telemetry: Telemetry, git: Git) -> None:
    bare = git.path.parent / "bare.git"
    git("clone", "--quiet", "--bare", str(git.path), str(bare))
    event = telemetry.start()
    refused(telemetry, event, cwd=bare)
    refused(telemetry, event, "--repo", str(bare / "refs"))
    telemetry("associate-commit", event, "--repo", str(bare))
    assert fields(telemetry, event) == (git("rev-parse", "HEAD"), "manual", ADA, AT)
    telemetry("associate-commit", event, "--repo", ".", "--commit", "HEAD~1", cwd=bare)
    assert fields(telemetry, event)[0] == git("rev-parse", "HEAD~1")


def test_sha256(telemetry: Telemetry, make_git: Make) -> None:
    git, event = make_git("repository", "--object-format=sha256"), telemetry.start()
    shas = [git.commit("one"), git.commit("two")]
    for revision, sha in (("HEAD", shas[1]), ("HEAD~1", shas[0]), (shas[1][:9], shas[1])):
        telemetry("associate-commit", event, "--commit", revision, cwd=git.path)
        assert fields(telemetry, event) == (sha, "manual", ADA, AT)


def test_worktree_submodule_detached(telemetry: Telemetry, git: Git) -> None:
    git("worktree", "add", "--quiet", "--detach", str(git.path.parent / "linked"), "HEAD~1")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(git.path), "sub")
    for path, sha in (
        (git.path.parent / "linked", git("rev-parse", "HEAD~1")),
        (git.path / "sub", git("rev-parse", "HEAD")),
    ):
        event = telemetry.start()
        environment = {
            "GIT_DIR": str(git.path / ".git/worktrees/none"),
            "GIT_INDEX_FILE": "nothing",
        }
        telemetry("associate-commit", event, "--repo", str(path), env=environment)
        assert fields(telemetry, event)[0] == sha


# Source, role, children


@pytest.mark.parametrize(
    ("environment", "source"),
    [
        ({}, "manual"),
        ({"CLAUDECODE": "1"}, "llm"),
        ({"CI": "true"}, "ci"),
        ({"CI": "true", "CLAUDECODE": "1"}, "llm"),
    ],
)
def test_source_by_environment(
    environment: dict[str, str], source: str, telemetry: Telemetry
) -> None:
    event = telemetry.start()
    telemetry("associate-commit", event, "--commit", SHA, env=environment)
    assert fields(telemetry, event)[1] == source
    telemetry("associate-commit", event, "--commit", SHA, "--source", "manual", env=environment)
    assert fields(telemetry, event)[1] == "manual"


def test_produced_overwrites_and_the_ledger_keeps_all(telemetry: Telemetry) -> None:
    event = telemetry.start()
    telemetry(
        "associate-commit",
        event,
        "--commit",
        "1111111",
        "--author",
        "One",
        "--timestamp",
        "2025-01-01T00:00:00Z",
    )
    telemetry("associate-commit", event, "--commit", "2222222")
    assert fields(telemetry, event) == ("2222222", "manual", None, None)
    for role in ("base", "released"):
        telemetry("associate-commit", event, "--commit", "3333333", "--role", role)
    assert fields(telemetry, event) == ("2222222", "manual", None, None)
    assert ledger(telemetry, event) == [
        ("1111111", "produced"),
        ("2222222", "produced"),
        ("3333333", "base"),
        ("3333333", "released"),
    ]


def test_children_without_a_commit(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "root")
    for event, parent in (
        ("child", "root"),
        ("grandchild", "child"),
        ("has-one", "root"),
        ("below-has-one", "has-one"),
    ):
        telemetry.start("--event-id", event, "--parent", parent)
    telemetry.start("--event-id", "stranger")
    telemetry("associate-commit", "has-one", "--commit", "1111111")
    telemetry("associate-commit", "root", "--commit", "2222222", "--children")
    found = {
        event: fields(telemetry, event)[0]
        for event in ("root", "child", "grandchild", "has-one", "below-has-one", "stranger")
    }
    assert found == {
        "root": "2222222",
        "child": "2222222",
        "grandchild": "2222222",
        "has-one": "1111111",
        "below-has-one": "2222222",
        "stranger": None,
    }
    assert ledger(telemetry, "grandchild") == [("2222222", "produced")]


# Outcomes


def test_unknown_run(telemetry: Telemetry) -> None:
    telemetry.start()
    for command in (
        ["associate-commit", "no-such-run", "--commit", SHA],
        ["commits", "no-such-run"],
        ["commit-url", "no-such-run"],
        ["repo-url", "no-such-run"],
    ):
        ran = telemetry(*command, code=3)
        assert "Run not found: no-such-run" in ran.err
        assert ran.out == ""


def test_buffered(telemetry: Telemetry) -> None:
    event = telemetry.start()
    with Path(f"{telemetry.database}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = telemetry(
            "associate-commit",
            event,
            "--commit",
            SHA,
            "-o",
            "json",
            env={"TELEMETRY_LOCK_TIMEOUT": "0.05"},
        )
    assert ran.json == {"status": "buffered", "event_id": event, "run_id": None, "commit_hash": SHA}
    assert fields(telemetry, event)[0] == SHA


def test_the_current_run_is_the_default(telemetry: Telemetry) -> None:
    event = telemetry.start()
    current = {"TELEMETRY_EVENT_ID": event}
    telemetry("associate-commit", "--commit", SHA, env=current)
    assert [
        entry["commit_hash"] for entry in telemetry("commits", "-o", "json", env=current).json
    ] == [SHA]
    telemetry("associate-commit", "--commit", SHA, code=2)


def test_commits_of_a_commit(telemetry: Telemetry) -> None:
    one, two = telemetry.start(), telemetry.start()
    telemetry("associate-commit", one, "--commit", SHA)
    telemetry("associate-commit", two, "--commit", SHA, "--role", "base")
    telemetry("associate-commit", two, "--commit", "1111111")
    listed = telemetry("commits", "--commit", SHA[:7].upper(), "-o", "json").json
    assert [(entry["event_id"], entry["role"]) for entry in listed] == [
        (one, "produced"),
        (two, "base"),
    ]
    assert telemetry("commits", one, "--commit", "2222222", "-o", "json").json == []


def test_urls(telemetry: Telemetry) -> None:
    event = telemetry.start("--git-repo", "git@github.com:acme/tool.git")
    assert telemetry("commit-url", event).out == ""
    assert telemetry("commit-url", event, "-o", "json").json == {"commit_url": None}
    telemetry("associate-commit", event, "--commit", SHA)
    assert telemetry("commit-url", event).out == f"https://github.com/acme/tool/commit/{SHA}\n"
    assert telemetry("repo-url", event, "-o", "json").json == {
        "repo_url": "https://github.com/acme/tool"
    }
    run = telemetry.run(event)
    assert (run["commit_url"], run["repo_url"]) == (
        f"https://github.com/acme/tool/commit/{SHA}",
        "https://github.com/acme/tool",
    )


def test_urls_of_hosts_in_the_config(telemetry: Telemetry) -> None:
    event = telemetry.start("--git-repo", "ssh://git@git.acme.example:2222/group/sub/tool.git")
    telemetry("associate-commit", event, "--commit", SHA)
    assert (telemetry("repo-url", event).out, telemetry("repo-url", event, "-o", "json").json) == (
        "",
        {"repo_url": None},
    )
    config = telemetry.home / ".config/telemetry/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[url_hosts]\n"git.acme.example" = "gitlab"\n')
    assert (
        telemetry("commit-url", event).line
        == f"https://git.acme.example/group/sub/tool/-/commit/{SHA}"
    )


def test_query_by_commit(telemetry: Telemetry) -> None:
    one, two, other = telemetry.start(), telemetry.start(), telemetry.start()
    telemetry("associate-commit", one, "--commit", SHA)
    telemetry("associate-commit", one, "--commit", "1111111")
    telemetry("associate-commit", two, "--commit", SHA, "--role", "base")
    telemetry("associate-commit", other, "--commit", "1111111")
    for given in (SHA, SHA[:7], SHA[:7].upper(), SHA[:39]):
        assert sorted(telemetry("query", "--commit", given, "-o", "ids").out.split()) == sorted(
            [one, two]
        )
    assert telemetry("query", "--commit", "2222222", "-o", "json").json == []
    for given in (SHA[:6], "", "nonsense"):
        assert "--commit" in telemetry("query", "--commit", given, code=2).err
