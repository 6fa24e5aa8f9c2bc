"""What every operation takes and gives."""

from collections.abc import Mapping

#: What a command prints of an operation.
Result = dict[str, object]
#: An operation, or its `data`.
Data = Mapping[str, object]


def noted(result: Result, note: str | None) -> Result:
    """A result with what is to be said about it on stderr."""
    return result | {"note": note} if note else result
