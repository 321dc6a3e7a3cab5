"""``docs/configuration.md`` from the models that validate the configuration, so that the page cannot lie."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

INTRODUCTION = """\
# Configuration

Every choice of a run is in one YAML file. This page is made from the models that check that file: a key that is not here
is refused, with the nearest one that is. Paths may be relative to the file, start with `~`, or hold `${VARIABLE}`.
A single choice is overridden on the command line: `--set section.key=value`.
"""
COLUMNS = ("key", "type", "default", "meaning")
PLAIN_NAMES = {
    str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", types.NoneType: "nothing", object: "anything"
}  # fmt: skip
SECTION = "section"
BOUNDS = {
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
    "min_length": "length at least",
    "max_length": "length at most",
}


def render(sections: Mapping[str, type[BaseModel]], families: Mapping[str, Mapping[str, type[BaseModel]]] | None = None) -> str:
    """The page: one table a section, in the order given; then, for each family, one table a plug-in with its own options.

    ``families`` maps a heading ("Sources") to the plug-ins' names and option models.
    """
    parts = [INTRODUCTION]
    for name, model in sections.items():
        parts += _section(f"## `{name}`", model)
    for heading, plugins in (families or {}).items():
        parts.append(f"## {heading}\n")
        for name, model in sorted(plugins.items()):
            parts += _section(f"### `{name}`", model)
    return "\n".join(parts)


def _section(heading: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"{heading}\n"
    description = _first_paragraph(model)
    if description:
        yield f"{description}\n"
    yield f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}"
    yield from (f"| {' | '.join(row)} |" for row in rows(model))
    yield ""


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(key, type, default, meaning) of every field; a nested model's fields follow it, with dotted keys."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield f"`{key}`", _escaped(_type_of(field)), _escaped(_default_of(field)), _escaped(field.description or "")
        nested = _model_in(field.annotation)
        if nested is not None:
            is_list = typing.get_origin(field.annotation) in (tuple, list)
            yield from rows(nested, f"{key}[]." if is_list else f"{key}.")


def _first_paragraph(model: type[BaseModel]) -> str:
    documentation = model.__dict__.get("__doc__") or ""
    return " ".join(documentation.strip().partition("\n\n")[0].split())


def _type_of(field: FieldInfo) -> str:
    bounds = [f"{words} {getattr(item, name):g}" for item in field.metadata for name, words in BOUNDS.items() if hasattr(item, name)]
    return ", ".join([type_name(field.annotation), *bounds])


def type_name(annotation: Any) -> str:
    """A type in words.

    >>> type_name(tuple[str, ...]), type_name(int | None)
    ('list of text', 'whole number, or nothing')
    """
    if annotation in PLAIN_NAMES:
        return PLAIN_NAMES[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        return _union_name(arguments)
    if origin is not None and issubclass(origin, Mapping):
        return "mapping" if typing.Any in arguments else f"mapping of {type_name(arguments[0])} to {type_name(arguments[1])}"
    if origin in (tuple, list, set, frozenset):
        return _list_name(arguments)
    return _class_name(annotation)


def _union_name(arguments: tuple[Any, ...]) -> str:
    names = [type_name(argument) for argument in arguments if argument is not types.NoneType]
    return " or ".join(names) + (", or nothing" if types.NoneType in arguments else "")


def _list_name(arguments: tuple[Any, ...]) -> str:
    if len(arguments) > 1 and arguments[-1] is not ...:
        return f"{len(arguments)} values: {', '.join(type_name(argument) for argument in arguments)}"
    name = type_name(arguments[0])
    return f"list of {name}s" if name == SECTION else f"list of {name}"


def _class_name(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return SECTION
    return getattr(annotation, "__name__", str(annotation))


def _default_of(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "required"
    return "" if default is None or isinstance(default, BaseModel) else _value_text(default)


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list | set | frozenset):
        return f"`[{', '.join(str(item) for item in value)}]`"
    if isinstance(value, Mapping):
        return f"`{{{', '.join(f'{name}: {item}' for name, item in value.items())}}}`"
    return f"`{value}`"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if annotation.model_fields else None
    return next((found for argument in typing.get_args(annotation) if (found := _model_in(argument)) is not None), None)


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
