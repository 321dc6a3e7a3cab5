"""ISIC 2018 challenge: lesion masks (Task 1), masks of dermoscopic structures (Task 2), one class of seven an image (Task 3: HAM10000)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from weakbox.datasets_public.dataset import Access, CollectionSource, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.dermatoscopy import (
    NOT_STATED,
    Cells,
    ImageRow,
    Pictures,
    SkinImage,
    SkinMask,
    Statement,
    conflict_remark,
    image_rows,
    masks_by_image,
    one_hot_statements,
    rows_of_images,
    skin_case,
    split_of,
    unused_masks,
)
from weakbox.datasets_public.dermatoscopy_masks import complete_skin_case
from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns
from weakbox.terminology.dermatology import confirmation_of

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
FILES = "https://isic-archive.s3.amazonaws.com/challenges/2018"
PARTS = ("Training", "Validation", "Test")

CARD = DatasetCard(
    name="isic_2018",
    title="ISIC 2018",
    organ="skin",
    modalities=("DMS",),
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    allows_commercial_use=False,
    access=Access.OPEN,
    how_to_obtain=(
        "Download the inputs and ground truths of Tasks 1-2 and 3 of 2018 and ISIC2018_Task3_Training_LesionGroupings.csv from "
        "challenge.isic-archive.com/data, and unzip them beside each other."
    ),
    homepage="https://challenge.isic-archive.com/data/#2018",
    citation=(
        "Codella N et al. Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by the International Skin Imaging "
        "Collaboration (ISIC). arXiv:1902.03368. Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161."
    ),
    size_gb=16.0,
    published={"task_1_2_training_images": 2594, "task_3_training_images": 10015, "task_3_test_images": 1512},
    annotations="lesion masks; masks of dermoscopic structures; image class",
    label_basis="histopathology, follow-up, expert consensus or confocal microscopy where the lesion groupings say so; else not stated",
    good_for=("segmentation", "detection", "classification"),
    preference=3,
    traps=(
        "Most masks of Task 2 are empty: the structure is absent, which is an answer and no error.",
        "Tasks 1-2 and Task 3 have other images; those of Tasks 1-2 have masks and no class, those of Task 3 a class and no mask.",
        "Lesions of Task 3 come in LesionGroupings.csv, a file of its own; without it lesions leak between parts.",
        "Superpixel files of older challenges lie among the images: they are no images.",
        "Task 3's training part is HAM10000, under the same names.",
        "AKIEC mixes actinic keratosis with carcinoma in situ: its malignancy is indeterminate.",
        "The challenge gives one licence for all; images of Tasks 1-2 have their own in the archive (the stricter one is kept here).",
    ),
)

_TRUTH = Columns(required={"image": (), **dict.fromkeys(CLASSES, ())}, optional={})
_GROUPINGS_NAME = "ISIC2018_Task3_Training_LesionGroupings.csv"
_GROUPINGS = Columns(required={"image": (), "lesion_id": ()}, optional={"diagnosis_confirm_type": ()})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grouping:
    """What the lesion groupings say of an image."""

    lesions: tuple[str, ...] = ()
    class_source: str = NOT_STATED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    """What Task 3 says of an image."""

    statements: tuple[Statement, ...] = ()
    split: str | None = None


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case an image that has a mask or a class.

    Raises:
        InputError: a table lacks a column.
    """
    pictures = Pictures((*located.files["task_1_2_images"], *located.files["task_3_images"]))
    masks = masks_by_image((*located.files["task_1_masks"], *located.files["task_2_masks"]))
    groupings = yield from _groupings(located)
    truths = yield from _truths(located, groupings)
    done: set[str] = set()
    for image in sorted({*masks, *truths}):
        item = _image(image, pictures, masks.get(image, ()), truths.get(image), groupings.get(image, _Grouping()))
        if item is not None:
            done.add(image)
            yield from conflict_remark(item)
            yield item
        elif image in truths:
            yield dropped("row", image, "image_missing", "no image file of that name")
    for image in sorted(set(groupings) - set(truths)):
        yield dropped("row", image, "row_without_truth", "the lesion groupings speak of an image that the ground truth does not")
    yield from unused_masks(masks, done)
    yield from pictures.remarks()


def _groupings(located: Located) -> Generator[LedgerEntry, None, dict[str, _Grouping]]:
    groupings: dict[str, _Grouping] = {}
    if located.files["task_3_truth"] and not located.files["lesions"]:
        yield flagged("file", _GROUPINGS_NAME, "no_lesion_groups", "without it, images of one lesion cannot be kept together")
    for path in located.files["lesions"]:
        for rows in rows_of_images(image_rows(path, _GROUPINGS, "image")):
            if isinstance(rows, LedgerEntry):
                yield rows
                continue
            cells = Cells(rows[0])
            groupings[rows[0].image] = _Grouping(
                lesions=tuple(sorted({lesion for row in rows if (lesion := row.stated("lesion_id"))})),
                class_source=cells.parsed("diagnosis_confirm_type", confirmation_of) or NOT_STATED,
            )
            yield from cells.remarks
    return groupings


def _truths(located: Located, groupings: Mapping[str, _Grouping]) -> Generator[LedgerEntry, None, dict[str, _Truth]]:
    truths: dict[str, _Truth] = {}
    for path in located.files["task_3_truth"]:
        for rows in rows_of_images(image_rows(path, _TRUTH, "image")):
            if isinstance(rows, LedgerEntry):
                yield rows
            else:
                truth = yield from _truth(rows, groupings, split_of(path))
                if truth is not None:
                    truths[rows[0].image] = truth
    return truths


def _truth(
    rows: tuple[ImageRow, ...], groupings: Mapping[str, _Grouping], split: str | None
) -> Generator[LedgerEntry, None, _Truth | None]:
    source = groupings.get(rows[0].image, _Grouping()).class_source
    statements = yield from one_hot_statements(rows, CLASSES, source)
    return _Truth(statements=statements, split=split) if statements else None


def _image(image: str, pictures: Pictures, masks: tuple[SkinMask, ...], truth: _Truth | None, grouping: _Grouping) -> CuratedCase | None:
    path = pictures.find(image)
    if path is None:
        return None
    split = (truth.split if truth else None) or split_of(path)
    return skin_case(
        CARD,
        SkinImage(
            image=image,
            path=path,
            lesions=grouping.lesions,
            statements=truth.statements if truth else (),
            masks=masks,
            attributes={"image_type": "dermoscopic"},
            official_split=split,
        ),
    )


def _parts(*required: str) -> tuple[Part, ...]:
    patterns = {
        "task_1_2_images": "**/ISIC2018_Task1-2_*_Input/**/ISIC_*.{jpg,jpeg,png}",
        "task_1_masks": "**/ISIC2018_Task1_*_GroundTruth*/**/ISIC_*_segmentation.png",
        "task_2_masks": "**/ISIC2018_Task2_*_GroundTruth*/**/ISIC_*_attribute_*.png",
        "task_3_images": "**/ISIC2018_Task3_*_Input/**/ISIC_*.{jpg,jpeg,png}",
        "task_3_truth": "**/ISIC2018_Task3_*_GroundTruth.csv",
        "lesions": "**/ISIC2018_Task3_*_LesionGroupings.csv",
    }
    return tuple(Part(name=name, pattern=pattern, is_required=name in required) for name, pattern in patterns.items())


_SEGMENTATION = ("task_1_2_images", "task_1_masks")
_CLASSIFICATION = ("task_3_images", "task_3_truth", "lesions")

DATASET = PublicDataset(
    card=CARD,
    layouts=(
        Layout(name="all_tasks", signature=("task_1_2_images", "task_3_truth"), parts=_parts(*_SEGMENTATION, *_CLASSIFICATION)),
        Layout(name="tasks_1_2", signature=("task_1_2_images",), parts=_parts(*_SEGMENTATION)),
        Layout(name="task_3", signature=("task_3_truth",), parts=_parts(*_CLASSIFICATION)),
    ),
    read=read,
    complete=complete_skin_case,
    collection=(
        CollectionSource(
            client="http_list",
            request={
                "urls": (
                    *(f"{FILES}/ISIC2018_Task1-2_{part}_Input.zip" for part in PARTS),
                    *(f"{FILES}/ISIC2018_Task3_{part}_Input.zip" for part in PARTS),
                )
            },
            brings="images",
        ),
        CollectionSource(
            client="http_list",
            request={
                "urls": (
                    *(f"{FILES}/ISIC2018_Task{task}_{part}_GroundTruth.zip" for task, part in product((1, 3), PARTS)),
                    f"{FILES}/ISIC2018_Task2_Training_GroundTruth_v3.zip",
                    *(f"{FILES}/ISIC2018_Task2_{part}_GroundTruth.zip" for part in PARTS[1:]),
                    f"{FILES}/{_GROUPINGS_NAME}",
                )
            },
            brings="masks and tables",
        ),
    ),
)
