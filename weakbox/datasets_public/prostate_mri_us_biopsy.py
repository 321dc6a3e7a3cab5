"""Prostate-MRI-US-Biopsy (UCLA; TCIA, doi 10.7937/TCIA.2020.A61IOC1A): targets of fusion biopsies, needle cores, target masks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from weakbox.datasets_public.cases import case_key, origin_of, public_case
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
from weakbox.datasets_public.mr_lesions import CONFIDENCE, Reference, from_extent, from_points, mask_file, mesh_points, reference_of
from weakbox.datasets_public.mr_studies import (
    SeriesFolder,
    read_studies,
    series_folders,
    sop_identifiers,
    unread_series,
    with_choices,
)
from weakbox.imaging.segmentations import Segment, SegmentationObject
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, SegmentationKind
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.ucla_cores import UclaCoreOptions
from weakbox.sources.ucla_cores import read as read_cores
from weakbox.sources.ucla_targets import UclaTargetOptions
from weakbox.sources.ucla_targets import read as read_targets

CARD = DatasetCard(
    name="prostate_mri_us_biopsy",
    title="Prostate-MRI-US-Biopsy",
    organ="prostate",
    modalities=("MR",),
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    allows_commercial_use=True,
    access=Access.OPEN,
    how_to_obtain=(
        "Images and lesion segmentations: from IDC (`main.py collect --dataset Prostate-MRI-US-Biopsy`) or images alone from TCIA. "
        "Tables: Target-Data_2019-12-05-2.xlsx and TCIA-Biopsy-Data_2020-07-14.xlsx of the collection's page at TCIA, beside the images; "
        "the STL meshes from there serve where the segmentations are not at hand."
    ),
    homepage="https://www.cancerimagingarchive.net/collection/prostate-mri-us-biopsy/",
    citation=(
        "Natarajan S, Priester A, Margolis D, Huang J, Marks L. Prostate MRI and Ultrasound With Pathology and Coordinates of Tracked "
        "Biopsy (Prostate-MRI-US-Biopsy). The Cancer Imaging Archive, 2020. Segmentations: doi 10.5281/zenodo.10069910."
    ),
    doi="10.7937/TCIA.2020.A61IOC1A",
    published={"mr_patients": 842, "mr_studies": 1037, "targets": 1313, "lesion_segmentations": 1311},
    annotations="regions of interest of biopsy targets (DICOM SEG, STL); needle tracks",
    label_basis="histopathology where a core belongs to one target for certain, else the readers' score",
    good_for=("detection", "segmentation", "classification"),
    preference=2,
    traps=(
        "the target table has a row for each ultrasound series: 1,617 rows are 1,313 targets, told by MR series and target number",
        "targets of one MR series with two volumes: the larger is kept, and the row is called out",
        "cores are labelled TARGET OR PRIOR POSITIVE without a target number: they grade a target only where its MR series has one target",
        "missing needle coordinates are -1000 and +1000, 0,0,0 or a tip on its base: such tracks are not used, their pathology is",
        "no Gleason score is a benign core, unless the row measures cancer in it",
        "MR coordinates are DICOM LPS mm already",
        "meshes exist in MR and in ultrasound space: only those of the MR series are read",
        "the UCLA score is not PI-RADS: kept as Likert; 0 is no score",
        "T2 is oblique: boxes lie along its axes",
    ),
)
PATIENT = re.compile(r"Prostate-MRI-US-Biopsy-\d{4}", re.IGNORECASE)
MESH = re.compile(r"(Prostate-MRI-US-Biopsy-\d{4})-Target(\d+)-seriesUID-([\d.]+)\.STL", re.IGNORECASE)
NUMBER = re.compile(r"(?:lesion|target|roi)[\s_#-]*(\d+)", re.IGNORECASE)
UID_DIGITS = 5
"""TCIA's data retriever ends the name of a series folder with so many last digits of the UID."""
PENDING_MESH = "pending_mesh"
"""Attribute that serves the second reading only."""

TARGETS = Part(name="targets", pattern="**/Target-Data*.{xlsx,csv}")
IMAGES = Part(name="images", pattern="**/Prostate-MRI-US-Biopsy-????/**/*")
CORES = Part(name="cores", pattern="**/TCIA-Biopsy-Data*.{xlsx,csv}")
SEGMENTATIONS = Part(name="segmentations", pattern="**/Prostate-MRI-US-Biopsy-????/**/SEG_*/*")
MESHES = Part(name="meshes", pattern="**/Prostate-MRI-US-Biopsy-*-Target*-seriesUID-*.stl")
LAYOUTS = (
    Layout(
        name="idc_segmentations",
        signature=("targets", "images"),
        parts=(TARGETS, IMAGES, CORES, SEGMENTATIONS, replace(MESHES, is_required=False)),
    ),
    Layout(name="tcia_meshes", signature=("targets", "images", "meshes"), parts=(TARGETS, IMAGES, CORES, MESHES)),
)

MeshKey = tuple[str, str]
"""MR series and target number."""


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a MR series with targets, named by its UID.

    Raises:
        InputError: a table or one of its columns is missing.
    """
    table = located.one("targets")
    if table is None:
        return
    targets: dict[tuple[str, str], list[BiopsyTarget]] = defaultdict(list)
    for item in read_targets(UclaTargetOptions(source=CARD.name, path=table)):
        if isinstance(item, LedgerEntry):
            yield item
        else:
            targets[item.patient_id, item.series_uid or ""].append(item)
    cores: dict[tuple[str, str], list[BiopsyCore]] = defaultdict(list)
    core_table = located.one("cores")
    for row in read_cores(UclaCoreOptions(source=CARD.name, path=core_table)) if core_table is not None else ():
        if isinstance(row, LedgerEntry):
            yield row
        elif row.series_uid is not None:
            cores[row.patient_id, row.series_uid].append(row)
    folders: dict[str, list[SeriesFolder]] = defaultdict(list)
    for folder in series_folders(located.files["images"], located.folder, PATIENT):
        folders[folder.patient].append(folder)
    meshes = meshes_by_target(located.files["meshes"])
    for key in sorted(targets):
        yield from _read_series(key, targets[key], cores.get(key, []), folders.get(key[0], []), meshes)
    used = {(key[0], study) for key in targets for study in _studies(folders.get(key[0], []), key[1])}
    yield from _unused(folders, used)


def _unused(folders: Mapping[str, Sequence[SeriesFolder]], used: set[tuple[str, str]]) -> Iterator[LedgerEntry]:
    """Studies that no target names; those of ultrasound only, where the folders tell, have none."""
    series: dict[tuple[str, str], list[str]] = defaultdict(list)
    for patient, own in folders.items():
        for folder in own:
            series[patient, folder.study].append(folder.name)
    for patient, study in sorted(series.keys() - used):
        if not all(name.startswith("US_") for name in series[patient, study]):
            yield dropped("study", f"{patient}/{study}", "images_without_rows", "no target of this study is listed", patient)


def _studies(folders: Sequence[SeriesFolder], series_uid: str) -> list[str]:
    return sorted({folder.study for folder in folders if _names(folder.name, series_uid)})


def meshes_by_target(paths: Iterable[Path]) -> Mapping[MeshKey, Path]:
    """Meshes by the series and the target number in their names."""
    matches = ((MESH.fullmatch(path.name), path) for path in paths)
    return {(match[3], match[2]): path for match, path in matches if match}


def _read_series(
    key: tuple[str, str],
    targets: Sequence[BiopsyTarget],
    cores: Sequence[BiopsyCore],
    folders: Sequence[SeriesFolder],
    meshes: Mapping[MeshKey, Path],
) -> Iterator[CuratedCase | LedgerEntry]:
    patient, series_uid = key
    studies = _studies(folders, series_uid)
    if len(studies) != 1:
        reason = "ambiguous_images" if studies else "row_without_images"
        yield from (dropped("target", target.target_id, reason, "", patient) for target in targets)
        return
    targeted = [core for core in cores if core.is_targeted and core.isup_grade is not None]
    if targeted and len(targets) > 1:
        detail = f"{len(targeted)} targeted cores, {len(targets)} targets: the table does not say which was sampled"
        yield flagged("case", case_key(CARD, series_uid), "cores_without_target", detail, patient)
    graded = targeted if len(targets) == 1 else []
    labels = [_label(series_uid, target, graded, meshes.get((series_uid, target.label or ""))) for target in targets]
    yield public_case(
        CARD,
        patient=patient,
        study=series_uid,
        series=[unread_series(CARD, folder, series_uid) for folder in folders if folder.study == studies[0]],
        labels=labels,
        origin=origin_of(CARD, patient=patient, identifiers=[f"series:{series_uid}"]),
        tier=Tier.TARGET_ROI,
        clinical=_clinical(cores),
    )


def _names(folder: str, series_uid: str) -> bool:
    """Whether a folder's name gives a series UID, or ends as the data retriever ends it."""
    return series_uid in folder or folder.endswith(f"-{series_uid[-UID_DIGITS:]}")


def _clinical(cores: Sequence[BiopsyCore]) -> dict[str, FieldValue | None]:
    """PSA and volume where every core of the series says the same."""
    psa = {core.psa_ng_ml for core in cores if core.psa_ng_ml is not None}
    volume = {round(core.prostate_volume_ml, 2) for core in cores if core.prostate_volume_ml is not None}
    return {"psa_ng_ml": next(iter(psa)) if len(psa) == 1 else None, "prostate_volume_ml": next(iter(volume)) if len(volume) == 1 else None}


def _label(series_uid: str, target: BiopsyTarget, cores: Sequence[BiopsyCore], mesh: Path | None) -> WeakLabel:
    worst = max(cores, key=lambda core: (core.isup_grade or 0, core.core_id), default=None)
    grade = worst.isup_grade if worst is not None else None
    attributes: dict[str, FieldValue | None] = {
        "target_number": target.label,
        "roi_volume_ml": target.volume_ml,
        PENDING_MESH: str(mesh) if mesh is not None else None,
    }
    case_id = case_key(CARD, series_uid)
    label = WeakLabel(
        label_id=f"{case_id}/{target.label}",
        lesion_id=f"{CARD.name}:{target.target_id}",
        case_id=case_id,
        status=LesionStatus.UNTESTED if grade is None else LesionStatus.CANCER if grade else LesionStatus.BENIGN,
        isup_grade=grade or None,
        is_clinically_significant=None if grade is None else grade >= 2,
        likert=target.likert,
        tier=Tier.TARGET_ROI,
        confidence=CONFIDENCE[Tier.TARGET_ROI],
        class_source="not_stated" if grade is None else "histopathology",
        conflicts=target.problems,
        evidence=_evidence(target, worst),
        diagnosis=None if grade is None else "prostate_cancer" if grade else "benign",
        attributes={name: value for name, value in attributes.items() if value is not None},
        series_key=series_uid,
    )
    patterns = (worst.gleason_primary, worst.gleason_secondary) if worst is not None else (None, None)
    return replace(label, gleason_primary=patterns[0], gleason_secondary=patterns[1])


def _evidence(target: BiopsyTarget, worst: BiopsyCore | None) -> tuple[Evidence, ...]:
    score = Evidence(record_id=f"{target.source_file}:{target.target_id}", field="UCLA Score")
    return (score, *([Evidence(record_id=f"{worst.source_file}:{worst.source_row}", field="Primary Gleason")] if worst is not None else []))


# Second reading -----------------------------------------------------------------------------------------------------


@record
class _Drawn:
    """One lesion segment and the target number that it names."""

    path: str
    number: str | None
    segment: Segment


def complete(case: CuratedCase) -> Completed:
    """Series with their roles and grids; boxes from the lesion segmentations, else from the meshes; a target without either has none."""
    segmentations, others = _files(case)
    studies, ledger = read_studies(others)
    rows = list(ledger)
    study = next((study for study in studies if any(series.series_uid == _series_uid(case) for series in study.series)), None)
    opened = _opened(case, study) if study is not None else None
    reference = reference_of(opened.study) if opened is not None else None
    if opened is None or reference is None:
        detail = "the series that the targets were drawn on is no axial T2 with a regular grid, or not here"
        return None, (*rows, dropped("case", case.case_id, "no_reference_image", detail, case.patient_id))
    drawn = _drawn(opened, segmentations, reference, rows)
    labels = tuple(_placed(opened, label, drawn, reference, rows) for label in opened.labels)
    return replace(opened, labels=labels, tier=min((label.tier for label in labels), key=list(Tier).index)), tuple(rows)


def _series_uid(case: CuratedCase) -> str:
    return case.case_id.removeprefix(case_key(CARD, ""))


def _files(case: CuratedCase) -> tuple[list[str], list[str]]:
    """Segmentations, each a series of one file, and all other files."""
    from weakbox.imaging.segmentations import is_segmentation

    singles = [series.instances[0].path for series in case.study.series if series.image_count == 1]
    segmentations = [path for path in singles if is_segmentation(Path(path))]
    every = [instance.path for series in case.study.series for instance in series.instances]
    return sorted(segmentations), sorted(set(every) - set(segmentations))


def _opened(case: CuratedCase, study: ImagingStudy) -> CuratedCase | None:
    if f"{CARD.name}:{study.patient_id}" != case.patient_id:
        return None
    named = next((series for series in study.series if series.key == _series_uid(case)), None)
    if named is None:
        return None
    chosen = with_choices(replace(study, patient_id=case.patient_id), named)
    origin = case.origin
    if origin is not None:
        origin = replace(origin, identifiers=tuple(sorted({*origin.identifiers, *sop_identifiers(chosen)})))
    return replace(case, study=chosen, origin=origin)


def _drawn(case: CuratedCase, paths: Iterable[str], reference: Reference, rows: list[LedgerEntry]) -> list[_Drawn]:
    from weakbox.imaging.segmentations import read_dicom_seg

    found: list[_Drawn] = []
    for path in paths:
        name = "/".join(Path(path).parts[-2:])
        try:
            stored = read_dicom_seg(Path(path))
        except InputError as error:
            rows.append(flagged("file", name, "unreadable_segmentation", str(error), case.patient_id))
            continue
        segments = [segment for segment in stored.segments if segment.kind is SegmentationKind.LESION]
        if segments and not _is_of(stored, reference):
            rows.append(flagged("file", name, "segmentation_of_other_series", "", case.patient_id))
            continue
        found += [_Drawn(path=path, number=_number(path, segment), segment=segment) for segment in segments]
    return found


def _is_of(stored: SegmentationObject, reference: Reference) -> bool:
    """Whether an object was drawn on the reference series: it says so, or it shares its frame and names no series."""
    if stored.series_uid is not None:
        return stored.series_uid == reference.key
    return stored.frame_of_reference_uid is not None and stored.frame_of_reference_uid == reference.grid.frame_of_reference_uid


def _number(path: str, segment: Segment) -> str | None:
    """The target number that the segment's label names, else the object's description."""
    import pydicom

    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesDescription", "ContentLabel", "ContentDescription"])
    words = (segment.label, header.get("SeriesDescription"), header.get("ContentDescription"), header.get("ContentLabel"))
    matches = (NUMBER.search(str(text)) for text in words if text)
    return next((match[1] for match in matches if match), None)


def _placed(case: CuratedCase, label: WeakLabel, drawn: Sequence[_Drawn], reference: Reference, rows: list[LedgerEntry]) -> WeakLabel:
    mesh = label.attributes.get(PENDING_MESH)
    plain = replace(label, attributes={name: value for name, value in label.attributes.items() if name != PENDING_MESH})
    segment = _segment_of(case, plain, drawn, rows)
    placed: WeakLabel | LedgerEntry | None = None
    if segment is not None and segment.segment.extent is not None:
        placed = from_extent(plain, segment.segment.extent, reference, Tier.TARGET_ROI)
        if isinstance(placed, WeakLabel):
            return replace(placed, mask=mask_file(segment.path, reference, segment.segment.number))
    if placed is None and isinstance(mesh, str):
        placed = _from_mesh(case, plain, Path(mesh), reference)
    if isinstance(placed, WeakLabel):
        return placed
    rows.append(placed or flagged("lesion", label.label_id, "no_place", "neither a segmentation nor a mesh", case.patient_id))
    return replace(plain, tier=Tier.CASE_LEVEL, confidence=CONFIDENCE[Tier.CASE_LEVEL], series_key=reference.key)


def _segment_of(case: CuratedCase, label: WeakLabel, drawn: Sequence[_Drawn], rows: list[LedgerEntry]) -> _Drawn | None:
    """The one segment of a target: by its number, or the only one where the series has one target."""
    own = [each for each in drawn if each.number == label.attributes.get("target_number")]
    if not own and len(drawn) == 1 and len(case.labels) == 1 and drawn[0].number is None:
        own = list(drawn)
    if len(own) > 1:
        rows.append(flagged("lesion", label.label_id, "several_segmentations", f"{len(own)} segments of one target", case.patient_id))
        return None
    if own and own[0].segment.extent is None:
        rows.append(flagged("lesion", label.label_id, "empty_mask", "no voxel of the segment is set", case.patient_id))
    return own[0] if own else None


def _from_mesh(case: CuratedCase, label: WeakLabel, path: Path, reference: Reference) -> WeakLabel | LedgerEntry:
    try:
        points = mesh_points(path)
    except InputError as error:
        return flagged("lesion", label.label_id, "unreadable_mesh", str(error), case.patient_id)
    return from_points(label, points, reference, Tier.TARGET_ROI)


DATASET = PublicDataset(
    card=CARD,
    layouts=LAYOUTS,
    read=read,
    complete=complete,
    collection=(
        CollectionSource(client="idc", request={"collection": "prostate_mri_us_biopsy", "modality": "MR"}, brings="images"),
        CollectionSource(client="idc", request={"collection": "prostate_mri_us_biopsy", "modality": "SEG"}, brings="masks"),
        CollectionSource(client="nbia", request={"collection": "Prostate-MRI-US-Biopsy", "modality": "MR"}, brings="images"),
    ),
)
