"""Read CSV files as a stream of rows, in the separators and encodings of spreadsheets."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

from telemetry_cli.core import values as rules
from telemetry_cli.transfer.models import KNOWN, BadRecord
from telemetry_cli.transfer.sources import BrokenOff, Source

#: A quoted cell, and its closing quote if it has one.
_QUOTED = re.compile(r'(?:(?<=[,;\t|])|\A)"[^"]*(?:""[^"]*)*("?)')
_NO_UTF8 = (
    "not UTF-8 text; save the file as UTF-8 (in a spreadsheet: CSV UTF-8), and import it again"
)
_SEPARATORS = (",", ";", "\t", "|")
#: Lines of these characters are empty.
_BLANK = "".join((*_SEPARATORS, " \r\n"))

Row = dict[str, str] | BadRecord


def csv_rows(source: Source) -> Iterator[tuple[int, Row]]:
    """Yield the last line of each row, and its non-empty cells by column or what is wrong with it.

    Rows without any content are skipped. Raises `BrokenOff` if the header is invalid.
    """
    csv.field_size_limit(rules.LARGEST_DOCUMENT)
    lines = _Lines(
        io.TextIOWrapper(source.file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    )
    separator = _find_separator(lines)
    # Strict: otherwise a quote that is never closed would take the rest of the file as one cell.
    reader = csv.reader(lines, strict=True, delimiter=separator)
    header = _read_header(reader, lines)
    while header:
        lines.row.clear()
        begin = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line, message = lines.locate(begin, str(error))
            yield line, BadRecord(None, message)
            continue
        if any(cells):
            yield lines.number, _make_row(header, cells, is_ascii=all(map(str.isascii, lines.row)))


def _read_header(reader: Iterator[list[str]], lines: "_Lines") -> list[str]:
    """Return the names of the columns; empty for an empty file. Raises `BrokenOff`."""
    lines.skip_empty()
    first = lines.number + 1
    try:
        header = [name.strip() for name in next(reader, ())]
    except csv.Error as error:
        raise BrokenOff(*lines.locate(first, str(error))) from None
    if header and KNOWN.isdisjoint(header):
        has_nul = any("\0" in name for name in header)
        hint = "; the text looks like UTF-16 without a byte order mark" if has_nul else ""
        raise BrokenOff(
            first,
            "names no column of a run, such as agent_name, job_type or start_time, separated by commas,"
            f" semicolons or tabs{hint}",
        )
    twice = [name for place, name in enumerate(header) if name and name in header[:place]]
    if twice:
        raise BrokenOff(
            first,
            f"the column {rules.shorten(repr(twice[0]))} stands there twice, and only one of its values could be kept",
        )
    return header


def _make_row(header: list[str], cells: list[str], *, is_ascii: bool) -> Row:
    if len(cells) > len(header):
        return BadRecord(None, f"{len(cells)} cells stand under {len(header)} columns")
    row = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
    if not is_ascii:
        for name, cell in row.items():
            if not _is_utf8(cell):
                return BadRecord(name, _NO_UTF8)
    return row


def _find_separator(lines: "_Lines") -> str:
    """Return the separator with which the first line names most columns of a run, by default a comma.

    A first line `sep=;`, which spreadsheets write, names the separator and is skipped. So are empty
    lines.
    """
    lines.skip_empty()
    first = lines.peek().rstrip("\r\n")
    declared = first.removeprefix("sep=")
    if declared != first and len(declared) == 1 and declared != '"':
        lines.skip()
        return declared
    return max(_SEPARATORS, key=lambda separator: _count_columns(first, separator))


def _count_columns(line: str, separator: str) -> int:
    names = next(csv.reader([line], delimiter=separator), [])
    return len(KNOWN.intersection(name.strip() for name in names))


def _is_utf8(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Lines:
    """The lines of a file: `number` of the last one, and those read for the current `row`."""

    def __init__(self, file: Iterator[str]) -> None:
        self._file = file
        self._ahead: list[str] = []
        self.number = 0
        self.row: list[str] = []

    def peek(self) -> str:
        """Return the next line without reading past it; empty at the end."""
        if not self._ahead:
            self._ahead.extend(islice(self._file, 1))
        return self._ahead[0] if self._ahead else ""

    def skip(self) -> None:
        """Skip the line that `peek` returned."""
        self._ahead.clear()
        self.number += 1

    def skip_empty(self) -> None:
        """Skip lines of blanks and separators."""
        while (line := self.peek()) and not line.strip(_BLANK):
            self.skip()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._ahead.pop() if self._ahead else next(self._file)
        self.row.append(line)
        self.number += 1
        return line

    def locate(self, begin: int, reason: str) -> tuple[int, str]:
        """Return the line to look at and the error, for a row that starts on line `begin`.

        If the row spans lines, that is the line of the quote that made it do so.
        """
        text = "".join(self.row)
        last = None
        for cell in _QUOTED.finditer(text):
            is_unclosed = cell.end() == len(text) and not cell[1]
            last = cell if is_unclosed or "\n" in cell[0] else last
        if last is None:
            return begin + max(len(self.row) - 1, 0), f"not valid CSV: {reason}"
        line = begin + text.count("\n", 0, last.start())
        end = (
            f"closes on line {line + last[0].count(chr(10))}: {reason}"
            if last[1]
            else "is never closed"
        )
        return line, f"not valid CSV: the quote that opens here {end}"
