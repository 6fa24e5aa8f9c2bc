"""Whether a value says more than is stored of it: digits that a float does not hold, times finer than milliseconds."""

import json
from decimal import Decimal

#: So many significant digits always come out of a float as they went in.
_SAFE_DIGITS = 15


def is_exact(source: str) -> bool:
    """Tell whether every number in the JSON, which is valid, comes out of a float as it went in."""
    lost = []

    def real(digits: str) -> float:
        number = float(digits)
        # Up to 15 digits always do; most numbers have no more.
        if len(digits) > _SAFE_DIGITS and Decimal(digits) != Decimal(repr(number)):
            lost.append(digits)
        return number

    json.loads(source, parse_float=real)
    return not lost


def is_finer(text: str) -> bool:
    """Tell whether a time says more than milliseconds."""
    fraction = text.replace(",", ".").partition(".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    return bool(digits[3:].strip("0"))
