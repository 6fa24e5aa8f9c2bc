"""Questions about commits: the ledger of which run is associated with which commit, and which run a commit belongs to."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from telemetry_cli.core.errors import TelemetryError
from telemetry_cli.database.filters import ENTERED, match_commit
from telemetry_cli.database.runs import Row, resolve

COLUMNS = (
    "id",
    "event_id",
    "commit_hash",
    "role",
    "source",
    "author",
    "timestamp",
    "repo",
    "branch",
    "associated_at",
    "superseded_by",
    "op_id",
)


def ledger(
    db: sqlite3.Connection, event_id: str | None = None, prefix: str | None = None
) -> list[Row]:
    """The associations of a run, of a commit, or of both, oldest first."""
    terms: list[str] = []
    values: list[object] = []
    if event_id is not None:
        terms.append("event_id = ?")
        values.append(event_id)
    if prefix is not None:
        term, named = match_commit(prefix)
        terms.append(term)
        values += named
    rows = db.execute(
        f"SELECT * FROM run_commits WHERE {' AND '.join(terms)} ORDER BY id", values
    ).fetchall()
    return [dict(row) for row in rows]


def behind(db: sqlite3.Connection, commits: Iterable[str]) -> dict[str, list[Row]]:
    """SHA → the runs behind it (event_id, agent_name, job_type, role, source), each once per role, oldest first. One query, however many SHAs."""
    rows = db.execute(
        f"""WITH {ENTERED},
            last AS (SELECT sha, max(id) AS id FROM entered GROUP BY sha, event_id, role)
            SELECT sha, event_id, agent_name, job_type, run_commits.role, source
            FROM last JOIN run_commits USING (id) JOIN agent_runs USING (event_id)
            ORDER BY run_commits.id""",
        (json.dumps(list(commits)),),
    ).fetchall()
    found: dict[str, list[Row]] = {}
    for sha, *values in rows:
        found.setdefault(sha, []).append(
            dict(zip(("event_id", "agent_name", "job_type", "role", "source"), values, strict=True))
        )
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
        found.setdefault(sha, []).append(
            {"event_id": event_id, "repo": its_repo, "git_dir": git_dir}
        )
    return found


def known(db: sqlite3.Connection) -> dict[str, tuple[set[str], int | None]]:
    """Return every commit of the ledger: SHA → the event ids of its runs, and where in the ledger a run first produced it (None: nowhere)."""
    found: dict[str, tuple[set[str], int | None]] = {}
    for sha, event_id, since in db.execute(
        "SELECT commit_hash, event_id, min(CASE role WHEN 'produced' THEN id END) FROM run_commits GROUP BY commit_hash, event_id"
    ):
        runs, first = found.get(sha, (set(), None))
        found[sha] = (
            runs | {event_id},
            min((id_ for id_ in (first, since) if id_ is not None), default=None),
        )
    return found


def open_runs(db: sqlite3.Connection, wanted: Mapping[str, object]) -> list[Row]:
    """The runs still running that were started in a work tree of a repository, newest first, each with the process that will end it.

    wanted: `git_dir` is the work tree's own git directory, `common_dir` the repository's; without it only the one work tree counts.
    """
    below = f"{wanted['common_dir']}/worktrees/" if "common_dir" in wanted else None
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    rows = cursor.execute(
        # A wrapped command's run is known by what `run exec` alone puts into its context.
        "SELECT id, event_id, run_id, start_time, git_dir, host, pid, process_started, boot_id,"
        " pid IS NOT NULL AND instr(context_json, '\"process.command_args\":') > 0 AS is_wrapped"
        " FROM agent_runs WHERE status = 'running' AND (git_dir IN (:git_dir, :common_dir)"
        " OR (substr(git_dir, 1, length(:below)) = :below AND instr(substr(git_dir, length(:below) + 1), '/') = 0))"
        " ORDER BY start_time DESC, id DESC",
        {"git_dir": wanted["git_dir"], "common_dir": wanted.get("common_dir"), "below": below},
    ).fetchall()
    return [dict(row) for row in rows]


def named_run(db: sqlite3.Connection, reference: object, moment: str) -> Row | None:
    """Return the run that a reference names at a moment (a stored time), if it is still running."""
    if not reference:
        return None
    try:
        id_, event_id, run_id, _ = resolve(db, str(reference), moment)
    except TelemetryError:
        return None
    is_running = db.execute(
        "SELECT 1 FROM agent_runs WHERE id = ? AND status = 'running'", (id_,)
    ).fetchone()
    return {"id": id_, "event_id": event_id, "run_id": run_id} if is_running else None


def choose_run(rows: Sequence[Row], wanted: Mapping[str, object]) -> Row | None:
    """The run that a commit belongs to: of the runs that are open, the newest of the same work tree, else the only one of another."""
    candidates = [row for row in rows if _is_open(row, wanted)]
    here = [row for row in candidates if row["git_dir"] == wanted["git_dir"]]
    if here:
        return here[0]
    return candidates[0] if len(candidates) == 1 else None


def _is_open(row: Row, wanted: Mapping[str, object]) -> bool:
    """Tell whether a running run counts for a commit that was made as `wanted` says.

    Its process was not found `gone`; without one, it began not before `since`. It was started on the same machine. A wrapped
    command's run counts inside its process tree alone: `inside` lists the processes around the commit.
    """
    gone, inside = wanted["gone"], wanted.get("inside")
    assert isinstance(gone, list)
    if row["event_id"] in gone or not _is_of_this_machine(row, wanted):
        return False
    if (
        row["is_wrapped"]
        and isinstance(inside, list)
        and [row["pid"], row["process_started"]] not in inside
    ):
        return False
    if row["pid"] is None:
        return str(row["start_time"]) >= str(wanted["since"])
    return (
        row["boot_id"] is None
        or wanted.get("boot_id") is None
        or row["boot_id"] == str(wanted["boot_id"]).partition("@")[0]
    )


def _is_of_this_machine(row: Row, wanted: Mapping[str, object]) -> bool:
    """Compare boots and machines, `BOOT/NAMESPACE@MACHINE`; the host's name counts only where one of the two has neither."""
    if not row["boot_id"] or not wanted.get("boot_id"):
        return row["host"] == wanted.get("host")
    (process, _, machine), (our_process, _, our_machine) = (
        str(place["boot_id"]).partition("@") for place in (row, wanted)
    )
    boot, our_boot = process.partition("/")[0], our_process.partition("/")[0]
    return bool((boot and boot == our_boot) or (machine and machine == our_machine))


def rejected(db: sqlite3.Connection, text: str) -> list[Row]:
    """The operations that broke a rule and hold this text, oldest first: kind, message, operation."""
    rows = db.execute(
        "SELECT kind, message, operation FROM rejected_ops WHERE instr(operation, ?) ORDER BY id",
        (text,),
    ).fetchall()
    return [dict(row) for row in rows]


def ledger_of(db: sqlite3.Connection, event_ids: Sequence[str]) -> dict[object, list[Row]]:
    """The associations of some hundreds of runs, oldest first: event_id → associations."""
    found: dict[object, list[Row]] = {}
    question = f"SELECT * FROM run_commits WHERE event_id IN ({','.join('?' * len(event_ids))}) ORDER BY id"
    for row in db.execute(question, event_ids).fetchall():
        found.setdefault(row["event_id"], []).append(dict(row))
    return found
