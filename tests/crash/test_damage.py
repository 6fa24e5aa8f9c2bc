"""Damage of every kind to the database and the journal: what was acknowledged comes back, what cannot be read is counted and shown."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Telemetry
from support.storage import START, append, create, ids, journal_lines, segment, wrong_after

pytestmark = pytest.mark.heavy


# 50 kinds of damage to the database


def _pages(seed: int) -> Callable[[Path], None]:
    """Random bytes over some whole pages, or parts of them."""

    def damage(path: Path) -> None:
        chance = random.Random(seed)
        content = bytearray(path.read_bytes())
        for _ in range(chance.randrange(1, 12)):
            begin = chance.randrange(0, len(content), 4096) + chance.choice(
                (0, 0, chance.randrange(4096))
            )
            size = chance.choice((1, 8, 100, 4096))
            content[begin : begin + size] = chance.randbytes(len(content[begin : begin + size]))
        path.write_bytes(content)

    return damage


def _cut(numerator: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, path.stat().st_size * numerator // 10 + numerator)


def _is(content: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(content)

    return damage


def _gone(path: Path) -> None:
    path.unlink()


def _header(byte: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[byte] ^= 0xFF
        path.write_bytes(content)

    return damage


def _statement(sql: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        db = sqlite3.connect(path)
        db.executescript(f"PRAGMA foreign_keys = OFF; {sql}")
        db.close()

    return damage


KINDS: dict[str, Callable[[Path], None]] = {
    **{f"pages-{seed}": _pages(seed) for seed in range(20)},
    **{f"cut-{part}": _cut(part) for part in range(10)},
    **{f"header-{byte}": _header(byte) for byte in (0, 15, 16, 18, 20, 24, 28, 40, 44, 56, 100)},
    **{
        name: _is(content)
        for name, content in {
            "empty": b"",
            "zeros": bytes(40_000),
            "text": b"no database\n" * 900,
            "one byte": b"S",
        }.items()
    },
    "deleted": _gone,
    "no tables": _statement("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema"),
    "no runs": _statement("DROP TABLE agent_runs"),
    "no rows": _statement("DELETE FROM agent_runs"),
    "no cursor": _statement("DELETE FROM journal_cursor"),
}


@pytest.mark.parametrize("part", range(2))
def test_whatever_befell_the_database_a_rebuild_brings_all_back(
    telemetry: Telemetry, part: int
) -> None:
    assert len(KINDS) >= 50
    names = [telemetry.start("-m", f"n={number}") for number in range(8)]
    for name in names[:4]:
        telemetry("run", "end", name)
    beginning = telemetry.home / "beginning"
    shutil.copytree(telemetry.base, beginning)
    for kind in list(KINDS)[part::2]:
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        KINDS[kind](telemetry.database)
        before = telemetry.database.read_bytes() if telemetry.database.exists() else b""
        ran = telemetry(*START)
        if "buffered" in ran.err:
            assert telemetry.database.read_bytes() == before, (
                f"{kind}: the damaged bytes were not left alone"
            )
        telemetry("db", "rebuild")
        assert ids(telemetry) == sorted([*names, ran.line]), kind
        assert telemetry.sql("SELECT count(*) FROM agent_runs WHERE status = 'success'") == [
            (4,)
        ], kind
        assert telemetry("doctor", "-o", "json").json == [], kind


# Torn tails and flipped bits of the journal

FILLS = {
    "nothing": b"",
    "zeros": b"\0" * 64,
    "ones": b"\xff" * 64,
    "a page of zeros": b"\0" * 4096,
    "garbage": bytes(range(256)),
}


@pytest.mark.parametrize("fill", FILLS)
def test_every_cut_of_a_line_with_every_fill(
    telemetry: Telemetry, fill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of a torn line, and what the file system put behind it, costs no neighbour, and is counted."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(telemetry.home))
    telemetry(*START, "--event-id", "first")
    beginning, torn = telemetry.home / "beginning", create(7, "torn")
    shutil.copytree(telemetry.base, beginning)
    for cut in range(len(torn)):
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        append(telemetry, torn[:cut] + FILLS[fill])
        whole = cut == len(torn) - 1 and not FILLS[fill]
        damaged = int(bool(torn[:cut] + FILLS[fill]) and not whole)
        facts = [
            ("SELECT count(*) FROM agent_runs WHERE event_id IN ('first', 'torn')", (1 + whole,)),
            ("SELECT count(*) > 0 FROM rejected_ops WHERE kind = 'damaged'", (damaged,)),
        ]
        assert wrong_after(telemetry.base, facts) == "", cut  # type: ignore[arg-type]


def test_a_bit_flipped_in_every_line_is_counted_and_shown(telemetry: Telemetry) -> None:
    """Before it was applied: the neighbours survive. After: the database keeps what it had, and doctor shows the damage.

    The first line is the header: it names no run, and `db rebuild` alone goes on without it.
    """
    runs = {f"run-{number}" for number in range(6)}
    for run in sorted(runs):
        telemetry(*START, "--event-id", run)
    beginning = telemetry.home / "beginning"
    shutil.copytree(telemetry.base, beginning)
    lines = journal_lines(telemetry)
    offsets = [sum(map(len, lines[:number])) for number in range(len(lines))]
    chance = random.Random(5)
    for number in range(len(lines)):
        for _ in range(3):
            shutil.rmtree(telemetry.base)
            shutil.copytree(beginning, telemetry.base)
            content = bytearray(segment(telemetry).read_bytes())
            content[offsets[number] + chance.randrange(len(lines[number]) - 1)] ^= (
                1 << chance.randrange(8)
            )
            segment(telemetry).write_bytes(content)
            shown = [row["what"] for row in telemetry("doctor", "-o", "json", code=1).json]
            assert any("a damaged line" in what for what in shown), (number, shown)
            read = telemetry("query", "-o", "ids", "--limit", "0")
            assert set(read.out.split()) == runs, (number, read)
            telemetry.database.unlink()
            if not number:
                telemetry("db", "rebuild")
            assert set(ids(telemetry)) == runs - {f"run-{number - 1}"}, number
            assert telemetry.sql("SELECT count(*) FROM rejected_ops WHERE kind = 'damaged'") == [
                (1,)
            ]
