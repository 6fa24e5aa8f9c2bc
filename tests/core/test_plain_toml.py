"""The plain reader of TOML: what it understands, it understands as tomllib does; the rest it leaves alone."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry_cli.core.config import parse

ALPHABET = st.sampled_from(list("ab1 0_-=.\"'\\#[]\n\r\t\0é\u2028\x7f{},:+eTZn"))
WORDS = st.sampled_from(
    [
        *[
            "a",
            "b",
            '"a"',
            "'b c'",
            " = ",
            "=",
            '"text"',
            "'text'",
            "1",
            "01",
            "1.5",
            "1.",
            ".5",
            "true",
            "false",
            "nan",
            "[",
            "]",
            "[t]",
            "[[t]]",
            "#",
            "\\",
            "1_000",
            "0x1",
            "1e3",
            "2026-01-01",
            "a.b",
            "é",
            "{a=1}",
            "[1]",
        ],
        *("9" * 20, "\n", "\r", "\r\n", "\t", '"""'),
    ]
)


@settings(max_examples=3000, deadline=None)
@given(st.text(ALPHABET, max_size=30) | st.lists(WORDS, max_size=12).map("".join))
def test_what_it_understands_it_understands_as_tomllib_does(text: str) -> None:
    document = parse(text)
    if document is not None:
        assert document == tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("", {}),
        ("# a comment\n\nlock_timeout = 0.5\n", {"lock_timeout": 0.5}),
        (
            'agent_name = "nightly"\r\ndisabled = true\r\n',
            {"agent_name": "nightly", "disabled": True},
        ),
        (
            "[url_hosts]\n\"git.example.org\" = 'gitlab'\n",
            {"url_hosts": {"git.example.org": "gitlab"}},
        ),
        ("number = 12", {"number": 12}),
    ],
)
def test_a_usual_file_is_plain(text: str, document: dict[str, object]) -> None:
    assert parse(text) == document


@pytest.mark.parametrize(
    "text",
    [
        "a = [1]",
        'a = "\\n"',
        "a.b = 1",
        "[a.b]",
        "a = 1 # why",
        'a = """\nx"""',
        "a",
        "a = ",
        "= 1",
        "a = 1\na = 2",
        "[t]\n[t]",
    ],
)
def test_the_rest_is_left_to_tomllib(text: str) -> None:
    assert parse(text) is None
