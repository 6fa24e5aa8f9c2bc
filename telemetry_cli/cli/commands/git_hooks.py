"""Git hooks: git-hooks install, uninstall, status."""

import os
import shutil
import sys

from telemetry_cli.cli.commands.result import Listing, Record, Written
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config, is_from_flag
from telemetry_cli.core.errors import Conflict, InvalidInput
from telemetry_cli.git_hooks import (
    HOOKS,
)
from telemetry_cli.git_hooks import (
    managers as places,
)
from telemetry_cli.git_hooks import (
    status as state,
)
from telemetry_cli.git_hooks import (
    template as script,
)
from telemetry_cli.git_hooks.install import install as install_hooks
from telemetry_cli.git_hooks.install import uninstall as uninstall_hooks

_COLUMNS = ("hook", "installed", "fires", "last_fired", "through", "path", "earlier", "finding")


def install(
    config: Config, output: str, *, repo: str | None, hooks: str | None, print_: bool, force: bool
) -> Written:
    """Put hooks into a repository; where others manage its hooks, print what to add to theirs."""
    wanted = _hooks(hooks)
    place = places.place(repo)
    lines = script.snippet(place.manager or "", wanted)
    if print_:
        data: Record = {"manager": place.manager, "snippet": lines}
        return Written(data, lines.rstrip("\n"), multiline=True)
    if place.manager == "nobody":
        raise _nowhere(place)
    if not place.takes_files and not force:
        callable_ = script.supported(place.manager, wanted)
        if not callable_:
            raise Conflict(
                f"{place.manager} cannot call {', '.join(wanted)}",
                "Pass --force to install beside it.",
            )
        if place.configs and all(place.manager_fires(hook) for hook in callable_):
            return Written(
                {"status": "unchanged", "hooks": []},
                f"unchanged: {place.manager} fires {', '.join(callable_)}",
            )
        data = {
            "status": "refused",
            "manager": place.manager,
            "hooks_path": place.folder,
            "snippet": lines,
        }
        return Written(data, lines.rstrip("\n"), [_refusal(place)], code=4, multiline=True)
    done = install_hooks(
        place, wanted, _program(), _places(config), force=force, seconds=config.lock_timeout
    )
    status = "unchanged" if all(row["status"] == "unchanged" for row in done) else "installed"
    return Written(
        {"status": status, "hooks_path": place.folder, "hooks": done},
        "\n".join(map(_said, done)),
        multiline=True,
    )


def _nowhere(place: places.Place) -> Conflict:
    if place.set_to is None:
        return Conflict(
            f"{place.folder} is no folder, so git runs no hooks in this repository",
            "Move it out of the way.",
        )
    where = "git config --show-origin core.hooksPath says where it is set"
    return Conflict(
        f"core.hooksPath is {place.set_to!r}, which is no folder, so git runs no hooks in this repository",
        f"Take it away, or name a folder: {where}.",
    )


def _refusal(place: places.Place) -> str:
    if place.manager == "outside" and place.set_to is None:
        real = os.path.realpath(place.folder)
        return f"refused: {place.folder} is a link out of the repository, to {real}, which other repositories may share; add these lines to the hooks there"
    if place.manager == "outside":
        return f"refused: core.hooksPath leads out of the repository, to {place.folder}, which other repositories may share; add these lines to the hooks there"
    configs = ", ".join(place.configs) or "there is none yet"
    return f"refused: the hooks of this repository are managed by {place.manager}; add these lines to its config ({configs})"


def _said(done: Record) -> str:
    earlier = (
        f" (the hook that stood there runs first, as {done['earlier']})" if done["earlier"] else ""
    )
    return f"{done['status']} {done['hook']}: {done['path']}{earlier}"


def uninstall(config: Config, output: str, *, repo: str | None, hooks: str | None) -> Written:
    """Take our hooks away and put the earlier ones back, byte for byte."""
    wanted = _hooks(hooks)
    place = places.place(repo)
    done = uninstall_hooks(place, wanted, seconds=config.lock_timeout)
    notes = [
        f"{place.manager} still fires {hook}: take the lines out of {', '.join(place.configs)}"
        for hook in wanted
        if place.manager_fires(hook)
    ]
    status = "unchanged" if all(row["status"] == "absent" for row in done) else "uninstalled"
    return Written(
        {"status": status, "hooks_path": place.folder, "hooks": done},
        "\n".join(map(_said, done)),
        notes,
        multiline=True,
    )


def status(config: Config, output: str, *, repo: str | None, absolute: bool) -> Listing:
    """Which hooks are installed, and whether they fire, by the marks they leave."""
    place = places.place(repo)
    rows: list[Record] = [
        {
            "hook": found.hook,
            "installed": found.through is not None,
            "fires": found.fires,
            "last_fired": found.last.at if found.last else None,
            "through": found.through,
            "path": found.path,
            "earlier": found.earlier,
            "finding": found.finding,
        }
        for found in state.states(place, HOOKS)
    ]
    return Listing("git-hooks", _COLUMNS, rows, absolute=absolute)


def _hooks(value: str | None) -> tuple[str, ...]:
    if value is None:
        return HOOKS
    names = [name.strip() for name in value.split(",")]
    unknown = next((name for name in names if name not in HOOKS), None)
    if unknown is not None:
        raise InvalidInput(f"--hooks: {rules.shorten(unknown)!r} is not one of {', '.join(HOOKS)}")
    return tuple(dict.fromkeys(names))


def _program() -> str:
    """The path of this program, as it was called or as it is installed beside this interpreter."""
    beside = os.path.join(os.path.dirname(sys.executable), "telemetry")
    called = shutil.which(sys.argv[0]) if os.path.basename(sys.argv[0]) == "telemetry" else None
    return os.path.abspath(
        called or (beside if os.access(beside, os.X_OK) else shutil.which("telemetry") or beside)
    )


def _places(config: Config) -> tuple[str, ...]:
    """The global options to call the hook with: those that were given now. What the environment says, it says again when git calls."""
    options: list[str] = []
    if is_from_flag(config, "base_dir"):
        options += ["--base-dir", config.base_dir]
    if is_from_flag(config, "db_path"):
        options += ["--db", config.db_path]
    return tuple(options)
