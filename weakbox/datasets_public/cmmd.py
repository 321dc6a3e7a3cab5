"""CMMD: Chinese mammograms with biopsy of each listed breast; no boxes.

Columns and counts: the clinical table itself (1,872 rows of 1,775 patients) and the series table of TCIA (5,202 images).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from weakbox.datasets_public.breast_labels import breast_label, disagreement
from weakbox.datasets_public.cases import image_path, image_series, origin_of, public_case
from weakbox.datasets_public.dataset import Access, CollectionSource, Completed, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.mammogram_headers import MammogramHeader, header_attributes, read_mammogram_header
from weakbox.datasets_public.row_values import TableValues, snake_case, stated, whole_number, years
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, has_column, read_rows
from weakbox.terminology.mammography import laterality_of

CARD = DatasetCard(
    name="cmmd",
    title="CMMD",
    organ="breast",
    modalities=("MG",),
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    allows_commercial_use=True,
    access=Access.OPEN,
    how_to_obtain=(
        "`collect --dataset CMMD` fetches the images; the clinical table (CMMD_clinicaldata_revision.xlsx) is on the collection's page "
        "of The Cancer Imaging Archive: put it beside them."
    ),
    homepage="https://www.cancerimagingarchive.net/collection/cmmd/",
    citation=(
        "Cui C, Li L, Cai H, Fan Z, Zhang L, Dan T, Li J, Wang J. The Chinese Mammography Database (CMMD): An online mammography "
        "database with biopsy confirmed types for machine diagnosis of breast. The Cancer Imaging Archive (2021)."
    ),
    doi="10.7937/tcia.eqde-4b16",
    published={"patients": 1775, "images": 5202, "breasts": 1872, "malignant": 1316, "benign": 556},
    annotations="class and abnormality of a breast, of 749 breasts the molecular subtype; no boxes",
    label_basis="histopathology",
    good_for=("classification",),
    preference=3,
    traps=(
        "The class belongs to a breast, not to an image: one label a breast, even where only two images are there.",
        "729 patients have images of both breasts and a class of one: the other breast is neither normal nor labelled.",
        "30 patients have a benign and a malignant breast: there is no class of the patient.",
        "Side and view stand only in the DICOM headers.",
        "The clinical table comes as a strict Open XML workbook, which openpyxl alone cannot read.",
        "All files of a folder are called 1-1.dcm, 1-2.dcm: an image is named by its folders too.",
    ),
)

CLINICAL, SERIES_TABLE, IMAGES = "clinical_table", "series_table", "images"
LAYOUT = Layout(
    name="tcia",
    signature=(CLINICAL,),
    parts=(
        Part(name=CLINICAL, pattern="**/cmmd_clinical*.{xlsx,csv}"),
        Part(name=SERIES_TABLE, pattern="**/{metadata,meta,tcia_download_metadata}.csv", is_required=False),
        Part(name=IMAGES, pattern="**/D?-????/**/*.dcm"),
    ),
)
CSV_MIRROR = Layout(
    name="csv_mirror",
    signature=(CLINICAL, IMAGES),
    parts=(
        Part(name=CLINICAL, pattern="**/annotations.csv"),
        Part(name=SERIES_TABLE, pattern="**/{metadata,meta,tcia_download_metadata}.csv", is_required=False),
        Part(name=IMAGES, pattern="**/D?-????/**/*.dcm"),
    ),
)

CLINICAL_COLUMNS = Columns(
    required={"patient_id": ("ID1",), "laterality": ("LeftRight",), "classification": ()},
    optional={"age": (), "number": (), "abnormality": (), "subtype": ()},
)
SERIES_COLUMNS = Columns(required={}, optional={"patient_id": ("Subject ID",), "image_count": ("Number of Images",)})
CLASSES = {"malignant": LesionStatus.CANCER, "benign": LesionStatus.BENIGN}
ABNORMALITIES = {"mass": ("mass",), "calcification": ("calcification",), "both": ("calcification", "mass")}
PATIENT = re.compile(r"D\d-\d{4}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Breast:
    row: Row
    side: str
    diagnosis: str
    finding_types: tuple[str, ...]
    subtype: str | None
    age: float | None


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a patient; sides and views are found by ``complete``. See ``PublicDataset.read``."""
    path = located.one(CLINICAL)
    if path is None:
        msg = f"{located.folder}: no clinical table of CMMD; put CMMD_clinicaldata_revision.xlsx beside the images"
        raise InputError(msg)
    files, strays = _files_by_patient(located.files.get(IMAGES, ()), located.folder)
    yield from strays
    values = TableValues(path)
    patients: dict[str, list[_Breast]] = {}
    for row in read_rows(TableOptions(source=CARD.name, path=path), CLINICAL_COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            yield row
        else:
            yield from _take_row(row, values, patients)
    yield from values.ledger
    counts = yield from _image_counts(located.one(SERIES_TABLE))
    for patient in sorted(files.keys() - patients.keys()):
        yield dropped("patient", patient, "images_without_row", f"{len(files[patient])} images, but no row of the clinical table", patient)
    for patient in sorted(patients):
        if patient not in files:
            yield from (
                dropped("row", values.item(breast.row), "missing_image", "no image of that patient", patient)
                for breast in patients[patient]
            )
            continue
        yield from _case(patient, patients[patient], files[patient], values, counts.get(patient))


def _take_row(row: Row, values: TableValues, patients: dict[str, list[_Breast]]) -> Iterator[LedgerEntry]:
    patient = (row.text("patient_id") or "").upper()
    side, diagnosis = values.value(row, "laterality", laterality_of), values.value(row, "classification", _class_of)
    if not patient or side is None or diagnosis is None:
        yield dropped("row", values.item(row), "incomplete_row", "patient, side or class is not stated", patient or None)
        return
    known = next((breast for breast in patients.get(patient, ()) if breast.side == side and breast.diagnosis == diagnosis), None)
    if known is not None:
        yield dropped("row", values.item(row), "repeated_row", f"that breast came in {values.item(known.row)}", patient)
        return
    breast = _Breast(
        row=row,
        side=side,
        diagnosis=diagnosis,
        finding_types=values.value(row, "abnormality", _types_of) or (),
        subtype=stated(row, "subtype"),
        age=values.value(row, "age", years),
    )
    patients.setdefault(patient, []).append(breast)


def _class_of(text: str) -> str:
    found = text.casefold()
    if found not in CLASSES:
        msg = f"expected Benign or Malignant, got {text!r}"
        raise ValueError(msg)
    return found


def _types_of(text: str) -> tuple[str, ...]:
    if text.casefold() not in ABNORMALITIES:
        msg = f"expected mass, calcification or both, got {text!r}"
        raise ValueError(msg)
    return ABNORMALITIES[text.casefold()]


def _image_counts(path: Path | None) -> Generator[LedgerEntry, None, dict[str, int]]:
    """Images a patient should have, by the series table of the archive; returns nothing where it is of another kind."""
    counts: dict[str, int] = {}
    options = TableOptions(source=CARD.name, path=path) if path is not None else None
    if options is None or not all(has_column(options, SERIES_COLUMNS, name) for name in SERIES_COLUMNS.optional):
        return counts
    values = TableValues(options.path)
    for row in read_rows(options, SERIES_COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        patient, count = (row.text("patient_id") or "").upper(), values.value(row, "image_count", whole_number)
        counts[patient] = counts.get(patient, 0) + (count or 0)
    yield from values.ledger
    return counts


def _files_by_patient(paths: Iterable[Path], folder: Path) -> tuple[dict[str, list[Path]], list[LedgerEntry]]:
    """Image files by the folder that is called after their patient."""
    found: dict[str, list[Path]] = {}
    strays = []
    for path in sorted(paths):
        patient = next((part.upper() for part in path.relative_to(folder).parts[:-1] if PATIENT.fullmatch(part)), None)
        if patient is None:
            strays.append(dropped("file", path.name, "image_without_patient", "no folder above it is called after a patient"))
        else:
            found.setdefault(patient, []).append(path)
    return found, strays


def _case(
    patient: str, breasts: list[_Breast], files: list[Path], values: TableValues, expected: int | None
) -> Iterator[CuratedCase | LedgerEntry]:
    if expected is not None and expected != len(files):
        yield flagged("patient", patient, "image_count", f"{len(files)} images here, {expected} in the series table", patient)
    ages = disagreement("age", [breast.age for breast in breasts])
    if ages:
        yield flagged("patient", patient, "conflicting_rows", ages[0], patient)
    labels = [
        _label(patient, side, [breast for breast in breasts if breast.side == side], values) for side in sorted({b.side for b in breasts})
    ]
    for label in labels:
        if label.conflicts:
            yield flagged("breast", label.label_id, "conflicting_labels", "; ".join(label.conflicts), patient)
    yield public_case(
        CARD,
        patient=patient,
        study=patient,
        series=[_series(patient, path) for path in files],
        labels=labels,
        origin=origin_of(CARD, patient=patient),
        tier=Tier.CASE_LEVEL,
        age_years=min((breast.age for breast in breasts if breast.age is not None), default=None),
    )


def _series(patient: str, path: Path) -> Series:
    """An image, named by its folders below the patient's: file names repeat."""
    parts = path.with_suffix("").parts
    start = max(at for at, part in enumerate(parts) if part.upper() == patient)
    return image_series(CARD, image="/".join((patient, *parts[start + 1 :])), study=patient, path=path, modality="MG", attributes={})


def _label(patient: str, side: str, breasts: list[_Breast], values: TableValues) -> WeakLabel:
    """The class of one breast; where rows disagree the malignant one counts, and a person should look."""
    worst = next((breast for breast in breasts if breast.diagnosis == "malignant"), breasts[0])
    subtypes = [breast.subtype for breast in breasts]
    return breast_label(
        CARD,
        patient,
        side,
        evidence=values.evidence((breast.row for breast in breasts), "classification"),
        status=CLASSES[worst.diagnosis],
        diagnosis=worst.diagnosis,
        class_source="histopathology",
        finding_types={kind for breast in breasts for kind in breast.finding_types},
        attributes={"molecular_subtype": snake_case(worst.subtype) if worst.subtype else None},
        conflicts=(*disagreement("classification", [breast.diagnosis for breast in breasts]), *disagreement("subtype", subtypes)),
    )


def complete(case: CuratedCase) -> Completed:
    """Side, view and size of every image from its header; remarks where the table and the images do not meet."""
    remarks: list[LedgerEntry] = []
    headers: dict[str, MammogramHeader] = {}
    for series in case.study.series:
        path = image_path(series)
        try:
            headers[series.key] = read_mammogram_header(path)
        except InputError as error:
            remarks.append(dropped("file", path.name, "unreadable_image", str(error), case.patient_id))
    if not headers:
        return None, tuple(remarks)
    images = tuple(replace(one, attributes=_stated(headers[one.key])) for one in case.study.series if one.key in headers)
    imaged = {header.laterality for header in headers.values()}
    for label in case.labels:
        if label.side not in imaged:
            remarks.append(
                flagged("breast", label.label_id, "label_without_image", "no image of that breast by the headers", case.patient_id)
            )
    for side in sorted(side for side in imaged - {label.side for label in case.labels} if side is not None):
        remarks.append(
            flagged("breast", f"{case.case_id}/{side}_breast", "breast_without_label", "imaged, but not in the table", case.patient_id)
        )
    if None in imaged:
        remarks.append(
            flagged("case", case.case_id, "no_laterality", "an image whose header names no side takes no label", case.patient_id)
        )
    return replace(case, study=replace(case.study, series=images)), tuple(remarks)


def _stated(header: MammogramHeader) -> dict[str, FieldValue]:
    return {name: value for name, value in header_attributes(header).items() if value is not None}


DATASET = PublicDataset(
    card=CARD,
    layouts=(LAYOUT, CSV_MIRROR),
    read=read,
    complete=complete,
    collection=(
        CollectionSource(client="idc", request={"collection": "cmmd", "modality": "MG"}, brings="images"),
        CollectionSource(client="nbia", request={"collection": "CMMD", "modality": "MG"}, brings="images"),
    ),
)
