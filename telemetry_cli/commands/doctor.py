"""What is wrong, and what to do: doctor --commit."""

from telemetry_cli.commands.result import ONE, Card, handler
from telemetry_cli.config import Config
from telemetry_cli.errors import InvalidInput


@handler(*ONE)
def doctor(config: Config, output: str, *, commit: str | None) -> Card:
    """Why a commit has a run, or none. Exit code 1 when it has none."""
    from telemetry_cli.githooks.explain import explain

    if commit is None:
        raise InvalidInput("--commit: name the commit to explain, such as --commit HEAD")
    told = explain(config, commit)
    return Card("commit", told, code=0 if told["runs"] else 1)
