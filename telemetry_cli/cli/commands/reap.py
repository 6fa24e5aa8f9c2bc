"""Runs that say running though nobody runs them any more: `run reap`, and the truth when one is shown."""

from collections.abc import Iterable, Iterator

from telemetry_cli.cli.commands.arguments import became
from telemetry_cli.cli.commands.result import Record, Written, one_failed
from telemetry_cli.core import clock, processes
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import TelemetryError
from telemetry_cli.database import runs
from telemetry_cli.database.database import Connection, translated, translated_rows
from telemetry_cli.database.filters import RunFilter
from telemetry_cli.discovery import environment
from telemetry_cli.hooks.reap import aborted, gone_hook_runs
from telemetry_cli.store import Store

#: So many runs whose process is gone are named beside others.
_MOST_TOLD = 10


class Gone:
    """Something that was begun and has nobody left to end it: what it is, why that is known, and the operation that ends it."""

    def __init__(
        self, what: str, id_: str, reason: str, kind: str, data: dict[str, object]
    ) -> None:
        self.what = what
        self.id = id_
        self.reason = reason
        self.kind = kind
        self.data = data


def reap(config: Config, output: str, *, older_than: str | None, dry_run: bool) -> Written:
    """End what has nobody left to end it."""
    moment = clock.now()
    before = rules.instant("--older-than", older_than, moment) if older_than is not None else None
    reading = Store(config).read()
    notes = list(reading.notes)
    reaped: list[Record] = []
    worst = 0
    found = list(_gone(config, reading.db, before)) if reading.db else []
    for gone in found:
        if not dry_run:
            try:
                notes += became(Store(config).record(gone.kind, gone.data, clock.stamp(moment)))[1]
            except TelemetryError as error:
                worst = max(worst, one_failed(gone.id, error, notes))
                continue
        reaped.append({"what": gone.what, "id": gone.id, "reason": gone.reason})
    lines = [
        f"{'would end' if dry_run else 'ended'} {one['what']} {one['id']}: {one['reason']}"
        for one in reaped
    ] or ["" if found else "nothing to end"]
    return Written(
        {"reaped": reaped, "dry_run": dry_run},
        "\n".join(lines),
        notes,
        code=0 if config.never_fail else worst,
        multiline=True,
    )


def _gone(config: Config, db: Connection, before: str | None) -> Iterator[Gone]:
    """Everything that can be known to be gone, one line for each kind of thing."""
    yield from _gone_runs(_running(config, db), before)
    for run in gone_hook_runs(config, db):
        yield Gone(
            "hook run",
            str(run["id"]),
            f"its process {run['pid']} is gone",
            "hook.finish",
            aborted(run["id"]),
        )


def _running(config: Config, db: Connection) -> Iterator[Record]:
    filters = RunFilter(columns={"status": ["running"]})
    return translated_rows(config.db_path, runs.select(db, filters, translated(config.db_path)))


def _gone_runs(running: Iterable[Record], before: str | None) -> Iterator[Gone]:
    for run in running:
        alive = is_alive(run)
        if alive is False:
            reason = f"its process {run['pid']} is gone, and never said how it ended"
        elif alive is None and before is not None and str(run["start_time"]) < before:
            known = (
                "no process of it is known"
                if run["pid"] is None
                else f"its process {run['pid']} cannot be seen from here"
            )
            reason = f"it never said how it ended, and {known}"
        else:
            continue
        yield Gone(
            "run",
            str(run["event_id"]),
            reason,
            "run.end",
            {"run": run["event_id"], "status": "failure", "error_summary": f"reaped: {reason}"},
        )


def is_alive(run: Record) -> bool | None:
    """Tell whether the process that will end a run is there; None when none was recorded, or it cannot be told from this machine.

    The boot is the machine's, whatever a run says of its host; only after another boot nothing but the host tells whose it was.
    """
    started, boot = str(run["process_started"] or ""), str(run["boot_id"] or "")
    if run["pid"] is None or (
        run["host"] != environment.host() and not processes.is_this_boot(boot)
    ):
        return None
    return processes.is_alive(int(str(run["pid"])), started or None, boot or None)


def is_gone(run: Record) -> bool:
    """Tell whether a run says running though its process is gone."""
    return run["status"] == "running" and is_alive(run) is False


def truth(run: Record) -> str | None:
    """What must be said beside a run that says running though its process is gone."""
    return (
        f"{run['event_id']} says running, but its process {run['pid']} is gone; telemetry run reap ends it"
        if is_gone(run)
        else None
    )


def truths(found: Iterable[Record]) -> list[str]:
    """The same of many runs: of some of them, and how many more there are."""
    notes = list(filter(None, map(truth, found)))
    more = len(notes) - _MOST_TOLD
    return notes[:_MOST_TOLD] + (
        [f"and {more} more; telemetry run reap --dry-run names them"] if more > 0 else []
    )
