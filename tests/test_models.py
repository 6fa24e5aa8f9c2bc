"""A run field is declared once: in a copy of the source, one line and a migration add one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import Telemetry

import telemetry_cli

LINE = '    team: Text = field("Team that owns the run.", options="start update")\n'
MIGRATION = "ALTER TABLE agent_runs ADD COLUMN team TEXT;\n"


@pytest.fixture
def with_team(tmp_path: Path) -> dict[str, str]:
    """The environment for a copy of the program in which a run has the field `team`."""
    source = tmp_path / "source" / "telemetry_cli"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(telemetry_cli.__file__).parent, source, ignore=ignored)
    models = source / "models.py"
    before, mark, after = models.read_text().partition("    metrics_json: ")
    models.write_text(before + LINE + mark + after)
    schema = source / "database" / "schema"
    version = max(int(path.name[:4]) for path in schema.glob("*.sql")) + 1
    (schema / f"{version:04}_team.sql").write_text(MIGRATION)
    env = {"PYTHONPATH": str(source.parent)}
    tables = subprocess.run(
        [sys.executable, "-m", "telemetry_cli.cli.generate"],
        cwd=source.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    (source / "core" / "tables.py").write_text(tables.stdout)
    return env


def test_run_field_is_added_by_one_line_and_a_migration(
    telemetry: Telemetry, with_team: dict[str, str], tmp_path: Path
) -> None:
    telemetry.start("--event-id", "older")
    telemetry.start("--event-id", "first", "--team", "core", env=with_team)
    telemetry.start("--event-id", "second", env=with_team)
    telemetry("run", "update", "second", "--team", "data", env=with_team)
    telemetry("doctor", env=with_team)
    teams = {"older": None, "first": "core", "second": "data"}
    query = ("query", "--columns", "event_id,team", "-o", "json")
    assert {run["event_id"]: run["team"] for run in telemetry(*query, env=with_team).json} == teams

    for name in ("runs.ndjson", "runs.csv", "runs.json"):
        path = str(tmp_path / name)
        telemetry("export", "--to", path, env=with_team)
        elsewhere = with_team | {"TELEMETRY_BASE_DIR": str(tmp_path / f"base of {name}")}
        telemetry("import", path, env=elsewhere)
        found = telemetry(*query, env=elsewhere).json
        assert {run["event_id"]: run["team"] for run in found} == teams, name
