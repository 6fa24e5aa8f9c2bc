"""Imports and exports of many runs: nothing is lost on the way, memory stays flat, others get their turn, and a kill costs nothing."""

import json
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import PROGRAM, Telemetry
from support.records import LEAST, dump
from support.storage import assert_sound

pytestmark = pytest.mark.heavy

RUNS = 100_000


def generated(count: int) -> Iterator[dict[str, Any]]:
    """Runs of every kind, with events, commits, parents and context, the same ones each time."""
    draw = random.Random(count)
    texts = [None, "plain", "Ünïcödé ☃", 'quotes " and \\ and \n', "=formula", "x" * 300]
    ids: list[str] = []
    for number in range(count):
        moment = f"2026-{1 + number % 12:02}-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:{number // 60 % 60:02}.{number % 1000:03}Z"
        later = "2027" + moment[4:]
        ended = draw.random() < 0.9
        sha = f"{draw.getrandbits(160):040x}" if draw.random() < 0.3 else None
        ids.append(str(uuid.UUID(int=draw.getrandbits(128), version=4)))
        payloads: list[object] = [[], {"n": number}, "text"]
        yield {
            "event_id": ids[-1],
            "run_id": f"run {number // 2}",
            "agent_name": draw.choice(["nightly", "seo-writer", "codex"]),
            "job_type": draw.choice(["build", "test", "deploy"]),
            "status": draw.choice(["success", "failure", "partial", "timeout", "cancelled"])
            if ended
            else "running",
            "created_at": moment,
            "updated_at": later,
            "start_time": moment,
            "end_time": later if ended else None,
            "duration_ms": draw.randrange(10**6),
            "items_discovered": draw.randrange(50),
            "product": draw.choice(texts),
            "input_summary": draw.choice(texts),
            "error_details": draw.choice(texts),
            "git_commit_hash": sha,
            "git_commit_source": "ci" if sha else None,
            "metrics_json": {
                "cost": draw.random(),
                "tokens": draw.randrange(2**40),
                "nested": {"list": [1, None, "☃"]},
            }
            if number % 3
            else {},
            "context_json": {"attempt": number % 4} if number % 5 else {},
            "parent_run_id": draw.choice(ids) if number % 4 == 1 and ids[-1] != ids[0] else None,
            "pid": number if number % 7 == 0 else None,
            "events": [
                {"event_type": "step", "timestamp": moment, "payload_json": payload}
                for payload in payloads[: number % 4]
            ],
            "commits": [
                {
                    "commit_hash": sha,
                    "role": "produced",
                    "source": "ci",
                    "author": "Ada",
                    "associated_at": later,
                }
            ]
            if sha
            else [],
        }


def write_many(path: Path, records: Iterator[dict[str, Any]]) -> str:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            # Its own parent is the one thing that a generated run might be and a run may not.
            if record.get("parent_run_id") == record.get("event_id"):
                record["parent_run_id"] = None
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return str(path)


def patiently(telemetry: Telemetry, *argv: str) -> Any:
    """Run a command that may take minutes on a machine that is busy; its json."""
    done = subprocess.run(
        [str(PROGRAM), *argv, "--json"],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of a third as many."""
    return write_many(tmp_path_factory.mktemp("some") / "runs.ndjson", generated(RUNS // 3))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of `RUNS` generated runs."""
    return write_many(tmp_path_factory.mktemp("many") / "runs.ndjson", generated(RUNS))


def test_a_round_trip_is_equal_to_the_last_byte(
    many: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    result = patiently(telemetry, "import", many)
    assert (result["created"], result["failed"]) == (RUNS, 0)
    patiently(telemetry, "export", "--to", str(tmp_path / "out.ndjson.gz"))
    other = Telemetry(tmp_path / "other")
    again = patiently(other, "import", str(tmp_path / "out.ndjson.gz"))
    assert {name: again[name] for name in ("created", "events", "commits")} == {
        name: result[name] for name in ("created", "events", "commits")
    }
    assert dump(other) == dump(telemetry)
    assert_sound(other)
    patiently(other, "export", "--to", str(tmp_path / "again.ndjson"))
    patiently(telemetry, "export", "--to", str(tmp_path / "first.ndjson"))
    assert without_operations(tmp_path / "again.ndjson") == without_operations(
        tmp_path / "first.ndjson"
    )


def without_operations(path: Path) -> int:
    """A sum over all records of an export, but for the operations that made them."""
    total = 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            del record["op_id"]
            total = hash((total, json.dumps(record)))
    return total


def peak_kib(telemetry: Telemetry, *argv: str) -> int:
    code, kib = telemetry.measured(*argv, stdout=subprocess.DEVNULL).ended()
    assert code == 0
    return kib


@pytest.mark.parametrize("options", [(), ("--atomic",)], ids=["in parts", "atomic"])
def test_memory_does_not_grow_with_the_file(
    options: tuple[str, ...], telemetry: Telemetry, tmp_path: Path
) -> None:
    peaks = []
    for count in (10_000, 60_000):
        records = (
            LEAST | {"event_id": f"r{count}-{number}", "input_summary": "x" * 200}
            for number in range(count)
        )
        peaks.append(
            peak_kib(telemetry, "import", write_many(tmp_path / "runs.ndjson", records), *options)
        )
    # What SQLite keeps of the database may fill up to its bound of 16 MB; 50,000 more records held in memory would be 60 MB.
    assert peaks[1] - peaks[0] < 20 * 1024
    peaks = [
        peak_kib(telemetry, "export", "--to", "-", "--where", f"event_id LIKE 'r{count}-%'")
        for count in (10_000, 60_000)
    ]
    assert peaks[1] - peaks[0] < 6 * 1024


def test_killed_at_any_moment_and_run_again(some: str, telemetry: Telemetry) -> None:
    draw = random.Random(9)
    for _ in range(6):
        process = telemetry.popen("import", some, stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.2, 2.0))
        process.send_signal(draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        process.wait()
    result = patiently(telemetry, "import", some)
    assert (result["created"] + result["existing"], result["failed"]) == (RUNS // 3, 0)
    once = Telemetry(telemetry.home / "once")
    patiently(once, "import", some)
    assert dump(telemetry) == dump(once)
    assert_sound(telemetry)


def test_other_writers_wait_at_most_their_deadline_meanwhile(
    some: str, telemetry: Telemetry
) -> None:
    telemetry.start()
    process = telemetry.popen("import", some, stdout=subprocess.DEVNULL)
    started = 0
    while process.poll() is None:
        telemetry.start("--event-id", f"meanwhile-{started}", env={"TELEMETRY_LOCK_TIMEOUT": "2"})
        started += 1
    assert process.returncode == 0
    assert started > 3
    assert telemetry("query", "--where", "event_id LIKE 'meanwhile-%'", "--count").line == str(
        started
    )
    assert telemetry("query", "--count").line == str(RUNS // 3 + started + 1)
