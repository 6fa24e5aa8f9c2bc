"""The CI provider or agent that we run under, by the variables they document. One table of data, no code per provider."""

import os


class Provider:
    """A CI provider: how it is recognised, and which of its variables say what (the first that is set counts)."""

    def __init__(self, name: str, detect: str, equals: str | None = None, sha: tuple[str, ...] = (), job: tuple[str, ...] = ()) -> None:
        self.name = name
        self.detect = detect
        self.equals = equals
        self.sha = sha
        self.job = job


#: More specific ones first: Forgejo and Gitea set GitHub's variables too, and everyone sets CI.
PROVIDERS = (
    Provider("forgejo-actions", "FORGEJO_ACTIONS", "true", ("GITHUB_SHA",), ("GITHUB_JOB",)),
    Provider("gitea-actions", "GITEA_ACTIONS", "true", ("GITHUB_SHA",), ("GITHUB_JOB",)),
    Provider("github-actions", "GITHUB_ACTIONS", "true", ("GITHUB_SHA",), ("GITHUB_JOB",)),
    Provider("gitlab-ci", "GITLAB_CI", "true", ("CI_COMMIT_SHA",), ("CI_JOB_NAME",)),
    Provider("azure-pipelines", "TF_BUILD", "true", ("BUILD_SOURCEVERSION",), ("SYSTEM_JOBNAME", "BUILD_DEFINITIONNAME")),
    Provider("bitbucket-pipelines", "BITBUCKET_BUILD_NUMBER", None, ("BITBUCKET_COMMIT",), ("BITBUCKET_REPO_SLUG",)),
    Provider("circleci", "CIRCLECI", "true", ("CIRCLE_SHA1",), ("CIRCLE_JOB",)),
    Provider("travis-ci", "TRAVIS", "true", ("TRAVIS_COMMIT",), ("TRAVIS_JOB_NAME",)),
    Provider("buildkite", "BUILDKITE", "true", ("BUILDKITE_COMMIT",), ("BUILDKITE_LABEL", "BUILDKITE_PIPELINE_SLUG")),
    Provider("drone", "DRONE", "true", ("DRONE_COMMIT_SHA",), ("DRONE_STEP_NAME", "DRONE_STAGE_NAME")),
    Provider("woodpecker", "CI", "woodpecker", ("CI_COMMIT_SHA",), ("CI_STEP_NAME", "CI_WORKFLOW_NAME")),
    Provider("teamcity", "TEAMCITY_VERSION", None, ("BUILD_VCS_NUMBER",), ("TEAMCITY_BUILDCONF_NAME",)),
    Provider("appveyor", "APPVEYOR", "true", ("APPVEYOR_REPO_COMMIT",), ("APPVEYOR_JOB_NAME", "APPVEYOR_PROJECT_SLUG")),
    Provider("codefresh", "CF_BUILD_ID", None, ("CF_REVISION",), ("CF_STEP_NAME", "CF_PIPELINE_NAME")),
    Provider("semaphore", "SEMAPHORE", "true", ("SEMAPHORE_GIT_SHA",), ("SEMAPHORE_JOB_NAME",)),
    Provider("jenkins", "JENKINS_URL", None, ("GIT_COMMIT",), ("JOB_NAME",)),
    Provider("ci", "CI", "true"),
)

#: Variable that a coding agent sets in the commands it runs → the agent's name.
AGENTS = {
    "CLAUDECODE": "claude-code",
    "CODEX_SANDBOX": "codex",
    "CURSOR_AGENT": "cursor",
    "GEMINI_CLI": "gemini-cli",
    "OPENCODE": "opencode",
}


def provider() -> Provider | None:
    """The CI provider around us, or None."""
    for candidate in PROVIDERS:
        value = os.environ.get(candidate.detect, "")
        if value and (candidate.equals is None or value.lower() == candidate.equals):
            return candidate
    return None


def agent() -> str | None:
    """The name of the coding agent that runs us, or None."""
    return next((name for variable, name in AGENTS.items() if os.environ.get(variable)), None)


def first_set(variables: tuple[str, ...]) -> str | None:
    """The value of the first of these variables that is set and not empty."""
    return next((value for variable in variables if (value := os.environ.get(variable))), None)


def commit_source() -> str:
    """`ci` under a known CI provider, `llm` under a known agent, else `manual`."""
    return "ci" if provider() else "llm" if agent() else "manual"


def host() -> str | None:
    """This machine's name, or None."""
    return os.uname().nodename or None


def current_run() -> str | None:
    """`$TELEMETRY_EVENT_ID`, the run that what we do belongs to, or None."""
    return os.environ.get("TELEMETRY_EVENT_ID") or None


def traceparent() -> str:
    """A W3C Trace Context header for what a run starts: the trace we are in, or a new one, and a new span."""
    trace = _trace_id(os.environ.get("TRACEPARENT", "")) or os.urandom(16).hex()
    return f"00-{trace}-{os.urandom(8).hex()}-01"


def _trace_id(header: str) -> str | None:
    parts = header.strip().split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or not set(parts[1]) <= set("0123456789abcdef") or not parts[1].strip("0"):
        return None
    return parts[1]
