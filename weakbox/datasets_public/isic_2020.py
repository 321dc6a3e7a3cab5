"""ISIC 2020 (SIIM-ISIC) challenge: 33,126 images of 2,056 patients, melanoma or not; JPEG or DICOM."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

from weakbox.datasets_public.dataset import Access, CollectionSource, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.dermatoscopy import (
    NOT_STATED,
    Cells,
    ImageRow,
    Pictures,
    SkinImage,
    Statement,
    conflict_remark,
    image_name,
    image_rows,
    pictures_of,
    rows_of_images,
    skin_case,
)
from weakbox.datasets_public.dermatoscopy_masks import complete_skin_case
from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, TableOptions, read_rows
from weakbox.terminology.dermatology import Malignancy, diagnosis_of, stated_malignancy

FILES = "https://isic-archive.s3.amazonaws.com/challenges/2020"

CARD = DatasetCard(
    name="isic_2020",
    title="ISIC 2020",
    organ="skin",
    modalities=("DMS",),
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    allows_commercial_use=False,
    access=Access.OPEN,
    how_to_obtain=(
        "Download training JPEG (or DICOM), ground truth v2 and the list of duplicates of 2020 from challenge.isic-archive.com/data, "
        "or the competition siim-isic-melanoma-classification on Kaggle (account and rules)."
    ),
    homepage="https://challenge2020.isic-archive.com/",
    citation=(
        "Rotemberg V et al. A patient-centric dataset of images and metadata for identifying melanomas using clinical context. "
        "Sci Data 2021;8:34."
    ),
    doi="10.34970/2020-ds01",
    published={"images": 33126, "patients": 2056, "melanoma": 584},
    annotations="image class",
    label_basis="melanoma: histopathology; benign: expert agreement, follow-up or histopathology, not stated which",
    good_for=("classification",),
    preference=4,
    traps=(
        "About 16 images of one patient: a split goes by `patient_id`.",
        "The list of duplicates pairs images under two names: they stay together, and count as one image where copies are dropped.",
        "Most diagnoses are `unknown`: those images are `benign`, as the table says, and not proven by tissue.",
        "Two formats of one image (JPEG and DICOM) are one image; the JPEG is used.",
        "Ground truth v1 has no `lesion_id`, v2 has: v2 is read where both are there.",
        "The test part has no public truth: its images are listed, never taken for benign.",
        "1.8 % melanoma.",
    ),
)

_TRUTH = Columns(
    required={"image_name": ("image", "isic_id"), "patient_id": ("patient",), "target": ()},
    optional={
        "lesion_id": (),
        "sex": ("gender",),
        "age_approx": (),
        "anatom_site_general_challenge": ("anatom_site_general",),
        "diagnosis": (),
        "benign_malignant": (),
    },
)
_TEST = Columns(required={"image": ("image_name",)}, optional={})
_PAIRS = Columns(required={"image_name_1": (), "image_name_2": ()}, optional={})


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case an image of the training part.

    Raises:
        InputError: a table lacks a column.
    """
    pictures = pictures_of(located, (*located.files["truth"], *located.files["test_metadata"]))
    copies = yield from _copies(located.files["duplicates"])
    truth = max(located.files["truth"], key=lambda path: path.name, default=None)
    if truth is not None:
        for rows in rows_of_images(image_rows(truth, _TRUTH, "image_name")):
            if isinstance(rows, LedgerEntry):
                yield rows
            else:
                yield from _image(rows, pictures, copies)
    for path in located.files["test_metadata"]:
        yield from _untold(path, pictures)
    yield from pictures.remarks()


def _copies(paths: tuple[Path, ...]) -> Generator[LedgerEntry, None, dict[str, str]]:
    """Image -> the first name of the images that the set calls copies of each other."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            name = parents[name]
        return name

    for path in paths:
        for row in read_rows(TableOptions(source=CARD.name, path=path), _PAIRS, "row"):
            if isinstance(row, LedgerEntry):
                yield row
                continue
            first, second = image_name(row.raw("image_name_1")), image_name(row.raw("image_name_2"))
            if first is None or second is None:
                yield dropped("row", f"{path.name}:{row.number}", "no_image_name", "a pair without two ISIC images")
                continue
            kept, joined = sorted((root(first), root(second)))
            parents[joined] = kept
    return {name: root(name) for name in sorted(parents)}


def _untold(path: Path, pictures: Pictures) -> Iterator[LedgerEntry]:
    for row in image_rows(path, _TEST, "image"):
        if isinstance(row, LedgerEntry):
            yield row
        else:
            pictures.find(row.image)
            yield dropped("row", row.image, "no_public_truth", "the challenge keeps the classes of its test part")


def _image(rows: tuple[ImageRow, ...], pictures: Pictures, copies: Mapping[str, str]) -> Iterator[CuratedCase | LedgerEntry]:
    image = rows[0].image
    path = pictures.find(image)
    if path is None:
        yield dropped("row", image, "image_missing", "no image file of that name")
        return
    statements, conflicts = [], {"rows_differ"} if len(rows) > 1 else set()
    for row in rows:
        cells = Cells(row)
        target, word = cells.parsed("target", stated_malignancy), cells.parsed("benign_malignant", stated_malignancy)
        yield from cells.remarks
        if target is None:
            yield dropped("row", f"{row.table}:{row.row.number}", "no_class", "`target` is neither 0 nor 1")
            continue
        statements.append(_statement(row, target))
        conflicts |= {"target_disagrees_with_benign_malignant"} if word not in (None, target) else set()
    if statements:
        yield from _case(rows, path, tuple(statements), copies, tuple(conflicts))


def _statement(row: ImageRow, target: Malignancy) -> Statement:
    diagnosis = row.stated("diagnosis")
    return Statement(
        diagnosis=diagnosis_of(diagnosis) if diagnosis else target.value,
        malignancy=target,
        class_source="histopathology" if target is Malignancy.MALIGNANT else NOT_STATED,
        evidence=(*(row.evidence("diagnosis") if diagnosis else ()), *row.evidence("target")),
    )


def _case(
    rows: tuple[ImageRow, ...], path: Path, statements: tuple[Statement, ...], copies: Mapping[str, str], conflicts: tuple[str, ...]
) -> Iterator[CuratedCase | LedgerEntry]:
    cells = Cells(rows[0])
    image = rows[0].image
    skin_image = SkinImage(
        image=image,
        path=path,
        patients=tuple(sorted({patient for row in rows if (patient := row.stated("patient_id"))})),
        lesions=tuple(sorted({lesion for row in rows if (lesion := row.stated("lesion_id"))})),
        statements=statements,
        age_years=cells.age("age_approx"),
        sex=cells.sex("sex"),
        attributes={"site": cells.site("anatom_site_general_challenge"), "image_type": "dermoscopic"},
        official_split="train",
        copies=(copies[image],) if image in copies else (),
        conflicts=conflicts,
    )
    yield from cells.remarks
    if not skin_image.patients:
        yield flagged("row", image, "no_patient", "its other images cannot be kept together with it")
    case = skin_case(CARD, skin_image)
    yield from conflict_remark(case)
    yield case


def _parts(truth: str, test: str) -> tuple[Part, ...]:
    return (
        Part(name="truth", pattern=truth),
        Part(name="images", pattern="**/ISIC_*.{jpg,jpeg,png,dcm}"),
        Part(name="duplicates", pattern="**/ISIC_2020_Training_Duplicates.csv", is_required=False),
        Part(name="test_metadata", pattern=test, is_required=False),
    )


DATASET = PublicDataset(
    card=CARD,
    layouts=(
        Layout(
            name="challenge",
            signature=("truth",),
            parts=_parts("**/ISIC_2020_Training_GroundTruth{,_v2}.csv", "**/ISIC_2020_Test_Metadata.csv"),
        ),
        Layout(name="kaggle", signature=("truth", "images"), parts=_parts("train.csv", "test.csv")),
    ),
    read=read,
    complete=complete_skin_case,
    collection=(
        CollectionSource(client="isic", request={"collection": "70"}, brings="training images"),
        CollectionSource(
            client="http_list",
            request={"urls": tuple(f"{FILES}/ISIC_2020_Training_{table}.csv" for table in ("GroundTruth_v2", "Duplicates"))},
            brings="tables",
        ),
        CollectionSource(
            client="kaggle", request={"collection": "competition:siim-isic-melanoma-classification"}, brings="images and tables"
        ),
    ),
)
