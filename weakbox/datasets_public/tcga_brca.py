"""TCGA-BRCA: breast MR of patients whose cancer was resected; the class is the patient's, nothing is drawn.

Columns: a clinical export of cBioPortal (brca_tcga, 1,108 samples of 1,101 patients, 141 columns).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from weakbox.datasets_public.breast_labels import SCOPE, stated_only
from weakbox.datasets_public.cases import case_key, origin_of, public_case
from weakbox.datasets_public.dataset import Access, CollectionSource, Completed, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.row_values import TableValues, snake_case, stated, years
from weakbox.datasets_public.volume_series import headers_by_series, series_of
from weakbox.imaging.slice_geometry import UNUSABLE
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Instance, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

CARD = DatasetCard(
    name="tcga_brca",
    title="TCGA-BRCA",
    organ="breast",
    modalities=("MR",),
    licence="CC-BY-3.0",
    licence_url="https://creativecommons.org/licenses/by/3.0/",
    allows_commercial_use=True,
    access=Access.OPEN,
    how_to_obtain=(
        "`collect --dataset TCGA-BRCA` fetches the MR series. Clinical table: cBioPortal, study brca_tcga, download the clinical data "
        "as TSV (brca_tcga_clinical_data.tsv) and put it beside them."
    ),
    homepage="https://www.cancerimagingarchive.net/collection/tcga-brca/",
    citation=(
        "Lingle W, Erickson BJ, Zuley ML, Jarosz R, Bonaccio E, Filippini J, Net JM, Levi L, Morris EA, Figler GG, Elnajjar P, Kirk S, "
        "Lee Y, Giger M, Gruszauskas N. The Cancer Genome Atlas Breast Invasive Carcinoma Collection (TCGA-BRCA). "
        "The Cancer Imaging Archive (2016)."
    ),
    doi="10.7937/K9/TCIA.2016.AB2NAZRP",
    published={"mr_patients": 137},
    annotations="class, side and receptors of the patient's tumour; no boxes",
    label_basis="histopathology",
    good_for=("classification",),
    preference=7,
    traps=(
        "Every patient has cancer: there is no benign class to learn from.",
        "The class is the patient's: one label for the study, copied to no series.",
        "Seven patients have a second row, of a metastasis: the primary tumour's row counts.",
        "`NA` and `[Not Available]` are no values.",
        "Most patients of the table have no MR: counted, not an error.",
        "On IDC the SEG objects are of slides, not of MR; SM, SEG, SR and MG are left out.",
        "Men are among the patients; four rows state no sex.",
        "One series may hold several times or both sides: each volume is a series of its own.",
        "Segmentations of the TCGA Breast Phenotype Group (.les) are listed, not read: they name no series by its UID.",
    ),
)

CLINICAL, IMAGES, OUTLINES = "clinical_table", "images", "lesion_files"
LAYOUT = Layout(
    name="tcia",
    signature=(CLINICAL,),
    parts=(
        Part(name=CLINICAL, pattern="**/brca_tcga*clinical*.{tsv,txt,csv}"),
        Part(name=IMAGES, pattern="**/TCGA-??-????/**/*.dcm"),
        Part(name=OUTLINES, pattern="**/*.les", is_required=False),
    ),
)
COLUMNS = Columns(
    required={"patient_id": (), "sample_id": ()},
    optional={
        "age": ("Diagnosis Age",),
        "sex": (),
        "sample_type": (),
        "site": ("Patient Primary Tumor Site",),
        "cancer_type": (),
        "cancer_type_detailed": (),
        "histologic_type": ("Neoplasm Histologic Type Name",),
        "stage": ("Neoplasm Disease Stage American Joint Committee on Cancer Code",),
        "er_status": ("ER Status By IHC",),
        "pr_status": ("PR status by ihc",),
        "her2_status": ("IHC-HER2",),
        "menopause": ("Menopause Status",),
        "neoadjuvant": ("Neoadjuvant Therapy Type Administered Prior To Resection Text",),
    },
)
WORDS = ("cancer_type_detailed", "histologic_type", "stage", "er_status", "pr_status", "her2_status", "neoadjuvant")
BEFORE_CONTRAST = re.compile(r"\bpre(?:[ _-]?contrast)?\b|without|w/?o\b|unenhanced", re.IGNORECASE)
REFERENCE_ROLES = (SeriesRole.DCE, SeriesRole.T1W)
PATIENT = re.compile(r"TCGA-\w{2}-\w{4}", re.IGNORECASE)
MODALITY_FOLDER = re.compile(r"([A-Z]{2,8})_([0-9.]+)")
"""What IDC calls the folder of a series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    patient: str
    name: str
    files: tuple[Path, ...]


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a study; its volumes are found by ``complete``. See ``PublicDataset.read``."""
    path = located.one(CLINICAL)
    if path is None:
        msg = f"{located.folder}: no clinical table of TCGA-BRCA; put brca_tcga_clinical_data.tsv beside the images"
        raise InputError(msg)
    values = TableValues(path)
    rows = yield from _primary_rows(values)
    studies: dict[str, list[_Study]] = {}
    for study in _studies(located.files.get(IMAGES, ()), located.folder):
        studies.setdefault(study.patient, []).append(study)
    for outline in located.files.get(OUTLINES, ()):
        yield flagged("file", outline.name, "annotation_not_read", "a .les outline does not name its series by UID")
    for patient in sorted(studies.keys() - rows.keys()):
        yield dropped("patient", patient, "images_without_row", "images, but no row of the clinical table", patient)
    for patient in sorted(rows):
        if patient not in studies:
            yield dropped("row", values.item(rows[patient]), "missing_image", "no MR of that patient", patient)
        for study in studies.get(patient, ()):
            yield from _case(study, rows[patient], values)


def _primary_rows(values: TableValues) -> Generator[LedgerEntry, None, dict[str, Row]]:
    """One row a patient: that of the primary tumour."""
    rows: dict[str, Row] = {}
    for row in read_rows(TableOptions(source=CARD.name, path=values.path), COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        patient = (stated(row, "patient_id") or "").upper()
        if not patient:
            yield dropped("row", values.item(row), "no_patient_id", "the patient is not stated")
        elif (stated(row, "sample_type") or "primary").casefold() != "primary":
            yield dropped("row", values.item(row), "metastasis_sample", "a sample of a metastasis says nothing of the breast", patient)
        elif patient in rows:
            yield dropped("row", values.item(row), "repeated_row", f"that patient came in {values.item(rows[patient])}", patient)
        else:
            rows[patient] = row
    return rows


def _studies(paths: Iterable[Path], folder: Path) -> list[_Study]:
    """Files by patient and study folder; objects that IDC files under another modality are left out."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(paths):
        parts = path.relative_to(folder).parts[:-1]
        at = next((index for index, part in enumerate(parts) if PATIENT.fullmatch(part)), None)
        kind = MODALITY_FOLDER.fullmatch(parts[-1]) if parts else None
        if at is not None and (kind is None or kind[1] == "MR"):
            patient = parts[at].upper()
            name = parts[at + 1] if len(parts) > at + 2 else patient
            found.setdefault((patient, name), []).append(path)
    return [_Study(patient=patient, name=name, files=tuple(files)) for (patient, name), files in sorted(found.items())]


def _case(study: _Study, row: Row, values: TableValues) -> Iterator[CuratedCase | LedgerEntry]:
    name = study.name if study.name == study.patient else f"{study.patient}/{study.name}"
    start = len(values.ledger)
    age, site = values.value(row, "age", years), values.value(row, "site", _side_of)
    sex = {"female": "F", "male": "M"}.get((stated(row, "sex") or "").casefold())
    yield from values.ledger[start:]
    yield public_case(
        CARD,
        patient=study.patient,
        study=name,
        series=_unopened(study, name),
        labels=[_label(name, row, site, values)],
        origin=origin_of(CARD, patient=study.patient),
        tier=Tier.CASE_LEVEL,
        age_years=age,
        sex=sex,
    )


def _side_of(text: str) -> str:
    """The side of ``Left Upper Outer Quadrant|Left``.

    Raises:
        ValueError: both sides, or none.
    """
    sides = {part.split()[0].casefold() for part in text.split("|") if part.strip()}
    if len(sides) != 1 or not sides <= {"left", "right"}:
        msg = "expected one side, got " + ", ".join(sorted(sides))
        raise ValueError(msg)
    return sides.pop()


def _label(study: str, row: Row, side: str | None, values: TableValues) -> WeakLabel:
    name = f"{case_key(CARD, study)}/patient"
    words: dict[str, FieldValue | None] = {field: snake_case(text) if (text := stated(row, field)) else None for field in WORDS}
    return WeakLabel(
        label_id=name,
        lesion_id=name,
        case_id=case_key(CARD, study),
        status=LesionStatus.CANCER,
        side=side,
        location=snake_case(text) if (text := stated(row, "site")) else None,
        tier=Tier.CASE_LEVEL,
        class_source="histopathology",
        confidence=1.0,
        evidence=values.evidence([row], "cancer_type_detailed"),
        diagnosis="malignant",
        attributes={**stated_only(words), SCOPE: "patient"},
    )


def _unopened(study: _Study, name: str) -> Iterator[Series]:
    """One record a folder of files, until ``complete`` opens them."""
    folders: dict[Path, list[Path]] = {}
    for path in study.files:
        folders.setdefault(path.parent, []).append(path)
    for folder, paths in sorted(folders.items()):
        kind = MODALITY_FOLDER.fullmatch(folder.name)
        yield Series(
            series_uid=kind[2] if kind else f"{CARD.name}/{name}/{folder.name}",
            study_uid=name,
            role=SeriesRole.UNKNOWN,
            role_confidence=0.0,
            role_reason="not opened yet",
            image_count=len(paths),
            instances=tuple(Instance(path=str(path), sop_instance_uid="", sop_class_uid="") for path in paths),
        )


def complete(case: CuratedCase) -> Completed:
    """The volumes of the study by their headers; None where it holds no MR."""
    paths = [Path(instance.path) for series in case.study.series for instance in series.instances]
    headers, ledger = headers_by_series(paths)
    volumes = tuple(series_of(headers))
    remarks = [*ledger, *(_remark(series, case) for series in volumes if series.grid is None)]
    if not any(series.grid is not None for series in volumes):
        remarks.append(dropped("case", case.case_id, "no_volume", "no MR series with a regular grid", case.patient_id))
        return None, tuple(remarks)
    choice = _reference(volumes)
    if choice is None:
        remarks.append(
            flagged("case", case.case_id, "no_reference", "no T1-weighted or contrast series by its description", case.patient_id)
        )
    study = replace(case.study, series=volumes, choices=(choice,) if choice else ())
    return replace(case, study=study), tuple(remarks)


def _reference(volumes: Iterable[Series]) -> SeriesChoice | None:
    """The contrast series, else the T1-weighted one, with most slices: nothing is drawn on any, so none is the set's own choice."""
    usable = [one for one in volumes if one.grid is not None and not UNUSABLE.intersection(one.problems) and one.role in REFERENCE_ROLES]
    if not usable:
        return None
    chosen = min(usable, key=_preference)
    reason = f"{chosen.role.value} after contrast as far as its description tells, with most slices; the data set annotates none"
    others = tuple(one.key for one in usable if one.key != chosen.key)
    return SeriesChoice(purpose=Purpose.DCE, series_key=chosen.key, reason=reason, runners_up=others)


def _preference(series: Series) -> tuple[int, bool, int, int, str]:
    is_before_contrast = BEFORE_CONTRAST.search(series.description) is not None
    return REFERENCE_ROLES.index(series.role), is_before_contrast, -series.image_count, series.series_number or 0, series.key


def _remark(series: Series, case: CuratedCase) -> LedgerEntry:
    return flagged("series", series.key, "no_grid", ", ".join(series.problems), case.patient_id)


DATASET = PublicDataset(
    card=CARD,
    layouts=(LAYOUT,),
    read=read,
    complete=complete,
    collection=(
        CollectionSource(client="idc", request={"collection": "tcga_brca", "modality": "MR"}, brings="MR images"),
        CollectionSource(client="nbia", request={"collection": "TCGA-BRCA", "modality": "MR"}, brings="MR images"),
    ),
)
