"""The buffer: a file for each journal line that could not be appended, until a later command brings it into the journal."""

import os

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import LockTimeout, NotDurable, advise_on_permissions
from telemetry_cli.core.fs import (
    check_folder,
    make_folder,
    open_private,
    sync_folder,
)
from telemetry_cli.core.locks import remove_unlocked, write_atomic

_ENDING, _PARTIAL = ".ndjson", ".tmp"
#: Bytes: a line that was kept has more than its newline.
_SHORTEST = 2


def waiting(config: Config) -> list[str]:
    """The names of the lines that wait, in the order in which they were kept. An empty file is none, and stays."""
    return _names(config, is_line=True)


def others(config: Config) -> list[str]:
    """The names of whatever else lies in the folder: empty files, and somebody else's."""
    return [name for name in _names(config, is_line=False) if not name.endswith(_ENDING + _PARTIAL)]


def line_names(config: Config) -> list[str]:
    """The names of lines and of empty files, in no order: of a hundred thousand, too, at once."""
    if not check_folder(config.buffer_dir):
        return []
    return [name for name in os.listdir(config.buffer_dir) if name.endswith(_ENDING)]


def has_lines(config: Config) -> bool:
    """Tell whether any line waits. Looks no further than to the first."""
    if not check_folder(config.buffer_dir):
        return False
    with os.scandir(config.buffer_dir) as entries:
        return any(entry.name.endswith(_ENDING) and _has_content(entry) for entry in entries)


def partials(config: Config) -> list[str]:
    """The paths of lines that are being written, or that a killed writer left."""
    if not check_folder(config.buffer_dir):
        return []
    return sorted(
        os.path.join(config.buffer_dir, name)
        for name in os.listdir(config.buffer_dir)
        if name.endswith(_ENDING + _PARTIAL)
    )


def remove_partials(config: Config) -> None:
    """Remove the lines that killed writers left unfinished: nobody was told that they are recorded."""
    for path in partials(config):
        remove_unlocked(path)


def is_empty_line(name: str) -> bool:
    """Tell whether one of the others has the name of a line, so that it is one without content."""
    return name.endswith(_ENDING)


def empty_lines(config: Config) -> list[str]:
    """Return the paths of empty files with the name of a line."""
    return [os.path.join(config.buffer_dir, name) for name in others(config) if is_empty_line(name)]


def _names(config: Config, *, is_line: bool) -> list[str]:
    if not check_folder(config.buffer_dir):
        return []
    with os.scandir(config.buffer_dir) as entries:
        return sorted(
            entry.name
            for entry in entries
            if (entry.name.endswith(_ENDING) and _has_content(entry)) == is_line
        )


def _has_content(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_size >= _SHORTEST
    except FileNotFoundError:
        # Another process has brought it into the journal meanwhile.
        return False


def keep(
    config: Config, op_id: str, line: bytes, trouble: Exception, names: list[str] | None = None
) -> None:
    """Keep a line that could not be appended because of `trouble`: complete under its final name, or not there at all.

    `names` are those in the folder, where they are known. Raises `NotDurable` when it cannot be kept here either.
    """
    path = ""
    try:
        make_folder(config.buffer_dir)
        path = os.path.join(
            config.buffer_dir, _name(line_names(config) if names is None else names, op_id)
        )
        write_atomic(path + _PARTIAL, [line], lambda: path)
        for folder in (config.base_dir, os.path.dirname(config.base_dir)):
            sync_folder(folder)
    except (OSError, LockTimeout) as error:
        for leftover in (path + _PARTIAL, path):
            try:
                os.unlink(leftover)
            except OSError:
                pass
        raise NotDurable(
            f"the record could not be written below {config.base_dir}: {trouble}; nor to the buffer: {getattr(error, 'strerror', error)}",
            line.decode().rstrip("\n"),
            "The record stands above: save it. " + _advise(config, error),
        ) from trouble


def _advise(config: Config, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return advise_on_permissions(error.filename or config.buffer_dir)
    return f"Check the space in {config.base_dir}."


def _name(names: list[str], op_id: str) -> str:
    """A name that sorts behind those in the folder. An op_id begins with its time, which may have gone back."""
    newest = max(names, default="")
    if newest < op_id:
        return op_id + _ENDING
    try:
        rank = int(newest[:16], 16) + 1
    except ValueError:
        rank = 0
    return f"{rank:016x}~{op_id}{_ENDING}"


def read(config: Config, name: str) -> bytes:
    """A line that waits, with its newline."""
    with open(open_private(os.path.join(config.buffer_dir, name), os.O_RDONLY), "rb") as file:
        return file.read().rstrip(b"\n") + b"\n"


def forget(config: Config, name: str) -> None:
    """Take a line away that is in the journal now. Coming there twice, it would still have one effect."""
    try:
        os.unlink(os.path.join(config.buffer_dir, name))
    except OSError:
        pass


def replace(config: Config, name: str, line: bytes) -> None:
    """Put another line in the place of one that waits. Raises `OSError`."""
    path = os.path.join(config.buffer_dir, name)
    remove_unlocked(path + _PARTIAL)
    write_atomic(path + _PARTIAL, [line], lambda: path)
