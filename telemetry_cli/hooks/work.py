"""The private folders for inputs, artifacts and rows of hook runs, below $TMPDIR."""

import json
import os
import shutil
import stat
import tempfile

from telemetry_cli.hooks import process

_PREFIX = "telemetry-hooks-"
#: Says in each folder which process made it.
_OWNER = "owner"


def make() -> str:
    """A private folder, which the guardian removes when telemetry is killed in an attempt; those that killed ones left are swept first."""
    _sweep()
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    with open(os.path.join(folder, _OWNER), "w", encoding="utf-8") as file:
        json.dump(process.identity(), file)
    return folder


def _sweep() -> None:
    """Remove the folders of this user whose process, on this host, has ended."""
    try:
        with os.scandir(tempfile.gettempdir()) as entries:
            found = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
    except OSError:
        return
    for path in found:
        if _is_left_behind(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_left_behind(path: str) -> bool:
    try:
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
            return False
        with open(os.path.join(path, _OWNER), encoding="utf-8") as file:
            owner = json.load(file)
        return process.is_gone(owner)
    except (OSError, ValueError, KeyError, TypeError):
        # Half made, or half removed by its own process just now.
        return False
