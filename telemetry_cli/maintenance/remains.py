"""What killed commands left: unfinished copies of records, nobody's work any more. They may hold whatever the records held."""

import os
from collections.abc import Iterator

from telemetry_cli.core import scratch
from telemetry_cli.core.config import Config
from telemetry_cli.core.locks import is_free
from telemetry_cli.database import swap
from telemetry_cli.journal import backups, blobs, buffer

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
