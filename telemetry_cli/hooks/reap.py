"""Hook runs whose telemetry was killed: nobody was left to write how they ended."""

from telemetry_cli.core.clock import now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import Conflict
from telemetry_cli.database import hook_runs
from telemetry_cli.database.database import Connection, translated
from telemetry_cli.hooks.process import is_gone
from telemetry_cli.store import Store


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
