"""Which imaging study a report, a target, a core or a mask belongs to: by identifier first, by date only where that is unique."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from weakbox.linking.labels import normal_accession
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation
from weakbox.records.imaging import ImagingStudy, StudyKind
from weakbox.records.report import Report

BY_UID = 1.0
BY_FRAME = 0.95
BY_ACCESSION = 1.0
BY_DAY = 0.9
BY_DAY_OTHER_ACCESSION = 0.8
BY_PROCEDURE = 0.9
ONLY_STUDY = 0.7
"""Nothing names the study, but the patient has just one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The study a record belongs to, or the reason why none does."""

    study_uid: str | None
    score: float = 0.0
    reason: str = ""
    needs_review: bool = False
    problem: str = ""
    """A code where ``study_uid`` is None."""


class Studies:
    """One patient's studies, by everything that a record may name them with."""

    def __init__(self, studies: Iterable[ImagingStudy]) -> None:
        ordered = sorted(studies, key=lambda study: (study.study_date or date.max, study.study_uid))
        self.all = tuple(ordered)
        self.diagnostic = tuple(study for study in ordered if study.kind is StudyKind.DIAGNOSTIC)
        self.procedural = tuple(study for study in ordered if study.kind is not StudyKind.DIAGNOSTIC)
        self.by_uid = {study.study_uid: study for study in ordered}

    @cached_property
    def _by_accession(self) -> dict[str, list[ImagingStudy]]:
        found: dict[str, list[ImagingStudy]] = defaultdict(list)
        for study in self.all:
            accession = normal_accession(study.accession)
            if accession is not None:
                found[accession].append(study)
        return found

    @cached_property
    def _by_series(self) -> dict[str, ImagingStudy]:
        return {series.series_uid: study for study in self.all for series in study.series}

    @cached_property
    def _by_frame(self) -> dict[str, list[ImagingStudy]]:
        found: dict[str, list[ImagingStudy]] = defaultdict(list)
        for study in self.all:
            for uid in sorted({series.frame_of_reference_uid for series in study.series if series.frame_of_reference_uid}):
                found[uid].append(study)
        return found

    def with_accession(self, accession: str | None) -> Sequence[ImagingStudy]:
        """Studies with an equal accession number."""
        return self._by_accession.get(normal_accession(accession) or "", ())

    def with_series(self, series_uid: str | None) -> ImagingStudy | None:
        """The study that holds a series."""
        return self._by_series.get(series_uid or "")

    def with_frame(self, frame_uid: str | None) -> Sequence[ImagingStudy]:
        """Studies with a series in that frame of reference."""
        return self._by_frame.get(frame_uid or "", ())

    def last_before(self, day: date, window_days: int) -> tuple[ImagingStudy, ...]:
        """The last diagnostic studies on or before a day, within the window; several only where they are of one day."""
        within = [study for study in self.diagnostic if study.study_date and 0 <= (day - study.study_date).days <= window_days]
        return tuple(study for study in within if study.study_date == within[-1].study_date)


def place_radiology(report: Report, studies: Studies, window_days: int) -> Placement:
    """The study that a radiology report describes: equal accession number, else the nearest day within the window.

    A report that is dated by its signature only is signed on the day of the study or later.
    """
    named = studies.with_accession(report.accession)
    if len(named) > 1:
        named = [study for study in named if study.study_date == report.date] or named
    if len(named) == 1:
        return _accept_radiology(named[0], BY_ACCESSION, "equal accession number")
    if named:
        return Placement(study_uid=None, problem="ambiguous_study", reason="several studies share the accession number")
    if report.date is None:
        return _only_study(studies, "undated report")
    return _radiology_by_day(report, report.date, studies, window_days)


def _radiology_by_day(report: Report, day: date, studies: Studies, window_days: int) -> Placement:
    earliest = -window_days
    latest = window_days if report.exam_date is not None else 0
    distances = {
        study.study_uid: (study.study_date - day).days
        for study in studies.all
        if study.study_date is not None and earliest <= (study.study_date - day).days <= latest
    }
    if not distances:
        undated = len(studies.diagnostic) == 1 and studies.diagnostic[0].study_date is None
        return _only_study(studies, "undated study") if undated else Placement(study_uid=None, problem="no_study_near_date")
    nearest = min(abs(days) for days in distances.values())
    tied = [studies.by_uid[uid] for uid in distances if abs(distances[uid]) == nearest]
    diagnostic = [study for study in tied if study.kind is StudyKind.DIAGNOSTIC]
    if len(diagnostic) > 1:
        return Placement(study_uid=None, problem="ambiguous_study", reason="several studies are equally near in time")
    study = (diagnostic or tied)[0]
    is_other = report.accession is not None and study.accession is not None
    score = (BY_DAY_OTHER_ACCESSION if is_other else BY_DAY) * (1.0 - nearest / (2.0 * (window_days + 1)))
    reason = ("same day" if nearest == 0 else f"{nearest} day(s) apart") + (", another accession number" if is_other else "")
    return _accept_radiology(study, score, reason, needs_review=len(tied) > len(diagnostic) > 0)


def _accept_radiology(study: ImagingStudy, score: float, reason: str, *, needs_review: bool = False) -> Placement:
    if study.kind is not StudyKind.DIAGNOSTIC:
        return Placement(study_uid=None, problem="intraprocedural_report", reason=reason)
    return Placement(study_uid=study.study_uid, score=score, reason=reason, needs_review=needs_review)


def place_pathology(report: Report, studies: Studies, window_days: int) -> Placement:
    """The study that tissue belongs to: the last diagnostic one before it, within the window."""
    named = [study for study in studies.with_accession(report.accession) if study.kind is StudyKind.DIAGNOSTIC]
    if len(named) == 1:
        return Placement(study_uid=named[0].study_uid, score=BY_ACCESSION, reason="equal accession number")
    if report.date is None:
        return _only_study(studies, "undated pathology")
    return _place_procedure(report.date, studies, window_days, "pathology")


def _place_procedure(day: date, studies: Studies, window_days: int, kind: str) -> Placement:
    found = studies.last_before(day, window_days)
    if len(found) > 1:
        return Placement(
            study_uid=None, problem="ambiguous_study", reason="several diagnostic studies on the last day before the procedure"
        )
    if found:
        days = (day - (found[0].study_date or day)).days
        guided = any(study.study_date == day for study in studies.procedural)
        reason = f"last diagnostic study before the procedure, {days} day(s) earlier" + (", in-bore images of that day" if guided else "")
        return Placement(study_uid=found[0].study_uid, score=BY_PROCEDURE - 0.2 * days / (window_days + 1), reason=reason)
    dated = [study.study_date for study in studies.diagnostic if study.study_date is not None]
    if not dated:
        return _only_study(studies, f"undated study, {kind}")
    if all(day < study_day for study_day in dated):
        return Placement(study_uid=None, problem=f"{kind}_before_imaging", reason="all diagnostic studies are later")
    return Placement(study_uid=None, problem=f"{kind}_outside_window", reason=f"no diagnostic study in the {window_days} days before")


def place_pointed(record: BiopsyTarget | BiopsyCore, studies: Studies, window_days: int) -> Placement:
    """The study of a target or core: UIDs, accession number, day of the MRI, else the last diagnostic study before the procedure."""
    by_uid = _by_identifier(record.study_uid, record.series_uid, record.frame_of_reference_uid, studies)
    if by_uid is not None and by_uid.kind is StudyKind.DIAGNOSTIC:
        return Placement(study_uid=by_uid.study_uid, score=BY_UID, reason="named by UID")
    if by_uid is not None:
        return _before_procedural(by_uid, studies, window_days)
    if record.study_uid is not None or record.series_uid is not None:
        return Placement(study_uid=None, problem="study_not_available", reason="it names a study or series that is not among the images")
    accession, mri_day = getattr(record, "accession", None), getattr(record, "study_date", None)
    named = [study for study in studies.with_accession(accession) if study.kind is StudyKind.DIAGNOSTIC]
    if len(named) == 1:
        return Placement(study_uid=named[0].study_uid, score=BY_ACCESSION, reason="equal accession number")
    if mri_day is not None:
        return _on_day(mri_day, studies)
    if record.procedure_date is not None:
        return _place_procedure(record.procedure_date, studies, window_days, "procedure")
    return _only_study(studies, "nothing names the study")


def _before_procedural(study: ImagingStudy, studies: Studies, window_days: int) -> Placement:
    """A record in an intra-procedural study belongs to the diagnostic one before; its frame stays its own."""
    if study.study_date is None:
        return _only_study(studies, "named in an undated intra-procedural study")
    return _place_procedure(study.study_date, studies, window_days, "procedure")


def _on_day(day: date, studies: Studies) -> Placement:
    found = [study for study in studies.diagnostic if study.study_date == day]
    if len(found) == 1:
        return Placement(study_uid=found[0].study_uid, score=BY_DAY, reason="day of the study")
    problem = "ambiguous_study" if found else "study_not_available"
    return Placement(study_uid=None, problem=problem, reason=f"{len(found)} diagnostic studies on the stated day")


def place_segmentation(segmentation: Segmentation, studies: Studies) -> Placement:
    """The study that a mask was drawn on, by study, series or frame UID."""
    named = (segmentation.study_uid, segmentation.series_uid, segmentation.frame_of_reference_uid)
    study = _by_identifier(*named, studies)
    if study is not None and study.kind is StudyKind.DIAGNOSTIC:
        return Placement(study_uid=study.study_uid, score=BY_UID, reason="named by UID")
    if study is not None:
        return Placement(study_uid=None, problem="intraprocedural_mask", reason="drawn on an intra-procedural study")
    if any(uid is not None for uid in named):
        return Placement(
            study_uid=None, problem="study_not_available", reason="it names a study, series or frame that is not among the images"
        )
    return _only_study(studies, "nothing names the study")


def _by_identifier(study_uid: str | None, series_uid: str | None, frame_uid: str | None, studies: Studies) -> ImagingStudy | None:
    if study_uid in studies.by_uid:
        return studies.by_uid[study_uid or ""]
    if study_uid is None and series_uid is not None and studies.with_series(series_uid):
        return studies.with_series(series_uid)
    if study_uid is None and series_uid is None:
        framed = studies.with_frame(frame_uid)
        return framed[0] if len(framed) == 1 else None
    return None


def _only_study(studies: Studies, why: str) -> Placement:
    if len(studies.diagnostic) == 1:
        return Placement(study_uid=studies.diagnostic[0].study_uid, score=ONLY_STUDY, reason=f"the patient's only diagnostic study ({why})")
    problem = "ambiguous_study" if studies.diagnostic else "no_study"
    return Placement(study_uid=None, problem=problem, reason=f"{len(studies.diagnostic)} diagnostic studies ({why})")
