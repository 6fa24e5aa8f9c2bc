"""A commit must not notice the hook: the same exit code, output and refs, whatever has become of the program or its database."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.repository import Bare, Repository
from support.storage import EXCLUSIVE, FLOCKED, held, ids

#: Trouble → what it does; returns what has to be undone, if anything, before the record is looked for.
TROUBLES: dict[str, Callable[[Telemetry, Repository, ExitStack], None]] = {}


def trouble(
    lay: Callable[[Telemetry, Repository, ExitStack], None],
) -> Callable[[Telemetry, Repository, ExitStack], None]:
    TROUBLES[lay.__name__] = lay
    return lay


@trouble
def none_at_all(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    pass


@trouble
def database_locked(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    undone.enter_context(held(EXCLUSIVE, telemetry.database))


@trouble
def writer_lock_held(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    undone.enter_context(held(FLOCKED, Path(f"{telemetry.database}.lock")))


@trouble
def journal_lock_held(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    undone.enter_context(held(FLOCKED, telemetry.raw / ".lock"))


@trouble
def everything_locked(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    for what, path in (
        (EXCLUSIVE, telemetry.database),
        (FLOCKED, Path(f"{telemetry.database}.lock")),
        (FLOCKED, telemetry.raw / ".lock"),
    ):
        undone.enter_context(held(what, path))


@trouble
def database_damaged(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    kept = telemetry.database.read_bytes()
    telemetry.database.write_bytes(b"not a database, not at all\n" * 4000)
    undone.callback(telemetry.database.write_bytes, kept)


@trouble
def database_cut(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    kept = telemetry.database.read_bytes()
    telemetry.database.write_bytes(kept[:5000])
    undone.callback(telemetry.database.write_bytes, kept)


@trouble
def database_deleted(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    telemetry.database.unlink()


@trouble
def database_newer(telemetry: Telemetry, repo: Repository, undone: ExitStack) -> None:
    version = telemetry.sql("PRAGMA user_version")[0][0]
    telemetry.sql("PRAGMA user_version = 999")
    undone.callback(telemetry.sql, f"PRAGMA user_version = {version}")


def commit(repo: Repository) -> tuple[int, str, str]:
    """A commit's exit code and output without its SHA."""
    (repo.path / "file").write_text(f"{time.monotonic_ns()}\n")
    repo("add", "file")
    done = repo.ran("commit", "-m", "the same")
    return done.returncode, re.sub(r" [0-9a-f]{7,}\]", " SHA]", done.stdout), done.stderr


@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("named", [True, False], ids=["named", "open"])
def test_a_commit_is_the_same_and_its_run_is_found_in_the_end(
    name: str, named: bool, repo: Repository, telemetry: Telemetry
) -> None:
    repo.change()
    telemetry.start("--event-id", "run", cwd=repo.path)
    if named:
        repo.env["TELEMETRY_EVENT_ID"] = "run"
    (repo.path / ".git/hooks/post-commit").rename(repo.path / "aside")
    without = commit(repo)
    (repo.path / "aside").rename(repo.path / ".git/hooks/post-commit")
    before = repo("rev-parse", "HEAD")
    with ExitStack() as undone:
        TROUBLES[name](telemetry, repo, undone)
        done = commit(repo)
    assert done == without
    assert (repo("rev-parse", "HEAD~1"), repo("for-each-ref", "--format=%(refname)")) == (
        before,
        "refs/heads/main",
    )
    assert repo.runs_of("HEAD") == ["run"]


@pytest.mark.skipif(
    os.geteuid() == 0 and sys.platform != "linux", reason="root may write everything"
)
def test_a_base_that_may_not_be_written(
    repo: Repository, telemetry: Telemetry, tmpfs: Callable[[str], Path]
) -> None:
    base = tmpfs("2m")
    repo.env["TELEMETRY_BASE_DIR"] = telemetry.env["TELEMETRY_BASE_DIR"] = str(base)
    repo.change()
    telemetry.start("--event-id", "run", cwd=repo.path)
    without = commit(repo)
    subprocess.run(["mount", "-o", "remount,ro", str(base)], check=True)
    assert commit(repo) == without
    subprocess.run(["mount", "-o", "remount,rw", str(base)], check=True)
    repo.change()
    assert repo.runs_of("HEAD") == ["run"]


@pytest.mark.parametrize(
    "left", ["nothing", "a program without its Python", "a program that fails", "a folder"]
)
def test_the_program_is_removed(
    left: str, repo: Repository, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo.change()
    without = commit(repo)
    program = tmp_path / "telemetry"
    if left == "a folder":
        program.mkdir()
    elif left != "nothing":
        program.write_text(
            "#!/nowhere/python\n"
            if "Python" in left
            else "#!/bin/sh\necho out; echo err >&2; exit 9\n"
        )
        program.chmod(0o755)
    for path in (repo.path / ".git/hooks").glob("post-*"):
        if not path.name.endswith(".sample"):
            path.write_text(path.read_text().replace(str(PROGRAM), str(program)))
    repo.env["PATH"] = "/usr/bin:/bin"
    assert commit(repo) == without
    assert repo.ran("commit", "--quiet", "--amend", "-m", "x").stderr == ""


def test_the_program_has_moved(repo: Repository, telemetry: Telemetry, tmp_path: Path) -> None:
    """The path that was written down leads nowhere; the one on PATH is taken."""
    hook = repo.path / ".git/hooks/post-commit"
    hook.write_text(hook.read_text().replace(str(PROGRAM), "/nowhere/telemetry"))
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["run"]


ARGVS: list[list[str]] = [
    [],
    ["post-commit", "--json", "-x", "--", "much", "more"],
    ["pre-push"],
    ["post-rewrite"],
    ["post-rewrite", "amend"],
    ["post-merge"],
    ["post-merge", "1"],
    ["--hooks"],
    ["\udcff"],
]
ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"TELEMETRY_DISABLED": "1"},
    {"TELEMETRY_LOCK_TIMEOUT": "nonsense"},
    {"TELEMETRY_DB_SYNCHRONOUS": "OFF"},
    {"TELEMETRY_DEBUG": "1", "TELEMETRY_EVENT_ID": "-x y"},
    {"XDG_CONFIG_HOME": "/dev/broken"},
    {"HOME": "", "TELEMETRY_BASE_DIR": ""},
]


@pytest.mark.parametrize(
    ("argv", "env"),
    [*((argv, {}) for argv in ARGVS), *((["post-commit"], env) for env in ENVIRONMENTS)],
    ids=str,
)
def test_fire_never_says_or_fails_anything(
    argv: list[str], env: dict[str, str], repo: Repository, telemetry: Telemetry
) -> None:
    repo.change()
    if "XDG_CONFIG_HOME" in env:
        config = telemetry.home / "broken" / "telemetry" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("= = [[\n")
        env = {"XDG_CONFIG_HOME": str(telemetry.home / "broken")}
    for cwd in (repo.path, telemetry.home):
        words: list[Path | str | bytes] = [PROGRAM, "git-hooks", "fire", *map(os.fsencode, argv)]
        done = subprocess.run(
            words, cwd=cwd, env=repo.env | env, input=b"x y\n", capture_output=True, timeout=60
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_fire_in_a_folder_that_is_gone_and_with_closed_streams(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {PROGRAM} git-hooks fire post-commit <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", script], env=telemetry.env, timeout=60).returncode == 0


def test_disabled_records_nothing(repo: Repository, telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "run", cwd=repo.path)
    before = telemetry.files()
    repo.change(env={"TELEMETRY_DISABLED": "1"})
    assert telemetry.files() == before


def test_a_git_that_hangs(repo: Repository, telemetry: Telemetry, tmp_path: Path) -> None:
    """The hook is called by a real git and finds one on PATH that never answers."""
    repo.change()
    repo("pack-refs", "--all")
    repo("repack", "-a", "-d", "--quiet")
    telemetry.start("--event-id", "run", cwd=repo.path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\nexec sleep 3600\n")
    (tmp_path / "bin/git").chmod(0o755)
    env = repo.env | {"PATH": f"{tmp_path}/bin:{repo.env['PATH']}"}
    done = subprocess.run(
        [PROGRAM, "git-hooks", "fire", "post-commit"],
        cwd=repo.path,
        env=env,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert repo.runs_of("HEAD") == ["run"]


def test_a_journal_that_nobody_drained(repo: Repository, telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "run", cwd=repo.path)
    segment = max(telemetry.raw.glob("*.ndjson"))
    line = next(
        line for line in segment.read_bytes().splitlines(keepends=True) if b"run.create" in line
    )
    with segment.open("ab") as file:
        file.writelines([line] * 50_000)
    sha = repo.change()
    ran = telemetry("query", "--count", env={"TELEMETRY_LOCK_TIMEOUT": "0"})
    assert "records wait to be applied" in ran.err
    telemetry("db", "drain")
    assert telemetry("query", "--commit", sha, "-o", "ids").line == "run"


def test_32_commits_at_once(telemetry: Telemetry, bare_repository: Bare) -> None:
    repos = [bare_repository(f"repo{number}") for number in range(8)]
    for number, repo in enumerate(repos):
        telemetry("git-hooks", "install", cwd=repo.path)
        telemetry.start("--event-id", f"run{number}", cwd=repo.path)
    script = 'for n in 1 2 3 4; do git commit --quiet --allow-empty -m "$0 $n" || exit 1; done'
    running = [
        subprocess.Popen(
            ["sh", "-c", script, repo.path.name],
            cwd=repo.path,
            env=repo.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for repo in repos
    ]
    assert [(process.communicate()[0], process.returncode) for process in running] == [(b"", 0)] * 8
    for number, repo in enumerate(repos):
        assert all(
            repo.runs_of(sha) == [f"run{number}"] for sha in repo("rev-list", "HEAD").split()
        )
    assert ids(telemetry) == sorted(f"run{number}" for number in range(8))
