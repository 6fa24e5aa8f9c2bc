"""Conventions: deploy, list, show, run, check."""

from collections.abc import Iterator, Sequence

from telemetry_cli.cli.commands import hooks_run as hook_execution
from telemetry_cli.cli.commands.arguments import became, planned
from telemetry_cli.cli.commands.hooks import check_first
from telemetry_cli.cli.commands.query import Options, parse_filter
from telemetry_cli.cli.commands.result import Card, Listing, Record, Written
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import hooks
from telemetry_cli.database.database import Connection, open_empty, translated
from telemetry_cli.database.filters import RunFilter
from telemetry_cli.database.runs import Reading
from telemetry_cli.hooks import convention as documents
from telemetry_cli.hooks import subjects
from telemetry_cli.journal import blobs
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.store import Store

_BREACHES = ("event_id", "field", "expected", "got")


def deploy(
    config: Config, output: str, *, file: str, promote: bool, allow_dirty: bool, dry_run: bool
) -> Written:
    """Deploy what a file says, all of it or nothing."""
    moment = clock.now()
    deployment = documents.Deployment(file, promote=promote, allow_dirty=allow_dirty)
    data = deployment.looked_at(Redactor(config.redact_rules))
    if dry_run:
        reading = Store(config).read()
        with translated(config.db_path):
            result, notes = planned(hooks.planned(reading.db or open_empty(), data), reading.notes)
    else:
        check_first(config, lambda db: hooks.planned(db, data))
        with blobs.Lease(config) as lease:
            data = deployment.kept(lease)
            outcome = Store(config).record(
                "convention.deploy", data, clock.stamp(moment), patient=True
            )
        result, notes = became(outcome, slug=data["slug"], created=None, changed=None, hooks=None)
    return Written(result, "\n".join(_lines(result, dry_run)), notes, multiline=True)


def _lines(result: Record, would: bool) -> Iterator[str]:
    if result.get("status") == "buffered":
        yield f"buffered {result['slug']}"
        return
    done = "would be " if would else ""
    yield f"{result['slug']}: {done + ('created' if result['created'] else 'changed') if result['changed'] else 'unchanged'}"
    releases = result["hooks"]
    assert isinstance(releases, list)
    for release in releases:
        what = f"{done}released" if release["created"] else "there already"
        yield f"  {release['hook']}@{release['version']} {str(release['digest'])[:12]} {what}, live {release['live'] or 'none'}"


def list_(config: Config, output: str, *, absolute: bool) -> Listing:
    """Every convention."""
    reading = Store(config).read()
    with translated(config.db_path):
        rows = [
            {name: row[name] for name in hooks.COLUMNS}
            for row in hooks.conventions(reading.db or open_empty())
        ]
    return Listing("conventions", hooks.COLUMNS, rows, reading.notes, absolute=absolute)


def show(config: Config, output: str, *, slug: str) -> Card:
    """A convention and what is live of its hooks."""
    reading, db, found = _found(config, slug)
    document = found["document"]
    assert isinstance(document, dict)
    live = []
    with translated(config.db_path):
        for hook in document["hooks"]:
            history = hooks.history(db, hook["name"])
            deployed = next(
                (row["version"] for row in history if row["digest"] == hook["digest"]), None
            )
            live.append(
                {
                    "hook": hook["name"],
                    "deployed": deployed,
                    "live": next((row["version"] for row in history if row["live"]), None),
                    "digest": hook["digest"],
                }
            )
    kept = {
        name: found[name]
        for name in ("slug", "title", "description", "job_types", "digest", "deployed_at", "actor")
    }
    return Card("convention", kept | {"schema": document["schema"], "hooks": live}, reading.notes)


def _found(config: Config, slug: str) -> tuple[Reading, Connection, Record]:
    name = rules.required_text("SLUG", slug)
    reading = Store(config).read()
    db = reading.db or open_empty()
    with translated(config.db_path):
        return reading, db, hooks.convention(db, name)


def _parse_filter(config: Config, found: Record, options: Options) -> RunFilter:
    """Return a filter of the convention's runs: its job types, and the options that were typed."""
    jobs = found["job_types"]
    assert isinstance(jobs, list)
    return parse_filter(config, clock.now(), options, job_types=jobs)


def run(
    config: Config,
    output: str,
    *,
    slug: str,
    retries: str | None,
    max_memory: str | None,
    force: bool,
    **options: Sequence[str] | str | None,
) -> Card:
    """Run every hook of a convention on its runs that match."""
    reading, db, found = _found(config, slug)
    filters = _parse_filter(config, found, options)
    names = found["hooks"]
    assert isinstance(names, list)
    with translated(config.db_path):
        releases = hooks.releases_to_run(db, names)
    how = hook_execution.options(retries, max_memory, force=force, convention=str(found["slug"]))
    return hook_execution.executed(
        reading,
        db,
        releases,
        "runs",
        subjects.of_runs(hook_execution.matching(reading, db, filters)),
        how,
    )


def check(
    config: Config, output: str, *, slug: str, **options: Sequence[str] | str | None
) -> Listing:
    """Where its runs break the schema of a convention."""
    reading, db, found = _found(config, slug)
    document = found["document"]
    assert isinstance(document, dict)
    filters = _parse_filter(config, found, options)
    if not document["schema"]:
        raise InvalidInput(
            f"{slug}: the convention has no schema to check its runs by",
            "Add [schema] to its file, and deploy it.",
        )

    def rows() -> Iterator[Record]:
        for row in hook_execution.matching(reading, db, filters):
            for breach in documents.breaches(row, document["schema"]["fields"]):
                listing.code = 1
                yield breach

    listing = Listing("breaches", _BREACHES, rows(), reading.notes)
    return listing
