"""Hooks and their live pointers: hooks list, show, history, diff, rollback, promote."""

import difflib
from collections.abc import Iterator

from telemetry_cli.cli.commands.arguments import became, planned
from telemetry_cli.cli.commands.releases import check_first
from telemetry_cli.cli.commands.result import Card, Listing, Record, Written
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput, NotFound
from telemetry_cli.database import registry
from telemetry_cli.database.database import Connection, open_empty, translated
from telemetry_cli.database.runs import Reading
from telemetry_cli.hooks import artifact as artifacts
from telemetry_cli.journal import blobs
from telemetry_cli.store import Store

_FIELDS = ("kind", "argv", "config", "limits", "source_ref", "dirty", "message", "artifact")
_LARGEST_TEXT = 1 << 20


def _opened(config: Config) -> tuple[Reading, Connection]:
    reading = Store(config).read()
    return reading, reading.db or open_empty()


def list_(config: Config, output: str, *, absolute: bool) -> Listing:
    """Every hook."""
    reading, db = _opened(config)
    with translated(config.db_path):
        rows = [{name: row[name] for name in registry.HOOK_COLUMNS} for row in registry.hooks(db)]
    return Listing("hooks", registry.HOOK_COLUMNS, rows, reading.notes, absolute=absolute)


def show(
    config: Config, output: str, *, release: str, at: str | None, artifact: str | None
) -> Card:
    """A release with its contract."""
    name, version = rules.hook_release("NAME", release)
    if at is not None and version is not None:
        raise InvalidInput(f"--at: {release} names a version already; give one of them")
    moment = rules.filter_instant("--at", at, clock.now()) if at is not None else None
    reading, db = _opened(config)
    with translated(config.db_path):
        move = registry.live_at(db, name, moment) if moment is not None else None
        found = registry.release(db, name, int(str(move["to_version"])) if move else version)
    data: Record = {"hook": name, "version": found["version"], "live": found["live"], **found}
    if move:
        data |= {"live_since": move["at"], "moved_by": move["actor"], "reason": move["reason"]}
    if artifact is not None:
        artifacts.write(config, found["artifact"], rules.text("--artifact", artifact))
        reading.notes.append(f"the artifact of {name}@{found['version']} is in {artifact}")
    return Card("release", data, reading.notes)


def history(config: Config, output: str, *, hook: str, pointer: bool, absolute: bool) -> Listing:
    """The releases of a hook, or the moves of its pointer, oldest first."""
    name = rules.hook_name("NAME", hook)
    reading, db = _opened(config)
    columns = registry.POINTER_COLUMNS if pointer else registry.RELEASE_COLUMNS
    with translated(config.db_path):
        found = registry.pointer_log(db, name) if pointer else registry.history(db, name)
    return Listing(
        "pointer" if pointer else "releases",
        columns,
        [{key: row[key] for key in columns} for row in found],
        reading.notes,
        absolute=absolute,
    )


def diff(
    config: Config, output: str, *, hook: str, a: str | None, b: str | None, exit_code: bool
) -> Written:
    """What differs between two releases."""
    name = rules.hook_name("NAME", hook)
    first, second = (
        rules.version(what, value) if value is not None else None
        for what, value in (("A", a), ("B", b))
    )
    reading, db = _opened(config)
    with translated(config.db_path):
        later = registry.release(db, name, second)
        if first is None and later["version"] == 1:
            raise NotFound(
                f"Release not found: there is none before {name}@1",
                f"telemetry hooks history {name} lists them.",
            )
        earlier = registry.release(
            db, name, first if first is not None else int(str(later["version"])) - 1
        )
    changes = [
        {"field": field, "from": earlier[field], "to": later[field]}
        for field in _FIELDS
        if earlier[field] != later[field]
    ]
    text = "".join(_content_diff(config, earlier, later))
    data: Record = {
        "hook": name,
        "a": earlier["version"],
        "b": later["version"],
        "differs": bool(changes),
        "changes": changes,
        "text": text,
    }
    lines = [
        f"{change['field']}: {rules.encode(change['from'])} → {rules.encode(change['to'])}"
        for change in changes
        if change["field"] != "artifact"
    ]
    shown = "\n".join(
        [
            f"{name}@{earlier['version']} → {name}@{later['version']}"
            + ("" if changes else ": no difference"),
            *lines,
            *text.splitlines(),
        ]
    )
    return Written(
        data, shown, reading.notes, code=int(exit_code and bool(changes)), multiline=True
    )


def _content_diff(config: Config, earlier: Record, later: Record) -> Iterator[str]:
    """The files that differ, as a unified diff; of what is no text, or large, only that it does."""
    before, after = _files(earlier), _files(later)
    for path in sorted({*before, *after}):
        if before.get(path) == after.get(path):
            continue
        old, new = (
            f"{release['hook']}@{release['version']}/{path}" for release in (earlier, later)
        )
        if (mode := (before.get(path, ("", ""))[0], after.get(path, ("", ""))[0])) and mode[
            0
        ] != mode[1]:
            yield f"{path}: {mode[0] or 'absent'} → {mode[1] or 'absent'}\n"
        texts = [
            _text(config, files[path][1]) if path in files else [] for files in (before, after)
        ]
        if texts[0] is None or texts[1] is None:
            yield f"{path}: the contents differ\n"
        else:
            yield from (
                line if line.endswith("\n") else line + "\n"
                for line in difflib.unified_diff(texts[0], texts[1], old, new)
            )


def _files(release: Record) -> dict[str, tuple[str, str]]:
    """Path → (mode, SHA-256)."""
    artifact = release["artifact"]
    if isinstance(artifact, dict):
        return {"script": ("0755" if artifact["executable"] else "0644", artifact["sha256"])}
    assert isinstance(artifact, list)
    return {path: (mode, sha) for mode, path, sha in artifact}


def _text(config: Config, sha: str) -> list[str] | None:
    content = b""
    for piece in blobs.content(config, sha):
        content += piece
        if len(content) > _LARGEST_TEXT:
            return None
    try:
        return content.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return None


def rollback(
    config: Config,
    output: str,
    *,
    hook: str,
    to: str | None,
    if_live: str | None,
    message: str | None,
    dry_run: bool,
) -> Written:
    """Make an earlier release live again."""
    data: Record = {"back": True, "to": rules.version("--to", to) if to is not None else None}
    return _moved(config, hook, data, if_live, message or "rollback", dry_run)


def promote(
    config: Config,
    output: str,
    *,
    hook: str,
    version: str,
    if_live: str | None,
    message: str | None,
) -> Written:
    """Make a release live."""
    return _moved(
        config, hook, {"to": rules.version("N", version)}, if_live, message or "promote", False
    )


def _moved(
    config: Config, hook: str, given: Record, if_live: str | None, reason: str, dry_run: bool
) -> Written:
    moment = clock.now()
    name = rules.hook_name("NAME", hook)
    live = rules.count("--if-live", if_live) if if_live is not None else None
    data: dict[str, object] = {
        "hook": name,
        **given,
        "if_live": live,
        "reason": rules.text("--message", reason),
    }
    if dry_run:
        reading, db = _opened(config)
        with translated(config.db_path):
            result, notes = planned(registry.planned_move(db, data), reading.notes)
    else:
        check_first(config, lambda db: registry.planned_move(db, data))
        result, notes = became(
            Store(config).record("hook.point", data, clock.stamp(moment), patient=True),
            hook=name,
            **{"from": None, "to": given["to"], "live": None},
        )
    if result.get("status") == "buffered":
        return Written(result, f"buffered {name}", notes)
    return Written(
        result,
        f"{'would be live' if dry_run else 'live'}: {name}@{result['to']} (before: {result['from'] or 'none'})",
        notes,
    )
