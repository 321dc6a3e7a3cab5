"""Which line ends are only the width of a screen, and which lines are page furniture.

A soft line end becomes a space, or nothing in the middle of a token (``3+`` / ``4=7``); a hard one stays ``\\n``.
"""

from __future__ import annotations

import itertools
import re

Edit = tuple[int, int, str]

_MINIMUM_WIDTH = 55
"""Narrower texts are lists by nature: their line ends are soft only where the words demand it."""
_MAXIMUM_WIDTH = 160
_LIST_ITEM = re.compile(r"\s*(?:[-*•>+#]|#\s?\d{1,2}\b.?|\(?\d{1,2}[.)\]:]|\(?[A-Za-z][.)\]]|[ivxIVX]{1,4}[.)])(?:\s|$)")
_FIELD = re.compile(r"\s*[A-Za-z][^:.\n]{0,45}:(?!\d)")
_HEADING = re.compile(r"\s*(?!P-?I?-?RADS)[A-Z][A-Z0-9 /&(),'\-]{2,}(?:$|[.:])")
_BARE_HEADING = re.compile(
    r"\s*(?:[A-Z][A-Za-z]+(?: [A-Za-z]+){0,2}[ \t]*:|(?:Mac|Mic)roscop(?:y|ic)\b(?: [a-z]+){0,2}"
    r"|(?:Gross|Histolog(?:y|ical))(?: [a-z]+){0,2}|(?:Final )?(?:[Dd]iagnosis|[Cc]onclusion|[Ss]ummary|[Oo]pinion|[Ii]nterpretation)"
    r"|Comments?|Addendum)\s*$"
)
"""Nothing but a heading: it begins afresh whatever stands above it."""
_LABEL = re.compile(
    r"\s*(?:lesions?|targets?|roi|index|mark(?:er)?|region of interest|addendum|impression|findings|conclusion|comparison)\b",
    re.IGNORECASE,
)
_SHORT_LABEL = re.compile(r"\s*(?:les|lsn)\.? ?#?[1-9]\b", re.IGNORECASE)
_CONNECTOR = re.compile(
    r"(?:[,+/(=]|\b[x*-]|\b(?:of|the|and|or|in|at|with|to|is|a|an|by|on|for|from|within|near|no|not|pi-?rads|gleason|score|category|"
    r"measuring|measures|grade|"
    r"left|right|approximately|about|density|volume|image|series))\s*$",
    re.IGNORECASE,
)
_JOINED = re.compile(r"(?:\d\s?[+=]|\d[.,]|[A-Za-z]-|[A-Za-z]/)$")
_VERSION_TAIL = re.compile(r"v(?:ersion)?\s?2\.$", re.IGNORECASE)
_KEPT_PREFIX = re.compile(
    r"(?:\b(?:pi|bi|p|u|postero|antero|infero|supero|non|pre|post|mid|well|high|low|extra|intra|peri|para|multi|bi|uni|follow|up|"
    r"t\d|sub|re|x|self|semi|cross)|\d)-$",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"^[ \t\-_=]*(?:page|pagina|seite|sida|p[áa]gina)\s*:?\s*\d{1,3}(?:\s*(?:of|/|van|von|av|de|sur)\s*\d{1,3})?[ \t\-_=]*$\n?",
    re.IGNORECASE | re.MULTILINE,
)
_RUNNING = re.compile(r"\s*[a-zà-ÿ][^:]*[,(]")
"""A colon behind a comma or an open bracket of a line that begins small is no field's: "right, at the base (T2: 3"."""
_ADJECTIVE = re.compile(
    r"\b[a-zà-ÿ]{3,}(?:ig|lich|isch|iert|bar|haft|ös|ell|förmig|artig|är|arm|reich)(?:e|en|er|es|em)$|\b[a-zà-ÿ]{3,}end(?:e|en|es|em)$"
)
"""A German adjective awaits its noun, which is written with a capital."""
_FOREIGN_CONNECTOR = re.compile(
    r"\b(?:der|die|das|des|dem|den|ein|eine|einer|eines|einem|einen|kein|keine|im|am|zur|zum|vom|von|mit|und|oder|ohne|bei|auf|für|aus|nach"
    r"|durch|sowie|bis|ca\.?|het|een|van|met|op|bij|zonder|voor|och|ett|av|på|med|till|från|utan|samt|vid|el|los|las|una|uno|unos|del|de|la"
    r"|y|o|con|por|para|al|sin|según|le|les|une|un|du|des|et|ou|dans|au|aux|avec|sur|par|sans|pour|chez|en|rechten|linken|rechte[rs]?"
    r"|linke[rs]?|rechter|linker|höger|vänster|hö|vä)$",
    re.IGNORECASE,
)
_COLUMNS = re.compile(r"[^\s.] {2,}\S.*[^\s.] {2,}\S")
"""Two blanks after a full stop are a typist's, not a table's."""
_TIGHT_SEMICOLONS = re.compile(r"\S;\S[^;]*\S;\S|^(?:[^,\n]*,(?! )){4}")
_SCORE_TAIL = re.compile(r"(?<!per )(?<!using )(?<!by )(?<!to )pi-?rads(?: v\d(?:\.\d)?)?(?: score| category)?:?$", re.IGNORECASE)
_SCORE_HEAD = re.compile(r"[1-5](?:/5)?(?=[\s.,;)]|$)(?!\.\s+[A-Z][a-z]+ (?!lesion|focus|nodule))")
_IDENTITY_LINE = re.compile(r"\b(?:mrn|patient|name|dob|accession|birth|hospital no)\b", re.IGNORECASE)


def unwrap_edits(text: str) -> list[Edit]:
    """Edits that make soft line ends spaces and drop page headers and footers."""
    message = _message_edits(text) if "OBX|" in text else []
    if "\n" not in text:
        return message
    dropped = _without_overlap(sorted([*_page_furniture(text), *message]))
    edits: list[Edit] = list(dropped)
    lines = _lines(text, dropped)
    width = max((len(line.rstrip()) for _, _, line in lines), default=0)
    is_notes = _is_notes([line for _, _, line in lines], width)
    for (_, end, line), (start, _, following) in itertools.pairwise(lines):
        replacement = _join(line, following, width)
        if replacement is None or (is_notes and replacement == " " and not _CONNECTOR.search(line.rstrip())):
            continue
        left = end - (len(line) - len(line.rstrip()))
        right = start + len(following) - len(following.lstrip())
        if replacement == "-":
            edits.append((left - 1, right, ""))
        elif replacement == "" or right - left > 1 or text[left:right] != " ":
            edits.append((left, right, replacement))
    return _without_overlap(sorted(edits))


def _is_notes(lines: list[str], width: int) -> bool:
    """Whether a report is jotted down in short lines that begin small: their ends are its full stops."""
    written = [line.strip() for line in lines if line.strip()]
    if len(written) < 5 or sum(line[0].islower() for line in written) < 0.4 * len(written):
        return False
    return sum(len(line) for line in written) < 0.6 * width * len(written) and sum(line[-1] in ".:" for line in written) < 0.3 * len(
        written
    )


_SEGMENT = re.compile(r"^[ \t]*(?:MSH|EVN|PID|PV1|ORC|OBR|NTE|TXA|ZD\w|FHS|BHS|BTS|FTS)\|[^\n]*\n?", re.MULTILINE)
_OBSERVATION = re.compile(r"^[ \t]*OBX\|[^|\n]*\|[A-Z]{2}\|(?P<code>[^|\n]*)\|[^|\n]*\|", re.MULTILINE)
_BEFORE_UNIT = re.compile(r"(?<=\|)[\d.,]{1,8}\|(?=[a-zA-Z%]{1,3}(?:/[a-zA-Z]{1,3}){0,2}\|)")
_OBSERVATION_END = re.compile(r"\|{3,}[^|\n]{0,3}(?:\|[^|\n]{0,16}){0,8}$", re.MULTILINE)
_CODES: tuple[tuple[str, str], ...] = (
    ("IMP", "Impression: "),
    ("CON", "Conclusion: "),
    ("FND", "Findings: "),
    ("FIND", "Findings: "),
    ("IND", "Indication: "),
    ("HX", "History: "),
)
_CODES += (
    ("PSAD", "PSA density: "),
    ("PSA", "PSA: "),
    ("VOL", "Prostate volume: "),
    ("REC", "Recommendation: "),
    ("PRIOR", "Comparison: "),
)
_CODES += (("HIS", "History: "), ("TEC", "Technique: "), ("ADD", "Addendum: "), ("COMP", "Comparison: "))


def _message_edits(text: str) -> list[Edit]:
    """The frame of an HL7 v2 message around the report's lines; an OBX code that names a section becomes its heading, once."""
    edits = [(match.start(), match.end(), "") for match in _SEGMENT.finditer(text)]
    last = ""
    for match in _OBSERVATION.finditer(text):
        code = match["code"].upper().lstrip("&")
        heading = next((words for start, words in _CODES if code.startswith(start) or f"^{start}" in code), "")
        edits.append((match.start(), match.end(), heading if heading != last else ""))
        last = heading
    edits += [(match.end() - 1, match.end(), " ") for match in _BEFORE_UNIT.finditer(text)]
    edits += [(match.start(), match.end(), "") for match in _OBSERVATION_END.finditer(text)]
    return _without_overlap(sorted(edits))


def _without_overlap(edits: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for edit in edits:
        if kept and edit[0] < kept[-1][1]:
            before = kept.pop()
            kept.append((before[0], max(before[1], edit[1]), before[2] or edit[2]))
        else:
            kept.append(edit)
    return kept


def _page_furniture(text: str) -> list[Edit]:
    pages = (
        [(match.start(), match.end(), "") for match in _PAGE.finditer(text)]
        if "age" in text or "AGE" in text or "agina" in text or "eite" in text
        else []
    )
    if not pages:
        return []
    seen: set[str] = set()
    position, edits = 0, list(pages)
    for line in text.splitlines(keepends=True):
        key = line.strip()
        if key and key in seen and _IDENTITY_LINE.search(key):
            edits.append((position, position + len(line), ""))
        seen.add(key)
        position += len(line)
    return _without_overlap(sorted(edits))


def _lines(text: str, dropped: list[Edit]) -> list[tuple[int, int, str]]:
    """Start, end (of the line end's position) and words of each line that stays."""
    gone = {start for start, _, _ in dropped}
    lines, position = [], 0
    for line in text.split("\n"):
        if position not in gone:
            lines.append((position, position + len(line), line))
        position += len(line) + 1
    return lines


def _join(line: str, following: str, width: int) -> str | None:
    """What replaces the line end: a space, nothing, ``-`` (drop the hyphen too), or None where it stays."""
    words, continuation = line.rstrip(), following.lstrip()
    if (
        not words
        or not continuation
        or _TIGHT_SEMICOLONS.search(line)
        or "|" in line
        or "|" in following
        or "\t" in line.strip()
        or "\t" in following.strip()
    ):
        return None
    is_full = _is_full(words, continuation, width)
    if words[-1] in ":;!?" and not _SCORE_TAIL.search(words):
        return " " if words[-1] in ":;" and is_full and continuation[0].islower() else None
    if ("  " in words and _COLUMNS.search(words)) or ("  " in continuation and _COLUMNS.search(continuation)):
        return None
    if words[-1] == "." and _VERSION_TAIL.search(words) and continuation[0] == "1":
        return ""
    if words[-1] in "+=-/" and _JOINED.search(words) and not _is_list_item(following):
        return _join_token(words, continuation)
    if _SCORE_HEAD.match(continuation) and _SCORE_TAIL.search(words):
        return " "
    if words[-1] in ".:;!?":
        return None
    if _is_list_item(following) or _BARE_HEADING.match(following):
        return None
    if (continuation[0].islower() and is_full) or ((is_full or continuation[0].islower()) and _CONNECTOR.search(words)):
        return " "
    if _starts_afresh(following, is_capital_text=words.isupper()):
        return None
    return " " if is_full or _is_soft(words, continuation) else None


def _is_list_item(line: str) -> bool:
    return _LIST_ITEM.match(line) is not None or _SHORT_LABEL.match(line) is not None


def _join_token(words: str, continuation: str) -> str | None:
    if words[-1] != "-":
        return "" if continuation[0].isdigit() or words[-1] == "/" else None
    if _KEPT_PREFIX.search(words):
        return ""
    return "-" if continuation[0].islower() else None


def _starts_afresh(line: str, *, is_capital_text: bool) -> bool:
    field = _FIELD.match(line)
    if (field is not None and not _RUNNING.match(field[0])) or _LABEL.match(line):
        return True
    return not is_capital_text and _HEADING.match(line) is not None


def _is_soft(words: str, continuation: str) -> bool:
    """A line that stops in the middle of a phrase, whatever its width."""
    if len(words) >= 40 and (_FOREIGN_CONNECTOR.search(words) or _ADJECTIVE.search(words)):
        return True
    if _CONNECTOR.search(words):
        return len(words) > 30 or continuation[0].islower() or continuation[0].isdigit()
    return continuation[0].islower() and len(words) >= 40


def _is_full(words: str, continuation: str, width: int) -> bool:
    """Whether the next word would not have fitted on the line: what hard wrapping leaves behind."""
    if not _MINIMUM_WIDTH <= width <= _MAXIMUM_WIDTH:
        return False
    first_word = continuation.split(" ", 1)[0]
    return len(words) + 1 + len(first_word) > width and len(words) >= 0.7 * width
