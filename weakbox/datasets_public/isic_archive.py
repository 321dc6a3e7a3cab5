"""ISIC Archive: any export or collection, each image with its own licence; today's metadata table and the old API's JSON files."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain
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
from weakbox.datasets_public.row_values import whole_number
from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, cell_text, has_column
from weakbox.terminology.dermatology import confirmation_of, diagnosis_of, stated_malignancy

CARD = DatasetCard(
    name="isic_archive",
    title="ISIC Archive",
    organ="skin",
    modalities=("DMS",),
    licence="per image: CC0-1.0, CC-BY-4.0 or CC-BY-NC-4.0",
    licence_url="https://www.isic-archive.com/terms-of-use",
    allows_commercial_use=None,
    access=Access.OPEN,
    how_to_obtain=(
        "`main.py collect --dataset isic_archive` with a collection id or a search, or `isic image download --collections <id> <folder>` "
        "of isic-cli, or Download Collection on api.isic-archive.com/collections."
    ),
    homepage="https://www.isic-archive.com",
    citation="The International Skin Imaging Collaboration. ISIC Archive. Cite the attribution of each image beside it.",
    annotations="image class",
    label_basis="stated for each image (diagnosis_confirm_type) where known",
    good_for=("classification",),
    preference=5,
    traps=(
        "`benign_malignant` left the archive in June 2025; today the diagnosis stands in `diagnosis_1` to `diagnosis_5`. Both are read.",
        "Each image has its own licence and attribution, and keeps them.",
        "Challenges, HAM10000 and BCN20000 are collections of the archive: their images carry the same identifiers.",
        "Not every image is dermoscopic: clinical photographs and body tiles keep their `image_type`; confocal microscopy is left out.",
        "Thumbnails and resized copies go by the same names: a size other than the stated one is flagged.",
        "Images without a diagnosis are left out, and never taken for benign.",
        "Only `histopathology` is proven by tissue.",
        "`indeterminate` is neither benign nor malignant.",
    ),
)

_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "attribution": (),
    "copyright_license": ("licence", "license"),
    **{f"diagnosis_{level}": () for level in range(1, 6)},
    "diagnosis": (),
    "benign_malignant": (),
    "diagnosis_confirm_type": (),
    "lesion_id": (),
    "patient_id": (),
    "age_approx": (),
    "sex": (),
    "anatom_site_general": (),
    **{f"anatom_site_{level}": () for level in range(1, 6)},
    "image_type": (),
    "dermoscopic_type": (),
    "fitzpatrick_skin_type": (),
    "image_manipulation": (),
    "pixels_x": (),
    "pixels_y": (),
    "clin_size_long_diam_mm": (),
    "mel_thick_mm": (),
}
_COLUMNS = Columns(required={"isic_id": ("key",)}, optional=_OPTIONAL)
_ANY = Columns(required={}, optional={"isic_id": _COLUMNS.required["isic_id"]})
_OLD_NAMES = {"name": "isic_id", "pixelsX": "pixels_x", "pixelsY": "pixels_y"}
_LICENCES = {"CC-0": "CC0-1.0", "CC-BY": "CC-BY-4.0", "CC-BY-NC": "CC-BY-NC-4.0"}
_SITES = ("anatom_site_general", *(f"anatom_site_{level}" for level in range(1, 6)))


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case an image with a diagnosis.

    Raises:
        InputError: a table has no ``isic_id``.
    """
    paths = yield from _tables(located.files.get("metadata", ()))
    pictures = pictures_of(located, (*paths, *located.files.get("records", ())[:1]))
    tables = chain.from_iterable(image_rows(path, _COLUMNS, "isic_id") for path in paths)
    seen: set[str] = set()
    for rows in rows_of_images(chain(tables, _json_rows(located.files.get("records", ())))):
        if isinstance(rows, LedgerEntry):
            yield rows
        elif rows[0].image in seen:
            yield flagged("row", f"{rows[0].table}:{rows[0].row.number}", "repeated_image", "a table before it speaks of the same image")
        else:
            seen.add(rows[0].image)
            yield from _image(rows, pictures)
    yield from pictures.remarks()


def _tables(paths: tuple[Path, ...]) -> Generator[LedgerEntry, None, tuple[Path, ...]]:
    """The archive's tables; ``metadata.csv`` is also what others call theirs. All of them where none is the archive's."""
    own = tuple(path for path in paths if has_column(TableOptions(source=CARD.name, path=path), _ANY, "isic_id"))
    for path in paths if own else ():
        if path not in own:
            yield flagged("file", path.name, "other_table", f"in {path.parent.name}: no column `isic_id`")
    return own or paths


# JSON of the API ------------------------------------------------------------------------------------------------------


def _json_rows(paths: Iterable[Path]) -> Iterator[ImageRow | LedgerEntry]:
    for path in paths:
        item = _flat(path)
        name = image_name(item.get("isic_id", "")) if item else None
        if name is None:
            yield dropped("file", path.name, "malformed_file", "no JSON object of the archive's API with an ISIC id")
        else:
            yield ImageRow(image=name, table=path.name, row=Row(number=1, cells=item or {}))


def _flat(path: Path) -> dict[str, str] | None:
    """One image's answer of the old (``meta``) or today's API (``metadata``) as a row; None where it is neither."""
    try:
        item = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    if not isinstance(item, dict):
        return None
    groups = (_inner(_inner(item, key), group) for key in ("meta", "metadata") for group in ("clinical", "acquisition"))
    names = ((name, value) for part in (item, *groups) for name, value in part.items())
    return {_OLD_NAMES.get(name, name): cell_text(value) for name, value in names if not isinstance(value, dict | list)}


def _inner(item: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = item.get(key)
    return value if isinstance(value, dict) else {}


# Images ---------------------------------------------------------------------------------------------------------------


def _image(rows: tuple[ImageRow, ...], pictures: Pictures) -> Iterator[CuratedCase | LedgerEntry]:
    image = rows[0].image
    path = pictures.find(image)
    if path is None:
        yield dropped("row", image, "image_missing", "no image file of that name")
        return
    if (rows[0].stated("image_type") or "").upper().startswith("RCM"):
        yield dropped("row", image, "confocal_microscopy_image", "no photograph of skin")
        return
    statements = []
    for row in rows:
        cells = Cells(row)
        statement = _statement(row, cells)
        yield from cells.remarks
        if statement is not None:
            statements.append(statement)
    if statements:
        yield from _case(rows, path, tuple(statements))
    else:
        yield dropped("row", image, "no_diagnosis", "neither diagnosis_1..5 nor an older field states one")


def _statement(row: ImageRow, cells: Cells) -> Statement | None:
    """The named disease: the third level where it is stated, else what is above it, else the older single field."""
    levels = tuple(level for number in range(1, 6) if (level := row.stated(f"diagnosis_{number}")))
    field = next(
        (name for name in ("diagnosis_3", "diagnosis_2", "diagnosis", "diagnosis_1", "benign_malignant") if row.stated(name)), None
    )
    if field is None:
        return None
    malignancy = cells.parsed("diagnosis_1", stated_malignancy) or cells.parsed("benign_malignant", stated_malignancy)
    attributes: dict[str, FieldValue] = {"diagnosis_levels": levels} if levels else {}
    for name in ("clin_size_long_diam_mm", "mel_thick_mm"):
        number = cells.parsed(name, float)
        attributes |= {name: number} if number is not None else {}
    return Statement(
        diagnosis=diagnosis_of(row.row.raw(field)),
        malignancy=malignancy,
        class_source=cells.parsed("diagnosis_confirm_type", confirmation_of) or NOT_STATED,
        attributes=attributes,
        evidence=row.evidence(field),
    )


def _case(rows: tuple[ImageRow, ...], path: Path, statements: tuple[Statement, ...]) -> Iterator[CuratedCase | LedgerEntry]:
    row, cells = rows[0], Cells(rows[0])
    licence = row.stated("copyright_license")
    if licence is None:
        yield flagged("row", row.image, "licence_not_stated", "its licence is one of the archive's; ask the archive before passing it on")
    image = SkinImage(
        image=row.image,
        path=path,
        patients=tuple(sorted({patient for one in rows if (patient := one.stated("patient_id"))})),
        lesions=tuple(sorted({lesion for one in rows if (lesion := one.stated("lesion_id"))})),
        statements=statements,
        age_years=cells.age("age_approx"),
        sex=cells.sex("sex"),
        attributes={
            "columns": cells.parsed("pixels_x", whole_number),
            "rows": cells.parsed("pixels_y", whole_number),
            "site": next((site for name in _SITES if (site := cells.site(name))), None),
            **{name: row.stated(name) for name in ("image_type", "dermoscopic_type", "fitzpatrick_skin_type", "image_manipulation")},
        },
        licence=_LICENCES.get(licence.upper(), licence) if licence else None,
        attribution=row.stated("attribution") or "",
        conflicts=("rows_differ",) if len(rows) > 1 else (),
    )
    yield from cells.remarks
    case = skin_case(CARD, image)
    yield from conflict_remark(case)
    yield case


_IMAGES = Part(name="images", pattern="**/ISIC_*.{jpg,jpeg,png}")

DATASET = PublicDataset(
    card=CARD,
    layouts=(
        Layout(
            name="export",
            signature=("metadata", "images"),
            parts=(Part(name="metadata", pattern="**/{metadata,isic_metadata}.{csv,parquet}"), _IMAGES),
        ),
        Layout(
            name="collection_metadata",
            signature=("metadata", "images"),
            parts=(Part(name="metadata", pattern="**/*_metadata_20??-??-??.csv"), _IMAGES),
        ),
        Layout(name="collected", signature=("metadata", "images"), parts=(Part(name="metadata", pattern="**/series.csv"), _IMAGES)),
        Layout(name="api", signature=("records", "images"), parts=(Part(name="records", pattern="**/ISIC_*.json"), _IMAGES)),
        Layout(
            name="descriptions",
            signature=("records", "images"),
            parts=(Part(name="records", pattern="**/Descriptions/ISIC_*"), _IMAGES),
        ),
    ),
    read=read,
    complete=complete_skin_case,
    collection=(CollectionSource(client="isic", request={"query": "image_type:dermoscopic"}, brings="images and tables"),),
)
