"""Ten thousand generated argv: documented exit codes, never a traceback, never a defect.

`TELEMETRY_TESTS_LONG=1` tries ten times as many.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Git, Telemetry, argvs
from support.hooks import ONE, SCORE, Hooks

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 75, 130, 141, 143}  # not 70: that is a defect
#: `run exec` returns what a shell would of a command that cannot be started.
OF_EXEC = {126, 127}
CASES = 8
CALLS = 12_500 if os.environ.get("TELEMETRY_TESTS_LONG") else 1250
#: What the program must never show: a defect names the report that it wrote.
SIGNS = ("Traceback", "telemetry-report", "Exception ignored")
CONVENTION = """title = "Scored builds"
description = "What a build is worth."
job_types = ["job"]
[[hooks]]
name = "score"
script = "score.py"
contract = { columns = [{ name = "score", type = "real", required = true }] }
source_ref = "tests"
"""
ENVIRONMENTS = [
    {},
    {"TELEMETRY_EVENT_ID": "known-run"},
    {"TELEMETRY_NEVER_FAIL": "1"},
    {"TELEMETRY_EVENT_ID": "\udcff", "CI": "true"},
]


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """A base with something of each kind, in a folder with a repository and the files that the values of `argvs` name."""
    telemetry = Telemetry(tmp_path_factory.mktemp("generated") / "beginning")
    repository = Git(telemetry.cwd / "repository", telemetry.home)
    repository.path.mkdir()
    repository("init", "--quiet", "--initial-branch=main", "--template=")
    (repository.path / "file").write_text("one\ntwo\n")
    repository("add", "file")
    shas = [repository.commit(message) for message in ("one", "two")]
    telemetry.start("--event-id", "known-run", "--run-id", "the known one", "--no-git")
    telemetry.start("--event-id", "known-child", "--parent", "known-run", "--no-git")
    telemetry("run", "event", "step", "--run", "known-run", "--payload", '{"a": [1]}')
    telemetry("associate-commit", "known-run", "--commit", shas[-1], cwd=repository.path)
    hooks = Hooks(telemetry)
    files = {"score.py": hooks.program("score.py", SCORE % 1), "contract.json": hooks.contract(ONE)}
    for name, path in files.items():
        shutil.copy(path, repository.path / name)
    (repository.path / "convention.toml").write_text(CONVENTION)
    telemetry("conventions", "deploy", "convention.toml", "--allow-dirty", cwd=repository.path)
    telemetry("hooks", "run", "score")
    telemetry("export", "--to", "runs.ndjson", cwd=repository.path)
    telemetry("db", "backup", "backup.sqlite", cwd=repository.path)
    _place_programs(telemetry.home / "bin")
    return telemetry


def _place_programs(folder: Path) -> None:
    """All that can be started by name there."""
    folder.mkdir()
    for name in ("git", "true"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)


def _placed(beginning: Telemetry, scratch: Path, env: dict[str, str]) -> Telemetry:
    """The program with what the fork server puts into `scratch`."""
    telemetry = Telemetry(scratch)
    # Reports of defects stay when the scratch is made again.
    (reports := scratch.parent / "reports").mkdir()
    telemetry.env |= {"PATH": str(scratch / "bin"), "TMPDIR": str(reports)} | env
    return telemetry


def _through_forks(
    telemetry: Telemetry, beginning: Telemetry, folder: str, calls: list[list[str]]
) -> list[tuple[int, str, str]]:
    """The exit code, stdout and stderr of each call."""
    told, results = telemetry.home.parent / "calls.json", telemetry.home.parent / "results.json"
    told.write_text(json.dumps(calls))
    script = Path(argvs.__file__).with_name("forking.py")
    subprocess.run(
        [sys.executable, str(script), str(told), str(results), str(beginning.home), str(telemetry.home), folder],
        env=telemetry.env, cwd="/", stdin=subprocess.DEVNULL, check=True, timeout=1800 if CALLS > 2000 else 600,
    )  # fmt: skip
    return [(code, out, err) for code, out, err in json.loads(results.read_text())]


def _wrong(argv: list[str], code: int, out: str, err: str) -> str:
    """What is wrong with an answer; empty when nothing is."""
    allowed = DOCUMENTED | (OF_EXEC if argvs.EXEC[1] in argv else set())
    shown = [sign for sign in SIGNS if sign in out or sign in err]
    if code in allowed and not shown and (code in (0, 1) or err or argvs.EXEC[1] in argv):
        return ""
    return f"{[word if len(word) < 200 else word[:200] + '…' for word in argv]}: exit {code}, {shown}: {err[-3000:]}"


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(CASES))
def test_generated_argv(
    beginning: Telemetry, seed: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    telemetry = _placed(beginning, tmp_path / "scratch", ENVIRONMENTS[seed % len(ENVIRONMENTS)])
    calls = list(argvs.generated(seed, CALLS))
    answers = _through_forks(telemetry, beginning, "work/repository" if seed % 3 else "work", calls)
    wrong = [
        found
        for argv, answer in zip(calls, answers, strict=True)
        if (found := _wrong(argv, *answer))
    ]
    assert not wrong, "\n".join(
        [
            *wrong,
            *(
                path.read_text()
                for path in Path(telemetry.env["TMPDIR"]).glob("telemetry-report-*")
            ),
        ]
    )
    codes = Counter(code for code, _, _ in answers)
    assert codes[0] > CALLS // 5 and codes[2] > CALLS // 10, (
        f"the values are nearly all of one kind: {codes}"
    )
    record_property(
        "seen",
        f"{len(calls)} argv: {', '.join(f'{count} exit {code}' for code, count in sorted(codes.items()))}",
    )


def test_a_fork_does_what_the_program_does(beginning: Telemetry, tmp_path: Path) -> None:
    """What stands in for a process of its own ten thousand times answers as one."""
    telemetry = _placed(beginning, tmp_path / "scratch", {})
    calls = [argv for argv in argvs.generated(-1, 60) if sum(map(len, argv)) < 1000][:25]
    answers = _through_forks(telemetry, beginning, "work/repository", calls)
    shutil.rmtree(telemetry.home)
    shutil.copytree(beginning.home, telemetry.home, symlinks=True)
    for argv, (code, out, err) in zip(calls, answers, strict=True):
        ran = telemetry(
            *(os.fsencode(word) for word in argv), cwd=telemetry.cwd / "repository", code=None
        )
        assert (ran.code, bool(ran.out), bool(ran.err)) == (code, bool(out), bool(err)), (
            argv,
            ran,
            code,
            out,
            err,
        )
