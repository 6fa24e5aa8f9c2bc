"""Fixtures of the client's tests: a client on a base of its own, and what scripts of other processes begin with."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import INHERITED, Telemetry

from telemetry_cli import TelemetryClient


@pytest.fixture
def client(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> Iterator[TelemetryClient]:
    """A client on the base of `telemetry`, with nothing of our environment."""
    for variable in set(os.environ) - {*INHERITED, "PYTEST_CURRENT_TEST"}:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(telemetry.home))
    made = TelemetryClient(telemetry.base, discover_git=False)
    yield made
    made.close()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the client has logged so far."""
    caplog.set_level(logging.INFO, "telemetry_cli")
    return lambda: [record.message for record in caplog.records if record.name == "telemetry_cli"]


@pytest.fixture
def script(telemetry: Telemetry, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python code in a process of its own; `base` is there as a name, and so is TelemetryClient."""

    def run(code: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(
            f"from telemetry_cli import TelemetryClient\nbase = {str(telemetry.base)!r}\n{code}\n",
            encoding="utf-8",
        )
        # A fork with threads about is what some of it is about; Python 3.12 has something to say of that.
        command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", str(path)]
        done = subprocess.run(
            command,
            env=telemetry.env,
            cwd=telemetry.cwd,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not check or (done.returncode, done.stderr) == (0, ""), done
        return done

    return run
