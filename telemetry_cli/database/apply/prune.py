"""The operation that takes old runs away.

It stands in the journal behind the operations that made them, so replaying the journal takes them away again. A run that is
recorded or imported again behind it is a new wish, and stays until the next one.
"""

import sqlite3

from telemetry_cli.database import prunable, search
from telemetry_cli.database.apply.result import Data, Result


def runs(db: sqlite3.Connection, _operation: Data, data: Data) -> Result:
    """Delete the runs that started before a time and run no more, and all that is about them."""
    before = str(data["before"])
    counts = prunable.counts(db, before)
    search.remove_where(db, prunable.WHERE, (before,))
    for table, where in prunable.ABOUT_RUNS.items():
        db.execute(f"DELETE FROM {table} WHERE {where}", {"before": before})
    db.execute("CREATE TEMP TABLE pruned AS " + prunable.EVENT_IDS, {"before": before})
    db.execute(f"DELETE FROM agent_runs WHERE {prunable.WHERE}", (before,))
    # Not before: a feature row stays as long as the run that it is about.
    for table in ("features", "hook_silences"):
        db.execute(
            f"DELETE FROM {table} WHERE subject_id IN (SELECT event_id FROM pruned) AND {prunable.ABOUT_A_RUN}"
        )
    db.execute("DROP TABLE pruned")
    return {"status": "pruned", "before": before, **counts}
