"""Secrets never get anywhere: by grep over everything that is kept, and over what is said (promise 22)."""

import base64
import json
import sys
import urllib.parse

import pytest
from redaction.test_secret_shapes import JWT, filled
from support import Git, Ran, Telemetry

#: Twenty shapes: the secret's telling part, and the text it stands in.
SECRETS = {
    "aws": ("AKIA" + filled(16, "QRSTUVWX234567AB"), "{}"), "aws-secret": (filled(40), "AWS_SECRET_ACCESS_KEY={}"), "github": ("ghp_" + filled(36), "{}"),
    "github-pat": ("github_pat_" + filled(60), "{}"), "gitlab": ("glpat-" + filled(20), "{}"), "slack": ("xoxb-123456789012-" + filled(24), "{}"), "stripe": ("sk_live_" + filled(24), "{}"),
    "google": ("AIza" + filled(35), "{}"), "npm": ("npm_" + filled(36), "{}"), "pypi": ("pypi-AgEI" + filled(60), "{}"), "model": ("sk-ant-api03-" + filled(60), "{}"), "jwt": (JWT, "{}"),
    "url": ("s3cr3tpassw0rd", "postgres://ada:{}@db/x"), "url-token": ("tok3n0123456789", "https://{}@example.org/r.git"), "query": ("sig0123456789", "https://example.org/?sig={}"),
    "option": ("0ptionpassw0rd", "tool --password {}"), "assignment": ("assignedpassw0rd", "TOKEN={}"), "header": ("header0123456789", "Authorization: Bearer {}"),
    "private-key": (filled(64), "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----"), "sendgrid": ("SG." + filled(22) + "." + filled(43), "{}"),
}  # fmt: skip


def leaks(telemetry: Telemetry, secret: str, *ran: Ran) -> list[str]:
    """Where a secret is found: files below the base, and what was said."""
    needle = secret.encode()
    found = [
        str(path)
        for path in telemetry.base.rglob("*")
        if path.is_file() and needle in path.read_bytes()
    ]
    return found + [f"stderr: {one.err}" for one in ran if secret in one.err]


#: All in one text, and some at a time, so that none is found only because of another.
NAMES = list(SECRETS)
ALL_AND_SOME = [
    pytest.param(NAMES, id="all"),
    *(pytest.param(NAMES[n::5], id=f"some{n}", marks=pytest.mark.heavy) for n in range(5)),
]


@pytest.mark.parametrize("names", ALL_AND_SOME)
def test_no_secret_is_written_or_said(names: list[str], telemetry: Telemetry) -> None:
    secrets = [SECRETS[name][0] for name in names]
    text = "\n".join(shape.format(secret) for secret, shape in map(SECRETS.__getitem__, names))
    document = json.dumps({"note": text, "deep": [{"x": text}]})
    ran = [
        telemetry(
            "run",
            "start",
            "--agent-name",
            "a",
            "--job-type",
            "j",
            "--event-id",
            "E",
            "--input-summary",
            text,
            "--context",
            document,
            "--source-ref",
            text,
        ),
        telemetry("run", "event", "step", "--run", "E", "--payload", document, "-m", f"k={text}"),
        telemetry("run", "update", "E", "--item-name", text, "--git-branch", text),
        telemetry(
            "run",
            "end",
            "E",
            "--status",
            "failure",
            "--error-summary",
            text,
            "--error-details",
            f"before\n{text}\nafter",
            "--metrics",
            document,
        ),
        telemetry("associate-commit", "E", "--commit", "abcdef1", "--no-git", "--author", text),
        telemetry(
            "run",
            "exec",
            "--no-git",
            "--",
            sys.executable,
            "-c",
            "import sys; sys.exit(3)",
            text,
            code=3,
        ),
        telemetry(
            "run",
            "exec",
            "--no-git",
            "--no-capture",
            "--",
            "sh",
            "-c",
            'exit 3 # "$1"',
            "x",
            text,
            code=3,
        ),
    ]
    output = telemetry(
        "run",
        "exec",
        "--no-git",
        "--",
        sys.executable,
        "-c",
        "import os, sys; sys.stderr.write(os.environ['SHOWN']); sys.exit(3)",
        env={"SHOWN": f"failed\n{text}\n"},
        code=3,
    )
    assert all(secret in output.err for secret in secrets), "the command's own stderr is its own"
    assert "[redacted]" in telemetry.run("@last")["error_details"]
    assert [leak for secret in secrets for leak in leaks(telemetry, secret, *ran)] == []
    shown = [
        telemetry(*reads).out
        for reads in (
            ("run", "show", "E", "--json"),
            ("query", "--json"),
            ("query", "-o", "csv"),
            ("run", "events", "E", "--json"),
        )
    ]
    assert [secret for secret in secrets for out in shown if secret in out] == []


@pytest.mark.parametrize("names", ALL_AND_SOME)
def test_no_secret_waits_in_the_buffer_or_is_said_with_an_error(
    names: list[str], telemetry: Telemetry
) -> None:
    secrets = [SECRETS[name][0] for name in names]
    text = "\n".join(shape.format(secret) for secret, shape in map(SECRETS.__getitem__, names))
    telemetry.base.mkdir()
    (telemetry.base / "raw").write_text("in the way")
    ran = telemetry(
        "run", "start", "--agent-name", "a", "--job-type", "j", "--input-summary", text, code=None
    )
    said = [
        telemetry("run", "start", "--agent-name", "a", "--job-type", "j", "--status", text, code=2),
        telemetry("run", "update", "E", "--items-failed", text, code=2),
    ]
    nowhere = telemetry(
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
        "--input-summary",
        text,
        env={"TELEMETRY_BASE_DIR": "/dev/null/x"},
        code=75,
    )
    assert [
        leak for secret in secrets for leak in leaks(telemetry, secret, ran, nowhere, *said)
    ] == []


@pytest.mark.parametrize(
    "option",
    [
        ("run", "start", "--agent-name", "a", "--job-type", "j", "--event-id"),
        ("run", "end"),
        ("run", "event", "x", "--run"),
        ("run", "start", "--agent-name", "a", "--job-type", "j", "--parent"),
    ],
)
def test_an_id_that_is_a_secret_is_refused_without_saying_it(
    option: tuple[str, ...], telemetry: Telemetry
) -> None:
    telemetry.start()
    before = telemetry.files()
    secret = "ghp_" + filled(36)
    ran = telemetry(*option, secret, code=2)
    assert (leaks(telemetry, secret, ran), telemetry.files()) == ([], before)


#: A secret and a space, so often that wherever a text of them is cut, the cut goes through one.
TOKEN = "ghp_" + filled(36)
MANY = (TOKEN + " ") * 3000


def whole_or_gone(text: str) -> bool:
    """Tell whether nothing of `MANY` is left, not even a part of a secret."""
    return set(text.split()) == {"[redacted]"}


@pytest.mark.parametrize("shape", ["ndjson", "json", "csv", "atomic"])
def test_an_imports_secrets_are_taken_out_before_it_is_cut(
    shape: str, telemetry: Telemetry
) -> None:
    record = {
        "agent_name": "a",
        "job_type": "j",
        "start_time": "2026-01-02T03:04:05Z",
        "event_id": "E",
        "error_details": MANY,
    }
    content = {
        "json": json.dumps([record]),
        "csv": f"{','.join(record)}\n{','.join(record.values())}\n",
    }.get(shape, json.dumps(record) + "\n")
    options = ("--atomic",) if shape == "atomic" else ("--format", shape)
    telemetry("import", "-", *options, stdin=content)
    assert whole_or_gone(telemetry.run("E")["error_details"])
    assert leaks(telemetry, TOKEN[4:20]) == leaks(telemetry, TOKEN[-16:]) == []


@pytest.mark.parametrize("door", ["end", "import"])
def test_what_is_too_long_is_cut_once_it_is_clean(door: str, telemetry: Telemetry) -> None:
    details = f"first {TOKEN}\n" + "é" * 50_000 + f"\nlast {TOKEN}"
    if door == "end":
        telemetry.start("--event-id", "E")
        telemetry("run", "end", "E", "--error-details", details)
    else:
        record = {
            "agent_name": "a",
            "job_type": "j",
            "start_time": "2026-01-02T03:04:05Z",
            "event_id": "E",
            "error_details": details,
        }
        telemetry(
            "import",
            "-",
            stdin=json.dumps(record)
            + "\n"
            + json.dumps(record | {"event_id": "F", "error_details": "é" * 50_000}),
        )
        assert len(telemetry.run("F")["error_details"].encode()) <= 64 * 1024
    kept = telemetry.run("E")["error_details"]
    assert kept.startswith("first [redacted]\né")
    assert kept.endswith("é\nlast [redacted]")
    assert 64 * 1024 - 10 < len(kept.encode()) <= 64 * 1024


@pytest.mark.parametrize("before", range(30, 80, 7))
def test_a_secret_that_the_cut_of_a_quoted_value_goes_through_is_not_said(
    before: int, telemetry: Telemetry
) -> None:
    value = "x" * before + f"\n{TOKEN} " + "y" * 80
    ran = telemetry(
        "run", "start", "--agent-name", "a", "--job-type", "j", "--status", value, code=2
    )
    imported = telemetry(
        "import",
        "-",
        "--json",
        stdin=json.dumps({"agent_name": "a", "job_type": "j", "start_time": value}),
        code=1,
    )
    assert [
        part for part in (TOKEN[:7], TOKEN[-7:]) if part in ran.err + imported.err + imported.out
    ] == []


def test_a_name_that_grows_as_it_is_cleaned_costs_no_import(telemetry: Telemetry) -> None:
    """`[redacted]` may be longer than what stood there, and a name has its limit."""
    record = {
        "agent_name": "x" * 190 + " pass=a1b",
        "job_type": "j",
        "start_time": "2026-01-02T03:04:05Z",
    }
    assert telemetry("import", "-", "--json", stdin=json.dumps(record)).json["created"] == 1
    assert len(telemetry.run("@last")["agent_name"]) == 200


def test_secrets_of_the_environment_are_known_by_their_values(telemetry: Telemetry) -> None:
    env = {"DEPLOY_TOKEN": "a0b1c2d3e4f5", "DB_PASSWORD": "correct-horse-battery-staple"}
    ran = telemetry(
        "run",
        "exec",
        "--no-git",
        "--",
        "sh",
        "-c",
        'echo "using $DEPLOY_TOKEN and $DB_PASSWORD" >&2; exit 1',
        env=env,
        code=1,
    )
    assert all(value in ran.err for value in env.values())
    assert telemetry.run("@last")["error_details"] == "using [redacted] and [redacted]\n"
    assert [leaks(telemetry, value) for value in env.values()] == [[], []]


def test_secrets_of_the_environment_may_look_like_a_path_or_hold_a_space(
    telemetry: Telemetry,
) -> None:
    env = {
        "DEPLOY_TOKEN": "/Kx9+a1B2c3D4==",
        "DB_PASSWORD": "a1b2 c3d4",
        "STRIPE_KEY": "a1b2c3d4e5f6g7h8",
        "APP_SECRET": "$9xyz12345",
    }
    ran = telemetry(
        "run",
        "exec",
        "--no-git",
        "--",
        "sh",
        "-c",
        f'echo "{"; ".join("$" + name for name in env)}" >&2; exit 1',
        env=env,
        code=1,
    )
    assert all(value in ran.err for value in env.values())
    assert telemetry.run("@last")["error_details"] == "; ".join(["[redacted]"] * 4) + "\n"
    assert [leak for value in env.values() for leak in leaks(telemetry, value)] == []


@pytest.mark.parametrize("door", ["start", "import"])
def test_whatever_lies_under_the_name_of_a_secret_is_taken_out(
    door: str, telemetry: Telemetry
) -> None:
    context = {
        "token": {"value": "swordfish"},
        "passwords": ["swordfish"],
        "credentials": {"pw": "swordfish"},
        "tokens": 123456,
        "password": 12345678,
    }
    if door == "start":
        telemetry.start(
            "--event-id",
            "E",
            "-m",
            "password=swordfish",
            "-m",
            "max_tokens=123456",
            "--context",
            json.dumps(context),
        )
    else:
        metrics = {"password": "swordfish", "max_tokens": 123456}
        record = {
            "agent_name": "a",
            "job_type": "j",
            "start_time": "2026-01-02T03:04:05Z",
            "event_id": "E",
            "metrics_json": metrics,
            "context_json": context,
        }
        telemetry("import", "-", "--format", "ndjson", stdin=json.dumps(record) + "\n")
    run = telemetry.run("E")
    assert run["metrics_json"] == {"password": "[redacted]", "max_tokens": 123456}
    cleaned = {
        "token": {"value": "[redacted]"},
        "passwords": ["[redacted]"],
        "credentials": {"pw": "[redacted]"},
        "tokens": 123456,
        "password": "[redacted]",
    }
    assert {name: run["context_json"][name] for name in context} == cleaned
    assert leaks(telemetry, "swordfish") == leaks(telemetry, "12345678") == []


def test_what_ci_providers_say_is_cleaned_too(telemetry: Telemetry) -> None:
    env = {
        "JENKINS_URL": "https://ci/",
        "JOB_NAME": "shop",
        "GIT_URL": "https://ada:s3cr3tpw@example.org/r.git",
        "BUILD_URL": "https://ci/?token=t0k3nt0k3n",
        "GIT_BRANCH": "TOKEN=abc9abc9",
    }
    telemetry("run", "start", "--no-git", env=env)
    assert [leaks(telemetry, secret) for secret in ("s3cr3tpw", "t0k3nt0k3n", "abc9abc9")] == [
        [],
        [],
        [],
    ]
    assert telemetry.run("@last")["git_repo"] == "https://example.org/r.git"


def test_a_remote_in_a_repository(telemetry: Telemetry) -> None:
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", "--initial-branch=main")
    git("remote", "add", "origin", "https://ada:s3cr3tpw@example.org/r.git")
    git.commit()
    telemetry("run", "exec", "--", "true")
    telemetry("associate-commit", "@last")
    assert leaks(telemetry, "s3cr3tpw") == []


def test_own_rules_of_the_config_file(telemetry: Telemetry) -> None:
    (telemetry.home / ".config" / "telemetry").mkdir(parents=True)
    (telemetry.home / ".config" / "telemetry" / "config.toml").write_text(
        "[redact]\nticket = 'TCK-[0-9]{4,}'\n"
    )
    ran = telemetry(
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
        "--event-id",
        "E",
        "--input-summary",
        "see TCK-12345",
    )
    assert (telemetry.run("E")["input_summary"], leaks(telemetry, "TCK-12345", ran)) == (
        "see [redacted]",
        [],
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "start", "--agent-name", "a", "--job-type", "j", "--event-id"), ("run", "start", "--agent-name", "a", "--job-type", "j", "--run-id"),
        ("run", "start", "--agent-name", "a", "--job-type", "j", "--parent"), ("run", "update", "E", "--parent"), ("run", "update", "-m", "x=1"),
        ("run", "end"), ("run", "event", "x", "--run"), ("run", "events"), ("run", "show"), ("run", "tree"), ("associate-commit", "--no-git", "--commit", "abcdef1"),
        ("commits",), ("commit-url",), ("query", "--parent"), ("stats", "--parent"), ("export", "--to", "-", "--parent"), ("features", "query", "h", "--run"),
    ],
)  # fmt: skip
def test_own_rules_hold_for_ids_and_references_too(
    argv: tuple[str, ...], telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "E")
    (telemetry.home / ".config" / "telemetry").mkdir(parents=True)
    (telemetry.home / ".config" / "telemetry" / "config.toml").write_text(
        "[redact]\nticket = 'TCK-[0-9]{4,}'\n"
    )
    before = telemetry.files()
    ran = telemetry(*argv, "TCK-99999", code=2)
    assert "looks like a secret" in ran.err
    assert (leaks(telemetry, "TCK-99999", ran), telemetry.files()) == ([], before)
    current = telemetry("run", "end", env={"TELEMETRY_EVENT_ID": "TCK-99999"}, code=2)
    assert leaks(telemetry, "TCK-99999", current) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[redact]\nmine = '('", "mine"),
        ("[redact]\nmine = 1", "redact"),
        ("redact = 'x'", "redact"),
        ("[redact]\nmine = ''", "redact"),
    ],
)
def test_a_rule_of_ones_own_that_is_none_is_named_and_nothing_is_written(
    text: str, says: str, telemetry: Telemetry
) -> None:
    (telemetry.home / ".config" / "telemetry").mkdir(parents=True)
    (telemetry.home / ".config" / "telemetry" / "config.toml").write_text(text)
    assert says in telemetry("run", "start", "--agent-name", "a", "--job-type", "j", code=2).err
    assert not list(telemetry.base.rglob("ops_*"))


#: Settings that hold a login, and where else it could stand.
LOGIN = base64.b64encode(b"bob:Zx9Kq2Lm7Tt4Vw1").decode()
SETTINGS = {
    "docker": f'{{\n  "auths": {{\n    "ghcr.io": {{\n      "auth": "{LOGIN}"\n    }}\n  }}\n}}\n',
    "npmrc": f"//registry.example.org/:_auth={LOGIN}\n",
    "pairs": f'{{"env": [{{"name": "DB_PASSWORD", "value": "{LOGIN}"}}, {{"name": "LOG_LEVEL", "value": "debug17x"}}]}}\n',
    "yaml": f"env:\n- name: DB_PASSWORD\n  value: {LOGIN}\n- name: LOG_LEVEL\n  value: debug17x\ndb_pass: {LOGIN}\nkey: |\n  x\nclient_secret: |\n  {LOGIN}\n",
}  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
def test_logins_in_settings_are_redacted_everywhere(settings: str, telemetry: Telemetry) -> None:
    text = SETTINGS[settings]
    (telemetry.cwd / "settings").write_text(text)
    ran = telemetry(
        "run",
        "exec",
        "--no-git",
        "--event-id",
        "E",
        "--",
        "sh",
        "-c",
        "cat settings >&2; exit 1",
        code=1,
    )
    payload = text if text.startswith("{") else json.dumps(text)
    telemetry("run", "event", "config", "--run", "E", "--payload", payload)
    telemetry("run", "update", "E", "-m", f"env=SETTINGS={text}")
    assert LOGIN in ran.err
    assert leaks(telemetry, LOGIN) == []
    kept = telemetry.run("E")["error_details"]
    assert kept.count("[redacted]") == text.count(LOGIN)
    assert kept.count("debug17x") == text.count("debug17x")


def test_metrics_and_options_that_only_sound_like_secrets_stay(telemetry: Telemetry) -> None:
    metrics = {
        "total_token": 250000,
        "token": 180000,
        "samples_per_pass": 1048576,
        "first_pass": 120000,
        "tests_pass": 10**6,
        "tokens_used": 10**7,
        "leaked_password": 250000,
        "n_secret": 3,
        "access_key": 12,
    }
    telemetry.start(
        "--event-id",
        "E",
        *(word for name, number in metrics.items() for word in ("-m", f"{name}={number}")),
    )
    words = ["ansible-playbook", "--ask-become-pass", "site.yml", "--no-token", "x"]
    telemetry("run", "exec", "--no-git", "--event-id", "F", "--", "true", *words)
    assert telemetry.run("E")["metrics_json"] == metrics
    assert telemetry.run("F")["context_json"]["process.command_args"] == ["true", *words]
    found = telemetry("redact", "--scan", "-o", "json").json
    assert found == {"findings": []}


def test_a_secret_variable_is_hidden_in_a_url_and_in_base64(telemetry: Telemetry) -> None:
    secret = "a1/b2+c3=d4 e5"
    login = base64.b64encode(f"ada:{secret}".encode()).decode()
    percent = urllib.parse.quote(secret, safe="")
    ran = telemetry(
        "run",
        "exec",
        "--no-git",
        "--",
        "sh",
        "-c",
        'echo "$FORMS" >&2; exit 1',
        env={"DB_PASSWORD": secret, "FORMS": f"{login} {percent}"},
        code=1,
    )
    assert (login in ran.err, percent in ran.err) == (True, True)
    # Behind the user's name.
    assert leaks(telemetry, login[6:]) == leaks(telemetry, percent) == []
    assert telemetry.run("@last")["error_details"] == f"{login[:6]}[redacted] [redacted]\n"


@pytest.mark.parametrize("field", ["context_json", "payload_json"])
def test_a_secret_variable_is_hidden_in_json_in_an_import(field: str, telemetry: Telemetry) -> None:
    """JSON in a line of a blob is a text, so that a backslash before a character stands there twice."""
    secret = 'ab"cd\\efgh+12345678'
    run = {
        "agent_name": "a",
        "job_type": "j",
        "start_time": "2026-01-02T03:04:05Z",
        "event_id": "E",
    }
    event = {"event_type": "step", "timestamp": run["start_time"], "payload_json": {"q": [secret]}}
    record = run | (
        {"context_json": {"x": f"say {secret}"}} if field == "context_json" else {"events": [event]}
    )
    telemetry(
        "import",
        "-",
        "--format",
        "ndjson",
        stdin=json.dumps(record) + "\n",
        env={"DB_PASSWORD": secret},
    )
    assert leaks(telemetry, "efgh+12345678") == []
    shown = telemetry("run", "show" if field == "context_json" else "events", "E", "--json").out
    assert "[redacted]" in shown


def test_an_own_rule_that_takes_for_ever_holds_nobody_up(telemetry: Telemetry) -> None:
    """Neither a record nor a commit."""
    (telemetry.home / ".config" / "telemetry").mkdir(parents=True)
    (telemetry.home / ".config" / "telemetry" / "config.toml").write_text(
        "[redact]\nslow = '(a+)+$'\n"
    )
    slow = "a" * 60 + "!"
    telemetry.start("--event-id", "E", "--input-summary", slow, "--product", "shop")
    run = telemetry.run("E")
    assert (run["input_summary"], run["product"]) == ("[redacted]", "shop")
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet", f"--initial-branch={slow}")
    git.commit()
    telemetry("git-hooks", "fire", "post-commit", env={"TELEMETRY_EVENT_ID": "E"})
    assert telemetry("commits", "E", "-o", "json").json[0]["branch"] == "[redacted]"
