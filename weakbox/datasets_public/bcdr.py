"""BCDR (Porto): film (F) and digital (D) mammograms; outlines in ``bcdr_*_outlines.csv``, images listed in ``bcdr_*_img.csv``."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from weakbox.datasets_public.cases import case_key, image_key, image_series, origin_of, patient_key, public_case
from weakbox.datasets_public.dataset import Access, Completed, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.image_checks import complete_images, pixel_box
from weakbox.datasets_public.row_values import TableValues, years
from weakbox.imaging.outlines import box_of_pixels
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows
from weakbox.terminology.mammography import birads_of, density_of

_KEYS: dict[str, Sequence[str]] = {"patient_id": (), "study_id": (), "image_filename": ()}
OUTLINE_COLUMNS = Columns(
    required={**_KEYS, "lesion_id": (), "lw_x_points": (), "lw_y_points": (), "classification": ()},
    optional={
        "segmentation_id": (),
        "image_view": (),
        "age": (),
        "density": ("breast_density",),
        "birads": ("bi_rads",),
        "mammography_nodule": (),
        "mammography_calcification": (),
        "mammography_microcalcification": (),
        "mammography_axillary_adenopathy": (),
        "mammography_architectural_distortion": (),
        "mammography_stroma_distortion": (),
    },
)
IMAGE_COLUMNS = Columns(
    required=_KEYS,
    optional={"image_type_name": (), "image_type_id": (), "age": (), "density": ("breast_density",)},
)
FINDINGS = {
    "mammography_nodule": "mass",
    "mammography_calcification": "calcification",
    "mammography_microcalcification": "calcification",
    "mammography_axillary_adenopathy": "axillary_adenopathy",
    "mammography_architectural_distortion": "architectural_distortion",
    "mammography_stroma_distortion": "stroma_distortion",
}
CLASSES = {
    "benign": ("benign", LesionStatus.BENIGN),
    "malign": ("malignant", LesionStatus.CANCER),
    "malignant": ("malignant", LesionStatus.CANCER),
}
UNPROVEN = {"no", "suspect", "insufficient"}
"""Words that a copy of D01 has where no biopsy settled it: no class."""
VIEWS = {"RCC": ("right", "CC"), "LCC": ("left", "CC"), "RO": ("right", "MLO"), "LO": ("left", "MLO")}
VIEW_NUMBERS = {"1": "RCC", "2": "LCC", "3": "RO", "4": "LO"}
"""``image_view`` of the outlines; ``image_type_id`` of the image list counts from 0."""
NEGATIVE = "set_of_normal_studies"
_SUBSET = re.compile(r"(?<![a-z])(?P<kind>[FD])(?P<normal>N?)(?P<number>\d{2})(?!\d)", re.IGNORECASE)
_MASK = re.compile(r"_mask(?:_|$)", re.IGNORECASE)

CARD = DatasetCard(
    name="bcdr",
    title="BCDR",
    organ="breast",
    modalities=("MG",),
    licence="BCDR terms (registration, research)",
    allows_commercial_use=False,
    access=Access.REGISTRATION,
    how_to_obtain=(
        "Register at bcdr.eu (the site was not always reachable; ask its authors), fetch the benchmarking sets BCDR-F01, F02, F03, "
        "D01, D02 and DN01 and unpack each into its own folder below one folder."
    ),
    homepage="https://bcdr.eu",
    citation=(
        "Moura DC, Guevara Lopez MA. An evaluation of image descriptors combined with clinical data for breast cancer diagnosis. "
        "International Journal of Computer Assisted Radiology and Surgery 2013; 8(4): 561-574."
    ),
    doi="10.1007/s11548-013-0838-2",
    annotations="outlines of lesions, several for one lesion",
    label_basis="biopsy (benchmarking sets F01-F03, D01, D02)",
    good_for=("detection", "segmentation", "classification"),
    preference=6,
    traps=(
        "Cells begin with blanks, paths too, even after a slash (`patient_3/ study_4/...`).",
        "Points are blank-separated, with a blank before the first.",
        "View O is oblique, MLO; the outlines give views as 1-4 (RCC, LCC, RO, LO), the image list counts from 0.",
        "`Malign` is malignant; `No`, `Suspect` and `Insufficient` (a copy of D01) are no class.",
        "One lesion has several segmentations, in several views; all of them are one lesion group.",
        "An image without an outline is normal only in the DN sets; elsewhere it is just not drawn on.",
        "The sets of one kind share women and images (F01, F02 and F03): patients are grouped by film and digital, not by set.",
        "Masks (`..._mask_id_1.tif`) beside the images are no images.",
        "Density may be NaN.",
    ),
)

_IMAGES = Part(name="images", pattern="**/*.{tif,tiff,png}")
_LISTS = Part(name="images_table", pattern="**/bcdr*_img.csv", is_required=False)
_OUTLINES = Part(name="outlines", pattern="**/bcdr*outlines.csv")
LAYOUTS = (
    Layout(name="benchmark", spans_folders=True, signature=("outlines", "images"), parts=(_OUTLINES, _LISTS, _IMAGES)),
    Layout(
        name="normal studies",
        spans_folders=True,
        signature=("images_table", "images"),
        parts=(Part(name="images_table", pattern="**/bcdr_*n*_img.csv"), _IMAGES),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """One benchmarking set: ``F01`` (film), ``D02`` (digital), ``DN01`` (digital, normal), with the folder of its table."""

    name: str
    kind: str
    is_normal: bool
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """One row of the outlines."""

    row: Row
    table: str
    lesion: str
    box: tuple[float, float, float, float]
    diagnosis: str | None
    status: LesionStatus
    birads: str | None
    findings: tuple[str, ...]
    is_microcalcification: bool


@dataclass(slots=True, kw_only=True)
class Mammogram:
    """One image with what the rows of both tables say of it."""

    subset: Subset
    name: str
    path: Path
    patient: str
    study: str
    values: dict[str, FieldValue] = field(default_factory=dict)
    ages: set[float] = field(default_factory=set)
    segmentations: list[Segmentation] = field(default_factory=list)
    conflicts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name among all images of all sets."""
        return f"{self.subset.name}-{self.name}"


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a study of a benchmarking set; a label for each lesion in each image.

    Raises:
        InputError: no table, or a required column is missing.
    """
    tables = [*located.files.get("images_table", ()), *located.files.get("outlines", ())]
    if not tables:
        msg = f"{located.folder}: neither bcdr_*_outlines.csv nor bcdr_*_img.csv"
        raise InputError(msg)
    subsets = {table: subset_of(table) for table in tables}
    files = _Files(located.files.get("images", ()), {subset.folder for subset in subsets.values()})
    mammograms: dict[str, Mammogram] = {}
    for table in located.files.get("images_table", ()):
        yield from _read_images(table, subsets[table], files, mammograms)
    for table in located.files.get("outlines", ()):
        yield from _read_outlines(table, subsets[table], files, mammograms)
    for path in files.unused():
        yield dropped("file", path.name, "image_without_row", "no table has a row for it")
    studies: dict[tuple[str, str, str], list[Mammogram]] = defaultdict(list)
    for _, mammogram in sorted(mammograms.items()):
        studies[mammogram.subset.name, mammogram.patient, mammogram.study].append(mammogram)
    for (name, patient, study), members in sorted(studies.items()):
        yield from _case(f"{name}-{patient}-{study}", members)


def subset_of(table: Path) -> Subset:
    """The set of a table, by its name or its folder's.

    Raises:
        InputError: neither has a name such as ``F01``.
    """
    for text in (table.stem, table.parent.name, table.parent.parent.name):
        if match := _SUBSET.search(text):
            name = f"{match['kind']}{match['normal']}{match['number']}".upper()
            return Subset(name=name, kind=match["kind"].upper(), is_normal=bool(match["normal"]), folder=table.parent)
    msg = f"{table}: which set is this? Expected F01, F02, F03, D01, D02 or DN01 in the name of the file or its folder"
    raise InputError(msg)


class _Files:
    """Images below the folders of the tables, found by the paths that the tables give."""

    def __init__(self, paths: Iterable[Path], folders: Iterable[Path]) -> None:
        self._by_path: dict[str, Path] = {}
        self._by_name: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        self._used: set[Path] = set()
        self._roots = tuple(folders)
        for path in sorted(paths, key=lambda path: (path.suffix.lower() == ".png", path)):
            if not _MASK.search(path.stem):
                self._by_path.setdefault(str(path.with_suffix("")).casefold(), path)
                for folder in self._roots:
                    if folder in path.parents:
                        self._by_name[folder, path.stem.casefold()].append(path)

    def find(self, folder: Path, stated: str) -> Path | None:
        """The image of a stated path: below the table's folder, else the only one of that name there."""
        parts = [part.strip() for part in re.split(r"[\\/]", stated) if part.strip() not in ("", ".")]
        if not parts or ".." in parts:
            return None
        place = folder / PurePosixPath(*parts)
        named = self._by_name.get((folder, place.stem.casefold()), [])
        found = self._by_path.get(str(place.with_suffix("")).casefold()) or (named[0] if len(named) == 1 else None)
        if found is not None:
            self._used.add(found)
        return found

    def unused(self) -> list[Path]:
        """Images that no row named; of one image in two formats, one is enough."""
        named = {path.with_suffix("") for path in self._used}
        return sorted(path for path in self._by_path.values() if path.with_suffix("") not in named)


# The tables ----------------------------------------------------------------------------------------------------------


def _whole(text: str | None) -> str:
    """A number that went through a spreadsheet, without its decimal point."""
    return re.sub(r"\.0+$", "", (text or "").strip())


def _rows(table: Path, columns: Columns) -> Iterator[Row | LedgerEntry]:
    return read_rows(TableOptions(source="bcdr", path=table), columns, "row")


def _mammogram(table: Path, subset: Subset, row: Row, files: _Files, mammograms: dict[str, Mammogram]) -> Mammogram | LedgerEntry:
    """The image that a row speaks of, made where it is the first."""
    item = f"{table.name}:{row.number}"
    patient, study, stated = _whole(row.text("patient_id")), _whole(row.text("study_id")), row.text("image_filename")
    if not patient or not study or stated is None:
        return dropped("row", item, "missing_value", "no patient, study or image")
    path = files.find(subset.folder, stated)
    if path is None:
        return dropped("row", item, "missing_image", "the image is not below the folder of the table")
    made = Mammogram(subset=subset, name=path.stem, path=path, patient=patient, study=study)
    known = mammograms.setdefault(made.key, made)
    if (known.patient, known.study) != (patient, study):
        return dropped("row", item, "conflicting_rows", "another row gives this image to another patient or study")
    return known


def _read_images(table: Path, subset: Subset, files: _Files, mammograms: dict[str, Mammogram]) -> Iterator[LedgerEntry]:
    listed: set[str] = set()
    for row in _rows(table, IMAGE_COLUMNS):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        mammogram = _mammogram(table, subset, row, files, mammograms)
        if isinstance(mammogram, LedgerEntry):
            yield mammogram
        elif mammogram.key in listed:
            yield dropped("row", f"{table.name}:{row.number}", "repeated_row", "the image is listed twice")
        else:
            listed.add(mammogram.key)
            numbered = _whole(row.text("image_type_id"))
            code = row.text("image_type_name") or (VIEW_NUMBERS.get(str(int(numbered) + 1)) if numbered.isdigit() else None)
            yield from _read_values(table, row, mammogram, code)


def _read_outlines(table: Path, subset: Subset, files: _Files, mammograms: dict[str, Mammogram]) -> Iterator[LedgerEntry]:
    for row in _rows(table, OUTLINE_COLUMNS):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        mammogram = _mammogram(table, subset, row, files, mammograms)
        if isinstance(mammogram, LedgerEntry):
            yield mammogram
            continue
        stated = row.text("image_view")
        yield from _read_values(table, row, mammogram, VIEW_NUMBERS.get(_whole(stated), stated))
        for item in _segmentation(table, subset, row, mammogram):
            if isinstance(item, LedgerEntry):
                yield item
            else:
                mammogram.segmentations.append(item)


def _read_values(table: Path, row: Row, mammogram: Mammogram, code: str | None) -> Iterator[LedgerEntry]:
    """Side, view, density and age of a row; a view must be that of the file's name."""
    item = f"{table.name}:{row.number}"
    for stated in (code, mammogram.name.rpartition("_")[2]):
        place = VIEWS.get((stated or "").strip().upper())
        if place is None:
            continue
        for name, value in zip(("laterality", "view"), place, strict=True):
            if mammogram.values.setdefault(name, value) != value and f"conflicting_{name}" not in mammogram.conflicts:
                mammogram.conflicts = (*mammogram.conflicts, f"conflicting_{name}")
                yield flagged("image", mammogram.key, f"conflicting_{name}", "tables and file name differ; the first stated is used")
    if code is not None and code.strip().upper() not in VIEWS:
        yield flagged("row", item, "unexpected_value", "a view that is none of RCC, LCC, RO, LO; the file's name decides")
    values = TableValues(table)
    if (density := values.value(row, "density", density_of)) is not None:
        mammogram.values.setdefault("breast_density", density)
    if (age := values.value(row, "age", years)) is not None:
        mammogram.ages.add(age)
    yield from values.ledger


def _segmentation(table: Path, subset: Subset, row: Row, mammogram: Mammogram) -> Iterator[Segmentation | LedgerEntry]:
    item = f"{table.name}:{row.number}"
    points = points_of(row.raw("lw_x_points"), row.raw("lw_y_points"))
    if not points:
        yield dropped("row", item, "bad_outline", "its points are no numbers, or x and y are not of one length")
        return
    word = (row.text("classification") or "").casefold()
    if word and word not in CLASSES and word not in UNPROVEN:
        yield flagged("row", item, "unexpected_value", "column classification; the lesion keeps no class")
    diagnosis, status = CLASSES.get(word, (None, LesionStatus.UNTESTED))
    values = TableValues(table)
    birads = values.value(row, "birads", birads_of)
    yield from values.ledger
    marked = {column for column in FINDINGS if _whole(row.text(column)) == "1"}
    lesion = _whole(row.text("lesion_id")) or f"segmentation-{_whole(row.text('segmentation_id')) or row.number}"
    yield Segmentation(
        row=row,
        table=table.name,
        lesion=f"{subset.kind}{mammogram.patient}-{mammogram.study}-{lesion}",
        box=box_of_pixels(points),
        diagnosis=diagnosis,
        status=status,
        birads=birads,
        findings=tuple(sorted({FINDINGS[column] for column in marked})),
        is_microcalcification="mammography_microcalcification" in marked,
    )


def points_of(x_text: str, y_text: str) -> list[tuple[float, float]]:
    """Points of two blank-separated lists; none where they are not of one length or hold something else.

    >>> points_of(" 10 12", " 5 6 ")
    [(10.0, 5.0), (12.0, 6.0)]
    """
    try:
        x_values, y_values = [float(text) for text in x_text.split()], [float(text) for text in y_text.split()]
    except ValueError:
        return []
    is_usable = len(x_values) == len(y_values) and all(math.isfinite(value) for value in (*x_values, *y_values))
    return list(zip(x_values, y_values, strict=True)) if is_usable else []


# Cases ---------------------------------------------------------------------------------------------------------------


def _case(study: str, members: Sequence[Mammogram]) -> Iterator[CuratedCase | LedgerEntry]:
    subset = members[0].subset
    patient = f"{subset.kind}{members[0].patient}"
    disputed = _disputed(members)
    for lesion in sorted(disputed):
        yield flagged("lesion", lesion, "conflicting_class", "its rows give it different classes", patient_key(CARD.name, patient))
    labels = [label for mammogram in members for label in _labels(study, mammogram, disputed)]
    for mammogram in members:
        if not mammogram.segmentations and not subset.is_normal:
            yield flagged("image", mammogram.key, "image_without_label", "listed, but not drawn on; that does not make it normal")
    ages = set().union(*(mammogram.ages for mammogram in members))
    is_negative = subset.is_normal and not labels
    yield public_case(
        CARD,
        patient=patient,
        study=study,
        series=[_series(study, mammogram) for mammogram in members],
        labels=labels,
        origin=origin_of(
            CARD,
            patient=patient,
            lesions=[label.lesion_id for label in labels],
            identifiers=[f"bcdr:{subset.kind}:{mammogram.name}" for mammogram in members],
        ),
        tier=Tier.EXPERT if labels else Tier.CASE_LEVEL,
        negative_reason=NEGATIVE if is_negative else None,
        age_years=ages.pop() if len(ages) == 1 else None,
        conflicts=sorted({conflict for mammogram in members for conflict in mammogram.conflicts}),
    )


def _disputed(members: Sequence[Mammogram]) -> set[str]:
    classes: dict[str, set[str | None]] = defaultdict(set)
    for mammogram in members:
        for segmentation in mammogram.segmentations:
            classes[segmentation.lesion].add(segmentation.diagnosis)
    return {lesion for lesion, stated in classes.items() if len(stated) > 1}


def _series(study: str, mammogram: Mammogram) -> Series:
    attributes: dict[str, FieldValue | None] = {**mammogram.values, "subset": mammogram.subset.name}
    return image_series(CARD, image=mammogram.key, study=study, path=mammogram.path, modality="MG", attributes=attributes)


def _labels(study: str, mammogram: Mammogram, disputed: set[str]) -> Iterator[WeakLabel]:
    by_lesion: dict[str, list[Segmentation]] = defaultdict(list)
    for segmentation in mammogram.segmentations:
        by_lesion[segmentation.lesion].append(segmentation)
    for lesion, segmentations in sorted(by_lesion.items()):
        for position, group in enumerate(overlapping(segmentations), start=1):
            yield _label(study, mammogram, group, f"{lesion}-{position}", lesion in disputed)


def overlapping(segmentations: Sequence[Segmentation]) -> list[list[Segmentation]]:
    """Segmentations of one lesion in one image by place: those that overlap are the same thing drawn again."""
    groups: list[list[Segmentation]] = []
    for segmentation in segmentations:
        touching = [group for group in groups if any(_overlap(segmentation.box, other.box) for other in group)]
        groups = [group for group in groups if group not in touching]
        groups.append([*(other for group in touching for other in group), segmentation])
    return sorted(groups, key=lambda group: min(one.row.number for one in group))


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _label(study: str, mammogram: Mammogram, group: Sequence[Segmentation], name: str, is_disputed: bool) -> WeakLabel:
    first = group[0]
    conflicts = (*mammogram.conflicts, *(("conflicting_class",) if is_disputed else ()))
    attributes: dict[str, FieldValue] = {"segmentations": len(group)}
    if any(one.is_microcalcification for one in group):
        attributes["is_microcalcification"] = True
    boxes = [one.box for one in group]
    series_key = image_key(CARD.name, mammogram.key)
    box = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    side = mammogram.values.get("laterality")
    return WeakLabel(
        label_id=f"{series_key}-{name}",
        lesion_id=first.lesion,
        case_id=case_key(CARD, study),
        status=first.status,
        side=None if side is None else str(side),
        tier=Tier.EXPERT,
        class_source="histopathology" if first.diagnosis else "not_stated",
        confidence=1.0,
        conflicts=conflicts,
        needs_review=bool(conflicts),
        evidence=tuple(Evidence(record_id=f"{one.table}:{one.row.number}", field="classification") for one in group),
        diagnosis=first.diagnosis,
        birads=first.birads,
        finding_types=tuple(sorted({finding for one in group for finding in one.findings})),
        attributes=attributes,
        series_key=series_key,
        pixel_box=pixel_box(box, series_key),
    )


def complete(case: CuratedCase) -> Completed:
    """Sizes of the images; outlines that reach beyond them are cut or lose their box, flagged."""
    return complete_images(case)


DATASET = PublicDataset(card=CARD, layouts=LAYOUTS, read=read, complete=complete)
