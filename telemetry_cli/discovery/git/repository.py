"""The git repository around a folder, read from git's own files; git itself is asked for what they do not tell plainly.

Only plumbing that runs nothing a repository's config names: `rev-parse`, `symbolic-ref`, `config`, `cat-file` (measured
on git 2.39; `log`, `show`, `status` and `diff` do run such programs). All that is asked about one repository together
has one deadline.
"""

import os
import stat
import time
import zlib
from datetime import datetime

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.discovery.git import process as git_process
from telemetry_cli.discovery.git import remotes
from telemetry_cli.redaction.redactor import remote_without_credentials

DEADLINE_SECONDS = 1.0
_LARGEST_CONFIG = 64 * 1024
_LARGEST_OBJECT = 1 << 20
_LARGEST_PACKED_REFS = 16 << 20
#: Encodings that a commit may name; others could yield text that is none.
_ENCODINGS = (
    "utf-8",
    "utf8",
    "ascii",
    "us-ascii",
    "latin",
    "iso-8859-",
    "iso8859-",
    "cp125",
    "windows-125",
    "euc-",
    "shift",
    "sjis",
    "gb",
    "big5",
    "koi8-",
)


class Repository:
    """A repository: `git_dir` is the (work tree's own) git directory, `common_dir` the one with config and objects; both absolute."""

    def __init__(
        self, git_dir: str, work_tree: str | None, seconds: float = DEADLINE_SECONDS
    ) -> None:
        """`seconds`: how long all that git is asked about it may take together."""
        self.git_dir = git_dir
        self.work_tree = work_tree
        self.deadline = time.monotonic() + seconds
        common = _text(os.path.join(git_dir, "commondir")).strip()
        self.common_dir = os.path.realpath(os.path.join(git_dir, common)) if common else git_dir

    @property
    def name(self) -> str:
        """The repository's name by its directory; of a linked work tree, by the main one's.

        A git directory with a hidden name, or one that a `.git` file beside it names, is called by the directory around it.
        """
        folder, name = os.path.split(self.common_dir)
        is_inside = name.startswith(".") or _git_dir_in(folder) == self.common_dir
        return os.path.basename(folder if is_inside else self.common_dir).removesuffix(".git")

    @property
    def folder(self) -> str:
        """Where git is run to be asked about this repository."""
        return self.work_tree or self.git_dir

    def ask(
        self, *arguments: str, question: str = "", most: int = git_process.MOST_OUTPUT
    ) -> bytes | None:
        """git's answer about this repository (cut at `most` bytes), or None."""
        return git_process.ask(
            self.folder,
            self.work_tree is None,
            arguments,
            question.encode(errors="surrogateescape"),
            self.deadline,
            most,
        )


class Commit:
    """A commit's SHA, author (`Name <email>`), committer time (ISO 8601 with its zone; both null when unknown), and its parents' SHAs."""

    def __init__(
        self,
        sha: str,
        author: str | None = None,
        timestamp: str | None = None,
        parents: tuple[str, ...] = (),
    ) -> None:
        self.sha = sha
        self.author = author
        self.timestamp = timestamp
        self.parents = parents


# The repository


def find(
    path: str | None, seconds: float = DEADLINE_SECONDS, *, is_hook: bool = False
) -> Repository | None:
    """Return the repository around `path`, or the one meant here when `path` is None; git has `seconds` for all questions.

    Found as git finds it: no further up than `GIT_CEILING_DIRECTORIES` or a mount point lets it look. Without a path, `GIT_DIR`
    counts too; `is_hook` tells that git runs us as a hook (see `_named_or_around`). A bare repository counts only when `path` or
    `GIT_DIR` names it: one that lies inside somebody's work tree could be a trap. None when there is no repository, when a
    `.git` file leads nowhere, or when the repository belongs to somebody else and git refuses to read it (see `refusal`).
    """
    try:
        found = _locate(path, seconds, is_hook=is_hook)
        return found if found and _is_ours(found) else None
    except (OSError, ValueError):
        return None


def refusal(path: str | None, option: str = "") -> InvalidInput | None:
    """The error where `find` gives no repository though there is one: whose it is, and the command that makes git read it.

    None where there is none, or it is ours to read. `option`: what the message begins with.
    """
    try:
        found = _locate(path, DEADLINE_SECONDS)
        if found is None or _is_ours(found):
            return None
        owner = next(uid for uid in _owners(found) if uid != os.geteuid())
    except (OSError, ValueError):
        return None
    whose = f"the repository {found.folder} belongs to {_user(owner)}, and git does not read it for {_user(os.geteuid())}"
    return InvalidInput(
        f"{option}: {whose}" if option else whose,
        f"If you trust it: git config --global --add safe.directory {found.folder}",
    )


def no_repository(path: str | None, hint: str, option: str = "--repo") -> InvalidInput:
    """The error for a command that needs a repository where `find` gives none. `path`: what `option` named, if it was given."""
    if path is None:
        return refusal(None) or InvalidInput("there is no git repository here", hint)
    return refusal(path, option) or InvalidInput(
        f"{option}: there is no git repository around {rules.shorten(path)!r}", hint
    )


def _locate(path: str | None, seconds: float, *, is_hook: bool = False) -> Repository | None:
    """The same as `find`, whoever owns it. Raises OSError and ValueError."""
    if path is None:
        folder = os.getcwd()
        return _named_or_around(folder, _locate_above(folder, seconds), seconds, is_hook=is_hook)
    folder = os.path.realpath(path)
    if os.path.basename(folder) != ".git" and _is_git_dir(folder):
        return Repository(folder, None, seconds)
    return _locate_above(folder, seconds)


def _named_or_around(
    folder: str, around: Repository | None, seconds: float, *, is_hook: bool
) -> Repository | None:
    """Choose between the repository that `GIT_DIR` names and the one `around` the working directory `folder`.

    A hook hands `GIT_DIR` on to everything that it starts, also in other repositories. So it counts in the hook itself,
    outside any other repository, and inside the work tree that `GIT_WORK_TREE` names.
    """
    named, work_tree = os.environ.get("GIT_DIR"), os.environ.get("GIT_WORK_TREE")
    git_dir = os.path.realpath(named) if named else ""
    if not git_dir or not _is_git_dir(git_dir):
        return around
    if around and os.path.samefile(git_dir, around.git_dir):
        return around
    if around and not is_hook and not (work_tree and is_below(folder, work_tree)):
        return around
    # Its work tree has no .git that leads back to it, so git is asked in the git directory itself.
    return Repository(git_dir, None, seconds)


def is_below(folder: str, above: str) -> bool:
    """Tell whether `folder` is the directory `above` or lies in it, links followed."""
    real = os.path.realpath(above)
    return os.path.commonpath([os.path.realpath(folder), real]) == real


def _locate_above(folder: str, seconds: float) -> Repository | None:
    """The repository whose work tree `folder`, a real path, lies in. Raises OSError and ValueError."""
    ceilings, device = _ceilings(), None if _crosses_mounts() else os.stat(folder).st_dev
    while True:
        git_dir = _git_dir_in(folder)
        if _is_git_dir(git_dir):
            return Repository(git_dir, folder, seconds)
        parent = os.path.dirname(folder)
        if parent == folder or parent in ceilings or os.path.isfile(os.path.join(folder, ".git")):
            return None
        if device is not None and os.stat(parent).st_dev != device:
            return None
        folder = parent


def _git_dir_in(folder: str) -> str:
    """The git directory that a directory's `.git` is or names; there need be none. A line end of Windows is git's to read too."""
    inside = os.path.join(folder, ".git")
    pointer = _text(inside)
    if pointer.startswith("gitdir: "):
        return os.path.realpath(os.path.join(folder, pointer[8:].rstrip("\r\n")))
    return os.path.realpath(inside) if os.path.islink(inside) else inside


def _ceilings() -> set[str]:
    """The directories that git does not look into on its way up; those behind an empty entry are taken as they are written."""
    found: set[str] = set()
    as_written = False
    for path in os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep):
        as_written = as_written or not path
        if os.path.isabs(path):
            found.add(os.path.normpath(path) if as_written else os.path.realpath(path))
    return found


def _crosses_mounts() -> bool:
    return os.environ.get("GIT_DISCOVERY_ACROSS_FILESYSTEM", "").lower() not in (
        "",
        "0",
        "false",
        "no",
        "off",
    )


def _is_git_dir(path: str) -> bool:
    if not _head(path).startswith("ref: refs/") and not is_sha(_head(path)):
        return False
    return os.path.isfile(os.path.join(path, "commondir")) or (
        os.path.isdir(os.path.join(path, "objects")) and os.path.isdir(os.path.join(path, "refs"))
    )


def _is_ours(repository: Repository) -> bool:
    """Tell whether a repository is ours to read; where it belongs to somebody else, git itself decides (`safe.directory`, sudo)."""
    return (
        _owners(repository) == {os.geteuid()}
        or repository.ask("rev-parse", "--git-dir") is not None
    )


def _owners(repository: Repository) -> set[int]:
    return {
        os.lstat(path).st_uid
        for path in (repository.git_dir, repository.common_dir, repository.work_tree)
        if path
    }


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def plain_content(path: str, limit: int) -> bytes | None:
    """A plain file's bytes; None when there is none, it is longer than `limit`, or no plain file: a FIFO here must not hang us."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = os.read(descriptor, limit + 1)
        return content if len(content) <= limit else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _text(path: str) -> str:
    """A small file's text, empty when it is not to be had."""
    return (plain_content(path, 4096) or b"").decode(errors="surrogateescape")


def _head(git_dir: str) -> str:
    """What HEAD says; where it is a symlink (core.preferSymlinkRefs), as if it said so."""
    path = os.path.join(git_dir, "HEAD")
    target = os.readlink(path) if os.path.islink(path) else ""
    return f"ref: {target}" if target.startswith("refs/") else _text(path).strip()


# Branch and remote


def branch(repository: Repository) -> str | None:
    """The branch that is checked out (also one without a commit), or None when HEAD is detached."""
    head = _head(repository.git_dir)
    if head == "ref: refs/heads/.invalid":  # the reftable format keeps HEAD elsewhere
        head = (
            "ref: "
            + (repository.ask("symbolic-ref", "-q", "HEAD") or b"")
            .decode(errors="surrogateescape")
            .strip()
        )
    return (
        storable(head.removeprefix("ref: refs/heads/"))
        if head.startswith("ref: refs/heads/")
        else None
    )


def remote(repository: Repository) -> str | None:
    """The URL of origin, else of the only remote, else None; without credentials."""
    config = plain_content(os.path.join(repository.common_dir, "config"), _LARGEST_CONFIG)
    urls = _remote_urls(config.decode(errors="surrogateescape")) if config is not None else None
    if urls is None:
        urls = _asked_urls(repository)
    url = urls.get("origin") or (next(iter(urls.values())) if len(urls) == 1 else None)
    return storable(remote_without_credentials(url)) if url else None


def _asked_urls(repository: Repository) -> dict[str, str]:
    listed = repository.ask("config", "--null", "--get-regexp", r"^remote\..*\.url$") or b""
    urls: dict[str, str] = {}
    for entry in listed.decode(errors="surrogateescape").split("\0"):
        key, _, url = entry.partition("\n")
        if url:
            urls.setdefault(key[7:-4], url)
    return urls


def _remote_urls(config: str) -> dict[str, str] | None:
    """Remote → its first URL, from a plain config file; None when the file has more to it than this reads."""
    urls: dict[str, str] = {}
    section: str | None = None
    # Includes, per-worktree files, continued lines and a byte order mark are git's to read.
    if (
        config.startswith("\ufeff")
        or "\\\n" in config
        or "\\\r\n" in config
        or "worktreeconfig" in config.lower()
    ):
        return None
    for raw in config.split("\n"):
        line = raw.strip(" \t\r")
        if line.startswith("["):
            kind, _, name = line[1:-1].partition(" ")
            plain = not name or (
                len(name) > 2
                and name[0] == name[-1] == '"'
                and not set('"\\]').intersection(name[1:-1])
            )
            if (
                not line.endswith("]")
                or not plain
                or not kind.replace("-", "").isalnum()
                or kind.lower().startswith("include")
            ):
                return None
            section = name[1:-1] if kind.lower() == "remote" else None
        elif section and line[:3].lower() == "url":
            key, _, value = line.partition("=")
            value = value.strip(" \t")
            if key.strip(" \t").lower() != "url":
                continue
            if not value or set('"\\;#').intersection(value):
                return None
            urls.setdefault(section, value)
    return urls


def run_tag(repository: Repository, url: str | None, branch_name: str | None) -> str | None:
    """`name/branch`, the name from the remote where there is one; None without a branch."""
    name = remotes.name(url) if url else None
    return storable(f"{name or repository.name}/{branch_name}") if branch_name else None


def storable(text: str) -> str | None:
    """Text that can be stored, else None: a name that is not UTF-8 cannot, and null is better than a wrong one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text if "\0" not in text else None


def path_text(path: str) -> str:
    """A path as text that can be stored and compared; what is not UTF-8 stands there escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


# Commits


def head(repository: Repository) -> Commit | None:
    """The commit that is checked out, or None before the first one."""
    sha = _head_sha(repository)
    content = _loose_commit(repository, sha) if sha else None
    if sha and content is not None:
        return _parse(sha, content)
    return look_up(repository, "HEAD")[0] or (Commit(sha) if sha else None)


def _head_sha(repository: Repository) -> str | None:
    """HEAD's SHA as the files tell it; None when they do not (no commit yet, or refs kept otherwise)."""
    value = _head(repository.git_dir)
    for _ in range(5):
        if not value.startswith("ref: "):
            return value if is_sha(value) else None
        name = value[5:]
        if ".." in name or name.startswith("/"):
            return None
        loose = (
            _text(os.path.join(folder, name)).strip()
            for folder in (repository.git_dir, repository.common_dir)
        )
        value = next(filter(None, loose), "") or _packed_ref(repository, name)
    return None


def _packed_ref(repository: Repository, name: str) -> str:
    refs = (
        plain_content(os.path.join(repository.common_dir, "packed-refs"), _LARGEST_PACKED_REFS)
        or b""
    )
    ending = b" " + name.encode(errors="surrogateescape")
    return next(
        (
            line[: line.index(b" ")].decode(errors="replace")
            for line in refs.split(b"\n")
            if line.endswith(ending)
        ),
        "",
    )


def is_sha(text: str) -> bool:
    """Tell whether a text is a whole object name, as git writes it."""
    return len(text) in (40, 64) and all(char in "0123456789abcdef" for char in text)


def facts(
    repository: Repository, commit: Commit, moment: datetime, *, place: bool = True
) -> dict[str, object]:
    """What an association says of a commit: commit_hash, author, timestamp (stored form); with `place` repo and branch too."""
    told: dict[str, object] = {
        "commit_hash": commit.sha,
        "author": commit.author,
        "timestamp": commit.timestamp,
    }
    if commit.timestamp:
        told["timestamp"] = rules.instant("the commit's time", commit.timestamp, moment)
    return told | {"repo": remote(repository), "branch": branch(repository)} if place else told


def fresh(repository: Repository, sha: str) -> Commit | None:
    """A commit that lies in a file of its own, as one just made does; None for any other. No process is started."""
    content = _loose_commit(repository, sha)
    return _parse(sha, content) if content is not None else None


def _loose_commit(repository: Repository, sha: str) -> bytes | None:
    """A commit's content where it lies in a file of its own, as a fresh one does."""
    packed = plain_content(
        os.path.join(repository.common_dir, "objects", sha[:2], sha[2:]), _LARGEST_OBJECT
    )
    try:
        content = zlib.decompressobj().decompress(packed or b"", _LARGEST_OBJECT)
    except zlib.error:
        return None
    kind, _, body = content.partition(b"\0")
    return body if kind.startswith(b"commit ") else None


def look_up(repository: Repository, revision: str) -> tuple[Commit | None, bool]:
    """The commit that a revision means to git, or None; and whether the revision means anything here (a tree, several commits)."""
    # Peeled first, which finds the commit of a tag; then as it is, since `:/text` takes all that follows for the text.
    answer = (
        repository.ask("cat-file", "--batch", question=f"{revision}^{{commit}}\n{revision}\n")
        or b""
    )
    known = False
    for _ in range(2):
        line, _, answer = answer.partition(b"\n")
        sha, _, kind = line.decode(errors="replace").partition(" ")
        if kind.startswith("commit ") and is_sha(sha):
            return _parse(sha, answer), True
        known = bool(line) and not line.endswith(b" missing")
    return None, known


def _parse(sha: str, content: bytes) -> Commit:
    """A commit object's headers: `author Name <email> SECONDS ZONE`, and the time the committer line gives."""
    headers: dict[bytes, bytes] = {}
    parents: list[str] = []
    for line in content.partition(b"\n\n")[0].split(b"\n"):
        key, _, value = line.partition(b" ")
        headers.setdefault(key, value)
        if key == b"parent":
            parents.append(value.decode("ascii", "replace"))
    named = headers.get(b"encoding", b"utf-8").decode(errors="replace").lower()
    author = headers.get(b"author", b"").rpartition(b">")[0]
    try:
        text = author.decode(named if named.startswith(_ENCODINGS) else "utf-8", "replace")
    except (LookupError, ValueError):
        text = author.decode(errors="replace")
    return Commit(
        sha,
        f"{text}>".replace("\0", "").encode(errors="replace").decode() if author else None,
        _committed_at(headers.get(b"committer", b"")),
        tuple(parents),
    )


def _committed_at(committer: bytes) -> str | None:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(
            int(committer.rpartition(b">")[2].split()[0]), UTC
        ).isoformat()
    except (ValueError, IndexError, OverflowError, OSError):
        return None
