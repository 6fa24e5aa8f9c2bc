"""What tests work with: the installed program in an environment of its own, and git in a folder of its own."""

import atexit
import functools
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PROGRAM = Path(sysconfig.get_path("scripts")) / "telemetry"
#: All that a test's processes inherit; no CI provider, agent, git hook or setting of the machine shows through.
INHERITED = ("PATH", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_FILE")


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until a condition holds, and return its value; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition does not hold"
        time.sleep(0.01)
    return found


class Ran:
    """What one call of the program did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """stdout without its newline."""
        return self.out.rstrip("\n")

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


#: Variables that an interpreter reads when it starts: a call with one of them needs a new one.
_AT_START = {
    "LD_PRELOAD",
    "LC_ALL",
    "LC_CTYPE",
    "PYTHONUTF8",
    "PYTHONIOENCODING",
    "PYTHONPATH",
    "TZ",
}


def _decode(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


class ForkServer:
    """Runs the program in forks of a process that has imported it; see `fork_server.py`."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="telemetry-tests-")
        self._path = os.path.join(self._folder, "socket")
        script = Path(__file__).with_name("fork_server.py")
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script), self._path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=inherited,
            cwd="/",
        )
        assert self._process.stdout and self._process.stdout.readline() == b"ready\n"
        self._process.stdout.close()
        atexit.register(self.close)

    def run(self, argv: Sequence[str | bytes], env: dict[str, str], cwd: Path, stdin: bytes) -> Ran:
        """Run the program and return its result. Raises `TimeoutError` after two minutes."""
        words = [os.fsdecode(word) for word in argv]
        request = json.dumps({"argv": words, "env": env, "cwd": str(cwd)}).encode()
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            socket.socket(socket.AF_UNIX) as connection,
        ):
            given.write(stdin)
            given.seek(0)
            connection.settimeout(120)
            connection.connect(self._path)
            streams = [stream.fileno() for stream in (given, out, err)]
            socket.send_fds(connection, [b"%08x" % len(request)], streams)
            connection.sendall(request)
            code = int(connection.recv(16))
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(_decode(stream.read()))
        return Ran(code, *texts)

    def close(self) -> None:
        """End the server and remove its socket."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=60)
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def _fork_server() -> ForkServer:
    return ForkServer()


#: Runs a command from a small process and writes its peak memory in KiB to a file: a process counts as its own what the one that started
#: it had in memory.
_MEASURING = "import os, sys; pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ); _, status, usage = os.wait4(pid, 0); "
_MEASURING += "open(sys.argv[1], 'w').write(str(usage.ru_maxrss // (1024 if sys.platform == 'darwin' else 1))); sys.exit(os.waitstatus_to_exitcode(status))"


#: Runs the program on a clock that only its own sleeps advance, and writes the seconds it slept to a file.
_SLEEPING = """
import sys, time
slept = 0.0
def sleep(seconds):
    global slept
    slept += seconds
time.sleep, time.monotonic = sleep, lambda: slept
from telemetry_cli.cli.main import main
code = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(slept))
sys.exit(code)
"""


class Telemetry:
    """The installed program with a base folder and an environment of its own; calling it runs it.

    `telemetry("run", "start", …, env={…}, cwd=…, stdin=…, code=0)`: `code` is the exit code that is demanded (None: any),
    and no call may ever show a traceback.
    """

    #: Start an interpreter for each call, where contention between processes is what is tested.
    in_processes = False

    def __init__(self, home: Path) -> None:
        self.home = home
        self.base = home / "base"
        self.cwd = home / "work"
        self.cwd.mkdir(parents=True, exist_ok=True)
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.env |= {
            "HOME": str(home),
            "TELEMETRY_BASE_DIR": str(self.base),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PAGER": "cat",
        }

    @property
    def database(self) -> Path:
        return self.base / "db" / "telemetry.sqlite"

    @property
    def raw(self) -> Path:
        return self.base / "raw"

    @property
    def buffer(self) -> Path:
        return self.base / "buffer"

    def __call__(
        self,
        *argv: str | bytes,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | bytes = "",
        code: int | None = 0,
    ) -> Ran:
        environment = self.env | (env or {})
        content = stdin.encode() if isinstance(stdin, str) else stdin
        where = cwd or self.cwd
        if not self.in_processes and _AT_START.isdisjoint(environment):
            ran = _fork_server().run(argv, environment, where, content)
        else:
            done = subprocess.run(
                [str(PROGRAM), *argv],
                env=environment,
                cwd=where,
                input=content,
                capture_output=True,
                timeout=120,
                check=False,
            )
            ran = Ran(done.returncode, _decode(done.stdout), _decode(done.stderr))
        assert "Traceback" not in ran.err, ran
        if code is not None:
            assert ran.code == code, ran
        return ran

    def sleep_in(self, *argv: str, env: dict[str, str] | None = None) -> tuple[Ran, float]:
        """Run the program on a clock that only its own sleeps advance.

        Returns its result, and the seconds that it wanted to sleep in all. No machine is too slow
        for a bound on those. The busy timeout of SQLite passes on the machine's clock.
        """
        report = self.home / "slept"
        done = subprocess.run(
            [sys.executable, "-c", _SLEEPING, str(report), *argv],
            env=self.env | (env or {}),
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        ran = Ran(done.returncode, _decode(done.stdout), _decode(done.stderr))
        assert ran.code == 0, ran
        return ran, float(report.read_text())

    def popen(
        self, *argv: str, env: dict[str, str] | None = None, cwd: Path | None = None, **options: Any
    ) -> "subprocess.Popen[bytes]":
        """Start the program and leave it running."""
        return subprocess.Popen(
            [str(PROGRAM), *argv], env=self.env | (env or {}), cwd=cwd or self.cwd, **options
        )

    def measured(self, *argv: str, env: dict[str, str] | None = None, **options: Any) -> "Measured":
        """Start the program, to ask for its peak memory when it has ended."""
        return Measured(
            self.home / f"peak{os.urandom(4).hex()}",
            [str(PROGRAM), *argv],
            env=self.env | (env or {}),
            cwd=self.cwd,
            **options,
        )

    def start(
        self, *options: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> str:
        """Start a run named `tester`/`job` (unless told otherwise) and return its event_id."""
        named = [
            *([] if "--agent-name" in options else ["--agent-name", "tester"]),
            *([] if "--job-type" in options else ["--job-type", "job"]),
        ]
        return self("run", "start", *named, *options, env=env, cwd=cwd).line

    def start_ran(self, *options: str, env: dict[str, str] | None = None) -> Ran:
        """Start a run named `tester`/`job`, and return all that the call did."""
        return self(
            "run", "start", "--agent-name", "tester", "--job-type", "job", *options, env=env
        )

    def run(self, reference: str) -> dict[str, Any]:
        """A run as `run show -o json` prints it."""
        shown: dict[str, Any] = self("run", "show", reference, "-o", "json").json
        return shown

    def files(self) -> dict[str, bytes]:
        """Every file and folder below the base with its content: what a refused command must leave as it was."""
        return {
            str(path.relative_to(self.base)): path.read_bytes() if path.is_file() else b""
            for path in self.base.rglob("*")
        }

    def append(self, kind: str, at: str, **data: object) -> None:
        """Add an operation to the journal by hand, past the program: the next command applies it. The base must exist."""
        segment = max(self.raw.glob("ops_*.ndjson"))
        if kind == "run.create":
            data = {"schema_version": 8} | data
        body = json.dumps(
            {
                "v": 1,
                "op_id": os.urandom(16).hex(),
                "op": kind,
                "at": at,
                "actor": "tests",
                "data": data,
            },
            separators=(",", ":"),
        )[:-1].encode()
        with segment.open("ab") as file:
            file.write(b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body)))

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database directly, past the program."""
        db = sqlite3.connect(self.database)
        try:
            return db.execute(query, values).fetchall()
        finally:
            db.close()


class Measured:
    """A process whose peak memory is told when it has ended."""

    def __init__(self, report: Path, argv: list[str], **options: Any) -> None:
        self.report = report
        self.process = subprocess.Popen(
            [sys.executable, "-IS", "-c", _MEASURING, str(report), *argv], **options
        )

    def ended(self) -> tuple[int, int]:
        """Its exit code, and its peak resident memory in KiB."""
        code = self.process.wait(timeout=600)
        return code, int(self.report.read_text())


class Git:
    """git in a folder, with an identity and no config but its own."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.env |= {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        for who in ("AUTHOR", "COMMITTER"):
            self.env |= {
                f"GIT_{who}_NAME": "Ada Lovelace",
                f"GIT_{who}_EMAIL": "ada@example.org",
                f"GIT_{who}_DATE": "2026-01-02T03:04:05+02:00",
            }

    def __call__(self, *argv: str, env: dict[str, str] | None = None, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *argv],
            cwd=self.path,
            env=self.env | (env or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str = "work") -> str:
        """Make an empty commit and return its SHA."""
        self("commit", "--quiet", "--allow-empty", "-m", message)
        return self("rev-parse", "HEAD")
