"""The journal: append-only NDJSON segments that are the truth.

A line is `{"v":1,"op_id":…,"op":…,"at":…,"actor":…,"data":{…},"crc":"xxxxxxxx"}`; crc is the CRC-32 of the bytes before
`,"crc"`. A position is `(segment, offset)`: segment names sort by date, so positions compare as tuples.
"""

import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from telemetry_cli.core.clock import new_op_id
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import LockTimeout
from telemetry_cli.core.fs import (
    Reading,
    check_folder,
    make_folder,
    open_private,
    sync_folder,
    write_all,
    write_new,
)
from telemetry_cli.core.locks import Lock
from telemetry_cli.core.values import DEEPEST_OPERATION, OPERATION_VERSION, is_deeper
from telemetry_cli.journal import buffer
from telemetry_cli.journal.operations import Operation

Position = tuple[str, int]

START: Position = ("", 0)
#: The genesis of a journal that had to begin beside a database which could not be adopted at that moment.
UNRECORDED = "unrecorded"
#: What `genesis` says of a journal whose first segment is gone, and of one whose first header is damaged.
PRUNED, UNREADABLE = "pruned", "unreadable"
_CRC_BYTES = len(',"crc":"xxxxxxxx"}')
_BLOCK = 1 << 20
#: How many buffered lines share a flush, and are looked at between two looks at the deadline.
_FLUSHED_TOGETHER = 100


# Lines


def encode(operation: Operation) -> bytes:
    """One journal line, newline included. Pure ASCII, so that no encoding can get in the way."""
    body = json.dumps(
        {"v": OPERATION_VERSION, **operation}, separators=(",", ":"), allow_nan=False
    )[:-1].encode()
    return b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def _refuse_constant(word: str) -> object:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(word)


_read_json = json.JSONDecoder(parse_constant=_refuse_constant).decode


def decode(line: bytes) -> Operation | None:
    """Return the operation of a line (with or without its newline), or None when the line is damaged, or is one that no version of this program writes."""
    line = line.rstrip(b"\n")
    body, suffix = line[:-_CRC_BYTES], line[-_CRC_BYTES:]
    if suffix != b',"crc":"%08x"}' % zlib.crc32(body):
        return None
    try:
        operation = _read_json((body + b"}").decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(operation, dict) or not _is_whole(operation):
        return None
    may_be_deep = body.count(b"[") + body.count(b"{") > DEEPEST_OPERATION
    return None if may_be_deep and is_deeper(operation, DEEPEST_OPERATION) else operation


def _is_whole(operation: Operation) -> bool:
    """Tell whether the parts that every line has are there; of other versions only what tells that they are others."""
    if type(operation.get("v")) is not int:
        return False
    if operation["v"] != OPERATION_VERSION:
        return True
    return all(
        _is_text(operation.get(name)) for name in ("op_id", "op", "at", "actor")
    ) and isinstance(operation.get("data"), dict)


def _is_text(value: object) -> bool:
    """Tell whether a value is text that can be stored: JSON can spell a lone surrogate, which cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def pieces(line: bytes) -> list[bytes]:
    """A damaged line, cut where two lines have run together because the newline between them was hit."""
    found: list[bytes] = []
    begin = 0
    while (cut := line.find(b'{"v":', begin + 1)) >= 0:
        if line[cut - 3 : cut - 1] == b'"}':
            found.append(line[begin : cut - 1])
            begin = cut
        else:
            break
    return [*found, line[begin:]]


def fingerprint(ending: bytes) -> str:
    """What the cursor keeps of the last applied line, from the (up to) 64 bytes that end with it: its CRC.

    A damaged line has no CRC to go by, so those bytes themselves are summed.
    """
    suffix = ending.rstrip(b"\n")[-_CRC_BYTES:]
    if suffix.startswith(b',"crc":"') and suffix.endswith(b'"}'):
        return suffix[8:16].decode("ascii", "replace")
    return f"{zlib.crc32(ending):08x}"


# Append


class BesideDatabase(Exception):
    """The journal would begin beside a database that is there already: that one is to be adopted first."""


def append(
    config: Config, op_id: str, line: bytes, at: str, deadline: float, *, unrecorded: bool = False
) -> tuple[Position | None, str]:
    """Make a line durable. Returns where it ends in the journal; or None and why, when it went to the buffer.

    Raises `Refused` for planted links and `NotDurable` when nothing at all can be written; `BesideDatabase`, unless the
    journal may begin with an `unrecorded` genesis.
    """
    names: list[str] | None = None
    try:
        make_folder(config.base_dir, may_be_link=True)
        make_folder(config.raw_dir)
        with (
            Lock(os.path.join(config.raw_dir, ".lock"), deadline),
            _Segment(config, at, UNRECORDED if unrecorded else None) as segment,
        ):
            names = buffer.line_names(config)
            left = _move_buffered(config, segment, names, deadline)
            if left and buffer.has_lines(config):
                raise LockTimeout(
                    f"{left} records in {config.buffer_dir} have to go to the journal first",
                    "Run: telemetry db drain",
                )
            return segment.add(line), ""
    except (OSError, LockTimeout) as trouble:
        buffer.keep(config, op_id, line, trouble, names)
        return None, str(trouble)


def flush_buffer(config: Config, at: str, deadline: float, seconds: float) -> int:
    """Bring buffered lines into the journal, as many as `seconds` allow. Returns how many are left.

    Raises `OSError`, or `LockTimeout` when the journal is locked until the deadline.
    """
    if not buffer.has_lines(config):
        return 0
    make_folder(config.raw_dir)
    with (
        Lock(os.path.join(config.raw_dir, ".lock"), deadline),
        _Segment(config, at, UNRECORDED) as segment,
    ):
        return _move_buffered(
            config, segment, buffer.line_names(config), time.monotonic() + seconds
        )


def begin(config: Config, at: str, deadline: float, genesis: str) -> None:
    """Begin a journal whose genesis is the snapshot of this SHA-256, if there is no journal yet."""
    make_folder(config.raw_dir)
    with Lock(os.path.join(config.raw_dir, ".lock"), deadline):
        # An empty segment, which a killed writer may have left, is no journal yet.
        if journal_id(config, segments(config)) is None:
            _Segment(config, at, genesis).close()


def _move_buffered(config: Config, segment: "_Segment", names: list[str], deadline: float) -> int:
    """Append the lines of these names, oldest first, some to a flush, until the deadline. Returns how many are left."""
    done, ordered = 0, list[str]()
    while done < len(names) and time.monotonic() <= deadline:
        # A hundred thousand take their time to sort: not where there is none.
        ordered = ordered or sorted(names)
        batch = [
            (name, buffer.read(config, name)) for name in ordered[done : done + _FLUSHED_TOGETHER]
        ]
        done += len(batch)
        lines = [(name, line) for name, line in batch if line.strip()]
        if lines:
            segment.add(b"".join(line for _, line in lines))
        for name, _ in lines:
            buffer.forget(config, name)
    return len(names) - done


class _Segment:
    """The segment that is appended to, open for as long as `raw/.lock` is held."""

    def __init__(self, config: Config, at: str, genesis: str | None) -> None:
        """Open it, or make it: then `genesis` is what the journal begins with where a database is there already."""
        names = segments(config)
        newest = names[-1] if names else ""
        self.name = max(newest, f"ops_{at[:10].replace('-', '')}.ndjson")
        self.path = os.path.join(config.raw_dir, self.name)
        self._descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            self._size = os.fstat(self._descriptor).st_size
            if self._headless():
                # New; or whoever made it was killed before its first line, and nothing in it was ever acknowledged.
                os.ftruncate(self._descriptor, 0)
                self._size = 0
                older = [name for name in names if name != self.name]
                _sync_names(config, first=not older)
                self.add(_header(config, older, at, genesis))
        except BaseException:
            os.close(self._descriptor)
            raise

    def _headless(self) -> bool:
        return b"\n" not in os.pread(self._descriptor, 4096, 0) if self._size < 4096 else False

    def add(self, line: bytes) -> Position:
        """Append and flush one line; on any trouble leave the file as it was and raise `OSError`."""
        torn = self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n"
        data = b"\n" + line if torn else line
        try:
            write_all(self._descriptor, data)
            os.fdatasync(self._descriptor)
        except OSError:
            # A failed flush is never tried again: the kernel may have dropped the pages and call the next one a success.
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)
        return self.name, self._size

    def __enter__(self) -> "_Segment":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What was added is flushed by then."""
        os.close(self._descriptor)


def _sync_names(config: Config, *, first: bool) -> None:
    """Make the name of a segment durable before its first byte; with the first one, the folders above it too.

    Whoever made them may have been killed, or be slower than we are.
    """
    sync_folder(config.raw_dir)
    if first:
        sync_folder(config.base_dir)
        sync_folder(os.path.dirname(config.base_dir))


def _header(config: Config, older: list[str], at: str, genesis: str | None) -> bytes:
    """The first line of a segment. Only the first segment of a base names the genesis (null: it began empty).

    When the older ones' headers are all damaged, the journal_id stays open (null): a second journal must not begin here.
    """
    data: dict[str, object] = (
        {"journal_id": journal_id(config, older)}
        if older
        else {"journal_id": new_op_id(), "genesis": _genesis(config, genesis)}
    )
    return encode(
        {"op_id": new_op_id(), "op": "journal.header", "at": at, "actor": "", "data": data}
    )


def _genesis(config: Config, beside: str | None) -> str | None:
    """What the journal begins from: null is an empty base; `beside` where a database is there already, or a snapshot was made to begin with.

    Raises `BesideDatabase` when that is not given.
    """
    if beside not in (None, UNRECORDED):
        return beside
    try:
        if not os.path.getsize(config.db_path):
            return None
    except OSError:
        return None
    if beside is None:
        raise BesideDatabase
    return beside


def journal_id(config: Config, names: list[str]) -> str | None:
    """The journal's identity, from the first segment whose header can be read; None when there is none."""
    for name in names:
        data = header(config, name)
        if data:
            return str(data["journal_id"])
    return None


def header(config: Config, name: str) -> dict[str, object] | None:
    """The data of a segment's header, or None when its first line is no header."""
    try:
        descriptor = open_private(os.path.join(config.raw_dir, name), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        operation = decode(os.pread(descriptor, 4096, 0).partition(b"\n")[0])
    finally:
        os.close(descriptor)
    if operation is None or operation.get("op") != "journal.header":
        return None
    data = operation.get("data")
    return data if isinstance(data, dict) and isinstance(data.get("journal_id"), str) else None


# Read


def genesis(config: Config) -> str | None:
    """What the journal begins from: null an empty base, the SHA-256 of a snapshot, `UNRECORDED`; else `PRUNED` or `UNREADABLE`."""
    names = segments(config)
    first = header(config, names[0]) if names else {"genesis": None}
    found = first.get("genesis", PRUNED) if first else UNREADABLE
    return found if found is None else str(found)


def is_damaged(line: bytes) -> bool:
    """Tell whether a line cannot be read. A blank one cannot: nobody writes one, so another line stood there."""
    return bool(line) and decode(line) is None


def segments(config: Config) -> list[str]:
    """The names of the segments, oldest first."""
    if not check_folder(config.raw_dir):
        return []
    return sorted(
        name
        for name in os.listdir(config.raw_dir)
        if name.startswith("ops_") and name.endswith(".ndjson")
    )


def is_behind(config: Config, cursor: Position) -> bool:
    """Tell whether anything was appended or buffered that `cursor` has not passed. Takes no lock."""
    return newest_end(config) != cursor or buffer.has_lines(config)


def newest_end(config: Config) -> Position:
    """Where the journal ends now; `START` when there is none."""
    names = segments(config)
    return (names[-1], os.stat(os.path.join(config.raw_dir, names[-1])).st_size) if names else START


def waiting_count(config: Config, cursor: Position) -> int:
    """How many lines of journal and buffer lie behind `cursor`; headers do not count."""
    return sum(1 for _ in _behind(config, cursor)) + len(buffer.waiting(config))


def waiting_lines(config: Config, cursor: Position) -> Iterator[bytes]:
    """The lines of journal and buffer that lie behind `cursor`, oldest first; no headers."""
    yield from _behind(config, cursor)
    for name in buffer.waiting(config):
        yield buffer.read(config, name)


def _behind(config: Config, cursor: Position) -> Iterator[bytes]:
    end = newest_end(config)
    # A cursor beyond the end belongs to another journal: then nothing of this one was applied.
    return (
        line
        for _, line in read(config, cursor if cursor <= end else START, end)
        if b'"op":"journal.header"' not in line[:120]
    )


def durable_end(config: Config, synced: Position | None, deadline: float) -> Position:
    """The end up to which the journal may be applied: flushed, and not to be truncated by its writer any more.

    `synced` is where the caller's own flushed line ends; if nothing came after it, neither lock nor flush is needed.
    """
    if synced and newest_end(config) == synced:
        return synced
    with Lock(os.path.join(config.raw_dir, ".lock"), deadline):
        end = newest_end(config)
        if end != START and end != synced:
            _sync(config, end[0])
    return end


def sync_older(config: Config, cursor: Position, end: Position) -> None:
    """Flush the segments before the last that will be applied: their writers may have died before their own flush."""
    for name in segments(config):
        if cursor[0] <= name < end[0]:
            _sync(config, name)


def _sync(config: Config, name: str) -> None:
    descriptor = open_private(os.path.join(config.raw_dir, name), os.O_RDWR)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def ending(config: Config, position: Position) -> bytes:
    """The up to 64 bytes before a position; fewer when the segment is shorter or gone."""
    try:
        descriptor = open_private(os.path.join(config.raw_dir, position[0]), os.O_RDONLY)
    except FileNotFoundError:
        return b""
    try:
        start = max(0, position[1] - 64)
        return os.pread(descriptor, position[1] - start, start)
    finally:
        os.close(descriptor)


def line_before(config: Config, position: Position) -> bytes:
    """The line that holds the last byte before a position; none when the segment is shorter or gone."""
    offset = 0
    try:
        for line in lines_of(config, position[0]):
            offset += len(line)
            if offset >= position[1]:
                return line
    except FileNotFoundError:
        pass
    return b""


def read(config: Config, start: Position, end: Position) -> Iterator[tuple[Position, bytes]]:
    """The complete lines between two positions, each with the position behind it, newline included.

    A line without its newline is left for later at the very end, where it may still be completed; at the end of an
    older segment it is yielded as it is. Memory: one line and one block.
    """
    for name in segments(config):
        if not start[0] <= name <= end[0]:
            continue
        offset = start[1] if name == start[0] else 0
        descriptor = open_private(os.path.join(config.raw_dir, name), os.O_RDONLY)
        with Reading(
            descriptor, _BLOCK if name < end[0] or end[1] - offset > _BLOCK else 65536
        ) as file:
            file.seek(offset)
            limit = end[1] if name == end[0] else os.fstat(descriptor).st_size
            for line in file:
                offset += len(line)
                if offset > limit or (name == end[0] and not line.endswith(b"\n")):
                    break
                yield (name, offset), line


# Rewrite: the caller holds raw/.lock, and the writer's


def lines_of(config: Config, name: str) -> Iterator[bytes]:
    """Every line of a segment as it stands there, the last one with or without its newline."""
    with Reading(open_private(os.path.join(config.raw_dir, name), os.O_RDONLY), _BLOCK) as file:
        for line in file:  # noqa: UP028 - left before its end, `yield from` would close the file itself, and raise where that fails
            yield line


def write_segment(config: Config, name: str, lines: Iterable[bytes]) -> None:
    """Write a whole segment anew, flushed."""
    write_new(os.path.join(config.raw_dir, name), lines)


def take_over(config: Config, second: Config) -> None:
    """Put the segments of a second journal in the places of the first one's. Each is replaced whole; the oldest come first."""
    for name in segments(second):
        os.replace(os.path.join(second.raw_dir, name), os.path.join(config.raw_dir, name))
    sync_folder(config.raw_dir)


def lengthen(config: Config, second: Config, name: str) -> None:
    """Add the lines to a segment of the second journal that the first one's was given after it was written."""
    number = sum(1 for _ in lines_of(second, name))
    added = list(islice(lines_of(config, name), number, None)) if name in segments(config) else []
    if not added:
        return
    longer, path = name + ".longer", os.path.join(second.raw_dir, name)
    try:
        os.unlink(os.path.join(second.raw_dir, longer))
    except FileNotFoundError:
        pass
    last = ending(second, (name, os.stat(path).st_size))
    write_segment(
        second,
        longer,
        chain(lines_of(second, name), (b"\n",) if last and not last.endswith(b"\n") else (), added),
    )
    os.replace(os.path.join(second.raw_dir, longer), path)
    sync_folder(second.raw_dir)


def lines_before(config: Config, position: Position) -> int:
    """How many lines of its segment lie before a position."""
    offset = number = 0
    for line in lines_of(config, position[0]):
        if offset >= position[1]:
            break
        offset += len(line)
        number += 1
    return number


def after_lines(config: Config, name: str, number: int) -> Position:
    """The position behind so many lines of a segment."""
    return name, sum(len(line) for line in islice(lines_of(config, name), number))
