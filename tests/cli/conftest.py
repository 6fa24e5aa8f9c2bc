"""Fixtures of the contract tests: a base that holds one run."""

from pathlib import Path

import pytest
from support import Telemetry


@pytest.fixture
def known(telemetry: Telemetry) -> Telemetry:
    """The program with a base that holds the run `known-run` (run_id `the known one`)."""
    telemetry.start(
        "--event-id",
        "known-run",
        "--run-id",
        "the known one",
        "--start-time",
        "2026-03-01T12:00:00Z",
        "--no-git",
    )
    return telemetry


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """As `known`, one for all tests of a module: for tests that write nothing."""
    program = Telemetry(tmp_path_factory.mktemp("shared"))
    program.start(
        "--event-id",
        "known-run",
        "--run-id",
        "the known one",
        "--start-time",
        "2026-03-01T12:00:00Z",
        "--no-git",
    )
    return program


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A file that holds the JSON object `{"from": "file"}`."""
    path = tmp_path / "document.json"
    path.write_text('{"from": "file"}')
    return path
