"""Apply: the journal alone decides what the tables hold, whenever and however often it is replayed."""

import json
import sqlite3
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.storage import AT, connect_in_memory, operation

from telemetry_cli.core.errors import JournalTrouble
from telemetry_cli.database.apply import apply
from telemetry_cli.database.migrate import apply_schema
from telemetry_cli.journal.segments import decode, encode

TABLES = ("agent_runs", "run_events", "run_commits", "rejected_ops")
Dump = dict[str, list[tuple[object, ...]]]


def _fresh() -> sqlite3.Connection:
    db = connect_in_memory()
    db.execute("PRAGMA foreign_keys = ON")
    apply_schema(db, AT)
    return db


def _copy(db: sqlite3.Connection) -> sqlite3.Connection:
    backup = connect_in_memory()
    db.backup(backup)
    backup.execute("PRAGMA foreign_keys = ON")
    return backup


def _no_blobs(digest: str) -> Iterator[bytes]:
    raise AssertionError(digest)


def _apply(db: sqlite3.Connection, *lines: bytes) -> None:
    for line in lines:
        found = decode(line)
        assert found
        db.execute("BEGIN")
        apply(db, found, line, _no_blobs)
        db.execute("COMMIT")


def _dump(db: sqlite3.Connection) -> Dump:
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in TABLES}


# Any sequence of operations: names that collide, references of every kind, values that break rules

event_ids = st.sampled_from(["alpha", "alphabet", "alps", "beta", "run-1"])
run_ids = st.sampled_from(["run-1", "run-2", "alpha"])
agents = st.sampled_from(["ada", "bob"])
times = st.sampled_from(
    [f"2026-01-0{day}T00:00:00.{ms:03}Z" for day in (1, 2, 3) for ms in (0, 999)]
)
references = st.sampled_from(
    [
        "alpha",
        "alph",
        "alp",
        "beta",
        "run-1",
        "run-2",
        "@last",
        "@last:ada",
        "@last:nobody",
        "nobody",
        "",
        "\ud800",
        "x\0",
    ]
)
objects = st.dictionaries(
    st.sampled_from("ab"),
    st.integers(0, 2) | st.none() | st.text(max_size=2) | st.lists(st.integers(0, 1), max_size=1),
    max_size=2,
)
statuses = st.sampled_from(["running", "success", "failure", "cancelled", "failed", ""])
counts = st.sampled_from([0, 1, 7, -1, 2**63 - 1, 2**63, 1.5, "3", "many", None, True])
shas = st.sampled_from(["abcdef1", "a" * 40, "HEAD", "ABCDEF1", ""])

creates: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {
        "event_id": event_ids,
        "run_id": run_ids,
        "agent_name": agents,
        "job_type": st.just("job"),
        "status": statuses,
        "start_time": times,
    },
    optional={
        "parent": references,
        "metrics": objects | st.just([]),
        "context": objects,
        "items_failed": counts,
        "product": st.text(max_size=3),
        "unknown": st.just(1),
    },
)
fields = {
    "metrics": objects | st.just("x"),
    "items_failed": counts,
    "status": statuses,
    "end_time": times,
    "error_summary": st.text(max_size=3),
    "parent": references,
}
updates = st.fixed_dictionaries(
    {"run": references}, optional=fields | {"start_time": times, "agent_name": agents}
)
ends = st.fixed_dictionaries(
    {"run": references}, optional=fields | {"force": st.booleans(), "duration_ms": counts}
)
events = st.fixed_dictionaries(
    {"run": references, "event_type": st.sampled_from(["step", "", "x" * 201])},
    optional={"payload": objects | counts, "timestamp": times, "trace_id": st.text(max_size=2)},
)
associations = st.fixed_dictionaries(
    {
        "run": references,
        "commit_hash": shas,
        "role": st.sampled_from(["produced", "base", "made"]),
        "source": st.sampled_from(["ci", "me"]),
    },
    optional={
        "author": st.text(max_size=3),
        "timestamp": times,
        "repo": st.sampled_from(["https://example.org/r"]),
        "children": st.booleans(),
    },
)
kinds = {
    "run.create": creates,
    "run.update": updates,
    "run.end": ends,
    "run.event": events,
    "commit.associate": associations,
    "journal.header": st.just({}),
}
steps = st.one_of(
    *(
        st.tuples(st.just(kind), data | st.just({}) if kind != "run.create" else data, times)
        for kind, data in kinds.items()
    )
)


@st.composite
def journals(draw: st.DrawFn) -> list[bytes]:
    drawn = draw(st.lists(steps, min_size=1, max_size=14))
    return [
        encode(operation(kind, number, **data) | {"at": at})
        for number, (kind, data, at) in enumerate(drawn)
    ]


@settings(max_examples=150)
@given(journals())
def test_replaying_the_journal_over_nothing_or_any_backup_gives_the_same_tables(
    lines: list[bytes],
) -> None:
    db, backups = _fresh(), [_fresh()]
    for line in lines:
        _apply(db, line)
        backups.append(_copy(db))
    expected = _dump(db)
    for applied, backup in enumerate(backups):
        whole = _copy(backup)
        _apply(backup, *lines[applied:])
        _apply(whole, *lines)
        assert _dump(backup) == _dump(whole) == expected, applied


@given(journals(), st.randoms())
def test_lines_that_come_again_change_nothing(lines: list[bytes], random: object) -> None:
    once, twice = _fresh(), _fresh()
    _apply(once, *lines)
    for number, line in enumerate(lines):
        _apply(twice, line, line, lines[random.randrange(number + 1)])  # type: ignore[attr-defined]
    assert _dump(twice) == _dump(once)


@given(journals())
def test_every_operation_has_one_result_and_what_was_rejected_says_why(lines: list[bytes]) -> None:
    db = _fresh()
    _apply(db, *lines)
    results = dict(db.execute("SELECT op_id, exit_code FROM op_results"))
    assert len(results) == len(lines)
    assert set(results.values()) <= {0, 2, 3, 4}
    rejected = db.execute("SELECT op_id, code, operation FROM rejected_ops ORDER BY id").fetchall()
    assert [(op_id, code) for op_id, code, _ in rejected] == [
        (f"{n:032x}", results[f"{n:032x}"]) for n in range(len(lines)) if results[f"{n:032x}"]
    ]
    assert all(f"{text}\n".encode() in lines for _, _, text in rejected)


@given(journals())
def test_what_holds_of_every_table_at_any_time(lines: list[bytes]) -> None:
    db = _fresh()
    for line in lines:
        before = dict(db.execute("SELECT event_id, updated_at FROM agent_runs"))
        _apply(db, line)
        after = dict(db.execute("SELECT event_id, updated_at FROM agent_runs"))
        assert all(after[event_id] >= moved for event_id, moved in before.items())
    db.execute("INSERT INTO runs_search (runs_search, rank) VALUES ('integrity-check', 1)")
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert (
        db.execute(
            "SELECT 1 FROM agent_runs WHERE end_time < start_time OR updated_at < created_at"
        ).fetchall()
        == []
    )


# Single operations


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A database with the run `there`."""
    db = _fresh()
    _do(
        db,
        "run.create",
        100,
        event_id="there",
        run_id="name",
        agent_name="ada",
        job_type="job",
        status="running",
        start_time=AT,
    )
    yield db
    db.close()


def _do(
    db: sqlite3.Connection, kind: str, number: int, **data: object
) -> tuple[int, dict[str, object]]:
    _apply(db, encode(operation(kind, number, **data)))
    code, result = db.execute(
        "SELECT exit_code, result_json FROM op_results WHERE op_id = ?", (f"{number:032x}",)
    ).fetchone()
    return code, json.loads(result)


@pytest.mark.parametrize("poison", [[], {}, ["a"], 2**70, "\ud800", True, 1.5], ids=str)
@pytest.mark.parametrize(
    "field", ["agent_name", "product", "pid", "start_time", "event_id", "items_failed"]
)
def test_a_value_that_cannot_be_stored_is_a_rejection_and_never_stops_the_drain(
    db: sqlite3.Connection, field: str, poison: object
) -> None:
    data = {
        "event_id": "poisoned",
        "run_id": "name",
        "agent_name": "ada",
        "job_type": "job",
        "status": "running",
        "start_time": AT,
    }
    code, _ = _do(db, "run.create", 1, **data | {field: poison})
    assert code in (0, 2)
    assert db.execute("SELECT count(*) FROM rejected_ops").fetchone() == (1 if code else 0,)
    assert _do(db, "run.event", 2, run="there", event_type="step")[0] == 0


@pytest.mark.parametrize("missing", ["op_id", "op", "v", "at", "data"])
def test_a_line_without_one_of_its_parts_is_a_damaged_one(missing: str) -> None:
    body = {"v": 1, **operation("run.event", 1, run="there", event_type="step")}
    del body[missing]
    text = json.dumps(body)[:-1].encode()
    assert decode(b'%b,"crc":"%08x"}\n' % (text, zlib.crc32(text))) is None


@pytest.mark.parametrize(
    "changed", [{"v": 2}, {"v": 0}, {"op": "run.teleport"}, {"op": None}, {"v": None}]
)
def test_a_version_or_kind_of_the_future_is_not_skipped(
    db: sqlite3.Connection, changed: dict[str, object]
) -> None:
    before = _dump(db)
    with pytest.raises(JournalTrouble):
        apply(db, {"v": 1, **operation("run.end", 1, run="there")} | changed, b"line\n", _no_blobs)
    assert _dump(db) == before
    assert db.execute("SELECT count(*) FROM op_results").fetchone() == (1,)


def test_a_run_is_not_its_own_ancestor(db: sqlite3.Connection) -> None:
    named = {
        "run_id": "name",
        "agent_name": "ada",
        "job_type": "job",
        "status": "running",
        "start_time": AT,
    }
    assert _do(db, "run.create", 1, event_id="child", parent="there", **named)[0] == 0
    assert _do(db, "run.create", 2, event_id="grandchild", parent="child", **named)[0] == 0
    assert _do(db, "run.update", 3, run="there", parent="grandchild")[0] == 2
    assert _do(db, "run.update", 4, run="there", parent="there")[0] == 2
    assert db.execute(
        "SELECT parent_run_id FROM agent_runs WHERE event_id = 'there'"
    ).fetchone() == (None,)


def test_a_default_end_is_never_before_the_start(db: sqlite3.Connection) -> None:
    later = "2027-01-01T00:00:00.000Z"
    _do(db, "run.update", 1, run="there", start_time=later)
    assert _do(db, "run.end", 2, run="there")[1]["status"] == "updated"
    assert db.execute("SELECT end_time, duration_ms FROM agent_runs").fetchone() == (later, 0)
