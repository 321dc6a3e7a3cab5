"""Reads English pathology reports of the breast: cores, excisions, mastectomies and cytology, as the extraction contract says.

Specimens are found by their labels or by their sites; each is read on its own, and what list, microscopy, synoptic
block and addenda say of it is put together: the diagnosis counts most, an amendment supersedes it, receptors go to
the tumour that they describe. The words are data: ``weakbox/text/words/breast_pathology``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from weakbox.extractors.extractor import abstain, assembled
from weakbox.extractors.grammar.breast.pathology_assembly import (
    of_columns,
    with_bracketed_places,
    with_columns,
    with_common_side,
    with_corrected_side,
    with_header_places,
    with_lone_label,
    with_markers_of_tumour,
    with_members,
    without_cancelled,
    without_tables,
)
from weakbox.extractors.grammar.breast.pathology_case import (
    is_imaging,
    is_other_organ,
    mask_past,
    masked,
    read_procedure,
)
from weakbox.extractors.grammar.breast.pathology_grade import find_grades
from weakbox.extractors.grammar.breast.pathology_layout import Layout, lay_out
from weakbox.extractors.grammar.breast.pathology_mentions import find_mentions
from weakbox.extractors.grammar.breast.pathology_print import plain_print, unwrapped
from weakbox.extractors.grammar.breast.pathology_receptors import find_receptors, settle_her2
from weakbox.extractors.grammar.breast.pathology_sections import find_breast_passages
from weakbox.extractors.grammar.breast.pathology_size import find_sizes
from weakbox.extractors.grammar.breast.pathology_specimens import PLACES, Entry, Reader, gather, with_stretches
from weakbox.extractors.grammar.breast.pathology_tables import find_tables
from weakbox.extractors.grammar.pathology.facts import Fact, Facts
from weakbox.extractors.grammar.pathology.passages import Passage
from weakbox.extractors.grammar.pathology.stating import report_flags, stated
from weakbox.organs.breast import ORGAN, PATHOLOGY
from weakbox.records.extraction import ReportExtraction, Specimen
from weakbox.records.report import Report
from weakbox.text.injection import injection_spans
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection

SOURCE = "rules"
_MASKED_VALUE = re.compile(r"\b(?:grade|size|measur\w+|score|er|pr|her2|o'clock|at)\W{0,3}(?:score|is|of|:|=|\s)*$", re.IGNORECASE)
_FIELDS = tuple(field.name for field in PATHOLOGY.item)


def read_pathology(report: Report, text: Normalised, sections: Sequence[TextSection]) -> ReportExtraction:
    """What ``report`` states. Abstains on another organ's report, a radiology report, and one that says nothing of breast tissue."""
    passages, gross = find_breast_passages(text, sections)
    if is_other_organ(text.lower, passages):
        return abstain(report, ORGAN.name, SOURCE, "wrong_organ", "the report speaks of another organ")
    if is_imaging(text.lower):
        return abstain(report, ORGAN.name, SOURCE, "wrong_type", "the report speaks of images, not of tissue")
    injected = injection_spans(text.lower)
    words = unwrapped(text.text)
    past = [*mask_past(words.lower() if words != text.text else text.lower, passages), *gross]
    reader, layout, procedure = _prepare(words, text.lower, passages, [*injected, *past], injected)
    columns = of_columns(reader, reader.tables)
    if columns:
        reader = without_tables(reader, reader.tables)
    blocks = columns or gather(reader, layout.blocks) or [Entry(label=None, ordinals=(), position=0)]
    entries = with_columns(reader, with_stretches(reader, blocks, layout.stretches))
    entries = with_bracketed_places(reader, entries, layout.stretches)
    entries = with_lone_label(reader, without_cancelled(reader, entries), passages)
    specimens = [_with_label(entry, settle_her2(with_members(entry, entry.facts)), text.text) for entry in entries]
    kept = [(facts, entry.is_node) for facts, entry in zip(specimens, entries, strict=True) if set(facts) - set(PLACES)]
    are_nodes = [is_node for _, is_node in kept]
    specimens_of = specimens
    specimens = with_markers_of_tumour([facts for facts, _ in kept], are_nodes)
    are_apart = [entry.is_node or entry.is_margin for facts, entry in zip(specimens_of, entries, strict=True) if set(facts) - set(PLACES)]
    specimens = with_header_places(reader, specimens, are_apart, passages, layout.stretches)
    specimens = with_corrected_side(reader, with_common_side(specimens), layout.stretches)
    if not any("diagnosis" in facts or "specimen_id" in facts for facts in specimens):
        return abstain(report, ORGAN.name, SOURCE, "unreadable", "no specimen or diagnosis was found")
    exam: Facts = {} if procedure is None else {"procedure": procedure}
    malignant = _malignant(specimens)
    return _extraction(report, text, exam if malignant is None else {**exam, "malignant": malignant}, specimens, bool(injected))


def _with_label(entry: Entry, facts: Facts, text: str) -> Facts:
    """The facts with the label in the letters of the report."""
    if entry.label is None:
        return facts
    written = text[slice(*entry.label.spans[0])]
    is_same = written.upper() == str(entry.label.value).upper()
    return {"specimen_id": replace(entry.label, value=written) if is_same else entry.label, **facts}


def _prepare(
    text: str, lower: str, passages: Sequence[Passage], blanked: Sequence[tuple[int, int]], injected: Sequence[tuple[int, int]]
) -> tuple[Reader, Layout, Fact | None]:
    procedure = read_procedure(masked(lower, injected), passages)
    words = plain_print(masked(text, blanked))
    lower = words.lower()
    mentions = find_mentions(words, lower)
    tables = find_tables(lower)
    is_core = procedure is not None and procedure.value in ("core_biopsy", "fna")
    reader = Reader(
        text=words,
        lower=lower,
        tables=tables,
        mentions=mentions,
        grades=find_grades(words, lower, mentions, tables),
        receptors=find_receptors(words, lower, tables),
        sizes=find_sizes(lower, mentions, tables, is_core=is_core),
    )
    return reader, lay_out(words, lower, passages, mentions), procedure


def _malignant(specimens: Sequence[Facts]) -> Fact | None:
    diagnoses = [facts["diagnosis"] for facts in specimens if "diagnosis" in facts]
    positive = [diagnosis for diagnosis in diagnoses if diagnosis.value == "malignant"]
    if positive:
        return replace(positive[0], value=True, confidence=max(fact.confidence for fact in positive), rule="specimens", flags=())
    free = [diagnosis for diagnosis in diagnoses if diagnosis.value in ("benign", "high_risk")]
    if not free:
        return None
    spans = tuple(dict.fromkeys(span for diagnosis in free for span in diagnosis.spans))
    return Fact(value=False, spans=spans, confidence=min(fact.confidence for fact in free), rule="specimens")


def _extraction(report: Report, text: Normalised, exam: Facts, specimens: Sequence[Facts], is_injected: bool) -> ReportExtraction:
    flags = report_flags(text, _MASKED_VALUE, is_injected=is_injected)
    exam_values, exam_flags = stated(text, exam, "", SOURCE)
    flags += exam_flags
    records = []
    for index, facts in enumerate(specimens):
        ordered = {name: facts[name] for name in _FIELDS if name in facts}
        values, found = stated(text, ordered, f"{PATHOLOGY.item_kind}[{index}].", SOURCE)
        flags += found
        records.append(Specimen(item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index, values=values))
    return assembled(report, ORGAN.name, SOURCE, exam_values, records, flags)
