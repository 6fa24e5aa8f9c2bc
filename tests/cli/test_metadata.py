"""`telemetry metadata`: which agent names and job types there are."""

from support import Telemetry


def test_names_and_counts(telemetry: Telemetry) -> None:
    for agent, job in (("b", "build"), ("a", "test"), ("b", "build"), ("ä", "Test")):
        telemetry.start("--agent-name", agent, "--job-type", job)
    assert telemetry("metadata", "-o", "json").json == {
        "agent_names": ["a", "b", "ä"],
        "job_types": ["Test", "build", "test"],
        "counts": {"agent_names": 3, "job_types": 3},
    }
    table = telemetry("metadata").out
    assert [
        word for word in ("a", "b", "ä", "build", "test", "Test") if word not in table.split()
    ] == []


def test_an_empty_base(telemetry: Telemetry) -> None:
    expected = {"agent_names": [], "job_types": [], "counts": {"agent_names": 0, "job_types": 0}}
    assert telemetry("metadata", "--json").json == expected
    assert telemetry("metadata").code == 0
    assert not telemetry.base.exists()


def test_names_that_no_run_has_any_more_are_gone(telemetry: Telemetry) -> None:
    telemetry("run", "update", telemetry.start("--agent-name", "old"), "--agent-name", "new")
    assert telemetry("metadata", "--json").json["agent_names"] == ["new"]


def test_formats_it_does_not_have(telemetry: Telemetry) -> None:
    assert "--output" in telemetry("metadata", "-o", "ids", code=2).err
