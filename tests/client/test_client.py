"""`TelemetryClient`: each method, what it records, and what it says of values that break a rule."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support import Git, Telemetry
from support.storage import EXCLUSIVE, held

from telemetry_cli import TelemetryClient
from telemetry_cli.core import clock
from telemetry_cli.journal import segments as journal

Warnings = Callable[[], list[str]]


def test_a_whole_life(client: TelemetryClient, telemetry: Telemetry) -> None:
    begun = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    run_id = client.start_run(
        "nightly",
        "backup",
        product="cells",
        metrics={"cost": 1},
        context_json={"a": 1},
        start_time=begun,
        event_id="E1",
        source_ref=Path("/data"),
    )
    assert run_id.endswith(run_id[-8:])
    assert "-nightly-" in run_id
    assert client.log_event(run_id, "checkpoint", {"step": [1, None]})
    assert client.update_run(run_id, product=None, items_discovered=9, metrics={"tokens": 5})
    assert client.associate_commit(
        run_id, "ABCDEF1", "llm", "Ada", "2026-03-01T12:00:00Z", role="produced", branch="main"
    ) == (
        True,
        f"{run_id} is associated with abcdef1",
    )
    assert client.end_run(
        run_id,
        "FAILED",
        items_failed=2,
        error_summary="2 failed",
        end_time="2026-03-01T12:00:02.500Z",
    )
    assert client.end_run(run_id)
    run = telemetry.run("E1")
    assert (run["run_id"], run["trigger_type"], run["start_time"], run["source_ref"]) == (
        run_id,
        "cli",
        "2026-03-01T12:00:00.000Z",
        "/data",
    )
    assert (
        run["product"],
        run["items_discovered"],
        run["items_failed"],
        run["status"],
        run["duration_ms"],
    ) == (None, 9, 2, "failure", 2500)
    assert (run["metrics_json"], run["context_json"]) == ({"cost": 1, "tokens": 5}, {"a": 1})
    assert (run["git_commit_hash"], run["git_commit_source"], run["git_commit_author"]) == (
        "abcdef1",
        "llm",
        "Ada",
    )
    assert [(event["event_type"], event["payload_json"]) for event in run["events"]] == [
        ("checkpoint", {"step": [1, None]})
    ]
    assert client.get_stats()["failures"] == {}


#: Variables of a job of GitLab CI.
JOB = {
    "GITLAB_CI": "true",
    "CI_JOB_NAME": "build",
    "CI_JOB_ID": "7",
    "CI_PIPELINE_ID": "12",
    "CI_PIPELINE_SOURCE": "schedule",
    "CI_COMMIT_BRANCH": "topic",
    "CI_PROJECT_URL": "https://gitlab-ci-token:secret@gitlab.com/acme/shop",
}


@pytest.fixture
def ci_job(client: TelemetryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of `JOB`, around a client that finds no other settings."""
    for variable, value in JOB.items():
        monkeypatch.setenv(variable, value)


@pytest.mark.usefixtures("ci_job")
def test_run_in_ci_records_what_run_start_records(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    run = telemetry.run(client.start_run("a", "j"))
    other = telemetry.run(telemetry.start("--no-git", env=JOB))
    names = ("trigger_type", "context_json", "git_repo", "git_branch", "git_run_tag", "boot_id")
    assert [run[name] for name in names] == [other[name] for name in names]
    assert run["trigger_type"] == "schedule"
    assert run["context_json"]["cicd.pipeline.run.id"] == "12"
    assert run["context_json"]["vcs.ref.head.name"] == "topic"
    assert (run["git_repo"], run["git_run_tag"]) == (
        "https://gitlab.com/acme/shop",
        "shop/topic",
    )


@pytest.mark.usefixtures("ci_job")
def test_given_fields_win_over_those_of_the_ci_job(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run(
        "a",
        "j",
        "hand",
        git_branch="mine",
        git_repo="",
        context={"cicd.pipeline.run.id": "mine", "n": object},
    )
    run = telemetry.run(run_id)
    assert (run["trigger_type"], run["git_branch"], run["git_repo"]) == ("hand", "mine", None)
    assert run["context_json"]["cicd.pipeline.run.id"] == "mine"
    assert run["context_json"]["cicd.pipeline.task.name"] == "build"
    assert list(run["context_json"]["unstorable"]) == ["context.n"]


@pytest.mark.usefixtures("ci_job")
def test_tracked_run_in_ci_records_trigger_and_process(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    with client.track_run("a", "j") as tracked:
        pass
    run = telemetry.run(tracked.event_id)
    assert (run["trigger_type"], run["pid"]) == ("schedule", os.getpid())


def test_the_repository_around_is_discovered(
    client: TelemetryClient, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", "--initial-branch=main")
    git("remote", "add", "origin", "https://u:secret@github.com/example/shop.git")
    monkeypatch.chdir(telemetry.cwd)
    run = telemetry.run(TelemetryClient(telemetry.base).start_run("a", "j"))
    assert (run["git_repo"], run["git_branch"]) == ("https://github.com/example/shop.git", "main")
    assert telemetry.run(client.start_run("a", "j"))["git_repo"] is None


def test_the_same_event_id_is_the_same_run(client: TelemetryClient, telemetry: Telemetry) -> None:
    first = client.start_run("a", "j", event_id="once")
    assert client.start_run("b", "k", event_id="once") == first
    assert telemetry.run("once")["agent_name"] == "a"


def test_a_run_id_that_names_several_means_the_one_this_process_started(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    client.start_run("a", "j", run_id="nightly", event_id="mine")
    telemetry.start(
        "--run-id", "nightly", "--event-id", "other", "--start-time", "2999-01-01T00:00:00Z"
    )
    assert client.end_run("nightly")
    assert (telemetry.run("mine")["status"], telemetry.run("other")["status"]) == (
        "success",
        "running",
    )


def test_runs_of_others_can_be_named(client: TelemetryClient, telemetry: Telemetry) -> None:
    event_id = telemetry.start()
    assert client.end_run(event_id, "partial")
    assert telemetry.run(event_id)["status"] == "partial"


def test_the_environments_run_is_the_parent(
    client: TelemetryClient, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMETRY_EVENT_ID", telemetry.start())
    assert telemetry.run(client.start_run("a", "j"))["parent_run_id"]
    assert (
        telemetry.run(
            client.start_run("a", "j", parent_run_id=telemetry.start("--event-id", "other"))
        )["parent_run_id"]
        == "other"
    )


BAD = [
    (lambda c: c.end_run("nobody"), False, "Run not found: nobody"),
    (lambda c: c.end_run(""), False, "empty reference"),
    (lambda c: c.end_run(None), False, ""),
    (lambda c: c.update_run("R"), False, "nothing to update"),
    (lambda c: c.associate_commit("R", "main", "ci")[0], False, "commit_hash"),
]


@pytest.mark.parametrize(("call", "returned", "said"), BAD, ids=range(len(BAD)))
def test_what_breaks_a_rule_is_logged_and_never_raised(
    call: Callable[[TelemetryClient], object],
    returned: object,
    said: str,
    client: TelemetryClient,
    telemetry: Telemetry,
    warnings: Warnings,
) -> None:
    client.start_run("a", "j", run_id="R")
    assert call(client) == returned
    assert said in warnings()[0]
    assert sum(client.get_stats()["failures"].values()) == 1
    assert telemetry("query", "--count").line == "1"
    assert client.log_event("R", "still works")


def test_each_kind_of_failure_is_logged_once_and_counted(
    client: TelemetryClient, warnings: Warnings
) -> None:
    client.start_run("a", "j", run_id="R")
    for _ in range(3):
        client.update_run("R")
        client.end_run("nobody")
    assert len(warnings()) == 2
    assert client.get_stats()["failures"] == {"invalid-input": 3, "not-found": 3}


def test_each_invalid_field_is_logged_once(client: TelemetryClient, warnings: Warnings) -> None:
    client.start_run("a", "j", run_id="R")
    for number in range(2):
        client.associate_commit("R", f"main{number}", "ci")
        client.end_run("")
    assert [
        line.partition(":")[0] + line.partition(": ")[2].partition(":")[0] for line in warnings()
    ] == [
        "telemetrycommit_hash",
        "telemetryrun_id",
    ]
    assert client.get_stats()["failures"] == {"invalid-input": 4}


def test_settings_that_are_wrong_leave_a_client_that_does_nothing(
    warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMETRY_LOCK_TIMEOUT", "soon")
    client = TelemetryClient()
    assert (
        client.start_run("a", "j"),
        client.end_run("x"),
        client.flush(),
        client.associate_commit("x", "abcdef1", "ci")[0],
    ) == ("", False, True, False)
    assert "TELEMETRY_LOCK_TIMEOUT" in warnings()[0]
    assert TelemetryClient(durability="none").start_run("a", "j") == ""  # type: ignore[arg-type]


def test_disabled_is_silent(
    telemetry: Telemetry, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMETRY_DISABLED", "1")
    client = TelemetryClient(telemetry.base)
    run_id = client.start_run("a", "j")
    assert run_id
    assert client.log_event(run_id, "x")
    assert client.end_run(run_id)
    assert client.associate_commit(run_id, "abcdef1", "ci")[0]
    assert (warnings(), telemetry.base.exists()) == ([], False)


def test_stats(client: TelemetryClient, telemetry: Telemetry) -> None:
    assert client.get_stats() == {"recorded": 0, "waiting": 0, "dropped": 0, "failures": {}}
    client.end_run(client.start_run("a", "j"))
    client.start_run("b", "j")
    stats = client.get_stats()
    expected = telemetry("status", "--json").json
    assert {
        name: stats[name]
        for name in ("total_runs", "agents", "recent_24h", "running", "rejected", "schema_version")
    } == {
        name: expected[name]
        for name in ("total_runs", "agents", "recent_24h", "running", "rejected", "schema_version")
    }
    assert stats["recorded"] == 3


def test_a_locked_database_costs_no_more_than_the_deadline(
    client: TelemetryClient, telemetry: Telemetry, warnings: Warnings
) -> None:
    client.start_run("a", "j")
    hasty = TelemetryClient(telemetry.base, timeout=0.2, discover_git=False)
    with held(EXCLUSIVE, telemetry.database):
        begun = datetime.now(UTC)
        run_id = hasty.start_run("a", "j")
        assert datetime.now(UTC) - begun < timedelta(seconds=1)
        assert run_id
        assert hasty.associate_commit(run_id, "abcdef1", "ci")[1].startswith("buffered: ")
        assert "the record is durable and will be applied later" in warnings()[0]
    assert telemetry.run(run_id)["git_commit_hash"] == "abcdef1"


def test_a_process_that_was_stopped_for_a_moment_does_not_take_its_own_record_for_a_backlog(
    client: TelemetryClient, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine may leave it aside for longer than a backlog may take."""
    really = journal.read

    def stopped(*given: Any) -> Iterator[Any]:
        time.sleep(0.2)
        yield from really(*given)

    monkeypatch.setattr(journal, "read", stopped)
    assert client.end_run(client.start_run("a", "j", event_id="E"))
    assert client.get_stats()["failures"] == {}
    monkeypatch.undo()
    assert telemetry.sql("SELECT status FROM agent_runs") == [("success",)]


# What importing it costs


def test_importing_the_package_imports_nothing() -> None:
    code = "import sys, json; before = set(sys.modules); import telemetry_cli; print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["telemetry_cli"]


def test_the_client_imports_nothing_heavy() -> None:
    code = "import sys, json; from telemetry_cli import TelemetryClient; print(json.dumps(sorted(sys.modules)))"
    found = set(
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout
        )
    )
    assert (
        found
        & {
            "typer",
            "pydantic",
            "pydantic_core",
            "rich",
            "git",
            "filelock",
            "asyncio",
            "multiprocessing",
        }
        == set()
    )


def test_public_names() -> None:
    import telemetry_cli

    assert all(hasattr(telemetry_cli, name) for name in telemetry_cli.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = telemetry_cli.nothing


def test_an_id_that_is_a_secret_is_never_stored_nor_logged(
    client: TelemetryClient, telemetry: Telemetry, warnings: Callable[[], list[str]]
) -> None:
    (telemetry.home / ".config" / "telemetry").mkdir(parents=True)
    (telemetry.home / ".config" / "telemetry" / "config.toml").write_text(
        "[redact]\nticket = 'TCK-[0-9]{4,}'\n"
    )
    ruled = TelemetryClient(telemetry.base, discover_git=False)
    for secret in ("ghp_" + "a1B2c3D4e5" * 4, "TCK-12345"):
        for field in ("event_id", "run_id", "parent_run_id"):
            assert ruled.start_run("a", "j", **{field: secret})
        assert ruled.update_run(ruled.start_run("a", "j"), parent=secret)
        other = TelemetryClient(telemetry.base)
        assert not other.end_run(secret)
        assert not other.log_event(secret, "step")
        assert not other.associate_commit(secret, "abcdef1", "ci")[0]
        assert [
            path
            for path in telemetry.base.rglob("*")
            if path.is_file() and secret.encode() in path.read_bytes()
        ] == []
        assert not any(secret in message for message in warnings())
    ruled.close()


# Durations


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Set the wall clock on or back, as often as is wanted; the monotonic one goes on."""
    shift = timedelta()
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + shift)

    def set_by(step: timedelta) -> None:
        nonlocal shift
        shift += step

    return set_by


def span(run: dict[str, Any]) -> int:
    return clock.milliseconds_between(run["start_time"], run["end_time"])


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=30)], ids=["back", "on"])
@pytest.mark.parametrize("kind", ["block", "calls", "coroutine"])
def test_duration_of_a_run_is_right_when_the_clock_is_set(
    kind: str,
    step: timedelta,
    client: TelemetryClient,
    telemetry: Telemetry,
    set_clock: Callable[[timedelta], None],
) -> None:
    async def tracked() -> None:
        async with client.track_run("a", "j", event_id="timed"):
            set_clock(step)

    if kind == "block":
        with client.track_run("a", "j", event_id="timed"):
            set_clock(step)
    elif kind == "calls":
        run_id = client.start_run("a", "j", event_id="timed")
        set_clock(step)
        client.end_run(run_id)
    else:
        asyncio.run(tracked())
    run = telemetry.run("timed")
    assert run["duration_ms"] == span(run) < timedelta(minutes=30) / timedelta(milliseconds=1)


def test_duration_of_a_run_counts_from_a_given_start(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    start = datetime.now(UTC) - timedelta(days=1)
    with client.track_run("a", "j", event_id="given", start_time=start):
        pass
    moved = client.start_run("a", "j", event_id="moved")
    client.update_run(moved, start_time=start)
    client.end_run(moved)
    for event_id in ("given", "moved"):
        run = telemetry.run(event_id)
        assert run["duration_ms"] == span(run) >= timedelta(days=1) / timedelta(milliseconds=1)


def test_duration_of_a_run_that_was_begun_elsewhere_counts_from_its_start(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "known", "--start-time", "2026-01-01T00:00:00Z")
    run_id = client.start_run("a", "j", event_id="known")
    client.end_run(run_id)
    run = telemetry.run("known")
    assert run["duration_ms"] == span(run) > timedelta(days=1) / timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("given", "milliseconds"),
    [
        ({"duration_ms": 7}, 7),
        ({"end_time": "2999-01-01T00:00:00Z", "start_time": "2998-12-31T23:59:59Z"}, 1000),
    ],
)
def test_duration_and_end_that_are_given_count(
    given: dict[str, object], milliseconds: int, client: TelemetryClient, telemetry: Telemetry
) -> None:
    client.end_run(client.start_run("a", "j", event_id="said"), **given)  # type: ignore[arg-type]
    assert telemetry.run("said")["duration_ms"] == milliseconds
