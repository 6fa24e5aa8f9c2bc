"""Operations on the ledger of commits."""

import sqlite3

from telemetry_cli.database import commits
from telemetry_cli.database.apply import Data, Result, noted, runs
from telemetry_cli.database.filters import abbreviate
from telemetry_cli.database.runs import resolve

_CARRIED = ("event_id", "role", "source", "author", "timestamp", "repo", "branch")


def associate(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A commit of a run, and with `children` of its descendants that have none.

    The run is named by `run`; or it is the one that was open where the commit was made, as `open` describes it.
    """
    found = (
        resolve(db, str(data["run"]), str(operation["at"]))
        if "run" in data
        else _open_run(db, operation, data)
    )
    if found is None:
        return {
            "status": "unchanged",
            "event_id": None,
            "run_id": None,
            "commit_hash": data["commit_hash"],
        }
    id_, event_id, run_id, note = found
    associated = [
        (id_, event_id),
        *(_descendants_without_commit(db, event_id, run_id) if data.get("children") else ()),
    ]
    for run in associated:
        _associate(db, operation, data, *run)
    result: Result = {
        "status": "success",
        "event_id": event_id,
        "run_id": run_id,
        "commit_hash": data["commit_hash"],
    }
    if data.get("children"):
        result["children"] = [child for _, child in associated[1:]]
    return noted(result, note)


def _open_run(
    db: sqlite3.Connection, operation: Data, data: Data
) -> tuple[int, str, str, str | None] | None:
    """The run that a commit belongs to; else the one that `otherwise` describes, which is made; else None.

    `open` says which run the environment named (`run`), and what `store.commits.choose_run` goes by.
    """
    wanted: Data = data["open"]  # type: ignore[assignment]
    found = commits.named_run(db, wanted.get("run"), str(operation["at"])) or commits.choose_run(
        commits.open_runs(db, wanted), wanted
    )
    if found:
        return found["id"], found["event_id"], found["run_id"], None  # type: ignore[return-value]
    if "otherwise" not in data:
        return None
    run: Data = data["otherwise"]  # type: ignore[assignment]
    runs.create(db, operation, run)
    runs.end(db, operation, {"run": run["event_id"], "status": "success"})
    return resolve(db, str(run["event_id"]), str(operation["at"]))


def _associate(
    db: sqlite3.Connection, operation: Data, data: Data, id_: int, event_id: str
) -> None:
    entry = {
        name: data.get(name)
        for name in ("commit_hash", "role", "source", "author", "timestamp", "repo", "branch")
    }
    # The last word said again (a CI step that is run once more) adds nothing.
    newest = f"SELECT {','.join(entry)} FROM run_commits WHERE event_id = ? AND role = ? ORDER BY id DESC LIMIT 1"
    last = db.execute(newest, (event_id, data["role"])).fetchone()
    if last != tuple(entry.values()):
        _enter(db, operation, entry | {"event_id": event_id})
    if data["role"] != "produced":
        return
    commit = (data["commit_hash"], data["source"], data.get("author"), data.get("timestamp"))
    db.execute(
        "UPDATE agent_runs SET git_commit_hash = ?, git_commit_source = ?, git_commit_author = ?, git_commit_timestamp = ?,"
        " git_repo = coalesce(git_repo, ?), updated_at = max(updated_at, ?) WHERE id = ?"
        " AND (git_commit_hash, git_commit_source, git_commit_author, git_commit_timestamp, git_repo) IS NOT (?, ?, ?, ?, coalesce(git_repo, ?))",
        (*commit, data.get("repo"), operation["at"], id_, *commit, data.get("repo")),
    )


def _enter(db: sqlite3.Connection, operation: Data, entry: Data) -> None:
    row = {**entry, "associated_at": operation["at"], "op_id": operation["op_id"]}
    db.execute(
        f"INSERT INTO run_commits ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
        tuple(row.values()),
    )


def _descendants_without_commit(
    db: sqlite3.Connection, event_id: str, run_id: str
) -> list[tuple[int, str]]:
    return db.execute(
        """WITH RECURSIVE tree (event_id, run_id) AS (
               VALUES (?, ?)
               UNION
               SELECT child.event_id, child.run_id FROM agent_runs AS child JOIN tree ON child.parent_run_id IN (tree.event_id, tree.run_id)
           )
           SELECT id, event_id FROM agent_runs JOIN tree USING (event_id) WHERE event_id <> ? AND git_commit_hash IS NULL ORDER BY id""",
        (event_id, run_id, event_id),
    ).fetchall()


def rewrite(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """Commits that took the place of others: every association of an old one is carried on to its new one.

    `pairs` are [old, new] in git's order; `facts` what is known of a new one (author, timestamp). Of the old ones, those in `living` are
    not superseded: a branch still reaches them. Said twice, it changes nothing.
    """
    pairs: list[list[str]] = data["pairs"]  # type: ignore[assignment]
    facts: dict[str, dict[str, str]] = data["facts"]  # type: ignore[assignment]
    living = set(data.get("living", ()))  # type: ignore[call-overload]
    made = {new for old, new in pairs if old in living and _is_produced(db, new)}
    carried = 0
    for old, new in pairs:
        if old != new:
            # Where a run made the new commit, the run of a living old one keeps its own.
            moves = not (old in living and new in made)
            carried += _carry(
                db,
                operation,
                old,
                new,
                facts.get(new, {}),
                supersedes=old not in living,
                moves=moves,
            )
    return {"status": "success", "pairs": len(pairs), "carried": carried}


def _is_produced(db: sqlite3.Connection, sha: str) -> bool:
    return (
        db.execute(
            "SELECT 1 FROM run_commits WHERE commit_hash = ? AND role = 'produced'", (sha,)
        ).fetchone()
        is not None
    )


def _carry(
    db: sqlite3.Connection,
    operation: Data,
    old: str,
    new: str,
    facts: dict[str, str],
    *,
    supersedes: bool,
    moves: bool,
) -> int:
    """Carry the associations of one commit on; those that were carried to just this one before are done. Returns how many there were."""
    names = abbreviate(old)
    is_old = f"commit_hash IN ({','.join('?' * len(names))})"
    rows = db.execute(
        f"SELECT {','.join(_CARRIED)} FROM run_commits WHERE id IN"
        f" (SELECT max(id) FROM run_commits WHERE {is_old} AND superseded_by IS NOT ? GROUP BY event_id, role) ORDER BY id",
        (*names, new),
    ).fetchall()
    if supersedes:
        db.execute(
            f"UPDATE run_commits SET superseded_by = ? WHERE {is_old} AND superseded_by IS NOT ?",
            (new, *names, new),
        )
    for row in rows:
        entry: dict[str, object] = {**dict(zip(_CARRIED, row, strict=True)), "commit_hash": new}
        # A rebase keeps the author; the time is the new commit's own, and null where it is not known.
        entry |= {
            "author": facts.get("author", entry["author"]),
            "timestamp": facts.get("timestamp"),
        }
        there = (entry["event_id"], new, entry["role"])
        if not db.execute(
            "SELECT 1 FROM run_commits WHERE event_id = ? AND commit_hash = ? AND role = ? AND superseded_by IS NULL",
            there,
        ).fetchone():
            _enter(db, operation, entry)
        if moves:
            db.execute(
                "UPDATE agent_runs SET git_commit_hash = ?, git_commit_author = ?, git_commit_timestamp = ?, updated_at = max(updated_at, ?)"
                f" WHERE event_id = ? AND git_{is_old}",
                (
                    new,
                    entry["author"],
                    entry["timestamp"],
                    operation["at"],
                    entry["event_id"],
                    *names,
                ),
            )
    return len(rows)
