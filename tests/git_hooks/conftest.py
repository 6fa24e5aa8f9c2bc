"""Fixtures of the hook tests: repositories whose git runs with the program's environment, hooks installed."""

from pathlib import Path

import pytest
from support import Telemetry
from support.repository import Bare, Repository


@pytest.fixture
def bare_repository(telemetry: Telemetry, tmp_path: Path) -> Bare:
    """Make a repository without hooks."""

    def make(name: str = "repository") -> Repository:
        path = tmp_path / name
        path.mkdir()
        repository = Repository(path, telemetry)
        repository("init", "--quiet", "--initial-branch=main")
        return repository

    return make


@pytest.fixture
def repo(bare_repository: Bare) -> Repository:
    """A repository with all hooks installed."""
    repository = bare_repository()
    repository.telemetry("git-hooks", "install", cwd=repository.path)
    return repository
