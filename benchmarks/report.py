"""Results as a table for the terminal, and as a page of the documentation."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure import Measurement

_HEADINGS = ("what", "against", "median", "its median", "ratio", "quartiles", "budget", "")
_PAGE = """# Performance

What a call of `telemetry` costs, as a ratio to the least that a CPython program can do for the same effect. Written by
`./dev bench {options}`; absolute times are this machine's and this moment's, ratios travel better.

Machine: {machine}. {runs:,} runs in the database that is queried.

{table}

- Each row is a series of {pairs} pairs, A B, B A, A B, …: whole processes from `posix_spawn` to `wait4`, stdout to
  `/dev/null`. The ratio is the median of the ratios within a pair, the quartiles are theirs. *noisy* means that they lie
  too far apart to trust the median: measure again.
- `floor_write.py` appends a line to a file and flushes it, then commits one row and a cursor to SQLite, and checks nothing.
  `floor_read.py` selects 50 rows and prints them as JSON. Both stand in `benchmarks/`.
- The longest of the calls of 32 processes at once waits for as many interpreters to start on the processors that there are;
  what that alone comes to, the floor's longest call tells.

## Measure it yourself

```
./dev bench                    # a few minutes; 100,000 runs
./dev bench --full             # 1,000,000 runs
./dev bench --check            # exit code 1 when a budget is exceeded
./dev bench --only 'run end'   # one row
./dev bench --peers            # the same job by other tools, installed from the package index
./dev bench --syscalls         # system calls and SQL statements of one call
```
"""


@dataclass(frozen=True)
class Row:
    """A line of the report: a measurement or a plain number, and the most that it may be (None: nothing is promised)."""

    what: str
    against: str
    value: float
    unit: str
    most: float | None
    measurement: Measurement | None = None

    @property
    def exceeded(self) -> bool:
        """Whether it is over its budget beyond doubt: where it is noisy, with its lower quartile too."""
        if self.most is None or self.value <= self.most:
            return False
        return (
            not self.measurement
            or not self.measurement.noisy
            or not self.measurement.quartiles
            or self.measurement.quartiles[0] > self.most
        )

    @property
    def verdict(self) -> str:
        """ok, OVER, or noisy."""
        if self.exceeded:
            return "OVER"
        if self.measurement and self.measurement.noisy:
            return "noisy, measure again"
        return "" if self.most is None else "ok"

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        measured = self.measurement
        medians = [f"{median:.1f} ms" for median in measured.medians_ms] if measured else []
        quartiles = (
            "{:.2f} to {:.2f}".format(*measured.quartiles)
            if measured and measured.quartiles
            else ""
        )
        most = f"{self.most:.2g}{self.unit}" if self.most is not None else ""
        value = f"{self.value:.2f}{self.unit}" if measured or self.unit else f"{self.value:g}"
        return (
            self.what,
            self.against,
            medians[0] if medians else "",
            medians[-1] if len(medians) > 1 else "",
            value,
            quartiles,
            most,
            self.verdict,
        )


def text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    cells = [_HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(_HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown(rows: Sequence[Row]) -> str:
    """The table for a page."""
    lines = [
        _HEADINGS,
        ("---", "---", "--:", "--:", "--:", "--:", "--:", "---"),
        *(row.cells() for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(rows: Sequence[Row], sections: Sequence[str], options: str, runs: int, pairs: int) -> str:
    """The page of the documentation: the table, how to repeat it, and what else was asked for."""
    head = _PAGE.format(
        table=markdown(rows), machine=machine(), options=options, runs=runs, pairs=pairs
    )
    return "\n".join((head, *sections))


def machine() -> str:
    """The machine in a few words, without a date."""
    system = platform.system()
    return f"{os.cpu_count()} CPUs, {system} {platform.machine()}, CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
