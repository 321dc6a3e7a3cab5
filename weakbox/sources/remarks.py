"""Ledger rows that a way in writes for what it could not use, or used with a remark."""

from __future__ import annotations

from weakbox.records.case import LedgerEntry, Outcome

STAGE = "preprocessing"


def dropped(kind: str, item_id: str, reason: str, detail: str = "", patient_id: str | None = None) -> LedgerEntry:
    """One item that does not go on. ``detail`` carries neither report text nor identifiers."""
    return _entry(Outcome.DROPPED, kind, item_id, reason, detail, patient_id)


def flagged(kind: str, item_id: str, reason: str, detail: str = "", patient_id: str | None = None) -> LedgerEntry:
    """One item that goes on with a remark."""
    return _entry(Outcome.FLAGGED, kind, item_id, reason, detail, patient_id)


def _entry(outcome: Outcome, kind: str, item_id: str, reason: str, detail: str, patient_id: str | None) -> LedgerEntry:
    return LedgerEntry(stage=STAGE, kind=kind, item_id=item_id, outcome=outcome, reason=reason, detail=detail, patient_id=patient_id)
