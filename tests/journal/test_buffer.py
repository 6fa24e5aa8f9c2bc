"""The buffer: any number of records may wait, in any order of clocks, and bringing them in never holds a writer up."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Telemetry
from support.storage import FLOCKED, assert_sound, create, flip, held


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
        assert [
            event_id
            for path in kept
            for event_id in [*ids, "from-the-future"]
            if event_id in path.read_text()
        ] == ["from-the-future", *ids]
    found = telemetry("query", "--limit", "0", "--reverse", "-o", "ids").line.split()
    assert found[-50:] == ids
    assert_sound(telemetry)


def test_writers_with_different_patience_lose_nothing(telemetry: Telemetry) -> None:
    telemetry.start()
    with held(FLOCKED, telemetry.raw / ".lock"):
        patience = [{"TELEMETRY_LOCK_TIMEOUT": f"{1 - number / 10:.1f}"} for number in range(10)]
        argvs = [
            (
                "run",
                "start",
                "--agent-name",
                "a",
                "--job-type",
                "j",
                "--event-id",
                f"writer-{number}",
            )
            for number in range(10)
        ]
        writers = [
            telemetry.popen(*argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for argv, env in zip(argvs, patience, strict=True)
        ]
        ended = [(writer.communicate()[1], writer.returncode)[1] for writer in writers]
    assert ended == [0] * 10
    assert {f"writer-{number}" for number in range(10)} <= set(
        telemetry("query", "-o", "ids").line.split()
    )


def test_a_long_buffer_does_not_hold_a_writer_up(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    for number in range(5000):
        (telemetry.buffer / f"{number:032x}.ndjson").write_bytes(
            create(number + 10, f"waiting-{number:04}")
        )
    event_id = telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "0"})
    assert len(list(telemetry.buffer.iterdir())) > 4000
    telemetry("db", "drain")
    assert telemetry("query", "--count").line == "5002"
    assert telemetry.run(event_id)["status"] == "running"
    assert list(telemetry.buffer.iterdir()) == []


def keep(telemetry: Telemetry, name: str, content: bytes) -> Path:
    """Put a file into the buffer past the program."""
    telemetry.buffer.mkdir(mode=0o700, exist_ok=True)
    path = telemetry.buffer / name
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_what_cannot_be_read_is_counted_kept_and_shown(telemetry: Telemetry) -> None:
    telemetry.start()
    damaged = [
        create(number, f"damaged-{number}").replace(b"tester", b"tester!", 1) for number in (1, 2)
    ]
    for number, content in enumerate([*damaged, b"junk", create(4, "good")], 1):
        keep(telemetry, f"{number:032x}.ndjson", content)
    assert (
        sum(
            "a damaged record waits" in row["what"]
            for row in telemetry("doctor", "--json", code=1).json
        )
        == 3
    )
    ran = telemetry("db", "drain", code=1)
    assert ran.line == "1 applied, 3 damaged"
    assert "3 lines could not be read; they are kept in rejected_ops" in ran.err
    assert [
        row[0].encode() for row in telemetry.sql("SELECT operation FROM rejected_ops ORDER BY id")
    ] == [line.rstrip(b"\n") for line in (*damaged, b"junk")]
    assert telemetry.run("good")["status"] == "running"
    assert (
        sum("a damaged line" in row["what"] for row in telemetry("doctor", "--json", code=1).json)
        == 3
    )
    assert telemetry("db", "drain", "--json").json == {"applied": 0, "waiting": 0, "damaged": 0}


def test_an_empty_file_is_said_and_is_no_record(telemetry: Telemetry) -> None:
    telemetry.start()
    path = keep(telemetry, f"{1:032x}.ndjson", b"")
    keep(telemetry, f"{2:032x}.ndjson", create(2, "good", start_time="2999-01-01T00:00:00.000Z"))
    ran = telemetry("db", "drain")
    assert ran.line == "1 applied"
    assert f"{path} is empty" in ran.err
    assert [(row["what"], row["where"]) for row in telemetry("doctor", "--json").json] == [
        ("an empty file where a record should be", str(path))
    ]
    assert "record" not in telemetry("query").err


def test_other_names_in_the_buffer_are_shown(telemetry: Telemetry) -> None:
    telemetry.start()
    paths = [
        keep(telemetry, name, b"x") for name in ("notes.txt", f"{1:032x}.ndjson.tmp", "old.tmp")
    ]
    assert sorted(row["where"] for row in telemetry("doctor", "--json").json) == sorted(
        map(str, paths)
    )


def _flipped(path: Path) -> None:
    flip(path, path.stat().st_size // 2, 0)


def _renamed_column(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"agent_name", b"agent_game", 1))


DAMAGE = {
    "flipped": _flipped,
    "column": _renamed_column,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": Path.unlink,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_blob_of_an_import_that_waits(telemetry: Telemetry, kind: str) -> None:
    telemetry.start()
    damage: Callable[[Path], object] = DAMAGE[kind]
    records = [
        {
            "event_id": f"i{number}",
            "start_time": "2026-01-01T00:00:00Z",
            "agent_name": "a",
            "job_type": "j",
            "status": "success",
        }
        for number in range(20)
    ]
    with held(FLOCKED, Path(f"{telemetry.database}.lock")):
        telemetry(
            "import",
            "-",
            "--format",
            "ndjson",
            stdin="\n".join(map(json.dumps, records)),
            env={"TELEMETRY_LOCK_TIMEOUT": "0.2"},
        )
    (blob,) = (telemetry.base / "blobs").glob("[!.]*")
    content = blob.read_bytes()
    damage(blob)
    ran = telemetry("db", "drain", code=1)
    assert ran.line == "0 applied, 1 damaged"
    for shown in (ran.err, telemetry("doctor", "-o", "csv", code=1).out):
        assert "runs.import" in shown
        assert blob.name in shown
        assert "telemetry db rebuild" in shown
    assert telemetry("query", "--count").line == "1"
    blob.write_bytes(content)
    blob.chmod(0o600)
    telemetry("db", "rebuild")
    assert telemetry("query", "--count").line == "21"
    assert "problem" not in telemetry("doctor").out
