"""The git repository around a folder, read from git's own files; git itself is asked for what they do not tell plainly.

Only plumbing that runs nothing a repository's config names: `rev-parse`, `config`, `cat-file` (measured on git 2.39;
`log`, `show`, `status` and `diff` do run such programs). Every git process has a deadline, and no `GIT_*` of a hook that
we run in reaches it: those name the hook's repository, not the one asked for.
"""

import os
import time
import zlib

from telemetry_cli.discover import remotes
from telemetry_cli.redact import remote_without_credentials

DEADLINE_SECONDS = 1.0
_MOST_OUTPUT = 1 << 20
#: What of git's environment is the user's own and not one repository's; beginnings of names.
_KEPT_VARIABLES = ("GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_SAFETY = ("-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit", "--no-optional-locks", "--no-replace-objects")


class Repository:
    """A repository: `git_dir` is the (work tree's own) git directory, `common_dir` the one with config and objects; both absolute."""

    def __init__(self, git_dir: str, work_tree: str | None) -> None:
        self.git_dir = git_dir
        self.work_tree = work_tree
        common = _read(os.path.join(git_dir, "commondir")).strip()
        self.common_dir = os.path.normpath(os.path.join(git_dir, common)) if common else git_dir

    @property
    def name(self) -> str:
        """The repository's name by its folder."""
        return os.path.basename(self.work_tree or self.git_dir.removesuffix(".git").rstrip("/"))


class Commit:
    """A commit's SHA, author (`Name <email>`) and committer time (ISO 8601 with its zone); the last two null when unknown."""

    def __init__(self, sha: str, author: str | None = None, timestamp: str | None = None) -> None:
        self.sha = sha
        self.author = author
        self.timestamp = timestamp


# The repository


def find(path: str | None) -> Repository | None:
    """The repository around `path`, or around the working folder when `path` is None.

    A bare repository counts only when `path` names it: one that lies inside somebody's work tree could be a trap. None
    when there is no repository, or when it belongs to somebody else and git would refuse it too.
    """
    try:
        folder = os.path.abspath(path) if path is not None else os.getcwd()
        if path is not None and _is_git_dir(folder) and os.path.basename(folder) != ".git":
            return _if_ours(Repository(folder, None))
        while True:
            git_dir = _git_dir_of(folder)
            if git_dir:
                return _if_ours(Repository(git_dir, folder))
            parent = os.path.dirname(folder)
            if parent == folder:
                return None
            folder = parent
    except (OSError, ValueError):
        return None


def _git_dir_of(folder: str) -> str | None:
    """The git directory of a work tree whose top is `folder`: its `.git`, or where the file of that name points."""
    path = os.path.join(folder, ".git")
    pointer = _read(path)
    if pointer.startswith("gitdir: "):
        path = os.path.normpath(os.path.join(folder, pointer[8:].rstrip("\n")))
    return path if _is_git_dir(path) else None


def _is_git_dir(path: str) -> bool:
    head = os.path.join(path, "HEAD")
    if not os.path.isfile(head) and not os.path.islink(head):
        return False
    return os.path.isfile(os.path.join(path, "commondir")) or (os.path.isdir(os.path.join(path, "objects")) and os.path.isdir(os.path.join(path, "refs")))


def _if_ours(repository: Repository) -> Repository | None:
    """The repository, unless it belongs to somebody else: then git itself decides (`safe.directory`, sudo)."""
    owners = {os.lstat(path).st_uid for path in (repository.git_dir, repository.common_dir, repository.work_tree) if path}
    if owners == {os.geteuid()} or _git(repository, "rev-parse", "--git-dir") is not None:
        return repository
    return None


def _read(path: str) -> str:
    """A small file's text, empty when it is not to be had."""
    try:
        # Non-blocking: in somebody's checkout a file of this name may be a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 65536).decode(errors="surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


# Branch and remote


def branch(repository: Repository) -> str | None:
    """The branch that is checked out (also one without a commit), or None when HEAD is detached."""
    head = _read(os.path.join(repository.git_dir, "HEAD")).strip()
    if head == "ref: refs/heads/.invalid":  # the reftable format keeps HEAD elsewhere
        head = "ref: " + (_git(repository, "symbolic-ref", "-q", "HEAD") or b"").decode(errors="replace").strip()
    return storable(head.removeprefix("ref: refs/heads/")) if head.startswith("ref: refs/heads/") else None


def remote(repository: Repository) -> str | None:
    """The URL of origin, else of the only remote, else None; without credentials."""
    urls = _remote_urls(_read(os.path.join(repository.common_dir, "config")))
    if urls is None:
        listed = _git(repository, "config", "--null", "--get-regexp", r"^remote\..*\.url$") or b""
        urls = {}
        for entry in listed.decode(errors="surrogateescape").split("\0"):
            key, _, value = entry.partition("\n")
            if value:
                urls.setdefault(key[7:-4], value)
    url = urls.get("origin") or (next(iter(urls.values())) if len(urls) == 1 else None)
    return storable(remote_without_credentials(url)) if url else None


def _remote_urls(config: str) -> dict[str, str] | None:
    """Remote → its first URL, from a plain config file; None when the file has more to it than this reads (includes, escapes)."""
    urls: dict[str, str] = {}
    section: str | None = None
    for raw in config.splitlines():
        line = raw.strip()
        if line.startswith("["):
            header = line[1:].partition("]")[0]
            if not line.endswith("]") or header.lower().startswith("include"):
                return None
            kind, _, name = header.partition(" ")
            section = name.strip().strip('"') if kind.lower() == "remote" else None
            if kind.lower().startswith("remote") and (not section or "\\" in section):
                return None
        elif section is not None and line[:3].lower() == "url":
            key, _, value = line.partition("=")
            value = value.strip()
            if key.strip().lower() != "url":
                continue
            if not value or any(char in value for char in '"\\;#'):
                return None
            urls.setdefault(section, value)
    return urls


def run_tag(repository: Repository, url: str | None, branch_name: str | None) -> str | None:
    """`name/branch`, the name from the remote where there is one; None when HEAD is detached."""
    if branch_name is None:
        return None
    name = remotes.name(url) if url else None
    return storable(f"{name or repository.name}/{branch_name}")


def storable(text: str) -> str | None:
    """Text that can be stored, else None: a name that is not UTF-8 cannot, and null is better than a wrong one."""
    return text if text.isascii() or text.isprintable() else None


# Commits


def head(repository: Repository) -> Commit | None:
    """The commit that is checked out, or None before the first one."""
    sha = _head_sha(repository)
    if sha:
        content = _loose_object(repository, sha)
        if content:
            return _parse(sha, content)
    return commit(repository, "HEAD") or (Commit(sha) if sha else None)


def _head_sha(repository: Repository) -> str | None:
    """HEAD's SHA as the files tell it; None when they do not (no commit yet, or refs kept otherwise)."""
    value: str = _read(os.path.join(repository.git_dir, "HEAD")).strip()
    folders = (repository.git_dir, repository.common_dir)
    for _ in range(5):
        if not value.startswith("ref: "):
            return value if _is_sha(value) else None
        name = value[5:]
        if ".." in name or name.startswith("/"):
            return None
        loose = (_read(os.path.join(folder, name)).strip() for folder in folders)
        value = next(filter(None, loose), "") or _packed_ref(repository, name)
    return None


def _packed_ref(repository: Repository, name: str) -> str:
    try:
        with open(os.path.join(repository.common_dir, "packed-refs"), encoding="utf-8", errors="surrogateescape") as file:
            return next((line[: line.index(" ")] for line in file if line.rstrip("\n").endswith(" " + name)), "")
    except OSError:
        return ""


def _is_sha(text: str) -> bool:
    return len(text) in (40, 64) and all(char in "0123456789abcdef" for char in text)


def _loose_object(repository: Repository, sha: str) -> bytes | None:
    """A commit's content where it lies in a file of its own, as a fresh one does."""
    try:
        with open(os.path.join(repository.common_dir, "objects", sha[:2], sha[2:]), "rb") as file:
            content = zlib.decompressobj().decompress(file.read(_MOST_OUTPUT), _MOST_OUTPUT)
    except (OSError, zlib.error):
        return None
    kind, _, body = content.partition(b"\0")
    return body if kind.startswith(b"commit ") else None


def commit(repository: Repository, revision: str) -> Commit | None:
    """The commit that a revision means to git, or None when it means none (unknown, or a tree or blob)."""
    answer = _git(repository, "cat-file", "--batch", stdin=f"{revision}^{{commit}}\n")
    first, _, content = (answer or b"").partition(b"\n")
    sha, _, kind = first.decode(errors="replace").partition(" ")
    return _parse(sha, content) if kind.startswith("commit ") and _is_sha(sha) else None


def knows(repository: Repository, revision: str) -> bool:
    """Tell whether a revision means any object here, or several."""
    answer = _git(repository, "cat-file", "--batch-check", stdin=f"{revision}\n") or b""
    return bool(answer) and not answer.rstrip(b"\n").endswith(b" missing")


def _parse(sha: str, content: bytes) -> Commit:
    """A commit object's headers: `author Name <email> SECONDS ZONE`, and the time the committer line gives."""
    headers: dict[bytes, bytes] = {}
    for line in content.partition(b"\n\n")[0].split(b"\n"):
        key, _, value = line.partition(b" ")
        headers.setdefault(key, value)
    try:
        encoding = headers.get(b"encoding", b"utf-8").decode("ascii")
        author = headers.get(b"author", b"").rpartition(b">")[0].decode(encoding, "replace")
    except (LookupError, UnicodeDecodeError):
        author = headers.get(b"author", b"").rpartition(b">")[0].decode(errors="replace")
    return Commit(sha, f"{author}>".replace("\0", "") if author else None, _committed_at(headers.get(b"committer", b"")))


def _committed_at(committer: bytes) -> str | None:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(int(committer.rpartition(b">")[2].split()[0]), UTC).isoformat()
    except (ValueError, IndexError, OverflowError, OSError):
        return None


# Asking git


def _git(repository: Repository, *arguments: str, stdin: str = "") -> bytes | None:
    """Run one git plumbing command on a repository. Returns its output, or None on failure, time-out or without git.

    `posix_spawn` by hand: importing subprocess costs more than git takes to answer.
    """
    # Not --git-dir, which would switch git's own check of the owner off.
    bare = ("-c", "safe.bareRepository=all")
    import select
    from signal import SIGKILL

    directory = (*bare, "-C", repository.git_dir) if repository.work_tree is None else ("-C", repository.work_tree)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_KEPT_VARIABLES)}
    # A partial clone would fetch a missing object, through whatever program its config names.
    environment |= {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    ends: list[int] = []
    try:
        question = stdin.encode(errors="surrogateescape")
        ends += os.pipe()
        ends += os.pipe()
        child_in, to_child, from_child, child_out = ends
        actions = [(os.POSIX_SPAWN_DUP2, child_in, 0), (os.POSIX_SPAWN_DUP2, child_out, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        child = os.posix_spawnp("git", ["git", *_SAFETY, *directory, *arguments], environment, file_actions=actions)
    except (OSError, ValueError):
        for end in ends:
            os.close(end)
        return None
    os.close(child_in)
    os.close(child_out)
    try:
        if len(question) <= select.PIPE_BUF:
            os.write(to_child, question)
    except OSError:
        pass
    finally:
        os.close(to_child)
    output, in_time = _collect(from_child)
    os.close(from_child)
    if not in_time:
        os.kill(child, SIGKILL)
    _, status = os.waitpid(child, 0)
    return output if in_time and status == 0 else None


def _collect(descriptor: int) -> tuple[bytes, bool]:
    """Everything up to the end or `_MOST_OUTPUT`, and whether that came before the deadline."""
    import select

    deadline = time.monotonic() + DEADLINE_SECONDS
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    chunks: list[bytes] = []
    size = 0
    while size < _MOST_OUTPUT:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"".join(chunks), False
        chunk = os.read(descriptor, 65536)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks), True
