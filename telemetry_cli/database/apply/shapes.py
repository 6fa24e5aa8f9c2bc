"""Check the JSON of hooks and conventions before it is stored: no column can, and whoever reads it later relies on its shape."""

from collections.abc import Callable
from typing import Any

from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.database.apply.result import Data


def check_release(data: Data) -> None:
    """Raise `InvalidInput` for a release whose contract, artifact, argv, config or limits are not what a release has."""
    contract, artifact, limits = data.get("contract"), data.get("artifact"), data.get("limits")
    _demand("hook", isinstance(data.get("hook"), str))
    _demand(
        "contract",
        contract is None
        or (_is_object(contract, cardinality=str) and _are_fields(contract, "columns")),
    )
    _demand(
        "artifact", _is_object(artifact, executable=bool, sha256=str) or _are(artifact, _is_file)
    )
    _demand("argv", _are_texts(data.get("argv")))
    _demand("config", isinstance(data.get("config"), dict))
    _demand("limits", _is_object(limits, memory=int, timeout_ms=int))


def check_convention(data: Data) -> None:
    """Raise `InvalidInput` for a convention whose document, schema or list of releases is not what a convention has."""
    document = data.get("document")
    _demand(
        "document",
        isinstance(document, dict)
        and _are_texts(document.get("job_types"))
        and _are_hooks(document.get("hooks"))
        and _is_schema(document.get("schema")),
    )
    _demand("schema", _is_schema(data.get("schema")))
    _demand("releases", _are(data.get("releases"), lambda release: isinstance(release, dict)))


def check_mismatches(found: object) -> None:
    """Raise `InvalidInput` for anything but a list of mismatches."""
    _demand("mismatches", _are(found, lambda one: _is_object(one, expected=str, got=str)))


def _demand(field: str, is_right: bool) -> None:
    if not is_right:
        raise InvalidInput(f"{field}: the operation holds something else than belongs there")


def _is_object(value: object, **types: type) -> bool:
    return isinstance(value, dict) and all(
        type(value.get(name)) is kind for name, kind in types.items()
    )


def _are(value: object, is_right: Callable[[Any], object]) -> bool:
    return isinstance(value, list) and all(map(is_right, value))


def _are_texts(value: object) -> bool:
    return _are(value, lambda item: isinstance(item, str))


def _are_hooks(value: object) -> bool:
    return _are(value, lambda hook: _is_object(hook, name=str, digest=str))


def _is_schema(value: object) -> bool:
    return value is None or (
        _is_object(value, id=str, version=str) and _are_fields(value, "fields")
    )


def _are_fields(value: object, name: str) -> bool:
    """Tell whether an object has a list of fields or columns; a column's name stands in SQL."""
    fields = value.get(name) if isinstance(value, dict) else None
    is_name: Callable[[str], bool] = str.isidentifier if name == "columns" else bool
    return _are(
        fields, lambda field: _is_object(field, name=str, type=str) and is_name(field["name"])
    )


def _is_file(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and _are_texts(value)
