"""Every item that was dropped, flagged or sent to review, as one CSV. It names patients: it stays in the private folder."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from weakbox.runtime.store import STAGES, Store, write_text

COLUMNS = ("stage", "outcome", "kind", "reason", "item_id", "patient_id", "detail")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that starts so would be run as a formula by a spreadsheet program (OWASP, CSV injection)."""


def write_ledger(store: Store, path: Path) -> int:
    """Write the ledger of all stages, in their order, and return how many rows it has."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = 0
    for stage in STAGES:
        for row in store.ledger((stage,)):
            cells = (stage, row.outcome.value, row.kind, row.reason, row.item_id, row.patient_id or "", row.detail)
            writer.writerow([_as_text(cell) for cell in cells])
            rows += 1
    write_text(path, content.getvalue())
    return rows


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
