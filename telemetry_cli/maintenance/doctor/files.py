"""Check files: modes, owners, links, the file system, locks, the buffer."""

import os
import stat
import sys
import time
from collections.abc import Iterator

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import LockTimeout, Refused, name_user
from telemetry_cli.core.locks import Lock, holders
from telemetry_cli.core.values import shorten
from telemetry_cli.hooks import spool
from telemetry_cli.journal import buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.maintenance import cleanup
from telemetry_cli.maintenance.doctor.context import Examined, Finding, problem, warning

_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "ncpfs",
    "lustre",
)
_PATIENCE = 1.0
_MOST = 50


def permissions(examined: Examined) -> Iterator[Finding]:
    """Folders 0700, files 0600, all of one owner; no links and nothing but plain files and folders."""
    config, me = examined.config, os.geteuid()
    try:
        base = os.stat(config.base_dir)
    except FileNotFoundError:
        above = config.base_dir
        while not os.path.exists(above):
            above = os.path.dirname(above)
        if not os.access(above, os.W_OK | os.X_OK):
            owner = name_user(os.stat(above).st_uid)
            yield problem(
                f"the base cannot be made here: this belongs to {owner}",
                above,
                f"sudo install -d -m 700 -o {me} {config.base_dir}",
            )
        return
    except OSError as error:
        yield problem(
            f"the base folder cannot be read: {error.strerror}",
            config.base_dir,
            "See to its permissions, or name another --base-dir.",
        )
        return
    if base.st_uid != me and not os.access(config.base_dir, os.W_OK | os.X_OK):
        owner = name_user(base.st_uid)
        yield problem(
            f"nothing can be recorded here: this belongs to {owner}",
            config.base_dir,
            f"sudo chown -R {me} {config.base_dir}",
        )
    found = 0
    for path, info in _entries(config):
        for finding in _entry(path, info, base.st_uid, is_base=path == config.base_dir):
            found += 1
            if found > _MOST:
                yield warning(
                    "there is more like this",
                    config.base_dir,
                    "See to these first, and run telemetry doctor again.",
                )
                return
            yield finding


def _entries(config: Config) -> Iterator[tuple[str, os.stat_result]]:
    yield config.base_dir, os.stat(config.base_dir)
    tops = [
        config.raw_dir,
        config.buffer_dir,
        config.blobs_dir,
        config.backups_dir,
        *([config.db_dir] if config.owns_db_folder else []),
    ]
    beside = (
        []
        if config.owns_db_folder
        else [config.db_path + suffix for suffix in ("", ".lock", "-journal", "-wal", "-shm")]
    )
    for path in [*tops, *beside]:
        try:
            info = os.lstat(path)
        except OSError:
            continue
        yield path, info
        if stat.S_ISDIR(info.st_mode):
            yield from _inside(path)


def _inside(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    for parent, folders, files in os.walk(folder, onerror=None):
        for name in sorted([*folders, *files]):
            path = os.path.join(parent, name)
            try:
                yield path, os.lstat(path)
            except OSError:
                continue


def _entry(path: str, info: os.stat_result, owner: int, *, is_base: bool) -> Iterator[Finding]:
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        # A folder that others share, as /tmp is, may be the base; what lies in it is private.
        if mode & 0o077 and not (is_base and mode & stat.S_ISVTX):
            yield problem(
                f"others may look into this folder (mode {mode:04o})", path, f"chmod 700 {path}"
            )
        elif mode & 0o700 != 0o700:
            yield problem(
                f"its owner may not use this folder (mode {mode:04o})", path, f"chmod 700 {path}"
            )
    elif not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
        yield problem(
            "a link, or no plain file: it is never followed, and records are refused",
            path,
            "Find out who put it there, and remove it.",
        )
        return
    elif mode & 0o077:
        yield problem(
            f"others may read or write this file (mode {mode:04o})", path, f"chmod 600 {path}"
        )
    elif mode & 0o600 != 0o600:
        yield problem(
            f"its owner may not read and write this file (mode {mode:04o})",
            path,
            f"chmod 600 {path}",
        )
    if info.st_uid != owner:
        sudo = "sudo " if os.geteuid() else ""
        yield problem(
            f"this belongs to user {info.st_uid}, and the base to user {owner}",
            path,
            f"{sudo}chown {owner} {path}",
        )


def left_behind(examined: Examined) -> Iterator[Finding]:
    """What commands that were killed left unfinished; what one works on is locked, and not among it."""
    found = list(cleanup.found(examined.config))
    for left in found[:_MOST]:
        yield warning(left.what, left.path, left.todo)
    for path in spool.leftovers(examined.config.base_dir)[:_MOST]:
        yield warning(
            "the files of a hook run that was killed",
            path,
            "The next one removes them: telemetry hooks run",
        )
    if len(found) > _MOST:
        yield warning(
            f"{len(found)} unfinished files in all",
            examined.config.base_dir,
            "telemetry redact --fix",
        )


def file_system(examined: Examined) -> Iterator[Finding]:
    """Locks and flushes of a network file system are not to be relied on."""
    if sys.platform != "linux":
        return
    for place in {examined.config.base_dir, os.path.dirname(examined.config.db_path)}:
        kind = _file_system(os.path.realpath(place))
        if kind in _NETWORK:
            yield warning(
                f"a network file system ({kind}): its locks and flushes are not to be relied on",
                place,
                "Name a local folder: --base-dir.",
            )


def _file_system(path: str) -> str:
    """The kind of the file system that a path lies on, as /proc/mounts names it."""
    best, kind = "", ""
    try:
        with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                _, point, found, *_ = line.split(" ")
                point = point.replace("\\040", " ")
                if (path == point or path.startswith(point.rstrip("/") + "/")) and len(
                    point
                ) >= len(best):
                    best, kind = point, found
    except (OSError, ValueError):
        return ""
    return kind


def locks(examined: Examined) -> Iterator[Finding]:
    """Who holds a lock for longer than a write takes."""
    for path in (os.path.join(examined.config.raw_dir, ".lock"), examined.config.db_path + ".lock"):
        if not os.path.isfile(path):
            continue
        try:
            with Lock(path, time.monotonic() + _PATIENCE):
                pass
        except LockTimeout:
            yield warning(
                f"locked for over a second, {_by_whom(path)}; records wait meanwhile",
                path,
                "Wait for it, or see what it does.",
            )
        except (OSError, Refused):
            # Not to be opened: `permissions` says so.
            continue
    # Only who holds SQLite's own lock is asked here: to take it would be to write.
    if isinstance(examined.trouble, LockTimeout):
        yield warning(
            f"locked, {_by_whom(examined.config.db_path)}",
            examined.config.db_path,
            "Wait for it, or see what it does.",
        )


def _by_whom(path: str) -> str:
    found = holders(path)
    return (
        "by " + ", ".join(f"process {pid}{f' ({name})' if name else ''}" for pid, name in found)
        if found
        else "by another process"
    )


_MOST_LINES = 10


def buffer_lines(examined: Examined) -> Iterator[Finding]:
    """Every line that waits is whole, by its CRC."""
    config = examined.config
    found = 0
    for name in buffer.waiting(config):
        try:
            line = buffer.read(config, name)
        except (OSError, Refused):
            # Not to be opened: `permissions` says so.
            continue
        if not journal.is_damaged(line):
            continue
        found += 1
        if found > _MOST_LINES:
            yield problem("more damaged records wait", config.buffer_dir, "telemetry db drain")
            return
        what = f"a damaged record waits: {shorten(repr(line)[2:-1], 60)}"
        yield problem(
            what,
            os.path.join(config.buffer_dir, name),
            "telemetry db drain keeps it in rejected_ops, and applies the others.",
        )


def foreign_buffer_files(examined: Examined) -> Iterator[Finding]:
    """Nothing but lines lies in the buffer."""
    config = examined.config
    names = buffer.others(config)
    for name in names[:_MOST_LINES]:
        what = (
            "an empty file where a record should be"
            if buffer.is_empty_line(name)
            else "no record: a writer was killed before it was whole, or it is another's"
        )
        yield warning(what, os.path.join(config.buffer_dir, name), "See what it is, and remove it.")
    if len(names) > _MOST_LINES:
        yield warning(
            f"{len(names)} files in all are no records",
            config.buffer_dir,
            "See what they are, and remove them.",
        )
