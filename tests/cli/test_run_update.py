"""`telemetry run update`: it sets what is given and nothing else."""

import pytest
from support import Telemetry

#: Option → (value, column, what is stored): start's and end's fields but the two ids.
FIELDS = {
    "agent-name": ("other", "agent_name", "other"),
    "job-type": ("other job", "job_type", "other job"),
    "status": ("Completed", "status", "success"),
    "start-time": ("2026-03-01T10:00:00+02:00", "start_time", "2026-03-01T08:00:00.000Z"),
    "end-time": ("2026-03-02T00:00:00Z", "end_time", "2026-03-02T00:00:00.000Z"),
    "duration-ms": ("12", "duration_ms", 12),
    "items-discovered": ("4", "items_discovered", 4),
    "items-succeeded": ("1", "items_succeeded", 1),
    "items-failed": ("2", "items_failed", 2),
    "items-skipped": ("3", "items_skipped", 3),
    "git-repo": ("https://u:p@github.com/a/b", "git_repo", "https://github.com/a/b"),
    "git-branch": ("topic", "git_branch", "topic"),
    "git-run-tag": ("b/topic", "git_run_tag", "b/topic"),
    "parent": ("some-parent", "parent_run_id", "some-parent"),
    "metrics": ('{"a": 1}', "metrics_json", {"a": 1}),
    "context": ('{"b": 2}', "context_json", {"b": 2}),
    "output-summary": ("out", "output_summary", "out"),
    "error-summary": ("err", "error_summary", "err"),
    "error-details": ("det", "error_details", "det"),
} | {
    option: (f"new {option}", option.replace("-", "_"), f"new {option}")
    for option in (
        "product", "product-family", "platform", "subdomain", "website", "website-section", "item-name", "environment", "host", "trigger-type",
        "insight-id", "source-ref", "target-ref", "input-summary", "agent-owner",
    )
}  # fmt: skip
#: What follows from a field and is no column of its own.
DERIVED = {"commit_url", "repo_url"}
#: What follows from a field and is a column: option → column.
SET_TOO = {"end-time": "duration_ms"}


def changes(before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    return {
        name: after[name] for name in after if after[name] != before[name] and name not in DERIVED
    }


@pytest.mark.parametrize("option", FIELDS)
def test_one_field_and_nothing_else(known: Telemetry, option: str) -> None:
    value, column, stored = FIELDS[option]
    before = known.run("known-run")
    updated = known("run", "update", "known-run", f"--{option}", value, "-o", "json")
    after = known.run("known-run")
    columns = [column, *filter(None, [SET_TOO.get(option)])]
    assert changes(before, after) == {
        **{name: after[name] for name in columns},
        column: stored,
        "updated_at": after["updated_at"],
    }
    assert updated.json == {
        "status": "updated",
        "event_id": "known-run",
        "run_id": "the known one",
        "fields_updated": columns,
    }
    assert str(after["updated_at"]) > str(before["updated_at"])


def test_all_fields_at_once(known: Telemetry) -> None:
    updated = known(
        "run",
        "update",
        "known-run",
        *(word for option, (value, _, _) in FIELDS.items() for word in (f"--{option}", value)),
        "--json",
    )
    run = known.run("known-run")
    assert {column: run[column] for _, column, _ in FIELDS.values()} == {
        column: stored for _, column, stored in FIELDS.values()
    }
    assert sorted(updated.json["fields_updated"]) == sorted(
        column for _, column, _ in FIELDS.values()
    )


def test_the_same_value_again_is_unchanged(known: Telemetry) -> None:
    known("run", "update", "known-run", "--product", "p", "-m", "a=1")
    before = known.run("known-run")
    again = known("run", "update", "known-run", "--product", "p", "-m", "a=1", "-o", "json")
    assert again.json == {
        "status": "unchanged",
        "event_id": "known-run",
        "run_id": "the known one",
        "fields_updated": [],
    }
    assert known.run("known-run") == before


def test_only_the_fields_that_changed_are_named(known: Telemetry) -> None:
    known("run", "update", "known-run", "--product", "p")
    assert known("run", "update", "known-run", "--product", "p", "--platform", "q", "--json").json[
        "fields_updated"
    ] == ["platform"]


def test_nothing_to_update(shared: Telemetry) -> None:
    before = shared.files()
    refused = shared("run", "update", "known-run", code=2)
    assert "nothing to update" in refused.err
    assert shared.files() == before


@pytest.mark.parametrize("option", ["--event-id", "--run-id", "--force", "--no-git"])
def test_what_cannot_be_updated(shared: Telemetry, option: str) -> None:
    before = shared.files()
    assert option in shared("run", "update", "known-run", option, "x", "--product", "p", code=2).err
    assert shared.files() == before


def test_an_empty_text_clears_a_field(known: Telemetry) -> None:
    known("run", "update", "known-run", "--product", "p")
    updated = known("run", "update", "known-run", "--product", "", "--json")
    assert (updated.json["fields_updated"], known.run("known-run")["product"]) == (
        ["product"],
        None,
    )


def test_merges_metrics_and_context(telemetry: Telemetry) -> None:
    telemetry.start(
        "--event-id", "E1", "--metrics", '{"a": {"x": 1}, "b": 1}', "--context", '{"c": 1}'
    )
    telemetry(
        "run", "update", "E1", "-m", "b=2", "--metrics", '{"a": {}}', "--context", '{"d": [1]}'
    )
    run = telemetry.run("E1")
    assert (run["metrics_json"], run["context_json"]) == ({"a": {}, "b": 2}, {"c": 1, "d": [1]})


@pytest.mark.parametrize(
    "options",
    [
        ("--start-time", "2026-03-02T00:00:00Z"),
        ("--end-time", "2026-03-01T11:00:00Z"),
        ("--start-time", "2026-03-05T00:00:00Z", "--end-time", "2026-03-04T00:00:00Z"),
    ],
)
def test_an_end_before_the_start_is_refused(known: Telemetry, options: tuple[str, ...]) -> None:
    known("run", "end", "known-run", "--end-time", "2026-03-01T13:00:00Z")
    before = known.run("known-run")
    known("run", "update", "known-run", "--product", "p", *options, code=2)
    assert known.run("known-run") == before


def test_an_ended_run_can_be_updated(known: Telemetry) -> None:
    known("run", "end", "known-run", "--end-time", "2026-03-01T13:00:00Z")
    before = known.run("known-run")
    known("run", "update", "known-run", "--output-summary", "late")
    after = known.run("known-run")
    assert changes(before, after) == {"output_summary": "late", "updated_at": after["updated_at"]}


def test_unknown_run(known: Telemetry) -> None:
    assert "Run not found: nope" in known("run", "update", "nope", "--product", "p", code=3).err


def test_a_parent_that_is_the_run_itself_is_refused(known: Telemetry) -> None:
    before = known.run("known-run")
    assert "--parent" in known("run", "update", "known-run", "--parent", "known-run", code=2).err
    assert known.run("known-run") == before


def test_the_current_run_is_the_default(known: Telemetry) -> None:
    known("run", "update", "--product", "p", env={"TELEMETRY_EVENT_ID": "known-run"})
    assert known.run("known-run")["product"] == "p"


@pytest.mark.parametrize(
    ("options", "milliseconds"),
    [
        (("--end-time", "2026-03-01T08:00:02.500Z"), 2500),
        (("--end-time", "2026-03-01T08:00:02.500Z", "--start-time", "2026-03-01T08:00:01Z"), 1500),
        (("--end-time", "2026-03-01T08:00:02.500Z", "--duration-ms", "7"), 7),
        (("--start-time", "2026-03-01T07:00:00Z"), 0),
    ],
)
def test_update_of_end_time_sets_duration_unless_given(
    telemetry: Telemetry, options: tuple[str, ...], milliseconds: int
) -> None:
    telemetry.start("--event-id", "timed", "--start-time", "2026-03-01T08:00:00Z")
    telemetry("run", "update", "timed", *options)
    assert telemetry.run("timed")["duration_ms"] == milliseconds


def test_start_time_of_a_finished_run_sets_its_duration(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "timed", "--start-time", "2026-03-01T00:00:00Z")
    telemetry("run", "end", "timed", "--end-time", "2026-03-01T00:00:10Z")
    telemetry("run", "update", "timed", "--start-time", "2026-03-01T00:00:05Z")
    assert telemetry.run("timed")["duration_ms"] == 5000
