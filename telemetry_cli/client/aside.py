"""Recording from asyncio, in threads: neither the event loop nor its executor has to do with it."""

import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry_cli.client.api import TelemetryClient


def has_loop() -> bool:
    """Tell whether an event loop is running here."""
    asyncio = None if sys.is_finalizing() else sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


class InThread:
    """Something that is recorded in a thread of its own, so that neither the event loop nor its executor has to do with it."""

    def __init__(
        self,
        client: "TelemetryClient",
        work: Callable[[], None],
        *,
        behind: "InThread | None" = None,
    ) -> None:
        from asyncio import get_running_loop

        loop = get_running_loop()
        self._client = client
        self._done = loop.create_future()

        def act() -> None:
            if behind is not None and behind._thread.is_alive():
                behind._thread.join()
            client._guarded(work, None)
            try:
                loop.call_soon_threadsafe(self._tell)
            except RuntimeError:
                # The loop has ended meanwhile, and nobody waits any more.
                return

        # Not a daemon: the end of the interpreter waits for it, and it for locks no longer than its deadline.
        self._thread = threading.Thread(target=copy_context().run, args=(act,), name="telemetry")
        if not client._guarded(self._started, False):
            self._tell()

    def _started(self) -> bool:
        self._thread.start()
        return True

    def _tell(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    async def done(self) -> None:
        """Wait until it is recorded, but not past the client's deadline; the thread goes on by itself then."""
        from asyncio import wait

        if not (await wait({self._done}, timeout=self._client._patience))[0]:
            self._client._guarded(self._late, None)

    def _late(self) -> None:
        raise TimeoutError(
            "recording took longer than the deadline, and goes on without being waited for"
        )
