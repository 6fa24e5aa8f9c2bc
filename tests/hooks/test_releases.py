"""Releases: names, contracts, versions, digests, what the database itself refuses."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Git
from support.hooks import ONE, OTHER, SCORE, Hooks, in_parallel

Make = Callable[..., Git]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Score",
        "1score",
        "_score",
        "sc-ore",
        "sc ore",
        "x" * 41,
        "scoré",
        "runs",
        "records",
        "datasets",
        "score@1",
    ],
)
def test_names_that_are_refused(hooks: Hooks, name: str) -> None:  # requirement 1
    hooks.telemetry.start()
    before = hooks.telemetry.files()
    ran = hooks.telemetry(
        *hooks.argv("placeholder", SCORE % 1)[:2],
        name,
        *hooks.argv("placeholder", SCORE % 1)[3:],
        code=2,
    )
    assert "NAME" in ran.err
    assert hooks.telemetry.files() == before


@pytest.mark.parametrize("name", ["a", "x" * 40, "a1_", "run"])
def test_names_that_are_accepted(hooks: Hooks, name: str) -> None:
    assert hooks.release(name)["version"] == 1


def test_another_contract_is_a_conflict_and_the_same_one_is_fine(
    hooks: Hooks,
) -> None:  # requirement 2
    hooks.release("score", SCORE % 1)
    before = hooks.tables()
    ran = hooks.release("score", SCORE % 2, contract=OTHER, code=4)
    assert "fixed for life" in ran.err
    assert hooks.tables() == before
    turned = {"columns": ONE["columns"][::-1]}
    assert hooks.release("score", SCORE % 2, contract=turned)["version"] == 2
    without = [
        word
        for word in hooks.argv("score", SCORE % 3)
        if word != "--contract" and not word.endswith("contract.json")
    ]
    assert hooks.telemetry(*without).json["version"] == 3


def test_a_new_hook_needs_a_contract(hooks: Hooks) -> None:
    argv = [
        word
        for word in hooks.argv("score", SCORE % 3)
        if word != "--contract" and not word.endswith("contract.json")
    ]
    assert "--contract" in hooks.telemetry(*argv, code=2).err
    assert hooks.telemetry("hooks", "list", "-o", "json").json == []


def test_sixteen_distinct_releases_at_once_are_numbered_without_gaps(
    hooks: Hooks,
) -> None:  # requirement 3
    hooks.release("score", SCORE % 0)
    ran = in_parallel(
        hooks.telemetry, [hooks.argv("score", SCORE % number) for number in range(1, 17)]
    )
    assert [one.code for one in ran] == [0] * 16
    assert sorted(one.json["version"] for one in ran) == list(range(2, 18))
    assert [
        row["version"] for row in hooks.telemetry("hooks", "history", "score", "-o", "json").json
    ] == list(range(1, 18))


def test_sixteen_first_releases_at_once_make_one_hook(hooks: Hooks) -> None:  # requirement 7
    ran = in_parallel(
        hooks.telemetry, [hooks.argv("score", SCORE % number) for number in range(16)]
    )
    assert [one.code for one in ran] == [0] * 16
    assert sorted(one.json["version"] for one in ran) == list(range(1, 17))
    assert [row["name"] for row in hooks.telemetry("hooks", "list", "-o", "json").json] == ["score"]


def test_of_sixteen_first_releases_with_differing_contracts_the_losers_conflict(
    hooks: Hooks,
) -> None:  # requirement 7
    argvs = []
    for number in range(16):
        argv = hooks.argv("score", SCORE % number)
        argv[argv.index("--contract") + 1] = str(
            hooks.contract(
                {"columns": [{"name": f"c{number % 2}", "type": "real"}]}, f"contract-{number}.json"
            )
        )
        argvs.append(argv)
    ran = in_parallel(hooks.telemetry, argvs)
    assert {one.code for one in ran} == {0, 4}
    winner = json.dumps(hooks.show("score")["contract"])
    assert [one.code == 0 for one in ran] == [f"c{number % 2}" in winner for number in range(16)]
    assert len(hooks.telemetry("hooks", "history", "score", "-o", "json").json) == 8


def test_of_sixteen_identical_releases_exactly_one_is_created(
    hooks: Hooks,
) -> None:  # requirement 6
    ran = in_parallel(hooks.telemetry, [hooks.argv("score", SCORE % 1)] * 16)
    assert [one.code for one in ran] == [0] * 16
    assert sorted(one.json["created"] for one in ran) == [False] * 15 + [True]
    assert {one.json["version"] for one in ran} == {1}


def test_the_same_digest_again_returns_the_existing_version(hooks: Hooks) -> None:  # requirement 5
    first = hooks.release("score", SCORE % 1)
    assert first == {
        "hook": "score",
        "version": 1,
        "digest": first["digest"],
        "created": True,
        "live": 1,
        "source_ref": "tests",
    }
    assert hooks.release("score", SCORE % 1) == first | {"created": False}
    hooks.release("score", SCORE % 2)
    ran = hooks.telemetry(*hooks.argv("score", SCORE % 1, "--message", "again"))
    assert ran.json == first | {"created": False, "live": 2}
    assert "live is 2" in ran.err and "telemetry hooks promote score 1" in ran.err
    assert len(hooks.tables()["hook_releases"]) == 2


def test_another_config_argument_or_limit_is_another_release(
    hooks: Hooks,
) -> None:  # requirement 12
    options: list[tuple[str, ...]] = [
        (),
        ("--config", '{"k": 1}'),
        ("--memory", "513m"),
        ("--timeout", "301s"),
        ("--", "x"),
        ("--", "x", "y"),
    ]
    assert [hooks.release("score", SCORE % 1, *given)["version"] for given in options] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
    assert [hooks.release("score", SCORE % 1, *given)["created"] for given in options] == [
        False
    ] * 6
    # What says the same in another way is the same.
    assert hooks.release("score", SCORE % 1, "--config", '{ "k":1 }')["version"] == 2
    assert (
        hooks.release(
            "score",
            SCORE % 1,
            "--memory",
            "512m",
            "--timeout",
            "5m",
            "--config",
            "{}",
            "--message",
            "other",
        )["version"]
        == 1
    )
    shown = hooks.show("score@5")
    assert (shown["argv"], shown["config"], shown["limits"]) == (
        ["x"],
        {},
        {"memory": 512 << 20, "timeout_ms": 300_000},
    )


def test_the_execute_bit_is_part_of_the_artifact(hooks: Hooks) -> None:
    hooks.release("score", SCORE % 1)
    script = Path(hooks.argv("score", SCORE % 1)[4])
    argv = hooks.argv("score", SCORE % 1)
    script.chmod(0o644)
    assert hooks.telemetry(*argv).json["version"] == 2
    assert hooks.run("score")["status"] == "passed"  # by its first line


def test_a_folder_is_released_with_all_its_files(three: Hooks, tmp_path: Path) -> None:
    folder = tmp_path / "tool"
    (folder / "lib").mkdir(parents=True)
    (folder / "run").write_text(
        """#!/bin/sh\nprintf '{"id": "a", "score": %s}' "$(cat "$(dirname "$0")/lib/score")"\n"""
    )
    (folder / "lib" / "score").write_text("7")
    argv = [
        "hooks",
        "release",
        "tool",
        "--script",
        str(folder),
        "--contract",
        str(three.contract()),
        "--source-ref",
        "x",
        "-o",
        "json",
    ]
    assert "executable" in three.telemetry(*argv, code=2).err
    (folder / "run").chmod(0o755)
    assert three.telemetry(*argv).json["version"] == 1
    (folder / "lib" / "score").write_text("8")
    assert three.telemetry(*argv).json["version"] == 2
    assert (
        three.run("tool", "--at-version", "1", "--input", "-", stdin='{"id": "a"}\n')["status"]
        == "passed"
    )
    assert [row["values"]["score"] for row in three.rows("tool")] == [7]
    three.telemetry("hooks", "show", "tool@1", "--artifact", str(tmp_path / "out"))
    assert (tmp_path / "out" / "lib" / "score").read_text() == "7"
    assert (tmp_path / "out" / "run").stat().st_mode & 0o777 == 0o700
    (folder / "link").symlink_to("run")
    assert "link" in three.telemetry(*argv, code=2).err


def test_the_artifact_can_be_written_out_again(hooks: Hooks, tmp_path: Path) -> None:
    hooks.release("score", SCORE % 1)
    script = Path(hooks.argv("score", SCORE % 1)[4])
    content = script.read_bytes()
    script.write_bytes(b"gone")
    hooks.telemetry("hooks", "show", "score@1", "--artifact", str(tmp_path / "again.py"))
    assert (tmp_path / "again.py").read_bytes() == content
    assert (
        "exists"
        in hooks.telemetry(
            "hooks", "show", "score@1", "--artifact", str(tmp_path / "again.py"), code=4
        ).err
    )


RELEASE = "hook, {}, {}, kind, artifact, argv, config, limits, source_ref, dirty, message, actor, released_at, op_id"
TOUCHING_A_RELEASE = [
    "UPDATE hook_releases SET message = 'x'",
    "UPDATE OR REPLACE hook_releases SET version = 2 WHERE version = 1",
    "DELETE FROM hook_releases",
    "INSERT OR REPLACE INTO hook_releases SELECT * FROM hook_releases WHERE version = 1",
    f"REPLACE INTO hook_releases SELECT {RELEASE.format(3, 'digest')} FROM hook_releases WHERE version = 1",
    f"INSERT OR IGNORE INTO hook_releases SELECT {RELEASE.format(9, 'substr(digest, 2) || 0')} FROM hook_releases WHERE version = 1",
]
TOUCHING_WHAT_HAS_HAPPENED = [
    "UPDATE hook_runs SET status = 'failed'", "UPDATE hook_runs SET rows = 9", "DELETE FROM hook_runs", "REPLACE INTO hook_runs SELECT * FROM hook_runs",
    "UPDATE features SET subject_id = 'x'", "UPDATE features SET \"values\" = '{}'", "DELETE FROM features",
    "DELETE FROM features WHERE subject_id = 'no run'", "REPLACE INTO features SELECT * FROM features",
    "INSERT INTO features (hook, subject_id, hook_run, \"values\") SELECT hook, 'x', id, '{}' FROM hook_runs",
    "UPDATE features SET superseded_by = hook_run", "UPDATE hook_silences SET subject_id = 'x'", "DELETE FROM hook_silences",
    "INSERT INTO hook_silences SELECT id, 'x' FROM hook_runs", "REPLACE INTO hook_silences SELECT * FROM hook_silences",
    "UPDATE hook_logs SET digest = 'x'", "DELETE FROM hook_logs", "REPLACE INTO hook_logs SELECT * FROM hook_logs",
    "UPDATE hook_pointer_log SET reason = 'x'", "DELETE FROM hook_pointer_log", "REPLACE INTO hook_pointer_log SELECT * FROM hook_pointer_log",
    "UPDATE hooks SET contract = '{}'", "DELETE FROM hooks", "REPLACE INTO hooks SELECT * FROM hooks",
]  # fmt: skip


@pytest.mark.parametrize("foreign_keys", ["OFF", "ON"])
def test_the_database_itself_refuses_to_touch_a_release_or_what_has_happened(
    three: Hooks, foreign_keys: str
) -> None:  # requirement 4
    three.release("score", "")
    three.run("score")
    three.release("score", SCORE % 2)
    three.run("score")
    # Rows about records stay too, though no run has their id.
    three.run("score", "--input", "-", stdin='{"id": "no run"}')
    before = three.tables()
    db = sqlite3.connect(three.telemetry.database, isolation_level=None)
    try:
        db.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        for statement in [*TOUCHING_A_RELEASE, *TOUCHING_WHAT_HAS_HAPPENED]:
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(statement)
    finally:
        db.close()
    assert three.tables() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--config", '{"db": {"password": "correct-horse"}}'),
            "'--config.db.password' looks like a secret",
        ),
        (
            ("--config", '{"urls": ["x", "https://me:hunter2x@host/p"]}'),
            "'--config.urls.2' looks like a secret",
        ),
        (("--message", "with ghp_" + "a1B2" * 9), "'--message' looks like a secret"),
        (("--", "--token", "correct-horse"), "'--args.2' looks like a secret"),
        (("--config", '{"k": "its hunter2hunter2"}'), "'--config.k' looks like a secret"),
    ],
)
def test_a_release_that_holds_what_looks_like_a_secret_is_refused_whole(
    hooks: Hooks, options: tuple[str, ...], said: str
) -> None:
    env = {"DEPLOY_PASSWORD": "hunter2hunter2"}
    ran = hooks.telemetry(*hooks.argv("score", SCORE % 1, *options), code=2, env=env)
    assert said in ran.err and "environment" in ran.err and "horse" not in ran.err
    assert not hooks.telemetry.base.exists() or not any(
        path.is_file() for path in hooks.telemetry.base.rglob("*")
    )


def test_what_is_refused_stores_nothing(hooks: Hooks) -> None:  # requirement 2
    script = ("--script", str(hooks.program("new.py", SCORE % 7)), "--source-ref", "x")
    assert "--contract" in hooks.telemetry("hooks", "release", "score", *script, code=2).err
    assert not hooks.telemetry.base.exists() or not any(
        path.is_file() for path in hooks.telemetry.base.rglob("*")
    )
    hooks.release("score", SCORE % 1)
    before = hooks.telemetry.files()
    other = str(hooks.contract(OTHER, "other.json"))
    hooks.telemetry("hooks", "release", "score", *script, "--contract", other, code=4)
    convention = hooks.folder / "all.toml"
    convention.write_text(
        f'title = "All"\ndescription = "d"\njob_types = ["t"]\n[[hooks]]\nname = "score"\nscript = "new.py"\nsource_ref = "x"\ncontract = "{other}"\n'
    )
    hooks.telemetry("conventions", "deploy", str(convention), code=4)
    assert hooks.telemetry.files() == before


def test_no_verb_edits_a_release(hooks: Hooks) -> None:  # requirement 4
    hooks.release("score", SCORE % 1, "--message", "first")
    before = hooks.tables()["hook_releases"]
    hooks.release("score", SCORE % 1, "--message", "other", "--allow-dirty")
    hooks.release("score", SCORE % 2)
    hooks.telemetry("hooks", "rollback", "score", "--message", "why")
    hooks.telemetry("hooks", "promote", "score", "2")
    assert hooks.tables()["hook_releases"][:1] == before


# Where it came from


def test_source_ref_is_the_commit_and_the_path(hooks: Hooks, make_git: Make) -> None:
    git = make_git()
    script = hooks.program("score.py", SCORE % 1).rename(git.path / "score.py")
    argv = [
        "hooks",
        "release",
        "score",
        "--script",
        str(script),
        "--contract",
        str(hooks.contract()),
        "-o",
        "json",
    ]
    assert "--source-ref" in hooks.telemetry(*argv, code=2).err  # no commit yet
    git("add", ".")
    sha = git.commit()
    assert hooks.telemetry(*argv).json["source_ref"] == f"git+file://{git.path}@{sha}#score.py"
    git("remote", "add", "origin", "https://user:secret@example.org/o/r.git")
    (git.path / "sub").mkdir()
    script.rename(git.path / "sub" / "other.py").write_text(
        script.read_text() if script.exists() else "#!/bin/sh\n"
    )
    git("add", ".")
    sha = git.commit()
    argv[4] = str(git.path / "sub" / "other.py")
    assert (
        hooks.telemetry(*argv).json["source_ref"]
        == f"git+https://example.org/o/r.git@{sha}#sub/other.py"
    )


def test_a_dirty_tree_is_refused_unless_it_is_allowed_and_recorded(
    hooks: Hooks, make_git: Make
) -> None:
    git = make_git()
    script = hooks.program("score.py", SCORE % 1).rename(git.path / "score.py")
    git.commit()
    argv = [
        "hooks",
        "release",
        "score",
        "--script",
        str(script),
        "--contract",
        str(hooks.contract()),
        "-o",
        "json",
    ]
    assert "dirty (score.py)" in hooks.telemetry(*argv, code=2).err  # HEAD does not have it
    git("add", ".")
    git.commit()
    (git.path / "unrelated").write_text("not tracked, and no part of it")
    assert hooks.telemetry(*argv).json["version"] == 1
    assert hooks.show("score")["dirty"] is False
    script.write_text(script.read_text() + "# changed\n")
    assert "dirty" in hooks.telemetry(*argv, code=2).err
    assert hooks.telemetry(*argv, "--allow-dirty").json["version"] == 2
    assert hooks.show("score")["dirty"] is True
    script.write_text(script.read_text() + "# once more\n")
    assert (
        hooks.telemetry(*argv, "--allow-dirty", "--source-ref", "wiki/score").json["version"] == 3
    )
    assert hooks.show("score")["dirty"] is True


def test_outside_git_the_source_must_be_told(hooks: Hooks) -> None:
    argv = [
        word for word in hooks.argv("score", SCORE % 1) if word not in ("--source-ref", "tests")
    ]
    assert "--source-ref" in hooks.telemetry(*argv, code=2).err
    assert hooks.telemetry(*argv, "--source-ref", "wiki/42").json["source_ref"] == "wiki/42"


def test_what_names_nothing_is_refused(hooks: Hooks) -> None:
    hooks.release("score", SCORE % 1)
    assert "names no version" in hooks.telemetry("hooks", "show", "score@", code=2).err
    assert "HOOK_RUN" in hooks.telemetry("hooks", "logs", "", code=2).err


# Dry run, buffered


def test_a_dry_run_shows_what_would_change_and_changes_nothing(hooks: Hooks) -> None:
    hooks.release("score", SCORE % 1)
    before = hooks.telemetry.files()
    shown = hooks.release("score", SCORE % 2, "--dry-run")
    assert (shown["version"], shown["created"], shown["live"]) == (2, True, 2)
    assert hooks.release("score", SCORE % 1, "--dry-run")["created"] is False
    hooks.release("score", SCORE % 1, "--dry-run", contract=OTHER, code=4)
    assert hooks.telemetry.files() == before
    assert hooks.release("score", SCORE % 2) == shown


def test_a_release_that_is_buffered_says_so_and_arrives(hooks: Hooks) -> None:
    hooks.release("score", SCORE % 1)
    db = sqlite3.connect(hooks.telemetry.database, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    ran = hooks.telemetry(*hooks.argv("score", SCORE % 2), env={"TELEMETRY_LOCK_TIMEOUT": "0.2"})
    db.execute("ROLLBACK")
    db.close()
    assert ran.json | {"digest": ""} == {
        "status": "buffered", "hook": "score", "version": None, "digest": "", "created": None, "live": None, "source_ref": "tests"
    }  # fmt: skip
    assert hooks.show("score")["version"] == 2


def test_options_left_out_take_their_defaults_never_the_previous_ones(hooks: Hooks) -> None:
    hooks.release("score", SCORE % 1, "--config", '{"k": 1}', "--memory", "1g", "--", "x")
    hooks.release("score", SCORE % 2)
    shown = hooks.show("score@2")
    assert (shown["config"], shown["argv"], shown["limits"]["memory"]) == ({}, [], 512 << 20)
