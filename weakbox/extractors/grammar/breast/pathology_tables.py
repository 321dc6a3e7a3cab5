"""Tables: a header row gives the columns, which are either what is measured (a row a specimen) or the specimens themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from weakbox.extractors.grammar.pathology.facts import TextRange

_LINE = re.compile(r"[^\n]+")
_GAP = re.compile(r"(?:[^\s|]|(?<=\S) (?=\S))+")
_TAB = re.compile(r"[^\t\n]+")
_SEMICOLON = re.compile(r"[^;\n]+")
_RULE = re.compile(r"[\s|:+=_-]+")
_KEYS = (
    ("her2_ish", re.compile(r"(?:her-?2\W*(?:neu)?\W*)?(?:by |\()?\s*(?:[dfcs]|dual[- ]?)?-?ish\b\)?")),
    ("her2", re.compile(r"(?:her[- ]?2|c-?erb-?b-?2)")),
    ("er", re.compile(r"(?:o?estrogen|er\b|e\.r\.)")),
    ("pr", re.compile(r"(?:progest|pr\b|pgr\b|p\.r\.)")),
    ("grade", re.compile(r"(?:(?:nottingham|overall|histolog\w+|nuclear|final|tumou?r|combined|nhg|who|sbr|mbr)\s+)*(?:grade|nhg|gr\b)")),
    (
        "size",
        re.compile(r"(?:(?:max\w*|tumou?r|invasive|greatest|largest|microscopic|pathologic\w*)\s+)*(?:size|diameter|extent|dimension)"),
    ),
    (
        "text",
        re.compile(
            r"(?:(?:histolog\w*|final|patholog\w*|microscopic|tumou?r)\s+)*(?:diagnos[ie]s|histology|result|findings?|type|interpretation|impression)"
        ),
    ),
    (
        "site",
        re.compile(r"(?:(?:specimen|biopsy|anatomic\w*)\s+)?(?:site|location|source|side|laterality|description|procedure|position|clock)"),
    ),
    ("id", re.compile(r"(?:specimens?|part|pot|no|nr|id|#|container|label|block|sample)\b\.?")),
)
_MOST_ROWS = 60
_OWNER = re.compile(
    r"[(\[]?(?:(?:specimen|part|pot|tumou?r|lesion|focus|sample|container|block|biopsy|site|mass|core)\s*#?\s*)?[(\[]?(?P<id>[a-z]|\d{1,2}|[ivx]{1,4})[)\]]?"
    r"(?:[.):,-]?\s+\(?(?P<rest>\D.{0,40}))?\s*"
)
_PLACE = re.compile(r"\b(?:left|right|lt|rt|o'?clock|uoq|uiq|loq|liq|\d{1,2}:\d\d)\b|\b\d{1,2}:[0-5]\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a table says under ``key`` at ``start:end``. ``owner`` is the identifier or the words of the specimen of its column or row."""

    key: str
    start: int
    end: int
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The cells of one table and the lines that it takes."""

    cells: tuple[Cell, ...]
    headers: tuple[TextRange, ...]
    owners: tuple[tuple[str, int, int], ...] = ()
    """The identifiers of a table with a column a specimen that says a diagnosis, with their places."""
    """Stretches whose words are keys, not values: the header row, or the whole of a table with a column a specimen."""


def find_tables(lower: str) -> list[Table]:
    """The tables with a header row, in order."""
    if "  " not in lower and "|" not in lower and "\t" not in lower and ";" not in lower:
        return []
    lines = [(match.start(), _cells(lower, match.start(), match.end())) for match in _LINE.finditer(lower)]
    tables: list[Table] = []
    index = 0
    while index < len(lines) - 1:
        rows = _rows_from(lines, lower, index)
        table = _read(lower, rows) if len(rows) > 1 else None
        if table is not None:
            tables.append(table)
        index += len(rows) if table is not None else 1
    return tables


def _cells(lower: str, start: int, end: int) -> list[TextRange]:
    line = lower[start:end]
    if "|" in line:
        return _between_bars(lower, start, end)
    if "\t" in line:
        pattern = _TAB
    elif line.count(";") > 1 and "; " not in line:
        pattern = _SEMICOLON
    elif "  " in line.strip():
        pattern = _GAP
    else:
        return []
    return [_stripped(lower, *match.span()) for match in pattern.finditer(lower, start, end) if match[0].strip()]


def _between_bars(lower: str, start: int, end: int) -> list[TextRange]:
    """The cells of a line with bars, empty ones too, so that columns stay in place."""
    marks = [start - 1, *(position for position in range(start, end) if lower[position] == "|"), end]
    cells = [_stripped(lower, first + 1, last) for first, last in pairwise(marks)]
    cells = cells[1:] if cells and cells[0][0] >= cells[0][1] else cells
    return cells[:-1] if cells and cells[-1][0] >= cells[-1][1] else cells


def _stripped(lower: str, start: int, end: int) -> TextRange:
    words = lower[start:end]
    first = start + len(words) - len(words.lstrip())
    return (first, max(first, end - (len(words) - len(words.rstrip()))))


def _rows_from(lines: Sequence[tuple[int, list[TextRange]]], lower: str, index: int) -> list[list[TextRange]]:
    """The rows from a line on: lines with cells, rules between them left out, to the first line without."""
    rows: list[list[TextRange]] = []
    previous_end = lines[index][0]
    for start, cells in lines[index:]:
        is_apart = "\n\n" in lower[max(0, previous_end - 1) : start]
        if len(cells) < 2 or (rows and is_apart) or len(rows) == _MOST_ROWS:
            break
        previous_end = cells[-1][1]
        if not all(_RULE.fullmatch(lower[slice(*cell)]) for cell in cells):
            rows.append(cells)
    return rows


def _key(words: str) -> str | None:
    words = words.strip(" *_:")
    for name, pattern in _KEYS:
        match = pattern.match(words)
        if match is not None and len(words) - match.end() <= 22:
            return name
    return None


def _read(lower: str, rows: list[list[TextRange]]) -> Table | None:
    header = [lower[slice(*cell)] for cell in rows[0]]
    keys = [_key(words) for words in header]
    measured = [key for key in keys if key in ("er", "pr", "her2", "her2_ish", "grade", "size")]
    if len(set(measured)) >= 2 or (len(set(measured)) == 1 and len([key for key in keys if key]) >= 3):
        return _by_row(lower, rows, keys)
    return _by_column(lower, rows)


def _by_row(lower: str, rows: list[list[TextRange]], keys: list[str | None]) -> Table | None:
    width = len(rows[0])
    body = [row for row in rows[1:] if abs(len(row) - width) <= 1]
    if not body or any(_key(lower[slice(*row[0])]) in ("er", "pr", "her2", "her2_ish") for row in body):
        return None
    cells = [
        Cell(key=key, start=cell[0], end=cell[1], owner=_owner(lower[slice(*row[0])]))
        for row in body
        for position, cell in enumerate(row)
        if cell[1] > cell[0] and (key := keys[_column(lower, rows[0], row, position)]) is not None
    ]
    return Table(cells=tuple(cells), headers=((rows[0][0][0], rows[0][-1][1]),))


def _column(lower: str, header: list[TextRange], row: list[TextRange], position: int) -> int:
    """The header's column of a cell: by place in rows as wide as the header, otherwise the nearest on the line."""
    if len(row) == len(header):
        return position
    offset = _offset(lower, row[position])
    return min(range(len(header)), key=lambda index: abs(_offset(lower, header[index]) - offset))


def _offset(lower: str, cell: TextRange) -> int:
    return cell[0] - lower.rfind("\n", 0, cell[0]) - 1


def _by_column(lower: str, rows: list[list[TextRange]]) -> Table | None:
    body = [row for row in rows[1:] if _key(lower[slice(*row[0])]) is not None]
    owners = rows[0] if body and len(rows[0]) == max(len(row) for row in body) - 1 else rows[0][1:]
    names = [_owner(lower[slice(*cell)]) for cell in owners]
    if len(body) < 2 or len(names) < 2 or any(name is None for name in names):
        return None
    cells = [
        Cell(key=str(_key(lower[slice(*row[0])])), start=cell[0], end=cell[1], owner=name)
        for row in body
        for cell, name in zip(row[1:], names, strict=False)
    ]
    span = (rows[0][0][0], rows[-1][-1][1])
    is_whole = any(cell.key == "text" for cell in cells)
    return Table(cells=tuple(cells), headers=(span,), owners=tuple(_owner_spans(lower, owners)) if is_whole else ())


def _owner_spans(lower: str, cells: Sequence[TextRange]) -> list[tuple[str, int, int]]:
    """The identifiers in the heads of columns, where all have one."""
    found = [(cell, match) for cell in cells if (match := _OWNER.fullmatch(lower, *cell)) is not None]
    return [(match["id"], match.start("id"), match.end("id")) for _, match in found] if len(found) == len(cells) else []


def _owner(words: str) -> str | None:
    words = words.strip(" *_:")
    match = _OWNER.fullmatch(words)
    if match is not None:
        return match["id"]
    return words if _PLACE.search(words) else None
