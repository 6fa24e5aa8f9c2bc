"""Build the SQL that selects runs: one `RunFilter` for everything that reads many runs."""

import json
from collections.abc import Mapping, Sequence

from telemetry_cli.database.sandbox import expression
from telemetry_cli.database.search import expression as search_expression

#: The filters that compare one time: name → (column, comparison).
TIMES = {
    "since": ("created_at", ">="),
    "until": ("created_at", "<"),
    "created_after": ("created_at", ">"),
    "created_before": ("created_at", "<"),
    "start_time_from": ("start_time", ">="),
    "start_time_to": ("start_time", "<="),
}

#: Number of digits of the shortest SHA that `values.commit_hash` accepts, and of a whole SHA-1.
_SHORTEST, _SHA1 = 7, 40
_ABBREVIATED = ",".join(f"substr(sha, 1, {length})" for length in range(_SHORTEST, _SHA1))

#: The associations of each commit in a JSON array of SHAs, as a table `entered` (sha, id, event_id,
#: role). An association may name its commit by an abbreviated SHA.
ENTERED = f"""
    asked AS MATERIALIZED (SELECT value AS sha FROM json_each(?)),
    entered AS (
        SELECT sha, id, event_id, role FROM asked JOIN run_commits ON commit_hash = sha
        UNION ALL
        SELECT sha, id, event_id, role FROM asked JOIN run_commits ON commit_hash IN ({_ABBREVIATED})
        WHERE length(commit_hash) < {_SHA1}
            AND EXISTS (SELECT 1 FROM run_commits WHERE length(commit_hash) < {_SHA1})
    )"""


def abbreviate(sha: str) -> list[str]:
    """Return the SHA, and every abbreviation of it that an association may hold."""
    return [sha, *(sha[:length] for length in range(_SHORTEST, min(len(sha), _SHA1)))]


def match_commit(prefix: str) -> tuple[str, list[object]]:
    """Return a condition on `commit_hash`, and its values: the two SHAs begin alike."""
    shorter = abbreviate(prefix)[1:]
    marks = ",".join("?" * len(shorter))
    condition = f"(commit_hash >= ? AND commit_hash < ? OR commit_hash IN ({marks}))"
    return condition, [prefix, prefix + "g", *shorter]


class RunFilter:
    """Which runs are wanted, in which order, and which part of them.

    columns: column → accepted values.
    times: name in `TIMES` → instant.
    commit: beginning of a SHA that the run is associated with, now or earlier.
    commits: whole SHAs, the run is associated with one of them.
    event_id: beginning of the event_id.
    search: words of the run's names, summaries and errors.
    where: SQL expression as the user wrote it.
    parent: RUN whose children are wanted; `set_parent` replaces it by ids.
    sort: column of `agent_runs`; without it, the newest runs come first.
    limit: maximum number of runs, 0 for all.

    Raises `InvalidInput` for a `where` that is more than one expression, and for `search` without a
    word.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, Sequence[str]] | None = None,
        times: Mapping[str, str] | None = None,
        commit: str | None = None,
        commits: Sequence[str] | None = None,
        event_id: str | None = None,
        search: str | None = None,
        where: str | None = None,
        parent: str | None = None,
        sort: str | None = None,
        reverse: bool = False,
        limit: int = 0,
        offset: int = 0,
    ) -> None:
        self.parent = parent
        self.where = where
        self.limit = limit
        self.offset = offset
        self.values: list[object] = []
        self._terms: list[str] = []
        for name, accepted in (columns or {}).items():
            self._accept(name, accepted)
        for name, moment in (times or {}).items():
            column, operator = TIMES[name]
            self._add(f"{column} {operator} ?", moment)
        if commits is not None:
            self._add(
                f"event_id IN (WITH {ENTERED} SELECT event_id FROM entered)", json.dumps(commits)
            )
        if commit is not None:
            term, values = match_commit(commit)
            self._add(f"event_id IN (SELECT event_id FROM run_commits WHERE {term})", *values)
        if event_id is not None:
            self._add("event_id >= ? AND event_id < ?", event_id, event_id + "\U0010ffff")
        if search is not None:
            words = search_expression("--search", search)
            self._add("id IN (SELECT rowid FROM runs_search WHERE runs_search MATCH ?)", words)
        if where is not None:
            self._add(expression("--where", where))
        direction = "ASC" if reverse else "DESC"
        self.order = f"ORDER BY {sort or 'created_at'} {direction}, id {direction}"

    def _add(self, term: str, *values: object) -> None:
        self._terms.append(term)
        self.values.extend(values)

    def _accept(self, column: str, accepted: Sequence[str]) -> None:
        is_one = len(accepted) == 1
        marks = "= ?" if is_one else f"IN ({','.join('?' * len(accepted))})"
        self._add(f"{column} {marks}", *accepted)

    def set_parent(self, ids: Sequence[str]) -> None:
        """Select the children of the run that `parent` means; `ids` are its event_id and run_id."""
        self._accept("parent_run_id", ids)
        self.parent = None

    @property
    def is_empty(self) -> bool:
        """Whether every run matches."""
        return not self._terms and self.parent is None

    @property
    def clause(self) -> str:
        """The WHERE clause, empty when every run matches."""
        return f"WHERE {' AND '.join(self._terms)}" if self._terms else ""
