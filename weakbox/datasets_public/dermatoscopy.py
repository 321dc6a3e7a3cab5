"""What the readers of dermatoscopic sets share: images by their ISIC name, cells in one vocabulary, cases, and boxes from masks.

All these sets take their images from the ISIC Archive, so an image, a lesion and a patient have one name in all of them: identifiers and
group ids carry the archive's names (``isic:ISIC_0024306``, ``lesion:isic:HAM_0000118``), whatever set a case comes from.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from weakbox.datasets_public.cases import case_key, image_key, image_series, origin_of, public_case
from weakbox.datasets_public.dataset import DatasetCard, Located
from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, MaskFile, Origin, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows
from weakbox.terminology.dermatology import Malignancy, age_of, class_diagnosis, is_stated, malignancy_of, sex_of

NOT_STATED = "not_stated"
SOURCE = "isic"
"""What messages about tables call the reader."""
SPLITS = {"training": "train", "validation": "validation", "test": "test"}

_NAME = re.compile(r"(ISIC_\d{7,})(_downsampled)?(?:\.(?:jpe?g|png|tiff?|dcm))?", re.IGNORECASE)
_SPLIT = re.compile(r"ISIC.*_(Training|Validation|Test)_.*", re.IGNORECASE)
_OPPOSITE = {Malignancy.MALIGNANT: Malignancy.BENIGN, Malignancy.BENIGN: Malignancy.MALIGNANT}
_STATUS = {Malignancy.MALIGNANT: LesionStatus.CANCER, Malignancy.BENIGN: LesionStatus.BENIGN}
_FORMATS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm")

Parsed = TypeVar("Parsed")


def image_name(text: str) -> str | None:
    """The image's name in a cell or file name, without ending; None where it is no image's name (masks, superpixels).

    >>> image_name("isic_0000001.JPG"), image_name("ISIC_0012653_downsampled"), image_name("ISIC_0000001_segmentation.png")
    ('ISIC_0000001', 'ISIC_0012653_downsampled', None)
    """
    match = _NAME.fullmatch(text.strip())
    return match[1].upper() + (match[2] or "").lower() if match else None


def archive_name(image: str) -> str:
    """The archive's name of an image; ISIC 2019 scaled some down and says so in their names.

    >>> archive_name("ISIC_0012653_downsampled")
    'ISIC_0012653'
    """
    return image.removesuffix("_downsampled")


def split_of(path: Path) -> str | None:
    """The official part of a challenge's file by its name or its folder's (``ISIC2018_Task3_Training_Input``); None where neither says."""
    for name in (path.name, *(parent.name for parent in path.parents)):
        match = _SPLIT.fullmatch(name)
        if match:
            return SPLITS[match[1].casefold()]
    return None


# Files ----------------------------------------------------------------------------------------------------------------


class Pictures:
    """Image files by their names. One name under several paths is one image: the first format and path counts.

    ``others`` are images that may belong to another set in the same root: they help out, and nobody wonders where they are not used.
    """

    def __init__(self, paths: Iterable[Path], others: Iterable[Path] = ()) -> None:
        self._paths = _by_name(paths)
        self._others = _by_name(others)
        self._archive_names = {archive_name(name): name for paths in (self._others, self._paths) for name in paths}
        self._used: set[str] = set()

    def find(self, image: str) -> Path | None:
        """Where an image lies, also under its name in the archive; None where it does not."""
        for name in (image, self._archive_names.get(archive_name(image), image)):
            for paths in (self._paths, self._others):
                if name in paths:
                    self._used.add(name)
                    return paths[name][0]
        return None

    def names(self) -> Iterator[str]:
        """Every image, sorted."""
        yield from self._paths

    def remarks(self) -> Iterator[LedgerEntry]:
        """Files that were not used: further copies of a name, and images that no row speaks of. Ask after all rows were read."""
        for name, paths in self._paths.items():
            for path in paths[1:]:
                yield flagged("file", path.name, "repeated_file", f"{len(paths)} files have this name; {paths[0].parent.name} is used")
            if name not in self._used:
                yield dropped("file", paths[0].name, "image_without_row", "no table speaks of this image")


def pictures_of(located: Located, tables: Iterable[Path]) -> Pictures:
    """A set's images: those beside its tables, then whatever else was found."""
    near, far = beside(tables, located.files["images"], located.folder)
    return Pictures(near, far)


def beside(tables: Iterable[Path], files: Iterable[Path], top: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Files below the smallest folder around a table that holds any of them, and the rest.

    All these sets call their images alike, so that one root with several of them must not mix them.
    """
    texts = {str(file): file for file in files}
    near: set[str] = set()
    for table in tables:
        folder, found = table.parent, set[str]()
        while not found:
            found = {text for text in texts if text.startswith(f"{folder}{os.sep}")}
            if folder in (top, folder.parent):
                break
            folder = folder.parent
        near |= found
    return tuple(texts[text] for text in sorted(near)), tuple(texts[text] for text in sorted(set(texts) - near))


def _by_name(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        name = image_name(path.name)
        if name is not None:
            found[name].append(path)
    return {name: sorted(same, key=_rank) if len(same) > 1 else same for name, same in sorted(found.items())}


def _rank(path: Path) -> tuple[int, str]:
    suffix = path.suffix.lower()
    return _FORMATS.index(suffix) if suffix in _FORMATS else len(_FORMATS), str(path)


STRUCTURES = ("pigment_network", "negative_network", "streaks", "milia_like_cyst", "globules")
"""Dermoscopic structures that ISIC 2018 Task 2 draws."""

_MASK = re.compile(rf"(ISIC_\d{{7,}}(?:_downsampled)?)_(?:segmentation|attribute_({'|'.join(STRUCTURES)}))\.\w+", re.IGNORECASE)


def masks_by_image(paths: Iterable[Path]) -> dict[str, tuple[SkinMask, ...]]:
    """Mask files of each image, the lesion's first; of a file under two paths the first counts."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(paths):
        match = _MASK.fullmatch(path.name)
        name = image_name(match[1]) if match else None
        if match and name:
            found.setdefault((name, (match[2] or "").lower()), path)
    masks: dict[str, list[SkinMask]] = defaultdict(list)
    for (name, finding), path in sorted(found.items()):
        masks[name].append(SkinMask(path=path, finding=finding or None))
    return {name: tuple(several) for name, several in masks.items()}


def unused_masks(masks: Mapping[str, tuple[SkinMask, ...]], read_images: Container[str]) -> Iterator[LedgerEntry]:
    """A ledger row for each mask of an image that no case has."""
    for name, several in masks.items():
        if name not in read_images:
            for mask in several:
                yield dropped("file", mask.path.name, "mask_without_image", "no image or row of that name")


# Tables ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """A row about one image."""

    image: str
    table: str
    row: Row
    is_repeated: bool = False

    def evidence(self, column: str) -> tuple[Evidence, ...]:
        """Where a value stands."""
        return (Evidence(record_id=f"{self.table}:{self.row.number}", field=column),)

    def stated(self, column: str) -> str | None:
        """A cell; None where it is empty or says ``unknown``."""
        text = self.row.text(column)
        return text if is_stated(text) else None


def image_rows(path: Path, columns: Columns, name_column: str) -> Iterator[ImageRow | LedgerEntry]:
    """A table's rows with the image that each is about; ledger rows for those that name none. Rows of a repeated image come last, together.

    Raises:
        InputError: what ``read_rows`` raises.
    """
    counts = Counter(_names(path, columns, name_column))
    repeated: dict[str, list[ImageRow]] = defaultdict(list)
    for row in read_rows(TableOptions(source=SOURCE, path=path), columns, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        name = image_name(row.raw(name_column))
        if name is None:
            yield dropped("row", f"{path.name}:{row.number}", "no_image_name", f"`{name_column}` names no ISIC image")
        elif counts[name] > 1:
            repeated[name].append(ImageRow(image=name, table=path.name, row=row, is_repeated=True))
        else:
            yield ImageRow(image=name, table=path.name, row=row)
    for name in sorted(repeated):
        yield from repeated[name]


def _names(path: Path, columns: Columns, name_column: str) -> Iterator[str]:
    for row in read_rows(TableOptions(source=SOURCE, path=path), columns, "row"):
        name = None if isinstance(row, LedgerEntry) else image_name(row.raw(name_column))
        if name is not None:
            yield name


def rows_of_images(rows: Iterable[ImageRow | LedgerEntry]) -> Iterator[tuple[ImageRow, ...] | LedgerEntry]:
    """The different rows of each image together; an exact repeat is passed over with a remark."""
    waiting: list[ImageRow] = []
    for item in rows:
        if isinstance(item, LedgerEntry):
            yield item
        elif waiting and waiting[0].image == item.image:
            if any(item.row.cells == other.row.cells for other in waiting):
                yield flagged("row", f"{item.table}:{item.row.number}", "repeated_row", "says the same as a row before it")
            else:
                waiting.append(item)
        else:
            if waiting:
                yield tuple(waiting)
            waiting = [item]
    if waiting:
        yield tuple(waiting)


def classes_of(row: Row, codes: Iterable[str]) -> tuple[str, ...]:
    """The diagnoses that a one-hot row marks, in the order of ``codes``; none, or several, where the table says so.

    Raises:
        ValueError: a cell is neither 0 nor 1.
    """
    marked = []
    for code in codes:
        text = row.text(code)
        number = float(text) if text else 0.0
        if number not in (0.0, 1.0):
            raise ValueError(f"`{code}` must be 0 or 1, got {text!r}")
        if number == 1.0:
            marked.append(class_diagnosis(code))
    return tuple(marked)


class Cells:
    """Parses cells of a row; what cannot be parsed is left out, with a remark."""

    def __init__(self, row: ImageRow) -> None:
        self.row = row
        self.remarks: list[LedgerEntry] = []

    def parsed(self, column: str, parse: Callable[[str], Parsed]) -> Parsed | None:
        """The cell's value, None where it is not stated or cannot be understood."""
        text = self.row.stated(column)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as problem:
            item = f"{self.row.table}:{self.row.row.number}"
            self.remarks.append(flagged("row", item, "unexpected_value", f"`{column}`: {problem}"))
            return None

    def age(self, column: str) -> float | None:
        """Years."""
        return self.parsed(column, age_of)

    def sex(self, column: str) -> str | None:
        """``F`` or ``M``."""
        return self.parsed(column, sex_of)

    def site(self, column: str) -> str | None:
        """Part of the body, as the set names it."""
        return self.parsed(column, str.casefold)


# Cases ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One class that a table states of an image's lesion. ``malignancy`` only where the set states it itself."""

    diagnosis: str
    malignancy: Malignancy | None = None
    class_source: str = NOT_STATED
    attributes: Mapping[str, FieldValue] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinMask:
    """A mask file: of the lesion, or of a dermoscopic structure in it (``finding``)."""

    path: Path
    finding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinImage:
    """Everything that a set states of one image."""

    image: str
    path: Path
    patients: tuple[str, ...] = ()
    lesions: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    masks: tuple[SkinMask, ...] = ()
    age_years: float | None = None
    sex: str | None = None
    attributes: Mapping[str, FieldValue | None] = field(default_factory=dict)
    official_split: str | None = None
    licence: str | None = None
    attribution: str = ""
    copies: tuple[str, ...] = ()
    """Names of groups of copies that the set itself lists."""
    conflicts: tuple[str, ...] = ()


def one_hot_statements(
    rows: Iterable[ImageRow], codes: Iterable[str], class_source: str = NOT_STATED
) -> Generator[LedgerEntry, None, tuple[Statement, ...]]:
    """Yields a ledger row for every row that marks no class or cannot be read; returns what the others state, each diagnosis once."""
    codes = tuple(codes)
    found: dict[str, Statement] = {}
    for row in rows:
        item = f"{row.table}:{row.row.number}"
        try:
            diagnoses = classes_of(row.row, codes)
        except ValueError as problem:
            yield dropped("row", item, "unexpected_value", str(problem))
            continue
        if not diagnoses:
            yield dropped("row", item, "no_class", "no class is marked")
        for diagnosis in diagnoses:
            code = next(code for code in codes if class_diagnosis(code) == diagnosis)
            found.setdefault(diagnosis, Statement(diagnosis=diagnosis, class_source=class_source, evidence=row.evidence(code)))
    return tuple(found.values())


def skin_case(card: DatasetCard, image: SkinImage) -> CuratedCase:
    """The case of one image: a label for each statement (usually one) with the lesion's mask, and one for each structure's mask."""
    series = image_series(card, image=image.image, study=image.image, path=image.path, modality="DMS", attributes=image.attributes)
    conflicts = _conflicts(image)
    labels = (*_lesion_labels(card, image, series, conflicts), *_structure_labels(card, image, series))
    return replace(
        public_case(
            card,
            patient=next(iter((*image.patients, *image.lesions)), image.image),
            study=image.image,
            series=(series,),
            labels=labels,
            origin=_origin(card, image),
            tier=Tier.EXPERT if image.masks else Tier.CASE_LEVEL,
            age_years=image.age_years,
            sex=image.sex,
            conflicts=conflicts,
        ),
        needs_review=bool(conflicts),
    )


def conflict_remark(case: CuratedCase) -> Iterator[LedgerEntry]:
    """The remark on a case whose rows contradict each other."""
    if case.conflicts:
        yield flagged("case", case.case_id, "conflicting_labels", ", ".join(case.conflicts))


def _conflicts(image: SkinImage) -> tuple[str, ...]:
    found = set(image.conflicts)
    if len({statement.diagnosis for statement in image.statements}) > 1:
        found.add("several_diagnoses")
    for statement in image.statements:
        published = malignancy_of(statement.diagnosis)
        if statement.malignancy is not None and published is not None and _OPPOSITE.get(statement.malignancy) is published:
            found.add("malignancy_disagrees_with_diagnosis")
    return tuple(sorted(found))


def _origin(card: DatasetCard, image: SkinImage) -> Origin:
    name = archive_name(image.image)
    groups = {f"patient:isic:{patient}" for patient in image.patients}
    groups |= {f"lesion:isic:{lesion}" for lesion in image.lesions}
    groups |= {f"copies:{card.name}:{copies}" for copies in image.copies}
    identifiers = (f"isic:{name}", *(f"{card.name}_copies:{copies}" for copies in image.copies))
    origin = origin_of(
        card,
        patient=None,
        identifiers=identifiers,
        official_split=image.official_split,
        licence=image.licence,
        attribution=image.attribution,
    )
    return replace(origin, group_ids=tuple(sorted(groups)))


def _lesion_labels(card: DatasetCard, image: SkinImage, series: Series, conflicts: tuple[str, ...]) -> Iterator[WeakLabel]:
    mask = next((mask for mask in image.masks if mask.finding is None), None)
    statements: tuple[Statement | None, ...] = image.statements or ((None,) if mask else ())
    for number, statement in enumerate(statements, start=1):
        label = _bare_label(card, image, series, f"lesion-{number}", mask)
        yield replace(_stating(label, statement) if statement else label, conflicts=conflicts, needs_review=bool(conflicts))


def _structure_labels(card: DatasetCard, image: SkinImage, series: Series) -> Iterator[WeakLabel]:
    for mask in image.masks:
        if mask.finding is not None:
            yield replace(_bare_label(card, image, series, mask.finding, mask), finding_types=(mask.finding,))


def _bare_label(card: DatasetCard, image: SkinImage, series: Series, name: str, mask: SkinMask | None) -> WeakLabel:
    case_id = case_key(card, image.image)
    return WeakLabel(
        label_id=f"{case_id}/{name}",
        lesion_id=image_key(card.name, next(iter(image.lesions), image.image)),
        case_id=case_id,
        status=LesionStatus.UNTESTED,
        tier=Tier.EXPERT if mask else Tier.CASE_LEVEL,
        centre_source="mask" if mask else None,
        size_source="mask" if mask else None,
        class_source=NOT_STATED,
        confidence=1.0,
        series_key=series.key,
        mask=MaskFile(path=str(mask.path), series_key=series.key) if mask else None,
        evidence=(Evidence(record_id=mask.path.name, field="mask"),) if mask else (),
    )


def _stating(label: WeakLabel, statement: Statement) -> WeakLabel:
    malignancy = statement.malignancy or malignancy_of(statement.diagnosis)
    is_tissue = statement.class_source == "histopathology" and malignancy is not None
    attributes = dict(statement.attributes)
    if statement.malignancy is not None:
        attributes["malignancy"] = statement.malignancy.value
    return replace(
        label,
        diagnosis=statement.diagnosis,
        status=_STATUS.get(malignancy, LesionStatus.UNTESTED) if is_tissue and malignancy else LesionStatus.UNTESTED,
        class_source=statement.class_source,
        attributes=attributes,
        evidence=(*statement.evidence, *label.evidence),
    )
