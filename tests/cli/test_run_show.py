"""`telemetry run show`: one run with its events, commits and children."""

import pytest
from support import Telemetry

#: The columns of the data model, as other programs know them.
COLUMNS = [
    "id", "event_id", "run_id", "schema_version", "op_id", "created_at", "updated_at", "start_time", "end_time", "agent_name", "job_type",
    "agent_owner", "product", "product_family", "platform", "subdomain", "website", "website_section", "item_name", "host", "environment",
    "trigger_type", "insight_id", "source_ref", "target_ref", "input_summary", "output_summary", "error_summary", "error_details", "status",
    "items_discovered", "items_succeeded", "items_failed", "items_skipped", "duration_ms", "git_repo", "git_branch", "git_run_tag", "git_dir",
    "git_commit_hash", "git_commit_source", "git_commit_author", "git_commit_timestamp", "metrics_json", "context_json", "parent_run_id", "pid",
    "process_started", "boot_id", "api_posted", "api_posted_at", "api_retry_count", "commit_url", "repo_url",
]  # fmt: skip
SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def rich(known: Telemetry) -> Telemetry:
    """A run with an event, a commit and a child."""
    known(
        "run", "update", "known-run", "--git-repo", "git@github.com:acme/tool.git", "-m", "tokens=5"
    )
    known("run", "event", "step", "--run", "known-run", "-m", "n=1")
    known(
        "associate-commit",
        "known-run",
        "--commit",
        SHA,
        "--no-git",
        "--source",
        "ci",
        "--author",
        "Ada",
        "--timestamp",
        "2026-01-01T00:00:00Z",
    )
    known.start("--event-id", "child", "--parent", "known-run", "--job-type", "subtask")
    return known


def test_json_has_every_column(rich: Telemetry) -> None:
    run = rich.run("known-run")
    assert [name for name in COLUMNS if name not in run] == []
    assert run["metrics_json"] == {"tokens": 5}
    commit = {
        "git_commit_hash": SHA,
        "git_commit_source": "ci",
        "git_commit_author": "Ada",
        "git_commit_timestamp": "2026-01-01T00:00:00.000Z",
    }
    assert {name: run[name] for name in commit} == commit
    assert (run["repo_url"], run["commit_url"]) == (
        "https://github.com/acme/tool",
        f"https://github.com/acme/tool/commit/{SHA}",
    )


def test_json_has_events_commits_and_children(rich: Telemetry) -> None:
    run = rich.run("known-run")
    assert [(event["event_type"], event["payload_json"]) for event in run["events"]] == [
        ("step", {"n": 1})
    ]
    assert [(commit["commit_hash"], commit["role"]) for commit in run["commits"]] == [
        (SHA, "produced")
    ]
    assert [
        (child["event_id"], child["job_type"], child["status"]) for child in run["children"]
    ] == [("child", "subtask", "running")]


def test_table_shows_it_all(rich: Telemetry) -> None:
    shown = rich("run", "show", "known-run").out
    words = (
        "known-run",
        "the known one",
        "2026-03-01T12:00:00.000Z",
        "running",
        "git@github.com:acme/tool.git",
        SHA,
        "step",
        "child",
        "tokens",
    )
    assert [word for word in words if word not in shown] == []


def test_the_current_run_is_the_default(rich: Telemetry) -> None:
    assert (
        rich("run", "show", "-o", "json", env={"TELEMETRY_EVENT_ID": "child"}).json["parent_run_id"]
        == "known-run"
    )


@pytest.mark.parametrize("output", ["table", "json"])
def test_unknown_run(shared: Telemetry, output: str) -> None:
    refused = shared("run", "show", "nope", "-o", output, code=3)
    assert ("Run not found: nope" in refused.err, refused.out) == (True, "")


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "show", "x"),
        ("run", "events", "x"),
        ("run", "show", "@last"),
        ("commit-url", "x"),
        ("commits", "x"),
    ],
)
def test_reading_an_empty_base_creates_nothing(telemetry: Telemetry, argv: tuple[str, ...]) -> None:
    assert "Run not found" in telemetry(*argv, code=3).err
    assert not telemetry.base.exists()


@pytest.mark.parametrize("output", ["jsonl", "csv", "ids", "text", "env"])
def test_formats_it_does_not_have(shared: Telemetry, output: str) -> None:
    assert "--output" in shared("run", "show", "known-run", "-o", output, code=2).err


def test_a_long_value_is_shown_whole(known: Telemetry) -> None:
    known("run", "update", "known-run", "--error-details", "word " * 200 + "END")
    shown = known("run", "show", "known-run").out
    assert (shown.count("word"), shown.count("END")) == (200, 1)


def test_of_many_events_the_card_shows_the_last(telemetry: Telemetry) -> None:
    event_id = telemetry.start("--no-git")
    for number in range(25):
        telemetry("run", "event", f"step{number:02}", "--run", event_id)
    card = telemetry("run", "show", event_id).out
    assert [f"step{number:02}" in card for number in range(25)] == [False] * 5 + [True] * 20
    assert "telemetry run events" in card
    assert len(telemetry("run", "show", event_id, "-o", "json").json["events"]) == 25


def test_the_card_begins_with_what_is_asked_first(rich: Telemetry) -> None:
    names = [line.split()[0] for line in rich("run", "show", "@last").out.splitlines()[:5]]
    assert names == ["event_id", "run_id", "agent_name", "job_type", "status"]


def test_text_shows_nothing_internal(telemetry: Telemetry) -> None:
    run = telemetry.start()
    shown = telemetry("run", "show", run).out
    assert not {"boot_id", "op_id", "schema_version"} & {
        line.partition(" ")[0] for line in shown.splitlines()
    }
