"""The text of a hook: what `install` writes, how it is known again, and the lines for hooks that others manage."""

import hashlib
import shlex

from telemetry_cli.discovery.git.reflog import STEPS

_SHEBANG = "#!/bin/sh\n"
_SIGN = "# telemetry git hook "
_SIGN_BYTES = _SIGN.encode()
#: `git lfs install` compares so many bytes of a hook, stripped, with its own text: it leaves one that is the same alone, and fails at any other.
_LFS_COMPARES = 1024
#: The hooks that git tells something on stdin.
_TOLD = ("post-rewrite",)

_HEAD = """\
# Records what comes of a run. Made by `telemetry git-hooks install`; `telemetry git-hooks uninstall` takes it away again.
"""
_FIND = """\
telemetry={program}
[ -x "$telemetry" ] || telemetry=$(command -v telemetry) || exit {code}
"""
_FIRE = """\
{told}"$telemetry"{options} git-hooks fire {hook} "$@" >/dev/null 2>&1 || :
exit {code}
"""
#: The earlier hook is never one of ours, which would run itself for ever.
_CHAIN = """\
here=${{0%/*}}
[ "$here" != "$0" ] || here=.
earlier=$here/{earlier}
second=
[ ! -f "$earlier" ] || {{ read -r _ && read -r second; }} 2>/dev/null <"$earlier" || :
case $second in "{sign}"*) earlier= ;; esac
code=0
"""
#: git passes over a hook that is not executable; husky runs any, by `sh -e`.
_RUN = """\
[ ! -x "$earlier" ] || {told}"$earlier" "$@" || code=$?
"""
_RUN_BY_SHELL = """\
[ ! -f "$earlier" ] || {told}sh -e "$earlier" "$@" || code=$?
"""
#: Both need it. The letter keeps the line ends that a substitution would cut off.
_KEEP = """\
told=$(cat; printf x)
told=${told%x}
"""
_TELL = 'printf %s "$told" 2>/dev/null | '
#: Exits for a commit that a rebase made, as HEAD's last reflog line tells. The same rule as `moves.is_replay`.
_LAST_MOVE = """\
    last=$(tail -n 1 "$git/logs/HEAD" 2>/dev/null) || :
    last=${{last#*"\t"}}
    case ${{last%%: *}} in
    commit*) ;;
    rebase | "rebase "* | {steps}) exit {code} ;;
    esac
fi
"""
#: Leaves what git replays to the rebase's own post-rewrite without starting Python. For post-commit, the process that calls the hook
#: tells first, where there is /proc (no fork). git amends for each reword, squash and fixup of a rebase.
_GUARDS = {
    "post-commit": """\
git=${{GIT_DIR:-.git}}
if [ -d "$git/rebase-merge" ] || [ -d "$git/rebase-apply" ]; then
    caller=
    {{ read -r caller <"/proc/$PPID/cmdline"; }} 2>/dev/null || :
    case $caller in gitrebase*) exit {code} ;; esac
"""
    + _LAST_MOVE,
    "post-rewrite": """\
git=${{GIT_DIR:-.git}}
if [ "$1" = amend ] && [ -d "$git/rebase-merge" ]; then
"""
    + _LAST_MOVE,
    "post-applypatch": """\
[ ! -f "${{GIT_DIR:-.git}}/rebase-apply/rebasing" ] || exit {code}
""",
}
_STEP_PATTERNS = " | ".join(f'*" ({step})"' for step in STEPS)


def script(
    hook: str,
    program: str,
    options: tuple[str, ...] = (),
    *,
    earlier: str | None = None,
    by_shell: bool = False,
    lfs: bytes = b"",
) -> str:
    """Return the text of a hook that fires.

    `earlier` is the path, from the hook's directory, of the hook that stood there before: it runs first, and its exit code is the hook's.
    `lfs` is the content of that hook where git-lfs made it: ours begins with it, so that `git lfs install` still takes it for its own.
    """
    told = _TELL if earlier and hook in _TOLD else ""
    given = "".join(" " + shlex.quote(option) for option in options)
    code = '"$code"' if earlier else "0"
    body = _HEAD
    if lfs:
        body += "code=$?\n"
    elif earlier:
        body += (
            _CHAIN.format(earlier=shlex.quote(earlier), sign=_SIGN)
            + (_KEEP if told else "")
            + (_RUN_BY_SHELL if by_shell else _RUN).format(told=told)
        )
    body += _GUARDS.get(hook, "").format(code=code, steps=_STEP_PATTERNS)
    body += _FIND.format(program=shlex.quote(program), code=code)
    body += _FIRE.format(told=told, options=given, hook=hook, code=code)
    start = lfs.strip().decode("ascii").ljust(_LFS_COMPARES, "\n") if lfs else _SHEBANG
    return f"{start}{_SIGN}{_digest(body)}\n{body}"


def is_lfs(content: bytes, hook: str) -> bool:
    """Tell whether git-lfs made a hook."""
    lines = content.strip().split(b"\n")
    is_its = (
        lines[0] == b"#!/bin/sh"
        and lines[1:2]
        and lines[1].startswith(b"command -v git-lfs ")
        and lines[2:] == [f'git lfs {hook} "$@"'.encode()]
    )
    return bool(is_its) and content.isascii() and len(content) < _LFS_COMPARES


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def is_ours(content: bytes) -> bool:
    """Tell whether a hook was made by `script`, edited since or not."""
    return bool(_signed(content))


def _signed(content: bytes) -> bytes:
    """Return a hook of ours from the sign on; empty for any other."""
    parts = (content.removeprefix(_SHEBANG.encode()), content[_LFS_COMPARES:])
    return next((part for part in parts if part.startswith(_SIGN_BYTES)), b"")


def is_untouched(content: bytes) -> bool:
    """Tell whether a hook of ours is as it was made."""
    sign, _, body = _signed(content).partition(b"\n")
    return sign == _SIGN_BYTES + hashlib.sha256(body).hexdigest()[:16].encode()


def fires(content: bytes, hook: str) -> bool:
    """Tell whether a hook or a manager's config, of whoever's making, calls us for this hook."""
    return f"git-hooks fire {hook}".encode() in content


def supported(manager: str | None, hooks: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the hooks that a manager can call: pre-commit knows no post-applypatch."""
    return tuple(hook for hook in hooks if manager != "pre-commit" or hook != "post-applypatch")


def snippet(manager: str, hooks: tuple[str, ...]) -> str:
    """The lines to add by hand where hooks are managed by `lefthook` or `pre-commit`, or (anything else) by scripts."""
    hooks = supported(manager, hooks)
    if manager == "lefthook":
        return "".join(
            _LEFTHOOK.format(hook=hook, more=_LEFTHOOK_MORE.get(hook, "")) for hook in hooks
        )
    if manager == "pre-commit":
        types = " ".join(f"--hook-type {hook}" for hook in hooks)
        return (
            "repos:\n  - repo: local\n    hooks:\n"
            + "".join(_PRE_COMMIT.format(hook=hook) for hook in hooks)
            + f"# and then: pre-commit install {types}\n"
        )
    return "".join((_PLAIN_TOLD if hook in _TOLD else _PLAIN).format(hook=hook) for hook in hooks)


_PLAIN = 'telemetry git-hooks fire {hook} "$@" >/dev/null 2>&1 || :\n'
#: What comes after it in the hook reads the same stdin.
_PLAIN_TOLD = """\
# in {hook}, at the beginning; what git says on stdin is kept for what comes after:
told=$(cat)
printf '%s\\n' "$told" 2>/dev/null | telemetry git-hooks fire {hook} "$@" >/dev/null 2>&1 || :
exec <<told
$told
told
"""
_LEFTHOOK = """\
{hook}:
  commands:
    telemetry:
      run: telemetry git-hooks fire {hook} {{0}}
{more}"""
_LEFTHOOK_MORE = {"post-rewrite": "      use_stdin: true\n"}
_PRE_COMMIT = """\
      - id: telemetry-{hook}
        name: telemetry {hook}
        entry: telemetry git-hooks fire {hook}
        language: system
        always_run: true
        pass_filenames: false
        stages: [{hook}]
"""
