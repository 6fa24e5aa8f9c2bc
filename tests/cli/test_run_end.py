"""`telemetry run end`: what it sets by itself, what it is told to set, and that a run ends once."""

from datetime import datetime, timedelta

import pytest
from support import Telemetry

START = "2026-03-01T12:00:00.000Z"


def test_defaults(known: Telemetry) -> None:
    ended = known("run", "end", "known-run", "-o", "json")
    run = known.run("known-run")
    elapsed = datetime.fromisoformat(run["end_time"]) - datetime.fromisoformat(START)
    assert (run["status"], run["duration_ms"], run["updated_at"]) == (
        "success",
        elapsed / timedelta(milliseconds=1),
        run["end_time"],
    )
    assert sorted(ended.json.pop("fields_updated")) == ["duration_ms", "end_time", "status"]
    assert {**ended.json, "fields_updated": None} == {
        "status": "updated",
        "event_id": "known-run",
        "run_id": "the known one",
        "fields_updated": None,
    }


def test_prints_one_line(known: Telemetry) -> None:
    ended = known("run", "end", "known-run")
    assert "known-run" in ended.line
    assert (ended.out.count("\n"), ended.err) == (1, "")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--status", "partial"), "partial"),
        (("--status", "FAILED"), "failure"),
        (("--status=canceled",), "cancelled"),
        (("--exit-code", "0"), "success"),
        (("--exit-code", "1"), "failure"),
        (("--exit-code=255",), "failure"),
        (("--exit-code", "137"), "failure"),
    ],
)
def test_status(known: Telemetry, options: tuple[str, ...], status: str) -> None:
    known("run", "end", "known-run", *options)
    assert known.run("known-run")["status"] == status


def test_times_that_are_given(known: Telemetry) -> None:
    known("run", "end", "known-run", "--end-time", "2026-03-01T14:00:01.5+02:00")
    run = known.run("known-run")
    assert (run["end_time"], run["duration_ms"]) == ("2026-03-01T12:00:01.500Z", 1500)


def test_duration_that_is_given(known: Telemetry) -> None:
    known("run", "end", "known-run", "--duration-ms", "7")
    assert known.run("known-run")["duration_ms"] == 7


def test_an_end_at_the_start_is_accepted(known: Telemetry) -> None:
    known("run", "end", "known-run", "--end-time", START)
    assert known.run("known-run")["duration_ms"] == 0


def test_an_end_before_the_start_is_refused(known: Telemetry) -> None:
    before = known.run("known-run")
    refused = known(
        "run",
        "end",
        "known-run",
        "--end-time",
        "2026-03-01T11:59:59Z",
        "--items-failed",
        "3",
        code=2,
    )
    assert "--end-time" in refused.err
    assert refused.out == ""
    assert known.run("known-run") == before


def test_a_default_end_is_never_before_the_start(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "future", "--start-time", "2999-01-01T00:00:00Z")
    telemetry("run", "end", "future")
    run = telemetry.run("future")
    assert (run["end_time"], run["duration_ms"]) == (run["start_time"], 0)


def test_fields(known: Telemetry) -> None:
    known(
        "run", "end", "known-run", "--items-discovered", "4", "--items-succeeded", "3", "--items-failed", "1", "--items-skipped", "0",
        "--output-summary", "öut", "--error-summary", "one failed", "--error-details", "line\nline",
    )  # fmt: skip
    run = known.run("known-run")
    assert [run[f"items_{what}"] for what in ("discovered", "succeeded", "failed", "skipped")] == [
        4,
        3,
        1,
        0,
    ]
    assert [run[name] for name in ("output_summary", "error_summary", "error_details")] == [
        "öut",
        "one failed",
        "line\nline",
    ]


def test_long_error_details_lose_their_middle(known: Telemetry) -> None:
    known(
        "run", "end", "known-run", "--error-details", "first" + "ä" * 40_000 + "m" * 20_000 + "last"
    )
    kept = known.run("known-run")["error_details"]
    assert 60_000 < len(kept.encode()) <= 65_536
    assert kept.startswith("firstä") and kept.endswith("mlast")
    assert "cut" in kept


@pytest.mark.parametrize("command", ["end", "update"])
def test_a_secret_that_the_cut_in_the_middle_goes_through_does_not_show(
    command: str, known: Telemetry
) -> None:
    """Wherever the cut falls; what the middle loses, it loses of the clean text."""
    details = "".join(f"{number:05d} ghp_{'a1' * 18}\n" for number in range(1700))
    ending = ("--status", "failure") if command == "end" else ()
    known("run", command, "known-run", *ending, "--error-details", details)
    kept = str(known.run("known-run")["error_details"])
    assert "a1a1" not in kept
    assert kept.startswith("00000 [redacted]\n")
    assert kept.endswith("01699 [redacted]\n")


def test_error_details_of_64_kib_are_kept_whole(known: Telemetry) -> None:
    known("run", "end", "known-run", "--error-details", "x" * 65_536)
    assert known.run("known-run")["error_details"] == "x" * 65_536


def test_metrics_merge_key_by_key(telemetry: Telemetry) -> None:
    telemetry.start(
        "--event-id", "E1", "--metrics", '{"a": {"x": 1}, "b": 1}', "--context", '{"c": 1}'
    )
    telemetry(
        "run", "end", "E1", "--metrics", '{"a": {"y": 2}}', "-m", "d=4", "--context", '{"e": null}'
    )
    run = telemetry.run("E1")
    assert (run["metrics_json"], run["context_json"]) == (
        {"a": {"y": 2}, "b": 1, "d": 4},
        {"c": 1, "e": None},
    )


def test_ending_again_changes_nothing(known: Telemetry) -> None:
    known("run", "end", "known-run", "--status", "partial")
    before = known.run("known-run")
    again = known("run", "end", "known-run", "--status", "failure", "-m", "a=1", "-o", "json")
    assert again.json == {
        "status": "unchanged",
        "event_id": "known-run",
        "run_id": "the known one",
        "fields_updated": [],
    }
    assert "already ended" in again.err
    assert known.run("known-run") == before


def test_force_ends_again(known: Telemetry) -> None:
    known("run", "end", "known-run", "--end-time", "2026-03-01T12:00:01Z")
    forced = known(
        "run",
        "end",
        "known-run",
        "--status",
        "failure",
        "--end-time",
        "2026-03-01T12:00:02Z",
        "--force",
        "--json",
    )
    run = known.run("known-run")
    assert forced.json["status"] == "updated"
    assert (run["status"], run["end_time"], run["duration_ms"]) == (
        "failure",
        "2026-03-01T12:00:02.000Z",
        2000,
    )


def test_unknown_run(known: Telemetry) -> None:
    refused = known("run", "end", "no-such-run", code=3)
    assert "Run not found: no-such-run" in refused.err
    assert refused.out == ""
    assert known.sql("SELECT count(*) FROM agent_runs") == [(1,)]


def test_the_current_run_is_the_default(known: Telemetry) -> None:
    known("run", "end", env={"TELEMETRY_EVENT_ID": "known-run"})
    assert known.run("known-run")["status"] == "success"


def test_an_ended_run_is_not_the_next_ones_business(telemetry: Telemetry) -> None:
    first, second = telemetry.start(), telemetry.start()
    telemetry("run", "end", first)
    assert (telemetry.run(first)["status"], telemetry.run(second)["status"]) == (
        "success",
        "running",
    )
