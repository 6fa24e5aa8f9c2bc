"""Read NDJSON and JSON files as a stream, plain or gzip. Memory: one block and one record."""

import codecs
import gzip
import io
import json
import os
import re
import stat
import sys
import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import IO, Any

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput

#: What a file's ending says of its format; `.gz` comes behind.
ENDINGS = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".csv": "csv",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
    ".parquet": "parquet",
}
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
_NEEDED = "an array of runs is needed, or an object with one under 'runs'"
_BOM = b"\xef\xbb\xbf"
#: What reading may raise where a file breaks off or is no gzip.
UNREADABLE = (OSError, EOFError, zlib.error)


class BrokenOff(Exception):
    """The rest of the file cannot be read as records: (line, message)."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def format_of(path: str, given: str | None, formats: tuple[str, ...]) -> str:
    """The format that is given, else what the file's name says, else NDJSON for `-`. Raises `InvalidInput` listing what there is."""
    name = path.lower().removesuffix(".gz")
    found = (
        given
        if given is not None
        else "ndjson"
        if path == "-"
        else ENDINGS.get(os.path.splitext(name)[1])
    )
    if found not in formats:
        what = (
            f"{given!r} is not accepted"
            if given is not None
            else f"the name {rules.shorten(os.path.basename(path))!r} does not tell the format"
        )
        raise InvalidInput(f"--format: {what}; give one of {', '.join(formats)}")
    return found


class Source:
    """A file that is read as a stream of bytes, unpacked where it is gzipped, as UTF-8 where it is UTF-16; `-` is stdin.

    `size` is how many bytes there are to read (None: nobody knows), `position` how many were. Raises `InvalidInput` when it
    cannot be opened, or its `file` not be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._raw = _opened(path)
        except OSError as error:
            raise self._unreadable(error) from None
        info = os.fstat(self._raw.fileno())
        self.size = info.st_size if stat.S_ISREG(info.st_mode) else None

    @cached_property
    def file(self) -> "io.BufferedReader[Any]":
        """What it holds. Not before it is asked for: the first byte of a pipe may be long in coming."""
        content: io.BufferedReader[Any] = io.BufferedReader(self._raw, _BLOCK)
        try:
            packed = content.peek(2)[:2] == _GZIP
        except OSError as error:
            raise self._unreadable(error) from None
        if packed:
            content = io.BufferedReader(_Unpacked(content), _BLOCK)
        return (
            io.BufferedReader(_Recoded(content), _BLOCK)
            if content.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            else content
        )

    def _unreadable(self, error: OSError) -> InvalidInput:
        return InvalidInput(f"{rules.shorten(self.path)} cannot be read: {error.strerror or error}")

    @property
    def position(self) -> int:
        """How many bytes of the file itself were read; 0 where `size` is not known: a pipe cannot tell."""
        if self.size is None:
            return 0
        return self.size if self._raw.closed else self._raw.tell()

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()


class _Unpacked(io.RawIOBase):
    """A gzipped file as it unpacks; where it breaks off, what came before is still read."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._file = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: Any) -> int:
        """What is unpacked next, as far as it fits."""
        content = self._file.read1(len(into))
        into[: len(content)] = content
        return len(content)


class _Recoded(io.RawIOBase):
    """A file in UTF-16, as spreadsheets and PowerShell write it, as UTF-8. What is no text is left to the rules for text."""

    def __init__(self, file: "io.BufferedReader[Any]") -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
        self._ready = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: Any) -> int:
        """What is recoded next, as far as it fits."""
        while not self._ready:
            more = self._file.read1(_BLOCK)
            if not more:
                return 0
            self._ready = self._decoder.decode(more).encode("utf-8", "surrogatepass")
        content, self._ready = self._ready[: len(into)], self._ready[len(into) :]
        into[: len(content)] = content
        return len(content)


def _opened(path: str) -> io.FileIO:
    if path == "-":
        if sys.stdin is None:
            raise OSError(0, "stdin is closed")
        return io.FileIO(sys.stdin.fileno(), closefd=False)
    return io.FileIO(path)


# NDJSON


def ndjson(source: Source) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number. A longer one than a document may be is cut, and so no JSON any more."""
    most = rules.LARGEST_DOCUMENT + 2
    number, begins = 0, True
    while line := source.file.readline(most):
        number += begins
        whole = line.endswith(b"\n")
        if begins and number == 1:
            line = line.removeprefix(_BOM)
        if begins and line.strip():
            yield number, line.strip()
        begins = whole or len(line) < most - len(_BOM)


# JSON


def json_array(source: Source) -> Iterator[tuple[int, bytes]]:
    """Each element of an array, or of the array under `runs` of an object, as it stands in the file, with the line it begins on."""
    text = _JsonText(source)
    opening = text.peek()
    if opening == "{":
        text.take("{")
        found = False
        while (key := text.value(first=True)) is not None:
            text.take(":")
            if key == '"runs"':
                found = True
                yield from _elements(text)
            else:
                text.value()
            if text.peek() == ",":
                text.take(",")
        text.take("}")
        if not found:
            raise BrokenOff(1, _NEEDED)
    elif opening:
        yield from _elements(text)
    if text.peek():
        raise BrokenOff(text.line, "not valid JSON: something follows the end")


def _elements(text: "_JsonText") -> Iterator[tuple[int, bytes]]:
    if text.peek() != "[":
        raise BrokenOff(text.line, _NEEDED)
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        text.peek()
        line = text.line
        element = text.value()
        yield line, str(element).encode("utf-8", "surrogatepass")
        if text.peek() == "]":
            text.take("]")
            return
        text.take(",")


#: A bracket, or a string, whole or as far as it goes, in which brackets are text.
_BRACKETS = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)


class _JsonText:
    """JSON text that is read block by block; `line` is where it stands."""

    def __init__(self, source: Source) -> None:
        self._file = source.file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._invalid: BrokenOff | None = None
        # Only where a value ends matters here: numbers stay digits, however many.
        self._decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
        self._buffer = ""
        self._at = 0
        self.line = 1

    def _fill(self) -> bool:
        """Read on; what stands before a place that cannot be read is read first. False at the end."""
        if self._invalid:
            raise self._invalid
        more = b""
        text = ""
        while not text:
            # A block at a time: what was unpacked before a packed file breaks off must not be lost with the error.
            more = self._file.read1(_BLOCK)
            try:
                text = self._decoder.decode(more, final=not more)
            except UnicodeDecodeError as error:
                text = error.object[: error.start].decode()
                self._invalid = BrokenOff(self.line, f"not UTF-8 text: {error.reason}")
                if not text:
                    raise self._invalid from None
            if not more:
                break
        self._buffer, self._at = self._buffer[self._at :] + text, 0
        return bool(text)

    def _pass(self, end: int) -> str:
        passed = self._buffer[self._at : end]
        self.line += passed.count("\n")
        self._at = end
        return passed

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            begin = self._at
            while begin < len(self._buffer) and self._buffer[begin] in " \t\r\n":
                begin += 1
            self._pass(begin)
            if begin < len(self._buffer):
                return self._buffer[begin]
            if not self._fill():
                return ""

    def take(self, character: str) -> None:
        """Pass the next character, which must be this one."""
        found = self.peek()
        if found != character:
            raise BrokenOff(
                self.line,
                f"not valid JSON: {character!r} is expected, not {found!r}"
                if found
                else "not valid JSON: the file breaks off",
            )
        self._pass(self._at + 1)

    def value(self, *, first: bool = False) -> str | None:
        """The text of the next value; with `first`, None where the object ends instead."""
        opening = self.peek()
        if first and opening == "}":
            return None
        while True:
            try:
                _, end = self._decode(self._buffer, self._at)
                # At the very end of the block a number may go on in the next one.
                if end < len(self._buffer) or not self._fill():
                    return self._pass(end)
            except RecursionError:
                return self._pass(self._balanced())
            except ValueError as error:
                self._more(str(getattr(error, "msg", error)))

    def _more(self, reason: str) -> None:
        """Read on, for the value that is not whole yet. Raises `BrokenOff` where that cannot be why it is none."""
        if len(self._buffer) - self._at > 2 * rules.LARGEST_DOCUMENT or not self._fill():
            raise BrokenOff(self.line, f"not valid JSON: {reason[:1].lower()}{reason[1:]}")

    def _balanced(self) -> int:
        """Where a value ends that is nested too deep to be read: behind the bracket that closes its first one."""
        while True:
            depth = 0
            for found in _BRACKETS.finditer(self._buffer, self._at):
                depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
                if not depth:
                    return found.end()
            self._more("nested too deep")
