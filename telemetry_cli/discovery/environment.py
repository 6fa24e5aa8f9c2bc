"""The CI provider or agent that we run under, and the run and trace that we belong to, by the variables that say so."""

import os

from telemetry_cli.core import values as rules
from telemetry_cli.discovery.providers import (
    AGENT_NAMES,
    AGENTS,
    FACTS,
    PROVIDERS,
    Provider,
)

#: What programs write for a value that is missing, in lower case; the last one is Jenkins's word for "no job's".
_NOTHING = (
    "",
    "false",
    "null",
    "nil",
    "none",
    "undefined",
    "<nil>",
    "(null)",
    "%!s(<nil>)",
    "dontkillme",
)
#: How a reference begins that nobody has replaced: `$(Build.Number)`, `${BRANCH}`, `{{workflow.name}}`.
_UNREPLACED = ("$(", "${", "{{")
_OFF = ("", "0", "false", "no", "off")
_ON = ("1", "true", "yes", "on")
#: What is said of a branch where there is none.
_NO_BRANCH = ("HEAD", "detached", "<default>", "(no branch)")
_LARGEST_EVENT = 1 << 20
_LONGEST_AGENT = 40
#: UUIDs of runs are made below this one.
_NAMESPACE = bytes.fromhex("5f7b1c0e6a3d5b2c9e41d80f2a7c6b93")


def provider() -> Provider | None:
    """The CI provider around us, or None."""
    return next(
        (candidate for candidate in PROVIDERS if any(map(_is_there, candidate.detect))), None
    )


def _is_there(sign: str) -> bool:
    """Tell whether a sign that `Provider.detect` lists is there."""
    if sign.startswith("/"):
        return os.path.isdir(sign)
    variable, _, expected = sign.partition("=")
    value = os.environ.get(variable, "").lower()
    if not expected:
        return value not in _OFF
    return value == expected or (expected == "true" and value in _ON)


def facts() -> dict[str, str]:
    """What the CI provider says of this job, by the names in `FACTS`: those that are set, and can be stored."""
    found = provider()
    if found is None:
        return {}
    told = {fact: value for fact in FACTS if (value := _filled(fact, found.facts.get(fact, ())))}
    tag = _branch(os.environ.get(found.tag, ""))
    return {fact: value for fact, value in told.items() if fact != "branch" or value != tag}


def _filled(fact: str, texts: tuple[str, ...]) -> str | None:
    """The first text whose variables are all set, with their values, in the form that the fact has."""
    for text in texts:
        filled: list[str] | None = [text.partition("{")[0]]
        for variable, shape, after in _parts(text):
            value = _value(variable, shape)
            filled = [*filled, value, after] if filled is not None and value else None
        normal = _normal(fact, "".join(filled)) if filled is not None else None
        if normal:
            return normal
    return None


def _parts(text: str) -> list[tuple[str, str, str]]:
    """(variable, shape, the text that follows) of each variable in a fact's text."""
    found = []
    for part in text.split("{")[1:]:
        inner, _, after = part.partition("}")
        variable, _, shape = inner.partition(":")
        found.append((variable, shape, after))
    return found


def _normal(fact: str, value: str) -> str | None:
    """A fact in its one form; None for what only looks like one, such as the word HEAD for a SHA."""
    if fact == "sha":
        sha = value.lower()
        return sha if _is_id(sha, 40) or _is_id(sha, 64) else None
    if fact == "branch":
        return _branch(value)
    if fact == "pull_request":
        # `pull/2024/rework` is a branch.
        return value if "/" not in value else None
    return _address(value) if fact.endswith("_url") else value


def _branch(value: str) -> str | None:
    """A branch's own name, without a ref's or a remote's before it; None for a tag, a pull request's ref or a detached HEAD."""
    if value.startswith("refs/heads/"):
        return value.removeprefix("refs/heads/") or None
    name = value
    for remotes in ("refs/remotes/", "remotes/"):
        name = name.removeprefix(remotes).partition("/")[2] if name.startswith(remotes) else name
    # For a fork, Buildkite says OWNER:BRANCH; no branch's name holds a colon.
    name = name.removeprefix("origin/").rpartition(":")[2]
    first, number, *rest = name.split("/") if "/" in name else (name, "")
    is_pull_request = first == "pull" and number.isdigit() and rest in ([], ["head"], ["merge"])
    is_none = not name or name in _NO_BRANCH or name.startswith("refs/") or is_pull_request
    return None if is_none else name


def _address(text: str) -> str:
    """An address with what none may hold (a project's name has spaces) percent-encoded; what is encoded already stays."""
    if text.isascii() and not set(text) & set(' %"<>\\^`{|}'):
        return text
    import re

    return re.sub(
        r"%(?![0-9A-Fa-f]{2})|[^!#-;=?-\[\]_a-z~]",
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()),
        text,
    )


def _value(variable: str, shape: str) -> str | None:
    """A variable's value, or the part of it between the two ends of a shape; None where there is none, or it is not a line of text.

    `VARIABLE/a.b` is the value `a.b` of the JSON file that the variable names.
    """
    name, _, place = variable.partition("/")
    value = os.environ.get(name, "")
    if place and value:
        value = _value_in_file(value, place.split("."))
    before, _, after = shape.rpartition("*")
    if before.startswith("**"):
        before = "".join(value.rpartition(before[2:])[:2])
    inner = value[len(before) : len(value) - len(after)]
    if not value.startswith(before) or not value.endswith(after) or not inner.strip():
        return None
    is_missing = value.lower() in _NOTHING or value.startswith(_UNREPLACED)
    return inner if not is_missing and rules.is_line(inner) else None


def _value_in_file(path: str, keys: list[str]) -> str:
    """The text or number below some keys of a JSON file; empty where there is none."""
    import json

    from telemetry_cli.discovery.git.repository import plain_content

    content = plain_content(path, _LARGEST_EVENT) or b""
    try:
        # Most events are no pull request's, and need not be parsed for that.
        found: object = json.loads(content) if f'"{keys[0]}"'.encode() in content else None
    except (ValueError, RecursionError):
        return ""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) else ""


def agent() -> str | None:
    """The name of the coding agent that runs us, or None."""
    known = next((name for variable, (name, _) in AGENTS.items() if _is_there(variable)), None)
    return known or next(filter(None, map(_named_agent, AGENT_NAMES)), None)


def _named_agent(variable: str) -> str | None:
    """The agent that a variable names, without its version: `goose@1.2.3`, `claude-code/2.1` and `claude-code_2.1.0_cli` are."""
    name = os.environ.get(variable, "").strip().lower()
    for separator in ("@", "/", " "):
        name = name.partition(separator)[0]
    first, _, version = name.partition("_")
    name = first if version[:1].isdigit() else name
    if variable != AGENT_NAMES[0]:
        return name if any(name == known for known, _ in AGENTS.values()) else None
    if name in _ON:
        return "agent"
    is_name = (
        name.isascii()
        and name.strip("-_.")
        and name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    )
    return (
        name
        if is_name and name not in _OFF and name not in _NOTHING and len(name) <= _LONGEST_AGENT
        else None
    )


def actor() -> str | None:
    """The coding agent that runs us, else the CI provider; None without either. An agent in a CI job is what acts there."""
    known = agent()
    if known is None and (found := provider()):
        return found.name
    return known


def commit_source() -> str:
    """`llm` under a known agent, also in CI; else `ci` under a CI provider, else `manual`."""
    return "llm" if agent() else "ci" if provider() else "manual"


def derived_event_id(*what: str, told_apart: bool = False) -> str | None:
    """An id that the same step of the same attempt of the same CI run always gets: a UUID (version 5).

    Made of provider, repository, run, attempt, job and step, and of `what` tells several runs of a step apart; with `told_apart`
    the jobs of a matrix too. None where no provider says which job this is, or not well enough: two jobs must not get the same id.
    """
    known, found = provider(), facts()
    if known is None or _missing(known, found, told_apart=told_apart):
        return None
    from hashlib import sha1

    parts = [
        known.name,
        *(
            found.get(fact, "")
            for fact in ("repository", "run", "attempt", "job", "job_id", "step")
        ),
        *what,
    ]
    name = "\0".join(parts).encode(errors="surrogateescape")
    digits = sha1(_NAMESPACE + name, usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{'89ab'[int(digits[16], 16) % 4]}{digits[17:20]}-{digits[20:32]}"


def _missing(known: Provider, found: dict[str, str], *, told_apart: bool) -> list[str]:
    """The facts without which two jobs could be taken for one.

    A job id that the provider need not give is missing too where its variable is set to something else.
    """
    needed = [fact for fact in known.identity if fact != "job_id"]
    is_set = any(
        os.environ.get(variable)
        for text in known.facts.get("job_id", ())
        for variable, _, _ in _parts(text)
    )
    if not told_apart and ("job_id" in known.identity or is_set):
        needed.append("job_id")
    return [fact for fact in needed if fact not in found]


def why_not_derived(*, told_apart: bool) -> str:
    """Why `derived_event_id` gives none."""
    known = provider()
    missing = _missing(known, facts(), told_apart=told_apart) if known and known.facts else []
    if known is None or not missing:
        return "no CI provider says which run this is"
    texts = known.facts.get(missing[0])
    if texts is None:
        return f"{known.name} says nothing that tells the jobs of a matrix apart; give each its own --item-name"
    # Any of these would do.
    names = dict.fromkeys(
        next(variable for variable, shape, _ in _parts(text) if _value(variable, shape) is None)
        for text in texts
    )
    state = "holds no id" if any(map(os.environ.get, names)) else "is not set"
    return f"{' or '.join(names)} {state}, and without it two jobs could get the same id"


def host() -> str | None:
    """This machine's name, or None."""
    return os.uname().nodename or None


def current_run() -> str | None:
    """`$TELEMETRY_EVENT_ID`, the run that what we do belongs to, or None."""
    return os.environ.get("TELEMETRY_EVENT_ID") or None


class Trace:
    """A place in a W3C trace: `parent_id` is the span we were started in (None: we begin the trace), `span_id` our own."""

    def __init__(self, header: str) -> None:
        fields = header.strip().split("-")
        version, trace, parent, flags = (fields + [""] * 4)[:4]
        known = (
            _is_hex(version, 2)
            and version != "ff"
            and _is_id(trace, 32)
            and _is_id(parent, 16)
            and _is_hex(flags, 2)
        )
        # Only versions to come may have more to say.
        known = known and (version != "00" or len(fields) == 4)
        self.trace_id = trace if known else os.urandom(16).hex()
        self.parent_id = parent if known else None
        self.span_id = os.urandom(8).hex()
        self.sampled = not known or bool(int(flags, 16) & 1)

    @property
    def variables(self) -> dict[str, str | None]:
        """What our place is to those that we start, by variable; None: unset. A tracestate tells of another trace than one that we begin."""
        header = f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"
        return {
            "TRACEPARENT": header,
            **(
                {"TRACESTATE": None}
                if self.parent_id is None and "TRACESTATE" in os.environ
                else {}
            ),
        }

    @property
    def context(self) -> dict[str, str]:
        """The same as a run's context tells it."""
        ids = {"trace_id": self.trace_id, "span_id": self.span_id}
        return ids | {"parent_span_id": self.parent_id} if self.parent_id else ids


def trace() -> Trace:
    """Our place in the trace that `$TRACEPARENT` names, or in a new one (https://www.w3.org/TR/trace-context/)."""
    return Trace(os.environ.get("TRACEPARENT", ""))


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and set(text) <= set("0123456789abcdef")


def _is_id(text: str, length: int) -> bool:
    return _is_hex(text, length) and bool(text.strip("0"))
