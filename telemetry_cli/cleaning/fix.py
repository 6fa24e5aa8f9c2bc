"""Take secrets out of everything that is kept below the base, so that being killed at any moment loses nothing.

A second journal is written beside the first; backups are made again from it and take their places; then its segments take theirs,
and the database is made again from them. Until that is done its cursor is not believed: writes are buffered, and another
`redact --fix` goes on from there, for the same line always becomes the same.
"""

import copy
import os
import shutil
import time
from collections.abc import Iterator

from telemetry_cli import backups, blobs, buffer, journal, recovery
from telemetry_cli.cleaning.changes import journal_line
from telemetry_cli.cleaning.scan import ASIDE, Finding, databases, scan, scan_database
from telemetry_cli.config import Config
from telemetry_cli.errors import DatabaseTrouble, TelemetryError
from telemetry_cli.files import make_folder, sync_folder
from telemetry_cli.locks import Lock
from telemetry_cli.redact import Redactor
from telemetry_cli.redact_lines import blob_lines
from telemetry_cli.store import maintenance, runs

_FOLDER = "redacted"


def fix(config: Config) -> tuple[list[Finding], list[Finding], list[str]]:
    """Take out what can be taken out. Returns what was found, what is left, and notes on why.

    Raises `DatabaseTrouble` or `LockTimeout`, and then nothing has changed.
    """
    found = list(scan(config))
    if not found:
        return [], [], []
    if journal.genesis(config) is not None or backups.any_snapshot(config):
        raise DatabaseTrouble(
            "secrets are taken out by making the database again from the journal, and this journal does not go back to an empty beginning",
            "Export the runs, and import them into a new base: what is imported is recorded without secrets.",
        )
    deadline = time.monotonic() + config.lock_timeout
    notes: list[str] = []
    with Lock(config.db_path + ".lock", deadline), Lock(os.path.join(config.raw_dir, ".lock"), deadline):
        second = _second(config)
        try:
            replaced = _write_journal(config, second)
            notes += _replace_backups(config, second)
            journal.take_over(config, second)
        finally:
            shutil.rmtree(second.raw_dir, ignore_errors=True)
        for name in buffer.waiting(config):
            _clean_buffered(config, name)
    recovery.rebuild(config, ASIDE, live=False)
    for path in databases(config):
        if path.startswith(f"{config.db_path}.{ASIDE}-"):
            maintenance.remove(path)
    sync_folder(os.path.dirname(config.db_path))
    for digest in replaced:
        blobs.forget(config, digest)
    left = list(scan(config))
    if any(finding["where"] == "aside" for finding in left):
        notes.append("a database that was put aside is not used, and not changed; delete it when nothing in it is needed")
    return found, left, notes


def _second(config: Config) -> Config:
    """The same settings with a journal in a folder of its own, empty."""
    second = copy.copy(config)
    second.raw_dir = os.path.join(config.raw_dir, _FOLDER)
    shutil.rmtree(second.raw_dir, ignore_errors=True)
    make_folder(second.raw_dir)
    return second


def _write_journal(config: Config, second: Config) -> set[str]:
    """Write the whole journal without secrets. Returns the digests of the blobs that others have replaced."""
    redactor = Redactor(config.redact_rules)
    replaced: dict[str, str] = {}

    def cleaned(line: bytes) -> bytes:
        line = journal_line(redactor, line)
        operation = journal.decode(line) if b'"blob":"' in line else None
        data = operation["data"] if operation else None
        if operation is None or not isinstance(data, dict) or not isinstance(data.get("blob"), str):
            return line
        digest = _clean_blob(config, data["blob"], replaced)
        return line if digest == data["blob"] else journal.encode({**operation, "data": {**data, "blob": digest}})

    for name in journal.segments(config):
        journal.write_segment(second, name, map(cleaned, journal.lines_of(config, name)))
    return {old for old, new in replaced.items() if old != new}


def _clean_blob(config: Config, digest: str, replaced: dict[str, str]) -> str:
    """The digest of a blob's content without secrets, which is kept; its own where there are none, or it cannot be read."""
    if digest not in replaced:
        redactor = Redactor(config.redact_rules)
        try:
            for _ in blob_lines(redactor, blobs.lines(config, digest), runs.COLUMNS):
                pass
            replaced[digest] = blobs.put(config, blob_lines(redactor, blobs.lines(config, digest), runs.COLUMNS)) if redactor.found else digest
        except TelemetryError:
            replaced[digest] = digest
    return replaced[digest]


def _replace_backups(config: Config, second: Config) -> list[str]:
    """Make each backup that holds secrets again, from the second journal up to where it stands. Returns what could not be done."""
    notes = []
    for path in databases(config):
        if os.path.dirname(path) != config.backups_dir or not any(True for _ in scan_database(config, path)):
            continue
        fresh = path + ".redacting"
        try:
            place = recovery.position_of(config, path)
            until = journal.after_lines(second, place[0], journal.lines_before(config, place))
            recovery.replay(second, fresh, until)
            os.replace(fresh, path)
            sync_folder(os.path.dirname(path))
        except (TelemetryError, OSError) as error:
            notes.append(f"{path} could not be made again without secrets ({error}); delete it, or keep it where nobody else reads it")
        finally:
            maintenance.remove(fresh)
    return notes


def _clean_buffered(config: Config, name: str) -> None:
    line = buffer.read(config, name)
    cleaned = journal_line(Redactor(config.redact_rules), line)
    if cleaned != line:
        buffer.replace(config, name, cleaned)


def by_rule(findings: list[Finding]) -> Iterator[tuple[str, int, int]]:
    """(place, number of places, number of secrets) by kind of place and rule."""
    groups: dict[str, list[int]] = {}
    for finding in findings:
        groups.setdefault(f"{finding['where']}: {finding['rule']}", []).append(int(str(finding["count"])))
    return ((name, len(counts), sum(counts)) for name, counts in groups.items())
