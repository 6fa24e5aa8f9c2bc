"""`telemetry doctor`: each kind of trouble is found and said with what to do, and looking changes nothing."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry, legacy_database
from support.storage import (
    EXCLUSIVE,
    FLOCKED,
    START,
    append,
    create,
    flip,
    held,
    journal_lines,
    make_newer,
    operation,
    read_only,
    segment,
)

from telemetry_cli.core.config import Config
from telemetry_cli.journal.segments import encode
from telemetry_cli.maintenance.doctor.context import Examined
from telemetry_cli.maintenance.doctor.files import permissions

COPIED = "run_id, schema_version, op_id, created_at, updated_at, start_time, agent_name, job_type, status"
SHORT = {"TELEMETRY_LOCK_TIMEOUT": "0.3"}


def findings(telemetry: Telemetry, *, code: int) -> list[dict[str, Any]]:
    """What doctor finds, having seen that it changed nothing."""
    before = telemetry.files() if telemetry.base.exists() else {}
    found: list[dict[str, Any]] = telemetry("doctor", "-o", "json", code=code, env=SHORT).json
    assert (telemetry.files() if telemetry.base.exists() else {}) == before
    assert all(row["what"] and row["where"] and row["todo"] for row in found)
    assert code == any(row["severity"] == "problem" for row in found)
    return found


def only(telemetry: Telemetry, severity: str) -> dict[str, Any]:
    (found,) = findings(telemetry, code=int(severity == "problem"))
    assert found["severity"] == severity
    return found


def test_all_is_well(telemetry: Telemetry) -> None:
    assert telemetry("doctor").out == "All is well.\n"
    assert not telemetry.base.exists()
    run = telemetry.start()
    telemetry("run", "end", run)
    telemetry("db", "backup")
    assert findings(telemetry, code=0) == []


def test_all_is_well_with_an_adopted_database(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 5)
    telemetry.start()
    telemetry("run", "update", "run-1", "--product", "p")
    assert findings(telemetry, code=0) == []


def test_a_table_for_people(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.database.chmod(0o644)
    out = telemetry("doctor", code=1).out
    assert "what to do" in out
    assert f"chmod 600 {telemetry.database}" in out


# Files


@pytest.mark.parametrize(
    ("name", "mode", "todo"),
    [
        ("", 0o755, "chmod 700"),
        ("raw", 0o750, "chmod 700"),
        ("raw/.lock", 0o660, "chmod 600"),
        ("db/telemetry.sqlite", 0o644, "chmod 600"),
        ("buffer", 0o500, "chmod 700"),
    ],
)
def test_modes(telemetry: Telemetry, name: str, mode: int, todo: str) -> None:
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.base / name).chmod(mode)
    found = only(telemetry, "problem")
    assert found["where"] == str(telemetry.base / name)
    assert found["todo"] == f"{todo} {telemetry.base / name}"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_owners(telemetry: Telemetry) -> None:
    telemetry.start()
    os.chown(segment(telemetry), 65534, 65534)
    assert "user 65534" in only(telemetry, "problem")["what"]


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize(
    ("made", "todo"), [("base", "sudo chown -R 12345 "), (".", "sudo install -d ")]
)
def test_base_of_another_user_is_named_with_the_command_that_gives_it_back(
    made: str, todo: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        (Path(folder) / made).mkdir(mode=0o700, exist_ok=True)
        examined = Examined(Config(base_dir=f"{folder}/base"))
        from_child, to_parent = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.setuid(12345)
                (found,) = permissions(examined)
                os.write(to_parent, f"{found.what}\n{found.todo}\n".encode())
            finally:
                os._exit(0)
        os.close(to_parent)
        with open(from_child) as answer:
            lines = answer.read().splitlines()
        os.waitpid(child, 0)
        assert lines[0].endswith("this belongs to root")
        assert lines[1].startswith(todo) and lines[1].endswith(f" {folder}/base")


@pytest.mark.parametrize("plant", [os.symlink, os.link], ids=["symlink", "hard link"])
@pytest.mark.parametrize(
    "name", ["raw/ops_29990101.ndjson", "buffer", "blobs/x", "backups/backup_1.sqlite"]
)
def test_links(telemetry: Telemetry, name: str, plant: Callable[[Path, Path], None]) -> None:
    telemetry.start()
    place = telemetry.base / name
    place.parent.mkdir(mode=0o700, exist_ok=True)
    (telemetry.home / "victim").write_bytes(b"precious")
    plant(telemetry.home / "victim", place)
    found = findings(telemetry, code=1)
    assert {"problem"} == {row["severity"] for row in found if row["where"] == str(place)}
    assert (telemetry.home / "victim").read_bytes() == b"precious"


def test_a_symlinked_base_is_fine(telemetry: Telemetry) -> None:
    real = telemetry.home / "real"
    real.mkdir(mode=0o700)
    telemetry.base.symlink_to(real)
    telemetry.start()
    assert findings(telemetry, code=0) == []


# Locks


@pytest.mark.parametrize("name", ["raw/.lock", "db/telemetry.sqlite.lock"])
def test_who_holds_a_lock(telemetry: Telemetry, name: str) -> None:
    telemetry.start()
    with held(FLOCKED, telemetry.base / name):
        found = only(telemetry, "warning")
    assert "python" in found["what"]
    assert found["where"] == str(telemetry.base / name)


def test_a_locked_database(telemetry: Telemetry) -> None:
    telemetry.start()
    with held(EXCLUSIVE, telemetry.database):
        found = findings(telemetry, code=1)
    assert any("locked, by process" in row["what"] for row in found)


# The database


def _pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(os.urandom(4096 * 3))


@pytest.mark.parametrize(
    "damage",
    [
        _pages,
        lambda path: path.write_bytes(b"garbage" * 999),
        lambda path: os.truncate(path, 4096 * 5),
    ],
    ids=["pages", "garbage", "cut"],
)
def test_a_damaged_database(telemetry: Telemetry, damage: Callable[[Path], object]) -> None:
    for _ in range(3):
        telemetry.start()
    damage(telemetry.database)
    found = findings(telemetry, code=1)
    assert "db rebuild" in found[0]["todo"]


def test_an_index_that_does_not_match_its_table(telemetry: Telemetry) -> None:
    telemetry.start()
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, '(run_id, start_time)', '(run_id, end_time)') WHERE name = 'agent_runs_run_id'"
        )
    db.close()
    assert any("integrity_check" in row["what"] for row in findings(telemetry, code=1))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("DROP TABLE run_events", "the table run_events is missing"),
        (
            "ALTER TABLE agent_runs DROP COLUMN website",
            "the table agent_runs lacks the column website",
        ),
        ("DROP INDEX agent_runs_run_id", "the index agent_runs_run_id is missing"),
        ("DELETE FROM runs_search", "the index of words does not match the runs"),
        ("DROP TABLE runs_search", "the table runs_search is missing"),
    ],
    ids=["table", "column", "index", "words", "search"],
)
def test_a_schema_that_is_not_ours(telemetry: Telemetry, change: str, what: str) -> None:
    telemetry.start("--input-summary", "needle")
    changed(telemetry, change)
    (found,) = [row for row in findings(telemetry, code=1) if row["what"].startswith(what)]
    assert (found["severity"], found["where"], found["todo"]) == (
        "problem",
        str(telemetry.database),
        "telemetry db rebuild",
    )
    telemetry("db", "rebuild")
    assert findings(telemetry, code=0) == []
    assert telemetry("query", "--search", "needle", "--count").line == "1"


def test_what_somebody_else_made_in_the_database(telemetry: Telemetry) -> None:
    telemetry.start()
    changed(telemetry, "CREATE VIEW mine AS SELECT * FROM agent_runs")
    assert only(telemetry, "warning")["what"] == "not of telemetry: the view mine"


def test_a_database_in_wal_mode(telemetry: Telemetry) -> None:
    telemetry.start()
    changed(telemetry, "PRAGMA journal_mode = WAL")
    assert "WAL mode until no other program has it open" in only(telemetry, "warning")["what"]
    telemetry.start()
    assert findings(telemetry, code=0) == []


@pytest.mark.parametrize(
    "argv",
    [
        ("query", "-o", "ids"),
        ("query", "-o", "json"),
        ("run", "show", "@last"),
        ("run", "show", "@last", "-o", "json"),
        ("export", "--to", "-"),
    ],
)
def test_reads_of_a_table_that_lacks_a_column(telemetry: Telemetry, argv: tuple[str, ...]) -> None:
    event_id = telemetry.start()
    changed(telemetry, "ALTER TABLE agent_runs DROP COLUMN website")
    ran = telemetry(*argv, code=None)
    assert (ran.code, event_id in ran.out) == (1, False)
    assert (
        f"{telemetry.database} does not have the tables of its version: the table agent_runs lacks the column website"
        in ran.err
    )
    assert "telemetry db rebuild" in ran.err


def changed(telemetry: Telemetry, statement: str) -> None:
    """Change the database past the program."""
    db = sqlite3.connect(telemetry.database, isolation_level=None)
    db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE agent_runs SET product = 'forged'",
        "DELETE FROM agent_runs WHERE id = 2",
        f"INSERT INTO agent_runs (event_id, {COPIED}) SELECT 'forged', {COPIED} FROM agent_runs WHERE id = 1",
        "UPDATE run_events SET payload_json = '2'",
    ],
    ids=["changed", "deleted", "added", "event"],
)
def test_rows_that_are_not_what_the_journal_says(telemetry: Telemetry, change: str) -> None:
    run = telemetry.start()
    telemetry("run", "event", "step", "--run", run, "--payload", "1")
    telemetry.start()
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute(change)
    db.close()
    found = findings(telemetry, code=1)
    assert all("db rebuild" in row["todo"] for row in found)
    telemetry("db", "rebuild")
    assert findings(telemetry, code=0) == []


@pytest.mark.parametrize("part", range(3))
def test_a_flipped_bit_in_a_payload_is_found(telemetry: Telemetry, part: int) -> None:
    """SQLite's own check passes; only the journal knows better."""
    run = telemetry(
        "run",
        "start",
        "--agent-name",
        "tester",
        "--job-type",
        "job",
        "--input-summary",
        "a-summary-of-some-length",
        "--no-git",
    ).line
    content = telemetry.database.read_bytes()
    flip(telemetry.database, content.index(b"a-summary-of-some-length") + part * 7, part)
    assert telemetry.sql("PRAGMA integrity_check") == [("ok",)]
    assert run in only(telemetry, "problem")["what"]


def test_a_newer_database(telemetry: Telemetry) -> None:
    telemetry.start()
    db = sqlite3.connect(telemetry.database)
    make_newer(db)
    db.close()
    assert only(telemetry, "problem")["todo"] == "Upgrade telemetry."


def test_an_older_database(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 5)
    telemetry.database.chmod(0o600)
    found = only(telemetry, "warning")
    assert (found["todo"], "version 5" in found["what"]) == ("telemetry db migrate", True)


def test_a_missing_database(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.database.unlink()
    assert "no database" in findings(telemetry, code=1)[0]["what"]


def test_a_database_of_another_journal(telemetry: Telemetry) -> None:
    other = Telemetry(telemetry.home / "other")
    other.start()
    telemetry.start()
    shutil.copy(other.database, telemetry.database)
    telemetry.database.chmod(0o600)
    assert any("does not belong" in row["what"] for row in findings(telemetry, code=1))


# The journal and what waits


def test_every_damaged_line_is_shown(telemetry: Telemetry) -> None:
    for _ in range(4):
        telemetry.start()
    lines = journal_lines(telemetry)
    for number in (1, 3):
        flip(segment(telemetry), sum(map(len, lines[:number])) + 30, 1)
    damaged = [row for row in findings(telemetry, code=1) if "a damaged line" in row["what"]]
    assert [row["where"].rpartition(" ")[2] for row in damaged] == [
        str(sum(map(len, lines[:number]))) for number in (1, 3)
    ]


def test_a_line_that_was_damaged_before_it_was_applied(telemetry: Telemetry) -> None:
    telemetry.start()
    append(telemetry, create(1, "torn")[:90] + b"\n")
    telemetry.start()
    assert "a damaged line" in only(telemetry, "problem")["what"]


def test_what_waits(telemetry: Telemetry) -> None:
    telemetry.start()
    append(telemetry, create(1, "left", start_time="2999-01-01T00:00:00.000Z"))
    assert only(telemetry, "warning")["what"] == "1 record waits to go to the database"
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.buffer / f"{2:032x}.ndjson").write_bytes(
        create(2, "buffered", start_time="2999-01-01T00:00:00.000Z")
    )
    (telemetry.buffer / f"{2:032x}.ndjson").chmod(0o600)
    assert [row["todo"] for row in findings(telemetry, code=0)] == ["telemetry db drain"] * 2
    telemetry("db", "drain")
    assert findings(telemetry, code=0) == []


def test_what_was_refused(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry("run", "end", "nobody", code=3)
    assert only(telemetry, "warning")["what"] == "run.end was refused: Run not found: nobody"


def test_runs_that_never_ended(telemetry: Telemetry) -> None:
    telemetry.start("--start-time", "30h")
    telemetry.start("--start-time", "2h")
    assert "running since" in only(telemetry, "warning")["what"]


def test_an_operation_of_the_future(telemetry: Telemetry) -> None:
    telemetry.start()
    append(telemetry, encode(operation("run.teleport", 1)))
    assert [row["what"] for row in findings(telemetry, code=0)] == [
        "1 record waits to go to the database"
    ]


def test_backups_are_checked(telemetry: Telemetry) -> None:
    telemetry.start()
    backup = Path(telemetry("db", "backup").line)
    backup.write_bytes(backup.read_bytes()[:5000])
    found = only(telemetry, "problem")
    assert (found["where"], "damaged" in found["what"]) == (str(backup), True)


# Where it can look


def test_less_than_the_best_flushing(telemetry: Telemetry) -> None:
    telemetry.start()
    ran = telemetry("doctor", "-o", "json", env={"TELEMETRY_DB_SYNCHRONOUS": "FULL"})
    assert [row["where"] for row in ran.json] == ["TELEMETRY_DB_SYNCHRONOUS"]


def test_a_base_that_cannot_be_written(telemetry: Telemetry) -> None:
    telemetry(*START)
    with read_only(telemetry.base):
        assert telemetry("doctor", code=0).out == "All is well.\n"


def test_doctor_of_a_killed_writers_leftovers(telemetry: Telemetry) -> None:
    telemetry.start("--input-summary", "x" * 9000)
    changing = "PRAGMA cache_size = 1; BEGIN IMMEDIATE; UPDATE agent_runs SET input_summary = hex(randomblob(90000))"
    script = f"import os, sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript('{changing}'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", script, str(telemetry.database)])
    assert Path(f"{telemetry.database}-journal").exists()
    assert "rolled back" in findings(telemetry, code=1)[0]["what"]
    telemetry("status")
    assert findings(telemetry, code=0) == []
