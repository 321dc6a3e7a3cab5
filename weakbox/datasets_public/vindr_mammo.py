"""VinDr-Mammo: 5,000 screening examinations with boxes and BI-RADS of double reading; no pathology.

Columns: first line of ``finding_annotations.csv`` and the files' description on PhysioNet (doi:10.13026/br2v-7517).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from weakbox.datasets_public.breast_labels import breast_label, disagreement
from weakbox.datasets_public.cases import case_key, image_key, image_path, image_series, origin_of, public_case
from weakbox.datasets_public.dataset import Access, CollectionSource, Completed, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.image_checks import complete_images, image_size, without_box
from weakbox.datasets_public.row_values import TableValues, snake_case, stated, whole_number, words_of, years
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, LesionStatus, PixelBox, Tier, WeakLabel
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, has_column, read_rows
from weakbox.terminology.birads import worst
from weakbox.terminology.mammography import birads_of, density_of, laterality_of, view_of

CARD = DatasetCard(
    name="vindr_mammo",
    title="VinDr-Mammo",
    organ="breast",
    modalities=("MG",),
    licence="PhysioNet Restricted Health Data License 1.5.0",
    licence_url="https://physionet.org/content/vindr-mammo/view-license/1.0.0/",
    access=Access.REGISTRATION,
    how_to_obtain=(
        "PhysioNet account; sign the data use agreement of vindr-mammo 1.0.0; download with your own user name "
        "(`wget -r -N -c -np --user <name> --ask-password https://physionet.org/files/vindr-mammo/1.0.0/`)."
    ),
    homepage="https://physionet.org/content/vindr-mammo/1.0.0/",
    citation=(
        "Nguyen HT, Nguyen HQ, Pham HH, Lam K, Le LT, Dao M, Vu V. VinDr-Mammo: A large-scale benchmark dataset for computer-aided "
        "diagnosis in full-field digital mammography. Scientific Data 10, 277 (2023)."
    ),
    doi="10.13026/br2v-7517",
    published={"examinations": 5000, "images": 20000},
    annotations="boxes of findings that are not benign, with BI-RADS; BI-RADS and density of each breast",
    label_basis="BI-RADS (two readers, a third where they differ)",
    good_for=("detection", "screening", "classification"),
    preference=2,
    traps=(
        "BI-RADS is written as text (`BI-RADS 4`): read as text, never as a number.",
        "BI-RADS is no pathology: no diagnosis is made of it.",
        "Only findings of BI-RADS 3 to 5 are drawn; a BI-RADS 2 breast may hold benign findings without a box.",
        "`No Finding` rows have no box: they make an image without labels, not an error.",
        "Categories are a list written as text, several a box.",
        "BI-RADS and density belong to the breast, not to the image: one label a breast.",
        "No patient identifier is published: the examination is the group that no split tears apart.",
        "Boxes are in stored pixels and may reach over the edge: they are cut to the image; a resized mirror gets them scaled.",
    ),
)

FINDINGS, BREASTS, METADATA, IMAGES = "finding_annotations", "breast_level_annotations", "metadata", "images"
FILES = "{dicom,dcm,png,jpg,jpeg,tif,tiff}"
LAYOUT = Layout(
    name="physionet",
    signature=(FINDINGS,),
    parts=(
        Part(name=FINDINGS, pattern="**/finding_annotations.csv"),
        Part(name=BREASTS, pattern="**/breast-level_annotations.csv"),
        Part(name=METADATA, pattern="**/metadata.csv", is_required=False),
        Part(name=IMAGES, pattern="**/*." + FILES),
    ),
)

_IMAGE_FIELDS = {"study_id": (), "image_id": (), "laterality": (), "view_position": ("view",)}
_SHARED = {"height": (), "width": (), "breast_birads": (), "breast_density": (), "split": ()}
FINDING_COLUMNS = Columns(
    required={**_IMAGE_FIELDS, "finding_categories": (), "finding_birads": (), "xmin": (), "ymin": (), "xmax": (), "ymax": ()},
    optional=_SHARED,
)
BREAST_COLUMNS = Columns(
    required={**_IMAGE_FIELDS, "breast_birads": ()}, optional={k: v for k, v in _SHARED.items() if k != "breast_birads"}
)
METADATA_COLUMNS = Columns(
    required={},
    optional={
        "image_id": ("SOP Instance UID",),
        "age": ("Patient's Age", "patient_age"),
        "model": ("Manufacturer's Model Name",),
        "manufacturer": (),
    },
)
NO_FINDING = "no_finding"
FINDING_TYPES = {
    "mass": "mass",
    "suspicious_calcification": "calcification",
    "asymmetry": "asymmetry",
    "focal_asymmetry": "focal_asymmetry",
    "global_asymmetry": "global_asymmetry",
    "architectural_distortion": "architectural_distortion",
    "skin_thickening": "skin_thickening",
    "skin_retraction": "skin_retraction",
    "nipple_retraction": "nipple_retraction",
    "suspicious_lymph_node": "lymph_node",
}
SPLITS = {"training": "train", "train": "train", "test": "test"}
NEGATIVE = frozenset({"1", "2"})
ASPECT_TOLERANCE = 0.01
"""A resized copy keeps the ratio of its sides up to rounding."""


@dataclass(slots=True, kw_only=True)
class _Image:
    image: str
    study: str
    side: str | None
    view: str | None
    size: tuple[int | None, int | None]
    density: str | None
    birads: str | None
    split: str | None
    table: TableValues
    row: Row
    findings: list[tuple[TableValues, Row]] = field(default_factory=list)


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case an examination; see ``PublicDataset.read``."""
    images: dict[str, _Image] = {}
    for part, columns in ((BREASTS, BREAST_COLUMNS), (FINDINGS, FINDING_COLUMNS)):
        path = located.one(part)
        if path is not None:
            yield from _read_table(path, columns, images)
    ages, remarks = _ages(located.one(METADATA))
    yield from remarks
    files = _files_by_name(located.files.get(IMAGES, ()))
    yield from _images_without_row(files, images)
    studies: dict[str, list[_Image]] = {}
    for image in images.values():
        if image.image.casefold() in files:
            studies.setdefault(image.study, []).append(image)
        else:
            yield dropped("row", image.table.item(image.row), "missing_image", "no file of that image_id", image.study)
    for study in sorted(studies):
        yield from _case(study, sorted(studies[study], key=lambda image: image.image), files, ages)


def _read_table(path: Path, columns: Columns, images: dict[str, _Image]) -> Iterator[LedgerEntry]:
    values = TableValues(path)
    has_findings = columns is FINDING_COLUMNS
    for row in read_rows(TableOptions(source=CARD.name, path=path), columns, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        name, study = row.text("image_id"), row.text("study_id")
        if name is None or study is None:
            yield dropped("row", values.item(row), "no_image_id", "image_id or study_id is empty")
            continue
        known = images.setdefault(name, _image(name, study, values, row))
        yield from _contradictions(known, values, row)
        if has_findings:
            known.findings.append((values, row))
    yield from values.ledger


def _image(name: str, study: str, values: TableValues, row: Row) -> _Image:
    return _Image(
        image=name,
        study=study,
        side=values.value(row, "laterality", laterality_of),
        view=values.value(row, "view_position", view_of),
        size=(values.value(row, "width", whole_number), values.value(row, "height", whole_number)),
        density=values.value(row, "breast_density", density_of),
        birads=values.value(row, "breast_birads", birads_of),
        split=values.value(row, "split", _split_of),
        table=values,
        row=row,
    )


def _split_of(text: str) -> str:
    if text.casefold() not in SPLITS:
        msg = f"expected training or test, got {text!r}"
        raise ValueError(msg)
    return SPLITS[text.casefold()]


def _contradictions(known: _Image, values: TableValues, row: Row) -> Iterator[LedgerEntry]:
    """A later row of an image that says otherwise of the image; the first one holds."""
    for name in ("study_id", "laterality", "view_position", "breast_birads", "breast_density", "split"):
        first, second = stated(known.row, name), stated(row, name)
        if first is not None and second is not None and first.casefold() != second.casefold():
            yield flagged("row", values.item(row), "conflicting_rows", f"{name}: {first} in {known.table.item(known.row)}, {second} here")


def _ages(path: Path | None) -> tuple[dict[str, float], list[LedgerEntry]]:
    """Age by image, from the table of DICOM tags where it has both."""
    if path is None:
        return {}, []
    options = TableOptions(source=CARD.name, path=path)
    if not all(has_column(options, METADATA_COLUMNS, name) for name in ("image_id", "age")):
        return {}, [flagged("file", path.name, "unread_table", "no columns of image and age; ages are not stated")]
    values = TableValues(path)
    ages = {}
    for row in read_rows(options, METADATA_COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            values.ledger.append(row)
            continue
        age = values.value(row, "age", years)
        if age is not None:
            ages[row.raw("image_id").strip()] = age
    return ages, values.ledger


def _files_by_name(paths: tuple[Path, ...]) -> dict[str, Path]:
    """Image files by image_id in lower case; of several the DICOM file."""
    found: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: (path.suffix.lower() not in (".dicom", ".dcm"), path.as_posix())):
        found.setdefault(path.stem.casefold(), path)
    return found


def _images_without_row(files: dict[str, Path], images: dict[str, _Image]) -> Iterator[LedgerEntry]:
    for name in sorted(files.keys() - {name.casefold() for name in images}):
        yield dropped("file", files[name].name, "image_without_row", "no table names it")


def _case(study: str, images: list[_Image], files: dict[str, Path], ages: dict[str, float]) -> Iterator[CuratedCase | LedgerEntry]:
    remarks: list[LedgerEntry] = []
    drawn = [label for image in images for label in _findings(image, remarks)]
    breasts = list(_breasts(study, images, remarks))
    yield from remarks
    splits = disagreement("split", [image.split for image in images])
    if splits:
        yield flagged("case", case_key(CARD, study), "conflicting_split", splits[0], study)
    is_negative = not drawn and all(image.birads in NEGATIVE for image in images)
    yield public_case(
        CARD,
        patient=study,
        study=study,
        series=[_series(image, files[image.image.casefold()]) for image in images],
        labels=[*drawn, *breasts],
        origin=origin_of(CARD, patient=study, official_split=_split(images)),
        negative_reason="BI-RADS 1 or 2 in every breast, no finding marked by two readers" if is_negative else None,
        age_years=next((ages[image.image] for image in images if image.image in ages), None),
        conflicts=splits,
    )


def _split(images: list[_Image]) -> str | None:
    """The set's own part; ``test`` where its rows disagree, for no test image may be trained on."""
    return max((image.split for image in images if image.split is not None), key=lambda split: split == "test", default=None)


def _series(image: _Image, path: Path) -> Series:
    attributes = {
        "laterality": image.side,
        "view": image.view,
        "breast_density": image.density,
        "columns": image.size[0],
        "rows": image.size[1],
    }
    return image_series(CARD, image=image.image, study=image.study, path=path, modality="MG", attributes=attributes)


def _breasts(study: str, images: list[_Image], remarks: list[LedgerEntry]) -> Iterator[WeakLabel]:
    for side in sorted({image.side for image in images if image.side is not None}):
        of_side = [image for image in images if image.side == side and image.birads is not None]
        stated_birads = [image.birads for image in of_side if image.birads is not None]
        if not stated_birads:
            continue
        conflicts = disagreement("breast_birads", stated_birads)
        if conflicts:
            remarks.append(flagged("breast", f"{case_key(CARD, study)}/{side}_breast", "conflicting_labels", conflicts[0], study))
        yield breast_label(
            CARD,
            study,
            side,
            birads=worst(stated_birads),
            class_source="birads",
            evidence=tuple(chain.from_iterable(image.table.evidence([image.row], "breast_birads") for image in of_side)),
            conflicts=conflicts,
        )


def _findings(image: _Image, remarks: list[LedgerEntry]) -> Iterator[WeakLabel]:
    seen: set[tuple[str, ...]] = set()
    birads: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for values, row in image.findings:
        cells = tuple(row.raw(name).strip() for name in ("finding_categories", "finding_birads", *_CORNERS))
        if cells in seen:
            remarks.append(dropped("row", values.item(row), "repeated_row", "the same finding of the same image came before", image.study))
            continue
        seen.add(cells)
        label = _finding(image, values, row, remarks)
        if label is None:
            continue
        of_box = birads[cells[-len(_CORNERS) :]]
        of_box |= {label.birads} if label.birads and label.pixel_box else set()
        if conflicts := disagreement("finding_birads", of_box):
            remarks.append(flagged("row", values.item(row), "conflicting_labels", f"of one box: {conflicts[0]}", image.study))
            label = replace(label, conflicts=(*label.conflicts, *conflicts), needs_review=True)
        yield label


_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _finding(image: _Image, values: TableValues, row: Row, remarks: list[LedgerEntry]) -> WeakLabel | None:
    """The label of one row; None for ``No Finding`` and for rows that say nothing usable."""
    start = len(values.ledger)
    words = values.value(row, "finding_categories", words_of) or ()
    birads = values.value(row, "finding_birads", birads_of)
    corners = [values.value(row, name, float) for name in _CORNERS]
    remarks += values.ledger[start:]
    types = {snake_case(word) for word in words}
    if types <= {NO_FINDING} and all(corner is None for corner in corners):
        return None
    if NO_FINDING in types:
        remarks.append(flagged("row", values.item(row), "contradicting_finding", "`No Finding` with a box or another finding", image.study))
    unknown = sorted(types - FINDING_TYPES.keys() - {NO_FINDING})
    if unknown:
        remarks.append(flagged("row", values.item(row), "unknown_finding", ", ".join(unknown), image.study))
    box = _box(image, values.item(row), corners, remarks)
    name = f"{case_key(CARD, image.study)}/{image.image}/{row.number}"
    return WeakLabel(
        label_id=name,
        lesion_id=name,
        case_id=case_key(CARD, image.study),
        status=LesionStatus.UNTESTED,
        side=image.side,
        tier=Tier.EXPERT if box else Tier.CASE_LEVEL,
        class_source="birads" if birads else "not_stated",
        confidence=1.0,
        needs_review=box is None or NO_FINDING in types,
        evidence=values.evidence([row], "finding_categories"),
        birads=birads,
        finding_types=tuple(sorted({FINDING_TYPES[kind] for kind in types & FINDING_TYPES.keys()})),
        attributes={"finding_categories": words} if words else {},
        series_key=image_key(CARD.name, image.image),
        pixel_box=box,
    )


def _box(image: _Image, item: str, corners: list[float | None], remarks: list[LedgerEntry]) -> PixelBox | None:
    """The box inside the image, edges as they stand; None with a remark where there is none to trust."""
    if any(corner is None for corner in corners):
        remarks.append(flagged("row", item, "finding_without_box", "the label speaks of the image as a whole", image.study))
        return None
    x0, y0, x1, y1 = (corner for corner in corners if corner is not None)
    if not (x1 > x0 and y1 > y0):
        remarks.append(flagged("row", item, "empty_box", "xmax and ymax must lie beyond xmin and ymin", image.study))
        return None
    columns, rows = image.size
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, columns or x1), min(y1, rows or y1))
    if not (inside[2] > inside[0] and inside[3] > inside[1]):
        remarks.append(flagged("row", item, "outside_image", "the box lies beyond the image; the label keeps none", image.study))
        return None
    if inside != (x0, y0, x1, y1):
        remarks.append(flagged("row", item, "box_cut", "the box reached over the edge and was cut to the image", image.study))
    return PixelBox(x0=inside[0], y0=inside[1], x1=inside[2], y1=inside[3], series_key=image_key(CARD.name, image.image))


def complete(case: CuratedCase) -> Completed:
    """Sizes as the images have them; boxes moved along where a mirror resized them, taken away where it did something else."""
    remarks: list[LedgerEntry] = []
    labels = {label.label_id: label for label in case.labels}
    for series in case.study.series:
        factors = _resized(series, remarks)
        for label in case.labels:
            if label.pixel_box is not None and label.pixel_box.series_key == series.key:
                labels[label.label_id] = _scaled(label, label.pixel_box, factors) if factors else without_box(label, "wrong_size")
    finished, entries = complete_images(replace(case, labels=tuple(labels.values())))
    return finished, (*remarks, *entries)


def _resized(series: Series, remarks: list[LedgerEntry]) -> tuple[float, float] | None:
    """Width and height of the file over those of the table; None where it is no resized copy of that image."""
    expected = (series.attributes.get("columns"), series.attributes.get("rows"))
    if not (isinstance(expected[0], int) and isinstance(expected[1], int)):
        return 1.0, 1.0
    try:
        size = image_size(image_path(series))
    except InputError:
        return 1.0, 1.0  # `complete_images` leaves the image out, and says so
    factors = size[0] / expected[0], size[1] / expected[1]
    detail = f"{size[0]} x {size[1]} pixels, but the table says {expected[0]} x {expected[1]}"
    if size != expected and abs(factors[0] / factors[1] - 1.0) <= ASPECT_TOLERANCE:
        remarks.append(flagged("image", series.key, "resized_image", f"{detail}; boxes are scaled"))
    elif size != expected:
        remarks.append(flagged("image", series.key, "wrong_size", f"{detail}; no box is drawn"))
        return None
    return factors


def _scaled(label: WeakLabel, box: PixelBox, factors: tuple[float, float]) -> WeakLabel:
    x, y = factors
    return replace(label, pixel_box=replace(box, x0=box.x0 * x, y0=box.y0 * y, x1=box.x1 * x, y1=box.y1 * y))


DATASET = PublicDataset(
    card=CARD,
    layouts=(LAYOUT,),
    read=read,
    complete=complete,
    collection=(CollectionSource(client="physionet", request={"collection": "vindr-mammo/1.0.0"}, brings="images and tables"),),
)
