"""Mini-MIAS (UK, 1994): 322 digitised films of 161 women, circles around abnormalities in ``Info.txt``, origin at the bottom left."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from weakbox.datasets_public.cases import case_key, image_key, image_series, origin_of, patient_key, public_case
from weakbox.datasets_public.dataset import Access, CollectionSource, Completed, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.image_checks import complete_images, pixel_box
from weakbox.imaging.outlines import circle_from_below
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, PixelBox, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.text_encoding import choose_encoding

SIDE_PIXELS = 1024
"""Every image of the set is 1024 x 1024; the coordinates of the table hold for this size alone."""
NORMAL = "NORM"
TISSUES = {"F": "fatty", "G": "fatty_glandular", "D": "dense_glandular"}
"""Character of the background tissue: older than BI-RADS density, and not the same."""
FINDINGS = {
    "CALC": ("calcification", None),
    "CIRC": ("mass", "circumscribed"),
    "SPIC": ("mass", "spiculated"),
    "MISC": ("mass", "ill_defined"),
    "ARCH": ("architectural_distortion", None),
    "ASYM": ("asymmetry", None),
}
SEVERITIES = {"B": "benign", "M": "malignant"}
HEADER = ("REFNUM", "BG", "CLASS", "SEVERITY", "X", "Y", "RADIUS")
NEGATIVE = "stated_normal"
_NAME = re.compile(r"mdb(\d{3})")
_NOTE = re.compile(r"\*?\s*NOTE\s*\d*\s*\*?", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

CARD = DatasetCard(
    name="mias",
    title="MIAS",
    organ="breast",
    modalities=("MG",),
    licence="MIAS licence agreement (research)",
    licence_url="http://peipa.essex.ac.uk/info/mias.html",
    allows_commercial_use=False,
    access=Access.OPEN,
    how_to_obtain=(
        "Read the licence agreement at peipa.essex.ac.uk/info/mias.html, fetch all-mias.tar.gz from there and unpack it with "
        "its Info.txt (or README); or the Kaggle copy kmader/mias-mammography. The full-resolution set (MIAS v1.21, University "
        "of Cambridge repository) has other coordinates and is not read."
    ),
    homepage="http://peipa.essex.ac.uk/info/mias.html",
    citation=(
        "Suckling J, Parker J, Dance DR, et al. The Mammographic Image Analysis Society digital mammogram database. "
        "Exerpta Medica, International Congress Series 1994; 1069: 375-378."
    ),
    published={"patients": 161, "images": 322},
    annotations="circles (centre and radius) around abnormalities",
    label_basis="severity as the table states it; the table does not say what it rests on",
    good_for=("classification", "detection"),
    preference=8,
    traps=(
        "The origin of coordinates is the bottom left corner: y of the image is 1024 - y.",
        "Coordinates hold for 1024 x 1024 pixels alone: on a resized copy no box is drawn.",
        "Lines have three to seven fields: NORM lines, abnormalities without a place, *NOTE 3* instead of a place.",
        "Several lines may speak of one image, benign and malignant ones on the same image (mdb144).",
        "Two consecutive numbers are one woman (odd is right, even is left) and never part.",
        "Background tissue (F, G, D) is no BI-RADS density.",
        "The table does not say that severity was proven by tissue, so no label is called cancer.",
    ),
)

_IMAGES = Part(name="images", pattern="**/mdb*.{pgm,png,jpg,jpeg,tif,tiff,bmp}")
LAYOUTS = (
    Layout(name="info", signature=("table", "images"), parts=(Part(name="table", pattern="**/Info.{txt,csv}"), _IMAGES)),
    Layout(
        name="readme", signature=("table", "images"), parts=(Part(name="table", pattern="**/{README,00README,01README}{,.txt}"), _IMAGES)
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One line of the table. ``place`` is (x, y, radius) with y counted from the bottom."""

    number: int
    name: str
    tissue: str
    finding: str
    severity: str | None = None
    place: tuple[float, float, float] | None = None
    is_diffuse: bool = False

    @property
    def values(self) -> tuple[object, ...]:
        """What the line says, without where it stands."""
        return self.name, self.tissue, self.finding, self.severity, self.place, self.is_diffuse


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a film (which of a pair is normal must not be lost), and a label for each abnormality; a pair is one patient."""
    table = located.one("table")
    if table is None:
        msg = f"{located.folder}: no Info.txt; fetch it with the images"
        raise InputError(msg)
    films: dict[str, list[Film]] = defaultdict(list)
    for item in read_table(table):
        if isinstance(item, LedgerEntry):
            yield item
        elif any(item.values == other.values for other in films[item.name]):
            yield dropped("row", f"{table.name}:{item.number}", "repeated_row", "the same line came before")
        else:
            films[item.name].append(item)
    images = _Images(located.files.get("images", ()))
    yield from images.remarks
    yield from _absent(films, images)
    for name in sorted(films.keys() & images.paths.keys()):
        yield from _case(table, films[name], images.paths[name])


def pair_of(name: str) -> int:
    """The woman whose film it is: 1 and 2 are the first one's right and left breast.

    >>> pair_of("mdb001"), pair_of("mdb002"), pair_of("mdb003")
    (1, 1, 2)
    """
    return (int(name[3:]) + 1) // 2


def laterality(name: str) -> str:
    """Even numbers are left breasts, odd ones right (note 1 of the set's README).

    >>> laterality("mdb001")
    'right'
    """
    return "left" if int(name[3:]) % 2 == 0 else "right"


# The table -----------------------------------------------------------------------------------------------------------


def read_table(table: Path) -> Iterator[Film | LedgerEntry]:
    """The lines of ``Info.txt`` (or of the README that holds the same list); text around the list is passed over.

    Raises:
        InputError: the header names other columns, or there is no line of an image.
    """
    count = 0
    lines = table.read_text(encoding=choose_encoding(table, None)).splitlines()
    for number, line in enumerate(lines, start=1):
        fields = [field for field in re.split(r"[\s,;]+", _NOTE.sub(" NOTE ", line).strip()) if field]
        if not fields:
            continue
        if fields[0].upper() == HEADER[0]:
            _check_header(table, fields)
        elif _NAME.match(fields[0].casefold()):
            count += 1
            yield _film(table, number, fields)
        elif len(fields) >= 3 and fields[1] in TISSUES:
            yield dropped("row", f"{table.name}:{number}", "malformed_row", "its first field is no film (mdb and three digits)")
    if count == 0:
        msg = f"{table}: no line of a film; expected lines such as `mdb001 G CIRC B 535 425 197`"
        raise InputError(msg)


def _check_header(table: Path, fields: Sequence[str]) -> None:
    if tuple(field.upper() for field in fields) != HEADER:
        msg = f"{table}: the header names {' '.join(fields)}; expected {' '.join(HEADER)} in this order"
        raise InputError(msg)


def _film(table: Path, number: int, fields: Sequence[str]) -> Film | LedgerEntry:
    name, rest = fields[0].casefold(), fields[1:]
    if not _NAME.fullmatch(name) or len(rest) < 2:
        return _malformed(table, number, "expected 3 to 7 fields that begin with mdb and three digits")
    tissue, finding = rest[0].upper(), rest[1].upper()
    if tissue not in TISSUES or finding not in (NORMAL, *FINDINGS):
        return dropped("row", f"{table.name}:{number}", "unexpected_value", "a tissue or a class that the set does not have")
    if finding == NORMAL:
        return (
            _malformed(table, number, "more fields after NORM")
            if len(rest) > 2
            else Film(number=number, name=name, tissue=tissue, finding=finding)
        )
    return _abnormality(table, number, name, rest)


def _abnormality(table: Path, number: int, name: str, rest: Sequence[str]) -> Film | LedgerEntry:
    tissue, finding, severity, place = rest[0].upper(), rest[1].upper(), rest[2].upper() if len(rest) > 2 else None, rest[3:]
    if severity is not None and severity not in SEVERITIES:
        return dropped("row", f"{table.name}:{number}", "unexpected_value", "a severity that is neither B nor M")
    is_diffuse = bool(place) and place[0] == "NOTE"
    if len(place) not in ((1,) if is_diffuse else (0, 3)):
        return _malformed(table, number, f"{len(place)} fields where x, y and radius belong")
    if not is_diffuse and not all(_NUMBER.fullmatch(value) for value in place):
        return _malformed(table, number, "x, y or radius is no number")
    circle = None if is_diffuse or not place else (float(place[0]), float(place[1]), float(place[2]))
    if circle is not None and circle[2] <= 0:
        return _malformed(table, number, "a radius of 0")
    return Film(number=number, name=name, tissue=tissue, finding=finding, severity=severity, place=circle, is_diffuse=is_diffuse)


def _malformed(table: Path, number: int, detail: str) -> LedgerEntry:
    return dropped("row", f"{table.name}:{number}", "malformed_row", detail)


# Images --------------------------------------------------------------------------------------------------------------


class _Images:
    """The image of each film; a second copy in another format is left aside."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths: dict[str, Path] = {}
        self.remarks: list[LedgerEntry] = []
        for path in sorted(paths, key=lambda path: (path.suffix.casefold() != ".pgm", path)):
            name = path.stem.casefold()
            if not _NAME.fullmatch(name):
                self.remarks.append(dropped("file", path.name, "unknown_name", "no film of the mini-MIAS (mdb and three digits)"))
            elif name in self.paths:
                self.remarks.append(dropped("file", path.name, "repeated_image", f"the film is read from {self.paths[name].name}"))
            else:
                self.paths[name] = path


def _absent(films: Iterable[str], images: _Images) -> Iterator[LedgerEntry]:
    for name in sorted(set(films) - images.paths.keys()):
        yield dropped("image", name, "missing_image", "the table has a line, the folder no image")
    for name in sorted(images.paths.keys() - set(films)):
        yield dropped("image", name, "image_without_row", "the table has no line for it")


# Cases ---------------------------------------------------------------------------------------------------------------


def _case(table: Path, rows: Sequence[Film], path: Path) -> Iterator[CuratedCase | LedgerEntry]:
    name = rows[0].name
    patient = f"{pair_of(name):03d}"
    conflicts = _conflicts(rows)
    for conflict in conflicts:
        yield flagged("image", name, conflict, "lines of one image contradict each other", patient_key(CARD.name, patient))
    labels = list(_labels(table, rows))
    yield public_case(
        CARD,
        patient=patient,
        study=name,
        series=[_series(rows, path)],
        labels=labels,
        origin=origin_of(CARD, patient=patient, identifiers=[f"mias:{name}"]),
        tier=Tier.EXPERT if any(label.pixel_box for label in labels) else Tier.CASE_LEVEL,
        negative_reason=None if labels else NEGATIVE,
        sex="F",
        conflicts=conflicts,
    )


def _conflicts(rows: Sequence[Film]) -> list[str]:
    conflicts = []
    if len({row.tissue for row in rows}) > 1:
        conflicts.append("conflicting_tissue")
    if len({row.finding == NORMAL for row in rows}) > 1:
        conflicts.append("normal_and_abnormal")
    if any(_contradicts(row, rows) for row in rows):
        conflicts.append("conflicting_rows")
    return conflicts


def _contradicts(row: Film, rows: Sequence[Film]) -> bool:
    """Whether another line says something else of the same circle."""
    return row.place is not None and any(other is not row and other.place == row.place for other in rows)


def _series(rows: Sequence[Film], path: Path) -> Series:
    name = rows[0].name
    attributes = {"laterality": laterality(name), "view": "MLO", "background_tissue": TISSUES[rows[0].tissue]}
    return image_series(CARD, image=name, study=name, path=path, modality="MG", attributes=attributes)


def _labels(table: Path, rows: Sequence[Film]) -> Iterator[WeakLabel]:
    conflicts = tuple(conflict for conflict in _conflicts(rows) if conflict != "conflicting_tissue")
    abnormalities = [row for row in rows if row.finding != NORMAL]
    for position, row in enumerate(abnormalities, start=1):
        lesion = f"{row.name}-{position}"
        kind, margins = FINDINGS[row.finding]
        box = box_of(row)
        attributes: dict[str, FieldValue] = {"abnormality_class": row.finding}
        if margins is not None:
            attributes["mass_margins"] = margins
        if row.is_diffuse:
            attributes["distribution"] = "diffuse"
        concerned = tuple(name for name in conflicts if name != "conflicting_rows" or _contradicts(row, rows))
        yield WeakLabel(
            label_id=image_key(CARD.name, lesion),
            lesion_id=lesion,
            case_id=case_key(CARD, row.name),
            status=LesionStatus.UNTESTED,
            side=laterality(row.name),
            tier=Tier.EXPERT if box else Tier.CASE_LEVEL,
            class_source="not_stated",
            confidence=1.0,
            conflicts=concerned,
            needs_review=bool(concerned),
            evidence=(Evidence(record_id=f"{table.name}:{row.number}", field="SEVERITY"),),
            diagnosis=SEVERITIES[row.severity] if row.severity else None,
            finding_types=(kind,),
            attributes=attributes,
            series_key=image_key(CARD.name, row.name),
            pixel_box=box,
        )


def box_of(row: Film) -> PixelBox | None:
    """The square around the circle, in pixels of the image from its upper left corner; None where no place is stated.

    The set's README puts the origin at the bottom left, so y is turned. Whether it counts from 0 or 1 it does not say; at
    200 micrometres a pixel, half a pixel does not matter.
    """
    if row.place is None:
        return None
    x, y, radius = row.place
    return pixel_box(circle_from_below(x, y, radius, SIDE_PIXELS), image_key(CARD.name, row.name))


def complete(case: CuratedCase) -> Completed:
    """Sizes of the films, boxes cut at their edges; no box on a film that is not 1024 x 1024."""
    return complete_images(case, expected=((SIDE_PIXELS, SIDE_PIXELS),))


DATASET = PublicDataset(
    card=CARD,
    layouts=LAYOUTS,
    read=read,
    complete=complete,
    collection=(CollectionSource(client="kaggle", request={"collection": "kmader/mias-mammography"}, brings="images and table"),),
)
