"""Reads the findings of one group of clauses: nouns with their facts, facts carried over sentences, what is denied or gone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
_LINKED_TO = re.compile(
    r"\b(?:correspond\w*|correlat\w*|match\w*|account\w*|equivalent) (?:to |with |for )?(?:the |this |these )(?:[a-z-]+ ){0,2}(?:micro|macro)?"
    r"calc(?:s|ifications?)\b"
)
_LARGEST = re.compile(r"\b(?:the )?(?:largest|biggest|greatest|most prominent|dominant|larger|most suspicious|for example|e\.g\.)\b")
_CONTINUES = re.compile(
    r"\W*(?:(?:on|by|at|in)\s+(?:[a-z-]+\s+){1,3})?(?:it|this|these|they|which|measur\w+|size|located|approximately|about|spanning|"
    r"extend\w+|max\w*|dimension\w*|the (?:lesion|area|finding|abnormality|cluster|group\w*|largest|extent|total)|"
    r"bi-?rads|category|assessment|lies|situated|distance|at\s+\d|\d|overall (?:size|extent))"
)
_OTHER_SUBJECT = re.compile(
    r"\b(?:skin|implants?|clips?|marker|biops\w+|scar\w*|seroma|ducts?|ductal|axill\w+|muscle|needle|cores?|bb|lump|palpable|"
    r"previous\w*|prior|no|not|without|normal|nil|nad|unremarkable|clear|vessels?|tissue|parenchyma|breasts? (?:is|are)|density|"
    r"h(?:a)?ematoma|oedema|edema|nipple (?:is|retraction|discharge)|patient|she|implant)\b"
)
_ANOTHER = re.compile(
    r"\W*(?:(?:and|there is|also|in addition,?)\s+)?(?:another|an? (?:second|third|further|similar|smaller|larger|additional)|second|"
    r"a further|one more|the (?:other|second|third|smaller|larger))\b"
)
_PRONOUN_IS = re.compile(
    r"\b(?:it|this|these|they)\s+(?:is|are|represents?|corresponds? to|appears?(?: as| to be)?|measures?|proves? to be|has|have|"
    r"shows?)\b[^;.]{0,60}$"
)
_ORDINAL = re.compile(
    r"\W*(?:(?:the|a|one|and)\s+)?(?:(?P<ordinal>first|second|third|fourth|larger|smaller|largest|smallest|other|one|latter|former|"
    r"lateral|medial|upper|lower|remaining|dominant|1st|2nd|3rd)(?:\s+(?:one|of these|of them|lesion|mass|nodule|cyst|is|lies|lying|at|in|measures|"
    r"measuring|which|located|situated|was|has)\b|\s*[,(:]|\s+\d)|(?P<noun>one|another)\s+(?:is|lies|at|in|measures|measuring|of)\b)"
)
_ORDER = {"first": 1, "1st": 1, "one": 1, "second": 2, "2nd": 2, "other": 2, "another": 2, "third": 3, "3rd": 3, "fourth": 4}
_ORDER_BEFORE = re.compile(r"\b(?P<ordinal>first|second|third|fourth|1st|2nd|3rd)\s+(?:[a-z-]+\s+){0,2}$")
_COUNTED = re.compile(r"\b(?:two|three|four|five|2|3|4|5|several|multiple|both|couple of|pair of)\b")
_SOLID = re.compile(r"\b(?:solid|spiculated|irregular|hypo-?echoic|lobulated|taller[- ]than[- ]wide|rim[- ]enhancing)\b")
_NUMBERS = {"two": 2, "2": 2, "both": 2, "couple of": 2, "pair of": 2, "three": 3, "3": 3, "four": 4, "4": 4, "five": 5, "5": 5}
_JOINED = re.compile(r"\s*(?:,|and|&|,\s*and)\s*")
_EXACT_COUNT = re.compile(r"\b(?:two|three|four|five|2|3|4|5|both|couple of|pair of)\b")
_BOTH_SCORED = re.compile(r"\b(?:both|all|each)\b")
_PLAIN_LIST = re.compile(r"(?:(?!\bbi-?rads)[^;.:\d])*\band\b(?:(?!\bbi-?rads)[^;.\d])*")
_INTERPRETS = re.compile(
    r"\W*(?:(?:the |these |this |its |imaging |overall |sonographic |mammographic |ultrasound )*(?:features?|appearances?|findings?|characteristics|morphology|"
    r"imaging|it|this|these|they|which)\s+(?:(?:is|are|would|may|could|might|be|all|most|strongly|is most|are most) )*(?:of|suggest\w*|favou?rs?|consistent|compatible|in keeping|"
    r"typical|characteristic|represents?|indicat\w*|classic\w*|diagnostic|likely|probably|suspicious|concerning|raise\w*|in favou?r|has|have)|consistent with|"
    r"compatible with|in keeping with|typical of|typical for|suspicious for|suggestive of|concerning for|most likely|likely|probable|probably a|presumed|"
    r"features? of|appearances? of|c/w|s/o|\?)\b(?![^;.]*\b(?:left|right)\b)(?:[^;.:]{0,60})$"
)
_MAYBE = re.compile(r"\b(?:may|might|could|possib\w*|suspicious|concerning|\?)\b")
_STRONG_CUT = re.compile(r";|\|(?=\s)|[,.]?\s(?=\(\d\)\s)")
_CUT = re.compile(r";|\.\s|\||,\s*and\b|\band\b|,|\bwhile\b|\bwhereas\b|\bplus\b|\bas well as\b|\bin addition to\b|/")
_OPENS_PIECE = re.compile(
    r"\s*(?:and\s+|also\s+)?(?:there (?:is|are)\s+)?(?:an?|one|two|three|another|the|several|multiple|few|in|on|at|within|left|right|"
    r"second|additional|\d+(?:[.,]\d+)?\s?(?:x|mm|cm)|scattered|bilateral|simple|benign|stable)\b"
)
_PLACE_FIRST = re.compile(
    r"[ \t\W]*(?:\(?\d{1,2}[.)]\s+)?(?:(?:left|right|lt|rt|l|r)\b[.,:]?\s*(?:breast\b[,:]?\s*)?)?(?:at\s+)?(?:1[0-2]|[1-9])(?::[0-5]0|"
    r"\s?o'?\s?clock|h\b)"
)
_HEAD_FIRST = re.compile(
    r"[ \t\W]*(?:(?:left|right|lt|rt|l|r)\b[.,]?\s*(?:breast\s*)?)?(?:index |satellite |main |second |another |known |dominant |new )?"
    r"(?:lesion|mass|nodule|tumou?r|satellite|cyst|calcifications?|microcalcifications?|asymmetry|distortion|focus|nme|non-?mass enhancement|"
    r"(?:lymph )?nodes?|cancer|fibroadenoma|finding|abnormality)\s*(?:\([^)\n]{0,20}\)\s*)?:"
)
_ITEM_FIRST = re.compile(r"[ \t]*(?:[-*\u2022]\s|\(?\d{1,2}[.)]\s)")
_POINTS = re.compile(
    r"\b(?:bb|marker|marks?|marked|lump|palpable|concern|site|area|scar|clips?|operative|lumpectomy|tenderness|pain|thickening|symptom\w*)\b"
)
_THERE = re.compile(
    r"\b(?:bb|marker|this|that|site|correspond\w*|underlying|beneath|deep to|lump|palpable|here|clips?|area of concern|directly under|"
    r"adjacent to the (?:clips?|scar)|region|location)\b"
)
_SIZE_FIRST = re.compile(r"\W*\d{1,3}(?:[.,]\d)?\s?(?:x|mm|cm)")
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
    table: tables.TableHead | tables.SideHead | None = None
    study: tuple[str | None, int, int] = (None, -1, -1)
    """The modality that the running text last named, with its section and paragraph."""
    pointed: Clause | None = None
    """The clause before, where it only says where to look ("A BB marks the lump in the upper outer quadrant")."""
    counted: Draft | None = None
    """ "Two masses ...": what "the first" and "the second" after it speak of."""

    def read(self, clauses: Sequence[Clause]) -> None:
        """Read the clauses of one group."""
        for clause in clauses:
            if len(self.drafts) >= _MOST:
                return
            if clause.is_row and self._row(clause):
                continue
            if not clause.is_row:
                self.table = None
            self._note_study(clause)
            self._clause(clause)
            self._carry(clause)
            self._point(clause)

    def _point(self, clause: Clause) -> None:
        """Keep a clause that names a place and no finding, for the one after it."""
        is_pointer = (
            clause.role is Role.FINDINGS
            and not find_nouns(clause, self.view)
            and (self.last is None or self.last.sentence != clause.sentence)
            and _POINTS.search(self.view.text.lower, clause.start, clause.end) is not None
        )
        self.pointed = clause if is_pointer else None

    def _take_pointed(self, draft: Draft, clause: Clause, start: int) -> None:
        """ "Underlying the BB is a mass": it lies where the clause before pointed to."""
        pointed = self.pointed
        if pointed is None or draft.is_plural or pointed.paragraph != clause.paragraph or "clock" in draft.values or "quadrant" in draft.values:
            return
        lower = self.view.text.lower
        if start != clause.start or not (_THERE.search(lower, clause.start, clause.end) or _SIZE_FIRST.match(lower, clause.start)):
            return
        sides = {side.value for side in current_sides(self.view, pointed.start, pointed.end)}
        if "side" in draft.values and sides and draft.get("side") not in sides and not draft.carries_side:
            return
        for name, candidate in read_places(self.view, pointed.start, pointed.end).items():
            draft.fill(name, candidate)

    def _note_study(self, clause: Clause) -> None:
        match = _INLINE.search(self.view.text.lower, clause.start, clause.end) if clause.role is Role.FINDINGS else None
        if match is not None:
            self.study = (match.lastgroup, clause.section, clause.paragraph)

    def _row(self, clause: Clause) -> bool:
        head = tables.read_head(clause, self.view)
        if head is not None:
            self.table = head
            return True
        sided = tables.read_side_head(clause, self.view)
        if sided is not None:
            self.table = sided
            return True
        if self.table is None:
            return False
        if isinstance(self.table, tables.SideHead):
            for part in tables.read_side_row(clause, self.view, self.table, self._new(clause, clause.start)):
                self._add(part)
            return True
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

    def _ordinal(self, clause: Clause) -> bool:
        """ "The first, at 1:00, ... The second lies at 7:00 ..." after "Two masses": findings of the counted kind, one by one."""
        match = _ORDINAL.match(self.view.text.lower, clause.start, clause.end)
        counted = self.counted
        if match is None or counted is None or not (
            read_places(self.view, clause.start, clause.end) or lesion_sizes(self.view, clause.start, clause.end)
        ):
            return False
        draft = self._new(clause, clause.start)
        draft.is_generic = counted.is_generic
        draft.values["kind"] = counted.values["kind"]
        draft.order = _ORDER.get(match["ordinal"] or match["noun"] or "", 0)
        self._side(draft, clause, clause.start, clause.end)
        if "side" in counted.values and (draft.carries_side or "side" not in draft.values):
            draft.values["side"] = counted.values["side"]
        for part in self._several(draft, clause, clause.start, clause.end):
            self._score(part, clause, clause.start, clause.end, is_only=True)
            self._add(part)
        if counted in self.drafts and not counted.is_specific:
            self.drafts.remove(counted)
        return True

    def _clause(self, clause: Clause) -> None:
        if self._ordinal(clause):
            return
        if clause.field is not None and clause.label is not None and self._field(clause):
            return
        nouns = find_nouns(clause, self.view)
        if not nouns:
            self._without_noun(clause)
            return
        if self._interprets(clause, nouns):
            return
        bounds = self._bounds(clause, nouns)
        for noun, (start, end) in zip(nouns, bounds, strict=True):
            self._piece(clause, noun, start, end, is_only=len(nouns) == 1)

    def _interprets(self, clause: Clause, nouns: list[Noun]) -> bool:
        """ "Features of a fibroadenoma." says what the finding before is; a cyst or node is then its kind."""
        lower = self.view.text.lower
        if self.last is None or not _INTERPRETS.match(lower, clause.start, nouns[0].start):
            return False
        if lesion_sizes(self.view, clause.start, clause.end) or self.view.clocks.within(clause.start, clause.end):
            return False
        first = nouns[0]
        if first.kind in ("cyst", "lymph_node") and self.last.get("kind") in ("mass", "asymmetry") and not _MAYBE.search(lower, clause.start, first.start):
            self.last.values["kind"] = Candidate(value=first.kind, words=((first.start, first.end),), rule="interpreted", confidence=0.85)
        return True

    def _bounds(self, clause: Clause, nouns: list[Noun]) -> list[tuple[int, int]]:
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

    def _piece(self, clause: Clause, noun: Noun, start: int, end: int, *, is_only: bool) -> None:
        lower = self.view.text.lower
        cut = lower[start:end]
        draft = self._new(clause, noun.start)
        draft.modality = self._modality(clause, start, end)
        draft.is_plural, draft.is_generic = noun.is_plural, noun.is_generic
        draft.is_linked = bool(_LINKED.search(cut))
        linked = _LINKED_TO.search(cut)
        if linked is not None and noun.kind == "mass":
            draft.links_to = "calcifications"
        draft.is_definite = noun.is_definite or bool(_PRONOUN_IS.search(lower[clause.start : noun.start]))
        draft.is_titled = noun.is_titled
        order = _ORDER_BEFORE.search(lower, clause.start, noun.start)
        draft.order = _ORDER[order["ordinal"]] if order else 0
        draft.values["kind"] = Candidate(
            value=noun.kind,
            words=((noun.start, noun.end),),
            rule="lesion" if noun.is_generic else "finding",
            confidence=0.75 if noun.is_generic else 0.95,
        )
        self._side(draft, clause, start, end)
        for part in self._several(draft, clause, start, end):
            self._take_pointed(part, clause, start)
            if noun.is_gone:
                self.gone.append(part)
                self._remove(part)
            elif not (_PROCEDURE.search(lower, start, noun.start) and (not part.is_specific or part.is_definite) and self.drafts):
                self._label(part, clause, start, end)
                self._score(part, clause, start, end, is_only=is_only)
                self._add(part)
                self._score_labels(part, start, end)

    def _score_labels(self, part: Draft, start: int, end: int) -> None:
        """ "Masses #1 and #2: BI-RADS 4C" scores both."""
        labels = self.view.labels.within(start, end)
        if len(labels) < 2 or "birads" not in part.values or part.get("finding_id") != labels[0].value:
            return
        if not _JOINED.fullmatch(self.view.text.lower, labels[0].end, labels[1].start):
            return
        for label in labels[1:]:
            self._scored(label, part.values["birads"], self.drafts[-1])

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
        if draft.is_plural and largest is None:
            parts = self._measured_list(draft, start, end)
            if parts:
                return parts
        for name, candidate in read_places(view, start, end).items():
            draft.fill(name, candidate)
        draft.fill("size_mm", size_candidate(lesion_sizes(view, start, end)))
        return [draft]

    def _measured_list(self, draft: Draft, start: int, end: int) -> list[Draft]:
        """ "2 further masses, 8 mm and 6 mm": as many findings as sizes where the count says so."""
        lower = self.view.text.lower
        sizes = lesion_sizes(self.view, start, end)
        count = _EXACT_COUNT.search(lower, max(0, draft.start - 60), draft.start)
        if len(sizes) < 2 or count is None or _NUMBERS.get(count[0]) != len(sizes):
            return []
        if not all(_JOINED.fullmatch(lower, one.end, other.start) for one, other in itertools.pairwise(sizes)):
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
            if len(whole) == 1 and (
                _BOTH_SCORED.search(lower[max(clause.start, whole[0].start - 20) : whole[0].end + 10])
                or (whole[0].start >= end and _PLAIN_LIST.fullmatch(lower, draft.values["kind"].words[0][1], whole[0].start))
            ):
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
        if (draft.is_plural or draft.get("kind") == "calcifications") and not draft.is_specific and _COUNTED.search(self.view.text.lower, max(0, draft.start - 60), draft.start):
            self.counted = draft
        self._replace_counted(draft)
        known = self._known(draft)
        if known is None:
            self.drafts.append(draft)
            self.last = draft
            return
        absorb(known, draft)
        self.last = known

    def _replace_counted(self, draft: Draft) -> None:
        """ "Two groups of calcifications. Group A: ... Group B: ...": the count is no finding beside those it counts."""
        counted = self.counted
        if counted is None or counted is draft or counted not in self.drafts or draft.get("kind") != counted.get("kind"):
            return
        is_child = draft.is_specific and not draft.is_plural and draft.sentence - counted.sentence <= 5 and draft.role is counted.role
        if is_child and _EXACT_COUNT.search(self.view.text.lower, max(0, counted.start - 60), counted.start):
            if "side" in counted.values and ("side" not in draft.values or draft.carries_side):
                draft.values["side"] = counted.values["side"]
            self.drafts.remove(counted)

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
        if last is None and self._implied(clause, read_places(view, clause.start, clause.end), bool(lesion_sizes(view, clause.start, clause.end))):
            return
        if clause.label is not None and (last is None or last.get("finding_id") != clause.label.value):
            self._scored_label(clause)
            return
        if last is None or last.role is not clause.role or (clause.sentence - last.sentence > 6 and clause.label is None):
            return
        cut = view.cut(clause)
        places = read_places(view, clause.start, clause.end)
        sizes = lesion_sizes(view, clause.start, clause.end)
        if self._implied(clause, places, bool(sizes)):
            return
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

    def _implied(self, clause: Clause, places: dict[str, Candidate], has_size: bool) -> bool:
        """ "Lump = 3h N4 irregular solid 17x15x14mm": a place, a size and a solid look are a mass without its noun."""
        last = self.last
        match = _SOLID.search(self.view.text.lower, clause.start, clause.end)
        if match is None or not has_size or not ("clock" in places or "quadrant" in places) or clause.role is Role.ADDENDUM:
            return False
        side = side_of(current_sides(self.view, clause.start, clause.end), "side", 0.9) or self._headed(clause)
        if last is not None and last.paragraph == clause.paragraph:
            is_same_clock = "clock" not in places or last.get("clock") in (None, places["clock"].value)
            is_same_side = side is None or last.get("side") in (None, side.value)
            if is_same_clock and is_same_side and "size_mm" not in last.values:
                return False
            if is_same_clock and is_same_side and last.get("clock") is not None:
                return False
        noun = Noun(kind="mass", start=match.start(), end=match.end(), is_generic=True)
        self._piece(clause, noun, clause.start, clause.end, is_only=True)
        return True

    def _headed(self, clause: Clause) -> Candidate | None:
        if clause.side is None:
            return None
        return Candidate(value=clause.side.value, words=((clause.side.start, clause.side.end),), rule="side_heading", confidence=0.9)

    def _scored_label(self, clause: Clause) -> None:
        """ "Finding 1: BI-RADS 3" in the impression scores the finding that the findings section labels so."""
        assert clause.label is not None
        score = category_candidate(self.view.categories.within(clause.start, clause.end), "category_of_label", 0.92)
        self._scored(clause.label, score, self._new(clause, clause.label.start))

    def _scored(self, label: LabelMention, score: Candidate | None, like: Draft) -> None:
        known = next((draft for draft in self.drafts if draft.get("finding_id") == label.value), None)
        if known is None and score is not None:
            known = replace(like, start=label.start, values={"finding_id": _label_candidate(label)}, flags=[])
            self.drafts.append(known)
        if known is not None:
            known.fill("birads", score)

    def _score_line(self, clause: Clause, last: Draft) -> None:
        """ "9:00 N+4: 8 mm mass. BI-RADS 4." is the row of a list: its place stands first and its category on its line."""
        lower = self.view.text.lower
        start = lower.rfind("\n", 0, clause.start) + 1
        if clause.role is Role.FINDINGS and start <= last.start and (
            _PLACE_FIRST.match(lower, start) or _HEAD_FIRST.match(lower, start) or self._is_only_item(lower, start, last)
        ):
            last.fill("birads", category_candidate(self.view.categories.within(clause.start, clause.end), "category_in_row", 0.85))

    def _is_only_item(self, lower: str, start: int, last: Draft) -> bool:
        """A list item of the findings that describes one finding."""
        stop = lower.find("\n", start)
        on_line = [draft for draft in self.drafts if start <= draft.start < (stop if stop >= 0 else len(lower))]
        return _ITEM_FIRST.match(lower, start) is not None and on_line == [last]

    def _continue(self, clause: Clause, cut: str, last: Draft, places: dict[str, Candidate], size: Candidate | None) -> None:
        is_labelled = clause.label is not None and last.get("finding_id") == clause.label.value
        if not is_labelled and (clause.paragraph != last.paragraph or not (_CONTINUES.match(cut) or self._describes(clause, cut, last, size))):
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

    def _describes(self, clause: Clause, cut: str, last: Draft, size: Candidate | None) -> bool:
        """A sentence without a noun right after the finding's, about nothing else, describes it on."""
        is_next = 0 <= clause.sentence - last.sentence <= 2
        return is_next and not _OTHER_SUBJECT.search(cut) and not (size is not None and "size_mm" in last.values and not _CONTINUES.match(cut))

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
    if own.links_to is not None and own.links_to == known.get("kind"):
        own.values.pop("kind", None)
        if "size_mm" in known.values:
            own.values.pop("size_mm", None)
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
