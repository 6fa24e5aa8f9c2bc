"""Figures over many runs, from SQL alone: no row is loaded into Python that is not a group of the answer."""

from datetime import UTC, datetime, timedelta

from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.core.values import STATUSES
from telemetry_cli.database import runs
from telemetry_cli.database.database import Connection, damaged
from telemetry_cli.database.filters import RunFilter
from telemetry_cli.database.runs import Row

_PARTS = {"day": "substr(start_time, 1, 10)", "hour": "substr(start_time, 1, 13) || ':00Z'"}
ITEMS = ("items_discovered", "items_succeeded", "items_failed", "items_skipped")
#: How many parts a trend has, and what its times are cut to: (characters, the time that they tell apart).
_PARTS_OF_A_TREND = 24
_PREFIXES = (
    (10, timedelta(days=1)),
    (13, timedelta(hours=1)),
    (16, timedelta(minutes=1)),
    (19, timedelta(seconds=1)),
)
_LONGEST_PREFIX = 23
COLUMNS = ("group", "runs", *STATUSES, "success_rate", "p50_ms", "p95_ms", "max_ms", *ITEMS)

_P50, _P95 = "(ended * 50 + 99) / 100", "(ended * 95 + 99) / 100"
#: `total`, for `sum` fails past 63 bits; exact up to 2⁵³.
_TOTALS = f"""count(*) AS runs, count(*) - sum(status = 'running') AS ended, max(CASE WHEN status <> 'running' THEN duration_ms END) AS max_ms,
    {", ".join(f"sum(status = '{status}') AS {status}" for status in STATUSES)}, {", ".join(f"total({name}) AS {name}" for name in ITEMS)}"""

_ONE = """
WITH chosen AS NOT MATERIALIZED (SELECT {grouping} AS grp, status, duration_ms, {items} FROM (SELECT * FROM agent_runs {where})),
totals AS MATERIALIZED (SELECT NULL AS grp, {totals} FROM chosen),
ordered AS (SELECT duration_ms, row_number() OVER (ORDER BY duration_ms) AS nth FROM chosen WHERE status <> 'running'),
percentiles AS (
    SELECT min(duration_ms) AS p50_ms, max(duration_ms) AS p95_ms FROM ordered
    WHERE nth IN ((SELECT {p50} FROM totals), (SELECT {p95} FROM totals))
)
SELECT * FROM totals, percentiles WHERE runs > 0
"""
_MANY = """
WITH chosen AS NOT MATERIALIZED (SELECT {grouping} AS grp, status, duration_ms, {items} FROM (SELECT * FROM agent_runs {where})),
totals AS MATERIALIZED (SELECT grp, {totals} FROM chosen GROUP BY grp),
ordered AS (
    SELECT grp, duration_ms, row_number() OVER (PARTITION BY grp ORDER BY duration_ms) AS nth FROM chosen WHERE status <> 'running'
),
percentiles AS (
    SELECT ordered.grp, max(CASE WHEN nth = {p50} THEN duration_ms END) AS p50_ms, max(CASE WHEN nth = {p95} THEN duration_ms END) AS p95_ms
    FROM ordered JOIN totals ON ordered.grp IS totals.grp WHERE nth IN ({p50}, {p95}) GROUP BY ordered.grp
)
SELECT totals.*, p50_ms, p95_ms FROM totals LEFT JOIN percentiles ON totals.grp IS percentiles.grp ORDER BY runs DESC, totals.grp
"""


def grouping(name: str, field: str) -> str:
    """What a --by groups by, as SQL. Raises `InvalidInput` listing what is valid."""
    if field in _PARTS:
        return _PARTS[field]
    if field not in runs.COLUMNS:
        raise InvalidInput(
            f"{name}: no field {field!r}; valid are day, hour (UTC), {', '.join(runs.COLUMNS)}"
        )
    # The plus keeps SQLite from walking the column's index, with a look at the table for every run.
    return f"+{field}"


def groups(db: Connection, filters: RunFilter, by: str | None) -> list[Row]:
    """One row per group, the largest first; without `by` one row for all that match.

    group, runs, a count per status, success_rate (of ended runs, 0 to 1), p50_ms, p95_ms, max_ms (of ended runs, nearest
    rank), the sums of the four items counts. Milliseconds and rate are null where no run has ended.
    """
    parts = {
        "grouping": by or "NULL",
        "items": ", ".join(ITEMS),
        "totals": _TOTALS,
        "p50": _P50,
        "p95": _P95,
    }
    rows = db.execute(
        (_MANY if by else _ONE).format(where=filters.clause, **parts), filters.values
    ).fetchall()
    return [_figures(dict(row)) for row in rows]


def add_trends(db: Connection, filters: RunFilter, by: str | None, groups: list[Row]) -> None:
    """Give each group its `share`, its runs over the largest group's, and its `trend`: runs per equal part of the time covered.

    The trend is empty where there is but one moment, the share null where there is but one group.
    """
    bounds = f"SELECT (SELECT min(start_time) FROM agent_runs {filters.clause}), (SELECT max(start_time) FROM agent_runs {filters.clause})"
    first, last = (
        _moment(moment) if moment else None
        for moment in db.execute(bounds, (*filters.values, *filters.values)).fetchone()
    )
    trends: dict[object, list[int]] = {}
    if first and last and first < last:
        # As coarse as will do: what one value of the prefix covers falls into one part as a whole, more or less.
        digits = next(
            (digits for digits, unit in _PREFIXES if (last - first) / unit >= _PARTS_OF_A_TREND),
            _LONGEST_PREFIX,
        )
        counted = f"SELECT {by or 'NULL'}, substr(start_time, 1, {digits}), count(*) FROM agent_runs {filters.clause} GROUP BY 1, 2"
        for group, prefix, number in db.execute(counted, filters.values):
            moment = _moment(prefix).replace(tzinfo=UTC)
            part = min(
                int((moment - first) / (last - first) * _PARTS_OF_A_TREND), _PARTS_OF_A_TREND - 1
            )
            trends.setdefault(group, [0] * _PARTS_OF_A_TREND)[max(part, 0)] += number
    most = max((int(str(row["runs"])) for row in groups), default=0)
    for row in groups:
        row["share"] = int(str(row["runs"])) / most if len(groups) > 1 else None
        row["trend"] = trends.get(row["group"], [])


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise damaged("it holds a time that is not a time") from None


def _figures(row: Row) -> Row:
    ended = row["ended"]
    assert isinstance(ended, int)
    made = {
        "group": row["grp"],
        "success_rate": round(int(str(row["success"])) / ended, 4) if ended else None,
    }
    made |= {name: int(float(str(row[name]))) for name in ITEMS}
    return {name: made[name] if name in made else row[name] for name in COLUMNS}
