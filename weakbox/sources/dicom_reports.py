"""Reports from DICOM: Structured Reports as one text with headings, Encapsulated CDA, and the text layer of Encapsulated PDF."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import Field
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.sequence import Sequence

from weakbox.imaging.quiet_pydicom import silence
from weakbox.records.case import LedgerEntry
from weakbox.records.report import Report
from weakbox.sources.field_reading import DateFormat
from weakbox.sources.file_names import files_below
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.report_coding import VALUE_CODES, CodedNumber, organ_of, report_type_of, structured_values
from weakbox.sources.report_markup import decode_text, markup_text
from weakbox.sources.report_pdf import pdf_text
from weakbox.sources.report_row import ReportOptions, make_report
from weakbox.sources.source import Source

_SR = "1.2.840.10008.5.1.4.1.1.88."
DOCUMENTS = frozenset(_SR + last for last in ("11", "22", "33", "34", "35"))
"""Basic Text, Enhanced, Comprehensive, Comprehensive 3D and Extensible SR. Those of CAD, dose and implants are no reports."""
ENCAPSULATED_PDF, ENCAPSULATED_CDA = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
MAXIMUM_FILE_BYTES = 256 * 2**20
MAXIMUM_DEPTH = 40
_UNDEFINED_LENGTH = 0xFFFFFFFF
_CONTENT = frozenset({"", "CONTAINS", "HAS PROPERTIES"})
"""Relationships whose items are words of the report; context, concept modifiers and references to images are not."""


class DicomReportOptions(ReportOptions):
    """DICOM reports in a file or a folder."""

    path: Path = Field(
        description="A file, or a folder; subfolders are read too, and files that are no reports are passed over and counted."
    )
    glob: str = Field(default="**/*", description="Which files are looked at.")
    date_formats: tuple[DateFormat, ...] = Field(
        default=("YYYYMMDD", "ISO"), min_length=1, description="How days are written; DICOM writes `YYYYMMDD`."
    )
    value_codes: Mapping[str, str] = Field(
        default_factory=dict, description="Concept code of a NUM item -> field (`exam.psa_ng_ml`); added to the known LOINC ones."
    )


def read(options: DicomReportOptions) -> Iterator[Report | LedgerEntry]:
    """One report a document, in the order of the paths.

    Raises:
        InputError: no such path.
    """
    others = 0
    for number, path in enumerate(files(options), start=1):
        place = f"{options.path.name}:file {number}"
        document = _open(path)
        if document is None:
            others += 1
        elif isinstance(document, str):
            yield dropped("file", place, document)
        else:
            yield from _read_document(options, document, path.name, place)
    if others:
        yield flagged("file", options.path.name, "not_a_report", f"{others} other files passed over")


def files(options: DicomReportOptions) -> tuple[Path, ...]:
    """The files, sorted."""
    return files_below(options.path, options.glob)


def _open(path: Path) -> Any:
    """The data set of a report; None where the file is no DICOM report; a reason where it is one that cannot be read."""
    try:
        with silence():
            head = dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
            kind = str(head.get("SOPClassUID", ""))
            if kind not in DOCUMENTS | {ENCAPSULATED_PDF, ENCAPSULATED_CDA}:
                return None
            if path.stat().st_size > MAXIMUM_FILE_BYTES:
                return "too_large"
            document = dcmread(path)
            if not _is_whole(document):
                return "cut_off"
            document.walk(lambda _dataset, _element: None)  # lazily read values are read here, where a damaged one is caught
            return document
    except InvalidDicomError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, struct.error, BytesLengthException):
        return "unreadable_dicom"


def _is_whole(dataset: Any) -> bool:
    """Whether every value is as long as it is said to be; pydicom reads the beginning of a value from a file that was cut off."""
    for element in dataset.values():
        if isinstance(element, RawDataElement):
            if element.value is not None and element.length != _UNDEFINED_LENGTH and len(element.value) < element.length:
                return False
        elif isinstance(element.value, Sequence) and not all(map(_is_whole, element.value)):
            return False
    return True


def _read_document(options: DicomReportOptions, document: Any, file: str, place: str) -> Iterator[Report | LedgerEntry]:
    with silence():
        cells = _cells(document)
        text, reason = _text(document)
        numbers = list(_numbers(_items(document, "ContentSequence")))
    item_id = cells.get("report_id") or place
    if reason:
        yield dropped("report", item_id, reason, "an encapsulated PDF", cells.get("patient_id"))
        return
    for item in make_report(options, cells, text, file, None):
        if isinstance(item, Report):
            values, unused = structured_values(numbers, {**VALUE_CODES, **options.value_codes}, item.report_type)
            item = replace(item, structured=values)
            yield item
            yield from (flagged("report", item.report_id, remark, patient_id=item.patient_id) for remark in unused)
        else:
            yield item


def _cells(document: Any) -> dict[str, str]:
    title = _meaning(_items(document, "ConceptNameCodeSequence")) or str(document.get("DocumentTitle", "") or "")
    titles = [str(document.get(name, "") or "") for name in ("StudyDescription", "SeriesDescription")]
    codes = [str(item.get("CodeValue", "")) for item in _items(document, "ConceptNameCodeSequence")]
    report_type = report_type_of(codes, [title, *titles])
    cells = {
        "report_id": str(document.get("SOPInstanceUID", "") or ""),
        "patient_id": str(document.get("PatientID", "") or ""),
        "accession": str(document.get("AccessionNumber", "") or ""),
        "exam_date": str(document.get("StudyDate", "") or ""),
        "report_date": str(document.get("ContentDate", "") or ""),
        "status": _status(document),
        "title": titles[0] or title,
        "institution": str(document.get("InstitutionName", "") or ""),
        "report_type": report_type.value if report_type else "",
        "organ": organ_of([title, *titles]) or "",
    }
    return {name: value.strip() for name, value in cells.items() if value.strip()}


def _status(document: Any) -> str:
    if document.get("VerificationFlag") == "VERIFIED" and document.get("PreliminaryFlag") != "PRELIMINARY":
        return "final"
    if document.get("CompletionFlag") == "PARTIAL" or document.get("PreliminaryFlag") == "PRELIMINARY":
        return "preliminary"
    return "final" if document.get("PreliminaryFlag") == "FINAL" else ""


def _text(document: Any) -> tuple[str, str]:
    """The words of a document, or the reason why there are none to be had."""
    kind = str(document.get("SOPClassUID", ""))
    if kind in DOCUMENTS:
        return "\n".join(_lines(_items(document, "ContentSequence"), _meaning(_items(document, "ConceptNameCodeSequence")), 0)).strip(), ""
    content = bytes(document.get("EncapsulatedDocument", b"") or b"")
    if kind == ENCAPSULATED_CDA:
        return markup_text(decode_text(content.rstrip(b"\x00"))), ""
    return pdf_text(content)


def _items(dataset: Any, name: str) -> Iterable[Any]:
    """The items of a sequence; none where it is missing or the file holds something else in its place."""
    value = dataset.get(name)
    return value if isinstance(value, Sequence) else ()


def _meaning(items: Iterable[Any]) -> str:
    return next((str(item.get("CodeMeaning", "") or "") for item in items), "")


def _lines(items: Iterable[Any], heading: str, depth: int) -> Iterator[str]:
    """One line an item; a container's name is a heading above its items."""
    if depth > MAXIMUM_DEPTH:
        return
    for item in items:
        if str(item.get("RelationshipType", "") or "") not in _CONTENT:
            continue
        name = _meaning(_items(item, "ConceptNameCodeSequence"))
        inner = _items(item, "ContentSequence")
        if item.get("ValueType") == "CONTAINER":
            below = list(_lines(inner, name or heading, depth + 1))
            if below:
                yield from ("", f"{name}:") if name and not _begins(below[0], name) else ("",)
                yield from below
            continue
        words = _value(item)
        if words:
            yield words if _is_same(name, heading) or _begins(words, name) else f"{name}: {words}"
        yield from _lines(inner, name or heading, depth + 1)


def _value(item: Any) -> str:
    kind = item.get("ValueType")
    if kind == "TEXT":
        return str(item.get("TextValue", "") or "").replace("\r\n", "\n").replace("\r", "\n").strip()
    if kind == "CODE":
        return _meaning(_items(item, "ConceptCodeSequence"))
    if kind == "NUM":
        for measured in _items(item, "MeasuredValueSequence"):
            unit = next((str(code.get("CodeValue", "")) for code in _items(measured, "MeasurementUnitsCodeSequence")), "")
            return f"{measured.get('NumericValue', '')} {'' if unit == '1' or unit.startswith('{') else unit}".strip()
    return ""


_GENERAL = frozenset({"", "text", "finding", "description", "report text", "text report", "narrative", "comment", "sentence"})


def _is_same(name: str, heading: str) -> bool:
    """Whether an item's name says no more than the heading above it ("Finding" under "Findings")."""
    plain = name.lower().strip()
    return plain in _GENERAL or plain.rstrip("s") == heading.lower().strip().rstrip("s")


def _begins(words: str, name: str) -> bool:
    return bool(name) and words.lower().startswith(name.lower())


def _numbers(items: Iterable[Any], depth: int = 0) -> Iterator[CodedNumber]:
    for item in items:
        if item.get("ValueType") == "NUM":
            code = next((str(name.get("CodeValue", "")) for name in _items(item, "ConceptNameCodeSequence")), "")
            for measured in _items(item, "MeasuredValueSequence"):
                unit = next((str(unit.get("CodeValue", "")) for unit in _items(measured, "MeasurementUnitsCodeSequence")), "")
                value = measured.get("NumericValue")
                if code and isinstance(value, int | float | Decimal):
                    yield CodedNumber(code=code, value=float(value), unit=unit)
        if depth < MAXIMUM_DEPTH:
            yield from _numbers(_items(item, "ContentSequence"), depth + 1)


SOURCE = Source(family="reports", options=DicomReportOptions, files=files, read=read)
