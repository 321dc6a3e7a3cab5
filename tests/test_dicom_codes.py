"""Codes: as DICOM's own context groups have them, and within the limits of the standard."""

from __future__ import annotations

import pytest
from pydicom.sr._cid_dict import cid_concepts  # the dictionary that pydicom ships
from pydicom.sr._concepts_dict import concepts

from weakbox.records.label import LesionStatus
from weakbox.terminology import dicom_codes
from weakbox.terminology.dicom_codes import CLASS_CODES, DicomCode, class_name, isup_code, sector_code
from weakbox.terminology.sectors import SECTORS

MEANINGS = {
    (scheme, code): meaning for scheme, names in concepts.items() for entries in names.values() for code, (meaning, _) in entries.items()
}


def all_codes() -> list[DicomCode]:
    found = [value for value in vars(dicom_codes).values() if isinstance(value, DicomCode)]
    tables = [value for name, value in vars(dicom_codes).items() if name.isupper() and isinstance(value, dict)]
    found += [code for table in tables for code in table.values() if isinstance(code, DicomCode)]
    return found + [sector_code(sector) for sector in SECTORS]


def test_every_code_fits_the_value_representation() -> None:
    codes = all_codes()
    assert len(codes) > 70
    for code in codes:
        assert len(code.value) <= 16 and len(code.scheme) <= 16 and 0 < len(code.meaning) <= 64, code


def test_every_code_of_dicom_has_dicoms_meaning() -> None:
    compared = [code for code in all_codes() if (code.scheme, code.value) in MEANINGS]
    assert len(compared) > 60
    variants = {(scheme, code): set() for scheme, code in MEANINGS}
    for scheme, names in concepts.items():
        for entries in names.values():
            for code, (meaning, _) in entries.items():
                variants[scheme, code].add(meaning.casefold())
    wrong = [code for code in compared if code.meaning.casefold() not in variants[code.scheme, code.value]]
    assert not wrong


def test_the_sectors_are_those_of_cid_6304() -> None:
    names = [name for names in cid_concepts[6304].values() for name in names]
    expected = {code for name in names for code in concepts["SCT"][name]}
    assert expected <= {sector_code(sector).value for sector in SECTORS}


@pytest.mark.parametrize(
    ("grade", "primary", "secondary", "value", "scheme"),
    [
        (1, None, None, "1279715000", "SCT"),
        (2, 3, 4, "1279714001", "SCT"),
        (3, 4, 3, "1279716004", "SCT"),
        (4, 3, 5, "1279718003", "SCT"),
        (4, None, None, "ISUP4", "99WEAKBOX"),
        (5, 5, 4, "1279721001", "SCT"),
        (5, 4, 3, "ISUP5", "99WEAKBOX"),
    ],
)
def test_a_grade_claims_only_patterns_that_were_stated(
    grade: int, primary: int | None, secondary: int | None, value: str, scheme: str
) -> None:
    code = isup_code(grade, primary, secondary)
    assert (code.value, code.scheme) == (value, scheme)
    assert f"grade group {grade}" in code.meaning


def test_every_label_has_a_class_code() -> None:
    names = {class_name(status, grade) for status in LesionStatus for grade in (None, 1, 2, 3, 4, 5)}
    assert names == set(CLASS_CODES)
    assert sorted(CLASS_CODES.values()) == list(range(1, len(CLASS_CODES) + 1))
