"""Hook runs: which release runs, on what, and what is recorded of it."""

import itertools
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
from support import PROGRAM, wait_for
from support.hooks import MANY, SCORE, Hooks, in_parallel

SLOW = "open({0!r}, 'w').close()\nwhile not os.path.exists({1!r}):\n    time.sleep(0.01)\n"


def slow(hooks: Hooks) -> tuple[str, Path, Path]:
    """A program that says that it has begun, and waits for a file before it goes on."""
    begun, go = hooks.folder / "begun", hooks.folder / "go"
    return SLOW.format(str(begun), str(go)) + SCORE % 1, begun, go


def test_a_run_is_recorded_complete(three: Hooks) -> None:  # requirement 17
    release = three.release(
        "score", "print('careful', file=sys.stderr)\ntime.sleep(0.2)\n" + SCORE % 1
    )
    run = three.run("score")
    assert run | {"id": "", "started_at": "", "finished_at": "", "duration_ms": 0, "input_digest": "", "actor": "", "host": ""} == {
        "id": "", "hook": "score", "version": 1, "status": "passed", "failure_kind": None, "exit_code": 0, "started_at": "", "finished_at": "",
        "duration_ms": 0, "attempts": 1, "oom_retries": 0, "oom_evidence": None, "run_key": None, "forced": False, "convention": None, "input_digest": "",
        "subjects": 3, "rows": 3, "mismatch_count": 0, "has_logs": True, "actor": "", "host": "", "mismatches": [], "existing": False,
    }  # fmt: skip
    assert (
        run["duration_ms"] >= 200
        and run["started_at"] < run["finished_at"]
        and len(run["input_digest"]) == 64
    )
    (stored,) = three.runs("score")
    assert stored == {
        name: value for name, value in run.items() if name not in ("mismatches", "existing")
    }
    # requirement 18
    for row in three.rows("score", "--explain"):
        assert (
            row["hook_run"],
            row["version"],
            row["digest"],
            row["source_ref"],
            row["config"],
        ) == (run["id"], 1, release["digest"], "tests", {})
        traced = three.telemetry("provenance", str(row["row_id"]), "-o", "json").json
        assert (
            traced["run"]["id"] == run["id"]
            and traced["release"]["digest"] == release["digest"]
            and traced["release"]["config"] == {}
        )
        assert traced["release"]["source_ref"] == "tests" and traced["values"] == row["values"]


def test_every_read_path_leads_to_the_release(three: Hooks) -> None:  # requirement 18
    digest = three.release("score", SCORE % 1, "--config", '{"k": 1}')["digest"]
    run = three.run("score")["id"]
    for options in (("-o", "table"), ("-o", "csv"), ("-o", "jsonl"), ("--explain",)):
        out = three.telemetry("features", "query", "score", *options).out
        assert run in out and digest in out and "tests" in out and "run-1" in out
    assert '{"k":1}' in three.telemetry("features", "query", "score", "--explain").out
    out = three.telemetry("provenance", "1").out
    assert run in out and digest in out and '{"k":1}' in out
    card, data = three.telemetry("run", "show", "run-1").out, three.telemetry.run("run-1")
    assert "features" in card and "score" in card
    assert [
        (row["hook"], row["hook_run"], row["digest"], row["version"], row["values"]["score"])
        for row in data["features"]
    ] == [("score", run, digest, 1, 1)]


def test_the_filters_of_query_choose_the_runs(three: Hooks) -> None:
    three.telemetry.start("--event-id", "other", "--job-type", "special", "--no-git")
    three.release("score", SCORE % 1)
    for options, expected in (
        (("--job-type", "special"), ["other"]),
        (("--run", "run-2"), ["run-2"]),
        (("--where", "event_id > 'run-1'"), ["run-2", "run-3"]),
        ((), ["other", "run-1", "run-2", "run-3"]),
    ):
        run = three.run("score", *options)
        assert (
            sorted(row["subject_id"] for row in three.rows("score") if row["hook_run"] == run["id"])
            == expected
        )
    three.telemetry("hooks", "run", "score", "--run", "nobody", code=3)
    assert (
        "--run"
        in three.telemetry("hooks", "run", "score", "--run", "run-1", "--job-type", "x", code=2).err
    )


def test_a_hook_is_given_runs_as_query_prints_them(three: Hooks) -> None:
    body = "for line in sys.stdin:\n    row = json.loads(line)\n    print(json.dumps({'id': row['id'], 'score': 1, 'more': row}))\n"
    three.release("score", body)
    three.run("score", "--run", "run-1")
    (row,) = three.rows("score")
    expected = three.telemetry("query", "--where", "event_id = 'run-1'", "-o", "json").json[0]
    assert row["values"]["more"] == expected | {"id": "run-1"}


def test_records_of_a_file_are_subjects_too(hooks: Hooks, tmp_path: Path) -> None:
    hooks.release("score", SCORE % 1)
    records = tmp_path / "records.jsonl"
    records.write_text('{"id": "a", "x": 1}\n\n{"id": 7}')
    assert hooks.run("score", "--input", str(records))["subjects"] == 2
    assert sorted(row["subject_id"] for row in hooks.rows("score")) == ["7", "a"]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ('{"id": "a"}\n{"no": "id"}\n[]\nx\n{"id": ""}\n{"id": null}\n{"id": true}', [f"line {number}" for number in range(2, 8)]),
        ('{"id": "a"}\n{"id": "b"}\n{"id": "a"}', ["'a' comes twice"]), ('{"id": "a", "x": NaN}', ["NaN"]), (b'{"id": "\xff"}', ["line 1"]),
        *((f'{{"id": "a"}}\n{{"id": "{id_}"}}', ["line 2", "id"]) for id_ in ("\\ud800", "a\\u001b[1m", "a\\nb", " \\u00a0", "\\u0085", "\\u2028x")),
    ],
)  # fmt: skip
def test_records_that_are_none_are_listed_and_nothing_is_run(
    hooks: Hooks, records: str | bytes, said: list[str]
) -> None:
    hooks.release("score", SCORE % 1)
    ran = hooks.telemetry("hooks", "run", "score", "--input", "-", stdin=records, code=2)
    assert all(words in ran.err for words in said)
    assert hooks.runs() == []


def test_ids_that_look_like_secrets_are_refused_by_their_lines(hooks: Hooks) -> None:
    hooks.release("score", SCORE % 1)
    records = (
        '{"id": "a"}\n{"id": "ghp_'
        + "a1B2" * 9
        + '"}\n{"id": "ghp_'
        + "c3D4" * 9
        + '"}\n{"id": "hunter2hunter2"}\n'
    )
    ran = hooks.telemetry(
        "hooks",
        "run",
        "score",
        "--input",
        "-",
        stdin=records,
        code=2,
        env={"DEPLOY_PASSWORD": "hunter2hunter2"},
    )
    assert (
        all(f"line {number}: its id looks like a secret" in ran.err for number in (2, 3, 4))
        and "ghp_" not in ran.err
    )
    assert hooks.runs() == []


def test_the_stored_copy_is_executed_never_the_path(hooks: Hooks) -> None:
    hooks.release("score", "import shutil\n" + SCORE % 1)
    for path in hooks.folder.glob("*.py"):
        path.write_text("#!/bin/sh\nexit 1\n")
    assert hooks.run("score", "--input", "-", stdin='{"id": "a"}')["status"] == "passed"


def test_arguments_config_and_memory_arrive(hooks: Hooks) -> None:
    told = "[sys.argv[1:], json.loads(os.environ['TELEMETRY_HOOK_CONFIG']), os.environ['TELEMETRY_HOOK_MEMORY']]"
    body = f"print(json.dumps({{'id': 'a', 'score': 1, 'more': {told}}}))"
    run = hooks.tried(
        body, limits=("--config", '{"k": [1, null]}', "--memory", "64m", "--", "-x", "y z")
    )
    assert run["status"] == "passed"
    assert hooks.rows("tried")[0]["values"]["more"] == [
        ["-x", "y z"],
        {"k": [1, None]},
        str(64 << 20),
    ]


def test_without_a_live_release_nothing_is_executed(three: Hooks) -> None:  # requirement 16
    mark = three.folder / "mark"
    three.release("good", f"open({str(mark)!r}, 'w')\n" + SCORE % 1)
    three.release("score", SCORE % 1, "--no-promote")
    for argv in (["good", "score"], ["good", "nobody"], ["good", "--at-version", "2"]):
        three.telemetry("hooks", "run", *argv, code=3)
    assert not mark.exists()
    assert three.runs() == []
    assert three.run("score", "--at-version", "1")["status"] == "passed"


def test_live_is_resolved_once_at_the_start(three: Hooks) -> None:  # requirement 15
    body, begun, go = slow(three)
    three.release("score", body)
    three.release("other", SCORE % 1)
    with three.telemetry.popen(
        "hooks", "run", "score", "other", "-o", "json", stdout=subprocess.PIPE
    ) as process:
        wait_for(begun.exists)
        three.release("score", SCORE % 2)
        three.release("other", SCORE % 2)
        three.telemetry("hooks", "rollback", "other")
        three.telemetry("hooks", "promote", "other", "2")
        go.touch()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [(run["hook"], run["version"], run["status"]) for run in three.runs()] == [
        ("other", 1, "passed"),
        ("score", 1, "passed"),
    ]
    assert b'"version": 1' in out
    assert {row["values"]["score"] for row in three.rows("score")} == {1}


def test_hooks_are_independent_and_run_one_after_another(three: Hooks) -> None:  # requirement 19
    three.release("first", "time.sleep(1)\n" + SCORE % 1)
    three.release(
        "second",
        "time.sleep(1)\nhold = []\nwhile True:\n    hold.append(bytearray(1 << 20))\n",
        "--memory",
        "48m",
    )
    three.release("third", "time.sleep(1)\n" + SCORE % 3)
    runs = three.run("first", "second", "third", "--retries", "0", code=5)
    assert [(run["hook"], run["status"], run["failure_kind"]) for run in runs] == [
        ("first", "passed", None), ("second", "errored", "oom"), ("third", "passed", None)
    ]  # fmt: skip
    for earlier, later in itertools.pairwise(runs):
        assert earlier["finished_at"] <= later["started_at"]
        assert earlier["duration_ms"] >= 1000
    assert len(three.rows("first")) == len(three.rows("third")) == 3


def test_a_hook_holds_no_lock_and_may_call_telemetry_itself(three: Hooks) -> None:  # requirement 26
    call = [str(PROGRAM), "run", "event", "from-hook", "--run", "run-1"]
    body = f"import subprocess\nsubprocess.run({call!r}, check=True, stdin=subprocess.DEVNULL, stdout=2)\n"
    waiting, begun, go = slow(three)
    three.release("score", body + waiting)
    with three.telemetry.popen("hooks", "run", "score", stdout=subprocess.DEVNULL) as process:
        wait_for(begun.exists)
        ran = three.telemetry.start_ran(
            "--no-git", "-o", "json", env={"TELEMETRY_LOCK_TIMEOUT": "1"}
        )
        assert ran.json["status"] == "created"
        go.touch()
        assert process.wait(60) == 0
    assert [event["event_type"] for event in three.telemetry.run("run-1")["events"]] == [
        "from-hook"
    ]


def test_a_hook_reaches_the_records_that_telemetry_was_called_with(
    three: Hooks, tmp_path: Path
) -> None:
    body = f"import subprocess\nsubprocess.run([{str(PROGRAM)!r}, 'db', 'path'], stdin=subprocess.DEVNULL, stdout=2)\n"
    argv = three.argv("score", body + SCORE % 1)
    other = ["--base-dir", str(tmp_path / "other")]
    three.telemetry(*other, *argv)
    run = three.telemetry(*other, "hooks", "run", "score", "-o", "json").json["hook_runs"][0]["id"]
    assert three.telemetry(*other, "hooks", "logs", run).line == str(
        tmp_path / "other" / "db" / "telemetry.sqlite"
    )


def test_what_cannot_start_is_found_before_anything_runs(three: Hooks) -> None:  # requirement 19
    three.release("first", SCORE % 1)
    three.release("second", SCORE % 2)
    (three.telemetry.base / "blobs" / three.show("second")["artifact"]["sha256"]).unlink()
    ran = three.telemetry("hooks", "run", "first", "second", code=None)
    assert ran.code not in (0, 1) and three.runs() == []


def test_a_hook_that_cannot_begin_does_not_lose_its_siblings(
    three: Hooks,
) -> None:  # requirement 19
    # While the first runs, another process takes the key of the second for other input.
    argv = [PROGRAM, "hooks", "run", "second", "--run", "run-1", "--run-key", "k"]
    three.release(
        "first",
        f"import subprocess\nsubprocess.run({list(map(str, argv))!r}, check=True, stdout=2)\n"
        + SCORE % 1,
    )
    three.release("second", SCORE % 2)
    three.release("third", SCORE % 3)
    ran = three.telemetry(
        "hooks", "run", "first", "second", "third", "--run-key", "k", "-o", "json", code=4
    )
    assert [(run["hook"], run["status"]) for run in ran.json["hook_runs"]] == [
        ("first", "passed"),
        ("third", "passed"),
    ]
    assert "second: --run-key" in ran.err


def test_a_buffered_run_says_who_and_what(three: Hooks) -> None:
    body, begun, go = slow(three)
    three.release("score", body)
    env = {"TELEMETRY_LOCK_TIMEOUT": "0.5"}
    with three.telemetry.popen(
        "hooks", "run", "score", "-o", "json", env=env, stdout=subprocess.PIPE
    ) as process:
        wait_for(begun.exists)
        db = sqlite3.connect(three.telemetry.database, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        go.touch()
        out = process.communicate(timeout=60)[0]
        db.execute("ROLLBACK")
        db.close()
    (told,) = json.loads(out)["hook_runs"]
    (stored,) = three.runs("score")
    assert {name: told[name] for name in stored} == stored


# Skipped, keyed


def test_nothing_is_run_again_when_nothing_has_changed(three: Hooks) -> None:
    three.release("score", SCORE % 1)
    first = three.run("score")
    again = three.run("score")
    assert (again["status"], again["id"], again["existing"]) == ("skipped", first["id"], True)
    forced = three.run("score", "--force")
    assert (forced["status"], forced["forced"]) == ("passed", True) and forced["id"] != first["id"]
    three.telemetry("run", "end", "run-1")
    assert three.run("score")["status"] == "passed"  # other input
    three.release("score", SCORE % 2)
    assert three.run("score")["status"] == "passed"  # another release
    assert len(three.runs()) == 4


def test_a_failed_run_is_not_skipped(hooks: Hooks) -> None:
    assert [hooks.tried("sys.exit(3)", code=1)["status"] for _ in range(2)] == ["failed", "failed"]
    assert hooks.runs()[0]["exit_code"] == 3


def test_the_same_run_key_is_the_same_run(three: Hooks) -> None:  # requirement 21
    three.release("score", SCORE % 1)
    first = three.run("score", "--run-key", "build-7")
    again = three.run("score", "--run-key", "build-7")
    assert (again["id"], again["existing"], again["status"]) == (first["id"], True, "passed")
    before = three.tables()
    for options in (("--force",), ("--run", "run-1")):
        ran = three.telemetry("hooks", "run", "score", "--run-key", "build-7", *options, code=4)
        assert "build-7" in ran.err
    assert three.tables() == before
    assert three.run("score", "--run-key", "build-8", "--force")["existing"] is False
    assert len(three.runs()) == 2


def test_a_key_of_a_run_that_was_skipped_stands_for_what_stood_for_it(
    three: Hooks,
) -> None:  # requirement 21
    three.release("score", SCORE % 1)
    first = three.run("score")["id"]
    assert three.run("score", "--run-key", "k")["status"] == "skipped"
    before = three.tables()
    for options in (("--force",), ("--run", "run-1")):
        assert (
            "k stands for"
            in three.telemetry("hooks", "run", "score", "--run-key", "k", *options, code=4).err
        )
    again = three.run("score", "--run-key", "k")
    assert (again["id"], again["existing"], again["status"]) == (first, True, "passed")
    assert three.tables() == before
    three.telemetry("db", "rebuild")
    assert three.tables() == before


def test_sixteen_runs_at_once_with_one_key_are_one(three: Hooks) -> None:  # requirement 21
    three.release("score", "time.sleep(0.5)\n" + SCORE % 1)
    ran = in_parallel(
        three.telemetry, [["hooks", "run", "score", "--run-key", "k", "-o", "json"]] * 16
    )
    assert [one.code for one in ran] == [0] * 16
    assert sorted(one.json["hook_runs"][0]["existing"] for one in ran) == [False] + [True] * 15
    assert len(three.runs()) == 1


@pytest.mark.parametrize("body", ["sys.exit(1)", "os.kill(os.getpid(), 9)"])
def test_a_key_whose_run_came_to_nothing_may_be_run_again(
    hooks: Hooks, body: str
) -> None:  # requirement 21
    hooks.release("score", body)
    hooks.run("score", "--run-key", "k", "--input", "-", stdin='{"id": "a"}', code=None)
    hooks.release("score", SCORE % 1)
    assert (
        hooks.run("score", "--run-key", "k", "--input", "-", stdin='{"id": "a"}')["status"]
        == "passed"
    )
    assert (
        hooks.run("score", "--run-key", "k", "--input", "-", stdin='{"id": "a"}')["existing"]
        is True
    )


def test_a_rejected_run_keeps_its_key(hooks: Hooks) -> None:
    hooks.release("score", "print('{}')")
    for existing in (False, True):
        run = hooks.run("score", "--run-key", "k", "--input", "-", stdin='{"id": "a"}', code=1)
        assert (run["status"], run["existing"]) == ("rejected", existing)


# Supersession


def test_newer_rows_supersede_older_ones_of_the_subjects_that_were_given(
    three: Hooks,
) -> None:  # requirement 25
    three.release("score", SCORE % 1)
    three.run("score")
    body = "for line in sys.stdin:\n    id = json.loads(line)['id']\n    id != 'run-2' and print(json.dumps({'id': id, 'score': 2}))\n"
    three.release("score", body)
    second = three.run("score", "--where", "event_id <> 'run-3'")["id"]
    assert {row["subject_id"]: row["values"]["score"] for row in three.rows("score")} == {
        "run-1": 2,
        "run-3": 1,
    }
    history = three.rows("score", "--history")
    assert sorted((row["subject_id"], row["values"]["score"], row["superseded_by"]) for row in history) == [
        ("run-1", 1, second), ("run-1", 2, None), ("run-2", 1, second), ("run-3", 1, None)
    ]  # fmt: skip
    # One that does not pass supersedes nothing.
    three.release("score", "print('{}')")
    three.run("score", code=1)
    assert len(three.rows("score")) == 2
    assert [row["values"]["score"] for row in three.telemetry.run("run-1")["features"]] == [2]


def test_a_run_that_finishes_late_does_not_supersede_one_begun_later(
    three: Hooks,
) -> None:  # requirement 25
    begun, go = three.folder / "begun", three.folder / "go"
    three.release("score", SLOW.format(str(begun), str(go)) + SCORE % 1)
    late = three.telemetry.popen("hooks", "run", "score")
    wait_for(begun.exists)
    three.release("score", SCORE % 2)
    second = three.run("score", "--run", "run-1")["id"]
    # Its silence about a subject that it was given counts too.
    three.release("score", "")
    third = three.run("score", "--run", "run-2")["id"]
    go.touch()
    assert late.wait(60) == 0
    assert {row["subject_id"]: row["values"]["score"] for row in three.rows("score")} == {
        "run-1": 2,
        "run-3": 1,
    }
    history = three.rows("score", "--history")
    assert sorted((row["subject_id"], row["values"]["score"], row["superseded_by"] or "") for row in history) == [
        ("run-1", 1, second), ("run-1", 2, ""), ("run-2", 1, third), ("run-3", 1, "")
    ]  # fmt: skip
    three.telemetry("db", "rebuild")
    assert three.rows("score", "--history") == history


@pytest.mark.parametrize("newer", [SCORE % 2, ""], ids=["rows", "silence"])
def test_a_run_overtaken_by_another_release_stands_for_none(
    three: Hooks, newer: str
) -> None:  # requirement 25
    three.release("score", SCORE % 1)
    first = three.run("score")["id"]
    three.release("score", newer)
    three.run("score", "--run", "run-2")
    three.telemetry("hooks", "rollback", "score")
    again = three.run("score")
    assert (again["status"], again["existing"]) == ("passed", False) and again["id"] != first
    assert {row["subject_id"]: row["values"]["score"] for row in three.rows("score")} == {
        "run-1": 1,
        "run-2": 1,
        "run-3": 1,
    }
    assert three.run("score")["status"] == "skipped"


def test_pruned_runs_take_their_rows_along_and_records_of_the_same_id_keep_theirs(
    hooks: Hooks,
) -> None:
    hooks.telemetry.start("--event-id", "old", "--start-time", "2020-01-01T00:00:00Z", "--no-git")
    hooks.telemetry("run", "end", "old")
    hooks.release("score", SCORE % 1)
    hooks.run("score")
    record = hooks.run("score", "--input", "-", stdin='{"id": "old"}')["id"]
    assert hooks.telemetry("db", "prune", "--older-than", "30d", "--json").json["features"] == 1
    assert [row["hook_run"] for row in hooks.rows("score", "--history")] == [record]


def test_rows_of_another_hook_are_left_alone(three: Hooks) -> None:
    three.release("score", SCORE % 1)
    three.release("other", SCORE % 2)
    three.run("score", "other")
    three.run("other", "--force")
    assert len(three.rows("score")) == 3 and len(three.rows("other", "--history")) == 6


def test_many_rows_about_a_subject(hooks: Hooks) -> None:
    body = "for number in range(3):\n    print(json.dumps({'id': 'a', 'score': number}))\n"
    assert hooks.tried(body, contract=MANY)["rows"] == 3
    assert [row["values"]["score"] for row in hooks.rows("tried")] == [2, 1, 0]


# Features


def test_an_expression_over_values(hooks: Hooks) -> None:
    values = "'score': r['n'], 'good': r['n'] > 1, 'note': \"it's\", 'more': {'k': r['n']}"
    body = f"for line in sys.stdin:\n    r = json.loads(line)\n    print(json.dumps({{'id': r['id'], {values}}}))\n"
    hooks.tried(body, stdin="".join(f'{{"id": "s{n}", "n": {n}}}\n' for n in range(4)))
    for expression, expected in (
        ("score >= 2", {"s2", "s3"}),
        ("good and version = 1", {"s2", "s3"}),
        ("more->>'k' = 0 or subject_id = 's1'", {"s0", "s1"}),
        ("note = 'it''s' and count is null", {"s0", "s1", "s2", "s3"}),
        ("hook = 'tried' and score > 100", set()),
    ):
        assert {
            row["subject_id"] for row in hooks.rows("tried", "--where", expression)
        } == expected, expression
    for expression, code in (
        ("nonsense > 1", 2),
        ("score >", 2),
        ("", 2),
        ("score > 1; delete from features", 2),
        ("random() > 0", 6),
    ):
        hooks.telemetry("features", "query", "tried", "--where", expression, code=code)
    hooks.telemetry("features", "query", "nobody", code=3)
    hooks.telemetry("provenance", "999", code=3)
    hooks.telemetry("provenance", "x", code=2)


def test_rows_about_one_run(three: Hooks) -> None:
    three.release("score", SCORE % 1)
    three.run("score")
    assert [row["subject_id"] for row in three.rows("score", "--run", "run-2")] == ["run-2"]
    three.telemetry("features", "query", "score", "--run", "nobody", code=3)


def test_a_base_without_anything(hooks: Hooks) -> None:
    for argv in (["hooks", "list"], ["hooks", "runs"], ["conventions", "list"]):
        assert hooks.telemetry(*argv, "-o", "json").json == []
    for argv in (["hooks", "show", "score"], ["hooks", "history", "score"], ["features", "query", "score"], ["provenance", "1"], ["hooks", "logs", "abcd"],
                 ["hooks", "run", "score"], ["conventions", "show", "some"], ["conventions", "run", "some"], ["hooks", "runs", "score"]):  # fmt: skip
        hooks.telemetry(*argv, code=3)
    assert not hooks.telemetry.base.exists()


def test_disabled_records_nothing_and_runs_nothing(three: Hooks) -> None:
    three.release("score", SCORE % 1)
    before = three.telemetry.files()
    for argv in (
        three.argv("score", SCORE % 2),
        ["hooks", "run", "score"],
        ["hooks", "rollback", "score"],
        ["conventions", "deploy", "x.toml"],
    ):
        ran = three.telemetry(*argv, env={"TELEMETRY_DISABLED": "1"})
        assert (ran.out, ran.err) == ("", "")
    assert three.telemetry.files() == before


def test_never_fail_means_a_hook_that_failed_too(hooks: Hooks) -> None:
    hooks.release("score", "sys.exit(3)")
    ran = hooks.telemetry(
        "hooks",
        "run",
        "score",
        "--input",
        "-",
        "-o",
        "json",
        stdin='{"id": "a"}',
        env={"TELEMETRY_NEVER_FAIL": "1"},
    )
    assert ran.json["hook_runs"][0]["status"] == "failed" and "score@1: failed" in ran.err
    hooks.telemetry("hooks", "run", "nobody", env={"TELEMETRY_NEVER_FAIL": "1"})
