"""The installed program, and `python -m telemetry_cli`."""

import os

# Without type stubs. `signal` imports enum first, and Ctrl-C meanwhile would show a traceback.
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_UNBLOCK,
    SIGINT,
    default_int_handler,
    getsignal,
    pthread_sigmask,
    signal,
)

if getsignal(SIGINT) is default_int_handler:
    # Ctrl-C ends us as it ends any program, at any moment: what is acknowledged is durable by then.
    # Set before the imports, which would show a traceback instead.
    signal(SIGINT, SIG_DFL)

from telemetry_cli.cli.main import main
from telemetry_cli.cli.output.plain import flush_streams


def program() -> None:
    """Run `main`, and leave without the interpreter's farewell, which costs as much as the discovery of git."""
    code = main()
    flush_streams()
    if code < 0:
        signal(-code, SIG_DFL)
        os.kill(os.getpid(), -code)
        pthread_sigmask(SIG_UNBLOCK, (-code,))
    os._exit(code)


if __name__ == "__main__":
    program()
