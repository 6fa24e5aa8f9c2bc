"""Build the data of a `hook.release` operation, with the artifact's source reference."""

import os

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import Conflict, InvalidInput
from telemetry_cli.discovery.git import log as history
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.hooks import artifact
from telemetry_cli.hooks.contract import Contract
from telemetry_cli.journal.blobs import Lease
from telemetry_cli.redaction.redactor import Redactor

_SECONDS = 30.0
_MOST_OUTPUT = 64 << 20


def reference(name: str, path: str, *, allow_dirty: bool) -> tuple[str, bool]:
    """The source_ref of the file or folder at `path`, and whether the work tree is dirty.

    Dirty is a tracked file that differs from HEAD, or anything at `path` that HEAD does not have. Raises `InvalidInput` outside a
    repository with a commit, and in a dirty one unless that is allowed.
    """
    real = os.path.realpath(path)
    repository = git.find(os.path.dirname(real))
    head = git.head(repository) if repository and repository.work_tree else None
    if repository is None or head is None or repository.work_tree is None:
        raise InvalidInput(
            f"--source-ref: {rules.shorten(name)} lies in no git repository with a commit, so where it came from must be told",
            "Pass --source-ref.",
        )
    inside = os.path.relpath(real, repository.work_tree)
    changed = _differing(repository, inside)
    if changed and not allow_dirty:
        listed = ", ".join(rules.shorten(file) for file in list(dict.fromkeys(changed))[:5])
        raise InvalidInput(
            f"--source-ref: the work tree is dirty ({listed}), so no commit tells what is released",
            "Commit first, or pass --allow-dirty, which is recorded.",
        )
    remote = git.remote(repository) or "file://" + repository.work_tree
    return rules.text("--source-ref", f"git+{remote}@{head.sha}#{inside}"), bool(changed)


def is_dirty(path: str) -> bool:
    """Tell whether the file or folder at `path` lies in a dirty work tree; outside git in none. Where git cannot tell, nobody vouches for it: yes."""
    real = os.path.realpath(path)
    repository = git.find(os.path.dirname(real))
    if repository is None or repository.work_tree is None:
        return False
    try:
        return bool(_differing(repository, os.path.relpath(real, repository.work_tree)))
    except InvalidInput:
        return True


def _differing(repository: git.Repository, inside: str) -> list[str]:
    """List the tracked files that differ from HEAD, and the files at `inside` that HEAD does not have. Raises `InvalidInput`."""
    settings = _settings_without_filters(repository)
    untracked = ("--untracked-files=all", "--ignored", "--", f":(top,literal){inside}")
    return _changed(repository, settings, "--untracked-files=no") + _changed(
        repository, settings, *untracked
    )


def _settings_without_filters(repository: git.Repository) -> list[str]:
    """Return the options that turn off every filter, whose program the repository's config may name. Raises `InvalidInput`.

    The user's own filters are off too: git-lfs runs programs that the repository's config names.
    """
    listed = _answer(repository, "config", "--null", "--name-only", "--list")
    names = [
        name.rpartition(".")[0]
        for name in os.fsdecode(listed).split("\0")
        if name.startswith("filter.") and name.count(".") > 1
    ]
    # A name may hold "=", so the value comes from the environment; this variable is always empty there.
    return [
        f"--config-env={name}.{key}=GIT_ALLOW_PROTOCOL"
        for name in dict.fromkeys(names)
        for key in ("clean", "smudge", "process", "required")
    ]


def _changed(repository: git.Repository, settings: list[str], *options: str) -> list[str]:
    # git would ask about changes inside a submodule by another git, with the submodule's config.
    words = ("status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=dirty")
    return [
        entry[3:].decode(errors="replace")
        for entry in _answer(repository, *settings, *words, *options).split(b"\0")
        if entry
    ]


def _answer(repository: git.Repository, *arguments: str) -> bytes:
    answer = history.answer(repository, *arguments, most=_MOST_OUTPUT, seconds=_SECONDS)
    if answer is None or len(answer) >= _MOST_OUTPUT:
        raise InvalidInput(
            "--source-ref: git cannot tell whether the work tree is dirty", "Pass --source-ref."
        )
    return answer


DEFAULT_MEMORY, DEFAULT_TIMEOUT = "512m", "300s"
#: A config goes through an environment variable and arguments through argv, which the system bounds.
_LONGEST_CONFIG = 100 * 1024
_LONGEST_ARGUMENTS = 100 * 1024
_LONGEST_SOURCE_REF = 4096
#: What of a release is stored as somebody wrote it, and how that is spelled where the name is another one.
_KEPT_AS_IT_STANDS = ("config", "argv", "message", "source_ref", "contract", "artifact")
_SPELLED = {"argv": "args", "artifact": "script"}


class Draft:
    """A release that has been checked, before anything of it is kept. `where` is how messages name its parts, such as `--`.

    Raises `InvalidInput`.
    """

    def __init__(
        self,
        hook: str,
        path: str,
        *,
        where: str = "--",
        arguments: list[str] | None = None,
        contract: Contract | None = None,
        config: dict[str, object] | None = None,
        memory: str | None = None,
        timeout: str | None = None,
        source_ref: str | None = None,
        allow_dirty: bool = False,
        message: str | None = None,
    ) -> None:
        self.path = path
        self._where = where
        self._name = f"{where}script"
        if len(rules.encode(config or {}).encode()) > _LONGEST_CONFIG:
            raise InvalidInput(
                f"{where}config: the JSON is larger than {_LONGEST_CONFIG} bytes; keep what is large in the artifact"
            )
        if (
            sum(
                len(rules.text(f"{where}args", argument).encode()) + 1
                for argument in arguments or ()
            )
            > _LONGEST_ARGUMENTS
        ):
            raise InvalidInput(
                f"{where}args: longer than {_LONGEST_ARGUMENTS} bytes; keep what is large in the artifact"
            )
        limits = {
            "memory": rules.size(
                f"{where}memory", memory if memory is not None else DEFAULT_MEMORY
            ),
            "timeout_ms": max(
                1,
                round(
                    1000
                    * rules.duration(
                        f"{where}timeout", timeout if timeout is not None else DEFAULT_TIMEOUT
                    )
                ),
            ),
        }
        self.data: dict[str, object] = {
            "hook": hook,
            "kind": artifact.check(self._name, path),
            "argv": arguments or [],
            "config": config or {},
            "limits": limits,
        }
        if contract is not None:
            self.data |= {"contract": contract.plain(), "contract_digest": contract.digest}
        if message is not None:
            self.data["message"] = rules.text(f"{where}message", message)
        self._digest: object = None
        dirty = False
        if source_ref is None:
            source_ref, dirty = reference(
                os.path.basename(path.rstrip("/")), path, allow_dirty=allow_dirty
            )
        elif allow_dirty:
            dirty = is_dirty(path)
        self.data |= {
            "source_ref": _source_ref(
                f"{where}source_ref" if where != "--" else "--source-ref", source_ref
            ),
            "dirty": dirty,
        }

    def looked_at(self, redactor: Redactor) -> dict[str, object]:
        """The operation's data; nothing is kept yet. Raises `InvalidInput` where something in it looks like a secret."""
        data = self._finished(None)
        self._digest = data["digest"]
        for name in _KEPT_AS_IT_STANDS:
            if name in data:
                spelled = _SPELLED.get(name, name)
                refuse_secrets(
                    redactor,
                    self._where + (spelled.replace("_", "-") if self._where == "--" else spelled),
                    data[name],
                )
        return data

    def kept(self, lease: Lease) -> dict[str, object]:
        """The same, once the artifact is kept as blobs. Raises `Conflict` if it has changed since `looked_at`."""
        data = self._finished(lease)
        if data["digest"] != self._digest:
            raise Conflict(
                f"{self._name}: {rules.shorten(self.path)} was changed while it was released; nothing was recorded",
                "Run it again.",
            )
        return data

    def _finished(self, lease: Lease | None) -> dict[str, object]:
        data = self.data | {"artifact": artifact.take(lease, self._name, self.path)}
        return data | {"digest": artifact.digest(data)}


def refuse_secrets(redactor: Redactor, name: str, value: object) -> None:
    """Raises `InvalidInput` that names the place of what looks like a secret: it would be redacted, and then its digest would not be its own."""
    cleaned = redactor.value(value)
    if cleaned != value:
        place = _place(name, value, cleaned)
        raise InvalidInput(
            f"{place!r} looks like a secret, which is never stored; pass it by environment"
        )


def _place(name: str, value: object, cleaned: object) -> str:
    """Where two values differ first, as deep as both have the same shape."""
    if isinstance(value, dict) and isinstance(cleaned, dict):
        return next(
            (
                _place(f"{name}.{key}", item, cleaned[key])
                for key, item in value.items()
                if key in cleaned and cleaned[key] != item
            ),
            name,
        )
    if isinstance(value, list) and isinstance(cleaned, list):
        pairs = enumerate(zip(value, cleaned, strict=True), 1)
        return next(
            (
                _place(f"{name}.{number}", before, after)
                for number, (before, after) in pairs
                if before != after
            ),
            name,
        )
    return name


def _source_ref(name: str, value: str) -> str:
    if not value.strip() or len(value) > _LONGEST_SOURCE_REF:
        raise InvalidInput(
            f"{name}: {rules.shorten(value)!r} is not accepted; give 1 to {_LONGEST_SOURCE_REF} characters, not only white space"
        )
    return rules.text(name, value)
