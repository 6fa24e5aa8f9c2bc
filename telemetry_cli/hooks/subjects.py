"""What a hook is given: one JSON object per line, each with the `id` of its subject."""

import json
import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import BinaryIO

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.hooks.spool import Spool
from telemetry_cli.redaction.redactor import Redactor

_MOST_MISTAKES = 20
#: Control characters, ends of lines, and halves of characters, which JSON can spell.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Subjects:
    """The input of a hook run: `kind` is `runs` or `records`, `lines` holds its lines, `digest` is their SHA-256, `count` how many there are.

    Which ids there are is kept as 8 bytes each (a keyed hash: no hook can aim at another's), so that a million take 8 MB.
    """

    def __init__(self, kind: str, folder: str, lines: Iterable[tuple[str, bytes]]) -> None:
        self.kind = kind
        self.lines, self._ids = Spool(folder), Spool(folder)
        self._key = os.urandom(16)
        hashes = array("Q")
        for id_, line in lines:
            self.lines.write(line)
            self._ids.write(json.dumps(id_).encode() + b"\n")
            hashes.append(self._hash(id_))
        self.lines.flush()
        self.digest = self.lines.digest
        self.count = len(hashes)
        self._hashes = array("Q", sorted(hashes))
        if any(self._hashes[place] == self._hashes[place - 1] for place in range(1, self.count)):
            raise InvalidInput(
                f"--input: the id {rules.shorten(self._twice())!r} comes twice; give each subject once"
            )

    def _hash(self, id_: str) -> int:
        return int.from_bytes(blake2b(id_.encode(), digest_size=8, key=self._key).digest(), "big")

    def _twice(self) -> str:
        seen: set[str] = set()
        return next((id_ for id_ in self.ids() if id_ in seen or seen.add(id_)), "")  # type: ignore[func-returns-value]

    def ids(self) -> Iterator[str]:
        """Every id, in the order of the lines."""
        self._ids.verify()
        return map(json.loads, self._ids.lines())

    def place(self, id_: str) -> int:
        """The number of a subject, from 0; -1 for what is none."""
        found = self._hash(id_)
        place = bisect_left(self._hashes, found)
        return place if place < self.count and self._hashes[place] == found else -1


def subject_id(value: object) -> str | None:
    """The id of a record or row as text, or None when it is none: an integer, or text of 1 to 200 characters that can be stored and
    shown in a line, not only white space. Every id comes through here, of what goes into a hook and of what comes out of it."""
    if type(value) is int:
        return str(value) if abs(value) <= rules.LARGEST_INTEGER else None
    return (
        value
        if isinstance(value, str)
        and 1 <= len(value) <= 200
        and not value.isspace()
        and not _UNUSABLE.search(value)
        else None
    )


def of_runs(runs: Iterable[dict[str, object]]) -> Iterator[tuple[str, bytes]]:
    """Runs as a hook is given them: as `query -o jsonl` prints them, with the event_id as `id`."""
    for run in runs:
        id_ = str(run["event_id"])
        yield id_, json.dumps(run | {"id": id_}).encode() + b"\n"


def of_records(name: str, file: BinaryIO, redactor: Redactor) -> Iterator[tuple[str, bytes]]:
    """The records of a file, as they stand there. Raises `InvalidInput` that lists the lines that are none, or whose ids look like secrets."""
    mistakes: list[str] = []
    for number, line in enumerate(iter(lambda: file.readline(rules.LARGEST_DOCUMENT + 1), b""), 1):
        if not line.strip():
            continue
        id_, mistake = _record(line)
        if id_ is not None and redactor.suspects(line) and redactor.text(id_) != id_:
            id_, mistake = (
                None,
                "its id looks like a secret, and ids are stored as they stand; give another one",
            )
        if id_ is not None and not mistakes:
            yield id_, line.rstrip(b"\r\n") + b"\n"
        elif id_ is None:
            mistakes.append(f"line {number}: {mistake}")
        if len(mistakes) > _MOST_MISTAKES or len(line) > rules.LARGEST_DOCUMENT:
            break
    if mistakes:
        listed = mistakes[:_MOST_MISTAKES] + (["…"] if len(mistakes) > _MOST_MISTAKES else [])
        raise InvalidInput(
            f"{name}: "
            + (listed[0] if len(listed) == 1 else "".join(f"\n  {mistake}" for mistake in listed))
        )


def _record(line: bytes) -> tuple[str | None, str]:
    """The id of a record; or None, and what is wrong with the line."""
    if len(line) > rules.LARGEST_DOCUMENT:
        return None, f"longer than {rules.LARGEST_DOCUMENT} bytes"
    try:
        record = json.loads(line.decode(), parse_constant=_no_json)
    except RecursionError:
        return None, "nested too deep"
    except ValueError as error:
        return None, f"not valid JSON: {error}"
    if not isinstance(record, dict):
        return None, "not a JSON object"
    id_ = subject_id(record.get("id"))
    what = (
        f"its id {rules.shorten(ascii(record['id']))} is not accepted"
        if "id" in record
        else "has no id"
    )
    return (
        id_,
        ""
        if id_ is not None
        else f"{what}; give it an `id` of 1 to 200 characters, not only white space and without control characters",
    )


def _no_json(word: str) -> object:
    raise ValueError(f"{word} is not a JSON number")
