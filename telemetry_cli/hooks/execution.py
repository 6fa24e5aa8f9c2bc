"""A hook run: begun in the journal, its attempts executed, finished in the journal with rows and logs. No lock is held meanwhile."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import TypeVar

from telemetry_cli.core import values as rules
from telemetry_cli.core.clock import new_op_id, now, stamp
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import NotDurable
from telemetry_cli.core.scratch import translate_errors
from telemetry_cli.hooks import artifact, contract, reap
from telemetry_cli.hooks.attempt import Attempt, Stopped
from telemetry_cli.hooks.contract import Contract
from telemetry_cli.hooks.reap import aborted
from telemetry_cli.hooks.rows import Rows
from telemetry_cli.hooks.spool import Spool
from telemetry_cli.hooks.subjects import Subjects
from telemetry_cli.journal import blobs
from telemetry_cli.redaction.lines import redacted, redacted_text
from telemetry_cli.store import Store

_Done = TypeVar("_Done")

DEFAULT_RETRIES, _MAX_MEMORY = 3, 4 << 30


class Options:
    """How hooks are to be run: `retries` and `max_memory` (bytes, None for 4 GiB) bound the attempts; `run_key`, `forced` and `convention` are recorded."""

    def __init__(
        self,
        *,
        retries: int,
        max_memory: int | None,
        run_key: str | None = None,
        forced: bool = False,
        convention: str | None = None,
    ) -> None:
        self.retries = retries
        self.max_memory = max_memory
        self.run_key = run_key
        self.forced = forced
        self.convention = convention


class stoppable:  # noqa: N801 - reads as a clause: `with stoppable():`
    """Turns SIGINT and SIGTERM into `Stopped` where `interruptible` allows it; elsewhere they wait."""

    def __init__(self) -> None:
        self._caught = 0
        self._open = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "stoppable":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._told)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _told(self, number: int, _frame: FrameType | None) -> None:
        self._caught = self._caught or number
        if self._open:
            self._open = False
            raise Stopped(number)

    def check(self) -> None:
        """Raises `Stopped` when a signal has come."""
        if self._caught:
            raise Stopped(self._caught)

    def interruptible(self, act: Callable[[], _Done]) -> _Done:
        """Do what may be broken off at any point. Raises `Stopped`."""
        self._open = True
        try:
            self.check()
            return act()
        finally:
            self._open = False


class Result:
    """A hook run: its `id`; `data`, what was recorded of it; `standing`, `existing` or `skipped` where an earlier one stands for it.

    `buffered` says why the record waits, where it does.
    """

    def __init__(
        self,
        id_: str,
        data: dict[str, object],
        standing: str | None = None,
        buffered: str | None = None,
    ) -> None:
        self.id = id_
        self.data = data
        self.standing = standing
        self.buffered = buffered


def prepare(
    config: Config, release: dict[str, object], subjects: Subjects, options: Options, folder: str
) -> "Run":
    """Everything that may refuse a run before it begins; nothing is recorded. Raises when the release's stored copy is gone or damaged."""
    artifact.verify(config, release["artifact"])
    return Run(config, release, subjects, options, folder)


def execute(run: "Run", stop: stoppable, beat: Callable[[int], None]) -> Result:
    """Run one release on the subjects. `beat` hears how many rows there are so far.

    Raises `Conflict` when the run key stands for something else. After a signal the run says `aborted`, and `stop` raises next.
    """
    config, id_ = run.config, run.id
    begun = run.plan()
    started_at = stamp(now())
    outcome = Store(config).record("hook.start", begun, started_at, patient=True)
    outcome.check()
    if outcome.result.get("status") in ("existing", "skipped"):
        return Result(str(outcome.result["id"]), begun, standing=str(outcome.result["status"]))
    clock = time.monotonic()
    with ExitStack() as held:
        try:
            status = _attempted(run, stop, beat)
            finished = run.facts(status) | {
                "hook_run": id_,
                "status": status,
                "duration_ms": round((time.monotonic() - clock) * 1000),
            }
            finished |= run.kept(held, status)
        except BaseException:
            Store(config).record("hook.finish", aborted(id_), max(stamp(now()), started_at))
            raise
        finally:
            run.close()
        outcome = Store(config).record(
            "hook.finish", finished, ended_at := max(stamp(now()), started_at)
        )
    outcome.check()
    known = begun | finished | {"id": id_, "started_at": started_at, "finished_at": ended_at}
    return Result(id_, known, buffered=outcome.buffered.message if outcome.buffered else None)


def _attempted(run: "Run", stop: stoppable, beat: Callable[[int], None]) -> str:
    """Attempt the run, and return its status."""
    try:
        run.attempt_all(stop, beat)
    except Stopped:
        return "aborted"
    return run.status


class Run:
    """One hook run: prepared, and its attempts."""

    def __init__(
        self,
        config: Config,
        release: dict[str, object],
        subjects: Subjects,
        options: Options,
        folder: str,
    ) -> None:
        self.config = config
        self.id = new_op_id()
        self.release = release
        self.subjects = subjects
        self.options = options
        self.folder = folder
        self.attempts: list[Attempt] = []
        self.oom_retries = 0
        self.rows: Rows | None = None
        limits = release["limits"]
        assert isinstance(limits, dict)
        self.memory, self.seconds = int(limits["memory"]), limits["timeout_ms"] / 1000
        self.contract = contract.parse(
            Contract, f"the contract of {release['hook']}", release["contract"]
        )

    def plan(self) -> dict[str, object]:
        """What is recorded of the run before anything is executed."""
        options, release = self.options, self.release
        return {
            "hook_run": self.id,
            "hook": release["hook"],
            "version": release["version"],
            "input_kind": self.subjects.kind,
            "input_digest": self.subjects.digest,
            "subjects": self.subjects.count,
            "run_key": options.run_key,
            "forced": options.forced,
            "convention": options.convention,
            **reap.identity(),
        }

    @property
    def status(self) -> str:
        """What the last attempt makes of the run."""
        last = self.attempts[-1]
        if last.failure:
            return "errored"
        if last.exit_code:
            return "failed"
        return "rejected" if self.rows and self.rows.mismatch_count else "passed"

    def attempt_all(self, stop: stoppable, beat: Callable[[int], None]) -> None:
        """Attempt it until it has ended by itself, or may not be retried. Raises `Stopped`."""
        memory = self.memory
        while True:
            self._attempt(memory, stop, beat)
            attempt = self.attempts[-1]
            if (
                attempt.failure not in ("oom", "timeout")
                or len(self.attempts) > self.options.retries
            ):
                return
            if attempt.failure == "oom":
                doubled = min(memory * 2, self.options.max_memory or _MAX_MEMORY)
                if doubled <= memory:
                    return
                memory = doubled
                self.oom_retries += 1

    def _attempt(self, memory: int, stop: stoppable, beat: Callable[[int], None]) -> None:
        """Execute it once, with copies of program and input that no earlier hook or attempt has touched."""
        self.close()
        rows = self.rows = Rows(self.contract, self.subjects, Spool(self.folder))
        with translate_errors(self.folder):
            work = tempfile.mkdtemp(dir=self.folder)
            command = artifact.unpack(self.config, self.release, work)
        with self.subjects.lines.copy() as stdin:
            attempt = Attempt(command, self._env(memory), stdin, self.folder, memory, self.seconds)
            self.attempts.append(attempt)
            stop.interruptible(lambda: attempt.run(rows, lambda: beat(rows.count)))
        shutil.rmtree(work, ignore_errors=True)
        if not attempt.failure and not attempt.exit_code:
            rows.end()

    def close(self) -> None:
        """Let the rows of the last attempt go."""
        if self.rows:
            self.rows.spool.close()

    def _env(self, memory: int) -> dict[str, str]:
        own = {
            "TELEMETRY_HOOK_CONFIG": rules.encode(self.release["config"]),
            "TELEMETRY_HOOK_MEMORY": str(memory),
            # A hook that calls telemetry itself reaches the same records.
            "TELEMETRY_BASE_DIR": self.config.base_dir,
            "TELEMETRY_DB_PATH": self.config.db_path,
        }
        return {**os.environ, **own}

    def _evidence(self) -> str | None:
        """How it is known that memory ran out: `watched`, or `counted` by the kernel between two looks."""
        found = [attempt.was_watched for attempt in self.attempts if attempt.failure == "oom"]
        return ("watched" if any(found) else "counted") if found else None

    def facts(self, status: str) -> dict[str, object]:
        """What is recorded of the run besides its rows and logs."""
        last = self.attempts[-1] if self.attempts else None
        rows = self.rows if status in ("passed", "rejected") else None
        return {
            "failure_kind": last.failure if last and status == "errored" else None,
            "exit_code": last.exit_code if last and status != "aborted" else None,
            "attempts": len(self.attempts),
            "oom_retries": self.oom_retries,
            "oom_evidence": self._evidence(),
            "rows": rows.count if rows and status == "passed" else 0,
            "mismatch_count": rows.mismatch_count if rows else 0,
            "mismatches": rows.mismatches if rows else [],
        }

    def kept(self, held: ExitStack, status: str) -> dict[str, object]:
        """What the operation that ends the run names: its logs and, where it passed, its rows.

        Their blobs are safe for as long as `held` is. Raises `LockTimeout`, or `NotDurable` when they cannot be kept.
        """
        try:
            lease = held.enter_context(blobs.Lease(self.config))
            return {
                "logs": self._kept_logs(lease),
                "blob": self._kept_rows(lease) if status == "passed" else None,
            }
        except OSError as error:
            place = self.config.blobs_dir
            raise NotDurable(
                f"what it gave could not be kept in {place}: {error.strerror}",
                "",
                "See to the space and permissions there, and run it again.",
            ) from error

    def _kept_logs(self, lease: blobs.Lease) -> list[dict[str, object]]:
        """The log of each attempt, kept as a blob."""
        kept: list[dict[str, object]] = []
        for number, attempt in enumerate(self.attempts, 1):
            digest = lease.put(redacted_text(self.config.redact_rules, attempt.log.content()))
            kept.append({"attempt": number, "digest": digest, "bytes": attempt.log.written})
        return kept

    def _kept_rows(self, lease: blobs.Lease) -> str:
        """The rows, kept as a blob."""
        assert self.rows
        return lease.put(redacted(self.config.redact_rules, self.rows.spool.lines()))
