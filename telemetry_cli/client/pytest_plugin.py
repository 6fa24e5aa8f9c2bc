"""The pytest plugin, off until `--telemetry`: a run per session, an event per failed test, the outcomes as items.

items_discovered is what was collected, items_succeeded, items_failed and items_skipped are tests that passed, failed or
errored, and were skipped; a test with subtests is one test, which fails if one of them does. Under pytest-xdist the session
that hands out the tests records, and its workers do not.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from telemetry_cli.client.api import TelemetryClient

_NAME = "telemetry-recorder"
#: How much of a failure's text an event keeps, from its end, where the error stands.
_MOST_TEXT = 4000


def pytest_addoption(parser: "pytest.Parser") -> None:
    """Declare the options."""
    group = parser.getgroup("telemetry", "record the session with telemetry")
    group.addoption("--telemetry", action="store_true", help="record this session as a run")
    group.addoption(
        "--telemetry-base-dir",
        metavar="PATH",
        help="the folder that everything is kept in, written with =; default as for the program",
    )
    group.addoption(
        "--telemetry-agent", metavar="NAME", help="agent_name of the run; default pytest"
    )
    group.addoption("--telemetry-job", metavar="NAME", help="job_type of the run; default tests")


def pytest_configure(config: "pytest.Config") -> None:
    """Have the session recorded, if that is wanted."""
    if config.getoption("telemetry") and not hasattr(config, "workerinput"):
        from telemetry_cli.client.api import TelemetryClient

        client = TelemetryClient(config.getoption("telemetry_base_dir"), durability="relaxed")
        config.pluginmanager.register(_Recorder(client, config), _NAME)


class _Recorder:
    """Records one session."""

    def __init__(self, client: "TelemetryClient", config: "pytest.Config") -> None:
        self._client = client
        self._outcomes: dict[str, str] = {}
        self._not_collected = 0
        self._is_stopped = False
        self._names = (
            config.getoption("telemetry_agent") or "pytest",
            config.getoption("telemetry_job") or "tests",
        )
        # What pytest was called with may hold secrets; where it was called says enough.
        self._place = str(config.rootpath)
        self._run_id = ""
        self._process = os.getpid()

    def pytest_sessionstart(self) -> None:
        """Begin the run: not before, for `pytest --help` is no session."""
        self._run_id = self._client._start(
            *self._names, "pytest", {"source_ref": self._place}, ends_here=True
        )

    def _records(self) -> bool:
        """Tell whether there is a run, and it is this process's: a child that a test forked comes as far as to the end of the session."""
        return bool(self._run_id) and self._process == os.getpid()

    def pytest_collectreport(self, report: "pytest.CollectReport") -> None:
        """Record what could not be collected: a failure as well."""
        if report.failed and report.nodeid not in self._outcomes:
            self._not_collected += 1
            self._outcomes[report.nodeid] = "failed"
            self._log(report, {"phase": "collect"})

    def _log(
        self, report: "pytest.CollectReport | pytest.TestReport", payload: dict[str, object]
    ) -> None:
        if self._records():
            text = self._client._guarded(lambda: self._client._clean(report.longreprtext), "")
            self._client.log_event(
                self._run_id,
                "test_failed",
                {"test": report.nodeid, **payload, "text": text[-_MOST_TEXT:]},
            )

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        """Keep the worst of a test's three phases, and record its first failure when it happens."""
        if report.failed:
            if self._outcomes.get(report.nodeid) != "failed":
                self._log(report, {"phase": report.when, "seconds": round(report.duration, 3)})
            self._outcomes[report.nodeid] = "failed"
        elif (
            self._outcomes.get(report.nodeid) != "failed"
            and report.when != "teardown"
            and (report.skipped or report.when == "call")
        ):
            # The reports of subtests come first and under the name of their test: what the test itself came to is the last word.
            self._outcomes[report.nodeid] = "skipped" if report.skipped else "succeeded"

    def pytest_keyboard_interrupt(self) -> None:
        """Note that Ctrl-C or `pytest.exit` stops the session; its exit code may be any."""
        self._is_stopped = True

    def pytest_sessionfinish(self, session: "pytest.Session", exitstatus: int) -> None:
        """End the run."""
        if not self._records():
            return
        outcomes = list(self._outcomes.values())
        counts = {
            f"items_{name}": outcomes.count(name) for name in ("succeeded", "failed", "skipped")
        }
        counts["items_discovered"] = max(
            session.testscollected + self._not_collected, len(outcomes)
        )
        # 5: no test was collected.
        status = (
            "failure"
            if counts["items_failed"]
            else "cancelled"
            if self._is_stopped
            else "success"
            if int(exitstatus) in (0, 5)
            else "failure"
        )
        summary = (
            f"{counts['items_failed']} tests failed"
            if counts["items_failed"]
            else f"pytest exited with {int(exitstatus)}"
        )
        if self._not_collected:
            summary += f", {self._not_collected} of them as they were collected"
        self._client.end_run(
            self._run_id,
            status,
            metrics={"exit_code": int(exitstatus)},
            error_summary=summary if status == "failure" else None,
            **counts,
        )
        self._run_id = ""
        self._client.close()

    def pytest_unconfigure(self) -> None:
        """End the run of a session that another plugin stopped before it had begun."""
        if self._records():
            self._client.end_run(self._run_id, "cancelled" if self._is_stopped else "failure")
            self._client.close()
