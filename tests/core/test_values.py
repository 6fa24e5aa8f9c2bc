"""The rules of every value: what is accepted comes out fit to be stored, what is not is refused by name."""

import json
import math
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
LARGEST = 2**63 - 1
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 30), timezones=zones)
any_text = st.text(st.characters(codec=None), max_size=260)


def _refused(call: object, *given_: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        call(*given_)  # type: ignore[operator]
    caught.value.message.encode()
    return caught.value.message


# Times


@given(moments)
def test_a_stamp_is_the_moment_to_the_millisecond(moment: datetime) -> None:
    found = clock.parse_stamp(clock.stamp(moment))
    assert found == moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


@given(moments, moments)
def test_stamps_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    assert (clock.stamp(one) < clock.stamp(other)) <= (one < other)
    assert len(clock.stamp(one)) == len("2026-01-31T12:00:00.123Z")


@given(moments)
def test_iso_times_with_a_zone_are_stored_as_utc(moment: datetime) -> None:
    assert rules.instant("--start-time", moment.isoformat(), NOW) == clock.stamp(moment)
    assert rules.instant("--start-time", clock.stamp(moment), NOW) == clock.stamp(moment)


@given(moments)
def test_a_time_without_a_zone_is_refused_where_it_is_stored(moment: datetime) -> None:
    assert "has no zone" in _refused(
        rules.instant, "--start-time", moment.replace(tzinfo=None).isoformat(), NOW
    )


@pytest.mark.parametrize(
    ("age", "delta"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259200), ("1w", 604800), ("0s", 0)],
)
def test_ages(age: str, delta: int) -> None:
    assert rules.instant("--since", age, NOW) == clock.stamp(NOW - timedelta(seconds=delta))


@given(
    any_text
    | st.from_regex(r"[0-9]{1,14}[smhdw]", fullmatch=True)
    | st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{5,8}(Z|[+-][0-9]{2}:[0-9]{2})", fullmatch=True
    )
)
def test_any_text_is_a_time_that_sorts_or_is_refused(value: str) -> None:
    try:
        found = rules.instant("--start-time", value, NOW)
    except InvalidInput as error:
        assert error.message.startswith("--start-time: ")
    else:
        assert clock.stamp(clock.parse_stamp(found)) == found


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "999999999999w",
        "-1d",
        "1.5h",
        "٣d",
        "",
        "d",
        "now",
    ],
)
def test_what_is_no_time(value: str) -> None:
    _refused(rules.instant, "--start-time", value, NOW)


# Identifiers


@given(any_text)
def test_event_ids(value: str) -> None:
    ok = (
        1 <= len(value) <= 200
        and value[0] not in "@-"
        and value.isprintable()
        and not any(char.isspace() for char in value)
    )
    if ok:
        assert rules.event_id("--event-id", value) == value
    else:
        _refused(rules.event_id, "--event-id", value)


@given(any_text)
def test_run_ids(value: str) -> None:
    import unicodedata

    kinds = {unicodedata.category(char) for char in value}
    if (
        1 <= len(value) <= 255
        and value.strip()
        and not set("/\\") & set(value)
        and not {"Cc", "Cs"} & kinds
    ):
        assert rules.run_id("--run-id", value) == value
    else:
        _refused(rules.run_id, "--run-id", value)


@given(any_text)
def test_references(value: str) -> None:
    try:
        assert rules.reference("RUN", value) == value
    except InvalidInput:
        assert (
            not value.strip()
            or "\0" in value
            or any("\ud800" <= char <= "\udfff" for char in value)
            or value.startswith("@")
        )
    else:
        assert not value.startswith("@") or value == "@last" or value.startswith("@last:")
        value.encode()


@pytest.mark.parametrize(
    "value", ["", " ", "\t", "@", "@first", "@last:", "@lastly", "@current ", "a\0b", "\udcff"]
)
def test_what_is_no_reference(value: str) -> None:
    _refused(rules.reference, "RUN", value)


@given(st.text("0123456789abcdefABCDEFg ", max_size=70))
def test_commit_hashes(value: str) -> None:
    ok = (7 <= len(value) <= 40 or len(value) == 64) and set(value) <= set("0123456789abcdefABCDEF")
    assert rules.commit_hash(value) == (value.lower() if ok else None)


@given(st.integers(0, 100))
def test_ids_that_are_made_follow_their_own_rules(_: int) -> None:
    import uuid

    event_id = clock.new_event_id()
    assert (uuid.UUID(event_id).version, uuid.UUID(event_id).variant, str(uuid.UUID(event_id))) == (
        4,
        uuid.RFC_4122,
        event_id,
    )
    assert len(clock.new_op_id()) == 32
    assert set(clock.new_op_id()) <= set("0123456789abcdef")


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(
        lambda name: "\0" not in name
    )
)
def test_a_run_id_can_be_made_for_every_agent(agent: str) -> None:
    made = clock.new_run_id(NOW, agent)
    assert rules.run_id("--run-id", made) == made
    assert made.startswith("20260131T120000Z-")


def test_op_ids_of_one_process_sort_in_the_order_they_were_made() -> None:
    """The buffer is brought in by their order: an end must not overtake its start within one millisecond."""
    made = [clock.new_op_id() for _ in range(2000)]
    assert made == sorted(made)


# Text and numbers


@given(any_text)
def test_text_can_be_stored_or_is_refused(value: str) -> None:
    try:
        assert rules.text("--product", value).encode().count(0) == 0
    except InvalidInput:
        assert "\0" in value or any("\ud800" <= char <= "\udfff" for char in value)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
    st.integers(1, 12_000),
)
def test_error_details_keep_both_ends_within_64_kib(part: str, times: int) -> None:
    whole = part * times
    kept = rules.error_details("--error-details", whole)
    assert kept is not None
    assert len(kept.encode()) <= 64 * 1024
    assert kept == whole or (
        kept[:1000] == whole[:1000]
        and kept[-1000:] == whole[-1000:]
        and len(kept.encode()) > 64 * 1024 - 20
    )


@given(st.integers(-(2**65), 2**65))
def test_counts(number: int) -> None:
    if 0 <= number <= LARGEST:
        assert rules.count("--items-failed", str(number)) == number
    else:
        assert "--items-failed" in _refused(rules.count, "--items-failed", str(number))


@pytest.mark.parametrize(
    "value",
    ["", "-", "--1", "+1", "1.0", "1e3", "0x10", " 1", "1_000", "٣", "²", "nan", "9" * 5000],
)
def test_what_is_no_count(value: str) -> None:
    _refused(rules.count, "--items-failed", value)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "86401", "", "x", "1_0", " 1", "٣"])
def test_what_is_no_number_of_seconds(value: str) -> None:
    _refused(rules.seconds, "TELEMETRY_LOCK_TIMEOUT", value)


@given(st.sampled_from([*rules.STATUSES, *rules.STATUS_ALIASES]), st.randoms())
def test_statuses_in_any_case(word: str, random: object) -> None:
    mixed = "".join(char.upper() if random.random() < 0.5 else char for char in word)  # type: ignore[attr-defined]
    assert rules.status("--status", mixed) in rules.STATUSES


# JSON

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(documents, st.booleans(), st.sampled_from([None, 2]))
def test_json_that_can_be_stored_comes_back(
    value: object, ascii_only: bool, indent: int | None
) -> None:
    found = rules.json_value("--metrics", json.dumps(value, ensure_ascii=ascii_only, indent=indent))
    assert found == value
    assert json.loads(rules.encode(found)) == value


@given(st.dictionaries(st.text(max_size=8), documents, max_size=5), st.randoms())
def test_equal_objects_are_equal_text(value: dict[str, object], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert rules.encode(dict(items)) == rules.encode(value)


@given(st.integers())
def test_json_integers_fit_63_bits(number: int) -> None:
    if -LARGEST - 1 <= number <= LARGEST:
        assert rules.json_value("--metrics", f"[{number}]") == [number]
    else:
        assert "outside" in _refused(rules.json_value, "--metrics", f"[{number}]")


@pytest.mark.parametrize("number", [-(2**63) - 1, -(2**63), 2**63 - 1, 2**63, 10**18, -(10**19)])
def test_json_integers_at_the_edge(number: int) -> None:
    test_json_integers_fit_63_bits.hypothesis.inner_test(number)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("NaN", "NaN"), ("[Infinity]", "Infinity"), ('{"a": -Infinity}', "-Infinity"), ("1e400", "1e400"), ("[-1e999]", "-1e999"),
        ('{"a": 1, "a": 1}', "'a'"), ('{"b": {"a": 1, "c": 2, "a": 3}}', "'a'"), ('{"a": 1, "\\u0061": 2}', "'a'"),
        ('"\\ud800"', "surrogate"), ('{"\\udfff": 1}', "surrogate"), ('["\udcff"]', "surrogate"), ("9" * 5000, "999"),
        ("[" * 101 + "]" * 101, "100 levels"), ("[" * 100_000, ""), ("", ""), ("{", ""), ("{'a': 1}", ""), ('"\n"', ""), ("[1,]", ""), ("1 2", ""),
        ("\ufeff1", ""),
    ],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_json_that_cannot_be_stored_is_refused_by_name(source: str, named: str) -> None:
    message = _refused(rules.json_value, "--metrics", source)
    assert message.startswith("--metrics")
    assert named in message


def test_a_hundred_levels_are_not_too_deep() -> None:
    source = "[" * 100 + "]" * 100
    assert rules.encode(rules.json_value("--payload", source)) == source


@given(st.text(max_size=60))
def test_any_text_is_json_as_python_reads_it_or_refused(source: str) -> None:
    try:
        found = rules.json_value("--metrics", source)
    except InvalidInput:
        return
    assert found == json.loads(source)


@pytest.mark.parametrize("source", ["[]", "1", "null", '"x"'])
def test_metrics_are_an_object(source: str) -> None:
    assert "object" in _refused(rules.json_object, "--metrics", source)


@pytest.mark.parametrize(
    ("given_", "pair"),
    [
        ("a=1", ("a", 1)), ("a=1.5", ("a", 1.5)), ("a=true", ("a", True)), ("a=null", ("a", None)), ('a="x"', ("a", "x")), ("a=x", ("a", "x")),
        ("a=", ("a", "")), ("a=b=c", ("a", "b=c")), ("a=[1]", ("a", "[1]")), ("a={}", ("a", "{}")), ("a= 1", ("a", 1)), ("a=01", ("a", "01")),
        ("a=1e6", ("a", 1e6)), ("a=1e-4", ("a", 1e-4)), ("a=12E+3", ("a", 12e3)), ("a=2.5e6", ("a", 2.5e6)), ("a=0.10", ("a", 0.1)), ("a=-0.0", ("a", -0.0)),
        ("a=1.7976931348623157e308", ("a", sys.float_info.max)), ("a=9223372036854775807", ("a", 2**63 - 1)),
    ],
)  # fmt: skip
def test_pairs(given_: str, pair: tuple[str, object]) -> None:
    assert rules.pair("-m", given_) == pair


@pytest.mark.parametrize(
    "value", ["", "a", "=1", "a\0=1", "a=x\0", "\udcff=1", "a=\udcff", 'a="\\ud800"']
)
def test_what_is_no_pair(value: str) -> None:
    _refused(rules.pair, "-m", value)


@pytest.mark.parametrize(
    "word",
    [
        "1234e56", "12e3456", "7e10203", "12e3", "0e12345", "1e400", "-1e400", "1e-400", "5.1e-324", "9223372036854775808", "-9223372036854775809",
        "0.12345678901234567890", "123456789012345678.5", "0x1f", "1_000", "007", "+1", ".5", "1.", "NaN", "Infinity", "1e", "True", "٣",
    ],
)  # fmt: skip
def test_what_no_number_holds_whole_stays_text(word: str) -> None:
    assert rules.pair("-m", f"tag={word}") == ("tag", word)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_digit(number: float) -> None:
    key, found = rules.pair("-m", f"loss={number!r}")
    assert (key, found) == ("loss", number)
    assert math.copysign(1, found) == math.copysign(1, number)  # type: ignore[arg-type]
