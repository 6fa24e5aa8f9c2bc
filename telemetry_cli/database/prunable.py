"""What `db prune` takes away: which runs, and which rows of other tables are about them."""

import sqlite3

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
    """How many runs, events, commits and feature rows that is."""
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
