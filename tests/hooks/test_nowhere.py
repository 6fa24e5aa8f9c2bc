"""Where what a hook gives, or the record of its run, cannot be written: never a defect, and what is recorded is whole."""

import pytest
from support.hooks import SCORE, Hooks
from support.storage import read_only

from telemetry_cli.journal.segments import decode


def test_a_record_that_can_be_written_nowhere_stands_in_a_line_of_its_own(three: Hooks) -> None:
    three.release("score", SCORE % 1)
    with read_only(three.telemetry.base):
        ran = three.telemetry("hooks", "run", "score", code=75)
    handed = [record for record in map(decode, ran.err.encode().splitlines()) if record]
    assert [record["op"] for record in handed] == ["hook.start"]
    assert three.runs() == []


def test_rows_that_cannot_be_kept_are_not_durable_and_the_run_is_aborted(three: Hooks) -> None:
    three.release("score", SCORE % 1)
    with read_only(three.telemetry.base / "blobs"):
        ran = three.telemetry("hooks", "run", "score", code=75)
        assert "blobs" in ran.err
    (run,) = three.runs()
    assert (run["status"], run["rows"], three.rows("score")) == ("aborted", 0, [])
    assert three.run("score")["status"] == "passed"


@pytest.mark.parametrize("never_fail", ["0", "1"])
def test_a_folder_of_blobs_that_is_a_link_is_refused(three: Hooks, never_fail: str) -> None:
    three.release("score", SCORE % 1)
    blobs = three.telemetry.base / "blobs"
    blobs.rename(three.telemetry.home / "aside")
    blobs.symlink_to(three.telemetry.home / "aside")
    three.telemetry(
        "hooks",
        "run",
        "score",
        code=0 if never_fail == "1" else 6,
        env={"TELEMETRY_NEVER_FAIL": never_fail},
    )
