"""The docs run: every shell example of the README, and what it promises about the files it names."""

import re
import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, Git, Telemetry

import telemetry_cli

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(
    r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_the_examples_of_the_readme_run(telemetry: Telemetry) -> None:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet")
    git.commit()
    script = "set -eu\n" + "\n".join(EXAMPLES)
    env = telemetry.env | {"PATH": f"{PROGRAM.parent}:{telemetry.env['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", script],
        env=env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert (
        telemetry("query", "--status", "failure", "-o", "ids").line
        == f"test-{git('rev-parse', 'HEAD')}"
    )


@pytest.mark.parametrize(
    "page",
    sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]),
    ids=str,
)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [
        link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link
    ]
    targets = {
        f"{name}#{anchor}": (ROOT / page).parent / name if name else ROOT / page
        for name, _, anchor in links
    }
    assert [link for link, target in targets.items() if not target.exists()] == []
    assert [
        link
        for link, target in targets.items()
        if target.suffix == ".md" and link.partition("#")[2] not in {"", *_anchors(target)}
    ] == []


def _anchors(page: Path) -> list[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_changelog_speaks_of_this_version() -> None:
    assert f"\n## {telemetry_cli.__version__} " in (ROOT / "CHANGELOG.md").read_text(
        encoding="utf-8"
    )


def test_every_package_module_says_what_it_is_for() -> None:
    modules = list((ROOT / "telemetry_cli").rglob("*.py"))
    assert [
        str(path) for path in modules if not path.read_text(encoding="utf-8").startswith('"""')
    ] == []
