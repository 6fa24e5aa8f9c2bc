"""What git notes of its own doings: HEAD's reflog, and a rebase that is under way."""

import os
import stat

from telemetry_cli.discovery.git import repository as git

#: Kept beside git's own notes of a rebase, and gone with them, however it ends.
_AMENDED = "telemetry-amended"
#: How much of the reflog is looked at, from its end.
_NEWEST_MOVES = 64 * 1024
_LARGEST_LIST = 16 << 20
#: The steps of a rebase that make commits, as its reflog messages name them: `rebase (pick): …`.
STEPS = ("pick", "reword", "edit", "squash", "fixup", "merge", "continue")
#: The steps as a rebase lists them: whole words or their first letters.
_STEP_WORDS = frozenset((*STEPS[:-1], *(step[0] for step in STEPS[:-1])))
_STEP_ENDS = tuple(f" ({step})" for step in STEPS)


class Move:
    """One line of HEAD's reflog: the SHA before and after, when (seconds since 1970), and git's words for it."""

    def __init__(self, old: str, new: str, at: int, message: str) -> None:
        self.old = old
        self.new = new
        self.at = at
        self.message = message


def is_replayed(repository: git.Repository, sha: str) -> bool:
    """Tell whether a rebase that is under way, and not a person, made the commit that HEAD is now.

    HEAD's reflog tells. Where none is kept, the state of the rebase does, and a commit on a branch
    was made by a person, because a rebase detaches HEAD.
    """
    if not any(
        os.path.isdir(os.path.join(repository.git_dir, name))
        for name in ("rebase-merge", "rebase-apply")
    ):
        return False
    newest = head_moves(repository)[-1:]
    if newest and newest[0].new == sha:
        return is_replay(newest[0].message)
    return git.branch(repository) is None and _is_step_under_way(repository)


def _is_step_under_way(repository: git.Repository) -> bool:
    """Return whether a rebase step makes commits now: it has not stopped, or it continues.

    Measured with git 2.39: git names its own `git commit` in GIT_REFLOG_ACTION, and deletes
    `stopped-sha` before the next step. `rebase --apply` calls no post-commit of its own.
    """
    if is_replay(os.environ.get("GIT_REFLOG_ACTION", "")):
        return True
    folder = os.path.join(repository.git_dir, "rebase-merge")
    if os.path.exists(os.path.join(folder, "stopped-sha")):
        return False
    return _last_step(repository) in _STEP_WORDS


def _last_step(repository: git.Repository) -> str:
    """Return the command of the newest rebase step, such as `pick` or `p`; empty without a step."""
    done = git.plain_content(
        os.path.join(repository.git_dir, "rebase-merge", "done"), _LARGEST_LIST
    )
    line = (done or b"").rstrip().rpartition(b"\n")[2]
    return line.partition(b" ")[0].decode("ascii", "replace")


def is_replay(message: str) -> bool:
    """Tell whether a reflog message is that of a commit which a rebase made, under whatever name (`pull --rebase (pick): …`)."""
    action = message.partition(": ")[0]
    # At a stop, `commit (rebase)` and `commit (amend)` are a person's.
    return not action.startswith("commit") and (
        action == "rebase" or action.startswith("rebase ") or action.endswith(_STEP_ENDS)
    )


def is_merging_again(repository: git.Repository) -> bool:
    """Tell whether a rebase under way is at one of its merges: for an octopus it runs `git merge`, whose reflog message is a person's too."""
    return _last_step(repository) in ("merge", "m") and is_under_way(repository)


def is_under_way(repository: git.Repository) -> bool:
    """Tell whether HEAD is where a rebase left it or a person went on from there; False without a rebase, and for a forgotten one."""
    if rebase_folder(repository) is None or git.branch(repository) is not None:
        return False
    for move in reversed(head_moves(repository)):
        if move.message.startswith("checkout: "):
            return False
        if is_replay(move.message) or move.message.partition(": ")[0].endswith(" (start)"):
            return True
    return True


def rebase_folder(repository: git.Repository) -> str | None:
    """Where git notes a rebase that is under way; None without one, or for a `git am`, in whose end nothing is said of rewritten commits."""
    for folder, sign in (("rebase-merge", ""), ("rebase-apply", "rebasing")):
        if os.path.exists(os.path.join(repository.git_dir, folder, sign)):
            return os.path.join(repository.git_dir, folder)
    return None


def note_amended(folder: str, pairs: str) -> None:
    """Keep the pairs `old new` of commits that were amended during a rebase: only its end tells whether they stay. Raises OSError."""
    descriptor = os.open(
        os.path.join(folder, _AMENDED),
        os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK,
        0o600,
    )
    try:
        os.write(descriptor, pairs.encode("ascii"))
    finally:
        os.close(descriptor)


def amended_so_far(folder: str) -> str:
    """What `note_amended` has kept, in order; empty without any."""
    return (git.plain_content(os.path.join(folder, _AMENDED), _LARGEST_LIST) or b"").decode(
        "ascii", "replace"
    )


def rewritten_so_far(repository: git.Repository) -> str:
    """The pairs `old new` that a rebase under way has noted for its post-rewrite hook; empty without one."""
    for name in ("rebase-merge/rewritten-list", "rebase-apply/rewritten"):
        pairs = git.plain_content(os.path.join(repository.git_dir, name), _LARGEST_LIST)
        if pairs:
            return pairs.decode("ascii", "replace")
    return ""


def head_moves(repository: git.Repository) -> list[Move]:
    """The newest moves of HEAD by the reflog, oldest first; empty where none is kept."""
    try:
        descriptor = os.open(
            os.path.join(repository.git_dir, "logs", "HEAD"),
            os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK,
        )
    except OSError:
        return []
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            return []
        content = os.pread(descriptor, _NEWEST_MOVES, max(0, info.st_size - _NEWEST_MOVES))
    finally:
        os.close(descriptor)
    lines = content.decode(errors="replace").split("\n")
    return [
        move for move in map(_move, lines if len(content) < _NEWEST_MOVES else lines[1:]) if move
    ]


def last_moved(repository: git.Repository) -> float | None:
    """When HEAD's reflog was last written to, in seconds since 1970 by this machine's clock; what it says itself may be set by hand."""
    try:
        return os.stat(os.path.join(repository.git_dir, "logs", "HEAD")).st_mtime
    except OSError:
        return None


def _move(line: str) -> Move | None:
    """`old new Name <email> SECONDS ZONE<tab>message`."""
    entry, _, message = line.partition("\t")
    words = entry.split(" ")
    if (
        len(words) < 4
        or not git.is_sha(words[0])
        or not git.is_sha(words[1])
        or not words[-2].isdigit()
    ):
        return None
    return Move(words[0], words[1], int(words[-2]), message)
