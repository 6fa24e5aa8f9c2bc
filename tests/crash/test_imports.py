"""An import killed: whole operations or nothing of them, and run again it brings what is missing, each thing once."""

import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry
from support.records import LEAST, dump, write
from support.storage import assert_sound
from support.strace import CHANGES, Traced, needs_strace

pytestmark = pytest.mark.heavy
LONG = bool(os.environ.get("TELEMETRY_TESTS_LONG"))

#: An operation takes 5,000 records, so this makes two.
RECORDS = 5500
CALLS = 12
#: Runs, those of them with their event, those with their commit: after none of the operations, the first, both.
COUNTS = (
    "SELECT count(*), sum(EXISTS (SELECT 1 FROM run_events AS e WHERE e.event_id = r.event_id)),"
    " sum(EXISTS (SELECT 1 FROM run_commits AS c WHERE c.event_id = r.event_id)) FROM agent_runs AS r WHERE agent_name = 'a'"
)
WHOLE = ((0, None, None), (500, 100, 50), (RECORDS, 1100, 550))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of runs, one in five with an event, one in ten with a commit."""
    folder = tmp_path_factory.mktemp("runs")

    def record(number: int) -> dict[str, Any]:
        commits = (
            [{"commit_hash": f"{number:07x}", "associated_at": LEAST["start_time"]}]
            if number % 10 == 0
            else []
        )
        events = (
            [
                {
                    "event_type": "step",
                    "timestamp": LEAST["start_time"],
                    "payload_json": {"n": number},
                }
            ]
            if number % 5 == 0
            else []
        )
        return {
            **LEAST,
            "event_id": f"r{number}",
            **dict.fromkeys(("created_at", "updated_at"), LEAST["start_time"]),
            "events": events,
            "commits": commits,
        }

    return write(folder / "runs.ndjson", *map(record, range(RECORDS)))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with one run, which each import begins with."""
    telemetry = Telemetry(tmp_path_factory.mktemp("base"))
    telemetry.start("--agent-name", "other")
    return telemetry.base


@pytest.fixture(scope="module")
def once(runs: str, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What that base holds after an import that nobody disturbed."""
    telemetry = Telemetry(tmp_path_factory.mktemp("once"))
    shutil.copytree(base, telemetry.base)
    telemetry("import", runs)
    return dump(telemetry)


def check_after(telemetry: Telemetry, runs: str, once: Any, point: object, code: int) -> None:
    """What holds once the next command has applied what was durable; and after the import was run again."""
    telemetry("db", "drain")
    state = telemetry.sql(COUNTS)[0]
    assert state in WHOLE, point
    assert code != 0 or state == WHOLE[-1], point
    again = telemetry("import", runs, "--json").json
    assert (again["created"], again["existing"], again["failed"]) == (
        RECORDS - state[0],
        state[0],
        0,
    ), point
    assert telemetry.sql(COUNTS) == [WHOLE[-1]], point
    assert telemetry("doctor").code == 0, point
    assert_sound(telemetry)
    assert dump(telemetry) == once, point


@needs_strace
def test_killed_at_system_calls(runs: str, base: Path, once: Any, telemetry: Telemetry) -> None:
    traced = Traced(telemetry)
    shutil.copytree(base, telemetry.base)
    points = traced.points(("import", runs), paths=False, calls=CHANGES)
    codes = []
    for call, n in points if LONG else random.Random(8).sample(points, CALLS):
        shutil.rmtree(telemetry.base)
        shutil.copytree(base, telemetry.base)
        ran = traced(
            ("import", runs),
            "-e",
            f"inject={call}:signal=SIGKILL:when={n}",
            paths=False,
            calls=CHANGES,
        )
        codes.append(ran.code)
        check_after(telemetry, runs, once, (call, n), ran.code)
    assert codes.count(-signal.SIGKILL) > len(codes) // 3
