"""What `run exec` keeps of stderr, and what it measures."""

import io
import os
import re
import resource
import subprocess
import sys
import time
from typing import Any

import pytest
from support import PROGRAM, Telemetry

EXEC = ("run", "exec", "--no-git")


def failed(telemetry: Telemetry, code: str, *options: str, exit_code: int = 1, env: dict[str, str] | None = None) -> dict[str, Any]:
    """The run of Python code that fails."""
    telemetry(*EXEC, *options, "--", sys.executable, "-c", f"import os, sys\n{code}\nsys.exit({exit_code})", code=exit_code, env=env)
    return telemetry.run("@last")


def test_the_end_of_stderr_is_kept_on_a_failure(telemetry: Telemetry) -> None:
    run = failed(telemetry, "print('out'); print('one', file=sys.stderr); print('two\\n', file=sys.stderr)", exit_code=3)
    assert (run["error_details"], run["error_summary"]) == ("one\ntwo\n\n", "exit code 3: two")


def test_nothing_is_kept_of_a_success(telemetry: Telemetry) -> None:
    ran = telemetry(*EXEC, "--", "sh", "-c", "echo warning >&2")
    run = telemetry.run("@last")
    assert (ran.err, run["error_details"], run["error_summary"], run["status"]) == ("warning\n", None, None, "success")


def test_nothing_is_kept_without_capture_and_stderr_is_not_touched(telemetry: Telemetry) -> None:
    file = telemetry.home / "stderr"
    with file.open("w") as stderr:
        command = [str(PROGRAM), *EXEC, "--no-capture", "--", "sh", "-c", "readlink /proc/self/fd/2; echo x >&2; exit 1"]
        done = subprocess.run(command, env=telemetry.env, cwd=telemetry.cwd, stdout=subprocess.PIPE, stderr=stderr, text=True)
    if sys.platform == "linux":
        assert done.stdout == f"{file}\n"
    assert (file.read_text(), telemetry.run("@last")["error_details"]) == ("x\n", None)


@pytest.mark.parametrize("tail", [100, 1000, 65536])
def test_no_more_than_the_tail_is_kept_and_it_begins_with_a_line(tail: int, telemetry: Telemetry) -> None:
    run = failed(telemetry, "for n in range(30000): print('line', n, file=sys.stderr)", "--tail", str(tail))
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
        run = failed(telemetry, f"sys.stderr.write('x' * 20000 + '\\n{token} ' + 'y' * {before})", "--tail", "100")
        assert not re.search("a1a1", str(run["error_details"])), run["error_details"]


def test_a_key_whose_beginning_was_cut_off_does_not_show(telemetry: Telemetry) -> None:
    code = "body = ('QUJD' * 16 + '\\n') * 300; sys.stderr.write('-----BEGIN RSA PRIVATE KEY-----\\n' + body + '-----END RSA PRIVATE KEY-----\\nlast\\n')"
    run = failed(telemetry, code)
    assert "QUJD" not in run["error_details"]
    assert run["error_details"].endswith("last\n")


@pytest.mark.parametrize("separator", ["\n", " "])
def test_half_a_secret_at_the_cut_does_not_show_where_cleaning_shortens_what_follows(separator: str, telemetry: Telemetry) -> None:
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
def test_a_key_with_headers_does_not_show_wherever_it_is_cut(lines: int, telemetry: Telemetry) -> None:
    head = "-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\nDEK-Info: AES-128-CBC,0A1B\\n\\n"
    code = f"sys.stderr.write('{head}' + ('QUJD' * 16 + '\\n') * {lines} + '-----END RSA PRIVATE KEY-----\\nlast\\n')"
    run = failed(telemetry, code)
    assert "QUJD" not in run["error_details"]
    assert run["error_details"].endswith("last\n")


def test_a_key_that_is_cut_in_its_header_does_not_show(telemetry: Telemetry) -> None:
    head, end = "X-Comment: a-b-c\n" * 1000 + "DEK-Info: AES-128-CBC,0A1B\n\n", "\n-----END RSA PRIVATE KEY-----\n"
    body = 24 * 1024 - len("DEK-Info: AES-128-CBC,0A1B\n\n") - len(end) - 40
    code = f"sys.stderr.write('-----BEGIN RSA PRIVATE KEY-----\\n' + {head!r} + 'Q' * {body} + {end!r})"
    run = failed(telemetry, code)
    assert "QQQ" not in run["error_details"]


def test_a_background_process_neither_holds_us_up_nor_is_ended(telemetry: Telemetry) -> None:
    begun = time.monotonic()
    out = telemetry.home / "out"
    with out.open("w") as stdout:
        command = [str(PROGRAM), *EXEC, "--", "sh", "-c", "echo err >&2; sleep 30 >/dev/null & echo $!; exit 2"]
        done = subprocess.run(command, env=telemetry.env, cwd=telemetry.cwd, stdout=stdout, stderr=subprocess.PIPE, timeout=60)
    assert time.monotonic() - begun < 15
    assert (done.returncode, done.stderr) == (2, b"err\n")
    left = int(out.read_text())
    os.kill(left, 0)
    os.kill(left, 9)


def test_no_process_is_left_uncollected(telemetry: Telemetry) -> None:
    ran = telemetry(*EXEC, "--", "sh", "-c", "sleep 0.05 & exit 0")
    assert ran.code == 0
    with telemetry.popen(*EXEC, "--", "sh", "-c", "true & wait; read line", stdin=subprocess.PIPE) as process:
        time.sleep(0.3)
        states = subprocess.run(["ps", "-o", "stat=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout.split()
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
        command = [str(PROGRAM), *EXEC, "--", "sh", "-c", "echo x >&2; sleep 0.3; echo y >&2; exit 4"]
        done = subprocess.run(command, env=telemetry.env, cwd=telemetry.cwd, stderr=full, timeout=60)
    run = telemetry.run("@last")
    assert (done.returncode, run["error_details"]) == (4, "x\ny\n")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process")
def test_stderr_that_finds_room_again_gets_what_comes_then(telemetry: Telemetry) -> None:
    """A file that may not grow for a while."""
    file = telemetry.home / "stderr"
    code = "import os, sys\nfor word in (b'', b'lost', b'kept'): os.write(2, word); print('written', flush=True); sys.stdin.readline()"
    with file.open("wb") as stderr:
        process = telemetry.popen(*EXEC, "--", sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
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
    with telemetry.popen(*EXEC, "--", sys.executable, "-c", code, stderr=subprocess.PIPE) as process:
        assert isinstance(process.stderr, io.BufferedReader)
        size = 0
        while block := process.stderr.read1(65536):
            size += len(block)
            time.sleep(0.01)
    assert (size, process.returncode) == (1_000_000, 0)


@pytest.mark.parametrize(("command", "code", "status"), [("exec yes >&2", 143, "timeout"), ("head -c 110000 /dev/zero >&2; exit 4", 4, "failure")])
def test_a_reader_of_stderr_that_stalls_holds_nobody_past_the_time_limit(command: str, code: int, status: str, telemetry: Telemetry) -> None:
    begun = time.monotonic()
    with telemetry.popen(*EXEC, "--timeout", "500ms", "--", "sh", "-c", command, stderr=subprocess.PIPE) as process:
        assert process.wait(30) == code
        assert 5 < time.monotonic() - begun < 15
        assert telemetry.run("@last")["status"] == status


def test_a_reader_that_stalls_keeps_us_from_saying_anything_and_from_nothing_else(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "E")
    command = (*EXEC, "--event-id", "E", "--timeout", "500ms", "--", "sh", "-c", "exec yes >&2")
    with telemetry.popen(*command, stderr=subprocess.PIPE) as process:
        assert process.wait(30) == 143


def test_stderr_that_does_not_block_gets_everything(telemetry: Telemetry) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = telemetry.popen(*EXEC, "--", sys.executable, "-c", "import sys; sys.stderr.write('x' * 500_000)", stderr=writing)
    os.close(writing)
    time.sleep(0.5)
    with open(reading, "rb") as file:
        assert len(file.read()) == 500_000
    assert process.wait() == 0


# Measured


def test_time_and_memory_are_measured(telemetry: Telemetry) -> None:
    code = "import time; x = bytearray(200_000_000); end = time.process_time() + 0.4\nwhile time.process_time() < end: pass\ntime.sleep(0.3)"
    telemetry(*EXEC, "--", sys.executable, "-c", code)
    run = telemetry.run("@last")
    metrics = run["metrics_json"]
    assert 0.4 <= metrics["process.cpu.time.user"] + metrics["process.cpu.time.system"] < 5
    assert 0.6 < metrics["process.uptime"] < 20
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


def _seconds(command: str, telemetry: Telemetry) -> float:
    begun = time.monotonic()
    subprocess.run(["sh", "-c", command], env=telemetry.env, cwd=telemetry.cwd, check=True, timeout=300)
    return time.monotonic() - begun


@pytest.mark.heavy
def test_ten_gigabytes_pass_in_flat_memory_and_as_fast_as_through_cat(telemetry: Telemetry) -> None:
    """What the command writes to stdout does not pass through us at all; what it writes to stderr does."""
    telemetry.start()
    source = "head -c {size} /dev/zero"
    ratios = []
    for _ in range(3):
        cat = _seconds(f"{source.format(size=2_000_000_000)} | cat | cat > /dev/null", telemetry)
        ours = _seconds(f"'{PROGRAM}' run exec --no-git -- sh -c '{source.format(size=2_000_000_000)} >&2' 2>&1 >/dev/null | cat > /dev/null", telemetry)
        piped = _seconds(f"'{PROGRAM}' run exec --no-git -- {source.format(size=2_000_000_000)} | cat | cat > /dev/null", telemetry)
        ratios.append((cat / ours, cat / piped))
    assert max(ratio for ratio, _ in ratios) >= 0.8, ratios
    assert max(ratio for _, ratio in ratios) >= 0.8, ratios
    with telemetry.popen(*EXEC, "--", "sh", "-c", f"{source.format(size=10_000_000_000)} >&2", stderr=subprocess.DEVNULL) as process:
        most = 0
        while process.poll() is None:
            with open(f"/proc/{process.pid}/status") as status:
                most = max(most, *(int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)
            time.sleep(0.05)
    assert process.returncode == 0
    assert most < 60_000  # kilobytes


def test_a_secret_deep_in_json_that_stands_in_a_line_is_not_kept(telemetry: Telemetry) -> None:
    run = failed(telemetry, """sys.stderr.write('config: {"db": {"password": {"value": "hunter2x9"}}} is refused\\n')""")
    assert run["error_details"] == 'config: {"db": {"password": {"value": "[redacted]"}}} is refused\n'
