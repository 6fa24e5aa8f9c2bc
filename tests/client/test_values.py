"""Values of the host program: what has an obvious form is converted, the rest is kept as text, and no record is lost for it."""

import enum
import ipaddress
import json
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Telemetry

from telemetry_cli import TelemetryClient
from telemetry_cli.client.values import Unstorable, document
from telemetry_cli.core import values as rules

Warnings = Callable[[], list[str]]


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: int
    at: Path


class Array:
    """What numpy and torch have in common."""

    def __init__(self, items: Any, kind: str = "f", unit: str = "") -> None:
        self._items = items
        self.dtype = type("dtype", (), {"kind": kind, "__str__": lambda _: unit})()

    def astype(self, unit: str) -> "Array":
        return Array(self._items, self.dtype.kind, unit)

    def tolist(self) -> Any:
        # In nanoseconds numpy gives plain integers.
        return 1 if self.dtype.kind == "M" and str(self.dtype) != "datetime64[us]" else self._items


class Whole:
    def __index__(self) -> int:
        return 7


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


CIRCULAR: dict[str, Any] = {"a": 1}
CIRCULAR["self"] = [CIRCULAR]
DEEP: Any = "bottom"
for _ in range(3000):
    DEEP = [DEEP]

CONVERTED = [
    (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
    (datetime(2026, 1, 31, 12), "2026-01-31T12:00:00"),
    (date(2026, 1, 31), "2026-01-31"),
    (timedelta(seconds=1.5), 1.5),
    (Decimal("0.10"), 0.1),
    (Decimal(12), 12),
    (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
    (Fraction(1, 4), 0.25),
    (Path("a/b"), "a/b"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    ({3, 20, 1}, [1, 3, 20]),
    (frozenset({"b", 1}), [1, "b"]),
    ((1, (2,)), [1, [2]]),
    (deque([1]), [1]),
    (range(3), [0, 1, 2]),
    ({"a": 1, "b": 2}.values(), [1, 2]),
    (OrderedDict(b=1), {"b": 1}),
    (b"caf\xc3\xa9", "café"),
    (b"\xff", "\\xff"),
    ("\ud800", "\\ud800"),
    (Point(1, Path("p")), {"x": 1, "at": "p"}),
    (Whole(), 7),
    (Array([0.5, [0.25]]), [0.5, [0.25]]),
    (Array(True, "b"), True),
    (Array(datetime(2026, 1, 31, 12), "M", "datetime64[ns]"), "2026-01-31T12:00:00"),
    (
        {Colour.RED: 1, 2: 3, None: 4, uuid.UUID(int=1): 5, "\ud800": 6},
        {"red": 1, "2": 3, "null": 4, str(uuid.UUID(int=1)): 5, "\\ud800": 6},
    ),
    ([Path("a"), {"b": {Path("c")}}], ["a", {"b": ["c"]}]),
]


@pytest.mark.parametrize(("value", "stored"), CONVERTED, ids=lambda value: type(value).__name__)
def test_value_with_an_obvious_form_is_converted(value: object, stored: object) -> None:
    unstorable = Unstorable(str)
    assert document("metrics", {"value": value}, unstorable) == {"value": stored}
    assert unstorable.texts == {}


#: Value → what stays of {"value": …, "good": 1}, and what is set aside.
SET_ASIDE: list[tuple[object, dict[str, object], dict[str, str]]] = [
    (float("nan"), {}, {"m.value": "nan"}),
    (float("-inf"), {}, {"m.value": "-inf"}),
    (Decimal("NaN"), {}, {"m.value": "NaN"}),
    (2**63, {}, {"m.value": str(2**63)}),
    (10**5000, {}, {"m.value": "<int>"}),
    (complex(1, 2), {}, {"m.value": "(1+2j)"}),
    (ipaddress.ip_address("::1"), {}, {"m.value": "::1"}),
    (range(10**12), {}, {"m.value": "range(0, 1000000000000)"}),
    (Unprintable(), {}, {"m.value": "<Unprintable>"}),
    (Array(Array(complex(0, 1))), {}, {}),
    ([0.5, float("nan"), 2], {"value": [0.5, None, 2]}, {"m.value.1": "nan"}),
    ({"in": {"ner": float("inf"), "b": 1}}, {"value": {"in": {"b": 1}}}, {"m.value.in.ner": "inf"}),
    ({1: "a", "1": "b"}, {"value": {"1": "a"}}, {"m.value.1": "b"}),
    ((step for step in "ab"), {}, {}),
]


@pytest.mark.parametrize(
    ("value", "left", "texts"), SET_ASIDE, ids=lambda value: type(value).__name__
)
def test_value_without_such_a_form_is_set_aside_alone(
    value: object, left: dict[str, object], texts: dict[str, str]
) -> None:
    unstorable = Unstorable(str)
    assert document("m", {"value": value, "good": 1}, unstorable) == {**left, "good": 1}
    assert unstorable.texts == texts or (not texts and list(unstorable.texts) == ["m.value"])


@pytest.mark.parametrize(
    "value", [CIRCULAR, DEEP, {"a": DEEP}], ids=["circular", "deep", "deep within"]
)
def test_circular_and_deep_values_end_somewhere(value: object) -> None:
    unstorable = Unstorable(str)
    found = document("m", {"value": value}, unstorable)
    rules.json_value("m", json.dumps(found))
    assert len(unstorable.texts) == 1


def test_too_large_a_value_costs_no_other() -> None:
    unstorable = Unstorable(str)
    assert document("m", {"large": "x" * rules.LARGEST_DOCUMENT, "good": 1}, unstorable) == {
        "good": 1
    }
    assert [(path, len(text)) for path, text in unstorable.texts.items()] == [("m.large", 1000)]


def test_text_is_cut_once_it_is_clean() -> None:
    unstorable = Unstorable(lambda text: text.replace("secret" * 200, "***"))
    unstorable.add("a", "x" * 500 + "secret" * 200, "")
    assert unstorable.texts == {"a": "x" * 500 + "***"}


def test_number_of_values_set_aside_is_bounded() -> None:
    unstorable = Unstorable(str)
    document("m", {"curve": [float("nan")] * 1000}, unstorable)
    assert (len(unstorable.texts), unstorable.texts["…"]) == (101, "900 more values")


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.decimals()
    | st.complex_numbers()
)
hashables = (
    st.text(st.characters(codec=None)) | st.integers() | st.none() | st.tuples(st.integers())
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(hashables, inner) | st.tuples(inner),
    max_leaves=20,
)


@given(trees)
def test_any_value_comes_out_as_strict_json(value: object) -> None:
    unstorable = Unstorable(str)
    found = document("m", {"value": value}, unstorable)
    assert rules.json_value("m", rules.encode(found)) == found
    rules.json_value("m", rules.encode(unstorable.beside({})))


def test_fields_are_converted(client: TelemetryClient, telemetry: Telemetry) -> None:
    run_id = client.start_run(
        Colour.RED, Path("job"), product=uuid.UUID(int=1), platform=1.5, environment=b"prod", host="a\0b", source_ref="\udcff",  # type: ignore[arg-type]
        items_discovered=Decimal(4), items_failed=2.0, items_skipped=Whole(), duration_ms=12.6, metrics=Point(1, Path("p")), event_id=uuid.UUID(int=2),
    )  # fmt: skip
    run = telemetry.run(str(uuid.UUID(int=2)))
    assert run["run_id"] == run_id
    assert (run["agent_name"], run["job_type"], run["product"], run["platform"]) == (
        "red",
        "job",
        str(uuid.UUID(int=1)),
        "1.5",
    )
    assert (run["environment"], run["host"], run["source_ref"]) == ("prod", "a\\x00b", "\\udcff")
    assert (
        run["items_discovered"],
        run["items_failed"],
        run["items_skipped"],
        run["duration_ms"],
    ) == (4, 2, 7, 13)
    assert (run["metrics_json"], run["context_json"]) == ({"x": 1, "at": "p"}, {})
    assert client.get_stats()["failures"] == {}
    assert client.end_run(run_id, "success", duration_ms=timedelta(seconds=2))
    assert telemetry.run(run_id)["duration_ms"] == 2000


FIELDS: list[tuple[str, object, str]] = [
    ("colour", ["red"], "['red']"),
    ("product", object, "<class 'object'>"),
    ("product", [1], "[1]"),
    ("items_failed", -1, "-1"),
    ("items_failed", True, "True"),
    ("items_failed", 2.5, "2.5"),
    ("items_failed", 2**63, str(2**63)),
    ("duration_ms", float("inf"), "inf"),
    ("status", "splendid", "splendid"),
    ("metrics", [1], "[1]"),
    ("metrics", "[1]", "[1]"),
    ("start_time", datetime(2026, 1, 1), "2026-01-01 00:00:00"),
    ("start_time", "yesterday noon", "yesterday noon"),
    ("end_time", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("parent_run_id", "@somewhere", "@somewhere"),
    ("event_id", "two words", "two words"),
    ("run_id", "a/b", "a/b"),
    ("run_id", Unprintable(), "<Unprintable>"),
    ("product", Unprintable(), "<Unprintable>"),
]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    FIELDS,
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_field_that_cannot_be_stored_costs_no_run(
    name: str,
    value: object,
    text: str,
    client: TelemetryClient,
    telemetry: Telemetry,
    warnings: Warnings,
) -> None:
    run_id = client.start_run("a", "j", **{"context": {"unstorable": {"own": 1}}, name: value})  # type: ignore[arg-type]
    key = "parent" if name == "parent_run_id" else name
    run = telemetry.run(run_id)
    assert (run["status"], run["context_json"]) == (
        "running",
        {"unstorable": {"own": 1, key: text}},
    )
    assert [key in line for line in warnings()] == [True]
    assert client.get_stats()["failures"] == {"unstorable": 1}


def test_run_is_still_known_by_the_id_that_was_given(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    client.start_run("a", "j", event_id="two words")
    assert client.log_event("two words", "step")
    assert client.end_run("two words")
    assert (telemetry.run("@last")["status"], len(telemetry.run("@last")["events"])) == (
        "success",
        1,
    )


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_ids_count_as_not_given(
    empty: str, client: TelemetryClient, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMETRY_EVENT_ID", telemetry.start())
    run = telemetry.run(
        client.start_run("a", "j", parent_run_id=empty, event_id=empty, run_id=empty)
    )
    assert (run["parent_run_id"], client.get_stats()["failures"]) == (None, {})


def test_empty_parent_of_an_update_takes_the_parent_away(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run("a", "j", parent_run_id=telemetry.start())
    assert telemetry.run(run_id)["parent_run_id"]
    assert client.update_run(run_id, parent_run_id="")
    assert telemetry.run(run_id)["parent_run_id"] is None


def test_update_with_invalid_parent_keeps_the_parent(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    parent = telemetry.start()
    run_id = client.start_run("a", "j", parent_run_id=parent)
    assert client.update_run(run_id, parent_run_id="@somewhere")
    run = telemetry.run(run_id)
    assert (run["parent_run_id"], run["context_json"]) == (
        parent,
        {"unstorable": {"parent": "@somewhere"}},
    )


def test_own_id_as_parent_costs_no_run(client: TelemetryClient, telemetry: Telemetry) -> None:
    client.start_run("a", "j", event_id="E", parent_run_id="E")
    assert (telemetry.run("E")["parent_run_id"], telemetry.run("E")["context_json"]) == (
        None,
        {"unstorable": {"parent": "E"}},
    )


def test_end_before_the_start_costs_no_end(client: TelemetryClient, telemetry: Telemetry) -> None:
    run_id = client.start_run("a", "j")
    assert client.end_run(run_id, "partial", end_time="2000-01-01T00:00:00Z", items_failed=1)
    run = telemetry.run(run_id)
    assert (run["status"], run["items_failed"]) == ("partial", 1)
    assert run["end_time"] >= run["start_time"]
    assert run["context_json"] == {"unstorable": {"end_time": "2000-01-01T00:00:00.000Z"}}


def test_what_was_set_aside_earlier_stays(client: TelemetryClient, telemetry: Telemetry) -> None:
    run_id = client.start_run("a", "j", colour="red")
    assert client.update_run(run_id, metrics={"loss": float("nan")})
    assert client.end_run(run_id, size=object)
    assert telemetry.run(run_id)["context_json"] == {
        "unstorable": {"colour": "red", "metrics.loss": "nan", "size": "<class 'object'>"}
    }


SECRET = "ghp_" + "a1B2c3D4e5" * 4


@pytest.mark.parametrize("status", ["weird-status", "running", "", 5, object], ids=str)
def test_end_with_invalid_status_is_partial(
    status: Any, client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run("a", "j")
    assert client.end_run(run_id, status, items_succeeded=4, metrics={"k": 1}, context={"c": 1})
    run = telemetry.run(run_id)
    assert (run["status"], run["items_succeeded"], run["metrics_json"]) == ("partial", 4, {"k": 1})
    assert run["context_json"] == {"c": 1, "unstorable": {"status": str(status)}}
    assert client.get_stats()["failures"] == {"unstorable": 1}


def test_end_with_no_status_is_success(client: TelemetryClient, telemetry: Telemetry) -> None:
    run_id = client.start_run("a", "j")
    assert client.end_run(run_id, None, items_succeeded=4)  # type: ignore[arg-type]
    run = telemetry.run(run_id)
    assert (run["status"], run["items_succeeded"], run["context_json"]) == ("success", 4, {})


@pytest.mark.parametrize("event_type", [None, "", "  ", [1]], ids=repr)
@pytest.mark.parametrize("durability", ["durable", "relaxed"])
def test_event_without_valid_type_is_unknown(
    durability: Any, event_type: Any, client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run("a", "j")
    writer = TelemetryClient(telemetry.base, durability=durability)
    assert writer.log_event(run_id, event_type, {"step": 1})
    assert writer.flush()
    (event,) = telemetry.run(run_id)["events"]
    assert (event["event_type"], event["payload_json"]) == (
        "unknown",
        {"step": 1, "unstorable": {"event_type": str(event_type)}},
    )


@pytest.mark.parametrize("name", ["agent_name", "job_type"])
@pytest.mark.parametrize("value", [None, "", "  ", object], ids=str)
def test_run_without_valid_name_is_unknown(
    value: Any, name: str, client: TelemetryClient, telemetry: Telemetry, warnings: Warnings
) -> None:
    names = {"agent_name": "a", "job_type": "j"} | {name: value}
    run = telemetry.run(client.start_run(**names))
    assert {key: run[key] for key in names} == names | {name: "unknown"}
    assert run["context_json"] == {"unstorable": {name: str(value)}}
    assert [name in line for line in warnings()] == [True]


def test_update_with_empty_name_keeps_the_name(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run("a", "j")
    assert client.update_run(run_id, agent_name="", product="p")
    run = telemetry.run(run_id)
    assert (run["agent_name"], run["product"]) == ("a", "p")


@pytest.mark.parametrize("name", ["event_id", "run_id", "parent_run_id"])
def test_id_that_looks_like_a_secret_is_replaced(
    name: str, client: TelemetryClient, telemetry: Telemetry, warnings: Warnings
) -> None:
    fields: dict[str, Any] = {name: SECRET}
    run_id = client.start_run("a", "j", **fields)
    known = run_id if name == "parent_run_id" else SECRET
    assert client.log_event(known, "step")
    assert client.update_run(known, product="p")
    assert client.end_run(known)
    run = telemetry.run(run_id)
    assert (run["status"], run["product"], len(run["events"])) == ("success", "p", 1)
    assert run["context_json"]["unstorable"] == {
        "parent" if name == "parent_run_id" else name: "[redacted]"
    }
    assert not any(
        SECRET.encode() in path.read_bytes() for path in telemetry.base.rglob("*") if path.is_file()
    )
    assert not any(SECRET in line for line in warnings())


@pytest.mark.parametrize("parent", ["@somewhere", SECRET], ids=["shape", "secret"])
def test_invalid_parent_in_environment_costs_no_run(
    parent: str, client: TelemetryClient, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMETRY_EVENT_ID", parent)
    run = telemetry.run(client.start_run("a", "j"))
    assert (run["parent_run_id"], list(run["context_json"]["unstorable"])) == (None, ["parent"])


@pytest.mark.parametrize(
    ("payload", "stored"),
    [
        ({"loss": float("nan"), "epoch": 1}, {"epoch": 1, "unstorable": {"loss": "nan"}}),
        ([1, float("nan")], {"payload": [1, None], "unstorable": {"1": "nan"}}),
        (float("nan"), {"unstorable": {"payload": "nan"}}),
        (object, {"unstorable": {"payload": "<class 'object'>"}}),
        (
            {"at": Path("a"), "unstorable": 5, "bad": complex(0, 1)},
            {"at": "a", "unstorable": {"unstorable": 5, "bad": "1j"}},
        ),
        ({Path("a"), Path("b")}, ["a", "b"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_event_keeps_its_payload(
    payload: object, stored: object, client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run("a", "j")
    assert client.log_event(run_id, "epoch", payload)
    assert telemetry.run(run_id)["events"][0]["payload_json"] == stored


def test_long_names_are_cut_and_kept_whole_beside(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run("a" * 300, "j")
    assert client.log_event(run_id, "e" * 300)
    run = telemetry.run(run_id)
    assert (run["agent_name"], run["context_json"]) == (
        "a" * 199 + "…",
        {"unstorable": {"agent_name": "a" * 300}},
    )
    assert (run["events"][0]["event_type"], run["events"][0]["payload_json"]) == (
        "e" * 199 + "…",
        {"unstorable": {"event_type": "e" * 300}},
    )


def test_facts_of_a_commit_cost_no_association(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    run_id = client.start_run("a", "j")
    assert client.associate_commit(
        run_id,
        "abcdef1",
        "ci",
        [1],  # type: ignore[arg-type]
        datetime(2026, 1, 1),
        branch=Path("main"),  # type: ignore[arg-type]
        repo=Unprintable(),  # type: ignore[arg-type]
    )[0]
    (commit,) = telemetry.run(run_id)["commits"]
    assert (
        commit["commit_hash"],
        commit["author"],
        commit["timestamp"],
        commit["branch"],
        commit["repo"],
    ) == ("abcdef1", None, None, "main", None)
    assert client.get_stats()["failures"] == {"unstorable": 3}


@pytest.mark.parametrize(
    ("source", "role", "stored", "named"),
    [
        ("me", "produced", ("manual", "produced"), ["source"]),
        ("CI", "Base", ("ci", "base"), []),
        ("llm", "made", ("llm", "produced"), ["role"]),
        (None, None, ("manual", "produced"), []),
        ([1], Unprintable(), ("manual", "produced"), ["source", "role"]),
    ],
)
def test_invalid_source_or_role_costs_no_association(
    source: Any,
    role: Any,
    stored: tuple[str, str],
    named: list[str],
    client: TelemetryClient,
    telemetry: Telemetry,
    warnings: Warnings,
) -> None:
    run_id = client.start_run("a", "j")
    for sha in ("abcdef1", "abcdef2"):
        assert client.associate_commit(run_id, sha, source, role=role)[0]
    rows = telemetry.run(run_id)["commits"]
    assert [(row["source"], row["role"]) for row in rows] == [stored] * 2
    assert len(warnings()) == len(named)
    assert all(f"commit.{name}" in line for name, line in zip(named, warnings(), strict=True))


def test_each_key_is_told_of_once(client: TelemetryClient, warnings: Warnings) -> None:
    run_id = client.start_run("a", "j")
    for number in range(3):
        client.log_event(
            run_id, "epoch", {"loss": float("nan"), "accuracy": float("inf"), "number": number}
        )
    assert len(warnings()) == 2
    assert "payload.loss" in warnings()[0]
    assert client.get_stats()["failures"] == {"unstorable": 6}


def test_secrets_among_them_are_taken_out(
    client: TelemetryClient, telemetry: Telemetry, warnings: Warnings
) -> None:
    secret = "ghp_" + "a1B2c3D4e5" * 4
    run_id = client.start_run("a", "j", token=secret, nothing=[secret])
    assert client.log_event(run_id, "x", {"bad": {"y": complex, "k": Path(secret)}})
    assert [
        path
        for path in telemetry.base.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ] == []
    assert not any(secret in line for line in warnings())
