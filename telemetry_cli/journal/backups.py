"""Backups: verified copies of the database, each with its cursor; and the snapshots of databases that were adopted.

A copy is made under a name of its own, checked and flushed, and only then renamed: it is there whole, or not at all.
"""

import os
import shutil
import time
from hashlib import sha256

from telemetry_cli.core.clock import new_op_id
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import (
    Conflict,
    DatabaseTrouble,
    DiskTrouble,
    InvalidInput,
)
from telemetry_cli.core.fs import (
    Unnamed,
    check_folder,
    make_folder,
    open_private,
    sync_file,
    sync_folder,
)
from telemetry_cli.core.locks import MaintenanceLock
from telemetry_cli.database import maintenance

_BACKUP, _ADOPTED, _PARTIAL, _ENDING = "backup_", "adopted_", ".partial_", ".sqlite"
_BLOCK = 1 << 20


def make(config: Config, at: str, target: str | None) -> str:
    """Make a backup at `target`, in that folder, or (None) in `backups/`, and return its path.

    Raises `Conflict` when something is there already, `DatabaseTrouble`, `LockTimeout`, `Refused` or `OSError`.
    """
    deadline = time.monotonic() + config.lock_timeout
    name = f"{_BACKUP}{_compact(at)}_{new_op_id()[-8:]}{_ENDING}"
    if target is None:
        with _Shelf(config, deadline):
            return _copied(
                config.db_path, os.path.join(config.backups_dir, name), deadline, config.backups_dir
            )
    path = os.path.join(target, name) if os.path.isdir(target) else target
    if os.path.lexists(path):
        raise Conflict(
            f"{path} is there already; nothing was changed", "Name another file, or a folder."
        )
    if not os.path.isdir(os.path.dirname(path)):
        raise InvalidInput(
            f"TO: there is no folder {os.path.dirname(path)}", "Make it, or name another place."
        )
    try:
        # Made here and brought there when it is whole: killed, nothing of it is outside of the base.
        with _Shelf(config, deadline):
            return _copied(config.db_path, path, deadline, config.backups_dir)
    except (DiskTrouble, OSError):
        # The base may have no room for it, or be read-only; that place may.
        return _copied(config.db_path, path, deadline, os.path.dirname(path))


def _compact(at: str) -> str:
    return at[:23].replace("-", "").replace(":", "").replace(".", "") + "Z"


def keep_snapshot(config: Config, path: str, deadline: float) -> str:
    """Keep a copy of a database for ever, and return its SHA-256. Keeping the same one again keeps it once."""
    with _Shelf(config, deadline):
        partial = _partial(config.backups_dir)
        try:
            maintenance.copy(path, partial, deadline)
            try:
                found = maintenance.damage(partial)
            except DiskTrouble:
                raise
            except DatabaseTrouble as error:
                found = [error.message.removeprefix(f"{partial} ")]
            if found:
                raise DatabaseTrouble(
                    f"{path} is damaged, and was left as it is: {found[0]}",
                    "Try: sqlite3 OLD .recover | sqlite3 NEW",
                )
            digest = digest_of(partial)
            _into_place(partial, snapshot(config, digest))
        finally:
            maintenance.remove(partial)
    return digest


def snapshot(config: Config, digest: str) -> str:
    """Where the snapshot of this SHA-256 is, or would be."""
    return os.path.join(config.backups_dir, snapshot_name(digest))


def snapshot_name(digest: str) -> str:
    """What the snapshot of this SHA-256 is called."""
    return f"{_ADOPTED}{digest}{_ENDING}"


def snapshots(config: Config) -> list[str]:
    """The snapshots of adopted databases, newest first. One whose content has another digest is left out."""
    paths = [os.path.join(config.backups_dir, name) for name in _names(config, _ADOPTED)]
    paths.sort(key=lambda path: os.stat(path).st_mtime, reverse=True)
    return [path for path in paths if os.path.basename(path) == snapshot_name(digest_of(path))]


def any_snapshot(config: Config) -> bool:
    """Tell whether a database was ever adopted here."""
    return bool(_names(config, _ADOPTED))


def kept(config: Config) -> list[str]:
    """The backups in `backups/`, newest first, unverified."""
    return [os.path.join(config.backups_dir, name) for name in reversed(_names(config, _BACKUP))]


def _names(config: Config, beginning: str) -> list[str]:
    if not check_folder(config.backups_dir):
        return []
    return sorted(
        name
        for name in os.listdir(config.backups_dir)
        if name.startswith(beginning) and name.endswith(_ENDING)
    )


def lock_path(config: Config) -> str:
    """The lock of `backups/`: whoever makes a backup in there holds it."""
    return os.path.join(config.backups_dir, ".lock")


def partials(config: Config) -> list[str]:
    """The paths of backups that are being made, or that a killed maker left, and what SQLite keeps beside them."""
    if not check_folder(config.backups_dir):
        return []
    return sorted(
        os.path.join(config.backups_dir, name)
        for name in os.listdir(config.backups_dir)
        if name.startswith(_PARTIAL)
    )


def remove_partials(config: Config) -> None:
    """Remove them. The caller holds the lock of `backups/`."""
    for path in partials(config):
        maintenance.remove(path)


class _Shelf:
    """The folder of backups, held so that one is made at a time; what a killed maker left is removed."""

    def __init__(self, config: Config, deadline: float) -> None:
        make_folder(config.base_dir, may_be_link=True)
        make_folder(config.backups_dir)
        self._config = config
        self._lock = MaintenanceLock(lock_path(config), deadline)

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            remove_partials(self._config)
        except BaseException:
            self._lock.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(*error)


def _copied(source: str, path: str, deadline: float, folder: str) -> str:
    partial = _partial(folder)
    try:
        maintenance.copy(source, partial, deadline)
        maintenance.check(partial)
        _into_place(partial, path)
    finally:
        maintenance.remove(partial)
    return path


def _partial(folder: str) -> str:
    """A new empty private file: SQLite would make a public one."""
    path = os.path.join(folder, f"{_PARTIAL}{new_op_id()}")
    os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    return path


def _into_place(partial: str, path: str) -> None:
    sync_file(partial)
    if os.path.dirname(partial) == os.path.dirname(path):
        os.rename(partial, path)
    else:
        _copy_bytes(partial, path)
    for folder in (os.path.dirname(path), os.path.dirname(os.path.dirname(path))):
        sync_folder(folder)


def _copy_bytes(partial: str, path: str) -> None:
    """Bring a whole backup to a place that is not the base's: it may be on another file system, and is the caller's."""
    unnamed = Unnamed(os.path.join(os.path.dirname(path), os.path.basename(partial)))
    try:
        with (
            open(open_private(partial, os.O_RDONLY), "rb") as source,
            open(unnamed.descriptor, "wb", closefd=False) as file,
        ):
            shutil.copyfileobj(source, file, _BLOCK)
        unnamed.replace(path)
    finally:
        unnamed.close()


def digest_of(path: str) -> str:
    """The SHA-256 of a file, in hex."""
    digest = sha256()
    with open(open_private(path, os.O_RDONLY), "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
