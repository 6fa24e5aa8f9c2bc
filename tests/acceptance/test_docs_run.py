"""The tutorial and the cookbook run: every line of them, as it stands there, in a real repository."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import PROGRAM, Git, Telemetry

from telemetry_cli.core.config import HOOK_RECORDS

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECTIONS = dict(
    re.findall(
        r"^## (.*?)\n(.*?)(?=^## |\Z)",
        (DOCS / "cookbook.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
)

#: Section of the cookbook → the variables that the provider documents.
PROVIDERS = {
    "GitHub Actions": {
        "GITHUB_ACTIONS": "true",
        "CI": "true",
        "GITHUB_RUN_ID": "1658821493",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "build",
    },
    "GitLab CI": {
        "GITLAB_CI": "true",
        "CI": "true",
        "CI_JOB_NAME": "build",
        "CI_JOB_ID": "5015",
        "CI_PIPELINE_ID": "1203",
        "CI_JOB_STATUS": "failed",
    },
    "Jenkins": {
        "JENKINS_URL": "https://ci.example.org/",
        "JOB_NAME": "shop",
        "BUILD_TAG": "jenkins-shop-17",
        "BUILD_URL": "https://ci.example.org/job/shop/17/",
    },
}
#: Section → what it must have recorded, as (agent, job type, status, has a commit), oldest first.
RECORDED = {
    "GitHub Actions": [
        ("github-actions", "build", "success", True),
        ("github-actions", "compile", "success", False),
        ("github-actions", "test", "success", False),
    ],
    "GitLab CI": [("gitlab-ci", "build", "success", True)],
    "Jenkins": [("jenkins", "shop", "success", True)],
    "Make": [("make", "build", "success", False), ("make", "compile", "success", False)],
    "Cron": [("cron", "nightly", "success", False)],
}


class Shell:
    """A user's shell in a repository, with a Makefile, and the scripts that the cookbook tells of in $HOME/bin."""

    def __init__(self, telemetry: Telemetry, folder: Path) -> None:
        self.folder = folder
        self.env = (
            telemetry.env
            | Git(folder, telemetry.home).env
            | {"TELEMETRY_BASE_DIR": str(telemetry.base)}
        )
        self.env["PATH"] = os.pathsep.join([str(PROGRAM.parent), telemetry.env["PATH"]])

    def __call__(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script; the first command that fails ends it. `! command` must fail, which `set -e` would not see to."""
        script = re.sub(r"^! (.*)$", r"if \1; then exit 99; fi", script, flags=re.MULTILINE)
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, (
            f"{script}\n--- exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done


@pytest.fixture
def shell(telemetry: Telemetry) -> Shell:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", "--initial-branch=main")
    git.commit()
    return Shell(telemetry, telemetry.cwd)


def test_the_tutorial_runs(telemetry: Telemetry, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _follow(telemetry, "tutorial.md", tmp_path / "empty")
    recorded = _runs(telemetry, "--base-dir", tmp_path / "empty" / "records")
    runs = {
        (run["event_id"], run["status"], run["parent_run_id"], bool(run["git_commit_hash"]))
        for run in recorded
    }
    assert {
        ("pipeline-1", "failure", None, True),
        ("compile-1", "success", "pipeline-1", True),
        ("test-1", "failure", "pipeline-1", True),
        ("deploy-1", "success", None, False),
        ("while-locked", "success", None, False),
    } <= runs
    assert len(runs) == 9


def test_the_page_on_hooks_runs(telemetry: Telemetry, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _follow(telemetry, "hooks.md", tmp_path / "empty")
    base = ("--base-dir", str(tmp_path / "empty" / "records"))
    runs = [
        (run["version"], run["status"])
        for run in telemetry(*base, "hooks", "runs", "-o", "json").json
    ]
    assert runs == [(3, "rejected"), (1, "passed"), (2, "passed"), (1, "passed")]
    rows = telemetry(*base, "features", "query", "verdict", "-o", "json").json
    assert {row["subject_id"]: row["values"]["pass_rate"] for row in rows} == {
        "test-1": 1.0,
        "test-2": 0.95,
    }


def _follow(telemetry: Telemetry, page: str, folder: Path) -> None:
    """Run every shell example of a page, in one shell; every line of its answers must have been said."""
    blocks = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    done = Shell(telemetry, folder)(
        "\n".join(code for language, code in blocks if language == "sh")
    )
    answers = [
        line for language, code in blocks if language == "text" for line in code.splitlines()
    ]
    said = done.stdout + done.stderr
    assert [
        line
        for line in answers
        if not re.search(f"^{'.*'.join(map(re.escape, line.split('…')))}$", said, re.MULTILINE)
    ] == []


def test_the_page_on_git_runs(telemetry: Telemetry, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    blocks = BLOCK.findall((DOCS / "git.md").read_text(encoding="utf-8"))
    shell = Shell(telemetry, tmp_path / "empty")
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        del shell.env[name]
    done = shell("\n".join(code for language, code in blocks if language == "sh"))
    answers = [
        line for language, code in blocks if language == "text" for line in code.splitlines()
    ]
    said = done.stdout + done.stderr
    assert [
        line
        for line in answers
        if not re.search(f"^{'.*'.join(map(re.escape, line.split('…')))}", said, re.MULTILINE)
    ] == []
    (settings,) = [code for language, code in blocks if language == "toml"]
    assert tomllib.loads(settings)["git_hooks"]["record"] in HOOK_RECORDS


def _runs(telemetry: Telemetry, *options: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = telemetry(
        *map(str, options), "query", "--limit", "0", "--sort", "start_time", "--reverse", "--json"
    ).json
    return found


@pytest.mark.parametrize("page", ["exec.md", "ci.md"])
def test_a_page_runs(page: str, shell: Shell) -> None:
    """Its shell examples, one after the other; what it shows of an answer is there; a config file is put in its place."""
    script: list[str] = []
    answers: list[str] = []
    for language, code in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if language == "toml":
            script.append(
                f'mkdir -p "$HOME/.config/telemetry"\ncat > "$HOME/.config/telemetry/config.toml" <<\'END\'\n{code}END'
            )
        else:
            (script if language == "sh" else answers).append(code)
    done = shell("\n".join(script))
    assert [answer for answer in answers if answer not in done.stdout] == []


def test_the_bulk_page_runs(telemetry: Telemetry, shell: Shell) -> None:
    for language, code in BLOCK.findall((DOCS / "bulk.md").read_text(encoding="utf-8")):
        assert language == "sh"
        shell(code)
    elsewhere = telemetry(
        "--base-dir", str(shell.folder / "elsewhere"), "run", "show", "nightly-7", "--json"
    ).json
    assert (elsewhere["metrics_json"], len(elsewhere["events"]), len(elsewhere["commits"])) == (
        {"cost": 0.25},
        1,
        1,
    )


@pytest.mark.parametrize("page", ["docs/python.md", "README.md"])
def test_the_python_examples_run(page: str, telemetry: Telemetry, tmp_path: Path) -> None:
    blocks = BLOCK.findall((DOCS.parent / page).read_text(encoding="utf-8"))
    script = tmp_path / "example.py"
    script.write_text(
        "\n".join(code for language, code in blocks if language == "python"), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    runs = sorted((str(run["job_type"]), str(run["status"])) for run in _runs(telemetry))
    if page == "README.md":
        assert runs == [("release", "success")]
        return
    assert runs == [
        (job, "failure" if job == "restore" else "success")
        for job in ("backup", "count", "fetch", "index", "release", "restore", "sync")
    ]
    assert telemetry.sql("SELECT count(*) FROM run_events WHERE event_type = 'document'") == [
        (1000,)
    ]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_cookbook_runs(section: str, telemetry: Telemetry, shell: Shell) -> None:
    if section == "Make" and not shutil.which("make"):
        pytest.skip("make is not installed")
    shell.env |= PROVIDERS.get(section, {}) | {"GITHUB_ENV": str(telemetry.home / "github-env")}
    for language, code in BLOCK.findall(SECTIONS[section]):
        RUNNERS[language](shell, code)
    if section in RECORDED:
        runs = [
            (run["agent_name"], run["job_type"], run["status"], bool(run["git_commit_hash"]))
            for run in _runs(telemetry)
        ]
        assert runs == RECORDED[section]


def _provided(shell: Shell, lines: Iterator[str], settings: str) -> None:
    """What a provider does: its settings, then a shell for each step; GitHub's steps hand variables on through a file."""
    shell.env |= dict(re.findall(r"\b(TELEMETRY_\w+)(?:: | = )[\"'](.*?)[\"']", settings))
    _tools(shell, "make")
    handed_on = Path(shell.env["GITHUB_ENV"])
    for written in lines:
        line = written.replace("${{ job.status }}", "success")
        assert "${{" not in line
        shell(line)
        if handed_on.exists():
            shell.env |= dict(
                pair.split("=", 1) for pair in handed_on.read_text(encoding="utf-8").splitlines()
            )


def _yaml(shell: Shell, code: str) -> None:
    _provided(shell, _yaml_steps(code), code)


def _yaml_steps(code: str) -> Iterator[str]:
    """The shell lines of `run: …`, `run: |` and `script:` lists."""
    yield from (
        one or _dedented(many)
        for many, one in re.findall(
            r"^ *(?:- )?run: (?:\|\n((?:(?: {10,}).*\n)+)|(.+)\n)", code, re.MULTILINE
        )
    )
    for items in re.findall(r"^ *(?:before_|after_)?script:\n((?: +- .*\n)+)", code, re.MULTILINE):
        yield "\n".join(re.findall(r"^ +- (.*)$", items, re.MULTILINE))


def _dedented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def _groovy(shell: Shell, code: str) -> None:
    """Every `sh '…'`; of what comes after a build, what follows on a success."""
    stages, after = code.split("    post {")
    kept = [line for line in after.splitlines() if line.strip().startswith(("always", "success"))]
    _provided(shell, iter(re.findall(r"sh '(.*?)'", "\n".join([stages, *kept]))), code)
    for line in re.findall(r"sh '(.*?)'", after):
        shell(line)


def _make(shell: Shell, code: str) -> None:
    (shell.folder / "Makefile").write_text(code, encoding="utf-8")
    shell("make build")


def _crontab(shell: Shell, code: str) -> None:
    _tools(shell, "nightly")
    for line in code.splitlines():
        shell(line.split(maxsplit=5)[5])


def _tools(shell: Shell, *names: str) -> None:
    """Stand-ins for what is the reader's own, in $HOME/bin, which comes first on the PATH."""
    folder = Path(shell.env["HOME"]) / "bin"
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    shell.env["PATH"] = os.pathsep.join([str(folder), shell.env["PATH"]])


def _with_jq(shell: Shell, code: str) -> None:
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")
    assert shell(code).stdout.splitlines() == ["ci: 2 tests failed", "245", "ci"]


RUNNERS = {
    "sh": Shell.__call__,
    "bash": _with_jq,
    "yaml": _yaml,
    "groovy": _groovy,
    "make": _make,
    "crontab": _crontab,
}
