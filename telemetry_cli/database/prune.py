"""Count and delete old runs, and the rows of other tables that are about them."""

import sqlite3

from telemetry_cli.database import search

#: The runs: started before a time, and not running, however long ago they started.
WHERE = "start_time < ? AND status <> 'running'"
EVENT_IDS = "SELECT event_id FROM agent_runs WHERE start_time < :before AND status <> 'running'"

#: Table → which rows of it go with those runs.
ABOUT_RUNS = {
    "run_events": f"event_id IN ({EVENT_IDS}) OR (event_id IS NULL AND timestamp < :before)",
    "run_commits": f"event_id IN ({EVENT_IDS})",
    "legacy_values": f"event_id IN ({EVENT_IDS})",
}
_COUNTED = {"run_events": "events", "run_commits": "commits"}
#: Of what hooks said: that the subject is a run, and no record of --input that happens to have its id.
ABOUT_A_RUN = "hook_run IN (SELECT id FROM hook_runs WHERE input_kind = 'runs')"
_FEATURES = f"SELECT count(*) FROM features WHERE subject_id IN ({EVENT_IDS}) AND {ABOUT_A_RUN}"


def counts(db: sqlite3.Connection, before: str) -> dict[str, object]:
    """Return how many runs, events, commits and feature rows `delete` would delete."""
    found: dict[str, object] = {
        "runs": db.execute(f"SELECT count(*) FROM agent_runs WHERE {WHERE}", (before,)).fetchone()[
            0
        ]
    }
    for table, name in _COUNTED.items():
        found[name] = db.execute(
            f"SELECT count(*) FROM {table} WHERE {ABOUT_RUNS[table]}", {"before": before}
        ).fetchone()[0]
    found["features"] = db.execute(_FEATURES, {"before": before}).fetchone()[0]
    return found


def delete(db: sqlite3.Connection, before: str) -> dict[str, object]:
    """Delete the finished runs that started before a time, and all rows about them.

    Returns the counts of what was deleted.
    """
    found = counts(db, before)
    search.remove_where(db, WHERE, (before,))
    for table, where in ABOUT_RUNS.items():
        db.execute(f"DELETE FROM {table} WHERE {where}", {"before": before})
    db.execute("CREATE TEMP TABLE pruned AS " + EVENT_IDS, {"before": before})
    db.execute(f"DELETE FROM agent_runs WHERE {WHERE}", (before,))
    # Last, because a feature row stays as long as the run that it is about.
    for table in ("features", "hook_silences"):
        db.execute(
            f"DELETE FROM {table}"
            f" WHERE subject_id IN (SELECT event_id FROM pruned) AND {ABOUT_A_RUN}"
        )
    db.execute("DROP TABLE pruned")
    return found
