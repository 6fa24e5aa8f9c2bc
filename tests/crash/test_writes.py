"""Killed anywhere: what was acknowledged is there after the next command, exactly once."""

import shutil
from pathlib import Path

import pytest
from support import Ran, Telemetry
from support.storage import START, append, assert_sound, create, ids, journaled, segment, waiting
from support.strace import Traced, needs_strace, todays

EVENT = "killed-run"
START_IT = (*START, "--event-id", EVENT)


def _prepare_nothing(telemetry: Telemetry) -> None: ...


def _prepare_run(telemetry: Telemetry) -> None:
    telemetry(*START, "--event-id", "parent-run")


def _prepare_unapplied(telemetry: Telemetry) -> None:
    _prepare_run(telemetry)
    append(telemetry, create(1, "left-behind"))


def _prepare_buffered(telemetry: Telemetry) -> None:
    _prepare_run(telemetry)
    telemetry.buffer.mkdir(mode=0o700)
    (telemetry.buffer / f"{2:032x}.ndjson").write_bytes(create(2, "left-behind"))


STARTS = {
    "first-use": _prepare_nothing,
    "later": _prepare_run,
    "backlog": _prepare_unapplied,
    "buffer": _prepare_buffered,
}


def _at_every_point(
    traced: Traced, prepare: object, argv: tuple[str, ...]
) -> list[tuple[tuple[str, int], Ran]]:
    """Kill the command at every point, each time over the same beginning; the next command follows at once."""
    telemetry, beginning = traced.telemetry, traced.telemetry.home / "beginning"
    prepare(telemetry)  # type: ignore[operator]
    telemetry.base.mkdir(exist_ok=True)
    shutil.copytree(telemetry.base, beginning)
    points = traced.points(argv)
    assert len(points) > 20, "the paths that strace filters by are wrong"
    outcomes = []
    for call, n in points:
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        ran = traced(argv, "-e", f"inject={call}:signal=SIGKILL:when={n}")
        outcomes.append(((call, n), ran))
        _check_after(telemetry, (call, n), ran)
    return outcomes


def _check_after(telemetry: Telemetry, point: tuple[str, int], ran: Ran) -> None:
    """What holds after a kill: the next command works, and what stood in the journal or was printed is there once."""
    written = journaled(telemetry) if telemetry.raw.is_dir() else []
    acknowledged = ran.out.split()
    after = telemetry(*START, "--event-id", "next-run").line
    assert not waiting(telemetry), point
    found = ids(telemetry)
    assert len(found) == len(set(found)), point
    assert {*written, *acknowledged, after} <= set(found), point
    assert_sound(telemetry)


@pytest.mark.heavy
@needs_strace
@pytest.mark.parametrize("beginning", STARTS)
def test_a_start_killed_at_any_call_leaves_all_or_nothing(
    telemetry: Telemetry, beginning: str
) -> None:
    outcomes = _at_every_point(Traced(telemetry), STARTS[beginning], START_IT)
    codes = {ran.code for _, ran in outcomes}
    assert -9 in codes, "no injection ever killed anything"
    assert codes <= {-9, 0}


@pytest.mark.heavy
@needs_strace
@pytest.mark.parametrize(
    ("argv", "effect"),
    [
        (
            ("run", "end", "parent-run", "--status", "failure"),
            (
                "SELECT status FROM agent_runs WHERE event_id = 'parent-run'",
                [("running",)],
                [("failure",)],
            ),
        ),
        (
            ("run", "update", "parent-run", "--product", "p"),
            ("SELECT product FROM agent_runs WHERE event_id = 'parent-run'", [(None,)], [("p",)]),
        ),
        (
            ("run", "event", "step", "--run", "parent-run"),
            ("SELECT event_type FROM run_events", [], [("step",)]),
        ),
        (
            ("associate-commit", "parent-run", "--commit", "abcdef1", "--no-git"),
            ("SELECT commit_hash FROM run_commits", [], [("abcdef1",)]),
        ),
    ],
    ids=["end", "update", "event", "associate"],
)
def test_other_writes_killed_at_any_call_happen_once_or_not_at_all(
    telemetry: Telemetry,
    argv: tuple[str, ...],
    effect: tuple[str, list[tuple[str]], list[tuple[str]]],
) -> None:
    traced, beginning = Traced(telemetry), telemetry.home / "beginning"
    query, before, after = effect
    _prepare_run(telemetry)
    shutil.copytree(telemetry.base, beginning)
    lines = len(segment(telemetry).read_bytes().splitlines())
    for call, n in traced.points(argv):
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        ran = traced(argv, "-e", f"inject={call}:signal=SIGKILL:when={n}")
        written = len(segment(telemetry).read_bytes().splitlines()) > lines
        telemetry(*START)
        assert telemetry.sql(query) == (after if written or ran.code == 0 else before), (call, n)
        assert_sound(telemetry)


@pytest.mark.heavy
@needs_strace
def test_an_import_killed_at_any_call_and_run_again_is_whole(telemetry: Telemetry) -> None:
    traced, beginning = Traced(telemetry), telemetry.home / "beginning"
    (telemetry.cwd / "runs.ndjson").write_text(
        '{"event_id": "imported", "agent_name": "a", "job_type": "j", "start_time": "2026-01-01T00:00:00Z",'
        ' "events": [{"event_type": "step", "timestamp": "2026-01-01T00:00:00Z"}], "commits": [{"commit_hash": "abcdef1"}]}\n'
    )
    _prepare_run(telemetry)
    shutil.copytree(telemetry.base, beginning)
    whole = {(0, 0, 0), (1, 1, 1)}
    query = "SELECT (SELECT count(*) FROM agent_runs WHERE event_id = 'imported'), (SELECT count(*) FROM run_events), (SELECT count(*) FROM run_commits)"
    seen = set()
    for call, n in traced.points(("import", "runs.ndjson")):
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        ran = traced(("import", "runs.ndjson"), "-e", f"inject={call}:signal=SIGKILL:when={n}")
        telemetry("query")
        (state,) = telemetry.sql(query)
        assert state in whole, (call, n)
        assert ran.code != 0 or state == (1, 1, 1), (call, n)
        seen.add(state)
        telemetry("import", "runs.ndjson")
        assert telemetry.sql(query) == [(1, 1, 1)], (call, n)
        assert_sound(telemetry)
    assert seen == whole


def test_a_line_whose_writer_died_before_the_drain_is_applied_by_the_next_write(
    telemetry: Telemetry,
) -> None:
    telemetry.start()
    append(telemetry, create(1, "left-behind"))
    telemetry.start()
    assert telemetry.sql("SELECT count(*) FROM agent_runs WHERE event_id = 'left-behind'") == [(1,)]


def test_a_line_whose_writer_died_before_the_drain_is_seen_by_the_next_read(
    telemetry: Telemetry,
) -> None:
    telemetry.start()
    append(telemetry, create(1, "left-behind"))
    assert telemetry.run("left-behind")["run_id"] == "run-left-behind"


def test_a_line_that_came_to_the_journal_twice_counts_once(telemetry: Telemetry) -> None:
    telemetry.start()
    append(telemetry, create(1, "left-behind"), create(1, "left-behind"))
    telemetry("run", "end", "left-behind")
    append(telemetry, create(1, "left-behind"))
    telemetry.start()
    assert telemetry.sql("SELECT status FROM agent_runs WHERE event_id = 'left-behind'") == [
        ("success",)
    ]
    assert telemetry.sql("SELECT count(*) FROM rejected_ops") == [(0,)]


def test_a_killed_first_writer_leaves_no_obstacle(telemetry: Telemetry) -> None:
    """Folders, an empty lock file, an empty segment and an empty database: the most that can be there before the first byte."""
    for folder in (telemetry.base, telemetry.raw, telemetry.database.parent):
        folder.mkdir(mode=0o700)
    for file in (
        telemetry.raw / ".lock",
        telemetry.raw / f"ops_{todays()[0]}.ndjson",
        telemetry.database,
    ):
        file.touch(0o600)
    first = telemetry.start()
    assert ids(telemetry) == [first]


@pytest.mark.parametrize("cut", [1, 60, 180])
def test_a_torn_header_of_a_new_segment_is_written_again(telemetry: Telemetry, cut: int) -> None:
    first = telemetry.start()
    shutil.copy(segment(telemetry), later := telemetry.raw / "ops_29990101.ndjson")
    later.write_bytes(later.read_bytes()[:cut])
    second = telemetry.start()
    assert ids(telemetry) == sorted([first, second])
    assert telemetry.sql("SELECT count(*) FROM rejected_ops") == [(0,)]


def _synced_before_the_first_byte(traced: Traced, folder: Path) -> bool:
    assert traced(START_IT, "-y", paths=False).code == 0
    calls = traced.log.read_text().splitlines()
    first_write = next(
        place for place, call in enumerate(calls) if " write(" in call and "/ops_" in call
    )
    return any(" fsync(" in call and f"<{folder}>" in call for call in calls[:first_write])


@needs_strace
def test_a_segment_found_empty_is_synced_into_its_folder_before_the_first_byte(
    telemetry: Telemetry,
) -> None:
    """Whoever made it may have died before its own sync: then the name is not durable, whatever is flushed into the file."""
    telemetry.start()
    (telemetry.raw / "ops_29990101.ndjson").touch(0o600)
    assert _synced_before_the_first_byte(Traced(telemetry), telemetry.raw)


@needs_strace
def test_a_folder_found_empty_is_synced_into_the_one_above_before_the_first_byte(
    telemetry: Telemetry,
) -> None:
    telemetry.raw.mkdir(parents=True, mode=0o700)
    assert _synced_before_the_first_byte(Traced(telemetry), telemetry.base)
