"""Small workbooks with the same bytes each time: text and numbers on one sheet, ordinary or strict Open XML."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

Cell = str | int | float | None
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TRANSITIONAL = ("http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://schemas.openxmlformats.org/officeDocument/2006")
_STRICT = ("http://purl.oclc.org/ooxml/spreadsheetml/main", "http://purl.oclc.org/ooxml/officeDocument")
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def write_workbook(path: Path, rows: Iterable[Sequence[Cell]], sheet: str = "Sheet1") -> None:
    """An ordinary ``.xlsx``."""
    _write(path, rows, sheet, _TRANSITIONAL)


def write_strict_workbook(path: Path, rows: Iterable[Sequence[Cell]], sheet: str = "Sheet1") -> None:
    """What Excel calls "Strict Open XML Spreadsheet": the same parts under other namespaces."""
    _write(path, rows, sheet, _STRICT)


def _write(path: Path, rows: Iterable[Sequence[Cell]], sheet: str, namespaces: tuple[str, str]) -> None:
    main, office = namespaces
    relations = f"{office}/relationships"
    parts = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
            f'relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>'
        ),
        "_rels/.rels": _relationship(f"{relations}/officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": (
            f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>'
            f'<sheet name="{escape(sheet)}" sheetId="1" r:id="rId1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": _relationship(f"{relations}/worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{_sheet_data(rows)}</sheetData></worksheet>',
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            content = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + text
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _relationship(kind: str, target: str) -> str:
    return f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{kind}" Target="{target}"/></Relationships>'


def _sheet_data(rows: Iterable[Sequence[Cell]]) -> str:
    return "".join(
        f'<row r="{number}">{"".join(_cell(value, column, number) for column, value in enumerate(row))}</row>'
        for number, row in enumerate(rows, start=1)
    )


def _cell(value: Cell, column: int, row: int) -> str:
    """Up to 26 columns."""
    place = f"{chr(ord('A') + column)}{row}"
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'
