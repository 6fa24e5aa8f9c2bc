"""Private folders for copies of a database that are looked at and thrown away.

They lie below the base where that can be written: then nothing of it is outside when their process is killed.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator

from telemetry_cli.core.config import Config
from telemetry_cli.core.locks import is_free, lock_unfinished

_PREFIX = "telemetry-doctor-"
_LOCK = ".lock"


class Scratch:
    """A folder of mode 0700 below `place`, removed on exit. Raises `OSError` where it cannot be made."""

    def __init__(self, place: str) -> None:
        self.folder = tempfile.mkdtemp(prefix=_PREFIX, dir=place)
        self._lock = lock_unfinished(os.path.join(self.folder, _LOCK))
        try:
            self._lock.__enter__()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.__exit__()


def places(config: Config) -> list[str]:
    """Where such folders may lie, the best place first."""
    return [config.base_dir, tempfile.gettempdir()]


def leftovers(config: Config) -> Iterator[str]:
    """The folders of this user that killed processes left."""
    for place in places(config):
        try:
            with os.scandir(place) as entries:
                found = sorted(
                    entry.path
                    for entry in entries
                    if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False)
                )
        except OSError:
            continue
        for path in found:
            if os.lstat(path).st_uid == os.geteuid() and is_free(os.path.join(path, _LOCK)):
                yield path


def remove_leftovers(config: Config) -> None:
    """Remove those folders."""
    for path in leftovers(config):
        shutil.rmtree(path, ignore_errors=True)
