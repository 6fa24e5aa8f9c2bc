"""Databases of the platform whose schema has the versions 1 to 7: brought to ours without losing a row or a value.

All of it in the caller's one transaction, so that there is the old database or the new one and never anything between:
the old tables are renamed, ours are made beside them by the same numbered files as in an empty database, the rows are
copied by the rules of `legacy_rules`, the old tables are dropped. What columns there are is asked of the tables: some
databases lack what their version says.
"""

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping

from telemetry_cli.core import legacy_values as legacy_rules
from telemetry_cli.core.errors import DatabaseTrouble
from telemetry_cli.core.legacy_values import Found, event_id_of
from telemetry_cli.core.values import encode
from telemetry_cli.database.database import quote_name
from telemetry_cli.database.migrate import apply_schema
from telemetry_cli.redaction.redactor import remote_without_credentials

#: The last version that is not ours.
LAST_VERSION = 7
#: What the rows that come from an old database say of the operation that made them.
OP_ID = "legacy"

_ASIDE = "legacy aside "
#: The event_id, run_id and start_time of a run.
_Named = tuple[str, str, str]
_KNOWN_BY = ("run_id", "agent_name", "job_type", "status")
#: Columns of runs and commits that hold the address of a repository.
_ADDRESSES = ("git_repo", "repo")


def version_of(db: sqlite3.Connection) -> int | None:
    """The version of a platform's database, which may be newer than `LAST_VERSION`; None for anything else."""
    tables = {
        str(name).lower()
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    }
    if not tables.issuperset(("agent_runs", "schema_migrations")):
        # A view of that name has columns too, but no rows of its own that could be brought over.
        return None
    columns = {str(row[1]).lower() for row in db.execute("PRAGMA table_info(agent_runs)")}
    noted = {str(row[1]).lower() for row in db.execute("PRAGMA table_info(schema_migrations)")}
    if not columns.issuperset(_KNOWN_BY) or "version" not in noted:
        return None
    found = db.execute("SELECT max(CAST(version AS INTEGER)) FROM schema_migrations").fetchone()[0]
    return 1 if found is None else int(found)


def migrate(db: sqlite3.Connection, path: str, at: str, version: int) -> None:
    """Bring the platform's database to our schema. The caller holds an IMMEDIATE transaction without foreign keys' enforcement.

    `at` stands in `schema_migrations` alone: migrating twice, or on two machines, gives the same rows. Raises
    `DatabaseTrouble` when what came out is not what went in.
    """
    texts = db.text_factory
    db.text_factory = _text
    try:
        aside = _set_aside(db)
        apply_schema(db, at)
        runs = aside.pop("agent_runs")
        copy = _Copy(db, version)
        copy.versions(aside.pop("schema_migrations"))
        copy.runs(runs)
        copy.events(aside.pop("run_events", None))
        copy.commits(aside.pop("commits", None))
        for name, table in aside.items():
            copy.whole_rows(name, table)
        before, after = (
            db.execute(f"SELECT count(*) FROM {quote_name(table)}").fetchone()[0]
            for table in (runs, "agent_runs")
        )
        _drop(db)
        dangling = db.execute("PRAGMA foreign_key_check").fetchone()
        if before != after or dangling:
            raise DatabaseTrouble(
                f"{path} could not be migrated, and is as it was: {after} of {before} runs came over; dangling: {dangling}"
            )
        db.execute("INSERT INTO runs_search (runs_search) VALUES ('rebuild')")
    finally:
        db.text_factory = texts


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _set_aside(db: sqlite3.Connection) -> dict[str, str]:
    """Rename every table out of our way, and drop what hangs on them. Returns old name → where it is now."""
    for kind, name in db.execute(
        "SELECT type, name FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY type DESC"
    ).fetchall():
        db.execute(f"DROP {kind} IF EXISTS {quote_name(name)}")
    aside = {}
    for _, name, kind, *_ in db.execute("PRAGMA main.table_list").fetchall():
        if name.startswith("sqlite_") or kind == "shadow":
            continue
        aside[name.lower()] = _ASIDE + name
        db.execute(f"ALTER TABLE {quote_name(name)} RENAME TO {quote_name(_ASIDE + name)}")
    return aside


def _rows(db: sqlite3.Connection, table: str) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows of a table in the order in which they were made, each with its number from 1 or its rowid."""
    without_rowid = next(
        row[4] for row in db.execute("PRAGMA main.table_list").fetchall() if row[1] == table
    )
    cursor = db.execute(
        f"SELECT * FROM {quote_name(table)}"
        if without_rowid
        else f"SELECT rowid, * FROM {quote_name(table)} ORDER BY rowid"
    )
    names = [column[0] for column in cursor.description]
    for number, row in enumerate(cursor, 1):
        yield (
            (number, dict(zip(names, row, strict=True)))
            if without_rowid
            else (row[0], dict(zip(names[1:], row[1:], strict=True)))
        )


def _strip_credentials(row: dict[str, object]) -> dict[str, object]:
    """Return a row without credentials in its addresses, as an import stores them."""
    return {
        name: (remote_without_credentials(value) or None)
        if name.lower() in _ADDRESSES and isinstance(value, str)
        else value
        for name, value in row.items()
    }


def _found(row: Mapping[str, object]) -> Found:
    """A row whose columns are asked for as SQLite knows them, in any case."""
    return Found({name.lower(): value for name, value in row.items()})


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, object]) -> None:
    db.execute(
        f"INSERT INTO {table} ({','.join(map(quote_name, row))}) VALUES ({','.join('?' * len(row))})",
        tuple(row.values()),
    )


class _Copy:
    """Copies old rows into the new tables."""

    def __init__(self, db: sqlite3.Connection, version: int) -> None:
        self._db = db
        self._version = version
        #: What old rows call a run that has another name now → its event_id.
        self._renamed: dict[str, str] = {}

    def versions(self, table: str) -> None:
        """The versions that the old database has been through, before ours; what is none of them, or one of them again, is kept whole."""
        into = "INSERT OR IGNORE INTO schema_migrations (version, applied_at, description) VALUES (?, ?, ?)"
        for number, row in _rows(self._db, table):
            found = _found(row)
            version, applied_at, description = (
                found.integer("version"),
                found.text("applied_at"),
                found.text("description"),
            )
            if (
                0 < version <= LAST_VERSION
                and self._db.execute(into, (version, applied_at or "", description or "")).rowcount
            ):
                self._keep(None, found, f"schema_migrations[{number}].")
            else:
                self._keep_whole(f"schema_migrations[{number}]", row, None)

    def runs(self, table: str) -> None:
        """Every run, with what has no place in one; order and content decide about ids, so that they agree everywhere."""
        numbered = any(
            row[1].lower() == "id" and row[2].upper() == "INTEGER" and row[5]
            for row in self._db.execute(f"PRAGMA table_info({quote_name(table)})")
        )
        for number, row in _rows(self._db, table):
            found = _found(_strip_credentials(row))
            called = [name for name in (found.raw("run_id"), found.raw("event_id")) if name]
            run = _run(found, self._version, self._event_id(found)) | (
                {"id": number} if numbered else {}
            )
            _insert(self._db, "agent_runs", run)
            self._renamed |= {
                name: str(run["event_id"])
                for name in called
                if name not in (run["run_id"], run["event_id"])
            }
            self._keep(run["event_id"], found)
        self._db.executemany(
            "UPDATE agent_runs SET parent_run_id = ? WHERE parent_run_id = ?",
            [(new, old) for old, new in self._renamed.items()],
        )

    def _event_id(self, found: Found) -> str:
        """The row's own event_id; where there is none, or another row has it, one derived from its run_id."""
        run_id, said = found.raw("run_id"), found.raw("event_id")
        own = found.event_id("event_id")
        if own and not self._is_taken(own):
            return own
        if own:
            found.instead("event_id", own, None)
        name, number = run_id or said or "", 1
        while self._is_taken(made := event_id_of(name if number == 1 else f"{name}\n{number}")):
            number += 1
        return made

    def _is_taken(self, event_id: str) -> bool:
        return (
            self._db.execute("SELECT 1 FROM agent_runs WHERE event_id = ?", (event_id,)).fetchone()
            is not None
        )

    def _keep(self, event_id: object, found: Found, where: str = "") -> None:
        for column, value in found.left().items():
            _insert(
                self._db,
                "legacy_values",
                {"event_id": event_id, "column": where + column, "value": value},
            )

    def _run_of(self, found: Found) -> _Named | None:
        """The run that an old row is about: its event_id names one alone, a run_id the first of those that have it.

        An id that is the run's own is taken; one that names another run, or none, is left to be kept.
        """
        run = self._run_called(found.raw("event_id")) or self._run_called(found.raw("run_id"))
        for column in ("event_id", "run_id") if run else ():
            if run and found.raw(column) in (run[0], run[1], ""):
                found.text(column)
        return run

    def _run_called(self, name: str | None) -> _Named | None:
        for wanted in filter(None, (name, self._renamed.get(name or ""))):
            for column in ("event_id", "run_id"):
                query = f"SELECT event_id, run_id, start_time FROM agent_runs WHERE {column} = ? ORDER BY id LIMIT 1"
                found: _Named | None = self._db.execute(query, (wanted,)).fetchone()
                if found:
                    return found
        return None

    def events(self, table: str | None) -> None:
        """Every event; one whose run is gone stays without a run."""
        for number, row in _rows(self._db, table) if table else ():
            found = _found(row)
            run = self._run_of(found)
            event_id = run[0] if run else None
            event = legacy_rules.event(found)
            event["timestamp"] = event["timestamp"] or (run[2] if run else legacy_rules.EPOCH)
            event["payload_json"] = (
                encode(event["payload_json"]) if event["payload_json"] is not None else None
            )
            found.integer("id")
            of_run = {
                "event_id": event_id,
                "run_id": run[1] if run else found.run_id("run_id", legacy_rules.UNKNOWN),
                "op_id": OP_ID,
            }
            _insert(self._db, "run_events", of_run | event)
            self._keep(event_id, found, f"run_events[{number}].")

    def commits(self, table: str | None) -> None:
        """Every association, those that stand in the runs alone too; one that cannot stand in the ledger is kept whole."""
        for number, original in _rows(self._db, table) if table else ():
            row = _strip_credentials(original)
            found = _found(row)
            run = self._run_of(found)
            commit = legacy_rules.commit(found, "commit_date")
            if not run or not commit["commit_hash"]:
                self._keep_whole(f"commits[{number}]", row, run[0] if run else None)
                continue
            commit["associated_at"] = commit["associated_at"] or run[2]
            found.integer("id")
            _insert(self._db, "run_commits", {"event_id": run[0], "op_id": OP_ID} | commit)
            self._keep(run[0], found, f"commits[{number}].")
        self._db.execute(
            "INSERT INTO run_commits (event_id, commit_hash, role, source, author, timestamp, repo, branch, associated_at, op_id)"
            " SELECT event_id, git_commit_hash, 'produced', coalesce(git_commit_source, 'manual'), git_commit_author, git_commit_timestamp, git_repo,"
            " git_branch, updated_at, op_id FROM agent_runs WHERE git_commit_hash IS NOT NULL AND NOT EXISTS ("
            "     SELECT 1 FROM run_commits WHERE run_commits.event_id = agent_runs.event_id AND commit_hash = git_commit_hash"
            " ) ORDER BY id"
        )

    def whole_rows(self, name: str, table: str) -> None:
        """A table that nothing here is made for, row by row."""
        for number, row in _rows(self._db, table):
            self._keep_whole(f"{name}[{number}]", row, None)

    def _keep_whole(self, where: str, row: dict[str, object], event_id: str | None) -> None:
        values = {column: _in_json(value) for column, value in row.items()}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        _insert(self._db, "legacy_values", {"event_id": event_id, "column": where, "value": text})


def _in_json(value: object) -> object:
    """A value as JSON can hold it: what it has no way to write is spelled out, under the name of what it is."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return {"real": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _run(found: Found, version: int, event_id: str) -> dict[str, object]:
    """A row of `agent_runs` that keeps every rule."""
    run = legacy_rules.run(found, event_id)
    run |= {name: encode(run[name]) for name in ("metrics_json", "context_json")}
    run |= {"schema_version": found.integer("schema_version") or version, "op_id": OP_ID}
    found.integer("id")
    return run


def _drop(db: sqlite3.Connection) -> None:
    """Take the old tables away, and what SQLite itself kept for them: a migrated database has the schema of a fresh one."""
    names = [
        row[1]
        for row in db.execute("PRAGMA main.table_list").fetchall()
        if row[1].startswith((_ASIDE, "sqlite_stat")) and row[2] != "shadow"
    ]
    for name in names:
        db.execute(f"DROP TABLE {quote_name(name)}")
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").fetchone():
        return
    # SQLite drops this one never, once some table of it has had AUTOINCREMENT; under another name it is a table like any other.
    schema_version = db.execute("PRAGMA schema_version").fetchone()[0]
    db.execute("PRAGMA writable_schema = ON")
    plain = "name = 'legacy_sequence', tbl_name = 'legacy_sequence', sql = 'CREATE TABLE legacy_sequence (name, seq)'"
    db.execute(f"UPDATE sqlite_schema SET {plain} WHERE name = 'sqlite_sequence'")
    db.execute(f"PRAGMA schema_version = {schema_version + 1}")
    db.execute("PRAGMA writable_schema = RESET")
    db.execute("DROP TABLE legacy_sequence")
