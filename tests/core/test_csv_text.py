"""Cells of CSV: harmless on the way out, and on the way in the text again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry_cli.core.csv_text import neutralise, restore

texts = st.text(st.sampled_from("'\\=+-@\t\r\nxuU01bad8f\x1b\u202e\x85 {[é\u00a0")) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)


@given(texts)
@example("'--march' is no option")
@example("C:\\reports\\x0d")
@example("'\\")
def test_cell_is_harmless_and_comes_back(text: str) -> None:
    cell = neutralise(text)
    assert restore(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert all(
        char.isprintable() or char in "\n\t\u00a0\u2007\u202f\u3000\u200c\u200d" for char in cell
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", "plain"),
        ("C:\\reports\\new", "C:\\reports\\new"),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
        ('{"a":"\\u001b"}', '{"a":"\\u001b"}'),
        ("=1+1", "'=1+1"),
        ("a\rb", "a\\x0db"),
        ("\x1b[31m", "\\x1b[31m"),
        ("literal \\x1b", "'\\literal \\\\x1b"),
        ("'--march", "'\\'--march"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_ordinary_text_stays_as_it_is(text: str, cell: str) -> None:
    assert neutralise(text) == cell


@pytest.mark.parametrize(
    "cell", ["b'\\xff'", "\\x00", "\\ud800", "\\x41", "\\U00110000", "\\x1B", "{\\x1b", "\\r"]
)
def test_escape_that_no_export_writes_means_itself(cell: str) -> None:
    assert restore(cell) == cell
