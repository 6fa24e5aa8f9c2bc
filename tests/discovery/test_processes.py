"""A process number means one process only together with its start and boot."""

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from telemetry_cli.core import processes

linux = pytest.mark.skipif(sys.platform != "linux", reason="by /proc")


def test_a_live_process_is_alive_and_stays_the_same() -> None:
    identity = processes.identity(os.getpid())
    assert identity == processes.identity(os.getpid())
    assert identity[0]
    assert processes.is_alive(os.getpid(), *identity) is True


def test_identify_self_leaves_out_unknown_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    started, boot = processes.identity(os.getpid())
    known = {"pid": os.getpid(), "process_started": started, "boot_id": boot}
    assert processes.identify_self() == {name: value for name, value in known.items() if value}
    monkeypatch.setattr(processes, "identity", lambda pid: (None, None))
    assert processes.identify_self() == {"pid": os.getpid()}


def test_an_ended_process_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        identity = processes.identity(process.pid)
        assert processes.is_alive(process.pid, *identity) is True
        process.send_signal(signal.SIGKILL)
    assert processes.is_alive(process.pid, *identity) is False


@linux
def test_one_that_nobody_has_collected_is_gone() -> None:
    process = subprocess.Popen(["true"])
    identity = processes.identity(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert processes.is_alive(process.pid, *identity) is False
    process.wait()


@linux
def test_another_process_of_the_same_number_is_not_it() -> None:
    _, boot = processes.identity(os.getpid())
    assert processes.is_alive(os.getpid(), "1", boot) is False


@linux
def test_after_a_reboot_everything_is_gone() -> None:
    started, _ = processes.identity(os.getpid())
    assert processes.is_alive(os.getpid(), started, "another-boot/1") is False


@linux
def test_another_container_of_the_same_boot_cannot_be_seen() -> None:
    started, boot = processes.identity(os.getpid())
    assert boot
    assert processes.is_alive(os.getpid(), started, boot.partition("/")[0] + "/1") is None


@pytest.mark.parametrize("pid", [2**31 - 1, 2**62])
def test_a_number_that_no_process_has(pid: int) -> None:
    assert processes.is_alive(pid, *processes.identity(pid)) in (False, None)
    assert processes.parent(pid) == 0


def test_without_an_identity_the_number_alone_counts() -> None:
    assert processes.is_alive(os.getpid(), None, None) is True


@linux
def test_the_parent_of_a_process_with_an_odd_name(tmp_path: object) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "open('/proc/self/comm', 'w').write('a) S 1 (b'); print(flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert processes.parent(process.pid) == os.getpid()
        assert processes.is_alive(process.pid, *processes.identity(process.pid)) is True
        process.communicate(b"\n")


@linux
def test_place_names_this_boot_and_no_machine_id() -> None:
    _, boot = processes.identity(os.getpid())
    place = processes.place()
    assert place == processes.place()
    assert place
    assert boot
    assert place.partition("@")[0] == boot
    assert processes.is_this_boot(place)
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = ""
    assert not machine or machine not in place
    assert ("@" in place) is (len(machine) == 32)


@linux
def test_ancestors_lead_up_from_our_parent() -> None:
    found = processes.ancestors()
    assert found[0] == [os.getppid(), processes.identity(os.getppid())[0]]
    for (child, _), (above, started) in pairwise(found):
        assert processes.parent(int(str(child))) == above
        assert processes.identity(int(str(above)))[0] == started
