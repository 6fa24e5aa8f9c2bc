"""CI providers and agents are known by the variables that they document."""

import pytest

from telemetry_cli.discover import environment, providers

GITHUB = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SHA": "5ha", "GITHUB_JOB": "build"}
PROVIDERS: dict[str, tuple[dict[str, str], str | None, str | None]] = {
    "github-actions": (GITHUB, "5ha", "build"),
    "gitea-actions": ({**GITHUB, "GITEA_ACTIONS": "true"}, "5ha", "build"),
    "forgejo-actions": ({**GITHUB, "GITEA_ACTIONS": "true", "FORGEJO_ACTIONS": "true"}, "5ha", "build"),
    "gitlab-ci": ({"CI": "true", "GITLAB_CI": "true", "CI_COMMIT_SHA": "5ha", "CI_JOB_NAME": "build"}, "5ha", "build"),
    "azure-pipelines": ({"TF_BUILD": "True", "BUILD_SOURCEVERSION": "5ha", "SYSTEM_JOBNAME": "build", "BUILD_DEFINITIONNAME": "no"}, "5ha", "build"),
    "bitbucket-pipelines": ({"CI": "true", "BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_COMMIT": "5ha", "BITBUCKET_REPO_SLUG": "build"}, "5ha", "build"),
    "circleci": ({"CI": "true", "CIRCLECI": "true", "CIRCLE_SHA1": "5ha", "CIRCLE_JOB": "build"}, "5ha", "build"),
    "travis-ci": ({"CI": "true", "TRAVIS": "true", "TRAVIS_COMMIT": "5ha", "TRAVIS_JOB_NAME": "build"}, "5ha", "build"),
    "buildkite": ({"CI": "true", "BUILDKITE": "true", "BUILDKITE_COMMIT": "5ha", "BUILDKITE_LABEL": "", "BUILDKITE_PIPELINE_SLUG": "build"}, "5ha", "build"),
    "drone": ({"CI": "true", "DRONE": "true", "DRONE_COMMIT_SHA": "5ha", "DRONE_STEP_NAME": "build"}, "5ha", "build"),
    "woodpecker": ({"CI": "woodpecker", "CI_COMMIT_SHA": "5ha", "CI_STEP_NAME": "build"}, "5ha", "build"),
    "teamcity": ({"TEAMCITY_VERSION": "2025.1", "BUILD_VCS_NUMBER": "5ha", "TEAMCITY_BUILDCONF_NAME": "build"}, "5ha", "build"),
    "appveyor": ({"CI": "True", "APPVEYOR": "True", "APPVEYOR_REPO_COMMIT": "5ha", "APPVEYOR_JOB_NAME": "build"}, "5ha", "build"),
    "codefresh": ({"CI": "true", "CF_BUILD_ID": "6f", "CF_REVISION": "5ha", "CF_STEP_NAME": "build"}, "5ha", "build"),
    "semaphore": ({"CI": "true", "SEMAPHORE": "true", "SEMAPHORE_GIT_SHA": "5ha", "SEMAPHORE_JOB_NAME": "build"}, "5ha", "build"),
    "jenkins": ({"JENKINS_URL": "https://ci.example/", "GIT_COMMIT": "5ha", "JOB_NAME": "build"}, "5ha", "build"),
    "ci": ({"CI": "true"}, None, None),
}
AGENTS = {
    "CLAUDECODE": "claude-code", "CODEX_SANDBOX": "codex", "CODEX_THREAD_ID": "codex", "CURSOR_AGENT": "cursor", "GEMINI_CLI": "gemini-cli",
    "OPENCODE": "opencode", "AUGMENT_AGENT": "augment", "GOOSE_TERMINAL": "goose", "CLINE_ACTIVE": "cline",
}  # fmt: skip


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_every_row_has_its_test() -> None:
    assert sorted(PROVIDERS) == sorted(provider.name for provider in providers.PROVIDERS)
    assert {variable: name for variable, (name, _) in providers.AGENTS.items()} == AGENTS


@pytest.mark.parametrize("name", PROVIDERS)
def test_provider_with_its_commit_and_job(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, sha, job = PROVIDERS[name]
    set_all(monkeypatch, variables)
    provider, facts = environment.provider(), environment.facts()
    assert provider
    assert (provider.name, facts.get("sha"), facts.get("job")) == (name, sha, job)
    assert environment.commit_source() == "ci"


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "ci"])
def test_each_provider_goes_before_plain_ci(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"CI": "true", **PROVIDERS[name][0]})
    provider = environment.provider()
    assert provider
    assert provider.name == name


@pytest.mark.parametrize("variables", [{}, {"CI": ""}, {"CI": "false"}, {"GITHUB_ACTIONS": "false"}, {"GITHUB_SHA": "5ha"}, {"JENKINS_URL": ""}])
def test_no_provider(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, variables)
    assert environment.provider() is None
    assert environment.commit_source() == "manual"


@pytest.mark.parametrize("variable", AGENTS)
def test_agent(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.agent() is None
    monkeypatch.setenv(variable, "1")
    assert (environment.agent(), environment.commit_source()) == (AGENTS[variable], "llm")
    monkeypatch.setenv("CI", "true")
    assert environment.commit_source() == "ci"
    monkeypatch.delenv("CI")
    monkeypatch.setenv(variable, "")
    assert (environment.agent(), environment.commit_source()) == (None, "manual")


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011", False),
        ("00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01", False),
        ("0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra-fields", True),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.extra", False),
        ("FE-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_traceparent_stays_in_the_trace(header: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", header)
    place = environment.trace()
    version, trace, span, flags = str(place.variables["TRACEPARENT"]).split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert (trace in header) is kept
    assert span not in header
    assert place.context == {"trace_id": trace, "span_id": span} | ({"parent_span_id": "b7ad6b7169203331"} if kept else {})


def test_a_trace_that_is_not_sampled_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    assert str(environment.trace().variables["TRACEPARENT"]).endswith("-00")
