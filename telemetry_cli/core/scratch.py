"""Temporary files: where they are, and one error where they cannot be written.

The directory is `$TMPDIR` if it exists, and never another one because that is full: a user who names a
directory for large or private files means it.
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
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise make_trouble("the directory for temporary files", error) from error


def make_trouble(directory: str, error: OSError) -> NotDurable:
    """Return the error for a directory in which a temporary file cannot be made or written."""
    return NotDurable(
        f"{directory}: {error.strerror or error}",
        "",
        "Make room there, or name another directory in TMPDIR.",
    )


@contextmanager
def report_trouble(directory: str) -> Iterator[None]:
    """Raise `NotDurable` for an `OSError` while something is written below `directory`."""
    try:
        yield
    except OSError as error:
        raise make_trouble(directory, error) from error


def open_file(directory: str | None = None) -> BufferedRandom:
    """Open an unnamed temporary file, in `find_directory()` or another directory.

    Opening, writing and flushing it raise `NotDurable`.
    """
    place = directory or find_directory()
    with report_trouble(place), tempfile.TemporaryFile(dir=place, buffering=0) as file:
        return BufferedRandom(_File(os.dup(file.fileno()), place), _BUFFER)


class _File(FileIO):
    """The raw part of a temporary file."""

    def __init__(self, descriptor: int, directory: str) -> None:
        super().__init__(descriptor, "r+b")
        self._directory = directory

    def write(self, data: "ReadableBuffer", /) -> int:
        with report_trouble(self._directory):
            return super().write(data)


class Scratch:
    """A private directory below `place` (mode 0700) for copies of a database, removed on exit.

    Raises `NotDurable` where it cannot be made.
    """

    def __init__(self, place: str) -> None:
        with report_trouble(place):
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
    """Return where such directories may lie, the best place first.

    Below the base nothing is left outside when the process is killed.
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
    """Remove those directories."""
    for path in leftovers(config):
        shutil.rmtree(path, ignore_errors=True)
