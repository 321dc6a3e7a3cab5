"""CBIS-DDSM: digitised film mammograms with outlines of masses and calcifications, from TCIA, IDC, or the Kaggle JPEG mirror.

One case is what one patient has in one official part (training or test): mass and calcification tables share patients, and some
images lie in both under two names. One label is one row of the case tables; its box comes from its mask (``cbis_ddsm_masks``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from weakbox.datasets_public.cases import case_key, cell, image_key, image_series, origin_of, public_case
from weakbox.datasets_public.cbis_ddsm_files import ImageFiles, StatedPath, Subject, stated_path, subject_of
from weakbox.datasets_public.cbis_ddsm_masks import ROI_FILES, complete_case
from weakbox.datasets_public.dataset import Access, CollectionSource, DatasetCard, Layout, ListedSeries, Located, Part, PublicDataset
from weakbox.datasets_public.ddsm_words import Pathology, findings_of, kind_of, pathology_of, stated, subtlety_of
from weakbox.datasets_public.locating import Listing
from weakbox.datasets_public.row_values import whole_number
from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, Evidence, LesionStatus, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows
from weakbox.terminology.mammography import birads_of, density_of, laterality_of, view_of

CARD = DatasetCard(
    name="cbis_ddsm",
    title="CBIS-DDSM",
    organ="breast",
    modalities=("MG",),
    licence="CC-BY-3.0",
    licence_url="https://creativecommons.org/licenses/by/3.0/",
    allows_commercial_use=True,
    access=Access.OPEN,
    how_to_obtain=(
        "`main.py collect --dataset CBIS-DDSM` (IDC, or NBIA by the collection's page), and the four case tables from the same page; "
        "the Kaggle mirror awsaf49/cbis-ddsm-breast-cancer-image-dataset (8-bit JPEG) with an account of your own"
    ),
    homepage="https://www.cancerimagingarchive.net/collection/cbis-ddsm/",
    citation=(
        "Sawyer-Lee R, Gimenez F, Hoogi A, Rubin D. Curated Breast Imaging Subset of Digital Database for Screening Mammography "
        "(CBIS-DDSM) [Data set]. The Cancer Imaging Archive, 2016. Lee RS, Gimenez F, Hoogi A, Miyake KK, Gorovoy M, Rubin DL. "
        "A curated mammography data set for use in computer-aided detection and diagnosis research. Sci Data 2017;4:170177."
    ),
    doi="10.7937/K9/TCIA.2016.7O02S9CY",
    size_gb=163.6,
    published={"subjects": 1566, "series": 6775, "images": 10239, "mass_train_rows": 1318, "calc_train_rows": 1546},
    annotations="lesion masks",
    label_basis="pathology word of DDSM: histopathology for malignant, mostly for benign, none for benign without callback",
    good_for=("detection", "segmentation", "classification"),
    preference=1,
    traps=(
        "paths of the tables are not those of any download: files are found by subject and series UID (the third part, not the second)",
        "mask and cropped image lie in one series in either order, or in two: told apart by content",
        "246 series have no description, and they are whole mammograms: descriptions are not used",
        "the density column is spelt `breast_density` for masses and `breast density` for calcifications; path cells end in a newline",
        "one image has several rows, 15 training images with differing pathology: each lesion keeps its own, the image is flagged",
        "TCIA's PatientID names an image or a lesion: patients are the P_ numbers in it, shared between mass and calc tables",
        "one film can be a mass image and a calcification image: images with equal pixels are made one, with the lesions of both",
        "a patient can be in both official parts: flagged, to be kept together by the split",
        "masks of another size than their image are scaled where the proportions agree, else not used",
        "abnormality numbers count within an image: lesion 1 of CC need not be lesion 1 of MLO",
        "benign is pathology-proven in most cases only, benign without callback never; both stay without a tissue status",
        "the JPEG mirror has 8 bits, and its masks hold grey values along their edges: read above half of the brightest",
        "mass outlines were refined by an algorithm from a radiologist's; film scans have no spacing in their headers",
        "the women are those of DDSM: do not use both without a check for near-duplicates",
    ),
)
TABLES = ("mass_train", "mass_test", "calc_train", "calc_test")
OFFICIAL = {"Training": "train", "Test": "test"}
COLUMNS = Columns(
    required={
        "patient_id": (),
        "side": ("left or right breast",),
        "view": ("image view",),
        "abnormality": ("abnormality id",),
        "kind": ("abnormality type",),
        "assessment": (),
        "pathology": (),
    },
    optional={
        "density": ("breast_density", "breast density"),
        "subtlety": (),
        "shape": ("mass shape",),
        "margins": ("mass margins",),
        "calc_type": ("calc type",),
        "distribution": ("calc distribution",),
        "image": ("image file path",),
        "crop": ("cropped image file path",),
        "mask": ("ROI mask file path",),
    },
)
DESCRIPTORS = {"shape": "mass_shape", "margins": "mass_margins", "calc_type": "calc_type", "distribution": "calc_distribution"}
INFO_COLUMNS = Columns(required={"image_path": (), "PatientID": ()}, optional={})

Value = TypeVar("Value")


@record
class Abnormality:
    """One row of a case table."""

    evidence: str
    """``<table>:<row>``."""
    subject: Subject
    """With the number of the abnormality."""
    kind: str
    pathology: Pathology | None
    """None where several rows disagree."""
    birads: str | None
    density: str | None
    attributes: Mapping[str, FieldValue]
    image: StatedPath
    regions: tuple[StatedPath, ...]
    conflicts: tuple[str, ...] = ()

    @property
    def lesion(self) -> str:
        """Its name, unique in the set."""
        return self.subject.name

    @property
    def stated(self) -> tuple[object, ...]:
        """What two rows about one lesion must agree in."""
        return self.kind, self.pathology, self.birads, self.density, tuple(sorted(self.attributes.items()))


def _read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    rows: dict[str, list[Abnormality]] = defaultdict(list)
    for item in _all_rows(located):
        if isinstance(item, LedgerEntry):
            yield item
        else:
            rows[item.lesion].append(item)
    patients: dict[str, str] = {}
    yield from _patients_of_files(located, patients)
    files = ImageFiles(located.folder, located.files["images"], patients)
    cases: dict[tuple[str, str], list[Abnormality]] = defaultdict(list)
    for _, repeats in sorted(rows.items()):
        yield from _remarks_on_repeats(repeats)
        row = _agreed(repeats)
        cases[row.subject.patient, OFFICIAL[row.subject.part]].append(row)
    for (patient, part), lesions in sorted(cases.items()):
        in_both_parts = all((patient, other) in cases for other in OFFICIAL.values())
        yield from _case(patient, part, lesions, files, in_both_parts=in_both_parts)
    for path in files.unused:
        yield flagged("file", path.relative_to(located.folder).as_posix(), "image_without_row", "no row of the case tables names it")


# Rows ---------------------------------------------------------------------------------------------------------------


def _all_rows(located: Located) -> Iterator[Abnormality | LedgerEntry]:
    for table in TABLES:
        path = located.one(table)
        for other in located.files[table][1:]:
            yield flagged("file", other.relative_to(located.folder).as_posix(), "repeated_table", "another file of that name is read")
        rows = read_rows(TableOptions(source=CARD.name, path=path), COLUMNS, "row") if path else ()
        for row in rows:
            if isinstance(row, LedgerEntry):
                yield row
            elif path:
                yield from _abnormality(row, f"{path.name}:{row.number}", table)


def _abnormality(row: Row, evidence: str, table: str) -> Iterator[Abnormality | LedgerEntry]:
    subject, reason = _subject(row, table)
    if subject is None:
        yield dropped("row", evidence, reason, "patient, side, view or number of the abnormality are not there, or not those of its path")
        return
    try:
        pathology, kind = pathology_of(row.raw("pathology")), kind_of(row.raw("kind"))
    except ValueError:
        yield dropped("row", evidence, "unknown_value", "abnormality type or pathology is none of the published words", subject.patient)
        return
    ratings, unknown = _ratings(row)
    for name in unknown:
        yield flagged("row", evidence, f"unknown_{name}", "the value is outside its scale and is left out", subject.patient)
    yield _of_row(row, evidence, subject, kind, pathology, ratings)


def _ratings(row: Row) -> tuple[dict[str, str | int], tuple[str, ...]]:
    """Assessment, density and subtlety that are stated, and those whose cells hold no such rating."""
    parsers: Mapping[str, Callable[[str], str | int]] = {"assessment": birads_of, "density": density_of, "subtlety": subtlety_of}
    ratings: dict[str, str | int] = {}
    unknown: list[str] = []
    for name, parse in parsers.items():
        try:
            value = cell(parse, stated(row.text(name)))
        except ValueError:
            unknown.append(name)
            continue
        if value is not None:
            ratings[name] = value
    return ratings, tuple(unknown)


def _of_row(row: Row, evidence: str, subject: Subject, kind: str, pathology: Pathology, ratings: Mapping[str, str | int]) -> Abnormality:
    words = {ours: stated(row.text(theirs)) for theirs, ours in DESCRIPTORS.items()}
    attributes: dict[str, FieldValue] = {name: word for name, word in words.items() if word is not None}
    if "subtlety" in ratings:
        attributes["subtlety"] = ratings["subtlety"]
    return Abnormality(
        evidence=evidence,
        subject=subject,
        kind=kind,
        pathology=pathology,
        birads=str(ratings["assessment"]) if "assessment" in ratings else None,
        density=str(ratings["density"]) if "density" in ratings else None,
        attributes=attributes,
        image=stated_path(row.text("image")),
        regions=(stated_path(row.text("mask")), stated_path(row.text("crop"))),
    )


def _subject(row: Row, table: str) -> tuple[Subject | None, str]:
    """The subject by the columns, checked against the one that the image's path names."""
    kind, _, part = table.partition("_")
    patient = (row.text("patient_id") or "").upper()
    try:
        side, view = laterality_of(row.raw("side")).upper(), view_of(row.raw("view"))
        number = whole_number(row.raw("abnormality"))
    except ValueError:
        return None, "unknown_value"
    if not patient:
        return None, "no_patient"
    told = Subject(
        kind=kind.capitalize(),
        part="Training" if part == "train" else "Test",
        patient=patient,
        side=side,
        view=view,
        abnormality=number,
    )
    named = stated_path(row.text("image")).subject
    if named is not None and named.image != told.image:
        return None, "path_of_another_image"
    return told, ""


def _remarks_on_repeats(rows: Sequence[Abnormality]) -> Iterator[LedgerEntry]:
    for row in rows[1:]:
        if row.stated == rows[0].stated:
            yield dropped("row", row.evidence, "repeated_row", f"says what {rows[0].evidence} says", row.subject.patient)
        else:
            yield flagged("row", row.evidence, "conflicting_rows", f"differs from {rows[0].evidence} about one lesion", row.subject.patient)


def _agreed(rows: Sequence[Abnormality]) -> Abnormality:
    """The rows about one lesion as one: what they differ in is left open."""
    first = rows[0]
    if all(row.stated == first.stated for row in rows):
        return first
    words = (f"{row.evidence}: {row.pathology.diagnosis if row.pathology else ''}, BI-RADS {row.birads or '-'}" for row in rows)
    return replace(
        first,
        pathology=_common(row.pathology for row in rows),
        birads=_common(row.birads for row in rows),
        density=_common(row.density for row in rows),
        attributes={name: value for name, value in first.attributes.items() if all(row.attributes.get(name) == value for row in rows)},
        conflicts=(f"rows disagree ({'; '.join(words)})",),
    )


def _common(values: Iterable[Value | None]) -> Value | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _patients_of_files(located: Located, patients: dict[str, str]) -> Iterator[LedgerEntry]:
    """``PatientID`` of each picture by ``<folder>/<name>``, from Kaggle's ``dicom_info.csv``; listed pictures that are not there."""
    path = located.one("dicom_info") if "dicom_info" in located.files else None
    if path is None:
        return
    present = {f"{image.parent.name}/{image.name}" for image in located.files["images"]}
    for row in read_rows(TableOptions(source=CARD.name, path=path), INFO_COLUMNS, "file"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        name = "/".join((row.text("image_path") or "").split("/")[-2:])
        if name in present:
            patients[name] = row.raw("PatientID")
        else:
            yield flagged("file", name, "listed_file_missing", f"{path.name} lists it, and it is not there")


# Cases --------------------------------------------------------------------------------------------------------------


def _case(
    patient: str, part: str, lesions: Sequence[Abnormality], files: ImageFiles, *, in_both_parts: bool
) -> Iterator[CuratedCase | LedgerEntry]:
    study = f"{patient}_{part}"
    by_image: dict[str, list[Abnormality]] = defaultdict(list)
    for row in lesions:
        by_image[row.subject.image].append(row)
    images: dict[str, Series] = {}
    for image, rows in sorted(by_image.items()):
        series, entries = _series(image, study, rows, files)
        yield from entries
        if series is not None:
            images[image] = series
    if not images:
        return
    if in_both_parts:
        yield flagged("case", case_key(CARD, study), "in_both_official_parts", "the patient has images in training and in test", patient)
    shown = [row for row in lesions if row.subject.image in images]
    yield public_case(
        CARD,
        patient=patient,
        study=study,
        series=images.values(),
        labels=[_label(row, case_key(CARD, study), files) for row in shown],
        origin=origin_of(CARD, patient=patient, identifiers=_identifiers(shown), official_split=part),
        conflicts=("in_both_official_parts",) if in_both_parts else (),
    )


def _identifiers(rows: Iterable[Abnormality]) -> Iterator[str]:
    return (f"series:{row.image.series_uid}" for row in rows if row.image.series_uid)


def _series(image: str, study: str, rows: Sequence[Abnormality], files: ImageFiles) -> tuple[Series | None, tuple[LedgerEntry, ...]]:
    """The whole image that some rows speak of; None and a dropped row each where it is not there."""
    first = rows[0].subject
    entries: list[LedgerEntry] = []
    found = files.find(image, (row.image.series_uid for row in rows if row.image.series_uid))
    if not found:
        for row in rows:
            files.find(row.lesion, _region_uids(row))  # its mask is accounted for by this entry
            entries.append(dropped("row", row.evidence, "missing_image", "the whole image of this row is not there", first.patient))
        return None, tuple(entries)
    if len(found) > 1:
        entries.append(flagged("image", image, "several_files", f"{len(found)} files; the first is used", first.patient))
    if len({row.pathology for row in rows}) > 1:
        entries.append(flagged("image", image, "conflicting_labels", "its lesions differ in pathology", first.patient))
    densities = {row.density for row in rows}
    if len(densities) > 1:
        entries.append(flagged("image", image, "conflicting_density", "its rows differ in density; left out", first.patient))
    series = image_series(
        CARD,
        image=image,
        study=study,
        path=found[0],
        modality="MG",
        attributes={
            "laterality": first.side.lower(),
            "view": first.view,
            "breast_density": densities.pop() if len(densities) == 1 else None,
        },
    )
    return series, tuple(entries)


def _region_uids(row: Abnormality) -> tuple[str, ...]:
    return tuple(region.series_uid for region in row.regions if region.series_uid)


def _label(row: Abnormality, case_id: str, files: ImageFiles) -> WeakLabel:
    """A label whose place is still in its mask; ``complete_case`` finds it."""
    regions = files.find(row.lesion, _region_uids(row))
    name = f"{CARD.name}/{row.lesion}"
    pathology = row.pathology
    return WeakLabel(
        label_id=name,
        lesion_id=name,
        case_id=case_id,
        status=pathology.status if pathology else LesionStatus.UNTESTED,
        side=row.subject.side.lower(),
        tier=Tier.EXPERT,
        centre_source="roi_mask",
        size_source="roi_mask",
        class_source=pathology.source if pathology else None,
        confidence=1.0,
        conflicts=row.conflicts,
        needs_review=bool(row.conflicts),
        evidence=(Evidence(record_id=row.evidence, field="pathology"),),
        diagnosis=pathology.diagnosis if pathology else None,
        birads=row.birads,
        finding_types=tuple(sorted(findings_of(row.kind, _text(row.attributes.get("mass_shape"))))),
        attributes={**row.attributes, ROI_FILES: tuple(str(path) for path in regions)},
        series_key=image_key(CARD.name, row.subject.image),
    )


def _annotator(folder: Path) -> Callable[[ListedSeries], Mapping[str, str]]:
    """What the case tables below a folder say of a listed series; TCIA's "patients" are images, here they become patients again."""
    listing = Listing(folder) if folder.is_dir() else Listing(folder, ())
    files = {part.name: listing.matching(part.pattern) for part in DATASET.layouts[0].parts}
    located = Located(dataset=CARD.name, folder=folder, layout="tables", files=files)
    worst: dict[str, str] = {}
    for row in _all_rows(located):
        if not isinstance(row, LedgerEntry) and row.pathology is not None and worst.get(row.subject.image) != MALIGNANT:
            worst[row.subject.image] = row.pathology.diagnosis

    def annotate(series: ListedSeries) -> dict[str, str]:
        subject = subject_of(series.patient_id)
        if subject is None:
            return {}
        more = {"patient_id": subject.patient, "subject": subject.name, "abnormality": subject.kind.lower(), "part": OFFICIAL[subject.part]}
        more |= {"laterality": subject.side.lower(), "view": subject.view}
        return more | ({"class": worst[subject.image]} if subject.image in worst else {})

    return annotate


MALIGNANT = "malignant"


def _text(value: FieldValue | None) -> str | None:
    return value if isinstance(value, str) else None


def _layout(name: str, images: str, *others: Part) -> Layout:
    tables = [Part(name=table, pattern=f"**/{_file_name(table)}*.csv") for table in TABLES]
    everything = Part(name="case_tables", pattern="**/{mass,calc}_case_description_{train,test}_set*.csv")
    return Layout(
        name=name,
        signature=("case_tables", "images"),
        parts=(everything, *tables, *others, Part(name="images", pattern=images)),
    )


def _file_name(table: str) -> str:
    kind, _, part = table.partition("_")
    return f"{kind}_case_description_{part}_set"


DATASET = PublicDataset(
    card=CARD,
    layouts=(
        _layout("dicom", "**/{Mass,Calc}-{Training,Test}_*/**/*.dcm"),
        _layout("dicom_by_series", "**/*1.3.6.1.4.1.9590.100.1.2.*/**/*.dcm"),
        _layout("kaggle_jpeg", "**/jpeg/*/*.jpg", Part(name="dicom_info", pattern="**/dicom_info.csv", is_required=False)),
    ),
    read=_read,
    complete=complete_case,
    annotator=_annotator,
    collection=(
        CollectionSource(client="idc", request={"collection": "cbis_ddsm"}, brings="images, masks and crops"),
        CollectionSource(
            client="http_list",
            request={"urls": tuple(f"https://www.cancerimagingarchive.net/wp-content/uploads/{_file_name(table)}.csv" for table in TABLES)},
            brings="tables",
        ),
        CollectionSource(client="nbia", request={"collection": "CBIS-DDSM"}, brings="images, masks and crops"),
        CollectionSource(
            client="kaggle", request={"collection": "awsaf49/cbis-ddsm-breast-cancer-image-dataset"}, brings="8-bit JPEG images and tables"
        ),
    ),
)
