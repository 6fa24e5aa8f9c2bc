"""`query --where`: expressions of every kind, what is refused, and messages that point at the place."""

from pathlib import Path

import pytest
from support import Ran, Telemetry

#: event_id → what it is made with; created one second apart, in this order.
RUNS: dict[str, dict[str, object]] = {
    "w1": {
        "agent_name": "alpha",
        "status": "success",
        "duration_ms": 6000,
        "metrics": {"tokens": 150, "model": "m-1", "deep": {"list": [1, 2, 3]}},
    },
    "w2": {
        "agent_name": "alpha",
        "status": "failure",
        "duration_ms": 9000,
        "metrics": {"tokens": 50},
        "error_summary": 'it\'s 50% "broken"',
    },
    "w3": {
        "agent_name": "beta",
        "status": "running",
        "product": "naïve ☃",
        "context": {"ok": True, "none": None},
    },
    "w4": {
        "agent_name": "100%",
        "job_type": "O'Brien",
        "status": "partial",
        "duration_ms": 10,
        "product": "p; DROP TABLE agent_runs",
    },
}


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """The four runs above. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("where"))
    program(
        "run",
        "start",
        "--agent-name",
        "first",
        "--job-type",
        "first",
        "--event-id",
        "w0",
        "--no-git",
        "--start-time",
        "2026-01-01T00:00:00Z",
    )
    for number, (event_id, given) in enumerate(RUNS.items()):
        at = f"2999-01-0{number + 1}T00:00:00.000Z"
        ending = {name: given[name] for name in ("duration_ms", "error_summary") if name in given}
        begin = {name: value for name, value in given.items() if name not in ending}
        program.append(
            "run.create",
            at,
            **{"event_id": event_id, "run_id": f"R-{event_id}", "job_type": "job", "start_time": at}
            | begin,
        )
        if ending:
            program.append("run.update", at, run=event_id, **ending)
    assert program("query", "--count").line == "5"
    return program


def ids(program: Telemetry, where: str, *options: str) -> list[str]:
    return program("query", "--where", where, *options, "-o", "ids").out.split()


def pointed(ran: Ran) -> str:
    """What stands above the carets of a message."""
    lines = ran.err.splitlines()
    marks = [number for number, line in enumerate(lines) if line.strip() and not line.strip(" ^")]
    assert len(marks) == 1, ran
    caret = lines[marks[0]]
    return lines[marks[0] - 1][len(caret) - len(caret.lstrip()) : len(caret)]


def column(ran: Ran) -> int:
    """The column of the first caret in the line above it."""
    lines = ran.err.splitlines()
    number = next(
        number for number, line in enumerate(lines) if line.strip() and not line.strip(" ^")
    )
    indent = len(lines[number - 1]) - len(lines[number - 1].lstrip())
    return len(lines[number]) - len(lines[number].lstrip()) - indent


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("1", "w4 w3 w2 w1 w0"),
        ("0", ""),
        ("NULL", ""),
        ("duration_ms > 5000", "w2 w1"),
        ("duration_ms > 5000 and metrics_json->>'tokens' > 100", "w1"),
        ("metrics_json->>'$.deep.list[1]' = 2", "w1"),
        ("json_extract(metrics_json, '$.model') = 'm-1'", "w1"),
        ("metrics_json->'deep' is not null", "w1"),
        ("json_type(context_json, '$.none') = 'null'", "w3"),
        ("context_json->>'ok'", "w3"),
        ("status in ('failure', 'partial')", "w4 w2"),
        ("status = 'success' or status = 'running' and agent_name = 'beta'", "w3 w1"),
        ("not (status = 'running')", "w4 w2 w1"),
        ("product is null", "w2 w1 w0"),
        ("product = 'naïve ☃'", "w3"),
        ("job_type = 'O''Brien'", "w4"),
        ("job_type like 'o_brien'", "w4"),
        ("agent_name glob 'a*'", "w2 w1"),
        ("agent_name = '100%'", "w4"),
        ("product = 'p; DROP TABLE agent_runs'", "w4"),
        ("error_summary = 'it''s 50% \"broken\"'", "w2"),
        ("error_summary like '%50\\%%' escape '\\'", "w2"),
        ("duration_ms between 10 and 6000", "w4 w1"),
        ("case status when 'running' then 1 else 0 end and agent_name <> 'first'", "w3"),
        ("length(agent_name) = 5", "w2 w1 w0"),
        ("upper(agent_name) = 'ALPHA'", "w2 w1"),
        ("date(start_time) = '2999-01-02'", "w2"),
        ("round(duration_ms / 1000.0, 1) = 9", "w2"),
        ("duration_ms = (select max(duration_ms) from agent_runs)", "w2"),
        ("exists (select 1 from agent_runs as other where other.agent_name = agent_runs.agent_name and other.id <> agent_runs.id)", "w2 w1"),
        ("(duration_ms > 1)\n  AND\t(agent_name = 'alpha')", "w2 w1"),
        ('"status" = \'failure\'', "w2"),
        ("`status` = 'failure' and [agent_name] = 'alpha'", "w2"),
        ("STATUS = 'failure'", "w2"),
        ("agent_runs.status = 'failure'", "w2"),
        ("status = 'failure' -- the bad ones", "w2"),
        ("status = /* which? */ 'failure'", "w2"),
        ("agent_name <> ')' and agent_name <> ';' and agent_name <> '--' and status = 'failure'", "w2"),
        ("json_array_length(metrics_json, '$.deep.list') = 3", "w1"),
        ("2 in (select value from json_each(agent_runs.metrics_json, '$.deep.list'))", "w1"),
    ],
)  # fmt: skip
def test_expressions(four: Telemetry, where: str, expected: str) -> None:
    assert ids(four, where) == expected.split()


def test_beside_other_options(four: Telemetry) -> None:
    assert ids(four, "duration_ms > 0 or 1", "--agent-name", "alpha") == ["w2", "w1"]
    assert ids(four, "duration_ms > 0", "--status", "failure", "--agent-name", "alpha") == ["w2"]
    assert ids(four, "1", "--sort", "duration_ms", "--limit", "2") == ["w2", "w1"]
    assert ids(four, "1", "--reverse", "--limit", "1", "--offset", "1") == ["w1"]
    assert ids(four, "duration_ms > 0", "--limit", "0") == ["w4", "w2", "w1"]
    assert ids(four, "1", "--since", "2999-01-03T00:00:00Z") == ["w4", "w3"]
    assert ids(four, "1 -- all", "--limit", "1") == ["w4"]
    assert four("query", "--where", "duration_ms > 0", "--count", "--limit", "1").line == "3"
    assert four(
        "query", "--where", "duration_ms > 0", "--columns", "event_id,duration_ms", "-o", "json"
    ).json[0] == {"event_id": "w4", "duration_ms": 10}
    assert four("stats", "--where", "duration_ms > 5000", "--json").json[0]["runs"] == 2


def test_where_nothing_was_recorded(telemetry: Telemetry) -> None:
    assert telemetry("query", "--where", "duration_ms > 1", "--json").json == []
    assert telemetry("query", "--where", "duration_ms > 1", "--count").line == "0"
    assert not telemetry.base.exists()


# Errors point at the place


@pytest.mark.parametrize(
    "quoted",
    [
        "nope",
        '"nope"',
        "`nope`",
        "[nope]",
        "agent_runs.nope",
        'agent_runs."nope"',
        "lower(nope)",
        '"NOPE"',
    ],
)
@pytest.mark.parametrize("command", ["query", "stats"])
def test_a_mistyped_column(four: Telemetry, command: str, quoted: str) -> None:
    ran = four(command, "--where", f"duration_ms > 5 and {quoted} = 'nope'", code=2)
    assert "--where: no such column" in ran.err
    assert "no" in pointed(ran).lower()
    assert column(ran) >= len("duration_ms > 5 and ")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("status = running", "status = "),
        ("grp is null", ""),
        ("duration_ms > and 3", "duration_ms > "),
        ("1 and and 1 and 1", "1 and "),
        ("agent_name = 'x' = = 'x'", "agent_name = 'x' = "),
        ("1 = 1 and 1 = = 1 and 1 = 1", "1 = 1 and 1 = "),
        ("1 limit 1", "1 "),
        ("1 union select 2", "1 "),
        ("1) or (1", "1"),
        ("1;", "1"),
        ("1; select 1", "1"),
        ("status == == 1", "status == "),
        ("status || || 1", "status || "),
        ("'a' 'b'", "'a' "),
        ('1 "b"', "1 "),
        ("nofun(1)", ""),
        ("exists (select 1 from nope)", "exists (select 1 from "),
        ("'nope' = 1 and nope = 1", "'nope' = 1 and "),
        ("/* nope */ nope", "/* nope */ "),
    ],
)
@pytest.mark.parametrize("command", ["query", "stats"])
def test_errors_point_at_the_place(
    four: Telemetry, command: str, where: str, expected: str
) -> None:
    ran = four(command, "--where", where, code=2)
    assert "--where" in ran.err
    assert column(ran) == len(expected)


def test_the_line_of_several_that_is_wrong(four: Telemetry) -> None:
    ran = four("query", "--where", "duration_ms > 1\n  and nope > 2\n  and 1", code=2)
    assert pointed(ran) == "nope"
    assert "and 1\n" not in ran.err


def test_a_caret_below_text_that_is_escaped(four: Telemetry) -> None:
    assert pointed(four("query", "--where", "id\t>\t'\x1b' and nope", code=2)) == "nope"


@pytest.mark.parametrize(
    "where",
    [
        "'x",
        '"x',
        "`x",
        "[x",
        "1 = 'it''s",
        "duration_ms >",
        "(1",
        "1 and ((2)",
        "1 /* x",
        "not",
        "'x' || 'y",
    ],
)
@pytest.mark.parametrize("command", [("query",), ("query", "--count"), ("stats",)], ids=" ".join)
def test_what_is_not_finished_says_nothing_of_the_statement_around_it(
    four: Telemetry, command: tuple[str, ...], where: str
) -> None:
    ran = four(*command, "--where", where, code=2)
    assert "--where" in ran.err
    for foreign in (
        "ORDER",
        "LIMIT",
        "WHERE",
        "SELECT",
        "running",
        "group",
        'near ")"',
        "agent_runs",
    ):
        assert foreign not in ran.err


@pytest.mark.parametrize("where", ["", " ", "\n\t", "-- nothing", "/* nothing */", "/**/ -- \n "])
def test_an_empty_expression(four: Telemetry, where: str) -> None:
    assert "--where: an empty expression" in four("query", f"--where={where}", code=2).err


@pytest.mark.parametrize("where", ["?", "?1", ":x", "@x", "$x", "duration_ms = ?", "?1 = 'alpha'"])
def test_parameters_are_no_part_of_an_expression(four: Telemetry, where: str) -> None:
    assert "--where" in four("query", "--agent-name", "alpha", "--where", where, code=2).err


@pytest.mark.parametrize(
    "where",
    [
        "(" * 3000 + "1" + ")" * 3000,
        " or ".join(["1"] * 5000),
        "1,2",
        "abs()",
        "count(*) > 1",
        "json_extract('{', '$') = 1",
    ],
)
def test_more_that_is_no_expression(four: Telemetry, where: str) -> None:
    assert "--where" in four("query", "--where", where, code=2).err


# What is forbidden, what takes too long


FORBIDDEN = (
    "random() > 0", "randomblob(9) is null", "load_extension('x') is null", "sqlite_version() > ''", "changes() = 0", "last_insert_rowid() = 0",
    "fts3_tokenizer('x') is null", "(select count(*) from pragma_user_version) = 1", "exists (select 1 from pragma_table_info('agent_runs'))",
    "exists (select 1 from pragma_database_list)", "sqlite_compileoption_used('x') = 1", "zeroblob(9) is null", "current_timestamp > created_at",
)  # fmt: skip


@pytest.mark.parametrize("where", FORBIDDEN)
def test_forbidden(four: Telemetry, where: str) -> None:
    before = four.files()
    ran = four("query", "--where", where, code=6)
    assert "--where" in ran.err
    assert ran.out == ""
    assert four.files() == before


@pytest.mark.parametrize(
    "where",
    [
        "readfile('/etc/passwd') is null",
        "writefile('x', 'y')",
        "edit('x')",
        "1) ; DELETE FROM agent_runs; --",
        "1; ATTACH 'x' AS y",
    ],
)
def test_not_even_known(four: Telemetry, where: str) -> None:
    before = four.files()
    assert four("query", "--where", where, code=None).code in (2, 6)
    assert four.files() == before
    assert list(Path(four.cwd).iterdir()) == []


def test_the_time_limit(four: Telemetry) -> None:
    endless = (
        "1 in (with recursive n (i) as (select 2 union all select i + 1 from n) select i from n)"
    )
    ran = four("query", "--where", endless, code=2)
    assert "--where: took longer than" in ran.err
    assert ran.out == ""


# Hostile text


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[31m",
        "\x9b31m",
        "\u202e",
        "[/nope]",
        "[bold]x",
        "\x07",
        "🙂",
        "é" * 300,
        "\udcff",
        "%s %d",
        "{0}",
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "'{}' = 1",
        '"{}"',
        "[{}]",
        "`{}`",
        "{} > 1 and",
        "agent_name = {}",
        "{}(1)",
        "/* {} */ nope",
    ],
)
def test_hostile_text_is_shown_harmless(four: Telemetry, form: str, hostile: str) -> None:
    ran = four("query", "--where", form.replace("{}", hostile), code=None)
    assert ran.code in (0, 2)
    for text in (ran.out, ran.err):
        assert all(char.isprintable() or char == "\n" for char in text)


def test_text_in_double_quotes_is_told_to_stand_in_single_ones(four: Telemetry) -> None:
    ran = four("query", "--where", 'metrics_json->>"tokens" > 3', code=2)
    assert (
        """metrics_json->>"tokens" > 3\n                 ^^^^^^^^\n  Text stands in single quotes: 'tokens'"""
        in ran.err
    )
