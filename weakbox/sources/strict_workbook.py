"""Workbooks saved as "Strict Open XML": the same parts under other namespaces (ISO/IEC 29500-1, annex on strict and transitional names)."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(spreadsheetml|officeDocument|drawingml)/")
TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/"
WORKBOOK = "xl/workbook.xml"
MARKUP = (".xml", ".rels")


def readable_workbook(path: Path) -> Path | io.BytesIO:
    """The workbook itself, or in memory its copy with the names that openpyxl knows where it is a strict one.

    Raises:
        zipfile.BadZipFile: no workbook.
    """
    with zipfile.ZipFile(path) as archive:
        if WORKBOOK not in archive.namelist() or not STRICT.search(archive.read(WORKBOOK)):
            return path
        copy = io.BytesIO()
        with zipfile.ZipFile(copy, "w") as renamed:
            for name in archive.namelist():
                content = archive.read(name)
                renamed.writestr(name, STRICT.sub(TRANSITIONAL, content) if name.endswith(MARKUP) else content)
    copy.seek(0)
    return copy
