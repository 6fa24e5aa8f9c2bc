"""Apply, of hooks: replaying the journal gives the same registry, whatever was tried; and what always holds of it."""

import sqlite3
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from support.storage import AT, connect_in_memory, operation

from telemetry_cli.database import hooks
from telemetry_cli.database.apply import apply
from telemetry_cli.database.migrate import apply_schema
from telemetry_cli.journal.segments import decode, encode

TABLES = (
    "hooks",
    "hook_releases",
    "hook_pointer_log",
    "hook_runs",
    "hook_logs",
    "features",
    "hook_silences",
    "hook_run_keys",
    "conventions",
    "run_schemas",
    "rejected_ops",
)
ROWS = {
    "good": [b'{"id":"a","values":{"x":1}}\n', b'{"given":"b"}\n'],
    "more": [
        b'{"id":"a","values":{"x":2}}\n',
        b'{"id":"a","values":{"x":3}}\n',
        b'{"id":"b","values":{"x":"\\u00e9"}}\n',
    ],
    "broken": [b'{"id":"a","values":{"x":1}}\n', b"no json\n"],
}
DIGESTS = [sha256(name.encode()).hexdigest() for name in ("one", "two", "three")]

hook_names = st.sampled_from(["alpha", "beta"])
versions = st.integers(0, 4)
ids = st.sampled_from([f"{number:032x}" for number in range(4)])
statuses = st.sampled_from(["passed", "rejected", "failed", "aborted", "errored", "running", "odd"])
release_data = st.fixed_dictionaries(
    {
        "hook": hook_names, "digest": st.sampled_from(DIGESTS), "contract": st.sampled_from([None, {"columns": []}]),
        "contract_digest": st.sampled_from(DIGESTS[:2]),
        "kind": st.just("script"),
        "artifact": st.just({"sha256": "x"}), "argv": st.just([]), "config": st.just({}), "limits": st.just({}),
        "source_ref": st.sampled_from(["here", ""]), "promote": st.sampled_from(["new", "always", "never"]),
    },
    optional={"if_live": versions, "message": st.just("why"), "dirty": st.booleans()},
)  # fmt: skip
moves = st.fixed_dictionaries(
    {"hook": hook_names, "reason": st.just("why")},
    optional={"to": versions, "back": st.booleans(), "if_live": versions},
)
starts = st.fixed_dictionaries(
    {
        "hook_run": ids, "hook": hook_names, "version": versions, "input_kind": st.just("records"),
        "input_digest": st.sampled_from(DIGESTS[:2]), "subjects": st.just(2), "host": st.just("h"),
        "pid": st.just(1), "process_started": st.just("1"), "boot_id": st.just("b"),
    },
    optional={"run_key": st.sampled_from(["k", None]), "forced": st.booleans()},
)  # fmt: skip
finishes = st.fixed_dictionaries(
    {"hook_run": ids, "status": statuses, "blob": st.sampled_from([*ROWS, None])},
    optional={
        "attempts": st.integers(-1, 2),
        "failure_kind": st.just("oom"),
        "logs": st.just([{"attempt": 1, "digest": "d", "bytes": 3}]),
        "rows": st.just(1),
    },
)
deployments = st.builds(
    lambda slug, fields, releases: {
        "slug": slug, "title": "T", "description": "d", "document": {"hooks": []}, "digest": DIGESTS[0], "releases": releases,
        "schema": {"id": "s", "version": "1", "fields": fields} if fields else None,
    },
    st.sampled_from(["one-slug", "two-slug", "3bad"]), st.sampled_from([None, [{"name": "a"}], [{"name": "b"}]]), st.lists(release_data, max_size=2),
)  # fmt: skip
kinds = {
    "hook.release": release_data,
    "hook.point": moves,
    "hook.start": starts,
    "hook.finish": finishes,
    "convention.deploy": deployments,
}
steps = st.one_of(*(st.tuples(st.just(kind), data) for kind, data in kinds.items()))


def _connected() -> sqlite3.Connection:
    db = connect_in_memory()
    for pragma in ("foreign_keys = ON", "recursive_triggers = ON", "trusted_schema = OFF"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _fresh() -> sqlite3.Connection:
    db = _connected()
    apply_schema(db, AT)
    return db


def _apply(db: sqlite3.Connection, *lines: bytes) -> None:
    for line in lines:
        found = decode(line)
        assert found
        db.execute("BEGIN")
        apply(db, found, line, lambda digest: iter(ROWS.get(digest, [])))
        db.execute("COMMIT")


def _dump(db: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in TABLES
    }


@settings(max_examples=200)
@given(st.lists(steps, min_size=1, max_size=16))
def test_replaying_gives_the_same_registry_and_it_is_always_sound(
    drawn: list[tuple[str, dict[str, object]]],
) -> None:
    lines = [
        encode(operation(kind, number) | {"at": f"2026-01-02T03:04:{number:02}.000Z", "data": data})
        for number, (kind, data) in enumerate(drawn)
    ]
    db, backups = _fresh(), []
    for line in lines:
        backup = _connected()
        db.backup(backup)
        backups.append(backup)
        _apply(db, line)
    expected = _dump(db)
    for applied, backup in enumerate(backups):
        _apply(backup, *lines[applied:])
        assert _dump(backup) == expected, applied
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert hooks.forged_pointers(db) == []
    for (hook,) in db.execute("SELECT name FROM hooks").fetchall():
        numbers = [row["version"] for row in hooks.history(db, hook)]
        assert numbers == list(range(1, len(numbers) + 1))
    # Rows are there with a run that passed, or not at all; and of what was superseded the later run is known.
    assert (
        db.execute(
            "SELECT 1 FROM features JOIN hook_runs ON hook_runs.id = hook_run WHERE status <> 'passed'"
        ).fetchall()
        == []
    )
    assert db.execute("SELECT 1 FROM features WHERE superseded_by = hook_run").fetchall() == []
    keyed = "SELECT hook, run_key FROM hook_runs WHERE run_key IS NOT NULL AND status IN ('running', 'passed', 'rejected')"
    assert db.execute(f"{keyed} GROUP BY hook, run_key HAVING count(*) > 1").fetchall() == []
