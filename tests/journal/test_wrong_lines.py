"""Journal lines with right CRCs and wrong content: rejected, kept, and in nobody's way.

The lines are those of real commands, changed at random from a fixed seed. `TELEMETRY_TESTS_LONG=1` tries about ten times as many.
"""

import json
import os
import random
import shutil
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry
from support.hooks import SCORE, Hooks
from support.records import LEAST
from support.storage import append, create, ids, journal_lines

from telemetry_cli.cli.commands import rows
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import NotFound, TelemetryError
from telemetry_cli.database import apply as applying
from telemetry_cli.database import commits, hook_runs, hooks, runs
from telemetry_cli.database.database import result_of, translated
from telemetry_cli.database.filters import RunFilter
from telemetry_cli.journal import blobs
from telemetry_cli.journal import segments as journal

LONG = bool(os.environ.get("TELEMETRY_TESTS_LONG"))
OPERATIONS = 50_000 if LONG else 5000
#: Bases with wrong lines, and how many lines each has: every command is run on each.
BASES, LINES = (40, 250) if LONG else (2, 300)
SEED = 20_260_131

KINDS = [*applying._HANDLERS, *applying._LARGE, *applying._SLOW, "journal.header"]
CONVENTION = """title = "Scored builds"
description = "What a build is worth."
job_types = ["job"]
[schema]
id = "builds"
version = 1
fields = [{ name = "tokens", type = "integer" }]
[[hooks]]
name = "score"
script = "score.py"
contract = { columns = [{ name = "score", type = "real", required = true }] }
config = { weights = [1, 2] }
source_ref = "tests"
"""


#: What stands for lists in lists until all is text: Python could neither copy nor write them.
DEEP = {
    f"<{levels} levels>": b"[" * levels + b"]" * levels
    for levels in (20, 99, 105, 300, 900, 100_000)
}
#: What takes the place of a value. None of it is what belongs there, or hardly ever.
STRANGE: list[object] = [
    None, True, False, 0, -1, 1.5, 1e308, 2**63 - 1, 2**63, 10**40, float("nan"), float("inf"), "", " ", "x", "\0", "\ud800", "a\udfffb", "é" * 300,
    "@last", "@current", "-", "run-1", "2026-13-45T99:99:99.999Z", "0000-00-00T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-01-31", "success",
    [], {}, [[]], [{}], [None], [1], ["a"], [["0755"]], [["a", "b", "c"]], {"a": 1}, {"columns": [1]}, {"name": []}, {"": None}, {"sha256": 5},
    *DEEP,
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """A base whose journal has an operation of every kind."""
    telemetry = Telemetry(tmp_path_factory.mktemp("whole"))
    telemetry.start("--event-id", "run-1", "--no-git", "--metrics", '{"tokens": {"in": [1, 2]}}')
    telemetry.start("--event-id", "run-2", "--no-git", "--parent", "run-1")
    telemetry("run", "update", "run-1", "--product", "p", "--context", '{"a": {"b": null}}')
    telemetry("run", "event", "step", "--run", "run-1", "--payload", '{"a": [1]}')
    telemetry("run", "end", "run-1", "--error-details", "it broke")
    telemetry("associate-commit", "run-1", "--commit", "abcdef1", "--children", "--no-git")
    hooks = Hooks(telemetry)
    hooks.program("score.py", SCORE % 1)
    (hooks.folder / "convention.toml").write_text(CONVENTION)
    telemetry("conventions", "deploy", str(hooks.folder / "convention.toml"))
    folder = hooks.folder / "folder"
    folder.mkdir()
    shutil.copy(hooks.program("hook", SCORE % 2), folder / "run")
    telemetry("hooks", "release", "score", "--script", str(folder), "--source-ref", "tests")
    telemetry("hooks", "rollback", "score")
    telemetry("hooks", "run", "score")
    (hooks.folder / "runs.ndjson").write_text(
        json.dumps(LEAST | {"events": [{"event_type": "e", "timestamp": LEAST["start_time"]}]})
        + "\n"
    )
    telemetry("import", str(hooks.folder / "runs.ndjson"))
    telemetry("db", "prune", "--older-than", "3650d")
    now, open_here = (
        "2026-01-31T12:00:00.000Z",
        {
            "git_dir": "/r/.git",
            "host": "h",
            "boot_id": "b",
            "since": "2026-01-31T00:00:00.000Z",
            "gone": [],
        },
    )
    otherwise = {
        "schema_version": 11,
        "event_id": "made",
        "run_id": "made",
        "agent_name": "git",
        "job_type": "commit",
        "status": "running",
        "start_time": now,
    }
    commit = {"commit_hash": "1234567", "role": "produced", "source": "manual", "timestamp": now}
    telemetry.append("commit.associate", now, open=open_here, otherwise=otherwise, **commit)
    telemetry.append(
        "commit.rewrite",
        now,
        pairs=[["abcdef1", "fedcba9"]],
        facts={"fedcba9": {"author": "Ada", "timestamp": now}},
    )
    telemetry("db", "drain")
    assert {operation["op"] for operation in operations(telemetry)} == set(KINDS)
    assert telemetry.sql("SELECT message FROM rejected_ops") == []
    return telemetry


def operations(telemetry: Telemetry) -> list[dict[str, Any]]:
    """Return the operations of a journal."""
    return [operation for operation in map(journal.decode, journal_lines(telemetry)) if operation]


# Changing them


Place = tuple[Any, Any]


def places(value: object) -> Iterator[Place]:
    """Yield every (list or object, key) in a value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield value, key
        yield from places(item)


class Changer:
    """Makes wrong operations of right ones."""

    def __init__(self, seed: int, found: list[dict[str, Any]]) -> None:
        self._random = random.Random(seed)
        by_kind = {str(operation["op"]): operation for operation in found}
        # Every kind as often as any other.
        self._of_kind = [
            [operation for operation in found if operation["op"] == kind] for kind in by_kind
        ]

    def line(self) -> bytes:
        """Return the journal line of a wrong operation, its CRC right."""
        chosen = self._random
        operation = deepcopy(chosen.choice(chosen.choice(self._of_kind)))
        operation["op_id"] = f"{chosen.getrandbits(128):032x}"
        # No kind or version of a newer telemetry, which would stop what is applied, as it should.
        if chosen.random() < 0.1:
            operation["op"] = chosen.choice(KINDS)
        for _ in range(chosen.choice((1, 1, 1, 2, 4))):
            self._change(operation)
        body = json.dumps(operation, separators=(",", ":"))[:-1].encode()
        for name, lists in DEEP.items():
            body = body.replace(f'"{name}"'.encode(), lists)
        return b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body))

    def _change(self, operation: dict[str, Any]) -> None:
        chosen = self._random
        if chosen.random() < 0.05:
            operation[chosen.choice(("op_id", "at", "actor", "data"))] = deepcopy(
                chosen.choice(STRANGE)
            )
            return
        found = list(places(operation["data"]))
        if not found:
            return
        parent, key = chosen.choice(found)
        how = chosen.random()
        if how < 0.15:
            del parent[key]
        elif how < 0.25:
            other, name = chosen.choice(found)
            parent[key] = deepcopy(other[name])
        elif how < 0.3 and isinstance(parent, dict):
            parent[
                chosen.choice(("", "\ud800", "event_id", "run", "artifact", "blob", "releases"))
            ] = deepcopy(chosen.choice(STRANGE))
        else:
            parent[key] = deepcopy(chosen.choice(STRANGE))


# In this process


def content(config: Config, digest: str) -> Iterator[bytes]:
    """Return the lines of a blob as whoever applies an operation reads them."""
    try:
        yield from blobs.lines(config, digest)
    except NotFound as error:
        raise TelemetryError(error.message, error.hint) from None


def read_all(db: sqlite3.Connection) -> None:
    """Read every row as the commands do that show them."""
    guard = translated("the database")
    for run in runs.select(db, RunFilter(), guard):
        rows.convert_run(run, {})
        list(map(rows.convert_event, runs.events(db, str(run["event_id"]))))
        runs.tree(db, str(run["event_id"]))
    commits.ledger(db, "run-1")
    hooks.conventions(db)
    for hook in hooks.hooks(db):
        hooks.history(db, str(hook["name"]))
        hooks.pointer_log(db, str(hook["name"]))
        columns = [str(name) for name in hook["columns"]]  # type: ignore[attr-defined]
        list(
            hook_runs.select_features(
                db, str(hook["name"]), columns, guard, expression="row_id > 0"
            )
        )
    list(hook_runs.listing(db, None))


def test_wrong_lines_are_applied_or_rejected_one_by_one(
    whole: Telemetry, record_property: Callable[[str, object], None]
) -> None:
    config = Config(base_dir=str(whole.base))
    db = sqlite3.connect(":memory:", isolation_level=None)
    with sqlite3.connect(whole.database) as source:
        source.backup(db)
    db.execute("PRAGMA foreign_keys = ON")
    changer = Changer(SEED, operations(whole))
    became: Counter[str] = Counter()
    for number in range(OPERATIONS):
        line = changer.line()
        operation = journal.decode(line)
        if operation is None:
            became["unreadable"] += 1
            continue
        db.execute("BEGIN")
        try:
            for one in (operation, journal.decode(create(number, f"next-{number}"))):
                assert one
                applying.apply(db, one, line, partial(content, config))
            db.row_factory = sqlite3.Row
            code = result_of(db, str(operation["op_id"]))[0]  # type: ignore[index]
            became["rejected" if code else "applied"] += 1
            if not code:
                read_all(db)
            assert result_of(db, f"{number:032x}")[1]["status"] == "created"  # type: ignore[index]
        except Exception as error:
            raise AssertionError(f"number {number}: {line[:2000]!r}") from error
        finally:
            db.row_factory = None
            db.execute("ROLLBACK")
    db.close()
    record_property("seen", f"{OPERATIONS} operations: {dict(became)}")
    assert min(became[name] for name in ("unreadable", "rejected", "applied")) > OPERATIONS / 50


# Through the program

COMMANDS = [
    ("query", "--limit", "0", "-o", "json"),
    ("query",),
    ("status",),
    ("stats", "--by", "job_type"),
    ("run", "show", "run-1"),
    ("run", "tree", "run-1"),
    ("commits", "run-1"),
    ("hooks", "list"),
    ("hooks", "show", "score", "-o", "json"),
    ("hooks", "history", "score"),
    ("hooks", "runs"),
    ("hooks", "run", "score"),
    ("features", "query", "score", "--where", "score > 0"),
    ("conventions", "list"),
    ("conventions", "check", "scored-builds"),
    ("metadata",),
    ("export", "--to", "-"),
    ("doctor",),
    ("redact", "--scan"),
    ("redact", "--fix"),
    ("db", "backup"),
    ("db", "rebuild"),
    ("doctor",),
    ("db", "prune", "--older-than", "3650d"),
    ("db", "vacuum"),
    ("associate-commit", "last-word", "--commit", "7654321", "--no-git"),
    ("run", "end", "last-word"),
    ("run", "reap", "--older-than", "1d"),
]


@pytest.mark.parametrize("number", range(BASES))
def test_no_command_meets_a_defect_in_a_journal_of_wrong_lines(
    whole: Telemetry, number: int, tmp_path: Path
) -> None:
    telemetry = Telemetry(tmp_path)
    shutil.copytree(whole.base, telemetry.base)
    changer = Changer(SEED + 1 + number, operations(whole))
    append(telemetry, *(changer.line() for _ in range(LINES)), create(1, "last-word"))
    found = {}
    for argv in COMMANDS:
        ran = telemetry(*argv, code=None)
        if ran.code not in (0, 1, 3) or "Exception ignored" in ran.err:
            found[argv] = ran
    assert found == {}
    assert telemetry.run("last-word")["status"] == "success"


# Known ones

WRONG: list[tuple[str, dict[str, object]]] = [
    ("run.create", {"run_id": []}),
    ("run.create", {"event_id": {"a": 1}}),
    ("run.create", {"host": "\ud800"}),
    ("run.create", {"start_time": "2026-13-45T99:99:99.999Z"}),
    ("run.create", {"metrics": [1]}),
    ("run.event", {"run": ["run-1"]}),
    ("run.event", {"timestamp": "2026-02-30T00:00:00.000Z"}),
    ("hook.release", {"artifact": [["0755"]]}),
    ("hook.release", {"artifact": [1]}),
    ("hook.release", {"argv": {"a": 1}}),
    ("hook.release", {"limits": []}),
    (
        "hook.release",
        {
            "contract": {"columns": [{"name": 'x" --', "type": "text"}], "cardinality": "one"},
            "hook": "other",
        },
    ),
    ("convention.deploy", {"document": {}}),
    ("convention.deploy", {"releases": 5}),
    ("hook.finish", {"blob": "../../etc/passwd"}),
    ("runs.import", {"blob": None}),
]


def test_operations_with_something_else_in_a_field_are_rejected(
    whole: Telemetry, tmp_path: Path
) -> None:
    telemetry = Telemetry(tmp_path)
    shutil.copytree(whole.base, telemetry.base)
    lines = []
    for number, (kind, data) in enumerate(WRONG, 100):
        right = next(operation for operation in operations(whole) if operation["op"] == kind)
        wrong = {
            "op": kind,
            "at": right["at"],
            "actor": right["actor"],
            "data": {**right["data"], "event_id": f"wrong-{number}", **data},
        }
        lines.append(journal.encode({"op_id": f"{number:032x}", **wrong}))
    append(telemetry, *lines, create(1, "behind"))
    assert "behind" in ids(telemetry)
    refused = [(f"{number:032x}", kind) for number, (kind, _) in enumerate(WRONG, 100)]
    for again in (("redact", "--scan"), ("redact", "--fix"), ("db", "rebuild")):
        assert telemetry.sql("SELECT op_id, kind FROM rejected_ops") == refused
        telemetry(*again)
    assert "runs.import was refused" in telemetry("doctor").out
    assert "behind" in ids(telemetry)


UNWRITTEN = {
    "a lone surrogate": (b'"op_id":"', b'"op_id":"\\ud800'),
    "no actor": (b'"actor":"', b'"actor":null,"who":"'),
    "too deep": (b'"data":{', b'"data":{"deep":' + b"[" * 500 + b"]" * 500 + b","),
    "deeper than can be read": (
        b'"data":{',
        b'"data":{"deep":' + b"[" * 200_000 + b"]" * 200_000 + b",",
    ),
    "NaN": (b'"data":{', b'"data":{"number":NaN,'),
    "not JSON": (b'"data":{', b'"data":[{'),
    "another version": (b'{"v":1,', b'{"v":true,'),
}


def test_lines_that_no_telemetry_writes_are_damaged_ones(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "before")
    for number, (was, now) in enumerate(UNWRITTEN.values(), 100):
        body = create(number, f"wrong-{number}").rpartition(b',"crc"')[0]
        assert was in body
        body = body.replace(was, now, 1)
        append(telemetry, b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body)))
    append(telemetry, create(1, "behind"))
    assert ids(telemetry) == ["before", "behind"]
    for argv in (("redact", "--scan"), ("redact", "--fix"), ("db", "rebuild")):
        assert telemetry.sql("SELECT kind FROM rejected_ops") == [("damaged",)] * len(UNWRITTEN)
        telemetry(*argv)
    assert telemetry("doctor", code=1).out.count("a damaged line") == len(UNWRITTEN)
    assert ids(telemetry) == ["before", "behind"]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"op": ["run.create"]},
        {"op": "run.create", "op_id": {}},
        {"op": "run.create", "data": []},
    ],
    ids=str,
)
def test_a_line_of_a_newer_version_stops_what_is_applied_whatever_it_holds(
    telemetry: Telemetry, parts: dict[str, object]
) -> None:
    telemetry.start("--event-id", "before")
    body = json.dumps({"v": 2, **parts}, separators=(",", ":"))[:-1].encode()
    append(telemetry, b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body)))
    ran = telemetry("query", "-o", "ids")
    assert (ran.line, "made by a newer telemetry" in ran.err) == ("before", True)
    assert "buffered" in telemetry("run", "end", "before").err
    for argv in (("redact", "--scan"), ("doctor",), ("db", "rebuild"), ("status",)):
        assert telemetry(*argv, code=None).code in (0, 1)
