"""Many processes that write into one base at the same time: does any fail, is anything lost, how long does one wait at most."""

import os
from concurrent.futures import ThreadPoolExecutor

from benchmarks.measure import spawn
from benchmarks.world import World

WRITERS = 32
WRITES = 10
WHAT = f"{WRITERS} processes × {WRITES} writes"


def contend(world: World) -> tuple[int, float, list[float]]:
    """Let 32 processes at a time write 10 runs each. Returns failures and lost records, the longest call and all calls (seconds)."""
    base = world.base()
    os.chdir(world.home)

    def writer(number: int) -> list[tuple[float, int, str]]:
        return [spawn(world.start(base, "--no-git", "--event-id", f"writer-{number}-{count}")) for count in range(WRITES)]

    with ThreadPoolExecutor(WRITERS) as pool:
        calls = [call for done in pool.map(writer, range(WRITERS)) for call in done]
    ids = set(world.answer(world.telemetry(base, "query", "--limit", "0", "-o", "ids")).split())
    failures = sum(1 for _, code, _ in calls if code) + sum(1 for n in range(WRITERS) for count in range(WRITES) if f"writer-{n}-{count}" not in ids)
    seconds = sorted(time for time, _, _ in calls)
    return failures, seconds[-1], seconds
