"""`run exec` at a terminal: keys, job control, window size and interactivity are the command's, as if we were not there."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pytest
from support import PROGRAM, Telemetry, wait_for

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="signals with their senders are known on Linux"
)
EXEC = f"'{PROGRAM}' run exec --no-git --"


#: Takes its stdin for the terminal that controls it, and becomes another program.
CONTROLLED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


BASH = ("bash", "--norc", "--noprofile", "-i")


class Terminal:
    """A terminal with an interactive shell, which has job control; or with another program, which leads the session then."""

    def __init__(self, telemetry: Telemetry, *program: str) -> None:
        self.master, slave = pty.openpty()
        self._seen = ""
        self.shell = subprocess.Popen(
            [sys.executable, "-S", "-c", CONTROLLED, *(program or BASH)],
            env=telemetry.env | {"PS1": "$ ", "TERM": "dumb"},
            cwd=telemetry.cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, pattern: str, seconds: float = 60) -> str:
        """Read until the pattern has come; returns all that has come since the last time."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self._seen)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{pattern!r} did not come: {self._seen!r}"
            self._seen += os.read(self.master, 4096).decode(errors="replace")
        seen, self._seen = self._seen[: match.end()], self._seen[match.end() :]
        return seen

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self.master)


@pytest.fixture
def terminal(telemetry: Telemetry) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def make(*program: str) -> Terminal:
        made.append(Terminal(telemetry, *program))
        return made[-1]

    yield make
    for one in made:
        one.close()


COUNTING = (
    "import signal, sys, time; got = []; "
    "signal.signal(signal.{name}, lambda *_: got.append(1)); print('rea' + 'dy', flush=True)\n"
    "while not got: time.sleep(0.01)\n"
    "time.sleep(0.5)\n"  # for another one
    "print('got', len(got), 'end'); sys.exit(9)"
)


@pytest.mark.parametrize(("name", "key"), [("SIGINT", "\x03"), ("SIGQUIT", "\x1c")])
def test_a_key_reaches_the_command_once(
    name: str, key: str, terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    (telemetry.cwd / "count.py").write_text(COUNTING.format(name=name))
    one = terminal()
    one.type(f"{EXEC} '{sys.executable}' count.py; echo code $?\n")
    one.wait_for("ready")
    one.type(key)
    assert "got 1 end" in one.wait_for(r"code 9")
    assert telemetry.run("@last")["status"] == "cancelled"


def test_ctrl_c_ends_the_command(terminal: Callable[..., Terminal], telemetry: Telemetry) -> None:
    one = terminal()
    one.type(f"{EXEC} sh -c 'echo rea\"\"dy; exec sleep 60'\n")
    one.wait_for("ready")
    one.type("\x03")
    one.wait_for(r"\^C\r\n\$ ")
    one.type("echo code $?\n")
    one.wait_for("code 130")
    assert telemetry.run("@last")["status"] == "cancelled"


def test_ctrl_c_that_the_command_survives_is_no_cancelled_run(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    one.type(
        f'{EXEC} sh -c \'trap "exit 0" INT; echo rea""dy; while :; do sleep 0.05; done\'; echo code $?\n'
    )
    one.wait_for("ready")
    one.type("\x03")
    one.wait_for("code 0")
    assert telemetry.run("@last")["status"] == "success"


def test_ctrl_z_and_fg(terminal: Callable[..., Terminal], telemetry: Telemetry) -> None:
    one = terminal()
    one.type(f"{EXEC} sh -c 'echo rea\"\"dy; exec cat'\n")
    one.wait_for("ready")
    for number in range(2):
        one.type(f"line {number}\n")
        one.wait_for(rf"line {number}\r\nline {number}")
        one.type("\x1a")
        one.wait_for(r"Stopped(.|\n)*\$ ")
        one.type("fg\n")
        one.wait_for(r"fg\r\n[^\n]*exec[^\n]*\n")
    one.type("last\n")
    one.wait_for(r"last\r\nlast\r\n")
    one.type("\x04")
    one.wait_for(r"\$ ")
    assert telemetry.run("@last")["status"] == "success"


def test_ctrl_c_ends_the_script_around_the_command(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    """A shell goes on with its script unless the command died of the signal."""
    (telemetry.cwd / "script").write_text(
        f"for n in 1 2 3; do {EXEC} sh -c 'echo rea\"\"dy; exec sleep 60'; done; echo went on\n"
    )
    one = terminal()
    one.type("bash script; echo code $?\n")
    one.wait_for("ready")
    one.type("\x03")
    assert "went on" not in one.wait_for(r"\^C(.|\n)*\$ ")
    one.type("echo code $?\n")
    one.wait_for("code 130")
    assert (telemetry.run("@last")["status"], telemetry("query", "--count").line) == (
        "cancelled",
        "1",
    )


def test_ctrl_backslash_ends_the_command(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    one.type(f"{EXEC} sh -c 'ulimit -c 0; echo rea\"\"dy; exec sleep 60'; echo code $?\n")
    one.wait_for("ready")
    one.type("\x1c")
    one.wait_for("code 131")
    run = telemetry.run("@last")
    assert (run["status"], run["error_summary"]) == (
        "cancelled",
        "cancelled by SIGQUIT, ended by SIGQUIT",
    )


@pytest.mark.parametrize(
    ("answer", "ended"),
    [("signal.SIG_DFL", "ended by SIGTERM"), ("lambda *_: sys.exit(0)", "exit code 0")],
)
def test_ctrl_z_and_kill(
    answer: str, ended: str, terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    """The shell signals the whole job and continues it then: the command has ended before we look."""
    code = f"import signal, sys\nsignal.signal(signal.SIGTERM, {answer})\nprint('ready', flush=True)\nwhile True: signal.pause()"
    (telemetry.cwd / "pause.py").write_text(code)
    one = terminal()
    one.type(f"{EXEC} '{sys.executable}' pause.py\n")
    one.wait_for("ready")
    one.type("\x1a")
    one.wait_for(r"Stopped(.|\n)*\$ ")
    # `wait` returns at once while bash still holds the job for stopped.
    one.type(
        "p=$(jobs -p); kill %1; while kill -0 $p 2>/dev/null; do wait; done; echo none le''ft\n"
    )
    one.wait_for("none left")
    run = telemetry.run("@last")
    assert (run["status"], run["error_summary"]) == ("cancelled", f"cancelled by SIGTERM, {ended}")


def test_ctrl_z_and_kill_of_us_alone(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    one.type(f"{EXEC} sh -c 'echo rea\"\"dy; exec sleep 60'\n")
    one.wait_for("ready")
    one.type("\x1a")
    one.wait_for(r"Stopped(.|\n)*\$ ")
    one.type("kill $(jobs -p); fg; echo code $?\n")
    one.wait_for("code 143")
    assert telemetry.run("@last")["error_summary"] == "cancelled by SIGTERM, ended by SIGTERM"


def test_ctrl_z_and_bg(terminal: Callable[..., Terminal], telemetry: Telemetry) -> None:
    os.mkfifo(telemetry.cwd / "go")
    one = terminal()
    one.type(f"{EXEC} sh -c 'echo rea\"\"dy; read line <go; exit 4'\n")
    one.wait_for("ready")
    one.type("\x1a")
    one.wait_for(r"Stopped(.|\n)*\$ ")
    one.type("bg; jobs\n")
    one.wait_for(r"Running +'/")
    (telemetry.cwd / "go").write_text("go\n")
    one.type("wait %1; echo code $?\n")
    one.wait_for("code 4")
    assert telemetry.run("@last")["error_summary"] == "exit code 4"


def test_settings_of_the_terminal_are_the_commands(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal("sh", "-c", f"{EXEC} stty rows 17 -echo intr ^G; stty -a; sleep 60")
    seen = one.wait_for(r"-echo(.|\n)*-extproc")
    assert all(word in seen for word in ("rows 17", "intr = ^G"))


def test_in_the_background_it_waits_for_the_terminal(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    one.type(f"{EXEC} cat &\n")
    one.wait_for(r"\[1\] \d+")
    one.type('until jobs | grep -q Sto""pped; do sleep 0.05; done; jobs\n')
    one.wait_for(r"Stopped(.|\n)*\$ ")
    one.type("fg\n")
    one.wait_for(r"fg\r\n[^\n]*exec[^\n]*\n")
    one.type("hello\n")
    one.wait_for(r"hello\r\nhello")
    one.type("\x04")
    one.wait_for(r"\$ ")
    assert telemetry.run("@last")["status"] == "success"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("STOP", r"\(signal\)"),
        ("TSTP", ""),
        ("TTIN", r"\(tty input\)"),
        ("TTOU", r"\(tty output\)"),
    ],
)
def test_a_command_that_stops_itself_gives_the_terminal_back(
    name: str, shown: str, terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    one.type(f"{EXEC} sh -c 'kill -{name} $$; exit 4'\n")
    one.wait_for(r"Stopped(.|\n)*\$ ")
    one.type("jobs -l\n")
    one.wait_for(rf"Stopped *{shown} +'/")
    one.type("fg; echo code $?\n")
    one.wait_for("code 4")
    assert telemetry.run("@last")["error_summary"] == "exit code 4"


def test_continued_alone_it_continues_the_command(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    one.type(f"{EXEC} sh -c 'kill -STOP $$; sleep 0.3; exit 4'\n")
    one.wait_for(r"Stopped(.|\n)*\$ ")
    one.type("set -b; kill -CONT $(jobs -p)\n")
    one.wait_for("Exit 4")


def test_the_command_is_interactive_and_has_the_window(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    code = "import os, sys; print(*(os.isatty(n) for n in range(3)), os.get_terminal_size(), os.tcgetpgrp(0) == os.getpgrp(), flush=True); sys.exit(3)"
    (telemetry.cwd / "look.py").write_text(code)
    one = terminal()
    fcntl.ioctl(one.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 121, 0, 0))
    one.type(f"{EXEC} '{sys.executable}' look.py; echo code $?\n")
    assert "True True True os.terminal_size(columns=121, lines=33) True" in one.wait_for("code 3")
    assert telemetry.run("@last")["error_details"] is None


def test_a_new_window_size_reaches_the_command_once(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    (telemetry.cwd / "count.py").write_text(COUNTING.format(name="SIGWINCH"))
    one = terminal()
    one.type(f"{EXEC} '{sys.executable}' count.py; echo code $?\n")
    one.wait_for("ready")
    fcntl.ioctl(one.master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 90, 0, 0))
    assert "got 1 end" in one.wait_for("code 9")


def test_a_signal_from_another_process_reaches_the_command_once(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    (telemetry.cwd / "count.py").write_text(COUNTING.format(name="SIGTERM"))
    one = terminal()
    one.type(f"{EXEC} '{sys.executable}' count.py; echo code $?\n")
    one.wait_for("ready")
    (pid,) = subprocess.run(
        ["pgrep", "-P", str(one.shell.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(pid), signal.SIGTERM)
    assert "got 1 end" in one.wait_for("code 9")
    assert telemetry.run("@last")["status"] == "cancelled"


def test_a_time_limit_ends_the_tree_and_spares_the_pipeline(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    command = f"'{PROGRAM}' run exec --no-git --timeout 700ms -- sh -c 'sleep 77 & (sleep 77 &); sleep 77'"
    one.type(f"{command} | {{ cat; echo spa''red; }}; echo code ${{PIPESTATUS[0]}}\n")
    one.wait_for("spared")
    one.wait_for("code 143")
    assert subprocess.run(["pgrep", "-fx", "sleep 77"], capture_output=True).stdout == b""


def test_a_terminal_that_closes_ends_it(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    one = terminal()
    one.type(f"{EXEC} sh -c 'echo rea\"\"dy; exec sleep 60'\n")
    one.wait_for("ready")
    os.close(one.master)
    one.master = os.open(os.devnull, os.O_RDONLY)
    wait_for(lambda: telemetry.run("@last")["status"] != "running")
    run = telemetry.run("@last")
    assert (run["status"], run["metrics_json"]["process.exit.signal"]) == ("cancelled", "SIGHUP")


def test_a_terminal_that_closes_ends_it_where_no_shell_stands_before_it(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    """Only the leader of the session is told by the kernel, and that is us."""
    one = terminal(
        str(PROGRAM), "run", "exec", "--no-git", "--", "sh", "-c", "echo ready; exec sleep 60"
    )
    one.wait_for("ready")
    os.close(one.master)
    one.master = os.open(os.devnull, os.O_RDONLY)
    assert one.shell.wait(60) == 128 + signal.SIGHUP
    run = telemetry.run("@last")
    assert (run["status"], run["metrics_json"]["process.exit.signal"]) == ("cancelled", "SIGHUP")


def test_a_terminal_that_closes_reaches_the_command_once(
    terminal: Callable[..., Terminal], telemetry: Telemetry
) -> None:
    (telemetry.cwd / "count.py").write_text(
        COUNTING.format(name="SIGHUP").replace(
            "print('got', len(got), 'end')", "open('got', 'w').write(str(len(got)))"
        )
    )
    one = terminal(str(PROGRAM), "run", "exec", "--no-git", "--", sys.executable, "count.py")
    one.wait_for("ready")
    os.close(one.master)
    one.master = os.open(os.devnull, os.O_RDONLY)
    assert one.shell.wait(60) == 9
    assert (telemetry.cwd / "got").read_text() == "1"
