"""Reads the findings of one group of clauses: nouns with their facts, facts carried over sentences, what is denied or gone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from weakbox.extractors.grammar.breast import radiology_tables as tables
from weakbox.extractors.grammar.breast.radiology_drafts import ENOUGH, Draft, agreement, quadrant_of
from weakbox.extractors.grammar.breast.radiology_facts import (
    category_candidate,
    current_sides,
    lesion_sizes,
    read_places,
    side_of,
    size_candidate,
)
from weakbox.extractors.grammar.breast.radiology_nouns import Noun, find_nouns
from weakbox.extractors.grammar.breast.radiology_units import Clause, LabelMention, View
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import Role

_INLINE = re.compile(
    r"(?P<ultrasound>\b(?:ultraso\w+|sonogra\w+|usg?|echogra\w+)\b(?! guid|-guid| correl)|sonographic\w*)|(?P<mri>\b(?:mri|"
    r"mr)\b(?!-?\s?guid))|(?P<mammography>\bmammogra\w+|\btomosynthesis|\bspot compression)"
)
_CONTRALATERAL = re.compile(r"\b(?:contralateral|opposite|other) (?:side|breast)\b|\bcontralaterally\b")
_LINKED = re.compile(
    r"\bcorrespond\w*|\bcorrelat\w*|\baccount(?:s|ing) for|\bmatch(?:es|ing)|\bequivalent\b|\bcounterpart\b|\bthis is the\b|"
    r"\bin the same (?:area|location|region)|\bat the site of the\b|\bknown\b"
)
_LARGEST = re.compile(r"\b(?:the )?(?:largest|biggest|greatest|most prominent|dominant|larger|most suspicious|for example|e\.g\.)\b")
_CONTINUES = re.compile(
    r"\W*(?:(?:on|by|at|in)\s+(?:[a-z-]+\s+){1,3})?(?:it|this|these|they|which|measur\w+|size|located|approximately|about|spanning|"
    r"extend\w+|max\w*|dimension\w*|the (?:lesion|area|finding|abnormality|cluster|group\w*|largest|extent|total)|"
    r"bi-?rads|category|assessment|lies|situated|distance|at\s+\d|\d|overall (?:size|extent))"
)
_ANOTHER = re.compile(
    r"\W*(?:(?:and|there is|also|in addition,?)\s+)?(?:another|an? (?:second|third|further|similar|smaller|larger|additional)|second|"
    r"a further|one more|the (?:other|second|third|smaller|larger))\b"
)
_PRONOUN_IS = re.compile(
    r"\b(?:it|this|these|they)\s+(?:is|are|represents?|corresponds? to|appears?(?: as| to be)?|measures?|proves? to be|has|have|"
    r"shows?)\b[^;.]{0,60}$"
)
_BOTH_SCORED = re.compile(r"\b(?:both|all|each)\b")
_CUT = re.compile(r";|\.\s|\||,\s*and\b|\band\b|,|\bwhile\b|\bwhereas\b|\bplus\b|\bas well as\b|\bin addition to\b|/")
_OPENS_PIECE = re.compile(
    r"\s*(?:and\s+|also\s+)?(?:there (?:is|are)\s+)?(?:an?|one|two|three|another|the|several|multiple|few|in|on|at|within|left|right|"
    r"second|additional|\d+(?:[.,]\d+)?\s?(?:x|mm|cm)|scattered|bilateral|simple|benign|stable)\b"
)
_PLACE_FIRST = re.compile(
    r"[ \t\W]*(?:\(?\d{1,2}[.)]\s+)?(?:(?:left|right|lt|rt|l|r)\b[.,:]?\s*(?:breast\b[,:]?\s*)?)?(?:at\s+)?(?:1[0-2]|[1-9])(?::[0-5]0|"
    r"\s?o'?\s?clock|h\b)"
)
_PROCEDURE = re.compile(
    r"\b(?:cores?|gauge|14g|lignocaine|lidocaine|an(?:a)?esthe\w+|sterile|aseptic|needle|informed consent|verbal consent|specimens?|"
    r"biops(?:y|ied|ies) (?:was|were|of)|vacuum-assisted)\b"
)


_LOOK_BACK = 40
"""How many findings back a mention can speak of."""
_MOST = 120
"""More findings than this in one section are no report."""


@dataclass(slots=True, kw_only=True)
class GroupReader:
    """Reads clauses in order; ``drafts`` holds what they describe, ``gone`` what they declare gone."""

    view: View
    drafts: list[Draft] = field(default_factory=list)
    gone: list[Draft] = field(default_factory=list)
    last: Draft | None = None
    carried: Candidate | None = None
    carried_at: tuple[int, int] = (-1, -1)
    table: tables.TableHead | None = None

    def read(self, clauses: Sequence[Clause]) -> None:
        """Read the clauses of one group."""
        for clause in clauses:
            if len(self.drafts) >= _MOST:
                return
            if clause.is_row and self._row(clause):
                continue
            if not clause.is_row:
                self.table = None
            self._clause(clause)
            self._carry(clause)

    def _row(self, clause: Clause) -> bool:
        head = tables.read_head(clause, self.view)
        if head is not None:
            self.table = head
            return True
        if self.table is None:
            return False
        draft = tables.read_row(clause, self.view, self.table, self._new(clause, clause.start))
        if draft is not None:
            self._add(draft)
        return True

    def _carry(self, clause: Clause) -> None:
        sides = current_sides(self.view, clause.start, clause.end)
        values = {side.value for side in sides}
        if len(values) == 1 and "bilateral" not in values:
            self.carried = side_of(sides[:1], "side_carried", 0.8)
            self.carried_at = (clause.section, clause.paragraph)
        elif values:
            self.carried = None

    def _clause(self, clause: Clause) -> None:
        if clause.field is not None and clause.label is not None and self._field(clause):
            return
        nouns = find_nouns(clause, self.view)
        if not nouns:
            self._without_noun(clause)
            return
        bounds = self._bounds(clause, nouns)
        for noun, (start, end) in zip(nouns, bounds, strict=True):
            self._piece(clause, noun, start, end, is_only=len(nouns) == 1)

    def _bounds(self, clause: Clause, nouns: list[Noun]) -> list[tuple[int, int]]:
        cuts = [self._cut(first.end, second.start) for first, second in itertools.pairwise(nouns)]
        edges = [clause.start, *cuts, clause.end]
        return list(itertools.pairwise(edges))

    def _cut(self, start: int, end: int) -> int:
        """Where the second noun's words begin: after the last separator that an article or a place follows, or the last one."""
        lower = self.view.text.lower
        separators = [match.end() for match in _CUT.finditer(lower, start, end)]
        opening = [position for position in separators if _OPENS_PIECE.match(lower, position)]
        return (opening or separators or [start])[-1]

    def _new(self, clause: Clause, start: int) -> Draft:
        return Draft(
            role=clause.role,
            group=clause.group,
            start=start,
            sentence=clause.sentence,
            paragraph=clause.paragraph,
            modality=self._modality(clause, clause.start, clause.end),
        )

    def _modality(self, clause: Clause, start: int, end: int) -> str | None:
        if clause.modality is not None and "+" not in clause.modality:
            return clause.modality
        match = _INLINE.search(self.view.text.lower, start, end)
        return match.lastgroup if match else self.view.modality

    def _piece(self, clause: Clause, noun: Noun, start: int, end: int, *, is_only: bool) -> None:
        lower = self.view.text.lower
        cut = lower[start:end]
        draft = self._new(clause, noun.start)
        draft.modality = self._modality(clause, start, end)
        draft.is_plural, draft.is_generic = noun.is_plural, noun.is_generic
        draft.is_linked = bool(_LINKED.search(cut))
        draft.is_definite = noun.is_definite or bool(_PRONOUN_IS.search(lower[clause.start : noun.start]))
        draft.is_titled = noun.is_titled
        draft.values["kind"] = Candidate(
            value=noun.kind,
            words=((noun.start, noun.end),),
            rule="lesion" if noun.is_generic else "finding",
            confidence=0.75 if noun.is_generic else 0.95,
        )
        self._side(draft, clause, start, end)
        for part in self._several(draft, clause, start, end):
            if noun.is_gone:
                self.gone.append(part)
                self._remove(part)
            elif not (_PROCEDURE.search(cut) and (not part.is_specific or part.is_definite) and self.drafts):
                self._label(part, clause, start, end)
                self._score(part, clause, start, end, is_only=is_only)
                self._add(part)

    def _remove(self, gone: Draft) -> None:
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

    def _side(self, draft: Draft, clause: Clause, start: int, end: int) -> None:
        sides = current_sides(self.view, start, end)
        if not sides:
            whole = current_sides(self.view, clause.start, clause.end)
            sides = whole if len({side.value for side in whole}) == 1 else []
        if not sides and clause.side is not None:
            draft.values["side"] = Candidate(
                value=clause.side.value, words=((clause.side.start, clause.side.end),), rule="side_heading", confidence=0.94
            )
            return
        lower = self.view.text.lower
        if not sides and self.carried is not None and _CONTRALATERAL.search(lower, start, end):
            other = "left" if self.carried.value == "right" else "right"
            match = _CONTRALATERAL.search(lower, start, end)
            assert match is not None
            draft.values["side"] = Candidate(
                value=other, words=(*self.carried.words, match.span()), rule="side_contralateral", confidence=0.8
            )
            return
        largest = _LARGEST.search(lower, start, end)
        if sides and largest is not None and len({side.value for side in sides}) > 1:
            before = [side for side in sides if side.start < largest.start()]
            sides = before or sides
        draft.fill("side", side_of(sides, "side", 0.96))
        if not sides and self.carried is not None and self.carried_at == (clause.section, clause.paragraph):
            draft.values["side"] = self.carried
            draft.carries_side = True

    def _several(self, draft: Draft, clause: Clause, start: int, end: int) -> list[Draft]:
        """The draft with its facts; a plural that lists several clock positions is as many findings."""
        view = self.view
        clocks = [clock for clock in view.clocks.within(start, end) if not clock.is_range]
        largest = _LARGEST.search(view.text.lower, start, end)
        if largest is not None:
            first = largest.start()
            for name, candidate in read_places(view, first, end).items():
                draft.fill(name, candidate)
            draft.fill("size_mm", size_candidate(lesion_sizes(view, first, end)))
        if draft.is_plural and largest is None and len({clock.value for clock in clocks}) > 1:
            return self._listed(draft, clause, start, end)
        for name, candidate in read_places(view, start, end).items():
            draft.fill(name, candidate)
        draft.fill("size_mm", size_candidate(lesion_sizes(view, start, end)))
        return [draft]

    def _listed(self, draft: Draft, clause: Clause, start: int, end: int) -> list[Draft]:
        view = self.view
        clocks = view.clocks.within(start, end)
        sizes, distances, sides = lesion_sizes(view, start, end), view.distances.within(start, end), current_sides(view, start, end)
        parts = []
        for index, clock in enumerate(clocks):
            stop = clocks[index + 1].start if index + 1 < len(clocks) else end
            part = Draft(
                role=draft.role,
                group=draft.group,
                start=draft.start + index,
                sentence=draft.sentence,
                paragraph=draft.paragraph,
                modality=draft.modality,
            )
            part.values = dict(draft.values)
            part.values.update(read_places(view, clock.start, stop))
            if len(distances) == len(clocks):
                part.values.update(read_places(view, distances[index].start, distances[index].end))
                part.values.update(read_places(view, clock.start, clock.end))
            own = [sizes[index]] if len(sizes) == len(clocks) else lesion_sizes(view, clock.start, stop)
            part.fill("size_mm", size_candidate(own))
            if len(sides) == len(clocks):
                part.values["side"] = side_of([sides[index]], "side", 0.9) or part.values["side"]
            parts.append(part)
        return parts

    def _label(self, draft: Draft, clause: Clause, start: int, end: int) -> None:
        own = [label for label in self.view.labels.within(start, end) if _is_subject(self.view, label, clause)]
        label = own[0] if own else clause.label if clause.label is not None and self._belongs(draft, clause) else None
        if label is not None:
            draft.values["finding_id"] = _label_candidate(label)

    def _belongs(self, draft: Draft, clause: Clause) -> bool:
        """Whether an unlabelled noun is the labelled block's finding: the block's first one, or one that is spoken of again."""
        assert clause.label is not None
        known = next((other for other in self.drafts if other.get("finding_id") == clause.label.value), None)
        if known is None or agreement(known, draft) is None:
            return known is None
        if "kind" not in known.values:
            return True
        is_on_line = "\n" not in self.view.text.text[clause.label.end : clause.start]
        return draft.is_definite or (is_on_line and (not draft.is_specific or not _has_place(draft) or known.is_generic))

    def _score(self, draft: Draft, clause: Clause, start: int, end: int, *, is_only: bool) -> None:
        mentions = self.view.categories.within(start, end)
        if draft.is_generic and not draft.is_specific and draft.role is Role.IMPRESSION and "side" in draft.values:
            return
        if not mentions and not is_only:
            whole = self.view.categories.within(clause.start, clause.end)
            lower = self.view.text.lower
            if len(whole) == 1 and _BOTH_SCORED.search(lower[max(clause.start, whole[0].start - 20) : whole[0].end + 10]):
                mentions = whole
        kind = draft.values["kind"].words[0]
        mentions = [
            mention for mention in mentions if not _STOP.search(self.view.text.lower, *_between(kind, (mention.start, mention.end)))
        ]
        side = draft.get("side")
        draft.fill("birads", category_candidate([mention for mention in mentions if mention.side in (None, side)], "category", 0.95))

    def _add(self, draft: Draft) -> None:
        if len(self.drafts) >= _MOST:
            return
        known = self._known(draft)
        if known is None:
            self.drafts.append(draft)
            self.last = draft
            return
        absorb(known, draft)
        self.last = known

    def _known(self, draft: Draft) -> Draft | None:
        """The finding of this group that the draft speaks of again."""
        label = draft.get("finding_id")
        if label is not None:
            return next((other for other in self.drafts if other.get("finding_id") == label), None)
        self._note_repeat(draft)
        is_other_view = draft.modality is not None and any(
            other.modality not in (None, draft.modality) for other in self.drafts[-_LOOK_BACK:]
        )
        if not (draft.is_definite or draft.is_linked or is_other_view):
            return None
        ranked = []
        first = max(0, len(self.drafts) - _LOOK_BACK)
        for index, other in enumerate(self.drafts[first:], first):
            if other.is_disproved or not (draft.is_definite or draft.is_linked or other.modality != draft.modality):
                continue
            points = agreement(other, draft)
            if points is None or not _places_agree(other, draft):
                continue
            enough = 1.2 if draft.is_definite and not _has_place(draft) else ENOUGH
            if points >= enough and draft.is_plural <= (other.is_plural or draft.is_definite):
                ranked.append((points, index))
        return self.drafts[max(ranked)[1]] if ranked else None

    def _note_repeat(self, draft: Draft) -> None:
        """A closing paragraph ("Indeterminate calcification.") that names a kind again, without place, size or side, means the same."""
        is_bare = not draft.is_specific and not draft.is_plural and draft.is_titled and ("side" not in draft.values or draft.carries_side)
        if is_bare and any(
            other.get("kind") == draft.get("kind") and other.paragraph < draft.paragraph for other in self.drafts[-_LOOK_BACK:]
        ):
            draft.is_definite = True

    def _without_noun(self, clause: Clause) -> None:
        view, last = self.view, self.last
        if last is None or last.role is not clause.role or (clause.sentence - last.sentence > 6 and clause.label is None):
            return
        cut = view.cut(clause)
        places = read_places(view, clause.start, clause.end)
        sizes = lesion_sizes(view, clause.start, clause.end)
        if not places and not sizes and clause.label is None:
            self._score_line(clause, last)
            return
        if _ANOTHER.match(cut) and (places or sizes):
            draft = self._new(clause, clause.start)
            draft.values["kind"] = last.values["kind"]
            self._side(draft, clause, clause.start, clause.end)
            draft.fill("side", last.values.get("side"))
            for part in self._several(draft, clause, clause.start, clause.end):
                self._score(part, clause, clause.start, clause.end, is_only=True)
                self._add(part)
            return
        self._continue(clause, cut, last, places, size_candidate(sizes))

    def _score_line(self, clause: Clause, last: Draft) -> None:
        """ "9:00 N+4: 8 mm mass. BI-RADS 4." is the row of a list: its place stands first and its category on its line."""
        lower = self.view.text.lower
        start = lower.rfind("\n", 0, clause.start) + 1
        if clause.role is Role.FINDINGS and start <= last.start and _PLACE_FIRST.match(lower, start):
            last.fill("birads", category_candidate(self.view.categories.within(clause.start, clause.end), "category_in_row", 0.85))

    def _continue(self, clause: Clause, cut: str, last: Draft, places: dict[str, Candidate], size: Candidate | None) -> None:
        is_labelled = clause.label is not None and last.get("finding_id") == clause.label.value
        if not is_labelled and (not _CONTINUES.match(cut) or clause.paragraph != last.paragraph):
            return
        side = side_of(current_sides(self.view, clause.start, clause.end), "side", 0.9)
        if side is not None and "side" in last.values and last.get("side") != side.value and not last.carries_side:
            return
        before = last.get("clock")
        if "clock" in places and before is not None and before != places["clock"].value:
            return
        for name, candidate in places.items():
            last.fill(name, candidate)
        last.fill("side", side)
        if size is not None:
            _take_fuller_size(last, size)
        if is_labelled:
            last.fill("birads", category_candidate(self.view.categories.within(clause.start, clause.end), "category_in_block", 0.9))

    def _field(self, clause: Clause) -> bool:
        """A field of the labelled block above it ("Size: 8 mm")."""
        if clause.label is None or clause.field in (None, "other", "label"):
            return False
        label = _label_candidate(clause.label)
        draft = next((other for other in self.drafts if other.get("finding_id") == label.value), None)
        if draft is None:
            draft = self._new(clause, clause.label.start)
            draft.values["finding_id"] = label
            if clause.side is not None:
                draft.values["side"] = Candidate(
                    value=clause.side.value, words=((clause.side.start, clause.side.end),), rule="side_heading", confidence=0.94
                )
            self.drafts.append(draft)
        tables.read_cell(draft, clause.field, "", (clause.start, clause.end), self.view)
        self.last = draft
        return True


_STOP = re.compile(r"\.\s+[a-z]{2}")


def _between(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """The stretch between two places of the text."""
    return (min(first[1], second[1]), max(first[0], second[0]))


def _is_subject(view: View, label: LabelMention, clause: Clause) -> bool:
    """ "Lesion 1: ..." labels the finding; "4 cm medial to lesion 1" does not."""
    lead = view.text.lower[clause.start : label.start].rstrip(" (")
    return not lead or not re.search(r"\b(?:to|from|of|than|with|near|and|as)(?: the)?$", lead)


def _label_candidate(label: LabelMention) -> Candidate:
    return Candidate(value=label.value, words=((label.start, label.end),), rule="label", confidence=0.95)


def _has_place(draft: Draft) -> bool:
    return "clock" in draft.values or "quadrant" in draft.values


def _places_agree(known: Draft, draft: Draft) -> bool:
    """Where both say where they lie, on one modality, the places must match: the same clock or quadrant, or the one in the other."""
    if not (_has_place(known) and _has_place(draft)) or known.modality != draft.modality or draft.is_linked:
        return True
    if known.get("clock") is not None and known.get("clock") == draft.get("clock"):
        return True
    if known.get("quadrant") is not None and known.get("quadrant") == draft.get("quadrant"):
        return True
    side = known.get("side") or draft.get("side")
    return draft.get("quadrant") in quadrant_of(side, known.get("clock")) or known.get("quadrant") in quadrant_of(side, draft.get("clock"))


_KIND_RANK = {
    "asymmetry": 1,
    "focus": 1,
    "architectural_distortion": 2,
    "calcifications": 3,
    "non_mass_enhancement": 3,
    "mass": 3,
    "cyst": 4,
    "lymph_node": 4,
}


def absorb(known: Draft, own: Draft) -> None:
    """Take what another mention of the same finding adds: the more telling kind, the fuller size, what was not stated."""
    before, after = known.values.get("kind"), own.values.get("kind")
    if before is not None and after is not None and not own.is_generic:
        is_better = known.is_generic or _KIND_RANK[str(after.value)] > _KIND_RANK[str(before.value)]
        if is_better and (own.modality != known.modality or own.is_definite or own.is_linked or known.is_generic):
            known.values["kind"] = after
            known.is_generic = False
    size = own.values.get("size_mm")
    if size is not None:
        _take_fuller_size(known, size)
    if known.carries_side and not own.carries_side and "side" in own.values:
        known.values["side"] = own.values["side"]
        known.carries_side = False
    score, later = known.values.get("birads"), own.values.get("birads")
    if score is not None and later is not None and score.value != later.value:
        known.flags.append(("birads", "conflict"))
        if own.role is Role.IMPRESSION or own.modality != known.modality:
            known.values["birads"] = later
    for name, candidate in own.values.items():
        known.fill(name, candidate)
    known.start = min(known.start, own.start)
    known.is_plural |= own.is_plural
    known.is_linked |= own.is_linked


def _take_fuller_size(draft: Draft, size: Candidate) -> None:
    before = draft.values.get("size_mm")
    if before is None or (isinstance(before.value, tuple) and isinstance(size.value, tuple) and len(size.value) > len(before.value)):
        draft.values["size_mm"] = size
