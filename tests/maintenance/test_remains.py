"""What killed commands leave: nothing outside of the base, and nothing in it that `redact` and `doctor` do not know."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.records import LEAST, write
from support.storage import FLOCKED, START, append, create, held, read_only
from support.strace import needs_strace

from telemetry_cli.core.config import Config
from telemetry_cli.journal import blobs

SECRET = "TCK-123456"


@pytest.fixture
def stained(telemetry: Telemetry) -> Telemetry:
    """A base whose database and journal hold what a later rule calls a secret."""
    telemetry.start("--event-id", "first", "--input-summary", SECRET)
    temporary = telemetry.home / "tmp"
    temporary.mkdir()
    telemetry.env["TMPDIR"] = str(temporary)
    return telemetry


def add_rule(telemetry: Telemetry) -> None:
    """From now on it is one."""
    path = telemetry.home / ".config" / "telemetry" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[redact]\nticket = 'TCK-[0-9]{6}'\n")


def kill(
    telemetry: Telemetry, call: str, *argv: str, number: int = 1, env: dict[str, str] | None = None
) -> None:
    """Run a command that is killed when it makes a system call for the n-th time."""
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:signal=SIGKILL:when={number}",
        str(PROGRAM),
        *argv,
    ]
    done = subprocess.run(
        command, env=telemetry.env | (env or {}), cwd=telemetry.cwd, capture_output=True, timeout=60
    )
    if b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == -9, done.stderr


def holders(folder: Path) -> list[str]:
    """The files below a folder that hold the secret."""
    return sorted(
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    )


def _backup(telemetry: Telemetry) -> None:
    kill(telemetry, "rename", "db", "backup")


def _backup_elsewhere(telemetry: Telemetry) -> None:
    kill(telemetry, "linkat,rename", "db", "backup", str(telemetry.home / "saved.sqlite"))


def _import(telemetry: Telemetry) -> None:
    records = [LEAST | {"event_id": f"i{number}", "input_summary": SECRET} for number in range(3)]
    kill(telemetry, "rename", "import", write(telemetry.home / "runs.ndjson", *records))
    os.unlink(telemetry.home / "runs.ndjson")


def _buffered_record(telemetry: Telemetry) -> None:
    with held(FLOCKED, telemetry.raw / ".lock"):
        kill(
            telemetry,
            "rename",
            *START,
            "--input-summary",
            SECRET,
            env={"TELEMETRY_LOCK_TIMEOUT": "0"},
        )


def _rebuild(telemetry: Telemetry) -> None:
    kill(telemetry, "rename", "db", "rebuild")


def _restore(telemetry: Telemetry) -> None:
    backup = telemetry("db", "backup").line
    kill(telemetry, "rename", "db", "restore", backup)


def _redaction(telemetry: Telemetry) -> None:
    add_rule(telemetry)
    kill(telemetry, "rename", "redact", "--fix")
    shutil.rmtree(telemetry.home / ".config")


def _redaction_in_place(telemetry: Telemetry) -> None:
    add_rule(telemetry)
    kill(telemetry, "rename", "redact", "--fix", number=2)
    shutil.rmtree(telemetry.home / ".config")


def _doctor(telemetry: Telemetry) -> None:
    kill(telemetry, "unlinkat", "doctor")


KILLED = [
    _backup,
    _backup_elsewhere,
    _import,
    _buffered_record,
    _rebuild,
    _restore,
    _redaction,
    _redaction_in_place,
    _doctor,
]


@needs_strace
@pytest.mark.parametrize("command", KILLED, ids=lambda command: command.__name__.strip("_"))
def test_what_a_killed_command_leaves_is_known_and_removed(
    stained: Telemetry, command: Callable[[Telemetry], None]
) -> None:
    before = set(stained.files())
    command(stained)
    left = {
        name
        for name in set(stained.files()) - before - {"backups", "blobs", "buffer"}
        if not name.endswith(".lock") and "/backup_" not in name
    }
    roots = {name for name in left if not any(name.startswith(f"{other}/") for other in left)}
    assert roots, "it was killed before it was done"
    assert [path for path in holders(stained.home) if not path.startswith(f"{stained.base}/")] == []
    named = {row["where"] for row in stained("doctor", "--json", code=None).json}
    assert {str(stained.base / name) for name in roots} <= named
    add_rule(stained)
    findings = stained("redact", "--scan", "--json", code=None).json["findings"]
    stains = {os.path.relpath(path, stained.base) for path in holders(stained.base)}
    places = " ".join(
        str(finding["place"]) for finding in findings if finding["where"] == "remains"
    )
    assert all(
        name in places
        for name in stains
        if any(name == root or name.startswith(f"{root}/") for root in roots)
    )
    stained("redact", "--fix")
    assert holders(stained.home) == []
    assert stained("redact", "--scan", "--json").json["findings"] == []
    assert not roots & set(stained.files())
    assert stained.run("first")["input_summary"] == "[redacted]"


@needs_strace
def test_what_the_first_command_of_a_base_leaves_is_removed(telemetry: Telemetry) -> None:
    """There is no journal and no database yet."""
    _import(telemetry)
    add_rule(telemetry)
    assert telemetry("redact", "--scan", "--json", code=None).json["findings"]
    telemetry("redact", "--fix")
    assert holders(telemetry.base) == []


def test_doctor_of_a_full_disk_looks_at_its_copy_elsewhere(
    stained: Telemetry, tmpfs: Callable[[str], Path]
) -> None:
    disk = tmpfs("1m")
    shutil.copytree(stained.base, disk / "base")
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    assert stained("doctor", env={"TELEMETRY_BASE_DIR": str(disk / "base")}).out == "All is well.\n"
    assert list((stained.home / "tmp").iterdir()) == []


@needs_strace
def test_a_killed_export_leaves_nothing(stained: Telemetry) -> None:
    kill(stained, "linkat,rename", "export", "--to", str(stained.home / "runs.ndjson"))
    assert [path for path in holders(stained.home) if not path.startswith(f"{stained.base}/")] == []


def test_what_a_living_command_writes_stays(stained: Telemetry) -> None:
    """Its blob is kept, though everything unfinished is removed meanwhile."""
    config = Config(base_dir=str(stained.base))

    def chunks() -> Iterator[bytes]:
        yield b"a"
        stained("redact", "--fix")
        assert stained("doctor", "--json").json == []
        yield b"b"

    with blobs.Lease(config) as lease:
        digest = lease.put(chunks())
    assert b"".join(blobs.content(config, digest)) == b"ab"


def test_a_backup_goes_elsewhere_where_the_base_cannot_be_written(stained: Telemetry) -> None:
    with read_only(stained.base):
        made = stained("db", "backup", str(stained.home / "saved.sqlite")).line
    assert Path(made).stat().st_mode & 0o777 == 0o600
    append(stained, create(1, "second"))
    stained("db", "restore", made)
    assert stained("query", "--count").line == "2"
