"""Find secrets in everything that is kept below the base. Changes nothing."""

import os
from collections.abc import Callable, Iterator

from telemetry_cli import blobs, buffer, journal
from telemetry_cli.cleaning.changes import journal_line, stored_text
from telemetry_cli.cleaning.cleaner import Cleaner
from telemetry_cli.config import Config
from telemetry_cli.errors import TelemetryError
from telemetry_cli.redact_lines import blob_lines
from telemetry_cli.store import runs, texts

#: Something found: `where` (journal, buffer, blob, database, backup), `place` in there, the `rule`, how often (`count`), and whether
#: it stands in a name of something (`is_name`), which is never changed.
Finding = dict[str, object]
#: What SQLite keeps beside a database.
_BESIDE = ("-journal", "-wal", "-shm")
Change = Callable[[Cleaner, bytes], bytes]


def scan(config: Config) -> Iterator[Finding]:
    """Every place that holds a secret, without the secret itself."""
    cleaner = Cleaner(config)
    yield from _lines(cleaner, "journal", _journal(config), journal_line)
    for name in buffer.waiting(config):
        yield from _lines(cleaner, "buffer", iter([(name, buffer.read(config, name))]), journal_line)
    for digest in blobs.kept(config):
        yield from _blob(config, cleaner, digest)
    for path in databases(config):
        yield from scan_database(config, cleaner, path)


def databases(config: Config) -> list[str]:
    """The database, those put aside by it, and the backups: the paths of those that are there."""
    found = [config.db_path] if os.path.isfile(config.db_path) else []
    aside = f"{os.path.basename(config.db_path)}.aside-"
    for folder, begin, end in ((config.backups_dir, "", ".sqlite"), (os.path.dirname(config.db_path), aside, "")):
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) and not os.path.islink(folder) else []
        found += [os.path.join(folder, name) for name in names if name.startswith(begin) and name.endswith(end) and not name.endswith(_BESIDE)]
    return found


def scan_database(config: Config, cleaner: Cleaner, path: str) -> Iterator[Finding]:
    """The rows of one database."""
    where = "database" if path == config.db_path else "backup" if os.path.dirname(path) == config.backups_dir else "aside"
    place = "" if where == "database" else os.path.basename(path) + " "
    try:
        for table, key, column, text in texts.of(path):
            cleaner.forget()
            stored_text(cleaner, table, column, text)
            yield from _findings(where, f"{place}{table} {cleaner.shown(key)} {column}", cleaner)
    except TelemetryError as error:
        yield {"where": where, "place": place + error.message, "rule": "unreadable", "count": 1, "is_name": False}


def is_stained(config: Config, cleaner: Cleaner, path: str) -> bool:
    """Tell whether a database holds secrets that can be taken out, or cannot be read."""
    return any(not finding["is_name"] for finding in scan_database(config, cleaner, path))


def _lines(cleaner: Cleaner, where: str, lines: Iterator[tuple[str, bytes]], change: Change) -> Iterator[Finding]:
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


def _blob(config: Config, cleaner: Cleaner, digest: str) -> Iterator[Finding]:
    cleaner.forget()
    with blobs.open_blob(config, digest) as file:
        for number, _ in enumerate(blob_lines(cleaner, file, runs.COLUMNS), 1):
            yield from _findings("blob", f"{digest}:{number}", cleaner)
            cleaner.forget()
