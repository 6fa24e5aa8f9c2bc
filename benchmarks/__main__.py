"""`./dev bench`, or `python -m benchmarks` in an environment where telemetry is installed."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import contention, generate, peers, report, syscalls
from benchmarks.budgets import BUDGETS, Bases, take
from benchmarks.measure import say
from benchmarks.world import World

_WARMUPS = 3


def main() -> int:
    """Measure what is asked for, print it, and say with the exit code whether it is within the budgets."""
    options = _options()
    options.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="telemetry-bench-", dir=options.data) as scratch:
        world = World(Path(scratch).resolve(), options.pairs + _WARMUPS)
        rows = _measured(world, options)
        sys.stdout.write(report.text(rows))
        sections = []
        if options.peers:
            sections.append(peers.section(world, options.data, options.pairs))
        if options.syscalls:
            sections.append(syscalls.section(world))
        for section in sections:
            sys.stdout.write("\n" + section)
    if options.write:
        options.write.write_text(
            report.page(rows, sections, _repeated(options), options.runs, options.pairs)
        )
        say(f"written: {options.write}")
    return 1 if options.check and any(row.exceeded for row in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description="What telemetry costs, as ratios to floor programs and peers.",
    )
    parser.add_argument(
        "--pairs", type=int, default=30, metavar="N", help="pairs per measurement (default 30)"
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=100_000,
        metavar="N",
        help="runs in the database that is queried (default 100,000)",
    )
    parser.add_argument(
        "--full", action="store_const", const=1_000_000, dest="runs", help="1,000,000 runs"
    )
    parser.add_argument(
        "--data",
        type=_folder,
        default=Path(tempfile.gettempdir()) / "telemetry-benchmarks",
        metavar="FOLDER",
        help="where databases and peers are kept",
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="only the measurements whose name holds TEXT"
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="the same job by other tools, installed from the package index",
    )
    parser.add_argument(
        "--syscalls",
        action="store_true",
        help="system calls (strace) and SQL statements of one call",
    )
    parser.add_argument(
        "--write",
        type=_folder,
        metavar="FILE",
        help="write the results as a page, such as docs/performance.md",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 when a budget is exceeded"
    )
    return parser.parse_args()


def _folder(text: str) -> Path:
    return Path(text).resolve()


def _repeated(options: argparse.Namespace) -> str:
    """The options that repeat these results; where data and page are kept is each machine's own."""
    flags = [f"--{name}" for name in ("peers", "syscalls") if getattr(options, name)]
    only = [f"--only '{options.only}'"] if options.only else []
    return " ".join((f"--runs {options.runs}", f"--pairs {options.pairs}", *only, *flags))


def _measured(world: World, options: argparse.Namespace) -> list[report.Row]:
    commands = world.commands()
    bases = Bases(
        generate.database(world, options.data, options.runs),
        generate.database(world, options.data, 1000),
    )
    rows = []
    for budget in BUDGETS:
        if options.only and options.only not in budget.what:
            continue
        if budget.needs and budget.needs not in commands:
            say(f"{budget.what}: there is no such command yet")
            continue
        say(budget.what)
        try:
            measured = take(budget, world, bases, options.pairs, _WARMUPS)
        except subprocess.SubprocessError as error:
            # A peer that cannot be installed here.
            say(f"  not measured: {error}")
            continue
        rows.append(
            report.Row(budget.what, budget.against, measured.value, "×", budget.most, measured)
        )
    if not options.only or options.only in contention.WHAT:
        say(contention.WHAT)
        failures, longest, floor = contention.contend(world)
        rows.append(report.Row(f"{contention.WHAT}: failures", "", failures, "", 0))
        rows.append(report.Row(f"{contention.WHAT}: longest call", "", longest, " s", 1))
        rows.append(
            report.Row(f"{contention.WHAT}: longest call of the floor", "", floor, " s", None)
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
