"""Blobs beside those who delete: imports, releases and hook runs against prune, redact, vacuum and backup, killed in turn.

Whatever happens, every blob that a durable line names is there. `TELEMETRY_TESTS_LONG=1` takes 500 rounds.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.hooks import Hooks
from support.records import LEAST, write
from support.storage import START, assert_sound, next_day
from support.strace import needs_strace

from telemetry_cli.core.config import Config
from telemetry_cli.maintenance import integrity as damage

pytestmark = [pytest.mark.heavy, needs_strace]

ROUNDS = 500 if os.environ.get("TELEMETRY_TESTS_LONG") else 24
#: At which calls each is killed, in turn with not being killed at all.
_CALLS = ("rename", "unlink", "write", "fsync", "flock")
_CLEANERS = (
    ("db", "prune", "--older-than", "2020-01-01T00:00:00Z"),
    ("redact", "--fix"),
    ("db", "vacuum"),
    ("db", "backup"),
)
TOKEN = "TCK-123456"


def _started(telemetry: Telemetry, argv: tuple[str, ...], number: int) -> "subprocess.Popen[bytes]":
    """Start a command; every other round it is killed, each time at another call."""
    traced: list[str] = []
    if number % 2:
        call, when = _CALLS[number // 2 % len(_CALLS)], 1 + number // 2 // len(_CALLS) % 7
        traced = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:signal=SIGKILL:when={when}",
        ]
    return subprocess.Popen(
        [*traced, str(PROGRAM), *argv],
        env=telemetry.env,
        cwd=telemetry.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_every_blob_that_a_line_names_is_there(telemetry: Telemetry) -> None:
    hooks = Hooks(telemetry)
    telemetry(*START, "--event-id", "first")
    hooks.release("scores")
    folder = Path(hooks.folder, "folder")
    folder.mkdir()
    hooks.program("folder/run", "pass\n")
    # The same content each time, so that older segments name the blob too; and one that a rule calls a secret.
    same = write(telemetry.cwd / "same.ndjson", LEAST | {"event_id": "same"})
    stained = write(
        telemetry.cwd / "stained.ndjson", LEAST | {"event_id": "stained", "input_summary": TOKEN}
    )
    shutil.copy(same, folder / "data")
    writers = (
        ("import", same),
        ("import", stained),
        ("hooks", "run", "scores", "--run", "first", "--force"),
        (
            "hooks",
            "release",
            "files",
            "--script",
            str(folder),
            "--contract",
            str(hooks.contract()),
            "--source-ref",
            "tests",
        ),
    )
    config = Config(base_dir=str(telemetry.base))
    rule = telemetry.home / ".config" / "telemetry" / "config.toml"
    rule.parent.mkdir(parents=True)
    for number in range(ROUNDS):
        # A new segment, and a backup behind all that was before it: there is something to prune.
        next_day(telemetry, f"2999{number // 28 + 1:04}{number % 28 + 1:02}")
        telemetry(*START)
        for backup in (telemetry.base / "backups").glob("backup_*"):
            backup.unlink()
        telemetry("db", "backup")
        telemetry("import", same)
        cleaner = _CLEANERS[number // 2 % len(_CLEANERS)]
        writer = _started(telemetry, writers[number % len(writers)], number // 4)
        # The writer does not know the rule yet.
        rule.write_text(f"[redact]\nticket = '{TOKEN}'\n" if cleaner[0] == "redact" else "")
        beside = _started(telemetry, cleaner, number // 3 + 1)
        writer.wait()
        beside.wait()
        rule.write_text("")
        lost = [found.what for found in damage.found(config) if found.line is None]
        assert lost == [], (number, writers[number % len(writers)], cleaner)
    telemetry("redact", "--fix", code=None)
    assert_sound(telemetry)
    assert [
        row for row in telemetry("doctor", "--json", code=None).json if row["severity"] == "problem"
    ] == []
