"""log, blame, query --commit A..B, doctor --commit: history with the runs behind it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import git as gitpython
import pytest
from support import PROGRAM, Git, Telemetry
from support.storage import EXCLUSIVE, held

COUNT = """
import json, sys, sqlite3
sys.argv = ["telemetry", *json.loads(sys.argv[1])]
statements = []
connect = sqlite3.connect
def traced(*args, **options):
    db = connect(*args, **options)
    db.set_trace_callback(statements.append)
    return db
sqlite3.connect = traced
from telemetry_cli.cli import main
main.main()
print(json.dumps(statements), file=sys.stderr)
"""

Make = Callable[..., Git]


def change(git: Git, name: str, text: str, message: str) -> str:
    (git.path / name).write_text(text)
    git("add", name)
    git("commit", "--quiet", "-m", message, env={"GIT_COMMITTER_DATE": "2026-03-01T12:00:00+02:00"})
    return git("rev-parse", "HEAD")


def run_of(telemetry: Telemetry, git: Git, name: str, sha: str, *options: str) -> None:
    telemetry.start("--event-id", name, "--agent-name", f"agent-{name}", "--no-git")
    telemetry("associate-commit", name, "--commit", sha, *options, cwd=git.path)


@pytest.fixture
def history(make_git: Make, telemetry: Telemetry) -> tuple[Git, list[str]]:
    """Four commits: of a run by an llm, of none, of two runs, and of a ci run."""
    git = make_git()
    shas = [
        change(git, "file", "1\n2\n"[: 2 * number], f"commit {number} [red]x[/nope]")
        for number in (1, 2)
    ]
    shas += [
        change(git, "file", "1\nzwei\n3\n4\n", "third: é"),
        change(git, "other", "text\n", "fourth"),
    ]
    run_of(telemetry, git, "one", shas[0], "--source", "llm")
    run_of(telemetry, git, "two", shas[2], "--source", "manual")
    run_of(telemetry, git, "three", shas[2], "--source", "llm")
    run_of(telemetry, git, "four", shas[3], "--source", "ci", "--role", "base")
    return git, shas


def test_log_as_json(history: tuple[Git, list[str]], telemetry: Telemetry) -> None:
    git, shas = history
    rows = telemetry("log", "--json", cwd=git.path).json
    assert [row["commit_hash"] for row in rows] == shas[::-1]
    assert rows[1] == {
        "commit_hash": shas[2],
        "author": "Ada Lovelace <ada@example.org>",
        "timestamp": "2026-03-01T10:00:00.000Z",
        "subject": "third: é",
        "runs": [
            {
                "event_id": "two",
                "agent_name": "agent-two",
                "job_type": "job",
                "role": "produced",
                "source": "manual",
            },
            {
                "event_id": "three",
                "agent_name": "agent-three",
                "job_type": "job",
                "role": "produced",
                "source": "llm",
            },
        ],
    }
    assert [[run["event_id"] for run in row["runs"]] for row in rows] == [
        ["four"],
        ["two", "three"],
        [],
        ["one"],
    ]
    lines = [
        json.loads(line) for line in telemetry("log", "-o", "jsonl", cwd=git.path).out.splitlines()
    ]
    assert lines == rows
    assert telemetry("log", "-o", "csv", cwd=git.path).out.count("\n") == 5


def test_a_commit_that_was_named_by_a_part_of_its_sha(
    history: tuple[Git, list[str]], telemetry: Telemetry
) -> None:
    """A CI job without the repository may know no more; whoever has the whole SHA finds the run."""
    git, shas = history
    telemetry.start("--event-id", "short", "--agent-name", "deployer", "--no-git")
    telemetry("associate-commit", "short", "--commit", shas[1][:8], "--no-git")
    rows = telemetry("log", "--json", cwd=git.path).json
    assert [[run["event_id"] for run in row["runs"]] for row in rows] == [
        ["four"],
        ["two", "three"],
        ["short"],
        ["one"],
    ]
    assert {
        row["agent_name"]
        for row in telemetry("blame", "file", "--json", cwd=git.path).json
        if row["commit_hash"] == shas[1]
    } <= {"deployer"}
    assert telemetry("query", "--commit", shas[1], "-o", "ids").out.split() == ["short"]
    assert telemetry("query", "--commit", shas[1][:7], "-o", "ids").out.split() == ["short"]
    assert telemetry(
        "query", "--commit", f"{shas[0]}..{shas[1]}", "-o", "ids", cwd=git.path
    ).out.split() == ["short"]
    assert [
        row["event_id"] for row in telemetry("commits", "--commit", shas[1], "--json").json
    ] == ["short"]
    assert (
        telemetry("doctor", "--commit", shas[1], "--json", cwd=git.path).json["reason"]
        == "associated"
    )
    # Said again with the whole SHA, it is the same run once.
    telemetry("associate-commit", "short", "--commit", shas[1], cwd=git.path)
    assert [
        run["event_id"] for run in telemetry("log", "--json", cwd=git.path).json[2]["runs"]
    ] == ["short"]


def test_log_as_a_table(history: tuple[Git, list[str]], telemetry: Telemetry) -> None:
    git, shas = history
    out = telemetry("log", cwd=git.path, env={"COLUMNS": "200"}).out
    assert "commit 2 [red]x[/nope]" in out
    (line,) = [line for line in out.splitlines() if line.startswith(shas[1][:10])]
    assert "no run" in line
    # A run that only started from a commit did not make it.
    (line,) = [line for line in out.splitlines() if line.startswith(shas[3][:10])]
    assert "no run, agent-four/job (base)" in line
    summary = "4 commits: 2 llm, 0 ci, 0 manual, 2 without a run; 6 lines added: 4 llm, 0 ci, 0 manual, 2 without a run"
    assert out.splitlines()[-1] == summary


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["HEAD~1"], [2, 1, 0]),
        (["HEAD~2..HEAD"], [3, 2]),
        (["main", "^HEAD~1"], [3]),
        (["--limit", "1", "HEAD"], [3]),
        (["HEAD..HEAD"], []),
        (["--limit", "0"], [3, 2, 1, 0]),
    ],
    ids=str,
)
def test_log_takes_revisions(
    words: list[str], expected: list[int], history: tuple[Git, list[str]], telemetry: Telemetry
) -> None:
    git, shas = history
    assert [
        row["commit_hash"] for row in telemetry("log", *words, "--json", cwd=git.path).json
    ] == [shas[number] for number in expected]
    assert (
        telemetry("log", *words, "--json", "--repo", str(git.path)).json
        == telemetry("log", *words, "--json", cwd=git.path).json
    )


@pytest.mark.parametrize(
    "word", ["nope", "--", "-p", "--output=pwned", "", "a\nb", "HEAD:file", "nope..HEAD", "HEAD~99"]
)
def test_log_refuses_what_is_no_revision(
    word: str, history: tuple[Git, list[str]], telemetry: Telemetry
) -> None:
    git, _ = history
    for output in ("json", "table"):
        ran = telemetry(
            "log", "-o", output, "--", word, cwd=git.path, code=2 if word != "HEAD:file" else None
        )
        assert ran.out == "" or word == "HEAD:file"
    assert not (git.path / "pwned").exists()


def test_log_where_there_is_nothing(make_git: Make, telemetry: Telemetry, tmp_path: Path) -> None:
    assert telemetry("log", "--json", cwd=make_git().path).json == []
    (tmp_path / "empty").mkdir()
    assert "no git repository" in telemetry("log", cwd=tmp_path / "empty", code=2).err
    assert "is no folder" in telemetry("log", "--repo", "nowhere", code=2).err
    git = make_git("unrecorded")
    git.commit()
    assert telemetry("log", "--json", cwd=git.path).json[0]["runs"] == []
    assert not telemetry.base.exists()


def test_log_of_odd_commits(make_git: Make, telemetry: Telemetry) -> None:
    git = make_git()
    git(
        "-c",
        "user.name=\x1b[31mEvil\u202e",
        "commit",
        "--quiet",
        "--allow-empty",
        "--allow-empty-message",
        "-m",
        "",
        env={"GIT_AUTHOR_NAME": "\x1b[31mEvil\u202e"},
    )
    tree = git("rev-parse", "HEAD^{tree}")
    raw = (
        f"tree {tree}\nauthor X <x> 1 +0000\ncommitter X <x> 99999999999999 +0000\nencoding iso-8859-1\n\n".encode()
        + "Übung".encode("latin-1")
        + b"\n"
    )
    odd = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        cwd=git.path,
        env=git.env,
        input=raw,
        capture_output=True,
        check=True,
    )
    git("update-ref", "HEAD", odd.stdout.decode().strip())
    rows = telemetry("log", "--json", cwd=git.path).json
    assert rows[0]["subject"] == "Übung"
    git("update-ref", "HEAD", git("commit-tree", tree, "-p", "HEAD", "-m", "x"))
    assert "\x1b" not in telemetry("log", cwd=git.path).out


@pytest.mark.parametrize(
    "argv",
    [["log", "--json"], ["log"], ["blame", "file", "--json"], ["blame", "file"]],
    ids=" ".join,
)
def test_one_git_process_and_one_question(
    argv: list[str], history: tuple[Git, list[str]], telemetry: Telemetry, tmp_path: Path
) -> None:
    git, _ = history
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\nexec {shutil.which("git")} "$@"\n')
    shim.chmod(0o755)
    env = telemetry.env | {"PATH": f"{shim.parent}:{telemetry.env['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", COUNT, json.dumps(argv)],
        env=env,
        cwd=git.path,
        capture_output=True,
        text=True,
        check=True,
    )
    statements = [
        statement
        for statement in json.loads(done.stderr.splitlines()[-1])
        if "run_commits" in statement
    ]
    assert len(statements) == 1
    asked = (tmp_path / "asked").read_text().splitlines()
    # GitPython asks for the version when it is imported.
    assert len([words for words in asked if words != "version"]) == 1


def test_log_does_not_wait_for_what_git_leaves_behind(
    history: tuple[Git, list[str]], telemetry: Telemetry, tmp_path: Path
) -> None:
    """A program that git started may keep git's stderr open long after git has ended."""
    git, shas = history
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    left = tmp_path / "left"
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *" log "*) sleep 300 </dev/null >/dev/null & echo $! >{left};; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    shim.chmod(0o755)
    env = telemetry.env | {"PATH": f"{shim.parent}:{telemetry.env['PATH']}"}
    try:
        done = subprocess.run(
            [PROGRAM, "log", "-o", "json", "--repo", str(git.path)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )
        assert [row["commit_hash"] for row in json.loads(done.stdout)] == shas[::-1]
        os.kill(int(left.read_text()), 0)
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)


# Blame


def test_blame(history: tuple[Git, list[str]], telemetry: Telemetry) -> None:
    git, shas = history
    rows = telemetry("blame", "file", "--json", cwd=git.path).json
    blamed: Any = gitpython.Repo(git.path).blame("HEAD", "file")
    told = [(entry[0].hexsha, text) for entry in blamed for text in entry[1]]
    assert [(row["commit_hash"], row["text"]) for row in rows] == told
    assert rows[0] == {
        "line": 1,
        "text": "1",
        "commit_hash": shas[0],
        "event_id": "one",
        "agent_name": "agent-one",
        "source": "llm",
    }
    assert rows[1] == {
        "line": 2,
        "text": "zwei",
        "commit_hash": shas[2],
        "event_id": "three",
        "agent_name": "agent-three",
        "source": "llm",
    }
    assert (
        telemetry("blame", "file", cwd=git.path).out.splitlines()[-1]
        == "4 lines: 4 llm, 0 ci, 0 manual, 0 without a run"
    )
    assert [
        row["line"] for row in telemetry("blame", "file", "-L", "2,3", "--json", cwd=git.path).json
    ] == [2, 3]
    assert telemetry("blame", str(git.path / "file"), "--json").json == rows


def test_blame_of_lines_without_a_run(make_git: Make, telemetry: Telemetry) -> None:
    git = make_git()
    (git.path / "folder").mkdir()
    sha = change(git, "folder/a file", "a\n\tb\r\n\x1b[31mc", "first")
    (git.path / "folder/a file").write_text("not committed\n")
    rows = telemetry("blame", "a file", "--json", cwd=git.path / "folder").json
    assert [row["text"] for row in rows] == ["a", "\tb\r", "\x1b[31mc"]
    assert {
        (row["commit_hash"], row["event_id"], row["agent_name"], row["source"]) for row in rows
    } == {(sha, None, None, None)}
    assert "\x1b" not in telemetry("blame", "a file", cwd=git.path / "folder").out


@pytest.mark.parametrize(
    "argv",
    [
        ["nothing"],
        [""],
        ["file", "-L", "99,100"],
        ["file", "-L", ""],
        ["file", "-L", "--output=x"],
        ["nowhere/file"],
        ["--", "-x"],
    ],
)
def test_blame_refuses(
    argv: list[str], history: tuple[Git, list[str]], telemetry: Telemetry
) -> None:
    git, _ = history
    for output in ("json", "table"):
        assert telemetry("blame", "-o", output, *argv, cwd=git.path, code=2).out == ""


def test_blame_follows_a_rewrite(history: tuple[Git, list[str]], telemetry: Telemetry) -> None:
    git, shas = history
    telemetry("associate-commit", "two", "--commit", shas[3], cwd=git.path)
    git("commit", "--quiet", "--amend", "-m", "better")
    new = git("rev-parse", "HEAD")
    telemetry(
        "git-hooks", "fire", "post-rewrite", "amend", cwd=git.path, stdin=f"{shas[3]} {new}\n"
    )
    assert telemetry("blame", "other", "--json", cwd=git.path).json[0]["event_id"] == "two"
    assert [
        run["role"]
        for run in telemetry("log", "--limit", "1", "--json", cwd=git.path).json[0]["runs"]
    ] == ["base", "produced"]


def test_whose_lines_these_are_is_told_by_who_made_the_commit(
    history: tuple[Git, list[str]], telemetry: Telemetry
) -> None:
    git, shas = history
    assert telemetry("blame", "other", "--json", cwd=git.path).json[0]["event_id"] is None
    telemetry(
        "associate-commit",
        "four",
        "--commit",
        shas[2],
        "--role",
        "released",
        "--source",
        "ci",
        cwd=git.path,
    )
    assert telemetry("blame", "file", "--json", cwd=git.path).json[1]["event_id"] == "three"
    assert (
        telemetry("log", cwd=git.path)
        .out.splitlines()[-1]
        .startswith("4 commits: 2 llm, 0 ci, 0 manual, 2 without a run")
    )


def test_blame_of_a_file_that_is_gone_from_the_work_tree(
    make_git: Make, telemetry: Telemetry
) -> None:
    git = make_git()
    (git.path / "folder").mkdir()
    sha = change(git, "folder/file", "a\n", "first")
    shutil.rmtree(git.path / "folder")
    assert telemetry("blame", "folder/file", "--json", cwd=git.path).json[0]["commit_hash"] == sha


def test_blame_of_a_name_that_is_not_utf_8(make_git: Make, telemetry: Telemetry) -> None:
    git = make_git()
    name = os.fsdecode(b"f\xff")
    sha = change(git, name, "a\n", "first")
    assert telemetry("blame", name, "--json", cwd=git.path).json[0]["commit_hash"] == sha


@pytest.mark.parametrize("kind", ["fifo", "missing", "another file"])
def test_blame_heeds_no_list_of_commits_that_the_config_names(
    kind: str, history: tuple[Git, list[str]], telemetry: Telemetry, tmp_path: Path
) -> None:
    git, _ = history
    whole = telemetry("blame", "file", "--json", cwd=git.path).json
    named = tmp_path / "ignored"
    if kind == "fifo":
        os.mkfifo(named)
    elif kind == "another file":
        named.write_text("a secret\n")
    git("config", "blame.ignoreRevsFile", str(named))
    assert telemetry("blame", "file", "--json", cwd=git.path).json == whole


def test_a_partial_clone(
    history: tuple[Git, list[str]], telemetry: Telemetry, tmp_path: Path
) -> None:
    """git would fetch the files that lines are counted in, by programs that a config may name."""
    git, shas = history
    git("config", "uploadpack.allowFilter", "true")
    git(
        "clone",
        "--quiet",
        "--no-checkout",
        "--filter=blob:none",
        f"file://{git.path}",
        str(tmp_path / "partial"),
    )
    out = telemetry("log", cwd=tmp_path / "partial", env={"COLUMNS": "200"}).out
    assert all(sha[:10] in out for sha in shas)
    assert out.splitlines()[-1] == "4 commits: 2 llm, 0 ci, 0 manual, 2 without a run"
    assert (
        "Run git blame for the same once"
        in telemetry("blame", "file", cwd=tmp_path / "partial", code=2).err
    )


# query --commit A..B


def test_query_by_a_range(history: tuple[Git, list[str]], telemetry: Telemetry) -> None:
    git, shas = history

    def found(range_: str, *options: str, cwd: Path | None = git.path) -> list[str]:
        return sorted(
            telemetry("query", "--commit", range_, "-o", "ids", *options, cwd=cwd).out.split()
        )

    assert found("HEAD~2..HEAD") == ["four", "three", "two"]
    assert found(f"{shas[2]}..") == ["four"]
    assert found("HEAD..HEAD~1") == []
    assert found("HEAD~3...HEAD~1") == ["three", "two"]
    assert found("HEAD~2..HEAD", "--agent-name", "agent-two") == ["two"]
    assert telemetry("query", "--commit", "HEAD~2..HEAD", "--count", cwd=git.path).line == "3"
    assert (
        telemetry("stats", "--commit", "HEAD~2..HEAD", "--json", cwd=git.path).json[0]["runs"] == 3
    )


@pytest.mark.parametrize("range_", ["nope..HEAD", "..nope", "--all..HEAD", "HEAD..\n", "a..b..c"])
def test_a_range_that_is_none(
    range_: str, history: tuple[Git, list[str]], telemetry: Telemetry, tmp_path: Path
) -> None:
    git, _ = history
    assert (
        "is no range of commits"
        in telemetry("query", f"--commit={range_}", cwd=git.path, code=2).err
    )
    (tmp_path / "empty").mkdir()
    assert (
        "no repository"
        in telemetry("query", f"--commit={range_}", cwd=tmp_path / "empty", code=2).err
    )


def test_a_range_of_the_repository_that_is_named(
    history: tuple[Git, list[str]], telemetry: Telemetry
) -> None:
    git, _ = history
    git("remote", "add", "origin", "https://example.org/x/y.git")
    telemetry.start("--event-id", "five", cwd=git.path)
    telemetry("associate-commit", "five", cwd=git.path)
    assert (
        telemetry("query", "--commit", "HEAD~1..HEAD", "--repo", str(git.path), "-o", "ids").line
        == "five"
    )


def test_a_range_outside_of_a_repository_gets_advice_that_works(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    for repo in ((), ("--repo", "https://example.org/shop.git")):
        ran = telemetry("query", "--commit", "HEAD~1..HEAD", *repo, cwd=tmp_path, code=2)
        assert ("no repository here" in ran.err, "--repo" in ran.err) == (True, False)


# doctor --commit


def explained(telemetry: Telemetry, git: Git, revision: str, code: int) -> dict[str, object]:
    told: dict[str, object] = telemetry(
        "doctor", "--commit", revision, "--json", cwd=git.path, code=code
    ).json
    assert telemetry("doctor", "--commit", revision, cwd=git.path, code=code).out.startswith(
        f"{told['commit_hash']}: {told['reason']}\n"
    )
    return told


def committed(telemetry: Telemetry, git: Git, **env: str) -> str:
    git(
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        f"{time.monotonic_ns()}",
        env=telemetry.env | {"GIT_COMMITTER_DATE": ""} | env,
    )
    return git("rev-parse", "HEAD")


def test_doctor_says_why_a_commit_has_no_run(
    make_git: Make, telemetry: Telemetry, tmp_path: Path
) -> None:
    git = make_git()
    before = committed(telemetry, git)
    assert explained(telemetry, git, "HEAD", 1)["reason"] == "hook-not-installed"
    telemetry("git-hooks", "install", cwd=git.path)
    hook = git.path / ".git/hooks/post-commit"
    idle = committed(telemetry, git)
    assert explained(telemetry, git, idle[:8], 1)["reason"] == "no-run-open"
    git(
        "commit",
        "--quiet",
        "--amend",
        "--allow-empty",
        "-m",
        "amended",
        env=telemetry.env | {"GIT_COMMITTER_DATE": ""},
    )
    assert explained(telemetry, git, "HEAD", 1)["reason"] == "no-run-open"
    hook.chmod(0o644)
    missed = committed(telemetry, git)
    hook.chmod(0o755)
    assert explained(telemetry, git, missed, 1)["reason"] == "not-fired"
    unnamed = committed(telemetry, git, TELEMETRY_EVENT_ID="nobody")
    assert explained(telemetry, git, unnamed, 1)["reason"] == "no-run-open"
    telemetry("associate-commit", "nobody", cwd=git.path, code=3)
    assert explained(telemetry, git, unnamed, 1)["reason"] == "rejected"
    telemetry.start("--event-id", "run", cwd=git.path)
    found = committed(telemetry, git)
    assert explained(telemetry, git, found, 0)["runs"] == [
        {
            "event_id": "run",
            "agent_name": "tester",
            "job_type": "job",
            "role": "produced",
            "source": "manual",
        }
    ]
    (tmp_path / "empty").mkdir()
    for folder, sha in ((tmp_path / "empty", before), (git.path, "1234567")):
        assert (
            telemetry("doctor", "--commit", sha, "--json", cwd=folder, code=1).json["reason"]
            == "repository-unknown"
        )
    for revision in ("nope", "", "-x", "HEAD^{tree}"):
        assert "--commit" in telemetry("doctor", f"--commit={revision}", cwd=git.path, code=2).err


def test_doctor_says_that_an_association_waits_and_leaves_it_waiting(
    make_git: Make, telemetry: Telemetry
) -> None:
    git = make_git()
    telemetry("git-hooks", "install", cwd=git.path)
    telemetry.start("--event-id", "run", cwd=git.path)
    kept = telemetry.database.read_bytes()
    sha = committed(telemetry, git)
    telemetry.database.write_bytes(
        kept
    )  # a backup that was restored: what came after it waits in the journal
    before = telemetry.files()
    assert explained(telemetry, git, "HEAD", 1)["reason"] == "buffered"
    assert telemetry.files() == before
    telemetry("db", "drain")
    assert explained(telemetry, git, sha, 0)["reason"] == "associated"


@pytest.mark.parametrize("trouble", ["locked", "damaged", "newer"])
def test_doctor_says_of_a_commit_what_can_be_said_without_the_database(
    trouble: str, make_git: Make, telemetry: Telemetry
) -> None:
    git = make_git()
    telemetry("git-hooks", "install", cwd=git.path)
    idle = committed(telemetry, git)
    telemetry.start("--event-id", "run", cwd=git.path)
    sha = committed(telemetry, git)
    telemetry("run", "end", "run")
    with ExitStack() as undone:
        if trouble == "locked":
            undone.enter_context(held(EXCLUSIVE, telemetry.database))
        elif trouble == "damaged":
            telemetry.database.write_bytes(b"not a database, not at all\n" * 4000)
        else:
            telemetry.sql("PRAGMA user_version = 999")
        quickly = {"TELEMETRY_LOCK_TIMEOUT": "0.2"}
        for commit, reason in ((sha, "buffered"), (idle, "no-run-open")):
            ran = telemetry(
                "doctor", "--commit", commit, "--json", cwd=git.path, env=quickly, code=1
            )
            assert (ran.json["reason"], "told without the database" in ran.err) == (reason, True)


def test_doctor_looks_for_the_commit_in_its_own_place(make_git: Make, telemetry: Telemetry) -> None:
    """A SHA that stands in another field, or within another one's name, is no association."""
    git = make_git()
    sha = committed(telemetry, git)
    telemetry.start("--event-id", "run", "--no-git")
    telemetry.append(
        "commit.associate",
        "2026-01-02T03:04:05.678Z",
        run="run",
        commit_hash="f" * 40,
        role="produced",
        source="manual",
        author=f"{sha} <x@y>",
    )
    assert explained(telemetry, git, sha, 1)["reason"] == "hook-not-installed"


def test_doctor_of_a_commit_from_before_the_hook(make_git: Make, telemetry: Telemetry) -> None:
    git = make_git()
    sha = git.commit()
    telemetry("git-hooks", "install", cwd=git.path)
    assert "before the hook was installed" in str(explained(telemetry, git, sha, 1)["explanation"])
