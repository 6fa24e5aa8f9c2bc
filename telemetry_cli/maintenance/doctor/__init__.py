"""What `telemetry doctor` looks at. Nothing here changes anything.

A check takes what is examined and yields findings. To add one: a function, and a line in `CHECKS`.
"""

from collections.abc import Callable, Iterable

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import TelemetryError
from telemetry_cli.maintenance.doctor import files, records
from telemetry_cli.maintenance.doctor import files as buffered
from telemetry_cli.maintenance.doctor import (
    git_hooks as repository,
)
from telemetry_cli.maintenance.doctor.context import Examined, Finding

Check = Callable[[Examined], Iterable[Finding]]

#: In this order: what comes first explains what follows.
CHECKS: tuple[Check, ...] = (
    files.permissions,
    files.left_behind,
    files.file_system,
    files.locks,
    records.database,
    records.tables,
    records.journal_mode,
    records.settings,
    records.journal_lines,
    records.rows,
    records.search_index,
    records.waiting,
    buffered.buffer_lines,
    buffered.foreign_buffer_files,
    records.rejected,
    records.unended,
    records.copies,
    records.live_pointers,
    repository.git_hooks,
)


def examine(config: Config) -> list[Finding]:
    """Every finding of every check."""
    findings: list[Finding] = []
    with Examined(config) as examined:
        for check in CHECKS:
            try:
                findings.extend(check(examined))
            except (TelemetryError, OSError) as error:
                name = check.__name__.replace("_", " ")
                hint = error.hint if isinstance(error, TelemetryError) else ""
                findings.append(
                    Finding(
                        "problem",
                        f"{name}: {error}",
                        config.base_dir,
                        hint or "See to the permissions and the disk.",
                    )
                )
    return findings
