"""The text side of the sandbox: tokens, quotes that become identifiers, expressions, and where a caret stands."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database.sandbox import (
    expression,
    identifiers_only,
    pointed_at,
    tokens,
)

_PIECES = st.sampled_from(
    [
        "'",
        "''",
        "--",
        "\n",
        "/*",
        "*/",
        "`",
        "[",
        "]",
        "(",
        ")",
        ";",
        " ",
        "\t",
        "a",
        "b1",
        "1",
        "2.5",
        "x",
        "->>",
        "||",
        "é",
        "=",
        ",",
        "$",
        "_",
        "-",
        "/",
        "*",
        "\\",
    ]
)
_SQL = st.lists(st.one_of(_PIECES, st.just('"'), st.text(max_size=3))).map("".join)
_UNQUOTED = st.lists(_PIECES).map("".join)
_NAME = st.text(
    alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
).filter(
    lambda name: name.lower() not in ("true", "false")
)  # SQLite itself takes these for constants


@pytest.fixture(scope="module")
def memory() -> Iterator[sqlite3.Connection]:
    """A database with one row whose columns have odd names."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute('CREATE TABLE t (a INTEGER, "b c" TEXT, "d""e" TEXT, "f`g" TEXT, "[h" TEXT)')
    db.execute("INSERT INTO t VALUES (1, 'two', 'three', 'four', 'five')")
    yield db
    db.close()


def _meaning(db: sqlite3.Connection, text: str) -> object:
    """What a statement answers, or how it fails."""
    try:
        return db.execute(text).fetchall()
    except sqlite3.Error as error:
        return str(error)
    except sqlite3.Warning as error:  # several statements, on Python 3.11
        return str(error)


# Tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t", []),
        ("a>=5", [(0, "a"), (1, ">"), (2, "="), (3, "5")]),
        ("a 'b c' d", [(0, "a"), (2, "'b c'"), (8, "d")]),
        ("'it''s' x", [(0, "'it''s'"), (8, "x")]),
        ("'' ''''", [(0, "''"), (3, "''''")]),
        ('"a""b"c', [(0, '"a""b"'), (6, "c")]),
        ("`a``b`", [(0, "`a``b`")]),
        ("[a]]b", [(0, "[a]"), (3, "]"), (4, "b")]),
        ("[a\"b'c]", [(0, "[a\"b'c]")]),
        ("a -- b 'c\nd", [(0, "a"), (10, "d")]),
        ("a--b", [(0, "a")]),
        ("a /* ' \" */ b", [(0, "a"), (12, "b")]),
        ("/*/ x */ b", [(9, "b")]),
        ("a /* b", [(0, "a"), (2, "/* b")]),
        ("a /* b */", [(0, "a")]),
        ("'open -- x", [(0, "'open -- x")]),
        ("[open", [(0, "[open")]),
        ("'--' '/*'", [(0, "'--'"), (5, "'/*'")]),
        ("naïve_1 $x", [(0, "naïve_1"), (8, "$x")]),
        ("a - - b", [(0, "a"), (2, "-"), (4, "-"), (6, "b")]),
    ],
)
def test_tokens(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(tokens(text)) == expected


@given(_SQL)
def test_tokens_stand_where_they_say(text: str) -> None:
    end = 0
    for offset, token in tokens(text):
        assert token
        assert offset >= end
        assert text.startswith(token, offset)
        end = offset + len(token)
    assert end <= len(text)


# Double quotes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a" = 1', "`a` = 1"),
        ('"b c"', "`b c`"),
        ('"d""e"', '`d"e`'),
        ('"f`g"', "`f``g`"),
        ('""', "``"),
        ("'\"a\"'", "'\"a\"'"),
        ("'it''s \"a\"' \"b\"", "'it''s \"a\"' `b`"),
        ('-- "a"\n"b"', '-- "a"\n`b`'),
        ('/* "a" */ "b"', '/* "a" */ `b`'),
        ('[x"y"] `"z"`', '[x"y"] `"z"`'),
        ('"a', '"a'),
        ('"a""', '"a""'),
        ('"', '"'),
        ('"""', '"""'),
        ("", ""),
    ],
)
def test_identifiers_only(text: str, expected: str) -> None:
    assert identifiers_only(text) == expected


@given(_UNQUOTED)
def test_without_double_quotes_nothing_is_rewritten(text: str) -> None:
    assert identifiers_only(text) == text


@given(_SQL)
def test_rewriting_twice_is_rewriting_once(text: str) -> None:
    once = identifiers_only(text)
    assert identifiers_only(once) == once


@given(_NAME)
def test_a_name_stays_the_same_name(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    db = sqlite3.connect(":memory:")
    try:
        assert db.execute(identifiers_only(f"SELECT 7 AS {quoted}")).description[0][0] == name
        assert _meaning(
            db, identifiers_only(f"SELECT {quoted} FROM (SELECT 7 AS {quoted})")
        ) == _meaning(db, f"SELECT {quoted} FROM (SELECT 7 AS {quoted})")
    finally:
        db.close()


@given(_NAME, st.sampled_from(["'{}'", "'it''s {}'", "1 -- {}\n", "1 /* {} */"]))
def test_what_is_text_or_comment_stays_as_it_is(name: str, form: str) -> None:
    inner = '"' + name.replace("'", "").replace("*/", "").replace("\n", "") + '"'
    text = form.replace("{}", inner)
    assert identifiers_only(text) == text


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "`b c`",
                '[d"e]',
                "'x \"a\" y'",
                "1",
                "+",
                "||",
                '-- "c"\n',
                '/* "c" */',
                "(",
                ")",
                ",",
                " ",
            ]
        )
    ).map(" ".join)
)
def test_a_statement_without_double_quoted_names_means_the_same(
    memory: sqlite3.Connection, text: str
) -> None:
    statement = f"SELECT {text} FROM t"
    assert _meaning(memory, identifiers_only(statement)) == _meaning(memory, statement)


@given(
    st.lists(
        st.sampled_from(['"a"', '"b c"', '"d""e"', '"f`g"', '"[h"', "'\"a\"'", "a"]), min_size=1
    ).map(", ".join)
)
def test_names_that_are_right_mean_the_same(memory: sqlite3.Connection, text: str) -> None:
    statement = f"SELECT {text} FROM t"
    rewritten = identifiers_only(statement)
    assert isinstance(_meaning(memory, statement), list)
    assert _meaning(memory, rewritten) == _meaning(memory, statement)


@pytest.mark.parametrize("name", ['"nope"', '"A "', '"d""""e"'])
def test_names_that_are_wrong_are_errors(memory: sqlite3.Connection, name: str) -> None:
    assert isinstance(_meaning(memory, f"SELECT {name} FROM t"), list)
    assert str(_meaning(memory, identifiers_only(f"SELECT {name} FROM t"))).startswith(
        "no such column"
    )


# Expressions


@pytest.mark.parametrize(
    "text", ["1", "(1)", "')' = ';'", "a -- )", "a /* ) ; */", "[)]", '";"', "((1) and (2))"]
)
def test_an_expression_stands_in_brackets(text: str) -> None:
    done = expression("--where", text)
    assert done.startswith("(") and done.endswith("\n)")
    assert identifiers_only(text) in done


@pytest.mark.parametrize(
    "text", ["", " ", "--", "/**/", ")", "(", "1)", "(1", "1) or (1", "1;", ";", "(;)", "1 -- (\n)"]
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        expression("--where", text)
    assert caught.value.message.startswith("--where: ")


@given(_SQL)
def test_nothing_gets_out_of_the_brackets(text: str) -> None:
    """Whatever an expression holds, a statement around it that SQLite accepts is still one SELECT of one row at most."""
    try:
        inside = expression("--where", text)
    except InvalidInput:
        return
    db = sqlite3.connect(":memory:")
    try:
        found = _meaning(db, f"SELECT 'mine' FROM (SELECT 1 AS a) WHERE {inside} AND 0")
    finally:
        db.close()
    assert found == [] or isinstance(found, str)


# Carets


@pytest.mark.parametrize(
    ("text", "message", "expected"),
    [
        ("agnt = 1", "no such column: agnt", "agnt = 1\n  ^^^^"),
        ("1 and agnt", "no such column: agnt", "1 and agnt\n        ^^^^"),
        ("'agnt' = agnt", "no such column: agnt", "'agnt' = agnt\n           ^^^^"),
        ("r.agnt", "no such column: r.agnt", "r.agnt\n    ^^^^"),
        ("1\n and agnt", "no such column: agnt", " and agnt\n       ^^^^"),
        ("1 and and 1", 'near "and": syntax error', "1 and and 1\n        ^^^"),
        ("a = = 1", 'near "=": syntax error', "a = = 1\n      ^"),
        ("a == == 1", 'near "==": syntax error', "a == == 1\n       ^^"),
        ("'a' 'b'", "near \"'b'\": syntax error", "'a' 'b'\n      ^^^"),
        ("abs(-9223372036854775808)", "integer overflow", ""),
        ("[agnt] = 1", "no such column: agnt", "[agnt] = 1\n  ^^^^^^"),
        ("`a\nb` = 1", "no such column: a\nb", "`a\n  ^^"),
        (
            '"agnt" = 1',
            "no such column: agnt",
            "\"agnt\" = 1\n  ^^^^^^\n  Text stands in single quotes: 'agnt'",
        ),
        ("a", "", ""),
        ("", "no such column: a", ""),
    ],
)
def test_pointed_at(text: str, message: str, expected: str) -> None:
    assert pointed_at(text, message) == expected


@given(
    _SQL,
    st.one_of(
        _SQL, _SQL.map('near "{}": syntax error'.format), _SQL.map("no such column: {}".format)
    ),
)
def test_pointing_never_fails(text: str, message: str) -> None:
    pointed = pointed_at(text, message).partition("\n  Text stands in single quotes")[0]
    line, _, carets = pointed.rpartition("\n  ")
    # The caret may stand one place behind the line: an expression can end too early.
    assert pointed == "" or (set(carets.strip(" ")) == {"^"} and len(carets) <= len(line) + 1)
