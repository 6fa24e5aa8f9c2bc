"""Handle `db migrate`, `backup`, `restore`, `rebuild`, `prune`, `vacuum`, and `redact`.

Apart from `db path`, which scripts call often and which needs none of these imports.
"""

import os
import time

from telemetry_cli.cli.commands.arguments import became
from telemetry_cli.cli.commands.result import Written
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, LockTimeout, NotFound
from telemetry_cli.core.locks import MaintenanceLock
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database import maintenance
from telemetry_cli.database import prune as pruning
from telemetry_cli.database.database import (
    check_place,
    translated,
)
from telemetry_cli.journal import backups
from telemetry_cli.maintenance import rebuild as recovery
from telemetry_cli.maintenance.cleanup import Discarded, discard_journal
from telemetry_cli.maintenance.redact import by_rule, fix
from telemetry_cli.maintenance.redact_scan import Finding, scan
from telemetry_cli.store import Store


def migrate(config: Config, output: str) -> Written:
    """Bring an older database to the current schema; what was there before is kept."""
    check_place(config.db_path, config.owns_db_folder)
    if not _is_there(config):
        raise NotFound(f"there is no database at {config.db_path}", "The first record makes one.")
    before = maintenance.version_of(config.db_path)
    known = set(backups.snapshots(config))
    reading = Store(config).read()
    kept = next((path for path in backups.snapshots(config) if path not in known), None)
    data: dict[str, object] = {
        "from": before,
        "to": SCHEMA_VERSION,
        "db_path": config.db_path,
        "backup": kept,
    }
    notes = [*reading.notes, *([f"the old database is kept as {kept}"] if kept else [])]
    return Written(
        data,
        f"migrated from version {before} to {SCHEMA_VERSION}"
        if before != SCHEMA_VERSION
        else f"already at version {before}",
        notes,
    )


def _is_there(config: Config) -> bool:
    try:
        return os.path.getsize(config.db_path) > 0
    except OSError:
        return False


def backup(config: Config, output: str, *, to: str | None) -> Written:
    """A verified copy of the database with its cursor: everything since can be applied to it again."""
    target = _path("TO", to) if to is not None else None
    reading = Store(config).read()
    if reading.db is None:
        raise NotFound(
            f"there is no database at {config.db_path} to back up", "The first record makes one."
        )
    reading.db.close()
    made = backups.make(config, clock.stamp(clock.now()), target)
    return Written({"backup": made, "bytes": os.path.getsize(made)}, made, reading.notes)


def _path(name: str, given: str) -> str:
    if not given:
        raise InvalidInput(f"{name}: the path is empty", "Name a file.")
    return os.path.abspath(rules.text(name, given))


def restore(config: Config, output: str, *, backup: str) -> Written:
    """Put a backup in place and apply the journal since."""
    made = recovery.restore(config, _path("FROM", backup))
    return _made(config, made, f"restored {config.db_path}")


def rebuild(config: Config, output: str) -> Written:
    """Make the database again from the journal, or from a backup and the journal since."""
    return _made(config, recovery.rebuild(config), f"rebuilt {config.db_path}")


def _made(config: Config, made: recovery.Made, line: str) -> Written:
    notes = [f"made from {made.origin}"]
    if made.aside:
        notes.append(f"the old database is kept as {made.aside}")
    if made.damaged:
        notes.append(
            f"journal lines that are damaged or gone: {made.damaged}; what they did is there where a database still held it. See: telemetry doctor"
        )
    if made.left:
        notes.append(
            f"records that only the old database holds: {made.left}; to have them back: telemetry db rebuild"
        )
    return Written(
        {
            "db_path": config.db_path,
            "from": made.origin,
            "aside": made.aside,
            "damaged": made.damaged,
        },
        line,
        notes,
    )


def prune(config: Config, output: str, *, older_than: str | None, dry_run: bool) -> Written:
    """Delete the runs that started before a time and run no more, with all that is about them."""
    moment = clock.now()
    if older_than is not None:
        before = rules.filter_instant("--older-than", older_than, moment)
    elif config.retention_days is not None:
        before = rules.filter_instant("retention.days", f"{config.retention_days}d", moment)
    else:
        raise InvalidInput(
            "--older-than: no time is given, and retention.days is not set",
            "Give an age such as 90d, or set days under [retention] in the config.",
        )
    if dry_run:
        reading = Store(config).read()
        counts: dict[str, object] = {"runs": 0, "events": 0, "commits": 0}
        if reading.db:
            with translated(config.db_path):
                counts = pruning.counts(reading.db, before)
        return Written(
            {"status": "dry-run", "before": before, **counts},
            _said("would be pruned", counts, before),
            reading.notes,
        )
    outcome = Store(config).record("runs.prune", {"before": before}, clock.stamp(moment))
    result, notes = became(outcome, before=before, runs=None, events=None, commits=None)
    if result["status"] == "buffered":
        return Written(result, "buffered", notes)
    try:
        discarded = discard_journal(config)
    except LockTimeout as error:
        discarded = Discarded()
        notes.append(
            f"nothing of the journal was deleted: {error.message}; the next db prune does it"
        )
    result |= {"segments": discarded.segments, "blobs": discarded.blobs, "bytes": discarded.bytes}
    if discarded.segments:
        notes.append(
            f"{discarded.segments} journal segments that every good backup covers were deleted ({discarded.bytes} bytes)"
        )
    return Written(result, _said("pruned", result, before), notes)


def _said(what: str, counts: dict[str, object], before: str) -> str:
    beside = ", ".join(f"{counts[name]} {name}" for name in ("events", "commits", "features"))
    return f"runs from before {before} {what}: {counts['runs']}, with {beside}"


def vacuum(config: Config, output: str) -> Written:
    """Give the space that deleted rows left back to the file system."""
    reading = Store(config).read()
    if reading.db is None:
        raise NotFound(f"there is no database at {config.db_path}", "The first record makes one.")
    reading.db.close()
    before = os.path.getsize(config.db_path)
    deadline = time.monotonic() + config.lock_timeout
    with MaintenanceLock(config.db_path + ".lock", deadline):
        maintenance.vacuum(config.db_path, deadline)
    after = os.path.getsize(config.db_path)
    return Written(
        {"db_path": config.db_path, "bytes_before": before, "bytes_after": after},
        f"{before} bytes before, {after} after",
        reading.notes,
    )


_MOST_PLACES = 20


def redact(config: Config, output: str, *, scan_: bool, fix_: bool) -> Written:
    """Find secrets in everything that is stored, or take them out."""
    if scan_ == fix_:
        raise InvalidInput(
            "--scan, --fix: give one of them",
            "telemetry redact --scan changes nothing; --fix takes out what it finds.",
        )
    if scan_:
        found = list(scan(config))
        return Written(
            {"findings": found}, _listed("found", found), code=1 if found else 0, multiline=True
        )
    found, left, notes = fix(config)
    fixed = [finding for finding in found if not finding["is_name"] and finding not in left]
    lines = [_listed("taken out", fixed), *([_listed("left", left)] if left else [])]
    return Written(
        {"fixed": len(fixed), "left": left},
        "\n".join(lines),
        notes,
        code=1 if left else 0,
        multiline=True,
    )


def _listed(what: str, findings: list[Finding]) -> str:
    """The findings by kind, then place by place, as far as they fit a screen."""
    if not findings:
        return f"{what}: no secrets"
    kinds = [
        f"{what} {name}: {secrets} in {places} {'place' if places == 1 else 'places'}"
        for name, places, secrets in by_rule(findings)
    ]
    places = [
        f"  {finding['where']} {finding['place']}: {finding['rule']}{' in a name' if finding['is_name'] else ''}"
        for finding in findings[:_MOST_PLACES]
    ]
    more = (
        [f"  … {len(findings) - _MOST_PLACES} more; -o json lists them all"]
        if len(findings) > _MOST_PLACES
        else []
    )
    return "\n".join([*kinds, *places, *more])
