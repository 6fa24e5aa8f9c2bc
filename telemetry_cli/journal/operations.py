"""Operations, which are what the journal holds, and their outcomes."""

import os

from telemetry_cli.core.clock import new_op_id
from telemetry_cli.core.errors import BY_EXIT_CODE, TelemetryError

#: Data of an operation, or its result.
Data = dict[str, object]
#: `op_id`, `op` (its kind), `at`, `actor` and `data`, as a journal line has them.
Operation = dict[str, object]


class Outcome:
    """Result of one operation: `exit_code` and `result` as stored.

    `buffered` is why it is not in the database yet, else None; then the other two say nothing.
    """

    def __init__(
        self, exit_code: int, result: Data, buffered: TelemetryError | None = None
    ) -> None:
        self.exit_code = exit_code
        self.result = result
        self.buffered = buffered

    def check(self) -> None:
        """Raise the error that the operation ended with, if any."""
        if self.exit_code:
            raise BY_EXIT_CODE.get(self.exit_code, TelemetryError)(
                str(self.result["error"]), str(self.result.get("hint", ""))
            )


def operation(kind: str, data: Data, at: str) -> Operation:
    """Return a new operation with its own op_id. Recording it twice has one effect.

    `at` is its time, as `clock.stamp` formats it.
    """
    return {"op_id": new_op_id(), "op": kind, "at": at, "actor": actor(), "data": data}


def actor() -> str:
    """Return who records, as USER@HOST in ASCII."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid())
    return f"{user}@{os.uname().nodename}".encode("ascii", "backslashreplace").decode()
