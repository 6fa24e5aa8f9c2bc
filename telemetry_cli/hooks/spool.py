"""Keep inputs, artifacts and rows of hook runs in private temporary files."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import BinaryIO

from telemetry_cli.core import scratch
from telemetry_cli.core.errors import NotDurable, Refused
from telemetry_cli.discovery.git.repository import plain_content
from telemetry_cli.hooks import reap

_PREFIX = "telemetry-hooks-"
#: Says in each folder which process made it, and for which base.
_OWNER = "owner"
_LONGEST_OWNER = 4096


def make(base_dir: str) -> str:
    """A private folder, which the guardian removes when telemetry is killed in an attempt; those that killed ones left are removed first."""
    place = scratch.find_directory()
    with scratch.translate_errors(place):
        for path in leftovers(None):
            shutil.rmtree(path, ignore_errors=True)
        folder = tempfile.mkdtemp(prefix=_PREFIX, dir=place)
        with open(os.path.join(folder, _OWNER), "w", encoding="utf-8") as file:
            json.dump({**reap.identity(), "base": base_dir}, file)
    return folder


def leftovers(base_dir: str | None) -> list[str]:
    """The folders of this user, of runs with this base (None: any), whose process, on this host, has ended."""
    try:
        with os.scandir(scratch.find_directory()) as entries:
            found = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
    except OSError:
        return []
    return sorted(path for path in found if _is_left_behind(path, base_dir))


def _is_left_behind(path: str, base_dir: str | None) -> bool:
    try:
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
            return False
        owner = json.loads(plain_content(os.path.join(path, _OWNER), _LONGEST_OWNER) or b"")
        return base_dir in (None, owner.get("base")) and reap.is_gone(owner)
    except (OSError, ValueError, KeyError, TypeError):
        # Half made, or half removed by its own process just now.
        return False


_BUFFER = 1 << 20


class Spool:
    """What is written now and read back after a hook has run; `digest` is the SHA-256 of all that was written.

    The file has no name, so a hook cannot replace it. A hook runs as the same user and reaches it nevertheless (/proc/PID/fd),
    so each reading compares the content with the digest. Raises `NotDurable` where `folder` has no room.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._written, self._size = sha256(), 0
        self._file = scratch.open_unnamed(folder)

    @property
    def digest(self) -> str:
        """The SHA-256 so far, as 64 hex digits."""
        return self._written.hexdigest()

    def write(self, line: bytes) -> None:
        """Append a line, newline included."""
        self._written.update(line)
        self._size += len(line)
        self._file.write(line)

    def flush(self) -> None:
        """Write out what is still in memory. Raises `NotDurable`."""
        self._file.flush()

    def verify(self) -> None:
        """Read all of it once. Raises as `lines`."""
        for _ in self.lines():
            pass

    def lines(self) -> Iterator[bytes]:
        """Yield the lines from the first one on. Raises `Refused`, after the last one at the latest, if they are not what was written."""
        return self._checked(self._file)

    def copy(self) -> BinaryIO:
        """Return a copy, open for reading only: a hook may find a way to write to what it reads from. Raises as `lines`."""
        with (
            scratch.translate_errors(self._folder),
            tempfile.NamedTemporaryFile(dir=self._folder, buffering=_BUFFER) as file,
        ):
            file.writelines(self._checked(iter(lambda: self._file.read(_BUFFER), b"")))
            file.flush()
            return open(file.name, "rb")

    def close(self) -> None:
        """Let the file go."""
        with suppress(NotDurable):  # what did not fit before does not fit now
            self._file.close()

    def _checked(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        self.flush()
        self._file.seek(0, os.SEEK_SET)
        found = sha256()
        # The size first: a file that a hook has made longer may hold a line that no memory holds.
        if is_same := os.fstat(self._file.fileno()).st_size == self._size:
            for piece in pieces:
                found.update(piece)
                yield piece
            is_same = found.digest() == self._written.digest()
        if not is_same:
            raise Refused(
                "the temporary files of the hook run were changed while it ran; nothing of it is stored"
            )
