"""Put hooks into a repository beside what stands there, and take them away again."""

import errno
import os
import stat
import time

from telemetry_cli.errors import Conflict
from telemetry_cli.files import make_folder, sync_folder
from telemetry_cli.githooks import fired, places, script
from telemetry_cli.githooks.script import EARLIER
from telemetry_cli.locks import Lock

#: What a file system says that has no hard links, or none of this kind.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP)

#: What became of one hook: `hook`, `path`, `status` and `earlier`, where the hook that stood there before is kept.
Done = dict[str, object]


def install(place: places.Place, hooks: tuple[str, ...], program: str, options: tuple[str, ...], *, force: bool, seconds: float) -> list[Done]:
    """Install hooks; one that is there already stays as it is.

    Raises `Conflict`, before anything is changed, where something is in the way, and `LockTimeout` when another process is at it for
    so many seconds. With `force`, a hook of ours that was edited is made anew.
    """
    with _lock(place, seconds):
        plans = [_plan(place, hook, program, options, force=force) for hook in hooks]
        os.makedirs(place.folder, exist_ok=True)
        for hook, text, keeps, _ in plans:
            if text is not None:
                _put(place.path(hook), text, keeps=keeps)
        return [_done(place, hook, status) for hook, _, _, status in plans]


def _lock(place: places.Place, seconds: float) -> Lock:
    """What is found and what is done about it belong together: one process at a time changes a repository's hooks."""
    folder = fired.folder(place.repository)
    make_folder(folder)
    return Lock(os.path.join(folder, "hooks.lock"), time.monotonic() + seconds)


def _plan(place: places.Place, hook: str, program: str, options: tuple[str, ...], *, force: bool) -> tuple[str, str | None, bool, str]:
    """What to do about one hook: (hook, the text to write or None, whether what stands there is to be kept, what became of it)."""
    path = place.path(hook)
    there = _there(path)
    ours = there is not None and script.is_ours(there)
    if there is not None and not ours and script.fires(there, hook):
        return hook, None, False, "unchanged"
    keeps = os.path.lexists(path) and not ours
    # An install that was interrupted leaves one hook under both names, or (without hard links) under the other one alone.
    if keeps and os.path.lexists(path + EARLIER) and not _is_kept(path):
        raise _in_the_way(path)
    text = script.script(hook, program, options, chained=keeps or _may_be_chained(path), by_shell=place.by_shell)
    if there is not None and ours:
        if there == os.fsencode(text) and (os.access(path, os.X_OK) or place.by_shell):
            return hook, None, False, "unchanged"
        if not script.is_untouched(there) and not force:
            raise Conflict(f"{path} was edited by hand since it was installed", "Move your lines elsewhere, or pass --force to make it anew.")
    return hook, text, keeps, "updated" if ours else "installed"


def _there(path: str) -> bytes | None:
    """The bytes of the hook that stands there, None without one. Raises `Conflict` when what stands there is no hook."""
    there = places.content(path)
    if there is None and os.path.exists(path):
        raise Conflict(f"{path} is no plain file, or too large for a hook", "Move it out of the way.")
    return there


def _may_be_chained(path: str) -> bool:
    earlier = places.content(path + EARLIER)
    return earlier is not None and not script.is_ours(earlier)


def _put(path: str, text: str, *, keeps: bool) -> None:
    """Write a hook; at every moment either the earlier one or ours is there, whole."""
    fresh = f"{path}.telemetry-{os.getpid()}-{os.urandom(4).hex()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    try:
        with open(descriptor, "wb") as file:
            file.write(os.fsencode(text))
            file.flush()
            os.fsync(descriptor)
        os.chmod(fresh, 0o777 & ~_umask())
        if keeps:
            _keep(path)
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


def _keep(path: str) -> None:
    """Give the earlier hook, or the link that it is, its other name. What has that name already is never written over."""
    try:
        os.link(path, path + EARLIER, follow_symlinks=False)
    except FileExistsError:
        if not _is_kept(path):
            raise _in_the_way(path) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path + EARLIER):
            raise _in_the_way(path) from None
        os.rename(path, path + EARLIER)


def _is_kept(path: str) -> bool:
    """Tell whether a hook has its other name already: as the same file, or as one that holds the same."""
    try:
        if os.path.samestat(os.lstat(path), os.lstat(path + EARLIER)):
            return True
    except OSError:
        return False
    there = places.content(path)
    return there is not None and there == places.content(path + EARLIER)


def _in_the_way(path: str) -> Conflict:
    return Conflict(f"{path}{EARLIER} is in the way: an earlier hook is kept there, and {path} is another one", "Put the one aside that is not needed.")


def _done(place: places.Place, hook: str, status: str) -> Done:
    kept = place.path(hook) + EARLIER
    return {"hook": hook, "path": place.path(hook), "status": status, "earlier": kept if os.path.lexists(kept) else None}


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
        path = place.path(hook)
        status = "absent"
        if found and os.path.lexists(path + EARLIER):
            os.rename(path + EARLIER, path)
            status = "restored"
        elif found:
            os.unlink(path)
            status = "removed"
        done.append({"hook": hook, "path": path, "status": status, "earlier": None})
    if any(found for _, found in plans):
        sync_folder(place.folder)
    return done


def _found(path: str) -> bool:
    """Tell whether a hook of ours stands there."""
    there = places.content(path)
    if there is None or not script.is_ours(there):
        return False
    if not script.is_untouched(there):
        raise Conflict(f"{path} was edited by hand since it was installed, and is left alone", "Move your lines elsewhere and remove the file.")
    return True


def is_runnable(path: str) -> bool:
    """Tell whether git would run this file."""
    try:
        info = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(info.st_mode) and os.access(path, os.X_OK)
