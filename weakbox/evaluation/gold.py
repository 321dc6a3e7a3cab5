"""Reports with gold answers: compact YAML, as a person writes them, or JSON Lines with the contract's whole body.

A YAML file is a list of reports:

    - id: northfield-03
      state: done                   # entries of a worklist that are still `to_do` are no gold and are left out
      hospital: northfield          # style of writing
      difficulty: hard              # easy, medium or hard
      report_type: radiology
      organ: prostate
      language: en
      text: |
        ...
      gold:                         # only what the report states; everything else is null
        exam: {pirads: 4}
        lesions:
          - {pirads: 4, side: left, zone: PZ, size_mm: [12, 8]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from weakbox.extractors.contract import shape_of
from weakbox.organs.organ import Field, FieldKind, ReportShape
from weakbox.records.errors import InputError
from weakbox.records.record import record
from weakbox.records.report import Report, ReportType
from weakbox.runtime.nearest import nearest_name

TO_DO = "to_do"
"""State of a worklist's entry that nobody has corrected yet."""
LISTS = (FieldKind.CHOICES, FieldKind.NUMBERS)


@record
class GoldReport:
    """A report and the contract's body that a careful reader writes for it."""

    report: Report
    body: Mapping[str, Any]
    hospital: str = ""
    difficulty: str = ""


def read_gold(path: Path) -> tuple[GoldReport, ...]:
    """The gold reports of a file, or of every ``.yaml`` and ``.jsonl`` file of a folder, in the order of names.

    Raises:
        InputError: no such path, an unreadable file, an unknown type, organ or field (the nearest is named), a repeated id.
    """
    if not path.exists():
        msg = f"{path}: no such file or folder; expected gold reports as .yaml or .jsonl"
        raise InputError(msg)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in (".yaml", ".jsonl"))
    gold: list[GoldReport] = []
    places: dict[str, str] = {}
    for place, entry in (found for file in files for found in _read_file(file)):
        first = places.setdefault(entry.report.report_id, place)
        if first != place:
            msg = f"{place}: its id is that of {first}; every gold report has an id of its own"
            raise InputError(msg)
        gold.append(entry)
    if not gold:
        msg = f"{path}: no gold reports; expected .yaml or .jsonl files with some"
        raise InputError(msg)
    return tuple(gold)


def _read_file(path: Path) -> Iterator[tuple[str, GoldReport]]:
    """The reports of a file, each with its place for messages. No message quotes the file: it holds report text."""
    for number, row in enumerate(_rows(path), 1):
        place = f"{path}, entry {number}"
        if not isinstance(row, Mapping):
            msg = f"{place}: expected a mapping with id, report_type, organ, text and gold"
            raise InputError(msg)
        if row.get("state") != TO_DO:
            yield place, _gold_report(row, place)


def _rows(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({type(error).__name__}); expected gold reports as UTF-8 text"
        raise InputError(msg) from None
    return _json_rows(text, path) if path.suffix == ".jsonl" else _yaml_rows(text, path)


def _json_rows(text: str, path: Path) -> list[Any]:
    rows = []
    # a JSON string may hold U+2028 and its like, which end a line for str.splitlines and not for JSON Lines
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            msg = f"{path}, line {number}: cannot be read: {type(error).__name__}; expected one JSON object a line"
            raise InputError(msg) from None
    return rows


def _yaml_rows(text: str, path: Path) -> list[Any]:
    try:
        rows = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        msg = f"{path}{where}: cannot be read: {type(error).__name__}; expected a YAML list of gold reports"
        raise InputError(msg) from None
    if not isinstance(rows, list | None):
        msg = f"{path}: expected a YAML list of gold reports, got {type(rows).__name__}"
        raise InputError(msg)
    return rows or []


def _gold_report(row: Mapping[str, Any], place: str) -> GoldReport:
    identifier = row.get("id", row.get("report_id"))
    if identifier is None:
        msg = f"{place}: no id"
        raise InputError(msg)
    for name, kind in (("report_type", str), ("organ", str), ("text", str), ("gold", Mapping)):
        if not isinstance(row.get(name), kind):
            found = "no" if row.get(name) is None else f"{type(row[name]).__name__} for"
            msg = f"{place}: {found} {name}, expected {kind.__name__}"
            raise InputError(msg)
    report = Report(
        report_id=str(identifier),
        patient_id=None,
        report_type=_report_type(row["report_type"], place),
        text=row["text"],
        organ=row["organ"],
        language=row.get("language", "en"),
    )
    body = whole_body(row["gold"], shape_of(row["organ"], report.report_type), place)
    return GoldReport(report=report, body=body, hospital=str(row.get("hospital", "")), difficulty=str(row.get("difficulty", "")))


def _report_type(word: str, place: str) -> ReportType:
    if word not in set(ReportType):
        msg = f"{place}: report_type is none of {', '.join(ReportType)}"
        raise InputError(msg)
    return ReportType(word)


def whole_body(compact: Mapping[str, Any], shape: ReportShape, place: str) -> dict[str, Any]:
    """The contract's body with every field: what ``compact`` leaves out is null, or an empty list.

    Raises:
        InputError: a field or a choice that the contract does not have.
    """
    public = [field for field in shape.exam if not field.is_internal]
    given = dict(_flat(compact, shape.item_kind))
    _check_names(given, public, place)
    body: dict[str, Any] = {}
    for field in public:
        node = body
        *parents, last = field.name.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = _checked(given.get(field.name), field, place)
    fields = [field for field in shape.item if not field.is_internal]
    body[shape.item_kind] = [
        _item(item, fields, f"{place} {shape.item_kind}[{i}]") for i, item in enumerate(compact.get(shape.item_kind) or ())
    ]
    return body


def _item(item: Mapping[str, Any], fields: list[Field], place: str) -> dict[str, Any]:
    _check_names(item, fields, place)
    return {field.name: _checked(item.get(field.name), field, place) for field in fields}


def _flat(compact: Mapping[str, Any], item_kind: str) -> Iterator[tuple[str, Any]]:
    for name, value in compact.items():
        if name == item_kind:
            continue
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", leaf) for inner, leaf in value.items())
        else:
            yield name, value


def _check_names(given: Iterable[str], fields: Iterable[Field], place: str) -> None:
    names = [field.name for field in fields]
    for name in given:
        if name not in names:
            msg = f"{place}: the contract has no field {name!r}{nearest_name(name, names)}"
            raise InputError(msg)


def _checked(value: Any, field: Field, place: str) -> Any:
    if value is None or value == []:
        return [] if field.kind in LISTS else None
    if field.kind is FieldKind.TEXT or (field.kind is FieldKind.CHOICE and not isinstance(value, bool)):
        value = str(value)
    if field.kind in LISTS and not isinstance(value, list):
        value = [value]
    members = value if isinstance(value, list) else [value]
    if field.choices and any(member not in field.choices for member in members):
        msg = f"{place}: {field.name} {value!r} is none of {', '.join(field.choices)}"
        raise InputError(msg)
    return value


def as_contract(entry: GoldReport) -> dict[str, Any]:
    """The object that scorers read: identity, text and ``gold``."""
    report = entry.report
    return {
        "report_id": report.report_id,
        "report_type": report.report_type.value,
        "organ": report.organ,
        "language": report.language,
        "hospital": entry.hospital,
        "difficulty": entry.difficulty,
        "text": report.text,
        "gold": dict(entry.body),
    }
