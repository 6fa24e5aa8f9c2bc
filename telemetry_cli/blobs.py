"""Blobs: content too large for a journal line, kept by its SHA-256 and durable before an operation names it."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import BinaryIO

from telemetry_cli.clock import new_op_id
from telemetry_cli.config import Config
from telemetry_cli.errors import NotFound, Refused, TelemetryError
from telemetry_cli.files import check_folder, make_folder, open_private, sync_folder

_DIGITS = frozenset("0123456789abcdef")
_BLOCK = 1 << 20
#: Seconds without a write after which a blob that was begun is one that nobody goes on with.
_ABANDONED = 3600


def put(config: Config, chunks: Iterable[bytes]) -> str:
    """Keep the content and return its digest (64 hex digits). It is there whole and flushed, or not at all.

    Memory: one chunk. Raises `OSError`, or `Refused` for planted links.
    """
    make_folder(config.base_dir, may_be_link=True)
    make_folder(config.blobs_dir)
    for path in leftovers(config):
        with suppress(FileNotFoundError):
            os.unlink(path)
    partial = os.path.join(config.blobs_dir, f".{new_op_id()}.tmp")
    digest = sha256()
    try:
        with open(open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb", buffering=_BLOCK) as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.rename(partial, os.path.join(config.blobs_dir, digest.hexdigest()))
    except BaseException:
        try:
            os.unlink(partial)
        except OSError:
            pass
        raise
    for folder in (config.blobs_dir, config.base_dir, os.path.dirname(config.base_dir)):
        sync_folder(folder)
    return digest.hexdigest()


def leftovers(config: Config) -> list[str]:
    """What commands that were killed left of blobs that they began: nobody has written to these files for an hour. Raises `OSError`."""
    found: list[str] = []
    with os.scandir(config.blobs_dir) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED:
                        found.append(entry.path)
    return sorted(found)


def is_digest(digest: str) -> bool:
    """Tell whether a text is the name of a blob."""
    return len(digest) == 64 and _DIGITS.issuperset(digest)


def kept(config: Config) -> list[str]:
    """The digests of the blobs that are kept."""
    if not check_folder(config.blobs_dir):
        return []
    return sorted(name for name in os.listdir(config.blobs_dir) if len(name) == 64)


def open_blob(config: Config, digest: str) -> BinaryIO:
    """Open the content of a digest. Only ever a plain file below `blobs/`, whatever a forged row names.

    Raises `Refused` for what is no digest or a planted link, `NotFound` when the blob is gone.
    """
    if not is_digest(digest):
        raise Refused(f"{digest!r} is not the SHA-256 of a blob")
    try:
        return open(open_private(os.path.join(config.blobs_dir, digest), os.O_RDONLY), "rb", buffering=_BLOCK)
    except FileNotFoundError:
        raise NotFound(f"Blob not found: {digest} in {config.blobs_dir}", "Restore the folder from a backup.") from None


def lines(config: Config, digest: str) -> Iterator[bytes]:
    """The content, line by line (newline included), checked against its digest.

    Raises `TelemetryError` after the last line of what is not the content that was kept: nothing of it may stay.
    """
    with open_blob(config, digest) as file:
        yield from _checked(config, digest, file)


def content(config: Config, digest: str) -> Iterator[bytes]:
    """The content in large pieces; else as `lines`."""
    with open_blob(config, digest) as file:
        yield from _checked(config, digest, iter(lambda: file.read(_BLOCK), b""))


def _checked(config: Config, digest: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    found = sha256()
    for piece in pieces:
        found.update(piece)
        yield piece
    if found.hexdigest() != digest:
        raise TelemetryError(f"the blob {digest} in {config.blobs_dir} is damaged: its content has another digest", "Restore the folder from a backup.")


def forget(config: Config, digest: str) -> None:
    """Take away a blob that no operation names any more."""
    try:
        os.unlink(os.path.join(config.blobs_dir, digest))
    except FileNotFoundError:
        return
    sync_folder(config.blobs_dir)
