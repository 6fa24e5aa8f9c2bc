"""Whatever telemetry meets, the command runs and its exit code comes back."""

import resource
import signal
import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.storage import EXCLUSIVE, FLOCKED, held

from telemetry_cli.journal.segments import decode

COMMAND = ("--", "sh", "-c", "echo ran; exit 5")


def config_file(telemetry: Telemetry, text: str) -> dict[str, str]:
    folder = telemetry.home / "config" / "telemetry"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(telemetry.home / "config")}


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "unknown_key = 1",
        "lock_timeout = 'soon'",
        "db_synchronous = 'OFF'",
        "[redact]\nmine = '('",
        "[redact]\nmine = 1",
    ],
)
def test_a_broken_config_file(text: str, telemetry: Telemetry) -> None:
    ran = telemetry("run", "exec", *COMMAND, env=config_file(telemetry, text), code=5)
    assert (ran.out, "config" in ran.err or "redact" in ran.err) == ("ran\n", True)


@pytest.mark.parametrize(
    "env",
    [
        {"TELEMETRY_LOCK_TIMEOUT": "soon"}, {"TELEMETRY_AGENT_NAME": "x" * 201}, {"TELEMETRY_JOB_TYPE": "x" * 300}, {"TELEMETRY_EVENT_ID": " "},
        {"TELEMETRY_EVENT_ID": "@x"}, {"TELEMETRY_DB_SYNCHRONOUS": "OFF"}, {"AGENT_OWNER": "\udcff"}, {"TRACEPARENT": "nonsense"},
        {"GITHUB_ACTIONS": "true", "GITHUB_JOB": "x" * 999},
    ],
)  # fmt: skip
@pytest.mark.parametrize("never_fail", ["0", "1"])
def test_a_wrong_environment(env: dict[str, str], never_fail: str, telemetry: Telemetry) -> None:
    assert (
        telemetry(
            "run", "exec", *COMMAND, env=env | {"TELEMETRY_NEVER_FAIL": never_fail}, code=5
        ).out
        == "ran\n"
    )


def test_a_wrong_option_is_still_a_usage_error(telemetry: Telemetry) -> None:
    telemetry("--db", "", "run", "exec", *COMMAND, code=2)


@pytest.mark.parametrize("base", ["/dev/null/x", "/proc/1/x"])
def test_nowhere_to_write(base: str, telemetry: Telemetry) -> None:
    ran = telemetry("run", "exec", *COMMAND, env={"TELEMETRY_BASE_DIR": base}, code=5)
    assert ran.out == "ran\n"
    assert [record["op"] for record in map(decode, ran.err.encode().splitlines()) if record] == [
        "run.create"
    ], "the record stands in a line of its own, to be saved"


@pytest.mark.parametrize("most", [0, 4096], ids=["nothing", "a part"])
def test_files_that_may_not_grow(most: int, telemetry: Telemetry) -> None:
    """The kernel tells us with SIGXFSZ that we wrote too much: that is nothing to tell the command, nor to be told by it."""
    for _ in range(12):
        telemetry("run", "exec", "--no-git", "--", "true")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    with telemetry.popen(
        "run",
        "exec",
        "--no-git",
        "--",
        "sh",
        "-c",
        "sleep 0.2; exit 5",
        stderr=subprocess.PIPE,
        preexec_fn=limit,
    ) as process:
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 5, said
    assert b"not recorded" in said or b"buffered" in said


def test_the_command_still_gets_sigxfsz_for_its_own_files(telemetry: Telemetry) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    command = ("run", "exec", "--no-git", "--", "sh", "-c", "exec head -c 100 /dev/zero >written")
    with telemetry.popen(*command, stderr=subprocess.DEVNULL, preexec_fn=limit) as process:
        assert process.wait(60) == 128 + signal.SIGXFSZ


def test_a_planted_link(telemetry: Telemetry, tmp_path: Path) -> None:
    telemetry.start()
    telemetry.database.rename(tmp_path / "elsewhere")
    telemetry.database.symlink_to(tmp_path / "elsewhere")
    ran = telemetry("run", "exec", *COMMAND, code=5)
    assert (ran.out, "not recorded" in ran.err) == ("ran\n", True)


def test_a_damaged_database_means_buffered(telemetry: Telemetry) -> None:
    telemetry.start()
    telemetry.database.write_bytes(b"nonsense" * 1000)
    ran = telemetry("run", "exec", "--event-id", "E", *COMMAND, code=5)
    assert (ran.out, "buffered" in ran.err) == ("ran\n", True)
    telemetry("db", "rebuild")
    assert telemetry.run("E")["status"] == "failure"


@pytest.mark.parametrize("lock", ["database", "journal"])
def test_a_lock_that_another_holds(lock: str, telemetry: Telemetry) -> None:
    telemetry.start()
    what, path = (
        (EXCLUSIVE, telemetry.database)
        if lock == "database"
        else (FLOCKED, telemetry.raw / ".lock")
    )
    with held(what, path):
        ran = telemetry(
            "run",
            "exec",
            "--event-id",
            "E",
            *COMMAND,
            env={"TELEMETRY_LOCK_TIMEOUT": "0.2"},
            code=5,
        )
    assert (ran.out, ran.err.count("buffered")) == (
        "ran\n",
        1 if lock == "database" else ran.err.count("buffered"),
    )
    assert telemetry.run("E")["status"] == "failure"


def test_disabled_it_only_runs_the_command(telemetry: Telemetry) -> None:
    ran = telemetry(
        "run",
        "exec",
        "--",
        "sh",
        "-c",
        'echo "[$TELEMETRY_EVENT_ID]"; echo err >&2; exit 5',
        env={"TELEMETRY_DISABLED": "1"},
        code=5,
    )
    assert (ran.out, ran.err) == ("[]\n", "err\n")
    assert not telemetry.base.exists()


def test_a_folder_that_is_gone(telemetry: Telemetry, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", f"rmdir '{gone}'; exec '{PROGRAM}' run exec -- sh -c 'exit 5'"],
        cwd=gone,
        env=telemetry.env,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 5


def test_a_record_that_breaks_a_rule_when_it_is_applied(telemetry: Telemetry) -> None:
    ran = telemetry("run", "exec", "--event-id", "E", "--parent", "@last", *COMMAND, code=5)
    assert ran.out == "ran\n"
    assert telemetry.run("E")["status"] == "failure"


def test_what_it_says_comes_after_the_command_and_holds_no_secret(telemetry: Telemetry) -> None:
    token = "ghp_" + "a1" * 18
    ran = telemetry(
        "run",
        "exec",
        "--no-git",
        "--",
        "sh",
        "-c",
        "true",
        token,
        env={"TELEMETRY_BASE_DIR": "/dev/null/x"},
    )
    assert "[redacted]" in ran.err
    assert token not in ran.err


def test_a_rule_of_ones_own_that_takes_for_ever_takes_a_text_out_whole(
    telemetry: Telemetry,
) -> None:
    path = telemetry.home / ".config" / "telemetry" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[redact]\nslow = '(a+)+$'\n")
    ran = telemetry(
        "run",
        "exec",
        "--no-git",
        "--",
        "sh",
        "-c",
        f"echo ran; echo {'a' * 60}! >&2; exit 5",
        "arg",
        code=5,
    )
    assert ran.out == "ran\n"
    run = telemetry.run("@last")
    assert (run["status"], run["error_details"], run["job_type"]) == ("failure", "[redacted]", "sh")
    assert run["context_json"]["process.command_args"] == ["sh", "-c", "[redacted]", "arg"]
