"""A damaged journal: neighbours survive, the damage is kept and counted, and nothing is taken for what it is not."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from support import Telemetry
from support.hooks import SCORE, Hooks
from support.storage import START, append, create, flip, ids, journal_lines, segment, waiting

from telemetry_cli.journal.segments import encode

LONG = create(7, "torn")


def _damaged(telemetry: Telemetry) -> list[tuple[str, int]]:
    found = telemetry.sql("SELECT kind, code FROM rejected_ops ORDER BY id")
    return [(str(kind), int(code)) for kind, code in found]


# Torn tails


@pytest.mark.parametrize(
    "tail",
    [
        b"\n",
        b"\n\n\n",
        b"garbage\n",
        b"{}\n",
        b'{"v":1,"op_id":"01\n',
        b"\0" * 40 + b"\n",
        b"x" * 63 + b"\n",
        b"y" * 5000 + b"\n",
        LONG[:-9] + b"\n",
    ],
)
def test_a_cursor_that_rests_behind_a_damaged_line_is_believed(
    telemetry: Telemetry, tail: bytes
) -> None:
    """A read drains up to the damage; the next write must go on from there, whatever the last line looks like."""
    first = telemetry.start()
    append(telemetry, tail)
    assert ids(telemetry) == [first]
    second = telemetry(*START, "-o", "json")
    assert second.json["status"] == "created", second
    assert ids(telemetry) == sorted([first, second.json["event_id"]])
    assert _damaged(telemetry) == [("damaged", 70)] * bool(tail.strip())


@pytest.mark.parametrize("tail", [LONG[:1], LONG[:50], LONG[:-2], LONG[:-1], b"\0" * 512])
def test_a_torn_tail_is_left_for_its_writer_by_reads(telemetry: Telemetry, tail: bytes) -> None:
    first = telemetry.start()
    append(telemetry, tail)
    before = segment(telemetry).read_bytes()
    assert ids(telemetry) == [first]
    assert segment(telemetry).read_bytes() == before
    assert _damaged(telemetry) == []


def test_a_torn_tail_of_an_older_segment_does_not_stop_the_newer(telemetry: Telemetry) -> None:
    first = telemetry.start()
    append(telemetry, LONG[:40])
    (telemetry.raw / "ops_29990101.ndjson").touch()
    second = telemetry.start()
    third = telemetry.start()
    assert ids(telemetry) == sorted([first, second, third])
    assert _damaged(telemetry) == [("damaged", 70)]


def test_a_large_torn_line_costs_nobody_else(telemetry: Telemetry) -> None:
    first = telemetry.start()
    append(
        telemetry,
        encode({"op_id": "0" * 32, "op": "run.create", "data": {"x": "y" * 3_000_000}})[:2_500_000],
    )
    second = telemetry.start()
    assert ids(telemetry) == sorted([first, second])


# Flipped bits


def _three_unapplied(telemetry: Telemetry) -> tuple[Path, int]:
    """A base with three lines behind its cursor; returns the segment and the offset of the one in the middle."""
    telemetry.start("--event-id", "first")
    append(telemetry, create(1, "left"))
    middle = segment(telemetry).stat().st_size
    append(telemetry, create(2, "middle"), create(3, "right"))
    return segment(telemetry), middle


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(4))
def test_a_flipped_bit_costs_one_line_and_is_counted(telemetry: Telemetry, part: int) -> None:
    path, middle = _three_unapplied(telemetry)
    beginning = telemetry.home / "beginning"
    shutil.copytree(telemetry.base, beginning)
    length = len(create(2, "middle"))
    for offset in range(part, length - 1, 11):
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        flip(path, middle + offset, offset % 8)
        assert ids(telemetry) == ["first", "left", "right"], offset
        assert set(_damaged(telemetry)) == {("damaged", 70)}, offset


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_a_newline_leaves_the_neighbours(telemetry: Telemetry, bit: int) -> None:
    path, middle = _three_unapplied(telemetry)
    flip(path, middle - 1, bit)
    assert {"first", "right"} <= set(ids(telemetry))
    assert {"left", "middle"} & set(ids(telemetry)), "both lines beside the newline are lost"
    assert _damaged(telemetry)


@pytest.mark.parametrize("offset", [0, 30, 150, 170])
def test_a_flipped_bit_in_the_header_does_not_stop_the_drain(
    telemetry: Telemetry, offset: int
) -> None:
    """journal_id stands in the database too: what was written before and after is not lost with one bit."""
    first = telemetry.start()
    flip(segment(telemetry), offset, 0)
    second = telemetry(*START)
    assert ids(telemetry) == sorted([first, second.line])


def test_a_damaged_only_header_never_makes_a_second_journal(telemetry: Telemetry) -> None:
    """The next day's segment may not begin a journal of its own beside the one whose header cannot be read."""
    telemetry.start()
    header = journal_lines(telemetry)[0]
    old = segment(telemetry)
    flip(old, 150, 0)
    old.rename(telemetry.raw / "ops_20200101.ndjson")
    telemetry.sql("SELECT 1")
    telemetry(*START)
    headers = [
        line
        for line in journal_lines(telemetry)
        if b'"op":"journal.header"' in line and line != header
    ]
    assert [line for line in headers if b'"genesis":null' in line][1:] == []


@pytest.mark.parametrize("has_backup", [True, False])
@pytest.mark.parametrize("offset", [0, 30, 150, 170, -1])
def test_a_base_whose_header_is_damaged_is_made_again(
    telemetry: Telemetry, offset: int, has_backup: bool
) -> None:
    """Whether there is a backup or not, from the journal alone and by restoring; and it goes on."""
    runs = [telemetry(*START).line]
    backup = telemetry("db", "backup").line if has_backup else ""
    runs.append(telemetry(*START).line)
    flip(segment(telemetry), len(journal_lines(telemetry)[0]) - 1 if offset < 0 else offset, 0)
    for missing in (False, True):
        if missing:
            telemetry.database.unlink()
        telemetry("db", "rebuild")
        assert ids(telemetry) == sorted(runs)
        runs.append(telemetry(*START).line)
    if has_backup:
        telemetry("db", "restore", backup)
    (telemetry.raw / "ops_29990101.ndjson").touch(0o600)
    runs.append(telemetry(*START).line)
    assert ids(telemetry) == sorted(runs)


def test_every_flip_of_an_applied_line_is_noticed_by_a_rebuild_only(telemetry: Telemetry) -> None:
    """What is in the database stays; the line before the cursor alone is compared with it."""
    first, second, third = telemetry.start(), telemetry.start(), telemetry.start()
    lines = journal_lines(telemetry)
    flip(segment(telemetry), len(lines[0]) + len(lines[1]) + 20, 3)
    fourth = telemetry.start()
    assert ids(telemetry) == sorted([first, second, third, fourth])


@pytest.mark.parametrize("back", [1, 2, 4, 12, 40, 200])
def test_a_flipped_bit_in_the_last_applied_line_stops_nobody(
    telemetry: Telemetry, back: int
) -> None:
    """In its newline, its CRC, its payload: the journal_id tells that the database still is this journal's."""
    first, second = telemetry.start(), telemetry.start()
    flip(segment(telemetry), segment(telemetry).stat().st_size - back, 0)
    ran = telemetry(*START, "-o", "json")
    assert ran.json["status"] == "created", ran
    assert ids(telemetry) == sorted([first, second, ran.json["event_id"]])


# Another journal


def test_a_database_of_another_journal_is_left_alone(
    telemetry: Telemetry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Telemetry(tmp_path_factory.mktemp("other"))
    other.start()
    telemetry.start()
    shutil.copy(other.database, telemetry.database)
    before = telemetry.database.read_bytes()
    ran = telemetry(*START)
    assert "buffered" in ran.err
    assert "db rebuild" in ran.err
    assert telemetry.database.read_bytes() == before


def test_a_journal_that_lost_what_was_applied_is_noticed(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.start()
    path = segment(telemetry)
    path.write_bytes(b"".join(journal_lines(telemetry)[:2]))
    before = telemetry.database.read_bytes()
    ran = telemetry(*START)
    assert "db rebuild" in ran.err
    assert telemetry.database.read_bytes() == before


def test_a_lost_journal_is_noticed(telemetry: Telemetry) -> None:
    first = telemetry.start()
    shutil.rmtree(telemetry.raw)
    ran = telemetry(*START)
    assert "db rebuild" in ran.err
    assert telemetry.sql("SELECT event_id FROM agent_runs") == [(first,)]


# Clocks


def test_a_clock_that_went_back_does_not_reopen_an_older_segment(telemetry: Telemetry) -> None:
    """As if the clock had stood in 2999 for a day."""
    first = telemetry.start()
    older = segment(telemetry)
    size = older.stat().st_size
    later = telemetry.raw / "ops_29990101.ndjson"
    later.touch()
    second, third = telemetry.start(), telemetry.start()
    assert older.stat().st_size == size
    assert len(later.read_bytes().splitlines()) == 3
    assert ids(telemetry) == sorted([first, second, third])


def test_midnight_opens_a_new_segment_of_the_same_journal(telemetry: Telemetry) -> None:
    first = telemetry.start()
    telemetry("run", "end", first)
    yesterday = telemetry.raw / "ops_20200101.ndjson"
    segment(telemetry).rename(yesterday)
    telemetry.database.unlink()
    second = telemetry.start()
    telemetry("run", "end", first, "--force", "--status", "failed")
    assert len(list(telemetry.raw.glob("ops_*"))) == 2
    assert ids(telemetry) == sorted([first, second])
    assert telemetry.run(first)["status"] == "failure"
    headers = [line for line in journal_lines(telemetry) if b'"op":"journal.header"' in line]
    assert [line.count(b'"genesis"') for line in headers] == [1, 0]


# The buffer


def test_what_a_killed_writer_left_unfinished_in_the_buffer_is_no_record(
    telemetry: Telemetry,
) -> None:
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.buffer / f"{1:032x}.ndjson.tmp").write_bytes(LONG[:50])
    second = telemetry.start()
    assert second in ids(telemetry)
    assert b"torn" not in segment(telemetry).read_bytes()


@pytest.mark.parametrize("content", [b"", b"\n", LONG[:30], LONG[:-1]])
def test_a_damaged_buffered_line_costs_nobody_else(telemetry: Telemetry, content: bytes) -> None:
    first = telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.buffer / f"{1:032x}.ndjson").write_bytes(content)
    (telemetry.buffer / f"{2:032x}.ndjson").write_bytes(create(2, "beside"))
    read = ids(telemetry)
    second = telemetry(*START).line
    # An empty one holds no record, and stays for doctor to show.
    assert waiting(telemetry) == ([] if content.strip() else [f"{1:032x}.ndjson"])
    assert {first, "beside"} <= set(read)
    assert {first, "beside", second} <= set(ids(telemetry))


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"op": "run.create"},
        {"op_id": "1", "op": "run.create"},
        {"op_id": [], "op": "run.end", "data": {}},
        {"op_id": "1", "op": "run.end", "data": None},
    ],
    ids=str,
)
def test_a_whole_line_that_is_no_whole_operation_costs_nobody_else(
    telemetry: Telemetry, line: dict[str, object]
) -> None:
    first = telemetry.start()
    append(telemetry, encode(line), create(2, "beside"))
    second = telemetry(*START).line
    assert ids(telemetry) == sorted([first, "beside", second])


# Values that are not what was written


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """A base with a row in every table that holds JSON."""
    telemetry = Telemetry(tmp_path_factory.mktemp("registered"))
    telemetry.start("--event-id", "run-1", "--no-git", "-m", "tokens=5")
    telemetry("run", "event", "step", "--run", "run-1", "--payload", "[1]")
    hooks = Hooks(telemetry)
    hooks.program("score.py", SCORE % 1)
    convention = hooks.folder / "convention.toml"
    convention.write_text(
        'title = "Scored builds"\ndescription = "d"\njob_types = ["job"]\n[[hooks]]\nname = "score"\nscript = "score.py"\nsource_ref = "tests"\n'
        'contract = { columns = [{ name = "score", type = "real" }] }\n'
    )
    telemetry("conventions", "deploy", str(convention))
    telemetry("hooks", "run", "score")
    return telemetry


def put(telemetry: Telemetry, table: str, column: str, text: str) -> None:
    """Write a value past every rule of the schema, as damage does."""
    db = sqlite3.connect(telemetry.database, isolation_level=None)
    triggers = db.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", (table,)
    ).fetchall()
    db.executescript(
        "PRAGMA ignore_check_constraints = ON;"
        + "".join(f"DROP TRIGGER {name};" for name, _ in triggers)
    )
    db.execute(f'UPDATE {table} SET "{column}" = ?', (text,))
    db.executescript("".join(f"{sql};" for _, sql in triggers))
    db.close()


READ = [
    ("agent_runs", "metrics_json", ("query", "-o", "json")),
    ("agent_runs", "context_json", ("run", "show", "run-1", "-o", "json")),
    ("agent_runs", "metrics_json", ("export", "--to", "-")),
    ("agent_runs", "metrics_json", ("status", "-o", "json")),
    ("agent_runs", "metrics_json", ("hooks", "run", "score", "--force")),
    ("run_events", "payload_json", ("run", "events", "run-1", "-o", "json")),
    ("run_events", "payload_json", ("run", "show", "run-1")),
    ("run_events", "payload_json", ("export", "--to", "-")),
    ("hooks", "contract", ("hooks", "list")),
    ("hook_releases", "argv", ("hooks", "history", "score")),
    ("hook_releases", "limits", ("hooks", "run", "score")),
    ("hook_runs", "mismatches", ("hooks", "runs")),
    ("features", "values", ("features", "query", "score")),
    ("conventions", "document", ("conventions", "list")),
    ("conventions", "document", ("conventions", "show", "scored-builds")),
]


@pytest.mark.parametrize(
    ("table", "column", "argv"),
    READ,
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_stored_text_that_is_not_json_is_damage(
    registered: Telemetry, table: str, column: str, argv: tuple[str, ...], tmp_path: Path
) -> None:
    telemetry = Telemetry(tmp_path)
    shutil.copytree(registered.base, telemetry.base)
    put(telemetry, table, column, '{"cut off')
    ran = telemetry(*argv, code=1)
    assert f"{telemetry.database} is damaged" in ran.err
    assert "telemetry db rebuild" in ran.err
    telemetry("db", "rebuild")
    telemetry(*argv)


@pytest.mark.parametrize(
    ("column", "text", "argv"),
    [
        ("metrics_json", '{"cut off', ("run", "update", "run-1", "-m", "cost=2")),
        ("start_time", "2026-13-45T99:99:99.999Z", ("run", "end", "run-1")),
    ],
    ids=["JSON", "time"],
)
def test_a_record_that_needs_a_damaged_value_waits(
    registered: Telemetry, column: str, text: str, argv: tuple[str, ...], tmp_path: Path
) -> None:
    telemetry = Telemetry(tmp_path)
    shutil.copytree(registered.base, telemetry.base)
    put(telemetry, "agent_runs", column, text)
    ran = telemetry(*argv)
    assert "is damaged" in ran.err
    assert telemetry.sql("SELECT count(*) FROM rejected_ops") == [(0,)]
    telemetry("db", "rebuild")
    run = telemetry.run("run-1")
    assert (
        run["metrics_json"] == {"tokens": 5, "cost": 2}
        if argv[1] == "update"
        else run["status"] == "success"
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("query",),
        ("query", "--absolute"),
        ("run", "show", "run-1"),
        ("run", "tree", "run-1"),
        ("status",),
    ],
    ids=" ".join,
)
def test_a_damaged_time_is_shown_as_it_stands(
    registered: Telemetry, argv: tuple[str, ...], tmp_path: Path
) -> None:
    telemetry = Telemetry(tmp_path)
    shutil.copytree(registered.base, telemetry.base)
    put(telemetry, "agent_runs", "start_time", "2026-13-45T99:99:99.999Z")
    put(telemetry, "agent_runs", "created_at", "2026-13-45T99:99:99.999Z")
    assert "run-1" in telemetry(*argv).out


def test_figures_over_a_damaged_time_are_damage(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "run-1")
    put(telemetry, "agent_runs", "start_time", "2026-13-45T99:99:99.999Z")
    assert f"{telemetry.database} is damaged" in telemetry("stats", code=1).err
