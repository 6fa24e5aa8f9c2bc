"""What must hold of a base after whatever happened to a command: looked at in this process, for there are thousands of bases to look at."""

import sqlite3
from pathlib import Path

from support.storage import AT, is_free
from telemetry_cli.core.config import Config
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.store import Store

#: A question that gives one value, and the answers that are right.
Fact = tuple[str, tuple[object, ...]]


def wrong_after(base: Path, facts: list[Fact]) -> str:
    """Record another run, as the next command would, and return what is wrong then; empty when nothing is."""
    config = Config(base_dir=str(base))
    next_run = {
        "schema_version": SCHEMA_VERSION,
        "event_id": "next",
        "run_id": "next",
        "agent_name": "a",
        "job_type": "j",
        "status": "running",
        "start_time": AT,
    }
    outcome = Store(config).record("run.create", next_run, AT)
    # On a busy machine a backlog may be more than a command on the fast path applies.
    trouble = Store(config).catch_up() if outcome.buffered else None
    if trouble:
        return f"the next record is buffered: {trouble}"
    for lock in (base / "raw" / ".lock", Path(f"{config.db_path}.lock")):
        if not is_free(lock):
            return f"{lock} is held"
    db = sqlite3.connect(config.db_path)
    try:
        found = db.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            return f"integrity_check: {found}"
        for query, answers in [
            *facts,
            ("SELECT count(*) FROM agent_runs WHERE event_id = 'next'", (1,)),
        ]:
            answer = db.execute(query).fetchone()[0]
            if answer not in answers:
                return f"{query}: {answer!r}, not one of {answers!r}"
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        db.close()
    return ""


def wrong_backups(base: Path, *, at_least: int = 0) -> str:
    """What is wrong with what lies in `backups/` under a backup's name; empty when each is whole, and there are enough."""
    paths = list((base / "backups").glob("*.sqlite"))
    for path in paths:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            # A platform's database, saved before it is migrated, knows of no journal.
            is_ours = db.execute(
                "SELECT 1 FROM sqlite_schema WHERE name = 'journal_cursor'"
            ).fetchone()
            held = "SELECT 1 FROM journal_cursor" if is_ours else "SELECT 1 FROM agent_runs"
            if (
                db.execute("PRAGMA integrity_check").fetchone() != ("ok",)
                or not db.execute(held).fetchone()
            ):
                return f"{path} is no whole backup"
        finally:
            db.close()
    return "" if len(paths) >= at_least else f"{len(paths)} backups, not {at_least}"
