"""ISIC 2019 challenge: one diagnosis an image out of eight classes; HAM10000, BCN20000 and MSK images under one roof."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from weakbox.datasets_public.dataset import Access, CollectionSource, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.dermatoscopy import (
    Cells,
    ImageRow,
    Pictures,
    SkinImage,
    Statement,
    conflict_remark,
    image_rows,
    one_hot_statements,
    pictures_of,
    rows_of_images,
    skin_case,
    split_of,
)
from weakbox.datasets_public.dermatoscopy_masks import complete_skin_case
from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
SOURCES = {"HAM": "HAM10000", "BCN": "BCN20000", "MSK": "MSK"}
"""First letters of a lesion's name -> the set that the image was taken from."""

FILES = "https://isic-archive.s3.amazonaws.com/challenges/2019"

CARD = DatasetCard(
    name="isic_2019",
    title="ISIC 2019",
    organ="skin",
    modalities=("DMS",),
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    allows_commercial_use=False,
    access=Access.OPEN,
    how_to_obtain="Download training (and test) input, ground truth and metadata of 2019 from challenge.isic-archive.com/data.",
    homepage="https://challenge.isic-archive.com/data/#2019",
    citation=(
        "Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161. "
        "Codella NCF et al. Skin Lesion Analysis Toward Melanoma Detection (ISBI 2017 challenge). arXiv:1710.05006. "
        "Combalia M et al. BCN20000: Dermoscopic Lesions in the Wild. arXiv:1908.02288."
    ),
    size_gb=9.1,
    published={"training_images": 25331, "test_images": 8238},
    annotations="image class",
    label_basis="mixed; not stated for each image",
    good_for=("classification",),
    preference=2,
    traps=(
        "HAM10000 is inside: its images carry the same ISIC names as identifiers, its lesions the same group names.",
        "HAM10000's 327 `akiec` images are 130 AK and 197 SCC here: copies of one image disagree, and this set is the more exact one.",
        "Many images of one lesion: a split goes by `lesion_id`; 2,084 training images have none and stand alone.",
        "2,074 images are scaled down and called `_downsampled`; they are the archive's images of the plain name.",
        "Copies in circulation rename `sex` to `gender` (read) or drop columns (refused); others write 1.0 for 1.",
        "UNK marks test images of no class: their diagnosis is `none_of_the_classes`, neither benign nor malignant.",
        "What a diagnosis rests on is not stated for each image, so no lesion counts as proven by tissue.",
    ),
)

_TRUTH = Columns(required={"image": (), **dict.fromkeys(CLASSES[:-1], ())}, optional={"UNK": ()})
_PATIENT = {"age_approx": ("age",), "anatom_site_general": ("anatom_site", "localization"), "sex": ("gender",)}
_METADATA = {
    "train": Columns(required={"image": (), "lesion_id": ()}, optional=_PATIENT),
    "test": Columns(required={"image": ()}, optional={"lesion_id": (), **_PATIENT}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What the metadata says of an image."""

    lesions: tuple[str, ...] = ()
    age_years: float | None = None
    sex: str | None = None
    site: str | None = None
    conflicts: tuple[str, ...] = ()


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case an image of the ground truth.

    Raises:
        InputError: a table lacks a column (``lesion_id`` of the training metadata included: without it lesions leak between parts).
    """
    pictures = pictures_of(located, located.files["truth"])
    contexts = yield from _contexts(located)
    unused = set(contexts)
    for path in located.files["truth"]:
        for rows in rows_of_images(image_rows(path, _TRUTH, "image")):
            if isinstance(rows, LedgerEntry):
                yield rows
                continue
            unused.discard(rows[0].image)
            yield from _image(rows, pictures, contexts, split_of(path))
    for image in sorted(unused):
        yield dropped("row", image, "row_without_truth", "the metadata speaks of an image that the ground truth does not")
    yield from pictures.remarks()


def _contexts(located: Located) -> Generator[LedgerEntry, None, dict[str, _Context]]:
    if not located.files["metadata"]:
        yield flagged(
            "file", "ISIC_2019_Training_Metadata.csv", "no_lesion_groups", "without it, images of one lesion cannot be kept together"
        )
    contexts: dict[str, _Context] = {}
    for path in located.files["metadata"]:
        columns = _METADATA[split_of(path) or "train"]
        for rows in rows_of_images(image_rows(path, columns, "image")):
            if isinstance(rows, LedgerEntry):
                yield rows
                continue
            cells = Cells(rows[0])
            contexts[rows[0].image] = _context(rows, cells)
            yield from cells.remarks
    return contexts


def _context(rows: tuple[ImageRow, ...], cells: Cells) -> _Context:
    return _Context(
        lesions=tuple(sorted({lesion for row in rows if (lesion := row.stated("lesion_id"))})),
        age_years=cells.age("age_approx"),
        sex=cells.sex("sex"),
        site=cells.site("anatom_site_general"),
        conflicts=("metadata_rows_differ",) if len(rows) > 1 else (),
    )


def _image(
    rows: tuple[ImageRow, ...], pictures: Pictures, contexts: Mapping[str, _Context], split: str | None
) -> Iterator[CuratedCase | LedgerEntry]:
    image = rows[0].image
    path = pictures.find(image)
    if path is None:
        yield dropped("row", image, "image_missing", "no image file of that name")
        return
    statements = yield from one_hot_statements(rows, CLASSES)
    if not statements:
        return
    context = contexts.get(image)
    if context is None:
        yield flagged("row", image, "no_metadata_row", "age, sex, site and lesion are not known")
        context = _Context()
    case = skin_case(CARD, _skin_image(image, path, statements, context, split))
    yield from conflict_remark(case)
    yield case


def _skin_image(image: str, path: Path, statements: tuple[Statement, ...], context: _Context, split: str | None) -> SkinImage:
    source = next((SOURCES[lesion[:3]] for lesion in context.lesions if lesion[:3] in SOURCES), None)
    return SkinImage(
        image=image,
        path=path,
        lesions=context.lesions,
        statements=statements,
        age_years=context.age_years,
        sex=context.sex,
        attributes={"site": context.site, "source": source, "image_type": "dermoscopic"},
        official_split=split,
        conflicts=context.conflicts,
    )


DATASET = PublicDataset(
    card=CARD,
    layouts=(
        Layout(
            name="challenge",
            signature=("truth",),
            parts=(
                Part(name="truth", pattern="**/ISIC_2019_{Training,Test}_GroundTruth.csv"),
                Part(name="metadata", pattern="**/ISIC_2019_{Training,Test}_Metadata.csv"),
                Part(name="images", pattern="**/ISIC_*.{jpg,jpeg,png}"),
            ),
        ),
    ),
    read=read,
    complete=complete_skin_case,
    collection=(
        CollectionSource(client="isic", request={"collection": "65"}, brings="training images"),
        CollectionSource(client="isic", request={"collection": "72"}, brings="test images"),
        CollectionSource(
            client="http_list",
            request={
                "urls": tuple(
                    f"{FILES}/ISIC_2019_{part}_{table}.csv" for part in ("Training", "Test") for table in ("GroundTruth", "Metadata")
                )
            },
            brings="tables",
        ),
    ),
)
