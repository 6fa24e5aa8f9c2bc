"""What a check finds."""

#: `problem`: something is wrong or may be lost; `warning`: something to know of.
PROBLEM, WARNING = "problem", "warning"
COLUMNS = ("severity", "what", "where", "todo")


class Finding:
    """One finding: how bad it is, what it is, where, and what to do about it."""

    def __init__(self, severity: str, what: str, where: str, todo: str) -> None:
        self.severity = severity
        self.what = what
        self.where = where
        self.todo = todo

    def row(self) -> dict[str, object]:
        """The finding as a record."""
        return {
            "severity": self.severity,
            "what": self.what,
            "where": self.where,
            "todo": self.todo,
        }


def problem(what: str, where: str, todo: str) -> Finding:
    """Something is wrong, or may be lost."""
    return Finding(PROBLEM, what, where, todo)


def warning(what: str, where: str, todo: str) -> Finding:
    """Something to know of."""
    return Finding(WARNING, what, where, todo)
