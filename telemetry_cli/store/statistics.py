"""Figures over many runs, from SQL alone: no row is loaded into Python that is not a group of the answer."""

from telemetry_cli.errors import InvalidInput
from telemetry_cli.rules import STATUSES
from telemetry_cli.store import runs
from telemetry_cli.store.database import Connection
from telemetry_cli.store.runs import Filters, Row

_PARTS = {"day": "substr(start_time, 1, 10)", "hour": "substr(start_time, 1, 13) || ':00Z'"}
ITEMS = ("items_discovered", "items_succeeded", "items_failed", "items_skipped")
COLUMNS = ("group", "runs", *STATUSES, "success_rate", "p50_ms", "p95_ms", "max_ms", *ITEMS)


def grouping(name: str, field: str) -> str:
    """What a --by groups by, as SQL. Raises `InvalidInput` listing what is valid."""
    if field in _PARTS:
        return _PARTS[field]
    if field not in runs.COLUMNS:
        raise InvalidInput(f"{name}: no field {field!r}; valid are day, hour (UTC), {', '.join(runs.COLUMNS)}")
    return field


def groups(db: Connection, filters: Filters, by: str | None) -> list[Row]:
    """One row per group, the largest first; without `by` one row for all that match.

    group, runs, a count per status, success_rate (of ended runs, 0 to 1), p50_ms, p95_ms, max_ms (of ended runs, nearest
    rank), the sums of the four items counts. Milliseconds and rate are null where no run has ended.
    """
    counts = ", ".join(f"sum(status = '{status}') AS {status}" for status in STATUSES)
    sums = ", ".join(f"sum({name}) AS {name}" for name in ITEMS)
    rows = db.execute(
        f"""
        WITH chosen AS (
            SELECT {by or "NULL"} AS grp, status, duration_ms, {", ".join(ITEMS)} FROM agent_runs {filters.where}
        ),
        totals AS (SELECT grp, count(*) AS runs, {counts}, {sums} FROM chosen GROUP BY grp),
        durations AS (
            SELECT grp, duration_ms, sum(count(*)) OVER (PARTITION BY grp ORDER BY duration_ms) AS upto, count(*) AS here
            FROM chosen WHERE status <> 'running' GROUP BY grp, duration_ms
        ),
        ranks AS (SELECT grp, max(upto) AS ended, max(duration_ms) AS max_ms FROM durations GROUP BY grp),
        percentiles AS (
            SELECT durations.grp, max_ms, ended,
                   min(CASE WHEN upto * 100 >= ended * 50 THEN duration_ms END) AS p50_ms,
                   min(CASE WHEN upto * 100 >= ended * 95 THEN duration_ms END) AS p95_ms
            FROM durations JOIN ranks ON durations.grp IS ranks.grp GROUP BY durations.grp
        )
        SELECT totals.grp AS "group", runs, {", ".join(STATUSES)}, round(CAST(success AS REAL) / ended, 4) AS success_rate,
               p50_ms, p95_ms, max_ms, {", ".join(ITEMS)}
        FROM totals LEFT JOIN percentiles ON totals.grp IS percentiles.grp ORDER BY runs DESC, totals.grp
        """,
        filters.values,
    ).fetchall()
    return [dict(row) for row in rows]
