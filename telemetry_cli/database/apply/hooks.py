"""Operations on hooks: releases and moves of the live pointer."""

import sqlite3

from telemetry_cli.core.values import encode
from telemetry_cli.database import registry
from telemetry_cli.database.apply import shapes
from telemetry_cli.database.apply.result import Data, Result


def release(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A release: a new version, unless the hook has one of the same digest; the first one makes the hook."""
    shapes.check_release(data)
    result, hook_is_new = registry.planned_release(db, data)
    name, version, at = result["hook"], result["version"], operation["at"]
    if hook_is_new:
        db.execute(
            "INSERT INTO hooks (name, contract, contract_digest, created_at, op_id) VALUES (?, ?, ?, ?, ?)",
            (name, encode(data["contract"]), data["contract_digest"], at, operation["op_id"]),
        )
    if result["created"]:
        row = {name: data[name] for name in ("hook", "digest", "kind", "source_ref")} | {
            name: encode(data[name]) for name in ("artifact", "argv", "config", "limits")
        }
        row |= {
            "version": version,
            "dirty": int(bool(data.get("dirty"))),
            "message": data.get("message"),
            "actor": operation["actor"],
            "released_at": at,
        }
        row["op_id"] = operation["op_id"]
        db.execute(
            f"INSERT INTO hook_releases ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
            tuple(row.values()),
        )
    _move(
        db,
        operation,
        str(name),
        result["live"],
        str(data.get("reason") or data.get("message") or f"release {version}"),
    )
    return result


def point(db: sqlite3.Connection, operation: Data, data: Data) -> Result:
    """A move of a live pointer: a rollback or a promotion. Nothing else changes."""
    result = registry.planned_move(db, data)
    _move(db, operation, str(result["hook"]), result["to"], str(data["reason"]))
    return result


def _move(db: sqlite3.Connection, operation: Data, name: str, to: object, reason: str) -> None:
    live = db.execute("SELECT live_version FROM hooks WHERE name = ?", (name,)).fetchone()[0]
    if to == live:
        return
    move, at = db.execute(
        "SELECT coalesce(max(move), 0) + 1, coalesce(max(at), '') FROM hook_pointer_log WHERE hook = ?",
        (name,),
    ).fetchone()
    db.execute("UPDATE hooks SET live_version = ? WHERE name = ?", (to, name))
    db.execute(
        "INSERT INTO hook_pointer_log (hook, move, from_version, to_version, at, actor, reason, op_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            move,
            live,
            to,
            max(at, str(operation["at"])),
            operation["actor"],
            reason,
            operation["op_id"],
        ),
    )
