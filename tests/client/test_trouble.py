"""The client where processes fork, threads crowd, disks fill and interpreters end: the host never notices, and nothing durable is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Git, Telemetry
from support.storage import FLOCKED, assert_sound, held

from telemetry_cli import TelemetryClient
from telemetry_cli.client import writer
from telemetry_cli.store import Store

Script = Callable[..., subprocess.CompletedProcess[str]]
Warnings = Callable[[], list[str]]


def events(telemetry: Telemetry) -> int:
    telemetry("db", "drain")
    return int(telemetry.sql("SELECT count(*) FROM run_events")[0][0])


# Threads and processes


@pytest.mark.parametrize("durability", ["durable", "relaxed"])
def test_threads_share_a_client(durability: str, telemetry: Telemetry) -> None:
    client = TelemetryClient(telemetry.base, durability=durability, discover_git=False)  # type: ignore[arg-type]

    def work(number: int) -> None:
        with client.track_run("a", f"thread-{number}") as run:
            for step in range(10):
                assert run.log_event("step", step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush()
    assert telemetry("query", "--status", "success", "--count").line == "8"
    assert telemetry.sql(
        "SELECT count(*), count(DISTINCT event_id || payload_json) FROM run_events"
    ) == [(80, 80)]
    assert (client.get_stats()["failures"], client.get_stats()["recorded"]) == ({}, 96)


def test_a_fork_in_the_middle(client: TelemetryClient, telemetry: Telemetry) -> None:
    """Of a process whose threads are writing all the time: the child must find no lock that nobody will release."""
    run_id = client.start_run("a", "j")
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            client.log_event(run_id, "parent")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            child = os.fork()
            if not child:
                os._exit(
                    0
                    if client.log_event(run_id, "child", number)
                    and client.end_run(client.start_run("a", "child"))
                    else 1
                )
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()
    assert telemetry.sql("SELECT count(*) FROM run_events WHERE event_type = 'child'") == [(5,)]
    assert telemetry("query", "--job-type", "child", "--status", "success", "--count").line == "5"


def test_what_waits_at_a_fork_is_written_once_by_the_parent(
    telemetry: Telemetry, script: Script
) -> None:
    script(
        "import os\n"
        "client = TelemetryClient(base, durability='relaxed')\n"
        "run_id = client.start_run('a', 'j')\n"
        "for n in range(50): client.log_event(run_id, 'parent', n)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert client.get_stats()['waiting'] == 0\n"
        "    client.log_event(run_id, 'child')\n"
        "    raise SystemExit\n"
        "os.waitpid(child, 0)\n"
    )
    telemetry("db", "drain")
    assert dict(telemetry.sql("SELECT event_type, count(*) FROM run_events GROUP BY 1")) == {
        "parent": 50,
        "child": 1,
    }


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, telemetry: Telemetry, script: Script) -> None:
    script(
        "import multiprocessing\n"
        "client = TelemetryClient(base, durability='relaxed', discover_git=False)\n"
        "def work(number):\n"
        "    with client.track_run('a', f'child-{number}') as run:\n"
        "        for n in range(10): run.log_event('step', n)\n"
        "    client.log_event(run.run_id, 'last')\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    children = [context.Process(target=work, args=(n,)) for n in range(3)]\n"
        "    for child in children: child.start()\n"
        "    for child in children: child.join()\n"
        "    assert [child.exitcode for child in children] == [0, 0, 0]\n"
    )
    assert events(telemetry) == 33
    assert telemetry("query", "--status", "success", "--count").line == "3"


# The end of the interpreter


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "raise SystemExit(0)",
        "client.close()",
        "del client",
        "import atexit; atexit.register(client.log_event, run_id, 'at the end')",
    ],
)
def test_what_waits_is_written_as_the_interpreter_ends(
    ending: str, telemetry: Telemetry, script: Script
) -> None:
    script(
        "client = TelemetryClient(base, durability='relaxed')\n"
        "run_id = client.start_run('a', 'j')\n"
        f"for n in range(100): client.log_event(run_id, 'x', n)\n{ending}"
    )
    assert events(telemetry) == 100 + ("at the end" in ending)


@pytest.mark.parametrize(
    "registered", ["before the import", "before the first event", "after an event"]
)
def test_what_a_handler_of_the_end_records_is_stored(registered: str, telemetry: Telemetry) -> None:
    """Handlers run the other way round than they were registered, so ours has run before some of them."""
    register = "atexit.register(lambda: print(client.log_event(run_id, 'bye'), flush=True))\n"
    code = (
        "import atexit, sys\n"
        f"{register if registered == 'before the import' else ''}"
        "from telemetry_cli import TelemetryClient\n"
        "client = TelemetryClient(sys.argv[1], durability='relaxed')\n"
        "run_id = client.start_run('a', 'j')\n"
        f"{register if registered == 'before the first event' else ''}"
        "client.log_event(run_id, 'x')\n"
        f"{register if registered == 'after an event' else ''}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(telemetry.base)],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert events(telemetry) == 2


def test_what_a_finalizer_of_multiprocessing_records_is_stored(
    telemetry: Telemetry, script: Script
) -> None:
    """In a child, which leaves without the interpreter's handlers."""
    script(
        "import multiprocessing, multiprocessing.util\n"
        "client = TelemetryClient(base, durability='relaxed', discover_git=False)\n"
        "run_id = client.start_run('a', 'j')\n"
        "def work():\n"
        "    client.log_event(run_id, 'x')\n"
        "    multiprocessing.util.Finalize(None, client.log_event, (run_id, 'late'), exitpriority=1)\n"
        "    multiprocessing.util.Finalize(None, client.log_event, (run_id, 'later'), exitpriority=-1)\n"
        "child = multiprocessing.get_context('fork').Process(target=work)\n"
        "child.start()\n"
        "child.join()\n"
    )
    assert events(telemetry) == 3


@pytest.mark.parametrize("durability", ["durable", "relaxed"])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "client.log_event(run_id, 'x'); client.flush()",
        "client.log_event(run_id, 'x'); client.close()",
    ],
)
def test_what_a_finalizer_records_as_the_interpreter_is_taken_down(
    durability: str, before: str, telemetry: Telemetry, script: Script
) -> None:
    done = script(
        f"client = TelemetryClient(base, durability={durability!r})\n"
        "run_id = client.start_run('a', 'j')\n"
        "class Resource:\n"
        "    def __del__(self): print(client.log_event(run_id, 'closed'), client.get_stats()['waiting'], client.flush(), client.close(), flush=True)\n"
        f"{before}\n"
        "resource = Resource()\n"
    )
    assert done.stdout == "True 0 True True\n"
    assert events(telemetry) == 1 + bool(before)


@pytest.mark.parametrize("lock", ["_memory", "_turn"])
def test_a_lock_of_a_thread_that_the_end_of_the_interpreter_stopped_holds_up_nothing(
    lock: str, telemetry: Telemetry
) -> None:
    """A daemon thread stands still for ever wherever it is then; here it is made to be where it holds a lock of the writer's."""
    code = (
        "import atexit, sys, threading, time, types\n"
        "sys.modules['this'] = this = types.ModuleType('this')\n"
        "ending, held = threading.Event(), threading.Event()\n"
        "atexit.register(lambda: (ending.set(), held.wait()))\n"
        "from telemetry_cli import TelemetryClient\n"
        "client = TelemetryClient(sys.argv[1], timeout=20)\n"
        "run_id = client.start_run('a', 'j')\n"
        "class Resource:\n"
        "    def __del__(self):\n"
        "        begun = time.monotonic()\n"
        "        print(client.log_event(run_id, 'closed'), time.monotonic() - begun < 10, flush=True)\n"
        # Not in this module, whose names the thread keeps alive.
        "this.resource = Resource()\n"
        "del this\n"
        "def hold():\n"
        "    ending.wait()\n"
        f"    with client._writer.{lock}:\n"
        "        held.set()\n"
        "        time.sleep(60)\n"
        "threading.Thread(target=hold, daemon=True).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(telemetry.base)],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True\n", "")
    assert events(telemetry) == 1


def test_an_exception_that_ends_the_process_ends_the_run(
    telemetry: Telemetry, script: Script
) -> None:
    done = script(
        "with TelemetryClient(base).track_run('a', 'j') as run:\n    raise ValueError('wrong')",
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ValueError: wrong")
    assert telemetry.run("@last")["error_summary"] == "ValueError: wrong"


def test_ctrl_c_ends_the_run_as_cancelled(telemetry: Telemetry, tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from telemetry_cli import TelemetryClient\n"
        "with TelemetryClient(sys.argv[1]).track_run('a', 'j'):\n    print('in', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(telemetry.base)],
        env=telemetry.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"in\n"
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate()[1]
    assert telemetry.run("@last")["status"] == "cancelled"


def test_a_tracked_run_whose_process_was_killed_can_be_reaped(telemetry: Telemetry) -> None:
    code = "import os, sys\nfrom telemetry_cli import TelemetryClient\nwith TelemetryClient(sys.argv[1]).track_run('a', 'j'):\n    os.kill(os.getpid(), 9)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code, str(telemetry.base)], env=telemetry.env
        ).returncode
        == -9
    )
    assert telemetry.run("@last")["status"] == "running"
    telemetry("run", "reap")
    assert telemetry.run("@last")["status"] == "failure"


def test_what_was_kept_is_written_as_the_interpreter_ends(
    telemetry: Telemetry, script: Script
) -> None:
    """In durable mode too, where nothing could be written and then can again."""
    script(
        "import logging, pathlib\n"
        "logging.disable()\n"
        "pathlib.Path(base).write_text('in the way')\n"
        "client = TelemetryClient(base, discover_git=False)\n"
        "client.end_run(client.start_run('a', 'j'))\n"
        "assert client.get_stats()['waiting'] > 0\n"
        "pathlib.Path(base).unlink()\n"
    )
    assert telemetry.run("@last")["status"] == "success"


# Signals


@pytest.mark.parametrize("durability", ["durable", "relaxed"])
def test_a_signal_handler_may_record_while_its_thread_is_writing(
    durability: str, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TelemetryClient(telemetry.base, durability=durability, timeout=5, discover_git=False)  # type: ignore[arg-type]
    run_id = client.start_run("a", "j")
    took: list[float] = []

    def handle(*_: object) -> None:
        begun = time.monotonic()
        client.log_event(run_id, "signal")
        took.append(time.monotonic() - begun)

    really = Store.record_all

    def interrupted(*given: object) -> object:
        if not took:
            os.kill(os.getpid(), signal.SIGUSR1)
        return really(*given)  # type: ignore[arg-type]

    before = signal.signal(signal.SIGUSR1, handle)
    monkeypatch.setattr(Store, "record_all", interrupted)
    try:
        assert client.update_run(run_id, product="cells")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert took[0] < 1
    deadline = time.monotonic() + 10
    while client.get_stats()["waiting"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.close()
    assert events(telemetry) == 1


# The background thread


def test_rejected_events_are_logged_and_counted(telemetry: Telemetry, warnings: Warnings) -> None:
    client = TelemetryClient(telemetry.base, durability="relaxed", discover_git=False)
    for _ in range(3):
        assert client.log_event("nobody", "x")
    assert client.flush()
    assert (client.get_stats()["failures"], client.get_stats()["recorded"]) == ({"not-found": 3}, 0)
    assert "Run not found: nobody" in warnings()[0]


def test_close_ends_the_thread_and_lets_go_of_the_client(telemetry: Telemetry) -> None:
    import gc
    import weakref

    before = threading.active_count()
    client = TelemetryClient(telemetry.base, durability="relaxed", discover_git=False)
    run_id = client.start_run("a", "j")
    for _ in range(2):
        assert client.log_event(run_id, "x")
        assert threading.active_count() == before + 1
        assert client.close()
        assert threading.active_count() == before
    assert events(telemetry) == 2
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unnamed:
    def __str__(self) -> str:
        raise Mute


def test_an_error_that_cannot_say_itself_does_not_reach_the_host(client: TelemetryClient) -> None:
    run_id = client.start_run("a", "j")
    assert client.associate_commit(run_id, Unnamed(), "ci") == (False, "its message cannot be read")  # type: ignore[arg-type]
    assert client.get_stats()["failures"] == {"Mute": 1}


# Nowhere to write


def test_a_full_disk(
    tmpfs: Callable[[str], Path], telemetry: Telemetry, warnings: Warnings
) -> None:
    telemetry.base = tmpfs("260k") / "base"
    telemetry.env["TELEMETRY_BASE_DIR"] = str(telemetry.base)
    client = TelemetryClient(telemetry.base, discover_git=False)
    run_id = client.start_run("a", "j")
    assert run_id
    acknowledged = sum(client.log_event(run_id, "x", "y" * 2000) for _ in range(120))
    stats = client.get_stats()
    assert 0 < acknowledged < 120
    assert stats["waiting"] == stats["failures"]["not-durable"] == 120 - acknowledged
    (message,) = [message for message in warnings() if "(not-durable;" in message]
    assert "; the record waits in memory (" in message
    assert "save it" not in message
    with client.track_run("a", "meanwhile") as run:
        run.set_metrics(items_succeeded=1)
    subprocess.run(["mount", "-o", "remount,size=4m", str(telemetry.base.parent)], check=True)
    assert client.flush()
    assert events(telemetry) == 120
    assert telemetry.run(run.event_id)["status"] == "success"
    assert_sound(telemetry)


def test_an_unwritable_base(telemetry: Telemetry, warnings: Warnings) -> None:
    telemetry.base.write_text("a file where the folder should be")
    client = TelemetryClient(telemetry.base, discover_git=False)
    kept = client.start_run("a", "kept")
    assert kept
    assert client.end_run(kept) is False
    with client.track_run("a", "tracked") as run:
        assert run.log_event("x") is False
    assert (client.flush(), len(warnings())) == (False, 1)
    assert "; the record waits in memory (" in warnings()[0]
    assert (client.get_stats()["recorded"], client.get_stats()["waiting"]) == (0, 5)
    telemetry.base.unlink()
    assert client.flush()
    assert (client.get_stats()["recorded"], client.get_stats()["waiting"]) == (5, 0)
    assert [
        run["job_type"] for run in telemetry("query", "--json", "--status", "success").json
    ] == ["tracked", "kept"]
    assert telemetry.run("@last")["events"][0]["event_type"] == "x"


def test_memory_is_bounded(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 20)
    telemetry.base.write_text("a file where the folder should be")
    client = TelemetryClient(telemetry.base, discover_git=False)
    for _ in range(30):
        client.start_run("a", "j")
    assert (client.get_stats()["waiting"], client.get_stats()["dropped"]) == (20, 10)


def test_no_call_waits_longer_than_its_deadline(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    """Also where several threads queue up behind each other while the journal is locked."""
    run_id = client.start_run("a", "j")
    hasty = TelemetryClient(telemetry.base, timeout=0.3, discover_git=False)
    longest = []

    def write() -> None:
        begun = time.monotonic()
        hasty.log_event(run_id, "x")
        longest.append(time.monotonic() - begun)

    with held(FLOCKED, telemetry.raw / ".lock"):
        threads = [threading.Thread(target=write) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert max(longest) < 1.5
    assert hasty.flush()
    assert events(telemetry) == 6


@pytest.fixture
def slow_git(telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that only git itself can read, and a git that does not answer."""
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", "--initial-branch=main")
    (telemetry.cwd / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    program = tmp_path / "slow" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(telemetry.cwd)


@pytest.mark.usefixtures("slow_git")
def test_asking_git_is_part_of_the_deadline(telemetry: Telemetry) -> None:
    TelemetryClient(telemetry.base, discover_git=False).start_run("a", "j")
    hasty = TelemetryClient(telemetry.base, timeout=0.2)
    begun = time.monotonic()
    run_id = hasty.start_run("a", "j")
    assert time.monotonic() - begun < 0.6
    assert run_id
    with held(FLOCKED, telemetry.raw / ".lock"):
        begun = time.monotonic()
        assert hasty.start_run("a", "j")
        assert time.monotonic() - begun < 0.6


def test_the_end_of_a_block_waits_once(client: TelemetryClient, telemetry: Telemetry) -> None:
    """And says once that the run ended: what waits is not refused."""
    client.start_run("a", "j")
    hasty = TelemetryClient(telemetry.base, timeout=0.5, discover_git=False)
    with hasty.track_run("a", "j"):
        telemetry.raw.rename(telemetry.raw.with_name("elsewhere"))
        telemetry.raw.write_text("in the way")
    assert hasty.get_stats()["waiting"] == 1
    telemetry.raw.unlink()
    telemetry.raw.with_name("elsewhere").rename(telemetry.raw)
    assert hasty.close()
    assert telemetry.run("@last")["status"] == "success"


def test_a_logger_that_fails_does_not_reach_the_host(
    client: TelemetryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("the handler fails")

    monkeypatch.setattr(logging.getLogger("telemetry_cli"), "log", explode)
    assert client.start_run("", "") != ""
