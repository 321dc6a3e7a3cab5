"""How one label came to be: every stage's record of one patient, case or report, with the words that state each value.

Shows identifiers and report text, on the terminal of the person who asked, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from weakbox.records.artifact import ExportedCase
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation
from weakbox.records.case import LedgerEntry, Link, MatchedCase, PatientRecord
from weakbox.records.errors import InputError
from weakbox.records.extraction import ExtractionFailure, ReportExtraction
from weakbox.records.grid import Point
from weakbox.records.imaging import ImagingStudy
from weakbox.records.label import CuratedCase, Evidence, Exclusion, WeakLabel
from weakbox.records.record import record
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.runtime.codec import read_records
from weakbox.runtime.stage import patient_of
from weakbox.runtime.store import READING, STAGES, Store, shard_of

WORDS_SHOWN = 200
"""Characters of one quotation; longer ones are cut in the middle."""

OWN_NAMES: dict[type, str] = {
    Report: "report_id", ImagingStudy: "study_uid", BiopsyTarget: "target_id", BiopsyCore: "core_id", Segmentation: "segmentation_id"
}  # fmt: skip
LEDGER_TITLE = "ledger: what did not go on, and remarks"


@record
class TraceSection:
    """What one stage says, line by line; indentation shows what belongs to what."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """One patient's records of every stage, and which reports and cases were asked for (None: all)."""

    records: Mapping[str, Sequence[Any]]
    ledger: Sequence[LedgerEntry]
    report_ids: frozenset[str] | None
    case_ids: frozenset[str] | None

    def of(self, stage: str, *types: type) -> list[Any]:
        return [item for item in self.records[stage] if isinstance(item, types) and self._is_asked_for(item)]

    def _is_asked_for(self, item: Any) -> bool:
        case = getattr(item, "case", item)
        if hasattr(case, "case_id"):
            return self.case_ids is None or case.case_id in self.case_ids
        return self.report_ids is None or not hasattr(item, "report_id") or item.report_id in self.report_ids

    def text_of(self, report_id: str) -> str | None:
        reports = [item for item in self.records[READING] if isinstance(item, Report)]
        reports += [report for item in self.records["preprocessing"] if isinstance(item, PatientRecord) for report in item.reports]
        return next((report.text for report in reversed(reports) if report.report_id == report_id), None)


def identifiers_of(item: Any) -> set[str]:
    """Every identifier by which a person may ask for this record."""
    if isinstance(item, PatientRecord):
        parts = (*item.reports, *item.studies, *item.targets, *item.cores, *item.segmentations)
        return {item.patient_id}.union(*(identifiers_of(part) for part in parts))
    if isinstance(item, MatchedCase):
        return identifiers_of(item.case.study) | {item.case.case_id} | {lesion.lesion_id for lesion in item.lesions}
    if isinstance(item, CuratedCase):
        return {item.patient_id, item.case_id} | {name for label in item.labels for name in (label.label_id, label.lesion_id)}
    if isinstance(item, ReportExtraction):
        return {item.patient_id or "", item.report_id} | {found.item_id for found in item.items}
    names = ("patient_id", "report_id", "accession", "study_uid", "target_id", "core_id", "segmentation_id", "case_id")
    return {value for name in (*names, "research_case_id", "research_patient_id") if (value := getattr(item, name, None))}


def make_trace(store: Store, identifier: str) -> tuple[TraceSection, ...]:
    """What every stage says of a patient, case, report, study, target, lesion or label; original or research identifier.

    Raises:
        InputError: nothing in the store has that identifier.
    """
    patients = sorted(_patients_with(store, identifier))
    if not patients:
        rows = [row for row in store.ledger() if row.item_id == identifier]
        if rows:
            return (TraceSection(title=LEDGER_TITLE, lines=tuple(_ledger_lines(rows))),)
        msg = (
            "trace: this run has no patient, case, report, study, accession, target, core, lesion or label with that identifier; "
            "private/mapping.csv lists the cases, and the ledger what was dropped"
        )
        raise InputError(msg)
    return tuple(section for patient in patients for section in _sections(_scope(store, patient, identifier)))


def _patients_with(store: Store, identifier: str) -> set[str]:
    needle = json.dumps(identifier, ensure_ascii=False)[1:-1].encode()
    found: set[str] = set()
    for stage in STAGES:
        # a research label is the research case and a number: no export record holds it, so all are looked at
        keep = None if stage == "export" else lambda line: needle in line
        for item in store.read_all(stage, keep=keep):
            if identifier in identifiers_of(item) or _is_label_of(item, identifier):
                found.add(patient_of(item))
    return found


def _is_label_of(item: Any, identifier: str) -> bool:
    """Whether this is a research label identifier: the research case identifier and a number."""
    return isinstance(item, ExportedCase) and identifier.startswith(f"{item.research_case_id}_")


def _scope(store: Store, patient_id: str, identifier: str) -> _Scope:
    shard = shard_of(patient_id, store.shards)
    records = {stage: _records_of(store, stage, shard, patient_id) for stage in STAGES}
    ledger = [
        row for stage in STAGES for row in _ledger_of(store, stage, shard) if row.patient_id == patient_id or row.item_id == identifier
    ]
    reports, cases = _asked_for(records, identifier)
    whole = not reports and not cases
    return _Scope(records, ledger, None if whole else frozenset(reports), None if whole else frozenset(cases))


def _records_of(store: Store, stage: str, shard: int, patient_id: str) -> list[Any]:
    if not store.path(stage, shard).exists():
        return []
    needle = json.dumps(patient_id, ensure_ascii=False).encode()
    return [item for item in store.read(stage, shard, keep=lambda line: needle in line or not patient_id) if patient_of(item) == patient_id]


def _ledger_of(store: Store, stage: str, shard: int) -> Iterator[LedgerEntry]:
    path = store.ledger_path(stage, shard)
    return read_records(path) if path.exists() else iter(())


def _asked_for(records: Mapping[str, Sequence[Any]], identifier: str) -> tuple[set[str], set[str]]:
    """Reports and cases that the identifier names; none where it names the patient."""
    if any(getattr(item, "patient_id", None) == identifier for item in records["preprocessing"]):
        return set(), set()
    if any(getattr(item, "research_patient_id", None) == identifier for item in records["export"]):
        return set(), set()
    matched = [item for item in records["matching"] if isinstance(item, MatchedCase)]
    named = {item for stage in ("matching", "postprocessing", "export") for item in _cases_named(records[stage], identifier)}
    reports = {item.report_id for item in records["extraction"] if identifier in identifiers_of(item)}
    reports |= {item.report_id for item in records[READING] if isinstance(item, Report) and identifier in identifiers_of(item)}
    cases = named | {item.case.case_id for item in matched if reports & _reports_of(item)}
    return reports | {report for item in matched if item.case.case_id in named for report in _reports_of(item)}, cases


def _cases_named(items: Iterable[Any], identifier: str) -> Iterator[str]:
    for item in items:
        if identifier in identifiers_of(item) or _is_label_of(item, identifier):
            yield getattr(item, "case", item).case_id


def _reports_of(item: MatchedCase) -> set[str]:
    return {extraction.report_id for extraction in (*item.case.radiology, *item.case.pathology)}


def _sections(scope: _Scope) -> Iterator[TraceSection]:
    for title, lines in (
        ("1 preprocessing: what there is", _preprocessing(scope)),
        ("2 extraction: what the reports state", _extraction(scope)),
        ("3 matching: what belongs together", _matching(scope)),
        ("4 postprocessing: labels and who says what", _postprocessing(scope)),
        ("5 export: files", _export(scope)),
        (LEDGER_TITLE, _ledger_lines(scope.ledger)),
    ):
        yield TraceSection(title=title, lines=tuple(lines) or ("nothing",))


def _preprocessing(scope: _Scope) -> Iterator[str]:
    for patient in scope.of("preprocessing", PatientRecord):
        yield f"patient {patient.patient_id}"
        for report in patient.reports:
            if scope.report_ids is None or report.report_id in scope.report_ids:
                facts = _facts(report.report_type, report.date, report.status, report.accession, report.title)
                yield f"  report {report.report_id}: {facts}"
        for study in patient.studies:
            yield from _study_lines(study)
        for target in patient.targets:
            yield f"  target {target.target_id}: {_target_facts(target)}"
        for core in patient.cores:
            yield f"  core {core.core_id}: {_core_facts(core)}"
        for segmentation in patient.segmentations:
            yield f"  segmentation {segmentation.segmentation_id}: {_segmentation_facts(segmentation)}"
    yield from _not_kept(scope)


def _not_kept(scope: _Scope) -> Iterator[str]:
    kept = {name for item in scope.records["preprocessing"] for name in identifiers_of(item)}
    for item in scope.of(READING, *OWN_NAMES):
        name = getattr(item, OWN_NAMES[type(item)])
        if name not in kept:
            yield f"read but not kept: {type(item).__name__} {name}"


def _study_lines(study: ImagingStudy) -> Iterator[str]:
    facts = _facts(study.study_date, study.accession, study.kind, study.kind_reason, f"{len(study.series)} series")
    yield f"  study {study.study_uid}: {facts}"
    for choice in study.choices:
        series = study.find_series(choice.series_key)
        name = choice.derived or (f"{series.description} ({choice.series_key})" if series else "none")
        yield f"    {choice.purpose}: {name}: {choice.reason}"


def _target_facts(target: BiopsyTarget) -> str:
    grade = None if target.isup_grade is None else f"ISUP {target.isup_grade}"
    pirads = None if target.pirads is None else f"PI-RADS {target.pirads}"
    place = _place(target.position, str(target.coordinate_system))
    return _facts(target.label and f"label {target.label}", place, target.guidance, pirads, grade, target.procedure_date, *target.problems)


def _core_facts(core: BiopsyCore) -> str:
    grade = None if core.isup_grade is None else f"ISUP {core.isup_grade}"
    length = None if core.cancer_length_mm is None else f"cancer {core.cancer_length_mm:g} mm"
    return _facts(
        f"label {core.label}", core.target_label and f"of target {core.target_label}", grade, length, core.procedure_date, *core.problems
    )


def _segmentation_facts(segmentation: Segmentation) -> str:
    return _facts(segmentation.kind, segmentation.label, _place(segmentation.centroid, "LPS"), f"{segmentation.volume_ml:.2f} ml")


def _extraction(scope: _Scope) -> Iterator[str]:
    for item in scope.of("extraction", ReportExtraction, ExtractionFailure):
        if isinstance(item, ExtractionFailure):
            yield f"report {item.report_id}: not read by {item.extractor}: {item.cause}"
            continue
        text = scope.text_of(item.report_id)
        yield f"report {item.report_id}: {_facts(item.report_type, item.organ, item.status, f'by {item.extractor}')}"
        yield from _stated_lines(item.exam, text, "  ")
        for found in item.items:
            yield f"  {type(found).__name__.lower()} {found.item_id}"
            yield from _stated_lines(found.values, text, "    ")
        for flag in item.flags:
            yield f"  flag {flag.code} at {flag.path}: {flag.detail}"


def _stated_lines(values: Mapping[str, Stated[FieldValue]], text: str | None, indent: str) -> Iterator[str]:
    for name, stated in values.items():
        words = _quoted(stated.evidence, text)
        how = _facts(stated.assertion, stated.source, stated.rule, f"confidence {stated.confidence:.2f}")
        yield f"{indent}{name} = {_shown(stated.value)}  {words}  ({how})"


def _matching(scope: _Scope) -> Iterator[str]:
    for item in scope.of("matching", MatchedCase):
        yield f"case {item.case.case_id}: study {item.case.study.study_uid}"
        yield from _link_lines(item.case.links, "  ")
        for lesion in item.lesions:
            parts = [lesion.finding and f"finding {lesion.finding.item_id}", lesion.target and f"target {lesion.target.target_id}"]
            parts += [lesion.segmentation and f"segmentation {lesion.segmentation.segmentation_id}"]
            parts += [f"specimen {specimen.item_id}" for specimen in lesion.specimens] + [f"core {core.core_id}" for core in lesion.cores]
            yield f"  lesion {lesion.lesion_id}: {_facts(*parts)}"
            yield from _link_lines(lesion.links, "    ")
            yield from (f"    conflict: {conflict}" for conflict in lesion.conflicts)
        yield from (f"  unlinked {row.kind} {row.item_id}: {row.reason} {row.detail}".rstrip() for row in item.unlinked)
    for item in scope.of("matching", Exclusion):
        yield _exclusion_line(item)


def _link_lines(links: Iterable[Link], indent: str) -> Iterator[str]:
    for link in links:
        review = ", to review" if link.needs_review else ""
        yield f"{indent}{link.kind}: {link.left_id} -> {link.right_id}, score {link.score:.2f}{review}: {link.reason}"


def _postprocessing(scope: _Scope) -> Iterator[str]:
    for item in scope.of("postprocessing", CuratedCase, Exclusion):
        if isinstance(item, Exclusion):
            yield _exclusion_line(item)
            continue
        verdict = f"{len(item.labels)} labels" if item.labels else f"no label: {item.negative_reason or 'not a proven negative'}"
        yield f"case {item.case_id}: {_facts(verdict, f'tier {item.tier}', 'to review' if item.needs_review else None)}"
        yield from (f"  {name} = {_shown(value)}" for name, value in item.clinical.items())
        yield from (f"  conflict: {conflict}" for conflict in item.conflicts)
        for label in item.labels:
            yield from _label_lines(label, scope)


def _label_lines(label: WeakLabel, scope: _Scope) -> Iterator[str]:
    grade = None if label.isup_grade is None else f"ISUP {label.isup_grade}"
    pirads = None if label.pirads is None else f"PI-RADS {label.pirads}"
    review = "to review" if label.needs_review else None
    facts = _facts(label.status, grade, pirads, f"tier {label.tier}", f"confidence {label.confidence:.2f}", review)
    yield f"  label {label.label_id}: {facts}"
    if label.box is None:
        yield "    no box"
    else:
        box = label.box
        size = " x ".join(f"{edge:.1f}" for edge in box.size_mm)
        where = f"{_place(box.centre, 'LPS')}, {size} mm (i, j, k), voxels {box.voxel_start} .. {box.voxel_stop}"
        yield f"    box: {where}, uncertainty {box.uncertainty_mm:g} mm"
        yield f"    centre from {label.centre_source}, size from {label.size_source}, class from {label.class_source}"
    for vote in label.votes:
        says = "abstains" if vote.value is None else f"says {_shown(vote.value)}"
        yield f"    {vote.aspect}: {vote.voter} {says} ({vote.confidence:.2f}): {vote.reason}"
        yield from (f"      {_evidence_words(evidence, scope)}" for evidence in vote.evidence)
    yield from (f"    conflict: {conflict}" for conflict in label.conflicts)


def _evidence_words(evidence: Evidence, scope: _Scope) -> str:
    if evidence.span is None:
        return f"{evidence.record_id} {evidence.field}"
    text = scope.text_of(evidence.record_id) or scope.text_of(evidence.record_id.rpartition("/")[0])
    return f"{evidence.record_id} {evidence.field} {_quoted((evidence.span,), text)}"


def _exclusion_line(item: Exclusion) -> str:
    return f"case {item.case_id}: excluded at {item.stage}: {_facts(item.reason, item.detail)}"


def _export(scope: _Scope) -> Iterator[str]:
    for item in scope.of("export", ExportedCase):
        state = "complete" if item.is_complete else "incomplete"
        names = f"case {item.case_id} -> {item.research_case_id}, patient -> {item.research_patient_id}"
        yield f"{names}, dates {item.date_shift_days:+d} days, {state}"
        for artifact in item.artifacts:
            yield f"  {artifact.path}  ({artifact.kind}, {artifact.role}, {artifact.bytes} bytes, sha256 {artifact.sha256[:12]})"


def _ledger_lines(rows: Iterable[LedgerEntry]) -> Iterator[str]:
    for row in rows:
        yield f"{row.stage}: {row.kind} {row.item_id} {row.outcome}: {_facts(row.reason, row.detail)}"


def _facts(*facts: object) -> str:
    return ", ".join(str(fact) for fact in facts if fact not in (None, ""))


def _place(position: Point | None, system: str) -> str | None:
    return None if position is None else f"{system} ({', '.join(f'{value:.1f}' for value in position)}) mm"


def _shown(value: FieldValue) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _quoted(spans: Iterable[Span], text: str | None) -> str:
    if text is None:
        return "(the report's text is not in this run)"
    return " ... ".join(f"«{_shortened(' '.join(span.cut(text).split()))}»" for span in spans)


def _shortened(words: str) -> str:
    if len(words) <= WORDS_SHOWN:
        return words
    half = WORDS_SHOWN // 2
    return f"{words[:half]} [...] {words[-half:]}"


def as_text(sections: Iterable[TraceSection]) -> str:
    """The trace as plain text."""
    return "\n".join("\n".join((f"== {section.title}", *section.lines, "")) for section in sections)


def as_renderable(sections: Iterable[TraceSection]) -> Group:
    """The trace for the terminal. Report text is shown as it is, never read as mark-up."""
    return Group(*(Panel(Text("\n".join(section.lines)), title=section.title, title_align="left") for section in sections))


def print_trace(store: Store, identifier: str) -> None:
    """Show on the terminal how a record came to be."""
    Console().print(as_renderable(make_trace(store, identifier)))
