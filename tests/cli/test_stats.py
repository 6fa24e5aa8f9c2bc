"""`telemetry stats`: every figure against one computed here, over random runs; formats, filters, and what it says when it is misused."""

import csv
import io
import json
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support import Telemetry

STATUSES = ("running", "success", "failure", "partial", "timeout", "cancelled")
ITEMS = ("items_discovered", "items_succeeded", "items_failed", "items_skipped")
KEYS = ["group", "runs", *STATUSES, "success_rate", "p50_ms", "p95_ms", "max_ms", *ITEMS]
AGENTS = ("alpha", "beta", "O'Brien", "=1+1", "\x1b[31mred", "naïve ☃")
SEED = 20260101

Run = dict[str, Any]


def _random_run(chance: random.Random, number: int) -> Run:
    status = chance.choice(STATUSES)
    day, hour = chance.randint(1, 5), chance.randint(0, 23)
    run: Run = {
        "event_id": f"s{number}", "run_id": f"R{number % 7}", "agent_name": chance.choice(AGENTS), "job_type": chance.choice(("build", "test")),
        "status": status, "start_time": f"2999-03-{day:02}T{hour:02}:{chance.randint(0, 59):02}:00.000Z",
        "duration_ms": chance.choice((0, chance.randint(0, 50), chance.randint(0, 10_000_000))) if status != "running" else chance.choice((0, 999_999_999)),
    }  # fmt: skip
    if chance.random() < 0.6:
        run["product"] = chance.choice(("p1", "p2", "p3"))
    return run | {name: chance.randint(0, 100) for name in ITEMS if chance.random() < 0.7}


CHANCE = random.Random(SEED)
RUNS = [_random_run(CHANCE, number) for number in range(400)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """The random runs, and one more that made the base, of the job `first`. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("stats"))
    program.start("--job-type", "first", "--no-git")
    for number, run in enumerate(RUNS):
        at = f"2999-03-01T00:{number // 60:02}:{number % 60:02}.000Z"
        program.append(
            "run.create",
            at,
            **{name: value for name, value in run.items() if name != "duration_ms"},
        )
        program.append("run.update", at, run=run["event_id"], duration_ms=run["duration_ms"])
    assert program("query", "--count").line == "401"
    return program


MIDNIGHT = "2999-03-04T00:00:00.000Z"
OURS = ("--where", "job_type <> 'first'")


def nearest_rank(values: list[int], percent: int) -> int | None:
    """The smallest value that at least so many percent of the values do not exceed."""
    ordered = sorted(values)
    return next(
        (value for place, value in enumerate(ordered, 1) if place * 100 >= percent * len(ordered)),
        None,
    )


def figures(group: object, runs: list[Run]) -> Run:
    """What stats has to say of these runs."""
    ended = [run["duration_ms"] for run in runs if run["status"] != "running"]
    return {
        "group": group,
        "runs": len(runs),
        **{status: sum(run["status"] == status for run in runs) for status in STATUSES},
        "success_rate": pytest.approx(
            sum(run["status"] == "success" for run in runs) / len(ended), abs=0.0001
        )
        if ended
        else None,
        "p50_ms": nearest_rank(ended, 50),
        "p95_ms": nearest_rank(ended, 95),
        "max_ms": max(ended, default=None),
        **{name: sum(run.get(name, 0) for run in runs) for name in ITEMS},
    }


KINDS: dict[str, Callable[[Run], object]] = {
    "agent_name": lambda run: run["agent_name"],
    "job_type": lambda run: run["job_type"],
    "status": lambda run: run["status"],
    "product": lambda run: run.get("product"),
    "day": lambda run: run["start_time"][:10],
    "hour": lambda run: run["start_time"][:13] + ":00Z",
    "event_id": lambda run: run["event_id"],
    "run_id": lambda run: run["run_id"],
    "duration_ms": lambda run: run["duration_ms"],
    "git_branch": lambda run: None,
    "metrics_json": lambda run: "{}",
}


def expected(by: str, runs: list[Run]) -> dict[object, Run]:
    """The figures of each group."""
    found: dict[object, list[Run]] = defaultdict(list)
    for run in runs:
        found[KINDS[by](run)].append(run)
    return {group: figures(group, members) for group, members in found.items()}


def test_nearest_rank() -> None:
    assert [
        nearest_rank([15, 20, 35, 40, 50], percent) for percent in (5, 30, 40, 50, 95, 100)
    ] == [15, 20, 20, 35, 50, 50]
    assert nearest_rank([1, 2], 50) == 1
    assert nearest_rank([], 50) is None


def test_all_runs(many: Telemetry) -> None:
    found = many("stats", *OURS, "--json").json
    assert found == [figures(None, RUNS)]
    assert list(found[0]) == KEYS


@pytest.mark.parametrize("by", KINDS)
def test_by(many: Telemetry, by: str) -> None:
    found = many("stats", "--by", by, *OURS, "--json").json
    groups = [row["group"] for row in found]
    wanted = expected(by, RUNS)
    assert len(groups) == len(wanted)
    assert {row["group"]: row for row in found} == wanted
    assert all(list(row) == KEYS for row in found)


@pytest.mark.parametrize(
    ("options", "keep"),
    [
        (("--agent-name", "alpha"), lambda run: run["agent_name"] == "alpha"),
        (("--agent-name", "alpha", "--agent-name", "=1+1"), lambda run: run["agent_name"] in ("alpha", "=1+1")),
        (("--status", "failed", "--status", "running"), lambda run: run["status"] in ("failure", "running")),
        (("--status", "running"), lambda run: run["status"] == "running"),
        (("--product", "p1"), lambda run: run.get("product") == "p1"),
        (("--start-time-from", "2999-03-02T12:00:00Z", "--start-time-to", "2999-03-04T00:00:00Z"),
        lambda run: "2999-03-02T12:00:00.000Z" <= run["start_time"] <= MIDNIGHT),
        (("--since", "2999-03-01T00:03:00Z"), lambda run: int(run["event_id"][1:]) >= 180),
        (("--where", "duration_ms > 1000 and job_type = 'test'"), lambda run: run["duration_ms"] > 1000 and run["job_type"] == "test"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
@pytest.mark.parametrize("by", [None, "agent_name", "product"])
def test_filters(many: Telemetry, options: tuple[str, ...], keep: Any, by: str | None) -> None:
    where = () if "--where" in options else OURS
    found = many("stats", *options, *where, *(("--by", by) if by else ()), "--json").json
    chosen = [run for run in RUNS if keep(run)]
    assert chosen
    assert {row["group"]: row for row in found} == (
        expected(by, chosen) if by else {None: figures(None, chosen)}
    )


@pytest.mark.parametrize("base", ["many", "telemetry"])
def test_nothing_to_count(request: pytest.FixtureRequest, base: str) -> None:
    program: Telemetry = request.getfixturevalue(base)
    nothing = ("stats", "--agent-name", "nobody")
    assert program(*nothing, "--by", "agent_name", "--json").json == []
    whole = program(*nothing, "--json").json
    assert whole in (
        [],
        [
            figures(None, [])
            | {name: whole[0][name] if whole else 0 for name in (*STATUSES, *ITEMS)}
        ],
    )
    assert all(value in (None, 0) for row in whole for value in row.values())
    assert program(*nothing).out
    assert base == "many" or not program.base.exists()


def test_the_largest_numbers(telemetry: Telemetry) -> None:
    largest = str(2**63 - 1)
    for _ in range(2):
        event_id = telemetry.start("--no-git", "--items-discovered", largest)
        telemetry("run", "end", event_id, "--duration-ms", largest)
    (row,) = telemetry("stats", "--json").json
    assert row["items_discovered"] == pytest.approx(2 * (2**63 - 1))
    assert row["max_ms"] == row["p50_ms"] == 2**63 - 1


# Formats


def test_every_format_says_the_same(many: Telemetry) -> None:
    command = ("stats", "--by", "product", *OURS)
    wanted = many(*command, "-o", "json").json
    assert list(map(json.loads, many(*command, "-o", "jsonl").out.splitlines())) == wanted
    rows = list(csv.DictReader(io.StringIO(many(*command, "-o", "csv").out)))
    assert list(rows[0]) == KEYS
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in wanted
    ] == rows
    table = many(*command, "-o", "table").out
    for row in wanted:
        assert str(row["runs"]) in table
        assert row["group"] is None or row["group"] in table
    assert "--output" in many(*command, "-o", "ids", code=2).err


def test_hostile_groups(many: Telemetry) -> None:
    table = many("stats", "--by", "agent_name").out
    assert "█" in table
    assert all(char.isprintable() or char == "\n" for char in table)
    sheet = many("stats", "--by", "agent_name", "-o", "csv").out
    assert "\n'=1+1," in sheet
    assert "\x1b" not in sheet
    assert "=1+1" in {row["group"] for row in many("stats", "--by", "agent_name", "--json").json}


@pytest.mark.parametrize(
    "by",
    [
        "nope",
        "",
        "Agent_Name",
        "agent_name, status",
        "agent_name; DROP TABLE agent_runs",
        "1",
        "random()",
        "\x1b[31m",
        "grp",
        "rowid",
        "month",
    ],
)
def test_an_unknown_field(many: Telemetry, by: str) -> None:
    before = many.files()
    ran = many("stats", "--by", by, code=2)
    assert "--by" in ran.err
    for valid in ("day", "hour", "agent_name", "product", "git_branch"):
        assert valid in ran.err
    assert "\x1b" not in ran.err
    assert many.files() == before


@pytest.mark.parametrize(
    "options",
    [
        ("--status", "nope"),
        ("--since", "never"),
        ("--commit", "xyz"),
        ("--where", "nope > 1"),
        ("--limit", "3"),
        ("extra",),
    ],
)
def test_misuse(many: Telemetry, options: tuple[str, ...]) -> None:
    assert many("stats", *options, code=2).out == ""


def test_the_table_draws_runs_over_time_and_shares(telemetry: Telemetry) -> None:
    for agent, hours in (("even", range(24)), ("late", (21, 22, 22, 23, 23, 23, 23, 23))):
        for number, hour in enumerate(hours):
            telemetry.start(
                "--event-id",
                f"{agent}{number}",
                "--agent-name",
                agent,
                "--start-time",
                f"2025-03-01T{hour:02}:00:00Z",
                "--no-git",
            )
    lines = {
        line.split()[0]: line
        for line in telemetry("stats", "--by", "agent_name").out.splitlines()
        if line.strip()
    }
    assert f" {'█' * 8} " in lines["even"]
    assert "█" * 24 in lines["even"]
    assert f" {'█' * 2}▋ " in lines["late"]
    assert "·" * 21 + "▂▄█" in lines["late"]
    whole = telemetry("stats").out
    assert "share" not in whole
    assert "over time" in whole


def test_one_moment_has_no_trend(telemetry: Telemetry) -> None:
    telemetry.start()
    assert "over time" not in telemetry("stats").out


@pytest.mark.parametrize(
    ("step", "unit"),
    [(3, "days"), (1, "hours"), (1, "minutes"), (1, "seconds"), (40, "milliseconds")],
)
def test_a_trend_is_as_fine_as_its_times(telemetry: Telemetry, step: int, unit: str) -> None:
    first = datetime(2025, 3, 1, tzinfo=UTC)
    for number in range(25):
        telemetry.start(
            "--start-time", (first + timedelta(**{unit: number * step})).isoformat(), "--no-git"
        )
    # The last moment belongs to the last part, which so has two.
    assert "▄" * 23 + "█" in telemetry("stats").out


def test_without_the_characters_nothing_is_drawn(many: Telemetry) -> None:
    table = many(
        "stats",
        "--by",
        "job_type",
        env={"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
    ).out
    assert table.isascii()
    assert "over time" not in table
    assert "\\u" not in table
