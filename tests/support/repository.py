"""What the tests of git's hooks work with: repositories whose git runs with the program's environment."""

import os
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

from support import PROGRAM, Git, Telemetry

#: Each call of git happens a second after the last one.
_SECONDS = count(1_767_315_845)


class Repository(Git):
    """A repository in which git, and so its hooks, see the program's base folder."""

    def __init__(self, path: Path, telemetry: Telemetry) -> None:
        super().__init__(path, telemetry.home)
        self.telemetry = telemetry
        self.env |= telemetry.env | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PATH": f"{PROGRAM.parent}{os.pathsep}{telemetry.env['PATH']}",
        }

    def __call__(self, *argv: str, env: dict[str, str] | None = None, check: bool = True) -> str:
        """Run git, each time at another moment, so that no two commits are the same by chance."""
        return super().__call__(*argv, env=self._dated() | (env or {}), check=check)

    def _dated(self) -> dict[str, str]:
        moment = f"{next(_SECONDS)} +0200"
        return {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}

    def ran(
        self, *argv: str, env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run git and return all that it did."""
        return subprocess.run(
            ["git", *argv],
            cwd=self.path,
            env=self.env | (env or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def change(
        self,
        name: str = "file",
        text: str | None = None,
        message: str | None = None,
        env: dict[str, str] | None = None,
    ) -> str:
        """Write a file, commit it and return the SHA."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            text if text is not None else path.read_text() + "more\n" if path.exists() else "one\n"
        )
        self("add", name)
        self("commit", "--quiet", "-m", message or f"change {name}", env=env)
        return self("rev-parse", "HEAD")

    def runs_of(self, revision: str) -> list[str]:
        """The event ids of the runs that `query --commit` finds for a revision, sorted."""
        sha = self("rev-parse", revision)
        return sorted(
            self.telemetry("query", "--commit", sha, "-o", "ids", "--limit", "0").out.split()
        )

    def hook(self, name: str, text: str, folder: str = ".git/hooks", mode: int = 0o755) -> Path:
        """Put a hook of somebody's there."""
        path = self.path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path


Bare = Callable[..., Repository]
