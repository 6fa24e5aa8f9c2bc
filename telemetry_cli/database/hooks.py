"""Query hooks, releases, live pointers and conventions."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from telemetry_cli.core.errors import Conflict, InvalidInput, NotFound
from telemetry_cli.core.values import encode
from telemetry_cli.database.database import read_json
from telemetry_cli.database.runs import Row
from telemetry_cli.database.sandbox import fetched

RELEASE_COLUMNS = (
    "version",
    "live",
    "digest",
    "kind",
    "argv",
    "config",
    "limits",
    "source_ref",
    "dirty",
    "message",
    "actor",
    "released_at",
)
POINTER_COLUMNS = ("from_version", "to_version", "at", "actor", "reason", "op_id")
HOOK_COLUMNS = ("name", "live_version", "releases", "cardinality", "columns", "created_at")
_JSON = ("artifact", "argv", "config", "limits", "contract")


def _read(row: sqlite3.Row) -> Row:
    """A row with its JSON columns as what they hold."""
    return {
        name: read_json(row[name])
        if name in _JSON
        else bool(row[name])
        if name == "dirty"
        else row[name]
        for name in row.keys()  # noqa: SIM118 - iterating a Row gives its values
    }


def _all(db: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> list[Row]:
    return [_read(row) for row in fetched(db, query, values)]


def _one(db: sqlite3.Connection, query: str, values: Sequence[object]) -> Row | None:
    found = _all(db, query, values)
    return found[0] if found else None


# Questions


def names(db: sqlite3.Connection) -> list[str]:
    """The names of all hooks, sorted."""
    return [row[0] for row in db.execute("SELECT name FROM hooks ORDER BY name")]


def hooks(db: sqlite3.Connection) -> list[Row]:
    """Every hook by name: `HOOK_COLUMNS`."""
    rows = _all(
        db,
        "SELECT *, (SELECT max(version) FROM hook_releases WHERE hook = name) AS releases FROM hooks ORDER BY name",
    )
    return [
        row
        | {
            "cardinality": _contract(row)["cardinality"],
            "columns": [column["name"] for column in _contract(row)["columns"]],  # type: ignore[attr-defined]
        }
        for row in rows
    ]


def _contract(row: Row) -> dict[str, object]:
    contract = row["contract"]
    assert isinstance(contract, dict)
    return contract


def hook(db: sqlite3.Connection, name: str) -> Row:
    """A hook with its contract. Raises `NotFound`."""
    found = _one(db, "SELECT * FROM hooks WHERE name = ?", (name,))
    if found is None:
        raise NotFound(
            f"Hook not found: {name}",
            "telemetry hooks list shows them; telemetry hooks release makes one.",
        )
    return found


def release(db: sqlite3.Connection, name: str, version: int | None = None) -> Row:
    """A release with its hook's contract, `version` or the live one. Raises `NotFound`."""
    live = hook(db, name)
    number = version if version is not None else live["live_version"]
    if number is None:
        raise NotFound(
            f"Hook {name} has no live release",
            f"Name one: {name}@1, or make one live: telemetry hooks promote {name} 1",
        )
    found = _one(db, "SELECT * FROM hook_releases WHERE hook = ? AND version = ?", (name, number))
    if found is None:
        raise NotFound(
            f"Release not found: {name}@{number}", f"telemetry hooks history {name} lists them."
        )
    return found | {"contract": live["contract"], "live": live["live_version"]}


def releases_to_run(
    db: sqlite3.Connection, wanted: Sequence[str], version: int | None = None
) -> list[Row]:
    """The release of each hook that would run now, all seen at one moment. Raises `NotFound` for the first that has none."""
    db.execute("BEGIN")
    try:
        return [release(db, name, version) for name in wanted]
    finally:
        db.execute("ROLLBACK")


def history(db: sqlite3.Connection, name: str) -> list[Row]:
    """The releases of a hook, oldest first; `live` tells which one it is. Raises `NotFound`."""
    live = hook(db, name)["live_version"]
    rows = _all(db, "SELECT * FROM hook_releases WHERE hook = ? ORDER BY version", (name,))
    return [row | {"live": row["version"] == live} for row in rows]


def pointer_log(db: sqlite3.Connection, name: str) -> list[Row]:
    """Every move of a hook's live pointer, oldest first. Raises `NotFound`."""
    hook(db, name)
    return _all(db, "SELECT * FROM hook_pointer_log WHERE hook = ? ORDER BY move", (name,))


def live_at(db: sqlite3.Connection, name: str, moment: str) -> Row:
    """The move that made live what was live at a moment. Raises `NotFound` before the first one."""
    hook(db, name)
    found = _one(
        db,
        "SELECT * FROM hook_pointer_log WHERE hook = ? AND at <= ? ORDER BY move DESC LIMIT 1",
        (name, moment),
    )
    if found is None:
        raise NotFound(
            f"Hook {name} had no live release at {moment}",
            f"telemetry hooks history {name} --pointer lists the moves.",
        )
    return found


def forged_pointers(db: sqlite3.Connection) -> list[Row]:
    """Live pointers that nothing in the registry accounts for: hook, live_version, and logged_version, the target of its last move.

    Foreign keys can be switched off by whoever writes to the file: such a pointer names no release of its hook, or not the one
    that its log ends with.
    """
    return _all(
        db,
        """SELECT name AS hook, live_version, logged_version FROM (
               SELECT name, live_version, (SELECT to_version FROM hook_pointer_log WHERE hook = name ORDER BY move DESC LIMIT 1) AS logged_version FROM hooks
           )
           WHERE live_version IS NOT logged_version
              OR (live_version IS NOT NULL AND NOT EXISTS (SELECT 1 FROM hook_releases WHERE hook = name AND version = live_version))
           ORDER BY name""",
    )


# What would happen: asked by a dry run, done by apply


def check_live(name: str, live: object, expected: object) -> None:
    """`--if-live`: raises `Conflict` when another release is live; 0 stands for none."""
    if expected is not None and (live or 0) != expected:
        raise Conflict(
            f"--if-live: live of {name} is {live or 'none'}, not {expected or 'none'}; nothing was changed"
        )


def _check_pointer(db: sqlite3.Connection, name: str) -> None:
    """Raises `Conflict` when no record accounts for what is live: a move from there would be one from nowhere."""
    for forged in forged_pointers(db):
        if forged["hook"] == name:
            raise Conflict(
                f"no record made {name}@{forged['live_version']} live (the last move was to {forged['logged_version'] or 'none'}); nothing was changed",
                "The database was changed from outside; make it again from the journal: telemetry db rebuild",
            )


def planned_release(db: sqlite3.Connection, data: Mapping[str, object]) -> tuple[Row, bool]:
    """What releasing would do, as the json of `hooks release` (with a `note` where something is to be said); and whether the hook is new.

    `data["promote"]` is `new` (a new release becomes live), `always` (also one that is there already) or `never`.
    Raises `InvalidInput` without a contract for a new hook, and `Conflict`.
    """
    name, digest, promote = str(data["hook"]), data["digest"], data["promote"]
    there = _one(db, "SELECT * FROM hooks WHERE name = ?", (name,))
    if there is None and data.get("contract") is None:
        raise InvalidInput(
            f"--contract: {name} is a new hook, so it needs one",
            "A contract is a TOML or JSON file with columns and cardinality.",
        )
    if (
        there
        and data.get("contract") is not None
        and there["contract_digest"] != data["contract_digest"]
    ):
        raise Conflict(
            f"--contract: {name} has another contract, which is fixed for life",
            f"telemetry hooks show {name} shows it; another contract is another hook.",
        )
    live = there["live_version"] if there else None
    existing = _one(
        db,
        "SELECT version, source_ref FROM hook_releases WHERE hook = ? AND digest = ?",
        (name, digest),
    )
    newest = db.execute(
        "SELECT coalesce(max(version), 0) FROM hook_releases WHERE hook = ?", (name,)
    ).fetchone()[0]
    version = existing["version"] if existing else newest + 1
    moves = version != live and (promote == "always" or (promote == "new" and not existing))
    if moves:
        _check_pointer(db, name)
        check_live(name, live, data.get("if_live"))
    result: Row = {
        "hook": name,
        "version": version,
        "digest": digest,
        "created": existing is None,
        "live": version if moves else live,
    }
    result["source_ref"] = existing["source_ref"] if existing else data["source_ref"]
    if result["live"] != version:
        what = "there already" if existing else "released"
        result["note"] = (
            f"{name}@{version} is {what}; live is {live or 'none'}. To make it live: telemetry hooks promote {name} {version}"
        )
    return result, there is None


def planned_move(db: sqlite3.Connection, data: Mapping[str, object]) -> Row:
    """What a move of a live pointer would do, as the json of `rollback` and `promote` (with a `note` where nothing moves).

    `data["to"]` is a version; without it, or with `data["back"]`, the move may only go back. Raises `NotFound` or `Conflict`.
    """
    name = str(data["hook"])
    live = hook(db, name)["live_version"]
    _check_pointer(db, name)
    check_live(name, live, data.get("if_live"))
    if data.get("back") and live is None:
        raise NotFound(
            f"Hook {name} has no live release to go back from",
            f"telemetry hooks promote {name} 1 makes one live.",
        )
    to = data["to"] if data.get("to") is not None else int(str(live)) - 1
    if to == 0:
        raise NotFound(
            f"Release not found: there is none before {name}@{live}",
            f"telemetry hooks history {name} lists them.",
        )
    release(db, name, int(str(to)))
    if data.get("back") and int(str(to)) > int(str(live)):
        raise Conflict(
            f"--to: {name}@{to} is newer than the live {name}@{live}, so this is no rollback",
            f"telemetry hooks promote {name} {to} moves forward.",
        )
    result: Row = {"hook": name, "from": live, "to": to, "live": to}
    return (
        result | {"note": f"{name}@{to} is live already; nothing was changed"}
        if to == live
        else result
    )


COLUMNS = ("slug", "title", "description", "job_types", "hooks", "deployed_at", "actor")


def conventions(db: sqlite3.Connection) -> list[Row]:
    """Every convention by slug: `COLUMNS`."""
    return [_read_convention(row) for row in fetched(db, "SELECT * FROM conventions ORDER BY slug")]


def slugs(db: sqlite3.Connection) -> list[str]:
    """The slugs of all conventions, sorted."""
    return [row[0] for row in db.execute("SELECT slug FROM conventions ORDER BY slug")]


def convention(db: sqlite3.Connection, slug: str) -> Row:
    """A convention with its `document`, `job_types`, and the names of its `hooks`. Raises `NotFound`."""
    found = fetched(db, "SELECT * FROM conventions WHERE slug = ?", (slug,))
    if not found:
        raise NotFound(f"Convention not found: {slug}", "telemetry conventions list shows them.")
    return _read_convention(found[0])


def _read_convention(row: sqlite3.Row) -> Row:
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
    results = [planned_release(db, release)[0] for release in data["releases"]]  # type: ignore[attr-defined]
    notes = [str(result.pop("note")) for result in results if "note" in result]
    there = db.execute("SELECT digest FROM conventions WHERE slug = ?", (data["slug"],)).fetchone()
    result: Row = {
        "slug": data["slug"],
        "created": there is None,
        "changed": there is None or there[0] != data["digest"],
        "hooks": results,
    }
    return result | {"note": "; ".join(notes) + "; or deploy with --promote"} if notes else result
