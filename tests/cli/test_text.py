"""Text for a terminal: nothing in it acts on the terminal, nothing printable is changed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_cli.cli.output.text import printable

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
any_text = st.text(
    st.characters(codec=None) | st.sampled_from("\x1b\x07\x9b\x7f\0\r\n\t\udcff" + BIDI)
)


@given(any_text)
def test_nothing_acts_on_the_terminal(value: str) -> None:
    shown = printable(value)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp", "Co", "Cn"}
    assert not set(shown) & set(BIDI)
    shown.encode()


@given(any_text)
def test_what_was_kept_is_kept_and_nothing_else_is_let_through(value: str) -> None:
    kept = printable(value, keep="\n")
    assert kept.count("\n") == value.count("\n")
    assert kept.replace("\n", "") == printable(value.replace("\n", ""))


@given(any_text)
def test_made_printable_twice_is_made_printable_once(value: str) -> None:
    assert printable(printable(value)) == printable(value)


@given(st.text().filter(str.isprintable))
def test_what_prints_is_left_alone(value: str) -> None:
    assert printable(value) == value


@pytest.mark.parametrize("value", ["Ada 👩‍💻", "नमस्\u200dते", "日本語", "naïve", "[bold]x[/nope]"])
def test_scripts_and_emoji_survive(value: str) -> None:
    assert printable(value) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b", "\\x9b"),
        ("\udcff", "\\udcff"),
        ("a\u00a0b", "a b"),
        ("\U000e0041", "\\U000e0041"),
        ("\t", "\\t"),
    ],
)
def test_escapes(value: str, shown: str) -> None:
    assert printable(value) == shown
