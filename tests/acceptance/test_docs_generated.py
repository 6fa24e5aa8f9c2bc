"""What docs/generate.py writes is up to date, on whichever Python and rich the tests run."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from telemetry_cli.core.tables import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = ("query", "stats", "run-tree", "run-show")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, written anew from the installed program."""
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), str(folder)], check=True, timeout=120
    )
    return folder


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _words(path: Path) -> list[str]:
    """The words of a page: versions of Typer differ in how they lay out help."""
    return _text(path).split()


def _seen(path: Path) -> list[str]:
    """The words on a picture, without the rules; how it is drawn depends on the version of rich."""
    words = " ".join(re.findall(r"<text[^>]*>(.*?)</text>", _text(path)))
    return [word for word in unescape(words).split() if word.strip("─")]


@pytest.mark.parametrize("page", ["reference.md", "data-model.md", "ci.md", "exec.md"])
def test_a_page_is_what_the_program_says(page: str, fresh: Path) -> None:
    assert _words(fresh / page) == _words(DOCS / page), "run ./dev regenerate"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_what_the_program_prints(name: str, fresh: Path) -> None:
    assert _seen(fresh / "pictures" / f"{name}.svg") == _seen(DOCS / "pictures" / f"{name}.svg"), (
        "run ./dev regenerate"
    )


def test_there_is_no_picture_but_these_and_each_is_shown_somewhere() -> None:
    assert {path.stem for path in (DOCS / "pictures").iterdir()} == set(PICTURES)
    pages = "".join(_text(page) for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md"])
    assert [name for name in PICTURES if f"pictures/{name}.svg)" not in pages] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_stands_in_the_reference(path: tuple[str, ...]) -> None:
    words = " ".join(path)
    assert f"\n## `telemetry {words}`\n\n```text\nUsage: telemetry {words} " in _text(
        DOCS / "reference.md"
    )


def test_every_field_stands_in_the_data_model() -> None:
    prose, schema = _text(DOCS / "data-model.md").split("## The schema\n")
    runs = schema[schema.index("CREATE TABLE agent_runs") : schema.index(") STRICT")]
    fields = re.findall(r"^    (\w+) (?:TEXT|INTEGER)", runs, re.MULTILINE)
    assert len(fields) > 50
    assert [field for field in fields if f"`{field}`" not in prose] == []
    tables = re.findall(r"^CREATE (?:VIRTUAL )?TABLE (\w+)", schema, re.MULTILINE)
    assert set(
        re.findall(
            r"^(?:## |\| )`(\w+)`(?:: one row| \|)",
            prose[prose.index("## The other tables") :],
            re.MULTILINE,
        )
    ) == set(tables) - {"agent_runs"}
