"""Whether hooks fire: the marks they left, held against what HEAD's reflog says should have made them fire."""

import os

from telemetry_cli.discovery.git import reflog as moves
from telemetry_cli.git_hooks import hook_log as fired
from telemetry_cli.git_hooks import managers as places
from telemetry_cli.git_hooks import template as script
from telemetry_cli.git_hooks.install import is_runnable

#: Hook → how git's words for a move of HEAD begin that makes it fire.
_OCCASIONS = {
    "post-commit": ("commit",),
    "post-rewrite": ("rebase (finish)", "rebase -i (finish)"),
    "post-merge": ("merge ", "pull:", "pull "),
    "post-applypatch": ("am: ",),
}
#: Hook → how they begin where the reflog does not tell whether it was to fire: an amend may be told to call none (`--no-post-rewrite`).
_MAYBES = {"post-rewrite": ("commit (amend)", "rebase finished")}
#: What a rebase does that rewrites a commit; one without any of these was a fast-forward, and calls no hook.
_REWRITING = tuple(
    f"{word} ({step})"
    for word in ("rebase", "rebase -i")
    for step in ("pick", "reword", "squash", "fixup", "edit", "continue")
)
_REBASE_BEGINS = ("rebase (start)", "rebase -i (start)")
#: The reflog knows whole seconds, and a hook fires after the move.
_SLACK_SECONDS = 2


class State:
    """One hook: `through` what it is called (`file`, a manager's config, or None), whether it `fires` (None: no occasion yet), and why not."""

    def __init__(self, hook: str, path: str, through: str | None, earlier: str | None) -> None:
        self.hook = hook
        self.path = path
        self.through = through
        self.earlier = earlier
        self.installed_at: float | None = None
        self.last: fired.Firing | None = None
        self.fires: bool | None = False
        self.finding = ""


def states(place: places.Place, hooks: tuple[str, ...]) -> list[State]:
    """What is known of each hook."""
    firings = fired.firings(place.repository)
    reflog = moves.head_moves(place.repository)
    return [_state(place, hook, firings, reflog) for hook in hooks]


def _state(
    place: places.Place, hook: str, firings: list[fired.Firing], reflog: list[moves.Move]
) -> State:
    path = place.path(hook)
    there = places.content(path)
    through = _through(place, hook, there)
    state = State(hook, path, through, place.earlier(hook))
    if through == "file":
        state.installed_at = os.stat(path).st_mtime
    is_run = is_runnable(path) or (place.by_shell and there is not None)
    state.last = next((firing for firing in reversed(firings) if firing.hook == hook), None)
    occasion = next(
        (reflog[at].at for at in range(len(reflog) - 1, -1, -1) if _is_occasion(hook, reflog, at)),
        None,
    )
    maybe = next(
        (move.at for move in reversed(reflog) if move.message.startswith(_MAYBES.get(hook, ()))),
        None,
    )
    state.fires = is_run and _fires(state, occasion, maybe)
    state.finding = _finding(place, state, there, is_run=is_run)
    return state


def _is_occasion(hook: str, reflog: list[moves.Move], at: int) -> bool:
    """Tell whether a move of HEAD must have made a hook fire."""
    if not reflog[at].message.startswith(_OCCASIONS[hook]):
        return False
    if hook == "post-rewrite":
        return _has_rewritten(reflog[:at])
    return hook != "post-merge" or _is_merge(reflog[at])


def _has_rewritten(before: list[moves.Move]) -> bool:
    """Tell whether the rebase that these moves lead to has rewritten a commit, as far back as the reflog is known."""
    for move in reversed(before):
        if move.message.startswith(_REBASE_BEGINS):
            return False
        if move.message.startswith(_REWRITING):
            return True
    return False


def _is_merge(move: moves.Move) -> bool:
    """Tell a merge from what else a pull may do."""
    return ": Fast-forward" in move.message or "Merge made" in move.message


def _through(place: places.Place, hook: str, there: bytes | None) -> str | None:
    if there is not None and script.fires(there, hook):
        return "file"
    return place.manager if place.manager_fires(hook) else None


def _fires(state: State, occasion: float | None, maybe: float | None) -> bool | None:
    """A mark newer than the hook and the last occasion is proof that it fires; a certain occasion without a mark, that it does not."""
    # Somebody else's hook may call us in ways of its own: since it stands there under this name, which only its change time tells.
    since = os.stat(state.path).st_ctime if state.through is None else state.installed_at or 0.0
    marked = (
        state.last.seconds + _SLACK_SECONDS if state.last and state.last.seconds >= since else 0.0
    )
    if marked and marked >= max(occasion or 0.0, maybe or 0.0):
        return True
    if state.through is None or (
        occasion is not None and occasion > max(since + _SLACK_SECONDS, marked)
    ):
        return False
    return None


def _finding(place: places.Place, state: State, there: bytes | None, *, is_run: bool) -> str:
    if state.fires:
        return "fires"
    if state.through is None and not script.supported(place.manager, (state.hook,)):
        return f"not installed: {place.manager} cannot call it; run: telemetry git-hooks install --force --hooks {state.hook}"
    if state.through is None:
        return "not installed; run: telemetry git-hooks install" + (
            "" if place.takes_files else ", which says what to add to the hooks that others manage"
        )
    if not is_run and there is not None:
        return f"does not fire: the file is not executable; run: chmod +x {state.path}"
    if not is_run:
        return f"does not fire: {place.manager} has not put its hook there; run: {place.manager} install"
    if state.fires is None:
        return "installed; nothing has happened since of which it is certain that it makes it fire"
    if there is not None and script.is_ours(there) and not script.is_untouched(there):
        return "does not fire: the file was edited; run: telemetry git-hooks install --force"
    return "does not fire: it was installed when git should have called it, and left no mark (is telemetry still there, its config right, not disabled?)"
