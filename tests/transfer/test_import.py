"""`telemetry import`: every format, good records and bad ones, run once and again."""

import errno
import gzip
import json
import os
import select
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.records import LEAST, RUN, dump, named, write
from support.storage import FLOCKED, assert_sound, held

from telemetry_cli import transfer
from telemetry_cli.core.config import Config
from telemetry_cli.transfer import formats, importing

GZIPPED = [False, True]


def text_of(form: str, records: list[dict[str, object]]) -> str:
    if form == "json":
        return json.dumps(records, indent=2)
    if form == "runs":
        return json.dumps({"before": {"runs": [1]}, "runs": records, "after": [{}]})
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize("packed", GZIPPED)
@pytest.mark.parametrize("form", ["ndjson", "json", "runs"])
def test_what_is_imported_is_what_was_in_the_file(
    form: str, packed: bool, telemetry: Telemetry, tmp_path: Path
) -> None:
    text = text_of(form, [RUN, *named(2)])
    path = tmp_path / f"runs.{'json' if form == 'runs' else form}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    result = telemetry("import", str(path), "-o", "json").json
    assert result == {
        "total": 3,
        "created": 3,
        "existing": 0,
        "failed": 0,
        "events": 3,
        "commits": 2,
        "errors": [],
    }
    found = telemetry.run("nightly-7")
    assert {name: found[name] for name in RUN if name not in ("events", "commits")} == {
        name: RUN[name] for name in RUN if name not in ("events", "commits")
    }
    assert [
        {name: event[name] for name in given}
        for event, given in zip(found["events"], RUN["events"], strict=True)
    ] == RUN["events"]
    assert [
        {name: commit[name] for name in given}
        for commit, given in zip(found["commits"], RUN["commits"], strict=True)
    ] == RUN["commits"]
    assert [
        run["event_id"] for run in telemetry("query", "--search", "nightly", "--json").json
    ] == ["nightly-7"]
    assert [
        run["event_id"] for run in telemetry("query", "--commit", "abcdef1", "--json").json
    ] == ["nightly-7"]
    assert_sound(telemetry)


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_stdin(form: str, telemetry: Telemetry) -> None:
    assert (
        telemetry(
            "import",
            "-",
            *(("--format", "json") if form == "json" else ()),
            "--json",
            stdin=text_of(form, named(3)),
        ).json["created"]
        == 3
    )


@pytest.mark.parametrize("atomic", [False, True])
def test_a_pipe_is_read_to_its_end(atomic: bool, telemetry: Telemetry, tmp_path: Path) -> None:
    pipe = tmp_path / "runs.ndjson"
    os.mkfifo(pipe)
    records = text_of("ndjson", named(6000))
    option = ["--atomic"] if atomic else []
    assert telemetry("import", "-", "--json", *option, stdin=records).json["created"] == 6000
    with ThreadPoolExecutor() as pool:
        written = pool.submit(pipe.write_text, records)
        assert telemetry("import", str(pipe), "--json", *option).json["existing"] == 6000
        written.result()


def test_csv(telemetry: Telemetry, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(
        "\ufeffevent_id,agent_name,job_type,start_time,status,items_failed,metrics_json,input_summary,git_commit_hash,colour,end_time\r\n"
        'E1,a,j,2026-01-01T00:00:00Z,FAILED,3,"{""tokens"": 5}","\'=1+1\r\nline two",abcdef1,red,\r\n'
        "E2,a,j,2026-01-01T00:00:00Z,,-1,,,,,\r\n"
        "E3,a,j,2026-01-01T00:00:00Z,,,{,,,,\r\n"
        "E4,a,j,2026-01-01T00:00:00Z,,,,,,,,,too,many\r\n"
        "E5,a,j,2026-01-01T00:00:00Z\r\n",
        encoding="utf-8",
        newline="",
    )
    ran = telemetry("import", str(path), "--json", code=1)
    assert {name: ran.json[name] for name in ("total", "created", "failed")} == {
        "total": 5,
        "created": 2,
        "failed": 3,
    }
    assert [(error["line"], error["event_id"], error["field"]) for error in ran.json["errors"]] == [
        (4, "E2", "items_failed"),
        (5, "E3", "metrics_json"),
        (6, None, None),
    ]
    found = telemetry.run("E1")
    assert (
        found["status"],
        found["items_failed"],
        found["metrics_json"],
        found["input_summary"],
    ) == ("failure", 3, {"tokens": 5}, "=1+1\r\nline two")
    assert (found["context_json"], found["end_time"], found["commits"][0]["commit_hash"]) == (
        {"extra": {"colour": "red"}},
        None,
        "abcdef1",
    )


def test_every_format_that_is_named_can_be_read() -> None:
    assert tuple(formats.FORMATS) == transfer.READ


# Bad records

BAD = [
    (
        {"status": "done"},
        "status",
        "'done' is not accepted; give one of running, success, failure, partial, timeout, cancelled",
    ),
    (
        {"start_time": "2026-01-02T03:04:05"},
        "start_time",
        "'2026-01-02T03:04:05' has no zone; append Z for UTC, or an offset such as +02:00",
    ),
    (
        {"start_time": "2h"},
        "start_time",
        "'2h' is not a time; give ISO 8601 with a zone (2026-01-31T12:00:00Z)",
    ),
    ({"start_time": None}, "start_time", "None is not accepted: input should be a valid string"),
    (
        {"end_time": "2026-01-01T00:00:00Z"},
        "end_time",
        "2026-01-01T00:00:00.000Z is before start_time, 2026-01-02T03:04:05.000Z",
    ),
    (
        {"agent_name": ""},
        "agent_name",
        "'' is not accepted; give 1 to 200 characters, not only white space",
    ),
    ({"job_type": 5}, "job_type", "5 is not accepted: input should be a valid string"),
    (
        {"event_id": "has space"},
        "event_id",
        "'has space' is not accepted; give 1 to 200 printable characters without white space, not starting with '@' or '-'",
    ),
    (
        {"run_id": "a/b"},
        "run_id",
        "'a/b' is not accepted; give 1 to 255 characters without '/', '\\' or control characters, not only white space",
    ),
    (
        {"items_failed": -1},
        "items_failed",
        "-1 is not accepted: input should be greater than or equal to 0",
    ),
    (
        {"items_failed": True},
        "items_failed",
        "True is not accepted: input should be a valid integer",
    ),
    ({"duration_ms": 1.5}, "duration_ms", "1.5 is not accepted: input should be a valid integer"),
    (
        {"duration_ms": 2**63},
        "duration_ms",
        "9223372036854775808 is not accepted: input should be less than or equal to 9223372036854775807",
    ),
    ({"metrics_json": [1]}, "metrics_json", "[1] is not accepted: a JSON object is needed"),
    (
        {"metrics_json": {"a": 2**63}},
        "metrics_json",
        "the JSON holds the integer 9223372036854775808, which is outside −2⁶³…2⁶³−1",
    ),
    (
        {"context_json": {"a": float("nan")}},
        "context_json",
        "the JSON holds NaN, which is not a JSON number",
    ),
    (
        {"metrics_json": {"a": [float("inf")]}},
        "metrics_json",
        "the JSON holds Infinity, which is not a JSON number",
    ),
    (
        {
            "events": [
                {
                    "event_type": "x",
                    "timestamp": "2026-01-01T00:00:00Z",
                    "payload_json": {"a": float("nan")},
                }
            ]
        },
        "events.0.payload_json",
        "the JSON holds NaN, which is not a JSON number",
    ),
    (
        {"git_commit_hash": "main"},
        "git_commit_hash",
        "'main' is not a SHA of 7 to 40 hexadecimal digits, or 64",
    ),
    (
        {"git_commit_source": "me"},
        "git_commit_source",
        "'me' is not accepted; give one of manual, llm, ci",
    ),
    ({"product": "a\0b"}, "product", "the text holds a NUL character, which cannot be stored"),
    ({"event_id": "me", "parent_run_id": "me"}, "parent_run_id", "'me' is the run itself"),
    (
        {"events": [{"event_type": "x", "timestamp": "yesterday"}]},
        "events.0.timestamp",
        "'yesterday' is not a time; give ISO 8601 with a zone (2026-01-31T12:00:00Z)",
    ),
    ({"events": {}}, "events", "{} is not accepted: input should be a valid array"),
    (
        {"commits": [{"commit_hash": "abcdef1"}, {"commit_hash": "x"}]},
        "commits.1.commit_hash",
        "'x' is not a SHA of 7 to 40 hexadecimal digits, or 64",
    ),
    (
        {"commits": [{"role": "base"}]},
        "commits.0.commit_hash",
        "is missing, and there is no record without it",
    ),
]


def spelled(text: str) -> str:
    """A record with fields as they are spelled here."""
    return (
        '{"agent_name": "a", "job_type": "j", "start_time": "2026-01-02T03:04:05Z", ' + text + "}"
    )


LINES = [
    (spelled('"agent_name": "b"'), "agent_name", "the JSON holds the key 'agent_name' twice"),
    (
        spelled('"metrics_json": {"a" :1,"b":2,"b":3}'),
        "metrics_json",
        "the JSON holds the key 'b' twice",
    ),
    (
        spelled('"product": "\\u0022:", "context_json": {"b":2,"b":3}'),
        "context_json",
        "the JSON holds the key 'b' twice",
    ),
    (
        spelled('"product": "\\ud800"'),
        "product",
        "the JSON holds a lone surrogate, which is not text",
    ),
    (
        spelled('"metrics_json": {"a": 1e999}'),
        "metrics_json",
        "the JSON holds the number 1e999, which is too large",
    ),
    (
        spelled(f'"metrics_json": {{"a": {"9" * 5000}}}'),
        "metrics_json",
        "the JSON holds the integer 999",
    ),
    (spelled(f'"pid": {"9" * 5000}'), "pid", ""),
    (
        spelled(f'"metrics_json": {{"a": {"[" * 110 + "]" * 110}}}'),
        "metrics_json",
        "the JSON is nested more than 100 levels deep",
    ),
    (spelled(f'"context_json": {{"a": {"[" * 3000 + "]" * 3000}}}'), None, "not valid JSON: "),
    ("[1, 2]", None, "[1, 2] is not accepted: input should be an object"),
    ("not json", None, "not valid JSON: "),
    ('{"agent_name": "a"', None, "not valid JSON: "),
]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    BAD,
    ids=[f"{field}-{number}" for number, (_, field, _) in enumerate(BAD)],
)
def test_a_bad_record_is_told_by_line_field_value_and_rule(
    change: dict[str, object], field: str | None, message: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "runs.ndjson",
        *named(1),
        "\n",
        {"event_id": "bad"} | LEAST | change,
        LEAST | {"event_id": "after"},
    )
    ran = telemetry("import", path, "--json", code=1)
    assert (ran.json["total"], ran.json["created"], ran.json["failed"]) == (3, 2, 1)
    event_id = change.get("event_id", "bad") if "\0" not in str(change) else "bad"
    assert ran.json["errors"] == [
        {"line": 3, "event_id": event_id, "field": field, "error": message}
    ]
    assert sorted(row[0] for row in telemetry.sql("SELECT event_id FROM agent_runs")) == [
        "after",
        "r0",
    ]


@pytest.mark.parametrize(("line", "field", "message"), LINES, ids=range(len(LINES)))
def test_a_line_that_is_no_record(
    line: str, field: str | None, message: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    ran = telemetry("import", write(tmp_path / "runs.ndjson", *named(1), line), "--json", code=1)
    assert (ran.json["created"], ran.json["failed"]) == (1, 1)
    assert ran.json["errors"][0]["error"].startswith(message), ran
    assert (ran.json["errors"][0]["line"], ran.json["errors"][0]["field"]) == (2, field)


def test_all_or_nothing(telemetry: Telemetry, tmp_path: Path) -> None:
    telemetry.start("--event-id", "before")
    files = telemetry.files()
    ran = telemetry(
        "import",
        "--atomic",
        write(
            tmp_path / "bad.ndjson", *named(3), LEAST | {"status": "?"}, LEAST | {"colour": "red"}
        ),
        "--json",
        code=1,
    )
    assert (ran.json["created"], ran.json["failed"]) == (0, 2)
    assert [(error["line"], error["field"]) for error in ran.json["errors"]] == [
        (4, "status"),
        (5, "colour"),
    ]
    assert telemetry.files() == files
    assert (
        telemetry("import", "--atomic", write(tmp_path / "good.ndjson", *named(3)), "--json").json[
            "created"
        ]
        == 3
    )
    assert telemetry.sql(
        "SELECT count(DISTINCT op_id) FROM agent_runs WHERE event_id LIKE 'r%'"
    ) == [(1,)]


def test_unknown_keys_are_kept_with_a_warning(telemetry: Telemetry, tmp_path: Path) -> None:
    records = [
        LEAST | {"event_id": name, "colour": "red", "size": {"cm": 3}, "context_json": context}
        for name, context in (("E1", {"a": 1}), ("E2", {"extra": {"b": 2}}))
    ]
    ran = telemetry("import", write(tmp_path / "runs.ndjson", *records))
    assert (
        "colour is unknown and kept under context_json.extra (2 times, first on line 1)" in ran.err
    )
    assert telemetry.run("E1")["context_json"] == {
        "a": 1,
        "extra": {"colour": "red", "size": {"cm": 3}},
    }
    assert telemetry.run("E2")["context_json"] == {
        "extra": {"b": 2, "colour": "red", "size": {"cm": 3}}
    }


def test_unknown_keys_of_events_and_commits_are_kept_too(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    event, commit = (
        {"event_type": "x", "timestamp": "2026-01-01T00:00:00Z"},
        {"commit_hash": "abcdef1"},
    )
    record = LEAST | {
        "event_id": "E1",
        "events": [event, event | {"colour": {"is": "red"}}],
        "commits": [commit | {"by": 1}],
    }
    path = write(tmp_path / "runs.ndjson", record)
    ran = telemetry("import", path, "--atomic", "--json", code=1)
    assert [error["field"] for error in ran.json["errors"]] == ["events.1.colour"]
    assert (
        "events.colour is unknown and kept under context_json.extra"
        in telemetry("import", path).err
    )
    assert telemetry.run("E1")["context_json"] == {
        "extra": {"events.1.colour": {"is": "red"}, "commits.0.by": 1}
    }
    twice = '{"event_id": "E2", "agent_name": "a", "job_type": "j", "job_type": "k", "job_type": "l", "start_time": "2026-01-02T03:04:05Z", "odd": 1}\n'
    assert (
        telemetry("import", write(tmp_path / "twice.ndjson", twice), "--json", code=1).json[
            "errors"
        ][0]["field"]
        == "job_type"
    )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("", "x.ndjson"),
        ("\n \n", "x.ndjson"),
        ("", "x.json"),
        ("[]", "x.json"),
        ('{"runs": []}', "x.json"),
        ("a,b\n", "x.csv"),
        ("", "x.sqlite"),
    ],
)
def test_an_empty_input_is_refused(
    content: str, name: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    telemetry("import", str(tmp_path / name), code=2)
    assert not telemetry.base.exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["/nowhere/x.ndjson"],
        ["/tmp", "--format", "ndjson"],
        ["x.txt"],
        ["x.ndjson", "--format", "xml"],
        [""],
        ["-", "--format", "sqlite"],
    ],
)
def test_what_cannot_be_read_is_a_usage_error(argv: list[str], telemetry: Telemetry) -> None:
    telemetry("import", *argv, code=2)
    assert not telemetry.base.exists()


@pytest.mark.parametrize(
    "record",
    [
        f'{{"metrics_json": {{"a]": {"[" * 3000 + "]" * 3000}, "b": "\\"["}}}}',
        f'{{"pid": {"9" * 5000}}}',
    ],
    ids=["deep", "long"],
)
def test_what_no_reader_of_json_takes_costs_one_record_of_an_array(
    record: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    good = [json.dumps(run) for run in named(3)]
    path = write(
        tmp_path / "runs.json", f"[{good[0]},\n{record},\n{good[1]},\n{record}, {good[2]}]"
    )
    ran = telemetry("import", path, "--json", code=1)
    assert (ran.json["created"], [error["line"] for error in ran.json["errors"]]) == (3, [2, 4])
    (tmp_path / "cut.json").write_text(f"[{good[0]}, {record[:3000]}")
    ran = telemetry("import", str(tmp_path / "cut.json"), "--json", code=1)
    assert (ran.json["existing"], [error["line"] for error in ran.json["errors"]]) == (1, [1])
    assert ran.json["errors"][0]["error"].startswith("not valid JSON: ")


def test_a_file_that_breaks_off_keeps_what_was_whole(telemetry: Telemetry, tmp_path: Path) -> None:
    packed = gzip.compress(text_of("ndjson", named(3000, input_summary=str(uuid.uuid4()))).encode())
    (tmp_path / "cut.ndjson.gz").write_bytes(packed[: len(packed) - 20])
    ran = telemetry("import", str(tmp_path / "cut.ndjson.gz"), "--json", code=1)
    assert ran.json["created"] > 0
    assert ran.json["failed"] == 1
    (tmp_path / "cut.json").write_text(json.dumps(named(5))[:-30])
    ran = telemetry("import", str(tmp_path / "cut.json"), "--json", code=1)
    assert (ran.json["existing"], ran.json["failed"]) == (4, 1)
    assert "not valid JSON" in ran.json["errors"][0]["error"]


# What records may leave out


def test_an_id_is_derived_from_the_content(telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(tmp_path / "runs.ndjson", LEAST, LEAST | {"product": "x"}, LEAST)
    assert (first := telemetry("import", path, "--json").json)["created"] == 2
    assert first["existing"] == 1
    assert telemetry("import", path, "--json").json["existing"] == 3
    ids = [row[0] for row in telemetry.sql("SELECT event_id FROM agent_runs ORDER BY id")]
    assert [uuid.UUID(id_).version for id_ in ids] == [5, 5]
    other = Telemetry(tmp_path / "other")
    other("import", path)
    assert [row[0] for row in other.sql("SELECT event_id FROM agent_runs ORDER BY id")] == ids


def test_defaults(telemetry: Telemetry, tmp_path: Path) -> None:
    telemetry(
        "import",
        write(
            tmp_path / "runs.ndjson",
            LEAST | {"event_id": "going"},
            LEAST | {"event_id": "over", "end_time": "2026-01-02T04:04:05+01:00"},
        ),
    )
    going, over = telemetry.run("going"), telemetry.run("over")
    assert (going["status"], over["status"], over["end_time"]) == (
        "running",
        "success",
        "2026-01-02T03:04:05.000Z",
    )
    assert going["run_id"].startswith("20260102T030405Z-a-")
    assert going["created_at"] == going["updated_at"] > "2026-01-02"
    assert (going["items_failed"], going["metrics_json"], going["schema_version"]) == (
        0,
        {},
        telemetry("status", "--json").json["schema_version"],
    )


def test_credentials_in_remotes_are_not_kept(telemetry: Telemetry, tmp_path: Path) -> None:
    remote = "https://ada:secret-token@github.com/example/shop"
    telemetry(
        "import",
        write(
            tmp_path / "runs.ndjson",
            RUN | {"git_repo": remote, "commits": [RUN["commits"][0] | {"repo": remote}]},
        ),
    )
    assert b"secret-token" not in b"".join(telemetry.files().values())


# Once and again


def test_again_changes_nothing_and_adds_what_was_missing(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry("import", write(tmp_path / "one.ndjson", RUN))
    before = dump(telemetry)
    assert telemetry("import", str(tmp_path / "one.ndjson"), "--json").json == {
        "total": 1,
        "created": 0,
        "existing": 1,
        "failed": 0,
        "events": 0,
        "commits": 0,
        "errors": [],
    }
    assert dump(telemetry) == before
    more = RUN | {
        "status": "failure",
        "events": [*RUN["events"], RUN["events"][0]],
        "commits": [*RUN["commits"], {"commit_hash": "1234567"}],
    }
    result = telemetry("import", write(tmp_path / "two.ndjson", more), "--json").json
    assert (result["existing"], result["events"], result["commits"]) == (1, 1, 1)
    after = dump(telemetry)
    assert after["runs"] == before["runs"]
    assert (len(after["events"]), len(after["commits"])) == (4, 3)


def test_the_same_record_twice_in_one_file(telemetry: Telemetry, tmp_path: Path) -> None:
    result = telemetry("import", write(tmp_path / "runs.ndjson", RUN, RUN), "--json").json
    assert (result["created"], result["existing"], result["events"], result["commits"]) == (
        1,
        1,
        3,
        2,
    )


# Parents

CHILD = LEAST | {"event_id": "child", "run_id": "the child", "parent_run_id": "the parent"}
PARENT = LEAST | {"event_id": "parent", "run_id": "the parent"}


@pytest.mark.parametrize(
    "order", [(CHILD, PARENT), (PARENT, CHILD)], ids=["child first", "parent first"]
)
@pytest.mark.parametrize("files", [1, 2])
def test_parents_before_or_after_their_children(
    order: tuple[dict[str, object], ...], files: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    if files == 1:
        telemetry("import", write(tmp_path / "runs.ndjson", *order))
    else:
        for record in order:
            telemetry("import", write(tmp_path / "runs.ndjson", record))
    assert telemetry.run("child")["parent_run_id"] == "parent"
    assert [
        child["event_id"] for child in telemetry("run", "tree", "parent", "--json").json["children"]
    ] == ["child"]
    assert telemetry.run("child")["updated_at"] == telemetry.run("child")["created_at"]


def test_a_loop_of_parents_is_broken(telemetry: Telemetry, tmp_path: Path) -> None:
    loop = [
        LEAST | {"event_id": f"r{number}", "parent_run_id": f"r{(number + 1) % 5}"}
        for number in range(5)
    ]
    telemetry("import", write(tmp_path / "runs.ndjson", *loop))
    parents = dict(telemetry.sql("SELECT event_id, parent_run_id FROM agent_runs"))
    assert list(parents.values()).count(None) == 1
    assert telemetry(
        "run", "tree", next(name for name, parent in parents.items() if parent is None), "--json"
    ).json["children"]


# Other circumstances


def test_disabled_and_never_fail(telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(tmp_path / "runs.ndjson", LEAST, "{")
    assert telemetry("import", path, env={"TELEMETRY_DISABLED": "1"}).out == ""
    assert not telemetry.base.exists()
    assert "not valid JSON" in telemetry("import", path, env={"TELEMETRY_NEVER_FAIL": "1"}).err
    assert telemetry.sql("SELECT count(*) FROM agent_runs") == [(1,)]


def test_a_rebuilt_database_has_the_imports(telemetry: Telemetry, tmp_path: Path) -> None:
    telemetry("import", write(tmp_path / "runs.ndjson", RUN, CHILD, PARENT))
    before = dump(telemetry)
    telemetry("db", "rebuild")
    assert dump(telemetry) == before
    telemetry.database.unlink()
    telemetry("db", "rebuild")
    assert dump(telemetry) == before


def test_a_locked_database_buffers_the_import(telemetry: Telemetry, tmp_path: Path) -> None:
    from support.storage import EXCLUSIVE, held

    telemetry.start()
    with held(EXCLUSIVE, telemetry.database):
        ran = telemetry(
            "import",
            write(tmp_path / "runs.ndjson", RUN),
            "--json",
            env={"TELEMETRY_LOCK_TIMEOUT": "0.2"},
        )
        assert (ran.json["buffered"], ran.json["created"]) == (1, 0)
        assert "buffered: " in ran.err
    assert telemetry.run("nightly-7")["product"] == "cells"


def test_a_bad_line_of_any_length_costs_that_line_only(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    long = json.dumps(LEAST | {"event_id": "long", "input_summary": "x" * (17 << 20)}) + "\n"
    ran = telemetry(
        "import",
        write(tmp_path / "runs.ndjson", *named(1), long, LEAST | {"event_id": "after"}),
        "--json",
        code=1,
    )
    assert (ran.json["created"], [error["line"] for error in ran.json["errors"]]) == (2, [2])


PROGRESS = """
import sys
from telemetry_cli.cli.output import progress
progress._PATIENCE = 0
sys.argv = ["telemetry", "import", sys.argv[1]]
from telemetry_cli.cli import main
sys.exit(main.main())
"""


def test_progress_on_a_terminal(telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(tmp_path / "runs.ndjson", *named(6000))
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRESS, path],
        env=telemetry.env | {"TERM": "xterm", "COLUMNS": "120"},
        stderr=theirs,
        stdout=subprocess.PIPE,
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:
        pass  # how a terminal ends
    finally:
        os.close(ours)
    out = process.communicate()[0]
    assert (process.returncode, out) == (0, b"6000 records: 6000 created, 0 existing, 0 failed\n")
    assert b"importing" in shown
    assert b"6,000 records, " in shown


def test_progress_while_the_first_record_is_awaited(telemetry: Telemetry) -> None:
    ours, theirs = os.openpty()
    env = telemetry.env | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [str(PROGRAM), "import", "-"],
        env=env,
        stdin=subprocess.PIPE,
        stderr=theirs,
        stdout=subprocess.PIPE,
    )
    os.close(theirs)
    shown = b""
    while b"0 records" not in shown and select.select([ours], [], [], 10)[0]:
        shown += os.read(ours, 65536)
    out = process.communicate(json.dumps(LEAST).encode())[0]
    os.close(ours)
    assert (process.returncode, out) == (0, b"1 records: 1 created, 0 existing, 0 failed\n")
    assert b"importing" in shown


@pytest.mark.parametrize("atomic", [False, True])
def test_progress_goes_by_what_is_stored(
    atomic: bool, telemetry: Telemetry, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "runs.ndjson",
        *(
            LEAST | {"event_id": f"r{number:06}", "input_summary": "x" * 600}
            for number in range(20_000)
        ),
    )
    config = Config(base_dir=str(telemetry.base))
    steps = []
    for done, part in importing.Import(config, path, "ndjson", atomic=atomic).steps():
        stored = (
            sqlite3.connect(config.db_path).execute("SELECT count(*) FROM agent_runs").fetchone()[0]
            if done and not atomic
            else done
        )
        assert part is not None
        assert stored == done
        assert part == pytest.approx(done / 20_000, abs=0.1)
        steps.append(done)
    assert steps[:2] == ([0, 5000] if atomic else [0, 500])
    assert (len(steps) > 4, steps[-1]) == (True, 20_000)


def test_an_import_where_there_may_be_no_more_processes(
    telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    work = importing.Import(
        Config(base_dir=str(telemetry.base)),
        write(tmp_path / "runs.ndjson", *named(600)),
        "ndjson",
        atomic=False,
    )
    for _ in work.steps():
        pass
    assert work.report.json["created"] == 600


def test_many_different_unknown_keys_are_told_of_in_a_few_words(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    ran = telemetry(
        "import",
        write(
            tmp_path / "runs.ndjson",
            *(LEAST | {"event_id": f"r{number}", f"key{number}": 1} for number in range(300)),
        ),
    )
    assert len(ran.err.splitlines()) < 30


def test_events_that_stand_alone_can_be_imported_as_one(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry.start("--run-id", "r1")
    event = {
        "record_type": "event",
        "run_id": "r1",
        "event_type": "step",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    path = write(tmp_path / "events.ndjson", event)
    assert (
        telemetry("import", path, "--format", "legacy-ndjson", "--atomic", "--json").json["events"]
        == 1
    )
    assert len(telemetry.run("r1")["events"]) == 1


@pytest.mark.parametrize("atomic", [(), ("--atomic",)])
def test_what_is_imported_is_kept_without_secrets(
    telemetry: Telemetry, atomic: tuple[str, ...]
) -> None:
    secrets = ["ghp_" + "a1B2c3D4e5" * 4, "correct horse battery"]
    runs: list[dict[str, object]] = [
        {**RUN, "event_id": f"r{number}", "input_summary": f"run {number}"} for number in range(500)
    ]
    said = {
        "event_type": "said",
        "timestamp": "2026-01-01T00:00:00Z",
        "payload_json": {"text": secrets[0]},
    }
    runs[300] |= {
        "input_summary": f"with {secrets[0]}",
        "context_json": {"password": secrets[1]},
        "events": [said],
    }
    file = telemetry.home / "runs.ndjson"
    file.write_text("".join(json.dumps(run) + "\n" for run in runs))
    telemetry("import", str(file), *atomic)
    shown = telemetry("run", "show", "r300", "--json").json
    assert shown["input_summary"] == "with [redacted]"
    assert shown["context_json"] == {"password": "[redacted]"}
    assert shown["events"][0]["payload_json"] == {"text": "[redacted]"}
    assert telemetry("query", "--where", "input_summary like 'run %'", "--count").line == "499"
    kept = [path.read_bytes() for path in telemetry.base.rglob("*") if path.is_file()]
    assert [secret for secret in secrets for content in kept if secret.encode() in content] == []


@pytest.mark.parametrize("content", ["{}", '{"records": []}'])
def test_json_without_runs_says_what_is_needed(content: str, telemetry: Telemetry) -> None:
    ran = telemetry("import", "-", "--format", "json", stdin=content, code=2)
    assert "an array of runs is needed, or an object with one under 'runs'" in ran.err


@pytest.mark.parametrize("atomic", [False, True])
def test_what_cannot_be_made_durable_exits_75_and_names_the_place(
    atomic: bool, telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry.start()
    path = write(tmp_path / "large.ndjson", *named(300, error_details="x" * 5000))
    options = ["--atomic"] if atomic else []
    limited = f'ulimit -f 800; exec "{PROGRAM}" import "$@"'
    done = subprocess.run(
        ["sh", "-c", limited, "sh", path, *options],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (75, False), done
    place = tempfile.gettempdir() if atomic else str(telemetry.base / "blobs")
    assert f"error: {place}" in done.stderr
    assert "File too large" in done.stderr
    assert telemetry("query", "--count").line == "1"


def test_what_a_killed_import_left_behind_is_removed_by_a_later_one(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry("import", write(tmp_path / "runs.ndjson", *named(1)))
    dead, alive = telemetry.base / "blobs" / ".dead.tmp", telemetry.base / "blobs" / ".alive.tmp"
    for path in (dead, alive):
        path.write_bytes(b"[" * 100)
        path.chmod(0o600)
    with held(FLOCKED, alive):
        findings = telemetry("doctor", "--json", code=None).json
        assert [finding["what"] for finding in findings if finding["where"] == str(dead)] == [
            "100 bytes that an interrupted command left behind"
        ]
        assert not [finding for finding in findings if finding["where"] == str(alive)]
        telemetry("import", write(tmp_path / "more.ndjson", *named(2)))
        assert (dead.exists(), alive.exists()) == (False, True)


TIMED: dict[str, object] = {
    "agent_name": "a",
    "job_type": "j",
    "start_time": "2026-01-31T12:00:00Z",
    "end_time": "2026-01-31T14:05:00+02:00",
}


@pytest.mark.parametrize(
    ("said", "milliseconds"),
    [
        ({}, 300_000),
        ({"duration_ms": None}, 300_000),
        ({"duration_ms": 7}, 7),
        ({"duration_ms": 0}, 0),
        ({"end_time": None}, 0),
    ],
)
@pytest.mark.parametrize("form", ["ndjson", "json", "csv"])
def test_duration_of_an_imported_run_is_that_from_start_to_end(
    form: str, said: dict[str, object], milliseconds: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    record = {"event_id": "timed"} | TIMED | said
    path = tmp_path / f"x.{form}"
    path.write_text(text_of(form, [record]) if form != "csv" else csv_of(record))
    telemetry("import", str(path))
    assert telemetry.run("timed")["duration_ms"] == milliseconds


def csv_of(record: dict[str, object]) -> str:
    return f"{','.join(record)}\n{','.join('' if value is None else str(value) for value in record.values())}\n"


def test_id_of_a_record_does_not_depend_on_its_derived_duration(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    """An earlier telemetry stored 0 for it, and the same file imported again must find the same run."""
    path = tmp_path / "x.ndjson"
    path.write_text(text_of("ndjson", [TIMED, TIMED | {"duration_ms": 0}]))
    ran = telemetry("import", str(path), "--json")
    assert (ran.json["created"], ran.json["existing"]) == (1, 1)
