"""Watches the resident memory of a process tree."""

import time

import psutil

#: Seconds between two looks at the tree; between two looks at its memory, far from the limit and near it.
_TREE_SECONDS = 0.05
_FAR_SECONDS = 0.02
_NEAR_SECONDS = 0.004


class MemoryWatch:
    """The processes below `root` together against a limit in bytes. `pause` is how long to wait before the next look."""

    def __init__(self, root: int, limit: int) -> None:
        self.limit = limit
        self.pause = _NEAR_SECONDS
        self._root = psutil.Process(root)
        self._tree: list[psutil.Process] = []
        self._look_again_at = 0.0

    def is_over(self) -> bool:
        """Tell whether the tree holds more than the limit now."""
        if time.monotonic() >= self._look_again_at:
            self._tree = self._below()
            self._look_again_at = time.monotonic() + _TREE_SECONDS
        total = sum(map(_resident, self._tree))
        self.pause = _FAR_SECONDS if total < self.limit // 4 else _NEAR_SECONDS
        if total <= self.limit:
            return False
        # Pages that forked processes share were counted once for each.
        return len(self._tree) == 1 or sum(map(_share, self._below())) > self.limit

    def _below(self) -> list[psutil.Process]:
        try:
            return self._root.children(recursive=True)
        except psutil.Error:
            return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _share(process: psutil.Process) -> int:
    """What a process holds, pages that others hold too in parts; where the system does not tell, all of it."""
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(found, "pss", found.rss))
