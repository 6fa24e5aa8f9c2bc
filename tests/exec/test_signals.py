"""Signals to `run exec` reach the command once, and whatever comes, the run has its end and the exit code is the command's."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry, wait_for
from support.strace import CHANGES, Traced, needs_strace

EXEC = ("run", "exec", "--no-git")
linux = pytest.mark.skipif(sys.platform != "linux", reason="by /proc")

#: Writes down each signal that it gets, in a file of its own process id, and ends with 7 at SIGTERM or SIGINT.
RECORDER = """
import os, signal, sys, time
def note(number, frame):
    with open(sys.argv[1], "a") as file:
        file.write(f"{number}\\n")
    if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        time.sleep(0.3)
        sys.exit(7)
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, note)
print("ready", flush=True)
while True:
    signal.pause()
"""


#: A grace that no test waits for the end of.
ENDLESS = 3600.0


def patch_supervisor(**patches: float) -> list[str]:
    """Return the command that is the program with other values of constants of `supervisor`."""
    script = (
        f"from telemetry_cli.exec import supervisor; vars(supervisor).update({patches}); "
        "from telemetry_cli.__main__ import program; program()"
    )
    return [sys.executable, "-c", script]


class Wrapped:
    """A command under `run exec`, in a session of its own without a terminal."""

    def __init__(self, telemetry: Telemetry, *argv: str, **patches: float) -> None:
        self.telemetry = telemetry
        self.process = subprocess.Popen(
            [*(patch_supervisor(**patches) if patches else [str(PROGRAM)]), *argv],
            env=telemetry.env,
            cwd=telemetry.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def ready(self, *lines: bytes) -> list[bytes]:
        """Wait for a line of the command."""
        assert self.process.stdout
        return [self.process.stdout.readline() for _ in lines or (b"ready",)]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        return self.process.wait(60)

    def run(self) -> dict[str, object]:
        return self.telemetry.run("@last")


@pytest.fixture
def wrapped(telemetry: Telemetry) -> Iterator[Callable[..., Wrapped]]:
    made: list[Wrapped] = []

    def make(*argv: str, **patches: float) -> Wrapped:
        made.append(Wrapped(telemetry, *argv, **patches))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def received(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def members(group: int) -> list[int]:
    """The processes of a group that are alive."""
    found = subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True).stdout
    return [pid for pid in map(int, found.split()) if is_alive(pid)]


PASSED_ON = [
    "SIGUSR1",
    "SIGUSR2",
    "SIGALRM",
    "SIGWINCH",
    "SIGQUIT",
    "SIGCONT",
    "SIGURG",
    "SIGIO",
    "SIGPROF",
    "SIGVTALRM",
    "SIGXCPU",
    "SIGPIPE",
    "SIGSEGV",
    "SIGRTMIN",
    "SIGRTMAX",
]


@linux
def test_every_signal_is_passed_on_once(wrapped: Callable[..., Wrapped], tmp_path: Path) -> None:
    one = wrapped(*EXEC, "--", sys.executable, "-c", RECORDER, str(tmp_path / "got"))
    one.ready()
    for name in PASSED_ON:
        number = int(getattr(signal, name))
        one.send(number)
        wait_for(lambda number=number: number in received(tmp_path / "got"))  # type: ignore[misc]
    one.send(signal.SIGTERM)
    assert one.code() == 7
    assert received(tmp_path / "got") == [
        *(int(getattr(signal, name)) for name in PASSED_ON),
        signal.SIGTERM,
    ]


@pytest.mark.parametrize(
    ("name", "status"), [("SIGTERM", "cancelled"), ("SIGINT", "cancelled"), ("SIGHUP", "cancelled")]
)
def test_a_request_to_end_is_the_commands_to_answer(
    name: str, status: str, wrapped: Callable[..., Wrapped], tmp_path: Path
) -> None:
    one = wrapped(*EXEC, "--", sys.executable, "-c", RECORDER, str(tmp_path / "got"))
    one.ready()
    one.send(signal.Signals[name])
    assert (one.code(), received(tmp_path / "got")) == (7, [signal.Signals[name]])
    run = one.run()
    assert (run["status"], run["error_summary"]) == (status, f"cancelled by {name}, exit code 7")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_command_that_does_not_answer_dies_of_it(
    name: str, wrapped: Callable[..., Wrapped]
) -> None:
    one = wrapped(*EXEC, "--", "sh", "-c", "echo ready; exec sleep 60")
    one.ready()
    one.send(signal.Signals[name])
    assert one.code() == 128 + signal.Signals[name]
    assert one.run()["status"] == "cancelled"


def test_a_graceful_end_at_sigterm_is_cancelled_and_keeps_its_code(
    wrapped: Callable[..., Wrapped],
) -> None:
    one = wrapped(
        *EXEC, "--", "sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    )
    one.ready()
    one.send(signal.SIGTERM)
    assert (one.code(), one.run()["status"]) == (0, "cancelled")


@linux
def test_a_request_after_the_end_reaches_what_is_left(wrapped: Callable[..., Wrapped]) -> None:
    """SIGUSR1 is taken first; then the command has ended, and SIGTERM is still pending."""
    left = "trap '' USR1; trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    script = """trap '' USR1; sh -c "$1" & echo $$; wait"""
    one = wrapped(*EXEC, "--", "sh", "-c", script, "sh", left, GRACE_SECONDS=ENDLESS)
    child = next(int(line) for line in one.ready(b"", b"") if line.strip().isdigit())
    one.send(signal.SIGSTOP)
    wait_for(lambda: state(one.process.pid) == "T")
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: state(child) == "Z")
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCONT):
        one.send(number)
    assert one.code() == 128 + signal.SIGKILL
    assert one.ready() == [b"told\n"]
    assert one.run()["status"] == "cancelled"


def test_a_command_that_reads_its_settings_again_at_sighup_is_no_cancelled_one(
    wrapped: Callable[..., Wrapped],
) -> None:
    one = wrapped(
        *EXEC,
        "--",
        "sh",
        "-c",
        "trap 'echo again; exit 0' HUP; echo ready; while :; do sleep 0.05; done",
    )
    one.ready()
    one.send(signal.SIGHUP)
    assert (one.ready(), one.code(), one.run()["status"]) == ([b"again\n"], 0, "success")


@linux
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_that_comes_twice_for_one_reason_is_heard_once(
    name: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    """As timeout(1) sends it: to its child, and then to the whole group. The command is in another group."""
    number = signal.Signals[name]
    command = [
        *patch_supervisor(_MERGE_SECONDS=2),
        *EXEC,
        "--",
        sys.executable,
        "-c",
        RECORDER,
        str(tmp_path / "got"),
    ]
    with subprocess.Popen(
        command,
        env=telemetry.env,
        cwd=telemetry.cwd,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        os.killpg(process.pid, number)
        wait_for(lambda: number in received(tmp_path / "got"))
        if name == "SIGUSR1":
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 7
    assert received(tmp_path / "got").count(number) == 1


@linux
def test_real_time_signals_that_come_thrice_are_heard_thrice(
    wrapped: Callable[..., Wrapped],
) -> None:
    code = """
import signal
numbers = {signal.SIGRTMIN}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("ready", flush=True)
for _ in range(3):
    signal.sigwait(numbers)
raise SystemExit(7)
"""
    one = wrapped(*EXEC, "--", sys.executable, "-S", "-c", code)
    one.ready()
    for _ in range(3):
        one.send(signal.SIGRTMIN)
    assert one.code() == 7


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT"])
def test_a_signal_that_is_ignored_from_the_start_cancels_nothing(
    name: str, telemetry: Telemetry
) -> None:
    """As under nohup, or behind `&` in a script."""
    number = signal.Signals[name]
    command = (*EXEC, "--", "sh", "-c", "echo ready; read line; exit 3")
    with telemetry.popen(
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    ) as process:
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        process.send_signal(number)
        process.stdin.write(b"end\n")
        process.stdin.flush()
        assert process.wait(60) == 3
    assert telemetry.run("@last")["error_summary"] == "exit code 3"


@needs_strace
def test_a_signal_before_the_command_starts_cancels_the_run(telemetry: Telemetry) -> None:
    """At any change that we make before: nothing is recorded, or the run has its end."""
    telemetry.start("--event-id", "whole-before")
    telemetry("run", "end", "whole-before")
    traced = Traced(telemetry)
    starts = ("clone", "clone3", "vfork")
    order = traced.order((*EXEC, "--event-id", "whole", "--", "true"), (*CHANGES, *starts))
    before = list(itertools.takewhile(lambda call: call not in starts, order))
    assert len(before) > 10
    counts: Counter[str] = Counter()
    for call, name in zip(before, itertools.cycle(("SIGTERM", "SIGINT", "SIGHUP")), strict=False):
        counts[call] += 1
        number = signal.Signals[name]
        ran = traced(
            (*EXEC, "--", "sleep", "300"),
            "-e",
            f"inject={call}:signal={name}:when={counts[call]}",
            paths=False,
            calls=CHANGES,
        )
        assert ran.code in (-number, 128 + number), (call, counts[call], ran)
        assert "Traceback" not in ran.err
    found = telemetry("query", "--limit", "0", "-o", "json").json
    cancelled = [run for run in found if not run["event_id"].startswith("whole")]
    assert {run["status"] for run in cancelled} == {"cancelled"}


@linux
def test_stopped_and_continued_with_the_command(wrapped: Callable[..., Wrapped]) -> None:
    one = wrapped(*EXEC, "--", "sh", "-c", "echo $$; exec sleep 60")
    (pid,) = map(int, one.ready())

    one.send(signal.SIGTSTP)
    wait_for(lambda: (state(pid), state(one.process.pid)) == ("T", "T"))
    one.send(signal.SIGCONT)
    wait_for(lambda: "T" not in (state(pid), state(one.process.pid)))
    one.send(signal.SIGTERM)
    assert one.code() == 143


@linux
@pytest.mark.parametrize("name", ["TSTP", "TTIN", "TTOU"])
def test_where_nobody_could_continue_it_the_command_does_not_stop(
    name: str, wrapped: Callable[..., Wrapped]
) -> None:
    """As it would without us, in a group of processes that no shell looks after: there the kernel drops these signals."""
    one = wrapped(*EXEC, "--", "sh", "-c", f"kill -{name} $$; exit 3")
    assert one.code() == 3


@linux
def test_where_somebody_could_continue_it_the_command_stops(telemetry: Telemetry) -> None:
    """A group of its own, whose parent is another group in the session."""
    code = "import os, subprocess, sys; p = subprocess.Popen(sys.argv[1:], process_group=0); print(p.pid, flush=True); sys.exit(p.wait())"
    command = [
        sys.executable,
        "-S",
        "-c",
        code,
        str(PROGRAM),
        *EXEC,
        "--",
        "sh",
        "-c",
        "echo $$; kill -TSTP $$; exit 3",
    ]
    with subprocess.Popen(
        command,
        env=telemetry.env,
        cwd=telemetry.cwd,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout
        ours, pid = int(process.stdout.readline()), int(process.stdout.readline())
        wait_for(lambda: state(pid) == "T")
        assert state(ours) != "T"
        time.sleep(0.3)
        assert state(pid) == "T"
        os.kill(ours, signal.SIGCONT)
        assert process.wait(60) == 3


# Time limits and what is left behind


@pytest.mark.parametrize(
    ("command", "grace", "code"),
    [
        ("exec sleep 3600", ENDLESS, 143),
        ("trap '' TERM; while :; do sleep 0.1; done", 1.0, 137),
        ("trap 'exit 3' TERM; while :; do sleep 0.05; done", ENDLESS, 3),
    ],
)
def test_a_time_limit(
    command: str, grace: float, code: int, wrapped: Callable[..., Wrapped]
) -> None:
    one = wrapped(*EXEC, "--timeout", "1s", "--", "sh", "-c", command, GRACE_SECONDS=grace)
    assert one.code() == code
    run = one.run()
    assert (run["status"], "timed out after 1s" in str(run["error_summary"])) == ("timeout", True)
    # A command that ignores the request to end has the whole grace.
    assert int(str(run["duration_ms"])) >= (2000 if code == 137 else 1000)


#: The program, which does not wait while it sleeps: its clock is put forward by that instead.
HURRYING = """
import sys, time
slept, now = [], time.monotonic
time.sleep, time.monotonic = slept.append, lambda: now() + sum(slept)
from telemetry_cli.cli.main import main
code = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(sum(slept)))
sys.exit(code)
"""


def test_the_grace_after_a_time_limit_is_one_for_all(telemetry: Telemetry, tmp_path: Path) -> None:
    """What the command leaves behind gets the rest of the command's, and none of its own."""
    script = "(trap '' TERM; while :; do sleep 0.2; done) & trap 'sleep 1; exit 3' TERM; while :; do sleep 0.1; done"
    limit = ("--no-capture", "--timeout", "1s", "--", "sh", "-c", script)
    command = [sys.executable, "-c", HURRYING, str(tmp_path / "slept"), *EXEC, *limit]
    done = subprocess.run(command, env=telemetry.env, cwd=telemetry.cwd, timeout=60)
    assert done.returncode == 3
    # The command took a second of the grace of five.
    assert 0 < float((tmp_path / "slept").read_text()) < 4.1


@pytest.mark.parametrize(
    "command",
    [
        "trap 'echo heard' TERM INT; ",
        "(trap '' TERM INT; while :; do sleep 0.1; done) & trap 'echo heard; exit 137' TERM; ",
    ],
    ids=["itself", "what it leaves"],
)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_request_during_the_grace_ends_it(
    name: str, command: str, wrapped: Callable[..., Wrapped]
) -> None:
    one = wrapped(
        *EXEC,
        "--timeout",
        "1s",
        "--",
        "sh",
        "-c",
        command + "echo $$; while :; do sleep 0.1; done",
        GRACE_SECONDS=ENDLESS,
    )
    pid, heard = one.ready(b"pid", b"heard")
    assert heard == b"heard\n"
    if "exit" in command:
        wait_for(lambda: not is_alive(int(pid)))

    def ask() -> bool:
        one.send(signal.Signals[name])
        return one.process.poll() is not None

    # The first may come while the end of the command is noticed, and tell only why it ended.
    wait_for(ask)
    assert one.code() == 137
    assert one.run()["status"] == "timeout"


@linux
def test_a_zombie_that_another_must_collect_is_not_waited_for(
    wrapped: Callable[..., Wrapped],
) -> None:
    code = """
import os, signal
if not os.fork():
    # Outside of the group, with a child in it that has ended and that nobody collects.
    child = os.fork()
    if not child:
        os._exit(0)
    os.setsid()
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os.write(1, b"%d\\n" % os.getpid())
signal.pause()
"""
    command = (*EXEC, "--no-capture", "--", sys.executable, "-S", "-c", code)
    one = wrapped(*command, GRACE_SECONDS=ENDLESS)
    (parent,) = map(int, one.ready())
    one.send(signal.SIGTERM)
    try:
        assert one.code() == 143
    finally:
        os.kill(parent, signal.SIGKILL)


def test_a_command_within_its_limit_is_left_alone(telemetry: Telemetry) -> None:
    telemetry(*EXEC, "--timeout", "60s", "--", "sh", "-c", "exit 3", code=3)
    assert telemetry.run("@last")["status"] == "failure"


@linux
@pytest.mark.parametrize("how", ["--timeout", "SIGTERM"])
@pytest.mark.parametrize(
    "child",
    ["sleep 61 &", "(sleep 61 &)", "trap '' TERM; (while :; do sleep 0.2; done) &"],
    ids=["child", "orphan", "stubborn"],
)
def test_nothing_is_left_of_the_group(
    child: str, how: str, wrapped: Callable[..., Wrapped]
) -> None:
    limit = ("--timeout", "1s") if how == "--timeout" else ()
    one = wrapped(
        *EXEC,
        *limit,
        "--",
        "sh",
        "-c",
        f"{child}\ntrap 'exit 4' TERM; echo ready $$; while :; do sleep 0.05; done",
    )
    group = int(one.ready()[0].split()[1])
    if how == "SIGTERM":
        assert len(members(group)) >= 2
        one.send(signal.SIGTERM)
    assert one.code() == 4
    assert members(group) == []


@linux
def test_killed_it_takes_the_command_along_and_the_run_is_reaped(
    wrapped: Callable[..., Wrapped], telemetry: Telemetry
) -> None:
    one = wrapped(*EXEC, "--", "sh", "-c", "echo $$; exec sleep 60")
    (pid,) = map(int, one.ready())
    one.send(signal.SIGKILL)
    assert one.code() == -signal.SIGKILL
    wait_for(lambda: not is_alive(pid))
    assert "is gone" in telemetry("run", "show", "@last").err
    telemetry("run", "reap")
    assert one.run()["status"] == "failure"


STUBBORN = """
import os, signal, sys
def hear(*_):
    os.write(1, b"heard\\n")
signal.signal(signal.SIGTERM, hear)
if not os.fork():
    os.write(1, b"%d\\n" % os.getpid())
while True:
    signal.pause()
"""


@linux
@pytest.mark.parametrize("limit", [(), ("--timeout", "100ms")], ids=["SIGTERM", "--timeout"])
def test_killed_after_a_request_to_end_it_leaves_nothing(
    limit: tuple[str, ...], wrapped: Callable[..., Wrapped]
) -> None:
    """As `timeout -k` and CI runners do. The kill reaches us alone, or our group, and the command is in another."""
    one = wrapped(*EXEC, *limit, "--", sys.executable, "-S", "-c", STUBBORN)
    assert one.process.stdout
    child = int(one.process.stdout.readline())
    if not limit:
        one.send(signal.SIGTERM)
    assert one.process.stdout.readline() == b"heard\n"
    os.killpg(one.process.pid, signal.SIGKILL)
    assert one.code() == -signal.SIGKILL
    wait_for(lambda: not is_alive(child))


RELOADING = """
import os, signal, sys
signal.signal(signal.SIGHUP, lambda *_: os.write(1, b"again\\n"))
child = os.fork()
if not child:
    while True:
        signal.pause()
os.write(1, b"%d\\n" % child)
sys.stdin.readline()
os._exit(0)
"""


@linux
def test_what_a_command_leaves_behind_long_after_sighup_is_left_alone(telemetry: Telemetry) -> None:
    """That signal asks some programs to read their settings again."""
    argv = (*EXEC, "--no-capture", "--", sys.executable, "-S", "-c", RELOADING)
    with telemetry.popen(
        *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin
        assert process.stdout
        service = int(process.stdout.readline())
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == b"again\n"
        process.stdin.write(b"end\n")
        process.stdin.flush()
        assert process.wait(60) == 0
        # What would kill it takes its leave when it hears of our end.
        wait_for(
            lambda: (
                not subprocess.run(
                    ["pgrep", "-f", f"kill -s KILL.* {os.getpgid(service)}$"], capture_output=True
                ).stdout
            )
        )
        assert is_alive(service)
        os.kill(service, signal.SIGKILL)


# At random


TREE = r"""
import os, random, signal, sys, time
# A tree of processes: some end at signals, some do not; the root counts what it gets and ends as it is told.
deep = int(sys.argv[1])
if deep:
    for _ in range(2):
        if not os.fork():
            os.execv(sys.executable, [sys.executable, "-S", "-c", os.environ["TREE"], str(deep - 1)])
if os.environ["STUBBORN"] == "1":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(11))
sys.stdout.write("ready\n")
sys.stdout.flush()
end = time.monotonic() + float(os.environ["SECONDS"])
while time.monotonic() < end:
    time.sleep(0.02)
sys.exit(5)
"""
ANY = [
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
    "SIGUSR1",
    "SIGUSR2",
    "SIGQUIT",
    "SIGALRM",
    "SIGCONT",
    "SIGWINCH",
    "SIGCHLD",
    "SIGPIPE",
    "SIGURG",
    "SIGTSTP",
    "SIGSTOP",
]


@linux
@pytest.mark.heavy
def test_two_hundred_random_signals_leave_no_run_without_an_end_and_no_wrong_exit_code(
    telemetry: Telemetry,
) -> None:
    """To the wrapper, to the command, and to what it started. How the command ended is told by the record, and where a shell stood
    between and lived to see it, by what that wrote down.
    """
    telemetry.start("--event-id", "first")
    telemetry("run", "end", "first")
    pick = random.Random(20261120)
    sent = trial = 0
    codes = set()
    while sent < 200:
        trial += 1
        event, witness = f"trial-{trial}", telemetry.home / f"witness-{trial}"
        env = {"TREE": TREE, "STUBBORN": str(pick.randrange(2)), "SECONDS": "0.8"}
        # A shell between us writes down what became of the command, and ends as it did.
        observe = (
            f"'{sys.executable}' -S -c \"$TREE\" 2; code=$?; echo $code > '{witness}'; exit $code"
        )
        argv = (
            ("--", "sh", "-c", observe)
            if trial % 2
            else ("--", sys.executable, "-S", "-c", TREE, "2")
        )
        process = telemetry.popen(
            *EXEC,
            "--event-id",
            event,
            *argv,
            env=env,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout
        process.stdout.readline()
        for _ in range(pick.randrange(1, 6)):
            targets = [process.pid, *_descendants(process.pid)]
            number = signal.Signals[pick.choice(ANY)]
            # Whoever stops our own wrapper for good has to let it go on again.
            target = pick.choice(targets)
            try:
                os.kill(target, number)
                sent += 1
                if number in (signal.SIGTSTP, signal.SIGSTOP):
                    time.sleep(0.02)
                    for each in {target, process.pid}:
                        os.kill(each, signal.SIGCONT)
            except ProcessLookupError:
                pass
            time.sleep(pick.uniform(0, 0.1))
        code = process.wait(60)
        process.stdout.close()
        run = telemetry.run(event)
        metrics = run["metrics_json"]
        told = (
            metrics.get("process.exit.code", None)
            if "process.exit.code" in metrics
            else 128 + signal.Signals[metrics["process.exit.signal"]]
        )
        assert (code, run["status"] != "running", run["end_time"] is not None) == (
            told,
            True,
            True,
        ), (trial, run)
        if witness.exists():
            assert int(witness.read_text()) == code, (trial, run)
        codes.add(code)
    assert telemetry("query", "--status", "running", "--count").line == "0"
    assert len(codes) > 2, codes


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True
    ).stdout.split():
        found += [int(child), *_descendants(int(child))]
    return found
