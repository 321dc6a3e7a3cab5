"""The sentences of a breast imaging report: wrapped lines joined, one-line reports cut at their headings and full stops."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

from weakbox.text.sentences import Sentence, UnitKind

HEADED = re.compile(r"[a-z][a-z0-9 #/()&+-]{0,30}:(?!\d)")
_INNER_HEAD = re.compile(
    r"(?<=[a-z\d)] )(?=(?:size|type|location|dimensions?)\s?:\s)|(?<=[.;,)] )(?=(?:left|right|lt|rt|l|r|mmg|uss?|mammo\w*|"
    r"ultrasound|axilla(?:e)?)(?: breast)?\s?:(?!\d)\s*"
    r"(?!(?:bi-?rads|cat\w*|acr)?\W*(?:[0-6]|none)\b))"
)
_SCORE_LIST = re.compile(r"bi-?rads|categor|assessment|\bcode\b|\bacr\b|densit")


def _split_at_heads(lower: str, sentences: list[Sentence]) -> list[Sentence]:
    """ "MMG: composition c. L: ... R: NAD." on one line is as many sentences as it has heads of a side or study."""
    pieces: list[Sentence] = []
    for sentence in sentences:
        if sentence.kind is UnitKind.ROW or ":" not in lower[sentence.start : sentence.end]:
            pieces.append(sentence)
            continue
        cuts = [
            match.start()
            for match in _INNER_HEAD.finditer(lower, sentence.start + 1, sentence.end)
            if not _SCORE_LIST.search(lower, max(sentence.start, match.start() - 40), match.start())
            and ":" not in lower[max(sentence.start, match.start() - 2) : match.start()]
        ]
        if not cuts:
            pieces.append(sentence)
            continue
        edges = [sentence.start, *cuts, sentence.end]
        pieces += [
            replace(
                sentence,
                start=start,
                end=start + len(lower[start:end].rstrip(" ,;(")),
                kind=sentence.kind if start == sentence.start else UnitKind.SENTENCE,
            )
            for start, end in itertools.pairwise(edges)
            if lower[start:end].strip(" ,;(")
        ]
    return pieces


_LETTER_STOP = re.compile(
    r"(?:\bacr|density|category|\btype|composition|bi-?rads|tissue|pattern)\s*[:=(-]?\s*[a-d]\.\s+(?=\w)|"
    r"\b[lr]\.\s+(?=bi-?rads)",
    re.IGNORECASE,
)
""" "Composition ACR B. The opacity ...": the letter is no initial."""
_LOW_STOP = re.compile(r"(?<=[A-Za-z)\d])\.\s+(?=[a-z\d])")
_SHORT_WORD = re.compile(
    r"(?:\b(?:approx|ca|vs|e\.?g|i\.?e|no|nr|dr|lt|rt|sup|inf|lat|med|resp|max|incl|fig|prev|susp|prob|poss|bilat|st|circ|int|ext|palp|"
    r"calc|microcalc|asym|arch|horiz|vert|irreg|hypo|hetero|homog|indet|assoc|diam|meas|mod|mult|sev|sl|min|mamm|sono|ant|post|"
    r"circumscr|spic|echo|enh|abn|nl|cont|compl|def|dist|loc|quad|vasc)|\b[a-z])\.$",
    re.IGNORECASE,
)


def _split_low(text: str, sentences: list[Sentence]) -> list[Sentence]:
    """Where a report writes without capitals, a full stop ends a sentence all the same."""
    pieces: list[Sentence] = []
    for sentence in sentences:
        cuts: list[int] = []
        if sentence.kind is not UnitKind.ROW and ". " in text[sentence.start : sentence.end]:
            cuts = [
                match.end()
                for match in _LOW_STOP.finditer(text, sentence.start, sentence.end)
                if not _SHORT_WORD.search(text[max(sentence.start, match.start() - 9) : match.start() + 1])
            ]
            cuts = sorted({*cuts, *(match.end() for match in _LETTER_STOP.finditer(text, sentence.start, sentence.end))})
        if not cuts:
            pieces.append(sentence)
            continue
        edges = [sentence.start, *cuts, sentence.end]
        pieces += [
            replace(
                sentence,
                start=start,
                end=start + len(text[start:end].rstrip()),
                kind=sentence.kind if start == sentence.start else UnitKind.SENTENCE,
            )
            for start, end in itertools.pairwise(edges)
        ]
    return pieces


_UNFINISHED = re.compile(r"(?:[,(/+]|\b(?:and|or|of|the|a|an|at|in|with|from|to|x|is|measuring|approximately|left|right)|\d)$")
_UNIT_START = re.compile(r"(?:mm|cm|o'?\s?clock|c?m?fn|from (?:the )?nipple|x\s?\d|n\s?\+\s?\d)\b", re.IGNORECASE)
_NIPPLE_START = re.compile(r"(?:c?m?fn|n\s?\+\s?\d+)\b", re.IGNORECASE)
_LONGEST = 1200


def _shortened(sentences: list[Sentence]) -> list[Sentence]:
    """A sentence longer than any that people write (a lost line end) is cut, so that no pattern walks far."""
    pieces: list[Sentence] = []
    for sentence in sentences:
        if sentence.end - sentence.start <= _LONGEST:
            pieces.append(sentence)
            continue
        starts = range(sentence.start, sentence.end, _LONGEST)
        pieces += [replace(sentence, start=start, end=min(start + _LONGEST, sentence.end)) for start in starts]
    return pieces


def _joined(text: str, sentences: list[Sentence], *, is_small: bool) -> list[Sentence]:
    """Sentences cut by a line end in the middle of a phrase are one; ``is_small`` says that the text has no capitals."""
    joined: list[Sentence] = []
    for sentence in sentences:
        last = joined[-1] if joined else None
        if last is not None and _goes_on(text, last, sentence, is_small=is_small):
            joined[-1] = replace(last, end=sentence.end, line=sentence.line)
        else:
            joined.append(sentence)
    return joined


def _goes_on(text: str, last: Sentence, sentence: Sentence, *, is_small: bool) -> bool:
    """Whether a sentence continues the one before on a new line: cut in a phrase, in lower case, or after a full line."""
    if sentence.kind is not UnitKind.SENTENCE or last.kind is UnitKind.ROW or sentence.paragraph != last.paragraph:
        return False
    opening = text[sentence.start : sentence.start + 40]
    if last.line == sentence.line:
        return opening[0].islower() and _SHORT_WORD.search(text[max(last.start, last.end - 10) : last.end]) is not None
    if text[last.end - 1] == ":" and _PLACE_TITLE.fullmatch(text, last.start, last.end):
        return _wraps(text, last.end, sentence.start)
    if _SCORE_OPENS.match(opening) and _AWAITS_SCORE.search(text, max(last.start, last.end - 16), last.end):
        return _wraps(text, last.end, sentence.start)
    if text[last.end - 1] in ".:;!?":
        return False
    if HEADED.match(opening.lower()) or _PLACE_OPENS.match(opening.lower()) or _LIST_OPENS.match(opening):
        return False
    tail = text[max(last.start, last.end - 16) : last.end]
    if _NIPPLE_START.match(opening) and _PLACE_ENDS.search(tail):
        return True
    if _UNFINISHED.search(tail.lower()) and (not tail[-1].isdigit() or _UNIT_START.match(text, sentence.start)):
        return True
    if opening[0] == "(" and opening[1:2].islower():
        return True
    line_start = text.rfind("\n", 0, last.end) + 1
    if opening[0].islower() and not _LOWER_LIST.match(opening) and not _SCORE_OPENS.match(opening):
        return not is_small or last.end - line_start >= _FULL_LINE
    stop = text.find("\n", sentence.start)
    following = text[sentence.start : stop if stop >= 0 else len(text)].rstrip()
    if len(following) <= _TITLE_LENGTH and following[-1:].isalnum():
        return False
    is_capitals = _is_in_capitals(text[line_start : last.end]) and _is_in_capitals(opening) and opening[0].isalpha()
    is_full = last.end - line_start >= _FULL_LINE and not (_LISTED_PLACE.match(text, line_start) and _NEXT_REGION.match(opening))
    return is_capitals and is_full and _wraps(text, last.end, sentence.start)


_LISTED_PLACE = re.compile(r"[ \t]*(?:(?:left|right|l|r)\b\.?[ ]?)?(?:1[0-2]|[1-9])(?::[0-5]\d|h\b|\s?o'?\s?clock)", re.IGNORECASE)
_NEXT_REGION = re.compile(
    r"(?:axilla\w*|nipples?|skin|lymph nodes?|nodes|both|bilateral|conclusion|opinion|comment|"
    r"advice)\b",
    re.IGNORECASE,
)
""" "3H NODULE 8X5 MM" and on the next line "AXILLA NORMAL": a list."""


def _is_in_capitals(line: str) -> bool:
    """Nearly all letters are capitals."""
    return sum(map(str.isupper, line)) > 4 * sum(map(str.islower, line))


_TITLE_LENGTH = 24
_FULL_LINE = 36
"""From this length a line in capitals without a full stop goes on in the next."""


def _wraps(text: str, end: int, start: int) -> bool:
    """Only a line end lies between."""
    return text[end:start].count("\n") == 1 and not text[end:start].strip()


_PLACE_TITLE = re.compile(
    r"(?:(?:left|right|l|r)\b,? (?:breast,? )?)?(?:at )?(?:1[0-2]|[1-9])(?::\d\d|\s?o'?\s?clock|h)\b[^.;\n]{0,30}:|"
    r"(?:left|right)\b[^.;:\n]{0,30}\bquadrant\b[^.;:\n]{0,20}:",
    re.IGNORECASE,
)
""" "Left 1:30, 6 cm FN:" awaits what lies there."""
_PLACE_ENDS = re.compile(r"(?:o'?\s?clock|:\d\d|\dh|position)$", re.IGNORECASE)
_SCORE_OPENS = re.compile(r"\W{0,2}(?:bi-?rads?|category)\b", re.IGNORECASE)
_AWAITS_SCORE = re.compile(r"(?:[,(=-]|\b(?:breasts?|side|left|right|is|assessment|final|overall|acr|category))$", re.IGNORECASE)
_PLACE_OPENS = re.compile(r"(?:(?:left|right|lt|rt|l|r)\b|at |\d{1,2}(?::\d\d| ?o'? ?cl))")
_LIST_OPENS = re.compile(r"(?:[a-z]|i{1,3}|iv|\d{1,2})[.)] ")
_LOWER_LIST = re.compile(r"(?:[a-z][.)]|[a-z]{1,12}:)")


def report_sentences(text: str, lower: str, sentences: list[Sentence]) -> list[Sentence]:
    """The units of a section as this kind of report needs them; ``lower`` is ``text`` in lower case."""
    return _shortened(_split_at_heads(lower, _split_low(text, _joined(text, sentences, is_small=text == lower))))
