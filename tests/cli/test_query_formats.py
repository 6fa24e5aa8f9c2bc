"""`telemetry query`: table, json, jsonl, csv and ids; `--columns`; an empty base."""

import csv
import io
import json
from typing import Any

import pytest
from support import Telemetry


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """Two runs, the older one ended, with metrics. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("two"))
    program.start(
        "--event-id",
        "older-run",
        "--no-git",
        "--metrics",
        '{"b": [1], "a": "x, \\"y\\""}',
        "--input-summary",
        "line one\nline two, with comma",
    )
    program("run", "end", "older-run", "--duration-ms", "4200")
    program.start(
        "--event-id", "newer-run", "--no-git", "--agent-name", "other", "--product", "ä 😀"
    )
    return program


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_json_is_one_array_of_whole_runs(two: Telemetry) -> None:
    found = two("query", "-o", "json").json
    shown = [two.run(event_id) for event_id in ("newer-run", "older-run")]
    assert found == [
        {
            name: value
            for name, value in run.items()
            if name not in ("events", "commits", "children", "features")
        }
        for run in shown
    ]


@pytest.mark.parametrize("asked", ["--json", "-ojson"])
def test_json_for_short(two: Telemetry, asked: str) -> None:
    assert two("query", asked).json == two("query", "-o", "json").json


def test_jsonl_is_one_run_per_line(two: Telemetry) -> None:
    lines = two("query", "-o", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == two("query", "-o", "json").json


def test_csv_has_the_same_columns_and_values(two: Telemetry) -> None:
    found = two("query", "-o", "json").json
    read = rows(two("query", "-o", "csv").out)
    assert [list(row) for row in read] == [list(run) for run in found]
    for row, run in zip(read, found, strict=True):
        texts = {
            name: ""
            if value is None
            else json.dumps(value)
            if isinstance(value, dict)
            else str(value)
            for name, value in run.items()
        }
        assert {**row, "metrics_json": json.loads(row["metrics_json"])} == {
            **texts,
            "metrics_json": run["metrics_json"],
        }


def test_ids(two: Telemetry) -> None:
    assert two("query", "-o", "ids").out == "newer-run\nolder-run\n"


def test_table(two: Telemetry) -> None:
    table = two("query").out
    lines = [line.split() for line in table.splitlines() if line.strip()]
    assert [line[1:4] for line in lines[-2:]] == [
        ["other", "job", "running"],
        ["tester", "job", "success"],
    ]
    assert "ago" in table
    assert "Z" not in table


def test_table_with_absolute_times(two: Telemetry) -> None:
    assert [
        run["start_time"] in two("query", "--absolute").out for run in two("query", "--json").json
    ] == [True, True]


def test_the_shown_id_can_be_used(two: Telemetry) -> None:
    shown = [line.split()[0] for line in two("query").out.splitlines() if "tester" in line]
    assert [two.run(event_id)["event_id"] for event_id in shown] == ["older-run"]


def test_columns(two: Telemetry) -> None:
    asked = ("query", "--columns", "status, event_id,metrics_json")
    expected = [
        {"status": "running", "event_id": "newer-run", "metrics_json": {}},
        {"status": "success", "event_id": "older-run", "metrics_json": {"a": 'x, "y"', "b": [1]}},
    ]
    assert two(*asked, "-o", "json").json == expected
    assert [list(run) for run in two(*asked, "-o", "json").json] == [
        ["status", "event_id", "metrics_json"]
    ] * 2
    assert [json.loads(line) for line in two(*asked, "-o", "jsonl").out.splitlines()] == expected
    assert two(*asked, "-o", "csv").out.splitlines()[:2] == [
        "status,event_id,metrics_json",
        "running,newer-run,{}",
    ]
    assert [line.split() for line in two(*asked).out.splitlines() if "event_id" in line] == [
        ["status", "event_id", "metrics_json"]
    ]


def test_ids_with_columns_that_leave_it_out(two: Telemetry) -> None:
    assert two("query", "--columns", "status", "-o", "ids").out == "newer-run\nolder-run\n"


def test_columns_that_are_no_columns_of_the_table(two: Telemetry) -> None:
    assert (
        two("query", "--columns", "commit_url,repo_url", "-o", "json").json
        == [{"commit_url": None, "repo_url": None}] * 2
    )


@pytest.mark.parametrize(("output", "expected"), [("json", "[]\n"), ("jsonl", ""), ("ids", "")])
def test_nothing_found(two: Telemetry, output: str, expected: str) -> None:
    assert two("query", "--agent-name", "none", "-o", output).out == expected


def test_csv_of_nothing_has_its_heading(two: Telemetry) -> None:
    assert two(
        "query", "--agent-name", "none", "--columns", "id,status", "-o", "csv"
    ).out.splitlines() == ["id,status"]


@pytest.mark.parametrize(
    ("output", "expected"),
    [("table", None), ("json", "[]\n"), ("jsonl", ""), ("csv", None), ("ids", "")],
)
def test_an_empty_base_answers_and_creates_nothing(
    telemetry: Telemetry, output: str, expected: str | None
) -> None:
    answered = telemetry("query", "-o", output)
    assert expected is None or answered.out == expected
    assert answered.err == ""
    assert not telemetry.base.exists()


def test_an_empty_base_counts_nothing(telemetry: Telemetry) -> None:
    assert telemetry("query", "--count", "-o", "json").json == {"count": 0}
    assert telemetry("query", "--count", "--parent", "x").line == "0"
    assert not telemetry.base.exists()
