"""What each CI provider's documented variables say of a job, and the ids made of that."""

import re
import uuid

import pytest

from telemetry_cli.discover import environment, providers

GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_JOB": "build", "GITHUB_ACTION": "__run_2", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/feature/x",
    "GITHUB_HEAD_REF": "", "GITHUB_SHA": "5ha", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "165",
    "GITHUB_RUN_ATTEMPT": "2", "GITHUB_RUN_NUMBER": "7", "RUNNER_TRACKING_ID": "github_9f",
}  # fmt: skip
#: Provider → (its variables, what they say).
SAID: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "github-actions": (
        GITHUB,
        {
            "job": "build", "step": "__run_2", "trigger": "push", "branch": "feature/x", "sha": "5ha", "run": "165",
            "repository": "https://github.com/acme/shop",
            "run_url": "https://github.com/acme/shop/actions/runs/165", "job_url": "https://github.com/acme/shop/actions/runs/165/attempts/2", "attempt": "2",
            "job_id": "github_9f",
        },
    ),
    "gitlab-ci": (
        {
            "GITLAB_CI": "true", "CI_JOB_NAME": "build", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
            "CI_COMMIT_SHA": "5ha", "CI_PROJECT_URL": "https://gitlab.com/acme/shop", "CI_PIPELINE_ID": "12", "CI_JOB_ID": "50", "CI_MERGE_REQUEST_IID": "3",
            "CI_PIPELINE_URL": "https://gitlab.com/acme/shop/-/pipelines/12", "CI_JOB_URL": "https://gitlab.com/acme/shop/-/jobs/50",
        },
        {
            "job": "build", "trigger": "merge_request_event", "branch": "topic", "sha": "5ha", "repository": "https://gitlab.com/acme/shop", "run": "12",
            "run_url": "https://gitlab.com/acme/shop/-/pipelines/12", "job_url": "https://gitlab.com/acme/shop/-/jobs/50", "pull_request": "3", "job_id": "50",
        },
    ),
    "azure-pipelines": (
        {
            "TF_BUILD": "True", "SYSTEM_JOBNAME": "build", "BUILD_REASON": "PullRequest", "BUILD_SOURCEBRANCH": "refs/pull/9/merge",
            "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/topic", "BUILD_SOURCEVERSION": "5ha", "BUILD_REPOSITORY_URI": "https://dev.azure.com/a/_git/s",
            "BUILD_BUILDID": "88", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/a/", "SYSTEM_TEAMPROJECT": "p", "SYSTEM_JOBATTEMPT": "1",
            "SYSTEM_JOBID": "j1", "SYSTEM_PULLREQUEST_PULLREQUESTID": "9",
        },
        {
            "job": "build", "trigger": "PullRequest", "branch": "topic", "sha": "5ha", "repository": "https://dev.azure.com/a/_git/s", "run": "88",
            "run_url": "https://dev.azure.com/a/p/_build/results?buildId=88", "pull_request": "9", "attempt": "1", "job_id": "j1",
            "job_url": "https://dev.azure.com/a/p/_build/results?buildId=88&view=logs&j=j1",
        },
    ),
    "jenkins": (
        {
            "JENKINS_URL": "https://ci/", "JOB_NAME": "shop", "STAGE_NAME": "Test", "GIT_BRANCH": "origin/main", "GIT_COMMIT": "5ha", "GIT_URL": "https://g/s.git",
            "BUILD_TAG": "jenkins-shop-17", "BUILD_URL": "https://ci/job/shop/17/", "JOB_URL": "https://ci/job/shop/", "CHANGE_ID": "4",
        },
        {
            "job": "shop", "step": "Test", "branch": "main", "sha": "5ha", "repository": "https://g/s.git", "run": "jenkins-shop-17",
            "run_url": "https://ci/job/shop/17/", "job_url": "https://ci/job/shop/", "pull_request": "4",
        },
    ),
    "bitbucket-pipelines": (
        {
            "BITBUCKET_BUILD_NUMBER": "5", "BITBUCKET_REPO_SLUG": "shop", "BITBUCKET_STEP_UUID": "{s}", "BITBUCKET_BRANCH": "main", "BITBUCKET_COMMIT": "5ha",
            "BITBUCKET_REPO_FULL_NAME": "acme/shop", "BITBUCKET_PR_ID": "2", "BITBUCKET_STEP_RUN_NUMBER": "1",
        },
        {
            "job": "shop", "step": "{s}", "branch": "main", "sha": "5ha", "repository": "acme/shop", "run": "5", "pull_request": "2", "attempt": "1",
            "run_url": "https://bitbucket.org/acme/shop/pipelines/results/5",
        },
    ),
    "travis-ci": (
        {
            "TRAVIS": "true", "TRAVIS_JOB_NAME": "build", "TRAVIS_EVENT_TYPE": "push", "TRAVIS_BRANCH": "main", "TRAVIS_COMMIT": "5ha", "TRAVIS_JOB_ID": "6",
            "TRAVIS_REPO_SLUG": "acme/shop", "TRAVIS_BUILD_ID": "5", "TRAVIS_PULL_REQUEST": "false",
        },
        {"job": "build", "trigger": "push", "branch": "main", "sha": "5ha", "repository": "acme/shop", "run": "5", "job_id": "6"},
    ),
    "buildkite": (
        {
            "BUILDKITE": "true", "BUILDKITE_LABEL": "build", "BUILDKITE_STEP_KEY": "k", "BUILDKITE_SOURCE": "webhook", "BUILDKITE_BRANCH": "main",
            "BUILDKITE_COMMIT": "5ha", "BUILDKITE_REPO": "git@github.com:acme/shop.git", "BUILDKITE_BUILD_ID": "b", "BUILDKITE_BUILD_URL": "https://bk/b/1",
            "BUILDKITE_JOB_ID": "j", "BUILDKITE_RETRY_COUNT": "0", "BUILDKITE_PULL_REQUEST": "false",
        },
        {
            "job": "build", "step": "k", "trigger": "webhook", "branch": "main", "sha": "5ha", "repository": "git@github.com:acme/shop.git", "run": "b",
            "run_url": "https://bk/b/1", "job_url": "https://bk/b/1#j", "attempt": "0", "job_id": "j",
        },
    ),
}  # fmt: skip


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", SAID)
def test_what_a_provider_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, said = SAID[name]
    set_all(monkeypatch, variables)
    assert environment.facts() == said


@pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda provider: provider.name)
def test_every_fact_of_every_provider_comes_from_its_variables(provider: providers.Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(provider.facts) <= set(providers.FACTS)
    for fact, texts in provider.facts.items():
        for text in texts:
            with monkeypatch.context() as only:
                only.setenv(provider.detect, provider.equals or "1")
                shapes = dict(re.findall(r"\{([A-Z0-9_]+)(?::([^}]*))?\}", text))
                expected = text
                for variable, shape in shapes.items():
                    value = "1" if variable == provider.detect else "v"
                    only.setenv(variable, shape.replace("*", value) if shape else value)
                    expected = re.sub(rf"\{{{variable}(?::[^}}]*)?\}}", value, expected)
                # A text that stands behind another counts only where the other's variables are not set.
                assert environment.facts().get(fact) == expected


@pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda provider: provider.name)
def test_where_it_is_documented_is_said(provider: providers.Provider) -> None:
    assert provider.docs.startswith("https://")


@pytest.mark.parametrize(
    ("variables", "branch", "pull_request"),
    [
        ({"GITHUB_REF": "refs/pull/12/merge", "GITHUB_HEAD_REF": "topic"}, "topic", "12"),
        ({"GITHUB_REF": "refs/tags/v1"}, None, None),
        ({"GITHUB_REF": "refs/heads/main"}, "main", None),
        ({"GITHUB_REF": "refs/heads/"}, None, None),
        ({"GITHUB_REF": "refs/pull//merge"}, None, None),
    ],
)
def test_branch_and_pull_request_are_parts_of_a_ref(
    variables: dict[str, str], branch: str | None, pull_request: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, GITHUB | variables)
    assert (environment.facts().get("branch"), environment.facts().get("pull_request")) == (branch, pull_request)


def test_what_cannot_be_stored_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, GITHUB | {"GITHUB_JOB": "bu\udcffild", "GITHUB_EVENT_NAME": "pu\x1bsh", "GITHUB_SHA": "  "})
    assert {"job", "trigger", "sha"} & set(environment.facts()) == set()


@pytest.mark.parametrize(
    ("collection", "project", "address"),
    [
        ("https://dev.azure.com/a/", "My Shop", "https://dev.azure.com/a/My%20Shop"),
        ("https://dev.azure.com/a%20b/", "My%20Shop", "https://dev.azure.com/a%20b/My%20Shop"),
        ("https://tfs.example/Default Collection/", "100% Größe", "https://tfs.example/Default%20Collection/100%25%20Gr%C3%B6%C3%9Fe"),
        ("https://dev.azure.com/a/", "a&b@(c)~d'e", "https://dev.azure.com/a/a&b@(c)~d'e"),
    ],
)
def test_what_no_address_may_hold_is_encoded_once(collection: str, project: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, SAID["azure-pipelines"][0] | {"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": collection, "SYSTEM_TEAMPROJECT": project})
    build = f"{address}/_build/results?buildId=88"
    assert (environment.facts()["run_url"], environment.facts()["job_url"]) == (build, f"{build}&view=logs&j=j1")


@pytest.mark.parametrize(
    ("variables", "number"),
    [
        ({"CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/12"}, "12"),
        ({"CIRCLE_PULL_REQUEST": "https://bitbucket.org/acme/shop/pull-requests/7"}, "7"),
        ({"CIRCLE_PULL_REQUEST": "12"}, "12"),
        ({"CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/12", "CIRCLE_PR_NUMBER": "13"}, "13"),
        ({"CIRCLE_PR_NUMBER": "https://github.com/acme/shop/pull/13"}, "13"),
        ({"CIRCLE_PULL_REQUEST": ""}, None),
    ],
)
def test_of_an_address_of_a_pull_request_its_number_is_kept(variables: dict[str, str], number: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"CIRCLECI": "true"} | variables)
    assert environment.facts().get("pull_request") == number


# Ids


def test_the_same_step_of_the_same_attempt_has_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, GITHUB)
    first = environment.derived_event_id("build")
    assert first is not None
    assert uuid.UUID(first).version == 5
    assert uuid.UUID(first).variant == uuid.RFC_4122
    assert environment.derived_event_id("build") == first


@pytest.mark.parametrize("variable", ["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "GITHUB_ACTION", "RUNNER_TRACKING_ID"])
def test_another_run_attempt_job_or_step_has_another_id(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, GITHUB)
    first = environment.derived_event_id()
    monkeypatch.setenv(variable, "other")
    assert environment.derived_event_id() not in (first, None)


def test_parts_do_not_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, GITHUB)
    assert environment.derived_event_id("a", "bc") != environment.derived_event_id("ab", "c")


@pytest.mark.parametrize("variables", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "true"}])
def test_no_id_where_nobody_says_which_run_this_is(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, variables)
    assert environment.derived_event_id("x") is None


IDENTIFYING = [provider for provider in providers.PROVIDERS if provider.facts]


def variables_of(text: str) -> list[str]:
    return re.findall(r"\{([A-Z0-9_]+)", text)


def naming(provider: providers.Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of the facts that tell a provider's jobs apart."""
    monkeypatch.setenv(provider.detect, provider.equals or "1")
    for variable in {name for fact in provider.identity for text in provider.facts[fact] for name in variables_of(text)} - {provider.detect}:
        monkeypatch.setenv(variable, "v")


@pytest.mark.parametrize("provider", IDENTIFYING, ids=lambda provider: provider.name)
def test_a_job_that_is_not_known_from_others_gets_no_derived_id(provider: providers.Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    naming(provider, monkeypatch)
    assert environment.identity_lacks() is None
    assert environment.derived_event_id() is not None
    for fact in provider.identity:
        with monkeypatch.context() as without:
            needed = {name for text in provider.facts[fact] for name in variables_of(text)} - {provider.detect}
            if any(set(variables_of(text)) <= {provider.detect} for text in provider.facts[fact]):
                continue
            for variable in needed:
                without.delenv(variable)
            lacking = environment.identity_lacks()
            assert lacking
            assert set(lacking.split(" or ")) <= needed
            assert environment.derived_event_id() is None


def test_any_of_several_variables_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"CIRCLECI": "true", "CIRCLE_WORKFLOW_ID": "w", "CIRCLE_NODE_INDEX": "0"})
    assert environment.identity_lacks() == "CIRCLE_BUILD_NUM"
    set_all(monkeypatch, {"CIRCLE_BUILD_NUM": "5"})
    assert environment.derived_event_id() is not None
    monkeypatch.delenv("CIRCLE_WORKFLOW_ID")
    assert environment.derived_event_id() is not None


@pytest.mark.parametrize("variables", [{}, {"CI": "true"}])
def test_nothing_is_lacking_where_no_variable_would_help(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, variables)
    assert environment.identity_lacks() is None
