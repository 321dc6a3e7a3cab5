"""What the readers of public sets share: cases, images and labels under names that cannot collide, and the checks on what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TypeVar

from weakbox.datasets_public.dataset import Completed, DatasetCard, Located, PublicDataset
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy, Instance, Series, SeriesRole
from weakbox.records.label import CuratedCase, Origin, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima", "")
ROLES = {"MG": SeriesRole.MAMMOGRAM, "DMS": SeriesRole.DERMATOSCOPY}

Parsed = TypeVar("Parsed")


def patient_key(dataset: str, patient: str) -> str:
    """A patient of a set, under a name that no other set has."""
    return f"{dataset}:{patient}"


def image_key(dataset: str, image: str) -> str:
    """An image of a set: what ``Series.key`` and ``PixelBox.series_key`` hold."""
    return f"{dataset}/{image}"


def image_series(
    card: DatasetCard, *, image: str, study: str, path: Path, modality: str, attributes: Mapping[str, FieldValue | None]
) -> Series:
    """One 2-D image: a DICOM file, or an ordinary picture. ``attributes`` that are None are left out."""
    is_dicom = path.suffix.lower() in DICOM_SUFFIXES
    instance = Instance(path=str(path), sop_instance_uid="", sop_class_uid="")
    return Series(
        series_uid=image_key(card.name, image),
        study_uid=study,
        role=ROLES[modality],
        role_confidence=1.0,
        role_reason="the data set says so",
        modality=modality,
        image_count=1,
        instances=(instance,) if is_dicom else (),
        volume_path=None if is_dicom else str(path),
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def image_path(series: Series) -> Path:
    """Where the image of ``image_series`` lies."""
    return Path(series.volume_path or series.instances[0].path)


def public_case(
    card: DatasetCard,
    *,
    patient: str,
    study: str,
    series: Iterable[Series],
    labels: Iterable[WeakLabel],
    origin: Origin,
    tier: Tier = Tier.EXPERT,
    negative_reason: str | None = None,
    clinical: Mapping[str, FieldValue | None] | None = None,
    age_years: float | None = None,
    sex: str | None = None,
    conflicts: Iterable[str] = (),
) -> CuratedCase:
    """A study of a public set. ``patient`` and ``study`` are the set's own names; they get the set's name before them."""
    patient_id = patient_key(card.name, patient)
    images = tuple(sorted(series, key=lambda one: one.key))
    return CuratedCase(
        case_id=case_key(card, study),
        patient_id=patient_id,
        dataset=card.name,
        organ=card.organ,
        study=ImagingStudy(study_uid=study, patient_id=patient_id, patient_age_years=age_years, patient_sex=sex, series=images),
        labels=tuple(sorted(labels, key=lambda label: label.label_id)),
        tier=tier,
        negative_reason=negative_reason,
        clinical={name: value for name, value in (clinical or {}).items() if value is not None},
        conflicts=tuple(conflicts),
        origin=origin,
    )


def case_key(card: DatasetCard, study: str) -> str:
    """The case of a study: what ``WeakLabel.case_id`` holds."""
    return f"{card.name}/{study}"


def origin_of(
    card: DatasetCard,
    *,
    patient: str | None,
    lesions: Iterable[str] = (),
    identifiers: Iterable[str] = (),
    official_split: str | None = None,
    licence: str | None = None,
    attribution: str = "",
) -> Origin:
    """Origin of a case: its patient and lesions as groups that no split tears apart."""
    groups = [f"patient:{patient_key(card.name, patient)}"] if patient is not None else []
    groups += [f"lesion:{card.name}:{lesion}" for lesion in lesions]
    return Origin(
        dataset=card.name,
        licence=licence or card.licence,
        group_ids=tuple(sorted(set(groups))),
        identifiers=tuple(sorted(set(identifiers))),
        official_split=official_split,
        attribution=attribution,
    )


def cell(parse: Callable[[str], Parsed], text: str | None) -> Parsed | None:
    """``parse(text)``, None for an empty cell.

    Raises:
        ValueError: what ``parse`` raises.
    """
    return None if text is None or not text.strip() else parse(text)


def read_cases(dataset: PublicDataset, located: Located) -> Iterator[CuratedCase | LedgerEntry]:
    """What a set's reader gives, checked: no case twice, and never an empty success.

    Raises:
        InputError: the set cannot be used; names it, the folder, and what its rows were dropped for.
    """
    seen: set[str] = set()
    reasons: Counter[str] = Counter()
    for item in chain(_not_read(located), dataset.read(located)):
        if isinstance(item, LedgerEntry):
            reasons[item.reason] += 1
        elif item.case_id in seen:
            item = dropped("case", item.case_id, "repeated_case", "a case of that name came before", item.patient_id)
        else:
            seen.add(item.case_id)
        yield item
    if not seen:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "its tables hold no rows"
        name = f"{dataset.card.title} ({located.layout})"
        msg = f"{located.folder}: {name}: not one case could be read ({why}); docs/datasets.md shows the layout"
        raise InputError(msg)


def _not_read(located: Located) -> Iterator[LedgerEntry]:
    for path in located.unreadable:
        yield dropped("folder", str(path), "unreadable_folder", "it cannot be listed; check its rights")
    for path in located.copies:
        yield dropped("folder", str(path), "other_copy", f"the set is read from {located.folder}; name one root to choose")


def completed(dataset: PublicDataset, case: CuratedCase) -> Completed:
    """The case with what its files say. One that ends here has a dropped row of kind ``case``, whatever was said of its files."""
    if dataset.complete is None:
        return case, ()
    finished, entries = dataset.complete(case)
    is_said = any(entry.kind == "case" and entry.outcome is Outcome.DROPPED for entry in entries)
    if finished is None and not is_said:
        entries = (*entries, dropped("case", case.case_id, "no_image", "none of its files could be used", case.patient_id))
    return finished, entries
