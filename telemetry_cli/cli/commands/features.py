"""What hooks said: features query, provenance."""

from collections.abc import Iterator

from telemetry_cli.cli.commands.arguments import run_reference
from telemetry_cli.cli.commands.features_rows import FEATURE_COLUMNS, presented_feature
from telemetry_cli.cli.commands.filters import WHERE_SECONDS
from telemetry_cli.cli.commands.result import Card, Listing, Record
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import features, hook_runs, registry
from telemetry_cli.database.database import open_empty, translated, translated_rows
from telemetry_cli.database.sandbox import confined, expression
from telemetry_cli.store import Store

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


def query(
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
        contract = registry.hook(db, name)["contract"]
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
        features.select(
            db, name, own, guard, subject=subject, expression=condition, history=history
        ),
    )
    added = (*(("superseded_by",) if history else ()), *(_EXPLAINED if explain else ()))
    nested = output in ("json", "jsonl")

    def rows() -> Iterator[Record]:
        for row in found:
            shown = presented_feature(row) | {key: row[key] for key in added}
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
        row = features.get(db, number)
        run = hook_runs.resolve(db, str(row["hook_run"]))
        release = registry.release(db, str(row["hook"]), int(str(row["version"])))
    data = presented_feature(row) | {"superseded_by": row["superseded_by"], "config": row["config"]}
    shown = {
        key: value for key, value in release.items() if key not in ("contract", "live", "op_id")
    }
    return Card(
        "provenance",
        data | {"run": {key: run[key] for key in hook_runs.COLUMNS}, "release": shown},
        reading.notes,
    )
