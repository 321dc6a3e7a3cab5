"""Research identifiers by keyed hash, and a date shift for each patient.

A pseudonym is HMAC-SHA-256(key, identifier): the same everywhere, needs no table, and cannot be undone without the key.
Intervals between the dates of one patient are kept, because the shift is the patient's own.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from weakbox.records.errors import ConfigurationError
from weakbox.records.record import record

PSEUDONYM_LENGTH = 12
MAXIMUM_SHIFT_DAYS = 365
MINIMUM_KEY_LENGTH = 16


@record
class ResearchIdentity:
    """How one case is named outside the hospital."""

    patient_id: str
    case_id: str
    date_shift_days: int
    keep_original: bool

    def shift(self, day: date | None) -> date | None:
        """The day as it is exported; None stays None."""
        return None if day is None else day + timedelta(days=self.date_shift_days)


@record
class Pseudonymiser:
    """Makes research identities. With ``keep_original`` identifiers and dates go out as they are."""

    key: bytes
    keep_original: bool = False
    shift_dates: bool = True
    research_patients: Mapping[str, str]
    """Research identifiers that a crosswalk already gives; they win over the hash."""

    def digest(self) -> str:
        """SHA-256 over all that decides the identities; shows nothing of the key."""
        parts = repr((self.keep_original, self.shift_dates, sorted(self.research_patients.items())))
        return hmac.new(self.key, parts.encode(), hashlib.sha256).hexdigest()

    def patient(self, patient_id: str) -> str:
        """The research identifier of a patient."""
        if self.keep_original:
            return _as_file_name(patient_id)
        return self.research_patients.get(patient_id) or f"P{self._digest('patient', patient_id)[:PSEUDONYM_LENGTH]}"

    def identity(self, patient_id: str, case_id: str) -> ResearchIdentity:
        """How this case is named and by how many days its dates are moved."""
        patient = self.patient(patient_id)
        suffix = _as_file_name(case_id) if self.keep_original else f"S{self._digest('case', case_id)[:PSEUDONYM_LENGTH]}"
        return ResearchIdentity(
            patient_id=patient,
            case_id=f"{patient}_{suffix}",
            date_shift_days=self._shift_days(patient_id),
            keep_original=self.keep_original,
        )

    def _shift_days(self, patient_id: str) -> int:
        if self.keep_original or not self.shift_dates:
            return 0
        return -1 - int(self._digest("shift", patient_id)[:8], 16) % MAXIMUM_SHIFT_DAYS

    def _digest(self, purpose: str, identifier: str) -> str:
        return hmac.new(self.key, f"{purpose}:{identifier}".encode(), hashlib.sha256).hexdigest()


def _as_file_name(identifier: str) -> str:
    plain = "".join(character if character.isalnum() or character in "-." else "-" for character in identifier)
    if plain == identifier and not plain.startswith("."):
        return plain
    # two identifiers never share a name: "A/1" and "A 1" are told apart by a piece of their hash
    return f"{plain.lstrip('.')}-{hashlib.sha256(identifier.encode()).hexdigest()[:8]}"


def load_or_create_key(path: Path) -> bytes:
    """The secret key of the pseudonyms, made where it is not there yet; readable by its owner alone.

    Raises:
        ConfigurationError: the file is there but holds no usable key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        partial.replace(path)
    return load_key(path)


def load_key(path: Path) -> bytes:
    """The secret key in a file that must be there: another key would change every identifier.

    Raises:
        ConfigurationError: no such file, or no usable key in it.
    """
    if not path.is_file():
        msg = f"privacy.key_file: {path} is not there; name the key of earlier exports, or leave it out to have one made for this run"
        raise ConfigurationError(msg)
    key = path.read_text(encoding="utf-8").strip().encode()
    if len(key) < MINIMUM_KEY_LENGTH:
        msg = (
            f"{path}: expected a secret key of at least {MINIMUM_KEY_LENGTH} characters; "
            "delete the file to have one made (identifiers of earlier exports then change)"
        )
        raise ConfigurationError(msg)
    return key
