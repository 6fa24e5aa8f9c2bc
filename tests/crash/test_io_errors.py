"""Every system call that touches the base fails, once or from then on: exit 0 and recorded, or 75 with the record on stderr.

In CI every call fails in one way each, and the first of each kind in all; `TELEMETRY_TESTS_LONG=1` tries all of each.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable

import pytest
from aftermath import Fact, wrong_after
from bases import START
from support import Ran, Telemetry
from tracing import EVERY, Traced, needs_strace

from telemetry_cli.journal import decode

pytestmark = [pytest.mark.heavy, needs_strace]
LONG = bool(os.environ.get("TELEMETRY_TESTS_LONG"))
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS")
WAYS = [(error, lasts) for error in ERRORS for lasts in ("", "+")]
BEGUN: Fact = ("SELECT count(*) FROM agent_runs WHERE event_id IN ('run-1', 'run-2')", (2,))
WRITES: dict[str, tuple[tuple[str, ...], str, object, object]] = {
    "start": ((*START, "--event-id", "mine"), "SELECT count(*) FROM agent_runs WHERE event_id = 'mine'", 0, 1),
    "end": (("run", "end", "run-1", "--status", "failed"), "SELECT status FROM agent_runs WHERE event_id = 'run-1'", "running", "failure"),
}


def _trials(points: list[tuple[str, int]]) -> list[tuple[str, int, str, str]]:
    if LONG:
        return [(call, n, error, lasts) for call, n in points for error, lasts in WAYS]
    every = [(call, n, *WAYS[(index * 3) % len(WAYS)]) for index, (call, n) in enumerate(points) if n > 1]
    return [*every, *((call, n, error, lasts) for call, n in points if n == 1 for error, lasts in WAYS)]


def _handed_back(ran: Ran) -> bool:
    return ran.code == 75 and any(decode(line) for line in ran.err.encode().splitlines())


@pytest.mark.parametrize("write", WRITES)
def test_no_error_of_a_call_loses_a_record(
    telemetry: Telemetry, write: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(telemetry.home))
    argv, query, before, after = WRITES[write]
    for name in ("run-1", "run-2"):
        telemetry(*START, "--event-id", name)
    traced, beginning = Traced(telemetry), telemetry.home / "beginning"
    shutil.copytree(telemetry.base, beginning)
    points = traced.points(argv, calls=EVERY)
    trials = _trials(points)
    assert len(trials) > 100
    found: list[str] = []
    codes: Counter[int] = Counter()
    for call, n, error, lasts in trials:
        shutil.rmtree(telemetry.base)
        shutil.copytree(beginning, telemetry.base)
        ran = traced(argv, "-e", f"inject={call}:error={error}:when={n}{lasts}", calls=EVERY)
        codes[ran.code] += 1
        wrong = "" if (ran.code == 0 or _handed_back(ran)) and "Traceback" not in ran.err else f"exit {ran.code}: {ran.err}"
        wrong = wrong or wrong_after(telemetry.base, [BEGUN, (query, (after,) if ran.code == 0 else (before, after))])
        if wrong:
            found.append(f"{call} {n}{lasts} {error}: {wrong}")
    assert found == []
    assert codes[75], "no error was ever so bad that the record was handed back"
    record_property("seen", f"{len(trials)} errors at {len(points)} calls: {codes[0]} recorded, {codes[75]} handed back, 0 lost")
