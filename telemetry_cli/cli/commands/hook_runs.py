"""Handle what hook runs left: `hooks runs`, `hooks logs`, `features query`, `provenance`.

Apart from `hooks_run.py`, whose imports these commands do not need.
"""

from collections.abc import Iterator

from telemetry_cli.cli.commands.arguments import run_reference
from telemetry_cli.cli.commands.query import WHERE_SECONDS
from telemetry_cli.cli.commands.result import Card, Listing, Record, Written
from telemetry_cli.cli.commands.rows import FEATURE_COLUMNS, convert_feature
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, NotFound
from telemetry_cli.database import hook_runs, hooks
from telemetry_cli.database.database import open_empty, translated, translated_rows
from telemetry_cli.database.sandbox import confined, expression
from telemetry_cli.hooks.reap import gone_hook_runs
from telemetry_cli.store import Store


def list_runs(config: Config, output: str, *, hook: str | None, absolute: bool) -> Listing:
    """Hook runs, newest first."""
    name = rules.hook_name("NAME", hook) if hook is not None else None
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        if name is not None:
            hooks.hook(db, name)
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
    # Imported here, because the other commands of this module read no blob.
    from telemetry_cli.journal import blobs

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


_EXPLAINED = (
    "config",
    "argv",
    "limits",
    "message",
    "released_at",
    "released_by",
    "started_at",
    "input_digest",
)


def query_features(
    config: Config,
    output: str,
    *,
    hook: str,
    where: str | None,
    run: str | None,
    history: bool,
    explain: bool,
    absolute: bool,
) -> Listing:
    """The rows of a hook, newest first."""
    name = rules.hook_name("NAME", hook)
    text = rules.text("--where", where) if where is not None else None
    condition = expression("--where", text) if text is not None else None
    reference = run_reference(config, run, "--run") if run is not None else None
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        contract = hooks.hook(db, name)["contract"]
    assert isinstance(contract, dict)
    own = [str(column["name"]) for column in contract["columns"]]
    subject = reading.run(reference)[2] if reference is not None else None
    guard = (
        confined(db, "--where", text, WHERE_SECONDS)
        if text is not None
        else translated(config.db_path)
    )
    found = translated_rows(
        config.db_path,
        hook_runs.select_features(
            db, name, own, guard, subject=subject, expression=condition, history=history
        ),
    )
    added = (*(("superseded_by",) if history else ()), *(_EXPLAINED if explain else ()))
    nested = output in ("json", "jsonl")

    def rows() -> Iterator[Record]:
        for row in found:
            shown = convert_feature(row) | {key: row[key] for key in added}
            yield shown if nested else _flat(shown)

    shown_in_tables = (
        *own,
        *(("superseded_by",) if history else ()),
        *(("config",) if explain else ()),
    )
    return Listing(
        "features",
        (*FEATURE_COLUMNS, *own, *added),
        rows(),
        reading.notes,
        absolute=absolute,
        own=shown_in_tables,
    )


def _flat(row: Record) -> Record:
    """A row with its values as columns."""
    values = row["values"]
    assert isinstance(values, dict)
    return {**values, **{name: value for name, value in row.items() if name != "values"}}


def provenance(config: Config, output: str, *, row_id: str) -> Card:
    """A row, the hook run that computed it, and the release that ran."""
    number = rules.count("ROW_ID", row_id)
    if not number:
        raise InvalidInput("ROW_ID: rows are counted from 1")
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        row = hook_runs.get_feature(db, number)
        run = hook_runs.resolve(db, str(row["hook_run"]))
        release = hooks.release(db, str(row["hook"]), int(str(row["version"])))
    data = convert_feature(row) | {"superseded_by": row["superseded_by"], "config": row["config"]}
    shown = {
        key: value for key, value in release.items() if key not in ("contract", "live", "op_id")
    }
    return Card(
        "provenance",
        data | {"run": {key: run[key] for key in hook_runs.COLUMNS}, "release": shown},
        reading.notes,
    )
