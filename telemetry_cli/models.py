"""Records as pydantic models: the one declaration of every field.

A field states its kind (the rule in `core/values.py` that validates it), its description, and where
it may be set. Everything else follows: `./dev regenerate` writes `core/tables.py` from these models,
and imports validate with a schema that is compiled from them. The fast path reads the table only,
because importing pydantic costs more than a whole `run start`.
"""

from collections.abc import Callable
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema
from pydantic_core.core_schema import CoreSchema, ValidationInfo

from telemetry_cli.core import values
from telemetry_cli.core.errors import InvalidInput


def _commit_hash(name: str, value: str) -> str:
    found = values.commit_hash(value)
    if found is None:
        shown = values.shorten(value)
        raise InvalidInput(f"{name}: {shown!r} is not a SHA of 7 to 40 hexadecimal digits, or 64")
    return found


def _commit_source(name: str, value: str) -> str:
    return values.choice(name, value, values.COMMIT_SOURCES)


def _commit_role(name: str, value: str) -> str:
    return values.choice(name, value, values.COMMIT_ROLES)


#: Kind of a text field → its rule: (name for messages, value) → the value as it is stored.
#: Raises `InvalidInput`.
RULES: dict[str, Callable[[str, str], object]] = {
    "name": values.required_text,
    "text": values.optional_text,
    "event_id": values.event_id,
    "run_id": values.run_id,
    "status": values.status,
    "time": values.document_instant,
    "remote": values.optional_text,
    "commit_hash": _commit_hash,
    "commit_source": _commit_source,
    "commit_role": _commit_role,
}


class Kind:
    """Annotation of a text field: its value must satisfy the rule of this name.

    Kinds are `name` (1 to 200 characters), `text`, `event_id`, `run_id`, `status`, `time` (ISO 8601
    with a zone; stored as UTC with milliseconds), `remote` (a URL, stored without credentials),
    `commit_hash`, `commit_source` and `commit_role`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> CoreSchema:
        """Return a strict text schema followed by the rule."""
        return core_schema.with_info_after_validator_function(
            self._validate, core_schema.str_schema(strict=True)
        )

    def _validate(self, value: str, info: ValidationInfo) -> object:
        name = info.field_name or self.name
        try:
            return RULES[self.name](name, value)
        except InvalidInput as error:
            message = error.message.removeprefix(f"{name}: ")
            raise PydanticCustomError("rule", "{message}", {"message": message}) from None


Name = Annotated[str, Kind("name")]
Text = Annotated[str, Kind("text")] | None
Time = Annotated[str, Kind("time")]
Count = Annotated[int, Field(strict=True, ge=0, le=values.LARGEST_INTEGER)] | None
Object = dict[str, object] | None


def field(
    description: str, *, options: str = "", create: bool = False, required: bool = False
) -> Any:
    """Declare a field of a run.

    `options` names the commands of `telemetry run` that take it as an option (`start`, `update`,
    `end`); `create` says that the program sets it when a run is created. Required fields have no
    default in documents.
    """
    extra: dict[str, Any] = {"options": options.split(), "create": create}
    default = ... if required else None
    return Field(default, description=description, json_schema_extra=extra)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Event(_Record):
    """Something that happened during a run."""

    event_type: Name = field("Type, such as checkpoint.", required=True)
    timestamp: Time = field("When it happened.", required=True)
    payload_json: object = field("Any JSON value.")
    trace_id: Text = field("Trace ID.")
    span_id: Text = field("Span ID.")
    parent_span_id: Text = field("ID of the parent span.")


class CommitAssociation(_Record):
    """A commit that belongs to a run: one row of the ledger `run_commits`."""

    commit_hash: Annotated[str, Kind("commit_hash")] = field(
        "SHA, 7 to 40 hexadecimal digits, or 64.", required=True
    )
    role: Annotated[str, Kind("commit_role")] | None = field("produced, base or released.")
    source: Annotated[str, Kind("commit_source")] | None = field("manual, llm or ci.")
    author: Text = field("Author of the commit.")
    timestamp: Time | None = field("When the commit was made.")
    repo: Annotated[str, Kind("remote")] | None = field("URL of the remote.")
    branch: Text = field("Branch.")
    associated_at: Time | None = field("When the commit was associated.")
    superseded_by: Annotated[str, Kind("commit_hash")] | None = field(
        "SHA of the commit that replaced it."
    )


class Run(_Record):
    """A run: one row of `agent_runs`, columns in this order."""

    event_id: Annotated[str, Kind("event_id")] | None = field(
        "Idempotency key, unique.", create=True
    )
    run_id: Annotated[str, Kind("run_id")] | None = field("A name for people.", create=True)
    created_at: Time | None = field("When the run was recorded.")
    updated_at: Time | None = field("When the run was changed last.")
    start_time: Time = field(
        "ISO 8601 with a zone, or an age such as 15m; default now.",
        options="start update",
        required=True,
    )
    end_time: Time | None = field(
        "ISO 8601 with a zone, or an age such as 15m; default now.", options="update end"
    )
    agent_name: Name = field(
        "Agent; default $TELEMETRY_AGENT_NAME, else the CI provider or agent.",
        options="start update",
        required=True,
    )
    job_type: Name = field(
        "Kind of job; default $TELEMETRY_JOB_TYPE, else the CI job's name.",
        options="start update",
        required=True,
    )
    agent_owner: Text = field("Owner of the agent; default $AGENT_OWNER.", options="start update")
    product: Text = field("Product.", options="start update")
    product_family: Text = field("Product family.", options="start update")
    platform: Text = field("Platform.", options="start update")
    subdomain: Text = field("Subdomain.", options="start update")
    website: Text = field("Website.", options="start update")
    website_section: Text = field("Section of the website.", options="start update")
    item_name: Text = field("The item worked on.", options="start update")
    host: Text = field("Machine; default its host name.", options="start update")
    environment: Text = field("Environment, such as staging.", options="start update")
    trigger_type: Text = field("Cause of the run, such as schedule.", options="start update")
    insight_id: Text = field("Insight the run follows from.", options="start update")
    source_ref: Text = field("Source the run reads from.", options="start update")
    target_ref: Text = field("Target the run writes to.", options="start update")
    input_summary: Text = field("Input, in one line.", options="start update")
    output_summary: Text = field("Result, in one line.", options="update end", create=True)
    error_summary: Text = field("Error, in one line.", options="update end", create=True)
    error_details: Text = field(
        "Error in full; 64 KiB are kept.", options="update end", create=True
    )
    status: Annotated[str, Kind("status")] | None = field(
        "running, success, failure, partial, timeout or cancelled.", options="start update end"
    )
    items_discovered: Count = field("Number of items found.", options="start update end")
    items_succeeded: Count = field("Number of items that succeeded.", options="start update end")
    items_failed: Count = field("Number of items that failed.", options="start update end")
    items_skipped: Count = field("Number of items skipped.", options="start update end")
    duration_ms: Count = field(
        "Milliseconds; default from start to end.", options="update end", create=True
    )
    git_repo: Annotated[str, Kind("remote")] | None = field(
        "URL of the remote; default discovered.", options="start update"
    )
    git_branch: Text = field("Branch; default discovered.", options="start update")
    git_run_tag: Text = field("Repository and branch; default discovered.", options="start update")
    git_dir: Text = field("Absolute path of the git directory.", create=True)
    git_commit_hash: Annotated[str, Kind("commit_hash")] | None = field("SHA of its commit.")
    git_commit_source: Annotated[str, Kind("commit_source")] | None = field("manual, llm or ci.")
    git_commit_author: Text = field("Author of its commit.")
    git_commit_timestamp: Time | None = field("When its commit was made.")
    metrics_json: Object = field("Metrics: a JSON object.")
    context_json: Object = field("Context: a JSON object.")
    parent_run_id: Text = field("event_id or run_id of the parent.", create=True)
    pid: Count = field("Process that will end the run.", create=True)
    process_started: Text = field("When that process started.", create=True)
    boot_id: Text = field("Boot of the machine it runs on.", create=True)
    api_posted: Count = field("Kept from legacy databases.")
    api_posted_at: Text = field("Kept from legacy databases.")
    api_retry_count: Count = field("Kept from legacy databases.")


def kind_of(info: FieldInfo) -> str:
    """Return the kind of a text field, else `count`, `object` or `json`, by its annotation."""
    candidates = [*info.metadata, *(get_args(info.annotation) or (info.annotation,))]
    for candidate in [*candidates, *(part for each in candidates for part in get_args(each))]:
        if isinstance(candidate, Kind):
            return candidate.name
    types = [part for each in candidates for part in (each, *get_args(each))]
    return "count" if int in types else "object" if info.annotation == Object else "json"


def options_of(info: FieldInfo) -> list[str]:
    """Return the commands of `telemetry run` that take the field as an option."""
    extra = info.json_schema_extra
    return list(extra["options"]) if isinstance(extra, dict) else []  # type: ignore[arg-type]


def is_set_on_create(info: FieldInfo) -> bool:
    """Return whether `run.create` may carry the field: as an option of `start`, or set by us."""
    extra = info.json_schema_extra
    is_ours = isinstance(extra, dict) and bool(extra["create"])
    return is_ours or "start" in options_of(info)


RunUpdate = create_model(
    "RunUpdate",
    __base__=_Record,
    __doc__="Fields of a run that can be changed later; only those that are given are set.",
    **{  # type: ignore[call-overload]
        name: (info.annotation | None if info.annotation else None, None)
        for name, info in Run.model_fields.items()
        if "update" in options_of(info)
    },
)
