"""The plain part of TOML: `key = value` lines and `[table]` headers. A config file rarely has more.

tomllib imports typing and more, which costs a third of what a whole recording command may take. Whatever is not plain
is left to it.
"""

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def parse(text: str) -> dict[str, object] | None:
    """The document, just as tomllib would give it; None when the text has more to it than is understood here."""
    document: dict[str, object] = {}
    table = document
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = raw.strip(" \t")
        if not line:
            continue
        if not line.isprintable():
            return None
        if line.startswith("#"):
            continue
        if line.startswith("["):
            name = line[1:-1]
            if not line.endswith("]") or not name or not _BARE.issuperset(name) or name in document:
                return None
            table = {}
            document[name] = table
            continue
        key, equals, value = (part.strip(" ") for part in line.partition("="))
        found = _value(value)
        key = key[1:-1] if _is_plain_string(key) else key if _BARE.issuperset(key) else ""
        if not equals or found is None or not key or key in table:
            return None
        table[key] = found
    return document


def _value(text: str) -> object:
    """A string without escapes, a boolean, or a plain decimal number; None for anything else."""
    if _is_plain_string(text):
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    whole, point, fraction = text.partition(".")
    if not _is_decimal(whole) or (len(whole) > 1 and whole[0] == "0"):
        return None
    if point:
        return float(text) if _is_decimal(fraction) else None
    return int(text)


def _is_plain_string(text: str) -> bool:
    inner = text[1:-1]
    # In single quotes a backslash is a backslash.
    return (
        len(text) >= 2
        and text[0] == text[-1]
        and text[0] in "\"'"
        and text[0] not in inner
        and (text[0] == "'" or "\\" not in inner)
    )


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
