"""What must never be written: secrets are taken out of values before they reach the journal, and out of what is said on stderr."""

import json
import os
from collections.abc import Callable, Mapping, Sequence

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.core.processes import Budget, TooLong
from telemetry_cli.redaction.names import (
    REDACTED,
    Under,
    is_no_secret,
    is_no_secret_argument,
    is_option,
    is_secret_option,
    named_value,
    nested,
    secret_values,
)
from telemetry_cli.redaction.patterns import AUTH_NAMES, NAME_MARKS, Signs

#: Names and values recur from record to record: so many short texts are known to hold no secret, before they are forgotten.
_MOST_CLEAN, _LONGEST_CLEAN = 4096, 128
#: Lines up to this are searched for every mark before they are taken for suspect.
_LONGEST_LINE = 8192
#: Fields of an operation that say which thing is meant: changed, they would mean another one. Handlers refuse ids that look
#: like secrets (`refuse_secret`).
_IDENTITY = frozenset((
    "id", "given", "event_id", "run", "parent", "created_by", "commit_hash", "blob", "digest", "process_started", "boot_id", "start_time", "end_time",
    "timestamp",
))  # fmt: skip
#: What the tables hold at most of a field; a redacted text may be longer than it was.
_LONGEST = {"agent_name": 200, "job_type": 200, "event_type": 200, "run_id": 255}
_GROUPS = ("secret", "quoted", "escaped", "single", "block", "long")

#: Seconds of processor time that the user's rules have together, and that they have in any case for a text and for each of its characters.
_PATIENCE, _LEAST, _LEAST_PER_CHARACTER = 2.0, 0.02, 2e-6

#: A compiled pattern's `sub`, without importing what it is made of.
_Substitute = Callable[[Callable[[object], str], str], str]
_compiled: dict[str, _Substitute] = {}
_budgets: list[Budget] = []
_signs = Signs()


class Redactor:
    """Takes secrets out of texts and JSON, by the rules in `secret_shapes`, rules of one's own (name → regular expression), and the
    values of environment variables whose names say that they are secrets. `found` counts what was taken out, by rule.

    A text without any sign of a secret costs some searches for literal words, and nothing is imported. Raises `InvalidInput`
    when a rule of one's own is no regular expression.
    """

    def __init__(
        self, own: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._own = own or {}
        self._values = secret_values(os.environ if environ is None else environ)
        self.found: dict[str, int] = {}
        self._clean: set[str] = set()

    def suspects(self, line: bytes) -> bool:
        """Tell whether there may be anything to redact in lines of JSON or text; the marks of secrets are ASCII."""
        if self._own or any(known.may_stand_in_line(line) for known in self._values):
            return True
        text = line.decode("ascii", "replace")
        if len(text) > _LONGEST_LINE:
            # Among so many values, some sign is likely, and looking for every one costs more than it saves.
            return _signs.stand_in(text, text.lower())
        # Words of a list are looked at as one line too, as in `_list`.
        return bool(_signs.rules(text.replace('","', "\x1f").replace('", "', "\x1f")))

    def text(self, text: str) -> str:
        """The text with `[redacted]` in the place of each secret. Doing it twice changes nothing more."""
        text = self._without_values(text)
        suspected = _signs.rules(text)
        if suspected and '":' in text:
            text = self._nested(text)
        for name, _, pattern in suspected:
            text = self._substituted(name, pattern, text)
        return self._without_own(text)

    def _without_values(self, text: str) -> str:
        if not self._values or len(text) < self._values[-1].length:
            return text
        for known in self._values:
            if known.may_stand_in(text):
                text = self._substituted("environment", known.pattern(), text)
        return text

    def _without_own(self, text: str) -> str:
        """Apply the user's rules to a text. It becomes `[redacted]` as a whole where they take too long."""
        if not self._own or not text:
            return text
        if not _budgets:
            return self._by_own(text)
        try:
            return _budgets[0].run(
                lambda: self._by_own(text), _LEAST + _LEAST_PER_CHARACTER * len(text)
            )
        except TooLong:
            self._count("own rules took too long")
            return REDACTED

    def _by_own(self, text: str) -> str:
        for name, pattern in self._own.items():
            text = self._substituted(name, pattern, text)
        return text

    def value(self, value: object) -> object:
        """The same for JSON: every text in it, keys too; and what lies under a key that says it is a secret. JSON in a text is JSON."""
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return self._list(value)
        return value

    def words(self, words: Sequence[str]) -> list[str]:
        """The same for a command line."""
        return [str(word) for word in self._list(list(words))]

    def operation(self, data: Mapping[str, object]) -> dict[str, object]:
        """The same for an operation's data, whose ids, digests and times stay as they are."""
        return {
            name: value if name in _IDENTITY else _bounded(name, self.field(name, value))
            for name, value in data.items()
        }

    def field(self, name: str, value: object) -> object:
        """Redact the value of a field or column. A number in metrics is one, whatever its name."""
        if name == "metrics" and isinstance(value, dict):
            return self._metrics(value)
        if name == "metrics_json" and isinstance(value, str):
            return self._document(value, self._metrics)
        return self.value(value)

    def _metrics(self, items: object) -> object:
        if not isinstance(items, dict):
            return self.value(items)
        return {
            self._string(key): item if isinstance(item, (int, float)) else self._named(key, item)
            for key, item in items.items()
        }

    def row(self, columns: Sequence[str], values: Sequence[object]) -> list[object]:
        """The same for a row of a table, and for what stands behind its columns; without columns, for any list."""
        if not columns:
            return self._list(list(values))
        names = [*columns, *[""] * (len(values) - len(columns))]
        # Most of a row is empty, a number, or known: rows come by the hundred thousand, so nothing is called for those.
        clean = self._clean
        return [
            _bounded(name, self.field(name, value))
            if isinstance(value, (str, dict, list))
            and not (isinstance(value, str) and value in clean)
            else value
            for name, value in zip(names, values, strict=False)
        ]

    def _string(self, text: str) -> str:
        if text in self._clean:
            return text
        cleaned = (
            self._document(text)
            if text[:1] in ("{", "[") and text[-1:] in ("}", "]")
            else self.text(text)
        )
        if cleaned == text and len(text) <= _LONGEST_CLEAN:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean.add(text)
        return cleaned

    def _document(self, text: str, clean: Callable[[object], object] | None = None) -> str:
        """Redact a text that may be JSON, by `clean` in place of `value` where given."""
        lower = text.lower()
        if any(mark in lower for mark in NAME_MARKS):
            repeats: list[bool] = []

            def made(pairs: list[tuple[str, object]]) -> dict[str, object]:
                found = dict(pairs)
                repeats.append(len(found) < len(pairs))
                return found

            try:
                value = json.loads(text, object_pairs_hook=made)
            except (ValueError, RecursionError):
                return self.text(text)
            cleaned = (clean or self.value)(value)
            if cleaned != value:
                return _encoded(cleaned, text, (",", ":"))
            if not any(repeats):
                # Each text in it was looked at for itself, and each name; but a number is no text, and rules of one's own may be about several.
                return self._without_own(self._without_values(text))
        return self.text(text)

    def _nested(self, text: str) -> str:
        """A text in which JSON may stand, without what lies there in objects and lists under names of secrets."""
        kept, place = [], 0
        for under, begin, end, value in nested(text):
            cleaned = self._under(under, value, is_deep=False)
            if cleaned != value:
                kept += [text[place:begin], _encoded(cleaned, text, (", ", ": "))]
                place = end
        return "".join([*kept, text[place:]])

    def _object(self, items: dict[str, object]) -> dict[str, object]:
        pair = named_value(items)
        return {
            self._string(key): self._named(pair[0] if pair and key == pair[1] else key, item)
            for key, item in items.items()
        }

    def _named(self, key: str, item: object) -> object:
        under = Under.key(key)
        if under:
            return self._under(under, item, is_deep=False)
        if isinstance(item, str) and key in AUTH_NAMES:
            # By the rule for text, which tells a login from a word.
            return self._string(f"auth={item}").removeprefix("auth=")
        return self.value(item)

    def _under(self, under: Under, item: object, *, is_deep: bool) -> object:
        """What lies under the name of a secret, however deep."""
        if isinstance(item, dict) and not under.describes(item):
            return {
                self._string(key): self._under(under, value, is_deep=True)
                for key, value in item.items()
            }
        if isinstance(item, list):
            return [self._under(under, value, is_deep=True) for value in item]
        if under.is_secret(item, is_deep=is_deep):
            self._count("named")
            return REDACTED
        return self.value(item)

    def _list(self, items: list[object]) -> list[object]:
        """A list that may be a command line: what follows an option such as --password is a secret, whatever it looks like."""
        kept: list[object] = []
        texts = [item for item in items if isinstance(item, str)]
        for index, item in enumerate(items):
            before = items[index - 1] if index else None
            if (
                isinstance(item, str)
                and isinstance(before, str)
                and is_secret_option(before)
                and not is_option(item)
                and not is_no_secret_argument(before, item)
                and not is_no_secret(item)
            ):
                self._count("option")
                kept.append(REDACTED)
            else:
                kept.append(self.value(item))
        if len(texts) == len(items) > 1:
            # Once more as one line, for what only several words together tell: curl -u user:secret.
            words = self.text("\x1f".join(map(str, kept))).split("\x1f")
            return list(words) if len(words) == len(kept) else kept
        return kept

    def _substituted(self, name: str, pattern: str, text: str) -> str:
        def replace(match: object) -> str:
            whole = str(match[0])  # type: ignore[index]
            groups = match.groupdict()  # type: ignore[attr-defined]
            group = next((group for group in _GROUPS if groups.get(group)), 0)
            begin, end = (match.start(group) - match.start(), match.end(group) - match.start())  # type: ignore[attr-defined]
            if begin == end or whole[begin:end] == REDACTED:
                return whole
            self._count(name)
            return whole[:begin] + REDACTED + whole[end:]

        return _substitute(name, pattern)(replace, text)

    def _count(self, name: str, number: int = 1) -> None:
        self.found[name] = self.found.get(name, 0) + number


def _encoded(cleaned: object, text: str, separators: tuple[str, str]) -> str:
    """JSON that takes the place of some in a text. Half a character that is escaped there must stay escaped."""
    return json.dumps(cleaned, separators=separators, ensure_ascii=text.isascii() or "\\u" in text)


def _substitute(name: str, pattern: str) -> _Substitute:
    if pattern not in _compiled:
        import re

        try:
            _compiled[pattern] = re.compile(pattern).sub
        except (re.error, RecursionError, OverflowError) as error:
            raise InvalidInput(
                f"the rule {name!r} under [redact] in the config file is no regular expression: {error}"
            ) from None
    return _compiled[pattern]


def _bounded(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    return (
        rules.error_details(name, value) if name == "error_details" else value[: _LONGEST.get(name)]
    )


def refuse_secret(name: str, value: str, own: Mapping[str, str] | None = None) -> str:
    """An id as it is. Raises `InvalidInput` when it looks like a secret: ids are stored as they stand.

    Only by its shape, which `own` rules may know too: that a variable of a suspicious name holds the same text makes no id a secret.
    """
    if Redactor(own, {}).text(value) != value:
        raise InvalidInput(
            f"{name}: the id looks like a secret, and ids are stored as they stand; give another one"
        )
    return value


#: The user's rules by which all is cleaned that this process says.
_hidden: dict[str, str] = {}


def hide(own: Mapping[str, str]) -> None:
    """Redact what these rules of the user's own match in all that this process says, and limit their processor time from now on.

    Only for the main thread of a program of our own: signals interrupt them.
    """
    _hidden.clear()
    _hidden.update(own)
    _budgets[:] = [Budget(_PATIENCE)] if own else []


def said(text: str) -> str:
    """A text as it may be said. A rule of the user's that is none is told of elsewhere, and must not keep anybody from that."""
    try:
        return Redactor(_hidden).text(text)
    except InvalidInput:
        return Redactor().text(text)


rules.quote_through(said)


def remote_without_credentials(url: str) -> str:
    """A git remote without user and password. An ssh user is kept (`git@`): it is part of the address, not a secret.

    A query or fragment goes too: some hosts take tokens there. Empty when an unescaped character leaves open where the
    secret ends: better no address than a part of it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _scp_without_credentials(url)
    authority, slash, path = rest.partition("/")
    address = _without_query(authority)
    user, at, host = address.rpartition("@")
    _, colon, port = host.rpartition("]")[2].partition(":")
    behind = rest[len(address) :]
    if "@" in behind and (
        address != authority or (at and not host) or (colon and not port.isdigit())
    ):
        return ""
    # Behind a password, only an @ that begins a name (`/@scope/package`) is surely not the password's end.
    if ":" in user and "@" in behind.replace("/@", "/"):
        return ""
    kept = (
        f"{user.partition(':')[0]}@"
        if at and scheme.lower() in ("ssh", "git+ssh", "ssh+git")
        else ""
    )
    return f"{scheme}://{kept}{host}{slash + _without_query(path) if address == authority else ''}"


def _without_query(text: str) -> str:
    return text.partition("?")[0].partition("#")[0]


def _scp_without_credentials(url: str) -> str:
    """`[user@]host:path`, or a local path, which has a slash before its first colon."""
    before, _, after = url.partition(":")
    secret, at, address = after.partition("@")
    if (
        "/" not in before
        and "@" not in before
        and at
        and "/" not in secret
        and (":" in address or "/" in address)
    ):
        return address
    return url
