"""Make text from outside fit for a terminal: no control bytes, no bidi overrides."""

_JOINERS = "\u200c\u200d"


def printable(text: str, keep: str = "") -> str:
    """The text with every character that does not print written as an escape (`\\x1b`); `keep` passes as it is."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep or char in _JOINERS else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    if char in "\u00a0\u2007\u202f\u3000":
        return " "
    return char.encode("unicode_escape", "surrogatepass").decode()
