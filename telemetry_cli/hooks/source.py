"""Where an artifact came from: `git+REMOTE@SHA#path`, and whether git knows it as it is."""

import os
import time

from telemetry_cli import rules
from telemetry_cli.discover import git, git_process
from telemetry_cli.errors import InvalidInput

_SECONDS = 30.0


def reference(name: str, path: str, *, allow_dirty: bool) -> tuple[str, bool]:
    """The source_ref of the file or folder at `path`, and whether the work tree is dirty.

    Dirty is a tracked file that differs from HEAD, or anything at `path` that HEAD does not have. Raises `InvalidInput` outside a
    repository with a commit, and in a dirty one unless that is allowed.
    """
    real = os.path.realpath(path)
    repository = git.find(os.path.dirname(real))
    head = git.head(repository) if repository and repository.work_tree else None
    if repository is None or head is None or repository.work_tree is None:
        raise InvalidInput(
            f"--source-ref: {rules.shorten(name)} lies in no git repository with a commit, so where it came from must be told", "Pass --source-ref."
        )
    inside = os.path.relpath(real, repository.work_tree)
    changed = _differing(repository.work_tree, inside)
    if changed and not allow_dirty:
        listed = ", ".join(rules.shorten(file) for file in list(dict.fromkeys(changed))[:5])
        raise InvalidInput(
            f"--source-ref: the work tree is dirty ({listed}), so no commit tells what is released", "Commit first, or pass --allow-dirty, which is recorded."
        )
    remote = git.remote(repository) or "file://" + repository.work_tree
    return rules.text("--source-ref", f"git+{remote}@{head.sha}#{inside}"), bool(changed)


def is_dirty(path: str) -> bool:
    """Tell whether the file or folder at `path` lies in a dirty work tree; outside git in none. Where git cannot tell, nobody vouches for it: yes."""
    real = os.path.realpath(path)
    repository = git.find(os.path.dirname(real))
    if repository is None or repository.work_tree is None:
        return False
    try:
        return bool(_differing(repository.work_tree, os.path.relpath(real, repository.work_tree)))
    except InvalidInput:
        return True


def _differing(work_tree: str, inside: str) -> list[str]:
    return _changed(work_tree, "--untracked-files=no") + _changed(work_tree, "--untracked-files=all", "--ignored", "--", f":(top,literal){inside}")


def _changed(folder: str, *options: str) -> list[str]:
    answer = git_process.ask(folder, False, ("status", "--porcelain=v1", "-z", "--no-renames", *options), b"", time.monotonic() + _SECONDS)
    if answer is None:
        raise InvalidInput("--source-ref: git cannot tell whether the work tree is dirty", "Pass --source-ref.")
    return [entry[3:].decode(errors="replace") for entry in answer.split(b"\0") if entry]
