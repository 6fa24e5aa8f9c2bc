"""An import: records in, one operation for every few thousand of them, what came of each counted.

Between two operations other writers get their turn, memory holds one operation's lines, and an import that was interrupted
leaves whole operations behind: run again, it finds those runs there.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

from telemetry_cli import blobs, clock
from telemetry_cli.config import Config
from telemetry_cli.errors import DatabaseTrouble, InvalidInput, TelemetryError
from telemetry_cli.recorder import record
from telemetry_cli.store.migrate import CURRENT_VERSION
from telemetry_cli.transfer import legacy
from telemetry_cli.transfer.formats import FORMATS, Format, named
from telemetry_cli.transfer.models import BadRecord
from telemetry_cli.transfer.records import FIRST_LINE
from telemetry_cli.transfer.sources import UNREADABLE, BrokenOff, Source

#: What one operation takes (records, bytes): applied in a fraction of a second, for which other writers wait.
_RECORDS = 5000
_BYTES = 16 << 20
#: How many bad records the result lists; all are counted.
MOST_ERRORS = 1000
#: Records between two looks at how far the import has come.
_BETWEEN = 500

#: How far it has come: records read, and the part of the whole (0 to 1; None: nobody knows).
Progress = tuple[int, float | None]


class Report:
    """What came of an import. `total` is created + existing + failed (runs; a bad record of any kind counts as failed)."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[dict[str, object]] = []
        self.warnings: dict[tuple[str, str], tuple[int, int]] = {}
        self.buffered: TelemetryError | None = None

    def warn(self, line: int, what: str, name: str) -> None:
        """Count a warning; the first line that gave rise to it is kept."""
        first, number = self.warnings.get((what, name), (line, 0))
        self.warnings[what, name] = (first, number + 1)

    def fail(self, line: int, event_id: str | None, field: str | None, message: str, number: int = 1) -> None:
        """Count a bad record, or as many as were lost in one go."""
        self.counts["failed"] += number
        if len(self.errors) < MOST_ERRORS:
            self.errors.append({"line": line, "event_id": event_id, "field": field, "error": message})

    @property
    def json(self) -> dict[str, object]:
        """As the command prints it."""
        counts = self.counts
        total = counts["created"] + counts["existing"] + counts["buffered"] + counts["failed"]
        result: dict[str, object] = {"total": total, **{name: counts[name] for name in ("created", "existing", "failed", "events", "commits")}}
        return result | ({"buffered": counts["buffered"]} if self.buffered else {}) | {"errors": self.errors}


class Import:
    """One import, taken step by step: `for progress in Import(…).steps()`, then its `report`.

    Raises `InvalidInput` for what cannot be read or holds no record, before anything was written.
    """

    def __init__(self, config: Config, path: str, format_name: str, *, atomic: bool) -> None:
        self.report = Report()
        self._config = config
        self._path = path
        self._format: Format = FORMATS[format_name]
        self._atomic = atomic
        self._seen = 0
        if self._format.is_database:
            if path == "-":
                raise InvalidInput("FILE: a database cannot be read from stdin; name the file")
            self._source = None
            self._size: int | None = legacy.database_size(path)
        else:
            self._source = Source(path)
            self._size = self._source.size

    def steps(self) -> Iterator[Progress]:
        """Do it, and say now and then how far it has come."""
        yield from self._whole() if self._atomic else self._in_parts()
        if not self._seen:
            raise InvalidInput(f"{'stdin' if self._path == '-' else self._path}: there is no record in it")

    # Operations

    def _in_parts(self) -> Iterator[Progress]:
        lines: list[bytes] = []
        numbers: list[int] = []
        runs = size = 0
        for number, line, is_run in self._lines():
            if line is not None:
                lines.append(line)
                numbers.append(number)
                runs += is_run
                size += len(line)
            if len(lines) >= _RECORDS or size >= _BYTES:
                self._record(lines, runs, numbers[0])
                lines, numbers, runs, size = [], [], 0, 0
            if not self._seen % _BETWEEN:
                yield self._progress()
        if lines:
            self._record(lines, runs, numbers[0])
        yield self._progress()

    def _whole(self) -> Iterator[Progress]:
        """One operation, once every record is found good; until then nothing is written but an unnamed file."""
        runs = 0
        with tempfile.TemporaryFile() as spool:
            for _, line, is_run in self._lines():
                if line is not None and not self.report.counts["failed"]:
                    spool.write(line)
                    runs += is_run
                if not self._seen % _BETWEEN:
                    yield self._progress()
            if self._seen and not self.report.counts["failed"]:
                spool.seek(0)
                self._record(_blocks(spool), runs, 1)
        yield self._progress()

    def _record(self, chunks: Iterable[bytes], runs: int, first: int) -> None:
        at = clock.stamp(clock.now())
        try:
            digest = blobs.put(self._config, chain((FIRST_LINE,), chunks))
        except OSError as error:
            raise DatabaseTrouble(
                f"{self._config.blobs_dir} could not be written: {error.strerror}",
                "See to the space and permissions, and import again: what is there already is not imported twice.",
            ) from None
        data: dict[str, object] = {"blob": digest, "schema_version": CURRENT_VERSION}
        if self._format.continues:
            data["continues"] = True
        outcome = record(self._config, "runs.import", data, at)
        if outcome.buffered:
            self.report.buffered = outcome.buffered
            self.report.counts["buffered"] += runs
        elif outcome.exit_code:
            self.report.fail(first, None, None, str(outcome.result["error"]), runs)
        else:
            self.report.counts.update({name: number for name, number in outcome.result.items() if isinstance(number, int)})

    # Records

    def _lines(self) -> Iterator[tuple[int, bytes | None, bool]]:
        """Each record's line number, and its line for the blob (None: it was bad) with whether it is a run's."""
        report = self.report
        number = 0

        def warn(what: str, name: str) -> None:
            report.warn(number, what, name)

        make, told = self._format.make, None if self._atomic else warn
        try:
            for number, raw in self._format.read(self._source or self._path):
                self._seen += 1
                try:
                    line, is_run = make(raw, told)
                except BadRecord as error:
                    report.fail(number, named(raw), error.field, error.message)
                    yield number, None, False
                else:
                    yield number, line, is_run
        except BrokenOff as error:
            self._broken(error.line, error.message)
        except UNREADABLE as error:
            self._broken(number, f"the file cannot be read on: {getattr(error, 'strerror', None) or error}")
        finally:
            if self._source:
                self._source.close()

    def _broken(self, line: int, message: str) -> None:
        """The rest of the file is lost: a failure beside the records that were read, or, without any, no file to import."""
        if not self._seen:
            raise InvalidInput(f"{self._path}: line {line}: {message}")
        self.report.fail(line, None, None, message)

    def _progress(self) -> Progress:
        if not self._size:
            return self._seen, None
        done = self._source.position if self._source else self._seen
        return self._seen, min(done / self._size, 1.0)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(1 << 20):
        yield block
