"""`telemetry run start`: what it records, what it prints, and that the same event_id again changes nothing."""

import fcntl
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support import Git, Telemetry

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TEXT_OPTIONS = (
    "product", "product-family", "platform", "subdomain", "website", "website-section", "item-name", "environment", "host", "trigger-type",
    "insight-id", "source-ref", "target-ref", "input-summary", "agent-owner", "git-branch", "git-run-tag",
)  # fmt: skip
NAMED = ("--agent-name", "tester", "--job-type", "job")


def test_prints_the_event_id_alone(telemetry: Telemetry) -> None:
    started = telemetry("run", "start", *NAMED)
    assert re.fullmatch(UUID + "\n", started.out)
    assert started.err == ""
    assert telemetry.run(started.line)["event_id"] == started.line


def test_json_says_created(telemetry: Telemetry) -> None:
    started = telemetry("run", "start", *NAMED, "--event-id", "E1", "--run-id", "R1", "-o", "json")
    assert started.json == {"status": "created", "event_id": "E1", "run_id": "R1"}


@pytest.mark.parametrize(
    "asked", [("--json",), ("-o", "json"), ("--output", "json"), ("--output=json",)]
)
def test_every_spelling_of_json(telemetry: Telemetry, asked: tuple[str, ...]) -> None:
    assert telemetry("run", "start", *NAMED, "--event-id", "E1", *asked).json["event_id"] == "E1"


def test_defaults(telemetry: Telemetry) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    run = telemetry.run(telemetry.start("--no-git"))
    assert before <= datetime.fromisoformat(run["start_time"]) <= datetime.now(UTC)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", run["start_time"])
    assert run["created_at"] == run["start_time"] == run["updated_at"]
    expected: dict[str, object] = {
        "status": "running",
        "end_time": None,
        "duration_ms": 0,
        "items_failed": 0,
        "metrics_json": {},
        "context_json": {},
    }
    assert {name: run[name] for name in expected} == expected
    assert run["host"] == os.uname().nodename
    assert [
        run[name]
        for name in ("parent_run_id", "agent_owner", "product", "git_repo", "git_commit_hash")
    ] == [None] * 5


def test_every_text_field_is_stored(telemetry: Telemetry) -> None:
    given = {option: f"väl {option} 😀" for option in TEXT_OPTIONS}
    event_id = telemetry.start(
        "--no-git", *(word for option, value in given.items() for word in (f"--{option}", value))
    )
    run = telemetry.run(event_id)
    assert {option: run[option.replace("-", "_")] for option in TEXT_OPTIONS} == given


def test_an_empty_text_is_null(telemetry: Telemetry) -> None:
    run = telemetry.run(telemetry.start("--product=", "--website", "", "--no-git"))
    assert (run["product"], run["website"]) == (None, None)


def test_items_are_stored(telemetry: Telemetry) -> None:
    run = telemetry.run(
        telemetry.start(
            "--items-discovered",
            "4",
            "--items-succeeded=3",
            "--items-failed",
            "1",
            "--items-skipped",
            str(2**63 - 1),
        )
    )
    assert [run[f"items_{what}"] for what in ("discovered", "succeeded", "failed", "skipped")] == [
        4,
        3,
        1,
        2**63 - 1,
    ]


def test_run_id_is_made_of_time_agent_and_digits(telemetry: Telemetry) -> None:
    run = telemetry.run(
        telemetry.start("--agent-name", "team/a\\b", "--start-time", "2026-01-01T00:00:00Z")
    )
    assert run["agent_name"] == "team/a\\b"
    assert re.fullmatch(r"\d{8}T\d{6}Z-team-a-b-[0-9a-f]{8}", run["run_id"])


def test_longest_names(telemetry: Telemetry) -> None:
    event_id = telemetry.start(
        "--agent-name",
        "ä" * 200,
        "--job-type",
        "j" * 200,
        "--event-id",
        "é" * 200,
        "--run-id",
        "r r" * 85,
    )
    run = telemetry.run(event_id)
    assert (run["event_id"], run["run_id"], run["agent_name"], run["job_type"]) == (
        "é" * 200,
        "r r" * 85,
        "ä" * 200,
        "j" * 200,
    )


def test_longest_agent_name_still_gets_a_run_id(telemetry: Telemetry) -> None:
    assert len(telemetry.run(telemetry.start("--agent-name", "a" * 200))["run_id"]) <= 255


def test_values_that_look_like_options(telemetry: Telemetry) -> None:
    run = telemetry.run(telemetry.start("--product=--json", "--platform", "-", "--website=a=b"))
    assert (run["product"], run["platform"], run["website"]) == ("--json", "-", "a=b")


# The same event_id again


def test_duplicate_changes_nothing(known: Telemetry) -> None:
    before = known.run("known-run")
    again = known(
        "run",
        "start",
        *NAMED,
        "--event-id",
        "known-run",
        "--run-id",
        "other",
        "--product",
        "p",
        "-m",
        "a=1",
        "-o",
        "json",
    )
    assert again.json == {"status": "duplicate", "event_id": "known-run", "run_id": "the known one"}
    assert known.run("known-run") == before
    assert known.sql("SELECT count(*) FROM agent_runs") == [(1,)]


def test_duplicate_prints_the_event_id(known: Telemetry) -> None:
    assert known("run", "start", *NAMED, "--event-id", "known-run").out == "known-run\n"


def test_run_id_need_not_be_unique(known: Telemetry) -> None:
    known.start("--event-id", "second", "--run-id", "the known one")
    assert known.sql(
        "SELECT event_id FROM agent_runs WHERE run_id = 'the known one' ORDER BY id"
    ) == [("known-run",), ("second",)]


# Status and time


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("running", "running"),
        ("FAILED", "failure"),
        ("Completed", "success"),
        ("succeeded", "success"),
        ("canceled", "cancelled"),
        ("TimeOut", "timeout"),
    ],
)
def test_status_in_any_spelling(telemetry: Telemetry, given: str, stored: str) -> None:
    assert telemetry.run(telemetry.start("--status", given))["status"] == stored


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"),
        ("2026-01-02T03:04:05.6789Z", "2026-01-02T03:04:05.678Z"),
        ("2024-02-29 23:59:59.999-01:00", "2024-03-01T00:59:59.999Z"),
    ],
)
def test_start_time_is_stored_in_utc(telemetry: Telemetry, given: str, stored: str) -> None:
    assert telemetry.run(telemetry.start("--start-time", given))["start_time"] == stored


@pytest.mark.parametrize(
    ("given", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259200), ("1w", 604800)]
)
def test_start_time_as_an_age(telemetry: Telemetry, given: str, seconds: int) -> None:
    run = telemetry.run(telemetry.start("--start-time", given))
    assert datetime.fromisoformat(run["created_at"]) - datetime.fromisoformat(
        run["start_time"]
    ) == timedelta(seconds=seconds)


def test_start_time_today(telemetry: Telemetry) -> None:
    event_id = telemetry.start("--start-time", "today", env={"TZ": "Asia/Tokyo"})
    assert telemetry.run(event_id)["start_time"][11:] == "15:00:00.000Z"


# JSON


def test_metrics_from_argument_file_and_stdin(telemetry: Telemetry, document: Path) -> None:
    telemetry(
        "run",
        "start",
        *NAMED,
        "--event-id",
        "inline",
        "--metrics",
        '{"b": [1, 2.5, null], "a": {"x": true}}',
        "--context",
        f"@{document}",
    )
    telemetry(
        "run",
        "start",
        *NAMED,
        "--event-id",
        "stdin",
        "--metrics",
        f"@{document}",
        "--context",
        "-",
        stdin='{"über": "stdin"}',
    )
    inline, stdin = telemetry.run("inline"), telemetry.run("stdin")
    assert (inline["metrics_json"], inline["context_json"]) == (
        {"a": {"x": True}, "b": [1, 2.5, None]},
        {"from": "file"},
    )
    assert (stdin["metrics_json"], stdin["context_json"]) == ({"from": "file"}, {"über": "stdin"})


def test_metrics_are_stored_compact_and_sorted(telemetry: Telemetry) -> None:
    telemetry.start("--metrics", '{"b": 1, "a": {"d": "ä", "c": 2}}')
    assert telemetry.sql("SELECT metrics_json FROM agent_runs") == [
        ('{"a":{"c":2,"d":"ä"},"b":1}',)
    ]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("5", 5),
        ("2.5", 2.5),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ("text", "text"),
        ("", ""),
        ("[1]", "[1]"),
        ('{"a":1}', '{"a":1}'),
        ("b=c", "b=c"),
    ],
)
def test_one_metric_is_a_scalar_or_text(telemetry: Telemetry, source: str, value: object) -> None:
    assert telemetry.run(telemetry.start("-m", f"key={source}"))["metrics_json"] == {"key": value}


def test_pairs_are_laid_over_metrics(telemetry: Telemetry) -> None:
    run = telemetry.run(
        telemetry.start("-m", "a=1", "--metrics", '{"a": 0, "b": 0}', "-m", "c=2", "-m", "a=3")
    )
    assert run["metrics_json"] == {"a": 3, "b": 0, "c": 2}


# Parents


def test_parent_is_stored_by_its_event_id(known: Telemetry) -> None:
    by_name = known.start("--parent", "the known one")
    by_prefix = known.start("--parent", "known")
    by_default = known.start(env={"TELEMETRY_EVENT_ID": "known-run"})
    by_current = known.start("--parent", "@current", env={"TELEMETRY_EVENT_ID": "known-run"})
    assert [
        known.run(child)["parent_run_id"] for child in (by_name, by_prefix, by_default, by_current)
    ] == ["known-run"] * 4


def test_unknown_parent_is_kept_as_given(known: Telemetry) -> None:
    assert known.run(known.start("--parent", "elsewhere"))["parent_run_id"] == "elsewhere"


@pytest.mark.parametrize("empty", ["", " "])
def test_empty_parent_is_no_parent(empty: str, known: Telemetry) -> None:
    assert (
        known.run(known.start("--parent", empty, env={"TELEMETRY_EVENT_ID": "known-run"}))[
            "parent_run_id"
        ]
        is None
    )
    known(
        "run",
        "exec",
        "--no-git",
        "--parent",
        empty,
        "--",
        "true",
        env={"TELEMETRY_EVENT_ID": "known-run"},
    )
    assert known.run("@last")["parent_run_id"] is None
    child = known.start("--parent", "known-run")
    known("run", "update", child, "--parent", empty)
    assert known.run(child)["parent_run_id"] is None


def test_metric_that_no_number_holds_whole_is_text(telemetry: Telemetry) -> None:
    event_id = telemetry.start(
        "-m",
        "tag=1234e56",
        "-m",
        "build=7e10203",
        "-m",
        "digits=0.12345678901234567890",
        "-m",
        "lr=1e-4",
        "-m",
        "n=12",
    )
    telemetry("run", "event", "built", "--run", event_id, "-m", "tag=12e3456", "-m", "n=1e6")
    run = telemetry.run(event_id)
    assert run["metrics_json"] == {
        "tag": "1234e56",
        "build": "7e10203",
        "digits": "0.12345678901234567890",
        "lr": 0.0001,
        "n": 12,
    }
    assert run["events"][0]["payload_json"] == {"tag": "12e3456", "n": 1000000}


def test_a_run_is_not_its_own_parent(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "E1", env={"TELEMETRY_EVENT_ID": "E1"})
    assert telemetry.run("E1")["parent_run_id"] is None


# The event_id `auto`


def test_event_id_auto_outside_ci_is_random_and_says_so(telemetry: Telemetry) -> None:
    started = telemetry("run", "start", *NAMED, "--event-id", "auto")
    assert re.fullmatch(UUID, started.line)
    assert "auto" in started.err


# Git


def test_git_facts(telemetry: Telemetry, make_git: Callable[..., Git]) -> None:
    git = make_git("project")
    git.commit()
    git("remote", "add", "origin", "https://user:secret@github.com/acme/project.git")
    run = telemetry.run(telemetry.start(cwd=git.path))
    assert (run["git_repo"], run["git_branch"]) == ("https://github.com/acme/project.git", "main")
    assert (run["git_run_tag"], run["git_dir"]) == ("project/main", str(git.path / ".git"))
    assert (run["repo_url"], run["commit_url"]) == ("https://github.com/acme/project", None)


def test_no_git(telemetry: Telemetry, make_git: Callable[..., Git]) -> None:
    run = telemetry.run(telemetry.start("--no-git", cwd=make_git().path))
    assert [run[name] for name in ("git_repo", "git_branch", "git_run_tag", "git_dir")] == [
        None
    ] * 4


def test_given_git_fields_win_and_lose_their_credentials(
    telemetry: Telemetry, make_git: Callable[..., Git]
) -> None:
    event_id = telemetry.start(
        "--git-repo",
        "https://me:s3cret-word@gitlab.com/a/b.git",
        "--git-branch",
        "given",
        cwd=make_git().path,
    )
    run = telemetry.run(event_id)
    assert (run["git_repo"], run["git_branch"]) == ("https://gitlab.com/a/b.git", "given")
    assert not [name for name, content in telemetry.files().items() if b"s3cret-word" in content]


# Buffered


def test_buffered_while_the_database_is_locked(known: Telemetry) -> None:
    with (known.base / "db" / "telemetry.sqlite.lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = known(
            "run",
            "start",
            *NAMED,
            "--event-id",
            "waits",
            "--run-id",
            "R",
            "-o",
            "json",
            env={"TELEMETRY_LOCK_TIMEOUT": "0.1"},
        )
        ended = known("run", "end", "waits", "-o", "json", env={"TELEMETRY_LOCK_TIMEOUT": "0.1"})
    assert started.json == {"status": "buffered", "event_id": "waits", "run_id": "R"}
    assert "buffered" in started.err
    assert (ended.json["status"], ended.json["event_id"]) == ("buffered", "waits")
    assert known.run("waits")["status"] == "success"
