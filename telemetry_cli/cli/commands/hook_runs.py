"""Hook runs: hooks runs, logs."""

from telemetry_cli.cli.commands.result import Listing, Written
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import NotFound
from telemetry_cli.database import hook_runs, registry
from telemetry_cli.database.database import open_empty, translated, translated_rows
from telemetry_cli.hooks.reap import gone_hook_runs
from telemetry_cli.journal import blobs
from telemetry_cli.store import Store


def runs(config: Config, output: str, *, hook: str | None, absolute: bool) -> Listing:
    """Hook runs, newest first."""
    name = rules.hook_name("NAME", hook) if hook is not None else None
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        if name is not None:
            registry.hook(db, name)
    gone = gone_hook_runs(config, db)
    if gone:
        ids = ", ".join(str(row["id"])[:12] for row in gone[:5])
        reading.notes.append(
            f"{len(gone)} running by the record, but their process is gone ({ids}); telemetry run reap closes them"
        )
    rows = (
        {key: row[key] for key in hook_runs.COLUMNS}
        for row in translated_rows(config.db_path, hook_runs.listing(db, name))
    )
    return Listing("hook_runs", hook_runs.COLUMNS, rows, reading.notes, absolute=absolute)


def logs(config: Config, output: str, *, hook_run: str, attempt: str | None) -> Written:
    """What the attempts of a hook run wrote to stderr."""
    reference = rules.required_text("HOOK_RUN", hook_run)
    only = rules.count("--attempt", attempt) if attempt is not None else None
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        row = hook_runs.resolve(db, reference)
        found = [
            log for log in hook_runs.logs(db, row["id"]) if only is None or log["attempt"] == only
        ]
    if not found:
        raise NotFound(
            f"Log not found: the hook run {row['id']} ({row['status']}) has none"
            + (f" of attempt {only}" if only is not None else "")
        )
    for log in found:
        log["text"] = b"".join(blobs.content(config, str(log.pop("digest")))).decode(
            errors="replace"
        )
    text = "\n".join(
        (f"--- attempt {log['attempt']}\n" if len(found) > 1 else "")
        + str(log["text"]).removesuffix("\n")
        for log in found
    )
    return Written(
        {"hook_run": row["id"], "logs": found}, text or None, reading.notes, multiline=True
    )
