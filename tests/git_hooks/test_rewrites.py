"""Rewritten commits keep their runs: amend, rebase with drops, squashes and an abort, and what git says in other ways."""

import json
import subprocess

import pytest
from support import PROGRAM, Telemetry
from support.repository import Repository


def start(repo: Repository, telemetry: Telemetry, name: str) -> None:
    telemetry.start("--event-id", name, cwd=repo.path)


def commit_of(telemetry: Telemetry, run: str) -> str:
    sha: str = telemetry.run(run)["git_commit_hash"]
    return sha


def rebase(repo: Repository, *argv: str, todo: str, check: bool = True) -> None:
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


def test_amend(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "one")
    old = repo.change()
    telemetry("run", "end", "one")
    start(repo, telemetry, "two")
    repo("commit", "--quiet", "--amend", "-m", "better")
    new = repo("rev-parse", "HEAD")
    # The run that is open now made the amended commit; what it stands for keeps its own.
    assert (repo.runs_of(old), repo.runs_of("HEAD")) == (["one"], ["one", "two"])
    assert (commit_of(telemetry, "one"), commit_of(telemetry, "two")) == (new, new)
    rows = {
        (row["event_id"], row["commit_hash"]): row["superseded_by"]
        for row in telemetry("commits", "--commit", old[:10], "--json").json
    }
    assert rows == {("one", old): new}
    table = telemetry("commits", "one").out
    assert new[:10] in table.splitlines()[-2]


def test_amend_of_a_commit_that_was_named_by_a_part_of_its_sha(
    repo: Repository, telemetry: Telemetry
) -> None:
    old = repo.change()
    telemetry.start("--event-id", "one", "--no-git")
    telemetry("associate-commit", "one", "--commit", old[:8], "--no-git")
    telemetry("run", "end", "one")
    repo("commit", "--quiet", "--amend", "-m", "better")
    new = repo("rev-parse", "HEAD")
    assert (repo.runs_of(old), repo.runs_of("HEAD"), commit_of(telemetry, "one")) == (
        ["one"],
        ["one"],
        new,
    )


@pytest.mark.parametrize("onto", ["HEAD~3", "other"], ids=["in place", "onto another"])
def test_a_rebase_that_amends_each_commit(
    onto: str, repo: Repository, telemetry: Telemetry
) -> None:
    """git names what the commits became before they were amended, and the amends one by one."""
    repo.change("base")
    repo("branch", "other")
    start(repo, telemetry, "run")
    olds = [repo.change(name) for name in "abc"]
    telemetry("run", "end", "run")
    repo("checkout", "--quiet", "other")
    repo.change("ahead")
    repo("checkout", "--quiet", "main")
    repo(
        "rebase",
        "--quiet",
        "--force-rebase",
        "-x",
        "git commit --quiet --amend --no-edit --reset-author -m better",
        onto,
    )
    for sha in (*olds, "HEAD", "HEAD~1", "HEAD~2"):
        assert repo.runs_of(sha) == ["run"], sha
    assert commit_of(telemetry, "run") == repo("rev-parse", "HEAD")


@pytest.mark.parametrize("ending", ["--abort", "--continue"])
def test_what_is_amended_in_a_rebase_stays_only_if_the_rebase_does(
    ending: str, repo: Repository, telemetry: Telemetry
) -> None:
    repo.change("base")
    start(repo, telemetry, "one")
    olds = [repo.change("a")]
    telemetry("run", "end", "one")
    start(repo, telemetry, "two")
    olds += [repo.change("b"), repo.change("c")]
    telemetry("run", "end", "two")
    rebase(repo, "HEAD~3", todo="-e 2s/pick/fixup/ -e 2abreak")
    repo("commit", "--quiet", "--amend", "-m", "looked at")
    repo("-c", "core.editor=true", "rebase", ending)
    if ending == "--abort":
        assert repo("rev-parse", "HEAD") == olds[2]
        assert (commit_of(telemetry, "one"), commit_of(telemetry, "two")) == (olds[0], olds[2])
        assert [row["superseded_by"] for row in telemetry("commits", "one", "--json").json] == [
            None
        ]
    else:
        assert (repo.runs_of("HEAD~1"), repo.runs_of("HEAD")) == (["one", "two"], ["two"])
        assert [repo.runs_of(sha) for sha in olds] == [["one"], ["two"], ["two"]]
        assert commit_of(telemetry, "one") == repo("rev-parse", "HEAD~1")
    assert not list(repo.path.glob(".git/**/telemetry-amended"))


def test_amend_of_a_commit_without_a_run_records_nothing(
    repo: Repository, telemetry: Telemetry
) -> None:
    repo.change()
    telemetry.start("--no-git")
    before = telemetry.files()
    repo("commit", "--quiet", "--amend", "-m", "better")
    assert telemetry.files() == before


def test_rebase_with_drop_squash_and_fixup(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    olds = {}
    for name in "abcde":
        start(repo, telemetry, name)
        olds[name] = repo.change(name, message=name)
        telemetry("run", "end", name)
    repo("checkout", "--quiet", "main")
    repo.change("ahead")
    start(repo, telemetry, "rebasing")
    repo("checkout", "--quiet", "topic")
    rebase(repo, "main", todo="-e '2s/pick/squash/' -e '3s/pick/drop/' -e '5s/pick/fixup/'")
    squashed, fixed = repo("rev-parse", "HEAD~1"), repo("rev-parse", "HEAD")
    assert (repo.runs_of(squashed), repo.runs_of(fixed)) == (["a", "b"], ["d", "e"])
    assert {name: repo.runs_of(old) for name, old in olds.items()} == {
        name: [name] for name in olds
    }
    assert [commit_of(telemetry, name) for name in "abcde"] == [
        squashed,
        squashed,
        olds["c"],
        fixed,
        fixed,
    ]
    # The replayed commits are not the open run's.
    assert telemetry("commits", "rebasing", "--json").json == []


@pytest.mark.parametrize("how", ["--merge", "--apply"])
def test_plain_rebase(how: str, repo: Repository, telemetry: Telemetry) -> None:
    repo.change("base")
    repo("checkout", "--quiet", "-b", "topic")
    start(repo, telemetry, "run")
    olds = [repo.change(name) for name in "abc"]
    repo("checkout", "--quiet", "main")
    telemetry("run", "end", "run")
    repo.change("ahead")
    repo("checkout", "--quiet", "topic")
    repo("rebase", "--quiet", how, "main")
    news = repo("rev-list", "--reverse", "main..topic").split()
    assert len(set(olds + news)) == 6
    assert [repo.runs_of(sha) for sha in (*olds, *news)] == [["run"]] * 6
    assert commit_of(telemetry, "run") == news[-1]


def test_an_aborted_rebase_changes_nothing(repo: Repository, telemetry: Telemetry) -> None:
    repo.change("file", "base\n")
    repo("checkout", "--quiet", "-b", "topic")
    start(repo, telemetry, "run")
    clean, clash = repo.change("other"), repo.change("file", "topic\n")
    repo("checkout", "--quiet", "main")
    telemetry("run", "end", "run")
    repo.change("file", "main\n")
    repo("checkout", "--quiet", "topic")
    repo("rebase", "main", check=False)
    assert (repo.path / ".git/rebase-merge").is_dir()
    before = telemetry("commits", "run", "--json").json
    repo("rebase", "--abort")
    assert telemetry("commits", "run", "--json").json == before
    assert [row["commit_hash"] for row in before] == [clean, clash]
    assert not any(row["superseded_by"] for row in before)


def test_a_conflict_that_is_resolved_and_committed_by_hand(
    repo: Repository, telemetry: Telemetry
) -> None:
    repo.change("file", "base\n")
    repo("checkout", "--quiet", "-b", "topic")
    start(repo, telemetry, "run")
    old = repo.change("file", "topic\n")
    telemetry("run", "end", "run")
    repo("checkout", "--quiet", "main")
    repo.change("file", "main\n")
    repo("checkout", "--quiet", "topic")
    start(repo, telemetry, "resolving")
    repo("rebase", "main", check=False)
    (repo.path / "file").write_text("both\n")
    repo("add", "file")
    repo("commit", "--quiet", "-m", "resolved")
    repo("-c", "core.editor=true", "rebase", "--continue")
    # Who made it is known as well as whose place it took.
    assert (repo.runs_of(old), repo.runs_of("HEAD")) == (["run"], ["resolving", "run"])
    assert [row["commit_hash"] for row in telemetry("commits", "resolving", "--json").json] == [
        repo("rev-parse", "HEAD")
    ]


def test_back_to_an_old_commit_and_on_from_there(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "run")
    first = repo.change()
    telemetry("run", "end", "run")
    repo("commit", "--quiet", "--amend", "-m", "second")
    second = repo("rev-parse", "HEAD")
    repo("reset", "--quiet", "--hard", first)
    repo("commit", "--quiet", "--amend", "-m", "third")
    third = repo("rev-parse", "HEAD")
    assert [repo.runs_of(sha) for sha in (first, second, third)] == [["run"]] * 3


def fire(
    telemetry: Telemetry,
    repo: Repository,
    *arguments: str,
    stdin: str = "",
    env: dict[str, str] | None = None,
) -> None:
    done = subprocess.run(
        [PROGRAM, "git-hooks", "fire", *arguments],
        cwd=repo.path,
        env=repo.env | (env or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_said_twice_and_too_late_it_changes_nothing(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "run")
    first = repo.change()
    telemetry("run", "end", "run")
    shas = [first]
    for message in ("second", "third"):
        repo("commit", "--quiet", "--amend", "-m", message)
        shas.append(repo("rev-parse", "HEAD"))
    before = telemetry.sql(
        "SELECT event_id, commit_hash, superseded_by FROM run_commits ORDER BY id"
    )
    assert before == [("run", shas[0], shas[1]), ("run", shas[1], shas[2]), ("run", shas[2], None)]
    fire(telemetry, repo, "post-rewrite", "amend", stdin=f"{shas[0]} {shas[1]}\n")
    fire(
        telemetry,
        repo,
        "post-rewrite",
        "rebase",
        stdin=f"{shas[1]} {shas[2]} more words\n{shas[2]} {shas[2]}\nnonsense\n\n",
    )
    assert (
        telemetry.sql("SELECT event_id, commit_hash, superseded_by FROM run_commits ORDER BY id")
        == before
    )
    # There and back again: the first one is the current one.
    fire(telemetry, repo, "post-rewrite", "amend", stdin=f"{shas[2]} {first}\n")
    assert telemetry.run("run")["git_commit_hash"] == first
    assert telemetry.sql("SELECT commit_hash FROM run_commits WHERE superseded_by IS NULL") == [
        (first,)
    ]


def test_pairs_that_nobody_hands_on_are_found(repo: Repository, telemetry: Telemetry) -> None:
    """As under pre-commit, which closes the stdin of what it runs."""
    (repo.path / ".git/hooks/post-rewrite").write_text(
        "#!/bin/sh\ntelemetry git-hooks fire post-rewrite </dev/null\n"
    )
    repo.change("base")
    start(repo, telemetry, "run")
    old = repo.change("a")
    telemetry("run", "end", "run")
    repo("commit", "--quiet", "--amend", "-m", "amended")
    amended = repo("rev-parse", "HEAD")
    assert repo.runs_of(amended) == ["run"]
    rebase(repo, "--force-rebase", "HEAD~1", todo="-e '1s/pick/reword/'")
    assert repo("rev-parse", "HEAD") != amended
    assert [repo.runs_of(sha) for sha in (old, amended, "HEAD")] == [["run"]] * 3


def test_a_writer_that_never_ends_is_not_waited_for(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "run")
    old, other, cut = repo.change(), repo.change(), repo.change()
    begun = [
        subprocess.Popen(
            [PROGRAM, "git-hooks", "fire", "post-rewrite", "amend"],
            cwd=repo.path,
            env=repo.env,
            stdin=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    assert begun[0].stdin
    assert begun[1].stdin
    with begun[0].stdin as told, begun[1].stdin:
        # The second line has no end yet, and the second writer says nothing.
        told.write(f"{old} {'b' * 40}\n{other} {'c' * 40}".encode())
        told.flush()
        assert [process.wait(60) for process in begun] == [0, 0]
    assert [repo_runs(telemetry, sha) for sha in ("b" * 40, "c" * 40, cut)] == ["run", "", "run"]
    assert telemetry("commits", "--commit", cut, "--json").json[0]["superseded_by"] is None


def repo_runs(telemetry: Telemetry, sha: str) -> str:
    return telemetry("query", "--commit", sha, "-o", "ids").line


def test_only_what_may_have_a_run_is_written_down(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "run")
    old = repo.change()
    telemetry("run", "end", "run")
    # The second one carries on what the first one carried; of the others nothing is known.
    pairs = [("1" * 40, "2" * 40), (old, "a" * 40), ("a" * 40, "b" * 40), ("3" * 40, "4" * 40)]
    fire(
        telemetry,
        repo,
        "post-rewrite",
        "rebase",
        stdin="".join(f"{old} {new}\n" for old, new in pairs),
    )
    (line,) = [
        line
        for line in max(telemetry.raw.glob("ops_*.ndjson")).read_text().splitlines()
        if "commit.rewrite" in line
    ]
    assert json.loads(line)["data"]["pairs"] == [[old, "a" * 40], ["a" * 40, "b" * 40]]
    assert repo_runs(telemetry, "b" * 40) == "run"


def test_every_role_is_carried_on(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "run")
    old = repo.change()
    telemetry("associate-commit", "run", "--role", "base", "--commit", old, cwd=repo.path)
    telemetry("run", "end", "run")
    repo("commit", "--quiet", "--amend", "-m", "new")
    rows = telemetry("commits", "--commit", repo("rev-parse", "HEAD"), "--json").json
    assert {row["role"] for row in rows} == {"produced", "base"}


def test_a_rebuilt_database_is_the_same(repo: Repository, telemetry: Telemetry) -> None:
    start(repo, telemetry, "run")
    repo.change()
    repo("commit", "--quiet", "--amend", "-m", "new")
    query = "SELECT event_id, commit_hash, role, source, author, timestamp, superseded_by, associated_at, op_id FROM run_commits ORDER BY id"
    before = telemetry.sql(query)
    telemetry("db", "rebuild")
    assert telemetry.sql(query) == before


def test_nothing_is_heard_from_a_closed_stdin(repo: Repository, telemetry: Telemetry) -> None:
    repo.change()
    done = subprocess.run(
        ["sh", "-c", f"exec {PROGRAM} git-hooks fire post-rewrite amend <&-"],
        cwd=repo.path,
        env=repo.env,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
