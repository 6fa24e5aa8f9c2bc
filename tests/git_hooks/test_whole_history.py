"""A history with everything in it: in the end every commit of every run is found, under its old SHA and its new one."""

import random
import subprocess
import sys
from pathlib import Path

from support import Telemetry
from support.repository import Repository


class Book:
    """What must be found in the end: SHA → the runs behind it, kept by hand while history is made."""

    def __init__(self, repo: Repository, telemetry: Telemetry) -> None:
        self.repo = repo
        self.telemetry = telemetry
        self.runs: dict[str, set[str]] = {}
        self.number = 0

    def commit(self, name: str, text: str = "text\n") -> tuple[str, str]:
        """A commit of a run of its own: (run, SHA)."""
        self.number += 1
        run = f"run-{self.number:03}"
        self.telemetry.start("--event-id", run, cwd=self.repo.path)
        sha = self.repo.change(name, text, message=f"{run}: {name}")
        self.telemetry("run", "end", run)
        self.runs[sha] = {run}
        return run, sha

    def carried(self, new: str, *olds: str) -> None:
        self.runs.setdefault(new, set()).update(*(self.runs[old] for old in olds))

    def check(self) -> None:
        ledger = self.telemetry(
            "sql", "SELECT DISTINCT commit_hash, event_id FROM run_commits", "--json"
        ).json
        found: dict[str, set[str]] = {}
        for row in ledger:
            found.setdefault(row["commit_hash"], set()).add(row["event_id"])
        assert {sha: found.get(sha, set()) for sha in self.runs} == self.runs
        assert set(found) == set(self.runs)
        for sha in random.Random(1).sample(sorted(self.runs), 5):
            assert set(self.repo.runs_of(sha)) == self.runs[sha]


def big_rebase(book: Book, tmp_path: Path) -> None:
    """50 commits of 50 runs onto a main that moved: every seventh dropped, every fifth squashed into the one before; after an abort."""
    repo = book.repo
    repo("checkout", "--quiet", "-b", "topic")
    olds = [book.commit(f"topic-{number:02}")[1] for number in range(50)]
    repo("checkout", "--quiet", "main")
    repo.change("ahead")
    repo.change("topic-10", "a conflict\n")
    repo("checkout", "--quiet", "topic")
    assert (repo.path / "topic-10").exists()
    repo("rebase", "main", check=False)
    assert (repo.path / ".git/rebase-merge").is_dir()
    repo("rebase", "--abort")
    assert repo("rev-parse", "topic") == olds[-1]
    repo("checkout", "--quiet", "main")
    repo("reset", "--quiet", "--hard", "HEAD~1")
    repo("checkout", "--quiet", "topic")
    steps = [
        "drop" if number % 7 == 6 else "squash" if number % 5 == 4 else "pick"
        for number in range(50)
    ]
    editor = tmp_path / "edit"
    editor.write_text(
        f"#!{sys.executable}\nimport sys\nsteps = {steps!r}\nlines = [line for line in open(sys.argv[1]) if line.startswith('pick ')]\n"
        "assert len(lines) == len(steps)\n"
        "open(sys.argv[1], 'w').writelines(step + line[4:] for step, line in zip(steps, lines))\n"
    )
    editor.chmod(0o755)
    repo(
        "-c",
        f"sequence.editor={editor}",
        "-c",
        "core.editor=true",
        "rebase",
        "--quiet",
        "-i",
        "main",
    )
    groups: list[list[str]] = []
    for step, old in zip(steps, olds, strict=True):
        if step == "pick":
            groups.append([old])
        elif step == "squash":
            groups[-1].append(old)
    news = repo("rev-list", "--reverse", "main..topic").split()
    assert len(news) == len(groups)
    for new, group in zip(news, groups, strict=True):
        book.carried(new, *group)


def two_work_trees_at_once(book: Book, tmp_path: Path) -> None:
    trees = []
    for name in ("left", "right"):
        book.repo("worktree", "add", "--quiet", "-b", name, str(tmp_path / name), "main")
        trees.append(type(book.repo)(tmp_path / name, book.telemetry))
        book.telemetry.start("--event-id", name, cwd=tmp_path / name)
    script = 'for n in $(seq 10); do git commit --quiet --allow-empty -m "$0 $n" || exit 1; done'
    processes = [
        subprocess.Popen(["sh", "-c", script, tree.path.name], cwd=tree.path, env=tree.env)
        for tree in trees
    ]
    assert [process.wait() for process in processes] == [0, 0]
    for tree in trees:
        book.telemetry("run", "end", tree.path.name)
        for sha in tree("rev-list", "main..HEAD").split():
            book.runs[sha] = {tree.path.name}


def server_side_squash(book: Book, tmp_path: Path) -> None:
    repo = book.repo
    repo("checkout", "--quiet", "-b", "feature", "main")
    olds = [book.commit(f"feature-{number}")[1] for number in range(3)]
    repo("checkout", "--quiet", "main")
    repo("clone", "--quiet", str(repo.path), str(tmp_path / "server"))
    server = type(repo)(tmp_path / "server", book.telemetry)
    server("fetch", "--quiet", "origin", "feature:feature")
    server.change("meanwhile")
    server("merge", "--quiet", "--squash", "feature")
    server("commit", "--quiet", "-m", "feature (#7)")
    repo("pull", "--quiet", "--ff-only", str(server.path), "main")
    squashed = repo("rev-parse", "HEAD")
    rows = book.telemetry("commits", "relink", "main~2..main", "--json", cwd=repo.path).json
    assert [row["commit_hash"] for row in rows if row["status"] == "linked"] == [squashed]
    book.carried(squashed, *olds)


def ambiguous(book: Book) -> None:
    """Two runs made the same change on two branches; by hand it came to main a third time."""
    repo = book.repo
    for name in ("first", "second"):
        repo("checkout", "--quiet", "-b", name, "main")
        book.commit("twice", "the same\n")
    repo("checkout", "--quiet", "main")
    by_hand = repo.change("twice", "the same\n")
    rows = book.telemetry("commits", "relink", "main~1..main", "--json", cwd=repo.path).json
    (row,) = [row for row in rows if row["commit_hash"] == by_hand]
    assert (row["status"], row["replaces"]) == ("unlinked", [])
    assert "ambiguous" in row["reason"]


def test_every_commit_of_every_run_is_found(
    repo: Repository, telemetry: Telemetry, tmp_path: Path
) -> None:
    book = Book(repo, telemetry)
    repo.change("base")
    for number in range(3):
        _, old = book.commit(f"amended-{number}")
        repo("commit", "--quiet", "--amend", "-m", f"better {number}")
        book.carried(repo("rev-parse", "HEAD"), old)
    big_rebase(book, tmp_path)
    repo("checkout", "--quiet", "main")
    telemetry.start("--event-id", "merging", cwd=repo.path)
    picked = repo("rev-parse", "topic~3")
    repo("cherry-pick", picked)
    book.runs[repo("rev-parse", "HEAD")] = {"merging"}
    repo("merge", "--quiet", "--no-ff", "-m", "merged", "topic")
    book.runs[repo("rev-parse", "HEAD")] = {"merging"}
    telemetry("run", "end", "merging")
    two_work_trees_at_once(book, tmp_path)
    server_side_squash(book, tmp_path)
    ambiguous(book)
    book.check()
    assert telemetry("status", "--json").json["rejected"] == 0
    listed = telemetry("log", "--json", "main", cwd=repo.path).json
    assert {
        row["commit_hash"]: {run["event_id"] for run in row["runs"]}
        for row in listed
        if row["runs"]
    } == {
        row["commit_hash"]: book.runs[row["commit_hash"]]
        for row in listed
        if row["commit_hash"] in book.runs
    }
