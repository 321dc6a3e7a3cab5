"""Reports from FHIR R4 and R5: DiagnosticReport resources, alone, in Bundles or as NDJSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.report import Report
from weakbox.sources.file_names import files_below
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.report_coding import VALUE_CODES, CodedNumber, is_other_service, organ_of, report_type_of, structured_values
from weakbox.sources.report_markup import decode_base64, decode_text, markup_text, shown_media
from weakbox.sources.report_pdf import BESIDE_TEXT, PDF, pdf_text, says_more
from weakbox.sources.report_row import ReportOptions, make_report
from weakbox.sources.source import Source

Json = Mapping[str, Any]
INDEXED = ("Observation", "Patient", "Binary", "ServiceRequest")
"""Resources that a report may point to and whose words or numbers are used."""
STATUSES = {"registered": "preliminary"}
"""FHIR statuses whose word the table of statuses does not have."""
PLAIN, MARKUP = ("text/plain", "text/markdown"), ("text/html", "application/xhtml+xml", "text/xml", "application/xml")


class FhirReportOptions(ReportOptions):
    """A FHIR file or a folder of them."""

    path: Path = Field(
        description="A `.json` file (one resource or a Bundle), an `.ndjson` file (one resource a line), or a folder of them."
    )
    glob: str = Field(default="**/*.*json", description="Which files of a folder are read.")
    value_codes: Mapping[str, str] = Field(
        default_factory=dict, description="LOINC code -> field (`exam.psa_ng_ml`): numbers beside the text; added to the known ones."
    )


def read(options: FhirReportOptions) -> Iterator[Report | LedgerEntry]:
    """Every DiagnosticReport, in the order of files and resources; what is unusable is a dropped row.

    Raises:
        InputError: no such path, or no FHIR resource in any file.
    """
    index: dict[str, Json] = {}
    found = False
    for _, _, resource, url in _resources(options, []):
        found = True
        if resource.get("resourceType") in INDEXED:
            index[f"{resource['resourceType']}/{resource.get('id', '')}"] = resource
            if url:
                index[url] = resource
    if not found:
        msg = f"{options.path}: no FHIR resource in it; expected JSON with `resourceType`, a Bundle, or NDJSON"
        raise InputError(msg)
    problems: list[LedgerEntry] = []
    for path, number, resource, _ in _resources(options, problems):
        if resource.get("resourceType") == "DiagnosticReport":
            yield from _read_report(options, _Linked(resource, index), path.name, number)
    yield from problems


def files(options: FhirReportOptions) -> tuple[Path, ...]:
    """The files, sorted."""
    return files_below(options.path, options.glob)


def _resources(options: FhirReportOptions, problems: list[LedgerEntry]) -> Iterator[tuple[Path, int, Json, str]]:
    """File, number in it, resource, and its full URL; what is no resource goes to ``problems``."""
    for path in files(options):
        number = 0
        for parsed, line in _documents(path, problems):
            for resource, url in _unpacked(parsed):
                number += 1
                yield path, number, resource, url
            if not isinstance(parsed, dict) or "resourceType" not in parsed:
                problems.append(dropped("file", f"{path.name}:{line}", "not_fhir", "no resource with `resourceType`"))


def _documents(path: Path, problems: list[LedgerEntry]) -> Iterator[tuple[Any, int]]:
    content = decode_text(path.read_bytes())
    is_lines = path.suffix.lower() == ".ndjson"
    # a JSON string may hold U+2028 and its like, which end a line for str.splitlines and not for NDJSON
    parts: Iterable[tuple[int, str]] = enumerate(content.split("\n"), 1) if is_lines else ((1, content),)
    for line, part in parts:
        if not part.strip():
            continue
        try:
            yield json.loads(part), line
        except (json.JSONDecodeError, RecursionError):
            problems.append(dropped("file", f"{path.name}:{line}", "not_json", "cut off or no JSON"))


def _unpacked(parsed: Any, url: str = "") -> Iterator[tuple[Json, str]]:
    if not isinstance(parsed, dict) or not isinstance(parsed.get("resourceType"), str):
        return
    if parsed["resourceType"] != "Bundle":
        yield parsed, url
        return
    for entry in _objects(parsed.get("entry")):
        yield from _unpacked(entry.get("resource"), str(entry.get("fullUrl") or ""))


def _objects(value: Any) -> list[Json]:
    """The objects of a list, or the object itself (R4 and R5 differ in which fields repeat)."""
    members = value if isinstance(value, list) else [value]
    return [member for member in members if isinstance(member, dict)]


class _Linked:
    """A DiagnosticReport and what its references point to."""

    def __init__(self, resource: Json, index: Mapping[str, Json]) -> None:
        self.resource = resource
        self._index = index
        self._contained = {f"#{inner.get('id')}": inner for inner in _objects(resource.get("contained"))}

    def target(self, reference: Json) -> Json | None:
        """The resource that a reference names, where it is there."""
        name = str(reference.get("reference") or "")
        plain = "/".join(name.split("/_history/")[0].rsplit("/", 2)[-2:])
        return self._contained.get(name) or self._index.get(name) or self._index.get(plain)

    def targets(self, field: str) -> list[Json]:
        """The resources that a field's references name."""
        return [target for reference in _objects(self.resource.get(field)) if (target := self.target(reference)) is not None]


def _read_report(options: FhirReportOptions, linked: _Linked, file: str, number: int) -> Iterator[Report | LedgerEntry]:
    resource = linked.resource
    cells = _cells(linked)
    place = f"{file}:{number}"
    item_id = cells.get("report_id") or place
    codes, titles = _codings(resource, ("category", "code"))
    if is_other_service(codes):
        yield dropped("report", item_id, "other_service", "neither radiology nor pathology", cells.get("patient_id"))
        return
    report_type = report_type_of(codes, titles)
    if report_type is not None:
        cells["report_type"] = report_type.value
    organ = organ_of(titles)
    if organ is not None:
        cells["organ"] = organ
    observations = [each for each in _with_members(linked, linked.targets("result")) if each.get("resourceType") == "Observation"]
    text, remarks = _text(linked, observations)
    yield from (dropped("attachment", item_id, reason, detail, cells.get("patient_id")) for reason, detail in remarks)
    for item in make_report(options, cells, text, file, number):
        if isinstance(item, Report):
            values, unused = structured_values(_numbers(observations), {**VALUE_CODES, **options.value_codes}, item.report_type)
            item = replace(item, structured=values)
            yield item
            yield from (flagged("report", item.report_id, reason, patient_id=item.patient_id) for reason in unused)
        else:
            yield item


def _cells(linked: _Linked) -> dict[str, str]:
    resource = linked.resource
    identifiers = _objects(resource.get("identifier"))
    orders = [
        identifier
        for order in (*linked.targets("basedOn"), *_objects(resource.get("basedOn")))
        for identifier in _objects(order.get("identifier"))
    ]
    period = resource.get("effectivePeriod")
    status = str(resource.get("status") or "")
    code = resource.get("code")
    cells = {
        "report_id": _first_value(identifiers, other_than="ACSN") or str(resource.get("id") or ""),
        "patient_id": _patient(linked),
        "accession": _typed_value([*identifiers, *orders], "ACSN"),
        "exam_date": str(resource.get("effectiveDateTime") or (period.get("start") if isinstance(period, dict) else "") or ""),
        "report_date": str(resource.get("issued") or ""),
        "status": STATUSES.get(status, status),
        "language": str(resource.get("language") or ""),
        "title": " ".join(_codings({"code": code}, ("code",))[1][:1]),
        "institution": _institution(resource),
    }
    return {name: value.strip() for name, value in cells.items() if value.strip()}


def _first_value(identifiers: Sequence[Json], other_than: str) -> str:
    return next((str(each["value"]) for each in identifiers if each.get("value") and other_than not in _type_codes(each)), "")


def _typed_value(identifiers: Sequence[Json], code: str) -> str:
    return next((str(each["value"]) for each in identifiers if each.get("value") and code in _type_codes(each)), "")


def _type_codes(identifier: Json) -> set[str]:
    return {str(coding.get("code")) for kind in _objects(identifier.get("type")) for coding in _objects(kind.get("coding"))}


def _patient(linked: _Linked) -> str:
    """The medical record number, else the first identifier, else the id in the reference."""
    for subject in _objects(linked.resource.get("subject")):
        target = linked.target(subject)
        identifiers = [*_objects(target.get("identifier") if target else None), *_objects(subject.get("identifier"))]
        stated = _typed_value(identifiers, "MR") or _first_value(identifiers, other_than="SS")
        reference = str(subject.get("reference") or "").lstrip("#")
        return stated or reference.split("/_history/")[0].rpartition("/")[2].removeprefix("urn:uuid:")
    return ""


def _institution(resource: Json) -> str:
    names = [
        str(each.get("display") or "") for each in _objects(resource.get("performer")) if "Organization/" in str(each.get("reference"))
    ]
    return next((name for name in names if name), "")


def _codings(resource: Json, fields: Iterable[str]) -> tuple[list[str], list[str]]:
    """Codes and words of coded fields."""
    concepts = [concept for field in fields for concept in _objects(resource.get(field))]
    codes = [str(coding["code"]) for concept in concepts for coding in _objects(concept.get("coding")) if coding.get("code")]
    words = [str(concept["text"]) for concept in reversed(concepts) if concept.get("text")]
    return codes, words + [
        str(coding["display"]) for concept in reversed(concepts) for coding in _objects(concept.get("coding")) if coding.get("display")
    ]


def _with_members(linked: _Linked, observations: Sequence[Json], depth: int = 3) -> Iterator[Json]:
    for observation in observations:
        yield observation
        if depth:
            members = [target for reference in _objects(observation.get("hasMember")) if (target := linked.target(reference)) is not None]
            yield from _with_members(linked, members, depth - 1)


_LISTING = "Generated Narrative"
_VOID = frozenset({"cancelled", "entered-in-error"})


def _numbers(observations: Iterable[Json]) -> Iterator[CodedNumber]:
    for observation in observations:
        if observation.get("status") in _VOID:
            continue
        for part in (observation, *_objects(observation.get("component"))):
            quantity = part.get("valueQuantity")
            codes, _ = _codings(part, ("code",))
            if isinstance(quantity, dict) and isinstance(quantity.get("value"), int | float) and not quantity.get("comparator"):
                unit = str(quantity.get("code") or quantity.get("unit") or "")
                yield from (CodedNumber(code=code, value=float(quantity["value"]), unit=unit) for code in codes)


def _text(linked: _Linked, observations: Sequence[Json]) -> tuple[str, list[tuple[str, str]]]:
    """The report's words: its presented form, else its narrative and worded results; the conclusion where it is not in them."""
    presented, remarks = _presented(linked)
    pieces = [presented] if presented else [_narrative(linked.resource), *_worded(observations)]
    conclusion = str(linked.resource.get("conclusion") or "").strip()
    pieces = [piece for place, piece in enumerate(pieces) if piece and not any(_holds(other, piece) for other in pieces[:place])]
    if conclusion and not any(_holds(piece, conclusion) for piece in pieces):
        pieces.append(f"CONCLUSION:\n{conclusion}" if pieces else conclusion)
    return "\n\n".join(pieces), remarks


def _holds(text: str, part: str) -> bool:
    return " ".join(part.split()).lower() in " ".join(text.split()).lower()


def _presented(linked: _Linked) -> tuple[str, list[tuple[str, str]]]:
    """Text of the attachments; plain text wins over markup and markup over PDF, because senders repeat the report in several forms."""
    remarks: list[tuple[str, str]] = []
    plain, markup, printed = [], [], []
    for attachment in _objects(linked.resource.get("presentedForm")):
        media, _, parameters = str(attachment.get("contentType") or "text/plain").lower().partition(";")
        media = media.strip()
        data = str(attachment.get("data") or _binary(linked, attachment))
        if not data:
            remarks.append(("attachment_not_here", "only an address is given"))
        elif media not in (*PLAIN, *MARKUP, PDF):
            remarks.append(("unsupported_attachment", shown_media(media)))
        elif (content := _attached(data, remarks)) is not None:
            if media == PDF:
                printed.append(content)
            elif media in PLAIN:
                plain.append(decode_text(content, _charset(parameters)))
            else:
                markup.append(markup_text(decode_text(content, _charset(parameters))))
    chosen = [text for text in plain if text.strip()] or [text for text in markup if text.strip()]
    chosen += _printed(printed, "\n\n".join(chosen), remarks)
    return "\n\n".join(dict.fromkeys(chosen)), remarks


def _printed(documents: Iterable[bytes], beside: str, remarks: list[tuple[str, str]]) -> Iterator[str]:
    """The words of PDFs that say more than the text beside them."""
    for content in documents:
        words, reason = pdf_text(content)
        if words and not says_more(words, beside):
            words, reason = "", BESIDE_TEXT
        if reason:
            remarks.append((reason, shown_media(PDF)))
        else:
            yield words


def _charset(parameters: str) -> str | None:
    return parameters.partition("charset=")[2].strip(" \"'") or None


def _attached(data: str, remarks: list[tuple[str, str]]) -> bytes | None:
    try:
        return decode_base64(data)
    except InputError:
        remarks.append(("bad_attachment", "its data is no base64"))
        return None


def _binary(linked: _Linked, attachment: Json) -> str:
    target = linked.target({"reference": attachment.get("url")}) if attachment.get("url") else None
    return str(target.get("data") or "") if target else ""


def _narrative(resource: Json) -> str:
    """The words of ``text.div``; not those of a listing that a server made of the fields, where the conclusion is there."""
    narrative = resource.get("text")
    words = markup_text(str(narrative.get("div") or "")) if isinstance(narrative, dict) else ""
    return "" if words.startswith(_LISTING) and resource.get("conclusion") else words


def _worded(observations: Iterable[Json]) -> list[str]:
    """Results that are words, under their names."""
    lines = []
    for observation in observations:
        words = str(observation.get("valueString") or "") or " ".join(_codings(observation, ("valueCodeableConcept",))[1][:1])
        if words.strip() and observation.get("status") not in _VOID:
            name = " ".join(_codings(observation, ("code",))[1][:1])
            lines.append(f"{name}:\n{words.strip()}" if name and not words.lstrip().lower().startswith(name.lower()) else words.strip())
    return lines


SOURCE = Source(family="reports", options=FhirReportOptions, files=files, read=read)
