"""Delete what is no longer needed: old segments and blobs, and what killed commands left."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from telemetry_cli.core import scratch
from telemetry_cli.core.config import Config
from telemetry_cli.core.fs import sync_folder
from telemetry_cli.core.locks import MaintenanceLock, is_free
from telemetry_cli.database import maintenance, swap
from telemetry_cli.journal import (
    backups,
    blobs,
    buffer,
)
from telemetry_cli.journal import (
    segments as journal,
)
from telemetry_cli.maintenance.rebuild import is_good

#: Operations whose blob has done its work once they are applied; other blobs are named by rows too.
_ONLY_APPLIED = frozenset(("runs.import",))


class Discarded:
    """What of the journal was deleted, since every backup that is kept has it: segments and blobs, and their bytes."""

    def __init__(self) -> None:
        self.segments = 0
        self.blobs = 0
        self.bytes = 0


def discard_journal(config: Config) -> Discarded:
    """Delete the segments, and the blobs only they name, that lie wholly before the cursor of the oldest good backup.

    Without a good backup nothing is deleted. The oldest goes first: killed in between, what is left is still the journal's end.
    Raises `LockTimeout`, and then nothing was deleted.
    """
    oldest = _oldest_cursor(config)
    if not any(name < oldest for name in journal.segments(config)):
        return Discarded()
    # Asked again below: others may have deleted some meanwhile. To check the backups takes too long for whoever keeps a blob.
    with (
        blobs.Clearance(config) as clearance,
        MaintenanceLock(config.db_path + ".lock", time.monotonic() + config.lock_timeout),
    ):
        discarded = Discarded()
        gone = [name for name in journal.segments(config) if name < oldest]
        unneeded = _unneeded_blobs(config, gone)
        for name in gone:
            path = os.path.join(config.raw_dir, name)
            discarded.bytes += os.lstat(path).st_size
            os.unlink(path)
        sync_folder(config.raw_dir)
        discarded.bytes += clearance.delete(sorted(unneeded))
        discarded.segments, discarded.blobs = len(gone), len(unneeded)
    return discarded


def _oldest_cursor(config: Config) -> str:
    """The segment of the cursor inside the oldest good backup; empty without one."""
    with MaintenanceLock(config.db_path + ".lock", time.monotonic() + config.lock_timeout):
        cursors = [
            maintenance.cursor_of(path)[1] for path in backups.kept(config) if is_good(config, path)
        ]
    return min((cursor[1] for cursor in cursors if cursor), default="")


def _unneeded_blobs(config: Config, gone: list[str]) -> set[str]:
    """The blobs of imports that only these segments name. The caller holds a `blobs.Clearance`."""
    applied: set[str] = set()
    needed = named_digests(config, [name for name in journal.segments(config) if name not in gone])
    for name in gone:
        for line in journal.lines_of(config, name):
            digests = blobs.digests_in(line)
            operation = journal.decode(line) if digests else None
            (applied if operation and str(operation.get("op")) in _ONLY_APPLIED else needed).update(
                digests
            )
    return applied & set(blobs.kept(config)) - needed


def named_digests(config: Config, segments: list[str]) -> set[str]:
    """The digests of all blobs that these segments, the buffer or rows of the database name."""
    found = maintenance.named_digests(config.db_path) if os.path.exists(config.db_path) else set()
    for line in _lines(config, segments):
        found.update(blobs.digests_in(line))
    return found


def _lines(config: Config, segments: list[str]) -> Iterator[bytes]:
    # The buffer first: a line that is moved to the journal meanwhile is met there.
    for name in buffer.waiting(config):
        with suppress(FileNotFoundError):
            yield buffer.read(config, name)
    for name in segments:
        yield from journal.lines_of(config, name)


#: Folders in `raw/`: where `redact --fix` writes a second journal, and where it is once everything is ready.
WRITTEN, READY = "redacting", "redacted"
#: What the second of a database is called, beside it.
ENDING = ".redacted"
_FIX = "telemetry redact --fix"


class Remains:
    """A file or folder at `path`: `what` it is, and what removes it (`todo`)."""

    def __init__(self, path: str, what: str, todo: str) -> None:
        self.path = path
        self.what = what
        self.todo = todo

    def files(self) -> Iterator[str]:
        """The paths of the files: this one, or all below this folder."""
        if not os.path.isdir(self.path):
            yield self.path
        for parent, _, names in os.walk(self.path):
            yield from (os.path.join(parent, name) for name in sorted(names))


def found(config: Config) -> Iterator[Remains]:
    """All that there is. What a living process works on is not among it. Raises `OSError`, or `Refused` for planted links."""
    for path in filter(is_free, blobs.partials(config)):
        yield Remains(
            path,
            f"{os.lstat(path).st_size} bytes that an interrupted command left behind",
            f"The next import removes it, or: {_FIX}",
        )
    for path in filter(is_free, buffer.partials(config)):
        yield Remains(
            path, "a record that a killed writer did not finish, and nobody was told of", _FIX
        )
    if is_free(backups.lock_path(config)):
        for path in backups.partials(config):
            yield Remains(
                path,
                "a backup that a killed command did not finish",
                f"telemetry db backup removes it, or: {_FIX}",
            )
    if is_free(config.db_path + ".lock"):
        for path in swap.leftovers(config.db_path):
            yield Remains(
                path,
                "left by a db rebuild or restore that was cut off; nothing in it is needed",
                "The next one takes it away: telemetry db rebuild",
            )
        for path in _of_redaction(config):
            yield Remains(
                path,
                "left by a redact --fix that was cut off",
                f"The next one goes on from there: {_FIX}",
            )
    for path in scratch.leftovers(config):
        yield Remains(path, "a copy that an interrupted doctor left behind", _FIX)


def _of_redaction(config: Config) -> list[str]:
    folders = [os.path.join(config.raw_dir, folder) for folder in (WRITTEN, READY)]
    return [*filter(os.path.isdir, folders), *second_databases(config)]


def second_databases(config: Config) -> list[str]:
    """The databases that a redaction has made and not put in their places, those in `backups/` first."""
    names = sorted(os.listdir(config.backups_dir)) if os.path.isdir(config.backups_dir) else []
    own = config.db_path + ENDING
    return [
        *(
            os.path.join(config.backups_dir, name)
            for name in names
            if name.endswith(".sqlite" + ENDING)
        ),
        *([own] if os.path.exists(own) else []),
    ]


def clear(config: Config) -> None:
    """Remove all of it but what a redaction left, which is brought to its end. The caller holds the locks of database and backups."""
    swap.clear(config.db_path)
    backups.remove_partials(config)
    blobs.remove_partials(config)
    buffer.remove_partials(config)
    scratch.remove_leftovers(config)
