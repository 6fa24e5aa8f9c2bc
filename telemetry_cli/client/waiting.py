"""What waits in memory: an operation, and the error that says of it that it does."""

from telemetry_cli.journal.operations import Operation, Outcome


class Waits(Exception):
    """The record is kept in memory and will be written later; `trouble` is what was in the way."""

    def __init__(self, trouble: Exception) -> None:
        super().__init__(trouble)
        self.trouble = trouble


class Entry:
    """An operation that waits, and what came of it; `awaited` while a caller waits for that."""

    def __init__(self, operation: Operation, *, awaited: bool) -> None:
        self.operation = operation
        self.awaited = awaited
        self.outcome: Outcome | None = None
