"""The one place that starts git: scrubbed, harmless to hostile repositories, and never longer than its deadline.

`posix_spawn` by hand: importing subprocess costs more than git takes to answer.
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


class Process:
    """A git process, and the pipe that it answers through.

    Run in `folder`, and not with --git-dir, which would switch git's own check of the owner off; `bare` when the folder is
    itself the repository. `stdin` and `stderr` are descriptors; without `stderr` nobody hears git's complaints.
    Raises `OSError` (or `ValueError` for an argument with a NUL) when it cannot be started.
    """

    def __init__(
        self,
        folder: str,
        bare: bool,
        arguments: tuple[str, ...],
        stdin: int,
        stderr: int | None = None,
    ) -> None:
        argv = [
            "git",
            *_SAFETY,
            "-c",
            f"safe.bareRepository={'all' if bare else 'explicit'}",
            "-C",
            folder,
            *arguments,
        ]
        self._output, child_out = os.pipe()
        errors = (
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
            if stderr is None
            else (os.POSIX_SPAWN_DUP2, stderr, 2)
        )
        try:
            self._pid = os.posix_spawnp(
                "git",
                argv,
                _scrubbed(),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin, 0),
                    (os.POSIX_SPAWN_DUP2, child_out, 1),
                    errors,
                ],
            )
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(child_out)

    def read(self, deadline: float) -> bytes | None:
        """The next piece of output, empty at its end; None past the deadline (monotonic seconds), or when git waits for what may never come."""
        import select

        poll = select.poll()
        poll.register(self._output, select.POLLIN | select.POLLHUP)
        used: tuple[bytes, ...] | None = None
        stalled_at = deadline
        while (now := time.monotonic()) < min(deadline, stalled_at):
            if poll.poll(min(deadline - now, STALL_SECONDS / 5) * 1000):
                return os.read(self._output, _PIECE)
            before, used = used, _sleeping(self._pid)
            if used is None:
                stalled_at = deadline
            elif used != before:
                stalled_at = now + STALL_SECONDS
        return None

    def end(self, deadline: float = 0.0) -> int:
        """Wait for git to go, and return its wait status. It is killed when it has not gone by the deadline."""
        os.close(self._output)
        while True:
            done, status = os.waitpid(self._pid, os.WNOHANG)
            if done:
                return status
            if time.monotonic() >= deadline:
                from signal import SIGKILL

                os.kill(self._pid, SIGKILL)
                return os.waitpid(self._pid, 0)[1]
            time.sleep(_PAUSE_SECONDS)


def ask(
    folder: str,
    bare: bool,
    arguments: tuple[str, ...],
    question: bytes,
    deadline: float,
    most: int = MOST_OUTPUT,
) -> bytes | None:
    """git's output (cut at `most` bytes), or None on failure, without git, or past `deadline` (monotonic seconds)."""
    if time.monotonic() >= deadline or len(question) > 4096:  # what a pipe takes whole
        return None
    try:
        stdin, to_child = os.pipe()
        os.write(to_child, question)
        os.close(to_child)
        try:
            process = Process(folder, bare, arguments, stdin)
        finally:
            os.close(stdin)
    except (OSError, ValueError):
        return None
    output, piece = bytearray(), None
    try:
        while len(output) < most and (piece := process.read(deadline)):
            output += piece
    finally:
        status = process.end(deadline if piece == b"" else 0.0)
    return bytes(output) if len(output) >= most or (piece == b"" and status == 0) else None


def _scrubbed() -> dict[str, str]:
    """Our environment without what git says of one repository, and with nothing that could ask a question or fetch."""
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
