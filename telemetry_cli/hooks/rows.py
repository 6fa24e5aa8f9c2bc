"""The rows of a hook as they come out of it: cut into lines, checked, and put aside. Memory is bounded, however much there is."""

import json

from telemetry_cli.core import values as rules
from telemetry_cli.database.hook_runs import GIVEN
from telemetry_cli.hooks.contract import Contract, Mismatch, RowCheck, mismatch, shown
from telemetry_cli.hooks.spool import Spool
from telemetry_cli.hooks.subjects import Subjects, subject_id

#: A row may be so long, in bytes.
LONGEST_ROW = 1 << 20
#: How many mismatches are kept; all are counted.
MOST_MISMATCHES = 1000


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


class Rows:
    """Takes the output of one attempt, piece by piece, and writes the lines of the rows' blob into `spool`."""

    def __init__(self, contract: Contract, subjects: Subjects, spool: Spool) -> None:
        self.count = 0
        self.mismatch_count = 0
        self.mismatches: list[Mismatch] = []
        self._check = RowCheck(contract)
        self._one = contract.cardinality == "one"
        self._subjects = subjects
        self._seen = bytearray(subjects.count)
        self.spool = spool
        self._rest = b""
        self._skipping = False
        self._number = 0
        self._decoder = json.JSONDecoder(object_pairs_hook=_pairs)
        self._encode = json.JSONEncoder(
            sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode

    def take(self, piece: bytes) -> None:
        """The next piece of output, cut anywhere."""
        *lines, rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._line(line)
        if len(rest) > LONGEST_ROW:
            if not self._skipping:
                self._line(rest)
            self._skipping, rest = True, b""
        self._rest = rest

    def end(self) -> None:
        """There is no more output: a last line without its newline is a row too; then the subjects without a row are written."""
        if self._rest and not self._skipping:
            self._line(self._rest)
        self._rest = b""
        if not self.mismatch_count and 0 in self._seen:
            for id_ in self._subjects.ids():
                if not self._seen[self._subjects.place(id_)]:
                    self.spool.write(f"{GIVEN}{self._encode(id_)}}}\n".encode())

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        self._number += 1
        if len(line) > LONGEST_ROW:
            self._wrong(
                mismatch(
                    self._number, None, f"a row of at most {LONGEST_ROW} bytes", "a longer one"
                )
            )
            return
        try:
            row = self._decoder.decode(line.decode())
        except UnicodeDecodeError:
            self._wrong(
                mismatch(self._number, None, "UTF-8 text", rules.shorten(ascii(line)[2:-1]))
            )
            return
        except (ValueError, RecursionError) as error:
            twice = "comes twice" in str(error)
            self._wrong(
                mismatch(
                    self._number,
                    None,
                    "a JSON object" + (" with each key once" if twice else ""),
                    rules.shorten(line.decode()),
                )
            )
            return
        if isinstance(row, dict):
            self._row(row)
        else:
            self._wrong(mismatch(self._number, None, "a JSON object", shown(row)))

    def _row(self, row: dict[str, object]) -> None:
        id_ = subject_id(row.get("id"))
        place = self._subjects.place(id_) if id_ is not None else -1
        values, good = self._check.values(row)
        if place < 0:
            self._wrong(
                mismatch(
                    self._number,
                    "id",
                    "the id of a subject that was given",
                    shown(row["id"]) if "id" in row else "nothing",
                )
            )
        elif self._one and self._seen[place]:
            self._wrong(
                mismatch(
                    self._number, "id", "one row per subject", f"another one for {shown(row['id'])}"
                )
            )
        else:
            self._seen[place] = 1
        if not good:
            for found in self._check.mismatches(self._number, row):
                self._wrong(found)
        if not self.mismatch_count:
            self.count += 1
            self.spool.write(
                f'{{"id":{self._encode(id_)},"values":{self._encode(values)}}}\n'.encode()
            )

    def _wrong(self, found: Mismatch) -> None:
        self.mismatch_count += 1
        if len(self.mismatches) < MOST_MISMATCHES:
            self.mismatches.append(found)
