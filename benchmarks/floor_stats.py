"""The floor under `telemetry stats`: the same counts and sums by one aggregate. Usage: floor_stats.py DATABASE [FIELD]"""

import sqlite3
import sys

STATUSES = ("running", "success", "failure", "partial", "timeout", "cancelled")
ITEMS = ("items_discovered", "items_succeeded", "items_failed", "items_skipped")
figures = ", ".join(
    [
        *(f"sum(status = '{status}')" for status in STATUSES),
        "avg(duration_ms)",
        "max(duration_ms)",
        *(f"sum({name})" for name in ITEMS),
    ]
)
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
field = sys.argv[2] if len(sys.argv) > 2 else "NULL"
for row in db.execute(f"SELECT {field}, count(*), {figures} FROM agent_runs GROUP BY 1"):
    print(row)
