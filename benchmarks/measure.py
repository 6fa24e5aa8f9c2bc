"""Paired measurement of whole processes: every round runs each variant once, and ratios are taken within a round.

Absolute times say more about the machine and its neighbours than about the program; two processes that run right after
each other meet the same disk, caches and neighbours, so their ratio holds.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: A measurement is noisy when the middle half of its ratios spreads wider than this part of the median (of 1 at least).
NOISY = 0.2


class CommandFailed(Exception):
    """A program under measurement did not exit with 0; the message has its stderr."""


@dataclass(frozen=True)
class Command:
    """One process to run: its argv, environment, working folder and stdin."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    stdin: str = os.devnull


#: A round's number to the command that is run in it. Called outside the measured time.
Variant = Callable[[int], Command]
#: The times of one round (seconds, one per variant) to the number that is compared with the budget.
Compare = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class Measurement:
    """Medians in milliseconds, one per variant; the median ratio and its quartiles."""

    medians_ms: tuple[float, ...]
    value: float
    quartiles: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def noisy(self) -> bool:
        """Whether the ratios spread so wide that the median means little."""
        return self.quartiles is not None and self.quartiles[1] - self.quartiles[0] > NOISY * max(
            1.0, self.value
        )


def ratio(times: Sequence[float]) -> float:
    """The first variant's time over the second's."""
    return times[0] / times[1]


def added(times: Sequence[float]) -> float:
    """What the first variant takes beyond the second, in units of the third."""
    return (times[0] - times[1]) / times[2]


def run(command: Command) -> float:
    """Run one process to its end and return its wall time in seconds. Raises `CommandFailed` when it does not exit with 0."""
    os.chdir(command.cwd)
    seconds, code, errors = spawn(command)
    if code:
        raise CommandFailed(f"exit code {code}: {' '.join(command.argv)}\n{errors}")
    return seconds


def spawn(command: Command) -> tuple[float, int, str]:
    """Run one process in this process's working folder: wall time in seconds, exit code, and stderr where that is not 0."""
    with tempfile.TemporaryFile() as errors:
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, command.stdin, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        began = time.perf_counter()
        pid = os.posix_spawn(
            command.argv[0], list(command.argv), dict(command.env), file_actions=streams
        )
        _, status, _ = os.wait4(pid, 0)
        seconds = time.perf_counter() - began
        code = os.waitstatus_to_exitcode(status)
        if not code:
            return seconds, 0, ""
        errors.seek(0)
        return seconds, code, errors.read().decode(errors="replace")


def rounds(variants: Sequence[Variant], pairs: int, warmups: int) -> list[tuple[float, ...]]:
    """The times of each round. Which variant goes first changes from round to round (A B, B A, A B, …)."""
    measured = []
    for number in range(warmups + pairs):
        times = [0.0] * len(variants)
        for place in range(len(variants)):
            index = (place + number) % len(variants)
            command = variants[index](number)
            times[index] = run(command)
        if number >= warmups:
            measured.append(tuple(times))
    return measured


def measure(variants: Sequence[Variant], compare: Compare, pairs: int, warmups: int) -> Measurement:
    """Run the rounds and sum them up."""
    return summary(rounds(variants, pairs, warmups), compare)


def summary(measured: Sequence[Sequence[float]], compare: Compare) -> Measurement:
    """The medians of each variant, and median and quartiles of what `compare` makes of each round."""
    values = [compare(times) for times in measured]
    medians = tuple(
        statistics.median(times[index] for times in measured) * 1000
        for index in range(len(measured[0]))
    )
    first, middle, third = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values * 3)
    )
    return Measurement(medians, middle, (first, third))


def say(text: str) -> None:
    """Progress, for whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def program(name: str) -> str:
    """The path of an installed program in the scripts folder of this interpreter."""
    return str(Path(sys.executable).parent / name)
