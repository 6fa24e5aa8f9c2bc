"""The mark that a hook leaves when it fires: a line in the repository, which proves more than a file among its hooks.

`<common git dir>/telemetry/fired`: one line per firing, `time<tab>hook<tab>SHA<tab>outcome`.
"""

import os

from telemetry_cli.core import clock
from telemetry_cli.core.errors import Refused
from telemetry_cli.core.fs import make_folder, open_private, respect_owner_of
from telemetry_cli.discovery.git.repository import Repository, plain_content

_FOLDER = "telemetry"
_FILE = "fired"
#: Past this size the file is put aside as `fired.1`, and the one before it goes.
_LARGEST = 1 << 20

#: What became of a firing.
RECORDED, BUFFERED, NO_RUN, REBASING, NOTHING, FAILED = (
    "recorded",
    "buffered",
    "no-run",
    "rebasing",
    "nothing",
    "failed",
)


class Firing:
    """One firing of a hook: when (stored form), which hook, the commit that HEAD was (or became), and what came of it."""

    def __init__(self, at: str, hook: str, sha: str, outcome: str) -> None:
        self.at = at
        self.hook = hook
        self.sha = sha
        self.outcome = outcome

    @property
    def seconds(self) -> float:
        """When, in seconds since 1970."""
        return clock.parse_stamp(self.at).timestamp()


def folder(repository: Repository) -> str:
    """Where telemetry keeps what it notes of a repository, in all of its work trees."""
    return os.path.join(repository.common_dir, _FOLDER)


def leave(repository: Repository, firing: Firing) -> None:
    """Leave the mark of a firing. Where it cannot be left, the hook still did its work."""
    path = os.path.join(folder(repository), _FILE)
    try:
        respect_owner_of(repository.common_dir)
        make_folder(folder(repository))
        descriptor = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(
                descriptor, f"{firing.at}\t{firing.hook}\t{firing.sha}\t{firing.outcome}\n".encode()
            )
            is_full = os.fstat(descriptor).st_size > _LARGEST
        finally:
            os.close(descriptor)
        if is_full:
            os.rename(path, path + ".1")
    except (OSError, Refused):
        return


def firings(repository: Repository) -> list[Firing]:
    """Every firing that is still known, oldest first."""
    path = os.path.join(folder(repository), _FILE)
    found = []
    for name in (path + ".1", path):
        for line in (
            (plain_content(name, 2 * _LARGEST) or b"").decode(errors="replace").splitlines()
        ):
            parts = line.split("\t")
            if len(parts) == 4 and _is_stamp(parts[0]):
                found.append(Firing(*parts))
    return found


def _is_stamp(text: str) -> bool:
    try:
        clock.parse_stamp(text)
    except ValueError:
        return False
    return text.endswith("Z")
