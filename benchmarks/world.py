"""The world that the benchmarks run in: a scratch folder, an environment without surprises, a real repository, the commands."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Command, CommandFailed, program, run

_HERE = Path(__file__).parent
_AUTHOR = {
    "GIT_AUTHOR_NAME": "Bench",
    "GIT_AUTHOR_EMAIL": "bench@example.org",
    "GIT_COMMITTER_NAME": "Bench",
    "GIT_COMMITTER_EMAIL": "bench@example.org",
}


class World:
    """Where one run of the benchmarks takes place. `rounds` is how many commands a variant will be asked for."""

    def __init__(self, scratch: Path, rounds: int) -> None:
        self.scratch = scratch
        self.rounds = rounds
        self.home = scratch / "home"
        self.home.mkdir()
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "USER": "bench",
        }
        self.configured = {**self.env, "XDG_CONFIG_HOME": str(self.home / "configured")}
        self._write_config()
        self._bases = 0

    def _write_config(self) -> None:
        folder = self.home / "configured" / "telemetry"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(
            'agent_owner = "bench"\nlock_timeout = 5\n\n[url_hosts]\n"git.example.org" = "gitlab"\n'
        )

    def base(self) -> Path:
        """A base folder of its own that does not exist yet."""
        self._bases += 1
        return self.scratch / f"base{self._bases}"

    def telemetry(
        self,
        base: Path,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Command:
        """The installed program, on a base."""
        return Command(
            (program("telemetry"), "--base-dir", str(base), *arguments),
            env or self.env,
            str(cwd or self.home),
        )

    def help(self, *path: str) -> Command:
        """`telemetry PATH --help`."""
        return Command((program("telemetry"), *path, "--help"), self.env, str(self.home))

    def completed(self, base: Path, *words: str) -> Command:
        """What a shell asks at the TAB key: `words`, the last of which is to be completed."""
        return Command(
            (program("telemetry"), "_complete", "fish", "--", "--base-dir", str(base), *words),
            self.env,
            str(self.home),
        )

    def python(self, *arguments: str) -> Command:
        """This interpreter."""
        return Command((sys.executable, *arguments), self.env, str(self.home))

    def script(self, name: str, *arguments: str) -> Command:
        """One of the scripts beside this module, with the installed package."""
        return self.python("-P", str(_HERE / name), *arguments)

    def floor_write(self, folder: Path) -> Command:
        """The floor under a write."""
        return self.python(str(_HERE / "floor_write.py"), str(folder))

    def floor_read(self, base: Path) -> Command:
        """The floor under a query."""
        return self.python(str(_HERE / "floor_read.py"), str(base / "db" / "telemetry.sqlite"))

    def floor_stats(self, base: Path, *field: str) -> Command:
        """The floor under figures over many runs."""
        return self.python(
            str(_HERE / "floor_stats.py"), str(base / "db" / "telemetry.sqlite"), *field
        )

    def start(
        self,
        base: Path,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Command:
        """`run start` as a CI step writes it."""
        return self.telemetry(
            base,
            "run",
            "start",
            "--agent-name",
            "bench",
            "--job-type",
            "bench",
            *arguments,
            cwd=cwd,
            env=env,
        )

    def started(self, base: Path, count: int) -> list[str]:
        """Start so many runs in a base and return their event ids."""
        names = [f"bench-{number:06}" for number in range(count)]
        for name in names:
            run(self.start(base, "--no-git", "--event-id", name))
        return names

    @property
    def git(self) -> str:
        """The path of git."""
        return shutil.which("git", path=self.env["PATH"]) or "git"

    @property
    def author(self) -> Mapping[str, str]:
        """Who commits."""
        return _AUTHOR

    def repository(self, name: str = "repository") -> Path:
        """A real repository with a commit and a remote, made once."""
        folder = self.scratch / name
        if not folder.exists():
            folder.mkdir()
            (folder / "README").write_text("bench\n")
            for arguments in (
                ("init", "--quiet", "--initial-branch", "main"),
                ("remote", "add", "origin", "https://github.com/example/bench.git"),
                ("add", "README"),
                ("commit", "--quiet", "--message", "A commit"),
            ):
                subprocess.run(
                    ("git", *arguments), cwd=folder, env={**self.env, **_AUTHOR}, check=True
                )
        return folder

    def history(self, commits: int) -> Path:
        """A repository with so many commits, each of which changes a line of one file; made once."""
        folder = self.scratch / "history"
        if not folder.exists():
            folder.mkdir()
            subprocess.run(
                (self.git, "init", "--quiet", "--initial-branch", "main"),
                cwd=folder,
                env=self.env,
                check=True,
            )
            lines = [f"line {number}" for number in range(2000)]
            with subprocess.Popen(
                (self.git, "fast-import", "--quiet"),
                cwd=folder,
                env=self.env,
                stdin=subprocess.PIPE,
                text=True,
            ) as importer:
                assert importer.stdin
                for number in range(commits):
                    lines[number * 7 % len(lines)] = f"line of commit {number}"
                    message, content = f"commit {number}", "\n".join(lines) + "\n"
                    importer.stdin.write(
                        f"commit refs/heads/main\ncommitter Bench <bench@example.org> {1_700_000_000 + number} +0000\ndata {len(message)}\n{message}\n"
                        f"M 100644 inline file\ndata {len(content)}\n{content}\n"
                    )
            subprocess.run(
                (self.git, "reset", "--quiet", "--hard"), cwd=folder, env=self.env, check=True
            )
        return folder

    def answer(self, command: Command) -> str:
        """What a command prints. Raises `CommandFailed`."""
        done = subprocess.run(
            list(command.argv),
            env=dict(command.env),
            cwd=command.cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(
                f"exit code {done.returncode}: {' '.join(command.argv)}\n{done.stderr}"
            )
        return done.stdout

    def commands(self) -> list[tuple[str, ...]]:
        """The paths of the installed program's commands, which may not be those of the tree around us."""
        script = "import json; from telemetry_cli.core.tables import COMMANDS; print(json.dumps(list(COMMANDS)))"
        return [tuple(path) for path in json.loads(self.answer(self.python("-P", "-c", script)))]
