"""Reports from HL7 v2: ORU^R01 results and MDM documents, one message or many in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.report import Report
from weakbox.sources.file_names import files_below
from weakbox.sources.hl7_messages import Message, Segment, read_messages
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.report_coding import VALUE_CODES, CodedNumber, is_other_service, organ_of, report_type_of, structured_values
from weakbox.sources.report_markup import decode_base64, decode_text, markup_text, shown_media
from weakbox.sources.report_pdf import BESIDE_TEXT, PDF, PDF_START, pdf_text, says_more
from weakbox.sources.report_row import ReportOptions, make_report
from weakbox.sources.source import Source

MAXIMUM_FILE_BYTES = 512 * 2**20
KINDS = ("ORU", "MDM")
NARRATIVE_TYPES = frozenset({"TX", "FT", "ST", "ED"})
"""OBX-2 of results that make a report; coded results are words of one that has them, and no report by themselves."""
TEXT_TYPES = NARRATIVE_TYPES | {"CE", "CWE", "CF"}
VOID_RESULTS = frozenset({"D", "W", "X", "N"})
"""OBX-11: deleted, wrong, cannot be obtained, not asked for."""
ORDER_STATUSES = {
    "O": "preliminary", "I": "preliminary", "S": "preliminary", "A": "preliminary", "R": "preliminary", "M": "corrected", "Y": "", "Z": "",
}  # fmt: skip
"""OBR-25 codes (table 0123) that differ from the words that all sources share: there ``A`` is an addendum, here "some results"."""
DOCUMENT_STATUSES = {
    "AU": "final", "LA": "final", "DI": "preliminary", "DO": "preliminary", "IN": "preliminary", "IP": "preliminary", "PA": "preliminary",
}  # fmt: skip
"""TXA-17 (table 0271)."""
EVENTS = {
    "T05": "addendum", "T06": "addendum", "T07": "corrected", "T08": "corrected", "T09": "corrected", "T10": "corrected",
    "T11": "cancelled",
}  # fmt: skip
"""MDM trigger events (chapter 9.6)."""
HEADINGS = {
    "IMP": "IMPRESSION", "GDT": "FINDINGS", "ADT": "ADDENDUM", "ADDENDUM": "ADDENDUM", "REC": "RECOMMENDATION", "HIST": "HISTORY",
    "CMT": "COMMENT",
    "59776-5": "FINDINGS", "19005-8": "IMPRESSION", "18834-2": "COMPARISON", "55111-9": "TECHNIQUE", "18785-6": "INDICATION",
    "55752-0": "CLINICAL INFORMATION",
    "22634-0": "GROSS DESCRIPTION", "22635-7": "MICROSCOPIC DESCRIPTION", "22637-3": "DIAGNOSIS", "22636-5": "CLINICAL INFORMATION",
    "22638-1": "COMMENT", "22633-2": "SPECIMEN",
}  # fmt: skip
"""OBX-3 suffixes (HL7 2.3 radiology) and LOINC section codes -> headings."""


class Hl7ReportOptions(ReportOptions):
    """HL7 v2 messages in a file or a folder."""

    path: Path = Field(description="A file of one or more messages (plain, MLLP-framed or a batch), or a folder of them.")
    glob: str = Field(default="**/*", description="Which files of a folder are read.")
    encoding: str | None = Field(default=None, description="Text encoding, where MSH-18 does not say it truly.")
    patient_id_type: str = Field(
        default="MR", description="Identifier type of PID-3 that is the patient; the first identifier where none has it."
    )
    value_codes: Mapping[str, str] = Field(
        default_factory=dict, description="OBX-3 code -> field (`exam.psa_ng_ml`): numbers beside the text; added to the known LOINC ones."
    )


@dataclass(slots=True)
class _Order:
    """The segments of one report: OBR or TXA, and its OBX."""

    head: Segment
    results: list[Segment]


def read(options: Hl7ReportOptions) -> Iterator[Report | LedgerEntry]:
    """Every report of every message, in order; a corrected report comes as its own record, and the later stages let it win.

    Raises:
        InputError: no such path, or no HL7 v2 message in any file.
    """
    found = False
    for path in files(options):
        if path.stat().st_size > MAXIMUM_FILE_BYTES:
            yield dropped("file", path.name, "too_large", f"{path.stat().st_size} bytes")
            continue
        count = 0
        for message in read_messages(path.read_bytes(), options.encoding):
            count += 1
            yield from _read_message(options, message, path.name)
        found = found or count > 0
        if not count:
            yield dropped("file", path.name, "not_hl7", "no MSH segment")
    if not found:
        msg = f"{options.path}: no HL7 v2 message in it; expected segments that begin with MSH"
        raise InputError(msg)


def files(options: Hl7ReportOptions) -> tuple[Path, ...]:
    """The files, sorted."""
    return files_below(options.path, options.glob)


def _read_message(options: Hl7ReportOptions, message: Message, file: str) -> Iterator[Report | LedgerEntry]:
    kind, event = message.header.value(9, 1).upper(), message.header.value(9, 2).upper()
    place = f"{file}:message {message.number}"
    if kind not in KINDS:
        yield dropped("message", place, "other_message", f"message type {kind[:3]}: neither ORU nor MDM")
        return
    orders = _orders(message)
    if not orders:
        yield dropped("message", place, "no_report_segment", "no OBR or TXA segment")
        return
    numbers = list(_numbers(segment for order in orders for segment in order.results))
    with_words = [
        order for order in orders if any(_is_text(segment) and segment.value(2).upper() in NARRATIVE_TYPES for segment in order.results)
    ]
    if not with_words:
        yield dropped("message", place, "empty_text", "no result with words")
    for order in with_words:
        yield from _read_order(options, message, order, event, numbers, file)


def _orders(message: Message) -> list[_Order]:
    """The reports of a message: OBR groups with one number are one report; an MDM message is one document."""
    document = message.first("TXA")
    orders: list[_Order] = []
    if document is not None:
        return [_Order(document, [segment for segment in message.segments if segment.name == "OBX"])]
    for segment in message.segments:
        if segment.name == "OBR":
            same = next((order for order in orders if _order_id(order.head) and _order_id(order.head) == _order_id(segment)), None)
            if same is not None:
                orders.remove(same)
            orders.append(same or _Order(segment, []))
        elif segment.name == "OBX" and orders:
            orders[-1].results.append(segment)
    return orders


def _order_id(head: Segment) -> str:
    return head.value(3) or head.value(2)


def _is_text(segment: Segment) -> bool:
    return segment.value(2).upper() in TEXT_TYPES and bool(segment.raw(5).strip())


def _read_order(
    options: Hl7ReportOptions, message: Message, order: _Order, event: str, numbers: Sequence[CodedNumber], file: str
) -> Iterator[Report | LedgerEntry]:
    cells = _cells(options, message, order, event)
    item_id = cells.get("report_id") or cells.get("accession") or f"{file}:message {message.number}"
    titles = [*_names(order.head, 4), cells.get("title", "")]
    codes = [order.head.value(24), order.head.value(4, 1), *_observation_codes(order.results)] if order.head.name == "OBR" else []
    if is_other_service(codes):
        yield dropped("report", item_id, "other_service", "neither radiology nor pathology", cells.get("patient_id"))
        return
    report_type = report_type_of(codes, titles)
    if report_type is not None:
        cells["report_type"] = report_type.value
    organ = organ_of(titles)
    if organ is not None:
        cells["organ"] = organ
    text, remarks = _text(order.results)
    yield from (dropped("attachment", item_id, reason, detail, cells.get("patient_id")) for reason, detail in remarks)
    for item in make_report(options, cells, text, file, message.number):
        if isinstance(item, Report):
            values, unused = structured_values(numbers, {**VALUE_CODES, **options.value_codes}, item.report_type)
            item = replace(item, structured=values)
            yield item
            yield from (flagged("report", item.report_id, reason, patient_id=item.patient_id) for reason in unused)
        else:
            yield item


def _cells(options: Hl7ReportOptions, message: Message, order: _Order, event: str) -> dict[str, str]:
    head = order.head
    cells = {"patient_id": _patient(options, message.first("PID")), "institution": message.header.value(4), "status": _status(order, event)}
    if head.name == "TXA":
        request = message.first("OBR")
        cells |= {
            "report_id": head.value(12) or head.value(15),
            "accession": head.value(15) or (_order_id(request) if request else ""),
            "exam_date": head.value(4) or (request.value(7) if request else ""),
            "report_date": head.value(7) or head.value(6),
            "title": head.value(16) or (" ".join(_names(request, 4)[:1]) if request else "") or head.value(2, 2),
        }
    else:
        cells |= {
            "report_id": _order_id(head),
            "accession": head.value(18) or head.value(3) or head.value(2),
            "exam_date": head.value(7),
            "report_date": head.value(22),
            "title": " ".join(_names(head, 4)[:1]),
        }
    return {name: value for name, value in cells.items() if value}


def _names(segment: Segment, number: int) -> list[str]:
    """The words of a coded field: of the standard code, of the site's own, else the code itself."""
    return [words for words in (segment.value(number, 2), segment.value(number, 5), segment.value(number, 1)) if words]


def _observation_codes(results: Iterable[Segment]) -> list[str]:
    return [code for segment in results for code in (segment.value(3, 1), segment.value(3, 4))]


def _patient(options: Hl7ReportOptions, person: Segment | None) -> str:
    if person is None:
        return ""
    repetitions = [person.components(3, number) for number in range(len(person.repetitions(3)))]
    wanted = options.patient_id_type.upper()
    typed = next((parts[0] for parts in repetitions if len(parts) > 4 and parts[4].upper() == wanted and parts[0]), "")
    return typed or next((parts[0] for parts in repetitions if parts and parts[0]), "") or person.value(2)


def _status(order: _Order, event: str) -> str:
    """The report's status: of the event, of the order or document, else of its results where they agree."""
    if order.head.name == "TXA":
        return EVENTS.get(event) or DOCUMENT_STATUSES.get(order.head.value(17).upper(), "")
    stated = order.head.value(25).upper()
    results = {segment.value(11).upper() for segment in order.results if _is_text(segment)} - {""}
    if "C" in results and stated in ("", "F"):
        return "C"
    if not stated and len(results) == 1:
        stated = results.pop()
    return ORDER_STATUSES.get(stated, stated)


def _numbers(results: Iterable[Segment]) -> Iterator[CodedNumber]:
    for segment in results:
        if segment.value(2).upper() not in ("NM", "SN") or segment.value(11).upper() in VOID_RESULTS:
            continue
        parts = segment.components(5)
        is_plain = segment.value(2).upper() == "NM" or (len(parts) == 2 and parts[0] in ("", "="))
        number = _number(parts[-1]) if parts and is_plain else None
        if number is not None:
            codes = dict.fromkeys((segment.value(3, 1), segment.value(3, 4)))
            yield from (CodedNumber(code=code, value=number, unit=segment.value(6)) for code in codes if code)


def _number(words: str) -> float | None:
    try:
        value = float(words)
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None


def _text(results: Sequence[Segment]) -> tuple[str, list[tuple[str, str]]]:
    """The words of the OBX segments, one line a segment or repetition, under headings where they belong to several sections."""
    remarks: list[tuple[str, str]] = []
    parts: list[tuple[str, str]] = []
    standing = _standing(results, remarks)
    beside = "\n".join(_words(segment) for segment in standing if not _is_encapsulated(segment))
    for segment in standing:
        words = _attached(segment, beside, remarks) if _is_encapsulated(segment) else _words(segment)
        if words is not None:
            parts.append((_heading(segment), words))
    has_sections = len({heading for heading, _ in parts if heading}) > 1 or any(heading in HEADINGS.values() for heading, _ in parts)
    lines: list[str] = []
    current = ""
    for heading, words in parts:
        if has_sections and heading and heading != current and words.strip():
            current = heading
            if not words.lstrip().upper().startswith(heading.upper()):
                lines += ["", f"{heading}:"] if lines else [f"{heading}:"]
        lines.append(words)
    return "\n".join(lines), remarks


def _is_encapsulated(segment: Segment) -> bool:
    return segment.value(2).upper() == "ED"


def _standing(results: Sequence[Segment], remarks: list[tuple[str, str]]) -> list[Segment]:
    """Worded results that count: void ones left out, and those that a correction in the same message takes the place of."""
    worded = [segment for segment in results if _is_text(segment)]
    standing = [segment for segment in worded if segment.value(11).upper() not in VOID_RESULTS]
    if len(standing) < len(worded):
        remarks.append(("void_result", f"{len(worded) - len(standing)} results are deleted, wrong or not obtained"))
    corrected = {_key(segment) for segment in standing if segment.value(11).upper() == "C"}
    return [segment for segment in standing if segment.value(11).upper() == "C" or _key(segment) not in corrected]


def _key(segment: Segment) -> tuple[str, str, str]:
    return segment.value(1), segment.raw(3), segment.raw(4)


def _heading(segment: Segment) -> str:
    code = segment.raw(3).split(segment.signs.component)[0]
    suffix = code.rpartition(segment.signs.subcomponent)[2] if segment.signs.subcomponent in code else ""
    for key in (suffix, segment.value(3, 1), segment.value(3, 4)):
        if key.upper() in HEADINGS:
            return HEADINGS[key.upper()]
    return segment.value(3, 2) or segment.value(3, 5)


def _words(segment: Segment) -> str:
    if segment.value(2).upper() in ("CE", "CWE", "CF"):
        return "\n".join(" ".join(_coded(segment, number)) for number in range(len(segment.repetitions(5))))
    repetitions = [segment.unescape(words) for words in segment.repetitions(5)]
    return "\n".join(repetitions)


def _coded(segment: Segment, repetition: int) -> list[str]:
    parts = [*segment.components(5, repetition), "", "", "", "", ""]
    return [next((part for part in (parts[1], parts[4], parts[0]) if part), "")]


@dataclass(slots=True)
class _Encapsulated:
    """What an ED value says of its data (HL7 v2, chapter 2A.2.25): type, subtype, encoding, data."""

    media: str
    subtype: str
    coding: str
    data: str

    @property
    def is_pdf(self) -> bool:
        """Whether it is sent as PDF."""
        return "pdf" in (self.media, self.subtype)

    @property
    def is_markup(self) -> bool:
        """Whether it is HTML or a clinical document."""
        return self.subtype in ("html", "x-hl7-cda-level-one", "xml")

    @property
    def is_text(self) -> bool:
        """Whether it is plain text; ``octet-stream`` is what some systems call it."""
        is_named = self.media in ("text", "tx", "ft", "") or self.subtype in ("plain", "txt", "octet-stream")
        return is_named and not self.is_markup and not self.is_pdf and self.subtype != "rtf"


def _encapsulated(segment: Segment) -> _Encapsulated:
    parts = [*segment.components(5), "", "", "", "", ""]
    data = segment.raw(5).split(segment.signs.component)[-1]
    return _Encapsulated(media=parts[1].lower(), subtype=parts[2].lower(), coding=parts[3].lower(), data=data)


def _attached(segment: Segment, beside: str, remarks: list[tuple[str, str]]) -> str | None:
    """The words of encapsulated data; what has none is remarked. ``beside``: the words that the message sends as text."""
    sent = _encapsulated(segment)
    if not sent.data.strip():
        remarks.append(("empty_attachment", "encapsulated data without data"))
        return None
    if not (sent.is_markup or sent.is_text or sent.is_pdf):
        remarks.append(("unsupported_attachment", shown_media(f"{sent.media}/{sent.subtype}")))
        return None
    content = _decoded(segment, sent)
    if content is None:
        remarks.append(("bad_attachment", "its data is not in the encoding that it names"))
        return None
    if sent.is_pdf or content.startswith(PDF_START):
        return _printed(content, beside, remarks)
    text = decode_text(content)
    return markup_text(text) if sent.is_markup else text


def _decoded(segment: Segment, sent: _Encapsulated) -> bytes | None:
    try:
        if sent.coding == "base64":
            return decode_base64(sent.data)
        return bytes.fromhex(sent.data) if sent.coding == "hex" else segment.unescape(sent.data).encode()
    except (InputError, ValueError):
        return None


def _printed(content: bytes, beside: str, remarks: list[tuple[str, str]]) -> str | None:
    """The words of a PDF, where they are more than the printed form of the words beside it."""
    words, reason = pdf_text(content)
    if words and not says_more(words, beside):
        reason = BESIDE_TEXT
    if reason:
        remarks.append((reason, shown_media(PDF)))
        return None
    return words


SOURCE = Source(family="reports", options=Hl7ReportOptions, files=files, read=read)
