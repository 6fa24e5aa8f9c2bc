"""What one call asks of the kernel and of SQLite: counted, not timed, so that no neighbour can disturb it."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command, run
from benchmarks.world import World

_SHOWN = 9
#: What a `run start` imports from the standard library (the interpreter's own start aside).
_LIBRARY = "import datetime, errno, fcntl, json, sqlite3, zlib"


_WHY = """
What the work needs them for, in order:

- `newfstatat` of the base, `raw/`, `db/`, `buffer/`, the database and SQLite's own files beside it: what was planted there
  must be refused before it is followed. SQLite looks at the path once more, each part of it.
- `openat`, `flock` of `raw/.lock`, and of `telemetry.sqlite.lock`: appenders take turns, and so do writers. Both are opened and
  closed within the call, so that no child can inherit them.
- `getdents64` of `raw/`: which segment is the newest. Once to append, and again where a segment is read; the folder is small
  and in memory, and an answer kept from before a lock was taken would be a guess.
- `write`, `fdatasync` of the segment: this is the record. From here on it is durable.
- `pread64` of the last byte (is there a torn line?), of the segment's header (does it belong to this database?) and of the
  64 bytes before the cursor (is it the line that was applied last?).
- `fcntl`: SQLite's locks: shared to read the schema, reserved to write, exclusive to commit.
- `pread64` and `pwrite64` of the database: one page for each index that the row goes into. `pwrite64` to
  `telemetry.sqlite-journal`: three for each of these pages, its number, its old content and its sum, so that SQLite can go back.
- `fdatasync` five times more: SQLite's journal, its name in the folder, its final header, the database, and the folder again when
  the journal is unlinked. The last is what `synchronous=EXTRA` adds: without it a power cut can bring the journal back, which
  then undoes the commit.
"""


def section(world: World) -> str:
    """System calls of `run start` by phase, and SQL statements of each call, as markdown."""
    return _kernel(world) + "\n" + _statements(world)


# System calls


def _kernel(world: World) -> str:
    if not shutil.which("strace"):
        return "## System calls\n\nNot counted: there is no strace here.\n"
    base, floor = world.base(), world.base()
    start = world.start(base, "--no-git")
    for command in (start, world.floor_write(floor)):
        run(command)
    totals = {
        "the interpreter": _calls(world, world.python("-c", "pass")),
        "the standard library": _calls(world, world.python("-P", "-c", _LIBRARY)),
        "the package": _calls(
            world,
            world.python(
                "-P", "-c", "import telemetry_cli.cli.main, telemetry_cli.cli.commands.run"
            ),
        ),
        "the work": _calls(world, start),
        "git discovery": _calls(world, world.start(base, cwd=world.repository())),
    }
    lines = [
        "## System calls of `run start`, by phase",
        "",
        "| phase | calls | mostly |",
        "| --- | --: | --- |",
    ]
    before: Counter[str] = Counter()
    for phase, counted in totals.items():
        lines.append(_phase(phase, counted - before))
        before = counted
    total = totals["the work"]
    lines += [
        _phase("**`run start --no-git` in all**", total),
        _phase("`floor_write.py` in all", _calls(world, world.floor_write(floor))),
    ]
    return "\n".join(lines) + "\n" + _WHY


def _phase(name: str, counted: Counter[str]) -> str:
    mostly = ", ".join(f"{call} {count}" for call, count in counted.most_common(_SHOWN))
    return f"| {name} | {counted.total()} | {mostly} |"


def _calls(world: World, command: Command) -> Counter[str]:
    """System call → how often a process and its children make it, by strace."""
    summary = world.scratch / "strace"
    world.answer(
        Command(("strace", "-f", "-c", "-o", str(summary), *command.argv), command.env, command.cwd)
    )
    return _parsed(summary)


def _parsed(summary: Path) -> Counter[str]:
    """strace's table: the fourth column is the count, the last the name."""
    counted: Counter[str] = Counter()
    for line in summary.read_text().splitlines():
        columns = line.split()
        if len(columns) >= 5 and columns[3].isdigit() and columns[-1] != "total":
            counted[columns[-1]] = int(columns[3])
    return counted


# SQL statements


def _statements(world: World) -> str:
    base = world.base()
    name, *_ = world.started(base, 1)
    calls: dict[str, Sequence[str]] = {
        "run start --no-git": ("run", "start", "--agent-name", "a", "--job-type", "j", "--no-git"),
        "run event": ("run", "event", "checkpoint", "--run", name),
        "associate-commit": ("associate-commit", name, "--commit", "0123456789", "--no-git"),
        "run end": ("run", "end", name),
        "query -o json": ("query", "-o", "json"),
    }
    lines = ["## SQL statements of one call", ""]
    for title, arguments in calls.items():
        found = _sql(world, base, arguments)
        lines += [
            f"`{title}`: {len(found)}",
            "",
            "```sql",
            *(_short(statement) for statement in found),
            "```",
            "",
        ]
    return "\n".join(lines)


def _sql(world: World, base: Path, arguments: Sequence[str]) -> list[str]:
    command = world.python(
        str(Path(__file__).with_name("traced.py")), "--base-dir", str(base), *arguments
    )
    done = subprocess.run(
        list(command.argv),
        env=dict(command.env),
        cwd=command.cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith('"')]


def _short(statement: str) -> str:
    return statement if len(statement) <= 110 else statement[:109] + "…"
