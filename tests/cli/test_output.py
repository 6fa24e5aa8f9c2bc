"""What comes from outside, on its way to terminals and spreadsheets; colour; and json, which carries it unaltered."""

import csv
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from support import PROGRAM, Telemetry

#: Text that would move a cursor, colour a line, turn it round, or be read as rich markup.
HOSTILE = "a\x1b[31mb\x1b]0;t\x07c\x9b2Jd\x08e\x7ff\u202eg\u2066h\u200fi[red]j[/nope]k:smile:\ud7ff\ufeffl\r\tm\nn\u2028o\x85p"
FORBIDDEN = [
    *map(chr, (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029\ufeff",
]
TEXT_COLUMNS = [
    "agent_owner",
    "product",
    "product_family",
    "platform",
    "subdomain",
    "website",
    "website_section",
    "item_name",
    "host",
    "environment",
    "trigger_type",
    "insight_id",
    "source_ref",
    "target_ref",
    "input_summary",
    "output_summary",
    "error_summary",
    "error_details",
    "git_repo",
    "git_branch",
    "git_run_tag",
    "parent_run_id",
    "agent_name",
    "job_type",
]
COLOUR = "\x1b["


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """A run whose every text is hostile, with an event and a commit that are. Not to be written to."""
    program = Telemetry(tmp_path_factory.mktemp("hostile"))
    late = {"output_summary", "error_summary", "error_details"}
    options = {
        name: "--"
        + (name.removesuffix("_run_id") if name == "parent_run_id" else name).replace("_", "-")
        for name in TEXT_COLUMNS
    }
    program.start(
        "--event-id",
        "E1",
        *(word for name in TEXT_COLUMNS if name not in late for word in (options[name], HOSTILE)),
        "-m",
        f"{HOSTILE}={HOSTILE}",
    )
    program(
        "run",
        "end",
        "E1",
        *(word for name in late for word in (options[name], HOSTILE)),
        "--duration-ms",
        "1",
    )
    program(
        "run",
        "event",
        HOSTILE,
        "--run",
        "E1",
        "-m",
        f"{HOSTILE}={HOSTILE}",
        "--trace-id",
        HOSTILE,
        "--span-id",
        HOSTILE,
        "--parent-span-id",
        HOSTILE,
    )
    program("associate-commit", "E1", "--commit", "0123456", "--no-git", "--author", HOSTILE)
    return program


def controls(text: str, allowed: str = "\n") -> list[str]:
    return [char for char in FORBIDDEN if char in text and char not in allowed]


def on_terminal(
    telemetry: Telemetry, *argv: str, env: dict[str, str] | None = None, width: int = 200
) -> str:
    """What a call prints where stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    with telemetry.popen(
        *argv,
        env={"TERM": "xterm-256color", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        chunks = []
        while chunk := _read(ours):
            chunks.append(chunk)
        os.close(ours)
    assert process.returncode == 0, chunks
    return b"".join(chunks).decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO: the last writer closed it
        return b""


READS = [
    ("query",),
    ("query", "--absolute", "--columns", ",".join(["event_id", *TEXT_COLUMNS])),
    ("query", "--columns", "metrics_json,git_commit_author,run_id"),
    ("run", "show", "E1"),
    ("run", "events", "E1"),
    ("commits", "E1"),
    ("metadata",),
]


@pytest.mark.parametrize("argv", READS)
def test_tables_to_a_pipe(hostile: Telemetry, argv: tuple[str, ...]) -> None:
    shown = hostile(*argv)
    assert (controls(shown.out), controls(shown.err)) == ([], [])
    assert shown.out


@pytest.mark.parametrize("argv", READS)
def test_tables_on_a_terminal(hostile: Telemetry, argv: tuple[str, ...]) -> None:
    """Without colour nothing of ours holds a control byte either, so that whatever does came from outside."""
    assert controls(on_terminal(hostile, *argv, env={"NO_COLOR": "1", "TERM": "dumb"})) == []


@pytest.mark.parametrize("argv", READS)
def test_coloured_tables_hold_only_our_own_escapes(
    hostile: Telemetry, argv: tuple[str, ...]
) -> None:
    shown = on_terminal(hostile, *argv)
    assert ("\x1b[31mb" in shown, controls(shown, "\n\x1b")) == (False, [])


def test_markup_is_shown_as_it_is(hostile: Telemetry) -> None:
    shown = hostile("run", "show", "E1").out
    assert (
        "[red]j[/nope]k:smile:" in shown.replace("\n", ""),
        shown.count("[red]") >= len(TEXT_COLUMNS),
    ) == (True, True)


@pytest.mark.parametrize(
    "argv",
    [("query", "-o", "csv"), ("run", "events", "E1", "-o", "csv"), ("commits", "E1", "-o", "csv")],
)
def test_csv(hostile: Telemetry, argv: tuple[str, ...]) -> None:
    assert controls(hostile(*argv).out, "\n\r") == []
    assert [
        char
        for row in csv.reader(io.StringIO(hostile(*argv).out, newline=""))
        for value in row
        for char in controls(value)
    ] == []


@pytest.mark.parametrize(
    "argv",
    [
        ("query", "-o", "json"),
        ("query", "-o", "jsonl"),
        ("run", "show", "E1", "-o", "json"),
        ("run", "events", "E1", "-o", "json"),
    ],
)
def test_json_to_a_terminal_escapes_them(hostile: Telemetry, argv: tuple[str, ...]) -> None:
    assert controls(on_terminal(hostile, *argv)) == []


def test_json_is_unaltered(hostile: Telemetry) -> None:
    run = hostile.run("E1")
    (event,), (commit,) = run["events"], run["commits"]
    assert {name: run[name] for name in TEXT_COLUMNS} == dict.fromkeys(TEXT_COLUMNS, HOSTILE)
    assert (run["metrics_json"], event["payload_json"]) == ({HOSTILE: HOSTILE}, {HOSTILE: HOSTILE})
    assert [event[name] for name in ("event_type", "trace_id", "span_id", "parent_span_id")] == [
        HOSTILE
    ] * 4
    assert (commit["author"], run["git_commit_author"]) == (HOSTILE, HOSTILE)


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "show", HOSTILE),
        ("run", "end", HOSTILE),
        ("query", "--status", HOSTILE),
        ("query", "--sort", HOSTILE),
        ("query", "--columns", HOSTILE),
        ("query", "--since", HOSTILE),
        ("query", "-o", HOSTILE),
        ("query", f"--{HOSTILE}"),
        (HOSTILE,),
        ("run", HOSTILE),
        ("run", "update", "E1", "--metrics", HOSTILE),
        ("run", "update", "E1", "--metrics", f"@{HOSTILE}"),
        ("run", "update", "E1", "-m", HOSTILE),
    ],
)
def test_messages(hostile: Telemetry, argv: tuple[str, ...]) -> None:
    refused = hostile(*argv, code=None)
    assert refused.code in (2, 3)
    assert (refused.out, controls(refused.err)) == ("", [])


def test_text_of_a_write(telemetry: Telemetry) -> None:
    telemetry.start("--event-id", "E1")
    assert controls(telemetry("run", "event", HOSTILE, "--run", "E1").out) == []


# Spreadsheets


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_are_neutralised_in_csv_alone(telemetry: Telemetry, formula: str) -> None:
    telemetry.start(
        "--event-id",
        "E1",
        f"--product={formula}",
        "--agent-name",
        formula,
        "-m",
        "n=-1",
        "--run-id",
        "=r",
    )
    telemetry("run", "event", "--run", "E1", f"--trace-id={formula}", "--", formula)
    (row,) = csv.DictReader(io.StringIO(telemetry("query", "-o", "csv").out, newline=""))
    (event,) = csv.DictReader(
        io.StringIO(telemetry("run", "events", "E1", "-o", "csv").out, newline="")
    )
    assert [
        value[0]
        for value in (
            row["product"],
            row["agent_name"],
            row["run_id"],
            event["event_type"],
            event["trace_id"],
        )
    ] == ["'"] * 5
    assert (telemetry.run("E1")["product"], telemetry.run("E1")["agent_name"]) == (formula, formula)


def test_numbers_and_plain_text_are_left_alone_in_csv(telemetry: Telemetry) -> None:
    telemetry.start(
        "--event-id", "E1", "--product", "a=b", "--website", "'quoted'", "--items-failed", "3"
    )
    (row,) = csv.DictReader(io.StringIO(telemetry("query", "-o", "csv").out))
    assert (row["product"], row["website"], row["items_failed"]) == ("a=b", "'quoted'", "3")


# Colour


@pytest.mark.parametrize("argv", [("query",), ("run", "show", "known-run")])
def test_colour_follows_terminal_and_variables(shared: Telemetry, argv: tuple[str, ...]) -> None:
    assert COLOUR in on_terminal(shared, *argv)
    assert "\x1b[3" not in on_terminal(shared, *argv, env={"NO_COLOR": "1"})
    assert COLOUR not in shared(*argv).out
    assert COLOUR in shared(*argv, env={"FORCE_COLOR": "1"}).out
    assert "\x1b[3" not in shared(*argv, env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).out


@pytest.mark.parametrize("output", ["json", "jsonl", "csv", "ids"])
def test_machine_formats_are_never_coloured(shared: Telemetry, output: str) -> None:
    assert COLOUR not in on_terminal(shared, "query", "-o", output, env={"FORCE_COLOR": "1"})


@pytest.mark.parametrize("width", [10, 40, 80])
def test_a_table_fits_its_terminal(hostile: Telemetry, width: int) -> None:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(hostile, "query", width=width)).splitlines()
    assert [line for line in lines if len(line) > width] == []


def test_the_program_is_the_module(shared: Telemetry) -> None:
    module = subprocess.run(
        [str(PROGRAM.parent / "python"), "-m", "telemetry_cli", "query", "-o", "ids"],
        env=shared.env,
        cwd=shared.cwd,
        capture_output=True,
        check=True,
    )
    assert module.stdout == b"known-run\n"
