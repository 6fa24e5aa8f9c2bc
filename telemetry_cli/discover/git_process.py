"""One short git plumbing process: scrubbed, harmless to hostile repositories, and never longer than its deadline.

`posix_spawn` by hand: importing subprocess costs more than git takes to answer.
"""

import os
import time

MOST_OUTPUT = 1 << 20
#: What of git's environment is the user's own and not one repository's; beginnings of names. A hook that we run in
#: exports GIT_DIR and more, which would answer for the hook's repository instead of the one asked for.
_KEPT_VARIABLES = ("GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_SAFETY = ("-c", "core.fsmonitor=false", "--no-optional-locks", "--no-replace-objects")
_PAUSE_SECONDS = 0.0005


def ask(folder: str, bare: bool, arguments: tuple[str, ...], question: bytes, deadline: float, most: int = MOST_OUTPUT) -> bytes | None:
    """git's output (cut at `most` bytes), or None on failure, without git, or past `deadline` (monotonic seconds).

    Run in `folder`, and not with --git-dir, which would switch git's own check of the owner off; `bare` when the folder
    is itself the repository.
    """
    if time.monotonic() >= deadline or len(question) > 4096:  # what a pipe takes whole
        return None
    started = _start(command(folder, bare, arguments), question)
    if started is None:
        return None
    child, from_child = started
    output, ended = _collect(from_child, deadline, most)
    os.close(from_child)
    status = _reap(child, deadline if ended else 0.0)
    return output if len(output) >= most or (ended and status == 0) else None


def command(folder: str, bare: bool, arguments: tuple[str, ...]) -> list[str]:
    """The command line of a git process that asks the repository at `folder`."""
    return ["git", *_SAFETY, "-c", f"safe.bareRepository={'all' if bare else 'explicit'}", "-C", folder, *arguments]


def scrubbed() -> dict[str, str]:
    """Our environment without what git says of one repository, and with nothing that could ask a question or fetch."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_KEPT_VARIABLES)}
    # A partial clone would fetch a missing object, through whatever program its config names.
    return kept | {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _start(argv: list[str], question: bytes) -> tuple[int, int] | None:
    """The process id and the end to read its output from; None when it cannot be started."""
    ends: list[int] = []
    try:
        ends += os.pipe()
        ends += os.pipe()
        child_in, to_child, from_child, child_out = ends
        actions = [(os.POSIX_SPAWN_DUP2, child_in, 0), (os.POSIX_SPAWN_DUP2, child_out, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        child = os.posix_spawnp("git", argv, scrubbed(), file_actions=actions)
        os.write(to_child, question)
    except BrokenPipeError:
        pass
    except (OSError, ValueError):
        for end in ends:
            os.close(end)
        return None
    for end in (child_in, child_out, to_child):
        os.close(end)
    return child, from_child


def _collect(descriptor: int, deadline: float, most: int) -> tuple[bytes, bool]:
    """Everything up to the end or `most` bytes, and whether the end came before the deadline."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    output = bytearray()
    while len(output) < most:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return bytes(output), False
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return bytes(output), True
        output += chunk
    return bytes(output), False


def _reap(child: int, deadline: float) -> int:
    """The child's wait status; one that has not ended by the deadline is killed."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if time.monotonic() >= deadline:
            from signal import SIGKILL

            os.kill(child, SIGKILL)
            return os.waitpid(child, 0)[1]
        time.sleep(_PAUSE_SECONDS)
