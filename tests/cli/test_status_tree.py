"""`telemetry status` and `telemetry run tree`."""

import sqlite3
from typing import Any

import pytest
from support import Telemetry
from support.storage import FLOCKED, append, held

from telemetry_cli.core.tables import SCHEMA_VERSION

HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x9b31m",
    "\u202egnp.exe",
    "[/nope]",
    "[bold red]x[/]",
    "tab\tand\rreturn",
    "🙂‍🙂",
    "=1+1",
    "line\nbreak",
    "x" * 200,
)

Tree = dict[str, Any]


def clean(text: str) -> bool:
    """No control bytes and no bidi overrides."""
    return all(char.isprintable() or char in "\n\u200d" for char in text)


# status


def test_status(telemetry: Telemetry) -> None:
    for agent, status in (
        ("alpha", "running"),
        ("alpha", "success"),
        ("beta", "running"),
        ("beta", "failure"),
        ("beta", "partial"),
    ):
        telemetry.start("--agent-name", agent, "--status", status, "--no-git")
    telemetry.append("run.create", "2020-01-01T00:00:00.000Z", event_id="old", run_id="R", agent_name="O'Brien", job_type="j", status="timeout",
                     start_time="2020-01-01T00:00:00.000Z")  # fmt: skip
    assert telemetry("status", "-o", "json").json == {
        "total_runs": 6,
        "agents": {"O'Brien": 1, "alpha": 2, "beta": 3},
        "recent_24h": 5,
        "running": 2,
        "buffered": 0,
        "rejected": 0,
        "db_path": str(telemetry.database),
        "journal_mode": "DELETE",
        "synchronous": "EXTRA",
        "schema_version": SCHEMA_VERSION,
    }
    assert (
        telemetry("status", "--json", env={"TELEMETRY_DB_SYNCHRONOUS": "FULL"}).json["synchronous"]
        == "FULL"
    )


def test_status_where_nothing_was_recorded(telemetry: Telemetry) -> None:
    assert telemetry("status", "--json").json == {
        "total_runs": 0, "agents": {}, "recent_24h": 0, "running": 0, "buffered": 0, "rejected": 0,
        "db_path": str(telemetry.database), "journal_mode": "DELETE", "synchronous": "EXTRA", "schema_version": SCHEMA_VERSION,
    }  # fmt: skip
    assert telemetry("status").out
    assert not telemetry.base.exists()


def test_what_waits_is_counted(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "E1", "--no-git")
    now = {"TELEMETRY_LOCK_TIMEOUT": "0"}
    with held(FLOCKED, telemetry.database.with_name("telemetry.sqlite.lock")):
        for number in range(3):
            telemetry("run", "event", "tick", "--run", "E1", "-m", f"n={number}", env=now)
        ran = telemetry("status", "--json", env=now)
        assert (ran.json["buffered"], ran.json["total_runs"]) == (3, 1)
        assert "3 waiting" in telemetry("status", env=now).out
    assert telemetry("status", "--json").json["buffered"] == 0
    assert len(telemetry.run("E1")["events"]) == 3


def test_what_waits_in_the_buffer_is_counted(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "E1", "--no-git")
    now = {"TELEMETRY_LOCK_TIMEOUT": "0"}
    with held(FLOCKED, telemetry.raw / ".lock"):
        telemetry.start("--event-id", "E2", "--no-git", env=now)
        ran = telemetry("status", "--json", env=now)
        assert (ran.json["buffered"], ran.json["total_runs"]) == (1, 1)
    after = telemetry("status", "--json").json
    assert (after["buffered"], after["total_runs"]) == (0, 2)


def test_what_was_rejected_is_counted(telemetry: Telemetry) -> None:
    telemetry.start("--no-git")
    append(telemetry, b"no line of a journal\n", b'{"v":1,"half a li\n')
    telemetry.append("run.end", "2026-01-02T03:04:05.678Z", run="nobody")
    status = telemetry("status", "--json").json
    assert status["rejected"] == telemetry.sql("SELECT count(*) FROM rejected_ops")[0][0] == 3
    assert "3 rejected" in telemetry("status").out


def test_status_as_a_table(telemetry: Telemetry) -> None:
    telemetry.start("--agent-name", "alpha", "--event-id", "first-one", "--no-git")
    for number in range(11):
        telemetry.start(
            "--agent-name",
            "beta",
            "--event-id",
            f"later-{number}",
            "--no-git",
            "--status",
            "success",
        )
    out = telemetry("status").out
    for expected in (
        "12 runs",
        "1 running",
        "all is well",
        "beta 11",
        "alpha 1",
        "later-10",
        "later-1",
        str(telemetry.database),
    ):
        assert expected in out
    assert "first-one" in out  # what is running is shown however old it is


def test_hostile_agents(telemetry: Telemetry) -> None:
    for name in HOSTILE:
        telemetry.start("--agent-name", name, "--no-git")
    assert clean(telemetry("status").out)
    assert clean(telemetry("status", env={"LANG": "C"}).out)
    assert telemetry("status", "--json").json["agents"] == dict.fromkeys(sorted(HOSTILE), 1)


@pytest.mark.parametrize(
    "options", [("-o", "csv"), ("-o", "jsonl"), ("-o", "ids"), ("extra",), ("--nope",)]
)
def test_misuse_of_status(telemetry: Telemetry, options: tuple[str, ...]) -> None:
    assert telemetry("status", *options, code=2).out == ""


# run tree


def create(
    telemetry: Telemetry, event_id: str, second: int, parent: str | None = None, **data: object
) -> None:
    """Add a run that started so many seconds after midnight."""
    at = f"2999-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z"
    given: dict[str, object] = {
        "run_id": f"R-{event_id}",
        "agent_name": "a",
        "job_type": "j",
        "status": "success",
        "start_time": at,
    } | data
    ending = {
        name: given.pop(name)
        for name in ("duration_ms", "end_time", "error_summary")
        if name in given
    }
    telemetry.append(
        "run.create", at, event_id=event_id, **given, **({"parent": parent} if parent else {})
    )
    if ending:
        telemetry.append("run.update", at, run=event_id, **ending)


def names(tree: Tree) -> Any:
    """Only the ids of a tree, nested as it is."""
    return {tree["event_id"]: [names(child) for child in tree["children"]]}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """A root with three children and their children; a run that has nothing to do with it. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("tree"))
    program.start("--event-id", "other", "--no-git")
    create(program, "root", 0, duration_ms=1500, end_time="2999-01-01T00:00:01.500Z")
    create(program, "child-late", 30, "root", status="running")
    create(
        program,
        "child-early",
        10,
        "root",
        status="failure",
        error_summary="it broke",
        duration_ms=200,
        end_time="2999-01-01T00:00:10.200Z",
    )
    create(program, "child-mid", 20, "R-root")
    create(program, "grand-b", 41, "child-early")
    create(program, "grand-a", 40, "child-early")
    create(program, "great", 50, "grand-b")
    create(program, "grand-c", 5, "child-late")
    return program


def test_nesting_and_order(family: Telemetry) -> None:
    tree = family("run", "tree", "root", "-o", "json").json
    assert names(tree) == {
        "root": [{"child-early": [{"grand-a": []}, {"grand-b": [{"great": []}]}]}, {"child-mid": []}, {"child-late": [{"grand-c": []}]}],
    }  # fmt: skip
    assert names(family("run", "tree", "child-early", "--json").json) == {
        "child-early": [{"grand-a": []}, {"grand-b": [{"great": []}]}]
    }
    assert names(family("run", "tree", "other", "--json").json) == {"other": []}
    assert names(family("run", "tree", "--json", env={"TELEMETRY_EVENT_ID": "grand-b"}).json) == {
        "grand-b": [{"great": []}]
    }
    assert names(family("run", "tree", "R-child-late", "--json").json) == {
        "child-late": [{"grand-c": []}]
    }


def test_fields(family: Telemetry) -> None:
    root = family("run", "tree", "root", "-o", "json").json
    early = root["children"][0]
    shown = family.run("child-early")
    assert list(root) == list(early)
    assert list(root)[-1] == "children"
    for name in (
        "event_id",
        "run_id",
        "agent_name",
        "job_type",
        "status",
        "start_time",
        "end_time",
        "duration_ms",
    ):
        assert early[name] == shown[name]
    assert (early["status"], early["duration_ms"], early["error_summary"]) == (
        "failure",
        200,
        "it broke",
    )
    assert root["children"][2]["end_time"] is None


def test_the_tree_as_text(family: Telemetry) -> None:
    lines = family("run", "tree", "root").out.splitlines()
    assert [next(word for word in line.split() if word[0].isalpha()) for line in lines] == [
        "root", "child-early", "grand-a", "grand-b", "great", "child-mid", "child-late", "grand-c",
    ]  # fmt: skip
    indents = [next(place for place, char in enumerate(line) if char.isalpha()) for line in lines]
    assert indents == [indents[0] + depth * 4 for depth in (0, 1, 2, 2, 3, 1, 1, 2)]
    assert (
        "1.5 s" in lines[0]
        and "failure" in lines[1]
        and "200 ms" in lines[1]
        and "it broke" in lines[1]
        and "running" in lines[6]
    )


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("nope",), 3),
        (("@last:nobody",), 3),
        ((), 2),
        (("",), 2),
        (("@nope",), 2),
        (("chil",), 4),
        (("root", "-o", "csv"), 2),
    ],
)
def test_misuse_of_tree(family: Telemetry, argv: tuple[str, ...], code: int) -> None:
    ran = family("run", "tree", *argv, code=code)
    assert ran.out == ""
    assert code != 3 or f"Run not found: {argv[0]}" in ran.err


def test_tree_where_nothing_was_recorded(telemetry: Telemetry) -> None:
    assert "Run not found: nope" in telemetry("run", "tree", "nope", code=3).err
    assert not telemetry.base.exists()


def test_cycles_come_to_an_end(telemetry: Telemetry) -> None:
    """No operation makes one; a database that another program wrote may hold one."""
    parents: list[tuple[str, str]] = []
    telemetry.start("--event-id", "other", "--no-git")
    for number, (event_id, parent) in enumerate(
        (
            ("a", "c"),
            ("b", "a"),
            ("c", "b"),
            ("self", "self"),
            ("tail", "loop2"),
            ("loop1", "loop2"),
            ("loop2", "loop1"),
        )
    ):
        create(telemetry, event_id, number)
        parents.append((parent, event_id))
    telemetry("db", "drain")
    db = sqlite3.connect(telemetry.database)
    with db:
        db.executemany("UPDATE agent_runs SET parent_run_id = ? WHERE event_id = ?", parents)
    db.close()
    for event_id, size in (
        ("a", 3),
        ("b", 3),
        ("c", 3),
        ("self", 1),
        ("tail", 1),
        ("loop1", 3),
        ("loop2", 3),
    ):
        out = telemetry("run", "tree", event_id, "-o", "json").out
        assert out.count('"event_id"') == size, event_id
        assert len(telemetry("run", "tree", event_id).out.splitlines()) == size


def test_a_cycle_below_the_run_shows_each_run_once(telemetry: Telemetry) -> None:
    """`x` and `y` are each other's parents, and `y` is reached from `top` too: by the run_id that it shares with `x`."""
    telemetry.start("--event-id", "other", "--no-git")
    create(telemetry, "top", 0, run_id="shared")
    create(telemetry, "x", 1, "shared", run_id="ring")
    create(telemetry, "y", 2, "ring", run_id="shared")
    out = telemetry("run", "tree", "top", "-o", "json").out
    assert out.count('"event_id"') == 3


def test_many_runs_of_one_name(telemetry: Telemetry) -> None:
    """Runs that share their run_id, each the parent of the next by it, are a tree of each run once, not of every path."""
    telemetry.start("--event-id", "other", "--no-git")
    create(telemetry, "top", 0, run_id="nightly")
    for number in range(12):
        create(telemetry, f"n{number}", number + 1, "nightly", run_id="nightly")
    assert telemetry("run", "tree", "top", "-o", "json").out.count('"event_id"') == 13


@pytest.mark.parametrize("depth", [20, 90, 300])
def test_a_deep_tree(telemetry: Telemetry, depth: int) -> None:
    telemetry.start("--event-id", "other", "--no-git")
    create(telemetry, "d0", 0)
    for number in range(1, depth):
        create(telemetry, f"d{number}", number, f"d{number - 1}")
    tree = telemetry("run", "tree", "d0", "-o", "json").json
    found = []
    while tree["children"]:
        found.append(tree["event_id"])
        (tree,) = tree["children"]
    assert found == [f"d{number}" for number in range(len(found))]
    assert len(found) >= min(depth, 100) - 1
    assert len(telemetry("run", "tree", "d0").out.splitlines()) >= min(depth, 100)


def test_a_wide_tree(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "other", "--no-git")
    create(telemetry, "root", 0)
    for number in range(700):
        create(telemetry, f"c{number}", number + 1, "root")
    tree = telemetry("run", "tree", "root", "-o", "json").json
    assert [child["event_id"] for child in tree["children"]] == [
        f"c{number}" for number in range(700)
    ]


def test_hostile_names(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "root", "--no-git", "--agent-name", HOSTILE[0])
    for number, name in enumerate(HOSTILE):
        create(
            telemetry,
            f"h{number}",
            number,
            "root",
            agent_name=name,
            job_type=name,
            error_summary=name,
        )
    for environment in ({}, {"LANG": "C"}, {"COLUMNS": "60"}):
        out = telemetry("run", "tree", "root", env=environment).out
        assert clean(out)
        assert "[/nope]" in out
        assert all(f"h{number} " in out for number in range(len(HOSTILE)))
    children = telemetry("run", "tree", "root", "-o", "json").json["children"]
    assert [child["agent_name"] for child in children] == list(HOSTILE)
