"""The data of a `run.create`: the given fields, completed by what can be discovered."""

from collections.abc import Mapping

from telemetry_cli.core import processes
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.tables import SCHEMA_VERSION
from telemetry_cli.discovery import environment
from telemetry_cli.discovery.git import remotes
from telemetry_cli.discovery.git import repository as git
from telemetry_cli.redaction.redactor import refuse_secret, remote_without_credentials

#: Fact of a CI job → its name in a run's context: OpenTelemetry's (CI/CD and VCS) where it has one.
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


def build_run(
    config: Config,
    at: str,
    given: Mapping[str, object],
    repository: git.Repository | None,
    *,
    enclosing: str | None = None,
    context: Mapping[str, object] | None = None,
    trigger: str | None = None,
    ends_here: bool = False,
) -> dict[str, object]:
    """Return the data of a `run.create`, without nulls.

    given: fields as they are stored, event_id and run_id among them. A given field is never
        replaced; null means that it stays empty.
    repository: what git_repo, git_branch, git_run_tag and git_dir come from, before the CI job.
    enclosing: the run that this one is a child of, unless it is the same run.
    context: what the caller knows besides; keys of the given context win over it.
    trigger: trigger_type where no CI provider names one.
    ends_here: this process ends the run; should it die before, `run reap` can tell.

    Raises `InvalidInput` where `enclosing` is no reference, or looks like a secret.
    """
    facts = environment.facts()
    data = {
        "schema_version": SCHEMA_VERSION,
        "status": "running",
        "start_time": at,
        "agent_owner": config.agent_owner,
        "host": environment.host(),
        "trigger_type": facts.get("trigger", trigger),
        "boot_id": processes.place(),
        **(processes.identify_self() if ends_here else {}),
        **_git_facts(str(given.get("git_branch") or ""), facts, repository),
        **given,
    }
    # A script that exports the id first and starts the run with it is not its own parent.
    if enclosing and enclosing != data["event_id"] and "parent" not in data:
        name = "TELEMETRY_EVENT_ID"
        data["parent"] = refuse_secret(name, rules.reference(name, enclosing), config.redact_rules)
    known = {name: facts[fact] for fact, name in _CONTEXT.items() if fact in facts}
    if known or context:
        own = data.get("context")
        data["context"] = {**known, **(context or {}), **(own if isinstance(own, dict) else {})}
    return {name: value for name, value in data.items() if value is not None}


def _git_facts(
    given_branch: str, facts: Mapping[str, str], repository: git.Repository | None
) -> dict[str, object]:
    """Return remote, branch and tag of the repository, else those that the CI provider names.

    A checkout by SHA is on no branch.
    """
    url = (git.remote(repository) if repository else None) or _ci_remote(facts)
    checked_out = git.branch(repository) if repository and not given_branch else None
    branch = given_branch or checked_out or facts.get("branch")
    if repository:
        tag, git_dir = git.run_tag(repository, url, branch), git.path_text(repository.git_dir)
    else:
        name = remotes.name(url) if url else None
        tag, git_dir = f"{name}/{branch}" if name and branch else None, None
    return {"git_repo": url, "git_branch": branch, "git_run_tag": tag, "git_dir": git_dir}


def _ci_remote(facts: Mapping[str, str]) -> str | None:
    """Return the repository that a CI provider names, where that is an address."""
    repository = facts.get("repository", "")
    is_address = "://" in repository or "@" in repository
    return remote_without_credentials(repository) or None if is_address else None
