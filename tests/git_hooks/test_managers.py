"""husky, lefthook and pre-commit themselves, installed from their registries: our hooks fire beside theirs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Telemetry
from support.repository import Bare, Repository

Get = Callable[..., Path]


@pytest.fixture(scope="session")
def get(tmp_path_factory: pytest.TempPathFactory) -> Get:
    """Install a tool into a folder of its own and return the folder; skips the test, by name, where that cannot be done."""
    root = tmp_path_factory.mktemp("tools")
    tried: dict[str, str] = {}

    def install(name: str, *command: str) -> Path:
        folder = root / name
        if name not in tried:
            folder.mkdir()
            if not shutil.which(command[0]):
                tried[name] = f"{command[0]} is not installed"
            else:
                words = [word.replace("FOLDER", str(folder)) for word in command]
                done = subprocess.run(
                    words, cwd=folder, capture_output=True, text=True, timeout=180, check=False
                )
                tried[name] = (
                    f"{name} cannot be installed: {done.stderr.strip()[-300:]}"
                    if done.returncode
                    else ""
                )
        if tried[name]:
            pytest.skip(tried[name])
        return folder

    return install


def npm(get: Get, package: str) -> Path:
    """The folder with a package's programs."""
    return (
        get(
            package.partition("@")[0],
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--prefix",
            "FOLDER",
            package,
        )
        / "node_modules"
    )


def pip(get: Get, package: str) -> Path:
    """The folder with a package's programs."""
    return (
        get(
            package,
            "sh",
            "-c",
            f"'{sys.executable}' -m venv 'FOLDER' && 'FOLDER/bin/python' -m pip install --quiet {package}",
        )
        / "bin"
    )


def with_path(repo: Repository, folder: Path) -> None:
    repo.env["PATH"] = f"{folder}{os.pathsep}{repo.env['PATH']}"


def tool(repo: Repository, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=repo.path,
        env=repo.env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(repo: Repository, telemetry: Telemetry, *, applies: bool = True) -> None:
    """Commits, amends, merges and, where the manager has a hook for it, patches come to the run that is open."""
    telemetry.start("--event-id", "run", cwd=repo.path)
    old = repo.change()
    repo("commit", "--quiet", "--amend", "-m", "better")
    new = repo("rev-parse", "HEAD")
    assert (repo.runs_of(old), repo.runs_of(new)) == (["run"], ["run"])
    assert telemetry("commits", "--commit", old, "--json").json[0]["superseded_by"] == new
    repo("checkout", "--quiet", "-b", "topic", "HEAD~1")
    repo.change("topic")
    repo("checkout", "--quiet", "main")
    repo("merge", "--quiet", "--no-ff", "-m", "merged", "topic")
    assert repo.runs_of("HEAD") == ["run"]
    patch = repo("format-patch", "-1", "HEAD^2", "-o", str(repo.path.parent))
    repo("reset", "--quiet", "--hard", "HEAD~1")
    repo("am", "--quiet", patch)
    assert repo.runs_of("HEAD") == (["run"] if applies else [])
    rows = telemetry("git-hooks", "status", "--json", cwd=repo.path).json
    fires = {
        "post-commit": True,
        "post-rewrite": True,
        "post-merge": True,
        "post-applypatch": applies,
    }
    assert {row["hook"]: row["fires"] for row in rows} == fires


@pytest.fixture
def begun(bare_repository: Bare) -> Repository:
    repo = bare_repository()
    repo.change("README")
    return repo


def test_husky(begun: Repository, telemetry: Telemetry, get: Get) -> None:
    modules = npm(get, "husky@9")
    (begun.path / "package.json").write_text('{"name": "x", "private": true}\n')
    tool(begun, "node", str(modules / "husky" / "bin.js"))
    assert begun("config", "core.hooksPath") == ".husky/_"
    own = begun.path / ".husky/post-commit"
    own.write_text('echo "husky ran post-commit" >> husky.log\n')
    own.chmod(0o644)
    generated = {path.name: path.read_bytes() for path in (begun.path / ".husky/_").iterdir()}
    telemetry("git-hooks", "install", cwd=begun.path)
    assert {
        path.name: path.read_bytes() for path in (begun.path / ".husky/_").iterdir()
    } == generated
    records(begun, telemetry)
    assert "husky ran post-commit" in (begun.path / "husky.log").read_text()
    telemetry("git-hooks", "uninstall", cwd=begun.path)
    assert own.read_text() == 'echo "husky ran post-commit" >> husky.log\n'
    assert not (begun.path / ".husky/post-merge").exists()


def test_lefthook(begun: Repository, telemetry: Telemetry, get: Get) -> None:
    with_path(begun, npm(get, "lefthook@1") / ".bin")
    config = begun.path / "lefthook.yml"
    config.write_text("pre-commit:\n  commands:\n    own:\n      run: echo own >> lefthook.log\n")
    tool(begun, "lefthook", "install")
    ran = telemetry("git-hooks", "install", cwd=begun.path, code=4)
    assert "lefthook" in ran.err
    assert not (begun.path / ".git/hooks/post-commit").exists()
    config.write_text(config.read_text() + ran.out)
    tool(begun, "lefthook", "install")
    assert telemetry("git-hooks", "install", "--json", cwd=begun.path).json["status"] == "unchanged"
    records(begun, telemetry)
    assert "own" in (begun.path / "lefthook.log").read_text()


def test_pre_commit(begun: Repository, telemetry: Telemetry, get: Get) -> None:
    with_path(begun, pip(get, "pre-commit"))
    config = begun.path / ".pre-commit-config.yaml"
    config.write_text("repos: []\n")
    ran = telemetry("git-hooks", "install", cwd=begun.path, code=4)
    assert "pre-commit" in ran.err
    assert not (begun.path / ".git/hooks/post-commit").exists()
    config.write_text(ran.out)
    begun("add", ".pre-commit-config.yaml")
    begun("commit", "--quiet", "-m", "hooks")
    tool(begun, *ran.out.splitlines()[-1].removeprefix("# and then: ").split())
    assert telemetry("git-hooks", "install", "--json", cwd=begun.path).json["status"] == "unchanged"
    records(begun, telemetry, applies=False)
    assert (
        "cannot call"
        in telemetry(
            "git-hooks", "install", "--hooks", "post-applypatch", cwd=begun.path, code=4
        ).err
    )


def test_pre_commit_over_ours_and_ours_over_pre_commit(
    begun: Repository, telemetry: Telemetry, get: Get
) -> None:
    """pre-commit keeps ours as `.legacy` and runs it; taken away again, ours is back."""
    with_path(begun, pip(get, "pre-commit"))
    telemetry("git-hooks", "install", cwd=begun.path)
    (begun.path / ".pre-commit-config.yaml").write_text("repos: []\n")
    begun("add", ".pre-commit-config.yaml")
    tool(begun, "pre-commit", "install", "--hook-type", "post-commit")
    telemetry.start("--event-id", "run", cwd=begun.path)
    begun.change()
    assert begun.runs_of("HEAD") == ["run"]
    assert telemetry("git-hooks", "status", "--json", cwd=begun.path).json[0]["fires"] is True
    tool(begun, "pre-commit", "uninstall", "--hook-type", "post-commit")
    begun.change()
    assert begun.runs_of("HEAD") == ["run"]


def test_force_beside_a_manager(begun: Repository, telemetry: Telemetry) -> None:
    (begun.path / "lefthook.yml").write_text("{}\n")
    telemetry("git-hooks", "install", cwd=begun.path, code=4)
    telemetry("git-hooks", "install", "--force", cwd=begun.path)
    telemetry.start("--event-id", "run", cwd=begun.path)
    begun.change()
    assert begun.runs_of("HEAD") == ["run"]


@pytest.mark.parametrize(
    ("manager", "name", "text"),
    [
        ("lefthook", "pre-push", "call_lefthook run"),
        ("pre-commit", "pre-commit", "# File generated by pre-commit: x"),
    ],
)
def test_a_manager_is_known_by_its_hooks(
    manager: str, name: str, text: str, begun: Repository, telemetry: Telemetry
) -> None:
    begun.hook(name, f"#!/bin/sh\n{text} || :\nexit 0\n")
    assert manager in telemetry("git-hooks", "install", cwd=begun.path, code=4).err
