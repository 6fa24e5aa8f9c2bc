"""Power cuts at every point of every kind of write: what was acknowledged is there after the next command, once.

The commands run under strace as installed; the images of the disk are brought up in this process, thousands of them.
`TELEMETRY_TESTS_LONG=1` makes twenty times as many.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry, legacy_database, power_cut
from support.hooks import SCORE, Hooks
from support.maintenance import UPKEEP
from support.records import LEAST
from support.repository import Repository
from support.storage import NAMED, START, Fact, wrong_after
from support.strace import needs_strace

pytestmark = [pytest.mark.heavy, needs_strace]

IMAGES = 2000 * (20 if os.environ.get("TELEMETRY_TESTS_LONG") else 1)

#: A command, and what is asked of the database: its answer before, and after the command was acknowledged.
Seen = Callable[[str, object], None]
Step = tuple[tuple[str, ...], str, object, object]


def _runs(name: str) -> str:
    return f"SELECT count(*) FROM agent_runs WHERE event_id = '{name}'"


def _nothing(telemetry: Telemetry) -> None: ...


def _parent(telemetry: Telemetry) -> None:
    for name in ("run-1", "run-2"):
        telemetry(*START, "--event-id", name)


def _old_runs(telemetry: Telemetry) -> None:
    for name in ("old-1", "old-2"):
        telemetry(
            "run",
            "start",
            *NAMED,
            "--event-id",
            name,
            "--no-git",
            "--start-time",
            "2025-01-01T00:00:00Z",
            "--status",
            "success",
        )


def _records(telemetry: Telemetry) -> None:
    _parent(telemetry)
    (telemetry.cwd / "runs.ndjson").write_text(
        "".join(
            json.dumps(LEAST | {"event_id": f"imported-{number}"}) + "\n" for number in range(3)
        )
    )


def _hook(telemetry: Telemetry) -> None:
    _parent(telemetry)
    hooks = Hooks(telemetry)
    hooks.program("hook.py", SCORE % 1)
    hooks.contract()


def _released(telemetry: Telemetry) -> None:
    _hook(telemetry)
    telemetry(*RELEASE)
    telemetry("hooks", "promote", "score", "1")


def _convention(telemetry: Telemetry) -> None:
    _released(telemetry)
    hook = {
        "name": "score",
        "script": "hooks/hook.py",
        "contract": "hooks/contract.json",
        "source_ref": "tests",
    }
    (telemetry.home / "scores.json").write_text(
        json.dumps(
            {
                "title": "Scores",
                "description": "Every run has one.",
                "job_types": ["job"],
                "hooks": [hook],
            }
        )
    )


def _rewritten(telemetry: Telemetry) -> None:
    """A commit that is amended while nobody looks; what git says of it afterwards is in `SAID`."""
    _parent(telemetry)
    repo = Repository(telemetry.cwd, telemetry)
    repo("init", "--quiet")
    old = repo.change()
    telemetry("associate-commit", "run-1")
    repo("commit", "--quiet", "--amend", "--message", "better")
    (telemetry.cwd / SAID).write_text(f"{old} {repo('rev-parse', 'HEAD')}\n")


def _platform(telemetry: Telemetry) -> None:
    legacy_database.make(telemetry.database, 6)


#: What `_hook` has written.
RELEASE = (
    "hooks",
    "release",
    "score",
    "--script",
    "../hooks/hook.py",
    "--contract",
    "../hooks/contract.json",
    "--source-ref",
    "tests",
)
#: What a command reads from stdin, where it was prepared.
SAID = "stdin"
STARTS: list[Step] = [
    ((*START, "--event-id", name), _runs(name), 0, 1) for name in ("first-run", "second-run")
]
#: Of what changes nothing that can be asked.
SAME = ("SELECT 1", 1, 1)
KINDS: dict[str, tuple[Callable[[Telemetry], None], list[Step]]] = {
    "first use": (_nothing, STARTS),
    "start": (_parent, STARTS),
    "end": (
        _parent,
        [
            (
                ("run", "end", name),
                f"SELECT status FROM agent_runs WHERE event_id = '{name}'",
                "running",
                "success",
            )
            for name in ("run-1", "run-2")
        ],
    ),
    "update": (
        _parent,
        [
            (
                ("run", "update", "run-1", "--product", "p"),
                "SELECT product FROM agent_runs WHERE event_id = 'run-1'",
                None,
                "p",
            )
        ],
    ),
    "event": (
        _parent,
        [
            (
                ("run", "event", name, "--run", "run-1"),
                f"SELECT count(*) FROM run_events WHERE event_type = '{name}'",
                0,
                1,
            )
            for name in ("a", "b")
        ],
    ),
    "associate": (
        _parent,
        [
            (
                ("associate-commit", "run-1", "--commit", "abcdef1", "--no-git"),
                "SELECT count(*) FROM run_commits",
                0,
                1,
            )
        ],
    ),
    "prune": (
        _old_runs,
        [
            (
                ("db", "prune", "--older-than", "1d"),
                "SELECT count(*) FROM agent_runs WHERE event_id LIKE 'old-%'",
                2,
                0,
            )
        ],
    ),
    "import": (
        _records,
        [
            (
                ("import", "runs.ndjson"),
                "SELECT count(*) FROM agent_runs WHERE event_id LIKE 'imported-%'",
                0,
                3,
            )
        ],
    ),
    "exec": (
        _parent,
        [
            (
                ("run", "exec", "--event-id", "run-3", "--", "true"),
                f"{_runs('run-3')} AND status = 'success'",
                0,
                1,
            )
        ],
    ),
    "release": (_hook, [(RELEASE, "SELECT count(*) FROM hook_releases", 0, 1)]),
    "hook run": (_released, [(("hooks", "run", "score"), "SELECT count(*) FROM features", 0, 2)]),
    "convention": (
        _convention,
        [(("conventions", "deploy", "../scores.json"), "SELECT count(*) FROM conventions", 0, 1)],
    ),
    "rewrite": (
        _rewritten,
        [
            (
                ("git-hooks", "fire", "post-rewrite", "amend"),
                "SELECT count(*) FROM run_commits WHERE superseded_by IS NOT NULL",
                0,
                1,
            )
        ],
    ),
    "restore": (UPKEEP["restore"].prepare, [(UPKEEP["restore"].argv, *SAME)]),
    "rebuild": (UPKEEP["rebuild"].prepare, [(UPKEEP["rebuild"].argv, *SAME)]),
    "migration": (_platform, STARTS),
}


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that is not on a disk, where there is one."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


def _traced(telemetry: Telemetry, steps: list[Step]) -> tuple[power_cut.Disk, list[int]]:
    """Run the commands under strace. Returns their effects, and how many there were when each was acknowledged."""
    telemetry.base.mkdir(mode=0o700, exist_ok=True)
    disk, acknowledged = power_cut.Disk(telemetry.base), []
    log, said = telemetry.home / "trace", telemetry.cwd / SAID
    for argv, *_ in steps:
        command = ["strace", *power_cut.OPTIONS, "-o", str(log), str(PROGRAM), *argv]
        done = subprocess.run(
            command,
            env=telemetry.env,
            cwd=telemetry.cwd,
            input=said.read_bytes() if said.exists() else b"",
            capture_output=True,
        )
        if done.returncode:
            pytest.skip(f"strace may not trace here: {done.stderr.decode()}")
        assert b"buffered" not in done.stderr
        disk.read(log)
        acknowledged.append(len(disk.effects))
    assert len(disk.effects) > 20
    return disk, acknowledged


def _write(folder: Path, base: str, files: dict[str, bytes], folders: set[str]) -> Path:
    image = folder / "image"
    shutil.rmtree(image, ignore_errors=True)
    for path in sorted(folders):
        (image / os.path.relpath(path, base)).mkdir(parents=True, mode=0o700, exist_ok=True)
    for path, content in files.items():
        place = image / os.path.relpath(path, base)
        place.write_bytes(content)
        place.chmod(0o600)
    return image


def _failures(
    disk: power_cut.Disk,
    acknowledged: list[int],
    steps: list[Step],
    folder: Path,
    always: list[Fact],
    *,
    flushes: bool,
) -> Iterator[str]:
    seen: set[int] = set()
    for number, (cut, files, folders) in enumerate(disk.images(IMAGES, seed=7, flushes=flushes)):
        done = sum(cut >= place for place in acknowledged)
        image = hash((done, frozenset(files.items()), frozenset(folders)))
        if image in seen:
            continue
        seen.add(image)
        facts = [
            (query, (after,) if step < done else (before, after))
            for step, (_, query, before, after) in enumerate(steps)
        ]
        wrong = wrong_after(_write(folder, disk.base, files, folders), [*always, *facts])
        if wrong:
            yield f"image {number}, after {cut} of {len(disk.effects)} effects: {wrong}"


def _always(kind: str) -> list[Fact]:
    if kind == "migration":
        return [
            ("SELECT count(*) FROM agent_runs WHERE op_id = 'legacy'", (3,)),
            ("SELECT count(*) FROM run_events", (4,)),
        ]
    return (
        []
        if kind in ("first use", "prune")
        else [("SELECT count(*) FROM agent_runs WHERE event_id IN ('run-1', 'run-2')", (2,))]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    kind: str,
    telemetry: Telemetry,
    memory: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Seen,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(telemetry.home))
    prepare, steps = KINDS[kind]
    prepare(telemetry)
    disk, acknowledged = _traced(telemetry, steps)
    assert list(_failures(disk, acknowledged, steps, memory, _always(kind), flushes=True)) == []
    record_property("seen", f"{IMAGES} images over {len(disk.effects)} effects, 0 lost")


def test_without_the_flushes_it_would(
    telemetry: Telemetry, memory: Path, monkeypatch: pytest.MonkeyPatch, record_property: Seen
) -> None:
    """The control: the same images of a disk to which a flush means nothing must show losses, or the rig sees none."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(telemetry.home))
    prepare, steps = KINDS["start"]
    prepare(telemetry)
    disk, acknowledged = _traced(telemetry, steps)
    lost = len(list(_failures(disk, acknowledged, steps, memory, _always("start"), flushes=False)))
    assert lost
    record_property("seen", f"{lost} different images of {IMAGES} with losses, as there must be")
