"""Find secrets in everything that is kept below the base. Changes nothing."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import TelemetryError
from telemetry_cli.core.fs import open_private
from telemetry_cli.database import runs, texts
from telemetry_cli.journal import blobs, buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.maintenance import remains
from telemetry_cli.maintenance.redact_stored.redactor import Cleaner
from telemetry_cli.maintenance.redact_stored.rows import journal_line, stored_text
from telemetry_cli.redaction.lines import blob_lines

#: Something found: `where` (journal, buffer, blob, database, aside, backup, remains), `place` in there, the `rule`, how often (`count`), and whether
#: it stands in a name of something (`is_name`), which is never changed.
Finding = dict[str, object]
#: What SQLite keeps beside a database.
_BESIDE = ("-journal", "-wal", "-shm")
#: What every database of SQLite begins with.
_SQLITE = b"SQLite format 3\0"
Change = Callable[[Cleaner, bytes], bytes]


def scan(config: Config) -> Iterator[Finding]:
    """Every place that holds a secret, without the secret itself."""
    cleaner = Cleaner(config)
    yield from _lines(cleaner, "journal", _journal(config), journal_line)
    for name in buffer.waiting(config):
        yield from _lines(
            cleaner, "buffer", iter([(name, buffer.read(config, name))]), journal_line
        )
    for digest in blobs.kept(config):
        yield from scan_blob(config, cleaner, digest)
    for path in databases(config):
        where = (
            "database"
            if path == config.db_path
            else "backup"
            if os.path.dirname(path) == config.backups_dir
            else "aside"
        )
        yield from scan_database(cleaner, where, path)
    for left in remains.found(config):
        for path in left.files():
            yield from _remains(config, cleaner, path)


def databases(config: Config) -> list[str]:
    """The database, those put aside by it, and the backups: the paths of those that are there."""
    found = [config.db_path] if os.path.isfile(config.db_path) else []
    aside = f"{os.path.basename(config.db_path)}.aside-"
    for folder, begin, end in (
        (config.backups_dir, "", ".sqlite"),
        (os.path.dirname(config.db_path), aside, ""),
    ):
        names = (
            sorted(os.listdir(folder))
            if os.path.isdir(folder) and not os.path.islink(folder)
            else []
        )
        found += [
            os.path.join(folder, name)
            for name in names
            if name.startswith(begin) and name.endswith(end) and not name.endswith(_BESIDE)
        ]
    return found


def scan_database(cleaner: Cleaner, where: str, path: str) -> Iterator[Finding]:
    """The rows of one database."""
    place = "" if where == "database" else os.path.basename(path) + " "
    try:
        for table, key, column, text in texts.of(path):
            cleaner.forget()
            stored_text(cleaner, table, column, text)
            yield from _findings(where, f"{place}{table} {cleaner.shown(key)} {column}", cleaner)
    except TelemetryError as error:
        yield {
            "where": where,
            "place": place + error.message,
            "rule": "unreadable",
            "count": 1,
            "is_name": False,
        }


def is_stained(cleaner: Cleaner, path: str) -> bool:
    """Tell whether a backup holds secrets that can be taken out, or cannot be read."""
    return any(not finding["is_name"] for finding in scan_database(cleaner, "backup", path))


def _lines(
    cleaner: Cleaner, where: str, lines: Iterator[tuple[str, bytes]], change: Change
) -> Iterator[Finding]:
    for place, line in lines:
        cleaner.forget()
        change(cleaner, line)
        yield from _findings(where, place, cleaner)


def _findings(where: str, place: str, cleaner: Cleaner) -> Iterator[Finding]:
    for counts, is_name in ((cleaner.found, False), (cleaner.kept, True)):
        for rule, count in counts.items():
            yield {"where": where, "place": place, "rule": rule, "count": count, "is_name": is_name}


def _journal(config: Config) -> Iterator[tuple[str, bytes]]:
    for name in journal.segments(config):
        for number, line in enumerate(journal.lines_of(config, name), 1):
            yield f"{name}:{number}", line


def scan_blob(config: Config, cleaner: Cleaner, digest: str) -> Iterator[Finding]:
    """The lines of one blob."""
    with blobs.open_blob(config, digest) as file:
        yield from _content("blob", digest, cleaner, file)


def _content(where: str, place: str, cleaner: Cleaner, lines: Iterable[bytes]) -> Iterator[Finding]:
    cleaner.forget()
    for number, _ in enumerate(blob_lines(cleaner, lines, runs.COLUMNS), 1):
        yield from _findings(where, f"{place}:{number}", cleaner)
        cleaner.forget()


def _remains(config: Config, cleaner: Cleaner, path: str) -> Iterator[Finding]:
    """A file that a killed command left, of any kind; it may be gone by now."""
    place = (
        os.path.relpath(path, config.base_dir)
        if path.startswith(config.base_dir + os.sep)
        else path
    )
    with suppress(FileNotFoundError), open(open_private(path, os.O_RDONLY), "rb") as file:
        if file.peek(len(_SQLITE)).startswith(_SQLITE):
            for finding in scan_database(cleaner, "remains", path):
                yield finding | {"place": f"{os.path.dirname(place)}/{finding['place']}"}
        else:
            yield from _content("remains", place, cleaner, file)
