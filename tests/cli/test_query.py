"""`telemetry query`: each filter, the order, and which part of the result comes out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from support import Git, Telemetry

SHA_A, SHA_B = "a" * 40, "abcdef1" + "0" * 33
#: event_id → what it is made with; `created_at` is the operation's own time.
TOOL = "https://github.com/acme/tool.git"
RUNS: dict[str, dict[str, str]] = {
    "r1": {"agent_name": "alpha", "job_type": "build", "status": "success", "created_at": "2026-01-01T00:00:00.000Z", "start_time": "2026-02-03T00:00:00.000Z"},
    "r2": {"agent_name": "alpha", "job_type": "test", "status": "failure", "created_at": "2026-01-02T00:00:00.000Z", "start_time": "2026-02-02T00:00:00.000Z",
           "product": "p1", "git_repo": TOOL, "git_branch": "main"},
    "r3": {"agent_name": "beta", "job_type": "test", "status": "running", "created_at": "2026-01-03T00:00:00.000Z",
           "start_time": "2026-02-01T00:00:00.000Z", "product": "p2", "git_repo": TOOL, "git_branch": "topic", "parent": "r1"},
    "r4": {"agent_name": "100%", "job_type": "O'Brien", "status": "cancelled", "created_at": "2026-01-03T00:00:00.000Z",
           "start_time": "2026-02-01T00:00:00.000Z", "product": "p1", "git_branch": "main", "parent": "elsewhere"},
}  # fmt: skip


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """The four runs above, and a newer one, `now`. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("four"))
    program.start(
        "--event-id",
        "now",
        "--agent-name",
        "clock",
        "--job-type",
        "tick",
        "--no-git",
        "--status",
        "partial",
        "--start-time",
        "2026-02-09T00:00:00Z",
    )
    for event_id, given in RUNS.items():
        data = {name: value for name, value in given.items() if name != "created_at"}
        program.append(
            "run.create",
            given["created_at"],
            event_id=event_id,
            run_id=f"name of {event_id}",
            **data,
        )
    for event_id, sha in (("r1", SHA_A), ("r2", SHA_A), ("r2", SHA_B)):
        program.append(
            "commit.associate",
            "2026-01-05T00:00:00.000Z",
            run=event_id,
            commit_hash=sha,
            role="produced",
            source="ci",
        )
    return program


def ids(program: Telemetry, *options: str, env: dict[str, str] | None = None) -> list[str]:
    return program("query", *options, "-o", "ids", env=env).out.split()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "now r4 r3 r2 r1"),
        (("--agent-name", "alpha"), "r2 r1"),
        (("--agent-name", "alpha", "--agent-name=beta"), "r3 r2 r1"),
        (("--agent-name", "alpha", "--job-type", "test"), "r2"),
        (("--agent-name", "100%"), "r4"),
        (("--agent-name", "%"), ""),
        (("--agent-name", "ALPHA"), ""),
        (("--job-type", "O'Brien"), "r4"),
        (("--job-type", "test", "--job-type", "build"), "r3 r2 r1"),
        (("--status", "success"), "r1"),
        (("--status", "FAILED"), "r2"),
        (("--status", "completed", "--status", "canceled"), "r4 r1"),
        (("--product", "p1"), "r4 r2"),
        (("--product", "p1", "--product", "p2"), "r4 r3 r2"),
        (("--parent", "r1"), "r3"),
        (("--parent", "name of r1"), "r3"),
        (("--parent", "elsewhere"), "r4"),
        (("--parent", "nowhere"), ""),
        (("--commit", SHA_A), "r2 r1"),
        (("--commit", SHA_B.upper()), "r2"),
        (("--commit", "abcdef1"), "r2"),
        (("--commit", "abcdef2"), ""),
        (("--repo", "https://github.com/acme/tool.git"), "r3 r2"),
        (("--repo", "https://me:pw@github.com/acme/tool.git"), "r3 r2"),
        (("--branch", "main"), "r4 r2"),
        (("--branch", ""), ""),
        (("--since", "2026-01-03T00:00:00Z"), "now r4 r3"),
        (("--until", "2026-01-03T00:00:00Z"), "r2 r1"),
        (("--since", "2026-01-02T01:00:00+01:00", "--until", "2026-01-03T00:00:00.001Z"), "r4 r3 r2"),
        (("--created-after", "2026-01-03T00:00:00Z"), "now"),
        (("--created-after", "2026-01-02T23:59:59.999Z"), "now r4 r3"),
        (("--created-before", "2026-01-02T00:00:00Z"), "r1"),
        (("--start-time-from", "2026-02-03T00:00:00Z"), "now r1"),
        (("--start-time-to", "2026-02-02T00:00:00Z"), "r4 r3 r2"),
        (("--start-time-from", "2026-02-02T00:00:00Z", "--start-time-to", "2026-02-02T00:00:00Z"), "r2"),
    ],
)  # fmt: skip
def test_filters(four: Telemetry, options: tuple[str, ...], expected: str) -> None:
    assert ids(four, *options) == expected.split()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--reverse",), "r1 r2 r3 r4 now"),
        (("--sort", "created_at"), "now r4 r3 r2 r1"),
        (("--sort", "start_time"), "now r1 r2 r4 r3"),
        (("--sort", "start_time", "--reverse"), "r3 r4 r2 r1 now"),
        (("--sort", "event_id"), "r4 r3 r2 r1 now"),
        (("--sort", "agent_name", "--reverse"), "r4 r1 r2 r3 now"),
        (("--limit", "2"), "now r4"),
        (("--limit", "2", "--offset", "1"), "r4 r3"),
        (("--offset", "3"), "r2 r1"),
        (("--limit", "0", "--offset", "3"), "r2 r1"),
        (("--limit", "0"), "now r4 r3 r2 r1"),
        (("--offset", "5"), ""),
        (("--limit", str(2**63 - 1), "--offset", str(2**63 - 1)), ""),
        (("--reverse", "--limit", "1", "--agent-name", "alpha"), "r1"),
    ],
)
def test_order_and_part(four: Telemetry, options: tuple[str, ...], expected: str) -> None:
    assert ids(four, *options) == expected.split()


@pytest.mark.parametrize(
    "field", ["git_branch", "product", "end_time", "metrics_json", "duration_ms", "id"]
)
def test_sorting_loses_no_run(four: Telemetry, field: str) -> None:
    assert sorted(ids(four, "--sort", field)) == sorted(["now", *RUNS])


def test_relative_times(four: Telemetry) -> None:
    assert ids(four, "--since", "1h") == ["now"]
    assert "now" not in ids(four, "--until", "1h")
    assert ids(four, "--since", "yesterday") == ["now"]


def test_a_time_without_a_zone_is_local(four: Telemetry) -> None:
    tokyo = {"TZ": "Asia/Tokyo"}
    assert ids(four, "--created-before", "2026-01-02T09:00:00", env=tokyo) == ["r1"]
    assert ids(four, "--created-before", "2026-01-02T09:00:01", env=tokyo) == ["r2", "r1"]
    assert ids(four, "--until", "2026-01-02", env={"TZ": "UTC"}) == ["r1"]


def test_today_is_the_local_day(telemetry: Telemetry) -> None:
    # The zone in which it is a little after midnight now: whatever is an hour old is of yesterday.
    now = datetime.now(UTC)
    zone = {"TZ": f"XXX{now.hour:+03d}:{now.minute:02d}"}
    telemetry.start("--event-id", "E1")
    telemetry.append(
        "run.create",
        _ago(hours=1),
        event_id="E2",
        run_id="R",
        agent_name="a",
        job_type="j",
        status="running",
        start_time=_ago(hours=1),
    )
    assert ids(telemetry, "--since", "today", env=zone) == ["E1"]
    assert ids(telemetry, "--since", "yesterday", env=zone) == ["E1", "E2"]


def _ago(**age: int) -> str:
    return (datetime.now(UTC) - timedelta(**age)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_parent_is_the_current_run(four: Telemetry) -> None:
    assert ids(four, "--parent", "@current", env={"TELEMETRY_EVENT_ID": "r1"}) == ["r3"]


def test_a_folder_stands_for_its_remote(four: Telemetry, make_git: Callable[..., Git]) -> None:
    git = make_git()
    assert "--repo" in four("query", "--repo", str(git.path), code=2).err
    git("remote", "add", "origin", "https://github.com/acme/tool.git")
    assert ids(four, "--repo", str(git.path)) == ["r3", "r2"]


@pytest.mark.parametrize("output", ["table", "json", "csv", "ids"])
def test_count(four: Telemetry, output: str) -> None:
    counted = four("query", "--agent-name", "alpha", "--count", "-o", output)
    assert counted.json == {"count": 2} if output == "json" else counted.out == "2\n"


def test_count_of_nothing_and_of_all(four: Telemetry) -> None:
    assert four("query", "--count", "--limit", "1").line == "5"
    assert four("query", "--count", "--agent-name", "none").line == "0"


# How many


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """1,203 runs, made in groups of seven that share their created_at."""
    program = Telemetry(tmp_path_factory.mktemp("many"))
    program.start("--event-id", "n0000", "--no-git")
    for number in range(1, 1203):
        at = f"2999-01-01T00:{number // 7 // 60:02}:{number // 7 % 60:02}.000Z"
        program.append(
            "run.create",
            at,
            event_id=f"n{number:04}",
            run_id="R",
            agent_name="a",
            job_type="j",
            status="running",
            start_time=at,
        )
    return program


@pytest.mark.parametrize(
    "options", [("--limit", "0"), ("--limit", "1203"), ("--limit=0", "--sort", "created_at")]
)
def test_all_of_many(many: Telemetry, options: tuple[str, ...]) -> None:
    assert ids(many, *options) == [f"n{number:04}" for number in reversed(range(1203))]


@pytest.mark.parametrize(("limit", "offset"), [(500, 0), (501, 3), (999, 250), (0, 700), (7, 1200)])
def test_parts_of_many(many: Telemetry, limit: int, offset: int) -> None:
    expected = [f"n{number:04}" for number in reversed(range(1203))][
        offset : offset + limit if limit else None
    ]
    assert ids(many, "--limit", str(limit), "--offset", str(offset)) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [("json", 100), ("jsonl", 100), ("csv", 100), ("ids", 100), ("table", 50)],
)
def test_default_limits(many: Telemetry, output: str, expected: int) -> None:
    columns = ("--columns", "event_id") if output != "ids" else ()
    assert many("query", "-o", output, *columns).out.count("n1") == expected
