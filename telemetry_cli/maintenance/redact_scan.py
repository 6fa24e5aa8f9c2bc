"""Find secrets in stored data, and redact stored values without changing names of records."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, TelemetryError
from telemetry_cli.core.fs import open_private
from telemetry_cli.database import runs, texts
from telemetry_cli.database.texts import is_name
from telemetry_cli.journal import blobs, buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.maintenance import cleanup
from telemetry_cli.redaction.lines import blob_lines, columns_of, text_line
from telemetry_cli.redaction.redactor import Redactor

_FIELDS = ("run", "parent", "parent_run_id")


def of(config: Config) -> frozenset[str]:
    """Those that look like secrets, by their shape. Memory: these alone."""
    shapes = Redactor(config.redact_rules, {})
    return frozenset(name for name in _all(config) if shapes.text(name) != name)


def _all(config: Config) -> Iterator[str]:
    for segment in journal.segments(config):
        for line in journal.lines_of(config, segment):
            yield from _in_operation(line)
    for waiting in buffer.waiting(config):
        yield from _in_operation(buffer.read(config, waiting))
    for digest in blobs.kept(config):
        with blobs.open_blob(config, digest) as file:
            first = next(iter(file), b"")
            columns = columns_of(first, runs.COLUMNS)
            place = list(columns).index("parent_run_id") if "parent_run_id" in columns else None
            for line in file if columns else ():
                yield from _in_record(line, place)


def _in_operation(line: bytes) -> Iterator[str]:
    operation = journal.decode(line)
    data = operation.get("data") if operation else None
    if isinstance(data, dict):
        yield from _texts([data.get(name) for name in _FIELDS])


def _in_record(line: bytes, place: int | None) -> Iterator[str]:
    """A run of an import, or what stands alone in it and names its run."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(record, list) and place is not None and place < len(record):
        yield from _texts([record[place]])
    elif isinstance(record, dict) and isinstance(record.get("of"), list):
        yield from _texts(record["of"])


def _texts(values: list[object]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))


#: Fields of operations, and of lines in blobs, that name a thing by a text that somebody gave; digests and times are made by us.
_GIVEN = frozenset(
    (
        "id",
        "given",
        "event_id",
        "run",
        "parent",
        "of",
        "parent_run_id",
        "hook",
        "slug",
        "convention",
        "run_key",
    )
)


class Cleaner(Redactor):
    """Takes secrets out of texts, and leaves names. `kept` counts the secrets in names, by rule, beside `found`.

    Names are looked at as at the door (`redact.refuse_secret`): by their shape alone. A run_id is one where it is `referred` to.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config.redact_rules)
        self._referred = of(config)
        self._shapes = Redactor(config.redact_rules, {})
        self.kept = self._shapes.found

    def forget(self) -> None:
        """Count from nothing."""
        self.found.clear()
        self.kept.clear()

    def shown(self, name: str) -> str:
        """A name as it may be said."""
        return Redactor(self._own, {}).text(name)

    def keep(self, name: object) -> None:
        """Look at what stays as it is: a name, or a list of them."""
        for one in name if isinstance(name, list) else [name]:
            if isinstance(one, str):
                self._shapes.text(one)

    def is_kept(self, table: str, column: str, value: object) -> bool:
        """Tell whether a value of a row is a name, which stays."""
        return is_name(table, column) or (column == "run_id" and self._is_referred(value))

    def _is_referred(self, value: object) -> bool:
        # A journal line may hold anything in the place of an id.
        return isinstance(value, str) and value in self._referred

    def operation(self, data: Mapping[str, object]) -> dict[str, object]:
        """An operation's data, or an object in a blob."""
        names = {
            name: value
            for name, value in data.items()
            if name in _GIVEN or (name == "run_id" and self._is_referred(value))
        }
        for value in names.values():
            self.keep(value)
        cleaned = super().operation(
            {name: value for name, value in data.items() if name not in names}
        )
        return {name: names[name] if name in names else cleaned[name] for name in data}

    def row(self, columns: Sequence[str], values: Sequence[object]) -> list[object]:
        """A row of a table, or a run of an import."""
        names = {
            place
            for place, (column, value) in enumerate(zip(columns, values, strict=False))
            if self.is_kept("agent_runs", column, value)
        }
        for place in names:
            self.keep(values[place])
        cleaned = super().row(
            columns, [None if place in names else value for place, value in enumerate(values)]
        )
        return (
            [values[place] if place in names else value for place, value in enumerate(cleaned)]
            if names
            else cleaned
        )


def journal_line(cleaner: Cleaner, line: bytes) -> bytes:
    """A line of the journal, newline included, with a new CRC where it changed; one that is damaged stays damaged."""
    operation = journal.decode(line)
    data = operation.get("data") if operation else None
    if operation is None or not isinstance(data, dict):
        return text_line(cleaner, line)
    try:
        cleaned = cleaner.operation(data)
    except InvalidInput:
        # It holds a text that no column takes, so it was refused when it was applied.
        return text_line(cleaner, line)
    if cleaned == data:
        return line
    return journal.encode(
        {name: value for name, value in operation.items() if name != "v"} | {"data": cleaned}
    )


def stored_text(cleaner: Cleaner, table: str, column: str, text: str) -> str:
    """A value of a row: a journal line, JSON as it is stored, or text, within what its column holds at most; a name as it is."""
    if cleaner.is_kept(table, column, text):
        cleaner.keep(text)
        return text
    if text.startswith('{"v":'):
        return (
            journal_line(cleaner, text.encode(errors="surrogateescape"))
            .decode(errors="surrogateescape")
            .rstrip("\n")
        )
    if text.startswith(("{", "[")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return cleaner.text(text)
        # The ids in an operation's result stay, as they do in the operation.
        is_result = (table, column) == ("op_results", "result_json") and isinstance(value, dict)
        cleaned = (
            cleaner.operation(value)
            if is_result
            else cleaner.field(column.removesuffix("_json"), value)
        )
        return text if cleaned == value else _encoded(cleaned)
    cleaned = cleaner.text(text)
    if cleaned == text:
        return text
    try:
        return str(cleaner.operation({column: cleaned})[column])
    except InvalidInput:
        # Not UTF-8: of a database that is not ours yet.
        return cleaned


def _encoded(value: object) -> str:
    """JSON as it is stored; escaped where it holds what is no text, as values of a database that was adopted may."""
    for is_ascii in (False, True):
        made = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=is_ascii)
        try:
            made.encode()
            break
        except UnicodeEncodeError:
            continue
    return made


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
    for left in cleanup.found(config):
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
    for counts, in_name in ((cleaner.found, False), (cleaner.kept, True)):
        for rule, count in counts.items():
            yield {"where": where, "place": place, "rule": rule, "count": count, "is_name": in_name}


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
