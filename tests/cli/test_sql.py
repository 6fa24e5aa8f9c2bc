"""`telemetry sql`: what it answers in which shape, what it refuses, and that nothing it is given can change or delay anything (promise 21)."""

import csv
import io
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Telemetry

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6}  # neither 70, a defect, nor a signal


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """Two runs. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("two"))
    program.start("--event-id", "q1", "--no-git", "--agent-name", "alpha", "-m", "n=1")
    program.start("--event-id", "q2", "--no-git", "--agent-name", "beta", "--product", "=1+1")
    return program


def rows(program: Telemetry, statement: str) -> object:
    return program("sql", statement, "-o", "json").json


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select 1", [{"1": 1}]),
        (
            "SELECT event_id FROM agent_runs ORDER BY event_id DESC",
            [{"event_id": "q2"}, {"event_id": "q1"}],
        ),
        (
            "select count(*) as n, max(agent_name) from agent_runs",
            [{"n": 2, "max(agent_name)": "beta"}],
        ),
        ("select metrics_json->>'n' as n from agent_runs where event_id = 'q1'", [{"n": 1}]),
        ("select 1 where 0", []),
        (
            "values (1, 'a'), (2, 'b')",
            [{"column1": 1, "column2": "a"}, {"column1": 2, "column2": "b"}],
        ),
        (
            "with n (i) as (values (1) union all select i + 1 from n where i < 3) select i from n",
            [{"i": 1}, {"i": 2}, {"i": 3}],
        ),
        ("select 1 as a, 2 as a, 3 as a", [{"a": 1, "a_2": 2, "a_3": 3}]),
        (
            "select null as a, '' as b, 9e999 as c, -9e999 as d, 1/0 as e",
            [{"a": None, "b": "", "c": None, "d": None, "e": None}],
        ),
        ("select x'00ff' as a, x'' as b", [{"a": "00ff", "b": ""}]),
        (
            "select 9223372036854775807 as a, 9223372036854775807 + 1 as b, 0.1 as c",
            [{"a": 2**63 - 1, "b": float(2**63), "c": 0.1}],
        ),
        (
            'select "event_id" as "the id" from "agent_runs" where "event_id" = \'q1\'',
            [{"the id": "q1"}],
        ),
        ("select 'a;b -- c' as x; -- done", [{"x": "a;b -- c"}]),
        ("/* first */ select 1 as x ;", [{"x": 1}]),
        ("select '\"text\"' as x", [{"x": '"text"'}]),
        ("select value from json_each('[1,2]')", [{"value": 1}, {"value": 2}]),
        ("select name from sqlite_schema where name = 'agent_runs'", [{"name": "agent_runs"}]),
        ("select char(0) as x", [{"x": "\0"}]),
        (
            "select agent_name, row_number() over (order by id) as n from agent_runs",
            [{"agent_name": "alpha", "n": 1}, {"agent_name": "beta", "n": 2}],
        ),
    ],
)
def test_answers(two: Telemetry, statement: str, expected: list[dict[str, object]]) -> None:
    assert rows(two, statement) == expected


@pytest.mark.parametrize(
    "names", [("a", "a", "a_2"), ("a_2", "a", "a"), ("a", "a_2", "a", "a_2"), ("a", "A", "a")]
)
def test_no_value_hides_another(two: Telemetry, names: tuple[str, ...]) -> None:
    statement = "select " + ", ".join(f"{number} as {name}" for number, name in enumerate(names))
    (row,) = two("sql", statement, "-o", "json").json
    assert list(row.values()) == list(range(len(names)))
    header, values = csv.reader(io.StringIO(two("sql", statement, "-o", "csv").out))
    assert len(set(header)) == len(names)
    assert values == [str(number) for number in range(len(names))]


def test_formats(two: Telemetry) -> None:
    statement = "select event_id, product, null as empty from agent_runs order by event_id"
    wanted = [
        {"event_id": "q1", "product": None, "empty": None},
        {"event_id": "q2", "product": "=1+1", "empty": None},
    ]
    assert two("sql", statement, "--json").json == wanted
    assert list(map(json.loads, two("sql", statement, "-o", "jsonl").out.splitlines())) == wanted
    assert list(csv.reader(io.StringIO(two("sql", statement, "-o", "csv").out))) == [
        ["event_id", "product", "empty"],
        ["q1", "", ""],
        ["q2", "'=1+1", ""],
    ]
    table = two("sql", statement).out
    assert all(word in table for word in ("event_id", "product", "empty", "q1", "q2", "=1+1"))
    assert two("sql", "select 1 as a where 0", "-o", "csv").out.split() == ["a"]
    assert two("sql", "select 1 as a where 0").out.strip()
    assert "--output" in two("sql", statement, "-o", "ids", code=2).err


@pytest.mark.parametrize("output", ["table", "csv"])
def test_headings_are_harmless_too(two: Telemetry, output: str) -> None:
    out = two(
        "sql",
        'select 1 as "\x1b[31mred", char(27) || \'[32m\u202e[/nope]\' as "=1+1"',
        "-o",
        output,
    ).out
    assert all(char.isprintable() or char in "\r\n" for char in out)
    assert output == "table" or not any(
        line.startswith("=") or ",=" in line for line in out.splitlines()
    )


@pytest.mark.parametrize("number", [499, 500, 501, 1733])
def test_many_rows(two: Telemetry, number: int) -> None:
    statement = f"with recursive n (i) as (select 1 union all select i + 1 from n where i < {number}) select i, 'é' || i as t, x'ff' as b, null as z from n"
    assert rows(two, statement) == [
        {"i": i, "t": f"é{i}", "b": "ff", "z": None} for i in range(1, number + 1)
    ]


def test_a_stalled_reader_delays_no_write(telemetry: Telemetry) -> None:
    for event_id in ("E1", "E2"):
        telemetry.start("--event-id", event_id, "--no-git")
    statement = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000) select i, printf('%.*c', 200, 'x'), event_id from n, agent_runs"
    with telemetry.popen("sql", statement, "-o", "jsonl", stdout=subprocess.PIPE) as reader:
        assert reader.stdout
        assert json.loads(reader.stdout.readline())["i"] == 1
        assert reader.poll() is None
        started = telemetry(
            "run",
            "start",
            "--agent-name",
            "a",
            "--job-type",
            "j",
            "--no-git",
            "--json",
            env={"TELEMETRY_LOCK_TIMEOUT": "1"},
        )
        assert started.json["status"] == "created"
        assert reader.poll() is None
        assert len(reader.stdout.readlines()) == 39999


def test_where_nothing_was_recorded(telemetry: Telemetry) -> None:
    assert rows(telemetry, "select count(*) as n from agent_runs") == [{"n": 0}]
    assert rows(telemetry, "select * from run_events") == []
    assert "no such table: nope" in telemetry("sql", "select * from nope", code=2).err
    assert telemetry("sql", "delete from agent_runs", code=6).out == ""
    assert not telemetry.base.exists()


# What is wrong


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("select * form agent_runs", "         ^^^^"),
        ("select agnt from agent_runs", "       ^^^^"),
        ('select "agnt" from agent_runs', "^^^^"),
        ("select * from nope", "              ^^^^"),
        ("select event_id\nfrom agent_runs\nwhere nope = 1", "      ^^^^"),
        ("select nofun(1)", "       ^^^^^"),
        ("selec 1", "^^^^^"),
        ("select 'from' form agent_runs where form = 1", "                   ^^^^^^^^^^"),
    ],
)
def test_errors_point_at_the_place(two: Telemetry, statement: str, place: str) -> None:
    ran = two("sql", statement, code=2)
    assert ran.out == ""
    caret = next(line for line in ran.err.splitlines() if line.strip() and not line.strip(" ^"))
    assert place in caret


@pytest.mark.parametrize(
    "statement",
    [
        "",
        " ",
        ";",
        "/* nothing */",
        "select",
        "select 1; select 2",
        "select 1; delete from agent_runs",
        "nonsense",
        "select 'x",
        "(" * 3000,
    ],
)
def test_no_statement_or_several(two: Telemetry, statement: str) -> None:
    before = two.files()
    ran = two("sql", statement, code=2)
    assert "SQL" in ran.err
    assert ran.out == ""
    assert two.files() == before


@pytest.mark.parametrize("statement", ["select ?", "select ?1", "select :x", "select $x"])
def test_parameters(two: Telemetry, statement: str) -> None:
    two("sql", statement, code=2)


@pytest.mark.parametrize("timeout", ["50ms", "0.1s", "0.002m"])
def test_the_time_limit(two: Telemetry, timeout: str) -> None:
    ran = two(
        "sql",
        "with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n",
        "--timeout",
        timeout,
        code=2,
    )
    assert "took longer than" in ran.err
    assert ran.out == ""


def test_the_time_limit_holds_for_rows_too(two: Telemetry) -> None:
    ran = two(
        "sql",
        "with recursive n (i) as (select 1 union all select i + 1 from n) select i from n",
        "--timeout",
        "300ms",
        "-o",
        "jsonl",
        code=2,
    )
    assert ran.out == ""


#: One call of one function, for which SQLite does not look whether it should stop.
LONG_CALL = "instr(printf('%.16000000c', 'a'), printf('%.8000000c', 'a') || 'b') > 0"


@pytest.mark.parametrize("output", ["table", "json"])
def test_the_time_limit_holds_inside_a_function(two: Telemetry, output: str) -> None:
    ran = two("sql", f"select {LONG_CALL}", "--timeout", "300ms", "-o", output, code=2)
    assert "took longer than 0.3 s" in ran.err
    assert ran.out == ""


def test_large_rows_are_kept_in_a_file(two: Telemetry) -> None:
    statement = "with recursive n (i) as (select 1 union all select i + 1 from n limit 300) select i, printf('%.1000000c', 'x') as wide from n"
    code, kib = two.measured(
        "sql", statement, "--timeout", "60s", "-o", "jsonl", stdout=subprocess.DEVNULL
    ).ended()
    assert code == 0
    assert kib < 120_000


@pytest.mark.parametrize(
    "timeout",
    ["", "0", "0s", "10", "-1s", "1e3s", "nan", "inf", "10 s", "s", "9d", "10S", "٣s", "\x1b[31m"],
)
def test_no_timeout(two: Telemetry, timeout: str) -> None:
    ran = two("sql", "select 1", f"--timeout={timeout}", code=2)
    assert "--timeout" in ran.err
    assert "\x1b" not in ran.err


# What is forbidden (promise 21)


WRITES = (
    "PRAGMA user_version", "PRAGMA user_version = 9", "PRAGMA query_only = OFF", "PRAGMA writable_schema = ON", "PRAGMA journal_mode = WAL",
    "PRAGMA table_info(agent_runs)", "ATTACH 'elsewhere.db' AS other", "ATTACH ':memory:' AS other", "ATTACH 'file:/etc/passwd?mode=ro' AS p", "DETACH main",
    "DELETE FROM agent_runs", "DELETE FROM agent_runs RETURNING *", "INSERT INTO agent_runs DEFAULT VALUES", "REPLACE INTO journal_cursor DEFAULT VALUES",
    "INSERT INTO rejected_ops (op_id, kind, code, message, operation) VALUES ('a', 'b', 1, 'c', 'd') RETURNING id",
    "UPDATE agent_runs SET status = 'success'", "UPDATE sqlite_schema SET sql = ''", "DROP TABLE agent_runs", "DROP INDEX agent_runs_run_id",
    "CREATE TABLE t (a)", "CREATE TEMP TABLE t (a)", "CREATE TABLE t AS SELECT 1", "CREATE INDEX i ON agent_runs (host)", "CREATE VIEW v AS SELECT 1",
    "CREATE TEMP VIEW v AS SELECT 1", "CREATE TEMP TRIGGER t AFTER INSERT ON agent_runs BEGIN SELECT 1; END", "CREATE VIRTUAL TABLE v USING fts5(a)",
    "ALTER TABLE agent_runs RENAME TO x", "ALTER TABLE agent_runs ADD COLUMN x", "BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "COMMIT", "ROLLBACK",
    "SAVEPOINT s", "RELEASE s", "VACUUM", "VACUUM INTO 'copy.db'", "ANALYZE", "REINDEX", "EXPLAIN DELETE FROM agent_runs",
    "WITH x AS (SELECT 1) DELETE FROM agent_runs", "WITH x AS (SELECT 1) INSERT INTO run_events SELECT * FROM run_events",
)  # fmt: skip
FUNCTIONS = (
    "select random()", "select abs(random())", "select randomblob(4)", "select load_extension('x')", "select load_extension('x', 'y')",
    "select fts3_tokenizer('simple')", "select fts3_tokenizer('simple', x'00')", "select sqlite_version()", "select sqlite_source_id()", "select changes()",
    "select total_changes()", "select last_insert_rowid()", "select * from pragma_table_info('agent_runs')", "select * from pragma_database_list",
    "select * from pragma_user_version", "select * from pragma_compile_options()", "select name from PRAGMA_function_list", "select 1 order by random()",
    "select * from agent_runs where random()", "with x as (select random() as r) select r from x",
)  # fmt: skip
UNKNOWN = (
    "select readfile('/etc/passwd')", "select writefile('written', 'x')", "select edit('x')", "select * from fsdir('.')", "select * from zipfile('x')",
    "select * from sqlite_dbpage", "select * from dbstat", "select * from sqlite_stmt", "select * from generate_series(1, 3)",
    ".shell touch written", ".read /etc/passwd",
)  # fmt: skip


@pytest.fixture
def untouched(two: Telemetry) -> Iterator[Telemetry]:
    """The two runs, of which no byte may change; nor may a file appear beside the base."""
    before, beside = two.files(), sorted(path.name for path in Path(two.home).iterdir())
    yield two
    assert two.files() == before
    assert sorted(path.name for path in Path(two.home).iterdir()) == beside
    assert list(two.cwd.iterdir()) == []


@pytest.mark.parametrize("statement", [*WRITES, *FUNCTIONS])
def test_forbidden(untouched: Telemetry, statement: str) -> None:
    ran = untouched("sql", statement, code=None)
    # What is not allowed in the state of the connection, or not in SQL at all, may be found first.
    assert ran.code == 6 or (
        ran.code == 2 and ("no such" in ran.err or "may not be modified" in ran.err)
    ), ran
    assert "SQL" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("statement", UNKNOWN)
def test_not_even_known(untouched: Telemetry, statement: str) -> None:
    ran = untouched("sql", statement, code=None)
    assert ran.code in (2, 6)
    assert ran.out == ""


SEEDS = (
    "' OR 1=1 --", "'; DROP TABLE agent_runs; --", '" OR ""="', "1); DELETE FROM agent_runs; --", "') UNION SELECT sql FROM sqlite_schema --",
    "1 UNION SELECT 1",
    "x' AND load_extension('/tmp/x') --", "; ATTACH '/tmp/x' AS y", "/*", "*/", "--", "`", "[", "]", "\\", "%", "_", "\x1b[31m", "NULL",
    "id; VACUUM", "id DESC, (SELECT 1)",
    "created_at COLLATE NOCASE", "case when 1 then id end", "0x10", "1e3", "-1", "9223372036854775808", "randomblob(1000000000)", "(select 1)", "?1",
    ":a", "@last", "agent_name,--",
    "event_id from agent_runs --", "pragma_table_info", "\n;\n", "\t", "１", "é'", "\udcff", "🙂", "${IFS}", "$(id)", "{0}", "%s%n",
)  # fmt: skip
DATA_OPTIONS = ("--agent-name", "--job-type", "--status", "--product", "--parent", "--commit", "--repo", "--branch", "--since", "--until", "--created-after",
                "--created-before", "--start-time-from", "--start-time-to")  # fmt: skip
QUERY_OPTIONS = (*DATA_OPTIONS, "--where", "--sort", "--limit", "--offset", "--columns", "-o")
#: Where a payload is plain text that no run has: the answer is no run, never all of them.
TEXTS = ("--agent-name", "--job-type", "--product", "--branch")


def payloads(number: int) -> list[str]:
    """Payloads made of the seeds, always the same ones."""
    chance = random.Random(21)
    made = [*SEEDS]
    while len(made) < number:
        parts = chance.choices(SEEDS, k=chance.randint(2, 4))
        made.append(chance.choice(("", " ", "'", ") ", "\n")).join(parts))
    return made


PAYLOADS = payloads(200)


@pytest.mark.heavy
@pytest.mark.parametrize("number", range(10))
def test_payloads(untouched: Telemetry, number: int) -> None:
    """A tenth of the payloads, each in every place in turn: in `--where` and `sql` always, in the other options one after another."""
    for index in range(number, len(PAYLOADS), 10):
        payload = PAYLOADS[index]
        chosen = [QUERY_OPTIONS[(index * 3 + step) % len(QUERY_OPTIONS)] for step in range(3)]
        calls = [
            ("query", f"--where={payload}"),
            ("sql", "--", payload),
            ("stats", f"--by={payload}"),
            ("sql", "select 1", f"--timeout={payload}"),
        ]
        calls += [
            ("query", f"{option}={payload}" if option != "-o" else f"-o{payload}")
            for option in chosen
        ]
        calls += [
            ("stats", f"{DATA_OPTIONS[index % len(DATA_OPTIONS)]}={payload}"),
            ("query", f"{TEXTS[index % len(TEXTS)]}={payload}", "--count"),
        ]
        for argv in calls:
            ran = untouched(*argv, code=None)
            assert ran.code in DOCUMENTED, (argv, ran)
            assert ran.code == 0 or ran.err, (argv, ran)
            assert all(char.isprintable() or char == "\n" for char in ran.out + ran.err), (
                argv,
                ran,
            )
        assert ran.line == "0" or ran.code == 2


@pytest.mark.heavy
@pytest.mark.parametrize("option", TEXTS)
def test_payloads_that_are_plain_text(untouched: Telemetry, option: str) -> None:
    for payload in SEEDS[:20]:
        assert untouched("query", f"{option}={payload}", "--count").line == "0"


@pytest.mark.heavy
@pytest.mark.parametrize("option", ["--sort", "--limit", "--offset", "--columns"])
def test_payloads_that_are_refused(untouched: Telemetry, option: str) -> None:
    for payload in SEEDS[:20]:
        assert option in untouched("query", f"{option}={payload}", code=2).err


@pytest.mark.parametrize(
    "value",
    [
        "'text'",
        "char(27) || '[31m' || char(8238) || '[/nope]'",
        "1.5",
        "1e999",
        "null",
        "x'00ff'",
        "-3",
        "''",
    ],
)
def test_a_column_means_nothing_by_its_name(two: Telemetry, value: str) -> None:
    """Tables of runs show some fields in a way of their own; here whoever asks has made up the names."""
    names = (
        "status", "duration_ms", "p50_ms", "success_rate", "share", "trend", "git_commit_hash", "commit_hash", "commit_url", "event_id", "group",
        "start_time", "updated_at", "items_failed", "value", "agent_name", "at", "end_time", "payload_json",
    )  # fmt: skip
    out = two("sql", "select " + ", ".join(f'{value} as "{name}"' for name in names)).out
    assert all(char.isprintable() or char == "\n" for char in out)


def test_numbers_are_aligned_by_their_last_digit(two: Telemetry) -> None:
    lines = two(
        "sql", "select 1 as number, 'a' as word union all select 1000, 'b'"
    ).out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["1", "1000"]
    assert lines[2].startswith("     1")


#: A few hundred texts of a megabyte, all of which stand in memory at the same time.
WIDE = [f"replace(printf('%.1000000c', 'x'), 'x', char({number} + 65))" for number in range(400)]


def test_statement_that_takes_too_much_memory_is_refused(two: Telemetry) -> None:
    ran = two("sql", f"SELECT {', '.join(WIDE)}", code=2)
    assert "error: SQL: needs more than 256 MiB of memory" in ran.err
    ran = two(
        "query",
        "--where",
        f"(SELECT {' + '.join(f'length(max({text}))' for text in WIDE)} FROM agent_runs) > 0",
        code=2,
    )
    assert "error: --where: needs more than 256 MiB of memory" in ran.err
