"""Every system call that touches the base fails, once or from then on: exit 0 and recorded, or 75 with the record on stderr.

In CI every call of `run start` and `run end` fails in one way each, and the first of each kind in all; of the other commands each way takes every few
calls, others than the next way. `TELEMETRY_TESTS_LONG=1` tries all of each.
"""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from support import Ran, Telemetry
from support.hooks import SCORE, Hooks
from support.maintenance import UPKEEP
from support.storage import START, Fact, wrong_after, wrong_backups
from support.strace import CHANGES, EVERY, Traced, needs_strace

from telemetry_cli.journal.segments import decode

pytestmark = [pytest.mark.heavy, needs_strace]
LONG = bool(os.environ.get("TELEMETRY_TESTS_LONG"))
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS")
WAYS = [(error, lasts) for error in ERRORS for lasts in ("", "+")]
#: How many errors CI tries of a command of which it takes a sample; those that start processes of their own take longer.
SAMPLE, OF_SLOW = 32, {"exec": 24, "hook": 16} | dict.fromkeys(UPKEEP, 12)
BEGUN: Fact = ("SELECT count(*) FROM agent_runs WHERE event_id IN ('run-1', 'run-2')", (2,))
#: (call, which of them, error, "+" where it lasts)
Trial = tuple[str, int, str, str]
Points = list[tuple[str, int]]


@dataclass
class Write:
    """A command, a question that tells whether it has been done, and the answers: when it has not, half, and when it has."""

    argv: tuple[str, ...]
    query: str
    before: tuple[object, ...]
    after: object
    #: What it may exit with besides 0 and 75: what is no record is refused or cannot be read.
    codes: tuple[int, ...] = ()

    def fact(self, acknowledged: bool) -> Fact:
        """What must be answered."""
        return self.query, (self.after,) if acknowledged else (*self.before, self.after)


WHOLE = {
    "start": Write(
        (*START, "--event-id", "mine"),
        "SELECT count(*) FROM agent_runs WHERE event_id = 'mine'",
        (0,),
        1,
    ),
    "end": Write(
        ("run", "end", "run-1", "--status", "failed"),
        "SELECT status FROM agent_runs WHERE event_id = 'run-1'",
        ("running",),
        "failure",
    ),
}
SAMPLED = {
    "event": Write(
        ("run", "event", "step", "--run", "run-1"), "SELECT count(*) FROM run_events", (0,), 1
    ),
    "update": Write(
        ("run", "update", "run-1", "--product", "p"),
        "SELECT product FROM agent_runs WHERE event_id = 'run-1'",
        (None,),
        "p",
    ),
    "associate": Write(
        ("associate-commit", "run-1", "--commit", "abcdef1", "--no-git"),
        "SELECT count(*) FROM run_commits",
        (0,),
        1,
    ),
    "exec": Write(
        ("run", "exec", "--event-id", "mine", "--no-git", "--", "true"),
        "SELECT coalesce((SELECT status FROM agent_runs WHERE event_id = 'mine'), 'absent')",
        ("absent", "running"),
        "success",
    ),
    "hook": Write(
        ("hooks", "run", "score"), "SELECT count(*) FROM features", (0,), 2, codes=(1, 6)
    ),
}


def _trials(points: Points) -> list[Trial]:
    if LONG:
        return [(call, n, error, lasts) for call, n in points for error, lasts in WAYS]
    every = [
        (call, n, *WAYS[(index * 3) % len(WAYS)]) for index, (call, n) in enumerate(points) if n > 1
    ]
    return [
        *every,
        *((call, n, error, lasts) for call, n in points if n == 1 for error, lasts in WAYS),
    ]


def _sample(points: Points, name: str) -> list[Trial]:
    """Of each way every few calls, beginning with another one."""
    step = 1 if LONG else len(points) * len(WAYS) // OF_SLOW.get(name, SAMPLE)
    draw = random.Random(name)
    return [(*point, *way) for way in WAYS for point in points[draw.randrange(step) :: step]]


def _handed_back(ran: Ran) -> bool:
    return any(decode(line) for line in ran.err.encode().splitlines())


def _begun(telemetry: Telemetry) -> None:
    for name in ("run-1", "run-2"):
        telemetry(*START, "--event-id", name)


class _Rig:
    """A command that meets one error after the other, each time over the same beginning."""

    def __init__(
        self,
        telemetry: Telemetry,
        argv: tuple[str, ...],
        *,
        paths: bool = True,
        calls: tuple[str, ...] = EVERY,
    ) -> None:
        self.telemetry, self.argv, self.paths, self.calls = telemetry, argv, paths, calls
        self.traced, self.beginning = Traced(telemetry), telemetry.home / "beginning"
        if not self.beginning.exists():
            shutil.copytree(telemetry.base, self.beginning)
        self._begin()
        self.points = self.traced.points(argv, paths=paths, calls=calls)
        self.codes: Counter[int] = Counter()

    def _begin(self) -> None:
        shutil.rmtree(self.telemetry.base)
        shutil.copytree(self.beginning, self.telemetry.base)

    def __call__(self, trials: list[Trial], wrong: Callable[[Ran], str]) -> list[str]:
        """What was wrong, with the trial that showed it."""
        found = []
        for call, n, error, lasts in trials:
            self._begin()
            ran = self.traced(
                self.argv,
                "-e",
                f"inject={call}:error={error}:when={n}{lasts}",
                paths=self.paths,
                calls=self.calls,
            )
            self.codes[ran.code] += 1
            said = f"a traceback: {ran.err}" if "Traceback" in ran.err else wrong(ran)
            found += [f"{call} {n}{lasts} {error}: {said}"] if said else []
        return found


@pytest.fixture(autouse=True)
def _no_config(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(telemetry.home))


@pytest.mark.parametrize("name", [*WHOLE, *SAMPLED])
def test_no_error_of_a_call_loses_a_record(
    telemetry: Telemetry, name: str, record_property: Callable[[str, object], None]
) -> None:
    _begun(telemetry)
    write = (WHOLE | SAMPLED)[name]
    if name == "hook":
        hooks = Hooks(telemetry)
        hooks.release("score", SCORE % 1)
        telemetry("hooks", "promote", "score", "1")
    rig = _Rig(telemetry, write.argv)
    handed_back: list[int] = []
    trials = _trials(rig.points) if name in WHOLE else _sample(rig.points, name)
    assert len(trials) >= (100 if name in WHOLE else OF_SLOW.get(name, SAMPLE))

    def wrong(ran: Ran) -> str:
        acknowledged = ran.code == 0 and not _handed_back(ran)
        if ran.code not in (0, 75, *write.codes) or (ran.code == 75 and not _handed_back(ran)):
            return f"exit {ran.code}: {ran.err}"
        handed_back.append(_handed_back(ran))
        return wrong_after(telemetry.base, [BEGUN, write.fact(acknowledged)])

    found = rig(trials, wrong)
    assert not found, "\n".join(found)
    assert name in SAMPLED or any(handed_back), (
        "no error was ever so bad that the record was handed back"
    )
    record_property(
        "seen",
        f"{len(trials)} errors at {len(rig.points)} calls: {sum(handed_back)} handed back, 0 lost",
    )


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("name", ["backup", "restore", "rebuild", "vacuum", "migrate", "redact"])
def test_upkeep_that_cannot_be_made_durable_changes_nothing(
    telemetry: Telemetry, name: str, error: str
) -> None:
    work = UPKEEP[name]
    work.prepare(telemetry)
    before = telemetry.database.read_bytes()
    ran = Traced(telemetry)(
        work.argv,
        "-e",
        f"inject=fsync,fdatasync:error={error}:when=1+",
        paths=False,
        calls=("fsync", "fdatasync"),
    )
    assert (ran.code, ran.out) == (75, ""), ran
    assert "telemetry: error:" in ran.err
    assert telemetry.database.read_bytes() == before


@pytest.mark.parametrize("name", UPKEEP)
def test_no_error_of_a_call_harms_what_upkeep_works_on(
    telemetry: Telemetry, name: str, record_property: Callable[[str, object], None]
) -> None:
    """It is done or says that it is not, and nothing is lost or left by halves: at the calls on the base's own files, and at all that change any."""
    work = UPKEEP[name]
    work.prepare(telemetry)
    seen = []
    for rig in (_Rig(telemetry, work.argv), _Rig(telemetry, work.argv, paths=False, calls=CHANGES)):
        trials = _sample(rig.points, name)
        assert len(trials) >= OF_SLOW[name] - 2

        def wrong(ran: Ran) -> str:
            if ran.code not in (0, 1, 6, 75, 141):
                return f"exit {ran.code}: {ran.err}"
            done = ran.code == 0 or (work.resumed and telemetry(*work.argv).code == 0)
            return wrong_backups(telemetry.base, at_least=name == "backup" and done) or wrong_after(
                telemetry.base, work.facts(done)
            )

        found = rig(trials, wrong)
        assert not found, "\n".join(found)
        seen.append(f"{len(trials)} errors at {len(rig.points)} calls: {rig.codes[0]} times done")
    record_property("seen", "; ".join(seen) + ", 0 lost")
