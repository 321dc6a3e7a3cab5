"""Labels and places that stand for findings: what is said of several at once, and the categories that score them."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.breast.radiology_drafts import Draft
from weakbox.extractors.grammar.breast.radiology_facts import category_candidate, current_sides, side_of
from weakbox.extractors.grammar.breast.radiology_keeper import DraftKeeper
from weakbox.extractors.grammar.breast.radiology_nouns import Noun
from weakbox.extractors.grammar.breast.radiology_pieces import JOINED
from weakbox.extractors.grammar.breast.radiology_units import Clause, LabelMention, View
from weakbox.extractors.grammar.radiology_drafts import Candidate

_LEAD_WORDS = 3
"""So many words may stand before the labels that a clause begins with."""


@dataclass(slots=True, kw_only=True)
class LabelReader(DraftKeeper):
    """Reads what is said of labelled findings and of places that stand for them."""

    def together(self, clause: Clause, nouns: list[Noun]) -> bool:
        """ "Lesions 1 and 2 span 6.4 cm together", "A and B are BI-RADS 2": says of each what is not a place or a size."""
        labels = self._joined_labels(clause)
        if len(labels) < 2 or self._is_listing(clause, labels):
            return False
        score = category_candidate(self.view.categories.within(clause.start, clause.end), "category_of_labels", 0.9)
        noun = next((noun for noun in nouns if not noun.is_gone and not noun.is_generic), None)
        kind = Candidate(value=noun.kind, words=((noun.start, noun.end),), rule="finding", confidence=0.9) if noun is not None else None
        for label in labels:
            known = next((draft for draft in self.drafts if draft.get("finding_id") == label.value), None)
            if known is None and (kind or score):
                known = self.new_draft(clause, label.start)
                known.values["finding_id"] = label_candidate(label)
                self.drafts.append(known)
            if known is not None:
                known.fill("birads", score)
                if kind is not None and (known.is_generic or "kind" not in known.values):
                    known.values["kind"], known.is_generic = kind, False
        return True

    def _joined_labels(self, clause: Clause) -> list[LabelMention]:
        """The labels that a clause begins with, where it names several at once."""
        labels = self.view.labels.within(clause.start, clause.end)
        lower = self.view.text.lower
        if len(labels) < 2 or len(lower[clause.start : labels[0].start].split()) > _LEAD_WORDS:
            return []
        joined = list(itertools.takewhile(lambda pair: JOINED.fullmatch(lower, pair[0].end, pair[1].start), itertools.pairwise(labels)))
        return [labels[0], *(second for _, second in joined)] if joined else []

    def _is_listing(self, clause: Clause, labels: list[LabelMention]) -> bool:
        """The first mention of labels with a place or size for each is a list of findings."""
        known = {draft.get("finding_id") for draft in self.drafts}
        is_known = any(label.value in known for label in labels)
        return not is_known and len(self.view.clocks.within(clause.start, clause.end)) >= len(labels)

    def score_labels(self, part: Draft, start: int, end: int) -> None:
        """ "Masses #1 and #2: BI-RADS 4C" scores both."""
        labels = self.view.labels.within(start, end)
        if len(labels) < 2 or "birads" not in part.values or part.get("finding_id") != labels[0].value:
            return
        if not JOINED.fullmatch(self.view.text.lower, labels[0].end, labels[1].start):
            return
        for label in labels[1:]:
            self.scored(label, part.values["birads"], self.drafts[-1])

    def scored_label(self, clause: Clause) -> None:
        """ "Finding 1: BI-RADS 3" in the impression scores the finding that the findings section labels so."""
        assert clause.label is not None
        score = category_candidate(self.view.categories.within(clause.start, clause.end), "category_of_label", 0.92)
        self.scored(clause.label, score, self.new_draft(clause, clause.label.start))

    def score_place(self, clause: Clause, places: dict[str, Candidate]) -> bool:
        """ "Left 4 o'clock BI-RADS 4A": a place stands for the finding that lies there."""
        score = category_candidate(self.view.categories.within(clause.start, clause.end), "category_of_place", 0.88)
        side = side_of(current_sides(self.view, clause.start, clause.end), "side", 0.9) or self.headed_side(clause)
        if (
            score is None
            or "clock" not in places
            or clause.label is not None
            or len(self.view.clocks.within(clause.start, clause.end)) != 1
        ):
            return False
        clock = places["clock"].value
        for draft in self.drafts:
            if draft.get("clock") == clock and (side is None or draft.get("side") in (None, side.value)):
                draft.fill("birads", score)
                return True
        draft = self.new_draft(clause, clause.start)
        draft.values = {**places, "birads": score, **({"side": side} if side else {})}
        self.drafts.append(draft)
        return True

    def score_after(self, clause: Clause) -> bool:
        """ "BI-RADS 6 for #1. BI-RADS 4 for #2": the category stands before the labels that it scores."""
        mentions = self.view.categories.within(clause.start, clause.end)
        labels = self.view.labels.within(clause.start, clause.end)
        if not mentions or not labels or labels[0].start < mentions[0].start:
            return False
        for label in labels:
            own = [mention for mention in mentions if mention.start < label.start][-1:]
            self.scored(label, category_candidate(own, "category_of_label", 0.9), self.new_draft(clause, label.start))
        return True

    def scored(self, label: LabelMention, score: Candidate | None, like: Draft) -> None:
        known = next((draft for draft in self.drafts if draft.get("finding_id") == label.value), None)
        if known is None and score is not None:
            known = replace(like, start=label.start, values={"finding_id": label_candidate(label)}, flags=[])
            self.drafts.append(known)
        if known is not None:
            known.fill("birads", score)


def is_subject(view: View, label: LabelMention, clause: Clause) -> bool:
    """ "Lesion 1: ..." labels the finding; "4 cm medial to lesion 1" does not."""
    lead = view.text.lower[clause.start : label.start].rstrip(" (")
    return not lead or not re.search(r"\b(?:to|from|of|than|with|near|and|as)(?: the)?$", lead)


def label_candidate(label: LabelMention) -> Candidate:
    return Candidate(value=label.value, words=((label.start, label.end),), rule="label", confidence=0.95)
