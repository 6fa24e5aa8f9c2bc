"""Run expressions and statements that users wrote, with limits of time and memory."""

import itertools
import json
import os
import sqlite3
import time
from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable, Iterator, Sequence

from telemetry_cli.core.errors import InvalidInput, Refused
from telemetry_cli.core.values import LARGEST_DOCUMENT
from telemetry_cli.database.database import INSTRUCTIONS_BETWEEN_LOOKS, Connection, translated

#: Deterministic functions of SQLite; what draws random numbers, reads files or tells of the connection is not among them.
FUNCTIONS = frozenset(
    (
        "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "avg", "ceil", "ceiling", "char", "coalesce", "concat", "concat_ws", "cos",
        "cosh", "count", "cume_dist", "date", "datetime", "degrees", "dense_rank", "exp", "first_value", "floor", "format", "glob", "group_concat",
        "hex", "if", "ifnull", "iif", "instr", "json", "json_array", "json_array_length", "json_each", "json_error_position", "json_extract",
        "json_group_array", "json_group_object", "json_insert", "json_object", "json_patch", "json_pretty", "json_quote", "json_remove",
        "json_replace", "json_set", "json_tree", "json_type", "json_valid", "julianday", "lag", "last_value", "lead", "length", "like", "likelihood",
        "likely", "ln", "log", "log10", "log2", "lower", "ltrim", "match", "max", "min", "mod", "nth_value", "ntile", "nullif", "octet_length", "percent_rank",
        "pi", "pow", "power", "printf", "quote", "radians", "rank", "replace", "round", "row_number", "rtrim", "sign", "sin", "sinh", "soundex",
        "sqrt", "strftime", "string_agg", "substr", "substring", "subtype", "sum", "tan", "tanh", "time", "timediff", "total", "trim", "trunc",
        "typeof", "unhex", "unicode", "unixepoch", "unlikely", "upper", "->", "->>",
    )
)  # fmt: skip
#: What is done before a process is ended in the middle of a function: a terminal gets its screen back.
before_the_end: list[Callable[[], None]] = []
_READS = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)
#: How long after the limit a function that cannot be interrupted may go on.
_GRACE_SECONDS = 0.5
#: How many bytes of text are kept in memory, more or less, before the rest of the rows go to a file.
_IN_MEMORY = 4 * 1024 * 1024
_BYTES_OF_A_ROW = 200
_NO_LIMIT = 1_000_000_000
#: Bytes of memory that SQLite may take for what the user wrote. Sorting and grouping go to files long before.
_MOST_MEMORY = 256 * 1024 * 1024
_LONGEST_VALUE = LARGEST_DOCUMENT + 1024 * 1024


class confined:  # noqa: N801 - reads as a clause: `with confined(db, "--where", text, 10):`
    """Confine a connection while it runs what the user wrote under `name`.

    Raises `Refused` for anything but reading, and `InvalidInput` for what SQLite does not understand (pointing at the place
    in `text`), past `seconds`, and where it takes too much memory.
    A single function that goes on past that, where SQLite cannot be interrupted, ends the process.
    """

    def __init__(self, db: Connection, name: str, text: str, seconds: float) -> None:
        self.db = db
        self.name = name
        self.text = text
        self.seconds = seconds
        self.over = InvalidInput(
            f"{name}: took longer than {seconds:g} s",
            "Narrow it down, or raise the limit where there is one.",
        )
        self._running = allocate_lock()

    def __enter__(self) -> None:
        stop_at = time.monotonic() + self.seconds
        # Virtual tables are opened first: opening one declares its columns, which would be refused.
        self.db.execute("SELECT 1 FROM runs_search, json_each('[]'), json_tree('[]') LIMIT 0")
        self.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        # It holds for the whole process from now on: a pragma can lower this limit, and not raise it.
        self.db.execute(f"PRAGMA hard_heap_limit = {_MOST_MEMORY}")
        self.db.set_authorizer(_authorize)
        self.db.set_progress_handler(
            lambda: int(time.monotonic() > stop_at), INSTRUCTIONS_BETWEEN_LOOKS
        )
        self._running.acquire()
        try:
            start_new_thread(
                _end_when_over, (self._running, self.seconds + _GRACE_SECONDS, self.over)
            )
        except RuntimeError:
            pass  # No thread may be started here (RLIMIT_NPROC): SQLite stops itself in all but a few functions.

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._running.release()
        self.db.set_progress_handler(None, 0)
        self.db.set_authorizer(None)
        self.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _NO_LIMIT)
        if isinstance(error, MemoryError):
            raise InvalidInput(
                f"{self.name}: needs more than {_MOST_MEMORY >> 20} MiB of memory",
                "Ask for fewer columns or shorter values.",
            ) from error
        if isinstance(error, (sqlite3.Error, sqlite3.Warning)):
            known = self._meaning(error)
            if known:
                raise known from error

    def _meaning(self, error: Exception) -> InvalidInput | Refused | None:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        message = str(error)
        if code == sqlite3.SQLITE_AUTH or message.startswith("not authorized"):
            return Refused(
                f"{self.name}: {message}: only reading is allowed here",
                "Deterministic functions may be used; nothing may be changed, attached or loaded.",
            )
        if code == sqlite3.SQLITE_INTERRUPT:
            return self.over
        if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE):
            unfinished = 'near ")"' in message and ")" not in self.text
            return InvalidInput(
                f"{self.name}: {'it is not finished' if unfinished else message}",
                pointed_at(self.text, message),
            )
        return None


#: What a search runs under: confined where the user wrote some of it.
Guard = translated | confined


def _end_when_over(running: LockType, seconds: float, error: InvalidInput) -> None:
    """End the process when the lock is still held after so many seconds. Nothing is being written: reading is all it can do."""
    if running.acquire(timeout=seconds):
        return
    try:
        for act in before_the_end:
            act()
        os.write(
            2,
            f"telemetry: error: {error.message}\n  {error.hint}\n".encode(
                errors="backslashreplace"
            ),
        )
    finally:
        os._exit(error.exit_code)


def _authorize(
    action: int, first: str | None, second: str | None, _database: str | None, _inside: str | None
) -> int:
    if action in _READS and not (first or "").startswith("pragma_"):
        return sqlite3.SQLITE_OK
    if (
        action == sqlite3.SQLITE_PRAGMA and first == "data_version"
    ):  # the search index looks whether another connection wrote
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def ask(db: Connection, text: str, seconds: float) -> tuple[list[str], Iterator[list[object]]]:
    """The columns and rows of one read-only statement. It has run to its end by the time this returns.

    Values are what JSON can hold: blobs as hex, infinite numbers as null. Raises as `confined`.
    """
    with confined(db, "SQL", text, seconds):
        cursor = db.execute(identifiers_only(text))
        if cursor.description is None:
            raise InvalidInput("SQL: this asks nothing; give one SELECT")
        columns = _distinct([str(column[0]) for column in cursor.description])
        return columns, _kept(cursor)


def _distinct(names: list[str]) -> list[str]:
    """Names that come again get a number, so that no value hides another."""
    distinct: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in distinct or (candidate != name and candidate in names):
            number, candidate = number + 1, f"{name}_{number}"
        distinct.append(candidate)
    return distinct


def _kept(cursor: sqlite3.Cursor) -> Iterator[list[object]]:
    """Every row, fetched now: the first in memory, more in an unnamed file. No cursor is left open for a slow reader."""
    first: list[list[object]] = []
    room = _IN_MEMORY
    while room > 0:
        row = cursor.fetchone()
        if row is None:
            return iter(first)
        first.append([_plain(value) for value in row])
        room -= _BYTES_OF_A_ROW + sum(
            len(value) for value in row if isinstance(value, (str, bytes))
        )
    # Imported here, because the fast path imports this module.
    from telemetry_cli.core import scratch

    spool = scratch.open_unnamed()
    for row in cursor:
        spool.write(json.dumps([_plain(value) for value in row]).encode() + b"\n")
    spool.seek(0)
    return itertools.chain(first, map(json.loads, spool))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and value - value != 0 else value


# Text


def tokens(text: str) -> Iterator[tuple[int, str]]:
    """The tokens of a piece of SQL as (offset, text), comments and white space left out; an unclosed one runs to the end."""
    offset = 0
    while offset < len(text):
        end = _token_end(text, offset)
        token = text[offset:end]
        if (
            not token.isspace()
            and not token.startswith("--")
            and not (token.startswith("/*") and _is_closed(token))
        ):
            yield offset, token
        offset = end


def _token_end(text: str, start: int) -> int:
    char = text[start]
    closers: dict[str, str] = {"'": "'", '"': '"', "`": "`", "[": "]"}
    if text.startswith("--", start):
        return _after(text, "\n", start)
    if text.startswith("/*", start):
        return _after(text, "*/", start + 2)
    if char in closers:
        end = _after(text, closers[char], start + 1)
        while char != "[" and text.startswith(char, end) and text[end - 1] == char:
            end = _after(text, char, end + 1)
        return end
    same: Callable[[str], bool] = str.isspace if char.isspace() else _is_word
    end = start + 1
    while end < len(text) and same(char) and same(text[end]):
        end += 1
    return end


def _is_closed(token: str) -> bool:
    """Tell whether a quoted token has its closing quote; others have none to miss."""
    closer = {"'": "'", '"': '"', "`": "`", "[": "]"}.get(token[0])
    if closer is None:
        return not token.startswith("/*") or (token.endswith("*/") and len(token) > 3)
    return (
        len(token) > 1
        and token.endswith(closer)
        and (closer == "]" or token.count(closer) % 2 == 0)
    )


def _after(text: str, closer: str, start: int) -> int:
    found = text.find(closer, start)
    return found + len(closer) if found >= 0 else len(text)


def _is_word(char: str) -> bool:
    return char.isalnum() or char in "_$" or ord(char) > 127


def identifiers_only(text: str) -> str:
    """The same SQL with every "double-quoted" name in backticks, so that a mistyped one is an error: SQLite reads it as a string."""
    parts, done = [], 0
    for offset, token in tokens(text):
        if token.startswith('"') and _is_closed(token):
            parts += [
                text[done:offset],
                "`",
                token[1:-1].replace('""', '"').replace("`", "``"),
                "`",
            ]
            done = offset + len(token)
    return "".join([*parts, text[done:]])


def expression(name: str, text: str) -> str:
    """A boolean expression, fit to stand in brackets. Raises `InvalidInput` when it is empty, or more than one expression."""
    depth = 0
    found = False
    for offset, word in tokens(text):
        found = True
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == ";" or depth < 0:
            raise InvalidInput(f"{name}: an expression ends at {word!r}", _caret(text, offset, 1))
        if word[0] in "?:@$" or not _is_closed(word):
            raise InvalidInput(f"{name}: {_unfit(word)}", _caret(text, offset, 1))
    if not found:
        raise InvalidInput(
            f"{name}: an empty expression; give one such as: duration_ms > 5000 and metrics_json->>'tokens' > 100"
        )
    if depth:
        raise InvalidInput(f"{name}: a bracket is not closed", text)
    return f"(\n{identifiers_only(text)}\n)"


def _unfit(word: str) -> str:
    return (
        "there is no such parameter"
        if word[0] in "?:@$"
        else "a comment is not closed"
        if word.startswith("/*")
        else "a quote is not closed"
    )


def pointed_at(text: str, message: str) -> str:
    """The line of the text that an error message of SQLite is about, with a caret under what it names; empty when it names nothing."""
    if 'near ")"' in message and ")" not in text:
        return _caret(text, len(text), 1)
    if 'near "' in message:
        name = message.partition('near "')[2].partition('": ')[0]
        spellings = (name, f'"{name[1:-1]}"') if name.startswith("`") else (name,)
        places = [
            offset for offset, _ in tokens(text) if name and text.startswith(spellings, offset)
        ]
        place = next(
            (offset for offset in places if not _goes_on(text[: offset + len(name)])),
            places[0] if places else None,
        )
        return _caret(text, place, len(name)) if place is not None else ""
    column = message.rpartition(": ")[2].rpartition(".")[2]
    for offset, word in tokens(text):
        if column and word[0] != "'" and word.strip('"`[]').lower() == column.lower():
            pointer = _caret(text, offset, len(word))
            if word.startswith('"'):
                pointer += f"\n  Text stands in single quotes: '{column}'"
            return pointer
    return ""


def _goes_on(beginning: str) -> bool:
    """Tell whether SQL may begin like this: then the syntax error comes later."""
    db = sqlite3.connect(":memory:")
    try:
        db.execute(f"EXPLAIN SELECT * FROM (SELECT 1) WHERE (\n{beginning}")
    except sqlite3.Error as error:
        return "syntax error" not in str(error)
    finally:
        db.close()
    return True


def _caret(text: str, offset: int, width: int) -> str:
    begin = text.rfind("\n", 0, offset) + 1
    line = "".join(char if char.isprintable() else " " for char in text[begin:].partition("\n")[0])
    width = max(1, min(width, len(line) - (offset - begin)))
    return f"{line}\n  {' ' * (offset - begin)}{'^' * width}"


Row = dict[str, object]

#: Rows fetched at once.
PAGE = 500


def fetched(db: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
    """All rows of a small answer, by name, whatever the connection is set to."""
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(query, values).fetchall()


def paged(
    db: sqlite3.Connection,
    search: str,
    values: Sequence[object],
    fetch: Callable[[list[int]], Sequence[tuple[int, Row]]],
    guard: Guard,
) -> Iterator[Row]:
    """The rows whose ids `search` selects, in its order; `fetch` gives those of a page as (id, row), in any order.

    The search runs under `guard`, and its ids go to an unnamed temporary file.
    """
    # Imported here, because the fast path imports this module.
    from array import array

    from telemetry_cli.core import scratch

    with scratch.open_unnamed() as spool:
        with guard:
            cursor = db.execute(search, values)
            while found := cursor.fetchmany(PAGE):
                spool.write(array("q", [row[0] for row in found]).tobytes())
        spool.seek(0)
        while page := spool.read(PAGE * 8):
            ids = array("q", page).tolist()
            by_id = dict(fetch(ids))
            yield from (by_id[id_] for id_ in ids if id_ in by_id)
