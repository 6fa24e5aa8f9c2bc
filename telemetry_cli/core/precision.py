"""Whether a value says more than is stored of it: digits that a float does not hold, times finer than milliseconds."""

import json

from telemetry_cli.core import values as rules


def is_exact(source: str) -> bool:
    """Tell whether every number in the JSON, which is valid, comes out of a float as it went in."""
    lost = []

    def real(digits: str) -> float:
        number = float(digits)
        if not rules.keeps_digits(digits, number):
            lost.append(digits)
        return number

    json.loads(source, parse_float=real)
    return not lost


def is_finer(text: str) -> bool:
    """Tell whether a time says more than milliseconds."""
    fraction = text.replace(",", ".").partition(".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    return bool(digits[3:].strip("0"))
