"""Text in cells of CSV: harmless to spreadsheets and terminals on the way out, and as it was on the way in."""

import re

#: What a spreadsheet would take for a formula where a cell begins with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Does not print, and does no harm: line breaks, tabs, spaces that do not break, and what joins letters.
_KEPT = frozenset("\n\t\u00a0\u2007\u202f\u3000\u200c\u200d")
#: Begins a cell in which each backslash of the text is doubled.
MARK = "'\\"

_HEX = "x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}"
_ESCAPE = re.compile(rf"\\({_HEX})")
_DOUBLED_OR_ESCAPE = re.compile(rf"\\(\\|{_HEX})")


def neutralise(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula and no terminal for a command, and that `restore` turns into the text again.

    A quote goes before what begins like a formula, and an escape (`\\x1b`) stands for each control character. A text that itself
    looks as if that had been done to it is marked: it begins with `'\\`, and its backslashes are doubled.
    """
    if text.isprintable() and "\\" not in text and not text.startswith(("'", *_FORMULA)):
        return text
    cell = _escape("'" + text if text.startswith(_FORMULA) else text)
    return cell if restore(cell) == text else MARK + _escape(text.replace("\\", "\\\\"))


def restore(cell: str) -> str:
    """Return the text that a cell of an export stands for. JSON, whose escapes are its own, is left as it is."""
    if cell.startswith(MARK):
        return _DOUBLED_OR_ESCAPE.sub(_character, cell.removeprefix(MARK))
    text = cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
    return text if text.startswith(("{", "[")) else _ESCAPE.sub(_control, text)


def _escape(text: str) -> str:
    return "".join(char if char.isprintable() or char in _KEPT else _code(char) for char in text)


def _code(char: str) -> str:
    number = ord(char)
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )


def _character(found: re.Match[str]) -> str:
    number = found[1][1:]
    return (
        chr(int(number, 16))
        if number and int(number, 16) < 0x110000
        else "\\"
        if not number
        else found[0]
    )


def _control(found: re.Match[str]) -> str:
    """The character that an escape stands for, if an export writes it so; NUL and lone surrogates are in no text."""
    char = _character(found)
    is_ours = (
        not char.isprintable()
        and char not in _KEPT
        and char != "\0"
        and not "\ud800" <= char <= "\udfff"
    )
    return char if is_ours and _code(char) == found[0] else found[0]
