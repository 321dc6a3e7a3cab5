"""PI-CAI public training and development set: 1,500 studies as MHA volumes, a marksheet, lesion masks by people and by models."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from weakbox.datasets_public.cases import case_key, origin_of, patient_key, public_case
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
from weakbox.datasets_public.mr_lesions import CONFIDENCE, Reference, from_extent, mask_file, mask_parts, reference_of
from weakbox.datasets_public.mr_studies import with_grids, with_volumes
from weakbox.datasets_public.row_values import identifier
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Purpose, Series
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, MaskFile, Origin, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.records.stated import FieldValue
from weakbox.sources.field_reading import FieldError, read_boolean, read_date, read_gleason, read_integer, read_number
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

if TYPE_CHECKING:
    from weakbox.imaging.segmentations import MaskPart

FOLDS = range(5)
CARD = DatasetCard(
    name="picai",
    title="PI-CAI",
    organ="prostate",
    modalities=("MR",),
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    allows_commercial_use=False,
    access=Access.OPEN,
    how_to_obtain=(
        "Images: five zip files of Zenodo record 6624726 (`main.py collect --dataset PI-CAI`). Marksheet and masks: "
        "`git clone https://github.com/DIAGNijmegen/picai_labels` into the same folder."
    ),
    homepage="https://pi-cai.grand-challenge.org/",
    citation=(
        "Saha A, Bosma JS, Twilt JJ, et al. Artificial intelligence and radiologists in prostate cancer detection on MRI (PI-CAI): "
        "an international, paired, non-inferiority, confirmatory study. Lancet Oncology 25 (2024) 879-887."
    ),
    doi="10.5281/zenodo.6624726",
    published={"studies": 1500, "patients": 1476, "positive": 425},
    annotations="lesion masks by readers (voxel value = ISUP) and by models",
    label_basis="histopathology; without it imaging and follow-up",
    good_for=("detection", "segmentation", "classification"),
    preference=1,
    traps=(
        "masks of models (Bosma22a) lie beside those of readers: they are used only where no reader drew, and are tier `model`",
        "voxel values of readers' masks are the ISUP grade; those of Pooch25 and of models only say lesion",
        "each group of touching voxels (26 neighbours) is one lesion",
        "in 106 studies the lists of PI-RADS and ISUP have different lengths: they are never joined by position",
        "two masks of Pooch25 lie on another grid than the T2: boxes are taken in patient space, and the file is called out",
        "case_ISUP is 0 also where no tissue was taken: such a case has no grade",
        "328 studies are PROSTATEx: identifiers `prostatex:...` join them, and patients share one group",
        "folds are cross-validation folds of the challenge, not a split",
    ),
)
VOLUME = re.compile(r"(\d+)_(\d+)_(?:t2w|adc|hbv)\.mha", re.IGNORECASE)
MASK = re.compile(r"(\d+_\d+)\.nii\.gz", re.IGNORECASE)
FOLD = re.compile(r"fold_?(\d)", re.IGNORECASE)
PROSTATEX = re.compile(r"(ProstateX-\d{4})_\d{2}-\d{2}-\d{4}")
COLUMNS = Columns(
    required={"patient_id": (), "study_id": (), "is_significant": ("case_csPCa",), "case_isup": ("case_ISUP",)},
    optional={
        "mri_date": (),
        "age": ("patient_age",),
        "psa_ng_ml": ("psa",),
        "psa_density": ("psad",),
        "prostate_volume_ml": ("prostate_volume",),
        "tissue": ("histopath_type",),
        "lesion_pirads": ("lesion_PIRADS",),
        "lesion_gleason": ("lesion_GS",),
        "lesion_isup": ("lesion_ISUP",),
        "center": (),
    },
)
PURPOSES = {"t2": Purpose.T2W, "adc": Purpose.ADC, "high_b": Purpose.HIGH_B}
LARGEST_ISUP = 5
NOT_GIVEN = "N/A"


@record
class MaskSource:
    """One family of masks of the labels repository."""

    part: str
    tier: Tier
    is_graded: bool
    is_on_t2: bool = True


MASK_SOURCES = (
    MaskSource(part="masks_resampled", tier=Tier.EXPERT, is_graded=True),
    MaskSource(part="masks_newer", tier=Tier.EXPERT, is_graded=False),
    MaskSource(part="masks_original", tier=Tier.EXPERT, is_graded=True, is_on_t2=False),
    MaskSource(part="masks_model", tier=Tier.MODEL, is_graded=False),
)
"""In the order in which they count."""
BY_PART = {source.part: source for source in MASK_SOURCES}

LAYOUTS = (
    Layout(
        name="mha",
        signature=("marksheet", "t2"),
        parts=(
            Part(name="marksheet", pattern="**/marksheet.csv"),
            Part(name="t2", pattern="**/*_t2w.mha"),
            Part(name="adc", pattern="**/*_adc.mha"),
            Part(name="high_b", pattern="**/*_hbv.mha"),
            Part(name="masks_resampled", pattern="**/human_expert/resampled/*.nii.gz"),
            Part(name="masks_newer", pattern="**/Pooch25/**/*.nii.gz", is_required=False),
            Part(name="masks_original", pattern="**/human_expert/original/*.nii.gz", is_required=False),
            Part(name="masks_model", pattern="**/Bosma22a/*.nii.gz", is_required=False),
            Part(name="prostatex", pattern="**/ProstateX-mapping.json", is_required=False),
        ),
    ),
)

Names = Mapping[str, tuple[str, ...]]
"""Study as the set names it (``10000_1000000``) -> its names in PROSTATEx."""


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a row of the marksheet whose T2 is there.

    Raises:
        InputError: the marksheet, one of its columns, or the mapping to PROSTATEx cannot be read.
    """
    table = located.one("marksheet")
    if table is None:
        return
    volumes = {purpose: _volumes(located.files[part]) for part, purpose in PURPOSES.items()}
    masks = {source.part: _masks(located.files[source.part]) for source in MASK_SOURCES}
    names = prostatex_names(located.one("prostatex"))
    rows: set[str] = set()
    for row in read_rows(TableOptions(source=CARD.name, path=table), COLUMNS, "case"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        study = f"{_patient(row)}_{identifier(row.raw('study_id'))}"
        if study in rows:
            yield dropped("case", f"{table.name}:{row.number}", "repeated_case", "a row of that study came before")
            continue
        rows.add(study)
        own = {purpose: found[study] for purpose, found in volumes.items() if study in found}
        mask = next(((source, masks[source.part][study]) for source in MASK_SOURCES if study in masks[source.part]), None)
        yield from _read_row(table, row, study, own, mask, names)
    for study in sorted(volumes[Purpose.T2W].keys() - rows):
        yield dropped("case", study, "images_without_rows", "the marksheet has no such study")


def _volumes(paths: Iterable[Path]) -> dict[str, Path]:
    matches = ((VOLUME.fullmatch(path.name), path) for path in paths)
    return {f"{match[1]}_{match[2]}": path for match, path in matches if match}


def _masks(paths: Iterable[Path]) -> dict[str, Path]:
    """Masks by study; of several files of one study the last folder by name, which is ``resampled`` before ``original``."""
    matches = ((MASK.fullmatch(path.name), path) for path in paths)
    return {match[1]: path for match, path in matches if match}


def prostatex_names(path: Path | None) -> Names:
    """The mapping turned round; the bare patient only where he has one study.

    Raises:
        InputError: no JSON object of names.
    """
    if path is None:
        return {}
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: no readable JSON ({type(error).__name__}); fetch the labels repository again"
        raise InputError(msg) from None
    if not isinstance(mapping, dict):
        msg = f'{path}: expected an object such as {{"ProstateX-0000_07-07-2011": "11373_1001396"}}'
        raise InputError(msg)
    patients = {name: match[1] for name in mapping if (match := PROSTATEX.fullmatch(name))}
    counts = Counter(patients.values())
    return {str(mapping[name]): (name, *([patient] if counts[patient] == 1 else [])) for name, patient in patients.items()}


def _read_row(
    table: Path,
    row: Row,
    study: str,
    volumes: Mapping[Purpose, Path],
    mask: tuple[MaskSource, Path] | None,
    names: Names,
) -> Iterator[CuratedCase | LedgerEntry]:
    place = f"{table.name}:{row.number}"
    patient = _patient(row)
    if Purpose.T2W not in volumes:
        yield dropped("case", study, "row_without_images", "no T2 volume of that study", patient_key(CARD.name, patient))
        return
    try:
        is_significant = read_boolean(row.text("is_significant"))
        grade = read_integer(row.text("case_isup"), minimum=0, maximum=LARGEST_ISUP)
    except FieldError as error:
        yield dropped("case", place, error.reason, "case_csPCa or case_ISUP", patient_key(CARD.name, patient))
        return
    if is_significant is None or grade is None:
        yield dropped("case", place, "incomplete_row", "no case_csPCa or case_ISUP", patient_key(CARD.name, patient))
        return
    conflicts = ("significance_against_grade",) if is_significant != (grade >= 2) else ()
    yield from _row_remarks(row, study, place, volumes, conflicts, has_mask=mask is not None or not is_significant)
    yield _case(place, row, study, volumes, mask, names, is_significant=is_significant, grade=grade, conflicts=conflicts)


def _row_remarks(
    row: Row, study: str, place: str, volumes: Mapping[Purpose, Path], conflicts: Sequence[str], *, has_mask: bool
) -> Iterator[LedgerEntry]:
    patient = patient_key(CARD.name, _patient(row))
    yield from (flagged("case", place, conflict, "", patient) for conflict in conflicts)
    yield from (flagged("case", place, "unexpected_value", name, patient) for name in READ_AS if _fact(row, name)[1])
    missing = [purpose.value for purpose in PURPOSES.values() if purpose not in volumes]
    if missing:
        yield flagged("case", study, "images_missing", ", ".join(missing), patient)
    if not has_mask:
        yield flagged("case", study, "no_delineation", "nobody drew the lesion: the class stays at the study", patient)
    scores, grades = cells(row, "lesion_pirads"), cells(row, "lesion_isup")
    if scores and grades and len(scores) != len(grades):
        yield flagged("case", place, "list_lengths_differ", f"{len(scores)} PI-RADS, {len(grades)} ISUP; not joined", patient)


def cells(row: Row, name: str) -> tuple[str, ...]:
    """A list of the marksheet: separated by commas, ``N/A`` where one is not given; empty where the cell is."""
    text = row.text(name)
    return tuple(identifier(part) for part in text.split(",")) if text else ()


def _case(
    place: str,
    row: Row,
    study: str,
    volumes: Mapping[Purpose, Path],
    mask: tuple[MaskSource, Path] | None,
    names: Names,
    *,
    is_significant: bool,
    grade: int,
    conflicts: Sequence[str],
) -> CuratedCase:
    tissue = row.text("tissue")
    labels = [_pending_label(place, row, study, mask, grade)] if is_significant else []
    case = public_case(
        CARD,
        patient=_patient(row),
        study=study,
        series=[],
        labels=labels,
        origin=_origin(row, study, names),
        tier=labels[0].tier if labels else Tier.CASE_LEVEL,
        negative_reason=None if is_significant else f"no_cspca_{'in_tissue' if tissue else 'without_tissue'}",
        clinical={name: _number(row, name) for name in ("psa_ng_ml", "psa_density", "prostate_volume_ml")},
        age_years=_number(row, "age"),
        sex="M",
        conflicts=conflicts,
    )
    case = with_volumes(case, CARD, study, volumes)
    graded = replace(case, case_isup_grade=grade if tissue else None, is_clinically_significant=is_significant)
    return replace(graded, study=replace(case.study, study_date=_day(row), series=_with_site(case, row, volumes)))


def _with_site(case: CuratedCase, row: Row, volumes: Mapping[Purpose, Path]) -> tuple[Series, ...]:
    fold = next((match[1] for part in reversed(volumes[Purpose.T2W].parts) if (match := FOLD.search(part))), None)
    stated = {"centre": row.text("center"), "fold": fold}
    attributes = {name: value for name, value in stated.items() if value is not None}
    return tuple(replace(series, attributes=attributes) for series in case.study.series)


def _patient(row: Row) -> str:
    return identifier(row.raw("patient_id"))


def _read_number(text: str | None) -> float | None:
    return read_number(text, minimum=0)


def _read_day(text: str | None) -> date | None:
    return read_date(text, ("ISO",))


READ_AS: Mapping[str, Callable[[str | None], float | date | None]] = {
    **dict.fromkeys(("psa_ng_ml", "psa_density", "prostate_volume_ml", "age"), _read_number),
    "mri_date": _read_day,
}
"""Facts without which a row is still of use."""


def _fact(row: Row, name: str) -> tuple[float | date | None, bool]:
    """The value, and whether something stands there that cannot be read."""
    try:
        return READ_AS[name](row.text(name)), False
    except FieldError:
        return None, True


def _number(row: Row, name: str) -> float | None:
    value, _ = _fact(row, name)
    return value if isinstance(value, float) else None


def _day(row: Row) -> date | None:
    value, _ = _fact(row, "mri_date")
    return value if isinstance(value, date) else None


def _origin(row: Row, study: str, names: Names) -> Origin:
    own = names.get(study, ())
    origin = origin_of(
        CARD,
        patient=_patient(row),
        identifiers=[f"picai:{study}", *(f"prostatex:{name}" for name in own)],
    )
    patients = {f"patient:{patient_key('prostatex', name.partition('_')[0])}" for name in own}
    return replace(origin, group_ids=tuple(sorted({*origin.group_ids, *patients})))


def _pending_label(place: str, row: Row, study: str, mask: tuple[MaskSource, Path] | None, grade: int) -> WeakLabel:
    """All lesions of a positive study as one label, until its mask is opened; without a mask, the study's class."""
    tier = mask[0].tier if mask is not None else Tier.CASE_LEVEL
    lists = {name: cells(row, name) for name in ("lesion_pirads", "lesion_gleason", "lesion_isup")}
    attributes: dict[str, FieldValue] = {**lists, "label_scope": "study"}
    if mask is not None:
        attributes["delineation"] = mask[0].part
    return WeakLabel(
        label_id=f"{case_key(CARD, study)}/lesions",
        lesion_id=f"{CARD.name}:{study}",
        case_id=case_key(CARD, study),
        status=LesionStatus.CANCER,
        isup_grade=grade or None,
        is_clinically_significant=True,
        tier=tier,
        confidence=CONFIDENCE[tier],
        class_source="histopathology",
        evidence=(Evidence(record_id=place, field="case_ISUP"),),
        diagnosis="clinically_significant_cancer",
        attributes=attributes,
        mask=MaskFile(path=str(mask[1]), series_key=study) if mask is not None else None,
    )


# Second reading -----------------------------------------------------------------------------------------------------


def complete(case: CuratedCase) -> Completed:
    """Grids of the volumes; one label a lesion of the mask, with its box, its grade and the score that belongs to it for certain."""
    opened, ledger = with_grids(case)
    reference = reference_of(opened.study) if opened is not None else None
    if opened is None or reference is None:
        return None, ledger
    rows = list(ledger)
    labels: list[WeakLabel] = []
    for label in opened.labels:
        labels += _lesions(opened, label, reference, rows) if label.mask is not None else [_of_study(label)]
    tier = min((label.tier for label in labels), key=list(Tier).index, default=opened.tier)
    return replace(opened, labels=tuple(labels), tier=tier), tuple(rows)


def _of_study(label: WeakLabel) -> WeakLabel:
    """The study's class without a place, and where it is stated."""
    return replace(label, mask=None, tier=Tier.CASE_LEVEL, confidence=CONFIDENCE[Tier.CASE_LEVEL], attributes={"label_scope": "study"})


def _lesions(case: CuratedCase, label: WeakLabel, reference: Reference, rows: list[LedgerEntry]) -> list[WeakLabel]:
    path = Path(label.mask.path) if label.mask is not None else Path()
    source = BY_PART[str(label.attributes["delineation"])]
    try:
        parts, grid = mask_parts(path)
    except InputError as error:
        rows.append(flagged("lesion", label.label_id, "unreadable_mask", str(error), case.patient_id))
        return [_of_study(label)]
    if not parts:
        rows.append(flagged("lesion", label.label_id, "empty_mask", "a positive study without a voxel set", case.patient_id))
        return [_of_study(label)]
    if source.is_on_t2 and grid.shape != reference.grid.shape:
        detail = f"{grid.shape} voxels against {reference.grid.shape} of the T2; boxes are taken in patient space"
        rows.append(flagged("lesion", label.label_id, "mask_grid_differs", detail, case.patient_id))
    found = []
    for part in parts:
        placed = from_extent(_lesion(label, part, parts, source), part.extent, reference, source.tier)
        if isinstance(placed, LedgerEntry):
            rows.append(placed)
        else:
            found.append(replace(placed, mask=mask_file(path, reference, part.value)))
    return found


def _lesion(label: WeakLabel, part: MaskPart, parts: Sequence[MaskPart], source: MaskSource) -> WeakLabel:
    """One lesion of the mask. A score or Gleason score of the marksheet is taken only where the grade names it for certain."""
    lists = {name: _listed(label, name) for name in ("lesion_pirads", "lesion_gleason", "lesion_isup")}
    significant = [index for index, grade in enumerate(lists["lesion_isup"]) if grade.isdigit() and int(grade) >= 2]
    grade = part.value if source.is_graded and part.value <= LARGEST_ISUP else None
    if not source.is_graded and source.tier is Tier.EXPERT and len(parts) == len(significant) == 1:
        grade = int(lists["lesion_isup"][significant[0]])
    # a model's lesion is cancer only where it found as many as tissue proved
    is_proven = source.tier is Tier.EXPERT or len(parts) == len(significant)
    named = replace(
        label,
        label_id=f"{label.label_id.removesuffix('lesions')}{part.number}",
        lesion_id=f"{label.lesion_id}/{part.number}",
        status=LesionStatus.CANCER if is_proven else LesionStatus.UNTESTED,
        isup_grade=grade,
        is_clinically_significant=(grade is None or grade >= 2) if is_proven else None,
        class_source="histopathology" if is_proven else "not_stated",
        diagnosis=None if not is_proven else label.diagnosis if grade is None or grade >= 2 else "prostate_cancer",
        attributes={"delineation": source.part},
    )
    return _with_row(named, lists, parts, grade)


def _listed(label: WeakLabel, name: str) -> tuple[str, ...]:
    values = label.attributes.get(name, ())
    return tuple(str(value) for value in values) if isinstance(values, tuple) else ()


def _with_row(label: WeakLabel, lists: Mapping[str, Sequence[str]], parts: Sequence[MaskPart], grade: int | None) -> WeakLabel:
    """PI-RADS and Gleason of the only entry with that grade, where the lists are equally long and one lesion has it."""
    places = [index for index, text in enumerate(lists["lesion_isup"]) if text == str(grade)]
    lengths = {len(values) for values in lists.values()}
    is_unique = len(places) == 1 and (len(parts) == 1 or sum(part.value == grade for part in parts) == 1)
    if grade is None or not is_unique or len(lengths) != 1:
        return label
    score, gleason = lists["lesion_pirads"][places[0]], lists["lesion_gleason"][places[0]]
    try:
        patterns = read_gleason(gleason)
        pirads = read_integer(score, minimum=1, maximum=5)
    except FieldError:
        return label
    return replace(label, pirads=pirads, gleason_primary=patterns.primary, gleason_secondary=patterns.secondary)


DATASET = PublicDataset(
    card=CARD,
    layouts=LAYOUTS,
    read=read,
    complete=complete,
    collection=(
        CollectionSource(
            client="http_list",
            request={
                "urls": tuple(f"https://zenodo.org/records/6624726/files/picai_public_images_fold{fold}.zip?download=1" for fold in FOLDS)
            },
            brings="images",
        ),
    ),
)
