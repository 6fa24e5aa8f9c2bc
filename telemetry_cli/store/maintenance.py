"""Whole databases as files: check one, put one aside, swap another in. The caller holds the writer lock."""

import os
import sqlite3

from telemetry_cli.errors import DatabaseTrouble
from telemetry_cli.files import sync_folder
from telemetry_cli.store.database import translated

#: The database and what SQLite keeps beside it; without its hot journal a database is a damaged one.
_SUFFIXES = ("-journal", "-wal", "-shm", "")


def check(path: str) -> None:
    """Raises `DatabaseTrouble` unless the database at `path` is sound throughout, its foreign keys too."""
    with translated(path):
        db = sqlite3.connect(path)
        try:
            found = [row[0] for row in db.execute("PRAGMA integrity_check(1)")]
            dangling = db.execute("PRAGMA foreign_key_check").fetchone()
        finally:
            db.close()
    if found != ["ok"] or dangling:
        raise DatabaseTrouble(f"{path} did not check out: {found[0] if found != ['ok'] else dangling}")


def remove(path: str) -> None:
    """Take away what an earlier attempt left at `path`."""
    for suffix in _SUFFIXES:
        try:
            os.unlink(path + suffix)
        except FileNotFoundError:
            pass


def swap_in(fresh: str, path: str, aside: str) -> str | None:
    """Put the database at `fresh` in the place of the one at `path`, which is kept under `aside`. Returns `aside`, if there was one."""
    there = False
    for suffix in _SUFFIXES:
        try:
            os.rename(path + suffix, aside + suffix)
            there = there or not suffix
        except FileNotFoundError:
            pass
    os.rename(fresh, path)
    sync_folder(os.path.dirname(path))
    return aside if there else None
