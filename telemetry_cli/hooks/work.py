"""The private folders for inputs, artifacts and rows of hook runs, below $TMPDIR."""

import json
import os
import shutil
import stat
import tempfile

from telemetry_cli.discovery.git.repository import plain_content
from telemetry_cli.hooks import process
from telemetry_cli.hooks.spool import room

_PREFIX = "telemetry-hooks-"
#: Says in each folder which process made it, and for which base.
_OWNER = "owner"
_LONGEST_OWNER = 4096


def make(base_dir: str) -> str:
    """A private folder, which the guardian removes when telemetry is killed in an attempt; those that killed ones left are removed first."""
    with room("no directory for temporary files"):
        for path in leftovers(None):
            shutil.rmtree(path, ignore_errors=True)
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        with open(os.path.join(folder, _OWNER), "w", encoding="utf-8") as file:
            json.dump({**process.identity(), "base": base_dir}, file)
    return folder


def leftovers(base_dir: str | None) -> list[str]:
    """The folders of this user, of runs with this base (None: any), whose process, on this host, has ended."""
    try:
        with os.scandir(tempfile.gettempdir()) as entries:
            found = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
    except OSError:
        return []
    return sorted(path for path in found if _is_left_behind(path, base_dir))


def _is_left_behind(path: str, base_dir: str | None) -> bool:
    try:
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
            return False
        owner = json.loads(plain_content(os.path.join(path, _OWNER), _LONGEST_OWNER) or b"")
        return base_dir in (None, owner.get("base")) and process.is_gone(owner)
    except (OSError, ValueError, KeyError, TypeError):
        # Half made, or half removed by its own process just now.
        return False
