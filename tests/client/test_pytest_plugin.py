"""The pytest plugin: off until `--telemetry`, then a run per session."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import Telemetry

TESTS = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_good(number): pass

def test_bad():
    assert 1 == 2, "numbers"

def test_skipped(): pytest.skip("not today")

@pytest.mark.xfail
def test_expected(): assert False

@pytest.fixture
def broken(): raise RuntimeError("in the fixture")

def test_error(broken): pass
"""


def run(
    telemetry: Telemetry, tmp_path: Path, *options: str, tests: str = TESTS
) -> subprocess.CompletedProcess[str]:
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(tests)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        env=telemetry.env,
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_nothing_is_recorded_unless_it_is_asked_for(telemetry: Telemetry, tmp_path: Path) -> None:
    assert run(telemetry, tmp_path).returncode == 1
    assert not telemetry.base.exists()


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_run_per_session(options: tuple[str, ...], telemetry: Telemetry, tmp_path: Path) -> None:
    plain = run(telemetry, tmp_path, *options)
    done = run(telemetry, tmp_path, "--telemetry", "--telemetry-job", "unit", *options)
    assert (done.returncode, done.stderr) == (plain.returncode, plain.stderr)
    (session,) = telemetry("query", "--json").json
    assert (
        session["agent_name"],
        session["job_type"],
        session["status"],
        session["trigger_type"],
    ) == ("pytest", "unit", "failure", "pytest")
    assert [
        session[f"items_{name}"] for name in ("discovered", "succeeded", "failed", "skipped")
    ] == [7, 3, 2, 2]
    assert (session["error_summary"], session["metrics_json"]) == (
        "2 tests failed",
        {"exit_code": 1},
    )
    events = {
        event["payload_json"]["test"]: event["payload_json"]
        for event in telemetry("run", "events", "@last", "--json").json
    }
    assert {name: event["phase"] for name, event in events.items()} == {
        "test_it.py::test_bad": "call",
        "test_it.py::test_error": "setup",
    }
    assert "numbers" in events["test_it.py::test_bad"]["text"]


@pytest.mark.parametrize(
    ("tests", "status", "code"),
    [
        ("def test_it(): pass", "success", 0),
        ("", "success", 5),
        ("syntax error", "failure", 2),
        ("def test_it(): raise KeyboardInterrupt", "cancelled", 2),
        ("import pytest\ndef test_it(): pytest.exit('enough')", "cancelled", 2),
        ("def test_bad(): assert 0\ndef test_it(): raise KeyboardInterrupt", "failure", 2),
        (
            "import pytest\ndef test_bad(): assert 0\ndef test_it(): pytest.exit('enough')",
            "failure",
            2,
        ),
        (
            "import pytest\ndef test_bad(): assert 0\ndef test_it(): pytest.exit('enough', returncode=0)",
            "failure",
            0,
        ),
        (
            (
                "import pytest\n@pytest.fixture(autouse=True)\n"
                "def stop(): pytest.exit('enough', returncode=0)\ndef test_it(): pass"
            ),
            "cancelled",
            0,
        ),
        (
            (
                "import pytest\ndef test_good(): pass\n"
                "def test_it(): pytest.exit('enough', returncode=0)"
            ),
            "cancelled",
            0,
        ),
        ("import pytest\ndef test_it(): pytest.exit('enough', returncode=5)", "cancelled", 5),
        ("import pytest\ndef test_it(): pytest.exit('enough', returncode=7)", "cancelled", 7),
        ("import sys\ndef test_it(): sys.exit(0)", "failure", 1),
        ("import sys\nsys.exit(0)", "failure", 3),
    ],
    ids=[
        "good",
        "none",
        "broken",
        "interrupted",
        "exited",
        "interrupted after a failure",
        "exited after one",
        "exited with 0 after one",
        "exited with 0 before any test",
        "exited with 0",
        "exited with 5",
        "exited with 7",
        "exits",
        "exits early",
    ],
)
def test_how_a_session_ends(
    tests: str, status: str, code: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    assert run(telemetry, tmp_path, "--telemetry", tests=tests).returncode == code
    assert telemetry.run("@last")["status"] == status


@pytest.mark.parametrize("code", [0, 7])
@pytest.mark.parametrize("hook", ["sessionstart", "collection_modifyitems"])
def test_session_exited_by_a_hook_is_cancelled(
    hook: str, code: int, telemetry: Telemetry, tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "conftest.py").write_text(
        f"import pytest\ndef pytest_{hook}(): pytest.exit('enough', returncode={code})\n"
    )
    assert run(telemetry, tmp_path, "--telemetry").returncode == code
    assert telemetry.run("@last")["status"] == "cancelled"


@pytest.mark.parametrize(
    "options", [("-x",), ("-n", "2", "-x"), ("-n", "2", "--maxfail=1")], ids=" ".join
)
def test_session_that_stops_at_a_failure_is_a_failure(
    options: tuple[str, ...], telemetry: Telemetry, tmp_path: Path
) -> None:
    tests = (
        "import pytest\n@pytest.mark.parametrize('n', range(12))\ndef test_it(n): assert n != 2\n"
    )
    run(telemetry, tmp_path, "--telemetry", *options, tests=tests)
    found = telemetry.run("@last")
    assert (found["status"], found["items_failed"], found["error_summary"]) == (
        "failure",
        1,
        "1 tests failed",
    )


SUBTESTS = """
import unittest, pytest

def test_skips_a_part(subtests):
    with subtests.test("a"): pytest.skip("not here")
    with subtests.test("b"): pass

def test_skips_the_last_part(subtests):
    with subtests.test("a"): pass
    with subtests.test("b"): pytest.skip("not here")

def test_fails_in_a_part(subtests):
    with subtests.test("a"): assert False, "in the part"
    with subtests.test("b"): pass

def test_skips_itself(subtests):
    with subtests.test("a"): pass
    pytest.skip("the rest")

class TestUnit(unittest.TestCase):
    def test_skips_a_part(self):
        for n in range(2):
            with self.subTest(n=n):
                if n: self.skipTest("not here")

    def test_fails_in_a_part(self):
        for n in range(3):
            with self.subTest(n=n): self.assertEqual(n, 1)

@pytest.fixture
def skips_late():
    yield
    pytest.skip("too late")

def test_skips_late(skips_late): pass
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_subtests_count_as_the_test_that_they_are_part_of(
    options: tuple[str, ...], telemetry: Telemetry, tmp_path: Path
) -> None:
    run(telemetry, tmp_path, "--telemetry", *options, tests=SUBTESTS)
    found = telemetry.run("@last")
    assert [
        found[f"items_{name}"] for name in ("discovered", "succeeded", "failed", "skipped")
    ] == [7, 4, 2, 1]
    assert sorted(event["payload_json"]["test"] for event in found["events"]) == [
        "test_it.py::TestUnit::test_fails_in_a_part",
        "test_it.py::test_fails_in_a_part",
    ]


def test_text_that_json_does_not_hold_costs_no_event(telemetry: Telemetry, tmp_path: Path) -> None:
    run(
        telemetry,
        tmp_path,
        "--telemetry",
        tests="def test_bad():\n    raise ValueError('a\\ud800b\\0')\n",
    )
    (event,) = telemetry.run("@last")["events"]
    assert "ValueError: a\\ud800b" in event["payload_json"]["text"]


def test_a_child_that_a_test_forked_records_nothing(telemetry: Telemetry, tmp_path: Path) -> None:
    tests = "import os\ndef test_it():\n    child = os.fork()\n    if not child: raise SystemExit(0)\n    os.waitpid(child, 0)\n"
    assert run(telemetry, tmp_path, "--telemetry", tests=tests).returncode == 0
    found = telemetry.run("@last")
    assert (found["status"], found["items_succeeded"], found["items_failed"], found["events"]) == (
        "success",
        1,
        0,
        [],
    )


def test_a_test_that_fails_twice_is_one_event(telemetry: Telemetry, tmp_path: Path) -> None:
    tests = "import pytest\n@pytest.fixture\ndef bad():\n    yield\n    raise RuntimeError('after')\ndef test_it(bad): raise ValueError('in the test')\n"
    run(telemetry, tmp_path, "--telemetry", tests=tests)
    found = telemetry.run("@last")
    (event,) = found["events"]
    assert (found["items_failed"], event["payload_json"]["phase"]) == (1, "call")
    assert "in the test" in event["payload_json"]["text"]


def test_where_it_is_recorded(telemetry: Telemetry, tmp_path: Path) -> None:
    run(
        telemetry,
        tmp_path,
        "--telemetry",
        "--telemetry-base-dir",
        str(tmp_path / "elsewhere"),
        "--telemetry-agent",
        "ci",
    )
    assert telemetry(
        "--base-dir",
        str(tmp_path / "elsewhere"),
        "query",
        "--columns",
        "agent_name,job_type",
        "--json",
    ).json == [{"agent_name": "ci", "job_type": "tests"}]
    assert not telemetry.base.exists()


def test_a_session_that_cannot_be_recorded_is_not_disturbed(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry.base.write_text("no folder")
    assert run(telemetry, tmp_path, "--telemetry", tests="def test_it(): pass").returncode == 0


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_cannot_be_collected_is_a_failure_with_an_event(
    options: tuple[str, ...], telemetry: Telemetry, tmp_path: Path
) -> None:
    run(telemetry, tmp_path, "--telemetry", *options, tests="import no_such_module")
    found = telemetry.run("@last")
    assert (found["status"], found["items_failed"], found["error_summary"]) == (
        "failure",
        1,
        "1 tests failed, 1 of them as they were collected",
    )
    (event,) = found["events"]
    assert (event["event_type"], event["payload_json"]["phase"], event["payload_json"]["test"]) == (
        "test_failed",
        "collect",
        "test_it.py",
    )
    assert "no_such_module" in event["payload_json"]["text"]


@pytest.mark.parametrize("option", ["--help", "--version", "--markers"])
def test_what_is_no_session_is_no_run(option: str, telemetry: Telemetry, tmp_path: Path) -> None:
    assert run(telemetry, tmp_path, "--telemetry", option).returncode == 0
    assert not telemetry.base.exists()


def test_a_session_that_was_killed_can_be_reaped(telemetry: Telemetry, tmp_path: Path) -> None:
    assert (
        run(
            telemetry,
            tmp_path,
            "--telemetry",
            tests="import os\ndef test_it(): os.kill(os.getpid(), 9)",
        ).returncode
        == -9
    )
    assert telemetry.run("@last")["status"] == "running"
    telemetry("run", "reap")
    assert telemetry.run("@last")["status"] == "failure"


def test_a_secret_that_the_cut_of_a_failures_text_goes_through_does_not_show(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    secret = "ghp_" + "a1B2c3D4e5" * 4
    run(
        telemetry,
        tmp_path,
        "--telemetry",
        tests=f"def test_bad():\n    raise ValueError({secret!r} ' ' * 500)\n",
    )
    (event,) = telemetry("run", "events", "@last", "--json").json
    assert "[redacted]" in event["payload_json"]["text"]
    assert "D4e5" not in event["payload_json"]["text"]
