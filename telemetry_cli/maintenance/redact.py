"""Redact everything that is stored below the base, so that a kill loses nothing."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import LockTimeout
from telemetry_cli.core.fs import make_folder
from telemetry_cli.core.locks import MaintenanceLock
from telemetry_cli.database import maintenance
from telemetry_cli.database.migrate import FIRST_VERSION
from telemetry_cli.journal import (
    blobs,
    buffer,
)
from telemetry_cli.journal import (
    segments as journal,
)
from telemetry_cli.maintenance import cleanup
from telemetry_cli.maintenance import cleanup as pruning
from telemetry_cli.maintenance import redact_rewrite as second
from telemetry_cli.maintenance.redact_scan import Cleaner, Finding, journal_line, scan, scan_blob
from telemetry_cli.store import Store


def fix(config: Config) -> tuple[list[Finding], list[Finding], list[str]]:
    """Take out what can be taken out. Returns what was found, what is left, and notes on why.

    Raises `DatabaseTrouble` or `LockTimeout`, and then nothing has changed.
    """
    found = left = list(scan(config))
    notes: list[str] = []
    if any(cleanup.found(config)):
        with _locked(config):
            cleanup.clear(config)
            second.resume(config)
        _delete_stained_blobs(config, notes)
        left = list(scan(config))
    if any(not finding["is_name"] for finding in left):
        if (
            os.path.exists(config.db_path)
            and maintenance.version_of(config.db_path) >= FIRST_VERSION
        ):
            second.check(config)
        trouble = Store(config).catch_up(patient=True)
        if trouble:
            raise trouble
        with blobs.Lease(config) as lease, _locked(config):
            notes = second.prepare(config, lease)
            second.put_in_place(config)
            cleaner = Cleaner(config)
            for name in buffer.waiting(config):
                _clean_buffered(config, cleaner, name)
        _delete_stained_blobs(config, notes)
        left = list(scan(config))
    if any(finding["where"] == "aside" for finding in left):
        notes.append(
            "a database that was put aside is not used, and not changed; delete it when nothing in it is needed"
        )
    if any(finding["is_name"] for finding in left):
        notes.append(
            "an id or another name stays as it is, since other records refer to it; change the secret that it holds, and delete the run in time (db prune)"
        )
    return found, left, notes


def _locked(config: Config) -> ExitStack:
    """Nobody else writes the database, the journal or a backup meanwhile."""
    deadline = time.monotonic() + config.lock_timeout
    # The first command of a base may have been killed before it made them.
    make_folder(config.raw_dir)
    make_folder(os.path.dirname(config.db_path), may_be_link=not config.owns_db_folder)
    stack = ExitStack()
    folders = [config.raw_dir, *([config.backups_dir] if os.path.isdir(config.backups_dir) else [])]
    try:
        for path in (
            config.db_path + ".lock",
            *(os.path.join(folder, ".lock") for folder in folders),
        ):
            stack.enter_context(MaintenanceLock(path, deadline))
    except BaseException:
        stack.close()
        raise
    return stack


def _delete_stained_blobs(config: Config, notes: list[str]) -> None:
    """Delete the blobs that hold secrets and that nothing names: others have replaced them, or their writer was killed."""
    if not blobs.kept(config) or not os.path.exists(config.db_path):
        # Rows name blobs too, and those are not known without a database.
        return
    try:
        with blobs.Clearance(config) as clearance:
            unnamed = set(blobs.kept(config)) - pruning.named_digests(
                config, journal.segments(config)
            )
            cleaner = Cleaner(config)
            clearance.delete(
                digest for digest in sorted(unnamed) if any(scan_blob(config, cleaner, digest))
            )
    except LockTimeout:
        notes.append(
            "another command is keeping blobs, so that none could be deleted; run telemetry redact --fix again"
        )


def _clean_buffered(config: Config, cleaner: Cleaner, name: str) -> None:
    line = buffer.read(config, name)
    cleaned = journal_line(cleaner, line)
    if cleaned != line:
        buffer.replace(config, name, cleaned)


def by_rule(findings: list[Finding]) -> Iterator[tuple[str, int, int]]:
    """(place, number of places, number of secrets) by kind of place and rule."""
    groups: dict[str, list[int]] = {}
    for finding in findings:
        groups.setdefault(
            f"{finding['where']}: {finding['rule']}{' in a name' if finding['is_name'] else ''}", []
        ).append(int(str(finding["count"])))
    return ((name, len(counts), sum(counts)) for name, counts in groups.items())
