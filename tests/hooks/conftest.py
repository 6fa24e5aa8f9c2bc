"""Fixtures of the hook tests."""

import pytest
from support import Telemetry
from support.hooks import Hooks


@pytest.fixture
def hooks(telemetry: Telemetry) -> Hooks:
    """The registry of a base that is empty."""
    return Hooks(telemetry)


@pytest.fixture
def three(hooks: Hooks) -> Hooks:
    """The registry of a base with the runs `run-1`, `run-2` and `run-3`."""
    for number in (1, 2, 3):
        hooks.telemetry.start("--event-id", f"run-{number}", "--no-git")
    return hooks
