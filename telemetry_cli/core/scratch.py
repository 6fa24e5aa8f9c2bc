"""Temporary files: their directory, and one error if they cannot be written.

The directory is `$TMPDIR` if it exists. A full one is an error and not replaced by another: users
name a directory for large or private files on purpose.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom, FileIO
from typing import TYPE_CHECKING

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import NotDurable
from telemetry_cli.core.locks import is_free, lock_unfinished

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PREFIX = "telemetry-doctor-"
_LOCK = ".lock"
_BUFFER = 1 << 20


def find_directory() -> str:
    """Return the directory for temporary files. Raises `NotDurable` if the system has none."""
    named = os.environ.get("TMPDIR")
    if named and os.path.isdir(named):
        return named
    with translate_errors("the directory for temporary files"):
        return tempfile.gettempdir()


@contextmanager
def translate_errors(directory: str) -> Iterator[None]:
    """Raise `NotDurable` for an `OSError` while something is written below `directory`."""
    try:
        yield
    except OSError as error:
        raise NotDurable(
            f"{directory}: {error.strerror or error}",
            "",
            "Free space there, or set TMPDIR to another directory.",
        ) from error


def open_unnamed(directory: str | None = None) -> BufferedRandom:
    """Open an unnamed temporary file in a directory (default `find_directory()`).

    Opening, writing and flushing raise `NotDurable` (exit 75) if that fails.
    """
    place = directory or find_directory()
    with translate_errors(place), tempfile.TemporaryFile(dir=place, buffering=0) as file:
        return BufferedRandom(_File(os.dup(file.fileno()), place), _BUFFER)


class _File(FileIO):
    """A temporary file that raises `NotDurable` if it cannot be written."""

    def __init__(self, descriptor: int, directory: str) -> None:
        super().__init__(descriptor, "r+b")
        self._directory = directory

    def write(self, data: "ReadableBuffer", /) -> int:
        with translate_errors(self._directory):
            return super().write(data)


class Scratch:
    """A private directory below `place` (mode 0700) for copies of a database, removed on exit.

    Raises `NotDurable` if it cannot be created.
    """

    def __init__(self, place: str) -> None:
        with translate_errors(place):
            self.folder = tempfile.mkdtemp(prefix=_PREFIX, dir=place)
            self._lock = lock_unfinished(os.path.join(self.folder, _LOCK))
            try:
                self._lock.__enter__()
            except BaseException:
                self.remove()
                raise

    def remove(self) -> None:
        """Remove the directory and its content."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.__exit__()


def places(config: Config) -> list[str]:
    """Return where such directories may lie, the best place first.

    A process that is killed then leaves nothing outside the base.
    """
    return [config.base_dir, find_directory()]


def leftovers(config: Config) -> Iterator[str]:
    """Yield the directories of this user that killed processes left."""
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
    """Remove the directories that killed processes of this user left."""
    for path in leftovers(config):
        shutil.rmtree(path, ignore_errors=True)
