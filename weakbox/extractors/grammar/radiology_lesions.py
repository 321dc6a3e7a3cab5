"""Groups the clauses of one section into lesions: by label, by introduction, by what continues what."""

from __future__ import annotations

import re
from collections.abc import Sequence

from weakbox.extractors.grammar.radiology_drafts import Candidate, Draft
from weakbox.extractors.grammar.radiology_facts import NEGATED_LESION, Facts, is_asserted, read_facts
from weakbox.extractors.grammar.radiology_mentions import LabelMention
from weakbox.extractors.grammar.radiology_prior import DISPROVED, is_of_the_past
from weakbox.extractors.grammar.radiology_reading import SectionReading, conflicts, labelled, new_draft, open_draft, place_matches
from weakbox.extractors.grammar.radiology_several import Values, place_groups, respective_values
from weakbox.extractors.grammar.radiology_subject import ANOTHER, DEFINITE, draft_for
from weakbox.extractors.grammar.radiology_tables import (
    cells_of,
    read_cell,
    read_head,
    read_row,
    read_row_without_head,
    row_column,
)
from weakbox.extractors.grammar.radiology_units import Clause, Role, View

_EMPTY_LABEL = re.compile(
    r"\s*(?:\([^)]{0,30}\)\s*)?[:=\-]*\s*(?:(?:now )?(?:resolved|disappeared|no longer (?:seen|visible|present|identified|found))\b"
    r"|none\b|n/?a\b|not applicable|no\b(?! (?:longer|change|significant|epe|definite|"
    r"evidence))|nil\b|_{2,}|\[\s*\]|not (?:seen|identified|present|applicable)|x{3,}|-+\s*$|absent\b|$)"
)
_ANCHOR = re.compile(
    r"(?:the\s+)?(?:(?:index|dominant|primary|second(?:ary)?|third|additional|other|largest|main|suspicious|focal|"
    r"target)\s+)+(?:suspicious\s+|intraprostatic\s+|focal\s+|prostatic\s+)?(?:lesions?|targets?|foc(?:us|i)|rois?|nodules?|tumou?r|"
    r"abnormality)(?:\s*\([^)]{0,20}\))?\s*(?::|-\s|$)"
)


def read_section(clauses: list[Clause], view: View) -> SectionReading:
    """Read one section's clauses in order."""
    reading = SectionReading(role=clauses[0].role, section=clauses[0].section)
    for clause in clauses:
        if view.is_silent(clause) and not (clause.is_row and (reading.head is not None or read_head(clause, view))):
            continue
        if clause.is_row:
            _read_table_row(reading, clause, view)
        else:
            reading.head = None
            _read_clause(reading, clause, view)
    _set_diffuse_apart(reading)
    return reading


def _set_diffuse_apart(reading: SectionReading) -> None:
    """Diffuse change is no lesion; its score speaks of the zone."""
    diffuse = [draft for draft in reading.drafts if draft.is_diffuse and draft.label is None and "size_mm" not in draft.values]
    reading.zones += [draft.values["pirads"] for draft in diffuse if "pirads" in draft.values]
    reading.drafts = [draft for draft in reading.drafts if draft not in diffuse]


def _read_table_row(reading: SectionReading, clause: Clause, view: View) -> None:
    head = read_head(clause, view)
    if head is not None:
        reading.head, reading.columns = (
            head,
            [_column_draft(clause, view, index) for index in range(-len(head.titles) + 1, 0)] if head.is_transposed else [],
        )
        reading.drafts += reading.columns
        return
    if reading.head is None:
        draft = read_row_without_head(clause, view)
        if draft is None:
            _read_clause(reading, clause, view)
        else:
            reading.drafts.append(draft)
            reading.current = draft
        return
    if reading.head.is_transposed:
        _read_transposed(reading, clause, view)
        return
    draft = read_row(clause, view, reading.head)
    if draft is not None:
        known = labelled(reading, str(draft.label.value)) if draft.label else None
        if known is None:
            reading.drafts.append(draft)
            reading.current = draft
        else:
            for name, candidate in draft.values.items():
                known.fill(name, candidate)


def _column_draft(clause: Clause, view: View, index: int) -> Draft:
    draft = new_draft(clause)
    read_cell(draft, "label", "", cells_of(clause, view)[index], view)
    draft.is_lesion_word = True
    return draft


def _read_transposed(reading: SectionReading, clause: Clause, view: View) -> None:
    spans = cells_of(clause, view)
    title = view.text.lower[slice(*spans[0])]
    column = row_column(title)
    if column is not None:
        for draft, span in zip(reading.columns, spans[1:], strict=False):
            read_cell(draft, column, title, span, view)


def _read_clause(reading: SectionReading, clause: Clause, view: View) -> None:
    cut = view.cut(clause)
    if is_of_the_past(cut):
        return
    reading.is_list_of_lesions |= cut.endswith(":") and _LIST_OF_LESIONS.fullmatch(cut) is not None
    labels = _stated_labels(clause, view, cut)
    if labels is None:
        reading.current = None
        return
    facts = read_facts(clause, view)
    if facts.overall is not None or facts.overall_likert is not None:
        _take_overall(reading, clause, facts, view)
    if labels:
        _read_labelled(reading, clause, view, facts, labels)
        return
    if clause.region is not None and clause.region.is_elsewhere and not facts.is_scored:
        return
    if not facts.is_scored and _OTHER_ORGAN.search(cut) and not _OWN_ORGAN.search(cut):
        return
    if facts.is_negative and not facts.is_scored:
        if NEGATED_LESION.search(cut) and not ANOTHER.search(cut):
            reading.current = None
        return
    _read_unlabelled(reading, clause, view, facts, cut)


_OTHER_ORGAN = re.compile(
    r"vi-?rads|\bl[1-5]\b(?!\s*[:=(])|acetabul\w+|\bsacrum|\bilium|iliac|femor\w+|femur|vertebra\w*|\bpubic|ischi\w+|(?:bladder|rectal|colonic|sigmoid|renal"
    r"|hepatic|adnexal|ovarian|uterine|vesical)(?: \w+)? (?:mass|tumou?r|lesion|polyp|cyst|nodule|cancer)"
)
_OWN_ORGAN = re.compile(r"prostat|\bpz|\btz|zone|\bgland|seminal|apex|apical|lobe")


def _stated_labels(clause: Clause, view: View, cut: str) -> list[LabelMention] | None:
    """The labels of the clause; None where it says that the labelled lesion is not there."""
    labels = [
        label
        for label in view.labels.within(clause.start, clause.end)
        if is_asserted(cut, label.start - clause.start, label.end - clause.start)
    ]
    lower = view.text.lower
    kept = [label for label in labels if not (_EMPTY_LABEL.match(lower, label.end, clause.end) and _is_blank_lesion(label, clause, view))]
    if labels and (not kept or (DISPROVED.search(cut) and not view.categories.within(clause.start, clause.end))):
        return None
    return kept


_BRACKETS = re.compile(r"^\s*\([^()]{0,40}\)")


def _is_blank_lesion(label: LabelMention, clause: Clause, view: View) -> bool:
    """A label followed by nothing is a heading; followed by "none" it is no lesion."""
    rest = _BRACKETS.sub(" ", view.text.lower[label.end : clause.end]).strip(" :.-=()")
    return bool(rest) and not view.categories.within(label.end, clause.end)


def _read_labelled(reading: SectionReading, clause: Clause, view: View, facts: Facts, labels: list[LabelMention]) -> None:
    if clause.region is not None and clause.region.is_elsewhere:
        facts.values = {name: candidate for name, candidate in facts.values.items() if name in ("pirads", "likert")}
        labels = [label for label in labels if facts.is_scored or any(labelled(reading, value) for value in label.values)]
        if not labels:
            return
    drafts: list[Draft] = []
    for label in labels:
        for value, span in zip(label.values, label.spans, strict=True):
            draft = labelled(reading, value)
            if draft is None:
                draft = _anchor_without_label(reading, clause) or open_draft(reading, clause)
                draft.label = Candidate(value=value, words=(span,), rule="label", confidence=0.97)
            if draft not in drafts:
                drafts.append(draft)
    groups = respective_values(clause, view)
    if not groups and len(drafts) > 1 and len(places := place_groups(clause, view)) == len(drafts):
        groups = places
        facts.values = {name: read for name, read in facts.values.items() if name not in ("side", "zone", "levels", "positions", "size_mm")}
    for index, draft in enumerate(drafts):
        if len(groups) == len(drafts):
            for name, candidate in groups[index].items():
                draft.fill(name, candidate)
        _apply(draft, facts)
        draft.is_lesion_word = True
        if len(drafts) > 1:
            draft.flags.append(("", "shared"))
    reading.current = drafts[-1]
    reading.together = drafts if len(drafts) > 1 else []


def _anchor_without_label(reading: SectionReading, clause: Clause) -> Draft | None:
    """The lesion that this very sentence opened before its label came ("PI-RADS 4 lesion (ROI 1)")."""
    current = reading.current
    if current is not None and current.label is None and current.is_anchor and not current.values and current.section == clause.section:
        return current
    return None


def _apply(draft: Draft, facts: Facts) -> None:
    for name, candidate in facts.values.items():
        if name == "size_mm" and "size_mm" in draft.values:
            before = draft.values["size_mm"]
            if isinstance(candidate.value, tuple) and isinstance(before.value, tuple) and len(candidate.value) > len(before.value):
                draft.values["size_mm"] = candidate
            continue
        draft.fill(name, candidate)
    draft.is_suspicious |= facts.is_suspicious
    draft.is_benign |= facts.is_benign and not facts.is_scored
    draft.is_diffuse |= facts.is_diffuse and "size_mm" not in draft.values
    draft.is_lesion_word |= facts.is_lesion_word


_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def _is_own_block(current: Draft, clause: Clause, view: View) -> bool:
    """Whether a score stands in the block of a lesion: under its label or as its field, or in its own paragraph."""
    is_same_paragraph = _BLANK_LINE.search(view.text.text, current.start, clause.start) is None
    if current.label is not None or clause.field is not None:
        return bool(current.values) or is_same_paragraph
    return bool(current.values) and is_same_paragraph


def _take_overall(reading: SectionReading, clause: Clause, facts: Facts, view: View) -> None:
    """An overall category inside a lesion's own block is the lesion's; elsewhere it is the exam's."""
    current = reading.current
    is_own_block = (
        current is not None
        and reading.role is Role.FINDINGS
        and not current.is_scored
        and sum(not draft.is_scored and (current.label is None or draft.label is not None) for draft in reading.drafts) == 1
        and _is_own_block(current, clause, view)
    )
    for name, candidate, overall in (("pirads", facts.overall, reading.overall), ("likert", facts.overall_likert, reading.overall_likert)):
        if candidate is not None and is_own_block and current is not None:
            current.fill(name, candidate)
        elif candidate is not None and name == "pirads" and _is_under_zone(clause, view):
            reading.zones.append(candidate)
        elif candidate is not None:
            overall.append(candidate)


def _is_under_zone(clause: Clause, view: View) -> bool:
    """ "Transition zone: BPH. Overall PI-RADS 2." sums up the zone."""
    region = clause.region
    if region is None or region.is_elsewhere or not region.is_inline or clause.field is not None or clause.role is not Role.FINDINGS:
        return False
    return _BLANK_LINE.search(view.text.text, region.start, clause.start) is None


def _read_unlabelled(reading: SectionReading, clause: Clause, view: View, facts: Facts, cut: str) -> None:
    if reading.together and _goes_on_with_all(reading, facts, cut):
        for each in reading.together:
            _apply(each, facts)
        return
    if not (facts.has_noun or facts.is_scored or "size_mm" in facts.values) and view.stagings.within(clause.start, clause.end):
        facts.values = {name: read for name, read in facts.values.items() if name not in _SHARED_PLACE}
    if _rescores(reading, facts, cut):
        return
    reading.together = reading.together if not facts.values and not facts.is_negative and reading.together else []
    _place_relative(reading, clause, facts, cut)
    groups = respective_values(clause, view, facts.count)
    if groups and not facts.is_negative:
        _read_respective(reading, clause, groups, facts)
        return
    if facts.is_plural and not facts.count and facts.is_scored and clause.parts == 1:
        listed = place_groups(clause, view)
        facts.count = len(listed) if len({group["side"].value for group in listed if "side" in group}) > 1 else 0
    is_plural = facts.count > 1 and clause.parts == 1 and (facts.is_scored or facts.is_lesion_word or facts.is_suspicious)
    if is_plural and _read_several(reading, clause, view, facts):
        return
    if is_plural and not facts.is_scored and "size_mm" not in facts.values:
        return
    opening = _ANCHOR.match(cut)
    if opening is not None and not facts.is_negative:
        if _EMPTY_LABEL.match(cut, opening.end()) and cut[opening.end() :].strip(" ."):
            return
        anchor = open_draft(reading, clause)
        anchor.is_anchor = anchor.is_lesion_word = True
        _apply(anchor, facts)
        return
    if facts.is_scored and _is_of_a_zone(facts) and facts.has_place and _is_apart(reading.current, clause, facts, cut):
        _take_zone_score(reading, facts)
        return
    if (
        _FOR_ALL.search(cut)
        and (not facts.has_place or facts.is_placed_by_heading)
        and not facts.has_noun
        and len(reading.drafts) > 1
        and not facts.is_scored
    ):
        facts.values = {name: read for name, read in facts.values.items() if name not in _SHARED_PLACE}
        for each in reading.drafts:
            _apply(each, facts)
        return
    if _is_listed_lesion(reading, clause, facts):
        _apply(open_draft(reading, clause), facts)
        reading.drafts[-1].is_lesion_word = True
        return
    draft = draft_for(reading, clause, facts, cut)
    if draft is not None:
        _apply(draft, facts)
        reading.current = draft
    elif facts.is_scored and "pirads" in facts.values and not facts.has_place and "size_mm" not in facts.values:
        reading.overall.append(facts.values["pirads"])
    elif "likert" in facts.values and not facts.has_place and "size_mm" not in facts.values:
        reading.overall_likert.append(facts.values["likert"])


_NOW_SCORED = re.compile(
    r"\b(?:now|today|currently)\b[^.;]{0,30}(?:pi-?rads|likert|categor\w+|scor\w+)|\b(?:up|down)graded\b|\breclassified\b|\bre-?scored\b"
)


def _rescores(reading: SectionReading, facts: Facts, cut: str) -> bool:
    """ "I would now call it PI-RADS 4" behind an earlier exam's score puts the score of today in its place."""
    current = reading.current
    if current is None or facts.has_place or "size_mm" in facts.values or not _NOW_SCORED.search(cut) or facts.is_negative:
        return False
    names = [name for name in ("pirads", "likert") if name in facts.values and name in current.values]
    for name in names:
        current.values[name] = facts.values[name]
    return bool(names)


def _goes_on_with_all(reading: SectionReading, facts: Facts, cut: str) -> bool:
    """A sentence without a lesion or place of its own, right below lesions that were named together."""
    if facts.has_place or facts.is_negative or "size_mm" in facts.values or not facts.values:
        return False
    is_known = any(draft.is_scored for draft in reading.together) and facts.is_scored
    return not is_known and (not facts.has_noun or DEFINITE.match(cut) is not None or _FOR_ALL.search(cut) is not None)


_RELATIVE_SIDE = re.compile(
    r"\b(?P<other>contra-?lateral(?:ly)?|(?:on|in) the (?:other|opposite) (?:side|lobe))\b"
    r"|\bipsi-?lateral(?:ly)?\b|\b(?:on|in) the same (?:side|lobe)\b"
)
_OPPOSITE: dict[object, str] = {"left": "right", "right": "left"}


def _place_relative(reading: SectionReading, clause: Clause, facts: Facts, cut: str) -> None:
    """ "Contralaterally" is the side across from the lesion before it."""
    match = _RELATIVE_SIDE.search(cut) if "later" in cut or " the " in cut else None
    side = next((draft.get("side") for draft in reversed(reading.drafts) if draft.get("side") in _OPPOSITE), None)
    if match is None or side is None or "side" in facts.values or not facts.values:
        return
    words = ((clause.start + match.start(), clause.start + match.end()),)
    facts.values["side"] = Candidate(
        value=_OPPOSITE[side] if match["other"] else str(side), words=words, rule="side_relative", confidence=0.75, flags=("inferred",)
    )


_FOR_ALL = re.compile(r"\b(?:for|in|on|of) (?:both|all|each)(?: of (?:them|these))?(?: lesions| foci| targets)?\W*$|^(?:both|all)\b")
_LIST_OF_LESIONS = re.compile(
    r"(?:[a-z-]+ ){0,3}(?:lesions?|targets?|rois?|foci"
    r"|regions of interest)(?:\(s\))?\s*(?:\([^()]{0,30}\)\s*)?:?\s*$"
)


def _is_listed_lesion(reading: SectionReading, clause: Clause, facts: Facts) -> bool:
    """ "(1) Left mid-gland, posterolateral peripheral zone." under "Lesions:" is a lesion though no noun says so."""
    if clause.marker is None or clause.marker == "-" or clause.part or facts.is_benign or facts.is_negative or clause.field is not None:
        return False
    if "side" not in facts.values or not ("zone" in facts.values or "levels" in facts.values):
        return False
    is_new = reading.current is None or reading.current.is_scored or reading.current.sentence != clause.sentence
    return is_new and (
        reading.is_list_of_lesions or ("zone" in facts.values and "levels" in facts.values and not facts.is_placed_by_heading)
    )


def _take_zone_score(reading: SectionReading, facts: Facts) -> None:
    """A zone's score is the exam's where no lesion is scored."""
    if "pirads" in facts.values:
        reading.zones.append(facts.values["pirads"])


_CHANGED_ONLY = re.compile(r"(?:it is |this is )?(?:now |therefore )?(?:(?:down|up)graded|reclassified|now|still|unchanged)\b")


def _is_apart(current: Draft | None, clause: Clause, facts: Facts, cut: str) -> bool:
    """A field ("PI-RADS score: 2") under a zone's heading is the zone's only where no open lesion of that zone awaits it."""
    if current is not None and _CHANGED_ONLY.match(cut) and not current.is_scored:
        return False
    return clause.field is None or current is None or current.is_scored or conflicts(current, facts)


def _is_of_a_zone(facts: Facts) -> bool:
    """ "Transition zone: BPH. PI-RADS 2." scores the zone, not a lesion."""
    score = facts.values.get("pirads") or facts.values.get("likert")
    is_low = score is not None and isinstance(score.value, int) and score.value <= 2
    if not is_low or "size_mm" in facts.values:
        return False
    side = facts.values.get("side")
    is_of_both = side is not None and side.value == "bilateral" and "levels" not in facts.values and not facts.is_lesion_word
    return (
        is_of_both
        or (facts.is_placed_by_heading and not facts.has_noun)
        or not ("side" in facts.values or "levels" in facts.values or facts.is_lesion_word)
    )


def _read_several(reading: SectionReading, clause: Clause, view: View, facts: Facts) -> bool:
    """ "Two foci, both PI-RADS 4, left base and left apex": one lesion a place; otherwise as many alike as are counted."""
    groups = place_groups(clause, view)
    if len(groups) == facts.count:
        _open_each(reading, clause, groups, facts, ("pirads", "likert", "t2", "dwi", "dce"))
        return True
    if reading.drafts and not facts.has_place:
        return False
    if not facts.is_scored or any(place_matches(draft, facts) for draft in reading.drafts):
        return False
    for _ in range(facts.count):  # alike, as many as the text counts
        draft = open_draft(reading, clause)
        _share(draft, facts, ("pirads", "likert", "side", "zone", "levels", "positions"))
        draft.flags.append(("", "count"))
    return True


def _open_each(reading: SectionReading, clause: Clause, groups: Sequence[Values], facts: Facts, shared: Sequence[str]) -> None:
    for group in groups:
        draft = open_draft(reading, clause)
        for name, candidate in group.items():
            draft.fill(name, candidate)
        _share(draft, facts, shared)
        draft.is_lesion_word = True


_SHARED_PLACE = ("side", "zone", "levels", "positions")


def _read_respective(reading: SectionReading, clause: Clause, groups: Sequence[Values], facts: Facts) -> None:
    """Lists with "respectively": the lesions that stand open already take the values, otherwise each member is one."""
    open_drafts = [draft for draft in reading.drafts if draft.section == clause.section]
    if not any("side" in group or "zone" in group for group in groups) and not facts.has_place and len(open_drafts) == len(groups):
        for draft, group in zip(open_drafts, groups, strict=True):
            for name, candidate in group.items():
                draft.fill(name, candidate)
        return
    is_placed = any(name in group for group in groups for name in _SHARED_PLACE)
    _open_each(reading, clause, groups, facts, () if is_placed else _SHARED_PLACE)


def _share(draft: Draft, facts: Facts, names: Sequence[str]) -> None:
    for name in names:
        draft.fill(name, facts.values.get(name))
