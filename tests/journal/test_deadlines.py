"""What a command may take: a read applies what it can and says what is pending, and a write waits as long as it may, and no longer."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from support import Telemetry
from support.records import LEAST
from support.storage import append, create, held, ids

from telemetry_cli.core.config import Config
from telemetry_cli.core.locks import is_free
from telemetry_cli.journal import blobs, buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.journal.segments import encode
from telemetry_cli.transfer.records import FIRST_LINE

AT_ONCE = {"TELEMETRY_LOCK_TIMEOUT": "0"}
#: More than any machine applies in the tenth of a second that a read takes at least.
MANY = 20_000


def test_read_of_large_backlog_says_what_is_pending(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "first")
    append(telemetry, *(create(number, f"n{number:05}") for number in range(MANY)))
    ran = telemetry("query", "--count", env=AT_ONCE)
    pending = int(ran.err.split("telemetry: ")[1].split()[0])
    assert (
        "records wait to be applied: there was no time to apply more (0 s); to apply all of them: telemetry db drain"
        in ran.err
    )
    assert 0 < pending <= MANY
    assert int(ran.line) == 1 + MANY - pending
    telemetry("db", "drain", env=AT_ONCE)
    ran = telemetry("query", "--count", env=AT_ONCE)
    assert (ran.line, ran.err) == (str(1 + MANY), "")


def pending_import(telemetry: Telemetry, count: int) -> None:
    """Leave an import that was recorded and not applied, of so many runs, behind a small record."""
    path = telemetry.cwd / "one.ndjson"
    path.write_text(json.dumps(LEAST | {"event_id": "model"}) + "\n")
    telemetry("import", str(path))
    config = Config(base_dir=str(telemetry.base))
    (digest,) = blobs.kept(config)
    first, line = list(blobs.lines(config, digest))
    assert first == FIRST_LINE
    with blobs.Lease(config) as lease:
        large = lease.put(
            [first, *(line.replace(b'"model"', b'"m%06d"' % number) for number in range(count))]
        )
    (named,) = [
        operation
        for operation in map(journal.decode, path_lines(telemetry))
        if operation and operation["op"] == "runs.import"
    ]
    assert isinstance(named["data"], dict)
    append(
        telemetry,
        create(1, "small"),
        encode({**named, "op_id": "f" * 32, "data": named["data"] | {"blob": large}}),
    )


def path_lines(telemetry: Telemetry) -> list[bytes]:
    return [
        line
        for path in telemetry.raw.glob("ops_*")
        for line in path.read_bytes().splitlines(keepends=True)
    ]


def test_read_gives_up_a_large_operation_and_keeps_what_stands_before_it(
    telemetry: Telemetry,
) -> None:
    telemetry.start()
    pending_import(telemetry, MANY)
    ran = telemetry("query", "--count", env=AT_ONCE)
    assert ran.line == "3"
    assert "1 record waits to be applied" in ran.err
    assert "telemetry db drain" in ran.err
    telemetry("db", "drain", env=AT_ONCE)
    assert telemetry("query", "--count", env=AT_ONCE).line == str(3 + MANY)


def test_full_buffer_is_listed_once_and_no_file_in_it_read(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a write that has no time: however many files there are, it keeps its record behind them."""
    config = Config(base_dir=str(telemetry.base))
    os.makedirs(config.buffer_dir, 0o700)
    for number in range(300):
        Path(config.buffer_dir, f"{number:032x}.ndjson").write_bytes(
            create(number, f"n{number:03}")
        )
    looked_at: list[str] = []

    def watch(module: object, name: str) -> None:
        real = getattr(module, name)

        def watched(*given: object) -> object:
            looked_at.append(name)
            return real(*given)

        monkeypatch.setattr(module, name, watched)

    watch(buffer, "line_names")
    watch(buffer, "_has_content")
    watch(buffer, "read")
    place, why = journal.append(
        config, "f" * 32, create(999, "mine"), "2026-01-02T03:04:05.678Z", time.monotonic() - 1
    )
    assert (place, why) == (
        None,
        f"300 records in {config.buffer_dir} have to go to the journal first",
    )
    assert sorted(looked_at) == ["_has_content", "line_names"]
    assert max(os.listdir(config.buffer_dir)) == f"{'f' * 32}.ndjson"
    monkeypatch.undo()
    assert len(ids(telemetry)) == 301


def test_empty_files_in_the_buffer_hold_up_no_write(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    for number in range(3):
        (telemetry.buffer / f"{number:032x}.ndjson").touch(0o600)
    assert telemetry.start_ran(env=AT_ONCE).err == ""


def test_drain_of_a_full_buffer_is_whole(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    for number in range(1000):
        (telemetry.buffer / f"{number:032x}.ndjson").write_bytes(create(number, f"n{number:04}"))
    telemetry("db", "drain", env=AT_ONCE)
    assert telemetry("query", "--count", env=AT_ONCE).line == "1001"
    assert list(telemetry.buffer.iterdir()) == []


IN_WAL_MODE = (
    "import sqlite3; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('PRAGMA journal_mode = WAL'); "
    "db.execute('BEGIN'); db.execute('SELECT count(*) FROM agent_runs').fetchone()"
)


@pytest.mark.parametrize("is_idle", [True, False], ids=["idle", "reading"])
def test_open_connection_in_wal_mode_holds_no_write_up(telemetry: Telemetry, is_idle: bool) -> None:
    telemetry.start()
    with held(IN_WAL_MODE + ("; db.execute('COMMIT')" if is_idle else ""), telemetry.database):
        assert telemetry.start_ran(env=AT_ONCE).err == ""
        assert telemetry("query", "--count", env=AT_ONCE).line == "2"
    telemetry.start()
    assert len(ids(telemetry)) == 3
    assert telemetry.database.read_bytes()[18] == 1


def test_rebuild_waits_for_a_reader_in_wal_mode(telemetry: Telemetry) -> None:
    """SQLite itself would not wait where the mode has to be changed."""
    telemetry.start()
    with held(IN_WAL_MODE, telemetry.database):
        writer = telemetry.popen(
            "db",
            "rebuild",
            env={"TELEMETRY_LOCK_TIMEOUT": "60"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        # It opens the database under this lock.
        while is_free(f"{telemetry.database}.lock"):
            assert writer.poll() is None
    said = writer.communicate()[1]
    assert (writer.returncode, b"buffered" in said) == (0, False), said


def test_write_in_wal_mode_is_buffered_when_its_time_is_over(telemetry: Telemetry) -> None:
    telemetry.start()
    writing = IN_WAL_MODE + "; db.execute('COMMIT'); db.execute('BEGIN IMMEDIATE')"
    with held(writing, telemetry.database):
        assert "is locked by another process" in telemetry.start_ran(env=AT_ONCE).err
    assert len(ids(telemetry)) == 2
