"""Export runs with their events and commits to a file."""

import gzip
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any

from telemetry_cli.core.errors import InvalidInput, Refused
from telemetry_cli.core.fs import Unnamed
from telemetry_cli.database import commits, runs
from telemetry_cli.database.database import Connection
from telemetry_cli.transfer.records import COMMIT_FIELDS, EVENT_FIELDS

Record = dict[str, object]

_ROWS = 5000
_INTEGERS = frozenset(
    (
        "id", "schema_version", "items_discovered", "items_succeeded", "items_failed", "items_skipped", "duration_ms",
        "pid", "api_posted", "api_retry_count",
    )
)  # fmt: skip


def check_parquet() -> None:
    """Raise `InvalidInput` naming the extra if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise InvalidInput(
            "--format: parquet needs pyarrow, which is not installed",
            "Run: pip install 'telemetry-cli[parquet]'",
        ) from None


def write_parquet(file: IO[bytes], columns: Sequence[str], rows: Iterator[Record]) -> Iterator[int]:
    """Write the rows in groups of some thousands; yield the number of rows after each group."""
    import pyarrow as arrow
    from pyarrow import parquet

    schema = arrow.schema(
        [(name, arrow.int64() if name in _INTEGERS else arrow.string()) for name in columns]
    )
    number = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as made:
        while group := list(islice(rows, _ROWS)):
            made.write_table(
                arrow.Table.from_pylist([_flat(row, columns) for row in group], schema=schema)
            )
            number += len(group)
            yield number


def _flat(row: Record, columns: Sequence[str]) -> dict[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value := row[name], (dict, list)) else value
        for name in columns
    }


#: Runs whose events and commits are fetched together.
_PAGE = 200
#: Paths of the open files of the process itself.
_OPEN = re.compile(r"(?:/dev|/proc/self)/fd/([0-9]+)")
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}


def nested(db: Connection, rows: Iterator[Record]) -> Iterator[Record]:
    """Yield the runs with their `events` and `commits`. No cursor stays open between records."""
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
            "events": [
                {name: event[name] for name in EVENT_FIELDS}
                for event in events.get(row["event_id"], ())
            ],
            "commits": [
                {name: commit[name] for name in COMMIT_FIELDS}
                for commit in ledger.get(row["event_id"], ())
            ],
        }


@contextmanager
def replaced(path: str) -> Iterator[IO[bytes]]:
    """Open a private file (0600) that replaces `path` after the block; gzip if the path ends in `.gz`.

    If the block fails, `path` stays unchanged. Devices, FIFOs and open files such as `/dev/stdout`
    are written to in place. Raises `InvalidInput` if the directory does not exist, and `Refused` if
    permissions are missing.
    """
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise InvalidInput(f"--to: {path} is a directory, or its directory does not exist")
    stream = _stream(path)
    if stream is not None:
        with _failing(path), open(stream, "wb") as file, _packed(path, file) as filled:
            yield filled
        return
    # Follow a link: replacing the link would leave its target unchanged.
    place = os.path.realpath(path)
    with _opening(path):
        unnamed = Unnamed(f"{place}.{os.urandom(6).hex()}.tmp")
    try:
        with _failing(path):
            with (
                open(unnamed.descriptor, "wb", closefd=False) as file,
                _packed(path, file) as filled,
            ):
                yield filled
            unnamed.replace(place)
    finally:
        unnamed.close()


def is_stdout(path: str) -> bool:
    """Return whether a path means stdout: `-`, `/dev/stdout`, or the terminal or pipe behind it."""
    if path == "-" or _standard(path) == 1:
        return True
    try:
        info = os.stat(path)
        return not stat.S_ISREG(info.st_mode) and os.path.samestat(info, os.fstat(1))
    except (OSError, ValueError):
        return False


def _standard(path: str) -> int | None:
    """Return the open descriptor of this process that a path names, or None."""
    found = _OPEN.fullmatch(path)
    return int(found[1]) if found else _STANDARD.get(path)


def _stream(path: str) -> int | None:
    """Return a descriptor of a path that must be written in place; None if a file can replace it."""
    try:
        descriptor = _standard(path)
        if descriptor is not None:
            # Opening the path again would start at its beginning and overwrite earlier output.
            return os.dup(descriptor)
        if stat.S_ISREG(os.stat(path).st_mode):
            return None
    except FileNotFoundError:
        return None
    except (OSError, OverflowError) as error:
        raise InvalidInput(
            f"--to: {path} cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from None
    with _opening(path):
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)


@contextmanager
def _opening(path: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise Refused(
            f"--to: {path} cannot be written: {error.strerror}",
            "Check the permissions of its directory.",
        ) from None
    except OSError as error:
        raise InvalidInput(f"--to: {path} cannot be written: {error.strerror}") from None


@contextmanager
def _failing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"--to: {path} could not be written: {error.strerror}") from None


@contextmanager
def _packed(path: str, file: IO[bytes]) -> Iterator[IO[bytes]]:
    if not path.endswith(".gz"):
        yield file
        return
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, filename="", mtime=0) as packed:
        # A GzipFile is written like a file, and typed as something else.
        yield packed  # type: ignore[misc]
