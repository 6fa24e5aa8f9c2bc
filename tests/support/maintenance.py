"""What works on a whole base rather than records something: for the tests that kill it, or let its system calls fail."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from support import Telemetry, legacy_database
from support.records import LEAST
from support.storage import START, Fact, append, create, operation
from telemetry_cli.journal.segments import encode

#: What `_with_secret` has stored.
TOKEN = "ghp_" + "a1B2" * 9
COUNT = "SELECT count(*) FROM agent_runs WHERE"
RUNS: Fact = (f"{COUNT} event_id IN ('run-1', 'run-2')", (2,))
STAINED: Fact = (
    "SELECT count(*) FROM agent_runs JOIN run_events USING (event_id) WHERE event_id = 'stained'",
    (1,),
)
OLD: Fact = (f"{COUNT} op_id = 'legacy'", (3,))


@dataclass(frozen=True)
class Upkeep:
    """A command, what it is run on, and what must hold whatever becomes of it; files are named from the folder it is run in."""

    prepare: Callable[[Telemetry], None]
    argv: tuple[str, ...]
    #: What it changes: a question, the answers while it has not been acknowledged, and the one afterwards.
    changes: tuple[str, tuple[object, ...], object] | None = None
    keeps: tuple[Fact, ...] = (RUNS,)
    #: Whether what was broken off must be run again before records are applied; until then they wait.
    resumed: bool = False

    def facts(self, acknowledged: bool) -> list[Fact]:
        """What must be answered after the next command."""
        if not self.changes:
            return [*self.keeps]
        query, before, after = self.changes
        return [*self.keeps, (query, (after,) if acknowledged else (*before, after))]


def _some_runs(telemetry: Telemetry) -> None:
    for name in ("run-1", "run-2"):
        telemetry(*START, "--event-id", name)


def _with_backup(telemetry: Telemetry) -> None:
    telemetry(*START, "--event-id", "run-1")
    telemetry("db", "backup", str(telemetry.cwd / "saved.sqlite"))
    telemetry(*START, "--event-id", "run-2")


def _with_backlog(telemetry: Telemetry) -> None:
    telemetry(*START, "--event-id", "run-1")
    append(telemetry, create(1, "run-2"))


def _with_old_runs(telemetry: Telemetry) -> None:
    _some_runs(telemetry)
    for name, status in (("ended", "success"), ("left", "running")):
        telemetry(
            *START, "--event-id", name, "--start-time", "2025-01-01T00:00:00Z", "--status", status
        )


def _with_records(telemetry: Telemetry) -> None:
    _some_runs(telemetry)
    lines = [LEAST | {"event_id": f"imported-{number}"} for number in range(1200)]
    (telemetry.cwd / "runs.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _with_secret(telemetry: Telemetry) -> None:
    _some_runs(telemetry)
    append(
        telemetry,
        create(901, "stained", input_summary=f"use {TOKEN} now"),
        encode(operation("run.event", 902, run="stained", event_type="s", payload=[TOKEN])),
    )
    telemetry("db", "drain")
    telemetry("db", "backup")


def _platform(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 5)


UPKEEP = {
    "backup": Upkeep(_some_runs, ("db", "backup")),
    "restore": Upkeep(_with_backup, ("db", "restore", "saved.sqlite")),
    "rebuild": Upkeep(_some_runs, ("db", "rebuild")),
    "vacuum": Upkeep(_some_runs, ("db", "vacuum")),
    "drain": Upkeep(_with_backlog, ("db", "drain")),
    "prune": Upkeep(
        _with_old_runs,
        ("db", "prune", "--older-than", "1d"),
        (f"{COUNT} event_id = 'ended'", (1,), 0),
    ),
    "reap": Upkeep(
        _with_old_runs,
        ("run", "reap", "--older-than", "1d"),
        ("SELECT status FROM agent_runs WHERE event_id = 'left'", ("running",), "failure"),
    ),
    "redact": Upkeep(
        _with_secret,
        ("redact", "--fix"),
        (f"{COUNT} input_summary LIKE '%{TOKEN}%'", (1,), 0),
        keeps=(RUNS, STAINED),
        resumed=True,
    ),
    "import": Upkeep(
        _with_records,
        ("import", "runs.ndjson"),
        (f"{COUNT} event_id LIKE 'imported-%'", (0, 500), 1200),
    ),
    "migrate": Upkeep(_platform, ("db", "migrate"), keeps=(OLD,)),
}
