"""The settings: config show, config path."""

from telemetry_cli.cli.commands.result import Listing, Record, Written
from telemetry_cli.core.config import Config, config_path


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
