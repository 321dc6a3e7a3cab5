"""HAM10000: 10,015 dermatoscopic images of 7,470 pigmented lesions, seven classes, lesion masks; the training part of ISIC 2018 Task 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from weakbox.datasets_public.dataset import Access, CollectionSource, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.dermatoscopy import (
    NOT_STATED,
    Cells,
    ImageRow,
    Pictures,
    SkinImage,
    SkinMask,
    Statement,
    beside,
    conflict_remark,
    image_rows,
    masks_by_image,
    pictures_of,
    rows_of_images,
    skin_case,
    unused_masks,
)
from weakbox.datasets_public.dermatoscopy_masks import complete_skin_case
from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, TableOptions, has_column
from weakbox.terminology.dermatology import class_diagnosis, confirmation_of

CARD = DatasetCard(
    name="ham10000",
    title="HAM10000",
    organ="skin",
    modalities=("DMS",),
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    allows_commercial_use=False,
    access=Access.OPEN,
    how_to_obtain=(
        "Download HAM10000_images_part_1.zip, HAM10000_images_part_2.zip, HAM10000_metadata and "
        "HAM10000_segmentations_lesion_tschandl.zip from Harvard Dataverse, doi:10.7910/DVN/DBW86T."
    ),
    homepage="https://doi.org/10.7910/DVN/DBW86T",
    citation=(
        "Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset, a large collection of multi-source dermatoscopic images of common "
        "pigmented skin lesions. Sci Data 2018;5:180161. Masks: Tschandl P et al. Human-computer collaboration for skin cancer "
        "recognition. Nat Med 2020;26:1229-1234."
    ),
    doi="10.7910/DVN/DBW86T",
    published={"images": 10015, "lesions": 7470},
    annotations="image class; lesion masks",
    label_basis="histopathology, follow-up, expert consensus or confocal microscopy, stated for each image",
    good_for=("segmentation", "detection", "classification"),
    preference=1,
    traps=(
        "Several images show one lesion: a split goes by `lesion_id`.",
        "Only `dx_type` histo is proven by tissue (more than half); follow_up, consensus and confocal are not.",
        "`akiec` mixes actinic keratosis with carcinoma in situ: its malignancy is indeterminate (ISIC 2019: 130 AK, 197 SCC).",
        "Mirrors unpack the two image folders twice under two spellings: one name is one image.",
        "The Dataverse copy of the ISIC 2018 test part has 1,512 rows and 1,511 images: the row without an image is listed.",
        "ISIC 2018 Task 3 and ISIC 2019 hold the same images under the same names.",
    ),
)

_COLUMNS = Columns(
    required={"image_id": (), "lesion_id": (), "dx": ()},
    optional={"dx_type": (), "age": (), "sex": ("gender",), "localization": (), "dataset": ()},
)
_HAS_DX = Columns(required={}, optional={"dx": ()})


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case an image. The test part that the Dataverse ships beside it is read where it is there.

    Raises:
        InputError: a table lacks a column.
    """
    tests = tuple(path for path in located.files["test_metadata"] if has_column(TableOptions(source=CARD.name, path=path), _HAS_DX, "dx"))
    tables = (*located.files["metadata"][:1], *tests[:1])
    pictures = pictures_of(located, tables)
    masks = masks_by_image(beside(located.files["metadata"][:1], located.files["masks"], located.folder)[0])
    read_images: set[str] = set()
    for path in tables:
        split = ("test" if path in tests else "train") if tests else None
        for rows in rows_of_images(image_rows(path, _COLUMNS, "image_id")):
            if isinstance(rows, LedgerEntry):
                yield rows
                continue
            read_images.add(rows[0].image)
            yield from _image(rows, pictures, masks, split)
    yield from unused_masks(masks, read_images)
    yield from pictures.remarks()


def _image(
    rows: tuple[ImageRow, ...], pictures: Pictures, masks: Mapping[str, tuple[SkinMask, ...]], split: str | None
) -> Iterator[CuratedCase | LedgerEntry]:
    image = rows[0].image
    path = pictures.find(image)
    if path is None:
        yield dropped("row", image, "image_missing", "no image file of that name")
        return
    statements = []
    for row in rows:
        cells = Cells(row)
        diagnosis = cells.parsed("dx", class_diagnosis)
        if diagnosis is None:
            yield dropped("row", f"{row.table}:{row.row.number}", "no_class", "`dx` is none of HAM10000's classes")
        else:
            source = cells.parsed("dx_type", confirmation_of) or NOT_STATED
            statements.append(Statement(diagnosis=diagnosis, class_source=source, evidence=row.evidence("dx")))
        yield from cells.remarks
    if not statements:
        return
    if len(rows) > 1:
        yield flagged("row", image, "conflicting_rows", f"{len(rows)} rows differ")
    yield from _case(rows, path, tuple(statements), masks.get(image, ()), split)


def _case(
    rows: tuple[ImageRow, ...], path: Path, statements: tuple[Statement, ...], masks: tuple[SkinMask, ...], split: str | None
) -> Iterator[CuratedCase | LedgerEntry]:
    cells = Cells(rows[0])
    image = SkinImage(
        image=rows[0].image,
        path=path,
        lesions=tuple(sorted({lesion for row in rows if (lesion := row.stated("lesion_id"))})),
        statements=statements,
        masks=masks,
        age_years=cells.age("age"),
        sex=cells.sex("sex"),
        attributes={"site": cells.site("localization"), "source": rows[0].stated("dataset"), "image_type": "dermoscopic"},
        official_split=split,
        conflicts=("rows_differ",) if len(rows) > 1 else (),
    )
    yield from cells.remarks
    case = skin_case(CARD, image)
    yield from conflict_remark(case)
    yield case


DATASET = PublicDataset(
    card=CARD,
    layouts=(
        Layout(
            name="dataverse",
            signature=("metadata",),
            parts=(
                Part(name="metadata", pattern="**/HAM10000_metadata{.csv,.tab,.tsv,.txt,}"),
                Part(name="images", pattern="**/ISIC_*.{jpg,jpeg,png}"),
                Part(name="masks", pattern="**/ISIC_*_segmentation.png", is_required=False),
                Part(name="test_metadata", pattern="**/ISIC2018_Task3_Test_GroundTruth{.csv,.tab}", is_required=False),
            ),
        ),
    ),
    read=read,
    complete=complete_skin_case,
    collection=(
        CollectionSource(client="isic", request={"collection": "212"}, brings="images"),
        CollectionSource(
            client="http_list",
            request={"urls": ("https://dataverse.harvard.edu/api/access/datafile/4338392",), "paths": ("HAM10000_metadata.tab",)},
            brings="tables",
        ),
    ),
)
