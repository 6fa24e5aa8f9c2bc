"""Runs the program in forks of a process that has imported it, so that a call costs no start-up.

Started by `support.py` as a script: `python fork_server.py SOCKET`. A request is a JSON object with
argv, env and cwd, sent with the descriptors of stdin, stdout and stderr; the answer is the exit code.
Every call is a process of its own: it has its own environment, directory, descriptors and signals.
"""

import functools
import gc
import json
import os
import pkgutil
import signal
import socket
import sys
import traceback

import typer.main

from telemetry_cli.__main__ import program
from telemetry_cli.cli import commands, output
from telemetry_cli.cli.app import UsageError
from telemetry_cli.cli.app import parse as parse_with_typer

#: Exit code of a call that raised instead of exiting.
RAISED = 99


def import_all() -> None:
    """Import every handler and renderer, and build Typer's commands once."""
    typer.main.get_command = functools.cache(typer.main.get_command)
    for package in (commands, output):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            __import__(module.name)
    try:
        parse_with_typer(["query", "--no-such-option"])
    except UsageError:
        gc.freeze()


def run_program(request: bytes, descriptors: list[int]) -> None:
    """Become the installed program with these streams; never return."""
    try:
        asked = json.loads(request)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, 64)
        os.environ.clear()
        os.environ.update(asked["env"])
        os.chdir(asked["cwd"])
        sys.argv = ["telemetry", *asked["argv"]]
        program()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(RAISED)


def serve(connection: socket.socket) -> None:
    """Run one call in a child, and answer with its exit code; -N for signal N."""
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    size = int(request[:8], 16)
    while len(request) < size + 8:
        request += connection.recv(1 << 20)
    child = os.fork()
    if not child:
        run_program(request[8:], descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(b"%d\n" % code)


def main(path: str) -> None:
    """Answer calls, each in a process of its own, until the parent closes stdin."""
    import_all()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if not os.fork():
            # Ends the server when the test process is gone.
            sys.stdin.buffer.read()
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            connection, _ = listener.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                serve(connection)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
