"""How often the same event stands in what is imported."""

import sqlite3
from hashlib import sha256


class Repeats:
    """How often a line was there before, exactly, in memory that stays flat: the digests are in a file of SQLite's own."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None

    def numbered(self, place: str, line: bytes) -> bytes:
        """The line of an event; from the second of those that are the same in one place on with its number."""
        if not line.startswith(b'{"event"'):
            return line
        if self._db is None:
            # Here and not sooner: whoever counts may be a process that was forked meanwhile.
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.execute(
                "CREATE TABLE seen (digest BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID"
            )
            self._db.execute("BEGIN")
        digest = sha256(place.encode() + b"\0" + line).digest()[:16]
        question = "INSERT INTO seen VALUES (?, 0) ON CONFLICT DO UPDATE SET number = number + 1 RETURNING number"
        number: int = self._db.execute(question, (digest,)).fetchall()[0][0]
        return line if not number else line.removesuffix(b"}\n") + b',"nth":%d}\n' % number
