"""Journal lines: what is encoded comes back, and no flipped bit, cut or join passes for a line."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_cli.core.config import Config
from telemetry_cli.journal import segments as journal
from telemetry_cli.journal.segments import decode, encode

texts = st.text(st.characters(codec=None), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
#: What can be stored; in data there may be half a character too, for the rules to refuse.
whole_texts = st.text(st.characters(codec="utf-8"), max_size=20)
operations = st.fixed_dictionaries(
    dict.fromkeys(("op_id", "op", "at", "actor"), whole_texts)
    | {"data": st.dictionaries(texts, values, max_size=4)}
)
SEGMENT = "ops_20260102.ndjson"
A_LINE = encode(
    {
        "op_id": "0" * 32,
        "op": "run.end",
        "at": "2026-01-02T03:04:05.678Z",
        "actor": "ada@vm",
        "data": {"run": "r", "crc": "00000000"},
    }
)


@given(operations)
def test_what_is_encoded_comes_back(operation: dict[str, object]) -> None:
    line = encode(operation)
    assert decode(line) == decode(line[:-1]) == {"v": 1, **operation}
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b'"}\n')


@given(operations, st.data())
def test_any_flipped_bit_is_detected(operation: dict[str, object], data: st.DataObject) -> None:
    line = bytearray(encode(operation)[:-1])
    line[data.draw(st.integers(0, len(line) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert decode(bytes(line)) is None


def test_every_single_flipped_bit_of_a_line_is_detected() -> None:
    for bit in range((len(A_LINE) - 1) * 8):
        line = bytearray(A_LINE)
        line[bit // 8] ^= 1 << bit % 8
        assert decode(bytes(line)) is None, bit


@given(operations, st.data())
def test_any_cut_is_detected(operation: dict[str, object], data: st.DataObject) -> None:
    line = encode(operation)[:-1]
    cut = data.draw(st.integers(0, len(line) - 1))
    assert decode(line[:cut]) is None
    assert decode(line[cut + 1 :]) is None


@given(operations, operations, st.binary(max_size=3))
def test_joined_lines_are_detected(
    first: dict[str, object], second: dict[str, object], between: bytes
) -> None:
    joined = encode(first)[:-1] + between + encode(second)[:-1]
    assert decode(joined) is None


@given(st.binary(max_size=80))
def test_noise_is_no_line(noise: bytes) -> None:
    assert decode(noise) is None


@given(st.sampled_from([[], 1, "x", None]))
def test_a_line_that_is_no_object_is_damaged(value: object) -> None:
    import json
    import zlib

    body = json.dumps(value).encode()[:-1]
    assert decode(b'%b,"crc":"%08x"}' % (body, zlib.crc32(body))) is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_have_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"op_id": "1", "data": {"x": number}})


# Segments

START: journal.Position = ("", 0)


def _config(base: Path) -> Config:
    (base / "raw").mkdir()
    return Config(base_dir=str(base))


def _end(config: Config) -> journal.Position:
    name = journal.segments(config)[-1]
    return (name, (Path(config.raw_dir) / name).stat().st_size)


def _write(config: Config, name: str, content: bytes) -> None:
    (Path(config.raw_dir) / name).write_bytes(content)


def test_segments_are_read_in_the_order_of_their_dates(tmp_path: Path) -> None:
    config = _config(tmp_path)
    for name in (
        "ops_20260102.ndjson",
        "ops_20251231.ndjson",
        "ops_20260101.ndjson",
        "events_20260101.ndjson",
        "ops_20260101.ndjson.tmp",
    ):
        _write(config, name, name.encode() + b"\n")
    lines = [line.decode().strip() for _, line in journal.read(config, START, _end(config))]
    assert lines == ["ops_20251231.ndjson", "ops_20260101.ndjson", "ops_20260102.ndjson"]


@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b".")), max_size=6),
    st.binary(max_size=9).map(lambda tail: tail.replace(b"\n", b"")),
)
def test_positions_cut_a_segment_at_any_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], tail: bytes
) -> None:
    config = _config(tmp_path_factory.mktemp("journal"))
    _write(config, "ops_20260101.ndjson", b"".join(line + b"\n" for line in lines) + tail)
    whole = list(journal.read(config, START, _end(config)))
    assert [line for _, line in whole] == [line + b"\n" for line in lines]
    for count, (place, _) in enumerate(whole, 1):
        assert list(journal.read(config, place, _end(config))) == whole[count:]
        assert list(journal.read(config, START, place)) == whole[:count]


def test_the_fingerprint_of_a_whole_line_is_its_crc(tmp_path: Path) -> None:
    config = _config(tmp_path)
    line = encode({"op_id": "1", "op": "run.end", "at": "", "actor": "", "data": {}})
    _write(config, "ops_20260101.ndjson", line)
    assert (
        journal.fingerprint(journal.ending(config, ("ops_20260101.ndjson", len(line))))
        == line[-11:-3].decode()
    )


def test_the_fingerprint_of_a_damaged_line_changes_with_it(tmp_path: Path) -> None:
    config = _config(tmp_path)
    found = set()
    for line in (b"garbage\n", b"garbagf\n", b"\n", b"x" * 90 + b"\n"):
        _write(config, "ops_20260101.ndjson", line)
        found.add(journal.fingerprint(journal.ending(config, ("ops_20260101.ndjson", len(line)))))
    assert len(found) == 4


def test_a_segment_that_is_gone_ends_in_nothing(tmp_path: Path) -> None:
    assert journal.ending(_config(tmp_path), ("ops_20260101.ndjson", 10)) == b""


@pytest.mark.parametrize(
    ("second", "first", "longer"),
    [
        (b"a\n", b"A\n", b"a\n"),
        (b"a\n", b"A\nb\nc", b"a\nb\nc"),
        (b"a\nto", b"A\nTO\nb\n", b"a\nto\nb\n"),
        (b"", b"A\n", b"A\n"),
        (b"a\n", None, b"a\n"),
    ],
    ids=["as it was", "longer", "after a torn line", "empty", "deleted"],
)
def test_a_second_journal_gets_the_lines_that_came_since(
    tmp_path: Path, second: bytes, first: bytes | None, longer: bytes
) -> None:
    config, other = Config(base_dir=str(tmp_path / "one")), Config(base_dir=str(tmp_path / "two"))
    for folder, content in ((config.raw_dir, first), (other.raw_dir, second)):
        Path(folder).mkdir(parents=True)
        if content is not None:
            (Path(folder) / "ops_20260101.ndjson").write_bytes(content)
    (Path(other.raw_dir) / "ops_20260101.ndjson.longer").write_bytes(b"of one that was killed")
    journal.lengthen(config, other, "ops_20260101.ndjson")
    assert (Path(other.raw_dir) / "ops_20260101.ndjson").read_bytes() == longer


@pytest.mark.parametrize(
    "read",
    [
        lambda config: journal.read(config, journal.START, journal.newest_end(config)),
        lambda config: journal.lines_of(config, SEGMENT),
    ],
    ids=["from place to place", "a segment"],
)
def test_reader_that_is_left_says_nothing_when_its_file_cannot_be_closed(
    read: Callable[[Config], Iterator[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(base_dir=str(tmp_path))
    os.mkdir(config.raw_dir)
    segment = Path(config.raw_dir) / SEGMENT
    segment.write_bytes(b"one\ntwo\n")
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    lines = read(config)
    next(lines)
    (descriptor,) = (
        int(name)
        for name in os.listdir("/dev/fd")
        if os.path.realpath(f"/dev/fd/{name}") == str(segment)
    )
    os.close(descriptor)
    del lines
    assert said == []
