"""The program in a terminal of its own."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

from support import PROGRAM, Telemetry


def drawn(
    telemetry: Telemetry,
    width: int,
    *argv: str,
    keys: bytes = b"",
    env: dict[str, str] | None = None,
) -> str:
    """What the program draws on a terminal of 40 lines of that width, where `keys` are pressed."""
    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    os.write(terminal, keys)
    env = telemetry.env | {"TERM": "xterm-256color"} | (env or {})
    process = subprocess.Popen(
        [str(PROGRAM), *argv],
        env=env,
        cwd=telemetry.cwd,
        stdin=side,
        stdout=side,
        start_new_session=True,
    )
    os.close(side)
    output = b""
    try:
        while chunk := os.read(terminal, 65536):
            output += chunk
    except OSError:
        pass
    os.close(terminal)
    assert process.wait(timeout=60) == 0
    return output.decode().replace("\r\n", "\n")
