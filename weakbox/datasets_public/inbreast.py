"""INbreast (Porto, 2012): 410 full-field digital mammograms, BI-RADS for each image, contours as OsiriX property lists."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weakbox.datasets_public.cases import case_key, cell, image_key, image_series, origin_of, patient_key, public_case
from weakbox.datasets_public.dataset import Access, Completed, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.image_checks import complete_images, pixel_box
from weakbox.datasets_public.osirix_outlines import Outline, read_outlines
from weakbox.datasets_public.row_values import stated
from weakbox.imaging.outlines import box_of_pixels
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows
from weakbox.terminology.mammography import birads_of, density_of, laterality_of, view_of

COLUMNS = Columns(
    required={
        "image": ("File Name", "File Name (DICOM)"),
        "laterality": ("Laterality",),
        "view": ("View",),
        "birads": ("Bi-Rads", "BI-RADS"),
    },
    optional={
        "patient": ("Patient ID",),
        "age": ("Patient age",),
        "date": ("Acquisition date",),
        "density": ("ACR",),
        "mass": ("Mass ",),
        "calcification": ("Micros",),
        "architectural_distortion": ("Distortion",),
        "asymmetry": ("Asymmetry",),
        "annotation_status": ("Lesion Annotation Status",),
    },
)
FINDING_COLUMNS = ("mass", "calcification", "architectural_distortion", "asymmetry")
SPICULES = "spiculated_region"
OUTLINE_NAMES = {
    "mass": "mass",
    "calcification": "calcification",
    "calcifications": "calcification",
    "cluster": "calcification",
    "distortion": "architectural_distortion",
    "asymmetry": "asymmetry",
    "assymetry": "asymmetry",
    "spiculated region": SPICULES,
    "espiculated region": SPICULES,
}
"""Names of contours as the set spells them, in lower case."""
FROM_BELOW = "FB"
"""One image of the set is taken from below; DICOM has the same two letters for it (PS3.16 CID 4014)."""
ORIGINAL_SIZES = ((2560, 3328), (3328, 4084))
"""Columns and rows of the release (small and large plate); points hold for these, not for resized copies."""
REMOVED = "removed"
NEGATIVE = "birads_1"
_IMAGE_NAME = re.compile(
    r"(?P<image>\d{8})(?:_(?P<patient>[0-9a-z]{8,}))?(?:_MG_(?P<side>[LR])_(?P<view>[A-Z]+)(?:_ANON)?)?", re.IGNORECASE
)
_TABLE_ORDER = (".xlsx", ".csv", ".tsv", ".txt", ".xls")
_PICTURES = "{dcm,dicom,png,jpg,jpeg,tif,tiff}"

CARD = DatasetCard(
    name="inbreast",
    title="INbreast",
    organ="breast",
    modalities=("MG",),
    licence="INbreast terms (research, on request)",
    allows_commercial_use=False,
    access=Access.ON_REQUEST,
    how_to_obtain=(
        "The page of the authors is gone; write to the Breast Research Group, INESC Porto (the corresponding author of the paper), "
        "for the licence and the archive 'INbreast Release 1.0' (AllDICOMs, AllXML, INbreast.xls). "
        "Save INbreast.xls as INbreast.xlsx beside it."
    ),
    homepage="https://doi.org/10.1016/j.acra.2011.09.014",
    citation=(
        "Moreira IC, Amaral I, Domingues I, Cardoso A, Cardoso MJ, Cardoso JS. INbreast: toward a full-field digital "
        "mammographic database. Academic Radiology 2012; 19(2): 236-248."
    ),
    doi="10.1016/j.acra.2011.09.014",
    published={"cases": 115, "images": 410},
    annotations="contours of masses, distortions, asymmetries and clusters; points of single calcifications",
    label_basis="BI-RADS of the image",
    good_for=("detection", "segmentation", "classification"),
    preference=4,
    traps=(
        "No pathology is stated: BI-RADS stays BI-RADS, nothing is called malignant.",
        "BI-RADS belongs to the image: one label of the image; a contour has it only where it must be its own (2, 3, or one area).",
        "`Patient ID` says `removed` in every row; the woman is the 16 characters after the number in the DICOM file's name.",
        "Without these 16 characters nobody knows which images are one woman: all of them then stay in one part of a split.",
        "The old INbreast.xls has to be saved as .xlsx or .csv first.",
        "The table ends in lines without an image (totals), one of them with `49` as BI-RADS.",
        "Numbers may come as 22678622.0, the column `Mass ` has a blank at its end, the CSV is separated by semicolons.",
        "ML in a file name is MLO; one image is taken from below (FB).",
        "Points are (x, y); a contour of one point is a calcification, its box one pixel large.",
        "Names of contours are misspelt (Espiculated Region, Assymetry) or missing (Unnamed, Point 1).",
        "Points outside the image are called out; on a picture of another size than the originals (a resized copy) no box is drawn.",
    ),
)

_TABLE = Part(name="table", pattern="**/{INbreast,INbreast_2,INbreast_updated,Labels}.{xlsx,csv,xls}")
_OUTLINES = Part(name="outlines", pattern="**/AllXML/*.xml")
LAYOUTS = (
    Layout(
        name="release",
        signature=("table", "images"),
        parts=(_TABLE, Part(name="images", pattern=f"**/*_MG_?_*.{_PICTURES}"), _OUTLINES),
    ),
    Layout(
        name="renamed images",
        signature=("table", "images", "outlines"),
        parts=(_TABLE, Part(name="images", pattern=f"**/{{AllDICOMs,ALL-IMGS,AllPNGs,images}}/*.{_PICTURES}"), _OUTLINES),
    ),
)


@dataclass(slots=True, kw_only=True)
class Mammogram:
    """One row of the table, its image, and what its file name adds."""

    name: str
    row: Row
    values: dict[str, FieldValue] = field(default_factory=dict)
    """Of the columns that could be read: laterality, view, birads, density, age, date, annotation_status."""
    findings: tuple[str, ...] = ()
    path: Path = Path()
    patient: str = ""
    conflicts: tuple[str, ...] = ()


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a woman and date: an image label with its BI-RADS and findings, and a label for each contour.

    Raises:
        InputError: no table that can be read, or a required column is missing.
    """
    table = choose_table(located)
    images = _Images(located.files.get("images", ()))
    yield from images.remarks
    mammograms: dict[str, Mammogram] = {}
    for item in _rows(table):
        if isinstance(item, LedgerEntry):
            yield item
        elif item.name in mammograms:
            yield _repeated(table, mammograms[item.name], item)
        else:
            mammograms[item.name] = item
    yield from _absent(mammograms, images)
    studies: dict[tuple[str, str], list[Mammogram]] = defaultdict(list)
    for name in sorted(mammograms.keys() & images.found.keys()):
        mammogram = mammograms[name]
        yield from _named(mammogram, images.found[name])
        studies[mammogram.patient, str(mammogram.values.get("date", ""))].append(mammogram)
    outlines = _outline_files(located.files.get("outlines", ()))
    for (patient, date), members in sorted(studies.items()):
        yield from _case(table, patient, f"{patient}-{date}" if date else patient, members, outlines)
    for name in sorted(outlines.keys() - (mammograms.keys() & images.found.keys())):
        yield dropped("file", outlines[name].name, "outline_without_image", "its image is not in the table, or not in the folder")


# The table -----------------------------------------------------------------------------------------------------------


def choose_table(located: Located) -> Path:
    """The table that says most: the workbook (17 columns) before the CSV (8).

    Raises:
        InputError: only the old .xls is there, or none; says how to convert it.
    """
    found = sorted(located.files.get("table", ()), key=lambda path: (_TABLE_ORDER.index(path.suffix.lower()), len(path.stem), path))
    if not found:
        msg = f"{located.folder}: no INbreast.xlsx or INbreast.csv"
        raise InputError(msg)
    if found[0].suffix.lower() == ".xls":
        msg = (
            f"{found[0]}: the old Excel format is not read; open it and save it as INbreast.xlsx in the same folder "
            f"(LibreOffice: `soffice --headless --convert-to xlsx {found[0].name}`)"
        )
        raise InputError(msg)
    return found[0]


def _rows(table: Path) -> Iterator[Mammogram | LedgerEntry]:
    for row in read_rows(TableOptions(source="inbreast", path=table), COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        name = _whole(row.text("image") or "")
        if not re.fullmatch(r"\d{8}", name):
            yield dropped("row", f"{table.name}:{row.number}", "no_image_name", "no number of an image (the table ends in such lines)")
            continue
        mammogram = Mammogram(name=name, row=row)
        yield from _read_values(table, mammogram)
        yield mammogram


def _whole(text: str) -> str:
    """A number that went through a spreadsheet, without its decimal point."""
    return re.sub(r"\.0+$", "", text.strip())


def _view(text: str) -> str:
    return FROM_BELOW if text.strip().upper() == FROM_BELOW else view_of("MLO" if text.strip().upper() == "ML" else text)


def _age(text: str) -> float:
    return float(re.sub(r"[yY]$", "", text.strip()))


def _date(text: str) -> str:
    if not re.fullmatch(r"\d{6}(?:\d{2})?", _whole(text)):
        raise ValueError("expected year and month")
    return _whole(text)


PARSERS: Mapping[str, Callable[[str], FieldValue]] = {
    "laterality": laterality_of,
    "view": _view,
    "birads": birads_of,
    "density": density_of,
    "age": _age,
    "date": _date,
}


def _read_values(table: Path, mammogram: Mammogram) -> Iterator[LedgerEntry]:
    for name, parse in PARSERS.items():
        text = stated(mammogram.row, name)
        if text is None or text.casefold() == REMOVED:
            continue
        try:
            value = cell(parse, text)
        except ValueError:
            yield flagged("row", f"{table.name}:{mammogram.row.number}", "unexpected_value", f"column {name}; the field is left empty")
        else:
            if value is not None:
                mammogram.values[name] = value
    mammogram.findings = tuple(sorted(name for name in FINDING_COLUMNS if (mammogram.row.text(name) or "").upper() == "X"))
    if status := mammogram.row.text("annotation_status"):
        mammogram.values["annotation_status"] = status.casefold()


def _repeated(table: Path, first: Mammogram, second: Mammogram) -> LedgerEntry:
    item = f"{table.name}:{second.row.number}"
    if (first.values, first.findings) == (second.values, second.findings):
        return dropped("row", item, "repeated_row", f"row {first.row.number} says the same")
    first.conflicts = (*first.conflicts, "conflicting_rows")
    return dropped(
        "row", item, "conflicting_rows", f"row {first.row.number} says something else of the same image; that one is used, flagged"
    )


# Images --------------------------------------------------------------------------------------------------------------


class _Images:
    """The file of each image number, DICOM before pictures."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.found: dict[str, tuple[Path, re.Match[str]]] = {}
        self.remarks: list[LedgerEntry] = []
        for path in sorted(paths, key=lambda path: (path.suffix.lower() not in (".dcm", ".dicom"), path)):
            match = _IMAGE_NAME.fullmatch(path.stem)
            if match is None:
                self.remarks.append(dropped("file", path.name, "unknown_name", "its name does not begin with the eight digits of an image"))
            elif match["image"] in self.found:
                self.remarks.append(dropped("file", path.name, "repeated_image", "the image is read from another file"))
            else:
                self.found[match["image"]] = (path, match)


def _absent(mammograms: Mapping[str, Mammogram], images: _Images) -> Iterator[LedgerEntry]:
    for name in sorted(mammograms.keys() - images.found.keys()):
        yield dropped("image", name, "missing_image", "the table has a row, the folder no image")
    for name in sorted(images.found.keys() - mammograms.keys()):
        yield dropped("image", name, "image_without_row", "the table has no row for it")


def _named(mammogram: Mammogram, image: tuple[Path, re.Match[str]]) -> Iterator[LedgerEntry]:
    """What the file's name says: the woman, and side and view, which must be those of the table."""
    mammogram.path, match = image
    text = stated(mammogram.row, "patient") or REMOVED
    mammogram.patient = (match["patient"] or "").lower() or ("" if text.casefold() == REMOVED else _whole(text))
    if not mammogram.patient:
        mammogram.patient = f"unknown-{mammogram.name}"
        detail = "neither its name nor the table says whose it is; all such images stay in one part of a split"
        yield flagged("image", mammogram.name, "unknown_patient", detail)
    for name, text, parse in (("laterality", match["side"], laterality_of), ("view", match["view"], _view)):
        if text is None:
            continue
        try:
            value = parse(text)
        except ValueError:
            continue
        if mammogram.values.setdefault(name, value) != value:
            mammogram.conflicts = (*mammogram.conflicts, f"conflicting_{name}")
            yield flagged("image", mammogram.name, f"conflicting_{name}", "the file's name and the table differ; the table is used")


def _outline_files(paths: Iterable[Path]) -> dict[str, Path]:
    return {path.stem: path for path in sorted(paths) if re.fullmatch(r"\d{8}", path.stem)}


# Cases ---------------------------------------------------------------------------------------------------------------


def _case(
    table: Path, patient: str, study: str, members: Sequence[Mammogram], outline_files: Mapping[str, Path]
) -> Iterator[CuratedCase | LedgerEntry]:
    labels: list[WeakLabel] = []
    series: list[Series] = []
    negatives = len(members)
    for mammogram in members:
        drawn: list[Outline] = []
        if path := outline_files.get(mammogram.name):
            for item in read_outlines(path):
                if isinstance(item, LedgerEntry):
                    yield item
                else:
                    drawn.append(item)
        yield from _contradictions(mammogram, drawn)
        is_negative = mammogram.values.get("birads") == "1" and not drawn and not mammogram.findings
        series.append(_series(study, mammogram))
        if not is_negative:
            negatives -= 1
            labels += _image_label(table, study, mammogram)
            labels += (_outline_label(study, mammogram, outline, drawn) for outline in drawn)
    is_unknown = patient.startswith("unknown-")
    ages = {value for mammogram in members if isinstance(value := mammogram.values.get("age"), float)}
    yield public_case(
        CARD,
        patient=patient,
        study=study,
        series=series,
        labels=labels,
        origin=origin_of(CARD, patient="unknown" if is_unknown else patient, identifiers=[f"inbreast:{one.name}" for one in members]),
        tier=Tier.EXPERT if any(label.pixel_box for label in labels) else Tier.CASE_LEVEL,
        negative_reason=NEGATIVE if negatives == len(members) else None,
        age_years=ages.pop() if len(ages) == 1 else None,
        sex="F",
        conflicts=sorted({conflict for one in members for conflict in one.conflicts}),
    )


def _contradictions(mammogram: Mammogram, drawn: Sequence[Outline]) -> Iterator[LedgerEntry]:
    patient = patient_key(CARD.name, mammogram.patient)
    if drawn and mammogram.values.get("birads") == "1":
        mammogram.conflicts = (*mammogram.conflicts, "drawn_but_birads_1")
        yield flagged("image", mammogram.name, "drawn_but_birads_1", "a contour on an image that is called negative", patient)
    if "mass" in mammogram.findings and not any(finding_of(outline) == "mass" for outline in drawn):
        yield flagged("image", mammogram.name, "mass_not_drawn", "the table marks a mass, no contour of one is there", patient)


def _series(study: str, mammogram: Mammogram) -> Series:
    values = mammogram.values
    return image_series(
        CARD,
        image=mammogram.name,
        study=study,
        path=mammogram.path,
        modality="MG",
        attributes={
            "laterality": values.get("laterality"),
            "view": values.get("view"),
            "breast_density": values.get("density"),
            "birads": values.get("birads"),
            "annotation_status": values.get("annotation_status"),
        },
    )


def _image_label(table: Path, study: str, mammogram: Mammogram) -> Iterator[WeakLabel]:
    """BI-RADS and the ticked findings of an image: one label of the whole image."""
    birads = mammogram.values.get("birads")
    if birads is None and not mammogram.findings:
        return
    yield WeakLabel(
        label_id=image_key(CARD.name, f"{mammogram.name}-image"),
        lesion_id=f"{mammogram.name}-image",
        case_id=case_key(CARD, study),
        status=LesionStatus.UNTESTED,
        side=_side(mammogram),
        tier=Tier.CASE_LEVEL,
        class_source="birads" if birads is not None else "not_stated",
        confidence=1.0,
        conflicts=mammogram.conflicts,
        needs_review=bool(mammogram.conflicts),
        evidence=(Evidence(record_id=f"{table.name}:{mammogram.row.number}", field="Bi-Rads"),),
        birads=None if birads is None else str(birads),
        finding_types=mammogram.findings,
        series_key=image_key(CARD.name, mammogram.name),
    )


def _side(mammogram: Mammogram) -> str | None:
    side = mammogram.values.get("laterality")
    return None if side is None else str(side)


def finding_of(outline: Outline) -> str | None:
    """What a contour shows; a single point without a telling name is a calcification. None where the set does not say."""
    named = OUTLINE_NAMES.get(" ".join(outline.name.casefold().split()))
    return named or ("calcification" if outline.is_point else None)


def birads_of_outline(outline: Outline, drawn: Sequence[Outline], birads: str | None) -> str | None:
    """The image's BI-RADS where it must be that of this contour; None where it may be another's.

    The category of an image is that of its worst finding. Up to 3 it holds for everything drawn; from 4 on only for the one
    area that is drawn (a spiculated region goes with its mass), never for a single calcification.
    """
    if birads is None or birads in ("0", "1"):
        return None
    areas = [other for other in drawn if not other.is_point]
    masses = [other for other in areas if finding_of(other) != SPICULES]
    is_only_one = not outline.is_point and len(masses or areas) == 1
    return birads if birads in ("2", "3") or is_only_one else None


def _outline_label(study: str, mammogram: Mammogram, outline: Outline, drawn: Sequence[Outline]) -> WeakLabel:
    lesion = f"{mammogram.name}-{outline.position:03d}"
    finding = finding_of(outline)
    of_image = mammogram.values.get("birads")
    birads = birads_of_outline(outline, drawn, None if of_image is None else str(of_image))
    attributes: dict[str, FieldValue] = {"outline_name": outline.name, "is_point": outline.is_point}
    if outline.name.casefold() == "cluster":
        attributes["distribution"] = "cluster"
    if of_image is not None:
        attributes["image_birads"] = of_image
    return WeakLabel(
        label_id=image_key(CARD.name, lesion),
        lesion_id=lesion,
        case_id=case_key(CARD, study),
        status=LesionStatus.UNTESTED,
        side=_side(mammogram),
        tier=Tier.EXPERT,
        class_source="not_stated" if birads is None else "birads",
        confidence=1.0,
        conflicts=mammogram.conflicts,
        needs_review=bool(mammogram.conflicts) or finding is None,
        evidence=(Evidence(record_id=f"{outline.file_name}:{outline.position}", field="Point_px"),),
        birads=birads,
        finding_types=() if finding is None else (finding,),
        attributes=attributes,
        series_key=image_key(CARD.name, mammogram.name),
        pixel_box=pixel_box(box_of_pixels(outline.points), image_key(CARD.name, mammogram.name)),
    )


def complete(case: CuratedCase) -> Completed:
    """Sizes of the images; contours that reach beyond them are cut or lose their box, flagged; no box on a resized picture."""
    has_pictures = any(series.volume_path for series in case.study.series)
    return complete_images(case, expected=ORIGINAL_SIZES if has_pictures else ())


DATASET = PublicDataset(card=CARD, layouts=LAYOUTS, read=read, complete=complete)
