"""The installed program under strace: killed, or met with an error, at any system call that touches the base; or recorded."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from support import PROGRAM, Ran, Telemetry

needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
#: Calls that change something, or take or make it durable. Killed at any other, the files are as before the next of these.
CALLS = (
    "mkdir",
    "chmod",
    "fchmod",
    "fchown",
    "openat",
    "write",
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "unlink",
    "rename",
    "flock",
    "fcntl",
)
#: Those that only a command of ours makes, wherever its files are: for commands whose files have names of their own each time.
CHANGES = (
    "mkdir",
    "chmod",
    "fchmod",
    "write",
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "unlink",
    "rename",
    "flock",
)
#: Every call that touches a file of the base.
EVERY = (*CALLS, "close", "read", "pread64", "fstat", "newfstatat", "lseek", "getdents64")
_CALL = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)


class Traced:
    """The program under strace, which sees only the calls that touch the base."""

    def __init__(self, telemetry: Telemetry) -> None:
        if subprocess.run(["strace", "-f", "true"], capture_output=True).returncode:
            pytest.skip("strace may not trace here")
        self.telemetry = telemetry
        self.log = telemetry.home / "calls"

    def __call__(
        self,
        argv: tuple[str, ...],
        *options: str,
        paths: bool = True,
        calls: tuple[str, ...] = CALLS,
    ) -> Ran:
        filtered = (
            [option for path in self._paths() for option in ("-P", str(path))] if paths else []
        )
        command = [
            "strace",
            "-f",
            "-qq",
            "-o",
            str(self.log),
            "-e",
            f"trace={','.join(calls)}",
            *filtered,
            *options,
            str(PROGRAM),
            *argv,
        ]
        done = subprocess.run(
            command, env=self.telemetry.env, cwd=self.telemetry.cwd, capture_output=True, timeout=60
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def _paths(self) -> list[Path]:
        base, raw, database = self.telemetry.base, self.telemetry.raw, self.telemetry.database
        segments = sorted(raw.glob("ops_*")) or [raw / f"ops_{day}.ndjson" for day in todays()]
        beside = [Path(f"{database}{suffix}") for suffix in ("", "-journal", ".lock")]
        return [
            base,
            raw,
            raw / ".lock",
            *segments,
            database.parent,
            *beside,
            self.telemetry.buffer,
            *self.telemetry.buffer.glob("*"),
        ]

    def order(self, argv: tuple[str, ...], calls: tuple[str, ...]) -> list[str]:
        """Run the command, and return these calls of it in their order."""
        self(argv, paths=False, calls=calls)
        return _CALL.findall(self.log.read_text())

    def points(
        self, argv: tuple[str, ...], *, paths: bool = True, calls: tuple[str, ...] = CALLS
    ) -> list[tuple[str, int]]:
        """Every (call, n) at which the command can be killed; strace counts each kind of call for itself."""
        self(argv, paths=paths, calls=calls)
        found = Counter(_CALL.findall(self.log.read_text()))
        return [(call, n) for call, count in found.items() for n in range(1, count + 1)]


def todays() -> list[str]:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    return sorted({f"{moment:%Y%m%d}" for moment in (now, now + timedelta(minutes=1))})
