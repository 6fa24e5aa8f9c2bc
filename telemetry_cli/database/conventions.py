"""Questions about conventions; and what deploying one would do."""

import sqlite3
from collections.abc import Iterable, Mapping

from telemetry_cli.core.errors import Conflict, NotFound
from telemetry_cli.core.values import encode
from telemetry_cli.database import registry
from telemetry_cli.database.database import read_json
from telemetry_cli.database.pages import fetched
from telemetry_cli.database.runs import Row

COLUMNS = ("slug", "title", "description", "job_types", "hooks", "deployed_at", "actor")


def conventions(db: sqlite3.Connection) -> list[Row]:
    """Every convention by slug: `COLUMNS`."""
    return [_read(row) for row in fetched(db, "SELECT * FROM conventions ORDER BY slug")]


def slugs(db: sqlite3.Connection) -> list[str]:
    """The slugs of all conventions, sorted."""
    return [row[0] for row in db.execute("SELECT slug FROM conventions ORDER BY slug")]


def convention(db: sqlite3.Connection, slug: str) -> Row:
    """A convention with its `document`, `job_types`, and the names of its `hooks`. Raises `NotFound`."""
    found = fetched(db, "SELECT * FROM conventions WHERE slug = ?", (slug,))
    if not found:
        raise NotFound(f"Convention not found: {slug}", "telemetry conventions list shows them.")
    return _read(found[0])


def _read(row: sqlite3.Row) -> Row:
    document = read_json(row["document"])
    return dict(row) | {
        "document": document,
        "job_types": document["job_types"],
        "hooks": [hook["name"] for hook in document["hooks"]],
    }


def by_name(fields: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The fields of a schema in the one order in which two of them are compared."""
    return sorted(fields, key=lambda field: str(field["name"]))


def planned(db: sqlite3.Connection, data: Mapping[str, object]) -> Row:
    """What deploying would do: `slug`, `created`, `changed`, and for each hook the json of `hooks release`; with a `note` where something is to be said.

    Raises `Conflict` when the schema or a hook's contract is another one already.
    """
    schema = data.get("schema")
    if isinstance(schema, dict):
        known = db.execute(
            "SELECT fields FROM run_schemas WHERE id = ? AND version = ?",
            (schema["id"], schema["version"]),
        ).fetchone()
        if known and encode(by_name(read_json(known[0]))) != encode(by_name(schema["fields"])):
            raise Conflict(
                f"schema: {schema['id']} version {schema['version']} has other fields already",
                "Give the changed one another version.",
            )
    results = [registry.planned_release(db, release)[0] for release in data["releases"]]  # type: ignore[attr-defined]
    notes = [str(result.pop("note")) for result in results if "note" in result]
    there = db.execute("SELECT digest FROM conventions WHERE slug = ?", (data["slug"],)).fetchone()
    result: Row = {
        "slug": data["slug"],
        "created": there is None,
        "changed": there is None or there[0] != data["digest"],
        "hooks": results,
    }
    return result | {"note": "; ".join(notes) + "; or deploy with --promote"} if notes else result
