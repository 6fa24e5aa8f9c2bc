"""What `run exec` keeps of stderr, and what it measures."""

import io
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import PROGRAM, Telemetry, wait_for

EXEC = ("run", "exec", "--no-git")


def failed(
    telemetry: Telemetry,
    code: str,
    *options: str,
    exit_code: int = 1,
    env: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The run of Python code that fails."""
    telemetry(
        *EXEC,
        *options,
        "--",
        sys.executable,
        "-c",
        f"import os, sys\n{code}\nsys.exit({exit_code})",
        code=exit_code,
        env=env,
    )
    return telemetry.run("@last")


def test_the_end_of_stderr_is_kept_on_a_failure(telemetry: Telemetry) -> None:
    run = failed(
        telemetry,
        "print('out'); print('one', file=sys.stderr); print('two\\n', file=sys.stderr)",
        exit_code=3,
    )
    assert (run["error_details"], run["error_summary"]) == ("one\ntwo\n\n", "exit code 3: two")


def test_nothing_is_kept_of_a_success(telemetry: Telemetry) -> None:
    ran = telemetry(*EXEC, "--", "sh", "-c", "echo warning >&2")
    run = telemetry.run("@last")
    assert (ran.err, run["error_details"], run["error_summary"], run["status"]) == (
        "warning\n",
        None,
        None,
        "success",
    )


def test_nothing_is_kept_without_capture_and_stderr_is_not_touched(telemetry: Telemetry) -> None:
    file = telemetry.home / "stderr"
    with file.open("w") as stderr:
        command = [
            str(PROGRAM),
            *EXEC,
            "--no-capture",
            "--",
            "sh",
            "-c",
            "readlink /proc/self/fd/2; echo x >&2; exit 1",
        ]
        done = subprocess.run(
            command,
            env=telemetry.env,
            cwd=telemetry.cwd,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    if sys.platform == "linux":
        assert done.stdout == f"{file}\n"
    assert (file.read_text(), telemetry.run("@last")["error_details"]) == ("x\n", None)


@pytest.mark.parametrize("tail", [100, 1000, 65536])
def test_no_more_than_the_tail_is_kept_and_it_begins_with_a_line(
    tail: int, telemetry: Telemetry
) -> None:
    run = failed(
        telemetry, "for n in range(30000): print('line', n, file=sys.stderr)", "--tail", str(tail)
    )
    kept = run["error_details"]
    assert tail - 20 <= len(kept.encode()) <= tail
    assert kept.splitlines()[-1] == "line 29999"
    assert re.fullmatch(r"line \d+", kept.splitlines()[0])


def test_a_tail_of_nothing(telemetry: Telemetry) -> None:
    run = failed(telemetry, "print('x', file=sys.stderr)", "--tail", "0")
    assert (run["error_details"], run["error_summary"]) == (None, "exit code 1")


def test_what_is_no_text_is_kept_as_text(telemetry: Telemetry) -> None:
    run = failed(telemetry, "os.write(2, b'\\xff\\x00caf\\xc3\\xa9 \\x1b[31mred\\n')")
    assert run["error_details"] == "\ufffdcafé \x1b[31mred\n"
    shown = telemetry("run", "show", "@last")
    assert "\x1b" not in shown.out


def test_a_secret_that_the_cut_goes_through_does_not_show(telemetry: Telemetry) -> None:
    token = "ghp_" + "a1" * 18
    for before in range(60, 110, 7):
        run = failed(
            telemetry,
            f"sys.stderr.write('x' * 20000 + '\\n{token} ' + 'y' * {before})",
            "--tail",
            "100",
        )
        assert not re.search("a1a1", str(run["error_details"])), run["error_details"]


def test_a_key_whose_beginning_was_cut_off_does_not_show(telemetry: Telemetry) -> None:
    code = "body = ('QUJD' * 16 + '\\n') * 300; sys.stderr.write('-----BEGIN RSA PRIVATE KEY-----\\n' + body + '-----END RSA PRIVATE KEY-----\\nlast\\n')"
    run = failed(telemetry, code)
    assert "QUJD" not in run["error_details"]
    assert run["error_details"].endswith("last\n")


@pytest.mark.parametrize("separator", ["\n", " "])
def test_half_a_secret_at_the_cut_does_not_show_where_cleaning_shortens_what_follows(
    separator: str, telemetry: Telemetry
) -> None:
    token, long = "ghp_" + "a1" * 18, "eyJ" + "a" * 20 + ".eyJ" + "b" * 20_000
    # 24 KiB are kept until they are cleaned: they begin at the fourth character of the token.
    rest = 24 * 1024 - len(token) + 3 - len(long) - 2 - len("end")
    code = f"sys.stderr.write('x' * 9000 + {separator!r} + '{token}' + {separator!r} + '{long}' + {separator!r} + 'y' * {rest} + 'end')"
    run = failed(telemetry, code)
    assert "a1a1" not in str(run["error_details"])
    assert run["error_details"].endswith("end")


def test_the_rest_of_a_word_without_an_end_does_not_show(telemetry: Telemetry) -> None:
    """A token of 40,000 characters whose beginning was cut off has no shape any more."""
    run = failed(telemetry, "sys.stderr.write('eyJ' + 'a' * 20 + '.eyJ' + 'b' * 40000)")
    assert (run["error_details"], run["error_summary"]) == (None, "exit code 1")


@pytest.mark.parametrize("lines", [10, 300, 1000])
def test_a_key_with_headers_does_not_show_wherever_it_is_cut(
    lines: int, telemetry: Telemetry
) -> None:
    head = "-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\nDEK-Info: AES-128-CBC,0A1B\\n\\n"
    code = f"sys.stderr.write('{head}' + ('QUJD' * 16 + '\\n') * {lines} + '-----END RSA PRIVATE KEY-----\\nlast\\n')"
    run = failed(telemetry, code)
    assert "QUJD" not in run["error_details"]
    assert run["error_details"].endswith("last\n")


def test_a_key_that_is_cut_in_its_header_does_not_show(telemetry: Telemetry) -> None:
    head, end = (
        "X-Comment: a-b-c\n" * 1000 + "DEK-Info: AES-128-CBC,0A1B\n\n",
        "\n-----END RSA PRIVATE KEY-----\n",
    )
    body = 24 * 1024 - len("DEK-Info: AES-128-CBC,0A1B\n\n") - len(end) - 40
    code = f"sys.stderr.write('-----BEGIN RSA PRIVATE KEY-----\\n' + {head!r} + 'Q' * {body} + {end!r})"
    run = failed(telemetry, code)
    assert "QQQ" not in run["error_details"]


#: Leaves a service behind that closes what is named, waits for a word, and then says a line and goes on.
SERVICE = """
import os, sys
if os.fork():
    os.write(2, b"first\\n")
    os._exit(2)
for descriptor in sys.argv[1:]:
    os.close(int(descriptor))
with open("go") as go:
    go.read()
os.write(2, b"late\\n")
open("served", "w").close()
"""


@pytest.fixture
def go(telemetry: Telemetry) -> Path:
    """A FIFO that the service waits at."""
    path = telemetry.cwd / "go"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("streams", ["stderr", "both"])
def test_service_left_behind_lives_and_is_heard(
    streams: str, go: Path, telemetry: Telemetry
) -> None:
    command = (*EXEC, "--", sys.executable, "-S", "-c", SERVICE)
    stdout, stderr = (
        (subprocess.DEVNULL, subprocess.PIPE)
        if streams == "stderr"
        else (subprocess.PIPE, subprocess.STDOUT)
    )
    with telemetry.popen(*command, stdout=stdout, stderr=stderr) as process:
        stream = process.stderr or process.stdout
        assert stream
        assert process.wait(60) == 2
        assert stream.readline() == b"first\n"
        go.write_text("go")
        assert stream.read() == b"late\n"
    assert (telemetry.cwd / "served").exists()
    assert telemetry.run("@last")["error_summary"] == "exit code 2: first"


def test_relay_of_a_service_holds_nothing_but_stderr(go: Path, telemetry: Telemetry) -> None:
    """Whoever waits for the end of our stdout, or for a lock that we inherited, does not wait for the service."""
    reading, writing = os.pipe()
    command = (*EXEC, "--", sys.executable, "-S", "-c", SERVICE, "1", str(writing))
    with (
        telemetry.popen(
            *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(writing,)
        ) as process,
        open(reading, "rb") as inherited,
    ):
        os.close(writing)
        assert process.stdout
        assert process.stderr
        assert (process.stdout.read(), inherited.read(), process.wait(60)) == (b"", b"", 2)
        go.write_text("go")
        assert process.stderr.read() == b"first\nlate\n"


#: The program where no thread can be started, as under RLIMIT_NPROC.
WITHOUT_THREADS = """
import sys
from telemetry_cli.cli import main
from telemetry_cli.database import sandbox
from telemetry_cli.exec import capture
def refuse(*_):
    raise RuntimeError("can't start new thread")
capture.start_new_thread = sandbox.start_new_thread = refuse
sys.exit(main.main())
"""


def without_threads(telemetry: Telemetry, *argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", WITHOUT_THREADS, *argv]
    return subprocess.run(
        command, env=telemetry.env, cwd=telemetry.cwd, capture_output=True, text=True, timeout=60
    )


def test_stderr_passes_and_is_kept_where_no_thread_can_be_started(telemetry: Telemetry) -> None:
    """More than a pipe holds: it must pass while the command runs."""
    code = "import os\nfor n in range(20000): os.write(2, b'line %d\\n' % n)\nos._exit(7)"
    ran = without_threads(telemetry, *EXEC, "--", sys.executable, "-S", "-c", code)
    assert (ran.returncode, ran.stderr) == (7, "".join(f"line {n}\n" for n in range(20000)))
    assert telemetry.run("@last")["error_summary"] == "exit code 7: line 19999"


def test_time_limit_holds_where_no_thread_can_be_started(telemetry: Telemetry) -> None:
    ran = without_threads(
        telemetry, *EXEC, "--timeout", "300ms", "--", "sh", "-c", "echo x >&2; exec sleep 60"
    )
    assert (ran.returncode, ran.stderr) == (143, "x\n")
    assert telemetry.run("@last")["status"] == "timeout"


def test_service_left_behind_is_heard_where_no_thread_can_be_started(
    go: Path, telemetry: Telemetry
) -> None:
    command = [
        sys.executable,
        "-c",
        WITHOUT_THREADS,
        *EXEC,
        "--",
        sys.executable,
        "-S",
        "-c",
        SERVICE,
    ]
    with subprocess.Popen(
        command, env=telemetry.env, cwd=telemetry.cwd, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        assert process.wait(60) == 2
        go.write_text("go")
        assert process.stderr.read() == b"first\nlate\n"


def test_sql_answers_where_no_thread_can_be_started(telemetry: Telemetry) -> None:
    telemetry.start()
    ran = without_threads(telemetry, "sql", "SELECT 1 AS one", "-o", "csv")
    assert (ran.returncode, ran.stdout.splitlines(), ran.stderr) == (0, ["one", "1"], "")


def test_no_process_is_left_uncollected(telemetry: Telemetry) -> None:
    ran = telemetry(*EXEC, "--", "sh", "-c", "sleep 0.05 & exit 0")
    assert ran.code == 0
    with telemetry.popen(
        *EXEC,
        "--",
        "sh",
        "-c",
        "true & wait; echo waited; read line",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"waited\n"
        states = subprocess.run(
            ["ps", "-o", "stat=", "--ppid", str(process.pid)], capture_output=True, text=True
        ).stdout.split()
        assert [state for state in states if state.startswith("Z")] == []
        process.communicate(b"\n")


def test_stderr_whose_reader_has_gone_ends_the_command_as_ever(telemetry: Telemetry) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [str(PROGRAM), *EXEC, "--", "sh", "-c", "while echo x; do :; done >&2"]
    done = subprocess.run(command, env=telemetry.env, cwd=telemetry.cwd, stderr=writing, timeout=60)
    os.close(writing)
    assert done.returncode in (141, 1, 2)
    assert telemetry.run("@last")["status"] == "failure"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_stderr_on_a_full_disk_is_no_closed_stderr(telemetry: Telemetry) -> None:
    with open("/dev/full", "wb") as full:
        command = [
            str(PROGRAM),
            *EXEC,
            "--",
            "sh",
            "-c",
            "echo x >&2; sleep 0.3; echo y >&2; exit 4",
        ]
        done = subprocess.run(
            command, env=telemetry.env, cwd=telemetry.cwd, stderr=full, timeout=60
        )
    run = telemetry.run("@last")
    assert (done.returncode, run["error_details"]) == (4, "x\ny\n")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process")
def test_stderr_that_finds_room_again_gets_what_comes_then(telemetry: Telemetry) -> None:
    """A file that may not grow for a while."""
    file = telemetry.home / "stderr"
    code = "import os, sys\nfor word in (b'', b'lost', b'kept'): os.write(2, word); print('written', flush=True); sys.stdin.readline()"
    with file.open("wb") as stderr:
        process = telemetry.popen(
            *EXEC,
            "--",
            sys.executable,
            "-c",
            code,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == b"written\n"
    for most, left in ((0, b""), (resource.RLIM_INFINITY, b"kept")):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"written\n"
        time.sleep(0.3)
        assert file.read_bytes() == left
    process.communicate(b"\n", timeout=60)
    assert (process.returncode, file.read_bytes()) == (0, b"kept")


def test_a_slow_reader_of_stderr_gets_everything(telemetry: Telemetry) -> None:
    code = "import os; os.write(2, b'x' * 1_000_000)"
    with telemetry.popen(
        *EXEC, "--", sys.executable, "-c", code, stderr=subprocess.PIPE
    ) as process:
        assert isinstance(process.stderr, io.BufferedReader)
        size = 0
        while block := process.stderr.read1(65536):
            size += len(block)
            time.sleep(0.01)
    assert (size, process.returncode) == (1_000_000, 0)


@pytest.mark.parametrize(
    ("command", "code", "status"),
    [("exec yes >&2", 143, "timeout"), ("head -c 110000 /dev/zero >&2; exit 4", 4, "failure")],
)
def test_a_reader_of_stderr_that_stalls_holds_nobody_past_the_time_limit(
    command: str, code: int, status: str, telemetry: Telemetry
) -> None:
    with telemetry.popen(
        *EXEC, "--timeout", "500ms", "--", "sh", "-c", command, stderr=subprocess.PIPE
    ) as process:
        assert process.wait(60) == code
        assert telemetry.run("@last")["status"] == status


def test_a_reader_that_stalls_keeps_us_from_saying_anything_and_from_nothing_else(
    telemetry: Telemetry,
) -> None:
    telemetry.start("--event-id", "E")
    command = (*EXEC, "--event-id", "E", "--timeout", "500ms", "--", "sh", "-c", "exec yes >&2")
    with telemetry.popen(*command, stderr=subprocess.PIPE) as process:
        assert process.wait(60) == 143


def test_stderr_that_does_not_block_gets_everything(telemetry: Telemetry) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = telemetry.popen(
        *EXEC,
        "--",
        sys.executable,
        "-c",
        "import sys; sys.stderr.write('x' * 500_000)",
        stderr=writing,
    )
    wait_for(lambda: not select.select([], [writing], [], 0)[1])  # the pipe is full
    os.close(writing)
    with open(reading, "rb") as file:
        assert len(file.read()) == 500_000
    assert process.wait() == 0


# Measured


def test_time_and_memory_are_measured(telemetry: Telemetry) -> None:
    code = "import time; x = bytearray(200_000_000); end = time.process_time() + 0.4\nwhile time.process_time() < end: pass\ntime.sleep(0.3)"
    begun = time.monotonic()
    telemetry(*EXEC, "--", sys.executable, "-c", code)
    most = time.monotonic() - begun
    run = telemetry.run("@last")
    metrics = run["metrics_json"]
    used = metrics["process.cpu.time.user"] + metrics["process.cpu.time.system"]
    assert 0.4 <= used < metrics["process.uptime"]
    assert 0.7 <= metrics["process.uptime"] < most
    assert 200_000_000 < metrics["process.memory.peak"] < 400_000_000
    assert run["duration_ms"] == round(metrics["process.uptime"] * 1000)
    assert metrics["process.exit.code"] == 0


def test_what_the_commands_own_children_used_counts(telemetry: Telemetry) -> None:
    code = "x = bytearray(150_000_000); import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    telemetry(*EXEC, "--", "sh", "-c", f"'{sys.executable}' -c '{code}'; true")
    metrics = telemetry.run("@last")["metrics_json"]
    assert metrics["process.cpu.time.user"] + metrics["process.cpu.time.system"] >= 0.3
    assert metrics["process.memory.peak"] > 150_000_000


# How much, how fast


@pytest.mark.heavy
def test_ten_gigabytes_pass_in_flat_memory(telemetry: Telemetry) -> None:
    telemetry.start()
    command = "head -c 10000000000 /dev/zero >&2"
    measured = telemetry.measured(*EXEC, "--", "sh", "-c", command, stderr=subprocess.DEVNULL)
    code, kib = measured.ended()
    assert code == 0
    assert kib < 60_000


@pytest.mark.skipif(sys.platform != "linux", reason="by /proc")
def test_stdout_does_not_pass_through_us(telemetry: Telemetry) -> None:
    with telemetry.popen(
        *EXEC, "--", "readlink", "/proc/self/fd/1", stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert (
            process.stdout.read().decode()
            == os.readlink(f"/proc/self/fd/{process.stdout.fileno()}") + "\n"
        )


def test_a_secret_deep_in_json_that_stands_in_a_line_is_not_kept(telemetry: Telemetry) -> None:
    run = failed(
        telemetry,
        """sys.stderr.write('config: {"db": {"password": {"value": "hunter2x9"}}} is refused\\n')""",
    )
    assert (
        run["error_details"] == 'config: {"db": {"password": {"value": "[redacted]"}}} is refused\n'
    )


# stdout and stderr in one place


ALTERNATING = "import os\nfor n in range(300): os.write(1, b'%d out\\n' % n); os.write(2, b'%d err\\n' % n)\nos._exit(3)"
IN_ORDER = "".join(f"{n} out\n{n} err\n" for n in range(300))


def alternate_into(place: int, telemetry: Telemetry, code: str = ALTERNATING) -> int:
    """Run a command whose stdout and stderr are both `place`, and return its exit code."""
    command = [str(PROGRAM), *EXEC, "--", sys.executable, "-S", "-c", code]
    return subprocess.run(
        command, env=telemetry.env, cwd=telemetry.cwd, stdout=place, stderr=place, timeout=60
    ).returncode


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_order_holds_in_one_pipe_and_its_end_is_kept(kind: str, telemetry: Telemetry) -> None:
    reading, writing = (
        os.pipe() if kind == "pipe" else (end.detach() for end in socket.socketpair())
    )
    process = telemetry.popen(
        *EXEC, "--", sys.executable, "-S", "-c", ALTERNATING, stdout=writing, stderr=writing
    )
    os.close(writing)
    with open(reading, "rb") as file:
        assert (file.read().decode(), process.wait(60)) == (IN_ORDER, 3)
    run = telemetry.run("@last")
    assert (run["error_details"], run["error_summary"]) == (IN_ORDER, "exit code 3: 299 err")


@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_order_holds_in_one_file_and_its_end_is_read_back(mode: str, telemetry: Telemetry) -> None:
    log = telemetry.home / "log"
    log.write_text("before\n")
    with log.open(mode) as file:
        file.seek(0, os.SEEK_END)
        assert alternate_into(file.fileno(), telemetry) == 3
    assert log.read_text() == f"before\n{IN_ORDER}"
    run = telemetry.run("@last")
    assert (run["error_details"], run["error_summary"]) == (IN_ORDER, "exit code 3: 299 err")


def test_the_file_itself_is_the_commands_stdout_and_stderr(telemetry: Telemetry) -> None:
    log = telemetry.home / "log"
    code = f"import os\nsame = [os.path.samestat(os.fstat(n), os.stat({str(log)!r})) for n in (1, 2)]\nos._exit(same == [True, True])"
    with log.open("wb") as file:
        assert alternate_into(file.fileno(), telemetry, code) == 1


def test_no_more_of_one_file_is_read_back_than_the_tail(telemetry: Telemetry) -> None:
    code = "import os\nfor n in range(30000): os.write(1, b'line %d\\n' % n)\nos._exit(1)"
    with (telemetry.home / "log").open("wb") as file:
        alternate_into(file.fileno(), telemetry, code)
    kept = telemetry.run("@last")["error_details"]
    assert 16 * 1024 - 20 <= len(kept) <= 16 * 1024
    assert re.fullmatch(r"line \d+", kept.splitlines()[0])
    assert kept.splitlines()[-1] == "line 29999"


def test_a_file_that_was_truncated_meanwhile_is_read_back(telemetry: Telemetry) -> None:
    log = telemetry.home / "log"
    log.write_text("before\n" * 100)
    with log.open("ab") as file:
        assert (
            alternate_into(
                file.fileno(),
                telemetry,
                "import os; os.ftruncate(2, 0); os.write(2, b'after\\n'); os._exit(1)",
            )
            == 1
        )
    assert telemetry.run("@last")["error_details"] == "after\n"


def test_stderr_is_kept_where_both_are_discarded(telemetry: Telemetry) -> None:
    """Nobody sees the order in /dev/null, where cron jobs and their like write to."""
    with open(os.devnull, "wb") as file:
        assert alternate_into(file.fileno(), telemetry) == 3
    assert telemetry.run("@last")["error_details"] == "".join(f"{n} err\n" for n in range(300))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_the_commands_where_stdout_goes_there_too(telemetry: Telemetry) -> None:
    code = "import os\ntry: os.write(1, b'x')\nexcept OSError: os._exit(28)"
    with open("/dev/full", "wb") as full:
        assert alternate_into(full.fileno(), telemetry, code) == 28


def test_one_pipe_whose_reader_has_gone_ends_the_command_as_ever(telemetry: Telemetry) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "import os, signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\nwhile True: os.write(1, b'x' * 1000)"
    assert alternate_into(writing, telemetry, code) == 141
    os.close(writing)


def test_without_capture_one_pipe_is_the_commands(telemetry: Telemetry) -> None:
    reading, writing = os.pipe()
    code = f"import os; os._exit(os.fstat(1).st_ino == os.fstat(2).st_ino == {os.fstat(writing).st_ino})"
    command = [str(PROGRAM), *EXEC, "--no-capture", "--", sys.executable, "-S", "-c", code]
    done = subprocess.run(
        command, env=telemetry.env, cwd=telemetry.cwd, stdout=writing, stderr=writing, timeout=60
    )
    os.close(reading)
    os.close(writing)
    assert done.returncode == 1


# Summaries


@pytest.mark.parametrize(
    ("said", "summary"),
    [
        (r"\033[31mError: no module\033[39m\n\033[?25h\033[0m", "Error: no module"),
        (r"\033[1m\033[38;5;196mError:\033[0m no module\n", "Error: no module"),
        (r"Error: no module\n\033[2K\033[1G\n\033(B\033[m\017\n", "Error: no module"),
        (r"10%%\r50%%\rError: no module\r\n", "Error: no module"),
        (r"Error: \033]8;;file:///x\033\\no\033]8;;\033\\ module\n", "Error: no module"),
        (
            r"Error: \033]8;;file:///x\007no\033]8;;\007 module\n\033]0;a title\007\n",
            "Error: no module",
        ),
        (r"Error: no module\a\n\302\23331m\n", "Error: no module"),
        (r"Error: no module \033[38;5", "Error: no module"),
        (r"\033[31m\n\033[0m\n", ""),
    ],
)
def test_summary_is_the_last_line_that_shows_something(
    said: str, summary: str, telemetry: Telemetry
) -> None:
    telemetry(*EXEC, "--", "sh", "-c", f"printf '{said}' >&2; exit 1", code=1)
    assert telemetry.run("@last")["error_summary"] == (
        f"exit code 1: {summary}" if summary else "exit code 1"
    )
