"""Where an artifact came from: `git+REMOTE@SHA#path`, and whether git knows it as it is."""

import os
import time

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.discovery.git import repository as git

_SECONDS = 30.0
_MOST_OUTPUT = 64 << 20


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
            f"--source-ref: {rules.shorten(name)} lies in no git repository with a commit, so where it came from must be told",
            "Pass --source-ref.",
        )
    inside = os.path.relpath(real, repository.work_tree)
    changed = _differing(repository, inside)
    if changed and not allow_dirty:
        listed = ", ".join(rules.shorten(file) for file in list(dict.fromkeys(changed))[:5])
        raise InvalidInput(
            f"--source-ref: the work tree is dirty ({listed}), so no commit tells what is released",
            "Commit first, or pass --allow-dirty, which is recorded.",
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
        return bool(_differing(repository, os.path.relpath(real, repository.work_tree)))
    except InvalidInput:
        return True


def _differing(repository: git.Repository, inside: str) -> list[str]:
    """List the tracked files that differ from HEAD, and the files at `inside` that HEAD does not have. Raises `InvalidInput`."""
    repository.deadline = time.monotonic() + _SECONDS
    settings = _settings_without_filters(repository)
    untracked = ("--untracked-files=all", "--ignored", "--", f":(top,literal){inside}")
    return _changed(repository, settings, "--untracked-files=no") + _changed(
        repository, settings, *untracked
    )


def _settings_without_filters(repository: git.Repository) -> list[str]:
    """Return the options that turn off every filter, whose program the repository's config may name. Raises `InvalidInput`.

    The user's own filters are off too: git-lfs runs programs that the repository's config names.
    """
    listed = _answer(repository, "config", "--null", "--name-only", "--list")
    names = [
        name.rpartition(".")[0]
        for name in os.fsdecode(listed).split("\0")
        if name.startswith("filter.") and name.count(".") > 1
    ]
    # A name may hold "=", so the value comes from the environment; this variable is always empty there.
    return [
        f"--config-env={name}.{key}=GIT_ALLOW_PROTOCOL"
        for name in dict.fromkeys(names)
        for key in ("clean", "smudge", "process", "required")
    ]


def _changed(repository: git.Repository, settings: list[str], *options: str) -> list[str]:
    # git would ask about changes inside a submodule by another git, with the submodule's config.
    words = ("status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=dirty")
    return [
        entry[3:].decode(errors="replace")
        for entry in _answer(repository, *settings, *words, *options).split(b"\0")
        if entry
    ]


def _answer(repository: git.Repository, *arguments: str) -> bytes:
    answer = repository.ask(*arguments, most=_MOST_OUTPUT)
    if answer is None or len(answer) >= _MOST_OUTPUT:
        raise InvalidInput(
            "--source-ref: git cannot tell whether the work tree is dirty", "Pass --source-ref."
        )
    return answer
