"""Handle `hooks run`, and what `conventions run` shares with it."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from telemetry_cli.cli.commands.arguments import run_reference
from telemetry_cli.cli.commands.query import (
    guard_search,
    parse_filter,
    resolve_parent,
)
from telemetry_cli.cli.commands.result import Card, Record, one_failed
from telemetry_cli.cli.commands.rows import convert_run
from telemetry_cli.cli.output.progress import HookProgress
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, TelemetryError
from telemetry_cli.database import hook_runs, hooks, runs
from telemetry_cli.database.database import (
    Connection,
    open_empty,
    translated,
    translated_rows,
)
from telemetry_cli.database.filters import RunFilter
from telemetry_cli.database.runs import Reading
from telemetry_cli.hooks import execution, spool, subjects
from telemetry_cli.hooks.attempt import Stopped
from telemetry_cli.hooks.reap import close_gone_hook_runs
from telemetry_cli.hooks.subjects import Subjects
from telemetry_cli.journal.operations import actor
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.store import Store

#: Status → exit code; the worst of all counts.
_CODES = {"rejected": 1, "failed": 1, "errored": 5}


def options(
    retries: str | None,
    max_memory: str | None,
    *,
    run_key: str | None = None,
    force: bool = False,
    convention: str | None = None,
) -> execution.Options:
    """How hooks are to be run, from what was typed."""
    return execution.Options(
        retries=rules.count("--retries", retries)
        if retries is not None
        else execution.DEFAULT_RETRIES,
        max_memory=rules.size("--max-memory", max_memory) if max_memory is not None else None,
        run_key=rules.required_text("--run-key", run_key) if run_key is not None else None,
        forced=force,
        convention=convention,
    )


def run(
    config: Config,
    output: str,
    *,
    names: Sequence[str],
    run: str | None,
    input_: str | None,
    at_version: str | None,
    run_key: str | None,
    retries: str | None,
    max_memory: str | None,
    force: bool,
    **others: Sequence[str] | str | None,
) -> Card:
    """Run the live releases of hooks, one after another."""
    wanted = [rules.hook_name("NAME", name) for name in names]
    if len(set(wanted)) < len(wanted):
        raise InvalidInput("NAME: a hook is named twice; each is run once")
    how = options(retries, max_memory, run_key=run_key, force=force)
    version = rules.version("--at-version", at_version) if at_version is not None else None
    filters = parse_filter(config, clock.now(), others)
    given = [
        name
        for name, value in (
            ("--run", run),
            ("--input", input_),
            ("the filters of runs", not filters.is_empty),
        )
        if value
    ]
    if len(given) > 1:
        raise InvalidInput(f"{given[0]}: {given[1]} is given too; give one of them")
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        releases = hooks.releases_to_run(db, wanted, version)
    lines = (
        subjects.of_records("--input", _file(input_), Redactor(config.redact_rules))
        if input_ is not None
        else subjects.of_runs(_one(reading, run) if run else matching(reading, db, filters))
    )
    return executed(reading, db, releases, "runs" if input_ is None else "records", lines, how)


def _check_memory(releases: Iterable[Record], most: int) -> None:
    """Raises `InvalidInput` for a release that may use more than a user who names a bound has in mind."""
    for release in releases:
        limits = release["limits"]
        assert isinstance(limits, dict)
        if limits["memory"] > most:
            raise InvalidInput(
                f"--max-memory: {release['hook']}@{release['version']} may use {limits['memory']} bytes by itself; give at least that"
            )


def _file(path: str) -> BinaryIO:
    if path == "-":
        if sys.stdin is None:
            raise InvalidInput("--input: stdin is closed")
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"--input: {rules.shorten(path)} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


def _one(reading: Reading, reference: str) -> Iterator[Record]:
    db, id_, _, _ = reading.run(run_reference(reading.config, reference, "--run"))
    with translated(reading.config.db_path):
        yield convert_run(runs.get(db, id_), reading.config.url_styles)


def matching(reading: Reading, db: Connection, filters: RunFilter) -> Iterator[Record]:
    """Every run that matches, newest first, as `query` shows it."""
    resolve_parent(reading.config, db, filters)
    guard = guard_search(reading.config, db, filters)
    yield from translated_rows(
        reading.config.db_path,
        (convert_run(row, reading.config.url_styles) for row in runs.select(db, filters, guard)),
    )


def executed(
    reading: Reading,
    db: Connection,
    releases: Sequence[Record],
    kind: str,
    lines: Iterable[tuple[str, bytes]],
    how: execution.Options,
) -> Card:
    """Run releases on the same subjects (`kind`: `runs` or `records`), one after another. Nothing is open or locked while one runs.

    Raises before anything is executed when a run key stands for something else.
    """
    config, notes = reading.config, reading.notes
    if how.max_memory is not None:
        _check_memory(releases, how.max_memory)
    found: list[Record] = []
    code = worst = 0
    with execution.stoppable() as stop:
        folder = spool.make(config.base_dir)
        try:
            given = stop.interruptible(lambda: Subjects(kind, folder, lines))
            prepared = _prepared(reading, db, releases, given, how, folder, stop)
            with HookProgress(len(releases), given.count) as shown:
                for one in prepared:
                    stop.check()
                    shown.next(str(one.release["hook"]))
                    try:
                        found.append(_told(config, execution.execute(one, stop, shown.beat), notes))
                    except (TelemetryError, OSError) as error:
                        # Its siblings are as good as they were.
                        worst = max(worst, one_failed(str(one.release["hook"]), error, notes))
            stop.check()
        except Stopped as stopped:
            code = 128 + stopped.number
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    worst = max(worst, *(_CODES.get(str(row["status"]), 0) for row in found), 0)
    return Card(
        "executed", {"hook_runs": found}, notes, code=max(code, 0 if config.never_fail else worst)
    )


def _prepared(
    reading: Reading,
    db: Connection,
    releases: Sequence[Record],
    given: Subjects,
    how: execution.Options,
    folder: str,
    stop: execution.stoppable,
) -> list[execution.Run]:
    """All that may refuse any of the runs, before the first one begins. Closes the database."""
    config = reading.config
    if reading.db:
        reading.notes += [
            f"{row['hook']}: the hook run {row['id']} was killed; it is aborted now"
            for row in close_gone_hook_runs(config, reading.db)
        ]
    with translated(config.db_path):
        for release in releases:
            key = {
                "hook": release["hook"],
                "version": release["version"],
                "input_digest": given.digest,
                "run_key": how.run_key,
                "forced": how.forced,
            }
            hook_runs.standing_for(db, key)
    db.close()
    return stop.interruptible(
        lambda: [execution.prepare(config, release, given, how, folder) for release in releases]
    )


def _told(config: Config, result: execution.Result, notes: list[str]) -> Record:
    """A hook run as json shows it, with what there is to say about it."""
    if result.buffered:
        notes.append(
            f"buffered: {result.buffered}; the hook run {result.id} is durable and will be applied by a later command"
        )
        logs = result.data["logs"]
        assert isinstance(logs, list)
        known = result.data | {"has_logs": any(log["bytes"] for log in logs), "actor": actor()}
        row = {name: known.get(name) for name in (*hook_runs.COLUMNS, "mismatches")}
    else:
        reading = Store(config).read()
        with translated(config.db_path):
            row = _presented(hook_runs.resolve(reading.db or open_empty(), result.id))
    if result.standing == "skipped":
        row["status"] = "skipped"
        notes.append(
            f"{row['hook']}: skipped, for {row['hook']}@{row['version']} has passed on the same input ({row['id']}); --force runs it again"
        )
    elif result.standing:
        notes.append(
            f"{row['hook']}: --run-key {result.data['run_key']} stands for the hook run {row['id']} already"
        )
    elif row["status"] != "passed":
        kind = f" ({row['failure_kind']})" if row["failure_kind"] else ""
        where = (
            f"; what it wrote to stderr: telemetry hooks logs {row['id']}"
            if row["has_logs"]
            else ""
        )
        notes.append(f"{row['hook']}@{row['version']}: {row['status']}{kind}{where}")
    return row | {"existing": result.standing is not None}


def _presented(row: Record) -> Record:
    return {**{name: row[name] for name in hook_runs.COLUMNS}, "mismatches": row["mismatches"]}
