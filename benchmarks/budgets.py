"""The budgets: one table of what is measured, against what, and how much it may be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.documents import runs_document
from benchmarks.measure import (
    Command,
    Compare,
    Measurement,
    Variant,
    added,
    measure,
    ratio,
    run,
    say,
)
from benchmarks.peers import peer_program
from benchmarks.world import World

_WRITE, _READ, _STATS, _PASS = "floor_write.py", "floor_read.py", "floor_stats.py", "python -c pass"
_HISTORY = 10_000
_BLAME = ("blame", "HEAD", "--", "file")


@dataclass(frozen=True)
class Bases:
    """The generated databases, as base folders: the one with many runs, and the one with 1,000."""

    many: Path
    few: Path


#: Builds the variants of a measurement: the one under test first.
Build = Callable[[World, Bases], tuple[Variant, ...]]


@dataclass(frozen=True)
class Budget:
    """One row: what is measured against what, the most that it may be, how, and the command that must exist for it; `pairs` where fewer are enough."""

    what: str
    against: str
    most: float
    needs: tuple[str, ...]
    build: Build
    compare: Compare = ratio
    pairs: int | None = None


def _writing(*arguments: str, in_repository: bool = False, configured: bool = False) -> Build:
    """A `run start` against the floor."""

    def build(world: World, _: Bases) -> tuple[Variant, ...]:
        base, floor = world.base(), world.base()
        cwd = world.repository() if in_repository else None
        command = world.start(base, *arguments, cwd=cwd)
        if configured:
            with_file = world.start(base, *arguments, cwd=cwd, env=world.configured)
            return lambda _: with_file, lambda _: command, lambda _: world.floor_write(floor)
        return lambda _: command, lambda _: world.floor_write(floor)

    return build


def _about_a_run(*before: str, after: tuple[str, ...] = (), in_repository: bool = False) -> Build:
    """A command about a run that was started before, another one each time, against the floor."""

    def build(world: World, _: Bases) -> tuple[Variant, ...]:
        base, floor = world.base(), world.base()
        names = world.started(base, world.rounds)
        cwd = world.repository() if in_repository else None
        return lambda number: world.telemetry(
            base, *before, names[number], *after, cwd=cwd
        ), lambda _: world.floor_write(floor)

    return build


_NEWEST = ("query", "-o", "json", "--limit", "50")


def _query_and_floor(world: World, bases: Bases) -> tuple[Variant, ...]:
    return lambda _: world.telemetry(bases.many, *_NEWEST), lambda _: world.floor_read(bases.many)


def _query_many_and_few(world: World, bases: Bases) -> tuple[Variant, ...]:
    return lambda _: world.telemetry(bases.many, *_NEWEST), lambda _: world.telemetry(
        bases.few, *_NEWEST
    )


def _table(world: World, bases: Bases) -> tuple[Variant, ...]:
    return lambda _: world.telemetry(bases.few, "query", "--limit", "50"), lambda _: world.python(
        "-c", "pass"
    )


def _stats(*options: str) -> Build:
    """Figures over all runs against one aggregate; `options` may name a field to group by."""
    return lambda world, bases: (
        lambda _: world.telemetry(bases.many, "stats", *options),
        lambda _: world.floor_stats(bases.many, *options[1:]),
    )


def _completion(*words: str) -> Build:
    return lambda world, bases: (
        lambda _: world.completed(bases.many, *words),
        lambda _: world.python("-c", "pass"),
    )


def _exec(world: World, _: Bases) -> tuple[Variant, ...]:
    base, floor = world.base(), world.base()
    return lambda _: world.telemetry(
        base, "run", "exec", "--no-git", "--", "true"
    ), lambda _: world.floor_write(floor)


def _committing(world: World, _: Bases) -> tuple[Variant, ...]:
    """`git commit` with the hook in a run, and without it, against the floor."""
    base, floor = world.base(), world.base()
    env = {**world.env, **world.author}
    hooked, plain = world.repository("hooked"), world.repository("plain")
    run(world.telemetry(base, "git-hooks", "install", cwd=hooked))
    run(world.start(base, cwd=hooked))

    def commit(folder: Path) -> Command:
        return Command(
            (world.git, "commit", "--quiet", "--allow-empty", "--message", "A commit"),
            env,
            str(folder),
        )

    return lambda _: commit(hooked), lambda _: commit(plain), lambda _: world.floor_write(floor)


_GRACE_SECONDS = 0.3


def _beyond_grace(times: Sequence[float]) -> float:
    """The first variant's time over the second's, what is allowed on top taken off."""
    return max(0.0, times[0] - _GRACE_SECONDS) / times[1]


def _history(*arguments: str, git: tuple[str, ...]) -> Build:
    """A question about a long history, against git's own answer."""

    def build(world: World, _: Bases) -> tuple[Variant, ...]:
        folder, base = world.history(_HISTORY), world.base()
        run(world.start(base, cwd=folder))
        return lambda _: world.telemetry(base, *arguments, cwd=folder), lambda _: Command(
            (world.git, *git), world.env, str(folder)
        )

    return build


def _slowest_help(world: World, _: Bases) -> tuple[Variant, ...]:
    """Of the help of every command and group, the one that was slowest in a first look."""
    commands = world.commands()
    paths = sorted({path[:length] for path in commands for length in range(len(path) + 1)})
    times = {path: min(run(world.help(*path)) for _ in range(3)) for path in paths}
    slowest = max(times, key=times.__getitem__)
    say(f"  --help of {len(paths)} commands and groups; the slowest: telemetry {' '.join(slowest)}")
    return lambda _: world.help(*slowest), lambda _: world.python("-c", "pass")


_CALLS = "200"


def _import(world: World, _: Bases) -> tuple[Variant, ...]:
    """100,000 runs from NDJSON into an empty base, and the same file into an empty database by sqlite-utils."""
    document = runs_document(world, 100_000)
    tool = peer_program("sqlite-utils", world)

    def peer(number: int) -> Command:
        target = world.base()
        return Command(
            (
                str(tool),
                "insert",
                "--nl",
                "--pk",
                "event_id",
                f"{target}-{number}.db",
                "runs",
                str(document),
            ),
            world.env,
            str(world.home),
        )

    return lambda _: world.telemetry(world.base(), "import", str(document)), peer


def _in_process(what: str) -> Build:
    """So many calls of the Python client in one process, and as many of the same append and commit in bare Python."""

    def build(world: World, _: Bases) -> tuple[Variant, ...]:
        base, floor = world.base(), world.base()

        def client(number: int) -> Command:
            if what == "end_run":
                run(world.script("in_process.py", str(base), _CALLS, "prepare", str(number)))
            return world.script("in_process.py", str(base), _CALLS, what, str(number))

        return client, lambda _: world.script("floor_client.py", str(floor), _CALLS)

    return build


BUDGETS = (
    Budget("run start --no-git", _WRITE, 1.3, ("run", "start"), _writing("--no-git")),
    Budget(
        "run start, with git discovery", _WRITE, 1.5, ("run", "start"), _writing(in_repository=True)
    ),
    Budget("run end", _WRITE, 1.6, ("run", "end"), _about_a_run("run", "end")),
    Budget(
        "run event",
        _WRITE,
        1.6,
        ("run", "event"),
        _about_a_run("run", "event", "checkpoint", "--run"),
    ),
    Budget(
        "associate-commit, HEAD of a repository",
        _WRITE,
        1.6,
        ("associate-commit",),
        _about_a_run("associate-commit", in_repository=True),
    ),
    Budget(
        "a config file: added to run start --no-git",
        _WRITE,
        0.3,
        ("run", "start"),
        _writing("--no-git", configured=True),
        added,
    ),
    Budget("git commit: added by the hook", _WRITE, 1.5, ("git-hooks", "fire"), _committing, added),
    Budget(
        "log -o json, 10,000 commits (less 0.3 s)",
        "git log",
        3,
        ("log",),
        _history("log", "-o", "json", git=("log",)),
        _beyond_grace,
    ),
    Budget(
        "log --limit 0, 10,000 commits (less 0.3 s)",
        "git log",
        3,
        ("log",),
        _history("log", "--limit", "0", git=("log",)),
        _beyond_grace,
    ),
    Budget(
        "blame -o json, 10,000 commits (less 0.3 s)",
        "git blame",
        3,
        ("blame",),
        _history("blame", "file", "-o", "json", git=_BLAME),
        _beyond_grace,
    ),
    Budget(
        "blame, 10,000 commits (less 0.3 s)",
        "git blame",
        3,
        ("blame",),
        _history("blame", "file", git=_BLAME),
        _beyond_grace,
    ),
    Budget("run exec -- true", _WRITE, 2.2, ("run", "exec"), _exec),
    Budget("query -o json, newest 50 of many", _READ, 1.4, ("query",), _query_and_floor),
    Budget("the same query, many runs / 1,000", "1,000 runs", 1.2, ("query",), _query_many_and_few),
    Budget("stats of many runs", _STATS, 3, ("stats",), _stats()),
    Budget("stats of many runs by agent_name", _STATS, 3, ("stats",), _stats("--by", "agent_name")),
    Budget("completion of a subcommand", _PASS, 12, ("completion",), _completion("run", "s")),
    Budget(
        "completion of a RUN among many", _PASS, 12, ("completion",), _completion("run", "show", "")
    ),
    Budget("a table of 50 runs", _PASS, 9, ("query",), _table),
    Budget("--help, the slowest command's", _PASS, 24, (), _slowest_help),
    # A rate of at least 1.5 times theirs is at most two thirds of their time.
    Budget(
        "import of 100,000 validated runs",
        "sqlite-utils insert",
        1 / 1.5,
        ("import",),
        _import,
        pairs=5,
    ),
    *(
        Budget(
            f"{_CALLS} × client.{what}, in a live process", "bare Python", 3, (), _in_process(what)
        )
        for what in ("start_run", "log_event", "end_run")
    ),
)


def take(budget: Budget, world: World, bases: Bases, pairs: int, warmups: int) -> Measurement:
    """Measure one row; once more when that was noisy, and then the measurement that spreads less is kept."""
    pairs = min(pairs, budget.pairs or pairs)
    warmups = min(warmups, pairs // 2)
    variants = budget.build(world, bases)
    first = measure(variants, budget.compare, pairs, warmups)
    if not first.noisy:
        return first
    say("  noisy; measured again")
    second = measure(budget.build(world, bases), budget.compare, pairs, warmups)
    return min(first, second, key=_spread)


def _spread(measurement: Measurement) -> float:
    assert measurement.quartiles
    return measurement.quartiles[1] - measurement.quartiles[0]
