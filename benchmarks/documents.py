"""A file of runs to import: what `telemetry export` writes of a generated database."""

from pathlib import Path

from benchmarks import generate
from benchmarks.measure import run, say
from benchmarks.world import World


def runs_document(world: World, count: int) -> Path:
    """An NDJSON file of so many runs, with their events and commits."""
    path = world.scratch / f"runs-{count}.ndjson"
    if not path.exists():
        say(f"  writing {path.name} …")
        base = generate.database(world, world.scratch, count)
        run(world.telemetry(base, "export", "--to", str(path)))
    return path
