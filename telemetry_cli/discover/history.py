"""History as git tells it, in one process each: commits, the lines of a file, differences. Not on the fast path.

GitPython hands its own environment on to git, so what a hook exports (`GIT_DIR`, `GIT_INDEX_FILE`) would answer for another
repository than the one asked for; and it keeps git's whole answer. So git is run here, scrubbed and streamed. These commands
do run programs that a repository's config names, unless each of them is turned off.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from telemetry_cli import clock
from telemetry_cli.discover import git_process
from telemetry_cli.discover.git import Repository
from telemetry_cli.errors import InvalidInput

#: Config that would run a program, or wait for a file that never ends.
_HARMLESS = tuple(
    word
    for setting in ("log.showSignature=false", "log.mailmap=false", "mailmap.file=", "mailmap.blob=", "diff.orderFile=/dev/null")
    for word in ("-c", setting)
)
NO_PROGRAMS = ("--no-ext-diff", "--no-textconv")
_CHUNK = 1 << 16
_FIELDS = 5

Commit = dict[str, object]


def stream(repository: Repository, *arguments: str, question: bytes = b"", folder: str | None = None, given: str = "") -> Iterator[bytes]:
    """git's output in pieces. Raises `InvalidInput` with git's own words when it fails, and the option that was `given`, if that is why."""
    command = git_process.command(folder or repository.folder, repository.work_tree is None, (*_HARMLESS, "--no-pager", *arguments))
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(question)
        asked.seek(0)
        try:
            process = subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, bufsize=0, stderr=said, env=git_process.scrubbed())  # noqa: S603 - git, with words that were checked
        except OSError as error:
            raise InvalidInput(f"git could not be run: {error.strerror}", "Install git, or put it on the PATH.") from None
        with process:
            assert process.stdout
            try:
                while piece := process.stdout.read(_CHUNK):
                    yield piece
            finally:
                if process.poll() is None:
                    process.stdout.close()
            code = process.wait()
        if code:
            said.seek(0)
            words = said.read(2000).decode(errors="replace").strip().splitlines()
            is_partial = any("lazy fetching disabled" in line for line in words)
            told = "this clone lacks what git would have to fetch" if is_partial else words[0] if words else f"exit code {code}"
            advice = f"Run git {arguments[0]} for the same once: it fetches what is missing." if is_partial else ""
            raise InvalidInput(f"{given and given + ': '}git {arguments[0]}: {told}", advice)


def parts(pieces: Iterator[bytes], separator: bytes) -> Iterator[bytes]:
    """What stands between separators, and what is left behind the last one."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(separator)
        yield from whole
    yield rest


def commits(repository: Repository, revisions: list[str], limit: int, *, count_lines: bool) -> Iterator[Commit]:
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
    options += ["--shortstat", "--ignore-submodules=all", *NO_PROGRAMS] if count_lines else ["--no-patch"]
    fields = parts(stream(repository, "log", *options, "--end-of-options", *revisions, "--", given="REVISIONS"), b"\0")
    next(fields, None)
    while len(found := list(islice(fields, _FIELDS))) == _FIELDS:
        sha, author, at, subject, statistics = (field.decode(errors="replace") for field in found)
        commit: Commit = {"commit_hash": sha, "author": author, "timestamp": _stamp(at), "subject": subject}
        yield commit | {"lines": _insertions(statistics)} if count_lines else commit


def _stamp(seconds: str) -> str | None:
    try:
        return clock.stamp(datetime.fromtimestamp(int(seconds), UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _insertions(statistics: str) -> int:
    """` 2 files changed, 10 insertions(+), 3 deletions(-)`."""
    return next((int(part.split()[0]) for part in statistics.split(",") if "insertion" in part), 0)


def blame(repository: Repository, folder: str, name: str, lines: str | None) -> Iterator[tuple[int, str, str]]:
    """Each line of a file in HEAD, as (number, text, SHA)."""
    only = ("-L", lines) if lines is not None else ()
    given = "FILE, -L" if only else "FILE"
    # Of a list of names in the config, only the option forgets all: git sorts them, so that an empty one comes first.
    harmless = ("--no-textconv", "--no-ignore-revs-file")
    pieces = stream(repository, "blame", "--porcelain", *harmless, *only, "HEAD", "--", name, folder=folder, given=given)
    sha, number = "", 0
    for line in parts(pieces, b"\n"):
        if line.startswith(b"\t"):
            yield number, line[1:].decode(errors="replace"), sha
            sha = ""
        elif not sha and line:
            words = line.split()
            sha, number = words[0].decode("ascii", "replace"), int(words[2])
