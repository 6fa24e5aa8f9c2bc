"""Runs the program for each of many argv, in forks of one process that has imported it already; started as a script, never imported.

    python forking.py CALLS RESULTS BEGINNING SCRATCH FOLDER

CALLS is a JSON array of argv, RESULTS becomes one of `[code, stdout, stderr]`; a call that outlives its deadline is killed, and -9. SCRATCH is made
again from BEGINNING every few calls; each runs in FOLDER below it, with nothing on stdin.
"""

import functools
import gc
import json
import os
import pkgutil
import shutil
import signal
import sys
import traceback
from pathlib import Path

import typer.main

from telemetry_cli.__main__ import program
from telemetry_cli.cli import commands
from telemetry_cli.cli import output as render
from telemetry_cli.cli.app import UsageError
from telemetry_cli.cli.app import parse as parse_with_typer

#: What a call may take, on a machine that is busy. Each waits a few seconds at most for any lock.
DEADLINE_SECONDS = 60
#: How many calls follow each other on what the ones before have left.
CALLS_TO_A_SCRATCH = 25
#: The exit code of a call that did not end through the door.
LEFT = 99


def import_all() -> None:
    """Import what any command may need, and have Typer build its commands, which takes longer than most of them, once and for all."""
    typer.main.get_command = functools.cache(typer.main.get_command)
    for package in (commands, render):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            __import__(module.name)
    try:
        parse_with_typer(["query", "--no-such-option"])
    except UsageError:
        gc.freeze()


def call(argv: list[str], out: Path, err: Path) -> int:
    """Run the program in a fork, its streams going to files, and return its exit code; -N for signal N."""
    pid = os.fork()
    if not pid:
        be_the_program(argv, out, err)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.alarm(DEADLINE_SECONDS)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(0)
    return code


def be_the_program(argv: list[str], out: Path, err: Path) -> None:
    """What the installed script does; never returns."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for descriptor, path in enumerate((Path(os.devnull), out, err)):
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, descriptor)
            os.close(opened)
        sys.argv = ["telemetry", *argv]
        program()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(LEFT)


def main(calls: Path, results: Path, beginning: Path, scratch: Path, folder: str) -> None:
    """Run every call and write what came of each."""
    import_all()
    out, err = results.with_suffix(".out"), results.with_suffix(".err")
    done = []
    for number, argv in enumerate(json.loads(calls.read_text())):
        if number % CALLS_TO_A_SCRATCH == 0:
            os.chdir("/")
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(beginning, scratch, symlinks=True)
            os.chdir(scratch / folder)
        code = call(argv, out, err)
        done.append(
            [code, *(path.read_bytes().decode(errors="surrogateescape") for path in (out, err))]
        )
    results.write_text(json.dumps(done))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
