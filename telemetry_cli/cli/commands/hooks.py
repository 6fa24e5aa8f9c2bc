"""Handle hooks and their releases: `hooks release`, `list`, `show`, `history`, `diff`, …"""

import difflib
from collections.abc import Callable, Iterator, Sequence

from telemetry_cli.cli.commands.arguments import became, json_text, planned
from telemetry_cli.cli.commands.result import Card, Listing, Record, Written
from telemetry_cli.core import clock
from telemetry_cli.core import values as rules
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import DatabaseTrouble, InvalidInput, LockTimeout, NotFound
from telemetry_cli.database import hooks
from telemetry_cli.database.database import Connection, open_empty, translated
from telemetry_cli.database.runs import Reading
from telemetry_cli.hooks import artifact as artifacts
from telemetry_cli.hooks import contract as contracts
from telemetry_cli.hooks.releases import Draft
from telemetry_cli.journal import blobs
from telemetry_cli.redaction.redactor import Redactor
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
        rows = [{name: row[name] for name in hooks.HOOK_COLUMNS} for row in hooks.hooks(db)]
    return Listing("hooks", hooks.HOOK_COLUMNS, rows, reading.notes, absolute=absolute)


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
        move = hooks.live_at(db, name, moment) if moment is not None else None
        found = hooks.release(db, name, int(str(move["to_version"])) if move else version)
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
    columns = hooks.POINTER_COLUMNS if pointer else hooks.RELEASE_COLUMNS
    with translated(config.db_path):
        found = hooks.pointer_log(db, name) if pointer else hooks.history(db, name)
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
        later = hooks.release(db, name, second)
        if first is None and later["version"] == 1:
            raise NotFound(
                f"Release not found: there is none before {name}@1",
                f"telemetry hooks history {name} lists them.",
            )
        earlier = hooks.release(
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
            result, notes = planned(hooks.planned_move(db, data), reading.notes)
    else:
        check_first(config, lambda db: hooks.planned_move(db, data))
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


def release(
    config: Config,
    output: str,
    *,
    hook: str,
    script: str | None,
    args: Sequence[str] | None,
    contract: str | None,
    config_: str | None,
    source_ref: str | None,
    memory: str | None,
    timeout: str | None,
    message: str | None,
    if_live: str | None,
    no_promote: bool,
    allow_dirty: bool,
    dry_run: bool,
) -> Written:
    """Release a version of a hook."""
    moment = clock.now()
    name = rules.hook_name("NAME", hook)
    live = rules.count("--if-live", if_live) if if_live is not None else None
    if script is None:
        raise InvalidInput(
            "--script: no program is named; give a script, or a folder with an executable 'run'"
        )
    if live is not None and no_promote:
        raise InvalidInput("--if-live: with --no-promote nothing is moved; leave one of them out")
    draft = Draft(
        name,
        script,
        arguments=list(args or ()),
        contract=contracts.load("--contract", contract) if contract is not None else None,
        config=rules.json_object("--config", json_text("--config", config_))
        if config_ is not None
        else None,
        memory=memory,
        timeout=timeout,
        source_ref=source_ref,
        allow_dirty=allow_dirty,
        message=message,
    )
    moves = {"promote": "never" if no_promote else "new", "if_live": live}
    data = draft.looked_at(Redactor(config.redact_rules)) | moves
    if dry_run:
        reading = Store(config).read()
        with translated(config.db_path):
            return _released(
                *planned(hooks.planned_release(reading.db or open_empty(), data)[0], reading.notes),
                would=True,
            )
    check_first(config, lambda db: hooks.planned_release(db, data))
    with blobs.Lease(config) as lease:
        data = draft.kept(lease) | moves
        outcome = Store(config).record("hook.release", data, clock.stamp(moment), patient=True)
    return _released(
        *became(
            outcome,
            hook=name,
            version=None,
            digest=data["digest"],
            created=None,
            live=None,
            source_ref=data["source_ref"],
        )
    )


def check_first(config: Config, plan: Callable[[Connection], object]) -> None:
    """Plan against the database as it stands, so that what would be refused stores nothing.

    Where it cannot be read, or something waits to be applied, nothing is known of it: then apply judges, as it does of what
    another process does meanwhile. Raises what `plan` raises.
    """
    try:
        reading = Store(config).read()
    except (DatabaseTrouble, LockTimeout):
        return
    db = reading.db or open_empty()
    try:
        if not reading.notes:
            with translated(config.db_path):
                plan(db)
    finally:
        db.close()


def _released(result: Record, notes: list[str], would: bool = False) -> Written:
    if result.get("status") == "buffered":
        return Written(result, f"buffered {result['hook']} {result['digest']}", notes)
    what = ("would release" if would else "released") if result["created"] else "unchanged"
    return Written(
        result,
        f"{what} {result['hook']}@{result['version']} {str(result['digest'])[:12]}, live {result['live'] or 'none'}",
        notes,
    )
