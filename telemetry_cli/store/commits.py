"""Questions about commits: the ledger of which run is associated with which commit."""

import sqlite3
from collections.abc import Sequence

from telemetry_cli.store.runs import Row

COLUMNS = ("id", "event_id", "commit_hash", "role", "source", "author", "timestamp", "repo", "branch", "associated_at", "superseded_by", "op_id")


def ledger(db: sqlite3.Connection, event_id: str | None = None, prefix: str | None = None) -> list[Row]:
    """The associations of a run, of a commit, or of both, oldest first."""
    terms, values = [], []
    if event_id is not None:
        terms.append("event_id = ?")
        values.append(event_id)
    if prefix is not None:
        terms.append("commit_hash >= ? AND commit_hash < ?")
        values += [prefix, prefix + "g"]
    rows = db.execute(f"SELECT * FROM run_commits WHERE {' AND '.join(terms)} ORDER BY id", values).fetchall()
    return [dict(row) for row in rows]


def ledger_of(db: sqlite3.Connection, event_ids: Sequence[str]) -> dict[object, list[Row]]:
    """The associations of some hundreds of runs, oldest first: event_id → associations."""
    found: dict[object, list[Row]] = {}
    question = f"SELECT * FROM run_commits WHERE event_id IN ({','.join('?' * len(event_ids))}) ORDER BY id"
    for row in db.execute(question, event_ids).fetchall():
        found.setdefault(row["event_id"], []).append(dict(row))
    return found
