"""Rows against the contract: one bad row and none is stored, and every mismatch is told."""

import json

from support.hooks import MANY, SCORE, Hooks

PRINT = "sys.stdout.buffer.write({!r})"
GOOD = {"id": "a", "score": 1.5}


def printed(*rows: object) -> str:
    """A program that prints these rows; bytes as they are."""
    return PRINT.format(
        b"".join(
            (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
        )
    )


#: A row that breaks the contract → its mismatches: column, expected, got.
BROKEN: list[tuple[object, str | None, str, str]] = [
    ({"id": "a"}, "score", "a number, required", "nothing"),
    ({"id": "a", "score": None}, "score", "a number, required", "null"),
    ({"id": "a", "score": "1"}, "score", "a number", '"1"'),
    ({"id": "a", "score": True}, "score", "a number", "true"),
    (b'{"id": "a", "score": NaN}', "score", "a number", "NaN"),
    (b'{"id": "a", "score": -Infinity}', "score", "a number", "-Infinity"),
    (b'{"id": "a", "score": 1e999}', "score", "a number", "Infinity"),
    (GOOD | {"count": True}, "count", "an integer", "true"),
    (GOOD | {"count": 1.0}, "count", "an integer", "1.0"),
    (GOOD | {"count": 2**63}, "count", "an integer", str(2**63)),
    (GOOD | {"good": 1}, "good", "true or false", "1"),
    (GOOD | {"note": 1}, "note", "text", "1"),
    (b'{"id": "a", "score": 1, "note": "\\ud800"}', "note", "text", '"\\ud800"'),
    (b'{"id": "a", "score": 1, "more": [NaN]}', "more", "JSON", "[NaN]"),
    (
        GOOD | {"extra": 1},
        "extra",
        "no such column; the contract has score, note, count, good, more",
        "1",
    ),
    ({"score": 1}, "id", "the id of a subject that was given", "nothing"),
    ({"id": "b", "score": 1}, "id", "the id of a subject that was given", '"b"'),
    ({"id": ["a"], "score": 1}, "id", "the id of a subject that was given", '["a"]'),
    ([1], None, "a JSON object", "[1]"),
    (b"score: 1", None, "a JSON object", "score: 1"),
    (
        b'{"id": "a", "score": 1, "score": 2}',
        None,
        "a JSON object with each key once",
        '{"id": "a", "score": 1, "score": 2}',
    ),
    (
        b'{"id": "a", "score": 1, "note": "\xff"}',
        None,
        "UTF-8 text",
        '{"id": "a", "score": 1, "note": "\\xff"}',
    ),
]


def test_rows_that_break_the_contract(hooks: Hooks) -> None:  # requirement 23
    run = hooks.tried(printed(*(row for row, *_ in BROKEN)), code=1, contract=MANY)
    expected = [
        {"row": number, "column": column, "expected": words, "got": got}
        for number, (_, column, words, got) in enumerate(BROKEN, 1)
    ]
    assert (run["status"], run["rows"], run["mismatches"]) == ("rejected", 0, expected)
    assert hooks.rows("tried", "--history") == []


def test_a_hook_cannot_forge_what_telemetry_says(hooks: Hooks) -> None:  # requirement 24
    names = [
        "run_id",
        "hook_run",
        "created_at",
        "row_id",
        "version",
        "digest",
        "hook",
        "subject_id",
        "source_ref",
        "superseded_by",
    ]
    run = hooks.tried(printed(*(GOOD | {name: "forged"} for name in names)), code=1, contract=MANY)
    assert [found["column"] for found in run["mismatches"]] == names
    contract = hooks.contract(
        {"columns": [{"name": name, "type": "text"} for name in names]}, "forged.json"
    )
    argv = [
        "hooks",
        "release",
        "forger",
        "--script",
        str(hooks.program("x.py", SCORE % 1)),
        "--contract",
        str(contract),
        "--source-ref",
        "x",
    ]
    said = hooks.telemetry(*argv, code=2).err
    assert [name for name in names if f"{name!r} is reserved" not in said] == []


def test_one_bad_row_and_none_is_stored_and_all_mismatches_are_listed(
    hooks: Hooks,
) -> None:  # requirement 23
    rows = [
        GOOD,
        {"id": "b", "score": "x", "count": 1.5, "extra": 1},
        {"id": "c", "score": 1},
        GOOD | {"score": 2},
        {"id": "d"},
    ]
    ids = "".join(f'{{"id": "{name}"}}\n' for name in "abcd")
    run = hooks.tried(printed(*rows), code=1, stdin=ids)
    assert [(found["row"], found["column"]) for found in run["mismatches"]] == [
        (2, "count"),
        (2, "score"),
        (2, "extra"),
        (4, "id"),
        (5, "score"),
    ]
    assert run["mismatches"][3] == {
        "row": 4,
        "column": "id",
        "expected": "one row per subject",
        "got": 'another one for "a"',
    }
    assert run["mismatch_count"] == 5 and hooks.rows("tried", "--history") == []
    table = hooks.telemetry("hooks", "run", "tried", "--input", "-", stdin=ids, code=1).out
    for found in run["mismatches"]:
        assert found["expected"] in table and found["got"] in table
    assert "mismatches (5)" in table


def test_of_very_many_mismatches_the_first_are_kept_and_all_are_counted(hooks: Hooks) -> None:
    run = hooks.tried("for number in range(5000):\n    print('{}')", code=1)
    assert run["mismatch_count"] == 10_000  # no id, no score
    assert len(run["mismatches"]) == 1000


def test_what_keeps_to_the_contract_is_stored_as_it_is(hooks: Hooks) -> None:
    whole: dict[str, object] = {
        "id": "a",
        "score": 1,
        "note": "é\u2028\0'\"",
        "count": -(2**63),
        "good": False,
        "more": {"z": [1, None], "a": {}},
    }
    rows = [
        whole,
        {"id": "a", "score": -1.5e300, "note": None},
        b'  {"id":"a","score":0}  ',
        b"",
    ]
    run = hooks.tried(
        printed(*rows) + """; sys.stdout.write('{"id": "a", "score": 4}')""", contract=MANY
    )
    assert run["rows"] == 4  # the last one without a newline
    empty = {"note": None, "count": None, "good": None, "more": None}
    assert [row["values"] for row in reversed(hooks.rows("tried"))] == [
        {name: value for name, value in whole.items() if name != "id"},
        empty | {"score": -1.5e300},
        empty | {"score": 0},
        empty | {"score": 4},
    ]


def test_a_row_that_is_too_long(hooks: Hooks) -> None:
    run = hooks.tried(
        "print(json.dumps({'id': 'a', 'score': 1, 'note': 'x' * (2 << 20)}))\nprint('{\"id\": \"a\", \"score\": 1}')",
        code=1,
        contract=MANY,
    )
    assert [found["expected"] for found in run["mismatches"]] == ["a row of at most 1048576 bytes"]


def test_no_rows_is_an_answer_too(hooks: Hooks) -> None:
    assert hooks.tried("pass")["status"] == "passed"
    assert hooks.rows("tried") == []
