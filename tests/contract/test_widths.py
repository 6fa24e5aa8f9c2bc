"""Tables in real terminals of four widths: they fit, and what identifies a run is never cut."""

import re

import pytest
from support import Git, Telemetry
from terminals import drawn

ESCAPES = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")


@pytest.fixture
def filled(telemetry: Telemetry) -> Telemetry:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", "--initial-branch=a-branch-with-a-long-name")
    git("remote", "add", "origin", "https://github.com/acme/tool.git")
    git.commit()
    telemetry.start("--agent-name", "an-agent-whose-name-is-rather-long-" * 3, "--job-type", "日本語のジョブ" * 4)
    telemetry("run", "end", "@last", "--status", "failure", "--error-summary", "it broke " * 30)
    telemetry("associate-commit", "@last")
    telemetry.start("--event-id", "short", "--agent-name", "bot", "--parent", "@last")
    return telemetry


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    "argv", [("query",), ("commits", "@last:bot"), ("stats", "--by", "agent_name"), ("status",), ("run", "show", "short"), ("metadata",)], ids=" ".join
)
def test_no_line_is_wider_than_the_terminal(filled: Telemetry, width: int, argv: tuple[str, ...]) -> None:
    from rich.cells import cell_len

    lines = ESCAPES.sub("", drawn(filled, width, *argv)).splitlines()
    assert [line for line in lines if cell_len(line) > width and str(filled.database) not in line] == []


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


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_status_has_a_colour_where_it_may(filled: Telemetry, env: dict[str, str], coloured: bool) -> None:
    assert ("\x1b[31mfailure" in drawn(filled, 120, "query", env=env)) is coloured


def test_an_empty_answer_says_what_to_do_next(telemetry: Telemetry) -> None:
    assert "telemetry run start" in telemetry("query").out
    event_id = telemetry.start()
    assert "telemetry run event" in telemetry("run", "events", event_id).out
    assert "telemetry associate-commit" in telemetry("commits", event_id).out
