"""Deadlines under load: a locked database, slow flushes, a huge backlog, signals at any system call."""

import shutil
import signal
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import Ran, Telemetry
from support.storage import EXCLUSIVE, START, held, ids, segment
from support.strace import CHANGES, Traced, needs_strace

pytestmark = pytest.mark.heavy
PROCESSES = 32
SLOW_FLUSHES = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
#define SLOW(name) int name(int fd) { static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, #name); usleep(5000); return real(fd); }
SLOW(fsync)
SLOW(fdatasync)
"""


def _start_at_once(telemetry: Telemetry, rounds: int, env: dict[str, str]) -> list[Ran]:
    """Start runs from 32 processes at a time, `rounds` each."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        return list(pool.map(lambda _: telemetry(*START, env=env), range(PROCESSES * rounds)))


@pytest.fixture(autouse=True)
def _in_processes(telemetry: Telemetry) -> None:
    telemetry.in_processes = True


def test_writers_before_a_locked_database_end_before_its_holder(telemetry: Telemetry) -> None:
    telemetry.start()
    with held(EXCLUSIVE, telemetry.database):
        calls = _start_at_once(telemetry, 1, {"TELEMETRY_LOCK_TIMEOUT": "2"})
    assert [ran for ran in calls if "buffered" not in ran.err] == []
    assert {ran.line for ran in calls} <= set(ids(telemetry))


def test_slow_flushes_starve_no_writer(telemetry: Telemetry) -> None:
    """Every flush takes 5 ms more, SQLite's own too."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    library = telemetry.home / "slow.so"
    (telemetry.home / "slow.c").write_text(SLOW_FLUSHES)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", library, telemetry.home / "slow.c", "-ldl"], check=True
    )
    telemetry.start()
    env = {"LD_PRELOAD": str(library), "TELEMETRY_LOCK_TIMEOUT": "60"}
    calls = _start_at_once(telemetry, 4, env)
    # A write that waited for longer than its deadline would be buffered.
    assert [ran for ran in calls if ran.err] == []
    assert {ran.line for ran in calls} <= set(ids(telemetry))


def test_a_million_operations_to_drain_do_not_hold_a_write_up(telemetry: Telemetry) -> None:
    run = telemetry.start()
    body = (
        '{"v":1,"op_id":"%032x","op":"run.event","at":"2026-01-02T03:04:05.678Z","actor":"t@h","data":{"event_type":"e","run":"'
        + run
        + '"}'
    )
    with segment(telemetry).open("ab") as file:
        for begin in range(0, 1_000_000, 10_000):
            bodies = [(body % number).encode() for number in range(begin, begin + 10_000)]
            file.writelines(b'%b,"crc":"%08x"}\n' % (line, zlib.crc32(line)) for line in bodies)
    found = 0
    for argv in (
        START,
        ("associate-commit", run, "--commit", "abcdef1", "--no-git"),
        ("run", "end", run),
    ):
        assert "buffered" in telemetry(*argv, env={"TELEMETRY_LOCK_TIMEOUT": "60"}).err
        # Each write applies some, and leaves the rest to the next.
        before, found = found, telemetry.sql("SELECT count(*) FROM run_events")[0][0]
        assert before < found < 1_000_000


@needs_strace
def test_terminated_at_any_system_call_an_acknowledged_run_is_found(telemetry: Telemetry) -> None:
    telemetry.start()
    traced = Traced(telemetry)
    points = traced.points(START, paths=False, calls=CHANGES)
    acknowledged = []
    for number, (call, n) in enumerate(points):
        ran = traced(
            (*START, "--event-id", f"signalled-{number}"),
            "-e",
            f"inject={call}:signal=SIGTERM:when={n}",
            paths=False,
            calls=CHANGES,
        )
        assert ran.code in (0, 128 + signal.SIGTERM, -signal.SIGTERM), (call, n, ran)
        assert "Traceback" not in ran.err
        if ran.out:
            acknowledged.append(ran.line)
    assert 0 < len(acknowledged) < len(points)
    found = ids(telemetry)
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
    assert telemetry.sql("PRAGMA integrity_check") == [("ok",)]
    assert not Path(f"{telemetry.database}-journal").exists()
