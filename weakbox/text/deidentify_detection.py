"""What a recogniser of identifying words finds."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PhiKind(StrEnum):
    """What kind of identifying words; the value is the placeholder's word, so that a masked date reads ``<DATE>``."""

    PERSON = "PERSON"
    DATE = "DATE"
    BIRTH_DATE = "BIRTH_DATE"
    TIME = "TIME"
    AGE = "AGE"
    PHONE = "PHONE"
    EMAIL = "EMAIL"
    URL = "URL"
    ID = "ID"
    NATIONAL_ID = "NATIONAL_ID"
    UID = "UID"
    ADDRESS = "ADDRESS"
    INSTITUTION = "INSTITUTION"


class Detection(NamedTuple):
    """Identifying words at ``start:end`` of the text.

    ``is_sure``: a label or a checksum says so, and clinical-looking neighbours do not free it.
    """

    start: int
    end: int
    kind: PhiKind
    source: str
    is_sure: bool = False
