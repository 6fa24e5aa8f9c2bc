"""CI providers and coding agents as data: the variables that each documents, and what they say. docs/ci.md shows the same tables."""

#: What can be known of where a CI job runs. `job_id` is this execution's own id, `attempt` counts executions of the same job.
FACTS = (
    "job",
    "step",
    "trigger",
    "branch",
    "sha",
    "repository",
    "run",
    "run_url",
    "job_url",
    "pull_request",
    "attempt",
    "job_id",
)

Facts = dict[str, tuple[str, ...]]


class Provider:
    """A CI provider: how it is recognised, where its variables are documented, and which of them hold which fact.

    detect: signs, separated by spaces, any of which is enough: `VARIABLE` (set, and not to 0, false, no or off),
        `VARIABLE=value` (in any case), or the absolute path of a directory.
    tag: the variable with the tag that is built, where a variable of the branch says the tag too.
    identity: the facts without which two of its jobs could be taken for the same one.
    facts: one or several texts for each; the first one whose `{VARIABLE}`s are all set counts. `{VARIABLE:before*after}` is the
        part of a value that has this shape; before it, `**/` is all up to the last slash, if there is one.
        `{VARIABLE/a.b}` is the value `a.b` of the JSON file that the variable names.
    """

    def __init__(
        self,
        name: str,
        detect: str,
        docs: str,
        identity: tuple[str, ...] = ("run", "job_id"),
        tag: str = "",
        **facts: str | tuple[str, ...],
    ) -> None:
        self.name = name
        self.detect = tuple(detect.split())
        self.docs = docs
        self.identity = identity
        self.tag = tag
        self.facts: Facts = {
            fact: (texts,) if isinstance(texts, str) else texts for fact, texts in facts.items()
        }


def _github(name: str, detect: str, docs: str, run_url: str, **more: str) -> Provider:
    """GitHub Actions, or one of the two that took over its variables."""
    facts: dict[str, str | tuple[str, ...]] = {
        "job": "{GITHUB_JOB}",
        "step": "{GITHUB_ACTION}",
        "trigger": "{GITHUB_EVENT_NAME}",
        "branch": (
            "{GITHUB_HEAD_REF}",
            "{GITHUB_EVENT_PATH/pull_request.head.ref}",
            "{GITHUB_REF}",
        ),
        # For a pull request, GITHUB_SHA is a merge commit that nobody made (pull_request), or the base (pull_request_target).
        "sha": ("{GITHUB_EVENT_PATH/pull_request.head.sha}", "{GITHUB_SHA}"),
        "repository": ("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}", "{GITHUB_REPOSITORY}"),
        "run": "{GITHUB_RUN_ID}",
        "run_url": "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/" + run_url,
        "pull_request": (
            "{GITHUB_REF:refs/pull/*/merge}",
            "{GITHUB_REF:refs/pull/*/head}",
            "{GITHUB_EVENT_PATH/pull_request.number}",
        ),
        "attempt": "{GITHUB_RUN_ATTEMPT}",
        **more,
    }
    return Provider(name, detect, docs, ("run", "attempt", "job_id"), "", **facts)


#: More specific ones first: Forgejo and Gitea set GitHub's variables too, and everyone sets CI.
PROVIDERS = (
    _github(
        "forgejo-actions",
        "FORGEJO_ACTIONS=true",
        "https://forgejo.org/docs/latest/user/actions/reference/",
        "{GITHUB_RUN_NUMBER}",
    ),
    _github(
        "gitea-actions",
        "GITEA_ACTIONS=true",
        "https://docs.gitea.com/usage/actions/actions-variables",
        "{GITHUB_RUN_NUMBER}",
    ),
    _github(
        "github-actions",
        "GITHUB_ACTIONS=true",
        "https://docs.github.com/en/actions/reference/workflows-and-actions/variables",
        "{GITHUB_RUN_ID}",
        job_url="{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}/attempts/{GITHUB_RUN_ATTEMPT}",
        # Jobs that leave a process behind on purpose set it to 0 or another word.
        job_id="github_{RUNNER_TRACKING_ID:github_*}",
    ),
    Provider(
        "gitlab-ci",
        "GITLAB_CI=true",
        "https://docs.gitlab.com/ci/variables/predefined_variables/",
        job="{CI_JOB_NAME}",
        trigger="{CI_PIPELINE_SOURCE}",
        branch=(
            "{CI_MERGE_REQUEST_SOURCE_BRANCH_NAME}",
            "{CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME}",
            "{CI_COMMIT_BRANCH}",
        ),
        # In a merged results pipeline, CI_COMMIT_SHA is a merge that GitLab made.
        sha=(
            "{CI_MERGE_REQUEST_SOURCE_BRANCH_SHA}",
            "{CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA}",
            "{CI_COMMIT_SHA}",
        ),
        repository="{CI_PROJECT_URL}",
        run="{CI_PIPELINE_ID}",
        run_url="{CI_PIPELINE_URL}",
        job_url="{CI_JOB_URL}",
        pull_request=("{CI_MERGE_REQUEST_IID}", "{CI_EXTERNAL_PULL_REQUEST_IID}"),
        job_id="{CI_JOB_ID}",
    ),
    Provider(
        "azure-pipelines",
        "TF_BUILD=true",
        "https://learn.microsoft.com/en-us/azure/devops/pipelines/build/variables",
        job=("{SYSTEM_JOBNAME}", "{BUILD_DEFINITIONNAME}"),
        step="{SYSTEM_TASKINSTANCEID}",
        trigger="{BUILD_REASON}",
        branch=("{SYSTEM_PULLREQUEST_SOURCEBRANCH}", "{BUILD_SOURCEBRANCH}"),
        sha=("{SYSTEM_PULLREQUEST_SOURCECOMMITID}", "{BUILD_SOURCEVERSION}"),
        repository="{BUILD_REPOSITORY_URI}",
        run="{BUILD_BUILDID}",
        run_url="{SYSTEM_TEAMFOUNDATIONCOLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
        job_url="{SYSTEM_TEAMFOUNDATIONCOLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}&view=logs&j={SYSTEM_JOBID}",
        pull_request=(
            "{SYSTEM_PULLREQUEST_PULLREQUESTNUMBER}",
            "{SYSTEM_PULLREQUEST_PULLREQUESTID}",
        ),
        attempt="{SYSTEM_JOBATTEMPT}",
        job_id="{SYSTEM_JOBID}",
    ),
    Provider(
        "bitbucket-pipelines",
        "BITBUCKET_BUILD_NUMBER",
        "https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/",
        ("run", "step", "attempt"),
        job="{BITBUCKET_REPO_SLUG}",
        step="{BITBUCKET_STEP_UUID}",
        branch="{BITBUCKET_BRANCH}",
        sha="{BITBUCKET_COMMIT}",
        repository=("{BITBUCKET_GIT_HTTP_ORIGIN}", "{BITBUCKET_REPO_FULL_NAME}"),
        run=("{BITBUCKET_PIPELINE_UUID}", "{BITBUCKET_BUILD_NUMBER}"),
        run_url="https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",
        pull_request="{BITBUCKET_PR_ID}",
        attempt="{BITBUCKET_STEP_RUN_NUMBER}",
    ),
    Provider(
        "circleci",
        "CIRCLECI=true",
        "https://circleci.com/docs/reference/variables/",
        job="{CIRCLE_JOB}",
        branch="{CIRCLE_BRANCH}",
        sha="{CIRCLE_SHA1}",
        repository="{CIRCLE_REPOSITORY_URL}",
        run=("{CIRCLE_WORKFLOW_ID}", "{CIRCLE_BUILD_NUM}"),
        run_url="https://app.circleci.com/pipelines/workflows/{CIRCLE_WORKFLOW_ID}",
        job_url="{CIRCLE_BUILD_URL}",
        pull_request=(
            "{CIRCLE_PR_NUMBER:**/*}",
            "{CIRCLE_PULL_REQUEST:**/*}",
            "{CIRCLE_BRANCH:pull/*}",
        ),
        job_id=("{CIRCLE_BUILD_NUM}-{CIRCLE_NODE_INDEX}", "{CIRCLE_BUILD_NUM}"),
    ),
    Provider(
        "travis-ci",
        "TRAVIS=true",
        "https://docs.travis-ci.com/user/environment-variables/",
        job="{TRAVIS_JOB_NAME}",
        trigger="{TRAVIS_EVENT_TYPE}",
        branch=("{TRAVIS_PULL_REQUEST_BRANCH}", "{TRAVIS_BRANCH}"),
        tag="TRAVIS_TAG",
        sha=("{TRAVIS_PULL_REQUEST_SHA}", "{TRAVIS_COMMIT}"),
        repository="{TRAVIS_REPO_SLUG}",
        run="{TRAVIS_BUILD_ID}",
        run_url="{TRAVIS_BUILD_WEB_URL}",
        job_url="{TRAVIS_JOB_WEB_URL}",
        pull_request="{TRAVIS_PULL_REQUEST}",
        job_id="{TRAVIS_JOB_ID}",
    ),
    Provider(
        "buildkite",
        "BUILDKITE=true",
        "https://buildkite.com/docs/pipelines/configure/environment-variables",
        job=("{BUILDKITE_LABEL}", "{BUILDKITE_PIPELINE_SLUG}"),
        step=("{BUILDKITE_STEP_KEY}", "{BUILDKITE_STEP_ID}"),
        trigger="{BUILDKITE_SOURCE}",
        branch="{BUILDKITE_BRANCH}",
        tag="BUILDKITE_TAG",
        sha="{BUILDKITE_COMMIT}",
        repository="{BUILDKITE_REPO}",
        run="{BUILDKITE_BUILD_ID}",
        run_url="{BUILDKITE_BUILD_URL}",
        job_url="{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}",
        pull_request="{BUILDKITE_PULL_REQUEST}",
        attempt="{BUILDKITE_RETRY_COUNT}",
        job_id="{BUILDKITE_JOB_ID}",
    ),
    Provider(
        "drone",
        "DRONE=true",
        "https://docs.drone.io/pipeline/environment/reference/",
        ("repository", "run", "job_id", "step"),
        job=("{DRONE_STEP_NAME}", "{DRONE_STAGE_NAME}"),
        step="{DRONE_STEP_NUMBER}",
        trigger="{DRONE_BUILD_EVENT}",
        branch=("{DRONE_SOURCE_BRANCH}", "{DRONE_BRANCH}"),
        tag="DRONE_TAG",
        sha="{DRONE_COMMIT_SHA}",
        repository=("{DRONE_GIT_HTTP_URL}", "{DRONE_REPO}"),
        run="{DRONE_BUILD_NUMBER}",
        run_url="{DRONE_BUILD_LINK}",
        job_url="{DRONE_BUILD_LINK}/{DRONE_STAGE_NUMBER}/{DRONE_STEP_NUMBER}",
        pull_request="{DRONE_PULL_REQUEST}",
        job_id="{DRONE_STAGE_NUMBER}",
    ),
    Provider(
        "woodpecker",
        "CI=woodpecker",
        "https://woodpecker-ci.org/docs/usage/environment",
        ("repository", "run", "job_id", "step"),
        job=("{CI_STEP_NAME}", "{CI_WORKFLOW_NAME}"),
        step="{CI_STEP_NUMBER}",
        trigger="{CI_PIPELINE_EVENT}",
        branch=("{CI_COMMIT_SOURCE_BRANCH}", "{CI_COMMIT_BRANCH}"),
        tag="CI_COMMIT_TAG",
        sha="{CI_COMMIT_SHA}",
        repository=("{CI_REPO_URL}", "{CI_REPO}"),
        run="{CI_PIPELINE_NUMBER}",
        run_url="{CI_PIPELINE_URL}",
        job_url="{CI_STEP_URL}",
        pull_request="{CI_COMMIT_PULL_REQUEST}",
        job_id="{CI_WORKFLOW_NUMBER}",
    ),
    Provider(
        "teamcity",
        "TEAMCITY_VERSION",
        "https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html",
        ("repository", "run", "job", "job_id"),
        job="{TEAMCITY_BUILDCONF_NAME}",
        branch="{BUILD_VCS_BRANCH}",
        sha="{BUILD_VCS_NUMBER}",
        repository="{TEAMCITY_PROJECT_NAME}",
        run="{BUILD_NUMBER}",
        run_url="{BUILD_URL}",
        pull_request=(
            "{BUILD_VCS_BRANCH:refs/pull/*/merge}",
            "{BUILD_VCS_BRANCH:refs/pull/*/head}",
            "{BUILD_VCS_BRANCH:pull/*}",
        ),
        job_id="{BUILD_URL:**/*}",
    ),
    Provider(
        "appveyor",
        "APPVEYOR=true",
        "https://www.appveyor.com/docs/environment-variables/",
        job=("{APPVEYOR_JOB_NAME}", "{APPVEYOR_PROJECT_SLUG}"),
        branch=("{APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH}", "{APPVEYOR_REPO_BRANCH}"),
        tag="APPVEYOR_REPO_TAG_NAME",
        sha=("{APPVEYOR_PULL_REQUEST_HEAD_COMMIT}", "{APPVEYOR_REPO_COMMIT}"),
        repository="{APPVEYOR_REPO_NAME}",
        run="{APPVEYOR_BUILD_ID}",
        run_url="{APPVEYOR_URL}/project/{APPVEYOR_ACCOUNT_NAME}/{APPVEYOR_PROJECT_SLUG}/builds/{APPVEYOR_BUILD_ID}",
        job_url="{APPVEYOR_URL}/project/{APPVEYOR_ACCOUNT_NAME}/{APPVEYOR_PROJECT_SLUG}/builds/{APPVEYOR_BUILD_ID}/job/{APPVEYOR_JOB_ID}",
        pull_request="{APPVEYOR_PULL_REQUEST_NUMBER}",
        job_id="{APPVEYOR_JOB_ID}",
    ),
    Provider(
        "codefresh",
        "CF_BUILD_ID",
        "https://codefresh.io/docs/docs/pipelines/variables/",
        ("run", "step"),
        job=("{CF_STEP_NAME}", "{CF_PIPELINE_NAME}"),
        step="{CF_STEP_NAME}",
        trigger="{CF_BUILD_TRIGGER}",
        branch=("{CF_PULL_REQUEST_HEAD_BRANCH}", "{CF_BRANCH}"),
        sha=("{CF_PULL_REQUEST_HEAD_COMMIT_SHA}", "{CF_REVISION}"),
        repository="{CF_REPO_OWNER}/{CF_REPO_NAME}",
        run="{CF_BUILD_ID}",
        run_url="{CF_BUILD_URL}",
        pull_request="{CF_PULL_REQUEST_NUMBER}",
    ),
    Provider(
        "semaphore",
        "SEMAPHORE=true",
        "https://docs.semaphore.io/reference/env-vars",
        job="{SEMAPHORE_JOB_NAME}",
        branch=("{SEMAPHORE_GIT_PR_BRANCH}", "{SEMAPHORE_GIT_BRANCH}"),
        tag="SEMAPHORE_GIT_TAG_NAME",
        sha=("{SEMAPHORE_GIT_PR_SHA}", "{SEMAPHORE_GIT_SHA}"),
        repository=("{SEMAPHORE_GIT_URL}", "{SEMAPHORE_GIT_REPO_SLUG}"),
        run=("{SEMAPHORE_PIPELINE_ID}", "{SEMAPHORE_WORKFLOW_ID}"),
        run_url="{SEMAPHORE_ORGANIZATION_URL}/workflows/{SEMAPHORE_WORKFLOW_ID}",
        job_url="{SEMAPHORE_ORGANIZATION_URL}/jobs/{SEMAPHORE_JOB_ID}",
        pull_request="{SEMAPHORE_GIT_PR_NUMBER}",
        job_id="{SEMAPHORE_JOB_ID}",
    ),
    Provider(
        "jenkins",
        # Without an address of its own that somebody has configured, Jenkins sets no JENKINS_URL.
        "JENKINS_URL JENKINS_SERVER_COOKIE HUDSON_SERVER_COOKIE",
        "https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables",
        ("run", "job"),
        job="{JOB_NAME}",
        step="{STAGE_NAME}",
        # The GitHub pull request builder and the GitLab plugin have variables of their own.
        branch=(
            "{CHANGE_BRANCH}",
            "{ghprbSourceBranch}",
            "{gitlabSourceBranch}",
            "{BRANCH_NAME}",
            "{GIT_BRANCH}",
        ),
        tag="TAG_NAME",
        sha=("{ghprbActualCommit}", "{gitlabMergeRequestLastCommit}", "{GIT_COMMIT}"),
        repository=("{GIT_URL}", "{JOB_URL}"),
        run=("{BUILD_TAG}", "{BUILD_NUMBER}"),
        run_url="{BUILD_URL}",
        job_url="{JOB_URL}",
        pull_request=("{CHANGE_ID}", "{ghprbPullId}", "{gitlabMergeRequestIid}"),
        # One for each node block of a pipeline.
        job_id="{JENKINS_NODE_COOKIE}",
    ),
    Provider(
        "codebuild",
        "CODEBUILD_BUILD_ID",
        "https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html",
        ("run",),
        job=("{CODEBUILD_BATCH_BUILD_IDENTIFIER}", "{CODEBUILD_PROJECT_ARN:**/*}"),
        trigger="{CODEBUILD_WEBHOOK_EVENT}",
        branch=(
            "{CODEBUILD_WEBHOOK_HEAD_REF}",
            "{CODEBUILD_WEBHOOK_TRIGGER:branch/*}",
            "{CODEBUILD_SOURCE_VERSION:refs/heads/*}",
        ),
        sha="{CODEBUILD_RESOLVED_SOURCE_VERSION}",
        repository="{CODEBUILD_SOURCE_REPO_URL}",
        run="{CODEBUILD_BUILD_ID}",
        run_url=(
            "{CODEBUILD_PUBLIC_BUILD_URL}",
            "https://console.aws.amazon.com/codebuild/home?region={AWS_REGION}#/builds/{CODEBUILD_BUILD_ID}/view/new",
        ),
        pull_request=("{CODEBUILD_WEBHOOK_TRIGGER:pr/*}", "{CODEBUILD_SOURCE_VERSION:pr/*}"),
    ),
    # Its other variables are there where the build maps its substitutions (automapSubstitutions).
    Provider(
        "cloud-build",
        "BUILDER_OUTPUT",
        "https://docs.cloud.google.com/build/docs/configuring-builds/substitute-variable-values",
        job="{TRIGGER_NAME}",
        branch=("{_HEAD_BRANCH}", "{BRANCH_NAME}"),
        sha=("{COMMIT_SHA}", "{REVISION_ID}"),
        repository=("{_HEAD_REPO_URL}", "{REPO_FULL_NAME}", "{REPO_NAME}"),
        run="{BUILD_ID}",
        run_url="https://console.cloud.google.com/cloud-build/builds;region={LOCATION}/{BUILD_ID}?project={PROJECT_ID}",
        pull_request="{_PR_NUMBER}",
        # The container of the step.
        job_id="{HOSTNAME}",
    ),
    Provider(
        "bamboo",
        "bamboo_planKey bamboo_buildKey bamboo_deploy_project",
        "https://confluence.atlassian.com/bamboo/bamboo-variables-289277087.html",
        ("job_id", "attempt"),
        job=("{bamboo_shortJobName}", "{bamboo_deploy_environment}"),
        branch=(
            "{bamboo_repository_pr_sourceBranch}",
            "{bamboo_planRepository_branchName}",
            "{bamboo_planRepository_branch}",
        ),
        sha="{bamboo_planRepository_revision}",
        repository=("{bamboo_planRepository_repositoryUrl}", "{bamboo_planRepository_name}"),
        run=("{bamboo_planKey}-{bamboo_buildNumber}", "{bamboo_deploy_project}"),
        run_url=("{bamboo_buildResultsUrl}", "{bamboo_resultsUrl}"),
        pull_request="{bamboo_repository_pr_key}",
        # A job that is run again has the same key and number.
        attempt="{bamboo_buildTimeStamp}",
        job_id="{bamboo_buildResultKey}",
    ),
    Provider(
        "gocd",
        "GO_PIPELINE_NAME",
        "https://docs.gocd.org/current/faq/dev_use_current_revision_in_build.html",
        ("run", "attempt", "job_id"),
        job="{GO_JOB_NAME}",
        sha="{GO_REVISION}",
        run="{GO_PIPELINE_NAME}/{GO_PIPELINE_COUNTER}",
        run_url="{GO_SERVER_URL}/pipelines/{GO_PIPELINE_NAME}/{GO_PIPELINE_COUNTER}/{GO_STAGE_NAME}/{GO_STAGE_COUNTER}",
        job_url="{GO_SERVER_URL}/tab/build/detail/{GO_PIPELINE_NAME}/{GO_PIPELINE_COUNTER}/{GO_STAGE_NAME}/{GO_STAGE_COUNTER}/{GO_JOB_NAME}",
        attempt="{GO_STAGE_COUNTER}",
        job_id=(
            "{GO_STAGE_NAME}/{GO_JOB_NAME}/{GO_JOB_RUN_INDEX}",
            "{GO_STAGE_NAME}/{GO_JOB_NAME}",
        ),
    ),
    Provider(
        "argo-workflows",
        "ARGO_NODE_ID ARGO_CONTAINER_NAME",
        "https://argo-workflows.readthedocs.io/en/latest/variables/",
        ("job_id",),
        run="{ARGO_WORKFLOW_NAME}",
        step="{ARGO_CONTAINER_NAME}",
        job_id="{ARGO_NODE_ID}",
    ),
    # Tekton sets no variables: these are the ones that a task has to map its context to.
    Provider(
        "tekton",
        "TEKTON_PIPELINE_RUN TEKTON_TASK_RUN /tekton/run",
        "https://tekton.dev/docs/pipelines/variables/",
        ("job_id",),
        job="{TEKTON_TASK}",
        branch="{TEKTON_BRANCH}",
        sha="{TEKTON_COMMIT_SHA}",
        run="{TEKTON_PIPELINE_RUN}",
        pull_request="{TEKTON_PULL_REQUEST}",
        job_id="{TEKTON_TASK_RUN}",
    ),
    Provider(
        "ci", "CI", "https://docs.github.com/en/actions/reference/workflows-and-actions/variables"
    ),
)

#: Variable that a coding agent sets in the commands it runs → the agent's name, and where that can be read.
AGENTS = {
    "CLAUDECODE": ("claude-code", "https://code.claude.com/docs/en/env-vars"),
    "CODEX_SANDBOX": ("codex", "https://developers.openai.com/codex/environment-variables"),
    "CODEX_THREAD_ID": ("codex", "https://developers.openai.com/codex/environment-variables"),
    "CURSOR_AGENT": ("cursor", "https://cursor.com/docs/agent/terminal"),
    # Its fork sets GEMINI_CLI too.
    "QWEN_CODE": (
        "qwen-code",
        "https://qwenlm.github.io/qwen-code-docs/en/developers/tools/shell/",
    ),
    "GEMINI_CLI": (
        "gemini-cli",
        "https://google-gemini.github.io/gemini-cli/docs/tools/shell.html",
    ),
    "OPENCODE": ("opencode", "https://opencode.ai/docs/cli/"),
    "AUGMENT_AGENT": ("augment", "https://docs.augmentcode.com/cli/overview"),
    "GOOSE_TERMINAL": ("goose", "https://block.github.io/goose/docs/guides/environment-variables"),
    "CLINE_ACTIVE": (
        "cline",
        "https://docs.cline.bot/features/commands-and-shortcuts/terminal-integration",
    ),
    "COPILOT_CLI": (
        "copilot-cli",
        "https://docs.github.com/en/copilot/concepts/agents/about-copilot-cli",
    ),
    "AMP_CURRENT_THREAD_ID": ("amp", "https://ampcode.com/manual"),
    "CRUSH": ("crush", "https://github.com/charmbracelet/crush"),
    "ANTIGRAVITY_AGENT": ("antigravity", "https://antigravity.google/docs"),
    "PI_CODING_AGENT": ("pi", "https://github.com/badlogic/pi-mono"),
}
#: Variables whose value is an agent's name: the first any name, the second only a name in `AGENTS`, for other programs use it too.
AGENT_NAMES = ("AI_AGENT", "AGENT")
