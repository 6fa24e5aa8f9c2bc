"""Generated argv: every command with its own options, some of others, and values that are right, odd or hostile.

Nothing here blocks or leaves the folder that it is run in: `--watch` is left out, `run exec` is given harmless commands, and no path of the values can be
made above the folder's parent.
"""

import random
from collections.abc import Iterator

from telemetry_cli.core.tables import COMMANDS, FLAG

#: What is no command, or less than one, besides those that are; `_complete` is what the shells' completion calls.
PATHS = [
    *sorted(COMMANDS),
    (),
    ("run",),
    ("db",),
    ("hooks",),
    ("nope",),
    ("run", "nope"),
    ("_complete", "bash"),
    ("_complete", "zsh", "query"),
]
EXEC = ("run", "exec")
#: What `run exec` starts; the PATH of these tests has git and `true`, and nothing else.
CHILDREN = [["true"], ["true", "--", "\udcff"], ["nonexistent"], ["/dev/null/below"], ["."], [""]]
NEVER = {"--watch"}
STRAY = [
    "--",
    "-",
    "--nope",
    "-x",
    "-xyz",
    "--help",
    "-h",
    "--version",
    "--=",
    "---",
    "--output=",
    "-o=json",
    "--js",
    "\udcff",
    "--\udcff",
]
LEADING = [
    ["--db", "x.sqlite"],
    ["--db="],
    ["--db"],
    ["--base-dir=b"],
    ["--base-dir", "/dev/null/below"],
    ["--base-dir", "x" * 300],
    ["--base-dir", "\udcff"],
]

#: What an option or a positional of this name takes; of those not named here, any of `WORDS`.
RIGHT = {
    **dict.fromkeys(("run", "--run", "--parent"), ("known-run", "known-child", "know", "@last", "@last:tester", "@current")),
    **dict.fromkeys(("--status",), ("success", "failed", "running", "partial")),
    **dict.fromkeys(("-o", "--output"), ("json", "json", "json", "jsonl", "table", "table", "csv", "ids", "text", "env")),
    **dict.fromkeys(("--since", "--until", "--created-after", "--created-before", "--start-time-from", "--start-time-to", "--older-than"),
                    ("2h", "today", "yesterday", "2026-01-01", "2027-01-01T00:00:00Z", "90d")),
    **dict.fromkeys(("--start-time", "--end-time", "--timestamp"), ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00.5+02:00")),
    **dict.fromkeys(("--metrics", "--context", "--config", "--payload"), ("{}", '{"a":1}', "@contract.json", "-")),
    **dict.fromkeys(("--commit", "revisions", "range_"), ("HEAD", "HEAD~1", "HEAD~1..HEAD", "0123456", "main")),
    **dict.fromkeys(("--retries", "--limit", "--offset", "--duration-ms", "--exit-code", "--to", "--if-live", "--attempt", "--at", "--at-version",
                     "version", "a", "b"),
                    ("0", "1", "2", "7")),
    **{f"--items-{what}": ("0", "7") for what in ("discovered", "succeeded", "failed", "skipped")},
    **dict.fromkeys(("--sort", "--by"), ("created_at", "status", "agent_name", "duration_ms")),
    **dict.fromkeys(("hook", "names"), ("score",)),
    **dict.fromkeys(("--input", "file", "to", "backup"), ("runs.ndjson", "file", "convention.toml", "new.sqlite", "backup.sqlite", ".", "-")),
    "-m": ("a=1", "a=b"), "--columns": ("event_id,status", "event_id"), "--where": ("status = 'running'", "duration_ms > 1"),
    "--source": ("manual", "ci"), "--role": ("produced", "base"), "--repo": (".", "main"), "--format": ("ndjson", "json", "csv", "sqlite"),
    "--timeout": ("30s", "10s"), "--memory": ("128m",), "--max-memory": ("1g",), "--script": ("score.py",), "--contract": ("contract.json",),
    "slug": ("scored-builds",), "shell": ("bash", "zsh"), "release": ("score@1",), "statement": ("SELECT 1", "SELECT * FROM agent_runs"),
    "--lines": ("1,2",), "-L": ("1,1",), "row_id": ("1",), "event_type": ("step",), "--tail": ("10",), "--event-id": ("mine", "auto", "known-run"),
    "--search": ("tester",),
}  # fmt: skip
WORDS = [
    "tester",
    "job",
    "a",
    "main",
    "step",
    "post-commit",
    "post-rewrite",
    "out.ndjson",
    "out.csv.gz",
    "score",
    "0",
    "2026-01-01",
]
#: Where `export` writes.
TARGETS = ["-", "out.ndjson", "out.csv.gz", "out.json"]
HOSTILE = [
    "", " ", "\n", "-1", "00", "+1", "1_0", "٣", "1e3", "1.5", "nan", "NaN", "inf", "1e999", "9223372036854775807", "9223372036854775808",
    "-9223372036854775809", "9" * 400, "9" * 5000, "@", "@x", "@@", "@last:", "@/dev/null/below", "@.", "@-", "-", "--", "=", "=1", "a=", "a=\udcff",
    "a=NaN", "a=[", '{"a":NaN}', '{"a":1,"a":2}', '{"a":"\\ud800"}', '{"a":9223372036854775808}', "[" * 3000, '{"a":' * 3000, "[1]", "null",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00", "0000-00-00", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z",
    "2026-01-01T00:00:00+99:99", "99999999999999999999d", "-2h", "1e9d", "\x1b[31m", "\x01", "\x7f", "\x9b", "\u202e", "\ufeff", "[/red]", "[bold]", "'",
    '"', ";", "`", "$(x)", "%s", "{0}", "\\", "\t", "\r", "\udcff", "\udced\udca0\udc80", "x\udcfe.json", "ä😀", "\U0010ffff", "x" * 300, "x" * 100_000,
    "x/" * 3000, "../..", "/dev/null/below", "/proc/nowhere", "~nobody-at-all", "*", "?", "HEAD~99999", "HEAD^{tree}", "-n", "...", "A..B", "@{u}", ":/",
    "0" * 40, "g" * 40, "score@", "score@0", "score@99999999999999999999", "1 = 1; DROP TABLE agent_runs", "(", "abs(-9223372036854775808)",
    "no_such_column", '"no_such_column"', "zeroblob(9999999999)", "SELECT", "SELECT 1; SELECT 2", "ATTACH 'x' AS y", "PRAGMA user_version = 9",
    "SELECT zeroblob(2000000000)", "SELECT '\udcff'", "NULL", "x AND", "event_id LIKE '%' ESCAPE 'xx'",
]  # fmt: skip


def generated(seed: int, count: int) -> Iterator[list[str]]:
    """So many argv, the same ones for each seed. What is not UTF-8 in them stands as lone surrogates, as in `sys.argv`."""
    draw = random.Random(seed)
    for _ in range(count):
        path = draw.choice(PATHS)
        # Else nearly every one of many options would be refused for its neighbour.
        hostility = draw.choice((0.0, 0.05, 0.3, 0.9))
        groups = [_option(draw, path, hostility) for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 5)))]
        groups += (
            [["--to", draw.choice(TARGETS)]] if path == ("export",) and draw.random() < 0.8 else []
        )
        groups += (
            [["--agent-name", "a", "--job-type", "j"]]
            if path == ("run", "start") and draw.random() < 0.8
            else []
        )
        groups += [[draw.choice(STRAY)]] if draw.random() < 0.06 else []
        positionals = (
            [_value(draw, name, hostility) for name, *_ in COMMANDS[path][2] if draw.random() < 0.9]
            if path in COMMANDS and path != EXEC
            else []
        )
        draw.shuffle(groups)
        leading = draw.choice(LEADING) if draw.random() < 0.04 else []
        child = ["--", *draw.choice(CHILDREN)] if path == EXEC and draw.random() < 0.9 else []
        # Behind the first word of a rest, what looks like an option is a word.
        words = [word for group in groups for word in group]
        yield [
            *leading,
            *path,
            *(words + positionals if draw.random() < 0.7 else positionals + words),
            *child,
        ]


def _option(draw: random.Random, path: tuple[str, ...], hostility: float) -> list[str]:
    """An option, mostly one of the command's own, with a value where it takes one, and sometimes where it does not."""
    own = (
        path
        if path in COMMANDS and draw.random() < 1 - hostility / 5
        else draw.choice(sorted(COMMANDS))
    )
    options = COMMANDS[own][1]
    if not options:
        return []
    name = draw.choice(sorted(options.keys() - NEVER))
    chance = draw.random()
    if options[name][1] == FLAG and chance < 0.97:
        return [name]
    if chance < 0.02:
        return [name]
    value = _value(draw, name, hostility)
    return [f"{name}={value}"] if name.startswith("--") and chance < 0.3 else [name, value]


def _value(draw: random.Random, name: str, hostility: float) -> str:
    return draw.choice(HOSTILE if draw.random() < hostility else RIGHT.get(name, WORDS))
