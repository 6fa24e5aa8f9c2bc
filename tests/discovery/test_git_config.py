"""The remote, out of configs that are written in every way git reads: what git itself lists is what counts."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import Git

from telemetry_cli.discovery.git import repository as discovery

Make = Callable[..., Git]
CORE = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
PADDING = "".join(
    f'[branch "b{number}"]\n\tremote = origin\n\tmerge = refs/heads/b{number}\n'
    for number in range(3000)
)

CONFIGS = {
    "none": "",
    "origin": '[remote "origin"]\n\turl = https://h/a/b.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n',
    "one not called origin": '[remote "upstream"]\n\turl = https://h/a/b.git\n',
    "several without origin": '[remote "one"]\n\turl = https://h/1\n[remote "two"]\n\turl = https://h/2\n',
    "several with origin": '[remote "one"]\n\turl = https://h/1\n[remote "origin"]\n\turl = https://h/2\n',
    "origin by another case": '[remote "Origin"]\n\turl = https://h/1\n[remote "two"]\n\turl = https://h/2\n',
    "pushurl": '[remote "origin"]\n\tpushurl = https://push/a\n\turl = https://fetch/a\n',
    "pushurl alone": '[remote "origin"]\n\tpushurl = https://push/a\n',
    "two urls": '[remote "origin"]\n\turl = https://h/first\n\turl = https://h/second\n',
    "section twice": '[remote "origin"]\n\tfetch = x\n[branch "m"]\n\tremote = origin\n[remote "origin"]\n\turl = https://h/a\n',
    "odd case": '[REMOTE "origin"]\n\tURL = https://h/a\n',
    "odd spaces": '[remote    "origin"]   \n  url=   https://h/a b  \n',
    "dotted section": "[remote.origin]\n\turl = https://h/a\n",
    "key behind the header": '[remote "origin"] url = https://h/a\n',
    "key in brackets behind the header": '[remote "origin"] url = https://h/[a]\n',
    "quotes": '[remote "origin"]\n\turl = "https://h/a;b c"\n',
    "quotes in the middle": '[remote "origin"]\n\turl = https://"h"/a\n',
    "comment": '[remote "origin"]\n\turl = https://h/a ; mine\n',
    "comment of the other kind": '[remote "origin"] # here\n\turl = https://h/a#b\n',
    "commented out": '# [remote "origin"]\n;\turl = https://h/no\n[remote "x"]\n#\turl = https://h/no\n\turl = https://h/a\n',
    "continuation": '[remote "origin"]\n\turl = https://h/\\\na\n',
    "continued line looks like a url": '[remote "origin"]\n\tfetch = a\\\nurl = https://h/no\n\turl = https://h/yes\n',
    "continued line looks like a section": '[alias]\n\tx = a\\\n[remote "origin"]\n[remote "y"]\n\turl = https://h/yes\n',
    "escapes": '[remote "origin"]\n\turl = C:\\\\srv\\\\a\n',
    "name with quotes": '[remote "or\\"igin"]\n\turl = https://h/a\n[remote "x"]\n\turl = https://h/b\n',
    "name with brackets": '[remote "origin]x"]\n\turl = https://h/a\n[remote "x"]\n\turl = https://h/b\n',
    "name with spaces": '[remote " origin "]\n\turl = https://h/a\n[remote "x"]\n\turl = https://h/b\n',
    "name with dots": '[remote "a.url"]\n\turl = https://h/a\n',
    "settings of all remotes": '[remote]\n\tpushDefault = origin\n[remote "origin"]\n\turl = https://h/a\n',
    "similar sections": '[remotes "origin"]\n\turl = https://h/no\n[remote "x"]\n\turl = https://h/a\n',
    "similar keys": '[remote "origin"]\n\turls = https://h/no\n\turl-x = https://h/no\n\turl = https://h/a\n',
    "an empty url": '[remote "origin"]\n\turl =\n[remote "x"]\n\turl = https://h/a\n',
    "CRLF": '[remote "origin"]\r\n\turl = https://h/a\r\n',
    "byte order mark": '[remote "origin"]\n\turl = https://h/a\n[remote "x"]\n\turl = https://h/b\n',
    "no newline at the end": '[remote "origin"]\n\turl = https://h/a',
    "unicode line separators": '[remote "origin"]\n\tfetch = a\u2028url = https://h/no\n\turl = https://h/a\n',
    "huge": PADDING + '[remote "origin"]\n\turl = https://h/a\n',
    "huge, the second remote at the end": '[remote "one"]\n\turl = https://h/a\n'
    + PADDING
    + '[remote "two"]\n\turl = https://h/b\n',
    "include": "[include]\n\tpath = ../included\n",
    "include by folder": '[includeIf "gitdir:**/.git"]\n\tpath = ../included\n',
    "include by branch": '[includeIf "onbranch:main"]\n\tpath = ../included\n',
    "include that does not hold": '[includeIf "onbranch:other"]\n\tpath = ../included\n[remote "x"]\n\turl = https://h/x\n',
    "include of nothing": '[include]\n\tpath = ../nothing\n[remote "x"]\n\turl = https://h/x\n',
    "include in odd case": "[INCLUDE]\n\tPATH = ../included\n",
}


def expected_remote(git: Git) -> str | None:
    """By `git config`: the first URL of origin, else of the only remote that has one."""
    listed = git("config", "--null", "--get-regexp", r"^remote\..*\.url$", check=False)
    urls: dict[str, str] = {}
    for entry in listed.split("\0")[:-1]:
        key, _, url = entry.partition("\n")
        if url:
            urls.setdefault(key.removeprefix("remote.").removesuffix(".url"), url)
    return urls.get("origin") or (next(iter(urls.values())) if len(urls) == 1 else None)


def remote(path: Path) -> str | None:
    repository = discovery.find(str(path))
    assert repository
    return discovery.remote(repository)


@pytest.mark.parametrize("name", CONFIGS)
def test_remote_is_what_git_lists(name: str, make_git: Make) -> None:
    git = make_git()
    (git.path / "included").write_text('[remote "origin"]\n\turl = https://included/a\n')
    start = "\ufeff" if name == "byte order mark" else CORE
    (git.path / ".git/config").write_bytes((start + CONFIGS[name]).encode())
    assert remote(git.path) == expected_remote(git)


LINES = st.sampled_from(
    ['[remote "origin"]', '[remote "x"]', '[REMOTE  "y"] ', "[remote.z]", "[core]", "[include]", '[remote "x\\"y"]', '[remote "a]b"]', '[branch "url"]',
     "\turl = https://h/a", "url=b", "  URL = https://h/c ", "url", "url =", '\turl = "d;e"', "\turl = f ; g", "\turl = h\\", "\turl = i\\\\j", "fetch = k\\",
     "\tpushurl = l", "# url = m", "; [remote \"n\"]", "", '[remote "o"] url = p', '[remote "q"] url = [r]', '[remote "s"] # [t]', "\x0b", "\x0c",
     "\tfetch = u\x85url = v"]
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=st.lists(LINES, max_size=8), newline=st.sampled_from(["\n", "\r\n"]))
@example(lines=['[remote "origin"]', "url=b"], newline="\r\n")
def test_any_config_that_git_accepts(lines: list[str], newline: str, tmp_path: Path) -> None:
    git = Git(tmp_path / "fuzzed", tmp_path)
    if not git.path.exists():
        git.path.mkdir()
        git("init", "--quiet")
    (git.path / ".git/config").write_text(newline.join([CORE, *lines, ""]), newline="")
    if (
        subprocess.run(
            ["git", "config", "--list"], cwd=git.path, env=git.env, capture_output=True, check=False
        ).returncode
        == 0
    ):
        assert remote(git.path) == expected_remote(git)


def test_worktree_config(make_git: Make) -> None:
    """extensions.worktreeConfig: a worktree has settings of its own beside the common ones."""
    git = make_git()
    git.commit()
    git("remote", "add", "common", "https://h/common")
    git("config", "extensions.worktreeConfig", "true")
    git("worktree", "add", "--quiet", str(git.path.parent / "linked"))
    linked = Git(git.path.parent / "linked", git.path.parent)
    linked("config", "--worktree", "remote.origin.url", "https://h/of-the-worktree")
    assert (remote(git.path), remote(linked.path)) == (
        "https://h/common",
        "https://h/of-the-worktree",
    )


def test_worktree_config_counts_only_with_the_extension(make_git: Make) -> None:
    git = make_git()
    git("remote", "add", "common", "https://h/common")
    (git.path / ".git/config.worktree").write_text('[remote "origin"]\n\turl = https://h/no\n')
    assert remote(git.path) == expected_remote(git) == "https://h/common"


def test_a_config_that_cannot_be_read(make_git: Make) -> None:
    git = make_git()
    (git.path / ".git/config").unlink()
    (git.path / ".git/config").mkdir()
    assert remote(git.path) is None
    (git.path / ".git/config").rmdir()
    (git.path / ".git/config").write_bytes(b'[remote "origin"]\n\turl = https://h/\xff\n')
    assert remote(git.path) is None
