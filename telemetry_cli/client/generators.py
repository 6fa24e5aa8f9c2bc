"""Generators that are tracked: a run from the first step to the last, the current one only while the generator runs."""

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telemetry_cli.client.tracking import RunContext, Tracked

    Again = Callable[[], Tracked]


class _Inside:
    """The runs that a generator is in: in place while it runs, and taken away when it is suspended, for what happens then is its caller's."""

    def __init__(self, tracked: "Tracked", run: "RunContext") -> None:
        from telemetry_cli.client.tracking import entered

        self._entered = entered
        self._own: tuple[tuple[Tracked, RunContext], ...] = ((tracked, run),)
        self._around: tuple[tuple[Tracked, RunContext], ...] = ()

    def __enter__(self) -> None:
        self._around = self._entered.get()
        self._entered.set((*self._around, *self._own))

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # Those too that the generator has entered itself, and is still in.
        self._own = self._entered.get()[len(self._around) :]
        self._entered.set(self._around)


def tracked_generator(
    function: Callable[..., Generator[Any, Any, Any]], again: "Again"
) -> Callable[..., Generator[Any, Any, Any]]:
    """A generator function each generator of which is tracked; `send`, `throw` and `close` reach it as without that."""

    @wraps(function)
    def iterated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator, tracked = function(*args, **kwargs), again()
        run = tracked.begun()
        inside = _Inside(tracked, run)
        step: Callable[[], Any] = partial(next, generator)
        while True:
            try:
                with inside:
                    item = step()
            except StopIteration as end:
                run.finish(None)
                return end.value
            except BaseException as error:
                run.finish(error)
                raise
            try:
                sent = yield item
            except BaseException as error:
                step = partial(generator.throw, error)
            else:
                step = partial(generator.send, sent)

    return iterated


def tracked_async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], again: "Again"
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """The same of an async generator function: `asend`, `athrow` and `aclose`."""

    @wraps(function)
    async def streamed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator, tracked = function(*args, **kwargs), again()
        run = await tracked.begun_aside()
        inside = _Inside(tracked, run)
        step: Callable[[], Any] = partial(_first, generator)
        while True:
            try:
                with inside:
                    item = await step()
            except StopAsyncIteration:
                await run.finish_aside(None)
                return
            except BaseException as error:
                await run.finish_aside(error)
                raise
            try:
                sent = yield item
            except GeneratorExit as error:
                step = partial(_closed, generator, error)
            except BaseException as error:
                step = partial(generator.athrow, error)
            else:
                step = partial(generator.asend, sent)

    return streamed


def _first(generator: AsyncGenerator[Any, Any]) -> Any:
    """The first step. The event loop is not told of the generator: it closes the one around, and closing both at once fails."""
    import sys

    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


async def _closed(generator: AsyncGenerator[Any, Any], error: GeneratorExit) -> Any:
    await generator.aclose()
    raise error
