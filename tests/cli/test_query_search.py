"""`--search`: words in names, summaries and errors, found through an index that follows every change."""

import pytest
from support import Telemetry


@pytest.fixture
def searched(telemetry: Telemetry) -> Telemetry:
    telemetry.start("--event-id", "copy", "--input-summary", "Copy the großen files")
    telemetry.start("--event-id", "sync", "--agent-name", "sync-bot", "--product", "Kiosk")
    telemetry(
        "run",
        "end",
        "sync",
        "--status",
        "failure",
        "--error-summary",
        "Timeout: cannot reach host-7",
        "--error-details",
        "at connect()\n日本",
    )
    return telemetry


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("copy", ["copy"]),
        ("COPY files", ["copy"]),
        ("cop fil", ["copy"]),
        ("opy", []),
        ("großen", ["copy"]),
        ("timeout host", ["sync"]),
        ("host-7", ["sync"]),
        ("connect", ["sync"]),
        ("日本", ["sync"]),
        ("kiosk sync", ["sync"]),
        ("copy timeout", []),
        ("job", ["sync", "copy"]),
        ("copy AND files", []),
        ('"copy" OR (NEAR', []),
        ("input_summary:copy", []),
        ("copy*", ["copy"]),
        ("'; drop table agent_runs; --", []),
    ],
)
def test_every_word_or_its_beginning_is_found(
    searched: Telemetry, text: str, found: list[str]
) -> None:
    assert searched("query", "--search", text, "-o", "ids").line.split() == found


def test_what_changed_is_found_by_its_new_words_only(searched: Telemetry) -> None:
    searched("run", "update", "copy", "--input-summary", "Move them", "--output-summary", "")
    assert searched("query", "--search", "copy", "-o", "ids").line == ""
    assert searched("query", "--search", "move", "-o", "ids").line == "copy"
    searched("run", "end", "copy", "--output-summary", "42 moved")
    assert searched("query", "--search", "moved 42", "-o", "ids").line == "copy"


def test_it_goes_with_every_other_filter(searched: Telemetry) -> None:
    assert (
        searched(
            "query",
            "--search",
            "job",
            "--status",
            "failure",
            "--where",
            "duration_ms >= 0",
            "-o",
            "ids",
        ).line
        == "sync"
    )
    assert searched("query", "--search", "job", "--count").line == "2"
    assert searched(
        "query", "--search", "job", "--limit", "0", "--sort", "event_id", "-o", "ids"
    ).line.split() == ["sync", "copy"]
    assert [row["runs"] for row in searched("stats", "--search", "copy", "--json").json] == [1]


@pytest.mark.parametrize("text", ["", " ", '"', "-*()", "\x1b"])
def test_without_a_word_it_is_refused(searched: Telemetry, text: str) -> None:
    assert "--search" in searched("query", "--search", text, code=2).err


def test_the_index_comes_back_with_the_database(searched: Telemetry) -> None:
    searched.database.unlink()
    assert searched("query", "--search", "timeout", "-o", "ids").line == "sync"
    searched("db", "rebuild")
    assert searched("query", "--search", "timeout", "-o", "ids").line == "sync"
    assert searched.sql("SELECT count(*) FROM runs_search WHERE runs_search MATCH 'copy'") == [(1,)]
