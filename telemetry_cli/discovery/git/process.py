"""Run git for short answers on the fast path: scrubbed, safe in hostile repositories, bounded.

`posix_spawn` by hand: importing subprocess costs more than git takes to answer. `log.py` runs git
through GitPython for long answers, with the same arguments and environment.
"""

import os
import time

MOST_OUTPUT = 1 << 20
#: Seconds for which git may neither write, compute nor wait for a disk: then it waits for a FIFO, which nobody may ever open.
STALL_SECONDS = 5.0
#: What of git's environment is the user's own and not one repository's; beginnings of names. A hook that we run in
#: exports GIT_DIR and more, which would answer for the hook's repository instead of the one asked for.
_KEPT_VARIABLES = (
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
)
#: Settings of a repository that would run a program, or read a file that never ends.
_HARMLESS = (
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "log.showSignature=false",
    "log.mailmap=false",
    "mailmap.file=",
    "mailmap.blob=",
    "diff.orderFile=/dev/null",
)
_SAFETY = (
    *(word for setting in _HARMLESS for word in ("-c", setting)),
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
)
_PIECE = 1 << 16
_PAUSE_SECONDS = 0.0005


def compose(folder: str, is_bare: bool, arguments: tuple[str, ...]) -> list[str]:
    """Return the argv that runs git in `folder`; `is_bare` if the folder is itself the repository.

    Not with --git-dir, which would switch off git's own check of the owner.
    """
    bare = f"safe.bareRepository={'all' if is_bare else 'explicit'}"
    return ["git", *_SAFETY, "-c", bare, "-C", folder, *arguments]


def read_piece(descriptor: int, pid: int, deadline: float) -> bytes | None:
    """Return the next piece of git's output, empty at its end.

    Returns None past the deadline (monotonic seconds), or if git waits for what may never come.
    """
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    used: tuple[bytes, ...] | None = None
    stalled_at = deadline
    while (now := time.monotonic()) < min(deadline, stalled_at):
        if poll.poll(min(deadline - now, STALL_SECONDS / 5) * 1000):
            return os.read(descriptor, _PIECE)
        before, used = used, _sleeping(pid)
        if used is None:
            stalled_at = deadline
        elif used != before:
            stalled_at = now + STALL_SECONDS
    return None


def ask(
    folder: str,
    is_bare: bool,
    arguments: tuple[str, ...],
    question: bytes,
    deadline: float,
    most: int = MOST_OUTPUT,
) -> bytes | None:
    """Return git's output (cut at `most` bytes); None on failure, without git, or past `deadline`.

    `question` goes to its stdin. `deadline`: monotonic seconds.
    """
    if time.monotonic() >= deadline or len(question) > 4096:  # what a pipe takes whole
        return None
    argv = compose(folder, is_bare, arguments)
    try:
        stdin, to_child = os.pipe()
        os.write(to_child, question)
        os.close(to_child)
        try:
            pid, answer = _spawn(argv, stdin)
        finally:
            os.close(stdin)
    except (OSError, ValueError):
        return None
    output, piece = bytearray(), None
    try:
        while len(output) < most and (piece := read_piece(answer, pid, deadline)):
            output += piece
    finally:
        os.close(answer)
        status = _wait(pid, deadline if piece == b"" else 0.0)
    return bytes(output) if len(output) >= most or (piece == b"" and status == 0) else None


def _spawn(argv: list[str], stdin: int) -> tuple[int, int]:
    """Start git and return its pid, and the descriptor of its output. Its complaints are not read."""
    output, child_out = os.pipe()
    try:
        pid = os.posix_spawnp(
            "git",
            argv,
            scrub_environment(),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, child_out, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
        )
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(child_out)
    return pid, output


def _wait(pid: int, deadline: float) -> int:
    """Return git's wait status. It is killed if it is still there at the deadline."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() >= deadline:
            from signal import SIGKILL

            os.kill(pid, SIGKILL)
            return os.waitpid(pid, 0)[1]
        time.sleep(_PAUSE_SECONDS)


def scrub_environment() -> dict[str, str]:
    """Return our environment without the variables that git sets for one repository.

    With it git neither asks a question nor fetches.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT_VARIABLES)
    }
    # A partial clone would fetch a missing object, through whatever program its config names.
    return kept | {
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _sleeping(pid: int) -> tuple[bytes, ...] | None:
    """Return the processor time of a sleeping process; None if it computes or waits for a disk, or where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return (*fields[10:12],) if state == b"S" else None
