"""Where a section ends without a heading: specimens below the history, microscopy below a list, forms below the gross description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from weakbox.extractors.grammar.breast.pathology_words import choice
from weakbox.records.report import SectionKind
from weakbox.text.sections import TextSection

_CUT = (SectionKind.CLINICAL_INFORMATION, SectionKind.SPECIMEN_LIST, SectionKind.GROSS, SectionKind.COMPARISON)
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_LABEL_LINE = re.compile(r"(?:^|(?<=\n))[ \t]*[\"'(\[]?(?:[a-z]|\d{1,2}|[ivx]{1,4})[\"')\].:]{1,2}[ \t]*(?=\S)(?P<words>[^\n]*)")
_OF_THE_PAST = re.compile(
    r"\b(?:previous|prior|history|known|bi-?rads|r[1-5]\b|u[1-5]\b|(?:19|20)\d\d|yrs?\b|years?\b|mammogra\w*|screening|presented|\?)"
)
_HISTORY = re.compile(
    r"\b(?:yrs?|years? old|y/?o|previous|prior|history|fh|family|screen\w*|mammogra\w*|uss?\b|ultraso\w*|mri|bi-?rads|[pur][1-5]\b|referred"
    r"|clinical\w*|nact\b|lump|palpable|tamoxifen|chemo\w*|brca\d?)\b|\?"
)
_SHOWS = re.compile(
    r"\b(?:sections?|cores?|tissue|microscop\w*|histolog\w*|smears?|specimen|biops(?:y|ies)|these|nodes?)\b[^.\n]{0,50}?\b(?:shows?|includes?|contains?"
    r"|consists?|reveals?|comprise\w*|demonstrates?|confirms?)\b|\bthere (?:is|are)\b"
)
_MEASURED = re.compile(
    r"\d\s?(?:x|\*)\s?\d|\d\s?(?:mm|cm|g)\b|\b(?:cores?|fragments?|pieces?|cylinders?) (?:of|to|up|measuring)|\breceived\b|\bfixed\b"
    r"|\bcassettes?\b|\bblocks?\b|\bembedded\b|\binked?\b"
)
_KEY_LINE = re.compile(
    r"(?:^|(?<=\n))[ \t*|•>-]*(?P<key>(?:histolog\w+|microscopic|tumou?r|invasive|overall|nottingham|final|main|predominant|carcinoma|whole"
    r"|dcis|in situ|nuclear|lymph(?:o-?vascular)?|vascular|number of|specimen|mitotic|tubul\w+|glandular|er|pr|pgr|her-?2\w*|o?estrogen"
    r"|progesterone|type|grade|size|histology|margins?|nodes?|lvi|stage|laterality|side|procedure|focality|dcis|diagnosis)\b"
    r"[^:\n=|.]{0,45}?)[ \t]*(?::(?!\d)|=|\||\.{3,}|\t| {3,})[ \t]*\S"
)
_TUMOUR_KEY = re.compile(r"(?:histolog\w+|type|grade|(?:tumou?r|invasive).{0,20}(?:type|size|grade)|nottingham|diagnosis)")


_LABEL_BEFORE = re.compile(r"[ \t]*(?:[-*•]\s*)?(?:(?:specimen|part|pot)\s*)?[(\[]?(?:[a-z]|\d{1,2}|[ivx]{1,4})[)\].:]*[ \t:-]*")
_WITHIN = (SectionKind.GROSS, SectionKind.MICROSCOPY)


def with_nested(lower: str, sections: Sequence[TextSection]) -> tuple[list[TextSection], list[tuple[int, int]]]:
    """Where "Macroscopic - ... Microscopic - ..." stands below each label it cuts no section.

    Returns the sections with these joined, and the gross descriptions among them, which are not to be read.
    """
    joined: list[TextSection] = []
    gross: list[tuple[int, int]] = []
    is_inside = False
    for section in sections:
        first = _label_line(lower, section)
        if is_inside and section.kind in _WITHIN:
            joined[-1] = replace(joined[-1], end=section.end)
        elif first is not None and joined and joined[-1].start <= first:
            joined[-1] = replace(joined[-1], end=first)
            joined.append(TextSection(kind=SectionKind.MICROSCOPY, start=first, end=section.end))
            is_inside = True
        else:
            joined.append(section)
            is_inside = False
        if is_inside and section.kind is SectionKind.GROSS:
            gross += _gross_part(lower, section)
    return joined, gross


def _label_line(lower: str, section: TextSection) -> int | None:
    """The start of the line whose label the section's heading follows."""
    if section.heading is None or section.kind not in _WITHIN:
        return None
    line = lower.rfind("\n", 0, section.heading[0]) + 1
    before = lower[line : section.heading[0]]
    return line if before.strip() and _LABEL_BEFORE.fullmatch(before) else None


def _gross_part(lower: str, section: TextSection) -> list[tuple[int, int]]:
    """The gross description up to the next label, which may stand at its end."""
    start = section.heading[0] if section.heading else section.start
    label = next((m for m in _LABEL_LINE.finditer(lower, section.start, section.end) if m.start() > section.start), None)
    return [(start, label.start() if label else section.end)]


def with_paragraphs(lower: str, sections: Sequence[TextSection]) -> list[TextSection]:
    """Sections of history, lists and gross descriptions cut where what follows is plainly something else."""
    has_list = any(section.kind is SectionKind.SPECIMEN_LIST for section in sections)
    has_body = any(section.kind in (SectionKind.MICROSCOPY, SectionKind.DIAGNOSIS, SectionKind.FINDINGS) for section in sections)
    cut: list[TextSection] = []
    for section in sections:
        cut += _cut(lower, section, has_list=has_list, has_body=has_body) if section.kind in _CUT else [section]
    if not any(section.kind not in _CUT and choice("specimens", "diagnostic").search(lower, section.start, section.end) for section in cut):
        return [piece for section in cut for piece in _without_first_line(lower, section)]
    return cut


def _without_first_line(lower: str, section: TextSection) -> list[TextSection]:
    """Where nothing else of the report says a diagnosis, the history is its first line and the rest is read."""
    line = lower.find("\n", section.start, section.end)
    if section.kind is not SectionKind.CLINICAL_INFORMATION or line < 0 or not lower[section.start : line].strip():
        return [section]
    return [replace(section, end=line), TextSection(kind=SectionKind.MICROSCOPY, start=line, end=section.end)]


def _cut(lower: str, section: TextSection, *, has_list: bool, has_body: bool) -> list[TextSection]:
    pieces = [section]
    form = _form_start(lower, section)
    if form is not None:
        pieces = [replace(section, end=form), TextSection(kind=SectionKind.SYNOPTIC, start=form, end=section.end)]
        section = pieces[0]
    if section.kind is SectionKind.CLINICAL_INFORMATION and not has_list:
        listed = _list_start(lower, section)
        if listed is not None:
            rest = TextSection(kind=SectionKind.SPECIMEN_LIST, start=listed, end=section.end)
            return [replace(section, end=listed), *_by_paragraph(lower, rest, has_body=has_body), *pieces[1:]]
    return [*_by_paragraph(lower, section, has_body=has_body), *pieces[1:]]


def _form_start(lower: str, section: TextSection) -> int | None:
    """Where a form begins: three lines with a key each, one of them of the tumour."""
    keys = list(_KEY_LINE.finditer(lower, section.start, section.end))
    if len(keys) < 3 or not any(_TUMOUR_KEY.match(match["key"]) for match in keys):
        return None
    start = _with_lines_above(lower, section, keys[0].start())
    return start if start > section.start or section.kind is not SectionKind.CLINICAL_INFORMATION else None


def _with_lines_above(lower: str, section: TextSection, start: int) -> int:
    """The start of the lines with a colon that directly precede a form's first known key."""
    while start > section.start:
        above = lower.rfind("\n", section.start, start - 1) + 1 or section.start
        line = lower[above : start - 1] if start else ""
        if above <= section.start or ":" not in line or not line.strip():
            break
        start = above
    return _with_label_above(lower, section, start)


def _with_label_above(lower: str, section: TextSection, start: int) -> int:
    """The start of the one label that a form stands below ("A. Left breast core"), where another follows in the form."""
    above = max(section.start, lower.rfind("\n", section.start, max(section.start, start - 1)) + 1)
    before = lower[section.start : above]
    is_first = not before.strip() or before.endswith("\n\n")
    if above < start and is_first and _LABEL_LINE.match(lower, above, start) and _LABEL_LINE.search(lower, start, section.end):
        return above
    return start


def _list_start(lower: str, section: TextSection) -> int | None:
    """Where lines begin that label specimens with a procedure, and nothing of the past."""
    lines = [match for match in _LABEL_LINE.finditer(lower, section.start, section.end) if _is_specimen_line(match["words"])]
    lines = [line for line in lines if lower[section.start : line.start()].strip()]
    return lines[0].start() if lines else None


def _is_specimen_line(words: str) -> bool:
    return (
        choice("specimens", "procedure").search(words) is not None
        and choice("specimens", "tissue").search(words) is not None
        and _OF_THE_PAST.search(words) is None
    )


def _by_paragraph(lower: str, section: TextSection, *, has_body: bool) -> list[TextSection]:
    """The paragraphs below the first by what they speak of."""
    starts = [section.start]
    lead = len(lower[section.start : section.end]) - len(lower[section.start : section.end].lstrip())
    starts += [match.end() for match in _PARAGRAPH.finditer(lower, section.start + lead, section.end) if match.end() < section.end]
    pieces: list[TextSection] = []
    for index, (start, end) in enumerate(zip(starts, [*starts[1:], section.end], strict=True)):
        kind = section.kind if index == 0 else _kind_of(lower[start:end], pieces[-1].kind, has_body=has_body)
        if pieces and pieces[-1].kind is kind:
            pieces[-1] = replace(pieces[-1], end=end)
        elif index == 0:
            pieces.append(replace(section, end=end))
        else:
            pieces.append(TextSection(kind=kind, start=start, end=end))
    return pieces


def _kind_of(words: str, kind: SectionKind, *, has_body: bool) -> SectionKind:
    is_diagnostic = choice("specimens", "diagnostic").search(words) is not None
    if kind in (SectionKind.CLINICAL_INFORMATION, SectionKind.COMPARISON):
        shows = not has_body or _SHOWS.search(words) is not None or _LABEL_LINE.match(words) is not None
        is_read = is_diagnostic and shows and _HISTORY.search(words.partition("\n")[0]) is None
        return SectionKind.MICROSCOPY if is_read else kind
    if kind is SectionKind.MICROSCOPY:
        return kind
    if is_diagnostic and (_SHOWS.search(words) or not _MEASURED.search(words) or kind is SectionKind.SPECIMEN_LIST):
        return SectionKind.MICROSCOPY
    if kind is SectionKind.SPECIMEN_LIST and not _LABEL_LINE.match(words):
        return SectionKind.GROSS if _MEASURED.search(words) else kind
    return kind
