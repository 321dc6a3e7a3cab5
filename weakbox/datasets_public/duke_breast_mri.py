"""Duke-Breast-Cancer-MRI: dynamic breast MR of 922 patients with cancer, one 3-D box each.

Tables: ``Annotation_Boxes.xlsx`` and ``Breast-Cancer-MRI-filepath_filename-mapping.xlsx`` of the collection on TCIA; the meaning of
the latter's columns as its readers use them (``original_path_and_filename`` is ``DICOM_Images/<patient>/<phase>/<name>_<slice>.dcm``,
``classic_path`` is ``Duke-Breast-Cancer-MRI/<patient>/<study UID>/<series UID>/1-<instance>.dcm``).

Box numbers: the set does not say whether they count from 0 or 1, nor whether the ends belong to the box. They are read as counting
from 1 with both ends inside: the slices of the mapping count from 1, and of the readings that are in use (half-open from 0, half-open
from 1, closed from 1) this one holds all but the closed one from 0, which reaches one voxel further. A box is so right to one voxel,
which its ``uncertainty_mm`` says. Slices are counted in the order of the mapping, wherever they lie in the patient.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from weakbox.datasets_public.cases import case_key, origin_of, public_case
from weakbox.datasets_public.dataset import Access, CollectionSource, Completed, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.duke_clinical import AGE, patient_of, read_clinical
from weakbox.datasets_public.image_checks import without_box
from weakbox.datasets_public.row_values import TableValues, whole_number
from weakbox.datasets_public.volume_series import headers_by_series, volume_series
from weakbox.imaging.boxes import box_over
from weakbox.imaging.header_reading import Header
from weakbox.imaging.series_parts import Part as SeriesPart
from weakbox.imaging.slice_geometry import UNUSABLE
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.imaging import Instance, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.label import Box, CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

CARD = DatasetCard(
    name="duke_breast_mri",
    title="Duke-Breast-Cancer-MRI",
    organ="breast",
    modalities=("MR",),
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    allows_commercial_use=False,
    access=Access.OPEN,
    how_to_obtain=(
        "`collect --dataset Duke-Breast-Cancer-MRI` fetches the images; Annotation_Boxes.xlsx and "
        "Breast-Cancer-MRI-filepath_filename-mapping.xlsx are on the collection's page of The Cancer Imaging Archive: put them beside."
    ),
    homepage="https://www.cancerimagingarchive.net/collection/duke-breast-cancer-mri/",
    citation=(
        "Saha A, Harowicz MR, Grimm LJ, Weng J, Cain EH, Kim CE, Ghate SV, Walsh R, Mazurowski MA. Dynamic contrast-enhanced magnetic "
        "resonance images of breast cancer patients with tumor locations. The Cancer Imaging Archive (2021)."
    ),
    doi="10.7937/TCIA.e3sv-re93",
    published={"patients": 922},
    annotations="one 3-D box a patient",
    label_basis="histopathology",
    good_for=("detection",),
    preference=1,
    traps=(
        "Whether box numbers count from 0 or 1 and include their ends is not stated: read from 1, ends included, right to one voxel.",
        "The box names no series: it is put on the first post-contrast series of the mapping table (post_1).",
        "Slices are numbered by the mapping table, which may run against the patient axis: each slice is found by its own header.",
        "The mapping writes 1-004.dcm where the archive's file is called 1-04.dcm: numbers are compared, not names.",
        "Paths of the mapping hold doubled slashes and BreastMRI001 beside Breast_MRI_001.",
        "Files from IDC carry no number in their name: their Instance Number is read.",
        "One box a patient: further lesions (`is_multifocal`, `is_contralateral`) have none; nothing outside the box is a negative.",
        "The clinical table has its column names in the second row and what codes mean in the third.",
        "Every patient has cancer: `Mol Subtype` 0 is luminal, not benign.",
    ),
)

BOXES, MAPPING, CLINICAL, IMAGES = "boxes", "mapping", "clinical_table", "images"
LAYOUT = Layout(
    name="tcia",
    signature=(BOXES,),
    parts=(
        Part(name=BOXES, pattern="**/annotation_boxes.{xlsx,csv}"),
        Part(name=MAPPING, pattern="**/breast-cancer-mri-filepath_filename-mapping.{xlsx,csv}"),
        Part(name=CLINICAL, pattern="**/clinical_and_other_features.xlsx", is_required=False),
        Part(name=IMAGES, pattern="**/Breast_MRI_???/**/*.dcm"),
    ),
)
AXES = ("row", "column", "slice")
BOX_COLUMNS = Columns(
    required={"patient_id": (), **{f"{end}_{axis}": () for axis in AXES for end in ("start", "end")}},
    optional={},
)
MAPPING_COLUMNS = Columns(required={"original_path_and_filename": (), "classic_path": ()}, optional={"descriptive_path": ()})
REFERENCE = "post_1"
ROLES = {"t1": SeriesRole.T1W}
"""Phases of the mapping that are no part of the dynamic series."""
NUMBER = re.compile(r"(\d+)$")
ARCHIVE_NAME = re.compile(r"\d+-(\d+)")
"""``1-004``: how the archive names files, by Instance Number."""
PLACE = ("first_column", "last_column", "first_row", "last_row", "first_slice_instance", "last_slice_instance")
"""Attributes by which a label carries its numbers to ``complete``: as in the table, slices as Instance Number."""


@dataclass(slots=True, kw_only=True)
class _Phase:
    """A series by the mapping table: its folders in either download, and Instance Number by slice number."""

    series_uid: str
    study_uid: str
    folders: frozenset[str]
    instances: dict[int, int] = field(default_factory=dict)


Phases = dict[str, dict[str, _Phase]]
"""Patient -> phase (``pre``, ``post_1`` ..., ``T1``) -> its series."""
Folders = dict[str, dict[str, list[Path]]]
"""Patient -> name of the last folder -> files."""


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a patient with a box; the box itself is made by ``complete``. See ``PublicDataset.read``."""
    boxes, mapping = located.one(BOXES), located.one(MAPPING)
    if boxes is None or mapping is None:
        msg = (
            f"{located.folder}: boxes of Duke-Breast-Cancer-MRI name no series; both Annotation_Boxes.xlsx and "
            "Breast-Cancer-MRI-filepath_filename-mapping.xlsx are needed"
        )
        raise InputError(msg)
    values = TableValues(boxes)
    rows = yield from _box_rows(values)
    phases = yield from _read_mapping(mapping, rows)
    clinical, remarks = read_clinical(located.one(CLINICAL))
    yield from remarks
    folders = _files_by_folder(located.files.get(IMAGES, ()), located.folder)
    for patient in sorted(folders.keys() - rows.keys()):
        yield dropped("patient", patient, "images_without_row", "images, but no box", patient)
    for patient in sorted(rows):
        facts = clinical.get(patient, {})
        yield from _case(patient, rows[patient], values, phases.get(patient, {}), folders.get(patient, {}), facts)


def _box_rows(values: TableValues) -> Generator[LedgerEntry, None, dict[str, Row]]:
    rows: dict[str, Row] = {}
    for row in read_rows(TableOptions(source=CARD.name, path=values.path), BOX_COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        patient = patient_of(row.raw("patient_id"))
        if patient is None:
            yield dropped("row", values.item(row), "no_patient_id", "expected Breast_MRI_ and a number")
        elif patient in rows:
            yield dropped("row", values.item(row), "repeated_row", f"a box of that patient came in {values.item(rows[patient])}", patient)
        else:
            rows[patient] = row
    return rows


def _read_mapping(path: Path, patients: Mapping[str, Row]) -> Generator[LedgerEntry, None, Phases]:
    phases: Phases = {}
    values = TableValues(path)
    for row in read_rows(TableOptions(source=CARD.name, path=path), MAPPING_COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        reading = _mapped(row)
        if reading is None:
            yield dropped("row", values.item(row), "unexpected_path", "expected DICOM_Images/<patient>/<phase>/<name>_<slice>.dcm")
            continue
        patient, name, slice_number, phase = reading
        if patient not in patients:
            continue
        known = phases.setdefault(patient, {}).setdefault(name, phase)
        if known.series_uid != phase.series_uid:
            yield dropped("row", values.item(row), "several_series", f"{name} came with another series before", patient)
        elif known is not phase and slice_number in known.instances:
            yield dropped("row", values.item(row), "repeated_row", "that slice came before", patient)
        else:
            known.instances[slice_number] = phase.instances[slice_number]
    return phases


def _mapped(row: Row) -> tuple[str, str, int, _Phase] | None:
    """Patient, phase, slice number and the series of one row."""
    original = [part for part in row.raw("original_path_and_filename").strip().split("/") if part]
    classic = [part for part in row.raw("classic_path").strip().split("/") if part]
    descriptive = [part for part in row.raw("descriptive_path").strip().split("/") if part]
    if len(original) < 3 or len(classic) < 4:
        return None
    patient = patient_of(original[-3])
    number, instance = (NUMBER.search(parts[-1].removesuffix(".dcm")) for parts in (original, classic))
    if patient is None or number is None or instance is None:
        return None
    names = {classic[-2], f"MR_{classic[-2]}", *descriptive[-2:-1]}
    phase = _Phase(series_uid=classic[-2], study_uid=classic[-3], folders=frozenset(names))
    phase.instances[int(number[1])] = int(instance[1])
    return patient, original[-2].casefold(), int(number[1]), phase


def _files_by_folder(paths: tuple[Path, ...], folder: Path) -> Folders:
    found: Folders = {}
    for path in sorted(paths):
        patient = next((name for part in path.relative_to(folder).parts[:-1] if (name := patient_of(part)) is not None), None)
        if patient is not None:
            found.setdefault(patient, {}).setdefault(path.parent.name, []).append(path)
    return found


def _case(
    patient: str,
    row: Row,
    values: TableValues,
    phases: Mapping[str, _Phase],
    folders: Mapping[str, list[Path]],
    facts: Mapping[str, FieldValue],
) -> Iterator[CuratedCase | LedgerEntry]:
    item = values.item(row)
    reference = phases.get(REFERENCE)
    if reference is None:
        yield dropped("row", item, "no_mapping", f"the mapping table has no {REFERENCE} series of that patient", patient)
        return
    start = len(values.ledger)
    place = _place(row, values, reference)
    yield from values.ledger[start:]
    if isinstance(place, str):
        yield dropped("row", item, place, "the numbers of the box make none", patient)
        return
    series = [_series(name, phase, files) for name, phase in phases.items() if (files := _files(phase, folders))]
    if not any(one.series_uid == reference.series_uid for one in series):
        yield dropped("row", item, "missing_image", f"no file of the series the box is drawn on ({REFERENCE})", patient)
        return
    case = public_case(
        CARD,
        patient=patient,
        study=patient,
        series=series,
        labels=[_label(patient, reference, {**place, **{name: fact for name, fact in facts.items() if name != AGE}}, values, row)],
        origin=origin_of(CARD, patient=patient, identifiers=[f"duke_breast_mri:{patient}"]),
        age_years=age if isinstance(age := facts.get(AGE), float) else None,
    )
    choice = SeriesChoice(
        purpose=Purpose.DCE, series_key=reference.series_uid, reason=f"the data set's boxes count its voxels ({REFERENCE})"
    )
    yield replace(case, study=replace(case.study, choices=(choice,)))


def _place(row: Row, values: TableValues, reference: _Phase) -> dict[str, int] | str:
    """The numbers of a box, slices as Instance Numbers; why there is no box where they make none."""
    numbers = {name: values.value(row, name, whole_number) for name in BOX_COLUMNS.required if name != "patient_id"}
    ends = [(numbers[f"start_{axis}"], numbers[f"end_{axis}"]) for axis in AXES]
    spans = [(first, last) for first, last in ends if first is not None and last is not None]
    if len(spans) < len(AXES):
        return "incomplete_row"
    if any(last < first or last < 1 for first, last in spans):
        return "empty_box"
    rows, columns, (first_slice, last_slice) = spans
    inside = [number for number in reference.instances if first_slice <= number <= last_slice]
    if not inside:
        return "outside_image"
    instances = reference.instances[min(inside)], reference.instances[max(inside)]
    return dict(zip(PLACE, (*columns, *rows, *instances), strict=True))


def _files(phase: _Phase, folders: Mapping[str, list[Path]]) -> list[Path]:
    return [path for name in sorted(phase.folders & folders.keys()) for path in folders[name]]


def _series(name: str, phase: _Phase, files: list[Path]) -> Series:
    """The record of a phase until ``complete`` opens its files."""
    return Series(
        series_uid=phase.series_uid,
        study_uid=phase.study_uid,
        role=ROLES.get(name, SeriesRole.DCE),
        role_confidence=1.0,
        role_reason=f"the data set's mapping calls it {name}",
        image_count=len(files),
        instances=tuple(Instance(path=str(path), sop_instance_uid="", sop_class_uid="") for path in files),
        attributes={"phase": name},
    )


def _label(patient: str, reference: _Phase, attributes: Mapping[str, FieldValue], values: TableValues, row: Row) -> WeakLabel:
    name = f"{case_key(CARD, patient)}/box"
    return WeakLabel(
        label_id=name,
        lesion_id=name,
        case_id=case_key(CARD, patient),
        status=LesionStatus.CANCER,
        tier=Tier.EXPERT,
        centre_source="annotation_box",
        size_source="annotation_box",
        class_source="histopathology",
        confidence=1.0,
        evidence=values.evidence([row], "start_row"),
        diagnosis="malignant",
        attributes=attributes,
        series_key=reference.series_uid,
    )


def complete(case: CuratedCase) -> Completed:
    """Grids of the series and the box on the first post-contrast one; None where that one is no volume."""
    ledger: list[LedgerEntry] = []
    opened = {series.key: _opened(series, ledger, case) for series in case.study.series}
    label = case.labels[0]
    reference, headers = opened[label.series_key or ""]
    if reference is None or reference.grid is None or UNUSABLE.intersection(reference.problems):
        problems = ", ".join(reference.problems) if reference else "no readable slice"
        ledger.append(
            dropped("case", case.case_id, "no_volume", f"the series of the box is no regular volume: {problems}", case.patient_id)
        )
        return None, tuple(ledger)
    finished = _with_box(label, reference, reference.grid, headers, ledger)
    series = tuple(sorted((one for one, _ in opened.values() if one is not None), key=lambda one: one.key))
    return replace(case, study=replace(case.study, series=series), labels=(finished,)), tuple(ledger)


def _opened(series: Series, ledger: list[LedgerEntry], case: CuratedCase) -> tuple[Series | None, list[Header]]:
    """A phase as its headers describe it. All its images are one volume, for the mapping says so."""
    headers, remarks = headers_by_series(Path(instance.path) for instance in series.instances)
    ledger += remarks
    of_series = headers.pop(series.series_uid, [])
    for uid, strays in sorted(headers.items()):
        ledger.append(flagged("series", uid, "several_series", f"{len(strays)} files in the folder of another series", case.patient_id))
    if not of_series:
        ledger.append(dropped("series", series.key, "unreadable_series", "no file of that series could be read", case.patient_id))
        return None, []
    volume = volume_series(SeriesPart("", tuple(of_series)))
    named = replace(volume, role=series.role, role_confidence=1.0, role_reason=series.role_reason, attributes=series.attributes)
    return named, of_series


def _with_box(label: WeakLabel, reference: Series, grid: Grid, headers: list[Header], ledger: list[LedgerEntry]) -> WeakLabel:
    """The label with its box, cut to the image; without one where its slices are not there or it lies outside."""
    numbers = [label.attributes[name] for name in PLACE]
    first_column, last_column, first_row, last_row, first_slice, last_slice = (int(n) for n in numbers if isinstance(n, int))
    slices = [_slice_index(headers, grid, number) for number in (first_slice, last_slice)]
    if slices[0] is None or slices[1] is None:
        ledger.append(
            flagged("lesion", label.label_id, "missing_slice", "a slice at the end of the box is not there; the label keeps no box")
        )
        return without_box(label, "missing_slice")
    low = (max(first_column - 1, 0), max(first_row - 1, 0), min(slices[0], slices[1]))
    high = (min(last_column - 1, grid.shape[0] - 1), min(last_row - 1, grid.shape[1] - 1), max(slices[0], slices[1]))
    if low[0] > high[0] or low[1] > high[1]:
        ledger.append(flagged("lesion", label.label_id, "outside_image", "the box lies beyond the image; the label keeps none"))
        return without_box(label, "outside_image")
    if (first_column, first_row, last_column, last_row) != (low[0] + 1, low[1] + 1, high[0] + 1, high[1] + 1):
        ledger.append(flagged("lesion", label.label_id, "box_cut", "the box reached over the edge and was cut to the image"))
    return replace(label, box=voxel_box(low, high, grid, reference.key))


def _slice_index(headers: list[Header], grid: Grid, number: int) -> int | None:
    """k of the slice of that number, by its position in the patient."""
    header = next((header for header in headers if _instance_number(header) == number), None)
    if header is None or not isinstance(header.get("position"), tuple):
        return None
    return round(float(grid.to_index(header["position"])[2]))


def _instance_number(header: Header) -> int | None:
    """The number in the archive's file name, else Instance Number."""
    named = ARCHIVE_NAME.fullmatch(Path(str(header["path"])).stem)
    number = int(named[1]) if named else header.get("instance_number")
    return number if isinstance(number, int) else None


def voxel_box(first: tuple[int, int, int], last: tuple[int, int, int], grid: Grid, series_key: str) -> Box:
    """The box that holds the voxels ``first`` to ``last`` (i, j, k), both whole; right to one voxel along its longest edge."""
    edges = [(low - 0.5, high + 0.5) for low, high in zip(first, last, strict=True)]
    corners = list(product(*edges))
    points = [(float(x), float(y), float(z)) for x, y, z in grid.to_lps(corners)]
    return box_over(points, grid, series_key, uncertainty_mm=max(grid.spacing))


DATASET = PublicDataset(
    card=CARD,
    layouts=(LAYOUT,),
    read=read,
    complete=complete,
    collection=(
        CollectionSource(client="idc", request={"collection": "duke_breast_cancer_mri", "modality": "MR"}, brings="images"),
        CollectionSource(client="nbia", request={"collection": "Duke-Breast-Cancer-MRI", "modality": "MR"}, brings="images"),
    ),
)
