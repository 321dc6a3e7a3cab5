"""The extraction contract: records -> its JSON object, and its schema, both made from the organ's fields.

docs/extraction_contract.md says what each field means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from weakbox.organs.organ import Field, FieldKind, Organ, ReportShape
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import ExtractionFailure, Flag, ReportExtraction
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue, Stated
from weakbox.runtime.plugins import load_plugin

STATUSES = ("ok", "review", "abstained", "failed")
CONFIDENCE_DIGITS = 4
MAXIMUM_DIAMETERS = 3


@cache
def shape_of(organ: str, report_type: ReportType) -> ReportShape:
    """The fields of that organ's reports.

    Raises:
        ConfigurationError: no such organ, the message names the nearest one; or the organ has no reports of that type.
    """
    found: Organ = load_plugin("weakbox.organs", organ, "ORGAN")
    if report_type not in found.shapes:
        msg = f"weakbox/organs/{organ}.py has no {report_type.value} reports (there are: {', '.join(kind.value for kind in found.shapes)})"
        raise ConfigurationError(msg)
    return found.shapes[report_type]


def to_contract(report: Report, outcome: ReportExtraction | ExtractionFailure) -> dict[str, Any]:
    """The JSON object of one report: keys in a fixed order, evidence cut from the raw text.

    Raises:
        ValueError: evidence outside the text, which means that ``outcome`` is of another text.
    """
    shape = shape_of(outcome.organ, outcome.report_type)
    if isinstance(outcome, ExtractionFailure):
        flags = [_flag(Flag(path="", code="failed", detail=outcome.cause))]
        return _document(report, outcome.organ, "failed", shape, {}, [], [], flags)
    stated = list(_leaves(outcome, shape))
    return _document(
        report,
        outcome.organ,
        outcome.status.value,
        shape,
        outcome.exam,
        [item.values for item in outcome.items],
        stated,
        [_flag(flag) for flag in outcome.flags],
    )


def _document(
    report: Report,
    organ: str,
    status: str,
    shape: ReportShape,
    exam: Mapping[str, Stated[FieldValue]],
    items: list[Mapping[str, Stated[FieldValue]]],
    stated: list[tuple[str, Stated[FieldValue]]],
    flags: list[dict[str, str]],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "report_id": report.report_id,
        "patient_id": report.patient_id,
        "report_type": report.report_type.value,
        "organ": organ,
        "status": status,
    }
    for field in _public(shape.exam):
        _set_nested(document, field.name, _value(field, exam.get(field.name)))
    document[shape.item_kind] = [{field.name: _value(field, values.get(field.name)) for field in _public(shape.item)} for values in items]
    document["evidence"] = [entry for path, leaf in stated for entry in _evidence(path, leaf, report.text)]
    document["confidence"] = {path: round(leaf.confidence, CONFIDENCE_DIGITS) for path, leaf in stated}
    document["flags"] = flags
    return document


def _public(fields: Iterable[Field]) -> list[Field]:
    return [field for field in fields if not field.is_internal]


def _set_nested(document: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


def _value(field: Field, stated: Stated[FieldValue] | None) -> Any:
    is_list = field.kind in (FieldKind.CHOICES, FieldKind.NUMBERS)
    if stated is None:
        return [] if is_list else None
    return list(stated.value) if isinstance(stated.value, tuple) else stated.value


def _leaves(extraction: ReportExtraction, shape: ReportShape) -> Iterator[tuple[str, Stated[FieldValue]]]:
    yield from _stated(extraction.exam, shape.exam, "")
    for index, item in enumerate(extraction.items):
        yield from _stated(item.values, shape.item, f"{shape.item_kind}[{index}].")


def _stated(values: Mapping[str, Stated[FieldValue]], fields: Iterable[Field], prefix: str) -> Iterator[tuple[str, Stated[FieldValue]]]:
    for field in _public(fields):
        leaf = values.get(field.name)
        if leaf is not None and leaf.value != ():
            yield prefix + field.name, leaf


def _evidence(path: str, leaf: Stated[FieldValue], raw: str) -> Iterator[dict[str, Any]]:
    for span in leaf.evidence:
        if span.end > len(raw):
            msg = f"evidence of {path} ends at {span.end}, but the report has {len(raw)} characters"
            raise ValueError(msg)
        yield {"path": path, "start": span.start, "end": span.end, "text": span.cut(raw)}


def _flag(flag: Flag) -> dict[str, str]:
    return {"path": flag.path, "code": flag.code, "detail": flag.detail}


def schema(organ: str, report_type: ReportType) -> dict[str, Any]:
    """JSON Schema (2020-12) of one report's object, from the organ's fields."""
    shape = shape_of(organ, report_type)
    tree: dict[str, Any] = {}
    for field in _public(shape.exam):
        _set_nested(tree, field.name, _field_schema(field))
    properties = _common_properties()
    properties |= {"report_type": {"const": report_type.value}, "organ": {"const": organ}}
    properties |= {name: node if _is_field(shape, name) else _object(node) for name, node in tree.items()}
    properties[shape.item_kind] = {"type": "array", "items": _object({field.name: _field_schema(field) for field in _public(shape.item)})}
    return _object(properties)


def _is_field(shape: ReportShape, name: str) -> bool:
    return any(field.name == name for field in shape.exam)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _common_properties() -> dict[str, Any]:
    text, offset = {"type": "string"}, {"type": "integer"}
    return {
        "report_id": text,
        "patient_id": {"type": ["string", "null"]},
        "evidence": {"type": "array", "items": _object({"path": text, "start": offset, "end": offset, "text": text})},
        "confidence": {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}},
        "flags": {"type": "array", "items": _object({"path": text, "code": text, "detail": text})},
        "status": {"enum": list(STATUSES)},
    }


def _field_schema(field: Field) -> dict[str, Any]:
    if field.kind is FieldKind.CHOICE:
        return {"enum": [*field.choices, None]}
    if field.kind is FieldKind.CHOICES:
        return {"type": "array", "items": {"type": "string", "pattern": field.pattern} if field.pattern else {"enum": list(field.choices)}}
    if field.kind is FieldKind.NUMBERS:
        return {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "maxItems": MAXIMUM_DIAMETERS}
    nullable: dict[str, Any] = {"type": [_JSON_TYPES[field.kind], "null"]}
    return nullable | (_scale(field) if field.kind is FieldKind.INTEGER else {})


_JSON_TYPES = {FieldKind.INTEGER: "integer", FieldKind.NUMBER: "number", FieldKind.BOOLEAN: "boolean", FieldKind.TEXT: "string"}


def _scale(field: Field) -> dict[str, Any]:
    # a scale's ends belong to the contract; what is plausible for a count, which begins at 0, is only checked
    if not field.minimum or field.maximum is None:
        return {}
    return {"minimum": int(field.minimum), "maximum": int(field.maximum)}
