"""Killed or interrupted: nothing of the hook survives telemetry, and what is recorded of it is whole."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import wait_for
from support.hooks import SCORE, Hooks, ended_by, lives, pid_in
from support.storage import assert_sound

from telemetry_cli.core.config import Config
from telemetry_cli.hooks.reap import close_gone_hook_runs, gone_hook_runs
from telemetry_cli.store import Store

#: Starts a child in its own process group, one that leaves it, and waits.
FAMILY = """
def stay(path):
    open(path + '.tmp', 'w').write(str(os.getpid()))
    os.rename(path + '.tmp', path)
    time.sleep(120)
    os._exit(0)
if not os.fork():
    stay({0!r} + '/child')
if not os.fork():
    os.setsid()
    stay({0!r} + '/daemon')
stay({0!r} + '/hook')
"""


def begun(hooks: Hooks, tmp_path: Path) -> "tuple[subprocess.Popen[bytes], list[int]]":
    """A hook run that is going on, and the processes of its hook."""
    hooks.release("long", FAMILY.format(str(tmp_path)))
    records = tmp_path / "records"
    records.write_text('{"id": "a"}\n')
    (tmp_path / "tmp").mkdir()
    env = {"TMPDIR": str(tmp_path / "tmp")}
    process = hooks.telemetry.popen(
        "hooks",
        "run",
        "long",
        "--input",
        str(records),
        "--run-key",
        "k",
        "-o",
        "json",
        env=env,
        stdout=subprocess.PIPE,
    )
    return process, [pid_in(tmp_path / name) for name in ("child", "daemon", "hook")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_interrupted_the_hook_dies_with_all_its_processes_and_is_aborted(
    hooks: Hooks, tmp_path: Path, number: signal.Signals
) -> None:  # requirement 27
    process, family = begun(hooks, tmp_path)
    with process:
        assert ended_by(process, number) == 128 + number
    assert [pid for pid in family if lives(pid)] == []
    (run,) = hooks.runs()
    assert (run["status"], run["failure_kind"], run["rows"], run["attempts"]) == (
        "aborted",
        None,
        0,
        1,
    )
    assert run["finished_at"] and run["duration_ms"] >= 0
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_ended_before_the_hook_begins_its_folder_goes(
    hooks: Hooks, tmp_path: Path, number: signal.Signals
) -> None:
    hooks.release("score", SCORE % 1)
    folders = tmp_path / "tmp"
    folders.mkdir()
    others = folders / "telemetry-hooks-of-somebody-else"
    others.mkdir()
    env = {"TMPDIR": str(folders)}
    # It waits for its input, which never ends.
    with hooks.telemetry.popen(
        "hooks",
        "run",
        "score",
        "--input",
        "-",
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        # Without its content nobody could tell whose the directory is.
        wait_for(
            lambda: [path for path in folders.glob("*/owner") if path.read_text().endswith("}")]
        )
        code = ended_by(process, number)
    if number == signal.SIGKILL:
        assert code == -number and list(folders.glob("*/owner")) != []
        assert (
            hooks.run("score", "--input", "-", stdin='{"id": "a"}', env=env)["status"] == "passed"
        )
    else:
        assert code == 128 + number
    assert list(folders.iterdir()) == [others]
    assert len(hooks.runs()) == (number == signal.SIGKILL)


def test_killed_the_hook_dies_with_it_and_is_found(
    hooks: Hooks, tmp_path: Path
) -> None:  # requirement 27
    process, family = begun(hooks, tmp_path)
    with process:
        assert ended_by(process, signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not [pid for pid in family if lives(pid)])
    wait_for(lambda: not list((tmp_path / "tmp").iterdir()))
    listed = hooks.telemetry("hooks", "runs", "-o", "json")
    assert [run["status"] for run in listed.json] == ["running"]
    assert "process is gone" in listed.err
    config = Config(base_dir=str(hooks.telemetry.base))
    db = Store(config).read().db
    assert db
    assert (
        [run["id"] for run in gone_hook_runs(config, db)]
        == [run["id"] for run in close_gone_hook_runs(config, db)]
        == [listed.json[0]["id"]]
    )
    assert gone_hook_runs(config, db) == close_gone_hook_runs(config, db) == []
    db.close()
    assert [(run["status"], run["rows"]) for run in hooks.runs()] == [("aborted", 0)]
    # Its key may be used again.
    hooks.release("long", SCORE % 1)
    assert (
        hooks.run("long", "--input", str(tmp_path / "records"), "--run-key", "k")["status"]
        == "passed"
    )


def test_the_next_run_closes_what_a_kill_left(hooks: Hooks, tmp_path: Path) -> None:
    process, _ = begun(hooks, tmp_path)
    with process:
        ended_by(process, signal.SIGKILL)
    hooks.release("long", SCORE % 1)
    ran = hooks.telemetry(
        "hooks", "run", "long", "--input", str(tmp_path / "records"), "--run-key", "k", "-o", "json"
    )
    assert "was killed; it is aborted now" in ran.err
    assert [run["status"] for run in hooks.runs()] == ["passed", "aborted"]


def test_a_hook_run_that_goes_on_is_not_gone(hooks: Hooks, tmp_path: Path) -> None:
    process, _ = begun(hooks, tmp_path)
    with process:
        listed = hooks.telemetry("hooks", "runs", "-o", "json")
        assert [run["status"] for run in listed.json] == ["running"]
        assert listed.err == ""
        hooks.log(listed.json[0]["id"], code=3)
        ended_by(process, signal.SIGTERM)


def test_the_guardian_killed_the_hook_dies_too(hooks: Hooks, tmp_path: Path) -> None:
    process, family = begun(hooks, tmp_path)
    guardian = int(Path(f"/proc/{family[2]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guardian, signal.SIGKILL)
    with process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 5
    assert b'"failure_kind": "killed"' in out
    # The daemon too, which had left, though the one who knew of it is dead.
    assert [pid for pid in family if lives(pid)] == []


@pytest.mark.heavy
def test_killed_at_any_moment_there_are_rows_and_their_run_or_neither(
    hooks: Hooks, tmp_path: Path
) -> None:  # requirement 22
    body = "for number in range(3000):\n    print(json.dumps({'id': f's{number}', 'score': 1}))\n"
    hooks.release("score", body)
    records = tmp_path / "records"
    records.write_text("".join(f'{{"id": "s{number}"}}\n' for number in range(3000)))
    argv = ("hooks", "run", "score", "--input", str(records), "--force")
    started = time.monotonic()
    hooks.telemetry(*argv)
    whole = time.monotonic() - started
    trials = 20
    for trial in range(trials):
        process = hooks.telemetry.popen(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * 1.25 * trial / trials)
        process.kill()
        process.wait()
    hooks.telemetry("db", "drain")
    assert_sound(hooks.telemetry)
    held = dict(hooks.telemetry.sql("SELECT hook_run, count(*) FROM features GROUP BY hook_run"))
    passed = [run["id"] for run in hooks.runs() if run["status"] == "passed"]
    assert set(held) == set(passed) and set(held.values()) == {3000}
    assert 1 <= len(passed) < trials + 1
    assert len(hooks.rows("score")) == 3000
