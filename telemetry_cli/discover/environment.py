"""The CI provider or agent that we run under, and the run and trace that we belong to, by the variables that say so."""

import os

from telemetry_cli.discover.providers import AGENTS, FACTS, PROVIDERS, Provider

#: What stands for "none" where a variable is always set.
_NOTHING = ("", "false")
#: UUIDs of runs are made below this one.
_NAMESPACE = bytes.fromhex("5f7b1c0e6a3d5b2c9e41d80f2a7c6b93")


def provider() -> Provider | None:
    """The CI provider around us, or None."""
    for candidate in PROVIDERS:
        value = os.environ.get(candidate.detect, "")
        if value and (candidate.equals is None or value.lower() == candidate.equals):
            return candidate
    return None


def facts() -> dict[str, str]:
    """What the CI provider says of this job, by the names in `FACTS`: those that are set, and can be stored."""
    found = provider()
    said = {fact: value for fact in FACTS if (value := _filled(found.facts.get(fact, ())))} if found else {}
    return {fact: _address(value) if fact.endswith("_url") else value for fact, value in said.items()}


def _filled(texts: tuple[str, ...]) -> str | None:
    """The first text whose variables are all set, with their values."""
    for text in texts:
        literal, *parts = text.split("{")
        filled: list[str] | None = [literal]
        for part in parts:
            variable, _, after = part.partition("}")
            value = _value(*variable.partition(":")[::2])
            filled = [*filled, value, after] if filled is not None and value else None
        if filled is not None:
            return "".join(filled)
    return None


def _address(text: str) -> str:
    """An address with what none may hold (a project's name has spaces) percent-encoded; what is encoded already stays."""
    if text.isascii() and not set(text) & set(' %"<>\\^`{|}'):
        return text
    import re

    return re.sub(r"%(?![0-9A-Fa-f]{2})|[^!#-;=?-\[\]_a-z~]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)


def _value(variable: str, shape: str) -> str | None:
    """A variable's value, or the part of it between the two ends of a shape; None where there is none, or it is not text."""
    value = os.environ.get(variable, "")
    before, _, after = shape.rpartition("*")
    if before.startswith("**"):
        before = "".join(value.rpartition(before[2:])[:2])
    inner = value[len(before) : len(value) - len(after)]
    if value in _NOTHING or not value.startswith(before) or not value.endswith(after) or not inner.strip():
        return None
    return inner if inner.isprintable() else None


def agent() -> str | None:
    """The name of the coding agent that runs us, or None."""
    return next((name for variable, (name, _) in AGENTS.items() if os.environ.get(variable)), None)


def commit_source() -> str:
    """`ci` under a known CI provider, `llm` under a known agent, else `manual`."""
    return "ci" if provider() else "llm" if agent() else "manual"


def derived_event_id(*what: str) -> str | None:
    """An id that the same step of the same attempt of the same CI run always gets: a UUID (version 5).

    Made of provider, repository, run, attempt, job and step, and of `what` tells several runs of a step apart. None where no
    provider says which job this is, or not well enough (`identity_lacks`): two jobs must not get the same one.
    """
    known, found = provider(), facts()
    if known is None or any(fact not in found for fact in known.identity):
        return None
    from hashlib import sha1

    parts = [known.name, *(found.get(fact, "") for fact in ("repository", "run", "attempt", "job", "job_id", "step")), *what]
    name = "\0".join(parts).encode(errors="surrogateescape")
    digits = sha1(_NAMESPACE + name, usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{'89ab'[int(digits[16], 16) % 4]}{digits[17:20]}-{digits[20:32]}"


def identity_lacks() -> str | None:
    """The variable, or variables any of which would do, without which two jobs of the CI provider could be taken for one; None without any."""
    known, found = provider(), facts()
    missing = [fact for fact in known.identity if fact in known.facts and fact not in found] if known else []
    if not known or not missing:
        return None
    variables = ([part.partition("}")[0].partition(":")[0] for part in text.split("{")[1:]] for text in known.facts[missing[0]])
    return " or ".join(dict.fromkeys(next(name for name in names if _value(name, "") is None) for names in variables))


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
        known = _is_hex(version, 2) and version != "ff" and _is_id(trace, 32) and _is_id(parent, 16) and _is_hex(flags, 2)
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
        return {"TRACEPARENT": header, **({"TRACESTATE": None} if self.parent_id is None and "TRACESTATE" in os.environ else {})}

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
