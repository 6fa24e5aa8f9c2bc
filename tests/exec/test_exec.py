"""`telemetry run exec`: the command runs as it would without us, and its run is recorded whatever it does."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support import PROGRAM, Git, Telemetry
from support.storage import EXCLUSIVE, held

EXEC = ("run", "exec", "--no-git")
linux = pytest.mark.skipif(sys.platform != "linux", reason="by /proc")


def script(code: str) -> tuple[str, ...]:
    """A command that runs Python."""
    return ("--", sys.executable, "-c", code)


def last(telemetry: Telemetry) -> dict[str, object]:
    return telemetry.run("@last")


def config(telemetry: Telemetry, text: str) -> None:
    path = telemetry.home / ".config" / "telemetry" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


@linux
@pytest.mark.parametrize(
    "locale",
    [
        {},
        {"LC_CTYPE": "C"},
        {"LC_CTYPE": "C.UTF-8"},
        {"LC_CTYPE": "C.UTF-8", "LANG": "C"},
        {"LC_ALL": "C"},
        {"LANG": "C"},
    ],
)
def test_no_locale_of_pythons_is_added(locale: dict[str, str], telemetry: Telemetry) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": telemetry.env["HOME"], **locale}
    done = subprocess.run(
        [PROGRAM, *EXEC, "--", "env", "-0"],
        env=env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = dict(entry.split("=", 1) for entry in done.stdout.split("\0")[:-1])
    added = {"TELEMETRY_EVENT_ID", "TELEMETRY_RUN_ID", "TRACEPARENT"}
    assert {name: value for name, value in found.items() if name not in added} == env


# Exit codes


@pytest.mark.parametrize("code", [0, 1, 2, 3, 75, 126, 127, 128, 143, 255])
def test_the_exit_code_is_the_commands(code: int, telemetry: Telemetry) -> None:
    telemetry(*EXEC, "--", "sh", "-c", f"exit {code}", code=code)
    run = last(telemetry)
    assert (run["status"], run["metrics_json"]["process.exit.code"]) == (  # type: ignore[index]
        "failure" if code else "success",
        code,
    )


@pytest.mark.parametrize(
    "option",
    [
        ("--status", "partial"),
        ("--start-time", "1h"),
        ("-o", "json"),
        ("--output=json",),
        ("--json",),
    ],
)
def test_what_it_observes_itself_is_no_option_and_the_help_says_why(
    option: tuple[str, ...], telemetry: Telemetry
) -> None:
    before = telemetry.files()
    ran = telemetry(*EXEC, *option, "--", "touch", "started", code=2)
    name = option[0].partition("=")[0]
    assert (
        ran.out,
        f"No such option: {name}" in ran.err,
        "See: telemetry run exec --help" in ran.err,
    ) == ("", True, True)
    assert (telemetry.files(), (telemetry.cwd / "started").exists()) == (before, False)
    told = telemetry("run", "exec", "--help").out
    assert all(
        word in told
        for word in (
            "no --status",
            "no --start-time",
            "no -o",
            "run update @last",
            "run show @last -o json",
        )
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGSEGV", "SIGUSR1"])
def test_a_signal_that_ends_the_command_is_told(name: str, telemetry: Telemetry) -> None:
    telemetry(
        *EXEC,
        *script(
            f"import os, signal; signal.signal(signal.{name}, signal.SIG_DFL); os.kill(os.getpid(), signal.{name})"
        ),
        code=128 + signal.Signals[name],
    )
    run = last(telemetry)
    assert run["status"] == "failure"
    assert run["error_summary"] == f"ended by {name}"
    assert run["metrics_json"]["process.exit.signal"] == name  # type: ignore[index]
    assert "process.exit.code" not in run["metrics_json"]  # type: ignore[operator]


def test_a_kill_that_ends_the_command_is_told(telemetry: Telemetry) -> None:
    telemetry(*EXEC, "--", "sh", "-c", "kill -9 $$", code=137)
    assert last(telemetry)["error_summary"] == "ended by SIGKILL"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("no-such-command", 127, "command not found"),
        ("./missing", 127, "No such file"),
        ("/", 126, "Permission denied"),
    ],
)
def test_what_cannot_be_started_is_told_as_a_shell_tells_it(
    command: str, code: int, said: str, telemetry: Telemetry
) -> None:
    ran = telemetry(*EXEC, "--", command, "x", code=code)
    assert f"telemetry: {command}: {said}" in ran.err
    run = last(telemetry)
    assert (run["status"], run["metrics_json"]) == ("failure", {"process.exit.code": code})
    assert said in str(run["error_summary"])


@linux
def test_a_name_that_is_no_text_cannot_be_found_and_is_told_in_text(telemetry: Telemetry) -> None:
    command = [
        os.fsencode(PROGRAM),
        *map(os.fsencode, EXEC),
        b"--event-id",
        b"E",
        b"--",
        b"./na\xffme",
    ]
    done = subprocess.run(
        command, env=telemetry.env, cwd=telemetry.cwd, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (
        127,
        b"telemetry: ./na\\xffme: No such file or directory\n",
    )
    run = telemetry.run("E")
    assert (run["status"], run["error_summary"]) == (
        "failure",
        "./na\\xffme: No such file or directory",
    )


#: The program, with an end that says what it is told to.
SAYING = """
import sys
from telemetry_cli.cli import main
from telemetry_cli.cli.commands import exec as wrapped
said = eval(sys.argv.pop(1))
wrapped._ended = lambda *_: {"status": "failure", "duration_ms": 1000, **said}
sys.exit(main.main())
"""


@pytest.mark.parametrize(
    ("said", "summary"),
    [
        ({"error_summary": "a\ud800b\0c"}, "a\\ud800bc"),
        ({"error_summary": "lost", "metrics": {"x": float("inf")}}, None),
        ({"error_summary": "lost", "metrics": "no object"}, None),
    ],
)
def test_a_run_has_its_end_whatever_the_end_says(
    said: dict[str, object], summary: str | None, telemetry: Telemetry
) -> None:
    saying = repr(said).replace("inf", "float('inf')")
    command = [
        sys.executable,
        "-c",
        SAYING,
        saying,
        *EXEC,
        "--event-id",
        "E",
        "--",
        "sh",
        "-c",
        "exit 5",
    ]
    done = subprocess.run(
        command, env=telemetry.env, cwd=telemetry.cwd, capture_output=True, timeout=60, text=True
    )
    assert done.returncode == 5, done.stderr
    run = telemetry.run("E")
    assert (run["status"], run["duration_ms"], run["error_summary"]) == (
        "failure",
        1000,
        summary,
    ), done.stderr
    assert ("not recorded" in done.stderr) is (summary is None)


def test_a_file_that_may_not_be_executed(telemetry: Telemetry) -> None:
    (telemetry.cwd / "plain").write_text("true\n")
    telemetry(*EXEC, "--", "./plain", code=126)


def test_a_file_that_may_not_be_executed_gives_way_to_a_later_one_on_the_path(
    telemetry: Telemetry,
) -> None:
    for folder, mode in (("first", 0o644), ("second", 0o755)):
        (telemetry.home / folder).mkdir()
        (telemetry.home / folder / "tool").write_text("#!/bin/sh\nexit 9\n")
        (telemetry.home / folder / "tool").chmod(mode)
    path = f"{telemetry.home}/first:{telemetry.home}/second"
    telemetry(*EXEC, "--", "tool", env={"PATH": path}, code=9)
    telemetry(*EXEC, "--", "tool", env={"PATH": f"{telemetry.home}/first"}, code=126)


def test_a_script_without_a_first_line_is_the_shells(telemetry: Telemetry) -> None:
    (telemetry.cwd / "script").write_text('echo "$0 $1"; exit 4\n')
    (telemetry.cwd / "script").chmod(0o755)
    assert telemetry(*EXEC, "--", "./script", "a", code=4).out == "./script a\n"


@pytest.mark.parametrize("env", [{}, {"TELEMETRY_NEVER_FAIL": "1"}, {"TELEMETRY_DISABLED": "1"}])
@pytest.mark.parametrize(
    "argv",
    [
        ("--bogus", "--", "touch", "begun"), ("--timeout", "soon", "--", "touch", "begun"), ("--tail", "x", "--", "touch", "begun"),
        ("--tail", "65537", "--", "touch", "begun"), (), ("--",), ("--timeout",), ("--", ""),
    ],
)  # fmt: skip
def test_a_usage_error_starts_nothing(
    argv: tuple[str, ...], env: dict[str, str], telemetry: Telemetry
) -> None:
    telemetry(*EXEC, *argv, env=env, code=2)
    assert not (telemetry.cwd / "begun").exists()
    assert not telemetry.base.exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--metrics", "{"),
        ("--event-id", "@x"),
        ("--job-type", ""),
        ("--parent", "@x"),
        ("-m", "x"),
        ("--items-failed", "-1"),
    ],
)
def test_a_wrong_value_of_an_option_starts_nothing(
    option: tuple[str, ...], telemetry: Telemetry
) -> None:
    ran = telemetry(*EXEC, *option, "--", "touch", "begun", code=2)
    assert option[0] in ran.err
    assert not (telemetry.cwd / "begun").exists()
    assert not telemetry.base.exists()


# The command line


@pytest.mark.parametrize("marked", [("--",), ()])
def test_options_end_where_the_command_begins(
    marked: tuple[str, ...], telemetry: Telemetry
) -> None:
    ran = telemetry(
        *EXEC,
        "--job-type",
        "mine",
        *marked,
        "echo",
        "--job-type",
        "x",
        "--",
        "-o",
        "json",
        "--timeout",
    )
    assert ran.out == "--job-type x -- -o json --timeout\n"
    assert last(telemetry)["job_type"] == "mine"


def test_arguments_arrive_to_the_byte(telemetry: Telemetry) -> None:
    words = [b"", b"a b", b"\xff\xfe", "é日本".encode(), b"*", b"$HOME", b"\n", b"-"]
    for env in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        ran = telemetry(
            "run",
            "exec",
            "--no-git",
            "--",
            sys.executable,
            "-c",
            "import os, sys; print([os.fsencode(a) for a in sys.argv[1:]])",
            *words,
            env=env,
        )
        expected = "[" + ", ".join(map(repr, words)) + "]\n"
        assert ran.out == expected


def test_it_needs_no_names(telemetry: Telemetry) -> None:
    telemetry(*EXEC, "--", "/bin/echo", "x")
    run = last(telemetry)
    assert (run["agent_name"], run["job_type"]) == ("shell", "echo")
    assert run["context_json"]["process.command_args"] == ["/bin/echo", "x"]  # type: ignore[index]
    assert run["context_json"]["process.executable.name"] == "echo"  # type: ignore[index]
    assert run["context_json"]["process.working_directory"] == str(telemetry.cwd)  # type: ignore[index]


def test_names_come_from_options_environment_and_provider(telemetry: Telemetry) -> None:
    for argv, env, names in (
        (("--agent-name", "a", "--job-type", "j"), {"TELEMETRY_AGENT_NAME": "env"}, ("a", "j")),
        ((), {"TELEMETRY_AGENT_NAME": "env", "TELEMETRY_JOB_TYPE": "job"}, ("env", "job")),
        ((), {"GITHUB_ACTIONS": "true", "GITHUB_JOB": "build"}, ("github-actions", "build")),
        ((), {"CLAUDECODE": "1"}, ("claude-code", "true")),
    ):
        telemetry(*EXEC, *argv, "--", "true", env=env)
        assert (last(telemetry)["agent_name"], last(telemetry)["job_type"]) == names


def test_options_of_start_are_recorded(telemetry: Telemetry) -> None:
    telemetry(
        *EXEC,
        "--product",
        "cells",
        "-m",
        "k=1",
        "--metrics",
        '{"n": 2}',
        "--context",
        '{"c": 3}',
        "--event-id",
        "E",
        "--run-id",
        "R",
        "--",
        "true",
    )
    run = telemetry.run("E")
    assert (run["run_id"], run["product"], run["context_json"]["c"]) == ("R", "cells", 3)
    assert {"k": 1, "n": 2, "process.exit.code": 0}.items() <= run["metrics_json"].items()


def test_a_long_command_line_is_kept_in_part(telemetry: Telemetry) -> None:
    telemetry(*EXEC, "--", "true", "x" * 5000, *map(str, range(500)))
    kept = last(telemetry)["context_json"]["process.command_args"]  # type: ignore[index]
    assert (len(kept), len(kept[1]), kept[-1]) == (101, 1000, "… 402 more")


def test_a_secret_that_the_shortening_of_a_word_goes_through_does_not_show(
    telemetry: Telemetry,
) -> None:
    config(telemetry, "[redact]\nmine = 'TCK-[0-9]{6}-END'\n")
    telemetry(*EXEC, "--", "true", "x" * 980 + " ghp_" + "a1" * 18, "x" * 990 + " TCK-123456-END")
    kept = json.dumps(last(telemetry)["context_json"])
    assert "a1a1" not in kept
    assert "TCK-1" not in kept


def test_a_secret_that_the_shortening_of_a_name_goes_through_does_not_show(
    telemetry: Telemetry,
) -> None:
    for env in ({}, {"GITHUB_ACTIONS": "true", "GITHUB_JOB": "j" * 170 + " ghp_" + "a1" * 18}):
        telemetry(*EXEC, "--", "./" + "n" * 170 + " ghp_" + "a1" * 18, env=env, code=127)
        job = str(last(telemetry)["job_type"])
        assert job.startswith(("n" * 170, "j" * 170))
        assert "a1a1" not in job


def test_the_repository_around_is_recorded(telemetry: Telemetry) -> None:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", "--initial-branch=main")
    git.commit()
    telemetry("run", "exec", "--", "true")
    assert last(telemetry)["git_branch"] == "main"


# What the command sees


def test_the_run_is_durable_before_the_command_starts(telemetry: Telemetry) -> None:
    ran = telemetry(*EXEC, "--", str(PROGRAM), "run", "show", "-o", "json")
    run = ran.json
    assert (run["status"], run["end_time"]) == ("running", None)
    assert run["pid"] and run["process_started"] and (run["boot_id"] or sys.platform != "linux")
    assert "gone" not in ran.err
    assert telemetry.run(run["event_id"])["status"] == "success"


def test_children_belong_to_it(telemetry: Telemetry) -> None:
    telemetry(
        *EXEC,
        "--job-type",
        "outer",
        "--",
        str(PROGRAM),
        *EXEC,
        "--job-type",
        "inner",
        "--",
        "sh",
        "-c",
        f"{PROGRAM} run start --agent-name a --job-type leaf",
    )
    outer = telemetry("query", "--job-type", "outer", "-o", "ids").line
    tree = telemetry("run", "tree", outer, "-o", "json").json
    assert (
        tree["job_type"],
        tree["children"][0]["job_type"],
        tree["children"][0]["children"][0]["job_type"],
    ) == ("outer", "inner", "leaf")
    shown = telemetry("run", "tree", outer).out.splitlines()
    assert ["outer" in shown[0], "inner" in shown[1], "leaf" in shown[2]] == [True] * 3


def test_the_trace_goes_on_inside(telemetry: Telemetry) -> None:
    header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    inside = telemetry(
        *EXEC,
        "--",
        "sh",
        "-c",
        "echo $TELEMETRY_EVENT_ID $TELEMETRY_RUN_ID $TRACEPARENT",
        env={"TRACEPARENT": header},
    ).out.split()
    run = last(telemetry)
    context = run["context_json"]
    assert inside == [
        run["event_id"],
        run["run_id"],
        f"00-{context['trace_id']}-{context['span_id']}-01",  # type: ignore[index]
    ]
    assert (context["trace_id"], context["parent_span_id"]) == (  # type: ignore[index]
        "0af7651916cd43dd8448eb211c80319c",
        "b7ad6b7169203331",
    )


@pytest.mark.parametrize(
    ("header", "state"),
    [
        ({"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "vendor=1"),
        (
            {"TRACEPARENT": "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"},
            "vendor=1",
        ),
        ({"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"}, "unset"),
        ({"TRACEPARENT": "nonsense"}, "unset"),
        ({}, "unset"),
    ],
)
def test_the_state_of_a_trace_goes_with_it(
    header: dict[str, str], state: str, telemetry: Telemetry
) -> None:
    env = {"TRACESTATE": "vendor=1"} | header
    told = 'echo "${TRACESTATE-unset}"'
    assert telemetry(*EXEC, "--", "sh", "-c", told, env=env).out.strip() == state
    exported = telemetry(
        "run", "start", "--agent-name", "a", "--job-type", "j", "-o", "env", env=env
    ).out
    assert (
        subprocess.run(
            ["sh", "-c", f"{exported}\n{told}"], env=env, capture_output=True, text=True, check=True
        ).stdout.strip()
        == state
    )


def test_start_with_env_tells_the_trace_too(telemetry: Telemetry) -> None:
    exported = telemetry("run", "start", "--agent-name", "a", "--job-type", "j", "-o", "env").out
    context = last(telemetry)["context_json"]
    assert f"00-{context['trace_id']}-{context['span_id']}-01" in exported  # type: ignore[index]


def test_its_environment_is_otherwise_the_same(telemetry: Telemetry) -> None:
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    env = {"ODD": "a\nb\udcff", "EMPTY": ""}
    plain = subprocess.run(
        [sys.executable, "-c", code], env=telemetry.env | env, capture_output=True, check=True
    ).stdout
    wrapped = telemetry(*EXEC, *script(code), env=env).json
    for name in ("TELEMETRY_EVENT_ID", "TELEMETRY_RUN_ID", "TRACEPARENT"):
        del wrapped[name]
    assert wrapped == json.loads(plain)


def test_streams_pass_through(telemetry: Telemetry) -> None:
    content = os.urandom(300_000)
    done = subprocess.run(
        [str(PROGRAM), *EXEC, "--", "sh", "-c", "tee /dev/stderr"],
        input=content,
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, content, content)


@linux
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_stays_closed(closed: int, telemetry: Telemetry) -> None:
    code = "import os\nfor n in range(3):\n try: os.fstat(n)\n except OSError: open('closed', 'a').write(str(n))"
    command = f"exec '{PROGRAM}' run exec --no-git -- '{sys.executable}' -c \"$CODE\" {closed}>&-"
    subprocess.run(
        ["sh", "-c", command],
        env=telemetry.env | {"CODE": code},
        cwd=telemetry.cwd,
        check=True,
        timeout=60,
    )
    assert (telemetry.cwd / "closed").read_text() == str(closed)
    assert last(telemetry)["status"] == "success"


@linux
def test_no_descriptor_or_lock_leaks_in_and_inherited_ones_pass(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    given, other = os.pipe()
    code = "import os; print(*sorted(f'{n}={os.readlink(\"/proc/self/fd/\" + n)}' for n in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + n)))"
    done = subprocess.run(
        [str(PROGRAM), *EXEC, *script(code)],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        pass_fds=[other],
        check=True,
    )
    inside = dict(item.split("=", 1) for item in done.stdout.split())
    assert {int(number) for number in inside} == {0, 1, 2, other}
    os.close(given)
    os.close(other)


def test_a_command_that_lives_long_holds_no_lock(telemetry: Telemetry) -> None:
    with telemetry.popen(
        *EXEC,
        "--",
        "sh",
        "-c",
        "echo begun; read line",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        started = telemetry(
            "run",
            "start",
            "--agent-name",
            "a",
            "--job-type",
            "j",
            env={"TELEMETRY_LOCK_TIMEOUT": "0.5"},
        )
        assert "buffered" not in started.err
        process.communicate(b"\n")


@pytest.mark.parametrize("ignored", ["SIGINT", "SIGHUP", "SIGCHLD", "SIGTERM"])
def test_signals_that_were_ignored_stay_ignored_and_others_do_not(
    ignored: str, telemetry: Telemetry
) -> None:
    show = "import signal; print(*(s.name for s in signal.valid_signals() if isinstance(s, signal.Signals) and signal.getsignal(s) is signal.SIG_IGN))"
    ignore = f"signal.signal(signal.{ignored}, signal.SIG_IGN); signal.signal(signal.SIGPIPE, signal.SIG_DFL)"
    prepare = f"import os, signal, sys; {ignore}; os.execv(sys.argv[1], sys.argv[1:])"
    plain, wrapped = (
        subprocess.run(
            [sys.executable, "-c", prepare, *before, sys.executable, "-c", show],
            env=telemetry.env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for before in ([], [str(PROGRAM), *EXEC, "--"])
    )
    assert wrapped == plain
    assert ignored in plain


def test_no_signal_is_blocked_inside(telemetry: Telemetry) -> None:
    assert (
        telemetry(
            *EXEC, *script("import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))")
        ).out
        == "set()\n"
    )


def test_ignored_children_still_have_their_exit_code(telemetry: Telemetry) -> None:
    prepare = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", prepare, str(PROGRAM), *EXEC, "--", "sh", "-c", "exit 5"],
        env=telemetry.env,
        cwd=telemetry.cwd,
    )
    assert done.returncode == 5


def test_a_broken_pipe_is_as_it_was(telemetry: Telemetry) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{PROGRAM}' run exec --no-git -- yes | head -1; echo ${{PIPESTATUS[0]}}"],
        env=telemetry.env,
        cwd=telemetry.cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == f"y\n{128 + signal.SIGPIPE}\n"


def test_it_ends_when_the_command_does(telemetry: Telemetry) -> None:
    telemetry(*EXEC, "--", "sleep", "0.3")
    run = last(telemetry)
    begun, ended = (datetime.fromisoformat(str(run[name])) for name in ("start_time", "end_time"))
    assert (ended - begun) / timedelta(milliseconds=1) == run["duration_ms"]


# Retried steps


def begun(telemetry: Telemetry, code: int) -> "subprocess.Popen[bytes]":
    """An execution with the id E whose command runs until it is told to end."""
    process = telemetry.popen(
        *EXEC, "--event-id", "E", "--", "sh", "-c", f"echo begun; read line; exit {code}",
        env={"TELEMETRY_LOCK_TIMEOUT": "0.1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == b"begun\n"
    return process


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Its exit code and stderr, once it was told to end."""
    err = process.communicate(b"\n", timeout=60)[1].decode()
    return process.returncode, err


@pytest.mark.parametrize("is_buffered_at_its_end", [True, False])
def test_an_execution_that_began_no_run_ends_none_though_its_start_was_buffered(
    is_buffered_at_its_end: bool, telemetry: Telemetry
) -> None:
    telemetry.start()
    with held(EXCLUSIVE, telemetry.database):
        first, second = begun(telemetry, 4), begun(telemetry, 3)
        told = ended(second) if is_buffered_at_its_end else None
    code, said = told or ended(second)
    assert (code, said.count("buffered"), said.count("begun by another execution")) == (
        3,
        1,
        int(not is_buffered_at_its_end),
    )
    assert telemetry.run("E")["status"] == "running"
    assert ended(first)[0] == 4
    run = telemetry.run("E")
    assert (run["status"], run["error_summary"], run["metrics_json"]["process.exit.code"]) == (
        "failure",
        "exit code 4",
        4,
    )
    assert telemetry("query", "--count").line == "2"


def test_the_same_id_again_runs_the_command_and_records_nothing(telemetry: Telemetry) -> None:
    assert telemetry(*EXEC, "--event-id", "E", "--", "sh", "-c", "exit 3", code=3).err == ""
    before = telemetry.run("E")
    ran = telemetry(*EXEC, "--event-id", "E", "--", "echo", "again")
    assert (ran.out, ran.err.count("duplicate")) == ("again\n", 1)
    assert telemetry.run("E") == before
    assert telemetry("query", "--count").line == "1"


def test_a_duplicate_leaves_the_run_of_the_first_alone(telemetry: Telemetry) -> None:
    """While the first still runs, the second has begun and ended."""
    inner = " ".join((str(PROGRAM), *EXEC, "--event-id", "E", "--", "sh", "-c", "'exit 3'"))
    ran = telemetry(
        *EXEC,
        "--event-id",
        "E",
        "--",
        "sh",
        "-c",
        f"{inner}; echo $?; {PROGRAM} run show E -o json",
    )
    assert ran.out.startswith("3\n")
    assert '"running"' in ran.out
    assert ran.err.count("duplicate") == 1
    run = telemetry.run("E")
    assert (run["status"], run["error_summary"]) == ("success", None)


GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_RUN_ID": "7",
    "GITHUB_JOB": "b",
    "GITHUB_REPOSITORY": "a/b",
    "GITHUB_RUN_ATTEMPT": "1",
}


def test_an_id_of_the_ci_step_tells_commands_apart(telemetry: Telemetry) -> None:
    env = GITHUB | {"RUNNER_TRACKING_ID": "github_1"}
    for _ in range(2):
        for command in (("true",), ("echo", "x")):
            telemetry(*EXEC, "--event-id", "auto", "--", *command, env=env)
        telemetry("run", "start", "--event-id", "auto", env=env)
    assert telemetry("query", "--count").line == "3"
    telemetry(*EXEC, "--event-id", "auto", "--", "true", env=env | {"GITHUB_RUN_ATTEMPT": "2"})
    assert telemetry("query", "--count").line == "4"


def test_an_automatic_id_outside_ci_is_random_and_says_so(telemetry: Telemetry) -> None:
    for _ in range(2):
        assert "--event-id auto" in telemetry(*EXEC, "--event-id", "auto", "--", "true").err
    assert telemetry("query", "--count").line == "2"


@pytest.mark.parametrize(
    "command",
    [
        (*EXEC, "--event-id", "auto", "--", "true"),
        ("run", "start", "--no-git", "--event-id", "auto"),
    ],
)
def test_where_two_jobs_could_share_an_automatic_id_it_is_random_and_the_variable_is_named(
    command: tuple[str, ...], telemetry: Telemetry
) -> None:
    """The jobs of one matrix: nothing but RUNNER_TRACKING_ID tells them apart."""
    for _ in range(2):
        assert (
            "--event-id auto: RUNNER_TRACKING_ID is not set" in telemetry(*command, env=GITHUB).err
        )
    assert telemetry("query", "--count").line == "2"
