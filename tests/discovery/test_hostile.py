"""A hostile repository: every program its config names would leave a marker, and none may be run.

Each trap is first proven to be live: an ordinary git command springs it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Git, Telemetry

from telemetry_cli.discovery.git import log as history
from telemetry_cli.discovery.git import process as git_process
from telemetry_cli.discovery.git.repository import Repository

Make = Callable[..., Git]
MISSING = "00000000000000000000000000000000deadbeef"
TRAPS: dict[str, tuple[Callable[["Trap"], None], list[str]]] = {}


class Trap:
    """A repository with two commits, and a program that leaves `marker` when somebody runs it."""

    def __init__(self, git: Git, folder: Path) -> None:
        self.git = git
        self.cwd = git.path
        self.marker = folder / "marker"
        self.program = folder / "evil"
        self.program.write_text(f"#!/bin/sh\necho \"$0 $*\" >>'{self.marker}'\n")
        self.program.chmod(0o755)

    def config(self, *pairs: tuple[str, str]) -> None:
        for key, value in pairs:
            self.git("config", key, value)

    def dirty(self) -> None:
        """A tracked file whose time and size are no longer those of the index."""
        (self.git.path / "file").write_text("changed, and longer\n")


def trap(*spring: str) -> Callable[[Callable[[Trap], None]], Callable[[Trap], None]]:
    """Add a trap; `spring` is the git command that falls into it."""

    def add(lay: Callable[[Trap], None]) -> Callable[[Trap], None]:
        TRAPS[lay.__name__] = (lay, list(spring))
        return lay

    return add


@trap("status")
def fsmonitor(trap: Trap) -> None:
    trap.config(("core.fsmonitor", str(trap.program)))


@trap("log", "-1")
def signature(trap: Trap) -> None:
    trap.config(("log.showSignature", "true"), ("gpg.program", str(trap.program)))
    content = trap.git("cat-file", "commit", "HEAD")
    headers, _, message = content.partition("\n\n")
    signed = f"{headers}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{message}\n"
    (trap.git.path / ".git/signed").write_text(signed)
    trap.git("update-ref", "HEAD", trap.git("hash-object", "-t", "commit", "-w", ".git/signed"))


@trap("diff")
def clean_filter(trap: Trap) -> None:
    trap.config(
        ("filter.evil.clean", str(trap.program)),
        ("filter.evil.process", str(trap.program)),
        ("filter.evil.smudge", str(trap.program)),
    )
    (trap.git.path / ".gitattributes").write_text("* filter=evil\n")
    trap.dirty()


@trap("diff")
def clean_filter_of_an_odd_name(trap: Trap) -> None:
    """In the config of this work tree, and kept by no list of names that "=" or "." divides."""
    trap.config(("extensions.worktreeConfig", "true"))
    trap.git("config", "--worktree", "filter.a=b.c.clean", str(trap.program))
    trap.git("config", "--worktree", "filter.a=b.c.required", "true")
    (trap.git.path / ".git/info/attributes").write_text("* filter=a=b.c\n")
    trap.dirty()


@trap("status")
def submodule(trap: Trap) -> None:
    """git asks about it by another git, which reads the submodule's config."""
    inner = Git(trap.git.path / "inner", trap.git.path.parent)
    inner.path.mkdir()
    inner("init", "--quiet")
    inner.commit("inside")
    trap.git("-c", "advice.addEmbeddedRepo=false", "add", "inner")
    trap.git.commit("with a submodule")
    inner("config", "core.fsmonitor", str(trap.program))


@trap("diff")
def external_diff(trap: Trap) -> None:
    trap.config(("diff.external", str(trap.program)))
    trap.dirty()


@trap("diff")
def textconv(trap: Trap) -> None:
    trap.config(("diff.evil.textconv", str(trap.program)))
    (trap.git.path / ".gitattributes").write_text("* diff=evil\n")
    trap.dirty()


def partial_clone(trap: Trap, url: str, *pairs: tuple[str, str]) -> None:
    """Objects that are missing would be fetched."""
    trap.config(
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", url),
        *pairs,
    )


@trap("cat-file", "-t", MISSING)
def partial_clone_over_ssh(trap: Trap) -> None:
    partial_clone(trap, "ssh://host.invalid/x", ("core.sshCommand", str(trap.program)))


@trap("cat-file", "-t", MISSING)
def partial_clone_through_a_helper(trap: Trap) -> None:
    partial_clone(
        trap, f"ext::{trap.program}", ("protocol.ext.allow", "always"), ("protocol.allow", "always")
    )


@trap("cat-file", "-t", MISSING)
def partial_clone_of_a_folder(trap: Trap) -> None:
    partial_clone(
        trap,
        str(trap.git.path),
        ("remote.origin.uploadpack", str(trap.program)),
        ("protocol.file.allow", "always"),
    )


@trap("commit", "--allow-empty", "-m", "x")
def hooks(trap: Trap) -> None:
    folder = trap.git.path / ".git/traps"
    folder.mkdir()
    for name in (
        "pre-commit",
        "post-commit",
        "reference-transaction",
        "post-index-change",
        "post-checkout",
        "fsmonitor-watchman",
        "post-rewrite",
    ):
        (folder / name).symlink_to(trap.program)
    trap.config(("core.hooksPath", str(folder)))


@trap("status")
def embedded_bare_repository(trap: Trap) -> None:
    trap.cwd = trap.git.path / "embedded"
    (trap.cwd / "refs").mkdir(parents=True)
    (trap.cwd / "objects").mkdir()
    (trap.cwd / "HEAD").write_text("ref: refs/heads/embedded\n")
    (trap.cwd / "config").write_text(
        f'[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = "{trap.program}"\n'
    )


@trap("rev-list", "--alternate-refs", "HEAD")
def alternate_refs(trap: Trap) -> None:
    other = Git(trap.git.path.parent / "alternate", trap.git.path.parent)
    other.path.mkdir()
    other("init", "--quiet")
    other.commit("there")
    (trap.git.path / ".git/objects/info/alternates").write_text(f"{other.path}/.git/objects\n")
    trap.config(("core.alternateRefsCommand", str(trap.program)))


@pytest.fixture
def laid(request: pytest.FixtureRequest, make_git: Make, tmp_path: Path) -> Trap:
    """The trap named by the parameter."""
    git = make_git()
    (git.path / "file").write_text("content\n")
    git("add", "file")
    git.commit("one")
    git.commit("two")
    trap = Trap(git, tmp_path)
    TRAPS[request.param][0](trap)
    git("config", "include.path", "nothing")  # git itself has to be asked for the remote
    return trap


@pytest.mark.parametrize(
    ("laid", "spring"),
    [(name, spring) for name, (_, spring) in TRAPS.items()],
    indirect=["laid"],
    ids=list(TRAPS),
)
def test_trap_is_live(laid: Trap, spring: list[str]) -> None:
    subprocess.run(
        ["git", *spring],
        cwd=laid.cwd,
        env=laid.git.env,
        capture_output=True,
        input=b"",
        timeout=60,
        check=False,
    )
    assert laid.marker.exists()


COMMANDS = {
    "start": ["run", "start", "--agent-name", "a", "--job-type", "j"],
    "head": ["associate-commit", "EVENT"],
    "revision": ["associate-commit", "EVENT", "--commit", "HEAD~1"],
    "unknown": ["associate-commit", "EVENT", "--commit", MISSING],
    "unknown and short": ["associate-commit", "EVENT", "--commit", MISSING[-9:]],
}
#: What asks more of git; some of it fails in some of these repositories.
ASKING = {
    "log": ["log", "--json"],
    "log with lines": ["log"],
    "blame": ["blame", "file"],
    "range": ["query", "--commit", "HEAD~1..HEAD"],
    "relink": ["commits", "relink"],
    "hooks": ["git-hooks", "status"],
    "print": ["git-hooks", "install", "--print"],
    "doctor": ["doctor", "--commit", "HEAD"],
    "release": ["hooks", "release", "hook", "--script", "hook.sh", "--contract", "contract.json"],
    "dirty release": [
        "hooks",
        "release",
        "hook",
        "--script",
        "hook.sh",
        "--contract",
        "contract.json",
        "--source-ref",
        "x",
        "--allow-dirty",
    ],
    "deploy": ["conventions", "deploy", "convention.toml", "--dry-run"],
    "post-commit": ["git-hooks", "fire", "post-commit"],
    "post-rewrite": ["git-hooks", "fire", "post-rewrite", "amend"],
    "post-merge": ["git-hooks", "fire", "post-merge", "0"],
    "post-applypatch": ["git-hooks", "fire", "post-applypatch"],
}


def write_hook(folder: Path) -> None:
    """Write a program that can be released, and a convention with it."""
    (folder / "hook.sh").write_text("#!/bin/sh\n")
    (folder / "contract.json").write_text('{"columns": [{"name": "v", "type": "integer"}]}')
    hook = '[[hooks]]\nname = "hook"\nscript = "hook.sh"\ncontract = "contract.json"\n'
    (folder / "convention.toml").write_text(
        f'title = "All"\ndescription = "d"\njob_types = ["j"]\n{hook}'
    )


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
@pytest.mark.parametrize("laid", TRAPS, indirect=True)
def test_nothing_is_executed(laid: Trap, packed: bool, telemetry: Telemetry) -> None:
    if packed:
        laid.git(
            "repack",
            "-a",
            "-d",
            "--quiet",
            env={
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "core.alternateRefsCommand",
                "GIT_CONFIG_VALUE_0": "true",
            },
        )
        laid.marker.unlink(missing_ok=True)
    event = telemetry.start("--no-git")
    for name, command in COMMANDS.items():
        telemetry(*(event if word == "EVENT" else word for word in command), cwd=laid.cwd)
        assert not laid.marker.exists(), name
    hashes = [row[0] for row in telemetry.sql("SELECT commit_hash FROM run_commits ORDER BY id")]
    assert hashes == [
        laid.git("rev-parse", "HEAD"),
        laid.git("rev-parse", "HEAD~1"),
        MISSING,
        MISSING[-9:],
    ]
    write_hook(laid.cwd)
    for name, command in ASKING.items():
        telemetry(*command, cwd=laid.cwd, code=None)
        assert not laid.marker.exists(), name


@pytest.mark.parametrize(
    "laid", ["textconv", "external_diff", "clean_filter", "signature"], indirect=True
)
def test_nothing_is_executed_to_compare_commits(laid: Trap, telemetry: Telemetry) -> None:
    """relink and the lines of a log look at differences; the traps are sprung by those that are committed."""
    laid.git(
        "add",
        "--all",
        env={
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "filter.evil.clean",
            "GIT_CONFIG_VALUE_0": "cat",
        },
        check=False,
    )
    laid.git("-c", "filter.evil.process=", "commit", "--quiet", "--all", "-m", "lost", check=False)
    laid.git(
        "-c",
        "filter.evil.process=",
        "-c",
        "filter.evil.clean=cat",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "lost",
    )
    event = telemetry.start("--no-git")
    for revision in ("HEAD", "HEAD~1"):
        telemetry("associate-commit", event, "--commit", revision, cwd=laid.cwd)
    laid.git("reset", "--soft", "HEAD~2")
    # Git may ask the filter whether the file has changed, if that is as young as the index.
    laid.git(
        "-c",
        "filter.evil.process=",
        "-c",
        "filter.evil.clean=cat",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "again",
    )
    laid.marker.unlink(missing_ok=True)
    rows = telemetry("commits", "relink", "--json", cwd=laid.cwd).json
    assert rows
    telemetry("log", cwd=laid.cwd)
    telemetry("blame", "file", cwd=laid.cwd)
    assert not laid.marker.exists()


@pytest.mark.parametrize("laid", ["embedded_bare_repository"], indirect=True)
def test_the_repository_around_an_embedded_one_is_meant(laid: Trap, telemetry: Telemetry) -> None:
    run = telemetry.run(telemetry.start(cwd=laid.cwd))
    assert (run["git_branch"], run["git_dir"]) == ("main", str(laid.git.path / ".git"))
    telemetry("associate-commit", "@last", "--repo", str(laid.cwd), code=None)
    assert not laid.marker.exists()


#: Runs commands one after another in a process that waits for a git that sleeps for a moment only, and
#: prints their exit codes as JSON on the last line.
IMPATIENT = """
import json, sys
from telemetry_cli.discovery.git import process
process.STALL_SECONDS = 0.2
from telemetry_cli.cli.main import main
codes = [main(argv) for argv in json.loads(sys.argv[1])]
sys.stdout.flush()
print(json.dumps(codes))
"""


def run_impatiently(telemetry: Telemetry, cwd: Path, *commands: list[str]) -> tuple[list[int], str]:
    """Return the exit codes of commands, and their stderr."""
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT, json.dumps(commands)],
        env=telemetry.env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    codes: list[int] = json.loads(done.stdout.splitlines()[-1])
    return codes, done.stderr


def test_include_of_a_fifo_does_not_hang(make_git: Make, telemetry: Telemetry) -> None:
    git = make_git()
    sha = git.commit()
    os.mkfifo(git.path / ".git/fifo")
    with (git.path / ".git/config").open("a") as config:
        config.write("[include]\n\tpath = fifo\n")
    codes, errors = run_impatiently(
        telemetry,
        git.path,
        ["run", "start", "--agent-name", "a", "--job-type", "j"],
        ["associate-commit", "@last"],
        ["associate-commit", "@last", "--commit", sha],
    )
    assert codes == [0, 0, 0], errors
    run = telemetry.run("@last")
    assert (run["git_branch"], run["git_repo"], run["git_commit_hash"]) == ("main", None, sha)


WAITING: dict[str, tuple[str, list[str]]] = {
    "config": (".git/config", ["log"]),
    "references": (".git/packed-refs", ["query", "--commit", "HEAD~1..HEAD"]),
    "mailmap": (".mailmap", ["blame", "file"]),
    "index": (
        ".git/index",
        ["hooks", "release", "hook", "--script", "hook.sh", "--contract", "contract.json"],
    ),
    "attributes": (".gitattributes", ["conventions", "deploy", "convention.toml"]),
    "grafts": (".git/info/grafts", ["commits", "relink"]),
}


@pytest.mark.parametrize("name", WAITING)
def test_fifo_where_git_reads_a_file_is_given_up(
    make_git: Make, telemetry: Telemetry, name: str
) -> None:
    path, command = WAITING[name]
    git = make_git()
    (git.path / "file").write_text("content\n")
    write_hook(git.path)
    git("add", ".")
    git.commit("one")
    git.commit("two")
    telemetry("associate-commit", telemetry.start(cwd=git.path), cwd=git.path)
    (git.path / path).unlink(missing_ok=True)
    os.mkfifo(git.path / path)
    codes, errors = run_impatiently(telemetry, git.path, command)
    assert codes == [2] and "telemetry: error: " in errors


@pytest.mark.parametrize(
    "place",
    [
        "core.attributesFile",
        "core.excludesFile",
        "core.hooksPath",
        "core.worktree",
        "include.path",
        "mailmap.file",
        "blame.ignoreRevsFile",
        "commit.template",
        "info/attributes",
        "info/exclude",
        "info/grafts",
        "info/sparse-checkout",
        "objects/info/alternates",
        "shallow",
        "hooks",
        "logs/HEAD",
    ],
)
def test_no_command_waits_for_a_fifo(make_git: Make, telemetry: Telemetry, place: str) -> None:
    git = make_git()
    write_hook(git.path)
    git("add", ".")
    git.commit("one")
    git.commit("two")
    telemetry("associate-commit", telemetry.start(cwd=git.path), cwd=git.path)
    path = git.path / ".git" / ("fifo" if "." in place else place)
    if "." in place:
        git("config", place, str(path))
    elif path.is_dir():
        path.rename(path.with_name("moved"))
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    codes, errors = run_impatiently(
        telemetry,
        git.path,
        ["log", "-o", "csv"],
        ["blame", "hook.sh", "-o", "csv"],
        ["query", "--commit", "HEAD~1..HEAD", "-o", "csv"],
        ["commits", "relink"],
        ["doctor", "--commit", "HEAD"],
        ["git-hooks", "status"],
        ["git-hooks", "install"],
        ["hooks", "release", "hook", "--script", "hook.sh", "--contract", "contract.json"],
        ["run", "start", "--agent-name", "a", "--job-type", "j"],
        ["associate-commit", "@last"],
    )
    assert set(codes) <= {0, 1, 2, 3, 4}, (codes, errors)
    assert codes[8] == 0, (codes, errors)


@pytest.mark.parametrize(
    "setting",
    [
        "core.attributesFile",
        "core.excludesFile",
        "mailmap.file",
        "diff.orderFile",
        "blame.ignoreRevsFile",
    ],
)
def test_fifo_that_a_setting_names_is_not_read(
    make_git: Make, telemetry: Telemetry, setting: str
) -> None:
    git = make_git()
    write_hook(git.path)
    git("add", ".")
    git.commit()
    os.mkfifo(git.path / ".git/fifo")
    git("config", setting, str(git.path / ".git/fifo"))
    telemetry.start("--no-git")
    assert len(telemetry("log", "-o", "csv", cwd=git.path).out.splitlines()) == 2
    telemetry("log", cwd=git.path)
    telemetry("blame", "hook.sh", cwd=git.path)
    telemetry(
        "hooks",
        "release",
        "hook",
        "--script",
        "hook.sh",
        "--contract",
        "contract.json",
        cwd=git.path,
    )


def put_git(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Repository:
    """Put a program in git's place, once GitPython has found the real one."""
    import git  # noqa: F401

    (folder / "bin").mkdir()
    (folder / "bin" / "git").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git_process, "STALL_SECONDS", 0.05)
    return Repository(str(folder), None, seconds=60.0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_git_that_sleeps_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = put_git(
        tmp_path, monkeypatch, f"echo $$ >{tmp_path}/pid\necho some\nexec sleep 3600"
    )
    assert repository.ask("log") is None
    with pytest.raises(history.Unanswered):
        list(history.stream(repository, "log"))
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_git_that_computes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = put_git(
        tmp_path, monkeypatch, "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; echo done"
    )
    assert repository.ask("log") == b"done\n"
    assert list(history.stream(repository, "log")) == [b"done\n"]


def test_git_that_fails_at_all_is_named(
    tmp_path: Path, telemetry: Telemetry, make_git: Make
) -> None:
    git = make_git()
    git.commit()
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    telemetry.start("--no-git")
    # GitPython is imported, and runs git, in a process of its own.
    telemetry.in_processes = True
    path = f"{program.parent}{os.pathsep}{telemetry.env['PATH']}"
    ran = telemetry("log", cwd=git.path, env={"PATH": path}, code=2)
    assert "telemetry: error: git could not be run" in ran.err


def test_git_is_started_in_one_place() -> None:
    package = Path(git_process.__file__).parents[2]
    texts = {path: path.read_text() for path in package.rglob("*.py")}
    starts = [
        str(path.relative_to(package))
        for path, text in texts.items()
        if '"git"' in text
        and any(word in text for word in ("spawn", "subprocess", "os.exec", "Popen"))
    ]
    assert starts == ["discovery/git/process.py"]
