"""What closes an export: stale cases removed, the manifest, the exclusions, and the private mapping of identifiers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from weakbox.audit.ledger_table import write_ledger
from weakbox.records.artifact import Artifact, ExportedCase
from weakbox.records.label import Exclusion
from weakbox.runtime.codec import as_plain
from weakbox.runtime.privacy import Pseudonymiser
from weakbox.runtime.provenance import provenance
from weakbox.runtime.store import Store, write_text

MANIFEST = "manifest.json"


def remove_stale_cases(dataset: Path, exported: Iterable[ExportedCase]) -> int:
    """Remove case folders that this run did not export: cases that are excluded now, and what a killed run left half written."""
    cases = dataset / "cases"
    if not cases.is_dir():
        return 0
    kept = {case.research_case_id for case in exported}
    stale = [folder for folder in sorted(cases.iterdir()) if folder.name not in kept]
    for folder in stale:
        shutil.rmtree(folder)
    return len(stale)


def write_manifest(
    dataset: Path, name: str, exported: Sequence[ExportedCase], of_the_set: Sequence[Artifact], configuration_text: str
) -> None:
    """Every file of the dataset with its SHA-256, and what made it."""
    made_by = provenance(hashlib.sha256(configuration_text.encode()).hexdigest(), {})
    artifacts = sorted((artifact for case in exported for artifact in case.artifacts), key=lambda artifact: artifact.path)
    content = {
        "dataset": name,
        "provenance": as_plain(made_by),
        "cases": len(exported),
        "incomplete_cases": sorted(case.research_case_id for case in exported if not case.is_complete),
        "files": [as_plain(artifact) for artifact in [*of_the_set, *artifacts]],
    }
    write_text(dataset / MANIFEST, json.dumps(content, indent=1, sort_keys=True) + "\n")


def write_exclusions(dataset: Path, exclusions: Iterable[Exclusion], identities: Pseudonymiser) -> None:
    """Which studies are not in the set, and why; research identifiers only."""
    rows = []
    for exclusion in exclusions:
        identity = identities.identity(exclusion.patient_id, exclusion.case_id)
        rows.append((identity.patient_id, identity.case_id, exclusion.stage, exclusion.reason))
    write_text(dataset / "exclusions.csv", _csv(("patient_id", "case_id", "stage", "reason"), sorted(rows)))


def write_mapping(private: Path, exported: Iterable[ExportedCase]) -> None:
    """Original -> research identifiers and date shifts. Kept apart from the dataset; whoever holds it can undo the pseudonyms."""
    columns = ("patient_id", "case_id", "research_patient_id", "research_case_id", "date_shift_days")
    rows = sorted(tuple(str(getattr(case, column)) for column in columns) for case in exported)
    write_text(private / "mapping.csv", _csv(columns, rows))
    (private / "mapping.csv").chmod(0o600)


def close_dataset(
    configuration: Any, store: Store, exported: Sequence[ExportedCase], of_the_set: Sequence[Artifact], identities: Pseudonymiser
) -> None:
    """Write what the whole export leaves beside its cases."""
    output = configuration.output
    write_manifest(output.dataset, configuration.labels.dataset, exported, of_the_set, configuration.digest_text())
    exclusions = (record for record in store.read_all("postprocessing") if isinstance(record, Exclusion))
    write_exclusions(output.dataset, exclusions, identities)
    write_mapping(output.private, exported)
    write_ledger(store, output.private / "ledger.csv")
    (output.private / "ledger.csv").chmod(0o600)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
