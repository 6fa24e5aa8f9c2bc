"""Places that cannot be written: exit 0 with the record kept, or 75 with the record on stderr; never a silent loss."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import PROGRAM, Ran, Telemetry
from support.storage import (
    NAMED,
    START,
    append,
    assert_sound,
    create,
    ids,
    journaled,
    read_only,
    segment,
    waiting,
)

from telemetry_cli.journal.segments import decode

FULL = [*START, "--input-summary", "x" * 2500]


def _assert_handed_back(ran: Ran) -> None:
    """Exit 75: the record stands on stderr as one whole journal line, and no id is printed."""
    assert ran.code == 75, ran
    assert ran.out == ""
    records = [operation for operation in map(decode, ran.err.encode().splitlines()) if operation]
    assert [operation["op"] for operation in records] == ["run.create"]


@contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """Files and folders that not even root may change."""
    if (
        not shutil.which("chattr")
        or subprocess.run(["chattr", "+i", *paths], capture_output=True).returncode
    ):
        pytest.skip("chattr +i is not possible here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)


def test_an_immutable_segment_sends_records_to_the_buffer(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with immutable(segment(telemetry)):
        second = telemetry(*START)
        assert "buffered" in second.err
        assert len(waiting(telemetry)) == 1
        assert telemetry("query", "-o", "ids").out.split() == [first]
    assert ids(telemetry) == sorted([first, second.line])
    assert waiting(telemetry) == []


def test_a_journal_folder_that_takes_no_new_segment_sends_records_to_the_buffer(
    telemetry: Telemetry,
) -> None:
    telemetry.raw.mkdir(parents=True, mode=0o700)
    (telemetry.raw / ".lock").touch(0o600)
    with immutable(telemetry.raw):
        run = telemetry(*START)
        assert "buffered" in run.err
    assert ids(telemetry) == [run.line]


def test_an_immutable_base_hands_the_record_back(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with immutable(telemetry.base, segment(telemetry)):
        _assert_handed_back(telemetry(*START, code=None))
    assert ids(telemetry) == [first]


def test_an_immutable_database_is_caught_up_later(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with immutable(telemetry.database):
        second = telemetry(*START)
        assert "buffered" in second.err
        assert telemetry("query", "-o", "ids", code=None).code in (0, 6)
    assert ids(telemetry) == sorted([first, second.line])


def test_never_fail_still_hands_the_record_back(telemetry: Telemetry) -> None:
    telemetry.start()
    with immutable(telemetry.base, segment(telemetry)):
        ran = telemetry(*START, env={"TELEMETRY_NEVER_FAIL": "1"})
    assert any(map(decode, ran.err.encode().splitlines())), ran


# Another user


@contextmanager
def _as_nobody(telemetry: Telemetry) -> Iterator[Callable[..., Ran]]:
    """The program run by a user to whom the base does not belong, though the way to it is open."""
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("becoming another user needs root and setpriv")

    def run(*argv: str) -> Ran:
        command = [
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            str(PROGRAM),
            *argv,
        ]
        done = subprocess.run(command, env=telemetry.env, cwd="/", capture_output=True, timeout=60)
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.err, ran
        return ran

    with _opened(telemetry.home):
        if run("--version").code:
            pytest.skip("another user may not execute the program here")
        yield run


@contextmanager
def _opened(path: Path) -> Iterator[None]:
    """The way to a folder open to everybody. One test at a time: the folders on the way are those of other workers' tests, too."""
    held = os.open(tempfile.gettempdir(), os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    modes = {
        folder: mode
        for folder in (path, *path.parents)
        if not (mode := folder.stat().st_mode) & 0o001
    }
    try:
        for folder, mode in modes.items():
            folder.chmod(mode | 0o011)
        yield
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)
        os.close(held)


def test_another_users_base_hands_the_record_back(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with _as_nobody(telemetry) as nobody:
        _assert_handed_back(nobody(*START))
        assert nobody("query").code == 6
    assert ids(telemetry) == [first]


def test_root_may_use_another_users_base(telemetry: Telemetry) -> None:
    telemetry.base.mkdir(mode=0o700)
    with _as_nobody(telemetry) as nobody:
        os.chown(telemetry.base, 65534, 65534)
        theirs = nobody(*START)
        assert theirs.code == 0, theirs
    ours = telemetry.start()
    assert ids(telemetry) == sorted([theirs.line, ours])


def test_what_root_did_leaves_another_users_base_usable(telemetry: Telemetry) -> None:
    telemetry.base.mkdir(mode=0o700)
    with _as_nobody(telemetry) as nobody:
        os.chown(telemetry.base, 65534, 65534)
        ours = telemetry.start()
        telemetry("db", "rebuild")
        telemetry("db", "backup")
        theirs = nobody(*START)
        assert (theirs.code, theirs.err) == (0, ""), theirs
        assert sorted(nobody("query", "-o", "ids").out.split()) == sorted([ours, theirs.line])
        assert nobody("db", "backup").code == 0


def test_root_and_the_owner_take_turns_at_a_base_in_a_sticky_folder(telemetry: Telemetry) -> None:
    shared = telemetry.home / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    telemetry.base = shared / "base"
    telemetry.env["TELEMETRY_BASE_DIR"] = str(telemetry.base)
    with _as_nobody(telemetry) as nobody:
        runs = [nobody(*START), telemetry(*START), nobody(*START)]
        assert [ran.code for ran in runs] == [0, 0, 0], runs
        telemetry("run", "end", runs[0].line)
        assert nobody("run", "end", runs[1].line).code == 0
        assert sorted(nobody("query", "-o", "ids").out.split()) == sorted(ran.line for ran in runs)
    assert {telemetry.run(ran.line)["status"] for ran in runs[:2]} == {"success"}
    assert {
        path.stat().st_uid for path in (telemetry.base, telemetry.database, segment(telemetry))
    } == {65534}


def test_root_over_another_users_database_that_lies_in_a_sticky_folder(
    telemetry: Telemetry,
) -> None:
    shared = telemetry.home / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    del telemetry.env["TELEMETRY_BASE_DIR"]
    telemetry.env["TELEMETRY_DB_PATH"] = str(shared / "runs.sqlite")
    with _as_nobody(telemetry) as nobody:
        theirs = nobody(*START)
        assert theirs.code == 0, theirs
    ours = telemetry.start()
    assert ids(telemetry) == sorted([theirs.line, ours])


def test_a_database_that_another_user_may_not_write_keeps_records_in_the_journal(
    telemetry: Telemetry,
) -> None:
    telemetry.start()
    for path in (telemetry.base, telemetry.raw, telemetry.raw / ".lock", segment(telemetry)):
        os.chown(path, 65534, 65534)
    with _as_nobody(telemetry) as nobody:
        ran = nobody(*START)
        assert ran.code == 0, ran
        assert "buffered" in ran.err
    assert ran.line in ids(telemetry)


# Full and read-only


def _remount(path: Path, size: str) -> None:
    subprocess.run(
        ["mount", "-o", f"remount,size={size}", str(path)], check=True, capture_output=True
    )


@pytest.mark.heavy
@pytest.mark.parametrize("size", ["104k", "160k"])
def test_a_full_disk_loses_nothing_that_was_acknowledged(
    telemetry: Telemetry, tmpfs: Callable[[str], Path], size: str
) -> None:
    telemetry.base = tmpfs(size)
    telemetry.env["TELEMETRY_BASE_DIR"] = str(telemetry.base)
    calls = [telemetry(*FULL, code=None) for _ in range(60)]
    assert {ran.code for ran in calls} == {0, 75}, "the disk was never full, or always"
    for ran in calls:
        if ran.code:
            _assert_handed_back(ran)
    _remount(telemetry.base, "20m")
    last = telemetry(*FULL).line
    acknowledged = [ran.line for ran in calls if ran.code == 0]
    assert ids(telemetry) == sorted([*acknowledged, last])
    assert_sound(telemetry)


@pytest.mark.heavy
def test_a_disk_full_in_the_middle_of_a_life_loses_no_end(
    telemetry: Telemetry, tmpfs: Callable[[str], Path]
) -> None:
    telemetry.base = tmpfs("1m")
    telemetry.env["TELEMETRY_BASE_DIR"] = str(telemetry.base)
    runs = [telemetry.start() for _ in range(5)]
    (telemetry.base / "filler").write_bytes(b"x" * (shutil.disk_usage(telemetry.base).free))
    codes = {
        run: telemetry("run", "end", run, "--error-details", "y" * 3000, code=None).code
        for run in runs
    }
    assert set(codes.values()) <= {0, 75}
    (telemetry.base / "filler").unlink()
    assert {run: telemetry.run(run)["status"] for run in runs} == {
        run: "running" if code else "success" for run, code in codes.items()
    }


def test_a_read_only_base_hands_the_record_back_and_can_be_read(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with read_only(telemetry.base):
        _assert_handed_back(telemetry(*START, code=None))
        assert ids(telemetry) == [first]
    assert ids(telemetry) == [first]


def test_a_read_only_base_says_what_waits(telemetry: Telemetry) -> None:
    first = telemetry.start()
    append(telemetry, create(1, "left-behind"))
    with read_only(telemetry.base):
        ran = telemetry("query", "-o", "ids")
        assert ran.out.split() == [first]
        assert "1 record waits" in ran.err
    assert ids(telemetry) == sorted([first, "left-behind"])


def test_a_read_only_database_folder_keeps_records_in_the_journal(telemetry: Telemetry) -> None:
    first = telemetry.start()
    with read_only(telemetry.database.parent):
        second = telemetry(*START)
        assert "buffered" in second.err
    assert ids(telemetry) == sorted([first, second.line])


def test_a_file_size_limit_loses_nothing(telemetry: Telemetry) -> None:
    """RLIMIT_FSIZE tears the line like a full disk does, and sends a signal besides."""
    first = telemetry.start()
    limit = segment(telemetry).stat().st_size + 50
    command = ["prlimit", f"--fsize={limit}", str(PROGRAM), *START]
    if not shutil.which("prlimit"):
        pytest.skip("prlimit is not installed")
    done = subprocess.run(
        command, env=telemetry.env, cwd=telemetry.cwd, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert ids(telemetry) == sorted([first, done.stdout.decode().strip()])
    assert telemetry.sql("SELECT * FROM rejected_ops") == []


def test_a_record_handed_back_can_be_brought_in_by_hand(telemetry: Telemetry) -> None:
    telemetry.start()
    with read_only(telemetry.base):
        handed = next(
            line
            for line in telemetry("run", "start", *NAMED, code=75).err.splitlines(keepends=True)
            if line.startswith("{")
        )
    append(telemetry, handed.encode())
    event_id = json.loads(handed)["data"]["event_id"]
    assert event_id in journaled(telemetry)
    assert event_id in ids(telemetry)
