"""Which open run a commit is of: its process tree, its work tree, its machine, and whether the environment's run still runs.

Each is tried twice: where the database can be asked, and where it lags behind, so that the journal's order decides.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.repository import Bare, Repository

from telemetry_cli.core import clock, processes

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
Start = Callable[..., None]


@pytest.fixture(params=["applied", "lagging"])
def start(request: pytest.FixtureRequest, telemetry: Telemetry) -> Start:
    """Record a run that was started in a work tree; the newest one last."""
    telemetry.start("--event-id", "first", "--no-git")

    def record(event_id: str, tree: Path, status: str = "running", **more: object) -> None:
        git_dir = subprocess.run(
            ["git", "rev-parse", "--absolute-git-dir"],
            cwd=tree,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        moment = clock.stamp(clock.now())
        run = {
            "event_id": event_id,
            "run_id": event_id,
            "agent_name": "a",
            "job_type": "j",
            "status": status,
            "start_time": moment,
        }
        place = {"host": os.uname().nodename, "git_dir": git_dir, "boot_id": processes.place()}
        made = run | place | more
        telemetry.append(
            "run.create",
            moment,
            **{name: value for name, value in made.items() if value is not None},
        )
        if request.param == "applied":
            telemetry("db", "drain")

    return record


@pytest.fixture
def side(repo: Repository, telemetry: Telemetry, tmp_path: Path) -> Repository:
    """A linked work tree of `repo`."""
    repo.change()
    repo("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    return Repository(tmp_path / "side", telemetry)


# Process trees


def wrapped(pid: int) -> dict[str, object]:
    """What `run exec` records of itself and its command."""
    process_started, boot_id = processes.identity(pid)
    return {
        "pid": pid,
        "process_started": process_started,
        "boot_id": boot_id,
        "context": {"process.command_args": ["x"]},
    }


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that this test's git is not started by."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        yield process.pid


@linux
def test_wrapped_command_has_only_the_commits_of_its_process_tree(
    repo: Repository, start: Start, stranger: int
) -> None:
    start("coder", repo.path)
    start("watcher", repo.path, **wrapped(stranger))
    repo.change()
    assert repo.runs_of("HEAD") == ["coder"]
    start("around", repo.path, **wrapped(os.getpid()))
    repo.change()
    assert repo.runs_of("HEAD") == ["around"]


@linux
def test_process_of_the_same_number_is_not_around(repo: Repository, start: Start) -> None:
    start("earlier", repo.path, **wrapped(os.getpid()) | {"process_started": "1"})
    repo.change()
    assert repo.runs_of("HEAD") == []


@linux
def test_run_of_a_host_program_has_commits_made_outside_of_it(
    repo: Repository, start: Start, stranger: int
) -> None:
    start(
        "notebook",
        repo.path,
        **wrapped(stranger)
        | {"context": {"said": 'the key "process.command_args": stands in a text'}},
    )
    repo.change()
    assert repo.runs_of("HEAD") == ["notebook"]


@linux
@pytest.mark.parametrize(
    "script",
    [
        "git commit",
        "env -u TELEMETRY_EVENT_ID git commit",
        "env -u TELEMETRY_EVENT_ID setsid --wait git commit",
    ],
)
def test_commit_inside_a_wrapped_command_is_its_own(
    script: str, repo: Repository, telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "coder", cwd=repo.path)
    command = [
        str(PROGRAM),
        "run",
        "exec",
        "--event-id",
        "inner",
        "--",
        "sh",
        "-c",
        f"{script} -q --allow-empty -m inside",
    ]
    subprocess.run(command, cwd=repo.path, env=repo.env, check=True, timeout=120)
    assert repo.runs_of("HEAD") == ["inner"]


@linux
def test_commit_beside_a_wrapped_command_is_not_its_own(
    repo: Repository, telemetry: Telemetry
) -> None:
    command = [
        str(PROGRAM),
        "run",
        "exec",
        "--event-id",
        "watcher",
        "--",
        "sh",
        "-c",
        "echo up; cat",
    ]
    with subprocess.Popen(
        command, cwd=repo.path, env=repo.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as watcher:
        assert watcher.stdout
        assert watcher.stdout.readline() == b"up\n"
        repo.change()
        assert repo.runs_of("HEAD") == []
        assert (
            "counts inside its process tree alone"
            in telemetry("doctor", "--commit", "HEAD", cwd=repo.path, code=1).out
        )
    assert telemetry.run("watcher")["git_commit_hash"] is None


# The environment


@pytest.mark.parametrize("named", ["success", "unknown", "not \udcff text", "@nobody", " "])
def test_environment_that_names_no_running_run_does_not_count(
    named: str, repo: Repository, start: Start
) -> None:
    start("success", repo.path, status="success")
    repo.change(env={"TELEMETRY_EVENT_ID": named})
    assert repo.runs_of("HEAD") == []
    start("open", repo.path)
    repo.change(env={"TELEMETRY_EVENT_ID": named})
    assert repo.runs_of("HEAD") == ["open"]


def test_environment_that_names_a_running_run_comes_first(
    repo: Repository, start: Start, tmp_path: Path
) -> None:
    start(
        "elsewhere",
        repo.path,
        git_dir=str(tmp_path / "elsewhere"),
        boot_id="another/1@0",
        host="another",
    )
    start("open", repo.path)
    repo.change(env={"TELEMETRY_EVENT_ID": "elsewhere"})
    assert repo.runs_of("HEAD") == ["elsewhere"]


def test_commit_after_the_end_of_its_script_is_of_no_run(
    repo: Repository, telemetry: Telemetry
) -> None:
    run = telemetry.start(cwd=repo.path)
    repo.change(env={"TELEMETRY_EVENT_ID": run})
    telemetry("run", "end", run)
    repo.change(env={"TELEMETRY_EVENT_ID": run})
    assert (repo.runs_of("HEAD~1"), repo.runs_of("HEAD")) == ([run], [])


# Work trees


def test_linked_work_tree_has_runs_of_its_own(
    repo: Repository, side: Repository, start: Start
) -> None:
    start("main", repo.path)
    start("side", side.path)
    for tree, run in ((repo, "main"), (side, "side")):
        tree.change()
        assert tree.runs_of("HEAD") == [run]


@pytest.mark.parametrize("from_linked", [True, False])
def test_only_run_of_another_work_tree_counts(
    from_linked: bool, repo: Repository, side: Repository, start: Start
) -> None:
    here, there = (side, repo) if from_linked else (repo, side)
    start("there", there.path)
    here.change()
    assert here.runs_of("HEAD") == ["there"]


def test_only_run_of_a_third_work_tree_counts(
    repo: Repository, side: Repository, start: Start, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo("worktree", "add", "--quiet", "-b", "third", str(tmp_path / "third"))
    start("third", tmp_path / "third")
    side.change()
    assert side.runs_of("HEAD") == ["third"]


def test_several_runs_of_other_work_trees_do_not_count(
    repo: Repository, side: Repository, start: Start
) -> None:
    for name in ("one", "two"):
        start(name, repo.path)
    side.change()
    assert side.runs_of("HEAD") == []
    start("old", side.path, start_time="2020-01-01T00:00:00.000Z")
    start("finished", side.path, status="success")
    side.change()
    assert side.runs_of("HEAD") == []


def test_runs_that_are_not_open_do_not_make_several(
    repo: Repository, side: Repository, start: Start
) -> None:
    start("old", repo.path, start_time="2020-01-01T00:00:00.000Z")
    start("finished", repo.path, status="success")
    start("open", repo.path)
    side.change()
    assert side.runs_of("HEAD") == ["open"]


def test_work_tree_of_its_own_comes_before_a_newer_run_of_another(
    repo: Repository, side: Repository, start: Start
) -> None:
    start("own", side.path)
    start("newer", repo.path)
    side.change()
    assert side.runs_of("HEAD") == ["own"]


def test_other_repositories_are_no_work_trees(
    repo: Repository, side: Repository, start: Start, bare_repository: Bare, tmp_path: Path
) -> None:
    """Nor is a submodule of a work tree, whose git directory lies below the work tree's own."""
    other = bare_repository("other")
    start("other", other.path)
    start("submodule", side.path, git_dir=str(repo.path / ".git/worktrees/side/modules/sub"))
    start("submodule of main", repo.path, git_dir=str(repo.path / ".git/modules/sub"))
    start("neighbour", repo.path, git_dir=str(repo.path / ".git2"))
    repo.change()
    assert repo.runs_of("HEAD") == []


def test_git_directory_behind_a_link_is_one_repository(
    repo: Repository, start: Start, telemetry: Telemetry, tmp_path: Path
) -> None:
    (repo.path / ".git").rename(tmp_path / "store.git")
    (repo.path / ".git").symlink_to(tmp_path / "store.git")
    repo.change()
    repo("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    run = telemetry.start(cwd=repo.path)
    side = Repository(tmp_path / "side", telemetry)
    side.change()
    assert side.runs_of("HEAD") == [run]


# Machines


def test_run_of_another_machine_of_the_same_name_does_not_count(
    repo: Repository, start: Start
) -> None:
    start("far", repo.path, boot_id="another/1@00000000")
    repo.change()
    assert repo.runs_of("HEAD") == []


@pytest.mark.skipif(not processes.place(), reason="neither boot nor machine has an id here")
def test_machine_is_the_same_under_another_name(repo: Repository, start: Start) -> None:
    """As in the containers of one machine, or where the network names it."""
    start("renamed", repo.path, host="another-name")
    repo.change()
    assert repo.runs_of("HEAD") == ["renamed"]


@pytest.mark.skipif("@" not in (processes.place() or ""), reason="the machine has no id here")
def test_machine_is_the_same_after_a_restart(repo: Repository, start: Start) -> None:
    machine = (processes.place() or "").partition("@")[2]
    start("before", repo.path, boot_id=f"earlier/1@{machine}")
    repo.change()
    assert repo.runs_of("HEAD") == ["before"]


@pytest.mark.parametrize(("host", "expected"), [(os.uname().nodename, ["early"]), ("another", [])])
def test_host_name_decides_for_a_run_without_a_boot(
    host: str, expected: list[str], repo: Repository, start: Start
) -> None:
    start("early", repo.path, boot_id=None, host=host)
    repo.change()
    assert repo.runs_of("HEAD") == expected


@linux
@pytest.mark.skipif(
    not shutil.which("unshare") or os.geteuid() != 0,
    reason="another host name needs root and unshare",
)
def test_commit_under_another_host_name_finds_its_run(
    repo: Repository, telemetry: Telemetry
) -> None:
    run = telemetry.start(cwd=repo.path)
    command = [
        "unshare",
        "--uts",
        "sh",
        "-c",
        "hostname elsewhere || exit 77; git commit -q --allow-empty -m x",
    ]
    done = subprocess.run(
        command, cwd=repo.path, env=repo.env, capture_output=True, timeout=60, check=False
    )
    if done.returncode:
        pytest.skip(f"no other host name here: {done.stderr!r}")
    assert repo.runs_of("HEAD") == [run]
