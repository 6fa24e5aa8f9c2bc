"""What a hook does to its surroundings: other hooks, later attempts and the record get what was checked, whatever it does."""

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from support import PROGRAM
from support.hooks import SCORE, Hooks, lives, pid_in

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import Conflict
from telemetry_cli.hooks.releases import Draft
from telemetry_cli.journal.blobs import Lease
from telemetry_cli.redaction.redactor import Redactor

RECORDS = '{"id": "a"}\n{"id": "b"}\n'
#: Puts other content in the place of every file that it finds below the directory for temporary files.
FORGE = """
for folder, _, names in os.walk(os.environ['TMPDIR']):
    for name in names:
        path = os.path.join(folder, name)
        os.unlink(path)
        with open(path, 'w') as file:
            file.write('{"id": "nobody", "values": {"score": "no number"}}\\n')
"""
#: The same for the files that telemetry has open, also those without a name.
FORGE_OPEN = """
guardian = os.getppid()
telemetry = open(f'/proc/{guardian}/stat').read().rpartition(')')[2].split()[1]
for name in os.listdir(f'/proc/{telemetry}/fd'):
    path = f'/proc/{telemetry}/fd/{name}'
    if os.environ['TMPDIR'] in os.readlink(path):
        with open(path, 'r+') as file:
            file.write('{"id": "nobody", "values": {"score": "no number"}}\\n' * 9)
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def folder(hooks: Hooks, tmp_path: Path) -> Path:
    """Have the directory for temporary files to ourselves."""
    path = tmp_path / "tmp"
    path.mkdir()
    hooks.telemetry.env["TMPDIR"] = str(path)
    return path


@pytest.mark.parametrize("name", ["rows", "input", "ids", "owner", "run", "stdin"])
def test_hook_of_any_name_runs(hooks: Hooks, name: str) -> None:
    hooks.release(name, SCORE % 1)
    assert hooks.run(name, "--input", "-", stdin=RECORDS)["status"] == "passed"


def test_hook_that_replaces_files_changes_no_row_and_no_other_hook(
    hooks: Hooks, folder: Path
) -> None:
    hooks.release("forge", SCORE % 1 + "sys.stdout.flush()" + FORGE)
    hooks.release("score", SCORE % 2)
    first, second = hooks.run("forge", "score", "--input", "-", stdin=RECORDS)
    assert [(run["status"], run["rows"]) for run in (first, second)] == [("passed", 2)] * 2
    assert {(row["subject_id"], row["values"]["score"]) for row in hooks.rows("forge")} == {
        ("a", 1),
        ("b", 1),
    }
    assert {(row["subject_id"], row["values"]["score"]) for row in hooks.rows("score")} == {
        ("a", 2),
        ("b", 2),
    }
    assert set(hooks.telemetry.sql("SELECT input_digest FROM hook_runs")) == {
        (sha256(RECORDS.encode()).hexdigest(),)
    }
    assert list(folder.iterdir()) == []


@linux
def test_input_that_a_hook_changed_is_given_to_no_other(hooks: Hooks, folder: Path) -> None:
    hooks.release("forge", FORGE_OPEN)
    hooks.release("score", SCORE % 2)
    ran = hooks.telemetry(
        "hooks", "run", "forge", "score", "--input", "-", "-o", "json", stdin=RECORDS, code=6
    )
    assert "were changed" in ran.err
    assert [run["status"] for run in hooks.runs("score")] == ["aborted"]
    assert hooks.telemetry.sql("SELECT * FROM features") == []
    assert list(folder.iterdir()) == []


@linux
def test_rows_that_a_hook_changed_are_not_stored(hooks: Hooks, folder: Path) -> None:
    """So many rows that some of them are in the file by then."""
    body = "for number in range(20_000):\n    print(json.dumps({'id': str(number), 'score': 1, 'note': 'x' * 200}))\nsys.stdout.flush()\n"
    # The last of them are read when there is room for more in the pipe.
    hooks.release("forge", body + FORGE_OPEN)
    records = "".join(f'{{"id": "{number}"}}\n' for number in range(20_000))
    ran = hooks.telemetry(
        "hooks", "run", "forge", "--input", "-", "-o", "json", stdin=records, code=6
    )
    assert "were changed" in ran.err
    assert [run["status"] for run in hooks.runs("forge")] == ["aborted"]
    assert hooks.telemetry.sql("SELECT * FROM features") == []


def test_each_attempt_gets_program_and_input_anew(hooks: Hooks, tmp_path: Path) -> None:
    tamper = f"""
if not os.path.exists({str(tmp_path / "before")!r}):
    open({str(tmp_path / "before")!r}, 'w').close()
    os.path.exists('/proc/self/fd/0') and open('/proc/self/fd/0', 'w').close()
    open(sys.argv[0], 'w').write('#!/bin/sh\\nexit 3\\n')
    time.sleep(60)
"""
    run = hooks.tried(tamper + SCORE % 1, limits=("--timeout", "5s"), stdin=RECORDS)
    assert (run["status"], run["attempts"], run["rows"]) == ("passed", 2, 2)


@linux
@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_hook_that_ends_its_guardian_leaves_no_process(
    hooks: Hooks, tmp_path: Path, signal: str
) -> None:
    daemon = f"""
import signal
def stay(name):
    if not os.fork():
        os.setsid()
        open({str(tmp_path)!r} + '/' + name + '.tmp', 'w').write(str(os.getpid()))
        os.rename({str(tmp_path)!r} + '/' + name + '.tmp', {str(tmp_path)!r} + '/' + name)
        name == 'first' and stay('second')
        time.sleep(120)
        os._exit(0)
stay('first')
while not os.path.exists({str(tmp_path / "second")!r}):
    time.sleep(0.01)
os.kill(os.getppid(), signal.SIG{signal})
time.sleep(60)
"""
    run = hooks.tried(daemon, "--retries", "0", limits=("--timeout", "2s"), code=5)
    assert run["status"] == "errored"
    assert [name for name in ("first", "second") if lives(pid_in(tmp_path / name))] == []


def test_children_of_the_calling_process_are_left_alone(hooks: Hooks, tmp_path: Path) -> None:
    """A process that telemetry was started in the place of may have children already."""
    hooks.release("evil", "import signal\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)")
    words = f"sleep 60 </dev/null >/dev/null 2>&1 & echo $! >{tmp_path}/beside; exec '{PROGRAM}' hooks run evil --input - --retries 0"
    done = subprocess.run(
        ["sh", "-c", words],
        env=hooks.telemetry.env,
        cwd=hooks.telemetry.cwd,
        input=b'{"id": "a"}\n',
        capture_output=True,
        timeout=60,
        check=False,
    )
    child = pid_in(tmp_path / "beside")
    try:
        assert done.returncode == 5
        assert lives(child)
    finally:
        os.kill(child, 9)


# No room


@pytest.mark.parametrize(
    ("size", "records", "body", "recorded"),
    [
        ("64k", [f"{number:0200}" for number in range(500)], SCORE % 1, []),
        ("128k", ["a"], SCORE % 1 + "#" * 200_000, ["aborted"]),
        (
            "256k",
            [str(number) for number in range(500)],
            SCORE % "1, 'note': 'x' * 1000",
            ["aborted"],
        ),
    ],
    ids=["for the input", "for the program", "for the rows"],
)
def test_full_directory_for_temporary_files_exits_75(
    hooks: Hooks,
    tmpfs: Callable[[str], Path],
    size: str,
    records: list[str],
    body: str,
    recorded: list[str],
) -> None:
    hooks.release("score", body)
    lines = "".join(f'{{"id": "{id_}"}}\n' for id_ in records)
    ran = hooks.telemetry(
        "hooks",
        "run",
        "score",
        "--input",
        "-",
        stdin=lines,
        env={"TMPDIR": str(tmpfs(size))},
        code=75,
    )
    assert "No space left" in ran.err and "TMPDIR" in ran.err
    assert [run["status"] for run in hooks.runs()] == recorded


def test_leftover_whose_owner_file_is_a_fifo_holds_nobody_up(hooks: Hooks, folder: Path) -> None:
    (folder / "telemetry-hooks-x").mkdir()
    os.mkfifo(folder / "telemetry-hooks-x" / "owner")
    assert hooks.tried(SCORE % 1)["status"] == "passed"


# Releases


def test_program_that_changes_while_it_is_released_is_refused(hooks: Hooks) -> None:
    path = hooks.program("score.py", SCORE % 1)
    config = Config(base_dir=str(hooks.telemetry.base))
    draft = Draft("score", str(path), source_ref="tests")
    looked_at = draft.looked_at(Redactor({}))
    with Lease(config) as lease:
        assert draft.kept(lease) == looked_at
        path.write_text(path.read_text() + "# changed\n")
        with pytest.raises(Conflict, match="changed while it was released"):
            draft.kept(lease)


def test_contract_of_a_convention_that_is_a_fifo_holds_nobody_up(hooks: Hooks) -> None:
    hooks.program("score.py", SCORE % 1)
    os.mkfifo(hooks.folder / "contract.toml")
    document = hooks.folder / "convention.toml"
    hook = '[[hooks]]\nname = "score"\nscript = "score.py"\ncontract = "contract.toml"\nsource_ref = "x"\n'
    document.write_text(f'title = "All of it"\ndescription = "d"\njob_types = ["t"]\n{hook}')
    assert "contract" in hooks.telemetry("conventions", "deploy", str(document), code=2).err
