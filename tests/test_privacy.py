"""Research identifiers: stable under one key, unrelated under another, and dates that move together."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.records.errors import ConfigurationError
from weakbox.runtime.privacy import MAXIMUM_SHIFT_DAYS, Pseudonymiser, load_or_create_key

HASHED = Pseudonymiser(key=b"0123456789abcdef", research_patients={})
OTHER_KEY = replace(HASHED, key=b"fedcba9876543210")
ORIGINAL = replace(HASHED, keep_original=True)
identifiers = st.text(min_size=1, max_size=20)


@given(identifiers)
def test_a_pseudonym_is_stable_and_shows_nothing_of_the_identifier(patient: str) -> None:
    pseudonym = HASHED.patient(patient)
    assert pseudonym == HASHED.patient(patient)
    assert pseudonym[0] == "P"
    assert set(pseudonym[1:]) <= set("0123456789abcdef")


def test_another_key_gives_other_identifiers_and_another_digest() -> None:
    assert HASHED.patient("MRN-1") != OTHER_KEY.patient("MRN-1")
    assert HASHED.identity("MRN-1", "1.2").case_id != OTHER_KEY.identity("MRN-1", "1.2").case_id
    assert HASHED.digest() != OTHER_KEY.digest()


def test_the_known_answer_does_not_change_between_versions() -> None:
    """Exports of one hospital must keep their identifiers; this value was computed with `hmac` by hand."""
    import hashlib
    import hmac

    expected = hmac.new(b"0123456789abcdef", b"patient:MRN-1", hashlib.sha256).hexdigest()[:12]
    assert HASHED.patient("MRN-1") == f"P{expected}"


@given(identifiers, st.lists(identifiers, min_size=2, max_size=4, unique=True))
def test_a_patients_dates_move_together_into_the_past_and_never_stay(patient: str, cases: list[str]) -> None:
    shifts = {HASHED.identity(patient, case).date_shift_days for case in cases}
    assert len(shifts) == 1
    assert -MAXIMUM_SHIFT_DAYS <= shifts.pop() <= -1


def test_intervals_between_dates_are_kept() -> None:
    identity = HASHED.identity("MRN-1", "1.2")
    first, second = identity.shift(date(2020, 2, 27)), identity.shift(date(2020, 3, 12))
    assert first is not None
    assert second is not None
    assert (second - first).days == 14
    assert first != date(2020, 2, 27)
    assert identity.shift(None) is None


def test_cases_of_one_patient_share_the_patient_and_differ_in_the_case() -> None:
    first, second = HASHED.identity("MRN-1", "1.2"), HASHED.identity("MRN-1", "1.3")
    assert first.patient_id == second.patient_id
    assert first.case_id != second.case_id
    assert first.case_id.startswith(first.patient_id)


def test_a_crosswalks_research_identifier_wins() -> None:
    crosswalked = replace(HASHED, research_patients={"MRN-1": "STUDY-007"})
    assert crosswalked.patient("MRN-1") == "STUDY-007"
    assert crosswalked.patient("MRN-2") == HASHED.patient("MRN-2")
    assert crosswalked.digest() != HASHED.digest()


def test_original_identifiers_go_out_with_their_dates() -> None:
    identity = ORIGINAL.identity("MRN-1", "1.2.3")
    assert (identity.patient_id, identity.case_id, identity.date_shift_days) == ("MRN-1", "MRN-1_1.2.3", 0)


def test_dates_stay_where_the_shift_is_off() -> None:
    assert replace(HASHED, shift_dates=False).identity("MRN-1", "1").date_shift_days == 0


@given(st.lists(identifiers, min_size=2, max_size=6, unique=True))
def test_two_original_identifiers_never_share_a_file_name(patients: list[str]) -> None:
    assert len({ORIGINAL.patient(patient) for patient in patients}) == len(patients)


@pytest.mark.parametrize("patient", ["..", "../x", "a/b", "a\\b", ".hidden", "a b", "ä:b"])
def test_an_original_identifier_is_a_safe_file_name(patient: str) -> None:
    name = ORIGINAL.patient(patient)
    assert not set(name) & set('/\\:*?"<>| \0')
    assert not name.startswith(".")


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "private" / "research_id.key"
    key = load_or_create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(path) == key
    assert load_or_create_key(tmp_path / "another.key") != key


@pytest.mark.parametrize("content", ["", "short\n"])
def test_a_key_that_is_too_short_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "research_id.key"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="at least 16 characters") as caught:
        load_or_create_key(path)
    assert "short" not in str(caught.value).replace(str(path), "")


def test_the_digest_shows_nothing_of_the_key() -> None:
    assert HASHED.key.hex() not in HASHED.digest()
    assert "0123456789abcdef" not in HASHED.digest()
