"""Blobs: content too large for a journal line, kept by its SHA-256 and durable before an operation names it.

Whoever keeps blobs holds a `Lease` until a durable journal line names them; whoever deletes blobs holds a `Clearance`, and
only then looks which are named. Both exclude each other by `blobs/.lock`. Of several locks this one is taken first.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import BinaryIO

from telemetry_cli.core.clock import new_op_id
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import NotFound, Refused, TelemetryError
from telemetry_cli.core.fs import (
    check_folder,
    make_folder,
    open_private,
    sync_folder,
)
from telemetry_cli.core.locks import Lock, remove_unlocked, write_atomic

_DIGITS = frozenset("0123456789abcdef")
_BLOCK = 1 << 20
#: Fields of an operation in which a digest may stand: a blob that is applied, the files of an artifact, the logs of a hook run.
_NAMING = (b'"blob"', b'"artifact"', b'"logs"')
_NAMED = re.compile(rb"[0-9a-f]{64}")


class Lease:
    """The right to keep blobs. Until it ends, no blob is deleted: not one that was just kept, nor an older one of the same content.

    `with Lease(config) as lease: lease.put(…); record(…)`. Several processes may hold one. Raises `LockTimeout`, `Refused` for
    planted links, or `OSError`.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = _lock(config, shared=True)

    def __enter__(self) -> "Lease":
        make_folder(self._config.base_dir, may_be_link=True)
        make_folder(self._config.blobs_dir)
        self._lock.__enter__()
        remove_partials(self._config)
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(*error)

    def put(self, chunks: Iterable[bytes]) -> str:
        """Keep the content and return its digest (64 hex digits). It is there whole and flushed, or not at all.

        Memory: one chunk. Raises `OSError`, or `Refused` for planted links.
        """
        config = self._config
        partial = os.path.join(config.blobs_dir, f".{new_op_id()}.tmp")
        digest = sha256()

        def digested() -> Iterator[bytes]:
            for chunk in chunks:
                digest.update(chunk)
                yield chunk

        write_atomic(
            partial, digested(), lambda: os.path.join(config.blobs_dir, digest.hexdigest())
        )
        for folder in (config.base_dir, os.path.dirname(config.base_dir)):
            sync_folder(folder)
        return digest.hexdigest()


class Clearance:
    """The right to delete blobs: nobody holds a `Lease`, so the journal and the buffer name every blob that is needed.

    Raises `LockTimeout`, `Refused` for planted links, or `OSError`.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = _lock(config, shared=False)

    def __enter__(self) -> "Clearance":
        make_folder(self._config.blobs_dir)
        self._lock.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(*error)

    def delete(self, digests: Iterable[str]) -> int:
        """Delete the blobs of these digests, as far as they are there. Returns how many bytes they took."""
        size = 0
        for digest in digests:
            path = os.path.join(self._config.blobs_dir, digest)
            try:
                found = os.lstat(path).st_size
                os.unlink(path)
            except FileNotFoundError:
                continue
            size += found
        sync_folder(self._config.blobs_dir)
        return size


def _lock(config: Config, *, shared: bool) -> Lock:
    return Lock(
        os.path.join(config.blobs_dir, ".lock"),
        time.monotonic() + config.lock_timeout,
        shared=shared,
    )


def partials(config: Config) -> list[str]:
    """The paths of blobs that are being written, or that a killed writer left."""
    if not check_folder(config.blobs_dir):
        return []
    return sorted(
        os.path.join(config.blobs_dir, name)
        for name in os.listdir(config.blobs_dir)
        if name.startswith(".") and name.endswith(".tmp")
    )


def remove_partials(config: Config) -> None:
    """Remove the blobs that killed writers left unfinished. Raises `OSError`, or `Refused` for planted links."""
    for path in partials(config):
        remove_unlocked(path)


def digests_in(line: bytes) -> list[str]:
    """The digests of all blobs that a journal line may name, damaged or not; others may be among them."""
    return (
        [digest.decode() for digest in _NAMED.findall(line)]
        if any(field in line for field in _NAMING)
        else []
    )


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
        return open(
            open_private(os.path.join(config.blobs_dir, digest), os.O_RDONLY),
            "rb",
            buffering=_BLOCK,
        )
    except FileNotFoundError:
        raise NotFound(
            f"Blob not found: {digest} in {config.blobs_dir}", "Restore the folder from a backup."
        ) from None


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
        raise TelemetryError(
            f"the blob {digest} in {config.blobs_dir} is damaged: its content has another digest",
            "Restore the folder from a backup.",
        )
