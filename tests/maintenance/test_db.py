"""`db backup`, `restore`, `rebuild`, `prune`, `vacuum`: what they make is whole or absent, and nothing that was acknowledged is lost."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from support import PROGRAM, Ran, Telemetry
from support.hooks import Hooks
from support.records import LEAST
from support.storage import (
    EXCLUSIVE,
    FLOCKED,
    START,
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
from support.strace import Traced, needs_strace

from telemetry_cli.core.config import Config
from telemetry_cli.journal import blobs
from telemetry_cli.journal.segments import encode
from telemetry_cli.maintenance import cleanup as pruning
from telemetry_cli.maintenance import integrity as damage
from telemetry_cli.store import Store

OLD, LATER = "2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z"
TABLES = ("agent_runs", "run_events", "run_commits")


def contents(telemetry: Telemetry) -> list[list[tuple[object, ...]]]:
    return [telemetry.sql(f"SELECT * FROM {table} ORDER BY id") for table in TABLES]


def backups(telemetry: Telemetry) -> list[Path]:
    return sorted((telemetry.base / "backups").glob("*.sqlite"))


def a_life(telemetry: Telemetry, event_id: str, start: str = OLD) -> str:
    telemetry(
        "run",
        "start",
        "--agent-name",
        "tester",
        "--job-type",
        "job",
        "--event-id",
        event_id,
        "--start-time",
        start,
        "--no-git",
    )
    telemetry("run", "event", "step", "--run", event_id)
    telemetry("associate-commit", event_id, "--commit", "abcdef1", "--no-git")
    telemetry("run", "end", event_id, "-m", "size=1")
    return event_id


# Backup


def test_a_backup_is_a_whole_database_of_ones_own(telemetry: Telemetry) -> None:
    run = telemetry.start()
    ran = telemetry("db", "backup", "--json")
    (made,) = backups(telemetry)
    assert (ran.json["backup"], ran.json["bytes"]) == (str(made), made.stat().st_size)
    assert sorted(path.name for path in made.parent.iterdir()) == sorted([".lock", made.name])
    copy = Telemetry(telemetry.home / "copy")
    assert copy("--db", str(made), "query", "-o", "ids").line == run


def test_a_backup_goes_where_it_is_told_and_overwrites_nothing(telemetry: Telemetry) -> None:
    telemetry.start()
    folder = telemetry.home / "elsewhere"
    folder.mkdir()
    assert Path(telemetry("db", "backup", str(folder)).line).parent == folder
    target = folder / "mine.sqlite"
    assert telemetry("db", "backup", "mine.sqlite", cwd=folder).line == str(target)
    before = target.read_bytes()
    telemetry("db", "backup", str(target), code=4)
    (folder / "link").symlink_to(telemetry.home / "victim")
    telemetry("db", "backup", str(folder / "link"), code=4)
    telemetry("db", "backup", str(folder / "none" / "x"), code=2)
    assert target.read_bytes() == before
    assert not (telemetry.home / "victim").exists()
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_backups_and_what_is_restored_are_private(telemetry: Telemetry, umask: int) -> None:
    telemetry.start()
    for argv in (
        ("backup",),
        ("backup", "mine.sqlite"),
        ("rebuild",),
        ("restore", "mine.sqlite"),
        ("vacuum",),
    ):
        subprocess.run(
            [PROGRAM, "db", *argv],
            env=telemetry.env,
            cwd=telemetry.cwd,
            umask=umask,
            check=True,
            capture_output=True,
        )
    paths = [telemetry.cwd / "mine.sqlite", *telemetry.base.rglob("*")]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in paths} == {
        path.name: "0o700" if path.is_dir() else "0o600" for path in paths
    }


def test_no_database_no_backup(telemetry: Telemetry) -> None:
    telemetry("db", "backup", code=3)
    telemetry("db", "vacuum", code=3)
    assert not telemetry.base.exists()


def test_a_damaged_database_is_not_backed_up(telemetry: Telemetry) -> None:
    for _ in range(40):
        append_run = telemetry.start("-m", "x=" + "y" * 400)
    content = bytearray(telemetry.database.read_bytes())
    content[4096 * 6 : 4096 * 7] = os.urandom(4096)
    telemetry.database.write_bytes(content)
    telemetry("db", "backup", code=1)
    assert backups(telemetry) == []
    telemetry("db", "rebuild")
    assert append_run in ids(telemetry)


def test_a_locked_database_is_not_waited_for_beyond_the_deadline(telemetry: Telemetry) -> None:
    telemetry.start()
    with held(EXCLUSIVE, telemetry.database):
        assert (
            "locked" in telemetry("db", "backup", env={"TELEMETRY_LOCK_TIMEOUT": "0.5"}, code=1).err
        )
    assert backups(telemetry) == []


def test_a_link_in_place_of_the_folder_of_backups_is_refused(telemetry: Telemetry) -> None:
    telemetry.start()
    (telemetry.home / "victim").mkdir()
    (telemetry.base / "backups").symlink_to(telemetry.home / "victim")
    telemetry("db", "backup", code=6)
    assert list((telemetry.home / "victim").iterdir()) == []


# Restore


def test_restoring_an_old_backup_replays_what_came_after(telemetry: Telemetry) -> None:
    first = telemetry.start()
    backup = telemetry("db", "backup").line
    append(telemetry, *(create(number, f"later-{number}") for number in range(100)))
    telemetry("run", "end", first)
    telemetry("db", "drain")
    before = contents(telemetry)
    ran = telemetry("db", "restore", backup, "--json")
    assert contents(telemetry) == before
    assert Path(ran.json["aside"]).is_file()
    assert_sound(telemetry)
    assert "problem" not in telemetry("doctor").out


@pytest.mark.parametrize("content", [b"", b"no database\n" * 500, None])
def test_what_is_no_backup_is_not_restored(telemetry: Telemetry, content: bytes | None) -> None:
    run = telemetry.start()
    wrong = telemetry.home / "wrong"
    if content is None:
        db = sqlite3.connect(wrong)
        db.execute("CREATE TABLE theirs (value TEXT)")
        db.close()
    else:
        wrong.write_bytes(content)
    before = telemetry.database.read_bytes()
    refused = telemetry("db", "restore", str(wrong), code=None)
    assert refused.code in (1, 4)
    assert str(wrong) in refused.err
    assert "rebuild" not in refused.err
    assert ".restore" not in refused.err
    assert telemetry("db", "restore", str(telemetry.home / "none"), code=2)
    for argv in (("backup", ""), ("restore", "")):
        assert "the path is empty" in telemetry("db", *argv, code=2).err
    assert telemetry.database.read_bytes() == before
    assert ids(telemetry) == [run]
    assert sorted(path.name for path in telemetry.database.parent.iterdir()) == [
        "telemetry.sqlite",
        "telemetry.sqlite.lock",
    ]


def test_a_backup_of_another_base_is_refused(telemetry: Telemetry) -> None:
    other = Telemetry(telemetry.home / "other")
    other.start()
    telemetry.start()
    assert (
        "not a backup of this base"
        in telemetry("db", "restore", other("db", "backup").line, code=4).err
    )


def test_a_backup_that_is_older_than_the_journal_says_so(telemetry: Telemetry) -> None:
    telemetry.start()
    old = shutil.copy(telemetry("db", "backup").line, telemetry.home / "old.sqlite")
    next_day(telemetry, "29990101")
    telemetry.start()
    for path in backups(telemetry):
        path.unlink()
    telemetry("db", "backup")
    assert telemetry("db", "prune", "--older-than", OLD, "--json").json["segments"] == 1
    refused = telemetry("db", "restore", str(old), code=4)
    assert "too old" in refused.err
    assert "another base" not in refused.err


def test_a_backup_is_enough_to_begin_again(telemetry: Telemetry) -> None:
    """All else is lost: the folder, the journal, the database."""
    run = a_life(telemetry, "only")
    shutil.copy(telemetry("db", "backup").line, saved := telemetry.home / "saved.sqlite")
    shutil.rmtree(telemetry.base)
    telemetry("db", "restore", str(saved))
    (snapshot,) = backups(telemetry)
    assert (
        f'"genesis":"{snapshot.name.removeprefix("adopted_").removesuffix(".sqlite")}"'.encode()
        in journal_lines(telemetry)[0]
    )
    assert telemetry.run(run)["status"] == "success"
    second = telemetry.start()
    assert ids(telemetry) == sorted([run, second])
    telemetry.database.unlink()
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted([run, second])


def test_a_backup_heals_a_base_whose_journal_was_lost(telemetry: Telemetry) -> None:
    first = telemetry.start()
    backup = telemetry("db", "backup").line
    shutil.rmtree(telemetry.raw)
    second = telemetry(*START)
    assert "buffered" in second.err
    telemetry("db", "restore", backup)
    assert ids(telemetry) == sorted([first, second.line])


# Rebuild


def test_a_damaged_line_is_made_good_from_a_backup(telemetry: Telemetry) -> None:
    first, second = telemetry.start(), telemetry.start()
    telemetry("db", "backup")
    third = telemetry.start()
    lines = journal_lines(telemetry)
    flip(segment(telemetry), len(lines[0]) + 40, 2)
    telemetry.database.unlink()
    ran = telemetry("db", "rebuild", "--json")
    assert "the backup" in ran.json["from"]
    assert ids(telemetry) == sorted([first, second, third])


@pytest.mark.parametrize("line", range(4))
def test_a_damaged_line_costs_nothing_where_the_database_holds_what_it_did(
    telemetry: Telemetry, line: int
) -> None:
    """The header, any line, the last one: doctor says nothing against the later rows, and a rebuild loses no run."""
    runs = [telemetry.start() for _ in range(3)]
    telemetry("run", "event", "step", "--run", runs[-1])
    lines = journal_lines(telemetry)
    flip(segment(telemetry), sum(map(len, lines[:line])) + 40, 2)
    before = contents(telemetry)
    found = telemetry("doctor", "-o", "json", code=1).json
    assert not [row for row in found if "db rebuild" in row["todo"]], found
    assert {
        run for run in runs for row in found if run in row["what"] and "agent_runs" in row["what"]
    } == ({runs[line - 1]} if line else set()), found
    ran = telemetry("db", "rebuild", "--json")
    assert contents(telemetry) == before
    assert "as it was" in ran.json["from"]
    runs.append(telemetry.start())
    assert ids(telemetry) == sorted(runs)


def _imported(telemetry: Telemetry) -> Path:
    """A base with a run of its own and two that were imported; returns the blob of those."""
    records = telemetry.home / "runs.ndjson"
    named = '"agent_name":"a","job_type":"j","start_time":"2026-01-02T03:04:05Z"'
    records.write_text(
        "".join(f'{{"event_id":"imported-{number}",{named}}}\n' for number in range(2))
    )
    telemetry("import", str(records))
    telemetry.start("--event-id", "own-run")
    (blob,) = (telemetry.base / "blobs").glob("[!.]*")
    return blob


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda blob: flip(blob, 30, 1)], ids=["missing", "changed"]
)
def test_a_lost_blob_is_found_and_costs_nothing_where_the_database_holds_its_rows(
    telemetry: Telemetry, damage: Callable[[Path], None]
) -> None:
    blob = _imported(telemetry)
    damage(blob)
    before = contents(telemetry)
    found = telemetry("doctor", "-o", "json", code=1).json
    assert [row["todo"] for row in found if row["where"] == str(blob)] == [
        "Restore the blob from a backup of the folder."
    ]
    assert not [row for row in found if "db rebuild" in row["todo"]], found
    telemetry("db", "rebuild")
    assert contents(telemetry) == before


def test_without_the_database_a_lost_blob_is_trouble_and_never_fewer_rows(
    telemetry: Telemetry,
) -> None:
    blob = _imported(telemetry)
    backup = Path(telemetry("db", "backup").line)
    hidden = backup.rename(telemetry.home / "hidden.sqlite")
    content = blob.read_bytes()
    blob.unlink()
    telemetry.database.write_bytes(b"no database\n" * 900)
    assert blob.name in telemetry("db", "rebuild", code=1).err
    hidden.rename(backup)
    assert "the backup" in telemetry("db", "rebuild", "--json").json["from"]
    assert ids(telemetry) == ["imported-0", "imported-1", "own-run"]
    backup.unlink()
    blob.write_bytes(content)
    blob.chmod(0o600)
    telemetry("db", "rebuild")
    assert ids(telemetry) == ["imported-0", "imported-1", "own-run"]
    assert "problem" not in telemetry("doctor").out


def test_a_damaged_backup_is_passed_over(telemetry: Telemetry) -> None:
    first = telemetry.start()
    good = Path(telemetry("db", "backup").line)
    next_day(telemetry, "29990101")
    second = telemetry.start()
    time.sleep(0.01)
    bad = Path(telemetry("db", "backup").line)
    bad.write_bytes(bad.read_bytes()[:5000])
    min(telemetry.raw.glob("ops_*")).unlink()
    assert good.is_file()
    telemetry("db", "rebuild", code=1)
    assert ids(telemetry) == sorted([first, second])


# Prune


def test_prune_takes_old_runs_and_all_about_them(telemetry: Telemetry) -> None:
    a_life(telemetry, "old-run")
    a_life(telemetry, "new-run", "1h")
    telemetry(
        "run",
        "start",
        "--agent-name",
        "tester",
        "--job-type",
        "job",
        "--event-id",
        "still-running",
        "--start-time",
        OLD,
        "--no-git",
    )
    told = telemetry("db", "prune", "--older-than", "30d", "--dry-run", "--json").json
    assert {name: told[name] for name in ("status", "runs", "events", "commits")} == {
        "status": "dry-run",
        "runs": 1,
        "events": 1,
        "commits": 1,
    }
    assert len(ids(telemetry)) == 3
    done = telemetry("db", "prune", "--older-than", "30d", "--json").json
    assert {name: done[name] for name in ("status", "runs", "events", "commits")} == {
        "status": "pruned",
        "runs": 1,
        "events": 1,
        "commits": 1,
    }
    assert ids(telemetry) == ["new-run", "still-running"]
    assert (
        telemetry.sql("SELECT event_id FROM run_events")
        == telemetry.sql("SELECT event_id FROM run_commits")
        == [("new-run",)]
    )
    assert telemetry("query", "--search", "tester", "--count").line == "2"
    assert_sound(telemetry)
    assert "problem" not in telemetry("doctor").out


def test_what_was_pruned_does_not_come_back(telemetry: Telemetry) -> None:
    a_life(telemetry, "old-run")
    backup = telemetry("db", "backup").line
    a_life(telemetry, "old-too")
    telemetry("db", "prune", "--older-than", LATER)
    new = telemetry.start()
    before = contents(telemetry)
    for again in (("rebuild",), ("restore", backup)):
        telemetry("db", *again)
        assert contents(telemetry) == before
    telemetry.database.unlink()
    telemetry("db", "rebuild")
    assert ids(telemetry) == [new]


def test_an_operation_that_comes_twice_does_not_bring_a_pruned_run_back(
    telemetry: Telemetry,
) -> None:
    telemetry.start()
    line = create(1, "twice", start_time="2025-01-01T00:00:00.000Z", status="success")
    append(telemetry, line)
    telemetry("db", "prune", "--older-than", LATER)
    append(telemetry, line)
    assert "twice" not in ids(telemetry)


def test_a_run_that_is_recorded_again_is_a_new_wish(telemetry: Telemetry) -> None:
    a_life(telemetry, "old-run")
    telemetry("db", "prune", "--older-than", LATER)
    a_life(telemetry, "old-run")
    assert ids(telemetry) == ["old-run"]


def test_retention_stands_in_the_config(telemetry: Telemetry) -> None:
    a_life(telemetry, "old-run")
    assert "retention.days" in telemetry("db", "prune", code=2).err
    path = telemetry.home / ".config" / "telemetry" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[retention]\ndays = 30\n")
    (row,) = [
        row
        for row in telemetry("config", "show", "-o", "json").json
        if row["setting"] == "retention.days"
    ]
    assert row == {"setting": "retention.days", "value": "30", "source": f"{path}: retention.days"}
    assert telemetry("db", "prune", "--dry-run", "--json").json["runs"] == 1
    assert telemetry("db", "prune", "--json").json["runs"] == 1
    for wrong in ("days = -1", 'days = "many"', "weeks = 3", "days = [1]"):
        path.write_text(f"[retention]\n{wrong}\n")
        assert "retention." in telemetry("db", "prune", code=2).err


@pytest.mark.parametrize("wrong", ["", "never", "-3d", "99999999999999d"])
def test_a_time_that_is_none(telemetry: Telemetry, wrong: str) -> None:
    telemetry.start()
    telemetry("db", "prune", "--older-than", wrong, code=2)


def test_segments_go_only_as_far_as_the_oldest_good_backup_reaches(telemetry: Telemetry) -> None:
    first = telemetry.start()
    next_day(telemetry, "29990101")
    second = telemetry.start()
    assert telemetry("db", "prune", "--older-than", OLD, "--json").json["segments"] == 0, (
        "there is no backup yet"
    )
    backup = Path(telemetry("db", "backup").line)
    next_day(telemetry, "29990102")
    third = telemetry.start()
    telemetry("db", "backup")
    done = telemetry("db", "prune", "--older-than", OLD, "--json").json
    assert done["segments"] == 1
    assert done["bytes"] > 0
    assert sorted(path.name for path in telemetry.raw.glob("ops_*")) == [
        "ops_29990101.ndjson",
        "ops_29990102.ndjson",
    ]
    assert "problem" not in telemetry("doctor").out
    telemetry.database.unlink()
    assert "db rebuild" in telemetry(*START, "--event-id", "fourth").err
    for path in backups(telemetry):
        if path != backup:
            path.unlink()
    telemetry("db", "rebuild")
    assert ids(telemetry) == sorted([first, second, third, "fourth"])


def test_a_damaged_backup_lets_no_segment_go(telemetry: Telemetry) -> None:
    telemetry.start()
    next_day(telemetry, "29990101")
    telemetry.start()
    backup = Path(telemetry("db", "backup").line)
    backup.write_bytes(backup.read_bytes()[:5000])
    assert telemetry("db", "prune", "--older-than", OLD, "--json").json["segments"] == 0


def imported(telemetry: Telemetry, name: str) -> str:
    """Import one run of this name, and return the digest of the blob that the operation names."""
    path = telemetry.cwd / f"{name}.ndjson"
    path.write_text(json.dumps(LEAST | {"event_id": name}) + "\n")
    telemetry("import", str(path))
    (digest,) = next(filter(None, map(blobs.digests_in, reversed(journal_lines(telemetry)))))
    return digest


def cover(telemetry: Telemetry, day: str) -> None:
    """Let the journal go on in a new segment, with a backup that makes the older ones unnecessary."""
    next_day(telemetry, day)
    telemetry.start()
    for path in backups(telemetry):
        path.unlink()
    telemetry("db", "backup")


def prune(telemetry: Telemetry) -> Ran:
    return telemetry(
        "db", "prune", "--older-than", OLD, "--json", env={"TELEMETRY_LOCK_TIMEOUT": "0.1"}
    )


def kept(telemetry: Telemetry) -> set[str]:
    return {path.name for path in (telemetry.base / "blobs").iterdir() if len(path.name) == 64}


def test_blobs_of_imports_go_with_their_segments_and_no_other_blob(telemetry: Telemetry) -> None:
    old, shared, buffered, artifact = (
        imported(telemetry, name) for name in ("old", "shared", "buffered", "artifact")
    )
    append(
        telemetry,
        encode(
            operation(
                "hook.finish",
                1,
                hook_run="none",
                logs=[{"attempt": 1, "digest": artifact, "bytes": 1}],
                blob=None,
            )
        ),
    )
    cover(telemetry, "29990101")
    assert imported(telemetry, "shared") == shared
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.buffer / f"{2:032x}.ndjson").write_bytes(
        encode(operation("runs.import", 2, blob=buffered, schema_version=8))
    )
    discarded = pruning.discard_journal(Config(base_dir=str(telemetry.base)))
    assert (discarded.segments, discarded.blobs) == (1, 1)
    assert kept(telemetry) == {shared, buffered, artifact}
    assert old not in kept(telemetry)


@pytest.mark.parametrize("is_buffered", [False, True])
def test_blob_being_recorded_outlives_prune_of_the_same_content(
    telemetry: Telemetry, is_buffered: bool
) -> None:
    """Kept, and not named by a line of the journal yet: an older segment, which is pruned meanwhile, names the same content."""
    config = Config(base_dir=str(telemetry.base))
    digest = imported(telemetry, "twice")
    cover(telemetry, "29990101")
    content = (telemetry.base / "blobs" / digest).read_bytes()
    with blobs.Lease(config) as lease:
        assert lease.put([content]) == digest
        ran = prune(telemetry)
        assert (ran.json["segments"], ran.json["blobs"]) == (0, 0)
        assert "nothing of the journal was deleted" in ran.err
        with held(FLOCKED, telemetry.raw / ".lock") if is_buffered else nullcontext():
            config.lock_timeout = 0.1 if is_buffered else config.lock_timeout
            outcome = Store(config).record(
                "runs.import",
                {"blob": digest, "schema_version": 8},
                "2999-01-01T00:00:00.000Z",
            )
        assert bool(outcome.buffered) == is_buffered
    ran = prune(telemetry)
    assert (ran.json["segments"], ran.json["blobs"]) == (1, 0)
    assert kept(telemetry) == {digest}
    assert list(damage.found(config)) == []


def test_blob_that_a_row_names_outlives_the_segments_of_its_import(telemetry: Telemetry) -> None:
    """A release holds a file with the content of an import's blob; the line of the release was pruned before that of a later import."""
    hooks = Hooks(telemetry)
    telemetry.start()
    digest = imported(telemetry, "both")
    folder = hooks.folder / "artifact"
    folder.mkdir()
    (folder / "data").write_bytes((telemetry.base / "blobs" / digest).read_bytes())
    hooks.program("artifact/run", "pass\n")
    telemetry(
        "hooks",
        "release",
        "holder",
        "--script",
        str(folder),
        "--contract",
        str(hooks.contract()),
        "--source-ref",
        "tests",
    )
    cover(telemetry, "29990101")
    assert imported(telemetry, "both") == digest
    assert prune(telemetry).json["segments"] == 1
    cover(telemetry, "29990102")
    assert prune(telemetry).json["segments"] == 1
    assert digest in kept(telemetry)


# Vacuum


def test_vacuum_gives_space_back(telemetry: Telemetry) -> None:
    telemetry.start()
    append(
        telemetry,
        *(
            create(
                number,
                f"n{number}",
                status="success",
                start_time="2025-01-01T00:00:00.000Z",
                input_summary="x" * 900,
            )
            for number in range(500)
        ),
    )
    telemetry("db", "prune", "--older-than", LATER)
    done = telemetry("db", "vacuum", "--json").json
    assert done["bytes_after"] < done["bytes_before"] / 2
    assert done["bytes_after"] == telemetry.database.stat().st_size
    assert_sound(telemetry)


@needs_strace
@pytest.mark.parametrize(
    "argv",
    [
        ["db", "backup"],
        ["db", "vacuum"],
        ["db", "rebuild"],
        ["db", "prune", "--older-than", "1d"],
        ["redact", "--fix"],
    ],
    ids=" ".join,
)
def test_file_system_without_locks_exits_75(telemetry: Telemetry, argv: list[str]) -> None:
    telemetry.start()
    before = telemetry.files()
    ran = Traced(telemetry)(
        tuple(argv), "-e", "inject=flock:error=ENOSYS", paths=False, calls=("flock",)
    )
    assert ran.code == 75 and "Traceback" not in ran.err, ran
    assert f"{telemetry.base}" in ran.err and "Function not implemented" in ran.err
    # filelock's soft lock would be a file that a killed process leaves behind.
    added = set(telemetry.files()) - set(before)
    assert all(telemetry.files()[name] == b"" for name in added), added
    telemetry(*argv)
