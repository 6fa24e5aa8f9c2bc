"""The floor under the Python client: the same append and commit in bare Python, in a process that is running already.

A line appended under a lock and flushed, then a row and the cursor committed to SQLite (rollback journal, synchronous=EXTRA), with
descriptors and connection kept open. Usage: floor_client.py FOLDER TIMES
"""

import fcntl
import json
import os
import sqlite3
import sys
import time
import zlib

base, times = sys.argv[1], int(sys.argv[2])
os.makedirs(base, 0o700, exist_ok=True)
journal = os.open(base + "/journal.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
lock = os.open(base + "/writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
db = sqlite3.connect(base + "/floor.sqlite", isolation_level=None, timeout=10)
db.execute("pragma synchronous=extra")
if db.execute("pragma user_version").fetchone()[0] == 0:
    db.executescript(
        "create table runs(id integer primary key, event_id text not null unique, run_id text not null, agent_name text not null,"
        " job_type text not null, start_time text not null, status text not null, created_at text not null);"
        "create index by_created on runs(created_at);create index by_agent on runs(agent_name, status, created_at);"
        "create index by_run on runs(run_id);create table cursor(offset integer);insert into cursor values(0);pragma user_version=1;"
    )


def record() -> None:
    """One durable record."""
    event_id = os.urandom(16).hex()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    data = {
        "event_id": event_id,
        "run_id": event_id,
        "agent_name": "floor",
        "job_type": "floor",
        "start_time": now,
        "status": "running",
    }
    line = json.dumps({"op": "run.create", "at": now, "data": data}, separators=(",", ":")).encode()
    line = line[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(line)
    fcntl.flock(journal, fcntl.LOCK_EX)
    os.write(journal, line)
    os.fdatasync(journal)
    offset = os.fstat(journal).st_size
    fcntl.flock(journal, fcntl.LOCK_UN)
    fcntl.flock(lock, fcntl.LOCK_EX)
    db.execute("begin immediate")
    db.execute(
        "insert into runs(event_id, run_id, agent_name, job_type, start_time, status, created_at) values(?,?,?,?,?,?,?) on conflict(event_id) do nothing",
        (event_id, event_id, "floor", "floor", now, "running", now),
    )
    db.execute("update cursor set offset=?", (offset,))
    db.execute("commit")
    fcntl.flock(lock, fcntl.LOCK_UN)


for _ in range(times):
    record()
