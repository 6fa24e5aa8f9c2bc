"""History as git tells it, in one process each: commits, the lines of a file, differences. Not on the fast path.

GitPython hands its own environment on to git, so what a hook exports (`GIT_DIR`, `GIT_INDEX_FILE`) would answer for another
repository than the one asked for; and it keeps git's whole answer. So git is run here, scrubbed and streamed. These commands
do run programs that a repository's config names, unless each of them is turned off.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from telemetry_cli.core import clock
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.discovery.git import process as git_process
from telemetry_cli.discovery.git.repository import Repository

#: For commands that compare files.
NO_PROGRAMS = ("--no-ext-diff", "--no-textconv")
#: Seconds for which git is waited for in all.
DEADLINE_SECONDS = 600.0
_FIELDS = 5

Commit = dict[str, object]


class Unanswered(InvalidInput):
    """git waits for what may never come, or takes longer than anybody waits for it."""


def stream(
    repository: Repository,
    *arguments: str,
    question: bytes = b"",
    folder: str | None = None,
    given: str = "",
) -> Iterator[bytes]:
    """Yield git's output in pieces.

    Raises `Unanswered`; `InvalidInput` when git cannot be run, and with its own words (and the option that was `given`) when it fails.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(question)
        asked.seek(0)
        try:
            place = folder or repository.folder
            process = git_process.Process(
                place, repository.work_tree is None, arguments, asked.fileno(), said.fileno()
            )
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"git could not be run: {error}", "Install git, or put it on the PATH."
            ) from None
        piece: bytes | None = None
        waited = 0.0
        try:
            while piece := process.read((begun := time.monotonic()) + DEADLINE_SECONDS - waited):
                waited += time.monotonic() - begun
                yield piece
        finally:
            status = process.end(
                time.monotonic() + DEADLINE_SECONDS - waited if piece == b"" else 0.0
            )
        if piece is None:
            raise Unanswered(
                f"git {arguments[0]} does not answer in {place}",
                f"Look for a FIFO among the files that git reads: find {place} -type p",
            )
        code = os.waitstatus_to_exitcode(status)
        if code:
            said.seek(0)
            words = said.read(2000).decode(errors="replace").strip().splitlines()
            is_partial = any("lazy fetching disabled" in line for line in words)
            told = (
                "this clone lacks what git would have to fetch"
                if is_partial
                else words[0]
                if words
                else f"exit code {code}"
            )
            advice = (
                f"Run git {arguments[0]} for the same once: it fetches what is missing."
                if is_partial
                else ""
            )
            raise InvalidInput(f"{given and given + ': '}git {arguments[0]}: {told}", advice)


def parts(pieces: Iterator[bytes], separator: bytes) -> Iterator[bytes]:
    """What stands between separators, and what is left behind the last one."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(separator)
        yield from whole
    yield rest


def commits(
    repository: Repository, revisions: list[str], limit: int, *, count_lines: bool
) -> Iterator[Commit]:
    """The commits that `git log` lists (0: all): commit_hash, author, timestamp, subject; with `count_lines` how many lines each added."""
    options = [
        "--no-show-signature",
        "--no-color",
        "--no-decorate",
        "--no-notes",
        "--no-mailmap",
        "--encoding=UTF-8",
        "--format=%x00%H%x00%an <%ae>%x00%ct%x00%s%x00",
    ]
    if limit:
        options.append(f"--max-count={limit}")
    options += (
        ["--shortstat", "--ignore-submodules=all", *NO_PROGRAMS] if count_lines else ["--no-patch"]
    )
    fields = parts(
        stream(
            repository, "log", *options, "--end-of-options", *revisions, "--", given="REVISIONS"
        ),
        b"\0",
    )
    next(fields, None)
    while len(found := list(islice(fields, _FIELDS))) == _FIELDS:
        sha, author, at, subject, statistics = (field.decode(errors="replace") for field in found)
        commit: Commit = {
            "commit_hash": sha,
            "author": author,
            "timestamp": _stamp(at),
            "subject": subject,
        }
        yield commit | {"lines": _insertions(statistics)} if count_lines else commit


def _stamp(seconds: str) -> str | None:
    try:
        return clock.stamp(datetime.fromtimestamp(int(seconds), UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _insertions(statistics: str) -> int:
    """` 2 files changed, 10 insertions(+), 3 deletions(-)`."""
    return next((int(part.split()[0]) for part in statistics.split(",") if "insertion" in part), 0)


def blame(
    repository: Repository, folder: str, name: str, lines: str | None
) -> Iterator[tuple[int, str, str]]:
    """Each line of a file in HEAD, as (number, text, SHA)."""
    only = ("-L", lines) if lines is not None else ()
    given = "FILE, -L" if only else "FILE"
    # Of a list of names in the config, only the option forgets all: git sorts them, so that an empty one comes first.
    harmless = ("--no-textconv", "--no-ignore-revs-file")
    pieces = stream(
        repository,
        "blame",
        "--porcelain",
        *harmless,
        *only,
        "HEAD",
        "--",
        name,
        folder=folder,
        given=given,
    )
    sha, number = "", 0
    for line in parts(pieces, b"\n"):
        if line.startswith(b"\t"):
            yield number, line[1:].decode(errors="replace"), sha
            sha = ""
        elif not sha and line:
            words = line.split()
            sha, number = words[0].decode("ascii", "replace"), int(words[2])
