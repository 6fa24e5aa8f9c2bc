"""Conventions: which hooks apply to which job types, what such runs hold; from a TOML file to one operation."""

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Literal

from pydantic import Field, field_validator

from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database import hooks
from telemetry_cli.hooks import contract
from telemetry_cli.hooks.contract import Contract
from telemetry_cli.hooks.releases import Draft, refuse_secrets
from telemetry_cli.journal.blobs import Lease
from telemetry_cli.redaction.redactor import Redactor

_LONGEST_SLUG, _SHORTEST_SLUG = 64, 3


class Field_(contract.Document):  # noqa: N801 - pydantic has a Field
    """What runs must hold, or may hold only so, in metrics_json or context_json."""

    name: str = Field(min_length=1, max_length=200)
    type: Literal["text", "integer", "real", "boolean", "json"]
    required: bool = False


class Schema(contract.Document):
    """What runs of the convention hold: the same id and version mean the same fields for ever."""

    id: str = Field(min_length=1, max_length=200)
    version: int | str
    fields: list[Field_] = Field(min_length=1)

    @field_validator("fields")
    @classmethod
    def _distinct(cls, fields: list[Field_]) -> list[Field_]:
        names = [field.name for field in fields]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the field {twice!r} comes twice")
        return fields


class Hook(contract.Document):
    """One hook of a convention, as `hooks release` would be told."""

    name: str
    script: str
    args: list[str] = Field(default_factory=list)
    contract: str | dict[str, object] | None = None
    config: dict[str, object] = Field(default_factory=dict)
    memory: str | None = None
    timeout: str | None = None
    source_ref: str | None = None

    @field_validator("name")
    @classmethod
    def _usable(cls, name: str) -> str:
        try:
            return rules.hook_name("name", name)
        except InvalidInput as error:
            raise ValueError(error.message.removeprefix("name: ")) from None


class Convention(contract.Document):
    """A convention file."""

    title: str = Field(min_length=1, max_length=200)
    description: str
    job_types: list[str] = Field(min_length=1)
    schema_: Schema | None = Field(default=None, alias="schema")
    hooks: list[Hook] = Field(default_factory=list)

    @field_validator("description")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("it is blank; say what the convention is for")
        return text

    @field_validator("job_types")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        if any(not 1 <= len(name) <= 200 or name.isspace() for name in names):
            raise ValueError("a job type has 1 to 200 characters, not only white space")
        return names

    @field_validator("hooks")
    @classmethod
    def _distinct(cls, hooks: list[Hook]) -> list[Hook]:
        names = [hook.name for hook in hooks]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the hook {twice!r} comes twice")
        return hooks


def slug(title: str) -> str:
    """What a convention is called in commands. Raises `InvalidInput` for a title that gives none."""
    found = re.sub(r"[^a-z0-9]+", "-", title.lower())[:_LONGEST_SLUG].strip("-")
    if len(found) < _SHORTEST_SLUG or not found[0].isalpha():
        raise InvalidInput(
            f"title: {rules.shorten(title)!r} gives no name to call the convention by; give {_SHORTEST_SLUG} letters or digits, a letter first"
        )
    return found


class Deployment:
    """A convention file that has been checked, before anything of it is kept. Raises `InvalidInput`."""

    def __init__(self, path: str, *, promote: bool, allow_dirty: bool) -> None:
        self._where = rules.shorten(path)
        self._convention = contract.parse(Convention, self._where, contract.read("FILE", path))
        self._slug = slug(self._convention.title)
        self._promote = promote
        self._drafts = _drafts(
            self._where, self._convention, os.path.dirname(os.path.abspath(path)), allow_dirty
        )

    def looked_at(self, redactor: Redactor) -> dict[str, object]:
        """The data of the `convention.deploy` operation; nothing is kept yet. Raises `InvalidInput` where something in it looks like a secret."""
        data = self._data([draft.looked_at(redactor) for draft in self._drafts])
        refuse_secrets(redactor, self._where, data["document"])
        return data

    def kept(self, lease: Lease) -> dict[str, object]:
        """The same, once the artifacts are kept as blobs."""
        return self._data([draft.kept(lease) for draft in self._drafts])

    def _data(self, drafts: list[dict[str, object]]) -> dict[str, object]:
        convention, schema = self._convention, self._convention.schema_
        releases = [
            draft
            | {
                "promote": "always" if self._promote else "new",
                "reason": f"convention {self._slug}",
            }
            for draft in drafts
        ]
        listed = [field.model_dump() for field in schema.fields] if schema else []
        fields = (
            {"id": schema.id, "version": str(schema.version), "fields": listed} if schema else None
        )
        document: dict[str, object] = {
            "title": rules.text("title", convention.title),
            "description": rules.text("description", convention.description),
            "job_types": [rules.text("job_types", job) for job in convention.job_types],
            "schema": fields,
            "hooks": [
                {"name": release["hook"], "digest": release["digest"]} for release in releases
            ],
        }
        return {
            "slug": self._slug,
            "title": convention.title,
            "description": convention.description,
            "document": document,
            # The same for every order of a schema's fields.
            "digest": sha256(
                rules.encode(
                    document | {"schema": fields and fields | {"fields": hooks.by_name(listed)}}
                ).encode()
            ).hexdigest(),
            "schema": fields,
            "releases": releases,
        }


def _drafts(where: str, convention: Convention, folder: str, allow_dirty: bool) -> list[Draft]:
    """Every hook's release, checked; what is wrong with any of them is told at once."""
    drafts, mistakes = [], []
    for number, hook in enumerate(convention.hooks, 1):
        try:
            drafts.append(_draft(hook, number, folder, allow_dirty))
        except InvalidInput as error:
            mistakes.append(error)
    if mistakes:
        raise InvalidInput(
            f"{where}: " + "\n  ".join(error.message for error in mistakes), mistakes[0].hint
        )
    return drafts


def _draft(hook: Hook, number: int, folder: str, allow_dirty: bool) -> Draft:
    where = f"hooks.{number}."
    terms: Contract | None = None
    if isinstance(hook.contract, str):
        terms = contract.load(f"{where}contract", os.path.join(folder, hook.contract))
    elif hook.contract is not None:
        terms = contract.parse(Contract, f"{where}contract", hook.contract)
    return Draft(
        hook.name,
        os.path.join(folder, hook.script),
        where=where,
        arguments=hook.args,
        contract=terms,
        config=contract.plain(f"{where}config", hook.config),
        memory=hook.memory,
        timeout=hook.timeout,
        source_ref=hook.source_ref,
        allow_dirty=allow_dirty,
    )


def breaches(
    run: dict[str, object], fields: list[dict[str, object]]
) -> Iterator[dict[str, object]]:
    """Where a run does not hold what a schema says: event_id, field, expected, got."""
    metrics, context = run["metrics_json"], run["context_json"]
    assert isinstance(metrics, dict) and isinstance(context, dict)
    held = context | metrics
    for field in fields:
        is_right, words = contract.TYPES[str(field["type"])]
        value = held.get(field["name"])
        if value is None and field["required"]:
            yield {
                "event_id": run["event_id"],
                "field": field["name"],
                "expected": f"{words}, required",
                "got": "null" if field["name"] in held else "nothing",
            }
        elif value is not None and not is_right(value):
            yield {
                "event_id": run["event_id"],
                "field": field["name"],
                "expected": words,
                "got": contract.shown(value),
            }
