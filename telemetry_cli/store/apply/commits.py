"""Operations on the ledger of commits."""

import sqlite3

from telemetry_cli.store.apply.result import Data, Result, noted
from telemetry_cli.store.runs import resolve


def associate(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A commit of a run, and with `children` of its descendants that have none."""
    id_, event_id, run_id, note = resolve(db, str(data["run"]))
    runs = [(id_, event_id), *(_descendants_without_commit(db, event_id, run_id) if data.get("children") else ())]
    for run in runs:
        _associate(db, operation, data, *run)
    result: Result = {"status": "success", "event_id": event_id, "run_id": run_id, "commit_hash": data["commit_hash"]}
    if data.get("children"):
        result["children"] = [child for _, child in runs[1:]]
    return noted(result, note)


def _associate(db: sqlite3.Connection, operation: Data, data: Data, id_: int, event_id: str) -> None:
    entry = {name: data.get(name) for name in ("commit_hash", "role", "source", "author", "timestamp", "repo", "branch")}
    # The last word said again (a CI step that is run once more) adds nothing.
    newest = f"SELECT {','.join(entry)} FROM run_commits WHERE event_id = ? AND role = ? ORDER BY id DESC LIMIT 1"
    last = db.execute(newest, (event_id, data["role"])).fetchone()
    if last != tuple(entry.values()):
        entry.update(event_id=event_id, associated_at=operation["at"], op_id=operation["op_id"])
        db.execute(f"INSERT INTO run_commits ({','.join(entry)}) VALUES ({','.join('?' * len(entry))})", tuple(entry.values()))
    if data["role"] != "produced":
        return
    commit = (data["commit_hash"], data["source"], data.get("author"), data.get("timestamp"))
    db.execute(
        "UPDATE agent_runs SET git_commit_hash = ?, git_commit_source = ?, git_commit_author = ?, git_commit_timestamp = ?,"
        " git_repo = coalesce(git_repo, ?), updated_at = max(updated_at, ?) WHERE id = ?"
        " AND (git_commit_hash, git_commit_source, git_commit_author, git_commit_timestamp, git_repo) IS NOT (?, ?, ?, ?, coalesce(git_repo, ?))",
        (*commit, data.get("repo"), operation["at"], id_, *commit, data.get("repo")),
    )


def _descendants_without_commit(db: sqlite3.Connection, event_id: str, run_id: str) -> list[tuple[int, str]]:
    return db.execute(
        """WITH RECURSIVE tree (event_id, run_id) AS (
               VALUES (?, ?)
               UNION
               SELECT child.event_id, child.run_id FROM agent_runs AS child JOIN tree ON child.parent_run_id IN (tree.event_id, tree.run_id)
           )
           SELECT id, event_id FROM agent_runs JOIN tree USING (event_id) WHERE event_id <> ? AND git_commit_hash IS NULL ORDER BY id""",
        (event_id, run_id, event_id),
    ).fetchall()
