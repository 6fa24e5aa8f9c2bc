"""Our lock and filelock's: each keeps the other out, across processes; deadlines hold, and neither a fork nor a deleted file breaks it."""

import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from support.storage import FLOCKED, held, is_free

from telemetry_cli.core.errors import LockTimeout, Refused
from telemetry_cli.core.locks import Lock, MaintenanceLock, lock_unfinished, remove_unlocked
from telemetry_cli.core.locks import is_free as is_free_now

OURS = "from telemetry_cli.core.locks import Lock; lock = Lock(sys.argv[1], 0); lock.__enter__()"
THEIRS = "from filelock import FileLock; lock = FileLock(sys.argv[1], fallback_to_soft=False); lock.acquire(timeout=0)"


def _soon() -> float:
    return time.monotonic() + 0.05


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.mark.parametrize("holder", [OURS, THEIRS, FLOCKED], ids=["ours", "filelock", "flock"])
def test_what_another_process_holds_is_not_ours(path: Path, holder: str) -> None:
    with held(holder, path):
        with pytest.raises(LockTimeout), Lock(str(path), _soon()):
            pass
        with pytest.raises(Timeout), FileLock(path, fallback_to_soft=False, timeout=0.05):
            pass
        with pytest.raises(LockTimeout), MaintenanceLock(str(path), _soon()):
            pass
    with Lock(str(path), _soon()), pytest.raises(LockTimeout), MaintenanceLock(str(path), _soon()):
        pass
    with MaintenanceLock(str(path), _soon()), pytest.raises(LockTimeout), Lock(str(path), _soon()):
        pass
    with FileLock(path, fallback_to_soft=False, timeout=0.05):
        pass


def test_two_locks_of_one_process_exclude_each_other(path: Path) -> None:
    with Lock(str(path), _soon()), pytest.raises(LockTimeout), Lock(str(path), _soon()):
        pass


@pytest.mark.heavy
def test_ours_and_filelocks_in_turn_lose_no_increment(path: Path, tmp_path: Path) -> None:
    """Eight processes, half with each lock, count in one file by reading and writing it."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    script = """if True:
        import sys, time
        from filelock import FileLock
        from telemetry_cli.core.locks import Lock
        lock_path, counter, ours = sys.argv[1:]
        for _ in range(100):
            with Lock(lock_path, time.monotonic() + 60) if ours == "1" else FileLock(lock_path, fallback_to_soft=False, poll_interval=0.001):
                with open(counter) as file: number = int(file.read())
                with open(counter, "w") as file: file.write(str(number + 1))
    """
    workers = [
        subprocess.Popen([sys.executable, "-c", script, path, counter, str(number % 2)])
        for number in range(8)
    ]
    assert [worker.wait(60) for worker in workers] == [0] * 8
    assert counter.read_text() == "800"


@pytest.mark.parametrize("wait", [0.0, 0.2])
def test_the_deadline_is_honoured(path: Path, wait: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the waiter's sleeps advance."""
    slept: list[float] = []
    with held(FLOCKED, path):
        monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
        monkeypatch.setattr(time, "sleep", slept.append)
        with pytest.raises(LockTimeout) as caught, Lock(str(path), wait):
            pass
        monkeypatch.undo()
    assert sum(slept) == pytest.approx(wait)
    assert str(path) in caught.value.message


def test_a_deadline_that_is_past_still_takes_a_free_lock(path: Path) -> None:
    with Lock(str(path), time.monotonic() - 1):
        assert not is_free(path)


def test_a_waiter_gets_the_lock_when_its_holder_dies(path: Path) -> None:
    script = f"import sys, os; {OURS}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        taken = threading.Event()

        def wait() -> None:
            with Lock(str(path), time.monotonic() + 30):
                taken.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not taken.is_set()
        holder.kill()
        waiter.join(60)
        assert taken.is_set()


def test_released_even_when_the_work_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Lock(str(path), _soon()):
        raise ZeroDivisionError
    assert is_free(path)


# The file


def test_a_lock_file_deleted_while_it_is_being_locked_is_not_taken_for_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking another process may delete the file; a lock on what has no name excludes nobody."""
    real = fcntl.flock
    deleted: list[Path] = []

    def flock(descriptor: int, operation: int) -> None:
        if not deleted:
            path.unlink()
            deleted.append(path)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with Lock(str(path), time.monotonic() + 5):
        monkeypatch.undo()
        assert deleted
        assert path.exists()
        assert not is_free(path)


def test_a_lock_file_deleted_under_its_holder_harms_neither_release(path: Path) -> None:
    with Lock(str(path), _soon()):
        path.unlink()
        with Lock(str(path), _soon()):
            assert not is_free(path)
    assert is_free(path)


def test_the_lock_file_is_private_and_stays(path: Path) -> None:
    before = os.umask(0)
    try:
        with Lock(str(path), _soon()):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "plant",
    [
        lambda path: path.symlink_to("/dev/null"),
        os.mkfifo,
        lambda path: path.symlink_to(path.parent / "made"),
    ],
)
def test_a_planted_lock_file_is_refused(path: Path, plant: object) -> None:
    plant(path)  # type: ignore[operator]
    with pytest.raises(Refused), Lock(str(path), _soon()):
        pass
    assert not (path.parent / "made").exists()


# Children


def test_a_forked_child_does_not_keep_the_lock(path: Path) -> None:
    to_child, from_parent = os.pipe()
    lock = Lock(str(path), _soon())
    lock.__enter__()
    child = os.fork()
    if not child:
        os.close(from_parent)
        os.read(to_child, 1)
        os._exit(0)
    os.close(to_child)
    lock.__exit__()
    try:
        assert is_free(path)
    finally:
        os.close(from_parent)
        assert os.waitpid(child, 0)[1] == 0


def test_a_forked_child_that_outlives_a_killed_parent_does_not_keep_the_lock(path: Path) -> None:
    script = "\n".join(
        [
            "import os, sys",
            OURS,
            "if os.fork():",
            "    sys.stdin.read(1)",
            "    os._exit(0)",
            "print('forked', flush=True)",
            "sys.stdin.read()",
        ]
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"forked\n"
        assert not is_free(path)
        parent.kill()
        parent.wait()
        assert is_free(path)


def test_a_forked_child_that_leaves_the_block_does_not_release_the_parents_lock(path: Path) -> None:
    with Lock(str(path), _soon()) as lock:
        child = os.fork()
        if not child:
            lock.__exit__()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert not is_free(path)


def test_a_program_that_is_started_meanwhile_does_not_inherit_the_lock(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    ) as child:
        with (
            Lock(str(path), _soon()),
            subprocess.Popen(
                [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
            ) as inheritor,
        ):
            pass_on = inheritor
            assert pass_on.stdin
            pass_on.stdin.write(b"\n")
        assert is_free(path)
        assert child.stdin
        child.stdin.write(b"\n")


# Shared locks, and unfinished files


def test_shared_locks_exclude_exclusive_ones_only(path: Path) -> None:
    with (
        Lock(str(path), _soon(), shared=True),
        Lock(str(path), _soon(), shared=True),
        pytest.raises(LockTimeout),
        Lock(str(path), _soon()),
    ):
        pass
    with (
        Lock(str(path), _soon()),
        pytest.raises(LockTimeout),
        Lock(str(path), _soon(), shared=True),
    ):
        pass


@pytest.mark.parametrize("shared", [False, True])
def test_file_is_free_unless_somebody_holds_its_lock(path: Path, shared: bool) -> None:
    assert is_free_now(str(path))
    assert not path.exists()
    with Lock(str(path), _soon(), shared=shared):
        assert not is_free_now(str(path))
    assert is_free_now(str(path))


def test_unfinished_file_is_removed_once_its_writer_is_gone(path: Path) -> None:
    with held(FLOCKED, path):
        remove_unlocked(str(path))
        assert path.exists()
    remove_unlocked(str(path))
    assert not path.exists()
    remove_unlocked(str(path))


def test_writer_whose_new_file_was_removed_makes_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the file and locking it, it looks like one that a killed writer left."""
    real = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        remove_unlocked(str(path))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with lock_unfinished(str(path)) as lock:
        os.write(lock.descriptor, b"whole")
        assert path.read_bytes() == b"whole"


def test_link_is_not_removed_as_an_unfinished_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    path.symlink_to(tmp_path / "victim")
    remove_unlocked(str(path))
    assert path.is_symlink()
    assert (tmp_path / "victim").read_text() == "kept"
