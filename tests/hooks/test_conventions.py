"""Conventions: atomic declarative deployment, slugs, running and checking them."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from support import wait_for
from support.hooks import OTHER, SCORE, Hooks, in_parallel

CONTRACT = '{ columns = [{ name = "score", type = "real", required = true }] }'


class Files:
    """A folder with a convention file and the programs that it names."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.path = hooks.folder / "convention.toml"

    def write(
        self,
        text: str = "",
        *,
        title: str = "Scored builds",
        bodies: dict[str, str] | None = None,
        extra: str = "",
    ) -> Path:
        """The file: `text` whole, or one made of a title, hooks by name with their programs, and `extra` at its end."""
        if not text:
            text = f'title = "{title}"\ndescription = "What a build is worth."\njob_types = ["build", "test"]\n'
            for name, body in (bodies if bodies is not None else {"score": SCORE % 1}).items():
                self.hooks.program(f"{name}.py", body)
                text += f'[[hooks]]\nname = "{name}"\nscript = "{name}.py"\ncontract = {CONTRACT}\nsource_ref = "tests"\n'
        self.path.write_text(text + extra)
        return self.path

    def deploy(self, *options: str, code: int = 0, **given: object) -> dict[str, object]:
        """Write the file and deploy it: json of it, or what was said on stderr under `err`."""
        ran = self.hooks.telemetry(
            "conventions",
            "deploy",
            str(self.write(**given)),  # type: ignore[arg-type]
            "-o",
            "json",
            *options,
            code=code,
        )
        return (ran.json if code == 0 else {}) | {"err": ran.err}


@pytest.fixture
def files(hooks: Hooks) -> Files:
    return Files(hooks)


def test_the_same_file_twice_is_the_same_versions(files: Files) -> None:  # requirement 32
    first = files.deploy(bodies={"score": SCORE % 1, "other": SCORE % 2})
    assert (first["slug"], first["created"], first["changed"]) == ("scored-builds", True, True)
    releases = first["hooks"]
    assert isinstance(releases, list)
    assert [(one["hook"], one["version"], one["created"], one["live"]) for one in releases] == [
        ("score", 1, True, 1),
        ("other", 1, True, 1),
    ]
    again = files.deploy(bodies={"score": SCORE % 1, "other": SCORE % 2})
    assert (again["created"], again["changed"]) == (False, False)
    assert again["hooks"] == [one | {"created": False} for one in releases]
    changed = files.deploy(bodies={"score": SCORE % 3})
    assert (changed["slug"], changed["created"], changed["changed"]) == (
        "scored-builds",
        False,
        True,
    )
    assert files.hooks.telemetry("conventions", "show", "scored-builds", "-o", "json").json[
        "hooks"
    ] == [
        {"hook": "score", "deployed": 2, "live": 2, "digest": changed["hooks"][0]["digest"]}  # type: ignore[index]
    ]
    files.deploy(title="Another one", bodies={})
    assert [
        one["slug"] for one in files.hooks.telemetry("conventions", "list", "-o", "json").json
    ] == ["another-one", "scored-builds"]


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Scored builds!", "scored-builds"),
        ("A_b.C", "a-b-c"),
        ("x" * 70, "x" * 64),
        ("x" * 63 + " y", "x" * 63),
        ("Über -- alles", "ber-alles"),
    ],
    ids=str,
)
def test_slugs(files: Files, title: str, slug: str) -> None:  # requirement 32
    assert files.deploy(title=title, bodies={})["slug"] == slug


@pytest.mark.parametrize("title", ["!!!", "3D x", "ab", "a!", "日本語", "- 1st"])
def test_titles_without_a_slug(files: Files, title: str) -> None:  # requirement 32
    assert "title" in str(files.deploy(title=title, bodies={}, code=2)["err"])
    assert not files.hooks.telemetry.base.exists()


GOOD = 'title = "Scored builds"\ndescription = "What for."\njob_types = ["build"]\n'
HOOK = f'[[hooks]]\nname = "score"\nscript = "score.py"\nsource_ref = "x"\ncontract = {CONTRACT}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "Scored"\njob_types = ["build"]\n', ["description is needed"]),  # requirement 33
        (GOOD.replace("What for.", " \\n"), ["description", "blank"]),
        (GOOD + "colour = 1\n", ["unknown key 'colour'"]),
        (
            GOOD + HOOK + "nane = 1\nmemroy = 2\n",
            ["unknown key 'nane' in hooks.1", "unknown key 'memroy' in hooks.1"],
        ),
        (GOOD + HOOK.replace("real", "float"), ["columns.1.type", "'float'"]),
        (
            GOOD + HOOK.replace("required", "reqired"),
            ["unknown key 'reqired' in columns.1"],
        ),  # requirement 11
        (GOOD + HOOK + "config = 7\n", ["hooks.1.config"]),
        (GOOD + HOOK + "config = { day = 2026-01-01 }\n", ["hooks.1.config", "date"]),
        (GOOD + HOOK + "config = { x = nan }\n", ["hooks.1.config"]),
        (GOOD + HOOK + 'memory = "lots"\n', ["hooks.1.memory", "lots"]),
        (
            GOOD + HOOK.replace("score.py", "no.py") + HOOK.replace('"score"', '"Second"', 1),
            ["hooks.2.name"],
        ),
        (
            GOOD
            + HOOK.replace("score.py", "no.py")
            + HOOK.replace('"score"', '"other"', 1)
            + 'timeout = "soon"\n',
            ["hooks.1.script", "hooks.2.timeout"],
        ),
        (GOOD + HOOK + HOOK, ["the hook 'score' comes twice"]),
        (
            GOOD + '[schema]\nid = "s"\nversion = 1\nfields = [{ name = "a", type = "int" }]\n',
            ["schema.fields.1.type"],
        ),
        (GOOD.replace('["build"]', "[]"), ["job_types"]),
        (GOOD.replace('["build"]', '"build"'), ["job_types"]),
        ("title = ", ["not valid TOML"]),
    ],
)
def test_what_is_wrong_with_a_file_is_told_at_once_and_nothing_is_stored(
    files: Files, text: str, said: list[str]
) -> None:
    files.hooks.program("score.py", SCORE % 1)
    err = str(files.deploy(text=text, code=2)["err"])
    assert [words for words in said if words not in err] == [], err
    assert not files.hooks.telemetry.base.exists()


def test_a_deployment_whose_second_hook_conflicts_changes_nothing(
    files: Files,
) -> None:  # requirement 31
    files.hooks.release("second", SCORE % 1, contract=OTHER)
    before = files.hooks.tables()
    err = str(
        files.deploy(bodies={"first": SCORE % 1, "second": SCORE % 2, "third": SCORE % 3}, code=4)[
            "err"
        ]
    )
    assert "second" in err
    assert files.hooks.tables() == before


@pytest.mark.heavy
def test_a_deployment_killed_at_any_moment_has_happened_or_not(
    files: Files,
) -> None:  # requirement 31
    argv = (
        "conventions",
        "deploy",
        str(files.write(bodies={f"hook_{number}": SCORE % number for number in range(8)})),
    )
    started = time.monotonic()
    files.hooks.telemetry(*argv, "--dry-run")
    whole = (time.monotonic() - started) * 1.5
    seen = set()
    for trial in range(15):
        fresh = {"TELEMETRY_BASE_DIR": str(files.hooks.telemetry.home / f"base-{trial}")}
        process = files.hooks.telemetry.popen(
            *argv, env=fresh, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(whole * trial / 15)
        process.kill()
        process.wait()
        hooks = len(files.hooks.telemetry("hooks", "list", "-o", "json", env=fresh).json)
        conventions = len(
            files.hooks.telemetry("conventions", "list", "-o", "json", env=fresh).json
        )
        assert (hooks, conventions) in ((0, 0), (8, 1))
        seen.add(hooks)
    assert 0 in seen


def test_sixteen_deployments_at_once_are_one(files: Files) -> None:
    argv = [
        "conventions",
        "deploy",
        str(files.write(bodies={"score": SCORE % 1, "other": SCORE % 2})),
        "-o",
        "json",
    ]
    ran = in_parallel(files.hooks.telemetry, [argv] * 16)
    assert [one.code for one in ran] == [0] * 16
    assert sorted(one.json["created"] for one in ran) == [False] * 15 + [True]
    assert {release["version"] for one in ran for release in one.json["hooks"]} == {1}


def test_a_dry_run_shows_what_would_change(files: Files) -> None:
    shown = files.deploy("--dry-run")
    assert (shown["created"], shown["hooks"][0]["version"], shown["hooks"][0]["created"]) == (  # type: ignore[index]
        True,
        1,
        True,
    )
    assert not files.hooks.telemetry.base.exists()
    files.deploy()
    before = files.hooks.telemetry.files()
    assert files.deploy("--dry-run", bodies={"score": SCORE % 2})["hooks"][0]["version"] == 2  # type: ignore[index]
    assert (
        "would be changed"
        in files.hooks.telemetry("conventions", "deploy", str(files.path), "--dry-run").out
    )
    assert files.hooks.telemetry.files() == before


def test_redeploying_after_a_rollback_says_that_the_old_version_stays_live(
    files: Files,
) -> None:  # requirement 34
    files.deploy(bodies={"score": SCORE % 1})
    files.deploy(bodies={"score": SCORE % 2})
    files.hooks.telemetry("hooks", "rollback", "score")
    again = files.deploy(bodies={"score": SCORE % 2})
    assert again["hooks"][0]["live"] == 1  # type: ignore[index]
    assert "live is 1" in str(again["err"]) and "--promote" in str(again["err"])
    assert files.deploy("--promote", bodies={"score": SCORE % 2})["hooks"][0]["live"] == 2  # type: ignore[index]
    assert (
        files.hooks.telemetry("hooks", "history", "score", "--pointer", "-o", "json").json[-1][
            "reason"
        ]
        == "convention scored-builds"
    )


def test_running_a_convention(files: Files) -> None:  # requirement 35
    start = files.hooks.telemetry.start
    for event_id, job in (("b1", "build"), ("b2", "build"), ("t1", "test"), ("o1", "other")):
        start("--event-id", event_id, "--job-type", job, "--no-git")
    files.deploy(bodies={"score": SCORE % 1, "other": SCORE % 2})
    runs = files.hooks.telemetry("conventions", "run", "scored-builds", "-o", "json").json[
        "hook_runs"
    ]
    assert [(run["hook"], run["subjects"], run["status"], run["convention"]) for run in runs] == [
        ("score", 3, "passed", "scored-builds"), ("other", 3, "passed", "scored-builds")
    ]  # fmt: skip
    narrow = files.hooks.telemetry(
        "conventions",
        "run",
        "scored-builds",
        "--job-type",
        "build",
        "--job-type",
        "other",
        "-o",
        "json",
    ).json["hook_runs"]
    assert [run["subjects"] for run in narrow] == [2, 2]
    files.hooks.telemetry("conventions", "run", "nobody", code=3)


def test_a_convention_runs_in_one_snapshot_of_live_pointers(files: Files) -> None:  # requirement 35
    begun, go = files.hooks.folder / "begun", files.hooks.folder / "go"
    files.hooks.telemetry.start("--job-type", "build", "--no-git")
    waiting = f"open({str(begun)!r}, 'w').close()\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n"
    files.deploy(bodies={"score": waiting + SCORE % 1, "other": SCORE % 2})
    with files.hooks.telemetry.popen(
        "conventions", "run", "scored-builds", stdout=subprocess.DEVNULL
    ) as process:
        wait_for(begun.exists)
        files.deploy(bodies={"score": SCORE % 8, "other": SCORE % 9})
        go.touch()
        assert process.wait(60) == 0
    assert sorted((run["hook"], run["version"]) for run in files.hooks.runs()) == [
        ("other", 1),
        ("score", 1),
    ]


SCHEMA = '[schema]\nid = "builds"\nversion = {}\nfields = [{{ name = "tests", type = "integer", required = true }}, {{ name = "branch", type = "text" }}{}]\n'


def test_checking_runs_by_the_schema(files: Files) -> None:
    start = files.hooks.telemetry.start
    start(
        "--event-id",
        "good",
        "--job-type",
        "build",
        "-m",
        "tests=3",
        "--context",
        '{"branch": "main"}',
        "--no-git",
    )
    files.deploy(bodies={}, extra=SCHEMA.format(1, ""))
    assert files.hooks.telemetry("conventions", "check", "scored-builds", "-o", "json").json == []
    start(
        "--event-id",
        "bad",
        "--job-type",
        "build",
        "-m",
        "tests=many",
        "--context",
        '{"branch": 7}',
        "--no-git",
    )
    start("--event-id", "none", "--job-type", "test", "--no-git")
    start("--event-id", "other", "--job-type", "else", "--no-git")
    ran = files.hooks.telemetry("conventions", "check", "scored-builds", "-o", "json", code=1)
    assert ran.json == [
        {
            "event_id": "none",
            "field": "tests",
            "expected": "an integer, required",
            "got": "nothing",
        },
        {"event_id": "bad", "field": "tests", "expected": "an integer", "got": '"many"'},
        {"event_id": "bad", "field": "branch", "expected": "text", "got": "7"},
    ]
    files.hooks.telemetry("conventions", "check", "scored-builds", "--job-type", "test", code=1)
    files.hooks.telemetry("conventions", "check", "scored-builds", "--where", "event_id = 'good'")


def test_the_same_schema_with_other_fields_is_a_conflict(files: Files) -> None:
    files.deploy(bodies={}, extra=SCHEMA.format(1, ""))
    more = ', { name = "more", type = "json" }'
    assert "builds version 1" in str(
        files.deploy(bodies={}, extra=SCHEMA.format(1, more), code=4)["err"]
    )
    assert files.deploy(bodies={}, extra=SCHEMA.format(2, more))["changed"] is True
    files.deploy(title="Elsewhere", bodies={}, extra=SCHEMA.format(1, more), code=4)
    files.deploy(bodies={})  # without it, the fields of version 1 are still what they were
    files.deploy(bodies={}, extra=SCHEMA.format(1, more), code=4)


def test_the_same_schema_in_another_order_is_the_same(files: Files) -> None:
    files.deploy(bodies={}, extra=SCHEMA.format(1, ""))
    other = (
        SCHEMA.partition("fields")[0].format(1)
        + 'fields = [{ name = "branch", type = "text" }, { name = "tests", type = "integer", required = true }]\n'
    )
    assert files.deploy(bodies={}, extra=other)["changed"] is False


def test_a_contract_may_be_a_path(files: Files) -> None:
    (files.hooks.folder / "score.toml").write_text('[[columns]]\nname = "score"\ntype = "real"\n')
    files.hooks.program("score.py", SCORE % 1)
    text = (
        GOOD
        + HOOK.replace(CONTRACT, '"score.toml"')
        + 'args = ["-x"]\nmemory = "64m"\ntimeout = "5s"\n[hooks.config]\nk = [1]\n'
    )
    assert files.deploy(text=text)["changed"] is True
    shown = files.hooks.show("score")
    assert (shown["argv"], shown["config"], shown["limits"]) == (
        ["-x"],
        {"k": [1]},
        {"memory": 64 << 20, "timeout_ms": 5000},
    )
    assert (
        json.dumps(shown["contract"]["columns"])
        == '[{"name": "score", "required": false, "type": "real"}]'
    )
