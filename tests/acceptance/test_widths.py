"""Tables in real terminals of four widths: they fit, and what identifies a run is never cut."""

import re

import pytest
from support import Git, Telemetry
from support.terminal import drawn

ESCAPES = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")


@pytest.fixture
def filled(telemetry: Telemetry) -> Telemetry:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", "--initial-branch=a-branch-with-a-long-name")
    git("remote", "add", "origin", "https://github.com/acme/tool.git")
    git.commit()
    telemetry.start(
        "--agent-name",
        "an-agent-whose-name-is-rather-long-" * 3,
        "--job-type",
        "日本語のジョブ" * 4,
    )
    telemetry("run", "end", "@last", "--status", "failure", "--error-summary", "it broke " * 30)
    telemetry("associate-commit", "@last")
    telemetry.start("--event-id", "short", "--agent-name", "bot", "--parent", "@last")
    return telemetry


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    "argv",
    [
        ("query",),
        ("commits", "@last:bot"),
        ("stats", "--by", "agent_name"),
        ("stats", "--by", "event_id"),
        ("status",),
        ("run", "show", "short"),
        ("metadata",),
    ],
    ids=" ".join,
)
def test_no_line_is_wider_than_the_terminal(
    filled: Telemetry, width: int, argv: tuple[str, ...]
) -> None:
    from rich.cells import cell_len

    lines = ESCAPES.sub("", drawn(filled, width, *argv)).splitlines()
    assert [
        line for line in lines if cell_len(line) > width and str(filled.database) not in line
    ] == []


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_ids_status_and_times_are_whole_and_a_cut_is_marked(filled: Telemetry, width: int) -> None:
    event_id = filled("query", "--status", "failure", "-o", "ids").line
    text = ESCAPES.sub("", drawn(filled, width, "query"))
    assert event_id[:8] in text
    assert "failure" in text and "running" in text and " s ago" in text
    assert "…" in text or width == 200


def test_the_commit_is_a_hyperlink_in_a_terminal_and_plain_in_a_pipe(filled: Telemetry) -> None:
    sha = filled.run("@last:" + "an-agent-whose-name-is-rather-long-" * 3)["git_commit_hash"]
    assert f"https://github.com/acme/tool/commit/{sha}" in drawn(filled, 120, "query")
    assert "\x1b" not in filled("query").out


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_status_has_a_colour_where_it_may(
    filled: Telemetry, env: dict[str, str], coloured: bool
) -> None:
    assert ("\x1b[31mfailure" in drawn(filled, 120, "query", env=env)) is coloured


def test_an_empty_answer_says_what_to_do_next(telemetry: Telemetry) -> None:
    assert "telemetry run start" in telemetry("query").out
    event_id = telemetry.start()
    assert "telemetry run event" in telemetry("run", "events", event_id).out
    assert "telemetry associate-commit" in telemetry("commits", event_id).out


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_figures_are_never_cut(telemetry: Telemetry, width: int) -> None:
    for number, status in enumerate(("success", "failure", "timeout", "partial", "cancelled")):
        event_id = telemetry.start(
            "--job-type", "nightly-index-of-everything", "--items-failed", "123456789", "--no-git"
        )
        telemetry(
            "run",
            "end",
            event_id,
            "--status",
            status,
            "--duration-ms",
            str(number * 7654321),
            "--items-discovered",
            "987654321",
        )
    lines = ESCAPES.sub("", drawn(telemetry, width, "stats", "--by", "job_type")).splitlines()
    assert "…" not in lines[0].replace("job_type", "")
    assert lines[2].count("…") == 0
    assert lines[2].startswith("nightly-index-of-everything")


def test_a_long_id_of_ones_own_is_cut_to_what_is_enough(telemetry: Telemetry) -> None:
    long = "nightly-build-of-the-website-2026-11-20-attempt-" + "1" * 30
    telemetry.start("--event-id", long, "--no-git")
    telemetry.start("--event-id", "short", "--no-git")
    shown = next(
        word
        for word in ESCAPES.sub("", drawn(telemetry, 80, "query")).split()
        if word.startswith("nightly")
    )
    assert shown == long[:20] + "…"
    assert telemetry.run(shown[:-1])["event_id"] == long


def test_a_prefix_that_is_the_name_of_another_run_is_not_shown(telemetry: Telemetry) -> None:
    event_id = "01234567-89ab-4cde-8f01-23456789abcd"
    telemetry.start("--event-id", event_id, "--no-git")
    telemetry.start("--event-id", "other", "--run-id", event_id[:8], "--no-git")
    shown = next(word for word in telemetry("query").out.split() if word.startswith("0123"))
    assert telemetry.run(shown)["event_id"] == event_id


def test_without_the_mark_of_a_cut_columns_stay_aligned(filled: Telemetry) -> None:
    env = {"PYTHONIOENCODING": "latin-1"}
    lines = drawn(filled, 60, "query", env=env).splitlines()
    assert "~" in "".join(lines)
    assert "\\u2026" not in "".join(lines)


def test_a_run_that_goes_on_shows_how_long(telemetry: Telemetry) -> None:
    telemetry.start("--start-time", "2h", "--no-git")
    assert "2 h 00 m" in telemetry("query").out
