"""DDSM: scanned film mammograms with ``.ics`` case sheets and ``.OVERLAY`` outlines, read beside images that the user converted.

The images came as headerless lossless JPEG (``.LJPEG``) of a codec that no library here decodes; ``docs/datasets.md`` and the card
say which converters do. One case is one examination; one label is one outline of a film's overlay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from weakbox.datasets_public.cases import case_key, cell, image_key, image_series, origin_of, public_case
from weakbox.datasets_public.dataset import Access, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.ddsm_files import (
    CaseSheet,
    Film,
    FilmName,
    Marking,
    Overlay,
    case_of,
    film_of,
    films_of,
    outlines_found,
    read_case_sheet,
    read_overlay,
    volume_of,
)
from weakbox.datasets_public.ddsm_images import complete_case
from weakbox.datasets_public.ddsm_words import PATHOLOGIES, Pathology, pathology_of, subtlety_of
from weakbox.datasets_public.image_checks import without_box
from weakbox.imaging.outlines import box_of_pixels, chain_outline
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, PixelBox, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.terminology.mammography import birads_of, density_of

ENDINGS = (".png", ".tif", ".tiff", ".pgm", ".jpg", ".jpeg")
"""Of converted images; the first of several is used."""
NEGATIVE = "a case of the normal volumes"
CARD = DatasetCard(
    name="ddsm",
    title="DDSM",
    organ="breast",
    modalities=("MG",),
    licence="none stated",
    licence_url="http://www.eng.usf.edu/cvprg/Mammography/Database.html",
    access=Access.OPEN,
    how_to_obtain=(
        "Mirror the volumes of the University of South Florida (pub/DDSM/cases), and convert each .LJPEG with the .ics beside it, for "
        "example with github.com/aaalgo/ljpeg (`./ljpeg.py A_1141_1.LEFT_CC.LJPEG A_1141_1.LEFT_CC.tiff`) or "
        "github.com/multinormal/ddsm (PNG); "
        "keep the file names and leave the converted images at full size beside their .ics and .OVERLAY files"
    ),
    homepage="http://www.eng.usf.edu/cvprg/Mammography/Database.html",
    citation=(
        "Heath M, Bowyer K, Kopans D, Moore R, Kegelmeyer WP. The Digital Database for Screening Mammography. In: Proceedings of the "
        "Fifth International Workshop on Digital Mammography, Medical Physics Publishing, 2001, 212-218."
    ),
    published={"cases": 2620},
    annotations="outlines (chain codes)",
    label_basis="pathology word: histopathology for malignant, mostly for benign, none for benign without callback",
    good_for=("detection", "classification", "screening"),
    preference=9,
    traps=(
        "images are LJPEG of an old codec: converted files are read, and unconverted ones are counted",
        "LJPEG files can state width and height swapped: an image converted without its .ics is scrambled, and is left out",
        "outlines are in pixels of the full scan: scaled on a smaller copy of the same proportions, not used on any other",
        "chain codes start with column and row; 0 is up, then clockwise; a line without its closing # is cut off and gives no box",
        "an abnormality can have two LESION_TYPE lines, and CORE outlines inside its BOUNDARY: the boundary gives the box",
        "TOTAL_OUTLINES and TOTAL_ABNORMALITIES are wrong in some files: what is there counts, and the file is flagged",
        "folder numbers are given to several patients: patients are institution letter and number",
        "18 cases lie in two volumes, 4 of them as cancer and as benign: read as one case, the volume says nothing of them",
        "two case folders hold an overlay of another case: an overlay is only used where its own case lies",
        "the .ics announces an overlay that is not there, or none that is: flagged; such a film is not taken for a negative",
        "benign is pathology-proven in most cases only, benign without callback never; both stay without a tissue status",
        "the women of CBIS-DDSM are in here: do not use both without a check for near-duplicates",
    ),
)


@record
class Found:
    """What lies on disk, by names."""

    sheets: Mapping[str, CaseSheet]
    """By case."""
    scans: Mapping[str, Mapping[Path, Film]]
    """By film and folder: what the sheet of each folder says of it."""
    overlays: Mapping[str, tuple[tuple[Path, Overlay], ...]]
    """By film; several where a case lies in two volumes."""
    images: Mapping[str, Mapping[str, tuple[FilmName, tuple[Path, ...]]]]
    """By case and film: a film's converted images, the one to use first."""
    compressed: frozenset[str]


@record
class Examination:
    """One case: its sheet and the films that are there as images."""

    name: str
    """``A-1141-1``."""
    sheet: CaseSheet | None
    listed: Mapping[str, Film]
    """What the sheet says of each film, by the film's name."""
    images: Mapping[str, tuple[FilmName, tuple[Path, ...]]]

    @property
    def patient(self) -> str:
        """Institution and number."""
        return self.name.rpartition("-")[0]


def _read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    entries: list[LedgerEntry] = []
    scans: dict[str, dict[Path, Film]] = defaultdict(dict)
    found = Found(
        sheets=_sheets(located, scans, entries),
        scans=scans,
        overlays=_overlays(located, entries),
        images=_images(located.files["images"]),
        compressed=frozenset(film.name for film in map(film_of, (path.name for path in located.files["compressed"])) if film),
    )
    if found.compressed and not found.images:
        msg = f"{located.folder}: {len(found.compressed)} films of {CARD.title} and none converted. {CARD.how_to_obtain}"
        raise InputError(msg)
    yield from entries
    accounted: set[str] = set()
    for case in sorted({*found.sheets, *found.images}):
        examination = _examination(case, found)
        accounted.update(examination.listed, examination.images)
        yield from _remarks(examination, found)
        if examination.images:
            yield from _case(examination, found, located.folder)
    for film in sorted(set(found.overlays) - accounted):
        yield flagged("file", found.overlays[film][0][0].name, "overlay_without_image", "neither an image nor an .ics knows its film")


def _examination(case: str, found: Found) -> Examination:
    sheet = found.sheets.get(case)
    return Examination(
        name=case,
        sheet=sheet,
        listed={film.name: facts for film, facts in (films_of(sheet, case) if sheet else ())},
        images=found.images.get(case, {}),
    )


# Files --------------------------------------------------------------------------------------------------------------


def _sheets(located: Located, scans: dict[str, dict[Path, Film]], entries: list[LedgerEntry]) -> dict[str, CaseSheet]:
    """Sheets by case; of a case in two volumes the first, with the overlays that either announces."""
    sheets: dict[str, CaseSheet] = {}
    for path in located.files["sheets"]:
        case = case_of(path.name)
        if case is None:
            continue
        try:
            sheet = read_case_sheet(path.read_text(encoding="latin-1"))
        except ValueError:
            entries.append(dropped("file", path.name, "unreadable_ics", "it lists no film with its size"))
            continue
        for film, facts in films_of(sheet, case):
            scans[film.name][path.parent] = facts
        if case in sheets:
            entries.append(flagged("case", case, "repeated_case_sheet", "the case lies in two places; they are read as one"))
            sheet = _joined(sheets[case], sheet)
        sheets[case] = sheet
    return sheets


def _joined(first: CaseSheet, second: CaseSheet) -> CaseSheet:
    announced = {name for sheet in (first, second) for name, film in sheet.films.items() if film.has_overlay}
    return replace(first, films={name: replace(film, has_overlay=name in announced) for name, film in first.films.items()})


def _overlays(located: Located, entries: list[LedgerEntry]) -> dict[str, tuple[tuple[Path, Overlay], ...]]:
    """Overlays by film. One in the folder of another case is not used: the name or the place is wrong."""
    cases_in: dict[Path, set[str | None]] = defaultdict(set)
    for path in located.files["sheets"]:
        cases_in[path.parent].add(case_of(path.name))
    overlays: dict[str, tuple[tuple[Path, Overlay], ...]] = {}
    for path in located.files["overlays"]:
        film = film_of(path.name)
        if film is None:
            continue
        if path.parent in cases_in and film.case not in cases_in[path.parent]:
            entries.append(dropped("file", path.name, "foreign_overlay", "it lies in the folder of another case"))
            continue
        try:
            overlay = read_overlay(path.read_text(encoding="latin-1"))
        except ValueError:
            entries.append(dropped("file", path.name, "unreadable_overlay", "it names no abnormality that can be read"))
            continue
        overlays[film.name] = (*overlays.get(film.name, ()), (path, overlay))
    return overlays


def _images(paths: Iterable[Path]) -> dict[str, dict[str, tuple[FilmName, tuple[Path, ...]]]]:
    """Converted images by case and film; masks that converters write beside them are left out."""
    images: dict[str, dict[str, tuple[FilmName, tuple[Path, ...]]]] = defaultdict(dict)
    for path in sorted(paths, key=lambda path: (ENDINGS.index(path.suffix.lower()), path)):
        film = film_of(path.name)
        if film is not None and "mask" not in path.name.casefold():
            of_case = images[film.case]
            of_case[film.name] = (film, (*of_case.get(film.name, (film, ()))[1], path))
    return images


# Cases --------------------------------------------------------------------------------------------------------------


def _remarks(examination: Examination, found: Found) -> Iterator[LedgerEntry]:
    """What is missing, or not as the sheet says."""
    patient, images = examination.patient, examination.images
    if examination.sheet is None:
        yield flagged("case", examination.name, "missing_ics", "sizes of its films are unknown: outlines give no box", patient)
    for name, facts in sorted(examination.listed.items()):
        if name not in images:
            reason = "not_converted" if name in found.compressed else "missing_image"
            yield dropped("image", name, reason, "its .ics lists it, and no converted image is there", patient)
        elif facts.has_overlay and name not in found.overlays:
            yield flagged("image", name, "missing_overlay", "its .ics announces an overlay", patient)
        elif name in found.overlays and not facts.has_overlay:
            yield flagged("image", name, "unexpected_overlay", "its .ics announces none; it is used", patient)
    for name, (_, paths) in sorted(images.items()):
        if examination.sheet is not None and name not in examination.listed:
            yield flagged("image", name, "film_not_listed", "its .ics does not list it: outlines give no box", patient)
        if len(paths) > 1:
            yield flagged("image", name, "several_files", f"{len(paths)} converted images; {paths[0].suffix} is used", patient)


def _case(examination: Examination, found: Found, folder: Path) -> Iterator[CuratedCase | LedgerEntry]:
    patient, sheet = examination.patient, examination.sheet
    labels: list[WeakLabel] = []
    for _, (film, _) in sorted(examination.images.items()):
        more, entries = _labels(film, _usable(film, examination, found, folder))
        yield from entries
        labels += more
    density, remark = _density(examination)
    yield from remark
    volume = _volume(examination, found, folder)
    lacks_overlay = any(facts.has_overlay and name not in found.overlays for name, facts in examination.listed.items())
    conflict = None if lacks_overlay else _disagreement(volume, labels)
    if conflict:
        yield flagged("case", examination.name, "volume_disagrees", conflict, patient)
    is_negative = volume == "normal" and not labels and not lacks_overlay
    if not labels and volume in _OF_VOLUME:
        labels = [_of_volume(examination.name, volume, _OF_VOLUME[volume])]
    yield public_case(
        CARD,
        patient=patient,
        study=examination.name,
        series=[_series(film, paths[0], examination, density) for film, paths in examination.images.values()],
        labels=labels,
        origin=origin_of(CARD, patient=patient, identifiers=[f"ddsm:{examination.name}"]),
        negative_reason=NEGATIVE if is_negative else None,
        age_years=sheet.age_years if sheet else None,
        conflicts=("volume_disagrees",) if conflict else (),
    )


def _density(examination: Examination) -> tuple[str | None, tuple[LedgerEntry, ...]]:
    try:
        return cell(density_of, examination.sheet.density if examination.sheet else None), ()
    except ValueError:
        detail = "the value is outside its scale and is left out"
        return None, (flagged("case", examination.name, "unknown_density", detail, examination.patient),)


def _series(film: FilmName, path: Path, examination: Examination, density: str | None) -> Series:
    """A film's image; ``columns`` and ``rows`` are those of the scan until the file is opened."""
    sheet, facts = examination.sheet, examination.listed.get(film.name)
    attributes: dict[str, FieldValue | None] = {"laterality": film.side.lower(), "view": film.view, "breast_density": density}
    if sheet is not None:
        attributes.update(digitizer=sheet.digitizer, film_type=sheet.film_type)
    if facts is not None:
        attributes.update(columns=facts.columns, rows=facts.rows, resolution_um=facts.resolution_um)
    return image_series(CARD, image=film.name, study=examination.name, path=path, modality="MG", attributes=attributes)


def _volume(examination: Examination, found: Found, folder: Path) -> str | None:
    """The volume that a case's files lie in; None where folders do not tell, or tell different ones."""
    images = [path.parent for _, paths in examination.images.values() for path in paths]
    overlays = [path.parent for film in examination.images for path, _ in found.overlays.get(film, ())]
    sheets = [place for film in examination.images for place in found.scans.get(film, ())]
    below = {PurePath(folder.name, place.relative_to(folder)).as_posix() for place in (*images, *overlays, *sheets)}
    volumes = {volume_of(f"{place}/") for place in below} - {None}
    return volumes.pop() if len(volumes) == 1 else None


_OF_VOLUME = {
    "cancer": PATHOLOGIES["MALIGNANT"],
    "benign": PATHOLOGIES["BENIGN"],
    "benign_without_callback": PATHOLOGIES["BENIGN_WITHOUT_CALLBACK"],
}


def _disagreement(volume: str | None, labels: Sequence[WeakLabel]) -> str | None:
    is_malignant = any(label.diagnosis == "malignant" for label in labels)
    if volume == "normal" and labels:
        return "a normal volume, and a marked abnormality"
    if volume in ("benign", "benign_without_callback") and is_malignant:
        return f"a {volume} volume, and a malignant abnormality"
    if volume == "cancer" and labels and not is_malignant:
        return "a cancer volume, and no abnormality of these films is malignant"
    return None


def _of_volume(case: str, volume: str, pathology: Pathology) -> WeakLabel:
    """What the volume says of the patient, where no film here has an overlay; not of any one image."""
    return WeakLabel(
        label_id=f"{CARD.name}/{case}",
        lesion_id=f"{CARD.name}/{case}",
        case_id=case_key(CARD, case),
        status=pathology.status,
        class_source=pathology.source,
        confidence=1.0,
        evidence=(Evidence(record_id=f"folder:{volume}", field="volume"),),
        diagnosis=pathology.diagnosis,
        attributes={"label_scope": "patient"},
    )


# Labels -------------------------------------------------------------------------------------------------------------


@record
class Place:
    """An abnormality of a film: the overlay file that marks it, and its number there."""

    file: str
    number: int
    marking: Marking
    has_size: bool
    """Whether its outlines are in pixels of a scan whose size is that of the film."""
    conflicts: tuple[str, ...] = ()


def _usable(film: FilmName, examination: Examination, found: Found, folder: Path) -> list[tuple[str, Overlay, bool]]:
    """A film's overlays: path below the set's folder, content, and whether they count pixels of the scan that the first sheet describes."""
    facts = examination.listed.get(film.name)
    usable: list[tuple[str, Overlay, bool]] = []
    for path, overlay in found.overlays.get(film.name, ()):
        own = found.scans.get(film.name, {}).get(path.parent, facts)
        is_same_scan = facts is not None and own is not None and (own.columns, own.rows) == (facts.columns, facts.rows)
        usable.append((path.relative_to(folder).as_posix(), overlay, is_same_scan))
    return usable


def _labels(film: FilmName, overlays: Sequence[tuple[str, Overlay, bool]]) -> tuple[list[WeakLabel], list[LedgerEntry]]:
    """Labels of one film; where it has overlays in two volumes, each abnormality once."""
    entries: list[LedgerEntry] = []
    places: list[Place] = []
    for file, overlay, has_size in overlays:
        entries += _counted(film, file, overlay)
        for number, marking in enumerate(overlay.markings, start=1):
            _add(places, Place(file=file, number=number, marking=marking, has_size=has_size))
    labels: list[WeakLabel] = []
    for number, place in enumerate(places, start=1):
        if place.conflicts:
            entries.append(flagged("file", place.file, "conflicting_overlays", "two volumes differ about one outline", film.patient))
        plain, remarks = _label(film, number, place)
        entries += remarks
        boundaries = place.marking.boundaries or ("",)
        for part, boundary in enumerate(boundaries, start=1):
            name = plain.label_id if len(boundaries) == 1 else f"{plain.label_id}-{part}"
            label, remark = _with_box(replace(plain, label_id=name), boundary if place.has_size else None, place.file, film.patient)
            labels.append(label)
            entries += remark
    return labels, entries


def _counted(film: FilmName, file: str, overlay: Overlay) -> Iterator[LedgerEntry]:
    """Totals that are not what the file holds."""
    if overlay.stated_total is not None and overlay.stated_total != len(overlay.markings):
        detail = f"it states {overlay.stated_total} abnormalities and holds {len(overlay.markings)}"
        yield flagged("file", file, "abnormality_count", detail, film.patient)
    for number, marking in enumerate(overlay.markings, start=1):
        if marking.stated_outlines is not None and marking.stated_outlines != outlines_found(marking):
            detail = f"abnormality {number} states {marking.stated_outlines} outlines and has {outlines_found(marking)}"
            yield flagged("file", file, "outline_count", detail, film.patient)


def _add(places: list[Place], new: Place) -> None:
    """Add an abnormality, or, where its outline is there already, leave open what the two files say differently."""
    for index, old in enumerate(places):
        if old.file == new.file or not new.marking.boundaries or old.marking.boundaries != new.marking.boundaries:
            continue
        first, second = old.marking, new.marking
        names = ("pathology", "assessment", "subtlety")
        different = [name for name in names if getattr(first, name) != getattr(second, name)]
        if different:
            told = replace(
                first,
                pathology=first.pathology if first.pathology == second.pathology else None,
                assessment=first.assessment if first.assessment == second.assessment else None,
                subtlety=first.subtlety if first.subtlety == second.subtlety else None,
            )
            places[index] = replace(old, marking=told, conflicts=(f"overlays of two volumes differ in {', '.join(different)}",))
        return
    places.append(new)


def _label(film: FilmName, number: int, place: Place) -> tuple[WeakLabel, list[LedgerEntry]]:
    """An abnormality without its box."""
    marking = place.marking
    entries: list[LedgerEntry] = []
    values: dict[str, object] = {}
    for name, parse, text in (
        ("pathology", pathology_of, marking.pathology),
        ("assessment", birads_of, marking.assessment),
        ("subtlety", subtlety_of, marking.subtlety),
    ):
        try:
            values[name] = cell(parse, text)
        except ValueError:
            entries.append(
                flagged("file", place.file, f"unknown_{name}", f"abnormality {place.number}: the value is left out", film.patient)
            )
    pathology, birads, subtlety = values.get("pathology"), values.get("assessment"), values.get("subtlety")
    told = pathology if isinstance(pathology, Pathology) else None
    attributes: dict[str, FieldValue] = {**marking.attributes, "cores": len(marking.cores)}
    if isinstance(subtlety, int):
        attributes["subtlety"] = subtlety
    name = f"{CARD.name}/{film.name}_{number}"
    label = WeakLabel(
        label_id=name,
        lesion_id=name,
        case_id=case_key(CARD, film.case),
        status=told.status if told else LesionStatus.UNTESTED,
        side=film.side.lower(),
        tier=Tier.EXPERT,
        centre_source="outline",
        size_source="outline",
        class_source=told.source if told else None,
        confidence=1.0,
        conflicts=place.conflicts,
        needs_review=bool(place.conflicts),
        evidence=(Evidence(record_id=f"{place.file}:{place.number}", field="PATHOLOGY"),),
        diagnosis=told.diagnosis if told else None,
        birads=birads if isinstance(birads, str) else None,
        finding_types=marking.finding_types,
        attributes=attributes,
        series_key=image_key(CARD.name, film.name),
    )
    return label, entries


def _with_box(label: WeakLabel, boundary: str | None, file: str, patient: str) -> tuple[WeakLabel, tuple[LedgerEntry, ...]]:
    """The label with the box of its outline; ``boundary`` is None where the size of the scan is unknown."""
    if boundary is None:
        return without_box(label, "unknown_film_size"), ()
    try:
        x0, y0, x1, y1 = box_of_pixels(chain_outline(boundary))
    except ValueError:
        detail = "an outline is missing, cut off, or holds other codes than 0 to 7; no box"
        return without_box(label, "damaged_outline"), (flagged("file", file, "damaged_outline", detail, patient),)
    return replace(label, pixel_box=PixelBox(x0=x0, y0=y0, x1=x1, y1=y1, series_key=str(label.series_key))), ()


_FILM = "**/*_?.{LEFT,RIGHT}_{CC,MLO}*"
_IMAGES = Part(name="images", pattern=f"{_FILM}.{{png,tif,tiff,pgm,jpg,jpeg}}")
_COMPRESSED = Part(name="compressed", pattern=f"{_FILM}.LJPEG", is_required=False)
_OVERLAYS = Part(name="overlays", pattern=f"{_FILM}.OVERLAY", is_required=False)
_SHEETS = Part(name="sheets", pattern="**/?-????-?.ics")

DATASET = PublicDataset(
    card=CARD,
    layouts=(
        Layout(name="usf", spans_folders=True, signature=("sheets",), parts=(_SHEETS, _OVERLAYS, _COMPRESSED, _IMAGES)),
        Layout(name="films", spans_folders=True, signature=("images",), parts=(_IMAGES, _OVERLAYS, _COMPRESSED, _SHEETS)),
    ),
    read=_read,
    complete=complete_case,
)
