"""What exported DICOM objects have in common: headers that name no patient, identifiers from content, no clock.

Kept from the source, because the new object must point at it: Study Instance UID, Frame of Reference UID, and the
UIDs of the images referred to. Replaced: patient name and identifier (research identifier), study date (shifted).
Left out: everything else that is not listed in ``GEOMETRY``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sr.coding import Code
from pydicom.uid import UID, generate_uid

from weakbox import __version__
from weakbox.records.label import CuratedCase
from weakbox.runtime.privacy import ResearchIdentity
from weakbox.terminology.dicom_codes import DicomCode

MANUFACTURER = "Weakbox"
MODEL = "weakbox"
SERIAL_NUMBER = "none"
MIDNIGHT = "000000"
UNKNOWN_DATE = "19000101"
"""Content Date of an object whose study has no date: the standard requires one, and an invented one must not look true."""

GEOMETRY = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PatientPosition",
    "InstanceNumber",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
"""Attributes of a source image that an exported object may draw on."""

_CLOCK_KEYWORDS = {
    "ContentDate": "date",
    "SeriesDate": "date",
    "InstanceCreationDate": "date",
    "StructuredSetDate": "date",
    "ContentTime": "time",
    "SeriesTime": "time",
    "InstanceCreationTime": "time",
    "StructuredSetTime": "time",
}


def to_code(code: DicomCode) -> Code:
    """pydicom's form of a code."""
    return Code(code.value, code.scheme, code.meaning)


def research_header(source: Dataset, case: CuratedCase, identity: ResearchIdentity) -> Dataset:
    """The source's geometry and references under the research identity; see the module for what is kept.

    With ``identity.keep_original`` the patient's name, identifier, birth date and accession go out as they are.
    """
    header = Dataset()
    for keyword in GEOMETRY:
        if keyword in source:
            header[keyword] = source[keyword]
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        if keyword in source:
            setattr(header, keyword, [_plane_groups(item) for item in source[keyword].value])
    header.StudyDate = _dicom_date(identity.shift(case.study.study_date))
    header.StudyTime = ""
    header.StudyID = ""
    header.AccessionNumber = ""
    header.ReferringPhysicianName = ""
    header.PatientBirthDate = ""
    header.PatientID = identity.patient_id
    header.PatientName = f"{identity.patient_id}^"
    header.PatientSex = case.study.patient_sex if case.study.patient_sex in ("M", "F", "O") else ""
    if identity.keep_original:
        for keyword in ("StudyTime", "StudyID", "AccessionNumber", "PatientBirthDate", "PatientID", "PatientName"):
            if keyword in source:
                header[keyword] = source[keyword]
        # a name of one component is a family name (PS3.5 6.2.1.2); highdicom warns of it without the delimiter
        if header.PatientName and "^" not in str(header.PatientName):
            header.PatientName = f"{header.PatientName}^"
    return header


def _plane_groups(item: Dataset) -> Dataset:
    kept = Dataset()
    for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence"):
        if keyword in item:
            kept[keyword] = item[keyword]
    return kept


def _dicom_date(day: date | None) -> str:
    return "" if day is None else day.strftime("%Y%m%d")


def content_uid(*parts: str) -> str:
    """A UID that is the same for the same parts (under pydicom's root, from SHA-512)."""
    return str(generate_uid(entropy_srcs=list(parts)))


def settle(dataset: Dataset, entropy: Sequence[str], known: frozenset[str]) -> None:
    """Remove what depends on when and where the object was made.

    Dates and times of the new object become the (shifted) study date at midnight, ``UNKNOWN_DATE`` where the study has none;
    UIDs that highdicom drew at random become UIDs from content, in the order in which they occur.
    """
    day = str(dataset.get("StudyDate") or UNKNOWN_DATE)
    replaced: dict[str, str] = {}
    for element in _elements(dataset):
        kind = _CLOCK_KEYWORDS.get(element.keyword)
        if kind is not None:
            element.value = day if kind == "date" else MIDNIGHT
        elif element.VR == "DT":
            element.value = day + MIDNIGHT
        elif element.VR == "UI":
            _settle_uid(element, entropy, known, replaced)


def _settle_uid(element: Any, entropy: Sequence[str], known: frozenset[str], replaced: dict[str, str]) -> None:
    if isinstance(element.value, MultiValue):
        return
    uid = UID(str(element.value or ""))
    if not uid or uid in known or not uid.is_private or uid.startswith("1.2.840.10008."):
        return
    if uid not in replaced:
        replaced[uid] = content_uid(*entropy, f"uid {len(replaced)}")
    element.value = replaced[uid]


def _elements(dataset: Dataset) -> Iterator[Any]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)
        else:
            yield element


def known_uids(headers: Sequence[Dataset], *others: str) -> frozenset[str]:
    """UIDs that point at the source images, or that were made from content already."""
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID")
    return frozenset(str(header[keyword].value) for header in headers for keyword in keywords if keyword in header) | frozenset(others)


def to_bytes(dataset: Dataset) -> bytes:
    """The object as a DICOM file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def software_version() -> str:
    """The version that exported objects state."""
    return __version__
