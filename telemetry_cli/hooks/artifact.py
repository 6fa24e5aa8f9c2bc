"""Artifacts: the script or folder of a release, kept as blobs, and the digest that a release goes by."""

import os
import stat
from collections.abc import Iterable, Iterator
from hashlib import sha256

from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import Conflict, InvalidInput, TelemetryError
from telemetry_cli.journal import blobs

_BLOCK = 1 << 20
_MOST_FILES = 10_000
#: What a folder is executed by.
ENTRY = "run"


def check(name: str, path: str) -> str:
    """The kind of an artifact, `script` or `folder`. Raises `InvalidInput` when it could not be executed."""
    where = f"{name}: {rules.shorten(path)}"
    try:
        rules.text(name, path)
        if os.path.isdir(path):
            entry = os.path.join(path, ENTRY)
            if not os.path.isfile(entry) or not os.access(entry, os.X_OK):
                raise InvalidInput(
                    f"{where} is a folder without an executable {ENTRY!r}; add one (chmod +x)"
                )
            list(_files(where, path))
            return "folder"
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise InvalidInput(f"{where} is no plain file and no folder")
            beginning = file.read(2)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{where} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    if not beginning or (not info.st_mode & stat.S_IXUSR and beginning != b"#!"):
        raise InvalidInput(
            f"{where} is {'empty' if not beginning else 'neither executable nor a script that begins with #!'}; a hook is a program"
        )
    return "script"


def take(lease: blobs.Lease | None, name: str, path: str) -> object:
    """What the digest says of an artifact; with a lease its content is kept as blobs.

    A script is {executable, sha256}; a folder is the sorted list of [mode, path, sha256]. Raises `InvalidInput` when it cannot be read.
    """
    try:
        if not os.path.isdir(path):
            executable, sha = _keep(lease, name, path)
            return {"executable": executable, "sha256": sha}
        found = sorted(_files(f"{name}: {rules.shorten(path)}", path))
        kept = [(relative, *_keep(lease, name, full, os.O_NOFOLLOW)) for relative, full in found]
        return [
            ["0755" if executable else "0644", relative, sha] for relative, executable, sha in kept
        ]
    except FileNotFoundError as error:
        raise InvalidInput(f"{name}: {error.filename} is gone: {error.strerror}") from None


def _files(where: str, folder: str) -> Iterator[tuple[str, str]]:
    """(path inside the folder, whole path) of every file. Raises `InvalidInput` for links and whatever is no plain file."""

    def unreadable(error: OSError) -> None:
        raise InvalidInput(f"{where}: {error.filename} cannot be read: {error.strerror}")

    count = 0
    for parent, folders, names in os.walk(folder, onerror=unreadable):
        for name in [*folders, *names]:
            full = os.path.join(parent, name)
            mode = os.lstat(full).st_mode
            relative = os.path.relpath(full, folder)
            if stat.S_ISDIR(mode):
                continue
            rules.text(where, relative)
            if not stat.S_ISREG(mode) or not os.access(full, os.R_OK):
                raise InvalidInput(
                    f"{where}: {rules.shorten(relative)} is a link, no plain file, or not readable; a release holds plain files only"
                )
            count += 1
            if count > _MOST_FILES:
                raise InvalidInput(f"{where} holds more than {_MOST_FILES} files")
            yield relative, full


def _keep(lease: blobs.Lease | None, name: str, path: str, flags: int = 0) -> tuple[bool, str]:
    """Return whether a file is executable, and the SHA-256 of its content; with a lease the content is kept. Raises `InvalidInput`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except OSError as error:
        raise InvalidInput(f"{name}: {path} cannot be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise InvalidInput(f"{name}: {path} is not a regular file")
        pieces = iter(lambda: file.read(_BLOCK), b"")
        return bool(mode & stat.S_IXUSR), lease.put(pieces) if lease is not None else _digest(
            pieces
        )


def _digest(pieces: Iterable[bytes]) -> str:
    found = sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def digest(release: dict[str, object]) -> str:
    """The digest of a release, from its kind, artifact, argv, config and limits."""
    return sha256(
        rules.encode(
            {name: release[name] for name in ("kind", "artifact", "argv", "config", "limits")}
        ).encode()
    ).hexdigest()


# Back to files


def write(config: Config, artifact: object, path: str) -> None:
    """Write an artifact out at `path`, which must not be there yet: a file for a script, a folder for a folder.

    Raises `Conflict`, `NotFound` when a blob is gone, `TelemetryError` when one is damaged, `InvalidInput` when it cannot be written.
    """
    try:
        if isinstance(artifact, dict):
            _write_file(config, path, artifact["sha256"], artifact["executable"])
            return
        assert isinstance(artifact, list)
        os.mkdir(path, 0o700)
        for mode, relative, sha in artifact:
            target = os.path.join(path, relative)
            if os.path.isabs(relative) or ".." in relative.split("/"):
                raise TelemetryError(
                    f"the artifact holds a path that leaves its folder: {relative!r}"
                )
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            _write_file(config, target, sha, mode == "0755")
    except FileExistsError:
        raise Conflict(
            f"{path} exists already; nothing was written", "Name a path that does not exist yet."
        ) from None
    except PermissionError as error:
        raise InvalidInput(f"{error.filename}: {error.strerror}") from None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from None


def _write_file(config: Config, path: str, sha: str, executable: bool) -> None:
    pieces = blobs.content(config, sha)
    first = next(pieces, b"")
    with open(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
    ) as file:
        try:
            file.write(first)
            file.writelines(pieces)
        except BaseException:
            os.unlink(path)
            raise
        os.fchmod(file.fileno(), 0o700 if executable else 0o600)


def verify(config: Config, artifact: object) -> None:
    """Read a stored artifact to its end. Raises `NotFound` when a blob is gone, `TelemetryError` when one is damaged."""
    files: list[list[str]] = [] if isinstance(artifact, dict) else artifact  # type: ignore[assignment]
    digests = [artifact["sha256"]] if isinstance(artifact, dict) else [sha for *_, sha in files]
    for sha in digests:
        for _ in blobs.content(config, sha):
            pass


def unpack(config: Config, release: dict[str, object], work: str) -> list[str]:
    """Write a release's stored artifact into the empty directory `work`. Returns its command: what to execute, and its own arguments."""
    path = os.path.join(work, str(release["hook"]))
    write(config, release["artifact"], path)
    arguments = [str(argument) for argument in release["argv"]]  # type: ignore[attr-defined]
    if release["kind"] == "folder":
        return [os.path.join(path, ENTRY), *arguments]
    return [*(_interpreter(path) if not os.access(path, os.X_OK) else []), path, *arguments]


def _interpreter(path: str) -> list[str]:
    """What the first line of a script names, with at most one argument, as the system itself reads it."""
    with open(path, "rb") as file:
        line = file.readline(256).removeprefix(b"#!").strip().decode(errors="surrogateescape")
    return line.split(None, 1)
