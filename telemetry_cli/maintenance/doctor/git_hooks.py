"""Checks of the git repository around the working folder."""

from collections.abc import Iterator

from telemetry_cli.core.errors import TelemetryError
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.git_hooks import HOOKS
from telemetry_cli.git_hooks import managers as places
from telemetry_cli.git_hooks import status as state
from telemetry_cli.maintenance.doctor.context import Examined, Finding, warning


def git_hooks(_examined: Examined) -> Iterator[Finding]:
    """The repository can be read, and the hooks that are installed here fire. Without a repository or hooks there is nothing to say."""
    refused = git.refusal(None)
    if refused:
        yield warning(
            f"{refused.message}: runs and commits here are recorded without it", "", refused.hint
        )
        return
    try:
        place = places.place(None)
    except TelemetryError:
        return
    for found in state.states(place, HOOKS):
        if found.through is not None and found.fires is False:
            yield warning(
                f"git hook {found.hook}: {found.finding}",
                found.path,
                "telemetry git-hooks status; telemetry git-hooks install",
            )
