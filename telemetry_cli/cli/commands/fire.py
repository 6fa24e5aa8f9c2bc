"""What git calls: git-hooks fire. Apart from the other commands on git hooks, which import what a commit need not wait for."""

from collections.abc import Sequence

from telemetry_cli.cli.commands.result import Written
from telemetry_cli.core.config import Config
from telemetry_cli.git_hooks.dispatch import fire as fire_hook


def fire(
    config: Config, output: str, *, hook: str | None, arguments: Sequence[str] | None
) -> Written:
    """What a hook does when git calls it; nothing is printed."""
    fire_hook(config, hook or "", list(arguments or ()))
    return Written({}, None)
