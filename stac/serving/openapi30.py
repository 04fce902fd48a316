"""Converts FastAPI's OpenAPI 3.1 description to 3.0, which OGC's conformance class `oas30` requires."""

from __future__ import annotations

from typing import Any, Final

OPENAPI30: Final = "3.0.3"
OPENAPI30_TYPE: Final = "application/vnd.oai.openapi+json;version=3.0"

_BOUNDS: Final = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def as_openapi30(description: dict[str, Any]) -> dict[str, Any]:
    """Convert a description from OpenAPI 3.1 to 3.0 without changing its meaning."""
    converted: dict[str, Any] = _converted(description)
    return {**converted, "openapi": OPENAPI30}


def _converted(value: Any) -> Any:
    if isinstance(value, list):
        return [_converted(member) for member in value]
    if not isinstance(value, dict):
        return value
    members = {name: _converted(member) for name, member in value.items()}
    return _schema(members) if _is_schema(members) else members


def _is_schema(members: dict[str, Any]) -> bool:
    words = {"type", "anyOf", "const", "allOf", "oneOf", "enum", "$ref", "prefixItems"}
    # Members of `properties` may have these names too, but then they are schemas and not words.
    return any(not isinstance(members[word], dict) for word in words & set(members))


def _schema(members: dict[str, Any]) -> dict[str, Any]:
    if "const" in members:
        members["enum"] = [members.pop("const")]
    if isinstance(members.get("examples"), list):
        examples = members.pop("examples")
        members["example"] = examples[0] if examples else None
    if "prefixItems" in members:
        members["items"] = {"anyOf": members.pop("prefixItems")}
    named = members.pop("propertyNames", {}).get("enum")
    if named is not None and isinstance(members.get("additionalProperties"), dict):
        members |= {"properties": dict.fromkeys(named, members["additionalProperties"]), "additionalProperties": False}
    for exclusive, bound in _BOUNDS:
        if exclusive in members and not isinstance(members[exclusive], bool):
            members[bound], members[exclusive] = members[exclusive], True
    for word in ("contentMediaType", "contentEncoding"):
        members.pop(word, None)
    return _nullable(members)


def _nullable(members: dict[str, Any]) -> dict[str, Any]:
    if isinstance(members.get("type"), list):
        kinds = [kind for kind in members["type"] if kind != "null"]
        if len(kinds) < len(members["type"]):
            members["nullable"] = True
        members.pop("type")
        members.update({"type": kinds[0]} if len(kinds) == 1 else {"anyOf": [{"type": kind} for kind in kinds]})
    options = members.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        members.pop("anyOf")
        if len(rest) == 1:
            inner = {"allOf": rest} if "$ref" in rest[0] else rest[0]
            return {**inner, **members, "nullable": True}
        return {**members, "anyOf": rest, "nullable": True}
    return members
