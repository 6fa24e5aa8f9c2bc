"""RUN, wherever a command takes one: exact ids, names, prefixes, @last, @last:AGENT, @current, and the default."""

import pytest
from support import Telemetry

FIRST, SECOND, THIRD = "aaaa1111-x", "aaaa2222-x", "bbbb3333_x"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """Three runs, the second started last, two of them with the same name. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("runs"))
    program.start(
        "--event-id",
        FIRST,
        "--run-id",
        "twice",
        "--agent-name",
        "alpha",
        "--start-time",
        "2026-01-01T00:00:00Z",
    )
    program.start(
        "--event-id",
        SECOND,
        "--run-id",
        "twice",
        "--agent-name",
        "beta",
        "--start-time",
        "2026-01-03T00:00:00Z",
    )
    program.start(
        "--event-id",
        THIRD,
        "--run-id",
        "once%",
        "--agent-name",
        "alpha",
        "--start-time",
        "2026-01-02T00:00:00Z",
    )
    return program


@pytest.mark.parametrize(
    ("reference", "event_id"),
    [
        (FIRST, FIRST),
        ("once%", THIRD),
        ("aaaa1", FIRST),
        ("bbbb", THIRD),
        ("@last", SECOND),
        ("@last:alpha", THIRD),
        ("@last:beta", SECOND),
        ("@current", FIRST),
    ],
)
def test_what_a_reference_means(runs: Telemetry, reference: str, event_id: str) -> None:
    shown = runs("run", "show", reference, "-o", "json", env={"TELEMETRY_EVENT_ID": FIRST})
    assert (shown.json["event_id"], shown.err) == (event_id, "")


def test_a_name_of_several_runs_is_the_newest_with_a_note(runs: Telemetry) -> None:
    shown = runs("run", "show", "twice", "-o", "json")
    assert shown.json["event_id"] == SECOND
    assert SECOND in shown.err


@pytest.mark.parametrize(
    "reference",
    [
        "aaa",
        "bbb",
        "bbbb4",
        "BBBB9",
        "aaaa____",
        "bbb%",
        "%%%%",
        "____",
        "once",
        "@last:gamma",
        "*bbb",
        "bbbb3333_x\n",
    ],
)
def test_what_no_reference_means(runs: Telemetry, reference: str) -> None:
    refused = runs("run", "show", reference, code=3)
    assert ("Run not found: " in refused.err, refused.out) == (True, "")


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "show", "aaaa"),
        ("run", "events", "aaaa"),
        ("run", "end", "aaaa"),
        ("run", "update", "aaaa", "--product", "p"),
        ("run", "event", "tick", "--run", "aaaa"),
        ("associate-commit", "aaaa", "--commit", "0123456", "--no-git"),
        ("commit-url", "aaaa"),
        ("commits", "aaaa"),
        ("query", "--parent", "aaaa"),
    ],
)
def test_an_ambiguous_prefix_lists_them_and_changes_nothing(
    runs: Telemetry, argv: tuple[str, ...]
) -> None:
    before = runs.sql("SELECT * FROM agent_runs")
    refused = runs(*argv, code=4)
    assert (FIRST in refused.err, SECOND in refused.err, THIRD in refused.err, refused.out) == (
        True,
        True,
        False,
        "",
    )
    assert runs.sql("SELECT * FROM agent_runs") == before
    assert runs.sql(
        "SELECT (SELECT count(*) FROM run_events), (SELECT count(*) FROM run_commits)"
    ) == [(0, 0)]


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "show"),
        ("run", "events"),
        ("run", "end"),
        ("run", "update", "--product", "p"),
        ("run", "event", "tick"),
        ("associate-commit", "--commit", "0123456", "--no-git"),
        ("commit-url",),
        ("repo-url",),
        ("commits",),
        ("run", "show", "@current"),
        ("query", "--parent", "@current"),
    ],
)
@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_there_is_no_current_run(
    runs: Telemetry, argv: tuple[str, ...], value: str | None
) -> None:
    before = runs.files()
    refused = runs(*argv, env={} if value is None else {"TELEMETRY_EVENT_ID": value}, code=2)
    assert ("TELEMETRY_EVENT_ID" in refused.err, refused.out) == (True, "")
    assert runs.files() == before


@pytest.mark.parametrize(
    "reference", ["", " ", "@", "@first", "@last:", "@LAST", "@current:x", "@lastly"]
)
def test_what_is_no_reference(runs: Telemetry, reference: str) -> None:
    before = runs.files()
    for argv in (("run", "show"), ("run", "end")):
        refused = runs(*argv, reference, code=2)
        assert ("RUN" in refused.err, refused.out) == (True, "")
    assert runs.files() == before


def test_an_exact_event_id_goes_before_a_run_id_and_a_prefix(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "same", "--run-id", "one")
    telemetry.start("--event-id", "other", "--run-id", "same")
    telemetry.start("--event-id", "same-and-more")
    assert telemetry.run("same")["run_id"] == "one"


def test_a_run_id_goes_before_a_prefix(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "name-of-another")
    telemetry.start("--event-id", "E2", "--run-id", "name")
    assert telemetry.run("name")["event_id"] == "E2"


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "end", "@last"),
        ("run", "update", "@last", "--status", "success"),
        ("associate-commit", "@last", "--commit", "0123456", "--no-git"),
    ],
)
def test_writes_understand_them_too(telemetry: Telemetry, argv: tuple[str, ...]) -> None:
    telemetry.start("--event-id", "old", "--start-time", "2026-01-01T00:00:00Z")
    telemetry.start("--event-id", "new", "--start-time", "2026-01-02T00:00:00Z")
    assert telemetry(*argv, "-o", "json").json["event_id"] == "new"


def test_a_write_by_an_ambiguous_name_says_which_was_taken(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "old", "--run-id", "name", "--start-time", "2026-01-01T00:00:00Z")
    telemetry.start("--event-id", "new", "--run-id", "name", "--start-time", "2026-01-02T00:00:00Z")
    ended = telemetry("run", "end", "name", "-o", "json")
    assert (ended.json["event_id"], "new" in ended.err) == ("new", True)


def test_last_without_any_run(telemetry: Telemetry) -> None:
    assert "Run not found: @last" in telemetry("run", "show", "@last", code=3).err


SHOWN = [
    ("query",),
    ("status",),
    ("run", "tree", "parent"),
    ("run", "show", "parent"),
    ("commits", "--commit", "abcdef1"),
]


@pytest.mark.parametrize("argv", SHOWN, ids=" ".join)
def test_a_shortened_id_in_a_table_is_a_run_even_where_its_twin_is_not_shown(
    telemetry: Telemetry, argv: tuple[str, ...]
) -> None:
    telemetry.start("--event-id", "parent", "--no-git")
    shown, twin = "0123abcd-0000-4000-8000-00000000000a", "0123abcd-0000-4000-8001-000000000000"
    telemetry.start("--event-id", shown, "--parent", "parent", "--agent-name", "shown", "--no-git")
    telemetry("associate-commit", shown, "--commit", "abcdef1", "--no-git")
    telemetry.start("--event-id", twin, "--start-time", "9d", "--agent-name", "twin", "--no-git")
    if argv[0] in ("query", "status"):
        # Pushed out of what is shown.
        telemetry("run", "update", twin, "--item-name", "twin")
        argv = (*argv, "--agent-name", "shown") if argv[0] == "query" else argv
    prefix = next(word for word in telemetry(*argv).out.split() if word.startswith("0123abcd"))
    assert len(prefix) < len(shown)
    assert telemetry.run(prefix)["event_id"] in ((shown, twin) if argv[0] == "status" else (shown,))


# Runs of a wrong clock

AHEAD = "2999-01-01T00:00:00.000Z"


def started_ahead(telemetry: Telemetry, event_id: str, agent_name: str = "tester") -> None:
    """Record a run as a machine does whose clock is centuries ahead."""
    named = {
        "event_id": event_id,
        "run_id": f"run-{event_id}",
        "agent_name": agent_name,
        "job_type": "job",
    }
    telemetry.append("run.create", AHEAD, **named, status="running", start_time=AHEAD)


def test_last_after_a_run_from_the_future_is_the_next_run(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "before")
    for event_id in ("ahead-1", "ahead-2"):
        started_ahead(telemetry, event_id)
    telemetry.start("--event-id", "today")
    telemetry("run", "event", "tick", "--run", "@last")
    telemetry("associate-commit", "@last", "--commit", "abcdef1", "--no-git")
    telemetry(
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
        "--event-id",
        "child",
        "--parent",
        "@last",
        "--start-time",
        "2026-01-01T00:00:00Z",
    )
    assert telemetry("query", "--parent", "@last", "-o", "ids").line == "child"
    run = telemetry.run("@last")
    assert (
        run["event_id"],
        [event["event_type"] for event in run["events"]],
        run["git_commit_hash"],
    ) == ("today", ["tick"], "abcdef1")
    telemetry("run", "end", "@last")
    assert telemetry.run("today")["status"] == "success"


def test_last_is_the_run_from_the_future_while_it_is_the_newest_record(
    telemetry: Telemetry,
) -> None:
    """The clock was set back while it ran: its end still finds it."""
    telemetry.start("--event-id", "before")
    started_ahead(telemetry, "ahead")
    telemetry("run", "end", "@last")
    assert telemetry.run("ahead")["status"] == "success"
    assert telemetry.run("before")["status"] == "running"


def test_last_of_an_agent_ignores_what_other_agents_recorded(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "before", "--agent-name", "alpha")
    started_ahead(telemetry, "ahead", "alpha")
    telemetry.start("--event-id", "other", "--agent-name", "beta")
    assert telemetry.run("@last:alpha")["event_id"] == "ahead"
    assert telemetry.run("@last")["event_id"] == "other"
    telemetry.start("--event-id", "after", "--agent-name", "alpha")
    assert telemetry.run("@last:alpha")["event_id"] == "after"


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "show", "@last"),
        ("run", "tree", "@last"),
        ("commits", "@last"),
        ("run", "event", "tick", "--run", "@last"),
        ("run", "update", "@last", "--product", "p"),
        ("associate-commit", "@last", "--commit", "abcdef1", "--no-git"),
        ("run", "end", "@last"),
    ],
    ids=" ".join,
)
def test_last_names_the_runs_from_the_future_that_it_ignores(
    argv: tuple[str, ...], telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "before")
    for number in range(4):
        started_ahead(telemetry, f"ahead-{number}")
    telemetry.start("--event-id", "today")
    note = "@last ignores runs that start in the future: " + ", ".join(
        f"ahead-{number} ({AHEAD})" for number in range(3)
    )
    assert telemetry(*argv).err == f"telemetry: {note}, …\n"
    by_name = ["today" if word == "@last" else word for word in argv]
    assert telemetry(*by_name, *(["--force"] if "end" in argv else [])).err == ""


def test_last_of_an_agent_ignores_future_runs_of_others(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "before", "--agent-name", "alpha")
    started_ahead(telemetry, "other", "beta")
    assert telemetry("run", "show", "@last:alpha").err == ""
    started_ahead(telemetry, "newest", "alpha")
    assert telemetry("run", "show", "@last:alpha").err == ""
