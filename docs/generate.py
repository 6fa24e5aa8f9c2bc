"""What the docs take from the program: the reference, the schema, the pictures. `./dev regenerate` runs it on the installed wheel.

    python docs/generate.py [FOLDER]

writes reference.md, data-model.md, ci.md, exec.md and pictures/*.svg into FOLDER, by default the folder of this file.
"""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import typer
from rich.console import Console
from rich.text import Text

from telemetry_cli.cli import main as entry
from telemetry_cli.cli.app import app, parse
from telemetry_cli.core import clock
from telemetry_cli.discovery import providers
from telemetry_cli.redaction.patterns import RULES

HERE = Path(__file__).resolve().parent
#: A part of a page that is written here.
PART = r"(<!-- {0}: written by docs/generate.py -->\n).*?(<!-- /{0} -->)"

REFERENCE = """\
# Command reference

What `telemetry COMMAND --help` prints, 80 columns wide. Written by `./dev regenerate`; never edited. Exit codes and variables
stand in the [README](../README.md), the fields in the [data model](data-model.md).
"""

#: The moment at which the pictures are taken.
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

PIPELINE = "8c0f3f6e-5a0b-4a53-9f0e-6c1a0f4b7d11"
TEST = "2f6d9a70-13c4-4f0e-8a5b-0d6f3c1e9b42"
SHA = "5225b854aef173f537fb9fc2ca7d3748b89c9850"
START = "run start --no-git --host runner-1 --git-repo https://github.com/example/shop --git-branch main"
#: Seconds before NOW, and what was called then.
HISTORY = (
    (
        93_600,
        f"{START} --agent-name nightly --job-type backup --event-id b7e15162-8aed-4a6a-bf71-58809cf4f3c7",
    ),
    (
        93_163,
        "run end b7e15162-8aed-4a6a-bf71-58809cf4f3c7 --items-discovered 1204 --items-succeeded 1204",
    ),
    (
        7_200,
        f"{START} --agent-name nightly --job-type backup --event-id 62e7160f-38b4-4da5-a784-d9045190cfef",
    ),
    (
        7_020,
        "run end 62e7160f-38b4-4da5-a784-d9045190cfef --status partial --items-discovered 1210 --items-succeeded 1190 --items-failed 20",
    ),
    (320, f"{START} --agent-name ci --job-type pipeline --event-id {PIPELINE} --trigger-type push"),
    (
        318,
        f"{START} --agent-name ci --job-type build --event-id 9a3c2b1d-6e5f-4d70-8b91-a2c3d4e5f607 --parent {PIPELINE}",
    ),
    (284.7, "run end 9a3c2b1d-6e5f-4d70-8b91-a2c3d4e5f607 -m bytes=48213"),
    (
        284,
        f"{START} --agent-name ci --job-type test --event-id {TEST} --run-id test-1 --parent {PIPELINE}",
    ),
    (281, f"run event checkpoint --run {TEST} -m suite=unit -m passed=212"),
    (140, f"run event checkpoint --run {TEST} -m suite=browser -m passed=31"),
    (
        139.5,
        (
            "run",
            "end",
            TEST,
            "--exit-code",
            "1",
            "--error-summary",
            "2 tests failed",
            "-m",
            "tests=245",
        ),
    ),
    (
        139,
        f"{START} --agent-name ci --job-type deploy --event-id c4a1d2e3-f405-4617-9283-94a5b6c7d8e9 --parent {PIPELINE} --environment staging",
    ),
    (
        60,
        f"associate-commit {PIPELINE} --commit {SHA} --source ci --author Ada --children --no-git",
    ),
)
#: Picture → its width in columns, and the command whose answer it shows.
PICTURES = {
    "query": (100, "query"),
    "stats": (120, "stats --by job_type"),
    "run-tree": (76, f"run tree {PIPELINE[:8]}"),
    "run-show": (92, f"run show {TEST[:8]}"),
}


class _Screen(io.StringIO):
    """Something that is taken for a terminal."""

    def isatty(self) -> bool:
        return True


def told(*argv: str, width: int = 80, base: str, ago: float = 0) -> str:
    """What the program says to argv on a terminal of this width, with nothing of our environment, so many seconds before `NOW`."""
    moment = NOW - timedelta(seconds=ago)
    env = {
        "TELEMETRY_BASE_DIR": base,
        "HOME": base,
        "COLUMNS": str(width),
        "LINES": "1000",
        "TERM": "xterm-256color",
        "FORCE_COLOR": "1",
        "PAGER": "cat",
    }
    with (
        _stopped_at(moment),
        mock.patch.dict(os.environ, env, clear=True),
        mock.patch.object(sys, "argv", ["telemetry", *argv]),
    ):
        with (
            mock.patch.object(sys, "stdout", _Screen()) as screen,
            mock.patch.object(sys, "stderr", io.StringIO()) as complaints,
        ):
            code = entry.main()
        assert (code, complaints.getvalue()) == (0, ""), (argv, code, complaints.getvalue())
        return screen.getvalue()


def _stopped_at(moment: datetime) -> AbstractContextManager[object]:
    """The program's clock, stopped."""
    return mock.patch.object(clock, "now", lambda: moment)


def reference() -> str:
    """The help of every command, a group before its commands."""
    parts = [REFERENCE]
    for path in _paths(typer.main.get_command(app), ()):
        name = " ".join(["telemetry", *path])
        parts.append(f"## `{name}`\n\n```text\n{_help(path)}\n```\n")
    return "\n".join(re.sub(r"[ \t]+$", "", part, flags=re.MULTILINE) for part in parts)


def _help(path: tuple[str, ...]) -> str:
    """What Typer says of a command, 80 columns wide; not what the program has written down of it."""
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "80"}),
        mock.patch.object(sys, "stdout", io.StringIO()) as screen,
    ):
        parse([*path, "--help"])
    return screen.getvalue().strip()


def _paths(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from _paths(child, (*path, name))


def data_model() -> str:
    """data-model.md with the schema as the installed program carries it."""
    scripts = sorted(
        (
            file
            for file in files("telemetry_cli.database").joinpath("schema").iterdir()
            if file.name.endswith(".sql")
        ),
        key=lambda file: file.name,
    )
    schema = "\n".join(script.read_text(encoding="utf-8") for script in scripts).strip()
    return _with_part(
        (HERE / "data-model.md").read_text(encoding="utf-8"), "schema", f"```sql\n{schema}\n```\n"
    )


def _with_part(page: str, name: str, text: str) -> str:
    """A page with one of its parts written anew."""
    page, found = re.subn(
        PART.format(name), lambda match: match[1] + text + match[2], page, flags=re.DOTALL
    )
    assert found == 1, f"the page has no place for {name}"
    return page


def ci() -> str:
    """ci.md with the tables that discovery goes by."""
    rows = ["| provider | recognised by | a job is known by | what it says |", "|---|---|---|---|"]
    for provider in providers.PROVIDERS:
        facts = "<br>".join(
            f"{fact.replace('_', ' ')}: {', '.join(f'`{text}`' for text in texts)}"
            for fact, texts in provider.facts.items()
        )
        signs = ", ".join(f"`{sign}`" for sign in provider.detect)
        known_by = ", ".join(provider.identity).replace("_", " ") if provider.facts else ""
        rows.append(f"| [{provider.name}]({provider.docs}) | {signs} | {known_by} | {facts} |")
    page = _with_part(
        (HERE / "ci.md").read_text(encoding="utf-8"), "providers", "\n".join(rows) + "\n"
    )
    agents = [
        f"| [{name}]({where}) | `{variable}` |"
        for variable, (name, where) in providers.AGENTS.items()
    ]
    agents += [f"| the one that it names | `{variable}` |" for variable in providers.AGENT_NAMES]
    return _with_part(
        page, "agents", "\n".join(["| agent | recognised by |", "|---|---|", *agents]) + "\n"
    )


def exec_() -> str:
    """exec.md with the names of the rules for secrets."""
    names = ", ".join(f"`{name}`" for name, _, _ in RULES)
    return _with_part(
        (HERE / "exec.md").read_text(encoding="utf-8"), "rules", f"The rules: {names}.\n"
    )


def pictures() -> Iterator[tuple[str, str]]:
    """Each picture's name and SVG: what the program answers about `HISTORY`."""
    with TemporaryDirectory() as folder:
        base = str(Path(folder) / "base")
        for ago, words in HISTORY:
            told(*(words.split() if isinstance(words, str) else words), base=base, ago=ago)
        for name, (width, words) in PICTURES.items():
            console = Console(
                record=True,
                file=io.StringIO(),
                width=width,
                force_terminal=True,
                color_system="truecolor",
                legacy_windows=False,
            )
            console.print(Text.from_ansi(told(*words.split(), width=width, base=base)))
            svg = console.export_svg(title=f"telemetry {words}", unique_id=f"telemetry-{name}")
            # Whoever looks at a picture should not have to fetch a font for it; the next one named is any monospaced one.
            svg = re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
            yield name, re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def main() -> None:
    """Write everything."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    pages = {
        "reference.md": reference(),
        "data-model.md": data_model(),
        "ci.md": ci(),
        "exec.md": exec_(),
        **{f"pictures/{name}.svg": svg for name, svg in pictures()},
    }
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
