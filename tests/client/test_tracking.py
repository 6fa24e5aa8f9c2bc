"""`track_run`: around blocks and functions, sync and async, however they end."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from support import Telemetry

import telemetry_cli
from telemetry_cli import RunContext, TelemetryClient

Script = Callable[..., subprocess.CompletedProcess[str]]


def last(telemetry: Telemetry) -> dict[str, object]:
    return telemetry.run("@last")


@pytest.mark.parametrize("before", range(430, 500, 7))
def test_a_secret_that_the_shortening_of_a_message_goes_through_does_not_show(
    before: int, client: TelemetryClient, telemetry: Telemetry
) -> None:
    secret = "ghp_" + "a1B2c3D4e5" * 4
    with pytest.raises(ValueError), client.track_run("a", "j"):
        raise ValueError("x" * before + f" {secret} " + "y" * 200)
    found = last(telemetry)
    assert "ghp_" not in f"{found['error_summary']}{found['error_details']}"
    assert len(str(found["error_summary"])) == 500
    assert [
        path
        for path in telemetry.base.rglob("*")
        if path.is_file() and b"ghp_a1" in path.read_bytes()
    ] == []


def test_a_tracebacks_secrets_are_taken_out_before_it_is_cut(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    message = ("ghp_" + "a1B2c3D4e5" * 4 + " ") * 3000
    with pytest.raises(ValueError), client.track_run("a", "j"):
        raise ValueError(message)
    assert "D4e5a1B2" not in str(last(telemetry)["error_details"])


def test_a_block(client: TelemetryClient, telemetry: Telemetry) -> None:
    with client.track_run("a", "j", product="cells") as run:
        assert isinstance(run, RunContext)
        assert telemetry.run(run.event_id)["status"] == "running"
        assert run.log_event("checkpoint", {"step": 1})
        run.set_metrics(
            items_succeeded=3, output_summary="all well", bytes=5, metrics_json={"b": 2}
        )
        run.set_metrics({"c d": 3}, bytes=6)
    found = telemetry.run(run.run_id)
    assert (
        found["status"],
        found["items_succeeded"],
        found["output_summary"],
        found["product"],
    ) == ("success", 3, "all well", "cells")
    assert found["metrics_json"] == {"bytes": 6, "b": 2, "c d": 3}
    assert len(found["events"]) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("wrong"), "failure"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(3), "failure"),
        (SystemExit(""), "failure"),
        (SystemExit("wrong"), "failure"),
        (asyncio.CancelledError(), "cancelled"),
    ],
    ids=repr,
)
def test_an_exception_ends_the_run_and_is_raised_on(
    error: BaseException, status: str, client: TelemetryClient, telemetry: Telemetry
) -> None:
    with pytest.raises(type(error)) as raised, client.track_run("a", "j"):
        raise error
    assert raised.value is error
    found = last(telemetry)
    assert found["status"] == status
    assert str(found["error_summary"]).startswith(type(error).__name__)
    assert "test_tracking.py" in str(found["error_details"])
    if isinstance(error, ValueError):
        assert found["error_summary"] == "ValueError: wrong"
        assert str(found["error_details"]).rstrip().endswith("ValueError: wrong")


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "error",
    [Unreadable(), ValueError("\ud800\0"), ValueError("x" * 100_000)],
    ids=["unreadable", "surrogate", "long"],
)
def test_an_exception_with_an_odd_message(
    error: Exception, client: TelemetryClient, telemetry: Telemetry
) -> None:
    with pytest.raises(type(error)), client.track_run("a", "j"):
        raise error
    assert (last(telemetry)["status"], client.get_stats()["failures"]) == ("failure", {})


@pytest.mark.parametrize("code", [0, None, False])
def test_exit_with_code_0_is_a_success_without_error(
    code: int | None, client: TelemetryClient, telemetry: Telemetry
) -> None:
    def generate() -> Iterator[int]:
        yield 1
        sys.exit(code)

    def leave() -> None:
        sys.exit(code)

    for leaves in (
        client.track_run("a", "j")(leave),
        lambda: list(client.track_run("a", "j")(generate)()),
    ):
        with pytest.raises(SystemExit):
            leaves()
        found = last(telemetry)
        assert (found["status"], found["error_summary"], found["error_details"]) == (
            "success",
            None,
            None,
        )


def test_exit_with_code_0_keeps_a_status_of_ones_own(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    with pytest.raises(SystemExit), client.track_run("a", "j") as run:
        run.set_metrics(status="partial", error_summary="one of two")
        sys.exit(0)
    assert (last(telemetry)["status"], last(telemetry)["error_summary"]) == (
        "partial",
        "one of two",
    )


def test_the_run_ends_though_what_was_set_breaks_a_rule(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    with client.track_run("a", "j") as run:
        run.set_metrics(items_failed=-1)
    assert last(telemetry)["status"] == "success"
    assert client.get_stats()["failures"] == {"unstorable": 1}


def test_only_what_breaks_a_rule_is_set_aside(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    with pytest.raises(ValueError, match="why"), client.track_run("a", "j") as run:
        run.set_metrics(
            loss=float("nan"), tokens=5, items_succeeded=3, items_failed=2.5, status="splendid"
        )
        raise ValueError("why it failed")
    found = last(telemetry)
    assert (
        found["status"],
        found["error_summary"],
        found["items_succeeded"],
        found["items_failed"],
    ) == ("failure", "ValueError: why it failed", 3, 0)
    assert "why it failed" in str(found["error_details"])
    assert found["metrics_json"] == {"tokens": 5}
    assert found["context_json"] == {"unstorable": {"items_failed": "2.5", "metrics.loss": "nan"}}
    assert client.get_stats()["failures"] == {"unstorable": 2}


class NoMapping(Mapping[str, object]):
    def __getitem__(self, name: str) -> object:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("metrics", "kind"),
    [
        ("nope", "invalid-input"),
        (5, "invalid-input"),
        ([("a", 1)], "invalid-input"),
        (NoMapping(), "RuntimeError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_metrics_that_are_no_dict_are_left_out(
    metrics: Any, kind: str, client: TelemetryClient, telemetry: Telemetry
) -> None:
    with client.track_run("a", "j") as run:
        run.set_metrics(metrics, tokens=5)
        run.set_metrics(None)
    assert (last(telemetry)["status"], last(telemetry)["metrics_json"]) == (
        "success",
        {"tokens": 5},
    )
    assert client.get_stats()["failures"] == {kind: 1}


@pytest.mark.parametrize("status", ["splendid", "running"])
def test_a_bad_status_costs_nothing_else(
    status: str, client: TelemetryClient, telemetry: Telemetry
) -> None:
    with client.track_run("a", "j") as run:
        run.set_metrics(status=status, items_succeeded=3)
    found = last(telemetry)
    assert (found["status"], found["items_succeeded"]) == ("success", 3)
    assert found["context_json"] == {"unstorable": {"status": status}}


def test_a_status_of_ones_own(client: TelemetryClient, telemetry: Telemetry) -> None:
    with client.track_run("a", "j") as run:
        run.set_metrics(status="partial")
    assert last(telemetry)["status"] == "partial"


def test_a_run_that_could_not_begin_leaves_the_block_alone() -> None:
    client = TelemetryClient(durability="none")  # type: ignore[arg-type]
    with client.track_run("a", "j") as run:
        assert (run.run_id, run.log_event("x")) == ("", False)
        run.set_metrics(a=1)
    assert client.get_stats()["failures"]["invalid-input"] >= 1


def test_runs_within_runs_are_their_children(client: TelemetryClient, telemetry: Telemetry) -> None:
    with client.track_run("a", "outer") as outer, client.track_run("a", "inner") as inner:
        started = client.start_run("a", "started")
    assert telemetry.run(inner.event_id)["parent_run_id"] == outer.event_id
    assert telemetry.run(started)["parent_run_id"] == inner.event_id
    assert telemetry.run(client.start_run("a", "after"))["parent_run_id"] is None


def test_a_child_that_was_forked_within_a_block_does_not_end_its_run(
    telemetry: Telemetry, script: Script
) -> None:
    done = script(
        "import os, sys\n"
        "client = TelemetryClient(base, discover_git=False)\n"
        "with client.track_run('a', 'parent') as run:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        with client.track_run('a', 'child'): pass\n"
        "        sys.exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    raise ValueError('of the parent')\n",
        check=False,
    )
    assert done.returncode == 1
    runs = {found["job_type"]: found for found in telemetry("query", "--json").json}
    assert (runs["parent"]["status"], runs["parent"]["error_summary"]) == (
        "failure",
        "ValueError: of the parent",
    )
    assert (runs["child"]["status"], runs["child"]["parent_run_id"]) == (
        "success",
        runs["parent"]["event_id"],
    )


# Functions


def test_functions_of_every_kind(client: TelemetryClient, telemetry: Telemetry) -> None:
    @client.track_run("a", "sync")
    def sync(number: int, *, plus: int = 0) -> int:
        """A function's own words."""
        return number + plus

    @client.track_run("a", "async")
    async def coroutine(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @client.track_run("a", "generator")
    def generator() -> Iterator[int]:
        yield 1
        yield 2

    @client.track_run("a", "async generator")
    async def async_generator() -> AsyncIterator[int]:
        yield 1

    async def collected() -> list[int]:
        return [item async for item in async_generator()]

    assert (sync(1, plus=2), sync(5), sync.__name__, sync.__doc__) == (
        3,
        5,
        "sync",
        "A function's own words.",
    )
    assert asyncio.run(coroutine(4)) == 4
    assert list(generator()) == [1, 2]
    assert asyncio.run(collected()) == [1]
    assert asyncio.iscoroutinefunction(coroutine)
    counts = {
        group["group"]: (group["runs"], group["success"])
        for group in telemetry("stats", "--by", "job_type", "--json").json
    }
    assert counts == {
        "sync": (2, 2),
        "async": (1, 1),
        "generator": (1, 1),
        "async generator": (1, 1),
    }


def test_an_object_whose_call_is_a_coroutine(client: TelemetryClient, telemetry: Telemetry) -> None:
    class Work:
        async def __call__(self, number: int) -> int:
            await asyncio.sleep(0)
            raise ValueError(f"within {number}")

    with pytest.raises(ValueError):
        asyncio.run(client.track_run("a", "j")(Work())(5))
    assert (last(telemetry)["status"], last(telemetry)["error_summary"]) == (
        "failure",
        "ValueError: within 5",
    )


def outcome(telemetry: Telemetry, job_type: str) -> tuple[object, object]:
    (run,) = telemetry("query", "--job-type", job_type, "--json").json
    return run["status"], run["parent_run_id"]


def test_a_generator_is_driven_as_without_tracking(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    @client.track_run("a", "j")
    def echo() -> Generator[object, object, str]:
        received: object = "begun"
        while received != "end":
            try:
                received = yield received
            except KeyError as error:
                received = error
        return "returned"

    driven = echo()
    assert (next(driven), driven.send(1)) == ("begun", 1)
    assert isinstance(driven.throw(KeyError("thrown")), KeyError)
    with pytest.raises(StopIteration) as end:
        driven.send("end")
    assert (end.value.value, outcome(telemetry, "j")) == ("returned", ("success", None))


def test_an_async_generator_is_driven_as_without_tracking(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    cleaned: list[str] = []

    @client.track_run("a", "j")
    async def echo() -> AsyncGenerator[object, object]:
        received: object = "begun"
        try:
            while received != "end":
                try:
                    received = yield received
                except KeyError as error:
                    received = error
        finally:
            await asyncio.sleep(0)
            cleaned.append("closed")

    async def main() -> None:
        driven = echo()
        assert (await anext(driven), await driven.asend(1)) == ("begun", 1)
        assert isinstance(await driven.athrow(KeyError("thrown")), KeyError)
        await driven.aclose()
        assert cleaned == ["closed"]

    asyncio.run(main())
    assert outcome(telemetry, "j")[0] == "cancelled"


def test_context_managers_made_of_generators(client: TelemetryClient, telemetry: Telemetry) -> None:
    seen: list[str] = []

    @contextmanager
    @client.track_run("a", "sync")
    def sync() -> Iterator[int]:
        try:
            yield 1
        except ValueError:
            seen.append("sync")

    @asynccontextmanager
    @client.track_run("a", "async")
    async def asynchronous() -> AsyncIterator[int]:
        try:
            yield 1
        except ValueError:
            seen.append("async")

    async def main() -> None:
        async with asynchronous():
            raise ValueError

    with sync():
        raise ValueError
    asyncio.run(main())
    assert seen == ["sync", "async"]
    assert (outcome(telemetry, "sync")[0], outcome(telemetry, "async")[0]) == ("success", "success")


def test_what_happens_while_a_generator_is_suspended_is_not_its_run(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    @client.track_run("a", "sync")
    def sync() -> Iterator[str]:
        with client.track_run("a", "within"):
            yield ""
            client.start_run("a", "child of within")
        yield client.start_run("a", "child of sync")

    @client.track_run("a", "async")
    async def asynchronous() -> AsyncIterator[str]:
        yield ""
        yield client.start_run("a", "child of async")

    async def main() -> None:
        driven = aiter(asynchronous())
        await anext(driven)
        client.start_run("a", "beside async")
        await anext(driven)
        async for _ in asynchronous():
            break
        client.start_run("a", "behind async")

    driven = sync()
    next(driven)
    client.start_run("a", "beside sync")
    next(driven)
    for _ in sync():
        break
    client.start_run("a", "behind sync")
    asyncio.run(main())
    runs = {run["event_id"]: run for run in telemetry("query", "--limit", "0", "--json").json}
    parents = {
        run["job_type"]: runs[run["parent_run_id"]]["job_type"] if run["parent_run_id"] else None
        for run in runs.values()
    }
    assert parents == {
        "sync": None,
        "within": "sync",
        "child of within": "within",
        "child of sync": "sync",
        "beside sync": None,
        "behind sync": None,
        "async": None,
        "child of async": "async",
        "beside async": None,
        "behind async": None,
    }


def test_an_async_generator_that_the_loop_closes(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    complaints: list[dict[str, Any]] = []

    @client.track_run("a", "j")
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0.05)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context)
        )
        kept.append(numbers())
        await anext(kept[0])

    kept: list[AsyncIterator[int]] = []
    asyncio.run(main())
    assert (complaints, outcome(telemetry, "j")[0]) == ([], "cancelled")


def test_a_decorated_function_that_calls_itself(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    @client.track_run("a", "j")
    def down(number: int) -> int:
        return down(number - 1) if number else 0

    down(2)
    assert telemetry("query", "--status", "success", "--count").line == "3"


# asyncio


def test_tasks_do_not_mix_up_their_runs(client: TelemetryClient, telemetry: Telemetry) -> None:
    async def work(number: int) -> None:
        async with client.track_run("a", f"task-{number}") as run:
            await asyncio.sleep(0.01)
            async with client.track_run("a", f"sub-{number}"):
                await asyncio.sleep(0)
            run.set_metrics(number=number)

    async def main() -> None:
        await asyncio.gather(*map(work, range(5)))

    asyncio.run(main())
    runs = {run["job_type"]: run for run in telemetry("query", "--json").json}
    for number in range(5):
        assert runs[f"task-{number}"]["metrics_json"] == {"number": number}
        assert runs[f"sub-{number}"]["parent_run_id"] == runs[f"task-{number}"]["event_id"]


def test_a_cancelled_task_is_a_cancelled_run(client: TelemetryClient, telemetry: Telemetry) -> None:
    async def work() -> None:
        async with client.track_run("a", "j"):
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(work())
        while client.get_stats().get("running") != 1:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert last(telemetry)["status"] == "cancelled"


def test_cancelled_while_the_run_begins(client: TelemetryClient, telemetry: Telemetry) -> None:
    async def work() -> None:
        async with client.track_run("a", "j"):
            raise AssertionError("never entered")

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while client.get_stats().get("running") != 0:
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert last(telemetry)["status"] == "cancelled"


def test_the_default_executor_has_no_part_in_it(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    """Neither when it is busy, nor when it was shut down."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = asyncio.ensure_future(asyncio.to_thread(time.sleep, 4))
        begun = time.monotonic()
        async with client.track_run("a", "busy"):
            pass
        took = time.monotonic() - begun
        await busy
        await loop.shutdown_default_executor()
        async with client.track_run("a", "shut down"):
            pass
        return took

    assert asyncio.run(main()) < 3
    assert telemetry("query", "--status", "success", "--count").line == "2"
    assert client.get_stats()["failures"] == {}


def test_recording_that_hangs_is_not_waited_for(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TelemetryClient(telemetry.base, timeout=0.3, discover_git=False)
    begun, end = client._prepared, threading.Event()

    def hanging(*given: Any, **named: Any) -> Any:
        end.wait(20)
        return begun(*given, **named)

    monkeypatch.setattr(client, "_prepared", hanging)

    async def main() -> float:
        start = time.monotonic()
        async with client.track_run("a", "j"):
            pass
        took = time.monotonic() - start
        end.set()
        return took

    assert asyncio.run(main()) < 3
    assert client.get_stats()["failures"] == {"TimeoutError": 2}
    while any(thread.name == "telemetry" for thread in threading.enumerate()):
        time.sleep(0.01)
    assert last(telemetry)["status"] == "success"


def test_a_thread_that_cannot_start_does_not_reach_the_host(
    client: TelemetryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            async with client.track_run("a", "j") as run:
                assert run.run_id == ""

    asyncio.run(main())
    assert client.get_stats()["failures"] == {"RuntimeError": 2}


def test_the_end_of_a_cancelled_beginning_is_not_written_on_the_loop(
    client: TelemetryClient, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, threads = client._write, set()

    def noted(*given: Any) -> Any:
        threads.add(threading.current_thread())
        time.sleep(0.3)
        return really(*given)

    monkeypatch.setattr(client, "_write", noted)

    async def main() -> float:
        task = asyncio.ensure_future(client.track_run("a", "j").__aenter__())
        await asyncio.sleep(0.1)
        task.cancel()
        longest = 0.0
        for _ in range(80):
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - begun)
        return longest

    assert asyncio.run(main()) < 0.25
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    while last(telemetry)["status"] == "running":
        time.sleep(0.05)
    assert last(telemetry)["status"] == "cancelled"


def test_a_block_that_its_event_loop_left_behind_ends(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    """Whatever closes the coroutine then runs without a loop."""

    async def work() -> None:
        async with client.track_run("a", "j"):
            await asyncio.Event().wait()

    async def until_it_runs() -> None:
        while client.get_stats().get("running") != 1:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

    loop, coroutine = asyncio.new_event_loop(), work()
    task = loop.create_task(coroutine)
    loop.run_until_complete(until_it_runs())
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    coroutine.close()
    assert (last(telemetry)["status"], client.get_stats()["failures"]) == ("cancelled", {})


def test_one_tracked_entered_by_two_tasks(client: TelemetryClient, telemetry: Telemetry) -> None:
    shared = client.track_run("a", "j")

    async def work(number: int, until: float) -> None:
        async with shared as run:
            run.set_metrics(number=number)
            await asyncio.sleep(until)
            if number == 1:
                raise ValueError("the first")

    async def main() -> None:
        await asyncio.gather(work(1, 0.2), work(2, 0.6), return_exceptions=True)

    asyncio.run(main())
    assert {
        run["metrics_json"]["number"]: run["status"] for run in telemetry("query", "--json").json
    } == {1: "failure", 2: "success"}


def test_the_event_loop_goes_on_while_a_run_is_recorded(
    client: TelemetryClient, telemetry: Telemetry
) -> None:
    from support.storage import EXCLUSIVE, held

    client.start_run("a", "j")
    slow = TelemetryClient(telemetry.base, timeout=0.5, discover_git=False)

    async def main() -> int:
        ticks = 0
        task = asyncio.create_task(slow.track_run("a", "j").__aenter__())
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    with held(EXCLUSIVE, telemetry.database):
        assert asyncio.run(main()) > 10


def test_the_ready_made_one(telemetry: Telemetry, script: Script) -> None:
    script(
        "from telemetry_cli import track_run\nwith track_run('a', 'ready') as run: run.log_event('x')"
    )
    assert last(telemetry)["job_type"] == "ready"
    assert telemetry_cli.track_run is telemetry_cli.client.api.track_run
