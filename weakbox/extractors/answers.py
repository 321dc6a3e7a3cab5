"""A language model's JSON answer -> the claims in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeGuard

from weakbox.extractors.verification import Claim
from weakbox.organs.organ import Field, FieldKind, ReportShape
from weakbox.records.stated import FieldValue

LARGEST = 1e12
"""No report counts further; larger numbers (and infinity) are no answer."""


class AnswerError(ValueError):
    """The answer is not what the schema demands; the message carries no text of the report."""


def read_answer(text: str, shape: ReportShape) -> tuple[list[Claim], int]:
    """The claims of an answer, and how many items it lists.

    Raises:
        AnswerError: no JSON, or not of the demanded form.
    """
    try:
        answer = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        msg = f"not JSON at character {error.pos}"
        raise AnswerError(msg) from None
    except (ValueError, RecursionError):
        msg = "not JSON: a number that JSON does not know, or nesting without end"
        raise AnswerError(msg) from None
    if not isinstance(answer, dict):
        msg = f"expected an object, got {type(answer).__name__}"
        raise AnswerError(msg)
    items = answer.get(shape.item_kind)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        msg = f"expected a list of objects under {shape.item_kind!r}"
        raise AnswerError(msg)
    claims = list(_claims(_flat(answer, shape.item_kind), shape.exam, None))
    for index, item in enumerate(items):
        claims += _claims(item, shape.item, index)
    return claims, len(items)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _flat(answer: Mapping[str, Any], item_kind: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, node in answer.items():
        if name == item_kind or not isinstance(node, dict):
            continue
        if "evidence" in node:
            flat[name] = node
        else:
            flat |= {f"{name}.{inner}": leaf for inner, leaf in node.items()}
    return flat


def _claims(leaves: Mapping[str, Any], fields: tuple[Field, ...], item: int | None) -> Iterator[Claim]:
    for field in fields:
        leaf = leaves.get(field.name)
        if leaf is None or not field.is_asked:
            continue
        if not isinstance(leaf, dict) or not isinstance(leaf.get("evidence"), str) or "value" not in leaf:
            msg = f"expected evidence and value under {field.name!r}"
            raise AnswerError(msg)
        value = typed(leaf["value"], field)
        if value is None:
            msg = f"{field.name!r} holds {type(leaf['value']).__name__}, expected {field.kind.value}"
            raise AnswerError(msg)
        yield Claim(field=field.name, value=value, quote=leaf["evidence"], item=item)


def typed(value: object, field: Field) -> FieldValue | None:
    """``value`` as the field holds it, or None where it has another type."""
    if field.kind is FieldKind.NUMBERS:
        return tuple(float(number) for number in value) if isinstance(value, list) and all(map(_is_number, value)) else None
    if field.kind is FieldKind.CHOICES:
        return tuple(dict.fromkeys(str(name) for name in value)) if isinstance(value, list) else None
    if field.kind is FieldKind.BOOLEAN:
        return value if isinstance(value, bool) else None
    if field.kind in (FieldKind.CHOICE, FieldKind.TEXT):
        return value.strip() if isinstance(value, str) else None
    if not _is_number(value):
        return None
    return int(value) if field.kind is FieldKind.INTEGER and value == int(value) else float(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
