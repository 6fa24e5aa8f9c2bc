"""Install, uninstall, status: beside whatever stands there, byte for byte back, and proof that a hook fires."""

import errno
import hashlib
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import PROGRAM, Git, Telemetry
from support.repository import Bare, Repository

from telemetry_cli.core.errors import Conflict
from telemetry_cli.git_hooks import install as installing
from telemetry_cli.git_hooks import managers as places

HOOKS = ("post-commit", "post-rewrite", "post-merge", "post-applypatch")
#: A hook that notes its arguments and stdin, and ends with 7.
NOTING = '#!/bin/sh\n{ echo "$(basename "$0") $*"; cat; } >>"$(git rev-parse --git-common-dir)/noted"\nexit 7\n'


def folder(repo: Repository) -> Path:
    return repo.path / ".git" / "hooks"


def kept(repo: Repository) -> Path:
    """The directory of the earlier hooks."""
    return repo.path / ".git" / "hooks.before-telemetry"


def noted(repo: Repository) -> list[str]:
    path = repo.path / ".git" / "noted"
    return path.read_text().splitlines() if path.exists() else []


def snapshot(path: Path) -> dict[str, tuple[int, bytes | str]]:
    """Every name in a folder with its mode and content."""
    return {
        name: (
            stat.S_IMODE(os.lstat(path / name).st_mode),
            os.readlink(path / name) if (path / name).is_symlink() else (path / name).read_bytes(),
        )
        for name in os.listdir(path)
    }


def statuses(telemetry: Telemetry, repo: Repository, *options: str) -> dict[str, dict[str, Any]]:
    return {
        row["hook"]: row
        for row in telemetry("git-hooks", "status", "--json", *options, cwd=repo.path).json
    }


def test_twice_changes_nothing_and_uninstall_leaves_nothing(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    before = snapshot(folder(repo))
    done = telemetry("git-hooks", "install", "--json", cwd=repo.path).json
    assert (done["status"], [row["hook"] for row in done["hooks"]]) == ("installed", list(HOOKS))
    installed = snapshot(folder(repo))
    assert {name: installed[name][0] for name in HOOKS} == dict.fromkeys(HOOKS, 0o755)
    again = telemetry("git-hooks", "install", "--json", cwd=repo.path).json
    assert (again["status"], snapshot(folder(repo))) == ("unchanged", installed)
    assert (
        telemetry("git-hooks", "uninstall", "--json", cwd=repo.path).json["status"] == "uninstalled"
    )
    assert snapshot(folder(repo)) == before
    assert (
        telemetry("git-hooks", "uninstall", "--json", cwd=repo.path).json["status"] == "unchanged"
    )


def test_only_some(bare_repository: Bare, telemetry: Telemetry) -> None:
    repo = bare_repository()
    telemetry("git-hooks", "install", "--hooks", "post-commit", "--repo", str(repo.path))
    assert {name for name in os.listdir(folder(repo)) if not name.endswith(".sample")} == {
        "post-commit"
    }
    assert (
        "'pre-commit' is not one of"
        in telemetry("git-hooks", "install", "--hooks", "pre-commit", cwd=repo.path, code=2).err
    )


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o644])
def test_an_earlier_hook_runs_first_and_comes_back(
    mode: int, bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    for hook in HOOKS:
        repo.hook(hook, NOTING, mode=mode)
    before = snapshot(folder(repo))
    telemetry("git-hooks", "install", cwd=repo.path)
    telemetry("git-hooks", "install", cwd=repo.path)
    telemetry.start("--event-id", "run", cwd=repo.path)
    old = repo.change()
    repo("commit", "--quiet", "--amend", "-m", "better")
    assert repo.runs_of(old) == repo.runs_of("HEAD") == ["run"]
    new = repo("rev-parse", "HEAD")
    said = ["post-commit ", "post-commit ", "post-rewrite amend", f"{old} {new}"]
    # git passes over a hook that is not executable, and so do we.
    assert noted(repo) == (said if mode & 0o100 else [])
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert snapshot(folder(repo)) == before
    assert not kept(repo).exists()


def test_an_earlier_hook_may_be_a_large_program(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    program = f"#!/bin/sh\ntouch {repo.path}/ran\nexit 0\n" + "#" * (3 << 20)
    hook = repo.hook("post-commit", program)
    telemetry("git-hooks", "install", cwd=repo.path)
    repo.change()
    assert (repo.path / "ran").exists()
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert hook.read_text() == program


def test_its_exit_code_is_ours(bare_repository: Bare, telemetry: Telemetry) -> None:
    repo = bare_repository()
    repo.hook("post-rewrite", NOTING)
    repo.change()
    telemetry("git-hooks", "install", cwd=repo.path)
    for removed in (False, True):
        env = repo.env | ({"PATH": "/usr/bin:/bin"} if removed else {})
        if removed:
            text = (
                (folder(repo) / "post-rewrite")
                .read_text()
                .replace(str(PROGRAM), "/nowhere/telemetry")
            )
            (folder(repo) / "post-rewrite").write_text(text)
        done = subprocess.run(
            [folder(repo) / "post-rewrite", "amend"],
            cwd=repo.path,
            env=env,
            input="a\n\nb",
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
        assert noted(repo)[-4:] == ["post-rewrite amend", "a", "", "b"]
        (repo.path / ".git" / "noted").unlink()


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\nexec <&-\nexit 3\n"])
def test_one_that_does_not_listen_hinders_nothing(
    script: str, bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo.hook("post-rewrite", script)
    telemetry("git-hooks", "install", cwd=repo.path)
    telemetry.start("--event-id", "run", cwd=repo.path)
    old = repo.change()
    telemetry("run", "end", "run")
    pairs = (
        "".join(f"{number:040x} {number + 1:040x}\n" for number in range(20_000))
        + f"{old} {'b' * 40}\n"
    )
    done = subprocess.run(
        [folder(repo) / "post-rewrite", "rebase"],
        cwd=repo.path,
        env=repo.env,
        input=pairs,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert telemetry("query", "--commit", "b" * 40, "-o", "ids").line == "run"


def test_an_earlier_hook_that_is_a_link(bare_repository: Bare, telemetry: Telemetry) -> None:
    repo = bare_repository()
    repo.hook("shared", NOTING, "scripts")
    (folder(repo) / "post-commit").symlink_to("../../scripts/shared")
    before = snapshot(folder(repo))
    telemetry("git-hooks", "install", cwd=repo.path)
    repo.change()
    assert noted(repo) == ["post-commit "]
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert snapshot(folder(repo)) == before
    assert not kept(repo).exists()
    assert (repo.path / "scripts/shared").read_text() == NOTING


def test_a_hook_that_calls_us_already_is_left_alone(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    snippet = telemetry(
        "git-hooks", "install", "--print", "--hooks", "post-commit", cwd=repo.path
    ).out
    path = repo.hook("post-commit", f"#!/bin/sh\n{snippet}")
    done = telemetry("git-hooks", "install", "--json", cwd=repo.path).json
    assert [row["status"] for row in done["hooks"]] == [
        "unchanged",
        "installed",
        "installed",
        "installed",
    ]
    assert path.read_text() == f"#!/bin/sh\n{snippet}"
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["run"]
    assert statuses(telemetry, repo)["post-commit"]["fires"] is True


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_printed_lines_leave_stdin_to_what_comes_after(
    shell: str, bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    lines = telemetry(
        "git-hooks", "install", "--print", "--hooks", "post-rewrite", cwd=repo.path
    ).out
    path = repo.hook(
        "post-rewrite", f"#!/usr/bin/env {shell}\nset -e\n{lines}{NOTING.partition(chr(10))[2]}"
    )
    telemetry.start("--event-id", "run", cwd=repo.path)
    old = repo.change()
    telemetry("associate-commit", "run", "--commit", old, cwd=repo.path)
    more = "".join(f"{number:040x} {number + 1:040x}\n" for number in range(2_000))
    done = subprocess.run(
        [path, "rebase"],
        cwd=repo.path,
        env=repo.env,
        input=f"{old} {'b' * 40}\n{more}",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    assert noted(repo) == ["post-rewrite rebase", f"{old} {'b' * 40}", *more.splitlines()]
    assert telemetry("query", "--commit", "b" * 40, "-o", "ids").line == "run"


def test_print_installs_nothing(bare_repository: Bare, telemetry: Telemetry) -> None:
    repo = bare_repository()
    before = snapshot(folder(repo))
    out = telemetry("git-hooks", "install", "--print", cwd=repo.path).out
    assert [f"git-hooks fire {hook}" in out for hook in HOOKS] == [True] * 4
    assert snapshot(folder(repo)) == before


def test_an_edited_hook_is_nobodys_to_overwrite(repo: Repository, telemetry: Telemetry) -> None:
    path = folder(repo) / "post-merge"
    path.write_text(path.read_text() + "echo mine\n")
    before = snapshot(folder(repo))
    for command in ("install", "uninstall"):
        assert "edited by hand" in telemetry("git-hooks", command, cwd=repo.path, code=4).err
        assert snapshot(folder(repo)) == before
    telemetry("git-hooks", "install", "--force", cwd=repo.path)
    assert "echo mine" not in path.read_text()


@pytest.mark.parametrize(
    "where", [".git/hooks.before-telemetry/post-commit", ".git/hooks/post-commit.before-telemetry"]
)
def test_two_earlier_hooks_are_one_too_many(
    where: str, repo: Repository, telemetry: Telemetry
) -> None:
    repo.hook("post-commit", "#!/bin/sh\n")
    repo.hook(where, "#!/bin/sh\necho older\n", ".")
    before = snapshot(folder(repo))
    assert "in the way" in telemetry("git-hooks", "install", cwd=repo.path, code=4).err
    assert snapshot(folder(repo)) == before
    assert (repo.path / where).read_text() == "#!/bin/sh\necho older\n"


def install_here(repo: Repository) -> None:
    """Install one hook in this process."""
    installing.install(
        places.place(str(repo.path)), ("post-commit",), str(PROGRAM), (), force=False, seconds=5
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMLINK])
def test_where_an_earlier_hook_cannot_be_kept_nothing_changes(
    number: int, bare_repository: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = bare_repository()
    repo.hook("post-commit", NOTING)
    before = snapshot(folder(repo))
    monkeypatch.setattr(os, "link", failing(number))
    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        install_here(repo)
    assert snapshot(folder(repo)) == before


def failing(number: int) -> Callable[..., None]:
    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return link


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.ENOTSUP])
def test_without_hard_links_an_earlier_hook_is_kept_by_renaming(
    number: int, bare_repository: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = bare_repository()
    path = repo.hook("post-commit", NOTING)
    monkeypatch.setattr(os, "link", failing(number))
    install_here(repo)
    assert (kept(repo) / "post-commit").read_text() == NOTING
    assert "git-hooks fire" in path.read_text()


@pytest.mark.parametrize("links", [True, False])
def test_one_that_came_meanwhile_is_never_written_over(
    links: bool, bare_repository: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = bare_repository()
    repo.hook("post-commit", NOTING)
    link = os.link if links else failing(errno.EPERM)

    def meanwhile(*arguments: Any, **options: Any) -> None:
        repo.hook("post-commit", "#!/bin/sh\necho another\n", ".git/hooks.before-telemetry")
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", meanwhile)
    with pytest.raises(Conflict, match="in the way"):
        install_here(repo)
    assert (folder(repo) / "post-commit").read_text() == NOTING
    assert (kept(repo) / "post-commit").read_text() == "#!/bin/sh\necho another\n"


def test_installed_by_many_at_once(bare_repository: Bare, telemetry: Telemetry) -> None:
    repo = bare_repository()
    for hook in HOOKS:
        repo.hook(hook, NOTING)
    before = snapshot(folder(repo))
    processes = [
        telemetry.popen(
            "git-hooks", "install", cwd=repo.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(8)
    ]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [
        (b"", 0)
    ] * 8
    assert all((kept(repo) / hook).read_text() == NOTING for hook in HOOKS)
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert snapshot(folder(repo)) == before
    assert not kept(repo).exists()


@pytest.mark.parametrize("how", ["linked", "copied", "renamed"])
def test_an_interrupted_install_is_finished_by_the_next(
    how: str, bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    path = repo.hook("post-commit", NOTING)
    before = snapshot(folder(repo))
    kept(repo).mkdir()
    earlier = kept(repo) / "post-commit"
    if how == "copied":
        shutil.copy(path, earlier)
    else:
        os.link(path, earlier)
        if how == "renamed":
            path.unlink()
    telemetry("git-hooks", "install", cwd=repo.path)
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    assert (repo.runs_of("HEAD"), noted(repo)) == (["run"], ["post-commit "])
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert snapshot(folder(repo)) == before
    assert not kept(repo).exists()


def test_a_hook_of_ours_is_never_run_as_the_earlier_one(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo.hook("post-commit", NOTING)
    telemetry("git-hooks", "install", cwd=repo.path)
    ours = folder(repo) / "post-commit"
    shutil.copy(ours, kept(repo) / "post-commit")
    done = subprocess.run([ours], cwd=repo.path, env=repo.env, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# Under its own name, and from where it stood


#: Dispatchers: by a link to a program beside it, by a script beside it as husky 4 has it, by a path from its own directory.
DISPATCHERS = {
    "link": {
        "dispatch": 'echo "$(basename "$0")" >>"$(git rev-parse --git-common-dir)/noted"\n',
        "post-commit": "dispatch",
        "post-rewrite": "dispatch",
    },
    "husky 4": {
        "husky.sh": 'hookName=$(basename "$0")\necho "$hookName" >>"$(git rev-parse --git-common-dir)/noted"\n',
        "post-commit": '. "$(dirname "$0")/husky.sh"\n',
        "post-rewrite": '. "$(dirname "$0")/husky.sh"\n',
    },
    "path": {
        "post-commit": 'test -e "$(dirname "$0")/../../file" && basename "$0" >>"$(git rev-parse --git-common-dir)/noted"\n',
        "post-rewrite": "post-commit",
    },
}


@pytest.mark.parametrize("kind", DISPATCHERS)
@pytest.mark.parametrize("where", [".git/hooks", "tools/git hooks"])
def test_a_hook_that_goes_by_its_name_is_called_by_it(
    kind: str, where: str, bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo("config", "core.hooksPath", where)
    for name, text in DISPATCHERS[kind].items():
        if text in DISPATCHERS[kind]:
            (repo.path / where / name).symlink_to(text)
        else:
            repo.hook(name, f"#!/bin/sh\n{text}", where)
    before = snapshot(repo.path / where)
    telemetry("git-hooks", "install", cwd=repo.path)
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    repo("commit", "--quiet", "--amend", "-m", "better")
    assert (noted(repo), repo.runs_of("HEAD")) == (
        ["post-commit", "post-commit", "post-rewrite"],
        ["run"],
    )
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert snapshot(repo.path / where) == before
    assert not (repo.path / f"{where}.before-telemetry").exists()


@pytest.mark.parametrize("what", ["a file", "a link"])
def test_earlier_hooks_are_kept_in_a_directory_alone(
    what: str, bare_repository: Bare, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo = bare_repository()
    path = repo.hook("post-commit", NOTING)
    (tmp_path / "elsewhere").mkdir()
    if what == "a file":
        kept(repo).write_text("mine")
    else:
        kept(repo).symlink_to(tmp_path / "elsewhere")
    assert "in the way" in telemetry("git-hooks", "install", cwd=repo.path, code=4).err
    assert (path.read_text(), os.listdir(tmp_path / "elsewhere")) == (NOTING, [])


#: What git-lfs 3 installs.
LFS = """#!/bin/sh
command -v git-lfs >/dev/null 2>&1 || { printf >&2 "\\n%s\\n\\n" "This repository is configured for Git LFS but 'git-lfs' was not found."; exit 2; }
git lfs HOOK "$@"
"""


def test_git_lfs_still_takes_its_hooks_for_its_own(
    bare_repository: Bare, telemetry: Telemetry, tmp_path: Path
) -> None:
    """Its `install` and `update` compare the first 1,024 bytes, stripped, with their own text, and fail at anything else."""
    repo = bare_repository()
    (tmp_path / "bin").mkdir()
    lfs = tmp_path / "bin/git-lfs"
    lfs.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/ran\nexit 5\n')
    lfs.chmod(0o755)
    repo.env["PATH"] = f"{tmp_path}/bin:{repo.env['PATH']}"
    for hook in ("post-commit", "post-merge"):
        repo.hook(hook, LFS.replace("HOOK", hook))
    before = snapshot(folder(repo))
    telemetry("git-hooks", "install", cwd=repo.path)
    installed = snapshot(folder(repo))
    assert telemetry("git-hooks", "install", "--json", cwd=repo.path).json["status"] == "unchanged"
    assert snapshot(folder(repo)) == installed
    for hook in ("post-commit", "post-merge"):
        assert (folder(repo) / hook).read_bytes()[:1024].strip() == LFS.replace(
            "HOOK", hook
        ).strip().encode()
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    assert (repo.runs_of("HEAD"), (tmp_path / "ran").read_text()) == (["run"], "post-commit\n")
    assert statuses(telemetry, repo)["post-commit"]["fires"] is True
    assert (
        subprocess.run([folder(repo) / "post-commit"], cwd=repo.path, env=repo.env).returncode == 5
    )
    with (folder(repo) / "post-merge").open("a") as file:
        file.write("echo mine\n")
    assert "edited by hand" in telemetry("git-hooks", "uninstall", cwd=repo.path, code=4).err
    telemetry("git-hooks", "install", "--force", cwd=repo.path)
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert snapshot(folder(repo)) == before
    assert not kept(repo).exists()


def test_hooks_that_are_links_to_each_other_are_installed_one_by_one(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo.hook(
        "post-commit", 'echo "$(basename "$0")" >>"$(git rev-parse --git-common-dir)/noted"\n'
    )
    (folder(repo) / "post-commit").write_text(
        "#!/bin/sh\n" + (folder(repo) / "post-commit").read_text()
    )
    (folder(repo) / "post-rewrite").symlink_to("post-commit")
    before = snapshot(folder(repo))
    for hook in ("post-rewrite", "post-commit"):
        telemetry("git-hooks", "install", "--hooks", hook, cwd=repo.path)
        repo.change()
        repo("commit", "--quiet", "--amend", "-m", "better")
        assert noted(repo)[-3:] == ["post-commit", "post-commit", "post-rewrite"]
    for hook in ("post-commit", "post-rewrite"):
        telemetry("git-hooks", "uninstall", "--hooks", hook, cwd=repo.path)
    assert snapshot(folder(repo)) == before
    assert not kept(repo).exists()


def test_what_an_earlier_hook_leaves_beside_itself_stays(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo.hook("post-commit", '#!/bin/sh\ntouch "$(dirname "$0")/seen"\n')
    telemetry("git-hooks", "install", cwd=repo.path)
    repo.change()
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert os.listdir(kept(repo)) == ["seen"]


def test_hooks_at_the_top_of_the_work_tree_cannot_be_kept(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo("config", "core.hooksPath", ".")
    path = repo.hook("post-commit", NOTING, ".")
    assert "cannot be kept" in telemetry("git-hooks", "install", cwd=repo.path, code=4).err
    assert path.read_text() == NOTING


# Upgrades


def first_release(repo: Repository, hook: str, earlier: str | None = None) -> None:
    """Install a hook as the first releases did: the earlier one beside it, as `NAME.before-telemetry`."""
    path = repo.path / ".git/hooks" / hook
    chain = (
        f'here=${{0%/*}}\nearlier=$here/{hook}.before-telemetry\ncode=0\n[ ! -x "$earlier" ] || "$earlier" "$@" || code=$?\n'
        if earlier
        else "code=0\n"
    )
    body = f'{chain}"{PROGRAM}" git-hooks fire {hook} "$@" >/dev/null 2>&1 || :\nexit "$code"\n'
    if earlier:
        repo.hook(f"{hook}.before-telemetry", earlier)
    path.write_text(
        f"#!/bin/sh\n# telemetry git hook {hashlib.sha256(body.encode()).hexdigest()[:16]}\n{body}"
    )
    path.chmod(0o755)


@pytest.fixture
def installed_before(bare_repository: Bare) -> Repository:
    repo = bare_repository()
    for hook in ("post-commit", "post-rewrite", "post-merge"):
        first_release(repo, hook, NOTING if hook == "post-commit" else None)
    return repo


def test_an_installation_of_the_first_releases_is_upgraded(
    installed_before: Repository, telemetry: Telemetry
) -> None:
    repo = installed_before
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change(env={"GIT_COMMITTER_DATE": "", "GIT_AUTHOR_DATE": ""})
    found = statuses(telemetry, repo)["post-commit"]
    assert (found["installed"], found["fires"], found["earlier"]) == (
        True,
        True,
        str(folder(repo) / "post-commit.before-telemetry"),
    )
    done = telemetry("git-hooks", "install", "--json", cwd=repo.path).json["hooks"]
    assert [row["status"] for row in done] == ["updated", "updated", "updated", "installed"]
    assert (
        done[0]["earlier"]
        == statuses(telemetry, repo)["post-commit"]["earlier"]
        == str(kept(repo) / "post-commit")
    )
    assert not (folder(repo) / "post-commit.before-telemetry").exists()
    repo.change()
    assert (noted(repo), repo.runs_of("HEAD")) == (
        ["post-commit.before-telemetry ", "post-commit "],
        ["run"],
    )
    assert telemetry("git-hooks", "install", "--json", cwd=repo.path).json["status"] == "unchanged"


@pytest.mark.parametrize("upgraded", [False, True])
def test_uninstall_restores_what_any_release_kept(
    upgraded: bool, installed_before: Repository, telemetry: Telemetry
) -> None:
    repo = installed_before
    if upgraded:
        telemetry("git-hooks", "install", cwd=repo.path)
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert {name for name in os.listdir(folder(repo)) if not name.endswith(".sample")} == {
        "post-commit"
    }
    assert (folder(repo) / "post-commit").read_text() == NOTING
    assert not kept(repo).exists()


@pytest.mark.parametrize("call", ["link", "rename", "unlink"])
@pytest.mark.parametrize("then", ["install", "uninstall"])
def test_an_upgrade_that_is_interrupted_loses_no_hook(
    call: str,
    then: str,
    installed_before: Repository,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repo = installed_before
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.EIO))
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.EIO))):
            install_here(repo)
    repo.change()
    assert [line.partition(".")[0].strip() for line in noted(repo)] == ["post-commit"]
    telemetry("git-hooks", then, cwd=repo.path)
    repo.change()
    assert noted(repo)[1:] == ["post-commit "]
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert (folder(repo) / "post-commit").read_text() == NOTING
    assert (kept(repo).exists(), (folder(repo) / "post-commit.before-telemetry").exists()) == (
        False,
        False,
    )


def test_global_options_are_kept(
    bare_repository: Bare, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo = bare_repository()
    base = tmp_path / "another base's place"
    telemetry("--base-dir", str(base), "git-hooks", "install", cwd=repo.path)
    telemetry(
        "--base-dir",
        str(base),
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
        "--event-id",
        "there",
        cwd=repo.path,
    )
    sha = repo.change()
    assert telemetry("--base-dir", str(base), "query", "--commit", sha, "-o", "ids").line == "there"
    assert not telemetry.base.exists()


def test_a_linked_work_tree_shares_the_hooks(
    bare_repository: Bare, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo = bare_repository()
    repo.change()
    repo("worktree", "add", "--quiet", str(tmp_path / "side"))
    telemetry("git-hooks", "install", cwd=tmp_path / "side")
    assert (folder(repo) / "post-commit").is_file()
    telemetry.start("--event-id", "side", cwd=tmp_path / "side")
    side = type(repo)(tmp_path / "side", telemetry)
    side.change()
    assert side.runs_of("HEAD") == ["side"]
    assert statuses(telemetry, side)["post-commit"]["fires"] is True


@pytest.mark.parametrize("where", [".githooks", "tools/git hooks"])
def test_hooks_path_inside_the_repository(
    where: str, bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo("config", "core.hooksPath", where)
    telemetry("git-hooks", "install", cwd=repo.path)
    assert (repo.path / where / "post-commit").is_file()
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["run"]


def test_hooks_path_outside_the_repository(
    bare_repository: Bare, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo = bare_repository()
    outside = tmp_path / "shared hooks"
    outside.mkdir()
    repo("config", "core.hooksPath", str(outside))
    ran = telemetry("git-hooks", "install", cwd=repo.path, code=4)
    assert "core.hooksPath" in ran.err
    assert "git-hooks fire post-commit" in ran.out
    assert list(outside.iterdir()) == []
    assert (
        telemetry("git-hooks", "install", "--json", cwd=repo.path, code=4).json["status"]
        == "refused"
    )
    # Following the advice works, and is seen to.
    (outside / "post-commit").write_text(
        "#!/bin/sh\n"
        + telemetry("git-hooks", "install", "--print", "--hooks", "post-commit", cwd=repo.path).out
    )
    (outside / "post-commit").chmod(0o755)
    telemetry.start("--event-id", "run", cwd=repo.path)
    repo.change()
    assert repo.runs_of("HEAD") == ["run"]
    assert statuses(telemetry, repo)["post-commit"]["fires"] is True


def test_a_link_that_leads_out(bare_repository: Bare, telemetry: Telemetry, tmp_path: Path) -> None:
    repo = bare_repository()
    outside = tmp_path / "outside"
    shutil.move(folder(repo), outside)
    folder(repo).symlink_to(outside)
    before = snapshot(outside)
    err = telemetry("git-hooks", "install", cwd=repo.path, code=4).err
    assert (str(outside) in err, "is a link" in err, "core.hooksPath" in err) == (True, True, False)
    assert snapshot(outside) == before


@pytest.mark.parametrize("where", ["", "/dev/null"])
def test_where_hooks_are_turned_off(
    where: str, bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    repo("config", "core.hooksPath", where)
    before = os.listdir(repo.path)
    for options in ((), ("--force",)):
        assert (
            f"core.hooksPath is {where!r}"
            in telemetry("git-hooks", "install", *options, cwd=repo.path, code=4).err
        )
    assert os.listdir(repo.path) == before
    assert [(row["installed"], row["fires"]) for row in statuses(telemetry, repo).values()] == [
        (False, False)
    ] * 4
    assert (
        telemetry("git-hooks", "uninstall", "--json", cwd=repo.path).json["status"] == "unchanged"
    )


@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
def test_where_there_is_no_repository(
    command: str, telemetry: Telemetry, make_git: Callable[..., Git]
) -> None:
    assert "no git repository" in telemetry("git-hooks", command, code=2).err
    assert "is no folder" in telemetry("git-hooks", command, "--repo", "nowhere", code=2).err
    bare = make_git("bare", "--bare")
    assert (
        "bare repository" in telemetry("git-hooks", command, "--repo", str(bare.path), code=2).err
    )


# A work tree that lies elsewhere


@pytest.fixture
def dotfiles(telemetry: Telemetry) -> Repository:
    """A bare repository beside the home directory, which is its work tree; git is told so by the environment."""
    repo = Repository(telemetry.home, telemetry)
    repo("init", "--quiet", "--bare", str(telemetry.home / ".dotfiles"))
    repo.env |= {"GIT_DIR": str(telemetry.home / ".dotfiles"), "GIT_WORK_TREE": str(telemetry.home)}
    return repo


@pytest.mark.parametrize(
    "named", ["by its directory", "by the environment", "by its config", "by relative paths"]
)
def test_a_bare_repository_with_a_work_tree_elsewhere(
    named: str, dotfiles: Repository, telemetry: Telemetry
) -> None:
    git_dir = telemetry.home / ".dotfiles"
    elsewhere = (
        {name: dotfiles.env[name] for name in ("GIT_DIR", "GIT_WORK_TREE")}
        if named == "by the environment"
        else {}
    )
    options = [] if elsewhere else ["--repo", str(git_dir)]
    if named == "by its directory":
        dotfiles.change(".profile")
    elif named == "by its config":
        dotfiles("config", "core.bare", "false")
        dotfiles("config", "core.worktree", str(telemetry.home))
    elif named == "by relative paths":
        elsewhere = {"GIT_DIR": ".dotfiles", "GIT_WORK_TREE": "."}
        options = []
    (git_dir / "hooks").mkdir(exist_ok=True)
    earlier = git_dir / "hooks/post-commit"
    earlier.write_text(f'#!/bin/sh\nbasename "$0" >{telemetry.home}/ran\n')
    earlier.chmod(0o755)
    for _ in range(2):
        telemetry("git-hooks", "install", *options, env=elsewhere, cwd=telemetry.home)
    assert {name for name in os.listdir(git_dir / "hooks") if not name.endswith(".sample")} == set(
        HOOKS
    )
    git_variables = {name: dotfiles.env[name] for name in ("GIT_DIR", "GIT_WORK_TREE")}
    telemetry.start("--event-id", "run", cwd=telemetry.home, env=git_variables)
    dotfiles.change(".profile")
    assert (dotfiles.runs_of("HEAD"), (telemetry.home / "ran").read_text()) == (
        ["run"],
        "post-commit\n",
    )
    rows = {
        row["hook"]: row
        for row in telemetry(
            "git-hooks", "status", "--json", *options, env=elsewhere, cwd=telemetry.home
        ).json
    }
    assert (rows["post-commit"]["fires"], rows["post-commit"]["path"]) == (True, str(earlier))
    telemetry("git-hooks", "uninstall", *options, env=elsewhere, cwd=telemetry.home)
    assert "git-hooks fire" not in earlier.read_text()


def test_hooks_that_a_whole_home_shares_are_outside_of_dot_files(
    dotfiles: Repository, telemetry: Telemetry
) -> None:
    dotfiles.change(".profile")
    dotfiles("config", "core.hooksPath", str(telemetry.home / ".githooks"))
    assert (
        "core.hooksPath leads out"
        in telemetry(
            "git-hooks", "install", "--repo", str(telemetry.home / ".dotfiles"), code=4
        ).err
    )


# Status


def test_status_proves_that_a_hook_fires(bare_repository: Bare, telemetry: Telemetry) -> None:
    repo = bare_repository()
    assert {row["fires"] for row in statuses(telemetry, repo).values()} == {False}
    telemetry("git-hooks", "install", cwd=repo.path)
    assert [
        (row["installed"], row["fires"], row["last_fired"])
        for row in statuses(telemetry, repo).values()
    ] == [(True, None, None)] * 4
    now = {"GIT_COMMITTER_DATE": "", "GIT_AUTHOR_DATE": ""}
    repo.change(env=now)
    found = statuses(telemetry, repo)
    assert [found[hook]["fires"] for hook in HOOKS] == [True, None, None, None]
    assert found["post-commit"]["last_fired"] is not None
    assert "fires" in telemetry("git-hooks", "status", cwd=repo.path).out


def test_a_hook_that_was_taken_away_fires_no_more(repo: Repository, telemetry: Telemetry) -> None:
    repo.change()
    assert statuses(telemetry, repo)["post-commit"]["fires"] is True
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert [(row["installed"], row["fires"]) for row in statuses(telemetry, repo).values()] == [
        (False, False)
    ] * 4


def test_a_rebase_that_rewrites_nothing_calls_no_hook(
    repo: Repository, telemetry: Telemetry
) -> None:
    now = {"GIT_COMMITTER_DATE": "", "GIT_AUTHOR_DATE": ""}
    path = folder(repo) / "post-rewrite"
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    repo.change()
    repo("branch", "behind")
    repo.change()
    repo("checkout", "--quiet", "behind")
    repo("rebase", "--quiet", "main", env=now)
    assert statuses(telemetry, repo)["post-rewrite"]["fires"] is None
    # One that does, while the hook is aside.
    path.rename(repo.path / "aside")
    repo("rebase", "--quiet", "--force-rebase", "HEAD~1", env=now)
    (repo.path / "aside").rename(path)
    assert statuses(telemetry, repo)["post-rewrite"]["fires"] is False
    # At another second, or it would make the same commit again.
    repo(
        "rebase",
        "--quiet",
        "--force-rebase",
        "HEAD~1",
        env=now | {"GIT_COMMITTER_DATE": f"{int(time.time()) + 1} +0000"},
    )
    assert statuses(telemetry, repo)["post-rewrite"]["fires"] is True


def test_an_amend_may_be_told_to_call_no_hook(repo: Repository, telemetry: Telemetry) -> None:
    now = {"GIT_COMMITTER_DATE": "", "GIT_AUTHOR_DATE": ""}
    path = folder(repo) / "post-rewrite"
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    repo.change()
    repo("commit", "--quiet", "--amend", "--no-post-rewrite", "-m", "better", env=now)
    assert statuses(telemetry, repo)["post-rewrite"]["fires"] is None
    repo("commit", "--quiet", "--amend", "-m", "best", env=now)
    assert statuses(telemetry, repo)["post-rewrite"]["fires"] is True


def test_an_old_mark_is_no_proof(bare_repository: Bare, telemetry: Telemetry) -> None:
    repo = bare_repository()
    repo.hook("post-commit", "#!/bin/sh\n")
    telemetry("git-hooks", "install", cwd=repo.path)
    repo.change()
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    found = statuses(telemetry, repo)["post-commit"]
    assert (found["installed"], found["fires"]) == (False, False)
    telemetry("git-hooks", "install", cwd=repo.path)
    found = statuses(telemetry, repo)["post-commit"]
    assert (found["installed"], found["fires"]) == (True, None)


def test_a_hook_that_cannot_be_run_does_not_fire_whatever_mark_it_left(
    repo: Repository, telemetry: Telemetry
) -> None:
    repo.change()
    (folder(repo) / "post-commit").chmod(0o644)
    found = statuses(telemetry, repo)["post-commit"]
    assert found["fires"] is False
    assert "not executable" in found["finding"]


def test_a_manager_that_has_not_put_its_hooks_there_fires_none(
    bare_repository: Bare, telemetry: Telemetry
) -> None:
    repo = bare_repository()
    (repo.path / "lefthook.yml").write_text(
        telemetry("git-hooks", "install", "--print", cwd=repo.path).out + "# lefthook\n"
    )
    found = statuses(telemetry, repo)["post-commit"]
    assert (found["through"], found["fires"]) == ("lefthook", False)
    assert "lefthook install" in found["finding"]


@pytest.mark.parametrize("trouble", ["not executable", "gone", "elsewhere"])
def test_status_proves_that_a_hook_does_not_fire(
    trouble: str, repo: Repository, telemetry: Telemetry
) -> None:
    path = folder(repo) / "post-commit"
    if trouble == "not executable":
        path.chmod(0o644)
    elif trouble == "gone":
        path.write_text(path.read_text().replace(str(PROGRAM), "/nowhere/telemetry"))
    else:
        repo("config", "core.hooksPath", "elsewhere")
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    repo.change(env={"GIT_COMMITTER_DATE": "", "GIT_AUTHOR_DATE": "", "PATH": "/usr/bin:/bin"})
    found = statuses(telemetry, repo)["post-commit"]
    assert found["fires"] is False, found
    assert found["installed"] is (trouble != "elsewhere")


def test_the_mark_stays_small_and_follows_no_link(
    repo: Repository, telemetry: Telemetry, tmp_path: Path
) -> None:
    repo.change()
    marks = repo.path / ".git/telemetry"
    (marks / "fired").write_text("2026-01-01T00:00:00.000Z\tpost-commit\tabc\tno-run\n" * 30_000)
    repo.change()
    repo.change()
    assert sum(path.stat().st_size for path in marks.iterdir()) < 2 << 20
    assert statuses(telemetry, repo)["post-commit"]["last_fired"] > "2026-02"
    shutil.rmtree(marks)
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    marks.mkdir()
    (marks / "fired").symlink_to(victim)
    repo.change()
    assert victim.read_text() == "mine\n"


@pytest.mark.parametrize("folder", [".myhooks", ".husky/_"])
def test_kept_hooks_do_not_show_up_in_git_status(
    repo: Repository, telemetry: Telemetry, folder: str
) -> None:
    repo.hook("post-commit", "exit 0", folder.removesuffix("/_"))
    if folder.endswith("/_"):
        repo.hook("h", "exit 0", folder)
    repo("config", "core.hooksPath", folder)
    repo("add", ".")
    repo("commit", "--quiet", "--message", "hooks")
    telemetry("git-hooks", "install", cwd=repo.path)
    kept = repo.path / f"{folder.removesuffix('/_')}.before-telemetry"
    assert (kept / "post-commit").exists()
    untracked = repo("status", "--short", "--untracked-files=all").splitlines()
    assert not [line for line in untracked if kept.name in line]
    telemetry("git-hooks", "uninstall", cwd=repo.path)
    assert not kept.exists()
    assert repo("status", "--short", "--untracked-files=all") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_notes_of_root_in_anothers_repository_are_the_owners(
    repo: Repository, telemetry: Telemetry
) -> None:
    telemetry.env |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    for path in (repo.path, *repo.path.rglob("*")):
        os.chown(path, 12345, 12346)
    telemetry("git-hooks", "install", cwd=repo.path)
    telemetry("git-hooks", "fire", "post-commit", cwd=repo.path)
    notes = repo.path / ".git" / "telemetry"
    found = {path: path.lstat().st_uid for path in (notes, *notes.rglob("*"))}
    assert notes / "fired" in found and set(found.values()) == {12345}, found
