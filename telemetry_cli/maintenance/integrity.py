"""What of the journal cannot be read: lines by their CRC, and the blobs that its operations name by their digest."""

import os
from collections.abc import Iterable, Iterator

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import TelemetryError
from telemetry_cli.journal import blobs
from telemetry_cli.journal import segments as journal


class Damage:
    """A damaged `line`, or (None) a blob that is gone or damaged; `where` it is, and `what` is wrong. `makes_rows`: rows are made of it."""

    def __init__(self, where: str, what: str, line: bytes | None, *, makes_rows: bool) -> None:
        self.where = where
        self.what = what
        self.line = line
        self.makes_rows = makes_rows


def found(config: Config) -> Iterator[Damage]:
    """All damage, in the order of the journal; of each blob once."""
    seen: set[str] = set()
    was_blank = False
    for place, line in journal.read(config, journal.START, journal.newest_end(config)):
        is_blank = not line.strip()
        if is_blank and was_blank:
            # Newlines over a line make many lines of it.
            continue
        was_blank = is_blank
        if journal.is_damaged(line):
            where = f"{os.path.join(config.raw_dir, place[0])}, byte {place[1] - len(line)}"
            yield Damage(where, "a damaged line", line, makes_rows=True)
        elif b'"blob"' in line or b'"artifact"' in line:
            yield from _of_blobs(config, line, seen)


def makes_rows_differ(config: Config) -> bool:
    """Tell whether replaying the journal would make other rows than it once did."""
    return any(damage.makes_rows for damage in found(config))


def _of_blobs(config: Config, line: bytes, seen: set[str]) -> Iterator[Damage]:
    operation = journal.decode(line)
    data = operation.get("data") if operation else None
    if not isinstance(data, dict):
        return
    applied = data.get("blob")
    for digest in (applied, *_kept(data)):
        # What is none was refused when it was applied.
        if not isinstance(digest, str) or not blobs.is_digest(digest) or digest in seen:
            continue
        seen.add(digest)
        try:
            for _ in blobs.content(config, digest):
                pass
        except TelemetryError as error:
            yield Damage(
                os.path.join(config.blobs_dir, digest),
                error.message,
                None,
                makes_rows=digest == applied,
            )


def _kept(data: dict[str, object]) -> Iterator[object]:
    """The blobs that are kept for themselves: the logs of a hook run, the artifacts of a release or of those of a convention."""
    yield from (log.get("digest") for log in _objects(data.get("logs")))
    for release in (data, *_objects(data.get("releases"))):
        artifact = release.get("artifact")
        if isinstance(artifact, dict):
            yield artifact.get("sha256")
        elif isinstance(artifact, list):
            yield from (file[2] for file in artifact if isinstance(file, list) and len(file) == 3)


def _objects(value: object) -> Iterable[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
