"""The buffer: any number of records may wait, in any order of clocks, and bringing them in never holds a writer up."""

import subprocess
import time

from bases import FLOCKED, assert_sound, create, held
from support import Telemetry


def test_fifty_records_may_wait_though_the_clock_went_back(telemetry: Telemetry) -> None:
    """Each comes behind the one kept before it; names must not grow, or the fiftieth would be too long for a file."""
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.buffer / f"{'f' * 12}{'0' * 20}.ndjson").write_bytes(create(7, "from-the-future"))
    with held(FLOCKED, telemetry.raw / ".lock"):
        ids = [telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "0"}) for _ in range(50)]
        kept = sorted(telemetry.buffer.iterdir())
        assert len(kept) == 51
        assert max(len(path.name) for path in kept) < 64
        assert [event_id for path in kept for event_id in [*ids, "from-the-future"] if event_id in path.read_text()] == ["from-the-future", *ids]
    found = telemetry("query", "--limit", "0", "--reverse", "-o", "ids").line.split()
    assert found[-50:] == ids
    assert_sound(telemetry)


def test_writers_with_different_patience_lose_nothing(telemetry: Telemetry) -> None:
    telemetry.start()
    with held(FLOCKED, telemetry.raw / ".lock"):
        patience = [{"TELEMETRY_LOCK_TIMEOUT": f"{1 - number / 10:.1f}"} for number in range(10)]
        argvs = [("run", "start", "--agent-name", "a", "--job-type", "j", "--event-id", f"writer-{number}") for number in range(10)]
        writers = [telemetry.popen(*argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for argv, env in zip(argvs, patience, strict=True)]
        ended = [(writer.communicate()[1], writer.returncode)[1] for writer in writers]
    assert ended == [0] * 10
    assert {f"writer-{number}" for number in range(10)} <= set(telemetry("query", "-o", "ids").line.split())


def test_a_long_buffer_does_not_hold_a_writer_up(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    for number in range(5000):
        (telemetry.buffer / f"{number:032x}.ndjson").write_bytes(create(number + 10, f"waiting-{number:04}"))
    begun = time.monotonic()
    event_id = telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "0.2"})
    assert time.monotonic() - begun < 1.5
    telemetry("db", "drain")
    assert telemetry("query", "--count").line == "5002"
    assert telemetry.run(event_id)["status"] == "running"
    assert list(telemetry.buffer.iterdir()) == []
