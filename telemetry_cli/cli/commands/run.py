"""`telemetry run`: start, end, update, event, events, show."""

from collections.abc import Sequence
from datetime import datetime

from telemetry_cli.cli.commands.arguments import (
    became,
    begin,
    exports,
    json_text,
    merged_objects,
    named_exactly,
    names,
    parent_reference,
    remote,
    run_reference,
)
from telemetry_cli.cli.commands.result import Card, Listing, Written
from telemetry_cli.cli.commands.rows import convert_event, convert_feature, convert_run
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import commits, runs
from telemetry_cli.database.database import translated, translated_rows
from telemetry_cli.discovery import environment
from telemetry_cli.journal.operations import Outcome
from telemetry_cli.store import Store


def start(
    config: Config,
    output: str,
    *,
    agent_name: str | None,
    job_type: str | None,
    event_id: str | None,
    run_id: str | None,
    parent: str | None,
    start_time: str | None,
    metrics: str | None,
    context: str | None,
    metric: Sequence[str] | None,
    git_repo: str | None,
    no_git: bool,
    **fields: str | None,
) -> Written:
    """Record that a run began."""
    moment = clock.now()
    agent, job = names(config, agent_name, job_type)
    for option, variable, value in (
        ("--agent-name", "TELEMETRY_AGENT_NAME", agent),
        ("--job-type", "TELEMETRY_JOB_TYPE", job),
    ):
        if value is None:
            raise InvalidInput(
                f"{option}: no name is given, and {variable} is not set",
                f"Pass {option}, or set {variable}.",
            )
    assert agent is not None and job is not None
    trace = environment.trace()
    begun = begin(
        config,
        moment,
        (agent, job),
        event_id=event_id,
        run_id=run_id,
        parent=parent,
        start_time=start_time,
        metrics=metrics,
        context=context,
        metric=metric,
        git_repo=git_repo,
        no_git=no_git,
        told=dict(trace.context) if output == "env" else {},
        fields=fields,
    )
    outcome = Store(config).record("run.create", begun.data, clock.stamp(moment))
    result, said = became(outcome, event_id=begun.data["event_id"], run_id=begun.data["run_id"])
    if result["status"] == "duplicate":
        said.append(
            f"duplicate: a run with event_id {result['event_id']} is there already; nothing was changed"
        )
    return Written(
        result,
        str(result["event_id"]),
        begun.notes + said,
        exports(result, trace) if output == "env" else None,
    )


def update(
    config: Config,
    output: str,
    *,
    run: str | None,
    parent: str | None,
    start_time: str | None,
    end_time: str | None,
    metrics: str | None,
    context: str | None,
    metric: Sequence[str] | None,
    git_repo: str | None,
    **fields: str | None,
) -> Written:
    """Set what is given and nothing else."""
    moment = clock.now()
    data: dict[str, object] = {
        **rules.fields(fields),
        **merged_objects(metrics, context, metric),
        **_times(moment, start_time, end_time),
    }
    if git_repo is not None:
        data["git_repo"] = remote(git_repo)
    if parent is not None:
        data["parent"] = parent_reference(config, parent)
    if not data:
        raise InvalidInput(
            "nothing to update: give at least one field, such as --status or -m KEY=VALUE",
            "telemetry run update --help lists them.",
        )
    data["run"] = run_reference(config, run)
    return _changed(Store(config).record("run.update", data, clock.stamp(moment)), data)


def end(
    config: Config,
    output: str,
    *,
    run: str | None,
    status: str | None,
    exit_code: str | None,
    end_time: str | None,
    metrics: str | None,
    context: str | None,
    metric: Sequence[str] | None,
    force: bool,
    **fields: str | None,
) -> Written:
    """Record how a run ended."""
    moment = clock.now()
    if status is not None and exit_code is not None:
        raise InvalidInput("--exit-code: --status is given too; give one of them")
    if status is not None and rules.status("--status", status) == "running":
        raise InvalidInput(
            "--status: a run that ends is not running; give success, failure, partial, timeout or cancelled"
        )
    if exit_code is not None:
        status = "failure" if rules.exit_code("--exit-code", exit_code) else "success"
    data: dict[str, object] = {
        **rules.fields({"status": status, **fields}),
        **merged_objects(metrics, context, metric),
        **_times(moment, None, end_time),
    }
    data["run"] = run_reference(config, run)
    if force:
        data["force"] = True
    return _changed(Store(config).record("run.end", data, clock.stamp(moment)), data)


def _times(moment: datetime, start_time: str | None, end_time: str | None) -> dict[str, object]:
    given = {"start_time": start_time, "end_time": end_time}
    times: dict[str, object] = {
        name: rules.instant(rules.option(name), value, moment)
        for name, value in given.items()
        if value is not None
    }
    if len(times) == 2 and str(times["end_time"]) < str(times["start_time"]):
        raise InvalidInput(f"--end-time: {end_time} is before --start-time, {start_time}")
    return times


def _changed(outcome: Outcome, data: dict[str, object]) -> Written:
    result, notes = became(
        outcome, event_id=named_exactly(str(data["run"])), run_id=None, fields_updated=[]
    )
    return Written(result, f"{result['status']} {result['event_id'] or data['run']}", notes)


def event(
    config: Config,
    output: str,
    *,
    event_type: str,
    run: str | None,
    payload: str | None,
    metric: Sequence[str] | None,
    timestamp: str | None,
    trace_id: str | None,
    span_id: str | None,
    parent_span_id: str | None,
) -> Written:
    """Record that something happened during a run."""
    moment = clock.now()
    data: dict[str, object] = {
        "event_type": rules.required_text("TYPE", event_type),
        "run": run_reference(config, run, "--run"),
    }
    if payload is not None:
        data["payload"] = rules.json_value("--payload", json_text("--payload", payload))
    if metric:
        there = data.get("payload", {})
        if not isinstance(there, dict):
            raise InvalidInput("-m: --payload is not a JSON object, so a key cannot be set in it")
        data["payload"] = there | dict(rules.pair("-m", item) for item in metric)
    if timestamp is not None:
        data["timestamp"] = rules.instant("--timestamp", timestamp, moment)
    for name, value in (
        ("trace_id", trace_id),
        ("span_id", span_id),
        ("parent_span_id", parent_span_id),
    ):
        if value is not None:
            data[name] = rules.required_text(rules.option(name), value)
    outcome = Store(config).record("run.event", data, clock.stamp(moment))
    result, notes = became(
        outcome,
        event_id=named_exactly(str(data["run"])),
        run_id=None,
        event_type=data["event_type"],
    )
    return Written(
        result,
        f"{result['status']} {result['event_type']} of {result['event_id'] or data['run']}",
        notes,
    )


def events(
    config: Config, output: str, *, run: str | None, type_: str | None, absolute: bool
) -> Listing:
    """The events of a run, oldest first."""
    reference = run_reference(config, run)
    only = rules.text("--type", type_) if type_ is not None else None
    reading = Store(config).read()
    db, _, event_id, _ = reading.run(reference)
    rows = translated_rows(config.db_path, map(convert_event, runs.events(db, event_id, only)))
    return Listing("events", runs.EVENT_COLUMNS, rows, reading.notes, absolute=absolute)


def show(config: Config, output: str, *, run: str | None, absolute: bool) -> Card:
    """One run with everything that is known of it."""
    from telemetry_cli.cli.commands.reap import truth
    from telemetry_cli.database import hook_runs

    reference = run_reference(config, run)
    reading = Store(config).read()
    db, id_, event_id, run_id = reading.run(reference)
    with translated(config.db_path):
        data = convert_run(runs.get(db, id_), config.url_styles)
        data["events"] = [convert_event(row) for row in runs.events(db, event_id)]
        data["commits"] = commits.ledger(db, event_id)
        data["children"] = runs.children(db, event_id, run_id)
        said = hook_runs.list_features_about(db, event_id)
    data["features"] = list(map(convert_feature, said))
    notes = [*reading.notes, *filter(None, [truth(data)])]
    if len(said) == hook_runs.MOST_ABOUT:
        notes.append(
            f"no more than {len(said)} rows about it are shown; all of one hook: telemetry features query HOOK --run {event_id}"
        )
    return Card("run", data, notes, absolute=absolute, prefixes=reading.prefixes)


def tree(config: Config, output: str, *, run: str | None) -> Card:
    """A run and everything that was started under it."""
    from telemetry_cli.cli.commands.reap import truths

    reference = run_reference(config, run)
    reading = Store(config).read()
    db, _, event_id, _ = reading.run(reference)
    with translated(config.db_path):
        rows = runs.tree(db, event_id)
    notes = [*reading.notes, *truths(rows)]
    shown = [
        {name: value for name, value in row.items() if name not in _OF_THE_PROCESS} for row in rows
    ]
    return Card("tree", _nested(shown), notes, prefixes=reading.prefixes)


#: What tells whether a run in a tree is gone, and is no part of the tree.
_OF_THE_PROCESS = ("host", "pid", "process_started", "boot_id")


def _nested(rows: list[dict[str, object]]) -> dict[str, object]:
    """The rows of a tree, each with its `children`; parents come before their children, so the last one at a depth is the parent."""
    latest: dict[object, dict[str, object]] = {}
    for row in rows:
        depth = row.pop("depth")
        row["children"] = []
        latest[depth] = row
        if isinstance(depth, int) and depth:
            siblings = latest[depth - 1]["children"]
            assert isinstance(siblings, list)
            siblings.append(row)
    return rows[0]
