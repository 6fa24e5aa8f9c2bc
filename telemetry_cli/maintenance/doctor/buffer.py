"""Checks of the buffer: what waits there can be read, and nothing else lies there."""

import os
from collections.abc import Iterator

from telemetry_cli.core.errors import Refused
from telemetry_cli.core.values import shorten
from telemetry_cli.journal import buffer
from telemetry_cli.journal import segments as journal
from telemetry_cli.maintenance.doctor.context import Examined
from telemetry_cli.maintenance.doctor.finding import Finding, problem, warning

_MOST = 10


def lines(examined: Examined) -> Iterator[Finding]:
    """Every line that waits is whole, by its CRC."""
    config = examined.config
    found = 0
    for name in buffer.waiting(config):
        try:
            line = buffer.read(config, name)
        except (OSError, Refused):
            # Not to be opened: `permissions` says so.
            continue
        if not journal.is_damaged(line):
            continue
        found += 1
        if found > _MOST:
            yield problem("more damaged records wait", config.buffer_dir, "telemetry db drain")
            return
        what = f"a damaged record waits: {shorten(repr(line)[2:-1], 60)}"
        yield problem(
            what,
            os.path.join(config.buffer_dir, name),
            "telemetry db drain keeps it in rejected_ops, and applies the others.",
        )


def others(examined: Examined) -> Iterator[Finding]:
    """Nothing but lines lies in the buffer."""
    config = examined.config
    names = buffer.others(config)
    for name in names[:_MOST]:
        what = (
            "an empty file where a record should be"
            if buffer.is_empty_line(name)
            else "no record: a writer was killed before it was whole, or it is another's"
        )
        yield warning(what, os.path.join(config.buffer_dir, name), "See what it is, and remove it.")
    if len(names) > _MOST:
        yield warning(
            f"{len(names)} files in all are no records",
            config.buffer_dir,
            "See what they are, and remove them.",
        )
