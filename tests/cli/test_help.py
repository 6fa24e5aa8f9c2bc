"""`--help` anywhere, `-h`, and `--version`: on stdout, with exit 0, and nothing is done."""

import re

import pytest
from support import Telemetry

START = ("run", "start", "--agent-name", "a", "--job-type", "j")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (
            ("--help",),
            ("run", "query", "associate-commit", "config", "--db", "--base-dir", "--version"),
        ),
        (("run", "--help"), ("start", "end", "update", "event", "events", "show")),
        (("run", "start", "-h"), ("--agent-name", "--metrics", "--no-git", "--event-id")),
        ((*START, "--product", "p", "--help"), ("--agent-name",)),
        (("run", "end", "--help"), ("--exit-code", "--force", "RUN")),
        (("query", "--limit", "5", "--help"), ("--since", "--columns", "--count")),
        (("--base-dir", "/nowhere", "metadata", "--help"), ("--output",)),
    ],
)
@pytest.mark.parametrize("env", [{}, {"TELEMETRY_DISABLED": "1"}])
def test_help(
    telemetry: Telemetry, argv: tuple[str, ...], named: tuple[str, ...], env: dict[str, str]
) -> None:
    shown = telemetry(*argv, env=env)
    assert ([word for word in named if word not in shown.out], shown.err) == ([], "")
    assert not telemetry.base.exists()


def test_version(telemetry: Telemetry) -> None:
    assert re.fullmatch(r"telemetry \d+\.\d+\S*\n", telemetry("--version").out)


def test_help_after_two_dashes_is_no_question(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "E1")
    telemetry("run", "event", "--run", "E1", "--", "--help")
    assert [event["event_type"] for event in telemetry.run("E1")["events"]] == ["--help"]


def test_help_as_a_value_is_no_question(telemetry: Telemetry) -> None:
    assert telemetry.run(telemetry.start("--product", "--help"))["product"] == "--help"


@pytest.mark.parametrize("argv", [(), ("run",), ("db",), ("config",)])
def test_a_command_is_missing(telemetry: Telemetry, argv: tuple[str, ...]) -> None:
    assert "Usage: telemetry" in telemetry(*argv, code=2).err
