"""Questions about commits: the ledger of which run is associated with which commit, and which run a commit belongs to."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from telemetry_cli.store import shas
from telemetry_cli.store.runs import Row

COLUMNS = ("id", "event_id", "commit_hash", "role", "source", "author", "timestamp", "repo", "branch", "associated_at", "superseded_by", "op_id")


def ledger(db: sqlite3.Connection, event_id: str | None = None, prefix: str | None = None) -> list[Row]:
    """The associations of a run, of a commit, or of both, oldest first."""
    terms: list[str] = []
    values: list[object] = []
    if event_id is not None:
        terms.append("event_id = ?")
        values.append(event_id)
    if prefix is not None:
        term, named = shas.begins(prefix)
        terms.append(term)
        values += named
    rows = db.execute(f"SELECT * FROM run_commits WHERE {' AND '.join(terms)} ORDER BY id", values).fetchall()
    return [dict(row) for row in rows]


def behind(db: sqlite3.Connection, commits: Iterable[str]) -> dict[str, list[Row]]:
    """SHA → the runs behind it (event_id, agent_name, job_type, role, source), each once per role, oldest first. One query, however many SHAs."""
    rows = db.execute(
        f"""WITH {shas.ENTERED},
            last AS (SELECT sha, max(id) AS id FROM entered GROUP BY sha, event_id, role)
            SELECT sha, event_id, agent_name, job_type, run_commits.role, source
            FROM last JOIN run_commits USING (id) JOIN agent_runs USING (event_id)
            ORDER BY run_commits.id""",
        (json.dumps(list(commits)),),
    ).fetchall()
    found: dict[str, list[Row]] = {}
    for sha, *values in rows:
        found.setdefault(sha, []).append(dict(zip(("event_id", "agent_name", "job_type", "role", "source"), values, strict=True)))
    return found


def current(db: sqlite3.Connection, repo: str | None) -> dict[str, list[Row]]:
    """Return the commits whose associations were not carried on to another commit, of this repository or of an unknown one.

    SHA → associations: event_id, repo, and the git_dir of the run; by event_id.
    """
    rows = db.execute(
        "SELECT DISTINCT commit_hash, event_id, repo, git_dir FROM run_commits LEFT JOIN agent_runs USING (event_id)"
        " WHERE superseded_by IS NULL AND (repo IS NULL OR ? IS NULL OR repo = ?) ORDER BY event_id",
        (repo, repo),
    ).fetchall()
    found: dict[str, list[Row]] = {}
    for sha, event_id, its_repo, git_dir in rows:
        found.setdefault(sha, []).append({"event_id": event_id, "repo": its_repo, "git_dir": git_dir})
    return found


def known(db: sqlite3.Connection) -> dict[str, tuple[set[str], int | None]]:
    """Return every commit of the ledger: SHA → the event ids of its runs, and where in the ledger a run first produced it (None: nowhere)."""
    found: dict[str, tuple[set[str], int | None]] = {}
    for sha, event_id, since in db.execute(
        "SELECT commit_hash, event_id, min(CASE role WHEN 'produced' THEN id END) FROM run_commits GROUP BY commit_hash, event_id"
    ):
        runs, first = found.get(sha, (set(), None))
        found[sha] = (runs | {event_id}, min((id_ for id_ in (first, since) if id_ is not None), default=None))
    return found


def open_runs(db: sqlite3.Connection, git_dir: str, host: str | None) -> list[Row]:
    """The runs still running that were started in this repository on this host, newest first, each with the process that will end it."""
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    rows = cursor.execute(
        "SELECT id, event_id, run_id, start_time, pid, process_started, boot_id FROM agent_runs"
        " WHERE status = 'running' AND git_dir = ? AND host IS ? ORDER BY start_time DESC, id DESC",
        (git_dir, host),
    ).fetchall()
    return [dict(row) for row in rows]


def is_open(row: Row, wanted: Mapping[str, object]) -> bool:
    """Tell whether a running run counts as open: its process was not found gone; without one, it began not too long ago."""
    gone = wanted["gone"]
    assert isinstance(gone, list)
    if row["event_id"] in gone:
        return False
    if row["pid"] is None:
        return str(row["start_time"]) >= str(wanted["since"])
    return row["boot_id"] is None or wanted.get("boot_id") is None or row["boot_id"] == wanted["boot_id"]


def rejected(db: sqlite3.Connection, text: str) -> list[Row]:
    """The operations that broke a rule and hold this text, oldest first: kind, message, operation."""
    rows = db.execute("SELECT kind, message, operation FROM rejected_ops WHERE instr(operation, ?) ORDER BY id", (text,)).fetchall()
    return [dict(row) for row in rows]


def ledger_of(db: sqlite3.Connection, event_ids: Sequence[str]) -> dict[object, list[Row]]:
    """The associations of some hundreds of runs, oldest first: event_id → associations."""
    found: dict[object, list[Row]] = {}
    question = f"SELECT * FROM run_commits WHERE event_id IN ({','.join('?' * len(event_ids))}) ORDER BY id"
    for row in db.execute(question, event_ids).fetchall():
        found.setdefault(row["event_id"], []).append(dict(row))
    return found
