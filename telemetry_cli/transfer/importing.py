"""Import records: write one operation for every few thousand, and count the outcomes."""

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, Generic, TypeVar

from telemetry_cli.core import clock, scratch
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, NotDurable, TelemetryError
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.database.foreign import Repeats
from telemetry_cli.journal import blobs
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.store import Store
from telemetry_cli.transfer import formats as legacy
from telemetry_cli.transfer.formats import FORMATS, Format, named
from telemetry_cli.transfer.models import BadRecord
from telemetry_cli.transfer.records import FIRST_LINE, cleaned
from telemetry_cli.transfer.sources import UNREADABLE, BrokenOff, Source

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def ahead(work: Callable[[T], R]) -> Iterator[Callable[[Iterable[T]], Iterator[R]]]:
    """`map` for this work, done in a forked process if there is a processor for it.

    It is forked here, before anything was read or shown: once there are threads, a fork is not safe. While the caller has an
    answer, the next one is being made. An answer must be fit to be pickled, and so must an item.
    """
    other = _forked(work) if sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1 else None
    if other is None:
        yield partial(map, work)
        return
    try:
        yield other.map
    finally:
        other.end()


def _forked(work: Callable[[T], R]) -> "_Forked[T, R] | None":
    """None where there may be no more processes."""
    try:
        return _Forked(work)
    except OSError:
        return None


class _Forked(Generic[T, R]):
    """The other process. It ends with the pipe between us, so also when this one is killed."""

    def __init__(self, work: Callable[[T], R]) -> None:
        from multiprocessing.connection import Pipe

        ours, theirs = Pipe()
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            try:
                while True:
                    theirs.send(_outcome(work, theirs.recv()))
            except BaseException:
                # The other end is gone, or says by the silence of this one that something went wrong here.
                os._exit(1)
        theirs.close()
        self._pipe = ours

    def map(self, items: Iterable[T]) -> Iterator[R]:
        """The answer to each item, in order. Raises what the work raises, and `TelemetryError` when the process has died."""
        is_working = False
        for item in items:
            answer = [self._answer()] if is_working else []
            self._give(item)
            is_working = True
            yield from answer
        if is_working:
            yield self._answer()

    def _give(self, item: T) -> None:
        try:
            self._pipe.send(item)
        except BrokenPipeError:
            raise _died() from None

    def _answer(self) -> R:
        try:
            answer: R | Exception = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise _died() from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """Let it end, and wait for that."""
        self._pipe.close()
        os.waitpid(self._pid, 0)


def _outcome(work: Callable[[T], R], item: T) -> R | Exception:
    try:
        return work(item)
    except Exception as error:
        from traceback import format_exc

        # What is pickled has no traceback.
        error.add_note(format_exc())
        return error


def _died() -> TelemetryError:
    return TelemetryError(
        "the process that checks records has died",
        "Run the import again: what is there already is not imported twice.",
    )


#: What one operation takes (records, bytes): applied in a fraction of a second, for which other writers wait. The first one takes less: it is the
#: first that a person sees of it.
_RECORDS = 5000
_FIRST = 500
_BYTES = 4 << 20
#: How many bad records the result lists; all are counted.
MOST_ERRORS = 1000
#: How many different warnings are told apart.
_MOST_WARNINGS = 100

#: Records as they were read, each with its line number.
Raw = list[tuple[int, Any]]

#: How far it has come: records done with, and the part of the whole (0 to 1; None: nobody knows).
Progress = tuple[int, float | None]


class Batch:
    """Records that were checked: `lines` for the blob, of which `runs` are runs; what was wrong, and what was worth a warning."""

    def __init__(self) -> None:
        self.first = 0
        self.read = 0
        self.lines: list[bytes] = []
        self.runs = 0
        self.errors: list[tuple[int, str | None, str | None, str]] = []
        self.warnings: list[tuple[int, str, str]] = []


def checked(
    format_name: str, atomic: bool, repeats: Repeats, redactor: Redactor, raw: Raw
) -> Batch:
    """Check some records, and take secrets out. `repeats` knows the earlier ones, of which the same event may stand several times."""
    make, batch = FORMATS[format_name].make, Batch()
    batch.first, batch.read = raw[0][0], len(raw)
    made: list[tuple[int, Any, bool]] = []
    lines: list[bytes] = []
    number = 0

    def warn(what: str, name: str) -> None:
        batch.warnings.append((number, what, name))

    for number, record_ in raw:
        try:
            line, is_run = make(record_, None if atomic else warn, redactor.text)
        except BadRecord as error:
            batch.errors.append((number, named(record_), error.field, error.message))
        else:
            made.append((number, record_, is_run))
            lines.append(line)
    for (number, record_, is_run), kept in zip(made, cleaned(redactor, lines), strict=True):
        if isinstance(kept, BadRecord):
            batch.errors.append((number, named(record_), kept.field, kept.message))
            continue
        # Of a database, its table; the lines of a file are all in one place.
        batch.lines.append(repeats.numbered(record_[0] if isinstance(record_, tuple) else "", kept))
        batch.runs += is_run
    batch.errors.sort(key=itemgetter(0))
    return batch


class Report:
    """What came of an import. `total` is created + existing + failed (runs; a bad record of any kind counts as failed)."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[dict[str, object]] = []
        self.warnings: dict[tuple[str, str], tuple[int, int]] = {}
        self.buffered: TelemetryError | None = None

    def warn(self, line: int, what: str, name: str) -> None:
        """Count a warning; the first line that gave rise to it is kept."""
        if len(self.warnings) >= _MOST_WARNINGS and (what, name) not in self.warnings:
            name = "what else stands there"
        first, number = self.warnings.get((what, name), (line, 0))
        self.warnings[what, name] = (first, number + 1)

    def fail(
        self, line: int, event_id: str | None, field: str | None, message: str, number: int = 1
    ) -> None:
        """Count a bad record, or as many as were lost in one go."""
        self.counts["failed"] += number
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(
                {"line": line, "event_id": event_id, "field": field, "error": message}
            )

    @property
    def json(self) -> dict[str, object]:
        """As the command prints it."""
        counts = self.counts
        total = counts["created"] + counts["existing"] + counts["buffered"] + counts["failed"]
        result: dict[str, object] = {
            "total": total,
            **{
                name: counts[name]
                for name in ("created", "existing", "failed", "events", "commits")
            },
        }
        return (
            result
            | ({"buffered": counts["buffered"]} if self.buffered else {})
            | {"errors": self.errors}
        )


class Import:
    """One import, taken step by step: `for progress in Import(…).steps()`, then its `report`.

    Raises `InvalidInput` for what cannot be read or holds no record, before anything was written.
    """

    def __init__(self, config: Config, path: str, format_name: str, *, atomic: bool) -> None:
        self.report = Report()
        self._config = config
        self._path = path
        self._name = format_name
        self._format: Format = FORMATS[format_name]
        self._atomic = atomic
        self._seen = 0
        #: Records that are done with, how much of the file was read for them, and the same of what was read ahead.
        self._done = 0
        self._position = 0
        self._positions: deque[int] = deque()
        #: Where and why the file could not be read to its end, if so.
        self._end: tuple[int, str] | None = None
        if self._format.is_database:
            if path == "-":
                raise InvalidInput("FILE: a database cannot be read from stdin; name the file")
            self._source = None
            self._size: int | None = legacy.database_size(path)
        else:
            self._source = Source(path)
            self._size = self._source.size

    def steps(self) -> Iterator[Progress]:
        """Do it, and say how far it has come: before anything was read, for that may take its time, and with every step."""
        work = partial(
            checked, self._name, self._atomic, Repeats(), Redactor(self._config.redact_rules)
        )
        with ahead(work) as check:
            yield self._progress()
            batches = self._batches(check)
            yield from self._whole(batches) if self._atomic else self._in_parts(batches)
        if not self._seen:
            raise InvalidInput(
                f"{'stdin' if self._path == '-' else self._path}: there is no record in it"
            )

    # Operations

    def _in_parts(self, batches: Iterable[Batch]) -> Iterator[Progress]:
        for batch in batches:
            if batch.lines:
                self._record(batch.lines, batch.runs, batch.first)
            yield self._finished(batch)

    def _whole(self, batches: Iterable[Batch]) -> Iterator[Progress]:
        """One operation, once every record is found good; until then nothing is written but an unnamed file."""
        runs = 0
        with scratch.open_unnamed() as spool:
            for batch in batches:
                if not self.report.counts["failed"]:
                    spool.writelines(batch.lines)
                    runs += batch.runs
                yield self._finished(batch)
            if self._seen and not self.report.counts["failed"]:
                spool.seek(0)
                self._record(spool, runs, 1)
        yield self._progress()

    def _record(self, chunks: Iterable[bytes], runs: int, first: int) -> None:
        at = clock.stamp(clock.now())
        data: dict[str, object] = {"schema_version": SCHEMA_VERSION}
        if self._format.continues:
            data["continues"] = True
        try:
            with blobs.Lease(self._config) as lease:
                data["blob"] = lease.put(chain((FIRST_LINE,), chunks))
                outcome = Store(self._config).record("runs.import", data, at)
        except OSError as error:
            raise _not_durable(self._config.blobs_dir, error) from None
        if outcome.buffered:
            self.report.buffered = outcome.buffered
            self.report.counts["buffered"] += runs
        elif outcome.exit_code:
            self.report.fail(first, None, None, str(outcome.result["error"]), runs)
        else:
            self.report.counts.update(
                {name: number for name, number in outcome.result.items() if isinstance(number, int)}
            )

    # Records

    def _batches(self, check: Callable[[Iterable[Raw]], Iterator[Batch]]) -> Iterator[Batch]:
        """Every record, some thousands at a time, checked; what was wrong with them is in the report by then."""
        for batch in check(self._raw()):
            self._seen += batch.read
            for error in batch.errors:
                self.report.fail(*error)
            for warning in batch.warnings:
                self.report.warn(*warning)
            yield batch
        if self._end:
            self._broken(*self._end)

    def _raw(self) -> Iterator[Raw]:
        batch: Raw = []
        number = size = 0
        limit = _RECORDS if self._atomic else _FIRST
        try:
            for number, record_ in self._format.read(self._source or self._path):
                batch.append((number, record_))
                size += _size(record_)
                if len(batch) >= limit or size >= _BYTES:
                    self._positions.append(self._source.position if self._source else 0)
                    yield batch
                    batch, size, limit = [], 0, _RECORDS
        except BrokenOff as error:
            self._end = (error.line, error.message)
        except UNREADABLE as error:
            self._end = (
                number,
                f"the file cannot be read on: {getattr(error, 'strerror', None) or error}",
            )
        finally:
            if self._source:
                self._source.close()
        if batch:
            yield batch

    def _broken(self, line: int, message: str) -> None:
        """The rest of the file is lost: a failure beside the records that were read, or, without any, no file to import."""
        if not self._seen:
            raise InvalidInput(f"{self._path}: line {line}: {message}")
        self.report.fail(line, None, None, message)

    def _finished(self, batch: Batch) -> Progress:
        self._done += batch.read
        # Of the last one nobody needs to know: then all was read.
        self._position = self._positions.popleft() if self._positions else self._size or 0
        return self._progress()

    def _progress(self) -> Progress:
        if not self._size:
            return self._done, None
        return self._done, min((self._position if self._source else self._done) / self._size, 1.0)


def _not_durable(place: str, error: OSError) -> NotDurable:
    hint = "See to the space, limits and permissions, and import again: what is there already is not imported twice."
    return NotDurable(f"{place} could not be written: {error.strerror}", "", hint)


def _size(raw: Any) -> int:
    """About how many bytes a record takes in memory."""
    if isinstance(raw, bytes):
        return len(raw)
    values = raw[1] if isinstance(raw, tuple) else raw
    return (
        sum(len(value) for value in values.values() if isinstance(value, (str, bytes)))
        if isinstance(values, dict)
        else 0
    )
