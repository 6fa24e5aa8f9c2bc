"""What the reliability tests do to a base behind the program's back: lines by hand, locks held by others, damage; and what must hold afterwards."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import Ran, Telemetry
from telemetry_cli.core.config import Config
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.journal.segments import decode, encode
from telemetry_cli.store import Store

AT = "2026-01-02T03:04:05.678Z"
NAMED = ("--agent-name", "tester", "--job-type", "job")
START = ("run", "start", *NAMED, "--no-git")

#: What a helper process does before it says "held"; it lets go when its stdin closes.
EXCLUSIVE = "import sqlite3; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN EXCLUSIVE')"
TRANSACTION = "import sqlite3; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN IMMEDIATE'); db.execute('UPDATE agent_runs SET host = 1')"
READING = "import sqlite3; db = sqlite3.connect(sys.argv[1], isolation_level=None); cursor = db.execute('SELECT * FROM sqlite_schema'); cursor.fetchone()"
FLOCKED = "import fcntl, os; descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600); fcntl.flock(descriptor, fcntl.LOCK_EX)"


@contextmanager
def held(what: str, path: Path) -> Iterator[None]:
    """Another process holds a lock for as long as this lasts."""
    script = f"import sys; {what}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        yield


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """The folder bind-mounted onto itself, read-only."""
    if (
        os.geteuid()
        or not shutil.which("mount")
        or subprocess.run(["mount", "--bind", path, path], capture_output=True).returncode
    ):
        pytest.skip("a bind mount needs privileges")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


# Lines by hand


class _InMemory(sqlite3.Connection):
    def __del__(self) -> None:
        self.close()


def connect_in_memory() -> sqlite3.Connection:
    """Open an empty database in memory that closes itself: a property makes thousands of them.

    The garbage collector may close it in any thread that runs at that moment.
    """
    return sqlite3.connect(
        ":memory:", isolation_level=None, factory=_InMemory, check_same_thread=False
    )


def operation(kind: str, number: int, **data: object) -> dict[str, object]:
    """An operation whose op_id is made of a number."""
    if kind == "run.create":
        data = {"schema_version": 8} | data
    return {"op_id": f"{number:032x}", "op": kind, "at": AT, "actor": "tester@here", "data": data}


def create(number: int, event_id: str, **data: object) -> bytes:
    """The line of a run.create."""
    named = {
        "run_id": f"run-{event_id}",
        "agent_name": "tester",
        "job_type": "job",
        "status": "running",
        "start_time": AT,
    }
    return encode(operation("run.create", number, event_id=event_id, **named | data))


def segment(telemetry: Telemetry) -> Path:
    """The segment that is appended to."""
    return max(telemetry.raw.glob("ops_*.ndjson"))


def append(telemetry: Telemetry, *lines: bytes) -> None:
    """Put bytes behind the newest segment, as a writer does that died before its drain."""
    with segment(telemetry).open("ab") as file:
        file.writelines(lines)


def next_day(telemetry: Telemetry, day: str) -> None:
    """Let the journal go on in a new segment."""
    (telemetry.raw / f"ops_{day}.ndjson").touch(0o600)


def journal_lines(telemetry: Telemetry) -> list[bytes]:
    """Every line of every segment, newline included."""
    return [
        line
        for path in sorted(telemetry.raw.glob("ops_*.ndjson"))
        for line in path.read_bytes().splitlines(keepends=True)
    ]


def journaled(telemetry: Telemetry) -> list[str]:
    """The event_ids of the run.create lines that stand in the journal."""
    operations = filter(None, map(decode, journal_lines(telemetry)))
    return [str(found["data"]["event_id"]) for found in operations if found["op"] == "run.create"]  # type: ignore[index]


def flip(path: Path, offset: int, bit: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def make_newer(db: sqlite3.Connection) -> None:
    """Make the database one that a newer telemetry wrote: it says so beside its migrations, and in its header."""
    with db:
        db.execute("INSERT INTO schema_migrations VALUES (99, ?, 'newer')", (AT,))
        db.execute("PRAGMA user_version = 99")


# What must hold


def ids(telemetry: Telemetry) -> list[str]:
    """The event_ids that the program finds, in order."""
    return sorted(telemetry("query", "-o", "ids", "--limit", "0").out.split())


def waiting(telemetry: Telemetry) -> list[str]:
    """The names in the buffer."""
    return (
        sorted(path.name for path in telemetry.buffer.glob("*"))
        if telemetry.buffer.is_dir()
        else []
    )


def started(ran: Ran) -> str:
    """The event_id that `run start` printed, acknowledged."""
    assert ran.code == 0, ran
    return ran.line


def assert_sound(telemetry: Telemetry) -> None:
    """The database passes SQLite's check, no transaction is left over, and nobody holds a lock."""
    assert telemetry.sql("PRAGMA integrity_check") == [("ok",)]
    assert telemetry.sql("PRAGMA foreign_key_check") == []
    assert not Path(f"{telemetry.database}-journal").exists()
    for lock in (telemetry.raw / ".lock", Path(f"{telemetry.database}.lock")):
        assert is_free(lock), f"{lock} is held"
    db = sqlite3.connect(telemetry.database, timeout=0, isolation_level=None)
    try:
        db.execute("BEGIN EXCLUSIVE")
        db.execute("ROLLBACK")
    finally:
        db.close()


def is_free(lock: Path) -> bool:
    """Tell whether a lock file can be locked at once."""
    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


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
