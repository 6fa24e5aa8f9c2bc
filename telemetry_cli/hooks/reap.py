"""Find and close hook runs whose telemetry process is gone."""

import os

from telemetry_cli.core import processes
from telemetry_cli.core.clock import now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import Conflict
from telemetry_cli.database import hook_runs
from telemetry_cli.database.database import Connection, translated
from telemetry_cli.store import Store


def identity() -> dict[str, object]:
    """What tells this process from any other: host, pid, process_started, boot_id."""
    unknown = {"process_started": "", "boot_id": ""}
    return {"host": os.uname().nodename, **unknown, **processes.identify_self()}


def is_gone(recorded: dict[str, object]) -> bool:
    """Tell whether a process of which `identity` was recorded has ended. Of another host's nobody can tell: it has not."""
    if recorded["host"] != os.uname().nodename:
        return False
    return (
        processes.is_alive(
            int(str(recorded["pid"])),
            str(recorded["process_started"]) or None,
            str(recorded["boot_id"]) or None,
        )
        is False
    )


def gone_hook_runs(config: Config, db: Connection) -> list[dict[str, object]]:
    """The hook runs that say `running` though the process that carried them, on this host, has ended; oldest first.

    The hook itself is gone too: its guardian has seen to that.
    """
    with translated(config.db_path):
        return [run for run in hook_runs.running(db) if is_gone(run)]


def aborted(hook_run: object) -> dict[str, object]:
    """The data of the operation `hook.finish` for a hook run that nobody has brought to its end."""
    return {"hook_run": hook_run, "status": "aborted", "blob": None}


def close_gone_hook_runs(config: Config, db: Connection) -> list[dict[str, object]]:
    """Record each of `gone_hook_runs` as aborted. Returns those that were closed; what another process closed meanwhile is not among them."""
    closed = []
    for run in gone_hook_runs(config, db):
        try:
            Store(config).record("hook.finish", aborted(run["id"]), stamp(now())).check()
        except Conflict:
            continue
        closed.append(run)
    return closed
