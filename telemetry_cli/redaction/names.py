"""What a name and its value tell: whether it is the name of a secret, and what stands under it one."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from telemetry_cli.redaction.patterns import (
    COUNT_WORDS,
    FLAG_WORDS,
    HARMLESS_KEYS,
    HARMLESS_NAMES,
    KEY_WORDS,
    ROOTS,
    SECRET_NAMES,
    SINGULAR_NAMES,
)

REDACTED = "[redacted]"

#: A value of the environment is looked for in other texts only when it is unlikely to stand there by chance.
_SHORTEST_VALUE = 8
_SURELY_LONG = 16
#: Keys recur from record to record: what so many of them say is kept in mind, of those that are no longer than this.
_MOST_KEYS, _LONGEST_KEY = 4096, 128
#: Names whose small numbers count something: `{"token": 17}`. A password may well be a number.
_COUNTED = ("token", "pass", "credentials", "cookie")
_LARGEST_COUNT = 99_999
#: Ends of names all of whose numbers count something: `{"samples_per_pass": 1048576}`.
_COUNTS = tuple(word + "pass" for word in COUNT_WORDS)
#: Those whose numbers may be secrets, unlike those of `{"total_token": 250000}`.
_KEY_TOKENS = tuple(word + "token" for word in KEY_WORDS)
#: Keys of the two halves of a pair such as `{"name": "DB_PASSWORD", "value": "x"}`.
_PAIRS = (("name", "value"), ("Name", "Value"), ("key", "value"), ("Key", "Value"))
#: JSON's error counts the lines before it, so each costs as much time as there is text before.
_MOST_BROKEN = 1000
#: Most variables are told from secrets by their last letter.
_LAST_LETTERS = frozenset((*(name[-1] for name in SECRET_NAMES), "y", "_"))
#: Each time that JSON becomes a text in JSON, twice as many backslashes stand in it, and one more.
_BACKSLASHES = "{1,63}+"
#: What else stands for a character: the letter behind a backslash in JSON, `+` in a form.
_OTHER_FORMS = {"\n": "|n", "\r": "|r", "\t": "|t", " ": r"|\+"}
#: What a description of a field says of its type.
_TYPES = (
    "string",
    "str",
    "text",
    "number",
    "integer",
    "int",
    "float",
    "boolean",
    "bool",
    "object",
    "array",
    "list",
    "bytes",
    "null",
    "any",
)


class Under:
    """A name in JSON that says that what lies under it is secret, alone or as one of several (`passwords`)."""

    def __init__(self, plain: str, *, is_plural: bool) -> None:
        self._is_plural = is_plural
        self._is_counted = plain.endswith(_COUNTED)
        self._is_count = plain.endswith(_COUNTS) or (
            plain.endswith("token") and plain != "token" and not plain.endswith(_KEY_TOKENS)
        )
        self._is_folder = plain.endswith("pwd")
        self._is_tokens = plain.endswith("tokens")

    @staticmethod
    def key(name: str) -> "Under | None":
        """What a key says; None where it is no secret's name."""
        return _under(name) if len(name) <= _LONGEST_KEY else _under.__wrapped__(name)

    def is_secret(self, value: object, *, is_deep: bool) -> bool:
        """Tell whether a text or a number under it is a secret; `is_deep`: with other keys, or in a list, between."""
        if isinstance(value, str):
            if is_no_secret(value) or (self._is_folder and value.startswith(("/", "~"))):
                return False
            return not self._is_plural or self._is_one_of_several(value, is_deep=is_deep)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or self._is_plural
            or self._is_count
        ):
            return False
        return abs(value) > _LARGEST_COUNT or not (self._is_counted or is_deep)

    def _is_one_of_several(self, value: str, *, is_deep: bool) -> bool:
        """`tokens` are also what a text is cut into, `secrets` lists the names of some, or says in a word where they are."""
        if value.isidentifier() and (is_secret_name(value) or _is_key(value)):
            return False
        if self._is_tokens or not is_deep:
            return len(value) >= _SHORTEST_VALUE and _is_mixed(value)
        return True

    def describes(self, item: Mapping[str, object]) -> bool:
        """Tell whether an object says what a field of this name is like, as in a schema."""
        return item.get("type") in _TYPES


@lru_cache(_MOST_KEYS)
def _under(name: str) -> Under | None:
    plain = _plain(name)
    is_plural = (
        plain.endswith("s")
        and plain[:-1].endswith(SINGULAR_NAMES)
        and not plain[:-1].endswith(HARMLESS_NAMES)
    )
    return Under(plain, is_plural=is_plural) if is_plural or is_secret_name(name) else None


def nested(text: str) -> Iterator[tuple[Under, int, int, object]]:
    """The objects and lists under names of secrets in JSON that stands in a text, and where each begins and ends.

    Those in another one are part of it. One that is not whole is passed over as far as it can be read, so that no text is read twice;
    after `_MOST_BROKEN` of them, the rest of the text is left to the rules for text.
    """
    decoder = json.JSONDecoder()
    broken = 0
    colon = text.find('":')
    while colon >= 0:
        begin = end = colon + 2
        while text[begin : begin + 1].isspace():
            begin += 1
        _, quote, name = text[max(0, colon - _LONGEST_KEY) : colon].rpartition('"')
        under = Under.key(name) if quote and text[begin : begin + 1] in ("{", "[") else None
        if under:
            try:
                value, end = decoder.raw_decode(text, begin)
            except json.JSONDecodeError as error:
                end = max(begin, error.pos)
                broken += 1
                if broken == _MOST_BROKEN:
                    return
            except (ValueError, RecursionError):
                return
            else:
                yield under, begin, end, value
        colon = text.find('":', end)


def is_secret_name(name: str) -> bool:
    """Tell whether what a name stands for is a secret: `GITHUB_TOKEN`, `client-secret`, `apiKey`."""
    plain = _plain(name)
    return plain.endswith(SECRET_NAMES) and not plain.endswith(HARMLESS_NAMES)


def _plain(name: str) -> str:
    """A name in lower case, without separators."""
    return name.lower().replace("_", "").replace("-", "").replace(".", "").replace(" ", "")


def is_secret_option(word: str) -> bool:
    """Tell whether a secret follows an option; none follows `--ask-pass`."""
    return (
        word.startswith("-")
        and "=" not in word
        and is_secret_name(word)
        and word.lower().lstrip("-").partition("-")[0] not in FLAG_WORDS
    )


def is_no_secret_argument(option: str, word: str) -> bool:
    """Tell whether what follows an option counts something (`--max-token 4096`), or says where a build finds a secret (`--secret id=npm`)."""
    name = option.lower()
    if name.endswith("secret"):
        return word.startswith(("id=", "type="))
    return name.endswith(("token", "pass")) and word.isdigit() and len(word) <= 5


def is_option(word: str) -> bool:
    """A long option, or one of a letter; what else begins with '-' may be a value."""
    return word.startswith("--") or (word.startswith("-") and len(word) <= 2)


def is_no_secret(value: str) -> bool:
    """A variable (of the environment: `$x` may be a password), a placeholder, a path, the address of a secret in a store, or what was redacted before."""
    return (
        not value.strip()
        or (value.startswith("$") and value[1:].isidentifier() and value.isupper())
        or value.startswith(
            ("${", "$(", "<", "{{", "***", "~/", "./", "../", "arn:", "op://", REDACTED)
        )
        or value.lower() in ("none", "null", "true", "false")
        or (
            value.startswith("/")
            and "/" in value[1:]
            and value[1:].partition("/")[0].lower() in ROOTS
        )
    )


def named_value(item: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the name and the key of its value in an object such as `{"name": "DB_PASSWORD", "value": "x"}`; None for any other."""
    for name, value in _PAIRS:
        if value in item and isinstance(item.get(name), str):
            return str(item[name]), value
    return None


def secret_values(environ: Mapping[str, str]) -> Sequence["Known"]:
    """The secrets that the environment holds, longest first, as far as finding one of them in a text means anything."""
    values: set[str] = set()
    for name, value in environ.items():
        if (
            len(value) >= _SHORTEST_VALUE
            and name[-1:].lower() in _LAST_LETTERS
            and (is_secret_name(name) or (_is_key(name) and _is_random(value)))
            and not _is_path(name, value)
        ):
            # Texts are looked at line by line in places, and an end of line often comes with the value.
            whole = value.strip()
            values.update(
                line
                for line in map(str.strip, value.splitlines())
                if _is_random(line) and _is_telling(line)
            )
            if _is_telling(whole):
                values.update((whole, *_base64_of(whole)))
    return tuple(map(_known, sorted(values, key=len, reverse=True))) if values else ()


class Known:
    """A secret that is known, as it may stand in a text: each of its characters as it is, escaped for JSON
    (once, or more often, for JSON within JSON) or percent-encoded.

    Letters and digits of ASCII stand as they are in all of these.
    """

    def __init__(self, secret: str) -> None:
        self.length = len(secret)
        self._secret = secret
        runs = "".join(char if _is_plain(char) else " " for char in secret).split()
        self._runs = sorted(runs, key=len, reverse=True)
        self._runs_as_bytes = [run.encode() for run in self._runs]

    def may_stand_in(self, text: str) -> bool:
        """Tell whether a text is worth the pattern."""
        return all(map(text.__contains__, self._runs))

    def may_stand_in_line(self, line: bytes) -> bool:
        """The same for a line that is not decoded."""
        return all(map(line.__contains__, self._runs_as_bytes))

    def pattern(self) -> str:
        """A regular expression that takes time linear in the text."""
        return _pattern_of(self._secret)


_known = lru_cache(256)(Known)


@lru_cache(256)
def _pattern_of(secret: str) -> str:
    pieces = [
        char if _is_plain(char) else _any_form(char)
        for before, char in zip(" " + secret, secret, strict=False)
        # One backslash stands for several: how many there are depends on how often it was escaped.
        if (before, char) != ("\\", "\\")
    ]
    return "".join(pieces)


def _any_form(char: str) -> str:
    """Match a character in any form. What runs on is bounded, since a match may begin at each character."""
    percent = "".join(
        f"%(?:25){{0,3}}(?i:{byte:02x})" for byte in char.encode(errors="surrogateescape")
    )
    if char == "\\":
        return rf"(?:\\|u005[Cc]|{percent}){_BACKSLASHES}"
    units = char.encode("utf-16-be", "surrogatepass")
    escaped = rf"\\{_BACKSLASHES}".join(
        f"u(?i:{units[place : place + 2].hex()})" for place in range(0, len(units), 2)
    )
    plain = f"\\{char}" if char.isascii() else char
    others = _OTHER_FORMS.get(char, "")
    return rf"(?:{percent}|(?:\\{_BACKSLASHES})?+(?:{plain}|{escaped}{others}))"


def _is_plain(char: str) -> bool:
    return char.isascii() and char.isalnum()


@lru_cache(256)
def _base64_of(value: str) -> tuple[str, ...]:
    """Return what a value is in base64, alone or after other text such as `user:`."""
    from binascii import b2a_base64

    content = value.encode(errors="surrogateescape")
    texts = [
        # Without the characters that also depend on what stands before or behind.
        b2a_base64(bytes(before) + content, newline=False)[
            -(-before * 4 // 3) : (before + len(content)) * 4 // 3
        ].decode()
        for before in range(3)
    ]
    return (*texts, *(text.replace("+", "-").replace("/", "_") for text in texts))


def _is_telling(value: str) -> bool:
    return (
        len(value) >= _SHORTEST_VALUE
        and (len(value) >= _SURELY_LONG or _is_mixed(value))
        and all(map(str.isprintable, value.split()))
        and not is_no_secret(value)
    )


def _is_mixed(value: str) -> bool:
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def _is_random(value: str) -> bool:
    return len(value) >= _SURELY_LONG and " " not in value and _is_mixed(value)


def _is_key(name: str) -> bool:
    """Tell whether a variable's name says that it is some key: `STRIPE_KEY`. Those of which more is said are secrets' names."""
    *words, last = name.lower().split("_")
    return last == "key" and any(words) and HARMLESS_KEYS.isdisjoint(words)


def _is_path(name: str, value: str) -> bool:
    """Tell whether a variable holds a path, and no key in base64, which may begin with a slash too."""
    if not value.startswith(("/", "~/", "./")):
        return False
    is_folder = name.lower().endswith("pwd")
    has_root = value[1:].partition("/")[0].lower() in ROOTS or not value.startswith("/")
    is_plain = value == value.lower() and not any(mark in value for mark in "+=")
    return (
        is_folder
        or has_root
        or is_plain
        or "." in value.rpartition("/")[2]
        or os.path.exists(value)
    )
