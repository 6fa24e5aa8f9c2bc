"""The Python client in a process that is running already, for comparison with floor_client.py.

Usage: in_process.py FOLDER TIMES prepare|start_run|log_event|end_run ROUND; `prepare` starts the runs that `end_run` ends.
"""

import sys

from telemetry_cli import TelemetryClient

base, times, what, number = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
client = TelemetryClient(base, discover_git=False)
names = [f"bench-{number}-{count}" for count in range(times)]
if what == "log_event":
    client.start_run("bench", "bench", event_id="bench", run_id="bench")
for name in names:
    match what:
        case "prepare" | "start_run":
            done = bool(client.start_run("bench", "bench", event_id=name, run_id=name))
        case "log_event":
            done = client.log_event("bench", "checkpoint", {"step": 1})
        case _:
            done = client.end_run(name)
    assert done, client.get_stats()
