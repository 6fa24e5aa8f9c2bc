"""How a run begins, for `run start` and `run exec`: what is given, what the settings say, and what can be found out."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from telemetry_cli.cli.commands.arguments import merged_objects, parent_reference, run_reference
from telemetry_cli.core import clock, processes
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database.migrate import CURRENT_VERSION
from telemetry_cli.discovery import environment
from telemetry_cli.discovery.git import remotes
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.redaction.redactor import Redactor, refuse_secret, remote_without_credentials

_LONGEST_NAME = 200
#: Fact of a CI job → its name in a run's context: OpenTelemetry's where it has one (semantic conventions for CI/CD and VCS).
_CONTEXT = {
    "run": "cicd.pipeline.run.id",
    "run_url": "cicd.pipeline.run.url.full",
    "job": "cicd.pipeline.task.name",
    "job_id": "cicd.pipeline.task.run.id",
    "job_url": "cicd.pipeline.task.run.url.full",
    "step": "cicd.pipeline.step",
    "attempt": "cicd.pipeline.run.attempt",
    "pull_request": "vcs.change.id",
    "repository": "vcs.repository.url.full",
    "branch": "vcs.ref.head.name",
    "sha": "vcs.ref.head.revision",
}


class Beginning:
    """A run that is about to be recorded: the `data` of its operation, and `notes` to be said."""

    def __init__(self, data: dict[str, object], notes: list[str]) -> None:
        self.data = data
        self.notes = notes


def begin(
    config: Config,
    moment: datetime,
    identity: tuple[str, str],
    *,
    event_id: str | None,
    run_id: str | None,
    parent: str | None,
    start_time: str | None,
    metrics: str | None,
    context: str | None,
    metric: Sequence[str] | None,
    git_repo: str | None,
    no_git: bool,
    fields: Mapping[str, str | None],
    told: dict[str, object],
    apart: Sequence[str] = (),
) -> Beginning:
    """Convert what was given and find out the rest. `identity`: agent_name and job_type; `told`: context that the caller knows.

    `apart` tells several runs of one CI step apart (`--event-id auto`). Raises `InvalidInput`.
    """
    agent, job = identity
    at, facts = clock.stamp(moment), environment.facts()
    notes: list[str] = []
    data: dict[str, object] = {
        "schema_version": CURRENT_VERSION,
        "status": "running",
        "agent_name": agent,
        "job_type": job,
        **rules.fields(fields),
        **merged_objects(metrics, context, metric),
    }
    item_name = str(fields.get("item_name") or "")
    data["event_id"] = (
        _event_id(config, event_id, item_name, (job, item_name, *apart), notes)
        if event_id is not None
        else clock.new_event_id()
    )
    data["run_id"] = (
        refuse_secret("--run-id", rules.run_id("--run-id", run_id), config.redact_rules)
        if run_id is not None
        else _run_id(config, moment, agent)
    )
    data["start_time"] = (
        rules.instant("--start-time", start_time, moment) if start_time is not None else at
    )
    data.setdefault("agent_owner", config.agent_owner)
    data.setdefault("host", environment.host())
    data["boot_id"] = processes.place()
    data.setdefault("trigger_type", facts.get("trigger"))
    data |= _parent(config, parent, str(data["event_id"]))
    if git_repo is not None:
        data["git_repo"] = remote(git_repo)
    data = {**_git_facts(data, facts, no_git=no_git), **data}
    known = {**{name: facts[fact] for fact, name in _CONTEXT.items() if fact in facts}, **told}
    if known:
        given = data.get("context", {})
        data["context"] = {**known, **(given if isinstance(given, dict) else {})}
    return Beginning({name: value for name, value in data.items() if value is not None}, notes)


def names(
    config: Config, agent_name: str | None, job_type: str | None
) -> tuple[str | None, str | None]:
    """agent_name and job_type: the options, else the environment or config file, else what discovery knows. Raises `InvalidInput`."""
    agent = _name(config, "agent_name", agent_name) or environment.actor()
    if job := _name(config, "job_type", job_type):
        return agent, job
    return agent, Redactor(config.redact_rules).text(environment.facts().get("job", ""))[
        :_LONGEST_NAME
    ] or None


def _name(config: Config, field: str, given: str | None) -> str | None:
    if given is not None:
        return rules.required_text(rules.option(field), given)
    setting = config.values[field]
    return rules.required_text(setting.source, setting.value) if setting.value else None


def _event_id(
    config: Config, value: str, item_name: str, apart: Sequence[str], notes: list[str]
) -> str:
    if value != "auto":
        return refuse_secret("--event-id", rules.event_id("--event-id", value), config.redact_rules)
    derived = environment.derived_event_id(*apart, told_apart=bool(item_name))
    if derived is None:
        notes.append(
            f"--event-id auto: {environment.why_not_derived(told_apart=bool(item_name))}; a random id is used"
        )
    return derived or clock.new_event_id()


def _run_id(config: Config, moment: datetime, agent: str) -> str:
    return clock.new_run_id(moment, Redactor(config.redact_rules).text(agent))


def _parent(config: Config, parent: str | None, event_id: str) -> dict[str, object]:
    if parent is not None:
        if parent == event_id:
            raise InvalidInput(f"--parent: {parent} is the run itself")
        return {"parent": parent_reference(config, parent)}
    current = environment.current_run()
    # A script that exports the id first and starts the run with it is not its own parent.
    return {"parent": run_reference(config, None)} if current and current != event_id else {}


def remote(value: str) -> str | None:
    """`--git-repo`: an address without credentials. Raises `InvalidInput`."""
    return rules.optional_text("--git-repo", remote_without_credentials(value))


def _git_facts(
    given: dict[str, object], facts: dict[str, str], *, no_git: bool
) -> dict[str, object]:
    """Remote, branch and tag of the repository here; what it does not tell (a checkout by SHA is on no branch), the CI provider may."""
    repository = None if no_git else git.find(None)
    url = git.remote(repository) if repository else None
    url = url or _ci_remote(facts.get("repository", ""))
    branch = (
        str(given.get("git_branch") or "")
        or (git.branch(repository) if repository else None)
        or facts.get("branch")
    )
    if repository is None:
        name = remotes.name(url) if url else None
        return {
            "git_repo": url,
            "git_branch": branch,
            "git_run_tag": f"{name}/{branch}" if name and branch else None,
        }
    return {
        "git_repo": url,
        "git_branch": branch,
        "git_run_tag": git.run_tag(repository, url, branch),
        "git_dir": git.path_text(repository.git_dir),
    }


def _ci_remote(repository: str) -> str | None:
    """The repository that a CI provider names, where that is an address."""
    return (
        remote_without_credentials(repository) or None
        if "://" in repository or "@" in repository
        else None
    )


def exports(result: dict[str, object], trace: environment.Trace) -> dict[str, str | None]:
    """What is exported so that later commands, and what they start, belong to this run; None: what is unset for that."""
    return {
        "TELEMETRY_EVENT_ID": str(result["event_id"]),
        "TELEMETRY_RUN_ID": str(result["run_id"]),
        **trace.variables,
    }
