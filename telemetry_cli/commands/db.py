"""The database as a thing: db path, db drain."""

from telemetry_cli import recorder
from telemetry_cli.commands.result import WRITES, Written, handler
from telemetry_cli.config import Config
from telemetry_cli.reader import waiting


@handler(*WRITES)
def path(config: Config, output: str) -> Written:
    """Where the database is."""
    return Written({"db_path": config.db_path, "base_dir": config.base_dir}, config.db_path)


@handler(*WRITES)
def drain(config: Config, output: str) -> Written:
    """Apply every durable record that is not in the database yet."""
    before = waiting(config)
    trouble = recorder.catch_up(config) if before else None
    left = waiting(config) if trouble else 0
    applied = max(0, before - left)
    data: dict[str, object] = {"applied": applied, "waiting": left}
    if trouble:
        return Written(data, f"{applied} applied, {left} waiting", list(filter(None, (trouble.message, trouble.hint))), code=trouble.exit_code)
    return Written(data, f"{applied} applied")
