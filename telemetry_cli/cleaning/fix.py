"""Take secrets out of everything that is kept below the base, so that being killed at any moment loses nothing.

All of it is made a second time, without secrets, and checked; only then does it take the places of what is there. From then on, until the
last part is in its place, the database's cursor may not be believed: writes are buffered, and another `redact --fix` goes on from there.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack

from telemetry_cli import buffer, recorder
from telemetry_cli.cleaning import second
from telemetry_cli.cleaning.changes import journal_line
from telemetry_cli.cleaning.cleaner import Cleaner
from telemetry_cli.cleaning.scan import Finding, scan
from telemetry_cli.config import Config
from telemetry_cli.locks import Lock
from telemetry_cli.store import maintenance, swap
from telemetry_cli.store.migrate import FIRST_VERSION


def fix(config: Config) -> tuple[list[Finding], list[Finding], list[str]]:
    """Take out what can be taken out. Returns what was found, what is left, and notes on why.

    Raises `DatabaseTrouble` or `LockTimeout`, and then nothing has changed.
    """
    found = left = list(scan(config))
    notes: list[str] = []
    if second.is_begun(config) or swap.leftovers(config.db_path):
        with _locked(config):
            swap.clear(config.db_path)
            second.resume(config)
        left = list(scan(config))
    if any(not finding["is_name"] for finding in left):
        if os.path.exists(config.db_path) and maintenance.version_of(config.db_path) >= FIRST_VERSION:
            second.check(config)
        trouble = recorder.catch_up(config)
        if trouble:
            raise trouble
        with _locked(config):
            notes = second.prepare(config)
            second.put_in_place(config)
            cleaner = Cleaner(config)
            for name in buffer.waiting(config):
                _clean_buffered(config, cleaner, name)
        left = list(scan(config))
    if any(finding["where"] == "aside" for finding in left):
        notes.append("a database that was put aside is not used, and not changed; delete it when nothing in it is needed")
    if any(finding["is_name"] for finding in left):
        notes.append(
            "an id or another name stays as it is, since other records refer to it; change the secret that it holds, and delete the run in time (db prune)"
        )
    return found, left, notes


def _locked(config: Config) -> ExitStack:
    """Nobody else writes the database, the journal or a backup meanwhile."""
    deadline = time.monotonic() + config.lock_timeout
    stack = ExitStack()
    folders = [config.raw_dir, *([config.backups_dir] if os.path.isdir(config.backups_dir) else [])]
    try:
        for path in (config.db_path + ".lock", *(os.path.join(folder, ".lock") for folder in folders)):
            stack.enter_context(Lock(path, deadline))
    except BaseException:
        stack.close()
        raise
    return stack


def _clean_buffered(config: Config, cleaner: Cleaner, name: str) -> None:
    line = buffer.read(config, name)
    cleaned = journal_line(cleaner, line)
    if cleaned != line:
        buffer.replace(config, name, cleaned)


def by_rule(findings: list[Finding]) -> Iterator[tuple[str, int, int]]:
    """(place, number of places, number of secrets) by kind of place and rule."""
    groups: dict[str, list[int]] = {}
    for finding in findings:
        groups.setdefault(f"{finding['where']}: {finding['rule']}{' in a name' if finding['is_name'] else ''}", []).append(int(str(finding["count"])))
    return ((name, len(counts), sum(counts)) for name, counts in groups.items())
