"""Deadlines under load: a locked database, slow flushes, a huge backlog, signals at any moment."""

import random
import shutil
import signal
import subprocess
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import Ran, Telemetry
from support.storage import EXCLUSIVE, START, held, ids, segment

pytestmark = pytest.mark.heavy
PROCESSES = 32
GRACE = 0.5
SLOW_FLUSHES = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
#define SLOW(name) int name(int fd) { static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, #name); usleep(5000); return real(fd); }
SLOW(fsync)
SLOW(fdatasync)
"""


def _at_once(
    telemetry: Telemetry, rounds: int, *argv: str, env: dict[str, str] | None = None
) -> list[tuple[Ran, float]]:
    """Call from 32 processes at a time, `rounds` each; every call with the seconds it took."""

    def one(_: int) -> list[tuple[Ran, float]]:
        calls = []
        for _ in range(rounds):
            before = time.monotonic()
            ran = telemetry(*argv, env=env, code=None)
            calls.append((ran, time.monotonic() - before))
        return calls

    with ThreadPoolExecutor(PROCESSES) as pool:
        return [call for calls in pool.map(one, range(PROCESSES)) for call in calls]


def _longest_start(telemetry: Telemetry, rounds: int) -> float:
    """What the longest of so many calls takes on this machine that wait for nothing: the interpreters' start on its processors."""
    return max(seconds for _, seconds in _at_once(telemetry, rounds, "db", "path"))


@pytest.fixture(autouse=True)
def _in_processes(telemetry: Telemetry) -> None:
    telemetry.in_processes = True


def test_writers_before_a_locked_database_are_all_done_in_time(telemetry: Telemetry) -> None:
    telemetry.start()
    allowed = 2 + GRACE + _longest_start(telemetry, 1)
    with held(EXCLUSIVE, telemetry.database):
        calls = _at_once(telemetry, 1, *START, env={"TELEMETRY_LOCK_TIMEOUT": "2"})
    assert {ran.code for ran, _ in calls} == {0}
    assert max(seconds for _, seconds in calls) < allowed
    assert {ran.line for ran, _ in calls} <= set(ids(telemetry))


def test_slow_flushes_hold_nobody_up_for_long(telemetry: Telemetry) -> None:
    """Every flush takes 5 ms more, SQLite's own too."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    library = telemetry.home / "slow.so"
    (telemetry.home / "slow.c").write_text(SLOW_FLUSHES)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", library, telemetry.home / "slow.c", "-ldl"], check=True
    )
    telemetry.start()
    allowed = 1 + _longest_start(telemetry, 10)
    calls = _at_once(telemetry, 10, *START, env={"LD_PRELOAD": str(library)})
    assert [ran for ran, _ in calls if ran.code] == []
    assert max(seconds for _, seconds in calls) < allowed
    assert {ran.line for ran, _ in calls} <= set(ids(telemetry))


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
    for argv in (
        START,
        ("associate-commit", run, "--commit", "abcdef1", "--no-git"),
        ("run", "end", run),
    ):
        before = time.monotonic()
        ran = telemetry(*argv, env={"TELEMETRY_LOCK_TIMEOUT": "2"})
        assert time.monotonic() - before < 2 + GRACE
        assert "buffered" in ran.err
    found = telemetry.sql("SELECT count(*) FROM run_events")[0][0]
    assert 0 < found < 1_000_000


def test_a_hundred_terminations_at_any_moment(telemetry: Telemetry) -> None:
    telemetry.start()
    chance = random.Random(3)
    acknowledged = []
    for number in range(100):
        name = f"signalled-{number}"
        with telemetry.popen(
            *START, "--event-id", name, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            time.sleep(chance.random() * 0.12)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        assert process.returncode in (0, 143, -signal.SIGTERM), err
        assert b"Traceback" not in err
        if process.returncode == 0:
            acknowledged.append(out.decode().strip())
    assert 0 < len(acknowledged) < 100
    found = ids(telemetry)
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
    assert telemetry.sql("PRAGMA integrity_check") == [("ok",)]
    assert not Path(f"{telemetry.database}-journal").exists()
