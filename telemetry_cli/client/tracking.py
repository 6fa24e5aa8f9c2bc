"""A run around a block or a function: `with client.track_run(…) as run:`, `async with`, `@client.track_run(…)`."""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from telemetry_cli.client.aside import InThread, has_loop
from telemetry_cli.client.waiting import Waits
from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput

if TYPE_CHECKING:
    from telemetry_cli.client.api import TelemetryClient

F = TypeVar("F", bound=Callable[..., Any])

#: What the code of this thread or task is tracked under, the innermost last.
entered: ContextVar[tuple[tuple["Tracked", "RunContext"], ...]] = ContextVar(
    "telemetry_runs", default=()
)

#: What `set_metrics` takes for fields of the run; every other name is a metric.
_FIELDS = frozenset(
    (*rules.COUNT_FIELDS, "output_summary", "error_summary", "error_details", "status")
)
_LONGEST_SUMMARY = 500


def current_run() -> str | None:
    """The event_id of the run that this code is tracked under, or None."""
    return next((run.event_id for _, run in reversed(entered.get()) if run.event_id), None)


class RunContext:
    """A run while it is tracked. `run_id` and `event_id` are empty when nothing can be recorded of it."""

    def __init__(self, client: "TelemetryClient") -> None:
        self._client = client
        self._fields: dict[str, object] = {}
        self._metrics: dict[str, object] = {}
        self._begun: InThread | None = None
        # A child that is forked within the block leaves it too.
        self._process = os.getpid()
        self.event_id = ""
        self.run_id = ""

    def log_event(self, event_type: str, payload: object = None) -> bool:
        """Record that something happened; payload is any value, see `TelemetryClient`. Returns whether it is recorded."""
        return bool(self.run_id) and self._client.log_event(self.run_id, event_type, payload)

    def set_metrics(self, metrics: Mapping[str, object] | None = None, /, **values: object) -> None:
        """Set what the run ends with; the last word counts.

        items_discovered, items_succeeded, items_failed, items_skipped, duration_ms (milliseconds), output_summary, error_summary, error_details
        and status are fields of the run; `metrics_json={…}` and every other name go into its metrics.
        """
        for name, value in values.items():
            if name in _FIELDS:
                self._fields[name] = value
            elif name == "metrics_json" and isinstance(value, Mapping):
                self._metrics.update(value)
            else:
                self._metrics[name] = value
        if metrics is not None:
            self._client._guarded(lambda: self._metrics.update(_mapping(metrics)), None)

    def _begin(
        self, agent_name: str, job_type: str, trigger_type: str | None, fields: dict[str, object]
    ) -> None:
        def prepare() -> Callable[[], tuple[str, str]]:
            self.event_id, self.run_id, write = self._client._prepared(
                agent_name, job_type, trigger_type, dict(fields), ends_here=True
            )
            return write

        write = self._client._guarded(prepare, None)
        if write:
            # What cannot be written now waits in memory, and what follows waits behind it, so the run is whole in the end.
            self.event_id, self.run_id = self._client._guarded(write, (self.event_id, self.run_id))

    async def _begin_aside(self, *begins_with: Any) -> None:
        """Begin in a thread. A run that was begun is ended, though whoever began it is cancelled meanwhile."""
        from asyncio import CancelledError

        self._begun = begun = InThread(self._client, lambda: self._begin(*begins_with))
        try:
            await begun.done()
        except CancelledError as error:
            cancelled = error
            InThread(self._client, lambda: self.finish(cancelled), behind=begun)
            raise

    def finish(self, error: BaseException | None) -> None:
        """Record how the run ended: with `error`, or well. Only the process that began it knows."""
        if not self.run_id or self._process != os.getpid():
            return
        if error is not None and _is_success(error):
            error = None
        said: dict[str, object] = (
            {"error_summary": self._summary(error), "error_details": _details(error)}
            if error is not None
            else {}
        )
        fields: dict[str, object] = {**said, **self._fields}
        given_status = fields.pop("status", None)
        status = _status(error) if error is not None else given_status
        if self._metrics:
            fields["metrics"] = self._metrics
        deadline = self._client._deadline()

        def end(status: object, given: dict[str, object]) -> bool:
            try:
                self._client._end(self.run_id, status, given, deadline, otherwise="success")
            except Waits as waits:
                self._client._tell(waits)
            return True

        if not self._client._guarded(partial(end, status, fields), False):
            # Together they may still be too much; that the run ended, and why, must be recorded even so.
            self._client._guarded(partial(end, status, said), False)

    async def finish_aside(self, error: BaseException | None) -> None:
        """Record it in a thread, behind the beginning."""
        if self._process != os.getpid():
            return
        if not has_loop():
            # Its event loop has left the coroutine behind, and whatever closes it comes here.
            self._client._guarded(lambda: self.finish(error), None)
            return
        await InThread(self._client, lambda: self.finish(error), behind=self._begun).done()

    def _summary(self, error: BaseException) -> str:
        """The error's type and message in a line, as far as it is kept."""
        return self._client._guarded(
            lambda: self._client._clean(_message(error))[:_LONGEST_SUMMARY], type(error).__name__
        )


class Tracked:
    """What `track_run` returns: enter it, or decorate with it."""

    def __init__(
        self,
        client: "TelemetryClient",
        agent_name: str,
        job_type: str,
        trigger_type: str | None,
        fields: dict[str, object],
    ) -> None:
        self._client = client
        self._begins_with = (agent_name, job_type, trigger_type, fields)
        #: What was entered and not left yet, wherever.
        self._open: list[RunContext] = []

    def begun(self) -> RunContext:
        """A run that is recorded as begun, and not entered."""
        run = RunContext(self._client)
        run._begin(*self._begins_with)
        return run

    async def begun_aside(self) -> RunContext:
        """The same, recorded in a thread."""
        run = RunContext(self._client)
        await run._begin_aside(*self._begins_with)
        return run

    def __enter__(self) -> RunContext:
        return self._enter(self.begun())

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._leave().finish(error)

    async def __aenter__(self) -> RunContext:
        return self._enter(await self.begun_aside())

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self._leave().finish_aside(error)

    def _enter(self, run: RunContext) -> RunContext:
        self._open.append(run)
        entered.set((*entered.get(), (self, run)))
        return run

    def _leave(self) -> RunContext:
        stack = entered.get()
        for place in range(len(stack) - 1, -1, -1):
            tracked, run = stack[place]
            if tracked is self and run in self._open:
                entered.set(stack[:place] + stack[place + 1 :])
                self._open.remove(run)
                return run
        # Left in another context than it was entered in, which a generator's end may do.
        return self._open.pop()

    def __call__(self, function: F) -> F:
        """Track every call of a function or coroutine function; a generator function is tracked from its first step to its last."""
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        from telemetry_cli.client import generators

        def again() -> Tracked:
            return Tracked(self._client, *self._begins_with)

        def acts_as(kind: Callable[[object], bool]) -> bool:
            return kind(function) or kind(type(function).__call__)

        if acts_as(iscoroutinefunction):

            @wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                async with again():
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]
        if acts_as(isgeneratorfunction):
            return generators.tracked_generator(function, again)  # type: ignore[return-value]
        if acts_as(isasyncgenfunction):
            return generators.tracked_async_generator(function, again)  # type: ignore[return-value]

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]


def _mapping(metrics: object) -> dict[str, object]:
    if not isinstance(metrics, Mapping):
        raise InvalidInput(f"metrics: a dict is needed, not {type(metrics).__name__}")
    return dict(metrics)


def _is_success(error: BaseException) -> bool:
    """Tell whether the interpreter would exit with 0: `sys.exit()` and `sys.exit(0)`."""
    return isinstance(error, SystemExit) and (
        error.code is None or (isinstance(error.code, int) and error.code == 0)
    )


def _status(error: BaseException) -> str:
    # Not imported for this: who has no event loop was not cancelled by one.
    cancelled = getattr(sys.modules.get("asyncio.exceptions"), "CancelledError", KeyboardInterrupt)
    return (
        "cancelled"
        if isinstance(error, (KeyboardInterrupt, GeneratorExit, cancelled))
        else "failure"
    )


def _message(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:
        message = "its message cannot be read"
    name = type(error).__name__
    return rules.escape_text(f"{name}: {message}" if message else name)


def _details(error: BaseException) -> str:
    try:
        return rules.escape_text("".join(traceback.format_exception(error)))
    except Exception:
        return ""
