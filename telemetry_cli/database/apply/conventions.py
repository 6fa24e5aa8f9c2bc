"""Operations on conventions."""

import sqlite3

from telemetry_cli.core.values import encode
from telemetry_cli.database import conventions
from telemetry_cli.database.apply import hooks, shapes
from telemetry_cli.database.apply.result import Data, Result
from telemetry_cli.database.database import numbered


def deploy(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A convention with all its releases; or, when one of them conflicts, nothing."""
    shapes.check_convention(data)
    result = conventions.planned(db, data)
    schema = data.get("schema")
    if isinstance(schema, dict):
        db.execute(
            "INSERT INTO run_schemas (id, version, fields, op_id) SELECT ?1, ?2, ?3, ?4"
            " WHERE NOT EXISTS (SELECT 1 FROM run_schemas WHERE id = ?1 AND version = ?2)",
            numbered(schema["id"], schema["version"], encode(schema["fields"]), operation["op_id"]),
        )
    for release in data["releases"]:  # type: ignore[attr-defined]
        hooks.release(db, operation, release)
    row = {name: data[name] for name in ("slug", "title", "description", "digest")}
    row |= {
        "document": encode(data["document"]),
        "deployed_at": operation["at"],
        "actor": operation["actor"],
        "op_id": operation["op_id"],
    }
    if result["created"]:
        db.execute(
            f"INSERT INTO conventions ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
            tuple(row.values()),
        )
    elif result["changed"]:
        db.execute(
            f"UPDATE conventions SET {', '.join(f'{name} = ?' for name in row)} WHERE slug = ?",
            (*row.values(), row["slug"]),
        )
    return result
