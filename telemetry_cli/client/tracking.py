"""A run around a block or a function: `with client.track_run(…) as run:`, `async with`, `@client.track_run(…)`."""

import sys
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from telemetry_cli import rules

if TYPE_CHECKING:
    from telemetry_cli.client.api import TelemetryClient

F = TypeVar("F", bound=Callable[..., Any])

#: The event_id of the run that the code of this thread or task is tracked under.
_current: ContextVar[str | None] = ContextVar("telemetry_run", default=None)

#: What `set_metrics` takes for fields of the run; every other name is a metric.
_FIELDS = frozenset((*rules.COUNT_FIELDS, "output_summary", "error_summary", "error_details", "status"))
_LONGEST_SUMMARY = 500


def current_run() -> str | None:
    """The event_id of the run that this code is tracked under, or None."""
    return _current.get()


class RunContext:
    """A run while it is tracked. `run_id` and `event_id` are empty when its fields broke a rule; then nothing is recorded of it."""

    def __init__(self, client: "TelemetryClient") -> None:
        self._client = client
        self._fields: dict[str, object] = {}
        self._metrics: dict[str, object] = {}
        self.event_id = ""
        self.run_id = ""

    def log_event(self, event_type: str, payload: object = None) -> bool:
        """Record that something happened; payload is anything that JSON can hold. Returns whether it is recorded."""
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
        self._metrics.update(metrics or {})

    def _begin(self, agent_name: str, job_type: str, trigger_type: str, fields: dict[str, object]) -> None:
        def prepare() -> Callable[[], tuple[str, str]]:
            self.event_id, self.run_id, write = self._client._prepared(agent_name, job_type, trigger_type, dict(fields), ends_here=True)
            return write

        write = self._client._guarded(prepare, None)
        if write:
            # What cannot be written now waits in memory, and what follows waits behind it, so the run is whole in the end.
            self.event_id, self.run_id = self._client._guarded(write, (self.event_id, self.run_id))

    def _finish(self, error: BaseException | None) -> None:
        if not self.run_id:
            return
        fields = dict(self._fields)
        if error is not None:
            fields = {"error_summary": _summary(error), "error_details": _details(error)} | fields | {"status": _status(error)}
        if self._metrics:
            fields["metrics"] = self._metrics
        status = fields.pop("status", "success")
        if not self._client.end_run(self.run_id, str(status), **fields):
            # What was set by hand may break a rule; that the run ended must be recorded even so.
            self._client.end_run(self.run_id, _status(error) if error is not None else "success")


class Tracked:
    """What `track_run` returns: enter it, or decorate with it."""

    def __init__(self, client: "TelemetryClient", agent_name: str, job_type: str, trigger_type: str, fields: dict[str, object]) -> None:
        self._client = client
        self._begins_with = (agent_name, job_type, trigger_type, fields)
        self._entered: list[tuple[RunContext, Token[str | None]]] = []

    def __enter__(self) -> RunContext:
        run = RunContext(self._client)
        run._begin(*self._begins_with)
        self._enter(run)
        return run

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None) -> None:
        self._leave()._finish(error)

    async def __aenter__(self) -> RunContext:
        import asyncio

        run = RunContext(self._client)
        # Shielded: a run that was begun must be ended, though whoever began it is cancelled meanwhile.
        begun = asyncio.ensure_future(asyncio.to_thread(run._begin, *self._begins_with))
        try:
            await asyncio.shield(begun)
        except asyncio.CancelledError as error:
            cancelled = error
            begun.add_done_callback(lambda _: run._finish(cancelled))
            raise
        self._enter(run)
        return run

    async def __aexit__(self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None) -> None:
        import asyncio

        await asyncio.shield(asyncio.to_thread(self._leave()._finish, error))

    def _enter(self, run: RunContext) -> None:
        self._entered.append((run, _current.set(run.event_id or _current.get())))

    def _leave(self) -> RunContext:
        run, token = self._entered.pop()
        try:
            _current.reset(token)
        except ValueError:
            # Left in another context than it was entered in, which a generator's end may do.
            _current.set(token.old_value if token.old_value is not Token.MISSING else None)
        return run

    def __call__(self, function: F) -> F:
        """Track every call of a function or coroutine function; a generator function is tracked from its first step to its last."""
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        def again() -> Tracked:
            return Tracked(self._client, *self._begins_with)

        if iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                async with again():
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]
        if isgeneratorfunction(function):

            @wraps(function)
            def iterated(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return (yield from function(*args, **kwargs))

            return iterated  # type: ignore[return-value]
        if isasyncgenfunction(function):

            @wraps(function)
            async def streamed(*args: Any, **kwargs: Any) -> Any:
                async with again():
                    async for item in function(*args, **kwargs):
                        yield item

            return streamed  # type: ignore[return-value]

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]


def _status(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "failure" if error.code else "success"
    # Not imported for this: who has no event loop was not cancelled by one.
    cancelled = getattr(sys.modules.get("asyncio.exceptions"), "CancelledError", KeyboardInterrupt)
    return "cancelled" if isinstance(error, (KeyboardInterrupt, GeneratorExit, cancelled)) else "failure"


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _summary(error: BaseException) -> str:
    """The error's type and message in a line."""
    try:
        message = str(error)
    except Exception:
        message = "its message cannot be read"
    name = type(error).__name__
    return _storable(f"{name}: {message}" if message else name)[:_LONGEST_SUMMARY]


def _details(error: BaseException) -> str:
    try:
        return _storable("".join(traceback.format_exception(error)))
    except Exception:
        return ""
