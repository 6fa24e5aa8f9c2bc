"""`telemetry redact`: secrets in what was stored before, found and taken out, and nothing lost on the way."""

import json
import shutil
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry
from support.storage import append, assert_sound, create, ids, journal_lines, operation

from telemetry_cli.core.config import Config
from telemetry_cli.journal import blobs
from telemetry_cli.journal.segments import decode, encode
from telemetry_cli.maintenance import integrity as damage

TOKEN = "ghp_" + "a1B2" * 9
PASSWORD = "pr3ci0us"


@pytest.fixture
def stained(telemetry: Telemetry) -> Telemetry:
    """A base of an earlier time: secrets in the journal, the database, a backup, the buffer, a blob and a damaged line."""
    telemetry.start("--event-id", "clean")
    append(
        telemetry,
        create(1, "one", input_summary=f"use {TOKEN} now", metrics={"password": PASSWORD, "n": 1}),
    )
    append(
        telemetry,
        encode(
            operation(
                "run.end", 2, run="one", status="failure", error_details=f"TOKEN={PASSWORD}\nnext"
            )
        ),
    )
    append(
        telemetry,
        encode(
            operation(
                "run.event", 3, run="one", event_type="step", payload=[f"https://u:{PASSWORD}@h/x"]
            )
        ),
    )
    telemetry("query")
    (telemetry.base / "backups").mkdir(mode=0o700)
    shutil.copy(telemetry.database, telemetry.base / "backups" / "first.sqlite")
    append(telemetry, create(5, "three", item_name=TOKEN))
    append(telemetry, b'{"v":1,"damaged":"' + TOKEN.encode() + b'"}\n')
    telemetry("query")
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.buffer / f"{6:032x}.ndjson").write_bytes(
        create(6, "four", product=f"password={PASSWORD}")
    )
    return telemetry


def hits(telemetry: Telemetry) -> list[str]:
    needles = (TOKEN.encode(), PASSWORD.encode())
    return sorted(
        str(path.relative_to(telemetry.base))
        for path in telemetry.base.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    )


def scanned(telemetry: Telemetry) -> set[tuple[str, str]]:
    found: list[dict[str, Any]] = telemetry("redact", "--scan", "--json", code=None).json[
        "findings"
    ]
    return {(one["where"], one["rule"]) for one in found}


def rows(path: Path) -> list[Any]:
    """What a database says, besides what was written while it was made."""
    db = sqlite3.connect(path)
    try:
        return [
            db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in ("agent_runs", "run_events", "run_commits", "op_results")
        ]
    finally:
        db.close()


def test_scan_says_where_and_changes_nothing(stained: Telemetry) -> None:
    before = stained.files()
    ran = stained("redact", "--scan", code=1)
    assert stained.files() == before
    assert (TOKEN in ran.out + ran.err, PASSWORD in ran.out + ran.err) == (False, False)
    assert scanned(stained) >= {
        (where, "github") for where in ("journal", "database", "backup")
    } | {("buffer", "assignment"), ("journal", "named")}


def test_fix_takes_everything_out(stained: Telemetry) -> None:
    assert len(hits(stained)) == 4
    ran = stained("redact", "--fix")
    assert (hits(stained), scanned(stained), TOKEN in ran.out) == ([], set(), False)
    assert ids(stained) == ["clean", "four", "one", "three"]
    run = stained.run("one")
    assert (run["input_summary"], run["metrics_json"], run["error_details"]) == (
        "use [redacted] now",
        {"password": "[redacted]", "n": 1},
        "TOKEN=[redacted]\nnext",
    )
    assert run["events"][0]["payload_json"] == ["https://[redacted]@h/x"]
    assert stained.run("four")["product"] == "password=[redacted]"
    assert_sound(stained)
    assert sorted(path.name for path in stained.base.rglob("*") if path.is_file()) == sorted(
        [
            ".lock",
            ".lock",
            ".lock",
            "first.sqlite",
            "telemetry.sqlite",
            "telemetry.sqlite.lock",
            *(path.name for path in stained.raw.glob("ops_*")),
        ]
    )
    assert stained("redact", "--scan").line == "found: no secrets"
    assert stained("redact", "--fix").line == "taken out: no secrets"


def test_a_rebuild_agrees_with_the_database_and_new_runs_go_on(stained: Telemetry) -> None:
    stained("redact", "--fix")
    fixed = rows(stained.database)
    stained.start("--event-id", "later")
    stained("db", "rebuild")
    assert rows(stained.database)[0][: len(fixed[0])] == fixed[0]
    assert "later" in ids(stained)


def test_the_backup_goes_on_from_where_it_stood(stained: Telemetry) -> None:
    stained("redact", "--fix")
    backup = stained.base / "backups" / "first.sqlite"
    assert {row[1] for row in rows(backup)[0]} == {"clean", "one"}
    stained("query")
    after = rows(stained.database)[0]
    shutil.copy(backup, stained.database)
    assert ids(stained) == ["clean", "four", "one", "three"]
    assert rows(stained.database)[0] == after


def test_every_line_of_the_journal_is_whole_but_the_damaged_one(stained: Telemetry) -> None:
    before = [decode(line) for line in journal_lines(stained)]
    stained("redact", "--fix")
    after = [decode(line) for line in journal_lines(stained)]
    assert [found is None for found in before] == [found is None for found in after][: len(before)]
    assert [found["op_id"] for found in before if found] == [
        found["op_id"] for found in after if found
    ][: len([found for found in before if found])]


def test_a_blob_gets_another_digest(stained: Telemetry) -> None:
    content = f'{{"note": "{TOKEN}"}}\nplain\n'.encode()
    digest = sha256(content).hexdigest()
    (stained.base / "blobs").mkdir(mode=0o700)
    (stained.base / "blobs" / digest).write_bytes(content)
    append(
        stained, encode(operation("run.event", 9, run="one", event_type="with-blob", blob=digest))
    )
    stained("query")
    stained("redact", "--fix")
    (kept,) = (stained.base / "blobs").glob("[!.]*")
    assert kept.read_bytes() == b'{"note":"[redacted]"}\nplain\n'
    assert kept.name == sha256(kept.read_bytes()).hexdigest()
    assert [
        found["data"]["blob"]  # type: ignore[index]
        for found in map(decode, journal_lines(stained))
        if found and "blob" in found["data"]  # type: ignore[operator]
    ] == [kept.name]


def keep_blob(telemetry: Telemetry, content: bytes) -> Path:
    """Keep a blob past the program, as a writer does that is killed before its line is in the journal."""
    path = telemetry.base / "blobs" / sha256(content).hexdigest()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_stained_blob_that_nothing_names_is_deleted(stained: Telemetry) -> None:
    orphan, clean = keep_blob(stained, f"echo {TOKEN}\n".encode()), keep_blob(stained, b"echo\n")
    stained("redact", "--fix")
    assert (orphan.exists(), clean.exists()) == (False, True)
    assert (hits(stained), scanned(stained)) == ([], set())


def test_stained_blob_that_a_row_alone_names_is_left_and_told(stained: Telemetry) -> None:
    """Its line was pruned with its segment; without it, the hook run would lose its log."""
    named = keep_blob(stained, f"echo {TOKEN}\n".encode())
    db = sqlite3.connect(stained.database)
    with db:
        db.execute("INSERT INTO hook_logs VALUES ('gone', 1, ?, 1)", (named.name,))
    db.close()
    ran = stained("redact", "--fix", "--json", code=None)
    assert ran.code == 1
    assert named.exists()


def test_stained_blob_being_recorded_outlives_fix(stained: Telemetry) -> None:
    """Its program does not know the rule yet. An older line names the same content, and gets another blob meanwhile."""
    content = f'{{"note": "{TOKEN}"}}\n'.encode()
    digest = keep_blob(stained, content).name
    append(
        stained, encode(operation("run.event", 9, run="one", event_type="with-blob", blob=digest))
    )
    stained("query")
    config = Config(base_dir=str(stained.base))
    with blobs.Lease(config) as lease:
        assert lease.put([content]) == digest
        ran = stained("redact", "--fix", env={"TELEMETRY_LOCK_TIMEOUT": "1"}, code=1)
        assert "another command is keeping blobs" in ran.err
        append(
            stained,
            encode(operation("run.event", 10, run="one", event_type="with-blob", blob=digest)),
        )
    assert digest in blobs.kept(config)
    assert [found.line is None for found in damage.found(config)] == [False], (
        "the damaged line that was there before, and no lost blob"
    )
    stained("redact", "--fix")
    assert (hits(stained), scanned(stained), digest in blobs.kept(config)) == ([], set(), False)


def test_what_was_put_aside_is_told(stained: Telemetry) -> None:
    shutil.copy(stained.database, f"{stained.database}.aside-1")
    ran = stained("redact", "--fix", code=1)
    assert ("aside" in ran.out, "delete it" in ran.err) == (True, True)


def test_a_journal_that_is_another_databases_is_left_alone(stained: Telemetry) -> None:
    segment = min(stained.raw.glob("ops_*"))
    lines = segment.read_bytes().splitlines(keepends=True)
    header: Any = decode(lines[0])
    assert header
    segment.write_bytes(
        encode(
            {
                **{name: value for name, value in header.items() if name != "v"},
                "data": {"journal_id": header["data"]["journal_id"], "genesis": "0" * 64},
            }
        )
        + b"".join(lines[1:])
    )
    before = stained.files()
    stained("redact", "--fix", code=1)
    assert stained.files() == before


def with_own_rule(telemetry: Telemetry) -> None:
    path = telemetry.home / ".config" / "telemetry" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[redact]\nticket = 'TCK-[0-9]{4,}'\n")


def test_names_stay_as_they_stand_and_are_told_of_and_new_ones_obey_own_rules(
    telemetry: Telemetry,
) -> None:
    """References go by them: a rebuild after it must find every run and its end."""
    imported = {
        "agent_name": "a",
        "job_type": "j",
        "start_time": "2026-01-02T03:04:05Z",
        "event_id": "TCK-12341",
        "run_id": "TCK-12342",
        "product": "TCK-12343",
    }
    telemetry.start("--event-id", "TCK-12345", "--run-id", "TCK-12346")
    telemetry("run", "end", "TCK-12346")
    telemetry.start("--event-id", "child", "--parent", "TCK-12345", "--product", "TCK-12347")
    telemetry("import", "-", stdin=json.dumps(imported | {"parent_run_id": "TCK-12345"}))
    asked = ("query", "--json", "--columns", "event_id,run_id,parent_run_id,status,created_at")
    known = telemetry(*asked).out
    with_own_rule(telemetry)
    ran = telemetry("redact", "--scan", "--json", code=1)
    assert "TCK-1" not in ran.out
    found = ran.json["findings"]
    assert {(one["where"], one["is_name"]) for one in found} == {
        (where, is_name) for where in ("journal", "blob", "database") for is_name in (False, True)
    }
    fixed = telemetry("redact", "--fix", code=1)
    assert (
        "ticket in a name" in fixed.out,
        "TCK-1" in fixed.out + fixed.err,
        "stays as it is" in fixed.err,
    ) == (True, False, True)
    left = telemetry("redact", "--scan", "--json", code=1).json["findings"]
    assert ({one["is_name"] for one in left}, {one["where"] for one in left}) == (
        {True},
        {"journal", "blob", "database"},
    )
    before = telemetry.files()
    assert telemetry("redact", "--fix", "--json", code=1).json == {"fixed": 0, "left": left}
    assert telemetry.files() == before
    telemetry("db", "rebuild")
    # A run_id that nothing refers to is taken out.
    assert telemetry(*asked).out == known.replace("TCK-12342", "[redacted]")
    assert {
        json.loads(telemetry("query", "--json", "--columns", "product").out)[n]["product"]
        for n in (0, 1)
    } == {"[redacted]"}
    for option in ("--event-id", "--run-id"):
        assert (
            option
            in telemetry(
                "run", "start", "--agent-name", "a", "--job-type", "j", option, "TCK-67890", code=2
            ).err
        )


def test_a_base_whose_names_alone_hold_secrets_is_not_called_clean(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "ghx-TCK-482913")
    with_own_rule(telemetry)
    before = telemetry.files()
    assert telemetry("redact", "--scan", code=1).out.startswith(
        "found journal: ticket in a name: 1 in 1 place\n"
    )
    ran = telemetry("redact", "--fix", code=1)
    assert ran.out.startswith("taken out: no secrets\nleft journal: ticket in a name")
    assert telemetry.files() == before


@pytest.mark.parametrize("argv", [(), ("--scan", "--fix")])
def test_one_of_the_two_is_needed(argv: tuple[str, ...], telemetry: Telemetry) -> None:
    assert "--scan" in telemetry("redact", *argv, code=2).err


def test_without_a_base_there_is_nothing(telemetry: Telemetry) -> None:
    assert telemetry("redact", "--scan").line == "found: no secrets"
    assert telemetry("redact", "--fix").line == "taken out: no secrets"
    assert not telemetry.base.exists()


def test_names_of_an_import_that_grow_as_they_are_cleaned_cost_no_run(telemetry: Telemetry) -> None:
    """`[redacted]` is longer than the ticket: one name past its limit, and the import as a whole would break the schema's rule."""
    long = {
        "agent_name": "x" * 190 + "TCK-123456",
        "job_type": "j",
        "start_time": "2026-01-02T03:04:05Z",
        "event_id": "long",
    }
    details = {"error_details": "TCK-123456 " * 5957, "agent_name": "a", "event_id": "details"}
    telemetry(
        "import",
        "-",
        stdin="".join(
            json.dumps(record) + "\n"
            for record in (long, long | details, long | {"agent_name": "a", "event_id": "other"})
        ),
    )
    (telemetry.home / ".config" / "telemetry").mkdir(parents=True)
    (telemetry.home / ".config" / "telemetry" / "config.toml").write_text(
        "[redact]\nticket = 'TCK(?P<secret>-[0-9]+)'\n"
    )
    telemetry("redact", "--fix")
    assert ids(telemetry) == ["details", "long", "other"]
    assert telemetry.run("long")["agent_name"] == ("x" * 190 + "TCK[redacted]")[:200]
    assert len(telemetry.run("details")["error_details"].encode()) <= 64 * 1024
    assert [
        path
        for path in telemetry.base.rglob("*")
        if path.is_file() and b"TCK-1" in path.read_bytes()
    ] == []
