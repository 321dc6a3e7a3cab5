"""Tables of breast findings, and the fields of a labelled block: cells read by what their column holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from weakbox.extractors.grammar.breast.radiology_assertion import GONE
from weakbox.extractors.grammar.breast.radiology_drafts import Draft
from weakbox.extractors.grammar.breast.radiology_facts import (
    category_candidate,
    current_sides,
    lesion_sizes,
    read_places,
    side_of,
    size_candidate,
)
from weakbox.extractors.grammar.breast.radiology_headings import column_of
from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.text.quantities import parse_number

_CELL = re.compile(r"(?:(?!\s*[|\t]|\s{2,}).)+")
_KNOWN = ("birads", "size", "clock", "place", "side", "kind", "distance")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """The kinds of a table's columns and their titles."""

    columns: tuple[str | None, ...]
    titles: tuple[str, ...]
    starts: tuple[int, ...] = ()
    """Where each title begins on its raw line; none where bars part the cells."""


@dataclass(slots=True, kw_only=True)
class RowSide:
    """The side that a row without one takes over from the row above ("RIGHT | 9:00 ...", then "      | 12:00 ...")."""

    side: Candidate | None = None


def cells_of(clause: Clause, view: View) -> list[tuple[int, int]]:
    """The cells of a row, by place."""
    text = view.text.text
    if "|" not in text[clause.start : clause.end]:
        return [match.span() for match in _CELL.finditer(text, clause.start, clause.end) if match[0].strip()]
    spans, position = [], clause.start
    for piece in text[clause.start : clause.end].split("|"):
        spans.append((position, position + len(piece)))
        position += len(piece) + 1
    is_framed = bool(spans) and not text[slice(*spans[0])].strip() and not text[slice(*spans[-1])].strip()
    if is_framed or (spans and not text[slice(*spans[0])].strip() and text[clause.start] == "|"):
        spans = spans[1:]
    return spans[:-1] if spans and not text[slice(*spans[-1])].strip() else spans


_LINE_ENDS = ("\n", "\r", "\\.br\\")
"""How a message may write the end of a line."""


def _raw_column(view: View, start: int, end: int) -> int:
    """Where a cell begins on its line as it was written."""
    raw, first = view.text.raw, view.text.to_raw(start, end).start
    line = max(raw.rfind(mark, 0, first) + len(mark) if mark in raw else 0 for mark in _LINE_ENDS)
    return first - line


_PRIOR_TITLE = re.compile(r".*\b(?:previous(?:ly)?|prior|former|old|last (?:exam|study|visit|scan|year)|baseline|was|(?:19|20)\d\d)\b")


def _column(title: str) -> str | None:
    """What a title's column holds; an earlier study's values are left."""
    if len(title) >= 40:
        return None
    return "prior" if _PRIOR_TITLE.match(title) else column_of(title)


def read_head(clause: Clause, view: View) -> TableHead | None:
    """The heading row of a findings table, or None."""
    spans = cells_of(clause, view)
    titles = tuple(view.text.lower[start:end].strip(" *_:") for start, end in spans)
    columns = tuple(_column(title) for title in titles)
    known = [column for column in columns if column in _KNOWN]
    has_value = any(re.search(r"\d\s*(?:mm|cm)\b(?!\))|:\s*\S|bi-?rads\s*\d", title) for title in titles)
    if len(known) < 2 or len(known) < 0.5 * len([title for title in titles if title]) or has_value:
        return None
    is_barred = "|" in view.text.text[clause.start : clause.end]
    return TableHead(columns=columns, titles=titles, starts=() if is_barred else tuple(_raw_column(view, *span) for span in spans))


def read_row(clause: Clause, view: View, head: TableHead, draft: Draft, above: RowSide) -> Draft | None:
    """The finding of one row; None for rules, totals and empty rows. ``above`` hands the side of a row to the rows under it."""
    if GONE.search(view.cut(clause)):
        return None
    for column, title, span in _aligned(head, cells_of(clause, view), view):
        read_cell(draft, column or ("untitled" if not title else "other"), title, span, view)
    above.side = draft.values.get("side", above.side)
    draft.fill("side", above.side)
    if "side" not in draft.values and clause.side is not None:
        draft.values["side"] = Candidate(
            value=clause.side.value, words=((clause.side.start, clause.side.end),), rule="side_heading", confidence=0.9
        )
    stated = [name for name in draft.values if name != "finding_id"]
    if "kind" not in draft.values and len(stated) >= 2:
        _guess_kind(draft, clause, view)
    return draft if (len(stated) >= 2 and "kind" in draft.values) or len(stated) >= 3 else None


_SOLID = re.compile(
    r"\b(?:solid|hypo-?echoic|iso-?echoic|irregular|spiculat\w+|lobulat\w+|microlobulat\w+|circumscribed|oval|round|well[- ]defined|"
    r"ill[- ]defined|heterogeneous|echogenic|angular|rim[- ]enhanc\w+)\b"
)


def _guess_kind(draft: Draft, clause: Clause, view: View) -> None:
    """A row that describes a solid, measured thing without a noun describes a mass."""
    match = _SOLID.search(view.text.lower, clause.start, clause.end)
    words = match.span() if match else (clause.start, clause.end)
    if match or "size_mm" in draft.values:
        draft.is_generic = True
        draft.values["kind"] = Candidate(value="mass", words=(words,), rule="table_kind", confidence=0.7)


_NEAR = 3
"""How many characters a cell may begin before its column's title."""


def _by_place(head: TableHead, cells: list[tuple[int, int]], view: View) -> list[tuple[str | None, str, tuple[int, int]]]:
    """Cells with the column under whose title they stand; what stands before the first title has none."""
    rows: list[tuple[str | None, str, tuple[int, int]]] = []
    for cell in cells:
        place = _raw_column(view, *cell)
        under = [index for index, start in enumerate(head.starts) if start <= place + _NEAR]
        rows.append((head.columns[under[-1]], head.titles[under[-1]], cell) if under else (None, "", cell))
    return rows


def _aligned(head: TableHead, cells: list[tuple[int, int]], view: View) -> list[tuple[str | None, str, tuple[int, int]]]:
    """Cells with their columns. Where two cells have run into one, what stands before it aligns from the left, the rest from the right."""
    missing = len(head.columns) - len(cells)
    if missing and head.starts:
        return _by_place(head, cells, view)
    if missing <= 0 or len(cells) < 3:
        return list(zip(head.columns, head.titles, cells, strict=False))
    widest = max(range(len(cells)), key=lambda index: cells[index][1] - cells[index][0])
    rows = []
    for index, cell in enumerate(cells):
        if index == widest:
            rows += [(head.columns[index + step], head.titles[index + step], cell) for step in range(missing + 1)]
        else:
            place = index if index < widest else index + missing
            rows.append((head.columns[place], head.titles[place], cell))
    return rows


_LABEL = re.compile(r"(?:lesion|finding|nodule|mass|#)?\s*#?\s*(?P<label>\d{1,2}[a-z]?|[A-Ha-h]|[A-Z]-?\d{1,2})\s*\.?$", re.IGNORECASE)
_PLAIN_SIZE = re.compile(r"\s*\d{1,3}(?:[.,]\d)?(?:\s*[x*]\s*\d{1,3}(?:[.,]\d)?){0,2}\s*$")
_DOTTED_HOUR = re.compile(r"(?<![\d.+])(?P<hour>1[0-2]|0?[1-9])[.](?P<minute>00|15|30|45)(?!\d|\s?[cm]m)")
_PLAIN_HOUR = re.compile(r"\s*(?P<hour>1[0-2]|0?[1-9])(?::(?P<minute>00|30))?(?:\s*(?:h|hrs?|o'?\s?clock))?\s*$")
_PLAIN_CATEGORY = re.compile(
    r"\s*(?:(?:mr )?(?:bi-?rads|acr|category|assessment|final|overall)\s*[:-]?\s*)*(?P<cat>[0-6])[\s(-]{0,2}(?P<sub>[abc])?\b"
)
_PLAIN_NUMBER = re.compile(r"\s*n?\s?\+?\s?(?P<value>\d{1,3}(?:[.,]\d)?)\s*(?P<unit>mm|cm)?\s*$")
_SHORT_SIDES = {
    "l": "left",
    "lt": "left",
    "left": "left",
    "r": "right",
    "rt": "right",
    "right": "right",
    "b": "bilateral",
    "bilateral": "bilateral",
    "both": "bilateral",
}


def read_cell(draft: Draft, column: str, title: str, span: tuple[int, int], view: View) -> None:
    """Put one cell's value into the draft; a cell that does not read as its column is left."""
    start, end = span
    cut = view.text.lower[start:end]
    if not cut.strip() or cut.strip() in ("-", "n/a", "none", "na") or column == "prior":
        return
    words = ((start + len(cut) - len(cut.lstrip()), start + len(cut.rstrip())),)
    for name, candidate in _places_and_side(column, cut, words, span, view).items():
        draft.fill(name, candidate)
    if column in ("label", "untitled"):
        match = _LABEL.match(view.text.text[start:end].strip())
        if match:
            draft.values["finding_id"] = Candidate(value=match["label"], words=words, rule="table", confidence=0.95)
    elif column == "birads":
        stated = category_candidate(view.categories.within(start, end), "table", 0.95)
        match = _PLAIN_CATEGORY.match(cut)
        if stated is not None:
            draft.fill("birads", stated)
        elif match:
            value = match["cat"] + (match["sub"] or "").upper() if match["cat"] == "4" else match["cat"]
            draft.fill("birads", Candidate(value=value, words=words, rule="table", confidence=0.95))
    elif column == "size":
        draft.fill("size_mm", _size(title, cut, words, span, view))
    _take_kind(draft, column, span, view)


def _places_and_side(column: str, cut: str, words: tuple[tuple[int, int], ...], span: tuple[int, int], view: View) -> dict[str, Candidate]:
    """Side, quadrant, clock and distance of a cell; bare numbers and letters by the column."""
    values: dict[str, Candidate] = {}
    if column in ("birads", "size", "depth", "label", "other", "kind"):
        return read_places(view, *span) if column in ("kind", "other") else values
    values.update(read_places(view, *span))
    side = side_of(current_sides(view, *span), "table", 0.95)
    if side is None and cut.strip().split(" ")[0].strip(".,/") in _SHORT_SIDES:
        side = Candidate(value=_SHORT_SIDES[cut.strip().split(" ")[0].strip(".,/")], words=words, rule="table", confidence=0.93)
    if side is not None:
        values["side"] = side
    hour = _PLAIN_HOUR.match(cut)
    if column == "clock" and hour is not None:
        value = int(hour["hour"]) + (0.5 if hour["minute"] == "30" else 0)
        values["clock"] = Candidate(value=value, words=words, rule="table", confidence=0.95)
    dotted = _DOTTED_HOUR.search(cut) if column in ("clock", "place") and "clock" not in values else None
    if dotted is not None:
        value = int(dotted["hour"]) + (round(int(dotted["minute"]) / 30) / 2 if int(dotted["minute"]) else 0)
        words = ((span[0] + dotted.start(), span[0] + dotted.end()),)
        values["clock"] = Candidate(value=value, words=words, rule="table", confidence=0.93)
    number = _PLAIN_NUMBER.match(cut)
    if column == "distance" and number is not None:
        distance = parse_number(number["value"])
        millimetres = distance if number["unit"] == "mm" or (number["unit"] is None and distance > 20) else distance * 10
        values["distance_from_nipple_mm"] = Candidate(
            value=int(millimetres) if millimetres == int(millimetres) else millimetres, words=words, rule="table", confidence=0.9
        )
    return values


def _size(title: str, cut: str, words: tuple[tuple[int, int], ...], span: tuple[int, int], view: View) -> Candidate | None:
    sizes = lesion_sizes(view, *span)
    if sizes and not sizes[0].is_unit_inferred:
        return size_candidate(sizes)
    if not _PLAIN_SIZE.match(cut):
        return size_candidate(sizes)
    factor = 10.0 if "cm" in title else 1.0
    values = tuple(round(parse_number(number) * factor, 3) for number in re.findall(r"\d+(?:[.,]\d)?", cut))
    if min(values) <= 0:
        return None
    whole = tuple(int(value) if value == int(value) else value for value in values)
    return Candidate(value=whole, words=words, rule="table", confidence=0.9, flags=() if "mm" in title or "cm" in title else ("unit",))


_KINDS = ("mass", "calcifications", "asymmetry", "architectural_distortion", "non_mass_enhancement", "focus", "cyst", "lymph_node")


def _take_kind(draft: Draft, column: str, span: tuple[int, int], view: View) -> None:
    if column in ("birads", "size", "distance", "depth"):
        return
    for hit in view.nouns.within(*span):
        label = "mass" if hit.label == "lesion" and column == "kind" else "lymph_node" if hit.label == "node" else hit.label
        if label in _KINDS:
            draft.fill("kind", Candidate(value=label, words=((hit.start, hit.end),), rule="table", confidence=0.94))
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelHead:
    """A table with a column for each labelled finding ("Item | Lesion 1 | Lesion 2"), the finding's draft under each."""

    drafts: tuple[Draft, ...]


_LABEL_TITLE = re.compile(r"(?:lesion|finding|nodule|mass|target|roi)s? ?#?(?P<label>\d{1,2}|[A-H])", re.IGNORECASE)


def read_label_head(clause: Clause, view: View, like: Draft) -> LabelHead | None:
    """The heading row of a table whose columns are findings, or None."""
    spans = cells_of(clause, view)
    titles = [_LABEL_TITLE.fullmatch(view.text.text[start:end].strip(" *_:")) for start, end in spans[1:]]
    if len(spans) < 2 or not all(titles):
        return None
    drafts = []
    for match, (start, end) in zip(titles, spans[1:], strict=True):
        assert match is not None
        draft = Draft(
            role=like.role, group=like.group, start=start, sentence=like.sentence, paragraph=like.paragraph, modality=like.modality
        )
        words = (
            (
                start + len(view.text.text[start:end]) - len(view.text.text[start:end].lstrip()),
                start + len(view.text.text[start:end].rstrip()),
            ),
        )
        draft.values["finding_id"] = Candidate(value=match["label"], words=words, rule="table", confidence=0.95)
        drafts.append(draft)
    return LabelHead(drafts=tuple(drafts))


def read_label_row(clause: Clause, view: View, head: LabelHead) -> None:
    """Fill the findings' drafts from a row such as "Size mm | 8 x 5 | 11 x 7 x 9"."""
    cells = cells_of(clause, view)
    if len(cells) != len(head.drafts) + 1:
        return
    title = view.text.lower[slice(*cells[0])].strip(" *_:")
    column = column_of(title)
    for draft, span in zip(head.drafts, cells[1:], strict=True):
        if column is not None:
            read_cell(draft, column, title, span, view)


_SIDE_TITLES = {
    **dict.fromkeys(("right", "right breast", "r", "rt", "right side"), "right"),
    **dict.fromkeys(("left", "left breast", "l", "lt", "left side"), "left"),
}
_NOTHING = re.compile(
    r"\W*(?:none|nil|no\b.*|normal|absent|negative|neg|n/?a|unremarkable|nad|clear|not (?:seen|present|done|performed).*|[-\u2013]*)\W*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideHead:
    """A table with a column for each breast: the sides of its columns with their words, from left to right."""

    sides: tuple[Candidate, ...]


def read_side_head(clause: Clause, view: View) -> SideHead | None:
    """The heading row of a table whose columns are the breasts, or None."""
    spans = cells_of(clause, view)
    sides = []
    for start, end in spans:
        title = view.text.lower[start:end].strip(" *_:")
        if title in _SIDE_TITLES:
            lead = start + len(view.text.text[start:end]) - len(view.text.text[start:end].lstrip())
            words = ((lead, lead + len(title)),)
            sides.append(Candidate(value=_SIDE_TITLES[title], words=words, rule="side_heading", confidence=0.94))
    return SideHead(sides=tuple(sides)) if len(sides) == 2 and len(spans) <= 3 else None


def read_side_row(clause: Clause, view: View, head: SideHead, draft: Draft) -> list[Draft]:
    """The findings of a row such as "Calcifications | none | benign, scattered"."""
    cells = cells_of(clause, view)
    if len(cells) != len(head.sides) + 1:
        return []
    drafts = []
    for side, span in zip(head.sides, cells[1:], strict=True):
        if _NOTHING.fullmatch(view.text.lower[slice(*span)].strip()):
            continue
        own = Draft(role=draft.role, group=draft.group, start=span[0], sentence=draft.sentence, paragraph=draft.paragraph)
        own.modality = draft.modality
        _take_kind(own, "kind", span, view)
        _take_kind(own, "kind", cells[0], view)
        own.values["side"] = side
        for name, candidate in read_places(view, *span).items():
            own.fill(name, candidate)
        own.fill("size_mm", size_candidate(lesion_sizes(view, *span)))
        own.fill("birads", category_candidate(view.categories.within(*span), "category", 0.93))
        if "kind" in own.values:
            drafts.append(own)
    return drafts
