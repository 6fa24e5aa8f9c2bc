"""Databases of many runs, made fast: an empty base by the program, then rows put straight into its tables by SQL.

Nothing is appended to the journal, so that its cursor stays where the program left it and no read has anything to drain.
The same size and schema is made once per data folder.
"""

import os
import shutil
import sqlite3
import time
import zlib
from pathlib import Path

from benchmarks.measure import run, say
from benchmarks.world import World

#: Dimension → its values; run number n takes value n × stride modulo their count (a prime stride mixes the dimensions).
_VALUES = {
    "agents": (
        "seo-writer",
        "translator",
        "reviewer",
        "release-bot",
        "claude-code",
        "codex",
        "indexer",
        "nightly",
        "github-actions",
        "crawler",
        "tagger",
    ),
    "jobs": (
        "build",
        "test",
        "deploy",
        "write_article",
        "translate",
        "review",
        "index",
        "scrape",
        "summarise",
        "lint",
        "backup",
        "publish",
        "sync",
    ),
    "statuses": ("success",) * 13
    + ("failure", "failure", "partial", "timeout", "cancelled", "running"),
    "products": ("cells", "words", "slides", "pdf", "email", "imaging", None),
    "repos": tuple(f"https://github.com/example/repo-{number}.git" for number in range(23)),
    "branches": (
        "main",
        "main",
        "main",
        "develop",
        "release/1.x",
        *(f"feature/{number}" for number in range(32)),
    ),
}

_RUNS = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
INSERT INTO agent_runs (
    event_id, run_id, schema_version, op_id, created_at, updated_at, start_time, end_time, agent_name, job_type, status,
    agent_owner, product, platform, host, environment, trigger_type, item_name, input_summary, output_summary, error_summary,
    items_discovered, items_succeeded, items_failed, duration_ms, git_repo, git_branch, git_run_tag, git_dir, git_commit_hash,
    git_commit_source, git_commit_author, git_commit_timestamp, metrics_json, context_json, parent_run_id
)
SELECT
    event_id, strftime('%Y%m%dT%H%M%SZ-', started, 'unixepoch') || agent || '-' || substr(event_id, 1, 8), :version, printf('%012x%020x', started * 1000, n),
    start_time, end_time, start_time, CASE WHEN status <> 'running' THEN end_time END, agent, job, status,
    'team-' || (n % 5), product, CASE n % 3 WHEN 0 THEN 'linux' WHEN 1 THEN 'macos' END, 'host-' || (n % 40), CASE n % 4 WHEN 0 THEN 'prod' ELSE 'ci' END,
    CASE n % 2 WHEN 0 THEN 'schedule' ELSE 'push' END, 'item ' || n, 'Handle item ' || n || ' of the batch', CASE status WHEN 'success' THEN 'Done' END,
    CASE status WHEN 'failure' THEN 'The command failed with exit code ' || (n % 7) END, n % 50, n % 50 - n % 3 * (n % 50 >= 3), n % 3 * (n % 50 >= 3),
    elapsed, repo, branch, 'repo/' || branch, '/home/ci/work/.git', CASE WHEN n % 3 = 0 THEN sha END, CASE WHEN n % 3 = 0 THEN 'ci' END,
    CASE WHEN n % 3 = 0 THEN printf('Dev %d <dev%d@example.org>', n % 60, n % 60) END, CASE WHEN n % 3 = 0 THEN end_time END,
    printf('{"cost":%.4f,"model":"m-%d","tokens":%d}', n % 977 / 311.0, n % 4, n % 20011), CASE n % 2 WHEN 0 THEN '{}' ELSE printf('{"attempt":%d}', n % 4) END,
    CASE WHEN n % 10 = 7 THEN 'parent-' || (n / 1000) END
FROM (
    SELECT n, agents.value AS agent, jobs.value AS job, statuses.value AS status, products.value AS product, repos.value AS repo, branches.value AS branch,
        printf('%08x-%04x-4%03x-a%03x-%012x', n * 2654435761 & 4294967295, n * 40503 & 65535, n * 2531 & 4095, n * 1979 & 4095,
            n * 87178291199 & 281474976710655) AS event_id,
        printf('%08x%016x%016x', n * 2246822519 & 4294967295, n * 668265263993, n * 374761393877) AS sha,
        :began + (n - 1) * :span / :count AS started, n * 7919 % 600011 AS elapsed,
        strftime('%Y-%m-%dT%H:%M:%fZ', :began + (n - 1) * :span / :count + n % 1000 / 1000.0, 'unixepoch') AS start_time,
        strftime('%Y-%m-%dT%H:%M:%fZ', :began + (n - 1) * :span / :count + n % 1000 / 1000.0 + n * 7919 % 600011 / 1000.0, 'unixepoch') AS end_time
    FROM numbers
    CROSS JOIN agents ON agents.id = n % (SELECT count(*) FROM agents)
    CROSS JOIN jobs ON jobs.id = n * 3 % (SELECT count(*) FROM jobs)
    CROSS JOIN statuses ON statuses.id = n * 5 % (SELECT count(*) FROM statuses)
    CROSS JOIN products ON products.id = n * 11 % (SELECT count(*) FROM products)
    CROSS JOIN repos ON repos.id = n * 13 % (SELECT count(*) FROM repos)
    CROSS JOIN branches ON branches.id = n * 17 % (SELECT count(*) FROM branches)
)
"""
_EVENTS = """
INSERT INTO run_events (event_id, run_id, event_type, timestamp, payload_json, op_id)
SELECT event_id, run_id, CASE id % 2 WHEN 0 THEN 'checkpoint' ELSE 'retry' END, start_time, printf('{"step":%d}', id % 9), op_id
FROM agent_runs WHERE id % 4 = 0
"""
_COMMITS = """
INSERT INTO run_commits (event_id, commit_hash, role, source, author, timestamp, repo, branch, associated_at, op_id)
SELECT event_id, git_commit_hash, 'produced', git_commit_source, git_commit_author, git_commit_timestamp, git_repo, git_branch, updated_at, op_id
FROM agent_runs WHERE git_commit_hash IS NOT NULL
"""
#: The generated runs lie in this year (seconds since the epoch, seconds), so that whatever is recorded later is newer.
_BEGAN, _SPAN = 1_735_689_600, 365 * 86400


def database(world: World, data: Path, count: int) -> Path:
    """A base with so many runs, and one that the program itself recorded; made if it is not in `data` yet."""
    empty = world.base()
    run(world.start(empty, "--no-git"))
    base = data / f"runs-{count}-{_schema(empty)}"
    if base.exists():
        return base
    say(f"making {base} …")
    began = time.monotonic()
    unfinished = base.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.move(empty, unfinished)
    fill(unfinished / "db" / "telemetry.sqlite", count)
    unfinished.rename(base)
    os.sync()  # the kernel must not write it back while something is measured
    say(f"made in {time.monotonic() - began:.0f} s")
    return base


def _schema(base: Path) -> str:
    """A fingerprint of the tables and of this module's SQL: what makes an older database unfit."""
    db = sqlite3.connect(base / "db" / "telemetry.sqlite")
    try:
        statements = [
            row[0]
            for row in db.execute(
                "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
            )
        ]
    finally:
        db.close()
    return f"{zlib.crc32(''.join((*statements, _RUNS, _EVENTS, _COMMITS, repr(_VALUES))).encode()):08x}"


def fill(path: Path, count: int) -> None:
    """Put so many runs, their events and commits into the database. Indexes are made afterwards, which is much faster."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        db.execute("BEGIN")
        indexes = db.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        for name, values in _VALUES.items():
            db.execute(f"CREATE TEMP TABLE {name} (id INTEGER PRIMARY KEY, value TEXT)")
            db.executemany(f"INSERT INTO {name} VALUES (?, ?)", enumerate(values))
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(_RUNS, {"count": count, "version": version, "began": _BEGAN, "span": _SPAN})
        db.execute(_EVENTS)
        db.execute(_COMMITS)
        db.execute("INSERT INTO runs_search (runs_search) VALUES ('rebuild')")
        for _, statement in indexes:
            db.execute(statement)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = DELETE")
    finally:
        db.close()
