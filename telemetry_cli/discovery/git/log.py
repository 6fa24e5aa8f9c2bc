"""Read history through GitPython: commits, the lines of a file, differences. Not on the fast path.

GitPython starts git with our environment, and these commands run programs that a repository's
config names. So the environment is scrubbed first, and each such program is turned off. The output
is streamed: it may be a whole history.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from subprocess import Popen, TimeoutExpired
from threading import Thread
from typing import IO, TYPE_CHECKING, BinaryIO

from telemetry_cli.core import clock, scratch
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.discovery.git.process import compose, read_piece, scrub_environment
from telemetry_cli.discovery.git.repository import Repository

if TYPE_CHECKING:
    from git import Git

#: For commands that compare files.
NO_PROGRAMS = ("--no-ext-diff", "--no-textconv")
#: Seconds for which git is waited for in all.
DEADLINE_SECONDS = 600.0
_FIELDS = 5
#: Bytes kept of what git says on stderr.
_MOST_COMPLAINTS = 2000
#: Seconds for the rest of stderr once git has ended: a program that git left may keep it open.
_LAST_WORDS_SECONDS = 1.0

Commit = dict[str, object]


class Unanswered(InvalidInput):
    """git waits for what may never come, or takes longer than anybody waits for it."""


def stream(
    repository: Repository,
    *arguments: str,
    question: bytes = b"",
    folder: str | None = None,
    given: str = "",
    seconds: float = DEADLINE_SECONDS,
) -> Iterator[bytes]:
    """Yield git's output in pieces; `question` goes to its stdin.

    Only the time that git is waited for counts towards `seconds`. Raises `Unanswered`;
    `InvalidInput` if git cannot be run, and with its own words (and the option that was `given`) if
    it fails.
    """
    place = folder or repository.folder
    with scratch.open_unnamed() if question else open(os.devnull, "rb+") as asked:
        asked.write(question)
        asked.seek(0)
        handle = _start(compose(place, repository.work_tree is None, arguments), asked)
    # GitPython ends git when the handle is gone, so it is kept until git has ended.
    process = handle.proc
    assert process is not None and process.stdout is not None and process.stderr is not None
    complaints = _Complaints(process.stderr)
    piece: bytes | None = None
    waited = 0.0
    try:
        while True:
            begun = time.monotonic()
            piece = read_piece(process.stdout.fileno(), process.pid, begun + seconds - waited)
            waited += time.monotonic() - begun
            if not piece:
                break
            yield piece
    finally:
        code = _end(process, seconds - waited if piece == b"" else 0.0)
        complaints.join(_LAST_WORDS_SECONDS)
        process.stdout.close()
    if piece is None:
        raise Unanswered(
            f"git {arguments[0]} does not answer in {place}",
            f"Look for a FIFO among the files that git reads: find {place} -type p",
        )
    if code:
        raise _explain_failure(arguments[0], code, complaints.lines(), given)


def answer(
    repository: Repository, *arguments: str, most: int, seconds: float = DEADLINE_SECONDS
) -> bytes | None:
    """Return git's output, cut at `most` bytes; None if it fails. Raises `Unanswered`."""
    output = bytearray()
    try:
        for piece in stream(repository, *arguments, seconds=seconds):
            output += piece
            if len(output) >= most:
                break
    except Unanswered:
        raise
    except InvalidInput:
        return None
    return bytes(output[:most])


def _start(argv: list[str], question: BinaryIO) -> "Git.AutoInterrupt":
    """Start git through GitPython. Raises `InvalidInput` if it cannot be run."""
    environment = scrub_environment()
    # GitPython copies our environment, and importing it fails without git unless it is told not to.
    ours = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment | {"GIT_PYTHON_REFRESH": "quiet"})
    try:
        from git import Git
        from git.exc import GitCommandNotFound

        del os.environ["GIT_PYTHON_REFRESH"]
        return Git().execute(argv, istream=question, as_process=True, env={"LANGUAGE": ""})
    except ImportError as error:
        # The import runs `git version`. It comes first: the next clause needs what was imported.
        raise _explain_missing(error) from None
    except (GitCommandNotFound, OSError, ValueError) as error:
        raise _explain_missing(error) from None
    finally:
        os.environ.clear()
        os.environ.update(ours)


def _explain_missing(error: Exception) -> InvalidInput:
    cause = str(error.__cause__ or error).partition("\n")[0]
    return InvalidInput(f"git could not be run: {cause}", "Install git, or put it on the PATH.")


def _end(process: Popen[bytes], seconds: float) -> int:
    """Return git's exit code. It is killed if it is still there after `seconds`."""
    try:
        return process.wait(max(0.0, seconds))
    except TimeoutExpired:
        process.kill()
        return process.wait()


class _Complaints(Thread):
    """Reads git's stderr to its end, so that git never waits for it; keeps the beginning."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        # A descriptor of our own: GitPython closes the stream when its handle is gone.
        self._descriptor = os.dup(stream.fileno())
        self._text = b""
        self.start()

    def run(self) -> None:
        while piece := os.read(self._descriptor, _MOST_COMPLAINTS):
            self._text = (self._text + piece)[:_MOST_COMPLAINTS]
        os.close(self._descriptor)

    def lines(self) -> list[str]:
        """Return the lines that were kept so far."""
        return self._text.decode(errors="replace").strip().splitlines()


def _explain_failure(command: str, code: int, lines: list[str], given: str) -> InvalidInput:
    prefix = f"{given}: git {command}" if given else f"git {command}"
    if any("lazy fetching disabled" in line for line in lines):
        return InvalidInput(
            f"{prefix}: this clone lacks what git would have to fetch",
            f"Run git {command} for the same once: it fetches what is missing.",
        )
    return InvalidInput(f"{prefix}: {lines[0] if lines else f'exit code {code}'}")


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
