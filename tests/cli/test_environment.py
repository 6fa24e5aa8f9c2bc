"""The environment: switched off, never failing, defaults of a run's fields, CI providers, and `-o env` in a real shell."""

import re
import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, Ran, Telemetry, legacy_database
from support.storage import append, create

START = ("run", "start", "--agent-name", "a", "--job-type", "j", "--no-git")
RECORDING = [
    START,
    ("run", "end", "known-run"),
    ("run", "update", "known-run", "--product", "p"),
    ("run", "event", "tick", "--run", "known-run"),
    ("associate-commit", "known-run", "--commit", "0123456", "--no-git"),
]
#: Recording commands that fail, and with what.
FAILING = [
    (("run", "start"), 2),
    ((*START, "--status", "x"), 2),
    ((*START, "--no-such-option"), 2),
    (("--no-such-option", *START), 2),
    ((*START, "--product"), 2),
    ((*START, "-o", "xml"), 2),
    (("run", "end"), 2),
    (("run", "end", "no-such-run"), 3),
    (("run", "end", "known-run", "--end-time", "2000-01-01T00:00:00Z"), 2),
    (("run", "update", "known-run"), 2),
    (("run", "event",), 2),
    (("run", "event", "tick", "--run", "nope"), 3),
    (("associate-commit", "known-run", "--commit", "nope", "--no-git"), 2),
    (("--base-dir", "/proc/nowhere", *START), None),
]  # fmt: skip
HOSTILE = [
    "it's",
    "a b",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "'; touch pwned; '",
    '"$HOME"',
    "\\'",
    "a\\",
    "*",
    "~",
    "!!",
    "ä 😀",
    "-n",
    "$'x'",
    "a&&b|c>d",
]
CURRENT = ("TELEMETRY_EVENT_ID", "TELEMETRY_RUN_ID", "TRACEPARENT")


# Switched off


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
@pytest.mark.parametrize(
    "argv",
    [
        *RECORDING,
        ("run", "start"),
        (*START, "--status", "x"),
        (*START, "--nope"),
        ("run", "end", "nope"),
        (*START, "-o", "json"),
    ],
)
def test_disabled_writes_are_silent(known: Telemetry, argv: tuple[str, ...], value: str) -> None:
    before = known.files()
    ran = known(*argv, env={"TELEMETRY_DISABLED": value})
    assert (ran.out, ran.err) == ("", "")
    assert known.files() == before


def test_disabled_prunes_nothing(known: Telemetry) -> None:
    known("run", "end", "known-run")
    before = known.files()
    ran = known("db", "prune", "--older-than", "2999-01-01", env={"TELEMETRY_DISABLED": "1"})
    assert (ran.out, ran.err) == ("", "")
    assert known.files() == before


@pytest.mark.parametrize(
    "argv",
    [
        *[("db", name) for name in ("drain", "migrate", "backup", "rebuild", "vacuum")],
        ("db", "restore", "BACKUP"),
        ("redact", "--fix"),
        ("db", "backup", "--json"),
    ],
    ids=" ".join,
)
def test_disabled_upkeep_does_nothing(known: Telemetry, argv: tuple[str, ...]) -> None:
    backup = known("db", "backup").line
    append(known, create(1, "waiting", input_summary="ghp_" + "a1B2" * 9))
    before = known.files()
    ran = known(
        *(backup if word == "BACKUP" else word for word in argv), env={"TELEMETRY_DISABLED": "1"}
    )
    assert (ran.out, ran.err) == ("", "")
    assert known.files() == before


def test_disabled_reads_apply_nothing(known: Telemetry) -> None:
    append(known, create(1, "waiting"))
    before = known.files()
    ran = known("query", "-o", "ids", env={"TELEMETRY_DISABLED": "1"})
    assert "waiting" not in ran.out
    assert "1 record waits to be applied: TELEMETRY_DISABLED is set" in ran.err
    assert known.files() == before
    assert known("redact", "--scan", env={"TELEMETRY_DISABLED": "1"}).out != ""


@pytest.mark.parametrize(
    "argv",
    [("query",), ("run", "show", "run-1"), ("status",), ("export", "--to", "-")],
    ids=" ".join,
)
def test_disabled_reads_migrate_nothing(telemetry: Telemetry, argv: tuple[str, ...]) -> None:
    legacy_database.make(telemetry.database, 5)
    before = telemetry.files()
    ran = telemetry(*argv, env={"TELEMETRY_DISABLED": "1"}, code=6)
    assert "schema version 5" in ran.err
    assert "TELEMETRY_DISABLED is set" in ran.err
    assert telemetry.files() == before


def test_disabled_makes_no_base(telemetry: Telemetry) -> None:
    telemetry(*START, env={"TELEMETRY_DISABLED": "1"})
    assert not telemetry.base.exists()


@pytest.mark.parametrize(
    "argv",
    [
        ("query", "-o", "ids"),
        ("run", "show", "known-run", "--json"),
        ("metadata",),
        ("config", "show"),
    ],
)
def test_reads_work_while_disabled(shared: Telemetry, argv: tuple[str, ...]) -> None:
    assert shared(*argv, env={"TELEMETRY_DISABLED": "1"}).out.replace("1 ", "") != ""
    assert "known-run" in shared(*argv[:3], env={"TELEMETRY_DISABLED": "1"}).out or argv[0] in (
        "metadata",
        "config",
    )


@pytest.mark.parametrize("value", ["", "0", "false", "no", "off"])
def test_values_that_do_not_switch_off(telemetry: Telemetry, value: str) -> None:
    assert (
        telemetry(*START, env={"TELEMETRY_DISABLED": value, "TELEMETRY_NEVER_FAIL": value}).out
        != ""
    )
    telemetry("run", "end", "nope", env={"TELEMETRY_NEVER_FAIL": value}, code=3)


# Never failing


@pytest.mark.parametrize(("argv", "code"), FAILING)
def test_never_fail_reports_and_exits_0(
    known: Telemetry, argv: tuple[str, ...], code: int | None
) -> None:
    failed = known(*argv, code=None)
    assert failed.code == code if code is not None else failed.code in (6, 75)
    before = known.run("known-run")
    spared = known(*argv, env={"TELEMETRY_NEVER_FAIL": "1"}, code=0)
    assert (spared.out, "error" in spared.err) == ("", True)
    assert known.run("known-run") == before


def test_never_fail_is_for_recording_alone(shared: Telemetry) -> None:
    for argv, code in (
        (("run", "show", "nope"), 3),
        (("query", "--limit", "x"), 2),
        (("query", "--nope"), 2),
        (("config", "show", "-o", "x"), 2),
        (("nope",), 2),
    ):
        shared(*argv, env={"TELEMETRY_NEVER_FAIL": "1"}, code=code)


@pytest.mark.parametrize("text", ["not toml", "unknown_key = 1", "db_synchronous = 'off'"])
def test_never_fail_with_a_bad_config(telemetry: Telemetry, text: str) -> None:
    path = telemetry.home / ".config/telemetry/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert "config.toml" in telemetry(*START, env={"TELEMETRY_NEVER_FAIL": "1"}).err


def test_never_fail_in_the_file(telemetry: Telemetry) -> None:
    path = telemetry.home / ".config/telemetry/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("never_fail = true\n")
    assert "Run not found" in telemetry("run", "end", "nope").err
    assert "--no-such-option" in telemetry(*START, "--no-such-option").err


def test_debug_shows_the_traceback(shared: Telemetry) -> None:
    done = subprocess.run(
        [str(PROGRAM), "run", "show", "nope"],
        env=shared.env | {"TELEMETRY_DEBUG": "1"},
        cwd=shared.cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr, "Run not found: nope" in done.stderr) == (
        3,
        True,
        True,
    )


# Defaults of a run


def test_defaults_of_a_run(telemetry: Telemetry) -> None:
    env = {
        "TELEMETRY_AGENT_NAME": "env agent",
        "TELEMETRY_JOB_TYPE": "env job",
        "AGENT_OWNER": "env owner",
    }
    run = telemetry.run(telemetry("run", "start", env=env).line)
    assert (run["agent_name"], run["job_type"], run["agent_owner"]) == (
        "env agent",
        "env job",
        "env owner",
    )
    given = telemetry(
        "run", "start", "--agent-name", "a", "--job-type", "j", "--agent-owner", "o", env=env
    )
    assert [
        telemetry.run(given.line)[name] for name in ("agent_name", "job_type", "agent_owner")
    ] == ["a", "j", "o"]


@pytest.mark.parametrize(
    ("env", "agent", "job"),
    [
        (
            {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_JOB": "build"},
            "github-actions",
            "build",
        ),
        (
            {"CI": "true", "GITLAB_CI": "true", "CI_JOB_NAME": "unit tests"},
            "gitlab-ci",
            "unit tests",
        ),
        ({"CI": "true", "CIRCLECI": "true", "CIRCLE_JOB": "c"}, "circleci", "c"),
        ({"TF_BUILD": "True", "SYSTEM_JOBNAME": "s"}, "azure-pipelines", "s"),
        ({"JENKINS_URL": "http://j/", "JOB_NAME": "folder/job"}, "jenkins", "folder/job"),
        ({"CI": "true", "BUILDKITE": "true", "BUILDKITE_LABEL": "l"}, "buildkite", "l"),
        (
            {"CI": "true", "GITHUB_ACTIONS": "true", "GITEA_ACTIONS": "true", "GITHUB_JOB": "g"},
            "gitea-actions",
            "g",
        ),
    ],
)
def test_names_that_ci_knows(
    telemetry: Telemetry, env: dict[str, str], agent: str, job: str
) -> None:
    run = telemetry.run(telemetry("run", "start", env=env).line)
    assert (run["agent_name"], run["job_type"]) == (agent, job)
    configured = telemetry.run(
        telemetry("run", "start", env={**env, "TELEMETRY_AGENT_NAME": "mine"}).line
    )
    assert (configured["agent_name"], configured["job_type"]) == ("mine", job)


def test_a_job_that_ci_does_not_name(telemetry: Telemetry) -> None:
    assert "TELEMETRY_JOB_TYPE" in telemetry("run", "start", env={"CI": "true"}, code=2).err


@pytest.mark.parametrize(
    "env",
    [
        {"CLAUDECODE": "1"},
        {"CLAUDECODE": "1", "CI": "true"},
        {"CLAUDECODE": "1", "GITHUB_ACTIONS": "true"},
    ],
)
def test_the_name_of_a_coding_agent(telemetry: Telemetry, env: dict[str, str]) -> None:
    assert (
        telemetry.run(telemetry("run", "start", "--job-type", "j", env=env).line)["agent_name"]
        == "claude-code"
    )


def test_two_jobs_that_gave_up_their_id_are_two_runs(telemetry: Telemetry) -> None:
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "test",
        "RUNNER_TRACKING_ID": "0",
    }
    for _ in range(2):
        started = telemetry("run", "start", "--event-id", "auto", env=env)
        assert "RUNNER_TRACKING_ID holds no id" in started.err
    assert telemetry("query", "--count").line == "2"


def test_item_name_tells_jobs_apart_that_have_no_id(telemetry: Telemetry) -> None:
    env = {
        "GITEA_ACTIONS": "true",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "test",
    }
    for leg in ("1", "2", "1"):
        telemetry("run", "start", "--event-id", "auto", "--item-name", leg, env=env)
    assert telemetry("query", "--count").line == "2"
    assert (
        "gitea-actions says nothing that tells the jobs of a matrix apart"
        in telemetry("run", "start", "--event-id", "auto", env=env).err
    )


@pytest.mark.parametrize("name", ["単体　テスト", "lint\u00a0check", "👩\u200d💻 lint"])
def test_job_and_branch_keep_the_spaces_of_every_script(telemetry: Telemetry, name: str) -> None:
    env = {"GITLAB_CI": "true", "CI_JOB_NAME": name, "CI_COMMIT_BRANCH": name}
    run = telemetry.run(telemetry("run", "start", env=env).line)
    assert (run["job_type"], run["git_branch"]) == (name, name)
    assert run["context_json"]["cicd.pipeline.task.name"] == name


def test_word_is_never_taken_for_the_sha_of_a_commit(known: Telemetry) -> None:
    env = {"BUILDKITE": "true", "BUILDKITE_COMMIT": "HEAD"}
    assert "no commit is given" in known("associate-commit", "known-run", env=env, code=2).err
    assert "vcs.ref.head.revision" not in str(
        known.run(known("run", "start", "--job-type", "j", env=env).line)["context_json"]
    )


@pytest.mark.parametrize(
    ("env", "source"),
    [
        ({}, "manual"),
        ({"CLAUDECODE": "1"}, "llm"),
        ({"GITHUB_ACTIONS": "true"}, "ci"),
        ({"CLAUDECODE": "1", "GITHUB_ACTIONS": "true"}, "llm"),
    ],
)
def test_source_of_a_commit(known: Telemetry, env: dict[str, str], source: str) -> None:
    known("associate-commit", "known-run", "--commit", "0123456", "--no-git", env=env)
    assert known.run("known-run")["git_commit_source"] == source


def test_the_commit_that_ci_knows(known: Telemetry) -> None:
    sha = "ABCDEF0123" * 4
    associated = known(
        "associate-commit",
        "known-run",
        "-o",
        "json",
        env={"GITHUB_ACTIONS": "true", "GITHUB_SHA": sha},
    )
    assert associated.json == {
        "status": "success",
        "event_id": "known-run",
        "run_id": "the known one",
        "commit_hash": sha.lower(),
    }


# What a shell evaluates


def in_shell(
    telemetry: Telemetry, script: str, *words: str, env: dict[str, str] | None = None
) -> Ran:
    """Run a script with `$telemetry` as the program and `$1 …` as given."""
    done = subprocess.run(
        ["sh", "-euc", script, "sh", *words],
        env=telemetry.env | {"telemetry": str(PROGRAM)} | (env or {}),
        cwd=telemetry.cwd,
        capture_output=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


EVALUATE = 'eval "$("$telemetry" run start --agent-name "$1" --job-type j --event-id "$2" --run-id "$3" --no-git -o env)"; env'


def exported(ran: Ran) -> dict[str, str]:
    return dict(line.split("=", 1) for line in ran.out.splitlines() if line.startswith(CURRENT))


@pytest.mark.parametrize("text", HOSTILE)
def test_exports_are_safe_to_evaluate(telemetry: Telemetry, text: str) -> None:
    event_id = re.sub(r"^-|\s", "_", text)
    run_id = text.replace("\\", "|")
    ran = in_shell(telemetry, EVALUATE, text, event_id, run_id)
    found = exported(ran)
    assert (ran.code, found["TELEMETRY_EVENT_ID"], found["TELEMETRY_RUN_ID"]) == (
        0,
        event_id,
        run_id,
    )
    assert list(telemetry.cwd.iterdir()) == []


def test_exports_make_the_run_the_current_one(telemetry: Telemetry) -> None:
    script = (
        EVALUATE
        + '; "$telemetry" run event tick; "$telemetry" run start --agent-name b --job-type j --event-id child >&2; "$telemetry" run end --exit-code 1'
    )
    assert in_shell(telemetry, script, "a", "E1", "R1").code == 0
    run = telemetry.run("E1")
    assert (
        run["status"],
        len(run["events"]),
        [child["event_id"] for child in run["children"]],
    ) == ("failure", 1, ["child"])


def test_a_trace_goes_on(telemetry: Telemetry) -> None:
    parent = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    first, second = (
        exported(in_shell(telemetry, EVALUATE, "a", name, "R", env={"TRACEPARENT": parent}))[
            "TRACEPARENT"
        ]
        for name in ("E1", "E2")
    )
    shape = "00-" + "ab" * 16 + "-[0-9a-f]{16}-01"
    assert (
        bool(re.fullmatch(shape, first)),
        bool(re.fullmatch(shape, second)),
        len({parent, first, second}),
    ) == (True, True, 3)


@pytest.mark.parametrize(
    "parent", ["", "junk", "00-" + "0" * 32 + "-" + "cd" * 8 + "-01", "$(touch pwned)"]
)
def test_a_trace_that_is_none_begins_anew(telemetry: Telemetry, parent: str) -> None:
    found = exported(in_shell(telemetry, EVALUATE, "a", "E1", "R", env={"TRACEPARENT": parent}))[
        "TRACEPARENT"
    ]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", found)
    assert ("0" * 32 not in found, list(telemetry.cwd.iterdir())) == (True, [])


def test_exports_of_a_duplicate_name_the_run_that_is_there(known: Telemetry) -> None:
    found = exported(in_shell(known, EVALUATE, "a", "known-run", "another"))
    assert (found["TELEMETRY_EVENT_ID"], found["TELEMETRY_RUN_ID"]) == (
        "known-run",
        "the known one",
    )


def test_a_failed_start_exports_nothing(telemetry: Telemetry) -> None:
    ran = telemetry("run", "start", "--agent-name", "a", "-o", "env", code=2)
    assert ran.out == ""


def test_a_variable_that_is_no_reference(telemetry: Telemetry, tmp_path: Path) -> None:
    assert (
        "TELEMETRY_EVENT_ID"
        in telemetry("run", "end", env={"TELEMETRY_EVENT_ID": "@nonsense"}, code=2).err
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]
