"""Put hooks into a repository beside what stands there, and take them away again."""

import errno
import os
import stat
import time
from contextlib import suppress
from typing import NamedTuple

from telemetry_cli.core.errors import Conflict
from telemetry_cli.core.fs import make_folder, respect_owner_of, sync_folder
from telemetry_cli.core.locks import MaintenanceLock
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.git_hooks import (
    HOOKS,
)
from telemetry_cli.git_hooks import hook_log as fired
from telemetry_cli.git_hooks import (
    managers as places,
)
from telemetry_cli.git_hooks import (
    template as script,
)

#: What a file system says that has no hard links, or none of this kind.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP)

#: What became of one hook: `hook`, `path`, `status` and `earlier`, where the hook that stood there before is kept.
Done = dict[str, object]

#: A file that makes git ignore its directory, and its content.
_IGNORE, _IGNORE_ALL = ".gitignore", b"*\n"


class _Plan(NamedTuple):
    """What to do about one hook: the text to write (None: nothing), whether a hook that stands there is to be kept, and the status to report."""

    hook: str
    text: str | None
    keeps: bool
    status: str


def install(
    place: places.Place,
    hooks: tuple[str, ...],
    program: str,
    options: tuple[str, ...],
    *,
    force: bool,
    seconds: float,
) -> list[Done]:
    """Install hooks; one that is there already stays as it is.

    Raises `Conflict`, before anything is changed, where something is in the way, and `LockTimeout` when another process is at it for
    so many seconds. With `force`, a hook of ours that was edited is made anew.
    """
    with _lock(place, seconds):
        plans = [_plan(place, hook, program, options, force=force) for hook in hooks]
        os.makedirs(place.folder, exist_ok=True)
        try:
            if any(plan.keeps or place.earlier(plan.hook) for plan in plans):
                os.makedirs(place.kept_folder, exist_ok=True)
                _ignore_kept_folder(place)
                _link_back(place)
            for plan in plans:
                _carry_out(place, plan)
        finally:
            _tidy(place)
        return [
            {
                "hook": plan.hook,
                "path": place.path(plan.hook),
                "status": plan.status,
                "earlier": place.earlier(plan.hook),
            }
            for plan in plans
        ]


def _lock(place: places.Place, seconds: float) -> MaintenanceLock:
    """What is found and what is done about it belong together: one process at a time changes a repository's hooks."""
    folder = fired.folder(place.repository)
    respect_owner_of(place.repository.common_dir)
    make_folder(folder)
    return MaintenanceLock(os.path.join(folder, "hooks.lock"), time.monotonic() + seconds)


def _plan(
    place: places.Place, hook: str, program: str, options: tuple[str, ...], *, force: bool
) -> _Plan:
    """Decide what to do about one hook. Raises `Conflict`."""
    path = place.path(hook)
    there = _there(path)
    ours = there is not None and script.is_ours(there)
    if there is not None and not ours and script.fires(there, hook):
        return _Plan(hook, None, False, "unchanged")
    keeps = os.path.lexists(path) and not ours
    earlier = place.earlier_places(hook)
    # An install that was interrupted leaves one hook under both names, or (without hard links) under the other one alone.
    for other in earlier:
        if not _is_same(path if keeps else earlier[0], other):
            raise _in_the_way(path if keeps else earlier[0], other)
    if keeps or earlier:
        _check_kept_folder(place, path)
    first = there if keeps else places.content(earlier[0]) if earlier else None
    chained = keeps or (first is not None and not script.is_ours(first))
    text = script.script(
        hook,
        program,
        options,
        earlier=os.path.join(os.pardir, os.path.basename(place.kept_folder), hook)
        if chained
        else None,
        by_shell=place.by_shell,
        lfs=first if first is not None and script.is_lfs(first, hook) else b"",
    )
    if there is not None and ours:
        if (
            there == os.fsencode(text)
            and earlier in ([], [place.kept(hook)])
            and (os.access(path, os.X_OK) or place.by_shell)
        ):
            return _Plan(hook, None, False, "unchanged")
        if not script.is_untouched(there) and not force:
            raise Conflict(
                f"{path} was edited by hand since it was installed",
                "Move your lines elsewhere, or pass --force to make it anew.",
            )
    return _Plan(hook, text, keeps, "updated" if ours else "installed")


def _check_kept_folder(place: places.Place, path: str) -> None:
    """Raise `Conflict` where the earlier hook at `path` cannot be kept."""
    if os.path.realpath(place.folder) == os.path.realpath(place.repository.folder):
        raise Conflict(
            f"{path} cannot be kept: the hooks lie at the top of the work tree",
            "Add these lines to it: telemetry git-hooks install --print",
        )
    if os.path.lexists(place.kept_folder) and (
        os.path.islink(place.kept_folder) or not os.path.isdir(place.kept_folder)
    ):
        raise Conflict(
            f"{place.kept_folder} is in the way: earlier hooks are kept in a directory of that name",
            "Move it elsewhere.",
        )


def _carry_out(place: places.Place, plan: _Plan) -> None:
    """Write a hook. One that an earlier release keeps elsewhere is moved so that it runs at every moment."""
    if plan.text is None:
        return
    elsewhere = [path for path in place.earlier_places(plan.hook) if path != place.kept(plan.hook)]
    for path in elsewhere:
        _keep(place, plan.hook, path)
    _put(place, plan.hook, plan.text, keeps=plan.keeps)
    for path in filter(os.path.lexists, elsewhere):
        os.unlink(path)


def _there(path: str) -> bytes | None:
    """The bytes of the hook that stands there, None without one. Raises `Conflict` when what stands there is no hook."""
    there = places.content(path)
    if there is None and os.path.exists(path):
        raise Conflict(
            f"{path} is no plain file, or too large for a hook", "Move it out of the way."
        )
    return there


def _put(place: places.Place, hook: str, text: str, *, keeps: bool) -> None:
    """Write a hook; at every moment either the earlier one or ours is there, whole."""
    path = place.path(hook)
    fresh = f"{path}.telemetry-{os.getpid()}-{os.urandom(4).hex()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    try:
        with open(descriptor, "wb") as file:
            file.write(os.fsencode(text))
            file.flush()
            os.fsync(descriptor)
        os.chmod(fresh, 0o777 & ~_umask())
        if keeps:
            _keep(place, hook, path)
        os.rename(fresh, path)
    except BaseException:
        if os.path.lexists(fresh):
            os.unlink(fresh)
        raise
    sync_folder(os.path.dirname(path))


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _keep(place: places.Place, hook: str, path: str) -> None:
    """Give the earlier hook at `path`, or the link that it is, its place among the kept ones. What is kept there already is never written over."""
    kept = place.kept(hook)
    if place.is_link_back(hook):
        os.unlink(kept)
    try:
        os.link(path, kept, follow_symlinks=False)
    except FileExistsError:
        if not _is_same(path, kept):
            raise _in_the_way(path, kept) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(kept):
            raise _in_the_way(path, kept) from None
        os.rename(path, kept)
    sync_folder(place.kept_folder)


def _is_same(path: str, other: str) -> bool:
    """Tell whether two paths are the same file (or link), or files that hold the same."""
    try:
        if os.path.samestat(os.lstat(path), os.lstat(other)):
            return True
    except OSError:
        return False
    there = places.content(path)
    return there is not None and there == places.content(other)


def _in_the_way(path: str, kept: str) -> Conflict:
    return Conflict(
        f"{kept} is in the way: an earlier hook is kept there, and {path} is another one",
        "Move the one that is not needed elsewhere.",
    )


def _ignore_kept_folder(place: places.Place) -> None:
    """Keep the directory of the earlier hooks out of `git status`, if it is in the work tree."""
    path = os.path.join(place.kept_folder, _IGNORE)
    if not git.is_below(place.kept_folder, place.repository.common_dir):
        with suppress(FileExistsError), open(path, "xb") as file:
            file.write(_IGNORE_ALL)


def _link_back(place: places.Place) -> None:
    """Link what else the hooks' directory has into that of the earlier hooks: they look for it beside themselves (`$(dirname "$0")/husky.sh`)."""
    for name in os.listdir(place.folder):
        path = os.path.join(place.kept_folder, name)
        there = places.content(place.path(name)) if name in HOOKS else None
        if (
            not os.path.lexists(path)
            and not name.endswith(".sample")
            and not (there and script.is_ours(there))
        ):
            os.symlink(place.link_back(name), path)


def _tidy(place: places.Place) -> None:
    """Remove the links back that lead nowhere or to a hook of ours; all of them, and the directory, where no earlier hook is kept any more."""
    try:
        names = os.listdir(place.kept_folder)
    except OSError:
        return
    is_needed = any(place.earlier(hook) == place.kept(hook) for hook in HOOKS)
    for name in filter(place.is_link_back, names):
        there = places.content(place.path(name))
        if (
            not is_needed
            or not os.path.lexists(place.path(name))
            or (there is not None and script.is_ours(there))
        ):
            os.unlink(os.path.join(place.kept_folder, name))
    if os.listdir(place.kept_folder) == [_IGNORE]:
        path = os.path.join(place.kept_folder, _IGNORE)
        if places.content(path) == _IGNORE_ALL:
            os.unlink(path)
    with suppress(OSError):
        os.rmdir(place.kept_folder)


def uninstall(place: places.Place, hooks: tuple[str, ...], *, seconds: float) -> list[Done]:
    """Take our hooks away and put the earlier ones back, as they were.

    Raises `Conflict`, before anything is changed, for edited ones, and `LockTimeout` as `install` does.
    """
    with _lock(place, seconds):
        return _taken_away(place, hooks)


def _taken_away(place: places.Place, hooks: tuple[str, ...]) -> list[Done]:
    plans = [(hook, _found(place.path(hook))) for hook in hooks]
    done: list[Done] = []
    for hook, found in plans:
        path, earlier = place.path(hook), place.earlier_places(hook)
        status = "absent"
        if found and earlier:
            os.rename(earlier[0], path)
            # An upgrade that was interrupted leaves it in both places.
            for other in (other for other in earlier[1:] if _is_same(path, other)):
                os.unlink(other)
            status = "restored"
        elif found:
            os.unlink(path)
            status = "removed"
        done.append({"hook": hook, "path": path, "status": status, "earlier": None})
    _tidy(place)
    if any(found for _, found in plans):
        sync_folder(place.folder)
    return done


def _found(path: str) -> bool:
    """Tell whether a hook of ours stands there."""
    there = places.content(path)
    if there is None or not script.is_ours(there):
        return False
    if not script.is_untouched(there):
        raise Conflict(
            f"{path} was edited by hand since it was installed, and is left alone",
            "Move your lines elsewhere and remove the file.",
        )
    return True


def is_runnable(path: str) -> bool:
    """Tell whether git would run this file."""
    try:
        info = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(info.st_mode) and os.access(path, os.X_OK)
