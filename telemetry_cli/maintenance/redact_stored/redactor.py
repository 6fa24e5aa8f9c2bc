"""A `Redactor` for what is stored already: names of things stay as they are, since other records refer to them, and are told of."""

from collections.abc import Mapping, Sequence

from telemetry_cli.core.config import Config
from telemetry_cli.database.texts import is_name
from telemetry_cli.maintenance.redact_stored import references
from telemetry_cli.redaction.redactor import Redactor

#: Fields of operations, and of lines in blobs, that name a thing by a text that somebody gave; digests and times are made by us.
_GIVEN = frozenset(
    (
        "id",
        "given",
        "event_id",
        "run",
        "parent",
        "of",
        "parent_run_id",
        "hook",
        "slug",
        "convention",
        "run_key",
    )
)


class Cleaner(Redactor):
    """Takes secrets out of texts, and leaves names. `kept` counts the secrets in names, by rule, beside `found`.

    Names are looked at as at the door (`redact.refuse_secret`): by their shape alone. A run_id is one where it is `referred` to.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config.redact_rules)
        self._referred = references.of(config)
        self._shapes = Redactor(config.redact_rules, {})
        self.kept = self._shapes.found

    def forget(self) -> None:
        """Count from nothing."""
        self.found.clear()
        self.kept.clear()

    def shown(self, name: str) -> str:
        """A name as it may be said."""
        return Redactor(self._own, {}).text(name)

    def keep(self, name: object) -> None:
        """Look at what stays as it is: a name, or a list of them."""
        for one in name if isinstance(name, list) else [name]:
            if isinstance(one, str):
                self._shapes.text(one)

    def is_kept(self, table: str, column: str, value: object) -> bool:
        """Tell whether a value of a row is a name, which stays."""
        return is_name(table, column) or (column == "run_id" and self._is_referred(value))

    def _is_referred(self, value: object) -> bool:
        # A journal line may hold anything in the place of an id.
        return isinstance(value, str) and value in self._referred

    def operation(self, data: Mapping[str, object]) -> dict[str, object]:
        """An operation's data, or an object in a blob."""
        names = {
            name: value
            for name, value in data.items()
            if name in _GIVEN or (name == "run_id" and self._is_referred(value))
        }
        for value in names.values():
            self.keep(value)
        cleaned = super().operation(
            {name: value for name, value in data.items() if name not in names}
        )
        return {name: names[name] if name in names else cleaned[name] for name in data}

    def row(self, columns: Sequence[str], values: Sequence[object]) -> list[object]:
        """A row of a table, or a run of an import."""
        names = {
            place
            for place, (column, value) in enumerate(zip(columns, values, strict=False))
            if self.is_kept("agent_runs", column, value)
        }
        for place in names:
            self.keep(values[place])
        cleaned = super().row(
            columns, [None if place in names else value for place, value in enumerate(values)]
        )
        return (
            [values[place] if place in names else value for place, value in enumerate(cleaned)]
            if names
            else cleaned
        )
