"""PROSTATEx (TCIA, doi 10.7937/K9TCIA.2017.MURS5CL): multiparametric MR, a point for every finding; lesion masks by Cuocolo et al."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from weakbox.datasets_public.cases import origin_of, public_case
from weakbox.datasets_public.dataset import (
    Access,
    CollectionSource,
    Completed,
    DatasetCard,
    Layout,
    Located,
    Part,
    PublicDataset,
)
from weakbox.datasets_public.mr_lesions import (
    CONFIDENCE,
    FAR_MM,
    Reference,
    distance_mm,
    from_extent,
    from_point,
    located_extent,
    mask_file,
    reference_of,
)
from weakbox.datasets_public.mr_studies import (
    SeriesFolder,
    case_files,
    read_studies,
    series_folders,
    sop_identifiers,
    unread_series,
    with_choices,
    with_grids,
    with_volumes,
)
from weakbox.datasets_public.prostatex_findings import Place, graded, masks_by_finding, place_of, t2_corners
from weakbox.records.biopsy import BiopsyTarget
from weakbox.records.case import LedgerEntry
from weakbox.records.grid import Point
from weakbox.records.imaging import ImagingStudy, Purpose, SeriesRole
from weakbox.records.label import CuratedCase, Evidence, MaskFile, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.records.stated import FieldValue
from weakbox.sources.field_reading import FieldError, read_boolean, read_isup
from weakbox.sources.prostatex import ZONE_WORDS, ProstatexOptions
from weakbox.sources.prostatex import read as read_findings
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

CARD = DatasetCard(
    name="prostatex",
    title="PROSTATEx",
    organ="prostate",
    modalities=("MR",),
    licence="CC-BY-3.0",
    licence_url="https://creativecommons.org/licenses/by/3.0/",
    allows_commercial_use=True,
    access=Access.OPEN,
    how_to_obtain=(
        "Images: from IDC (`main.py collect --dataset PROSTATEx`) or TCIA. Tables: ProstateX-Findings-Train.csv and "
        "ProstateX-Images-Train.csv of the collection's page at TCIA; the findings of PROSTATEx-2 beside them give grade groups. "
        "Lesion masks: clone https://github.com/rcuocolo/PROSTATEx_masks (CC BY 4.0) beside them, or use that repository alone."
    ),
    homepage="https://www.cancerimagingarchive.net/collection/prostatex/",
    citation=(
        "Litjens G, Debats O, Barentsz J, Karssemeijer N, Huisman H. SPIE-AAPM PROSTATEx Challenge Data. "
        "The Cancer Imaging Archive, 2017. Masks: Cuocolo R et al. European Journal of Radiology 138 (2021) 109647."
    ),
    doi="10.7937/K9TCIA.2017.MURS5CL",
    published={"patients": 346, "findings": 330, "patients_with_findings": 204, "masks": 299},
    annotations="a point a finding; lesion masks on T2 and ADC by others",
    label_basis="mixed: histopathology; findings of PI-RADS 2 were not biopsied",
    good_for=("detection", "classification", "segmentation"),
    preference=3,
    traps=(
        "points are DICOM LPS mm, not RAS and not indices; ijk of the images table starts at the voxel's corner, so it only checks points",
        "ClinSig FALSE is no clinically significant cancer: benign, ISUP 1, or never biopsied; it is not called benign",
        "three patients use one finding number twice (0005, 0025, 0159): findings are told apart by their place, masks as well",
        "ProstateX-0025 has two studies, and the images table lists both for every finding: the one whose T2 holds the point counts",
        "the images table has a row for every series, DCE phases and b-values included: they are one finding",
        "points give no size: boxes have 12 mm, and say size_source `default`; masks replace them where they are",
        "masks of Cuocolo et al. number some findings from 0 and end in `.nii_ROI.nii.gz` once",
        "findings of the challenge's test patients were never published: their images are listed, not used",
        "the same studies lie in PI-CAI: identifiers `prostatex:...` join them, and patients share one group",
    ),
)
PATIENT = re.compile(r"ProstateX-(\d{4})", re.IGNORECASE)
VOLUME = re.compile(r"ProstateX-(\d{4})_.*\.nii\.gz", re.IGNORECASE)
CLASS = re.compile(r"ProstateX-(\d{4})_Finding(\d+)", re.IGNORECASE)
ZONES = {words: {"AS": "AFS"}.get(code, code) for code, words in ZONE_WORDS.items()}
PENDING = "pending_"
"""Attributes of this name serve the second reading only."""
SAME_CORNER_MM = 0.2
CLASS_COLUMNS = Columns(
    required={"finding": ("ID",), "is_clinically_significant": ("Clinically Significant",)},
    optional={"isup_grade": ("Gleason Grade Group",)},
)
NO_BIOPSY = "no biopsy information"

LAYOUTS = (
    Layout(
        name="dicom",
        signature=("findings", "images"),
        parts=(
            Part(name="findings", pattern="**/ProstateX-Findings-Train.{csv,xlsx}"),
            Part(name="images", pattern="**/ProstateX-????/**/*"),
            Part(name="images_table", pattern="**/ProstateX-Images-Train.csv", is_required=False),
            Part(name="grades", pattern="**/{ProstateX-2-Findings-Train,2-Final-with-Ktrans}.csv", is_required=False),
            Part(name="masks", pattern="**/Masks/T2/ProstateX-*_ROI.nii.gz", is_required=False),
        ),
    ),
    Layout(
        name="masks_repository",
        signature=("classes", "t2"),
        parts=(
            Part(name="classes", pattern="**/PROSTATEx_Classes.csv"),
            Part(name="t2", pattern="**/Images/T2/ProstateX-*.nii.gz"),
            Part(name="adc", pattern="**/Images/ADC/ProstateX-*.nii.gz", is_required=False),
            Part(name="masks", pattern="**/Masks/T2/ProstateX-*_ROI.nii.gz"),
        ),
    ),
)


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a study with findings.

    Raises:
        InputError: a table or one of its columns is missing.
    """
    return _read_volumes(located) if located.layout == "masks_repository" else _read_dicom(located)


# DICOM and the challenge's tables -----------------------------------------------------------------------------------


def _read_dicom(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    table = located.one("findings")
    if table is None:
        return
    images = located.one("images_table")
    options = ProstatexOptions(source=CARD.name, path=table, images=images, grades=located.one("grades"))
    findings: dict[str, list[BiopsyTarget]] = defaultdict(list)
    for item in read_findings(options):
        if isinstance(item, LedgerEntry):
            yield item
        else:
            findings[item.patient_id].append(item)
    folders: dict[str, list[SeriesFolder]] = defaultdict(list)
    for folder in series_folders(located.files["images"], located.folder, PATIENT):
        folders[_patient(folder.patient)].append(folder)
    masks = masks_by_finding(located.files["masks"])
    corners = t2_corners(images) if images is not None else {}
    for patient in sorted(findings.keys() | folders.keys()):
        yield from _read_patient(patient, findings.get(patient, []), folders.get(patient, []), masks.get(patient, {}), corners)
    yield from (
        flagged("file", path.name, "mask_without_finding", "its patient has no findings")
        for patient in sorted(masks.keys() - findings.keys())
        for path in masks[patient].values()
    )


def _patient(folder: str) -> str:
    match = PATIENT.fullmatch(folder)
    return f"ProstateX-{match[1]}" if match else folder


def _read_patient(
    patient: str,
    findings: list[BiopsyTarget],
    folders: list[SeriesFolder],
    masks: Mapping[str, Path],
    corners: Mapping[Place, tuple[Point, ...]],
) -> Iterator[CuratedCase | LedgerEntry]:
    if not folders:
        yield from (dropped("target", target.target_id, "row_without_images", "", patient) for target in findings)
        return
    if not findings:
        yield dropped("case", patient, "images_without_rows", "no findings of this patient were published", patient)
        return
    studies = sorted({folder.study for folder in folders})
    if len(studies) > 1:
        yield flagged("case", patient, "several_studies", f"{len(studies)}; each finding goes to the one whose T2 it was set on", patient)
    usable = [target for target in findings if len(studies) == 1 or _corner(target, corners)]
    for target in findings:
        if target not in usable:
            yield dropped("target", target.target_id, "study_not_stated", "the images table tells which of several studies", patient)
    yield from _unnamed_masks(patient, findings, masks)
    for study in studies if usable else []:
        name = patient if len(studies) == 1 else f"{patient}/{study}"
        labels = [_label(name, target, findings, masks, _corner(target, corners), len(studies)) for target in usable]
        yield _case(patient, name, [folder for folder in folders if folder.study == study], labels, is_only=len(studies) == 1)


def _corner(target: BiopsyTarget, corners: Mapping[Place, tuple[Point, ...]]) -> Point | None:
    """The corner of the only T2 in which a finding lies; None where there are several, or the table does not say."""
    own = corners.get(place_of(target.patient_id, target.label, target.position or ()), ())
    return own[0] if len(own) == 1 else None


def _is_ambiguous(findings: list[BiopsyTarget]) -> bool:
    return len({target.label for target in findings}) < len(findings)


def _unnamed_masks(patient: str, findings: list[BiopsyTarget], masks: Mapping[str, Path]) -> Iterator[LedgerEntry]:
    numbers = {target.label for target in findings}
    for number, path in sorted(masks.items()):
        if number not in numbers and not _is_ambiguous(findings):
            yield flagged("file", path.name, "mask_without_finding", "the findings table has no finding of that number", patient)


def _case(patient: str, name: str, folders: list[SeriesFolder], labels: list[WeakLabel], *, is_only: bool) -> CuratedCase:
    return public_case(
        CARD,
        patient=patient,
        study=name,
        series=[unread_series(CARD, folder, name) for folder in folders],
        labels=labels,
        origin=origin_of(
            CARD,
            patient=patient,
            identifiers=[f"prostatex:{patient}"] if is_only else [],
            official_split="train",
        ),
        tier=Tier.EXPERT if any(label.tier is Tier.EXPERT for label in labels) else Tier.BIOPSY_COORDINATE,
    )


def _label(
    name: str, target: BiopsyTarget, findings: list[BiopsyTarget], masks: Mapping[str, Path], corner: Point | None, studies: int
) -> WeakLabel:
    is_ambiguous = _is_ambiguous(findings)
    mask = None if is_ambiguous else masks.get(target.label or "")
    pending: dict[str, FieldValue] = {f"{PENDING}studies": studies}
    if corner is not None:
        pending[f"{PENDING}corner"] = corner
    if is_ambiguous and masks:
        pending[f"{PENDING}masks"] = tuple(str(path) for _, path in sorted(masks.items()))
    stated: dict[str, FieldValue] = {"finding": target.label or "", "position_lps_mm": target.position or ()}
    label = graded(CARD.name, name, target.target_id, target.is_clinically_significant, target.isup_grade)
    return replace(
        label,
        zone=ZONES.get(target.location or ""),
        location=target.location,
        tier=Tier.EXPERT if mask is not None else Tier.BIOPSY_COORDINATE,
        confidence=CONFIDENCE[Tier.EXPERT if mask is not None else Tier.BIOPSY_COORDINATE],
        mask=MaskFile(path=str(mask), series_key=name) if mask is not None else None,
        evidence=(Evidence(record_id=f"{target.source_file}:{target.source_row}", field="ClinSig"),),
        conflicts=tuple(problem for problem in target.problems if problem != "finding_number_used_twice"),
        attributes={**stated, **pending},
    )


# The masks' own repository: NIfTI images --------------------------------------------------------------------------


@record
class _Class:
    """One row of the classes table."""

    number: str
    label: WeakLabel


def _read_volumes(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    table = located.one("classes")
    if table is None:
        return
    classes: dict[str, list[_Class]] = defaultdict(list)
    for row in read_rows(TableOptions(source=CARD.name, path=table), CLASS_COLUMNS, "lesion"):
        item = row if isinstance(row, LedgerEntry) else _read_class(table, row)
        if isinstance(item, LedgerEntry):
            yield item
        else:
            classes[item[0]].append(item[1])
    masks = masks_by_finding(located.files["masks"])
    t2, adc = (volumes_by_patient(located.files[part]) for part in ("t2", "adc"))
    for patient in sorted(classes.keys() | t2.keys()):
        yield from _read_volume_case(patient, classes.get(patient, []), masks.get(patient, {}), t2.get(patient), adc.get(patient))


def _read_class(table: Path, row: Row) -> tuple[str, _Class] | LedgerEntry:
    place = f"{table.name}:{row.number}"
    match = CLASS.fullmatch(row.raw("finding").strip())
    if match is None:
        return dropped("lesion", place, "unknown_finding", "expected ProstateX-0000_Finding1")
    patient, number = f"ProstateX-{match[1]}", match[2]
    grade_text = row.text("isup_grade")
    try:
        is_significant = read_boolean(row.text("is_clinically_significant"))
        grade = None if (grade_text or "").casefold() == NO_BIOPSY else read_isup(grade_text)
    except FieldError as error:
        return dropped("lesion", place, error.reason, "", patient)
    label = replace(
        graded(CARD.name, patient, f"{patient}/{number}", is_significant, grade),
        evidence=(Evidence(record_id=place, field="Clinically Significant"),),
        attributes={"finding": number},
    )
    return patient, _Class(number=number, label=label)


def volumes_by_patient(paths: Iterable[Path]) -> dict[str, Path]:
    """Ready volumes by the patient in their name, the last of several by name."""
    matches = ((VOLUME.fullmatch(path.name), path) for path in paths)
    return {f"ProstateX-{match[1]}": path for match, path in matches if match}


def _read_volume_case(
    patient: str, classes: list[_Class], masks: Mapping[str, Path], t2: Path | None, adc: Path | None
) -> Iterator[CuratedCase | LedgerEntry]:
    if t2 is None:
        yield from (dropped("lesion", item.label.lesion_id, "row_without_images", "", patient) for item in classes)
        return
    labels = []
    for item in classes:
        mask = masks.get(item.number)
        if mask is None:
            yield dropped("lesion", item.label.lesion_id, "row_without_mask", "no mask of that finding", patient)
            continue
        drawn = {"mask": MaskFile(path=str(mask), series_key=patient), "tier": Tier.EXPERT, "confidence": CONFIDENCE[Tier.EXPERT]}
        labels.append(replace(item.label, **drawn))  # type: ignore[arg-type]
    if not labels:
        yield dropped("case", patient, "images_without_rows", "no class and mask of this patient", patient)
        return
    volumes = {Purpose.T2W: t2} | ({Purpose.ADC: adc} if adc is not None else {})
    origin = origin_of(CARD, patient=patient, identifiers=[f"prostatex:{patient}"], official_split="train", licence="CC-BY-4.0")
    yield with_volumes(public_case(CARD, patient=patient, study=patient, series=[], labels=labels, origin=origin), CARD, patient, volumes)


# Second reading -----------------------------------------------------------------------------------------------------


def complete(case: CuratedCase) -> Completed:
    """Series with their roles and grids, and a box for every finding: the mask's where there is one, else 12 mm around the point."""
    opened, ledger = with_grids(case) if case.study.choices else _with_headers(case)
    reference = reference_of(opened.study) if opened is not None else None
    if opened is None or reference is None:
        return None, ledger
    rows = list(ledger)
    labels = []
    for label in opened.labels:
        placed, remarks = _placed(opened, label, reference)
        rows.extend(remarks)
        if placed is not None:
            labels.append(placed)
    if not labels:
        return None, (*rows, dropped("case", case.case_id, "no_label_left", "", case.patient_id))
    tier = min((label.tier for label in labels), key=list(Tier).index)
    return replace(opened, labels=tuple(labels), tier=tier), tuple(rows)


def _with_headers(case: CuratedCase) -> tuple[CuratedCase | None, tuple[LedgerEntry, ...]]:
    found, ledger = read_studies(case_files(case))
    own = [with_choices(study) for study in found if f"{CARD.name}:{_patient(study.patient_id)}" == case.patient_id]
    rows = list(ledger)
    if len(own) < len(found):
        rows.append(flagged("case", case.case_id, "other_patient", "files of another patient in this one's folder", case.patient_id))
    usable = [study for study in own if reference_of(study) is not None]
    if not usable:
        return None, (*rows, dropped("case", case.case_id, "no_reference_image", "no axial T2 with a regular grid", case.patient_id))
    is_told = len(usable) > 1 or any(label.attributes.get(f"{PENDING}studies", 1) != 1 for label in case.labels)
    mine = {study.study_uid: [label for label in case.labels if not is_told or _is_set_on(label, study)] for study in usable}
    study = max(usable, key=lambda each: (len(mine[each.study_uid]), each.study_uid))
    if len(usable) > 1:
        rows.append(flagged("case", case.case_id, "several_studies", "the one with most findings is used", case.patient_id))
    return _of_study(case, study, mine[study.study_uid]), tuple(rows)


def _of_study(case: CuratedCase, study: ImagingStudy, labels: list[WeakLabel]) -> CuratedCase:
    origin = case.origin
    if origin is not None:
        patient = case.patient_id.partition(":")[2]
        dated = [f"prostatex:{patient}_{study.study_date:%m-%d-%Y}"] if study.study_date is not None else []
        names = {*origin.identifiers, *dated, *sop_identifiers(study)}
        origin = replace(origin, identifiers=tuple(sorted(names)))
    return replace(case, study=replace(study, patient_id=case.patient_id), labels=tuple(labels), origin=origin)


def _is_set_on(label: WeakLabel, study: ImagingStudy) -> bool:
    """Whether the T2 in which the images table places a finding is one of this study's; slices may be counted from either end."""
    stated = label.attributes.get(f"{PENDING}corner")
    if not isinstance(stated, tuple):
        return False
    corner = [float(value) for value in stated]
    for series in study.series:
        if series.role is SeriesRole.T2W and series.grid is not None:
            ends = (-0.5, series.grid.shape[2] - 0.5)
            if any(math.dist(series.grid.to_lps((-0.5, -0.5, end)).tolist(), corner) <= SAME_CORNER_MM for end in ends):
                return True
    return False


def _placed(case: CuratedCase, label: WeakLabel, reference: Reference) -> tuple[WeakLabel | None, list[LedgerEntry]]:
    position = label.attributes.get("position_lps_mm")
    point = (float(position[0]), float(position[1]), float(position[2])) if isinstance(position, tuple) and position else None
    remarks: list[LedgerEntry] = []
    path = Path(label.mask.path) if label.mask is not None else _mask_here(case, label, point, remarks)
    plain = replace(label, mask=None, attributes=_stated(label))
    drawn = _drawn(case, plain, path, point, reference, remarks) if path is not None else None
    if drawn is not None:
        return drawn, remarks
    if point is None:
        return None, [*remarks, dropped("lesion", label.label_id, "no_place", "neither a point nor a mask", case.patient_id)]
    placed = from_point(plain, point, reference)
    return (None, [*remarks, placed]) if isinstance(placed, LedgerEntry) else (placed, remarks)


def _stated(label: WeakLabel) -> dict[str, FieldValue]:
    return {name: value for name, value in label.attributes.items() if not name.startswith(PENDING)}


def _mask_here(case: CuratedCase, label: WeakLabel, point: Point | None, remarks: list[LedgerEntry]) -> Path | None:
    """Of masks whose numbers tell nothing, the only one that reaches the point."""
    candidates = label.attributes.get(f"{PENDING}masks", ())
    if point is None or not isinstance(candidates, tuple):
        return None
    near = []
    for candidate in candidates:
        extent = located_extent(case, label, Path(str(candidate)))
        if isinstance(extent, LedgerEntry):
            remarks.append(extent)
        elif distance_mm(extent, point) <= FAR_MM / 2:
            near.append(Path(str(candidate)))
    if len(near) > 1:
        remarks.append(flagged("lesion", label.label_id, "ambiguous_mask", f"{len(near)} masks reach the point", case.patient_id))
    return near[0] if len(near) == 1 else None


def _drawn(
    case: CuratedCase, label: WeakLabel, path: Path, point: Point | None, reference: Reference, remarks: list[LedgerEntry]
) -> WeakLabel | None:
    """The label with its mask's box; None, with a remark, where the mask cannot be used."""
    extent = located_extent(case, label, path)
    if isinstance(extent, LedgerEntry):
        remarks.append(extent)
        return None
    placed = from_extent(label, extent, reference, Tier.EXPERT)
    if isinstance(placed, LedgerEntry):
        remarks.append(placed)
        return None
    placed = replace(placed, mask=mask_file(path, reference))
    if point is not None and distance_mm(extent, point) > FAR_MM:
        detail = f"{distance_mm(extent, point):.0f} mm; the mask is kept"
        remarks.append(flagged("lesion", label.label_id, "mask_off_point", detail, case.patient_id))
        placed = replace(placed, conflicts=tuple(sorted({*placed.conflicts, "mask_off_point"})))
    return placed


DATASET = PublicDataset(
    card=CARD,
    layouts=LAYOUTS,
    read=read,
    complete=complete,
    collection=(
        CollectionSource(client="idc", request={"collection": "prostatex", "modality": "MR"}, brings="images"),
        CollectionSource(client="nbia", request={"collection": "PROSTATEx", "modality": "MR"}, brings="images"),
    ),
)
