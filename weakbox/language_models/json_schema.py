"""The part of JSON Schema (2020-12) that questions are asked in: what servers get, and whether an answer meets it.

Known keywords: ``type`` (one or several), ``enum``, ``const``, ``properties``, ``required``, ``additionalProperties: false``,
``items``, ``minItems``, ``maxItems``, ``minLength``, ``maxLength``, ``minimum``, ``maximum``, ``exclusiveMinimum``,
``exclusiveMaximum``, ``anyOf``, ``oneOf``, ``$ref`` into ``$defs``; descriptive ones are ignored. ``x-evidence: true`` marks a
string that must be cut verbatim from the source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

EVIDENCE = "x-evidence"
DESCRIPTIVE = frozenset({"title", "description", "examples", "default", "$defs", "$schema", "$id", "$comment", "deprecated"})
MEANINGFUL = frozenset(
    {"type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minLength", "maxLength",
     "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "oneOf", "$ref"}
)  # fmt: skip

Schema = Mapping[str, Any]
MISSING = object()


class SchemaError(ValueError):
    """A schema uses what cannot be enforced. The message names the keyword, never report text."""


def check_keywords(schema: Schema) -> None:
    """Refuse a keyword that is not known: silently ignoring one would promise what is not kept.

    Raises:
        SchemaError: names the keyword.
    """
    unknown = sorted(key for key in schema if key not in MEANINGFUL and key not in DESCRIPTIVE and not key.startswith("x-"))
    if unknown:
        msg = f"JSON Schema keyword {unknown[0]!r} cannot be enforced here (known: {', '.join(sorted(MEANINGFUL))})"
        raise SchemaError(msg)


def resolve(schema: Schema, root: Schema) -> Schema:
    """``schema`` itself, or what its ``$ref`` points at within ``root``.

    Raises:
        SchemaError: the reference leads nowhere, or in a circle.
    """
    seen: set[str] = set()
    while "$ref" in schema:
        reference = schema["$ref"]
        found: Any = root
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping) or reference in seen or not reference.startswith("#/"):
            msg = f"$ref {reference!r} leads to no schema"
            raise SchemaError(msg)
        seen.add(reference)
        schema = found
    return schema


def portable(schema: Schema) -> dict[str, Any]:
    """The schema without our own keywords, for servers: an evidence string is a plain string there."""
    return {key: _portable_value(key, value) for key, value in schema.items() if not key.startswith("x-")}


def _portable_value(key: str, value: Any) -> Any:
    if key in ("properties", "$defs"):
        return {name: portable(inner) for name, inner in value.items()}
    if key in ("anyOf", "oneOf"):
        return [portable(inner) for inner in value]
    return portable(value) if key == "items" and isinstance(value, Mapping) else value


def breach(value: object, schema: Schema, root: Schema | None = None, path: str = "$") -> str:
    """Where and how ``value`` breaks ``schema``; empty where it meets it. Carries paths and keywords, never values.

    >>> breach({"a": 1}, {"type": "object", "properties": {"a": {"type": "string"}}})
    '$.a: type'
    """
    root = schema if root is None else root
    schema = resolve(schema, root)
    for check in (_types, _literals, _lengths, _ranges, _alternatives):
        if found := check(value, schema, root):
            return f"{path}: {found}"
    return next(_inner(value, schema, root, path), "")


def _inner(value: object, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{path}.{name}: required"
        if schema.get("additionalProperties") is False and not value.keys() <= known.keys():
            yield f"{path}: additionalProperties"
        for name, inner in known.items():
            if name in value and (found := breach(value[name], inner, root, f"{path}.{name}")):
                yield found
    elif isinstance(value, list) and "items" in schema:
        for place, item in enumerate(value):
            if found := breach(item, schema["items"], root, f"{path}[{place}]"):
                yield found


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types a schema names; none where it leaves them open."""
    stated = schema.get("type", ())
    return (stated,) if isinstance(stated, str) else tuple(stated)


def _is_of(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name]) or (name == "integer" and isinstance(value, float) and value.is_integer())


def _types(value: object, schema: Schema, _root: Schema) -> str:
    stated = types_of(schema)
    return "" if not stated or any(_is_of(value, name) for name in stated) else "type"


def _literals(value: object, schema: Schema, _root: Schema) -> str:
    if "const" in schema and not _same(value, schema["const"]):
        return "const"
    return "enum" if "enum" in schema and not any(_same(value, option) for option in schema["enum"]) else ""


def _same(value: object, option: object) -> bool:
    return value == option and isinstance(value, bool) == isinstance(option, bool)


def _lengths(value: object, schema: Schema, _root: Schema) -> str:
    least, most = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
    if not isinstance(value, str | list):
        return ""
    if len(value) < schema.get(least, 0):
        return least
    return most if most in schema and len(value) > schema[most] else ""


def _ranges(value: object, schema: Schema, _root: Schema) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    checks = {
        "minimum": lambda bound: value >= bound,
        "maximum": lambda bound: value <= bound,
        "exclusiveMinimum": lambda bound: value > bound,
        "exclusiveMaximum": lambda bound: value < bound,
    }
    return next((name for name, holds in checks.items() if name in schema and not holds(schema[name])), "")


def _alternatives(value: object, schema: Schema, root: Schema) -> str:
    for name in ("anyOf", "oneOf"):
        if name in schema:
            met = sum(not breach(value, inner, root) for inner in schema[name])
            if met == 0 or (name == "oneOf" and met > 1):
                return name
    return ""


def evidence_in(value: object, schema: Schema, root: Schema | None = None) -> Iterator[str]:
    """Every evidence string of an answer that meets ``schema``."""
    root = schema if root is None else root
    schema = resolve(schema, root)
    if isinstance(value, str) and schema.get(EVIDENCE):
        yield value
    for name in ("anyOf", "oneOf"):
        for inner in schema.get(name, ()):
            if not breach(value, inner, root):
                yield from evidence_in(value, inner, root)
                break
    if isinstance(value, dict):
        for key, inner in schema.get("properties", {}).items():
            if key in value:
                yield from evidence_in(value[key], inner, root)
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            yield from evidence_in(item, schema["items"], root)
