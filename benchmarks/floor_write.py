"""The floor under every write: the least a CPython program can do to make one durable record.

A journal line appended under a lock and flushed, then one row and the journal cursor committed to SQLite (rollback
journal, synchronous=EXTRA). It checks nothing and explains nothing. Usage: floor_write.py FOLDER
"""

import fcntl
import json
import os
import sqlite3
import sys
import time
import zlib

base = sys.argv[1]
os.makedirs(base, 0o700, exist_ok=True)
event_id = os.urandom(16).hex()
now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
record = {
    "op": "run.create",
    "at": now,
    "data": {
        "event_id": event_id,
        "run_id": event_id,
        "agent_name": "floor",
        "job_type": "floor",
        "start_time": now,
        "status": "running",
    },
}
line = json.dumps(record, separators=(",", ":")).encode()
line = line[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(line)
journal = os.open(base + "/journal.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
fcntl.flock(journal, fcntl.LOCK_EX)
os.write(journal, line)
os.fdatasync(journal)
offset = os.fstat(journal).st_size
fcntl.flock(journal, fcntl.LOCK_UN)
lock = os.open(base + "/writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(lock, fcntl.LOCK_EX)
db = sqlite3.connect(base + "/floor.sqlite", isolation_level=None, timeout=10)
if db.execute("pragma user_version").fetchone()[0] == 0:
    db.executescript(
        "create table runs(id integer primary key, event_id text not null unique, run_id text not null, agent_name text not null,"
        " job_type text not null, start_time text not null, status text not null, created_at text not null);"
        "create index by_created on runs(created_at);create index by_agent on runs(agent_name, status, created_at);"
        "create index by_run on runs(run_id);create table cursor(offset integer);insert into cursor values(0);pragma user_version=1;"
    )
db.execute("pragma synchronous=extra")
db.execute("begin immediate")
db.execute(
    "insert into runs(event_id, run_id, agent_name, job_type, start_time, status, created_at) values(?,?,?,?,?,?,?) on conflict(event_id) do nothing",
    (event_id, event_id, "floor", "floor", now, "running", now),
)
db.execute("update cursor set offset=?", (offset,))
db.execute("commit")
sys.stdout.write(event_id + "\n")
