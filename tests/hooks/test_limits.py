"""Memory, time, retries, output: what a hook may use, and what is said of one that uses more."""

import subprocess
from pathlib import Path

import pytest
from support import wait_for
from support.hooks import MANY, SCORE, Hooks, lives, pid_in

#: Takes so many MiB, a little at a time, and keeps them a while.
TAKE = "hold = []\nfor number in range({}):\n    hold.append(bytearray(b'x') * (1 << 20))\n    time.sleep(0.002)\ntime.sleep(0.1)\n"


def test_memory_is_doubled_and_the_count_is_the_real_one_on_success(
    hooks: Hooks,
) -> None:  # requirement 20
    run = hooks.tried(TAKE.format(100) + SCORE % 1, limits=("--memory", "48m"))
    assert (
        run["status"],
        run["attempts"],
        run["oom_retries"],
        run["oom_evidence"] in ("watched", "counted"),
    ) == ("passed", 3, 2, True)
    assert hooks.show("tried")["limits"]["memory"] == 48 << 20
    assert hooks.runs("tried")[0]["oom_retries"] == 2


def test_the_count_is_the_real_one_on_rejection(hooks: Hooks) -> None:  # requirement 20
    run = hooks.tried(TAKE.format(60) + "print('{}')", limits=("--memory", "48m"), code=1)
    assert (run["status"], run["attempts"], run["oom_retries"]) == ("rejected", 2, 1)


@pytest.mark.parametrize(
    ("options", "attempts", "retries"),
    [(("--retries", "1"), 2, 1), (("--max-memory", "96m"), 2, 1), (("--retries", "0"), 1, 0)],
)
def test_the_count_is_the_real_one_on_exhaustion(
    hooks: Hooks, options: tuple[str, ...], attempts: int, retries: int
) -> None:  # requirement 20
    run = hooks.tried(TAKE.format(250), *options, limits=("--memory", "48m"), code=5)
    assert (run["status"], run["failure_kind"], run["attempts"], run["oom_retries"]) == (
        "errored",
        "oom",
        attempts,
        retries,
    )


def test_memory_of_the_whole_tree_counts(hooks: Hooks) -> None:
    body = f"children = [os.fork() for _ in range(1)]\n{TAKE.format(40)}if children[0]:\n    os.waitpid(children[0], 0)\n"
    run = hooks.tried(body, "--retries", "0", limits=("--memory", "64m"), code=5)
    assert run["failure_kind"] == "oom"


def test_more_than_the_backstop_at_once_fails(hooks: Hooks) -> None:
    run = hooks.tried("bytearray(500 << 20)", limits=("--memory", "64m"), code=1)
    assert (run["status"], run["failure_kind"], run["attempts"]) == ("failed", None, 1)
    assert "MemoryError" in hooks.log(run["id"])


def test_timeouts_are_retried_within_the_count(hooks: Hooks) -> None:  # requirement 20
    run = hooks.tried("time.sleep(60)", "--retries", "2", limits=("--timeout", "300ms"), code=5)
    assert (run["status"], run["failure_kind"], run["attempts"], run["oom_retries"]) == (
        "errored",
        "timeout",
        3,
        0,
    )
    assert 900 <= run["duration_ms"] < 20_000


@pytest.mark.parametrize(
    ("body", "status", "kind", "exit_code", "code"),
    [
        ("sys.exit(3)", "failed", None, 3, 1),
        ("raise ValueError('no')", "failed", None, 1, 1),
        ("os.kill(os.getpid(), 9)", "errored", "killed", -9, 5),
        ("os.kill(os.getpid(), 15)", "errored", "killed", -15, 5),
        ("os.abort()", "errored", "crash", -6, 5),
        ("os.kill(os.getpid(), 11)", "errored", "crash", -11, 5),
    ],
)
def test_what_is_said_of_an_end(
    hooks: Hooks, body: str, status: str, kind: str | None, exit_code: int, code: int
) -> None:
    run = hooks.tried(body, code=code)  # a bare SIGKILL is `killed`; none of these is retried
    assert (run["status"], run["failure_kind"], run["exit_code"], run["attempts"]) == (
        status,
        kind,
        exit_code,
        1,
    )


def test_a_plain_failure_with_little_memory_is_no_want_of_it(
    hooks: Hooks,
) -> None:  # requirement 20
    path = hooks.folder / "small.sh"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    release = [
        "hooks",
        "release",
        "small",
        "--script",
        str(path),
        "--contract",
        str(hooks.contract()),
        "--source-ref",
        "x",
        "--memory",
    ]
    for size in ("1m", "15m"):
        assert "16m" in hooks.telemetry(*release, size, code=2).err
    hooks.telemetry(*release, "16m")
    run = hooks.run("small", "--input", "-", stdin='{"id": "a"}', code=1)
    assert (run["status"], run["failure_kind"], run["attempts"], run["oom_evidence"]) == (
        "failed",
        None,
        1,
        None,
    )


def test_a_limit_below_the_release_s_own_is_refused(hooks: Hooks) -> None:
    hooks.release("score", SCORE % 1)
    assert (
        "--max-memory"
        in hooks.telemetry("hooks", "run", "score", "--max-memory", "256m", code=2).err
    )
    assert hooks.runs() == []


# Streams (requirement 28)


def peak(hooks: Hooks, *argv: str, stdin: bytes = b'{"id": "a"}\n') -> tuple[int, int]:
    """(exit code, peak resident KiB of telemetry itself)."""
    records = hooks.folder / "records"
    records.write_bytes(stdin)
    return hooks.telemetry.measured(
        "hooks",
        "run",
        *argv,
        "--input",
        str(records),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ).ended()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("for _ in range(100): sys.stdout.write('x' * (1 << 20))", "rejected"),  # one line
        ("for _ in range(100): sys.stderr.write('x' * (1 << 20))", "passed"),
        (
            "for _ in range(100): sys.stdout.buffer.write((b'\\xff' * 1023 + b'\\n') * 1024)",
            "rejected",
        ),
    ],
)
def test_a_hundred_megabytes_of_output(hooks: Hooks, body: str, status: str) -> None:
    hooks.release("loud", body)
    code, kib = peak(hooks, "loud")
    (run,) = hooks.runs()
    assert (run["status"], code) == (status, int(status == "rejected"))
    assert kib < 150 * 1024


def test_a_hook_that_reads_nothing(hooks: Hooks) -> None:
    subjects = "".join(f'{{"id": "s{number}", "text": "{"x" * 1000}"}}\n' for number in range(2000))
    run = hooks.tried(
        "sys.stdin.close()\nos.close(0)\nprint(json.dumps({'id': 's1', 'score': 1}))",
        stdin=subjects,
    )
    assert (run["status"], run["subjects"], run["rows"]) == ("passed", 2000, 1)


DAEMON = """
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    open({0!r}, 'w').write(str(os.getpid()))
    time.sleep(60)
    os._exit(0)
while not os.path.exists({0!r}):
    time.sleep(0.01)
print(json.dumps({{'id': 'a', 'score': 1}}))
"""


def test_a_daemon_that_holds_the_pipe(hooks: Hooks, tmp_path: Path) -> None:
    run = hooks.tried(DAEMON.format(str(tmp_path / "pid")), limits=("--timeout", "30s"))
    assert (run["status"], run["rows"]) == ("passed", 1)
    assert run["duration_ms"] < 15_000
    daemon = pid_in(tmp_path / "pid")
    wait_for(lambda: not lives(daemon))


def test_what_cannot_be_executed_fails(hooks: Hooks) -> None:
    path = hooks.folder / "odd"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    hooks.telemetry(
        "hooks",
        "release",
        "odd",
        "--script",
        str(path),
        "--contract",
        str(hooks.contract(MANY)),
        "--source-ref",
        "x",
    )
    run = hooks.run("odd", "--input", "-", stdin='{"id": "a"}', code=1)
    assert (run["status"], run["exit_code"]) == ("failed", 126)
    assert "cannot be executed" in hooks.log(run["id"])


def test_a_script_without_a_first_line_is_for_the_shell(hooks: Hooks) -> None:
    path = hooks.folder / "plain"
    path.write_text('echo \'{"id": "a", "score": 1}\'\n')
    path.chmod(0o755)
    hooks.telemetry(
        "hooks",
        "release",
        "plain",
        "--script",
        str(path),
        "--contract",
        str(hooks.contract()),
        "--source-ref",
        "x",
    )
    assert hooks.run("plain", "--input", "-", stdin='{"id": "a"}')["rows"] == 1
