"""Ctrl-C at any moment, and every value option of every command with values that cannot be right."""

import random
import signal
import subprocess
import time

import pytest
from support import Git, Telemetry

from telemetry_cli.core import tables

DOCUMENTED = {0, 1, 2, 3, 4, 6, 75}
HOSTILE = (b"\xff", b"\x1b[31m", b"9" * 30, b"")


#: What makes a command whole, so that only the value in question can be wrong.
WHOLE = {
    ("associate-commit",): ("--commit", "abcdef1"), ("run", "update"): ("--product", "p"), ("doctor",): ("--commit", "HEAD"),
    ("export",): ("--to", "-", "--format", "ndjson"),
    ("hooks", "release"): ("--script", "known", "--source-ref", "tests", "--contract", "contract.json"),
}  # fmt: skip
#: What the positionals are where `known` will not do.
WORDS = {"version": b"1", "command": b"true"}


@pytest.mark.heavy
@pytest.mark.parametrize("path", sorted(tables.COMMANDS), ids=" ".join)
def test_no_value_of_any_option_is_a_defect_and_a_refusal_names_the_option(
    path: tuple[str, ...], telemetry: Telemetry
) -> None:
    telemetry.start("--event-id", "known")
    telemetry.env |= {
        "TELEMETRY_EVENT_ID": "known",
        "TELEMETRY_AGENT_NAME": "a",
        "TELEMETRY_JOB_TYPE": "j",
    }
    git = Git(telemetry.cwd, telemetry.home)
    git("init", "--quiet")
    (git.path / "known").write_text("#!/bin/sh\n")
    (git.path / "contract.json").write_text(
        '{"columns": [{"name": "v", "type": "text"}], "cardinality": "one"}'
    )
    git("add", "known")
    git.commit()
    _, options, positionals, _ = tables.COMMANDS[path]
    words = [WORDS.get(name, b"known") for name, required, _ in positionals if required]
    for name, (parameter, kind) in options.items():
        spellings = [spelling for spelling, (other, _) in options.items() if other == parameter]
        for value in HOSTILE if kind != tables.FLAG else ():
            # Before the words: one of them may be a command, whose options these would be.
            ran = telemetry(*path, *WHOLE.get(path, ()), name, value, *words, code=None)
            assert ran.code in DOCUMENTED, (name, value, ran)
            if ran.code == 2:
                assert any(spelling in ran.err for spelling in spellings), (name, value, ran)


def test_ctrl_c_at_any_moment_shows_no_traceback_of_ours(telemetry: Telemetry) -> None:
    """What the interpreter shows before our first lines have run, which see to it, is its own."""
    telemetry.start()
    pick = random.Random(7)
    for _ in range(60):
        process = telemetry.popen(
            "run",
            "start",
            "--agent-name",
            "a",
            "--job-type",
            "j",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        time.sleep(pick.uniform(0, 0.05))
        process.send_signal(signal.SIGINT)
        _, message = process.communicate()
        assert b"/telemetry_cli/" not in message.replace(b"/telemetry_cli/__main__.py", b""), (
            message.decode()
        )
        assert process.returncode in (0, -signal.SIGINT, 1, 130)
    assert telemetry("query").code == 0
