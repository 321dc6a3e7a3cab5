"""Reads the findings of one group of clauses: nouns with their facts, facts carried over sentences, what is denied or gone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from weakbox.extractors.grammar.breast import radiology_tables as tables
from weakbox.extractors.grammar.breast.radiology_drafts import Draft, agreement, has_place, take_fuller_size
from weakbox.extractors.grammar.breast.radiology_facts import (
    category_candidate,
    current_sides,
    lesion_sizes,
    read_places,
    side_of,
    size_candidate,
)
from weakbox.extractors.grammar.breast.radiology_keeper import MOST
from weakbox.extractors.grammar.breast.radiology_labels import LabelReader, is_subject, label_candidate
from weakbox.extractors.grammar.breast.radiology_nouns import NOTHING_REAL, Noun, find_nouns
from weakbox.extractors.grammar.breast.radiology_pieces import EXACT_COUNT
from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import Role

_LINKED = re.compile(
    r"\bcorrespond\w*|\bcorrelat\w*|\baccount(?:s|ing) for|\bmatch(?:es|ing)|\bequivalent\b|\bcounterpart\b|\bthis is the\b|"
    r"\b(?:in|at) the same (?:area|location|region|site|place|position|level)|\bat the site of the\b|\bknown\b"
)
_LINKED_TO = re.compile(
    r"\b(?:correspond\w*|correlat\w*|match\w*|account\w*|equivalent) (?:to |with |for )?(?:the |this |"
    r"these )(?:[a-z-]+ ){0,2}(?:micro|macro)?"
    r"calc(?:s|ifications?)\b"
)
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
    r"a further|one more|(?:the|that) one\b|the (?:other|second|third|smaller|larger))\b"
)
_PRONOUN_IS = re.compile(
    r"\b(?:it|this|these|they)\s+(?:is|are|represents?|corresponds? to|appears?(?: as| to be)?|measures?|proves? to be|has|have|"
    r"shows?)\b[^;.]{0,60}$"
)
_ORDINAL = re.compile(
    r"\W*(?:(?:the|a|one|and)\s+)?(?:(?P<ordinal>first|second|third|fourth|larger|smaller|largest|smallest|other|one|latter|former|"
    r"lateral|medial|upper|lower|remaining|dominant|1st|2nd|3rd)(?:\s+(?:one|of these|of them|lesion|mass|nodule|cyst|is|"
    r"lies|lying|at|in|measures|"
    r"measuring|which|located|situated|was|has)\b|\s*[,(:]|\s+\d)|(?P<noun>one|another)\s+(?:is|lies|at|in|measures|measuring|of)\b)"
)
_NEXT_ORDINAL = re.compile(
    r"(?:[,;]\s+(?:and\s+|while\s+|whereas\s+)?|\b(?:and|while|whereas)\s+)(?=the (?:smaller|larger|other|second|third|latter|"
    r"former|lateral|medial|"
    r"upper|lower|remaining)\b)"
)
_ORDER = {"first": 1, "1st": 1, "one": 1, "second": 2, "2nd": 2, "other": 2, "another": 2, "third": 3, "3rd": 3, "fourth": 4}
_ORDER_BEFORE = re.compile(r"\b(?P<ordinal>first|second|third|fourth|1st|2nd|3rd)\s+(?:[a-z-]+\s+){0,2}$")
_SAMPLED = re.compile(r"\b(?:biopsied|sampled|aspirated|clipped|cored|fna|biopsies? (?:were|was) (?:taken|performed|obtained))\b")
_TOTAL = re.compile(
    r"\W*(?:the |with an? |an )?(?:overall|total|combined|whole|entire|aggregate|maximum total)(?: [a-z]+){0,3}? (?:extent|span|"
    r"size|area|diameter|length|dimensions?|"
    r"distance)\b|\W*(?:taken )?together,? (?:these|the|they|all)\b|\W*(?:the )?(?:extent|span) of (?:all|both|the) (?:disease|"
    r"tumou?r|lesions|masses|findings)"
)
""" "Overall tumour extent including satellites 45 mm": of all that was described, of no single finding."""
_THE_OTHER = re.compile(r"\bthe (?:other|remaining|second) (?:[a-z-]+ ){0,2}$")
_CANCER = re.compile(r"(?:carcinomas?|cancers?|malignanc(?:y|ies)|dcis|idc|ilc)\b")
""" "Known cancer of the left breast, BI-RADS 6": the category of the breast."""
_SOLID = re.compile(r"\b(?:solid|spiculated|irregular|hypo-?echoic|lobulated|taller[- ]than[- ]wide|rim[- ]enhancing)\b")
_BREAST_BEFORE = re.compile(r"[,;] (?:left|right|both) breasts?(?: is)?[ :,-]{1,3}$")
_BOTH_SCORED = re.compile(r"\b(?:both|all|each)\b")
_PLAIN_LIST = re.compile(r"(?:(?!\bbi-?rads)[^;.:\d])*\band\b(?:(?!\bbi-?rads)[^;.\d])*")
_INTERPRETS = re.compile(
    r"\W*(?:(?:the |these |this |its |imaging |overall |sonographic |mammographic |ultrasound )*(?:features?|appearances?|"
    r"findings?|characteristics|morphology|"
    r"imaging|it|this|these|they|which)\s+(?:(?:is|are|would|may|could|might|be|all|most|strongly|is most|are most) )*(?:of|"
    r"suggest\w*|favou?rs?|consistent|compatible|in keeping|"
    r"typical|characteristic|represents?|indicat\w*|classic\w*|diagnostic|likely|probably|suspicious|concerning|raise\w*|"
    r"in favou?r|has|have)|consistent with|"
    r"compatible with|in keeping with|typical of|typical for|suspicious for|suggestive of|concerning for|most likely|likely|"
    r"probable|probably a|presumed|"
    r"features? of|appearances? of|c/w|s/o|\?)\b(?![^;.]*\b(?:left|right)\b)(?:[^;.:]{0,60})$"
)
_MAYBE = re.compile(r"\b(?:may|might|could|possib\w*|suspicious|concerning|\?)\b")
_PLACE_FIRST = re.compile(
    r"[ \t\W]*(?:\(?\d{1,2}[.)]\s+)?(?:(?:left|right|lt|rt|l|r)\b[.,:]?\s*(?:breast\b[,:]?\s*)?)?(?:at\s+)?(?:1[0-2]|[1-9])(?::[0-5]0|"
    r"\s?o'?\s?clock|h\b)"
)
_HEAD_FIRST = re.compile(
    r"[ \t\W]*(?:(?:left|right|lt|rt|l|r)\b[.,]?\s*(?:breast\s*)?)?(?:index |satellite |main |second |another |known |dominant |new )?"
    r"(?:lesion|mass|nodule|tumou?r|satellite|cyst|calcifications?|microcalcifications?|asymmetry|distortion|focus|nme|"
    r"non-?mass enhancement|"
    r"(?:lymph )?nodes?|cancer|fibroadenoma|finding|abnormality)\s*(?:\([^)\n]{0,20}\)\s*)?:"
)
_ITEM_FIRST = re.compile(r"[ \t]*(?:[-*\u2022]\s|\(?\d{1,2}[.)]\s)")
_POINTS = re.compile(
    r"\b(?:bb|marker|marks?|marked|lump|palpable|concern|site|area|scar|clips?|operative|lumpectomy|tenderness|pain|"
    r"thickening|symptom\w*)\b"
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


@dataclass(slots=True, kw_only=True)
class GroupReader(LabelReader):
    """Reads clauses in order; ``drafts`` holds what they describe, ``gone`` what they declare gone."""

    table: tables.TableHead | tables.SideHead | tables.LabelHead | None = None
    above: tables.RowSide = field(default_factory=tables.RowSide)
    pointed: Clause | None = None
    """The clause before, where it only says where to look ("A BB marks the lump in the upper outer quadrant")."""

    def read(self, clauses: Sequence[Clause]) -> None:
        """Read the clauses of one group."""
        for clause in clauses:
            if len(self.drafts) >= MOST:
                return
            if clause.is_row and self._row(clause):
                continue
            if not clause.is_row:
                self.table = None
            self.note_study(clause)
            self._clause(clause)
            self.carry(clause)
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
        if (
            pointed is None
            or draft.is_plural
            or pointed.paragraph != clause.paragraph
            or "clock" in draft.values
            or "quadrant" in draft.values
        ):
            return
        lower = self.view.text.lower
        if start != clause.start or not (_THERE.search(lower, clause.start, clause.end) or _SIZE_FIRST.match(lower, clause.start)):
            return
        sides = {side.value for side in current_sides(self.view, pointed.start, pointed.end)}
        if "side" in draft.values and sides and draft.get("side") not in sides and not draft.carries_side:
            return
        for name, candidate in read_places(self.view, pointed.start, pointed.end).items():
            draft.fill(name, candidate)

    def _row(self, clause: Clause) -> bool:
        labelled = tables.read_label_head(clause, self.view, self.new_draft(clause, clause.start))
        if labelled is not None:
            self.table = labelled
            self.drafts += labelled.drafts
            return True
        if isinstance(self.table, tables.LabelHead):
            tables.read_label_row(clause, self.view, self.table)
            return True
        head = tables.read_head(clause, self.view)
        if head is not None:
            self.table, self.above = head, tables.RowSide()
            return True
        sided = tables.read_side_head(clause, self.view)
        if sided is not None:
            self.table = sided
            return True
        if self.table is None:
            return False
        if isinstance(self.table, tables.SideHead):
            for part in tables.read_side_row(clause, self.view, self.table, self.new_draft(clause, clause.start)):
                self.add(part)
            return True
        draft = tables.read_row(clause, self.view, self.table, self.new_draft(clause, clause.start), self.above)
        if draft is not None:
            self.add(draft)
        return True

    def _ordinals(self, clause: Clause) -> bool:
        """ "The larger, 50 mm FN, measures 26 mm and the smaller 9 mm": each of the counted findings by itself."""
        cuts = [match.end() for match in _NEXT_ORDINAL.finditer(self.view.text.lower, clause.start, clause.end)]
        if not cuts:
            return self._ordinal(clause)
        edges = [clause.start, *cuts, clause.end]
        pieces = [replace(clause, start=start, end=end) for start, end in itertools.pairwise(edges)]
        if not all(_ORDINAL.match(self.view.text.lower, piece.start, piece.end) for piece in pieces):
            return self._ordinal(clause)
        read = [self._ordinal(piece) for piece in pieces]
        return any(read)

    def _ordinal(self, clause: Clause) -> bool:
        """ "The first, at 1:00, ... The second lies at 7:00 ..." after "Two masses": findings of the counted kind, one by one."""
        counted = self.counted
        if counted is None:
            return False
        match = _ORDINAL.match(self.view.text.lower, clause.start, clause.end)
        if (match is None and not self._is_counted_item(clause, counted)) or not (
            read_places(self.view, clause.start, clause.end) or lesion_sizes(self.view, clause.start, clause.end)
        ):
            return False
        draft = self.new_draft(clause, clause.start)
        draft.is_generic = counted.is_generic
        draft.values["kind"] = counted.values["kind"]
        draft.order = _ORDER.get(match["ordinal"] or match["noun"] or "", 0) if match else 0
        self.take_side(draft, clause, clause.start, clause.end)
        if "side" in counted.values and (draft.carries_side or "side" not in draft.values):
            draft.values["side"] = counted.values["side"]
        places = read_places(self.view, clause.start, clause.end)
        if "clock" not in places and "quadrant" not in places:
            for name in ("clock", "quadrant"):
                draft.fill(name, counted.values.get(name))
        for part in self.take_facts(draft, clause, clause.start, clause.end):
            self._score(part, clause, clause.start, clause.end, is_only=True)
            self.add(part)
        if counted in self.drafts and "size_mm" not in counted.values:
            self.drafts.remove(counted)
        return True

    def _is_counted_item(self, clause: Clause, counted: Draft) -> bool:
        """ "Three groups of calcifications: (1) upper outer, 6 mm ...": an item that names no kind of its own."""
        is_near = clause.role is counted.role and 0 < clause.sentence - counted.sentence <= _COUNTED_ITEMS
        opens = clause.marker is not None or _PLACE_FIRST.match(self.view.text.lower, clause.start) is not None
        return is_near and opens and not find_nouns(clause, self.view)

    def _clause(self, clause: Clause) -> None:
        if self.counted is not None and self._ordinals(clause):
            return
        if clause.field is not None and clause.label is not None and self._field(clause):
            return
        nouns = find_nouns(clause, self.view)
        if len(self.drafts) > 1 and _TOTAL.match(self.view.text.lower, clause.start, clause.end):
            return
        if self.together(clause, nouns):
            return
        if not nouns:
            self._without_noun(clause)
            return
        if self._interprets(clause, nouns):
            return
        bounds = self.bounds(clause, nouns)
        for noun, (start, end) in zip(nouns, bounds, strict=True):
            self._piece(clause, noun, start, end, is_only=len(nouns) == 1)

    def _interprets(self, clause: Clause, nouns: list[Noun]) -> bool:
        """ "Features of a fibroadenoma." says what the finding before is; a cyst or node is then its kind."""
        lower = self.view.text.lower
        if not _INTERPRETS.match(lower, clause.start, nouns[0].start):
            return False
        if lesion_sizes(self.view, clause.start, clause.end) or self.view.clocks.within(clause.start, clause.end):
            return False
        if self.last is None:
            return clause.role is Role.FINDINGS and any(
                find_nouns(before, self.view) for before in self.view.clauses if before.role is Role.FINDINGS and before.end <= clause.start
            )
        first = nouns[0]
        if (
            first.kind in ("cyst", "lymph_node")
            and self.last.get("kind") in ("mass", "asymmetry")
            and not _MAYBE.search(lower, clause.start, first.start)
        ):
            self.last.values["kind"] = Candidate(value=first.kind, words=((first.start, first.end),), rule="interpreted", confidence=0.85)
        return True

    def _piece(self, clause: Clause, noun: Noun, start: int, end: int, *, is_only: bool) -> None:
        lower = self.view.text.lower
        cut = lower[start:end]
        draft = self.new_draft(clause, noun.start)
        draft.modality = self.modality_of(clause, start, end)
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
        if _THE_OTHER.search(lower, start, noun.start) and not has_place_in(self.view, start, end):
            draft.is_definite = True
            if self._is_other(draft, clause, start, end):
                return
        self.take_side(draft, clause, start, end)
        for part in self.take_facts(draft, clause, start, end):
            self._take_pointed(part, clause, start)
            if noun.is_gone:
                self.gone.append(part)
                self.remove(part)
            elif not (self.drafts and self._is_sampled(part, noun, start, end)):
                self._label(part, clause, start, end)
                self._score(part, clause, start, end, is_only=is_only)
                self.add(part)
                self.score_labels(part, start, end)

    def _is_other(self, draft: Draft, clause: Clause, start: int, end: int) -> bool:
        """ "The other mass is BI-RADS 3": of the two that stand, the one not spoken of last."""
        others = [other for other in self.drafts if other is not self.last and other.get("kind") == draft.get("kind")]
        if len(others) != 1:
            return False
        self._score(draft, clause, start, end, is_only=True)
        others[0].fill("birads", draft.values.get("birads"))
        return True

    def _is_sampled(self, part: Draft, noun: Noun, start: int, end: int) -> bool:
        """Whether the words tell of a procedure on what was described before it."""
        lower = self.view.text.lower
        if _PROCEDURE.search(lower, start, noun.start) and (not part.is_specific or part.is_definite):
            return True
        return not part.is_specific and (part.is_plural or part.is_definite) and _SAMPLED.search(lower, noun.end, end) is not None

    def _label(self, draft: Draft, clause: Clause, start: int, end: int) -> None:
        own = [label for label in self.view.labels.within(start, end) if is_subject(self.view, label, clause)]
        label = own[0] if own else clause.label if clause.label is not None and self._belongs(draft, clause) else None
        if label is not None:
            draft.values["finding_id"] = label_candidate(label)

    def _belongs(self, draft: Draft, clause: Clause) -> bool:
        """Whether an unlabelled noun is the labelled block's finding: the block's first one, or one that is spoken of again."""
        assert clause.label is not None
        known = next((other for other in self.drafts if other.get("finding_id") == clause.label.value), None)
        if known is None or agreement(known, draft) is None:
            return known is None
        if "kind" not in known.values:
            return True
        is_on_line = "\n" not in self.view.text.text[clause.label.end : clause.start] or (
            known.is_generic and clause.sentence - known.sentence == 1
        )
        return draft.is_definite or (is_on_line and (not draft.is_specific or not has_place(draft) or known.is_generic))

    def _score(self, draft: Draft, clause: Clause, start: int, end: int, *, is_only: bool) -> None:
        mentions = self.view.categories.within(start, end)
        if draft.is_generic and not draft.is_specific and draft.role is Role.IMPRESSION and "side" in draft.values:
            described = self.view.text.lower[max(start, draft.start - 70) : draft.start]
            is_vague = clause.side is not None and not (EXACT_COUNT.search(described) or _SOLID.search(described))
            if is_vague or _CANCER.match(self.view.text.lower, draft.start):
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
        mentions = [mention for mention in mentions if not self._is_of_breast(clause, mention.start)]
        mentions = [mention for mention in mentions if not self._is_of_cancer(start, mention.start, kind[0])]
        side = draft.get("side")
        draft.fill("birads", category_candidate([mention for mention in mentions if mention.side in (None, side)], "category", 0.95))

    def _is_of_breast(self, clause: Clause, start: int) -> bool:
        """ "Right breast lesions as above, right breast BI-RADS 5": the breast is named again for its category."""
        match = _BREAST_BEFORE.search(self.view.text.lower, max(clause.start, start - 24), start)
        return match is not None and bool(current_sides(self.view, clause.start, match.start()))

    def _is_of_cancer(self, start: int, mention: int, noun: int) -> bool:
        """ "Right breast carcinoma (BI-RADS 6) with satellite nodules": the category of what stands before it."""
        return mention < noun and any(hit.label == "cancer" for hit in self.view.nouns.within(start, mention))

    def _without_noun(self, clause: Clause) -> None:
        view, last = self.view, self.last
        if last is None and self._implied(
            clause, read_places(view, clause.start, clause.end), bool(lesion_sizes(view, clause.start, clause.end))
        ):
            return
        if self.score_after(clause):
            return
        if clause.label is not None and (last is None or last.get("finding_id") != clause.label.value):
            self.scored_label(clause)
            return
        if last is None and self.score_place(clause, read_places(view, clause.start, clause.end)):
            return
        if last is None or last.role is not clause.role or (clause.sentence - last.sentence > 6 and clause.label is None):
            return
        cut = view.cut(clause)
        places = read_places(view, clause.start, clause.end)
        sizes = lesion_sizes(view, clause.start, clause.end)
        if self._implied(clause, places, bool(sizes)):
            return
        if not sizes and self.score_place(clause, places):
            return
        if not places and not sizes and clause.label is None:
            self._score_line(clause, last)
            return
        if _ANOTHER.match(cut) and NOTHING_REAL.match(cut):
            return
        if _ANOTHER.match(cut) and (places or sizes):
            draft = self.new_draft(clause, clause.start)
            draft.values["kind"] = last.values["kind"]
            self.take_side(draft, clause, clause.start, clause.end)
            draft.fill("side", last.values.get("side"))
            for part in self.take_facts(draft, clause, clause.start, clause.end):
                self._score(part, clause, clause.start, clause.end, is_only=True)
                self.add(part)
            return
        self._continue(clause, cut, last, places, size_candidate(sizes))

    def _implied(self, clause: Clause, places: dict[str, Candidate], has_size: bool) -> bool:
        """ "Lump = 3h N4 irregular solid 17x15x14mm": a place, a size and a solid look are a mass without its noun."""
        last = self.last
        match = _SOLID.search(self.view.text.lower, clause.start, clause.end)
        is_recalled = clause.role is Role.IMPRESSION and "clock" in places
        if (
            match is None
            or not (has_size or is_recalled)
            or not ("clock" in places or "quadrant" in places)
            or clause.role is Role.ADDENDUM
        ):
            return False
        side = side_of(current_sides(self.view, clause.start, clause.end), "side", 0.9) or self.headed_side(clause)
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

    def _score_line(self, clause: Clause, last: Draft) -> None:
        """ "9:00 N+4: 8 mm mass. BI-RADS 4." is the row of a list: its place stands first and its category on its line."""
        lower = self.view.text.lower
        start = lower.rfind("\n", 0, clause.start) + 1
        before = lower.rfind("\n", 0, max(0, start - 1)) + 1
        following = lower[lower.find("\n", clause.end) + 1 :] if lower.find("\n", clause.end) >= 0 else ""
        is_listed = _SCORE_FIRST.match(lower, start) and (
            _PLACE_FIRST.match(following) or _HEAD_FIRST.match(following) or _ITEM_FIRST.match(following)
        )
        if is_listed and start - before > _WRAPPED and before <= last.start < start and clause.paragraph == last.paragraph:
            start = before
        if (
            clause.role is Role.FINDINGS
            and start <= last.start
            and (_PLACE_FIRST.match(lower, start) or _HEAD_FIRST.match(lower, start) or self._is_only_item(lower, start, last))
        ):
            last.fill("birads", category_candidate(self.view.categories.within(clause.start, clause.end), "category_in_row", 0.85))

    def _is_only_item(self, lower: str, start: int, last: Draft) -> bool:
        """A list item of the findings that describes one finding."""
        stop = lower.find("\n", start)
        on_line = [draft for draft in self.drafts if start <= draft.start < (stop if stop >= 0 else len(lower))]
        return _ITEM_FIRST.match(lower, start) is not None and on_line == [last]

    def _continue(self, clause: Clause, cut: str, last: Draft, places: dict[str, Candidate], size: Candidate | None) -> None:
        is_labelled = clause.label is not None and last.get("finding_id") == clause.label.value
        if not is_labelled and (
            clause.paragraph != last.paragraph or not (_CONTINUES.match(cut) or self._describes(clause, cut, last, size))
        ):
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
            take_fuller_size(last, size)
        if is_labelled:
            last.fill("birads", category_candidate(self.view.categories.within(clause.start, clause.end), "category_in_block", 0.9))

    def _describes(self, clause: Clause, cut: str, last: Draft, size: Candidate | None) -> bool:
        """A sentence without a noun right after the finding's, about nothing else, describes it on."""
        is_next = 0 <= clause.sentence - last.sentence <= 2
        return (
            is_next and not _OTHER_SUBJECT.search(cut) and not (size is not None and "size_mm" in last.values and not _CONTINUES.match(cut))
        )

    def _field(self, clause: Clause) -> bool:
        """A field of the labelled block above it ("Size: 8 mm")."""
        if clause.label is None or clause.field in (None, "other", "label"):
            return False
        label = label_candidate(clause.label)
        draft = next((other for other in self.drafts if other.get("finding_id") == label.value), None)
        if draft is None:
            draft = self.new_draft(clause, clause.label.start)
            draft.values["finding_id"] = label
            if clause.side is not None:
                draft.values["side"] = Candidate(
                    value=clause.side.value, words=((clause.side.start, clause.side.end),), rule="side_heading", confidence=0.94
                )
            self.drafts.append(draft)
        tables.read_cell(draft, clause.field, "", (clause.start, clause.end), self.view)
        self.last = draft
        return True


_COUNTED_ITEMS = 8
"""So many sentences after a count its items still follow."""


def has_place_in(view: View, start: int, end: int) -> bool:
    """Whether ``start:end`` places or measures a finding."""
    return bool(read_places(view, start, end) or lesion_sizes(view, start, end))


_STOP = re.compile(r"\.\s+[a-z]{2}")
_SCORE_FIRST = re.compile(r"\W*(?:bi-?rads|category)\b")
_WRAPPED = 50
"""A line of this length may have been cut only because it was full."""


def _between(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """The stretch between two places of the text."""
    return (min(first[1], second[1]), max(first[0], second[0]))
