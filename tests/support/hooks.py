"""What the tests of hooks work with: small programs written on the spot, contracts, and the registry through the installed command."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from support import Ran, Telemetry, wait_for

COLUMNS = [
    {"name": "score", "type": "real", "required": True},
    {"name": "note", "type": "text"},
    {"name": "count", "type": "integer"},
    {"name": "good", "type": "boolean"},
    {"name": "more", "type": "json"},
]
ONE = {"columns": COLUMNS, "cardinality": "one"}
MANY = {"columns": COLUMNS, "cardinality": "many"}
OTHER = {"columns": [{"name": "other", "type": "text"}]}
#: The beginning of every program: what tests write needs no site packages.
SHEBANG = f"#!{sys.executable} -IS\nimport json, os, sys, time\n"
SCORE = (
    "for line in sys.stdin:\n    print(json.dumps({'id': json.loads(line)['id'], 'score': %s}))\n"
)


class Hooks:
    """A base with runs, and what is released into it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self.folder = telemetry.home / "hooks"
        self.folder.mkdir(exist_ok=True)

    def program(self, name: str, body: str, mode: int = 0o755) -> Path:
        """A Python program; `json`, `os`, `sys` and `time` are imported in it."""
        path = self.folder / name
        path.write_text(SHEBANG + body)
        path.chmod(mode)
        return path

    def contract(self, contract: object = ONE, name: str = "contract.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(contract))
        return path

    def argv(self, hook: str, body: str, *options: str, contract: object = ONE) -> list[str]:
        """The command line that releases a program; options after `--` are its arguments."""
        script = self.program(f"{hook}-{abs(hash(body)) % 10**8}.py", body)
        return [
            "hooks",
            "release",
            hook,
            "--script",
            str(script),
            "--contract",
            str(self.contract(contract)),
            "--source-ref",
            "tests",
            "-o",
            "json",
            *options,
        ]

    def release(
        self, hook: str, body: str = SCORE % 1, *options: str, contract: object = ONE, code: int = 0
    ) -> Any:
        """Release it; json of the release, or what was done when another exit code is demanded."""
        ran = self.telemetry(*self.argv(hook, body, *options, contract=contract), code=code)
        return ran.json if code == 0 else ran

    def run(
        self,
        *argv: str,
        code: int | None = 0,
        stdin: str | bytes = "",
        env: dict[str, str] | None = None,
    ) -> Any:
        """`hooks run`: the hook run, or a list of them when several hooks are named."""
        found = self.telemetry(
            "hooks", "run", *argv, "-o", "json", code=code, stdin=stdin, env=env
        ).json["hook_runs"]
        return found if len(found) != 1 else found[0]

    def tried(
        self,
        body: str,
        *argv: str,
        code: int | None = 0,
        contract: object = ONE,
        limits: tuple[str, ...] = (),
        stdin: str = '{"id": "a"}\n',
    ) -> Any:
        """Release a program as the hook `tried` and run it on the records of `stdin`."""
        self.release("tried", body, *limits, contract=contract)
        return self.run("tried", "--input", "-", *argv, code=code, stdin=stdin)

    def rows(self, hook: str, *options: str) -> Any:
        """`features query`, newest row first."""
        return self.telemetry("features", "query", hook, "-o", "json", *options).json

    def runs(self, *hook: str) -> Any:
        return self.telemetry("hooks", "runs", *hook, "-o", "json").json

    def log(self, hook_run: str, *options: str, code: int = 0) -> str:
        return self.telemetry("hooks", "logs", hook_run, *options, code=code).out

    def show(self, release: str, *options: str) -> Any:
        return self.telemetry("hooks", "show", release, "-o", "json", *options).json

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the registry holds: what a refused command must leave as it was."""
        names = (
            "hooks",
            "hook_releases",
            "hook_pointer_log",
            "hook_runs",
            "hook_logs",
            "features",
            "hook_silences",
            "hook_run_keys",
            "conventions",
            "run_schemas",
        )
        return {name: self.telemetry.sql(f"SELECT * FROM {name}") for name in names}


def in_parallel(telemetry: Telemetry, argvs: list[list[str]]) -> list[Ran]:
    """Run commands at once, one process each; none may show a traceback."""
    with ThreadPoolExecutor(len(argvs)) as pool:
        # Whether all come to the same end is asked, not how long that takes on a busy machine.
        return list(
            pool.map(
                lambda argv: telemetry(*argv, code=None, env={"TELEMETRY_LOCK_TIMEOUT": "60"}),
                argvs,
            )
        )


def lives(pid: int) -> bool:
    """Tell whether a process is there, and not only its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(path: Path) -> int:
    """The process id that a program wrote into a file, once it is there."""
    return int(wait_for(lambda: path.exists() and path.read_text()))


def ended_by(process: "subprocess.Popen[bytes]", number: signal.Signals) -> int:
    """Send a signal to a process and return its exit code."""
    os.kill(process.pid, number)
    return process.wait(60)
