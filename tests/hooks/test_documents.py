"""Contracts, configs and other words of a release that are wrong: exit 2, all mistakes at once, nothing stored."""

import json

import pytest
from support.hooks import SCORE, Hooks


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ({}, ["columns is needed"]),
        ({"columns": []}, ["columns"]),
        ({"columns": [{"name": "a", "type": "float"}, {"name": "b c", "type": "text", "requird": True}, {"type": "text"}], "cardinalty": "one"},
         ["columns.1.type: 'float'", "columns.2.name", "unknown key 'requird' in columns.2", "columns.3.name is needed", "unknown key 'cardinalty'"]),
        ({"columns": [{"name": "a", "type": "text", "required": "yes"}], "cardinality": "some"}, ["columns.1.required", "cardinality: 'some'"]),
        ({"columns": [{"name": "a", "type": "text"}, {"name": "A", "type": "text"}]}, ["the column 'a' comes twice"]),
        ([], ["JSON object"]),
    ],
)  # fmt: skip
def test_contracts_that_are_refused(
    hooks: Hooks, contract: object, said: list[str]
) -> None:  # requirement 11
    ran = hooks.release("score", contract=contract, code=2)
    assert [words for words in said if words not in ran.err] == [], ran.err
    assert not hooks.telemetry.base.exists()


def test_a_contract_is_toml_or_json(hooks: Hooks) -> None:
    argv = hooks.argv("score", SCORE % 1)
    place = argv.index("--contract") + 1
    for name, text in (
        (
            "c.toml",
            'cardinality = "one"\n[[columns]]\nname = "score"\ntype = "real"\nrequired = true\n',
        ),
        ("c", '{"columns": [{"type": "real", "name": "score", "required": true}]}'),
        ("other", 'columns = [{ name = "score", type = "real", required = true }]'),
    ):
        argv[place] = str(hooks.folder / name)
        (hooks.folder / name).write_text(text)
        assert hooks.telemetry(*argv).json["version"] == 1
    for name, text in (
        ("c.toml", "columns = ["),
        ("c.json", "{"),
        ("c.json", '{"columns": 1, "columns": 2}'),
    ):
        argv[place] = str(hooks.folder / name)
        (hooks.folder / name).write_text(text)
        hooks.telemetry(*argv, code=2)
    argv[place] = "/no/such/file"
    assert "--contract" in hooks.telemetry(*argv, code=2).err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--config", "[]"), "--config"), (("--config", '{"a": NaN}'), "NaN"), (("--config", "{"), "--config"), (("--config", '{"a":1,"a":2}'), "twice"),
        (("--config", json.dumps({"a": "x" * 110_000})), "--config"),
        (("--memory", "lots"), "--memory"), (("--memory", "0m"), "--memory"), (("--memory", "512"), "--memory"), (("--memory", "-1g"), "--memory"),
        (("--timeout", "soon"), "--timeout"), (("--timeout", "0s"), "--timeout"),
        (("--source-ref", " "), "source-ref"), (("--if-live", "x"), "--if-live"), (("--if-live", "0", "--no-promote"), "--if-live"),
        (("--script", "/no/such"), "--script"), (("--script", "/dev/null"), "--script"), (("--script", ""), "--script"),
        (("--", "x" * 60_000, "x" * 60_000), "args"),
    ],
)  # fmt: skip
def test_options_that_are_refused(hooks: Hooks, options: tuple[str, ...], said: str) -> None:
    assert said in hooks.telemetry(*hooks.argv("score", SCORE % 1), *options, code=2).err
    assert not hooks.telemetry.base.exists()


def test_what_is_no_program_is_refused(hooks: Hooks) -> None:
    for content, mode in ((b"", 0o755), (b"just text", 0o644)):
        argv = hooks.argv("score", SCORE % 1)
        path = hooks.folder / "odd"
        path.write_bytes(content)
        path.chmod(mode)
        argv[argv.index("--script") + 1] = str(path)
        assert "--script" in hooks.telemetry(*argv, code=2).err
    assert "--script" in hooks.telemetry("hooks", "release", "score", code=2).err
    assert not hooks.telemetry.base.exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["hooks", "show", "score@x"], ["hooks", "show", "score@0"], ["hooks", "show", "Score"], ["hooks", "rollback", "score", "--to", "x"],
        ["hooks", "promote", "score", "-1"], ["hooks", "diff", "score", "x"], ["hooks", "show", "score", "--at", "soon"], ["hooks", "history", "sco re"],
        ["hooks", "run", "score", "--retries", "x"], ["hooks", "run", "score", "--max-memory", "x"], ["hooks", "run", "score", "score"], ["hooks", "run"],
        ["hooks", "run", "score", "--run-key", ""], ["hooks", "run", "score", "--at-version", "0"], ["hooks", "logs", "x", "--attempt", "y"],
        ["conventions", "deploy", "/no/such.toml"], ["conventions", "show", ""],
    ],
    ids=" ".join,
)  # fmt: skip
def test_words_that_are_refused(hooks: Hooks, argv: list[str]) -> None:
    hooks.telemetry(*argv, code=2)
    assert not hooks.telemetry.base.exists()
