"""An export: runs with their events and commits, and the file they go to, complete under its name or not there at all."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from telemetry_cli.errors import InvalidInput, Refused
from telemetry_cli.files import sync_folder
from telemetry_cli.store import commits, runs
from telemetry_cli.store.database import Connection
from telemetry_cli.transfer.records import COMMIT_FIELDS, EVENT_FIELDS

Record = dict[str, object]

#: Runs whose events and commits are fetched together.
_PAGE = 200


def nested(db: Connection, rows: Iterator[Record]) -> Iterator[Record]:
    """The runs, each with its `events` and `commits`. No cursor is open while a record is with the caller."""
    page: list[Record] = []
    for row in rows:
        page.append(row)
        if len(page) == _PAGE:
            yield from _with_children(db, page)
            page = []
    yield from _with_children(db, page)


def _with_children(db: Connection, page: list[Record]) -> Iterator[Record]:
    names = [str(row["event_id"]) for row in page]
    events, ledger = runs.events_of(db, names), commits.ledger_of(db, names)
    for row in page:
        yield row | {
            "events": [{name: event[name] for name in EVENT_FIELDS} for event in events.get(row["event_id"], ())],
            "commits": [{name: commit[name] for name in COMMIT_FIELDS} for commit in ledger.get(row["event_id"], ())],
        }


@contextmanager
def replaced(path: str) -> Iterator[IO[bytes]]:
    """A private file (0600) to fill, put in the place of whatever `path` was when all went well; `.gz` packs it.

    The place is left as it was when anything fails. Raises `InvalidInput` when there is no such place, and `Refused` when it may
    not be written.
    """
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise InvalidInput(f"--to: {path} names no file in a folder that is there")
    # A link is followed to the file that it means: replacing it would leave that one as it was.
    place = os.path.realpath(path)
    partial = f"{place}.{os.urandom(6).hex()}.tmp"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise Refused(f"--to: {path} cannot be written: {error.strerror}", "See to the permissions of its folder.") from None
    except OSError as error:
        raise InvalidInput(f"--to: {path} cannot be written: {error.strerror}") from None
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            if path.endswith(".gz"):
                with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, filename="", mtime=0) as packed:
                    # A GzipFile is written like a file, and typed as something else.
                    yield packed  # type: ignore[misc]
            else:
                yield file
            file.flush()
            os.fsync(descriptor)
        os.replace(partial, place)
    except BaseException as error:
        os.unlink(partial)
        if isinstance(error, OSError):
            raise InvalidInput(f"--to: {path} could not be written: {error.strerror}") from None
        raise
    sync_folder(os.path.dirname(place))
