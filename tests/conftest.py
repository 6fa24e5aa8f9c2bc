"""Options and fixtures of every test. The suite tests the installed program: a wheel or an editable install."""

import importlib.metadata
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support import PROGRAM, Git, Telemetry

# A busy machine is no reason to fail.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

SOURCE = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select tests."""
    parser.addoption("--all", action="store_true", help="also run the tests that take minutes")
    parser.addoption(
        "--first-cases",
        action="store_true",
        help="of every parametrized test run its first case only",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run against a program that is not installed, and select the tests."""
    import telemetry_cli

    imported = Path(telemetry_cli.__file__).resolve()
    if not PROGRAM.exists() or imported.is_relative_to(SOURCE / "telemetry_cli") != is_editable():
        raise pytest.UsageError("the program is not installed; run the tests with: ./dev test")
    # A shell's background job starts with these ignored, and so would everything that tests start.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
    option = config.option
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS
    if not (chosen or option.all or option.keyword or option.markexpr or option.lf):
        # The workers of pytest-xdist get the options of the process that starts them.
        option.markexpr = "not heavy"


def is_editable() -> bool:
    """Tell whether the program is installed in editable mode (`direct_url.json` of PEP 610)."""
    origin = importlib.metadata.distribution("telemetry-cli").read_text("direct_url.json")
    return bool(origin and json.loads(origin).get("dir_info", {}).get("editable"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what `--first-cases` does not want."""
    if config.getoption("--first-cases"):
        first = {item.nodeid.partition("[")[0]: item for item in reversed(items)}
        config.hook.pytest_deselected(
            items=[item for item in items if first[item.nodeid.partition("[")[0]] is not item]
        )
        items[:] = [item for item in items if first[item.nodeid.partition("[")[0]] is item]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the crash rig has tried, for docs/reliability.md."""
    seen = [
        (report.nodeid, value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "seen"
    ]
    if seen and any(seen):
        terminalreporter.section("trials")
        for nodeid, value in sorted(set(seen)):
            terminalreporter.write_line(f"{nodeid.rpartition('/')[2]}: {value}")


@pytest.fixture
def telemetry(tmp_path: Path) -> Telemetry:
    """The program, with an empty base."""
    return Telemetry(tmp_path)


@pytest.fixture
def make_git(tmp_path: Path) -> Callable[..., Git]:
    """Make a repository: `make_git("name", "--bare", …)` runs `git init` with these options."""

    def make(name: str = "repository", *options: str) -> Git:
        path = tmp_path / name
        path.mkdir(parents=True)
        git = Git(path, tmp_path)
        git("init", "--quiet", "--initial-branch=main", *options)
        return git

    return make


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system in memory: `tmpfs("104k")`; skipped where that is not allowed."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        path = tmp_path / f"tmpfs{len(mounted)}"
        path.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip("mounting a tmpfs needs privileges")
        mounted.append(path)
        return path

    if not shutil.which("mount") or sys.platform != "linux":
        pytest.skip("mounting a tmpfs needs Linux")
    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=False)
