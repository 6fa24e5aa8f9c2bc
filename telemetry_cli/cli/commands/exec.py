"""`telemetry run exec`: record a command's run from before it starts until after it has ended, and return as it did.

Whatever goes wrong with recording is said on stderr, after the command; only what is wrong with our own options keeps it from
being started.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from telemetry_cli.cli.commands.arguments import became, begin, exports, names
from telemetry_cli.cli.commands.result import HandedBack, Written
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, NotDurable, TelemetryError
from telemetry_cli.discovery import environment
from telemetry_cli.exec import capture, spawn
from telemetry_cli.exec import supervisor as watch
from telemetry_cli.exec.spawn import NotStarted, Signals
from telemetry_cli.journal.operations import operation
from telemetry_cli.redaction.redactor import Redactor
from telemetry_cli.store import Store

Data = dict[str, object]

_TAIL = 16 * 1024
#: Of a longer command line, so many words and characters of each are kept.
_MOST_WORDS, _LONGEST_WORD = 100, 1000
_LONGEST_LINE = 200
#: A control sequence, a string up to its terminator or the end, or an escape with what belongs to it (ECMA-48).
_ESCAPE_SEQUENCE = "(?:\x1b\\[|\x9b)[0-?]*+[ -/]*+[@-~]?|\x1b[]PX^_][^\x07\x1b\x9c]*+(?:\x07|\x1b\\\\|\x9c)?|\x1b[ -/]*+[0-~]?"


#: Of the end of a run, what is always fit to be stored.
_BARE_END = ("run", "created_by", "status", "end_time", "duration_ms")


def execute(
    config: Config | None,
    output: str,
    *,
    command: Sequence[str],
    timeout: str | None,
    no_capture: bool,
    tail: str | None,
    agent_name: str | None,
    job_type: str | None,
    event_id: str | None,
    run_id: str | None,
    parent: str | None,
    metrics: str | None,
    context: str | None,
    metric: Sequence[str] | None,
    git_repo: str | None,
    no_git: bool,
    **fields: str | None,
) -> Written:
    """Run a command and record it."""
    words = _words(command)
    seconds = rules.duration("--timeout", timeout) if timeout is not None else None
    most = _tail(tail)
    recording = _Recording(config)

    def prepare(config: Config) -> Data:
        shown = _shown(words, Redactor(config.redact_rules))
        begun = begin(
            config,
            clock.now(),
            _names(config, agent_name, job_type, shown[0]),
            event_id=event_id,
            run_id=run_id,
            parent=parent,
            start_time=None,
            metrics=metrics,
            context=context,
            metric=metric,
            git_repo=git_repo,
            no_git=no_git,
            told={**_process(shown), **recording.trace.context},
            apart=_texts(words),
            ends_here=True,
            fields=fields,
        )
        recording.notes += begun.notes
        return begun.data

    recording.prepare(prepare)
    # From here on no signal ends us before the run has its end.
    signals = Signals()
    env = recording.start(spawn.environment())
    captures = bool(recording.event_id) and not no_capture and sys.stderr is not None
    return recording.ended(
        lambda: watch.run(words, env, signals, seconds, most if captures else None, recording.mark),
        timeout,
        most,
    )


def _words(command: Sequence[str]) -> list[bytes]:
    """The command line to the byte."""
    if not command[0]:
        raise InvalidInput(
            "COMMAND: an empty name is given",
            "Give a command and its arguments: telemetry run exec -- pytest -q",
        )
    return [word.encode(errors="surrogateescape") for word in command]


def _tail(value: str | None) -> int:
    number = rules.count("--tail", value) if value is not None else _TAIL
    if number > rules.LONGEST_ERROR_DETAILS:
        raise InvalidInput(
            f"--tail: {number} is not accepted; give at most {rules.LONGEST_ERROR_DETAILS} bytes"
        )
    return number


class _Recording:
    """The record beside the command: what is wrong with it becomes a note, and the command goes its way.

    `event_id` is that of the recorded run, None where there is none.
    """

    def __init__(self, config: Config | None) -> None:
        self.notes: list[str] = []
        self.trace = environment.trace()
        self.event_id: str | None = None
        self._config = None if config is None or config.disabled else config
        self._begun: Data | None = None
        self._created_by: object = None
        self._is_duplicate = False

    @property
    def mark(self) -> bytes | None:
        """What the environment of everything that the command starts holds."""
        return f"TELEMETRY_EVENT_ID={self.event_id}".encode() if self.event_id else None

    def prepare(self, begin: Callable[[Config], Data]) -> None:
        """Put the record of the start together. Raises `InvalidInput` for our own options."""
        if self._config is None:
            return
        try:
            data = begin(self._config)
        except InvalidInput as error:
            if error.message.startswith("-"):
                raise
            self._failed(error)  # It is the environment that is wrong, not what was asked for.
            return
        self._begun = data

    def start(self, env: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Make the run durable, and return the command's environment."""
        if self._config is None or self._begun is None:
            return env
        made = operation("run.create", self._begun, clock.stamp(clock.now()))
        result = self._recorded(
            self._config, made, event_id=self._begun["event_id"], run_id=self._begun["run_id"]
        )
        if result is None:
            return env
        self._created_by = made["op_id"]
        self.event_id = str(result["event_id"])
        self._is_duplicate = result["status"] == "duplicate"
        if self._is_duplicate:
            self.notes.append(
                f"duplicate: a run with event_id {self.event_id} is there already; this execution is not recorded again"
            )
        exported = {name.encode(): value for name, value in exports(result, self.trace).items()}
        kept = {name: value for name, value in env.items() if name not in exported}
        return kept | {
            name: value.encode() for name, value in exported.items() if value is not None
        }

    def ended(self, run: Callable[[], watch.Ending], timeout: str | None, most: int) -> Written:
        """Run the command to its end and record that; `timeout` as it was typed, `most` bytes of stderr are kept."""
        try:
            ending = run()
        except NotStarted as trouble:
            said, code = str(trouble), trouble.code
            self._end(
                lambda _: {
                    "status": "failure",
                    "error_summary": said,
                    "metrics": {"process.exit.code": code},
                }
            )
            return Written({}, None, [said, *self.notes], code=code)
        self._end(lambda redactor: _ended(ending, timeout, most, redactor))
        # A shell that runs a script ends it at Ctrl-C only where the command died of SIGINT.
        code = -signal.SIGINT if ending.is_interrupted else ending.code
        return Written({}, None, [] if ending.stalled else self.notes, code=code)

    def _end(self, ended: Callable[[Redactor], Data]) -> None:
        """Record how it ended; nothing of a duplicate, whose first execution may still run, and has an end of its own.

        While its start is buffered nobody knows whether this is one: the end says whose it is, and counts for no other run.
        """
        if self._config is None or self.event_id is None or self._is_duplicate:
            return
        try:
            data = ended(Redactor(self._config.redact_rules))
        except Exception as defect:
            self._failed(defect)
            data = {"status": "failure"}
        data = {
            name: rules.escape_text(value.replace("\0", "")) if isinstance(value, str) else value
            for name, value in data.items()
        }
        data |= {"run": self.event_id, "created_by": self._created_by}
        if self._begun and isinstance(data.get("duration_ms"), int):
            # When the command ended; whatever we do after it is no part of its run.
            start = clock.parse_stamp(str(self._begun["start_time"]))
            data["end_time"] = clock.stamp(
                start + timedelta(milliseconds=int(str(data["duration_ms"])))
            )
        # That it ended, and how, must not be lost with what cannot be stored of the rest.
        bare = {name: data[name] for name in _BARE_END if name in data}
        self._recorded(
            self._config, operation("run.end", data, clock.stamp(clock.now())), instead=bare
        )

    def _recorded(
        self, config: Config, made: Data, instead: Data | None = None, **if_buffered: object
    ) -> Data | None:
        """The result of an operation, None where it is not recorded. Where it is its data that is wrong, record it with other data `instead`."""
        try:
            result, notes = became(
                Store(config).record_all([made], time.monotonic() + config.lock_timeout)[0],
                **if_buffered,
            )
        except Exception as trouble:
            self._failed(trouble)
            if instead is None or (
                isinstance(trouble, TelemetryError) and not isinstance(trouble, InvalidInput)
            ):
                return None
            return self._recorded(config, operation(str(made["op"]), instead, str(made["at"])))
        self.notes += [note for note in notes if note not in self.notes]
        return result

    def _failed(self, trouble: Exception) -> None:
        if isinstance(trouble, NotDurable):
            self.notes.append(HandedBack(trouble.record))
        if isinstance(trouble, TelemetryError):
            self.notes += [
                f"not recorded: {trouble.message}",
                *([trouble.hint] if trouble.hint else []),
            ]
        else:
            self.notes.append(f"not recorded: {type(trouble).__name__}: {trouble}")


# What is recorded of a command


def _texts(words: list[bytes]) -> list[str]:
    return [word.decode(errors="backslashreplace").replace("\0", "") for word in words]


def _shown(words: list[bytes], redactor: Redactor) -> list[str]:
    """A command line as it is stored: text without secrets, and not endless. A secret that was cut would be known by no rule."""
    cleaned = redactor.words(_texts(words[:_MOST_WORDS]))
    return [rules.shorten(word, _LONGEST_WORD) for word in cleaned] + (
        [f"… {len(words) - _MOST_WORDS} more"] if len(words) > _MOST_WORDS else []
    )


def _names(
    config: Config, agent_name: str | None, job_type: str | None, command: str
) -> tuple[str, str]:
    """agent_name and job_type: what is given or known, else `shell` and the command's name."""
    agent, job = names(config, agent_name, job_type)
    return agent or "shell", job or os.path.basename(command)[:_LONGEST_LINE].strip() or "shell"


def _process(shown: list[str]) -> Data:
    """What OpenTelemetry's conventions for processes call it."""
    try:
        folder = os.getcwdb().decode(errors="backslashreplace")
    except OSError:
        folder = ""
    return {
        "process.command_args": shown,
        "process.executable.name": os.path.basename(shown[0]),
        **({"process.working_directory": folder} if folder else {}),
    }


def _ended(ending: watch.Ending, timeout: str | None, most: int, redactor: Redactor) -> Data:
    """The data of the operation that ends the run."""
    metrics: Data = {
        "process.uptime": round(ending.wall, 3),
        "process.cpu.time.user": round(ending.user, 3),
        "process.cpu.time.system": round(ending.system, 3),
        "process.memory.peak": ending.peak,
    }
    if ending.signal is None:
        metrics["process.exit.code"] = ending.code
    else:
        metrics["process.exit.signal"] = _signal_name(ending.signal)
    status = (
        "timeout"
        if ending.timed_out
        else "cancelled"
        if ending.cancelled
        else "failure"
        if ending.code
        else "success"
    )
    data: Data = {"status": status, "duration_ms": round(ending.wall * 1000), "metrics": metrics}
    if status == "success":
        return data
    details = redactor.text(ending.tail.decode(errors="replace").replace("\0", ""))
    kept = capture.tail(details, most)
    if kept.strip():
        data["error_details"] = kept
    return data | {"error_summary": _summary(ending, timeout, kept)}


def _summary(ending: watch.Ending, timeout: str | None, details: str) -> str:
    """What went wrong, in a line: how it ended, and the last thing that it said."""
    how = (
        f"exit code {ending.code}"
        if ending.signal is None
        else f"ended by {_signal_name(ending.signal)}"
    )
    if ending.timed_out:
        how = f"timed out after {timeout}, {how}"
    elif ending.cancelled:
        how = f"cancelled by {_signal_name(ending.cancelled)}, {how}"
    last = next((line for line in map(_visible, reversed(details.splitlines())) if line), "")
    return f"{how}: {rules.shorten(last, _LONGEST_LINE)}" if last else how


def _visible(line: str) -> str:
    """Return what a line shows: no colours, cursor movements, titles or other control characters."""
    plain = re.sub(_ESCAPE_SEQUENCE, "", line)
    return "".join(
        char for char in plain if " " <= char < "\x7f" or char > "\x9f" or char == "\t"
    ).strip()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
