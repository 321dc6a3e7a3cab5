"""Prostate158 (Charité; doi 10.5281/zenodo.6481141): biparametric MR as NIfTI, tumours drawn by radiologists on T2 and ADC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

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
from weakbox.datasets_public.mr_lesions import CONFIDENCE, Reference, from_extent, mask_file, mask_parts, reference_of
from weakbox.datasets_public.mr_studies import with_grids, with_volumes
from weakbox.datasets_public.row_values import identifier
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Purpose
from weakbox.records.label import Box, CuratedCase, Evidence, LesionStatus, MaskFile, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

if TYPE_CHECKING:
    from weakbox.imaging.segmentations import MaskPart

CARD = DatasetCard(
    name="prostate158",
    title="Prostate158",
    organ="prostate",
    modalities=("MR",),
    licence="see the Zenodo records 6481141 and 6592345",
    access=Access.OPEN,
    how_to_obtain=(
        "prostate158_train.zip (139 studies; Zenodo record 6481141) and prostate158_test.zip (19 studies; Zenodo record 6592345), unpacked "
        "side by side: `main.py collect --dataset Prostate158`."
    ),
    homepage="https://prostate158.grand-challenge.org/",
    citation=(
        "Adams LC, Makowski MR, Engel G, et al. Prostate158 - An expert-annotated 3T MRI dataset and algorithm for prostate cancer "
        "detection. Computers in Biology and Medicine 148 (2022) 105817."
    ),
    doi="10.5281/zenodo.6481141",
    published={"studies": 158, "train_and_validation": 139, "test": 19},
    annotations="tumour masks on T2 and ADC by radiologists, zones",
    label_basis="histopathology; no grade is published",
    good_for=("segmentation", "detection"),
    preference=4,
    traps=(
        "tumour masks hold 3, not 1: every voxel that is set counts",
        "one tumour is drawn on T2 and on ADC: the T2 mask counts, and the ADC mask adds only tumours that the T2 mask has not",
        "a study without a tumour has an empty cell in the table, not an empty mask: nothing suspicious was drawn",
        "the second reader drew the test studies on ADC only; tumours that only he drew are called out and not used",
        "no grade is published: cancer of unknown significance",
        "identifiers are numbers in the tables (24) and three digits in the folders (024): images are found by the paths in the table",
        "volumes of a study were resampled to one grid; the b-value of the diffusion image is not stated",
    ),
)
COLUMNS = Columns(
    required={"study": ("ID",), "t2": (), "t2_tumour": ("t2_tumor_reader1", "t2_tumour_reader1")},
    optional={
        "adc": (),
        "dwi": (),
        "adc_tumour": ("adc_tumor_reader1", "adc_tumour_reader1"),
        "second_tumour": ("adc_tumor_reader2", "adc_tumour_reader2"),
    },
)
SPLITS = {"train": "train", "valid": "validation", "test": "test"}
PENDING_ADC, PENDING_SECOND = "pending_adc", "pending_second"
"""Attributes that serve the second reading only."""

LAYOUTS = (
    Layout(
        name="zenodo",
        signature=("train",),
        parts=(
            Part(name="train", pattern="**/prostate158_train/train.csv"),
            Part(name="valid", pattern="**/prostate158_train/valid.csv"),
            Part(name="test", pattern="**/prostate158_test/test.csv"),
            Part(name="volumes", pattern="**/prostate158_{train,test}/**/*.nii.gz"),
        ),
    ),
    Layout(
        name="folder",
        signature=("train", "valid", "anatomy"),
        parts=(
            Part(name="train", pattern="train.csv"),
            Part(name="valid", pattern="valid.csv"),
            Part(name="test", pattern="test.csv"),
            Part(name="anatomy", pattern="train/*/t2_anatomy_reader1.nii.gz"),
            Part(name="volumes", pattern="{train,test}/**/*.nii.gz"),
        ),
    ),
)


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a row of the three tables.

    Raises:
        InputError: a table or one of its columns is missing.
    """
    there = {path.resolve() for path in located.files["volumes"]}
    used: set[Path] = set()
    for part, split in SPLITS.items():
        table = located.one(part)
        for row in read_rows(TableOptions(source=CARD.name, path=table), COLUMNS, "case") if table is not None else ():
            if isinstance(row, LedgerEntry):
                yield row
            elif table is not None:
                item = _read_row(table, row, split, there)
                used |= (
                    {Path(series.volume_path or "").resolve() for series in item.study.series} if isinstance(item, CuratedCase) else set()
                )
                yield item
                yield from _missing_masks(table, row, there)
    for path in sorted(there - used):
        if path.name.lower() == "t2.nii.gz":
            yield dropped("file", f"{path.parent.name}/{path.name}", "images_without_rows", "no table lists that study")


def _volumes(item: CuratedCase | LedgerEntry) -> list[Path]:
    return [Path(series.volume_path or "") for series in item.study.series] if isinstance(item, CuratedCase) else []


def _path(table: Path, row: Row, name: str) -> Path | None:
    text = row.text(name)
    return None if text is None else (table.parent / text.replace("\\", "/").replace("\0", "")).resolve()


def _read_row(table: Path, row: Row, split: str, there: set[Path]) -> CuratedCase | LedgerEntry:
    place = f"{table.name}:{row.number}"
    number, t2 = identifier(row.text("study")), _path(table, row, "t2")
    if not number or t2 is None:
        return dropped("case", place, "incomplete_row", "no ID or no t2")
    study = number.zfill(3)
    if t2 not in there:
        return dropped("case", place, "row_without_images", "the T2 volume is not there", f"{CARD.name}:{study}")
    listed = {Purpose.T2W: t2, Purpose.ADC: _path(table, row, "adc"), Purpose.HIGH_B: _path(table, row, "dwi")}
    volumes = {purpose: path for purpose, path in listed.items() if path is not None and path in there}
    is_drawn = any(row.text(name) for name in ("t2_tumour", "adc_tumour"))
    drawn = {name: _path(table, row, name) for name in ("t2_tumour", "adc_tumour", "second_tumour")}
    masks = {name: path for name, path in drawn.items() if path is not None and path in there}
    case = public_case(
        CARD,
        patient=study,
        study=study,
        series=[],
        labels=[_pending_label(place, study, masks)] if is_drawn else [],
        origin=origin_of(CARD, patient=study, identifiers=[f"prostate158:{study}"], official_split=split),
        tier=Tier.EXPERT,
        negative_reason=None if is_drawn else "no_tumour_drawn",
        sex="M",
    )
    return with_volumes(case, CARD, study, volumes)


def _missing_masks(table: Path, row: Row, there: set[Path]) -> Iterator[LedgerEntry]:
    for name in ("adc", "dwi", "t2_tumour", "adc_tumour", "second_tumour"):
        path = _path(table, row, name)
        if path is not None and path not in there:
            yield flagged("file", f"{table.name}:{row.number}", "file_missing", name)


def _pending_label(place: str, study: str, masks: Mapping[str, Path]) -> WeakLabel:
    """All tumours of a study as one label, until its masks are opened."""
    first = masks.get("t2_tumour") or masks.get("adc_tumour")
    tier = Tier.EXPERT if first is not None else Tier.CASE_LEVEL
    pending = {PENDING_ADC: masks.get("adc_tumour"), PENDING_SECOND: masks.get("second_tumour")}
    attributes: dict[str, FieldValue] = {name: str(path) for name, path in pending.items() if path is not None}
    return WeakLabel(
        label_id=f"{case_key(CARD, study)}/tumours",
        lesion_id=f"{CARD.name}:{study}",
        case_id=case_key(CARD, study),
        status=LesionStatus.CANCER,
        tier=tier,
        confidence=CONFIDENCE[tier],
        class_source="histopathology",
        evidence=(Evidence(record_id=place, field="t2_tumor_reader1"),),
        diagnosis="prostate_cancer",
        attributes={**attributes, "label_scope": "study"},
        mask=MaskFile(path=str(first), series_key=study) if first is not None else None,
    )


# Second reading -----------------------------------------------------------------------------------------------------


def complete(case: CuratedCase) -> Completed:
    """Grids of the volumes, and one label a tumour with its box."""
    opened, ledger = with_grids(case)
    reference = reference_of(opened.study) if opened is not None else None
    if opened is None or reference is None:
        return None, ledger
    rows = list(ledger)
    labels = [tumour for label in opened.labels for tumour in _tumours(opened, label, reference, rows)]
    return replace(opened, labels=tuple(labels)), tuple(rows)


def _tumours(case: CuratedCase, label: WeakLabel, reference: Reference, rows: list[LedgerEntry]) -> list[WeakLabel]:
    path = label.mask.path if label.mask is not None else None
    adc, second = label.attributes.get(PENDING_ADC), label.attributes.get(PENDING_SECOND)
    plain = replace(label, mask=None, attributes={})
    found = _parts(case, plain, path, reference, rows, "")
    if adc is not None and adc != path:
        more = _apart(_parts(case, plain, str(adc), reference, rows, "adc-"), found)
        rows += [flagged("lesion", each.label_id, "adc_only", "drawn on ADC and not on T2", case.patient_id) for each in more]
        found += more
    if second is not None:
        others = _apart(_parts(case, plain, str(second), reference, rows, "second-"), found)
        rows += [flagged("lesion", each.label_id, "second_reader_only", "not used", case.patient_id) for each in others]
    if found:
        return found
    rows.append(flagged("lesion", label.label_id, "no_place", "the table lists a tumour; no mask shows one", case.patient_id))
    attributes: dict[str, FieldValue] = {"label_scope": "study"}
    return [replace(plain, tier=Tier.CASE_LEVEL, confidence=CONFIDENCE[Tier.CASE_LEVEL], attributes=attributes)]


def _parts(
    case: CuratedCase, label: WeakLabel, path: str | None, reference: Reference, rows: list[LedgerEntry], prefix: str
) -> list[WeakLabel]:
    if path is None:
        return []
    try:
        parts, _ = mask_parts(Path(path))
    except InputError as error:
        rows.append(flagged("lesion", label.label_id, "unreadable_mask", str(error), case.patient_id))
        return []
    found = []
    for part in parts:
        placed = from_extent(_tumour(label, part, prefix), part.extent, reference, Tier.EXPERT)
        if isinstance(placed, LedgerEntry):
            rows.append(placed)
        else:
            found.append(replace(placed, mask=mask_file(path, reference, part.value)))
    return found


def _tumour(label: WeakLabel, part: MaskPart, prefix: str) -> WeakLabel:
    name = f"{prefix}{part.number}"
    return replace(label, label_id=f"{label.label_id.removesuffix('tumours')}{name}", lesion_id=f"{label.lesion_id}/{name}")


def _apart(labels: Sequence[WeakLabel], others: Sequence[WeakLabel]) -> list[WeakLabel]:
    """Those whose box meets none of the others'."""
    boxes = [other.box for other in others if other.box is not None]
    return [label for label in labels if label.box is not None and not any(_meet(label.box, box) for box in boxes)]


def _meet(one: Box, other: Box) -> bool:
    ranges = zip(one.voxel_start, one.voxel_stop, other.voxel_start, other.voxel_stop, strict=True)
    return all(start < other_stop and other_start < stop for start, stop, other_start, other_stop in ranges)


DATASET = PublicDataset(
    card=CARD,
    layouts=LAYOUTS,
    read=read,
    complete=complete,
    collection=(
        CollectionSource(
            client="http_list",
            request={
                "urls": (
                    "https://zenodo.org/records/6481141/files/prostate158_train.zip?download=1",
                    "https://zenodo.org/records/6592345/files/prostate158_test.zip?download=1",
                )
            },
            brings="images, masks and tables",
        ),
    ),
)
