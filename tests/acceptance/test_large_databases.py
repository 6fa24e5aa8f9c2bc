"""Large databases: memory does not grow with the answer, and a slow reader delays no writer."""

import sqlite3
import subprocess

import pytest
from support import Telemetry

pytestmark = pytest.mark.heavy

COPIES = """
WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO agent_runs (
    event_id, run_id, schema_version, op_id, created_at, updated_at, start_time, agent_name, job_type, status, duration_ms, error_details
)
SELECT printf('%016x-%d', abs(random()), n), 'copy', schema_version, op_id, created_at, updated_at, start_time, agent_name, job_type, status,
       abs(random()) % 9999, printf('%.*c', 200, 'x')
FROM agent_runs, numbers WHERE agent_runs.id = 1
"""


def filled(telemetry: Telemetry, runs: int) -> Telemetry:
    """A base with so many runs more; copies of one, made past the journal, which does not mind rows it did not make."""
    telemetry.start()
    with sqlite3.connect(telemetry.database) as db:
        db.execute(COPIES, (runs,))
    db.close()
    return telemetry


def peak_kib(telemetry: Telemetry, *argv: str) -> int:
    code, kib = telemetry.measured(*argv, stdout=subprocess.DEVNULL).ended()
    assert code == 0
    return kib


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "json"),
        ("-o", "csv"),
        ("-o", "ids"),
        ("-o", "table"),
        ("-o", "jsonl", "--sort", "duration_ms"),
    ],
    ids=" ".join,
)
def test_memory_does_not_grow_with_the_answer(
    options: tuple[str, ...], telemetry: Telemetry
) -> None:
    small, large = 3_000, 40_000
    filled(telemetry, small)
    before = peak_kib(telemetry, "query", "--limit", "0", *options)
    filled(telemetry, large)
    after = peak_kib(telemetry, "query", "--limit", "0", *options)
    # SQLite's page cache may fill up to its own bound of 2 MB; 37,000 rows held in memory would be over 60 MB.
    assert after - before < 6 * 1024


@pytest.mark.parametrize(
    "argv",
    [("export", "--to", "-"), ("query", "--limit", "0", "-o", "jsonl")],
    ids=lambda argv: argv[0],
)
def test_a_reader_of_100_000_runs_that_has_stalled_delays_no_writer(
    telemetry: Telemetry, argv: tuple[str, ...]
) -> None:
    filled(telemetry, 100_000)
    with telemetry.popen(*argv, stdout=subprocess.PIPE) as reader:
        assert reader.stdout
        assert reader.stdout.read(1) == b"{"
        # A write that had to wait for longer would be buffered, and not in the database yet.
        event_id = telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "0.5"})
        assert telemetry.sql("SELECT count(*) FROM agent_runs WHERE event_id = ?", event_id) == [
            (1,)
        ]
        assert reader.poll() is None
        known = sum(1 for _ in reader.stdout)
    assert (reader.returncode, known) in [(0, 100_001), (0, 100_002)], (
        "the one that was made meanwhile may be among them"
    )
