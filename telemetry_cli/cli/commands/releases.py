"""hooks release."""

from collections.abc import Callable, Sequence

from telemetry_cli.cli.commands.arguments import became, json_text, planned
from telemetry_cli.cli.commands.result import Record, Written
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import DatabaseTrouble, InvalidInput, LockTimeout
from telemetry_cli.database import registry
from telemetry_cli.database.database import Connection, open_empty, translated
from telemetry_cli.hooks import contract as contracts
from telemetry_cli.hooks.releases import Draft
from telemetry_cli.journal import blobs
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.store import Store


def release(
    config: Config,
    output: str,
    *,
    hook: str,
    script: str | None,
    args: Sequence[str] | None,
    contract: str | None,
    config_: str | None,
    source_ref: str | None,
    memory: str | None,
    timeout: str | None,
    message: str | None,
    if_live: str | None,
    no_promote: bool,
    allow_dirty: bool,
    dry_run: bool,
) -> Written:
    """Release a version of a hook."""
    moment = clock.now()
    name = rules.hook_name("NAME", hook)
    live = rules.count("--if-live", if_live) if if_live is not None else None
    if script is None:
        raise InvalidInput(
            "--script: no program is named; give a script, or a folder with an executable 'run'"
        )
    if live is not None and no_promote:
        raise InvalidInput("--if-live: with --no-promote nothing is moved; leave one of them out")
    draft = Draft(
        name,
        script,
        arguments=list(args or ()),
        contract=contracts.load("--contract", contract) if contract is not None else None,
        config=rules.json_object("--config", json_text("--config", config_))
        if config_ is not None
        else None,
        memory=memory,
        timeout=timeout,
        source_ref=source_ref,
        allow_dirty=allow_dirty,
        message=message,
    )
    moves = {"promote": "never" if no_promote else "new", "if_live": live}
    data = draft.looked_at(Redactor(config.redact_rules)) | moves
    if dry_run:
        reading = Store(config).read()
        with translated(config.db_path):
            return _released(
                *planned(
                    registry.planned_release(reading.db or open_empty(), data)[0], reading.notes
                ),
                would=True,
            )
    check_first(config, lambda db: registry.planned_release(db, data))
    with blobs.Lease(config) as lease:
        data = draft.kept(lease) | moves
        outcome = Store(config).record("hook.release", data, clock.stamp(moment), patient=True)
    return _released(
        *became(
            outcome,
            hook=name,
            version=None,
            digest=data["digest"],
            created=None,
            live=None,
            source_ref=data["source_ref"],
        )
    )


def check_first(config: Config, plan: Callable[[Connection], object]) -> None:
    """Plan against the database as it stands, so that what would be refused stores nothing.

    Where it cannot be read, or something waits to be applied, nothing is known of it: then apply judges, as it does of what
    another process does meanwhile. Raises what `plan` raises.
    """
    try:
        reading = Store(config).read()
    except (DatabaseTrouble, LockTimeout):
        return
    db = reading.db or open_empty()
    try:
        if not reading.notes:
            with translated(config.db_path):
                plan(db)
    finally:
        db.close()


def _released(result: Record, notes: list[str], would: bool = False) -> Written:
    if result.get("status") == "buffered":
        return Written(result, f"buffered {result['hook']} {result['digest']}", notes)
    what = ("would release" if would else "released") if result["created"] else "unchanged"
    return Written(
        result,
        f"{what} {result['hook']}@{result['version']} {str(result['digest'])[:12]}, live {result['live'] or 'none'}",
        notes,
    )
