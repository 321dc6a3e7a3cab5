"""Maps records from one identifier space to the other: patients, accessions, study UIDs and days, by an identity crosswalk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, Literal

from weakbox.records.case import LedgerEntry
from weakbox.records.crosswalk import CrosswalkEntry
from weakbox.records.imaging import ImagingStudy
from weakbox.sources.remarks import dropped, flagged

Space = Literal["original", "research"]
DAY_FIELDS = ("exam_date", "report_date", "procedure_date", "study_date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """What a crosswalk says, from one space to the other."""

    patients: Mapping[str, str] = field(default_factory=dict)
    accessions: Mapping[str, str] = field(default_factory=dict)
    study_uids: Mapping[str, str] = field(default_factory=dict)
    patient_of_accession: Mapping[str, str] = field(default_factory=dict)
    """Accession of the space that a record comes from -> patient of the space that it goes to."""
    shifts: Mapping[str, int] = field(default_factory=dict)
    """Patient of the space that a record goes to -> days that its days move by."""
    has_shifts: bool = False
    targets: frozenset[str] = frozenset()
    """Patients of the space that records go to."""


def consistent_entries(entries: Iterable[CrosswalkEntry]) -> tuple[tuple[CrosswalkEntry, ...], tuple[LedgerEntry, ...]]:
    """The rows that no other row contradicts; all rows of a contradiction are dropped, for none is known to be right."""
    ordered = sorted(set(entries), key=lambda entry: (entry.source_file, entry.source_row or 0))
    partners: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for entry in ordered:
        for kind, original, research in entry.pairs:
            partners[kind, "original", original].add(research)
            partners[kind, "research", research].add(original)
    kept, ledger = [], []
    for entry in ordered:
        wrong = [
            kind
            for kind, original, research in entry.pairs
            if len(partners[kind, "original", original]) > 1 or len(partners[kind, "research", research]) > 1
        ]
        if wrong:
            detail = f"another row pairs the same {wrong[0]} identifier differently"
            ledger.append(dropped("crosswalk", f"{entry.source_file}:{entry.source_row}", "crosswalk_conflict", detail))
        else:
            kept.append(entry)
    return tuple(kept), tuple(ledger)


def build_identities(entries: Iterable[CrosswalkEntry], to: Space) -> tuple[Identities, tuple[LedgerEntry, ...]]:
    """The maps of consistent entries towards one space; a patient with several shifts has none, and is flagged."""
    maps: dict[str, dict[str, str]] = {"patient": {}, "accession": {}, "study_uid": {}}
    shifts: dict[str, set[int]] = defaultdict(set)
    patient_of_accession: dict[str, str] = {}
    for entry in entries:
        turned = {kind: _turned(original, research, to) for kind, original, research in entry.pairs}
        for kind, (source, target) in turned.items():
            maps[kind][source] = target
        patient = turned.get("patient", (None, None))[1]
        accession = turned.get("accession", (None, None))[0]
        if patient is not None and accession is not None:
            patient_of_accession[accession] = patient
        if patient is not None and entry.date_shift_days is not None:
            shifts[patient].add(entry.date_shift_days if to == "research" else -entry.date_shift_days)
    remarks = tuple(
        flagged("crosswalk", "date_shift", "conflicting_date_shift", "several shifts; this patient's days are not used", patient)
        for patient in sorted(shifts)
        if len(shifts[patient]) > 1
    )
    identities = Identities(
        patients=maps["patient"],
        accessions=maps["accession"],
        study_uids=maps["study_uid"],
        patient_of_accession=patient_of_accession,
        shifts={patient: min(days) for patient, days in shifts.items() if len(days) == 1},
        has_shifts=bool(shifts),
        targets=frozenset(maps["patient"].values()),
    )
    return identities, remarks


def _turned(original: str, research: str, to: Space) -> tuple[str, str]:
    return (original, research) if to == "research" else (research, original)


def map_identity(item: Any, identities: Identities, kind: str, item_id: str) -> Iterator[Any]:
    """The record under its identifiers and days in the other space; or the reason why it cannot go there.

    A known patient with an unknown accession loses the accession, and one without a shift loses its days, where the
    crosswalk states accessions or shifts at all: values of the wrong space would only match by accident.
    """
    patient = identities.patients.get(item.patient_id or "")
    patient = patient or identities.patient_of_accession.get(getattr(item, "accession", None) or "")
    if patient is None:
        known = item.patient_id in identities.targets
        detail = "its patient identifier is of the other space: see `preprocessing.identity`" if known else ""
        yield dropped(kind, item_id, "not_in_crosswalk", detail, item.patient_id)
        return
    changes, reasons = _mapped_values(item, identities, patient)
    yield replace(item, patient_id=patient, **changes)
    for reason in reasons:
        yield flagged(kind, item_id, reason, patient_id=patient)


def _mapped_values(item: Any, identities: Identities, patient: str) -> tuple[dict[str, Any], list[str]]:
    names = {each.name for each in fields(item)}
    changes: dict[str, Any] = {}
    reasons: list[str] = []
    accession = getattr(item, "accession", None)
    if accession is not None and identities.accessions:
        changes["accession"] = identities.accessions.get(accession)
        reasons += [] if changes["accession"] else ["accession_not_in_crosswalk"]
    days = {name: getattr(item, name) for name in DAY_FIELDS if name in names and getattr(item, name) is not None}
    shift = identities.shifts.get(patient)
    if days and identities.has_shifts:
        changes.update({name: None if shift is None else day + timedelta(days=shift) for name, day in days.items()})
        reasons += [] if shift is not None else ["no_date_shift"]
    return changes, reasons


def map_study_uid(item: Any, identities: Identities) -> Any:
    """The record with its study UID as the images have it; images themselves keep theirs."""
    study_uid = getattr(item, "study_uid", None)
    if study_uid is None or isinstance(item, ImagingStudy) or study_uid not in identities.study_uids:
        return item
    return replace(item, study_uid=identities.study_uids[study_uid])
