"""A full directory for temporary files is exit 75, and the error names it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Git, Telemetry

HOOK = '#!/bin/sh\nexec sed \'s/.*"id": *\\("[^"]*"\\).*/{"id": \\1, "score": 1}/\'\n'
CONTRACT = {
    "columns": [{"name": "score", "type": "integer", "required": True}],
    "cardinality": "one",
}


@pytest.fixture
def recorded(telemetry: Telemetry, make_git: Callable[..., Git]) -> Telemetry:
    """Records of each kind, in a repository with two commits and a hook."""
    git = make_git()
    (git.path / "file").write_text("text\n")
    script = git.path / "hook.sh"
    script.write_text(HOOK)
    script.chmod(0o755)
    (git.path / "contract.json").write_text(json.dumps(CONTRACT))
    git("add", ".")
    git.commit("one")
    git.commit("two")
    telemetry.cwd = git.path
    run = telemetry.start()
    telemetry("associate-commit", run)
    telemetry("run", "end", run, "--status", "success")
    git("commit", "--quiet", "--amend", "--allow-empty", "-m", "another two")
    telemetry("hooks", "release", "score", "--script", "hook.sh", "--contract", "contract.json")
    telemetry("export", "--to", "../runs.ndjson")
    return telemetry


@pytest.fixture
def directory(tmpfs: Callable[[str], Path]) -> Path:
    """A directory without space."""
    full = tmpfs("4k")
    (full / "filler").write_bytes(b"x" * 4096)
    return full


MANY_ROWS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10000) "
MANY_ROWS += "SELECT x, printf('%0500d', x) FROM n"
NEEDY = [
    ["hooks", "run", "score", "--force"],
    ["import", "../runs.ndjson", "--atomic"],
    ["query", "--search", "tester", "-o", "jsonl", "--limit", "0"],
    ["commits", "relink"],
    ["export", "--to", "../runs.csv"],
    ["sql", MANY_ROWS],
]
EASY = [
    ["hooks", "release", "other", "--script", "hook.sh", "--contract", "contract.json"],
    ["run", "exec", "--agent-name", "a", "--job-type", "j", "--", "true"],
    ["log", "-o", "json"],
    ["blame", "file", "-o", "json"],
    ["query", "--commit", "HEAD~1..HEAD", "-o", "json"],
    ["redact", "--fix"],
    ["doctor"],
    ["db", "backup"],
    ["db", "vacuum"],
    ["db", "rebuild"],
]


def _join(words: list[str]) -> str:
    return " ".join(words[:2])


@pytest.mark.parametrize("argv", NEEDY, ids=_join)
def test_command_without_scratch_space_exits_75(
    recorded: Telemetry, directory: Path, argv: list[str]
) -> None:
    ran = recorded(*argv, env={"TMPDIR": str(directory)}, code=75)
    assert str(directory) in ran.err and "TMPDIR" in ran.err


@pytest.mark.parametrize("argv", NEEDY, ids=_join)
def test_directory_that_is_missing_is_not_used(recorded: Telemetry, argv: list[str]) -> None:
    recorded(*argv, env={"TMPDIR": str(recorded.home / "missing")})


@pytest.mark.parametrize("argv", EASY, ids=_join)
def test_command_that_needs_no_scratch_space_does_without(
    recorded: Telemetry, directory: Path, argv: list[str]
) -> None:
    recorded(*argv, env={"TMPDIR": str(directory)})
