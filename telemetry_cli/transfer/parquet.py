"""Parquet: an export with one row per run, JSON columns, events and commits as JSON text. Needs the extra `parquet`."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any

from telemetry_cli.core.errors import InvalidInput

Record = dict[str, object]

_ROWS = 5000
_INTEGERS = frozenset(
    (
        "id", "schema_version", "items_discovered", "items_succeeded", "items_failed", "items_skipped", "duration_ms",
        "pid", "api_posted", "api_retry_count",
    )
)  # fmt: skip


def available() -> None:
    """Raise `InvalidInput` naming the extra when what writes Parquet is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise InvalidInput(
            "--format: parquet needs pyarrow, which is not installed",
            "Run: pip install 'telemetry-cli[parquet]'",
        ) from None


def write(file: IO[bytes], columns: Sequence[str], rows: Iterator[Record]) -> Iterator[int]:
    """Write the rows, some thousands to a group, and say how many after each."""
    import pyarrow as arrow
    from pyarrow import parquet

    schema = arrow.schema(
        [(name, arrow.int64() if name in _INTEGERS else arrow.string()) for name in columns]
    )
    number = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as made:
        while group := list(islice(rows, _ROWS)):
            made.write_table(
                arrow.Table.from_pylist([_flat(row, columns) for row in group], schema=schema)
            )
            number += len(group)
            yield number


def _flat(row: Record, columns: Sequence[str]) -> dict[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value := row[name], (dict, list)) else value
        for name in columns
    }
