"""What of the journal every backup makes unnecessary: segments, and the blobs that only they name."""

import os
import time

from telemetry_cli import backups, journal
from telemetry_cli.blobs import is_digest
from telemetry_cli.config import Config
from telemetry_cli.files import sync_folder
from telemetry_cli.locks import Lock
from telemetry_cli.origins import is_good
from telemetry_cli.store import maintenance

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
    """
    discarded = Discarded()
    with Lock(config.db_path + ".lock", time.monotonic() + config.lock_timeout):
        cursors = [maintenance.cursor_of(path)[1] for path in backups.kept(config) if is_good(config, path)]
        oldest = min((cursor[1] for cursor in cursors if cursor), default="")
        names = journal.segments(config)
        gone = [name for name in names if name < oldest]
        if not gone:
            return discarded
        needed = blobs_of(config, names[len(gone)], names[-1])
        unneeded = blobs_of(config, gone[0], gone[-1]) - needed
        for path in [*(os.path.join(config.raw_dir, name) for name in gone), *(os.path.join(config.blobs_dir, digest) for digest in sorted(unneeded))]:
            try:
                size = os.lstat(path).st_size
                os.unlink(path)
            except FileNotFoundError:
                continue
            discarded.bytes += size
        discarded.segments, discarded.blobs = len(gone), len(unneeded)
        sync_folder(config.raw_dir)
    return discarded


def blobs_of(config: Config, first: str, last: str) -> set[str]:
    """The blobs that the operations of these segments name and nothing else does."""
    end = (last, os.stat(os.path.join(config.raw_dir, last)).st_size)
    found = set()
    for _, line in journal.read(config, (first, 0), end):
        operation = journal.decode(line) if b'"blob"' in line else None
        data = operation.get("data") if operation and str(operation.get("op")) in _ONLY_APPLIED else None
        if isinstance(data, dict) and is_digest(str(data.get("blob"))):
            found.add(str(data["blob"]))
    return found
