"""`telemetry redact --fix` where the journal alone does not hold everything: bases that were adopted, pruned, damaged. All of it stays."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry, legacy_database
from support.storage import (
    READING,
    TRANSACTION,
    append,
    assert_sound,
    create,
    flip,
    held,
    ids,
    journal_lines,
    next_day,
    operation,
    segment,
)
from support.strace import CHANGES, Traced, needs_strace

from telemetry_cli.journal.segments import decode, encode

TOKEN = "ghp_" + "a1B2" * 9
IN_JOURNAL = [
    create(901, "stained", input_summary=f"use {TOKEN} now"),
    encode(operation("run.event", 902, run="stained", event_type="step", payload=[TOKEN])),
]


def adopted(telemetry: Telemetry) -> None:
    """A database of the platform with secrets, also in what breaks a rule and in bytes; changed since."""
    legacy_database.make(telemetry.database, 5)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("ALTER TABLE agent_runs ADD COLUMN note TEXT")
        db.execute(
            "UPDATE agent_runs SET input_summary = ?, note = ?, items_failed = ? WHERE run_id = 'run-1'",
            (TOKEN, f"see {TOKEN}", TOKEN),
        )
        db.execute(
            "UPDATE agent_runs SET product = ? WHERE run_id = 'run-2'", (b"\xff " + TOKEN.encode(),)
        )
        db.execute(
            "UPDATE agent_runs SET host = CAST(? AS TEXT) WHERE run_id = 'run-2'",
            (b"\xfe " + TOKEN.encode(),),
        )
        db.execute(
            "UPDATE run_events SET payload_json = ? WHERE run_id = 'run-3'",
            (json.dumps({"password": "x", "a": TOKEN}),),
        )
        db.execute("UPDATE commits SET message = ? WHERE run_id = 'gone'", (TOKEN,))
    db.close()
    telemetry("run", "update", "run-1", "--website", "changed")
    append(telemetry, *IN_JOURNAL)
    telemetry("query")
    telemetry("db", "backup")
    telemetry.start("--event-id", "later")


def pruned(telemetry: Telemetry) -> None:
    """A base whose first segment is gone, with secrets in what came of it and after."""
    telemetry.start("--event-id", "clean")
    append(telemetry, *IN_JOURNAL)
    telemetry("query")
    next_day(telemetry, "29990101")
    telemetry.start("--event-id", "next")
    telemetry("db", "backup")
    append(telemetry, create(903, "stained-2", item_name=TOKEN))
    telemetry("query")
    assert telemetry("db", "prune", "--older-than", "2020-01-01", "--json").json["segments"] == 1
    telemetry.start("--event-id", "later")


def pruned_without_backup(telemetry: Telemetry) -> None:
    pruned(telemetry)
    shutil.rmtree(telemetry.base / "backups")


def damaged(telemetry: Telemetry) -> None:
    """A run's line, and its end's, are damaged once they were applied; one backup has the run, one has not."""
    telemetry.start("--event-id", "clean")
    telemetry("db", "backup")
    append(
        telemetry,
        *IN_JOURNAL,
        create(903, "fragile"),
        encode(operation("run.end", 904, run="fragile", status="failure")),
    )
    telemetry("query")
    telemetry("db", "backup")
    telemetry.start("--event-id", "later")
    lines = journal_lines(telemetry)
    for number, line in enumerate(lines):
        found = decode(line)
        if found and found["op_id"] in (f"{903:032x}", f"{904:032x}"):
            flip(segment(telemetry), sum(map(len, lines[:number])) + 60, 1)


def lost_blob(telemetry: Telemetry) -> None:
    """What an import brought is in the database alone."""
    records = telemetry.home / "runs.ndjson"
    records.write_text(
        '{"event_id":"imported","agent_name":"a","job_type":"j","start_time":"2026-01-02T03:04:05Z"}\n'
    )
    telemetry("import", str(records))
    append(telemetry, *IN_JOURNAL)
    telemetry("query")
    (blob,) = (telemetry.base / "blobs").glob("[!.]*")
    blob.unlink()


BASES = [adopted, pruned, pruned_without_backup, damaged, lost_blob]


def hits(telemetry: Telemetry) -> list[str]:
    return sorted(
        str(path.relative_to(telemetry.base))
        for path in telemetry.base.rglob("*")
        if path.is_file() and TOKEN.encode() in path.read_bytes()
    )


def cleaned(value: Any) -> Any:
    """What a value is without secrets. Offsets of damaged lines, and digests, are others."""
    text = json.dumps(value, sort_keys=True, default=lambda raw: raw.decode(errors="replace"))
    return json.loads(
        text.replace(TOKEN, "[redacted]").replace(
            '\\"password\\":\\"x\\"', '\\"password\\":\\"[redacted]\\"'
        )
    )


def contents(path: Path) -> dict[str, list[Any]]:
    db = sqlite3.connect(path)
    try:
        tables = ("agent_runs", "run_events", "run_commits", "legacy_values", "op_results")
        return {
            table: sorted(map(json.dumps, cleaned(db.execute(f"SELECT * FROM {table}").fetchall())))
            for table in tables
        }
    finally:
        db.close()


def backups(telemetry: Telemetry) -> list[Path]:
    return sorted((telemetry.base / "backups").glob("backup_*.sqlite"))


@pytest.mark.parametrize("make", BASES, ids=lambda make: make.__name__)
def test_everything_stays_but_the_secrets(
    make: Callable[[Telemetry], None], telemetry: Telemetry
) -> None:
    make(telemetry)
    assert hits(telemetry)
    before, kept, known = (
        contents(telemetry.database),
        [contents(path) for path in backups(telemetry)],
        ids(telemetry),
    )
    telemetry("redact", "--fix")
    assert hits(telemetry) == []
    assert telemetry("redact", "--scan").line == "found: no secrets"
    assert (contents(telemetry.database), ids(telemetry)) == (before, known)
    assert [contents(path) for path in backups(telemetry)] == kept
    assert [path.name for path in telemetry.base.rglob("*redact*")] == []
    assert_sound(telemetry)
    new = telemetry.start()
    assert ids(telemetry) == sorted([*known, new])
    for path in backups(telemetry):
        # Each still belongs to the journal: what came since is applied to it.
        assert "does not belong" not in telemetry("db", "restore", str(path)).err
    assert make is damaged or ids(telemetry) == sorted([*known, new])


@pytest.mark.parametrize("make", [adopted, pruned], ids=lambda make: make.__name__)
def test_a_lost_database_is_made_again_from_what_was_cleaned(
    make: Callable[[Telemetry], None], telemetry: Telemetry
) -> None:
    make(telemetry)
    telemetry("redact", "--fix")
    assert "problem" not in telemetry("doctor").out
    fixed = contents(telemetry.database)
    telemetry.database.unlink()
    telemetry("db", "rebuild")
    assert contents(telemetry.database) == fixed
    assert hits(telemetry) == []


def test_the_adopted_database_can_be_restored_once_it_is_clean(telemetry: Telemetry) -> None:
    adopted(telemetry)
    telemetry("redact", "--fix")
    before = contents(telemetry.database)
    (snapshot,) = (telemetry.base / "backups").glob("adopted_*.sqlite")
    telemetry("db", "restore", str(snapshot))
    assert contents(telemetry.database) == before


def test_an_old_database_is_adopted_first(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 3)
    db = sqlite3.connect(telemetry.database)
    with db:
        db.execute("UPDATE agent_runs SET output_summary = ? WHERE run_id = 'run-1'", (TOKEN,))
    db.close()
    assert (
        telemetry("redact", "--scan", "--json", code=1).json["findings"][0]["place"]
        == "agent_runs run-1 output_summary"
    )
    telemetry("redact", "--fix")
    assert (hits(telemetry), len(ids(telemetry)), telemetry.run("run-1")["output_summary"]) == (
        [],
        3,
        "[redacted]",
    )
    assert_sound(telemetry)


def test_tables_of_the_user_in_an_adopted_database_lose_their_secrets(
    telemetry: Telemetry,
) -> None:
    legacy_database.make(telemetry.database, 7)
    db = sqlite3.connect(telemetry.database)
    with db:
        for made in (
            "VIRTUAL TABLE notes USING fts5 (x)",
            "TABLE notes_old (x)",
            "TABLE sqlitexnotes (x)",
            'TABLE "a""b" ("x""y")',
            "TABLE journal_cursor (x)",
            "TABLE made (x, y AS (x) STORED)",
        ):
            db.execute(f"CREATE {made}")
        for table in ("notes", "notes_old", "sqlitexnotes", '"a""b"', "journal_cursor", "made"):
            db.execute(f"INSERT INTO {table} VALUES (?)", (TOKEN,))
        db.execute("UPDATE schema_migrations SET description = ? WHERE version = 1", (TOKEN,))
    db.close()
    telemetry.start("--event-id", "later")
    telemetry("redact", "--fix")
    assert hits(telemetry) == []
    telemetry("db", "rebuild")
    assert hits(telemetry) == []
    assert telemetry("redact", "--scan").line == "found: no secrets"
    assert_sound(telemetry)


def test_a_backup_without_secrets_still_belongs_to_the_journal(telemetry: Telemetry) -> None:
    """The journal before its place gets shorter."""
    telemetry.start("--event-id", "clean")
    append(
        telemetry,
        IN_JOURNAL[0],
        encode(operation("run.update", 905, run="stained", input_summary="nothing")),
    )
    telemetry("query")
    backup = Path(telemetry("db", "backup").line)
    assert TOKEN.encode() not in backup.read_bytes()
    telemetry("redact", "--fix")
    telemetry.start("--event-id", "later")
    telemetry("db", "restore", str(backup))
    assert ids(telemetry) == ["clean", "later", "stained"]


def test_a_damaged_database_is_to_be_rebuilt_first(telemetry: Telemetry) -> None:
    adopted(telemetry)
    content = bytearray(telemetry.database.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    telemetry.database.write_bytes(content)
    before = telemetry.files()
    assert "db rebuild" in telemetry("redact", "--fix", code=1).err
    assert telemetry.files() == before
    telemetry("db", "rebuild")
    Path(next(telemetry.database.parent.glob("*.aside-*"))).unlink()
    telemetry("redact", "--fix")
    assert hits(telemetry) == []


LONG = bool(os.environ.get("TELEMETRY_TESTS_LONG"))


@pytest.mark.parametrize("what", [TRANSACTION, READING])
def test_it_waits_for_other_programs_and_leaves_all_as_it_was_when_that_takes_too_long(
    telemetry: Telemetry, what: str
) -> None:
    telemetry.start("--event-id", "clean")
    append(telemetry, *IN_JOURNAL)
    telemetry("db", "backup")
    before = {path: path.read_bytes() for path in telemetry.base.rglob("*") if path.is_file()}
    with held(what, telemetry.database):
        refused = telemetry("redact", "--fix", env={"TELEMETRY_LOCK_TIMEOUT": "0.5"}, code=1)
        assert "locked by another process" in refused.err
    # What the other program had begun is rolled back when it goes.
    telemetry("status")
    assert {
        path: path.read_bytes() for path in telemetry.base.rglob("*") if path.is_file()
    } == before
    telemetry("redact", "--fix")
    assert hits(telemetry) == []


@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_backup_that_the_disk_does_not_let_it_make_again_is_not_left_behind(
    telemetry: Telemetry, error: str
) -> None:
    """Its journal would be another one then, and nobody could make it again, or restore it."""
    telemetry.start("--event-id", "clean")
    append(telemetry, *IN_JOURNAL)
    backup = telemetry("db", "backup").line
    fresh = ("-P", f"{backup}.redacted", "-e", f"inject=pwrite64:error={error}:when=2+")
    ran = Traced(telemetry)(("redact", "--fix"), *fresh, paths=False, calls=("pwrite64",))
    assert (ran.code, ran.out) == (75, ""), ran
    assert Path(backup).name in " ".join(hits(telemetry))
    telemetry("redact", "--fix")
    assert hits(telemetry) == []
    telemetry("db", "restore", backup)
    assert ids(telemetry) == ["clean", "stained"]


def test_what_a_killed_rebuild_left_goes_too(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "clean")
    append(telemetry, *IN_JOURNAL)
    telemetry("query")
    for ending in (".rebuild", ".restore", ".aside"):
        shutil.copy(telemetry.database, f"{telemetry.database}{ending}")
    telemetry("redact", "--fix")
    assert hits(telemetry) == []


@pytest.mark.heavy
@needs_strace
@pytest.mark.parametrize(
    "make", [*BASES, None], ids=lambda make: make.__name__ if make else "plain"
)
def test_killed_at_any_call_it_loses_nothing_and_can_be_run_again(
    make: Callable[[Telemetry], None] | None,
    telemetry: Telemetry,
    record_property: Callable[[str, object], None],
) -> None:
    if make:
        make(telemetry)
    else:
        telemetry.start("--event-id", "clean")
        append(telemetry, *IN_JOURNAL)
        telemetry("db", "backup")
    before, known = contents(telemetry.database), ids(telemetry)
    traced, beginning, argv = Traced(telemetry), telemetry.home / "beginning", ("redact", "--fix")
    shutil.copytree(telemetry.base, beginning)
    points = traced.points(argv, paths=False, calls=CHANGES)
    # What takes the place of something else does so by being renamed: each of those.
    renames, others = (
        [point for point in points if point[0] == "rename"],
        [point for point in points if point[0] != "rename"],
    )
    killed = 0
    for call, n in [*renames, *others[:: 1 if LONG else max(1, len(others) // 10)]]:
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        killed += (
            traced(
                argv, "-e", f"inject={call}:signal=SIGKILL:when={n}", paths=False, calls=CHANGES
            ).code
            != 0
        )
        telemetry("run", "start", "--agent-name", "a", "--job-type", "j", "--event-id", "new")
        telemetry("redact", "--fix")
        assert (hits(telemetry), ids(telemetry)) == ([], sorted([*known, "new"])), (call, n)
        after = contents(telemetry.database)
        assert [
            row for table, rows in before.items() for row in rows if row not in after[table]
        ] == [], (call, n)
        assert [path.name for path in telemetry.base.rglob("*redact*")] == [], (call, n)
        assert_sound(telemetry)
    assert killed > 10
    record_property("seen", f"{killed} kills at {len(points)} calls")
