"""What of the journal every backup makes unnecessary: segments, and the blobs that only they name."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from telemetry_cli.core.config import Config
from telemetry_cli.core.fs import sync_folder
from telemetry_cli.core.locks import Lock
from telemetry_cli.database import maintenance
from telemetry_cli.journal import (
    backups,
    blobs,
    buffer,
)
from telemetry_cli.journal import (
    segments as journal,
)
from telemetry_cli.maintenance.sources import is_good

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
        Lock(config.db_path + ".lock", time.monotonic() + config.lock_timeout),
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
    with Lock(config.db_path + ".lock", time.monotonic() + config.lock_timeout):
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
