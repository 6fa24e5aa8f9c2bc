"""What each CI provider's documented variables say of a job, and the ids made of that."""

import json
import os
import re
import uuid
from pathlib import Path

import pytest

from telemetry_cli.discovery import environment, providers

SHA = "0123456789abcdef0123456789abcdef01234567"
HEAD = "fedcba9876543210fedcba9876543210fedcba98"
GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_JOB": "build", "GITHUB_ACTION": "__run_2", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/feature/x",
    "GITHUB_HEAD_REF": "", "GITHUB_SHA": SHA, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "165",
    "GITHUB_RUN_ATTEMPT": "2", "GITHUB_RUN_NUMBER": "7", "RUNNER_TRACKING_ID": "github_9f",
}  # fmt: skip
#: Provider → (its variables, what they say).
SAID: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "github-actions": (
        GITHUB,
        {
            "job": "build", "step": "__run_2", "trigger": "push", "branch": "feature/x", "sha": SHA, "run": "165",
            "repository": "https://github.com/acme/shop",
            "run_url": "https://github.com/acme/shop/actions/runs/165", "job_url": "https://github.com/acme/shop/actions/runs/165/attempts/2", "attempt": "2",
            "job_id": "github_9f",
        },
    ),
    "gitlab-ci": (
        {
            "GITLAB_CI": "true", "CI_JOB_NAME": "build", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
            "CI_COMMIT_SHA": SHA, "CI_PROJECT_URL": "https://gitlab.com/acme/shop", "CI_PIPELINE_ID": "12", "CI_JOB_ID": "50", "CI_MERGE_REQUEST_IID": "3",
            "CI_PIPELINE_URL": "https://gitlab.com/acme/shop/-/pipelines/12", "CI_JOB_URL": "https://gitlab.com/acme/shop/-/jobs/50",
        },
        {
            "job": "build", "trigger": "merge_request_event", "branch": "topic", "sha": SHA, "repository": "https://gitlab.com/acme/shop", "run": "12",
            "run_url": "https://gitlab.com/acme/shop/-/pipelines/12", "job_url": "https://gitlab.com/acme/shop/-/jobs/50", "pull_request": "3", "job_id": "50",
        },
    ),
    "azure-pipelines": (
        {
            "TF_BUILD": "True", "SYSTEM_JOBNAME": "build", "BUILD_REASON": "PullRequest", "BUILD_SOURCEBRANCH": "refs/pull/9/merge",
            "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/topic", "BUILD_SOURCEVERSION": SHA, "BUILD_REPOSITORY_URI": "https://dev.azure.com/a/_git/s",
            "BUILD_BUILDID": "88", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/a/", "SYSTEM_TEAMPROJECT": "p", "SYSTEM_JOBATTEMPT": "1",
            "SYSTEM_JOBID": "j1", "SYSTEM_PULLREQUEST_PULLREQUESTID": "9",
        },
        {
            "job": "build", "trigger": "PullRequest", "branch": "topic", "sha": SHA, "repository": "https://dev.azure.com/a/_git/s", "run": "88",
            "run_url": "https://dev.azure.com/a/p/_build/results?buildId=88", "pull_request": "9", "attempt": "1", "job_id": "j1",
            "job_url": "https://dev.azure.com/a/p/_build/results?buildId=88&view=logs&j=j1",
        },
    ),
    "jenkins": (
        {
            "JENKINS_URL": "https://ci/", "JOB_NAME": "shop", "STAGE_NAME": "Test", "GIT_BRANCH": "origin/main", "GIT_COMMIT": SHA, "GIT_URL": "https://g/s.git",
            "BUILD_TAG": "jenkins-shop-17", "BUILD_URL": "https://ci/job/shop/17/", "JOB_URL": "https://ci/job/shop/", "CHANGE_ID": "4",
        },
        {
            "job": "shop", "step": "Test", "branch": "main", "sha": SHA, "repository": "https://g/s.git", "run": "jenkins-shop-17",
            "run_url": "https://ci/job/shop/17/", "job_url": "https://ci/job/shop/", "pull_request": "4",
        },
    ),
    "bitbucket-pipelines": (
        {
            "BITBUCKET_BUILD_NUMBER": "5", "BITBUCKET_REPO_SLUG": "shop", "BITBUCKET_STEP_UUID": "{s}", "BITBUCKET_BRANCH": "main", "BITBUCKET_COMMIT": SHA,
            "BITBUCKET_REPO_FULL_NAME": "acme/shop", "BITBUCKET_PR_ID": "2", "BITBUCKET_STEP_RUN_NUMBER": "1",
        },
        {
            "job": "shop", "step": "{s}", "branch": "main", "sha": SHA, "repository": "acme/shop", "run": "5", "pull_request": "2", "attempt": "1",
            "run_url": "https://bitbucket.org/acme/shop/pipelines/results/5",
        },
    ),
    "travis-ci": (
        {
            "TRAVIS": "true", "TRAVIS_JOB_NAME": "build", "TRAVIS_EVENT_TYPE": "push", "TRAVIS_BRANCH": "main", "TRAVIS_COMMIT": SHA, "TRAVIS_JOB_ID": "6",
            "TRAVIS_REPO_SLUG": "acme/shop", "TRAVIS_BUILD_ID": "5", "TRAVIS_PULL_REQUEST": "false",
        },
        {"job": "build", "trigger": "push", "branch": "main", "sha": SHA, "repository": "acme/shop", "run": "5", "job_id": "6"},
    ),
    "buildkite": (
        {
            "BUILDKITE": "true", "BUILDKITE_LABEL": "build", "BUILDKITE_STEP_KEY": "k", "BUILDKITE_SOURCE": "webhook", "BUILDKITE_BRANCH": "main",
            "BUILDKITE_COMMIT": SHA, "BUILDKITE_REPO": "git@github.com:acme/shop.git", "BUILDKITE_BUILD_ID": "b", "BUILDKITE_BUILD_URL": "https://bk/b/1",
            "BUILDKITE_JOB_ID": "j", "BUILDKITE_RETRY_COUNT": "0", "BUILDKITE_PULL_REQUEST": "false",
        },
        {
            "job": "build", "step": "k", "trigger": "webhook", "branch": "main", "sha": SHA, "repository": "git@github.com:acme/shop.git", "run": "b",
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


def sign_of(provider: providers.Provider) -> tuple[str, str]:
    """A variable by which a provider is recognised, with its value."""
    variable, _, value = provider.detect[0].partition("=")
    return variable, value or "1"


@pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda provider: provider.name)
def test_every_fact_of_every_provider_comes_from_its_variables(
    provider: providers.Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert set(provider.facts) <= set(providers.FACTS)
    detect, on = sign_of(provider)
    for fact, text in [(fact, text) for fact, texts in provider.facts.items() for text in texts]:
        with monkeypatch.context() as only:
            only.setenv(detect, on)
            value, expected = SHA if fact == "sha" else "v", text
            for whole, variable, place, shape in re.findall(
                r"(\{([A-Za-z0-9_]+)(?:/([a-z._]+))?(?::([^}]*))?\})", text
            ):
                said = on if variable == detect else value
                if place:
                    only.setenv(variable, event(tmp_path, place, said))
                else:
                    only.setenv(variable, shape.replace("*", said) if shape else said)
                expected = expected.replace(whole, said)
            # A text that stands behind another counts only where the other's variables are not set.
            assert environment.facts().get(fact) == expected


def event(folder: Path, place: str, value: object) -> str:
    """The path of a JSON file that holds a value at `a.b`."""
    for key in reversed(place.split(".")):
        value = {key: value}
    (folder / "event.json").write_text(json.dumps(value), encoding="utf-8")
    return str(folder / "event.json")


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
    variables: dict[str, str],
    branch: str | None,
    pull_request: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(monkeypatch, GITHUB | variables)
    assert (environment.facts().get("branch"), environment.facts().get("pull_request")) == (
        branch,
        pull_request,
    )


@pytest.mark.parametrize(
    "bad", ["bu\udcffild", "bu\x1bild", "bu\nild", "bu\x85ild", "bu\u2028ild", "  ", "\u3000"]
)
def test_value_that_is_no_line_of_text_is_left_out(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(
        monkeypatch,
        GITHUB
        | {"GITHUB_JOB": bad, "GITHUB_EVENT_NAME": bad, "GITHUB_HEAD_REF": bad, "GITHUB_SHA": bad},
    )
    assert {"job", "trigger", "sha"} & set(environment.facts()) == set()


#: With a full-width and a no-break space, joined emoji, a non-joiner between Persian letters, and a soft hyphen.
NAMES = (
    "\u5358\u4f53\u3000\u30c6",
    "lint\u00a0check",
    "\U0001f469\u200d\U0001f4bb lint",
    "\u0645\u06cc\u200c\u062e",
    "x\u00ady",
)


@pytest.mark.parametrize("name", NAMES)
def test_spaces_and_joiners_of_every_script_are_kept(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, GITHUB | {"GITHUB_JOB": name, "GITHUB_HEAD_REF": name})
    assert (environment.facts()["job"], environment.facts()["branch"]) == (name, name)


NOTHING = (
    "", "null", "NULL", "undefined", "None", "nil", "<nil>", "%!s(<nil>)", "(null)", "false", "$(Build.Value)", "${BRANCH}", "${{ github.ref }}",
    "{{workflow.name}}",
)  # fmt: skip


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("name", SAID)
def test_what_stands_for_no_value_is_none(
    nothing: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, _ = SAID[name]
    detect = (
        next(provider for provider in providers.PROVIDERS if provider.name == name)
        .detect[0]
        .partition("=")[0]
    )
    set_all(monkeypatch, dict.fromkeys(variables, nothing) | {detect: variables[detect]})
    assert set(environment.facts()) <= {"run"}


@pytest.mark.parametrize(
    "word", ["HEAD", "main", "12345", "0123abc", "g" * 40, "0" * 40, SHA[:39], f"{SHA}0"]
)
@pytest.mark.parametrize(
    "provider",
    [provider for provider in providers.PROVIDERS if provider.facts.get("sha")],
    ids=lambda provider: provider.name,
)
def test_sha_is_a_whole_one_or_none(
    provider: providers.Provider, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*sign_of(provider))
    variable = variables_of(provider.facts["sha"][-1])[0]
    monkeypatch.setenv(variable, word)
    assert "sha" not in environment.facts()
    monkeypatch.setenv(variable, SHA.upper())
    assert environment.facts()["sha"] == SHA


@pytest.mark.parametrize(
    ("said", "branch"),
    [
        ("refs/heads/main", "main"),
        ("refs/heads/feature/x", "feature/x"),
        ("origin/main", "main"),
        ("origin/feature/x", "feature/x"),
        ("refs/remotes/origin/main", "main"),
        ("remotes/upstream/main", "main"),
        ("users/pat/topic", "users/pat/topic"),
        ("pat:topic", "topic"),
        ("refs/tags/v1", None),
        ("refs/pull/12/merge", None),
        ("refs/merge-requests/3/head", None),
        ("pull/12", None),
        ("pull/12/head", None),
        ("pull/request", "pull/request"),
        ("pull/2024/rework", "pull/2024/rework"),
        ("refs/heads/pull/2024", "pull/2024"),
        ("refs/heads/origin/main", "origin/main"),
        ("refs/heads/remotes/main", "remotes/main"),
        ("refs/heads/refs/main", "refs/main"),
        ("refs/heads/detached", "detached"),
        ("refs/heads/", None),
        ("HEAD", None),
        ("origin/HEAD", None),
        ("detached", None),
        ("<default>", None),
    ],
)
@pytest.mark.parametrize(
    "provider",
    [provider for provider in providers.PROVIDERS if provider.facts.get("branch")],
    ids=lambda provider: provider.name,
)
def test_branch_has_one_form(
    provider: providers.Provider, said: str, branch: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*sign_of(provider))
    plain = next(text for text in provider.facts["branch"] if ":" not in text and "/" not in text)
    monkeypatch.setenv(variables_of(plain)[0], said)
    found = environment.facts()
    assert found.get("branch") == branch
    assert "rework" not in found.get("pull_request", "")


@pytest.mark.parametrize(
    "provider",
    [provider for provider in providers.PROVIDERS if provider.tag],
    ids=lambda provider: provider.name,
)
@pytest.mark.parametrize("said", ["v1.0", "refs/heads/v1.0"])
def test_branch_that_is_the_tag_is_none(
    provider: providers.Provider, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*sign_of(provider))
    monkeypatch.setenv(variables_of(provider.facts["branch"][-1])[0], said)
    assert environment.facts()["branch"] == "v1.0"
    monkeypatch.setenv(provider.tag, "v0.9")
    assert environment.facts()["branch"] == "v1.0"
    monkeypatch.setenv(provider.tag, "v1.0")
    assert "branch" not in environment.facts()


#: Provider → what it says of a pull request, beside the merge that it made for it.
PULL_REQUESTS: dict[str, dict[str, str]] = {
    "gitlab-ci": {
        "CI_COMMIT_SHA": SHA, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD, "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
    },
    "azure-pipelines": {
        "BUILD_SOURCEVERSION": SHA, "SYSTEM_PULLREQUEST_SOURCECOMMITID": HEAD, "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER": "7",
        "SYSTEM_PULLREQUEST_PULLREQUESTID": "84331", "SYSTEM_PULLREQUEST_SOURCEBRANCH": "topic", "BUILD_SOURCEBRANCH": "refs/pull/7/merge",
    },
    "bitbucket-pipelines": {"BITBUCKET_COMMIT": HEAD, "BITBUCKET_PR_ID": "7", "BITBUCKET_BRANCH": "topic"},
    "circleci": {"CIRCLE_SHA1": HEAD, "CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/7", "CIRCLE_BRANCH": "topic"},
    "travis-ci": {
        "TRAVIS_COMMIT": SHA, "TRAVIS_PULL_REQUEST_SHA": HEAD, "TRAVIS_PULL_REQUEST": "7", "TRAVIS_PULL_REQUEST_BRANCH": "topic", "TRAVIS_BRANCH": "main",
    },
    "buildkite": {"BUILDKITE_COMMIT": HEAD, "BUILDKITE_PULL_REQUEST": "7", "BUILDKITE_BRANCH": "pat:topic"},
    "drone": {"DRONE_COMMIT_SHA": HEAD, "DRONE_PULL_REQUEST": "7", "DRONE_SOURCE_BRANCH": "topic", "DRONE_BRANCH": "main"},
    "woodpecker": {"CI_COMMIT_SHA": HEAD, "CI_COMMIT_PULL_REQUEST": "7", "CI_COMMIT_SOURCE_BRANCH": "topic", "CI_COMMIT_BRANCH": "main"},
    "appveyor": {
        "APPVEYOR_REPO_COMMIT": SHA, "APPVEYOR_PULL_REQUEST_HEAD_COMMIT": HEAD, "APPVEYOR_PULL_REQUEST_NUMBER": "7",
        "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH": "topic", "APPVEYOR_REPO_BRANCH": "main",
    },
    "codefresh": {"CF_REVISION": SHA, "CF_PULL_REQUEST_HEAD_COMMIT_SHA": HEAD, "CF_PULL_REQUEST_NUMBER": "7", "CF_PULL_REQUEST_HEAD_BRANCH": "topic"},
    "semaphore": {"SEMAPHORE_GIT_SHA": SHA, "SEMAPHORE_GIT_PR_SHA": HEAD, "SEMAPHORE_GIT_PR_NUMBER": "7", "SEMAPHORE_GIT_PR_BRANCH": "topic"},
    "jenkins": {"GIT_COMMIT": HEAD, "CHANGE_ID": "7", "CHANGE_BRANCH": "topic", "BRANCH_NAME": "PR-7", "GIT_BRANCH": "origin/PR-7"},
    "codebuild": {
        "CODEBUILD_RESOLVED_SOURCE_VERSION": HEAD, "CODEBUILD_WEBHOOK_TRIGGER": "pr/7", "CODEBUILD_SOURCE_VERSION": "pr/7",
        "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/topic",
    },
    "cloud-build": {"COMMIT_SHA": HEAD, "_PR_NUMBER": "7", "_HEAD_BRANCH": "topic", "BRANCH_NAME": "main"},
    "bamboo": {
        "bamboo_planRepository_revision": HEAD, "bamboo_repository_pr_key": "7", "bamboo_repository_pr_sourceBranch": "topic",
        "bamboo_planRepository_branchName": "SHOP-MAIN7",
    },
    "tekton": {"TEKTON_COMMIT_SHA": HEAD, "TEKTON_PULL_REQUEST": "7", "TEKTON_BRANCH": "topic"},
}  # fmt: skip


def told(
    name: str, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> tuple[str | None, ...]:
    """What is said of a pull request by a provider with these variables."""
    monkeypatch.setenv(
        *sign_of(next(provider for provider in providers.PROVIDERS if provider.name == name))
    )
    set_all(monkeypatch, variables)
    return tuple(environment.facts().get(fact) for fact in ("sha", "pull_request", "branch"))


@pytest.mark.parametrize("name", PULL_REQUESTS)
def test_pull_request_gives_the_heads_sha_number_and_branch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(name, monkeypatch, PULL_REQUESTS[name]) == (HEAD, "7", "topic")


@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        ("gitlab-ci", {"CI_COMMIT_SHA": HEAD, "CI_EXTERNAL_PULL_REQUEST_IID": "7", "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME": "t"}, (HEAD, "7", "t")),
        ("jenkins", {"GIT_COMMIT": SHA, "ghprbActualCommit": HEAD, "ghprbPullId": "7", "ghprbSourceBranch": "t", "GIT_BRANCH": "detached"}, (HEAD, "7", "t")),
        ("jenkins", {"GIT_COMMIT": SHA, "gitlabMergeRequestLastCommit": HEAD, "gitlabMergeRequestIid": "7", "gitlabSourceBranch": "t"}, (HEAD, "7", "t")),
        ("circleci", {"CIRCLE_SHA1": HEAD, "CIRCLE_BRANCH": "pull/7"}, (HEAD, "7", None)),
        ("teamcity", {"BUILD_VCS_NUMBER": HEAD, "BUILD_VCS_BRANCH": "refs/pull/7/head"}, (HEAD, "7", None)),
        ("codebuild", {"CODEBUILD_RESOLVED_SOURCE_VERSION": HEAD, "CODEBUILD_WEBHOOK_TRIGGER": "branch/t"}, (HEAD, None, "t")),
        ("azure-pipelines", {"BUILD_SOURCEVERSION": HEAD, "SYSTEM_PULLREQUEST_SOURCEBRANCH": "$(System.PullRequest.SourceBranch)"}, (HEAD, None, None)),
    ],
)  # fmt: skip
def test_other_ways_to_say_so(
    name: str,
    variables: dict[str, str],
    expected: tuple[str | None, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert told(name, monkeypatch, variables) == expected


@pytest.mark.parametrize("name", ["github-actions", "gitea-actions", "forgejo-actions"])
@pytest.mark.parametrize(
    ("variables", "branch"),
    [
        (
            {
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_REF": "refs/pull/7/merge",
                "GITHUB_HEAD_REF": "topic",
            },
            "topic",
        ),
        (
            {
                "GITHUB_EVENT_NAME": "pull_request_target",
                "GITHUB_REF": "refs/heads/main",
                "GITHUB_HEAD_REF": "topic",
            },
            "topic",
        ),
        (
            {"GITHUB_EVENT_NAME": "pull_request_review", "GITHUB_REF": "refs/pull/7/merge"},
            "from-event",
        ),
    ],
)
def test_event_file_tells_the_head_of_a_pull_request(
    name: str,
    variables: dict[str, str],
    branch: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    request = {
        "number": 7,
        "head": {"sha": HEAD, "ref": "from-event"},
        "base": {"sha": "3" * 40, "ref": "main"},
    }
    path = event(tmp_path, "pull_request", request)
    assert told(name, monkeypatch, {"GITHUB_SHA": SHA, "GITHUB_EVENT_PATH": path, **variables}) == (
        HEAD,
        "7",
        branch,
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"pull_request": null}', b'{"pull_request": {"head": []}}', b'{"pull_request": {"number": true, "head": {"sha": 5}}}',
     b'{"pull_request":' + b"[" * 100_000, b'{"pull_request": {"head": {"sha": "' + HEAD.encode() + b'"}}}' + b" " * (1 << 20)],
)  # fmt: skip
def test_event_file_that_tells_nothing_is_passed_over(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_bytes(content)
    variables = {
        "GITHUB_SHA": SHA,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
    }
    assert told("github-actions", monkeypatch, variables) == (SHA, None, "main")


def test_event_file_that_is_a_fifo_or_missing_does_not_hang(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "missing"):
        assert told(
            "github-actions",
            monkeypatch,
            {"GITHUB_SHA": SHA, "GITHUB_EVENT_PATH": str(tmp_path / name)},
        ) == (SHA, None, None)


@pytest.mark.parametrize(
    ("collection", "project", "address"),
    [
        ("https://dev.azure.com/a/", "My Shop", "https://dev.azure.com/a/My%20Shop"),
        ("https://dev.azure.com/a%20b/", "My%20Shop", "https://dev.azure.com/a%20b/My%20Shop"),
        (
            "https://tfs.example/Default Collection/",
            "100% Größe",
            "https://tfs.example/Default%20Collection/100%25%20Gr%C3%B6%C3%9Fe",
        ),
        ("https://dev.azure.com/a/", "a&b@(c)~d'e", "https://dev.azure.com/a/a&b@(c)~d'e"),
    ],
)
def test_what_no_address_may_hold_is_encoded_once(
    collection: str, project: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(
        monkeypatch,
        SAID["azure-pipelines"][0]
        | {"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": collection, "SYSTEM_TEAMPROJECT": project},
    )
    build = f"{address}/_build/results?buildId=88"
    assert (environment.facts()["run_url"], environment.facts()["job_url"]) == (
        build,
        f"{build}&view=logs&j=j1",
    )


@pytest.mark.parametrize(
    ("variables", "number"),
    [
        ({"CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/12"}, "12"),
        ({"CIRCLE_PULL_REQUEST": "https://bitbucket.org/acme/shop/pull-requests/7"}, "7"),
        ({"CIRCLE_PULL_REQUEST": "12"}, "12"),
        (
            {
                "CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/12",
                "CIRCLE_PR_NUMBER": "13",
            },
            "13",
        ),
        ({"CIRCLE_PR_NUMBER": "https://github.com/acme/shop/pull/13"}, "13"),
        ({"CIRCLE_PULL_REQUEST": ""}, None),
    ],
)
def test_of_an_address_of_a_pull_request_its_number_is_kept(
    variables: dict[str, str], number: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
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


@pytest.mark.parametrize(
    "variable",
    [
        "GITHUB_REPOSITORY",
        "GITHUB_RUN_ID",
        "GITHUB_RUN_ATTEMPT",
        "GITHUB_JOB",
        "GITHUB_ACTION",
        "RUNNER_TRACKING_ID",
    ],
)
def test_another_run_attempt_job_or_step_has_another_id(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, GITHUB)
    first = environment.derived_event_id()
    monkeypatch.setenv(variable, "github_other")
    assert environment.derived_event_id() not in (first, None)


def test_parts_do_not_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, GITHUB)
    assert environment.derived_event_id("a", "bc") != environment.derived_event_id("ab", "c")


@pytest.mark.parametrize("variables", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "true"}])
def test_no_id_where_nobody_says_which_run_this_is(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, variables)
    assert environment.derived_event_id("x") is None


#: Those that give their jobs an id, or something that does as well.
IDENTIFYING = [
    provider
    for provider in providers.PROVIDERS
    if provider.facts and set(provider.identity) <= set(provider.facts)
]


def variables_of(text: str) -> list[str]:
    return re.findall(r"\{([A-Za-z0-9_]+)", text)


def naming(provider: providers.Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of the facts that tell a provider's jobs apart."""
    detect, on = sign_of(provider)
    monkeypatch.setenv(detect, on)
    for fact in provider.identity:
        for variable, shape in [
            found
            for text in provider.facts[fact]
            for found in re.findall(r"\{([A-Za-z0-9_]+)(?::([^}]*))?\}", text)
        ]:
            if variable != detect:
                monkeypatch.setenv(variable, shape.replace("*", "v") if shape else "v")


@pytest.mark.parametrize("provider", IDENTIFYING, ids=lambda provider: provider.name)
def test_a_job_that_is_not_known_from_others_gets_no_derived_id(
    provider: providers.Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    naming(provider, monkeypatch)
    assert environment.derived_event_id() is not None
    detect = sign_of(provider)[0]
    for fact in provider.identity:
        with monkeypatch.context() as without:
            needed = {name for text in provider.facts[fact] for name in variables_of(text)} - {
                detect
            }
            if any(set(variables_of(text)) <= {detect} for text in provider.facts[fact]):
                continue
            for variable in needed:
                without.delenv(variable)
            named, _, why = environment.why_not_derived(told_apart=False).partition(" is ")
            assert set(named.split(" or ")) <= needed
            assert why == "not set, and without it two jobs could get the same id"
            assert environment.derived_event_id() is None


def test_any_of_several_variables_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"CIRCLECI": "true", "CIRCLE_WORKFLOW_ID": "w", "CIRCLE_NODE_INDEX": "0"})
    assert environment.why_not_derived(told_apart=False).startswith("CIRCLE_BUILD_NUM is not set")
    set_all(monkeypatch, {"CIRCLE_BUILD_NUM": "5"})
    assert environment.derived_event_id() is not None
    monkeypatch.delenv("CIRCLE_WORKFLOW_ID")
    assert environment.derived_event_id() is not None


@pytest.mark.parametrize("variables", [{}, {"CI": "true"}])
def test_nothing_is_lacking_where_no_variable_would_help(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, variables)
    assert environment.why_not_derived(told_apart=False) == "no CI provider says which run this is"


GOCD = {
    "GO_PIPELINE_NAME": "p",
    "GO_PIPELINE_COUNTER": "1",
    "GO_STAGE_NAME": "s",
    "GO_STAGE_COUNTER": "1",
    "GO_JOB_NAME": "j",
}
JENKINS = SAID["jenkins"][0] | {"JENKINS_NODE_COOKIE": "6b1f-11"}


@pytest.mark.parametrize(
    ("variables", "variable", "legs"),
    [
        (GITHUB, "RUNNER_TRACKING_ID", ("github_1", "github_2")),
        (SAID["azure-pipelines"][0], "SYSTEM_JOBID", ("j1", "j2")),
        (SAID["travis-ci"][0], "TRAVIS_JOB_ID", ("1", "2")),
        (JENKINS, "JENKINS_NODE_COOKIE", ("6b1f-11", "6b1f-12")),
        (GOCD, "GO_JOB_RUN_INDEX", ("1", "2")),
        ({"bamboo_planKey": "P", "bamboo_buildNumber": "1", "bamboo_buildResultKey": "P-J-1"}, "bamboo_buildTimeStamp", ("10:00", "11:00")),
    ],
)  # fmt: skip
def test_two_jobs_of_a_matrix_have_two_ids(
    variables: dict[str, str], variable: str, legs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, variables)
    ids = set()
    for leg in legs:
        monkeypatch.setenv(variable, leg)
        ids |= {environment.derived_event_id(), environment.derived_event_id()}
    assert len(ids) == 2
    assert None not in ids


@pytest.mark.parametrize(
    ("variables", "variable", "word"),
    [
        (GITHUB, "RUNNER_TRACKING_ID", "0"),
        (GITHUB, "RUNNER_TRACKING_ID", "keep"),
        (GITHUB, "RUNNER_TRACKING_ID", ""),
        (JENKINS, "JENKINS_NODE_COOKIE", "dontKillMe"),
    ],
)
def test_job_that_gave_up_its_id_gets_none_derived(
    variables: dict[str, str], variable: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both variables are set to a word on purpose, so that a process outlives the job: all jobs of a matrix say the same then."""
    set_all(monkeypatch, variables | {variable: word})
    assert environment.derived_event_id() is None
    assert environment.why_not_derived(told_apart=False).startswith(
        f"{variable} {'holds no id' if word else 'is not set'}, "
    )
    one, two = (
        environment.derived_event_id("1", told_apart=True),
        environment.derived_event_id("2", told_apart=True),
    )
    assert None not in (one, two)
    assert one != two


@pytest.mark.parametrize("name", ["gitea-actions", "forgejo-actions"])
def test_where_jobs_have_no_id_they_have_to_be_told_apart(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, GITHUB | {name.upper().replace("-", "_"): "true"})
    assert environment.derived_event_id() is None
    assert (
        environment.why_not_derived(told_apart=False)
        == f"{name} says nothing that tells the jobs of a matrix apart; give each its own --item-name"
    )
    assert (
        environment.derived_event_id("1", told_apart=True)
        == environment.derived_event_id("1", told_apart=True)
        is not None
    )
