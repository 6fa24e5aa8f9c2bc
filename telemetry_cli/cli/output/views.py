"""The tables: which columns each has, which of them a narrow terminal does without, and what an empty one says."""

from dataclasses import dataclass

from telemetry_cli.cli.commands.result import Listing
from telemetry_cli.cli.output import cells
from telemetry_cli.cli.output.cells import (
    COMMIT,
    COMMITS,
    DURATION,
    EVENT_ID,
    GROUP,
    MILLISECONDS,
    NAME,
    NUMBER,
    RATE,
    SHARE,
    STATUS,
    TEXT,
    TIME,
    TREND,
    WHOLE,
    WORD,
    YES,
    Kind,
)


@dataclass(frozen=True)
class Column:
    """A column: its heading, the row's field that it shows, and how."""

    heading: str
    field: str
    kind: Kind = TEXT


@dataclass(frozen=True)
class View:
    """A table. `leaves` are the fields whose columns go where there is no room, the first one first.

    A column whose every value on the first page is among `empty` is left out. `uncut`: to a pipe every value is whole.
    `is_long`: there may be a row for each commit of a history, or each line of a file.
    """

    columns: tuple[Column, ...]
    leaves: tuple[str, ...] = ()
    nothing: str = "Nothing."
    empty: tuple[object, ...] = (None, "")
    uncut: bool = False
    is_long: bool = False


#: Stands for the columns that only one listing of a view has.
OWN = Column("", "")

_NO_RUNS = "No runs. Leave a filter out, or record one: telemetry run start --agent-name NAME --job-type TYPE"

VIEWS = {
    "runs": View(
        (
            Column("run", "event_id", EVENT_ID),
            Column("agent", "agent_name"),
            Column("job", "job_type"),
            Column("status", "status", STATUS),
            Column("started", "start_time", TIME),
            Column("duration", "duration_ms", DURATION),
            Column("commit", "git_commit_hash", COMMIT),
            Column("branch", "git_branch"),
        ),
        ("git_branch", "git_commit_hash", "duration_ms", "job_type"),
        _NO_RUNS,
    ),
    "events": View(
        (Column("time", "timestamp", TIME), Column("type", "event_type"), Column("payload", "payload_json"), Column("trace", "trace_id")),
        ("trace_id",),
        "No events. Record one: telemetry run event TYPE",
    ),
    "commits": View(
        (
            Column("run", "event_id", EVENT_ID),
            Column("commit", "commit_hash", COMMIT),
            Column("role", "role", WORD),
            Column("source", "source", WORD),
            Column("author", "author"),
            Column("committed", "timestamp", TIME),
            Column("branch", "branch"),
            Column("now", "superseded_by", COMMIT),
        ),
        ("branch", "author", "source", "role"),
        "No commits. Associate one: telemetry associate-commit",
    ),
    "settings": View((Column("setting", "setting", NAME), Column("value", "value", WHOLE), Column("source", "source")), uncut=True),
    "stats": View(
        (
            Column("group", "group", GROUP),
            Column("runs", "runs", NUMBER),
            Column("share", "share", SHARE),
            Column("over time", "trend", TREND),
            *(Column(name, name, NUMBER) for name in ("running", "success", "failure", "partial", "timeout", "cancelled")),
            Column("rate", "success_rate", RATE),
            Column("p50", "p50_ms", MILLISECONDS),
            Column("p95", "p95_ms", MILLISECONDS),
            Column("max", "max_ms", MILLISECONDS),
            Column("found", "items_discovered", NUMBER),
            Column("done", "items_succeeded", NUMBER),
            Column("failed", "items_failed", NUMBER),
            Column("skipped", "items_skipped", NUMBER),
        ),
        (
            "share", "items_skipped", "items_discovered", "items_failed", "items_succeeded", "cancelled", "timeout", "partial", "max_ms", "trend", "running",
            "success", "p95_ms", "p50_ms", "failure", "success_rate",
        ),
        _NO_RUNS,
        # Of figures a nought says as little as nothing.
        empty=(None, "", 0, []),
    ),
    "sql": View((), nothing="No rows."),
    "git-hooks": View(
        (
            Column("hook", "hook", NAME),
            Column("fires", "fires", YES),
            Column("last fired", "last_fired", TIME),
            Column("through", "through"),
            Column("finding", "finding", WHOLE),
        )
    ),
    "log": View(
        (
            Column("commit", "commit_hash", COMMIT),
            Column("committed", "timestamp", TIME),
            Column("author", "author"),
            Column("subject", "subject"),
            Column("run", "event_id", EVENT_ID),
            Column("agent", "agent_name"),
            Column("source", "source", WORD),
            Column("lines", "lines", NUMBER),
        ),
        ("author", "lines", "source"),
        "No commits.",
        is_long=True,
    ),
    "blame": View(
        (
            Column("line", "line", NUMBER),
            Column("commit", "commit_hash", COMMIT),
            Column("run", "event_id", EVENT_ID),
            Column("agent", "agent_name"),
            Column("source", "source", WORD),
            Column("text", "text"),
        ),
        ("source",),
        "No lines.",
        is_long=True,
    ),
    "relinked": View(
        (
            Column("commit", "commit_hash", COMMIT),
            Column("status", "status", WORD),
            Column("by", "by", WORD),
            Column("in the place of", "replaces", COMMITS),
            Column("why not", "reason", WHOLE),
        ),
        nothing="Nothing to link: a branch reaches every commit of this clone that has a run.",
    ),
    "findings": View(
        (
            Column("severity", "severity", WORD),
            Column("what", "what", WHOLE),
            Column("where", "where", WHOLE),
            Column("what to do", "todo", WHOLE),
        ),
        nothing="All is well.",
        uncut=True,
    ),
    "hooks": View(
        (
            Column("hook", "name", NAME),
            Column("live", "live_version", NUMBER),
            Column("releases", "releases", NUMBER),
            Column("rows", "cardinality", WORD),
            Column("columns", "columns"),
            Column("made", "created_at", TIME),
        ),
        ("created_at",),
        "No hooks. Release one: telemetry hooks release NAME --script PATH --contract FILE",
    ),
    "releases": View(
        (
            Column("version", "version", NUMBER),
            Column("live", "live", WORD),
            Column("digest", "digest"),
            Column("released", "released_at", TIME),
            Column("by", "actor"),
            Column("source", "source_ref"),
            Column("dirty", "dirty", WORD),
            Column("config", "config"),
            Column("message", "message"),
        ),
        ("actor", "source_ref"),
        "No releases.",
        empty=(None, "", False, {}),
        uncut=True,
    ),
    "pointer": View(
        (
            Column("when", "at", TIME),
            Column("from", "from_version", NUMBER),
            Column("to", "to_version", NUMBER),
            Column("by", "actor"),
            Column("why", "reason"),
        ),
        ("actor",),
        "No moves: no release has been live yet.",
    ),
    "hook_runs": View(
        (
            Column("hook run", "id", NAME),
            Column("hook", "hook", NAME),
            Column("version", "version", NUMBER),
            Column("status", "status", STATUS),
            Column("failure", "failure_kind", WORD),
            Column("rows", "rows", NUMBER),
            Column("subjects", "subjects", NUMBER),
            Column("started", "started_at", TIME),
            Column("duration", "duration_ms", MILLISECONDS),
            Column("attempts", "attempts", NUMBER),
            Column("mismatches", "mismatch_count", NUMBER),
        ),
        ("attempts", "subjects", "duration_ms", "started_at"),
        "No hook runs. Run one: telemetry hooks run NAME",
        empty=(None, "", 0),
        uncut=True,
    ),
    "mismatches": View(
        (
            Column("hook", "hook", NAME),
            Column("row", "row", NUMBER),
            Column("column", "column", NAME),
            Column("expected", "expected"),
            Column("got", "got"),
        ),
        uncut=True,
    ),
    "features": View(
        (
            Column("row", "row_id", NUMBER),
            Column("subject", "subject_id", NAME),
            OWN,
            Column("version", "version", NUMBER),
            Column("digest", "digest"),
            Column("source", "source_ref"),
            Column("hook run", "hook_run"),
            Column("when", "created_at", TIME),
        ),
        ("created_at", "digest", "source_ref", "hook_run"),
        "No rows. Leave a filter out, or run the hook: telemetry hooks run NAME",
        uncut=True,
    ),
    "conventions": View(
        (
            Column("convention", "slug", NAME),
            Column("title", "title"),
            Column("job types", "job_types"),
            Column("hooks", "hooks"),
            Column("deployed", "deployed_at", TIME),
            Column("by", "actor"),
        ),
        ("actor", "deployed_at"),
        "No conventions. Deploy one: telemetry conventions deploy FILE.toml",
    ),
    "breaches": View(
        (Column("run", "event_id", EVENT_ID), Column("field", "field", NAME), Column("expected", "expected"), Column("got", "got")),
        nothing="Every run that matches holds what the schema says.",
        uncut=True,
    ),
}  # fmt: skip

#: Cards whose tables are uncut to a pipe.
UNCUT_CARDS = ("executed",)
#: How a field is shown where the user chose the columns, by the tables above; a time by its name; else as text.
_KINDS = {
    column.field: column.kind for view in ("commits", "runs") for column in VIEWS[view].columns
}


def columns(listing: Listing, page: list[dict[str, object]]) -> list[Column]:
    """The columns of a listing: what the user chose, else the view's that hold anything on this page."""
    if listing.view == "sql":
        return [_nameless(name, page) for name in listing.columns]
    if listing.chosen:
        return [Column(name, name, kind_of(name)) for name in listing.columns]
    view = VIEWS[listing.view]
    found: list[Column] = []
    for column in view.columns:
        found += (
            [_nameless(name, page) for name in listing.own]
            if column is OWN
            else [_named(column, listing)]
        )
    return [column for column in found if any(row[column.field] not in view.empty for row in page)]


def kind_of(field: str) -> Kind:
    """How a field of a run is shown."""
    if field in _KINDS:
        return _KINDS[field]
    return (
        TIME
        if field.endswith(("_time", "_at", "timestamp"))
        else NUMBER
        if field.startswith("items_")
        else TEXT
    )


def _named(column: Column, listing: Listing) -> Column:
    """A column of groups goes by the field that they are made of."""
    if column.kind is not GROUP or listing.by is None:
        return column
    return Column(listing.by, column.field, EVENT_ID if listing.by == "event_id" else GROUP)


def _nameless(name: str, page: list[dict[str, object]]) -> Column:
    """A column whose name means nothing to us: the user made it."""
    return Column(name, name, NUMBER if _counts(page, name) else TEXT)


def _counts(page: list[dict[str, object]], name: str) -> bool:
    values = [row[name] for row in page if row[name] is not None]
    return bool(values) and all(isinstance(value, (int, float)) for value in values)


def look(
    listing: Listing, shown: list[Column], page: list[dict[str, object]], mark: str
) -> cells.Look:
    """What the cells of a page share; ids that the user asked for by name are whole."""
    ids: dict[str, None] = {}
    if not listing.chosen:
        ids = dict.fromkeys(
            str(row[column.field])
            for column in shown
            if column.kind is EVENT_ID
            for row in page
            if row[column.field] is not None
        )
    return cells.Look(listing.absolute, listing.prefixes(list(ids)), mark)
