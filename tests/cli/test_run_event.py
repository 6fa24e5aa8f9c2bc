"""`telemetry run event` and `telemetry run events`: what happened during a run, oldest first."""

import csv
import io
import json

import pytest
from support import Telemetry

ADD = ("run", "event", "--run", "known-run")


def events(telemetry: Telemetry, *options: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = telemetry(
        "run", "events", "known-run", *options, "-o", "json"
    ).json
    return found


def test_an_event_with_everything(known: Telemetry) -> None:
    known(
        *ADD, "step done", "--payload", '{"n": 1, "ä": [null]}', "-m", "n=2", "-m", "text=x", "--timestamp", "2026-03-01T13:00:00+01:00",
        "--trace-id", "t" * 32, "--span-id", "s1", "--parent-span-id", "s0",
    )  # fmt: skip
    (event,) = events(known)
    expected = {
        "event_id": "known-run",
        "run_id": "the known one",
        "event_type": "step done",
        "timestamp": "2026-03-01T12:00:00.000Z",
        "payload_json": {"n": 2, "ä": [None], "text": "x"},
        "trace_id": "t" * 32,
        "span_id": "s1",
        "parent_span_id": "s0",
    }
    assert {name: event[name] for name in expected} == expected


def test_an_event_with_nothing(known: Telemetry) -> None:
    known(*ADD, "tick")
    (event,) = events(known)
    assert [event[name] for name in ("payload_json", "trace_id", "span_id", "parent_span_id")] == [
        None
    ] * 4
    assert str(event["timestamp"]) >= known.run("known-run")["created_at"]


def test_json_of_the_write(known: Telemetry) -> None:
    written = known(*ADD, "tick", "-o", "json").json
    assert (written["event_id"], written["run_id"]) == ("known-run", "the known one")


def test_prints_one_line(known: Telemetry) -> None:
    written = known(*ADD, "tick")
    assert (written.out.count("\n"), written.err) == (1, "")


@pytest.mark.parametrize(
    "payload",
    ["[1, 2]", '"text"', "5", "2.5", "true", "false", "{}", "[]", str(2**63 - 1), str(-(2**63))],
)
def test_a_payload_may_be_any_json(known: Telemetry, payload: str) -> None:
    known(*ADD, "tick", "--payload", payload)
    assert [event["payload_json"] for event in events(known)] == [json.loads(payload)]


def test_a_payload_from_stdin(known: Telemetry) -> None:
    known(*ADD, "tick", "--payload", "-", stdin='{"a": 1}')
    assert [event["payload_json"] for event in events(known)] == [{"a": 1}]


def test_pairs_without_a_payload(known: Telemetry) -> None:
    known(*ADD, "tick", "-m", "a=1", "-m", "b=x y")
    assert [event["payload_json"] for event in events(known)] == [{"a": 1, "b": "x y"}]


def test_pairs_need_an_object(shared: Telemetry) -> None:
    before = shared.files()
    assert "-m" in shared(*ADD, "tick", "--payload", "[1]", "-m", "a=1", code=2).err
    assert shared.files() == before


def test_the_same_event_twice_is_two_events(known: Telemetry) -> None:
    known(*ADD, "tick")
    known(*ADD, "tick")
    assert [event["event_type"] for event in events(known)] == ["tick", "tick"]


def test_an_event_leaves_the_run_as_it_was(known: Telemetry) -> None:
    before = known.run("known-run")
    known(*ADD, "tick")
    after = known.run("known-run")
    assert {**after, "events": []} == {**before, "events": []}


def test_the_current_run_is_the_default(known: Telemetry) -> None:
    known("run", "event", "tick", env={"TELEMETRY_EVENT_ID": "known-run"})
    assert [
        event["event_type"]
        for event in known("run", "events", "--json", env={"TELEMETRY_EVENT_ID": "known-run"}).json
    ] == ["tick"]


def test_an_event_of_an_unknown_run(known: Telemetry) -> None:
    refused = known("run", "event", "tick", "--run", "nope", code=3)
    assert "Run not found: nope" in refused.err
    assert known.sql("SELECT count(*) FROM run_events") == [(0,)]


# Lists


@pytest.fixture
def busy(known: Telemetry) -> Telemetry:
    """Three events, written in an order that is not that of their times."""
    for minute, kind in ((2, "b"), (1, "a"), (1, "b")):
        known(*ADD, kind, "--timestamp", f"2026-03-01T12:0{minute}:00Z", "-m", f"at={minute}")
    return known


def test_events_are_listed_oldest_first(busy: Telemetry) -> None:
    assert [
        (event["event_type"], event["timestamp"][14:16])
        for event in busy("run", "events", "known-run", "--json").json
    ] == [
        ("a", "01"),
        ("b", "01"),
        ("b", "02"),
    ]


def test_events_of_a_type(busy: Telemetry) -> None:
    assert [event["payload_json"] for event in events(busy, "--type", "b")] == [
        {"at": 1},
        {"at": 2},
    ]
    assert events(busy, "--type", "none") == []


def test_formats_agree(busy: Telemetry) -> None:
    expected = events(busy)
    lines = busy("run", "events", "known-run", "-o", "jsonl").out.splitlines()
    rows = list(csv.DictReader(io.StringIO(busy("run", "events", "known-run", "-o", "csv").out)))
    assert [json.loads(line) for line in lines] == expected
    assert [row["timestamp"] for row in rows] == [event["timestamp"] for event in expected]
    assert [json.loads(row["payload_json"]) for row in rows] == [
        event["payload_json"] for event in expected
    ]


def test_table(busy: Telemetry) -> None:
    table = busy("run", "events", "known-run", "--absolute")
    assert [line.split()[:2] for line in table.out.splitlines() if "2026-" in line] == [
        ["2026-03-01T12:01:00.000Z", "a"],
        ["2026-03-01T12:01:00.000Z", "b"],
        ["2026-03-01T12:02:00.000Z", "b"],
    ]


def test_no_events(shared: Telemetry) -> None:
    assert shared("run", "events", "known-run", "-o", "json").json == []
    assert shared("run", "events", "known-run", "-o", "jsonl").out == ""
    assert len(shared("run", "events", "known-run", "-o", "csv").out.splitlines()) == 1


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv"])
def test_events_of_an_unknown_run(shared: Telemetry, output: str) -> None:
    refused = shared("run", "events", "nope", "-o", output, code=3)
    assert ("Run not found: nope" in refused.err, refused.out) == (True, "")


def test_many_events(known: Telemetry) -> None:
    for number in range(1203):
        # Times that repeat, across the borders of any page.
        known.append(
            "run.event",
            "2026-03-01T12:00:00.000Z",
            event_type="e",
            run="known-run",
            payload=number,
            timestamp=f"2026-03-01T12:00:0{number % 3}.000Z",
        )
    expected = [number for second in range(3) for number in range(1203) if number % 3 == second]
    assert [event["payload_json"] for event in events(known)] == expected
