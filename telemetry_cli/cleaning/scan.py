"""Find secrets in everything that is kept below the base. Changes nothing."""

import os
from collections.abc import Callable, Iterator

from telemetry_cli import blobs, buffer, journal
from telemetry_cli.cleaning.changes import journal_line, stored_text
from telemetry_cli.config import Config
from telemetry_cli.errors import TelemetryError
from telemetry_cli.files import check_folder
from telemetry_cli.redact import Redactor
from telemetry_cli.redact_lines import blob_line
from telemetry_cli.store import texts

#: Something found: `where` (journal, buffer, blob, database, backup), `place` in there, the `rule`, and how often (`count`).
Finding = dict[str, object]
#: What SQLite keeps beside a database.
_BESIDE = ("-journal", "-wal", "-shm")
Change = Callable[[Redactor, bytes], bytes]


def scan(config: Config) -> Iterator[Finding]:
    """Every place that holds a secret, without the secret itself."""
    yield from _lines(config, "journal", _journal(config), journal_line)
    for name in buffer.waiting(config):
        yield from _lines(config, "buffer", iter([(name, buffer.read(config, name))]), journal_line)
    for digest in kept_blobs(config):
        yield from _lines(config, "blob", _blob(config, digest), blob_line)
    for path in databases(config):
        yield from scan_database(config, path)


def databases(config: Config) -> list[str]:
    """The database, those put aside by it, and the backups: the paths of those that are there."""
    found = [config.db_path] if os.path.isfile(config.db_path) else []
    aside = f"{os.path.basename(config.db_path)}.aside-"
    for folder, begin, end in ((config.backups_dir, "", ".sqlite"), (os.path.dirname(config.db_path), aside, "")):
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) and not os.path.islink(folder) else []
        found += [os.path.join(folder, name) for name in names if name.startswith(begin) and name.endswith(end) and not name.endswith(_BESIDE)]
    return found


def kept_blobs(config: Config) -> list[str]:
    """The digests of the blobs that are kept."""
    if not check_folder(config.blobs_dir):
        return []
    return sorted(name for name in os.listdir(config.blobs_dir) if len(name) == 64)


def scan_database(config: Config, path: str) -> Iterator[Finding]:
    """The rows of one database."""
    where = "database" if path == config.db_path else "backup" if os.path.dirname(path) == config.backups_dir else "aside"
    place = "" if where == "database" else os.path.basename(path) + " "
    redactor = Redactor(config.redact_rules)
    try:
        for table, key, column, text in texts.of(path):
            redactor.found.clear()
            stored_text(redactor, table, column, text)
            yield from _findings(where, f"{place}{table} {key} {column}", redactor)
    except TelemetryError as error:
        yield {"where": where, "place": place + error.message, "rule": "unreadable", "count": 1}


def _lines(config: Config, where: str, lines: Iterator[tuple[str, bytes]], change: Change) -> Iterator[Finding]:
    redactor = Redactor(config.redact_rules)
    for place, line in lines:
        redactor.found.clear()
        change(redactor, line)
        yield from _findings(where, place, redactor)


def _findings(where: str, place: str, redactor: Redactor) -> Iterator[Finding]:
    for rule, count in redactor.found.items():
        yield {"where": where, "place": place, "rule": rule, "count": count}


def _journal(config: Config) -> Iterator[tuple[str, bytes]]:
    for name in journal.segments(config):
        for number, line in enumerate(journal.lines_of(config, name), 1):
            yield f"{name}:{number}", line


def _blob(config: Config, digest: str) -> Iterator[tuple[str, bytes]]:
    with blobs.open_blob(config, digest) as file:
        for number, line in enumerate(file, 1):
            yield f"{digest}:{number}", line
