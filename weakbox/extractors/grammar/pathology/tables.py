"""Tables in a pathology report: a line of column names, then one row a specimen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from weakbox.extractors.grammar.pathology.columns import EMPTY, column_name, read_cell, read_patterns
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.labels import Label
from weakbox.extractors.grammar.pathology.ordinals import ordinals_of
from weakbox.extractors.grammar.pathology.places import location_facts
from weakbox.records.record import record

_SPACED_CELL = re.compile(r"\S+(?: \S+)*")
_MINIMUM_COLUMNS = 3
_LONGEST_NAME = 40
_MANY_COLUMNS = 5
_STRANGE_BETWEEN_MARKS = 2
"""Names that say nothing, among many that bars or tabs part."""
_ONE_ID = r"(?:[A-Z]{1,2}\d?|\d{1,2}[A-Za-z]?|[IVX]{1,5}|[a-z])"
_ID = re.compile(
    rf"(?:(?i:specimens?|parts?|cores?|containers?|jars?|vials?|samples?|site)\s*[#:]?)?\s*(?P<id>{_ONE_ID}"
    rf"(?:\s*(?:-|,|&|/|\+|\bto\b|\band\b)\s*{_ONE_ID})*)(?:[.):]|$)"
)
_TOTAL_ROW = re.compile(r"\s*\|?\s*(?:total|overall|sum)\b", re.IGNORECASE)

ColumnOf = Callable[[int], int]
Row = tuple[Label | None, TextRange, Facts]
Cell = tuple[int, int]


@record
class Table:
    """A line of column names at ``start`` and the rows below it, up to ``end``.

    ``ignored`` are cells that speak of something else than the contract's fields (the share of pattern 4).
    """

    start: int
    end: int
    rows: tuple[Row, ...]
    ignored: tuple[TextRange, ...] = ()
    is_list: bool = False
    """No column tells a finding: the table lists what was received."""
    is_form: bool = False
    """Fields, one below the other, of which each row holds some."""


def find_rows(text: str, start: int, end: int) -> list[Row]:
    """The rows of every table in ``text[start:end]``: label, stretch, and what counts and measures its columns give."""
    return [row for table in find_tables(text, start, end) for row in table.rows]


def find_tables(text: str, start: int, end: int, column_of: ColumnOf | None = None) -> list[Table]:
    """Every table of ``text[start:end]``, in order; ``column_of`` tells on which column of its raw line a character stands."""
    if not _MAY_HOLD_COLUMNS.search(text, start, end):
        return []
    tables: list[Table] = []
    drafts: list[_Draft] = []
    draft: _Draft | None = None
    matrices: list[_Matrix] = []
    matrix: _Matrix | None = None
    for first, last in _lines(text, start, end):
        if _is_rule(text[first:last]):
            continue
        cells = _cells(text, first, last, draft.mark if draft else None)
        sides = _side_columns(text, _cells(text, first, last), column_of)
        if sides:
            matrix = _Matrix(columns=sides, start=first, end=last)
            matrices.append(matrix)
            draft = None
            continue
        if matrix is not None and matrix.add(text, cells, (first, last), column_of):
            continue
        matrix = None if cells else matrix
        columns, mark = _named_columns(text, first, last, column_of)
        if columns:
            draft = _Draft(columns=columns, start=first, end=last, mark=mark)
            drafts.append(draft)
        elif draft is not None and len(cells) >= 2:
            draft.add(text, cells, (first, last), column_of)
        elif draft is not None and cells:
            draft = None
    for draft in drafts:
        if draft.rows:
            tables.append(draft.table())
    tables += [table for m in matrices if (table := m.table(text)) is not None]
    return sorted(tables, key=lambda table: table.start)


_MAY_HOLD_COLUMNS = re.compile(r"\||\t| {2,}\S[^\n]* {2,}\S| / [^\n]* / |\b(?:site|location|gleason|diagnosis)\b[^\n]*[;,]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A column's field, and where its name stands on the line."""

    name: str | None
    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class _Draft:
    columns: list[_Column]
    mark: str
    start: int
    end: int
    rows: list[Row] = field(default_factory=list)
    ignored: list[TextRange] = field(default_factory=list)
    counted: list[Label | None] = field(default_factory=list)
    """For each row the label that its first cell may be, where the column has no name of its own."""

    def add(self, text: str, cells: list[Cell], line: TextRange, column_of: ColumnOf | None) -> None:
        """One more row; a line of totals, or one that does not fit the columns, is none."""
        self.end = line[1]
        aligned = _aligned(text, cells, self.columns, column_of)
        if aligned is None or _TOTAL_ROW.match(text, *line):
            return
        self.rows.append(_row(text, aligned, line))
        self.counted.append(_counted_label(text, *aligned[0]))
        self.ignored += [cell for column, cell in aligned if column == "ignored" and cell[0] < cell[1]]

    def table(self) -> Table:
        """The rows as a table; cells that count the rows under a name that says nothing ("PT") are the labels."""
        if None not in self.counted:
            labelled = [(label, line, facts) for label, (_, line, facts) in zip(self.counted, self.rows, strict=True)]
            numbers = [label.ordinals for label, _, _ in _of_one_scheme(labelled) if label]
            self.rows = labelled if numbers == [(n + 1,) for n in range(len(labelled))] else self.rows
        names = {column.name for column in self.columns}
        self.rows = _of_one_scheme(self.rows)
        return Table(
            start=self.start, end=self.end, rows=tuple(self.rows), ignored=tuple(self.ignored), is_list=not names & _FINDING_COLUMNS
        )


@dataclass(slots=True, kw_only=True)
class _Matrix:
    """A map of the biopsies: a column for each side, a row for each level; every cell is a specimen."""

    columns: list[tuple[_Column, Cell]]
    start: int
    end: int
    rows: list[Row] = field(default_factory=list)
    fields: dict[Cell, list[tuple[str, Cell]]] = field(default_factory=dict)
    """Of a form that has a column for each side: each side's cells with their fields."""

    def add(self, text: str, cells: list[Cell], line: TextRange, column_of: ColumnOf | None) -> bool:
        """Whether the line is a row of the map, or a field of both sides; then its cells are added."""
        if len(cells) < 2 or cells[0][1] - cells[0][0] > _LONGEST_NAME:
            return False
        column = column_name(text[slice(*cells[0])])
        if not location_facts(text, *cells[0]):
            is_field = column is not None or (bool(self.fields) and len(cells) == len(self.columns) + 1)
            return is_field and self._add_field(text, column or "ignored", cells, (line, column_of))
        for cell, header in self._placed(text, cells, column_of):
            site = Fact(value=True, spans=(cells[0], header))
            self.rows.append((None, cell, {"_row": Fact(value=True, spans=(cell,)), "_site": site}))
        self.end = line[1]
        return True

    def _add_field(self, text: str, column: str, cells: list[Cell], at: tuple[TextRange, ColumnOf | None]) -> bool:
        """A line of a form that gives a field of each side."""
        line, column_of = at
        for cell, header in self._placed(text, cells, column_of):
            self.fields.setdefault(header, []).append((column, cell))
        self.end = line[1]
        return True

    def _placed(self, text: str, cells: list[Cell], column_of: ColumnOf | None) -> list[tuple[Cell, Cell]]:
        """The cells that say something, each with the side above it."""
        if len(cells) - 1 == len(self.columns):
            placed = [(cell, column[1]) for cell, column in zip(cells[1:], self.columns, strict=True) if cell[0] < cell[1]]
        else:
            placed = [(cell, self._above(text, cell, column_of)) for cell in cells[1:] if cell[0] < cell[1]]
        return [(cell, header) for cell, header in placed if text[slice(*cell)].strip() not in EMPTY]

    def table(self, text: str) -> Table | None:
        """The specimens of the map, or one for each side of a form; None where neither has rows."""
        if self.rows or sum(len(fields) for fields in self.fields.values()) < _FEWEST_FIELDS:
            return Table(start=self.start, end=self.end, rows=tuple(self.rows)) if self.rows else None
        rows = tuple(_side_row(text, header, fields) for header, fields in sorted(self.fields.items()))
        return Table(start=self.start, end=self.end, rows=rows, is_form=True)

    def _above(self, text: str, cell: Cell, column_of: ColumnOf | None) -> Cell:
        left = _place(text, cell[0], column_of)
        return min(self.columns, key=lambda column: abs(column[0].first - left))[1]


_FEWEST_FIELDS = 3


def _side_row(text: str, side: Cell, fields: list[tuple[str, Cell]]) -> Row:
    facts: Facts = {"_row": Fact(value=True, spans=(fields[0][1],)), "_site": Fact(value=True, spans=(side,))}
    body = next((cell for name in ("diagnosis", "gleason") for column, cell in fields if column == name), fields[0][1])
    for column, cell in fields:
        facts |= read_cell(column, text, cell) | (read_patterns(text, cell) if column == "gleason" else {})
    return None, body, facts


_SIDE_NAME = re.compile(
    r"(?:(?:left|right|lt|rt)\.?(?:\s+(?:lobe|side|gland|prostate|half|biops(?:y|ies)|cores?))?|[LR])\s*:?", re.IGNORECASE
)
_ROW_NAME = re.compile(r"(?:level|site|zone|region|location|area|sector|)\s*:?", re.IGNORECASE)


def _side_columns(text: str, cells: list[Cell], column_of: ColumnOf | None) -> list[tuple[_Column, Cell]]:
    """The columns of a map of the biopsies, where the line is nothing but its sides."""
    named = [cell for cell in cells if cell[0] < cell[1]]
    if named and _SIDE_NAME.fullmatch(text[slice(*named[0])]) is None and _ROW_NAME.fullmatch(text[slice(*named[0])]):
        named = named[1:]
    if len(named) != 2 or not all(_SIDE_NAME.fullmatch(text[slice(*cell)]) for cell in named):
        return []
    if len({text[cell[0]].lower() for cell in named}) != 2:
        return []
    return [
        (_Column(name="side", first=_place(text, cell[0], column_of), last=_place(text, cell[1] - 1, column_of) + 1), cell)
        for cell in named
    ]


_FINDING_COLUMNS = {"fraction", "cores_positive", "isup", "gleason", "percent", "measures", "length", "diagnosis"}


def _lines(text: str, start: int, end: int) -> Iterator[TextRange]:
    position = start
    for line in text[start:end].split("\n"):
        yield position, position + len(line)
        position += len(line) + 1


def _is_rule(line: str) -> bool:
    return not any(character.isalnum() for character in line)


def _named_columns(text: str, start: int, end: int, column_of: ColumnOf | None) -> tuple[list[_Column], str]:
    """The columns that a line names, and the mark between them: the usual one, otherwise a slash or a semicolon between blanks."""
    mark = _mark_of(text[start:end])
    columns = _columns(text, _cells(text, start, end, mark), column_of)
    if columns or mark:
        return columns, mark
    for other in _OTHER_MARKS:
        if text.count(other, start, end) >= _MINIMUM_COLUMNS - 1:
            columns = _columns(text, _cells(text, start, end, other), column_of)
            if columns and all(column.name for column in columns) and not _DIGIT.search(text, start, end):
                return columns, other
    return [], ""


_DIGIT = re.compile(r"\d|\.\s*$")
_OTHER_MARKS = (" / ", ";", ",")


def _mark_of(line: str) -> str:
    return "|" if "|" in line else "\t" if "\t" in line.strip() else ""


def _cells(text: str, start: int, end: int, mark: str | None = None) -> list[Cell]:
    """The cells of a line: between bars or tabs, empty ones kept; otherwise what two blanks part."""
    line = text[start:end]
    mark = (mark if mark in _OTHER_MARKS and mark in line else None) or _mark_of(line)
    if not mark:
        return [match.span() for match in _SPACED_CELL.finditer(text, start, end)]
    cells = []
    position = start
    for cut in line.split(mark):
        lead = len(cut) - len(cut.lstrip())
        first = position + min(lead, len(cut))
        cells.append((first, max(first, position + len(cut.rstrip()))))
        position += len(cut) + len(mark)
    if cells and cells[0][0] >= cells[0][1]:
        del cells[0]
    if cells and cells[-1][0] >= cells[-1][1] and mark == "|" and line.rstrip().endswith("|"):
        del cells[-1]
    return cells


def _columns(text: str, cells: list[Cell], column_of: ColumnOf | None) -> list[_Column]:
    if not cells or any(last - first > _LONGEST_NAME for first, last in cells) or _is_field(text, cells):
        return []
    cells = [part for cell in cells for part in _single_names(text, cell)]
    if len(cells) < _MINIMUM_COLUMNS or any(last - first > _LONGEST_NAME for first, last in cells):
        return []
    names = [column_name(text[first:last]) for first, last in cells]
    known = [name for name in names if name]
    strange = _STRANGE_BETWEEN_MARKS if len(cells) > _MANY_COLUMNS and _mark_of(text[cells[0][0] : cells[-1][1]]) else 1
    if len(known) < _MINIMUM_COLUMNS or len(known) < len(cells) - strange:
        return []
    return [
        _Column(name=name, first=_place(text, cell[0], column_of), last=_place(text, cell[1] - 1, column_of) + 1)
        for name, cell in zip(names, cells, strict=True)
    ]


def _is_field(text: str, cells: list[Cell]) -> bool:
    """Whether the line is a field with its value ("Total Gleason score:   9") rather than names of columns."""
    return text[cells[0][1] - 1] == ":" and not all(text[last - 1] == ":" for _, last in cells[1:])


def _single_names(text: str, cell: Cell) -> list[Cell]:
    """A cell that holds the names of several columns with one blank between them ("Part Site"), cut into these."""
    words = [match.span() for match in re.finditer(r"\S+", text[slice(*cell)])]
    if not 1 < len(words) <= 4 or column_name(text[slice(*cell)]) is not None:
        return [cell]
    parts = [(cell[0] + first, cell[0] + last) for first, last in words]
    return parts if all(column_name(text[slice(*part)]) for part in parts) else [cell]


def _place(text: str, position: int, column_of: ColumnOf | None) -> int:
    return position - text.rfind("\n", 0, position) - 1 if column_of is None else column_of(position)


def _aligned(text: str, cells: list[Cell], columns: list[_Column], column_of: ColumnOf | None) -> list[tuple[str | None, Cell]] | None:
    """Each cell with the name of its column: in order, after a label without a column, or by where it stands on the line."""
    names = [column.name for column in columns]
    line = text[text.rfind("\n", 0, cells[0][0]) + 1 : cells[-1][1]]
    has_marks = "|" in line or "\t" in line.strip() or any(mark in text[cells[0][1] : cells[1][0]] for mark in _OTHER_MARKS)
    if len(cells) == len(columns) + 1 and "specimen_id" not in names and _ID.fullmatch(text[slice(*cells[0])]):
        return [("specimen_id", cells[0]), *zip(names, cells[1:], strict=True)]
    if len(cells) == len(columns) or (has_marks and len(cells) < len(columns)):
        return list(zip(names, cells, strict=False))
    filled = [cell for cell in cells if cell[0] < cell[1]]
    if has_marks:
        return list(zip(names, filled, strict=True)) if len(filled) == len(columns) else None
    if len(cells) > len(columns):
        return None
    return _by_place(text, filled, columns, column_of)


def _by_place(text: str, cells: list[Cell], columns: list[_Column], column_of: ColumnOf | None) -> list[tuple[str | None, Cell]]:
    """Each cell under the name that stands above it; where two would share one, only the first two cells count."""
    aligned: list[tuple[str | None, Cell]] = []
    taken: list[int] = []
    for first, last in cells:
        left, right = _place(text, first, column_of), _place(text, last - 1, column_of) + 1
        near = min(
            range(len(columns)),
            key=lambda index: (max(columns[index].first - right, left - columns[index].last, 0), abs(columns[index].first - left)),
        )
        taken.append(near)
        aligned.append((columns[near].name, (first, last)))
    return aligned if len(set(taken)) == len(taken) else [(column.name, cell) for column, cell in zip(columns[:2], cells[:2], strict=False)]


def _row(text: str, aligned: list[tuple[str | None, Cell]], line: TextRange) -> Row:
    label: Label | None = None
    facts: Facts = {"_row": Fact(value=True, spans=(line,))}
    is_first = True
    for column, (first, last) in aligned:
        words = text[first:last]
        match = _ID.match(words) if column == "specimen_id" else None
        if match is not None:
            label = _row_label(match["id"], first, last, last if is_first else line[0])
        elif column in ("site", "specimen_id") and words not in EMPTY:
            facts["_site"] = Fact(value=True, spans=((first, last),))
        elif column is not None:
            facts |= read_cell(column, text, (first, last))
            facts |= read_patterns(text, (first, last)) if column == "gleason" and text[first - 1] == "," else {}
        is_first = False
    return label, line, facts


def _of_one_scheme(rows: list[Row]) -> list[Row]:
    """The rows with labels of the one scheme in which all of them may be read: "I" beside "II" is no letter."""
    read = [ordinals_of(label.written) for label, _, _ in rows if label is not None]
    shared = [scheme for scheme in (read[0] if read else ()) if all(scheme in reading for reading in read)]
    if not shared or all(label is None or label.scheme == shared[0] for label, _, _ in rows):
        return rows
    return [(label and _in_scheme(label, shared[0]), line, facts) for label, line, facts in rows]


def _in_scheme(label: Label, scheme: str) -> Label:
    return replace(label, scheme=scheme, ordinals=ordinals_of(label.written)[scheme])


def _counted_label(text: str, column: str | None, cell: Cell) -> Label | None:
    match = _ID.fullmatch(text[slice(*cell)]) if column is None else None
    return _row_label(match["id"], *cell, cell[1]) if match else None


def _row_label(written: str, start: int, end: int, body: int) -> Label | None:
    for scheme, ordinals in ordinals_of(written).items():
        return Label(written=written, scheme=scheme, ordinals=ordinals, start=start, end=end, body=body, has_noun=False)
    return None
