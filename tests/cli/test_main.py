"""Streams that are closed or full, folders that are gone, limits and odd locales: documented exit codes only."""

import fcntl
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 75, 130, 141, 143}  # not 70: that is a defect
START = ("run", "start", "--agent-name", "a", "--job-type", "j", "--event-id", "mine", "--no-git")
AT = "2026-01-01T00:00:00.000Z"
WRITES = [
    START,
    ("run", "end", "known-run"),
    ("run", "update", "known-run", "--product", "p"),
    ("run", "event", "tick", "--run", "known-run"),
]
READS = [
    ("query",), ("query", "-o", "json"), ("query", "-o", "csv"), ("query", "-o", "jsonl"), ("query", "-o", "ids"), ("query", "--count"),
    ("run", "show", "known-run"), ("run", "show", "known-run", "-o", "json"), ("run", "events", "known-run"), ("metadata",), ("config", "show"),
]  # fmt: skip


def in_shell(telemetry: Telemetry, script: str, *argv: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a script in which `"$@"` is the program with its arguments."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(PROGRAM), *argv],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr, done
    return done


def recorded(telemetry: Telemetry, argv: tuple[str, ...]) -> bool:
    """Whether what a write of `WRITES` was to do has been done."""
    run = telemetry.run("known-run")
    done: dict[str, bool] = {
        "start": telemetry("run", "show", "mine", code=None).code == 0,
        "end": run["status"] == "success",
        "update": run["product"] == "p",
        "event": len(run["events"]) == 1,
    }
    return done[argv[1]]


# Streams


@pytest.mark.parametrize(
    "redirection",
    [">&-", ">/dev/full", "2>&-", "<&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"],
)
@pytest.mark.parametrize("argv", WRITES, ids=lambda argv: argv[1])
def test_a_write_is_recorded_whatever_becomes_of_its_output(
    known: Telemetry, argv: tuple[str, ...], redirection: str
) -> None:
    assert in_shell(known, f'"$@" {redirection}', *argv).returncode == 0
    assert recorded(known, argv)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
@pytest.mark.parametrize("argv", READS, ids=" ".join)
def test_a_read_without_stdout(shared: Telemetry, argv: tuple[str, ...], redirection: str) -> None:
    assert in_shell(shared, f'"$@" {redirection}', *argv).returncode == 141


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&-"])
@pytest.mark.parametrize("argv", READS[:3], ids=" ".join)
def test_a_read_without_stderr_or_stdin(
    shared: Telemetry, argv: tuple[str, ...], redirection: str
) -> None:
    done = in_shell(shared, f'"$@" {redirection}', *argv)
    assert (done.returncode, b"known-" in done.stdout) == (0, True)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("run", "show", "nope"), 3),
        (("query", "--limit", "x"), 2),
        (("query", "--nope"), 2),
        (("run", "end", "nope"), 3),
    ],
)
def test_errors_keep_their_code(
    shared: Telemetry, argv: tuple[str, ...], code: int, redirection: str
) -> None:
    assert in_shell(shared, f'"$@" {redirection}', *argv).returncode == code


@pytest.mark.parametrize("argv", [("--help",), ("query", "--help"), ("--version",)])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "2>&-"])
def test_help_without_stdout(shared: Telemetry, argv: tuple[str, ...], redirection: str) -> None:
    assert in_shell(shared, f'"$@" {redirection}', *argv).returncode in (0, 141)


def with_a_reader_that_is_gone(telemetry: Telemetry, argv: tuple[str, ...]) -> tuple[int, bytes]:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with telemetry.popen(*argv, stdout=write_end, stderr=subprocess.PIPE) as process:
        os.close(write_end)
        message = process.stderr.read() if process.stderr else b""
    assert (
        b"Traceback" not in message
        and b"Exception ignored" not in message
        and b"Broken pipe" not in message
    ), message
    return process.returncode, message


@pytest.mark.parametrize("argv", READS, ids=" ".join)
def test_a_read_whose_reader_is_gone(shared: Telemetry, argv: tuple[str, ...]) -> None:
    assert with_a_reader_that_is_gone(shared, argv) == (141, b"")


@pytest.mark.parametrize("argv", WRITES, ids=lambda argv: argv[1])
def test_a_write_whose_reader_is_gone(known: Telemetry, argv: tuple[str, ...]) -> None:
    assert with_a_reader_that_is_gone(known, argv) == (0, b"")
    assert recorded(known, argv)


def test_a_reader_that_stops_early(known: Telemetry) -> None:
    for number in range(2000):
        known.append(
            "run.create",
            AT,
            event_id=f"n{number}",
            run_id="R",
            agent_name="a" * 200,
            job_type="j",
            status="running",
            start_time=AT,
        )
    done = in_shell(
        known, '{ "$@"; echo "code $?" >&2; } | head -c 100', "query", "--limit", "0", "-o", "jsonl"
    )
    assert (len(done.stdout), done.stderr) == (100, b"code 141\n")


# Folders, limits, locales


def test_a_working_folder_that_is_gone(known: Telemetry) -> None:
    gone = 'mkdir gone && cd gone && rmdir ../gone && "$@"'
    for argv in (*WRITES, *READS[:3]):
        assert (
            in_shell(known, gone, *(word for word in argv if word != "--no-git")).returncode == 0
        ), argv
    assert [recorded(known, argv) for argv in WRITES] == [True] * 4


@pytest.mark.parametrize(
    "locale",
    [
        {"LANG": "C"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "en_US.ISO-8859-1"},
        {"PYTHONIOENCODING": "ascii"},
    ],
)
def test_odd_locales(telemetry: Telemetry, locale: dict[str, str]) -> None:
    name = "ä 😀"
    telemetry.start(
        "--event-id",
        "é1",
        "--agent-name",
        name,
        "--product",
        name,
        "-m",
        f"{name}={name}",
        env=locale,
    )
    assert (telemetry.run("é1")["agent_name"], telemetry.run("é1")["metrics_json"]) == (
        name,
        {name: name},
    )
    for argv in (
        ("query",),
        ("query", "-o", "csv"),
        ("query", "-o", "ids"),
        ("run", "show", "é1"),
        ("query", "-o", "json"),
        ("metadata",),
        ("run", "end", "é1"),
    ):
        telemetry(*argv, env=locale)
    telemetry("run", "show", "ü-unknown", env=locale, code=3)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**30])
@pytest.mark.parametrize(
    "argv",
    [
        ("query", "--limit"),
        ("query", "--offset"),
        ("run", "end", "known-run", "--duration-ms"),
        ("run", "update", "known-run", "--items-failed"),
        ("run", "end", "known-run", "--exit-code"),
    ],
)
def test_numbers_that_do_not_fit(shared: Telemetry, argv: tuple[str, ...], number: int) -> None:
    assert argv[-1] in shared(*argv, str(number), code=2).err


@pytest.mark.parametrize("size", [0, 100, 1000, 5000, 20_000, 100_000])
def test_a_limit_on_file_sizes(telemetry: Telemetry, size: int) -> None:
    """Nothing acknowledged is lost: exit 0 is there later, anything else is 75 with the record on stderr."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    with telemetry.popen(
        *START, preexec_fn=limit, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        out, message = process.communicate(timeout=60)
    assert (process.returncode, b"Traceback" in message) in ((0, False), (75, False))
    if process.returncode == 0:
        assert (out, telemetry.run("mine")["agent_name"]) == (b"mine\n", "a")
    else:
        assert b'"op":"run.create"' in message


@pytest.mark.parametrize(
    ("base", "codes"),
    [
        ("/proc/nowhere", {6, 75}),
        ("/dev/null", {6, 75}),
        ("/dev/null/below", {6, 75}),
        ("x" * 300, {6, 75}),
        ("x/" * 3000, {6, 75}),
    ],
)
def test_a_base_that_cannot_be(telemetry: Telemetry, base: str, codes: set[int]) -> None:
    assert telemetry("--base-dir", base, *START, code=None).code in codes
    assert telemetry("--base-dir", base, "query", code=None).code in DOCUMENTED


@pytest.mark.parametrize("name", ["raw", "db", "buffer"])
def test_a_planted_link_is_refused(telemetry: Telemetry, name: str) -> None:
    victim = telemetry.home / "victim"
    victim.mkdir()
    telemetry.base.mkdir(mode=0o700)
    (telemetry.base / name).symlink_to(victim)
    assert telemetry(*START, code=None).code in ((6,) if name == "raw" else (0, 6))
    assert list(victim.iterdir()) == []


# Signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_waiting(known: Telemetry, number: signal.Signals, code: int) -> None:
    lock = known.raw / ".lock"
    with lock.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with known.popen(
            *START,
            env={"TELEMETRY_LOCK_TIMEOUT": "3600"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            while str(lock) not in opened(process.pid):
                assert process.poll() is None
            process.send_signal(number)
            out, message = process.communicate(timeout=60)
    assert process.returncode in (code, -number)
    assert (out, b"Traceback" in message) == (b"", False)


def opened(pid: int) -> set[str]:
    try:
        return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()
