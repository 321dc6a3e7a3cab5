"""Reports for sharing: texts without what identifies a person, under research identifiers, with each patient's days moved together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from weakbox.records.report import Report
from weakbox.runtime.privacy import Pseudonymiser
from weakbox.text.deidentify import DeidentifyOptions, Operator, deidentify


def shared_lines(
    reports: Iterable[Report], identities: Pseudonymiser, operator: Operator, dates: Operator, found: Counter[str]
) -> Iterator[str]:
    """One JSON object a report, in order; ``found`` counts what was replaced, by kind.

    A report's research identifier follows from its patient's and its own, not from its place among the others.
    """
    for report in reports:
        patient = report.patient_id or report.report_id
        identity = identities.identity(patient, report.report_id)
        options = DeidentifyOptions(
            operator=operator,
            dates=dates,
            key=identities.key,
            date_shift_days=identity.date_shift_days,
            known=tuple(name for name in (report.patient_id, report.accession, report.report_id) if name),
        )
        shared = deidentify(report.text, options)
        found.update(replacement.kind.value for replacement in shared.replacements)
        row = {
            "report_id": identity.case_id,
            "patient_id": identity.patient_id,
            "report_type": report.report_type.value,
            "organ": report.organ,
            "text": shared.text,
        }
        yield json.dumps(row, ensure_ascii=False)
