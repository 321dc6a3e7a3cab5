"""RSNA Screening Mammography Breast Cancer Detection (Kaggle 2022): cancer of each breast, no boxes.

Columns and their meaning: the competition's data page, copied in the RSNA/AI-Challenge-Data wiki.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from weakbox.datasets_public.breast_labels import breast_label, disagreement
from weakbox.datasets_public.cases import image_series, origin_of, public_case
from weakbox.datasets_public.dataset import Access, CollectionSource, DatasetCard, Layout, Located, Part, PublicDataset
from weakbox.datasets_public.image_checks import complete_images
from weakbox.datasets_public.row_values import TableValues, stated, years, yes_or_no
from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows
from weakbox.terminology.birads import worst
from weakbox.terminology.mammography import birads_of, density_of, laterality_of, view_of

CARD = DatasetCard(
    name="rsna_mammography",
    title="RSNA Screening Mammography",
    organ="breast",
    modalities=("MG",),
    licence="RSNA AI Challenge terms (non-commercial)",
    licence_url="https://www.kaggle.com/competition:rsna-breast-cancer-detection/rules",
    allows_commercial_use=False,
    access=Access.COMPETITION,
    how_to_obtain=(
        "Kaggle account; accept the rules of the competition rsna-breast-cancer-detection; download with your own token "
        "(`kaggle competitions download -c rsna-breast-cancer-detection`) and unzip."
    ),
    homepage="https://www.kaggle.com/competition:rsna-breast-cancer-detection",
    citation=(
        "Carr C, Kitamura F, Partridge G, Kalpathy-Cramer J, Mongan J, Andriole K, Vazirabad M, Riopel M, Ball R, Dane S, Chen Y. "
        "RSNA Screening Mammography Breast Cancer Detection. Kaggle (2022)."
    ),
    annotations="cancer, biopsy, BI-RADS, density and implant of each breast; no boxes",
    label_basis="screening follow-up (biopsy where one was done)",
    good_for=("screening", "classification"),
    preference=4,
    traps=(
        "There are no boxes, whatever is said elsewhere.",
        "Images lie one folder deeper than the table suggests: train_images/<patient>/<image>.dcm.",
        "Cancer is stated of the breast and repeated on each of its images: one label a breast.",
        "No cancer is not benign: only a biopsied breast without cancer is benign by tissue.",
        "No study identifier: images of several years of a woman are one case.",
        "Test rows carry no label; they are kept as the official test part, without a class.",
        "Site 1 states implants of the patient, not of the breast: kept as stated.",
        "Ages above 89 are given as 89 or left empty; numbers may be written as 61.0.",
        "Many files are JPEG 2000 or MONOCHROME1: decoded, and inverted after the VOI transformation.",
    ),
)

TRAIN, TEST, TRAIN_IMAGES, TEST_IMAGES = "train", "test", "train_images", "test_images"


def _parts(images: str, test_images: str) -> tuple[Part, ...]:
    return (
        Part(name=TRAIN, pattern="**/train.csv"),
        Part(name=TRAIN_IMAGES, pattern=images),
        Part(name=TEST, pattern="**/test.csv", is_required=False),
        Part(name=TEST_IMAGES, pattern=test_images, is_required=False),
    )


PICTURES = "{png,jpg,jpeg}"
KAGGLE = Layout(name="kaggle", signature=(TRAIN, TRAIN_IMAGES), parts=_parts("**/train_images/*/*.dcm", "**/test_images/*/*.dcm"))
PICTURE_MIRROR = Layout(
    name="kaggle_pictures",
    signature=(TRAIN, TRAIN_IMAGES),
    parts=_parts(
        f"**/train_images{{,_processed,_png,_png_512,_png_1024,_processed_cv2_512}}/**/*.{PICTURES}", f"**/test_images/**/*.{PICTURES}"
    ),
)

_IMAGE_FIELDS = {"patient_id": (), "image_id": (), "laterality": (), "view": ()}
_STATED = {"site_id": (), "age": (), "implant": (), "machine_id": ()}
TRAIN_COLUMNS = Columns(
    required={**_IMAGE_FIELDS, "cancer": ()},
    optional={**_STATED, "biopsy": (), "invasive": (), "birads": (), "density": (), "difficult_negative_case": ()},
)
TEST_COLUMNS = Columns(required=_IMAGE_FIELDS, optional=_STATED)
FOLLOW_UP, TISSUE = "follow_up", "histopathology"
MALIGNANT, BENIGN, NO_CANCER = "malignant", "benign", "no_cancer"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    row: Row
    table: TableValues
    patient: str
    image: str
    side: str | None
    path: Path
    attributes: dict[str, FieldValue | None]


def read(located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """One case a patient and part; see ``PublicDataset.read``."""
    for part, columns, images in ((TRAIN, TRAIN_COLUMNS, TRAIN_IMAGES), (TEST, TEST_COLUMNS, TEST_IMAGES)):
        path = located.one(part)
        if path is not None:
            yield from _read_part(path, columns, located.files.get(images, ()), part)


def _read_part(path: Path, columns: Columns, paths: tuple[Path, ...], part: str) -> Iterator[CuratedCase | LedgerEntry]:
    values = TableValues(path)
    files = _files_by_image(paths)
    named: set[tuple[str, str]] = set()
    patients: dict[str, list[_Image]] = {}
    for row in read_rows(TableOptions(source=CARD.name, path=path), columns, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        key = row.raw("patient_id").strip().removesuffix(".0"), row.raw("image_id").strip().removesuffix(".0")
        reason = _unusable(key, named, files)
        named.add(key)
        if reason is not None:
            yield dropped("row", values.item(row), reason, patient_id=key[0])
            continue
        patients.setdefault(key[0], []).append(_image(key, row, values, files[key]))
    yield from values.ledger
    for key in sorted(files.keys() - named):
        yield dropped("file", files[key].name, "image_without_row", f"{path.name} does not name it", key[0])
    for patient in sorted(patients):
        yield from _case(patient, sorted(patients[patient], key=lambda image: image.image), part)


def _unusable(key: tuple[str, str], named: set[tuple[str, str]], files: dict[tuple[str, str], Path]) -> str | None:
    if not all(key):
        return "no_image_id"
    if key in named:
        return "repeated_row"
    return None if key in files else "missing_image"


def _files_by_image(paths: Iterable[Path]) -> dict[tuple[str, str], Path]:
    """Files by patient and image: ``<patient>/<image>.dcm``, or ``<patient>_<image>.png`` in flat mirrors."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(paths):
        patient, mark, image = path.stem.rpartition("_")
        found.setdefault((patient, image) if mark else (path.parent.name, path.stem), path)
    return found


def _image(key: tuple[str, str], row: Row, values: TableValues, path: Path) -> _Image:
    side = values.value(row, "laterality", laterality_of)
    attributes: dict[str, FieldValue | None] = {
        "laterality": side,
        "view": values.value(row, "view", view_of),
        "breast_density": values.value(row, "density", density_of),
        "implant": values.value(row, "implant", yes_or_no),
        "centre": stated(row, "site_id"),
        "machine": stated(row, "machine_id"),
    }
    return _Image(row=row, table=values, patient=key[0], image=key[1], side=side, path=path, attributes=attributes)


def _case(patient: str, images: list[_Image], part: str) -> Iterator[CuratedCase | LedgerEntry]:
    study = patient if part == TRAIN else f"{part}-{patient}"
    remarks: list[LedgerEntry] = []
    start = len(images[0].table.ledger)
    labels = list(_breasts(study, images, remarks)) if part == TRAIN else []
    ages = [age for image in images if (age := image.table.value(image.row, "age", years)) is not None]
    yield from remarks
    yield from images[0].table.ledger[start:]
    yield public_case(
        CARD,
        patient=patient,
        study=study,
        series=[_series(image, study) for image in images],
        labels=labels,
        origin=origin_of(CARD, patient=patient, official_split="test" if part == TEST else None),
        tier=Tier.CASE_LEVEL,
        negative_reason=_negative_reason(labels),
        age_years=min(ages, default=None),
    )


def _negative_reason(labels: list[WeakLabel]) -> str | None:
    is_negative = bool(labels) and all(label.diagnosis == NO_CANCER and not label.conflicts for label in labels)
    return "no cancer in any breast and no biopsy, by screening follow-up" if is_negative else None


def _series(image: _Image, study: str) -> Series:
    name = f"{image.patient}/{image.image}"
    return image_series(CARD, image=name, study=study, path=image.path, modality="MG", attributes=image.attributes)


def _breasts(study: str, images: list[_Image], remarks: list[LedgerEntry]) -> Iterator[WeakLabel]:
    for side in sorted({image.side for image in images if image.side is not None}):
        label = _breast(study, side, [image for image in images if image.side == side])
        if label.conflicts:
            remarks.append(flagged("breast", label.label_id, "conflicting_labels", "; ".join(label.conflicts), images[0].patient))
        if label.diagnosis is not None or label.birads is not None:
            yield label
    for image in images:
        if image.side is None:
            remarks.append(flagged("row", image.table.item(image.row), "no_laterality", "its class belongs to no breast", image.patient))


def _breast(study: str, side: str, images: list[_Image]) -> WeakLabel:
    values = images[0].table
    answers = {
        name: [values.value(image.row, name, yes_or_no) for image in images] for name in ("cancer", "biopsy", "invasive", *_DIFFICULT)
    }
    birads = [values.value(image.row, "birads", birads_of) for image in images]
    known = [category for category in birads if category is not None]
    diagnosis = _diagnosis(
        any(answers["cancer"]), any(answers["biopsy"]), is_stated=any(answer is not None for answer in answers["cancer"])
    )
    return breast_label(
        CARD,
        study,
        side,
        evidence=values.evidence((image.row for image in images), "cancer"),
        status={MALIGNANT: LesionStatus.CANCER, BENIGN: LesionStatus.BENIGN}.get(diagnosis or "", LesionStatus.UNTESTED),
        diagnosis=diagnosis,
        birads=worst(known) if known else None,
        class_source={MALIGNANT: TISSUE, BENIGN: TISSUE, NO_CANCER: FOLLOW_UP}.get(diagnosis or "", "not_stated"),
        attributes={
            name: any(answers[name]) if any(a is not None for a in answers[name]) else None for name in ("biopsy", "invasive", *_DIFFICULT)
        },
        conflicts=(*disagreement("birads", birads), *(clause for name in answers for clause in disagreement(name, answers[name]))),
    )


_DIFFICULT = ("difficult_negative_case",)


def _diagnosis(has_cancer: bool, has_biopsy: bool, *, is_stated: bool) -> str | None:
    if not is_stated:
        return None
    return MALIGNANT if has_cancer else BENIGN if has_biopsy else NO_CANCER


DATASET = PublicDataset(
    card=CARD,
    layouts=(KAGGLE, PICTURE_MIRROR),
    read=read,
    complete=complete_images,
    collection=(
        CollectionSource(client="kaggle", request={"collection": "competition:rsna-breast-cancer-detection"}, brings="images and tables"),
    ),
)
