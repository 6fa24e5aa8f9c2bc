"""Handle `doctor` and `config …`."""

from telemetry_cli.cli.commands.result import Card, Listing, Record, Written
from telemetry_cli.core.config import Config, config_path
from telemetry_cli.core.errors import InvalidInput

#: Output formats of one commit's story; the command declares those of its findings.
_CARD = ("table", "json")


def doctor(config: Config, output: str, *, commit: str | None) -> Card | Listing:
    """What is wrong or worth knowing, each with what to do; or the story of one commit. Exit code 1 when there is a problem."""
    if commit is not None:
        return _commit(config, output, commit)
    from telemetry_cli.maintenance import doctor as checkup
    from telemetry_cli.maintenance.doctor.context import COLUMNS, PROBLEM

    findings = checkup.examine(config)
    code = 1 if any(finding.severity == PROBLEM for finding in findings) else 0
    return Listing("findings", COLUMNS, [finding.row() for finding in findings], code=code)


def _commit(config: Config, output: str, commit: str) -> Card:
    from telemetry_cli.git_hooks.explain import explain

    if output not in _CARD:
        raise InvalidInput(
            f"--output: {output!r} is not accepted with --commit; give one of {', '.join(_CARD)}"
        )
    told, notes = explain(config, commit)
    return Card("commit", told, notes, code=0 if told["runs"] else 1)


def show(config: Config, output: str) -> Listing:
    """Each setting, its value and where it came from."""
    rows: list[Record] = [
        {"setting": name, "value": setting.value, "source": setting.source}
        for name, setting in config.values.items()
    ]
    return Listing("settings", ("setting", "value", "source"), rows)


def path(config: Config, output: str) -> Written:
    """Where the config file is, or would be."""
    return Written({"config_path": config_path()}, config_path())
