"""What must never be written: secrets are taken out of values before they reach the journal, and out of what is said on stderr."""

import json
import os
from collections.abc import Callable, Mapping, Sequence

from telemetry_cli import rules
from telemetry_cli.bounded import Budget, TooLong
from telemetry_cli.errors import InvalidInput
from telemetry_cli.secret_names import REDACTED, Under, is_no_secret, is_option, is_secret_option, nested, secret_values
from telemetry_cli.secret_shapes import NAME_MARKS, RULES, Mark

#: Of each mark its first part: the signs that a rule may find something. Of those that hold one of NAME_MARKS, these stand for all.
_FIRST = {mark if isinstance(mark, str) else mark[0] for _, marks, _ in RULES for mark in marks}
_FOLDED = (*NAME_MARKS, *sorted(sign for sign in _FIRST if sign == sign.lower() and not any(mark in sign for mark in NAME_MARKS)))
_EXACT = tuple(sorted(sign for sign in _FIRST if sign != sign.lower()))
#: After so many texts a pattern of all signs has been worth importing what it takes; a single record is far below.
_FEW = 500
#: Names and values recur from record to record: so many short texts are known to hold no secret, before they are forgotten.
_MOST_CLEAN, _LONGEST_CLEAN = 4096, 128
#: Fields of an operation that say which thing is meant: changed, they would mean another one. Handlers refuse ids that look
#: like secrets (`refuse_secret`).
_IDENTITY = frozenset((
    "id", "given", "event_id", "run", "parent", "created_by", "commit_hash", "blob", "digest", "process_started", "boot_id", "start_time", "end_time",
    "timestamp",
))  # fmt: skip
#: What the tables hold at most of a field; a redacted text may be longer than it was.
_LONGEST = {"agent_name": 200, "job_type": 200, "event_type": 200, "run_id": 255}
_GROUPS = ("secret", "quoted", "escaped", "single")

#: A compiled pattern's `sub`, without importing what it is made of.
_Substitute = Callable[[Callable[[object], str], str], str]
_compiled: dict[str, _Substitute] = {}
_budgets: list[Budget] = []


def limit_own_rules(seconds: float, least: float) -> None:
    """From now on, and for this whole process, the user's rules have so many seconds of processor time together, each text `least`.

    A text on which they take longer is redacted whole. Only for the main thread of a program of our own: signals interrupt them.
    """
    _budgets[:] = [Budget(seconds, least)]


class Redactor:
    """Takes secrets out of texts and JSON, by the rules in `secret_shapes`, rules of one's own (name → regular expression), and the
    values of environment variables whose names say that they are secrets. `found` counts what was taken out, by rule.

    A text without any sign of a secret costs some searches for literal words, and nothing is imported. Raises `InvalidInput`
    when a rule of one's own is no regular expression.
    """

    def __init__(self, own: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._own = own or {}
        self._values = secret_values(os.environ if environ is None else environ)
        self.found: dict[str, int] = {}
        self._clean: set[str] = set()

    def suspects(self, line: bytes) -> bool:
        """Tell whether there may be anything to take out of a line; the signs of secrets are ASCII."""
        if self._own or any(json.dumps(value)[1:-1].encode() in line for value in self._values):
            return True
        text = line.decode("ascii", "replace")
        return _signs.stand_in(text, text.lower())

    def text(self, text: str) -> str:
        """The text with `[redacted]` in the place of each secret. Doing it twice changes nothing more."""
        text = self._without_values(text)
        suspected = _suspected(text)
        if suspected and '":' in text:
            text = self._nested(text)
        for name, pattern in suspected:
            text = self._substituted(name, pattern, text)
        return self._without_own(text)

    def _without_values(self, text: str) -> str:
        for value in self._values:
            if value in text:
                self._count("environment", text.count(value))
                text = text.replace(value, REDACTED)
        return text

    def _without_own(self, text: str) -> str:
        for name, pattern in self._own.items():
            text = self._substituted_in_time(name, pattern, text)
        return text

    def value(self, value: object) -> object:
        """The same for JSON: every text in it, keys too; and what lies under a key that says it is a secret. JSON in a text is JSON."""
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, dict):
            return {self._string(key): self._named(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return self._list(value)
        return value

    def words(self, words: Sequence[str]) -> list[str]:
        """The same for a command line."""
        return [str(word) for word in self._list(list(words))]

    def operation(self, data: Mapping[str, object]) -> dict[str, object]:
        """The same for an operation's data, whose ids, digests and times stay as they are."""
        return {name: value if name in _IDENTITY else _bounded(name, self.value(value)) for name, value in data.items()}

    def row(self, columns: Sequence[str], values: Sequence[object]) -> list[object]:
        """The same for a row of a table, and for what stands behind its columns; without columns, for any list."""
        if not columns:
            return self._list(list(values))
        names = [*columns, *[""] * (len(values) - len(columns))]
        # Most of a row is empty, a number, or known: rows come by the hundred thousand, so nothing is called for those.
        clean = self._clean
        return [
            _bounded(name, self.value(value)) if isinstance(value, (str, dict, list)) and not (isinstance(value, str) and value in clean) else value
            for name, value in zip(names, values, strict=False)
        ]

    def _string(self, text: str) -> str:
        if text in self._clean:
            return text
        cleaned = self._document(text) if text[:1] in ("{", "[") and text[-1:] in ("}", "]") else self.text(text)
        if cleaned == text and len(text) <= _LONGEST_CLEAN:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean.add(text)
        return cleaned

    def _document(self, text: str) -> str:
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
            cleaned = self.value(value)
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

    def _named(self, key: str, item: object) -> object:
        under = Under.key(key)
        return self._under(under, item, is_deep=False) if under else self.value(item)

    def _under(self, under: Under, item: object, *, is_deep: bool) -> object:
        """What lies under the name of a secret, however deep."""
        if isinstance(item, dict) and not under.describes(item):
            return {self._string(key): self._under(under, value, is_deep=True) for key, value in item.items()}
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
            if isinstance(item, str) and isinstance(before, str) and is_secret_option(before) and not is_option(item) and not is_no_secret(item):
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

    def _substituted_in_time(self, name: str, pattern: str, text: str) -> str:
        if not _budgets or not text:
            return self._substituted(name, pattern, text)
        try:
            return _budgets[0].run(lambda: self._substituted(name, pattern, text))
        except TooLong:
            self._count(name)
            return REDACTED

    def _count(self, name: str, number: int = 1) -> None:
        self.found[name] = self.found.get(name, 0) + number


def _encoded(cleaned: object, text: str, separators: tuple[str, str]) -> str:
    """JSON that takes the place of some in a text. Half a character that is escaped there must stay escaped."""
    return json.dumps(cleaned, separators=separators, ensure_ascii=text.isascii() or "\\u" in text)


class _Signs:
    """Tells whether any rule may find something in a text, in far less time than by asking each.

    The first texts are searched for one sign after the other. When many come, one pattern of all has been worth its making.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._patterns: tuple[Callable[[str], object], ...] = ()

    def stand_in(self, text: str, lower: str) -> bool:
        """`lower` is the text in lower case."""
        if self._patterns:
            in_lower, exactly = self._patterns
            return bool(in_lower(lower) or exactly(text))
        self._asked += 1
        if self._asked > _FEW:
            import re

            self._patterns = tuple(re.compile("|".join(map(re.escape, signs))).search for signs in (_FOLDED, _EXACT))
        return bool(self.of(text, lower))

    def of(self, text: str, lower: str) -> list[str]:
        """All that stand in it."""
        return [sign for sign in _FOLDED if sign in lower] + [sign for sign in _EXACT if sign in text]


_signs = _Signs()


def _suspected(text: str) -> list[tuple[str, str]]:
    """The rules (their names and patterns, in order) one of whose marks stands in a text."""
    lower = text.lower()
    if not _signs.stand_in(text, lower):
        return []
    places = {
        place
        for sign in _signs.of(text, lower)
        for place, folded, others in _told_of(sign)
        if any(map(lower.__contains__, folded)) or any(_stands(mark, text, lower) for mark in others)
    }
    return [(RULES[place][0], RULES[place][2]) for place in sorted(places)]


#: A rule's place, those of its marks that are sought in any case, and its others.
_Told = tuple[int, list[str], list[Mark]]
_told: dict[str, list[_Told]] = {}


def _told_of(sign: str) -> list[_Told]:
    """The rules that a sign tells of, by those of their marks that it is part of."""
    if sign not in _told:
        _told[sign] = []
        for place, (_, marks, _) in enumerate(RULES):
            some = [mark for mark in marks if sign in (mark if isinstance(mark, str) else mark[0])]
            folded = [mark for mark in some if isinstance(mark, str) and mark == mark.lower()]
            if some:
                _told[sign].append((place, folded, [mark for mark in some if mark not in folded]))
    return _told[sign]


def _stands(mark: Mark, text: str, lower: str) -> bool:
    """Tell whether a mark stands in the text; `lower` is the same in lower case."""
    if isinstance(mark, tuple):
        return all(_stands(part, text, lower) for part in mark)
    return mark in (lower if mark == mark.lower() else text)


def _substitute(name: str, pattern: str) -> _Substitute:
    if pattern not in _compiled:
        import re

        try:
            _compiled[pattern] = re.compile(pattern).sub
        except (re.error, RecursionError, OverflowError) as error:
            raise InvalidInput(f"the rule {name!r} under [redact] in the config file is no regular expression: {error}") from None
    return _compiled[pattern]


def _bounded(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    return rules.error_details(name, value) if name == "error_details" else value[: _LONGEST.get(name)]


def refuse_secret(name: str, value: str, own: Mapping[str, str] | None = None) -> str:
    """An id as it is. Raises `InvalidInput` when it looks like a secret: ids are stored as they stand.

    Only by its shape, which `own` rules may know too: that a variable of a suspicious name holds the same text makes no id a secret.
    """
    if Redactor(own, {}).text(value) != value:
        raise InvalidInput(f"{name}: the id looks like a secret, and ids are stored as they stand; give another one")
    return value


#: The user's rules by which all is cleaned that this process says.
_hidden: dict[str, str] = {}


def hide(own: Mapping[str, str]) -> None:
    """Take what these rules of the user's own match out of all that is said from now on."""
    _hidden.clear()
    _hidden.update(own)


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
    if "@" in behind and (address != authority or (at and not host) or (colon and not port.isdigit())):
        return ""
    # Behind a password, only an @ that begins a name (`/@scope/package`) is surely not the password's end.
    if ":" in user and "@" in behind.replace("/@", "/"):
        return ""
    kept = f"{user.partition(':')[0]}@" if at and scheme.lower() in ("ssh", "git+ssh", "ssh+git") else ""
    return f"{scheme}://{kept}{host}{slash + _without_query(path) if address == authority else ''}"


def _without_query(text: str) -> str:
    return text.partition("?")[0].partition("#")[0]


def _scp_without_credentials(url: str) -> str:
    """`[user@]host:path`, or a local path, which has a slash before its first colon."""
    before, _, after = url.partition(":")
    secret, at, address = after.partition("@")
    if "/" not in before and "@" not in before and at and "/" not in secret and (":" in address or "/" in address):
        return address
    return url
