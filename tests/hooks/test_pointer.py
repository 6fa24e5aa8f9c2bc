"""The live pointer: rollback, promote, compare-and-set, and its history."""

import sqlite3
from pathlib import Path

import pytest
from support.hooks import SCORE, Hooks, in_parallel

from telemetry_cli.database import hooks


@pytest.fixture
def released(three: Hooks) -> Hooks:
    """The hook `score` with the releases 1, 2 and 3, which is live."""
    for number in (1, 2, 3):
        three.release("score", SCORE % number)
    return three


def live(hooks: Hooks) -> int:
    return int(hooks.telemetry("hooks", "list", "-o", "json").json[0]["live_version"])


def test_a_release_advances_live_unless_told_not_to(released: Hooks) -> None:  # requirement 9
    assert live(released) == 3
    ran = released.telemetry(*released.argv("score", SCORE % 4, "--no-promote"))
    assert (ran.json["version"], ran.json["live"]) == (4, 3)
    assert "promote score 4" in ran.err
    assert released.tables()["conventions"] == []


def test_rollback_only_repoints(released: Hooks) -> None:  # requirement 10
    released.run("score")
    before = released.tables()
    ran = released.telemetry("hooks", "rollback", "score", "-o", "json")
    assert ran.json == {"hook": "score", "from": 3, "to": 2, "live": 2}
    after = released.tables()
    assert {name for name in after if after[name] != before[name]} == {"hooks", "hook_pointer_log"}
    # It never toggles: the next one goes further back.
    assert released.telemetry("hooks", "rollback", "score", "-o", "json").json["to"] == 1
    for argv in (
        ["hooks", "rollback", "score"],
        ["hooks", "rollback", "score", "--to", "9"],
        ["hooks", "promote", "score", "9"],
        ["hooks", "rollback", "nobody"],
    ):
        released.telemetry(*argv, code=3)
    assert live(released) == 1
    assert released.telemetry("hooks", "promote", "score", "3", "-o", "json").json == {
        "hook": "score",
        "from": 1,
        "to": 3,
        "live": 3,
    }
    assert released.telemetry("hooks", "rollback", "score", "--to", "1", "-o", "json").json == {
        "hook": "score",
        "from": 3,
        "to": 1,
        "live": 1,
    }
    assert (
        "promote score 2"
        in released.telemetry("hooks", "rollback", "score", "--to", "2", code=4).err
    )


def test_a_dry_rollback_changes_nothing(released: Hooks) -> None:
    before = released.telemetry.files()
    assert released.telemetry("hooks", "rollback", "score", "--dry-run", "-o", "json").json == {
        "hook": "score",
        "from": 3,
        "to": 2,
        "live": 2,
    }
    assert released.telemetry.files() == before


def test_a_move_only_if_the_expected_one_is_live(released: Hooks) -> None:  # requirement 13
    moves = [
        ["hooks", "rollback", "score"],
        ["hooks", "promote", "score", "1"],
        released.argv("score", SCORE % 4),
    ]
    before = released.tables()
    for argv in moves:
        assert (
            "--if-live: live of score is 3, not 2"
            in released.telemetry(*argv, "--if-live", "2", code=4).err
        )
    assert released.tables() == before
    for argv, expected in zip(moves, (3, 2, 1), strict=True):
        released.telemetry(*argv, "--if-live", str(expected))
    assert live(released) == 4
    assert (
        released.telemetry(*released.argv("fresh", SCORE % 1), "--if-live", "0").json["live"] == 1
    )


def test_of_sixteen_moves_at_once_that_expect_the_same_one_wins(
    released: Hooks,
) -> None:  # requirement 13
    ran = in_parallel(released.telemetry, [["hooks", "rollback", "score", "--if-live", "3"]] * 16)
    assert sorted(one.code for one in ran) == [0] + [4] * 15
    assert live(released) == 2
    assert len(released.telemetry("hooks", "history", "score", "--pointer", "-o", "json").json) == 4


def test_what_was_live_then_who_moved_it_and_why(released: Hooks) -> None:  # requirement 14
    released.telemetry("hooks", "rollback", "score", "--message", "3 scored nonsense")
    log = released.telemetry("hooks", "history", "score", "--pointer", "-o", "json").json
    assert [(move["from_version"], move["to_version"]) for move in log] == [
        (None, 1),
        (1, 2),
        (2, 3),
        (3, 2),
    ]
    assert (
        log[-1]["reason"] == "3 scored nonsense"
        and "@" in log[-1]["actor"]
        and len(log[-1]["op_id"]) == 32
    )
    for move in log:
        shown = released.show("score", "--at", move["at"])
        assert (shown["version"], shown["reason"], shown["moved_by"]) == (
            move["to_version"],
            move["reason"],
            move["actor"],
        )
    assert (
        "no live release"
        in released.telemetry("hooks", "show", "score", "--at", "2001-01-01T00:00:00Z", code=3).err
    )
    released.telemetry("hooks", "show", "score@1", "--at", log[0]["at"], code=2)


def test_the_pointer_cannot_name_a_foreign_release_through_raw_sql(
    released: Hooks,
) -> None:  # requirement 8
    released.release("other", SCORE % 5)
    db = sqlite3.connect(released.telemetry.database, isolation_level=None)
    try:
        db.execute("PRAGMA foreign_keys = ON")
        for statement in (
            "UPDATE hooks SET live_version = 2 WHERE name = 'other'",
            "UPDATE hooks SET live_version = 9 WHERE name = 'score'",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(statement)
        db.execute("UPDATE hooks SET live_version = 1 WHERE name = 'other'")
    finally:
        db.close()


def test_a_pointer_forged_with_foreign_keys_off_is_found(released: Hooks) -> None:  # requirement 8
    released.release("other", SCORE % 5)
    db = sqlite3.connect(released.telemetry.database, isolation_level=None)
    assert hooks.forged_pointers(db) == []
    db.execute("UPDATE hooks SET live_version = 7 WHERE name = 'other'")
    db.execute("UPDATE hooks SET live_version = 1 WHERE name = 'score'")
    assert hooks.forged_pointers(db) == [
        {"hook": "other", "live_version": 7, "logged_version": 1},
        {"hook": "score", "live_version": 1, "logged_version": 3},
    ]
    db.close()
    released.telemetry("hooks", "run", "other", code=3)
    told = released.telemetry("doctor", code=None).out
    assert "hook other: version 7 is live" in told and "hook score: version 1 is live" in told
    before = released.tables()
    for argv in (
        ("promote", "other", "1"),
        ("rollback", "other"),
        ("rollback", "score"),
        ("promote", "score", "2"),
        ("rollback", "score", "--dry-run"),
    ):
        assert "telemetry db rebuild" in released.telemetry("hooks", *argv, code=4).err
    assert "telemetry db rebuild" in released.release("other", SCORE % 6, code=4).err
    assert released.tables() == before
    released.telemetry("db", "rebuild", code=None)
    assert (released.show("other")["live"], released.show("score")["live"]) == (1, 3)


def test_diff_tells_what_changed(hooks: Hooks, tmp_path: Path) -> None:
    hooks.release("score", SCORE % 1, "--message", "one")
    hooks.telemetry("hooks", "diff", "score", code=3)
    hooks.release("score", SCORE % 2, "--config", '{"k": 1}', "--message", "one")
    ran = hooks.telemetry("hooks", "diff", "score", "--exit-code", code=1)
    assert (
        "-    print(json.dumps({'id': json.loads(line)['id'], 'score': 1}))" in ran.out
        and 'config: {} → {"k":1}' in ran.out
    )
    data = hooks.telemetry("hooks", "diff", "score", "1", "2", "-o", "json").json
    assert (data["a"], data["b"], data["differs"]) == (1, 2, True)
    assert {change["field"] for change in data["changes"]} == {"config", "artifact"}
    assert (
        hooks.telemetry("hooks", "diff", "score", "2", "2", "--exit-code", "-o", "json").json[
            "differs"
        ]
        is False
    )
    hooks.telemetry("hooks", "diff", "score", "1", "3", code=3)
