"""`TelemetryClient`: what a program calls to record its runs. It never raises into the program, and never waits past its deadline."""

import logging
import os
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeVar

from telemetry_cli.client import fields, tracking
from telemetry_cli.client.values import Unstorable
from telemetry_cli.client.waiting import Waits
from telemetry_cli.client.writer import Writer
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, NotDurable, TelemetryError
from telemetry_cli.database import runs
from telemetry_cli.database.database import translated
from telemetry_cli.journal.operations import Outcome, operation
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.store import Store

_log = logging.getLogger("telemetry_cli")
#: How many runs of this process are known by both their names.
_MOST_KNOWN = 10_000
#: Of how many values that could not be stored the names are remembered, so that each is logged once.
_MOST_NAMED = 1000
#: What the rest of a run's record may contradict, which only the database knows.
_CONTRADICTED = ("start_time", "end_time", "parent")

T = TypeVar("T")


class _Known(NamedTuple):
    """A run of this process. `begun` (monotonic seconds) is when it began, at its start_time; None where that is not known."""

    event_id: str
    start_time: str
    begun: float | None

    def ending(self) -> dict[str, object]:
        """Return end_time and duration_ms of a run that ends now. The wall clock may have been set since the run began; this does not notice."""
        if self.begun is None:
            return {}
        elapsed = round((time.monotonic() - self.begun) * 1000)
        return {
            "end_time": clock.stamp(
                clock.parse_stamp(self.start_time) + timedelta(milliseconds=elapsed)
            ),
            "duration_ms": elapsed,
        }


class TelemetryClient:
    """Records runs in the local database, as the program `telemetry` does, from inside a Python process.

    No method raises: what goes wrong is logged once per kind of failure and per field (logger
    `telemetry_cli`) and counted (`get_stats`). A record that cannot be written waits in memory and
    goes with the next record, `flush()`, or `close()`. A value that cannot be stored costs no
    record: it is kept as text under `unstorable`, in the run's context or the event's payload. No method waits longer than `timeout`
    seconds for locks. One client may be shared by threads, survives a fork, and serves asyncio (see `track_run`).

    base_dir, db_path: where things are; default the environment and config file, as for the command line.
    timeout: seconds a call may wait in all; default `$TELEMETRY_LOCK_TIMEOUT`, else 5.
    durability: "durable": each call returns when its record is on disk. "relaxed": `log_event` hands over to a background thread,
        which writes many events with one flush; `flush()` is the barrier. A crash of the process may lose the last 0.1 seconds.
    discover_git: whether a run keeps repository and branch of the working folder.
    """

    def __init__(
        self,
        base_dir: str | os.PathLike[str] | None = None,
        db_path: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = None,
        durability: Literal["durable", "relaxed"] = "durable",
        discover_git: bool = True,
    ) -> None:
        self._failures: Counter[str] = Counter()
        self._named: set[str] = set()
        self._logged: set[str] = set()
        self._recorded = 0
        self._runs: OrderedDict[str, _Known] = OrderedDict()
        self._relaxed = durability == "relaxed"
        self._discover_git = discover_git
        self._config: Config | None = None
        self._writer: Writer | None = None
        self._guarded(lambda: self._open(base_dir, db_path, timeout, durability), None)

    def _open(
        self,
        base_dir: str | os.PathLike[str] | None,
        db_path: str | os.PathLike[str] | None,
        timeout: float | None,
        durability: str,
    ) -> None:
        if durability not in ("durable", "relaxed"):
            raise InvalidInput(
                f"durability: {durability!r} is not accepted; give durable or relaxed"
            )
        config = Config(
            os.fspath(db_path) if db_path is not None else None,
            os.fspath(base_dir) if base_dir is not None else None,
        )
        if timeout is not None:
            config.lock_timeout = rules.seconds("timeout", f"{timeout:.9f}")
        self._config = config
        self._writer = Writer(config, self._told)

    # Recording

    def start_run(
        self, agent_name: str, job_type: str, trigger_type: str | None = None, **fields: object
    ) -> str:
        """Record the start of a run and return its run_id. It may still wait in memory, see `flush`.

        An agent_name or job_type that is missing or empty is recorded as `unknown`.

        fields: any field of a run (`product="cells"`, `items_discovered=3`, `metrics={…}`, `start_time=` a datetime with a zone,
        `event_id=` the idempotency key: the same one again returns the run that is there). trigger_type
        defaults to what the CI provider names, else `cli`. parent_run_id defaults to the run
        that this code is tracked under, else `$TELEMETRY_EVENT_ID`; an empty one means no parent.
        """
        return self._start(agent_name, job_type, trigger_type, fields)

    def _start(
        self,
        agent_name: str,
        job_type: str,
        trigger_type: str | None,
        given: dict[str, object],
        *,
        ends_here: bool = False,
    ) -> str:
        def start() -> str:
            _, run_id, write = self._prepared(
                agent_name, job_type, trigger_type, given, ends_here=ends_here
            )
            try:
                return write()[1]
            except Waits as waits:
                self._tell(waits)
            return run_id

        return self._guarded(start, "")

    def _prepared(
        self,
        agent_name: str,
        job_type: str,
        trigger_type: str | None,
        given: dict[str, object],
        *,
        ends_here: bool = False,
    ) -> tuple[str, str, Callable[[], tuple[str, str]]]:
        """A run that keeps every rule: its event_id, its run_id, and what records it and returns both as they are recorded."""
        config, moment, begun, deadline = (
            self._settings(),
            clock.now(),
            time.monotonic(),
            self._deadline(),
        )
        named = {
            "agent_name": agent_name,
            "job_type": job_type,
            "trigger_type": trigger_type,
            **given,
        }
        # A git that does not answer must leave time to write.
        git_seconds = config.lock_timeout / 2 if self._discover_git and not config.disabled else 0.0
        unstorable = Unstorable(self._clean)
        data = fields.started(
            config,
            moment,
            named,
            unstorable,
            parent=tracking.current_run(),
            git_seconds=git_seconds,
            ends_here=ends_here,
        )
        self._name(unstorable)
        event_id, run_id = str(data["event_id"]), str(data["run_id"])
        known = _Known(
            event_id, str(data["start_time"]), begun if given.get("start_time") is None else None
        )
        for name in ("event_id", "run_id"):
            if name in unstorable.texts:
                # The host knows the run by the id that it gave.
                self._know(unstorable.texts[name], known)
        self._know(run_id, known)

        def write() -> tuple[str, str]:
            outcome = self._write_run("run.create", data, unstorable, clock.stamp(moment), deadline)
            recorded = str(outcome.result.get("run_id", run_id))
            self._know(
                recorded,
                known._replace(begun=None)
                if outcome.result.get("status") == "duplicate"
                else known,
            )
            return event_id, recorded

        return event_id, run_id, write

    def end_run(self, run_id: str, status: str = "success", **fields: object) -> bool:
        """Record how a run ended: success, failure, partial, timeout or cancelled. Returns whether that is recorded.

        Any other status is kept as text under `unstorable`, and the run ends as partial; None means success.

        end_time defaults to now and duration_ms (milliseconds) to the time since its start. fields: `items_succeeded=…`,
        `output_summary=…`, `error_summary=…`, `error_details=…`, `metrics={…}` (merged key by key) and any other field of a run.
        A run that has ended stays as it is: True.
        """
        return self._guarded(lambda: self._end(run_id, status, fields), False)

    def _end(
        self,
        run_id: str,
        status: object,
        given: dict[str, object],
        deadline: float | None = None,
        *,
        otherwise: str = "partial",
    ) -> bool:
        """Record the end of a run; with the status `otherwise` where the given one is invalid."""
        moment, unstorable = clock.now(), Unstorable(self._clean)
        fixed = {
            "run": self._reference(run_id),
            "status": fields.final_status(status, otherwise, unstorable),
        }
        data = {**fields.changed(self._settings(), moment, given, unstorable), **fixed}
        known = self._runs.get(run_id)
        if known and data.keys().isdisjoint(("start_time", "end_time", "duration_ms")):
            data |= known.ending()
        self._change("run.end", data, unstorable, clock.stamp(moment), deadline)
        return True

    def update_run(self, run_id: str, **fields: object) -> bool:
        """Set fields of a run, whatever its status; a text set to None is cleared. Returns whether that is recorded."""
        return self._guarded(lambda: self._update(run_id, fields), False)

    def _update(self, run_id: str, given: dict[str, object]) -> bool:
        moment, unstorable = clock.now(), Unstorable(self._clean)
        data = fields.changed(self._settings(), moment, given, unstorable)
        if not data and not unstorable.texts:
            raise InvalidInput("nothing to update: give at least one field")
        if "start_time" in data and run_id in self._runs:
            self._know(run_id, self._runs[run_id]._replace(begun=None))
        self._change(
            "run.update", {**data, "run": self._reference(run_id)}, unstorable, clock.stamp(moment)
        )
        return True

    def _change(
        self,
        kind: str,
        data: dict[str, object],
        unstorable: Unstorable,
        at: str,
        deadline: float | None = None,
    ) -> None:
        """Record a change of a run, with what of it could not be stored."""
        fields.lay_aside(data, unstorable)
        self._name(unstorable)
        self._write_run(kind, data, unstorable, at, deadline)

    def _write_run(
        self,
        kind: str,
        data: dict[str, object],
        unstorable: Unstorable,
        at: str,
        deadline: float | None,
    ) -> Outcome:
        """Record an operation on a run; without its times and its parent, where these contradict what is there."""
        try:
            return self._write(kind, data, at, deadline)
        except InvalidInput as error:
            contradicted = [name for name in _CONTRADICTED if data.get(name) is not None]
            if not contradicted:
                raise
            for name in contradicted:
                unstorable.add(name, data.pop(name), error.message)
        fields.lay_aside(data, unstorable)
        self._name(unstorable)
        return self._write(kind, data, at, deadline)

    def log_event(self, run_id: str, event_type: str, payload: object = None) -> bool:
        """Record that something happened during a run; payload is any value, see `TelemetryClient`. Returns whether it is recorded.

        An event_type that is missing or empty is recorded as `unknown`. With durability="relaxed": whether it will be, by the background thread.
        """
        return self._guarded(lambda: self._event(run_id, event_type, payload), False)

    def _event(self, run_id: str, event_type: str, payload: object) -> bool:
        unstorable = Unstorable(self._clean)
        data: dict[str, object] = {
            "event_type": fields.event_type(event_type, unstorable),
            "run": self._reference(run_id),
        }
        if payload is not None or unstorable.texts:
            data["payload"] = fields.payload(payload, unstorable)
        self._name(unstorable, "payload")
        at = clock.stamp(clock.now())
        if (
            self._relaxed
            and self._writer
            and not self._settings().disabled
            and self._writer.write_later(operation("run.event", data, at))
        ):
            return True
        self._write("run.event", data, at)
        return True

    def associate_commit(
        self,
        run_id: str,
        commit_hash: str,
        commit_source: str,
        commit_author: str | None = None,
        commit_timestamp: object = None,
        *,
        role: str = "produced",
        repo: str | None = None,
        branch: str | None = None,
    ) -> tuple[bool, str]:
        """Record which commit came of a run, and return (whether it is recorded, what came of it in words).

        commit_hash: a SHA of 7 to 40 hex digits, or 64. commit_source: manual, llm or ci; another value
        is replaced by the discovered one. commit_timestamp: a datetime with offset, or ISO 8601.
        role: produced, base or released; another value is stored as produced.
        """
        said = ["the client is not usable"]

        def associate() -> bool:
            try:
                moment = clock.now()
                sha = rules.commit_hash(str(commit_hash))
                if sha is None:
                    raise InvalidInput(
                        f"commit_hash: {rules.shorten(repr(commit_hash))} is not accepted; give a SHA of 7 to 40 hex digits, or 64"
                    )
                data: dict[str, object] = {
                    "run": self._reference(run_id),
                    "commit_hash": sha,
                    **self._commit_facts(
                        {
                            "source": commit_source,
                            "role": role,
                            "author": commit_author,
                            "timestamp": commit_timestamp,
                            "repo": repo,
                            "branch": branch,
                        },
                        moment,
                    ),
                }
                outcome = self._write(
                    "commit.associate",
                    {name: value for name, value in data.items() if value is not None},
                    clock.stamp(moment),
                )
                said[0] = (
                    f"buffered: {outcome.buffered.message}"
                    if outcome.buffered
                    else f"{run_id} is associated with {sha}"
                )
            except Exception as error:
                said[0] = _words(error)
                raise
            return True

        return self._guarded(associate, False), said[0]

    def _commit_facts(self, given: dict[str, object], moment: datetime) -> dict[str, object]:
        """What is told of a commit, so far as it can be stored."""
        unstorable = Unstorable(self._clean)
        facts = fields.commit_facts(given, moment, unstorable)
        self._name(unstorable, "commit")
        return facts

    def track_run(
        self, agent_name: str, job_type: str, trigger_type: str | None = None, **fields: object
    ) -> "tracking.Tracked":
        """A run around a block, or around every call of a function; sync and async alike.

            with client.track_run("nightly", "backup") as run:
                run.log_event("checkpoint", {"step": "upload"})
                run.set_metrics(items_succeeded=3, bytes=48213)

            @client.track_run("nightly", "backup")
            async def backup() -> None: ...

        An exception ends the run as failure (KeyboardInterrupt, asyncio.CancelledError: cancelled) with its type, message and traceback, and
        is raised on. `async with`, and a decorated coroutine function, record in a thread, so that the event loop goes on meanwhile.
        """
        return tracking.Tracked(self, agent_name, job_type, trigger_type, fields)

    # The rest

    def get_stats(self) -> dict[str, Any]:
        """Figures: total_runs, agents (agent → runs), recent_24h, running, rejected, schema_version of the database, where it can be read;
        recorded (records written), waiting (records in memory only), dropped (records given up) and failures (kind → number) of this client.
        """
        figures: dict[str, Any] = self._guarded(self._overview, {})
        waiting, dropped = (self._writer.waiting, self._writer.dropped) if self._writer else (0, 0)
        return figures | {
            "recorded": self._recorded,
            "waiting": waiting,
            "dropped": dropped,
            "failures": dict(self._failures),
        }

    def _overview(self) -> dict[str, Any]:
        config = self._settings()
        if sys.is_finalizing():
            # The last objects are finalized: SQLite may be gone already, and Python 3.13 crashes where it is used.
            return {}
        # Without catching up first: a backlog may take longer than the deadline.
        db = Store(config).open_unchanged()
        if db is None:
            return {}
        try:
            with translated(config.db_path):
                return runs.overview(db, clock.stamp(clock.now() - timedelta(days=1)))
        finally:
            db.close()

    def flush(self) -> bool:
        """Wait until everything recorded so far is durable. Returns whether it is."""

        def flush() -> bool:
            if self._writer:
                self._writer.flush(self._deadline())
            return True

        return self._guarded(flush, False)

    def close(self) -> bool:
        """The same, and end the background thread; a client may be used again."""

        def close() -> bool:
            if self._writer:
                self._writer.close(self._deadline())
            return True

        return self._guarded(close, False)

    # Behind all of them

    def _settings(self) -> Config:
        if self._config is None:
            raise InvalidInput("the client could not be set up; see the earlier message")
        return self._config

    @property
    def _patience(self) -> float:
        """Seconds that a call may take."""
        return self._config.lock_timeout if self._config else 0.0

    def _deadline(self) -> float:
        """Until when (monotonic seconds) a call that begins now may take."""
        return time.monotonic() + self._patience

    def _clean(self, text: str) -> str:
        """A text without secrets, for whoever keeps only a part of it: a secret that was cut would be known by no rule."""
        return Redactor(self._settings().redact_rules).text(text)

    def _reference(self, run_id: str) -> str:
        """The run's event_id where this process started it: a run_id may name several."""
        known = self._runs.get(run_id)
        return known.event_id if known else fields.reference(self._settings(), "run_id", run_id)

    def _know(self, run_id: str, known: _Known) -> None:
        self._runs[run_id] = known
        if len(self._runs) > _MOST_KNOWN:
            self._runs.popitem(last=False)

    def _write(
        self, kind: str, data: dict[str, object], at: str, deadline: float | None = None
    ) -> Outcome:
        """Record an operation, until `deadline` where the call has begun before. Raises the error that it ended with, as well as what the writer raises."""
        if self._settings().disabled:
            return Outcome(0, {})
        assert self._writer
        outcome = self._writer.write(
            operation(kind, data, at),
            deadline if deadline is not None else self._deadline(),
        )
        self._settle(outcome)
        return outcome

    def _settle(self, outcome: Outcome) -> None:
        """Count a record that is durable. Raises the error that it ended with."""
        outcome.check()
        if outcome.buffered:
            self._complain(
                "buffered",
                f"{outcome.buffered.message}; the record is durable and will be applied later",
                logging.INFO,
            )
        self._recorded += 1

    def _guarded(self, act: Callable[[], T], otherwise: T) -> T:
        """What `act` returns; `otherwise` when it fails, which is logged and counted and goes no further."""
        try:
            return act()
        except Exception as error:  # the host's work is worth more than our record of it
            self._tell(error)
        return otherwise

    def _told(self, outcome: Outcome) -> None:
        """What came of a record that the background thread has written, or a later call."""
        self._guarded(lambda: self._settle(outcome), None)

    def _tell(self, error: Exception) -> None:
        """Log and count what went wrong."""
        trouble = error.trouble if isinstance(error, Waits) else error
        said = _words(trouble)
        if isinstance(error, Waits):
            said = f"{said.removesuffix('.')}; the record waits in memory"
        # Messages about a field begin with its name.
        field = said.partition(":")[0] if isinstance(trouble, InvalidInput) else ""
        self._complain(
            trouble.slug if isinstance(trouble, TelemetryError) else type(trouble).__name__,
            said,
            field=field if field.isidentifier() else "",
        )

    def _name(self, unstorable: Unstorable, prefix: str = "") -> None:
        """Log and count values that could not be stored, each by its name once."""
        for path, reason in unstorable.reasons.items():
            name = f"{prefix}.{path}" if prefix else path
            is_new = name not in self._named and len(self._named) < _MOST_NAMED
            self._failures["unstorable"] += 1
            if is_new:
                self._named.add(name)
                self._log(logging.WARNING, f"{reason}; it is kept as text", f"unstorable {name}")
        unstorable.reasons.clear()

    def _complain(
        self, kind: str, message: str, level: int = logging.WARNING, field: str = ""
    ) -> None:
        """Count a failure, and log the first one of its kind, or of its kind and field."""
        self._failures[kind] += 1
        key = f"{kind} {field}" if field else kind
        if key not in self._logged:
            self._logged.add(key)
            self._log(level, message, key)

    def _log(self, level: int, message: str, kind: str) -> None:
        try:
            _log.log(
                level,
                "telemetry: %s (%s; further ones of this kind are counted, not logged)",
                message,
                kind,
            )
        except Exception:  # noqa: S110 - a handler of the host's that fails must not fail the host here
            pass


def _words(error: Exception) -> str:
    """What an error says; those of the host's values may not even say it."""
    if isinstance(error, NotDurable):
        # Its hint is for whoever sees the record on stderr.
        return error.message
    if isinstance(error, TelemetryError):
        return f"{error.message} {error.hint}".strip()
    try:
        return str(error)
    except Exception:
        return "its message cannot be read"


_default: list[TelemetryClient] = []


def track_run(
    agent_name: str, job_type: str, trigger_type: str | None = None, **fields: object
) -> "tracking.Tracked":
    """`TelemetryClient.track_run` of a client with default settings, made when it is first needed."""
    if not _default:
        _default.append(TelemetryClient())
    return _default[0].track_run(agent_name, job_type, trigger_type, **fields)
