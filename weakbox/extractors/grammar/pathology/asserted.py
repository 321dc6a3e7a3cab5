"""What a pathology report says without asserting it of this case: relatives, hypotheses, criteria, absent grades, printed keys.

Scope and triggers are the text layer's (``weakbox.text.assertion``); pathology adds the ways in which a grade is
spoken of without being given ("were it cancer it would be Gleason 3+3=6", "men with Gleason 6").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from weakbox.extractors.grammar.pathology.facts import TextRange, lower_case
from weakbox.records.stated import Assertion
from weakbox.text.assertion import assertion_triggers

_GRADE = (
    r"(?:\b(?:gleason|GS|grade\s+group|GG|isup)(?:\b|(?=\d))[^.;,\n\d]{0,25}\d(?:\s*\+\s*\d)?(?:\s*=\s*\d{1,2})?"
    r"|(?<![\d.,+])\d\s*\+\s*\d(?:\s*=\s*\d{1,2})?)"
)
_TARGET = re.compile(rf"(?P<grade>{_GRADE})|\b(?:adeno)?(?:carcinoma|cancer|malignan\w+|tumou?r|neoplas\w+)\b", re.IGNORECASE)
_CUE = re.compile(
    r"\b(?:father|brother|uncle|grand-?(?:father|dad)|cousin|son|dad|twin|family|famil\w+|relatives?|paternal|maternal|mother|sister"
    r"|criteria|if|unless|would|could|might|were\s+it|had\s+(?:it|this|the)|in\s+case|should\s+(?:the|there|a|any|this|it)|hypothetical\w*"
    r"|for\s+(?:example|instance)|e\.g|(?:men|patients|those|cases|tumou?rs)\s+with|(?:risk|probability|likelihood|chance)\s+of"
    r"|defined\s+as"
    r"|eligib\w+|threshold|nomogram|not|no|without|never|absence|lacks?|negative\s+for|neither|nor)\b"
)
"""Over lower-case text."""
_HYPOTHESIS = re.compile(
    r"\b(?:were\s+(?:it|this|the\s+\w+)\s|(?:would|could|might)\s+(?:(?:then|at most|have|only|still|otherwise|best|probably|likely)\s+)*"
    r"(?:been|be|correspond\w*|qualif\w+|amount|represent|translate|equate|yield|give|receive|score|fall|warrant|make|require)"
    r"|had\s+(?:it|this|the\s+\w+)\s+been|hypothetical\w*|for\s+(?:example|instance)|e\.g"
    r"|if\s+(?:this|it|the|a|any|present|confirmed|malignant|carcinoma|cancer|tumou?r|psa|there|treated|untreated|graded|interpreted"
    r"|considered)"
    r"|criteria\s+for|in\s+case\s+of|unless|defined\s+as)\b",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(
    r"\b(?:(?:men|patients|those|cases|tumou?rs)\s+with|(?:risk|probability|likelihood|chance)\s+of|eligib\w+\s+\w+|threshold\s+(?:of"
    r"|for|is)"
    r"|nomogram\s+\w+)\s+[^.,;()\n]{0,60}?(?=" + _GRADE + r")" + _GRADE,
    re.IGNORECASE,
)
_ABSENT_BETWEEN = re.compile(
    r"\s*(?:(?:evidence|signs?|features?|criteria|component|areas?|foc\w+|patterns?|of|for|a|an|any|the|definite|convincing|high|low"
    r"|grade|higher"
    r"|score|as|graded|group|adenocarcinoma|carcinoma|cancer|prostatic|acinar|tumou?r|with|diagnostic|meet\w*|reach\w*|qualify"
    r"|amount(?:ing)?|to"
    r"|gleason|isup|consistent|is|are|was|were|been|be|assigned|identified|or)\b\s*)*",
    re.IGNORECASE,
)
_ABSENT_AFTER = re.compile(
    r"\s*(?:\([^()\n]{1,20}\)\s*)?(?:(?:is|are|was|were|has\s+been|have\s+been)\s+)(?:not|nowhere|never)\s+(?:\w+\s+)?(?:seen"
    r"|identified|present|found"
    r"|met|reached|fulfilled|detected|confirmed|appropriate|justified|warranted|assigned)",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[,;()]")
_MOST_BEFORE = 40
_LONGEST_SENTENCE = 400
_FAMILY_ENDS = re.compile(r";|\.\s|\n|\b(?:but|the\s+patient|now|current(?:ly)?|he\s+(?:himself\s+)?(?:now\s+)?has)\b", re.IGNORECASE)
_BOUNDARY = re.compile(r"\n|[.!?](?=\s+[A-Z(\d\"'])|[.!?]\s*$|;\s")
_RELATIVES = re.compile(
    r"\b(?:cousins?|sons?|dad|twin|relatives?|familial)\b[^.;\n]{0,60}?(?=\b(?:gleason|cancer|carcinoma|grade)\b|\d\s*\+)", re.IGNORECASE
)


def unasserted(text: str) -> list[TextRange]:
    """Stretches of ``text`` whose grades and cancers are not said of this case, in order."""
    ranges: list[TextRange] = list(_printed_keys(text))
    reached = 0
    for cue in _CUE.finditer(lower_case(text)):
        if cue.start() < reached:
            continue
        start, end = _sentence(text, cue.start())
        reached = end
        if _TARGET.search(text, start, end):
            ranges += _of_sentence(text, start, end)
    return sorted(ranges)


def _sentence(text: str, position: int) -> TextRange:
    low = max(0, position - _LONGEST_SENTENCE)
    start = max((match.end() for match in _BOUNDARY.finditer(text, low, position)), default=low)
    stop = _BOUNDARY.search(text, position, position + _LONGEST_SENTENCE)
    return start, stop.start() if stop else min(len(text), position + _LONGEST_SENTENCE)


def _of_sentence(text: str, start: int, end: int) -> Iterator[TextRange]:
    hypothesis = _HYPOTHESIS.search(text, start, end)
    if hypothesis is not None:
        yield _start_of_hypothesis(text, start, hypothesis.start()), end
    relative = _RELATIVES.search(text, start, end)
    if relative is not None:
        yield _from(text, start, relative.start()), _end_of_family(text, relative.end(), end)
    for match in _OF_OTHERS.finditer(text, start, end):
        is_whole = _from(text, start, match.start()) == start
        stop = _CLAUSE_END.search(text, match.end(), end)
        yield (start, end) if is_whole else (match.start(), stop.start() if stop else end)
    sentence = text[start:end]
    for target in _TARGET.finditer(text, start, end):
        for assertion, hit in assertion_triggers(sentence, target.start() - start, target.end() - start):
            first, last = start + hit.start, start + hit.end
            if assertion is Assertion.FAMILY and hit.start < target.start() - start:
                yield _from(text, start, first), _end_of_family(text, target.end(), end)
            elif assertion is Assertion.ABSENT and target["grade"] and _is_absent(text, first, last, target):
                yield target.span()
        absent = _ABSENT_AFTER.match(text, target.end(), end) if target["grade"] else None
        if absent is not None:
            yield target.start(), absent.end()


def _from(text: str, start: int, cue: int) -> int:
    """The start of the sentence, where only a few words without a finding stand before the cue."""
    return (
        start if cue - start <= _MOST_BEFORE and not re.search(r"[,;:]", text[start:cue]) and not _TARGET.search(text, start, cue) else cue
    )


def _is_absent(text: str, first: int, last: int, target: re.Match[str]) -> bool:
    """A denial that reaches the grade itself, not another feature of the same sentence."""
    return last <= target.start() and _ABSENT_BETWEEN.fullmatch(text, last, target.start()) is not None


def _start_of_hypothesis(text: str, start: int, cue: int) -> int:
    """A grade just before the condition ("Gleason 4+4 would be required") belongs to it."""
    near = [
        match.start()
        for match in re.finditer(_GRADE, text[start:cue], re.IGNORECASE)
        if not re.search(r"[,;(]", text[start + match.end() : cue])
    ]
    return start + near[-1] if near and cue - start - near[-1] < 40 else cue


def _end_of_family(text: str, position: int, end: int) -> int:
    stop = _FAMILY_ENDS.search(text, position, end)
    return stop.start() if stop else end


_KEY_ENTRY = re.compile(
    r"\b(?:(?:isup\s+|who\s+)?grade(?:\s+groups?)?|GG|isup)\s*(?P<group>[1-5])\b[^\n;]{0,12}?(?:gleason|score|[<≤]|\d\s*\+|[=:(-])"
    r"|(?:(?<=key:)|[;\n])\s*(?P<bare>[1-5])\s*[,:=-]\s*gleason",
    re.IGNORECASE,
)
_MAY_HOLD_A_KEY = re.compile(r"(?:group|grade|GG|ISUP|[;:,|/\n])\s*5\b", re.IGNORECASE)
_LETTER_KEY = re.compile(
    r"(?=[A-Z])(?:\b[A-Z]{1,2}\s*[=:-]?\s*(?i:right|left|base|mid(?:gland)?|apex|lateral|medial|anterior|posterior|transition|peripheral|target)"
    r"(?:\s+zone)?\s*[,;.]\s*){3,}"
)
"""What the letters of a biopsy map mean: "R right, L left; B base, M mid, A apex."."""
_BARE_KEY = re.compile(
    r"(?:\b(?:isup|who|gg|grade\s+groups?|gleason\s+grade\s+groups?|legend|key"
    r"|grades?)\W{0,3}){0,3}(?:\b|(?<=GG))1\s*[=:][^\n]{0,24}?[;,|/]\s*(?:GG\s*)?2\s*[=:]"
    r"[^\n]{0,24}?[;,|/]\s*(?:GG\s*)?3\s*[=:][^\n]{0,24}?[;,|/]\s*(?:GG\s*)?4\s*[=:][^\n]{0,40}?[;,|/]\s*(?:GG\s*)?5\s*[=:][^\n]*",
    re.IGNORECASE,
)
"""A key on one line whose groups are bare numbers: "grade group 1 = 3+3; 2 = 3+4; ..."."""
_MOST_BETWEEN = 70


def _printed_keys(text: str) -> Iterator[TextRange]:
    """Tables of what the grade groups mean: the groups 1 to 5 one after the other."""
    run: list[re.Match[str]] = []
    for key in _LETTER_KEY.finditer(text):
        yield key.span()
    if not _MAY_HOLD_A_KEY.search(text):
        return
    for key in _BARE_KEY.finditer(text):
        yield key.span()
    for entry in _KEY_ENTRY.finditer(text):
        group = int(entry["group"] or entry["bare"])
        is_next = run and group == len(run) + 1 and entry.start() - run[-1].end() <= _MOST_BETWEEN
        run = [*run, entry] if is_next else [entry] if group == 1 else []
        if len(run) == 5:
            stop = _BOUNDARY.search(text, entry.end())
            yield run[0].start(), stop.start() if stop else len(text)
            run = []
