"""Lesion tables: rows of cells under a heading row, or attributes in rows with one column a lesion."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.radiology_drafts import Candidate, Draft, location_candidates
from weakbox.extractors.grammar.radiology_facts import size_candidate
from weakbox.extractors.grammar.radiology_units import Clause, View
from weakbox.text.locations import location_of, location_tokens
from weakbox.text.normalise import Normalised
from weakbox.text.quantities import Size, parse_number

_FIELD_CELL = re.compile(r":\s*\S")
_MEASURED_CELL = re.compile(r"\d\s*(?:mm|cm)\b")
_CELL = re.compile(r"(?:(?!\s*[|\t]|\s{2,}).)+")
_COLUMNS = (
    ("triple", re.compile(r".*\bt2\w*\s*/\s*(?:dwi|adc)\w*(?:\s*/\s*dce\w*)?\W*$")),
    (
        "label",
        re.compile(
            r"(?:lesion|target|roi|#|no\.?|nr\.?|id|number|index|mark)(?:\s*[/(-]?\s*(?:#|no\.?|nr\.?|number|id|label|lesion"
            r"|target|roi)\)?)*$"
        ),
    ),
    (
        "pirads",
        re.compile(r"(?:overall |final |assessment )*(?:pi-?rads|p-?rads)\b.*|(?:overall |final |assessment )*category$|assessment$"),
    ),
    ("likert", re.compile(r".*\blikert\b.*|.*\bsuspicion\b.*|ucla.*")),
    ("score", re.compile(r"score$|overall score$|grade$")),
    (
        "size",
        re.compile(
            r"(?:max(?:imum|imal|\.)? |lesion |longest |largest |long )*(?:size|dim(?:ension)?s?\.?|diam(?:eter)?\.?"
            r"|measurements?|axis|mm|cm)(?![a-z\d]).*"
        ),
    ),
    ("t2", re.compile(r"t2\w*(?:[ -]?(?:weighted|imaging))?(?: (?:score|category|assessment))?(?: ?\(?1-5\)?)?$")),
    ("dwi", re.compile(r"(?:dwi|diffusion|adc|adc\s?/\s?dwi|dwi\s?/\s?adc)(?: (?:score|category|assessment))?(?: ?\(?1-5\)?)?$")),
    (
        "dce",
        re.compile(
            r"(?:dce(?:-mri)?|perfusion|(?:early )?(?:contrast )?enhancement|contrast)(?: (?:score"
            r"|assessment))?(?: ?\(.{1,12}\))?$"
        ),
    ),
    ("images", re.compile(r"(?:series|image|img|im|slice|ser?\.?\s?[/,:]\s?(?:im(?:g|age)?s?|slice))\b.*")),
    ("epe", re.compile(r"(?:epe|ece|extra-?(?:prostatic|capsular)(?: (?:extension|disease|spread))?)\??$")),
    ("place", re.compile(r"(?:location|site|side|zone|level|sector|position|region|laterality|area)s?\b.*")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """The kinds of a table's columns; ``is_transposed`` where each further column is a lesion."""

    columns: tuple[str | None, ...]
    titles: tuple[str, ...]
    is_transposed: bool = False
    places: tuple[tuple[int, int], ...] = ()
    """Where each title stands in its line of the raw text."""


def cells_of(clause: Clause, view: View) -> list[tuple[int, int]]:
    """The cells of a row, by place."""
    text = view.text.text
    words = text[clause.start : clause.end]
    bar = "|" if "|" in words else ";" if words.count(";") > 1 and "  " not in words and "\t" not in words else ""
    if not bar:
        return [match.span() for match in _CELL.finditer(text, clause.start, clause.end) if match[0].strip()]
    spans, position = [], clause.start
    for piece in text[clause.start : clause.end].split(bar):
        spans.append((position, position + len(piece)))
        position += len(piece) + 1
    if spans and not text[slice(*spans[0])].strip():
        spans = spans[1:]
    if spans and not text[slice(*spans[-1])].strip():
        spans = spans[:-1]
    return spans


_FIELD_ROW = re.compile(
    r"^[ \t]*\|?[ \t]*(?P<key>[a-z][a-z0-9 /&().,'-]{0,40}?)[ \t]*(?P<bar>\|)[ \t]*(?P<value>[^|\n]{1,80}?)[ \t]*\|?[ \t]*$", re.MULTILINE
)
_BLANK_FIELD = re.compile(
    r"^[ \t]*(?P<key>[a-z][a-z0-9/&().,'-]*(?: [a-z0-9/&().,'-]+){0,4}) {2,}(?P<value>[^\s|:](?:[^|\n](?! {3}))*)[ \t]*$", re.MULTILINE
)
_FIELD_KEY = re.compile(
    r"(?:overall |final |max(?:imum)? |total |latest |regional |pelvic |prostate |gland |whole gland )*(?:psa\b|psad\b|gland|prostate"
    r"|volume|vol\b|pi-?rads|t2|dwi"
    r"|adc|dce|sector|location|site|size|dimension|diameter|zone|side|level|laterality|position|epe|ece|svi?s?\b|seminal|nodes?\b|lymph|bones?\b|osseous"
    r"|extra-?(?:prostatic|capsular)|likert|version|category|score|series|image|capsule|likert|neurovascular|nvb|overall|density)"
)


def with_fields(text: Normalised) -> Normalised:
    """Rows of a name and its value ("PSA density | 0.28") read as fields: their bar becomes a colon, so that no place moves."""
    if "|" not in text.text and "   " not in text.text:
        return text
    signs = list(text.text)
    for match in _BLANK_FIELD.finditer(text.lower) if "   " in text.text else ():
        if _FIELD_KEY.match(match["key"]) and not _FIELD_KEY.match(match["value"]):
            signs[match.end("key")] = ":"
    for match in _FIELD_ROW.finditer(text.lower):
        if _FIELD_KEY.match(match["key"]) and not _FIELD_KEY.match(match["value"]):
            signs[match.start("bar")] = ":"
            for place in (match.start(), match.end() - 1):
                signs[place] = " " if signs[place] == "|" else signs[place]
    changed = "".join(signs)
    return replace(text, text=changed, lower=changed.lower()) if changed != text.text else text


_LABEL_CELL = re.compile(r"(?:lesion|target|roi|index lesion)\s*#?\s*(?P<label>[1-9a-h])$")
_ATTRIBUTE_COLUMN = ("location", "size", "pi-rads", "pirads", "t2", "side")


def read_head(clause: Clause, view: View) -> TableHead | None:
    """The heading row of a lesion table, or None where the row is no such heading."""
    spans = cells_of(clause, view)
    titles = tuple(view.text.lower[start:end].strip(" *_:") for start, end in spans)
    labels = [title for title in titles[1:] if _LABEL_CELL.match(title)]
    if len(labels) == len(titles) - 1 and len(titles) > 1 and _LABEL_CELL.match(titles[0]):
        return TableHead(columns=("label",) * len(titles), titles=("", *titles), is_transposed=True)
    if labels and len(labels) == len(titles) - 1:
        return TableHead(columns=(None, *("label" for _ in labels)), titles=titles, is_transposed=True)
    columns = tuple(_column(title) for title in titles)
    known = [column for column in columns if column]
    has_value = any((_MEASURED_CELL.search(title) and not title.startswith("size")) or _FIELD_CELL.search(title) for title in titles)
    is_head = len(known) >= 2 and len(known) >= 0.5 * len(columns) and not has_value
    if not is_head or not any(column in known for column in ("pirads", "likert", "place", "size")):
        return None
    places = tuple(_place_in_line(view, *span) for span in spans) if "|" not in view.cut(clause) else ()
    return TableHead(columns=columns, titles=titles, places=places)


def _column(title: str) -> str | None:
    return next((name for name, pattern in _COLUMNS if pattern.match(title)), None)


def read_row(clause: Clause, view: View, head: TableHead) -> Draft | None:
    """The lesion of one row under a heading row; None for rules, totals and empty rows."""
    draft = Draft(role=clause.role, section=clause.section, start=clause.start, sentence=clause.sentence, is_lesion_word=True)
    cells = row_cells(clause, view, head)
    if len(cells) == len(head.titles) + 1 and "label" not in head.columns and _LABEL_CELL.match(view.text.lower[slice(*cells[0])].strip()):
        read_cell(draft, "label", "", cells.pop(0), view)  # the labels' column has no title
    for column, title, span in zip(head.columns, head.titles, cells, strict=False):
        if column:
            read_cell(draft, column, title, span, view)
    if "place" not in head.columns:
        _fill_place_by_words(draft, clause, view, head)
    return draft if draft.values and (draft.is_scored or draft.has_place or "size_mm" in draft.values) else None


_NO_CELL = (0, 0)


def row_cells(clause: Clause, view: View, head: TableHead) -> list[tuple[int, int]]:
    """The cells of a row under its heading; where a row set with blanks or tabs leaves some open, each under its own title."""
    cells = cells_of(clause, view)
    if len(cells) >= len(head.titles) or not head.places or "|" in view.cut(clause):
        return cells
    if "\t" in view.cut(clause):
        tabbed = _tabbed(clause, view)
        return tabbed if len(tabbed) == len(head.titles) else cells
    chosen = [_title_over(_place_in_line(view, *cell), head.places) for cell in cells]
    if len(set(chosen)) < len(chosen):
        return cells
    return [cells[chosen.index(index)] if index in chosen else _NO_CELL for index in range(len(head.titles))]


def _tabbed(clause: Clause, view: View) -> list[tuple[int, int]]:
    spans, position = [], clause.start
    for piece in view.text.text[clause.start : clause.end].split("\t"):
        spans.append((position, position + len(piece)))
        position += len(piece) + 1
    return spans


def _place_in_line(view: View, start: int, end: int) -> tuple[int, int]:
    """Where a cell stands in the line of the raw text, which still has all its blanks."""
    span = view.text.to_raw(start, end)
    line = view.text.raw.rfind("\n", 0, span.start) + 1
    return span.start - line, span.end - line


def _title_over(place: tuple[int, int], titles: tuple[tuple[int, int], ...]) -> int:
    """The title that a cell stands below: the one it overlaps most, otherwise the nearest."""
    return max(range(len(titles)), key=lambda index: min(place[1], titles[index][1]) - max(place[0], titles[index][0]))


def _fill_place_by_words(draft: Draft, clause: Clause, view: View, head: TableHead) -> None:
    """A column under an unknown title whose cell names a zone, a side or a level holds the place."""
    for column, span in zip(head.columns, cells_of(clause, view), strict=False):
        if column is None and view.locations.within(*span):
            _fill_place(draft, view.text.text[slice(*span)], span[0])


def read_row_without_head(clause: Clause, view: View) -> Draft | None:
    """A row that names a place and holds one lone score 1..5 behind its first cell, though no heading row says so."""
    if view.categories.within(clause.start, clause.end) or view.likerts.within(clause.start, clause.end):
        return None
    spans = cells_of(clause, view)
    cuts = [view.text.text[start:end].strip() for start, end in spans]
    scores = [index for index, cut in enumerate(cuts) if index and re.fullmatch(r"[1-5](?:/5)?", cut)]
    place = location_of(view.locations.within(clause.start, clause.end))
    if len(scores) != 1 or not (place.zone or (place.side and place.levels)):
        return None
    draft = Draft(role=clause.role, section=clause.section, start=clause.start, sentence=clause.sentence, is_lesion_word=True)
    draft.values.update(location_candidates(place, 0, rule="table", confidence=0.9))
    start, end = spans[scores[0]]
    name = "likert" if view.names_likert and not view.names_pirads else "pirads"
    score = int(cuts[scores[0]][0])
    draft.fill(name, Candidate(value=score, words=((start, end),), rule="table_without_heading", confidence=0.7, flags=("inferred",)))
    sizes = view.sizes.within(clause.start, clause.end)
    draft.fill("size_mm", size_candidate(sizes[0]) if sizes else None)
    return draft


def row_column(title: str) -> str | None:
    """What a row of a transposed table speaks of, by its first cell."""
    return _column(title.strip(" *_:"))


_LABEL = re.compile(r"(?:lesion|target|roi|#|index lesion)?\s*#?\s*(?P<label>[1-9]\d?|[A-H])\s*$", re.IGNORECASE)
_SCORE = re.compile(r"\D{0,12}?(?P<value>[1-5])(?:\s*/\s*5)?\s*(?:\(.*|-.*)?$")
_DCE = {
    **dict.fromkeys(("+", "(+)", "pos", "pos.", "yes", "y", "positive", "+ve", "early", "present", "1"), "positive"),
    **dict.fromkeys(("-", "(-)", "neg", "neg.", "no", "n", "negative", "-ve", "absent", "none", "0"), "negative"),
}
_PLAIN_SIZE = re.compile(r"\s*\d{1,2}(?:[.,]\d)?(?:\s*[x*]\s*\d{1,2}(?:[.,]\d)?){0,2}\s*$")
_IMAGE_PAIR = re.compile(
    r"\s*(?:(?:ax(?:ial)?|sag|cor|t2w?|dwi|adc|im(?:g|age)?|slice"
    r"|s)[\s.:#]*)*(?P<first>\d{1,4})(?:\s*[/,]\s*(?P<second>\d{1,4}))?\s*$"
)


def read_cell(draft: Draft, column: str, title: str, span: tuple[int, int], view: View) -> None:
    """Put one cell's value into the draft; a cell that does not read as its column is left."""
    start, end = span
    cut = view.text.text[start:end]
    words = ((start + len(cut) - len(cut.lstrip()), start + len(cut.rstrip())),)
    if not cut.strip():
        return
    if column == "place" and title == "side" and cut.strip() in ("M", "ML", "Mid"):
        draft.fill("side", Candidate(value="midline", words=words, rule="table", confidence=0.9))
    elif column == "place":
        _fill_place(draft, cut, start)
    elif column == "label":
        match = _LABEL.match(cut.strip())
        if match:
            draft.label = Candidate(value=match["label"], words=words, rule="table", confidence=0.95)
    elif column in ("pirads", "likert", "score", "t2", "dwi"):
        name = column if column != "score" else ("likert" if view.names_likert and not view.names_pirads else "pirads")
        match = _SCORE.match(cut.strip())
        if match:
            draft.fill(name, Candidate(value=int(match["value"]), words=words, rule="table", confidence=0.95))
    elif column == "triple":
        _fill_triple(draft, cut, words)
    elif column == "dce":
        value = _DCE.get(cut.strip().lower())
        draft.fill("dce", Candidate(value=value, words=words, rule="table", confidence=0.93) if value else None)
    elif column == "size":
        _fill_size(draft, title, span, view)
    elif column == "images":
        _fill_images(draft, title, cut, words)


_TRIPLE = re.compile(r"\s*(?P<t2>[1-5x-])\s*/\s*(?P<dwi>[1-5x-])(?:\s*/\s*(?P<dce>\S+))?\s*$")


def _fill_triple(draft: Draft, cut: str, words: tuple[tuple[int, int], ...]) -> None:
    """A cell under "T2/DWI/DCE": "4/5/+"."""
    match = _TRIPLE.match(cut.lower())
    if match is None:
        return
    for name in ("t2", "dwi"):
        draft.fill(name, Candidate(value=int(match[name]), words=words, rule="table", confidence=0.93) if match[name].isdigit() else None)
    dce = _DCE.get(match["dce"] or "")
    draft.fill("dce", Candidate(value=dce, words=words, rule="table", confidence=0.93) if dce else None)


def _fill_place(draft: Draft, cut: str, offset: int) -> None:
    for name, candidate in location_candidates(location_of(location_tokens(cut)), offset, rule="table", confidence=0.94).items():
        draft.fill(name, candidate)


def _fill_size(draft: Draft, title: str, span: tuple[int, int], view: View) -> None:
    sizes = view.sizes.within(*span)
    if sizes and not sizes[0].is_unit_inferred:
        draft.fill("size_mm", size_candidate(sizes[0]))
        return
    cut = view.text.lower[slice(*span)]
    if not _PLAIN_SIZE.match(cut):
        return
    factor = 10.0 if "cm" in title else 1.0
    values = tuple(round(parse_number(number) * factor, 3) for number in re.findall(r"\d+(?:[.,]\d)?", cut))
    start = span[0] + len(cut) - len(cut.lstrip())
    size = Size(values_mm=values, start=start, end=span[0] + len(cut.rstrip()), is_unit_inferred="mm" not in title and "cm" not in title)
    if min(values) > 0:
        draft.fill("size_mm", size_candidate(size))


def _fill_images(draft: Draft, title: str, cut: str, words: tuple[tuple[int, int], ...]) -> None:
    match = _IMAGE_PAIR.match(cut.lower())
    if match is None:
        return
    is_pair = match["second"] is not None
    names = ("series_number", "image_number") if is_pair else ("series_number" if title.startswith("series") else "image_number",)
    for name, group in zip(names, ("first", "second"), strict=False):
        draft.fill(name, Candidate(value=int(match[group]), words=words, rule="table", confidence=0.9))
