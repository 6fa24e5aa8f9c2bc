"""`telemetry run reap`: runs that say running though nobody runs them, and the truth when one is shown."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from support import Telemetry
from support.storage import read_only

from telemetry_cli.journal.segments import decode

GONE = "its process"
linux = pytest.mark.skipif(sys.platform != "linux", reason="boots and process starts by /proc")


@pytest.fixture
def killed(telemetry: Telemetry) -> Telemetry:
    """A run whose process was killed, as `killed`."""
    process = telemetry.popen(
        "run",
        "exec",
        "--no-git",
        "--event-id",
        "killed",
        "--",
        "sh",
        "-c",
        "echo ready; exec sleep 60",
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return telemetry


def append(telemetry: Telemetry, **fields: object) -> None:
    """A running run, as `E`, and what is recorded of its process; None: nothing."""
    named: dict[str, object] = {
        "event_id": "E",
        "run_id": "R",
        "agent_name": "a",
        "job_type": "j",
        "status": "running",
        "start_time": "2026-01-01T00:00:00.000Z",
    }
    telemetry.append(
        "run.create",
        "2026-01-01T00:00:00.000Z",
        **named | {name: value for name, value in fields.items() if value is not None},
    )


def reaped(telemetry: Telemetry, *options: str) -> list[str]:
    found: list[dict[str, Any]] = telemetry("run", "reap", *options, "-o", "json").json["reaped"]
    return [str(one["id"]) for one in found]


def test_a_run_whose_process_is_gone_is_ended(killed: Telemetry) -> None:
    assert GONE in killed("run", "show", "killed").err
    assert GONE in killed("status").err
    ran = killed("run", "reap")
    assert (ran.line.startswith("ended run killed: its process"), ran.err) == (True, "")
    run = killed.run("killed")
    assert (run["status"], run["end_time"] is not None) == ("failure", True)
    assert str(run["error_summary"]).startswith("reaped: its process")
    assert killed("run", "show", "killed").err == ""
    assert killed("run", "reap").line == "nothing to end"


@pytest.mark.parametrize(("env", "code"), [({}, 75), ({"TELEMETRY_NEVER_FAIL": "1"}, 0)])
def test_an_end_that_can_be_written_nowhere_is_handed_back(
    telemetry: Telemetry, env: dict[str, str], code: int
) -> None:
    telemetry.start()
    append(telemetry)
    telemetry("status")
    with read_only(telemetry.base), open("/dev/full", "wb") as full:
        ran = telemetry("run", "reap", "--older-than", "1d", env=env, code=code)
        assert ran.out.strip() == ""
        handed_back = [found for line in ran.err.encode().splitlines() if (found := decode(line))]
        assert [(found["op"], found["data"]["run"]) for found in handed_back] == [("run.end", "E")]  # type: ignore[index]
        unread = telemetry.popen(
            "run",
            "reap",
            "--older-than",
            "1d",
            stdout=full,
            stderr=subprocess.PIPE,
            env=telemetry.env | env,
        )
        assert b'"run.end"' in unread.communicate()[1]
        assert unread.returncode == code
    assert telemetry.run("E")["status"] == "running"


def test_a_dry_run_changes_nothing(killed: Telemetry) -> None:
    before = killed.files()
    assert killed("run", "reap", "--dry-run").line.startswith("would end run killed: its process")
    assert reaped(killed, "--dry-run") == ["killed"]
    assert killed.files() == before


def test_a_live_one_is_left_alone(telemetry: Telemetry) -> None:
    with telemetry.popen(
        "run",
        "exec",
        "--no-git",
        "--event-id",
        "live",
        "--",
        "sh",
        "-c",
        "echo ready; read line",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert reaped(telemetry, "--older-than", "0s") == []
        assert telemetry("run", "show", "live").err == ""
        process.communicate(b"\n")
    assert telemetry.run("live")["status"] == "success"


def test_runs_without_a_process_only_by_age(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "old", "--start-time", "3h")
    telemetry.start("--event-id", "new")
    telemetry.start("--event-id", "ended", "--start-time", "3h")
    telemetry("run", "end", "ended")
    assert telemetry("run", "show", "old").err == ""
    assert reaped(telemetry) == []
    assert reaped(telemetry, "--older-than", "2h") == ["old"]
    assert [telemetry.run(event)["status"] for event in ("old", "new", "ended")] == [
        "failure",
        "running",
        "success",
    ]


@pytest.mark.parametrize("age", ["", "soon", "-1h", "2"])
def test_an_age_that_is_none(age: str, telemetry: Telemetry) -> None:
    assert "--older-than" in telemetry("run", "reap", "--older-than", age, code=2).err


@linux
def test_the_host_is_a_label_and_the_boot_is_the_machine(killed: Telemetry) -> None:
    killed("run", "update", "killed", "--host", "elsewhere")
    assert GONE in killed("run", "show", "killed").err
    assert reaped(killed) == ["killed"]


def test_another_machines_runs_are_left_alone(telemetry: Telemetry) -> None:
    telemetry.start()
    append(telemetry, host="elsewhere", pid=2**22 + 1, process_started="1", boot_id="another/1")
    assert (reaped(telemetry), telemetry("run", "show", "E").err) == ([], "")
    assert reaped(telemetry, "--older-than", "1d") == ["E"]


@linux
@pytest.mark.parametrize(
    ("identity", "gone"),
    [
        ({}, False),
        ({"process_started": "1"}, True),
        ({"boot_id": "earlier/1"}, True),
        ({"pid": 2**22 + 1}, True),
        ({"boot_id": None, "process_started": None}, False),
    ],
    ids=["itself", "number-reused", "rebooted", "no-such-process", "number-alone"],
)
def test_a_process_is_meant_by_its_number_start_and_boot(
    identity: dict[str, object], gone: bool, telemetry: Telemetry
) -> None:
    """The recorded process is this test's own, one thing about it changed."""
    from telemetry_cli.core import processes

    telemetry.start()
    started, boot = processes.identity(os.getpid())
    append(
        telemetry,
        host=os.uname().nodename,
        **{"pid": os.getpid(), "process_started": started, "boot_id": boot} | identity,
    )
    assert reaped(telemetry) == (["E"] if gone else [])


def test_ended_meanwhile_it_keeps_its_end(killed: Telemetry) -> None:
    killed("run", "end", "killed", "--status", "partial")
    assert reaped(killed) == []
    assert killed.run("killed")["status"] == "partial"


def test_many_are_ended(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "last")
    for number in range(40):
        data = {
            "event_id": f"run-{number}",
            "run_id": "R",
            "agent_name": "a",
            "job_type": "j",
            "status": "running",
            "start_time": "2026-01-01T00:00:00.000Z",
        }
        telemetry.append("run.create", "2026-01-01T00:00:00.000Z", **data)
    assert len(reaped(telemetry, "--older-than", "1h")) == 40
    assert (
        json.loads(telemetry("query", "--status", "running", "--json").out)[0]["event_id"] == "last"
    )


def test_disabled_it_does_nothing(killed: Telemetry) -> None:
    assert killed("run", "reap", env={"TELEMETRY_DISABLED": "1"}).out == ""
    assert killed.run("killed")["status"] == "running"


def test_without_a_base_there_is_nothing_to_end(telemetry: Telemetry) -> None:
    assert telemetry("run", "reap").line == "nothing to end"
    assert not telemetry.base.exists()


def test_a_tree_tells_which_of_its_runs_are_gone(killed: Telemetry) -> None:
    killed.start("--event-id", "child", "--parent", "killed")
    for output in ("table", "json"):
        shown = killed("run", "tree", "killed", "-o", output)
        assert shown.err.count(GONE) == 1
        assert "killed says running" in shown.err
    assert set(shown.json) == {
        "event_id", "run_id", "agent_name", "job_type", "status", "start_time", "end_time", "duration_ms", "error_summary", "children"
    }  # fmt: skip
    killed("run", "reap")
    assert killed("run", "tree", "killed").err == ""


def test_a_tree_of_many_that_are_gone_names_some(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "root")
    for number in range(30):
        append(
            telemetry,
            event_id=f"gone-{number}",
            parent_run_id="root",
            host=os.uname().nodename,
            pid=2**22 + 1,
        )
    shown = telemetry("run", "tree", "root")
    assert (shown.err.count("says running"), "20 more" in shown.err) == (10, True)


def test_a_table_of_runs_tells_which_are_gone(killed: Telemetry) -> None:
    killed.start("--event-id", "other")
    for options in ((), ("--columns", "event_id,status")):
        lines = killed("query", "--status", "running", "-o", "table", *options).out.splitlines()
        assert [
            ("running, gone" in line, "running" in line)
            for line in lines
            if "killed" in line or "other" in line
        ] == [(False, True), (True, True)]
    assert {run["status"] for run in killed("query", "-o", "json").json} == {"running"}
    killed("run", "reap")
    assert (
        "gone"
        not in killed(
            "query", "--status", "failure", "--columns", "event_id,status", "-o", "table"
        ).out
    )
