"""How the words of a report are printed: rules, dot leaders, misread letters, short wrapped lines, capitals that are missing.

Every function keeps the offsets.
"""

from __future__ import annotations

import re

_RULE_LINE = re.compile(r"(?:(?:^|(?<=\n))[ \t]*[-_=.*~#]{4,}|[ \t][-_=*~#]{8,})[ \t]*(?=\n|$)|[ \t][-_=*~#]{24,}(?=[ \t])")
_LEADERS = re.compile(r"[ \t]?(?:\.{3,}|(?:\. ){3,}|_{3,}|-{4,})")
_MAYBE_MISREAD = re.compile(r"[A-Za-z][01][A-Za-z]|[A-Z]l[A-Z]")
_MISREAD = re.compile(
    r"(?<![A-Za-z\d])(?:[a-z]{2,}[01][a-z]{2,}|[A-Z]{2,}[0l1][A-Z]{2,}|[A-Z][a-z]{2,}[01][a-z]{2,}|[A-Z][0l1][A-Z]{4,})(?![A-Za-z\d])"
)
_HER_2 = re.compile(r"\b([Hh][Ee][Rr]) (?=2(?:[ :/(,.]|\s*neu))")


def plain_print(text: str) -> str:
    """The text with dot leaders as a colon and digits that a scanner put into words as letters; offsets stay."""
    if "----" in text or "====" in text or "____" in text or "****" in text:
        text = _RULE_LINE.sub(lambda match: "\n\n" + " " * (len(match[0]) - 2), text)
    if "..." in text or ". . ." in text or "---" in text or "___" in text:
        text = _LEADERS.sub(lambda match: ":" + " " * (len(match[0]) - 1), text)
    if "her 2" in text.lower():
        text = _HER_2.sub(r"\1-", text)
    if text.islower():
        text = _with_capitals(text)
    if _MAYBE_MISREAD.search(text) is None:
        return text
    return _MISREAD.sub(lambda match: _as_word(match[0]), text)


def unwrapped(text: str) -> str:
    """The text with short lines that go on below joined by a space."""
    lines = text.split("\n")
    marks = ["\n"] * len(lines)
    for index in range(len(lines) - 1):
        if _goes_on(lines[index], lines[index + 1]):
            marks[index] = " "
    return "".join(f"{line}{mark}" for line, mark in zip(lines, marks, strict=True))[:-1]


def _goes_on(line: str, following: str) -> bool:
    """Whether a line of words goes on below: in small letters, after a word that needs another, or within brackets."""
    if len(line) < _SHORTEST_OPEN or not following.strip() or not line.strip():
        return False
    if "(" in line and _OPEN_BRACKET.search(line) and _CLOSES.match(following):
        return True
    if len(line) < _SHORTEST_LINE or _COLUMNS.search(line):
        return False
    words = line.rstrip(" \t")
    if words[-1] not in ".:;?!-" and len(words.lstrip()) >= _SHORTEST_PROSE and _SMALL.match(following) and _CAPITAL.search(line):
        return True
    if len(words) >= _SHORTEST_FULL and _IS_OPEN.search(words) and _IS_NO_ITEM.match(following):
        return True
    return _NEEDS_MORE.search(words) is not None and _IS_MORE.match(following) is not None


_SHORTEST_OPEN = 13
_SHORTEST_FULL = 55
_IS_OPEN = re.compile(r"[a-z,][ ](?:and|or|of|with|the|for|in|by|from|to|a|an)$")
_IS_NO_ITEM = re.compile(r"[ \t]*(?![-*•>]|\(?(?:[A-Za-z]|[1-9]\d?|[IVX]+)[.):](?:\s|$))\S")
_SHORTEST_LINE = 26
_SHORTEST_PROSE = 31
_OPEN_BRACKET = re.compile(r"\([^()]*$")
_CLOSES = re.compile(r"(?![ \t]*[A-Za-z\d]{1,2}\)[ \t]+\w)[^()]{0,60}\)")
_COLUMNS = re.compile(r"\S[ ]{2,}\S|\t|\|")
_CAPITAL = re.compile(r"[A-Z]")
_SMALL = re.compile(r"[ \t]*(?:[a-z]{2,}(?![\w]*[ \t]*(?:[:=|]|\t|[ ]{2}))|\d{1,2}/\d{1,2}\b|\((?![A-Za-z\d]{1,2}\)))")
_NEEDS_MORE = re.compile(
    r"[^:][ ](?i:er|pr|and|or|of|with|the|for|in|invasive|infiltrating|atypical|lobular|ductal|metastatic|usual|focal|residual|nuclear"
    r"|her-?2(?:/neu)?(?:[ ]?-)?)$"
)
_IS_MORE = re.compile(r"[ \t]*(?![-*•>]|\(?(?:[A-Za-z]|[1-9]\d?|[IVX]+)[.):](?:\s|$)|[^\n]{0,40}[:=])\S")


def _as_word(word: str) -> str:
    is_upper = word[-1].isupper()
    letters = {"0": "O", "1": "I", "l": "I"} if is_upper else {"0": "o", "1": "l"}
    return word[0] + "".join(letters.get(character, character) for character in word[1:])


_CAPITALS = re.compile(
    r"\b(?:er|pr|pgr)\b(?! (?:ist|is|was|wordt|wird))|(?<=[ (/,.:\n])b[1-5](?=[abc]?\b)"
    r"|(?:(?<=specimen )|(?<=part )|(?<=block )|(?<=preparation )|(?<=\())[a-h](?=\d{0,2}(?:[:,.;)\n]| (?:is|"
    r"was|shows?|left|right|breast|lymph|sentinel)\b))"
    r"|(?:^|(?<=\n)|(?<=[.;:] )|(?<=  ))[ \t]*\(?(?:[a-h]|i{1,3}|iv|vi{0,3})(?=[.):](?:[ \t]|$)|[ ]-[ ])"
)


def _with_capitals(text: str) -> str:
    """Receptors, codes and labels of a report in small letters, as others write them."""
    return _CAPITALS.sub(lambda match: match[0].upper(), text)
