"""The part of a clause that speaks of one finding, and what it says: side, study, places, sizes, and lists of several findings."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.breast.places import PlaceWord
from weakbox.extractors.grammar.breast.radiology_drafts import Draft
from weakbox.extractors.grammar.breast.radiology_facts import current_sides, lesion_sizes, read_places, side_of, size_candidate
from weakbox.extractors.grammar.breast.radiology_nouns import Noun
from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import Role
from weakbox.text.quantities import Size, parse_number

_INLINE = re.compile(
    r"(?P<ultrasound>\b(?:ultraso\w+|sonogra\w+|sonar|usg?|echogra\w+)\b(?! guid|-guid| correl)|sonographic\w*)|(?P<mri>\b(?:mri|"
    r"mr)\b(?!-?\s?guid))|(?P<mammography>\bmammogra\w+|\btomosynthesis|\bspot compression)"
)
_CONTRALATERAL = re.compile(r"\b(?:contralateral|opposite|other) (?:side|breast)\b|\bcontralaterally\b")
_LARGEST = re.compile(r"\b(?:the )?(?:largest|biggest|greatest|most prominent|dominant|larger|most suspicious|for example|e\.g\.)\b")
_NUMBERS = {"two": 2, "2": 2, "both": 2, "couple of": 2, "pair of": 2, "three": 3, "3": 3, "four": 4, "4": 4, "five": 5, "5": 5}
_EACH_ONE = re.compile(
    r"(?:[:;,(]\s*(?:and\s+|with\s+)?|\band\s+|\bwith\s+)(?=(?:one|another|(?:the|a) (?:first|second|third|other|larger|smaller|"
    r"largest|smallest|former|"
    r"latter))\b)"
)
JOINED = re.compile(r"\s*(?:,|and|&|,\s*and)\s*")
_SHARED_UNIT = re.compile(r"(?<![\d.,:/+x-])(?<! x )(?P<value>\d{1,2}(?:[.,]\d)?)\s?(?:and|&)\s?$")
_JOINED_SIZES = re.compile(r"(?:\s*\([a-z ,-]{1,30}\))?\s*(?:,|and|&|,\s*and)\s*(?:another (?:of )?)?")
EXACT_COUNT = re.compile(r"(?<![\w.,:+/-])(?:two|three|four|five|2|3|4|5|both|couple of|pair of)\b(?![.,:]\d|\s?(?:mm|cm|x\s?\d|o'))")
_STRONG_CUT = re.compile(r";|\|(?=\s)|[,.]?\s(?=\([a-f\d]\)\s)")
_CUT = re.compile(r";|\.\s|\||,\s*and\b|\band\b|,|\bwhile\b|\bwhereas\b|\bplus\b|\bas well as\b|\bin addition to\b|/")
_OPENS_PIECE = re.compile(
    r"\s*(?:and\s+|also\s+)?(?:there (?:is|are)\s+)?(?:an?|one|two|three|another|the|several|multiple|few|in|on|at|within|left|right|"
    r"second|additional|\d+(?:[.,]\d+)?\s?(?:x|mm|cm)|scattered|bilateral|simple|benign|stable)\b"
)
_REST = re.compile(r"\b(?:remaining|otherwise|the rest|elsewhere)\b[^.;]*$")
""" "..., otherwise also on the left unremarkable": that side is not the finding's."""
_NORMAL = re.compile(r"\b(?:normal|clear|unremarkable|negative|nad|unchanged|no abnormality)\b")


@dataclass(slots=True, kw_only=True)
class PieceReader:
    """Reads what a piece of a clause states; keeps the side and the study that later clauses take over."""

    view: View
    carried: Candidate | None = None
    carried_at: tuple[int, int] = (-1, -1)
    study: tuple[str | None, int, int] = (None, -1, -1)
    """The modality that the running text last named, with its section and paragraph."""

    def note_study(self, clause: Clause) -> None:
        match = _INLINE.search(self.view.text.lower, clause.start, clause.end) if clause.role is Role.FINDINGS else None
        if match is not None:
            self.study = (match.lastgroup, clause.section, clause.paragraph)

    def carry(self, clause: Clause) -> None:
        sides = current_sides(self.view, clause.start, clause.end)
        values = {side.value for side in sides}
        if self.view.categories.within(clause.start, clause.end) and not self.view.nouns.within(clause.start, clause.end):
            return
        if (
            values
            and not self.view.nouns.within(clause.start, clause.end)
            and _NORMAL.search(self.view.text.lower, clause.start, clause.end)
        ):
            self.carried = None
        elif len(values) == 1 and "bilateral" not in values:
            self.carried = side_of(sides[:1], "side_carried", 0.8)
            self.carried_at = (clause.section, clause.paragraph)
        elif values:
            self.carried = None

    def bounds(self, clause: Clause, nouns: list[Noun]) -> list[tuple[int, int]]:
        cuts = [self._cut(first.end, second.start) for first, second in itertools.pairwise(nouns)]
        edges = [self._opening(clause, nouns[0]), *cuts, clause.end]
        return list(itertools.pairwise(edges))

    def _opening(self, clause: Clause, noun: Noun) -> int:
        """Where the first noun's words begin: after a semicolon where what follows places or measures it."""
        cut = self.view.text.lower.rfind(";", clause.start, noun.start) + 1
        stop = clause.end
        has_own = cut > 0 and (self.view.clocks.within(cut, stop) or self.view.quadrants.within(cut, stop))
        return cut if has_own else clause.start

    def _cut(self, start: int, end: int) -> int:
        """Where the second noun's words begin: after the last separator that an article or a place follows, or the last one."""
        lower = self.view.text.lower
        strong = [match.end() for match in _STRONG_CUT.finditer(lower, start, end)]
        if strong:
            return strong[-1]
        separators = [match.end() for match in _CUT.finditer(lower, start, end)]
        opening = [position for position in separators if _OPENS_PIECE.match(lower, position)]
        return (opening or separators or [start])[-1]

    def new_draft(self, clause: Clause, start: int) -> Draft:
        return Draft(
            role=clause.role,
            group=clause.group,
            start=start,
            sentence=clause.sentence,
            paragraph=clause.paragraph,
            modality=self.modality_of(clause, clause.start, clause.end),
        )

    def modality_of(self, clause: Clause, start: int, end: int) -> str | None:
        if clause.modality is not None and "+" not in clause.modality:
            return clause.modality
        if self.view.modality is not None:
            return self.view.modality
        match = _INLINE.search(self.view.text.lower, start, end)
        if match is not None:
            self.study = (match.lastgroup, clause.section, clause.paragraph)
            return match.lastgroup
        if clause.role is not Role.FINDINGS:
            return None
        if self.study[1:] == (clause.section, clause.paragraph):
            return self.study[0]
        return "mammography" if "mammography" in self.view.modalities else None

    def take_side(self, draft: Draft, clause: Clause, start: int, end: int) -> None:
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
        if len({side.value for side in sides}) > 1:
            sides = [side for side in sides if not _REST.search(lower, max(start, side.start - 30), side.start)] or sides
            sides = [side for side in sides if not self._is_of_category(side)] or sides
            sides = [] if all(self._is_of_category(side) for side in sides) else sides
        largest = _LARGEST.search(lower, start, end)
        if sides and largest is not None and len({side.value for side in sides}) > 1:
            before = [side for side in sides if side.start < largest.start()]
            sides = before or sides
        draft.fill("side", side_of(sides, "side", 0.96))
        is_about_all = draft.is_plural and draft.is_definite
        if not sides and not is_about_all and self.carried is not None and self.carried_at == (clause.section, clause.paragraph):
            draft.values["side"] = self.carried
            draft.carries_side = True

    def _is_of_category(self, side: PlaceWord) -> bool:
        """ "BI-RADS 5 on the right, BI-RADS 1 on the left" says nothing of where a finding lies."""
        return any(mention.end <= side.start <= mention.end + 12 for mention in self.view.categories.within(side.start - 40, side.start))

    def headed_side(self, clause: Clause) -> Candidate | None:
        if clause.side is None:
            return None
        return Candidate(value=clause.side.value, words=((clause.side.start, clause.side.end),), rule="side_heading", confidence=0.9)

    def take_facts(self, draft: Draft, clause: Clause, start: int, end: int) -> list[Draft]:
        """The draft with its facts; a plural that lists several clock positions is as many findings."""
        view = self.view
        clocks = [clock for clock in view.clocks.within(start, end) if not clock.is_range]
        largest = _LARGEST.search(view.text.lower, start, end)
        if largest is not None and draft.is_plural:
            parts = self._largest_of_sides(draft, largest.start(), end)
            if parts:
                return parts
        if largest is not None:
            first = largest.start()
            for name, candidate in read_places(view, first, end).items():
                draft.fill(name, candidate)
            draft.fill("size_mm", size_candidate(lesion_sizes(view, first, end)))
        if draft.is_plural:
            parts = self._one_by_one(draft, clause, end)
            if parts:
                return parts
        if draft.is_plural and largest is None and len({clock.value for clock in clocks}) > 1:
            return self._listed(draft, clause, start, end)
        if draft.is_plural and largest is None:
            parts = self._measured_list(draft, start, end)
            if parts:
                return parts
        for name, candidate in read_places(view, start, end).items():
            draft.fill(name, candidate)
        draft.fill("size_mm", size_candidate(lesion_sizes(view, start, end)))
        return [draft]

    def _one_by_one(self, draft: Draft, clause: Clause, end: int) -> list[Draft]:
        """ "Two masses: one in the lower inner quadrant, 14 mm, and one subareolar": each for itself."""
        lower = self.view.text.lower
        cuts = [match.end() for match in _EACH_ONE.finditer(lower, draft.start, end)]
        spans = list(itertools.pairwise([*cuts, end]))
        if len(spans) < 2 or not all(read_places(self.view, *span) or lesion_sizes(self.view, *span) for span in spans):
            return []
        parts = []
        for index, (first, last) in enumerate(spans):
            part = replace(draft, start=draft.start + index, values=dict(draft.values), is_plural=False, flags=[])
            sides = current_sides(self.view, first, last)
            stated = side_of(sides, "side", 0.92)
            if stated is not None:
                part.values["side"] = stated
            for name, candidate in read_places(self.view, first, last).items():
                part.fill(name, candidate)
            part.fill("size_mm", size_candidate(lesion_sizes(self.view, first, last)))
            parts.append(part)
        return parts

    def _largest_of_sides(self, draft: Draft, start: int, end: int) -> list[Draft]:
        """ "The largest on the right 15 mm at 10 o'clock and on the left 11 mm": the largest of each breast is a finding."""
        sides = current_sides(self.view, start, end)
        if len(sides) != 2 or {side.value for side in sides} != {"left", "right"}:
            return []
        sizes = lesion_sizes(self.view, start, end)
        if len(sizes) != 2:
            return []
        is_first = sides[0].start < sizes[0].start
        edges = (sides[0].start, sides[1].start, end) if is_first else (start, sides[0].end, end)
        parts: list[Draft] = []
        for side, (first, last) in zip(sides, itertools.pairwise(edges), strict=True):
            part = replace(draft, start=draft.start + len(parts), values=dict(draft.values), flags=[])
            part.fill("size_mm", size_candidate(lesion_sizes(self.view, first, last)))
            for name, candidate in read_places(self.view, first, last).items():
                part.fill(name, candidate)
            stated = side_of([side], "side", 0.92)
            if stated is not None:
                part.values["side"] = stated
            parts.append(part)
        return parts if all("size_mm" in part.values for part in parts) else []

    def _measured_list(self, draft: Draft, start: int, end: int) -> list[Draft]:
        """ "2 further masses, 8 mm and 6 mm": as many findings as sizes where the count says so."""
        lower = self.view.text.lower
        sizes = self._with_shared_unit(lesion_sizes(self.view, start, end))
        counts = EXACT_COUNT.findall(lower, max(0, draft.start - 60), draft.start)
        if len(sizes) < 2 or not counts or _NUMBERS.get(counts[-1]) != len(sizes):
            return []
        if not all(_JOINED_SIZES.fullmatch(lower, one.end, other.start) for one, other in itertools.pairwise(sizes)):
            return []
        places = read_places(self.view, start, end)
        parts = []
        for index, size in enumerate(sizes):
            part = replace(draft, start=draft.start + index, values=dict(draft.values), is_plural=False, flags=[])
            for name, candidate in places.items():
                part.fill(name, candidate)
            part.fill("size_mm", size_candidate([size]))
            parts.append(part)
        return parts

    def _with_shared_unit(self, sizes: list[Size]) -> list[Size]:
        """ "6 and 5 mm" is two sizes."""
        match = _SHARED_UNIT.search(self.view.text.lower, max(0, sizes[0].start - 12), sizes[0].start) if len(sizes) == 1 else None
        if match is None or len(sizes[0].values_mm) > 1:
            return sizes
        is_cm = self.view.text.lower[sizes[0].start : sizes[0].end].rstrip().endswith("cm")
        value = round(parse_number(match["value"]) * (10 if is_cm else 1), 3)
        return [replace(sizes[0], values_mm=(value,), start=match.start("value"), end=match.end("value")), *sizes] if value else sizes

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
