"""Private folders and files: 0700 and 0600 whatever the umask, never through a symlink or a second name."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader, FileIO

from telemetry_cli.core.errors import Refused

#: Where Linux shows a process its open files, by their numbers.
_OPEN_FILES = "/proc/self/fd"
_BLOCK = 1 << 20
#: Links that the system follows on the way to one file.
_MOST_LINKS = 40
_NO_LINKS = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


#: Owners to whom root gives what it creates, by base, database or directory: (beginning of the paths,
#: existing directory above or empty, uid, gid).
_places: dict[str, tuple[str, str, int, int]] = {}


def respect_owner(base_dir: str, db_path: str) -> None:
    """Make root give what it creates below this base, and the database, to their owners.

    Otherwise the owners could not use them. A base or database that does not exist yet belongs to the
    owner of the nearest directory above. Raises `Refused` for a link on the way that belongs to
    neither root nor the owner.
    """
    if os.geteuid():
        return
    for key in (base_dir, db_path):
        _places.pop(key, None)
    base = _choose_place(base_dir)
    if base[2]:
        _places[base_dir] = base
    if db_path.startswith(base_dir + os.sep):
        return
    database = _choose_place(db_path)
    if database[2]:
        _places[db_path] = database
    elif base[2]:
        _places[db_path] = (db_path, "", *base[2:])


def respect_owner_of(directory: str) -> None:
    """Make root give what it creates below a directory to its owner. Raises as `respect_owner`."""
    if not os.geteuid() and (place := _choose_place(directory))[2]:
        _places[directory] = place


def _choose_place(path: str) -> tuple[str, str, int, int]:
    """Return the entry of `_places` for a path; its uid is 0 if root keeps what it creates."""
    beginning, anchor = path + os.sep, path
    while not os.path.lexists(anchor) or (anchor == path and os.path.isfile(anchor)):
        beginning, anchor = anchor, os.path.dirname(anchor)
    try:
        info = os.stat(anchor)
        owner, group = info.st_uid, info.st_gid
    except OSError:
        owner = group = 0
    for link in _links_on_way(anchor):
        if not {os.lstat(link).st_uid, os.stat(os.path.dirname(link)).st_uid} <= {0, owner}:
            raise planted(link)
    return beginning, anchor, owner, group


def _links_on_way(path: str) -> Iterator[str]:
    """Yield the links that lead to an absolute path, those behind links too."""
    folder, pending, followed = os.sep, path.split(os.sep), 0
    while pending and followed < _MOST_LINKS:
        name = pending.pop(0)
        full = os.path.join(folder, name) if name else folder
        if name == os.pardir:
            folder = os.path.dirname(folder)
        elif os.path.islink(full) and os.path.exists(full):
            yield full
            followed += 1
            target = os.readlink(full)
            folder = os.sep if os.path.isabs(target) else folder
            pending = [*target.split(os.sep), *pending]
        elif os.path.lexists(full):
            folder = full
        else:
            return


def _find_place(path: str) -> tuple[str, str, int, int] | None:
    return next((place for place in _places.values() if path.startswith(place[0])), None)


def _hand_over(path: str, descriptor: int) -> None:
    """Give an open file that root created to the owner of its place."""
    place = _find_place(path)
    try:
        if place:
            os.fchown(descriptor, place[2], place[3])
    except OSError:
        # Some file systems do not change owners. The record is worth more.
        pass


def _open_parent(path: str) -> tuple[str, int | None]:
    """Return a name and the descriptor of the directory that it is in; the path and None where the way there is to be trusted.

    The owner of a base may put a link into root's way at any moment, so root goes from directory to directory.
    Raises `Refused` for a link, and `OSError`.
    """
    place = _find_place(path)
    if not place or not place[1]:
        return path, None
    _, anchor, uid, _ = place
    descriptor = os.open(anchor, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid != uid:
            raise planted(anchor)
        *folders, name = os.path.relpath(path, anchor).split(os.sep)
        for folder in folders:
            inner = _open_folder(folder, descriptor, path)
            os.close(descriptor)
            descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return name, descriptor


def _open_folder(name: str, parent: int | None, path: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=parent)
    except OSError as error:
        error.filename = path
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise planted(path) from None
        raise


def open_private(path: str, flags: int) -> int:
    """Open a regular file of our own and return its descriptor (close-on-exec, mode 0600 when it is made).

    Raises `Refused` when the path is a symlink, has a second hard link, or is no regular file, and `OSError` otherwise.
    """
    try:
        # Non-blocking, so that a planted FIFO cannot hang the caller; it means nothing for a regular file.
        name, parent = _open_parent(path)
        try:
            descriptor = os.open(name, flags | _NO_LINKS | os.O_NONBLOCK, 0o600, dir_fd=parent)
        finally:
            if parent is not None:
                os.close(parent)
    except OSError as error:
        error.filename = path
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise planted(path) from None
        raise
    try:
        info = os.fstat(descriptor)
        check_regular(path, info, descriptor)
        if flags & os.O_CREAT and not info.st_size and not info.st_uid:
            _hand_over(path, descriptor)
    except Refused:
        os.close(descriptor)
        raise
    return descriptor


class Reading:
    """A descriptor as a file to read from. That it cannot be closed is not said: nothing is lost by it, and a generator that is left
    before its end, and closes its file whenever it is collected, could only have Python say so on stderr.
    """

    def __init__(self, descriptor: int, buffering: int) -> None:
        self._file = BufferedReader(FileIO(descriptor), buffering)

    def __enter__(self) -> "BufferedReader[FileIO]":
        return self._file

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError:
            pass


def check_regular(path: str, info: os.stat_result, descriptor: int | None = None) -> None:
    """Refuse what is not a plain file with one name; an open one that is still empty gets mode 0600 under any umask."""
    if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
        raise planted(path)
    if (
        descriptor is not None
        and not info.st_size
        and info.st_mode & 0o777 != 0o600
        and info.st_uid == os.geteuid()
    ):
        os.fchmod(descriptor, 0o600)


def planted(path: str) -> Refused:
    """The error for a path that is a link, or no plain file or folder."""
    return Refused(
        f"{path} is a link or not a plain file or folder; telemetry does not follow it",
        "Remove it, or name another --base-dir.",
    )


def make_folder(path: str, *, may_be_link: bool = False) -> None:
    """Make a folder of our own (0700), with the folders above it, each synced into its parent.

    A folder that exists is kept as it is. With `may_be_link` (the base itself) a symlink to a folder will do.
    """
    try:
        mode = (os.stat if may_be_link else os.lstat)(path).st_mode
    except FileNotFoundError:
        parent = os.path.dirname(path)
        if parent != path and not os.path.isdir(parent):
            make_folder(parent, may_be_link=True)
        try:
            _make_one(path)
        except FileExistsError:
            if not os.path.exists(path):  # a symlink that leads nowhere
                raise planted(path) from None
            make_folder(path, may_be_link=may_be_link)
            return
        sync_folder(parent)
        return
    if not stat.S_ISDIR(mode):
        raise planted(path)


def _make_one(path: str) -> None:
    name, parent = _open_parent(path)
    if parent is None:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
        return
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = _open_folder(name, parent, path)
    finally:
        os.close(parent)
    try:
        # By its descriptor, and nothing but an empty one: the owner of the base may have put another in its place by now.
        if not os.listdir(descriptor):
            os.fchmod(descriptor, 0o700)
            _hand_over(path, descriptor)
    finally:
        os.close(descriptor)


def check_folder(path: str) -> bool:
    """Tell whether a folder of our own exists. Raises `Refused` when something else stands in its place."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        raise planted(path)
    return True


def sync_folder(path: str) -> None:
    """Make the names in a folder durable. One that may not be read cannot be synced, and is somebody else's affair."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Unnamed:
    """A private file to be filled, and named once it is whole: a killed writer leaves nothing, where the system has unnamed files.

    Elsewhere it has the name `path` from the beginning, at which nothing may be. `descriptor` is open for writing. Raises `OSError`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_named = False
        try:
            os.stat(_OPEN_FILES)
            self.descriptor = os.open(
                os.path.dirname(path) or ".", os.O_WRONLY | os.O_CLOEXEC | os.O_TMPFILE, 0o600
            )
        except (AttributeError, OSError):
            self.descriptor = os.open(
                path, os.O_WRONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o600
            )
            self._is_named = True

    def replace(self, target: str) -> None:
        """Flush what was written, and put it in the place of `target`, in the folder of `path`."""
        os.fchmod(self.descriptor, 0o600)
        os.fsync(self.descriptor)
        if not self._is_named:
            # A link cannot take another file's place; a rename can.
            folder = os.open(_OPEN_FILES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.link(str(self.descriptor), self._path, src_dir_fd=folder)
            finally:
                os.close(folder)
            self._is_named = True
        os.replace(self._path, target)
        self._is_named = False
        sync_folder(os.path.dirname(target))

    def close(self) -> None:
        """Close it. What was not put in a place is gone."""
        os.close(self.descriptor)
        if self._is_named:
            os.unlink(self._path)


def sync_file(path: str) -> None:
    """Make what was written to a file of our own durable."""
    descriptor = open_private(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: str, chunks: Iterable[bytes]) -> None:
    """Write a new private file, flushed; its directory is not synced. Raises `OSError` where `path` exists."""
    descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with open(descriptor, "wb", buffering=_BLOCK) as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte in one call. Raises `OSError` (ENOSPC) on a short write, which is how a full disk shows itself."""
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"short write: {written} of {len(data)} bytes")
