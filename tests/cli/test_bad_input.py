"""Whatever is wrong with what was typed: exit 2, a message that names it, and nothing written."""

from pathlib import Path

import pytest
from support import Telemetry

START = ("run", "start", "--agent-name", "a", "--job-type", "j")
END, UPDATE = ("run", "end", "known-run"), ("run", "update", "known-run")
EVENT = ("run", "event", "--run", "known-run")
DEEP = "[" * 5_000 + "]" * 5_000

#: What no JSON argument accepts → a word of the message.
BAD_JSON = {
    "": "valid JSON",
    " ": "valid JSON",
    "{": "valid JSON",
    '{"a": 1,}': "valid JSON",
    "{'a': 1}": "valid JSON",
    '{"a": 1} {"b": 2}': "valid JSON",
    '{"a": 01}': "valid JSON",
    '{"a": +1}': "valid JSON",
    '{"a": .5}': "valid JSON",
    '{"a": "\t"}': "valid JSON",
    '{"a": NaN}': "NaN",
    '{"a": Infinity}': "Infinity",
    '{"a": [-Infinity]}': "-Infinity",
    '{"a": 1, "a": 1}': "a",
    '{"x": {"dup": 1, "b": 2, "dup": 3}}': "dup",
    '{"a": "\\ud800"}': "surrogate",
    '{"\\udfff": 1}': "surrogate",
    '{"a": 9223372036854775808}': "9223372036854775808",
    '{"a": -9223372036854775809}': "9223372036854775809",
    '{"a": ' + "9" * 5_000 + "}": "2⁶³",
    '{"a": 1e999}': "1e999",
    '{"a": -1e400}': "-1e400",
    f'{{"a": {DEEP}}}': "level",
}
NOT_AN_OBJECT = ["[]", "1", '"text"', "null", "true"]

BAD_NAMES = ["", " ", "\t\n", "x" * 201]
BAD_EVENT_IDS = [
    "",
    " ",
    "two words",
    "@last",
    "-dash",
    "tab\tbed",
    "new\nline",
    "x" * 201,
    "nbsp\u00a0",
    "esc\x1b",
    "bidi\u202e",
]
BAD_RUN_IDS = ["", " ", "a/b", "a\\b", "new\nline", "esc\x1b", "c1\x9b", "x" * 256]
BAD_TIMES = ["", "now", "soon", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "15", "15x", "-15m", "1.5h", "m", "٣d", "999999999999w",
             "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00Zjunk"]  # fmt: skip
ZONELESS = ["2026-01-01T00:00:00", "2026-01-01", "2026-01-01 00:00"]
BAD_STATUSES = ["", "done", "success ", "success,failure", "0"]
BAD_COUNTS = ["", "-1", "1.5", "1e3", "many", "0x10", " 1", "1_000", "٣", str(2**63), "9" * 5_000]
BAD_SHAS = ["", "012345", "0123456g", "0" * 41, "x" * 40, "-0123456"]
BAD_PREFIXES = ["", "012345", "zzzzzzz", "0" * 65, "012345%"]


def cases(
    argv: tuple[str, ...], option: str, values: list[str]
) -> list[tuple[tuple[str, ...], str, str]]:
    return [(argv, option, value) for value in values]


REFUSED = [
    *cases(START, "--event-id", BAD_EVENT_IDS),
    *cases(START, "--run-id", BAD_RUN_IDS),
    *cases(START, "--agent-name", BAD_NAMES),
    *cases(START, "--job-type", BAD_NAMES),
    *cases(START, "--status", BAD_STATUSES),
    *cases(START, "--start-time", BAD_TIMES + ZONELESS),
    *cases(START, "--items-discovered", BAD_COUNTS),
    *cases(START, "-m", ["", "key", "=value"]),
    *cases(START, "--parent", ["@", "@first", "@last:"]),
    *cases(END, "--status", BAD_STATUSES),
    *cases(END, "--exit-code", ["", "one", "1.5", "9" * 30]),
    *cases(END, "--end-time", BAD_TIMES[:4] + ZONELESS),
    *cases(END, "--duration-ms", BAD_COUNTS),
    *cases(END, "--items-failed", BAD_COUNTS[:3]),
    *cases(UPDATE, "--status", BAD_STATUSES),
    *cases(UPDATE, "--start-time", ZONELESS),
    *cases(UPDATE, "--end-time", ZONELESS),
    *cases(UPDATE, "--agent-name", BAD_NAMES),
    *cases(UPDATE, "--items-skipped", BAD_COUNTS[:3]),
    *cases((*EVENT, "tick"), "--timestamp", BAD_TIMES[:4] + ZONELESS),
    *cases(("associate-commit", "known-run", "--no-git"), "--commit", BAD_SHAS),
    *cases(
        ("associate-commit", "known-run", "--no-git", "--commit", "0123456"),
        "--source",
        ["", "human"],
    ),
    *cases(
        ("associate-commit", "known-run", "--no-git", "--commit", "0123456"), "--role", ["", "made"]
    ),
    *cases(
        ("associate-commit", "known-run", "--no-git", "--commit", "0123456"),
        "--timestamp",
        ["yes", *ZONELESS],
    ),
    *cases(("query",), "--status", BAD_STATUSES),
    *cases(("query",), "--limit", BAD_COUNTS),
    *cases(("query",), "--offset", BAD_COUNTS[:3]),
    *cases(
        ("query",),
        "--sort",
        ["", "nope", "id; DROP TABLE agent_runs", "ID", "start_time DESC", "rowid"],
    ),
    *cases(("query",), "--columns", ["", ",", "nope", "event_id,", "event_id,nope", "*"]),
    *cases(("query",), "--since", BAD_TIMES),
    *cases(("query",), "--created-before", BAD_TIMES[:3]),
    *cases(("query",), "--start-time-to", BAD_TIMES[:3]),
    *cases(("query",), "--commit", BAD_PREFIXES),
    *cases(("query",), "--output", ["", "xml", "JSON", "text"]),
    *cases(("run", "show", "known-run"), "--output", ["csv"]),
    *cases(START, "--output", ["table", "csv", "yaml"]),
    *cases(END, "--output", ["env"]),
]


@pytest.mark.parametrize(
    ("argv", "option", "value"),
    REFUSED,
    ids=lambda value: (value if isinstance(value, str) else "_".join(value[:2]))[:30],
)
def test_a_bad_value(shared: Telemetry, argv: tuple[str, ...], option: str, value: str) -> None:
    refuses(
        shared,
        *argv,
        *([f"{option}={value}"] if option.startswith("--") else [option, value]),
        named=option,
    )


def refuses(
    telemetry: Telemetry,
    *argv: str | bytes,
    named: str,
    stdin: str | bytes = "",
    cwd: Path | None = None,
) -> None:
    """Exit 2, the message names what is wrong, nothing is printed as a result and nothing was written."""
    before = telemetry.files()
    refused = telemetry(*argv, code=2, stdin=stdin, cwd=cwd)
    assert (
        named in refused.err,
        refused.out,
        refused.err.count("\n") < 8,
        len(refused.err) < 2500,
    ) == (True, "", True, True), refused
    assert telemetry.files() == before


@pytest.mark.parametrize("source", BAD_JSON, ids=lambda source: source[:20])
@pytest.mark.parametrize("option", ["--metrics", "--payload"])
def test_bad_json(shared: Telemetry, option: str, source: str) -> None:
    argv = (*UPDATE, option, source) if option == "--metrics" else (*EVENT, "tick", option, source)
    refuses(shared, *argv, named=option)
    assert BAD_JSON[source] in shared(*argv, code=2).err


@pytest.mark.parametrize("source", ['{"a": NaN}', '{"a": 1, "a": 2}', "{"])
@pytest.mark.parametrize(
    "argv", [(*START, "--context"), (*END, "--context"), (*START, "--metrics"), (*END, "--metrics")]
)
def test_bad_json_everywhere(shared: Telemetry, argv: tuple[str, ...], source: str) -> None:
    refuses(shared, *argv, source, named=argv[-1])


@pytest.mark.parametrize("source", NOT_AN_OBJECT)
@pytest.mark.parametrize("option", ["--metrics", "--context"])
def test_json_that_is_no_object(shared: Telemetry, option: str, source: str) -> None:
    refuses(shared, *UPDATE, option, source, named=option)


@pytest.mark.parametrize(
    "source",
    [b"\xff", b'{"a": "\xc3"}', b'{"a": "\xed\xa0\x80"}', b"", b'\x00{"a":1}', b'{"a":1}\x00'],
)
def test_bad_bytes_from_stdin_and_file(shared: Telemetry, tmp_path: Path, source: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(source)
    refuses(shared, *UPDATE, "--metrics", "-", named="--metrics", stdin=source)
    refuses(shared, *UPDATE, "--metrics", "@bad.json", named="--metrics", cwd=tmp_path)


@pytest.mark.parametrize("value", ["@no-such-file", "@", "@.", "@/dev/null", "@known\0run"])
def test_a_file_that_cannot_be_read(shared: Telemetry, value: str) -> None:
    if "\0" in value:
        value = "@" + "x" * 5_000
    refuses(shared, *START, "--context", value, named="--context")


def test_stdin_cannot_be_read_twice(shared: Telemetry) -> None:
    refuses(shared, *START, "--metrics", "-", "--context", "-", named="--context", stdin='{"a": 1}')


@pytest.mark.parametrize(
    "option",
    [
        "--product",
        "--agent-name",
        "--run-id",
        "--event-id",
        "--metrics",
        "-m",
        "--git-repo",
        "--start-time",
        "--status",
        "--parent",
    ],
)
def test_invalid_utf8(shared: Telemetry, option: str) -> None:
    value = b"k=\xff" if option == "-m" else b"\xff\xfe"
    refuses(shared, *(word.encode() for word in START), option.encode(), value, named=option)


@pytest.mark.parametrize(
    "argv",
    [
        (b"run", b"show", b"\xff"),
        (b"run", b"end", b"\xff"),
        (b"query", b"--branch", b"\xff"),
        (b"query", b"--agent-name", b"\xff"),
        (b"\xff",),
        (b"query", b"--\xff"),
    ],
)
def test_invalid_utf8_elsewhere(shared: Telemetry, argv: tuple[bytes, ...]) -> None:
    refuses(shared, *argv, named="telemetry: error")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        ((*END, "--status", "success", "--exit-code", "0"), "--exit-code"),
        ((*UPDATE,), "nothing to update"),
        ((*EVENT,), "TYPE"),
        ((*EVENT, ""), "TYPE"),
        ((*EVENT, "x" * 201), "TYPE"),
        ((*EVENT, "a", "b"), "b"),
        ((*EVENT, "tick", "--trace-id", ""), "--trace-id"),
        (("run", "show", "known-run", "second"), "second"),
        (("run", "events", "known-run", "--type"), "--type"),
        ((*START, "--json", "-o", "env"), "--json"),
        ((*START, "--no-such-option"), "--no-such-option"),
        ((*START, "--no-such-option=1"), "--no-such-option"),
        ((*START, "-x"), "-x"),
        ((*START, "--produc", "p"), "--produc"),
        ((*START, "--product"), "--product"),
        ((*START, "--no-git=1"), "--no-git"),
        ((*START, "positional"), "positional"),
        (("query", "--limit"), "--limit"),
        (("query", "--where"), "--where"),
        (("query", "stray"), "stray"),
        (("no-such-command",), "no-such-command"),
        (("run", "no-such-command"), "no-such-command"),
        (("--no-such-option", "query"), "--no-such-option"),
        (("--base-dir",), "--base-dir"),
        (("--db",), "--db"),
        (("metadata", "-o", "csv"), "--output"),
        (("associate-commit", "known-run", "--repo", "/no/such/folder"), "--repo"),
    ],
)
def test_bad_usage(shared: Telemetry, argv: tuple[str, ...], named: str) -> None:
    refuses(shared, *argv, named=named)


@pytest.mark.parametrize(
    ("argv", "listed"),
    [
        (
            ("query", "--status", "x"),
            ("running", "success", "failure", "partial", "timeout", "cancelled"),
        ),
        (("query", "--sort", "x"), ("created_at", "start_time", "agent_name", "duration_ms")),
        (("query", "--columns", "x"), ("event_id", "commit_url", "repo_url", "metrics_json")),
        (("query", "-o", "x"), ("table", "json", "jsonl", "csv", "ids")),
        ((*START, "-o", "x"), ("text", "json", "env")),
        (
            ("associate-commit", "known-run", "--commit", "0123456", "--role", "x", "--no-git"),
            ("produced", "base", "released"),
        ),
        (("run", "start", "--job-type", "j"), ("--agent-name", "TELEMETRY_AGENT_NAME")),
        (("run", "start", "--agent-name", "a"), ("--job-type", "TELEMETRY_JOB_TYPE")),
        ((*START, "--start-time", "2026-01-01T00:00:00"), ("zone", "Z")),
    ],
)
def test_the_message_says_what_is_accepted(
    shared: Telemetry, argv: tuple[str, ...], listed: tuple[str, ...]
) -> None:
    message = shared(*argv, code=2).err
    assert [word for word in listed if word not in message] == []


@pytest.mark.parametrize(
    "argv",
    [
        (*START, "--status", "x"),
        (*START, "--metrics", "{"),
        ("run", "start"),
        (*END, "--status", "x"),
        (*UPDATE,),
        (*EVENT, ""),
        (*START, "--nope"),
        ("associate-commit", "x", "--commit", "", "--no-git"),
        ("query", "--limit", "-1"),
    ],
)
def test_an_empty_base_is_not_even_made(telemetry: Telemetry, argv: tuple[str, ...]) -> None:
    telemetry(*argv, code=2)
    assert not telemetry.base.exists()
