"""Which research identifiers stand for which original ones."""

from __future__ import annotations

from weakbox.records.record import record


@record
class CrosswalkEntry:
    """One row of an identity crosswalk; at least one pair is stated. The research day is the original day plus the shift."""

    original_patient_id: str | None = None
    research_patient_id: str | None = None
    original_accession: str | None = None
    research_accession: str | None = None
    original_study_uid: str | None = None
    research_study_uid: str | None = None
    date_shift_days: int | None = None
    source_file: str = ""
    source_row: int | None = None

    def __post_init__(self) -> None:
        if not self.pairs:
            msg = "a crosswalk entry holds at least one pair of an original and a research identifier"
            raise ValueError(msg)

    @property
    def pairs(self) -> tuple[tuple[str, str, str], ...]:
        """(kind, original, research) of every complete pair."""
        found = (
            ("patient", self.original_patient_id, self.research_patient_id),
            ("accession", self.original_accession, self.research_accession),
            ("study_uid", self.original_study_uid, self.research_study_uid),
        )
        return tuple((kind, original, research) for kind, original, research in found if original and research)
