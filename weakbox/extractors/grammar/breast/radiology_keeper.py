"""Keeps the findings of one group of clauses: tells new ones from those spoken of again, counts from what they count."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from weakbox.extractors.grammar.breast.radiology_drafts import ENOUGH, Draft, absorb, agreement, has_place, places_agree
from weakbox.extractors.grammar.breast.radiology_pieces import EXACT_COUNT, PieceReader

_COUNTED = re.compile(rf"{EXACT_COUNT.pattern}|\b(?:several|multiple)\b")
LOOK_BACK = 40
"""How many findings back a mention can speak of."""
MOST = 120
"""More findings than this in one section are no report."""


@dataclass(slots=True, kw_only=True)
class DraftKeeper(PieceReader):
    """``drafts`` holds the findings in order, ``gone`` what is declared gone, ``last`` the one spoken of last."""

    drafts: list[Draft] = field(default_factory=list)
    gone: list[Draft] = field(default_factory=list)
    last: Draft | None = None
    counted: Draft | None = None
    """ "Two masses ...": what "the first" and "the second" after it speak of."""

    def add(self, draft: Draft) -> None:
        """Keep a new finding, or let the one that it speaks of again take what it adds."""
        if len(self.drafts) >= MOST:
            return
        if (
            (draft.is_plural or draft.get("kind") == "calcifications")
            and "size_mm" not in draft.values
            and _COUNTED.search(self.view.text.lower, max(0, draft.start - 60), draft.start)
        ):
            self.counted = draft
        self._replace_counted(draft)
        if self._score_all(draft):
            return
        known = self._known(draft)
        if known is None:
            self.drafts.append(draft)
            self.last = draft
            return
        absorb(known, draft)
        known.sentence = max(known.sentence, draft.sentence)
        self.last = known

    def _score_all(self, draft: Draft) -> bool:
        """ "The cysts are BI-RADS 2": a category for every finding of the kind that stands already."""
        if not (draft.is_plural and draft.is_definite and "birads" in draft.values) or draft.is_specific:
            return False
        meant = [
            other for other in self.drafts if other.get("kind") == draft.get("kind") and draft.get("side") in (None, other.get("side"))
        ]
        for other in meant:
            other.fill("birads", draft.values["birads"])
        return bool(meant)

    def _known(self, draft: Draft) -> Draft | None:
        """The finding of this group that the draft speaks of again."""
        label = draft.get("finding_id")
        if label is not None:
            return next((other for other in self.drafts if other.get("finding_id") == label and agreement(other, draft) is not None), None)
        self._note_repeat(draft)
        is_other_view = draft.modality is not None and any(
            other.modality not in (None, draft.modality) for other in self.drafts[-LOOK_BACK:]
        )
        if not (draft.is_definite or draft.is_linked or is_other_view):
            return None
        ranked = []
        first = max(0, len(self.drafts) - LOOK_BACK)
        for index, other in enumerate(self.drafts[first:], first):
            if other.is_disproved or not (draft.is_definite or draft.is_linked or other.modality != draft.modality):
                continue
            points = agreement(other, draft)
            if points is None or not places_agree(other, draft):
                continue
            enough = 1.2 if draft.is_definite and not has_place(draft) else 1.6 if draft.is_linked else ENOUGH
            if points >= enough and draft.is_plural <= (other.is_plural or draft.is_definite):
                ranked.append((points, index))
        return self.drafts[max(ranked)[1]] if ranked else None

    def _replace_counted(self, draft: Draft) -> None:
        """ "Two groups of calcifications. Group A: ... Group B: ...": the count is no finding beside those it counts."""
        counted = self.counted
        if counted is None or counted is draft or counted not in self.drafts or draft.get("kind") != counted.get("kind"):
            return
        is_child = draft.is_specific and not draft.is_plural and draft.sentence - counted.sentence <= 5 and draft.role is counted.role
        if is_child and EXACT_COUNT.search(self.view.text.lower, max(0, counted.start - 60), counted.start):
            if "side" in counted.values and ("side" not in draft.values or draft.carries_side):
                draft.values["side"] = counted.values["side"]
            self.drafts.remove(counted)

    def _note_repeat(self, draft: Draft) -> None:
        """A closing paragraph ("Indeterminate calcification.") that names a kind again, without place, size or side, means the same."""
        is_scored = bool(self.view.categories.within(draft.start - 150, draft.start + 200))
        is_bare = not draft.is_specific and not draft.is_plural and (draft.is_titled or is_scored)
        has_side = "side" in draft.values and not draft.carries_side
        if is_bare and any(
            other.get("kind") == draft.get("kind")
            and other.paragraph < draft.paragraph
            and (not has_side or (draft.is_titled and other.get("side") == draft.get("side")))
            for other in self.drafts[-LOOK_BACK:]
        ):
            draft.is_definite = True

    def remove(self, gone: Draft) -> None:
        """A later sentence disproves what an earlier one described."""
        for draft in self.drafts:
            points = agreement(draft, gone) if gone.is_generic or draft.get("kind") == gone.get("kind") else None
            if (
                points is not None
                and points >= 1.2
                and (draft.is_plural or not gone.is_plural)
                and not (draft.is_specific and gone.is_specific and points < ENOUGH)
            ):
                draft.is_disproved = True
