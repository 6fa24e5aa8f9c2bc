"""The same job by other tools: durably record one run from a shell one-liner, each in its own way.

Each is installed from the package index into an environment of its own below the data folder.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import (
    Command,
    CommandFailed,
    Measurement,
    Variant,
    measure,
    ratio,
    run,
    say,
)
from benchmarks.world import World

_MOST_PAIRS = 10
_WARMUPS = 2
_INSTALL_SECONDS = 900

#: A collector that otel-cli can send to; it acknowledges a span once it is in a file and flushed.
_COLLECTOR = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages, trace_service_pb2_grpc as service
spans = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
class Collector(service.TraceServiceServicer):
    def Export(self, request, context):
        os.write(spans, request.SerializeToString())
        os.fdatasync(spans)
        return messages.ExportTraceServiceResponse()
server = grpc.server(ThreadPoolExecutor(2))
service.add_TraceServiceServicer_to_server(Collector(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""
_TRACKIO = "import trackio; trackio.init(project='bench', embed=False, config={'job_type': 'bench'}); trackio.log({'items': 1}); trackio.finish()"


@dataclass(frozen=True)
class Peer:
    """A tool: its package, what else it needs, how it records one run, and what to know about that."""

    package: str
    also: tuple[str, ...]
    record: Callable[[World, Path, Path], Variant]
    how: str
    helper: str = ""


def _sqlite_utils(world: World, scripts: Path, folder: Path) -> Variant:
    def command(number: int) -> Command:
        run_file = folder / "run.json"
        run_file.write_text(
            json.dumps(
                {
                    "event_id": f"run-{number}",
                    "agent_name": "bench",
                    "job_type": "bench",
                    "status": "running",
                }
            )
        )
        argv = (
            str(scripts / "sqlite-utils"),
            "insert",
            str(folder / "runs.db"),
            "runs",
            "-",
            "--pk",
            "event_id",
        )
        return Command(argv, world.env, str(folder), stdin=str(run_file))

    return command


def _mlflow(world: World, scripts: Path, folder: Path) -> Variant:
    env = {
        **world.env,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return lambda _: Command(
        (str(scripts / "mlflow"), "runs", "create", "--experiment-id", "0", "--run-name", "bench"),
        env,
        str(folder),
    )


def _otel(world: World, scripts: Path, folder: Path) -> Variant:
    env = {
        **world.env,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{(folder / 'helper').read_text().strip()}",
    }
    return lambda _: Command(
        (str(scripts / "otel"), "span", "--service", "bench", "bench"), env, str(folder)
    )


def _llm(world: World, scripts: Path, folder: Path) -> Variant:
    return lambda _: Command(
        (str(scripts / "llm"), "--model", "echo", "bench"),
        {**world.env, "LLM_USER_PATH": str(folder)},
        str(folder),
    )


def _trackio(world: World, scripts: Path, folder: Path) -> Variant:
    env = {
        **world.env,
        "TRACKIO_DIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return lambda _: Command((str(scripts / "python"), "-c", _TRACKIO), env, str(folder))


PEERS = (
    Peer("sqlite-utils", (), _sqlite_utils, "`sqlite-utils insert` of one row from stdin"),
    Peer(
        "mlflow",
        (),
        _mlflow,
        "`mlflow runs create` into SQLite (mlflow-skinny refuses SQLite, and its file store without an opt-out)",
    ),
    Peer(
        "otel-cli",
        (),
        _otel,
        "`otel span` to a collector on the same machine that flushes before it acknowledges",
        _COLLECTOR,
    ),
    Peer(
        "llm",
        ("llm-echo",),
        _llm,
        "`llm --model echo`, which logs prompt and answer to SQLite; the model only echoes",
    ),
    Peer(
        "trackio",
        (),
        _trackio,
        "`python -c` with init, log and finish: it has no command that records",
    ),
)


def section(world: World, data: Path, pairs: int) -> str:
    """The comparison as markdown: each peer with its version, or why it could not be measured."""
    lines = [
        "## The same job by other tools",
        "",
        "Durably record one run from a shell one-liner; telemetry is `run start --no-git`.",
        "",
    ]
    lines += [
        "| tool | version | median | telemetry | ratio | quartiles | how |",
        "| --- | --- | --: | --: | --: | --: | --- |",
    ]
    for peer in PEERS:
        say(peer.package)
        try:
            version, measured = _measured(peer, world, data, min(pairs, _MOST_PAIRS))
        except (CommandFailed, OSError, subprocess.SubprocessError) as error:
            lines.append(f"| {peer.package} | | | | | | not measured: {_reason(error)} |")
            continue
        theirs, ours = measured.medians_ms
        quartiles = "{:.1f} to {:.1f}".format(*measured.quartiles or (0, 0))
        lines.append(
            f"| {peer.package} | {version} | {theirs:.0f} ms | {ours:.0f} ms | {measured.value:.1f}× | {quartiles} | {peer.how} |"
        )
    return "\n".join(lines) + "\n"


def _reason(error: Exception) -> str:
    stderr = getattr(error, "stderr", None)
    lines = (stderr or str(error)).strip().splitlines()
    return lines[-1][:200].replace("|", "\\|") if lines else type(error).__name__


def _measured(peer: Peer, world: World, data: Path, pairs: int) -> tuple[str, Measurement]:
    scripts = _installed(peer, data)
    version = world.answer(
        Command((str(scripts / "python"), "-c", _VERSION, peer.package), world.env, str(world.home))
    ).strip()
    folder, base = world.base(), world.base()
    folder.mkdir()
    with _helper(peer, world, scripts, folder):
        theirs = peer.record(world, scripts, folder)
        run(theirs(-1))  # it may make its database now
        return version, measure(
            (theirs, lambda _: world.start(base, "--no-git")), ratio, pairs, _WARMUPS
        )


def peer_program(package: str, world: World) -> Path:
    """A tool's own program; its environment is made if it is not there yet, beside the scratch folder."""
    peer = next(peer for peer in PEERS if peer.package == package)
    return _installed(peer, world.scratch.parent) / package


_VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"


def _installed(peer: Peer, data: Path) -> Path:
    """The scripts folder of the peer's environment, which is made if it is not there yet."""
    folder = data / "peers" / peer.package
    done = folder / "installed"
    if not done.exists():
        say("  installing …")
        subprocess.run(
            (sys.executable, "-m", "venv", "--clear", str(folder)),
            check=True,
            capture_output=True,
            text=True,
        )
        pip = (
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            peer.package,
            *peer.also,
        )
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
        done.touch()
    return folder / "bin"


@contextmanager
def _helper(peer: Peer, world: World, scripts: Path, folder: Path) -> Iterator[None]:
    """The server that a peer needs, running meanwhile; its first line of output is left in the file `helper`."""
    if not peer.helper:
        yield
        return
    argv = (str(scripts / "python"), "-c", peer.helper, str(folder / "spans"))
    with subprocess.Popen(argv, env=world.env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            (folder / "helper").write_text(process.stdout.readline())
            time.sleep(0.1)
            yield
        finally:
            process.terminate()
