"""The floor under `telemetry query -o json`: the newest 50 rows of agent_runs, as JSON. Usage: floor_read.py DATABASE"""

import json
import sqlite3
import sys

db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
db.row_factory = sqlite3.Row
rows = db.execute("select * from agent_runs order by created_at desc, id desc limit 50").fetchall()
sys.stdout.write(json.dumps([dict(row) for row in rows]) + "\n")
