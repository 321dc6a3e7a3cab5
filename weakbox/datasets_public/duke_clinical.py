"""``Clinical_and_Other_Features.xlsx`` of Duke-Breast-Cancer-MRI: column names in the second row, meanings of codes in the third."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from weakbox.datasets_public.row_values import NOTHING, whole_number
from weakbox.records.case import LedgerEntry
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import flagged
from weakbox.sources.strict_workbook import readable_workbook
from weakbox.sources.table_reading import cell_text, comparable

AGE = "age_years"
DAYS_PER_YEAR = 365.25
PATIENT = re.compile(r"Breast_?MRI_?(\d+)", re.IGNORECASE)
PATIENT_COLUMN = "Patient ID"


def patient_of(text: str) -> str | None:
    """The patient's name in one spelling.

    >>> patient_of("BreastMRI007"), patient_of("Breast_MRI_007")
    ('Breast_MRI_007', 'Breast_MRI_007')
    """
    found = PATIENT.fullmatch(text.strip())
    return f"Breast_MRI_{int(found[1]):03d}" if found else None


def _status(text: str) -> str:
    return {0: "negative", 1: "positive"}[_code(text, 1)]


def _flag(text: str) -> bool:
    return _code(text, 1) == 1


def _code(text: str, highest: int) -> int:
    code = whole_number(text)
    if not 0 <= code <= highest:
        msg = f"expected a code from 0 to {highest}, got {text!r}"
        raise ValueError(msg)
    return code


def _age(text: str) -> float:
    """Years from the day of birth, which counts in days before the diagnosis (``-15209``)."""
    return round(-float(text) / DAYS_PER_YEAR, 1)


COLUMNS: Mapping[str, tuple[str, Callable[[str], FieldValue]]] = {
    "Date of Birth (Days)": (AGE, _age),
    "ER": ("er_status", _status),
    "PR": ("pr_status", _status),
    "HER2": ("her2_status", _status),
    "Multicentric/Multifocal": ("is_multifocal", _flag),
    "Contralateral Breast Involvement": ("is_contralateral", _flag),
}
"""Column -> our name and how its cells read. Molecular subtypes are left out: their codes are taken for benign and malignant too often."""


def read_clinical(path: Path | None) -> tuple[dict[str, dict[str, FieldValue]], list[LedgerEntry]]:
    """Facts by patient; nothing, with a remark, where the table is of another shape."""
    if path is None:
        return {}, []
    rows = _rows(path)
    header = next((row for row in rows if PATIENT_COLUMN in row), None)
    if header is None:
        return {}, [flagged("file", path.name, "unread_table", f"no row with the column {PATIENT_COLUMN!r}")]
    places = {comparable(name): place for place, name in reversed(list(enumerate(header)))}
    facts: dict[str, dict[str, FieldValue]] = {}
    ledger: list[LedgerEntry] = []
    for row in rows:
        patient = patient_of(row[places[comparable(PATIENT_COLUMN)]])
        if patient is not None:
            facts[patient] = dict(_facts(row, places, f"{path.name}: {patient}", ledger))
    return facts, ledger


def _facts(row: Sequence[str], places: Mapping[str, int], item: str, ledger: list[LedgerEntry]) -> Iterator[tuple[str, FieldValue]]:
    for column, (name, parse) in COLUMNS.items():
        place = places.get(comparable(column))
        text = row[place].strip() if place is not None else ""
        if text.casefold() in NOTHING:
            continue
        try:
            yield name, parse(text)
        except ValueError as error:
            ledger.append(flagged("row", item, "unexpected_value", f"{column}: {error}"))


def _rows(path: Path) -> Iterator[list[str]]:
    """Rows of the first sheet as text; none where it is no workbook."""
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            workbook = openpyxl.load_workbook(readable_workbook(path), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError):
        return
    sheet = workbook[workbook.sheetnames[0]]
    sheet.reset_dimensions()
    width = 0
    for row in sheet.iter_rows(values_only=True):
        width = max(width, len(row))
        yield [cell_text(cell).strip() for cell in row] + [""] * (width - len(row))
    workbook.close()
