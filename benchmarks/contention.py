"""Many processes that write into one base at the same time: does any fail, is anything lost, how long does one wait at most."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from benchmarks.measure import Command, spawn
from benchmarks.world import World

WRITERS = 32
WRITES = 10
ROUNDS = 3
_NAMES = [f"writer-{number}" for number in range(WRITERS * WRITES)]
WHAT = f"{WRITERS} processes × {WRITES} writes"


def contend(world: World) -> tuple[int, float, float]:
    """Let 32 processes at a time write 10 runs each. Returns failures and lost records, and the longest call (seconds) of
    telemetry and of the floor: the median of some rounds, in turn, since one call in 320 is at the scheduler's mercy.
    """
    os.chdir(world.home)
    failures = 0
    longest, floors = [], []
    for _ in range(ROUNDS):
        base, floor = world.base(), world.base()
        calls = _at_once(lambda name, base=base: world.start(base, "--no-git", "--event-id", name))  # type: ignore[misc]
        ids = set(world.answer(world.telemetry(base, "query", "--limit", "0", "-o", "ids")).split())
        failures += sum(1 for _, code, _ in calls if code) + sum(
            1 for name in _NAMES if name not in ids
        )
        longest.append(max(seconds for seconds, _, _ in calls))
        floors.append(
            max(
                seconds
                for seconds, _, _ in _at_once(lambda _, floor=floor: world.floor_write(floor))  # type: ignore[misc]
            )
        )
    return failures, median(longest), median(floors)


def _at_once(command: Callable[[str], Command]) -> list[tuple[float, int, str]]:
    def writer(number: int) -> list[tuple[float, int, str]]:
        return [spawn(command(name)) for name in _NAMES[number::WRITERS]]

    with ThreadPoolExecutor(WRITERS) as pool:
        return [call for done in pool.map(writer, range(WRITERS)) for call in done]
