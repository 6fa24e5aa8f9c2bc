"""Query hook runs, their logs, and the feature rows that they computed."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from telemetry_cli.core.errors import Conflict, NotFound
from telemetry_cli.database.database import numbered, read_json
from telemetry_cli.database.runs import Row
from telemetry_cli.database.sandbox import Guard, fetched, paged

#: What json and csv carry of a hook run.
COLUMNS = (
    "id", "hook", "version", "status", "failure_kind", "exit_code", "started_at", "finished_at", "duration_ms", "attempts", "oom_retries", "oom_evidence",
    "run_key", "forced", "convention", "input_digest", "subjects", "rows", "mismatch_count", "has_logs", "actor", "host",
)  # fmt: skip
_SELECT = "SELECT *, EXISTS (SELECT 1 FROM hook_logs WHERE hook_run = hook_runs.id AND bytes > 0) AS has_logs FROM hook_runs"
_PAGE = 500
_SHORTEST_PREFIX = 4
_MOST_CANDIDATES = 10

#: The run that a key stands for: its own, or the one that stood for it when it was given.
_KEYED = """SELECT id, input_digest FROM hook_runs WHERE hook = ?1 AND run_key = ?2 AND status IN ('running', 'passed', 'rejected')
    UNION ALL SELECT id, input_digest FROM hook_run_keys AS key JOIN hook_runs ON id = key.hook_run WHERE key.hook = ?1 AND key.run_key = ?2"""
#: Whether another release of the hook ?1 than ?2 has passed on a subject of the run ?3, in a run begun after it, at ?4.
_OVERTAKEN = """WITH later AS MATERIALIZED (
        SELECT id FROM hook_runs WHERE hook = ?1 AND version <> ?2 AND status = 'passed' AND (started_at, id) > (?4, ?3)
    ), subjects AS (SELECT subject_id FROM features WHERE hook_run = ?3 UNION ALL SELECT subject_id FROM hook_silences WHERE hook_run = ?3)
    SELECT EXISTS (SELECT 1 FROM later) AND EXISTS (
        SELECT 1 FROM subjects
        WHERE EXISTS (SELECT 1 FROM features AS said WHERE said.subject_id = subjects.subject_id AND said.hook = ?1 AND said.hook_run IN (SELECT id FROM later))
           OR EXISTS (SELECT 1 FROM later JOIN hook_silences AS silent ON silent.hook_run = later.id AND silent.subject_id = subjects.subject_id)
    )"""


def _read(row: sqlite3.Row) -> Row:
    return dict(row) | {
        "has_logs": bool(row["has_logs"]),
        "forced": bool(row["forced"]),
        "mismatches": read_json(row["mismatches"]),
    }


def _rows(db: sqlite3.Connection, query: str, values: Sequence[object]) -> list[Row]:
    return [_read(row) for row in fetched(db, query, values)]


def resolve(db: sqlite3.Connection, reference: str) -> Row:
    """The hook run that an id, or the unique beginning of one, means. Raises `NotFound` or `Conflict`."""
    found = _rows(
        db,
        f"{_SELECT} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (reference, reference + "g", _MOST_CANDIDATES + 1),
    )
    if not found or (len(reference) < _SHORTEST_PREFIX and found[0]["id"] != reference):
        raise NotFound(f"Hook run not found: {reference}", "telemetry hooks runs lists them.")
    if len(found) > 1:
        listed = "".join(
            f"\n  {row['id']}  {row['hook']}@{row['version']}" for row in found[:_MOST_CANDIDATES]
        )
        raise Conflict(
            f"{reference} is the beginning of several hook runs:{listed}", "Give more characters."
        )
    return found[0]


def listing(db: sqlite3.Connection, hook: str | None) -> Iterator[Row]:
    """The runs of a hook, or all, newest first, one page at a time."""
    only, values = ("AND hook = ?", [hook]) if hook is not None else ("", [])
    before = "g"
    while rows := _rows(
        db, f"{_SELECT} WHERE id < ? {only} ORDER BY id DESC LIMIT ?", (before, *values, _PAGE)
    ):
        yield from rows
        before = str(rows[-1]["id"])


def running(db: sqlite3.Connection) -> list[Row]:
    """The hook runs that have not finished, with the process that carries each: host, pid, process_started, boot_id."""
    return _rows(db, f"{_SELECT} WHERE status = 'running' ORDER BY id", ())


def logs(db: sqlite3.Connection, hook_run: object) -> list[Row]:
    """attempt, digest and bytes (all that was written, kept or not) of each attempt's log."""
    rows = db.execute(
        "SELECT attempt, digest, bytes FROM hook_logs WHERE hook_run = ? ORDER BY attempt",
        (hook_run,),
    ).fetchall()
    return [{"attempt": row[0], "digest": row[1], "bytes": row[2]} for row in rows]


def standing_for(db: sqlite3.Connection, data: Mapping[str, object]) -> Row | None:
    """The run that makes another one needless: `existing` has the same run key, `skipped` passed on the same release and input,
    and no other release has had the later word on its subjects.

    Raises `Conflict` when the key stands for other input, or the run is forced all the same.
    """
    hook, key, forced = data["hook"], data.get("run_key"), data.get("forced")
    if key is not None:
        known = db.execute(_KEYED, numbered(hook, key)).fetchone()
        if known and (forced or known[1] != data["input_digest"]):
            why = "--force cannot run it again" if forced else "that was on other input"
            raise Conflict(
                f"--run-key: {key} stands for the hook run {known[0]} of {hook} already, and {why}",
                "Give another key, or none.",
            )
        if known:
            return {"status": "existing", "id": known[0]}
    if forced:
        return None
    passed = db.execute(
        "SELECT id, started_at FROM hook_runs WHERE hook = ? AND version = ? AND input_digest = ? AND status = 'passed'"
        " ORDER BY started_at DESC, id DESC LIMIT 1",
        (hook, data["version"], data["input_digest"]),
    ).fetchone()
    if (
        passed is None
        or db.execute(_OVERTAKEN, numbered(hook, data["version"], *passed)).fetchone()[0]
    ):
        return None
    return {"status": "skipped", "id": passed[0]}


#: What every row carries besides its values; no column of a contract may have such a name.
FEATURE_COLUMNS = (
    "row_id",
    "hook",
    "subject_id",
    "hook_run",
    "version",
    "digest",
    "source_ref",
    "created_at",
    "superseded_by",
)
#: How many rows about one subject are told at once.
MOST_ABOUT = 500
#: How a line of a rows' blob begins that names a subject without a row; the others hold `id` and `values`.
GIVEN = '{"given":'
_FROM = """FROM features AS row
    JOIN hook_runs AS run ON run.id = row.hook_run
    JOIN hook_releases AS release ON release.hook = run.hook AND release.version = run.version"""
#: A row with the release behind it, whole: what `_read` makes of it is `COLUMNS`, `_JSON` and what is named here.
_SELECT_FEATURES = f"""SELECT row.row_id, row.hook, row.subject_id, row.hook_run, run.version, release.digest, release.source_ref,
    run.finished_at AS created_at, row.superseded_by, row."values", run.started_at, run.input_digest,
    release.config, release.argv, release.limits, release.message, release.released_at, release.actor AS released_by {_FROM}"""
_JSON = ("values", "config", "argv", "limits")


def _read_feature(row: sqlite3.Row) -> Row:
    return dict(row) | {name: read_json(row[name]) for name in _JSON}


def _feature_rows(db: sqlite3.Connection, query: str, values: Sequence[object]) -> list[Row]:
    return [_read_feature(row) for row in fetched(db, query, values)]


def select_features(
    db: sqlite3.Connection,
    hook: str,
    columns: Sequence[str],
    guard: Guard,
    *,
    subject: str | None = None,
    expression: str | None = None,
    history: bool = False,
) -> Iterator[Row]:
    """The rows of a hook, newest first: those that hold, with `history` all.

    `expression` is SQL over `COLUMNS` and the hook's own `columns`, and is run under `guard`.
    """
    terms, values = ["row.hook = ?"], [hook]
    if not history:
        terms.append("row.superseded_by IS NULL")
    if subject is not None:
        terms.append("row.subject_id = ?")
        values.append(subject)
    search = f"SELECT row.row_id FROM features AS row WHERE {' AND '.join(terms)} ORDER BY row.row_id DESC"
    if expression is not None:
        own = "".join(f""", row."values"->>'$."{name}"' AS "{name}" """ for name in columns)
        search = (
            "SELECT row_id FROM (SELECT row.row_id, row.hook, row.subject_id, row.hook_run, run.version, release.digest, release.source_ref,"
            f" run.finished_at AS created_at, row.superseded_by{own} {_FROM} WHERE {' AND '.join(terms)}) WHERE {expression} ORDER BY row_id DESC"
        )

    def fetch(ids: list[int]) -> list[tuple[int, Row]]:
        rows = _feature_rows(
            db, f"{_SELECT_FEATURES} WHERE row.row_id IN ({','.join('?' * len(ids))})", ids
        )
        return [(int(str(row["row_id"])), row) for row in rows]

    return paged(db, search, values, fetch, guard)


def get_feature(db: sqlite3.Connection, row_id: int) -> Row:
    """A row. Raises `NotFound`."""
    found = _feature_rows(db, f"{_SELECT_FEATURES} WHERE row.row_id = ?", (row_id,))
    if not found:
        raise NotFound(
            f"Feature row not found: {row_id}",
            "telemetry features query HOOK shows the ids of rows.",
        )
    return found[0]


def list_features_about(db: sqlite3.Connection, subject: str) -> list[Row]:
    """The rows about a subject that hold, by hook; `MOST_ABOUT` of them at most."""
    return _feature_rows(
        db,
        f"{_SELECT_FEATURES} WHERE row.subject_id = ? AND row.superseded_by IS NULL ORDER BY row.hook, row.row_id LIMIT ?",
        (subject, MOST_ABOUT),
    )
