"""CI providers and agents are known by the variables that they document."""

from pathlib import Path

import pytest

from telemetry_cli.discovery import environment, providers

SHA = "0123456789abcdef0123456789abcdef01234567"
GITHUB = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SHA": SHA, "GITHUB_JOB": "build"}
PROVIDERS: dict[str, tuple[dict[str, str], str | None, str | None]] = {
    "github-actions": (GITHUB, SHA, "build"),
    "gitea-actions": ({**GITHUB, "GITEA_ACTIONS": "true"}, SHA, "build"),
    "forgejo-actions": (
        {**GITHUB, "GITEA_ACTIONS": "true", "FORGEJO_ACTIONS": "true"},
        SHA,
        "build",
    ),
    "gitlab-ci": (
        {"CI": "true", "GITLAB_CI": "true", "CI_COMMIT_SHA": SHA, "CI_JOB_NAME": "build"},
        SHA,
        "build",
    ),
    "azure-pipelines": (
        {
            "TF_BUILD": "True",
            "BUILD_SOURCEVERSION": SHA,
            "SYSTEM_JOBNAME": "build",
            "BUILD_DEFINITIONNAME": "no",
        },
        SHA,
        "build",
    ),
    "bitbucket-pipelines": (
        {
            "CI": "true",
            "BITBUCKET_BUILD_NUMBER": "7",
            "BITBUCKET_COMMIT": SHA,
            "BITBUCKET_REPO_SLUG": "build",
        },
        SHA,
        "build",
    ),
    "circleci": (
        {"CI": "true", "CIRCLECI": "true", "CIRCLE_SHA1": SHA, "CIRCLE_JOB": "build"},
        SHA,
        "build",
    ),
    "travis-ci": (
        {"CI": "true", "TRAVIS": "true", "TRAVIS_COMMIT": SHA, "TRAVIS_JOB_NAME": "build"},
        SHA,
        "build",
    ),
    "buildkite": (
        {
            "CI": "true",
            "BUILDKITE": "true",
            "BUILDKITE_COMMIT": SHA,
            "BUILDKITE_LABEL": "",
            "BUILDKITE_PIPELINE_SLUG": "build",
        },
        SHA,
        "build",
    ),
    "drone": (
        {"CI": "true", "DRONE": "true", "DRONE_COMMIT_SHA": SHA, "DRONE_STEP_NAME": "build"},
        SHA,
        "build",
    ),
    "woodpecker": (
        {"CI": "woodpecker", "CI_COMMIT_SHA": SHA, "CI_STEP_NAME": "build"},
        SHA,
        "build",
    ),
    "teamcity": (
        {"TEAMCITY_VERSION": "2025.1", "BUILD_VCS_NUMBER": SHA, "TEAMCITY_BUILDCONF_NAME": "build"},
        SHA,
        "build",
    ),
    "appveyor": (
        {
            "CI": "True",
            "APPVEYOR": "True",
            "APPVEYOR_REPO_COMMIT": SHA,
            "APPVEYOR_JOB_NAME": "build",
        },
        SHA,
        "build",
    ),
    "codefresh": (
        {"CI": "true", "CF_BUILD_ID": "6f", "CF_REVISION": SHA, "CF_STEP_NAME": "build"},
        SHA,
        "build",
    ),
    "semaphore": (
        {
            "CI": "true",
            "SEMAPHORE": "true",
            "SEMAPHORE_GIT_SHA": SHA,
            "SEMAPHORE_JOB_NAME": "build",
        },
        SHA,
        "build",
    ),
    "jenkins": (
        {"JENKINS_URL": "https://ci.example/", "GIT_COMMIT": SHA, "JOB_NAME": "build"},
        SHA,
        "build",
    ),
    "codebuild": (
        {
            "CODEBUILD_BUILD_ID": "shop:b1",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": SHA,
            "CODEBUILD_PROJECT_ARN": "arn:aws:codebuild:eu:1:project/build",
        },
        SHA,
        "build",
    ),
    "cloud-build": (
        {"BUILDER_OUTPUT": "/builder/outputs", "COMMIT_SHA": SHA, "TRIGGER_NAME": "build"},
        SHA,
        "build",
    ),
    "bamboo": (
        {
            "bamboo_planKey": "SHOP-MAIN",
            "bamboo_planRepository_revision": SHA,
            "bamboo_shortJobName": "build",
        },
        SHA,
        "build",
    ),
    "gocd": (
        {"GO_PIPELINE_NAME": "shop", "GO_REVISION": SHA, "GO_JOB_NAME": "build"},
        SHA,
        "build",
    ),
    "argo-workflows": ({"ARGO_NODE_ID": "shop-x7k2-1"}, None, None),
    "tekton": (
        {"TEKTON_PIPELINE_RUN": "shop-r1", "TEKTON_COMMIT_SHA": SHA, "TEKTON_TASK": "build"},
        SHA,
        "build",
    ),
    "ci": ({"CI": "true"}, None, None),
}
AGENTS = {
    "CLAUDECODE": "claude-code", "CODEX_SANDBOX": "codex", "CODEX_THREAD_ID": "codex", "CURSOR_AGENT": "cursor", "GEMINI_CLI": "gemini-cli",
    "OPENCODE": "opencode", "AUGMENT_AGENT": "augment", "GOOSE_TERMINAL": "goose", "CLINE_ACTIVE": "cline", "QWEN_CODE": "qwen-code",
    "COPILOT_CLI": "copilot-cli", "AMP_CURRENT_THREAD_ID": "amp", "CRUSH": "crush", "ANTIGRAVITY_AGENT": "antigravity", "PI_CODING_AGENT": "pi",
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


@pytest.mark.parametrize(
    "variables",
    [
        {}, {"CI": ""}, {"CI": "false"}, {"CI": "0"}, {"CI": "no"}, {"CI": "Off"}, {"GITHUB_ACTIONS": "false"}, {"GITHUB_ACTIONS": "0"}, {"GITHUB_SHA": SHA},
        {"JENKINS_URL": ""}, {"JENKINS_HOME": "/var/jenkins_home"}, {"BUILD_ID": "7"}, {"SEMAPHORE": "5"},
    ],
)  # fmt: skip
def test_no_provider(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, variables)
    assert environment.provider() is None
    assert environment.commit_source() == "manual"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"CI": "1"}, "ci"),
        ({"CI": "yes"}, "ci"),
        ({"CI": "another-product"}, "ci"),
        ({"TRAVIS": "1"}, "travis-ci"),
        ({"JENKINS_SERVER_COOKIE": "durable-0a"}, "jenkins"),
        ({"HUDSON_SERVER_COOKIE": "0a"}, "jenkins"),
        ({"bamboo_deploy_project": "shop"}, "bamboo"),
        ({"TEKTON_TASK_RUN": "shop-r1-build"}, "tekton"),
        ({"GITHUB_ACTIONS": "true", "CODEBUILD_BUILD_ID": "shop:b1"}, "github-actions"),
    ],
)
def test_other_signs_of_a_provider(
    variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, variables)
    assert environment.actor() == name


def test_a_directory_is_a_sign_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here, gone = (
        providers.Provider("here", f"UNSET {tmp_path}", "https://"),
        providers.Provider("gone", f"UNSET {tmp_path / 'gone'}", "https://"),
    )
    monkeypatch.setattr(environment, "PROVIDERS", (gone, here))
    assert environment.provider() is here


@pytest.mark.parametrize("variable", AGENTS)
def test_agent(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.agent() is None
    monkeypatch.setenv(variable, "1")
    assert (environment.agent(), environment.commit_source()) == (AGENTS[variable], "llm")
    for off in ("", "0", "false"):
        monkeypatch.setenv(variable, off)
        assert (environment.agent(), environment.commit_source()) == (None, "manual")


@pytest.mark.parametrize("name", PROVIDERS)
def test_agent_in_a_ci_job_is_the_actor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PROVIDERS[name][0])
    assert (environment.actor(), environment.commit_source()) == (name, "ci")
    monkeypatch.setenv("CLAUDECODE", "1")
    assert (environment.actor(), environment.commit_source()) == ("claude-code", "llm")
    assert environment.facts().get("job") == PROVIDERS[name][2]


@pytest.mark.parametrize(
    ("value", "by_ai_agent", "by_agent"),
    [
        ("crush", "crush", "crush"),
        ("Goose@1.2.3", "goose", "goose"),
        ("claude-code_2.1.0_cli", "claude-code", "claude-code"),
        ("amp/0.9", "amp", "amp"),
        ("brand_new", "brand_new", None),
        ("1", "agent", None),
        ("true", "agent", None),
        ("ssh-agent /tmp/x", "ssh-agent", None),
        ("0", None, None),
        ("false", None, None),
        ("", None, None),
        ("null", None, None),
        ("/usr/bin/agent", None, None),
        ("x" * 41, None, None),
        ("na\u00efve", None, None),
        ("--", None, None),
    ],
)
def test_agent_that_names_itself(
    value: str, by_ai_agent: str | None, by_agent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, name in (("AI_AGENT", by_ai_agent), ("AGENT", by_agent)):
        with monkeypatch.context() as only:
            only.setenv(variable, value)
            assert (environment.agent(), environment.commit_source()) == (
                name,
                "llm" if name else "manual",
            )


def test_an_agents_own_variable_comes_before_a_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"AI_AGENT": "pi", "AGENT": "crush"})
    assert environment.agent() == "pi"
    monkeypatch.setenv("CURSOR_AGENT", "1")
    assert environment.agent() == "cursor"


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
def test_traceparent_stays_in_the_trace(
    header: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", header)
    place = environment.trace()
    version, trace, span, flags = str(place.variables["TRACEPARENT"]).split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert (trace in header) is kept
    assert span not in header
    assert place.context == {"trace_id": trace, "span_id": span} | (
        {"parent_span_id": "b7ad6b7169203331"} if kept else {}
    )


def test_a_trace_that_is_not_sampled_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    assert str(environment.trace().variables["TRACEPARENT"]).endswith("-00")
