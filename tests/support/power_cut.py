"""Power cuts: what a recorded run of the program can leave on a disk that keeps what was flushed, and of the rest what it likes.

A trace is read into effects on files and names. An image of the disk after so many of them holds every effect that a later
flush of its file (or, for names, of its folder) made durable, and any others: dropped, kept without those before them, torn.
"""

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

CALLS = "openat,write,pwrite64,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,rmdir,close,lseek"
OPTIONS = ("-f", "-qq", "-y", "-xx", "-s", "4000000", "-e", f"trace={CALLS}")
SECTOR = 512

_LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?")
_ESCAPE = re.compile(r"(?:\\x[0-9a-f]{2})+")
_DESCRIPTOR = re.compile(r"^(\d+)<([^>]*)>")
_TEXT = re.compile(r'"([^"]*)"')


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class Effect:
    """One change: of a file's bytes (`file` is its number), or of a name in a folder. `durable_after` is how many effects must have been for it to last."""

    def __init__(
        self,
        kind: str,
        *,
        file: int = -1,
        path: str = "",
        to: str = "",
        offset: int = 0,
        data: bytes = b"",
        size: int = 0,
    ) -> None:
        self.kind = kind
        self.file = file
        self.path = path
        self.to = to
        self.offset = offset
        self.data = data
        self.size = size
        self.durable_after: int | None = None

    @property
    def folders(self) -> set[str]:
        """The folders whose names it changes."""
        return {os.path.dirname(path) for path in (self.path, self.to) if path}


class Disk:
    """The effects of one or more traced commands below `base`, over what lay there before."""

    def __init__(self, base: Path) -> None:
        self.base = str(base)
        self.effects: list[Effect] = []
        self.beginning: dict[str, int] = {}
        self.contents: dict[int, bytes] = {}
        self.folders: set[str] = {
            str(base),
            *(str(path) for path in base.rglob("*") if path.is_dir()),
        }
        for path in sorted(base.rglob("*")):
            if path.is_file():
                self.beginning[str(path)] = len(self.contents)
                self.contents[len(self.contents)] = path.read_bytes()
        self._names = dict(self.beginning)
        self._sizes = {number: len(content) for number, content in self.contents.items()}
        self._offsets: dict[str, int] = {}

    def read(self, trace: Path) -> None:
        """Add the effects of a trace."""
        for line in trace.read_text().splitlines():
            found = _LINE.match(line)
            if found and not found[3].startswith("-"):
                getattr(self, f"_{found[1]}", self._ignored)(found[2], int(found[3]))

    def _ignored(self, words: str, result: int) -> None: ...

    def _paths(self, words: str) -> list[str]:
        """The paths below the base that a call names."""
        found = [_decoded(text).decode() for text in _TEXT.findall(words)]
        return found if all(path.startswith(self.base) for path in found) else []

    def _open_file(self, words: str) -> tuple[str, str, int] | None:
        """The (descriptor, path, number) of the file below the base that a call is about."""
        found = _DESCRIPTOR.match(words)
        path = _decoded(found[2]).decode() if found and _ESCAPE.fullmatch(found[2]) else ""
        return (
            (found[1], path, self._names.get(path, -1))
            if found and path.startswith(self.base)
            else None
        )

    def _add(self, effect: Effect) -> None:
        self.effects.append(effect)

    def _openat(self, words: str, result: int) -> None:
        paths = self._paths(words)
        if not paths:
            return
        self._offsets[str(result)] = -1 if "O_APPEND" in words else 0
        if "O_CREAT" in words and paths[0] not in self._names and paths[0] not in self.folders:
            number = len(self._sizes)
            self._sizes[number] = 0
            self.contents[number] = b""
            self._names[paths[0]] = number
            self._add(Effect("create", file=number, path=paths[0]))
        elif "O_TRUNC" in words:
            self._truncate(self._names[paths[0]], 0)

    def _written(self, number: int, offset: int, data: bytes) -> None:
        self._sizes[number] = max(self._sizes[number], offset + len(data))
        self._add(Effect("write", file=number, offset=offset, data=data))

    def _write(self, words: str, result: int) -> None:
        opened = self._open_file(words)
        text = _TEXT.search(words)
        if opened and opened[2] >= 0 and text:
            at = self._offsets.get(opened[0], 0)
            offset = self._sizes[opened[2]] if at < 0 else at
            self._written(opened[2], offset, _decoded(text[1])[:result])
            if at >= 0:
                self._offsets[opened[0]] = offset + result

    def _lseek(self, words: str, result: int) -> None:
        opened = self._open_file(words)
        if opened and self._offsets.get(opened[0], 0) >= 0:
            self._offsets[opened[0]] = result

    def _pwrite64(self, words: str, result: int) -> None:
        opened = self._open_file(words)
        text = _TEXT.search(words)
        if opened and opened[2] >= 0 and text:
            self._written(opened[2], int(words.rsplit(", ", 1)[1]), _decoded(text[1])[:result])

    def _truncate(self, number: int, size: int) -> None:
        self._sizes[number] = size
        self._add(Effect("truncate", file=number, size=size))

    def _ftruncate(self, words: str, result: int) -> None:
        opened = self._open_file(words)
        if opened and opened[2] >= 0:
            self._truncate(opened[2], int(words.rsplit(", ", 1)[1]))

    def _fsync(self, words: str, result: int) -> None:
        opened = self._open_file(words)
        if not opened:
            return
        for effect in self.effects:
            is_name = bool(effect.path)
            if effect.durable_after is None and (
                opened[1] in effect.folders if is_name else effect.file == opened[2]
            ):
                effect.durable_after = len(self.effects)

    _fdatasync = _fsync

    def _unlink(self, words: str, result: int) -> None:
        paths = self._paths(words)
        if paths and paths[0] in self._names:
            del self._names[paths[0]]
            self._add(Effect("unlink", path=paths[0]))

    _unlinkat = _unlink

    def _rename(self, words: str, result: int) -> None:
        paths = self._paths(words)
        if len(paths) == 2:
            number = self._names.pop(paths[0])
            self._names[paths[1]] = number
            self._add(Effect("rename", file=number, path=paths[0], to=paths[1]))

    _renameat = _renameat2 = _rename

    def _mkdir(self, words: str, result: int) -> None:
        paths = self._paths(words)
        if paths:
            self.folders.add(paths[0])
            self._add(Effect("mkdir", path=paths[0]))

    _mkdirat = _mkdir

    def images(
        self, number: int, seed: int, *, flushes: bool = True
    ) -> Iterator[tuple[int, dict[str, bytes], set[str]]]:
        """So many images: (how many effects had been, path → content, folders). Without `flushes` nothing was made durable."""
        chance = random.Random(seed)
        for index in range(number):
            cut = (
                index % (len(self.effects) + 1)
                if index < len(self.effects) + 1
                else chance.randrange(len(self.effects) + 1)
            )
            yield cut, *self._image(cut, chance, flushes=flushes)

    def _image(
        self, cut: int, chance: random.Random, *, flushes: bool
    ) -> tuple[dict[str, bytes], set[str]]:
        kept_share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        torn = chance.random() < 0.5
        names, contents = (
            dict(self.beginning),
            {number: bytearray(content) for number, content in self.contents.items()},
        )
        made = [effect.path for effect in self.effects if effect.kind == "mkdir"]
        folders = self.folders - set(made)
        for effect in self.effects[:cut]:
            durable = flushes and effect.durable_after is not None and effect.durable_after <= cut
            if not durable and chance.random() >= kept_share:
                continue
            if effect.kind == "write":
                _put(contents[effect.file], effect, chance if torn and not durable else None)
            elif effect.kind == "truncate":
                content = contents[effect.file]
                del content[effect.size :]
                content.extend(bytes(effect.size - len(content)))
            elif effect.kind == "mkdir":
                folders.add(effect.path)
            else:
                names.pop(effect.path, None)
                if effect.kind != "unlink":
                    names[effect.to or effect.path] = effect.file
        there = {
            path: bytes(contents[number])
            for path, number in names.items()
            if os.path.dirname(path) in folders
        }
        return there, folders


def _put(content: bytearray, effect: Effect, chance: random.Random | None) -> None:
    """Write; with `chance` only some sectors of it, or bytes up to somewhere in one."""
    data, begin = effect.data, effect.offset
    if chance and chance.random() < 0.3:
        if len(data) <= SECTOR or chance.random() < 0.5:
            data = data[: chance.randrange(len(data) + 1)]
        else:
            first = chance.randrange(0, len(data), SECTOR)
            data, begin = data[first:], begin + first
    if len(content) < begin + len(data):
        content.extend(bytes(begin + len(data) - len(content)))
    content[begin : begin + len(data)] = data
