"""A million rows from one hook: bounded memory, and no writer waits longer than its deadline."""

import subprocess

import pytest
from support.hooks import Hooks

pytestmark = pytest.mark.heavy

ROWS = 1_000_000
BODY = r"""
for line in sys.stdin:
    sys.stdout.write('{"id": "%s", "score": 0.5, "note": "as good as it gets"}\n' % json.loads(line)["id"])
"""


def test_a_million_rows(hooks: Hooks) -> None:
    records = hooks.folder / "records"
    with records.open("w") as file:
        file.writelines(f'{{"id": "subject-{number:08}"}}\n' for number in range(ROWS))
    hooks.release("large", BODY, "--timeout", "10m")
    env = {"TELEMETRY_LOCK_TIMEOUT": "2"}
    large = hooks.telemetry.measured(
        "hooks", "run", "large", "--input", str(records), stdout=subprocess.DEVNULL, env=env
    )
    writes = 0
    while large.process.poll() is None:
        hooks.telemetry.start("--no-git", env=env)
        writes += 1
    code, kib = large.ended()
    assert code == 0
    assert kib < 300 * 1024
    assert writes > 10
    assert hooks.telemetry("query", "--count").line == str(writes)
    (run,) = hooks.runs()
    assert (run["status"], run["rows"]) == ("passed", ROWS)
    assert hooks.telemetry.sql("SELECT count(*), count(superseded_by) FROM features") == [(ROWS, 0)]
