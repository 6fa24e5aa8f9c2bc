"""What an import could lose without a word: each such record is a failure that is told, or it is there."""

import sqlite3
from pathlib import Path

import pytest
from support import Telemetry
from support.records import LEAST, named, write

SECRETS = ["ghp_" + "a1B2" * 9, "ghp_" + "c3D4" * 9]
HEADER = "event_id,agent_name,job_type,start_time,input_summary\n"


def csv_row(name: str, summary: str = "") -> str:
    return f"{name},a,j,2026-01-01T00:00:00Z,{summary}\n"


def ids(telemetry: Telemetry) -> list[str]:
    return sorted(row[0] for row in telemetry.sql("SELECT event_id FROM agent_runs"))


# CSV


@pytest.mark.parametrize("atomic", [False, True])
def test_a_quote_that_is_never_closed_is_told_by_the_line_that_opens_it(
    atomic: bool, telemetry: Telemetry, tmp_path: Path
) -> None:
    text = (
        HEADER
        + csv_row("q0", '"two\nlines"')
        + 'q1,"a",j,2026-01-01T00:00:00Z,"oops\n'
        + csv_row("q2")
        + csv_row("q3")
    )
    telemetry.start("--event-id", "before")
    ran = telemetry(
        "import",
        write(tmp_path / "runs.csv", text),
        "--json",
        *(["--atomic"] if atomic else []),
        code=1,
    )
    assert (ran.json["created"], ran.json["failed"]) == (0 if atomic else 1, 1)
    assert ran.json["errors"] == [
        {
            "line": 4,
            "event_id": None,
            "field": None,
            "error": "not valid CSV: the quote that opens here is never closed",
        }
    ]
    assert ids(telemetry) == (["before"] if atomic else ["before", "q0"])


@pytest.mark.parametrize("cell", ['"two\nli""nes","and\nthe ""quote""', '5" tall,"and the quote\n'])
def test_the_line_of_the_quote_in_a_row_of_several_lines(
    cell: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    header = HEADER.replace("\n", ",output_summary\n")
    ran = telemetry(
        "import",
        write(tmp_path / "runs.csv", header, csv_row("q0"), csv_row("q1", cell), csv_row("q2")),
        "--json",
        code=1,
    )
    assert [error["line"] for error in ran.json["errors"]] == [
        3 + cell.partition(',"')[0].count("\n")
    ]


def test_what_stands_behind_a_closed_quote_costs_that_row(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    ran = telemetry(
        "import",
        write(tmp_path / "runs.csv", HEADER, csv_row("q1", '"a"b'), csv_row("q2")),
        "--json",
        code=1,
    )
    assert [(error["line"], error["error"]) for error in ran.json["errors"]] == [
        (2, "not valid CSV: ',' expected after '\"'")
    ]
    assert ids(telemetry) == ["q2"]


def test_quote_that_closes_in_a_later_row_names_its_first_line(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    rows = (csv_row("q0"), csv_row("q1", '"open'), csv_row("q2"), csv_row("q3", '"closed"'))
    ran = telemetry("import", write(tmp_path / "runs.csv", HEADER, *rows), "--json", code=1)
    assert [(error["line"], error["error"]) for error in ran.json["errors"]] == [
        (3, "not valid CSV: the quote that opens here closes on line 5: ',' expected after '\"'")
    ]
    assert ids(telemetry) == ["q0"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_blanks_in_a_header_and_rows_without_content_are_skipped(
    separator: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    lines = (
        " event_id ,agent_name , job_type,start_time\n",
        ",,,\n",
        csv_row("q1"),
        ",\n",
        ",,,,,\n",
    )
    text = "".join(lines).replace("Z,\n", "Z\n").replace(",", separator)
    ran = telemetry("import", write(tmp_path / "runs.csv", text), "--json")
    assert (ran.json["total"], ids(telemetry)) == (1, ["q1"])


def test_a_column_that_stands_twice_is_named(telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(
        tmp_path / "runs.csv",
        HEADER.replace("\n", ",input_summary,,\n"),
        csv_row("q1", "one,two,,"),
    )
    ran = telemetry("import", path, code=2)
    assert "line 1: the column 'input_summary' stands there twice" in ran.err
    path = write(tmp_path / "runs.csv", HEADER.replace("\n", ",,\n"), csv_row("q1", "one,,"))
    assert telemetry("import", path, "--json").json["created"] == 1


@pytest.mark.parametrize("before", ["\n", " \r\n,,\n", "sep=,\n,,\n"])
def test_empty_lines_before_a_header_are_skipped(
    before: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    path = write(tmp_path / "runs.csv", before, HEADER, csv_row("q1"))
    assert telemetry("import", path, "--json").json["created"] == 1
    line = 1 + before.count("\n")
    for header, error in (("a,b\n", "names no column"), ('run_id,"\n', "not valid CSV")):
        ran = telemetry("import", write(tmp_path / "bad.csv", before, header), code=2)
        assert f"line {line}: {error}" in ran.err


# Ids


@pytest.mark.parametrize("field", ["event_id", "run_id", "parent_run_id"])
@pytest.mark.parametrize("form", ["ndjson", "legacy-ndjson"])
def test_an_id_that_looks_like_a_secret_is_a_bad_record(
    field: str, form: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    records = [
        LEAST | {"event_id": f"r{number}", "run_id": f"r{number}"} | {field: secret}
        for number, secret in enumerate(SECRETS)
    ]
    ran = telemetry(
        "import",
        write(tmp_path / "runs.ndjson", *records, *named(1)),
        "--format",
        form,
        "--json",
        code=1,
    )
    assert (ran.json["created"], ran.json["existing"], ran.json["failed"]) == (1, 0, 2)
    message = "the id looks like a secret, and ids are stored as they stand; give another one"
    assert [(error["line"], error["field"], error["error"]) for error in ran.json["errors"]] == [
        (1, field, message),
        (2, field, message),
    ]
    assert not [secret for secret in SECRETS if secret in ran.out + ran.err]
    assert b"ghp_" not in b"".join(telemetry.files().values())


def test_an_event_of_a_run_whose_id_looks_like_a_secret(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    events = [
        {
            "record_type": "event",
            "run_id": secret,
            "event_type": "x",
            "timestamp": "2026-01-01T00:00:00Z",
        }
        for secret in SECRETS
    ]
    ran = telemetry(
        "import",
        write(tmp_path / "runs.ndjson", *events, *named(1)),
        "--format",
        "legacy-ndjson",
        "--json",
        code=1,
    )
    assert [error["field"] for error in ran.json["errors"]] == ["run_id", "run_id"]


def test_ids_by_a_rule_of_ones_own(telemetry: Telemetry, tmp_path: Path) -> None:
    config = telemetry.home / ".config" / "telemetry" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('[redact]\nstaff = "staff-[0-9]+"\n')
    ran = telemetry(
        "import",
        write(
            tmp_path / "runs.ndjson",
            *(LEAST | {"event_id": f"staff-{number}"} for number in range(3)),
        ),
        "--json",
        code=1,
    )
    assert (ran.json["created"], ran.json["existing"], ran.json["failed"]) == (0, 0, 3)


@pytest.mark.parametrize("number", [1, 6000])
def test_a_rule_of_ones_own_that_is_none_is_named(
    number: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    config = telemetry.home / ".config" / "telemetry" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('[redact]\nstaff = "("\n')
    ran = telemetry("import", write(tmp_path / "runs.ndjson", *named(number)), code=2)
    assert "'staff' under [redact]" in ran.err


def test_records_that_differ_in_their_events_or_commits_only_are_two(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    event = {"event_type": "x", "timestamp": "2026-01-01T00:00:00Z"}
    records = [
        LEAST,
        LEAST | {"events": [event]},
        LEAST | {"events": [event, event]},
        LEAST | {"commits": [{"commit_hash": "abcdef1"}]},
        LEAST | {"commits": [{"commit_hash": "abcdef2"}]},
    ]
    path = write(tmp_path / "runs.ndjson", *records, LEAST | {"events": [], "commits": []})
    result = telemetry("import", path, "--json").json
    assert {name: result[name] for name in ("created", "existing", "events", "commits")} == {
        "created": 5,
        "existing": 1,
        "events": 3,
        "commits": 2,
    }
    assert telemetry("import", path, "--json").json["existing"] == 6


# Databases and events of the legacy platform

COLUMNS = "run_id TEXT, agent_name TEXT, job_type TEXT, status TEXT, start_time TEXT"
MANY = (
    "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 1199)"
    " INSERT INTO {} SELECT {} 'r' || i, 'a', 'j', 'success', '2025-01-02T03:04:05Z' FROM n;"
)
SHAPES = {
    "a view": f"CREATE TABLE t ({COLUMNS}); {MANY.format('t', '')} CREATE VIEW agent_runs AS SELECT * FROM t;",
    "a view with a column rowid": f"CREATE TABLE t (rowid TEXT, {COLUMNS}); {MANY.format('t', '5,')} CREATE VIEW agent_runs AS SELECT * FROM t;",
    "a column rowid": f"CREATE TABLE agent_runs (rowid TEXT, {COLUMNS}); {MANY.format('agent_runs', '5,')}",
    "every name of the rowid taken": f"CREATE TABLE agent_runs (rowid, _rowid_, oid, {COLUMNS}); {MANY.format('agent_runs', '5,5,5,')}",
    "without rowid": f"CREATE TABLE Agent_Runs ({COLUMNS}, PRIMARY KEY (run_id)) WITHOUT ROWID; {MANY.format('agent_runs', '')}",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_row_whatever_tells_them_apart(
    shape: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    db = sqlite3.connect(tmp_path / "old.sqlite")
    db.executescript(SHAPES[shape])
    db.close()
    before = (tmp_path / "old.sqlite").read_bytes()
    ran = telemetry("import", str(tmp_path / "old.sqlite"), "--json")
    assert (ran.json["created"], ran.json["failed"]) == (1200, 0)
    assert (tmp_path / "old.sqlite").read_bytes() == before


def test_identical_event_lines_are_kept_as_often_as_they_stand_there(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    run = {
        "record_type": "run",
        "run_id": "n1",
        "agent_name": "a",
        "job_type": "j",
        "start_time": "2025-01-02T03:04:05Z",
    }
    event = {
        "record_type": "event",
        "run_id": "n1",
        "event_type": "tick",
        "timestamp": "2025-01-02T03:04:06Z",
    }
    path = write(tmp_path / "events_20250102.ndjson", event, run, event, event)
    assert telemetry("import", path, "--format", "legacy-ndjson", "--json").json["events"] == 3
    assert telemetry("import", path, "--format", "legacy-ndjson", "--json").json["events"] == 0
