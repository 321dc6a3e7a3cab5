"""Versions of one report: duplicates, corrections, addenda, cancelled reports. What stays is one report for each text that counts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date

from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.report import Report, ReportStatus, ReportType

RANKS = {
    ReportStatus.PRELIMINARY: 0,
    ReportStatus.UNKNOWN: 1,
    ReportStatus.FINAL: 2,
    ReportStatus.ADDENDUM: 3,
    ReportStatus.CORRECTED: 3,
    ReportStatus.CANCELLED: -1,
}
ADDENDUM_HEADING = "ADDENDUM:"
_STARTS_AS_ADDENDUM = re.compile(r"\W*addend", re.IGNORECASE)
_NO_WORD = re.compile(r"\W+")

Settled = tuple[list[Report], list[LedgerEntry]]


def text_key(report: Report) -> str:
    """The words and digits of a report in order, without case, blanks and punctuation."""
    return _NO_WORD.sub(" ", report.text.casefold()).strip()


def settle_versions(reports: Iterable[Report]) -> tuple[tuple[Report, ...], tuple[LedgerEntry, ...]]:
    """The reports of one patient that count, and a ledger row for each that does not or that a person should look at.

    The result does not depend on the order of the input.
    """
    ordered = sorted(reports, key=_canonical)
    ledger = [_entry(Outcome.DROPPED, report, "cancelled") for report in ordered if report.status is ReportStatus.CANCELLED]
    live = [report for report in ordered if report.status is not ReportStatus.CANCELLED]
    kept: list[Report] = []
    for _, group in sorted(_grouped(live, lambda report: (report.report_type, report.report_id)).items()):
        settled, remarks = _settle_group(group)
        kept += settled
        ledger += remarks
    for step in (_settle_by_accession, _apart_by_type, _drop_same_text):
        kept, remarks = step(sorted(kept, key=_canonical))
        ledger += remarks
    return tuple(sorted(kept, key=_canonical)), tuple(ledger)


def _grouped(reports: Iterable[Report], key: Callable[[Report], tuple[str, ...]]) -> dict[tuple[str, ...], list[Report]]:
    groups: dict[tuple[str, ...], list[Report]] = defaultdict(list)
    for report in reports:
        groups[key(report)].append(report)
    return groups


def _entry(outcome: Outcome, report: Report, reason: str, detail: str = "") -> LedgerEntry:
    return LedgerEntry(
        stage="preprocessing",
        kind="report",
        item_id=report.report_id,
        outcome=outcome,
        reason=reason,
        detail=detail,
        patient_id=report.patient_id,
    )


def _canonical(report: Report) -> tuple[str, ...]:
    day = report.report_date or report.exam_date
    return (
        report.report_type,
        report.report_id,
        day.isoformat() if day else "",
        report.exam_date.isoformat() if report.exam_date else "",
        report.status,
        report.text,
        report.accession or "",
        report.title or "",
        report.source_file,
        f"{report.source_row or 0:012d}",
    )


def _preference(report: Report) -> tuple[object, ...]:
    """Sorts the copy that is kept first: best status, most header values, latest day, then content."""
    stated = sum(value is not None for value in (report.accession, report.exam_date, report.report_date, report.title, report.institution))
    day = _day(report)
    return (-RANKS[report.status], -stated, -(day.toordinal() if day else 0), _canonical(report))


def _day(report: Report) -> date | None:
    return report.report_date or report.exam_date


def _settle_group(group: Sequence[Report]) -> Settled:
    """Reports of one type with one id."""
    distinct, ledger = _drop_copies(group, "duplicate")
    mains = [report for report in distinct if report.status is not ReportStatus.ADDENDUM]
    addenda = [report for report in distinct if report.status is ReportStatus.ADDENDUM]
    if not mains:
        mains, addenda = addenda, []
    mains, remarks = _latest(mains)
    ledger += remarks
    mains, remarks = _attach(mains, addenda)
    ledger += remarks
    kept, remarks = _apart(mains)
    return kept, ledger + remarks


def _drop_copies(group: Iterable[Report], reason: str) -> Settled:
    kept: list[Report] = []
    ledger: list[LedgerEntry] = []
    for _, copies in sorted(_grouped(group, lambda report: (text_key(report),)).items()):
        first, *others = sorted(copies, key=_preference)
        kept.append(first)
        ledger += [_entry(Outcome.DROPPED, report, reason, f"same text as {first.report_id}") for report in others]
    return kept, ledger


def _latest(versions: Sequence[Report]) -> Settled:
    """Versions that no other one beats; a preliminary one never beats a signed one."""
    standing = [report for report in versions if not any(_beats(other, report) for other in versions)]
    standing = standing or list(versions)
    ledger = [_entry(Outcome.DROPPED, report, "superseded") for report in versions if report not in standing]
    return standing, ledger


def _beats(left: Report, right: Report) -> bool:
    signed = (left.status is not ReportStatus.PRELIMINARY, right.status is not ReportStatus.PRELIMINARY)
    if signed[0] != signed[1]:
        return signed[0]
    days = (_day(left), _day(right))
    if days[0] is not None and days[1] is not None and days[0] != days[1]:
        return days[0] > days[1]
    return RANKS[left.status] > RANKS[right.status]


def _attach(mains: Sequence[Report], addenda: Sequence[Report]) -> Settled:
    """Addenda become part of the report they belong to."""
    kept = list(mains)
    ledger: list[LedgerEntry] = []
    for addendum in sorted(addenda, key=lambda report: ((_day(report) or date.min).isoformat(), _canonical(report))):
        kept = [_joined(report, addendum) for report in kept]
        ledger.append(_entry(Outcome.DROPPED, addendum, "attached_addendum", f"now part of {kept[0].report_id}"))
    if addenda:
        ledger += [_entry(Outcome.FLAGGED, report, "addendum_attached", f"{len(addenda)} addenda") for report in kept]
    return kept, ledger


def _joined(report: Report, addendum: Report) -> Report:
    """The report with its addendum at the end; an addendum that repeats the whole report takes its place."""
    if text_key(report) in text_key(addendum):
        text = addendum.text
    elif text_key(addendum) in text_key(report):
        text = report.text
    else:
        heading = "" if _STARTS_AS_ADDENDUM.match(addendum.text) else f"{ADDENDUM_HEADING}\n"
        text = f"{report.text.rstrip()}\n\n{heading}{addendum.text}"
    days = [day for day in (report.report_date, addendum.report_date) if day is not None]
    return replace(report, text=text, status=ReportStatus.ADDENDUM, report_date=max(days, default=None))


def _apart(reports: Sequence[Report]) -> Settled:
    """Versions between which nothing decides are all kept, under their own ids, for a person to see."""
    if len(reports) == 1:
        return list(reports), []
    named = [
        report if place == 0 else replace(report, report_id=f"{report.report_id}~{place + 1}")
        for place, report in enumerate(sorted(reports, key=_canonical))
    ]
    detail = f"{len(named)} texts under one id, neither status nor day decides"
    return named, [_entry(Outcome.FLAGGED, report, "duplicate_id_conflict", detail) for report in named]


def _settle_by_accession(reports: Sequence[Report]) -> Settled:
    """Addenda and preliminary versions that came under another id, but with the accession of one signed report."""
    kept: list[Report] = []
    ledger: list[LedgerEntry] = []
    for (_, accession), group in sorted(_grouped(reports, lambda report: (report.report_type, report.accession or "")).items()):
        signed = [report for report in group if report.status not in (ReportStatus.ADDENDUM, ReportStatus.PRELIMINARY)]
        if not accession or len(signed) != 1:
            kept += group
            continue
        drafts = [report for report in group if report.status is ReportStatus.PRELIMINARY]
        ledger += [_entry(Outcome.DROPPED, report, "superseded", f"by {signed[0].report_id}, of the same accession") for report in drafts]
        joined, remarks = _attach(signed, [report for report in group if report.status is ReportStatus.ADDENDUM])
        kept += joined
        ledger += remarks
    return kept, ledger


def _apart_by_type(reports: Sequence[Report]) -> Settled:
    """A radiology and a pathology report with one id: the pathology report's id says so."""
    radiology = {report.report_id for report in reports if report.report_type is ReportType.RADIOLOGY}
    kept: list[Report] = []
    ledger: list[LedgerEntry] = []
    for report in reports:
        if report.report_type is ReportType.PATHOLOGY and report.report_id in radiology:
            report = replace(report, report_id=f"{report.report_id}~pathology")
            ledger.append(_entry(Outcome.FLAGGED, report, "duplicate_id_conflict", "a radiology report has the same id"))
        kept.append(report)
    return kept, ledger


def _drop_same_text(reports: Sequence[Report]) -> Settled:
    """The same text of the same day under another id is a copy; on another day it is flagged as copied forward."""
    kept: list[Report] = []
    ledger: list[LedgerEntry] = []
    for _, group in sorted(_grouped(reports, lambda report: (report.report_type, text_key(report))).items()):
        days = _grouped(group, lambda report: (report.date.isoformat() if report.date else "",))
        for place, day in enumerate(sorted(days)):
            first, remarks = _drop_copies(days[day], "near_duplicate")
            kept += first
            ledger += remarks
            if place:
                ledger += [_entry(Outcome.FLAGGED, report, "copied_forward", "same text as an earlier report") for report in first]
    return kept, ledger
