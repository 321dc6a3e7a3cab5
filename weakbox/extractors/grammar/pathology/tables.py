"""Tables in a pathology report: a line of column names, then one row a specimen."""

from __future__ import annotations

import re
from collections.abc import Iterator

from weakbox.extractors.grammar.pathology.cores import number_of
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.labels import Label, ordinals_of

_COLUMNS = (
    (
        "specimen_id",
        re.compile(
            r"(?:specimen|part|container|jar|vial|sample|id|no\.?|#|label|core|block)(?:\s*(?:id|no\.?|#|label|number))?", re.IGNORECASE
        ),
    ),
    (
        "site",
        re.compile(r"(?:(?:biopsy |specimen |core )?(?:site|location|region|area|position|description|sector))(?:/\w+)?", re.IGNORECASE),
    ),
    (
        "fraction",
        re.compile(
            r"(?:cores?\s*)?(?:\(?\+\)?|pos(?:itive)?|involved|inv\.?)\s*/\s*(?:total|taken|cores?|no\.?)(?:\s*cores?)?|cores?\s*"
            r"(?:involved|positive|pos\.?|\+)?\s*\(?(?:pos(?:itive)?|\+)?/(?:total)?\)?|(?:involved|positive)\s+cores?\s*/\s*total.*",
            re.IGNORECASE,
        ),
    ),
    (
        "cores_positive",
        re.compile(
            r"(?:no\.? of |number of |# )?(?:(?:pos(?:itive)?|involved|\+)\s*(?:cores?)?|cores?\s*(?:pos(?:itive)?\.?|involved|\+|with "
            r"(?:tumou?r|cancer)))",
            re.IGNORECASE,
        ),
    ),
    (
        "cores_total",
        re.compile(
            r"(?:(?:total|no\.?|number|#|n)?\s*(?:of\s+)?(?:cores?|taken)(?:\s*(?:taken|total|sampled|submitted|examined|received"
            r"|\(total\)|\(n\)))?|total)",
            re.IGNORECASE,
        ),
    ),
    ("isup", re.compile(r"(?:grade\s*group|gg|isup(?:\s*(?:grade|gg|group))?|who.*group|grp)(?:\s*\(.*\))?", re.IGNORECASE)),
    ("gleason", re.compile(r"(?:gleason.*|gs|score)", re.IGNORECASE)),
    ("percent", re.compile(r"(?:.*%.*|percent.*|involvement|tumou?r volume)", re.IGNORECASE)),
    ("length", re.compile(r"(?:.*\(?(?:mm|cm)\)?.*|.*length.*|tumou?r size|extent)", re.IGNORECASE)),
    ("diagnosis", re.compile(r"(?:diagnosis|result|histology|findings?|dx|interpretation|pathology|comment|notes?)", re.IGNORECASE)),
)
_CELL = re.compile(r"[^|\t\n]+")
_SPACED_CELL = re.compile(r"\S+(?: \S+)*")
_MINIMUM_COLUMNS = 3
_ONE_ID = r"(?:[A-Z]{1,2}\d?|\d{1,2}[A-Za-z]?|[IVX]{1,5}|[a-z])"
_ID = re.compile(rf"(?:(?i:specimens?|parts?|cores?))?\s*(?P<id>{_ONE_ID}(?:\s*(?:-|,|&|/|\+|\bto\b|\band\b)\s*{_ONE_ID})*)(?:[.):]|$)")

Row = tuple[Label | None, TextRange, Facts]
Cell = tuple[int, int]


def find_rows(text: str, start: int, end: int) -> list[Row]:
    """The rows of every table in ``text[start:end]``: label, stretch, and what counts and measures its columns give."""
    rows: list[Row] = []
    columns: list[str | None] = []
    for first, last in _lines(text, start, end):
        cells = _cells(text, first, last)
        names = _column_names(text, cells)
        if names:
            columns = names
        elif columns and len(cells) >= 2:
            row = _row(text, cells, columns, (first, last))
            if row is not None:
                rows.append(row)
        elif columns and cells and not _is_rule(text[first:last]):
            columns = []
    return rows


def _lines(text: str, start: int, end: int) -> Iterator[TextRange]:
    position = start
    for line in text[start:end].split("\n"):
        yield position, position + len(line)
        position += len(line) + 1


def _is_rule(line: str) -> bool:
    return not any(character.isalnum() for character in line)


def _cells(text: str, start: int, end: int) -> list[Cell]:
    line = text[start:end]
    has_bars = "|" in line or "\t" in line.strip()
    pattern = _CELL if has_bars else _SPACED_CELL
    offset = len(line) - len(line.lstrip(" |\t")) if has_bars else 0
    cells = []
    for match in pattern.finditer(text, start + offset, end):
        cut = match[0]
        first = match.start() + len(cut) - len(cut.lstrip())
        cells.append((first, max(first, match.end() - len(cut) + len(cut.rstrip()))))
    return cells


def _column_names(text: str, cells: list[Cell]) -> list[str | None]:
    if len(cells) < _MINIMUM_COLUMNS or any(last - first > 40 for first, last in cells):
        return []
    names = [_column_name(text[first:last]) for first, last in cells]
    known = [name for name in names if name]
    return names if len(known) >= _MINIMUM_COLUMNS and len(known) >= len(cells) - 1 else []


def _column_name(words: str) -> str | None:
    cleaned = " ".join(words.split()).strip(" :*_")
    return next((name for name, pattern in _COLUMNS if pattern.fullmatch(cleaned)), None)


def _row(text: str, cells: list[Cell], columns: list[str | None], line: TextRange) -> Row | None:
    if len(cells) > len(columns):
        return None
    label: Label | None = None
    facts: Facts = {}
    for (first, last), column in zip(cells, columns, strict=False):
        words = text[first:last]
        if column == "specimen_id" and _ID.match(words):
            match = _ID.match(words)
            label = _row_label(match["id"], first, last) if match else None
        elif column in _READERS and words not in ("-", "--", "n/a", "N/A", "NA"):
            facts |= _READERS[column](words, (first, last))
    total = re.match(r"\s*\|?\s*(?:total|overall|sum)\b", text[line[0] : line[1]], re.IGNORECASE)
    return None if total else (label, line, facts or {"_row": Fact(value=True, spans=(line,))})


def _row_label(written: str, start: int, end: int) -> Label | None:
    for scheme, ordinals in ordinals_of(written).items():
        return Label(written=written, scheme=scheme, ordinals=ordinals, start=start, end=end, body=end, has_noun=False)
    return None


def _counts(name: str, words: str, span: TextRange) -> Facts:
    match = re.fullmatch(r"\W*(\d{1,2}|[a-z]+)\W*(?:cores?)?", words, re.IGNORECASE)
    if match is None or not (match[1].isdigit() or number_of(match[1])):
        return {}
    return {name: Fact(value=number_of(match[1]), spans=(span,), confidence=0.95, rule="column")}


def _fraction(words: str, span: TextRange) -> Facts:
    match = re.search(r"(\d{1,2})\s*(?:/|of)\s*(\d{1,2})", words)
    if match is None:
        return {}
    return {
        "cores_positive": Fact(value=int(match[1]), spans=(span,), confidence=0.95, rule="column"),
        "cores_total": Fact(value=int(match[2]), spans=(span,), confidence=0.95, rule="column"),
    }


def _measure(name: str, words: str, span: TextRange) -> Facts:
    numbers = [float(number.replace(",", ".")) for number in re.findall(r"\d+(?:[.,]\d+)?", words)]
    if not numbers or max(numbers) == 0:
        return {}
    value = max(numbers) * (10 if re.search(r"\bcm\b", words) and name == "tumor_length_mm" else 1)
    flags = ("range",) if (len(numbers) > 1 and re.search(r"\d\s*-\s*\d", words)) or "<" in words else ()
    return {name: Fact(value=int(value) if value == int(value) else value, spans=(span,), confidence=0.94, rule="column", flags=flags)}


def _group(words: str, span: TextRange) -> Facts:
    match = re.search(r"(?<![\d+])([1-5])(?![\d+])", words)
    return {"isup_grade": Fact(value=int(match[1]), spans=(span,), confidence=0.96, rule="column")} if match and "+" not in words else {}


_READERS = {
    "fraction": _fraction,
    "cores_positive": lambda words, span: _fraction(words, span) or _counts("cores_positive", words, span),
    "cores_total": lambda words, span: _fraction(words, span) or _counts("cores_total", words, span),
    "isup": _group,
    "percent": lambda words, span: _measure("percent_involved", words, span),
    "length": lambda words, span: _measure("tumor_length_mm", words, span),
}
