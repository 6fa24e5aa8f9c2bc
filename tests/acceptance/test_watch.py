"""`query --watch` in a real terminal: redrawn in place, what changed marked, ended cleanly by Ctrl-C or SIGTERM."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest
from support import PROGRAM, Telemetry
from support.storage import EXCLUSIVE, held

BEGIN, END, FRAME = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l", b"\x1b[H"


class Screen:
    """The program in a terminal of 100 × 12; `until` reads what it draws."""

    def __init__(self, telemetry: Telemetry, *argv: str) -> None:
        self.terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 100, 0, 0))
        env = telemetry.env | {"TERM": "xterm"}
        self.process = subprocess.Popen(
            [str(PROGRAM), *argv],
            env=env,
            cwd=telemetry.cwd,
            stdin=side,
            stdout=side,
            stderr=subprocess.PIPE,
        )
        os.close(side)
        self.seen = b""

    def until(self, wanted: bytes) -> bytes:
        """Everything drawn since the last time, up to and with what is wanted."""
        deadline = time.monotonic() + 60
        while wanted not in self.seen:
            assert time.monotonic() < deadline, (wanted, self.seen)
            if select.select([self.terminal], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.terminal, 65536)
                except OSError:  # the other side is closed: all has been read
                    break
        assert wanted in self.seen, (wanted, self.seen)
        before, _, self.seen = self.seen.partition(wanted)
        return before + wanted

    def end(self, number: signal.Signals) -> tuple[int, bytes]:
        self.process.send_signal(number)
        rest = self.until(END)
        _, message = self.process.communicate(timeout=60)
        assert message == b""
        return self.process.returncode, rest


@pytest.fixture
def screen(telemetry: Telemetry) -> Iterator[Screen]:
    telemetry.start("--event-id", "first")
    screen = Screen(telemetry, "query", "--watch", "0.1")
    yield screen
    screen.process.kill()
    screen.process.communicate()
    os.close(screen.terminal)


def test_a_new_run_appears_and_stands_out(telemetry: Telemetry, screen: Screen) -> None:
    assert BEGIN in screen.until(b"first")
    telemetry.start("--event-id", "second")
    screen.until(b"\x1b[7msecond")
    telemetry("run", "end", "first", "--status", "failure")
    screen.until(b"\x1b[7mfirst")
    # What changed stands out once, and then no more.
    screen.until(FRAME)
    assert b"\x1b[7m" not in screen.until(b"\x1b[J")


def test_frames_go_over_each_other(telemetry: Telemetry, screen: Screen) -> None:
    screen.until(b"first")
    screen.until(FRAME)
    frame = screen.until(b"\x1b[J")
    assert b"\x1b[2J" not in frame
    assert b"first" in frame
    assert len(frame.splitlines()) <= 12


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_cleanly(screen: Screen, number: signal.Signals, code: int) -> None:
    screen.until(b"first")
    ended, rest = screen.end(number)
    assert ended == code
    assert rest.endswith(END)


def test_it_holds_no_lock_between_frames(telemetry: Telemetry, screen: Screen) -> None:
    screen.until(b"first")
    for number in range(10):
        assert (
            telemetry.start_ran("--event-id", f"n{number}", env={"TELEMETRY_LOCK_TIMEOUT": "1"}).err
            == ""
        )
    screen.until(b"n9")


def test_without_a_terminal_it_is_refused(telemetry: Telemetry) -> None:
    assert "--watch: stdout is no terminal" in telemetry("query", "--watch", "1", code=2).err


@pytest.mark.parametrize(
    "words",
    [("--watch", "0"), ("--watch", "x"), ("--watch", "1", "--json"), ("--watch", "1", "--count")],
)
def test_what_cannot_be_watched(telemetry: Telemetry, words: tuple[str, ...]) -> None:
    assert "--watch" in telemetry("query", *words, code=2).err


def test_a_question_that_cannot_be_answered_leaves_the_screen_alone(telemetry: Telemetry) -> None:
    telemetry.start()
    screen = Screen(telemetry, "query", "--watch", "1", "--where", "nope = 1")
    _, message = screen.process.communicate(timeout=60)
    assert screen.process.returncode == 2
    assert b"no such column" in message
    os.close(screen.terminal)


def test_the_screen_is_given_back_when_a_function_goes_on_past_the_limit(
    telemetry: Telemetry,
) -> None:
    telemetry.start("--event-id", "calm", "--no-git")
    slow = "item_name is null or instr(printf('%.16000000c', 'a'), printf('%.8000000c', 'a') || 'b') > 0"
    screen = Screen(telemetry, "query", "--watch", "0.1", "--where", slow)
    screen.until(b"calm")
    telemetry("run", "update", "calm", "--item-name", "x")
    screen.until(END)
    _, message = screen.process.communicate(timeout=60)
    assert screen.process.returncode == 2
    assert b"took longer than" in message
    os.close(screen.terminal)


def test_a_locked_database_is_waited_for(telemetry: Telemetry) -> None:
    telemetry.env["TELEMETRY_LOCK_TIMEOUT"] = "0.2"
    telemetry.start("--event-id", "first", "--no-git")
    screen = Screen(telemetry, "query", "--watch", "0.1")
    screen.until(b"first")
    with held(EXCLUSIVE, telemetry.database):
        screen.until(b"the last answer stands")
        screen.until(b"first")
    telemetry.start("--event-id", "second", "--no-git")
    screen.until(b"second")
    assert screen.end(signal.SIGINT)[0] == 130
    os.close(screen.terminal)


def test_a_terminal_that_cannot_be_drawn_upon(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.env["TERM"] = "dumb"
    terminal, side = pty.openpty()
    ran = subprocess.run(
        [str(PROGRAM), "query", "--watch", "1"],
        env=telemetry.env,
        stdin=side,
        stdout=side,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(side)
    os.close(terminal)
    assert ran.returncode == 2
    assert b"TERM" in ran.stderr


def test_relative_times_move_along(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "passing", "--no-git")
    screen = Screen(telemetry, "query", "--watch", "0.2", "--since", "2s")
    screen.until(b"passing")
    screen.until(b"No runs")
    assert screen.end(signal.SIGINT)[0] == 130
    os.close(screen.terminal)
