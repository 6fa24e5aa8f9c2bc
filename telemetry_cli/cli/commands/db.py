"""Handle `db path` and `db drain`."""

from telemetry_cli.cli.commands.result import Written
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import OlderDatabase
from telemetry_cli.database.database import (
    RESTORE_BLOB,
    Unreadable,
    translated,
    unreadable,
)
from telemetry_cli.journal import buffer
from telemetry_cli.store import Store


def path(config: Config, output: str) -> Written:
    """Where the database is."""
    return Written({"db_path": config.db_path, "base_dir": config.base_dir}, config.db_path)


def drain(config: Config, output: str) -> Written:
    """Apply every durable record that is not in the database yet. Exit code 1 when some of them cannot be read."""
    store = Store(config)
    before, known = store.count_pending(), len(_unreadable(config))
    trouble = store.catch_up(patient=True) if before else None
    left = store.count_pending() if trouble else 0
    damaged = _unreadable(config)[known:]
    applied = max(0, before - left - len(damaged))
    data: dict[str, object] = {"applied": applied, "waiting": left, "damaged": len(damaged)}
    line = ", ".join(
        [
            f"{applied} applied",
            *([f"{len(damaged)} damaged"] if damaged else []),
            *([f"{left} waiting"] if trouble else []),
        ]
    )
    notes = [
        *_damage(damaged),
        *(f"{path} is empty: there is no record in it" for path in buffer.empty_lines(config)),
        *(filter(None, (trouble.message, trouble.hint)) if trouble else ()),
    ]
    return Written(data, line, notes, code=trouble.exit_code if trouble else int(bool(damaged)))


def _unreadable(config: Config) -> list[Unreadable]:
    """Return what could not be read of the journal; nothing before a database of this version."""
    try:
        db = Store(config).open_unchanged()
    except OlderDatabase:
        return []
    if db is None:
        return []
    try:
        with translated(config.db_path):
            return unreadable(db)
    finally:
        db.close()


def _damage(found: list[Unreadable]) -> list[str]:
    """What to say of what could not be read: of lines how many, of operations whose blob is lost each."""
    lines = sum(kind == "damaged" for kind, _, _ in found)
    said = (
        [
            f"{lines} {'line' if lines == 1 else 'lines'} could not be read; they are kept in rejected_ops. See: telemetry doctor"
        ]
        if lines
        else []
    )
    return said + [
        f"{kind} {op_id} was not applied: {why}. {RESTORE_BLOB}"
        for kind, op_id, why in found
        if kind != "damaged"
    ]
